package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

const nightly = "2026-11-23T02:00:00Z"

var tonight = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

// result is what a command left behind.
type result struct {
	status   int
	out, err string
}

// cli runs the command line in process. Variables are KEY=value.
func cli(t *testing.T, variables []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	lookup := func(name string) string {
		for _, variable := range variables {
			if key, value, _ := strings.Cut(variable, "="); key == name {
				return value
			}
		}
		switch name {
		case "EC2_SHARE":
			return "1" // Else a listener on this machine would be spared, like EC2.
		case "XDG_STATE_HOME":
			return os.Getenv(name) // That of serving.
		}
		return ""
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if args[0] == "emulate" {
		// Should it serve what it has to refuse, the test must not hang.
		defer time.AfterFunc(10*time.Second, stop).Stop()
	}
	status := run(ctx, args, streams{strings.NewReader("yes\n"), &out, &errs}, lookup)
	return result{status, out.String(), errs.String()}
}

// record reads the one record that a command with --output json prints.
func (r result) record(t *testing.T) record.Run {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.out))
	decoder.DisallowUnknownFields()
	var record record.Run
	if err := decoder.Decode(&record); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	if rest, _ := io.ReadAll(decoder.Buffered()); len(bytes.TrimSpace(rest)) > 0 || decoder.More() {
		t.Errorf("more than one record on the standard output: %q", rest)
	}
	return record
}

// directory writes the sample account of tonight, so that a test may change it.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, sample.Files(tonight, "us-east-1")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serving is an account at a listener, to which the AWS configuration of this process leads.
func serving(t *testing.T, wrap func(emulator.Doer) emulator.Doer) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	doer := wrap(account.Client())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := doer.Do(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
	return account
}

// leadTo makes the AWS configuration of this process lead to a listener.
func leadTo(t *testing.T, url string) {
	t.Helper()
	for key, value := range map[string]string{
		"XDG_STATE_HOME": t.TempDir(), "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
}

func asItIs(doer emulator.Doer) emulator.Doer { return doer }

func denying(actions ...string) func(emulator.Doer) emulator.Doer {
	return func(doer emulator.Doer) emulator.Doer { return disturb.Deny(doer, actions...) }
}

func writes(account *emulator.Account) int {
	n := 0
	for _, call := range account.Calls() {
		if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "Get") && !strings.HasPrefix(call.Action, "List") {
			n++
		}
	}
	return n
}

// ofSample is the exit status of a run on the sample account, where nobody may read the launch
// permissions of one image, where the Recycle Bin does not take in another, and where no record
// says so of what is announced unless the sample's own are used. Without these images, as provable
// says, it is 0.
const (
	ofSample = 3
	provable = "--names=!golden-ubuntu-*,!render-node-bundle,!archive-indexer,!newsletter,!fax-server"
)

// The exit status says so if something was left alone because proof is missing, dry or not.
func TestTheExitStatusOfWhatIsUnproven(t *testing.T) {
	for name, c := range map[string]struct {
		denied string
		args   []string
		want   int
	}{
		"all is proven":          {"", []string{provable}, 0},
		"one image is unknown":   {"", nil, 3},
		"nothing is proven":      {"DescribeLaunchConfigurations", []string{provable}, 3},
		"nothing is restorable":  {"", []string{provable, "--require-recycle-bin=true", "--recycle-bin-days=365"}, 3},
		"the bin cannot be read": {"ListRules", []string{provable, "--require-recycle-bin=true"}, 3},
		"nothing is to be done":  {"", []string{"--names=nothing"}, 0},
	} {
		for _, command := range [][]string{{"plan"}, {"sweep", "--yes", "--max-deregistrations=1"}} {
			t.Run(name+", "+command[0], func(t *testing.T) {
				serving(t, denying(c.denied))
				got := cli(t, nil, slices.Concat(command, []string{"--output=json"}, c.args)...)
				if record := got.record(t); got.status != c.want || record.LacksProof() != (c.want != 0) || record.Failed() && command[0] == "plan" {
					t.Errorf("status %d, want %d: %+v", got.status, c.want, record.Totals)
				}
			})
		}
	}
}

