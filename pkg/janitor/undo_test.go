package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	removalRun = "20261122T020000Z-3f9c1a"
	unknownRun = "20261122T020000Z-0a1b2c"
)

// removeByHand does to an image what a run does, snapshots and all.
func removeByHand(t rapid.TB, account *emulator.Account, region, run string, n int, snapshots ...int) {
	t.Helper()
	api := wire.EC2(aws.Config{HTTPClient: account.Client(), Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}, region)
	resources := []string{imageID(n)}
	for _, s := range snapshots {
		resources = append(resources, snapshotID(s))
	}
	_, err := api.CreateTags(context.Background(), &ec2.CreateTagsInput{Resources: resources, Tags: []types.Tag{
		{Key: aws.String("ami-janitor:intent"), Value: aws.String("remove")}, {Key: aws.String("ami-janitor:run"), Value: aws.String(run)},
	}})
	if err == nil {
		_, err = api.DeregisterImage(context.Background(), &ec2.DeregisterImageInput{ImageId: aws.String(imageID(n))})
	}
	for _, s := range snapshots {
		if err == nil {
			_, err = api.DeleteSnapshot(context.Background(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String(snapshotID(s))})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// removedImage is what a record says of a removed image.
func removedImage(n int, status ami.Status, until time.Time, snapshots ...int) record.Image {
	image := record.Image{
		ImageID: imageID(n), Name: "recorded", Verdict: retention.Deregister, Outcome: &ami.Outcome{Status: status, RestorableUntil: until},
	}
	for _, s := range snapshots {
		image.Snapshots = append(image.Snapshots, record.PlannedSnapshot{SnapshotID: snapshotID(s), Verdict: record.DeleteSnapshot})
	}
	return image
}

// saveRecord keeps a record in a directory, and returns the settings that name it.
func saveRecord(t *testing.T, record record.Run) settings {
	t.Helper()
	dir := t.TempDir()
	records, err := journal.Open(dir, aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := record.Encode(&text, ""); err != nil {
		t.Fatal(err)
	}
	if err := records.SaveRecord(t.Context(), record.Run, text.Bytes()); err != nil {
		t.Fatal(err)
	}
	return settings{"RECORDS": dir}
}

// brought are the statuses of images, by region and id.
func brought(undone undo.Report) map[string]string {
	found := map[string]string{}
	for _, region := range undone.Regions {
		if region.Error != "" {
			found[region.Region] = region.Error
		}
		for _, image := range region.Images {
			found[region.Region+" "+image.ImageID] = string(image.Status)
		}
		for _, snapshot := range region.Snapshots {
			found[region.Region+" "+snapshot.SnapshotID] = string(snapshot.Status)
		}
	}
	for _, image := range undone.Gone {
		found[image.ImageID] = string(image.Status)
	}
	return found
}

// twoRegions is an account with images in two regions, and nothing in a third.
func twoRegions(t *testing.T) *emulator.Account {
	t.Helper()
	w := world{images: []object{image(1, 400, 300, 1), image(2, 400, 300, 2, 9)}}
	account := w.load(t)
	for region, w := range map[string]world{"eu-west-1": {images: []object{image(3, 400, 300, 3), image(4, 400, 300, 4)}}, "ap-south-1": {}} {
		if err := account.AddRegion(region, w.files(t)); err != nil {
			t.Fatal(err)
		}
	}
	account.KeepRemoved(14)
	return account
}

var everyRegion = settings{"REGIONS": "us-east-1,eu-west-1,ap-south-1"}

func TestUndoARunInAllRegions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "us-east-1", unknownRun, 2, 2, 9)
		removeByHand(t, account, "eu-west-1", removalRun, 3, 3)
		undone, err := newJanitor(t, account.Client(), everyRegion).Undo().Run(t.Context(), removalRun)
		if err != nil || undone.Err() != nil || !undone.Complete() || undone.Run != removalRun {
			t.Fatalf("%+v, %v", undone, err)
		}
		if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(1): "restored", "eu-west-1 " + imageID(3): "restored"}, brought(undone)); diff != "" {
			t.Error(diff)
		}
		if left := newJanitor(t, account.Client(), everyRegion).Undo().Restorable(t.Context()); len(left.Removals) != 1 || left.Removals[0].ImageID != imageID(2) || len(left.Failed) != 0 {
			t.Errorf("left are %+v", left)
		}
		// Now nothing of the run can be found.
		if _, err := newJanitor(t, account.Client(), everyRegion).Undo().Run(t.Context(), removalRun); !errors.Is(err, undo.ErrUnknownRun) {
			t.Errorf("again: %v", err)
		}
	})
}

