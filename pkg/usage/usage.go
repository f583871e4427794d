// Package usage finds out whether anything still uses an image: proof of use and of non-use, one file for each source
// of evidence. It changes nothing, and it never fails: what could not be found out is a gap in the evidence, and an
// image with a gap is kept.
package usage

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"ami-janitor/pkg/ami"
)

// Clients are the AWS clients of one region.
type Clients struct {
	EC2         *ec2.Client
	AutoScaling *autoscaling.Client
	SSM         *ssm.Client
}

// Lookup says what is to be looked up in one region.
type Lookup struct {
	Account, Region string
	Images          []ami.Image // The candidates.

	// Originals are further images of this region, of which candidates, here or elsewhere, are copies; of one that the
	// account does not have, no more than the id is known. Only
	// the listings are asked about them: no DescribeImageReferences, no launch permissions.
	Originals []ami.Image

	Names            []string // The sources that are switched on.
	TemplateVersions int      // How many of the newest versions of a launch template count; 0 is all.
	Reports          bool     // Whether the janitor's image usage reports are read.
}

// listing is a source that lists the resources of one kind, and not the references to one image.
type listing struct {
	name       string
	ofOriginal bool // It says something of an image of which no more than the id is known.

	// look adds what the resources name to what was found. After an error what had been seen still counts.
	look func(context.Context, *search) error
}

// listings are all sources of evidence of use but DescribeImageReferences, in the order in which they are asked.
var listings = []listing{
	{"instances", true, instances},
	{"launch-templates", true, launchTemplates},
	{"launch-configurations", true, launchConfigurations},
	{"auto-scaling-groups", true, autoScalingGroups},
	{"spot-fleets", true, spotFleets},
	{"spot-requests", true, spotRequests},
	{ami.TextSource, true, parameterTexts},
	{"fast-launch", true, fastLaunch},
	{"fast-snapshot-restore", false, fastSnapshotRestores},
}

// Sources returns the names of all sources of evidence of use.
func Sources() []string {
	names := []string{referencesSource}
	for _, listing := range listings {
		names = append(names, listing.name)
	}
	return names
}

// Look asks the sources that are switched on about the images, and asks EC2 who may launch the candidates. An image is
// Unused if there was a source to ask, if every source has answered, and if none names the image. After each candidate
// step is called with the number of candidates done and to be done.
//
// The evidence has an entry for every candidate and every original, and one for any other image that a listing names. Where
// there are none of the former the listings are asked all the same: a text may name an image of another region.
func Look(ctx context.Context, clients Clients, lookup Lookup, step func(done, total int)) ami.Evidence {
	s := newSearch(ctx, clients, lookup)
	ofCandidates, ofOriginals := 0, 0
	for _, listing := range listings {
		if s.isOn(listing.name) {
			s.ask(ctx, listing, append(s.everybody, ami.EveryOther)...)
			ofCandidates++
		}
		if s.isOn(listing.name) && listing.ofOriginal {
			ofOriginals++
		}
	}
	s.resolveParameters(ctx)
	if s.isOn(referencesSource) {
		s.lookUpReferences(ctx)
		ofCandidates++
	}
	s.lookUpPermissions(ctx, step)
	if s.Reports {
		s.readReports(ctx)
	}
	return s.conclude(ofCandidates, ofOriginals)
}

// Recheck asks again about images that are about to be removed: EC2's own lookup of references if that is switched on,
// else for the instances of just these images. What Look says of gaps goes here too.
func Recheck(ctx context.Context, clients Clients, lookup Lookup) ami.Evidence {
	lookup.Originals = nil
	s := newSearch(ctx, clients, lookup)
	if s.isOn(referencesSource) {
		s.lookUpReferences(ctx)
	} else {
		s.ask(ctx, listing{name: "instances", look: instancesOfCandidates}, s.everybody...)
	}
	return s.conclude(1, 0)
}

func (s *search) isOn(source string) bool {
	return slices.Contains(s.Names, source)
}
