package digest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Row is one row of the table in which the command line shows a run.
type Row struct {
	Region string
	ID     string
	Name   string
	State  string // What was decided, or what became of it.
	Tone   Tone
	Why    string
}

// Tone says how much a state matters to a person.
type Tone int

// The tones of states.
const (
	Quiet   Tone = iota // Nothing happens.
	Pending             // Something would happen, or waits for a person.
	Done
	Bad
)

// Table shows the verdict on every image, the stalest last, where the eye is after printing. The
// images of a region come after what there is to say about the region and about snapshots without
// an image.
func Table(r record.Run) []Row {
	var rows []Row
	for _, region := range r.Regions {
		rows = append(rows, aboutRegion(region)...)
		for _, l := range region.Leftovers {
			rows = append(rows, leftoverRow(region, l))
		}
		for _, image := range slices.Backward(region.Images) {
			rows = append(rows, imageRow(region, image))
		}
	}
	return rows
}

func aboutRegion(region record.Region) []Row {
	var rows []Row
	add := func(is bool, state string, tone Tone, why string) {
		if is {
			rows = append(rows, Row{Region: region.Region, State: state, Tone: tone, Why: plain.Printable(why)})
		}
	}
	add(region.Error != "", "failed", Bad, region.Error)
	add(region.Hold != "", "only planned", Pending, region.Hold)
	add(len(region.Orphans) > 0, "orphaned", Quiet, fmt.Sprintf("%d snapshots whose image is gone; they are never deleted", len(region.Orphans)))
	add(region.OrphansGap != "", "orphaned", Quiet, "not looked for: "+region.OrphansGap)
	return rows
}

func leftoverRow(region record.Region, l record.Leftover) Row {
	row := Row{
		Region: region.Region, ID: plain.Printable(l.SnapshotID), State: string(l.Status), Tone: Bad,
		Why: plain.Printable("left by run " + l.Run),
	}
	switch l.Status {
	case "":
		row.State, row.Tone = string(l.Verdict), Pending
	case ami.SnapshotDeleted:
		row.Tone = Done
	case ami.SnapshotKept:
		row.Tone = Quiet
	default:
	}
	if l.Detail != "" {
		row.Why += plain.Printable("; " + l.Detail)
	}
	return row
}

func imageRow(region record.Region, image record.Image) Row {
	row := Row{
		Region: region.Region, ID: image.ImageID, Name: plain.Printable(image.Name),
		State: string(image.Verdict), Tone: Pending, Why: whyInTable(image),
	}
	switch {
	case image.Removed() || image.Marked():
		row.State, row.Tone = string(image.Outcome.Status), Done
	case image.Outcome != nil:
		row.State, row.Tone = string(image.Outcome.Status), Bad
	case image.Kept():
		row.Tone = Quiet
	}
	return row
}

// whyInTable is the error, or all reasons with their codes.
func whyInTable(image record.Image) string {
	if image.Outcome != nil && image.Outcome.Error != "" {
		return plain.Printable(image.Outcome.Error)
	}
	var details []string
	if image.Outcome != nil && !image.Outcome.RestorableUntil.IsZero() {
		details = append(details, "restorable until "+image.Outcome.RestorableUntil.Format(time.RFC3339))
	}
	if image.Outcome != nil && image.Outcome.NotRestorable != "" {
		details = append(details, "cannot be restored: "+plain.Printable(image.Outcome.NotRestorable))
	}
	for _, reason := range image.Reasons {
		details = append(details, plain.Printable(string(reason.Code)+": "+reason.Detail))
	}
	return strings.Join(details, "; ")
}

// BelowTheTable says what a copy lacks, how to get images back, and where the full record is, each
// on a line.
func BelowTheTable(r record.Run) string {
	lines := strings.Join(append(CopyLines(r.Copy), ""), "\n")
	if r.Totals.Restorable > 0 {
		lines += "To bring back the images that are restorable: " + r.Reader.Command("undo "+plain.Printable(r.Run)) + "\n"
	}
	if r.Record != "" {
		lines += "The full record: " + plain.Printable(r.Record) + "\n"
	}
	return lines
}

// Question says what a plan is going to do. The snapshots of the images that it removes go without
// saying.
func Question(plan record.Run) string {
	words := fmt.Sprintf("Deregister %d images", plan.Totals.WouldDeregister)
	add := func(n int, what string) {
		if n > 0 {
			words += ", and " + fmt.Sprintf(what, n)
		}
	}
	announced, restored, copied := tagged(plan)
	add(plan.Totals.Marked, "announce the removal of %d")
	add(announced, "take back the announced removal of %d")
	add(restored, "note on %d that they are there")
	add(copied, "take copied tags off %d")
	add(leftoversToDelete(plan), "delete %d snapshots that earlier runs have left")
	return words
}

// tagged counts the kept images whose tags a plan changes: it takes back an announced removal,
// notes that an image was restored, or takes copied tags off. Regions that are left to another run
// do not count.
func tagged(plan record.Run) (announced, restored, copied int) {
	for _, region := range plan.Regions {
		for _, image := range region.Images {
			switch {
			case region.Busy:
			case image.IsNoted():
				restored++
			case image.CopiedTags != "":
				copied++
			case image.Unmark != retention.LeaveMark:
				announced++
			}
		}
	}
	return announced, restored, copied
}

// leftoversToDelete counts the snapshots of earlier runs that a plan deletes, without regions that
// are only planned.
func leftoversToDelete(plan record.Run) int {
	n := 0
	plan.EachLeftover(func(region record.Region, l record.Leftover) {
		if l.Verdict == record.DeleteSnapshot && region.Hold == "" {
			n++
		}
	})
	return n
}
