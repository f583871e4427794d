package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

var now = time.Date(2026, time.November, 30, 2, 0, 0, 0, time.UTC)

const builder = "123456789012"

// night is one execution of the state machine on the built-in organization.
type night struct {
	*testing.T
	*emulator.Organization
	variables map[string]string
	out       bytes.Buffer // What the functions log.
}

func newNight(t *testing.T, variables map[string]string) *night {
	t.Helper()
	o, err := sample.Organization(emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range o.Accounts() {
		account.KeepRemoved(14)
	}
	all := map[string]string{
		"RECORDS": "s3://records/hub", "DRY_RUN": "false", "SHARED_IMAGES": "organization", "STACK_NAME": "organization",
		"TOPIC_ARN": "arn:aws:sns:us-east-1:210987654321:digest", "AWS_REGION": "us-east-1",
	}
	maps.Copy(all, variables)
	return &night{T: t, Organization: o, variables: all}
}

type object = map[string]any

// step invokes the function of a step, as Lambda does.
func (n *night) step(step string, input any) (object, error) {
	n.Helper()
	n.variables["STEP"] = step
	f, err := newFunction(n.Context(), func(name string) string { return n.variables[name] })
	if err != nil {
		n.Fatal(err)
	}
	f.hub.AWS, f.hub.Paced, f.out = testaccount.Config(n.Client()), false, &n.out
	f.hub.Clock = func() time.Time { return now }
	payload, err := json.Marshal(input)
	if err != nil {
		n.Fatal(err)
	}
	answer, err := f.handle(n.Context(), payload)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		n.Fatal(err)
	}
	var output object
	if err := json.Unmarshal(text, &output); err != nil {
		n.Fatal(err)
	}
	return output, nil
}

// must is step for one that has to succeed.
func (n *night) must(step string, input any) object {
	n.Helper()
	output, err := n.step(step, input)
	if err != nil {
		n.Fatalf("%s: %v", step, err)
	}
	return output
}

// items are the accounts in a document that a map reads.
func (n *night) items(key any) []string {
	n.Helper()
	out, err := s3.NewFromConfig(testaccount.Config(n.Client())).GetObject(n.Context(), &s3.GetObjectInput{Bucket: aws.String("records"), Key: aws.String(fmt.Sprint(key))})
	if err != nil {
		n.Fatal(err)
	}
	text, err := io.ReadAll(out.Body)
	if err != nil {
		n.Fatal(err)
	}
	var items []struct{ Account string }
	if err := json.Unmarshal(text, &items); err != nil {
		n.Fatal(err)
	}
	var accounts []string
	for _, item := range items {
		accounts = append(accounts, item.Account)
	}
	return accounts
}

// begin is the input of the first step.
func begin(input object) object {
	return object{"execution": "arn:aws:states:us-east-1:210987654321:execution:night:1", "startedAt": now, "wish": input}
}

// planned goes on until everything is planned, and returns the state.
func (n *night) planned(input object) object {
	n.Helper()
	state := n.must("targets", begin(input))
	for _, account := range n.items(state["census"]) {
		n.must("census", object{"run": state["run"], "account": account})
	}
	n.must("gather", state)
	for _, account := range n.items(state["plan"]) {
		n.must("plan", object{"run": state["run"], "account": account})
	}
	return state
}

// writes are the requests that may have changed an account.
func (n *night) writes() []emulator.MemberCall {
	return slices.DeleteFunc(n.Calls(), func(c emulator.MemberCall) bool { return c.Role == "" || emulator.IsRead(c.Action) })
}

