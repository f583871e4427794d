package usage

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/semaphore"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const templatesSource = "launch-templates"

// templatePage is the longest page of the listing of launch templates (EC2 API Reference, DescribeLaunchTemplates).
const templatePage = 200

// A version of a launch template may carry 16 KB of user data (EC2 User Guide, "Run commands when you launch an EC2
// instance"), and as much again of tags and network interfaces, written by whoever may create versions; there may be 10,000 of
// them. So pages are a quarter as long as they may be, no more than two such pages are on their way at a time, and of each version
// only what counts is kept.
const (
	versionPage    = 50
	versionsAtOnce = 2 * versionPage
)

// Room is how many versions of launch templates may be on their way at a time, over all lookups that share it.
type Room struct{ versions *semaphore.Weighted }

// NewRoom returns room for as many versions as a function of 256 MB has memory for, beside all else.
func NewRoom() *Room { return &Room{semaphore.NewWeighted(versionsAtOnce)} }

// roomyPages are pages of versions that are asked for when there is room for one. Whoever has read a page gives it back.
type roomyPages struct {
	*ec2.DescribeLaunchTemplateVersionsPaginator
	room *Room
	size int64 // How many versions a page has at most.
}

func (p roomyPages) NextPage(ctx context.Context, options ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	if err := p.room.versions.Acquire(ctx, p.size); err != nil {
		return nil, err
	}
	page, err := p.DescribeLaunchTemplateVersionsPaginator.NextPage(ctx, options...)
	if err != nil {
		p.giveBack()
	}
	return page, err
}

func (p roomyPages) giveBack() { p.room.versions.Release(p.size) }

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
	versionsOf := func(ctx context.Context, id string) ([]version, error) { return s.versionsOf(ctx, templates[id]) }
	each(ctx, inFlight, slices.Values(ids), versionsOf, func(id string, versions []version, err error) {
		s.useByVersions(versions, templates[id], pins)
		if err != nil {
			errs[id] = err
		}
	})
	var unread []string
	for _, id := range ids {
		switch err := errs[id]; {
		case err != nil && wire.Explain(err) == wire.TimeRanOut:
			return err
		case err != nil:
			unread = append(unread, "launch template "+named(id, templates[id].name)+": "+wire.ExplainLookup(err))
		}
	}
	return firstOf(unread, "%d more launch templates could not be read")
}

// named names a launch template by its id, and its name if that is known.
func named(id, name string) string {
	if name == "" {
		return id
	}
	return id + " (" + name + ")"
}

// template is a launch template, as far as it is known.
type template struct {
	id, name         string
	latest, standard int64          // The numbers of the latest and of the default version; 0 if not known.
	searched         map[int64]bool // The numbers of the versions whose images are found.
}

// templates are launch templates by their ids.
type templates map[string]*template

func (t templates) get(id, name string) *template {
	if t[id] == nil {
		t[id] = &template{id: id, name: name, searched: map[int64]bool{}}
	}
	return t[id]
}

// version is what counts of a version of a launch template.
type version struct {
	id, name  string // Of the template.
	number    int64
	isDefault bool
	image     string   // The id of an image, or what names one; empty if the version has none.
	isEmpty   bool     // It was listed without what it launches.
	snapshots []string // That its block device mappings name.
}

func newVersion(listed *types.LaunchTemplateVersion) version {
	v := version{
		id: aws.ToString(listed.LaunchTemplateId), name: aws.ToString(listed.LaunchTemplateName),
		number: aws.ToInt64(listed.VersionNumber), isDefault: aws.ToBool(listed.DefaultVersion),
		isEmpty: listed.LaunchTemplateData == nil,
	}
	if data := listed.LaunchTemplateData; data != nil {
		v.image = aws.ToString(data.ImageId)
		for _, mapping := range data.BlockDeviceMappings {
			if mapping.Ebs != nil && mapping.Ebs.SnapshotId != nil {
				v.snapshots = append(v.snapshots, *mapping.Ebs.SnapshotId)
			}
		}
	}
	return v
}

