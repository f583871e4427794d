package emulator_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func autoScalingClient(client emulator.Doer) *autoscaling.Client {
	return autoscaling.NewFromConfig(config(client))
}

// groups is an account with three Auto Scaling groups and 120 launch configurations.
func groups(t testing.TB) *emulator.Account {
	var configurations []string
	for i := range 120 {
		configurations = append(configurations, fmt.Sprintf(`{"LaunchConfigurationName": "c%d", "ImageId": "ami-%d", "CreatedTime": 1795398281.939,
			"SecurityGroups": ["sg-1", "sg-2"], "BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"SnapshotId": "snap-%d", "VolumeSize": 8}}]}`, i, i, i))
	}
	return load(t, directory(
		"describe-auto-scaling-groups.json", `{"AutoScalingGroups": [
			{"AutoScalingGroupName": "by configuration", "LaunchConfigurationName": "c1", "MinSize": 1, "CreatedTime": "2026-01-02T03:04:05+01:00"},
			{"AutoScalingGroupName": "by template", "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "$Latest"},
			 "AvailabilityZones": ["us-east-1a"], "Instances": [{"InstanceId": "i-1", "ImageId": "ami-1", "LifecycleState": "InService"}]},
			{"AutoScalingGroupName": "mixed", "Status": null, "MixedInstancesPolicy": {"LaunchTemplate": {
			 "LaunchTemplateSpecification": {"LaunchTemplateName": "one", "Version": "3"},
			 "Overrides": [{"InstanceType": "m7i.large"}, {"ImageId": "ami-2", "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-2"}}]}}}]}`,
		"describe-launch-configurations.json", `{"LaunchConfigurations": [`+strings.Join(configurations, ",")+`]}`,
	))
}

func TestDescribeAutoScalingGroups(t *testing.T) {
	client := autoScalingClient(groups(t).Client())
	describe := func(input *autoscaling.DescribeAutoScalingGroupsInput) []types.AutoScalingGroup {
		out, err := client.DescribeAutoScalingGroups(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		return out.AutoScalingGroups
	}
	all := describe(&autoscaling.DescribeAutoScalingGroupsInput{})
	if len(all) != 3 {
		t.Fatalf("%d groups, want 3", len(all))
	}
	equal(t, "launch configuration", *all[0].LaunchConfigurationName, "c1")
	equal(t, "created", all[0].CreatedTime.UTC().String(), "2026-01-02 02:04:05 +0000 UTC")
	equal(t, "launch template", *all[1].LaunchTemplate.LaunchTemplateId+" "+*all[1].LaunchTemplate.Version, "lt-1 $Latest")
	equal(t, "zones", all[1].AvailabilityZones, []string{"us-east-1a"})
	equal(t, "instance", *all[1].Instances[0].ImageId, "ami-1")
	mixed := all[2].MixedInstancesPolicy.LaunchTemplate
	equal(t, "mixed instances", *mixed.LaunchTemplateSpecification.LaunchTemplateName, "one")
	equal(t, "override", *mixed.Overrides[1].ImageId+" "+*mixed.Overrides[1].LaunchTemplateSpecification.LaunchTemplateId, "ami-2 lt-2")

	some := describe(&autoscaling.DescribeAutoScalingGroupsInput{
		AutoScalingGroupNames: []string{"by template", "absent"}, IncludeInstances: aws.Bool(false),
	})
	if len(some) != 1 || *some[0].AutoScalingGroupName != "by template" || len(some[0].Instances) != 0 {
		t.Errorf("by name, without instances: %v", some)
	}
	equal(t, "instances afterwards", len(describe(&autoscaling.DescribeAutoScalingGroupsInput{})[1].Instances), 1)

	for name, input := range map[string]autoscaling.DescribeAutoScalingGroupsInput{
		"ValidationError":  {MaxRecords: aws.Int32(101)},
		"InvalidNextToken": {NextToken: aws.String("x")},
		"UnknownParameter": {Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"x"}}}},
	} {
		_, err := client.DescribeAutoScalingGroups(t.Context(), &input)
		equal(t, "error code", code(err), name)
	}
	denied := autoScalingClient(disturb.Deny(groups(t).Client(), "DescribeAutoScalingGroups"))
	_, err := denied.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	equal(t, "denied", code(err), "AccessDenied")
	equal(t, "status", status(err), http.StatusForbidden)
}

func TestDescribeLaunchConfigurations(t *testing.T) {
	client := autoScalingClient(groups(t).Client())
	for size, want := range map[int32][]int{0: {50, 0, 50, 20}, 100: {100, 20}, 30: {30, 30, 0, 30, 30}} {
		input := &autoscaling.DescribeLaunchConfigurationsInput{}
		if size > 0 {
			input.MaxRecords = &size
		}
		var lengths []int
		var names []string
		for p := autoscaling.NewDescribeLaunchConfigurationsPaginator(client, input); p.HasMorePages(); {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			lengths = append(lengths, len(out.LaunchConfigurations))
			for _, c := range out.LaunchConfigurations {
				names = append(names, *c.LaunchConfigurationName)
			}
		}
		equal(t, fmt.Sprintf("pages of %d", size), lengths, want)
		slices.Sort(names)
		equal(t, "different names", len(slices.Compact(names)), 120)
	}
	out, err := client.DescribeLaunchConfigurations(t.Context(), &autoscaling.DescribeLaunchConfigurationsInput{LaunchConfigurationNames: []string{"c7", "c9"}})
	if err != nil || len(out.LaunchConfigurations) != 2 {
		t.Fatalf("by name: %v, %v", out, err)
	}
	c := out.LaunchConfigurations[1]
	equal(t, "image", *c.ImageId, "ami-9")
	equal(t, "security groups", c.SecurityGroups, []string{"sg-1", "sg-2"})
	equal(t, "snapshot", *c.BlockDeviceMappings[0].Ebs.SnapshotId, "snap-9")
	equal(t, "created", c.CreatedTime.UnixMilli(), int64(1795398281939))
}
