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

// closedRequests are the states of a Spot request that launches nothing more.
var closedRequests = []types.SpotInstanceState{
	types.SpotInstanceStateClosed, types.SpotInstanceStateCancelled, types.SpotInstanceStateFailed,
}

// spotRequests lists the Spot requests that are not closed: a persistent one launches again when
// its instance ends.
func spotRequests(ctx context.Context, s *search) error {
	pages := ec2.NewDescribeSpotInstanceRequestsPaginator(s.EC2, &ec2.DescribeSpotInstanceRequestsInput{
		MaxResults: aws.Int32(dataPage),
	})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeSpotInstanceRequestsOutput) *string {
		for _, request := range page.SpotInstanceRequests {
			by := ami.Reference{
				Source: "spot-requests", Type: "ec2:SpotInstancesRequest",
				ARN: s.arn("ec2", "spot-instances-request/"+aws.ToString(request.SpotInstanceRequestId)),
			}
			switch launch := request.LaunchSpecification; {
			case slices.Contains(closedRequests, request.State):
			case launch == nil:
				s.mustUse(by, nil)
			default:
				s.mustUse(by, launch.ImageId)
				s.useMapped(by, launch.BlockDeviceMappings)
			}
		}
		return page.NextToken
	})
}
