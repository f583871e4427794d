package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// words are a text without its line breaks.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestTheTableShowsWhatIsNoImage(t *testing.T) {
	gone := retention.Verdict{Image: ami.Image{ID: "ami-0123456789example"}, Decision: retention.Deregister}
	outcome := ami.Outcome{ImageID: gone.Image.ID, Status: ami.Deregistered, InBinUntil: tonight.AddDate(0, 0, 14)}
	plan := retention.Plan{
		Region: "eu-west-1", Verdicts: []retention.Verdict{gone}, Orphans: make([]retention.Orphan, 3),
		Leftovers: []retention.LeftoverVerdict{
			{Leftover: ami.Leftover{Run: "run-1", SnapshotID: "snap-0123456789example"}, Delete: true},
			{Leftover: ami.Leftover{Run: "run-1", SnapshotID: "snap-1234567890example"}, Why: "named by \x1b[31m"},
		},
	}
	record := record.Run{Run: "run-2", Record: "s3://amzn-s3-demo-bucket/run-2/record.json", Regions: []record.Region{
		record.NewRegion(plan, ami.SweepResult{
			Outcomes:  []ami.Outcome{outcome},
			Leftovers: []ami.SnapshotResult{{SnapshotID: "snap-0123456789example", Status: ami.SnapshotDeleted}},
		}, ""),
		record.NewRegion(retention.Plan{Region: "us-east-1", Hold: "no Recycle Bin rule covers what is to be removed"}, ami.SweepResult{}, ""),
	}}
	record.Finish(tonight.Add(time.Minute), 0.05)
	all := unfiltered
	all.show = showAll
	table := words(terminalText(record, &all, "", 80, false))
	for _, want := range []string{
		"Snapshots whose image is gone: reported, never deleted in eu-west-1 (3)", "snap-0123456789example", "deleted: left by run run-1",
		"snap-1234567890example", "kept: left by run run-1", "named by", "us-east-1 was only planned", "no Recycle Bin rule covers what is to be removed",
		"1 image can be restored until 7 December 2026 at least: ami-janitor undo run-2", "The full record: s3://amzn-s3-demo-bucket/run-2/record.json",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in:\n%s", want, terminalText(record, &all, "", 80, false))
		}
	}
	if strings.Contains(table, "\x1b") {
		t.Errorf("%q", table)
	}
}

// hostile are names and other texts as nobody should choose them.
var hostile = []string{
	"", "web-2026-01-02", strings.Repeat("golden-base-image-", 7), strings.Repeat("\u88ab\u6545\u610f", 40), strings.Repeat("e\u0301", 60), strings.Repeat("\U0001f4a5", 30),
	"\U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea", "a\x1b[2Jb\rc\nd\te", "\u202egnp.ima", "=HYPERLINK(\"http://example.com\")", "+1", "-1", "@SUM(1)", " =1+1", "\uff1d1",
	"a|b`c`<script>[x](http://example.com)![y](z)", "\xff\xfe", "a,b;\"c\"", strings.Repeat("word ", 25),
}

// anyRun is a run with all kinds of images, whose texts are hostile.
func anyRun(t *rapid.T) record.Run {
	run := record.Run{Run: "20261123T020000Z-3f9c1a", DryRun: rapid.Bool().Draw(t, "dry"), StartedAt: tonight, Policy: map[string]string{}}
	hostileText := rapid.SampledFrom(hostile)
	number := 0
	for n := range rapid.IntRange(1, 3).Draw(t, "regions") {
		name := []string{"us-east-1", "ap-southeast-2", "eu-west-1"}[n]
		if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
			run.Regions = append(run.Regions, record.FailedRegion("123456789012", name, fmt.Errorf("asking: %s", hostileText.Draw(t, "error"))))
			continue
		}
		plan, done := retention.Plan{Account: "123456789012", Region: name}, ami.SweepResult{}
		if rapid.IntRange(0, 5).Draw(t, "holds") == 0 {
			plan.Hold = "no rule: " + hostileText.Draw(t, "hold")
		}
		for range rapid.IntRange(0, 6).Draw(t, "images") {
			number++
			v := anyVerdict(t, number)
			plan.Verdicts = append(plan.Verdicts, v)
			if status := rapid.SampledFrom([]ami.Status{"", ami.Deregistered, ami.Failed, ami.Skipped}).Draw(t, "status"); !run.DryRun && status != "" && v.Decision == retention.Deregister {
				done.Outcomes = append(done.Outcomes, anyOutcome(t, v, status))
			}
		}
		run.Regions = append(run.Regions, record.NewRegion(plan, done, "owner"))
	}
	run.Finish(tonight.Add(time.Minute), 0.05)
	digest.Advise(&run)
	return run
}

