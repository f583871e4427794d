package template_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator/policy"
)

// The account that the policies are read for.
const (
	account   = "123456789012"
	partition = "aws"
	region    = "eu-west-1"
)

// statement is a statement of a policy, with its pseudo parameters filled in. A reference to a
// resource of the template is written <Name>.
type statement struct {
	sid, effect        string
	actions, resources []string
	others             []string                       // It is for all resources but these.
	conditions         map[string]map[string][]string // By operator and key.
	principal          any
	of                 string // Whose it is, such as "template.yaml JanitorRole".
}

func (t template) statements(of string, document any) []statement {
	return statements(t.file+" "+of, document)
}

func statements(of string, document any) []statement {
	var read []statement
	for _, item := range list(at(document, "Statement")) {
		s := statement{
			actions:    texts(at(item, "Action")),
			conditions: map[string]map[string][]string{},
			principal:  at(item, "Principal"),
			of:         of,
		}
		s.sid, _ = at(item, "Sid").(string)
		s.effect, _ = at(item, "Effect").(string)
		for _, r := range list(at(item, "Resource")) {
			s.resources = append(s.resources, filled(r))
		}
		for _, r := range list(at(item, "NotResource")) {
			s.others = append(s.others, filled(r))
		}
		if operators, ok := at(item, "Condition").(object); ok {
			for operator, keys := range operators {
				s.conditions[operator] = map[string][]string{}
				for key, values := range keys.(object) {
					for _, value := range list(values) {
						s.conditions[operator][key] = append(s.conditions[operator][key], filled(value))
					}
				}
			}
		}
		read = append(read, s)
	}
	return read
}

var pseudo = strings.NewReplacer(
	"${AWS::Partition}", partition, "${AWS::AccountId}", account, "${AWS::Region}", region, "${AWS::StackName}", "ami-janitor",
)

// ofResource is a resource in the text of a Fn::Sub, by its name or its ARN.
var ofResource = regexp.MustCompile(`\$\{(\w+)(?:\.Arn)?\}`)

// filled is a text with its pseudo parameters filled in.
func filled(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	if text, ok := at(value, "Fn::Sub").(string); ok {
		return ofResource.ReplaceAllString(pseudo.Replace(text), "<$1>")
	}
	if name := target(value); strings.HasPrefix(name, "AWS::") {
		return pseudo.Replace("${" + name + "}")
	} else if name != "" {
		return "<" + name + ">"
	}
	return fmt.Sprint(value)
}

// policies returns the documents that are attached to a role: those written into it, and those of
// the stack that name it.
func (t template) policies(role string) []any {
	return append(t.inline(role), t.attached(role, "AWS::IAM::ManagedPolicy")...)
}

// inline returns the documents that count as written into a role.
func (t template) inline(role string) []any {
	var written []any
	for _, policy := range list(t.properties(role)["Policies"]) {
		written = append(written, t.decided(at(policy, "PolicyDocument")))
	}
	return append(written, t.attached(role, "AWS::IAM::Policy")...)
}

// attached returns the documents of the policies of a kind that name a role.
func (t template) attached(role, kind string) []any {
	var attached []any
	for _, policy := range t.resources(kind) {
		for _, to := range list(t.decided(policy.properties["Roles"])) {
			if target(to) == role && t.holds(at(t.section("Resources"), policy.name, "Condition")) {
				attached = append(attached, t.decided(policy.properties["PolicyDocument"]))
			}
		}
	}
	return attached
}

// grants returns the statements that are attached to a role.
func (t template) grants(role string) []statement {
	var granted []statement
	for _, document := range t.policies(role) {
		granted = append(granted, t.statements(role, document)...)
	}
	return granted
}

// request is what IAM decides on.
type request struct {
	action, resource string
	context          map[string]string // A key that the request does not have is not in it.
}

// allowed decides as IAM does, and notes the case for a second opinion.
func allowed(policy []statement, r request) bool {
	is := verdict(policy, r)
	note(policy, r.context["aws:PrincipalArn"], r, is)
	return is
}

// admitted decides whether the policy of a resource lets somebody in, given as filled writes it or
// as a service, and notes the case for a second opinion.
func admitted(policy []statement, who string, r request) bool {
	is := verdict(slices.DeleteFunc(slices.Clone(policy), func(s statement) bool { return !s.concerns(who) }), r)
	note(policy, who, r, is)
	return is
}

// concerns reports whether a statement is for somebody. A principal of an account's root is
// everybody in that account (IAM User Guide, "AWS JSON policy elements: Principal").
func (s statement) concerns(who string) bool {
	home := account
	if parts := strings.Split(who, ":"); len(parts) > 4 {
		home = parts[4]
	}
	isService := strings.HasSuffix(who, ".amazonaws.com")
	return s.principal == "*" || s.isFor(who) || !isService && filled(at(s.principal, "AWS")) == "arn:aws:iam::"+home+":root"
}

