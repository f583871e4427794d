package undo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// hundred is an account with 100 images to be removed: some share snapshots, some are disabled or
// announced or shared with other accounts, each has tags of its own. Ten more stay; one of
// them shares a snapshot with one that goes.
func hundred() (w world, gone []picture) {
	w.permissions = object{}
	for n := 1; n <= 100; n++ {
		p := picture{n: n, snapshots: []int{1000 + n}}
		if n%3 == 0 {
			p.snapshots = append(p.snapshots, 2000+n)
		}
		if n%5 == 0 {
			p.snapshots = append(p.snapshots, 1000+n-1) // That of the one before.
		}
		switch n % 7 {
		case 1:
			p.tags = announced()
		case 2:
			p.tags, p.state = announced("ami-janitor:disabled", otherRun), "disabled"
		case 3:
			p.deprecated = "2026-11-23T00:00:00.000Z"
		case 4:
			w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
		}
		gone = append(gone, p)
	}
	w.pictures = slices.Clone(gone)
	for n := 101; n <= 110; n++ {
		w.pictures = append(w.pictures, picture{n: n, snapshots: []int{1000 + n}})
	}
	w.pictures[109].snapshots = []int{1100} // That of image 100.
	return w, gone
}

func all(things map[string]thing) []string {
	var ids []string
	for id := range things {
		ids = append(ids, id)
	}
	return ids
}

func ofPictures(pictures []picture) []string {
	var ids []string
	for _, p := range pictures {
		ids = append(ids, imageID(p.n))
		for _, s := range p.snapshots {
			ids = append(ids, snapshotID(s))
		}
	}
	return ids
}

func TestAHundredImagesAreBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := hundred()
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, gone...)
		// Ten images, nine snapshots of their own and a shared one.
		if left := len(everything(t, account)); left != 21-1+1-1 {
			t.Fatalf("%d things are left after the removal", left)
		}
		account.SetRestoreDelay(20 * time.Second)
		calls, began := len(account.Calls()), time.Now()
		result := undoRun(t, client(slow(account.Client(), 200*time.Millisecond)), run)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %s", took)
		}
		if made := len(account.Calls()) - calls; made > 100+140+14+50 {
			t.Errorf("it took %d calls", made)
		}
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
		if len(result.Images) != 100 || len(result.Snapshots) != 0 {
			t.Fatalf("%d images and %d unattached snapshots", len(result.Images), len(result.Snapshots))
		}
		for _, image := range result.Images {
			if image.Status != undo.Restored || image.Why != "" || image.Enabled != (before[image.ImageID].State == "disabled") ||
				image.DeprecatedAt != before[image.ImageID].Deprecated || len(image.Snapshots) != len(before[image.ImageID].Snapshots) {
				t.Errorf("%+v", image)
			}
		}

		// To do it again is harmless: by the tags there is nothing, by the ids all is there.
		calls = writes(account.Calls())
		if again := undoRun(t, client(account.Client()), run); len(again.Images)+len(again.Snapshots) != 0 {
			t.Errorf("again: %+v", again)
		}
		for id, status := range statuses(undoImages(t, client(account.Client()), imageIDs(gone)...)) {
			if !strings.HasPrefix(status, "present") {
				t.Errorf("again: %s %s", id, status)
			}
		}
		if writes(account.Calls()) != calls {
			t.Error("again: something was written")
		}
	})
}

func imageIDs(pictures []picture) []string {
	var ids []string
	for _, p := range pictures {
		ids = append(ids, imageID(p.n))
	}
	return ids
}

// few is a smaller account of the same kinds.
func few() (w world, gone []picture) {
	gone = []picture{
		{n: 1, snapshots: []int{11, 12}},
		{n: 2, snapshots: []int{12, 13}, state: "disabled", tags: announced("ami-janitor:disabled", otherRun)},
		{n: 3, snapshots: []int{14}, tags: announced()},
	}
	w.pictures = append(slices.Clone(gone), picture{n: 4, snapshots: []int{14}}, picture{n: 5, snapshots: []int{15}})
	w.permissions = object{imageID(1): []object{{"UserId": "111122223333"}}}
	return w, gone
}

// Wherever a run and the undo of it are killed, to undo once more brings all of it back.
func TestKilledAtEveryCall(t *testing.T) {
	w, gone := few()
	steps := len(w.steps(run, gone))
	for removed := 1; removed <= steps; removed++ {
		for _, after := range []bool{false, true} {
			for n, killed := 1, true; killed; n++ {
				bubble(t, func(t *testing.T) {
					account := w.load(t)
					before := everything(t, account)
					for _, step := range w.steps(run, gone)[:removed] {
						step(t, client(account.Client()))
					}
					account.SetRestoreDelay(3 * time.Second)
					ctx, end := context.WithCancel(t.Context())
					defer end()
					api := client(kill(account.Client(), n, after, end))
					if bin, err := undo.Look(ctx, api); err == nil {
						_, _ = undo.Run(ctx, api, bin, undo.Request{Run: run, Today: time.Now()})
					}
					killed = ctx.Err() != nil

					result := undoRun(t, client(account.Client()), run)
					for id, status := range statuses(result) {
						if !strings.HasPrefix(status, "restored") && !strings.HasPrefix(status, "present") {
							t.Errorf("%s %s", id, status)
						}
					}
					got := everything(t, account)
					// A snapshot that was back before its image was may carry the day, too.
					for id, thing := range got {
						if strings.HasPrefix(id, "snap-") && thing.Tags["ami-janitor:restored"] == today() {
							delete(thing.Tags, "ami-janitor:restored")
						}
					}
					if diff := cmp.Diff(restored(before, ofPictures(gone)...), got); diff != "" {
						t.Errorf("%d steps removed, killed at call %d (after its effect: %t): %s", removed, n, after, diff)
					}
				})
				if t.Failed() {
					t.FailNow()
				}
			}
		}
	}
}

