package template_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// longestInBin is for how many days the Recycle Bin holds images and snapshots at most (Amazon EBS
// User Guide, "Create a Recycle Bin retention rule").
const longestInBin = 365

// binRules are the rules of the Recycle Bin in a template, by the type of what they take in.
func binRules(t *testing.T, tpl template) map[string]object {
	t.Helper()
	rules := map[string]object{}
	for _, rule := range tpl.resources("AWS::Rbin::Rule") {
		kind := rule.properties["ResourceType"].(string)
		if rules[kind] != nil {
			t.Errorf("there are two rules for %s", kind)
		}
		rules[kind] = rule.properties
	}
	return rules
}

func TestTheRecycleBinTakesInWhatIsDeclaredAndNothingElse(t *testing.T) {
	declared := []any{object{"ResourceTagKey": ami.IntentTag, "ResourceTagValue": ami.Intent}}
	for _, name := range []string{"template.yaml", "recycle-bin.yaml"} {
		tpl := read(t, name)
		rules := binRules(t, tpl)
		if kinds := slices.Sorted(maps.Keys(rules)); !slices.Equal(kinds, []string{"EBS_SNAPSHOT", "EC2_IMAGE"}) {
			t.Fatalf("%s has rules for %q", name, kinds)
		}
		for kind, rule := range rules {
			if diff := cmp.Diff(declared, rule["ResourceTags"]); diff != "" {
				t.Errorf("%s: what the rule for %s takes in:\n%s", name, kind, diff)
			}
			if rule["LockConfiguration"] != nil || rule["ExcludeResourceTags"] != nil {
				t.Errorf("%s: the rule for %s is locked, or is one for the whole region", name, kind)
			}
		}
		// If both are for the days of one parameter, the snapshots do not leave before their image:
		// it goes in first.
		for kind, rule := range rules {
			period := rule["RetentionPeriod"]
			if at(period, "RetentionPeriodUnit") != "DAYS" || target(at(period, "RetentionPeriodValue")) != "RecycleBinDays" {
				t.Errorf("%s: the rule for %s holds for %v", name, kind, period)
			}
		}
	}
	if diff := cmp.Diff(binRules(t, load(t)), binRules(t, read(t, "recycle-bin.yaml"))); diff != "" {
		t.Errorf("the rules of the stack's region (-) and of the others (+) are not the same:\n%s", diff)
	}
}

func TestTheRecycleBinIsTheOnlyThingInItsTemplate(t *testing.T) {
	tpl := read(t, "recycle-bin.yaml")
	for section := range tpl.object {
		if !slices.Contains([]string{"AWSTemplateFormatVersion", "Description", "Parameters", "Resources"}, section) {
			t.Errorf("recycle-bin.yaml has %s; a StackSet's service-managed role can run no transform", section)
		}
	}
	if n := len(tpl.resources()); n != 2 || len(tpl.section("Parameters")) != 1 {
		t.Errorf("recycle-bin.yaml has %d resources and the parameters %v", n, tpl.section("Parameters"))
	}
	here, there := load(t).section("Parameters")["RecycleBinDays"], tpl.section("Parameters")["RecycleBinDays"]
	if at(here, "Default") != at(there, "Default") {
		t.Errorf("what is removed is held for %v days here and %v days there", at(here, "Default"), at(there, "Default"))
	}
	allows := func(parameter any, days int) bool {
		return regexp.MustCompile(at(parameter, "AllowedPattern").(string)).MatchString(strconv.Itoa(days))
	}
	for days := range 500 {
		legal := days >= 1 && days <= longestInBin
		if allows(there, days) != legal || allows(here, days) != (legal || days == 0) {
			t.Errorf("%d days: allowed here: %v, there: %v", days, allows(here, days), allows(there, days))
		}
	}
}

func TestNoDaysInTheRecycleBinAreNoRules(t *testing.T) {
	for days, there := range map[string]bool{"0": false, "1": true, "14": true, "365": true} {
		tpl := load(t).with(map[string]string{"RecycleBinDays": days})
		for _, rule := range tpl.resources("AWS::Rbin::Rule") {
			if got := tpl.holds(at(tpl.section("Resources"), rule.name, "Condition")); got != there {
				t.Errorf("%s: with RecycleBinDays=%s it is there: %v", rule.name, days, got)
			}
		}
	}
}

