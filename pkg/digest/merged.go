package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// merged are the problems of several accounts: one for each thing to do, with one case of each
// error, however many accounts have it.
type merged struct {
	problems []Problem
	accounts []int // How many accounts have each.
	at       map[[2]string]int
	cases    map[caseOf]int
}

// caseOf is an error of a problem.
type caseOf struct {
	problem int
	fault   string
}

// add adds a problem of an account. Errors that differ only by the account and its regions are the
// same.
func (m *merged) add(of record.MemberAccount, regions []string, p Problem) {
	if m.at == nil {
		m.at, m.cases = map[[2]string]int{}, map[caseOf]int{}
	}
	same := sameFor(of.Account, regions)
	p.Todo, p.What = same.Replace(p.Todo), same.Replace(p.What)
	kind := p.What
	if p.says != nil {
		kind = same.Replace(p.says(2))
	}
	at, known := m.at[[2]string{p.Todo, kind}]
	if !known {
		at = len(m.problems)
		m.at[[2]string{p.Todo, kind}] = at
		m.problems = append(m.problems, Problem{Todo: p.Todo, Short: p.Short, What: p.What, says: p.says})
		m.accounts = append(m.accounts, 0)
	}
	m.accounts[at]++
	m.problems[at].n, m.problems[at].More = m.problems[at].n+p.n, m.problems[at].More+p.More
	for _, c := range alike(p.Cases, same) {
		m.addCase(at, c.Fault, c.ofAccount(of))
	}
}

// addCase adds what an error happened to.
func (m *merged) addCase(at int, fault, subject string) {
	p := &m.problems[at]
	n, known := m.cases[caseOf{at, fault}]
	if !known {
		n = len(p.Cases)
		m.cases[caseOf{at, fault}] = n
		p.Cases = append(p.Cases, Case{Fault: fault})
	}
	p.Cases[n].Subjects = append(p.Cases[n].Subjects, subject)
}

// sameFor replaces an account and its regions, so that equal errors of other accounts read the
// same.
func sameFor(account string, regions []string) *strings.Replacer {
	var pairs []string
	if account != "" {
		pairs = append(pairs, account, "ACCOUNT")
	}
	for _, region := range regions {
		if isRegion.MatchString(region) {
			pairs = append(pairs, region, "REGION")
		}
	}
	return strings.NewReplacer(pairs...)
}

// alike makes one case of those that read the same.
func alike(cases []Case, same *strings.Replacer) []Case {
	var all []Case
	for _, c := range cases {
		c.Fault = same.Replace(c.Fault)
		at := slices.IndexFunc(all, func(known Case) bool { return known.Fault == c.Fault })
		if at < 0 {
			c.Subjects = slices.Clone(c.Subjects)
			all = append(all, c)
			continue
		}
		all[at].Subjects, all[at].More = append(all[at].Subjects, c.Subjects...), all[at].More+c.More
	}
	return all
}

// ofAccount names an account, and the first of the things there to which the error happened.
func (c Case) ofAccount(m record.MemberAccount) string {
	var subjects []string
	for _, subject := range c.Subjects[:min(mostSubjects, len(c.Subjects))] {
		if subject != "" {
			subjects = append(subjects, plain.Clip(subject, shortest))
		}
	}
	if more := len(c.Subjects) + c.More - mostSubjects; more > 0 {
		subjects = append(subjects, thousands(int64(more))+" more")
	}
	if len(subjects) == 0 {
		return accountLabel(m)
	}
	return accountLabel(m) + ": " + list(subjects)
}

func accountLabel(m record.MemberAccount) string {
	return plain.Text(m.Account) + ", " + accountName(m)
}

// list returns the problems, those of most accounts first, with how many accounts have each.
func (m *merged) list() []Problem {
	order := make([]int, len(m.problems))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return m.accounts[b] - m.accounts[a] })
	var problems []Problem
	for _, at := range order {
		p := m.problems[at]
		if p.says != nil {
			p.What = p.says(p.n)
		}
		if m.accounts[at] > 1 {
			p.What = count(m.accounts[at], "account") + ": " + p.What
		} else {
			p.What = sentence(p.What)
		}
		slices.SortStableFunc(p.Cases, func(a, b Case) int { return len(b.Subjects) - len(a.Subjects) })
		problems = append(problems, p)
	}
	return problems
}
