package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// binAccount is an account with a Recycle Bin, and a clock that can be set.
type binAccount struct {
	*emulator.Account
	t   *testing.T
	now time.Time
	ec2 *ec2.Client
}

// A rule for images and one for snapshots, by one tag.
const rulesByTag = `{"Rules": [
	{"Identifier": "imageRule01", "ResourceType": "EC2_IMAGE", "Status": "available", "RetentionPeriod": {"RetentionPeriodValue": 14, "RetentionPeriodUnit": "DAYS"},
	 "ResourceTags": [{"ResourceTagKey": "intent", "ResourceTagValue": "remove"}]},
	{"Identifier": "snapRule001", "ResourceType": "EBS_SNAPSHOT", "Status": "available", "RetentionPeriod": {"RetentionPeriodValue": 20, "RetentionPeriodUnit": "DAYS"},
	 "ResourceTags": [{"ResourceTagKey": "intent", "ResourceTagValue": "remove"}, {"ResourceTagKey": "x", "ResourceTagValue": "y"}]}]}`

const binImages = `{"Images": [
	{"ImageId": "ami-00000001", "Name": "one", "Description": "the first", "State": "available", "RootDeviceType": "ebs", "LastLaunchedTime": "2026-01-02T03:04:05Z",
	 "Tags": [{"Key": "intent", "Value": "remove"}, {"Key": "a", "Value": "1"}],
	 "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000001"}}, {"Ebs": {"SnapshotId": "snap-00000002"}}]},
	{"ImageId": "ami-00000002", "Name": "two", "State": "disabled", "RootDeviceType": "ebs", "Tags": [{"Key": "intent", "Value": "remove"}]},
	{"ImageId": "ami-00000003", "Name": "three", "State": "available", "RootDeviceType": "instance-store", "Tags": [{"Key": "intent", "Value": "remove"}]},
	{"ImageId": "ami-00000004", "Name": "four", "State": "available", "RootDeviceType": "ebs", "Tags": [{"Key": "intent", "Value": "keep"}]},
	{"ImageId": "ami-00000005", "Name": "five", "State": "available", "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000005"}}]}]}`

const binSnapshots = `{"Snapshots": [
	{"SnapshotId": "snap-00000001", "VolumeId": "vol-1", "VolumeSize": 8, "State": "completed", "Description": "d", "StartTime": "2025-01-01T00:00:00Z",
	 "Encrypted": true, "Progress": "100%", "OwnerId": "123456789012", "Tags": [{"Key": "intent", "Value": "remove"}]},
	{"SnapshotId": "snap-00000002", "State": "completed", "Tags": [{"Key": "x", "Value": "y"}]},
	{"SnapshotId": "snap-00000005", "State": "completed"}]}`

