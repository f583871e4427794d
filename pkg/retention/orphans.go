package retention

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

const (
	// OrphanFloor is the shortest time for which a snapshot must have been seen without its image
	// before its removal is announced.
	OrphanFloor = Days(30 * Day)

	// leastOrphanGrace is the shortest time between that and the removal, whatever the policy says.
	leastOrphanGrace = Days(14 * Day)

	// longestGap is how long ago the last run may have been that saw a snapshot without its image.
	// After a longer time nobody knows what was there meanwhile, and the time starts over.
	longestGap = 15 * Day
)

// orphanGrace is how long the removal of an orphan is announced.
func (p Policy) orphanGrace() Days { return max(p.Grace, leastOrphanGrace) }

// Unmarking is how to take back the announcement of a snapshot.
type Unmarking struct {
	SnapshotID string
	Keys       []string // The keys of the tags to take off, as they are written.
	Veto       bool     // Somebody objected, which is noted on the snapshot with the day.
	Why        string
}

// OrphanImages returns the images about whose removal the journal is asked: those that snapshots
// were made for and that are gone, and those in the Recycle Bin; sorted. It returns nil if the
// policy removes no orphans.
func (p Policy) OrphanImages(inventory ami.Inventory) []string {
	if !p.RemoveOrphans {
		return nil
	}
	asked := map[string]bool{}
	for i := range inventory.Snapshots {
		asked[inventory.Snapshots[i].ImageID] = true
	}
	for i := range inventory.Images {
		delete(asked, inventory.Images[i].ID)
	}
	for id := range inventory.Bin.Images {
		asked[id] = true
	}
	delete(asked, "")
	return slices.Sorted(maps.Keys(asked))
}

// orphanStays says why a snapshot whose image is gone stays, whatever time has passed, according to
// its facts and the journal; empty if these do not keep it.
func (r *regionFacts) orphanStays(s *ami.Snapshot) string {
	if why := r.orphanKept(s); why != "" {
		return why
	}
	return r.orphanInDoubt(s)
}

// orphanInDoubt is orphanStays for what may be known later. There are records.
func (r *regionFacts) orphanInDoubt(s *ami.Snapshot) string {
	return cmp.Or(s.Unreadable, strings.Join(readOwnTags(s.Tags).faults, "; "), r.orphanInBin(s, r.History.Orphans))
}

// orphanKept is orphanStays for what is known.
func (r *regionFacts) orphanKept(s *ami.Snapshot) string {
	switch past := r.History.Orphans; {
	case past == nil:
		return "there are no records that say since when its image has been gone"
	case !r.policy.RequireRecycleBin:
		return "the policy does not require the Recycle Bin"
	default:
		return cmp.Or(keepsItself(s), r.policy.keepsOrphan(s), r.othersSnapshot(s.ID), r.orphanInJournal(s, past))
	}
}

// keepsItself says what about an orphan keeps it, whatever the policy; empty if nothing does.
func keepsItself(s *ami.Snapshot) string {
	own := readOwnTags(s.Tags)
	switch {
	case s.ImageID == "":
		return "its description does not name its image"
	case own.disabled:
		return "it carries the tag " + ami.DisabledTag + ", which no snapshot gets"
	case own.hasRun || own.intent:
		return "it carries tags of a removal"
	case s.Locked():
		return "locked (" + s.Lock + ")"
	case s.Special != "":
		return s.Special
	case s.Archived:
		return "somebody has moved it to the archive tier"
	}
	if m, ok := firstMark(marks, s.Tags); ok { // Even if the images of that service are judged.
		return "managed by " + m.owner + ": " + m.remedy
	}
	return ""
}

