package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// markAPI is the part of EC2's API for marks.
type markAPI interface {
	ec2.DescribeImagesAPIClient
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error)
	wire.TagsAPI
	DisableImage(context.Context, *ec2.DisableImageInput, ...func(*ec2.Options)) (*ec2.DisableImageOutput, error)
	EnableImage(context.Context, *ec2.EnableImageInput, ...func(*ec2.Options)) (*ec2.EnableImageOutput, error)
	EnableImageDeprecation(context.Context, *ec2.EnableImageDeprecationInput, ...func(*ec2.Options)) (*ec2.EnableImageDeprecationOutput, error)
	DisableImageDeprecation(context.Context, *ec2.DisableImageDeprecationInput, ...func(*ec2.Options)) (*ec2.DisableImageDeprecationOutput, error)
}

func tag(ctx context.Context, api markAPI, imageID string, tags map[string]string) error {
	return change(ctx, api, imageID, "tagging it", func() error {
		return wire.Tag(ctx, api, []string{imageID}, tags)
	}, func(image types.Image) bool {
		found := map[string]string{}
		for _, tag := range image.Tags {
			if _, wanted := tags[aws.ToString(tag.Key)]; wanted {
				found[*tag.Key] = aws.ToString(tag.Value)
			}
		}
		return maps.Equal(found, tags)
	})
}

// untag takes tags off by their keys, whatever their values.
func untag(ctx context.Context, api markAPI, imageID string, keys []string) error {
	return change(ctx, api, imageID, "taking off its tags", func() error {
		return wire.Untag(ctx, api, []string{imageID}, keys)
	}, func(image types.Image) bool {
		return !slices.ContainsFunc(image.Tags, func(tag types.Tag) bool { return slices.Contains(keys, aws.ToString(tag.Key)) })
	})
}

func disable(ctx context.Context, api markAPI, imageID string) error {
	return change(ctx, api, imageID, "disabling it", func() error {
		_, err := api.DisableImage(ctx, &ec2.DisableImageInput{ImageId: aws.String(imageID)})
		return err
	}, func(image types.Image) bool { return string(image.State) == disabled })
}

func enable(ctx context.Context, api markAPI, imageID string) error {
	return change(ctx, api, imageID, "enabling it", func() error {
		_, err := api.EnableImage(ctx, &ec2.EnableImageInput{ImageId: aws.String(imageID)})
		return err
	}, func(image types.Image) bool { return string(image.State) == available })
}

func deprecate(ctx context.Context, api markAPI, imageID string, at time.Time) error {
	return change(ctx, api, imageID, "deprecating it", func() error {
		_, err := api.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: aws.String(imageID), DeprecateAt: aws.Time(at)})
		return err
	}, func(image types.Image) bool {
		set, err := time.Parse(time.RFC3339, aws.ToString(image.DeprecationTime))
		return err == nil && set.Truncate(time.Minute).Equal(at)
	})
}

func cancelDeprecation(ctx context.Context, api markAPI, imageID string) error {
	return change(ctx, api, imageID, "cancelling its deprecation", func() error {
		_, err := api.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: aws.String(imageID)})
		return err
	}, func(image types.Image) bool { return aws.ToString(image.DeprecationTime) == "" })
}

// errGone is the error of a change to an image that no longer exists.
var errGone = errors.New("the image is gone")

// doubtError is a failure that leaves open whether the change took effect.
type doubtError struct{ error }

func (e doubtError) Unwrap() error { return e.error }

// change makes a change to an image, and reads the image if EC2 does not confirm the change. One of
// several attempts may have taken effect although its answer was lost; the error of the next
// attempt proves nothing then.
func change(
	ctx context.Context, api ec2.DescribeImagesAPIClient, imageID, doing string, call func() error, made func(types.Image) bool,
) error {
	err := call()
	if err == nil {
		return nil
	}
	seen, image, _ := wire.FindImage(ctx, api, imageID)
	failure := fmt.Errorf("%s: %s", doing, wire.Explain(err))
	switch {
	case seen == wire.Gone || wire.Code(err) == notFound:
		return errGone
	case seen == wire.Present && made(image):
		return nil
	case seen != wire.Present:
		return doubtError{failure}
	default:
		return failure
	}
}