// verdict is IAM's: some statement allows the request, and none denies it.
func verdict(policy []statement, r request) bool {
	some := false
	for _, s := range policy {
		if !s.matches(r) {
			continue
		}
		if s.effect == "Deny" {
			return false
		}
		some = true
	}
	return some
}

func (s statement) matches(r request) bool {
	context := map[string][]string{}
	for key, value := range r.context {
		context[key] = []string{value}
		if key == tagKeysKey {
			context[key] = strings.Split(value, ",")
		}
	}
	of := policy.Statement{Actions: s.actions, Resources: s.resources, NotResources: s.others, Conditions: s.conditions}
	return of.Matches(policy.Request{Action: r.action, Resource: r.resource, Context: context})
}

// like matches a text with a pattern of IAM's.
func like(pattern, text string) bool { return policy.Like(pattern, text) }

const (
	anImage    = "arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0"
	aSnapshot  = "arn:aws:ec2:us-east-2::snapshot/snap-0123456789abcdef0"
	aReport    = "arn:aws:ec2:us-east-2:123456789012:image-usage-report/amiur-0123456789abcdef0"
	aParameter = "arn:aws:ssm:us-east-2:123456789012:parameter/golden/web"
	aRule      = "arn:aws:rbin:us-east-2:123456789012:rule/0123456789a"
)

// intent is IAM's key for the tag by which a run has declared that it means to remove a resource.
const intent = "aws:ResourceTag/ami-janitor:intent"

// declared is the context of a request that concerns an own image or snapshot whose removal is
// declared, and more of it.
func declared(more ...string) map[string]string {
	return own(append([]string{intent, "remove"}, more...)...)
}

// own is the context of a request that concerns an image or a snapshot of the account's own, and
// more of it.
func own(more ...string) map[string]string {
	context := map[string]string{"ec2:Owner": account, "ec2:Public": "false"}
	for i := 0; i < len(more); i += 2 {
		context[more[i]] = more[i+1]
	}
	return context
}

// sweeping are the statements of the roles that remove: in the single account, and in a member of
// an organization.
func sweeping(t *testing.T, parameters map[string]string) map[string][]statement {
	t.Helper()
	return map[string][]statement{
		"JanitorRole": load(t).with(parameters).grants("JanitorRole"),
		"SweepRole":   loadMember(t, parameters).grants("SweepRole"),
	}
}

func TestWhatTheFunctionMayRemove(t *testing.T) {
	const keep = "aws:ResourceTag/ami-janitor:keep"
	cases := map[string]struct {
		context                      map[string]string
		deregister, deletes, disable bool
	}{
		"its own, declared":                       {declared(), true, true, true},
		"its own, declared, with another tag":     {declared("aws:ResourceTag/Team", "search"), true, true, true},
		"its own, without tags":                   {own(), false, false, true},
		"its own, with another tag":               {own("aws:ResourceTag/Team", "search"), false, false, true},
		"its own, announced":                      {own("aws:ResourceTag/ami-janitor:due", "2026-11-23", "aws:ResourceTag/ami-janitor:announced-by", "x"), false, false, true},
		"its own, declared to be kept":            {own(intent, "keep"), false, false, true},
		"its own, declared to be nothing":         {own(intent, ""), false, false, true},
		"its own, declared in capitals":           {own(intent, "REMOVE"), false, false, true},
		"its own, declared in other words":        {own(intent, "remove it"), false, false, true},
		"of another account":                      {declared("ec2:Owner", "999988887777"), false, false, false},
		"of nobody that is known":                 {map[string]string{}, false, false, false},
		"declared, of nobody that is known":       {map[string]string{intent: "remove"}, false, false, false},
		"of AWS":                                  {declared("ec2:Owner", "amazon"), false, false, false},
		"kept by its tag":                         {declared(keep, "true"), false, false, false},
		"kept by its tag without a value":         {declared(keep, ""), false, false, false},
		"kept by its tag with any value":          {declared(keep, "no"), false, false, false},
		"kept by its tag with a blank at its end": {declared(keep, "false "), false, false, false},
		"no longer kept by its tag":               {declared(keep, "false"), true, true, true},
		"no longer kept by its tag, in capitals":  {declared(keep, "FALSE"), true, true, true},
		"of AWS Backup":                           {declared("aws:ResourceTag/aws:backup:source-resource", "i-0123456789abcdef0"), false, false, false},
		"a copy of AWS Backup's":                  {declared("aws:ResourceTag/AWSBackupManagedResource", ""), false, false, false},
		// Of a snapshot IAM does not know it.
		"public": {declared("ec2:Public", "true"), false, true, false},
	}
	for variant, parameters := range variants {
		judgesShared := parameters["SharedImages"] == "report"
		disables := parameters["GraceAction"] == "disable"
		for who, policy := range sweeping(t, parameters) {
			for name, c := range cases {
				t.Run(variant+"/"+who+"/"+name, func(t *testing.T) {
					deregister := c.deregister || judgesShared && name == "public"
					if got := allowed(policy, request{"ec2:DeregisterImage", anImage, c.context}); got != deregister {
						t.Errorf("it may deregister such an image: %v", got)
					}
					if got := allowed(policy, request{"ec2:DeleteSnapshot", aSnapshot, c.context}); got != c.deletes {
						t.Errorf("it may delete such a snapshot: %v", got)
					}
					if got := allowed(policy, request{"ec2:DisableImage", anImage, c.context}); got != (disables && c.disable) {
						t.Errorf("it may disable such an image: %v", got)
					}
				})
			}
		}
	}
}

