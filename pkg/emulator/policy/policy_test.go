package policy_test

import (
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator/policy"
)

// TestDecide decides as IAM's documentation says.
func TestDecide(t *testing.T) {
	const image = "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0"
	tag := func(value string) map[string][]string { return map[string][]string{"aws:ResourceTag/intent": {value}} }
	keys := func(keys ...string) map[string][]string { return map[string][]string{"aws:TagKeys": keys} }
	for name, c := range map[string]struct {
		document, action, resource string
		context                    map[string][]string
		want                       policy.Decision
	}{
		"nothing":                      {`{"Statement": []}`, "ec2:DescribeImages", "*", nil, policy.ImplicitDeny},
		"one statement, not a list":    {`{"Statement": {"Effect": "Allow", "Action": "ec2:DescribeImages", "Resource": "*"}}`, "ec2:DescribeImages", "*", nil, policy.Allowed},
		"an action in another case":    {allow(`"Action": "EC2:describe*", "Resource": "*"`), "ec2:DescribeImages", "*", nil, policy.Allowed},
		"a resource in another case":   {allow(`"Action": "*", "Resource": "arn:aws:ec2:*::IMAGE/*"`), "ec2:DeregisterImage", image, nil, policy.ImplicitDeny},
		"a question mark":              {allow(`"Action": "*", "Resource": "arn:aws:ec2:us-east-?::image/*"`), "ec2:DeregisterImage", image, nil, policy.Allowed},
		"all actions but one":          {allow(`"NotAction": "ec2:DeregisterImage", "Resource": "*"`), "ec2:DeregisterImage", image, nil, policy.ImplicitDeny},
		"all actions but another":      {allow(`"NotAction": "ec2:DeleteSnapshot", "Resource": "*"`), "ec2:DeregisterImage", image, nil, policy.Allowed},
		"all resources but some":       {allow(`"Action": "*", "NotResource": "arn:aws:ec2:*::image/*"`), "ec2:DeregisterImage", image, nil, policy.ImplicitDeny},
		"a deny beats":                 {`{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}`, "ec2:DescribeImages", "*", nil, policy.ExplicitDeny},
		"a condition that holds":       {when(`"StringEquals": {"aws:ResourceTag/intent": "remove"}`), "x:Y", image, tag("remove"), policy.Allowed},
		"a key in another case":        {when(`"StringEquals": {"AWS:resourcetag/intent": "remove"}`), "x:Y", image, tag("remove"), policy.Allowed},
		"a value in another case":      {when(`"StringEquals": {"aws:ResourceTag/intent": "remove"}`), "x:Y", image, tag("Remove"), policy.ImplicitDeny},
		"a key that is absent":         {when(`"StringEquals": {"aws:ResourceTag/intent": "remove"}`), "x:Y", image, nil, policy.ImplicitDeny},
		"a key that need not be there": {when(`"StringEqualsIfExists": {"aws:ResourceTag/intent": "remove"}`), "x:Y", image, nil, policy.Allowed},
		"a negation, absent":           {when(`"StringNotEquals": {"aws:ResourceTag/intent": "remove"}`), "x:Y", image, nil, policy.Allowed},
		"a negation that does not":     {when(`"StringNotEqualsIgnoreCase": {"aws:ResourceTag/intent": ["a", "remove"]}`), "x:Y", image, tag("REMOVE"), policy.ImplicitDeny},
		"null":                         {when(`"Null": {"aws:ResourceTag/intent": "true"}`), "x:Y", image, nil, policy.Allowed},
		"not null":                     {when(`"Null": {"aws:ResourceTag/intent": false}`), "x:Y", image, nil, policy.ImplicitDeny},
		"a pattern":                    {when(`"StringLike": {"aws:ResourceTag/intent": "rem*"}`), "x:Y", image, tag("remove"), policy.Allowed},
		"an ARN":                       {when(`"ArnEquals": {"aws:ResourceTag/intent": "arn:aws:iam::*:role/x"}`), "x:Y", image, tag("arn:aws:iam::123456789012:role/x"), policy.Allowed},
		"a truth value":                {when(`"Bool": {"aws:ResourceTag/intent": "false"}`), "x:Y", image, tag("False"), policy.Allowed},
		"all values":                   {when(`"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}`), "x:Y", image, keys("a", "b"), policy.Allowed},
		"all values but one":           {when(`"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}`), "x:Y", image, keys("a", "c"), policy.ImplicitDeny},
		"all of no values":             {when(`"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}`), "x:Y", image, nil, policy.Allowed},
		"any value":                    {when(`"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}`), "x:Y", image, keys("c", "a"), policy.Allowed},
		"any of no values":             {when(`"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}`), "x:Y", image, nil, policy.ImplicitDeny},
		"two keys, one does not":       {when(`"StringEquals": {"aws:ResourceTag/intent": "remove", "aws:TagKeys": "a"}`), "x:Y", image, tag("remove"), policy.ImplicitDeny},
	} {
		t.Run(name, func(t *testing.T) {
			statements, err := policy.Parse(c.document)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := policy.Decide(statements, policy.Request{Action: c.action, Resource: c.resource, Context: c.context}); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

func allow(rest string) string { return `{"Statement": [{"Effect": "Allow", ` + rest + `}]}` }

func when(condition string) string {
	return allow(`"Action": "*", "Resource": "*", "Condition": {` + condition + `}`)
}

// TestParseRefusesWhatItDoesNotUnderstand: a decision without it would be another one.
func TestParseRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for document, want := range map[string]string{
		`{`:                                "unexpected end",
		`[]`:                               "a policy is a JSON object",
		`{"Statement": ["x"]}`:             "a statement is a JSON object",
		`{"Statement": [{"Action": "*"}]}`: "Allow or Deny",
		when(`"DateLessThan": {"x": "y"}`): "DateLessThan is not understood",
		when(`"StringLike": {"x": "${aws:username}"}`):   "policy variable",
		allow(`"Action": "*", "Resource": "arn:${x}:*"`): "policy variable",
	} {
		if _, err := policy.Parse(document); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", document, err)
		}
	}
}
