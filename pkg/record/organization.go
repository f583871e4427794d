package record

import (
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
}

// MemberAccount is what happened in one account of an organization.
type MemberAccount struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	State   string `json:"state,omitempty"` // As Organizations spells it, such as "ACTIVE".

	// Judged says that the account's own images were to be judged, and NotJudged why not.
	Judged    bool   `json:"judged"`
	NotJudged string `json:"notJudged,omitempty"`

	// Counted says that what the account uses is known in full.
	Counted bool `json:"counted"`

	// Error is why the account has no plan, or none that was carried out: empty if it has one.
	Error string `json:"error"`

	// Record is the record of the account's own run; nil if there is none. In what the
	// organization's record is kept as, it leaves out kept images.
	Record *Run `json:"record,omitempty"`
}

// Uncounted is a lookup of a census that could not be completed: what it would have shown may use
// any image that the account may launch.
type Uncounted struct {
	Account string `json:"account"`
	Region  string `json:"region"` // Empty for all regions.
	Source  string `json:"source"` // A source of evidence; "census" for all of them.
	Error   string `json:"error"`
	Images  int    `json:"images,omitempty"` // How many images stay for want of it.
}

// OrganizationTotals counts over all accounts.
type OrganizationTotals struct {
	Accounts int `json:"accounts"` // Of the organization.
	Judged   int `json:"accountsJudged"`
	Counted  int `json:"accountsCounted"`
	Failed   int `json:"accountsFailed"` // Judged, and without a plan or a sweep that came to its end.
	Quiet    int `json:"accountsQuiet"`  // Judged, and nothing goes, is announced or failed there.

	// Uncounted is how many images stay because some account could not be counted.
	Uncounted int `json:"keptUncounted"`

	Totals // The sums of the accounts' own.
}

// Finish completes the record: it sorts, and adds up.
func (o *Organization) Finish(finishedAt time.Time) {
	o.SchemaVersion = SchemaVersion
	o.StartedAt = o.StartedAt.UTC().Truncate(time.Second)
	o.FinishedAt = finishedAt.UTC().Truncate(time.Second)
	if o.Accounts == nil {
		o.Accounts = []MemberAccount{}
	}
	if o.Uncounted == nil {
		o.Uncounted = []Uncounted{}
	}
	slices.SortFunc(o.Accounts, func(a, b MemberAccount) int { return strings.Compare(a.Account, b.Account) })
}
