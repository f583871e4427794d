package trial_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

const region = "us-east-1"

// world is an account with some images and snapshots of others, for a test in fake time.
type world struct {
	account    *emulator.Account
	dir        string            // Of the ledgers.
	before     map[string]string // What was there, as JSON, by id.
	client     emulator.Doer
	requireBin bool
	told       []string // What the trial says that it does.
}

func newWorld(t *testing.T, days int, files testaccount.Files) *world {
	t.Helper()
	if files == nil {
		files = testaccount.Files{
			"describe-images.json":    testaccount.Object{"Images": []any{strangeImage(1, nil)}},
			"describe-snapshots.json": testaccount.Object{"Snapshots": []any{strangeSnapshot(1, nil)}},
		}
	}
	w := &world{account: files.Load(t, emulator.Options{Now: time.Now}), dir: t.TempDir(), requireBin: true}
	w.client = w.account.Client()
	if days > 0 {
		w.account.KeepRemoved(days)
	}
	w.before = w.contents(t)
	return w
}

// strangeImage is another image of the account, with some fields of its own.
func strangeImage(n int, fields testaccount.Object) testaccount.Object {
	image := testaccount.Object{
		"ImageId": testaccount.ImageID(n), "Name": fmt.Sprintf("web-%d", n), "OwnerId": testaccount.ID, "State": "available",
		"CreationDate": "1999-12-01T00:00:00.000Z", "RootDeviceType": "ebs", "Architecture": "x86_64",
		"BlockDeviceMappings": []any{testaccount.Object{"DeviceName": "/dev/xvda", "Ebs": testaccount.Object{"SnapshotId": testaccount.SnapshotID(n)}}},
	}
	maps.Copy(image, fields)
	return image
}

func strangeSnapshot(n int, fields testaccount.Object) testaccount.Object {
	snapshot := testaccount.Object{
		"SnapshotId": testaccount.SnapshotID(n), "OwnerId": testaccount.ID, "State": "completed", "VolumeSize": 1,
		"StartTime": "1999-12-01T00:00:00.000Z", "VolumeId": "vol-ffffffff",
	}
	maps.Copy(snapshot, fields)
	return snapshot
}

// trial is a trial in the account, which reaches it through a client.
func (w *world) trial(client emulator.Doer) *trial.Trial {
	return &trial.Trial{
		AWS: testaccount.Config(client), Account: testaccount.ID, Region: region, Dir: w.dir, RequireBin: w.requireBin, PricePerMonth: 0.05,
		Clock: time.Now, Random: rand.NewChaCha8([32]byte{1}), Tell: func(what string) { w.told = append(w.told, what) },
	}
}

// contents are all images and snapshots of the account as JSON, by id, and what the bin holds by
// its id with "bin/" before it.
func (w *world) contents(t *testing.T) map[string]string {
	t.Helper()
	ctx, api := context.Background(), ec2.NewFromConfig(testaccount.Config(w.account.Client()))
	images, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true)})
	snapshots, err2 := api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{})
	binned, err3 := api.ListImagesInRecycleBin(ctx, &ec2.ListImagesInRecycleBinInput{})
	binnedToo, err4 := api.ListSnapshotsInRecycleBin(ctx, &ec2.ListSnapshotsInRecycleBinInput{})
	if err = errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, i := range images.Images {
		all[*i.ImageId] = asJSON(t, i)
	}
	for _, s := range snapshots.Snapshots {
		all[*s.SnapshotId] = asJSON(t, s)
	}
	for _, i := range binned.Images {
		all["bin/"+*i.ImageId] = asJSON(t, i)
	}
	for _, s := range binnedToo.Snapshots {
		all["bin/"+*s.SnapshotId] = asJSON(t, s)
	}
	return all
}

// wantUntouched fails the test if anything is there that was not, or anything else is not as it
// was. What the bin has received is no part of that; it is returned.
func (w *world) wantUntouched(t *testing.T) (inBin []string) {
	t.Helper()
	now := w.contents(t)
	for id := range now {
		if held, ok := strings.CutPrefix(id, "bin/"); ok && w.before[id] == "" {
			inBin = append(inBin, held)
			delete(now, id)
		}
	}
	if diff := cmp.Diff(w.before, now); diff != "" {
		t.Errorf("the account is not as it was (-before +now):\n%s", diff)
	}
	return inBin
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
