package emulator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

// What begins the same snapshot twice begins it once, and the token holds for nothing else.
func TestAStartIsIdempotent(t *testing.T) {
	a := load(t, directory())
	client := ebsClient(a.Client())
	input := func() *ebs.StartSnapshotInput {
		return &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: aws.String("token"), Tags: []ebstypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}}
	}
	first, err := client.StartSnapshot(t.Context(), input())
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.StartSnapshot(t.Context(), input())
	if err != nil || *second.SnapshotId != *first.SnapshotId || second.Status != ebstypes.StatusPending || *second.BlockSize != 512<<10 || !second.StartTime.Equal(now) {
		t.Errorf("%+v, %v", second, err)
	}
	for name, change := range map[string]func(*ebs.StartSnapshotInput){
		"size":        func(i *ebs.StartSnapshotInput) { i.VolumeSize = aws.Int64(2) },
		"description": func(i *ebs.StartSnapshotInput) { i.Description = aws.String("other") },
		"tag":         func(i *ebs.StartSnapshotInput) { i.Tags[0].Value = aws.String("b") },
	} {
		other := input()
		change(other)
		_, err := client.StartSnapshot(t.Context(), other)
		equal(t, "another "+name, code(err), "ConflictException")
		equal(t, "its status", status(err), 409)
	}
	out, err := ec2Client(a.Client()).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil || len(out.Snapshots) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	// The region and its tokens are its own.
	config := config(a.Client())
	config.Region = "eu-west-1"
	_, err = ebs.NewFromConfig(config).StartSnapshot(t.Context(), input())
	equal(t, "in a region that the account does not hold", code(err), "ValidationException")
}

func TestWhatCannotBeWrittenToASnapshot(t *testing.T) {
	at := &clock{now}
	a, err := emulator.Load(directory("describe-snapshots.json", `{"Snapshots": [
		{"SnapshotId": "snap-0000000a", "OwnerId": "`+other+`", "State": "pending", "VolumeSize": 1},
		{"SnapshotId": "snap-0000000b", "OwnerId": "`+self+`", "State": "pending", "VolumeSize": 1}]}`), emulator.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	client := ebsClient(a.Client())
	begin := func(change func(*ebs.StartSnapshotInput)) (*string, error) {
		input := &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}
		if change != nil {
			change(input)
		}
		out, err := client.StartSnapshot(t.Context(), input)
		if err != nil {
			return nil, err
		}
		return out.SnapshotId, nil
	}
	for name, change := range map[string]func(*ebs.StartSnapshotInput){
		"no size":            func(i *ebs.StartSnapshotInput) { i.VolumeSize = aws.Int64(0) },
		"65 TiB":             func(i *ebs.StartSnapshotInput) { i.VolumeSize = aws.Int64(65 << 10) },
		"9 minutes":          func(i *ebs.StartSnapshotInput) { i.Timeout = aws.Int32(9) },
		"a long token":       func(i *ebs.StartSnapshotInput) { i.ClientToken = aws.String(strings.Repeat("x", 65)) },
		"a long description": func(i *ebs.StartSnapshotInput) { i.Description = aws.String(strings.Repeat("x", 256)) },
		"a reserved tag": func(i *ebs.StartSnapshotInput) {
			i.Tags = []ebstypes.Tag{{Key: aws.String("aws:a"), Value: aws.String("")}}
		},
		"51 tags": func(i *ebs.StartSnapshotInput) { i.Tags = manyTags(51) },
	} {
		_, err := begin(change)
		equal(t, name, code(err), "ValidationException")
	}
	_, err = begin(func(i *ebs.StartSnapshotInput) { i.Encrypted = aws.Bool(true) })
	equal(t, "what is not emulated", code(err), "UnknownParameter")

	id, err := begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ebs.PutSnapshotBlockInput){
		"past the end":     func(i *ebs.PutSnapshotBlockInput) { i.BlockIndex = aws.Int32(2048) },
		"before the start": func(i *ebs.PutSnapshotBlockInput) { i.BlockIndex = aws.Int32(-1) },
		"another length":   func(i *ebs.PutSnapshotBlockInput) { i.DataLength = aws.Int32(512) },
		"half a block": func(i *ebs.PutSnapshotBlockInput) {
			half := make([]byte, 256<<10)
			sum := sha256.Sum256(half)
			i.BlockData, i.Checksum = bytes.NewReader(half), aws.String(base64.StdEncoding.EncodeToString(sum[:]))
		},
		"another checksum":  func(i *ebs.PutSnapshotBlockInput) { _, sum := block('y'); i.Checksum = &sum },
		"another algorithm": func(i *ebs.PutSnapshotBlockInput) { i.ChecksumAlgorithm = "MD5" },
		"no snapshot's id":  func(i *ebs.PutSnapshotBlockInput) { i.SnapshotId = aws.String("snap-x") },
		"begun by others":   func(i *ebs.PutSnapshotBlockInput) { i.SnapshotId = aws.String("snap-0000000b") },
	} {
		_, err := putBlock(t.Context(), client, id, change)
		equal(t, name, code(err), "ValidationException")
	}
	for _, missing := range []string{"snap-0000000a", "snap-0000000c"} {
		_, err := putBlock(t.Context(), client, &missing, nil)
		equal(t, missing, code(err), "ResourceNotFoundException")
		e, ok := errors.AsType[*ebstypes.ResourceNotFoundException](err)
		if !ok || e.Reason != ebstypes.ResourceNotFoundExceptionReasonSnapshotNotFound {
			t.Errorf("%v", err)
		}
	}
	last, err := putBlock(t.Context(), client, id, func(i *ebs.PutSnapshotBlockInput) { i.BlockIndex = aws.Int32(2047) })
	if _, sum := block('x'); err != nil || *last.Checksum != sum || last.ChecksumAlgorithm != ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256 {
		t.Errorf("%+v, %v", last, err)
	}
	if _, err := client.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: id, ChangedBlocksCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	_, err = putBlock(t.Context(), client, id, nil)
	equal(t, "when it is completed", code(err), "ValidationException")
	_, err = client.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: id, ChangedBlocksCount: aws.Int32(1)})
	equal(t, "completed twice", code(err), "ValidationException")
}