// An answer that is lost, and what the second attempt is then refused with, change nothing.
func TestLostAnswers(t *testing.T) {
	for _, action := range []string{"RestoreSnapshotFromRecycleBin", "RestoreImageFromRecycleBin", "EnableImage", "CreateTags", "DeleteTags"} {
		for _, fault := range []func(emulator.Doer, string, func(int, emulator.Request) bool) emulator.Doer{disturb.LoseAnswer, disturb.Garble} {
			bubble(t, func(t *testing.T) {
				w, gone := few()
				account := w.load(t)
				before := everything(t, account)
				w.remove(t, client(account.Client()), run, gone...)
				result := undoRun(t, client(fault(account.Client(), action, func(n int, _ emulator.Request) bool { return n%2 == 1 })), run)
				for id, status := range statuses(result) {
					if !strings.HasPrefix(status, "restored") && id != snapshotID(14) {
						t.Errorf("%s: %s %s", action, id, status)
					}
				}
				if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
					t.Errorf("%s: %s", action, diff)
				}
			})
		}
	}
}

func TestThrottled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := few()
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, gone...)
		doer := emulator.Doer(account.Client())
		for _, action := range []string{
			"RestoreSnapshotFromRecycleBin", "RestoreImageFromRecycleBin", "EnableImage", "CreateTags", "DeleteTags",
			"DescribeImages", "DescribeSnapshots", "DescribeTags", "ListImagesInRecycleBin", "ListSnapshotsInRecycleBin",
		} {
			doer = disturb.Fail(doer, action, func(n int, _ emulator.Request) bool { return n%4 != 0 }, http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
		}
		undoRun(t, client(doer), run)
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// What is refused says so, with AWS's code; the rest is done, and the next undo does the others.
func TestDenied(t *testing.T) {
	const denied = "UnauthorizedOperation"
	for action, want := range map[string]map[string]string{
		"RestoreSnapshotFromRecycleBin": {imageID(1): "not-restored", imageID(2): "not-restored", imageID(3): "restored", snapshotID(11): "not-restored"},
		"RestoreImageFromRecycleBin":    {imageID(1): "not-restored", imageID(2): "not-restored", imageID(3): "not-restored", snapshotID(11): "restored"},
		"EnableImage":                   {imageID(1): "restored", imageID(2): "incomplete", imageID(3): "restored", snapshotID(11): "restored"},
		"CreateTags":                    {imageID(1): "incomplete", imageID(2): "incomplete", imageID(3): "incomplete", snapshotID(11): "restored"},
		"DeleteTags":                    {imageID(1): "incomplete", imageID(2): "incomplete", imageID(3): "incomplete", snapshotID(11): "incomplete"},
	} {
		t.Run(action, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, gone := few()
				account := w.load(t)
				before := everything(t, account)
				w.remove(t, client(account.Client()), run, gone...)
				began := time.Now()
				result := undoRun(t, client(disturb.Deny(account.Client(), action)), run)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s was waited for", took)
				}
				said := statuses(result)
				for id, status := range want {
					whole := status == "restored"
					if !strings.HasPrefix(said[id], status) || !whole && !strings.Contains(said[id], denied) && !strings.Contains(said[id], "InvalidSnapshot") {
						t.Errorf("%s is %q, want %s", id, said[id], status)
					}
				}
				// Until it is wholly back, an image that is there carries the intent, by which the
				// rules keep it.
				for id, thing := range everything(t, account) {
					if strings.HasPrefix(said[id], "incomplete") && strings.HasPrefix(id, "ami-") && thing.Tags["ami-janitor:intent"] != "remove" {
						t.Errorf("%s carries %v", id, thing.Tags)
					}
				}
				undoRun(t, client(account.Client()), run)
				got := everything(t, account)
				for id, thing := range got {
					if strings.HasPrefix(id, "snap-") {
						// As it was back before its image.
						delete(thing.Tags, "ami-janitor:restored")
					}
				}
				if diff := cmp.Diff(restored(before, ofPictures(gone)...), got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// One resource that EC2 does not tag spoils a call for all others; each of them is then tagged by
// itself.
func TestABadResourceDoesNotSpoilTheBatch(t *testing.T) {
	for _, action := range []string{"CreateTags", "DeleteTags"} {
		bubble(t, func(t *testing.T) {
			w, gone := few()
			account := w.load(t)
			w.remove(t, client(account.Client()), run, gone...)
			result := undoRun(t, client(disturb.Fail(account.Client(), action, func(_ int, r emulator.Request) bool {
				return slices.Contains(slices.Collect(formValues(r)), imageID(2))
			}, http.StatusBadRequest, "InvalidAMIID.Unavailable", "The image is not available.")), run)
			said := statuses(result)
			if said[imageID(1)] != "restored" || said[imageID(3)] != "restored" ||
				said[imageID(2)] != "incomplete: its tags could not be put in order: InvalidAMIID.Unavailable: The image is not available." {
				t.Errorf("%s: %v", action, said)
			}
		})
	}
}

func formValues(r emulator.Request) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, values := range r.Form {
			for _, value := range values {
				if !yield(value) {
					return
				}
			}
		}
	}
}

// Of an image with 50 tags a tag goes that says less, before the day is noted.
func TestNoRoomForOneMoreTag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{
			{n: 1, snapshots: []int{11}, tags: map[string]string{}},
			{n: 2, snapshots: []int{12}},
			{n: 3, snapshots: []int{13}, tags: announced()},
			{n: 4, snapshots: []int{14}, state: "disabled", tags: announced("ami-janitor:disabled", otherRun)},
		}}
		for _, p := range w.pictures {
			for n := len(p.tags); n < 47 && p.tags != nil; n++ {
				p.tags[fmt.Sprint("tag-", n)] = "x"
			}
		}
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, w.pictures...)
		if said := statuses(undoRun(t, client(account.Client()), run)); len(said) != 8 || slices.ContainsFunc(all(before), func(id string) bool { return said[id] != "restored" }) {
			t.Errorf("%v", said)
		}
		if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// The same for an image that an announcement has filled up, and whose tags no longer name the run
