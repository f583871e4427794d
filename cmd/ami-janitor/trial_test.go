package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// trialWorld is an account in fake time, to which the AWS configuration leads.
type trialWorld struct {
	*emulator.Account
	t *testing.T

	// What a request goes through, if it is not nil.
	way func(*http.Request, emulator.Request) (*http.Response, error)
	// Which tags IAM asks for, if there are any.
	lags []emulator.Lags
}

// inFakeTime runs a test on the sample account, whose sockets fake time could not wait for.
func inFakeTime(t *testing.T, test func(*trialWorld)) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	sockets := loadAWS
	t.Cleanup(func() { loadAWS = sockets })
	synctest.Test(t, func(t *testing.T) {
		account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		w := &trialWorld{Account: account, t: t}
		loadAWS = func(context.Context, ...func(*awsconfig.LoadOptions) error) (aws.Config, error) {
			config := emulated(account, "us-east-1")
			config.HTTPClient = w
			return config, nil
		}
		test(w)
	})
}

// Do makes the world the HTTP client of the AWS SDK.
func (w *trialWorld) Do(r *http.Request) (*http.Response, error) {
	if w.way != nil {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		if response, err := w.way(r, q); response != nil || err != nil {
			return response, err
		}
	}
	return w.Client(w.lags...).Do(r)
}

// there are the ids of what trials have made and nobody has removed.
func (w *trialWorld) there() []string {
	client := ec2.NewFromConfig(emulated(w.Account, "us-east-1"))
	tagged := []types.Filter{{Name: aws.String("tag-key"), Values: []string{trial.Tag}}}
	images, err := client.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Filters: tagged, IncludeDisabled: aws.Bool(true)})
	snapshots, more := client.DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{Filters: tagged})
	if err := errors.Join(err, more); err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, image := range images.Images {
		ids = append(ids, *image.ImageId)
	}
	for _, snapshot := range snapshots.Snapshots {
		ids = append(ids, *snapshot.SnapshotId)
	}
	return ids
}

// made counts the requests that make something.
func (w *trialWorld) made() int {
	n := 0
	for _, call := range w.Calls() {
		if call.Action == "StartSnapshot" || call.Action == "RegisterImage" {
			n++
		}
	}
	return n
}

// ofTrial replaces what differs from trial to trial.
func ofTrial(text string) string {
	text = strings.ReplaceAll(text, os.Getenv("XDG_STATE_HOME"), "/home/me/.local/state")
	return regexp.MustCompile(`[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}`).ReplaceAllString(text, "20261201T090000Z-3f9c1a")
}

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "trial", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if diff := cmp.Diff(string(want), got); err != nil || diff != "" {
		t.Errorf("%s is not what is printed (%v): run make golden, and read it:\n%s", path, err, diff)
	}
	for line := range strings.Lines(got) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > helpWidth && strings.Contains(strings.TrimSpace(line), " ") && !strings.HasPrefix(line, "ami-janitor: ") {
			t.Errorf("%s: %q is too wide", path, line)
		}
	}
}

// What trials and clean-ups print, in accounts that answer in time, late, or not at all.
func TestGolden(t *testing.T) {
	late := func(w *trialWorld) {
		w.SetTagDelay(90 * time.Second)
		w.SetBinDelay(10 * time.Minute)
		w.lags = []emulator.Lags{{TagKey: ami.IntentTag, TagValue: ami.Intent}}
	}
	left := func(w *trialWorld) {
		w.deny("DeleteSnapshot", "DeregisterImage")
		cli(w.t, nil, "trial", "--yes")
		w.deny()
	}
	for name, c := range map[string]struct {
		prepare func(*trialWorld)
		typed   string
		status  int
	}{
		"in-time":     {func(*trialWorld) {}, "trial --yes", 0},
		"late":        {late, "trial --yes", 0},
		"lists":       {func(w *trialWorld) { w.LeaveOutEmptyLists() }, "trial --yes", exitRemovalFailed},
		"no-snapshot": {func(w *trialWorld) { w.deny("StartSnapshot") }, "trial --yes", exitRemovalFailed},
		"no-image":    {func(w *trialWorld) { w.deny("RegisterImage") }, "trial --yes", exitRemovalFailed},
		"no-bin":      {func(w *trialWorld) { w.deny("ListRules", "ListImagesInRecycleBin") }, "trial --yes --require-recycle-bin=false", exitRemovalFailed},
		"clean-up":    {left, "trial --clean-up", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *trialWorld) {
				c.prepare(w)
				got := cli(w.t, nil, strings.Fields(c.typed)...)
				if there := w.there(); got.status != c.status || len(there) > 0 {
					w.t.Errorf("status %d, want %d; %q are there\n%s%s", got.status, c.status, there, got.err, got.out)
				}
				golden(w.t, name+".txt", ofTrial(got.err+"\n"+got.out))
			})
		})
	}
}

