package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// loadHub reads organization.yaml as it is deployed.
func loadHub(t *testing.T, parameters map[string]string) template {
	t.Helper()
	chosen := map[string]string{"OrganizationId": organizationID, "ExternalId": externalID}
	maps.Copy(chosen, parameters)
	return read(t, "organization.yaml").with(chosen).settled()
}

// hubWitness notes what the steps of a run ask AWS for: as a role of the hub, or as one of a
// member.
type hubWitness struct {
	t       *testing.T
	account *emulator.Organization

	mu   sync.Mutex
	step string
	hub  map[string]map[string]request // By step.
	role map[string]map[string]request // By the member's role.
}

func (w *hubWitness) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	step := w.step
	w.mu.Unlock()
	if q.Session == "" {
		w.note(w.hub, step, w.ofHub(q))
	} else {
		role := map[bool]string{true: "SweepRole", false: "ReadRole"}[step == "sweep"]
		w.note(w.role, role, w.ofMember(q))
	}
	return w.account.Client().Do(r)
}

func (w *hubWitness) note(by map[string]map[string]request, who string, asked []request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if by[who] == nil {
		by[who] = map[string]request{}
	}
	for _, one := range asked {
		by[who][fmt.Sprint(one)] = one
	}
}

func (w *hubWitness) ofHub(q emulator.Request) []request {
	action := q.Service + ":" + q.Action
	switch {
	case action == "sts:AssumeRole":
		return []request{{action, q.Form.Get("RoleArn"), map[string]string{"aws:ResourceOrgID": organizationID}}}
	case q.Service == "organizations":
		return []request{{action, "*", nil}}
	case q.Service == "s3" && "s3://"+q.Form.Get("Bucket") != places["RECORDS"].example:
		// Keep lists and texts, which S3 decrypts for the reader.
		asked := onRecords(q)
		return append(asked, request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "s3." + region + ".amazonaws.com"}})
	default:
		return (&witness{t: w.t}).requests(q)
	}
}

// ofMember is what the account of a member would be asked, as that of the template.
func (w *hubWitness) ofMember(q emulator.Request) []request {
	id := w.account.AccountOf(q)
	asked := (&witness{t: w.t, account: w.account.Accounts()[id].Client()}).requests(q)
	for i := range asked {
		asked[i].resource = strings.ReplaceAll(asked[i].resource, id, account)
		if asked[i].context["ec2:Owner"] == id {
			asked[i].context["ec2:Owner"] = account
		}
	}
	return asked
}

// asking is everything that is switched on for the organization's runs in the tests.
var asking = map[string]string{
	"KeepList": "s3://lists/repos/,ssm:/keep", "TextObjects": "s3://states/prod/", "SharedImages": "organization", "LaunchTemplateVersions": "1", "ImageBuilderImages": "judge",
	"CloudFormationTemplates": "true", "UsageSources": "all,elastic-beanstalk", "RequireRecycleBin": "false", "Regions": "all", "DryRun": "false", "NotifyOn": "always", "Grace": "1d",
}

// askedByAll lets the steps of four runs over the sample organization ask.
func askedByAll(t *testing.T) (hub, role map[string]map[string]request) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		clock := clock()
		sampled, err := sample.Organization(emulator.Options{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		put := func(bucket, key, text string) {
			client := s3.NewFromConfig(configuration(sampled.Client(), "us-east-1"))
			if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte(text))}); err != nil {
				t.Fatal(err)
			}
		}
		for _, account := range sampled.Accounts() {
			account.SetInUseLag(20)
		}
		put("lists", "repos/web", "nothing-of-that-name")
		put("states", "prod/a.tfstate", "{}")
		w := &hubWitness{t: t, account: sampled, hub: map[string]map[string]request{}, role: map[string]map[string]request{}}
		// What is announced in the first night is due in the second, in which EC2 refuses some of
		// it after the plan. Later ones find out, and finish it.
		refusing := disturb.Fail(w, "DeregisterImage", func(n int, _ emulator.Request) bool { return n%2 == 0 },
			http.StatusBadRequest, "OperationNotPermitted", "The image is protected.")
		removed := 0
		for _, client := range []emulator.Doer{w, refusing, refusing, w} {
			time.Sleep(25 * time.Hour)
			removed += nightOver(t, w, client, clock)
		}
		if removed == 0 {
			t.Fatal("the runs removed nothing")
		}
		hub, role = w.hub, w.role
	})
	return hub, role
}

