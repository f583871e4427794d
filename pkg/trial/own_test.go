package trial_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	trialID     = "20000101T000000Z-0a1b2c"
	imageKey    = "ami-janitor-trial-" + trialID
	snapshotKey = trialID + "-snapshot"
)

func tagged(value string) []any {
	return []any{testaccount.Object{"Key": trial.Tag, "Value": value}}
}

func kept(key, value string) []any {
	return append(tagged(trialID), testaccount.Object{"Key": key, "Value": value})
}

// ownImage is an image as the trial makes it, of snapshot 7, with some fields of its own.
func ownImage(n int, fields testaccount.Object) testaccount.Object {
	image := strangeImage(n, testaccount.Object{
		"Name": imageKey, "CreationDate": "2000-01-01T00:00:00.000Z", "Tags": tagged(trialID), "BlockDeviceMappings": mapping(7),
	})
	maps.Copy(image, fields)
	return image
}

func mapping(n int) []any {
	return []any{testaccount.Object{"DeviceName": "/dev/xvda", "Ebs": testaccount.Object{"SnapshotId": testaccount.SnapshotID(n)}}}
}

func ownSnapshot(n int, fields testaccount.Object) testaccount.Object {
	snapshot := strangeSnapshot(n, testaccount.Object{
		"StartTime": "2000-01-01T00:00:00.000Z", "Description": trial.Describe(snapshotKey), "Tags": tagged(trialID),
	})
	maps.Copy(snapshot, fields)
	return snapshot
}

// A clean-up removes an image or a snapshot only if the ledger, the tag, the owner, the time and
// the name agree: each of them alone refuses.
func TestWhatIsProven(t *testing.T) {
	const image, snapshot = "ami-00000000000000007", "snap-00000000000000007"
	both := []trial.Made{{Key: snapshotKey, ID: snapshot}, {IsImage: true, Key: imageKey, ID: image}}
	for name, test := range map[string]struct {
		ledger   []trial.Made
		image    testaccount.Object
		snapshot testaccount.Object
		removed  []string
	}{
		"all agree":                           {both, nil, nil, []string{image, snapshot}},
		"no ids in the ledger":                {[]trial.Made{{Key: snapshotKey}, {IsImage: true, Key: imageKey}}, nil, nil, []string{image, snapshot}},
		"the tag alone":                       {nil, nil, nil, nil},
		"the tag and an intent of another":    {[]trial.Made{{Key: trialID + "-other"}, {IsImage: true, Key: "other"}}, nil, nil, nil},
		"no tag":                              {both, testaccount.Object{"Tags": []any{}}, testaccount.Object{"Tags": []any{}}, nil},
		"the tag of another trial":            {both, testaccount.Object{"Tags": tagged("20000101T000000Z-0a1b2d")}, testaccount.Object{"Tags": tagged("")}, nil},
		"kept by a tag":                       {both, testaccount.Object{"Tags": kept(ami.KeepTag, "true")}, testaccount.Object{"Tags": kept(ami.KeepTag, "")}, nil},
		"kept by a tag in another spelling":   {both, testaccount.Object{"Tags": kept("AMI-Janitor:Keep ", "true")}, testaccount.Object{"Tags": kept(" ami-janitor:KEEP", "")}, nil},
		"the snapshot is kept":                {both, nil, testaccount.Object{"Tags": kept(ami.KeepTag, "2030-01-01")}, []string{image}},
		"a tag that keeps nothing":            {both, testaccount.Object{"Tags": kept(ami.KeepTag, "false")}, testaccount.Object{"Tags": kept(ami.KeepTag, "False")}, []string{image, snapshot}},
		"another owner":                       {both, testaccount.Object{"OwnerId": "111122223333"}, testaccount.Object{"OwnerId": "111122223333"}, nil},
		"made before":                         {both, testaccount.Object{"CreationDate": "1999-12-31T23:54:59.000Z"}, testaccount.Object{"StartTime": "1999-12-31T23:54:59.000Z"}, nil},
		"made after":                          {both, testaccount.Object{"CreationDate": "2000-01-01T00:15:01.000Z"}, testaccount.Object{"StartTime": "2000-01-01T00:15:01.000Z"}, nil},
		"no time":                             {both, testaccount.Object{"CreationDate": ""}, testaccount.Object{"StartTime": "1970-01-01T00:00:00.000Z"}, nil},
		"another name":                        {both, testaccount.Object{"Name": imageKey + "-2"}, testaccount.Object{"Description": trial.Describe(snapshotKey) + "2"}, nil},
		"another snapshot":                    {both, testaccount.Object{"BlockDeviceMappings": mapping(1)}, testaccount.Object{"VolumeSize": 2}, nil},
		"one snapshot more":                   {both, testaccount.Object{"BlockDeviceMappings": append(mapping(7), mapping(1)...)}, testaccount.Object{"VolumeSize": 2}, nil},
		"the image is another's":              {both, testaccount.Object{"Tags": []any{}}, nil, nil},
		"the snapshot is another's":           {both, nil, testaccount.Object{"Tags": []any{}}, []string{image}},
		"the ledger has the id of a stranger": {[]trial.Made{{Key: snapshotKey, ID: "snap-00000000000000001"}, {IsImage: true, Key: imageKey, ID: "ami-00000000000000001"}}, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, testaccount.Files{
					"describe-images.json":    testaccount.Object{"Images": []any{strangeImage(1, nil), ownImage(7, test.image)}},
					"describe-snapshots.json": testaccount.Object{"Snapshots": []any{strangeSnapshot(1, nil), ownSnapshot(7, test.snapshot)}},
				})
				if err := trial.WriteLedger(w.dir, trialID, testaccount.ID, region, time.Now(), test.ledger...); err != nil {
					t.Fatal(err)
				}
				cleaned, err := w.trial(w.account.Client()).CleanUp(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				removed := slices.Clone(cleaned.Removed)
				slices.Sort(removed)
				if diff := cmp.Diff(test.removed, removed, equateEmpty); diff != "" {
					t.Errorf("removed (-want +got):\n%s%+v", diff, cleaned)
				}
				for _, id := range test.removed {
					delete(w.before, id)
				}
				w.wantUntouched(t)
				if hasIDs := len(test.ledger) > 0 && test.ledger[0].ID != ""; hasIDs && len(test.removed) < 2 && len(cleaned.Left) == 0 {
					t.Errorf("what is left is not named: %+v", cleaned)
				}
			})
		})
	}
}

