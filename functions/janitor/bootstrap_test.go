package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

// build builds the function for this machine, with as much of the build cache as the tests share:
// without C, although the race detector needs it. Further settings are environment variables.
func build(t testing.TB, settings ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bootstrap")
	command := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w -X main.version=test", "-o", path, ".")
	command.Env = append(append(os.Environ(), "CGO_ENABLED=0"), settings...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// invoke runs the bootstrap once against an account behind a handler.
func invoke(t testing.TB, bootstrap string, handler http.Handler, event []byte, limit time.Duration, variables ...string) (runtimeapi.Result, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return runtimeapi.Invoke(ctx, runtimeapi.Invocation{
		Bootstrap: bootstrap,
		Environment: append([]string{
			"AWS_ENDPOINT_URL=" + server.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
			"AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_FUNCTION_NAME=ami-janitor", "TOPIC_ARN=" + topic,
		}, variables...),
		Event:    event,
		Deadline: time.Now().Add(limit),
	})
}

// The real binary, over the real wire, under the real runtime's interface.
func TestBootstrap(t *testing.T) {
	bootstrap := build(t)

	for name, event := range sampleEvents(t) {
		t.Run(name, func(t *testing.T) {
			account := sampleAccount(t)
			result, err := invoke(t, bootstrap, account, event, 15*time.Minute, "DRY_RUN=false", "MAX_DEREGISTRATIONS=4")
			if err != nil || result.Error != nil || !bytes.Contains(result.Response, []byte(`"totals"`)) {
				t.Fatalf("error %v, %s\n%s", err, result.Error, result.Log)
			}
			removed := 4
			if strings.Contains(name, "dry") {
				removed = 0
			}
			if n := count(account, "DeregisterImage"); n != removed {
				t.Errorf("%d deregistrations, want %d", n, removed)
			}
			if len(account.Published()) != 1 {
				t.Errorf("%d digests", len(account.Published()))
			}
			logged := lines(t, result.Log)
			metrics, images := 0, 0
			for _, line := range logged {
				if line["_aws"] != nil {
					metrics++
				}
				if line["imageId"] != nil {
					images++
				}
			}
			if metrics != 1 || images != removed {
				t.Errorf("%d lines of metrics and %d on images, want 1 and %d\n%s", metrics, images, removed, result.Log)
			}
			if !strings.Contains(string(result.Log), `"version":"test"`) {
				t.Errorf("the log does not say the version:\n%s", result.Log)
			}
		})
	}

	// A run that is out of time tells people before Lambda ends it; the remaining images are
	// skipped, not lost.
	t.Run("out of time", func(t *testing.T) {
		t.Parallel() // It does nothing but wait, most of the time.
		const limit = 12 * time.Second
		account := sampleAccount(t)
		tooLate := time.Now().Add(limit * 2 / 3) // Of so short a time, half is for what is begun.
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := new(bytes.Buffer)
			_, _ = body.ReadFrom(r.Body)
			r.Body = http.NoBody
			if strings.Contains(body.String(), "Action=CreateTags") {
				time.Sleep(time.Until(tooLate))
			}
			r.Body = readCloser{body}
			account.ServeHTTP(w, r)
		})
		result, err := invoke(t, bootstrap, slow, []byte(`{}`), limit, "DRY_RUN=false")
		if err != nil || result.Error != nil {
			t.Fatalf("error %v, %s\n%s", err, result.Error, result.Log)
		}
		if len(account.Published()) != 1 || !strings.Contains(string(result.Response), "not reached") {
			t.Errorf("%d digests\n%s", len(account.Published()), result.Response)
		}
		if n := count(account, "DeregisterImage"); n > 0 {
			t.Errorf("%d deregistrations after the time was up", n)
		}
	})

	t.Run("lookups out of time", func(t *testing.T) {
		t.Parallel()
		account := sampleAccount(t)
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := new(bytes.Buffer)
			_, _ = body.ReadFrom(r.Body)
			if strings.Contains(body.String(), "Action=DescribeImageReferences") {
				select {
				case <-time.After(30 * time.Second):
				case <-r.Context().Done():
					return
				}
			}
			r.Body = readCloser{body}
			account.ServeHTTP(w, r)
		})
		result, err := invoke(t, bootstrap, slow, []byte(`{}`), 12*time.Second, "DRY_RUN=false", "NOTIFY_ON=always")
		if err != nil || result.Error != nil || len(account.Published()) != 1 || count(account, "DeregisterImage") > 0 {
			t.Fatalf("error %v, %s, %d digests, %d deregistrations\n%s", err, result.Error, len(account.Published()), count(account, "DeregisterImage"), result.Log)
		}
		if !strings.Contains(string(result.Response), `"unknown-use"`) {
			t.Errorf("%s", result.Response)
		}
	})

	// An invocation that failed says so, after the digest.
	t.Run("a listing is denied", func(t *testing.T) {
		account := sampleAccount(t)
		result, err := invoke(t, bootstrap, denying(account, "DescribeImages"), []byte(`{}`), 15*time.Minute, "DRY_RUN=false")
		if err != nil || result.Response != nil || !strings.Contains(string(result.Error), "listing images") {
			t.Errorf("error %v, %s, response %s", err, result.Error, result.Response)
		}
		if len(account.Published()) != 1 || count(account, "DeregisterImage") > 0 {
			t.Errorf("%d digests, %d deregistrations", len(account.Published()), count(account, "DeregisterImage"))
		}
	})

	t.Run("an event that is not understood", func(t *testing.T) {
		account := sampleAccount(t)
		result, err := invoke(t, bootstrap, account, []byte(`{"dryrun": true, "force": true}`), 15*time.Minute, "DRY_RUN=false")
		if err != nil || !strings.Contains(string(result.Error), "nothing was done") || len(account.Calls()) > 0 {
			t.Errorf("error %v, %s, %d calls", err, result.Error, len(account.Calls()))
		}
	})

	// All faults of the configuration at once, before any event is asked for.
	t.Run("a faulty configuration", func(t *testing.T) {
		account := sampleAccount(t)
		result, err := invoke(t, bootstrap, account, []byte(`{}`), 15*time.Minute, "STALE_AFTER=1d", "DRY_RUN=no", "NOTIFY_ON=never")
		if !errors.Is(err, runtimeapi.ErrExited) || result.Started != 0 || len(account.Calls()) > 0 {
			t.Errorf("error %v, started %v, %d calls", err, result.Started, len(account.Calls()))
		}
		for _, variable := range []string{"STALE_AFTER: ", "DRY_RUN: ", "NOTIFY_ON: "} {
			if !strings.Contains(string(result.Log), variable) {
				t.Errorf("the log does not name %s\n%s", variable, result.Log)
			}
		}
		lines(t, result.Log)
	})
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// denying is an account in which some actions are not allowed.
func denying(account *emulator.Account, actions ...string) http.Handler {
	doer := disturb.Deny(account.Client(), actions...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := doer.Do(r)
		if err != nil {
			panic(err)
		}
		defer func() { _ = response.Body.Close() }()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(response.Body)
		_, _ = w.Write(body.Bytes())
	})
}