func binOf(t *testing.T, files ...string) *binAccount {
	t.Helper()
	b := &binAccount{t: t, now: now}
	account, err := emulator.Load(directory(append([]string{
		"describe-images.json", binImages, "describe-snapshots.json", binSnapshots, "list-rules.json", rulesByTag,
		"describe-launch-permissions.json", `{"ami-00000001": [{"UserId": "111122223333"}], "ami-00000003": []}`,
		"describe-create-volume-permissions.json", `{"snap-00000001": [{"UserId": "111122223333"}, {"Group": "all"}], "snap-00000005": null}`,
	}, files...)...), emulator.Options{Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	b.Account, b.ec2 = account, ec2Client(account.Client())
	return b
}

func (b *binAccount) deregister(id string) string {
	b.t.Helper()
	return code(deregister(b.t.Context(), b.ec2, id))
}

func (b *binAccount) deleteSnapshot(id string) string {
	_, err := b.ec2.DeleteSnapshot(b.t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
	return code(err)
}

func (b *binAccount) restoreImage(id string) string {
	out, err := b.ec2.RestoreImageFromRecycleBin(b.t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: &id})
	if err == nil && !aws.ToBool(out.Return) {
		b.t.Errorf("%s: no Return", id)
	}
	return code(err)
}

func (b *binAccount) restoreSnapshot(id string) string {
	_, err := b.ec2.RestoreSnapshotFromRecycleBin(b.t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: &id})
	return code(err)
}

// listed are the ids of what the bin lists, with the days that are left, or the code of the error.
func (b *binAccount) listed(ids ...string) string {
	images, err := b.ec2.ListImagesInRecycleBin(b.t.Context(), &ec2.ListImagesInRecycleBinInput{ImageIds: ids})
	if err != nil {
		return code(err)
	}
	var list []string
	for _, image := range images.Images {
		list = append(list, fmt.Sprint((*image.ImageId)[len("ami-0000000"):], " ", image.RecycleBinExitTime.Sub(b.now).Hours()/24))
	}
	return strings.Join(list, ", ")
}

func (b *binAccount) listedSnapshots(ids ...string) string {
	snapshots, err := b.ec2.ListSnapshotsInRecycleBin(b.t.Context(), &ec2.ListSnapshotsInRecycleBinInput{SnapshotIds: ids})
	if err != nil {
		return code(err)
	}
	var list []string
	for _, snapshot := range snapshots.Snapshots {
		list = append(list, fmt.Sprint((*snapshot.SnapshotId)[len("snap-0000000"):], " ", snapshot.RecycleBinExitTime.Sub(b.now).Hours()/24))
	}
	return strings.Join(list, ", ")
}

func (b *binAccount) image(id string) *types.Image {
	b.t.Helper()
	out, err := b.ec2.DescribeImages(b.t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true)})
	if err != nil || len(out.Images) != 1 {
		b.t.Fatalf("%s: %v, %v", id, out, err)
	}
	return &out.Images[0]
}

// tagsOf are the tags of a resource, as DescribeTags has them.
func (b *binAccount) tagsOf(id string) string {
	b.t.Helper()
	out, err := b.ec2.DescribeTags(b.t.Context(), &ec2.DescribeTagsInput{Filters: filters("resource-id", id)})
	if err != nil {
		b.t.Fatal(err)
	}
	var list []string
	for _, tag := range out.Tags {
		list = append(list, *tag.Key+"="+*tag.Value)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (b *binAccount) tag(id string, pairs ...string) string {
	_, err := b.ec2.CreateTags(b.t.Context(), &ec2.CreateTagsInput{Resources: strings.Fields(id), Tags: tagList(pairs...)})
	return code(err)
}

func TestRemovedImagesEnterTheRecycleBin(t *testing.T) {
	b := binOf(t)
	for _, id := range []string{"ami-00000001", "ami-00000002", "ami-00000003", "ami-00000004", "ami-00000005"} {
		equal(t, id, b.deregister(id), "")
	}
	equal(t, "those with the tag that are EBS-backed, disabled or not", b.listed(), "1 14, 2 14")
	out, err := b.ec2.ListImagesInRecycleBin(t.Context(), &ec2.ListImagesInRecycleBinInput{})
	if err != nil {
		t.Fatal(err)
	}
	first := out.Images[0]
	equal(t, "name and description", *first.Name+", "+*first.Description, "one, the first")
	equal(t, "entered", first.RecycleBinEnterTime.Equal(now), true)

	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action=ListImagesInRecycleBin&ImageId.1=ami-00000002"))
	r.Header.Set("Authorization", scope("ec2"))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	const entry = "<imageSet><item><imageId>ami-00000002</imageId><name>two</name><recycleBinEnterTime>2026-11-23T02:00:00Z</recycleBinEnterTime>" +
		"<recycleBinExitTime>2026-12-07T02:00:00Z</recycleBinExitTime></item></imageSet>"
	if !strings.Contains(w.Body.String(), entry) {
		t.Errorf("got %s\nwant in it %s", w.Body, entry)
	}

	shown, err := b.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)})
	if err != nil || len(shown.Images) != 0 {
		t.Errorf("images that are shown: %v, %v", shown, err)
	}
	for _, id := range []string{"ami-00000001", "ami-00000003"} {
		equal(t, "deregistered again", b.deregister(id), "InvalidAMIID.Unavailable")
		_, err = b.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
		equal(t, "described", code(err), "InvalidAMIID.NotFound")
		_, err = b.ec2.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: "launchPermission"})
		equal(t, "attributes", code(err), "InvalidAMIID.NotFound")
	}
}

