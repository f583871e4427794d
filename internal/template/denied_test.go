package template_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// reads are the actions by which the function may look at something, as its role has them when
// everything is switched on.
func reads(t *testing.T) []string {
	t.Helper()
	actions := map[string]bool{}
	for _, s := range load(t).with(variants["everything together"]).grants("JanitorRole") {
		for _, action := range s.actions {
			_, name, _ := strings.Cut(action, ":")
			isRead := slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(verb string) bool { return strings.HasPrefix(name, verb) })
			if s.effect == "Allow" && isRead {
				actions[action] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(actions))
}

// operation is the operation of the API to which IAM's action belongs.
func operation(action string) string {
	if action == "cloudformation:ListStacks" {
		action = "cloudformation:DescribeStacks" // Of all stacks, which nobody sees without both.
	}
	for operation, permission := range namedOtherwise {
		if permission == action {
			action = operation
		}
	}
	_, name, _ := strings.Cut(action, ":")
	return name
}

// night is a run of the function as the template deploys it, with everything switched on, and told
// to speak only where it has to, and the digests that it has sent. Five images of the sample are
// left out: of one nobody may read the launch permissions, another cannot be restored, because its
// root device is an instance store, and three carry tags of announcements that no record confirms.
func night(t *testing.T, account *emulator.Account, client emulator.Doer, clock func() time.Time, most string, isComplete bool) (record.Run, []emulator.Message) {
	t.Helper()
	tpl := load(t).with(variants["everything together"])
	variables := map[string]string{}
	for variable, name := range tpl.byVariable() {
		if _, isPlace := places[variable]; !isPlace {
			variables[variable] = tpl.parameter(name).(string)
		}
	}
	maps.Copy(variables, map[string]string{
		"NOTIFY_ON": "failures", "NAMES": "!golden-ubuntu-*,!render-node-bundle", "GRACE": "0d", "GRACE_ACTION": "announce", "REGIONS": "all", "MAX_DEREGISTRATIONS": most,
		"RECORDS": places["RECORDS"].example, "POLICY_NAME": places["POLICY_NAME"].example, "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:DigestTopic",
		"OWNERS_TOPIC_ARN": "", // The digests are counted.
	})
	parsed, err := config.Parse(func(variable string) string { return variables[variable] })
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // The ids of runs begin with the second.
	j := janitor.Janitor{Config: parsed, AWS: configuration(client, "us-east-1"), Clock: clock, Complete: isComplete}
	before := len(account.Published())
	record := j.Run(t.Context(), ami.NewRunID(clock(), strings.NewReader("\x3f\x9c\x1a")), false)
	if err := j.Tell(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return record, account.Published()[before:]
}

// secondNight is a night for which everything is prepared: the digest of the first run is out, and
// the usage reports are there that it has asked for, after a look at all images. Some operations
// are denied.
func secondNight(t *testing.T, denied ...string) (record record.Run, told []emulator.Message) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		clock := clock()
		account := loadSample(t, clock)
		makeRules(t, load(t).with(variants["everything together"]), account.Client())
		if first, told := night(t, account, account.Client(), clock, "3", true); first.Failed() || first.LacksProof() || len(told) != 1 {
			t.Fatalf("the first night: %d digests, %+v\n%s", len(told), first.Totals, digest.Text(first))
		}
		time.Sleep(24 * time.Hour)
		record, told = night(t, account, disturb.Deny(account.Client(), denied...), clock, "100", false)
	})
	return record, told
}

// removedBy are the images that a run has deregistered.
func removedBy(record record.Run) map[string]bool {
	removed := map[string]bool{}
	for _, region := range record.Regions {
		for _, image := range region.Images {
			if image.Outcome != nil && image.Outcome.Status == ami.Deregistered {
				removed[image.ImageID] = true
			}
		}
	}
	return removed
}

// ofSome are the actions on which not all depends that a run removes: they read usage reports,
// which are for images that others may launch.
var ofSome = []string{"ec2:DescribeImageUsageReports", "ec2:DescribeImageUsageReportEntries"}

// onlyShown is the action on which nothing depends: it names the account.
const onlyShown = "iam:ListAccountAliases"

// TestWhateverIsDeniedIsTold takes each action by which the function looks at something from its
// role, after a night on which it could do everything: somebody is told, the digest names the
// action, record and metrics say it, and nothing goes that depends on it.
func TestWhateverIsDeniedIsTold(t *testing.T) {
	actions := reads(t)
	if len(actions) < 25 {
		t.Errorf("the role has only these to look with: %v", actions)
	}
	good, told := secondNight(t)
	due := removedBy(good)
	if len(told) > 0 || len(due) < 10 {
		t.Fatalf("a good night is told of, or has nothing to do: %d digests, %+v", len(told), good.Totals)
	}
	for _, action := range actions {
		t.Run(action, func(t *testing.T) {
			record, told := secondNight(t, operation(action))
			if action == onlyShown {
				if len(told) > 0 || record.AccountAlias != "" || good.AccountAlias == "" || !maps.Equal(removedBy(record), due) {
					t.Errorf("%d digests of %q, after %q: %+v", len(told), record.AccountAlias, good.AccountAlias, record.Totals)
				}
				return
			}
			if len(told) != 1 || !strings.Contains(told[0].Message, action) {
				t.Fatalf("%d digests: %+v\n%s", len(told), record.Totals, digest.Text(record))
			}
			if !record.Failed() && !record.LacksProof() {
				t.Error("the record does not say it")
			}
			if !alarmed(t, record) {
				t.Error("no alarm goes off")
			}
			removed := removedBy(record)
			for id := range removed {
				if !due[id] || !slices.Contains(ofSome, action) {
					t.Errorf("%s is removed", id)
				}
			}
			if isForShared := strings.Contains(action, "UsageReport"); isForShared && (record.Totals.Unproven == 0 || record.Totals.Unproven+len(removed) != len(due)) {
				t.Errorf("%d of %d are removed, %d unproven", len(removed), len(due), record.Totals.Unproven)
			}
		})
	}
}

// alarmed reports whether a metric of a run is one at which an alarm of the template goes off, now
// or after some nights.
func alarmed(t *testing.T, run record.Run) bool {
	t.Helper()
	var metrics map[string]any
	if err := json.Unmarshal(record.Metrics(run, "ami-janitor", true), &metrics); err != nil {
		t.Fatal(err)
	}
	for _, alarm := range load(t).resources("AWS::CloudWatch::Alarm") {
		name, _ := alarm.properties["MetricName"].(string)
		if value, ok := metrics[name].(float64); ok && value > 0 && alarm.properties["ComparisonOperator"] == "GreaterThanOrEqualToThreshold" {
			return true
		}
	}
	return janitor.Err(run) != nil || run.Totals.Failed+run.Totals.SnapshotsFailed > 0
}
