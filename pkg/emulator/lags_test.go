package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// lagging is an account of n images with a snapshot each, and its clock.
func lagging(t testing.TB, n int) (*emulator.Account, *clock) {
	t.Helper()
	var images, snapshots []string
	for i := range n {
		images = append(images, fmt.Sprintf(`{"ImageId": "ami-%08x", "State": "available", "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-%08x"}}]}`, i, i))
		snapshots = append(snapshots, fmt.Sprintf(`{"SnapshotId": "snap-%08x", "State": "completed"}`, i))
	}
	c := &clock{now}
	a, err := emulator.Load(directory(
		"describe-images.json", `{"Images": [`+strings.Join(images, ",")+`]}`,
		"describe-snapshots.json", `{"Snapshots": [`+strings.Join(snapshots, ",")+`]}`,
	), emulator.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func imageID(i int) string    { return fmt.Sprintf("ami-%08x", i) }
func snapshotID(i int) string { return fmt.Sprintf("snap-%08x", i) }

func tag(t testing.TB, client *ec2.Client, key, value string, ids ...string) {
	t.Helper()
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: ids, Tags: []types.Tag{{Key: &key, Value: &value}}}); err != nil {
		t.Fatal(err)
	}
}

func removal(t testing.TB, client *ec2.Client, id string, dry bool) (string, string) {
	t.Helper()
	out, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true), DryRun: &dry})
	if err != nil {
		return code(err), ""
	}
	return "", aws.ToString((*string)(&out.DeleteSnapshotResults[0].ReturnCode))
}

func deletion(t testing.TB, client *ec2.Client, id string) string {
	t.Helper()
	_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
	return code(err)
}

func TestRemovalNeedsTheTag(t *testing.T) {
	const n = 40
	a, c := lagging(t, n)
	person := ec2Client(a.Client())
	tag(t, person, "intent", "remove", imageID(0), snapshotID(0))
	client := ec2Client(a.Client(emulator.Lags{Seed: 1, TagKey: "intent", TagValue: "remove", Authorization: 20 * time.Second}))
	failed, result := removal(t, client, imageID(0), false)
	equal(t, "what has been tagged for ever", failed+result, "success")

	tag(t, client, "intent", "keep", imageID(1), snapshotID(1))
	c.at = c.at.Add(time.Hour)
	for _, id := range []string{imageID(1), imageID(2)} {
		failed, _ = removal(t, client, id, false)
		equal(t, "without the tag", failed, "UnauthorizedOperation")
	}
	equal(t, "a snapshot without it", deletion(t, client, snapshotID(2)), "UnauthorizedOperation")
	failed, _ = removal(t, client, "ami-0000ffff", false)
	equal(t, "what is not there", failed, "InvalidAMIID.NotFound")
	hidden := ec2Client(a.Client(emulator.Lags{TagKey: "intent", TagValue: "remove", HideGone: true}))
	failed, _ = removal(t, hidden, "ami-0000ffff", false)
	equal(t, "what is not there, and hidden", failed, "UnauthorizedOperation")
	failed, result = removal(t, person, imageID(3), false)
	equal(t, "by somebody who needs no tag", failed+result, "success")

	// It takes its time, for each resource another, and not more than is said.
	var ids []string
	for i := 4; i < n; i++ {
		ids = append(ids, imageID(i), snapshotID(i))
	}
	tag(t, client, "intent", "remove", ids...)
	seen := map[string]int{}
	for range 21 {
		for i := 4; i < n; i++ {
			failed, _ := removal(t, client, imageID(i), true)
			if failed == "DryRunOperation" && seen[imageID(i)]%2 == 0 {
				failed, result := removal(t, client, imageID(i), false)
				seen[failed+result]++
				seen[imageID(i)]++
			} else {
				seen[failed]++
			}
		}
		c.at = c.at.Add(time.Second)
	}
	equal(t, "images removed within the time", seen["success"]+seen["missing-permissions"], n-4)
	if seen["success"] < 5 || seen["missing-permissions"] < 5 || seen["UnauthorizedOperation"] < n {
		t.Errorf("%v", seen)
	}
	for i := 4; i < n; i++ {
		if failed := deletion(t, client, snapshotID(i)); failed != "" && failed != "InvalidSnapshot.NotFound" {
			t.Errorf("a snapshot that was left: %s", failed)
		}
	}

	tag(t, client, "intent", "remove", imageID(1))
	if _, err := client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{imageID(1)}, Tags: []types.Tag{{Key: aws.String("intent")}}}); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(time.Minute)
	failed, _ = removal(t, client, imageID(1), false)
	equal(t, "the tag was taken off", failed, "UnauthorizedOperation")
	tag(t, client, "intent", "remove", imageID(1))
	tag(t, client, "other", "x", imageID(1))
	failed, _ = removal(t, client, imageID(1), false)
	equal(t, "tagged again, just now", failed, "UnauthorizedOperation")
	c.at = c.at.Add(20 * time.Second)
	failed, _ = removal(t, client, imageID(1), false)
	equal(t, "and seen", failed, "")
}