func TestRemovedSnapshotsEnterTheRecycleBin(t *testing.T) {
	b := binOf(t)
	out, err := b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil || len(out.DeleteSnapshotResults) != 2 || out.DeleteSnapshotResults[0].ReturnCode != "success" {
		t.Fatalf("%v, %v", out, err)
	}
	equal(t, "snapshots with either tag", b.listedSnapshots(), "1 20, 2 20")
	equal(t, "deregister another", b.deregister("ami-00000005"), "")
	equal(t, "delete its snapshot, which has no tag", b.deleteSnapshot("snap-00000005"), "")
	equal(t, "snapshots", b.listedSnapshots(), "1 20, 2 20")
	equal(t, "delete again", b.deleteSnapshot("snap-00000001"), "InvalidSnapshot.NotFound")

	listed, err := b.ec2.ListSnapshotsInRecycleBin(t.Context(), &ec2.ListSnapshotsInRecycleBinInput{SnapshotIds: []string{"snap-00000001"}})
	if err != nil || len(listed.Snapshots) != 1 {
		t.Fatalf("%v, %v", listed, err)
	}
	equal(t, "description and volume", *listed.Snapshots[0].Description+", "+*listed.Snapshots[0].VolumeId, "d, vol-1")
	shown, err := b.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
	if err != nil || len(shown.Snapshots) != 0 {
		t.Errorf("snapshots that are shown: %v, %v", shown, err)
	}
	_, err = b.ec2.DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String("snap-00000001"), Attribute: "createVolumePermission"})
	equal(t, "attributes", code(err), "InvalidSnapshot.NotFound")

	restored, err := b.ec2.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String("snap-00000001")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what the restored snapshot is", fmt.Sprint(*restored.SnapshotId, restored.State, *restored.VolumeSize, *restored.Encrypted, *restored.Description,
		*restored.Progress, *restored.OwnerId, *restored.VolumeId, restored.StartTime.Year()), "snap-00000001completed8 trued100%123456789012vol-12025")
}

func TestRestoring(t *testing.T) {
	b := binOf(t)
	_, err := b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deregister a disabled one", b.deregister("ami-00000002"), "")
	b.now = b.now.AddDate(0, 0, 13)
	equal(t, "before its snapshots", b.restoreImage("ami-00000001"), "InvalidSnapshot.NotFound")
	equal(t, "a snapshot", b.restoreSnapshot("snap-00000001"), "")
	equal(t, "before its other snapshot", b.restoreImage("ami-00000001"), "InvalidSnapshot.NotFound")
	equal(t, "the other snapshot", b.restoreSnapshot("snap-00000002"), "")
	equal(t, "after its snapshots", b.restoreImage("ami-00000001"), "")
	equal(t, "a disabled one", b.restoreImage("ami-00000002"), "")
	equal(t, "what is left in the bin", b.listed()+b.listedSnapshots(), "")

	image := b.image("ami-00000001")
	equal(t, "state and last launch", fmt.Sprint(image.State, " ", *image.LastLaunchedTime), "available 2026-01-02T03:04:05Z")
	equal(t, "state of the disabled one", b.image("ami-00000002").State, types.ImageStateDisabled)
	equal(t, "tags", b.tagsOf("ami-00000001"), "a=1 intent=remove")
	equal(t, "tags of a snapshot", b.tagsOf("snap-00000001"), "intent=remove")
	shared, err := b.ec2.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: aws.String("ami-00000001"), Attribute: "launchPermission"})
	if err != nil || len(shared.LaunchPermissions) != 1 {
		t.Errorf("launch permissions: %v, %v", shared, err)
	}
	permitted, err := b.ec2.DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String("snap-00000001"), Attribute: "createVolumePermission"})
	if err != nil || len(permitted.CreateVolumePermissions) != 2 {
		t.Errorf("create volume permissions: %v, %v", permitted, err)
	}

	equal(t, "restore again", b.restoreImage("ami-00000001"), "InvalidAMIID.NotFound")
	equal(t, "restore a snapshot again", b.restoreSnapshot("snap-00000001"), "InvalidSnapshot.NotFound")
	equal(t, "what never was", b.restoreImage("ami-0000000f"), "InvalidAMIID.NotFound")
	equal(t, "a snapshot that never was", b.restoreSnapshot("snap-0000000f"), "InvalidSnapshot.NotFound")
	equal(t, "no id", b.restoreImage("web")+" "+b.restoreSnapshot("ami-00000001"), "InvalidAMIID.Malformed InvalidSnapshotID.Malformed")

	equal(t, "deregister once more", b.deregister("ami-00000001"), "")
	equal(t, "in the bin once more", b.listed(), "1 14")
}