// keepsOrphan says why a policy is not for an orphan; empty if it is.
func (p Policy) keepsOrphan(s *ami.Snapshot) string {
	switch {
	case !p.OnlyTags.all(s.Tags):
		return "its tags do not match " + p.OnlyTags.String()
	case len(p.Names.globs) > 0:
		return "the policy judges by names, and the name of its image is not known"
	}
	if entry, ok := p.KeepList.find(s.ID, s.Tags["Name"]); ok {
		return "on the keep list: " + entry
	}
	if entry, ok := p.KeepList.find(s.ImageID, s.ImageID); ok {
		return "its image is on the keep list: " + entry
	}
	if p.KeepList.hasNames {
		return "the keep list has names, and the name of its image is not known"
	}
	return ""
}

// orphanInJournal says what in the journal keeps a snapshot, or that there is no second sign.
func (r *regionFacts) orphanInJournal(s *ami.Snapshot, past *ami.Orphans) string {
	for _, leftover := range r.History.Leftovers {
		if leftover.ImageID == s.ImageID {
			return "run " + leftover.Run + " has left snapshots of its image that are not finished"
		}
	}
	if why := r.staysForGood(s); why != "" {
		return why
	}
	isNoted := slices.ContainsFunc(past.Removals[s.ImageID], func(removal ami.PastRemoval) bool {
		return removal.Confirmed && slices.Contains(removal.Kept, s.ID)
	})
	if !isNoted && !s.NamesVolume {
		return "only its description says that it was made for " + s.ImageID
	}
	return ""
}

// staysForGood says what a run did when it removed the image of a snapshot, or one that is in the
// Recycle Bin, that keeps the snapshot for good; empty if nothing does. Once this policy has noted
// it, the note of that run may expire.
func (r *regionFacts) staysForGood(s *ami.Snapshot) string {
	past := r.History.Orphans
	for _, image := range append([]string{s.ImageID}, slices.Sorted(maps.Keys(r.Bin.Images))...) {
		for _, removal := range past.Removals[image] {
			if slices.Contains(removal.Going, s.ID) {
				return "run " + removal.Run + " has deleted it with an image, or was to, and it is there again or still"
			}
			if why := removal.OnPurpose[s.ID]; why != "" {
				return "run " + removal.Run + " has left it on purpose when it removed an image: " + why
			}
		}
	}
	return past.Seen[s.ID].Stays
}

// orphanInBin says which image in the Recycle Bin keeps a snapshot, or why the bin would not take
// it in. The bin does not say what an image maps; the journal does if a run removed it.
func (r *regionFacts) orphanInBin(s *ami.Snapshot, past *ami.Orphans) string {
	for _, id := range slices.Sorted(maps.Keys(r.Bin.Images)) {
		known := false
		for _, removal := range past.Removals[id] {
			if slices.Contains(removal.Kept, s.ID) || slices.Contains(removal.Going, s.ID) {
				return id + " in the Recycle Bin maps it"
			}
			known = removal.Confirmed
		}
		if !known {
			return id + " in the Recycle Bin may map it: no record of a run says what that image maps"
		}
	}
	if _, isThere := r.Bin.Snapshots[s.ID]; isThere {
		return "the Recycle Bin lists it, too"
	}
	if r.binGap != "" {
		return "" // The region is on hold.
	}
	return tooFew(r.Bin, ofSnapshots, s.Tags, r.policy.RecycleBinDays)
}

// seenOrphan returns what this policy has noted about a snapshot, or that it sees it now first.
// Tags of a removal say that it may have been deleted and restored: it counts as seen now.
func (r *regionFacts) seenOrphan(s *ami.Snapshot) ami.SeenOrphan {
	if own := readOwnTags(s.Tags); r.History.Orphans != nil && !own.hasRun && !own.intent {
		seen, ok := r.History.Orphans.Seen[s.ID]
		if ok && seen.ImageID == s.ImageID && !seen.SeenAt.After(r.now) && r.now.Sub(seen.SeenAt) <= longestGap {
			return seen
		}
	}
	return ami.SeenOrphan{ImageID: s.ImageID, Since: r.now, SeenAt: r.now}
}