// What a client sees of an image: its tags, or that it is not there.
func shown(t testing.TB, client *ec2.Client) map[string]string {
	t.Helper()
	out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, image := range out.Images {
		all[*image.ImageId] = "there"
		for _, tag := range image.Tags {
			all[*image.ImageId] += " " + *tag.Key
		}
	}
	return all
}

func TestStaleReads(t *testing.T) {
	const n, most = 60, 40 * time.Second
	a, c := lagging(t, n)
	lags := emulator.Lags{Seed: 3, StaleReads: most}
	client := ec2Client(a.Client(lags))
	twin := ec2Client(a.Client(lags))
	person := ec2Client(a.Client())
	for i := range n {
		tag(t, person, "a", "1", imageID(i), snapshotID(i))
	}
	for i := range n / 2 {
		if failed, _ := removal(t, person, imageID(i), false); failed != "" {
			t.Fatal(failed)
		}
	}
	history := map[string]map[string]bool{}
	late, wavering := 0, 0
	last := map[string]string{}
	for second := range int(most/time.Second) + 1 {
		states := shown(t, client)
		again := shown(t, twin)
		equal(t, "another client of the same seed", again, states)
		for i := range n {
			id := imageID(i)
			if history[id] == nil {
				history[id] = map[string]bool{}
			}
			if history[id][states[id]] && last[id] != states[id] {
				wavering++
			}
			last[id] = states[id]
			history[id][states[id]] = true
			if want := map[bool]string{true: "", false: "there a"}[i < n/2]; states[id] != want {
				late++
				if second >= int(most/time.Second) {
					t.Errorf("%s after %ds: %q", id, second, states[id])
				}
			}
			by, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
			if there := err == nil && len(by.Images) == 1; there != (states[id] != "") {
				t.Errorf("%s is %q in a listing, and by its id %v", id, states[id], err)
			}
		}
		c.at = c.at.Add(time.Second)
	}
	if late < 10*n || wavering < 20 {
		t.Errorf("%d states were late, %d came back", late, wavering)
	}
	for i := range n {
		for state := range history[imageID(i)] {
			if !slices.Contains([]string{"", "there", "there a"}, state) || i >= n/2 && state == "" {
				t.Errorf("%s was seen as %q", imageID(i), state)
			}
		}
	}
	equal(t, "what the person sees", len(shown(t, person)), n/2)
}

// Snapshots have a view of their own; and in another region there is nothing of it.
func TestStaleSnapshots(t *testing.T) {
	a, c := lagging(t, 20)
	client := ec2Client(a.Client(emulator.Lags{Seed: 2, StaleReads: time.Minute}))
	count := func() int {
		n := 0
		for p := ec2.NewDescribeSnapshotsPaginator(client, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(5)}); p.HasMorePages(); {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n += len(out.Snapshots)
		}
		return n
	}
	for i := range 20 {
		if _, result := removal(t, client, imageID(i), false); result != "success" {
			t.Fatal(result)
		}
	}
	if n := count(); n < 5 || n == 20 {
		t.Errorf("%d snapshots are seen at once", n)
	}
	for i := range 20 {
		equal(t, "a write sees what is", deletion(t, client, snapshotID(i)), "InvalidSnapshot.NotFound")
	}
	c.at = c.at.Add(time.Minute)
	equal(t, "snapshots after a minute", count(), 0)
}

// What has just been made is not there yet for some readers, and IAM does not see its tags yet.
func TestLagsOfWhatIsMade(t *testing.T) {
	a, c := lagging(t, 0)
	id := written(t, a.Client())
	var ids []string
	person := a.Client(emulator.Lags{})
	for i := range 20 {
		input := registration(id)
		input.Name = aws.String(fmt.Sprintf("image %d", i))
		out, err := ec2Client(person).RegisterImage(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *out.ImageId)
	}
	client := ec2Client(a.Client(emulator.Lags{Seed: 1, StaleReads: time.Minute, TagKey: "team", TagValue: "search", Authorization: time.Minute}))
	seen := func() (described, allowed int) {
		out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if got, _ := removal(t, client, id, true); got == "DryRunOperation" {
				allowed++
			}
		}
		return len(out.Images), allowed
	}
	if described, allowed := seen(); described == 20 || allowed != 0 {
		t.Errorf("at once: %d described, %d allowed", described, allowed)
	}
	c.at = c.at.Add(time.Minute)
	if described, allowed := seen(); described != 20 || allowed != 20 {
		t.Errorf("in time: %d described, %d allowed", described, allowed)
	}
}
