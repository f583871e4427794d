package sweep

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/wire"
)

// sight is what a look at an image has shown.
type sight int

const (
	unseen sight = iota // The look failed.
	blank               // EC2 has answered with nothing, as it does for a while of an image that is deregistered.
	gone
	there
)

// bearsOut reports whether a look agrees with EC2's word that an image is not available any more.
func (s sight) bearsOut() bool { return s == gone || s == blank }

// look finds out whether an image is gone, and how it is if it is there. It asks for its id: a list that lacks the image is no proof.
// A deregistered image may still be shown for a while, in that state; then the answer is empty, and an error in the end (EC2 API
// Reference, DescribeImages).
func look(ctx context.Context, api ec2.DescribeImagesAPIClient, imageID string) (sight, types.Image) {
	out, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{
		ImageIds:        []string{imageID},
		IncludeDisabled: aws.Bool(true),
	})
	switch {
	case wire.IsNoImage(err):
		return gone, types.Image{}
	case err != nil:
		return unseen, types.Image{}
	case len(out.Images) == 0:
		return blank, types.Image{}
	case aws.ToString(out.Images[0].ImageId) != imageID:
		return unseen, types.Image{}
	case out.Images[0].State == types.ImageStateDeregistered:
		return gone, types.Image{}
	default:
		return there, out.Images[0]
	}
}
