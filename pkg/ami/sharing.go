package ami

import (
	"cmp"
	"slices"
	"strings"
)

// Grantee is somebody who may use an image or a snapshot besides the account that owns it. One of
// the fields says who; none does where AWS does not say.
type Grantee struct {
	Account      string // Its id.
	Organization string // Its ARN.
	Unit         string // The ARN of the organizational unit.
	Everybody    bool
	Group        string // A group that AWS has other than that of everybody.
}

// String names everybody as EC2 names the group.
func (g Grantee) String() string {
	switch {
	case g.Account != "":
		return "account " + g.Account
	case g.Everybody:
		return "all"
	default:
		return cmp.Or(g.Organization, g.Unit, g.Group, "somebody")
	}
}

// SortGrantees sorts by the names, and says each once.
func SortGrantees(grantees []Grantee) []Grantee {
	slices.SortFunc(grantees, func(a, b Grantee) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(grantees)
}

// Names names grantees.
func Names(grantees []Grantee) []string {
	names := make([]string, len(grantees))
	for i, grantee := range grantees {
		names[i] = grantee.String()
	}
	return names
}

// Sharing says with whom a snapshot is shared.
type Sharing struct {
	With []Grantee // Sorted; empty if with nobody.
	Err  string    // Why that is not known, in words a person can act on; else empty.
}

// Names names those with whom a snapshot is shared.
func (s Sharing) Names() []string {
	names := Names(s.With)
	for i, grantee := range s.With {
		if grantee.Everybody {
			names[i] = "everyone"
		}
	}
	return names
}
