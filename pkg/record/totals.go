package record

import (
	"strconv"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Totals counts what a run decided and what AWS confirmed. Images is the sum of the seven counts
// that follow it. The snapshots are distinct: one that several images share counts once. What
// earlier runs have left behind counts among them.
type Totals struct {
	Images          int `json:"images"`
	Kept            int `json:"kept"`
	Deregistered    int `json:"deregistered"`
	WouldDeregister int `json:"wouldDeregister"` // Of a dry run.
	Deferred        int `json:"deferred"`
	// Refused counts those of Deferred that wait because EC2 has refused their removal.
	Refused int `json:"refused,omitempty"`
	Marked  int `json:"marked"` // Of a dry run: would be marked.
	Failed  int `json:"failed"`
	// Skipped counts, in a dry run, those that would be left alone, because the region can only be
	// planned.
	Skipped int `json:"skipped"`

	// Unproven counts those of Kept and Skipped that stay only because a proof that nothing
	// needs them, or a way back, is missing.
	Unproven int `json:"unproven"`

	SnapshotsDeleted     int `json:"snapshotsDeleted"`
	SnapshotsWouldDelete int `json:"snapshotsWouldDelete"` // Of a dry run.
	SnapshotsKept        int `json:"snapshotsKept"`
	SnapshotsFailed      int `json:"snapshotsFailed"`

	// LeftoversFinished counts those of SnapshotsDeleted that earlier runs have left behind.
	LeftoversFinished int `json:"leftoversFinished"`

	// GiBDeleted is the volume sizes of the snapshots that AWS confirmed as deleted.
	GiBDeleted     int64 `json:"gibDeleted"`
	GiBWouldDelete int64 `json:"gibWouldDelete"` // Of a dry run.
	// MonthlySavingsUpTo is in US dollars: the most that GiBDeleted can save.
	MonthlySavingsUpTo float64 `json:"monthlySavingsUpTo"`

	// SavingsFrom is when the last of the deleted snapshots that were seen in the Recycle Bin
	// leaves it: until then it is billed. Zero if none was seen there.
	SavingsFrom time.Time `json:"savingsFrom,omitzero"`

	// Restorable counts those of Deregistered that an undo brings back with all that they need, as
	// far as that is known.
	Restorable int `json:"restorable"`

	// Left counts the images that are left for later runs: deferred because of the cap, not removed
	// or not looked up for lack of time; not those in regions that were only planned. NightsNeeded
	// is how many runs they take at the speed of this one, or in a dry run at the cap; 0 if none is
	// left, or if that is not known.
	Left         int `json:"left"`
	NightsNeeded int `json:"nightsNeeded"`

	Amounts Amounts `json:"amounts"` // By where the images stand after the run.

	OrphanedSnapshots int `json:"orphanedSnapshots"`
	// OrphansNotLookedAt counts those of OrphanedSnapshots that may be shared with another account.
	OrphansNotLookedAt int   `json:"orphansNotLookedAt,omitempty"`
	GiBOrphaned        int64 `json:"gibOrphaned"`

	// GiBOrphanedArchived are those of GiBOrphaned that are in the archive tier.
	GiBOrphanedArchived int64 `json:"gibOrphanedArchived,omitempty"`

	// Orphans counts what becomes of orphans; those that are deleted are in no other sum.
	Orphans *OrphanTotals `json:"orphans,omitempty"`
}

// Finish completes the record: it counts, and gives every image that a real run did not reach the
// outcome "skipped". SnapshotPrice is in US dollars per GB-month.
func (r *Run) Finish(finishedAt time.Time, snapshotPrice float64) {
	r.StartedAt = r.StartedAt.UTC().Truncate(time.Second)
	r.FinishedAt = finishedAt.UTC().Truncate(time.Second)
	r.SchemaVersion, r.SnapshotPrice, r.ArchivePrice = SchemaVersion, snapshotPrice, snapshotPrice/archiveDiscount
	r.withoutNulls()
	r.Totals = Totals{}
	for _, region := range r.Regions {
		if !r.DryRun {
			region.skipUnreached()
			region.settleRest()
			region.settleOrphans()
		}
		r.Totals.addImages(region)
		r.Totals.Unproven += region.unproven()
		r.Totals.addSnapshots(region)
		r.Totals.addOrphans(region)
	}
	if !r.DryRun {
		r.Totals.SnapshotsWouldDelete, r.Totals.GiBWouldDelete = 0, 0
	}
	if o := r.Totals.Orphans; o != nil {
		o.MonthlySavingsUpTo = r.Monthly(o.GiBDeleted, 0)
	}
	r.Totals.Amounts = r.amounts()
	r.Totals.MonthlySavingsUpTo = r.Totals.Amounts.Removed.MonthlyUpTo
	r.Totals.Refused = r.Count(Image.RefusedBefore)
	acting := r.Acting()
	r.Totals.Left = acting.Count(Image.Waiting) + acting.Count(Image.NotReached) + acting.Count(Image.NotLookedUp)
	r.Totals.NightsNeeded = runsFor(r.Totals.Left, r.PerRun())
}

// withoutNulls replaces missing lists and maps by empty ones, so that the JSON has no null.
func (r *Run) withoutNulls() {
	if r.Policy == nil {
		r.Policy = map[string]string{}
	}
	if r.Regions == nil {
		r.Regions = []Region{}
	}
	r.Sources.LookedUp = append([]string{}, r.Sources.LookedUp...)
	r.Sources.SwitchedOff = append([]string{}, r.Sources.SwitchedOff...)
}

func (g Region) skipUnreached() {
	for i := range g.Images {
		image := &g.Images[i]
		if !image.Planned() && !image.ToBeMarked() {
			continue
		}
		image.Outcome = &ami.Outcome{
			ImageID: image.ImageID, Code: ami.OutcomeNotReached, Status: ami.Skipped, Error: g.WhyUnreached(), Snapshots: []ami.SnapshotResult{},
		}
		if g.IsOnlyPlanned() {
			image.Outcome.Code = ami.OutcomeHeld
		}
		image.dropUndone()
	}
}

// archiveDiscount is how many times cheaper the archive tier is: AWS's published prices are $0.05
// and $0.0125 per GB-month. Where the one is higher, so is the other.
const archiveDiscount = 4

// PerRun is how many images a run like this one gets done; 0 if that is not known. Removals and
// announcements have a cap each, so the larger number counts.
func (r Run) PerRun() int {
	if !r.DryRun {
		return max(r.Totals.Deregistered, r.Totals.Marked)
	}
	limit, _ := strconv.Atoi(r.Policy["maxDeregistrations"])
	return limit
}

// runsFor divides the images that are left by what one run gets done, and rounds up.
func runsFor(left, perRun int) int {
	if left <= 0 || perRun <= 0 {
		return 0
	}
	return (left-1)/perRun + 1
}

func (t *Totals) addImages(region Region) {
	t.Images += len(region.Images)
	for i := range region.Images {
		image := &region.Images[i]
		*t.countOf(region, image)++
		if image.IsRestorable() {
			t.Restorable++
		}
	}
}

// countOf returns the one count that an image belongs to. What AWS confirmed goes before what was
// decided, and a status that nobody knows is no confirmation.
func (t *Totals) countOf(region Region, image *Image) *int {
	switch {
	case image.Outcome != nil:
		return t.countOfStatus(image.Outcome.Status)
	case region.IsOnlyPlanned() && image.LeftAlone():
		return &t.Skipped
	case image.Verdict == retention.Deregister:
		return &t.WouldDeregister
	case image.Verdict == retention.Mark:
		return &t.Marked
	case image.Verdict == retention.Defer:
		return &t.Deferred
	default:
		return &t.Kept
	}
}

func (t *Totals) countOfStatus(status ami.Status) *int {
	switch status {
	case ami.Deregistered:
		return &t.Deregistered
	case ami.Marked:
		return &t.Marked
	case ami.Skipped:
		return &t.Skipped
	default:
		return &t.Failed
	}
}

func (t *Totals) addSnapshots(region Region) {
	for _, s := range region.snapshotResults() {
		switch s.status {
		case ami.SnapshotDeleted:
			t.SnapshotsDeleted++
			t.GiBDeleted += s.gib
			if s.leftover {
				t.LeftoversFinished++
			}
			if s.until.After(t.SavingsFrom) {
				t.SavingsFrom = s.until
			}
		case ami.SnapshotKept:
			t.SnapshotsKept++
		default:
			t.SnapshotsFailed++
		}
	}
	if !region.IsOnlyPlanned() {
		t.addPlanned(region)
	}
}

// addPlanned counts what a dry run would delete.
func (t *Totals) addPlanned(region Region) {
	planned := region.plannedDeletions()
	t.SnapshotsWouldDelete += len(planned)
	for _, s := range planned {
		t.GiBWouldDelete += s.gib
	}
}

// plannedDeletions returns the snapshots that the plan deletes, by id.
func (g Region) plannedDeletions() map[string]snapshotSize {
	sizes := map[string]snapshotSize{}
	for _, f := range g.Leftovers {
		if f.Verdict == DeleteSnapshot {
			sizes[f.SnapshotID] = snapshotSize{f.SizeGiB, f.Archived}
		}
	}
	for _, image := range g.Images {
		for _, s := range image.Snapshots {
			if s.Verdict == DeleteSnapshot {
				sizes[s.SnapshotID] = snapshotSize{s.SizeGiB, s.Archived}
			}
		}
	}
	return sizes
}

// snapshotSize is what one snapshot takes at most.
type snapshotSize struct {
	gib      int64
	archived bool
}

// snapshotResult is what became of one snapshot, taken over all images of a region.
type snapshotResult struct {
	status   ami.SnapshotStatus
	until    time.Time // When it leaves the Recycle Bin; zero if it was not seen there.
	leftover bool      // An earlier run has left it behind.
	snapshotSize
}

// snapshotResults returns what became of every snapshot of the region, by id. Where images share a
// snapshot, deleted wins over failed, and failed over kept.
func (g Region) snapshotResults() map[string]snapshotResult {
	results := map[string]snapshotResult{}
	for _, f := range g.Leftovers {
		if f.Status != "" {
			results[f.SnapshotID] = snapshotResult{f.Status, f.RestorableUntil, true, snapshotSize{f.SizeGiB, f.Archived}}
		}
	}
	for i := range g.Images {
		if outcome := g.Images[i].Outcome; outcome != nil {
			mergeResults(results, outcome.Snapshots)
		}
	}
	for i := range g.Images {
		for _, s := range g.Images[i].Snapshots {
			if known, ok := results[s.SnapshotID]; ok {
				known.snapshotSize = snapshotSize{s.SizeGiB, s.Archived}
				results[s.SnapshotID] = known
			}
		}
	}
	return results
}

func mergeResults(results map[string]snapshotResult, further []ami.SnapshotResult) {
	for _, s := range further {
		known, ok := results[s.SnapshotID]
		if !ok || known.status == ami.SnapshotKept || s.Status == ami.SnapshotDeleted {
			known.status = s.Status
		}
		if s.RestorableUntil.After(known.until) {
			known.until = s.RestorableUntil
		}
		results[s.SnapshotID] = known
	}
}

// add adds the totals of another run, but for how many runs it still takes: that follows from the
// sums.
func (t *Totals) add(of Totals) {
	for _, sum := range []struct {
		to *int
		n  int
	}{
		{&t.Images, of.Images},
		{&t.Kept, of.Kept},
		{&t.Deregistered, of.Deregistered},
		{&t.WouldDeregister, of.WouldDeregister},
		{&t.Deferred, of.Deferred},
		{&t.Refused, of.Refused},
		{&t.Marked, of.Marked},
		{&t.Failed, of.Failed},
		{&t.Skipped, of.Skipped},
		{&t.Unproven, of.Unproven},
		{&t.SnapshotsDeleted, of.SnapshotsDeleted},
		{&t.SnapshotsWouldDelete, of.SnapshotsWouldDelete},
		{&t.SnapshotsKept, of.SnapshotsKept},
		{&t.SnapshotsFailed, of.SnapshotsFailed},
		{&t.LeftoversFinished, of.LeftoversFinished},
		{&t.Restorable, of.Restorable},
		{&t.Left, of.Left},
		{&t.OrphanedSnapshots, of.OrphanedSnapshots},
		{&t.OrphansNotLookedAt, of.OrphansNotLookedAt},
	} {
		*sum.to += sum.n
	}
	t.GiBDeleted += of.GiBDeleted
	t.GiBWouldDelete += of.GiBWouldDelete
	t.GiBOrphaned += of.GiBOrphaned
	t.GiBOrphanedArchived += of.GiBOrphanedArchived
	if of.SavingsFrom.After(t.SavingsFrom) {
		t.SavingsFrom = of.SavingsFrom
	}
	if of.Orphans != nil {
		t.orphans().plus(of.Orphans)
	}
	t.Amounts.plus(of.Amounts)
	t.MonthlySavingsUpTo = t.Amounts.Removed.MonthlyUpTo
}
