package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// referencesSource asks EC2 about one image after the other; so does usage.PermissionsSource.
const referencesSource = "references"

// checkRegions asks, in each region, every source of evidence once, and looks at the Recycle Bin.
func (e *examination) checkRegions(ctx context.Context) {
	if !e.settings() {
		e.add(explained("sources of evidence", "", "the settings of the function are not known"))
		return
	}
	regions, err := e.Janitor.RegionNames(ctx)
	if err != nil {
		e.add(Finding{Level: Wrong, Check: "regions", Found: err.Error(), Remedy: "Allow ec2:DescribeRegions, or name regions that the account has."})
		return
	}
	for _, found := range wire.InRegions(regions, func(region string) []Finding {
		return slices.Concat(e.checkBin(ctx, region), e.checkLock(ctx, region), e.checkSources(ctx, region))
	}) {
		e.report.Findings = append(e.report.Findings, found...)
	}
}

// checkSources asks each source in a region, one after the other, so that the time of each is its
// own.
func (e *examination) checkSources(ctx context.Context, region string) []Finding {
	image, err := e.anImage(ctx, region)
	if err != nil {
		f := Finding{Level: Wrong, Check: "images", Region: region, Found: wire.ExplainLookup(err), Remedy: "Allow ec2:DescribeImages: without it, nothing is judged."}
		return []Finding{e.asCaller(f)}
	}
	var found []Finding
	for _, source := range e.Janitor.Config.SourcesOn() {
		found = append(found, e.checkSource(ctx, region, source, image))
	}
	return append(found, e.checkSource(ctx, region, usage.PermissionsSource, image))
}

// asCaller is a finding about a call that is made with the rights of whoever asks. If AWS denies
// it, that says nothing about the function of a stack, which has a role of its own.
func (e *examination) asCaller(f Finding) Finding {
	if e.Deployment != nil && isDenied(f.Found) {
		return explained(f.Check, f.Region, f.Found)
	}
	return f
}

// anImage is an image of the account's own, for the questions that are about one; nil if the region
// has none.
func (e *examination) anImage(ctx context.Context, region string) (*ami.Image, error) {
	out, err := wire.EC2(e.Janitor.AWS, region).DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(1000),
	})
	if err != nil || len(out.Images) == 0 {
		return nil, err
	}
	return &ami.Image{ID: aws.ToString(out.Images[0].ImageId)}, nil
}

// checkSource asks a source, and says how long that took. What the code demands of an answer is
// checked where the code reads it.
func (e *examination) checkSource(ctx context.Context, region, source string, image *ami.Image) Finding {
	f := Finding{Level: Good, Check: source, Region: region}
	lookup := usage.Lookup{Account: e.account, Region: region}
	if image != nil {
		lookup.Images = []ami.Image{*image}
	}
	isOfImage := source == referencesSource || source == usage.PermissionsSource
	if isOfImage && image == nil {
		f.Level, f.Found = Note, "not asked: the region has no image to ask about"
		return f
	}
	began := e.Janitor.Clock()
	answer := e.Janitor.Listing(ctx, lookup, source)
	if isOfImage {
		answer.LookUp(ctx, []string{image.ID}, func(int, int) {})
	}
	f.Milliseconds = e.Janitor.Clock().Sub(began).Milliseconds()
	evidence := answer.Evidence()
	gaps := slices.Clone(evidence.Gaps)
	named := 0
	for _, finding := range evidence.Images {
		gaps = append(gaps, finding.Gaps...)
		if len(finding.References) > 0 {
			named++
		}
	}
	for _, gap := range gaps {
		if gap.Source == source {
			f.Level, f.Found, f.Remedy = Wrong, gap.Err, remedyOf(source, gap.Err)
			return e.asCaller(f)
		}
	}
	f.Found = fmt.Sprintf("answered in full, in %s; names %s", spent(f.Milliseconds), count(named, "image"))
	if isOfImage {
		f.Found = fmt.Sprintf("answered in full about %s, in %s", image.ID, spent(f.Milliseconds))
	}
	return f
}

// remedyOf says what to do about a source that did not answer in full.
func remedyOf(source, says string) string {
	switch action := actionIn(says); {
	case isDenied(says) && action != "":
		return "Allow " + action + ", or take " + source + " out of {USAGE_SOURCES}; until then nothing is removed."
	case isDenied(says):
		return "Allow the actions of " + source + " (docs/evidence.md), or take it out of {USAGE_SOURCES}; until then nothing is removed."
	case strings.Contains(says, "complete answer") || strings.Contains(says, " without "):
		return "Compare with docs/answers.md, and report it: until then this source keeps all images."
	default:
		return "Images that nothing names stay until this source answers; docs/evidence.md has what it asks."
	}
}

// spent is a time for people.
func spent(milliseconds int64) string {
	if milliseconds < 10_000 {
		return fmt.Sprintf("%d ms", milliseconds)
	}
	return fmt.Sprintf("%d s", milliseconds/1000)
}

func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
