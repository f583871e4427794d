package usage

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
)

// SnapshotPermissionsSource names the lookup of who may use a snapshot in a gap.
const SnapshotPermissionsSource = "snapshot permissions"

// AddSnapshotSharing adds to the findings about images that are gone with whom their snapshots are shared, as "snapshot
// snap-… with account 111122223333". EC2 has no listing of these permissions: it takes one call for each snapshot. What
// cannot be found out is a gap.
func AddSnapshotSharing(ctx context.Context, clients Clients, images []ami.Image, evidence ami.Evidence) {
	var mu sync.Mutex
	var lookups errgroup.Group
	lookups.SetLimit(16)
	for _, image := range images {
		for _, id := range image.SnapshotIDs {
			lookups.Go(func() error {
				shared, err := sharedWith(ctx, clients.EC2, id)
				mu.Lock()
				defer mu.Unlock()
				finding := evidence[image.ID]
				finding.SharedWith = append(finding.SharedWith, shared...)
				if err != nil {
					finding.Gaps = append(finding.Gaps, ami.Gap{Source: SnapshotPermissionsSource, Err: wire.ExplainLookup(err)})
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
	if aws.ToString(out.SnapshotId) != snapshotID {
		return nil, errors.New("EC2 answered for another snapshot")
	}
	var shared []string
	for _, permission := range out.CreateVolumePermissions {
		with := "with " + string(permission.Group)
		if permission.UserId != nil {
			with = "with account " + *permission.UserId
		}
		shared = append(shared, "snapshot "+snapshotID+" "+with)
	}
	return shared, nil
}
