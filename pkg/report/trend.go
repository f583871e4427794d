package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// night is a day on which runs began. What they did is added up; where images stand is what the
// last run of each policy says.
type night struct {
	day              string
	removed          record.Amount
	created          int
	failed, unproven int
	standing         map[policy]standing
	hasRun           bool
}

// standing is where the images of a policy stand at the end of a day.
type standing struct {
	due, announced, kept amount
	isComplete           bool // No region failed.
}

func (n *night) add(of policy, run record.Run, created int) {
	sums := run.Totals.Amounts
	removed := sums.Removed
	if !isSized(run) {
		removed = record.Amount{Images: run.Totals.Deregistered, GiB: run.Totals.GiBDeleted, MonthlyUpTo: run.Totals.MonthlySavingsUpTo}
		sums.Due.Images = run.Totals.Deferred + run.Totals.WouldDeregister
		sums.Announced.Images = run.Count(record.Image.IsNew) + run.Count(record.Image.Announced)
		sums.Kept.Images = run.Totals.Kept - run.Count(record.Image.Announced)
	}
	n.removed = plus(n.removed, removed)
	n.created += created
	n.failed += run.FailedRegions() + run.Totals.Failed + run.Totals.SnapshotsFailed
	n.unproven += run.Totals.Unproven
	n.hasRun = true
	// Else a night without answers would look like one without images.
	isComplete := run.FailedRegions() == 0
	isKnown := isSized(run) && isComplete
	n.standing[of] = standing{amount{sums.Due, isKnown}, amount{sums.Announced, isKnown}, amount{sums.Kept, isKnown}, isComplete}
}

func plus(a, b record.Amount) record.Amount {
	return record.Amount{
		Images: a.Images + b.Images, Snapshots: a.Snapshots + b.Snapshots, GiB: a.GiB + b.GiB,
		ArchivedGiB: a.ArchivedGiB + b.ArchivedGiB, MonthlyUpTo: cents(a.MonthlyUpTo + b.MonthlyUpTo),
	}
}

// stands adds up where images stand over all policies. The sum is recorded if all of it is.
func (n *night) stands(of func(standing) amount) amount {
	sum := amount{isRecorded: true}
	for _, s := range n.standing {
		a := of(s)
		sum.Amount, sum.isRecorded = plus(sum.Amount, a.Amount), sum.isRecorded && a.isRecorded
	}
	sum.isRecorded = sum.isRecorded && n.hasRun
	return sum
}

func due(s standing) amount       { return s.due }
func announced(s standing) amount { return s.announced }
func keptOf(s standing) amount    { return s.kept }

// trendPage is what the page shows of all nights together.
type trendPage struct {
	Title    string
	Charts   []chart
	Families []growth
	Nights   []nightRow
	More     int
}

type growth struct{ Name, Before, After, Grown string }

// nightRow is a night in the table of all nights.
type nightRow struct {
	Day, Removed, Saved, Due, DueDollars, Kept, New, Failed, Unproven string
}

// mostNights is how many nights the table lists: the latest. The pictures show all.
const mostNights = 400

// trend is nil where there is only one night.
func (r *Report) trend() *trendPage {
	nights := r.calendar()
	if len(nights) < 2 {
		return nil
	}
	t := &trendPage{
		Title:    "From " + nights[0].day + " to " + nights[len(nights)-1].day,
		Charts:   []chart{savings(nights), verdicts(nights), flow(nights), gaps(nights)},
		Families: r.growth(),
	}
	for _, n := range slices.Backward(nights) {
		if !n.hasRun {
			continue
		}
		if len(t.Nights) == mostNights {
			t.More++
			continue
		}
		t.Nights = append(t.Nights, n.row())
	}
	return t
}

func (n *night) row() nightRow {
	dueNow := n.stands(due)
	row := nightRow{
		n.day, number(n.removed.Images), digest.Money(n.removed.MonthlyUpTo), number(dueNow.Images), dueNow.dollars(),
		number(n.stands(keptOf).Images), number(n.created), number(n.failed), number(n.unproven),
	}
	for _, s := range n.standing {
		if !s.isComplete {
			row.Due, row.DueDollars, row.Kept = notKnown, notKnown, notKnown
		}
	}
	return row
}