func TestWhichParametersTheFunctionMayRead(t *testing.T) {
	for whose, arn := range map[string]string{
		"the account's own": aParameter,
		"AWS's public ones": "arn:aws:ssm:us-east-2::parameter/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
		"those of another account, which has to share them": "arn:aws:ssm:us-east-2:999988887777:parameter/golden/web",
	} {
		if !allowed(load(t).grants("JanitorRole"), request{"ssm:GetParameters", arn, nil}) {
			t.Errorf("it may not read %s", whose)
		}
	}
}

// TestWhichObjectsTheFunctionMayRead: those that the parameters name, in each of their places, and
// no others.
func TestWhichObjectsTheFunctionMayRead(t *testing.T) {
	const lists, states = "ssm:/keep, s3://lists/keep.txt,s3://more.lists/repos/", "s3://states/prod,s3://s2/*.tfstate, s3://s3s/,s3://s4s/a/b/,s3://s5s/x"
	cases := []struct {
		keepList, texts  string
		action, resource string
		may              bool
	}{
		{"", "", "s3:GetObject", "lists/keep.txt", false},
		{"", "", "s3:ListBucket", "-", false},
		{"ssm:/keep", "", "s3:GetObject", "-/", false},
		{lists, "", "s3:GetObject", "lists/keep.txt", true},
		{lists, "", "s3:ListBucket", "more.lists", true},
		{lists, "", "s3:GetObject", "more.lists/repos/web", true},
		{lists, "", "s3:GetObject", "more.lists/other", false},
		{lists, "", "s3:GetObject", "states/prod", false},
		{lists, "", "s3:PutObject", "lists/keep.txt", false},
		{lists, "", "s3:DeleteObject", "more.lists/repos/web", false},
		{"", states, "s3:ListBucket", "states", true},
		{"", states, "s3:GetObject", "states/prod/a.tfstate", true},
		{"", states, "s3:GetObject", "states/dev/a.tfstate", false},
		{"", states, "s3:GetObject", "s2/env/a.tfstate", true},
		{"", states, "s3:GetObject", "s2/env/a.json", false},
		{"", states, "s3:ListBucket", "lists", false},
		{lists, states, "s3:GetObject", "s3s/any", true},
		{lists, states, "s3:ListBucket", "s4s", true},
		{lists, states, "s3:GetObject", "s5s/x/y", true},
		{lists, states, "s3:GetObject", "s5s/y", false},
		{lists, states, "s3:GetObject", "lists/keep.txt", true},
		{lists, states, "s3:GetObject", "more.lists/repos/web", true},
		{lists, states, "s3:ListBucket", "more.lists", true},
		{lists, states, "s3:ListBucket", "amzn-s3-demo-bucket", false},
	}
	for _, c := range cases {
		policy := load(t).with(map[string]string{"KeepList": c.keepList, "TextObjects": c.texts}).grants("JanitorRole")
		if got := allowed(policy, request{c.action, "arn:aws:s3:::" + c.resource, nil}); got != c.may {
			t.Errorf("KeepList=%s, TextObjects=%s: it may %s on %s: %v", c.keepList, c.texts, c.action, c.resource, got)
		}
	}
	decrypt := request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
	for texts, may := range map[string]bool{"": false, states: true} {
		if got := allowed(load(t).with(map[string]string{"TextObjects": texts}).grants("JanitorRole"), decrypt); got != may {
			t.Errorf("TextObjects=%s: it may decrypt objects: %v", texts, got)
		}
	}
}

