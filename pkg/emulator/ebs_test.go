package emulator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func ebsClient(client emulator.Doer) *ebs.Client { return ebs.NewFromConfig(config(client)) }

// block is a block of a snapshot, with its digest.
func block(content byte) ([]byte, string) {
	data := bytes.Repeat([]byte{content}, 512<<10)
	sum := sha256.Sum256(data)
	return data, base64.StdEncoding.EncodeToString(sum[:])
}

func putBlock(ctx context.Context, client *ebs.Client, id *string, change func(*ebs.PutSnapshotBlockInput)) (*ebs.PutSnapshotBlockOutput, error) {
	data, sum := block('x')
	input := &ebs.PutSnapshotBlockInput{
		SnapshotId: id, BlockIndex: aws.Int32(0), BlockData: bytes.NewReader(data), DataLength: aws.Int32(512 << 10),
		Checksum: &sum, ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	}
	if change != nil {
		change(input)
	}
	return client.PutSnapshotBlock(ctx, input)
}

// written is a snapshot of one block, tagged and completed.
func written(t *testing.T, client emulator.Doer) string {
	t.Helper()
	c := ebsClient(client)
	started, err := c.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(1), Description: aws.String("of a test"), ClientToken: aws.String("token"),
		Tags: []ebstypes.Tag{{Key: aws.String("team"), Value: aws.String("search")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := putBlock(t.Context(), c, started.SnapshotId, nil); err != nil {
		t.Fatal(err)
	}
	done, err := c.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: started.SnapshotId, ChangedBlocksCount: aws.Int32(1)})
	if err != nil || done.Status != ebstypes.StatusPending {
		t.Fatalf("%+v, %v", done, err)
	}
	return *started.SnapshotId
}

func registration(snapshot string) *ec2.RegisterImageInput {
	return &ec2.RegisterImageInput{
		Name: aws.String("a trial"), Description: aws.String("of a test"), Architecture: types.ArchitectureValuesX8664,
		RootDeviceName: aws.String("/dev/xvda"), VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BootMode: types.BootModeValuesUefiPreferred,
		BlockDeviceMappings: []types.BlockDeviceMapping{{
			DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: &snapshot, VolumeType: types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)},
		}},
		TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeImage, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("search")}},
		}},
	}
}

// An image is made of nothing but a block, and shown as EC2 shows one.
func TestAnImageIsMade(t *testing.T) {
	a := load(t, directory())
	client := ec2Client(a.Client())
	id := written(t, a.Client())
	snapshots, err := client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	s := snapshots.Snapshots[0]
	equal(t, "snapshot", []any{s.State, *s.OwnerId, *s.Description, *s.VolumeSize, *s.Progress, *s.FullSnapshotSizeInBytes, *s.StartTime, *s.CompletionTime, *s.Tags[0].Key},
		[]any{types.SnapshotStateCompleted, self, "of a test", int32(1), "100%", int64(512 << 10), now, now, "team"})

	out, err := client.RegisterImage(t.Context(), registration(id))
	if err != nil {
		t.Fatal(err)
	}
	images, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.ImageId}, Filters: filters("tag:team", "search")})
	if err != nil || len(images.Images) != 1 {
		t.Fatalf("%+v, %v", images, err)
	}
	image := images.Images[0]
	equal(t, "image", []any{*image.Name, *image.OwnerId, *image.Description, image.State, image.BootMode, image.Architecture, *image.EnaSupport, *image.RootDeviceName, image.RootDeviceType, *image.CreationDate},
		[]any{"a trial", self, "of a test", types.ImageStateAvailable, types.BootModeValuesUefiPreferred, types.ArchitectureValuesX8664, true, "/dev/xvda", types.DeviceTypeEbs, "2026-11-23T02:00:00.000Z"})
	mapping := image.BlockDeviceMappings[0]
	equal(t, "mapping", []any{*mapping.DeviceName, *mapping.Ebs.SnapshotId, *mapping.Ebs.VolumeSize, mapping.Ebs.VolumeType}, []any{"/dev/xvda", id, int32(1), types.VolumeTypeGp3})
	tags, err := client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: filters("key", "team")})
	if err != nil || len(tags.Tags) != 2 {
		t.Errorf("%+v, %v", tags, err)
	}
	_, err = client.RegisterImage(t.Context(), registration(id))
	equal(t, "the name again", code(err), "InvalidAMIName.Duplicate")
	_, err = client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
	equal(t, "the snapshot of an image", code(err), "InvalidSnapshot.InUse")
}