func TestPlanChangesNothing(t *testing.T) {
	account := serving(t, asItIs)
	// DRY_RUN and the topics speak to the function alone: they neither make a plan act nor a sweep
	// stay.
	got := cli(t, []string{"DRY_RUN=false", "TOPIC_ARN=arn:aws:sns:us-east-1:123456789012:digest", "NOTIFY_ON=always"}, "plan", "--output", "json")
	record := got.record(t)
	if got.status != ofSample || got.err != "" || !record.DryRun || record.Totals.WouldDeregister == 0 || writes(account) > 0 {
		t.Errorf("status %d, %q, %+v, %d writes", got.status, got.err, record.Totals, writes(account))
	}
	text := cli(t, nil, "plan")
	if text.status != ofSample || !strings.Contains(text.out, "would be deregistered") && !strings.Contains(strings.ToLower(text.out), "dry run") {
		t.Errorf("%+v", text)
	}
	if writes(account) > 0 {
		t.Error("a plan in words wrote")
	}
}

func TestSweep(t *testing.T) {
	t.Run("asks, and nobody can answer", func(t *testing.T) {
		account := serving(t, asItIs)
		got := cli(t, nil, "sweep")
		if got.status != 2 || len(account.Calls()) > 0 || got.out != "" || !strings.Contains(got.err, "--yes") {
			t.Errorf("%+v, %d calls", got, len(account.Calls()))
		}
	})
	t.Run("with --yes", func(t *testing.T) {
		account := serving(t, asItIs)
		got := cli(t, []string{"DRY_RUN=true", "TOPIC_ARN=nonsense", "CHAT_TOPIC_ARN=nonsense", "NOTIFY_ON=nonsense"}, "sweep", "--yes", "--output=json", "--max-deregistrations=3")
		record := got.record(t)
		if got.status != ofSample || record.DryRun || record.Totals.Deregistered != 3 || writes(account) == 0 || len(account.Published()) > 0 {
			t.Errorf("%+v, %+v, %d published", got.status, record.Totals, len(account.Published()))
		}
	})
	t.Run("with --dry-run", func(t *testing.T) {
		account := serving(t, asItIs)
		for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "--yes"}} {
			got := cli(t, nil, append([]string{"sweep", "--output=json"}, args...)...)
			if record := got.record(t); got.status != ofSample || !record.DryRun || record.Totals.WouldDeregister == 0 || writes(account) > 0 {
				t.Errorf("%v: %d, %+v", args, got.status, record.Totals)
			}
		}
	})
	t.Run("a region fails", func(t *testing.T) {
		account := serving(t, denying("DescribeSnapshots"))
		got := cli(t, nil, "sweep", "--yes", "--output=json")
		if record := got.record(t); got.status != 1 || janitor.Err(record) == nil || writes(account) > 0 {
			t.Errorf("%d, %+v", got.status, record.Regions)
		}
	})
	t.Run("some removals fail", func(t *testing.T) {
		serving(t, func(doer emulator.Doer) emulator.Doer {
			return disturb.Fail(doer, "DeregisterImage", func(n int, _ emulator.Request) bool { return n == 1 }, http.StatusBadRequest, "OperationNotPermitted", "No.")
		})
		got := cli(t, nil, "sweep", "--yes", "--output=json", "--max-deregistrations=2", provable)
		if record := got.record(t); got.status != 3 || record.Totals.Failed != 1 || record.Totals.Deregistered != 1 {
			t.Errorf("%d, %+v", got.status, record.Totals)
		}
	})
	t.Run("a snapshot fails", func(t *testing.T) {
		serving(t, func(doer emulator.Doer) emulator.Doer {
			return disturb.Fail(doer, "DeleteSnapshot", nil, http.StatusBadRequest, "OperationNotPermitted", "No.")
		})
		got := cli(t, nil, "sweep", "--yes", "--output=json", provable)
		if record := got.record(t); got.status != 3 || !record.Failed() {
			t.Errorf("%d, %+v", got.status, record.Totals)
		}
	})
}

// A person who says anything but yes has said no.
func TestConfirmation(t *testing.T) {
	plan := record.Run{DryRun: true, PolicySentence: "Images idle for long …", Totals: record.Totals{WouldDeregister: 2}}
	for answer, want := range map[string]bool{"yes\n": true, " yes \n": true, "yes": true, "y\n": false, "YES\n": false, "no\n": false, "": false, "\nyes\n": false, "yes please\n": false} {
		var out, errs bytes.Buffer
		chosen := outputJSON
		p := chosen.printer(streams{strings.NewReader(answer), &out, &errs})
		if got := p.confirm(t.Context(), plan); got != want || out.Len() > 0 || !strings.Contains(errs.String(), "2 images") || !strings.Contains(errs.String(), plan.PolicySentence) {
			t.Errorf("%q: %v, out %q, err %q", answer, got, out.String(), errs.String())
		}
		if p.declined == want {
			t.Errorf("%q: declined %v", answer, p.declined)
		}
	}
}

