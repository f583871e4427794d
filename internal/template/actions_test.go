package template_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// unasked is what needs no permission (STS API Reference, GetCallerIdentity).
var unasked = []string{"sts:GetCallerIdentity"}

// lookers is AWS's policy with what DescribeImageReferences looks at as its caller (EC2 User Guide,
// "Identify your resources referencing specified AMIs").
const lookers = "arn:${AWS::Partition}:iam::aws:policy/AmazonEC2ImageReferencesAccessPolicy"

// janitorNeeds is what the function has asked for, and what Lambda does as the function.
func janitorNeeds(t template, asked []request) []request {
	needs := slices.DeleteFunc(slices.Clone(asked), func(r request) bool { return slices.Contains(unasked, r.action) })
	function := t.function().properties
	if group := at(function, "LoggingConfig", "LogGroup"); group != nil {
		needs = append(needs, request{"logs:CreateLogStream", filled(group), nil}, request{"logs:PutLogEvents", filled(group), nil})
	}
	if queue := at(function, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"); queue != nil {
		needs = append(needs, request{"sqs:SendMessage", filled(queue), nil})
	}
	if t.parameter("OwnersTopicArn") != "" { // SNS encrypts for the publisher.
		context := map[string]string{"kms:ViaService": "sns." + region + ".amazonaws.com", "kms:EncryptionContext:aws:sns:topicArn": "<OwnersTopicArn>"}
		needs = append(needs, request{"kms:Decrypt", "*", context}, request{"kms:GenerateDataKey", "*", context})
	}
	if t.holds("ReadsObjects") { // S3 decrypts for the reader.
		needs = append(needs, request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "s3." + region + ".amazonaws.com"}})
	}
	return needs
}

