package usage

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// search is a lookup in progress: its request, and its findings so far. Concurrent sources have a
// search each.
type search struct {
	Clients
	Lookup

	allIDs []string                // The ids of all images of the lookup.
	found  map[string]*ami.Finding // The findings about these images and others, by image id.
	// The images of the lookup that hold a snapshot, by the snapshot's id; empty if no image does.
	imagesBySnapshot map[string][]string

	snapshots map[string]*ami.SnapshotFinding // The findings about these snapshots, by id.
	gaps      []ami.Gap                       // The listings that could not be completed.
	ofAll     []ami.Gap                       // What leaves open which images are named.

	// unresolved holds places that give their image by an SSM parameter, or by something that is no
	// id, by that text. The places that should give an image but do not are under the empty text.
	unresolved map[string][]mention

	late string // The gap of a lookup that had no time; empty if that is an ordinary error.

	// Two listings that several sources need are made once, at the first use.
	groups           func() ([]autoscaling.AutoScalingGroup, error)
	spotFleetConfigs func() ([]types.SpotFleetRequestConfig, error)
}

func newSearch(ctx context.Context, clients Clients, lookup Lookup) *search {
	s := &search{
		Clients: clients, Lookup: lookup,
		found: map[string]*ami.Finding{}, snapshots: map[string]*ami.SnapshotFinding{},
		imagesBySnapshot: map[string][]string{}, unresolved: map[string][]mention{},
	}
	if s.Room == nil {
		s.Room = NewRoom()
	}
	s.groups = once(func() ([]autoscaling.AutoScalingGroup, error) { return listGroups(ctx, clients.AutoScaling) })
	s.spotFleetConfigs = once(func() ([]types.SpotFleetRequestConfig, error) { return listSpotFleets(ctx, clients.EC2) })
	for _, image := range slices.Concat(lookup.Images, lookup.Originals) {
		if s.found[image.ID] == nil { // An original may be a candidate itself.
			s.allIDs = append(s.allIDs, image.ID)
			s.finding(image.ID)
		}
		for _, snapshot := range image.SnapshotIDs {
			s.imagesBySnapshot[snapshot] = append(s.imagesBySnapshot[snapshot], image.ID)
		}
	}
	for _, id := range lookup.Snapshots {
		if s.imagesBySnapshot[id] == nil {
			s.imagesBySnapshot[id] = []string{}
		}
	}
	return s
}

// once returns a function that makes a listing at its first call. Concurrent callers wait at a
// channel, and not, as with sync.OnceValues, at a mutex: in the time of testing/synctest that would
// be forever.
func once[T any](list func() ([]T, error)) func() ([]T, error) {
	var listed []T
	var err error
	isFirst := make(chan bool, 1)
	isFirst <- true
	return func() ([]T, error) {
		if <-isFirst {
			listed, err = list()
		}
		isFirst <- false
		return listed, err
	}
}

// part is a search for the same lookup without findings.
func (s *search) part() *search {
	part := *s
	part.found, part.snapshots, part.unresolved = map[string]*ami.Finding{}, map[string]*ami.SnapshotFinding{}, map[string][]mention{}
	return &part
}

// add adds the findings of a part.
func (s *search) add(part *search) {
	for id, found := range part.found {
		finding := s.finding(id)
		finding.References = append(finding.References, found.References...)
		finding.Gaps = append(finding.Gaps, found.Gaps...)
		launched(finding, found.LaunchedAt)
	}
	for id, found := range part.snapshots {
		finding := s.snapshot(id)
		finding.References = append(finding.References, found.References...)
	}
	for given, users := range part.unresolved {
		s.unresolved[given] = append(s.unresolved[given], users...)
	}
}

// finding is the finding about an image.
func (s *search) finding(imageID string) *ami.Finding {
	if s.found[imageID] == nil {
		s.found[imageID] = &ami.Finding{}
	}
	return s.found[imageID]
}

// snapshot is the finding about a snapshot.
func (s *search) snapshot(id string) *ami.SnapshotFinding {
	if s.snapshots[id] == nil {
		s.snapshots[id] = &ami.SnapshotFinding{}
	}
	return s.snapshots[id]
}

// gap records that a lookup of images could not be completed.
func (s *search) gap(source string, err error, imageIDs ...string) {
	s.addGap(ami.Gap{Source: source, Err: s.explain(err)}, imageIDs)
}

// gapOfAll records that a lookup of everything could not be completed.
func (s *search) gapOfAll(gap ami.Gap) {
	s.ofAll = append(s.ofAll, gap)
	s.addGap(gap, s.allIDs)
	for _, id := range s.Snapshots {
		finding := s.snapshot(id)
		finding.Gaps = append(finding.Gaps, gap)
	}
}

func (s *search) addGap(gap ami.Gap, imageIDs []string) {
	for _, id := range imageIDs {
		finding := s.finding(id)
		finding.Gaps = append(finding.Gaps, gap)
	}
}

// explain words an error.
func (s *search) explain(err error) string { return explain(err, s.late) }

