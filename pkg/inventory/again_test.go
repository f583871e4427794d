package inventory_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/emulator"
	"ami-janitor/pkg/inventory"
)

// again reads images anew through the client that the janitor uses.
func again(ctx context.Context, doer emulator.Doer, ids ...string) ([]ami.Image, error) {
	return inventory.Again(ctx, client(doer), ids)
}

// What is read anew are all facts of the images that are still there and the account's own, disabled ones too.
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

// C1: a call that fails leaves no images that could be taken for all.
func TestAgainFails(t *testing.T) {
	account := holding(t, many(300, image), nil, nil)
	var asked []string
	for n := range 300 {
		asked = append(asked, imageID(n+1))
	}
	second := func(n int, _ emulator.Request) bool { return n > 1 }
	for name, doer := range map[string]emulator.Doer{
		"denied":   emulator.Deny(account.Client(), "DescribeImages"),
		"second":   emulator.Fail(account.Client(), "DescribeImages", second, 503, "RequestLimitExceeded", "x"),
		"garbled":  emulator.Garble(account.Client(), "DescribeImages", second),
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

// A listing without any image is not believed while snapshots say that they were made for some. The error says what to do.
func TestAListingWithoutImages(t *testing.T) {
	described := func(n int, description string) object { return snapshot(n, object{"Description": description}) }
	created := "Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890"
	copied := "Copied for DestinationAmi ami-0abcdef1234567890 from SourceAmi ami-0bcdef1234567890a for SourceSnapshot snap-1. Task created on 1,566,308,778,174."
	for name, test := range map[string]struct {
		images, snapshots []object
		says              string
	}{
		"created":               {nil, []object{described(3, created), described(2, created), snapshot(1, nil)}, "2 in number, such as " + snapshotID(2) + ` ("` + created + `")`},
		"copied":                {nil, []object{described(1, copied)}, "1 in number, such as " + snapshotID(1) + ` ("Copied for DestinationAmi ami-0abcdef1234567890")`},
		"of_an_old_id":          {nil, []object{described(1, "Created by CreateImage(i-12345678) for ami-12345678 from vol-12345678")}, "1 in number"},
		"with_an_image":         {many(1, image), []object{described(1, created)}, ""},
		"no_snapshots":          {nil, nil, ""},
		"of_no_image":           {nil, []object{snapshot(1, nil), described(2, ""), described(3, "before the upgrade")}, ""},
		"that_talk_of_an_image": {nil, []object{described(1, "Not "+created), described(2, "for ami-0abcdef1234567890")}, ""},
		"by_a_backup":           {nil, []object{described(1, "This snapshot is created by the AWS Backup service.")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t.Context(), holding(t, test.images, test.snapshots, nil).Client())
			if test.says == "" {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			if err == nil || !cmp.Equal(got, ami.Inventory{}) {
				t.Fatalf("%+v, %v; want an error", got, err)
			}
			for _, part := range []string{"listing images: ", test.says, "gone for good", "delete these snapshots", "EXCEPT_REGIONS"} {
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
	snapshots[1400]["Description"] = created
	if _, err := read(t.Context(), holding(t, nil, snapshots, nil).Client()); err == nil || !strings.Contains(err.Error(), snapshotID(1401)) {
		t.Errorf("error %v", err)
	}
}
