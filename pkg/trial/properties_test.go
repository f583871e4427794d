package trial_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// changes sees every change that a trial asks for.
type changes struct {
	next emulator.Doer

	mu    sync.Mutex
	named map[string]string // The action that named an image or a snapshot, by its id.
}

func (c *changes) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	if !emulator.IsRead(q.Action) {
		c.mu.Lock()
		for key, values := range q.Form {
			for _, value := range values {
				if strings.HasPrefix(value, "ami-0") || strings.HasPrefix(value, "snap-0") {
					c.named[value] = q.Action + " " + key
				}
			}
		}
		c.mu.Unlock()
	}
	return c.next.Do(r)
}

// drawLikeness draws the fields of something that looks like the trial's: they agree but in at
// least one of what proves it.
func drawLikeness(r *rapid.T, id, name, description string) (fields testaccount.Object) {
	differs := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"tag", "owner", "time", "name"}), 1, 4, rapid.ID).Draw(r, "differs in")
	fields = testaccount.Object{
		"Tags": tagged(id), "CreationDate": "2000-01-01T00:00:00.000Z", "StartTime": "2000-01-01T00:00:00.000Z", "Name": name, "Description": description,
		"OwnerId": testaccount.ID,
	}
	for _, what := range differs {
		switch what {
		case "tag":
			fields["Tags"] = tagged(rapid.SampledFrom([]string{"20000101T000000Z-ffffff", "", strings.ToUpper(id), id + " "}).Draw(r, "tag"))
		case "owner":
			fields["OwnerId"] = "111122223333"
		case "time":
			at := rapid.SampledFrom([]string{"1999-12-31T23:00:00.000Z", "2000-01-01T03:00:00.000Z"}).Draw(r, "time")
			fields["CreationDate"], fields["StartTime"] = at, at
		case "name":
			fields["Name"], fields["Description"] = name+rapid.SampledFrom([]string{"-copy", " ", "2"}).Draw(r, "suffix"), description+" Copied."
		}
	}
	return fields
}

// drawWorld is an account full of what looks like a trial's.
func drawWorld(t *testing.T, r *rapid.T) *world {
	id := string(ami.NewRunID(time.Now(), rand.NewChaCha8([32]byte{1})))
	images, snapshots := []any{}, []any{}
	names := map[any]bool{}
	for n := range rapid.IntRange(0, 4).Draw(r, "others") {
		snapshot := strangeSnapshot(n+1, drawLikeness(r, id, "", trial.Describe(id+"-snapshot")))
		image := strangeImage(n+1, drawLikeness(r, id, "ami-janitor-trial-"+id, trial.Describe("ami-janitor-trial-"+id)))
		if names[image["Name"]] { // A name is there once.
			image["Name"] = fmt.Sprint(image["Name"], n)
		}
		names[image["Name"]] = true
		delete(snapshot, "Name")
		delete(snapshot, "CreationDate")
		delete(image, "StartTime")
		images, snapshots = append(images, image), append(snapshots, snapshot)
	}
	return newWorld(t, rapid.SampledFrom([]int{0, 7}).Draw(r, "days in the bin"), testaccount.Files{
		"describe-images.json": testaccount.Object{"Images": images}, "describe-snapshots.json": testaccount.Object{"Snapshots": snapshots},
	})
}

// copyTrial is a person who makes images and snapshots from those of the trial, with the tags of
// the trial: another image of the same snapshot, and another snapshot with the same description.
func (w *world) copyTrial(t *testing.T) {
	ctx, config := t.Context(), testaccount.Config(w.account.Client())
	api := ec2.NewFromConfig(config)
	listed, err := api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	old := w.contents(t)
	for _, s := range listed.Snapshots {
		id := aws.ToString(s.SnapshotId)
		if w.before[id] != "" || s.State != types.SnapshotStateCompleted {
			continue
		}
		tag := types.Tag{Key: aws.String(trial.Tag), Value: aws.String(tagValue(s.Tags))}
		if _, err := api.RegisterImage(ctx, &ec2.RegisterImageInput{
			Name: aws.String("ami-janitor-trial-" + tagValue(s.Tags) + "-2"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: s.SnapshotId}}},
			TagSpecifications:   []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: []types.Tag{tag}}},
		}); err != nil {
			t.Fatal(err)
		}
		direct := ebs.NewFromConfig(config)
		started, err := direct.StartSnapshot(ctx, &ebs.StartSnapshotInput{
			VolumeSize: aws.Int64(1), Description: s.Description, Tags: []ebstypes.Tag{{Key: tag.Key, Value: tag.Value}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := direct.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: started.SnapshotId, ChangedBlocksCount: aws.Int32(0)}); err != nil {
			t.Fatal(err)
		}
		break
	}
	// What was completed settles.
	if _, err := api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{}); err != nil {
		t.Fatal(err)
	}
	for id, text := range w.contents(t) {
		if old[id] == "" {
			w.before[id] = text
		}
	}
}

