package usage

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// longPage is the page size of EC2's listings that allow at most 1,000, or document no limit of
// their own.
const longPage = 1000

// dataPage is the page size if each item may carry 16 KB of user data, all in memory with its page.
const dataPage = 100

// filterValues is how many values a filter takes (EC2 User Guide, "List and filter your
// resources").
const filterValues = 200

// instances lists the instances of the region. Every state counts: a terminated instance is seen
// for about an hour, and may be the only sign of a launch in the 24 hours before LastLaunchedTime
// shows it. Instances that services manage may be hidden by an account setting, unless a request
// includes them (EC2 API Reference, DescribeInstances).
func instances(ctx context.Context, s *search) error {
	return s.listInstances(ctx, nil)
}

// instancesOfCandidates lists only the instances of the candidates.
func instancesOfCandidates(ctx context.Context, s *search) error {
	for ids := range slices.Chunk(s.allIDs, filterValues) {
		filter := types.Filter{Name: aws.String("image-id"), Values: ids}
		if err := s.listInstances(ctx, []types.Filter{filter}); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) listInstances(ctx context.Context, filters []types.Filter) error {
	pages := ec2.NewDescribeInstancesPaginator(s.EC2, &ec2.DescribeInstancesInput{
		Filters:                 filters,
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(longPage),
	})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeInstancesOutput) *string {
		for _, reservation := range page.Reservations {
			for i := range reservation.Instances {
				s.useByInstance(&reservation.Instances[i])
			}
			if len(reservation.Instances) == 0 {
				s.mustUse(instanceReference(s.arn("ec2", "reservation/"+aws.ToString(reservation.ReservationId))), nil)
			}
		}
		return page.NextToken
	})
}

func (s *search) useByInstance(instance *types.Instance) {
	s.mustUse(instanceReference(s.arn("ec2", "instance/"+aws.ToString(instance.InstanceId))), instance.ImageId)
	if id := aws.ToString(instance.ImageId); s.isImage(id) && instance.LaunchTime != nil {
		launched(s.finding(id), instance.LaunchTime.UTC())
	}
}

func instanceReference(arn string) ami.Reference {
	return ami.Reference{Source: "instances", Type: "ec2:Instance", ARN: arn}
}