// explain words an error; late is the text for a lookup that had no time.
func explain(err error, late string) string {
	why := wire.ExplainLookup(err)
	if why == wire.TimeRanOut {
		return cmp.Or(late, why)
	}
	return why
}

// launched records when an instance of an image was launched, if that is known.
func launched(finding *ami.Finding, at time.Time) {
	if !at.IsZero() && (finding.LaunchedAt.IsZero() || at.Before(finding.LaunchedAt)) {
		finding.LaunchedAt = at
	}
}

// mention is a place that names an image.
type mention struct {
	by ami.Reference

	// Of the launch template; empty and 0 for other places.
	template string
	version  int64
}

// use records that something names an image, by its id or by an SSM parameter. It may name none.
func (s *search) use(by ami.Reference, imageID *string) {
	if imageID != nil {
		s.mention(mention{by: by}, *imageID)
	}
}

// mustUse is use for a place that always names an image: an answer without an id has lost it, and
// could mean any image.
func (s *search) mustUse(by ami.Reference, imageID *string) {
	if id := aws.ToString(imageID); s.isImage(id) || strings.HasPrefix(id, "resolve:") {
		s.use(by, imageID)
	} else {
		s.unresolved[id] = append(s.unresolved[id], mention{by: by})
	}
}

// isImageID is the form of an image's id: lower case, without surrounding text. AWS's examples have
// other letters than hexadecimal digits.
var isImageID = regexp.MustCompile(`^ami-[0-9a-z]+$`)

// isImage reports whether a text is the id of an image: by its form, or because it is part of the
// lookup.
func (s *search) isImage(text string) bool {
	return isImageID.MatchString(text) || text != "" && slices.Contains(s.allIDs, text)
}

// mention is use for a place that may be one of many. A text that is no id, and contains none,
// names nothing that EC2 could launch.
func (s *search) mention(where mention, image string) {
	switch {
	case s.isImage(image):
		finding := s.finding(image)
		// 10,000 versions may name one image.
		if last := len(finding.References) - 1; last < 0 || finding.References[last] != where.by {
			finding.References = append(finding.References, where.by)
		}
	case strings.HasPrefix(image, "resolve:"), imageIDs.MatchString(image):
		s.unresolved[image] = append(s.unresolved[image], where)
	}
}

// useSnapshot records that something names a snapshot, which may be one of the lookup.
func (s *search) useSnapshot(by ami.Reference, snapshotID *string) {
	if snapshotID == nil {
		return
	}
	if s.imagesBySnapshot[*snapshotID] != nil {
		finding := s.snapshot(*snapshotID)
		finding.References = append(finding.References, by)
	}
}

// useMapped records the snapshots that block device mappings name.
func (s *search) useMapped(by ami.Reference, mappings []types.BlockDeviceMapping) {
	for _, mapping := range mappings {
		if mapping.Ebs != nil {
			s.useSnapshot(by, mapping.Ebs.SnapshotId)
		}
	}
}

// conclude turns the findings into evidence. about concludes what is known of an image, by its id.
func (s *search) conclude(isAsked bool, about func(id string) ami.Finding) ami.Evidence {
	evidence := ami.Evidence{
		Images: make(map[string]ami.Finding, len(s.found)), Snapshots: make(map[string]ami.SnapshotFinding, len(s.snapshots)), Gaps: tidyGaps(s.gaps),
	}
	for id := range s.found {
		evidence.Images[id] = about(id)
	}
	for _, id := range s.Snapshots {
		s.snapshot(id).LookedUp = isAsked
	}
	for id, finding := range s.snapshots {
		finding.References, finding.Gaps = tidyReferences(finding.References), tidyGaps(finding.Gaps)
		evidence.Snapshots[id] = *finding
	}
	return evidence
}

// finished fails closed: what is neither proven used nor proven unused is unknown. Unnamed is the
// use of an image that nothing names, and about which nothing is in doubt.
func finished(finding *ami.Finding, unnamed ami.Use) ami.Finding {
	tidy(finding)
	switch {
	case len(finding.References) > 0:
		finding.Use = ami.Used
	case len(finding.Gaps) > 0:
		finding.Use = ami.Unknown
	default:
		finding.Use = unnamed
	}
	return *finding
}

// tidy sorts a finding and removes duplicates: a launch template may name an image in many of its
// versions.
func tidy(finding *ami.Finding) {
	finding.References, finding.Gaps = tidyReferences(finding.References), tidyGaps(finding.Gaps)
	finding.SharedWith = ami.SortGrantees(finding.SharedWith)
	if finding.Report != nil {
		slices.Sort(finding.Report.Superseded)
	}
}

func tidyReferences(references []ami.Reference) []ami.Reference {
	slices.SortFunc(references, compareReferences)
	return slices.Compact(references)
}

func tidyGaps(gaps []ami.Gap) []ami.Gap {
	slices.SortFunc(gaps, func(a, b ami.Gap) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Err, b.Err)) })
	return slices.Compact(gaps)
}

func compareReferences(a, b ami.Reference) int {
	return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Count, b.Count))
}
