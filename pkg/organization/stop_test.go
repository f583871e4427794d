package organization_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// stoppable is an organization with a stop parameter, in which a run has swept before.
func stoppable(t *testing.T, all testaccount.Files, variables map[string]string) *nights {
	t.Helper()
	all["records/org/seen.json"] = object{"realRuns": 1, "listed": 2, "answered": 2}
	variables["STOP_PARAMETER"], variables["MAX_ORG_DEREGISTRATIONS"], variables["MAX_DEREGISTRATIONS"] = "go-on", "1000", "1000"
	n := newNights(t, all, variables)
	n.set("run")
	return n
}

// set gives the stop parameter a value.
func (n *nights) set(value string) {
	_, err := ssm.NewFromConfig(testaccount.Config(n.Client())).PutParameter(n.Context(), &ssm.PutParameterInput{
		Name: aws.String("go-on"), Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		n.Error(err)
	}
}

// stopAt has somebody stop the run when an account is first asked for an action. An empty action
// never comes.
type stopAt struct {
	next   emulator.Doer
	action string
	stop   func()
	once   sync.Once
}

func (s *stopAt) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	response, err := s.next.Do(r)
	if q.Session != "" && q.Action == s.action {
		s.once.Do(s.stop)
	}
	return response, err
}

// sweptUntil is a run that is stopped in its sweep of the builder's account. It returns the run as
// it is told, and how often each action was asked for in the sweep.
func (n *nights) sweptUntil(action string) (record.Organization, map[string]int) {
	n.Helper()
	n.set("run")
	run, sweeps := n.planned(false)
	if len(sweeps) != 1 || sweeps[0].Account != builder {
		n.Fatalf("%v are swept", sweeps)
	}
	before := len(n.Calls())
	n.AWS = testaccount.Config(&stopAt{next: n.Client(), action: action, stop: func() { n.set("stop") }})
	if err := n.Sweep(n.Context(), run, builder); err != nil {
		n.Fatal(err)
	}
	asked := map[string]int{}
	for _, call := range n.Calls()[before:] {
		if call.Role != "" {
			asked[call.Action]++
		}
	}
	n.AWS = testaccount.Config(n.Client())
	told := n.Collect(n.Context(), run, "", nil)
	n.now = n.now.AddDate(0, 0, 1)
	return told, asked
}

// realRuns is how many runs are remembered to have swept.
func (n *nights) realRuns() string {
	text := string(n.Organization.Hub().Objects("records")["org/seen.json"])
	_, after, _ := strings.Cut(text, `"realRuns":`)
	return strings.TrimSpace(after[:strings.IndexAny(after, ",}")])
}

// A stop after the first removals ends the run with the chunk in hand. It is told as what ended the
// run, with what was done; the run is not remembered as one that came to its end, and the next one
// goes on.
func TestAStopAfterTheFirstRemovals(t *testing.T) {
	var due []object
	for n := range 250 {
		due = append(due, stale(n, nil))
	}
	n := stoppable(t, files(map[string]testaccount.Files{builder: {"describe-images.json": images(due...)}}), map[string]string{})
	told, asked := n.sweptUntil("DeregisterImage")
	if removed := told.Totals.Deregistered; removed == 0 || removed >= 200 || asked["DeregisterImage"] != removed {
		t.Errorf("%d of 250 are removed in %d requests", removed, asked["DeregisterImage"])
	}
	if told.Step != "Sweep" || !strings.Contains(told.Error, "somebody has set parameter go-on") || told.NotSwept != "" {
		t.Errorf("%q ended it in %q; not swept: %q", told.Error, told.Step, told.NotSwept)
	}
	if got := n.realRuns(); got != "1" {
		t.Errorf("%s runs have swept", got)
	}
	left := 250 - told.Totals.Deregistered
	if told, _ = n.sweptUntil(""); told.Error != "" || told.Totals.Deregistered != left || n.realRuns() != "2" {
		t.Errorf("the next run: %q, %d of %d removed, %s runs have swept", told.Error, told.Totals.Deregistered, left, n.realRuns())
	}
}