// TestWhatTheFunctionMayDeclare holds whatever the parameters are: nothing can be removed that is
// not declared.
func TestWhatTheFunctionMayDeclare(t *testing.T) {
	const value = "aws:RequestTag/ami-janitor:intent"
	both := tagKeys([]string{"ami-janitor:intent", "ami-janitor:run"})
	cases := map[string]struct {
		context map[string]string
		may     bool
	}{
		"with the run":             {own(tagKeysKey, both, value, "remove"), true},
		"without the run":          {own(tagKeysKey, "ami-janitor:intent", value, "remove"), true},
		"with another value":       {own(tagKeysKey, both, value, "keep"), false},
		"with no value":            {own(tagKeysKey, both, value, ""), false},
		"in capitals":              {own(tagKeysKey, both, value, "Remove"), false},
		"along with another tag":   {own(tagKeysKey, both+",Team", value, "remove"), false},
		"along with a keep tag":    {own(tagKeysKey, both+",ami-janitor:keep", value, "remove"), false},
		"along with a limit":       {own(tagKeysKey, both+",ami-janitor:stale-after", value, "remove"), false},
		"of another account":       {own("ec2:Owner", "999988887777", tagKeysKey, both, value, "remove"), false},
		"of nobody that is known":  {map[string]string{tagKeysKey: both, value: "remove"}, false},
		"again, what is declared":  {declared(tagKeysKey, both, value, "remove"), true},
		"the tag without a number": {own(tagKeysKey, "ami-janitor:intents", value, "remove"), false},
	}
	for variant, parameters := range variants {
		for who, policy := range sweeping(t, parameters) {
			for name, c := range cases {
				for _, resource := range []string{anImage, aSnapshot} {
					if got := allowed(policy, request{"ec2:CreateTags", resource, c.context}); got != c.may {
						t.Errorf("%s: %s: %s may declare the removal of %s: %v", variant, name, who, resource, got)
					}
				}
				if allowed(policy, request{"ec2:CreateTags", aReport, c.context}) {
					t.Errorf("%s: %s: %s may declare the removal of what is neither", variant, name, who)
				}
			}
		}
	}
}

// TestWhatTheFunctionMayTakeBack holds whatever the parameters are: they may have changed since a
// tag was written.
func TestWhatTheFunctionMayTakeBack(t *testing.T) {
	takes := func(policy []statement, resource string, keys ...string) bool {
		context := declared(tagKeysKey, tagKeys(keys))
		delete(context, "ec2:Owner") // IAM does not know it here.
		return allowed(policy, request{"ec2:DeleteTags", resource, context})
	}
	for variant, parameters := range variants {
		policy := load(t).with(parameters).grants("JanitorRole")
		for _, resource := range []string{anImage, aSnapshot} {
			for _, keys := range [][]string{{"ami-janitor:intent", "ami-janitor:run"}, {"ami-janitor:intent"}, {"ami-janitor:run"}} {
				if !takes(policy, resource, keys...) {
					t.Errorf("%s: it may not take %q off %s", variant, keys, resource)
				}
			}
		}
		for _, keys := range [][]string{
			{"ami-janitor:due", "ami-janitor:announced-by"}, {"ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:disabled", "ami-janitor:intent", "ami-janitor:run"},
		} {
			if !takes(policy, anImage, keys...) {
				t.Errorf("%s: it may not take %q off an image", variant, keys)
			}
		}
	}
}

// TestWhatTheFunctionMayAnnounceOfSnapshots: only if it removes those whose image is gone.
func TestWhatTheFunctionMayAnnounceOfSnapshots(t *testing.T) {
	const ofDeclaration = "ami-janitor:intent,ami-janitor:run"
	cases := []struct {
		action   string
		keys     string // Joined with commas, sorted; empty if the request names none.
		owner    string // Empty if it is unknown, as it is to IAM if tags are taken off.
		resource string
		may      bool
	}{
		{"ec2:CreateTags", "ami-janitor:announced-by,ami-janitor:due", account, aSnapshot, true},
		{"ec2:CreateTags", "ami-janitor:restored", account, aSnapshot, true},
		{"ec2:CreateTags", "ami-janitor:due", "999988887777", aSnapshot, false},
		{"ec2:CreateTags", "ami-janitor:due", "", aSnapshot, false},
		{"ec2:CreateTags", "ami-janitor:due,ami-janitor:keep", account, aSnapshot, false},
		{"ec2:CreateTags", "ami-janitor:disabled", account, aSnapshot, false},
		{"ec2:CreateTags", "Team,ami-janitor:due", account, aSnapshot, false},
		{"ec2:CreateTags", "", account, aSnapshot, false},
		{"ec2:CreateTags", "ami-janitor:due", account, "arn:aws:ec2:us-east-2:123456789012:volume/vol-0123456789abcdef0", false},
		{"ec2:DeleteTags", "ami-janitor:announced-by,ami-janitor:due", "", aSnapshot, true},
		{"ec2:DeleteTags", "ami-janitor:due", "", aSnapshot, true},
		{"ec2:DeleteTags", "ami-janitor:restored", "", aSnapshot, false},
		{"ec2:DeleteTags", "ami-janitor:due,ami-janitor:keep", "", aSnapshot, false},
		{"ec2:DeleteTags", ofDeclaration + ",ami-janitor:restored", "", aSnapshot, false},
		{"ec2:DeleteTags", "", "", aSnapshot, false},
		{"ec2:DeleteTags", "ami-janitor:due", "", "arn:aws:ec2:us-east-2:123456789012:volume/vol-0123456789abcdef0", false},
	}
	for variant, parameters := range variants {
		for who, policy := range sweeping(t, parameters) {
			removes := who == "JanitorRole" && parameters["OrphanedSnapshots"] == "remove"
			for _, c := range cases {
				context := map[string]string{}
				if c.owner != "" {
					context["ec2:Owner"] = c.owner
				}
				if c.keys != "" {
					context[tagKeysKey] = c.keys
				}
				if got := allowed(policy, request{c.action, c.resource, context}); got != (c.may && removes) {
					t.Errorf("%s: %s may %s with %v on %s: %v", variant, who, c.action, context, c.resource, got)
				}
			}
		}
	}
}

