package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// organization is a run over an organization about which something is said. Its run has the regions
// of all accounts, and the sums: what is said of one account's run is said of it, too.
type organization struct {
	record.Organization
	all        run
	missing    [][]record.Uncounted // By account.
	notCounted []Problem            // Why, and how to mend it.
	causes     []Problem            // What a person should look at in the accounts.
}

func newOrganization(of record.Organization) organization {
	of.Reader.Organization = true
	of = of.WithoutKept() // As it is stored: the text is the same, whoever has the record.
	o := organization{Organization: of, all: run{record.Run{
		Run: of.Run, Version: of.Version, DryRun: of.DryRun, StartedAt: of.StartedAt, FinishedAt: of.FinishedAt,
		Record: of.Record, PolicySentence: of.PolicySentence, Totals: of.Totals.Totals, Reader: of.Reader, Changed: of.Changed,
	}}}
	for _, m := range of.Accounts {
		if m.Record != nil {
			o.all.SnapshotPrice, o.all.ArchivePrice = m.Record.SnapshotPrice, m.Record.ArchivePrice
			o.all.Regions = append(o.all.Regions, m.Record.Regions...)
		}
	}
	o.missing = o.missingLookups()
	o.notCounted, o.causes = o.uncountedProblems(), o.problems()
	return o
}

// OrganizationText is the digest of a run over an organization as plain text for an e-mail.
func OrganizationText(of record.Organization) string {
	return text(fitting(newOrganization(of).mailOf), mailWidth)
}

func (o organization) mailOf(room room) []Section {
	left := room
	ended, uncounted, causes := left.inBrief(Section{Problems: o.ended()}), left.inBrief(o.uncounted()), left.inBrief(o.needsYou())
	return slices.DeleteFunc([]Section{
		ended,
		{Intro: says(o.stayUncounted())},
		uncounted,
		{Intro: says(o.headline())},
		o.atAGlance(),
		o.byAccount(room.rows),
		causes,
		o.besides(),
		{Intro: o.undo()},
		o.about(),
	}, Section.isEmpty)
}

// headline says what happened, in one sentence.
func (o organization) headline() string {
	if len(o.all.Regions) == 0 {
		return "Nothing was judged."
	}
	return o.all.headline()
}

// sums say where all images stand: removed, due, announced, kept.
func (o organization) sums() []sum {
	a := o.Totals.Amounts
	removed, due := o.all.removedAndDue()
	sums := []sum{removed}
	for _, s := range []sum{
		{"Still due", due, o.all.nightsInShort()},
		{"Announced", a.Announced, o.all.nextDue()},
		{"Kept", a.Kept, ""},
	} {
		if s.Images+s.Snapshots > 0 {
			sums = append(sums, s)
		}
	}
	return sums
}

func (o organization) atAGlance() Section {
	if o.Totals.Images+o.Totals.SnapshotsDeleted+o.Totals.SnapshotsWouldDelete == 0 {
		return Section{}
	}
	return Section{Groups: []Group{{Columns: inTable(o.sums())}, {Intro: says(o.all.upperBounds())}}}
}

// acting is an account in which the run did something, and what it removed there, or would remove.
type acting struct {
	record.MemberAccount
	record.Amount
	totals record.Totals
}

// acted are the accounts in which the run did something, the largest saving first.
func (o organization) acted() []acting {
	var acted []acting
	for _, m := range o.Accounts {
		if o.Standing(m) == record.AccountActed {
			totals := o.TotalsOf(m)
			acted = append(acted, acting{m, removedOf(totals, o.DryRun), totals})
		}
	}
	slices.SortStableFunc(acted, func(a, b acting) int {
		return cmp.Or(cmp.Compare(b.MonthlyUpTo, a.MonthlyUpTo), cmp.Compare(b.GiB, a.GiB), b.Images-a.Images)
	})
	return acted
}

func removedOf(t record.Totals, dry bool) record.Amount {
	if dry {
		return t.Amounts.WouldRemove
	}
	return t.Amounts.Removed
}

// byAccount lists so many of the accounts in which the run did something, a line each.
func (o organization) byAccount(rows int) Section {
	acted := o.acted()
	shown := min(rows, len(acted))
	group := Group{
		Columns: Columns{Heads: []string{"$/mo", "GiB", "AMIs", "snapshots", "account", "name"}, Align: "rrrrll"},
		More:    len(acted) - shown,
	}
	for _, a := range acted[:shown] {
		group.Columns.Rows = append(group.Columns.Rows, []string{
			money(a.MonthlyUpTo), thousands(a.GiB), thousands(int64(a.Images)), thousands(int64(a.Snapshots)), plain.Text(a.Account), a.described(o.DryRun),
		})
	}
	var rest record.Amount
	for _, a := range acted[shown:] {
		rest.Images, rest.GiB, rest.MonthlyUpTo = rest.Images+a.Images, rest.GiB+a.GiB, rest.MonthlyUpTo+a.MonthlyUpTo
	}
	group.MoreOf = ", with " + count(rest.Images, "AMI") + ", " + sizeAndPrice(rest)
	return listing("By account", "", group)
}

