package template_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"ami-janitor/pkg/emulator"
	"ami-janitor/pkg/janitor"
)

// unasked is what needs no permission (STS API Reference, GetCallerIdentity).
var unasked = []string{"sts:GetCallerIdentity"}

// lookers is AWS's policy with what DescribeImageReferences looks at as its caller (EC2 User Guide, "Identify your
// resources referencing specified AMIs").
const lookers = "arn:${AWS::Partition}:iam::aws:policy/AmazonEC2ImageReferencesAccessPolicy"

// needs says what a role has to be allowed, action by action, and on what.
type needs map[string][]string

// janitorNeeds is what the function calls, and what Lambda does as the function.
func janitorNeeds(t template, called []string) needs {
	n := needs{}
	function := t.function().properties
	for _, action := range called {
		switch action {
		case "ec2:DescribeImageAttribute", "ec2:DeregisterImage":
			n[action] = []string{"arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0"}
		case "ec2:DeleteSnapshot":
			n[action] = []string{"arn:aws:ec2:us-east-2::snapshot/snap-0123456789abcdef0"}
		case "sns:Publish":
			for _, variable := range []string{"TOPIC_ARN", "CHAT_TOPIC_ARN"} {
				n[action] = append(n[action], filled(at(function, "Environment", "Variables", variable)))
			}
		default:
			n[action] = []string{"*"} // Service Authorization Reference: no resource can be named.
		}
	}
	if group := at(function, "LoggingConfig", "LogGroup"); group != nil {
		n["logs:CreateLogStream"], n["logs:PutLogEvents"] = []string{filled(group)}, []string{filled(group)}
	}
	if queue := at(function, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"); queue != nil {
		n["sqs:SendMessage"] = append(n["sqs:SendMessage"], filled(queue))
	}
	return n
}

// scheduleNeeds is what EventBridge Scheduler does as the schedule's role.
func scheduleNeeds(t template) needs {
	n := needs{"lambda:InvokeFunction": {"<" + t.function().name + ">"}}
	for _, event := range t.function().properties["Events"].(object) {
		if queue := at(event, "Properties", "DeadLetterConfig", "Arn"); queue != nil {
			n["sqs:SendMessage"] = append(n["sqs:SendMessage"], filled(queue))
		}
	}
	return n
}

