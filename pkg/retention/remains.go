package retention

import (
	"cmp"
	"slices"
	"strings"

	"ami-janitor/pkg/ami"
)

// mostOrphans is how many orphans of a region are looked at, the largest: EC2 has to be asked about each who else may use it. A
// digest lists five, and some of them turn out to be shared.
const mostOrphans = 50

// Unattached are those snapshots of a region without an image of which a plan may have to speak: leftovers, and what may be
// orphans.
type Unattached struct {
	IDs   []string // Evidence has to say what names these; sorted.
	ToAsk []string // Evidence has to say with whom these of them are shared, too; sorted.
}

// Unattached returns the snapshots without an image, by region.
func (a *Account) Unattached() map[string]Unattached {
	unattached := make(map[string]Unattached, len(a.regions))
	for _, d := range a.regions {
		var ids, toAsk []string
		remains := d.remains()
		for _, v := range remains.leftovers {
			if v.Delete {
				ids, toAsk = append(ids, v.SnapshotID), append(toAsk, v.SnapshotID)
			}
		}
		for _, o := range remains.orphans {
			ids = append(ids, o.SnapshotID)
			if !o.NotLookedAt {
				toAsk = append(toAsk, o.SnapshotID)
			}
		}
		slices.Sort(ids)
		slices.Sort(toAsk)
		unattached[d.Region] = Unattached{slices.Compact(ids), slices.Compact(toAsk)}
	}
	return unattached
}

// remains are what is left of images that are gone: what earlier runs were to delete, and what others have left.
type remains struct {
	leftovers []LeftoverVerdict
	orphans   []Orphan
}

// judgeRemains decides on what is left of images that are gone.
func (d *docket) judgeRemains(plan *Plan) {
	if d.policy.ReportOrphans && !d.Bin.Read {
		plan.OrphansGap = d.Bin.Err
	}
	remains := d.remains()
	if len(remains.leftovers)+len(remains.orphans) == 0 {
		return
	}
	for i := range remains.leftovers {
		v := &remains.leftovers[i]
		if !v.Delete {
			continue
		}
		if v.Why = d.namedBy(v.SnapshotID); v.Why == "" {
			v.Why = d.namesUnknown(v.SnapshotID)
			v.Undecided = v.Why != ""
			plan.RemainsGap = cmp.Or(plan.RemainsGap, v.Why)
		}
		if v.Why == "" {
			v.Why = sharingUnknown(d.sharingOf(v.SnapshotID))
			v.Undecided = v.Why != ""
			v.Why = cmp.Or(v.Why, d.shared(v.SnapshotID))
		}
		v.Delete = v.Why == ""
	}
	plan.Leftovers = remains.leftovers
	plan.Orphans = slices.DeleteFunc(remains.orphans, func(o Orphan) bool {
		isShared := len(d.evidence[d.Region].Snapshots[o.SnapshotID].SharedWith) > 0
		if isShared || d.namedBy(o.SnapshotID) != "" {
			return true
		}
		unknown := d.namesUnknown(o.SnapshotID)
		plan.RemainsGap = cmp.Or(plan.RemainsGap, unknown)
		return unknown != ""
	})
}

// namesUnknown says why it is not known what names a snapshot; empty if it is.
func (d *docket) namesUnknown(id string) string {
	switch finding := d.evidence[d.Region].Snapshots[id]; {
	case len(finding.Gaps) > 0:
		return gaps(finding.Gaps)
	case !finding.LookedUp:
		return "what names it has not been looked up"
	default:
		return ""
	}
}

// remains says what the facts alone decide: the leftovers that are to be deleted, and the orphans, if the evidence says
// nothing else.
func (d *docket) remains() remains {
	suspects := d.suspects()
	if len(suspects)+len(d.History.Leftovers) == 0 {
		return remains{}
	}
	here := make(map[string]bool, len(d.images))
	for i := range d.images {
		here[d.images[i].ID] = true
	}
	suspects = slices.DeleteFunc(suspects, func(s *ami.Snapshot) bool { return here[s.ImageID] })
	users := d.users(suspects)

	var found remains
	for _, leftover := range d.History.Leftovers {
		found.leftovers = append(found.leftovers, d.judgeLeftover(leftover, here[leftover.ImageID], users[leftover.SnapshotID]))
	}
	slices.SortFunc(found.leftovers, func(a, b LeftoverVerdict) int {
		return cmp.Or(strings.Compare(a.Run, b.Run), strings.Compare(a.SnapshotID, b.SnapshotID), strings.Compare(a.ImageID, b.ImageID))
	})
	found.leftovers = slices.Compact(found.leftovers)
	for _, s := range suspects {
		if users[s.ID] == "" {
			found.orphans = append(found.orphans, Orphan{s.ID, s.ImageID, s.SizeGiB, s.Archived, s.StartedAt, s.Unreadable != ""})
		}
	}
	slices.SortFunc(found.orphans, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(b.SizeGiB, a.SizeGiB), strings.Compare(a.SnapshotID, b.SnapshotID))
	})
	looked := 0
	for i := range found.orphans {
		o := &found.orphans[i]
		if o.NotLookedAt = o.NotLookedAt || looked == mostOrphans; !o.NotLookedAt {
			looked++
		}
	}
	return found
}

