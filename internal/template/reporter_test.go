package template_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

const (
	drawnRun = "20261123T020000Z-3f9c1a"
	pageKey  = "runs/" + drawnRun + "/report.html"
)

// recordsName is the name of the bucket in tests.
var recordsName = strings.TrimPrefix(places["RECORDS"].example, "s3://")

// drawsFor is what the reporter asks AWS for: its own binary, on an emulated account whose S3 lets
// it do what its role and the bucket's policy allow, and nothing else.
func drawsFor(t *testing.T) []request {
	t.Helper()
	account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(root, "pkg/digest/testdata/ordinary/record.json"))
	if err != nil {
		t.Fatal(err)
	}
	for key, content := range map[string][]byte{
		"runs/" + drawnRun + "/record.json": record, "runs/" + drawnRun + "/plan-eu-west-1.json": []byte("{}"), "locks/eu-west-1.json": []byte("{}"),
	} {
		if _, err := s3.NewFromConfig(configuration(account.Client(), "us-east-1")).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &recordsName, Key: aws.String(key), Body: bytes.NewReader(content),
		}); err != nil {
			t.Fatal(err)
		}
	}
	w := &witness{t: t, account: guarded{load(t), account.Client()}, asked: map[string]request{}}
	result := draw(t, handlerOf(w), recordsName, "runs/"+drawnRun+"/record.json")
	if result.Error != nil || !bytes.Contains(account.Objects(recordsName)[pageKey], []byte("</html>")) || account.Objects(recordsName)["index.html"] == nil {
		t.Fatalf("%s\n%s\n%q", result.Error, result.Log, slices.Sorted(maps.Keys(account.Objects(recordsName))))
	}
	return slices.Collect(maps.Values(w.asked))
}

// guarded is an account that the reporter's role, and the policy of the bucket, let in.
type guarded struct {
	template template
	account  emulator.Doer
}

func (g guarded) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	asked := onRecords(q)[0] // The second is asked only for what is not there.
	asked.context["aws:PrincipalArn"], asked.context["aws:SecureTransport"] = "<ReporterRole>", "true"
	if !allowed(g.template.grants("ReporterRole"), asked) || !allowed(g.template.bucketPolicy(), asked) {
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
			`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>` + asked.action + ` on ` + asked.resource + `</Message></Error>`))}, nil
	}
	return g.account.Do(r)
}

