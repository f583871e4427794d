package digest

import (
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// sum is what some images come to, with what to call it.
type sum struct {
	label string
	record.Amount
	note string
}

// sums say where all images stand: removed, due, announced, kept.
func (r run) sums() []sum {
	a := r.Totals.Amounts
	removed, due := r.removedAndDue()
	sums := []sum{removed}
	add := func(label string, amount record.Amount, note string) {
		if amount.Images+amount.Snapshots > 0 {
			sums = append(sums, sum{label, amount, note})
		}
	}
	if month := r.Since.Month; month != nil {
		add("Since "+shortDayOn(month.From), month.Amount, "")
	}
	waiting := r.Stored(isUnasked)
	if waiting.Images == 0 {
		add("Still due", due, r.nightsInShort())
	} else {
		add("Still due", due, "")
	}
	add("Announced", a.Announced, r.nextDue())
	add("Left to others", r.Savings(record.Stands(record.StandingLeft)), "")
	add("Not looked up", waiting, r.nightsInShort())
	add("Kept", r.Stored(stays), "")
	return sums
}

// removedAndDue are what the run has removed, or would remove, and what is due besides.
func (r run) removedAndDue() (sum, record.Amount) {
	a := r.Totals.Amounts
	if !r.DryRun {
		return sum{label: "Removed", Amount: a.Removed}, a.Due
	}
	return sum{label: "Would be removed", Amount: a.WouldRemove}, r.Savings(func(g record.Region, i record.Image) bool {
		return g.Standing(i) == record.StandingDue && (!i.Planned() || g.IsOnlyPlanned())
	})
}

func isUnasked(_ record.Region, i record.Image) bool { return i.Unasked() }

// stays reports whether something keeps an image.
func stays(g record.Region, i record.Image) bool {
	return g.Standing(i) == record.StandingKept && !i.Unasked()
}

func (r run) nightsInShort() string {
	if n := r.Totals.NightsNeeded; n > 0 {
		return "about " + count(n, "more run")
	}
	return ""
}

// nextDue says when the next of the announced images is due.
func (r run) nextDue() string {
	next := ""
	r.Each(func(i record.Image) bool { return i.IsNew() || i.Announced() }, func(_ record.Region, i record.Image) {
		if i.DueOn != "" && (next == "" || i.DueOn < next) {
			next = i.DueOn
		}
	})
	if next == "" {
		return ""
	}
	return "the next due on " + shortDayOn(next)
}

// atAGlance is the table of sums, what limits them, and how to take the removals back.
func (r run) atAGlance() Section {
	orphans := Group{Intro: says(r.orphansMoney())}
	if r.Totals.Images+r.Totals.SnapshotsDeleted+r.Totals.SnapshotsWouldDelete == 0 {
		if len(orphans.Intro) == 0 {
			return Section{}
		}
		return Section{Groups: []Group{orphans}}
	}
	groups := []Group{
		{Columns: inTable(r.sums())},
		{Intro: says(r.upperBounds())},
	}
	if len(orphans.Intro) > 0 {
		groups = append(groups, orphans)
	}
	return Section{Groups: append(groups, Group{Intro: r.undo()})}
}

func inTable(sums []sum) Columns {
	table := Columns{Align: "lrrrl"}
	for _, s := range sums {
		table.Rows = append(table.Rows, []string{s.label, inColumn(s.Images, "AMI"), thousands(s.GiB) + " GiB", money(s.MonthlyUpTo) + "/mo", s.note})
	}
	return table
}

// inColumn is count for a column: one thing leaves room for the "s" of several.
func inColumn(n int, one string) string {
	if n == 1 {
		return "1 " + one + " "
	}
	return count(n, one)
}

// upperBounds says in a line what limits the sums.
func (r run) upperBounds() string {
	from := r.Totals.SavingsFrom
	switch {
	case !slices.ContainsFunc(r.sums(), func(s sum) bool { return s.GiB > 0 }):
		return ""
	case !from.IsZero():
		return "At most: snapshots are incremental; the Recycle Bin is billed until " + shortDay(from) + "."
	case r.DryRun || r.Totals.SnapshotsDeleted == 0:
		return "At most: snapshots are incremental."
	default:
		return "At most: snapshots are incremental; what is in the Recycle Bin is billed."
	}
}

// mostLeftovers is how many earlier runs an undo is told of for which it left something.
const mostLeftovers = 2

// undo says how to take back what the run removed, and what cannot be taken back.
func (r run) undo() []Line {
	removed, restorable, lost := r.Totals.Deregistered, r.Totals.Restorable, r.lost()
	var lines []Line
	switch {
	case removed == 0:
	case restorable > 0:
		lines = append(says("This brings "+r.restorableOf()+" back, until "+shortDay(r.firstExit())+r.oneOfThem()+":"),
			command(r.Reader.Command("undo "+plain.Printable(r.Run.Run))))
	case removed == lost:
		lines = says("None can be restored: the Recycle Bin does not hold them.")
	default:
		lines = append(says("What the Recycle Bin holds can be restored:"),
			command("aws ec2 list-images-in-recycle-bin --region "+r.regionOrPlaceholder()))
	}
	lines = append(lines, r.undoOfBundles()...)
	leftovers := r.undoOfLeftovers()
	if more := len(leftovers.Intro) - 1 - mostLeftovers; more > 0 {
		leftovers.Intro = append(leftovers.Intro[:1+mostLeftovers], says("And "+count(more+leftovers.More, "more run")+"; the run record has all of them.")...)
	}
	return append(lines, leftovers.Intro...)
}

// oneOfThem says how to restore one of several images.
func (r run) oneOfThem() string {
	if r.Totals.Deregistered == 1 {
		return ""
	}
	return " (one: undo --image AMI_ID)"
}

func (r run) restorableOf() string {
	removed, restorable := r.Totals.Deregistered, r.Totals.Restorable
	switch removed {
	case 1:
		return "it"
	case restorable:
		return "all of them"
	default:
		return thousands(int64(restorable)) + " of the " + thousands(int64(removed))
	}
}

// firstExit is when the first of the restorable images leaves the Recycle Bin.
func (r run) firstExit() time.Time {
	var exits []time.Time
	r.Each(record.Image.IsRestorable, func(_ record.Region, i record.Image) { exits = append(exits, i.Outcome.RestorableUntil) })
	if len(exits) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(exits, time.Time.Compare)
}

// freed is what goes with each of the images of a region that go, by id. A shared snapshot goes
// with the last of its images.
func (r run) freed(region record.Region) map[string]record.Amount {
	last, snapshots := map[string]string{}, map[string]record.PlannedSnapshot{}
	for _, i := range region.Images {
		for _, s := range i.Snapshots {
			if goesWith(i, s) {
				last[s.SnapshotID], snapshots[s.SnapshotID] = i.ImageID, s
			}
		}
	}
	freed := map[string]record.Amount{}
	for id, s := range snapshots {
		a := freed[last[id]]
		a.Snapshots++
		a.GiB += s.SizeGiB
		if s.Archived {
			a.ArchivedGiB += s.SizeGiB
		}
		a.MonthlyUpTo = r.Monthly(a.GiB, a.ArchivedGiB)
		freed[last[id]] = a
	}
	return freed
}

// goesWith reports whether a snapshot was deleted with an image that was removed, or will be.
func goesWith(i record.Image, s record.PlannedSnapshot) bool {
	if i.Outcome == nil {
		return i.Planned() && s.Verdict == record.DeleteSnapshot
	}
	return i.Removed() && slices.ContainsFunc(i.Outcome.Snapshots, func(result ami.SnapshotResult) bool {
		return result.SnapshotID == s.SnapshotID && result.Status == ami.SnapshotDeleted
	})
}
