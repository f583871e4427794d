package report

import (
	"math"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// Totals counts what a run decided and what AWS confirmed. Images is the sum of the seven counts that follow it. The
// snapshots are distinct: one that several images share counts once.
type Totals struct {
	Images          int `json:"images"`
	Kept            int `json:"kept"`
	Deregistered    int `json:"deregistered"`
	WouldDeregister int `json:"wouldDeregister"` // Of a dry run.
	Deferred        int `json:"deferred"`
	Marked          int `json:"marked"` // Of a dry run: would be marked.
	Failed          int `json:"failed"`
	Skipped         int `json:"skipped"`

	SnapshotsDeleted     int `json:"snapshotsDeleted"`
	SnapshotsWouldDelete int `json:"snapshotsWouldDelete"` // Of a dry run.
	SnapshotsKept        int `json:"snapshotsKept"`
	SnapshotsFailed      int `json:"snapshotsFailed"`

	GiBDeleted         int64   `json:"gibDeleted"`         // The volume sizes of the snapshots that AWS confirmed as deleted.
	GiBWouldDelete     int64   `json:"gibWouldDelete"`     // Of a dry run.
	MonthlySavingsUpTo float64 `json:"monthlySavingsUpTo"` // US dollars: the most that GiBDeleted can save.
}

// Finish completes the record: it counts, and gives every image that a real run did not reach the outcome "skipped".
// SnapshotPrice is in US dollars per GB-month.
func (r *Run) Finish(finishedAt time.Time, snapshotPrice float64) {
	r.StartedAt = r.StartedAt.UTC().Truncate(time.Second)
	r.FinishedAt = finishedAt.UTC().Truncate(time.Second)
	r.SnapshotPrice = snapshotPrice
	r.withoutNulls()
	r.Totals = Totals{}
	for _, region := range r.Regions {
		if !r.DryRun {
			region.skipUnreached()
		}
		r.Totals.addImages(region.Images)
		r.Totals.addSnapshots(region)
	}
	if !r.DryRun {
		r.Totals.SnapshotsWouldDelete, r.Totals.GiBWouldDelete = 0, 0
	}
	r.Totals.MonthlySavingsUpTo = dollars(r.Totals.GiBDeleted, snapshotPrice)
}

// withoutNulls makes every list and map a reader of the JSON meets an empty one instead of null.
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
		if image := &g.Images[i]; planned(*image) || toBeMarked(*image) {
			image.Outcome = &ami.Outcome{
				ImageID:   image.ImageID,
				Status:    ami.Skipped,
				Error:     "not reached before the run ended",
				Snapshots: []ami.SnapshotResult{},
			}
		}
	}
}

func (t *Totals) addImages(images []Image) {
	t.Images += len(images)
	for _, image := range images {
		*t.countOf(image)++
	}
}

// countOf returns the one count that an image belongs to. What AWS confirmed goes before what was decided, and a status
// that nobody knows is no confirmation.
func (t *Totals) countOf(image Image) *int {
	switch {
	case image.Outcome != nil:
		return t.countOfStatus(image.Outcome.Status)
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
	sizes := region.sizes()
	for id, status := range region.snapshotStatus() {
		switch status {
		case ami.SnapshotDeleted:
			t.SnapshotsDeleted++
			t.GiBDeleted += sizes[id]
		case ami.SnapshotKept:
			t.SnapshotsKept++
		default:
			t.SnapshotsFailed++
		}
	}
	planned := map[string]bool{}
	for _, image := range region.Images {
		for _, s := range image.Snapshots {
			if s.Verdict == DeleteSnapshot && !planned[s.SnapshotID] {
				planned[s.SnapshotID] = true
				t.SnapshotsWouldDelete++
				t.GiBWouldDelete += s.SizeGiB
			}
		}
	}
}

// snapshotStatus returns what became of every snapshot of the region, by id. Where several images share a snapshot,
// deleted goes before failed, and failed before kept.
func (g Region) snapshotStatus() map[string]ami.SnapshotStatus {
	merged := map[string]ami.SnapshotStatus{}
	for _, image := range g.Images {
		if image.Outcome == nil {
			continue
		}
		for _, s := range image.Outcome.Snapshots {
			if known, ok := merged[s.SnapshotID]; !ok || known == ami.SnapshotKept || s.Status == ami.SnapshotDeleted {
				merged[s.SnapshotID] = s.Status
			}
		}
	}
	return merged
}

// sizes returns the sizes in GiB of the snapshots that the plan of the region names, by id.
func (g Region) sizes() map[string]int64 {
	sizes := map[string]int64{}
	for _, image := range g.Images {
		for _, s := range image.Snapshots {
			sizes[s.SnapshotID] = s.SizeGiB
		}
	}
	return sizes
}

// dollars returns a monthly price, rounded to cents.
func dollars(gib int64, price float64) float64 {
	return math.Round(float64(gib)*price*100) / 100
}
