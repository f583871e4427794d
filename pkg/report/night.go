package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The most that a table of the page lists.
const (
	mostGoing  = 500
	mostKept   = 50 // For one reason.
	mostGroups = 12
)

// nightPage is what the page shows of one run.
type nightPage struct {
	ID, Account, Run, When, Version, Policy string
	DryRun, IsSized, HasImages              bool

	Cards     []card
	Waterfall []step
	Ages      ages
	Going     going
	Groups    []grouping
	Kept      []keptFor
	Lookups   lookups
	Problems  []digest.Problem
	Restore   []digest.Line
}

type card struct{ Class, Title, Images, GiB, Dollars, Note string }

func newNight(id string, run record.Run) nightPage {
	return nightPage{
		ID: id, Account: account(run), Run: text(run.Run), Version: text(run.Version), Policy: plain.Printable(run.PolicySentence),
		When: moment(run.StartedAt), DryRun: run.DryRun, IsSized: isSized(run), HasImages: run.Count(all) > 0,
		Cards: cards(run), Waterfall: waterfall(run), Ages: newAges(run), Going: newGoing(run), Groups: groupings(run),
		Kept: kept(run), Lookups: newLookups(run), Problems: digest.Problems(run), Restore: digest.RestoreLines(run),
	}
}

// account names the account of a run, and its policy if several may share the account.
func account(run record.Run) string {
	words := text(run.Account())
	if run.AccountAlias != "" {
		words += " (" + name(run.AccountAlias) + ")"
	}
	if words == "" {
		words = "unknown"
	}
	return words
}

// cards are the figures that a person wants first. They are those of the record.
func cards(run record.Run) []card {
	sums, sized := run.Totals.Amounts, isSized(run)
	removed := amount{sums.Removed, true}
	if !sized { // What AWS has deleted is recorded in every version.
		removed.Images, removed.GiB, removed.MonthlyUpTo = run.Totals.Deregistered, run.Totals.GiBDeleted, run.Totals.MonthlySavingsUpTo
		sums.Due.Images = run.Totals.Deferred + run.Totals.WouldDeregister
		sums.Announced.Images = run.Count(record.Image.IsNew) + run.Count(record.Image.Announced)
		sums.Kept.Images = run.Totals.Kept - run.Count(record.Image.Announced)
	}
	cards := []card{newCard("all", "All AMIs", amount{run.Stored(anyImage), sized}, ""), newCard("removed", "Removed", removed, "")}
	due := newCard("due", "Still due", amount{sums.Due, sized}, "")
	if run.DryRun {
		would := amount{sums.WouldRemove, sized}
		would.Images = run.Totals.WouldDeregister
		cards[1] = newCard("removed", "Would be removed", would, "This was a dry run: nothing was changed.")
		due.Title, due.Note = "Due", "With those that this run would remove."
	}
	cards = append(cards, due)
	if sums.Announced.Images > 0 {
		cards = append(cards, newCard("announced", "Announced", amount{sums.Announced, sized}, "They go on their day, unless somebody objects."))
	}
	cards = append(cards, newCard("kept", "Kept", amount{sums.Kept, sized}, ""))
	if n := run.FailedRegions(); n > 0 {
		cards[0].Note = "Without " + digest.Count(n, "region") + " that failed."
	}
	needs := amount{run.Stored(func(_ record.Region, i record.Image) bool { return i.Unproven() || i.Failed() }), sized}
	problems := len(digest.Problems(run))
	card := newCard("bad", "Needs you", needs, digest.Count(problems, "problem")+", see below.")
	switch {
	case needs.Images == 0 && problems == 0:
		card.Class, card.Note = "quiet", "No problem is known."
	case problems == 0:
		card.Note = "See what is kept, and why."
	}
	return append(cards, card)
}

func newCard(class, title string, a amount, note string) card {
	c := card{Class: class, Title: title, Images: digest.Count(a.Images, "AMI"), GiB: a.gib() + " GiB", Dollars: "up to " + a.dollars() + " a month", Note: note}
	if !a.isRecorded {
		c.GiB, c.Dollars = "GiB: "+notRecorded, "$: "+notRecorded
	}
	return c
}

func anyImage(record.Region, record.Image) bool { return true }

