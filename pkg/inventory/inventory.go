// Package inventory reads what a region of the account holds: all of it, or an error. It changes nothing.
package inventory

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

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
// The images are read last: whatever happened while the rest was being read, their facts are the freshest. A listing that
// shows none of them, while there are snapshots that say they were made for one, is not believed.
func Read(ctx context.Context, api API, account, region string) (ami.Inventory, error) {
	inventory := ami.Inventory{Account: account, Region: region}
	snapshots, err := listSnapshots(ctx, api)
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing snapshots: %s", wire.Explain(err))
	}
	locks, err := listLocks(ctx, api)
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing locked snapshots: %s", wire.Explain(err))
	}
	images, err := listImages(ctx, api)
	if err != nil {
		return ami.Inventory{}, fmt.Errorf("listing images: %s", wire.Explain(err))
	}
	if err := doubt(images, snapshots); err != nil {
		return ami.Inventory{}, fmt.Errorf("listing images: %w", err)
	}
	inventory.Images = readImages(images)
	inventory.Snapshots = readSnapshots(snapshots, locks)
	return inventory, nil
}

// madeForImage is what EC2 writes into the description of a snapshot that it makes for an image: when it creates the image
// from an instance (EBS User Guide, "Create an Amazon EBS snapshot"), and when it copies one.
var madeForImage = regexp.MustCompile(`^(?:Created by CreateImage\(i-[0-9a-f]+\) for|Copied for DestinationAmi) ami-[0-9a-f]+`)

// doubt returns an error if no image is listed and yet snapshots say that they were made for one.
func doubt(images []types.Image, snapshots []types.Snapshot) error {
	if len(images) > 0 {
		return nil
	}
	speaking := slices.DeleteFunc(slices.Clone(snapshots), func(snapshot types.Snapshot) bool {
		return !madeForImage.MatchString(aws.ToString(snapshot.Description))
	})
	if len(speaking) == 0 {
		return nil
	}
	first := slices.MinFunc(speaking, func(a, b types.Snapshot) int {
		return cmp.Compare(aws.ToString(a.SnapshotId), aws.ToString(b.SnapshotId))
	})
	return fmt.Errorf("none is listed, but by their descriptions there are snapshots of images, %d in number, such as %s (%q); "+
		"if those images are gone for good, delete these snapshots, or name the region in EXCEPT_REGIONS",
		len(speaking), aws.ToString(first.SnapshotId), madeForImage.FindString(aws.ToString(first.Description)))
}

// listImages includes the disabled images: they hold on to their snapshots like any other (EC2 User Guide, "Disable an
// AMI"). Deprecated images of one's own are always listed. Filters may narrow the listing.
func listImages(ctx context.Context, api ec2.DescribeImagesAPIClient, filters ...types.Filter) ([]types.Image, error) {
	var images []types.Image
	pages := ec2.NewDescribeImagesPaginator(api, &ec2.DescribeImagesInput{
		Filters:         filters,
		Owners:          []string{"self"},
		IncludeDisabled: aws.Bool(true),
		MaxResults:      aws.Int32(pageSize),
	})
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if err := tokens.See(page.NextToken); err != nil {
			return nil, err
		}
		images = append(images, page.Images...)
	}
	return images, nil
}

// listSnapshots lists by owner and never by id: one id that does not exist would fail the call.
func listSnapshots(ctx context.Context, api API) ([]types.Snapshot, error) {
	var snapshots []types.Snapshot
	pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{
		OwnerIds:   []string{"self"},
		MaxResults: aws.Int32(pageSize),
	})
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if err := tokens.See(page.NextToken); err != nil {
			return nil, err
		}
		snapshots = append(snapshots, page.Snapshots...)
	}
	return snapshots, nil
}

func listLocks(ctx context.Context, api API) ([]types.LockedSnapshotsInfo, error) {
	var locks []types.LockedSnapshotsInfo
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
		locks = append(locks, page.Snapshots...)
		if input.NextToken = page.NextToken; aws.ToString(input.NextToken) == "" {
			return locks, nil
		}
	}
}