// TestWhatTheFunctionMayDoWithRecords holds whatever the parameters are.
func TestWhatTheFunctionMayDoWithRecords(t *testing.T) {
	const bucket = "<RecordsBucket>"
	ours, others := map[string]string{"aws:ResourceAccount": account}, map[string]string{"aws:ResourceAccount": "999988887777"}
	under := func(prefix string) map[string]string {
		return map[string]string{"aws:ResourceAccount": account, "s3:prefix": prefix}
	}
	cases := []struct {
		action, resource string
		context          map[string]string
		may              bool
	}{
		{"s3:PutObject", "/runs/20261123T020000Z-3f9c1a/record.json", ours, true},
		{"s3:GetObject", "/runs/20261123T020000Z-3f9c1a/plan-eu-west-1.json", ours, true},
		{"s3:PutObject", "/removals/eu-west-1/ami-0123456789abcdef0/20261123T020000Z-3f9c1a.json", ours, true},
		{"s3:DeleteObject", "/unfinished/eu-west-1/20261123T020000Z-3f9c1a", ours, true},
		{"s3:DeleteObject", "/unfinished/eu-west-1/20261123T020000Z-3f9c1a", others, false},
		{"s3:PutObject", "/account.json", ours, true},
		{"s3:GetObject", "/sums.json", ours, true},
		{"s3:PutObject", "/sums.json", ours, true},
		{"s3:PutObject", "/sums.json", others, false},
		{"s3:ListBucket", "", under("sums.json"), true},
		{"s3:ListBucket", "", under("removals/eu-west-1/"), true},
		// As S3 asks before it says that this is not there.
		{"s3:ListBucket", "", under("locks/eu-west-1.json"), true},

		{"s3:DeleteObject", "/runs/20261123T020000Z-3f9c1a/record.json", ours, false},
		{"s3:DeleteObject", "/removals/eu-west-1/ami-0123456789abcdef0/20261123T020000Z-3f9c1a.json", ours, false},
		{"s3:DeleteObjectVersion", "/locks/eu-west-1.json", ours, false},
		{"s3:DeleteObject", "/account.json", ours, false},
		{"s3:DeleteObject", "/sums.json", ours, false},
		{"s3:DeleteObject", "/locks/eu-west-1.json", ours, false},
		{"s3:DeleteObject", "/orphans/eu-west-1/web.json", ours, false},
		{"s3:PutObject", "/orphans/eu-west-1/web.json", others, false},
		{"s3:GetObject", "/orphans/eu-west-1/web.json", others, false},
		{"s3:PutObject", "/else", ours, false},
		{"s3:GetObject", "/else", ours, false},
		{"s3:PutObject", "/locks/eu-west-1.json", others, false},
		{"s3:GetObject", "/removals/eu-west-1/ami-0123456789abcdef0/20261123T020000Z-3f9c1a.json", others, false},
		{"s3:DeleteObject", "/locks/eu-west-1.json", others, false},
		{"s3:ListBucket", "", ours, false},
		{"s3:ListBucket", "", under(""), false},
		{"s3:ListBucket", "", under("else"), false},
		{"s3:ListBucket", "", map[string]string{"aws:ResourceAccount": "999988887777", "s3:prefix": "runs/"}, false},
		{"s3:PutObjectAcl", "/runs/x", ours, false},
		{"s3:DeleteBucket", "", ours, false},
		{"s3:PutBucketPolicy", "", ours, false},
		{"s3:PutLifecycleConfiguration", "", ours, false},
		{"s3:PutBucketVersioning", "", ours, false},
	}
	for variant, parameters := range variants {
		policy := load(t).with(parameters).grants("JanitorRole")
		for _, r := range []request{ // What is known of snapshots whose image is gone.
			{"s3:PutObject", bucket + "/orphans/eu-west-1/web.json", ours},
			{"s3:GetObject", bucket + "/orphans/eu-west-1/web.json", ours},
			{"s3:ListBucket", bucket, under("orphans/eu-west-1/web.json")}, // As for the lock.
		} {
			if got := allowed(policy, r); got != (parameters["OrphanedSnapshots"] == "remove") {
				t.Errorf("%s: it may %s on %s: %v", variant, r.action, r.resource, got)
			}
		}
		for _, c := range cases {
			if got := allowed(policy, request{c.action, bucket + c.resource, c.context}); got != c.may {
				t.Errorf("%s: it may %s on %s, with %v: %v", variant, c.action, bucket+c.resource, c.context, got)
			}
			if allowed(policy, request{c.action, "arn:aws:s3:::amzn-s3-demo-bucket" + c.resource, c.context}) {
				t.Errorf("%s: it may %s on another bucket", variant, c.action)
			}
		}
	}
}

