package census

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Gathered is what the censuses of one run say together.
type Gathered struct {
	Run          string    `json:"run"`
	Organization string    `json:"organization"` // Its id.
	At           time.Time `json:"at"`           // When the first census was taken.
	Accounts     []Account `json:"accounts"`     // By id.

	Uses map[string][]Use `json:"uses"` // By the id of the image.
	Gaps []Gap            `json:"gaps"` // Sorted.

	// Regions are those that were looked at, by account.
	Regions map[string][]string `json:"regions"`

	// Shrunk is why nothing may be removed: see Memory.Shrunk.
	Shrunk string `json:"shrunk,omitempty"`

	// Seen is what earlier nights have seen, and Series the series of censuses with this one.
	Seen   map[string]Sighting          `json:"seen"`
	Series map[string]map[string]Series `json:"series"`
}

// Gather puts the censuses of a run together. Before is the memory without them. An account without
// a census, or with one of another run, is a gap.
func Gather(run, organization string, accounts []Account, censuses []Census, before Memory, now time.Time) (Gathered, Memory) {
	g := Gathered{
		Run: run, Organization: organization, At: now, Accounts: slices.Clone(accounts),
		Uses: map[string][]Use{}, Regions: map[string][]string{},
	}
	slices.SortFunc(g.Accounts, func(a, b Account) int { return strings.Compare(a.ID, b.ID) })
	taken := map[string]Census{}
	for _, census := range censuses {
		if census.Run == run {
			taken[census.Account] = census
		}
	}
	var counted []Census
	for _, account := range g.Accounts {
		census, ok := taken[account.ID]
		switch {
		case account.State != Active:
			census = Failed(run, account.ID, now, fmt.Sprintf("the account is %s, and cannot be asked", cmp.Or(account.State, "in an unknown state")))
		case !ok:
			census = Failed(run, account.ID, now, "no census was written: its function did not come to its end")
		case !census.Answered() && len(census.Gaps) == 0:
			census = Failed(run, account.ID, now, "the census has no region")
		}
		g.add(census)
		counted = append(counted, census)
	}
	for _, uses := range g.Uses {
		slices.SortFunc(uses, compareUses)
	}
	slices.SortFunc(g.Gaps, compareGaps)
	g.Gaps = slices.Compact(g.Gaps)
	after := before.Remember(g.Accounts, counted, now)
	after.LastRun, after.Organization = run, organization
	seen := Memory{Seen: maps.Clone(before.Seen)}
	if seen.Seen == nil {
		seen.Seen = map[string]Sighting{}
	}
	for _, census := range counted { // A copy is a use on its day alone.
		for _, made := range census.Copies {
			seen.see(made.ImageID, made.Account, made.At)
		}
	}
	g.Seen, g.Series, g.Shrunk = seen.Seen, after.Series, after.Shrunk(before)
	after.hold(before, now)
	return g, after
}

func (g *Gathered) add(census Census) {
	if !census.At.IsZero() && census.At.Before(g.At) {
		g.At = census.At
	}
	g.Regions[census.Account] = census.Regions
	g.Gaps = append(g.Gaps, census.Gaps...)
	for _, use := range census.Uses {
		g.Uses[use.ImageID] = append(g.Uses[use.ImageID], use)
	}
}

func compareUses(a, b Use) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.ARN, b.ARN), strings.Compare(a.Source, b.Source))
}

func compareGaps(a, b Gap) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.Source, b.Source), strings.Compare(a.Err, b.Err))
}

// View is what the plan of one account has to know.
type View struct {
	gathered *Gathered
	account  string
	accounts map[string]Account
	fault    string // Why nothing is known; empty if it is.
}

// stale is how old the first census of a run may be when its evidence is used.
const stale = 6 * time.Hour

// Of returns the view of an account at a time.
func (g *Gathered) Of(account, run string, now time.Time) *View {
	v := &View{gathered: g, account: account, accounts: map[string]Account{}}
	for _, a := range g.Accounts {
		v.accounts[a.ID] = a
	}
	switch age := now.Sub(g.At); {
	case g.Run != run:
		v.fault = "the censuses are those of another run, " + g.Run
	case age > stale || age < -stale:
		v.fault = "the censuses are of " + g.At.UTC().Format("2006-01-02 15:04 UTC") + ", which is too long ago"
	}
	return v
}

