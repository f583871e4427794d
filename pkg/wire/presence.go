package wire

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Presence is what EC2 says about an image or a snapshot when it is asked for its id. Its absence
// from a listing proves nothing.
type Presence int

// What EC2 may say.
const (
	Unknown Presence = iota // There was no answer, or one about something else.
	// EC2 answered with nothing, as it does for a while after a deregistration.
	Empty
	Gone // EC2 says that it does not exist.
	Present
)

// ConfirmsGone reports whether a presence confirms EC2's earlier answer that an image is not
// available.
func (p Presence) ConfirmsGone() bool { return p == Gone || p == Empty }

// FindImage asks for an image, and returns it if it exists. EC2 may still show a deregistered image
// for a while, in that state; later the answer is empty, and finally an error (EC2 API Reference,
// DescribeImages). The error says why the presence is unknown, if EC2 gave one.
func FindImage(ctx context.Context, api ec2.DescribeImagesAPIClient, id string) (Presence, types.Image, error) {
	out, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true)})
	switch {
	case IsNoImage(err):
		return Gone, types.Image{}, nil
	case err != nil:
		return Unknown, types.Image{}, err
	case len(out.Images) == 0:
		return Empty, types.Image{}, nil
	case len(out.Images) > 1 || aws.ToString(out.Images[0].ImageId) != id:
		return Unknown, types.Image{}, nil
	case out.Images[0].State == types.ImageStateDeregistered:
		return Gone, types.Image{}, nil
	default:
		return Present, out.Images[0], nil
	}
}

// FindSnapshot asks for a snapshot, and returns it if it exists.
func FindSnapshot(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, id string) (Presence, types.Snapshot, error) {
	out, err := api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	switch {
	case IsNoSnapshot(err):
		return Gone, types.Snapshot{}, nil
	case err != nil:
		return Unknown, types.Snapshot{}, err
	case len(out.Snapshots) == 0:
		return Empty, types.Snapshot{}, nil
	case len(out.Snapshots) > 1 || aws.ToString(out.Snapshots[0].SnapshotId) != id:
		return Unknown, types.Snapshot{}, nil
	default:
		return Present, out.Snapshots[0], nil
	}
}