// TestWhatTheFunctionMayNeverDo holds whatever the parameters are.
func TestWhatTheFunctionMayNeverDo(t *testing.T) {
	tags := func(keys ...string) map[string]string { return own("aws:TagKeys", tagKeys(keys)) }
	onReport := func(more ...string) map[string]string {
		context := own(more...)
		delete(context, "ec2:Owner") // A report has none.
		return context
	}
	never := map[string]request{
		"deregister a snapshot":             {"ec2:DeregisterImage", aSnapshot, declared()},
		"delete an image as a snapshot":     {"ec2:DeleteSnapshot", anImage, declared()},
		"restore an image":                  {"ec2:RestoreImageFromRecycleBin", anImage, declared()},
		"restore a snapshot":                {"ec2:RestoreSnapshotFromRecycleBin", aSnapshot, declared()},
		"make a rule of the Recycle Bin":    {"rbin:CreateRule", aRule, nil},
		"change a rule of the Recycle Bin":  {"rbin:UpdateRule", aRule, nil},
		"delete a rule of the Recycle Bin":  {"rbin:DeleteRule", aRule, nil},
		"read a rule of another account":    {"rbin:GetRule", "arn:aws:rbin:us-east-2:999988887777:rule/0123456789a", nil},
		"share a snapshot":                  {"ec2:ModifySnapshotAttribute", aSnapshot, declared()},
		"terminate an instance":             {"ec2:TerminateInstances", "arn:aws:ec2:us-east-2:123456789012:instance/i-0123456789abcdef0", own()},
		"tag to keep":                       {"ec2:CreateTags", anImage, tags("ami-janitor:keep")},
		"tag otherwise":                     {"ec2:CreateTags", anImage, tags("Team")},
		"set another limit":                 {"ec2:CreateTags", anImage, tags("ami-janitor:stale-after")},
		"tag with its own key and another":  {"ec2:CreateTags", anImage, tags("ami-janitor:restored", "Team")},
		"tag with nothing":                  {"ec2:CreateTags", anImage, own()},
		"tag another account's image":       {"ec2:CreateTags", anImage, own("ec2:Owner", "999988887777", "aws:TagKeys", "ami-janitor:restored")},
		"tag a snapshot":                    {"ec2:CreateTags", aSnapshot, tags("ami-janitor:restored")},
		"tag a report that is there":        {"ec2:CreateTags", aReport, onReport("aws:TagKeys", "ami-janitor:run")},
		"tag a new report otherwise":        {"ec2:CreateTags", aReport, onReport("aws:TagKeys", "Team", "ec2:CreateAction", "CreateImageUsageReport")},
		"tag what is made otherwise":        {"ec2:CreateTags", aReport, onReport("aws:TagKeys", "ami-janitor:run", "ec2:CreateAction", "CopyImage")},
		"take off the keep tag":             {"ec2:DeleteTags", anImage, tags("ami-janitor:keep")},
		"take off the keep tag, too":        {"ec2:DeleteTags", anImage, tags("ami-janitor:due", "ami-janitor:keep")},
		"take off another limit":            {"ec2:DeleteTags", anImage, tags("ami-janitor:stale-after")},
		"take off all tags":                 {"ec2:DeleteTags", anImage, own()},
		"take off the mark of a restore":    {"ec2:DeleteTags", anImage, tags("ami-janitor:restored")},
		"take tags off a snapshot":          {"ec2:DeleteTags", aSnapshot, tags("ami-janitor:due")},
		"take the keep tag off a snapshot":  {"ec2:DeleteTags", aSnapshot, tags("ami-janitor:intent", "ami-janitor:keep")},
		"take all tags off a snapshot":      {"ec2:DeleteTags", aSnapshot, own()},
		"tag a snapshot to keep":            {"ec2:CreateTags", aSnapshot, tags("ami-janitor:keep")},
		"tag a snapshot with nothing":       {"ec2:CreateTags", aSnapshot, own()},
		"tag a snapshot with the run alone": {"ec2:CreateTags", aSnapshot, tags("ami-janitor:run")},
		"enable what others have disabled":  {"ec2:EnableImage", anImage, own()},
		"enable another account's image":    {"ec2:EnableImage", anImage, own("ec2:Owner", "999988887777", "aws:ResourceTag/ami-janitor:disabled", "x")},
		"deprecate another account's image": {"ec2:EnableImageDeprecation", anImage, own("ec2:Owner", "999988887777")},
		"report on another account's image": {"ec2:CreateImageUsageReport", anImage, own("ec2:Owner", "999988887777")},
		"make a report without its tag":     {"ec2:CreateImageUsageReport", aReport, onReport()},
		"make a report with another tag":    {"ec2:CreateImageUsageReport", aReport, onReport("aws:TagKeys", "Team")},
		"delete a report of others":         {"ec2:DeleteImageUsageReport", aReport, onReport()},
		"share an image":                    {"ec2:ModifyImageAttribute", anImage, own()},
		"launch an image":                   {"ec2:RunInstances", anImage, own()},
		"write a parameter":                 {"ssm:PutParameter", aParameter, nil},
		"read a secret":                     {"kms:Decrypt", "*", map[string]string{"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}},
		"read a secret in China":            {"kms:Decrypt", "*", map[string]string{"kms:ViaService": "ssm.cn-north-1.amazonaws.com.cn"}},
		"publish an alarm":                  {"sns:Publish", "<AlarmTopic>", nil},
		"write to the schedule's queue":     {"sqs:SendMessage", "<UndeliveredEvents>", nil},
		"delete its log":                    {"logs:DeleteLogGroup", "<JanitorLog>", nil},
	}
	// What else the role is granted elsewhere, such as by the policy of a key, must not help it.
	elsewhere := statement{effect: "Allow", actions: []string{"kms:Decrypt"}, resources: []string{"*"}}
	for variant, parameters := range variants {
		roles := sweeping(t, parameters)
		roles["ReadRole"] = loadMember(t, parameters).grants("ReadRole")
		for who, policy := range roles {
			policy = append(policy, elsewhere)
			removesOrphans := who == "JanitorRole" && parameters["OrphanedSnapshots"] == "remove"
			for what, r := range never {
				// An announcement takes that.
				ofOrphans := what == "tag a snapshot" || what == "take tags off a snapshot"
				if allowed(policy, r) != (removesOrphans && ofOrphans) {
					t.Errorf("%s: %s may %s", variant, who, what)
				}
			}
			if !allowed(policy, request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "sns.eu-west-1.amazonaws.com"}}) {
				t.Errorf("%s: %s may not publish to encrypted topics", variant, who)
			}
		}
	}
}

