package usage

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// SnapshotPermissionsSource names the lookup of who may use a snapshot in a gap.
const SnapshotPermissionsSource = "snapshot permissions"

// SnapshotSharing finds out with whom snapshots are shared, by id. late is the error for a snapshot
// that there was no time for; empty if that is an ordinary error.
func SnapshotSharing(ctx context.Context, clients Clients, ids []string, late string) map[string]ami.Sharing {
	found := make([]ami.Sharing, len(ids))
	var lookups errgroup.Group
	lookups.SetLimit(atOnce)
	for i, id := range ids {
		lookups.Go(func() error {
			shared, err := sharedWith(ctx, clients.EC2, id)
			found[i].With = shared
			if err != nil {
				found[i].Err = explain(err, late)
			}
			return nil
		})
	}
	_ = lookups.Wait()
	sharing := make(map[string]ami.Sharing, len(ids))
	for i, id := range ids {
		sharing[id] = found[i]
	}
	return sharing
}

// atOnce is how many snapshots are asked about at the same time.
const atOnce = 16

// AddSnapshotSharing adds to findings about snapshots with whom they are shared. EC2 has no listing
// of these permissions: it takes one call for each snapshot. A failed call is a gap.
func AddSnapshotSharing(ctx context.Context, clients Clients, ids []string, evidence ami.Evidence) {
	for id, sharing := range SnapshotSharing(ctx, clients, ids, ami.NotReached) {
		finding := evidence.Snapshots[id]
		finding.SharedWith = sharing.With
		if sharing.Err != "" {
			finding.Gaps = append(finding.Gaps, ami.Gap{Source: SnapshotPermissionsSource, Err: id + ": " + sharing.Err})
			finding.Gaps = tidyGaps(finding.Gaps)
		}
		evidence.Snapshots[id] = finding
	}
}

func sharedWith(ctx context.Context, client *ec2.Client, snapshotID string) ([]ami.Grantee, error) {
	out, err := client.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: aws.String(snapshotID),
		Attribute:  types.SnapshotAttributeNameCreateVolumePermission,
	})
	if err != nil {
		return nil, err
	}
	if id := aws.ToString(out.SnapshotId); id != snapshotID {
		return nil, fmt.Errorf("ec2:DescribeSnapshotAttribute: EC2 answered for %q, which was not asked about", id)
	}
	var shared []ami.Grantee
	for _, permission := range out.CreateVolumePermissions {
		shared = append(shared, grantee(permission.UserId, permission.Group))
	}
	return ami.SortGrantees(shared), nil
}
