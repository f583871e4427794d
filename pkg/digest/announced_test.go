package digest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// announcedLine matches the lines of the digest that name an owner, or an announced image.
var announcedLine = regexp.MustCompile(`(?m)^(Owner .*|Without an owner:|- ami-\d+example|- and .*)`)

func announcedLines(t *testing.T, verdicts ...retention.Verdict) []string {
	t.Helper()
	text := digest.Full(newRun(true, newRegion(plan("eu-west-1", verdicts...), nil)))
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
	disabled.Image.State, disabled.Action = "disabled", retention.Disable
	deprecated := waits(3, "waits", 3)
	deprecated.Image.DeprecatedAt, deprecated.Action = deprecated.Due, retention.Deprecate
	byItsOwner := waits(6, "waits", 3)
	byItsOwner.Image.DeprecatedAt = byItsOwner.Due
	dated := announce(7, "new", 14, retention.Announce)
	dated.Image.DeprecatedAt = dayIn(500)
	undated := announce(8, "new", 14, retention.Deprecate)
	again := announce(9, "new", 14, retention.Disable)
	again.Image.State = "disabled"
	elsewhere := waits(10, "waits", 3)
	elsewhere.Action, elsewhere.AnnouncedBy, elsewhere.Image.State, elsewhere.Image.DeprecatedAt = "", "team-b", "disabled", elsewhere.Due
	cleared := kept(5, "out-of-scope", "its name does not match web-*")
	cleared.Unmark = retention.ClearMark
	verdicts := []retention.Verdict{
		owned("<b>", announce(1, "new", 14, retention.Disable)), disabled, deprecated, later, cleared, byItsOwner, dated, undated, again, elsewhere,
	}
	var got []string
	for _, image := range newRegion(plan("eu-west-1", verdicts...), nil).Images {
		got = append(got, fmt.Sprintf("%s %q %s %s %s %s %t", image.Verdict, image.Owner, image.DueOn, image.Action, image.Unmark, image.DeprecatedOn, image.WasDisabled))
	}
	want := []string{
		`mark "<b>" 2026-12-07 disable   false`,
		`keep "" 2026-11-26 disable   false`,
		`keep "" 2026-11-26 deprecate  2026-11-26 false`,
		`defer ""     false`,
		`keep ""   clear  false`,
		`keep "" 2026-11-26 announce  2026-11-26 false`,
		`mark "" 2026-12-07 announce  2028-04-06 false`,
		`mark "" 2026-12-07 deprecate  2026-12-07 false`,
		`mark "" 2026-12-07 disable   true`,
		`keep "" 2026-11-26    false`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// That a run had to do something to an image is no claim that it was done.
func TestTheRecordClaimsNothingOfAnAnnouncementThatWasNotMade(t *testing.T) {
	p := plan("eu-west-1", announce(1, "a", 14, retention.Deprecate), announce(2, "b", 14, retention.Disable), announce(3, "c", 14, retention.Deprecate), announce(4, "d", 14, retention.Deprecate))
	r := newRun(false, newRegion(p, []ami.Outcome{outcome(1, ami.Failed, "may or may not be marked"), coded(2, "used-since-planned", "named by x"), outcome(4, ami.Marked, "")}))
	for _, image := range r.Regions[0].Images[:3] {
		if image.Action != "" || image.DeprecatedOn != "" {
			t.Errorf("%s is %s, and its record says %q and %q", image.ImageID, image.Outcome.Status, image.Action, image.DeprecatedOn)
		}
	}
	if image := r.Regions[0].Images[3]; image.Action != retention.Deprecate || image.DeprecatedOn != "2026-12-07" {
		t.Errorf("%s is %s, and its record says %q and %q", image.ImageID, image.Outcome.Status, image.Action, image.DeprecatedOn)
	}
}

// In a region that is left to another run nothing is taken off, whatever the plan says.
func TestARunTellsOfNoObjectionInARegionThatItLeaves(t *testing.T) {
	cleared, copied := kept(2, "out-of-scope", "its name does not match web-*"), kept(4, "recently-used", "created 2026-11-20, 3 days ago")
	cleared.Unmark, copied.Unmark, copied.CopiedTags = retention.ClearMark, retention.ClearMark, "its tags are older"
	verdicts := []retention.Verdict{vetoes(1, "keep-tag", "tagged ami-janitor:keep"), cleared, vetoes(3, "restored", "run 20261121T020000Z-5b1d0e has removed it, or may have, and it is there again"), copied}
	for _, dry := range []bool{false, true} {
		for busy, want := range map[bool]bool{true: false, false: true} {
			p, outcomes := held(plan("eu-west-1", verdicts...), anotherRun, busy)
			r := newRun(dry, newRegion(p, outcomes))
			for says, text := range map[string]string{
				"OBJECTIONS HEARD": digest.Full(r), "NO LONGER DUE": digest.Full(r), "BACK AGAIN": digest.Full(r), "COPIED TAGS": digest.Full(r),
				"1 objection heard: ": digest.Text(r), "1 AMI no longer due: ": digest.Text(r), "1 AMI back again": digest.Text(r), "Copied tags ": digest.Text(r),
				"*New* `1 objection heard: ": string(digest.Slack(r)),
			} {
				if strings.Contains(text, says) != want {
					t.Errorf("busy %t, dry %t: %q is told of: %t\n%s", busy, dry, says, !want, text)
				}
			}
			if got := r.Regions[0].Images[0].Unmark != ""; got != want {
				t.Errorf("busy %t: the record says that a mark is taken off: %t", busy, got)
			}
		}
	}
}

func TestAnOwnerNeedsATag(t *testing.T) {
	p := plan("eu-west-1", owned("payments", stale(1, "web")))
	if owner := record.NewRegion(p, ami.SweepResult{}, "").Images[0].Owner; owner != "" {
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
		e.Sources = append(e.Sources, digest.SourceFinding{Source: untrusted(t), Answer: "unknown", Detail: untrusted(t)})
		e.Snapshots = append(e.Snapshots, record.PlannedSnapshot{SnapshotID: "snap-00000001example", Verdict: record.KeepSnapshot, Detail: untrusted(t)})
		text := digest.ExplainText([]digest.Explanation{e, {}}, 0)
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
