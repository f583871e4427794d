package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
)

// SnapshotPermissionsSource names the lookup of who may use a snapshot in a gap.
const SnapshotPermissionsSource = "snapshot permissions"

// SnapshotSharing finds out with whom snapshots are shared, by id. Late is the error of one for which there was no time; empty if that
// is an error like others.
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

// atOnce is how many snapshots are asked about side by side.
const atOnce = 16

// AddSnapshotSharing adds to the findings about images that are gone with whom their snapshots are shared, as "snapshot
// snap-… with account 111122223333". EC2 has no listing of these permissions: it takes one call for each snapshot. What
// cannot be found out is a gap.
func AddSnapshotSharing(ctx context.Context, clients Clients, images []ami.Image, evidence ami.Evidence) {
	var mu sync.Mutex
	var lookups errgroup.Group
	lookups.SetLimit(atOnce)
	for _, image := range images {
		for _, id := range image.SnapshotIDs {
			lookups.Go(func() error {
				shared, err := sharedWith(ctx, clients.EC2, id)
				mu.Lock()
				defer mu.Unlock()
				finding := evidence[image.ID]
				for _, with := range shared {
					finding.SharedWith = append(finding.SharedWith, "snapshot "+id+" with "+with)
				}
				if err != nil {
					finding.Gaps = append(finding.Gaps, ami.Gap{Source: SnapshotPermissionsSource, Err: id + ": " + explain(err, ami.NotReached)})
				}
				tidy(&finding)
				evidence[image.ID] = finding
				return nil
			})
		}
	}
	_ = lookups.Wait()
}

func sharedWith(ctx context.Context, client *ec2.Client, snapshotID string) ([]string, error) {
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
	var shared []string
	for _, permission := range out.CreateVolumePermissions {
		switch {
		case permission.UserId != nil:
			shared = append(shared, "account "+*permission.UserId)
		case permission.Group == types.PermissionGroupAll:
			shared = append(shared, "everyone")
		default:
			shared = append(shared, cmp.Or(string(permission.Group), "somebody"))
		}
	}
	slices.Sort(shared)
	return slices.Compact(shared), nil
}
