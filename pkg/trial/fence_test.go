package trial_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// The fence lets changes pass of what is the trial's own, and no others, and all reads.
func TestTheFence(t *testing.T) {
	const own, ownSnapshot, others, othersSnapshot = "ami-0own", "snap-0own", "ami-0other", "snap-0other"
	str := aws.String
	tag := func(key string) []types.Tag { return []types.Tag{{Key: str(key), Value: str("x")}} }
	sent := 0
	config := trial.Fenced(testaccount.Config(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		sent++
		return nil, emulator.Lost(r, context.Canceled)
	})), trialID, region, "expected", own, ownSnapshot)
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	abroad := config.Copy()
	abroad.Region = "eu-west-1"
	api, far, direct := ec2.NewFromConfig(config), ec2.NewFromConfig(abroad), ebs.NewFromConfig(config)
	ctx := t.Context()
	trialTags := []ebstypes.Tag{{Key: str(trial.Tag), Value: str(trialID)}}
	for name, test := range map[string]struct {
		passes bool
		ask    func() error
	}{
		"a read": {true, func() error {
			_, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{others}})
			return err
		}},
		"own image": {true, func() error {
			_, err := api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: str(own)})
			return err
		}},
		"another image": {false, func() error {
			_, err := api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: str(others)})
			return err
		}},
		"own image in another region": {false, func() error {
			_, err := far.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: str(own)})
			return err
		}},
		"no image": {false, func() error {
			_, err := api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: str("")})
			return err
		}},
		"a dry run on another image": {false, func() error {
			_, err := api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: str(others), DryRun: aws.Bool(true)})
			return err
		}},
		"own snapshot": {true, func() error {
			_, err := api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: str(ownSnapshot)})
			return err
		}},
		"another snapshot": {false, func() error {
			_, err := api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: str(othersSnapshot)})
			return err
		}},
		"disable another": {false, func() error {
			_, err := api.DisableImage(ctx, &ec2.DisableImageInput{ImageId: str(others)})
			return err
		}},
		"enable another": {false, func() error { _, err := api.EnableImage(ctx, &ec2.EnableImageInput{ImageId: str(others)}); return err }},
		"restore another": {false, func() error {
			_, err := api.RestoreImageFromRecycleBin(ctx, &ec2.RestoreImageFromRecycleBinInput{ImageId: str(others)})
			return err
		}},
		"restore another snapshot": {false, func() error {
			_, err := api.RestoreSnapshotFromRecycleBin(ctx, &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: str(othersSnapshot)})
			return err
		}},
		"tags of own": {true, func() error {
			_, err := api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{own, ownSnapshot}, Tags: tag(ami.IntentTag)})
			return err
		}},
		"tags of own and another": {false, func() error {
			_, err := api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{own, others}, Tags: tag(ami.IntentTag)})
			return err
		}},
		"tags of nothing": {false, func() error {
			_, err := api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{}, Tags: tag(ami.IntentTag)})
			return err
		}},
		"a tag that is not the janitor's": {false, func() error {
			_, err := api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{own}, Tags: tag("Name")})
			return err
		}},
		"the tag of the trial": {false, func() error {
			_, err := api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{own}, Tags: tag(trial.Tag)})
			return err
		}},
		"untag own": {true, func() error {
			_, err := api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{own}, Tags: tag(ami.DueTag)})
			return err
		}},
		"untag another": {false, func() error {
			_, err := api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{others}, Tags: tag(ami.DueTag)})
			return err
		}},
		"take the tag of the trial": {false, func() error {
			_, err := api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{own}, Tags: tag(trial.Tag)})
			return err
		}},
		"take all tags": {false, func() error {
			_, err := api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{own}})
			return err
		}},
		"what no trial does": {false, func() error {
			_, err := api.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: str(own), DeprecateAt: aws.Time(epoch)})
			return err
		}},
		"what no trial does to instances": {false, func() error {
			_, err := api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-0own"}})
			return err
		}},
		"register": {true, func() error {
			_, err := api.RegisterImage(ctx, &ec2.RegisterImageInput{Name: str("expected"), BlockDeviceMappings: mapped(ownSnapshot)})
			return err
		}},
		"register another": {false, func() error {
			_, err := api.RegisterImage(ctx, &ec2.RegisterImageInput{Name: str("unexpected"), BlockDeviceMappings: mapped(ownSnapshot)})
			return err
		}},
		"register of another's snapshot": {false, func() error {
			_, err := api.RegisterImage(ctx, &ec2.RegisterImageInput{Name: str("expected"), BlockDeviceMappings: append(mapped(ownSnapshot), mapped(othersSnapshot)...)})
			return err
		}},
		"start": {true, func() error {
			_, err := direct.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: str("expected"), Tags: trialTags})
			return err
		}},
		"start another": {false, func() error {
			_, err := direct.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: str("unexpected"), Tags: trialTags})
			return err
		}},
		"start without the tag": {false, func() error {
			_, err := direct.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: str("expected")})
			return err
		}},
		"start from another's": {false, func() error {
			_, err := direct.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: str("expected"), Tags: trialTags, ParentSnapshotId: str(othersSnapshot)})
			return err
		}},
		"complete": {true, func() error {
			_, err := direct.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: str(ownSnapshot), ChangedBlocksCount: aws.Int32(1)})
			return err
		}},
		"complete another": {false, func() error {
			_, err := direct.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: str(othersSnapshot), ChangedBlocksCount: aws.Int32(1)})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sent = 0
			err := test.ask()
			if passed := sent == 1; passed != test.passes || err == nil || strings.Contains(err.Error(), "not sent") == test.passes {
				t.Errorf("passed: %t, want %t: %v", passed, test.passes, err)
			}
		})
	}
}

func mapped(id string) []types.BlockDeviceMapping {
	return []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: aws.String(id)}}}
}
