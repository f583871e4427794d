// Package usage finds out whether anything still uses an image: proof of use and of non-use, one file for each source
// of evidence. It changes nothing, and it never fails: what could not be found out is a gap in the evidence, and an
// image with a gap is kept.
package usage

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

// API is what the lookups need of EC2.
type API interface {
	ec2.DescribeImageReferencesAPIClient
	DescribeImageAttribute(context.Context, *ec2.DescribeImageAttributeInput, ...func(*ec2.Options)) (
		*ec2.DescribeImageAttributeOutput, error)
}

// source is one place that can name an image.
type source struct {
	name string
	look func(context.Context, API, []ami.Image) answers
}

// sources are all sources of evidence of use, in the order in which they are asked.
var sources = []source{
	{"references", references},
}

// answers is what one source says of each image, by image id. An image that it says nothing of is a gap.
type answers map[string]answer

// answer is what one source says of one image: what names it, or why that is not known.
type answer struct {
	references []ami.Reference
	err        error
}

// Sources returns the names of all sources of evidence of use.
func Sources() []string {
	names := make([]string, len(sources))
	for i, source := range sources {
		names[i] = source.name
	}
	return names
}

// Look asks the named sources about the images, and asks EC2 who may launch them. An image is Unused if there was a
// source to ask, if every source has answered, and if none names the image. After each image step is called with the
// number of images done and to be done.
func Look(ctx context.Context, api API, images []ami.Image, names []string, step func(done, total int)) ami.Evidence {
	findings := make([]ami.Finding, len(images))
	asked := 0
	for _, source := range sources {
		if !slices.Contains(names, source.name) {
			continue
		}
		asked++
		answers := source.look(ctx, api, images)
		for i, image := range images {
			answer, ok := answers[image.ID]
			if !ok {
				answer.err = errNoAnswer
			}
			add(&findings[i], source.name, answer)
		}
	}
	evidence := make(ami.Evidence, len(images))
	for i, image := range images {
		lookUpPermissions(ctx, api, image.ID, &findings[i])
		conclude(&findings[i], asked)
		evidence[image.ID] = findings[i]
		step(i+1, len(images))
	}
	return evidence
}

func add(finding *ami.Finding, source string, answer answer) {
	if answer.err != nil {
		finding.Gaps = append(finding.Gaps, ami.Gap{Source: source, Err: wire.Explain(answer.err)})
	}
	for _, reference := range answer.references {
		reference.Source = source
		finding.References = append(finding.References, reference)
	}
}

// conclude fails closed: what is neither proven used nor proven unused is unknown.
func conclude(finding *ami.Finding, asked int) {
	slices.SortFunc(finding.References, func(a, b ami.Reference) int {
		return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Source, b.Source))
	})
	slices.SortFunc(finding.Gaps, func(a, b ami.Gap) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Err, b.Err))
	})
	slices.Sort(finding.SharedWith)
	switch {
	case len(finding.References) > 0:
		finding.Use = ami.Used
	case asked > 0 && len(finding.Gaps) == 0:
		finding.Use = ami.Unused
	default:
		finding.Use = ami.Unknown
	}
}