// variablesOfHub are the variables that the template gives every function.
func variablesOfHub(tpl template) map[string]string {
	variables := map[string]string{}
	for variable, value := range at(tpl.object["Globals"], "Function", "Environment", "Variables").(object) {
		value = tpl.settle(value)
		text, isText := value.(string)
		if !isText {
			text = filled(value)
		}
		variables[variable] = text
	}
	variables["RECORDS"] = places["RECORDS"].example
	for _, variable := range []string{"TOPIC_ARN", "CHAT_TOPIC_ARN"} {
		variables[variable] = "arn:aws:sns:us-east-1:123456789012:" + strings.Trim(variables[variable], "<>")
	}
	variables["STOP_PARAMETER"] = filled(tpl.properties("StopParameter")["Name"])
	return variables
}

// nightOver carries out the steps of a run, as the state machine does. It returns how many images
// were removed.
func nightOver(t *testing.T, w *hubWitness, client emulator.Doer, clock func() time.Time) int {
	t.Helper()
	variables := variablesOfHub(loadHub(t, asking))
	// The sample has no parameter.
	variables["STOP_PARAMETER"], variables["KEEP_LIST"] = "", "s3://lists/repos/"
	parsed, err := config.ParseOrganization(func(variable string) string { return variables[variable] })
	if err != nil {
		t.Fatal(err)
	}
	hub := &organization.Hub{Config: parsed, AWS: configuration(client, "us-east-1"), Clock: clock}
	run := string(ami.NewRunID(clock(), strings.NewReader("\x3f\x9c\x1a")))
	step := func(name string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.step = name
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	step("targets")
	started, err := hub.Targets(t.Context(), run, false)
	must(err)
	step("census")
	for _, item := range started.Census {
		must(hub.Census(t.Context(), run, item.Account))
	}
	step("gather")
	must(hub.Gather(t.Context(), run))
	step("plan")
	for _, item := range started.Plan {
		must(hub.Plan(t.Context(), run, item.Account))
	}
	step("allot")
	sweeps, err := hub.Allot(t.Context(), run)
	must(err)
	step("sweep")
	for _, item := range sweeps {
		must(hub.Sweep(t.Context(), run, item.Account))
	}
	step("tell")
	told := hub.Collect(t.Context(), run, "", nil)
	must(hub.Tell(t.Context(), told))
	if told.Error != "" {
		t.Fatal(told.Error)
	}
	removed := 0
	for _, account := range told.Accounts {
		if account.Record != nil {
			removed += account.Record.Totals.Deregistered
		}
	}
	return removed
}

// TestTheHubsRolesMayDoWhatIsDoneAndNothingElse compares each role with the requests of its step,
// in both directions.
func TestTheHubsRolesMayDoWhatIsDoneAndNothingElse(t *testing.T) {
	hub := loadHub(t, asking)
	asked, inMembers := askedByAll(t)
	more := map[string][]request{
		"plan":  {{"ssm:GetParameters", aParameter, nil}},
		"sweep": {{"ssm:GetParameters", "arn:aws:ssm:eu-west-1:123456789012:parameter/ami-janitor/default/sweep", nil}},
	}
	roles := map[string][]request{"MachineRole": machineNeeds(), "SlackRole": {}, "ScheduleRole": {
		{"states:StartExecution", "<Machine>", nil}, {"sqs:SendMessage", "<UndeliveredEvents>", nil},
	}}
	for _, step := range steps {
		needs := append(slices.Collect(maps.Values(asked[step])), more[step]...)
		needs = append(needs, request{"logs:CreateLogStream", "<HubLog>", nil}, request{"logs:PutLogEvents", "<HubLog>", nil})
		roles[capital(step)+"Role"] = needs
	}
	for _, role := range hub.resources("AWS::IAM::Role") {
		needs, ok := roles[role.name]
		if !ok {
			t.Errorf("%s: nobody knows what it needs", role.name)
		}
		if found := complaints(allowed, hub.grants(role.name), needs); len(found) > 0 {
			t.Errorf("%s\n%s", role.name, strings.Join(found, "\n"))
		}
		everyActionCounts(t, hub, role.name, needs)
	}
	called := map[string]bool{}
	for _, needs := range roles {
		for _, r := range needs {
			called[r.action] = true
		}
	}
	for _, action := range callsOf(t, "pkg/organization") {
		if !called[action] {
			t.Errorf("the runs leave out %s, which is in the code", action)
		}
	}
	member := loadMember(t, asking)
	for role, asked := range inMembers {
		for _, r := range asked {
			if !slices.Contains(unasked, r.action) && !allowed(member.grants(role), r) {
				t.Errorf("%s of a member may not %s on %s, of which IAM knows %v", role, r.action, r.resource, r.context)
			}
		}
	}
}

// callsOf are the actions for which there is an input in a package.
func callsOf(t *testing.T, directory string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]bool{}
	for _, path := range files {
		if !strings.HasSuffix(path, "_test.go") {
			addInputs(parsed(t, strings.TrimPrefix(path, root+"/")), actions)
		}
	}
	if len(actions) == 0 {
		t.Fatalf("nothing in %s calls AWS", directory)
	}
	return slices.Sorted(maps.Keys(actions))
}