// step is a row of the waterfall: what one rule keeps, or what became of the rest.
type step struct {
	What, Meaning, Images, GiB, Dollars string
	IsSum                               bool
	Bar                                 bar
}

// mostSteps is how many rules the waterfall shows. The others are one step.
const mostSteps = 10

// waterfall goes in dollars from all images over what each rule keeps to what is due and what went.
// Every snapshot counts once: one that several images share counts with the last of them.
func waterfall(run record.Run) []step {
	if !isSized(run) {
		return nil
	}
	large, others := keptCodes(run)
	isOut := map[retention.Code]bool{}
	left := run.Stored(anyImage)
	f := &fall{whole: left.MonthlyUpTo}
	f.sum("All AMIs", left, "all")
	without := func(what, meaning string, codes ...retention.Code) {
		for _, code := range codes {
			isOut[code] = true
		}
		next := run.Stored(func(g record.Region, i record.Image) bool {
			return g.Standing(i) != record.StandingKept || !isOut[i.WhyKept()]
		})
		f.minus(what, meaning, minus(left, next), next.MonthlyUpTo, "kept")
		left = next
	}
	for _, code := range large {
		without(text(string(code)), meaning(code), code)
	}
	if len(others) > 0 {
		without(digest.Count(len(others), "other rule"), "The image has one of the reasons that take least", others...)
	}
	f.sum("Nothing keeps them", left, "due")
	f.ends(run, left)
	return f.steps
}

// keptCodes are the reasons that keep images, in the order of the rules: those whose images take
// most, and the others.
func keptCodes(run record.Run) (large, others []retention.Code) {
	takes, order := map[retention.Code]int64{}, map[retention.Code]int{}
	for n, rule := range retention.Rules() {
		order[rule.Code] = n + 1
	}
	run.Each(all, func(g record.Region, i record.Image) {
		if g.Standing(i) == record.StandingKept {
			takes[i.WhyKept()] += i.SizeGiB
		}
	})
	codes := slices.SortedFunc(maps.Keys(takes), func(a, b retention.Code) int {
		return cmp.Or(cmp.Compare(takes[b], takes[a]), order[a]-order[b], strings.Compare(string(a), string(b)))
	})
	shown := len(codes)
	if shown > mostSteps {
		shown = mostSteps - 1
	}
	inOrder := func(a, b retention.Code) int {
		return cmp.Or(order[a]-order[b], strings.Compare(string(a), string(b)))
	}
	large, others = codes[:shown], codes[shown:]
	slices.SortFunc(large, inOrder)
	slices.SortFunc(others, inOrder)
	return large, others
}

// fall collects the steps of a waterfall.
type fall struct {
	whole float64
	steps []step
}

func (f *fall) sum(what string, a record.Amount, class string) {
	f.minus(what, "", a, 0, class)
	f.steps[len(f.steps)-1].IsSum = true
}

func (f *fall) minus(what, meaning string, a record.Amount, left float64, class string) {
	shown := amount{a, true}
	f.steps = append(f.steps, step{
		What: what, Meaning: meaning, Images: number(a.Images), GiB: shown.gib(), Dollars: shown.dollars(),
		Bar: bar{what + ": " + shown.dollars() + " of " + digest.Money(f.whole), []part{{percent(left, f.whole), percent(a.MonthlyUpTo, f.whole), class}}},
	})
}

// ends divides what nothing keeps: what stays although its image goes, what waits, and what went.
func (f *fall) ends(run record.Run, left record.Amount) {
	ends := []struct {
		what, class string
		amount      record.Amount
	}{
		{"Announced, not yet due", "announced", run.Savings(record.Stands(record.StandingAnnounced))},
		{"Left to another run", "kept", run.Savings(record.Stands(record.StandingLeft))},
		{"Still due", "due", run.Savings(func(g record.Region, i record.Image) bool {
			return g.Standing(i) == record.StandingDue && state(g, i) != "would be removed"
		})},
		{"Would be removed", "removed", run.Savings(func(g record.Region, i record.Image) bool { return state(g, i) == "would be removed" })},
		{"Removed", "removed", run.Savings(record.Stands(record.StandingRemoved))},
	}
	stays := left
	for _, end := range ends {
		stays = minus(stays, end.amount)
	}
	if stays.GiB > 0 {
		f.minus("Snapshots that stay", "Their images go, but these snapshots are kept, or an image that is kept shares them", stays, left.MonthlyUpTo-stays.MonthlyUpTo, "kept")
	}
	left.MonthlyUpTo -= max(stays.MonthlyUpTo, 0)
	for _, end := range ends {
		left.MonthlyUpTo -= end.amount.MonthlyUpTo
		if end.amount.Images > 0 {
			f.minus(end.what, "", end.amount, left.MonthlyUpTo, end.class)
		}
	}
}

