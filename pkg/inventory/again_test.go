package inventory_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
)

// again reads images again through the client that the janitor uses.
func again(ctx context.Context, doer emulator.Doer, ids ...string) ([]ami.Image, error) {
	return inventory.ImagesAgain(ctx, client(doer), ids)
}

// The images that still exist and belong to the account are read with all their facts, disabled
// ones too.
func TestAgain(t *testing.T) {
	account := holding(t, []object{
		image(1, object{"LastLaunchedTime": "2026-02-03T04:05:06Z"}), image(2, object{"State": "disabled"}), image(3, nil),
		image(4, object{"OwnerId": "999999999999", "Public": true}),
	}, nil, nil)
	got, err := again(t.Context(), account.Client(), imageID(2), imageID(4), imageID(1), imageID(77))
	if err != nil {
		t.Fatal(err)
	}
	all := mustRead(t, account).Images
	want := slices.DeleteFunc(all, func(i ami.Image) bool { return i.ID == imageID(3) })
	slices.SortFunc(got, func(a, b ami.Image) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// The snapshots that still exist and belong to the account are read with all their facts, except
// for their locks.
func TestSnapshotsAgain(t *testing.T) {
	forms := map[string][]string{}
	snapshots := many(440, snapshot)
	snapshots[1]["Tags"] = []object{{"Key": "team", "Value": "a"}}
	snapshots[2]["OwnerId"] = "999999999999"
	account := holding(t, nil, snapshots, nil)
	var asked []string
	for n := 449; n >= 0; n-- {
		asked = append(asked, snapshotID(n+1))
	}
	got, err := inventory.SnapshotsAgain(t.Context(), client(asking(account.Client(), forms)), asked)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b ami.Snapshot) int { return strings.Compare(a.ID, b.ID) })
	want := mustRead(t, account).Snapshots
	slices.SortFunc(want, func(a, b ami.Snapshot) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 439 {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	calls := forms["DescribeSnapshots"]
	if len(calls) != 3 {
		t.Errorf("%d calls, want 3", len(calls))
	}
	for _, form := range calls {
		if !strings.Contains(form, "Filter.1.Name=snapshot-id") || !strings.Contains(form, "Owner.1=self") || strings.Contains(form, "Value.201=") {
			t.Errorf("asked with %s", form)
		}
	}
	for kind, doer := range map[string]emulator.Doer{
		"denied": disturb.Deny(account.Client(), "DescribeSnapshots"),
		"second": disturb.Fail(account.Client(), "DescribeSnapshots", func(n int, _ emulator.Request) bool { return n > 1 }, 403, "UnauthorizedOperation", "x"),
	} {
		if got, err := inventory.SnapshotsAgain(t.Context(), client(doer), asked); err == nil || !strings.HasPrefix(err.Error(), "listing snapshots: ") || got != nil {
			t.Errorf("%s: %d snapshots, %v", kind, len(got), err)
		}
	}
	if got, err := inventory.SnapshotsAgain(t.Context(), client(disturb.Deny(account.Client(), "DescribeSnapshots")), nil); err != nil || len(got) > 0 {
		t.Errorf("nothing: %d snapshots, %v", len(got), err)
	}
}

// A snapshot that is missing from a listing is gone only if EC2 says so about its id.
func TestConfirmSnapshots(t *testing.T) {
	account := holding(t, nil, many(3, snapshot), nil)
	answering := func(next emulator.Doer, parameter, items string) emulator.Doer {
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if q, err := emulator.Inspect(r); err != nil || !q.Form.Has(parameter) {
				return next.Do(r)
			}
			body := "<DescribeSnapshotsResponse><requestId>1</requestId><snapshotSet>" + items + "</snapshotSet></DescribeSnapshotsResponse>"
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})
	}
	blind := answering(account.Client(), "Filter.1.Name", "")
	asked := []string{snapshotID(1), snapshotID(2), snapshotID(77)}
	for name, test := range map[string]struct {
		doer  emulator.Doer
		fails string
	}{
		"as it is":         {account.Client(), ""},
		"an empty list":    {blind, ""},
		"no list":          {disturb.Deny(account.Client(), "DescribeSnapshots"), "listing snapshots: "},
		"another snapshot": {answering(blind, "SnapshotId.1", "<item><snapshotId>"+snapshotID(3)+"</snapshotId></item>"), "EC2 neither shows " + snapshotID(1)},
		"no snapshot":      {answering(account.Client(), "SnapshotId.1", ""), "EC2 neither shows " + snapshotID(77)},
		"denied by its id": {
			disturb.Fail(account.Client(), "DescribeSnapshots", func(_ int, q emulator.Request) bool { return q.Form.Has("SnapshotId.1") }, 403, "UnauthorizedOperation", "x"),
			"looking for " + snapshotID(77),
		},
	} {
		got, err := inventory.ConfirmSnapshots(t.Context(), client(test.doer), asked)
		if test.fails != "" {
			if err == nil || !strings.HasPrefix(err.Error(), test.fails) || got != nil {
				t.Errorf("%s: %d snapshots, %v", name, len(got), err)
			}
			continue
		}
		if diff := cmp.Diff(mustRead(t, account).Snapshots[:2], got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// A call names no more ids than a filter takes, and every page of its answer is read.
func TestAgainForManyImages(t *testing.T) {
	forms := map[string][]string{}
	var asked []string
	for n := range 450 {
		asked = append(asked, imageID(n+1))
	}
	got, err := again(t.Context(), asking(holding(t, many(440, image), nil, nil).Client(), forms), asked...)
	if err != nil || len(slices.Compact(ids(got, ofImage))) != 440 {
		t.Errorf("%d images, %v; want 440", len(got), err)
	}
	calls := forms["DescribeImages"]
	if len(calls) != 3 {
		t.Errorf("%d calls, want 3", len(calls))
	}
	for _, form := range calls {
		for _, part := range []string{"Filter.1.Name=image-id", "IncludeDisabled=true", "MaxResults=1000", "Owner.1=self"} {
			if !strings.Contains(form, part) {
				t.Errorf("no %s in %s", part, form)
			}
		}
		if strings.Contains(form, "Value.201=") || strings.Contains(form, "ImageId") {
			t.Errorf("asked with %s", form)
		}
	}
}

func TestAgainForNothing(t *testing.T) {
	account := holding(t, many(2, image), nil, nil)
	if got, err := again(t.Context(), account.Client()); err != nil || len(got) > 0 || len(account.Calls()) > 0 {
		t.Errorf("%d images, %v, after %d calls", len(got), err, len(account.Calls()))
	}
}

// After a failed call no images are returned.
func TestAgainFails(t *testing.T) {
	account := holding(t, many(300, image), nil, nil)
	var asked []string
	for n := range 300 {
		asked = append(asked, imageID(n+1))
	}
	second := func(n int, _ emulator.Request) bool { return n > 1 }
	for name, doer := range map[string]emulator.Doer{
		"denied":   disturb.Deny(account.Client(), "DescribeImages"),
		"second":   disturb.Fail(account.Client(), "DescribeImages", second, 503, "RequestLimitExceeded", "x"),
		"garbled":  disturb.Garble(account.Client(), "DescribeImages", second),
		"circular": leading(t, account.Client(), "DescribeImages", "a"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := again(t.Context(), doer, asked...)
				if err == nil || !strings.HasPrefix(err.Error(), "listing images: ") || got != nil {
					t.Errorf("%d images, %v", len(got), err)
				}
			})
		})
	}
}