// that removed it.
func TestNoRoomWithoutARun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}, tags: announced("ami-janitor:intent", "remove")}}}
		for n := range 46 {
			w.pictures[0].tags[fmt.Sprint("tag-", n)] = "x"
		}
		account := w.load(t)
		before := everything(t, account)
		deregister(t, client(account.Client()), 1)
		if said := statuses(undoImages(t, client(account.Client()), imageID(1))); said[imageID(1)] != "restored" {
			t.Errorf("%v", said)
		}
		if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// What cannot come back says why; all else does.
func TestWhatCannotBeRestored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{
			{n: 1, snapshots: []int{11}},
			{n: 2, store: true},
			{n: 3, snapshots: []int{13, 14}},
			{n: 4, snapshots: []int{15}},
			{n: 5, snapshots: []int{16}},
		}}
		account := w.load(t)
		api := client(account.Client())
		left := time.Now().Add(keptDays * 24 * time.Hour)
		w.remove(t, api, otherRun, w.pictures[0]) // Long ago.
		time.Sleep((keptDays + 1) * 24 * time.Hour)
		w.remove(t, api, run, w.pictures[1], w.pictures[3], w.pictures[4])
		declare(t, api, run, imageID(3), snapshotID(13))
		deregister(t, api, 3)
		deleteSnapshot(t, api, 13)
		deleteSnapshot(t, api, 14) // Without the tag that the rule names.

		record := func(n int, until time.Time, bundle string, snapshots ...int) undo.Removed {
			removed := undo.Removed{ImageID: imageID(n), Name: fmt.Sprint("image-", n), Recorded: true, RestorableUntil: until, S3Location: bundle}
			for _, s := range snapshots {
				removed.Snapshots = append(removed.Snapshots, snapshotID(s))
			}
			return removed
		}
		began := time.Now()
		said := statuses(undoWanted(t, api, undo.Request{Run: run, Images: []undo.Removed{
			record(1, left, "", 11), record(2, time.Time{}, "bucket/image.manifest.xml"), record(3, left.AddDate(0, 0, 15), "", 13, 14),
			record(4, left.AddDate(0, 0, 15), "", 15), record(6, time.Time{}, "", 17), record(7, left.AddDate(1, 0, 0), "", 18),
		}}))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s was waited for", took)
		}
		gone := "gone: neither the account nor the Recycle Bin holds it"
		if diff := cmp.Diff(map[string]string{
			imageID(1): "gone: it left the Recycle Bin on " + left.UTC().Format("2006-01-02 15:04 MST"), snapshotID(11): gone,
			imageID(2): "gone: the Recycle Bin takes in no instance-store images; its bundle may still be at bucket/image.manifest.xml",
			imageID(3): "not-restored: it could not be restored: InvalidSnapshot.NotFound: The snapshot '" + snapshotID(14) + "' does not exist.; it stays in the Recycle Bin until " +
				left.AddDate(0, 0, 15).UTC().Format("2006-01-02 15:04 MST"),
			snapshotID(13): "restored", snapshotID(14): gone,
			imageID(4): "restored", snapshotID(15): "restored",
			imageID(5): "restored", snapshotID(16): "restored",
			imageID(6): "gone: it was never seen in the Recycle Bin", snapshotID(17): gone,
			imageID(7): "gone: the Recycle Bin was to hold it until " + left.AddDate(1, 0, 0).UTC().Format("2006-01-02 15:04 MST") + ", but does not any more", snapshotID(18): gone,
		}, said); diff != "" {
			t.Error(diff)
		}
		// The snapshot that is back without its image carries the day itself.
		if tags := everything(t, account)[snapshotID(13)].Tags; !cmp.Equal(tags, map[string]string{"Team": "team-13", "ami-janitor:restored": today()}) {
			t.Errorf("%v", tags)
		}
	})
}

// Without a record an image has the snapshots that say so. A snapshot that says something else is
// found by AWS's refusal.
func TestOneImage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{
			pictures: []picture{{n: 1, snapshots: []int{11, 12, 13}}, {n: 2, snapshots: []int{14, 13}}, {n: 3, snapshots: []int{15}}},
			descriptions: map[int]string{
				12: "Copied for DestinationAmi " + imageID(1) + " from SourceAmi ami-0123456789example for SourceSnapshot snap-0123456789example. Task created on 1,566,308,778,174.",
				13: "data",
			},
		}
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, w.pictures...)
		said := statuses(undoImages(t, client(account.Client()), imageID(1)))
		if diff := cmp.Diff(map[string]string{imageID(1): "restored", snapshotID(11): "restored", snapshotID(12): "restored", snapshotID(13): "restored"}, said); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(restored(before, imageID(1), snapshotID(11), snapshotID(12), snapshotID(13)), merge(before, everything(t, account))); diff != "" {
			t.Error(diff)
		}
		if left := everything(t, account); len(left) != 4 {
			t.Errorf("%d things are there, want the image and its three snapshots", len(left))
		}
		// The rest of the run comes back as before.
		undoRun(t, client(account.Client()), run)
		if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// Snapshots that say whose they are come back before their image is asked for, so that nothing is
