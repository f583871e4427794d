package template_test

import (
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

// grants returns the statements that are attached to a role: those written into it, and those of policies that name it.
func (t template) grants(role string) []statement {
	var granted []statement
	for _, policy := range list(t.properties(role)["Policies"]) {
		granted = append(granted, statements(at(policy, "PolicyDocument"))...)
	}
	for _, policy := range t.resources("AWS::IAM::Policy") {
		for _, attached := range list(policy.properties["Roles"]) {
			if target(attached) == role {
				granted = append(granted, statements(policy.properties["PolicyDocument"])...)
			}
		}
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

// holds evaluates a condition. A negated operator holds where the key is absent; the others do not (IAM User Guide, "IAM
// JSON policy elements: Condition operators").
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
	escaped := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`).Replace(pattern)
	ok, err := path.Match(escaped, strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

func TestWhatTheFunctionMayRemove(t *testing.T) {
	image := "arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0"
	snapshot := "arn:aws:ec2:us-east-2::snapshot/snap-0123456789abcdef0"
	own := func(more ...string) map[string]string {
		context := map[string]string{"ec2:Owner": account, "ec2:Public": "false"}
		for i := 0; i < len(more); i += 2 {
			context[more[i]] = more[i+1]
		}
		return context
	}
	const keep = "aws:ResourceTag/ami-janitor:keep"
	cases := map[string]struct {
		context             map[string]string
		deregister, deletes bool
	}{
		"its own, without tags":                   {own(), true, true},
		"its own, with another tag":               {own("aws:ResourceTag/Team", "search"), true, true},
		"of another account":                      {own("ec2:Owner", "999988887777"), false, false},
		"of nobody that is known":                 {map[string]string{}, false, false},
		"of AWS":                                  {own("ec2:Owner", "amazon"), false, false},
		"kept by its tag":                         {own(keep, "true"), false, false},
		"kept by its tag without a value":         {own(keep, ""), false, false},
		"kept by its tag with any value":          {own(keep, "no"), false, false},
		"kept by its tag with a blank at its end": {own(keep, "false "), false, false},
		"no longer kept by its tag":               {own(keep, "false"), true, true},
		"no longer kept by its tag, in capitals":  {own(keep, "FALSE"), true, true},
		"of AWS Backup":                           {own("aws:ResourceTag/aws:backup:source-resource", "i-0123456789abcdef0"), false, false},
		"a copy of AWS Backup's":                  {own("aws:ResourceTag/AWSBackupManagedResource", ""), false, false},
		"public":                                  {own("ec2:Public", "true"), false, true}, // Of a snapshot IAM does not know it.
	}
	policy := load(t).grants("JanitorRole")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := allowed(policy, request{"ec2:DeregisterImage", image, c.context}); got != c.deregister {
				t.Errorf("it may deregister such an image: %v", got)
			}
			if got := allowed(policy, request{"ec2:DeleteSnapshot", snapshot, c.context}); got != c.deletes {
				t.Errorf("it may delete such a snapshot: %v", got)
			}
		})
	}
	for _, r := range []request{
		{"ec2:DeregisterImage", snapshot, own()},
		{"ec2:DeleteSnapshot", image, own()},
		{"ec2:TerminateInstances", "arn:aws:ec2:us-east-2:123456789012:instance/i-0123456789abcdef0", own()},
		{"sns:Publish", "<AlarmTopic>", own()},
		{"sqs:SendMessage", "<UndeliveredEvents>", own()},
		{"logs:DeleteLogGroup", "<JanitorLog>", own()},
	} {
		if allowed(policy, r) {
			t.Errorf("it may %s on %s", r.action, r.resource)
		}
	}
}

// TestEveryDenyIsNeeded leaves out one Deny after the other: each time something may be removed that may not with it.
func TestEveryDenyIsNeeded(t *testing.T) {
	policy := load(t).grants("JanitorRole")
	protected := map[string]map[string]string{
		"NeverKeepTagged":     {"ec2:Owner": account, "aws:ResourceTag/ami-janitor:keep": "true"},
		"NeverOfBackup":       {"ec2:Owner": account, "aws:ResourceTag/aws:backup:source-resource": "x"},
		"NeverCopiesOfBackup": {"ec2:Owner": account, "aws:ResourceTag/AWSBackupManagedResource": "x"},
		"NeverPublic":         {"ec2:Owner": account, "ec2:Public": "true"},
	}
	for i, s := range policy {
		if s.effect != "Deny" {
			continue
		}
		r := request{"ec2:DeregisterImage", "arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0", protected[s.sid]}
		if protected[s.sid] == nil || allowed(policy, r) || !allowed(slices.Delete(slices.Clone(policy), i, i+1), r) {
			t.Errorf("%s: no test knows what it is for", s.sid)
		}
		delete(protected, s.sid)
	}
	if len(protected) > 0 {
		t.Errorf("there is no such Deny: %v", protected)
	}
}
