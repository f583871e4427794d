package simulation

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Somebody who may tag, or write to the bucket of the records, may write anything. What that keeps
// is kept; nothing goes because of it.

// forged is what somebody has forged so far, of what a run could not tell from the real thing.
type forged struct {
	images    map[string]bool // With a forged plan or removal.
	announced map[string]bool // Announced according to a plan.
	locks     map[string]bool // The keys of forged locks.
	runs      map[string]bool // For which a plan was forged.
	markers   []string        // The keys of forged notes of unfinished runs.
}

// addBait adds what a forger would like to have the janitor change: images that others have
// disabled or deprecated.
func (w *world) addBait(d dice) {
	for n := range d.between(1, 2) {
		i := &image{
			id: imageID(700 + n), region: pick(d, w.regions...), name: "one-off-quarantined-" + strings.Repeat("x", n), created: ago(float64(d.between(40, 400))),
			tags: map[string]string{}, state: pick(d, "disabled", "disabled", "available"), there: true,
		}
		if i.state == "available" {
			i.deprecated = ago(float64(d.between(-3, 3))).Truncate(day)
		}
		sn := &snapshot{id: snapshotID(7000 + n), region: i.region, tags: map[string]string{}, there: true, size: 500}
		i.snapshots = []string{sn.id}
		w.images, w.snapshots = append(w.images, i), append(w.snapshots, sn)
	}
	w.addOrphan(d)
	w.snapshots[len(w.snapshots)-1].own = d.chance(50) // Nothing in it says what it was made for.
}

// forgeTags writes tags of the janitor to an image or a snapshot.
func (s *simulation) forgeTags(d dice) {
	var images []*image
	var snapshots []*snapshot
	for _, i := range s.world.images {
		if i.there {
			images = append(images, i)
		}
	}
	for _, sn := range s.world.snapshots {
		if sn.there {
			snapshots = append(snapshots, sn)
		}
	}
	if len(images) > 0 && (d.chance(75) || len(snapshots) == 0) {
		i := pick(d, images...)
		i.forged = true
		s.call(i.region, "CreateTags", append([]string{"ResourceId.1", i.id}, s.forgedTags(d, i)...)...)
	} else if len(snapshots) > 0 {
		sn := pick(d, snapshots...)
		sn.forged = true
		s.call(sn.region, "CreateTags", append([]string{"ResourceId.1", sn.id}, s.forgedTags(d, nil)...)...)
	}
}

// forgedTags draws tags. What they say of an image may have been true once.
func (s *simulation) forgedTags(d dice, i *image) []string {
	var runs []string
	for _, r := range s.order {
		runs = append(runs, r.id)
	}
	if i != nil && len(i.announcers) > 0 && d.chance(60) {
		runs = i.announcers
	}
	run := pick(d, append(runs, forgedRun(d))...)
	date := func() string {
		return time.Now().Add(time.Duration(d.between(-40, 5)) * day).UTC().Format(time.DateOnly)
	}
	if i != nil && !i.deprecated.IsZero() && d.chance(50) {
		date = func() string { return i.deprecated.Format(time.DateOnly) }
	}
	values := map[string]string{
		dueTag:         pick(d, date(), date(), "soon"),
		announcedByTag: pick(d, run+" first", run+" second", run+" first", run+" another", run, "x"),
		disabledTag:    pick(d, run, run, "x"),
		intentTag:      pick(d, "remove", "remove", "remove", "x"),
		runTag:         run,
		restoredTag:    date(),
		staleAfterTag:  pick(d, "7d", "8d", "90d", "1d", "x"),
		keepTag:        pick(d, "yes", "false"),
	}
	sets := [][]string{
		{dueTag, announcedByTag},
		{dueTag, announcedByTag},
		{dueTag, announcedByTag, disabledTag},
		{dueTag, announcedByTag, disabledTag},
		{disabledTag},
		{dueTag},
		{intentTag, runTag},
		{intentTag},
		{runTag},
		{staleAfterTag},
		{keepTag},
		{restoredTag},
		{announcedByTag, disabledTag},
		{dueTag, announcedByTag, disabledTag, staleAfterTag},
		{dueTag, announcedByTag, intentTag, runTag},
	}
	keys := pick(d, sets...)
	if d.chance(20) {
		keys = slices.DeleteFunc(slices.Sorted(maps.Keys(values)), func(string) bool { return d.chance(50) })
	}
	var parameters []string
	for n, key := range keys {
		parameters = append(parameters, fmt.Sprintf("Tag.%d.Key", n+1), key, fmt.Sprintf("Tag.%d.Value", n+1), values[key])
	}
	return parameters
}

