package janitor_test

import (
	"bytes"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// The digest that README.md and docs/digest.md show lines of: what make demo sends, on one night.
func TestSampleDigest(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		account, err := sample.Load(emulator.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		j := newJanitor(t, account.Client(), settings{
			"DRY_RUN": "false", "MAX_DEREGISTRATIONS": "8", "RECORDS": "s3://" + emulator.RecordsBucket,
			"REQUIRE_RECYCLE_BIN": "true", "RECYCLE_BIN_DAYS": "14",
		})
		j.Version, j.Reader = "v0.1.0", record.Reader{Stack: "ami-janitor", Home: "us-east-1"}
		record := j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)
		got := "Subject: " + digest.Subject(record) + "\n\n" + digest.Text(record)

		if lines := strings.Count(digest.Text(record), "\n"); lines > 60 {
			t.Errorf("%d lines are more than a screen", lines)
		}
		checkGolden(t, "testdata/sample-digest.txt", got)
		var text bytes.Buffer
		if err := record.Encode(&text, ""); err != nil {
			t.Fatal(err)
		}
		// The report is tested with it.
		checkGolden(t, "testdata/sample-record.json", text.String())
	})
}

func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); make golden rewrites it:\n%s", path, diff)
	}
}

// gallery collects what records show, and in which run it was seen first.
type gallery map[string]string

func (g gallery) add(where string, record record.Run) {
	show := func(what string) {
		if _, ok := g[what]; !ok {
			g[what] = where
		}
	}
	for _, region := range record.Regions {
		if region.Error != "" {
			show("region failed")
		}
	}
	for _, i := range allImages(record) {
		show(string(i.Verdict))
		for _, reason := range i.Reasons {
			show("reason " + string(reason.Code))
		}
		if i.Unmark != "" {
			show("unmark " + string(i.Unmark))
		}
		if i.Action != "" {
			show("action " + string(i.Action))
		}
		if i.Outcome == nil {
			continue
		}
		show("image " + string(i.Outcome.Status))
		for _, s := range i.Outcome.Snapshots {
			show("snapshot " + string(s.Status))
		}
	}
}

// sampleLife is the home region of the sample account over many nights.
func sampleLife(t *testing.T, s settings) *life {
	t.Helper()
	account, err := emulator.Load(sample.Files(now, "us-east-1"), emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, dir: t.TempDir(), settings: s, account: account}
	l.save()
	// Those of the sample, where a dry run may write as well.
	l.records = filepath.Join(l.dir, "of runs")
	if err := os.CopyFS(l.records, os.DirFS(filepath.Join(l.dir, emulator.RecordsBucket))); err != nil {
		t.Fatal(err)
	}
	return l
}

// The sample account is what people see first: over a few configurations and nights it shows
// everything that the janitor can say. What the account itself cannot show, an interference in the
// middle of a run, is brought about.
func TestTheSampleAccountShowsEverything(t *testing.T) {
	t.Parallel()
	shown := gallery{}
	oneNight(t, shown)
	manyNights(t, shown)
	interfered(t, shown)
	recentlyRemoved(t, shown)
	declined(t, shown)
	copied(t, shown)
	approved(t, shown)

	want := []string{
		"keep", "deregister", "defer", "mark", "image deregistered", "image marked", "image failed", "image skipped",
		"snapshot deleted", "snapshot kept", "snapshot failed", "action announce", "action deprecate", "action disable", "unmark veto", "unmark clear",
	}
	for _, rule := range retention.Rules() {
		want = append(want, "reason "+string(rule.Code))
	}
	for _, w := range want {
		if shown[w] == "" {
			t.Errorf("the sample account does not show %s: add an image that does to pkg/emulator/sample/images.go; "+
				"if a setting switches it on, add a night with it to oneNight in this file", w)
		}
	}
}

