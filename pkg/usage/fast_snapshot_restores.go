package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// fastSnapshotRestores lists the snapshots whose volumes are ready at once, which somebody has asked, and pays, for. It
// speaks for the images that hold them, and for the snapshots themselves where the images are gone. One that was disabled
// is listed for a while.
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
				for _, id := range s.holders[snapshot] {
					s.use(by, &id)
				}
			}
		}
		return page.NextToken
	})
}
