// Package inventory reads what a region of the account holds: all of it, or an error. It changes nothing.
package inventory

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

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
// Snapshots and locks are listed side by side, and the images last: whatever happened while the rest was being read, their
// facts are the freshest. A listing that
// shows none of them, while there are snapshots that say they were made for one, is not believed.
func Read(ctx context.Context, api API, account, region string) (ami.Inventory, error) {
	reader := newReader()
	var (
		locks    map[string]string
		locksErr error
		listing  sync.WaitGroup
	)
	listing.Go(func() { locks, locksErr = listLocks(ctx, api) })
	snapshots, made, err := reader.listSnapshots(ctx, api)
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
	if err := made.doubt(images); err != nil {
		return ami.Inventory{}, fmt.Errorf("listing images: %w", err)
	}
	for i := range snapshots {
		snapshots[i].Lock = locks[snapshots[i].ID]
	}
	return ami.Inventory{Account: account, Region: region, Images: mergeImages(images), Snapshots: mergeSnapshots(snapshots)}, nil
}

// madeForImage is what EC2 writes into the description of a snapshot that it makes for an image: when it creates the image
// from an instance (EBS User Guide, "Create an Amazon EBS snapshot"), and when it copies one. The image is the one that the
// snapshot belongs to, not the source of a copy.
var madeForImage = regexp.MustCompile(`^(?:Created by CreateImage\(i-[0-9a-f]+\) for|Copied for DestinationAmi) (ami-[0-9a-f]+)\b`)

// madeFor returns the image that a snapshot was made for, by its description, and the words that say so.
func madeFor(snapshot *types.Snapshot) (imageID, words string) {
	match := madeForImage.FindStringSubmatch(aws.ToString(snapshot.Description))
	if match == nil {
		return "", ""
	}
	return strings.Clone(match[1]), match[0] // A part of the description would keep all of it in memory.
}

// made are the snapshots that say that they were made for an image: how many there are, and the first by its id.
type made struct {
	n            int
	first, words string
}

func (m *made) see(snapshotID, words string) {
	if words == "" {
		return
	}
	if m.n == 0 || snapshotID < m.first {
		m.first, m.words = snapshotID, strings.Clone(words)
	}
	m.n++
}

// doubt returns an error if no image is listed and yet snapshots say that they were made for one.
func (m *made) doubt(images []ami.Image) error {
	if len(images) > 0 || m.n == 0 {
		return nil
	}
	return fmt.Errorf("none is listed, but by their descriptions there are snapshots of images, %d in number, such as %s (%q); "+
		"if those images are gone for good, delete these snapshots, or name the region in EXCEPT_REGIONS", m.n, m.first, m.words)
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
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if err := tokens.See(page.NextToken); err != nil {
			return nil, err
		}
		for i := range page.Images {
			images = append(images, r.readImage(&page.Images[i]))
		}
	}
	return images, nil
}

// listSnapshots lists by owner and never by id: one id that does not exist would fail the call. A listing that repeats a
// snapshot does so in the result.
func (r *reader) listSnapshots(ctx context.Context, api API) (snapshots []ami.Snapshot, made made, err error) {
	pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{
		OwnerIds:   []string{"self"},
		MaxResults: aws.Int32(pageSize),
	})
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, made, err
		}
		if err := tokens.See(page.NextToken); err != nil {
			return nil, made, err
		}
		for i := range page.Snapshots {
			snapshot, words := r.readSnapshot(&page.Snapshots[i])
			made.see(snapshot.ID, words)
			snapshots = append(snapshots, snapshot)
		}
	}
	return snapshots, made, nil
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