// oneNight runs the sample account of two regions once, with and without removals that fail.
func oneNight(t *testing.T, shown gallery) {
	t.Helper()
	for name, s := range map[string]settings{
		"as it is":            {},
		"both regions":        {"REGIONS": "all"},
		"a low cap":           {"MAX_DEREGISTRATIONS": "3"},
		"a low cap, complete": {"MAX_DEREGISTRATIONS": "3"},
		"a scope":             {"NAMES": "!web-*", "KEEP_NEWEST": "2"},
		"a keep list":         {"KEEP_LIST": listFile(t, "web-*\n"), "REGIONS": "all"},
		"a keep list 2":       {"KEEP_LIST": "ssm:/golden/rhel-9/current"},
		"judging more":        {"SHARED_IMAGES": "report", "IMAGE_BUILDER_IMAGES": "judge", "MARKETPLACE_IMAGES": "judge", "FAILED_IMAGES": "judge", "LAUNCH_TEMPLATE_VERSIONS": "1"},
		"without a census":    {"SHARED_IMAGES": "organization"},
		"less evidence":       {"USAGE_SOURCES": "references", "DELETE_SNAPSHOTS": "false"},
		"with owners":         {"GRACE": "14d", "OWNER_TAG": "Team", "REGIONS": "all"},
		"another region":      {"REGIONS": "eu-west-1"},
		"what can be undone":  {"REQUIRE_RECYCLE_BIN": "true"},
	} {
		for _, faulty := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				account, err := sample.Load(emulator.Options{Now: func() time.Time { return now }})
				if err != nil {
					t.Fatal(err)
				}
				before := holdings(t, account)
				var doer emulator.Doer = account.Client()
				if faulty {
					doer = disturb.Fail(doer, "DeregisterImage", func(n int, _ emulator.Request) bool { return n == 2 }, http.StatusBadRequest, "OperationNotPermitted", "No.")
					doer = disturb.Fail(doer, "DeregisterImage", func(n int, _ emulator.Request) bool { return n == 3 }, http.StatusBadRequest, "InvalidAMIID.NotFound", "No.")
					doer = disturb.Fail(doer, "DeleteSnapshot", nil, http.StatusForbidden, "UnauthorizedOperation", "No.")
				}
				j := newJanitor(t, doer, s)
				j.Complete = name == "a low cap, complete"
				record := j.Run(t.Context(), "run", false)
				checkRecord(t, record, 100)
				if !faulty && s["REGIONS"] == "" {
					checkState(t, record, before, holdings(t, account))
				}
				if record.Failed() && !faulty {
					t.Errorf("%s: the run failed: %+v %v", name, record.Totals, janitor.Err(record))
				}
				if faulty {
					name += ", with faults"
				}
				shown.add(name, record)
			})
		}
	}
}

// manyNights runs the sample account with a grace period, and with usage reports.
func manyNights(t *testing.T, shown gallery) {
	t.Helper()
	for _, act := range []string{"announce", "disable", "deprecate"} {
		l := sampleLife(t, settings{"GRACE": "14d", "GRACE_ACTION": act, "SHARED_IMAGES": "report"})
		removedBefore := 0
		for _, day := range []int{0, 1, 2, 14, 15, 16} {
			record := l.real(day)
			if record.Failed() {
				t.Errorf("%s, day %d: %+v %v", act, day, record.Totals, janitor.Err(record))
			}
			shown.add(act+", "+night(day).Format(time.DateOnly), record)
			if day < 14 {
				removedBefore = max(removedBefore, record.Totals.Deregistered)
				continue
			}
			if day == 14 && record.Totals.Deregistered <= removedBefore {
				t.Errorf("%s, day %d: %+v", act, day, record.Totals)
			}
		}
	}
	l := sampleLife(t, settings{"GRACE": "14d"})
	l.real(0)
	l.settings["NAMES"] = "!*"
	shown.add("out of scope", l.real(1))
}

// interfered lets somebody launch an image, and tag another, while the run is about to remove them.
func interfered(t *testing.T, shown gallery) {
	t.Helper()
	l := sampleLife(t, nil)
	var due []string
	for _, i := range allImages(l.run(now, true)) {
		if i.Verdict == retention.Deregister {
			due = append(due, i.ImageID)
		}
	}
	if len(due) < 3 {
		t.Fatalf("%d images are due", len(due))
	}
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return atTheSecondLook(next, func() {
			l.meanwhile(func() {
				l.edit("describe-instances.json", func(content object) {
					content["Reservations"] = append(content["Reservations"].([]any), instance(1, due[0], "pending"))
				})
				l.edit("describe-images.json", func(content object) {
					for _, item := range content["Images"].([]any) {
						if o := item.(object); o["ImageId"] == due[1] {
							o["Tags"] = []object{{"Key": "Owner", "Value": "me"}}
						}
					}
				})
			})
		})
	}
	record := l.run(now, false)
	for n, code := range []string{"used-since-planned: named by arn:aws:ec2:us-east-1:123456789012:instance/", "changed-since-planned: the tag that declared its removal is gone"} {
		if got := verdicts(record)[due[n]]; got != "skipped" || !strings.Contains(reasons(record, due[n]), code) {
			t.Errorf("%s: %s: %s", due[n], got, reasons(record, due[n]))
		}
	}
	if record.Totals.Skipped != 2 || record.Totals.Deregistered != len(due)-2 {
		t.Errorf("%d due: %+v", len(due), record.Totals)
	}
	shown.add("interfered", record)
}