// deny refuses actions from now on; none allows all.
func (w *trialWorld) deny(actions ...string) {
	w.way = func(r *http.Request, q emulator.Request) (*http.Response, error) {
		if !slices.Contains(actions, q.Action) {
			return nil, nil
		}
		return emulator.Refuse(r, q, q.Forbidden()), nil
	}
}

// The answers are in the file that the output names, whatever the form of the output, and in it if
// it is JSON. --out names another file. The page says of each answer what it would change.
func TestTheAnswersOfATrial(t *testing.T) {
	text, err := os.ReadFile("../../docs/trial.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	inFakeTime(t, func(w *trialWorld) {
		own := filepath.Join(w.t.TempDir(), "answers.json")
		for _, args := range [][]string{{}, {"--output=json"}, {"--output=json", "--out", own}} {
			got := cli(w.t, nil, append([]string{"trial", "--yes"}, args...)...)
			_, rest, _ := strings.Cut(got.err, "the answers are in ")
			path, _, _ := strings.Cut(rest, ": attach it to an issue")
			text, err := os.ReadFile(path)
			if got.status != 0 || err != nil || len(args) == 3 && path != own {
				w.t.Fatalf("%v: %+v", err, got)
			}
			if len(args) > 0 && got.out != string(text) {
				w.t.Errorf("%q is in the file, and %q is printed", text, got.out)
			}
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.DisallowUnknownFields()
			var report trial.Report
			if err := decoder.Decode(&report); err != nil || !report.OK() || report.Schema != trial.Schema || len(report.InBin) != 2 {
				w.t.Errorf("%v: %+v", err, report)
			}
			if strings.Contains(string(text), "123456789012") {
				w.t.Error("the file has the account")
			}
			for _, m := range report.Measurements {
				if !strings.Contains(page, "`"+m.Name+"`") {
					w.t.Errorf("docs/trial.md does not say what an answer to %q would change", m.Name)
				}
			}
			time.Sleep(time.Second) // Another trial has another id.
		}
		got := cli(w.t, nil, "trial", "--yes", "--out", filepath.Join(own, "nowhere.json"))
		if got.status != exitRemovalFailed || !strings.Contains(got.err, "the answers are in no file") || !strings.Contains(got.out, "11 of 11 steps done") {
			w.t.Errorf("%+v", got)
		}
	})
}

// An interruption ends a trial by a clean-up, and is answered. Whatever it was doing, nothing is
// left.
func TestAnInterruptedTrialCleansUp(t *testing.T) {
	for _, action := range []string{"StartSnapshot", "PutSnapshotBlock", "RegisterImage", "DisableImage", "DeregisterImage", "RestoreImageFromRecycleBin"} {
		t.Run(action, func(t *testing.T) {
			inFakeTime(t, func(w *trialWorld) {
				ctx, interrupt := context.WithCancel(w.t.Context())
				w.way = func(_ *http.Request, q emulator.Request) (*http.Response, error) {
					if q.Action == action && q.Form.Get("DryRun") != "true" {
						interrupt()
					}
					return nil, nil
				}
				var out, errs bytes.Buffer
				status := run(ctx, []string{"trial", "--yes"}, streams{strings.NewReader(""), &out, &errs}, os.Getenv)
				if status != exitInterrupted || len(w.there()) > 0 {
					w.t.Errorf("status %d; %q are there", status, w.there())
				}
				if !strings.Contains(errs.String(), "interrupted: no further step is begun") || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "then interrupted; nothing is left") {
					w.t.Errorf("%s\n%s", errs.String(), out.String())
				}
				if got := cli(w.t, nil, "trial", "--clean-up"); got.status != 0 || got.out != "No trial has left anything.\n" {
					w.t.Errorf("%+v", got)
				}
			})
		})
	}
}

