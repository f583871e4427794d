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

// templatePage is the longest page of the listing of launch templates (EC2 API Reference,
// DescribeLaunchTemplates).
const templatePage = 200

// A version of a launch template may carry 16 KB of user data (EC2 User Guide, "Run commands when
// you launch an EC2 instance"), and as much again in tags and network interfaces, chosen by anybody
// who may create versions; there may be 10,000 versions. So pages have a quarter of their maximum
// length, at most two such pages are in memory at a time, and of each version only the relevant
// parts are kept.
const (
	versionPage    = 50
	versionsAtOnce = 2 * versionPage
)

// Room limits how many versions of launch templates are in memory at a time, over all lookups that
// share it.
type Room struct{ versions *semaphore.Weighted }

// NewRoom returns room for as many versions as fit into a function of 256 MB, beside everything
// else.
func NewRoom() *Room { return &Room{semaphore.NewWeighted(versionsAtOnce)} }

// roomyPages are pages of versions that are requested when there is room for one. Their reader
// gives it back.
type roomyPages struct {
	*ec2.DescribeLaunchTemplateVersionsPaginator
	room *Room
	size int64 // The longest page, in versions.
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

// launchTemplates searches the versions of the launch templates: all of them, or the newest ones,
// the default one, and those that a group or a fleet is pinned to.
//
// One listing has the latest and the default version of every template; most have no others. Only a
// template with more versions that count needs a listing of its own.
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

// otherVersions searches the versions of those templates that have more relevant versions than were
// listed.
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

// template is a launch template, with the known facts.
type template struct {
	id, name string
	// The numbers of the latest and of the default version; 0 if unknown.
	latest, defaultVersion int64
	searched               map[int64]bool // The numbers of the versions whose images were found.
}

// templates are launch templates by their ids.
type templates map[string]*template

func (t templates) get(id, name string) *template {
	if t[id] == nil {
		t[id] = &template{id: id, name: name, searched: map[int64]bool{}}
	}
	return t[id]
}

// version is the relevant part of a version of a launch template.
type version struct {
	id, name  string // Of the template.
	number    int64
	isDefault bool
	image     string   // The id of an image, or a reference to one; empty if the version has none.
	isEmpty   bool     // It was listed without its launch data.
	snapshots []string // Named in its block device mappings.
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
			t.latest, t.defaultVersion = aws.ToInt64(listed.LatestVersionNumber), aws.ToInt64(listed.DefaultVersionNumber)
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
			t.defaultVersion = version.number
		}
		t.searched[version.number] = true
		s.useByVersion(version)
	})
}

// isSearched reports whether the images of all relevant versions were found. If there is a gap in
// the newest numbers, because versions were deleted, older ones count instead. Without known
// numbers nothing is certain.
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
	return t.latest > 0 && t.searched[t.defaultVersion] && !slices.ContainsFunc(pins.of(t), isUnsearched)
}

var errNoVersions = errors.New("has no versions")

// versionsOf lists the versions of one template. A missing template is an error like any other: the
// next run sees its result. After an error it returns the versions so far.
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

// useByVersions records what the relevant versions of a template name.
func (s *search) useByVersions(versions []version, t *template, pins pins) {
	slices.SortFunc(versions, func(a, b version) int { return cmp.Compare(b.number, a.number) })
	versions = slices.CompactFunc(versions, func(a, b version) bool { return a.number == b.number && a.number > 0 })
	pinned := append(pins.of(t), t.defaultVersion)
	for i, version := range versions {
		isNew := s.TemplateVersions == 0 || i < s.TemplateVersions || version.number == 0
		if isNew || version.isDefault || slices.Contains(pinned, version.number) {
			s.useByVersion(version)
		}
	}
}

// eachVersion lists versions of launch templates, with pages of at most size, and passes on the
// relevant part of each. After an error it has passed on the versions so far.
func (s *search) eachVersion(ctx context.Context, input ec2.DescribeLaunchTemplateVersionsInput, size int64, take func(version)) error {
	input.IncludeManagedResources, input.MaxResults = aws.Bool(true), aws.Int32(versionPage)
	// A parameter is resolved here, so that failures are visible.
	input.ResolveAlias = aws.Bool(false)
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
