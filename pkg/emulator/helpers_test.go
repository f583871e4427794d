package emulator_test

import (
	"errors"
	"io/fs"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const (
	self  = "123456789012"
	other = "999988887777"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func options() emulator.Options {
	return emulator.Options{Now: func() time.Time { return now }}
}

// directory is an account directory of the files given as name, content, name, content ….
func directory(files ...string) fs.FS {
	d := fstest.MapFS{"get-caller-identity.json": {Data: []byte(
		`{"UserId": "AIDAEXAMPLE", "Account": "` + self + `", "Arn": "arn:aws:iam::` + self + `:user/example"}`)}}
	for i := 0; i < len(files); i += 2 {
		d[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return d
}

func load(t testing.TB, files fs.FS) *emulator.Account {
	t.Helper()
	a, err := emulator.Load(files, options())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func config(client emulator.Doer) aws.Config {
	c := testaccount.Config(client)
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return c
}

func ec2Client(client emulator.Doer) *ec2.Client { return ec2.NewFromConfig(config(client)) }
func snsClient(client emulator.Doer) *sns.Client { return sns.NewFromConfig(config(client)) }
func stsClient(client emulator.Doer) *sts.Client { return sts.NewFromConfig(config(client)) }

// code is the error code AWS answered with: empty for a success, and the whole error if it is not
// one of AWS's.
func code(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return err.Error()
}

func status(err error) int {
	type responder interface{ HTTPStatusCode() int }
	if e, ok := errors.AsType[interface {
		error
		responder
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return http.StatusOK
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
