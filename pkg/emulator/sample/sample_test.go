package sample_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// contents are the files of an account directory, by path.
func contents(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// home is the home region of the built-in account.
func home(t *testing.T) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(sample.Files(now, "us-east-1"), emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func TestIsDeterministic(t *testing.T) {
	one, two := sample.Files(now, "us-east-1"), sample.Files(now.In(time.FixedZone("", 3600)), "us-east-1")
	files := contents(t, one)
	if len(files) < 20 || files[emulator.RecordsBucket+"/account.json"] == "" {
		t.Fatalf("%d files", len(files))
	}
	if diff := cmp.Diff(files, contents(t, two)); diff != "" {
		t.Error(diff)
	}
}

func TestIsRich(t *testing.T) {
	client := ec2.NewFromConfig(testaccount.Config(home(t).Client()))
	out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	stale, ids := 0, map[string]bool{}
	for _, image := range out.Images {
		ids[*image.ImageId] = true
		if isStale(image) {
			stale++
		}
		text := fmt.Sprint(*image.Name, aws.ToString(image.DeregistrationProtection), image.Tags)
		for _, placeholder := range []string{"DATE", "TOMORROW", "YESTERDAY", "RESTORED", "EARLIER", "ONGOING"} {
			if strings.Contains(text, placeholder) {
				t.Errorf("%s is left in %s", placeholder, text)
			}
		}
	}
	for _, snapshot := range snapshots.Snapshots {
		ids[*snapshot.SnapshotId] = true
	}
	const twice = 1 // One snapshot is listed twice.
	if len(out.Images) < 40 || stale < 30 {
		t.Errorf("%d images, %d stale; want at least 40 and 30", len(out.Images), stale)
	}
	if want := len(out.Images) + len(snapshots.Snapshots) - twice; len(ids) != want {
		t.Errorf("%d different ids, want %d", len(ids), want)
	}
}

// There is something of everything that may name an image. What is missing nobody else makes: EC2
// fleets that keep running name launch templates alone, and reports are the janitor's to begin.
// References follow from the rest. The Recycle Bin is empty, and no stack of ours is deployed.
func TestHasSomethingOfEverything(t *testing.T) {
	dir := t.TempDir()
	if err := home(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	var empty []string
	for name, text := range contents(t, os.DirFS(dir)) {
		if strings.HasPrefix(name, "s3/") {
			continue
		}
		var list []any
		fields := map[string]any{}
		if json.Unmarshal([]byte(text), &list) == nil {
			fields[""] = list
		} else if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		delete(fields, "InvalidParameters")
		isEmpty := func(value any) bool { list, ok := value.([]any); return ok && len(list) == 0 }
		if !strings.Contains(name, "/") && !slices.ContainsFunc(slices.Collect(maps.Values(fields)), func(v any) bool { return !isEmpty(v) }) {
			empty = append(empty, name)
		}
	}
	slices.Sort(empty)
	if diff := cmp.Diff([]string{
		"cloudformation-describe-stack-resources.json", "cloudwatch-describe-alarms.json",
		"describe-fleets.json", "describe-image-references.json", "describe-image-usage-reports.json", "iam-get-account-authorization-details.json",
		"list-images-in-recycle-bin.json", "list-snapshots-in-recycle-bin.json", "s3api-get-bucket-encryption.json",
		"s3api-get-public-access-block.json", "scheduler-get-schedule.json", "sns-list-subscriptions-by-topic.json",
	}, empty); diff != "" {
		t.Errorf("empty files (-want +got):\n%s", diff)
	}
}

// isStale reports whether an image was neither created nor launched for 180 days.
func isStale(image types.Image) bool {
	limit := now.AddDate(0, 0, -180)
	created, err := time.Parse(time.RFC3339, *image.CreationDate)
	launched, never := time.Parse(time.RFC3339, aws.ToString(image.LastLaunchedTime))
	return err == nil && created.Before(limit) && (never != nil || launched.Before(limit))
}