// forgedRun draws the id of a run that never was.
func forgedRun(d dice) string {
	at := firstNight.Add(time.Duration(d.between(-50*24*60, 10*24*60)) * time.Minute)
	return at.UTC().Format("20060102T150405Z") + "-f0f0f0"
}

// forgeRecords writes documents to the journal of a policy, and tags that go with them. Of a
// snapshot whose description names an image it may tell a run, with a plan for that image, that it
// is a leftover; it never does so of snapshots that no image mapped.
func (s *simulation) forgeRecords(d dice) {
	p := pick(d, s.policies...)
	if !p.hasRecords() {
		return
	}
	prefix, region := prefixOf(p.settings), pick(d, s.world.regions...)
	run := forgedRun(d)
	if len(s.order) > 0 && d.chance(25) {
		run = pick(d, s.order...).id
	}
	imageIDs := []string{imageID(600 + d.IntN(3))}
	for _, i := range s.world.images {
		if i.region == region {
			imageIDs = append(imageIDs, i.id)
		}
	}
	var snapshots []*snapshot
	for _, sn := range s.world.snapshots {
		if sn.region == region && sn.there {
			snapshots = append(snapshots, sn)
			if sn.orphanOf != "" || sn.own {
				snapshots = append(snapshots, sn, sn)
			}
		}
	}
	imageID, declared := pick(d, imageIDs...), []string{}
	for range min(d.between(1, 2), len(snapshots)) {
		sn := pick(d, snapshots...)
		declared = append(declared, sn.id)
		if made := s.world.madeFor(sn); made != "" && sn.orphanOf == "" && d.chance(30) {
			imageID = made
		}
		if d.chance(85) {
			sn.forged = true
			s.call(region, "CreateTags", "ResourceId.1", sn.id, "Tag.1.Key", intentTag, "Tag.1.Value", "remove", "Tag.2.Key", runTag, "Tag.2.Value", run)
		}
	}
	declared = slices.Compact(declared)
	plan := object{"run": run, "region": region, "account": accountID, "at": time.Now(), "policy": p.name, "declared": []object{{"imageId": imageID, "snapshotIds": declared}}}
	if d.chance(15) {
		s.forged.announced[imageID] = true
		plan["announced"] = []object{{"imageId": imageID, "due": time.Now(), "action": pick(d, "announce", "disable", "deprecate")}}
	}
	s.forged.images[imageID] = true
	if d.chance(85) {
		s.forged.runs[run] = true
		s.forge(prefix+"runs/"+run+"/plan-"+region+".json", plan)
	}
	if d.chance(85) {
		s.forge(prefix+"removals/"+region+"/"+imageID+"/"+run+".json", object{
			"run": run, "region": region, "imageId": imageID, "declaredSnapshotIds": declared, "status": pick(d, "attempted", "deregistered", "deregistered", "failed", "skipped"),
			"error": "", "refused": d.chance(30), "snapshots": []object{},
		})
	}
	if key := prefix + "unfinished/" + region + "/" + run; d.chance(85) && s.forge(key, object{"run": run, "region": region}) {
		s.forged.markers = append(s.forged.markers, key)
	}
	if d.chance(15) {
		key := prefix + "locks/" + region + ".json"
		s.forged.locks[key] = true
		at := time.Now().Add(pick(d, -time.Hour, 0, 10*time.Minute, 3*time.Hour, 100*365*day))
		s.put(key, object{"run": run, "region": region, "at": at, "nonce": "x"})
	}
}

// forge stores a document where there is none, and reports whether it did.
func (s *simulation) forge(key string, content object) bool {
	if _, taken := s.account.Objects(bucketName)[key]; taken {
		return false
	}
	s.trace("somebody forges %s: %v", key, content)
	s.put(key, content)
	return true
}

// repair is what a person does about a region that cannot be read: forged locks and notes of
// unfinished runs go, as the error says.
func (s *simulation) repair() {
	for _, key := range s.forged.markers {
		s.store(http.MethodDelete, key, nil)
	}
	for _, key := range slices.Sorted(maps.Keys(s.forged.locks)) {
		if strings.Contains(string(s.account.Objects(bucketName)[key]), `"nonce":"x"`) {
			s.store(http.MethodDelete, key, nil)
		}
	}
	s.forged.markers = nil
}
