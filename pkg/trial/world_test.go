package trial_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	mayChange  string   // What may be there changed.
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
	dir := t.TempDir()
	if err := w.account.Save(dir); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kind := range []struct{ file, list, key, prefix string }{
		{"describe-images.json", "Images", "ImageId", ""},
		{"describe-snapshots.json", "Snapshots", "SnapshotId", ""},
		{"list-images-in-recycle-bin.json", "Images", "ImageId", "bin/"},
		{"list-snapshots-in-recycle-bin.json", "Snapshots", "SnapshotId", "bin/"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, kind.file))
		if err != nil {
			t.Fatal(err)
		}
		var read map[string][]map[string]any
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		for _, o := range read[kind.list] {
			text, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			all[kind.prefix+o[kind.key].(string)] = string(text)
		}
	}
	return all
}

// wantUntouched fails the test if anything is there that was not, or anything else is not as it was.
// What the bin has received is no part of that; it is returned.
func (w *world) wantUntouched(t *testing.T) (inBin []string) {
	t.Helper()
	now := w.contents(t)
	delete(now, w.mayChange)
	for id := range now {
		if len(id) > 4 && id[:4] == "bin/" && w.before[id] == "" {
			inBin = append(inBin, id[4:])
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
