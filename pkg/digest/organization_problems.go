package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// ended says what ended the run before its end, or why nothing was removed.
func (o organization) ended() []Problem {
	var problems []Problem
	if o.Error != "" {
		what, short, step := "The run ended early", "Run ended early", "the organization"
		if slices.Contains(beforeSweep, o.Step) || o.Step == "Sweep" || o.Step == "Tell" {
			step = "step " + strings.ToLower(o.Step)
		}
		switch {
		case o.Step == "Tell":
			what, short = "The run came to its end, and what it has to remember could not be kept", "Run not remembered"
		case slices.Contains(beforeSweep, o.Step):
			what += ", in its " + step + ": nothing was changed in any account"
		case o.Step == "Sweep":
			what += ", in its " + step
		}
		problems = append(problems, Problem{
			What: what + ".", Short: short,
			Todo:  hubTodo("Begin with the error: the log of the step's function has more. The next run starts from the beginning.")(o.Error),
			Cases: []Case{{Fault: faultText(o.Error), Subjects: []string{step}}},
		})
	}
	if o.NotSwept != "" {
		problems = append(problems, Problem{
			What: "Nothing was removed in any account.", Short: "Nothing swept",
			Todo:  "If somebody has stopped the run, let it go on by the same parameter. If accounts are missing, see which are, below. The next run judges again.",
			Cases: []Case{{Fault: faultText(o.NotSwept), Subjects: []string{"the organization"}}},
		})
	}
	if o.RecordError != "" {
		problems = append(problems, o.all.worded(grouped([]complaint{{"run " + plain.Text(o.Run), "", o.RecordError}},
			hubTodo("Begin with the error. The next run tries to keep its own."), func(int) string {
				return "The full record of this run could not be kept where " + o.Reader.Setting("RECORDS") + " says."
			}))...)
	}
	return o.all.worded(problems)
}

// beforeSweep are the steps that change nothing in any account.
var beforeSweep = []string{"Targets", "Census", "Gather", "Plan", "Allot"}

// hubTodo is advice on an error of the hub's own.
func hubTodo(otherwise string) func(fault string) string {
	return func(fault string) string {
		return strings.ReplaceAll(adviceOr(otherwise, whatWasDenied)(fault), "{role}", "the hub's role of this step")
	}
}

func (o organization) needsYou() Section {
	if len(o.causes) == 0 {
		return Section{}
	}
	return Section{Title: "Needs you", Count: len(o.causes), Problems: o.causes}
}

// problems are what a person should look at in the accounts, without what other accounts would have
// to show.
func (o organization) problems() []Problem {
	var failed, others merged
	for _, m := range o.Accounts {
		if m.Error != "" && m.Judged && !o.isToldUncounted(m) {
			failed.add(m, nil, o.failure(m))
		}
		if m.Record == nil || !m.Judged {
			continue
		}
		r := *m.Record
		r.Reader = o.Reader
		r.Regions = slices.Clone(r.Regions)
		var regions []string
		for i := range r.Regions {
			g := &r.Regions[i]
			g.Gaps = slices.DeleteFunc(slices.Clone(g.Gaps), record.Gap.IsOfCensus)
			regions = append(regions, g.Region)
		}
		for _, p := range Problems(r) {
			others.add(m, regions, p)
		}
	}
	return slices.Concat(failed.list(), others.list())
}

// isToldUncounted reports whether why an account could not be judged is told with what could not be
// counted: for both it is the same role.
func (o organization) isToldUncounted(m record.MemberAccount) bool {
	return (isInactive(m) || record.IsAssumeRoleFailure(m.Error)) && slices.ContainsFunc(o.Uncounted, func(u record.Uncounted) bool {
		return u.Account == m.Account && o.accountTodo(m, u.Error) == o.accountTodo(m, m.Error)
	})
}

// failure says why an account has no plan, or none that was carried out to its end.
func (o organization) failure(m record.MemberAccount) Problem {
	p := grouped([]complaint{{"", "", m.Error}}, func(fault string) string { return o.accountTodo(m, fault) }, nothing)[0]
	p.says = func(int) string { return "judging failed, and nothing was changed there." }
	switch {
	case m.MayHaveChanged():
		p.says = func(int) string {
			return "the sweep has left no record, and may have changed something there. The next run finishes what it began."
		}
	case m.Record != nil:
		p.says = func(int) string { return "the run did not come to its end there. The next run finishes what it began." }
	}
	return p
}

func nothing(int) string { return "" }

// accountTodo is advice on an error that concerns a whole account.
func (o organization) accountTodo(m record.MemberAccount, fault string) string {
	switch {
	case isInactive(m):
		return "Organizations calls it " + plain.Text(m.State) + ": nobody can look what it uses. Images that are shared with it stay until it is active " +
			"again, or has left the organization. A closed account leaves it after 90 days."
	case record.IsAssumeRoleFailure(fault) && m.Account == o.Management && m.Account != "":
		return "It is the management account, which a StackSet does not reach. Deploy member.yaml there as a stack, with the parameters of the StackSet:\n" +
			"aws cloudformation deploy --template-file member.yaml --stack-name ami-janitor-member --capabilities CAPABILITY_NAMED_IAM " +
			"--parameter-overrides KEY=VALUE"
	case record.IsAssumeRoleFailure(fault):
		return "Deploy member.yaml there: add the account's OU to the targets of the StackSet.\n" +
			"aws cloudformation create-stack-instances --call-as DELEGATED_ADMIN --stack-set-name STACK_SET --regions REGION " +
			"--deployment-targets OrganizationalUnitIds=OU\n" +
			"If the role is there, compare its trust with the hub: account, organization, external id and namespace."
	default:
		return Words(o.Reader, regionTodo(fault))
	}
}

func isInactive(m record.MemberAccount) bool { return m.State != "" && m.State != "ACTIVE" }
