package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const topic = "arn:aws:sns:us-east-1:123456789012:digest"

func sampleAccount(t testing.TB) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// inProcess is the function on an emulated account, with its log.
func inProcess(t *testing.T, doer emulator.Doer, variables map[string]string) (*function, *bytes.Buffer) {
	t.Helper()
	parsed, err := config.Parse(func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return &function{
		janitor: janitor.Janitor{Config: parsed, Clock: time.Now, ReadFile: readFile, AWS: aws.Config{
			Region: "us-east-1", HTTPClient: doer, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		}},
		out: &out,
	}, &out
}

func count(account *emulator.Account, action string) int {
	n := 0
	for _, call := range account.Calls() {
		if call.Action == action {
			n++
		}
	}
	return n
}

// The configuration and the event together: both have to want a real run.
func TestTheEventMakesARunSaferNeverBolder(t *testing.T) {
	for _, c := range []struct {
		variable, event string
		dry             bool
	}{
		{"", `{}`, true},
		{"", `{"dryRun": false}`, true},
		{"true", `{"dryRun": false}`, true},
		{"true", `{"dryRun": true}`, true},
		{"false", `{}`, false},
		{"false", `null`, false},
		{"false", `{"dryRun": false}`, false},
		{"false", `{"dryRun": true}`, true},
	} {
		account := sampleAccount(t)
		f, _ := inProcess(t, account.Client(), map[string]string{"DRY_RUN": c.variable, "MAX_DEREGISTRATIONS": "2"})
		answer, err := f.handle(t.Context(), json.RawMessage(c.event))
		if err != nil || answer.DryRun != c.dry || (count(account, "DeregisterImage") == 0) != c.dry {
			t.Errorf("DRY_RUN=%s and %s: dry run %v, %d deregistrations, error %v", c.variable, c.event, answer.DryRun, count(account, "DeregisterImage"), err)
		}
	}
}

func TestAnEventThatIsNotUnderstoodDoesNothing(t *testing.T) {
	account := sampleAccount(t)
	f, out := inProcess(t, account.Client(), map[string]string{"DRY_RUN": "false", "TOPIC_ARN": topic})
	_, err := f.handle(t.Context(), json.RawMessage(`{"dry-run": true}`))
	if err == nil || !strings.Contains(err.Error(), "nothing was done") || len(account.Calls()) > 0 || out.Len() > 0 {
		t.Errorf("error %v, %d calls, log %s", err, len(account.Calls()), out)
	}
}

// lines are the lines of a log that are JSON objects; the log of the function has no others.
func lines(t *testing.T, log []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines(log) {
		if bytes.HasPrefix(line, []byte("SDK ")) {
			continue // The SDK's own warnings, which are not about the run.
		}
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Errorf("%q is not a JSON object: %v", line, err)
			continue
		}
		if fields["level"] == nil || fields["message"] == nil && fields["msg"] == nil {
			t.Errorf("%s has no level or no message: Lambda drops it above level INFO", line)
		}
		all = append(all, fields)
	}
	return all
}

// Whatever fails, the log and the digest are complete before the error is returned.
func TestAFailedRunIsToldAndLogged(t *testing.T) {
	for name, c := range map[string]struct {
		fault     func(emulator.Doer) emulator.Doer
		says      string
		told      int
		completed float64
	}{
		"nothing":            {func(d emulator.Doer) emulator.Doer { return d }, "", 1, 1},
		"a removal":          {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "DeregisterImage") }, "", 1, 1},
		"a listing":          {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "DescribeImages") }, "listing images", 1, 0},
		"the account":        {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "GetCallerIdentity") }, "asking for the account", 1, 0},
		"the digest":         {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "Publish") }, topic, 0, 0},
		"listing and digest": {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "Publish", "DescribeImages") }, "listing images", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			// A removal that is refused is tried again for two minutes.
			synctest.Test(t, func(t *testing.T) {
				account := sampleAccount(t)
				f, out := inProcess(t, c.fault(account.Client()), map[string]string{"DRY_RUN": "false", "TOPIC_ARN": topic, "MAX_DEREGISTRATIONS": "3"})
				answer, err := f.handle(t.Context(), json.RawMessage(`{}`))
				if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want %q", err, c.says)
				}
				if len(account.Published()) != c.told {
					t.Errorf("%d digests, want %d", len(account.Published()), c.told)
				}
				logged := lines(t, out.Bytes())
				metrics := logged[len(logged)-1]
				if metrics["_aws"] == nil || metrics["RunCompleted"] != c.completed {
					t.Errorf("the last line is %v", metrics)
				}
				if acted := answer.Totals.Deregistered + answer.Totals.Failed + answer.Totals.Skipped; len(logged)-1 != acted {
					t.Errorf("%d lines on images, want %d", len(logged)-1, acted)
				}
			})
		})
	}
}

