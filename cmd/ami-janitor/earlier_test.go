package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// earlier is an account with the tags, the journal and the records of an earlier version. Its
// README says what had happened.
const earlier = "testdata/earlier/account"

// nextNight is the first night after the update to this version.
var nextNight = time.Date(2026, time.November, 12, 3, 0, 0, 0, time.UTC)

var earlierPolicy = []string{
	"POLICY_NAME=ami-janitor", "GRACE=7d", "GRACE_ACTION=disable", "KEEP_NEWEST=0", "SHARED_IMAGES=report",
	"REGIONS=us-east-1,eu-west-1,eu-central-1", "AWS_REGION=us-east-1", "EC2_SHARE=1",
}

// fate is what the earlier version itself did with an image on that night, and how it left it.
type fate struct {
	name    string
	plan    string // The verdict and the codes of its reasons.
	outcome string // The status of the image, and of its snapshots.
	// leaves are the state of the image, its day of deprecation, and its tags without their prefix.
	leaves string
}

var fates = []fate{
	{"announce-due", "deregister stale", "deregistered deleted", ""},
	{"announce-put-off", "keep announced", "", "available announced-by due=2026-11-25"},
	{"announce-objected", "keep vetoed", "", "available restored=2026-11-12"},
	{"announce-used", "keep in-use", "", "available restored=2026-11-12"},
	{"announce-written-again", "keep unrecorded", "", "available announced-by due=2026-11-10"},
	{"deprecate-due", "deregister stale", "deregistered deleted", ""},
	{"deprecate-put-off", "keep announced", "", "available 2026-11-11 announced-by due=2026-11-25"},
	{"deprecate-objected", "keep vetoed", "", "available 2026-11-11 restored=2026-11-12"},
	{"deprecate-used", "keep in-use", "", "available restored=2026-11-12"},
	{"disable-due", "deregister stale", "deregistered deleted", ""},
	{"disable-put-off", "keep announced", "", "disabled announced-by disabled due=2026-11-25"},
	{"disable-objected", "keep not-available vetoed", "", "disabled restored=2026-11-12"},
	{"disable-used", "keep in-use", "", "available restored=2026-11-12"},
	{"refused-early", "deregister stale", "deregistered deleted", ""},
	{"refused-late", "mark stale", "marked", "disabled announced-by disabled due=2026-11-19"},
	{"shared-reported", "keep usage-report-pending", "", "available"},
	{"restored-by-undo", "keep recently-used", "", "available restored=2026-11-10"},
	{"restored-by-hand", "keep restored", "", "available restored=2026-11-12"},
	{"cut-before-first", "keep restored", "", "available restored=2026-11-12"},
	{"cut-before-second", "mark stale", "skipped changed-since-planned", "available"},
	{"in-use-lately", "keep recently-used", "", "available"},
	{"announced-before-the-end", "keep announced", "", "available 2026-11-17 announced-by due=2026-11-17"},
	{"announced-after-the-end", "mark stale", "marked", "disabled announced-by disabled due=2026-11-19"},
}

// aftermath is what a record says of what earlier runs have left, by ids.
var aftermath = map[string]string{
	"snap-0ec0ffee000000137": "leftover of 20261108T020000Z-3f9c08: deleted",
	"snap-0ec0ffee000000135": "tags of 20261108T020000Z-3f9c08: cleared",
	"snap-0ec0ffee000000124": "tags of 20261106T020000Z-3f9c06: cleared",
	"snap-0ec0ffee00000012a": "tags of 20261107T020000Z-3f9c07: cleared",
	"ami-0ec0ffee00000012b":  "tags of 20261107T020000Z-3f9c07: cleared",
	"snap-0ec0ffee00000012c": "tags of 20261107T020000Z-3f9c07: cleared",
}

// The names of the fields are those of a record's contract.
type (
	plannedImage struct {
		Name    string
		Verdict string
		Reasons []struct{ Code string }
		Outcome *struct {
			Status    string
			Snapshots []struct{ Status string }
		}
	}
	plannedRegion struct {
		Region, Error, Hold string
		Images              []plannedImage
		Leftovers           []struct{ Run, SnapshotID, Status string } `json:"finished"`
		// Declarations are stale ones.
		Declarations []struct{ Run, ID, Status string } `json:"strays"`
	}
)

func (i plannedImage) fate() fate {
	plan, outcome := []string{i.Verdict}, []string(nil)
	if i.Outcome != nil {
		outcome = append(outcome, i.Outcome.Status)
		for _, snapshot := range i.Outcome.Snapshots {
			outcome = append(outcome, snapshot.Status)
		}
	}
	for _, reason := range i.Reasons {
		if strings.HasSuffix(reason.Code, "-since-planned") {
			outcome = append(outcome, reason.Code)
		} else {
			plan = append(plan, reason.Code)
		}
	}
	return fate{name: i.Name, plan: strings.Join(plan, " "), outcome: strings.Join(outcome, " ")}
}

