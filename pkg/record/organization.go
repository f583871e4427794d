package record

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Organization is the record of one run over the accounts of an organization. The names of its JSON
// fields are a contract.
type Organization struct {
	SchemaVersion int       `json:"schemaVersion"`
	Run           string    `json:"run"`
	Version       string    `json:"version"`
	DryRun        bool      `json:"dryRun"`
	StartedAt     time.Time `json:"startedAt"`
	FinishedAt    time.Time `json:"finishedAt"`
	Organization  string    `json:"organization"` // Its id; empty if that could not be read.
	// Management is the id of the management account; empty if that could not be read.
	Management string `json:"managementAccount,omitempty"`

	// Record is an s3:// URL or a path; empty if nowhere.
	Record string `json:"record,omitempty"`
	// RecordError is why the record could not be kept.
	RecordError string `json:"recordError,omitempty"`

	PolicySentence string `json:"policySentence"`

	// Error is what ended the run before every account had its turn; empty if nothing did. Step is
	// the step that failed: Targets, Census, Gather, Plan, Allot, Sweep.
	Error string `json:"error"`
	Step  string `json:"step,omitempty"`

	// NotSwept says why nothing was removed although the run is no dry one: too few accounts were
	// listed or answered, or somebody has stopped it. Empty otherwise.
	NotSwept string `json:"notSwept,omitempty"`

	Accounts  []MemberAccount    `json:"accounts"`  // By id.
	Uncounted []Uncounted        `json:"uncounted"` // By account, region and source.
	Totals    OrganizationTotals `json:"totals"`

	Reader Reader `json:"-"` // Who reads the texts about the run.

	// Changed are the settings of the policy that differ from the defaults; nil if that is not
	// known.
	Changed []Setting `json:"-"`
}

// MemberAccount is what happened in one account of an organization.
type MemberAccount struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	State   string `json:"state,omitempty"` // As Organizations spells it, such as "ACTIVE".

	// Judged says that the policy covers the account's own images, and NotJudged why it does not.
	Judged    bool   `json:"judged"`
	NotJudged string `json:"notJudged,omitempty"`

	// Counted says that what the account uses is known in full.
	Counted bool `json:"counted"`

	// Error is why the account has no plan, or none that was carried out: empty if it has one.
	Error string `json:"error"`

	// KeptUncounted is how many of its images stay because some account could not be counted, and
	// KeptTooYoung how many wait until the censuses reach back far enough.
	KeptUncounted int `json:"keptUncounted,omitempty"`
	KeptTooYoung  int `json:"keptTooYoung,omitempty"`

	// Record is the record of the account's own run, or of its plan where nothing was carried out;
	// nil if there is none. The organization's record in a bucket has no kept images here.
	Record *Run `json:"record,omitempty"`
}

// What MemberAccount.Error says of a sweep that has left no record, although it may have changed
// something. The second one is followed by why.
const (
	UnendedSweep    = "its sweep did not come to its end; the next run finishes what it has begun"
	UnrecordedSweep = "the record could not be kept: "
)

// MayHaveChanged reports whether a sweep may have changed something in the account, and has left no
// record.
func (m MemberAccount) MayHaveChanged() bool {
	return m.Record == nil && (m.Error == UnendedSweep || strings.HasPrefix(m.Error, UnrecordedSweep))
}

// Uncounted is a lookup of a census that could not be completed: what it would have shown may use
// any image that the account may launch.
type Uncounted struct {
	Account string `json:"account"`
	Region  string `json:"region"` // Empty for all regions.
	Source  string `json:"source"` // A source of evidence; "census" for all of them.
	Error   string `json:"error"`
	// Images is how many images stay because this account is not counted in this region.
	Images int `json:"images,omitempty"`
}

// OrganizationTotals counts over all accounts.
type OrganizationTotals struct {
	Accounts int `json:"accounts"` // Of the organization.
	Judged   int `json:"accountsJudged"`
	Counted  int `json:"accountsCounted"`
	Failed   int `json:"accountsFailed"` // Judged, without a plan or the end of a sweep.
	Quiet    int `json:"accountsQuiet"`  // Judged, and nothing goes, is announced or failed there.

	// Uncounted is how many images stay because some account could not be counted, and TooYoung
	// how many wait until the censuses reach back far enough.
	Uncounted int `json:"keptUncounted"`
	TooYoung  int `json:"keptTooYoung,omitempty"`

	Totals // The sums of the accounts' own.
}

