package export

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
)

// What is empty was sent, and what is nil was not.
func TestEncode(t *testing.T) {
	at := time.Date(2026, time.November, 23, 3, 4, 5, 678_000_000, time.FixedZone("", 3600))
	got := encode(&ec2.DescribeSnapshotsOutput{Snapshots: []types.Snapshot{{
		SnapshotId: aws.String("snap-0123456789example"), Description: aws.String(""), Encrypted: aws.Bool(false), VolumeSize: aws.Int32(0), StartTime: &at,
		State: types.SnapshotStateCompleted, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("")}, {Key: aws.String("b")}},
	}, {Tags: []types.Tag{}}}})
	want := object{"Snapshots": []any{
		object{
			"SnapshotId": "snap-0123456789example", "Description": "", "Encrypted": false, "VolumeSize": int32(0), "StartTime": "2026-11-23T02:04:05.678Z",
			"State": types.SnapshotState("completed"), "Tags": []any{object{"Key": "a", "Value": ""}, object{"Key": "b"}},
		},
		object{"Tags": []any{}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	data := encode(types.ResponseLaunchTemplateData{ImageId: aws.String("ami-0123456789example"), UserData: aws.String("cGFzc3dvcmQ=")})
	if diff := cmp.Diff(object{"ImageId": "ami-0123456789example"}, data); diff != "" {
		t.Error(diff)
	}
}

// The answers in a copy contain no number or boolean that AWS could send as zero, and nothing that
// encode writes in another form than AWS.
func TestWhatCannotBeToldFromNothing(t *testing.T) {
	seen, found := map[reflect.Type]bool{}, map[string]bool{}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if seen[of] || of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
			return
		}
		seen[of] = true
		for _, field := range reflect.VisibleFields(of) {
			if !field.IsExported() || leftOut[field.Name] {
				continue
			}
			switch field.Type.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Struct:
				look(field.Type)
			case reflect.String: // Enumerations.
			default:
				found[of.String()+"."+field.Name] = true
			}
		}
	}
	for _, answer := range []any{
		ec2.DescribeImagesOutput{},
		ec2.DescribeSnapshotsOutput{},
		ec2.DescribeLockedSnapshotsOutput{},
		ec2.DescribeInstancesOutput{},
		ec2.DescribeLaunchTemplatesOutput{},
		ec2.DescribeLaunchTemplateVersionsOutput{},
		autoscaling.DescribeAutoScalingGroupsOutput{},
		autoscaling.DescribeLaunchConfigurationsOutput{},
		ec2.DescribeFleetsOutput{},
		ec2.DescribeSpotFleetRequestsOutput{},
		ec2.DescribeSpotInstanceRequestsOutput{},
		ec2.DescribeFastLaunchImagesOutput{},
		ec2.DescribeFastSnapshotRestoresOutput{},
		ec2.DescribeImageUsageReportsOutput{},
		ec2.DescribeImageUsageReportEntriesOutput{},
		ssm.DescribeParametersOutput{},
		ssm.GetParametersOutput{},
		ec2.ListImagesInRecycleBinOutput{},
		ec2.ListSnapshotsInRecycleBinOutput{},
		rbin.ListRulesOutput{},
		rbin.GetRuleOutput{},
		ec2.DescribeImageAttributeOutput{},
		ec2.DescribeSnapshotAttributeOutput{},
		ec2.DescribeImageReferencesOutput{},
	} {
		look(reflect.TypeOf(answer))
	}
	// They count from 1.
	want := map[string]bool{"types.Parameter.Version": true, "types.ParameterMetadata.Version": true}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("expected (-), found (+):\n%s", diff)
	}
}
