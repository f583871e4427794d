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

// used is an account in which something refers to ami-1, ami-2 ….
func used(t testing.TB) *emulator.Account {
	var versions []string
	for i := range 12 { // The oldest first: version 1 names ami-5, the next ami-6.
		versions = append(versions, fmt.Sprintf(`{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "one", "VersionNumber": %d,
			"DefaultVersion": %t, "LaunchTemplateData": {"ImageId": "ami-%d"}}`, i+1, i == 2, i+5))
	}
	versions = append(versions,
		`{"LaunchTemplateId": "lt-2", "LaunchTemplateName": "two", "VersionNumber": 1, "DefaultVersion": true, "LaunchTemplateData": {"ImageId": "resolve:ssm:/golden:7"}}`,
		`{"LaunchTemplateId": "lt-2", "LaunchTemplateName": "two", "VersionNumber": 2, "LaunchTemplateData": {"ImageId": "resolve:ssm:absent"}}`,
		`{"LaunchTemplateId": "lt-4", "LaunchTemplateName": "four", "VersionNumber": 1, "LaunchTemplateData": {"ImageId": "resolve:ssm:/golden:3"}}`,
		`{"LaunchTemplateId": "lt-4", "LaunchTemplateName": "four", "VersionNumber": 2, "LaunchTemplateData": {"ImageId": "resolve:ssm:/golden:stable"}}`,
		`{"LaunchTemplateId": "lt-4", "LaunchTemplateName": "four", "VersionNumber": 3, "LaunchTemplateData": {"ImageId": "resolve:ssm:arn:aws:ssm:us-east-1:123456789012:parameter/golden"}}`,
		`{"LaunchTemplateId": "lt-4", "LaunchTemplateName": "four", "VersionNumber": 4, "LaunchTemplateData": {"ImageId": "resolve:ssm:arn:aws:ssm:us-east-1:123456789012:parameter/golden:stable"}}`,
		`{"LaunchTemplateId": "lt-4", "LaunchTemplateName": "four", "VersionNumber": 5, "LaunchTemplateData": {"ImageId": "resolve:ssm:text"}}`,
		`{"LaunchTemplateId": "lt-3", "LaunchTemplateName": "three", "VersionNumber": 1, "Operator": {"Managed": true, "Principal": "eks"}, "LaunchTemplateData": {"ImageId": "ami-30"}}`)
	return load(t, directory(
		"describe-instances.json", `{"Reservations": [
			{"ReservationId": "r-1", "Instances": [
				{"InstanceId": "i-1", "ImageId": "ami-1", "State": {"Code": 16, "Name": "running"}, "LaunchTime": "2026-01-02T03:04:05+00:00"},
				{"InstanceId": "i-2", "ImageId": "ami-1", "State": {"Code": 48, "Name": "terminated"}}]},
			{"ReservationId": "r-2", "Instances": [
				{"InstanceId": "i-3", "ImageId": "ami-2", "State": {"Code": 80, "Name": "stopped"}, "Operator": {"Managed": true}}]}]}`,
		"describe-launch-templates.json", `{"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "one"},
			{"LaunchTemplateId": "lt-2", "LaunchTemplateName": "two"}, {"LaunchTemplateId": "lt-3", "LaunchTemplateName": "three", "Operator": {"Managed": true}}]}`,
		"describe-launch-template-versions.json", `{"LaunchTemplateVersions": [`+strings.Join(versions, ",")+`]}`,
		"describe-parameters.json", `{"Parameters": [{"Name": "/golden", "DataType": "aws:ec2:image"}, {"Name": "text", "DataType": "text"}]}`,
		"get-parameters.json", `{"Parameters": [{"Name": "/golden", "Value": "ami-3"}, {"Name": "text", "Value": "ami-3"},
			{"Name": "plain", "Value": "ami-3", "DataType": "aws:ec2:image"},
			{"Name": "/golden", "Value": "ami-40", "Version": 3, "Selector": ":3"}, {"Name": "/golden", "Value": "ami-41", "Version": 5, "Selector": ":stable"}]}`,
	))
}

