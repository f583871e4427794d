package emulator

import (
	"maps"
	"slices"
	"strings"
)

// organizationsService is the name of AWS Organizations in a signature's scope.
const organizationsService = "organizations"

// hubServices are what an organization's hub has.
var hubServices = []string{organizationsService, s3Service, "sns", "ssm", "sts"}

// organizationsActions are the emulated actions of AWS Organizations.
var organizationsActions = map[string]action{
	"DescribeOrganization":             {ofHub(describeOrganization), nil},
	"LeaveOrganization":                {leaveOrganization, nil},
	"ListAccounts":                     {ofHub(listAccounts), []string{"MaxResults", "NextToken"}},
	"ListAccountsForParent":            {ofHub(listAccountsForParent), []string{"MaxResults", "NextToken", "ParentId"}},
	"ListOrganizationalUnitsForParent": {ofHub(listUnitsForParent), []string{"MaxResults", "NextToken", "ParentId"}},
	"ListRoots":                        {ofHub(listRoots), []string{"MaxResults", "NextToken"}},
}

// ofHub answers the management account or a delegated administrator alone.
func ofHub(answer func(*call, *Organization) (object, error)) func(*call) (object, error) {
	return func(c *call) (object, error) {
		switch {
		case !c.account.isMember():
			return nil, errNoOrganization
		case !c.account.isHub:
			return nil, refuse("AccessDeniedException", "You don't have permissions to access this resource.")
		}
		return answer(c, c.account.organization)
	}
}

var errNoOrganization = refuse("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")

// isMember reports whether an account is in an organization, and has not left it.
func (a *Account) isMember() bool {
	return a.organization != nil && (a.isHub || a.organization.account(a.id) != nil)
}

// leaveOrganization takes the account that asks out of its organization, at once. The hub cannot
// leave: it is the management account or a delegated administrator (AWS Organizations API
// Reference, LeaveOrganization).
func leaveOrganization(c *call) (object, error) {
	switch o := c.account.organization; {
	case !c.account.isMember():
		return nil, errNoOrganization
	case c.account.id == o.master():
		return nil, refuse("MasterCannotLeaveOrganizationException", "You can't remove a management account from an organization.")
	case c.account.id == o.hubID():
		return nil, refuse("ConstraintViolationException",
			"You attempted to remove an account that is registered as a delegated administrator for a service integrated with your organization.")
	default:
		o.Remove(c.account.id)
		return object{}, nil
	}
}

// describeOrganization shows what organization.json says of the organization.
func describeOrganization(_ *call, o *Organization) (object, error) {
	shown := maps.Clone(child(o.document.fields, "Organization"))
	if shown["Arn"] == nil {
		shown["Arn"] = o.arn("organization/" + text(shown, "Id"))
	}
	return object{"Organization": shown}, nil
}

// arn is the ARN of something of the organization.
func (o *Organization) arn(resource string) string {
	return "arn:" + o.partition + ":organizations::" + o.master() + ":" + resource
}

func (o *Organization) id() string { return text(child(o.document.fields, "Organization"), "Id") }

// pages is how AWS Organizations pages (its API Reference).
func (o *Organization) pages() paging {
	o.mu.Lock()
	defer o.mu.Unlock()
	return paging{least: 1, most: 20, usual: 20, short: o.short}
}

// accountsWhere are the accounts for which a condition on the ids of their path holds, as AWS shows
// them: without the retired Status, and without their path.
func (o *Organization) accountsWhere(holds func(units []string) bool) []object {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []object
	for _, account := range o.listed {
		if !holds(unitsOf(account)) {
			continue
		}
		shown := maps.Clone(account)
		for _, key := range []string{"Path", "Paths", "Status"} {
			delete(shown, key)
		}
		if shown["Arn"] == nil {
			shown["Arn"] = o.arn("account/" + o.id() + "/" + text(account, "Id"))
		}
		found = append(found, shown)
	}
	return found
}

func listAccounts(c *call, o *Organization) (object, error) {
	accounts, token, err := page(c, o.accountsWhere(func([]string) bool { return true }), o.pages())
	return listing("Accounts", accounts, token), err
}

// listAccountsForParent lists the accounts of a unit or of the root, and not those of the units
// below it.
func listAccountsForParent(c *call, o *Organization) (object, error) {
	parent := c.text("ParentId")
	if err := o.checkParent(parent); err != nil {
		return nil, err
	}
	accounts, token, err := page(c, o.accountsWhere(func(units []string) bool { return units[len(units)-1] == parent }), o.pages())
	return listing("Accounts", accounts, token), err
}

// listUnitsForParent lists the units that are right below a unit or the root.
func listUnitsForParent(c *call, o *Organization) (object, error) {
	parent := c.text("ParentId")
	if err := o.checkParent(parent); err != nil {
		return nil, err
	}
	units := []object{}
	for _, id := range o.below(parent) {
		units = append(units, object{"Id": id, "Name": id, "Arn": o.arn("ou/" + o.id() + "/" + id)})
	}
	units, token, err := page(c, units, o.pages())
	return listing("OrganizationalUnits", units, token), err
}

func listRoots(c *call, o *Organization) (object, error) {
	roots := []object{}
	for _, id := range o.below(o.id()) {
		roots = append(roots, object{"Id": id, "Name": "Root", "Arn": o.arn("root/" + o.id() + "/" + id), "PolicyTypes": []object{}})
	}
	roots, token, err := page(c, roots, o.pages())
	return listing("Roots", roots, token), err
}

// below are the ids that follow upon one in the paths of accounts, sorted. Units stay when their
// last account leaves.
func (o *Organization) below(parent string) []string {
	found := map[string]bool{}
	for _, account := range o.document.items {
		units := unitsOf(account)
		if i := slices.Index(units, parent); i >= 0 && i+1 < len(units) {
			found[units[i+1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// checkParent refuses what is neither the root nor a unit.
func (o *Organization) checkParent(id string) error {
	for _, account := range o.document.items {
		if id != o.id() && slices.Contains(unitsOf(account), id) {
			return nil
		}
	}
	if id == "" || !strings.HasPrefix(id, "r-") && !strings.HasPrefix(id, "ou-") {
		return refuse("InvalidInputException", "You specified an invalid value.")
	}
	return refuse("ParentNotFoundException", "You specified parent that doesn't exist.")
}
