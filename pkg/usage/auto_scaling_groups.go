package usage

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// autoScalingGroups looks for images that a mixed instances policy uses instead of its launch
// template's, and for those that the instances of a group have: by such an override, or since their
// root volume was replaced. The images of templates and launch configurations themselves are found
// by their own sources.
func autoScalingGroups(_ context.Context, s *search) error {
	groups, err := s.groups()
	for i := range groups {
		by := ami.Reference{Source: "auto-scaling-groups", Type: "autoscaling:AutoScalingGroup", ARN: s.groupARN(&groups[i])}
		s.useByPolicy(by, groups[i].MixedInstancesPolicy)
		for _, instance := range groups[i].Instances {
			s.use(by, instance.ImageId)
		}
	}
	return err
}

// groupARN is the ARN of an Auto Scaling group.
func (s *search) groupARN(group *types.AutoScalingGroup) string {
	name := "autoScalingGroup:*:autoScalingGroupName/" + aws.ToString(group.AutoScalingGroupName)
	return cmp.Or(aws.ToString(group.AutoScalingGroupARN), s.arn("autoscaling", name))
}

// useByPolicy records the images that a mixed instances policy uses instead of its template's.
func (s *search) useByPolicy(by ami.Reference, policy *types.MixedInstancesPolicy) {
	if policy != nil && policy.LaunchTemplate != nil {
		for _, override := range policy.LaunchTemplate.Overrides {
			s.use(by, override.ImageId)
		}
	}
}

// withoutTwins is a group with one of its instances for each image: there may be thousands.
func withoutTwins(group types.AutoScalingGroup) types.AutoScalingGroup {
	seen := map[string]bool{}
	group.Instances = slices.Clone(slices.DeleteFunc(group.Instances, func(instance types.Instance) bool {
		id := aws.ToString(instance.ImageId)
		isTwin := seen[id]
		seen[id] = true
		return isTwin
	}))
	return group
}

// listGroups lists the Auto Scaling groups. After an error it returns the groups so far.
func listGroups(ctx context.Context, api autoscaling.DescribeAutoScalingGroupsAPIClient) ([]types.AutoScalingGroup, error) {
	var groups []types.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(api, &autoscaling.DescribeAutoScalingGroupsInput{
		MaxRecords: aws.Int32(autoScalingPage),
	})
	err := wire.EachPage(ctx, pages, func(page *autoscaling.DescribeAutoScalingGroupsOutput) *string {
		for i := range page.AutoScalingGroups {
			groups = append(groups, withoutTwins(page.AutoScalingGroups[i]))
		}
		return page.NextToken
	})
	return groups, err
}
