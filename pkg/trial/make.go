package trial

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// blockSize is the size of the one block that is written (EBS direct APIs Reference,
// PutSnapshotBlock).
const blockSize = 512 << 10

// pendingMinutes is after how long AWS gives up a snapshot that nobody completes: the least that
// there is (EBS direct APIs Reference, StartSnapshot, Timeout).
const pendingMinutes = 10

func describe(key string) string {
	return "A trial of AMI Janitor made this: " + key + ". ami-janitor trial --clean-up removes it."
}

// make makes the snapshot and the image, and waits until both can be used.
func (j *journey) make(ctx context.Context) error {
	s, err := j.makeSnapshot(ctx)
	if err != nil {
		return fmt.Errorf("the snapshot: %s", wire.ExplainLookup(err))
	}
	i, err := j.makeImage(ctx, s.id)
	if err != nil {
		return fmt.Errorf("the image: %s", wire.ExplainLookup(err))
	}
	j.image, j.snapshot = i, s
	return nil
}

var snapshotID = regexp.MustCompile(`^snap-[0-9a-z]+$`)

func (j *journey) makeSnapshot(ctx context.Context) (*thing, error) {
	key := j.ledger.trial + "-snapshot"
	s, err := j.ledger.will(snapshot, key, j.Clock())
	if err != nil {
		return nil, err
	}
	j.fence.expect(key)
	defer j.fence.expect("")
	started, err := j.ebs.StartSnapshot(ctx, &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(sizeGiB), ClientToken: aws.String(key), Description: aws.String(describe(key)), Timeout: aws.Int32(pendingMinutes),
		Tags: []ebstypes.Tag{{Key: aws.String(Tag), Value: aws.String(j.ledger.trial)}},
	})
	if err != nil {
		return nil, err
	}
	id := aws.ToString(started.SnapshotId)
	if !snapshotID.MatchString(id) {
		return nil, fmt.Errorf("StartSnapshot answered with the id %q", id)
	}
	if err := j.ledger.made(s, id, j.Clock()); err != nil {
		return nil, err
	}
	j.fence.admit(id)
	if err := j.fill(ctx, id); err != nil {
		return nil, err
	}
	return s, j.await(ctx, readyLimit, func() error {
		switch seen, found, err := wire.FindSnapshot(ctx, j.ec2, id); {
		case err != nil:
			return err
		case seen != wire.Present:
			return fmt.Errorf("EC2 does not show %s", id)
		case found.State != types.SnapshotStateCompleted:
			return fmt.Errorf("%s is %s", id, found.State)
		default:
			return j.ledger.ownSnapshot(s, &found)
		}
	})
}

// fill writes one block of zeros, and completes the snapshot.
func (j *journey) fill(ctx context.Context, id string) error {
	block := make([]byte, blockSize)
	sum := sha256.Sum256(block)
	_, err := j.ebs.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
		SnapshotId: aws.String(id), BlockIndex: aws.Int32(0), BlockData: bytes.NewReader(block), DataLength: aws.Int32(blockSize),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	if err != nil {
		return err
	}
	completed, err := j.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: aws.String(id), ChangedBlocksCount: aws.Int32(1)})
	if err == nil && completed.Status == "" {
		err = errors.New("CompleteSnapshot answered without a status")
	}
	return err
}

func (j *journey) makeImage(ctx context.Context, snapshotID string) (*thing, error) {
	key := "ami-janitor-trial-" + j.ledger.trial
	i, err := j.ledger.will(image, key, j.Clock())
	if err != nil {
		return nil, err
	}
	j.fence.expect(key)
	defer j.fence.expect("")
	registered, err := j.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
		Name: aws.String(key), Description: aws.String(describe(key)), Architecture: types.ArchitectureValuesX8664,
		VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true), BootMode: types.BootModeValuesUefi, RootDeviceName: aws.String("/dev/xvda"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{
			DeviceName: aws.String("/dev/xvda"),
			Ebs:        &types.EbsBlockDevice{SnapshotId: aws.String(snapshotID), VolumeType: types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)},
		}},
		TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeImage, Tags: []types.Tag{{Key: aws.String(Tag), Value: aws.String(j.ledger.trial)}},
		}},
	})
	if err != nil {
		return nil, err
	}
	id := aws.ToString(registered.ImageId)
	if !imageID.MatchString(id) {
		return nil, fmt.Errorf("RegisterImage answered with the id %q", id)
	}
	if err := j.ledger.made(i, id, j.Clock()); err != nil {
		return nil, err
	}
	j.fence.admit(id)
	return i, j.await(ctx, readyLimit, func() error {
		switch seen, found, err := wire.FindImage(ctx, j.ec2, id); {
		case err != nil:
			return err
		case seen != wire.Present:
			return fmt.Errorf("EC2 does not show %s", id)
		case found.State != types.ImageStateAvailable:
			return fmt.Errorf("%s is %s", id, found.State)
		default:
			return j.ledger.ownImage(i, &found)
		}
	})
}

var imageID = regexp.MustCompile(`^ami-[0-9a-z]+$`)