// What is asked about is all that is going to be done, even if no image goes.
func TestTheQuestion(t *testing.T) {
	leftover := record.Region{Leftovers: []record.Leftover{{Verdict: record.DeleteSnapshot}, {Verdict: record.KeepSnapshot}}}
	held := leftover
	held.Hold = "no rule"
	objections := record.Region{Images: []record.Image{{Unmark: retention.Veto}, {Unmark: retention.ClearMark}, {}}}
	tags := record.Region{Images: []record.Image{
		{Verdict: retention.Keep, Unmark: retention.Veto, Reasons: []retention.Reason{{Code: "restored"}}}, {Unmark: retention.ClearMark, CopiedTags: "they are older"}, {CopiedTags: "they are older"},
	}}
	busy := objections
	busy.Hold, busy.Busy = "another run is at work", true
	for want, plan := range map[string]record.Run{
		"Deregister 2 images": {Totals: record.Totals{WouldDeregister: 2}, Regions: []record.Region{held}},
		"Deregister 0 images|Announce the removal of 3 images.":                          {Totals: record.Totals{Marked: 3}},
		"Deregister 0 images|Of the snapshots, earlier runs have left 2.":                {Regions: []record.Region{leftover, held, leftover}},
		"Deregister 0 images|Take back the announced removal of 2 images.":               {Regions: []record.Region{objections, busy}},
		"Deregister 0 images|Note the return of 1 image.|Take copied tags off 2 images.": {Regions: []record.Region{tags}},
		"Deregister 2 images|Announce the removal of 3 images.|Of the snapshots, earlier runs have left 1.": {
			Totals: record.Totals{WouldDeregister: 2, Marked: 3}, Regions: []record.Region{leftover},
		},
	} {
		got := slices.DeleteFunc(question(plan), func(line string) bool { return strings.Contains(line, "ami-janitor undo") })
		got[0], _, _ = strings.Cut(got[0], " and delete ")
		if got := strings.Join(got, "|"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A person who is asked knows where, how much, and what does not come back.
func TestTheQuestionNamesWhereAndHowMuch(t *testing.T) {
	of := func(policy map[string]string, images ...record.Image) record.Run {
		plan := record.Run{
			Run: "20261123T020000Z-3f9c1a", DryRun: true, AccountAlias: "prod", Policy: policy, StartedAt: tonight,
			Regions: []record.Region{{Account: "123456789012", Region: "eu-west-1", Images: images}},
		}
		plan.Finish(tonight, 0.05)
		return plan
	}
	going := func(id, manifest string, gib int64) record.Image {
		image := record.Image{ImageID: id, Verdict: retention.Deregister, S3Location: manifest}
		if manifest == "" {
			image.SnapshotCount = 1
			image.Snapshots = []record.PlannedSnapshot{{SnapshotID: "snap-" + id, SizeGiB: gib, Verdict: record.DeleteSnapshot}}
		}
		return image
	}
	lacking := func(image record.Image) record.Image {
		image.SnapshotCount++
		image.Snapshots = append(image.Snapshots, record.PlannedSnapshot{SnapshotID: "snap-gone", Verdict: record.KeepSnapshot, Detail: retention.NotListed})
		return image
	}
	bin := map[string]string{"requireRecycleBin": "true", "recycleBinDays": "14"}
	for name, test := range map[string]struct {
		plan record.Run
		says []string
	}{
		"all can be restored": {
			of(bin, going("ami-1", "", 100), going("ami-2", "", 1100)),
			[]string{
				"Deregister 2 images and delete 2 snapshots of account 123456789012 (prod) in eu-west-1: 1,200 GiB, up to $60.00 a month.",
				"The 2 images can be restored until 7 December 2026 at least:\n    ami-janitor undo 20261123T020000Z-3f9c1a\n",
			},
		},
		"a snapshot of one is gone": {
			of(bin, going("ami-1", "", 100), lacking(going("ami-2", "", 8))),
			[]string{
				"1 image is perhaps not restorable: a snapshot of it is not among the account's.\n",
				"The other 1 image can be restored until 7 December 2026 at least:\n    ami-janitor undo 20261123T020000Z-3f9c1a\n",
				"ami-2          8    $0.40\n                           perhaps not restorable\n",
			},
		},
		"a snapshot of all is gone": {of(bin, lacking(going("ami-1", "", 8)), lacking(going("ami-2", "", 8))), []string{
			"2 images are perhaps not restorable: a snapshot of each is not among the account's. What comes back does so with:\n    ami-janitor undo",
		}},
		"one cannot be restored": {
			of(map[string]string{"requireRecycleBin": "false", "recycleBinDays": "14"}, going("ami-1", "", 8), going("ami-2", "bucket/manifest.xml", 0)),
			[]string{"1 image CANNOT BE RESTORED", "Nobody has looked whether the Recycle Bin holds the other 1 image", "--require-recycle-bin", "ami-janitor undo 20261123T020000Z-3f9c1a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ask(test.plan, "", 200, false)
			for _, want := range test.says {
				if !strings.Contains(asked, want) {
					t.Errorf("%q is not in:\n%s", want, asked)
				}
			}
		})
	}
}

func TestRehearse(t *testing.T) {
	dir := directory(t)
	got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output", "json")
	record := got.record(t)
	if got.status != ofSample || got.err != "" || record.DryRun || record.Totals.Deregistered == 0 || !record.StartedAt.Equal(tonight) {
		t.Errorf("%d %q %+v", got.status, got.err, record.Totals)
	}
	again := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output", "json").record(t)
	again.Run, again.Record = record.Run, record.Record
	if !reflect.DeepEqual(record, again) {
		t.Error("the same rehearsal gives another record")
	}
	builtIn := cli(t, nil, "rehearse", "--now", nightly, "--output", "json").record(t)
	builtIn.Run, builtIn.Record = record.Run, record.Record
	if !reflect.DeepEqual(record, builtIn) {
		t.Error("the built-in sample is not the sample")
	}
	dry := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output", "json", "--dry-run").record(t)
	if !dry.DryRun || dry.Totals.WouldDeregister != record.Totals.Deregistered {
		t.Errorf("dry %+v, real %+v", dry.Totals, record.Totals)
	}
	text := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output=text", "--show=all")
	if text.status != ofSample || !strings.Contains(text.out, record.PolicySentence[:20]) || text.err != "" {
		t.Errorf("%+v", text)
	}
}

// load reads the list of one file of an account, by id.
func load(t *testing.T, dir, name, list, id string) (map[string]map[string]any, []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]json.RawMessage
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	var items []map[string]any
	if err := json.Unmarshal(content[list], &items); err != nil {
		t.Fatal(err)
	}
	byID := map[string]map[string]any{}
	var order []string
	for _, item := range items {
		byID[fmt.Sprint(item[id])] = item
		order = append(order, fmt.Sprint(item[id]))
	}
	return byID, order
}

// accountFiles are the names of an account's files, sorted.
func accountFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for n, file := range files {
		files[n] = filepath.Base(file)
	}
	return files
}

// The saved account is what the run left: without what the record says is gone, and otherwise as it
// was.
func TestTheStateAgreesWithTheRecord(t *testing.T) {
	dir, out := directory(t), filepath.Join(t.TempDir(), "made", "for", "it")
	got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output", "json", "--state-out", out)
	if got.status != ofSample || got.err != "" {
		t.Fatalf("%+v", got)
	}
	gone, unmarked := map[string]bool{}, map[string]bool{}
	for _, region := range got.record(t).Regions {
		for _, declaration := range region.Stale {
			unmarked[declaration.ID] = true
		}
		for _, image := range region.Images {
			unmarked[image.ImageID] = unmarked[image.ImageID] || image.Unmark != ""
			if image.Outcome == nil {
				continue
			}
			gone[image.ImageID] = image.Outcome.Status == ami.Deregistered
			for _, s := range image.Outcome.Snapshots {
				gone[s.SnapshotID] = s.Status == ami.SnapshotDeleted
			}
		}
	}
	for _, file := range []struct{ name, list, id string }{
		{"describe-images.json", "Images", "ImageId"},
		{"describe-snapshots.json", "Snapshots", "SnapshotId"},
		{"describe-instances.json", "Reservations", "ReservationId"},
		{"describe-launch-templates.json", "LaunchTemplates", "LaunchTemplateId"},
	} {
		before, order := load(t, dir, file.name, file.list, file.id)
		after, left := load(t, out, file.name, file.list, file.id)
		order = slices.DeleteFunc(order, func(id string) bool { return gone[id] })
		if !slices.Equal(order, left) {
			t.Errorf("%s holds %v, want %v", file.name, left, order)
		}
		for id := range after {
			if unmarked[id] {
				// An objection, or a declaration that is over, which the run has dealt with.
				for _, key := range []string{"Tags", "State", "DeprecationTime"} {
					delete(before[id], key)
					delete(after[id], key)
				}
			}
			if !reflect.DeepEqual(before[id], after[id]) {
				t.Errorf("%s: %s was %v, is %v", file.name, id, before[id], after[id])
			}
		}
	}
	// The sample has no usage reports and no stack, and empty files are saved, too.
	want := append(
		accountFiles(t, dir), "describe-image-usage-reports.json",
		"cloudformation-describe-stack-resources.json", "cloudwatch-describe-alarms.json", "iam-get-account-authorization-details.json", "s3api-get-bucket-encryption.json",
		"s3api-get-public-access-block.json", "scheduler-get-schedule.json", "sns-list-subscriptions-by-topic.json",
	)
	if got := accountFiles(t, out); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q are saved, want %q", got, want)
	}
	// What is saved is an account again: the next night has nothing to do.
	next := cli(t, nil, "rehearse", "--account", out, "--now", nightly, "--output", "json").record(t)
	if next.Totals.Deregistered != 0 || next.Failed() {
		t.Errorf("the next night: %+v", next.Totals)
	}
}