// recentlyRemoved runs a second time while EC2 still lists what the first run has removed.
func recentlyRemoved(t *testing.T, shown gallery) {
	t.Helper()
	l := sampleLife(t, settings{"RECORDS": t.TempDir(), "NAMES": "report-engine-b"})
	var listed []any
	l.edit("describe-images.json", func(content object) { listed = content["Images"].([]any) })
	if record := l.run(now, false); record.Totals.Deregistered != 1 {
		t.Fatalf("%+v", record.Totals)
	}
	l.edit("describe-images.json", func(content object) { content["Images"] = listed })
	l.settings["NAMES"] = "report-engine-*"
	record := l.run(now.Add(time.Minute), false)
	if record.Totals.Kept != record.Totals.Images {
		t.Errorf("%+v", record.Totals)
	}
	shown.add("just removed, and listed", record)
}

// copied runs after a copy of an image has come with the tags of that image's removal.
func copied(t *testing.T, shown gallery) {
	t.Helper()
	l := sampleLife(t, settings{"NAMES": "report-engine-b"})
	l.edit("describe-images.json", func(content object) {
		for _, item := range content["Images"].([]any) {
			if o := item.(object); o["Name"] == "report-engine-b" {
				o["Tags"] = []object{{"Key": "ami-janitor:intent", "Value": "remove"}, {"Key": "ami-janitor:run", "Value": string(ami.NewRunID(night(-3000), strings.NewReader("abc")))}}
			}
		}
	})
	record := l.run(now, false)
	if text := digest.Full(record); record.Totals.Kept != record.Totals.Images || !strings.Contains(text, "COPIED TAGS (1)") {
		t.Errorf("%+v\n%s", record.Totals, text)
	}
	shown.add("copied with its tags", record)
}

// approved carries out a plan after people have approved only one image of it.
func approved(t *testing.T, shown gallery) {
	t.Helper()
	l := sampleLife(t, settings{})
	l.at = now
	j := l.janitor()
	var planned retention.Approved
	j.Planned = func(plans []retention.Plan) { planned = retention.Approve(plans) }
	dry := j.Run(t.Context(), "20261123T020000Z-3f9c1a", true)
	images := planned.Regions["us-east-1"].Images
	if len(images) < dry.Totals.WouldDeregister || dry.Totals.WouldDeregister < 2 || len(writes(l.account)) > 0 {
		t.Fatalf("%d approved of %+v", len(images), dry.Totals)
	}
	first := ""
	dry.Each(record.Image.Planned, func(_ record.Region, i record.Image) {
		if first == "" {
			first = i.ImageID
		}
	})
	maps.DeleteFunc(images, func(id string, _ retention.ApprovedImage) bool { return id != first })
	j.Planned, j.Approved = nil, &planned
	j.Confirm = func(plan record.Run) bool {
		if plan.Totals.WouldDeregister != 1 {
			t.Errorf("asked about %+v", plan.Totals)
		}
		return true
	}
	done := j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)
	if done.Totals.Deregistered != 1 || done.Totals.Failed > 0 || done.Count(func(i record.Image) bool { return i.Removed() && i.ImageID == first }) != 1 {
		t.Errorf("%+v", done.Totals)
	}
	shown.add("narrowed to what is approved", done)
}

// declined runs a second night after one in which EC2 has refused a removal.
func declined(t *testing.T, shown gallery) {
	t.Helper()
	l := sampleLife(t, settings{"RECORDS": t.TempDir()})
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeregisterImage", func(n int, _ emulator.Request) bool { return n == 1 }, http.StatusBadRequest, "OperationNotPermitted", "No.")
	}
	if record := l.real(0); record.Totals.Failed != 1 {
		t.Errorf("%+v", record.Totals)
	}
	record := l.real(1)
	if record.Failed() || record.Totals.Refused != 1 {
		t.Errorf("%+v", record.Totals)
	}
	shown.add("refused the night before", record)
}
