package digest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// untrusted draws text that somebody else chose: any bytes, and what is known to do harm.
func untrusted(t *rapid.T) string {
	return rapid.OneOf(rapid.String(), rapid.Just(nasty), rapid.SampledFrom([]string{
		"", "web-2026-01-13", "\u200f", "<!here>", "https://a.example", "www.example.com", "a\nb", "\xff\xfe", "_x_ *y* ~z~ `c`",
		"exceeded: context deadline exceeded", denial, strings.Repeat("あ", 400), strings.Repeat("`", 500),
	})).Draw(t, "untrusted")
}

var (
	anyCode = rapid.Custom(func(t *rapid.T) retention.Code {
		return rapid.SampledFrom(append(retention.Rules(), retention.Rule{Code: "no-such-rule"})).Draw(t, "rule").Code
	})
	anyStatus = map[retention.Decision]*rapid.Generator[ami.Status]{
		retention.Keep:       rapid.Just(ami.Failed),
		retention.Deregister: rapid.SampledFrom([]ami.Status{ami.Deregistered, ami.Failed, ami.Skipped}),
		retention.Mark:       rapid.SampledFrom([]ami.Status{ami.Marked, ami.Failed, ami.Skipped}),
	}
	anySnapshotStatus = rapid.SampledFrom([]ami.SnapshotStatus{ami.SnapshotDeleted, ami.SnapshotKept, ami.SnapshotFailed})
)

// anyRun draws a finished run: any verdicts with any outcomes over several regions. Some regions
// failed.
func anyRun(t *rapid.T) record.Run {
	dry := rapid.Bool().Draw(t, "dry")
	var regions []record.Region
	for i := range rapid.IntRange(0, 4).Draw(t, "regions") {
		name := fmt.Sprintf("eu-west-%d", i+1)
		if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
			regions = append(regions, record.FailedRegion("123456789012", name, errors.New(untrusted(t))))
			continue
		}
		p, outcomes := anyPlan(t, name)
		addAnyRemains(t, &p)
		if rapid.IntRange(0, 3).Draw(t, "held") == 0 {
			p, outcomes = held(p, untrusted(t), rapid.Bool().Draw(t, "busy"))
			if p.Busy {
				p.BusyRun = rapid.OneOf(rapid.Just(p.BusyRun), rapid.Just("20261121T015800Z-0c7e55"), rapid.Custom(untrusted)).Draw(t, "busyRun")
			}
		}
		var done ami.SweepResult
		if !dry {
			done = ami.SweepResult{Outcomes: outcomes, Leftovers: anyLeftovers(t, p), Stale: anyStale(t, p), BinRead: rapid.Bool().Draw(t, "binRead")}
		}
		regions = append(regions, record.NewRegion(p, done, "Team"))
	}
	run := newRun(dry, regions...)
	run.AccountAlias = untrusted(t)
	run.RecordError, run.FirstRun = untrusted(t), rapid.Bool().Draw(t, "first")
	run.Record = rapid.SampledFrom([]string{"", "s3://amzn-s3-demo-bucket/runs/1/record.json", "/srv/<!here>/`@here`/\u202e*\n"}).Draw(t, "record")
	run.Reader.Home, run.Reader.HasPages = rapid.SampledFrom([]string{"", "eu-west-1", "<!here>"}).Draw(t, "home"), rapid.Bool().Draw(t, "pages")
	run.Sources.SwitchedOff = rapid.SliceOfN(rapid.Just("shares"), 0, 1).Draw(t, "switchedOff")
	return run
}

