package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func tagList(pairs ...string) []types.Tag {
	var tags []types.Tag
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return tags
}

func TestTags(t *testing.T) {
	client := ec2Client(images(t).Client())
	create := func(id string, tags ...types.Tag) string {
		_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: strings.Fields(id), Tags: tags})
		return code(err)
	}
	remove := func(id string, tags ...types.Tag) string {
		_, err := client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: strings.Fields(id), Tags: tags})
		return code(err)
	}
	tags := func() string {
		out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{"ami-00000015"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tag := range out.Images[0].Tags {
			got = append(got, *tag.Key+"="+*tag.Value)
		}
		return strings.Join(got, " ")
	}
	const id = "ami-00000015"
	equal(t, "create", create(id, tagList("a", "1", "b", "<&\n>")...), "")
	equal(t, "tags", tags(), "aws:backup:source-resource=x a=1 b=<&\n>")
	equal(t, "overwrite", create(id+" snap-00000001", tagList("a", "2")...), "")
	equal(t, "tags", tags(), "aws:backup:source-resource=x b=<&\n> a=2")
	equal(t, "one resource is missing", create(id+" ami-0000000f", tagList("c", "3")...), "InvalidAMIID.NotFound")
	equal(t, "one snapshot is missing", create(id+" snap-0000000f", tagList("c", "3")...), "InvalidSnapshot.NotFound")
	equal(t, "no kind of resource", create("web", tagList("c", "3")...), "InvalidID")
	equal(t, "reserved key", create(id, tagList("aws:x", "3")...), "InvalidParameterValue")
	equal(t, "reserved key to take off", remove(id, tagList("Aws:backup:source-resource", "x")...), "InvalidParameterValue")
	equal(t, "1000 resources", create(strings.Repeat(id+" snap-00000001 ", 500), tagList("a", "2")...), "")
	equal(t, "1001 resources", create(strings.Repeat(id+" ", 1001), tagList("a", "2")...), "InvalidParameterValue")
	equal(t, "long key", create(id, tagList(strings.Repeat("k", 129), "3")...), "InvalidParameterValue")
	equal(t, "long value", create(id, tagList("k", strings.Repeat("é", 257))...), "InvalidParameterValue")
	var many []types.Tag
	for i := range 49 {
		many = append(many, tagList(fmt.Sprint("k", i), "")...)
	}
	equal(t, "too many", create(id, many...), "TagLimitExceeded")
	equal(t, "tags after refusals", tags(), "aws:backup:source-resource=x b=<&\n> a=2")

	equal(t, "delete, with another value", remove(id, tagList("a", "1")...), "")
	equal(t, "tags", tags(), "aws:backup:source-resource=x b=<&\n> a=2")
	equal(t, "delete, with the value", remove(id, tagList("a", "2")...), "")
	equal(t, "delete, by key", remove(id, types.Tag{Key: aws.String("b")}), "")
	equal(t, "tags", tags(), "aws:backup:source-resource=x")
	equal(t, "create", create(id, tagList("a", "1")...), "")
	equal(t, "delete all", remove(id), "")
	equal(t, "tags", tags(), "aws:backup:source-resource=x")
}

