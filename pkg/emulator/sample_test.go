package emulator_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func TestSampleIsDeterministic(t *testing.T) {
	one, two := emulator.Sample(now, "us-east-1"), emulator.Sample(now.In(time.FixedZone("", 3600)), "us-east-1")
	names, err := fs.Glob(one, "*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		equal(t, name, string(content(t, one, name)), string(content(t, two, name)))
	}
	equal(t, "records", recordsOf(t, one), recordsOf(t, two))
}

func TestSampleIsRich(t *testing.T) {
	client := ec2Client(load(t, emulator.Sample(now, "us-east-1")).Client())
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
		for _, placeholder := range []string{"DATE", "TOMORROW", "RESTORED", "EARLIER", "ONGOING"} {
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
	equal(t, "different ids", len(ids), len(out.Images)+len(snapshots.Snapshots)-twice)
}

// There is something of everything that may name an image. What is missing nobody else makes: EC2 fleets that keep
// running name launch templates alone, and reports are the janitor's to begin. References follow from the rest. The Recycle Bin is empty.
func TestSampleHasSomethingOfEverything(t *testing.T) {
	sample := save(t, load(t, emulator.Sample(now, "us-east-1")))
	for _, name := range files {
		empty := true
		whole, isObject := decoded(t, content(t, sample, name)).(map[string]any)
		if !isObject {
			whole = map[string]any{"": decoded(t, content(t, sample, name))}
		}
		for key, value := range whole {
			list, isList := value.([]any)
			empty = empty && (isList && len(list) == 0 || key == "InvalidParameters")
		}
		equal(t, name+" is empty", empty, slices.Contains([]string{
			"describe-fleets.json", "describe-image-references.json", "describe-image-usage-reports.json", "list-images-in-recycle-bin.json", "list-snapshots-in-recycle-bin.json",
		}, name))
	}
}

// isStale reports whether an image was neither created nor launched for 180 days.
func isStale(image types.Image) bool {
	limit := now.AddDate(0, 0, -180)
	created, err := time.Parse(time.RFC3339, *image.CreationDate)
	launched, never := time.Parse(time.RFC3339, aws.ToString(image.LastLaunchedTime))
	return err == nil && created.Before(limit) && (never != nil || launched.Before(limit))
}

func FuzzServeHTTP(f *testing.F) {
	for _, body := range []string{
		"Action=DescribeImages&MaxResults=5&NextToken=RGVzY3JpYmVJbWFnZXMgNSB0cnVl", "Action=DescribeImages&Filter.1.Name=name&Filter.1.Value.1=*%5C",
		"Action=DeregisterImage&ImageId=ami-0ec0ffeee9243ad26&DeleteAssociatedSnapshots=true", "Action=DescribeSnapshots&Owner.1=self",
		"Action=DescribeImageReferences&ImageId.1=ami-1&IncludeAllResourceTypes=true", "Action=DescribeInstances&Filter.1.Name=image-id&Filter.1.Value.1=a",
		"Action=DescribeLaunchTemplateVersions&LaunchTemplateVersion.1=$Latest&ResolveAlias=true", "Action=CreateTags&ResourceId.1=ami-1&Tag.1.Key=a",
		"Action=Publish&TopicArn=" + topic + "&Message=m&Subject=s", "Action=GetCallerIdentity", "Action=%00<>&Version=2010-03-31", "%", "",
		"Action=CreateImageUsageReport&ImageId=ami-1&ResourceType.1.ResourceType=ec2:LaunchTemplate&ResourceType.1.ResourceTypeOption.1.OptionName=version-depth",
		"Action=EnableImageDeprecation&ImageId=ami-1&DeprecateAt=1e300", "Action=DescribeAutoScalingGroups&AutoScalingGroupNames.member.1=a&MaxRecords=1",
		`DescribeParameters {"ParameterFilters": [{"Key": "Name", "Option": "Contains", "Values": ["a", null]}], "MaxResults": 3}`,
		`GetParameters {"Names": ["arn:x:parameter/:", ":", " :1"], "WithDecryption": "yes"}`, `GetParameters {"Names": {"": [[1]], "1": {}}}`,
		"Action=DescribeImages&Filter.99999999999999999999.Name=x&Filter.-1.Value=y&Owner=.&Owner..1=2",
	} {
		for _, service := range []string{"ec2", "autoscaling", "sns", "ssm", "sts", ""} {
			f.Add(service, body)
		}
	}
	a := load(f, emulator.Sample(now, "us-east-1"))
	f.Fuzz(func(t *testing.T, service, body string) {
		answers(t, a, service, body)
	})
}
