package report

import (
	"fmt"
	"slices"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// Finished is a snapshot that an earlier run was to delete and had not when it ended, and what this run made of it.
type Finished struct {
	Run        string             `json:"run"`     // The earlier run.
	ImageID    string             `json:"imageId"` // The image that the snapshot was to go with, which is gone.
	SnapshotID string             `json:"snapshotId"`
	SizeGiB    int64              `json:"sizeGiB"`
	Archived   bool               `json:"archived,omitempty"`
	Verdict    SnapshotVerdict    `json:"verdict"`
	Status     ami.SnapshotStatus `json:"status,omitempty"` // Absent in a dry run.
	Detail     string             `json:"detail"`

	// Apart means that nothing in the snapshot says for which image it was made, so that only a person can delete it.
	Apart bool `json:"apart,omitempty"`

	// RestorableUntil is when the snapshot leaves the Recycle Bin for good; zero if it was not seen there.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
}

// Stray is an image or a snapshot that carries the tags of a removal that is none any more.
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

// newFinished records the leftovers of a plan with what became of them, which Finish completes.
func newFinished(plan []retention.LeftoverVerdict, results []ami.SnapshotResult) []Finished {
	if len(plan) == 0 {
		return nil
	}
	byID := make(map[string]ami.SnapshotResult, len(results))
	for _, result := range results {
		byID[result.SnapshotID] = result
	}
	finished := make([]Finished, len(plan))
	for i, leftover := range plan {
		f := Finished{
			Run: leftover.Run, ImageID: leftover.ImageID, SnapshotID: leftover.SnapshotID,
			SizeGiB: leftover.SizeGiB, Archived: leftover.Archived, Verdict: KeepSnapshot, Detail: leftover.Why, Apart: leftover.Apart,
		}
		if leftover.Delete {
			result := byID[leftover.SnapshotID]
			f.Verdict, f.Status, f.Detail, f.RestorableUntil = DeleteSnapshot, result.Status, result.Detail, wholeSecond(result.RestorableUntil)
		}
		finished[i] = f
	}
	return finished
}

func newStrays(plan []retention.Stray, faults map[string]string) []Stray {
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

// settleRest gives every leftover and every stray that a real run did not come to its status.
func (g Region) settleRest() {
	why := "left alone: " + g.whyUnreached()
	for i := range g.Finished {
		if f := &g.Finished[i]; f.Status == "" {
			f.Status = ami.SnapshotKept
			if f.Verdict == DeleteSnapshot {
				f.Detail = why
			}
		}
	}
	for i := range g.Strays {
		if s := &g.Strays[i]; s.Status == "" {
			s.Status, s.Detail = StraySkipped, why
		}
	}
}

// isToGo reports whether a leftover is to be deleted.
func isToGo(f Finished) bool { return f.Verdict == DeleteSnapshot }

// eachLeftover calls do for every leftover, in order.
func (r Run) eachLeftover(do func(Region, Finished)) {
	for _, region := range r.Regions {
		for _, f := range region.Finished {
			do(region, f)
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

// undoOfLeftovers returns the commands that bring back what earlier runs had left, if it was deleted and seen in the Recycle
// Bin: it carries the tags of those runs, and belongs to their images.
func (r Run) undoOfLeftovers() []string {
	var undo []string
	r.eachLeftover(func(_ Region, f Finished) {
		if f.Status == ami.SnapshotDeleted && !f.RestorableUntil.IsZero() {
			undo = append(undo, r.Reader.Command("undo "+neutral(f.Run)))
		}
	})
	slices.Sort(undo)
	return slices.Compact(undo)
}

// leftovers are snapshots of one earlier run of which the same is to be said.
type leftovers struct {
	run, phrase string
	ids         []string
	gib         int64
}

// leftoverGroups returns the snapshots that earlier runs have left, those of one run one after the other, and first those that
// were deleted.
func (r Run) leftoverGroups() []leftovers {
	var groups []leftovers
	r.eachLeftover(func(_ Region, f Finished) {
		phrase := r.whatBecameOf(f)
		i := slices.IndexFunc(groups, func(g leftovers) bool { return g.run == f.Run && g.phrase == phrase })
		if i < 0 {
			i = len(groups)
			groups = append(groups, leftovers{run: f.Run, phrase: phrase})
		}
		groups[i].ids = append(groups[i].ids, neutral(f.SnapshotID))
		groups[i].gib += f.SizeGiB
	})
	return groups
}

func (r Run) whatBecameOf(f Finished) string {
	switch {
	case f.Verdict == KeepSnapshot && f.Detail == retention.Unlisted:
		return f.Detail
	case f.Status == "" && f.Verdict == DeleteSnapshot:
		return "would be deleted"
	case f.Status == "":
		return because("would be kept", f.Detail)
	case f.Status == ami.SnapshotDeleted:
		return because("deleted", f.Detail)
	case f.Status == ami.SnapshotKept:
		return because("kept", f.Detail)
	default:
		return "not confirmed as deleted, see above"
	}
}

// writeFinished says what this run has done of what earlier ones have left undone.
func (r Run) writeFinished(p *page) {
	groups, cleared := r.leftoverGroups(), r.strayIDs()
	if len(groups)+len(cleared) == 0 {
		return
	}
	if r.DryRun {
		p.heading("To be finished from earlier runs")
	} else {
		p.heading("Finished from earlier runs")
	}
	if len(groups) > 0 {
		p.paragraph("These runs were ended before they had deleted all snapshots of the AMIs that they removed:")
	}
	for _, g := range groups {
		p.item(g.String())
	}
	if undo := r.undoOfLeftovers(); len(undo) > 0 {
		p.paragraph("What was deleted comes back with the AMIs of its run, as far as the Recycle Bin holds them:")
		for _, command := range undo[:min(mostListed, len(undo))] {
			p.command(command)
		}
		writeMore(p, len(undo)-mostListed)
	}
	if len(cleared) > 0 {
		what := "Left-over tags of removals were taken off: "
		if r.DryRun {
			what = "A run that is no dry run takes left-over tags of removals off: "
		}
		p.paragraph(what + some(cleared) + ".")
	}
}

func (g leftovers) String() string {
	size := ""
	if g.gib > 0 {
		size = fmt.Sprintf(" (%s GiB)", thousands(g.gib))
	}
	return fmt.Sprintf("From run %s: %s%s %s: %s", neutral(g.run), count(len(g.ids), "snapshot"), size, g.phrase, some(g.ids))
}

// some lists as many items as a person reads, and says how many more there are.
func some(items []string) string {
	if more := len(items) - mostListed; more > 0 {
		items = append(slices.Clone(items[:mostListed]), thousands(int64(more))+" more")
	}
	return list(items)
}

// strayFault says of a resource whose tags were to be taken off that they were not; empty if they were, or are to be.
func (g Region) strayFault(id string) string {
	at := slices.IndexFunc(g.Strays, func(s Stray) bool { return s.ID == id })
	if at < 0 || g.Strays[at].Status != StrayFailed && g.Strays[at].Status != StraySkipped {
		return ""
	}
	return "; they could not be taken off by this run"
}

// strayIDs are what lost the tags of a removal, or is to lose them, but the images with tags that were copied.
func (r Run) strayIDs() []string {
	var ids []string
	for _, region := range r.Regions {
		told := map[string]bool{}
		for _, image := range region.Images {
			told[image.ImageID] = copied(image)
		}
		for _, stray := range region.Strays {
			if (stray.Status == StrayCleared || stray.Status == "") && !told[stray.ID] {
				ids = append(ids, neutral(stray.ID))
			}
		}
	}
	return ids
}

// strayProblems complains about the tags that could not be taken off.
func (r Run) strayProblems() []problem {
	var complaints []complaint
	for _, region := range r.Regions {
		for _, stray := range region.Strays {
			if stray.Status == StrayFailed {
				complaints = append(complaints, complaint{r.inRegion(neutral(stray.ID), region), stray.ID, stray.Detail})
			}
		}
	}
	remedy := adviceOr("The next run tries again. If it fails again, begin with the error.", toUnmark)
	return grouped(complaints, remedy, func(n int) string {
		return count(n, "resource") + " may still carry left-over tags of a removal: AWS did not confirm the change."
	})
}