// --clean-up removes what a trial had to leave, says so, and makes nothing.
func TestCleanUpOfATrial(t *testing.T) {
	inFakeTime(t, func(w *trialWorld) {
		if got := cli(w.t, nil, "trial", "--clean-up"); got.status != 0 || got.out != "No trial has left anything.\n" {
			w.t.Errorf("%+v", got)
		}
		w.deny("DeleteSnapshot", "DeregisterImage")
		for _, args := range [][]string{{"trial", "--yes"}, {"trial", "--clean-up"}} {
			got := cli(w.t, nil, args...)
			if got.status != exitRemovalFailed || len(w.there()) != 2 || !strings.Contains(got.out, "MAY BE LEFT (2)") {
				w.t.Errorf("%+v", got)
			}
			for _, id := range w.there() {
				if !strings.Contains(got.out, "\n"+id+": ") {
					w.t.Errorf("it does not name %s:\n%s", id, got.out)
				}
			}
		}
		w.deny()
		before := w.made()
		got := cli(w.t, nil, "trial", "--clean-up")
		if got.status != 0 || len(w.there()) > 0 || w.made() != before {
			w.t.Errorf("%+v; %q are there", got, w.there())
		}
		var cleaned trial.Cleaned
		if got := cli(w.t, nil, "trial", "--clean-up", "--output=json"); got.status != 0 || json.Unmarshal([]byte(got.out), &cleaned) != nil || len(cleaned.Trials) > 0 {
			w.t.Errorf("%+v", got)
		}
	})
}

// While a trial is at work there is no other one, and no clean-up.
func TestOneTrialAtATime(t *testing.T) {
	inFakeTime(t, func(w *trialWorld) {
		var others []result
		w.way = func(_ *http.Request, q emulator.Request) (*http.Response, error) {
			if q.Action == "RegisterImage" {
				others = append(others, cli(w.t, nil, "trial", "--yes"), cli(w.t, nil, "trial", "--clean-up"))
			}
			return nil, nil
		}
		if got := cli(w.t, nil, "trial", "--yes"); got.status != 0 || len(others) != 2 {
			w.t.Errorf("%+v; %d others", got, len(others))
		}
		for _, other := range others {
			if other.status != exitUsage || !strings.Contains(other.err, "another trial is at work") || other.out != "" {
				w.t.Errorf("%+v", other)
			}
		}
		if w.made() != 2 {
			w.t.Errorf("%d requests made something", w.made())
		}
	})
}

