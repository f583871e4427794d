package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestDisableAndEnableImage(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-00000001", "State": "available", "Public": true}, {"ImageId": "ami-00000001", "State": "available", "Public": true},
		{"ImageId": "ami-00000002", "State": "available"}, {"ImageId": "ami-00000003", "State": "pending"},
		{"ImageId": "ami-00000004", "State": "available", "OwnerId": "999988887777"},
		{"ImageId": "ami-00000005", "State": "available", "Tags": [{"Key": "aws:backup:source-resource", "Value": "x"}]},
		{"ImageId": "ami-00000006", "State": "available", "DeregistrationProtection": "enabled-without-cooldown"}]}`,
		"describe-launch-permissions.json", `{"ami-00000001": [{"Group": "all"}, {"UserId": "111122223333"}], "ami-00000002": null}`))
	client := ec2Client(a.Client())
	disable := func(id string) string {
		out, err := client.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &id})
		if err == nil && !aws.ToBool(out.Return) {
			t.Errorf("%s: no Return", id)
		}
		return code(err)
	}
	enable := func(id string) string {
		out, err := client.EnableImage(t.Context(), &ec2.EnableImageInput{ImageId: &id})
		if err == nil && !aws.ToBool(out.Return) {
			t.Errorf("%s: no Return", id)
		}
		return code(err)
	}
	shown := func() string {
		out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{"ami-00000001"}})
		if err != nil {
			t.Fatal(err)
		}
		var images []string
		for _, image := range out.Images {
			images = append(images, fmt.Sprint(image.State, " ", *image.Public))
		}
		return strings.Join(images, ", ")
	}
	equal(t, "enable what is not disabled", enable("ami-00000001"), "InvalidAMIID.Unavailable")
	equal(t, "disable", disable("ami-00000001"), "")
	equal(t, "images while disabled", shown(), "")
	equal(t, "disable again", disable("ami-00000001"), "InvalidAMIID.Unavailable")
	equal(t, "enable", enable("ami-00000001"), "")
	equal(t, "images, every entry of them", shown(), "available false, available false")
	permissions, err := client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{
		ImageId: aws.String("ami-00000001"), Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil || len(permissions.LaunchPermissions) != 0 {
		t.Errorf("launch permissions: %v, %v", permissions, err)
	}
	equal(t, "one whose permissions nobody may see", disable("ami-00000002"), "")
	_, err = client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{
		ImageId: aws.String("ami-00000002"), Attribute: types.ImageAttributeNameLaunchPermission,
	})
	equal(t, "its permissions", code(err), "UnauthorizedOperation")
	equal(t, "a pending one", disable("ami-00000003"), "InvalidAMIID.Unavailable")
	equal(t, "another account's", disable("ami-00000004"), "AuthFailure")
	equal(t, "one of AWS Backup", disable("ami-00000005"), "AuthFailure")
	equal(t, "a protected one", disable("ami-00000006"), "")
	equal(t, "none", disable("ami-0000000f"), "InvalidAMIID.NotFound")
}

func TestImageDeprecation(t *testing.T) {
	client := ec2Client(load(t, directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-00000001", "State": "available", "CreationDate": "2026-01-02T03:04:05.000Z"},
		{"ImageId": "ami-00000002", "State": "available", "CreationDate": "2026-01-02T03:04:05.000Z", "Public": true},
		{"ImageId": "ami-00000004", "State": "available", "OwnerId": "999988887777"}]}`)).Client())
	tests := []struct {
		name, id string
		at       time.Time
		code     string
	}{
		{"soon", "ami-00000001", now.Add(time.Hour + 40*time.Second), ""},
		{"in the past", "ami-00000001", now.Add(-time.Second), "InvalidParameterValue"},
		{"in ten years", "ami-00000001", now.AddDate(10, 0, 0), ""},
		{"after ten years", "ami-00000001", now.AddDate(10, 0, 1), "InvalidParameterValue"},
		{"a public one", "ami-00000002", time.Date(2028, 1, 2, 3, 4, 0, 0, time.UTC), ""},
		{"a public one, two years after it was created", "ami-00000002", time.Date(2028, 1, 2, 3, 5, 0, 0, time.UTC), "InvalidParameterValue"},
		{"another account's", "ami-00000004", now.Add(time.Hour), "AuthFailure"},
		{"none", "ami-0000000f", now.Add(time.Hour), "InvalidAMIID.NotFound"},
	}
	deprecated := func(id string) string {
		out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.Images[0].DeprecationTime)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{ImageId: &test.id, DeprecateAt: &test.at})
			equal(t, "error code", code(err), test.code)
			if err != nil {
				return
			}
			equal(t, "return", aws.ToBool(out.Return), true)
			equal(t, "date, to the minute", deprecated(test.id), test.at.Round(time.Minute).Format("2006-01-02T15:04:05Z"))
			undone, err := client.DisableImageDeprecation(t.Context(), &ec2.DisableImageDeprecationInput{ImageId: &test.id})
			if err != nil || !aws.ToBool(undone.Return) {
				t.Errorf("undone: %v, %v", undone, err)
			}
			equal(t, "no date", deprecated(test.id), "")
		})
	}
}