// A stop before anything was changed is told as nothing swept.
func TestAStopBeforeTheFirstChange(t *testing.T) {
	n := stoppable(t, files(map[string]testaccount.Files{builder: {"describe-images.json": images(stale(1, nil))}}), map[string]string{})
	told, asked := n.sweptUntil("DescribeImages")
	for action := range asked {
		if !emulator.IsRead(action) {
			t.Errorf("it asks for %s", action)
		}
	}
	if told.Error != "" || !strings.Contains(told.NotSwept, "somebody has set parameter go-on") || n.realRuns() != "1" {
		t.Errorf("it ends with %q; not swept: %q; %s runs have swept", told.Error, told.NotSwept, n.realRuns())
	}
}

// A stop during the leftovers of an earlier run ends it with those in flight.
func TestAStopDuringLeftovers(t *testing.T) {
	snapshot := func(n int) object {
		return object{
			"SnapshotId": testaccount.SnapshotID(n), "OwnerId": builder, "State": "completed", "VolumeSize": 8,
			"Description": "Created by CreateImage(i-00000000000000001) for " + testaccount.ImageID(n),
		}
	}
	// One that stays, so that EC2 does not delete those of an image along with it.
	keeps := snapshot(1000)
	keeps["Tags"] = []object{{"Key": "ami-janitor:keep", "Value": "true"}}
	due, snapshots := []object{}, []object{keeps}
	for n := range 100 {
		due = append(due, stale(n, object{"BlockDeviceMappings": []object{
			{"DeviceName": "/dev/xvda", "Ebs": object{"SnapshotId": testaccount.SnapshotID(n), "VolumeSize": 8}},
			{"DeviceName": "/dev/xvdb", "Ebs": object{"SnapshotId": testaccount.SnapshotID(1000), "VolumeSize": 8}},
		}}))
		snapshots = append(snapshots, snapshot(n))
	}
	n := stoppable(t, files(map[string]testaccount.Files{
		builder: {"describe-images.json": images(due...), "describe-snapshots.json": object{"Snapshots": snapshots}},
	}), map[string]string{})
	n.AWS = testaccount.Config(disturb.Fail(n.Client(), "DeleteSnapshot", nil, http.StatusBadRequest, "OperationNotPermitted", "not now"))
	if first := n.night(); first.Totals.Deregistered != 100 || first.Totals.SnapshotsFailed != 100 {
		t.Fatalf("%+v", first.Totals)
	}
	told, asked := n.sweptUntil("DeleteSnapshot")
	if deleted := asked["DeleteSnapshot"]; deleted == 0 || deleted > 50 || told.Totals.LeftoversFinished != deleted {
		t.Errorf("%d of 100 are deleted, and %d told", deleted, told.Totals.LeftoversFinished)
	}
	if told.Step != "Sweep" || !strings.Contains(told.Error, "somebody has set parameter go-on") {
		t.Errorf("it ends with %q in %q; not swept: %q", told.Error, told.Step, told.NotSwept)
	}
	left := 100 - told.Totals.LeftoversFinished
	if told, _ = n.sweptUntil(""); told.Error != "" || told.Totals.LeftoversFinished != left {
		t.Errorf("the next run: %q, %d of %d deleted", told.Error, told.Totals.LeftoversFinished, left)
	}
}

// After a stop no usage report is asked for: before the first change, or after the last one.
func TestAStopBeforeUsageReports(t *testing.T) {
	organization := func() *nights {
		return stoppable(t, files(map[string]testaccount.Files{builder: {
			"describe-images.json":             images(stale(1, nil), stale(2, nil)),
			"describe-launch-permissions.json": object{testaccount.ImageID(1): []object{{"UserId": "999999999999"}}},
		}}), map[string]string{})
	}
	if _, asked := organization().sweptUntil(""); asked["CreateImageUsageReport"] != 1 {
		t.Fatalf("without a stop: %v", asked)
	}
	for _, action := range []string{"DescribeImages", "DeregisterImage"} {
		n := organization()
		told, asked := n.sweptUntil(action)
		if asked["CreateImageUsageReport"] > 0 || !strings.Contains(told.NotSwept+told.Error, "somebody has set parameter go-on") {
			t.Errorf("stopped at %s, it asks for %v; not swept: %q; ended by %q", action, asked, told.NotSwept, told.Error)
		}
		if _, asked = n.sweptUntil(""); asked["CreateImageUsageReport"] != 1 {
			t.Errorf("stopped at %s, the next night: %v", action, asked)
		}
	}
}
