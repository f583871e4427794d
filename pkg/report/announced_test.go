package report_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/report"
	"ami-janitor/pkg/retention"
)

// announcedLine matches the lines of the digest that name an owner, or an announced image.
var announcedLine = regexp.MustCompile(`(?m)^(Owner .*|Without an owner:|- ami-\d+example|- and .*)`)

func announcedLines(t *testing.T, verdicts ...retention.Verdict) []string {
	t.Helper()
	text := report.Text(newRun(true, newRegion(plan("eu-west-1", verdicts...), nil)))
	_, section, _ := strings.Cut(text, "ANNOUNCED (")
	section, _, _ = strings.Cut(section, "\n\n")
	return announcedLine.FindAllString(section, -1)
}

func TestOwnersComeInAlphabeticalOrderAndTheFirstDueFirst(t *testing.T) {
	got := announcedLines(t,
		announce(1, "a", 14, retention.Announce),
		owned("payments", announce(2, "b", 14, retention.Announce)),
		owned(" ", waits(3, "c", 3)),
		owned("Media", waits(4, "d", 5)),
		owned("payments", waits(5, "e", 2)),
		owned("Media", waits(6, "f", 4)),
	)
	want := []string{
		"Owner Media:", "- ami-00000006example", "- ami-00000004example",
		"Owner payments:", "- ami-00000005example", "- ami-00000002example",
		"Without an owner:", "- ami-00000003example", "- ami-00000001example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutOwnersThereIsOneList(t *testing.T) {
	got := announcedLines(t, announce(1, "a", 14, retention.Announce), waits(2, "b", 3))
	if diff := cmp.Diff([]string{"- ami-00000002example", "- ami-00000001example"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAllNewAnnouncementsAreListedAndTheNextOfThoseThatWait(t *testing.T) {
	var verdicts []retention.Verdict
	for n := range 50 {
		verdicts = append(verdicts, owned("a", announce(n, "new", 14, retention.Announce)), owned("b", waits(100+n, "waits", 60-n)))
	}
	got := announcedLines(t, verdicts...)
	want := []string{"Owner a:"}
	for n := range 50 {
		want = append(want, "- "+id("ami", n))
	}
	want = append(want, "Owner b:")
	for n := range 20 {
		want = append(want, "- "+id("ami", 149-n))
	}
	want = append(want, "- and 30 more; the run record has all of them")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheRecordOfAnAnnouncement(t *testing.T) {
	later := announce(4, "later", 14, "")
	later.Decision = retention.Defer
	disabled := waits(2, "waits", 3)
	disabled.Image.State = "disabled"
	deprecated := waits(3, "waits", 3)
	deprecated.Image.DeprecatedAt = deprecated.Due
	cleared := kept(5, "out-of-scope", "its name does not match web-*")
	cleared.Unmark = retention.ClearMark
	verdicts := []retention.Verdict{
		owned("<b>", announce(1, "new", 14, retention.Disable)), disabled, deprecated, later, cleared,
	}
	var got []string
	for _, image := range newRegion(plan("eu-west-1", verdicts...), nil).Images {
		got = append(got, fmt.Sprintf("%s %q %s %s %s", image.Verdict, image.Owner, image.DueOn, image.Action, image.Unmark))
	}
	want := []string{
		`mark "<b>" 2026-12-07 disable `,
		`keep "" 2026-11-26 disable `,
		`keep "" 2026-11-26 deprecate `,
		`defer ""   `,
		`keep ""   clear`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOwnerNeedsATag(t *testing.T) {
	p := plan("eu-west-1", owned("payments", stale(1, "web")))
	if owner := report.NewRegion(p, report.Done{}, "").Images[0].Owner; owner != "" {
		t.Errorf("owner %q", owner)
	}
}

func TestAReasonThatCameUpIsInTheRecord(t *testing.T) {
	image := newRegion(plan("eu-west-1", stale(1, "web")), []ami.Outcome{coded(1, "used-since-planned", "named by x: y")}).Images[0]
	want := retention.Reason{Code: "used-since-planned", Detail: "named by x: y"}
	if got := image.Reasons; len(got) != 2 || got[0].Code != "stale" || got[1] != want {
		t.Errorf("%+v", got)
	}
}

func TestExplanationsArePlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := explained(anyVerdict(t, 1))
		e.Region, e.LastUse, e.StaleOn, e.Changes, e.Hold = untrusted(t), untrusted(t), untrusted(t), []string{untrusted(t)}, untrusted(t)
		e.Sources = append(e.Sources, report.SourceFinding{Source: untrusted(t), Answer: "unknown", Detail: untrusted(t)})
		e.Snapshots = append(e.Snapshots, report.PlannedSnapshot{SnapshotID: "snap-00000001example", Verdict: report.KeepSnapshot, Detail: untrusted(t)})
		text := report.ExplainText([]report.Explanation{e, {}})
		for i, r := range text {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%U at byte %d: %q", r, i, text)
			}
		}
		if match := live.FindString(text); match != "" {
			t.Fatalf("%q in %q", match, text)
		}
	})
}
