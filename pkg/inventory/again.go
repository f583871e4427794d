package inventory

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// filterValues is how many values a filter takes (EC2 User Guide, "List and filter your
// resources").
const filterValues = 200

// ImagesAgain reads the current facts of some images, and returns the images that still exist. It
// uses a filter, because a single missing id fails a call that asks by ids.
func ImagesAgain(ctx context.Context, api ec2.DescribeImagesAPIClient, ids []string) ([]ami.Image, error) {
	var images []ami.Image
	reader := newReader()
	for chunk := range slices.Chunk(ids, filterValues) {
		listed, err := reader.listImages(ctx, api, types.Filter{Name: aws.String("image-id"), Values: chunk})
		if err != nil {
			return nil, fmt.Errorf("listing images: %s", wire.ExplainLookup(err))
		}
		images = append(images, listed...)
	}
	return mergeImages(images), nil
}

// ImagesNamed reads the images with some ids or names. A name is no glob, unlike in EC2's filters.
func ImagesNamed(ctx context.Context, api ec2.DescribeImagesAPIClient, given []string) ([]ami.Image, error) {
	var images []ami.Image
	reader := newReader()
	for chunk := range slices.Chunk(given, filterValues) {
		for _, filter := range []string{"image-id", "name"} {
			listed, err := reader.listImages(ctx, api, types.Filter{Name: aws.String(filter), Values: chunk})
			if err != nil {
				return nil, fmt.Errorf("listing images: %s", wire.ExplainLookup(err))
			}
			images = append(images, listed...)
		}
	}
	return slices.DeleteFunc(mergeImages(images), func(image ami.Image) bool {
		return !slices.Contains(given, image.ID) && !slices.Contains(given, image.Name)
	}), nil
}

// ImagesMapping reads the images that map some snapshots now.
func ImagesMapping(ctx context.Context, api ec2.DescribeImagesAPIClient, snapshotIDs []string) ([]ami.Image, error) {
	var images []ami.Image
	reader := newReader()
	for chunk := range slices.Chunk(snapshotIDs, filterValues) {
		listed, err := reader.listImages(ctx, api, types.Filter{Name: aws.String("block-device-mapping.snapshot-id"), Values: chunk})
		if err != nil {
			return nil, fmt.Errorf("listing the images that map snapshots: %s", wire.ExplainLookup(err))
		}
		images = append(images, listed...)
	}
	return mergeImages(images), nil
}

// SnapshotsAgain reads the current facts of some snapshots, except for their locks, and returns the
// snapshots that still exist. It uses a filter, as ImagesAgain does.
func SnapshotsAgain(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, ids []string) ([]ami.Snapshot, error) {
	var snapshots []ami.Snapshot
	reader := newReader()
	for chunk := range slices.Chunk(ids, filterValues) {
		listed, err := reader.listSnapshots(ctx, api, types.Filter{Name: aws.String("snapshot-id"), Values: chunk})
		if err != nil {
			return nil, fmt.Errorf("listing snapshots: %s", wire.ExplainLookup(err))
		}
		snapshots = append(snapshots, listed...)
	}
	return mergeSnapshots(snapshots), nil
}

// ConfirmSnapshots is SnapshotsAgain for callers that act on absence. A snapshot that is missing
// from the listing is asked for by id: only EC2's answer that there is no such snapshot means that
// it is gone. Any other answer without the snapshot is an error.
func ConfirmSnapshots(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, ids []string) ([]ami.Snapshot, error) {
	snapshots, err := SnapshotsAgain(ctx, api, ids)
	if err != nil {
		return nil, err
	}
	reader := newReader()
	for _, id := range ids {
		if slices.ContainsFunc(snapshots, func(s ami.Snapshot) bool { return s.ID == id }) {
			continue
		}
		switch seen, snapshot, err := wire.FindSnapshot(ctx, api, id); {
		case err != nil:
			return nil, fmt.Errorf("looking for %s: %s", id, wire.ExplainLookup(err))
		case seen == wire.Present:
			snapshots = append(snapshots, reader.readSnapshot(&snapshot))
		case seen != wire.Gone:
			return nil, fmt.Errorf("EC2 neither shows %s nor says that it is gone", id)
		}
	}
	return snapshots, nil
}