func tagValue(tags []types.Tag) string {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == trial.Tag {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// tamper edits the ledger, or cuts it off.
func (w *world) tamper(t *testing.T, r *rapid.T) {
	files, err := filepath.Glob(w.dir + "/*.ledger")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch rapid.SampledFrom([]string{"no", "cut", "line lost", "ids of others", "account", "garbage"}).Draw(r, "tampered with") {
		case "cut":
			text = text[:rapid.IntRange(0, len(text)).Draw(r, "length")]
		case "line lost":
			lines := bytes.SplitAfter(text, []byte("\n"))
			n := rapid.IntRange(0, len(lines)-1).Draw(r, "line")
			text = bytes.Join(slices.Delete(lines, n, n+1), nil)
		case "ids of others":
			for id := range w.before {
				prefix, _, _ := strings.Cut(id, "-")
				for _, own := range ownIDs(string(text), prefix) {
					text = bytes.ReplaceAll(text, []byte(own), []byte(id))
				}
			}
		case "account":
			text = bytes.ReplaceAll(text, []byte(testaccount.ID), []byte("111122223333"))
		case "garbage":
			text = append(text, []byte("{\"line\":{\"what\":\"made\"}}\n")...)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func ownIDs(text, prefix string) []string {
	var ids []string
	for part := range strings.SplitSeq(text, `"`) {
		if strings.HasPrefix(part, prefix+"-0") {
			ids = append(ids, part)
		}
	}
	return ids
}

// Whatever an account is full of, whenever a trial is killed, and whatever becomes of its ledger:
// the trial and its clean-ups ask for no change of anything that the trial has not made.
func TestNothingElseIsNamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			w := drawWorld(t, r)
			asked := &changes{named: map[string]string{}}
			lags := emulator.Lags{
				Seed: 1, TagKey: ami.IntentTag, TagValue: ami.Intent, HideGone: rapid.Bool().Draw(r, "IAM hides what is gone"),
				Authorization: time.Duration(rapid.SampledFrom([]int{0, 60}).Draw(r, "IAM is late")) * time.Second,
				StaleReads:    time.Duration(rapid.SampledFrom([]int{0, 20}).Draw(r, "reads are stale")) * time.Second,
			}
			asked.next = w.account.Client(lags)
			w.requireBin = rapid.Bool().Draw(r, "the bin is required")
			w.runKilled(t, asked, rapid.IntRange(0, 110).Draw(r, "killed at"), rapid.Bool().Draw(r, "after its effect"))
			if rapid.Bool().Draw(r, "somebody copies") {
				w.copyTrial(t)
			}
			w.tamper(t, r)
			time.Sleep(time.Duration(rapid.SampledFrom([]int{0, 600, 86400}).Draw(r, "seconds later")) * time.Second)
			for range 2 {
				tried := w.trial(asked)
				if _, err := tried.CleanUp(t.Context()); err != nil {
					t.Error(err)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(w.before)) {
				if named := asked.named[id]; named != "" {
					t.Errorf("%s of %s, which is not of the trial", named, id)
				}
			}
			now := w.contents(t)
			for id, text := range w.before {
				if now[id] != text {
					t.Errorf("%s was %s and is %s", id, text, now[id])
				}
			}
		})
		if t.Failed() {
			r.FailNow()
		}
	})
}
