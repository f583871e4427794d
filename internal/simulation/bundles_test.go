package simulation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

// bundleBucket holds the bundles of instance-store images.
const bundleBucket = "bundles"

// bundles is what the bucket of bundles holds, and what becomes of it.
type bundles struct {
	status  string            // Of its versioning.
	objects map[string]string // By key.
	// The key of an object that is older than the versioning; empty for none.
	null string

	original  map[string]string    // The versions at the beginning, by key.
	markers   map[string]string    // The delete markers of runs: which run, by version.
	byPersons map[string][]string  // The versions and markers of persons, by key.
	inDoubt   map[string]bool      // Markers of persons that may pass for those of a run.
	wrote     map[string]time.Time // When a person did that last, by key.
	undone    map[string]time.Time // By the id of the image.
	hidden    int                  // How many markers runs have made.
}

// addBundles has the first policy delete bundles, and draws some.
func (w *world) addBundles(d dice) {
	maps.Copy(w.settings, map[string]string{
		"BUNDLES": "delete", "BUNDLE_BUCKETS": bundleBucket, "REQUIRE_RECYCLE_BIN": "false", "RECYCLE_BIN_DAYS": pick(d, "0", "7"),
		"RECORDS": "s3://" + bucketName + "/journal",
	})
	w.bundles = &bundles{
		status: pick(d, "Enabled", "Enabled", "Enabled", "Enabled", "Enabled", "Suspended"), objects: map[string]string{"web/notes.txt": "by hand"},
		markers: map[string]string{}, byPersons: map[string][]string{}, inDoubt: map[string]bool{}, undone: map[string]time.Time{}, wrote: map[string]time.Time{},
	}
	last := ""
	for n := range d.between(1, 4) {
		i := &image{
			id: imageID(900 + n), region: pick(d, w.regions...), tags: map[string]string{}, state: "available", there: true, instanceStore: true,
			name: fmt.Sprint("one-off-bundle-", n), created: ago(float64(d.between(40, 400)) + d.Float64()),
		}
		i.location = bundleBucket + "/web/" + i.name + ".manifest.xml"
		if last != "" && d.chance(12) {
			i.location = last
		}
		last = i.location
		w.bundles.add(d, strings.TrimSuffix(strings.TrimPrefix(i.location, bundleBucket+"/"), ".manifest.xml"))
		w.addAnnouncement(d, i, w.settings)
		w.images = append(w.images, i)
		if d.chance(12) {
			other := w.sentinel(950+n, pick(d, w.regions...))
			other.instanceStore, other.location = true, i.location
			w.images = append(w.images, other)
		}
	}
}

// add draws the objects of a bundle.
func (b *bundles) add(d dice, prefix string) {
	if b.objects[prefix+".manifest.xml"] != "" {
		return
	}
	name := strings.TrimPrefix(prefix, "web/")
	var parts strings.Builder
	n := d.between(1, 3)
	for part := range n {
		key := fmt.Sprintf("%s.part.%02d", name, part)
		b.objects["web/"+key] = fmt.Sprint("part ", part, " of ", name)
		if d.chance(4) {
			b.null = "web/" + key
		}
		if d.chance(4) {
			key = "../" + key
		}
		fmt.Fprintf(&parts, "<part index='%d'><filename>%s</filename><digest algorithm='SHA1'>01</digest></part>", part, key)
	}
	b.objects[prefix+".part.77"] = "of nobody"
	b.objects[prefix+".manifest.xml"] = fmt.Sprintf("<?xml version='1.0'?><manifest><image><parts count='%d'>%s</parts></image></manifest>", n, parts.String())
}

// files are those of an account directory.
func (b *bundles) files() map[string][]byte {
	files := map[string][]byte{}
	for key, text := range b.objects {
		files["s3/"+bundleBucket+"/"+key] = []byte(text)
	}
	versions := ""
	if b.null != "" {
		versions = fmt.Sprintf(`, "Versions": [{"Key": %q, "VersionId": "null", "IsLatest": true, "LastModified": "2020-01-01T00:00:00Z"}]`, b.null)
	}
	files["s3-buckets.json"] = fmt.Appendf(nil, `{"Buckets": [{"Name": %q, "Versioning": {"Status": %q}%s}]}`, bundleBucket, b.status, versions)
	return files
}

