package record

import (
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Leftover is a snapshot that an earlier run was to delete but did not, and what this run did with
// it.
type Leftover struct {
	Run        string             `json:"run"`     // The earlier run.
	ImageID    string             `json:"imageId"` // The image that the snapshot was to go with, which is gone.
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

// Stray is an image or a snapshot that carries stale tags of a removal.
type Stray struct {
	ID     string      `json:"id"`
	Run    string      `json:"run"`              // The run that the tags name; empty if they name none.
	Status StrayStatus `json:"status,omitempty"` // Absent in a dry run.
	Detail string      `json:"detail"`
}

// StrayStatus says what became of the tags of a Stray.
type StrayStatus string

const (
	// StrayCleared means that EC2 confirmed that the tags are off.
	StrayCleared StrayStatus = "cleared"
	// StrayFailed means that EC2 did not confirm it.
	StrayFailed StrayStatus = "failed"
	// StraySkipped means that it was not tried.
	StraySkipped StrayStatus = "skipped"
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

func newStrays(plan []retention.StaleDeclaration, faults map[string]string) []Stray {
	if len(plan) == 0 {
		return nil
	}
	strays := make([]Stray, len(plan))
	for i, stray := range plan {
		s := Stray{ID: stray.ID, Run: stray.Run}
		switch fault, tried := faults[stray.ID]; {
		case tried && fault == "":
			s.Status = StrayCleared
		case tried:
			s.Status, s.Detail = StrayFailed, fault
		}
		strays[i] = s
	}
	return strays
}

// settleRest gives a status to the leftovers and strays that a real run did not reach.
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
	for i := range g.Strays {
		if s := &g.Strays[i]; s.Status == "" {
			s.Status, s.Detail = StraySkipped, why
		}
	}
}

// isToGo reports whether the leftover is to be deleted.
func (l Leftover) isToGo() bool { return l.Verdict == DeleteSnapshot }

// EachLeftover calls do for every leftover, in order.
func (r Run) EachLeftover(do func(Region, Leftover)) {
	for _, region := range r.Regions {
		for _, l := range region.Leftovers {
			do(region, l)
		}
	}
}

func (r Run) countStrays(status StrayStatus) int {
	n := 0
	for _, region := range r.Regions {
		for _, stray := range region.Strays {
			if stray.Status == status {
				n++
			}
		}
	}
	return n
}
