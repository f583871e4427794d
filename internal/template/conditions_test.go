package template_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// with is the template as it is deployed with some parameters; the others are as by default.
func (t template) with(parameters map[string]string) template {
	t.chosen = parameters
	return t
}

// parameter is the value of a parameter.
func (t template) parameter(name string) any {
	if value, ok := t.chosen[name]; ok {
		return value
	}
	return at(t.section("Parameters"), name, "Default")
}

// holds reports whether a condition holds: one that is named, one that is written out, or none,
// which does.
func (t template) holds(condition any) bool {
	if name, ok := condition.(string); ok {
		condition = t.section("Conditions")[name]
	}
	if name, ok := at(condition, "Condition").(string); ok {
		return t.holds(name)
	}
	operands := func(function string) []any { return list(at(condition, function)) }
	value := func(node any) any {
		if text, ok := t.evaluated(node).(string); ok {
			return text
		}
		if name := target(node); name != "" {
			return t.parameter(name)
		}
		return node
	}
	switch {
	case condition == nil:
		return true
	case len(operands("Fn::Equals")) == 2:
		return value(operands("Fn::Equals")[0]) == value(operands("Fn::Equals")[1])
	case len(operands("Fn::Not")) == 1:
		return !t.holds(operands("Fn::Not")[0])
	case len(operands("Fn::And")) > 0:
		return !slices.ContainsFunc(operands("Fn::And"), func(each any) bool { return !t.holds(each) })
	case len(operands("Fn::Or")) > 0:
		return slices.ContainsFunc(operands("Fn::Or"), t.holds)
	default:
		panic("a condition is not understood")
	}
}

// decided replaces every Fn::If in a value by what it comes to, and leaves out what comes to
// nothing.
func (t template) decided(node any) any {
	switch value := node.(type) {
	case object:
		if named := list(value["Fn::Sub"]); len(named) == 2 {
			return object{"Fn::Sub": t.substituted(named[0].(string), named[1].(object))}
		}
		if choice := list(value["Fn::If"]); len(choice) == 3 {
			if t.holds(choice[0]) {
				return t.decided(choice[1])
			}
			return t.decided(choice[2])
		}
		members := object{}
		for key, member := range value {
			if member = t.decided(member); !isNothing(member) {
				members[key] = member
			}
		}
		return members
	case []any:
		items := []any{}
		for _, item := range value {
			if item = t.decided(item); !isNothing(item) {
				items = append(items, item)
			}
		}
		return items
	default:
		return value
	}
}

// evaluated works out the functions for texts, as far as they depend on parameters alone: a text,
// or a list of them. It is nil for anything else.
func (t template) evaluated(node any) any {
	members, isObject := node.(object)
	if !isObject {
		return node
	}
	if text, ok := members["Fn::Sub"].(string); ok {
		return ofParameter.ReplaceAllStringFunc(text, func(name string) string { return t.parameter(strings.Trim(name, "${}")).(string) })
	}
	if choice := list(members["Fn::Select"]); len(choice) == 2 {
		items, ok := t.evaluated(choice[1]).([]string)
		if i, err := strconv.Atoi(fmt.Sprint(choice[0])); ok && err == nil {
			return items[i] // Like CloudFormation, it fails where there is none.
		}
	}
	if parts := list(members["Fn::Split"]); len(parts) == 2 {
		return strings.Split(t.evaluated(parts[1]).(string), parts[0].(string))
	}
	return nil
}

// ofParameter is a parameter in the text of a Fn::Sub.
var ofParameter = regexp.MustCompile(`\$\{\w+\}`)

// settled is the template with the values of parameters in the place of references to them.
func (t template) settled() template {
	settled := maps.Clone(t.object)
	settled["Resources"] = t.settle(settled["Resources"])
	t.object = settled
	return t
}

func (t template) settle(node any) any {
	switch value := node.(type) {
	case object:
		if name, ok := value["Ref"].(string); ok && t.section("Parameters")[name] != nil {
			return t.parameter(name)
		}
		members := object{}
		for key, member := range value {
			if text, isText := member.(string); key == "Fn::Sub" && isText {
				members[key] = t.inserted(text)
			} else if named := list(member); key == "Fn::Sub" && len(named) == 2 {
				members[key] = []any{t.inserted(named[0].(string)), t.settle(named[1])}
			} else {
				members[key] = t.settle(member)
			}
		}
		return members
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = t.settle(item)
		}
		return items
	default:
		return value
	}
}

// inserted is a text of a Fn::Sub with the values of parameters; those of other names stay.
func (t template) inserted(text string) string {
	return ofParameter.ReplaceAllStringFunc(text, func(reference string) string {
		if name := strings.Trim(reference, "${}"); t.section("Parameters")[name] != nil {
			return fmt.Sprint(t.parameter(name))
		}
		return reference
	})
}

// substituted is the text of a Fn::Sub with the values of its variables.
func (t template) substituted(text string, variables object) string {
	for name, value := range variables {
		text = strings.ReplaceAll(text, "${"+name+"}", t.evaluated(value).(string))
	}
	return text
}

func isNothing(node any) bool { return target(node) == "AWS::NoValue" }

// variants are the parameters on which depends what the function may do, set as people set them:
// each by itself, and everything together.
var variants = map[string]map[string]string{
	"by default":                       {},
	"removals are announced":           {"Grace": "14d"},
	"images are deprecated before":     {"Grace": "14d", "GraceAction": "deprecate"},
	"images are disabled before":       {"Grace": "14d", "GraceAction": "disable"},
	"shared images are judged":         {"SharedImages": "report"},
	"versions of templates are picked": {"LaunchTemplateVersions": "1"},
	"orphans are not reported":         {"OrphanedSnapshots": "ignore"},
	"orphans are removed":              {"OrphanedSnapshots": "remove", "OrphanedAfter": "30d", "CloudFormationTemplates": "true"},
	"bundles are deleted":              {"Bundles": "delete", "BundleBuckets": "example-bundles", "RequireRecycleBin": "false", "RecycleBinDays": "7"},
	"owners are told":                  {"MakeOwnersTopic": "true", "Grace": "14d"},
	"owners are told elsewhere":        {"OwnersTopicArn": "arn:aws:sns:us-east-1:123456789012:OwnersTopicArn"},
	"nothing need be restorable":       {"RecycleBinDays": "0", "RequireRecycleBin": "false"},
	"lists and text are in S3":         {"KeepList": "s3://lists/keep.txt, s3://lists/repos/", "TextObjects": "s3://states/prod/,s3://more.states/*.tfstate", "KeepListMaxAge": "30d"},
	"beanstalk is a source":            {"UsageSources": "all, elastic-beanstalk"},
	"everything together": { // Without the removal of orphans, which needs all versions.
		"KeepList": "s3://lists/repos/", "TextObjects": "s3://states/prod/", "KeepListMaxAge": "3650d",
		"Grace": "14d", "GraceAction": "disable", "SharedImages": "report", "LaunchTemplateVersions": "1", "ImageBuilderImages": "judge", "CloudFormationTemplates": "true",
		"UsageSources":   "all,elastic-beanstalk",
		"RecycleBinDays": "365", "EC2Share": "1", "OwnersTopicArn": "arn:aws:sns:us-east-1:123456789012:OwnersTopicArn",
	},
}

// tagKeys are the keys of tags in a request, as this package writes a key of IAM's that has several
// values.
func tagKeys(keys []string) string { return strings.Join(keys, ",") }
