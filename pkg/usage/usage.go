// Package usage finds out whether anything still uses an image: proof of use and of non-use, one
// file for each source of evidence. It changes nothing, and it never fails: a failed lookup is a
// gap in the evidence, and an image with a gap is kept.
package usage

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
)

// Clients are the AWS clients of one region.
type Clients struct {
	AWS         aws.Config // For the sources that make a client of their own.
	EC2         *ec2.Client
	AutoScaling *autoscaling.Client
	SSM         *ssm.Client
}

// Lookup says what to look up in one region.
type Lookup struct {
	Account, Region string
	Images          []ami.Image // The candidates.

	// Originals are further images of this region that have copies among the candidates, here or
	// elsewhere; if the account does not have an original, only its id is known. Only the listings
	// are asked about originals: no DescribeImageReferences, no launch permissions.
	Originals []ami.Image

	Snapshots []string // The ids of snapshots without an image. The listings say what names them.

	// SnapshotsInText says that text is searched for the ids of snapshots, too.
	SnapshotsInText bool

	Names []string // The enabled sources.
	// How many of the newest versions of a launch template count; 0 is all.
	TemplateVersions int
	Reports          bool // Whether the janitor's image usage reports are read.
	StackTemplates   bool // Whether the templates of CloudFormation's stacks are searched.

	// Room is shared by concurrent lookups; a lookup without one gets room of its own.
	Room *Room

	// Texts is shared by concurrent lookups. Without it, objects of S3 are not looked at.
	Texts *Texts

	// Abroad is what the other accounts of the organization use; nil outside of an organization's
	// run.
	Abroad *census.View

	counts bool // There are no images to look for: whatever is named counts.
}

// Collection is the evidence of one region as it is collected: first what the listings say of all
// images, then what EC2 says of single ones.
type Collection struct {
	*search
	listings, ofOriginals int // All that were made, and those that see originals.

	candidates []string        // Their ids, in the order of the lookup.
	public     map[string]bool // Those that everybody may launch, by id.
	images     map[string]bool // By id: true for candidates, false for originals alone.
	asked      map[string]bool // The images that EC2 was asked about, by id.
	reports    error           // Why there are not all usage reports.

	references, sharing circuitBreaker
}

// List makes the listings of the enabled sources, all concurrently, and reads the usage reports. A
// lookup without images makes the listings, too: a text may name an image of another region.
func List(ctx context.Context, clients Clients, lookup Lookup) *Collection {
	c := &Collection{search: newSearch(ctx, clients, lookup), public: map[string]bool{}, images: map[string]bool{}, asked: map[string]bool{}}
	for _, image := range lookup.Originals {
		c.images[image.ID] = false
	}
	for _, image := range lookup.Images {
		c.candidates, c.images[image.ID] = append(c.candidates, image.ID), true
		if image.Public {
			c.public[image.ID] = true
		}
	}
	c.late = ami.NotReached
	var lookups sync.WaitGroup
	answers := c.askListings(ctx, &lookups)
	lookups.Wait()
	for _, answer := range answers {
		c.add(answer.found)
		if answer.err != nil {
			gap := ami.Gap{Source: answer.Name, Err: c.explain(answer.err)}
			c.gapOfAll(gap)
			c.gaps = append(c.gaps, gap)
		}
		c.listings++
		if answer.ofOriginal {
			c.ofOriginals++
		}
	}
	c.resolveParameters(ctx)
	if c.Reports {
		c.reports = c.readReports(ctx)
	}
	c.Images, c.Originals, c.imagesBySnapshot = nil, nil, nil // Of 50,000 images they are large.
	return c
}

// LookUp asks EC2 about some candidates, by their ids: what refers to each, who may launch it, and
// who does according to a usage report. It asks about an image once; its findings are part of the
// evidence from then on. step is called after the launch permissions of an image were read, or
// could not be, with the number of finished images and of those that LookUp was called for so far.
func (c *Collection) LookUp(ctx context.Context, ids []string, step func(done, total int)) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = !c.asked[id]
	}
	references, done := c.part(), len(c.asked)
	ids = nil // In the order of the candidates, each once.
	for _, id := range c.candidates {
		if wanted[id] {
			ids = append(ids, id)
			c.asked[id] = true
		}
	}
	var asking sync.WaitGroup
	if c.isOn(referencesSource) {
		asking.Go(func() { references.lookUpReferences(ctx, &c.references, ids) })
	}
	c.lookUpPermissions(ctx, &c.sharing, ids, func() { done++; step(done, len(c.asked)) })
	asking.Wait()
	c.add(references)
	if c.Reports {
		c.readEntriesOf(ctx, ids)
	}
}

