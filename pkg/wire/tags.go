package wire

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TagsAPI writes tags and takes them off.
type TagsAPI interface {
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DeleteTags(context.Context, *ec2.DeleteTagsInput, ...func(*ec2.Options)) (*ec2.DeleteTagsOutput, error)
}

// Tag writes tags to images and snapshots.
func Tag(ctx context.Context, api TagsAPI, ids []string, tags map[string]string) error {
	input := ec2.CreateTagsInput{Resources: ids}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		input.Tags = append(input.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	_, err := api.CreateTags(ctx, &input)
	return err
}

// Untag takes tags off images and snapshots by their keys, whatever their values. Without a key, or
// with an empty one, it does nothing: EC2 would take off all user-defined tags (EC2 API Reference,
// DeleteTags).
func Untag(ctx context.Context, api TagsAPI, ids, keys []string) error {
	if len(keys) == 0 || slices.Contains(keys, "") {
		return nil
	}
	input := ec2.DeleteTagsInput{Resources: ids}
	for _, key := range keys {
		input.Tags = append(input.Tags, types.Tag{Key: aws.String(key)})
	}
	_, err := api.DeleteTags(ctx, &input)
	return err
}