// The next night goes on where the earlier version has stopped, as that version would.
func TestTheNightAfterAnUpdate(t *testing.T) {
	out := t.TempDir()
	got := cli(t, earlierPolicy, "rehearse", "--account", earlier, "--now", nextNight.Format(time.RFC3339), "--output", "json", "--state-out", out)
	var night struct{ Regions []plannedRegion }
	if err := json.Unmarshal([]byte(got.out), &night); err != nil || got.status != exitRemovalFailed || len(night.Regions) != 3 {
		t.Fatalf("%v, status %d: %s", err, got.status, got.err)
	}
	found, after := map[string]fate{}, map[string]string{}
	for _, region := range night.Regions {
		if region.Error != "" || region.Hold != "" {
			t.Errorf("%s: %s%s", region.Region, region.Error, region.Hold)
		}
		for _, image := range region.Images {
			found[image.Name] = image.fate()
		}
		for _, leftover := range region.Leftovers {
			after[leftover.SnapshotID] = "leftover of " + leftover.Run + ": " + leftover.Status
		}
		for _, stale := range region.Declarations {
			after[stale.ID] = "tags of " + stale.Run + ": " + stale.Status
		}
	}
	left := leftBehind(t, out)
	for _, want := range fates {
		got := found[want.name]
		got.leaves = left[want.name]
		if got != want {
			t.Errorf("\ngot  %q\nwant %q", got, want)
		}
	}
	if len(found) != len(fates) {
		t.Errorf("%d images, want %d", len(found), len(fates))
	}
	if !maps.Equal(after, aftermath) {
		t.Errorf("got %v\nwant %v", after, aftermath)
	}
	if unfinished, _ := filepath.Glob(filepath.Join(out, "records/unfinished/*/*")); len(unfinished) > 0 {
		t.Errorf("still unfinished: %v", unfinished)
	}
}

// leftBehind says how the images of an account directory are, by name.
func leftBehind(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "regions/*/describe-images.json"))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]string{}
	for _, file := range append(files, filepath.Join(dir, "describe-images.json")) {
		var listed struct {
			Images []struct {
				Name, State, DeprecationTime string
				Tags                         []struct{ Key, Value string }
			}
		}
		data, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(data, &listed) != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, image := range listed.Images {
			words := []string{image.State}
			if image.DeprecationTime != "" {
				words = append(words, image.DeprecationTime[:len(time.DateOnly)])
			}
			var tags []string
			for _, tag := range image.Tags {
				key := strings.TrimPrefix(tag.Key, "ami-janitor:")
				if key == "due" || key == "restored" {
					key += "=" + tag.Value
				}
				tags = append(tags, key)
			}
			slices.Sort(tags)
			left[image.Name] = strings.Join(append(words, tags...), " ")
		}
	}
	return left
}

func TestExplainAfterAnUpdate(t *testing.T) {
	var names []string
	for _, fate := range fates {
		names = append(names, fate.name)
	}
	plans := explained(t, names...)
	for _, want := range fates {
		if plans[want.name] != want.plan {
			t.Errorf("%s: %q, want %q", want.name, plans[want.name], want.plan)
		}
	}
	atOnce := explained(t, "--grace=0d", "refused-late", "cut-before-second")
	if want := map[string]string{"refused-late": "defer stale refused", "cut-before-second": "deregister stale"}; !maps.Equal(atOnce, want) {
		t.Errorf("without a grace period: %v, want %v", atOnce, want)
	}
}

// explained returns what explain says that the next night is going to do with images, by name.
func explained(t *testing.T, args ...string) map[string]string {
	t.Helper()
	args = append([]string{"explain", "--account", earlier, "--now", nextNight.Format(time.RFC3339), "--output", "json"}, args...)
	got := cli(t, earlierPolicy, args...)
	var explanations []struct{ Image plannedImage }
	if err := json.Unmarshal([]byte(got.out), &explanations); err != nil || got.status != 0 {
		t.Fatalf("%v, status %d: %s", err, got.status, got.err)
	}
	plans := map[string]string{}
	for _, explanation := range explanations {
		plans[explanation.Image.Name] = explanation.Image.fate().plan
	}
	return plans
}