// users returns the images that map some snapshots, or leftovers, by the snapshot's id; of several the first by its own.
func (d *docket) users(snapshots []*ami.Snapshot) map[string]string {
	users := map[string]string{}
	for _, snapshot := range snapshots {
		users[snapshot.ID] = ""
	}
	for _, leftover := range d.History.Leftovers {
		users[leftover.SnapshotID] = ""
	}
	for i := range d.images {
		user := cmp.Or(d.images[i].ID, "an image without an id")
		for _, id := range d.images[i].SnapshotIDs {
			if known, ok := users[id]; ok && (known == "" || user < known) {
				users[id] = user
			}
		}
	}
	return users
}

// judgeLeftover decides on a snapshot that an earlier run was to delete, as far as the facts go: whether its image is there,
// and which one uses it, are given.
func (d *docket) judgeLeftover(leftover ami.Leftover, imageIsThere bool, user string) LeftoverVerdict {
	v := LeftoverVerdict{Leftover: leftover}
	snapshot, listed := d.snapshots[leftover.SnapshotID]
	if !listed {
		v.Why = Unlisted
		return v
	}
	v.SizeGiB, v.Archived = snapshot.SizeGiB, snapshot.Archived
	own := readOwnTags(snapshot.Tags)
	doubt := cmp.Or(snapshot.Unreadable, strings.Join(own.faults, "; "))
	switch {
	case doubt != "":
		v.Why = doubt
	case imageIsThere:
		v.Why = leftover.ImageID + " is there again"
	case user != "":
		v.Why = user + " uses it"
	case snapshot.Locked():
		v.Why = "locked (" + snapshot.Lock + ")"
	default:
		v.Why = d.keepsSnapshot(snapshot.ID)
	}
	if v.Why == "" {
		v.Why = d.isNotOf(leftover.Run, snapshot, own)
		v.Apart = own.isDeclaredBy(leftover.Run) && snapshot.ImageID == "" // Then that is what it says.
	}
	if v.Why == "" && d.policy.RequireRecycleBin && d.binGap == "" {
		doubt = tooFew(d.Bin, ofSnapshots, snapshot.Tags, d.policy.RecycleBinDays)
		v.Why = doubt
	}
	v.Delete, v.Undecided = v.Why == "", doubt != ""
	return v
}

// isNotOf says what speaks against a run having left a snapshot: its description, which EC2 writes, or its tags; empty if nothing does.
func (d *docket) isNotOf(run string, snapshot *ami.Snapshot, own *ownTags) string {
	switch {
	case snapshot.ImageID == "" || !slices.Contains(d.History.Planned[run], snapshot.ImageID):
		return "nothing in it says that it was made for an image that run " + run + " had planned to remove"
	case !own.isDeclaredBy(run):
		return "it does not carry the tags any more with which run " + run + " declared its removal"
	default:
		return ""
	}
}

// oldOrphan is the age from which a snapshot counts as an orphan: an image may be registered some time after its snapshots
// were begun.
const oldOrphan = 7 * Day

// suspects returns the snapshots that are orphans if their image is gone and none uses them.
func (d *docket) suspects() []*ami.Snapshot {
	if !d.policy.ReportOrphans || !d.Bin.Read {
		return nil
	}
	leftovers := map[string]bool{}
	for _, leftover := range d.History.Leftovers {
		leftovers[leftover.SnapshotID] = true
	}
	var suspects []*ami.Snapshot
	for id, snapshot := range d.snapshots {
		isOld := !snapshot.StartedAt.IsZero() && d.now.Sub(snapshot.StartedAt) > oldOrphan
		if _, inBin := d.Bin.Images[snapshot.ImageID]; snapshot.ImageID != "" && !inBin && isOld && !leftovers[id] && !d.isSpokenFor(snapshot) {
			suspects = append(suspects, snapshot)
		}
	}
	return suspects
}

// isSpokenFor reports whether somebody looks after a snapshot, as far as can be seen in it: a person, a service, or a run that
// may be at work on it.
func (d *docket) isSpokenFor(snapshot *ami.Snapshot) bool {
	doubt := strings.TrimPrefix(snapshot.Unreadable, ami.ImageNotAsked) // That says nothing of who looks after it.
	if snapshot.ID == "" || doubt != "" || snapshot.Locked() {
		return true
	}
	own := readOwnTags(snapshot.Tags)
	return d.policy.managerByTags(snapshot.Tags) != "" || d.policy.keptByTag(own, snapshot.Tags) != "" || d.isClaimed(snapshot.ID, own)
}