// handlerOf serves what a Doer answers.
func handlerOf(doer emulator.Doer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := doer.Do(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer func() { _ = response.Body.Close() }()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
}

// draw runs the reporter's bootstrap once, as the template configures it.
func draw(t *testing.T, account http.Handler, bucket, key string) runtimeapi.Result {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-o", bootstrap, "./functions/reporter")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := httptest.NewServer(account)
	defer server.Close()
	event, err := json.Marshal(arrival(bucket, key))
	if err != nil {
		t.Fatal(err)
	}
	variables := []string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_LAMBDA_LOG_FORMAT=JSON",
	}
	for name, value := range at(load(t).reporter().properties, "Environment", "Variables").(object) {
		variables = append(variables, name+"="+strings.ReplaceAll(filled(value), "<RecordsBucket>", recordsName))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	result, err := runtimeapi.Invoke(ctx, runtimeapi.Invocation{Bootstrap: bootstrap, Environment: variables, Event: event, Deadline: time.Now().Add(5 * time.Minute)})
	if err != nil {
		t.Fatalf("%v\n%s", err, result.Log)
	}
	return result
}

// arrival is the event about a new object (Amazon S3 User Guide, "EventBridge event message
// structure").
func arrival(bucket, key string) object {
	return object{
		"version": "0", "detail-type": "Object Created", "source": "aws.s3", "account": account, "region": region,
		"detail": object{"version": "0", "bucket": object{"name": bucket}, "object": object{"key": key, "size": 5.0}, "reason": "PutObject"},
	}
}

// TestWhatTheReporterMayNeverDo: it reads records, lists them and writes pages, and that is all.
func TestWhatTheReporterMayNeverDo(t *testing.T) {
	tpl := load(t)
	may := func(action, resource string, more ...string) bool {
		context := map[string]string{"aws:ResourceAccount": account, "aws:PrincipalArn": "<ReporterRole>", "aws:SecureTransport": "true", "ec2:Owner": account}
		for i := 0; i < len(more); i += 2 {
			context[more[i]] = more[i+1]
		}
		r := request{action, resource, context}
		return allowed(tpl.grants("ReporterRole"), r) && (!strings.HasPrefix(action, "s3:") || allowed(tpl.bucketPolicy(), r))
	}
	const bucket, record = "<RecordsBucket>", "<RecordsBucket>/runs/" + drawnRun + "/record.json"
	for what, is := range map[string]bool{
		"read a record":  may("s3:GetObject", record),
		"write a page":   may("s3:PutObject", bucket+"/"+pageKey),
		"write an index": may("s3:PutObject", bucket+"/index.html"),
		"list the runs":  may("s3:ListBucket", bucket, "s3:prefix", "runs/"),
	} {
		if !is {
			t.Errorf("it may not %s", what)
		}
	}
	keys := []string{
		"locks/eu-west-1.json", "removals/eu-west-1/ami-1/" + drawnRun + ".json", "unfinished/eu-west-1/" + drawnRun, "account.json", "sums.json", "else", "locks/report.html",
		"runs/" + drawnRun + "/plan-eu-west-1.json",
	}
	for _, key := range keys {
		for _, action := range []string{"s3:GetObject", "s3:PutObject"} {
			if may(action, bucket+"/"+key) {
				t.Errorf("it may %s on %s", action, key)
			}
		}
	}
	for _, key := range append(keys, pageKey, "index.html", "runs/"+drawnRun+"/record.json") {
		for _, action := range []string{"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:GetObjectVersion", "s3:PutObjectTagging", "s3:RestoreObject"} {
			if may(action, bucket+"/"+key) {
				t.Errorf("it may %s on %s", action, key)
			}
		}
	}
	never := map[string]bool{
		"write a record":              may("s3:PutObject", record),
		"read a page":                 may("s3:GetObject", bucket+"/"+pageKey),
		"read another account's":      may("s3:GetObject", record, "aws:ResourceAccount", "999988887777"),
		"write to another account":    may("s3:PutObject", bucket+"/"+pageKey, "aws:ResourceAccount", "999988887777"),
		"read another bucket":         may("s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/runs/"+drawnRun+"/record.json"),
		"list everything":             may("s3:ListBucket", bucket, "s3:prefix", ""),
		"list without a prefix":       may("s3:ListBucket", bucket),
		"list the locks":              may("s3:ListBucket", bucket, "s3:prefix", "locks/"),
		"list the removals":           may("s3:ListBucket", bucket, "s3:prefix", "removals/eu-west-1/"),
		"change the bucket's policy":  may("s3:PutBucketPolicy", bucket),
		"look at images":              may("ec2:DescribeImages", "*"),
		"remove an image":             may("ec2:DeregisterImage", anImage, intent, "remove"),
		"delete a snapshot":           may("ec2:DeleteSnapshot", aSnapshot, intent, "remove"),
		"declare a removal":           may("ec2:CreateTags", anImage, tagKeysKey, "ami-janitor:intent", requestTag+"ami-janitor:intent", "remove"),
		"disable an image":            may("ec2:DisableImage", anImage),
		"restore an image":            may("ec2:RestoreImageFromRecycleBin", anImage),
		"read a parameter":            may("ssm:GetParameters", aParameter),
		"publish a digest":            may("sns:Publish", "<DigestTopic>"),
		"publish to the chat":         may("sns:Publish", "<ChatTopic>"),
		"use the key of the topics":   may("kms:Decrypt", "*", "kms:ViaService", "sns.eu-west-1.amazonaws.com"),
		"start the janitor":           may("lambda:InvokeFunction", "<JanitorFunction>"),
		"write the janitor's log":     may("logs:PutLogEvents", "<JanitorLog>"),
		"write to the failed runs":    may("sqs:SendMessage", "<FailedRuns>"),
		"take events off the queue":   may("sqs:ReceiveMessage", "<UndeliveredEvents>"),
		"write without TLS":           may("s3:PutObject", bucket+"/index.html", "aws:SecureTransport", "false"),
		"write as somebody else does": may("s3:PutObject", bucket+"/index.html", "aws:PrincipalArn", "arn:aws:iam::123456789012:role/Admin"),
	}
	for what, is := range never {
		if is {
			t.Errorf("it may %s", what)
		}
	}
}

// TestNobodyElseWritesPages: a page is what people approve deletions by.
func TestNobodyElseWritesPages(t *testing.T) {
	for variant, writer := range map[string]string{"true": "<ReporterRole>", "false": "<JanitorRole>"} {
		policy := load(t).with(map[string]string{"Report": variant}).bucketPolicy()
		for _, principal := range []string{"<ReporterRole>", "<JanitorRole>", "arn:aws:iam::123456789012:role/Admin", "arn:aws:iam::123456789012:root", ""} {
			for _, key := range []string{pageKey, "index.html"} {
				r := request{"s3:PutObject", "<RecordsBucket>/" + key, map[string]string{"aws:PrincipalArn": principal, "aws:SecureTransport": "true"}}
				if got := allowed(policy, r); got != (principal == writer) {
					t.Errorf("Report=%s: %q writes %s: %v", variant, principal, key, got)
				}
			}
		}
	}
}

// fits decides as EventBridge does (EventBridge User Guide, "Event patterns"), as far as the
// template's pattern goes.
func fits(pattern, event any) bool {
	switch pattern := pattern.(type) {
	case object:
		if wildcard, ok := pattern["wildcard"].(string); ok {
			text, isText := event.(string)
			return isText && like(wildcard, text)
		}
		for key, inner := range pattern {
			if !fits(inner, at(event, key)) {
				return false
			}
		}
		return true
	case []any:
		return slices.ContainsFunc(pattern, func(each any) bool { return fits(each, event) })
	default:
		return pattern == event
	}
}

// TestOnlyARecordStartsTheReporter: its own pages do not, or it would never end.
func TestOnlyARecordStartsTheReporter(t *testing.T) {
	tpl := load(t)
	pattern := resolved(tpl.properties("RecordArrived")["EventPattern"])
	starts := func(event object) bool { return fits(pattern, event) }
	if !starts(arrival("<RecordsBucket>", "runs/"+drawnRun+"/record.json")) {
		t.Fatalf("a record does not: %v", pattern)
	}
	for _, key := range []string{
		pageKey, "index.html", "runs/" + drawnRun + "/plan-eu-west-1.json", "runs/" + drawnRun + "/record.json.html", "sums.json", "account.json",
		"locks/eu-west-1.json", "removals/eu-west-1/ami-1/" + drawnRun + ".json", "unfinished/eu-west-1/" + drawnRun, "x/runs/" + drawnRun + "/record.json",
	} {
		if starts(arrival("<RecordsBucket>", key)) {
			t.Errorf("%s does", key)
		}
	}
	for what, change := range map[string]func(object){
		"another bucket's record": func(e object) { at(e, "detail", "bucket").(object)["name"] = "amzn-s3-demo-bucket" },
		"one that is deleted":     func(e object) { e["detail-type"] = "Object Deleted" },
		"one that is tagged":      func(e object) { e["detail-type"] = "Object Tags Added" },
		"one of another account":  func(e object) { e["account"] = "999988887777" },
		"an event of others":      func(e object) { e["source"] = "custom.app" },
	} {
		event := arrival("<RecordsBucket>", "runs/"+drawnRun+"/record.json")
		if change(event); starts(event) {
			t.Errorf("%s does", what)
		}
	}
}

// TestTheWayFromARecordToItsPage walks it: bucket, rule, permission, function; and the queue for
// what gets lost on it.
func TestTheWayFromARecordToItsPage(t *testing.T) {
	tpl := load(t)
	rule, permission, function := tpl.properties("RecordArrived"), tpl.properties("RecordStartsReporter"), tpl.reporter()
	targets := list(rule["Targets"])
	if len(targets) != 1 || target(at(targets[0], "Arn")) != function.name || rule["State"] != "ENABLED" {
		t.Errorf("the rule starts %v", targets)
	}
	if target(permission["FunctionName"]) != function.name || permission["Principal"] != "events.amazonaws.com" || target(permission["SourceArn"]) != "RecordArrived" {
		t.Errorf("it may start: %v", permission)
	}
	for what, queue := range map[string]any{
		"the rule":     at(targets[0], "DeadLetterConfig", "Arn"),
		"the function": at(function.properties, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"),
	} {
		if target(queue) != target(at(tpl.function().properties, "Events", "Nightly", "Properties", "DeadLetterConfig", "Arn")) {
			t.Errorf("what %s loses goes to %v, which no alarm watches", what, queue)
		}
	}
	policy := tpl.statements("QueuePolicy", tpl.decided(tpl.properties("QueuePolicy")["PolicyDocument"]))
	for source, may := range map[string]bool{"<RecordArrived>": true, "arn:aws:events:eu-west-1:123456789012:rule/another": false} {
		for _, queue := range []string{"<UndeliveredEvents>", "<FailedRuns>"} {
			r := request{"sqs:SendMessage", queue, map[string]string{"aws:SourceArn": source, "aws:SecureTransport": "true"}}
			if got := admitted(policy, "events.amazonaws.com", r); got != (may && queue == "<UndeliveredEvents>") {
				t.Errorf("%s may send to %s: %v", source, queue, got)
			}
		}
	}
	for report, is := range map[string]bool{"true": true, "false": false} {
		chosen := load(t).with(map[string]string{"Report": report})
		notifies := at(chosen.decided(chosen.properties("RecordsBucket")), "NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled")
		links := at(chosen.decided(chosen.function().properties), "Environment", "Variables", "REPORT_PAGES")
		if (notifies == true) != is || links != report {
			t.Errorf("Report=%s: the bucket tells of its objects: %v; the digest links to pages: %v", report, notifies, links)
		}
		for _, name := range []string{"RecordArrived", "RecordStartsReporter", "ReporterFunction", "ReporterLog", "ReporterRole"} {
			if chosen.holds(at(chosen.section("Resources"), name, "Condition")) != is {
				t.Errorf("Report=%s: %s", report, name)
			}
		}
	}
}

func TestTheReporterIsSafeToLeaveAlone(t *testing.T) {
	tpl := load(t)
	function := tpl.reporter().properties
	for path, want := range map[string]any{
		"Runtime": "provided.al2023", "Handler": "bootstrap", "LoggingConfig/LogFormat": "JSON", "EventInvokeConfig/MaximumRetryAttempts": 2,
		"EventInvokeConfig/DestinationConfig/OnFailure/Type": "SQS", "Role/Fn::GetAtt": []any{"ReporterRole", "Arn"},
	} {
		if got := at(function, strings.Split(path, "/")...); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, not %v", path, got, want)
		}
	}
	if at(tpl.section("Resources"), "ReporterFunction", "Metadata", "BuildMethod") != "makefile" {
		t.Error("SAM would build the function in its own way, without tags and version")
	}
	if group := tpl.properties(target(at(function, "LoggingConfig", "LogGroup"))); target(group["RetentionInDays"]) != "LogRetentionDays" {
		t.Error("the log is kept for ever")
	}
	for variable, want := range map[string]string{"RECORDS": "s3://<RecordsBucket>", "STACK_NAME": "ami-janitor"} {
		if got := filled(at(function, "Environment", "Variables", variable)); got != want {
			t.Errorf("%s is %s, not %s", variable, got, want)
		}
	}
}