// BenchmarkStart measures what a cold start costs before the first event, and what there is to
// load.
func BenchmarkStart(b *testing.B) {
	bootstrap := build(b, "CGO_ENABLED=0")
	account := sampleAccount(b)
	var started time.Duration
	runs := 0
	for b.Loop() {
		result, err := invoke(b, bootstrap, account, []byte(`{"dryRun": true}`), 15*time.Minute)
		if err != nil || result.Error != nil {
			b.Fatalf("%v %s", err, result.Error)
		}
		started += result.Started
		runs++
	}
	b.ReportMetric(float64(started.Milliseconds())/float64(runs), "ms/start")
	for _, arch := range []string{"amd64", "arm64"} {
		info, err := os.Stat(build(b, "CGO_ENABLED=0", "GOARCH="+arch))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB-"+arch)
	}
}

// What only the command line asks AWS for is not in the function, which would grow by it.
func TestTheFunctionLinksNothingOfTheCommandLine(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", ".").Output()
	if err != nil || !bytes.Contains(out, []byte("aws-sdk-go-v2/service/ec2\n")) {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, module := range []string{
		"aws-sdk-go-v2/service/lambda\n", "github.com/spf13/cobra\n", "go.yaml.in/yaml/v3\n", "ami-janitor/pkg/emulator\n", "ami-janitor/pkg/export\n", "ami-janitor/pkg/report\n",
	} {
		if bytes.Contains(out, []byte(module)) {
			t.Errorf("it links %s", module)
		}
	}
}