// Every run of the earlier version can be undone: by its record, or by tags if it was killed.
func TestUndoAfterAnUpdate(t *testing.T) {
	dir := untilToday(t)
	leadTo(t, *emulating(t, nil, "--account", dir).BaseEndpoint)
	policy := append(slices.Clone(earlierPolicy), "RECORDS=s3://records")
	removed := map[string]string{}
	for _, removal := range cli(t, policy, "undo", "--list", "--output=json").restorable(t) {
		removed[removal.Name] = removal.Run[len(removal.Run)-1:]
	}
	if want := map[string]string{"removed": "2", "removed-shared-a": "2", "removed-shared-b": "2", "left-single": "8", "left-shared-a": "8", "left-shared-b": "8"}; !maps.Equal(removed, want) {
		t.Errorf("the bin holds %v, want %v", removed, want)
	}
	for suffix, want := range map[string]string{
		"01": "",
		"02": "removed-shared-a: restored [restored]; removed-shared-b: restored [restored]; removed: restored [restored]",
		"03": "",
		"06": "restored-by-hand: present [present]; restored-by-undo: present [present]",
		"07": "unrecorded; cut-before-first: present [present]; cut-before-second: present [present]",
		"08": "unrecorded; left-shared-a: restored [present]; left-shared-b: restored [present]; left-single: restored [present present]",
		"09": "",
	} {
		runs, err := filepath.Glob(filepath.Join(dir, "records/runs/*-3f9c"+suffix))
		if err != nil || len(runs) != 1 {
			t.Fatalf("%v, %v", runs, err)
		}
		got := cli(t, policy, "undo", filepath.Base(runs[0]), "--output=json")
		if text := undoneWords(t, got); text != want || got.status != 0 {
			t.Errorf("run %s, status %d %s\ngot  %s\nwant %s", suffix, got.status, got.err, text, want)
		}
	}
	if list := cli(t, policy, "undo", "--list", "--output=json").restorable(t); len(list) > 0 {
		t.Errorf("left in the bin: %+v", list)
	}
}

func undoneWords(t *testing.T, got result) string {
	t.Helper()
	var undone struct {
		Unrecorded bool
		Regions    []struct {
			Images []struct {
				Name, Status string
				Snapshots    []struct{ Status string }
			}
		}
	}
	if err := json.Unmarshal([]byte(got.out), &undone); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	var words []string
	for _, region := range undone.Regions {
		for _, image := range region.Images {
			var snapshots []string
			for _, snapshot := range image.Snapshots {
				snapshots = append(snapshots, snapshot.Status)
			}
			words = append(words, fmt.Sprintf("%s: %s %v", image.Name, image.Status, snapshots))
		}
	}
	slices.Sort(words)
	if undone.Unrecorded {
		words = append([]string{"unrecorded"}, words...)
	}
	return strings.Join(words, "; ")
}

// date is one of a text or a run id.
var date = regexp.MustCompile(`2026(-?)(\d\d)-?(\d\d)`)

// untilToday returns a directory with the account of the earlier version, all dates moved so that
// the next night is today: a command that works on a real account goes by the clock of the machine.
func untilToday(t *testing.T) string {
	t.Helper()
	const day = 24 * time.Hour
	days := int(time.Now().UTC().Truncate(day).Sub(nextNight.Truncate(day)) / day)
	moved := func(text string) string {
		return date.ReplaceAllStringFunc(text, func(found string) string {
			layout := "20060102"
			if strings.Contains(found, "-") {
				layout = time.DateOnly
			}
			at, err := time.Parse(layout, found)
			if err != nil {
				t.Fatal(err)
			}
			return at.AddDate(0, 0, days).Format(layout)
		})
	}
	dir, files := t.TempDir(), os.DirFS(earlier)
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, moved(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(moved(string(data))), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every field of an earlier record is read, and written again under the same name.
func TestRecordsOfAnEarlierVersion(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(earlier, "records/runs/*/record.json"))
	if err != nil || len(files) != 7 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var read record.Run
		var again bytes.Buffer
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := read.Encode(&again, ""); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var before, after any
		if err := json.Unmarshal(data, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again.Bytes(), &after); err != nil {
			t.Fatal(err)
		}
		if lost := notIn(after, before, filepath.Base(filepath.Dir(file))); lost != "" {
			t.Error(lost)
		}
	}
}

// notIn says where a part of one JSON value is missing in another, or is another one there.
func notIn(whole, part any, path string) string {
	switch part := part.(type) {
	case map[string]any:
		fields, _ := whole.(map[string]any)
		for name, value := range part {
			if lost := notIn(fields[name], value, path+"."+name); lost != "" {
				return lost
			}
		}
		return ""
	case []any:
		items, _ := whole.([]any)
		if len(items) != len(part) {
			return fmt.Sprintf("%s has %d items, had %d", path, len(items), len(part))
		}
		for i := range part {
			if lost := notIn(items[i], part[i], fmt.Sprintf("%s[%d]", path, i)); lost != "" {
				return lost
			}
		}
		return ""
	}
	if !reflect.DeepEqual(whole, part) {
		return fmt.Sprintf("%s is %v, was %v", path, whole, part)
	}
	return ""
}