// refused; and if the image is, they carry the day themselves.
func TestTheSnapshotsOfAnImage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}, {n: 2, snapshots: []int{12}}}}
		account := w.load(t)
		w.remove(t, client(account.Client()), run, w.pictures[0])
		w.remove(t, client(account.Client()), otherRun, w.pictures[1])
		if said := statuses(undoImages(t, client(account.Client()), imageID(1))); said[imageID(1)] != "restored" || said[snapshotID(11)] != "restored" {
			t.Errorf("%v", said)
		}
		for _, call := range account.Calls() {
			if call.Code != "" {
				t.Errorf("%+v", call)
			}
		}
		said := statuses(undoImages(t, client(disturb.Deny(account.Client(), "RestoreImageFromRecycleBin")), imageID(2)))
		if !strings.HasPrefix(said[imageID(2)], "not-restored") || said[snapshotID(12)] != "restored" {
			t.Errorf("%v", said)
		}
		if tags := everything(t, account)[snapshotID(12)].Tags; !cmp.Equal(tags, map[string]string{"Team": "team-12", "ami-janitor:restored": today()}) {
			t.Errorf("%v", tags)
		}
	})
}

// A snapshot that another run has declared, but not removed, is not this one's, even if its
// description says so.
func TestASnapshotOfAnotherRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}, {n: 2, snapshots: []int{11}}, {n: 3, snapshots: []int{13}}}}
		account := w.load(t)
		api := client(account.Client())
		before := everything(t, account)
		w.remove(t, api, run, w.pictures[0])
		declare(t, api, otherRun, imageID(2), snapshotID(11))
		now := everything(t, account)
		denied := client(disturb.Deny(account.Client(), "RestoreImageFromRecycleBin"))
		undoWanted(t, denied, undo.Request{Run: run, Images: []undo.Removed{{ImageID: imageID(1), Recorded: true, Snapshots: []string{snapshotID(11)}}}})
		if diff := cmp.Diff(now, everything(t, account)); diff != "" {
			t.Error(diff)
		}
		// Once an image that needs it is back, it is not to be removed by anybody.
		undoRun(t, api, run)
		want := restored(before, imageID(1))
		want[imageID(2)] = now[imageID(2)]
		if diff := cmp.Diff(want, everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// An image may be there although a snapshot of it is in the bin: AWS does not say that it never is.
func TestAnImageWithoutItsSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11, 12}}}, inBin: []int{12}}
		account := w.load(t)
		declare(t, client(account.Client()), run, imageID(1), snapshotID(11))
		said := statuses(undoRun(t, client(account.Client()), run))
		if diff := cmp.Diff(map[string]string{imageID(1): "present: it was there already", snapshotID(11): "present", snapshotID(12): "restored"}, said); diff != "" {
			t.Error(diff)
		}
	})
}

// An image that somebody else has disabled stays disabled.
func TestDisabledBySomebodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}, state: "disabled"}}}
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, w.pictures...)
		result := undoRun(t, client(account.Client()), run)
		if len(result.Images) != 1 || result.Images[0].Status != undo.Restored || result.Images[0].Enabled {
			t.Errorf("%+v", result)
		}
		if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// merge takes from before what is no longer there.
func merge(before, now map[string]thing) map[string]thing {
	merged := map[string]thing{}
	for id := range before {
		merged[id] = before[id]
		if thing, ok := now[id]; ok {
			merged[id] = thing
		}
	}
	return merged
}

// By the record an image gets the snapshot back that went with another image in a later run.
func TestASnapshotThatWentWithALaterRun(t *testing.T) {
	for name, recorded := range map[string]bool{"with a record": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := world{pictures: []picture{{n: 1, snapshots: []int{11}}, {n: 2, snapshots: []int{11}}}}
				account := w.load(t)
				api := client(account.Client())
				before := everything(t, account)
				w.remove(t, api, run, w.pictures[0])
				world{pictures: w.pictures[1:]}.remove(t, api, otherRun, w.pictures[1])
				wanted := undo.Request{Run: run}
				if recorded {
					wanted.Images = []undo.Removed{{ImageID: imageID(1), Recorded: true, Snapshots: []string{snapshotID(11)}}}
				}
				if said := statuses(undoWanted(t, api, wanted)); said[imageID(1)] != "restored" || said[snapshotID(11)] != "restored" || len(said) != 2 {
					t.Errorf("%v", said)
				}
				if said := statuses(undoRun(t, api, otherRun)); said[imageID(2)] != "restored" {
					t.Errorf("%v", said)
				}
				if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What a person has brought back is left where it is, and its tags are put in order.
func TestAPersonWasFaster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := few()
		account := w.load(t)
		api := client(account.Client())
		before := everything(t, account)
		w.remove(t, api, run, gone...)
		for _, s := range []int{11, 12} {
			must[*ec2.RestoreSnapshotFromRecycleBinOutput](t)(api.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(s))}))
		}
		must[*ec2.RestoreImageFromRecycleBinOutput](t)(api.RestoreImageFromRecycleBin(t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(imageID(1))}))
		said := statuses(undoRun(t, api, run))
		if said[imageID(1)] != "present: it was there already" || said[snapshotID(11)] != "present" || said[imageID(2)] != "restored" || said[snapshotID(13)] != "restored" {
			t.Errorf("%v", said)
		}
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
		// One that a record names and that carries no tag at all is given the day.
		tags := []types.Tag{{Key: aws.String("ami-janitor:restored")}}
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(1)}, Tags: tags}))
		undoWanted(t, api, undo.Request{Run: run, Images: []undo.Removed{{ImageID: imageID(1), Recorded: true}}})
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// An undo leaves alone an image that carries a part of an announcement, and is not declared: no
// part of it is taken off, and what somebody has disabled stays disabled, whatever a tag says.
func TestWhatIsOnlyAnnounced(t *testing.T) {
	const due, by, disabled = "ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:disabled"
	for name, keys := range map[string][]string{
		"whole": {due, by}, "disabled": {due, by, disabled}, "day_taken_off": {by}, "day_taken_off_disabled": {by, disabled}, "only_the_day": {due}, "only_disabled": {disabled},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := picture{n: 1, snapshots: []int{11}, tags: map[string]string{}}
				for _, key := range keys {
					p.tags[key] = announced(disabled, otherRun)[key]
				}
				if slices.Contains(keys, disabled) {
					p.state = "disabled"
				}
				w := world{pictures: []picture{p}}
				account := w.load(t)
				api := client(account.Client())
				before := everything(t, account)
				recorded := undo.Removed{ImageID: imageID(1), Recorded: true, Snapshots: []string{snapshotID(11)}}
				for _, wanted := range []undo.Request{{Run: run, Images: []undo.Removed{recorded}}, {Images: []undo.Removed{{ImageID: imageID(1)}}}, {Run: otherRun}} {
					said := statuses(undoWanted(t, api, wanted))
					if len(wanted.Images) > 0 && said[imageID(1)] != "present: it was there already; its removal is only announced" {
						t.Errorf("%v", said)
					}
				}
				if diff := cmp.Diff(before, everything(t, account)); diff != "" || writes(account.Calls()) != 0 {
					t.Errorf("%d writes: %s", writes(account.Calls()), diff)
				}

				// Once it is removed and restored nothing of that is left on it.
				w.remove(t, api, run, p)
				if said := statuses(undoRun(t, api, run)); said[imageID(1)] != "restored" {
					t.Errorf("%v", said)
				}
				want := restored(before, all(before)...)
				if diff := cmp.Diff(want, everything(t, account)); diff != "" {
					t.Error(diff)
				}
				if tags := want[imageID(1)].Tags; !cmp.Equal(tags, map[string]string{"Team": "team-1", "ami-janitor:restored": today()}) {
					t.Errorf("%v", tags)
				}
			})
		})
	}
}

