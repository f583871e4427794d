package record

import (
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Leftover is a snapshot that an earlier run was to delete but did not, and what this run did with
// it.
type Leftover struct {
	Run string `json:"run"` // The earlier run.
	// ImageID is the image that the snapshot was to go with, which is gone.
	ImageID    string             `json:"imageId"`
	SnapshotID string             `json:"snapshotId"`
	SizeGiB    int64              `json:"sizeGiB"`
	Archived   bool               `json:"archived,omitempty"`
	Verdict    SnapshotVerdict    `json:"verdict"`
	Status     ami.SnapshotStatus `json:"status,omitempty"` // Absent in a dry run.
	Detail     string             `json:"detail"`

	// Apart means that nothing in the snapshot says for which image it was made, so that only a
	// person can delete it.
	Apart bool `json:"apart,omitempty"`

	// RestorableUntil is when the snapshot leaves the Recycle Bin for good; zero if it was not seen
	// there.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
}

// StaleDeclaration is an image or a snapshot that carries stale tags of a removal.
type StaleDeclaration struct {
	ID string `json:"id"`
	// Run is the run that the tags name; empty if they name none.
	Run    string      `json:"run"`
	Status StaleStatus `json:"status,omitempty"` // Absent in a dry run.
	Detail string      `json:"detail"`
}

// StaleStatus says what became of the tags of a StaleDeclaration.
type StaleStatus string

const (
	// StaleCleared means that EC2 confirmed that the tags are off.
	StaleCleared StaleStatus = "cleared"
	// StaleFailed means that EC2 did not confirm it.
	StaleFailed StaleStatus = "failed"
	// StaleSkipped means that it was not tried.
	StaleSkipped StaleStatus = "skipped"
)

// newLeftovers records the leftovers of a plan with what became of them, which Finish completes.
func newLeftovers(plan []retention.LeftoverVerdict, results []ami.SnapshotResult) []Leftover {
	if len(plan) == 0 {
		return nil
	}
	byID := make(map[string]ami.SnapshotResult, len(results))
	for _, result := range results {
		byID[result.SnapshotID] = result
	}
	leftovers := make([]Leftover, len(plan))
	for i, p := range plan {
		l := Leftover{
			Run: p.Run, ImageID: p.ImageID, SnapshotID: p.SnapshotID,
			SizeGiB: p.SizeGiB, Archived: p.Archived, Verdict: KeepSnapshot, Detail: p.Why, Apart: p.Apart,
		}
		if p.Delete {
			result := byID[p.SnapshotID]
			l.Verdict, l.Status, l.Detail, l.RestorableUntil = DeleteSnapshot, result.Status, result.Detail, wholeSecond(result.RestorableUntil)
		}
		leftovers[i] = l
	}
	return leftovers
}

func newStale(plan []retention.StaleDeclaration, faults map[string]string) []StaleDeclaration {
	if len(plan) == 0 {
		return nil
	}
	stale := make([]StaleDeclaration, len(plan))
	for i, declaration := range plan {
		s := StaleDeclaration{ID: declaration.ID, Run: declaration.Run}
		switch fault, tried := faults[declaration.ID]; {
		case tried && fault == "":
			s.Status = StaleCleared
		case tried:
			s.Status, s.Detail = StaleFailed, fault
		}
		stale[i] = s
	}
	return stale
}

// settleRest gives a status to the leftovers and stale that a real run did not reach.
func (g Region) settleRest() {
	why := "left alone: " + g.WhyUnreached()
	for i := range g.Leftovers {
		if l := &g.Leftovers[i]; l.Status == "" {
			l.Status = ami.SnapshotKept
			if l.Verdict == DeleteSnapshot {
				l.Detail = why
			}
		}
	}
	for i := range g.Stale {
		if s := &g.Stale[i]; s.Status == "" {
			s.Status, s.Detail = StaleSkipped, why
		}
	}
}

// isToGo reports whether the verdict on the leftover is to delete it.
func (l Leftover) isToGo() bool { return l.Verdict == DeleteSnapshot }

// EachLeftover calls do for every leftover, in order.
func (r Run) EachLeftover(do func(Region, Leftover)) {
	for _, region := range r.Regions {
		for _, l := range region.Leftovers {
			do(region, l)
		}
	}
}

func (r Run) countStale(status StaleStatus) int {
	n := 0
	for _, region := range r.Regions {
		for _, declaration := range region.Stale {
			if declaration.Status == status {
				n++
			}
		}
	}
	return n
}