// mayBeDue says from when on the removal of a snapshot may be announced. A limit on the snapshot
// itself counts if it is longer than the policy's.
func (r *regionFacts) mayBeDue(s *ami.Snapshot) time.Time {
	from, own, limit := r.seenOrphan(s).Since, readOwnTags(s.Tags), max(r.policy.OrphanedAfter, OrphanFloor)
	if own.restored.After(from) {
		from = own.restored
	}
	if own.staleAfter != nil {
		limit = max(limit, *own.staleAfter)
	}
	return from.Add(time.Duration(limit))
}

// decideOrphan decides on a snapshot that neither facts nor evidence keep, by the time that has
// passed and by its announcement. It returns why the announcement is taken back, if it is, and
// whether that is because somebody objected.
func (r *regionFacts) decideOrphan(o *Orphan) (back string, veto bool) {
	s := r.snapshots[o.SnapshotID]
	own, seen := readOwnTags(s.Tags), r.seenOrphan(s)
	isOurs := own.hasDue && own.hasBy && seen.Run != "" && string(own.by.run) == seen.Run && own.by.policy == r.policy.Name
	switch ready := r.mayBeDue(s); {
	case seen.Run != "" && own.hasDue != own.hasBy:
		o.Why = "somebody has taken off a tag of its announcement"
		return o.Why, true
	case own.isMarked() && !isOurs:
		o.Why = "its tags say that its removal was announced, and no record of this policy says that"
		if own.hasBy && own.by.policy == r.policy.Name {
			return o.Why, false
		}
		return "", false
	case r.now.Before(ready):
		o.Why = "seen without its image since " + date(seen.Since) + "; its removal may be announced from " + date(ready) + " on"
		if isOurs {
			return o.Why, false
		}
		return "", false
	case !isOurs:
		o.Decision, o.Due = Mark, r.now.Add(time.Duration(r.policy.orphanGrace())).UTC()
		return "", false
	}
	return r.awaitOrphan(o, seen, own.due), false
}

// awaitOrphan decides on a snapshot that this policy has announced, by the day. It returns why that
// is taken back, if it is.
func (r *regionFacts) awaitOrphan(o *Orphan, seen ami.SeenOrphan, day time.Time) (back string) {
	due, least := seen.Due, ami.RunID(seen.Run).Began().Add(time.Duration(leastOrphanGrace))
	for _, later := range []time.Time{day, least} {
		if later.After(due) {
			due = later
		}
	}
	switch o.Due = due.UTC(); {
	case r.now.Sub(due) >= oldAnnouncement:
		o.Due, o.Why = time.Time{}, "its removal was announced for "+date(due)+", which is long ago"
		return o.Why
	case r.now.Before(due):
		o.Why = "its removal is announced for " + date(due)
	default:
		o.Decision = Deregister
	}
	return ""
}

// lacksRegion reports whether a region of the run could not be read: it has evidence, and no facts.
func (r *regionFacts) lacksRegion(regions []*regionFacts) bool {
	for name := range r.evidence {
		if !slices.ContainsFunc(regions, func(other *regionFacts) bool { return other.Region == name }) {
			return true
		}
	}
	return false
}

// judgeOrphans decides on the orphans of all regions, within the cap.
func (a *Account) judgeOrphans(regions []*regionFacts, plans []Plan) {
	if !a.policy.RemoveOrphans {
		return
	}
	for i, r := range regions {
		r.judgeOrphans(&plans[i], regions)
	}
	for _, isHeld := range []bool{false, true} {
		var some []*Plan
		for i, r := range regions {
			if (r.whyHeld() != "") == isHeld {
				some = append(some, &plans[i])
			}
		}
		a.policy.deferOrphans(some, Deregister)
		a.policy.deferOrphans(some, Mark)
	}
	for i, r := range regions {
		r.noteOrphans(&plans[i])
	}
}