// A record names the snapshots and what is gone, and makes an undone run a known one.
func TestUndoWithARecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "eu-west-1", removalRun, 3, 3)
		s := saveRecord(t, record.Run{Run: removalRun, Regions: []record.Region{
			{Region: "us-east-1", Images: []record.Image{
				removedImage(1, ami.Deregistered, now.AddDate(0, 0, 14), 1),
				// It was refused, and its tags are off again.
				removedImage(2, ami.Failed, time.Time{}, 2, 9),
				removedImage(6, ami.Skipped, time.Time{}),
				removedImage(7, ami.Deregistered, now.AddDate(0, 0, -1), 7),
				{ImageID: imageID(8), Verdict: retention.Keep},
			}},
			{Region: "eu-west-1", Images: []record.Image{removedImage(3, ami.Deregistered, now.AddDate(0, 0, 14), 3)}},
			{Region: "ap-south-1", Images: []record.Image{}},
		}})
		undone, err := newJanitor(t, account.Client(), s).Undo().Run(t.Context(), removalRun)
		if err != nil || undone.Complete() || undone.Err() == nil {
			t.Fatalf("%+v, %v", undone, err)
		}
		elsewhere := "the run has removed images there, 1 in number, but it is not among the regions that are judged"
		if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(1): "restored", "us-east-1 " + imageID(7): "gone", "eu-west-1": elsewhere}, brought(undone)); diff != "" {
			t.Error(diff)
		}
		if why := undone.Regions[1].Images[1].Why; why != "it left the Recycle Bin on 2026-11-22 02:00 UTC" {
			t.Error(why)
		}
		s["REGIONS"] = "us-east-1,eu-west-1"
		undone, err = newJanitor(t, account.Client(), s).Undo().Run(t.Context(), removalRun)
		if err != nil || undone.Err() != nil {
			t.Fatalf("%+v, %v", undone, err)
		}
		if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(1): "present", "us-east-1 " + imageID(7): "gone", "eu-west-1 " + imageID(3): "restored"}, brought(undone)); diff != "" {
			t.Error(diff)
		}
	})
}

// Without a record an undo knows what the tags show, and no more: of a run that has removed an
// instance-store image as well it does not claim that all is there. With the record it tells of
// that image, too, and claims nothing less.
func TestUndoOfARunThatRemovedMoreThanTheTagsShow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := with(with(image(3, 900, 0), "RootDeviceType", "instance-store"), "ImageLocation", "amzn-s3-demo-bucket/bundle.manifest.xml")
		l := live(t, world{images: []object{image(1, 900, 0, 1), image(2, 900, 0, 2), store, image(5, 2, 1, 5)}}, settings{"RECORDS": t.TempDir(), "REQUIRE_RECYCLE_BIN": "false"})
		l.account.KeepRemoved(30)
		l.save()
		record := l.real(0)
		if record.Totals.Deregistered != 3 {
			t.Fatalf("%+v", record.Totals)
		}
		l.at = night(1)
		l.load()
		there := map[string]string{"us-east-1 " + imageID(1): "restored", "us-east-1 " + imageID(2): "restored"}
		for _, recorded := range []bool{false, true} {
			j := l.janitor()
			if !recorded {
				j.Config.Records = ""
			}
			undone, err := j.Undo().Run(t.Context(), record.Run)
			if recorded {
				there = map[string]string{"us-east-1 " + imageID(1): "present", "us-east-1 " + imageID(2): "present", "us-east-1 " + imageID(3): "gone"}
			}
			if diff := cmp.Diff(there, brought(undone)); err != nil || diff != "" || undone.Unrecorded == recorded || undone.Complete() == recorded {
				t.Errorf("recorded %t: %+v, %v\n%s", recorded, undone, err, diff)
			}
		}
	})
}

