package recyclebin

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// ContentsAPI reads the contents of the bin.
type ContentsAPI interface {
	ec2.ListImagesInRecycleBinAPIClient
	ec2.ListSnapshotsInRecycleBinAPIClient
}

// EachImage reads which images are in the bin: the given ones, or all. A request has either ids or
// a page size (EC2 API Reference, "Query requests").
func EachImage(
	ctx context.Context, api ec2.ListImagesInRecycleBinAPIClient, ids []string, read func(*types.ImageRecycleBinInfo),
) error {
	input := ec2.ListImagesInRecycleBinInput{ImageIds: ids}
	if len(ids) == 0 {
		input.MaxResults = aws.Int32(pageSize)
	}
	pages := ec2.NewListImagesInRecycleBinPaginator(api, &input)
	return wire.EachPage(ctx, pages, func(page *ec2.ListImagesInRecycleBinOutput) *string {
		for i := range page.Images {
			read(&page.Images[i])
		}
		return page.NextToken
	})
}

// EachSnapshot is EachImage for snapshots.
func EachSnapshot(
	ctx context.Context, api ec2.ListSnapshotsInRecycleBinAPIClient, ids []string, read func(*types.SnapshotRecycleBinInfo),
) error {
	input := ec2.ListSnapshotsInRecycleBinInput{SnapshotIds: ids}
	if len(ids) == 0 {
		input.MaxResults = aws.Int32(pageSize)
	}
	pages := ec2.NewListSnapshotsInRecycleBinPaginator(api, &input)
	return wire.EachPage(ctx, pages, func(page *ec2.ListSnapshotsInRecycleBinOutput) *string {
		for i := range page.Snapshots {
			read(&page.Snapshots[i])
		}
		return page.NextToken
	})
}

// listImages returns when each image in the bin leaves it, by id.
func listImages(ctx context.Context, api ContentsAPI, ids ...string) (map[string]time.Time, error) {
	exits := map[string]time.Time{}
	err := EachImage(ctx, api, ids, func(image *types.ImageRecycleBinInfo) {
		exits[aws.ToString(image.ImageId)] = aws.ToTime(image.RecycleBinExitTime)
	})
	return exits, inCall("ListImagesInRecycleBin", err)
}

// listSnapshots is listImages for snapshots.
func listSnapshots(ctx context.Context, api ContentsAPI, ids ...string) (map[string]time.Time, error) {
	exits := map[string]time.Time{}
	err := EachSnapshot(ctx, api, ids, func(snapshot *types.SnapshotRecycleBinInfo) {
		exits[aws.ToString(snapshot.SnapshotId)] = aws.ToTime(snapshot.RecycleBinExitTime)
	})
	return exits, inCall("ListSnapshotsInRecycleBin", err)
}
