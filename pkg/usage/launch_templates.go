package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

const templatesSource = "launch-templates"

// templatePage is the longest page of both listings of launch templates (EC2 API Reference, DescribeLaunchTemplates).
const templatePage = 200

// launchTemplates looks into the versions of the launch templates: all of them, or the newest ones, the default one, and
// those that a group or a fleet is pinned to.
//
// One listing has the latest and the default version of every template, which for most is all there are. Only a template
// with more versions that count gets a listing of its own.
func launchTemplates(ctx context.Context, s *search) error {
	pins, unknownPins := s.pins(ctx)
	templates, err := s.listTemplates(ctx)
	if err == nil {
		err = s.latestVersions(ctx, templates)
	}
	if err == nil {
		err = s.otherVersions(ctx, templates, pins)
	}
	return cmp.Or(err, unknownPins)
}

// otherVersions searches the versions of those templates of which more count than were listed.
func (s *search) otherVersions(ctx context.Context, templates templates, pins pins) error {
	isSearched := func(id string) bool { return s.isSearched(templates[id], pins) }
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(templates)), isSearched)
	errs := map[string]error{}
	each(ctx, inFlight, slices.Values(ids), s.versionsOf, func(id string, versions []types.LaunchTemplateVersion, err error) {
		s.useByVersions(versions, templates[id], pins)
		if err != nil {
			errs[id] = fmt.Errorf("launch template %s: %s", id, wire.ExplainLookup(err))
		}
	})
	for _, id := range ids {
		if errs[id] != nil {
			return errs[id]
		}
	}
	return nil
}

// template is a launch template, as far as it is known.
type template struct {
	id, name         string
	latest, standard int64          // The numbers of the latest and of the default version; 0 if not known.
	searched         map[int64]bool // The numbers of the versions whose images are found.
}

// templates are launch templates by their ids.
type templates map[string]*template

func (t templates) get(id, name *string) *template {
	if t[aws.ToString(id)] == nil {
		t[aws.ToString(id)] = &template{id: aws.ToString(id), name: aws.ToString(name), searched: map[int64]bool{}}
	}
	return t[aws.ToString(id)]
}

func (s *search) listTemplates(ctx context.Context) (templates, error) {
	found := templates{}
	pages := ec2.NewDescribeLaunchTemplatesPaginator(s.EC2, &ec2.DescribeLaunchTemplatesInput{
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(templatePage),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeLaunchTemplatesOutput) *string {
		for _, listed := range page.LaunchTemplates {
			t := found.get(listed.LaunchTemplateId, listed.LaunchTemplateName)
			t.latest, t.standard = aws.ToInt64(listed.LatestVersionNumber), aws.ToInt64(listed.DefaultVersionNumber)
		}
		return page.NextToken
	})
	return found, err
}

// latestVersions searches the latest and the default version of every template.
func (s *search) latestVersions(ctx context.Context, templates templates) error {
	versions, err := s.listVersions(ctx, ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}})
	for i := range versions {
		version := &versions[i]
		t, number := templates.get(version.LaunchTemplateId, version.LaunchTemplateName), aws.ToInt64(version.VersionNumber)
		t.latest = max(t.latest, number)
		if aws.ToBool(version.DefaultVersion) {
			t.standard = number
		}
		t.searched[number] = true
		s.useByVersion(version)
	}
	return err
}

// isSearched reports whether the images of all versions that count are found. If there is a gap in the numbers of the
// newest ones, because versions were deleted, then older ones count in their place.
func (s *search) isSearched(t *template, pins pins) bool {
	oldest := int64(1)
	if s.TemplateVersions > 0 {
		oldest = max(oldest, t.latest-int64(s.TemplateVersions)+1)
	}
	for number := oldest; number <= t.latest; number++ {
		if !t.searched[number] {
			return false
		}
	}
	isUnsearched := func(number int64) bool { return !t.searched[number] }
	return t.searched[t.standard] && !slices.ContainsFunc(pins.of(t), isUnsearched)
}

var errNoVersions = errors.New("has no versions")

// versionsOf lists the versions of one template. One that is gone by now is an error like any other: the next run sees what
// has become of it. After an error it returns those that had come until then.
func (s *search) versionsOf(ctx context.Context, id string) ([]types.LaunchTemplateVersion, error) {
	versions, err := s.listVersions(ctx, ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id})
	if err == nil && len(versions) == 0 {
		err = errNoVersions
	}
	return versions, err
}

// useByVersions records what those of a template's versions name that count.
func (s *search) useByVersions(versions []types.LaunchTemplateVersion, t *template, pins pins) {
	slices.SortFunc(versions, func(a, b types.LaunchTemplateVersion) int {
		return cmp.Compare(aws.ToInt64(b.VersionNumber), aws.ToInt64(a.VersionNumber))
	})
	versions = slices.CompactFunc(versions, func(a, b types.LaunchTemplateVersion) bool {
		return aws.ToInt64(a.VersionNumber) == aws.ToInt64(b.VersionNumber)
	})
	pinned := append(pins.of(t), t.standard)
	for i := range versions {
		isNew := s.TemplateVersions == 0 || i < s.TemplateVersions
		if isNew || aws.ToBool(versions[i].DefaultVersion) || slices.Contains(pinned, aws.ToInt64(versions[i].VersionNumber)) {
			s.useByVersion(&versions[i])
		}
	}
}

// listVersions lists versions of launch templates. After an error it returns those that had come until then.
func (s *search) listVersions(ctx context.Context, input ec2.DescribeLaunchTemplateVersionsInput) ([]types.LaunchTemplateVersion, error) {
	input.IncludeManagedResources, input.MaxResults = aws.Bool(true), aws.Int32(templatePage)
	input.ResolveAlias = aws.Bool(false) // A parameter is resolved here, where it is seen if that fails.
	var versions []types.LaunchTemplateVersion
	err := wire.EachPage(ctx, ec2.NewDescribeLaunchTemplateVersionsPaginator(s.EC2, &input),
		func(page *ec2.DescribeLaunchTemplateVersionsOutput) *string {
			versions = append(versions, page.LaunchTemplateVersions...)
			return page.NextToken
		})
	return versions, err
}

func (s *search) useByVersion(version *types.LaunchTemplateVersion) {
	data := version.LaunchTemplateData
	if data == nil {
		return
	}
	by := ami.Reference{
		Source: templatesSource, Type: "ec2:LaunchTemplate",
		ARN: s.arn("ec2", "launch-template/"+aws.ToString(version.LaunchTemplateId)),
	}
	s.use(by, data.ImageId)
	for _, mapping := range data.BlockDeviceMappings {
		if mapping.Ebs != nil {
			s.useSnapshot(by, mapping.Ebs.SnapshotId)
		}
	}
}
