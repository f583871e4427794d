package usage

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// autoScalingPage is the longest page of the listings of Auto Scaling (Amazon EC2 Auto Scaling API
// Reference).
const autoScalingPage = 100

// launchConfigurations lists the launch configurations, attached to a group or not.
func launchConfigurations(ctx context.Context, s *search) error {
	pages := autoscaling.NewDescribeLaunchConfigurationsPaginator(s.AutoScaling, &autoscaling.DescribeLaunchConfigurationsInput{
		MaxRecords: aws.Int32(autoScalingPage),
	})
	return wire.EachPage(ctx, pages, func(page *autoscaling.DescribeLaunchConfigurationsOutput) *string {
		for i := range page.LaunchConfigurations {
			s.useByConfiguration(&page.LaunchConfigurations[i])
		}
		return page.NextToken
	})
}

func (s *search) useByConfiguration(configuration *types.LaunchConfiguration) {
	name := "launchConfiguration:*:launchConfigurationName/" + aws.ToString(configuration.LaunchConfigurationName)
	by := ami.Reference{
		Source: "launch-configurations", Type: "autoscaling:LaunchConfiguration",
		ARN: cmp.Or(aws.ToString(configuration.LaunchConfigurationARN), s.arn("autoscaling", name)),
	}
	s.mustUse(by, configuration.ImageId)
	for _, mapping := range configuration.BlockDeviceMappings {
		if mapping.Ebs != nil {
			s.useSnapshot(by, mapping.Ebs.SnapshotId)
		}
	}
}
