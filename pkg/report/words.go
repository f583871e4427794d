package report

import (
	"slices"
	"strconv"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// notRecorded stands where an earlier version has recorded nothing.
const notRecorded = "not recorded"

// notKnown stands where AWS gave no answer, or an image has no such tag.
const notKnown = "not known"

// The most bytes that the page shows of a name, and of any other text that others wrote.
const (
	longestName = 256
	longestText = 1000
)

func name(text string) string { return plain.Clip(plain.Printable(text), longestName) }
func text(text string) string { return plain.Clip(plain.Printable(text), longestText) }

func day(at time.Time) string { return at.UTC().Format("Monday 2 January 2006") }

func moment(at time.Time) string { return day(at) + at.UTC().Format(", 15:04 UTC") }

func number(n int) string { return digest.Thousands(int64(n)) }

func (a amount) gib() string {
	if !a.isRecorded {
		return notRecorded
	}
	return digest.Thousands(a.GiB)
}

func (a amount) dollars() string {
	if !a.isRecorded {
		return notRecorded
	}
	return digest.Money(a.MonthlyUpTo)
}

// percent is a share of a whole for a picture.
func percent(part, whole float64) string {
	if whole <= 0 || part <= 0 {
		return "0%"
	}
	return strconv.FormatFloat(min(part/whole, 1)*100, 'f', 2, 64) + "%"
}

// meaning says a reason in a sentence; it is empty for a code that this version does not know.
func meaning(code retention.Code) string {
	rules := retention.Rules()
	if at := slices.IndexFunc(rules, func(r retention.Rule) bool { return r.Code == code }); at >= 0 {
		return "The image " + rules[at].Meaning
	}
	return ""
}

// state says what became of an image, or would.
func state(g record.Region, i record.Image) string {
	switch {
	case i.Removed():
		return "removed"
	case i.Planned() && !g.IsOnlyPlanned():
		return "would be removed"
	case i.Failed():
		return "failed"
	case i.Marked() || i.ToBeMarked() || i.Announced():
		return "announced"
	case g.Standing(i) == record.StandingKept:
		return "kept"
	case i.Skipped() || g.IsOnlyPlanned():
		return "left alone"
	default:
		return "due, waits"
	}
}

// lastUse is the day of the last use, and how many days an image has been idle.
func lastUse(run record.Run, i record.Image) (on string, days int, isKnown bool) {
	at, err := time.Parse(time.RFC3339, i.LastUseAt)
	if err != nil || !isSized(run) {
		return notRecorded, 0, false
	}
	return record.Date(at), i.IdleDays, true
}

// line is a sentence of evidence. One about a snapshot begins with its id, and with a link if the
// snapshot still exists.
type line struct{ ID, Console, Says string }

// evidence says all that there is about an image of a region, a sentence each.
func evidence(region string, i record.Image) []line {
	var lines []line
	add := func(says string) { lines = append(lines, line{Says: says}) }
	for _, reason := range i.Reasons {
		add(text(string(reason.Code) + ": " + reason.Detail))
	}
	if i.DueOn != "" {
		add("Due on " + text(i.DueOn) + ".")
	}
	details := map[string]record.PlannedSnapshot{}
	for _, s := range i.Snapshots {
		details[s.SnapshotID] = s
		if i.Outcome == nil {
			lines = append(lines, snapshot(region, s, string(s.Verdict), s.Detail))
		}
	}
	if i.Outcome == nil {
		return lines
	}
	if i.Outcome.Error != "" {
		add(text(i.Outcome.Error))
	}
	for _, s := range i.Outcome.Snapshots {
		planned := details[s.SnapshotID]
		planned.SnapshotID = s.SnapshotID
		lines = append(lines, snapshot(region, planned, string(s.Status), s.Detail))
	}
	if bundle := digest.Bundle(i); bundle != "" {
		add(bundle + ".")
	}
	switch o := i.Outcome; {
	case !o.RestorableUntil.IsZero():
		add("Restorable until " + moment(o.RestorableUntil) + ".")
	case o.NotRestorable != "":
		add("It cannot be restored: " + text(o.NotRestorable) + ".")
	}
	return lines
}

func snapshot(region string, s record.PlannedSnapshot, what, detail string) line {
	words := ""
	if s.SizeGiB > 0 {
		words = ", " + digest.Thousands(s.SizeGiB) + " GiB"
	}
	words += ": " + what
	if detail != "" {
		words += " (" + detail + ")"
	}
	l := line{ID: text(s.SnapshotID), Says: text(words)}
	if what != string(ami.SnapshotDeleted) {
		l.Console = digest.ResourceLink(region, s.SnapshotID)
	}
	return l
}