// A person who restores an image by hand leaves all tags on it; while it is declared it is not only
// announced.
func TestARestoredImageThatIsStillDeclared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}, state: "disabled", tags: announced("ami-janitor:disabled", otherRun)}}}
		account := w.load(t)
		api := client(account.Client())
		before := everything(t, account)
		w.remove(t, api, run, w.pictures...)
		must[*ec2.RestoreSnapshotFromRecycleBinOutput](t)(api.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(11))}))
		must[*ec2.RestoreImageFromRecycleBinOutput](t)(api.RestoreImageFromRecycleBin(t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(imageID(1))}))
		if said := statuses(undoRun(t, api, run)); said[imageID(1)] != "present: it was there already" {
			t.Errorf("%v", said)
		}
		if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// By the record a failed image comes back as what it was, and the undo says so. Without one nobody
// knows whether the image was whole before.
func TestAFailedImageComesBack(t *testing.T) {
	for name, recorded := range map[string][]undo.Removed{
		"restored: its state is failed, as before": {{ImageID: imageID(1), Recorded: true, HasFailed: true, Snapshots: []string{snapshotID(11)}}},
		"incomplete: its state is failed":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := world{pictures: []picture{{n: 1, snapshots: []int{11}, state: "failed"}}}
				account := w.load(t)
				api := client(account.Client())
				before := everything(t, account)
				w.remove(t, api, run, w.pictures...)
				if said := statuses(undoWanted(t, api, undo.Request{Run: run, Images: recorded})); said[imageID(1)] != name {
					t.Errorf("%v", said)
				}
				if recorded == nil {
					return
				}
				if diff := cmp.Diff(restored(before, all(before)...), everything(t, account)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// An image that was available and comes back failed is not whole, and the undo says so.
func TestAnAvailableImageComesBackFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}}}
		account := w.load(t)
		w.remove(t, client(account.Client()), run, w.pictures...)
		broken := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, unread := emulator.Inspect(r)
			response, err := account.Client().Do(r)
			if err != nil || unread != nil || q.Action != "DescribeImages" {
				return response, err
			}
			body, err := io.ReadAll(response.Body)
			body = bytes.ReplaceAll(body, []byte("<imageState>available<"), []byte("<imageState>failed<"))
			response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return response, err
		})
		for _, wanted := range []undo.Request{
			{Run: run},
			{Run: run, Images: []undo.Removed{{ImageID: imageID(1), Recorded: true, Snapshots: []string{snapshotID(11)}}}},
		} {
			if said := statuses(undoWanted(t, client(broken), wanted)); said[imageID(1)] != "incomplete: its state is failed" {
				t.Errorf("%v", said)
			}
		}
	})
}

// An undo leaves alone an image whose removal failed, or is only announced.
func TestWhatWasNotRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := few()
		account := w.load(t)
		before := everything(t, account)
		api := client(account.Client())
		wanted := undo.Request{Run: run}
		for _, p := range gone {
			wanted.Images = append(wanted.Images, undo.Removed{ImageID: imageID(p.n), Recorded: true, Doubtful: p.n == 1})
		}
		said := statuses(undoWanted(t, api, wanted))
		only := "present: it was there already; its removal is only announced"
		if said[imageID(1)] != "" || said[imageID(2)] != only || said[imageID(3)] != only {
			t.Errorf("%v", said)
		}
		if said := statuses(undoImages(t, api, imageID(1), imageID(2))); said[imageID(1)] != "present: it was there already" || said[imageID(2)] != only {
			t.Errorf("%v", said)
		}
		if writes(account.Calls()) != 0 {
			t.Error("something was written")
		}
		if diff := cmp.Diff(before, everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// The undo of a run leaves alone an image that EC2 refused to it, and that a later run has removed,
// in the bin or gone. Where no tag says who it was, it was the run itself.
func TestWhoRemovedAnImageOfWhichTheRunDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		name, by, said string
		untag          bool
		days           int
	}{
		{"the run itself", run, "restored", false, 0},
		{"another run", otherRun, "", false, 0},
		{"nobody knows", run, "restored", true, 0},
		{"another run, long ago", otherRun, "", false, 31},
		{"nobody knows, long ago", run, "", true, 31},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := world{pictures: []picture{{n: 1, snapshots: []int{11}}}}
				account := w.load(t)
				api := client(account.Client())
				w.remove(t, api, c.by, w.pictures...)
				if c.untag {
					tags := []types.Tag{{Key: aws.String("ami-janitor:intent")}, {Key: aws.String("ami-janitor:run")}}
					ids := []string{imageID(1), snapshotID(11)}
					must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: ids, Tags: tags}))
				}
				time.Sleep(time.Duration(c.days) * 24 * time.Hour)
				said := statuses(undoWanted(t, api, undo.Request{Run: run, Images: []undo.Removed{
					{ImageID: imageID(1), Recorded: true, Doubtful: true, Snapshots: []string{snapshotID(11)}},
				}}))
				if said[imageID(1)] != c.said || said[snapshotID(11)] != c.said {
					t.Errorf("%v", said)
				}
			})
		})
	}
}

