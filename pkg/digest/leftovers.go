package digest

import (
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// leftovers says what this run did about the unfinished work of earlier runs.
func (r run) leftovers() Section {
	s := Section{Title: "Finished from earlier runs"}
	if r.DryRun {
		s.Title = "To be finished from earlier runs"
	}
	for _, group := range []Group{r.leftoverSnapshots(), r.leftBundles(), r.undoOfLeftovers(), {Intro: says(r.clearedTags())}} {
		if len(group.Intro) > 0 {
			s.Groups = append(s.Groups, group)
		}
	}
	return s
}

func (r run) leftoverSnapshots() Group {
	var items []Item
	for _, same := range r.sameLeftovers() {
		items = append(items, same.item())
	}
	if len(items) == 0 {
		return Group{}
	}
	return Group{Intro: says("These runs were ended before they had deleted all snapshots of the AMIs that they removed:"), Items: items}
}

// undoOfLeftovers lists the commands that bring back deleted leftovers that are in the Recycle Bin.
// They carry the tags of the earlier run, and belong to its images.
func (r run) undoOfLeftovers() Group {
	var undo []string
	r.EachLeftover(func(_ record.Region, l record.Leftover) {
		if l.Status == ami.SnapshotDeleted && !l.RestorableUntil.IsZero() {
			undo = append(undo, r.Reader.Command("undo "+plain.Text(l.Run)))
		}
	})
	slices.Sort(undo)
	undo = slices.Compact(undo)
	if len(undo) == 0 {
		return Group{}
	}
	shown := min(mostListed, len(undo))
	group := Group{Intro: says("What was deleted comes back with the AMIs of its run, as far as the Recycle Bin holds them:"), More: len(undo) - shown}
	for _, text := range undo[:shown] {
		group.Intro = append(group.Intro, command(text))
	}
	return group
}

// clearedTags says what lost left-over tags of a removal, or would.
func (r run) clearedTags() string {
	ids := r.staleIDs()
	switch {
	case len(ids) == 0:
		return ""
	case r.DryRun:
		return "A real run will remove stale removal tags from: " + some(ids) + "."
	default:
		return "Left-over tags of removals were taken off: " + some(ids) + "."
	}
}

// sameLeftovers are snapshots of one earlier run. One sentence is true of all of them.
type sameLeftovers struct {
	run, phrase string
	ids         []string
	gib         int64
}

// sameLeftovers returns the snapshots that earlier runs have left, those of one run one after the
// other, and first those that were deleted.
func (r run) sameLeftovers() []sameLeftovers {
	var groups []sameLeftovers
	r.EachLeftover(func(_ record.Region, f record.Leftover) {
		phrase := r.whatBecameOf(f)
		i := slices.IndexFunc(groups, func(g sameLeftovers) bool { return g.run == f.Run && g.phrase == phrase })
		if i < 0 {
			i = len(groups)
			groups = append(groups, sameLeftovers{run: f.Run, phrase: phrase})
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

func (s sameLeftovers) item() Item {
	size := ""
	if s.gib > 0 {
		size = fmt.Sprintf(" (%s GiB)", thousands(s.gib))
	}
	return Item{
		Label: "From run " + plain.Text(s.run),
		Says:  fmt.Sprintf("%s%s %s: %s", count(len(s.ids), "snapshot"), size, s.phrase, some(s.ids)),
	}
}

// staleFault says that the tags of a resource could not be taken off; empty if they were, or would
// be.
func staleFault(g record.Region, id string) string {
	at := slices.IndexFunc(g.Stale, func(s record.StaleDeclaration) bool { return s.ID == id })
	if at < 0 || g.Stale[at].Status != record.StaleFailed && g.Stale[at].Status != record.StaleSkipped {
		return ""
	}
	return "; they could not be taken off by this run"
}

// staleIDs are the resources that lost the tags of a removal, or would. Images with copied tags
// have a section of their own.
func (r run) staleIDs() []string {
	var ids []string
	for _, region := range r.Regions {
		told := map[string]bool{}
		for _, image := range region.Images {
			told[image.ImageID] = image.Copied()
		}
		for _, declaration := range region.Stale {
			if (declaration.Status == record.StaleCleared || declaration.Status == "") && !told[declaration.ID] {
				ids = append(ids, plain.Text(declaration.ID))
			}
		}
	}
	return ids
}

// staleProblems complains about the tags that could not be taken off.
func (r run) staleProblems() []Problem {
	var complaints []complaint
	for _, region := range r.Regions {
		for _, declaration := range region.Stale {
			if declaration.Status == record.StaleFailed {
				complaints = append(complaints, complaint{r.inRegion(plain.Text(declaration.ID), region), declaration.ID, declaration.Detail})
			}
		}
	}
	remedy := adviceOr("The next run tries again. If it fails again, begin with the error.", toUnmark)
	return grouped(complaints, remedy, func(n int) string {
		return count(n, "resource") + " may still carry left-over tags of a removal: AWS did not confirm the change."
	})
}
