// Package inventory reads what a region of the account holds: all of it, or an error. It changes
// nothing.
package inventory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// pageSize is the page size of every listing. EC2 documents no limit for DescribeImages; its own
// samples use 1,000, and the other listings allow no more.
const pageSize = 1000

// API is what the inventory needs of EC2.
type API interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DescribeLockedSnapshots(context.Context, *ec2.DescribeLockedSnapshotsInput, ...func(*ec2.Options)) (
		*ec2.DescribeLockedSnapshotsOutput, error)
}

// Read lists the account's images and snapshots in a region. A failed page fails the whole
// inventory: a missing image could be the copy, or the other user of a snapshot, that keeps
// something else.
//
// Snapshots and locks are listed concurrently, and images last, so that the facts of images are the
// newest. If the listing shows no images, but snapshots say that they were made for some, it is
// believed only if EC2 confirms, one by one, that these are gone: all of them, or as many as there
// is a reasonable time for.
func Read(ctx context.Context, api API, account, region string) (ami.Inventory, error) {
	reader := newReader()
	var (
		locks    map[string]string
		locksErr error
		listing  sync.WaitGroup
	)
	listing.Go(func() { locks, locksErr = listLocks(ctx, api) })
	snapshots, err := reader.listSnapshots(ctx, api)
	listing.Wait()
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing snapshots: %s", wire.ExplainLookup(err))
	}
	if locksErr != nil {
		return ami.Inventory{}, fmt.Errorf("listing locked snapshots: %s", wire.ExplainLookup(locksErr))
	}
	images, err := reader.listImages(ctx, api)
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing images: %s", wire.ExplainLookup(err))
	}
	images = slices.DeleteFunc(mergeImages(images), isDeregistered)
	if len(images) == 0 {
		if err := confirmGone(ctx, api, snapshots); err != nil {
			return ami.Inventory{}, fmt.Errorf("listing images: %w", err)
		}
	}
	for i := range snapshots {
		snapshots[i].Lock = locks[snapshots[i].ID]
	}
	return ami.Inventory{Account: account, Region: region, Images: images, Snapshots: mergeSnapshots(snapshots)}, nil
}

// Images lists the account's images in a region.
func Images(ctx context.Context, api ec2.DescribeImagesAPIClient) ([]ami.Image, error) {
	images, err := newReader().listImages(ctx, api)
	if err != nil {
		return nil, fmt.Errorf("listing images: %s", wire.ExplainLookup(err))
	}
	return slices.DeleteFunc(mergeImages(images), isDeregistered), nil
}

// isDeregistered reports whether an image is gone although it is still listed, as it is for a short
// while (EC2 API Reference, DescribeImages).
func isDeregistered(image ami.Image) bool { return image.State == string(types.ImageStateDeregistered) }

// madeForImage is EC2's description of a snapshot that it makes for an image: when it creates the
// image from an instance (EBS User Guide, "Create an Amazon EBS snapshot"), and when it copies one.
// It names the image that the snapshot belongs to, not the source of a copy. Anybody may write one,
// so the id has to have 8 or 17 digits, as EC2's have (EC2 User Guide, "Resource IDs").
var madeForImage = regexp.MustCompile(`^(?:Created by CreateImage\(i-[0-9a-f]+\) for|Copied for DestinationAmi) (ami-(?:[0-9a-f]{17}|[0-9a-f]{8}))\b`)

// madeFromVolume is the whole description of a snapshot that EC2 makes with an image, in the form
// that also names the volume (seen in public accounts).
var madeFromVolume = regexp.MustCompile(`^Created by CreateImage\(i-[0-9a-f]+\) for ami-[0-9a-f]+ from (vol-(?:[0-9a-f]{17}|[0-9a-f]{8}))$`)

// namesVolume reports whether a description of that form names the volume of the snapshot itself.
// The volume is no text that somebody gives: a copy has another one, mostly vol-ffffffff (EC2 API
// Reference, Snapshot: VolumeId).
func namesVolume(snapshot *types.Snapshot) bool {
	match := madeFromVolume.FindStringSubmatch(aws.ToString(snapshot.Description))
	return match != nil && match[1] == aws.ToString(snapshot.VolumeId) && strings.Trim(match[1], "vol-f") != ""
}

// madeByImport is the start of VM Import's description of a snapshot that it makes for an image,
// before the id of the import task (VM Import/Export User Guide, "Import a VM as an image"; seen in
// public accounts). The snapshots of import-snapshot belong to no image: their task ids start with
// import-snap.
const madeByImport = "Created by AWS-VMImport service for import-ami-"

// madeFor returns the image for which a snapshot was made, according to its description.
func madeFor(snapshot *types.Snapshot) string {
	if match := madeForImage.FindStringSubmatch(aws.ToString(snapshot.Description)); match != nil {
		return strings.Clone(match[1]) // A substring would keep the entire description in memory.
	}
	return ""
}

// lookupsAtOnce is how many images are looked up by id at the same time, and mostLookups how many
// at most: ten seconds at half of EC2's rate.
const (
	lookupsAtOnce = 16
	mostLookups   = 100
)

