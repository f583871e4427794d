package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Organization is what an operator sets for runs over an organization.
type Organization struct {
	Accounts Accounts
	Except   []string // Ids of accounts and organizational units.

	// The most images that one run removes, and the most that it announces, over all accounts.
	MaxDeregistrations int

	Namespace     string
	ExternalID    string
	StopParameter string // The name of a parameter; empty if there is none.
}

// Accounts are the accounts whose images are judged.
type Accounts struct {
	All   bool
	Names []string // Ids of accounts and organizational units.
}

// UnmarshalText reads all, or a list of ids.
func (a *Accounts) UnmarshalText(text []byte) error {
	if *a = (Accounts{All: string(text) == everything}); a.All {
		return nil
	}
	return (*accounts)(&a.Names).UnmarshalText(text)
}

func (a Accounts) String() string {
	if a.All {
		return everything
	}
	return strings.Join(a.Names, ",")
}

// accounts are ids of accounts and organizational units.
type accounts []string

// accountOrUnit is the form of these ids (Organizations API Reference, "Account" and
// "OrganizationalUnit").
var accountOrUnit = regexp.MustCompile(`^(?:[0-9]{12}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$`)

func (a *accounts) UnmarshalText(text []byte) error {
	*a = retention.List(string(text))
	for _, name := range *a {
		if !accountOrUnit.MatchString(name) {
			return fmt.Errorf("%q is neither the id of an account, such as 111122223333, nor that of an organizational unit, such as ou-ab12-11111111", name)
		}
	}
	return nil
}

func (a accounts) String() string { return strings.Join(a, ",") }

// seenNights is how many nights censuses must reach back.
type seenNights retention.Days

func (s *seenNights) UnmarshalText(text []byte) error {
	least := int(retention.SeenFloor / retention.Days(retention.Day))
	n, err := strconv.ParseUint(string(text), 10, 12)
	if err != nil || int(n) < least {
		return fmt.Errorf("%q is not a number of nights from %d to 4095", text, least)
	}
	*s = seenNights(retention.Days(n) * retention.Days(retention.Day))
	return nil
}

func (s seenNights) String() string {
	if s == 0 {
		return ""
	}
	return strconv.Itoa(int(retention.Days(s) / retention.Days(retention.Day)))
}

// namespace distinguishes the roles of several hubs in one account.
type namespace string

var namespaces = regexp.MustCompile(`^[a-z0-9-]{1,20}$`)

func (n *namespace) UnmarshalText(text []byte) error {
	if !namespaces.Match(text) {
		return fmt.Errorf("%q is not a name of up to 20 lower-case letters, digits and hyphens", text)
	}
	*n = namespace(text)
	return nil
}
