package inventory_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// only returns the one image of an inventory.
func only(t *testing.T, got ami.Inventory) ami.Image {
	t.Helper()
	if len(got.Images) != 1 {
		t.Fatalf("%d images, want 1", len(got.Images))
	}
	return got.Images[0]
}

// All facts of an image and of a snapshot that the janitor judges by.
func TestFacts(t *testing.T) {
	got := mustRead(t, holding(t, []object{image(1, object{
		"ImageOwnerAlias":          "aws-backup-vault",
		"Public":                   true,
		"DeregistrationProtection": "enabled-with-cooldown",
		"SourceImageId":            imageID(9),
		"SourceImageRegion":        "us-east-1",
		"SourceInstanceId":         "i-1234567890abcdef0",
		"DeprecationTime":          "2027-02-03T04:05:00.000Z",
		"LastLaunchedTime":         "2026-02-03T04:05:06Z",
		"Tags":                     []object{{"Key": "a", "Value": "1"}, {"Key": "empty", "Value": ""}, {"Key": "aws:x", "Value": "<&>"}},
		"ProductCodes":             []object{{"ProductCodeId": "x", "ProductCodeType": "devpay"}, {"ProductCodeId": "y", "ProductCodeType": "marketplace"}},
		"BlockDeviceMappings":      []object{{"DeviceName": "/dev/xvda", "Ebs": object{"SnapshotId": snapshotID(1)}}},
	})}, []object{snapshot(1, object{"StorageTier": "archive", "VolumeSize": 16000, "Tags": []object{{"Key": "k", "Value": "v"}}})},
		[]object{lock(1, object{"LockState": "compliance-cooloff"})}))
	want := ami.Inventory{
		Account: owner, Region: region,
		Images: []ami.Image{{
			ID: imageID(1), Name: "web-1", OwnerID: owner, OwnerAlias: "aws-backup-vault", State: "available", Architecture: "x86_64",
			Public: true, Marketplace: true, Protection: "enabled-with-cooldown",
			CreatedAt:      time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC),
			LastLaunchedAt: time.Date(2026, time.February, 3, 4, 5, 6, 0, time.UTC),
			DeprecatedAt:   time.Date(2027, time.February, 3, 4, 5, 0, 0, time.UTC),
			SourceImageID:  imageID(9), SourceRegion: "us-east-1", SourceInstanceID: "i-1234567890abcdef0", SnapshotIDs: []string{snapshotID(1)},
			Tags: map[string]string{"a": "1", "empty": "", "aws:x": "<&>"},
		}},
		Snapshots: []ami.Snapshot{{ID: snapshotID(1), SizeGiB: 16000, Archived: true, Lock: "compliance-cooloff", Tags: map[string]string{"k": "v"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

// The image that a snapshot was made for is in its description, where EC2 has written one; a copy
// belongs to its destination.
func TestTheImageOfASnapshot(t *testing.T) {
	for name, test := range map[string]struct {
		description any
		want        string
	}{
		"created": {"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890", "ami-0abcdef1234567890"},
		"created_from_a_volume": {
			"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890 from vol-1234567890abcdef0", "ami-0abcdef1234567890",
		},
		"copied": {
			"Copied for DestinationAmi ami-0abcdef1234567890 from SourceAmi ami-0bcdef1234567890a for SourceSnapshot snap-0123456789abcdef0. " +
				"Task created on 1,566,308,778,174.", "ami-0abcdef1234567890",
		},
		"of_an_old_id":          {"Created by CreateImage(i-12345678) for ami-12345678 from vol-12345678", "ami-12345678"},
		"without_an_end":        {"Created by CreateImage(i-1234567890abcdef0) for ami-", ""},
		"of_a_long_id":          {"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef12345678901 from vol-1234567890abcdef0", ""},
		"of_no_id":              {"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdefghijk", ""},
		"in_other_words":        {"Snapshot of ami-0abcdef1234567890", ""},
		"quoted":                {`"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890"`, ""},
		"copied_by_a_person":    {"[Copied snap-0123456789abcdef0 from us-east-1] Created by CreateImage(i-1) for ami-0abcdef1234567890", ""},
		"without_words":         {"", ""},
		"without_a_description": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, holding(t, many(1, image), []object{snapshot(1, object{"Description": test.description})}, nil)).Snapshots
			if len(got) != 1 || got[0].ImageID != test.want {
				t.Errorf("%+v, want made for %q", got, test.want)
			}
		})
	}
}

// The description of CreateImage names the volume of the snapshot itself; a copy has another one.
func TestTheVolumeOfASnapshot(t *testing.T) {
	const whole = "Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890 from "
	for name, test := range map[string]struct {
		description, volume any
		want                bool
	}{
		"its own":         {whole + "vol-1234567890abcdef0", "vol-1234567890abcdef0", true},
		"of an old id":    {whole + "vol-12345678", "vol-12345678", true},
		"another one":     {whole + "vol-1234567890abcdef0", "vol-1234567890abcdef1", false},
		"a copy":          {whole + "vol-1234567890abcdef0", "vol-ffffffff", false},
		"a copy of one":   {whole + "vol-ffffffff", "vol-ffffffff", false},
		"a long one":      {whole + "vol-ffffffffffffffffff", "vol-ffffffffffffffffff", false},
		"none":            {whole + "vol-1234567890abcdef0", nil, false},
		"more words":      {whole + "vol-1234567890abcdef0, keep", "vol-1234567890abcdef0", false},
		"another line":    {whole + "vol-1234567890abcdef0\n", "vol-1234567890abcdef0", false},
		"words before":    {"x " + whole + "vol-1234567890abcdef0", "vol-1234567890abcdef0", false},
		"no volume named": {"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567890", "vol-1234567890abcdef0", false},
		"a copied image": {
			"Copied for DestinationAmi ami-0abcdef1234567890 from SourceAmi ami-0bcdef1234567890a from vol-1234567890abcdef0", "vol-1234567890abcdef0", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, holding(t, many(1, image), []object{snapshot(1, object{"Description": test.description, "VolumeId": test.volume})}, nil)).Snapshots
			if len(got) != 1 || got[0].NamesVolume != test.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A snapshot that is not completed, or not kept in its region, is told apart.
func TestSpecialSnapshots(t *testing.T) {
	for want, facts := range map[string]object{
		"":                                  {"State": "completed"},
		"managed by AWS (aws-backup-vault)": {"State": "completed", "OwnerAlias": "aws-backup-vault"},
		"it is restored from the archive tier for a while": {"State": "completed", "StorageTier": "standard", "RestoreExpiryTime": "2027-01-02T03:04:05Z"},
		"its state is pending":                             {"State": "pending"},
		"its state is recovering":                          {"State": "recovering"},
		"it is on an Outpost":                              {"State": "completed", "OutpostArn": "arn:aws:outposts:us-west-2:123456789012:outpost/op-1234567890abcdef0"},
		"it is kept in us-west-2-lax-1a":                   {"State": "completed", "AvailabilityZone": "us-west-2-lax-1a"},
	} {
		got := mustRead(t, holding(t, many(1, image), []object{snapshot(1, facts)}, nil)).Snapshots
		if len(got) != 1 || got[0].Special != want {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}

// VM Import marks the snapshot of an image, without the image's id. A snapshot of a disk belongs to
// no image.
func TestWhatVMImportHasMade(t *testing.T) {
	for description, want := range map[string]bool{
		"Created by AWS-VMImport service for import-ami-0abcdef1234567890":   true,
		"Created by AWS-VMImport service for import-ami-fgsfyp6k":            true,
		"Created by AWS-VMImport service for import-snap-fhcp6i74":           false,
		"backup; Created by AWS-VMImport service for import-ami-fgsfyp6k":    false,
		"Created by CreateImage(i-1234567890abcdef0) for ami-0abcdef1234567": false,
		"": false,
	} {
		got := mustRead(t, holding(t, many(1, image), []object{snapshot(1, object{"Description": description})}, nil)).Snapshots
		if len(got) != 1 || got[0].Imported != want {
			t.Errorf("%q: %+v", description, got)
		}
	}
}

// The start time of a snapshot is known, or zero.
func TestStartedAt(t *testing.T) {
	got := mustRead(t, holding(t, nil, []object{
		snapshot(1, object{"StartTime": "2026-01-02T05:04:05.678+02:00"}), snapshot(2, nil),
	}, nil)).Snapshots
	if want := time.Date(2026, time.January, 2, 3, 4, 5, 678e6, time.UTC); !got[0].StartedAt.Equal(want) || got[0].StartedAt.Location() != time.UTC {
		t.Errorf("started at %s, want %s", got[0].StartedAt, want)
	}
	if !got[1].StartedAt.IsZero() {
		t.Errorf("started at %s, want unknown", got[1].StartedAt)
	}
}

// Resources with the same tags share them in memory; others do not.
func TestTagsOfManyResources(t *testing.T) {
	tags := func(value string) object {
		return object{"Tags": []object{{"Key": "team", "Value": value}, {"Key": "Name", "Value": "web"}}}
	}
	crossed := object{"Tags": []object{{"Key": "team", "Value": "Name"}, {"Key": "web", "Value": "web"}}}
	got := mustRead(t, holding(t, []object{image(1, tags("web")), image(2, tags("db")), image(3, crossed), image(4, nil)},
		[]object{snapshot(1, tags("db")), snapshot(2, tags("web")), snapshot(3, nil)}, nil))
	of := map[string]map[string]string{}
	for _, image := range got.Images {
		of[image.ID] = image.Tags
	}
	for _, snapshot := range got.Snapshots {
		of[snapshot.ID] = snapshot.Tags
	}
	web, db := map[string]string{"team": "web", "Name": "web"}, map[string]string{"team": "db", "Name": "web"}
	want := map[string]map[string]string{
		imageID(1): web, imageID(2): db, imageID(3): {"team": "Name", "web": "web"}, imageID(4): {},
		snapshotID(1): db, snapshotID(2): web, snapshotID(3): {},
	}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// An image with hardly any facts is read as well, and nothing is invented for it.
func TestAnImageWithoutFacts(t *testing.T) {
	got := only(t, mustRead(t, holding(t, []object{{"ImageId": imageID(1)}}, nil, nil)))
	if diff := cmp.Diff(ami.Image{ID: imageID(1), Tags: map[string]string{}}, got); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
}

// A date that cannot be read is unreadable, never early.
func TestDates(t *testing.T) {
	at := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		text       any
		want       time.Time
		unreadable bool
	}{
		"with_milliseconds":    {"2026-01-02T03:04:05.000Z", at, false},
		"without_milliseconds": {"2026-01-02T03:04:05Z", at, false},
		"with_nanoseconds":     {"2026-01-02T03:04:05.000000001Z", at.Add(1), false},
		"with_an_offset":       {"2026-01-02T05:04:05+02:00", at, false},
		"in_the_future":        {"2126-01-02T03:04:05.000Z", at.AddDate(100, 0, 0), false},
		"the_first_day":        {"2006-08-24T00:00:00.000Z", time.Date(2006, time.August, 24, 0, 0, 0, 0, time.UTC), false},
		"before_the_first_day": {"2006-08-23T23:59:59.000Z", time.Time{}, true},
		"the_epoch":            {"1970-01-01T00:00:00.000Z", time.Time{}, true},
		"year_one":             {"0001-01-01T00:00:00Z", time.Time{}, true},
		"before_by_its_offset": {"2006-08-24T00:00:00+01:00", time.Time{}, true},
		"yesterday":            {"yesterday", time.Time{}, true},
		"a_day_alone":          {"2026-01-02", time.Time{}, true},
		"without_a_zone":       {"2026-01-02T03:04:05", time.Time{}, true},
		"with_a_blank":         {"2026-01-02 03:04:05Z", time.Time{}, true},
		"epoch_seconds":        {"1767323045", time.Time{}, true},
		"epoch_as_a_number":    {1767323045, time.Time{}, true},
		"an_impossible_day":    {"2026-02-30T00:00:00.000Z", time.Time{}, true},
		"empty":                {"", time.Time{}, true},
		"blank":                {" ", time.Time{}, true},
		"missing":              {nil, time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := only(t, mustRead(t, holding(t, []object{image(1, object{
				"CreationDate": test.text, "LastLaunchedTime": test.text, "DeprecationTime": test.text,
			})}, nil, nil)))
			if !got.CreatedAt.Equal(test.want) || !got.LastLaunchedAt.Equal(test.want) || !got.DeprecatedAt.Equal(test.want) {
				t.Errorf("created %s, launched %s, deprecated %s, want %s", got.CreatedAt, got.LastLaunchedAt, got.DeprecatedAt, test.want)
			}
			var faults []string
			if test.unreadable {
				text, err := json.Marshal(test.text)
				if err != nil {
					t.Fatal(err)
				}
				quoted := `"` + strings.Trim(string(text), `"`) + `"`
				faults = []string{"creation date " + quoted, "last launched time " + quoted, "deprecation time " + quoted}
			}
			if diff := cmp.Diff(faults, got.Unreadable); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

// Mappings without a snapshot are no snapshots; every other one is, whatever its place.
func TestMappings(t *testing.T) {
	ebs := func(n int) object {
		return object{"DeviceName": "/dev/sdx", "Ebs": object{"SnapshotId": snapshotID(n)}}
	}
	ephemeral := object{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}
	for name, test := range map[string]struct {
		mappings any
		want     []string
	}{
		"none":                 {nil, nil},
		"an_empty_list":        {[]object{}, nil},
		"ephemeral_first":      {[]object{ephemeral, ebs(1)}, []string{snapshotID(1)}},
		"only_ephemeral":       {[]object{ephemeral, ephemeral}, nil},
		"suppressed":           {[]object{{"DeviceName": "/dev/sdc", "NoDevice": ""}, ebs(1)}, []string{snapshotID(1)}},
		"a_blank_volume":       {[]object{{"DeviceName": "/dev/sdd", "Ebs": object{"VolumeSize": 8}}}, nil},
		"an_empty_snapshot_id": {[]object{{"Ebs": object{"SnapshotId": ""}}}, nil},
		"sorted":               {[]object{ebs(2), ebs(1), ebs(3)}, []string{snapshotID(1), snapshotID(2), snapshotID(3)}},
		"the_same_one_twice":   {[]object{ebs(1), ebs(2), ebs(1)}, []string{snapshotID(1), snapshotID(2)}},
		"ids_of_eight_digits":  {[]object{{"Ebs": object{"SnapshotId": "snap-12345678"}}}, []string{"snap-12345678"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := only(t, mustRead(t, holding(t, []object{image(1, object{"BlockDeviceMappings": test.mappings})}, nil, nil)))
			if diff := cmp.Diff(test.want, got.SnapshotIDs); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInstanceStore(t *testing.T) {
	store := object{"RootDeviceType": "instance-store", "ImageLocation": "bucket/image.manifest.xml"}
	if got := only(t, mustRead(t, holding(t, []object{image(1, store)}, nil, nil))); got.S3Location != "bucket/image.manifest.xml" {
		t.Errorf("location %q", got.S3Location)
	}
	if got := only(t, mustRead(t, holding(t, []object{image(1, nil)}, nil, nil))); got.S3Location != "" {
		t.Errorf("an image on EBS has the location %q", got.S3Location)
	}
}

func TestLocks(t *testing.T) {
	for name, test := range map[string]struct {
		locks  []object
		want   string
		locked bool
	}{
		"none":                      {nil, "", false},
		"governance":                {[]object{lock(1, nil)}, "governance", true},
		"compliance":                {[]object{lock(1, object{"LockState": "compliance"})}, "compliance", true},
		"cooling_off":               {[]object{lock(1, object{"LockState": "compliance-cooloff"})}, "compliance-cooloff", true},
		"expired":                   {[]object{lock(1, object{"LockState": "expired"})}, "expired", false},
		"a_state_nobody_knows":      {[]object{lock(1, object{"LockState": "frozen"})}, "frozen", true},
		"an_empty_state":            {[]object{lock(1, object{"LockState": ""})}, "in an unknown state", true},
		"no_state":                  {[]object{{"SnapshotId": snapshotID(1)}}, "in an unknown state", true},
		"the_same_twice":            {[]object{lock(1, nil), lock(1, nil)}, "governance", true},
		"expired_and_in_force":      {[]object{lock(1, object{"LockState": "expired"}), lock(1, nil)}, "listed with several states", true},
		"in_force_and_expired":      {[]object{lock(1, nil), lock(1, object{"LockState": "expired"})}, "listed with several states", true},
		"no_state_and_then_expired": {[]object{{"SnapshotId": snapshotID(1)}, lock(1, object{"LockState": "expired"})}, "listed with several states", true},
		"several_and_then_the_same": {[]object{lock(1, nil), lock(1, object{"LockState": "expired"}), lock(1, object{"LockState": "expired"})}, "listed with several states", true},
		"of_another_snapshot":       {[]object{lock(2, nil)}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, holding(t, nil, []object{snapshot(1, nil)}, test.locks)).Snapshots
			if len(got) != 1 || got[0].Lock != test.want || got[0].Locked() != test.locked {
				t.Errorf("%+v, want lock %q, locked %t", got, test.want, test.locked)
			}
		})
	}
}

// A listing that changes while it is read may repeat a resource; the inventory has it once. If the
// repetitions differ nobody knows which one is true: the resource is marked, in whatever order they
// come.
func TestRepetitions(t *testing.T) {
	twice := []string{"listed twice with different facts"}
	ebs := func(n int) any { return []object{{"Ebs": object{"SnapshotId": snapshotID(n)}}} }
	for name, test := range map[string]struct {
		images     []object
		unreadable []string
		snapshots  []string
	}{
		"identical":                  {[]object{image(1, nil), image(1, nil)}, nil, nil},
		"three_times":                {[]object{image(1, nil), image(1, nil), image(1, nil)}, nil, nil},
		"another_state":              {[]object{image(1, nil), image(1, object{"State": "disabled"})}, twice, nil},
		"another_protection":         {[]object{image(1, nil), image(1, object{"DeregistrationProtection": "enabled-with-cooldown"})}, twice, nil},
		"a_launch_in_between":        {[]object{image(1, nil), image(1, object{"LastLaunchedTime": "2026-11-01T00:00:00Z"})}, twice, nil},
		"deprecated_in_between":      {[]object{image(1, nil), image(1, object{"DeprecationTime": "2027-11-01T00:00:00.000Z"})}, twice, nil},
		"of_two_instances":           {[]object{image(1, object{"SourceInstanceId": "i-1"}), image(1, object{"SourceInstanceId": "i-2"})}, twice, nil},
		"from_two_regions":           {[]object{image(1, object{"SourceImageRegion": "eu-west-1"}), image(1, object{"SourceImageRegion": "us-east-1"})}, twice, nil},
		"tagged_in_between":          {[]object{image(1, nil), image(1, object{"Tags": []object{{"Key": "ami-janitor:keep", "Value": ""}}})}, twice, nil},
		"other_snapshots":            {[]object{image(1, object{"BlockDeviceMappings": ebs(2)}), image(1, object{"BlockDeviceMappings": ebs(1)})}, twice, []string{snapshotID(1), snapshotID(2)}},
		"the_same_again":             {[]object{image(1, object{"BlockDeviceMappings": ebs(2)}), image(1, object{"BlockDeviceMappings": ebs(1)}), image(1, object{"BlockDeviceMappings": ebs(2)})}, twice, []string{snapshotID(1), snapshotID(2)}},
		"three_faces":                {[]object{image(1, object{"BlockDeviceMappings": ebs(2)}), image(1, object{"BlockDeviceMappings": ebs(1)}), image(1, object{"BlockDeviceMappings": ebs(3)})}, twice, []string{snapshotID(1), snapshotID(2), snapshotID(3)}},
		"one_of_them_is_unreadable":  {[]object{image(1, nil), image(1, object{"CreationDate": "x"})}, []string{`creation date "x"`, twice[0]}, nil},
		"with_another_image_between": {[]object{image(1, nil), image(2, nil), image(1, object{"State": "disabled"})}, twice, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var first ami.Image
			permute(test.images, func(images []object) {
				got := mustRead(t, holding(t, images, nil, nil)).Images
				slices.SortFunc(got, func(a, b ami.Image) int { return strings.Compare(a.ID, b.ID) })
				if len(slices.Compact(ids(got, ofImage))) != len(got) {
					t.Fatalf("an image is there twice: %v", ids(got, ofImage))
				}
				if first.ID == "" {
					first = got[0]
				}
				if diff := cmp.Diff(first, got[0]); diff != "" {
					t.Errorf("the order of the listing matters (-one +another):\n%s", diff)
				}
			})
			if diff := cmp.Diff(test.unreadable, first.Unreadable); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.snapshots, first.SnapshotIDs); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
		})
	}
}

// An image is a copy if one of its repetitions says so: it keeps its source.
func TestARepetitionThatIsACopy(t *testing.T) {
	copied := image(1, object{"SourceImageId": imageID(9), "SourceImageRegion": "us-east-1"})
	for name, other := range map[string]object{
		"of_an_instance": image(1, object{"SourceImageId": imageID(8), "SourceInstanceId": "i-1234567890abcdef0"}),
		"of_nothing":     image(1, nil),
		"named_first":    image(1, object{"Name": "a", "SourceInstanceId": "i-1234567890abcdef0"}),
	} {
		permute([]object{copied, other}, func(images []object) {
			got := only(t, mustRead(t, holding(t, images, nil, nil)))
			if id, from, ok := got.CopiedFrom(region); !ok || id != imageID(9) || from != "us-east-1" {
				t.Errorf("%s: %+v, want a copy of %s in us-east-1", name, got, imageID(9))
			}
		})
	}
}

// permute calls a function with every order of a list.
func permute(list []object, do func([]object)) {
	var extend func(chosen, rest []object)
	extend = func(chosen, rest []object) {
		if len(rest) == 0 {
			do(slices.Clone(chosen))
		}
		for i := range rest {
			extend(append(slices.Clone(chosen), rest[i]), slices.Concat(rest[:i], rest[i+1:]))
		}
	}
	extend(nil, list)
}

func TestRepeatedSnapshots(t *testing.T) {
	for name, test := range map[string]struct {
		snapshots []object
		want      string
	}{
		"identical":        {[]object{snapshot(1, nil), snapshot(1, nil)}, ""},
		"another_size":     {[]object{snapshot(1, nil), snapshot(1, object{"VolumeSize": 9})}, "listed twice with different facts"},
		"another_tag":      {[]object{snapshot(1, nil), snapshot(1, object{"Tags": []object{{"Key": "ami-janitor:keep", "Value": ""}}})}, "listed twice with different facts"},
		"only_the_others_": {[]object{snapshot(1, nil), snapshot(2, nil), snapshot(2, object{"VolumeSize": 1})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			permute(test.snapshots, func(snapshots []object) {
				got := mustRead(t, holding(t, nil, snapshots, nil)).Snapshots
				i := slices.IndexFunc(got, func(s ami.Snapshot) bool { return s.ID == snapshotID(1) })
				if i < 0 || got[i].Unreadable != test.want || len(slices.Compact(ids(got, ofSnapshot))) != len(got) {
					t.Errorf("%+v, want unreadable %q", got, test.want)
				}
			})
		})
	}
}

// Images without an id are all in the inventory, and none of them is clean.
func TestImagesWithoutAnID(t *testing.T) {
	for name, id := range map[string]any{"missing": nil, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			ebs := []object{{"Ebs": object{"SnapshotId": snapshotID(1)}}}
			got := mustRead(t, holding(t, []object{image(1, object{"ImageId": id}), image(2, object{"ImageId": id, "BlockDeviceMappings": ebs})}, nil, nil))
			if len(got.Images) != 2 {
				t.Fatalf("%d images, want 2", len(got.Images))
			}
			for _, image := range got.Images {
				if !slices.Equal(image.Unreadable, []string{"no image id"}) {
					t.Errorf("unreadable %q", image.Unreadable)
				}
			}
			if !slices.Equal(got.Images[1].SnapshotIDs, []string{snapshotID(1)}) {
				t.Errorf("snapshots %q", got.Images[1].SnapshotIDs)
			}
		})
	}
}

// A snapshot that is mapped but not listed is in the image, and made up nowhere.
func TestAMappedSnapshotThatIsNotListed(t *testing.T) {
	ebs := []object{{"Ebs": object{"SnapshotId": snapshotID(1)}}}
	got := mustRead(t, holding(t, []object{image(1, object{"BlockDeviceMappings": ebs})}, nil, nil))
	if len(got.Snapshots) != 0 || !slices.Equal(only(t, got).SnapshotIDs, []string{snapshotID(1)}) {
		t.Errorf("%+v", got)
	}
}

// A tag key that is listed twice, which EC2 does not do, must not let one of its values decide by
// its place.
func TestATagListedTwice(t *testing.T) {
	tag := func(key, value string) object { return object{"Key": key, "Value": value} }
	for name, tags := range map[string][]object{
		"one_key":          {tag("ami-janitor:keep", "true"), tag("ami-janitor:keep", "false")},
		"three_values":     {tag("a", "1"), tag("a", "2"), tag("a", "3")},
		"two_keys":         {tag("a", "1"), tag("a", "2"), tag("b", "1"), tag("b", "2")},
		"the_same_again":   {tag("a", "1"), tag("a", "2"), tag("a", "1")},
		"the_same_is_fine": {tag("a", "1"), tag("a", "1"), tag("b", "2")},
	} {
		t.Run(name, func(t *testing.T) {
			var first ami.Inventory
			permute(tags, func(tags []object) {
				got := mustRead(t, holding(t, []object{image(1, object{"Tags": tags})}, []object{snapshot(1, object{"Tags": tags})}, nil))
				if first.Account == "" {
					first = got
				}
				if diff := cmp.Diff(first, got); diff != "" {
					t.Errorf("the order of the tags matters (-one +other):\n%s", diff)
				}
				if unclear := len(only(t, got).Unreadable) > 0 && got.Snapshots[0].Unreadable != ""; unclear != (name != "the_same_is_fine") {
					t.Errorf("unreadable: %q and %q", only(t, got).Unreadable, got.Snapshots[0].Unreadable)
				}
			})
		})
	}
}

// The order in which EC2 lists images, snapshots, mappings, tags and locks never matters.
func TestTheOrderOfTheListingNeverMatters(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var images, snapshots, locks []object
		for n := range rapid.IntRange(1, 6).Draw(rt, "images") {
			var mappings, tags []object
			for _, s := range rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(rt, "mapped") {
				mappings = append(mappings, object{"Ebs": object{"SnapshotId": snapshotID(s)}})
			}
			for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(rt, "tags") {
				tags = append(tags, object{"Key": key, "Value": "x"})
			}
			id := n / rapid.IntRange(1, 2).Draw(rt, "repeats")
			images = append(images, image(id, object{"BlockDeviceMappings": mappings, "Tags": tags}))
		}
		for range rapid.IntRange(0, 6).Draw(rt, "snapshots") {
			snapshots = append(snapshots, snapshot(rapid.IntRange(0, 4).Draw(rt, "id"), object{"VolumeSize": rapid.IntRange(1, 2).Draw(rt, "size")}))
			locks = append(locks, lock(rapid.IntRange(0, 4).Draw(rt, "locked"), object{"LockState": rapid.SampledFrom([]string{"expired", "governance", ""}).Draw(rt, "state")}))
		}
		want := inOrder(mustRead(t, holding(t, images, snapshots, locks)))

		shuffled := rapid.Permutation(images).Draw(rt, "order of images")
		for i, listed := range shuffled {
			again := image(0, listed)
			again["BlockDeviceMappings"] = rapid.Permutation(listed["BlockDeviceMappings"].([]object)).Draw(rt, "order of mappings")
			again["Tags"] = rapid.Permutation(listed["Tags"].([]object)).Draw(rt, "order of tags")
			shuffled[i] = again
		}
		got := inOrder(mustRead(t, holding(t, shuffled,
			rapid.Permutation(snapshots).Draw(rt, "order of snapshots"), rapid.Permutation(locks).Draw(rt, "order of locks"))))
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Errorf("the order of the listing matters (-one +another):\n%s", diff)
		}
	})
}

// inOrder sorts an inventory by ids; only the order of images and snapshots may differ.
func inOrder(i ami.Inventory) ami.Inventory {
	slices.SortFunc(i.Images, func(a, b ami.Image) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(i.Snapshots, func(a, b ami.Snapshot) int { return strings.Compare(a.ID, b.ID) })
	return i
}
