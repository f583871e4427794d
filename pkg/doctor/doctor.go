// Package doctor checks whether a deployment is in order, or whether whoever asks has the rights
// that a run takes. It changes nothing. Each check is a finding, also where AWS refuses to answer.
package doctor

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Level says how bad a finding is.
type Level string

// The levels, the worst first.
const (
	// A run would fail, remove nothing or remove too much, or nobody would hear of it.
	Wrong Level = "wrong"
	// Nobody could find out.
	Unchecked Level = "not checked"
	// It may be meant so.
	Note Level = "note"
	Good Level = "good"
)

var levels = []Level{Wrong, Unchecked, Note, Good}

// Finding is what one check has found.
type Finding struct {
	Level        Level  `json:"level"`
	Check        string `json:"check"`
	Region       string `json:"region,omitempty"` // Empty if it concerns the whole account.
	Found        string `json:"found"`
	Remedy       string `json:"remedy,omitempty"`
	Milliseconds int64  `json:"milliseconds,omitempty"` // How long a source took.
}

// Report is all that was found, the worst first.
type Report struct {
	Version      string    `json:"version"`
	CheckedAt    time.Time `json:"checkedAt"`
	Account      string    `json:"account"` // Empty if the credentials lead to none.
	AccountAlias string    `json:"accountAlias,omitempty"`
	Caller       string    `json:"caller,omitempty"` // An ARN.
	Stack        string    `json:"stack,omitempty"`
	Findings     []Finding `json:"findings"`
}

// Count returns how many findings are of a level.
func (r Report) Count(level Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Deployment is a stack of template.yaml.
type Deployment struct {
	Stack    string // Its name or ARN.
	Region   string
	Function string // The function's name.
	Role     string // The ARN of the function's role.

	// Unread says why the function, and with it its settings, could not be read; nil if it could.
	Unread error
}

// Subject is what is examined.
type Subject struct {
	Janitor    *janitor.Janitor // Its configuration is the deployment's, if there is one.
	Deployment *Deployment      // Nil for the rights of whoever asks.
}

// examination is one in progress.
type examination struct {
	Subject
	report    Report
	account   string
	partition string
	stack     *stack // Nil if there is none, or if it could not be read.
}

// Examine makes all checks.
func Examine(ctx context.Context, s Subject) Report {
	e := &examination{Subject: s, report: Report{Version: s.Janitor.Version, CheckedAt: s.Janitor.Clock().UTC()}}
	if s.Deployment != nil {
		e.report.Stack = s.Deployment.Stack
	}
	if e.checkCredentials(ctx) {
		e.checkDeployment(ctx)
		e.checkPermissions(ctx)
		e.checkRecords(ctx)
		e.checkRegions(ctx)
		e.checkKeepList(ctx)
	}
	reader := record.Reader{CommandLine: s.Deployment == nil, Stack: e.report.Stack}
	for i, f := range e.report.Findings {
		e.report.Findings[i].Remedy = digest.Words(reader, f.Remedy)
	}
	slices.SortStableFunc(e.report.Findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level))
	})
	return e.report
}

func (e *examination) add(f Finding) { e.report.Findings = append(e.report.Findings, f) }

// settings reports whether the configuration is known.
func (e *examination) settings() bool { return e.Deployment == nil || e.Deployment.Unread == nil }

// checkCredentials reports whether the credentials lead to an account. Without that, there is
// nothing else to check.
func (e *examination) checkCredentials(ctx context.Context) bool {
	identity, err := sts.NewFromConfig(e.Janitor.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		e.add(Finding{
			Level: Wrong, Check: "credentials", Found: wire.ExplainLookup(err),
			Remedy: "Log in (aws sso login), or name a profile with --profile; aws sts get-caller-identity shows whether it works.",
		})
		return false
	}
	account, err := e.Janitor.Account(ctx)
	e.report.Caller, e.report.Account, e.account = deref(identity.Arn), account, account
	e.partition = cmp.Or(part(e.report.Caller, 1), "aws")
	switch {
	case account == "":
		e.add(Finding{Level: Wrong, Check: "credentials", Found: err.Error(), Remedy: "Use credentials of the account that the janitor works on."})
		return false
	case err != nil: // It knows the account, and yet: the clocks are apart.
		e.add(Finding{
			Level: Wrong, Check: "clock", Found: err.Error(), Remedy: "Let NTP set the clock of this machine: idle times are reckoned by it.",
		})
	default:
		e.add(Finding{Level: Good, Check: "clock", Found: "this machine and AWS agree within five minutes"})
	}
	e.checkAlias(ctx)
	return true
}

// checkAlias asks for the account's alias, which is only shown.
func (e *examination) checkAlias(ctx context.Context) {
	alias, err := e.Janitor.Alias(ctx)
	e.report.AccountAlias = alias
	found := Finding{Level: Good, Check: "credentials", Found: "account " + e.account + ", as " + e.report.Caller}
	switch {
	case err != nil:
		found.Level, found.Found = Note, found.Found+"; its alias cannot be read: "+wire.ExplainLookup(err)
		found.Remedy = "Allow iam:ListAccountAliases, if digests are to show the account's alias."
	case alias != "":
		found.Found = "account " + e.account + " (" + alias + "), as " + e.report.Caller
	}
	e.add(found)
}

// part is a field of an ARN; empty if it has fewer.
func part(arn string, n int) string {
	if fields := strings.SplitN(arn, ":", 6); n < len(fields) {
		return fields[n]
	}
	return ""
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// notChecked is a finding about something that AWS did not tell.
func notChecked(check, region string, err error) Finding {
	return explained(check, region, wire.ExplainLookup(err))
}

// explained is notChecked for an error that is explained already. Whoever is denied something has
// to be allowed it; any other failure may pass.
func explained(check, region, says string) Finding {
	f := Finding{Level: Unchecked, Check: check, Region: region, Found: says, Remedy: "Try again; if it fails again, begin with the error."}
	if isDenied(says) {
		f.Remedy = "Allow it to whoever runs doctor: ReadOnlyAccess suffices."
		if action := actionIn(says); action != "" {
			f.Remedy = "Allow " + action + " to whoever runs doctor."
		}
	}
	return f
}

// named is an action of IAM in an error, as wire.ExplainLookup writes it.
var named = regexp.MustCompile(`\b([a-z0-9-]+:[A-Z][A-Za-z]+): `)

// actionIn is the action that an error names; empty if it names none.
func actionIn(says string) string {
	if found := named.FindStringSubmatch(says); found != nil {
		return found[1]
	}
	return ""
}

// deniedSigns are what an error of AWS says of a denial.
var deniedSigns = []string{"unauthorizedoperation", "accessdenied", "not authorized to perform", "authorizationerror", "insufficientprivileges", "forbidden"}

func isDenied(says string) bool {
	lower := strings.ToLower(says)
	return slices.ContainsFunc(deniedSigns, func(sign string) bool { return strings.Contains(lower, sign) })
}
