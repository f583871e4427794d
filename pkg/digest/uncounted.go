package digest

import (
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// member is an account of the organization by its id, known or not.
func (o organization) member(id string) record.MemberAccount {
	at := slices.IndexFunc(o.Accounts, func(m record.MemberAccount) bool { return m.Account == id })
	if at < 0 {
		return record.MemberAccount{Account: id}
	}
	return o.Accounts[at]
}

// missingLookups are the lookups that are missing, by account: those that keep most images come
// first. An account that is not counted for no lookup in particular has one, too.
func (o organization) missingLookups() [][]record.Uncounted {
	byAccount := map[string][]record.Uncounted{}
	var ids []string
	add := func(u record.Uncounted) {
		if byAccount[u.Account] == nil {
			ids = append(ids, u.Account)
		}
		byAccount[u.Account] = append(byAccount[u.Account], u)
	}
	for _, u := range o.Uncounted {
		add(u)
	}
	for _, m := range o.Accounts {
		if !m.Counted && byAccount[m.Account] == nil && o.Error == "" {
			add(record.Uncounted{Account: m.Account, Error: m.Error})
		}
	}
	slices.Sort(ids)
	var missing [][]record.Uncounted
	for _, id := range ids {
		missing = append(missing, byAccount[id])
	}
	slices.SortStableFunc(missing, func(a, b []record.Uncounted) int { return mostImages(b) - mostImages(a) })
	return missing
}

func mostImages(of []record.Uncounted) int {
	most := 0
	for _, u := range of {
		most = max(most, u.Images)
	}
	return most
}

// stayUncounted says how many images stay because accounts could not be counted.
func (o organization) stayUncounted() string {
	accounts := len(o.missing)
	switch images := o.Totals.Uncounted; {
	case accounts == 0:
		return ""
	case images == 0:
		return count(accounts, "account") + " could not be counted. No AMI stays because of that."
	case images == 1:
		return "1 AMI stays because " + count(accounts, "account") + " could not be counted."
	default:
		return count(images, "AMI") + " stay because " + count(accounts, "account") + " could not be counted."
	}
}

// uncounted says which accounts could not be counted, and how to mend it.
func (o organization) uncounted() Section {
	if len(o.missing) == 0 {
		return Section{}
	}
	return Section{Title: "Not counted", Count: len(o.missing), Problems: o.notCounted}
}

func (o organization) uncountedProblems() []Problem {
	var accounts merged
	for _, lookups := range o.missing {
		m := o.member(lookups[0].Account)
		todo := func(fault string) string { return o.accountTodo(m, fault) }
		var complaints []complaint
		var regions []string
		why := map[string]string{} // By what to do.
		for _, u := range lookups {
			complaints = append(complaints, complaint{lookup(u), "", u.Error})
			regions = append(regions, u.Region)
			why[todo(u.Error)] = whyUncounted(m, u.Error)
		}
		for _, p := range grouped(complaints, todo, nothing) {
			p.says = func(int) string { return why[p.Todo] }
			accounts.add(m, regions, p)
		}
	}
	return accounts.list()
}

// whyUncounted says in a sentence why an account is not counted, or not in full.
func whyUncounted(m record.MemberAccount, fault string) string {
	switch {
	case isInactive(m):
		return "not active, so nobody knows what is used there, and nothing was judged there."
	case record.IsAssumeRoleFailure(fault):
		return "the role could not be assumed, so nobody knows what is used there, and nothing was judged there."
	default:
		return "a lookup failed, so nobody knows in full what is used there."
	}
}

// lookup names a lookup that is missing, and how many images stay because of it.
func lookup(u record.Uncounted) string {
	what := ""
	if u.Region != "" {
		what = plain.Text(u.Region)
	}
	if u.Source != "" && u.Source != "census" {
		if what != "" {
			what += " "
		}
		what += plain.Text(u.Source)
	}
	if u.Images == 0 {
		return what
	}
	if what != "" {
		what += ", "
	}
	return what + count(u.Images, "AMI")
}