// reporterNeeds is what the function that draws pages has asked for, and what Lambda does as it.
func reporterNeeds(t template, asked []request) []request {
	function := t.reporter().properties
	group, queue := at(function, "LoggingConfig", "LogGroup"), at(function, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination")
	return append(slices.Clone(asked), request{"logs:CreateLogStream", filled(group), nil}, request{"logs:PutLogEvents", filled(group), nil},
		request{"sqs:SendMessage", filled(queue), nil})
}

// scheduleNeeds is what EventBridge Scheduler does as the schedule's role.
func scheduleNeeds(t template) []request {
	needs := []request{{"lambda:InvokeFunction", "<" + t.function().name + ">", nil}}
	for _, event := range t.function().properties["Events"].(object) {
		if queue := at(event, "Properties", "DeadLetterConfig", "Arn"); queue != nil {
			needs = append(needs, request{"sqs:SendMessage", filled(queue), nil})
		}
	}
	return needs
}

// noBucket is in the place of a bucket that is not given. None can have that name.
const noBucket = "arn:aws:s3:::-"

// complaints compares a role's statements with what it needs, in both directions.
func complaints(decide func([]statement, request) bool, policy []statement, needs []request) []string {
	var found []string
	for _, r := range needs {
		if !decide(policy, r) {
			found = append(found, fmt.Sprintf("may not %s on %s, of which IAM knows %v", r.action, r.resource, r.context))
		}
	}
	for _, s := range policy {
		if s.effect != "Allow" {
			continue
		}
		for _, action := range s.actions {
			for _, resource := range s.resources {
				if strings.HasPrefix(resource, noBucket) {
					continue
				}
				one := s
				one.actions, one.resources = []string{action}, []string{resource}
				if strings.Contains(action, "*") || !slices.ContainsFunc(needs, one.matches) {
					found = append(found, "may "+action+" on "+resource+", and nothing needs it")
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestRolesMayDoWhatIsDoneAndNothingElse(t *testing.T) {
	var everything []request
	drawn := drawsFor(t)
	for variant, parameters := range variants {
		t.Run(variant, func(t *testing.T) {
			tpl := load(t).with(parameters)
			asked := askedFor(t, tpl)
			everything = append(everything, asked...)
			roles := map[string][]request{
				"JanitorRole":  janitorNeeds(tpl, asked),
				"ReporterRole": reporterNeeds(tpl, drawn),
				"ScheduleRole": scheduleNeeds(tpl),
				"SlackRole":    {},
			}
			for _, role := range tpl.resources("AWS::IAM::Role") {
				needs, ok := roles[role.name]
				if !ok {
					t.Errorf("%s: nobody knows what it needs", role.name)
				}
				if found := complaints(allowed, tpl.grants(role.name), needs); len(found) > 0 {
					t.Errorf("%s\n%s", role.name, strings.Join(found, "\n"))
				}
				everyActionCounts(t, tpl, role.name, needs)
			}
			membersMay(t, loadMember(t, parameters), asked)
		})
	}
	called := map[string]bool{}
	for _, r := range everything {
		called[r.action] = true
	}
	delete(called, "cloudformation:ListStacks") // DescribeStacks needs it.
	if diff := gocmp.Diff(writtenActions(t), slices.Sorted(maps.Keys(called))); diff != "" {
		t.Errorf("The runs leave out a call that is in the code (-), or the code makes one in a way that is not seen here (+):\n%s", diff)
	}
	var managed []string
	for _, arn := range list(load(t).properties("JanitorRole")["ManagedPolicyArns"]) {
		managed = append(managed, at(arn, "Fn::Sub").(string))
	}
	if diff := gocmp.Diff([]string{lookers}, managed); diff != "" || !called["ec2:DescribeImageReferences"] {
		t.Errorf("AWS's policies on the function's role:\n%s", diff)
	}
	everyTagCounts(t, everything)
	everyPrefixCounts(t, everything)
}

// membersMay asks the roles of a member what the function has asked for: the sweep for all of it,
// the reader for what changes nothing. Records and digests are the hub's, and an organization's
// runs announce no snapshots.
func membersMay(t *testing.T, member template, asked []request) {
	t.Helper()
	sweep, read := member.grants("SweepRole"), member.grants("ReadRole")
	for _, r := range asked {
		service, _, _ := strings.Cut(r.action, ":")
		if slices.Contains(unasked, r.action) || slices.Contains([]string{"kms", "logs", "s3", "sns", "sqs"}, service) {
			continue
		}
		if announcesSnapshot(r) {
			if allowed(sweep, r) || allowed(read, r) {
				t.Errorf("%s on %s with %v: a member may", r.action, r.resource, r.context)
			}
			continue
		}
		reads := statement{actions: []string{r.action}}.onlyReads()
		if !allowed(sweep, r) || allowed(read, r) != reads {
			t.Errorf("%s on %s: the sweep of a member may not, or its reader may: %v", r.action, r.resource, !reads)
		}
	}
}

// announcesSnapshot reports whether a request announces the deletion of a snapshot, or takes that
// back: another tag than a declaration's is written or taken off.
func announcesSnapshot(r request) bool {
	isTagging := r.action == "ec2:CreateTags" || r.action == "ec2:DeleteTags"
	return isTagging && strings.Contains(r.resource, ":snapshot/") && !strings.Contains(r.context[tagKeysKey], ami.IntentTag)
}

// TestEverySourceMayBeAsked: the function may do what the sources of evidence say that they need.
func TestEverySourceMayBeAsked(t *testing.T) {
	granted := map[string]bool{}
	for _, s := range load(t).with(variants["everything together"]).grants("JanitorRole") {
		for _, action := range s.actions {
			granted[action] = granted[action] || s.effect == "Allow"
		}
	}
	for _, source := range usage.Table() {
		for _, permission := range source.Permissions {
			if !granted[permission] {
				t.Errorf("%s needs %s, and the function may not do it", source.Name, permission)
			}
		}
	}
}

// everyActionCounts leaves each action out of a role, and adds some: each time there has to be a
// complaint.
func everyActionCounts(t *testing.T, tpl template, role string, needs []request) {
	t.Helper()
	for i, s := range tpl.grants(role) {
		if s.effect == "Deny" {
			continue
		}
		for _, action := range s.actions {
			changed := tpl.grants(role)
			changed[i].actions = slices.DeleteFunc(slices.Clone(s.actions), func(a string) bool { return a == action })
			if len(complaints(verdict, changed, needs)) == 0 {
				t.Errorf("%s: nobody misses %s of %s", role, action, s.sid)
			}
		}
	}
	for _, action := range []string{
		"ec2:RunInstances", "ec2:DescribeVolumes", "ec2:Describe*", "ec2:RestoreImageFromRecycleBin", "rbin:CreateRule",
		"ssm:PutParameter", "sns:Subscribe", "logs:CreateLogGroup", "s3:GetObjectVersion", "s3:*",
	} {
		added := append(tpl.grants(role), statement{effect: "Allow", actions: []string{action}, resources: []string{"*"}})
		if len(complaints(verdict, added, needs)) == 0 {
			t.Errorf("%s: nobody minds %s", role, action)
		}
	}
}

// everyTagCounts looks for a request for each tag that the function may write or take off, in each
// statement that allows it.
func everyTagCounts(t *testing.T, asked []request) {
	t.Helper()
	for _, s := range load(t).with(variants["everything together"]).grants("JanitorRole") {
		for _, key := range s.conditions["ForAllValues:StringEquals"][tagKeysKey] {
			if !slices.ContainsFunc(asked, func(r request) bool {
				return s.matches(r) && slices.Contains(strings.Split(r.context[tagKeysKey], ","), key)
			}) {
				t.Errorf("%s allows %s, and nothing needs it", s.sid, key)
			}
		}
	}
}

// everyPrefixCounts looks for a request for each part of the records that the function may list.
func everyPrefixCounts(t *testing.T, asked []request) {
	t.Helper()
	for _, s := range load(t).grants("JanitorRole") {
		for _, pattern := range s.conditions["StringLike"]["s3:prefix"] {
			if !slices.ContainsFunc(asked, func(r request) bool { return s.matches(r) && like(pattern, r.context["s3:prefix"]) }) {
				t.Errorf("%s allows %s, and nothing needs it", s.sid, pattern)
			}
		}
	}
}

// unlinked are the packages that the function does not link, or that nothing in it calls; see
// TestTheFunctionRestoresNothing. The organization's functions have roles and tests of their own.
var unlinked = []string{"doctor", "emulator", "organization", "runtimeapi", "testdata", "trial", "undo"}

// writtenActions are the actions for which there is an input in the code that the function calls.
func writtenActions(t *testing.T) []string {
	t.Helper()
	actions := map[string]bool{}
	for _, directory := range []string{"functions", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains(unlinked, entry.Name()):
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

// TestTheFunctionRestoresNothing: what was removed is brought back by a person, with that person's
// permissions. The package that does it is linked with the pipeline, whose commands the command
// line calls and the function does not.
func TestTheFunctionRestoresNothing(t *testing.T) {
	commands := map[string]bool{}
	for _, declaration := range parsed(t, "pkg/janitor/undo.go").Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && function.Name.IsExported() && isOfJanitor(function) {
			commands[function.Name.Name] = true
		}
	}
	if !commands["Undo"] {
		t.Errorf("how to undo is not in pkg/janitor/undo.go any more; it has %v", commands)
	}
	files, err := filepath.Glob(filepath.Join(root, "functions/janitor/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		ast.Inspect(parsed(t, strings.TrimPrefix(path, root+"/")), func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && commands[selector.Sel.Name] {
				t.Errorf("%s: the function calls %s", path, selector.Sel.Name)
			}
			return true
		})
	}
}

func isOfJanitor(function *ast.FuncDecl) bool {
	if function.Recv == nil {
		return false
	}
	pointer, ok := function.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	name, ok := pointer.X.(*ast.Ident)
	return ok && name.Name == "Janitor"
}

// parsed is a Go file of the repository.
func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// namedOtherwise are the actions of IAM that are not named like those of the API (Service
// Authorization Reference, "Actions, resources, and condition keys for Amazon S3").
var namedOtherwise = map[string]string{
	"s3:ListObjectsV2": "s3:ListBucket", "s3:ListObjectVersions": "s3:ListBucketVersions", "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
}

// prefixes are IAM's names of services whose packages have others.
var prefixes = map[string]string{"emr": "elasticmapreduce"}

// addInputs adds ec2:DescribeImages for an ec2.DescribeImagesInput.
func addInputs(file *ast.File, actions map[string]bool) {
	services := map[string]string{}
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		if service, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/"); ok && !strings.Contains(service, "/") {
			name := service
			service = cmp.Or(prefixes[service], service)
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
					action = services[name.Name] + ":" + action
					actions[cmp.Or(namedOtherwise[action], action)] = true
				}
			}
		}
		return true
	})
}