// anyPlan draws the verdicts on up to 40 images, which share some of 20 snapshots, and outcomes for
// some of them.
func anyPlan(t *rapid.T, region string) (retention.Plan, []ami.Outcome) {
	p := plan(region)
	var outcomes []ami.Outcome
	for n := range rapid.IntRange(0, 40).Draw(t, "images") {
		v := anyVerdict(t, n)
		if statuses, acts := anyStatus[v.Decision]; acts {
			o := outcome(n, statuses.Draw(t, "status"), untrusted(t))
			o.Code = rapid.SampledFrom([]string{"", "", "used-since-planned", "unknown-use", "not-reached", "stopped"}).Draw(t, "code")
			o.InBinUntil = anyExit(t)
			for range rapid.IntRange(0, 3).Draw(t, "snapshots") {
				if v.Decision != retention.Deregister {
					break
				}
				s := rapid.IntRange(1, 20).Draw(t, "snapshot")
				v.Snapshots = append(v.Snapshots, goes(s, int64(s), n))
				became := result(s, anySnapshotStatus.Draw(t, "snapshotStatus"), untrusted(t))
				became.RestorableUntil = anyExit(t)
				o.Snapshots = append(o.Snapshots, became)
			}
			if reached := rapid.IntRange(0, 5).Draw(t, "reached"); reached == 5 || reached > 0 && v.Decision != retention.Keep {
				outcomes = append(outcomes, o)
			}
		}
		p.Verdicts = append(p.Verdicts, v)
	}
	return p, outcomes
}

func anyExit(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "inBin") {
		return time.Time{}
	}
	return exit(rapid.IntRange(1, 3).Draw(t, "days"))
}

// addAnyRemains adds leftovers, stale and orphans. Some leftovers are snapshots of images of the
// plan.
func addAnyRemains(t *rapid.T, p *retention.Plan) {
	for n := range rapid.IntRange(0, 25).Draw(t, "leftovers") {
		l := leftover(untrusted(t), 18+n, int64(18+n), rapid.SampledFrom([]string{"", "", nasty}).Draw(t, "why"))
		p.Leftovers = append(p.Leftovers, l)
	}
	for n := range rapid.IntRange(0, 3).Draw(t, "stale") {
		p.Stale = append(p.Stale, retention.StaleDeclaration{ID: id("snap", 200+n), Run: untrusted(t)})
	}
	p.RemainsGap = rapid.OneOf(rapid.Just(""), rapid.Custom(untrusted)).Draw(t, "remainsGap")
	for n := range rapid.IntRange(0, 8).Draw(t, "orphans") {
		p.Orphans = append(p.Orphans, retention.Orphan{SnapshotID: id("snap", 300+n), ImageID: untrusted(t), SizeGiB: int64(100 - n)})
	}
}

// anyLeftovers draws results for some of the leftovers that a plan deletes.
func anyLeftovers(t *rapid.T, p retention.Plan) []ami.SnapshotResult {
	var results []ami.SnapshotResult
	for _, l := range p.Leftovers {
		if l.Delete && p.Hold == "" && !p.Busy && rapid.Bool().Draw(t, "finished") {
			results = append(results, ami.SnapshotResult{
				SnapshotID: l.SnapshotID, Status: anySnapshotStatus.Draw(t, "leftoverStatus"), Detail: untrusted(t), RestorableUntil: anyExit(t),
			})
		}
	}
	return results
}

func anyStale(t *rapid.T, p retention.Plan) map[string]string {
	faults := map[string]string{}
	for _, s := range p.Stale {
		if rapid.Bool().Draw(t, "tried") {
			faults[s.ID] = untrusted(t)
		}
	}
	return faults
}

func anyVerdict(t *rapid.T, n int) retention.Verdict {
	v := kept(n, anyCode.Draw(t, "code"), untrusted(t))
	v.Image.Name, v.Image.S3Location = untrusted(t), untrusted(t)
	v.Image.Tags = map[string]string{"Team": untrusted(t)}
	v.Decision = rapid.SampledFrom([]retention.Decision{
		retention.Keep, retention.Deregister, retention.Mark, retention.Defer,
	}).Draw(t, "decision")
	switch v.Decision {
	case retention.Mark:
		v.Due = dayIn(rapid.IntRange(-5, 30).Draw(t, "due"))
		v.Action = rapid.SampledFrom([]retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable}).Draw(t, "action")
	case retention.Keep:
		v.Unmark = rapid.SampledFrom([]retention.Unmark{retention.LeaveMark, retention.ClearMark, retention.Veto}).Draw(t, "unmark")
		if rapid.Bool().Draw(t, "waits") {
			v.Unmark, v.Reasons[0].Code, v.Due = retention.LeaveMark, "announced", dayIn(rapid.IntRange(-5, 30).Draw(t, "due"))
			v.Image.State = rapid.SampledFrom([]string{"available", "disabled"}).Draw(t, "state")
		}
	default:
	}
	return v
}

func TestEveryImageIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		images := 0
		for _, region := range r.Regions {
			images += len(region.Images)
			for _, image := range region.Images {
				must := !r.DryRun && (image.Verdict == retention.Deregister || image.Verdict == retention.Mark)
				may := !r.DryRun && image.Verdict == retention.Keep
				if must && image.Outcome == nil || !must && !may && image.Outcome != nil {
					t.Fatalf("%s: verdict %s, outcome %v in a run with dryRun %v", image.ImageID, image.Verdict, image.Outcome, r.DryRun)
				}
			}
		}
		c := r.Totals
		if sum := c.Kept + c.Deregistered + c.WouldDeregister + c.Deferred + c.Marked + c.Failed + c.Skipped; sum != images || c.Images != images {
			t.Fatalf("%d images, totals %+v", images, c)
		}
		if r.DryRun && c.Deregistered+c.Failed+c.SnapshotsDeleted+c.SnapshotsKept+c.SnapshotsFailed+c.LeftoversFinished+c.Restorable+int(c.GiBDeleted) > 0 {
			t.Fatalf("a dry run claims to have acted: %+v", c)
		}
		alone, left, refused := 0, 0, 0
		for _, region := range r.Regions {
			aside := region.Hold != "" || region.Busy
			for _, image := range region.Images {
				switch {
				case image.Verdict == retention.Defer && image.Reasons[0].Code == "refused":
					refused++ // No number of runs is known to take them.
				case aside && (image.Verdict == retention.Deregister || image.Verdict == retention.Mark):
					alone++
				case !aside && (image.Verdict == retention.Defer || image.Outcome != nil && image.Outcome.Code == "not-reached" && image.Outcome.Status == ami.Skipped):
					left++
				}
			}
		}
		if r.DryRun && c.Skipped != alone || c.Skipped < alone {
			t.Fatalf("%d images were left alone, totals %+v", alone, c)
		}
		if c.Refused != refused || c.Refused > c.Deferred {
			t.Fatalf("EC2 has refused %d images, totals %+v", refused, c)
		}
		if c.Left != left || c.NightsNeeded < 0 || c.NightsNeeded > left || left == 0 && c.NightsNeeded > 0 {
			t.Fatalf("%d images are left, totals %+v", left, c)
		}
		if !r.DryRun && c.WouldDeregister+c.SnapshotsWouldDelete+int(c.GiBWouldDelete) > 0 {
			t.Fatalf("a real run says what would be: %+v", c)
		}
	})
}

func TestEverySnapshotIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		var deleted, other, gib int
		for _, region := range r.Regions {
			best := map[string]bool{}
			for _, f := range region.Leftovers {
				if (f.Status == "") != r.DryRun {
					t.Fatalf("dry run %v: %+v", r.DryRun, f)
				}
				if !r.DryRun {
					best[f.SnapshotID] = f.Status == ami.SnapshotDeleted
				}
			}
			for _, image := range region.Images {
				if image.Outcome == nil {
					continue
				}
				for _, s := range image.Outcome.Snapshots {
					best[s.SnapshotID] = best[s.SnapshotID] || s.Status == ami.SnapshotDeleted
				}
			}
			for snapshot, gone := range best {
				if !gone {
					other++
					continue
				}
				deleted++
				var size int
				if _, err := fmt.Sscanf(snapshot, "snap-%dexample", &size); err != nil {
					t.Fatal(err)
				}
				gib += size
			}
		}
		c := r.Totals
		if c.SnapshotsDeleted != deleted || c.SnapshotsKept+c.SnapshotsFailed != other || c.GiBDeleted != int64(gib) {
			t.Fatalf("%d deleted of %d GiB, %d others, totals %+v", deleted, gib, other, c)
		}
	})
}

