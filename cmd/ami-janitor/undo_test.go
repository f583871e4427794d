package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// lost is the name of the image of the sample account whose second snapshot has been missing all
// along.
const lost = "lost-volume"

// swept is an account at a listener from which a run has just removed images into the Recycle Bin,
// and the run's record.
func swept(t *testing.T, wrap func(emulator.Doer) emulator.Doer, args ...string) (*emulator.Account, record.Run) {
	t.Helper()
	account := serving(t, wrap)
	account.KeepRemoved(14)
	record := cli(t, nil, append([]string{"sweep", "--yes", "--output=json"}, args...)...).record(t)
	if len(removedIDs(record)) < 2 {
		t.Fatalf("too little was removed: %+v", record.Totals)
	}
	return account, record
}

// removedIDs are the images that a run has removed, without the lost one.
func removedIDs(record record.Run) []string {
	var ids []string
	for _, region := range record.Regions {
		for _, image := range region.Images {
			if image.Outcome != nil && image.Outcome.Status == ami.Deregistered && image.S3Location == "" && image.Name != lost {
				ids = append(ids, image.ImageID)
			}
		}
	}
	return ids
}

// changes counts the calls that change what the account holds.
func changes(account *emulator.Account) int {
	n := 0
	for _, call := range account.Calls() {
		if strings.HasPrefix(call.Action, "Restore") || strings.HasSuffix(call.Action, "Tags") && call.Action != "DescribeTags" || call.Action == "EnableImage" {
			n++
		}
	}
	return n
}

func (r result) undone(t *testing.T) undo.Report {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.out))
	decoder.DisallowUnknownFields()
	var undone undo.Report
	if err := decoder.Decode(&undone); err != nil || decoder.More() {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	return undone
}

func (r result) restorable(t *testing.T) []undo.Removal {
	t.Helper()
	var restorable undo.Restorable
	if err := json.Unmarshal([]byte(r.out), &restorable); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	return restorable.Removals
}

func TestUndo(t *testing.T) {
	account, record := swept(t, asItIs)
	ids := removedIDs(record)
	list := cli(t, nil, "undo", "--list", "--output=json").restorable(t)
	for _, id := range ids {
		if !slices.ContainsFunc(list, func(r undo.Removal) bool {
			return r.ImageID == id && r.Run == record.Run && r.Region == "us-east-1" && r.RestorableUntil.Equal(r.RemovedAt.AddDate(0, 0, 14))
		}) {
			t.Errorf("%s is not in %+v", id, list)
		}
	}
	if text := cli(t, nil, "undo", "--list"); text.status != 0 || text.err != "" || !strings.Contains(text.out, ids[0]) || !strings.Contains(text.out, record.Run) {
		t.Errorf("%+v", text)
	}

	one := cli(t, nil, "undo", "--image", ids[0], "--output=json")
	undone := one.undone(t)
	if one.status != 0 || one.err != "" || len(undone.Regions) != 1 || len(undone.Regions[0].Images) != 1 || undone.Regions[0].Images[0].Status != undo.Restored {
		t.Errorf("%+v", one)
	}
	all := cli(t, nil, "undo", record.Run)
	if all.status != 3 || all.err != "" {
		t.Errorf("%+v", all)
	}
	for _, id := range ids[1:] {
		if !strings.Contains(all.out, id+" in us-east-1 ") {
			t.Errorf("%s is not in %s", id, all.out)
		}
	}
	if strings.Count(all.out, "NOT") != 1 || strings.Count(all.out, "GONE") != 1 || !strings.Contains(all.out, lost+": NOT BACK: it could not be restored: InvalidSnapshot.NotFound") ||
		!strings.Contains(all.out, "images are there") {
		t.Error(all.out)
	}
	if list := cli(t, nil, "undo", "--list", "--output=json").restorable(t); len(list) != 1 || list[0].Name != lost {
		t.Errorf("%+v", list)
	}
	// Once more: all is there. The next run keeps what is back.
	before := changes(account)
	again := cli(t, nil, append([]string{"undo", "--image"}, strings.Join(ids, ","))...)
	if again.status != 0 || strings.Count(again.out, ": there: it was there already") != len(ids) {
		t.Errorf("%+v", again)
	}
	if after := changes(account); after != before {
		t.Errorf("%d changes", after-before)
	}
	next := cli(t, nil, "sweep", "--yes", "--output=json").record(t)
	for _, image := range next.Regions[0].Images {
		if slices.Contains(ids, image.ImageID) && (image.Verdict != "keep" || image.Outcome != nil) {
			t.Errorf("%+v", image)
		}
	}
}