// steps are those of a run, in their order.
var steps = []string{"targets", "census", "gather", "plan", "allot", "sweep", "tell"}

// capital is a step as the resources of its function are named.
func capital(step string) string { return strings.ToUpper(step[:1]) + step[1:] }

// machineNeeds is what Step Functions does as the state machine (Step Functions Developer Guide,
// "IAM policies for using Distributed Map states").
func machineNeeds() []request {
	const arn = "arn:aws:states:eu-west-1:123456789012:"
	needs := []request{{"states:StartExecution", arn + "stateMachine:ami-janitor-default", nil}}
	for _, execution := range []string{":night", "/census:night"} {
		needs = append(needs, request{"states:DescribeExecution", arn + "execution:ami-janitor-default" + execution, nil},
			request{"states:StopExecution", arn + "execution:ami-janitor-default" + execution, nil})
	}
	for _, step := range steps {
		needs = append(needs, request{"lambda:InvokeFunction", "<" + capital(step) + "Function>", nil})
	}
	for _, items := range []string{"census", "plan", "sweep"} {
		needs = append(needs, request{
			"s3:GetObject", "<RecordsBucket>/org/runs/20261130T020000Z-3f9c1a/" + items + "-targets.json", map[string]string{"aws:ResourceAccount": account},
		})
	}
	return needs
}