func TestASharedSnapshotCountsAsDeletedBeforeFailedBeforeKept(t *testing.T) {
	order := []ami.SnapshotStatus{ami.SnapshotKept, ami.SnapshotFailed, ami.SnapshotDeleted}
	for i, a := range order {
		for j, b := range order {
			r := newRun(false, newRegion(plan("eu-west-1", stale(1, "a", goes(1, 8, 1)), stale(2, "b", goes(1, 8, 1))),
				[]ami.Outcome{outcome(1, ami.Deregistered, "", result(1, a, "")), outcome(2, ami.Deregistered, "", result(1, b, ""))}))
			got := [3]int{r.Totals.SnapshotsKept, r.Totals.SnapshotsFailed, r.Totals.SnapshotsDeleted}
			var want [3]int
			want[max(i, j)] = 1
			if got != want {
				t.Errorf("%s and %s count as %v, want %v (kept, failed, deleted)", a, b, got, want)
			}
		}
	}
}

var asciiLine = regexp.MustCompile(`^[!-~][ -~]{0,98}$`)

func TestSubjectIsOneShortLineOfASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		if rapid.Bool().Draw(t, "huge") {
			n := rapid.IntRange(0, 1<<40)
			r.Totals = record.Totals{
				Deregistered: n.Draw(t, "n"), Failed: n.Draw(t, "n"), Skipped: n.Draw(t, "n"),
				Deferred: n.Draw(t, "n"), WouldDeregister: n.Draw(t, "n"), SnapshotsFailed: n.Draw(t, "n"), Marked: n.Draw(t, "n"),
			}
		}
		if s := digest.Subject(r); !asciiLine.MatchString(s) {
			t.Fatalf("subject %q", s)
		}
	})
}

func TestSubjectCountsOnlyWhatIsConfirmed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		n := 0
		for _, region := range r.Regions {
			for _, image := range region.Images {
				if image.Outcome != nil && image.Outcome.Status == ami.Deregistered {
					n++
				}
			}
		}
		// Behind the cause, if it begins with one, and whose it is.
		_, subject, _ := strings.Cut(digest.Subject(r), ": ")
		claims := regexp.MustCompile(`[0-9] AMIs? removed`).MatchString(subject) && !r.DryRun
		if claims != (n > 0) || claims && !strings.HasPrefix(subject, fmt.Sprint(n, " AMI")) {
			t.Fatalf("%d confirmed, subject %q", n, subject)
		}
	})
}

// live matches what a chat or a mail program would act on.
var live = regexp.MustCompile(`<[@!#]|@here|@channel|://|\bwww\.|example\.com|[<>&*~]`)

// consoles matches the links of the mail to pages of the AWS console. All of them are made from
// regions that look like regions.
var consoles = regexp.MustCompile(`(?m)^(Console|Dashboard) +https://console\.[a-z.-]+/[a-z0-9]+/home\?region=[a-z0-9-]+#[A-Za-z0-9:/-]+$`)

// pages matches the links of a digest to the page in the S3 console.
var pages = regexp.MustCompile(`https://console\.[a-z.-]+/s3/object/[a-z0-9-]+\?region=[a-z0-9-]+&prefix=[A-Za-z0-9/-]+/report\.html`)

func withoutLinks(text string) string {
	return pages.ReplaceAllString(consoles.ReplaceAllString(text, ""), "")
}

func TestTextIsPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		text := withoutLinks(digest.Text(run) + digest.Full(run))
		if rest, found := strings.CutSuffix(run.Record, "/record.json"); found {
			text = strings.ReplaceAll(text, rest, "") // An s3:// URL has to stay one.
		}
		isPlain(t, text)
	})
}

