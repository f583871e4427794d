package usage

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const refreshesSource = "instance-refreshes"

// refreshCalls run at the same time: Auto Scaling publishes no rate.
const refreshCalls = 4

// finishedRefreshes are the states of a refresh that launches nothing more.
var finishedRefreshes = []types.InstanceRefreshStatus{
	types.InstanceRefreshStatusSuccessful, types.InstanceRefreshStatusFailed, types.InstanceRefreshStatusCancelled,
	types.InstanceRefreshStatusRollbackFailed, types.InstanceRefreshStatusRollbackSuccessful,
}

// instanceRefreshes looks at the unfinished instance refreshes of the groups: the configuration
// that one brings becomes the group's only when it ends. A group without instances has none.
func instanceRefreshes(ctx context.Context, s *search) error {
	groups, err := s.groups()
	arns := map[string]string{}
	for i := range groups {
		desired := groups[i].DesiredCapacity
		if len(groups[i].Instances) > 0 || desired == nil || *desired > 0 {
			arns[aws.ToString(groups[i].AutoScalingGroupName)] = s.groupARN(&groups[i])
		}
	}
	var unread []string
	each(ctx, refreshCalls, slices.Values(slices.Sorted(maps.Keys(arns))), s.refreshesOf, func(name string, refreshes []types.InstanceRefresh, err error) {
		by := ami.Reference{Source: refreshesSource, Type: "autoscaling:InstanceRefresh", ARN: arns[name]}
		for i := range refreshes {
			if desired := refreshes[i].DesiredConfiguration; desired != nil && !slices.Contains(finishedRefreshes, refreshes[i].Status) {
				s.useByPolicy(by, desired.MixedInstancesPolicy)
			}
		}
		if err != nil {
			unread = append(unread, "Auto Scaling group "+name+": "+s.explain(err))
		}
	})
	slices.Sort(unread)
	return cmp.Or(err, ctx.Err(), firstOf(unread, "nor could those of %d more groups be read"))
}

// refreshesOf lists the refreshes of a group. One that was deleted since it was listed has none.
// After an error it returns the refreshes so far.
func (s *search) refreshesOf(ctx context.Context, group string) (refreshes []types.InstanceRefresh, err error) {
	pages := autoscaling.NewDescribeInstanceRefreshesPaginator(s.AutoScaling, &autoscaling.DescribeInstanceRefreshesInput{
		AutoScalingGroupName: &group, MaxRecords: aws.Int32(autoScalingPage),
	})
	err = wire.EachPage(ctx, pages, func(page *autoscaling.DescribeInstanceRefreshesOutput) *string {
		refreshes = append(refreshes, page.InstanceRefreshes...)
		return page.NextToken
	})
	if wire.Code(err) == "ValidationError" { // There is no code for a group that is gone.
		again, listErr := s.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
		if listErr == nil && len(again.AutoScalingGroups) == 0 {
			return nil, nil
		}
	}
	return refreshes, err
}