// TestWhatEachStepMayNeverDo has what would let one step do the work of another.
func TestWhatEachStepMayNeverDo(t *testing.T) {
	hub := loadHub(t, asking)
	policy := hub.bucketPolicy()
	const run = "org/runs/20261130T020000Z-3f9c1a/"
	writers := map[string][]string{
		run + "organization.json":                          {"TargetsRole"},
		run + "plan-targets.json":                          {"TargetsRole"},
		run + "census/111122223333.json":                   {"CensusRole"},
		run + "census.json.gz":                             {"GatherRole"},
		run + "counted.json":                               {"GatherRole"},
		"org/seen.json":                                    {"GatherRole", "TellRole"},
		run + "plans/111122223333.json":                    {"PlanRole"},
		run + "allotments/111122223333.json":               {"AllotRole"},
		run + "sweep-targets.json":                         {"AllotRole"},
		run + "sweeps/111122223333.json":                   {"SweepRole"},
		run + "record.json":                                {"TellRole"},
		"accounts/111122223333/locks/us-east-1.json":       {"SweepRole"},
		"accounts/111122223333/removals/us-east-1/ami-1/x": {"SweepRole"},
		"accounts/111122223333/unfinished/us-east-1/x":     {"SweepRole"},
		"accounts/111122223333/runs/x/record.json":         {"SweepRole"},
		"else":          {},
		"runs/x/record": {},
	}
	for _, role := range hub.resources("AWS::IAM::Role") {
		may := func(action, resource string) bool {
			r := request{action, resource, map[string]string{"aws:ResourceAccount": account, "aws:PrincipalArn": "<" + role.name + ">", "aws:SecureTransport": "true"}}
			return allowed(hub.grants(role.name), r) && (!strings.HasPrefix(action, "s3:") || allowed(policy, r))
		}
		for key, who := range writers {
			if got := may("s3:PutObject", "<RecordsBucket>/"+key); got != slices.Contains(who, role.name) {
				t.Errorf("%s may write %s: %v", role.name, key, got)
			}
			deletes := role.name == "SweepRole" && strings.Contains(key, "/unfinished/")
			if got := may("s3:DeleteObject", "<RecordsBucket>/"+key); got != deletes {
				t.Errorf("%s may delete %s: %v", role.name, key, got)
			}
		}
		// What it is granted elsewhere, such as by the policy of a key, must not help it.
		elsewhere := append(hub.grants(role.name), statement{effect: "Allow", actions: []string{"kms:Decrypt"}, resources: []string{"*"}})
		readsObjects := role.name == "PlanRole" || role.name == "SweepRole"
		for what, is := range map[string]bool{
			"read a parameter's secret": readsObjects && allowed(elsewhere, request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}}),
			"publish":                   may("sns:Publish", "<DigestTopic>") != (role.name == "TellRole"),
			"publish an alarm":          may("sns:Publish", "<AlarmTopic>"),
			"list the accounts":         may("organizations:ListAccounts", "*") != (role.name == "TargetsRole"),
			"close an account":          may("organizations:CloseAccount", "*"),
			"write the parameter":       may("ssm:PutParameter", "arn:aws:ssm:eu-west-1:123456789012:parameter/ami-janitor/default/sweep"),
			"invoke the sweep":          may("lambda:InvokeFunction", "<SweepFunction>") != (role.name == "MachineRole"),
			"remove an image here":      may("ec2:DeregisterImage", anImage),
			"read a secret":             may("kms:Decrypt", "*"),
			"change the bucket":         may("s3:PutBucketPolicy", "<RecordsBucket>"),
			"change another bucket":     may("s3:PutObject", "arn:aws:s3:::amzn-s3-demo-bucket/"+run+"record.json"),
		} {
			if is {
				t.Errorf("%s: what it may is not right: %s", role.name, what)
			}
		}
	}
	for key, who := range writers {
		for _, name := range who {
			r := request{"s3:PutObject", "<RecordsBucket>/" + key, map[string]string{"aws:PrincipalArn": "<" + name + ">", "aws:SecureTransport": "false"}}
			if allowed(policy, r) {
				t.Errorf("%s may write %s without TLS", name, key)
			}
		}
	}
	for _, principal := range []string{"arn:aws:iam::123456789012:role/Admin", "arn:aws:iam::123456789012:root", "<MachineRole>"} {
		for key := range writers {
			for _, action := range []string{"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"} {
				if allowed(policy, request{action, "<RecordsBucket>/" + key, map[string]string{"aws:PrincipalArn": principal, "aws:SecureTransport": "true"}}) {
					t.Errorf("%s may %s on %s", principal, action, key)
				}
			}
		}
	}
}

func TestTheHubsPoliciesFitIntoItsRoles(t *testing.T) {
	hub := loadHub(t, asking)
	for _, role := range hub.resources("AWS::IAM::Role") {
		policiesFit(t, "everything", hub, role.name)
		if hub.name(role) == "" && role.name != "SlackRole" || hub.path(role) != "/ami-janitor/" || at(role.properties["PermissionsBoundary"], "Fn::If") == nil {
			t.Errorf("%s: its path is %s, its name %s, its boundary %v", role.name, hub.path(role), hub.name(role), role.properties["PermissionsBoundary"])
		}
	}
}