func TestADryRehearsalLeavesTheStateAsItWas(t *testing.T) {
	dir, out := directory(t), t.TempDir()
	if got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--dry-run", "--state-out", out); got.status != ofSample {
		t.Fatalf("%+v", got)
	}
	for name, list := range map[string]string{"describe-images.json": "Images", "describe-snapshots.json": "Snapshots"} {
		_, before := load(t, dir, name, list, strings.TrimSuffix(list, "s")+"Id")
		_, after := load(t, out, name, list, strings.TrimSuffix(list, "s")+"Id")
		if !slices.Equal(before, after) {
			t.Errorf("%s has changed", name)
		}
	}
}

func TestAStateThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), "file", "")
	got := cli(t, nil, "rehearse", "--now", nightly, "--output=json", "--state-out", filepath.Join(file, "below"))
	if got.status != 1 || !strings.Contains(got.err, "writing the state") {
		t.Errorf("%+v", got.err)
	}
	got.record(t)
}

// Status 2: what was typed, or what was read, is wrong; nothing was changed and nothing is on the
// standard output.
func TestWrongUsage(t *testing.T) {
	malformed := directory(t)
	write(t, malformed, "describe-images.json", "{\n  \"Images\": [{,]\n}")
	wrongShape := directory(t)
	write(t, wrongShape, "describe-snapshots.json", "{\"Snapshots\":\n {}}")
	anonymous := directory(t)
	if err := os.Remove(filepath.Join(anonymous, "get-caller-identity.json")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		variables, args []string
		says            []string
	}{
		"an unknown command":     {nil, []string{"destroy"}, []string{"destroy"}},
		"an unknown flag":        {nil, []string{"rehearse", "--force"}, []string{"--force"}},
		"an argument too many":   {nil, []string{"rehearse", "now"}, []string{"now"}},
		"an output":              {nil, []string{"rehearse", "--output", "yaml"}, []string{"yaml", "is none of "}},
		"a time":                 {nil, []string{"rehearse", "--now", "tonight"}, []string{"--now", "tonight", "2026-11-23T02:00:00Z"}},
		"a time without a zone":  {nil, []string{"emulate", "--now", "2026-11-23T02:00:00"}, []string{"--now"}},
		"no such account":        {nil, []string{"rehearse", "--account", "/no/such/directory"}, []string{"/no/such/directory"}},
		"nobody's account":       {nil, []string{"rehearse", "--account", anonymous}, []string{anonymous, "get-caller-identity.json"}},
		"malformed JSON":         {nil, []string{"rehearse", "--account", malformed}, []string{malformed, "describe-images.json:2:"}},
		"JSON of another shape":  {nil, []string{"rehearse", "--account", wrongShape}, []string{"describe-snapshots.json:2:2"}},
		"a flag's value":         {nil, []string{"rehearse", "--stale-after", "3d"}, []string{"--stale-after: ", "floor"}},
		"a variable's value":     {[]string{"KEEP_NEWEST=many"}, []string{"rehearse"}, []string{"KEEP_NEWEST", "many"}},
		"several of both":        {[]string{"KEEP_NEWEST=many"}, []string{"rehearse", "--stale-after=3d", "--names=x"}, []string{"KEEP_NEWEST: ", "--stale-after: "}},
		"a flag of the function": {nil, []string{"rehearse", "--topic-arn=x"}, []string{"--topic-arn"}},
		"an open listener":       {nil, []string{"emulate", "--listen", "0.0.0.0:0"}, []string{"0.0.0.0", "loopback"}},
		"every interface":        {nil, []string{"emulate", "--listen", ":0"}, []string{"loopback"}},
		"another host":           {nil, []string{"emulate", "--listen", "example.com:80"}, []string{"example.com"}},
		"an IPv6 wildcard":       {nil, []string{"emulate", "--listen", "[::]:0"}, []string{"::"}},
		"no port":                {nil, []string{"emulate", "--listen", "127.0.0.1"}, []string{"--listen"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := cli(t, c.variables, c.args...)
			if got.status != 2 || got.out != "" {
				t.Errorf("status %d, want 2; out %q", got.status, got.out)
			}
			for _, word := range c.says {
				if !strings.Contains(got.err, word) {
					t.Errorf("%q does not say %q", got.err, word)
				}
			}
			for line := range strings.Lines(got.err) {
				if !strings.HasPrefix(line, "ami-janitor: ") {
					t.Errorf("%q does not say who speaks", line)
				}
			}
		})
	}
}

