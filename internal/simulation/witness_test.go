package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// The tags, as docs/tags.md has them.
const (
	intentTag      = "ami-janitor:intent"
	runTag         = "ami-janitor:run"
	dueTag         = "ami-janitor:due"
	announcedByTag = "ami-janitor:announced-by"
	disabledTag    = "ami-janitor:disabled"
	restoredTag    = "ami-janitor:restored"
	keepTag        = "ami-janitor:keep"
	staleAfterTag  = "ami-janitor:stale-after"
)

var ownTags = []string{intentTag, runTag, dueTag, announcedByTag, disabledTag, restoredTag}

// witness sees a request that the account has answered, and knows the account as it was just
// before.
func (s *simulation) witness(actor string, q emulator.Request, status int, body []byte) {
	r := s.runs[actor]
	if r != nil && q.Service == "ec2" {
		r.noteLook(q)
	}
	if r != nil && r.night.dry && isWrite(q) && q.Action != "GetCallerIdentity" && !strings.HasSuffix(q.Form.Get("Key"), "/record.json") {
		s.violate("a dry run changes nothing", "%s calls %s %s", actor, q.Action, subjectOf(q))
	}
	if status < 300 && q.Service == "s3" && isWrite(q) && q.Form.Get("Bucket") == bundleBucket {
		s.followBundle(actor, q)
	}
	if status >= 300 || q.Service != "ec2" || !isWrite(q) {
		return
	}
	now := time.Now()
	image, snapshot := s.world.image(q.Form.Get("ImageId")), s.world.snapshot(q.Form.Get("SnapshotId"))
	if image != nil && actor == "person" {
		image.touched = now
	}
	if snapshot != nil && actor == "person" {
		snapshot.touched = now
	}
	switch q.Action {
	case "DeregisterImage":
		s.removeImage(actor, image)
		for _, id := range deletedAlong(body) {
			s.removeSnapshot(actor, s.world.snapshot(id))
		}
	case "DeleteSnapshot":
		s.removeSnapshot(actor, snapshot)
	case "CreateTags", "DeleteTags":
		s.changeTags(actor, q)
	case "DisableImage":
		s.checkDisable(actor, image)
		// Whose announcement says so, of two at once.
		image.state, image.disabledBy = "disabled", cmp.Or(s.policyOf(image.tags[disabledTag]), s.policyOf(actor))
	case "EnableImage":
		s.checkEnable(actor, image)
		image.state, image.disabledBy = "available", ""
	case "EnableImageDeprecation":
		image.deprecatedBy = s.policyOf(actor)
	case "DisableImageDeprecation":
		s.checkEndOfDeprecation(actor, image)
		image.deprecatedBy = ""
	case "RestoreImageFromRecycleBin":
		image.there, image.inBin, image.restoredAt, image.restoredBy, image.plain = true, false, now, actor, image.tags[intentTag] == ""
		image.removedBy = image.goneBy
		s.effects = append(s.effects, effect{now, actor, "restore", image.id, image.region, false})
	case "RestoreSnapshotFromRecycleBin":
		snapshot.there, snapshot.inBin, snapshot.restoredAt = true, false, now
		s.effects = append(s.effects, effect{now, actor, "restore", snapshot.id, snapshot.region, false})
	}
}

var item = regexp.MustCompile(`(?s)<item>(.*?)</item>`)