// isPlain checks that a text hides nothing, and has nothing that a mail program would act on.
func isPlain(t rapid.TB, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatal("not UTF-8")
	}
	for i, r := range text {
		if r != '\n' && (!unicode.IsPrint(r) || unicode.Is(unicode.Variation_Selector, r)) {
			t.Fatalf("%U at byte %d: %q", r, i, text)
		}
	}
	if match := live.FindString(text); match != "" {
		t.Fatalf("%q in %q", match, text)
	}
}

func TestTextNamesEveryImageItHasTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		text, mail := digest.Full(r), digest.Text(r)
		for _, region := range r.Regions {
			if region.Error != "" && (!strings.Contains(text, "- "+region.Region) || !strings.Contains(mail, region.Region)) {
				t.Fatalf("failed region %s is not in %q, or not in %q", region.Region, text, mail)
			}
			for _, image := range region.Images {
				aside := region.Hold != "" || region.Busy
				listed := !aside && image.Outcome == nil && (image.Verdict == retention.Deregister || image.Verdict == retention.Mark) ||
					image.Outcome == nil && image.Unmark == retention.Veto ||
					image.Outcome != nil && image.Outcome.Status != ami.Skipped
				if listed && !strings.Contains(text, "- "+image.ImageID) {
					t.Fatalf("%s is not in %q", image.ImageID, text)
				}
			}
		}
	})
}

type customNotification struct {
	Version, Source string
	Content         struct {
		TextType, Title, Description string
		NextSteps, Keywords          []string
	}
}

func slack(t rapid.TB, r record.Run) customNotification {
	t.Helper()
	return notificationOf(t, digest.Slack(r))
}

// notificationOf reads a custom notification, which is within its limits.
func notificationOf(t rapid.TB, message []byte) customNotification {
	t.Helper()
	var n customNotification
	if err := json.Unmarshal(message, &n); err != nil {
		t.Fatal(err)
	}
	c := n.Content
	if n.Version != "1.0" || n.Source != "custom" || c.TextType != "client-markdown" || c.Description == "" {
		t.Fatalf("not a custom notification: %+v", n)
	}
	within := func(text string, limit int) {
		if size := utf8.RuneCountInString(text); size > limit {
			t.Fatalf("%d characters, at most %d: %q", size, limit, text)
		}
	}
	within(c.Title, 250)
	within(c.Description, 8000)
	for _, step := range c.NextSteps {
		within(step, 350)
	}
	for _, keyword := range c.Keywords {
		within(keyword, 75)
	}
	return n
}

// bold matches what Slack shows in bold because we say so.
var bold = regexp.MustCompile(`(^|· )\*([^*]+)\*`)

func TestSlackIsWithinItsLimitsAndHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := slack(t, anyRun(t))
		for line := range strings.SplitSeq(n.Content.Description, "\n") {
			if strings.Count(line, "`")%2 != 0 {
				t.Fatalf("an open code span: %q", line)
			}
			if lines := strings.Count(n.Content.Description, "\n") + 1; lines > 10 || len(n.Content.NextSteps) > 3 {
				t.Fatalf("%d lines, %d next steps", lines, len(n.Content.NextSteps))
			}
			if where, found := strings.CutPrefix(line, "The full record: "); found && strings.HasPrefix(where, "`s3://") {
				continue // It has to stay a URL.
			}
			own := bold.ReplaceAllString(withoutLinks(line), "$1$2")
			if match := live.FindString(own); match != "" {
				t.Fatalf("%q in %q", match, line)
			}
		}
	})
}