// The list goes by the records where there are any: what an undo does not bring back it does not
// promise. That a record cannot be read is said.
func TestRestorableWithRecords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "us-east-1", removalRun, 2, 2, 9)
		removeByHand(t, account, "eu-west-1", unknownRun, 3, 3)
		s := saveRecord(t, record.Run{Run: removalRun, Regions: []record.Region{{Region: "us-east-1", Images: []record.Image{
			removedImage(1, ami.Deregistered, now.AddDate(0, 0, 14), 1, 7), removedImage(2, ami.Deregistered, now.AddDate(0, 0, 14), 2, 9),
		}}}})
		s["REGIONS"] = everyRegion["REGIONS"]
		said := func(list undo.Restorable) map[string]string {
			found := map[string]string{}
			for _, r := range list.Removals {
				found[r.ImageID] = r.RestorableUntil.UTC().Format(time.DateOnly) + " " + r.Why
			}
			return found
		}
		until := now.AddDate(0, 0, 14).Format(time.DateOnly)
		list := newJanitor(t, account.Client(), s).Undo().Restorable(t.Context())
		if diff := cmp.Diff(map[string]string{
			imageID(1): "0001-01-01 neither the account nor the Recycle Bin holds its snapshot " + snapshotID(7),
			imageID(2): until + " ",
			imageID(3): until + " if it needs no snapshot but " + snapshotID(3) + ", of which there is no record",
		}, said(list)); diff != "" || list.Warning != "" || len(list.Failed) > 0 {
			t.Errorf("%+v\n%s", list, diff)
		}
		s["RECORDS"] = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(s["RECORDS"], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		list = newJanitor(t, account.Client(), s).Undo().Restorable(t.Context())
		if got := said(list)[imageID(2)]; !strings.Contains(list.Warning, "records of runs could not be read") || got != until+" if it needs no snapshot but "+snapshotID(2)+", "+snapshotID(9)+", of which there is no record" {
			t.Errorf("%q, %q", list.Warning, got)
		}
		denied := disturb.Fail(account.Client(), "DescribeSnapshots", func(_ int, r emulator.Request) bool { return r.Region == "us-east-1" }, http.StatusForbidden, "UnauthorizedOperation", "No.")
		s = saveRecord(t, record.Run{Run: removalRun, Regions: []record.Region{{Region: "us-east-1", Images: []record.Image{removedImage(1, ami.Deregistered, now, 1, 7)}}}})
		if list := newJanitor(t, denied, s).Undo().Restorable(t.Context()); len(list.Removals) > 0 || len(list.Failed) != 1 || !strings.Contains(list.Failed[0].Error, "listing snapshots: UnauthorizedOperation: No.") {
			t.Errorf("%+v", list)
		}
	})
}

// What EC2 refused to a run, and a later one has removed, comes back with the later one.
func TestUndoOfARunThatWasRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := live(t, world{images: []object{image(1, 900, 0, 1), image(2, 900, 0, 2), image(5, 2, 1, 5)}}, settings{"RECORDS": t.TempDir()})
		l.account.KeepRemoved(30)
		l.save()
		l.wrap = func(next emulator.Doer) emulator.Doer {
			isFirst := func(_ int, q emulator.Request) bool { return q.Form.Get("ImageId") == imageID(1) }
			return disturb.Fail(next, "DeregisterImage", isFirst, 400, "OperationNotPermitted", "not now")
		}
		first := l.real(0)
		l.wrap = nil
		second := l.real(7) // It is tried again after a week.
		l.at = night(8)
		l.load()
		for _, c := range []struct {
			run   string
			image int
		}{{first.Run, 2}, {second.Run, 1}} {
			undone, err := l.janitor().Undo().Run(t.Context(), c.run)
			if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(c.image): "restored"}, brought(undone)); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", c.run, err, diff)
			}
		}
	})
}

// An image comes back that a run has removed without knowing it, though its tags were taken off in
// the bin.
func TestUndoOfARemovalThatIsNotConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := live(t, world{images: []object{image(1, 900, 0, 1), image(5, 2, 1, 5)}}, settings{"RECORDS": t.TempDir()})
		l.account.KeepRemoved(30)
		l.save()
		l.wrap = func(next emulator.Doer) emulator.Doer {
			tried := false
			unread := func(q emulator.Request, _ int) bool {
				tried = tried || q.Action == "DeregisterImage"
				return tried && q.Action == "DescribeImages"
			}
			return on(disturb.LoseAnswer(next, "DeregisterImage", nil), unread, func(emulator.Doer, *http.Request) (*http.Response, error) {
				return nil, io.ErrUnexpectedEOF
			})
		}
		record := l.real(0)
		if l.state(1) != "gone" || record.Totals.Failed != 1 {
			t.Fatalf("%s, %+v", l.state(1), record.Totals)
		}
		l.at = night(1)
		l.load()
		undone, err := l.janitor().Undo().Run(t.Context(), record.Run)
		if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(1): "restored"}, brought(undone)); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// A dry run is known, and has removed nothing.
func TestUndoADryRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		image := removedImage(1, ami.Deregistered, time.Time{}, 1)
		image.Outcome = nil
		s := saveRecord(t, record.Run{Run: removalRun, DryRun: true, Regions: []record.Region{{Region: "us-east-1", Images: []record.Image{image}}}})
		account := twoRegions(t)
		undone, err := newJanitor(t, account.Client(), s).Undo().Run(t.Context(), removalRun)
		wrote := slices.DeleteFunc(writes(account), func(action string) bool { return strings.HasPrefix(action, "List") })
		if err != nil || !undone.Complete() || !undone.IsEmpty() || len(wrote) > 0 {
			t.Errorf("%+v, %v", undone, err)
		}
	})
}

// What cannot be read of the journal is said, and the tags do.
func TestUndoWithoutTheRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := saveRecord(t, record.Run{Run: removalRun})
		err := filepath.WalkDir(s["RECORDS"], func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || entry.Name() != "record.json" {
				return err
			}
			return os.WriteFile(path, []byte(`{"run": "20261122T`), 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "us-east-1", removalRun, 2, 2, 9)
		undone, err := newJanitor(t, account.Client(), s).Undo().Images(t.Context(), []string{imageID(2)})
		if err != nil || !undone.Complete() || !strings.Contains(undone.Warning, "records of runs could not be read") {
			t.Errorf("%+v, %v", undone, err)
		}
		undone, err = newJanitor(t, account.Client(), s).Undo().Run(t.Context(), removalRun)
		if err != nil || !undone.Complete() || !strings.Contains(undone.Warning, "record of the run could not be read") || undone.IsEmpty() {
			t.Errorf("%+v, %v", undone, err)
		}
		if _, err := newJanitor(t, account.Client(), settings{"RECORDS": s["RECORDS"]}).Undo().Run(t.Context(), unknownRun); !errors.Is(err, undo.ErrUnknownRun) {
			t.Error(err)
		}
	})
}

// An image is brought back where it is, with the snapshots that the record of its run names, and
// with nothing else.
func TestUndoImages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "us-east-1", removalRun, 2, 2, 9)
		removeByHand(t, account, "eu-west-1", unknownRun, 3, 3)
		removeByHand(t, account, "eu-west-1", unknownRun, 4, 4)
		s := saveRecord(t, record.Run{Run: removalRun, Regions: []record.Region{
			{Region: "us-east-1", Images: []record.Image{removedImage(1, ami.Deregistered, now, 1), removedImage(2, ami.Failed, now, 2, 9)}},
		}})
		s["REGIONS"] = everyRegion["REGIONS"]
		ids := []string{imageID(3), imageID(2), imageID(5), imageID(2)}
		undone, err := newJanitor(t, account.Client(), s).Undo().Images(t.Context(), ids)
		if err != nil || undone.Complete() || undone.Err() != nil || undone.Warning != "" {
			t.Errorf("%+v, %v", undone, err)
		}
		if diff := cmp.Diff(map[string]string{"us-east-1 " + imageID(2): "restored", "eu-west-1 " + imageID(3): "restored", imageID(5): "gone"}, brought(undone)); diff != "" {
			t.Error(diff)
		}
		if got := undone.Regions[2].Images[0].Snapshots; len(got) != 2 || !got[0].Status.Back() || !got[1].Status.Back() {
			t.Errorf("%+v", got)
		}
		left := newJanitor(t, account.Client(), everyRegion).Undo().Restorable(t.Context())
		var names []string
		for _, removal := range left.Removals {
			names = append(names, removal.Region+" "+removal.Run+" "+removal.ImageID+removal.SnapshotID)
		}
		if diff := cmp.Diff([]string{"us-east-1 " + removalRun + " " + imageID(1), "eu-west-1 " + unknownRun + " " + imageID(4)}, names); diff != "" {
			t.Error(diff)
		}
		undone, err = newJanitor(t, account.Client(), s).Undo().Images(t.Context(), []string{imageID(2), imageID(3)})
		if err != nil || !undone.Complete() {
			t.Errorf("again: %+v, %v", undone, err)
		}
	})
}

