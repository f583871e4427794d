package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// fastPage is the longest page of both listings (EC2 API Reference, DescribeFastLaunchImages).
const fastPage = 200

// fastLaunch lists the Windows images for which EC2 keeps prepared snapshots. Somebody requested,
// and pays for, fast launches of these, whatever the state of the preparation.
func fastLaunch(ctx context.Context, s *search) error {
	pages := ec2.NewDescribeFastLaunchImagesPaginator(s.EC2, &ec2.DescribeFastLaunchImagesInput{MaxResults: aws.Int32(fastPage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeFastLaunchImagesOutput) *string {
		for _, image := range page.FastLaunchImages {
			arn := s.sharedARN("image/" + aws.ToString(image.ImageId))
			s.mustUse(ami.Reference{Source: "fast-launch", Type: "ec2:FastLaunch", ARN: arn}, image.ImageId)
		}
		return page.NextToken
	})
}