// A keep list that cannot be read fails the invocation before anything is listed; people are told.
func TestAKeepListThatCannotBeRead(t *testing.T) {
	for _, location := range []string{"/no/such/file", "ssm:/no/such/parameter", "arn:aws:ssm:eu-west-1:123456789012:parameter/none"} {
		account := sampleAccount(t)
		f, out := inProcess(t, account.Client(), map[string]string{"DRY_RUN": "false", "TOPIC_ARN": topic, "KEEP_LIST": location, "GRACE": "14d"})
		answer, err := f.handle(t.Context(), json.RawMessage(`{}`))
		if err == nil || !strings.Contains(err.Error(), "the keep list") || !strings.Contains(err.Error(), location) || answer.Totals.Images != 0 {
			t.Errorf("error %v, %+v", err, answer.Totals)
		}
		for _, call := range account.Calls() {
			if call.Action != "GetCallerIdentity" && call.Action != "GetParameters" && call.Action != "Publish" {
				t.Errorf("%s: it went on to call %s", location, call.Action)
			}
		}
		logged := lines(t, out.Bytes())
		if published := account.Published(); len(published) != 1 || !strings.Contains(published[0].Message, "the keep list") || logged[len(logged)-1]["RunCompleted"] != 0.0 {
			t.Errorf("%+v, %v", published, logged[len(logged)-1])
		}
	}
}

// What is announced is in the log, in the answer and in the digest, each image with its day; a dry
// run announces nothing.
func TestAnnouncements(t *testing.T) {
	for _, dry := range []string{"true", "false"} {
		account := sampleAccount(t)
		f, out := inProcess(t, account.Client(), map[string]string{"DRY_RUN": dry, "TOPIC_ARN": topic, "GRACE": "14d", "GRACE_ACTION": "disable", "OWNER_TAG": "Team", "MAX_DEREGISTRATIONS": "5", "RECORDS": "s3://" + emulator.RecordsBucket})
		answer, err := f.handle(t.Context(), json.RawMessage(`{}`))
		if err != nil || answer.Totals.Marked != 5 || (count(account, "CreateTags") == 0) != (dry == "true") || (count(account, "DisableImage") == 0) != (dry == "true") {
			t.Errorf("dry %s: %+v, %d tagged, %d disabled, error %v", dry, answer.Totals, count(account, "CreateTags"), count(account, "DisableImage"), err)
		}
		marked := 0
		for _, line := range lines(t, out.Bytes()) {
			if line["status"] == "marked" || line["outcome"] == "marked" {
				marked++
			}
		}
		text := account.Published()[0].Message
		for _, image := range answer.Regions[0].Images {
			if image.Verdict == "mark" && (image.DueOn == "" || !strings.Contains(text, image.ImageID)) {
				t.Errorf("dry %s: %+v", dry, image)
			}
		}
		if want := map[string]int{"true": 0, "false": 5}[dry]; marked != want {
			t.Errorf("dry %s: %d lines on announcements, want %d:\n%s", dry, marked, want, out)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestALogThatCannotBeWrittenIsAnError(t *testing.T) {
	account := sampleAccount(t)
	f, _ := inProcess(t, account.Client(), map[string]string{"DRY_RUN": "false", "TOPIC_ARN": topic, "MAX_DEREGISTRATIONS": "1"})
	f.out = fullDisk{}
	if _, err := f.handle(t.Context(), json.RawMessage(`{}`)); err == nil || len(account.Published()) != 1 {
		t.Errorf("error %v, %d digests", err, len(account.Published()))
	}
}

// The answer names what was done, and only counts what was kept: Lambda takes 6 MB.
func TestTheAnswer(t *testing.T) {
	account := sampleAccount(t)
	f, _ := inProcess(t, account.Client(), map[string]string{"DRY_RUN": "false", "MAX_DEREGISTRATIONS": "3"})
	answer, err := f.handle(t.Context(), json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Run     string
		Totals  record.Totals
		Regions []struct {
			Kept   map[string]int
			Images []record.Image
		}
	}
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, n := range decoded.Regions[0].Kept {
		kept += n
	}
	if kept != answer.Totals.Kept || len(decoded.Regions[0].Images) != answer.Totals.Images-answer.Totals.Kept || decoded.Totals.Deregistered != 3 {
		t.Errorf("kept %d, images %d, totals %+v", kept, len(decoded.Regions[0].Images), answer.Totals)
	}
	for _, i := range decoded.Regions[0].Images {
		if i.Outcome == nil && i.Verdict != "defer" || i.Outcome != nil && i.Outcome.Status != ami.Deregistered {
			t.Errorf("%+v", i)
		}
	}
}

// The cold start fails with all faults.
func TestNewFunction(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	faulty := map[string]string{"STALE_AFTER": "1d", "DRY_RUN": "perhaps"}
	_, err := newFunction(context.Background(), func(name string) string { return faulty[name] }, slog.Default())
	if err == nil || !strings.Contains(err.Error(), "STALE_AFTER") || !strings.Contains(err.Error(), "DRY_RUN") {
		t.Errorf("error %v", err)
	}
	f, err := newFunction(context.Background(), func(string) string { return "" }, slog.Default())
	if err != nil || f.janitor.AWS.Region != "us-east-1" || f.janitor.Clock == nil || f.janitor.ReadFile == nil || f.out == nil || !f.janitor.Config.DryRun {
		t.Errorf("%+v, error %v", f, err)
	}
}

var _ http.Handler = (*emulator.Account)(nil)
