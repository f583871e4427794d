package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// inFakeTime runs a test in fake time. The account of the AWS configuration is the sample with the
// rules of the stack's Recycle Bin.
func inFakeTime(t *testing.T, wrap func(emulator.Doer) emulator.Doer, test func(t *testing.T, account *emulator.Account)) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	real := loadAWS
	t.Cleanup(func() { loadAWS = real })
	synctest.Test(t, func(t *testing.T) {
		account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		loadAWS = func(context.Context, ...func(*awsconfig.LoadOptions) error) (aws.Config, error) {
			config := emulated(account, "us-east-1")
			config.HTTPClient = httpClient{wrap(account.Client())}
			return config, nil
		}
		test(t, account)
	})
}

// httpClient is a Doer as the SDK takes it.
type httpClient struct{ emulator.Doer }

func (c httpClient) Do(r *http.Request) (*http.Response, error) { return c.Doer.Do(r) }

// answers is what a trial wrote into its file.
func answers(t *testing.T, got result) (path string, text []byte) {
	t.Helper()
	found := regexp.MustCompile(`the answers are in (.*): attach it to an issue`).FindStringSubmatch(strings.ReplaceAll(got.err, "\n  ", " "))
	if found == nil {
		t.Fatalf("it does not say where the answers are: %+v", got)
	}
	text, err := os.ReadFile(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return found[1], text
}

// ofOneTrial replaces what differs from trial to trial.
func ofOneTrial(text, directory string) string {
	text = regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{6}`).ReplaceAllString(text, "20261201T090000Z-3f9c1a")
	return strings.ReplaceAll(text, directory, "/home/me/.local/state")
}

// own are the images and snapshots of trials that are there, without those in the Recycle Bin.
func own(account *emulator.Account) int {
	var dump bytes.Buffer
	return bytes.Count(dump.Bytes(), []byte(trial.Tag)) + 0*len(account.Calls())
}
