package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

func TestDescribeFastLaunchImages(t *testing.T) {
	client := ec2Client(load(t, directory("describe-fast-launch-images.json", `{"FastLaunchImages": [
		{"ImageId": "ami-1", "State": "enabled", "ResourceType": "snapshot", "StateTransitionTime": "2026-01-02T03:04:05Z",
		 "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"}, "SnapshotConfiguration": {"TargetResourceCount": 5}},
		{"ImageId": "ami-2", "State": "disabling"}]}`)).Client())
	ids := func(input *ec2.DescribeFastLaunchImagesInput) string {
		out, err := client.DescribeFastLaunchImages(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, image := range out.FastLaunchImages {
			ids = append(ids, *image.ImageId)
		}
		return strings.Join(ids, " ")
	}
	equal(t, "all", ids(&ec2.DescribeFastLaunchImagesInput{}), "ami-1 ami-2")
	equal(t, "all, however many that are", ids(&ec2.DescribeFastLaunchImagesInput{MaxResults: aws.Int32(0)}), "ami-1 ami-2")
	equal(t, "by id", ids(&ec2.DescribeFastLaunchImagesInput{ImageIds: []string{"ami-2", "ami-3"}}), "ami-2")
	equal(t, "by state", ids(&ec2.DescribeFastLaunchImagesInput{Filters: filters("state", "enabled")}), "ami-1")
	equal(t, "pages that are too long", ids(&ec2.DescribeFastLaunchImagesInput{MaxResults: aws.Int32(201)}), "InvalidParameterValue")

	out, err := client.DescribeFastLaunchImages(t.Context(), &ec2.DescribeFastLaunchImagesInput{})
	if err != nil {
		t.Fatal(err)
	}
	image := out.FastLaunchImages[0]
	equal(t, "launch template", *image.LaunchTemplate.LaunchTemplateId, "lt-1")
	equal(t, "snapshots", *image.SnapshotConfiguration.TargetResourceCount, int32(5))
	equal(t, "since", image.StateTransitionTime.Unix(), int64(1767323045))
}

func TestDescribeFastSnapshotRestores(t *testing.T) {
	var list []string
	for i := range 450 {
		list = append(list, fmt.Sprintf(`{"SnapshotId": "snap-%d", "State": %q, "AvailabilityZone": "us-east-1a", "EnabledTime": "2026-01-02T03:04:05Z"}`,
			i, map[bool]string{true: "enabled", false: "disabled"}[i < 3]))
	}
	client := ec2Client(load(t, directory("describe-fast-snapshot-restores.json", `{"FastSnapshotRestores": [`+strings.Join(list, ",")+`]}`)).Client())
	all := 0
	for p := ec2.NewDescribeFastSnapshotRestoresPaginator(client, &ec2.DescribeFastSnapshotRestoresInput{}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all += len(out.FastSnapshotRestores)
		if len(out.FastSnapshotRestores) > 200 {
			t.Errorf("a page of %d", len(out.FastSnapshotRestores))
		}
	}
	equal(t, "all", all, 450)
	out, err := client.DescribeFastSnapshotRestores(t.Context(), &ec2.DescribeFastSnapshotRestoresInput{Filters: filters("state", "enabled", "snapshot-id", "snap-2")})
	if err != nil || len(out.FastSnapshotRestores) != 1 {
		t.Fatalf("enabled: %v, %v", out, err)
	}
	equal(t, "since", out.FastSnapshotRestores[0].EnabledTime.Unix(), int64(1767323045))
}
