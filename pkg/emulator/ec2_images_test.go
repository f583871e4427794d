package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// images is an account with an image of every kind that EC2 treats in its own way.
func images(t testing.TB) *emulator.Account {
	return load(t, directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-00000001", "Name": "web-1", "OwnerId": "123456789012", "State": "available", "Public": false,
		 "CreationDate": "2026-01-02T03:04:05.000Z", "Tags": [{"Key": "Team", "Value": "a*b"}, {"Key": "Empty", "Value": ""}],
		 "BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"SnapshotId": "snap-00000001"}}, {"DeviceName": "b", "VirtualName": "ephemeral0"},
		  {"DeviceName": "c", "Ebs": {"SnapshotId": "snap-00000002"}}, {"DeviceName": "d", "Ebs": {"SnapshotId": "snap-00000002"}}]},
		{"ImageId": "ami-00000002", "Name": "web-2", "OwnerId": "123456789012", "State": "disabled", "SourceImageId": "ami-00000001",
		 "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000003"}}]},
		{"ImageId": "ami-00000003", "Name": "nobody's", "State": "available"},
		{"ImageId": "ami-00000004", "Name": "theirs", "OwnerId": "999988887777", "State": "available", "Public": true,
		 "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000004"}}]},
		{"ImageId": "ami-00000005", "Name": "theirs, deprecated", "OwnerId": "999988887777", "DeprecationTime": "2026-01-01T00:00:00.000Z"},
		{"ImageId": "ami-00000006", "Name": "deprecated", "OwnerId": "123456789012", "DeprecationTime": "2026-01-01T00:00:00.000Z"},
		{"ImageId": "ami-00000007", "Name": "by amazon", "OwnerId": "137112412989", "ImageOwnerAlias": "amazon"},
		{"ImageId": "ami-00000001", "Name": "web-1", "OwnerId": "123456789012", "State": "available"},
		{"ImageId": "ami-00000011", "OwnerId": "123456789012", "DeregistrationProtection": "enabled-without-cooldown"},
		{"ImageId": "ami-00000012", "OwnerId": "123456789012", "DeregistrationProtection": "disabled after 2026-11-24T00:00:00Z"},
		{"ImageId": "ami-00000013", "OwnerId": "123456789012", "DeregistrationProtection": "disabled",
		 "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-00000003"}}, {"Ebs": {"SnapshotId": "snap-00000004"}}, {"Ebs": {"SnapshotId": "snap-00000005"}},
		  {"Ebs": {"SnapshotId": "snap-00000006"}}, {"Ebs": {"SnapshotId": "snap-00000007"}}, {"Ebs": {"SnapshotId": "snap-00000008"}},
		  {"Ebs": {"SnapshotId": "snap-00000009"}}, {"Ebs": {"SnapshotId": "snap-0000000a"}}]},
		{"ImageId": "ami-00000014", "OwnerId": "123456789012", "State": "pending"},
		{"ImageId": "ami-00000015", "OwnerId": "123456789012", "Tags": [{"Key": "aws:backup:source-resource", "Value": "x"}]},
		{"ImageId": "ami-00000016", "OwnerId": "123456789012", "Tags": [{"Key": "AWSBackupManagedResource", "Value": ""}]}
	]}`, "describe-snapshots.json", `{"Snapshots": [
		{"SnapshotId": "snap-00000001", "OwnerId": "123456789012"}, {"SnapshotId": "snap-00000002"},
		{"SnapshotId": "snap-00000003", "OwnerId": "123456789012"}, {"SnapshotId": "snap-00000004", "OwnerId": "123456789012"},
		{"SnapshotId": "snap-00000005", "OwnerId": "123456789012"}, {"SnapshotId": "snap-00000006", "OwnerId": "123456789012"},
		{"SnapshotId": "snap-00000007", "OwnerId": "123456789012", "Tags": [{"Key": "aws:backup:source-resource", "Value": "x"}]},
		{"SnapshotId": "snap-00000008", "OwnerId": "999988887777"}, {"SnapshotId": "snap-0000000a", "OwnerId": "123456789012"}
	]}`, "describe-locked-snapshots.json", `{"Snapshots": [
		{"SnapshotId": "snap-00000005", "LockState": "expired"}, {"SnapshotId": "snap-00000006", "LockState": "compliance-cooloff"}
	]}`))
}

func imageIDs(out *ec2.DescribeImagesOutput) string {
	var ids []string
	for _, image := range out.Images {
		ids = append(ids, strings.TrimLeft(strings.TrimPrefix(aws.ToString(image.ImageId), "ami-"), "0"))
	}
	return strings.Join(ids, " ")
}

func filters(pairs ...string) []types.Filter {
	var list []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.Filter{Name: &pairs[i], Values: strings.Split(pairs[i+1], ",")})
	}
	return list
}

func TestDescribeImages(t *testing.T) {
	const own = "1 3 6 1 11 12 13 14 15 16"
	many := func(n int) []string { return slices.Repeat([]string{"x"}, n) }
	tests := []struct {
		name  string
		input ec2.DescribeImagesInput
		want  string // Short ids.
		code  string
	}{
		{"all that is visible", ec2.DescribeImagesInput{}, "1 3 4 6 7 1 11 12 13 14 15 16", ""},
		{"own, and what does not say whose it is", ec2.DescribeImagesInput{Owners: []string{"self"}}, own, ""},
		{"own, by account", ec2.DescribeImagesInput{Owners: []string{self}}, own, ""},
		{"disabled too", ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true)}, "1 2" + own[1:], ""},
		{"deprecated ones of others too", ec2.DescribeImagesInput{Owners: []string{other}, IncludeDeprecated: aws.Bool(true)}, "4 5", ""},
		{"by alias", ec2.DescribeImagesInput{Owners: []string{"amazon"}}, "7", ""},
		{"by id", ec2.DescribeImagesInput{ImageIds: []string{"ami-00000004", "ami-00000003"}}, "3 4", ""},
		{"a disabled one by id", ec2.DescribeImagesInput{ImageIds: []string{"ami-00000002"}}, "", ""},
		{"one id of two is unknown", ec2.DescribeImagesInput{ImageIds: []string{"ami-00000004", "ami-0000000f"}}, "", "InvalidAMIID.NotFound"},
		{"an id that is none", ec2.DescribeImagesInput{ImageIds: []string{"web-1"}}, "", "InvalidAMIID.Malformed"},
		{"ids and pages", ec2.DescribeImagesInput{ImageIds: []string{"ami-00000004"}, MaxResults: aws.Int32(5)}, "", "InvalidParameterCombination"},
		{"no page is empty by wish", ec2.DescribeImagesInput{MaxResults: aws.Int32(0)}, "", "InvalidParameterValue"},
		{"a token that is none", ec2.DescribeImagesInput{NextToken: aws.String("x")}, "", "InvalidNextToken"},
		{"dry run", ec2.DescribeImagesInput{DryRun: aws.Bool(true)}, "", "DryRunOperation"},

		{"name with a wildcard", ec2.DescribeImagesInput{Filters: filters("name", "web-?")}, "1 1", ""},
		{"case counts", ec2.DescribeImagesInput{Filters: filters("name", "WEB-*")}, "", ""},
		{"one value or another", ec2.DescribeImagesInput{Filters: filters("name", "*'s,theirs")}, "3 4", ""},
		{"one filter and another", ec2.DescribeImagesInput{Filters: filters("name", "web*", "tag-key", "Team")}, "1", ""},
		{"a tag with a star in it", ec2.DescribeImagesInput{Filters: filters("tag:Team", `a\*b`)}, "1", ""},
		{"an empty tag", ec2.DescribeImagesInput{Filters: filters("tag:Empty", "")}, "1", ""},
		{"a tag that is not there", ec2.DescribeImagesInput{Filters: filters("tag:None", "*")}, "", ""},
		{"creation date", ec2.DescribeImagesInput{Filters: filters("creation-date", "2026-01-02T*")}, "1", ""},
		{"snapshot", ec2.DescribeImagesInput{Filters: filters("block-device-mapping.snapshot-id", "snap-00000002")}, "1", ""},
		{"source image, disabled", ec2.DescribeImagesInput{Filters: filters("source-image-id", "ami-00000001"), IncludeDisabled: aws.Bool(true)}, "2", ""},
		{"truth value", ec2.DescribeImagesInput{Filters: filters("is-public", "true")}, "4", ""},
		{"state", ec2.DescribeImagesInput{Filters: filters("state", "pending")}, "14", ""},
		{"owner", ec2.DescribeImagesInput{Filters: filters("owner-id", other)}, "4", ""},
		{"unknown filter", ec2.DescribeImagesInput{Filters: filters("colour", "red")}, "", "InvalidParameterValue"},
		{"200 values", ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("name"), Values: many(200)}}}, "", ""},
		{"201 values", ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("name"), Values: many(201)}}}, "", "FilterLimitExceeded"},
		{"51 filters", ec2.DescribeImagesInput{Filters: slices.Repeat(filters("name", "x"), 51)}, "", "FilterLimitExceeded"},
		{"a parameter that is not emulated", ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}, "", "UnknownParameter"},
	}
	client := ec2Client(images(t).Client())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.DescribeImages(t.Context(), &test.input)
			equal(t, "error code", code(err), test.code)
			if err == nil {
				equal(t, "images", imageIDs(out), test.want)
			}
		})
	}
}

func TestWildcards(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true},
		{"?", "", false},
		{"a*c", "abbbc", true},
		{"a*c", "abbb", false},
		{"*a*b", "xaxbxb", true},
		{"a**", "a", true},
		{`a\?`, "a?", true},
		{`a\?`, "ab", false},
		{`*\*`, "x*", true},
		{"é?", "éà", true},
		{"ab", "abc", false},
		{"*?", "x", true},
		{`\`, `\`, true},
	} {
		a := load(t, directory("describe-images.json", fmt.Sprintf(`{"Images": [{"ImageId": "ami-00000001", "Name": %q}]}`, test.name)))
		out, err := ec2Client(a.Client()).DescribeImages(t.Context(), &ec2.DescribeImagesInput{
			Filters: []types.Filter{{Name: aws.String("name"), Values: []string{test.pattern}}},
		})
		if err != nil || len(out.Images) == 1 != test.want {
			t.Errorf("%q matches %q: want %t, got %v, %v", test.pattern, test.name, test.want, out, err)
		}
	}
}

// pages lists all images, page by page.
func pages(t *testing.T, client *ec2.Client, size int32) [][]types.Image {
	t.Helper()
	var all [][]types.Image
	for p := ec2.NewDescribeImagesPaginator(client, &ec2.DescribeImagesInput{MaxResults: &size}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.Images)
	}
	return all
}

func TestPages(t *testing.T) {
	var list []string
	for i := range 23 {
		list = append(list, fmt.Sprintf(`{"ImageId": "ami-%08x"}`, i+1))
	}
	a := load(t, directory("describe-images.json", `{"Images": [`+strings.Join(list, ",")+`]}`))
	client := ec2Client(a.Client())
	for _, size := range []int32{1, 5, 11, 12, 22, 23, 24, 1000} {
		seen, empty := 0, 0
		for i, page := range pages(t, client, size) {
			for _, image := range page {
				seen++
				equal(t, "image", *image.ImageId, fmt.Sprintf("ami-%08x", seen))
			}
			if len(page) > int(size) {
				t.Errorf("pages of %d: page %d has %d", size, i+1, len(page))
			}
			if len(page) == 0 {
				empty++
			}
		}
		equal(t, fmt.Sprintf("pages of %d: images", size), seen, 23)
		equal(t, fmt.Sprintf("pages of %d: empty ones", size), empty, map[bool]int{true: 1}[size <= 11])
	}

	out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{MaxResults: aws.Int32(5)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{NextToken: out.NextToken})
	equal(t, "the token of another action", code(err), "InvalidNextToken")
}

func TestDeregisterImage(t *testing.T) {
	tests := []struct {
		name, id string
		code     string
		message  string
	}{
		{"an ordinary image", "ami-00000001", "", ""},
		{"a disabled image", "ami-00000002", "", ""},
		{"nobody's image", "ami-00000003", "", ""},
		{"protection that has been taken off", "ami-00000013", "", ""},
		{"another account's", "ami-00000004", "AuthFailure", "Not authorized for image:ami-00000004"},
		{"protected", "ami-00000011", "OperationNotPermitted", "protection"},
		{"in the cooldown of its protection", "ami-00000012", "OperationNotPermitted", "disabled after"},
		{"pending", "ami-00000014", "InvalidAMIID.Unavailable", "The image ID: 'ami-00000014' is no longer available"},
		{"of AWS Backup", "ami-00000015", "AuthFailure", "This image is managed by AWS Backup"},
		{"of AWS Backup, copied", "ami-00000016", "AuthFailure", "This image is managed by AWS Backup"},
		{"never existed", "ami-0000000f", "InvalidAMIID.NotFound", "does not exist"},
		{"an id that is none", "ami-xyz", "InvalidAMIID.Malformed", "ami-xyz"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := ec2Client(images(t).Client())
			_, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &test.id, DryRun: aws.Bool(true)})
			equal(t, "error code of the dry run", code(err), "DryRunOperation")
			equal(t, "status of the dry run", status(err), 412)

			out, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &test.id})
			equal(t, "error code", code(err), test.code)
			if err != nil {
				if !strings.Contains(err.Error(), test.message) {
					t.Errorf("got %q, want %q in it", err, test.message)
				}
				return
			}
			if !aws.ToBool(out.Return) || out.DeleteSnapshotResults != nil {
				t.Errorf("got %v, %v; want true and no results", aws.ToBool(out.Return), out.DeleteSnapshotResults)
			}
			_, err = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &test.id})
			equal(t, "error code of the second call", code(err), "InvalidAMIID.Unavailable")
			_, err = client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{test.id}})
			equal(t, "error code of a look", code(err), "InvalidAMIID.NotFound")
			snapshots, err := client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
			if err != nil || len(snapshots.Snapshots) != 9 {
				t.Errorf("%d snapshots are left, want all 9; %v", len(snapshots.Snapshots), err)
			}
		})
	}
}

func TestDeregisterImageWithItsSnapshots(t *testing.T) {
	client := ec2Client(images(t).Client())
	deregister := func(id string) map[string]string {
		out, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		results := map[string]string{}
		for _, r := range out.DeleteSnapshotResults {
			results[*r.SnapshotId] = string(r.ReturnCode)
		}
		return results
	}
	equal(t, "results", deregister("ami-00000013"), map[string]string{
		"snap-00000003": "skipped",      // A disabled image maps it.
		"snap-00000004": "skipped",      // Another account's image maps it.
		"snap-00000005": "success",      // Its lock has expired.
		"snap-00000006": "client-error", // Locked.
		"snap-00000007": "client-error", // AWS Backup's.
		"snap-00000008": "client-error", // Another account's.
		"snap-00000009": "client-error", // Not there.
		"snap-0000000a": "success",
	})
	equal(t, "results of one that maps a snapshot twice", deregister("ami-00000001"),
		map[string]string{"snap-00000001": "success", "snap-00000002": "success"})
	equal(t, "results of the last to map a snapshot", deregister("ami-00000002"), map[string]string{"snap-00000003": "success"})

	out, err := client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, s := range out.Snapshots {
		left = append(left, *s.SnapshotId)
	}
	equal(t, "snapshots left", left, []string{"snap-00000004", "snap-00000006", "snap-00000007", "snap-00000008"})
}

func TestDescribeImageAttribute(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-00000001", "OwnerId": "123456789012", "LastLaunchedTime": "2026-01-02T03:04:05Z"}, {"ImageId": "ami-00000002"},
		{"ImageId": "ami-00000003", "Public": true}, {"ImageId": "ami-00000004", "OwnerId": "999988887777"}, {"ImageId": "ami-00000005"}]}`,
		"describe-launch-permissions.json",
		`{"ami-00000001": [{"UserId": "111122223333"}, {"OrganizationArn": "arn:aws:organizations::1:organization/o"}], "ami-00000002": null}`))
	client := ec2Client(a.Client())
	attribute := func(id string, name types.ImageAttributeName) (*ec2.DescribeImageAttributeOutput, error) {
		return client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: name})
	}
	for _, test := range []struct {
		id, code string
		want     string
	}{
		{"ami-00000001", "", "user 111122223333, organization arn:aws:organizations::1:organization/o"},
		{"ami-00000002", "UnauthorizedOperation", ""},
		{"ami-00000003", "", "group all"},
		{"ami-00000004", "AuthFailure", ""},
		{"ami-00000005", "", ""},
		{"ami-0000000f", "InvalidAMIID.NotFound", ""},
	} {
		out, err := attribute(test.id, types.ImageAttributeNameLaunchPermission)
		equal(t, test.id+": error code", code(err), test.code)
		if err != nil {
			continue
		}
		var got []string
		for _, p := range out.LaunchPermissions {
			switch {
			case p.UserId != nil:
				got = append(got, "user "+*p.UserId)
			case p.OrganizationArn != nil:
				got = append(got, "organization "+*p.OrganizationArn)
			default:
				got = append(got, "group "+string(p.Group))
			}
		}
		equal(t, test.id, strings.Join(got, ", "), test.want)
	}
	out, err := attribute("ami-00000001", types.ImageAttributeNameLastLaunchedTime)
	if err != nil || aws.ToString(out.LastLaunchedTime.Value) != "2026-01-02T03:04:05Z" {
		t.Errorf("last launched: %v, %v", out, err)
	}
	_, err = attribute("ami-00000001", types.ImageAttributeNameKernel)
	equal(t, "an attribute that is not emulated", code(err), "InvalidParameterValue")
}