// keysOf are the objects that may go with an image.
func (b *bundles) keysOf(i *image) []string {
	_, manifest, _ := strings.Cut(i.location, "/")
	prefix := strings.TrimSuffix(manifest, ".manifest.xml")
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if key == manifest || strings.HasPrefix(key, prefix+".part.") && key != prefix+".part.77" {
			keys = append(keys, key)
		}
	}
	return keys
}

// followBundle follows what is done to the bucket of bundles, and checks what runs and undos do.
func (s *simulation) followBundle(actor string, q emulator.Request) {
	b, key, version := s.world.bundles, q.Form.Get("Key"), q.Form.Get("versionId")
	violate := func(is bool, format string, arguments ...any) {
		if is {
			s.violate("bundles", "%s calls %s %s, %s", actor, q.Action, key, fmt.Sprintf(format, arguments...))
		}
	}
	r := s.runs[actor]
	switch {
	case q.Action != "DeleteObject":
		violate(true, "which no run and no undo does")
	case version != "":
		violate(r != nil, "and a run removes no version")
		violate(b.markers[version] == "", "and %s is no marker of a run", version)
	default:
		now := s.account.Versions(bundleBucket)[key]
		violate(r == nil, "and an undo hides nothing")
		violate(len(now) == 0 || !now[0].IsMarker || now[0].ID == "null", "which makes no marker: %v", now)
		if len(now) > 0 {
			b.markers[now[0].ID] = actor
			b.hidden++
			violate(len(now) < 2, "of which there is no version: %v", now)
		}
		if r != nil {
			s.checkHidden(r, key, violate)
			violate(q.Form.Get("IfMatch") == "", "whatever it is by now")
		}
	}
}

// checkHidden checks what is promised of an object that a run has just hidden.
func (s *simulation) checkHidden(r *run, key string, violate func(bool, string, ...any)) {
	b := s.world.bundles
	var owner *image
	isRemoved, last := false, time.Time{}
	for _, i := range s.world.images {
		if !slices.Contains(b.keysOf(i), key) || i.location == "" {
			continue
		}
		violate(i.there, "which %s needs", i.id)
		isRemoved = isRemoved || s.runs[i.goneBy] != nil || slices.ContainsFunc(s.order, func(other *run) bool { return s.wasTried(other, i) })
		owner = i
		at := b.undone[i.id]
		violate(at.After(i.goneAt) && r.started.After(at), "which was brought back %v", at)
		if i.goneAt.After(last) {
			last = i.goneAt
		}
	}
	// What is written before the last removal is planned belongs to the bundle.
	violate(!last.IsZero() && b.wrote[key].After(last), "which a person has written %v", b.wrote[key])
	violate(owner == nil, "which belongs to no image")
	violate(owner != nil && !isRemoved, "and no run has removed an image of it")
	violate(!r.policy.config.Policy.DeleteBundles || r.policy != s.policies[0], "which is not for its policy")
	violate(b.status != "Enabled", "although its bucket has no versions")
	violate(key == b.null && b.wrote[key].IsZero(), "which is older than the versions of its bucket")
	violate(r.night.dry, "in a dry run")
}

// The actions of persons on objects of bundles.
const (
	writesObject  action = "writes an object of a bundle"
	deletesObject action = "deletes an object of a bundle"
)

func (a action) isOnBundle() bool { return a == writesObject || a == deletesObject }

// actOnBundle lets a person do something to an object of a bundle.
func (s *simulation) actOnBundle(p person) {
	b := s.world.bundles
	if b == nil {
		return
	}
	keys := slices.Sorted(maps.Keys(b.objects))
	key := keys[p.target%uint64(len(keys))]
	method, text := http.MethodPut, fmt.Sprint("written by a person at ", time.Now())
	if p.does == deletesObject {
		method, text = http.MethodDelete, ""
	}
	s.trace("a person %s: %s", p.does, key)
	r, err := http.NewRequest(method, "https://"+bundleBucket+".s3."+home+".amazonaws.com/"+key, bytes.NewReader([]byte(text)))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/"+home+"/s3/aws4_request, SignedHeaders=host, Signature=0")
	if response, err := s.raw.Do(r); err != nil || response.StatusCode >= 300 {
		panic(fmt.Sprint(response, err))
	}
	if now := s.account.Versions(bundleBucket)[key]; len(now) > 0 {
		b.byPersons[key] = append(b.byPersons[key], now[0].ID)
		// Of a run that was killed nobody knows which answers it missed.
		b.inDoubt[now[0].ID] = p.does == deletesObject && slices.ContainsFunc(s.order, func(r *run) bool { return r.way.dead })
		b.wrote[key] = time.Now()
	}
}

