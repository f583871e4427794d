package digest

import (
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// subjectWidth is how much of a subject a list of mails shows at best.
const subjectWidth = 90

// subjectCause is how much room a subject has for the cause, in bytes.
const subjectCause = 48

// Subject says the outcome in one line of printable ASCII, the most important first. It counts only
// what AWS confirmed. If nothing could be proven, or nothing was done for lack of proof, it begins
// with the cause. If every region failed, it says why.
func Subject(of record.Run) string {
	r := run{of}
	head, tail := "", " - AMI Janitor"
	if lead := r.lead(); len(lead) > 0 && !r.AllFailed() {
		head = lead[0].Short[:min(subjectCause, len(lead[0].Short))] + " - "
	}
	if account := r.account(); account != "" {
		tail += " " + account
	}
	clauses := r.clauses()
	for len(clauses) > 1 && len(head+strings.Join(clauses, ", ")+tail) > subjectWidth {
		clauses = clauses[:len(clauses)-1]
	}
	return head + strings.Join(clauses, ", ") + tail
}

// clauses says what happened, then what else there is to know, the most urgent first.
func (r run) clauses() []string {
	t := r.Totals
	clauses := []string{r.outcome()}
	if r.AllFailed() {
		return clauses
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
		return number(t.Deregistered, "AMI") + " deregistered"
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
		return number(t.WouldDeregister, "AMI") + " would be deregistered"
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

func isAccount(id string) bool {
	return len(id) == 12 && strings.Trim(id, "0123456789") == ""
}
