package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

// deleteSnapshot deletes one snapshot whose image is gone. EC2 may go on saying for a while that the image uses it, which
// is worth a few more attempts, as is an answer that was lost: a snapshot that is not found is deleted.
//
// The code is what EC2 said when it was asked to delete the snapshot along with the image; empty if it said nothing.
func deleteSnapshot(ctx context.Context, api removalAPI, id string, code types.SnapshotReturnCodes) (ami.SnapshotStatus, string) {
	var err error
	for attempt, tries := 1, attempts; attempt <= tries; attempt++ {
		if attempt > 1 && !pause(ctx, attempt-1) {
			break
		}
		_, err = api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
		switch refusal := wire.Code(err); {
		case err == nil:
			return ami.SnapshotDeleted, ""
		case wire.IsNoSnapshot(err):
			return ami.SnapshotDeleted, "was already gone"
		case refusal == unauthorized:
			tries = patience
		case refusal == "InvalidSnapshot.InUse", refusal == "" && !errors.Is(err, context.Canceled):
		default:
			return ami.SnapshotFailed, failure(code, err)
		}
	}
	if wire.Code(err) == "" && findAbsent(ctx, api, []string{id})[id] {
		return ami.SnapshotDeleted, "seen to be gone after a lost answer"
	}
	return ami.SnapshotFailed, failure(code, err)
}

func failure(code types.SnapshotReturnCodes, err error) string {
	if code == "" || code == types.SnapshotReturnCodesWarnSkipped {
		return wire.Explain(err)
	}
	return fmt.Sprintf("%s; then %s", code, wire.Explain(err))
}

// findAbsent returns those of the snapshots that are seen to be gone. They are looked up with a filter, because a list of
// ids fails if one of them is gone, and what cannot be read counts as still there.
func findAbsent(ctx context.Context, api removalAPI, ids []string) map[string]bool {
	if len(ids) == 0 {
		return nil
	}
	var listed []string
	pages := ec2.NewDescribeSnapshotsPaginator(api, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"},
		Filters:  []types.Filter{{Name: aws.String("snapshot-id"), Values: ids}},
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeSnapshotsOutput) *string {
		for _, snapshot := range page.Snapshots {
			listed = append(listed, aws.ToString(snapshot.SnapshotId))
		}
		return page.NextToken
	})
	if err != nil {
		return nil
	}
	absent := map[string]bool{}
	for _, id := range ids {
		absent[id] = !slices.Contains(listed, id)
	}
	return absent
}
