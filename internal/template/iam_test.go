package template_test

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// The account that the policies are read for.
const (
	account   = "123456789012"
	partition = "aws"
	region    = "eu-west-1"
)

// statement is a statement of a policy, with its pseudo parameters filled in. A reference to a resource of the template
// is written <Name>.
type statement struct {
	sid, effect        string
	actions, resources []string
	conditions         map[string]map[string][]string // By operator and key.
	principal          any
}

func statements(document any) []statement {
	var read []statement
	for _, item := range list(at(document, "Statement")) {
		s := statement{
			actions:    texts(at(item, "Action")),
			conditions: map[string]map[string][]string{},
			principal:  at(item, "Principal"),
		}
		s.sid, _ = at(item, "Sid").(string)
		s.effect, _ = at(item, "Effect").(string)
		for _, r := range list(at(item, "Resource")) {
			s.resources = append(s.resources, filled(r))
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

// filled is a text with its pseudo parameters filled in.
func filled(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	if text, ok := at(value, "Fn::Sub").(string); ok {
		return pseudo.Replace(text)
	}
	if name := target(value); strings.HasPrefix(name, "AWS::") {
		return pseudo.Replace("${" + name + "}")
	} else if name != "" {
		return "<" + name + ">"
	}
	return fmt.Sprint(value)
}

// policies returns the documents that are attached to a role: those written into it, and those that name it.
func (t template) policies(role string) []any {
	var attached []any
	for _, policy := range list(t.properties(role)["Policies"]) {
		attached = append(attached, t.decided(at(policy, "PolicyDocument")))
	}
	for _, policy := range t.resources("AWS::IAM::Policy") {
		for _, to := range list(policy.properties["Roles"]) {
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
		granted = append(granted, statements(document)...)
	}
	return granted
}

// request is what IAM decides on.
type request struct {
	action, resource string
	context          map[string]string // A key that the request does not have is not in it.
}

// allowed decides as IAM does: some statement allows the request, and none denies it.
func allowed(policy []statement, r request) bool {
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
	if !slices.ContainsFunc(s.actions, func(pattern string) bool { return like(pattern, r.action) }) ||
		!slices.ContainsFunc(s.resources, func(pattern string) bool { return like(pattern, r.resource) }) {
		return false
	}
	for operator, keys := range s.conditions {
		for key, values := range keys {
			if !holds(operator, r.context, key, values) {
				return false
			}
		}
	}
	return true
}

// holds evaluates a condition. A negated operator holds where the key is absent, and ForAllValues too; the others do not
// (IAM User Guide, "IAM JSON policy elements: Condition operators").
func holds(operator string, context map[string]string, key string, values []string) bool {
	value, present := context[key]
	some := func(equal func(a, b string) bool) bool {
		return slices.ContainsFunc(values, func(v string) bool { return equal(v, value) })
	}
	switch operator {
	case "Null":
		return slices.Contains(values, fmt.Sprint(!present))
	case "StringEquals", "Bool":
		return present && some(func(a, b string) bool { return a == b })
	case "ForAllValues:StringEquals":
		return !present || !slices.ContainsFunc(strings.Split(value, ","), func(one string) bool { return !slices.Contains(values, one) })
	case "StringLike":
		return present && some(like)
	case "StringNotEqualsIgnoreCase":
		return !present || !some(strings.EqualFold)
	default:
		panic("the condition operator " + operator + " is not known")
	}
}

// like matches a text with a pattern of IAM's, in which * stands for anything.
func like(pattern, text string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == text
	}
	ok, err := path.Match(escaped.Replace(pattern), strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

// escaped has a pattern of IAM's mean the same to path.Match, to which a slash and brackets are special.
var escaped = strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)

const (
	anImage    = "arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0"
	aSnapshot  = "arn:aws:ec2:us-east-2::snapshot/snap-0123456789abcdef0"
	aReport    = "arn:aws:ec2:us-east-2:123456789012:image-usage-report/amiur-0123456789abcdef0"
	aParameter = "arn:aws:ssm:us-east-2:123456789012:parameter/golden/web"
)

// own is the context of a request that concerns an image or a snapshot of the account's own, and more of it.
func own(more ...string) map[string]string {
	context := map[string]string{"ec2:Owner": account, "ec2:Public": "false"}
	for i := 0; i < len(more); i += 2 {
		context[more[i]] = more[i+1]
	}
	return context
}

func TestWhatTheFunctionMayRemove(t *testing.T) {
	const keep = "aws:ResourceTag/ami-janitor:keep"
	cases := map[string]struct {
		context                      map[string]string
		deregister, deletes, disable bool
	}{
		"its own, without tags":                   {own(), true, true, true},
		"its own, with another tag":               {own("aws:ResourceTag/Team", "search"), true, true, true},
		"of another account":                      {own("ec2:Owner", "999988887777"), false, false, false},
		"of nobody that is known":                 {map[string]string{}, false, false, false},
		"of AWS":                                  {own("ec2:Owner", "amazon"), false, false, false},
		"kept by its tag":                         {own(keep, "true"), false, false, false},
		"kept by its tag without a value":         {own(keep, ""), false, false, false},
		"kept by its tag with any value":          {own(keep, "no"), false, false, false},
		"kept by its tag with a blank at its end": {own(keep, "false "), false, false, false},
		"no longer kept by its tag":               {own(keep, "false"), true, true, true},
		"no longer kept by its tag, in capitals":  {own(keep, "FALSE"), true, true, true},
		"of AWS Backup":                           {own("aws:ResourceTag/aws:backup:source-resource", "i-0123456789abcdef0"), false, false, false},
		"a copy of AWS Backup's":                  {own("aws:ResourceTag/AWSBackupManagedResource", ""), false, false, false},
		"public":                                  {own("ec2:Public", "true"), false, true, false}, // Of a snapshot IAM does not know it.
	}
	for variant, parameters := range variants {
		policy := load(t).with(parameters).grants("JanitorRole")
		judgesShared := parameters["SharedImages"] == "report"
		disables := parameters["GraceAction"] == "disable"
		for name, c := range cases {
			t.Run(variant+"/"+name, func(t *testing.T) {
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

// TestWhatTheFunctionMayNeverDo holds whatever the parameters are.
func TestWhatTheFunctionMayNeverDo(t *testing.T) {
	tags := func(keys ...string) map[string]string { return own("aws:TagKeys", tagKeys(keys)) }
	onReport := func(more ...string) map[string]string {
		context := own(more...)
		delete(context, "ec2:Owner") // A report has none.
		return context
	}
	never := map[string]request{
		"deregister a snapshot":             {"ec2:DeregisterImage", aSnapshot, own()},
		"delete an image as a snapshot":     {"ec2:DeleteSnapshot", anImage, own()},
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
		"take tags off a snapshot":          {"ec2:DeleteTags", aSnapshot, tags("ami-janitor:due")},
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
		policy := append(load(t).with(parameters).grants("JanitorRole"), elsewhere)
		for what, r := range never {
			if allowed(policy, r) {
				t.Errorf("%s: it may %s", variant, what)
			}
		}
		if !allowed(policy, request{"kms:Decrypt", "*", map[string]string{"kms:ViaService": "sns.eu-west-1.amazonaws.com"}}) {
			t.Errorf("%s: it may not publish to encrypted topics", variant)
		}
	}
}

// TestEveryDenyIsNeeded leaves out one Deny after the other: each time something may be done that may not with it.
func TestEveryDenyIsNeeded(t *testing.T) {
	decrypt := statement{effect: "Allow", actions: []string{"kms:Decrypt"}, resources: []string{"*"}} // As the key's policy has it.
	for variant, parameters := range variants {
		policy := append(load(t).with(parameters).grants("JanitorRole"), decrypt)
		guarded := map[string]request{
			"NeverKeepTagged":     {"ec2:DeregisterImage", anImage, own("aws:ResourceTag/ami-janitor:keep", "true")},
			"NeverOfBackup":       {"ec2:DeregisterImage", anImage, own("aws:ResourceTag/aws:backup:source-resource", "x")},
			"NeverCopiesOfBackup": {"ec2:DeregisterImage", anImage, own("aws:ResourceTag/AWSBackupManagedResource", "x")},
			"NeverPublic":         {"ec2:DeregisterImage", anImage, own("ec2:Public", "true")},
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

// maxInline is how many characters the policies written into a role may have, blanks not counted (IAM User Guide, "IAM and
// AWS STS quotas").
const maxInline = 10_240

func TestPoliciesFitIntoTheRole(t *testing.T) {
	for variant, parameters := range variants {
		size := 0
		for _, document := range load(t).with(parameters).policies("JanitorRole") {
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			size += len(text)
		}
		if size > maxInline*3/4 { // What the pseudo parameters become is longer, or shorter.
			t.Errorf("%s: the role's policies have %d characters; IAM takes %d", variant, size, maxInline)
		}
	}
}