// A listing without images is not believed if snapshots say that they were made for some, unless
// EC2 says that each of these is gone. The error says what to do.
func TestAListingWithoutImages(t *testing.T) {
	described := func(n int, description string) object { return snapshot(n, object{"Description": description}) }
	created := func(n int) string { return "Created by CreateImage(i-1234567890abcdef0) for " + imageID(n) }
	copied := "Copied for DestinationAmi " + imageID(1) + " from SourceAmi ami-0bcdef1234567890a for SourceSnapshot snap-1. Task created on 1,566,308,778,174."
	for name, test := range map[string]struct {
		images, snapshots []object
		says              string
	}{
		"of_images_that_are_gone":     {nil, []object{described(3, created(1)), described(2, created(2)), snapshot(1, nil)}, ""},
		"of_one_that_is_there":        {many(1, image), []object{described(3, created(1)), described(2, created(1)), described(1, created(2))}, snapshotID(2) + " is a snapshot of " + imageID(1)},
		"of_a_copy_that_is_there":     {many(1, image), []object{described(1, copied)}, snapshotID(1) + " is a snapshot of " + imageID(1)},
		"of_one_that_is_disabled":     {[]object{image(1, object{"State": "disabled"})}, []object{described(1, created(1))}, "EC2 does not say that it is gone"},
		"of_one_that_is_deregistered": {[]object{image(1, object{"State": "deregistered"})}, []object{described(1, created(1))}, ""},
		"no_snapshots":                {many(1, image), nil, ""},
		"of_no_image":                 {many(1, image), []object{snapshot(1, nil), described(2, ""), described(3, "before the upgrade")}, ""},
		"that_talk_of_an_image":       {many(1, image), []object{described(1, "Not "+created(1)), described(2, "for "+imageID(1))}, ""},
		"made_by_a_backup_of_a_disk":  {many(1, image), []object{described(1, "This snapshot is created by the AWS Backup service.")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t.Context(), unlisted(holding(t, test.images, test.snapshots, nil).Client()))
			if test.says == "" {
				if err != nil || len(got.Images) > 0 || len(got.Snapshots) != len(test.snapshots) {
					t.Errorf("%+v, error %v", got, err)
				}
				return
			}
			if err == nil || !cmp.Equal(got, ami.Inventory{}) {
				t.Fatalf("%+v, %v; want an error", got, err)
			}
			for _, part := range []string{"listing images: none is listed, but by its description", test.says} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	var snapshots []object
	for n := range 1500 { // On the second page.
		snapshots = append(snapshots, snapshot(n+1, nil))
	}
	snapshots[1400]["Description"] = created(1)
	account := holding(t, many(1, image), snapshots, nil)
	if _, err := read(t.Context(), unlisted(account.Client())); err == nil || !strings.Contains(err.Error(), snapshotID(1401)) {
		t.Errorf("error %v", err)
	}
}

// If thousands of images that are gone have left snapshots, EC2 is asked about a hundred: those
// with a removal declaration, the largest and the newest. The snapshots of the others are marked.
func TestAListingWithoutImagesAndManySnapshots(t *testing.T) {
	const n = 3000
	var snapshots []object
	for i := range n {
		s := object{
			"Description": "Created by CreateImage(i-1234567890abcdef0) for " + imageID(i+1), "VolumeSize": 1 + i%100,
			"StartTime": time.Date(2020, 1, 1, 0, i, 0, 0, time.UTC).Format(time.RFC3339),
		}
		if i == 0 {
			s["Tags"] = []object{{"Key": "ami-janitor:intent", "Value": "remove"}}
		}
		snapshots = append(snapshots, snapshot(i+1, s))
	}
	account := holding(t, nil, snapshots, nil)
	got, err := read(t.Context(), account.Client())
	if err != nil || len(got.Images) > 0 || len(got.Snapshots) != n {
		t.Fatalf("%d snapshots, %v", len(got.Snapshots), err)
	}
	lookups, asked := 0, map[string]bool{}
	for _, call := range account.Calls() {
		if call.Action == "DescribeImages" {
			lookups++
		}
	}
	for _, s := range got.Snapshots {
		switch s.Unreadable {
		case "":
			asked[s.ID] = true
		case ami.ImageNotAsked:
		default:
			t.Errorf("%s: %s", s.ID, s.Unreadable)
		}
	}
	if lookups != 101 || len(asked) != 100 {
		t.Errorf("%d calls of DescribeImages, %d images asked about", lookups, len(asked))
	}
	for _, i := range []int{1, 100, 200, n, n - 1} {
		if !asked[snapshotID(i)] {
			t.Errorf("the image of %s was not asked for", snapshotID(i))
		}
	}
	there := unlisted(holding(t, []object{image(n-1, nil)}, snapshots, nil).Client())
	if _, err := read(t.Context(), there); err == nil || !strings.Contains(err.Error(), imageID(n-1)) {
		t.Errorf("one of the newest is there: error %v", err)
	}
}

// Only EC2 itself can say that an image is gone.
func TestWhatDoesNotSayThatAnImageIsGone(t *testing.T) {
	account := holding(t, nil, []object{snapshot(1, object{"Description": "Created by CreateImage(i-1234567890abcdef0) for " + imageID(1)})}, nil)
	byID := func(_ int, q emulator.Request) bool { return q.Form.Has("ImageId.1") }
	for name, doer := range map[string]emulator.Doer{
		"denied":      disturb.Fail(account.Client(), "DescribeImages", byID, 403, "UnauthorizedOperation", "x"),
		"malformed":   disturb.Fail(account.Client(), "DescribeImages", byID, 400, "InvalidAMIID.Malformed", "x"),
		"unavailable": disturb.Fail(account.Client(), "DescribeImages", byID, 503, "Unavailable", "x"),
		"garbled":     disturb.Garble(account.Client(), "DescribeImages", byID),
		"empty":       emptied(account.Client(), byID),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := read(t.Context(), doer)
				if err == nil || !strings.Contains(err.Error(), "none is listed") || !cmp.Equal(got, ami.Inventory{}) {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
}

// unlisted has EC2 list no images, and show those that are asked for by their ids.
func unlisted(next emulator.Doer) emulator.Doer {
	return emptied(next, func(_ int, q emulator.Request) bool { return !q.Form.Has("ImageId.1") })
}

// emptied has EC2 answer to DescribeImages, where a call matches, that there are none.
func emptied(next emulator.Doer, matches func(int, emulator.Request) bool) emulator.Doer {
	const none = `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imagesSet/></DescribeImagesResponse>`
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		if q.Action == "DescribeImages" && matches(1, q) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(none)), Request: r}, nil
		}
		return next.Do(r)
	})
}