func TestTheRecycleBinEmptiesItself(t *testing.T) {
	b := binOf(t)
	_, err := b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	b.now = now.AddDate(0, 0, 14).Add(-time.Millisecond)
	if got := b.listed(); !strings.HasPrefix(got, "1 ") {
		t.Errorf("just before: %q", got)
	}
	b.now = now.AddDate(0, 0, 14)
	equal(t, "images", b.listed(), "")
	equal(t, "snapshots", b.listedSnapshots(), "1 6, 2 6")
	equal(t, "a snapshot", b.restoreSnapshot("snap-00000001")+b.restoreSnapshot("snap-00000002"), "")
	equal(t, "the image", b.restoreImage("ami-00000001"), "InvalidAMIID.NotFound")
	equal(t, "its tags", b.tagsOf("ami-00000001"), "")
	equal(t, "tag it", b.tag("ami-00000001", "k", "v"), "InvalidAMIID.NotFound")
	equal(t, "deregister it", b.deregister("ami-00000001"), "InvalidAMIID.Unavailable")
	equal(t, "its launch permissions", string(content(t, save(t, b.Account), "describe-launch-permissions.json")), "{\n    \"ami-00000003\": []\n}\n")

	// A snapshot that leaves the bin first takes the way back from the image.
	b = binOf(t, "list-rules.json", strings.Replace(rulesByTag, `"RetentionPeriodValue": 20`, `"RetentionPeriodValue": 1`, 1))
	_, err = b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	b.now = now.AddDate(0, 0, 1)
	equal(t, "a snapshot that is gone for good", b.restoreSnapshot("snap-00000001"), "InvalidSnapshot.NotFound")
	equal(t, "the image", b.restoreImage("ami-00000001"), "InvalidSnapshot.NotFound")
}