func (s *search) listTemplates(ctx context.Context) (templates, error) {
	found := templates{}
	pages := ec2.NewDescribeLaunchTemplatesPaginator(s.EC2, &ec2.DescribeLaunchTemplatesInput{
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(templatePage),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeLaunchTemplatesOutput) *string {
		for _, listed := range page.LaunchTemplates {
			t := found.get(aws.ToString(listed.LaunchTemplateId), aws.ToString(listed.LaunchTemplateName))
			t.latest, t.standard = aws.ToInt64(listed.LatestVersionNumber), aws.ToInt64(listed.DefaultVersionNumber)
		}
		return page.NextToken
	})
	return found, err
}

// latestVersions searches the latest and the default version of every template, page by page.
func (s *search) latestVersions(ctx context.Context, templates templates) error {
	input := ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}}
	return s.eachVersion(ctx, input, versionPage, func(version version) {
		t := templates.get(version.id, version.name)
		t.latest = max(t.latest, version.number)
		if version.isDefault {
			t.standard = version.number
		}
		t.searched[version.number] = true
		s.useByVersion(version)
	})
}

// isSearched reports whether the images of all versions that count are found. If there is a gap in the numbers of the
// newest ones, because versions were deleted, then older ones count in their place. Of a template whose numbers nobody knows nothing is sure.
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
	return t.latest > 0 && t.searched[t.standard] && !slices.ContainsFunc(pins.of(t), isUnsearched)
}

var errNoVersions = errors.New("has no versions")

// versionsOf lists the versions of one template. One that is gone by now is an error like any other: the next run sees what
// has become of it. After an error it returns those that had come until then.
func (s *search) versionsOf(ctx context.Context, t *template) (versions []version, err error) {
	size := int64(versionPage)
	if t.latest > 0 {
		size = min(size, t.latest) // Numbers are not used again, so there are no more versions.
	}
	err = s.eachVersion(ctx, ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &t.id}, size, func(version version) {
		versions = append(versions, version)
	})
	if err == nil && len(versions) == 0 {
		err = errNoVersions
	}
	return versions, err
}

// useByVersions records what those of a template's versions name that count.
func (s *search) useByVersions(versions []version, t *template, pins pins) {
	slices.SortFunc(versions, func(a, b version) int { return cmp.Compare(b.number, a.number) })
	versions = slices.CompactFunc(versions, func(a, b version) bool { return a.number == b.number && a.number > 0 })
	pinned := append(pins.of(t), t.standard)
	for i, version := range versions {
		isNew := s.TemplateVersions == 0 || i < s.TemplateVersions || version.number == 0
		if isNew || version.isDefault || slices.Contains(pinned, version.number) {
			s.useByVersion(version)
		}
	}
}

// eachVersion lists versions of launch templates, so many a page at most, and hands on what counts of each. After an error it
// has handed on those that had come until then.
func (s *search) eachVersion(ctx context.Context, input ec2.DescribeLaunchTemplateVersionsInput, size int64, take func(version)) error {
	input.IncludeManagedResources, input.MaxResults = aws.Bool(true), aws.Int32(versionPage)
	input.ResolveAlias = aws.Bool(false) // A parameter is resolved here, where it is seen if that fails.
	pages := roomyPages{ec2.NewDescribeLaunchTemplateVersionsPaginator(s.EC2, &input), s.Room, size}
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeLaunchTemplateVersionsOutput) *string {
		defer pages.giveBack()
		for i := range page.LaunchTemplateVersions {
			take(newVersion(&page.LaunchTemplateVersions[i]))
		}
		return page.NextToken
	})
}

func (s *search) useByVersion(version version) {
	by := ami.Reference{Source: templatesSource, Type: "ec2:LaunchTemplate", ARN: s.arn("ec2", "launch-template/"+version.id)}
	held := mention{by, named(version.id, version.name), version.number}
	if version.isEmpty {
		s.unresolved[""] = append(s.unresolved[""], held)
	}
	s.mention(held, version.image)
	for _, snapshot := range version.snapshots {
		s.useSnapshot(by, &snapshot)
	}
}
