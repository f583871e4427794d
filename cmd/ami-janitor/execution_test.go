package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const (
	hubStack     = "ami-janitor-organization"
	hubMachine   = "arn:aws:states:us-east-1:210987654321:stateMachine:ami-janitor-default"
	hubExecution = "arn:aws:states:us-east-1:210987654321:execution:ami-janitor-default:"
)

// fakeHub answers for CloudFormation and Step Functions in the hub's account: a state machine whose
// execution is a run over the emulated organization. The rest is the emulator's.
type fakeHub struct {
	organization *emulator.Organization
	hub          organization.Hub

	mu       sync.Mutex
	started  []map[string]string
	unknown  int // How often an execution that has started is not known,
	running  int // and then how often it still runs.
	ends     map[string]any
	told     record.Organization
	describe int
	resource map[string]string // The types of the stack's resources.
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	o, err := sample.Organization(emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	settings, faults := config.ParseOrganization(func(name string) string {
		return map[string]string{"RECORDS": "s3://records", "REGIONS": "us-east-1,eu-west-1", "SHARED_IMAGES": "organization", "REQUIRE_RECYCLE_BIN": "false", "DRY_RUN": "false"}[name]
	})
	if faults != nil {
		t.Fatal(faults)
	}
	f := &fakeHub{
		organization: o, running: 1,
		hub:      organization.Hub{Config: settings, AWS: testaccount.Config(o.Client()), Clock: time.Now, Version: "1"},
		resource: map[string]string{machineResource: "AWS::StepFunctions::StateMachine", bucketResource: "AWS::S3::Bucket"},
	}
	lead(t, f)
	return f
}

func answered(status int, contentType, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (f *fakeHub) Do(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if action, isStates := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions."); isStates {
		var input map[string]string
		if err := json.Unmarshal(body, &input); err != nil {
			return nil, err
		}
		status, answer := f.states(r.Context(), action, input)
		text, err := json.Marshal(answer)
		if err != nil {
			return nil, err
		}
		return answered(status, "application/x-amz-json-1.0", string(text))
	}
	if form, _ := url.ParseQuery(string(body)); form.Get("Action") == "DescribeStackResource" {
		return f.stackResource(form)
	}
	return f.organization.Client().Do(r)
}

func (f *fakeHub) states(ctx context.Context, action string, input map[string]string) (int, any) {
	switch action {
	case "StartExecution":
		f.started = append(f.started, input)
		if input["stateMachineArn"] != hubMachine || input["input"] != `{"dryRun": true}` {
			return http.StatusBadRequest, map[string]any{"__type": "StateMachineDoesNotExist", "message": "State Machine Does Not Exist: '" + input["stateMachineArn"] + "'"}
		}
		f.told = f.hub.Run(ctx, ami.NewRunID(time.Now(), rand.Reader), true)
		return http.StatusOK, map[string]any{"executionArn": hubExecution + input["name"], "startDate": 1.7e9}
	case "DescribeExecution":
		described := map[string]any{"executionArn": input["executionArn"], "stateMachineArn": hubMachine, "startDate": 1.7e9, "status": "RUNNING"}
		switch f.describe++; {
		case f.describe <= f.unknown:
			return http.StatusBadRequest, map[string]any{"__type": "ExecutionDoesNotExist", "message": "Execution Does Not Exist"}
		case f.describe <= f.unknown+f.running:
			return http.StatusOK, described
		case f.ends != nil:
			maps.Copy(described, f.ends)
			return http.StatusOK, described
		}
		output, _ := json.Marshal(map[string]any{"run": f.told.Run, "dryRun": true, "error": "", "totals": f.told.Totals})
		described["status"], described["output"] = "SUCCEEDED", string(output)
		return http.StatusOK, described
	default:
		return http.StatusBadRequest, map[string]any{"__type": "InvalidAction"}
	}
}

func (f *fakeHub) stackResource(form url.Values) (*http.Response, error) {
	id := form.Get("LogicalResourceId")
	physical := map[string]string{machineResource: hubMachine, bucketResource: "records"}[id]
	if form.Get("StackName") != hubStack || physical == "" {
		return answered(http.StatusBadRequest, "text/xml", `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack '`+form.Get("StackName")+`' does not exist</Message></Error></ErrorResponse>`)
	}
	return answered(http.StatusOK, "text/xml", `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><LogicalResourceId>`+id+
		`</LogicalResourceId><PhysicalResourceId>`+physical+`</PhysicalResourceId><ResourceType>`+f.resource[id]+
		`</ResourceType></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`)
}

// memberWrites are the requests that may have changed an account.
func (f *fakeHub) memberWrites() []string {
	var writes []string
	for _, call := range f.organization.Calls() {
		if call.Role != "" && !emulator.IsRead(call.Action) {
			writes = append(writes, call.Account+" "+call.Action)
		}
	}
	return writes
}

var byMachine = []string{"plan", "--organization", "--state-machine", hubMachine, "--records", "s3://records"}

// The hub makes the plan, dry, and what it tells is what its digest says.
func TestThePlanOfAnOrganization(t *testing.T) {
	for name, args := range map[string][]string{
		"by stack":   {"plan", "--organization", "--stack", hubStack},
		"by machine": byMachine,
	} {
		f := newFakeHub(t)
		f.unknown = 1 // Step Functions is eventually consistent.
		got := cli(t, nil, append(args, "--output", "text")...)
		if len(f.started) != 1 || !strings.HasPrefix(f.started[0]["name"], "plan-2") {
			t.Fatalf("%s: started are %v, and it says %s", name, f.started, got.err)
		}
		told := f.told
		told.Reader, told.Changed = record.Reader{Home: "us-east-1", Organization: true}, nil
		if name == "by stack" {
			told.Reader.Stack = hubStack
		}
		if diff := cmp.Diff(strings.TrimRight(digest.OrganizationText(told), "\n")+"\n", got.out); diff != "" {
			t.Errorf("%s: -digest of the hub +printed:\n%s", name, diff)
		}
		// One account lets nobody in.
		if got.status != exitRegionFailed || !strings.Contains(got.err, hubExecution+f.started[0]["name"]+" has started") {
			t.Errorf("%s: status %d, %s", name, got.status, got.err)
		}
		if got := f.memberWrites(); len(got) > 0 {
			t.Errorf("%s: written are %v", name, got)
		}
	}
}

// The same record as JSON; the exit status tells that there is something to do.
func TestThePlanOfAnOrganizationForPrograms(t *testing.T) {
	f := newFakeHub(t)
	f.hub.Config.Organization.Except, f.running = []string{"666666666666"}, 0 // It lets nobody in.
	got := cli(t, nil, append(byMachine, "--output", "json", "--exit-code")...)
	read, err := record.ParseOrganization([]byte(got.out))
	if err != nil || read.Run != f.told.Run || read.Totals.WouldDeregister == 0 || !read.DryRun {
		t.Errorf("%v: run %s, %+v", err, read.Run, read.Totals)
	}
	if got.status != exitChanges {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	f.describe = 0
	if got := cli(t, nil, byMachine...); got.status != 0 {
		t.Errorf("without --exit-code: status %d, %s", got.status, got.err)
	}
}

// An execution that comes to nothing says why.
func TestAPlanOfAnOrganizationThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		ends map[string]any
		says string
	}{
		"a step":    {map[string]any{"status": "FAILED", "error": "errorString", "cause": `{"errorMessage": "the bucket is away", "errorType": "errorString"}`}, "has failed: the bucket is away"},
		"no cause":  {map[string]any{"status": "FAILED", "error": "States.Runtime"}, "has failed: States.Runtime"},
		"stopped":   {map[string]any{"status": "ABORTED", "cause": "enough"}, "was stopped: enough"},
		"too long":  {map[string]any{"status": "TIMED_OUT"}, "took longer than its state machine allows"},
		"another":   {map[string]any{"status": "SUCCEEDED", "output": `{"ok": true}`}, `answers {"ok": true}, which is not what the hub's state machine answers`},
		"no run":    {map[string]any{"status": "SUCCEEDED", "output": `{"dryRun": true, "run": "x"}`}, `"x"`},
		"no record": {map[string]any{"status": "SUCCEEDED", "output": `{"dryRun": true, "run": "20200101T000000Z-000000"}`}, "20200101T000000Z-000000"},
	} {
		f := newFakeHub(t)
		f.ends, f.running = test.ends, 0
		got := cli(t, nil, byMachine...)
		if got.status != exitRegionFailed || got.out != "" || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: status %d, printed %q, %s", name, got.status, got.out, got.err)
		}
	}
}