// An image with all that the trial's image has is not it if the ledger has another id.
func TestTheIDInTheLedger(t *testing.T) {
	for id, proven := range map[string]bool{"": true, "ami-0own": true, "ami-0other": false} {
		err := trial.Proves(trialID, testaccount.ID, imageKey, id, "snap-0own", epoch)(&types.Image{
			ImageId: aws.String("ami-0own"), Name: aws.String(imageKey), OwnerId: aws.String(testaccount.ID), CreationDate: aws.String("2000-01-01T00:00:00Z"),
			Tags: []types.Tag{{Key: aws.String(trial.Tag), Value: aws.String(trialID)}}, BlockDeviceMappings: mapped("snap-0own"),
		})
		if (err == nil) != proven {
			t.Errorf("with %q in the ledger: %v", id, err)
		}
	}
}

// Of two snapshots that fit, neither is taken for the trial's.
func TestTwoThatFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, testaccount.Files{
			"describe-snapshots.json": testaccount.Object{"Snapshots": []any{ownSnapshot(7, nil), ownSnapshot(8, nil)}},
		})
		if err := trial.WriteLedger(w.dir, trialID, testaccount.ID, region, time.Now(), trial.Made{Key: snapshotKey}); err != nil {
			t.Fatal(err)
		}
		cleaned, err := w.trial(w.account.Client()).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) != 2 || len(cleaned.Removed) > 0 {
			t.Errorf("%+v, %v", cleaned, err)
		}
		w.wantUntouched(t)
	})
}

// A ledger with the id of something that looks exactly like the trial's own is not believed, if
// somebody has edited it: the seals say so. What is before that line counts.
func TestAnEditedLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, testaccount.Files{
			"describe-snapshots.json": testaccount.Object{"Snapshots": []any{ownSnapshot(7, nil), ownSnapshot(8, nil)}},
		})
		if err := trial.WriteLedger(w.dir, trialID, testaccount.ID, region, time.Now(), trial.Made{Key: snapshotKey, ID: testaccount.SnapshotID(7)}); err != nil {
			t.Fatal(err)
		}
		file := w.dir + "/" + trialID + ".ledger"
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.ReplaceAll(string(text), testaccount.SnapshotID(7), testaccount.SnapshotID(8))
		if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		cleaned, err := w.trial(w.client).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) != 3 || len(cleaned.Removed) > 0 || !strings.Contains(cleaned.Left[2].Why, "line 3 of") {
			t.Errorf("%+v, %v", cleaned, err)
		}
		w.wantUntouched(t)
		if after, err := os.ReadFile(file); err != nil || string(after) != edited {
			t.Errorf("%s, %v", after, err)
		}
	})
}

// A ledger of another account is left to its credentials, and one that cannot be read is named.
// Neither keeps the others from being cleaned up.
func TestOtherLedgers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		if err := trial.WriteLedger(w.dir, trialID, "111122223333", region, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.dir+"/other.ledger", []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(w.dir+"/0.ledger", 0o700); err != nil {
			t.Fatal(err)
		}
		const own = "20000101T000000Z-ffffff"
		if err := trial.WriteLedger(w.dir, own, testaccount.ID, region, time.Now()); err != nil {
			t.Fatal(err)
		}
		cleaned, err := w.trial(w.account.Client()).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) != 3 || !slices.Equal(cleaned.Trials, []string{own}) {
			t.Fatalf("%+v, %v", cleaned, err)
		}
		for n, says := range []string{"0.ledger cannot be read: is a directory: nothing is known of its trial", "is of account 111122223333", "line 1 of"} {
			if !strings.Contains(cleaned.Left[n].Why, says) {
				t.Errorf("%+v, want %q", cleaned.Left[n], says)
			}
		}
	})
}