// confirmGone asks for the images for which snapshots were made, each by its id, and returns an
// error unless EC2 says that every one is gone. EC2 accepts many ids in a call, but does not
// document that its error names all missing ones.
//
// If there are too many, it asks for some, and marks the snapshots of the others. In a region
// without images nothing but snapshots can be removed, so that only these depend on it: a marked
// leftover of an earlier run is kept, and a marked snapshot is no proven orphan.
func confirmGone(ctx context.Context, api ec2.DescribeImagesAPIClient, snapshots []ami.Snapshot) error {
	asked, doubtful := toConfirm(snapshots)
	for i := range snapshots {
		if doubtful[snapshots[i].ImageID] && snapshots[i].Unreadable == "" {
			snapshots[i].Unreadable = ami.ImageNotAsked
		}
	}
	lookups, ctx := errgroup.WithContext(ctx)
	lookups.SetLimit(lookupsAtOnce)
	for _, snapshot := range asked {
		lookups.Go(func() error {
			seen, _, err := wire.FindImage(ctx, api, snapshot.ImageID)
			if seen == wire.Gone {
				return nil
			}
			why := "EC2 does not say that it is gone"
			if err != nil {
				why = wire.ExplainLookup(err)
			}
			return fmt.Errorf("none is listed, but by its description %s is a snapshot of %s: %s", snapshot.ID, snapshot.ImageID, why)
		})
	}
	return lookups.Wait()
}

// toConfirm returns one snapshot of each image to ask for, and the ids of images that are not asked
// for. Declared leftovers come first, then the largest, which a digest shows, and in the second
// half the newest, whose images are the most likely to exist.
func toConfirm(snapshots []ami.Snapshot) (asked []ami.Snapshot, doubtful map[string]bool) {
	byImage := map[string]ami.Snapshot{}
	for _, snapshot := range snapshots {
		if known, ok := byImage[snapshot.ImageID]; snapshot.ImageID != "" && (!ok || byRank(snapshot, known) < 0) {
			byImage[snapshot.ImageID] = snapshot
		}
	}
	rest := slices.SortedFunc(maps.Values(byImage), byRank)
	if half := mostLookups / 2; len(rest) > mostLookups {
		asked, rest = rest[:half:half], rest[half:]
		slices.SortStableFunc(rest, func(a, b ami.Snapshot) int { return cmp.Or(byIntent(a, b), b.StartedAt.Compare(a.StartedAt)) })
	}
	more := min(mostLookups-len(asked), len(rest))
	asked, doubtful = append(asked, rest[:more]...), map[string]bool{}
	for _, snapshot := range rest[more:] {
		doubtful[snapshot.ImageID] = true
	}
	return asked, doubtful
}

func byRank(a, b ami.Snapshot) int {
	return cmp.Or(byIntent(a, b), cmp.Compare(b.SizeGiB, a.SizeGiB), strings.Compare(a.ID, b.ID))
}

// byIntent sorts snapshots with a removal declaration first.
func byIntent(a, b ami.Snapshot) int {
	switch {
	case a.Tags[ami.IntentTag] != "" && b.Tags[ami.IntentTag] == "":
		return -1
	case a.Tags[ami.IntentTag] == "" && b.Tags[ami.IntentTag] != "":
		return 1
	default:
		return 0
	}
}

// listImages includes disabled images: they hold their snapshots like any other (EC2 User Guide,
// "Disable an AMI"). Deprecated images of the own account are always listed. Filters may narrow the
// listing. Duplicates in the listing stay in the result.
func (r *reader) listImages(ctx context.Context, api ec2.DescribeImagesAPIClient, filters ...types.Filter) ([]ami.Image, error) {
	var images []ami.Image
	pages := ec2.NewDescribeImagesPaginator(api, &ec2.DescribeImagesInput{
		Filters:         filters,
		Owners:          []string{"self"},
		IncludeDisabled: aws.Bool(true),
		MaxResults:      aws.Int32(pageSize),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeImagesOutput) *string {
		for i := range page.Images {
			images = append(images, r.readImage(&page.Images[i]))
		}
		return page.NextToken
	})
	return images, err
}

// listSnapshots lists by owner and never by id: a single missing id would fail the call. Filters
// may narrow the listing. Duplicates in the listing stay in the result.
func (r *reader) listSnapshots(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, filters ...types.Filter) ([]ami.Snapshot, error) {
	var snapshots []ami.Snapshot
	pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{
		Filters:    filters,
		OwnerIds:   []string{"self"},
		MaxResults: aws.Int32(pageSize),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeSnapshotsOutput) *string {
		for i := range page.Snapshots {
			snapshots = append(snapshots, r.readSnapshot(&page.Snapshots[i]))
		}
		return page.NextToken
	})
	return snapshots, err
}

// listLocks returns the states of the locked snapshots, by their ids.
func listLocks(ctx context.Context, api API) (map[string]string, error) {
	locks := map[string]string{}
	var tokens wire.Tokens
	input := ec2.DescribeLockedSnapshotsInput{MaxResults: aws.Int32(pageSize)}
	for {
		page, err := api.DescribeLockedSnapshots(ctx, &input)
		if err != nil {
			return nil, err
		}
		if err := tokens.See(page.NextToken); err != nil {
			return nil, err
		}
		for _, lock := range page.Snapshots {
			readLock(locks, lock)
		}
		if input.NextToken = page.NextToken; aws.ToString(input.NextToken) == "" {
			return locks, nil
		}
	}
}
