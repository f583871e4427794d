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

// autoScalingGroups looks for images that a mixed instances policy uses instead of its launch
// template's. The images of templates and launch configurations themselves are found by their own
// sources.
func autoScalingGroups(_ context.Context, s *search) error {
	groups, err := s.groups()
	for i := range groups {
		name := "autoScalingGroup:*:autoScalingGroupName/" + aws.ToString(groups[i].AutoScalingGroupName)
		by := ami.Reference{
			Source: "auto-scaling-groups", Type: "autoscaling:AutoScalingGroup",
			ARN: cmp.Or(aws.ToString(groups[i].AutoScalingGroupARN), s.arn("autoscaling", name)),
		}
		if policy := groups[i].MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
			for _, override := range policy.LaunchTemplate.Overrides {
				s.use(by, override.ImageId)
			}
		}
	}
	return err
}

// listGroups lists the Auto Scaling groups without their instances. After an error it returns the
// groups so far.
func listGroups(ctx context.Context, api autoscaling.DescribeAutoScalingGroupsAPIClient) ([]types.AutoScalingGroup, error) {
	var groups []types.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(api, &autoscaling.DescribeAutoScalingGroupsInput{
		IncludeInstances: aws.Bool(false),
		MaxRecords:       aws.Int32(autoScalingPage),
	})
	err := wire.EachPage(ctx, pages, func(page *autoscaling.DescribeAutoScalingGroupsOutput) *string {
		groups = append(groups, page.AutoScalingGroups...)
		return page.NextToken
	})
	return groups, err
}
