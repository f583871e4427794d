package deployment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
)

const account = testaccount.ID

// The names of a deployment.
const (
	Stack    = "ami-janitor"
	Function = "ami-janitor-JanitorFunction-EXAMPLE"
	Bucket   = "ami-janitor-recordsbucket-example"
	Role     = "arn:aws:iam::" + account + ":role/ami-janitor-JanitorRole-EXAMPLE"
	Caller   = "arn:aws:iam::" + account + ":user/Alice"
	Boundary = "arn:aws:iam::" + account + ":policy/Boundary"

	references = "arn:aws:iam::aws:policy/AmazonEC2ImageReferencesAccessPolicy"
	created    = "2026-11-01T10:00:00Z"
	stackARN   = ":stack/ami-janitor/51af3dc0-da77-11e4-872e-1234567db123"
)

// Files are those of an account in which template.yaml is deployed in a region, as its parameters
// say; the others are as by default. A run has ended at the time that is given.
func Files(t testaccount.TB, root, region string, parameters map[string]string, lastRun time.Time) testaccount.Files {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml")) //nolint:gosec // Tests name their repository.
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	tpl := template{sections: decode(document.Content[0]).(object), parameters: map[string]string{}, region: region}
	for name, definition := range tpl.section("Parameters") {
		tpl.parameters[name] = fmt.Sprint(definition.(object)["Default"])
	}
	for name, value := range parameters {
		if _, ok := tpl.parameters[name]; !ok {
			t.Fatal("template.yaml has no parameter " + name)
		}
		tpl.parameters[name] = value
	}
	files := testaccount.Files{
		"get-caller-identity.json":       object{"Account": account, "Arn": Caller, "UserId": "AIDACKCEVSQ6C2EXAMPLE"},
		"iam-list-account-aliases.json":  object{"AccountAliases": []any{"example-prod"}},
		"s3/" + Bucket + "/account.json": object{"account": account},
	}
	run := lastRun.UTC().Format("20060102T150405Z") + "-3f9c1a"
	files["s3/"+Bucket+"/runs/"+run+"/record.json"] = object{
		"run": run, "schemaVersion": 1, "startedAt": lastRun.Add(-time.Minute).UTC().Format(time.RFC3339), "finishedAt": lastRun.UTC().Format(time.RFC3339), "dryRun": true,
		"policy": object{}, "regions": []any{object{"account": account, "region": region, "images": []any{}}}, "totals": object{},
	}
	tpl.stackFiles(files)
	tpl.iamFiles(files)
	tpl.otherFiles(files)
	return files
}