// What others have put into the bin stays there, and another run's as well.
func TestOnlyWhatIsAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{
			{n: 1, snapshots: []int{11}},
			{n: 2, snapshots: []int{12}},
			{n: 3, snapshots: []int{13}, tags: map[string]string{"ami-janitor:intent": "keep", "ami-janitor:run": run}},
			{n: 4, snapshots: []int{14}, tags: announced("ami-janitor:announced-by", run+" team-a", "ami-janitor:run", run)},
			{n: 5, snapshots: []int{15}, tags: announced("ami-janitor:announced-by", run+" team-a")},
		}}
		account := w.load(t)
		api := client(account.Client())
		before := everything(t, account)
		w.remove(t, api, run, w.pictures[0])
		w.remove(t, api, otherRun, w.pictures[1])
		// A person deregisters an announced image, which carries the run but not the intent, and
		// leaves another one that this run has announced.
		tags := []types.Tag{{Key: aws.String("ami-janitor:intent"), Value: aws.String("remove")}}
		must[*ec2.CreateTagsOutput](t)(api.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{imageID(4)}, Tags: tags}))
		deregister(t, api, 4)
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(4)}, Tags: tags}))

		said := statuses(undoRun(t, api, run))
		if diff := cmp.Diff(map[string]string{imageID(1): "restored", snapshotID(11): "restored"}, said); diff != "" {
			t.Error(diff)
		}
		want := restored(before, imageID(1), snapshotID(11))
		for _, id := range []string{imageID(2), snapshotID(12), imageID(4)} {
			delete(want, id)
		}
		if diff := cmp.Diff(want, everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// An image that takes too long is not called restored; the next undo goes on with it.
func TestRestoreTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := few()
		account := w.load(t)
		before := everything(t, account)
		w.remove(t, client(account.Client()), run, gone...)
		account.SetRestoreDelay(time.Hour)
		began := time.Now()
		said := statuses(undoRun(t, client(account.Client()), run))
		if took := time.Since(began); took < 10*time.Minute || took > 12*time.Minute {
			t.Errorf("waited for %s", took)
		}
		if said[imageID(1)] != "incomplete: its state is pending" {
			t.Errorf("%v", said)
		}
		time.Sleep(time.Hour)
		undoRun(t, client(account.Client()), run)
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// The bin may not list at once what was removed a moment ago; the tags say that it is there.
func TestTheBinIsSlow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, gone := few()
		account := w.load(t)
		before := everything(t, account)
		account.SetBinLag(100)
		w.remove(t, client(account.Client()), run, gone...)
		lossy := disturb.LoseAnswer(account.Client(), "RestoreImageFromRecycleBin", func(n int, _ emulator.Request) bool { return n == 2 })
		lossy = disturb.LoseAnswer(lossy, "RestoreSnapshotFromRecycleBin", func(n int, _ emulator.Request) bool { return n == 2 })
		for id, status := range statuses(undoRun(t, client(lossy), run)) {
			if status != "restored" && id != snapshotID(14) {
				t.Errorf("%s %s", id, status)
			}
		}
		if diff := cmp.Diff(restored(before, ofPictures(gone)...), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}

// A listing that fails in any region's bin, or of its tags, fails before anything is tried.
func TestALookThatFails(t *testing.T) {
	for action, says := range map[string]string{
		"ListImagesInRecycleBin": "listing the images in the Recycle Bin: UnauthorizedOperation", "ListSnapshotsInRecycleBin": "listing the snapshots in the Recycle Bin: UnauthorizedOperation",
		"DescribeTags": "listing tags: UnauthorizedOperation", "DescribeImages": "listing images: UnauthorizedOperation",
	} {
		bubble(t, func(t *testing.T) {
			w, gone := few()
			account := w.load(t)
			w.remove(t, client(account.Client()), run, gone...)
			written := writes(account.Calls())
			api := client(disturb.Deny(account.Client(), action))
			bin, err := undo.Look(t.Context(), api)
			if err == nil {
				_, err = undo.Run(t.Context(), api, bin, undo.Request{Run: run, Today: time.Now()})
			}
			if err == nil || !strings.HasPrefix(err.Error(), says) || writes(account.Calls()) != written {
				t.Errorf("%s: %v", action, err)
			}
		})
	}
}

// unrecorded is what a promise depends on without a record.
func unrecorded(snapshots ...int) string {
	ids := []string{}
	for _, s := range snapshots {
		ids = append(ids, snapshotID(s))
	}
	return "if it needs no snapshot but " + strings.Join(ids, ", ") + ", of which there is no record"
}

// The list promises what an undo does: with a record exactly that, and without one it says what the
// promise depends on, or promises nothing.
func TestTheListPromisesWhatAnUndoDoes(t *testing.T) {
	w := world{pictures: []picture{
		{n: 1, snapshots: []int{11}},
		{n: 2, snapshots: []int{12}},
		{n: 3, snapshots: []int{13, 23}},
		{n: 4, snapshots: []int{14}},
		{n: 5, snapshots: []int{15}},
		{n: 6, snapshots: []int{16, 17}},
		{n: 7, snapshots: []int{17}},
		{n: 8, snapshots: []int{18, 28}},
		{n: 9, snapshots: []int{19}},
	}, descriptions: map[int]string{14: "golden", 15: "", 19: "golden"}, unruled: []int{12, 15, 23}}
	const stays = 7 // And with it a snapshot of image 6.
	removed := slices.DeleteFunc(slices.Clone(w.pictures), func(p picture) bool { return p.n == stays })
	var known []undo.Removed
	for _, p := range removed {
		record := undo.Removed{ImageID: imageID(p.n), Recorded: true}
		for _, s := range p.snapshots {
			record.Snapshots = append(record.Snapshots, snapshotID(s))
		}
		known = append(known, record)
	}
	lost := func(n int) string {
		return "neither the account nor the Recycle Bin holds its snapshot " + snapshotID(n)
	}
	for name, c := range map[string]struct {
		known []undo.Removed
		want  map[int]string // What is said of an image, besides until when.
		// Those that are promised and do not come back: the proviso does not hold.
		false map[int]bool
	}{
		"recorded": {known, map[int]string{1: "", 2: lost(12), 3: lost(23), 4: "", 5: lost(15), 6: "", 8: "", 9: ""}, nil},
		"unrecorded": {nil, map[int]string{
			1: unrecorded(11), 2: unrecorded(14, 19), 3: unrecorded(13), 4: unrecorded(14, 19), 5: unrecorded(14, 19), 6: unrecorded(16), 8: unrecorded(18, 28), 9: unrecorded(14, 19),
		}, map[int]bool{2: true, 3: true, 5: true}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				api := client(w.load(t).Client())
				w.remove(t, api, run, removed...)
				bin := must[*undo.Bin](t)(undo.Look(t.Context(), api))
				list := must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", c.known))
				if len(list) != len(removed) {
					t.Errorf("%d are listed", len(list))
				}
				for i, p := range removed {
					of := list[slices.IndexFunc(list, func(r undo.Removal) bool { return r.ImageID == imageID(p.n) })]
					promised := !of.RestorableUntil.IsZero()
					wanted := undo.Request{Images: []undo.Removed{{ImageID: imageID(p.n)}}}
					if c.known != nil {
						wanted.Images = c.known[i : i+1]
					}
					back := undoWanted(t, api, wanted).Images[0].Status.Back()
					if of.Why != c.want[p.n] || promised && back == c.false[p.n] || !promised && back && c.known != nil {
						t.Errorf("image %d is listed as %+v; back: %t", p.n, of, back)
					}
				}
			})
		})
	}
}