// Evidence returns what is known so far. It has an entry for every image and snapshot of the
// lookup, for any other image that a listing names, and for any other snapshot of these images that
// something names.
func (c *Collection) Evidence() ami.Evidence {
	return c.conclude(c.sources() > 0, c.Finding)
}

// Finding is what the evidence says of an image.
func (c *Collection) Finding(id string) ami.Finding {
	found := c.finding(id)
	switch isCandidate, isLookedAt := c.images[id]; {
	case c.Abroad == nil:
	case isLookedAt && !isCandidate:
		c.Abroad.CompleteOriginal(c.Region, id, found)
	default:
		c.Abroad.Complete(c.Region, id, c.public[id], c.asked[id], found)
	}
	finding := finished(found, c.unnamed(id))
	finding.Asked, finding.MayAsk = c.asked[id], c.images[id] && !c.asked[id]
	return finding
}

// sources is how many sources are asked about candidates.
func (c *Collection) sources() int {
	if c.isOn(referencesSource) {
		return c.listings + 1
	}
	return c.listings
}

// unnamed is the use of an image that nothing names. It is only unused if at least one source was
// asked about it, and a candidate only if EC2 was asked about it, too.
func (c *Collection) unnamed(id string) ami.Use {
	isCandidate, isLookedAt := c.images[id]
	switch {
	case isCandidate && c.asked[id] && c.sources() > 0, isLookedAt && !isCandidate && c.ofOriginals > 0:
		return ami.Unused
	case isCandidate && c.sources() > 0:
		return ami.Unasked
	default:
		return ami.Unknown
	}
}

// Asked says which sources were asked about the images of the lookup, and which of these did not
// answer completely or in time, each in the order of the lookup's names. Without images, no source
// was asked.
func (c *Collection) Asked(found ami.Evidence) (asked, incomplete []string) {
	if len(c.images)+len(c.Snapshots) == 0 {
		return nil, nil
	}
	for _, name := range c.Names {
		var answers [][]ami.Gap
		for _, id := range c.candidates {
			if name != referencesSource || c.asked[id] {
				answers = append(answers, found.Images[id].Gaps)
			}
		}
		if name != referencesSource { // A listing is made once for all images and snapshots.
			answers = append(answers, found.Gaps)
		}
		gaps, late := 0, 0
		for _, missing := range answers {
			if i := slices.IndexFunc(missing, func(gap ami.Gap) bool { return gap.Source == name }); i >= 0 {
				gaps++
				if missing[i].Err == ami.NotReached {
					late++
				}
			}
		}
		if late < len(answers) {
			asked = append(asked, name)
		}
		if gaps > 0 {
			incomplete = append(incomplete, name)
		}
	}
	return asked, incomplete
}

// answer is the result of a listing.
type answer struct {
	Source
	found *search
	err   error
}

// askListings starts the enabled listings. The answers are complete once all lookups are done.
func (s *search) askListings(ctx context.Context, lookups *sync.WaitGroup) []*answer {
	var answers []*answer
	for _, source := range sources {
		if source.list != nil && s.isOn(source.Name) {
			answer := &answer{Source: source, found: s.part()}
			answers = append(answers, answer)
			lookups.Go(func() { answer.err = source.ask(ctx, answer.found) })
		}
	}
	return answers
}

// Recheck asks again about images just before their removal: EC2's own lookup of references if that
// is enabled, else the instances of only these images. Gaps are recorded as in Collect.
func Recheck(ctx context.Context, clients Clients, lookup Lookup) ami.Evidence {
	lookup.Originals, lookup.Snapshots = nil, nil
	s := newSearch(ctx, clients, lookup)
	if s.isOn(referencesSource) {
		s.lookUpReferences(ctx, &circuitBreaker{}, s.allIDs)
	} else if err := instancesOfCandidates(ctx, s); err != nil {
		s.gap("instances", err, s.allIDs...)
	}
	s.resolveParameters(ctx)
	return s.conclude(true, func(id string) ami.Finding {
		if slices.Contains(s.allIDs, id) {
			return finished(s.finding(id), ami.Unused)
		}
		return finished(s.finding(id), ami.Unknown)
	})
}

func (s *search) isOn(source string) bool {
	return slices.Contains(s.Names, source) && (source != S3TextSource || s.Texts != nil)
}