func anyVerdict(t *rapid.T, number int) retention.Verdict {
	hostileText := rapid.SampledFrom(hostile)
	v := retention.Verdict{
		Image:    ami.Image{ID: fmt.Sprintf("ami-%017x", number), Name: hostileText.Draw(t, "name"), Tags: map[string]string{"owner": hostileText.Draw(t, "owner")}},
		Decision: rapid.SampledFrom([]retention.Decision{retention.Keep, retention.Deregister, retention.Mark, retention.Defer}).Draw(t, "decision"),
		Reasons:  []retention.Reason{{Code: rapid.SampledFrom(retention.Rules()).Draw(t, "rule").Code, Detail: hostileText.Draw(t, "detail")}},
		IdleDays: rapid.IntRange(0, 99999).Draw(t, "idle"),
	}
	if v.Decision == retention.Deregister {
		for n := range rapid.IntRange(0, 2).Draw(t, "snapshots") {
			id := fmt.Sprintf("snap-%017x", number+n) // Neighbours share one.
			v.Snapshots = append(v.Snapshots, retention.SnapshotVerdict{SnapshotID: id, SizeGiB: int64(number+n) * 1000, Delete: true, LastImageID: v.Image.ID})
		}
	}
	return v
}

func anyOutcome(t *rapid.T, v retention.Verdict, status ami.Status) ami.Outcome {
	outcome := ami.Outcome{ImageID: v.Image.ID, Status: status}
	if status != ami.Deregistered {
		outcome.Error = rapid.SampledFrom(hostile).Draw(t, "fault")
		return outcome
	}
	for _, s := range v.Snapshots {
		outcome.Snapshots = append(outcome.Snapshots, ami.SnapshotResult{SnapshotID: s.SnapshotID, Status: ami.SnapshotDeleted})
	}
	return outcome
}

// widths are those of terminals.
var widths = []int{60, 80, 120, 200}

// checkWidth fails if a line is wider than the terminal, as it is displayed, or if an id is not
// whole.
func checkWidth(t rapid.TB, shown string, width int, ids []string) {
	for line := range strings.Lines(shown) {
		line = strings.TrimSuffix(line, "\n")
		if wide := text.StringWidthWithoutEscSequences(line); wide > width {
			t.Errorf("%d columns of %d: %q", wide, width, line)
		}
		if plain.Printable(line) != line {
			t.Errorf("not printable: %q", line)
		}
	}
	for _, id := range ids {
		if !regexp.MustCompile(`(?m)^` + id + `( |$)`).MatchString(shown) {
			t.Errorf("%s is not whole in %d columns:\n%s", id, width, shown)
		}
	}
}

// On no terminal is a line too long, whatever people call their images, and ids can be copied.
func TestTheTableFitsTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		all := unfiltered
		all.show = showAll
		var ids []string
		if !run.AllFailed() {
			run.Each(func(record.Image) bool { return true }, func(_ record.Region, i record.Image) { ids = append(ids, i.ImageID) })
		}
		for _, width := range widths {
			checkWidth(t, terminalText(run, &all, "REHEARSAL on a copy.\n\n", width, false), width, ids)
			if run.DryRun {
				checkWidth(t, ask(run, "", width, false), width, nil)
			}
		}
	})
}

// The sum of the table is that of the record, in which each snapshot counts once.
func TestTheSumIsThatOfTheRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		want := run.Totals.GiBDeleted
		if run.DryRun {
			want = run.Totals.GiBWouldDelete
		}
		gib, images := int64(0), 0
		for _, r := range rowsOf(run) {
			if r.kind == kindRemoved {
				gib, images = gib+r.gib, images+1
			}
		}
		if counted := run.Totals.Deregistered + run.Totals.WouldDeregister; gib != want || images != counted {
			t.Errorf("%d GiB of %d images in the rows, %d of %d in the record", gib, images, want, counted)
		}
		lines := strings.Split(strings.TrimSpace(terminalText(run, &unfiltered, "", 200, false)), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, digest.Thousands(want)+" GiB, up to $") {
			t.Errorf("the last line is %q, want %d GiB", last, want)
		}
	})
}