// many makes a run that acted on so many images, with names as long as EC2 allows.
func many(deregistered, deferredImages int) record.Run {
	p := plan("eu-west-1")
	var outcomes []ami.Outcome
	for n := range deregistered {
		p.Verdicts = append(p.Verdicts, stale(n, fmt.Sprintf("%0128d", n), goes(n, 8, n)))
		outcomes = append(outcomes, outcome(n, ami.Deregistered, "", result(n, ami.SnapshotDeleted, "")))
	}
	for n := range deferredImages {
		p.Verdicts = append(p.Verdicts, deferred(deregistered+n, fmt.Sprintf("%0128d", n)))
	}
	return newRun(false, newRegion(p, outcomes))
}

func TestSlackHasRoomForFiveThousandImages(t *testing.T) {
	n := slack(t, many(5000, 0))
	if !strings.Contains(n.Content.Description, "*Removed* 5,000 AMIs, ") {
		t.Error(n.Content.Description)
	}
}

func TestTextListsAllRemovedImagesAndSaysHowManyDeferredOnesItLeavesOut(t *testing.T) {
	text := digest.Full(many(500, 50))
	if n := strings.Count(text, "\n  Snapshots deleted: "); n != 500 {
		t.Errorf("%d images listed as removed, want 500", n)
	}
	if !strings.Contains(text, "- and 30 more; the run record has all of them\n") {
		t.Error("the digest does not say that 30 deferred images are not listed")
	}
}

func TestResultFitsAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name              string
		removed, deferred int
	}{
		{name: "small", removed: 10, deferred: 10},
		{name: "deferred images go first", removed: 1000, deferred: 20_000},
		{name: "then the others", removed: 50_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := record.Result(many(c.removed, c.deferred))
			if size := len(marshalled(t, answer)); size >= 6_000_000 {
				t.Errorf("%d bytes", size)
			}
			images := answer.Regions[0].Images
			if len(images)+answer.Truncated != c.removed+c.deferred {
				t.Errorf("%d images and %d left out, want %d", len(images), answer.Truncated, c.removed+c.deferred)
			}
			removed := 0
			for _, image := range images {
				if image.Verdict == retention.Deregister {
					removed++
				}
			}
			if removed < c.removed && removed < len(images) {
				t.Errorf("%d of %d removed images are left out, and deferred ones are in", c.removed-removed, c.removed)
			}
			if c.removed+c.deferred < 1000 && answer.Truncated > 0 {
				t.Errorf("%d left out of a small answer", answer.Truncated)
			}
		})
	}
}

func TestResultCountsWhatItLeavesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		answer := record.Result(r)
		images, kept := answer.Truncated, 0
		for _, region := range answer.Regions {
			images += len(region.Images)
			for _, n := range region.Kept {
				kept += n
			}
		}
		if kept != r.Totals.Kept || images+kept != r.Totals.Images {
			t.Fatalf("%d images and %d kept, totals %+v", images, kept, r.Totals)
		}
	})
}

func TestLinesAreSmallAndSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		lines := record.Lines(r)
		n := r.Totals.Deregistered + r.Totals.Failed
		if !r.DryRun {
			n += r.Totals.Marked + r.Totals.Skipped
		}
		if len(lines) != n {
			t.Fatalf("%d lines for %d images", len(lines), n)
		}
		results := 0
		for _, region := range r.Regions {
			results += len(region.Leftovers)
		}
		leftovers := record.LeftoverLines(r)
		if r.DryRun {
			results = 0
		}
		if len(leftovers) != results {
			t.Fatalf("%d lines for %d leftovers", len(leftovers), results)
		}
		for _, line := range leftovers {
			data, err := json.Marshal(line)
			if err != nil || len(data) > 100_000 || strings.ContainsFunc(line.Detail, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%d bytes, %v: %q", len(data), err, line.Detail)
			}
		}
		for _, line := range lines {
			data, err := json.Marshal(line)
			if err != nil || len(data) > 100_000 || strings.Contains(string(data), "\n") {
				t.Fatalf("%d bytes, %v", len(data), err)
			}
			for _, text := range []string{line.Name, line.Error} {
				if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Fatalf("%q", text)
				}
			}
		}
	})
}

func TestMetricsDefineWhatTheyHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run, sent := anyRun(t), rapid.Bool().Draw(t, "sent")
		data := record.Metrics(run, "ami-janitor", sent)
		var line map[string]any
		var emf struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
		}
		if err := errors.Join(json.Unmarshal(data, &line), json.Unmarshal(data, &emf)); err != nil {
			t.Fatal(err)
		}
		completed := 0.0
		if sent && slices.ContainsFunc(run.Regions, func(r record.Region) bool { return r.Error == "" }) {
			completed = 1
		}
		if slices.Contains(data, '\n') || line["level"] != "INFO" || line["RunCompleted"] != completed {
			t.Fatalf("%s, want RunCompleted %v", data, completed)
		}
		for _, m := range emf.AWS.CloudWatchMetrics[0].Metrics {
			if _, ok := line[m.Name].(float64); !ok {
				t.Fatalf("%s has no value in %s", m.Name, data)
			}
		}
	})
}

func TestTheRecordHasNoNullsAndKeepsRawNames(t *testing.T) {
	var empty record.Run
	empty.Finish(finishedAt, 0.05)
	for name, run := range map[string]record.Run{"empty": empty, "nasty": situations()["nasty names"]} {
		data := marshalled(t, run)
		if strings.Contains(string(data), "null") {
			t.Errorf("%s: %s", name, data)
		}
	}
	var back record.Run
	if err := json.Unmarshal(marshalled(t, situations()["nasty names"]), &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(nasty, "\ufffd"); back.Regions[0].Images[0].Name != want {
		t.Errorf("name %q, want %q", back.Regions[0].Images[0].Name, want)
	}
}

func TestFinishTwiceIsFinishOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		before := string(marshalled(t, r))
		r.Finish(finishedAt, 0.05)
		if after := string(marshalled(t, r)); after != before {
			t.Fatalf("%s\n%s", before, after)
		}
	})
}

func TestChangesAndFailures(t *testing.T) {
	all := situations()
	for _, c := range []struct {
		situation                 string
		changes, failed, unproven bool
	}{
		{"ordinary", true, false, false},
		{"dry run", true, false, false},
		{"nothing to do", false, false, false},
		{"everything unknown", false, false, true},
		{"unknown in part, dry", true, false, true},
		{"launch data missing", true, false, true},
		{"launch data missing, dry", false, false, true},
		{"not restorable", false, false, true},
		{"used since planned", true, false, true},
		{"failures", true, true, false},
		{"region failed", true, true, false},
		{"every region failed", false, true, false},
		{"time ran out", true, false, false},
		{"announcing", true, false, false},
		{"announcing only, dry", true, false, false},
		{"waiting only", false, false, false},
		{"disabling", true, true, false},
		{"objections", true, true, false},
		{"objections, dry", true, false, false},
		{"shared reports pending", false, false, false},
		{"restorable", true, false, false},
		{"back again", true, false, true},
		{"held", true, true, true},
		{"held, dry", true, false, true},
		{"held everywhere", true, true, true},
		{"held with nothing due", true, true, true},
		{"busy", false, false, false},
		{"busy in one of two regions", true, false, false},
		{"busy for days", false, false, true},
		{"busy for days in one of two regions", true, false, true},
		{"stopped", true, true, false},
		{"leftovers", true, true, false},
		{"leftovers, dry", true, false, false},
		{"leftovers only", true, false, false},
		{"leftovers that stay", false, false, false},
		{"orphans", false, false, false},
		{"orphans unknown", false, false, true},
		{"record not kept", false, true, false},
		{"first run, dry", false, false, false},
	} {
		r, ok := all[c.situation]
		if !ok || r.Changes() != c.changes || r.Failed() != c.failed || r.LacksProof() != c.unproven {
			t.Errorf("%s: changes %v, failed %v, lacks proof %v", c.situation, r.Changes(), r.Failed(), r.LacksProof())
		}
	}
}