// With the records an undone run is a known one, and what can be restored no more says so.
func TestUndoWithRecords(t *testing.T) {
	dir := t.TempDir()
	_, record := swept(t, asItIs, "--records", dir)
	first := cli(t, nil, "undo", record.Run, "--records", dir, "--output=json")
	undone := first.undone(t)
	if len(undone.Regions[0].Images) < len(removedIDs(record)) || undone.Warning != "" {
		t.Errorf("%+v", first)
	}
	if !undone.Complete() != (first.status == 3) {
		t.Errorf("status %d of %+v", first.status, undone)
	}
	second := cli(t, nil, "undo", record.Run, "--records", dir)
	if second.status != first.status || strings.Count(second.out, ": there") < len(removedIDs(record)) {
		t.Errorf("%+v", second)
	}
}

func TestUndoThatFails(t *testing.T) {
	t.Run("the image cannot be restored", func(t *testing.T) {
		_, record := swept(t, denying("RestoreImageFromRecycleBin"))
		got := cli(t, nil, "undo", record.Run)
		if got.status != 3 || got.err != "" || !strings.Contains(got.out, "NOT BACK: it could not be restored: UnauthorizedOperation: ") || !strings.Contains(got.out, "; it stays in the Recycle Bin until ") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a tag cannot be taken off", func(t *testing.T) {
		_, record := swept(t, denying("DeleteTags"))
		got := cli(t, nil, "undo", "--image", removedIDs(record)[0])
		if got.status != 3 || !strings.Contains(got.out, "there, BUT NOT WHOLE: ") || !strings.Contains(got.out, "could not be put in order: UnauthorizedOperation: ") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the bin cannot be listed", func(t *testing.T) {
		_, record := swept(t, denying("ListSnapshotsInRecycleBin"), "--require-recycle-bin=false")
		for _, args := range [][]string{{record.Run}, {"--image", removedIDs(record)[0]}, {"--list"}} {
			got := cli(t, nil, append([]string{"undo"}, args...)...)
			if got.status != 1 || got.err != "ami-janitor: us-east-1: listing the snapshots in the Recycle Bin: UnauthorizedOperation: You are not authorized to perform this operation.\n" {
				t.Errorf("%v: %+v", args, got)
			}
			quiet := cli(t, nil, append([]string{"undo", "--output=json"}, args...)...)
			if quiet.status != 1 || !json.Valid([]byte(quiet.out)) {
				t.Errorf("%v: %+v", args, quiet)
			}
		}
	})
	t.Run("an image that is nowhere", func(t *testing.T) {
		swept(t, asItIs)
		got := cli(t, nil, "undo", "--image", "ami-0123456789abcdef0", "--image", "ami-0123456789abcdef1")
		if got.status != 3 || strings.Count(got.out, ": GONE: neither the account nor the Recycle Bin holds it\n") != 2 || !strings.Contains(got.out, "0 of 2 images are there.") {
			t.Errorf("%+v", got)
		}
	})
}

