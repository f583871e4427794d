package retention

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// mostOrphans limits the orphans of a region to the largest: EC2 has to be asked for each who else
// may use it. A digest lists five, and some of them turn out to be shared.
const mostOrphans = 50

// Unattached are the snapshots of a region without an image that a plan may delete or report:
// leftovers, and possible orphans.
type Unattached struct {
	IDs   []string // These need evidence of what names them; sorted.
	ToAsk []string // Some of them need evidence of sharing, too; sorted.
}

// Unattached returns the snapshots without an image, by region.
func (a *Account) Unattached() map[string]Unattached {
	unattached := make(map[string]Unattached, len(a.regions))
	for _, r := range a.regions {
		var ids, toAsk []string
		leftovers, orphans := r.findUnattached()
		for _, v := range leftovers {
			if v.Delete {
				ids, toAsk = append(ids, v.SnapshotID), append(toAsk, v.SnapshotID)
			}
		}
		for _, o := range orphans {
			ids = append(ids, o.SnapshotID)
			if !o.NotLookedAt {
				toAsk = append(toAsk, o.SnapshotID)
			}
		}
		slices.Sort(ids)
		slices.Sort(toAsk)
		unattached[r.Region] = Unattached{slices.Compact(ids), slices.Compact(toAsk)}
	}
	return unattached
}

// judgeUnattached decides on the snapshots without an image.
func (r *regionFacts) judgeUnattached(plan *Plan) {
	if r.policy.ReportOrphans && !r.Bin.Read {
		plan.OrphansGap = r.Bin.Err
	}
	leftovers, orphans := r.findUnattached()
	if len(leftovers)+len(orphans) == 0 {
		return
	}
	for i := range leftovers {
		v := &leftovers[i]
		if !v.Delete {
			continue
		}
		if v.Why = r.namedBy(v.SnapshotID); v.Why == "" {
			v.Why = r.namesUnknown(v.SnapshotID)
			v.Undecided = v.Why != ""
			plan.RemainsGap = cmp.Or(plan.RemainsGap, v.Why)
		}
		if v.Why == "" {
			v.Why = sharingUnknown(r.sharingOf(v.SnapshotID))
			v.Undecided = v.Why != ""
			v.Why = cmp.Or(v.Why, r.sharedSnapshot(v.SnapshotID))
		}
		v.Delete = v.Why == ""
	}
	plan.Leftovers = leftovers
	plan.Orphans = slices.DeleteFunc(orphans, func(o Orphan) bool {
		isShared := len(r.evidence[r.Region].Snapshots[o.SnapshotID].SharedWith) > 0
		if isShared || r.namedBy(o.SnapshotID) != "" {
			return true
		}
		unknown := r.namesUnknown(o.SnapshotID)
		plan.RemainsGap = cmp.Or(plan.RemainsGap, unknown)
		if unknown != "" {
			plan.OrphansInDoubt = append(plan.OrphansInDoubt, o.SnapshotID)
		}
		return unknown != ""
	})
}

// namesUnknown says why it is not known what names a snapshot; empty if it is.
func (r *regionFacts) namesUnknown(id string) string {
	switch finding := r.evidence[r.Region].Snapshots[id]; {
	case len(finding.Gaps) > 0:
		return gaps(finding.Gaps)
	case !finding.LookedUp:
		return "what names it has not been looked up"
	default:
		return ""
	}
}

// findUnattached returns what the facts alone decide: the leftovers to delete, and the orphans,
// unless evidence contradicts.
func (r *regionFacts) findUnattached() (leftovers []LeftoverVerdict, orphans []Orphan) {
	suspects := r.suspects()
	if len(suspects)+len(r.History.Leftovers) == 0 {
		return nil, nil
	}
	here := make(map[string]bool, len(r.images))
	for i := range r.images {
		here[r.images[i].ID] = true
	}
	suspects = slices.DeleteFunc(suspects, func(s *ami.Snapshot) bool { return here[s.ImageID] })
	users := r.users(suspects)

	for _, leftover := range r.History.Leftovers {
		leftovers = append(leftovers, r.judgeLeftover(leftover, here[leftover.ImageID], users[leftover.SnapshotID]))
	}
	slices.SortFunc(leftovers, func(a, b LeftoverVerdict) int {
		return cmp.Or(strings.Compare(a.Run, b.Run), strings.Compare(a.SnapshotID, b.SnapshotID), strings.Compare(a.ImageID, b.ImageID))
	})
	leftovers = slices.Compact(leftovers)
	for _, s := range suspects {
		if users[s.ID] == "" {
			orphans = append(orphans, Orphan{
				SnapshotID: s.ID, ImageID: s.ImageID, SizeGiB: s.SizeGiB, Archived: s.Archived, StartedAt: s.StartedAt,
				NotLookedAt: s.Unreadable != "", Imported: s.ImageID == "",
			})
		}
	}
	slices.SortFunc(orphans, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(b.SizeGiB, a.SizeGiB), strings.Compare(a.SnapshotID, b.SnapshotID))
	})
	r.limitLooks(orphans)
	return leftovers, orphans
}