// Where no record says which snapshots an image needs, and the bin holds none that may be its own,
// nothing is promised.
func TestNoPromiseWithoutASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}, {n: 2, snapshots: []int{12}}, {n: 3, snapshots: []int{13}}}, descriptions: map[int]string{11: "", 13: ""}, unruled: []int{11}}
		api := client(w.load(t).Client())
		w.remove(t, api, run, w.pictures[0], w.pictures[1])
		w.remove(t, api, otherRun, w.pictures[2])
		bin := must[*undo.Bin](t)(undo.Look(t.Context(), api))
		list := must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", nil))
		if len(list) != 3 || list[0].Why != unrecorded(13) || !list[1].RestorableUntil.IsZero() || list[1].Why != "no record says which snapshots it needs, and the Recycle Bin holds none that may be its own" || list[2].Why != unrecorded(12) {
			t.Errorf("%+v", list)
		}
		if said := statuses(undoImages(t, api, imageID(1))); !strings.HasPrefix(said[imageID(1)], "not-restored") {
			t.Errorf("%v", said)
		}
	})
}

// The first of an image and of its snapshots that leaves the bin ends the promise.
func TestThePromiseEndsWithTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}}, snapshotDays: 5}
		api := client(w.load(t).Client())
		w.remove(t, api, run, w.pictures...)
		known := []undo.Removed{{ImageID: imageID(1), Recorded: true, Snapshots: []string{snapshotID(11)}}}
		for _, removed := range [][]undo.Removed{known, nil} {
			bin := must[*undo.Bin](t)(undo.Look(t.Context(), api))
			list := must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", removed))
			if now := time.Now(); len(list) != 1 || !list[0].RestorableUntil.Equal(now.AddDate(0, 0, 5)) || !list[0].InBinUntil.Equal(now.AddDate(0, 0, keptDays)) {
				t.Errorf("%+v", list)
			}
		}
		time.Sleep(5 * 24 * time.Hour)
		bin := must[*undo.Bin](t)(undo.Look(t.Context(), api))
		if list := must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", known)); len(list) != 1 || !list[0].RestorableUntil.IsZero() {
			t.Errorf("%+v", list)
		}
	})
}

