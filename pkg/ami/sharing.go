package ami

import (
	"cmp"
	"slices"
	"strings"
)

// Grantee is somebody besides the owner who may use an image or a snapshot. One of the fields says
// who; none is set if AWS does not say.
type Grantee struct {
	Account      string // Its id.
	Organization string // Its ARN.
	Unit         string // The ARN of the organizational unit.
	Everybody    bool
	Group        string // A group other than everybody's.
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

// SortGrantees sorts by name, and removes duplicates.
func SortGrantees(grantees []Grantee) []Grantee {
	slices.SortFunc(grantees, func(a, b Grantee) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(grantees)
}

// Names returns the names of grantees.
func Names(grantees []Grantee) []string {
	names := make([]string, len(grantees))
	for i, grantee := range grantees {
		names[i] = grantee.String()
	}
	return names
}

// Sharing says with whom a snapshot is shared.
type Sharing struct {
	With []Grantee // Sorted; empty if nobody else may use it.
	Err  string    // Why this is not known, in words a person can act on; else empty.
}

// Names returns the names of those with whom a snapshot is shared.
func (s Sharing) Names() []string {
	names := Names(s.With)
	for i, grantee := range s.With {
		if grantee.Everybody {
			names[i] = "everyone"
		}
	}
	return names
}
