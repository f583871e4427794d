package emulator_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// A directory of several regions, with what is denied in each, is the same account after it was
// saved. What is denied at the top level is denied in every region that does not say otherwise.
func TestADirectoryOfSeveralRegions(t *testing.T) {
	original := directory("denied.json", `["ec2:describefleets", "s3:ListBucket", "batch:DescribeComputeEnvironments"]`,
		"regions/eu-west-1/describe-fleets.json", `{"Fleets": [{"FleetId": "fleet-1"}]}`, "regions/eu-west-1/denied.json", `[]`,
		"regions/eu-central-1/describe-images.json", `{"Images": []}`)
	saved := t.TempDir()
	if err := load(t, original).Save(saved); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]fs.FS{"loaded": original, "saved": os.DirFS(saved)} {
		account := load(t, files)
		for region, want := range map[string]string{"us-east-1": "UnauthorizedOperation", "eu-central-1": "UnauthorizedOperation", "eu-north-1": "UnauthorizedOperation", "eu-west-1": ""} {
			out, err := ec2Client(account.Client()).DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{}, func(o *ec2.Options) { o.Region = region })
			equal(t, name+" "+region, code(err), want)
			if region == "eu-west-1" && err == nil {
				equal(t, name+": fleets", len(out.Fleets), 1)
			}
		}
		_, err := s3Client(account.Client()).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("records")})
		equal(t, name+": objects", code(err), "AccessDenied")
		_, err = autoScalingClient(account.Client()).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
		equal(t, name+": groups", code(err), "")
	}
}

func TestWhatIsNoCopy(t *testing.T) {
	for name, test := range map[string]struct{ file, content, says string }{
		"an_ended_export":  {"export.json", `{"Region": "us-east-1"}`, "export.json: the export has not come to its end"},
		"a_part_is_gone":   {"export.json", `{"Region": "us-east-1", "Complete": true, "Parts": {"denied.json": {}}}`, "export.json: the export has written denied.json, and it cannot be read any more: "},
		"no_region":        {"export.json", `{"Complete": true}`, "export.json: no Region in it"},
		"no_json":          {"export.json", `{`, "export.json: "},
		"no_actions":       {"denied.json", `{"ec2": "DescribeFleets"}`, "denied.json: "},
		"a_wildcard":       {"denied.json", `["ec2:*"]`, `denied.json: "ec2:*" is no action`},
		"no_service":       {"denied.json", `["DescribeFleets"]`, `denied.json: "DescribeFleets" is no action`},
		"no_directory":     {"regions/eu-west-1", `{}`, "regions/eu-west-1: not a directory"},
		"the_home_region":  {"regions/us-east-1/describe-images.json", `{"Images": []}`, "region us-east-1 is already there"},
		"an_other_account": {"regions/eu-west-1/get-caller-identity.json", `{"Account": "111122223333"}`, "is of account 111122223333"},
		"of_a_region":      {"regions/eu-west-1/describe-images.json", `{}`, "regions/eu-west-1: describe-images.json:1:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := emulator.Load(directory(test.file, test.content), options())
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

// Recipes of Image Builder refer to images, and so does what nobody may list; what the other files
// tell is not told twice.
func TestReferencesOfTheirOwnFile(t *testing.T) {
	references := []string{"describe-image-references.json", `{"ImageReferences": [
		{"ImageId": "ami-00000001", "ResourceType": "imagebuilder:ImageRecipe", "Arn": "recipe"}, {"ImageId": "ami-00000001", "ResourceType": "ec2:Instance", "Arn": "instance"}]}`}
	for denied, want := range map[string]int{`[]`: 1, `["ec2:DescribeInstances"]`: 2} {
		account := load(t, directory(append(references, "denied.json", denied)...))
		out, err := ec2Client(account.Client()).DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{ImageIds: []string{"ami-00000001"}, IncludeAllResourceTypes: aws.Bool(true)})
		if err != nil || len(out.ImageReferences) != want {
			t.Errorf("%s: %v, %v", denied, out, err)
		}
	}
}

// A parameter with null for its value may not be read, and fails the whole call. One of another
// account, or with a name that no parameter can have, is not listed.
func TestParametersThatMayNotBeReadOrListed(t *testing.T) {
	account := load(t, directory("get-parameters.json", `{"Parameters": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": null}, {"Name": "c d", "Value": null},
		{"Name": "e", "Value": "1", "ARN": "arn:aws:ssm:us-east-1:111122223333:parameter/e"}]}`))
	client := ssmClient(account.Client())
	for name, want := range map[string]string{"a": "", "b": "AccessDeniedException", "arn:aws:ssm:us-east-1:111122223333:parameter/e": ""} {
		_, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{name}})
		equal(t, name, code(err), want)
	}
	out, err := client.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	if err != nil || len(out.Parameters) != 2 {
		t.Errorf("%v, %v", out, err)
	}
}