// calendar are all days from the first run to the last, also those without one.
func (r *Report) calendar() []*night {
	days := slices.Sorted(maps.Keys(r.nights))
	if len(days) == 0 {
		return nil
	}
	first, err := time.Parse(time.DateOnly, days[0])
	last, err2 := time.Parse(time.DateOnly, days[len(days)-1])
	if err != nil || err2 != nil { // A record without a time has no day.
		first, last = time.Time{}, time.Time{}
	}
	if first.IsZero() || last.Sub(first) > 10*366*24*time.Hour {
		return values(r.nights, days)
	}
	var nights []*night
	for at := first; !at.After(last); at = at.AddDate(0, 0, 1) {
		n := r.nights[record.Date(at)]
		if n == nil {
			n = &night{day: record.Date(at)}
		}
		nights = append(nights, n)
	}
	return nights
}

func values(nights map[string]*night, days []string) []*night {
	var all []*night
	for _, d := range days {
		all = append(all, nights[d])
	}
	return all
}

func newChart(name, title string, nights []*night) chart {
	return chart{
		Name: name, Title: title, Wide: column * len(nights), High: high, Middle: high,
		From: nights[0].day, To: nights[len(nights)-1].day,
	}
}

// savings shows what was saved so far above what is still due.
func savings(nights []*night) chart {
	var saved, waits []float64
	var always, isKnown []bool
	sum, most := 0.0, 0.0
	for _, n := range nights {
		sum = cents(sum + n.removed.MonthlyUpTo)
		a := n.stands(due)
		saved, waits = append(saved, sum), append(waits, a.MonthlyUpTo)
		always, isKnown = append(always, true), append(isKnown, a.isRecorded)
		most = max(most, a.MonthlyUpTo)
	}
	c := newChart("savings", "Saved so far, and still due, in $ a month", nights)
	scale := high / max(sum+most, 0.01)
	c.Middle = int(sum * scale)
	c.Shapes = []shape{
		{"removed", area(float64(c.Middle), scaled(saved, scale), always)},
		{"due", area(float64(c.Middle), scaled(waits, -scale), isKnown)},
	}
	c.Top, c.Bottom = "up to "+digest.Money(sum)+" a month saved", "up to "+digest.Money(most)+" a month due on the worst night"
	c.Keys = []legend{{"removed", "saved so far, up"}, {"due", "still due that night, down"}}
	return c
}

func scaled(values []float64, scale float64) []float64 {
	out := make([]float64, len(values))
	for n, v := range values {
		out[n] = v * scale
	}
	return out
}

// verdicts shows where the images stand each night.
func verdicts(nights []*night) chart {
	kinds := []struct {
		legend
		of func(*night) int
	}{
		{legend{"kept", "kept"}, func(n *night) int { return n.stands(keptOf).Images }},
		{legend{"announced", "announced"}, func(n *night) int { return n.stands(announced).Images }},
		{legend{"due", "due"}, func(n *night) int { return n.stands(due).Images }},
		{legend{"removed", "removed that night"}, func(n *night) int { return n.removed.Images }},
	}
	most := 1
	for _, n := range nights {
		images := 0
		for _, kind := range kinds {
			images += kind.of(n)
		}
		most = max(most, images)
	}
	c := newChart("verdicts", "AMIs by verdict each night", nights)
	floor := make([]float64, len(nights))
	for n := range floor {
		floor[n] = high
	}
	for _, kind := range kinds {
		heights := make([]float64, len(nights))
		for n, night := range nights {
			heights[n] = float64(kind.of(night)) * high / float64(most)
		}
		c.Shapes = append(c.Shapes, shape{kind.Class, columns(floor, heights)})
		for n, h := range heights {
			floor[n] -= h
		}
		c.Keys = append(c.Keys, kind.legend)
	}
	c.Top = digest.Count(most, "AMI") + " on the largest night"
	return c
}

