package middleware_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const bucket = "amzn-s3-demo-bucket"

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// load is an account with two images and a snapshot.
func load(t testing.TB) *emulator.Account {
	t.Helper()
	return testaccount.Files{
		"describe-images.json":    `{"Images": [{"ImageId": "ami-00000001", "State": "available"}, {"ImageId": "ami-00000002", "State": "available"}]}`,
		"describe-snapshots.json": `{"Snapshots": [{"SnapshotId": "snap-00000001"}]}`,
	}.Load(t, emulator.Options{Now: func() time.Time { return now }})
}

// config is that of a client that asks once.
func config(client emulator.Doer) aws.Config {
	c := testaccount.Config(client)
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return c
}

func ec2Client(client emulator.Doer) *ec2.Client { return ec2.NewFromConfig(config(client)) }
func s3Client(client emulator.Doer) *s3.Client   { return s3.NewFromConfig(config(client)) }

func deregister(ctx context.Context, client *ec2.Client, id string) error {
	_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
	return err
}

// left is how many images there are.
func left(t *testing.T, a *emulator.Account) int {
	t.Helper()
	out, err := ec2Client(a.Client()).DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Images)
}

// code is the error code AWS answered with; empty for a success, and if it is not one of AWS's.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