func TestDescribeImageReferences(t *testing.T) {
	const (
		instance  = "ec2:Instance arn:aws:ec2:us-east-1:123456789012:instance/"
		template  = "ec2:LaunchTemplate arn:aws:ec2:us-east-1:123456789012:launch-template/"
		parameter = "ssm:Parameter arn:aws:ssm:us-east-1:123456789012:parameter/"
	)
	option := func(kind, name string, values ...string) []types.ResourceTypeRequest {
		return []types.ResourceTypeRequest{{
			ResourceType:        types.ImageReferenceResourceType(kind),
			ResourceTypeOptions: []types.ResourceTypeOption{{OptionName: types.ImageReferenceOptionName(name), OptionValues: values}},
		}}
	}
	all := aws.Bool(true)
	tests := []struct {
		name  string
		input ec2.DescribeImageReferencesInput
		want  []string
		code  string
	}{
		{"instances in all states", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, IncludeAllResourceTypes: all}, []string{instance + "i-1", instance + "i-2"}, ""},
		{"a managed instance too", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-2"}, IncludeAllResourceTypes: all}, []string{instance + "i-3"}, ""},
		{"instances in some states", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, IncludeAllResourceTypes: all, ResourceTypes: option("ec2:Instance", "state-name", "running", "stopped")}, []string{instance + "i-1"}, ""},
		{"the newest version", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-16"}, IncludeAllResourceTypes: all}, []string{template + "lt-1"}, ""},
		{"the tenth newest version", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-7"}, IncludeAllResourceTypes: all}, []string{template + "lt-1"}, ""},
		{"versions beyond the tenth", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-5", "ami-6"}, IncludeAllResourceTypes: all}, nil, ""},
		{"all versions", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-5"}, ResourceTypes: option("ec2:LaunchTemplate", "version-depth", "10000")}, []string{template + "lt-1"}, ""},
		{"parameters, and a template that names one", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-3"}, IncludeAllResourceTypes: all}, []string{template + "lt-2", template + "lt-4", parameter + "golden", parameter + "plain"}, ""},
		{"parameters alone", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-3"}, ResourceTypes: option("ssm:Parameter", "state-name")}, []string{parameter + "golden", parameter + "plain"}, ""},
		{"a template that names a label", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-41"}, IncludeAllResourceTypes: all}, []string{template + "lt-4"}, ""},
		{"an image given twice", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-2", "ami-2"}, IncludeAllResourceTypes: all}, []string{instance + "i-3"}, ""},
		{"ten images", ec2.DescribeImageReferencesInput{ImageIds: slices.Repeat([]string{"ami-0"}, 10), IncludeAllResourceTypes: all}, nil, ""},
		{"eleven images", ec2.DescribeImageReferencesInput{ImageIds: slices.Repeat([]string{"ami-0"}, 11), IncludeAllResourceTypes: all}, nil, "InvalidParameterValue"},
		{"no image", ec2.DescribeImageReferencesInput{ImageIds: []string{}, IncludeAllResourceTypes: all}, nil, "InvalidParameterValue"},
		{"no resource types", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}}, nil, "MissingParameter"},
		{"an unknown type", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, ResourceTypes: option("ec2:Volume", "state-name")}, nil, "InvalidParameterValue"},
		{"an unknown option", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, ResourceTypes: option("ec2:Instance", "colour", "red")}, nil, "InvalidParameterValue"},
		{"no depth", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, ResourceTypes: option("ec2:LaunchTemplate", "version-depth", "0")}, nil, "InvalidParameterValue"},
		{"recipes", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, ResourceTypes: []types.ResourceTypeRequest{{ResourceType: "imagebuilder:ImageRecipe"}}}, nil, ""},
		{"pages that are too small", ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-1"}, IncludeAllResourceTypes: all, MaxResults: aws.Int32(4)}, nil, "InvalidParameterValue"},
	}
	client := ec2Client(used(t).Client())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.DescribeImageReferences(t.Context(), &test.input)
			equal(t, "error code", code(err), test.code)
			if err != nil {
				return
			}
			var got []string
			for _, r := range out.ImageReferences {
				got = append(got, string(r.ResourceType)+" "+*r.Arn)
			}
			equal(t, "references", got, test.want)
		})
	}
}