func TestRemovals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{
			{n: 1, snapshots: []int{11}}, {n: 2, snapshots: []int{12}}, {n: 3, snapshots: []int{13}}, {n: 4, snapshots: []int{14}}, {n: 5, snapshots: []int{15}},
		}}
		account := w.load(t)
		api := client(account.Client())
		w.remove(t, api, run, w.pictures[0], w.pictures[1])
		first := time.Now()
		time.Sleep(24 * time.Hour)
		w.remove(t, api, otherRun, w.pictures[2])
		// A person has removed the tag that says which run it was, and has taken the tags off
		// another one.
		w.remove(t, api, run, w.pictures[3])
		removal := []types.Tag{{Key: aws.String("ami-janitor:run")}}
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(4), snapshotID(14)}, Tags: removal}))
		w.remove(t, api, run, w.pictures[4])
		removal = append(removal, types.Tag{Key: aws.String("ami-janitor:intent")})
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(5), snapshotID(15)}, Tags: removal}))
		// Of this run a snapshot is left in the bin, but no image.
		must[*ec2.RestoreSnapshotFromRecycleBinOutput](t)(api.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(13))}))
		must[*ec2.RestoreImageFromRecycleBinOutput](t)(api.RestoreImageFromRecycleBin(t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(imageID(3))}))
		deregister(t, api, 3)
		deleteSnapshot(t, api, 13)
		must[*ec2.RestoreSnapshotFromRecycleBinOutput](t)(api.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(13))}))
		must[*ec2.RestoreImageFromRecycleBinOutput](t)(api.RestoreImageFromRecycleBin(t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(imageID(3))}))
		declare(t, api, "20261125T020000Z-0a1b2c", snapshotID(13), imageID(3))
		deregister(t, api, 3)
		deleteSnapshot(t, api, 13)
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(3)}, Tags: removal}))

		bin := must[*undo.Bin](t)(undo.Look(t.Context(), api))
		second := first.Add(24 * time.Hour)
		want := []undo.Removal{
			{Run: "20261125T020000Z-0a1b2c", SnapshotID: snapshotID(13), Name: "Created by CreateImage(i-00000000000000003) for " + imageID(3), RemovedAt: second},
			{Run: run, ImageID: imageID(1), Name: "image-1", RemovedAt: first, Why: unrecorded(11)},
			{Run: run, ImageID: imageID(2), Name: "image-2", RemovedAt: first, Why: unrecorded(12)},
			{ImageID: imageID(4), Name: "image-4", RemovedAt: second, Why: unrecorded(14)},
		}
		for i := range want {
			want[i].Region, want[i].InBinUntil = "us-east-1", want[i].RemovedAt.AddDate(0, 0, keptDays)
			want[i].RestorableUntil = want[i].InBinUntil
		}
		if diff := cmp.Diff(want, must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", nil)), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Error(diff)
		}
		if bin.Run(imageID(1)) != run || bin.Run(imageID(4)) != "" || bin.Run(imageID(5)) != "" {
			t.Error("wrong runs")
		}
		// It is the same however the listings are paged and however late the bin shows what it
		// holds.
		time.Sleep(keptDays * 24 * time.Hour)
		bin = must[*undo.Bin](t)(undo.Look(t.Context(), api))
		if left := must[[]undo.Removal](t)(bin.Removals(t.Context(), api, "us-east-1", nil)); len(left) != 0 {
			t.Errorf("after their time: %+v", left)
		}
	})
}

// After the undo of whatever a run came to do, all that was in the bin is back with its own tags,
// and nothing else has changed.
func TestUndoOfAnyPrefix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			w := world{permissions: object{}}
			kinds := []map[string]string{nil, announced(), announced("ami-janitor:disabled", otherRun)}
			for n := range rapid.IntRange(1, 8).Draw(t, "images") {
				kind := rapid.IntRange(0, 2).Draw(t, "kind")
				p := picture{n: n, tags: kinds[kind], snapshots: rapid.SliceOfNDistinct(rapid.IntRange(0, 12), 1, 3, rapid.ID[int]).Draw(t, "snapshots")}
				if kind == 2 {
					p.state = "disabled"
				} else if rapid.Bool().Draw(t, "shared") {
					w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
				}
				w.pictures = append(w.pictures, p)
			}
			gone := rapid.SliceOfNDistinct(rapid.SampledFrom(w.pictures), 1, len(w.pictures), func(p picture) int { return p.n }).Draw(t, "gone")
			account := w.load(t)
			api := client(account.Client())
			before := everything(t, account)
			steps := w.steps(run, gone)
			for _, step := range steps[:rapid.IntRange(0, len(steps)).Draw(t, "prefix")] {
				step(t, api)
			}
			declared := ofRun(t, api)
			account.SetRestoreDelay(time.Duration(rapid.IntRange(0, 40).Draw(t, "delay")) * time.Second)
			for id, status := range statuses(undoRun(t, api, run)) {
				if !strings.HasPrefix(status, "restored") && !strings.HasPrefix(status, "present") {
					t.Errorf("%s %s", id, status)
				}
			}
			if diff := cmp.Diff(restored(before, declared...), everything(t, account)); diff != "" {
				t.Error(diff)
			}
		})
	})
}

// ofRun are the ids that carry the tag of the run.
func ofRun(t rapid.TB, api *ec2.Client) []string {
	t.Helper()
	out := must[*ec2.DescribeTagsOutput](t)(api.DescribeTags(context.Background(), &ec2.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("tag:ami-janitor:run"), Values: []string{run}}}}))
	var ids []string
	for _, tag := range out.Tags {
		ids = append(ids, *tag.ResourceId)
	}
	return ids
}

// A person may have taken the tags of the removal off what is in the bin. What comes back from
// there carries the day nevertheless: else the next run would remove it once more.
func TestAnImageThatLostItsTagsInTheBin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{pictures: []picture{{n: 1, snapshots: []int{11}}, {n: 2}}}
		account := w.load(t)
		api := client(account.Client())
		before := everything(t, account)
		w.remove(t, api, run, w.pictures...)
		keys := []types.Tag{{Key: aws.String("ami-janitor:intent")}, {Key: aws.String("ami-janitor:run")}}
		must[*ec2.DeleteTagsOutput](t)(api.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(1), imageID(2)}, Tags: keys}))
		undoImages(t, api, imageID(1), imageID(2))
		if diff := cmp.Diff(restored(before, imageID(1), imageID(2), snapshotID(11)), everything(t, account)); diff != "" {
			t.Error(diff)
		}
	})
}
