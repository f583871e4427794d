package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.yaml.in/yaml/v3"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

const (
	functionName = "ami-janitor-JanitorFunction-EXAMPLE"
	functionARN  = "arn:aws:lambda:us-east-1:123456789012:function:" + functionName
	stackARN     = "arn:aws:cloudformation:us-east-1:123456789012:stack/ami-janitor/51af3dc0-da77-11e4-872e-1234567db123"
	digestTopic  = "arn:aws:sns:us-east-1:123456789012:ami-janitor-DigestTopic-EXAMPLE"
)

// templateVariables are the variables that template.yaml gives its function in a stack of some
// parameters; the others are as by default.
func templateVariables(t *testing.T, parameters map[string]string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Parameters map[string]struct {
			Default string `yaml:"Default"`
		} `yaml:"Parameters"`
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Environment struct {
					Variables map[string]yaml.Node `yaml:"Variables"`
				} `yaml:"Environment"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	// Properties of other resources may have other shapes; they are left out.
	if err := yaml.Unmarshal(text, &template); err != nil && !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Fatal(err)
	}
	function := template.Resources[functionResource]
	if function.Type != "AWS::Serverless::Function" || len(function.Properties.Environment.Variables) == 0 {
		t.Fatalf("template.yaml has no function %s", functionResource)
	}
	refs := map[string]string{
		"AWS::StackName": "ami-janitor", "DigestTopic": digestTopic, "ChatTopic": "", "s3://${RecordsBucket}": "s3://records", "false": "false",
	}
	for name, parameter := range template.Parameters {
		refs[name] = parameter.Default
	}
	for name, value := range parameters {
		if _, ok := refs[name]; !ok {
			t.Errorf("template.yaml has no parameter %s", name)
		}
		refs[name] = value
	}
	variables := map[string]string{}
	for variable, value := range function.Properties.Environment.Variables {
		if choice := value.Content; value.Tag == "!If" {
			// By default no condition holds that a variable depends on.
			value = *choice[len(choice)-1]
		}
		filled, ok := refs[value.Value]
		if !ok {
			t.Errorf("%s: %s", variable, value.Value)
		}
		variables[variable] = filled
	}
	return variables
}

// stacked is the sample account of now with a function of some variables and its stack, behind a
// listener to which the AWS configuration of this process leads.
func stacked(t *testing.T, variables map[string]string) (*emulator.Account, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, sample.Files(time.Now(), "us-east-1")); err != nil {
		t.Fatal(err)
	}
	writeStack(t, dir, withPolicy(variables))
	account, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(middleware.Handler(account.Client()))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
	return account, server.URL
}

// withPolicy are the variables of a function of the janitor, which has the name of a policy.
func withPolicy(variables map[string]string) map[string]any {
	all := map[string]string{"POLICY_NAME": "ami-janitor"}
	maps.Copy(all, variables)
	return map[string]any{"Variables": all}
}

// writeStack writes a function with its stack into an account directory.
func writeStack(t *testing.T, dir string, environment map[string]any) {
	t.Helper()
	for name, answer := range map[string]map[string]any{
		"cloudformation-describe-stack-resource.json": {"StackResourceDetail": map[string]any{
			"StackName": "ami-janitor", "StackId": stackARN, "LogicalResourceId": functionResource, "PhysicalResourceId": functionName,
			"ResourceType": "AWS::Lambda::Function", "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": "2026-11-01T10:00:00Z",
		}},
		"lambda-get-function-configuration.json": {"FunctionName": functionName, "FunctionArn": functionARN, "Environment": environment},
	} {
		data, err := json.Marshal([]any{answer})
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(data))
	}
}

// verdictOf is the verdict on an image and all that is said for it.
func verdictOf(image record.Image) string {
	return fmt.Sprintf("%s %v, due %q %s %s", image.Verdict, image.Reasons, image.DueOn, image.Unmark, image.AnnouncedBy)
}

func verdictsOf(record record.Run) map[string]string {
	verdicts := map[string]string{}
	for _, region := range record.Regions {
		for _, image := range region.Images {
			verdicts[region.Region+" "+image.ImageID] = verdictOf(image)
		}
	}
	return verdicts
}

// onlyRecord reads the record that the function has kept.
func onlyRecord(t *testing.T) record.Run {
	t.Helper()
	account, err := awsconfig.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(account, func(o *s3.Options) { o.UsePathStyle = true })
	listed, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("records"), Prefix: aws.String("runs/")})
	if err != nil {
		t.Fatal(err)
	}
	var found []record.Run
	for _, object := range listed.Contents {
		if !strings.HasSuffix(*object.Key, "/record.json") {
			continue
		}
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("records"), Key: object.Key})
		if err != nil {
			t.Fatal(err)
		}
		var record record.Run
		if err := json.NewDecoder(out.Body).Decode(&record); err != nil {
			t.Fatal(err)
		}
		found = append(found, record)
	}
	if len(found) != 1 {
		t.Fatalf("%d records", len(found))
	}
	return found[0]
}

// The function as it is built and deployed, plan and explain judge an account alike, if the command
// line is told of the stack; told of nothing, it has a policy of its own.
func TestTheCommandLineJudgesAsTheFunctionDoes(t *testing.T) {
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", bootstrap, "../../functions/janitor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // Although the race detector needs C.
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, parameters := range map[string]map[string]string{
		"as by default":   {"RequireRecycleBin": "true"},
		"another policy":  {"StaleAfter": "400d", "NeverLaunchedAfter": "30d", "KeepNewest": "0", "KeepTags": "Team=platform", "MaxDeregistrations": "3"},
		"with a grace":    {"Grace": "14d", "GraceAction": "disable", "OwnerTag": "Team", "SharedImages": "report", "ImageBuilderImages": "judge"},
		"with a list":     {"KeepList": "ssm:/golden/rhel-9/current", "Names": "!web-*", "RecycleBinDays": "30"},
		"another regions": {"Regions": "all", "UsageSources": "instances", "DeleteSnapshots": "false", "LaunchTemplateVersions": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			parameters = maps.Clone(parameters)
			parameters["EC2Share"] = "1" // Nobody must be spared on this machine.
			variables := templateVariables(t, parameters)
			account, url := stacked(t, variables)
			invocation := runtimeapi.Invocation{
				Bootstrap: bootstrap,
				Environment: []string{
					"AWS_ENDPOINT_URL=" + url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
					"AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_FUNCTION_NAME=" + functionName,
				},
				Event:    []byte(`{"dryRun": true}`),
				Deadline: time.Now().Add(15 * time.Minute),
			}
			for variable, value := range variables {
				invocation.Environment = append(invocation.Environment, variable+"="+value)
			}
			result, err := runtimeapi.Invoke(t.Context(), invocation)
			if err != nil || result.Error != nil {
				t.Fatalf("%v %s\n%s", err, result.Error, result.Log)
			}
			want := verdictsOf(onlyRecord(t))

			planned := cli(t, nil, "plan", "--stack=ami-janitor", "--output=json")
			if got := verdictsOf(planned.record(t)); !maps.Equal(got, want) {
				t.Errorf("plan differs from the function:\n%s", difference(got, want))
			}
			explain := []string{"explain", "--function=" + functionARN, "--output=json"}
			for image := range want {
				explain = append(explain, strings.Fields(image)[1])
			}
			got := map[string]string{}
			for _, e := range cli(t, nil, explain...).explanations(t) {
				got[e.Region+" "+e.Image.ImageID] = verdictOf(e.Image)
			}
			// What is explained is looked up.
			if all := verdictsOf(cli(t, nil, "plan", "--complete", "--stack=ami-janitor", "--output=json").record(t)); !maps.Equal(got, all) {
				t.Errorf("explain differs from a complete plan:\n%s", difference(got, all))
			}
			if got := verdictsOf(cli(t, nil, "plan", "--output=json").record(t)); maps.Equal(got, want) {
				t.Error("the policy makes no difference here")
			}
			if published := account.Published(); len(published) != 1 || !strings.Contains(published[0].Message, "ami-janitor explain IMAGE_ID --stack ami-janitor\n") {
				t.Errorf("the digest does not say how to ask: %v", published)
			}
		})
	}
}

func difference(got, want map[string]string) string {
	var lines []string
	for image := range want {
		if got[image] != want[image] {
			lines = append(lines, fmt.Sprintf("%s: got %s\n  want %s", image, got[image], want[image]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Whose policy it is, a command says aloud; flags win, variables of the environment do not count.
func TestAStackGivesThePolicy(t *testing.T) {
	stacked(t, map[string]string{"STALE_AFTER": "90d", "NAMES": "web-*", "EC2_SHARE": "1", "POLICY_NAME": "ami-janitor", "RECORDS": "s3://records", "DRY_RUN": "true"})
	environment := []string{"STALE_AFTER=30d", "KEEP_NEWEST=7", "NAMES=db-*", "AWS_REGION=eu-west-1"}
	for name, c := range map[string]struct {
		args []string
		want map[string]string
		says string
	}{
		"a stack": {
			[]string{"--stack=ami-janitor"},
			map[string]string{"staleAfter": "90d", "names": "web-*", "keepNewest": "1", "policyName": "ami-janitor", "records": "s3://records"},
			"ami-janitor: the policy is that of stack ami-janitor (function " + functionName + ", us-east-1)\n",
		},
		"a stack's ARN": {[]string{"--stack", stackARN}, map[string]string{"staleAfter": "90d"}, "the policy is that of stack " + stackARN},
		"a function": {
			[]string{"--function", functionName},
			map[string]string{"staleAfter": "90d", "names": "web-*"},
			"ami-janitor: the policy is that of function " + functionName + " (us-east-1)\n",
		},
		"flags win, blank ones too": {
			[]string{"--stack=ami-janitor", "--stale-after=200d", "--names="},
			map[string]string{"staleAfter": "200d", "names": "", "neverLaunchedAfter": "200d"},
			"ami-janitor: the policy is that of stack ami-janitor (function " + functionName + ", us-east-1), except --stale-after, --names\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range [][]string{{"plan", "--output=json"}, {"sweep", "--dry-run", "--output=json"}} {
				got := cli(t, environment, append(command, c.args...)...)
				record := got.record(t)
				for key, want := range c.want {
					if record.Policy[key] != want {
						t.Errorf("%v: %s is %q, want %q", command, key, record.Policy[key], want)
					}
				}
				if !strings.Contains(got.err, c.says) {
					t.Errorf("%v: %q does not say %q", command, got.err, c.says)
				}
			}
		})
	}
}

// The function's region is judged, whatever that of the person is, if the ARN leads there.
func TestAFunctionIsOfItsRegion(t *testing.T) {
	stacked(t, map[string]string{"STALE_AFTER": "90d", "EC2_SHARE": "1"})
	for _, named := range []string{"--stack=" + stackARN, "--function=" + functionARN} {
		for _, own := range []string{"eu-west-1", ""} {
			t.Setenv("AWS_REGION", own)
			record := cli(t, nil, "plan", named, "--output=json").record(t)
			if len(record.Regions) != 1 || record.Regions[0].Region != "us-east-1" || len(record.Regions[0].Images) == 0 {
				t.Errorf("%s from %q: %+v", named, own, record.Totals)
			}
		}
	}
	if got := cli(t, nil, "plan", "--stack=ami-janitor"); got.status != 2 || !strings.Contains(got.err, "AWS_REGION") {
		t.Errorf("%+v", got)
	}
}

// DRY_RUN speaks to the function alone; that it does not to a sweep is said.
func TestASweepIsNoDryRunBecauseTheFunctionsIs(t *testing.T) {
	for dryRun, want := range map[string]bool{"true": true, "": true, "false": false} {
		account, _ := stacked(t, map[string]string{"DRY_RUN": dryRun, "STALE_AFTER": "180d", "MAX_DEREGISTRATIONS": "2", "EC2_SHARE": "1", "RECORDS": "s3://records"})
		got := cli(t, nil, "sweep", "--stack=ami-janitor", "--yes", "--output=json")
		if record := got.record(t); record.DryRun || record.Totals.Deregistered != 2 || writes(account) == 0 {
			t.Errorf("DRY_RUN=%q: %+v", dryRun, record.Totals)
		}
		if said := strings.Contains(got.err, "the function itself only plans (DryRun=true); this sweep removes\n"); said != want {
			t.Errorf("DRY_RUN=%q: %q", dryRun, got.err)
		}
		dry := cli(t, nil, "sweep", "--stack=ami-janitor", "--dry-run", "--output=json")
		if strings.Contains(dry.err, "this sweep removes") || !dry.record(t).DryRun {
			t.Errorf("%q", dry.err)
		}
	}
}

// What was announced by a function is taken back, and brought back, by its policy.
func TestUnmarkAndUndoTakeAStack(t *testing.T) {
	account, _ := stacked(t, map[string]string{"MAX_DEREGISTRATIONS": "1", "STALE_AFTER": "180d", "EC2_SHARE": "1", "RECORDS": "s3://records", "REGIONS": "us-east-1"})
	t.Setenv("AWS_REGION", "us-east-1")
	run := cli(t, nil, "sweep", "--stack=ami-janitor", "--yes", "--output=json").record(t)
	removed := ""
	for _, image := range run.Regions[0].Images {
		if image.Outcome != nil && image.Outcome.Status == "deregistered" {
			removed = image.ImageID
		}
	}
	undone := cli(t, nil, "undo", run.Run, "--stack=ami-janitor")
	if !strings.Contains(undone.out, removed) || !strings.Contains(undone.err, "stack ami-janitor") {
		t.Errorf("%+v", undone)
	}
	there := run.Regions[0].Images[len(run.Regions[0].Images)-1].ImageID
	if got := cli(t, nil, "unmark", there, "--function", functionName); got.status != 0 || !strings.Contains(got.err, "function "+functionName) {
		t.Errorf("%+v", got)
	}
	if writes(account) == 0 {
		t.Error("nothing was done")
	}
}

// A policy that cannot be had is no reason to take another one: nothing is judged.
func TestAPolicyThatCannotBeHad(t *testing.T) {
	policy := withPolicy(map[string]string{"STALE_AFTER": "90d"})
	for name, c := range map[string]struct {
		environment map[string]any
		denied      string
		args        []string
		says        []string
	}{
		"no such stack":            {policy, "", []string{"--stack=other"}, []string{"--stack other in us-east-1", "does not exist"}},
		"no such function":         {policy, "", []string{"--function=other"}, []string{"function other in us-east-1", "Function not found"}},
		"the stack is denied":      {policy, "DescribeStackResource", []string{"--stack=ami-janitor"}, []string{"cloudformation:DescribeStackResource", "AccessDenied"}},
		"the function is denied":   {policy, "GetFunctionConfiguration", []string{"--stack=ami-janitor"}, []string{"lambda:GetFunctionConfiguration", "AccessDenied"}},
		"both are named":           {policy, "", []string{"--stack=ami-janitor", "--function=" + functionName}, []string{"stack", "function"}},
		"variables not decrypted":  {map[string]any{"Error": map[string]string{"ErrorCode": "AccessDeniedException", "Message": "no key"}}, "", []string{"--stack=ami-janitor"}, []string{"cannot be read", "no key"}},
		"another function":         {map[string]any{"Variables": map[string]string{"DRY_RUN": "true", "REGIONS": "us-east-1"}}, "", []string{"--stack=ami-janitor"}, []string{"no variable POLICY_NAME"}},
		"a function of nothing":    {nil, "", []string{"--stack=ami-janitor"}, []string{"no variable POLICY_NAME"}},
		"a fault in the stack":     {withPolicy(map[string]string{"STALE_AFTER": "3d"}), "", []string{"--stack=ami-janitor"}, []string{"StaleAfter of stack ami-janitor", "floor"}},
		"a fault in the function":  {withPolicy(map[string]string{"STALE_AFTER": "3d"}), "", []string{"--function", functionName}, []string{"STALE_AFTER of function " + functionName, "floor"}},
		"a fault in a flag":        {policy, "", []string{"--stack=ami-janitor", "--stale-after=3d"}, []string{"--stale-after: "}},
		"a keep list in a file":    {withPolicy(map[string]string{"STALE_AFTER": "90d", "KEEP_LIST": "keep.txt"}), "", []string{"--stack=ami-janitor"}, []string{"KeepList of stack", "--keep-list"}},
		"records in a directory":   {withPolicy(map[string]string{"STALE_AFTER": "90d", "RECORDS": "/tmp/records"}), "", []string{"--stack=ami-janitor"}, []string{"RECORDS of stack", "--records"}},
		"a resource that is other": {policy, "", []string{"--stack=other-template"}, []string{"JanitorFunction", "no function"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, sample.Files(time.Now(), "us-east-1")); err != nil {
				t.Fatal(err)
			}
			writeStack(t, dir, c.environment)
			if strings.Contains(c.args[0], "other-template") {
				write(t, dir, "cloudformation-describe-stack-resource.json", `[{"StackResourceDetail": {"StackName": "other-template", "LogicalResourceId": "JanitorFunction", "PhysicalResourceId": "x", "ResourceType": "AWS::SNS::Topic", "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": "2026-11-01T10:00:00Z"}}]`)
			}
			account, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(middleware.Handler(disturb.Deny(account.Client(), c.denied)))
			t.Cleanup(server.Close)
			leadTo(t, server.URL)
			for _, command := range [][]string{{"plan"}, {"sweep", "--yes"}, {"explain", "ami-0123456789example"}, {"unmark", "ami-0123456789example"}, {"undo", "--list"}} {
				got := cli(t, nil, append(command, c.args...)...)
				if got.status != 2 || got.out != "" {
					t.Errorf("%v: status %d, want 2; out %q", command, got.status, got.out)
				}
				for _, word := range c.says {
					if !strings.Contains(got.err, word) {
						t.Errorf("%v: %q does not say %q", command, got.err, word)
					}
				}
			}
			for _, call := range account.Calls() {
				if call.Service == "ec2" {
					t.Fatalf("the account was asked for %s", call.Action)
				}
			}
		})
	}
}

// The template lets nobody but the function write its records: what only looks does not try.
func TestWhoOnlyLooksWritesNoRecord(t *testing.T) {
	account, _ := stacked(t, map[string]string{"STALE_AFTER": "180d", "EC2_SHARE": "1", "RECORDS": "s3://records", "POLICY_NAME": sample.Policy})
	server := httptest.NewServer(middleware.Handler(disturb.Deny(account.Client(), "PutObject", "DeleteObject")))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
	record := cli(t, nil, "plan", "--stack=ami-janitor", "--output=json").record(t)
	there := record.Regions[0].Images[0].ImageID
	if record.RecordError != "" || janitor.Err(record) != nil {
		t.Errorf("%s %v", record.RecordError, janitor.Err(record))
	}
	for _, args := range [][]string{{"plan"}, {"sweep", "--dry-run"}, {"explain", there}, {"undo", "--list"}, {"unmark", there}} {
		if got := cli(t, nil, append(args, "--stack=ami-janitor")...); got.status == 1 || strings.Contains(got.out+got.err, "AccessDenied") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	// A removal is noted, or it is not made.
	swept := cli(t, nil, "sweep", "--yes", "--stack=ami-janitor", "--output=json").record(t)
	if swept.Totals.Deregistered > 0 || swept.HeldRegions() != 1 || !strings.Contains(swept.Regions[0].Hold, "the journal could not be written") {
		t.Errorf("%+v %q", swept.Totals, swept.Regions[0].Hold)
	}
}

// A function of a newer version may have settings that this one cannot honour.
func TestVariablesThatAreNotKnownAreNamed(t *testing.T) {
	stacked(t, map[string]string{"STALE_AFTER": "90d", "EC2_SHARE": "1", "KEEP_FOREVER": "x", "ALSO_NEW": "y"})
	if got := cli(t, nil, "plan", "--stack=ami-janitor", "--output=json"); !strings.Contains(got.err, "does not know the function's ALSO_NEW, KEEP_FOREVER") {
		t.Errorf("%q", got.err)
	}
}

// A copy of an account may hold the function, too; its records are then those of the copy.
func TestRehearseByThePolicyOfAStackInTheCopy(t *testing.T) {
	dir := directory(t)
	writeStack(t, dir, withPolicy(map[string]string{"STALE_AFTER": "400d", "RECORDS": "s3://ami-janitor-recordsbucket-example"}))
	got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--stack=ami-janitor", "--output=json")
	record := got.record(t)
	if record.Policy["staleAfter"] != "400d" || record.Policy["records"] != "s3://records" || !strings.Contains(got.err, "stack ami-janitor") {
		t.Errorf("%v %q", record.Policy, got.err)
	}
	there := record.Regions[0].Images[0].ImageID
	explained := cli(t, nil, "explain", there, "--account", dir, "--now", nightly, "--stack=ami-janitor")
	if explained.status != 0 || !strings.Contains(strings.Join(strings.Fields(explained.out), " "), "It is that of stack ami-janitor") {
		t.Errorf("%+v", explained)
	}
	if own := cli(t, nil, "explain", there, "--account", dir, "--now", nightly); !strings.Contains(strings.Join(strings.Fields(own.out), " "), "It is this command's own") {
		t.Errorf("%+v", own)
	}
}

// What the command line prints speaks of flags, and of no function.
func TestTheCommandLineSpeaksOfFlags(t *testing.T) {
	serving(t, asItIs)
	names := map[string]string{}
	for _, setting := range config.Settings() {
		names[setting.Variable] = record.Flag(setting.Variable)
	}
	for _, args := range [][]string{
		{"plan"},
		{"plan", "--require-recycle-bin=true", "--recycle-bin-days=365"},
		{"sweep", "--yes", "--max-deregistrations=2", "--grace=7d"},
		{"rehearse", "--now", nightly},
		{"rehearse", "--now", nightly, "--dry-run", "--regions=us-east-1,eu-west-1"},
		{"plan", "--keep-list=/no/such/file"},
		{"plan", "--except-regions=us-east-1"},
	} {
		got := cli(t, nil, args...)
		for name := range names {
			if regexp.MustCompile(`\b` + name + `\b`).MatchString(got.out + got.err) {
				t.Errorf("%v speaks of %s", args, name)
			}
		}
		if text := strings.ReplaceAll(words(got.out), "a deployed function", ""); strings.Contains(text, "function") {
			t.Errorf("%v speaks of a function:\n%s", args, text)
		}
	}
	help := cli(t, nil, "plan", "--help").out
	for name := range names {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(help) {
			t.Errorf("the help speaks of %s", name)
		}
	}
	if i, j := strings.Index(help, "--stale-after "), strings.Index(help, "--never-launched-after "); i < 0 || j < i || strings.Index(help, "--policy-name ") < j || strings.Contains(help, "the function's own") {
		t.Errorf("the help is not in order:\n%s", help)
	}
}
