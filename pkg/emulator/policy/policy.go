// Package policy decides on requests as IAM does, by documents in IAM's policy language.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Statement is a statement of a policy. It is for the actions and resources that it names, or for
// all but those of NotActions and NotResources.
type Statement struct {
	Sid, Effect             string
	Actions, NotActions     []string
	Resources, NotResources []string

	Conditions map[string]map[string][]string // By operator and key.

	PolicyName, PolicySource string // Where it stands, and what that is.
}

// Request is what IAM decides on. A key that the request does not have is not in its context.
type Request struct {
	Action, Resource string
	Context          map[string][]string
}

// Decision is IAM's, in the words of its API (IAM API Reference, EvaluationResult).
type Decision string

// The decisions.
const (
	Allowed      Decision = "allowed"
	ExplicitDeny Decision = "explicitDeny"
	ImplicitDeny Decision = "implicitDeny"
)

// Decide returns the decision on a request, and the statements that lead to it: one that denies
// outweighs all that allow (IAM User Guide, "Policy evaluation logic").
func Decide(statements []Statement, r Request) (Decision, []Statement) {
	var allow, deny []Statement
	for _, s := range statements {
		switch {
		case !s.Matches(r):
		case s.Effect == "Deny":
			deny = append(deny, s)
		default:
			allow = append(allow, s)
		}
	}
	switch {
	case len(deny) > 0:
		return ExplicitDeny, deny
	case len(allow) > 0:
		return Allowed, allow
	default:
		return ImplicitDeny, nil
	}
}

// Matches reports whether a statement is about a request.
func (s Statement) Matches(r Request) bool {
	// Actions are compared whatever their case; resources are not.
	isNamed := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return Like(strings.ToLower(p), strings.ToLower(r.Action)) })
	}
	isOn := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return Like(p, r.Resource) })
	}
	if !isNamed(s.Actions) && (len(s.NotActions) == 0 || isNamed(s.NotActions)) {
		return false
	}
	if !isOn(s.Resources) && (len(s.NotResources) == 0 || isOn(s.NotResources)) {
		return false
	}
	for name, keys := range s.Conditions {
		for key, values := range keys {
			if !holds(name, valuesOf(r.Context, key), values) {
				return false
			}
		}
	}
	return true
}

// valuesOf are the values of a key, whose name is compared whatever its case.
func valuesOf(context map[string][]string, key string) []string {
	for name, values := range context {
		if strings.EqualFold(name, key) {
			return values
		}
	}
	return nil
}

// operator compares a value of a policy with one of a request.
type operator struct {
	equal     func(pattern, value string) bool
	isNegated bool
}

func equals(pattern, value string) bool { return pattern == value }

// operators are those that are understood, without those for numbers, dates and addresses (IAM User
// Guide, "IAM JSON policy elements: Condition operators"). ArnEquals and ArnLike mean the same.
var operators = map[string]operator{
	"StringEquals": {equals, false}, "StringNotEquals": {equals, true},
	"StringEqualsIgnoreCase": {strings.EqualFold, false}, "StringNotEqualsIgnoreCase": {strings.EqualFold, true},
	"StringLike": {Like, false}, "StringNotLike": {Like, true},
	"ArnEquals": {Like, false}, "ArnNotEquals": {Like, true}, "ArnLike": {Like, false}, "ArnNotLike": {Like, true},
	"Bool": {strings.EqualFold, false},
}

// The parts of an operator's name.
const (
	forAll   = "ForAllValues:"
	forAny   = "ForAnyValue:"
	ifExists = "IfExists"
	null     = "Null"
)

func operatorNamed(name string) (operator, bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, forAll), forAny)
	found, ok := operators[strings.TrimSuffix(name, ifExists)]
	return found, ok
}

// holds evaluates a condition. A negated operator holds where the key is absent, and ForAllValues
// too; the others do not.
func holds(name string, values, patterns []string) bool {
	isPresent := len(values) > 0
	if name == null {
		return slices.Contains(patterns, fmt.Sprint(!isPresent))
	}
	by, ok := operatorNamed(name)
	if !ok {
		panic("the condition operator " + name + " is not known")
	}
	fits := func(value string) bool {
		return by.isNegated != slices.ContainsFunc(patterns, func(p string) bool { return by.equal(p, value) })
	}
	switch {
	case !isPresent:
		return strings.HasSuffix(name, ifExists) || strings.HasPrefix(name, forAll) || by.isNegated && !strings.HasPrefix(name, forAny)
	case strings.HasPrefix(name, forAny):
		return slices.ContainsFunc(values, fits)
	default:
		return !slices.ContainsFunc(values, func(value string) bool { return !fits(value) })
	}
}

// Like matches a text with a pattern, in which * stands for any text and ? for any character.
func Like(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == text
	}
	ok, err := path.Match(escaped.Replace(pattern), strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

// escaped has a pattern of IAM's mean the same to path.Match, to which a slash and brackets are
// special.
var escaped = strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)

// Parse reads the statements of a document, given as JSON or as what that decodes to. What is not
// understood is an error: a decision without it would be another one.
func Parse(document any) ([]Statement, error) {
	if text, isText := document.(string); isText {
		var decoded any
		if err := json.Unmarshal([]byte(text), &decoded); err != nil {
			return nil, err
		}
		document = decoded
	}
	members, ok := document.(map[string]any)
	if !ok {
		return nil, errors.New("a policy is a JSON object")
	}
	var statements []Statement
	for _, item := range listOf(members["Statement"]) {
		s, err := parseStatement(item)
		if err != nil {
			return nil, err
		}
		statements = append(statements, s)
	}
	return statements, nil
}

func parseStatement(item any) (Statement, error) {
	members, ok := item.(map[string]any)
	if !ok {
		return Statement{}, errors.New("a statement is a JSON object")
	}
	s := Statement{
		Actions: textsOf(members["Action"]), NotActions: textsOf(members["NotAction"]),
		Resources: textsOf(members["Resource"]), NotResources: textsOf(members["NotResource"]),
		Conditions: map[string]map[string][]string{},
	}
	s.Sid, _ = members["Sid"].(string)
	s.Effect, _ = members["Effect"].(string)
	conditions, _ := members["Condition"].(map[string]any)
	for name, keys := range conditions {
		if _, known := operatorNamed(name); !known && name != null {
			return s, fmt.Errorf("the condition operator %s is not understood", name)
		}
		s.Conditions[name] = map[string][]string{}
		of, _ := keys.(map[string]any)
		for key, values := range of {
			s.Conditions[name][key] = textsOf(values)
		}
	}
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return s, fmt.Errorf("the effect of a statement is Allow or Deny, and not %q", s.Effect)
	}
	return s, s.checkVariables()
}

// checkVariables refuses policy variables, such as ${aws:username}.
func (s Statement) checkVariables() error {
	texts := slices.Concat(s.Resources, s.NotResources)
	for _, keys := range s.Conditions {
		for _, values := range keys {
			texts = append(texts, values...)
		}
	}
	if i := slices.IndexFunc(texts, func(t string) bool { return strings.Contains(t, "${") }); i >= 0 {
		return fmt.Errorf("the policy variable in %s is not understood", texts[i])
	}
	return nil
}

// listOf is what a policy writes as a list, or as its only item.
func listOf(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

func textsOf(value any) []string {
	var texts []string
	for _, item := range listOf(value) {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}
