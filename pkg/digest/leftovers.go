package digest

import (
	"fmt"
	"slices"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/retention"
)

// undoOfLeftovers returns the commands that bring back what earlier runs had left, if it was deleted and seen in the Recycle
// Bin: it carries the tags of those runs, and belongs to their images.
func (r run) undoOfLeftovers() []string {
	var undo []string
	r.EachLeftover(func(_ record.Region, f record.Leftover) {
		if f.Status == ami.SnapshotDeleted && !f.RestorableUntil.IsZero() {
			undo = append(undo, r.Reader.Command("undo "+plain.Text(f.Run)))
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
func (r run) leftoverGroups() []leftovers {
	var groups []leftovers
	r.EachLeftover(func(_ record.Region, f record.Leftover) {
		phrase := r.whatBecameOf(f)
		i := slices.IndexFunc(groups, func(g leftovers) bool { return g.run == f.Run && g.phrase == phrase })
		if i < 0 {
			i = len(groups)
			groups = append(groups, leftovers{run: f.Run, phrase: phrase})
		}
		groups[i].ids = append(groups[i].ids, plain.Text(f.SnapshotID))
		groups[i].gib += f.SizeGiB
	})
	return groups
}

func (r run) whatBecameOf(f record.Leftover) string {
	switch {
	case f.Verdict == record.KeepSnapshot && f.Detail == retention.Unlisted:
		return f.Detail
	case f.Status == "" && f.Verdict == record.DeleteSnapshot:
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
func (r run) writeFinished(p *page) {
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
	return fmt.Sprintf("From run %s: %s%s %s: %s", plain.Text(g.run), count(len(g.ids), "snapshot"), size, g.phrase, some(g.ids))
}

// some lists as many items as a person reads, and says how many more there are.
func some(items []string) string {
	if more := len(items) - mostListed; more > 0 {
		items = append(slices.Clone(items[:mostListed]), thousands(int64(more))+" more")
	}
	return list(items)
}

// strayFault says of a resource whose tags were to be taken off that they were not; empty if they were, or are to be.
func strayFault(g record.Region, id string) string {
	at := slices.IndexFunc(g.Strays, func(s record.Stray) bool { return s.ID == id })
	if at < 0 || g.Strays[at].Status != record.StrayFailed && g.Strays[at].Status != record.StraySkipped {
		return ""
	}
	return "; they could not be taken off by this run"
}

// strayIDs are what lost the tags of a removal, or is to lose them, but the images with tags that were copied.
func (r run) strayIDs() []string {
	var ids []string
	for _, region := range r.Regions {
		told := map[string]bool{}
		for _, image := range region.Images {
			told[image.ImageID] = image.Copied()
		}
		for _, stray := range region.Strays {
			if (stray.Status == record.StrayCleared || stray.Status == "") && !told[stray.ID] {
				ids = append(ids, plain.Text(stray.ID))
			}
		}
	}
	return ids
}

// strayProblems complains about the tags that could not be taken off.
func (r run) strayProblems() []problem {
	var complaints []complaint
	for _, region := range r.Regions {
		for _, stray := range region.Strays {
			if stray.Status == record.StrayFailed {
				complaints = append(complaints, complaint{r.inRegion(plain.Text(stray.ID), region), stray.ID, stray.Detail})
			}
		}
	}
	remedy := adviceOr("The next run tries again. If it fails again, begin with the error.", toUnmark)
	return grouped(complaints, remedy, func(n int) string {
		return count(n, "resource") + " may still carry left-over tags of a removal: AWS did not confirm the change."
	})
}
