package digest

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// subjectWidth is how much of a subject a list of mails shows at best.
const subjectWidth = 90

// subjectMost is how much of a subject SNS takes.
const subjectMost = 99

// subjectCause is how much room a subject has for the cause, in bytes.
const subjectCause = 48

// Subject says the outcome in one line of printable ASCII, the most important first: whose account
// it is, what was removed, what that saves, how much needs a person. It counts only what AWS
// confirmed. If nothing could be proven, or nothing was done for lack of proof, it begins with the
// cause. If every region failed, it says why.
func Subject(of record.Run) string {
	r := run{of}
	head := ""
	if lead := r.lead(); len(lead) > 0 && !r.AllFailed() {
		head = lead[0].Short[:min(subjectCause, len(lead[0].Short))] + " - "
	}
	if head == "" {
		head = r.whose() + ": "
	} else {
		// The cause has taken the room of an alias.
		head += cmp.Or(r.account(), "AMI Janitor") + ": "
	}
	clauses := r.clauses()
	for len(clauses) > 1 && len(head+strings.Join(clauses, ", ")) > subjectWidth {
		clauses = clauses[:len(clauses)-1]
	}
	subject := head + strings.Join(clauses, ", ")
	return subject[:min(subjectMost, len(subject))]
}

// whose is the account, with its alias if it has one.
func (r run) whose() string {
	switch account := r.account(); {
	case account == "":
		return "AMI Janitor"
	case r.alias() != "":
		return r.alias() + " " + account
	default:
		return account
	}
}

// clauses says what happened, then what else there is to know, the most urgent first.
func (r run) clauses() []string {
	t := r.Totals
	clauses := []string{r.outcome()}
	if r.AllFailed() {
		return clauses
	}
	if saves := r.savesInShort(); saves != "" {
		clauses = append(clauses, saves)
	}
	if n := len(r.lead()) + len(r.problems()); n > 0 {
		clauses = append(clauses, strconv.Itoa(n)+map[bool]string{true: " needs you", false: " need you"}[n == 1])
	}
	add := func(n int, one, rest string) {
		if n > 0 {
			clauses = append(clauses, number(n, one)+rest)
		}
	}
	add(r.FailedRegions(), "region", " failed")
	add(r.HeldRegions(), "region", " on hold")
	add(r.CountRegions(record.Region.IsBusy), "region", " busy")
	add(t.Failed, "AMI", " failed")
	add(t.SnapshotsFailed, "snapshot", " failed")
	add(t.Skipped, "AMI", r.skippedInShort())
	add(t.Unproven, "AMI", " unproven")
	if announced := r.announcedOutcome(); announced != "" && !strings.HasSuffix(clauses[0], announced) {
		clauses = append(clauses, announced)
	}
	add(r.Count(record.Image.Vetoed), "objection", " heard")
	add(r.Count(record.Image.IsBack), "AMI", " back again")
	add(t.Refused, "AMI", " refused before")
	add(t.Deferred-t.Refused, "AMI", " deferred")
	add(r.Count(record.Image.Announced), "AMI", " due later")
	return clauses
}

// savesInShort says what the removals save in a month, in whole dollars, as far as it comes to one.
func (r run) savesInShort() string {
	upTo := r.Totals.MonthlySavingsUpTo
	if r.DryRun {
		upTo = r.Totals.Amounts.WouldRemove.MonthlyUpTo
	}
	if upTo < 1 {
		return ""
	}
	return "-$" + strconv.FormatFloat(upTo, 'f', 0, 64) + "/mo"
}

func (r run) skippedInShort() string {
	if r.DryRun {
		return " would be left alone"
	}
	return " skipped"
}

// announcedOutcome says how many images were announced by this run.
func (r run) announcedOutcome() string {
	switch marked := r.Totals.Marked; {
	case marked == 0:
		return ""
	case r.DryRun:
		return number(marked, "AMI") + " would be announced"
	default:
		return number(marked, "AMI") + " announced"
	}
}

func (r run) outcome() string {
	t := r.Totals
	switch {
	case r.AllFailed():
		return r.failedOutcome()
	case r.DryRun:
		return "Dry run: " + r.prospect()
	case t.Deregistered > 0:
		return number(t.Deregistered, "AMI") + " removed"
	case t.SnapshotsDeleted > 0:
		return number(t.SnapshotsDeleted, "snapshot") + " deleted"
	case t.Marked > 0:
		return r.announcedOutcome()
	case t.Failed+t.Skipped+t.SnapshotsFailed+t.Deferred+r.FailedRegions()+r.HeldRegions()+t.Unproven+r.Count(unsettled) > 0:
		return "Nothing removed"
	default:
		return "Nothing to remove"
	}
}

// prospect is the outcome of a dry run.
func (r run) prospect() string {
	switch t := r.Totals; {
	case t.WouldDeregister > 0:
		return number(t.WouldDeregister, "AMI") + " would be removed"
	case t.Marked > 0:
		return r.announcedOutcome()
	case t.SnapshotsWouldDelete > 0:
		return number(t.SnapshotsWouldDelete, "snapshot") + " would be deleted"
	case t.Skipped+r.HeldRegions()+t.Unproven+r.Count(unsettled) > 0:
		return "nothing would be removed"
	default:
		return "nothing to remove"
	}
}

// number is count without the comma between thousands, which would look like the one between
// clauses.
func number(n int, one string) string {
	if n != 1 {
		one += "s"
	}
	return strconv.Itoa(n) + " " + one
}

// unsettled images are kept now, but a later run may remove them without any change to them.
func unsettled(i record.Image) bool { return i.Announced() || i.LaunchDataMissing() }

// account returns the account of the run; empty if there are several.
func (r run) account() string {
	account := ""
	for _, region := range r.Regions {
		if account != "" && region.Account != account || !isAccount(region.Account) {
			return ""
		}
		account = region.Account
	}
	return account
}

// alias is the alias of the account, short and of what an alias may have; empty if it has none.
func (r run) alias() string {
	const longest = 20
	alias := notOfAliases.ReplaceAllString(r.AccountAlias, "?")
	if len(alias) > longest {
		alias = alias[:longest-len("...")] + "..."
	}
	return alias
}

var notOfAliases = regexp.MustCompile(`[^a-z0-9-]`)

func isAccount(id string) bool {
	return len(id) == 12 && strings.Trim(id, "0123456789") == ""
}
