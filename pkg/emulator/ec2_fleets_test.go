package emulator_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// fleets is an account with spot fleets, spot requests and EC2 fleets.
func fleets(t testing.TB) *emulator.Account {
	const launch = `{"ImageId": "ami-1", "InstanceType": "m7i.large", "SecurityGroups": [{"GroupId": "sg-1"}],
		"BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"SnapshotId": "snap-1", "EbsCardIndex": 1}}],
		"NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": ["sg-2"]}]`
	return load(t, directory(
		"describe-spot-fleet-requests.json", `{"SpotFleetRequestConfigs": [
			{"SpotFleetRequestId": "sfr-1", "SpotFleetRequestState": "active", "CreateTime": "2026-01-02T03:04:05Z",
			 "Tags": [{"Key": "k", "Value": "v"}], "SpotFleetRequestConfig": {"Type": "maintain", "ValidFrom": "2026-01-02T03:04:05Z",
			  "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": [{"Key": "a", "Value": "b"}]}],
			  "LaunchSpecifications": [`+launch+`, "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "c", "Value": "d"}]}]}],
			  "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "2"}, "Overrides": [{"InstanceType": "c7i.large"}]}]}},
			{"SpotFleetRequestId": "sfr-2", "SpotFleetRequestState": "cancelled_running"}]}`,
		"describe-spot-instance-requests.json", `{"SpotInstanceRequests": [
			{"SpotInstanceRequestId": "sir-1", "State": "open", "Status": {"Code": "pending-evaluation", "UpdateTime": "2026-01-02T03:04:05Z"}, "LaunchSpecification": `+launch+`}},
			{"SpotInstanceRequestId": "sir-2", "State": "closed", "LaunchSpecification": {"ImageId": "ami-2"}}]}`,
		"describe-fleets.json", `{"Fleets": [
			{"FleetId": "fleet-1", "FleetState": "active", "Type": "maintain", "ReplaceUnhealthyInstances": true, "LaunchTemplateConfigs": [
			 {"LaunchTemplateSpecification": {"LaunchTemplateName": "one", "Version": "$Default"}, "Overrides": [{"InstanceType": "c7i.large"}]}]},
			{"FleetId": "fleet-2", "FleetState": "active", "Type": "instant", "Instances": [{"InstanceIds": ["i-1"]}], "LaunchTemplateConfigs": [
			 {"Overrides": [{"ImageId": "ami-3", "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-3"}}]}]}]},
			{"FleetId": "fleet-3", "FleetState": "deleted", "Type": "request"}]}`,
	))
}

func TestDescribeSpotFleetRequests(t *testing.T) {
	client := ec2Client(fleets(t).Client())
	ids := func(input *ec2.DescribeSpotFleetRequestsInput) string {
		out, err := client.DescribeSpotFleetRequests(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, f := range out.SpotFleetRequestConfigs {
			ids = append(ids, *f.SpotFleetRequestId, string(f.SpotFleetRequestState))
		}
		return strings.Join(ids, " ")
	}
	equal(t, "all", ids(&ec2.DescribeSpotFleetRequestsInput{}), "sfr-1 active sfr-2 cancelled_running")
	equal(t, "by id", ids(&ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{"sfr-2"}}), "sfr-2 cancelled_running")
	equal(t, "unknown", ids(&ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{"sfr-9"}}), "InvalidSpotFleetRequestId.NotFound")
	equal(t, "a page", ids(&ec2.DescribeSpotFleetRequestsInput{MaxResults: aws.Int32(1)}), "sfr-1 active")
	equal(t, "no page", ids(&ec2.DescribeSpotFleetRequestsInput{MaxResults: aws.Int32(1001)}), "InvalidParameterValue")

	out, err := client.DescribeSpotFleetRequests(t.Context(), &ec2.DescribeSpotFleetRequestsInput{})
	if err != nil {
		t.Fatal(err)
	}
	fleet := out.SpotFleetRequestConfigs[0]
	equal(t, "tag", *fleet.Tags[0].Value, "v")
	request := fleet.SpotFleetRequestConfig
	equal(t, "valid from", request.ValidFrom.Unix(), fleet.CreateTime.Unix())
	equal(t, "tag of the fleet", *request.TagSpecifications[0].Tags[0].Value, "b")
	equal(t, "launch template", *request.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateId, "lt-1")
	equal(t, "override", string(request.LaunchTemplateConfigs[0].Overrides[0].InstanceType), "c7i.large")
	launch := request.LaunchSpecifications[0]
	equal(t, "tag of the instances", *launch.TagSpecifications[0].Tags[0].Value, "d")
	equal(t, "image", *launch.ImageId, "ami-1")
	equal(t, "snapshot", *launch.BlockDeviceMappings[0].Ebs.SnapshotId, "snap-1")
	equal(t, "card", *launch.BlockDeviceMappings[0].Ebs.EbsCardIndex, int32(1))
	equal(t, "security group", *launch.SecurityGroups[0].GroupId, "sg-1")
	equal(t, "network interface", *launch.NetworkInterfaces[0].InterfaceType+" "+launch.NetworkInterfaces[0].Groups[0], "efa sg-2")
}

