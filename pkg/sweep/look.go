package sweep

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sight is what a look at an image has shown.
type sight int

const (
	unseen sight = iota // The look failed.
	gone
	there
)

// look finds out whether an image is gone, and how it is if it is there. A deregistered image may still be listed for a
// while, in that state (EC2 API Reference, DescribeImages).
func look(ctx context.Context, api ec2.DescribeImagesAPIClient, imageID string) (sight, types.Image) {
	out, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners:          []string{"self"},
		Filters:         []types.Filter{{Name: aws.String("image-id"), Values: []string{imageID}}},
		IncludeDisabled: aws.Bool(true),
	})
	if err != nil || out.NextToken != nil {
		return unseen, types.Image{}
	}
	for _, image := range out.Images {
		if image.State != types.ImageStateDeregistered {
			return there, image
		}
	}
	return gone, types.Image{}
}