func TestDescribeTags(t *testing.T) {
	a := load(t, directory(
		"describe-images.json", `{"Images": [
			{"ImageId": "ami-00000001", "Tags": [{"Key": "Team", "Value": "web"}, {"Key": "Name", "Value": "a"}]},
			{"ImageId": "ami-00000001", "Tags": [{"Key": "Team", "Value": "another entry"}]}, {"ImageId": "ami-00000002"},
			{"ImageId": "ami-00000004", "OwnerId": "999988887777", "Tags": [{"Key": "Team", "Value": "theirs"}]}]}`,
		"describe-snapshots.json", `{"Snapshots": [{"SnapshotId": "snap-00000001", "Tags": [{"Key": "Team", "Value": "Web"}]}]}`,
		"describe-instances.json", `{"Reservations": [{"Instances": [{"InstanceId": "i-00000001", "Tags": [{"Key": "Name", "Value": "web"}]}]}]}`,
		"describe-launch-templates.json", `{"LaunchTemplates": [{"LaunchTemplateId": "lt-00000001", "Tags": [{"Key": "Team", "Value": ""}]}]}`,
		"describe-image-usage-reports.json", `{"ImageUsageReports": [{"ReportId": "amiur-00000001", "Tags": [{"Key": "Team", "Value": "x"}]}]}`,
	))
	client := ec2Client(a.Client())
	for _, test := range []struct {
		name    string
		filters []types.Filter
		want    string
	}{
		{"all of the account's own", nil, "ami-00000001 Team=web, ami-00000001 Name=a, snap-00000001 Team=Web, i-00000001 Name=web, amiur-00000001 Team=x, lt-00000001 Team="},
		{"of a resource", filters("resource-id", "ami-00000001"), "ami-00000001 Team=web, ami-00000001 Name=a"},
		{"of two kinds", filters("resource-type", "instance,snapshot"), "snap-00000001 Team=Web, i-00000001 Name=web"},
		{"by key", filters("key", "N*"), "ami-00000001 Name=a, i-00000001 Name=web"},
		{"by value", filters("value", "web"), "ami-00000001 Team=web, i-00000001 Name=web"},
		{"by key and value", filters("tag:Team", "web,x"), "ami-00000001 Team=web, amiur-00000001 Team=x"},
		{"by key and kind", filters("tag:Team", "*", "resource-type", "image"), "ami-00000001 Team=web"},
		{"of what is not there", filters("resource-id", "ami-0000000f"), ""},
		{"by a filter that other listings have", filters("tag-key", "Team"), "InvalidParameterValue"},
	} {
		out, err := client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: test.filters})
		got := code(err)
		if err == nil {
			var tags []string
			for _, tag := range out.Tags {
				tags = append(tags, *tag.ResourceId+" "+*tag.Key+"="+*tag.Value)
			}
			got = strings.Join(tags, ", ")
		}
		equal(t, test.name, got, test.want)
	}

	var many []string
	for i := range 1100 {
		many = append(many, fmt.Sprintf(`{"ImageId": "ami-%08x", "Tags": [{"Key": "k", "Value": "v"}]}`, i))
	}
	client = ec2Client(load(t, directory("describe-images.json", `{"Images": [`+strings.Join(many, ",")+`]}`)).Client())
	for size, want := range map[int32][]int{0: {1000, 100}, 500: {500, 0, 500, 100}} {
		input := &ec2.DescribeTagsInput{}
		if size > 0 {
			input.MaxResults = &size
		}
		var lengths []int
		for token := aws.String(""); token != nil; input.NextToken = token {
			out, err := client.DescribeTags(t.Context(), input)
			if err != nil {
				t.Fatal(err)
			}
			lengths = append(lengths, len(out.Tags))
			token = out.NextToken
		}
		equal(t, fmt.Sprintf("pages of %d", size), lengths, want)
	}
	for _, size := range []int32{4, 1001} {
		_, err := client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{MaxResults: &size})
		equal(t, fmt.Sprintf("pages of %d", size), code(err), "InvalidParameterValue")
	}
}