func TestRealAccountsNeedARegion(t *testing.T) {
	serving(t, asItIs)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if got := cli(t, nil, "plan"); got.status != 2 || !strings.Contains(got.err, "AWS_REGION") {
		t.Errorf("%+v", got)
	}
	if got := cli(t, nil, "plan", "--regions", "us-east-1", "--output=json"); got.status != ofSample || got.record(t).Totals.Images == 0 {
		t.Errorf("%+v", got)
	}
}

// A flag wins over the variable of the same name, a blank one too.
func TestFlagsWinOverVariables(t *testing.T) {
	variables := []string{"STALE_AFTER=90d", "NAMES=web-*", "MAX_DEREGISTRATIONS=7", "DELETE_SNAPSHOTS=false"}
	for _, c := range []struct {
		args []string
		want map[string]string
	}{
		{nil, map[string]string{"staleAfter": "90d", "names": "web-*", "maxDeregistrations": "7", "deleteSnapshots": "false", "neverLaunchedAfter": "90d"}},
		{[]string{"--stale-after=30d", "--names="}, map[string]string{"staleAfter": "30d", "names": "", "maxDeregistrations": "7", "neverLaunchedAfter": "30d"}},
		{[]string{"--max-deregistrations=1", "--delete-snapshots=true"}, map[string]string{"maxDeregistrations": "1", "deleteSnapshots": "true", "names": "web-*"}},
	} {
		record := cli(t, variables, append([]string{"rehearse", "--now", nightly, "--output=json", "--dry-run"}, c.args...)...).record(t)
		for key, want := range c.want {
			if got := record.Policy[key]; got != want {
				t.Errorf("%v: %s is %q, want %q", c.args, key, got, want)
			}
		}
	}
	fault := cli(t, []string{"STALE_AFTER=nonsense"}, "rehearse", "--now", nightly, "--stale-after=90d", "--dry-run", "--output=json")
	if fault.status != ofSample {
		t.Errorf("a variable that a flag overrides is read: %+v", fault)
	}
}