func (r *regionFacts) judgeOrphans(plan *Plan, regions []*regionFacts) {
	missing, decided := r.lacksRegion(regions), map[string]bool{}
	unmark := func(id, why string, veto bool) {
		if keys := carried(r.snapshots[id].Tags, ami.DueTag, ami.AnnouncedByTag); why != "" && len(keys) > 0 {
			plan.Unmarkings = append(plan.Unmarkings, Unmarking{id, keys, veto, why})
		}
	}
	for i := range plan.Orphans {
		o := &plan.Orphans[i]
		decided[o.SnapshotID], o.Decision = true, Keep
		if r.History.Orphans != nil {
			o.Seen = r.seenOrphan(r.snapshots[o.SnapshotID])
			o.Seen.SeenAt, o.Seen.Stays = r.now, r.staysForGood(r.snapshots[o.SnapshotID])
		}
		back, veto := r.judgeOrphan(o, regions, missing)
		unmark(o.SnapshotID, back, veto)
	}
	for _, id := range slices.Sorted(maps.Keys(r.snapshots)) {
		if s := r.snapshots[id]; !decided[id] && r.Bin.Read && r.isOurOrphan(s) {
			why, veto := r.noOrphan(s)
			unmark(id, why, veto)
		}
	}
}

// judgeOrphan decides on an orphan. It returns why its announcement is taken back, if it is, and
// whether somebody objected. A doubt takes nothing back.
func (r *regionFacts) judgeOrphan(o *Orphan, regions []*regionFacts, missing bool) (back string, veto bool) {
	s := r.snapshots[o.SnapshotID]
	isOurs := r.isOurOrphan(s)
	if o.Why = r.orphanKept(s); o.Why != "" {
		if isOurs {
			back = o.Why
		}
		return back, false
	}
	if o.Why = r.orphanInDoubt(s); o.Why != "" {
		return "", false
	}
	switch named, doubt := r.namedElsewhere(s.ID, regions); {
	case named != "":
		if o.Why = named; isOurs {
			back = named
		}
		return back, true
	case missing:
		o.Why = "a region could not be read, and a text there may name it"
	case doubt != "":
		o.Why = doubt
	case o.NotLookedAt:
		o.Why = "not looked at: there are many"
	default:
		return r.decideOrphan(o)
	}
	return "", false
}

// isOurOrphan reports whether a snapshot carries an announcement, and the journal says that it is
// this policy's.
func (r *regionFacts) isOurOrphan(s *ami.Snapshot) bool {
	if r.History.Orphans == nil {
		return false
	}
	own, seen := readOwnTags(s.Tags), r.History.Orphans.Seen[s.ID]
	return own.isMarked() && seen.Run != "" && string(own.by.run) == seen.Run
}

// noOrphan says what keeps a snapshot whose removal was announced, and whether that is an
// objection; empty if it is in doubt.
func (r *regionFacts) noOrphan(s *ami.Snapshot) (why string, veto bool) {
	own, evidence := readOwnTags(s.Tags), r.evidence[r.Region].Snapshots[s.ID]
	for i := range r.images {
		if r.images[i].ID == s.ImageID {
			return s.ImageID + " is there again", true
		}
		if slices.Contains(r.images[i].SnapshotIDs, s.ID) {
			return r.images[i].ID + " uses it", true
		}
	}
	switch kept := r.policy.keptByTag(own, s.Tags); {
	case kept != "":
		return kept, own.keep != ""
	case r.policy.managerByTags(s.Tags) != "":
		return r.policy.managerByTags(s.Tags), false
	case s.Locked():
		return "locked (" + s.Lock + ")", true
	case len(evidence.SharedWith) > 0:
		return "shared with " + summary(ami.Names(evidence.SharedWith)), true
	default:
		return r.namedBy(s.ID), true
	}
}