// A snapshot that two images share counts once, with the last of them.
func TestASharedSnapshotCountsOnce(t *testing.T) {
	plan := retention.Plan{Account: "123456789012", Region: "us-east-1"}
	for _, id := range []string{"ami-1", "ami-2"} {
		plan.Verdicts = append(plan.Verdicts, retention.Verdict{
			Image: ami.Image{ID: id, SnapshotIDs: []string{"snap-1"}}, Decision: retention.Deregister, Reasons: []retention.Reason{{Code: "stale"}},
			Snapshots: []retention.SnapshotVerdict{{SnapshotID: "snap-1", SizeGiB: 100, Delete: true, LastImageID: "ami-2"}},
		})
	}
	run := record.Run{DryRun: true, Regions: []record.Region{record.NewRegion(plan, ami.SweepResult{}, "")}}
	run.Finish(tonight, 0.05)
	rows := rowsOf(run)
	if rows[0].gib != 0 || rows[1].gib != 100 || sum(run) != "Would remove 2 images and 1 snapshot: 100 GiB, up to $5.00 a month." {
		t.Errorf("%d and %d GiB: %s", rows[0].gib, rows[1].gib, sum(run))
	}
}

// What failed, what is held, and what is unproven stands there, whatever is filtered.
func TestNoTroubleIsHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		narrow := view{show: rapid.SampledFrom([]string{showChanges, showKept, showOrphans}).Draw(t, "show"), sort: "size", owners: []string{"nobody"}, minGiB: 1 << 40}
		shown := words(terminalText(run, &narrow, "", 200, false))
		for _, region := range run.Regions {
			if (region.Error != "" || region.IsHeld()) && !strings.Contains(shown, "Needs you") && !run.AllFailed() {
				t.Errorf("nothing of %s: %s", region.Region, shown)
			}
		}
		_, listed, _ := narrow.rows(run)
		run.Each(record.Image.Failed, func(_ record.Region, i record.Image) {
			if !slices.ContainsFunc(listed, func(r row) bool { return r.id == i.ImageID }) {
				t.Errorf("%s, which failed, is not listed: %s", i.ImageID, shown)
			}
		})
	})
}

// What is too long for a line keeps the end that tells it from others.
func TestLongWords(t *testing.T) {
	for words, want := range map[string]string{
		"named by arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0":          "named by\n…nce/i-0123456789abcdef0",
		"run 20261123T020000Z-3f9c1a, of another policy":                                    "run\n20261123T020000Z-3f9c1a,\nof another policy",
		"ec2:DescribeImageAttribute: denied":                                                "…DescribeImageAttribute:\ndenied",
		"the bucket amzn-s3-demo-bucket-of-a-long-name":                                     "the bucket\namzn-s3-demo-bucket-of-…",
		"arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0123456789abcdef0 (default)": "…te/lt-0123456789abcdef0\n(default)",
	} {
		if got := wrap(words, 24); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	r := record.Run{Run: "20261123T020000Z-3f9c1a", Record: "/home/operator/.local/state/ami-janitor/123456789012/runs/20261123T020000Z-3f9c1a/record.json"}
	r.Regions = []record.Region{{Region: "eu-west-1", Images: []record.Image{{ImageID: "ami-1", Verdict: retention.Keep}}}}
	want := `
The full record: /home/operator/.local/state/ami-janitor/123456789012/runs/
20261123T020000Z-3f9c1a/record.json
`
	if got := terminalText(r, &unfiltered, "", 80, false); !strings.Contains(got, want) {
		t.Errorf("no %s in:\n%s", want, got)
	}
}

// The sample on terminals of all widths, with a person to look at it.
func TestTheSampleOnATerminal(t *testing.T) {
	dir := directory(t)
	for _, width := range widths {
		coloured := onTerminal(t, width, "rehearse", "--account", dir, "--now", nightly, "--dry-run")
		got := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, "")
		checkWidth(t, got, width, []string{"ami-0ec0ffeee9243ad26"})
		for _, want := range []string{"Would be removed (", "Not changed (", "Needs you (", "in-use", "REHEARSAL", " GiB, up to $"} {
			if !strings.Contains(words(got), want) {
				t.Errorf("%d columns: %q is not in:\n%s", width, want, got)
			}
		}
		if width >= 80 && !regexp.MustCompile(`(?m)^ami-0ec0ffeea523cf41a  worker-1\.38\.0-77d30fa  +520   \$26\.00  never, \d+ days$`).MatchString(got) {
			t.Errorf("%d columns: a name is not whole:\n%s", width, got)
		}
		if width < 80 && !strings.Contains(got, "\n  before-upgrade, no launch in 1,") {
			t.Errorf("%d columns: the last use is not said:\n%s", width, got)
		}
		if strings.Contains(got, "license-server") {
			t.Errorf("what is kept is listed:\n%s", got)
		}
	}
	if got := onTerminal(t, 80, "rehearse", "--account", dir, "--now", nightly, "--dry-run", "--output", "text"); !strings.HasPrefix(words(got), "REHEARSAL on a copy: whatever it says, no real account was changed. Dry run: would ") {
		t.Errorf("the text is no digest: %s", got)
	}
}