func TestUndoWrongly(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing is named":    {nil, "one of them"},
		"a run and an image":  {[]string{"20261123T020000Z-3f9c1a", "--image", "ami-0123456789abcdef0"}, "one of them"},
		"a run and the list":  {[]string{"20261123T020000Z-3f9c1a", "--list"}, "one of them"},
		"two runs":            {[]string{"20261123T020000Z-3f9c1a", "20261123T020000Z-3f9c1b"}, "at most 1 arg"},
		"an unknown run":      {[]string{"20261123T020000Z-3f9c1a"}, "no such run"},
		"no run":              {[]string{"yesterday"}, `"yesterday" is not the id of a run`},
		"no image":            {[]string{"--image", "golden"}, `"golden" is not the id of an image`},
		"a wrong setting":     {[]string{"--list", "--ec2-share=2"}, "--ec2-share: "},
		"a wrong output":      {[]string{"--list", "--output=yaml"}, "yaml"},
		"a flag of the sweep": {[]string{"--list", "--yes"}, "--yes"},
	} {
		t.Run(name, func(t *testing.T) {
			account := serving(t, asItIs)
			got := cli(t, nil, append([]string{"undo"}, c.args...)...)
			if got.status != 2 || got.out != "" || !strings.Contains(got.err, c.says) || !strings.HasPrefix(got.err, "ami-janitor: ") {
				t.Errorf("%+v", got)
			}
			for _, call := range account.Calls() {
				if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "List") && call.Action != "GetCallerIdentity" {
					t.Errorf("%+v", call)
				}
			}
		})
	}
}