// A region that fails leaves the others alone.
func TestUndoWhereARegionFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := twoRegions(t)
		removeByHand(t, account, "us-east-1", removalRun, 1, 1)
		removeByHand(t, account, "eu-west-1", removalRun, 3, 3)
		doer := disturb.Fail(account.Client(), "ListImagesInRecycleBin", func(_ int, r emulator.Request) bool { return r.Region == "eu-west-1" },
			http.StatusForbidden, "UnauthorizedOperation", "No.")
		undone, err := newJanitor(t, doer, everyRegion).Undo().Run(t.Context(), removalRun)
		if err != nil || undone.Err() == nil || !strings.Contains(undone.Err().Error(), "eu-west-1: listing the images in the Recycle Bin: UnauthorizedOperation: No.") {
			t.Errorf("%+v, %v", undone, err)
		}
		if got := brought(undone); got["us-east-1 "+imageID(1)] != "restored" || len(got) != 2 {
			t.Errorf("%v", got)
		}
		undone, err = newJanitor(t, doer, everyRegion).Undo().Images(t.Context(), []string{imageID(3)})
		if err != nil || undone.Err() == nil || undone.Complete() || brought(undone)[imageID(3)] != "gone" {
			t.Errorf("%+v, %v", undone, err)
		}
		// That a run is unknown cannot be said as long as a region could not be read.
		undone, err = newJanitor(t, doer, everyRegion).Undo().Run(t.Context(), unknownRun)
		if err != nil || undone.Err() == nil {
			t.Errorf("%+v, %v", undone, err)
		}
		if list := newJanitor(t, doer, everyRegion).Undo().Restorable(t.Context()); len(list.Failed) != 1 || list.Failed[0].Region != "eu-west-1" || len(list.Removals) != 0 {
			t.Errorf("%+v", list)
		}
		undone, err = newJanitor(t, disturb.Deny(account.Client(), "DescribeRegions"), settings{"REGIONS": "all"}).Undo().Run(t.Context(), removalRun)
		if err != nil || undone.Err() == nil {
			t.Errorf("%+v, %v", undone, err)
		}
	})
}

func TestUndoWhatIsNoID(t *testing.T) {
	account := twoRegions(t)
	j := newJanitor(t, account.Client(), nil)
	for _, run := range []string{"", "*", "20261122T020000Z-*", "../runs", "ami-0123456789abcdef0"} {
		if undone, err := j.Undo().Run(t.Context(), run); err == nil {
			t.Errorf("%q: %+v", run, undone)
		}
	}
	for _, id := range []string{"", "ami-*", "snap-0123456789abcdef0", "ami-0123456789abcdef?"} {
		if undone, err := j.Undo().Images(t.Context(), []string{imageID(1), id}); err == nil {
			t.Errorf("%q: %+v", id, undone)
		}
	}
	if len(account.Calls()) > 0 {
		t.Errorf("%v", account.Calls())
	}
}

// A run that removed a hundred images is undone, and the next night leaves them alone.
func TestTheNightAfterAnUndo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{}
		for n := 1; n <= 100; n++ {
			o := image(n, 400, 300, n)
			if n%4 == 0 {
				o = image(n, 400, 300, n, n-1) // Shares a snapshot.
			}
			w.images = append(w.images, tagged(o, "Team", "x"))
		}
		account := w.load(t)
		account.KeepRemoved(14)
		s := settings{"KEEP_NEWEST": "0"}
		j := newJanitor(t, account.Client(), s)
		record := j.Run(t.Context(), removalRun, false)
		if record.Totals.Deregistered != 100 {
			t.Fatalf("%+v", record.Totals)
		}
		undone, err := j.Undo().Run(t.Context(), removalRun)
		if err != nil || !undone.Complete() || len(undone.Regions[0].Images) != 100 {
			t.Fatalf("%+v, %v", undone, err)
		}
		for _, night := range []string{"20261123T020000Z-000001", "20261123T020000Z-000002"} {
			after := j.Run(t.Context(), ami.RunID(night), false)
			if after.Failed() || after.Totals.Kept != 100 {
				t.Errorf("%+v", after.Totals)
			}
			for _, image := range after.Regions[0].Images {
				if image.Verdict != retention.Keep || !slices.ContainsFunc(image.Reasons, func(r retention.Reason) bool { return r.Code == "recently-used" }) {
					t.Errorf("%+v", image)
				}
			}
		}
	})
}