// A trial without a way back is refused before it makes anything, unless that is not required.
func TestATrialNeedsTheRecycleBin(t *testing.T) {
	inFakeTime(t, func(w *trialWorld) {
		w.way = func(r *http.Request, q emulator.Request) (*http.Response, error) {
			if q.Service != "rbin" || q.Action != "ListRules" {
				return nil, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"Rules":[]}`)), Request: r}, nil
		}
		got := cli(w.t, nil, "trial", "--yes")
		if got.status != exitRegionFailed || w.made() > 0 || !strings.Contains(got.err, "--require-recycle-bin=false") {
			w.t.Errorf("%+v", got)
		}
	})
}

// Where nobody can be asked, --yes is needed, and a trial takes no image and no id.
func TestWhatATrialRefuses(t *testing.T) {
	account := serving(t, asItIs)
	for typed, says := range map[string]string{
		"trial":                                    "trial needs --yes where nobody can be asked; nothing was made",
		"trial --output json":                      "trial needs --yes",
		"trial ami-0123456789abcdef0 --yes":        "unknown command",
		"trial --image ami-0123456789abcdef0":      "unknown flag: --image",
		"trial --clean-up snap-0123456789abcdef0":  "unknown command",
		"trial --clean-up --yes":                   "clean-up yes",
		"trial --clean-up --out x":                 "clean-up out",
		"trial --yes --output csv":                 "is none of text, json",
		"trial --yes --region=eu-west-1,us-east-1": "--region",
	} {
		if got := cli(t, nil, strings.Fields(typed)...); got.status != exitUsage || !strings.Contains(got.err, says) || got.out != "" {
			t.Errorf("%s: %+v", typed, got)
		}
	}
	if len(account.Calls()) > 0 {
		t.Errorf("the account was asked: %+v", account.Calls())
	}
	t.Setenv("XDG_STATE_HOME", "")
	if got := cli(t, nil, "trial", "--yes"); got.status != exitUsage || !strings.Contains(got.err, "--ledgers") || writes(account) > 0 {
		t.Errorf("%+v", got)
	}
}

// The flags of a trial are these. None of them takes the id of an image or of a snapshot: what a
// trial changes, its ledger says.
func TestNoFlagOfATrialTakesAnID(t *testing.T) {
	command, _, err := newRoot(nil, streams{}, func(string) string { return "" }).Find([]string{"trial"})
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	command.Flags().VisitAll(func(flag *pflag.Flag) { flags = append(flags, flag.Name) })
	slices.Sort(flags)
	want := []string{"clean-up", "ec2-share", "ledgers", "out", "output", "profile", "region", "require-recycle-bin", "snapshot-price", "yes"}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Errorf("a flag that takes an image or a snapshot must not come in; the others are to be named here:\n%s", diff)
	}
	if command.Args(command, []string{"ami-0123456789abcdef0"}) == nil {
		t.Error("it takes an argument")
	}
}

// The question says what is made, how much that costs, and until when something stays; what is not
// yes is no.
func TestTheQuestionOfATrial(t *testing.T) {
	for _, answer := range []string{"no\n", "\n", "y\n", "YES\n"} {
		account := serving(t, asItIs)
		term := newTerminal(t, helpWidth)
		if status := <-term.start(t.Context(), answer, "trial"); status != exitDeclined || writes(account) > 0 {
			t.Errorf("%q: status %d, %d writes\n%s", answer, status, writes(account), term.text())
		}
		term.await(t, "Nothing was made.")
		if entries, err := os.ReadDir(os.Getenv("XDG_STATE_HOME")); err != nil || len(entries) > 0 {
			t.Errorf("%q: %v, %d entries", answer, err, len(entries))
		}
	}
	account := serving(t, asItIs)
	term := newTerminal(t, helpWidth)
	ctx, stop := context.WithCancel(t.Context())
	status := term.start(ctx, "", "trial")
	term.await(t, typeYes)
	stop()
	if status := <-status; status != exitInterrupted || writes(account) > 0 {
		t.Errorf("status %d, %d writes\n%s", status, writes(account), term.text())
	}
}

// The question names what the rules of the Recycle Bin take in, and no more.
func TestWhatTheBinHoldsOfATrial(t *testing.T) {
	for want, days := range map[string][2]int{"holds both afterwards": {7, 14}, "holds the image afterwards": {7, 0}, "holds the snapshot afterwards": {0, 7}} {
		e := trial.Estimate{GiB: 1, ImageDays: days[0], SnapshotDays: days[1], Until: time.Now()}
		if text := strings.Join(aboutTrial(&trial.Trial{}, e), "\n"); !strings.Contains(text, want) {
			t.Errorf("%v: %s", days, text)
		}
	}
}

// Over sockets, at a terminal: a yes is enough for a whole trial.
func TestATrialAtATerminal(t *testing.T) {
	account := serving(t, asItIs)
	term := newTerminal(t, helpWidth)
	if status := <-term.start(t.Context(), "yes\n", "trial"); status != 0 || writes(account) == 0 {
		t.Errorf("status %d\n%s", status, term.text())
	}
	term.await(t, "11 of 11 steps done")
}