// All that there is to say is in the long digest alone.
func TestTheLongDigest(t *testing.T) {
	short, long := rehearsed(t), rehearsed(t, "--output=text", "--show=all")
	if !strings.Contains(long.out, "\nKEPT (") || strings.Contains(short.out, "\nKEPT (") || len(long.out) < 2*len(short.out) {
		t.Errorf("%s\n\n%s", short.out, long.out)
	}
}

// onTerminal is what a command shows on a terminal of so many columns.
func onTerminal(t *testing.T, columns int, args ...string) string {
	t.Helper()
	term := newTerminal(t, columns)
	var errs bytes.Buffer
	run(t.Context(), args, streams{strings.NewReader(""), term.tty, &errs}, func(string) string { return "" })
	_ = term.tty.Close()
	<-term.closed
	return strings.ReplaceAll(term.text(), "\r\n", "\n")
}

// rehearsed is what a rehearsal on the sample prints.
func rehearsed(t *testing.T, args ...string) result {
	t.Helper()
	return cli(t, nil, slices.Concat([]string{"rehearse", "--account", directory(t), "--now", nightly, "--dry-run"}, args)...)
}

// A program gets a table in CSV, and nothing else on the standard output.
func TestCSV(t *testing.T) {
	got := rehearsed(t, "--output=csv", "--show=all")
	lines, err := csv.NewReader(strings.NewReader(got.out)).ReadAll()
	if err != nil || len(lines) < 88 || lines[0][1] != "id" {
		t.Fatalf("%v, %d lines: %s", err, len(lines), got.out)
	}
	if !strings.Contains(got.err, "Would remove") || !strings.Contains(got.err, "What to do: ") || !strings.Contains(got.err, "REHEARSAL") {
		t.Errorf("%q", got.err)
	}
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		rows := rowsOf(run)
		lines, err := csv.NewReader(strings.NewReader(flat(run, rows, csvCell).RenderCSV())).ReadAll()
		if err != nil || len(lines) <= len(rows) {
			t.Fatalf("%v: %d lines of %d rows", err, len(lines), len(rows))
		}
		for _, cell := range slices.Concat(lines...) {
			if strings.TrimLeft(cell, " \t") != "" && strings.ContainsRune("=+-@\uff1d", []rune(strings.TrimLeft(cell, " \t"))[0]) {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	})
}

// A document gets a table in Markdown, and no markup that somebody else has chosen.
func TestMarkdown(t *testing.T) {
	got := rehearsed(t, "--output=markdown")
	if !strings.Contains(got.out, "| us-east-1 | ami-0ec0ffeee9243ad26 | before-upgrade | would remove |") || !strings.Contains(got.out, "Would remove 2") || got.err != "" {
		t.Errorf("%+v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		run := anyRun(t)
		page := markdown(run, rowsOf(run), "")
		if markup := regexp.MustCompile("[<`]|://|(^|[^\\\\])[\\[\\]]").FindString(page); markup != "" {
			t.Errorf("%q in %s", markup, page)
		}
		bars := 0
		for i, line := range strings.Split(page, "\n") {
			switch n := strings.Count(line, "|") - strings.Count(line, `\|`); {
			case i == 0:
				bars = n
			case strings.HasPrefix(line, "|") && n != bars:
				t.Errorf("%d bars instead of %d: %s", n, bars, line)
			}
		}
	})
}

