package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// spotFleets searches the launch specifications of unfinished Spot fleets. Their launch templates
// are found by that source; a Spot fleet cannot override the image of one (EC2 API Reference,
// LaunchTemplateOverrides).
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
			// Every fleet has one of the two (EC2 API Reference, SpotFleetRequestConfigData).
			s.mustUse(by, nil)
		default:
			for _, specification := range config.LaunchSpecifications {
				s.mustUse(by, specification.ImageId)
				s.useMapped(by, specification.BlockDeviceMappings)
			}
		}
	}
	return err
}

// isFinished reports whether a Spot fleet launches nothing more. In an unknown state it may.
func isFinished(fleet *types.SpotFleetRequestConfig) bool {
	return fleet.SpotFleetRequestState == types.BatchStateCancelled || fleet.SpotFleetRequestState == types.BatchStateFailed
}

// withoutData is a Spot fleet without the large, irrelevant parts of its launch specifications.
func withoutData(fleet types.SpotFleetRequestConfig) types.SpotFleetRequestConfig {
	if config := fleet.SpotFleetRequestConfig; config != nil {
		for i := range config.LaunchSpecifications {
			launch := &config.LaunchSpecifications[i]
			launch.UserData, launch.NetworkInterfaces, launch.TagSpecifications = nil, nil, nil
		}
	}
	return fleet
}

// listSpotFleets lists the Spot fleets. After an error it returns the fleets so far.
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