func manyTags(n int) []ebstypes.Tag {
	var tags []ebstypes.Tag
	for i := range n {
		tags = append(tags, ebstypes.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")})
	}
	return tags
}

// A snapshot is pending until it is completed, and not for ever.
func TestASnapshotsStates(t *testing.T) {
	at := &clock{now}
	a, err := emulator.Load(directory(), emulator.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	a.SetCompletionDelay(time.Minute)
	client := ebsClient(a.Client())
	begin := func() *string {
		out, err := client.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(10)})
		if err != nil {
			t.Fatal(err)
		}
		return out.SnapshotId
	}
	state := func(id *string) types.SnapshotState {
		out, err := ec2Client(a.Client()).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*id}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Snapshots[0].State
	}
	complete := func(id *string, blocks int32) {
		if _, err := client.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: id, ChangedBlocksCount: &blocks}); err != nil {
			t.Error(err)
		}
	}
	left, counted, miscounted := begin(), begin(), begin()
	at.at = at.at.Add(9 * time.Minute)
	if _, err := putBlock(t.Context(), client, left, nil); err != nil {
		t.Error(err)
	}
	complete(counted, 0)
	complete(miscounted, 1)
	_, err = putBlock(t.Context(), client, counted, nil)
	equal(t, "a block once it is completed", code(err), "ValidationException")
	_, err = client.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: counted, ChangedBlocksCount: aws.Int32(0)})
	equal(t, "completed twice", code(err), "ValidationException")
	at.at = at.at.Add(time.Minute - time.Nanosecond)
	equal(t, "before its time", state(counted), types.SnapshotStatePending)
	_, err = ec2Client(a.Client()).RegisterImage(t.Context(), registration(*counted))
	equal(t, "an image of it", code(err), "IncorrectState")
	at.at = at.at.Add(time.Nanosecond)
	equal(t, "in time", state(counted), types.SnapshotStateCompleted)
	equal(t, "of another number of blocks", state(miscounted), types.SnapshotStateError)

	at.at = now.Add(19*time.Minute - time.Nanosecond)
	equal(t, "ten minutes less after the last block", state(left), types.SnapshotStatePending)
	at.at = now.Add(19 * time.Minute)
	equal(t, "ten minutes after the last block", state(left), types.SnapshotStateError)

	out, err := ec2Client(a.Client()).RegisterImage(t.Context(), registration(*counted))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []types.ImageState{types.ImageStatePending, types.ImageStateAvailable} {
		images, err := ec2Client(a.Client()).DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.ImageId}})
		if err != nil || images.Images[0].State != want {
			t.Errorf("%+v, %v", images, err)
		}
		at.at = at.at.Add(time.Minute)
	}
}