func TestRulesRetain(t *testing.T) {
	rule := func(days int, status, kind, rest string) string {
		return fmt.Sprintf(`{"Identifier": "r", "ResourceType": %q, "Status": %q, "RetentionPeriod": {"RetentionPeriodValue": %d}%s}`, kind, status, days, rest)
	}
	const (
		tagged   = `, "ResourceTags": [{"ResourceTagKey": "intent", "ResourceTagValue": "remove"}]`
		another  = `, "ResourceTags": [{"ResourceTagKey": "b", "ResourceTagValue": "1"}, {"ResourceTagKey": "a", "ResourceTagValue": "1"}]`
		excluded = `, "ExcludeResourceTags": [{"ResourceTagKey": "b", "ResourceTagValue": "1"}, {"ResourceTagKey": "a", "ResourceTagValue": "1"}]`
	)
	for name, test := range map[string]struct{ rules, want string }{
		"none":                                        {"", ""},
		"for all":                                     {rule(3, "available", "EC2_IMAGE", ""), "1 3, 4 3"},
		"for all, with empty lists":                   {rule(3, "available", "EC2_IMAGE", `, "ResourceTags": [], "ExcludeResourceTags": null`), "1 3, 4 3"},
		"for those with a tag":                        {rule(3, "available", "EC2_IMAGE", tagged), "1 3"},
		"for those with one of two tags":              {rule(3, "available", "EC2_IMAGE", another), "1 3"},
		"by a key with another value":                 {rule(3, "available", "EC2_IMAGE", strings.Replace(tagged, "remove", "Remove", 1)), ""},
		"by a key alone":                              {rule(3, "available", "EC2_IMAGE", `, "ResourceTags": [{"ResourceTagKey": "intent"}]`), ""},
		"the longest of three":                        {rule(3, "available", "EC2_IMAGE", "") + "," + rule(9, "available", "EC2_IMAGE", tagged) + "," + rule(5, "available", "EC2_IMAGE", tagged), "1 9, 4 3"},
		"but for those with one of two tags":          {rule(3, "available", "EC2_IMAGE", excluded), "4 3"},
		"but for those with a key, of whatever value": {rule(3, "available", "EC2_IMAGE", `, "ExcludeResourceTags": [{"ResourceTagKey": "a"}]`), "4 3"},
		"but for another value":                       {rule(3, "available", "EC2_IMAGE", `, "ExcludeResourceTags": [{"ResourceTagKey": "a", "ResourceTagValue": "2"}]`), "1 3, 4 3"},
		"an exclusion beside a longer rule":           {rule(3, "available", "EC2_IMAGE", excluded) + "," + rule(2, "available", "EC2_IMAGE", tagged), "1 2, 4 3"},
		"pending":                                     {rule(3, "pending", "EC2_IMAGE", ""), ""},
		"without a status":                            {rule(3, "", "EC2_IMAGE", ""), ""},
		"of snapshots":                                {rule(3, "available", "EBS_SNAPSHOT", ""), ""},
		"of no type":                                  {rule(3, "available", "", ""), ""},
		"without a period":                            {`{"Identifier": "r", "ResourceType": "EC2_IMAGE", "Status": "available"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := binOf(t, "list-rules.json", `{"Rules": [`+test.rules+`]}`)
			for _, id := range []string{"ami-00000001", "ami-00000003", "ami-00000004"} {
				equal(t, id, b.deregister(id), "")
			}
			equal(t, "the bin", b.listed(), test.want)
		})
	}
}

func TestTagsInTheRecycleBin(t *testing.T) {
	b := binOf(t)
	_, err := b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tags", b.tagsOf("ami-00000001"), "a=1 aws:recycle-bin:resource-in-bin=true intent=remove")
	equal(t, "tags of a snapshot", b.tagsOf("snap-00000002"), "aws:recycle-bin:resource-in-bin=true x=y")
	equal(t, "tag what is in the bin, and what is not", b.tag("ami-00000001 snap-00000002 ami-00000004", "k", "v"), "")
	equal(t, "tag what is in the bin, and what is nowhere", b.tag("ami-00000001 snap-0000000f", "l", "v"), "InvalidSnapshot.NotFound")
	equal(t, "tags", b.tagsOf("ami-00000001"), "a=1 aws:recycle-bin:resource-in-bin=true intent=remove k=v")
	equal(t, "tags of what is not in the bin", b.tagsOf("ami-00000004"), "intent=keep k=v")
	untag := func(keys ...string) string {
		var tags []types.Tag
		for _, key := range keys {
			tags = append(tags, types.Tag{Key: &key})
		}
		_, err := b.ec2.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{"ami-00000001", "snap-00000002"}, Tags: tags})
		return code(err)
	}
	equal(t, "the bin's own tag", untag("aws:recycle-bin:resource-in-bin"), "InvalidParameterValue")
	equal(t, "a tag", untag("intent"), "")
	equal(t, "tags", b.tagsOf("ami-00000001"), "a=1 aws:recycle-bin:resource-in-bin=true k=v")
	equal(t, "all tags", untag(), "")
	equal(t, "tags", b.tagsOf("ami-00000001")+", "+b.tagsOf("snap-00000002"), "aws:recycle-bin:resource-in-bin=true, aws:recycle-bin:resource-in-bin=true")
	equal(t, "restore", b.restoreSnapshot("snap-00000001")+b.restoreSnapshot("snap-00000002")+b.restoreImage("ami-00000001"), "")
	equal(t, "tags of what was restored", b.tagsOf("ami-00000001")+b.tagsOf("snap-00000002"), "")
	if tags := b.image("ami-00000001").Tags; len(tags) != 0 {
		t.Errorf("tags of the image: %v", tags)
	}
}

func TestListingTheRecycleBin(t *testing.T) {
	b := binOf(t)
	equal(t, "deregister", b.deregister("ami-00000001")+b.deregister("ami-00000002")+b.deregister("ami-00000003")+b.deleteSnapshot("snap-00000002"), "")
	many := func(prefix string, n int) []string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = prefix + "00000001"
		}
		return ids
	}
	for _, test := range []struct {
		name string
		ids  []string
		want string
	}{
		{"one", []string{"ami-00000002"}, "2 14"},
		{"both, the other way round", []string{"ami-00000002", "ami-00000001"}, "1 14, 2 14"},
		{"one that is not removed", []string{"ami-00000001", "ami-00000004"}, "InvalidAMIID.NotFound"},
		{"one that did not enter the bin", []string{"ami-00000003", "ami-00000001"}, "InvalidAMIID.NotFound"},
		{"one that never was", []string{"ami-0000000f"}, "InvalidAMIID.NotFound"},
		{"what is no id", []string{"web"}, "InvalidAMIID.Malformed"},
		{"20", many("ami-", 20), "1 14"},
		{"21", many("ami-", 21), "InvalidParameterValue"},
	} {
		equal(t, test.name, b.listed(test.ids...), test.want)
	}
	equal(t, "1000 snapshots", b.listedSnapshots(many("snap-", 999)...), "InvalidSnapshot.NotFound")
	equal(t, "1001 snapshots", b.listedSnapshots(many("snap-", 1001)...), "InvalidParameterValue")
	equal(t, "no snapshot's id", b.listedSnapshots("web"), "InvalidSnapshotID.Malformed")
	for size, want := range map[int32]string{0: "InvalidParameterValue", 1: "", 1000: "", 1001: "InvalidParameterValue"} {
		_, err := b.ec2.ListImagesInRecycleBin(t.Context(), &ec2.ListImagesInRecycleBinInput{MaxResults: &size})
		equal(t, fmt.Sprintf("pages of %d images", size), code(err), want)
	}
	for size, want := range map[int32]string{4: "InvalidParameterValue", 5: "", 1000: "", 1001: "InvalidParameterValue"} {
		_, err := b.ec2.ListSnapshotsInRecycleBin(t.Context(), &ec2.ListSnapshotsInRecycleBinInput{MaxResults: &size})
		equal(t, fmt.Sprintf("pages of %d snapshots", size), code(err), want)
	}
	_, err := b.ec2.ListImagesInRecycleBin(t.Context(), &ec2.ListImagesInRecycleBinInput{MaxResults: aws.Int32(5), ImageIds: []string{"ami-00000001"}})
	equal(t, "ids and pages", code(err), "InvalidParameterCombination")
	pages := ec2.NewListImagesInRecycleBinPaginator(b.ec2, &ec2.ListImagesInRecycleBinInput{MaxResults: aws.Int32(1)})
	var lengths []int
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(page.Images))
	}
	equal(t, "pages of one", lengths, []int{1, 1})
}

func TestBinLag(t *testing.T) {
	b := binOf(t)
	b.SetBinLag(3)
	equal(t, "remove", b.deregister("ami-00000001")+b.deleteSnapshot("snap-00000001"), "")
	equal(t, "first listing", b.listed("ami-00000001"), "InvalidAMIID.NotFound")
	equal(t, "remove another", b.deregister("ami-00000002"), "")
	equal(t, "second listing", b.listed(), "")
	equal(t, "third listing", b.listed(), "1 14")
	equal(t, "fourth listing", b.listed(), "1 14, 2 14")
	equal(t, "snapshots", b.listedSnapshots()+"|"+b.listedSnapshots()+"|"+b.listedSnapshots(), "||1 20")
	b.SetBinLag(0)
	equal(t, "remove", b.deleteSnapshot("snap-00000002"), "")
	equal(t, "snapshots", b.listedSnapshots(), "1 20, 2 20")
	b.SetBinLag(9)
	equal(t, "restore what is not listed", b.restoreSnapshot("snap-00000001")+b.deleteSnapshot("snap-00000001")+b.restoreSnapshot("snap-00000001"), "")
	b.SetBinLag(0)
	equal(t, "remove it without a lag", b.deleteSnapshot("snap-00000001"), "")
	equal(t, "snapshots", b.listedSnapshots(), "2 20, 1 20")
}

// All the pages of a listing count as one.
func TestBinLagOfPages(t *testing.T) {
	var list []string
	for i := range 4 {
		list = append(list, fmt.Sprintf(`{"ImageId": "ami-%08x", "Tags": [{"Key": "intent", "Value": "remove"}]}`, i))
	}
	b := binOf(t, "describe-images.json", `{"Images": [`+strings.Join(list, ",")+`]}`)
	b.SetBinLag(1)
	equal(t, "remove", b.deregister("ami-00000000")+b.deregister("ami-00000001")+b.deregister("ami-00000002"), "")
	b.SetBinLag(3)
	removed := false // In the middle of the first listing, which does not count.
	for _, want := range []int{3, 3, 3, 4} {
		pages := ec2.NewListImagesInRecycleBinPaginator(b.ec2, &ec2.ListImagesInRecycleBinInput{MaxResults: aws.Int32(1)})
		found := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			found += len(page.Images)
			if !removed {
				removed = true
				equal(t, "remove", b.deregister("ami-00000003"), "")
			}
		}
		equal(t, "listed", found, want)
	}
}

func TestRuleLag(t *testing.T) {
	for _, test := range []struct {
		name   string
		waited time.Duration
		again  string // The value that the tag is given at the end.
		want   string
	}{
		{"too soon", 9 * time.Second, "", ""},
		{"late enough", 10 * time.Second, "", "4 14"},
		{"with the same value once more", 10 * time.Second, "remove", "4 14"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := binOf(t)
			b.SetRuleLag(10 * time.Second)
			equal(t, "tag", b.tag("ami-00000004", "intent", "remove"), "")
			b.now = b.now.Add(test.waited)
			if test.again != "" {
				equal(t, "tag again", b.tag("ami-00000004", "intent", test.again, "other", "x"), "")
			}
			equal(t, "remove", b.deregister("ami-00000004"), "")
			equal(t, "in the bin", b.listed(), test.want)
			equal(t, "remove what always had the tag", b.deregister("ami-00000002"), "")
			equal(t, "in the bin", strings.HasSuffix(b.listed(), "2 14"), true)
		})
	}
}

func TestRestoreDelay(t *testing.T) {
	b := binOf(t)
	b.SetRestoreDelay(time.Minute)
	equal(t, "remove and restore", b.deregister("ami-00000001")+b.deregister("ami-00000002")+b.restoreImage("ami-00000001")+b.restoreImage("ami-00000002"), "")
	b.now = b.now.Add(time.Minute - 1)
	equal(t, "state", b.image("ami-00000001").State, types.ImageStatePending)
	equal(t, "deregister", b.deregister("ami-00000001"), "InvalidAMIID.Unavailable")
	b.now = b.now.Add(1)
	equal(t, "states then", b.image("ami-00000001").State+" "+b.image("ami-00000002").State, types.ImageState("available disabled"))
}

// An account with something in its bin can be saved, loaded, and go on from there.
func TestTheRecycleBinIsSaved(t *testing.T) {
	b := binOf(t)
	_, err := b.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001"), DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	saved := save(t, b.Account)
	shown := decoded(t, content(t, saved, "list-images-in-recycle-bin.json")).(map[string]any)["Images"].([]any)[0].(map[string]any)
	equal(t, "the image's entry", fmt.Sprint(shown["ImageId"], shown["Name"], shown["Description"], shown["RecycleBinEnterTime"], shown["RecycleBinExitTime"]),
		"ami-00000001onethe first2026-11-23T02:00:00Z2026-12-07T02:00:00Z")
	b.now = b.now.AddDate(0, 0, 30)
	equal(t, "saved when it has emptied itself", string(content(t, save(t, b.Account), "list-images-in-recycle-bin.json")), "{\n    \"Images\": []\n}\n")
	b.now = now
	a, err := emulator.Load(saved, emulator.Options{Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	again := &binAccount{Account: a, t: t, now: b.now, ec2: ec2Client(a.Client())}
	equal(t, "the bin", again.listed()+"; "+again.listedSnapshots(), "1 14; 1 20, 2 20")
	equal(t, "deregister again", again.deregister("ami-00000001"), "InvalidAMIID.Unavailable")
	equal(t, "restore", again.restoreSnapshot("snap-00000001")+again.restoreSnapshot("snap-00000002")+again.restoreImage("ami-00000001"), "")
	before, after := save(t, binOf(t).Account), save(t, a)
	for _, name := range files {
		if name == "describe-images.json" || name == "describe-snapshots.json" {
			continue // What was restored comes last there.
		}
		equal(t, name, string(content(t, after, name)), string(content(t, before, name)))
	}
	equal(t, "last launch", *again.image("ami-00000001").LastLaunchedTime, "2026-01-02T03:04:05Z")
}

// Of what was exported from a real account there is no more than EC2 lists.
func TestRestoringWhatTheAWSCommandLineListed(t *testing.T) {
	b := binOf(t,
		"list-images-in-recycle-bin.json", `{"Images": [{"ImageId": "ami-0000000a", "Name": "a", "Description": "d",
			"RecycleBinEnterTime": "2026-11-20T02:00:00.000Z", "RecycleBinExitTime": "2026-12-04T02:00:00.000+00:00"}, {"ImageId": "ami-0000000b", "RecycleBinExitTime": 1}]}`,
		"list-snapshots-in-recycle-bin.json", `{"Snapshots": [{"SnapshotId": "snap-0000000a", "VolumeId": "vol-1", "RecycleBinExitTime": "someday"}, {}]}`)
	equal(t, "the bin", b.listed(), "a 11")
	equal(t, "tags", b.tagsOf("ami-0000000a")+"|"+b.tagsOf("snap-0000000a"), "aws:recycle-bin:resource-in-bin=true|aws:recycle-bin:resource-in-bin=true")
	out, err := b.ec2.ListSnapshotsInRecycleBin(t.Context(), &ec2.ListSnapshotsInRecycleBinInput{})
	if err != nil || len(out.Snapshots) != 2 || out.Snapshots[0].RecycleBinExitTime != nil {
		t.Errorf("snapshots: %v, %v", out, err)
	}
	equal(t, "deregister", b.deregister("ami-0000000a"), "InvalidAMIID.Unavailable")
	equal(t, "restore", b.restoreImage("ami-0000000a")+b.restoreSnapshot("snap-0000000a"), "")
	image := b.image("ami-0000000a")
	equal(t, "image", fmt.Sprint(*image.Name, *image.Description, image.State, *image.OwnerId, len(image.Tags)), "adavailable123456789012"+"0")
	equal(t, "snapshot", b.deleteSnapshot("snap-0000000a"), "")
}

func TestDescribeSnapshotAttribute(t *testing.T) {
	b := binOf(t)
	for _, test := range []struct{ id, attribute, want string }{
		{"snap-00000001", "createVolumePermission", "111122223333 all "},
		{"snap-00000002", "createVolumePermission", ""},
		{"snap-00000005", "createVolumePermission", "UnauthorizedOperation"},
		{"snap-00000005", "productCodes", ""},
		{"snap-00000001", "colour", "InvalidParameterValue"},
		{"snap-0000000f", "createVolumePermission", "InvalidSnapshot.NotFound"},
		{"vol-1", "createVolumePermission", "InvalidSnapshotID.Malformed"},
	} {
		out, err := b.ec2.DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{
			SnapshotId: &test.id, Attribute: types.SnapshotAttributeName(test.attribute),
		})
		got := code(err)
		if err == nil {
			equal(t, "id", *out.SnapshotId, test.id)
			for _, p := range out.CreateVolumePermissions {
				got += aws.ToString(p.UserId) + string(p.Group) + " "
			}
		}
		equal(t, test.id+" "+test.attribute, got, test.want)
	}
	foreign := load(t, directory("describe-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-00000008", "OwnerId": "999988887777"}]}`))
	_, err := ec2Client(foreign.Client()).DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: aws.String("snap-00000008"), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
	})
	equal(t, "another account's", code(err), "AuthFailure")
}