func minus(a, b record.Amount) record.Amount {
	return record.Amount{
		Images: a.Images - b.Images, Snapshots: a.Snapshots - b.Snapshots, GiB: a.GiB - b.GiB,
		ArchivedGiB: a.ArchivedGiB - b.ArchivedGiB, MonthlyUpTo: cents(a.MonthlyUpTo - b.MonthlyUpTo),
	}
}

// keptFor are the images that one reason keeps.
type keptFor struct {
	Code, Meaning, Count, GiB, Dollars string
	Rows                               []goingRow
	More                               int
}

func kept(run record.Run) []keptFor {
	var codes []retention.Code
	rows, counts := map[retention.Code][]goingRow{}, map[retention.Code]int{}
	run.Each(all, func(g record.Region, i record.Image) {
		if g.Standing(i) != record.StandingKept {
			return
		}
		code := i.WhyKept()
		if counts[code]++; counts[code] == 1 {
			codes = append(codes, code)
		}
		if len(rows[code]) < mostKept {
			size := amount{record.Amount{GiB: i.SizeGiB, ArchivedGiB: i.ArchivedGiB, MonthlyUpTo: run.Monthly(i.SizeGiB, i.ArchivedGiB)}, isSized(run)}
			rows[code] = append(rows[code], newRow(run, g, i, size))
		}
	})
	slices.SortFunc(codes, func(a, b retention.Code) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(string(a), string(b)))
	})
	var reasons []keptFor
	for _, code := range codes {
		a := amount{run.Stored(func(g record.Region, i record.Image) bool {
			return g.Standing(i) == record.StandingKept && i.WhyKept() == code
		}), isSized(run)}
		reasons = append(reasons, keptFor{
			text(string(code)), meaning(code), digest.Count(counts[code], "AMI"), a.gib() + " GiB", a.dollars(), rows[code], counts[code] - len(rows[code]),
		})
	}
	return reasons
}

// lookups is what a run looked up, and what not.
type lookups struct {
	Said      string
	Off       []string
	Uncovered []string
	Regions   []regionLookups
	Orphans   string
}

// unanswered are the sources of a region that were not answered in full, and the images that lack
// an answer of their own.
func unanswered(g record.Region) []string {
	images := 0
	for _, i := range g.Images {
		if i.Unproven() {
			images++
		}
	}
	if images == 0 {
		return g.Incomplete
	}
	return append(slices.Clone(g.Incomplete), "lookups of "+digest.Count(images, "AMI"))
}

type regionLookups struct{ Region, LookedUp, Incomplete, Fault string }

func newLookups(run record.Run) lookups {
	l := lookups{Said: digest.LookupText(run), Uncovered: digest.Uncovered(run)}
	for _, source := range run.Sources.SwitchedOff {
		l.Off = append(l.Off, text(source))
	}
	for _, g := range run.Regions {
		fault := g.Error
		if fault == "" {
			fault = g.Hold
		}
		l.Regions = append(l.Regions, regionLookups{
			text(g.Region), text(strings.Join(g.LookedUp, ", ")), cmp.Or(text(strings.Join(unanswered(g), ", ")), "none"), text(fault),
		})
	}
	if n := run.Totals.OrphanedSnapshots; n > 0 {
		l.Orphans = digest.Count(n, "snapshot") + " whose image is gone: " + digest.Thousands(run.Totals.GiBOrphaned) +
			" GiB, up to " + digest.Money(run.Monthly(run.Totals.GiBOrphaned, run.Totals.GiBOrphanedArchived)) + " a month."
		if run.Policy["orphanedSnapshots"] != "remove" {
			l.Orphans += " They are reported, and never deleted."
		}
	}
	return l
}
