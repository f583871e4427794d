package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// fastSnapshotRestores lists the snapshots with fast snapshot restore, which somebody requested and
// pays for. It is a use of the images with these snapshots, and of snapshots whose images are gone.
// A disabled restore stays listed for a while.
func fastSnapshotRestores(ctx context.Context, s *search) error {
	pages := ec2.NewDescribeFastSnapshotRestoresPaginator(s.EC2, &ec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(fastPage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeFastSnapshotRestoresOutput) *string {
		for _, restore := range page.FastSnapshotRestores {
			snapshot := aws.ToString(restore.SnapshotId)
			by := ami.Reference{
				Source: "fast-snapshot-restore", Type: "ec2:FastSnapshotRestore", ARN: s.sharedARN("snapshot/" + snapshot),
			}
			switch {
			case restore.State == types.FastSnapshotRestoreStateCodeDisabled:
			case snapshot == "":
				s.mustUse(by, nil)
			default:
				s.useSnapshot(by, restore.SnapshotId)
				for _, id := range s.imagesBySnapshot[snapshot] {
					s.use(by, &id)
				}
			}
		}
		return page.NextToken
	})
}
