package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// spotFleets looks into the launch specifications of the Spot fleets that are not finished. Their launch templates are
// found where these are; a Spot fleet cannot override the image of one (EC2 API Reference, LaunchTemplateOverrides).
func spotFleets(_ context.Context, s *search) error {
	fleets, err := s.spotFleetConfigs()
	for i := range fleets {
		by := ami.Reference{
			Source: "spot-fleets", Type: "ec2:SpotFleetRequest",
			ARN: s.arn("ec2", "spot-fleet-request/"+aws.ToString(fleets[i].SpotFleetRequestId)),
		}
		switch config := fleets[i].SpotFleetRequestConfig; {
		case isFinished(&fleets[i]):
		case config == nil || len(config.LaunchSpecifications)+len(config.LaunchTemplateConfigs) == 0:
			s.mustUse(by, nil) // Every fleet has one of the two (EC2 API Reference, SpotFleetRequestConfigData).
		default:
			for _, specification := range config.LaunchSpecifications {
				s.mustUse(by, specification.ImageId)
				s.useMapped(by, specification.BlockDeviceMappings)
			}
		}
	}
	return err
}

// isFinished reports whether a Spot fleet launches nothing any more. One in a state that nobody knows may.
func isFinished(fleet *types.SpotFleetRequestConfig) bool {
	return fleet.SpotFleetRequestState == types.BatchStateCancelled || fleet.SpotFleetRequestState == types.BatchStateFailed
}

// withoutData is a Spot fleet without what its launch specifications have in them by the kilobyte, and nobody looks at.
func withoutData(fleet types.SpotFleetRequestConfig) types.SpotFleetRequestConfig {
	if config := fleet.SpotFleetRequestConfig; config != nil {
		for i := range config.LaunchSpecifications {
			launch := &config.LaunchSpecifications[i]
			launch.UserData, launch.NetworkInterfaces, launch.TagSpecifications = nil, nil, nil
		}
	}
	return fleet
}

// listSpotFleets lists the Spot fleets. After an error it returns those that had come until then.
func listSpotFleets(ctx context.Context, api ec2.DescribeSpotFleetRequestsAPIClient) ([]types.SpotFleetRequestConfig, error) {
	var fleets []types.SpotFleetRequestConfig
	pages := ec2.NewDescribeSpotFleetRequestsPaginator(api, &ec2.DescribeSpotFleetRequestsInput{MaxResults: aws.Int32(dataPage)})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeSpotFleetRequestsOutput) *string {
		for i := range page.SpotFleetRequestConfigs {
			fleets = append(fleets, withoutData(page.SpotFleetRequestConfigs[i]))
		}
		return page.NextToken
	})
	return fleets, err
}