// The whole night: nothing is written in any account before the allotment is there.
func TestANight(t *testing.T) {
	n := newNight(t, nil)
	state := n.planned(object{})
	if got := n.writes(); len(got) > 0 {
		t.Fatalf("before Allot: %v", got)
	}
	allotted := n.must("allot", state)
	if got := n.writes(); len(got) > 0 {
		t.Fatalf("before Sweep: %v", got)
	}
	sweeps := n.items(allotted["items"])
	if len(sweeps) != int(allotted["sweeps"].(float64)) || len(sweeps) < 5 {
		t.Fatalf("%v are swept, and the state says %v", sweeps, allotted)
	}
	for _, account := range sweeps {
		n.must("sweep", object{"run": state["run"], "account": account})
	}
	for _, call := range n.writes() {
		if call.Role != "ami-janitor-default-sweep" || !slices.Contains(sweeps, call.Account) {
			t.Errorf("%s in account %s with role %s", call.Action, call.Account, call.Role)
		}
	}
	told := n.must("tell", state)
	totals := told["totals"].(object)
	if told["error"] != "" || totals["deregistered"] != 10.0 || totals["accounts"] != 12.0 || totals["accountsCounted"] != 10.0 {
		t.Errorf("the answer is %v", told)
	}
	if !strings.Contains(n.out.String(), `"AccountsUncounted":1`) {
		t.Errorf("the metrics are %s", n.out.String())
	}
	attributes := map[string]int{}
	for _, message := range n.Hub().Published() {
		attributes[message.Attributes["account"]]++
	}
	if attributes["organization"] != 1 || attributes[builder] != 1 || attributes["888888888888"] != 0 {
		t.Errorf("the digests are those of %v", attributes)
	}
}

// An event can only make a run safer.
func TestADryNight(t *testing.T) {
	n := newNight(t, nil)
	state := n.planned(object{"dryRun": true})
	if allotted := n.must("allot", state); state["dryRun"] != true || allotted["sweeps"] != 0.0 {
		t.Errorf("the state is %v, and the allotment %v", state, allotted)
	}
	told := n.must("tell", state)
	if totals := told["totals"].(object); totals["wouldDeregister"] != 10.0 || totals["deregistered"] != 0.0 {
		t.Errorf("the answer is %v", told)
	}
	if got := n.writes(); len(got) > 0 {
		t.Errorf("a dry run has written: %v", got)
	}
	for _, input := range []any{object{"dry_run": true}, object{"dryRun": "false"}, []any{}, "x", object{"dryRun": nil}} {
		if answer, err := n.step("targets", object{"execution": "e", "startedAt": now, "wish": input}); err == nil {
			t.Errorf("%v is taken: %v", input, answer)
		}
	}
}

// Somebody stops the organization's run while it sweeps.
func TestAStoppedNight(t *testing.T) {
	n := newNight(t, map[string]string{"STOP_PARAMETER": "/ami-janitor/stop"})
	state := n.planned(object{})
	for _, account := range n.items(n.must("allot", state)["items"]) {
		// There is no such parameter.
		n.must("sweep", object{"run": state["run"], "account": account})
	}
	if got := n.writes(); len(got) > 0 {
		t.Errorf("it goes on: %v", got)
	}
	told := n.must("tell", state)
	if text := fmt.Sprint(told["notSwept"]); !strings.Contains(text, "/ami-janitor/stop") {
		t.Errorf("the answer is %v", told)
	}
}

// What the state machine has caught is told, and nothing is swept.
func TestANightThatFails(t *testing.T) {
	n := newNight(t, nil)
	state := n.must("targets", begin(object{}))
	state["failed"] = object{"Error": "errorString", "Cause": `{"errorMessage": "the bucket is away", "errorType": "errorString"}`}
	if told := n.must("tell", state); told["error"] != "the bucket is away" {
		t.Errorf("the answer is %v", told)
	}
	messages := n.Hub().Published()
	if len(messages) != 1 || !strings.Contains(messages[0].Message, "the bucket is away") {
		t.Errorf("the messages are %v", messages)
	}
	// Not even a run has begun.
	if told := n.must("tell", object{"failed": object{"Error": "States.Timeout", "Cause": ""}}); told["error"] != "States.Timeout" {
		t.Errorf("the answer is %v", told)
	}
}

// Nobody is counted, planned or swept who is not of the run.
func TestAStepForAnybody(t *testing.T) {
	n := newNight(t, nil)
	state := n.planned(object{})
	n.must("allot", state)
	for _, step := range []string{"census", "plan", "sweep"} {
		for _, account := range []string{"", "000000000000", "../x", "888888888888888"} {
			if _, err := n.step(step, object{"run": state["run"], "account": account}); err == nil {
				t.Errorf("%s works for account %q", step, account)
			}
		}
		if _, err := n.step(step, object{"run": "20200101T000000Z-000000", "account": builder}); err == nil {
			t.Errorf("%s works for a run that has not begun", step)
		}
	}
	if got := n.writes(); len(got) > 0 {
		t.Errorf("they have written: %v", got)
	}
}
