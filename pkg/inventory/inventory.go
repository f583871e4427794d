// Package inventory reads what a region of the account holds: all of it, or an error. It changes nothing.
package inventory

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

// pageSize is what every listing asks for. EC2 documents no bound for DescribeImages; its own samples use 1,000, and
// the other listings allow no more.
const pageSize = 1000

// API is what the inventory needs of EC2.
type API interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	DescribeLockedSnapshots(context.Context, *ec2.DescribeLockedSnapshotsInput, ...func(*ec2.Options)) (
		*ec2.DescribeLockedSnapshotsOutput, error)
}

// Read lists the images and snapshots that an account owns in a region. A page that fails fails the whole inventory: an
// image that is missing from it could be the copy, or the other user of a snapshot, for whose sake something is kept.
//
// Snapshots and locks are listed side by side, and the images last: whatever happened while the rest was being read, their
// facts are the freshest. A listing that shows none of them, while there are snapshots that say they were made for some, is
// believed if EC2 says of each of these that it is gone.
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
		return ami.Inventory{}, fmt.Errorf("listing snapshots: %s", wire.Explain(err))
	}
	if locksErr != nil {
		return ami.Inventory{}, fmt.Errorf("listing locked snapshots: %s", wire.Explain(locksErr))
	}
	images, err := reader.listImages(ctx, api)
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing images: %s", wire.Explain(err))
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

// isDeregistered reports whether an image is gone, and only still listed: for a short while (EC2 API Reference, DescribeImages).
func isDeregistered(image ami.Image) bool { return image.State == string(types.ImageStateDeregistered) }

// madeForImage is what EC2 writes into the description of a snapshot that it makes for an image: when it creates the image
// from an instance (EBS User Guide, "Create an Amazon EBS snapshot"), and when it copies one. The image is the one that the
// snapshot belongs to, not the source of a copy.
var madeForImage = regexp.MustCompile(`^(?:Created by CreateImage\(i-[0-9a-f]+\) for|Copied for DestinationAmi) (ami-[0-9a-f]+)\b`)

// madeByImport is what VM Import writes into the description of a snapshot that it makes for an image: the id of the task that imports
// the image (VM Import/Export User Guide, "Import a VM as an image"; seen in public accounts). What import-snapshot makes says
// import-snap, and is no image's.
const madeByImport = "Created by AWS-VMImport service for import-ami-"

// madeFor returns the image that a snapshot was made for, by its description.
func madeFor(snapshot *types.Snapshot) string {
	if match := madeForImage.FindStringSubmatch(aws.ToString(snapshot.Description)); match != nil {
		return strings.Clone(match[1]) // A part of the description would keep all of it in memory.
	}
	return ""
}

// lookupsAtOnce is how many images are looked up by their ids side by side.
const lookupsAtOnce = 16

// confirmGone asks for the images that snapshots were made for, each by its id, and returns an error unless EC2 says of every
// one that it is not there.
func confirmGone(ctx context.Context, api ec2.DescribeImagesAPIClient, snapshots []ami.Snapshot) error {
	madeFor := map[string]string{} // One of its snapshots, by the id of the image.
	for _, snapshot := range snapshots {
		if known, ok := madeFor[snapshot.ImageID]; snapshot.ImageID != "" && (!ok || snapshot.ID < known) {
			madeFor[snapshot.ImageID] = snapshot.ID
		}
	}
	lookups, ctx := errgroup.WithContext(ctx)
	lookups.SetLimit(lookupsAtOnce)
	for imageID, snapshotID := range madeFor {
		lookups.Go(func() error {
			out, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{imageID}, IncludeDisabled: aws.Bool(true)})
			isLeft := func(image types.Image) bool { return image.State != types.ImageStateDeregistered }
			if wire.IsNoImage(err) || err == nil && len(out.Images) > 0 && !slices.ContainsFunc(out.Images, isLeft) {
				return nil
			}
			why := "EC2 does not say that it is gone"
			if err != nil {
				why = wire.Explain(err)
			}
			return fmt.Errorf("none is listed, but by its description %s is a snapshot of %s: %s; if the images of this region are gone "+
				"for good, delete their snapshots, or name the region in EXCEPT_REGIONS", snapshotID, imageID, why)
		})
	}
	return lookups.Wait()
}

// listImages includes the disabled images: they hold on to their snapshots like any other (EC2 User Guide, "Disable an
// AMI"). Deprecated images of one's own are always listed. Filters may narrow the listing. One that repeats an image does so
// in the result.
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

// listSnapshots lists by owner and never by id: one id that does not exist would fail the call. Filters may narrow the listing.
// One that repeats a snapshot does so in the result.
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