// What is said of a deprecation, of what was disabled, and of snapshots.
func TestUndoneText(t *testing.T) {
	text := undoneText(undo.Report{
		Regions: []undo.RegionReport{{Region: "eu-west-1", Result: undo.Result{
			Images: []undo.Image{
				{ImageID: "ami-0123456789example", Name: "golden\n", Status: undo.Restored, Enabled: true, DeprecatedAt: "2026-11-23T00:00:00.000Z", Snapshots: []undo.Snapshot{
					{SnapshotID: "snap-0123456789example", Status: undo.Restored},
				}},
				{ImageID: "ami-0987654321example", Status: undo.NotRestored, Why: "because", Snapshots: []undo.Snapshot{
					{SnapshotID: "snap-0987654321example", Status: undo.Gone, Why: "gone"}, {SnapshotID: "snap-1123456789example", Status: undo.Restored},
				}},
			},
			Snapshots: []undo.Snapshot{{SnapshotID: "snap-2123456789example", Status: undo.Restored}},
		}}},
		Gone: []undo.Image{{ImageID: "ami-1123456789example", Status: undo.Gone, Why: "gone"}},
	})
	want := `ami-0123456789example in eu-west-1 golden` + "\ufffd" + `: back
  The janitor had disabled it; it is enabled again.
  Its deprecation on 2026-11-23 was left alone: aws ec2 disable-image-deprecation --region eu-west-1 --image-id ami-0123456789example ends it.
ami-0987654321example in eu-west-1: NOT BACK: because
  snap-0987654321example: GONE: gone
  snap-1123456789example: back
snap-2123456789example in eu-west-1: back
ami-1123456789example: GONE: gone

1 of 3 images are there. Their idle time starts anew on the day that ami-janitor:restored names.`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if text := undoneText(undo.Report{}); text != "There is nothing to bring back." {
		t.Error(text)
	}
	back := []undo.Image{{ImageID: "ami-0123456789example", Status: undo.Present}, {ImageID: "ami-0987654321example", Status: undo.Present}}
	text = undoneText(undo.Report{Unrecorded: true, Regions: []undo.RegionReport{{Region: "eu-west-1", Result: undo.Result{Images: back}}}})
	if want := "2 images are there, of 2 that tags show to be of this run. It may have removed more: no record of it was read (--records)."; !strings.Contains(text, want) {
		t.Errorf("%s\nwant %s", text, want)
	}
	text = undoneText(undo.Report{Unrecorded: true})
	if want := "Nothing carries the tags of this run. It may have removed more: no record of it was read (--records)."; text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// The list shows until when only of what comes back, and fits the terminal.
func TestRestorableText(t *testing.T) {
	until := time.Date(2026, time.December, 7, 2, 0, 0, 0, time.UTC)
	at := until.AddDate(0, 0, -14)
	const run, second = "20261123T020000Z-3f9c1a", "20261122T020000Z-3f9c1a"
	const name = "windows-2019-iis-2026-02-01"
	why := "neither the account nor the Recycle Bin holds its snapshot snap-0123456789abcdef0"
	removals := undo.Restorable{Removals: []undo.Removal{
		{Run: run, Region: "eu-west-1", ImageID: "ami-0123456789abcdef0", Name: name, RemovedAt: at, InBinUntil: until, RestorableUntil: until},
		{Run: run, Region: "eu-west-1", ImageID: "ami-0123456789abcdef1", Name: "web\n", RemovedAt: at, InBinUntil: until, Why: why},
		{Run: run, Region: "us-east-1", ImageID: "ami-0123456789abcdef2", Name: "web", RemovedAt: at, InBinUntil: until, RestorableUntil: until, Why: "if that is all"},
		{Run: second, Region: "us-east-1", SnapshotID: "snap-0123456789abcdef3", RemovedAt: at, InBinUntil: until, RestorableUntil: until},
		{Region: "us-east-1", ImageID: "ami-0123456789abcdef4", Name: strings.Repeat("x", 128), RemovedAt: at, InBinUntil: until, RestorableUntil: until},
	}}
	got := restorableText(removals, 80)
	want := `Run 20261123T020000Z-3f9c1a in eu-west-1 (2)
image                   name                        removed     restorable until
ami-0123456789abcdef0   windows-2019…is-2026-02-01  2026-11-23  2026-12-07 02:00
ami-0123456789abcdef1   web` + "\ufffd" + `                        2026-11-23  no promise
  neither the account nor the Recycle Bin holds its snapshot
    snap-0123456789abcdef0

Run 20261123T020000Z-3f9c1a in us-east-1 (1)
image                   name                        removed     restorable until
ami-0123456789abcdef2   web                         2026-11-23  2026-12-07 02:00
  if that is all

Run 20261122T020000Z-3f9c1a in us-east-1 (1)
image                   name                        removed     restorable until
snap-0123456789abcdef3                              2026-11-23  2026-12-07 02:00

Unknown run in us-east-1 (1)
image                   name                        removed     restorable until
ami-0123456789abcdef4   xxxxxxxxxxxx…xxxxxxxxxxxxx  2026-11-23  2026-12-07 02:00

ami-janitor undo RUN brings back all of a run,
ami-janitor undo --image IMAGE one image. Times are in UTC.`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, width := range widths {
		checkWidth(t, restorableText(removals, width), width, []string{"ami-0123456789abcdef0", "snap-0123456789abcdef3"})
	}
	if whole := restorableText(removals, 0); !strings.Contains(whole, strings.Repeat("x", 128)) || !strings.Contains(whole, why+"\n") {
		t.Error("a pipe does not get all of it:\n", whole)
	}
}

// What an undo says of each image fits the terminal, and loses no word.
func TestAnUndoFits(t *testing.T) {
	_, record := swept(t, asItIs)
	ids := removedIDs(record)
	for _, args := range [][]string{{"undo", "--list"}, {"undo", record.Run}} {
		term := newTerminal(t, helpWidth)
		<-term.start(t.Context(), "", args...)
		term.await(t, map[bool]string{true: "in UTC.", false: "are there."}[args[1] == "--list"])
		shown := escapes.ReplaceAllString(term.text(), "\n")
		if _, last, found := strings.Cut(shown, "Reading the Recycle Bin"); found {
			shown = last
		}
		checkWidth(t, strings.ReplaceAll(shown, "\r", ""), helpWidth, ids)
	}
}
