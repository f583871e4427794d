package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

// imagesPerCall is the most that DescribeImageReferences takes.
const imagesPerCall = 10

var errNoAnswer = errors.New("no answer")

// references asks EC2 itself what names the images: instances, launch templates, SSM parameters of type aws:ec2:image,
// and Image Builder recipes of this account and region (DescribeImageReferences, EC2 User Guide, "Identify your
// resources referencing specified AMIs").
func references(ctx context.Context, api API, images []ami.Image) answers {
	found := answers{}
	for chunk := range slices.Chunk(images, imagesPerCall) {
		ids := make([]string, len(chunk))
		for i, image := range chunk {
			ids[i] = image.ID
		}
		references, err := referencesOf(ctx, api, ids)
		for _, id := range ids {
			found[id] = answer{references[id], err}
		}
	}
	return found
}

// referencesOf asks about at most imagesPerCall images. After an error what had come until then still counts as use.
func referencesOf(ctx context.Context, api API, ids []string) (map[string][]ami.Reference, error) {
	found := map[string][]ami.Reference{}
	pages := ec2.NewDescribeImageReferencesPaginator(api, &ec2.DescribeImageReferencesInput{
		ImageIds:                ids,
		IncludeAllResourceTypes: aws.Bool(true),
		ResourceTypes:           thorough,
	})
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, reference := range page.ImageReferences {
			id := aws.ToString(reference.ImageId)
			if !slices.Contains(ids, id) {
				return found, fmt.Errorf("EC2 answered for %q, which was not asked about", id)
			}
			kind := string(reference.ResourceType)
			found[id] = append(found[id], ami.Reference{Type: kind, ARN: cmp.Or(aws.ToString(reference.Arn), kind, "something")})
		}
		if err := tokens.See(page.NextToken); err != nil {
			return found, err
		}
	}
	return found, nil
}

// thorough overrides the two options whose defaults see less than there is. An instance counts in every state: a
// terminated one is seen for about an hour, and may be the only sign of a launch in the 24 hours before LastLaunchedTime
// shows it. Of a launch template the newest ten versions are searched by default; 10,000 is the most.
var thorough = []types.ResourceTypeRequest{
	{
		ResourceType: types.ImageReferenceResourceTypeEc2Instance,
		ResourceTypeOptions: []types.ResourceTypeOption{{
			OptionName:   types.ImageReferenceOptionNameStateName,
			OptionValues: []string{"pending", "running", "shutting-down", "terminated", "stopping", "stopped"},
		}},
	},
	{
		ResourceType: types.ImageReferenceResourceTypeEc2LaunchTemplate,
		ResourceTypeOptions: []types.ResourceTypeOption{{
			OptionName:   types.ImageReferenceOptionNameVersionDepth,
			OptionValues: []string{"10000"},
		}},
	},
}