// Abroad returns when another account was last seen to use some images. What stands tonight is a
// reference, which says more.
func (v *View) Abroad(images []ami.Image) map[string]ami.UseAbroad {
	abroad := map[string]ami.UseAbroad{}
	for i := range images {
		id := images[i].ID
		seen, ok := v.gathered.Seen[id]
		if ok && seen.Account != v.account && len(v.usesOf(id)) == 0 {
			abroad[id] = ami.UseAbroad{Account: seen.Account, At: seen.At}
		}
	}
	return abroad
}

func (v *View) usesOf(id string) []Use {
	return slices.DeleteFunc(slices.Clone(v.gathered.Uses[id]), func(use Use) bool { return use.Account == v.account })
}

// CompleteOriginal is Complete for an image that is known only as the original of copies: nobody
// asks who may launch it, so that it may be anybody.
func (v *View) CompleteOriginal(region, id string, finding *ami.Finding) {
	v.Complete(region, id, true, true, finding)
	finding.Counted = nil
}

// Complete adds to the finding about an image of the account what the organization knows. Who may
// launch the image must be known if wasAsked, and IsPublic means everybody.
func (v *View) Complete(region, id string, isPublic, wasAsked bool, finding *ami.Finding) {
	for _, use := range v.usesOf(id) {
		finding.References = append(finding.References, ami.Reference{Source: Source, Type: use.Type, ARN: use.ARN})
	}
	if !wasAsked || !isPublic && len(finding.SharedWith) == 0 {
		return
	}
	counted := &ami.Counted{}
	for _, account := range v.insiders(isPublic, finding.SharedWith) {
		finding.Gaps = append(finding.Gaps, v.gapsOf(account, region)...)
		v.count(counted, account, region)
	}
	if v.fault != "" {
		finding.Gaps = append(finding.Gaps, ami.Gap{Source: Source, Err: v.fault})
	}
	finding.Counted = counted
}

// insiders are the accounts of the organization that may launch an image, without its owner.
func (v *View) insiders(isPublic bool, grantees []ami.Grantee) []Account {
	isInsider := func(a Account) bool {
		return isPublic || slices.ContainsFunc(grantees, func(g ami.Grantee) bool { return v.reaches(g, a) })
	}
	var insiders []Account
	for _, account := range v.gathered.Accounts {
		if account.ID != v.account && isInsider(account) {
			insiders = append(insiders, account)
		}
	}
	return insiders
}

// reaches reports whether a launch permission is one for an account. That for an organization or an
// organizational unit reaches all accounts below it (EC2 User Guide, "Share an AMI with
// organizations and organizational units"). A group reaches everybody, and so may a permission that
// does not say whom it is for.
func (v *View) reaches(g ami.Grantee, account Account) bool {
	switch {
	case g.Account != "":
		return g.Account == account.ID
	case g.Organization != "":
		return v.isOurs(g.Organization) && lastOf(g.Organization) == v.gathered.Organization
	case g.Unit != "":
		return v.isOurs(g.Unit) && account.In(lastOf(g.Unit))
	default:
		return true
	}
}

// isOurs reports whether an ARN is one of this organization, such as
// arn:aws:organizations::111122223333:ou/o-0123456789/ou-0123-01234567.
func (v *View) isOurs(arn string) bool {
	return slices.Contains(strings.Split(arn, "/"), v.gathered.Organization)
}

func lastOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// gapsOf are the gaps of an account that matter to the images of a region.
func (v *View) gapsOf(account Account, region string) []ami.Gap {
	var gaps []ami.Gap
	for _, gap := range v.gathered.Gaps {
		if gap.Account == account.ID && gap.covers(region) {
			gaps = append(gaps, ami.Gap{Source: gap.String(), Err: why(gap)})
		}
	}
	return gaps
}

func why(gap Gap) string {
	if gap.Source == Source {
		return gap.Err
	}
	return gap.Source + ": " + gap.Err
}

// count notes how long an account has been counted in a region. In a region that it cannot use it
// launches nothing.
func (v *View) count(counted *ami.Counted, account Account, region string) {
	if !slices.Contains(v.gathered.Regions[account.ID], region) {
		return
	}
	since := v.gathered.Series[account.ID][region].Since
	if counted.Account == "" || since.After(counted.Since) && !counted.Since.IsZero() || since.IsZero() {
		counted.Account, counted.Since = account.ID, since
	}
}