func TestDescribeInstances(t *testing.T) {
	client := ec2Client(used(t).Client())
	ids := func(input *ec2.DescribeInstancesInput) string {
		out, err := client.DescribeInstances(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, r := range out.Reservations {
			ids = append(ids, *r.ReservationId+":")
			for _, i := range r.Instances {
				ids = append(ids, *i.InstanceId, string(i.State.Name))
			}
		}
		return strings.Join(ids, " ")
	}
	equal(t, "what no service manages", ids(&ec2.DescribeInstancesInput{}), "r-1: i-1 running i-2 terminated")
	equal(t, "all", ids(&ec2.DescribeInstancesInput{IncludeManagedResources: aws.Bool(true)}), "r-1: i-1 running i-2 terminated r-2: i-3 stopped")
	equal(t, "by state", ids(&ec2.DescribeInstancesInput{Filters: filters("instance-state-name", "terminated")}), "r-1: i-2 terminated")
	equal(t, "by image", ids(&ec2.DescribeInstancesInput{Filters: filters("image-id", "ami-2")}), "")
	equal(t, "by id", ids(&ec2.DescribeInstancesInput{InstanceIds: []string{"i-1"}}), "r-1: i-1 running")
	equal(t, "unknown id", ids(&ec2.DescribeInstancesInput{InstanceIds: []string{"i-9"}}), "InvalidInstanceID.NotFound")

	out, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-1"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "launched", out.Reservations[0].Instances[0].LaunchTime.Unix(), int64(1767323045))
}

func TestDescribeLaunchTemplates(t *testing.T) {
	client := ec2Client(used(t).Client())
	names := func(input *ec2.DescribeLaunchTemplatesInput) string {
		out, err := client.DescribeLaunchTemplates(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var names []string
		for _, lt := range out.LaunchTemplates {
			names = append(names, *lt.LaunchTemplateName)
		}
		return strings.Join(names, " ")
	}
	equal(t, "what no service manages", names(&ec2.DescribeLaunchTemplatesInput{}), "one two")
	equal(t, "all", names(&ec2.DescribeLaunchTemplatesInput{IncludeManagedResources: aws.Bool(true)}), "one two three")
	equal(t, "by id", names(&ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-2"}}), "two")
	equal(t, "by name", names(&ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"one"}}), "one")
	equal(t, "unknown", names(&ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-9"}}), "InvalidLaunchTemplateId.NotFound")
}

func TestDescribeLaunchTemplateVersions(t *testing.T) {
	one, two := aws.String("lt-1"), aws.String("two")
	tests := []struct {
		name  string
		input ec2.DescribeLaunchTemplateVersionsInput
		want  string
	}{
		{"the newest of all", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}}, "one/12 ami-16, two/2 resolve:ssm:absent, four/5 resolve:ssm:text"},
		{"the newest and the default of all", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}}, "one/12 ami-16, one/3 ami-7, two/2 resolve:ssm:absent, two/1 resolve:ssm:/golden:7, four/5 resolve:ssm:text"},
		{"managed ones too", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default", "$Latest"}, IncludeManagedResources: aws.Bool(true), Filters: filters("image-id", "ami-30")}, "three/1 ami-30"},
		{"all of one", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: one, MinVersion: aws.String("11")}, "one/12 ami-16, one/11 ami-15"},
		{"some of one", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: one, Versions: []string{"2", "$Default"}}, "one/3 ami-7, one/2 ami-6"},
		{"resolved", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: two, ResolveAlias: aws.Bool(true)}, "two/2 resolve:ssm:absent, two/1 ami-3"},
		{"versions, labels and ARNs, resolved", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("four"), ResolveAlias: aws.Bool(true)}, "four/5 resolve:ssm:text, four/4 ami-41, four/3 ami-3, four/2 ami-41, four/1 ami-40"},
		{"a version that is missing", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: one, Versions: []string{"2", "99"}}, "InvalidLaunchTemplateId.VersionNotFound"},
		{"numbers of all", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"2"}}, "MissingParameter"},
		{"nothing", ec2.DescribeLaunchTemplateVersionsInput{}, "MissingParameter"},
		{"an unknown template", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-9")}, "InvalidLaunchTemplateId.NotFound"},
	}
	client := ec2Client(used(t).Client())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.DescribeLaunchTemplateVersions(t.Context(), &test.input)
			got := code(err)
			if err == nil {
				var versions []string
				for _, v := range out.LaunchTemplateVersions {
					versions = append(versions, fmt.Sprintf("%s/%d %s", *v.LaunchTemplateName, *v.VersionNumber, *v.LaunchTemplateData.ImageId))
				}
				got = strings.Join(versions, ", ")
			}
			equal(t, "versions", got, test.want)
		})
	}
}