// Finish completes the record: it sorts, and adds up.
func (o *Organization) Finish(finishedAt time.Time) {
	o.SchemaVersion = SchemaVersion
	o.StartedAt = o.StartedAt.UTC().Truncate(time.Second)
	o.FinishedAt = finishedAt.UTC().Truncate(time.Second)
	o.Accounts, o.Uncounted = append([]MemberAccount{}, o.Accounts...), append([]Uncounted{}, o.Uncounted...)
	slices.SortFunc(o.Accounts, func(a, b MemberAccount) int { return strings.Compare(a.Account, b.Account) })
	slices.SortStableFunc(o.Uncounted, func(a, b Uncounted) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.Source, b.Source))
	})
	o.countUncounted()
	o.Totals = OrganizationTotals{}
	for _, m := range o.Accounts {
		o.Totals.count(m, o.Standing(m))
		o.Totals.add(o.TotalsOf(m))
	}
	if !o.DryRun { // A dry run does not know the cap.
		o.Totals.NightsNeeded = runsFor(o.Totals.Left, max(o.Totals.Deregistered, o.Totals.Marked))
	}
}

func (t *OrganizationTotals) count(m MemberAccount, standing AccountStanding) {
	add := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	t.Accounts++
	add(&t.Judged, m.Judged)
	add(&t.Counted, m.Counted)
	add(&t.Failed, m.Judged && (m.Error != "" || m.Record == nil))
	add(&t.Quiet, standing == AccountQuiet)
	t.Uncounted += m.KeptUncounted
	t.TooYoung += m.KeptTooYoung
}

// AccountStanding says what there is to tell of an account. Each account has one.
type AccountStanding string

const (
	// AccountNotJudged means that the policy does not cover its own images.
	AccountNotJudged AccountStanding = "not judged"
	// AccountActed means that the run did something in it, would do so, or failed to.
	AccountActed AccountStanding = "acted"
	// AccountNeedsYou means that nothing was done in it, and that a person should look at it.
	AccountNeedsYou AccountStanding = "needs you"
	// AccountNotReached means that the run ended before its turn.
	AccountNotReached AccountStanding = "not reached"
	// AccountQuiet means that nothing goes, is announced or failed there.
	AccountQuiet AccountStanding = "quiet"
)

// Standing says what there is to tell of an account. What only another account's missing census
// keeps is told of that account.
func (o Organization) Standing(m MemberAccount) AccountStanding {
	switch {
	case !m.Judged:
		return AccountNotJudged
	case o.TotalsOf(m).acts():
		return AccountActed
	case m.Error != "":
		return AccountNeedsYou
	case m.Record == nil:
		return AccountNotReached
	case m.Record.Failed() || m.Record.Totals.Refused > 0 || m.Record.lacksOwnProof():
		return AccountNeedsYou
	default:
		return AccountQuiet
	}
}

// acts reports whether a run did something, would do so, or failed to.
func (t Totals) acts() bool {
	return t.Deregistered+t.WouldDeregister+t.Marked+t.Failed+t.SnapshotsDeleted+t.SnapshotsWouldDelete+t.SnapshotsFailed > 0
}

// TotalsOf are the totals of an account, as they count for the organization. Where a real run has
// carried out nothing, its plan says what waits for a later one.
func (o Organization) TotalsOf(m MemberAccount) Totals {
	if m.Record == nil {
		return Totals{}
	}
	t := m.Record.Totals
	if o.DryRun || !m.Record.DryRun {
		return t
	}
	left := t.WouldDeregister + t.Marked
	t.Deferred, t.Left = t.Deferred+left, t.Left+left
	t.WouldDeregister, t.Marked, t.SnapshotsWouldDelete, t.GiBWouldDelete = 0, 0, 0, 0
	t.Amounts.WouldRemove = Amount{}
	return t
}

// WithoutKept returns the record as it is stored: without the images that stay. They are in the
// record of each account.
func (o Organization) WithoutKept() Organization {
	o.Accounts = slices.Clone(o.Accounts)
	for i := range o.Accounts {
		o.Accounts[i].DropKept()
	}
	return o
}
