package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// going is the table of what went, what is due and what is announced.
type going struct {
	Rows     []goingRow
	More     int
	HasOwner bool
}

// goingRow is one image. The raw numbers are for sorting.
type goingRow struct {
	State, Class, ID, Name, Owner, Family, Region string
	GiB, Dollars, LastUse, Idle                   string
	RawGiB                                        int64
	RawDollars                                    float64
	RawIdle                                       int
	Why                                           string
	Evidence                                      []line
	Console                                       string // Empty if the image is gone.
	Undo                                          string
}

// order is the order of states in the table.
var order = []string{"failed", "removed", "would be removed", "announced", "due, waits", "left alone"}

var classes = map[string]string{
	"removed": "removed", "would be removed": "removed", "announced": "announced", "due, waits": "due", "failed": "bad", "left alone": "quiet", "kept": "kept",
}

func newGoing(run record.Run) going {
	var table going
	for _, g := range run.Regions {
		each := run.SavingsEach(g)
		for _, i := range g.Images {
			table.HasOwner = table.HasOwner || i.Owner != ""
			if g.Standing(i) == record.StandingKept {
				continue
			}
			size := amount{each[i.ImageID], isSized(run)}
			table.Rows = append(table.Rows, newRow(run, g, i, size))
		}
	}
	slices.SortStableFunc(table.Rows, func(a, b goingRow) int {
		return cmp.Or(slices.Index(order, a.State)-slices.Index(order, b.State), cmp.Compare(b.RawGiB, a.RawGiB))
	})
	if more := len(table.Rows) - mostGoing; more > 0 {
		table.More, table.Rows = more, table.Rows[:mostGoing]
	}
	return table
}

func newRow(run record.Run, g record.Region, i record.Image, size amount) goingRow {
	on, idle, isKnown := lastUse(run, i)
	row := goingRow{
		State: state(g, i), ID: text(i.ImageID), Name: name(i.Name), Owner: name(i.Owner), Family: name(i.Family), Region: text(g.Region),
		GiB: size.gib(), Dollars: size.dollars(), RawGiB: size.GiB, RawDollars: size.MonthlyUpTo,
		LastUse: on, Idle: notRecorded, RawIdle: idle, Why: text(i.MainReason().Detail), Evidence: evidence(g.Region, i),
	}
	row.Class = classes[row.State]
	if !i.Removed() {
		row.Console = digest.ResourceLink(g.Region, i.ImageID)
	}
	if isKnown {
		row.Idle = number(idle)
	}
	if i.IsRestorable() {
		row.Undo = run.Reader.Command("undo --image " + row.ID)
	}
	return row
}

// grouping is the table of all images by something.
type grouping struct {
	Title  string
	Groups []group
}

type group struct {
	Name, Images, GiB, Dollars, Goes, Frees string
	Bar                                     bar
}

func groupings(run record.Run) []grouping {
	groupings := []grouping{
		newGrouping(run, "owner", func(_ record.Region, i record.Image) string { return i.Owner }),
		newGrouping(run, "family", func(_ record.Region, i record.Image) string { return i.Family }),
		newGrouping(run, "region", func(g record.Region, _ record.Image) string { return g.Region }),
	}
	return slices.DeleteFunc(groupings, func(g grouping) bool {
		return len(g.Groups) < 2 && (len(g.Groups) == 0 || g.Title == "region" || g.Groups[0].Name == notKnown)
	})
}

// newGrouping is a table of the groups that take most, and of all others together.
func newGrouping(run record.Run, title string, of func(record.Region, record.Image) string) grouping {
	sizes := map[string]float64{}
	// An image without a size counts, too.
	run.Each(all, func(g record.Region, i record.Image) { sizes[of(g, i)] += float64(i.SizeGiB) + 0.001 })
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), strings.Compare(a, b))
	})
	top := names[:min(mostGroups, len(names))]
	var sums []groupSum
	for _, n := range top {
		sums = append(sums, newGroupSum(run, cmp.Or(name(n), notKnown), func(g record.Region, i record.Image) bool { return of(g, i) == n }))
	}
	if others := len(names) - len(top); others > 0 {
		sums = append(sums, newGroupSum(run, digest.Count(others, "other"), func(g record.Region, i record.Image) bool { return !slices.Contains(top, of(g, i)) }))
	}
	longest := 0.0
	for _, s := range sums {
		longest = max(longest, s.stored.MonthlyUpTo)
	}
	table := grouping{Title: title}
	for _, s := range sums {
		table.Groups = append(table.Groups, s.group(longest))
	}
	return table
}

// groupSum is what a group takes, and what of it goes, would go or is due.
type groupSum struct {
	name         string
	stored, goes amount
}

func newGroupSum(run record.Run, name string, is func(record.Region, record.Image) bool) groupSum {
	return groupSum{name, amount{run.Stored(is), isSized(run)}, amount{run.Savings(func(g record.Region, i record.Image) bool {
		return is(g, i) && g.Standing(i) != record.StandingKept
	}), isSized(run)}}
}

func (s groupSum) group(longest float64) group {
	frees := min(s.goes.MonthlyUpTo, s.stored.MonthlyUpTo)
	title := s.name + ": " + s.stored.dollars() + ", " + s.goes.dollars() + " goes or is due"
	return group{
		s.name, number(s.stored.Images), s.stored.gib(), s.stored.dollars(), number(s.goes.Images), s.goes.dollars(),
		stacked(title, longest, []string{"removed", "kept"}, frees, s.stored.MonthlyUpTo-frees),
	}
}

// cents rounds dollars.
func cents(dollars float64) float64 { return math.Round(dollars*100) / 100 }