func TestDescribeSpotInstanceRequests(t *testing.T) {
	client := ec2Client(fleets(t).Client())
	ids := func(input *ec2.DescribeSpotInstanceRequestsInput) string {
		out, err := client.DescribeSpotInstanceRequests(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, r := range out.SpotInstanceRequests {
			ids = append(ids, *r.SpotInstanceRequestId, *r.LaunchSpecification.ImageId)
		}
		return strings.Join(ids, " ")
	}
	equal(t, "all", ids(&ec2.DescribeSpotInstanceRequestsInput{}), "sir-1 ami-1 sir-2 ami-2")
	equal(t, "by id", ids(&ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{"sir-2"}}), "sir-2 ami-2")
	equal(t, "unknown", ids(&ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{"sir-9"}}), "InvalidSpotInstanceRequestID.NotFound")
	equal(t, "by state", ids(&ec2.DescribeSpotInstanceRequestsInput{Filters: filters("state", "open,active")}), "sir-1 ami-1")
	equal(t, "by image", ids(&ec2.DescribeSpotInstanceRequestsInput{Filters: filters("launch.image-id", "ami-2")}), "sir-2 ami-2")
	equal(t, "by snapshot", ids(&ec2.DescribeSpotInstanceRequestsInput{Filters: filters("launch.block-device-mapping.snapshot-id", "snap-1")}), "sir-1 ami-1")
	equal(t, "pages that are too small", ids(&ec2.DescribeSpotInstanceRequestsInput{MaxResults: aws.Int32(4)}), "InvalidParameterValue")

	out, err := client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{})
	if err != nil {
		t.Fatal(err)
	}
	launch := out.SpotInstanceRequests[0].LaunchSpecification
	equal(t, "snapshot", *launch.BlockDeviceMappings[0].Ebs.SnapshotId, "snap-1")
	equal(t, "security group", *launch.SecurityGroups[0].GroupId, "sg-1")
	equal(t, "updated", out.SpotInstanceRequests[0].Status.UpdateTime.Unix(), int64(1767323045))
}

func TestDescribeFleets(t *testing.T) {
	client := ec2Client(fleets(t).Client())
	ids := func(input *ec2.DescribeFleetsInput) string {
		out, err := client.DescribeFleets(t.Context(), input)
		if err != nil {
			return code(err)
		}
		var ids []string
		for _, f := range out.Fleets {
			ids = append(ids, *f.FleetId)
		}
		return strings.Join(ids, " ")
	}
	equal(t, "all but instant ones", ids(&ec2.DescribeFleetsInput{}), "fleet-1 fleet-3")
	equal(t, "by id", ids(&ec2.DescribeFleetsInput{FleetIds: []string{"fleet-2", "fleet-3"}}), "fleet-2 fleet-3")
	equal(t, "unknown", ids(&ec2.DescribeFleetsInput{FleetIds: []string{"fleet-9"}}), "InvalidFleetId.NotFound")
	equal(t, "by state", ids(&ec2.DescribeFleetsInput{Filters: filters("fleet-state", "active")}), "fleet-1")
	equal(t, "by replacement", ids(&ec2.DescribeFleetsInput{Filters: filters("replace-unhealthy-instances", "true")}), "fleet-1")

	out, err := client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{"fleet-1", "fleet-2"}})
	if err != nil {
		t.Fatal(err)
	}
	maintained, instant := out.Fleets[0], out.Fleets[1]
	equal(t, "launch template", *maintained.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateName, "one")
	equal(t, "override", *instant.LaunchTemplateConfigs[0].Overrides[0].ImageId, "ami-3")
	equal(t, "snapshot of the override", *instant.LaunchTemplateConfigs[0].Overrides[0].BlockDeviceMappings[0].Ebs.SnapshotId, "snap-3")
	equal(t, "instances", instant.Instances[0].InstanceIds, []string{"i-1"})
}
