package record

import (
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Orphan is a snapshot of an image that is gone, and what became of it if the policy removes some.
type Orphan struct {
	SnapshotID string `json:"snapshotId"`
	ImageID    string `json:"imageId"` // Empty if it was imported.
	SizeGiB    int64  `json:"sizeGiB"`
	Archived   bool   `json:"archived,omitempty"`
	StartedAt  string `json:"startedAt"` // RFC 3339, or empty.

	// NotLookedAt means that there were too many orphans to ask whether this one is shared, or
	// whether its image is really gone.
	NotLookedAt bool `json:"notLookedAt,omitempty"`

	// Imported means that VM Import made it, so that its description does not name the image.
	Imported bool `json:"imported,omitempty"`

	// Verdict is what is to become of it: keep, mark, deregister, which deletes it, or defer. It is
	// absent if the policy removes none.
	Verdict retention.Decision `json:"verdict,omitempty"`
	// Detail is why it stays or waits, or what else is known of what was done.
	Detail string `json:"detail,omitempty"`
	// SeenSince is when the janitor first saw it without its image. RFC 3339, or absent.
	SeenSince string `json:"seenSince,omitempty"`
	// DueOn is the day on which it is due if it is announced, as 2006-01-02.
	DueOn string `json:"dueOn,omitempty"`
	// Status is what was done: deleted, announced, kept or failed. It is absent if there was
	// nothing to do, and in a dry run.
	Status ami.OrphanStatus `json:"status,omitempty"`
	// RestorableUntil is when it leaves the Recycle Bin for good; zero if it was not seen there.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
}

// OrphanUnmark is an orphan whose announcement is taken back.
type OrphanUnmark struct {
	SnapshotID string `json:"snapshotId"`
	Why        string `json:"why"`
	// Objection means that somebody objected, which is noted on it.
	Objection bool `json:"objection,omitempty"`
	// Status is unmarked, kept or failed. It is absent in a dry run.
	Status ami.OrphanStatus `json:"status,omitempty"`
	Detail string           `json:"detail,omitempty"`
}

// OrphanTotals counts what becomes of orphans; it is absent if the policy removes none.
type OrphanTotals struct {
	Deleted     int `json:"deleted"`
	WouldDelete int `json:"wouldDelete"` // Of a dry run.
	Announced   int `json:"announced"`   // Of a dry run: would be announced.
	Due         int `json:"due"`         // Announced by an earlier run, and not due yet.
	Deferred    int `json:"deferred"`    // By the cap.
	Failed      int `json:"failed"`

	// GiBDeleted is the volume sizes of Deleted, or of WouldDelete in a dry run.
	// None of them is in the archive tier.
	GiBDeleted int64 `json:"gibDeleted"`
	// MonthlySavingsUpTo is in US dollars: the most that GiBDeleted can save.
	MonthlySavingsUpTo float64 `json:"monthlySavingsUpTo"`
}

func newOrphans(plan []retention.Orphan, results map[string]ami.OrphanResult) []Orphan {
	if len(plan) == 0 {
		return nil
	}
	orphans := make([]Orphan, len(plan))
	for i, o := range plan {
		orphans[i] = Orphan{
			SnapshotID: o.SnapshotID, ImageID: o.ImageID, SizeGiB: o.SizeGiB, Archived: o.Archived, StartedAt: timestamp(o.StartedAt),
			NotLookedAt: o.NotLookedAt, Imported: o.Imported, Verdict: o.Decision, Detail: o.Why, SeenSince: timestamp(o.Seen.Since),
		}
		if !o.Due.IsZero() {
			orphans[i].DueOn = o.Due.UTC().Format(time.DateOnly)
		}
		if result, ok := results[o.SnapshotID]; ok && orphans[i].isToChange() {
			orphans[i].Status, orphans[i].Detail, orphans[i].RestorableUntil = result.Status, result.Detail, wholeSecond(result.RestorableUntil)
		}
	}
	return orphans
}

func newOrphanUnmarks(plan []retention.Unmarking, results map[string]ami.OrphanResult) []OrphanUnmark {
	var unmarks []OrphanUnmark
	for _, u := range plan {
		unmark := OrphanUnmark{SnapshotID: u.SnapshotID, Why: u.Why, Objection: u.Veto}
		if result, ok := results[u.SnapshotID]; ok {
			if unmark.Status = result.Status; result.Status != ami.OrphanUnmarked {
				unmark.Detail = result.Detail
			}
		}
		unmarks = append(unmarks, unmark)
	}
	return unmarks
}

// isToChange reports whether the plan deletes or announces it.
func (o Orphan) isToChange() bool {
	return o.Verdict == retention.Deregister || o.Verdict == retention.Mark
}

// IsDeleted reports whether AWS confirmed its deletion.
func (o Orphan) IsDeleted() bool { return o.Status == ami.OrphanDeleted }

// settleOrphans gives a status to the orphans that a real run did not reach.
func (g Region) settleOrphans() {
	why := "left alone: " + g.WhyUnreached()
	for i := range g.Orphans {
		if o := &g.Orphans[i]; o.Status == "" && o.isToChange() {
			o.Status, o.Detail = ami.OrphanKept, why
		}
	}
	for i := range g.OrphanUnmarks {
		if u := &g.OrphanUnmarks[i]; u.Status == "" {
			u.Status, u.Detail = ami.OrphanKept, why
		}
	}
}

// changesOrphans reports whether something is to become of an orphan, or has.
func (g Region) changesOrphans() bool {
	for _, o := range g.Orphans {
		if o.isToChange() {
			return true
		}
	}
	return len(g.OrphanUnmarks) > 0
}

// addOrphans counts the orphans that are there after the run. What becomes of them is counted
// apart.
func (t *Totals) addOrphans(region Region) {
	for _, o := range region.Orphans {
		if o.Verdict != "" {
			t.addFate(region, o)
		}
		if o.IsDeleted() {
			continue
		}
		t.OrphanedSnapshots++
		if o.NotLookedAt {
			t.OrphansNotLookedAt++
		}
		t.GiBOrphaned += o.SizeGiB
		if o.Archived {
			t.GiBOrphanedArchived += o.SizeGiB
		}
	}
	for _, u := range region.OrphanUnmarks {
		if u.Status == ami.OrphanFailed {
			t.orphans().Failed++
		}
	}
}

func (t *Totals) orphans() *OrphanTotals {
	if t.Orphans == nil {
		t.Orphans = &OrphanTotals{}
	}
	return t.Orphans
}

func (t *Totals) addFate(region Region, o Orphan) {
	totals := t.orphans()
	isDry := o.Status == "" && !region.IsOnlyPlanned()
	switch {
	case o.Status == ami.OrphanFailed:
		totals.Failed++
	case o.IsDeleted(), isDry && o.Verdict == retention.Deregister:
		if o.IsDeleted() {
			totals.Deleted++
		} else {
			totals.WouldDelete++
		}
		totals.GiBDeleted += o.SizeGiB
	case o.Status == ami.OrphanAnnounced, isDry && o.Verdict == retention.Mark:
		totals.Announced++
	case o.Verdict == retention.Defer:
		totals.Deferred++
	case o.Verdict == retention.Keep && o.DueOn != "":
		totals.Due++
	}
}

func (o *OrphanTotals) plus(more *OrphanTotals) {
	o.Deleted += more.Deleted
	o.WouldDelete += more.WouldDelete
	o.Announced += more.Announced
	o.Due += more.Due
	o.Deferred += more.Deferred
	o.Failed += more.Failed
	o.GiBDeleted += more.GiBDeleted
	o.MonthlySavingsUpTo += more.MonthlySavingsUpTo
}

// OrphansFailed is of how many orphans AWS did not confirm a change.
func (t Totals) OrphansFailed() int {
	if t.Orphans == nil {
		return 0
	}
	return t.Orphans.Failed
}