// namedElsewhere says what names a snapshot in any region, or that it is shared, or why that is not
// known. Any source of any region that has not answered is a doubt.
func (r *regionFacts) namedElsewhere(id string, regions []*regionFacts) (named, doubt string) {
	for _, other := range regions {
		finding := r.evidence[other.Region].Snapshots[id]
		if other == r {
			named, doubt = cmp.Or(named, r.sharedSnapshot(id)), cmp.Or(doubt, sharingUnknown(r.sharingOf(id)))
		}
		for _, reference := range finding.References {
			named = cmp.Or(named, "named by "+cmp.Or(reference.ARN, "something"))
		}
		if !finding.LookedUp {
			doubt = cmp.Or(doubt, "what names it in "+other.Region+" has not been looked up")
		}
		for _, gap := range finding.Gaps {
			if other != r {
				gap.Source += " in " + other.Region
			}
			doubt = cmp.Or(doubt, gaps([]ami.Gap{gap}))
		}
	}
	return named, doubt
}

// deferOrphans defers the orphans over the cap for one decision: those that were seen first, go
// first.
func (p Policy) deferOrphans(plans []*Plan, decision Decision) {
	type removal struct {
		*Orphan
		region string
	}
	var due []removal
	for _, plan := range plans {
		for i := range plan.Orphans {
			if plan.Orphans[i].Decision == decision {
				due = append(due, removal{&plan.Orphans[i], plan.Region})
			}
		}
	}
	slices.SortFunc(due, func(a, b removal) int {
		return cmp.Or(byTimeThenID(a.Seen.Since, a.SnapshotID, b.Seen.Since, b.SnapshotID), strings.Compare(a.region, b.region))
	})
	limit := min(max(p.MaxOrphans, 0), len(due))
	for _, o := range due[limit:] {
		o.Decision, o.Why = Defer, fmt.Sprintf("at most %d a run, the first seen first", limit)
		if decision == Mark {
			o.Due = time.Time{}
		}
	}
}

// noteOrphans fills in what the journal is to say of the region while the run is at work. What the
// run deletes is not in it: should that be there again, it counts as seen for the first time. An
// announcement that is taken back is not in it either, and that of a Mark has no run yet. If the
// Recycle Bin was not read, nobody has looked for orphans, and the journal stays as it is.
func (r *regionFacts) noteOrphans(plan *Plan) {
	if r.History.Orphans == nil || !r.Bin.Read {
		return
	}
	back := map[string]Unmarking{}
	for _, u := range plan.Unmarkings {
		back[u.SnapshotID] = u
	}
	plan.OrphansSeen = map[string]ami.SeenOrphan{}
	for i := range plan.Orphans {
		o := &plan.Orphans[i]
		if u, isBack := back[o.SnapshotID]; isBack || o.Decision == Mark {
			o.Seen.Run, o.Seen.Due = "", time.Time{}
			if u.Veto {
				o.Seen.Since = r.now
			}
		}
		_, isNoted := r.History.Orphans.Seen[o.SnapshotID]
		isNamed := strings.HasPrefix(o.Why, namedByWords) || strings.HasPrefix(o.Why, sharedWords)
		// Others never go: noting them would make the document large.
		if o.Seen.Stays != "" || o.Decision != Deregister && !isNamed && (isNoted || r.orphanStays(r.snapshots[o.SnapshotID]) == "") {
			plan.OrphansSeen[o.SnapshotID] = o.Seen
		}
	}
	r.noteAgain(plan)
}

// noteAgain notes again what was noted, and would be missing: those in doubt, and those that stay
// for good.
func (r *regionFacts) noteAgain(plan *Plan) {
	for _, id := range plan.OrphansInDoubt {
		if _, isNoted := r.History.Orphans.Seen[id]; isNoted {
			seen := r.seenOrphan(r.snapshots[id])
			seen.SeenAt = r.now
			plan.OrphansSeen[id] = seen
		}
	}
	for id, seen := range r.History.Orphans.Seen {
		if seen.Stays != "" && r.snapshots[id] != nil {
			noted := cmp.Or(plan.OrphansSeen[id], seen)
			noted.Stays = seen.Stays
			plan.OrphansSeen[id] = noted
		}
	}
}

// What keeps a snapshot as used begins with these words: its time starts over.
const (
	namedByWords = "named by "
	sharedWords  = "shared with "
)