// names are the names of the resources of a kind that there are, sorted; of all without one.
func (t template) names(kind string) []string {
	var names []string
	for name := range t.section("Resources") {
		if t.has(name) && (kind == "" || t.kind(name) == kind) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// schedule is the logical id that SAM gives the schedule of the function.
const schedule = "JanitorFunctionNightly"

func (t template) stackFiles(files testaccount.Files) {
	id := "arn:aws:cloudformation:" + t.region + ":" + account + stackARN
	var set, listed, outputs []any
	for name, value := range t.parameters {
		set = append(set, object{"ParameterKey": name, "ParameterValue": value})
	}
	list := func(name, kind, physical string) {
		listed = append(listed, object{
			"StackName": Stack, "StackId": id, "LogicalResourceId": name, "PhysicalResourceId": physical, "ResourceType": kind,
			"Timestamp": created, "ResourceStatus": "CREATE_COMPLETE",
		})
	}
	for _, name := range t.names("") {
		list(name, t.kind(name), t.id(name))
	}
	list(schedule, "AWS::Scheduler::Schedule", physical(schedule))
	for key, output := range t.section("Outputs") {
		o := output.(object)
		if o["Condition"] == nil || t.holds(o["Condition"]) {
			outputs = append(outputs, object{"OutputKey": key, "OutputValue": fmt.Sprint(t.eval(o["Value"]))})
		}
	}
	files["cloudformation-describe-stacks.json"] = object{"Stacks": []any{object{
		"StackName": Stack, "StackId": id, "StackStatus": "CREATE_COMPLETE", "CreationTime": created, "Parameters": set, "Outputs": outputs,
	}}}
	files["cloudformation-get-template.json"] = []any{object{"StackName": Stack, "TemplateBody": "Resources: {}"}}
	files["cloudformation-describe-stack-resources.json"] = object{"StackResources": listed}
	files["cloudformation-describe-stack-resource.json"] = []any{object{"StackResourceDetail": object{
		"StackName": Stack, "StackId": id, "LogicalResourceId": "JanitorFunction", "PhysicalResourceId": Function,
		"ResourceType": "AWS::Lambda::Function", "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": created,
	}}}
	function := t.properties("JanitorFunction")
	files["lambda-get-function-configuration.json"] = []any{object{
		"FunctionName": Function, "FunctionArn": t.attribute("JanitorFunction", "Arn"), "Role": function["Role"], "Environment": function["Environment"],
	}}
}

func (t template) iamFiles(files testaccount.Files) {
	var roles []any
	policies := []any{managed(references, object{"Statement": []any{object{
		"Effect": "Allow", "Resource": "*",
		"Action": []any{
			"ec2:DescribeInstances", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions", "ssm:DescribeParameters", "ssm:GetParameters",
			"imagebuilder:ListImageRecipes", "imagebuilder:ListContainerRecipes", "imagebuilder:GetContainerRecipe",
		},
		"Condition": object{"ForAnyValue:StringEquals": object{"aws:CalledVia": []any{"ec2-images.amazonaws.com"}}},
	}}}), managed("arn:aws:iam::aws:policy/ReadOnlyAccess", object{"Statement": []any{object{
		"Effect": "Allow", "Resource": "*", "Action": []any{"*:Describe*", "*:Get*", "*:List*"},
	}}}), managed(Boundary, object{"Statement": []any{object{"Effect": "Allow", "Action": "*", "Resource": "*"}}})}
	for _, name := range t.names("AWS::IAM::ManagedPolicy") {
		policies = append(policies, managed(t.id(name), t.properties(name)["PolicyDocument"]))
	}
	for _, name := range t.names("AWS::IAM::Role") {
		properties := t.properties(name)
		role := object{"RoleName": physical(name), "Arn": t.attribute(name, "Arn"), "Path": t.parameters["RolePath"], "CreateDate": created, "RoleId": "AROADBQP57FF2AEXAMPLE"}
		written, _ := properties["Policies"].([]any)
		for _, other := range t.names("AWS::IAM::Policy") {
			if policy := t.properties(other); isOf(policy, physical(name)) {
				written = append(written, policy)
			}
		}
		var attached []any
		arns, _ := properties["ManagedPolicyArns"].([]any)
		for _, arn := range arns {
			attached = append(attached, object{"PolicyName": last(arn.(string)), "PolicyArn": arn})
		}
		for _, other := range t.names("AWS::IAM::ManagedPolicy") {
			if isOf(t.properties(other), physical(name)) {
				attached = append(attached, object{"PolicyName": last(t.id(other)), "PolicyArn": t.id(other)})
			}
		}
		role["RolePolicyList"], role["AttachedManagedPolicies"] = written, attached
		if boundary := properties["PermissionsBoundary"]; boundary != nil {
			role["PermissionsBoundary"] = object{"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
		}
		roles = append(roles, role)
	}
	files["iam-get-account-authorization-details.json"] = object{
		"RoleDetailList": roles, "Policies": policies, "GroupDetailList": []any{},
		"UserDetailList": []any{object{
			"UserName": "Alice", "Arn": Caller, "AttachedManagedPolicies": []any{object{"PolicyName": "ReadOnlyAccess", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
		}},
	}
}

func last(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// isOf reports whether a policy names a role.
func isOf(policy object, role string) bool {
	roles, _ := policy["Roles"].([]any)
	return slices.Contains(roles, any(role))
}

func managed(arn string, document any) object {
	return object{
		"PolicyName": last(arn), "Arn": arn, "DefaultVersionId": "v1",
		"PolicyVersionList": []any{object{"VersionId": "v1", "IsDefaultVersion": true, "Document": document}},
	}
}

func (t template) otherFiles(files testaccount.Files) {
	files["scheduler-get-schedule.json"] = []any{object{
		"Name": physical(schedule), "GroupName": "default", "Arn": t.arn("scheduler", "schedule/default/"+physical(schedule)),
		"State": t.parameters["ScheduleState"], "ScheduleExpression": t.parameters["ScheduleExpression"],
		"Target": object{"Arn": t.attribute("JanitorFunction", "Arn"), "RoleArn": t.attribute("ScheduleRole", "Arn")},
	}}
	subscriptions, alarms, rules := []any{}, []any{}, []any{}
	for _, name := range t.names("AWS::SNS::Subscription") {
		p := t.properties(name)
		subscriptions = append(subscriptions, object{
			"SubscriptionArn": fmt.Sprint(p["TopicArn"]) + ":80289ba6-0fd4-4079-afb4-ce8c8260f0ca", "Owner": account, "TopicArn": p["TopicArn"], "Protocol": p["Protocol"], "Endpoint": p["Endpoint"],
		})
	}
	for _, name := range t.names("AWS::CloudWatch::Alarm") {
		p := t.properties(name)
		alarm := object{"AlarmName": physical(name), "AlarmArn": t.attribute(name, "Arn"), "AlarmActions": p["AlarmActions"], "ActionsEnabled": true, "StateValue": "OK"}
		if enabled, ok := p["ActionsEnabled"].(bool); ok {
			alarm["ActionsEnabled"] = enabled
		}
		alarms = append(alarms, alarm)
	}
	for i, name := range t.names("AWS::Rbin::Rule") {
		p := t.properties(name)
		days := p["RetentionPeriod"].(object)["RetentionPeriodValue"]
		var number int
		_, _ = fmt.Sscan(fmt.Sprint(days), &number)
		rules = append(rules, object{
			"Identifier": fmt.Sprintf("rule000000%d", i), "ResourceType": p["ResourceType"], "Status": "available", "ResourceTags": p["ResourceTags"],
			"RetentionPeriod": object{"RetentionPeriodUnit": "DAYS", "RetentionPeriodValue": number},
		})
	}
	files["sns-list-subscriptions-by-topic.json"] = object{"Subscriptions": subscriptions}
	files["cloudwatch-describe-alarms.json"] = object{"MetricAlarms": alarms}
	files["list-rules.json"] = object{"Rules": rules}
	bucket := t.properties("RecordsBucket")
	files["s3-buckets.json"] = object{"Buckets": []any{object{"Name": Bucket, "Versioning": bucket["VersioningConfiguration"]}}}
	files["s3api-get-public-access-block.json"] = []any{object{"Bucket": Bucket, "PublicAccessBlockConfiguration": bucket["PublicAccessBlockConfiguration"]}}
	var encrypted []any
	for _, rule := range bucket["BucketEncryption"].(object)["ServerSideEncryptionConfiguration"].([]any) {
		encrypted = append(encrypted, object{"ApplyServerSideEncryptionByDefault": rule.(object)["ServerSideEncryptionByDefault"]})
	}
	files["s3api-get-bucket-encryption.json"] = []any{object{"Bucket": Bucket, "ServerSideEncryptionConfiguration": object{"Rules": encrypted}}}
}