// complaints compares a role's statements with what it needs, in both directions.
func complaints(policy []statement, n needs) []string {
	var found []string
	for action, resources := range n {
		for _, r := range resources {
			if !allowed(policy, request{action, r, map[string]string{"ec2:Owner": account, "ec2:Public": "false"}}) {
				found = append(found, "may not "+action+" on "+r)
			}
		}
	}
	for _, s := range policy {
		if s.effect != "Allow" {
			continue
		}
		for _, action := range s.actions {
			if strings.Contains(action, "*") {
				found = append(found, "may "+action+", and that is a pattern")
			}
			for _, r := range s.resources {
				if !slices.ContainsFunc(n[action], func(needed string) bool { return like(r, needed) }) {
					found = append(found, "may "+action+" on "+r+", and nothing needs it")
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestRolesMayDoWhatIsDoneAndNothingElse(t *testing.T) {
	called := calledActions(t)
	if diff := cmp.Diff(writtenActions(t), called); diff != "" {
		t.Fatalf("The runs below leave out a call that is in the code (-), or the code makes one in a way that is not seen here (+):\n%s", diff)
	}
	called = slices.DeleteFunc(called, func(action string) bool { return slices.Contains(unasked, action) })
	tpl := load(t)
	roles := map[string]needs{
		"JanitorRole":  janitorNeeds(tpl, called),
		"ScheduleRole": scheduleNeeds(tpl),
		"SlackRole":    {},
	}
	for _, role := range tpl.resources("AWS::IAM::Role") {
		n, ok := roles[role.name]
		if !ok {
			t.Errorf("%s: nobody knows what it needs", role.name)
		}
		if found := complaints(tpl.grants(role.name), n); len(found) > 0 {
			t.Errorf("%s\n%s", role.name, strings.Join(found, "\n"))
		}
		everyActionCounts(t, role.name, n)
	}

	var managed []string
	for _, arn := range list(tpl.properties("JanitorRole")["ManagedPolicyArns"]) {
		managed = append(managed, at(arn, "Fn::Sub").(string))
	}
	if diff := cmp.Diff([]string{lookers}, managed); diff != "" || !slices.Contains(called, "ec2:DescribeImageReferences") {
		t.Errorf("AWS's policies on the function's role:\n%s", diff)
	}
}

// everyActionCounts leaves each action out of a role, and adds some: each time there has to be a complaint.
func everyActionCounts(t *testing.T, role string, n needs) {
	t.Helper()
	for _, s := range load(t).grants(role) {
		if s.effect == "Deny" {
			continue
		}
		for _, action := range s.actions {
			changed := load(t).grants(role)
			for i := range changed {
				if changed[i].sid == s.sid {
					changed[i].actions = slices.DeleteFunc(slices.Clone(changed[i].actions), func(a string) bool { return a == action })
				}
			}
			if len(complaints(changed, n)) == 0 {
				t.Errorf("%s: nobody misses %s of %s", role, action, s.sid)
			}
		}
	}
	for _, action := range []string{"ec2:CreateTags", "ec2:DescribeInstances", "ec2:Describe*", "sns:Subscribe", "logs:CreateLogGroup", "s3:GetObject"} {
		added := append(load(t).grants(role), statement{effect: "Allow", actions: []string{action}, resources: []string{"*"}})
		if len(complaints(added, n)) == 0 {
			t.Errorf("%s: nobody minds %s", role, action)
		}
	}
}

// writtenActions are the actions for which there is an input in the code that the function links.
func writtenActions(t *testing.T) []string {
	t.Helper()
	actions := map[string]bool{}
	for _, directory := range []string{"functions", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains([]string{"emulator", "runtimeapi", "testdata"}, entry.Name()):
				return filepath.SkipDir
			case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			addInputs(file, actions)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(actions))
}

// addInputs adds ec2:DescribeImages for an ec2.DescribeImagesInput.
func addInputs(file *ast.File, actions map[string]bool) {
	services := map[string]string{}
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		if service, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/"); ok && !strings.Contains(service, "/") {
			name := service
			if spec.Name != nil {
				name = spec.Name.Name
			}
			services[name] = service
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && services[name.Name] != "" {
				if action, ok := strings.CutSuffix(selector.Sel.Name, "Input"); ok {
					actions[services[name.Name]+":"+action] = true
				}
			}
		}
		return true
	})
}

// calledActions are the actions in the log of emulated accounts, after runs that go every way through the code: in all
// regions and in one, with answers and without, with both topics.
func calledActions(t *testing.T) []string {
	t.Helper()
	actions := map[string]bool{}
	always := func(int, emulator.Request) bool { return true }
	first := func(n int, _ emulator.Request) bool { return n == 1 }
	ways := []struct {
		lag   int
		fault func(emulator.Doer) emulator.Doer
	}{
		{fault: func(account emulator.Doer) emulator.Doer { return account }},
		{lag: 1, fault: func(account emulator.Doer) emulator.Doer {
			return emulator.LoseAnswer(account, "DeregisterImage", first)
		}},
		{fault: func(account emulator.Doer) emulator.Doer {
			return emulator.LoseAnswer(account, "DeregisterImage", always)
		}},
	}
	for _, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			clock := clock()
			account, err := emulator.Load(emulator.Sample(clock()), emulator.Options{Now: clock})
			if err != nil {
				t.Fatal(err)
			}
			account.SetInUseLag(way.lag)
			run(t, clock, way.fault(account.Client()))
			for _, call := range account.Calls() {
				actions[call.Service+":"+call.Action] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(actions))
}

// clock is the bubble's clock, set to a year in which there are AMIs.
func clock() func() time.Time {
	began, now := time.Now(), time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)
	return func() time.Time { return now.Add(time.Since(began)) }
}

// run is a run of the function as template.yaml configures it, but in every region, and not a dry one.
func run(t *testing.T, clock func() time.Time, client emulator.Doer) {
	t.Helper()
	variables := map[string]string{
		"REGIONS":        "all",
		"NOTIFY_ON":      "always",
		"TOPIC_ARN":      "arn:aws:sns:us-east-1:123456789012:digest",
		"CHAT_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:chat",
	}
	config, err := janitor.ParseConfig(func(variable string) string { return variables[variable] })
	if err != nil {
		t.Fatal(err)
	}
	j := janitor.Janitor{
		Config: config,
		AWS: aws.Config{
			Region:      "us-east-1",
			Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
			HTTPClient:  httpClient{client},
		},
		Clock: clock,
	}
	record := j.Run(t.Context(), "20261123T020000Z-3f9c1a", false)
	if err := j.Tell(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if record.Totals.Deregistered == 0 && record.Totals.Failed == 0 {
		t.Fatalf("the run removed nothing: %+v", record.Totals)
	}
}

// httpClient is a Doer as the SDK takes it.
type httpClient struct{ emulator.Doer }

func (c httpClient) Do(r *http.Request) (*http.Response, error) { return c.Doer.Do(r) }