// described is the name of an account, with what was done there besides removals.
func (a acting) described(dry bool) string {
	words := []string{accountName(a.MemberAccount)}
	add := func(n int, what string) {
		if n > 0 {
			words = append(words, thousands(int64(n))+" "+what)
		}
	}
	announced := "announced"
	if dry {
		announced = "would be announced"
	}
	add(a.totals.Marked, announced)
	add(a.totals.Failed+a.totals.SnapshotsFailed, "failed")
	if a.Error != "" {
		words = append(words, "not to its end")
	}
	return strings.Join(words, ", ")
}

func accountName(m record.MemberAccount) string {
	if m.Name == "" {
		return "(no name)"
	}
	return plain.Clip(plain.Text(m.Name), shortest)
}

// besides says what there is to say of all other accounts, and of images that wait.
func (o organization) besides() Section {
	items := []Item{{Label: o.standings()}}
	if n := o.Totals.TooYoung; n > 0 {
		waits := map[bool]string{true: " waits", false: " wait"}[n == 1]
		items = append(items, Item{Label: count(n, "AMI") + waits + " until the use in other accounts was looked up on as many nights as " +
			o.Reader.Setting("SEEN_NIGHTS") + " says."})
	}
	return Section{Title: "Besides", Groups: []Group{{Items: items}}}
}

// standings counts each account once.
func (o organization) standings() string {
	counts := map[record.AccountStanding]int{}
	for _, m := range o.Accounts {
		counts[o.Standing(m)]++
	}
	var clauses []string
	for _, c := range []struct {
		standing record.AccountStanding
		one, all string
	}{
		{record.AccountActed, "is in the list above", "are in the list above"},
		{record.AccountNeedsYou, "needs you and was left alone", "need you and were left alone"},
		{record.AccountNotReached, "was not reached", "were not reached"},
		{record.AccountQuiet, "has nothing to say", "have nothing to say"},
	} {
		if n := counts[c.standing]; n > 0 {
			clauses = append(clauses, thousands(int64(n))+" "+map[bool]string{true: c.one, false: c.all}[n == 1])
		}
	}
	judged := fmt.Sprintf("The run judges %s of %s", thousands(int64(o.Totals.Judged)), count(len(o.Accounts), "account"))
	if len(clauses) == 0 {
		return judged + "."
	}
	return judged + ": " + list(clauses) + "."
}

// undo says how to take back what the run removed.
func (o organization) undo() []Line {
	this := "This brings back what the Recycle Bin holds:"
	switch removed := o.Totals.Deregistered; {
	case removed == 0:
		return nil
	case o.Totals.Restorable > 0:
		this = "This brings " + o.all.restorableOf() + " back, until " + shortDay(o.all.firstExit()) + ":"
	case removed == o.all.lost():
		return says("None can be restored: the Recycle Bin does not hold them.")
	}
	return append(says(this), command(o.undoCommand()))
}

func (o organization) undoCommand() string {
	undo := "undo " + plain.Printable(o.Run) + " --organization"
	if root := o.records(); root != "" {
		undo += " --records " + plain.Location(root)
	}
	return o.Reader.Command(undo)
}

// records is where the records of the organization and of its accounts are; empty if that is not
// known.
func (o organization) records() string {
	root, _, found := strings.Cut(o.Record, "/org/runs/")
	if !found {
		return ""
	}
	return root
}

// about says by which policy the run judged, and where the rest is.
func (o organization) about() Section {
	var rows [][]string
	add := func(what, where string) {
		if where != "" {
			rows = append(rows, []string{what, where})
		}
	}
	if o.Record == "" {
		add("Run", plain.Printable(o.Run))
	}
	add("Record", plain.Location(o.Record))
	if root := o.records(); root != "" {
		add("Accounts", plain.Location(root)+"/accounts/")
	}
	if home := o.Reader.Home; o.Reader.Stack != "" && !o.Reader.CommandLine {
		add("Dashboard", consoleLink(home, "cloudwatch", "#dashboards/dashboard/"+plain.Text(o.Reader.Stack)+"-"+home))
	}
	add("Policy", o.all.policyInBrief())
	return Section{Groups: []Group{{Columns: Columns{Align: "ll", Rows: rows}}}}
}