// Every setting has a flag, but for those of the function.
func TestEverySettingHasAFlag(t *testing.T) {
	for _, command := range []string{"plan", "sweep", "rehearse", "explain", "unmark"} {
		help := cli(t, nil, command, "--help")
		for _, setting := range config.Settings() {
			flag := "--" + strings.ReplaceAll(strings.ToLower(setting.Variable), "_", "-") + " "
			own := command == "sweep" || command == "rehearse"
			if setting.Variable == "DRY_RUN" && own {
				continue
			}
			if strings.Contains(help.out+help.err, flag) == setting.FunctionOnly {
				t.Errorf("%s --help: %s", command, flag)
			}
		}
		if help.status != 0 {
			t.Errorf("%s --help: %d", command, help.status)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, typed := range []string{"version", "--version"} {
		if got := cli(t, nil, typed); got.status != 0 || got.out != version+"\n" {
			t.Errorf("%s: %+v", typed, got)
		}
	}
}

// The emulator says where it listens, answers there, and ends with its context.
func TestEmulate(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		ctx, stop := context.WithCancel(t.Context())
		reader, writer := io.Pipe()
		var errs bytes.Buffer
		done := make(chan int, 1)
		go func() {
			status := run(ctx, []string{"emulate", "--listen", host + ":0", "--now", nightly}, streams{strings.NewReader(""), writer, &errs}, func(string) string { return "" })
			_ = writer.Close()
			done <- status
		}()
		line := make([]byte, 64)
		n, err := reader.Read(line)
		if err != nil {
			t.Fatal(err, errs.String())
		}
		address := strings.TrimSpace(string(line[:n]))
		response, err := http.Get(address + "/_ami-janitor/messages") //nolint:noctx // It is on this machine.
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", address, response.Status)
		}
		stop()
		if status := <-done; status != 0 {
			t.Errorf("status %d: %s", status, errs.String())
		}
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// After removals a record that cannot be printed is no wrong usage: status 2 says that nothing was
// changed.
func TestARecordThatCannotBePrinted(t *testing.T) {
	account := serving(t, asItIs)
	var errs bytes.Buffer
	status := run(t.Context(), []string{"sweep", "--yes", "--max-deregistrations=1"}, streams{strings.NewReader(""), closedPipe{}, &errs}, os.Getenv)
	if writes(account) == 0 || status == 0 || errs.Len() == 0 {
		t.Fatalf("status %d, %d writes, %q", status, writes(account), errs.String())
	}
	if status == 2 {
		t.Error("status 2, which says that nothing was changed")
	}
}

// Interrupted, a command leaves the account as it is and says so.
func TestAnInterruptionBeforeThePlan(t *testing.T) {
	account := serving(t, asItIs)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"sweep", "--yes", "--output=json"}, streams{strings.NewReader(""), &out, &errs}, os.Getenv)
	if writes(account) > 0 || status != exitInterrupted {
		t.Errorf("status %d, %d writes, %s", status, writes(account), errs.String())
	}
	result{status, out.String(), errs.String()}.record(t)
}