// addBundles draws bundles, and what people do to them.
func (s *schedule) addBundles(d dice) {
	drawn, before := d.Uint64(), s.world
	s.world = func() *world {
		w := before()
		w.addBundles(newDice(drawn))
		return w
	}
	for i := range s.nights {
		n := &s.nights[i]
		if d.chance(35) {
			n.undo, n.undoAt = true, pick(d, time.Minute, time.Hour)
		}
		for range d.IntN(3) {
			p := person{does: pick(d, writesObject, deletesObject), target: d.Uint64()}
			if d.chance(50) {
				n.before = append(n.before, p)
			} else {
				p.at = *newKill(d)
				n.persons = append(n.persons, p)
			}
		}
	}
}

// beginBundles notes what there is at the beginning.
func (s *simulation) beginBundles() {
	b := s.world.bundles
	if b == nil {
		return
	}
	b.original = map[string]string{}
	for key, versions := range s.account.Versions(bundleBucket) {
		b.original[key] = versions[0].ID
	}
}

// noteUndoneBundles notes which bundles an undo has brought back.
func (s *simulation) noteUndoneBundles(r *run) {
	for _, i := range s.world.images {
		plan := s.account.Objects(bucketName)[prefixOf(r.policy.settings)+"runs/"+r.id+"/plan-"+i.region+".json"]
		isDeclared := bytes.Contains(plan, []byte(`"location": "`+i.location+`"`))
		if b := s.world.bundles; b != nil && i.location != "" && !i.there && s.wasTried(r, i) && isDeclared {
			b.undone[i.id] = time.Now()
		}
	}
}

// checkBundles checks what is there in the end, undoes everything, and checks that all is visible.
func (s *simulation) checkBundles() {
	b := s.world.bundles
	if b == nil {
		return
	}
	isForged := len(s.forged.images)+len(s.forged.runs)+len(s.forged.announced) > 0
	all := s.account.Versions(bundleBucket)
	has := func(key, id string) bool {
		return slices.ContainsFunc(all[key], func(v emulator.Version) bool { return v.ID == id })
	}
	for key, id := range b.original {
		if !has(key, id) && (b.status == "Enabled" || len(b.byPersons[key]) == 0) {
			s.violate("bundles", "%s is lost: %v", key, all[key])
		}
	}
	for _, i := range s.world.images {
		keys := b.keysOf(i)
		hidden := 0
		for _, key := range keys {
			if b.markers[all[key][0].ID] != "" {
				hidden++
			}
		}
		isTouched := slices.ContainsFunc(keys, func(key string) bool { return len(b.byPersons[key]) > 0 })
		if i.location != "" && hidden > 0 && hidden < len(keys) && !isTouched && !isForged && b.undone[i.id].IsZero() {
			s.violate("bundles", "%d of %d objects of %s are hidden", hidden, len(keys), i.location)
		}
	}
	if isForged {
		return
	}
	undoer := &janitor.Janitor{
		Config: s.policies[0].config, Clock: func() time.Time { return time.Now().Round(0) },
		AWS: aws.Config{Region: home, HTTPClient: s.raw, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")},
	}
	for _, r := range s.order {
		if r.policy == s.policies[0] {
			_, _ = undoer.Undo().Run(context.Background(), r.id) // One that never began is unknown.
		}
	}
	all = s.account.Versions(bundleBucket)
	for key, id := range b.original {
		if len(b.byPersons[key]) == 0 && (len(all[key]) != 1 || all[key][0].ID != id) {
			s.violate("bundles", "%s is not back after an undo of all runs: %v, was %s", key, all[key], id)
		}
		for _, id := range b.byPersons[key] {
			if !has(key, id) && id != "null" && !b.inDoubt[id] {
				s.violate("bundles", "%s of a person is gone: %s", key, id)
			}
		}
	}
}

// bundlesHidden is how many objects runs have hidden.
func (s *simulation) bundlesHidden() int {
	if s.world.bundles == nil {
		return 0
	}
	return s.world.bundles.hidden
}
