// Package census knows which images the accounts of an organization use that are not their own, and
// remembers it: a census sees what stands when it is taken, and not what was launched and ended
// between two nights. It is pure.
package census

import (
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Source names a census as a whole in a gap.
const Source = "census"

// Account is an account of an organization, as Organizations lists it.
type Account struct {
	ID    string `json:"account"`
	Name  string `json:"name"`
	State string `json:"state"` // As Organizations spells it; only ACTIVE accounts can be counted.
	// Path leads from the organization to the account: "o-…/r-…/ou-…/".
	Path string `json:"path"`

	// CreatedAt is when the organization created the account; zero if it was invited, or if that is
	// not known.
	CreatedAt time.Time `json:"createdAt,omitzero"`
}

// Active is the state of an account that can be asked.
const Active = "ACTIVE"

// In reports whether the account lies in an organization, a root or an organizational unit, or in
// one below it.
func (a Account) In(id string) bool { return slices.Contains(strings.Split(a.Path, "/"), id) }

// Census is what one account uses and does not own.
type Census struct {
	Run     string    `json:"run"`
	Account string    `json:"account"`
	At      time.Time `json:"at"`

	// Regions are those that were looked at: all that the account can use, out of those that are
	// judged anywhere.
	Regions []string `json:"regions"`
	Uses    []Use    `json:"uses,omitempty"`   // Sorted.
	Copies  []Copy   `json:"copies,omitempty"` // Sorted.
	Gaps    []Gap    `json:"gaps,omitempty"`   // Sorted.
}

// Use is something of an account that names an image.
type Use struct {
	ImageID string `json:"image"`
	Account string `json:"account"`
	Source  string `json:"source"` // The source of evidence that found it.
	Type    string `json:"type"`   // The kind of resource, as AWS spells it: "ec2:Instance".
	ARN     string `json:"arn"`    // Of the first such resource.
	More    int    `json:"more,omitempty"`

	// MayBeOwn says that the account's own images are not known: it may be one of them.
	MayBeOwn bool `json:"mayBeOwn,omitempty"`
}

// Copy is an image that an account has copied from another one.
type Copy struct {
	ImageID string    `json:"image"` // The original.
	Account string    `json:"account"`
	CopyID  string    `json:"copy"`
	At      time.Time `json:"at"` // When it was made.
}

// Gap is a lookup of a census that could not be completed.
type Gap struct {
	Account string `json:"account"`
	Region  string `json:"region,omitempty"` // Empty for all regions.
	Source  string `json:"source"`           // A source of evidence, or Source for all of them.
	Err     string `json:"error"`            // Why, in words a person can act on.
}

// covers reports whether the gap leaves open what the account uses in a region. A text may name
// images of any region.
func (g Gap) covers(region string) bool {
	return g.Region == "" || g.Region == region || g.Source == ami.TextSource
}

// String names the lookup for people.
func (g Gap) String() string {
	named := "census of " + g.Account
	if g.Region != "" {
		named += " in " + g.Region
	}
	return named
}

// Failed is the census of an account that could not be asked.
func Failed(run, account string, at time.Time, why string) Census {
	return Census{Run: run, Account: account, At: at, Gaps: []Gap{{Account: account, Source: Source, Err: why}}}
}

// Answered reports whether a census has seen anything of its account.
func (c Census) Answered() bool { return len(c.Regions) > 0 }

// isComplete reports whether a census has seen all that the account uses in a region.
func (c Census) isComplete(region string) bool {
	return slices.Contains(c.Regions, region) && !slices.ContainsFunc(c.Gaps, func(g Gap) bool { return g.covers(region) })
}
