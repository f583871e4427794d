package template_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNoPartitionIsWrittenOut(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "arn:aws:") {
		t.Error("template.yaml names the partition aws")
	}
	walk(load(t).section("Resources"), "", func(path string, scalar any) {
		text, _ := scalar.(string)
		if strings.HasPrefix(text, "arn:") && !strings.HasPrefix(text, "arn:${AWS::Partition}:") {
			t.Errorf("%s: %s is bound to a partition", path, text)
		}
	})
}

func TestEveryRoleIsBoundedAsTheAccountDemands(t *testing.T) {
	tpl := load(t)
	roles := tpl.resources("AWS::IAM::Role")
	for _, role := range roles {
		boundary := at(role.properties["PermissionsBoundary"], "Fn::If")
		if target(role.properties["Path"]) != "RolePath" || len(list(boundary)) != 3 || target(list(boundary)[1]) != "PermissionsBoundary" {
			t.Errorf("%s: its path is %v, its boundary %v", role.name, role.properties["Path"], boundary)
		}
	}
	// SAM makes roles of its own where it is not given one.
	owner := func(value any) bool {
		return slices.ContainsFunc(roles, func(r resource) bool { return r.name == target(value) })
	}
	for _, function := range tpl.resources("AWS::Serverless::Function") {
		if !owner(function.properties["Role"]) || function.properties["Policies"] != nil {
			t.Errorf("the role of %s is made by SAM", function.name)
		}
		events, _ := function.properties["Events"].(object)
		for name, event := range events {
			if !owner(at(event, "Properties", "RoleArn")) {
				t.Errorf("the role of the event %s is made by SAM", name)
			}
		}
	}
}

func TestTheFunctionIsSafeToLeaveAlone(t *testing.T) {
	tpl := load(t)
	function := tpl.function().properties
	wanted := []struct {
		value any
		path  []string
	}{
		{"provided.al2023", []string{"Runtime"}},
		{"bootstrap", []string{"Handler"}},
		{900, []string{"Timeout"}},
		{"JSON", []string{"LoggingConfig", "LogFormat"}},
		{"INFO", []string{"LoggingConfig", "ApplicationLogLevel"}},
		{0, []string{"EventInvokeConfig", "MaximumRetryAttempts"}},
		{"SQS", []string{"EventInvokeConfig", "DestinationConfig", "OnFailure", "Type"}},
		{"ScheduleV2", []string{"Events", "Nightly", "Type"}},
		{true, []string{"Events", "Nightly", "Properties", "OmitName"}},
		{"FLEXIBLE", []string{"Events", "Nightly", "Properties", "FlexibleTimeWindow", "Mode"}},
		{"{}", []string{"Events", "Nightly", "Properties", "Input"}},
		{"ScheduleState", []string{"Events", "Nightly", "Properties", "State", "Ref"}},
		{"ScheduleTimezone", []string{"Events", "Nightly", "Properties", "ScheduleExpressionTimezone", "Ref"}},
	}
	for _, w := range wanted {
		if got := at(function, w.path...); got != w.value {
			t.Errorf("%s is %v, not %v", strings.Join(w.path, "."), got, w.value)
		}
	}
	if at(tpl.section("Resources"), tpl.function().name, "Metadata", "BuildMethod") != "makefile" {
		t.Error("SAM would build the function in its own way, without tags and version")
	}
	group := tpl.properties(target(at(function, "LoggingConfig", "LogGroup")))
	if target(group["RetentionInDays"]) != "LogRetentionDays" {
		t.Error("the log is kept for ever")
	}
	for name, value := range map[string]any{"DryRun": "true", "ReservedConcurrency": "", "ScheduleState": "ENABLED"} {
		if got := at(tpl.section("Parameters"), name, "Default"); got != value {
			t.Errorf("%s is by default %v", name, got)
		}
	}
}