// limitLooks chooses which orphans to look at: those that may go first, in the order in which the
// cap takes them, and then the largest.
func (r *regionFacts) limitLooks(orphans []Orphan) {
	var going, others []*Orphan
	for i := range orphans {
		switch o := &orphans[i]; {
		case o.NotLookedAt:
		case r.mayGo(o):
			going = append(going, o)
		default:
			others = append(others, o)
		}
	}
	slices.SortFunc(going, func(a, b *Orphan) int {
		return byTimeThenID(r.seenOrphan(r.snapshots[a.SnapshotID]).Since, a.SnapshotID, r.seenOrphan(r.snapshots[b.SnapshotID]).Since, b.SnapshotID)
	})
	for n, o := range slices.Concat(going, others) {
		o.NotLookedAt = n >= mostOrphans
	}
}

// mayGo reports whether only evidence of use, and the cap, can still keep an orphan: these are
// looked at before larger ones that stay anyway.
func (r *regionFacts) mayGo(o *Orphan) bool {
	if !r.policy.RemoveOrphans {
		return false
	}
	s := r.snapshots[o.SnapshotID]
	return !r.now.Before(r.mayBeDue(s)) && r.orphanStays(s) == ""
}

// users returns the images that map some snapshots, or leftovers, by the snapshot's id; of several
// images the first by id.
func (r *regionFacts) users(snapshots []*ami.Snapshot) map[string]string {
	users := map[string]string{}
	for _, snapshot := range snapshots {
		users[snapshot.ID] = ""
	}
	for _, leftover := range r.History.Leftovers {
		users[leftover.SnapshotID] = ""
	}
	for i := range r.images {
		user := cmp.Or(r.images[i].ID, "an image without an id")
		for _, id := range r.images[i].SnapshotIDs {
			if known, ok := users[id]; ok && (known == "" || user < known) {
				users[id] = user
			}
		}
	}
	return users
}

// judgeLeftover decides on a leftover by its facts. Whether its image exists, and which image uses
// it, are given.
func (r *regionFacts) judgeLeftover(leftover ami.Leftover, imageIsThere bool, user string) LeftoverVerdict {
	v := LeftoverVerdict{Leftover: leftover}
	snapshot, listed := r.snapshots[leftover.SnapshotID]
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
		v.Why = r.keepsSnapshot(snapshot.ID)
	}
	if v.Why == "" {
		v.Why = r.isNotOf(leftover.Run, snapshot, own)
		// Then its tag names the run.
		v.Apart = own.isDeclaredBy(leftover.Run) && snapshot.ImageID == ""
	}
	if v.Why == "" && r.policy.RequireRecycleBin && r.binGap == "" {
		doubt = tooFew(r.Bin, ofSnapshots, snapshot.Tags, r.policy.RecycleBinDays)
		v.Why = doubt
	}
	v.Delete, v.Undecided = v.Why == "", doubt != ""
	return v
}

// isNotOf says why a run cannot have left a snapshot, according to EC2's description or its tags;
// empty if it can.
func (r *regionFacts) isNotOf(run string, snapshot *ami.Snapshot, own *ownTags) string {
	switch {
	case snapshot.ImageID == "" || !slices.Contains(r.History.Planned[run], snapshot.ImageID):
		return "nothing in it says that it was made for an image that run " + run + " had planned to remove"
	case !own.isDeclaredBy(run):
		return "it does not carry the tags any more with which run " + run + " declared its removal"
	default:
		return ""
	}
}

// oldOrphan is the minimum age of an orphan: an image may be registered some time after its
// snapshots were started.
const oldOrphan = 7 * Day

// suspects returns the snapshots that are orphans if their image is gone and none uses them.
func (r *regionFacts) suspects() []*ami.Snapshot {
	if !r.policy.ReportOrphans || !r.Bin.Read {
		return nil
	}
	leftovers := map[string]bool{}
	for _, leftover := range r.History.Leftovers {
		leftovers[leftover.SnapshotID] = true
	}
	var suspects []*ami.Snapshot
	for id, snapshot := range r.snapshots {
		isOld := !snapshot.StartedAt.IsZero() && r.now.Sub(snapshot.StartedAt) > oldOrphan
		_, inBin := r.Bin.Images[snapshot.ImageID]
		// Nothing says whether the image of an import is one of those in the bin.
		isMade := snapshot.ImageID != "" || snapshot.Imported && len(r.Bin.Images) == 0
		if isMade && !inBin && isOld && !leftovers[id] && !r.isManaged(snapshot) {
			suspects = append(suspects, snapshot)
		}
	}
	return suspects
}

// isManaged reports whether somebody is seen to need a snapshot: a person, a service, or a run that
// may be at work on it.
func (r *regionFacts) isManaged(snapshot *ami.Snapshot) bool {
	// That does not say who manages it.
	doubt := strings.TrimPrefix(snapshot.Unreadable, ami.ImageNotAsked)
	if snapshot.ID == "" || doubt != "" || snapshot.Locked() {
		return true
	}
	own := readOwnTags(snapshot.Tags)
	return r.policy.managerByTags(snapshot.Tags) != "" || r.policy.keptByTag(own, snapshot.Tags) != "" || r.isClaimed(snapshot.ID, own)
}
