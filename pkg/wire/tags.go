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

// tagsPerPage is the most that DescribeTags allows (EC2 API Reference).
const tagsPerPage = 1000

// FindTags reads the tags with some keys of the resources that a filter selects. It returns them by
// resource and by key.
func FindTags(ctx context.Context, api ec2.DescribeTagsAPIClient, these types.Filter, keys ...string) (map[string]map[string]string, error) {
	found := map[string]map[string]string{}
	pages := ec2.NewDescribeTagsPaginator(api, &ec2.DescribeTagsInput{
		Filters:    []types.Filter{these, {Name: aws.String("key"), Values: keys}},
		MaxResults: aws.Int32(tagsPerPage),
	})
	err := EachPage(ctx, pages, func(page *ec2.DescribeTagsOutput) *string {
		for _, tag := range page.Tags {
			id := aws.ToString(tag.ResourceId)
			if found[id] == nil {
				found[id] = map[string]string{}
			}
			found[id][aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		return page.NextToken
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