// unreachable are the ways in which nothing can be asked at all: what leads there, and how the
// first lines say so.
var unreachable = map[string]struct {
	environment map[string]string
	status      int // Of a server that is not AWS, with a page for people; 0 for none.
	page, says  string
	todo        string
}{
	"no credentials": {
		environment: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
		says:        "failed in us-east-1: no AWS credentials. Nothing was changed.\n", todo: "AWS_PROFILE",
	},
	"no endpoint": {
		environment: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
		says:        "failed in us-east-1: AWS not reached. Nothing was changed.\n", todo: "AWS_ENDPOINT_URL",
	},
	"a page of a proxy":   {status: 403, page: "<html>Blocked</html>", says: "failed in us-east-1: not AWS that answered. Nothing was changed.\n", todo: "proxy"},
	"a page that is fine": {status: 200, page: "<html>Welcome</html>", says: "failed in us-east-1: not AWS that answered. Nothing was changed.\n", todo: "AWS_ENDPOINT_URL"},
	"an empty answer":     {status: 200, says: "failed in us-east-1: not AWS that answered. Nothing was changed.\n", todo: "AWS_ENDPOINT_URL"},
	"expired credentials": {
		status: 403, page: "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
		says: "failed in us-east-1: AWS credentials expired. Nothing was changed.\n", todo: "aws sso login",
	},
	"credentials of somebody else": {
		status: 403, page: "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token is invalid.</Message></Error></ErrorResponse>",
		says: "failed in us-east-1: AWS credentials not accepted. Nothing was changed.\n", todo: "get-caller-identity",
	},
}