// TestEveryDenyIsNeeded leaves out one Deny after the other: each time something may be done that
// may not with it.
func TestEveryDenyIsNeeded(t *testing.T) {
	// As the key's policy has it.
	decrypt := statement{effect: "Allow", actions: []string{"kms:Decrypt"}, resources: []string{"*"}}
	for variant, parameters := range variants {
		policy := append(load(t).with(parameters).grants("JanitorRole"), decrypt)
		guarded := map[string]request{
			"NeverKeepTagged":     {"ec2:DeregisterImage", anImage, declared("aws:ResourceTag/ami-janitor:keep", "true")},
			"NeverOfBackup":       {"ec2:DeregisterImage", anImage, declared("aws:ResourceTag/aws:backup:source-resource", "x")},
			"NeverCopiesOfBackup": {"ec2:DeregisterImage", anImage, declared("aws:ResourceTag/AWSBackupManagedResource", "x")},
			"NeverPublic":         {"ec2:DeregisterImage", anImage, declared("ec2:Public", "true")},
			"NeverSecrets":        {"kms:Decrypt", "*", map[string]string{"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}},
		}
		switch {
		case parameters["GraceAction"] == "disable":
			guarded["NeverPublic"] = request{"ec2:DisableImage", anImage, own("ec2:Public", "true")}
		case parameters["SharedImages"] == "report":
			delete(guarded, "NeverPublic") // It stands there, and has nothing to deny.
			policy = slices.DeleteFunc(policy, func(s statement) bool { return s.sid == "NeverPublic" })
		}
		for i, s := range policy {
			if s.effect != "Deny" {
				continue
			}
			r, ok := guarded[s.sid]
			if !ok || allowed(policy, r) || !allowed(slices.Delete(slices.Clone(policy), i, i+1), r) {
				t.Errorf("%s: %s: no test knows what it is for", variant, s.sid)
			}
			delete(guarded, s.sid)
		}
		if len(guarded) > 0 {
			t.Errorf("%s: there is no such Deny: %v", variant, guarded)
		}
	}
}

// maxInline is how many characters the policies written into a role may have, and maxManaged how
// many a managed one, blanks not counted. maxAttached is how many of those a role may have (IAM
// User Guide, "IAM and AWS STS quotas").
const (
	maxInline   = 10_240
	maxManaged  = 6_144
	maxAttached = 10
)

// sizeOf is how many characters a policy has. The names that CloudFormation gives, and the
// partition, make it longer or shorter; these are long ones.
func sizeOf(t *testing.T, document any) int {
	t.Helper()
	text, err := json.Marshal(resolved(document))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.NewReplacer("arn:"+partition+":", "arn:aws-us-gov:", "\\u003c", strings.Repeat("x", 64), "\\u003e", strings.Repeat("x", 64))
	return len(long.Replace(string(text)))
}

// policiesFit holds the policies of a role to IAM's limits.
func policiesFit(t *testing.T, variant string, tpl template, role string) {
	t.Helper()
	size := 0
	for _, document := range tpl.inline(role) {
		size += sizeOf(t, document)
	}
	if size > maxInline {
		t.Errorf("%s: the policies of %s have %d characters; IAM takes %d", variant, role, size, maxInline)
	}
	managed := tpl.attached(role, "AWS::IAM::ManagedPolicy")
	if n := len(managed) + len(list(tpl.properties(role)["ManagedPolicyArns"])); n > maxAttached {
		t.Errorf("%s: %s has %d managed policies; IAM takes %d", variant, role, n, maxAttached)
	}
	for _, document := range managed {
		if size := sizeOf(t, document); size > maxManaged {
			t.Errorf("%s: a policy of %s has %d characters; IAM takes %d", variant, role, size, maxManaged)
		}
	}
}

func TestPoliciesFitIntoTheRole(t *testing.T) {
	for variant, parameters := range variants {
		policiesFit(t, variant, load(t).with(parameters), "JanitorRole")
	}
	place := func(n int) string { return fmt.Sprintf("s3://%063d/%s/", n, strings.Repeat("prefix/", 12)) }
	most := map[string]string{
		"KeepList": strings.Join([]string{place(1), place(2), place(3)}, ","), "TextObjects": strings.Join([]string{place(4), place(5), place(6), place(7), place(8)}, ","),
	}
	for name, document := range map[string][]any{
		"the function":               load(t).with(most).attached("JanitorRole", "AWS::IAM::ManagedPolicy"),
		"a plan of the organization": loadHub(t, most).attached("PlanRole", "AWS::IAM::ManagedPolicy"),
	} {
		if size := sizeOf(t, document[0]); len(document) != 1 || size > maxManaged || size < maxManaged/3 {
			t.Errorf("a policy of %s has %d characters, with all places that there can be; IAM takes %d", name, size, maxManaged)
		}
	}
}

// resolved fills in what a value refers to.
func resolved(value any) any {
	switch value := value.(type) {
	case object:
		if len(value) == 1 && (value["Ref"] != nil || value["Fn::Sub"] != nil || value["Fn::GetAtt"] != nil) {
			return filled(value)
		}
		members := object{}
		for key, member := range value {
			members[key] = resolved(member)
		}
		return members
	case []any:
		items := []any{}
		for _, item := range value {
			items = append(items, resolved(item))
		}
		return items
	default:
		return value
	}
}

// TestWhatTheFunctionMayDoToBundles holds for each bucket that is named, and for no other.
func TestWhatTheFunctionMayDoToBundles(t *testing.T) {
	in := map[string]string{"aws:ResourceAccount": account}
	unchanged := map[string]string{"aws:ResourceAccount": account, "s3:if-match": `"0123"`}
	elsewhere := map[string]string{"aws:ResourceAccount": "111122223333", "s3:if-match": `"0123"`}
	const buckets = "bundles,more.bundles,b3s,b4s,b5s"
	for _, c := range []struct {
		buckets, action, resource string
		context                   map[string]string
		may                       bool
	}{
		{buckets, "s3:DeleteObject", "bundles/web/image.manifest.xml", unchanged, true},
		{buckets, "s3:DeleteObject", "more.bundles/image.part.00", unchanged, true},
		{buckets, "s3:DeleteObject", "b5s/a/b/image.part.123", unchanged, true},
		{buckets, "s3:DeleteObject", "bundles/web/image.part.00", in, false},
		{buckets, "s3:DeleteObject", "bundles/web/image.part.00", elsewhere, false},
		{buckets, "s3:DeleteObject", "bundles/web/notes.txt", unchanged, false},
		{buckets, "s3:DeleteObject", "bundles/web/image.xml", unchanged, false},
		{buckets, "s3:DeleteObject", "others/web/image.part.00", unchanged, false},
		{buckets, "s3:DeleteObjectVersion", "bundles/web/image.part.00", unchanged, false},
		{buckets, "s3:PutObject", "bundles/web/image.part.00", unchanged, false},
		{buckets, "s3:PutBucketVersioning", "bundles", in, false},
		{buckets, "s3:GetObject", "bundles/web/image.manifest.xml", in, true},
		{buckets, "s3:GetObject", "bundles/web/notes.txt", in, false},
		{buckets, "s3:GetBucketVersioning", "b4s", in, true},
		{buckets, "s3:ListBucketVersions", "others", in, false},
		{"", "s3:DeleteObject", "bundles/web/image.part.00", unchanged, false},
		{"", "s3:GetBucketVersioning", "bundles", in, false},
	} {
		parameters := map[string]string{"BundleBuckets": c.buckets}
		if c.buckets != "" {
			parameters["Bundles"] = "delete"
		}
		policy := load(t).with(parameters).grants("JanitorRole")
		if got := allowed(policy, request{c.action, "arn:aws:s3:::" + c.resource, c.context}); got != c.may {
			t.Errorf("BundleBuckets=%s: it may %s on %s: %v", c.buckets, c.action, c.resource, got)
		}
		if kept := load(t).with(map[string]string{"BundleBuckets": c.buckets}).grants("JanitorRole"); allowed(kept, request{c.action, "arn:aws:s3:::" + c.resource, c.context}) {
			t.Errorf("with Bundles=keep it may %s on %s", c.action, c.resource)
		}
	}
}