// TestEveryVariableOfTheHubHasAParameter is for the organization what
// TestEveryVariableHasAParameter is for the single account.
func TestEveryVariableOfTheHubHasAParameter(t *testing.T) {
	hub := read(t, "organization.yaml")
	variables := maps.Clone(at(hub.object["Globals"], "Function", "Environment", "Variables").(object))
	notHere := []string{"OWNERS_TOPIC_ARN", "REPORT_PAGES", "ORPHANED_AFTER", "MAX_ORPHANED_SNAPSHOTS", "BUNDLES", "BUNDLE_BUCKETS"}
	for _, setting := range append(config.Settings(), config.OrganizationSettings()...) {
		value, ok := variables[setting.Variable]
		delete(variables, setting.Variable)
		name := target(value)
		_, isPlace := places[setting.Variable]
		switch {
		case !ok && !slices.Contains(notHere, setting.Variable):
			t.Errorf("%s is not set: add a parameter to organization.yaml, and set the variable from it in the Environment of Globals", setting.Variable)
		case !ok || isPlace || setting.Variable == "STOP_PARAMETER" || setting.Variable == "EXTERNAL_ID":
		case name == "" || at(hub.section("Parameters"), name, "Default") != setting.Default:
			t.Errorf("%s is by default %v in the template, and %q in the code", name, at(hub.section("Parameters"), name, "Default"), setting.Default)
		}
	}
	if len(variables) > 0 {
		t.Errorf("the code knows nothing of %v", variables)
	}
	for _, parameters := range []map[string]string{nil, asking} {
		given := variablesOfHub(loadHub(t, parameters))
		parsed, err := config.ParseOrganization(func(variable string) string { return given[variable] })
		if err != nil || parsed.DryRun != (parameters == nil) || parsed.Organization.ExternalID != externalID || parsed.Organization.StopParameter != "/ami-janitor/default/sweep" {
			t.Errorf("%+v: %v", parsed.Organization, err)
		}
	}
	for _, step := range steps {
		name := capital(step)
		function := hub.properties(name + "Function")
		if at(function, "Environment", "Variables", "STEP") != step || target(function["Role"]) != name+"Role" {
			t.Errorf("%sFunction is step %v, with role %s", name, at(function, "Environment", "Variables", "STEP"), target(function["Role"]))
		}
	}
	if n := len(hub.resources("AWS::Serverless::Function")); n != len(steps) {
		t.Errorf("there are %d functions", n)
	}
}

// TestWhatTheHubsTemplateAllowsTheCodeTakes tries values at the edges of what is allowed.
func TestWhatTheHubsTemplateAllowsTheCodeTakes(t *testing.T) {
	for parameter, values := range map[string][]string{
		"Accounts":              {"all", "111122223333", "ou-ab12-c3d4e5f6, 111122223333"},
		"ExceptAccounts":        {"", "111122223333,ou-ab12-c3d4e5f6"},
		"MaxOrgDeregistrations": {"0", "99999"},
		"SeenNights":            {"", "30", "99", "999", "3999"},
		"SharedImages":          {"keep", "report", "organization"},
		"Namespace":             {"a", "a-b", "0123456789-0123456789"[:20]},
	} {
		for _, value := range values {
			hub := loadHub(t, map[string]string{parameter: value})
			variables := variablesOfHub(hub)
			if _, err := config.ParseOrganization(func(variable string) string { return variables[variable] }); err != nil || !hub.allows(parameter, value) {
				t.Errorf("%s=%s: allowed: %v, the code says %v", parameter, value, hub.allows(parameter, value), err)
			}
		}
	}
	for parameter, values := range map[string][]string{
		"Accounts": {"", "all,111122223333", "1111", "platform", "ou-1"}, "ExceptAccounts": {"all", "11112222333"}, "SeenNights": {"0", "29", "4096", "30d"},
		"OrganizationId": {"", "o-1", "111122223333"}, "ExternalId": {"", "x", "a b"}, "Namespace": {"", "A", "-a", "012345678901234567890"},
	} {
		for _, value := range values {
			if loadHub(t, nil).allows(parameter, value) {
				t.Errorf("%s allows %q", parameter, value)
			}
		}
	}
}

