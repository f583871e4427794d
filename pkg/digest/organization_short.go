package digest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// OrganizationSubject says the outcome of a run over an organization in one line of printable
// ASCII, as Subject does. It begins with what ended the run, or stopped it.
func OrganizationSubject(of record.Organization) string {
	o := newOrganization(of)
	head := ""
	if ended := o.ended(); len(ended) > 0 {
		head = ended[0].Short + " - "
	}
	head += cmp.Or(o.id(), "AMI Janitor") + ": "
	clauses := o.clauses()
	for len(clauses) > 1 && len(head+strings.Join(clauses, ", ")) > subjectWidth {
		clauses = clauses[:len(clauses)-1]
	}
	subject := head + strings.Join(clauses, ", ")
	return subject[:min(subjectMost, len(subject))]
}

// id is the id of the organization; empty for any other text.
func (o organization) id() string { return organizationID.FindString(o.Organization.Organization) }

var organizationID = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)

// clauses says what happened, then what else there is to know, the most urgent first.
func (o organization) clauses() []string {
	clauses := []string{"Nothing judged"}
	if len(o.all.Regions) > 0 {
		clauses = []string{o.all.outcome()}
	}
	add := func(n int, one, rest string) {
		if n > 0 {
			clauses = append(clauses, number(n, one)+rest)
		}
	}
	if saves := o.all.savesInShort(); saves != "" {
		clauses = append(clauses, saves)
	}
	add(len(o.missing), "account", " not counted")
	failed := 0
	for _, m := range o.Accounts {
		if m.Judged && m.Error != "" {
			failed++
		}
	}
	add(failed, "account", " failed")
	if n := len(o.causes); n > 0 {
		clauses = append(clauses, number(n, "problem"))
	}
	if announced := o.all.announcedOutcome(); announced != "" && !strings.HasSuffix(clauses[0], announced) {
		clauses = append(clauses, announced)
	}
	return clauses
}

// OrganizationSlack is the digest of a run over an organization as Slack is that of an account.
func OrganizationSlack(of record.Organization) []byte {
	o := newOrganization(of)
	var todos []string
	for _, p := range o.inOrder() {
		todos = append(todos, p.Todo)
	}
	keywords := []string{"AMI Janitor"}
	if id := o.id(); id != "" {
		keywords = append(keywords, id)
	}
	if o.DryRun {
		keywords = append(keywords, "dry run")
	}
	return message{
		run: o.Run, title: OrganizationSubject(of), text: fitLines(o.slackLines(), slackText), steps: slackStepsOf(todos), keywords: keywords,
	}.notification()
}

// inOrder are all problems, what ended the run first, and then what could not be counted.
func (o organization) inOrder() []Problem {
	return slices.Concat(o.ended(), o.notCounted, o.causes)
}

func (o organization) slackLines() []string {
	lines := []string{sumsInShort(o.sums())}
	if stay := o.stayUncounted(); stay != "" {
		lines = append(lines, "*"+stay+"*")
	}
	lines = append(lines, slackNeeds(o.inOrder())...)
	for i, a := range o.acted() {
		if i == slackImages {
			break
		}
		lines = append(lines, "• "+code(accountLabel(a.MemberAccount), slackCase)+" "+count(a.Images, "AMI")+", "+thousands(a.GiB)+" GiB, "+money(a.MonthlyUpTo)+"/mo")
	}
	if undo := o.undo(); len(undo) > 1 {
		lines = append(lines, "To bring them back: "+code(undo[1].Text, slackCase))
	}
	if o.Record == "" {
		return append(lines, "Run "+code(plain.Text(o.Run), slackKeyword))
	}
	return append(lines, "The full record: "+code(plain.Location(o.Record), slackPhrase))
}
