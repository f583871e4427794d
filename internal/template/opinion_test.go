package template_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

var casesFlag = flag.String("cases", "", "file for every decision of the tests, which scripts/permissions_test.cjs compares with another evaluator's")

// opinions are the decisions of the tests, for somebody else to take again.
type opinions struct {
	Policies []json.RawMessage `json:"policies"`
	Cases    []opinion         `json:"cases"`
}

// opinion is one decision.
type opinion struct {
	// The template and the resource, such as "template.yaml JanitorRole".
	Of string `json:"of"`
	// The index of the policy in opinions.Policies.
	Policy int `json:"policy"`
	// Who asks; empty if the policy is that of whoever asks.
	Principal string `json:"principal,omitempty"`
	Action    string `json:"action"`
	Resource  string `json:"resource"`
	// A text, or a list of them for a key with several values.
	Context map[string]any `json:"context"`
	Allowed bool           `json:"allowed"`
}

// noted are the texts of the decisions that note has been told, by that of the policy.
var noted struct {
	sync.Mutex
	decisions map[string]map[string]bool
}

// Policies name no images, snapshots, reports and runs: cases that differ in these alone are one.
var (
	resourceID = regexp.MustCompile(`\b(ami|snap|amiur)-[0-9a-f]{8,17}\b`)
	runID      = regexp.MustCompile(`\b\d{8}T\d{6}Z-[0-9a-f]{6}\b`)
)

// note keeps a decision, if somebody asks for them.
func note(policy []statement, who string, r request, is bool) {
	if *casesFlag == "" || len(policy) == 0 {
		return
	}
	o := opinion{Action: r.action, Resource: r.resource, Context: map[string]any{}, Allowed: is}
	for key, value := range r.context {
		o.Context[key] = value
		if key == tagKeysKey {
			o.Context[key] = strings.Split(value, ",")
		}
	}
	isOfResource := false
	for _, s := range policy {
		isOfResource = isOfResource || s.principal != nil
		o.Of = cmp.Or(o.Of, s.of)
	}
	o.Of = cmp.Or(o.Of, "tests")
	if isOfResource {
		o.Principal = who
		if who == "" {
			o.Principal = "arn:aws:iam::" + account + ":role/Anybody"
		}
	}
	text, err := json.Marshal(written(policy, isOfResource, r.action == "sts:AssumeRole"))
	if err != nil {
		panic(err)
	}
	decision, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	noted.Lock()
	defer noted.Unlock()
	if noted.decisions == nil {
		noted.decisions = map[string]map[string]bool{}
	}
	if noted.decisions[string(text)] == nil {
		noted.decisions[string(text)] = map[string]bool{}
	}
	noted.decisions[string(text)][runID.ReplaceAllString(resourceID.ReplaceAllString(string(decision), "$1-0123456789abcdef0"), "20261130T020000Z-3f9c1a")] = true
}

// written is a policy as IAM takes it. That of a resource says who each statement is for, and the
// trust of a role names no resource.
func written(policy []statement, isOfResource, isTrust bool) object {
	var items []any
	for _, s := range policy {
		item := object{"Effect": s.effect, "Action": s.actions}
		if s.sid != "" {
			item["Sid"] = s.sid
		}
		switch {
		case isOfResource && isTrust:
		case len(s.others) > 0:
			item["NotResource"] = s.others
		default:
			item["Resource"] = s.resources
		}
		if isOfResource {
			item["Principal"] = "*"
			if s.principal != nil {
				item["Principal"] = resolved(s.principal)
			}
		}
		if len(s.conditions) > 0 {
			item["Condition"] = s.conditions
		}
		items = append(items, item)
	}
	return object{"Version": "2012-10-17", "Statement": items}
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *casesFlag != "" {
		if err := writeCases(*casesFlag); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// writeCases writes what was noted, in an order that does not depend on that of the tests. A few
// cases come and go with the order in which concurrent requests are served.
func writeCases(name string) error {
	names, err := arns()
	if err != nil {
		return err
	}
	var all opinions
	for _, policy := range slices.Sorted(maps.Keys(noted.decisions)) {
		all.Policies = append(all.Policies, json.RawMessage(policy))
		for _, decision := range slices.Sorted(maps.Keys(noted.decisions[policy])) {
			var o opinion
			if err := json.Unmarshal([]byte(decision), &o); err != nil {
				return err
			}
			o.Policy, o.Resource = len(all.Policies)-1, named(o.Action, names.Replace(o.Resource))
			all.Cases = append(all.Cases, o)
		}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(all); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(names.Replace(buffer.String())), 0o644)
}

// named is the resource of a request. A test says no more of it than the policy does.
func named(action, resource string) string {
	switch {
	case strings.HasPrefix(action, "logs:"):
		return strings.TrimSuffix(resource, "*") + "log-stream:a-stream"
	case strings.HasPrefix(action, "kms:") && resource == "*":
		return "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	default:
		return resource
	}
}

// arnsByKind are the ends of ARNs of the resources to which the policies refer; %s is the name.
var arnsByKind = map[string]string{
	"AWS::CloudWatch::Alarm":        "cloudwatch:eu-west-1:123456789012:alarm:%s",
	"AWS::Events::Rule":             "events:eu-west-1:123456789012:rule/%s",
	"AWS::IAM::Role":                "iam::123456789012:role/%s",
	"AWS::Lambda::Function":         "lambda:eu-west-1:123456789012:function:%s",
	"AWS::Logs::LogGroup":           "logs:eu-west-1:123456789012:log-group:%s:*",
	"AWS::S3::Bucket":               "s3:::%s",
	"AWS::SNS::Topic":               "sns:eu-west-1:123456789012:%s",
	"AWS::SQS::Queue":               "sqs:eu-west-1:123456789012:%s",
	"AWS::Serverless::Function":     "lambda:eu-west-1:123456789012:function:%s",
	"AWS::Serverless::StateMachine": "states:eu-west-1:123456789012:stateMachine:%s",
}

// arns replaces what filled writes for a resource by an ARN.
func arns() (*strings.Replacer, error) {
	kinds := map[string]string{"OwnersTopicArn": "AWS::SNS::Topic"} // A parameter.
	for _, name := range []string{"template.yaml", "organization.yaml", "member.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		var document struct {
			Resources map[string]struct {
				Type string `yaml:"Type"`
			} `yaml:"Resources"`
		}
		if err := yaml.Unmarshal(text, &document); err != nil {
			return nil, err
		}
		for resource, definition := range document.Resources {
			kinds[resource] = definition.Type
		}
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if end, ok := arnsByKind[kinds[name]]; ok {
			arn := "arn:aws:" + fmt.Sprintf(end, strings.ToLower(name))
			pairs = append(pairs, "<"+name+">", arn, `\u003c`+name+`\u003e`, arn)
		}
	}
	return strings.NewReplacer(pairs...), nil
}