func TestRecordsArePrivateAndExpire(t *testing.T) {
	tpl := load(t)
	if buckets := tpl.resources("AWS::S3::Bucket"); len(buckets) != 1 {
		t.Fatalf("there are %d buckets", len(buckets))
	}
	bucket := tpl.properties("RecordsBucket")
	if bucket["BucketName"] != nil {
		t.Error("the bucket has a name, so that a second stack cannot be deployed")
	}
	wanted := object{
		"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
	}
	if diff := cmp.Diff(wanted, bucket["PublicAccessBlockConfiguration"]); diff != "" {
		t.Errorf("public access is blocked:\n%s", diff)
	}
	rules := list(at(bucket, "OwnershipControls", "Rules"))
	if len(rules) != 1 || at(rules[0], "ObjectOwnership") != "BucketOwnerEnforced" {
		t.Errorf("objects belong to %v", rules)
	}
	rules = list(at(bucket, "BucketEncryption", "ServerSideEncryptionConfiguration"))
	if len(rules) != 1 || at(rules[0], "ServerSideEncryptionByDefault", "SSEAlgorithm") != "AES256" {
		t.Errorf("objects are encrypted by %v", rules)
	}
	if at(bucket, "VersioningConfiguration", "Status") != "Enabled" {
		t.Error("what is overwritten is lost")
	}
	expiry := map[string]any{}
	for _, rule := range list(at(bucket, "LifecycleConfiguration", "Rules")) {
		if at(rule, "Status") != "Enabled" || at(rule, "Prefix") != nil || at(rule, "TagFilters") != nil {
			t.Errorf("not for everything: %v", rule)
		}
		maps.Copy(expiry, rule.(object))
	}
	if target(expiry["ExpirationInDays"]) != "RecordRetentionDays" || at(expiry["NoncurrentVersionExpiration"], "NoncurrentDays") == nil ||
		at(expiry["AbortIncompleteMultipartUpload"], "DaysAfterInitiation") == nil || expiry["ExpiredObjectDeleteMarker"] != true {
		t.Errorf("what expires: %v", expiry)
	}
	days := tpl.section("Parameters")["RecordRetentionDays"]
	if at(days, "MinValue").(int) <= longestInBin || at(days, "Default").(int) < at(days, "MinValue").(int) {
		t.Errorf("what is in the Recycle Bin can outlive the records: %v", days)
	}
}

// bucketPolicy is that of the records, beside a principal who may do everything.
func (t template) bucketPolicy() []statement {
	policy := []statement{{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}, principal: "*"}}
	for _, p := range t.resources("AWS::S3::BucketPolicy") {
		if target(p.properties["Bucket"]) == "RecordsBucket" {
			policy = append(policy, t.statements(p.name, t.decided(p.properties["PolicyDocument"]))...)
		}
	}
	return policy
}

// TestOnlyTheJanitorWritesRecords: who can write records could have snapshots deleted, and images
// enabled.
func TestOnlyTheJanitorWritesRecords(t *testing.T) {
	for variant, parameters := range map[string]map[string]string{"with pages": nil, "without": {"Report": "false"}} {
		t.Run(variant, func(t *testing.T) { onlyTheJanitorWrites(t, load(t).with(parameters).bucketPolicy()) })
	}
}

func onlyTheJanitorWrites(t *testing.T, policy []statement) {
	t.Helper()
	for principal, may := range map[string]bool{
		"<JanitorRole>": true, "<ReporterRole>": false, "arn:aws:iam::123456789012:role/Admin": false, "arn:aws:iam::123456789012:root": false, "arn:aws:iam::111122223333:role/x": false,
	} {
		for _, action := range []string{"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"} {
			for _, key := range []string{"runs/x/plan-eu-west-1.json", "removals/eu-west-1/ami-1/x.json", "runs/x/record.json", "locks/eu-west-1.json", "account.json", "sums.json", "else", "report.html", "runs/index.html", "locks/report.html"} {
				r := request{action, "<RecordsBucket>/" + key, map[string]string{"aws:PrincipalArn": principal, "aws:SecureTransport": "true"}}
				if got := allowed(policy, r); got != may {
					t.Errorf("%s on %s by %s: %v", action, key, principal, got)
				}
			}
		}
		read := request{"s3:GetObject", "<RecordsBucket>/runs/x/record.json", map[string]string{"aws:PrincipalArn": principal, "aws:SecureTransport": "true"}}
		if !allowed(policy, read) {
			t.Errorf("%s may not read records", principal)
		}
	}
}