// flow shows new images above removed ones: where the lower columns are longer, the account
// shrinks.
func flow(nights []*night) chart {
	mostNew, mostRemoved, created, removed := 0, 0, 0, 0
	for _, n := range nights {
		mostNew, mostRemoved = max(mostNew, n.created), max(mostRemoved, n.removed.Images)
		created, removed = created+n.created, removed+n.removed.Images
	}
	c := newChart("flow", "New AMIs against removed ones: "+number(created)+" new, "+number(removed)+" removed", nights)
	scale := high / float64(max(mostNew+mostRemoved, 1))
	c.Middle = int(float64(mostNew) * scale)
	var up, upper, down, lower []float64
	for _, n := range nights {
		up, upper = append(up, float64(c.Middle)), append(upper, float64(n.created)*scale)
		down, lower = append(down, float64(c.Middle)+float64(n.removed.Images)*scale), append(lower, float64(n.removed.Images)*scale)
	}
	c.Shapes = []shape{{"announced", columns(up, upper)}, {"removed", columns(down, lower)}}
	c.Top, c.Bottom = number(mostNew)+" new on the busiest night", number(mostRemoved)+" removed on the busiest night"
	c.Keys = []legend{{"announced", "new since the run before, up"}, {"removed", "removed, down"}}
	return c
}

// gaps is a strip in which no failure hides: a permission that is missing shows every night.
func gaps(nights []*night) chart {
	c := newChart("strip", "Failures and missing proof each night", nights)
	floor := make([]float64, len(nights))
	var fine, unproven, failed []float64
	bad, open, missing := 0, 0, 0
	for n, night := range nights {
		floor[n] = high
		is := func(yes bool) float64 {
			if yes {
				return high
			}
			return 0
		}
		failed = append(failed, is(night.failed > 0))
		unproven = append(unproven, is(night.failed == 0 && night.unproven > 0))
		fine = append(fine, is(night.hasRun && night.failed == 0 && night.unproven == 0))
		switch {
		case night.failed > 0:
			bad++
		case night.unproven > 0:
			open++
		case !night.hasRun:
			missing++
		}
	}
	c.Shapes = []shape{{"fine", columns(floor, fine)}, {"due", columns(floor, unproven)}, {"bad", columns(floor, failed)}}
	c.Keys = []legend{
		{"bad", digest.Count(bad, "night") + " with failures"},
		{"due", digest.Count(open, "night") + " in which proof was missing"},
		{"fine", digest.Count(len(nights)-bad-open-missing, "night") + " without either"},
		{"none", digest.Count(missing, "night") + " without a run"},
	}
	return c
}

// mostFamilies is how many families the page lists that grow.
const mostFamilies = 10

// growth are the families that have grown most since the first run that measured them.
func (r *Report) growth() []growth {
	before, after := map[string]amount{}, map[string]amount{}
	for _, h := range r.policies {
		if h.first == nil || h.runs < 2 || !isSized(h.latest) {
			continue
		}
		for _, sum := range []struct{ to, from map[string]amount }{{before, h.first}, {after, families(h.latest)}} {
			for family, size := range sum.from {
				size.Amount = plus(sum.to[family].Amount, size.Amount)
				sum.to[family] = size
			}
		}
	}
	delete(after, "")
	grown := func(family string) int64 { return after[family].GiB - before[family].GiB }
	names := slices.SortedFunc(maps.Keys(after), func(a, b string) int {
		return cmp.Or(cmp.Compare(grown(b), grown(a)), strings.Compare(a, b))
	})
	var list []growth
	for _, family := range names {
		if grown(family) <= 0 || len(list) == mostFamilies {
			break
		}
		size := func(a amount) string { return digest.Count(a.Images, "AMI") + ", " + digest.Thousands(a.GiB) + " GiB" }
		list = append(list, growth{name(family), size(before[family]), size(after[family]), "+" + digest.Thousands(grown(family)) + " GiB"})
	}
	return list
}