// Whoever interrupts the waiting learns what goes on, and how to end it.
func TestAnInterruptedPlanOfAnOrganization(t *testing.T) {
	f := newFakeHub(t)
	f.running = 1000
	var out, errs bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	defer time.AfterFunc(3*time.Second, stop).Stop()
	status := run(ctx, byMachine, streams{strings.NewReader(""), &out, &errs}, func(string) string { return "" })
	arn := hubExecution + f.started[0]["name"]
	for _, says := range []string{"only the waiting ends", "the execution goes on, dry", "s3://records/org/runs/", "aws stepfunctions stop-execution --region us-east-1 --execution-arn " + arn} {
		if !strings.Contains(errs.String(), says) {
			t.Errorf("not said is %q: %s", says, errs.String())
		}
	}
	if status != exitInterrupted || out.Len() > 0 {
		t.Errorf("status %d, printed %q", status, out.String())
	}
}

// What makes no sense together starts nothing.
func TestAPlanOfAnOrganizationThatIsRefused(t *testing.T) {
	f := newFakeHub(t)
	other := strings.Replace(hubMachine, "default", "other", 1)
	for says, args := range map[string][]string{
		"plan --organization needs the hub":                         {"--organization"},
		"--state-machine names that of a hub":                       {"--state-machine", hubMachine},
		"[stack state-machine] were all set":                        {"--organization", "--stack", hubStack, "--state-machine", hubMachine},
		"--records goes with --state-machine":                       {"--organization", "--stack", hubStack, "--records", "s3://records"},
		`--state-machine: "ami-janitor-default" is not the ARN`:     {"--organization", "--state-machine", "ami-janitor-default", "--records", "s3://records"},
		`such as s3://bucket, not ""`:                               {"--organization", "--state-machine", hubMachine},
		`such as s3://bucket, not "records"`:                        {"--organization", "--state-machine", hubMachine, "--records", "records"},
		"--stale-after and --names: not with --organization":        {"--organization", "--stack", hubStack, "--stale-after", "90d", "--names", "web-*"},
		"--out: not with --organization":                            {"--organization", "--stack", hubStack, "--out", "plan.json"},
		"--function: not with --organization":                       {"--organization", "--function", "janitor"},
		"--output csv: a run over an organization":                  {"--organization", "--stack", hubStack, "--output", "csv"},
		"--stack nowhere in us-east-1: cloudformation:DescribeStac": {"--organization", "--stack", "nowhere"},
	} {
		got := cli(t, nil, append([]string{"plan"}, args...)...)
		if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, says) {
			t.Errorf("%v: status %d, %s", args, got.status, got.err)
		}
	}
	f.resource[machineResource] = "AWS::Lambda::Function"
	if got := cli(t, nil, "plan", "--organization", "--stack", hubStack); got.status != exitUsage || !strings.Contains(got.err, "its resource Machine is no state machine") {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	if len(f.started) > 0 {
		t.Errorf("started are %v", f.started)
	}
	got := cli(t, nil, "plan", "--organization", "--state-machine", other, "--records", "s3://records")
	if got.status != exitUsage || !strings.Contains(got.err, "starting "+other+": ") || !strings.Contains(got.err, "states:StartExecution: StateMachineDoesNotExist") {
		t.Errorf("status %d, %s", got.status, got.err)
	}
}