func TestQueuesAreEncryptedAndTakeOnlyTLS(t *testing.T) {
	tpl := load(t)
	for _, queue := range tpl.resources("AWS::SQS::Queue") {
		var policy []statement
		for _, p := range tpl.resources("AWS::SQS::QueuePolicy") {
			if slices.ContainsFunc(list(p.properties["Queues"]), func(v any) bool { return target(v) == queue.name }) {
				policy = append(policy, tpl.statements(p.name, tpl.decided(p.properties["PolicyDocument"]))...)
			}
		}
		policy = append(policy, statement{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}})
		plain := request{"sqs:SendMessage", "<" + queue.name + ">", map[string]string{"aws:SecureTransport": "false"}}
		if queue.properties["SqsManagedSseEnabled"] != true || allowed(policy, plain) {
			t.Errorf("%s is not encrypted, or takes what is not TLS", queue.name)
		}
	}
}

// TestTheKeyIsForItsPublishersOnly looks at who may use the key, not at who may administer it.
func TestTheKeyIsForItsPublishersOnly(t *testing.T) {
	for _, of := range []struct {
		template  template
		publisher string
	}{{load(t), "<JanitorRole>"}, {loadHub(t, nil), "<TellRole>"}} {
		theKeyIsForItsPublishers(t, of.template, of.publisher)
	}
}

func theKeyIsForItsPublishers(t *testing.T, tpl template, publisher string) {
	t.Helper()
	for _, key := range tpl.resources("AWS::KMS::Key") {
		policy := tpl.statements(key.name, key.properties["KeyPolicy"])
		for action, may := range map[string]bool{"kms:ScheduleKeyDeletion": true, "kms:DescribeKey": true, "kms:Decrypt": false, "kms:CreateGrant": false} {
			for who, is := range map[string]bool{"arn:aws:iam::123456789012:role/Admin": may, "arn:aws:iam::999988887777:role/Admin": false} {
				if got := admitted(policy, who, request{action, "*", map[string]string{"kms:ViaService": "sns.eu-west-1.amazonaws.com"}}); got != is {
					t.Errorf("%s: %s may %s: %v", key.name, who, action, got)
				}
			}
		}
		for _, s := range policy {
			for _, action := range []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:CreateGrant"} {
				used := slices.ContainsFunc(s.actions, func(pattern string) bool { return like(pattern, action) })
				publishes := s.isFor(publisher) || s.isFor("cloudwatch.amazonaws.com")
				if used && (!publishes || len(s.conditions) == 0 || action != "kms:Decrypt" && action != "kms:GenerateDataKey") {
					t.Errorf("%s: %s allows %s", key.name, s.sid, action)
				}
			}
		}
		if key.properties["EnableKeyRotation"] != true {
			t.Errorf("%s is not rotated", key.name)
		}
	}
}

func TestSlackMayOnlyRead(t *testing.T) {
	slack := load(t).properties("SlackChannel")
	for _, policy := range list(slack["GuardrailPolicies"]) {
		if at(policy, "Fn::Sub") != "arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess" {
			t.Errorf("the guardrail is %v", policy)
		}
	}
	if len(list(slack["GuardrailPolicies"])) == 0 {
		t.Error("there is no guardrail, which is AdministratorAccess")
	}
}

// TestOnlyRecordsAreLeftBehind: whatever outlives its stack costs money, and stops the next one of
// the same name. Without the records nobody knows what a run has removed; they have no name, and
// stay as well guarded as they were.
func TestOnlyRecordsAreLeftBehind(t *testing.T) {
	for name, definition := range load(t).section("Resources") {
		var deletion, replacement any
		if strings.HasPrefix(name, "RecordsBucket") {
			deletion, replacement = "RetainExceptOnCreate", "Retain"
		}
		if got := at(definition, "DeletionPolicy"); got != deletion {
			t.Errorf("%s has the DeletionPolicy %v, not %v", name, got, deletion)
		}
		if got := at(definition, "UpdateReplacePolicy"); got != replacement {
			t.Errorf("%s has the UpdateReplacePolicy %v, not %v", name, got, replacement)
		}
	}
}
