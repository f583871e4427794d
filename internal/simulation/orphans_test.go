package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// dueOrphan is what is true of a snapshot that the first policy may delete because its image is
// gone. Its runs before the first night have noted and announced that.
type dueOrphan struct {
	since     time.Time
	announced time.Time // Zero if it was not.
	proven    bool      // Its description names its volume.
	shared    bool
	inText    bool // A parameter names it.
	archived  bool
}

// announcement of an orphan is made so long before it is deleted, at least.
const orphanGrace = 14 * day

func (o *dueOrphan) due() time.Time { return o.announced.Add(orphanGrace) }

// addDueOrphans has the first policy remove orphans, and draws some.
func (w *world) addDueOrphans(d dice) {
	maps.Copy(w.settings, map[string]string{
		"ORPHANED_SNAPSHOTS": "remove", "MAX_ORPHANED_SNAPSHOTS": pick(d, "1", "2", "20"), "REQUIRE_RECYCLE_BIN": "true",
		"RECYCLE_BIN_DAYS": pick(d, "0", "7"), "USAGE_SOURCES": "all", "CLOUDFORMATION_TEMPLATES": "true", "RECORDS": "s3://" + bucketName + "/journal",
	})
	delete(w.settings, "DELETE_SNAPSHOTS")
	w.rules = d.chance(95)
	for n := range d.between(1, 4) {
		o := &dueOrphan{since: ago(float64(d.between(60, 200))), proven: d.chance(90)}
		if d.chance(90) {
			o.announced = ago(float64(d.between(12, 30))).Add(-20 * time.Hour)
		}
		sn := &snapshot{
			id: snapshotID(1100 + n), region: pick(d, w.regions...), tags: map[string]string{}, there: true, size: d.between(1, 50),
			orphanOf: imageID(1100 + n), due: o,
		}
		if !o.announced.IsZero() {
			sn.tags[dueTag], sn.tags[announcedByTag] = o.due().Format(time.DateOnly), runAt(o.announced)+" "+w.settings["POLICY_NAME"]
		}
		switch d.IntN(24) {
		case 0:
			sn.tags[keepTag] = "yes"
		case 1:
			sn.managed = true
			sn.tags["dlm:managed"] = "true"
		case 2:
			sn.locked = true
		case 3:
			sn.named = true
		case 4:
			o.shared = true
		case 5:
			o.inText = true
		case 6:
			o.since = ago(float64(d.between(5, 20)))
		case 7:
			sn.tags[restoredTag] = ago(float64(d.between(1, 20))).Format(time.DateOnly)
		case 8:
			for _, i := range w.images {
				if i.region == sn.region && i.name == "sentinel" {
					i.snapshots = append(i.snapshots, sn.id)
				}
			}
		case 9:
			delete(sn.tags, dueTag)
		case 10:
			o.archived = true
		}
		w.snapshots = append(w.snapshots, sn)
	}
}

// orphanNotes are the documents that the journal of the first policy has of orphans before the
// first night, by bucket key.
func (w *world) orphanNotes() map[string]object {
	notes := map[string]object{}
	for _, sn := range w.snapshots {
		if sn.due == nil {
			continue
		}
		policy := w.settings["POLICY_NAME"]
		key := prefixOf(w.settings) + "orphans/" + sn.region + "/" + policy + ".json"
		if notes[key] == nil {
			notes[key] = object{"region": sn.region, "policy": policy, "run": runAt(ago(1)), "snapshots": []object{}}
		}
		noted := object{"snapshotId": sn.id, "imageId": sn.orphanOf, "since": sn.due.since, "seenAt": ago(1)}
		if !sn.due.announced.IsZero() {
			noted["announcedBy"], noted["due"] = runAt(sn.due.announced), sn.due.due()
		}
		notes[key]["snapshots"] = append(notes[key]["snapshots"].([]object), noted)
	}
	return notes
}

// describe is what EC2 says of an orphan besides.
func (sn *snapshot) describe(o object) {
	if sn.due.archived {
		o["StorageTier"] = "archive"
	}
	volume := "vol-" + sn.id[len("snap-"):]
	if o["VolumeId"] = volume; sn.due.proven {
		o["Description"] = fmt.Sprint(o["Description"], " from ", volume)
	}
}

// followOrphan follows what runs announce, and take back. The grace period counts from run to run.
func (s *simulation) followOrphan(actor string, sn *snapshot, before map[string]string) {
	r := s.runs[actor]
	if sn.due == nil || r == nil || sn.tags[dueTag] == before[dueTag] {
		return
	}
	sn.due.announced = time.Time{}
	if sn.tags[dueTag] != "" {
		sn.due.announced = r.started
	}
}