// deletedAlong are the ids of the snapshots that were deleted with an image.
func deletedAlong(body []byte) []string {
	var ids []string
	for _, m := range item.FindAllSubmatch(body, -1) {
		text := string(m[1])
		if _, rest, ok := strings.Cut(text, "<snapshotId>"); ok && strings.Contains(text, "<returnCode>success<") {
			id, _, _ := strings.Cut(rest, "<")
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *simulation) removeImage(actor string, i *image) {
	now := time.Now()
	inBin := s.world.rules && i.tags[intentTag] == "remove" && !i.instanceStore && now.Sub(i.intentAt) >= s.world.ruleLag
	if r := s.runs[actor]; r != nil {
		r.removed[i.region]++
		// Nobody knows whether the bin takes in an image that has failed.
		if !inBin && i.kind != failed {
			r.lost[i.region]++
		}
		s.checkRemoval(r, i)
	}
	i.there, i.goneAt, i.goneBy, i.inBin, i.exit = false, now, actor, inBin, s.world.binExit(now)
	s.effects = append(s.effects, effect{now, actor, "deregister", i.id, i.region, inBin})
}

// binExit is when what enters the Recycle Bin leaves it: the account notes it in milliseconds.
func (w *world) binExit(now time.Time) time.Time {
	return now.Truncate(time.Millisecond).Add(time.Duration(w.binDays) * day)
}

func (s *simulation) removeSnapshot(actor string, sn *snapshot) {
	now := time.Now()
	if r := s.runs[actor]; r != nil {
		s.checkDeletion(r, sn)
	}
	inBin := s.world.rules && sn.tags[intentTag] == "remove" && now.Sub(sn.intentAt) >= s.world.ruleLag
	sn.there, sn.goneAt, sn.goneBy, sn.inBin, sn.exit = false, now, actor, inBin, s.world.binExit(now)
	s.effects = append(s.effects, effect{now, actor, "delete", sn.id, sn.region, inBin})
}

// changeTags follows CreateTags and DeleteTags.
func (s *simulation) changeTags(actor string, q emulator.Request) {
	now := time.Now()
	keys, values, hasValue := tagsOf(q.Form)
	if actor != "person" {
		s.checkTagging(actor, q.Action, keys)
	}
	for name, ids := range q.Form {
		if !strings.HasPrefix(name, "ResourceId.") {
			continue
		}
		for _, id := range ids {
			i, sn := s.world.image(id), s.world.snapshot(id)
			var tags map[string]string
			if i != nil {
				tags = i.tags
			} else {
				tags = sn.tags
			}
			before := maps.Clone(tags)
			for n, key := range keys {
				switch value, ok := tags[key]; {
				case q.Action == "CreateTags":
					tags[key] = values[n]
				case ok && (!hasValue[n] || value == values[n]):
					delete(tags, key)
				}
			}
			if i != nil {
				s.checkDeclaration(actor, id, before, tags)
				s.follow(actor, i, before)
			} else {
				s.checkDeclaration(actor, id, before, tags)
				sn.follow(actor, before, now)
				s.followOrphan(actor, sn, before)
			}
		}
	}
}

// follow follows a change of an image's tags. Only a run announces anything, whatever the tags say
// that others write.
func (s *simulation) follow(actor string, i *image, before map[string]string) {
	now, policy := time.Now(), s.policyOf(actor)
	// A run of another policy may note that the image is back.
	if actor == "person" || i.tags[restoredTag] != before[restoredTag] {
		i.touched = now
	}
	if i.tags[intentTag] != before[intentTag] {
		i.intentAt = now
	}
	_, isAnnounced := i.tags[dueTag]
	switch {
	case !isAnnounced:
		s.checkTakenBack(actor, i)
		if actor == "person" {
			i.objection = objection{now, i.announced, i.announcedBy}
		}
		i.announced, i.announcedBy = time.Time{}, ""
	case policy != "" && (i.tags[dueTag] != before[dueTag] || i.tags[announcedByTag] != before[announcedByTag]):
		// After the run's last look, another policy has announced and disabled the image: EC2
		// refuses to disable it once more, and the later announcement says who did.
		if i.state == "disabled" && i.disabledBy == i.announcedBy && i.disabledBy != "" && s.tooLate(i.markedAt, s.runs[actor], i.id) {
			i.disabledBy = s.policyOf(i.tags[disabledTag])
		}
		s.checkAnnouncement(s.runs[actor], i)
		i.objection = objection{}
		i.announcers = append(i.announcers, actor)
		i.slack = s.runs[actor].night.slack()
		// The grace period counts from run to run.
		i.markedAt, i.announced, i.announcedBy = now, s.runs[actor].started, policy
	}
	o := i.objection
	isSeen := slices.ContainsFunc(s.order, func(r *run) bool { return r.policy.name == o.announcedBy && r.started.After(o.at) })
	if isAnnounced && actor == "person" && before[dueTag] == "" && o.announcedBy != "" && !isSeen {
		i.announced, i.announcedBy = o.announced, o.announcedBy // Nobody can tell that it was off.
	}
	if actor == "person" && (before[intentTag] != "" && i.tags[intentTag] == "" || i.tags[restoredTag] < before[restoredTag]) {
		i.plain = true
	}
}

func (sn *snapshot) follow(actor string, before map[string]string, now time.Time) {
	if actor == "person" {
		sn.touched = now
		sn.untagged = sn.untagged || before[intentTag] != "" && sn.tags[intentTag] == ""
	}
	if sn.tags[intentTag] != before[intentTag] {
		sn.intentAt = now
	}
}

// tagsOf are the tags in a request.
func tagsOf(form url.Values) (keys, values []string, hasValue []bool) {
	for n := 1; form.Has(fmt.Sprintf("Tag.%d.Key", n)); n++ {
		keys = append(keys, form.Get(fmt.Sprintf("Tag.%d.Key", n)))
		values = append(values, form.Get(fmt.Sprintf("Tag.%d.Value", n)))
		hasValue = append(hasValue, form.Has(fmt.Sprintf("Tag.%d.Value", n)))
	}
	return keys, values, hasValue
}

// splice adds the instances that persons have launched to an answer. The emulated account has no
// RunInstances.
func (s *simulation) splice(q emulator.Request, body []byte) []byte {
	if q.Service != "ec2" || q.Form.Get("NextToken") != "" {
		return body
	}
	set := map[string]string{"DescribeInstances": "reservationSet", "DescribeImageReferences": "imageReferenceSet"}[q.Action]
	if set == "" {
		return body
	}
	var items strings.Builder
	for _, i := range s.world.images {
		if i.launchedBy == "" || i.region != q.Region || !asksFor(q, i.id) {
			continue
		}
		if q.Action == "DescribeInstances" {
			fmt.Fprintf(&items, "<item><reservationId>r-%s</reservationId><instancesSet><item><instanceId>%s</instanceId><imageId>%s</imageId>"+
				"<instanceState><code>16</code><name>running</name></instanceState><launchTime>%s</launchTime></item></instancesSet></item>",
				i.launchedBy, i.launchedBy, i.id, i.launchAt.UTC().Format("2006-01-02T15:04:05.000Z"))
		} else {
			fmt.Fprintf(&items, "<item><imageId>%s</imageId><resourceType>ec2:Instance</resourceType><arn>arn:aws:ec2:%s:%s:instance/%s</arn></item>",
				i.id, i.region, accountID, i.launchedBy)
		}
	}
	if items.Len() == 0 {
		return body
	}
	text := strings.Replace(string(body), "<"+set+"/>", "<"+set+"></"+set+">", 1)
	return []byte(strings.Replace(text, "<"+set+">", "<"+set+">"+items.String(), 1))
}

// asksFor reports whether a request asks for an image, or for all.
func asksFor(q emulator.Request, imageID string) bool {
	asked := false
	for name, values := range q.Form {
		if strings.HasPrefix(name, "ImageId.") || strings.HasPrefix(name, "Filter.") && strings.Contains(name, "Value") {
			asked = true
			if slices.Contains(values, imageID) {
				return true
			}
		}
	}
	return !asked
}

// act lets a person do something. The target is drawn from those that it can be done to; there may
// be none.
func (s *simulation) act(p person) {
	switch p.does {
	case forgesTags:
		s.forgeTags(newDice(p.target))
		return
	case forgesRecords:
		s.forgeRecords(newDice(p.target))
		return
	default:
		if p.does.isOnOrphan() {
			s.actOnOrphan(p)
			return
		}
		if p.does.isOnBundle() {
			s.actOnBundle(p)
			return
		}
	}
	var able []*image
	for _, i := range s.world.images {
		ok := i.there
		switch p.does {
		case restores:
			ok = !i.there && i.inBin && i.exit.After(time.Now())
		case restoresSnapshot:
			ok = slices.ContainsFunc(i.snapshots, s.binned)
		case untags:
			ok = i.there && slices.ContainsFunc(ownTags, func(key string) bool { _, has := i.tags[key]; return has })
		case untagsSnapshot:
			ok = slices.ContainsFunc(i.snapshots, func(id string) bool {
				sn := s.world.snapshot(id)
				return sn.there && sn.tags[intentTag] != ""
			})
		case objects:
			ok = i.there && i.tags[dueTag] != ""
		case deregisters:
			ok = i.there && i.name != "sentinel" && !i.managed && (i.protection == "" || i.protection == "disabled")
		default:
		}
		if ok {
			able = append(able, i)
		}
	}
	var declared []*image
	for _, i := range able {
		if i.tags[intentTag] != "" {
			declared = append(declared, i)
		}
	}
	if len(declared) > 0 && p.target%4 > 0 {
		able = declared
	}
	if len(able) == 0 {
		return
	}
	s.do(p.does, able[p.target/4%uint64(len(able))])
}

func (s *simulation) binned(id string) bool {
	sn := s.world.snapshot(id)
	return sn != nil && !sn.there && sn.inBin && sn.exit.After(time.Now())
}

func (s *simulation) do(what action, i *image) {
	s.trace("a person %s %s", what, i.id)
	switch what {
	case launches:
		i.launchedBy, i.launchAt, i.touched = "i-"+strings.TrimPrefix(i.id, "ami-"), time.Now(), time.Now()
	case keeps:
		s.call(i.region, "CreateTags", "ResourceId.1", i.id, "Tag.1.Key", keepTag, "Tag.1.Value", "yes")
	case keepsSnapshot:
		for _, id := range i.snapshots {
			if s.world.snapshot(id).there {
				s.call(i.region, "CreateTags", "ResourceId.1", id, "Tag.1.Key", keepTag, "Tag.1.Value", "yes")
			}
		}
	case restores:
		for _, id := range i.snapshots {
			if s.binned(id) {
				s.call(i.region, "RestoreSnapshotFromRecycleBin", "SnapshotId", id)
			}
		}
		s.call(i.region, "RestoreImageFromRecycleBin", "ImageId", i.id)
	case restoresSnapshot:
		for _, id := range i.snapshots {
			if s.binned(id) {
				s.call(i.region, "RestoreSnapshotFromRecycleBin", "SnapshotId", id)
				return
			}
		}
	case deregisters:
		s.call(i.region, "DeregisterImage", "ImageId", i.id)
	case untags:
		parameters := []string{"ResourceId.1", i.id}
		for n, key := range ownTags {
			parameters = append(parameters, fmt.Sprintf("Tag.%d.Key", n+1), key)
		}
		s.call(i.region, "DeleteTags", parameters...)
	case untagsSnapshot:
		for _, id := range i.snapshots {
			if sn := s.world.snapshot(id); sn.there && sn.tags[intentTag] != "" {
				s.call(i.region, "DeleteTags", "ResourceId.1", id, "Tag.1.Key", intentTag, "Tag.2.Key", runTag)
			}
		}
	case objects:
		s.call(i.region, "DeleteTags", "ResourceId.1", i.id, "Tag.1.Key", dueTag)
	case forgesTags, forgesRecords, keepsOrphan, objectsOrphan, untagsOrphan, restoresOrphan, forgesOrphan, writesObject, deletesObject:
		// Not by way of an image: see forge.
	}
}
