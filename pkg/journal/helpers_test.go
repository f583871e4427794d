package journal_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	bucket  = "amzn-s3-demo-bucket"

	// Three runs, in the order of their ids.
	first, second, third = "20261121T020000Z-0a1b2c", "20261122T020000Z-0a1b2c", "20261123T020000Z-0a1b2c"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func image(n int) string    { return fmt.Sprintf("ami-%017x", n) }
func snapshot(n int) string { return fmt.Sprintf("snap-%017x", n) }

// declare is an image with the snapshots that are to go with it, each by its number.
func declare(n int, snapshots ...int) journal.Declared {
	d := journal.Declared{ImageID: image(n)}
	for _, s := range snapshots {
		d.Snapshots = append(d.Snapshots, snapshot(s))
	}
	return d
}

// outcome is the result for an image and its snapshots: deleted, kept and failed.
func outcome(n int, status ami.Status, results ...ami.SnapshotResult) ami.Outcome {
	return ami.Outcome{ImageID: image(n), Status: status, Snapshots: results}
}

func result(n int, status ami.SnapshotStatus) ami.SnapshotResult {
	return ami.SnapshotResult{SnapshotID: snapshot(n), Status: status}
}

func load(t rapid.TB) *emulator.Account {
	t.Helper()
	a, err := emulator.Load(fstest.MapFS{"get-caller-identity.json": {Data: []byte(
		`{"UserId": "AIDAEXAMPLE", "Account": "` + account + `", "Arn": "arn:aws:iam::` + account + `:user/example"}`)}},
		emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func config(client emulator.Doer) aws.Config {
	return aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", ""),
		HTTPClient:  client,
	}
}

func open(t rapid.TB, location string, config aws.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Open(location, config)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// stores are the kinds of places that a journal can be kept in. Each call of a function returns a
// new, empty one.
var stores = map[string]func(*testing.T) *journal.Journal{
	"directory": func(t *testing.T) *journal.Journal {
		return open(t, path.Join(t.TempDir(), "journal"), aws.Config{})
	},
	"bucket": func(t *testing.T) *journal.Journal {
		return open(t, "s3://"+bucket+"/janitor/records", config(load(t).Client()))
	},
	"whole_bucket": func(t *testing.T) *journal.Journal {
		return open(t, "s3://"+bucket, config(load(t).Client()))
	},
	"server": func(t *testing.T) *journal.Journal {
		endpoint := os.Getenv("JOURNAL_TEST_ENDPOINT")
		if endpoint == "" {
			t.Skip("JOURNAL_TEST_ENDPOINT names no S3-compatible server; scripts/records_test.py starts one")
		}
		return open(t, os.Getenv("JOURNAL_TEST_LOCATION")+"/"+strings.ReplaceAll(t.Name(), "/", "-"), aws.Config{
			Region:       "us-east-1",
			BaseEndpoint: &endpoint,
			Credentials: credentials.NewStaticCredentialsProvider(
				os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
			HTTPClient: http.DefaultClient,
		})
	},
}

// inEach runs a test in each kind of place.
func inEach(t *testing.T, test func(t *testing.T, j *journal.Journal)) {
	t.Helper()
	for name, create := range stores {
		t.Run(name, func(t *testing.T) { test(t, create(t)) })
	}
}

func begin(t rapid.TB, j *journal.Journal, run string, at time.Time, declared ...journal.Declared) *journal.Session {
	t.Helper()
	e, err := j.Start(context.Background(), region, run, account, at, declared)
	if err != nil {
		t.Fatalf("%s cannot begin: %v", run, err)
	}
	return e
}

// must fails the test for the first error.
func must(t rapid.TB, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("call %d: %v", i+1, err)
		}
	}
}

// only returns a function that says that exactly these images are present.
func only(images ...string) func(string) bool {
	return func(id string) bool { return slices.Contains(images, id) }
}

func history(t rapid.TB, j *journal.Journal, run string, at time.Time, present func(string) bool) ami.History {
	t.Helper()
	h, err := j.History(context.Background(), region, run, at, present)
	if err != nil {
		t.Fatalf("the history for %s: %v", run, err)
	}
	return h
}

func equal(t rapid.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// says fails the test unless an error is a sentence in which all of some words come.
func says(t rapid.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "RequestID") || len(err.Error()) > 500 {
		t.Errorf("%q is not a short line", err)
	}
}

func keys(t rapid.TB, j *journal.Journal) []string {
	t.Helper()
	all, err := j.Keys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