// A view leaves rows out, says so, and changes nothing else.
func TestViews(t *testing.T) {
	all := rehearsed(t, "--output=json", "--owner-tag=Team").record(t)
	for name, test := range map[string]struct {
		args       []string
		has, lacks []string
	}{
		"changes":    {nil, []string{"before-upgrade"}, []string{"license-server"}},
		"kept":       {[]string{"--show=kept"}, []string{"license-server"}, []string{"before-upgrade"}},
		"all":        {[]string{"--show=all"}, []string{"license-server", "before-upgrade", "Snapshots whose image is gone"}, nil},
		"orphans":    {[]string{"--show=orphans"}, []string{"Snapshots whose image is gone"}, []string{"before-upgrade"}},
		"a size":     {[]string{"--min-gib=500"}, []string{"before-upgrade", "Filtered by --min-gib: ", "are not shown"}, []string{"map-tiles"}},
		"a reason":   {[]string{"--reason=never-launched"}, []string{"before-upgrade", "Filtered by --reason"}, []string{"seismic-archive"}},
		"a family":   {[]string{"--family=ci-runner"}, []string{"ci-runner", "Filtered by --family"}, []string{"before-upgrade"}},
		"an owner":   {[]string{"--owner=Data"}, []string{"before-upgrade", "Filtered by --owner"}, []string{"map-tiles"}},
		"two owners": {[]string{"--owner=data", "--owner=nobody", "--reason=stale"}, []string{"Filtered by --owner and --reason"}, []string{"map-tiles"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := rehearsed(t, append([]string{"--output=table", "--owner-tag=Team"}, test.args...)...).out
			for _, want := range test.has {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in:\n%s", want, got)
				}
			}
			for _, not := range test.lacks {
				if strings.Contains(got, not) {
					t.Errorf("%q is in:\n%s", not, got)
				}
			}
			if lines := strings.Split(strings.TrimSpace(got), "\n"); lines[len(lines)-1] != sum(all) {
				t.Errorf("the sum depends on the view: %q, want %q", lines[len(lines)-1], sum(all))
			}
		})
	}
	for order, first := range map[string]string{"size": "seismic-archive", "age": "before-upgrade", "name": "api-"} {
		got := rehearsed(t, "--output=table", "--sort="+order).out
		if line := strings.Split(got, "\n")[2]; !strings.Contains(line, first) {
			t.Errorf("--sort %s begins with %q, want %s", order, line, first)
		}
	}
}

func TestWrongViews(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"--show=everything --output=table", "--show"},
		{"--sort=color --output=csv", "--sort"},
		{"--reason=bored --output=csv", "--reason"},
		{"--owner=data --output=table", "--owner-tag"},
		{"--min-gib=-1 --output=markdown", "--min-gib"},
		{"--owner=data --owner-tag=Team", "--output"},
		{"--show=kept --output=json", "--output"},
		{"--show=kept", "--output"},
		{"--output=html", "html"},
	} {
		got := rehearsed(t, strings.Fields(test.args)...)
		if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: %+v", test.args, got)
		}
	}
}

// The question shows all that changes, whatever is filtered.
func TestTheQuestionIsNotFiltered(t *testing.T) {
	var run record.Run
	if err := json.Unmarshal([]byte(rehearsed(t, "--output=json").out), &run); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	chosen := outputTable
	p := chosen.printer(streams{strings.NewReader("no\n"), &out, &errs})
	p.view = &view{show: showKept, sort: "size", minGiB: 1 << 40}
	if p.confirm(t.Context(), run) || !p.declined {
		t.Error("a no is no no")
	}
	asked := errs.String()
	run.Each(record.Image.Planned, func(_ record.Region, i record.Image) {
		if !strings.Contains(asked, i.ImageID) {
			t.Errorf("%s is not in the question", i.ImageID)
		}
	})
	if strings.Contains(asked, "license-server") || !strings.Contains(asked, "Type yes to do this: ") {
		t.Error(asked)
	}
}

// With --yes nobody reads the table: filters of it are taken for a choice of images.
func TestAFilterIsNoScope(t *testing.T) {
	account := serving(t, asItIs)
	got := cli(t, nil, "sweep", "--yes", "--output=table", "--reason=stale", "--min-gib=500")
	if got.status != exitUsage || !strings.Contains(got.err, "--reason and --min-gib filter what is shown") || writes(account) > 0 {
		t.Errorf("%+v", got)
	}
}

// A table says of orphans that they are never deleted only where the policy deletes none.
func TestTheTableSaysWhatBecomesOfOrphans(t *testing.T) {
	for decision, never := range map[retention.Decision]bool{"": true, retention.Keep: false, retention.Deregister: false} {
		plan := retention.Plan{Region: "eu-west-1", Orphans: []retention.Orphan{
			{SnapshotID: "snap-0123456789example", ImageID: "ami-0123456789example", Decision: decision},
			{SnapshotID: "snap-1234567890example", Imported: true, Decision: decision},
		}}
		record := record.Run{Run: "run-2", Regions: []record.Region{record.NewRegion(plan, ami.SweepResult{}, "")}}
		record.Finish(tonight.Add(time.Minute), 0.05)
		all := unfiltered
		all.show = showOrphans
		table := words(terminalText(record, &all, "", 80, false))
		if strings.Contains(table, "never deleted") != never || !strings.Contains(table, "made for ami-0123456789example") || !strings.Contains(table, "made by VM Import") {
			t.Errorf("%q: %s", decision, table)
		}
	}
}