// Where nothing could be asked, the first line says so, the next ones what to do, and none gives
// false comfort.
func TestWhereNothingCouldBeAsked(t *testing.T) {
	for name, c := range unreachable {
		t.Run(name, func(t *testing.T) {
			serving(t, asItIs)
			if c.status != 0 {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.page)
				}))
				t.Cleanup(server.Close)
				t.Setenv("AWS_ENDPOINT_URL", server.URL)
			}
			for key, value := range c.environment {
				t.Setenv(key, value)
			}
			for command, begins := range map[string]string{"plan": "The dry run ", "sweep --yes": "The run "} {
				got := cli(t, nil, strings.Fields(command)...)
				if got.status != exitRegionFailed || !strings.HasPrefix(words(got.out), words(begins+c.says+"What to do: ")) {
					t.Errorf("%s: %+v", command, got)
				}
				todo, _, _ := strings.Cut(got.out, "\n- ")
				if !strings.Contains(todo, c.todo) || strings.Contains(strings.ToLower(got.out), "nothing to remove") || strings.Contains(strings.ReplaceAll(words(got.out), "a deployed function", ""), "the function") {
					t.Errorf("%s:\n%s", command, got.out)
				}
				record := cli(t, nil, append(strings.Fields(command), "--output=json")...).record(t)
				if shown := terminalText(record, &unfiltered, "", 120, false); !strings.HasPrefix(shown, begins+c.says+"What to do: ") {
					t.Errorf("on a terminal: %s", shown)
				}
			}
			const image = "ami-0123456789abcdef0"
			if c.status == 0 && c.environment["AWS_ENDPOINT_URL"] != "" {
				return // What follows tries again for a minute.
			}
			for _, args := range [][]string{{"explain", image}, {"unmark", image}, {"undo", "--list"}, {"undo", "20260101T020000Z-0a1b2c"}} {
				got := cli(t, nil, args...)
				for _, comfort := range []string{"there is no image", "not among", "holds nothing", "There is nothing"} {
					if got.status != exitRegionFailed || strings.Contains(got.out+got.err, comfort) {
						t.Errorf("%v: %+v", args, got)
					}
				}
				if name == "no credentials" && (!strings.Contains(got.err, "no AWS credentials") || !strings.Contains(got.err, "What to do: Log in") || strings.Contains(got.err, "IMDS")) {
					t.Errorf("%v: %+v", args, got)
				}
			}
		})
	}
}

// Who asks for it is told by the status whether there is something to do, proven or not. A region
// that fails is told of before.
func TestTheExitCodeOfAPlan(t *testing.T) {
	for args, want := range map[string]int{
		"--exit-code":                           exitChanges,
		"--exit-code " + provable:               exitChanges,
		"--exit-code=false " + provable:         0,
		"--exit-code --keep-list=/no/such/file": exitRegionFailed,
		"--exit-code --output=json " + provable: exitChanges,
	} {
		account := serving(t, asItIs)
		if got := cli(t, nil, append([]string{"plan"}, strings.Fields(args)...)...); got.status != want || writes(account) > 0 {
			t.Errorf("%s: status %d, want %d: %s", args, got.status, want, got.err)
		}
	}
}

// The help and the documentation list every exit status.
func TestEveryExitStatusIsListed(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	help := cli(t, nil, "--help").out
	for _, status := range []int{0, exitRegionFailed, exitUsage, exitRemovalFailed, exitDeclined, exitChanges, exitInterrupted} {
		if !strings.Contains(help, fmt.Sprintf("\n  %d  ", status)) || !strings.Contains(string(page), fmt.Sprintf("\n- %d: ", status)) {
			t.Errorf("%d is missing", status)
		}
	}
}

// A plan looks up the images that a run has room for. On request it looks up all that look stale.
func TestACompletePlan(t *testing.T) {
	for _, command := range []string{"plan", "rehearse --dry-run"} {
		for args, want := range map[string]string{"": "not-looked-up", " --complete": "over-cap"} {
			serving(t, asItIs)
			got := cli(t, nil, strings.Fields(command+args+" --output=json --max-deregistrations=1")...)
			other := map[string]string{"not-looked-up": "over-cap", "over-cap": "not-looked-up"}[want]
			if !strings.Contains(got.out, `"code": "`+want+`"`) || strings.Contains(got.out, `"code": "`+other+`"`) {
				t.Errorf("%s%s does not say %s, or says %s: %d %s", command, args, want, other, got.status, got.err)
			}
		}
	}
}