func TestRegions(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [{"ImageId": "ami-00000001"}]}`))
	if err := a.AddRegion("eu-west-1", directory("describe-images.json", `{"Images": [{"ImageId": "ami-00000002"}]}`)); err != nil {
		t.Fatal(err)
	}
	if err := a.AddRegion("eu-west-1", directory()); err == nil {
		t.Error("a region can be added twice")
	}
	foreign := directory("get-caller-identity.json", `{"Account": "999988887777"}`)
	if err := a.AddRegion("eu-west-2", foreign); err == nil {
		t.Error("a region of another account can be added")
	}

	out, err := ec2Client(a.Client()).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range out.Regions {
		names = append(names, *r.RegionName+" "+*r.Endpoint)
	}
	equal(t, "regions", names, []string{"eu-west-1 ec2.eu-west-1.amazonaws.com", "us-east-1 ec2.us-east-1.amazonaws.com"})

	for region, want := range map[string]string{"us-east-1": "1", "eu-west-1": "2", "ap-south-1": ""} {
		c := config(a.Client())
		c.Region = region
		client := ec2.NewFromConfig(c)
		out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "images of "+region, imageIDs(out), want)
		if want != "1" {
			_, err = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001")})
			equal(t, "an image of another region", code(err), "InvalidAMIID.NotFound")
		}
	}
}

// Every field of an image that the account directory may hold has to arrive in the SDK's struct.
func TestFieldsArrive(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [{
		"ImageId": "ami-00000001", "Name": "a < b & c", "Description": "line\nbreak, bell \u0007, nul \u0000, half \ud800, é", "OwnerId": "123456789012",
		"ImageOwnerAlias": "self", "ImageLocation": "l", "Public": true, "State": "available", "StateReason": {"Code": "c", "Message": "m"},
		"Architecture": "arm64", "ImageType": "machine", "RootDeviceType": "ebs", "RootDeviceName": "/dev/xvda", "Platform": "windows",
		"PlatformDetails": "Windows", "UsageOperation": "u", "ProductCodes": [{"ProductCodeId": "p", "ProductCodeType": "marketplace"}],
		"Tags": [{"Key": "k", "Value": ""}], "SourceImageId": "ami-2", "SourceImageRegion": "r", "SourceInstanceId": "i-1",
		"DeregistrationProtection": "disabled", "CreationDate": "yesterday", "DeprecationTime": "d", "LastLaunchedTime": "never",
		"BlockDeviceMappings": [{"DeviceName": "x", "VirtualName": "ephemeral0", "NoDevice": "", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 8,
		 "VolumeType": "gp3", "Encrypted": false, "Iops": 3000, "Throughput": 125, "VolumeInitializationRate": 100, "AvailabilityZoneId": "z"}}],
		"Unknown": {"Deep": [1, [2], {"x": null}]}, "not a name": 1, "1st": 2}]}`))
	out, err := ec2Client(a.Client()).DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil {
		t.Fatal(err)
	}
	want := types.Image{
		ImageId: aws.String("ami-00000001"), Name: aws.String("a < b & c"),
		Description: aws.String("line\nbreak, bell \ufffd, nul \ufffd, half \ufffd, é"),
		OwnerId:     aws.String(self), ImageOwnerAlias: aws.String("self"), ImageLocation: aws.String("l"), Public: aws.Bool(true),
		State: "available", StateReason: &types.StateReason{Code: aws.String("c"), Message: aws.String("m")},
		Architecture: "arm64", ImageType: "machine", RootDeviceType: "ebs", RootDeviceName: aws.String("/dev/xvda"), Platform: "windows",
		PlatformDetails: aws.String("Windows"), UsageOperation: aws.String("u"),
		ProductCodes: []types.ProductCode{{ProductCodeId: aws.String("p"), ProductCodeType: "marketplace"}},
		Tags:         tagList("k", ""), SourceImageId: aws.String("ami-2"), SourceImageRegion: aws.String("r"), SourceInstanceId: aws.String("i-1"),
		DeregistrationProtection: aws.String("disabled"), CreationDate: aws.String("yesterday"), DeprecationTime: aws.String("d"),
		LastLaunchedTime: aws.String("never"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{
			DeviceName: aws.String("x"), VirtualName: aws.String("ephemeral0"), NoDevice: aws.String(""),
			Ebs: &types.EbsBlockDevice{
				SnapshotId: aws.String("snap-1"), VolumeSize: aws.Int32(8), VolumeType: "gp3", Encrypted: aws.Bool(false), Iops: aws.Int32(3000),
				Throughput: aws.Int32(125), VolumeInitializationRate: aws.Int32(100), AvailabilityZoneId: aws.String("z"),
			},
		}},
	}
	if diff := cmp.Diff(want, out.Images[0], cmpopts.IgnoreUnexported(types.Image{}, types.StateReason{}, types.ProductCode{}, types.Tag{},
		types.BlockDeviceMapping{}, types.EbsBlockDevice{})); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
}

func TestCalls(t *testing.T) {
	a := images(t)
	client := ec2Client(a.Client())
	_, _ = client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	_, _ = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-0000000f")})
	equal(t, "calls", a.Calls(), []emulator.Call{
		{Service: "ec2", Region: "us-east-1", Action: "DescribeImages", Status: 200},
		{Service: "ec2", Region: "us-east-1", Action: "DeregisterImage", Status: 400, Code: "InvalidAMIID.NotFound"},
	})
}
