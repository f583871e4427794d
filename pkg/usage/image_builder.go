package usage

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// ImageBuilderSource is the source that lists the recipes of Image Builder. It is only asked where
// images that Image Builder has made are judged.
const ImageBuilderSource = "image-builder"

// recipePage is the longest page of the listings of recipes (EC2 Image Builder API Reference).
const recipePage = 25

// builtTag is the tag by which Image Builder says which of its images an AMI is (EC2 Image Builder
// User Guide, "Tag resources").
const builtTag = "Ec2ImageBuilderArn"

// recipes looks at the base images of Image Builder's recipes: of image recipes the parent, and of
// container recipes the image of the instance that builds. All versions of a recipe count.
func recipes(ctx context.Context, s *search) error {
	client := imagebuilder.NewFromConfig(wire.In(s.AWS, s.Region))
	images := imagebuilder.NewListImageRecipesPaginator(client, &imagebuilder.ListImageRecipesInput{
		Owner: types.OwnershipSelf, MaxResults: aws.Int32(recipePage),
	})
	err := wire.EachPage(ctx, images, func(page *imagebuilder.ListImageRecipesOutput) *string {
		for i := range page.ImageRecipeSummaryList {
			s.useByRecipe("imagebuilder:ImageRecipe", page.ImageRecipeSummaryList[i].Arn, page.ImageRecipeSummaryList[i].ParentImage)
		}
		return page.NextToken
	})
	containers := imagebuilder.NewListContainerRecipesPaginator(client, &imagebuilder.ListContainerRecipesInput{
		Owner: types.OwnershipSelf, MaxResults: aws.Int32(recipePage),
	})
	return cmp.Or(err, wire.EachPage(ctx, containers, func(page *imagebuilder.ListContainerRecipesOutput) *string {
		for i := range page.ContainerRecipeSummaryList {
			s.useByRecipe("imagebuilder:ContainerRecipe", page.ContainerRecipeSummaryList[i].Arn, page.ContainerRecipeSummaryList[i].InstanceImage)
		}
		return page.NextToken
	}))
}

// useByRecipe records the base image of a recipe: an AMI, an SSM parameter after ssm:, an image of
// Image Builder, or a product of the Marketplace, which is no AMI of the account (EC2 Image Builder
// API Reference, ImageRecipe).
func (s *search) useByRecipe(kind string, arn, base *string) {
	by := ami.Reference{Source: ImageBuilderSource, Type: kind, ARN: aws.ToString(arn)}
	given := aws.ToString(base)
	name, isParameter := strings.CutPrefix(given, "ssm:")
	parent, isImage := parseBuilt(given)
	switch {
	case isParameter:
		s.use(by, aws.String(resolvePrefix+name))
	case isImage && s.counts && s.isForeignImage(given):
		s.mustUse(by, base) // Only its owner knows which image that is.
	case isImage:
		for _, image := range slices.Concat(s.Images, s.Originals) {
			if built, ok := parseBuilt(image.Tags[builtTag]); ok && parent.includes(built) {
				s.use(by, &image.ID)
			}
		}
	case strings.HasPrefix(given, "arn:"):
		s.mustUse(by, base) // It may mean any image.
	default:
		s.use(by, base)
	}
}

// isForeignImage reports whether an ARN of Image Builder is one of another account, and not of AWS.
func (s *search) isForeignImage(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) > 4 && parts[4] != s.Account && parts[4] != "aws"
}

// builtImage is an image of Image Builder, by its ARN.
type builtImage struct {
	name    string   // Everything before the version.
	version []string // Major, minor and patch; in a recipe each may be x.
	build   string   // Of a recipe empty, unless it names one.
}

// parseBuilt reads the ARN of an image of Image Builder: …:image/NAME/1.0.0 or …/1.0.0/1. Image
// Builder writes it in small letters.
func parseBuilt(arn string) (builtImage, bool) {
	parts := strings.Split(strings.ToLower(arn), "/")
	if !strings.HasPrefix(parts[0], "arn:") || !strings.Contains(parts[0], ":imagebuilder:") || len(parts) < 3 {
		return builtImage{}, false
	}
	image := builtImage{name: parts[0] + "/" + parts[1], version: strings.Split(parts[2], ".")}
	if len(parts) > 3 {
		image.build = parts[3]
	}
	return image, true
}

// includes reports whether a recipe that names one image may mean another. Of several versions
// Image Builder takes the newest; the others count, too, because that may be withdrawn.
func (b builtImage) includes(other builtImage) bool {
	if b.name != other.name || b.build != "" && isNumber(b.build) && b.build != other.build {
		return false
	}
	for i, node := range b.version {
		if isNumber(node) && (i >= len(other.version) || node != other.version[i]) {
			return false
		}
	}
	return true
}

// isNumber reports whether a part of a version stands for itself. All else is a wildcard.
func isNumber(node string) bool { return node != "" && strings.Trim(node, "0123456789") == "" }