func TestRecordsTakeOnlyTLS(t *testing.T) {
	policy := load(t).bucketPolicy()[1:]
	for _, s := range policy {
		if s.effect == "Allow" {
			t.Errorf("%s lets others in", s.sid)
		}
		if s.principal != "*" {
			t.Errorf("%s is for %v only", s.sid, s.principal)
		}
	}
	policy = append(policy, statement{effect: "Allow", actions: []string{"*"}, resources: []string{"*"}})
	for _, r := range []request{
		{"s3:GetObject", "<RecordsBucket>/runs/20261123T020000Z-3f9c1a/record.json", nil},
		{"s3:PutObject", "<RecordsBucket>/locks/eu-west-1.json", nil},
		{"s3:ListBucket", "<RecordsBucket>", nil},
	} {
		for secure, may := range map[string]bool{"true": true, "false": false} {
			r.context = map[string]string{"aws:SecureTransport": secure, "aws:PrincipalArn": "<JanitorRole>"}
			if got := allowed(policy, r); got != may {
				t.Errorf("%s on %s, TLS %s: %v", r.action, r.resource, secure, got)
			}
		}
	}
}

// TestEveryRecordHasItsPlace: the function is given the bucket of this stack, and people are told
// of it.
func TestEveryRecordHasItsPlace(t *testing.T) {
	tpl := load(t)
	const place = "s3://<RecordsBucket>"
	if got := filled(at(tpl.function().properties, "Environment", "Variables", "RECORDS")); got != place {
		t.Errorf("records are kept in %s", got)
	}
	if got := filled(at(tpl.section("Outputs"), "Records", "Value")); got != place {
		t.Errorf("people look for records in %s", got)
	}
	for _, s := range tpl.grants("JanitorRole") {
		for _, action := range s.actions {
			if strings.HasPrefix(action, "s3:") && s.conditions["StringEquals"]["aws:ResourceAccount"] == nil {
				t.Errorf("%s: the bucket may be another account's", s.sid)
			}
		}
	}
}

// TestWhoUndoesIsToldWhatItTakes compares the policy in docs/deploying.md with the code that
// undoes.
func TestWhoUndoesIsToldWhatItTakes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	document, _, _ := strings.Cut(rest, "```")
	var policy object
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "pkg/undo/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{"ec2:DescribeRegions": true, "s3:GetObject": true, "s3:ListBucket": true}
	files = append(files, filepath.Join(root, "pkg/recyclebin/contents.go"), filepath.Join(root, "pkg/wire/tags.go"))
	for _, path := range files {
		if !strings.HasSuffix(path, "_test.go") {
			addInputs(parsed(t, strings.TrimPrefix(path, root+"/")), needed)
		}
	}
	told := map[string]bool{}
	granted := statements("docs/deploying.md", policy)
	for _, s := range granted {
		for _, action := range s.actions {
			told[action] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(told))); diff != "" {
		t.Errorf("what undoing needs (-), and what people are told (+):\n%s", diff)
	}
	both := func(action, resource, keys string) bool {
		return allowed(granted, request{action, resource, map[string]string{tagKeysKey: keys}})
	}
	for _, resource := range []string{anImage, aSnapshot} {
		for _, action := range []string{"ec2:CreateTags", "ec2:DeleteTags"} {
			if !both(action, resource, "ami-janitor:restored") || !both(action, resource, "ami-janitor:intent,ami-janitor:run") {
				t.Errorf("who undoes may not %s on %s", action, resource)
			}
			if both(action, resource, "ami-janitor:keep") || allowed(granted, request{action, resource, nil}) {
				t.Errorf("who undoes may %s other tags on %s, or all", action, resource)
			}
		}
	}
}
