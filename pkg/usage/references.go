package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// referencesSource is the name of EC2's own lookup of references.
const referencesSource = "references"

// The maximum of DescribeImageReferences (EC2 API Reference).
const (
	imagesPerCall   = 10
	maxVersionDepth = 10000
)

// lookUpReferences asks EC2 itself what names the candidates: instances, launch templates, SSM
// parameters of type aws:ec2:image, and Image Builder recipes of this account and region
// (DescribeImageReferences, EC2 User Guide, "Identify your resources referencing specified AMIs").
//
// EC2 refuses a call because of one image that is unknown or not available, so the images of such a
// call are asked about one by one.
func (s *search) lookUpReferences(ctx context.Context, breaker *circuitBreaker, ids []string) {
	var alone []string
	take := func(ids []string, references []types.ImageReference, err error) {
		if len(ids) > 1 && strings.HasPrefix(wire.Code(err), "InvalidAMIID.") {
			alone = append(alone, ids...)
			return
		}
		for _, reference := range references {
			kind := string(reference.ResourceType)
			arn := cmp.Or(aws.ToString(reference.Arn), kind, "something")
			s.use(ami.Reference{Source: referencesSource, Type: kind, ARN: arn}, reference.ImageId)
		}
		if err != nil {
			s.gap(referencesSource, err, ids...)
		}
	}
	eachUntil(ctx, breaker, inFlight, slices.Chunk(ids, imagesPerCall), s.referencesOf, take)
	eachUntil(ctx, breaker, inFlight, slices.Chunk(alone, 1), s.referencesOf, take)
}

// referencesOf asks about at most imagesPerCall images. After an error it returns the references so
// far.
func (s *search) referencesOf(ctx context.Context, ids []string) (references []types.ImageReference, err error) {
	var unasked error
	pages := ec2.NewDescribeImageReferencesPaginator(s.EC2, &ec2.DescribeImageReferencesInput{
		ImageIds:                ids,
		IncludeAllResourceTypes: aws.Bool(true),
		ResourceTypes:           s.thorough(),
	})
	err = wire.EachPage(ctx, pages, func(page *ec2.DescribeImageReferencesOutput) *string {
		for _, reference := range page.ImageReferences {
			if id := aws.ToString(reference.ImageId); slices.Contains(ids, id) {
				references = append(references, reference)
			} else {
				unasked = fmt.Errorf("ec2:DescribeImageReferences: EC2 answered for %q, which was not asked about", id)
			}
		}
		return page.NextToken
	})
	return references, cmp.Or(err, unasked)
}

// versionDepth is how many of the newest versions of a launch template to search.
func (l Lookup) versionDepth() int {
	if l.TemplateVersions == 0 {
		return maxVersionDepth
	}
	return min(l.TemplateVersions, maxVersionDepth)
}

// thorough overrides two options with narrow defaults. An instance counts in every state: a
// terminated one is seen for about an hour, and may be the only sign of a launch in the 24 hours
// before LastLaunchedTime shows it. By default only the newest ten versions of a launch template
// are searched; 10,000 is the maximum.
func (l Lookup) thorough() []types.ResourceTypeRequest {
	return []types.ResourceTypeRequest{
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
				OptionValues: []string{strconv.Itoa(l.versionDepth())},
			}},
		},
	}
}