// checkOrphan checks what is promised of an orphan that a run has just deleted, before that.
func (s *simulation) checkOrphan(r *run, sn *snapshot) {
	violate := func(is bool, format string, arguments ...any) {
		if is {
			s.violate("orphans", "%s deletes %s, %s", r.id, sn.id, fmt.Sprintf(format, arguments...))
		}
	}
	o, policy, now := sn.due, r.policy.config.Policy, time.Now().Add(r.night.slack())
	late := s.tooLate(sn.touched, r, sn.id)
	if r.orphans++; r.orphans > policy.MaxOrphans {
		s.violate("budget", "%s has deleted %d orphans, and the cap is %d", r.id, r.orphans, policy.MaxOrphans)
	}
	inBin := s.world.rules && sn.tags[intentTag] == "remove" && time.Since(sn.intentAt) >= s.world.ruleLag
	if !inBin {
		r.orphansLost[sn.region]++
	}
	violate(r.orphansLost[sn.region] > 1, "and the Recycle Bin holds none of %d of its region", r.orphansLost[sn.region])
	violate(!policy.RemoveOrphans || r.policy != s.policies[0], "which is not for its policy")
	violate(!o.proven, "of which only a description tells")
	violate(o.archived, "which somebody has archived")
	violate(o.shared || o.inText || sn.named, "which is shared or named: %+v", o)
	violate(now.Sub(o.since) < 30*day, "which it has seen since %v", o.since)
	violate(o.announced.IsZero() || now.Before(o.due()), "which was announced %v", o.announced)
	violate((sn.tags[dueTag] == "" || sn.tags[announcedByTag] == "") && !late, "whose announcement somebody has taken off: %v", sn.tags)
	violate(sn.tags[restoredTag] != "" && !late, "which says that it was restored")
	violate(!sn.restoredAt.IsZero(), "which was restored %v", sn.restoredAt)
}

// The actions of persons on orphans.
const (
	keepsOrphan    action = "tags an orphan to keep"
	objectsOrphan  action = "objects to the deletion of an orphan"
	untagsOrphan   action = "takes all tags off an orphan"
	restoresOrphan action = "restores an orphan"
	forgesOrphan   action = "announces an orphan by forged tags"
)

// addOrphans draws orphans, and what people do to them.
func (s *schedule) addOrphans(d dice) {
	orphans, before := d.Uint64(), s.world
	s.world = func() *world {
		w := before()
		w.addDueOrphans(newDice(orphans))
		return w
	}
	for i := range s.nights {
		n := &s.nights[i]
		for range d.IntN(4) {
			p := person{does: pick(d, keepsOrphan, objectsOrphan, untagsOrphan, restoresOrphan, restoresOrphan, forgesOrphan), target: d.Uint64()}
			if d.chance(50) {
				n.before = append(n.before, p)
			} else {
				p.at = *newKill(d)
				n.persons = append(n.persons, p)
			}
		}
	}
}

// isOnOrphan reports whether an action is on an orphan.
func (a action) isOnOrphan() bool {
	return slices.Contains([]action{keepsOrphan, objectsOrphan, untagsOrphan, restoresOrphan, forgesOrphan}, a)
}

// actOnOrphan lets a person do something to one of the orphans.
func (s *simulation) actOnOrphan(p person) {
	var able []*snapshot
	for _, sn := range s.world.snapshots {
		if sn.due != nil && (p.does == restoresOrphan && s.binned(sn.id) || p.does != restoresOrphan && sn.there) {
			able = append(able, sn)
		}
	}
	if len(able) == 0 {
		return
	}
	sn := able[p.target%uint64(len(able))]
	s.trace("a person %s %s", p.does, sn.id)
	switch p.does {
	case keepsOrphan:
		s.call(sn.region, "CreateTags", "ResourceId.1", sn.id, "Tag.1.Key", keepTag, "Tag.1.Value", "yes")
	case objectsOrphan:
		s.call(sn.region, "DeleteTags", "ResourceId.1", sn.id, "Tag.1.Key", dueTag)
	case untagsOrphan:
		s.call(sn.region, "DeleteTags", "ResourceId.1", sn.id, "Tag.1.Key", dueTag, "Tag.2.Key", announcedByTag)
	case restoresOrphan:
		s.call(sn.region, "RestoreSnapshotFromRecycleBin", "SnapshotId", sn.id)
	case forgesOrphan:
		s.call(sn.region, "CreateTags", "ResourceId.1", sn.id, "Tag.1.Key", dueTag, "Tag.1.Value", ago(1).Format(time.DateOnly),
			"Tag.2.Key", announcedByTag, "Tag.2.Value", runAt(ago(20))+" "+s.world.settings["POLICY_NAME"])
	default:
	}
}

// orphansDeleted is how many orphans runs have deleted.
func (s *simulation) orphansDeleted() int {
	n := 0
	for _, r := range s.order {
		n += r.orphans
	}
	return n
}