// hubMetrics are those of a run over an organization.
func hubMetrics(t *testing.T) []string {
	t.Helper()
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
		Organization string
	}
	told := record.Organization{Reader: record.Reader{Stack: "ami-janitor"}, Organization: organizationID}
	if err := json.Unmarshal(record.OrganizationMetrics(told, "tell", true), &line); err != nil {
		t.Fatal(err)
	}
	directive := line.AWS.CloudWatchMetrics[0]
	if directive.Namespace != "AMIJanitor" || fmt.Sprint(directive.Dimensions) != "[[Organization]]" || line.Organization != "ami-janitor" {
		t.Errorf("the metrics are %+v, of %s", directive, line.Organization)
	}
	var names []string
	for _, metric := range directive.Metrics {
		names = append(names, metric.Name)
	}
	return names
}

// TestTheHubsAlarmsAreHeard walks from each alarm to its topic, and from the digest to its own.
func TestTheHubsAlarmsAreHeard(t *testing.T) {
	hub, metrics := loadHub(t, nil), hubMetrics(t)
	body := at(hub.properties("Dashboard")["DashboardBody"], "Fn::Sub").(string)
	for _, alarm := range hub.resources("AWS::CloudWatch::Alarm") {
		if len(list(alarm.properties["AlarmActions"])) != 1 || !hub.topicLetsIn(target(list(alarm.properties["AlarmActions"])[0]), "cloudwatch.amazonaws.com") {
			t.Errorf("%s tells %v", alarm.name, alarm.properties["AlarmActions"])
		}
		if found := hub.publishes("cloudwatch.amazonaws.com", "AlarmTopic", alarm.name); len(found) > 0 {
			t.Error(found)
		}
		if !strings.Contains(body, "${"+alarm.name+".Arn}") || !strings.Contains(fmt.Sprint(alarm.properties["AlarmDescription"]), "See docs/organisation.md.") {
			t.Errorf("the dashboard does not show %s, or it names no page", alarm.name)
		}
		if alarm.properties["Namespace"] == "AMIJanitor" {
			dimension := list(alarm.properties["Dimensions"])[0]
			name := alarm.properties["MetricName"].(string)
			if at(dimension, "Name") != "Organization" || target(at(dimension, "Value")) != "AWS::StackName" || !slices.Contains(metrics, name) {
				t.Errorf("%s watches %s of %v", alarm.name, name, dimension)
			}
		}
	}
	for _, name := range metrics {
		if !strings.Contains(body, `"`+name+`"`) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for _, topic := range []string{"DigestTopic", "ChatTopic"} {
		if found := hub.publishes("<TellRole>", topic, topic); len(found) > 0 {
			t.Errorf("%s: %v", topic, found)
		}
	}
	for _, topic := range hub.resources("AWS::SNS::Topic") {
		if !hub.refusesPlainHTTP(topic.name) {
			t.Errorf("%s takes what is not TLS", topic.name)
		}
	}
	missing := hub.properties("RunsMissing")
	if missing["TreatMissingData"] != "breaching" || missing["MetricName"] != "Runs" || at(missing["ActionsEnabled"], "Fn::If") == nil {
		t.Error("RunsMissing is no dead-man's switch")
	}
}

// TestTheHubsRecordsAreAsSafeAsTheAccounts compares the bucket with that of the single account.
func TestTheHubsRecordsAreAsSafeAsTheAccounts(t *testing.T) {
	single, hub := load(t).section("Resources")["RecordsBucket"].(object), read(t, "organization.yaml").section("Resources")["RecordsBucket"].(object)
	delete(single["Properties"].(object), "NotificationConfiguration")
	if fmt.Sprint(single) != fmt.Sprint(hub) {
		t.Errorf("%v\n%v", single, hub)
	}
	for _, name := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
		if at(load(t).section("Resources"), "RecordsBucketPolicy", name) != at(read(t, "organization.yaml").section("Resources"), "RecordsBucketPolicy", name) {
			t.Errorf("the policy of the bucket has another %s", name)
		}
	}
}
