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

	Names []string // The enabled sources.
	// How many of the newest versions of a launch template count; 0 is all.
	TemplateVersions int
	Reports          bool // Whether the janitor's image usage reports are read.

	// Room is shared by concurrent lookups; a lookup without one gets room of its own.
	Room *Room

	// Texts is shared by concurrent lookups. Without it, objects of S3 are not looked at.
	Texts *Texts
}

// Collect asks the enabled sources about the images, and asks EC2 who may launch the candidates,
// all concurrently. An image is Unused if there was a source to ask, if every source answered, and
// if none names the image. step is called after each candidate's launch permissions were read, or
// could not be, with the number of finished candidates and the total.
//
// The evidence has an entry for every image and snapshot of the lookup, for any other image that a
// listing names, and for any other snapshot of these images that something names. A lookup without
// images asks the listings, too: a text may name an image of another region.
func Collect(ctx context.Context, clients Clients, lookup Lookup, step func(done, total int)) ami.Evidence {
	s := newSearch(ctx, clients, lookup)
	s.late = ami.NotReached
	ofCandidates, ofOriginals := 0, 0
	var lookups sync.WaitGroup
	answers := s.askListings(ctx, &lookups)
	references := s.part()
	if s.isOn(referencesSource) {
		lookups.Go(func() { references.lookUpReferences(ctx) })
		ofCandidates++
	}
	s.lookUpPermissions(ctx, step)
	lookups.Wait()
	s.add(references)
	for _, answer := range answers {
		s.add(answer.found)
		if answer.err != nil {
			gap := ami.Gap{Source: answer.Name, Err: s.explain(answer.err)}
			s.gapOfAll(gap)
			s.gaps = append(s.gaps, gap)
		}
		ofCandidates++
		if answer.ofOriginal {
			ofOriginals++
		}
	}
	s.resolveParameters(ctx)
	if s.Reports {
		s.readReports(ctx)
	}
	return s.conclude(ofCandidates, ofOriginals)
}

// Asked says which sources were asked about the images of a lookup, and which of these did not
// answer completely or in time, each in the order of the lookup's names. Without images, no source
// was asked.
func (l Lookup) Asked(found ami.Evidence) (asked, incomplete []string) {
	if len(l.Images)+len(l.Originals)+len(l.Snapshots) == 0 {
		return nil, nil
	}
	for _, name := range l.Names {
		var answers [][]ami.Gap
		for _, image := range l.Images {
			answers = append(answers, found.Images[image.ID].Gaps)
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
		s.lookUpReferences(ctx)
	} else if err := instancesOfCandidates(ctx, s); err != nil {
		s.gap("instances", err, s.allIDs...)
	}
	s.resolveParameters(ctx)
	return s.conclude(1, 0)
}

func (s *search) isOn(source string) bool {
	return slices.Contains(s.Names, source) && (source != S3TextSource || s.Texts != nil)
}
