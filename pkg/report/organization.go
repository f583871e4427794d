package report

import (
	"cmp"
	"io"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// organizationPage is what the page shows of a run over an organization.
type organizationPage struct {
	Run, When, Version, Policy string
	DryRun                     bool

	Cards    []card
	About    digest.AboutOrganization
	Accounts []accountRow
}

// accountRow is one account. The raw numbers are for sorting.
type accountRow struct {
	ID, Name, State, Class, Counted, Fault    string
	Removed, GiB, Dollars, Announced, Due     string
	Kept, Uncounted, Failed                   string
	RawGiB                                    int64
	RawDollars                                float64
	RawRemoved, RawAnnounced, RawDue, RawKept int
	RawUncounted, RawFailed                   int
}

// Organization writes the page about a run over an organization, with a row for each account.
func Organization(w io.Writer, o record.Organization) error {
	shown := organizationPage{
		Run: text(o.Run), When: moment(o.StartedAt), Version: text(o.Version), Policy: plain.Printable(o.PolicySentence), DryRun: o.DryRun,
		Cards: organizationCards(o), About: digest.NewAboutOrganization(o), Accounts: accountRows(o),
	}
	return page{Title: product + ", organization " + cmp.Or(name(o.Organization), "unknown"), Organization: &shown}.write(w)
}

// organizationCards are the figures that a person wants first. They are those of the record.
func organizationCards(o record.Organization) []card {
	sums, measured := o.Totals.Amounts, func(a record.Amount) amount { return amount{a, true} }
	removed, due := newCard("removed", "Removed", measured(sums.Removed), ""), newCard("due", "Still due", measured(sums.Due), "")
	if o.DryRun {
		removed = newCard("removed", "Would be removed", measured(sums.WouldRemove), "This was a dry run: nothing was changed.")
		due = newCard("due", "Due", measured(sums.Due), "With those that this run would remove.")
	}
	return []card{
		removed, due,
		newCard("announced", "Announced", measured(sums.Announced), "They go on their day, unless somebody objects."),
		newCard("kept", "Kept", measured(sums.Kept), ""),
	}
}

var accountClasses = map[record.AccountStanding]string{
	record.AccountActed: "removed", record.AccountNeedsYou: "bad", record.AccountNotReached: "due", record.AccountQuiet: "quiet", record.AccountNotJudged: "kept",
}

// accountRows are the accounts: those that could not be counted come first, then those with the
// largest saving.
func accountRows(o record.Organization) []accountRow {
	var rows []accountRow
	for _, m := range o.Accounts {
		t := o.TotalsOf(m)
		removed := t.Amounts.Removed
		if o.DryRun {
			removed = t.Amounts.WouldRemove
		}
		failed, standing := t.Failed+t.SnapshotsFailed, o.Standing(m)
		rows = append(rows, accountRow{
			ID: text(m.Account), Name: cmp.Or(name(m.Name), "(no name)"), State: string(standing), Class: accountClasses[standing],
			Counted: map[bool]string{true: "yes", false: "no"}[m.Counted], Fault: text(cmp.Or(m.Error, m.NotJudged)),
			Removed: number(removed.Images), RawRemoved: removed.Images,
			GiB: digest.Thousands(removed.GiB), RawGiB: removed.GiB, Dollars: digest.Money(removed.MonthlyUpTo), RawDollars: removed.MonthlyUpTo,
			Announced: number(t.Amounts.Announced.Images), RawAnnounced: t.Amounts.Announced.Images,
			Due: number(t.Amounts.Due.Images), RawDue: t.Amounts.Due.Images, Kept: number(t.Amounts.Kept.Images), RawKept: t.Amounts.Kept.Images,
			Uncounted: number(m.KeptUncounted), RawUncounted: m.KeptUncounted, Failed: number(failed), RawFailed: failed,
		})
	}
	slices.SortStableFunc(rows, func(a, b accountRow) int {
		if a.Counted != b.Counted {
			return cmp.Compare(a.Counted, b.Counted) // "no" before "yes".
		}
		return cmp.Or(cmp.Compare(b.RawDollars, a.RawDollars), b.RawRemoved-a.RawRemoved)
	})
	return rows
}
