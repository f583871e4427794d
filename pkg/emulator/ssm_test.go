package emulator_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func ssmClient(client emulator.Doer) *ssm.Client { return ssm.NewFromConfig(config(client)) }

// parameters is an account with parameters of every type, and with older versions of one.
func parameters(t testing.TB) *emulator.Account {
	return load(t, directory(
		"describe-parameters.json", `{"Parameters": [
			{"Name": "/golden", "Type": "String", "DataType": "aws:ec2:image", "Version": 7, "LastModifiedDate": 1795398281.939},
			{"Name": "/hosts", "Type": "StringList", "LastModifiedDate": "2026-01-02T03:04:05.500000+01:00"},
			{"Name": "/secret", "Type": "SecureString", "Policies": [{"PolicyText": "p"}]}]}`,
		"get-parameters.json", `{"InvalidParameters": [], "Parameters": [
			{"Name": "plain", "Value": "a <b> & \u2028", "LastModifiedDate": "no date"},
			{"Name": "/golden", "Value": "ami-3", "Version": 3, "Selector": ":3"},
			{"Name": "/golden", "Value": "ami-5", "Version": 5, "Selector": ":stable"},
			{"Name": "/golden", "Value": "ami-7", "Version": 7, "LastModifiedDate": 1795398281.939},
			{"Name": "/hosts", "Value": "a,b", "ARN": "arn:aws:ssm:us-east-1:111122223333:parameter/hosts"},
			{"Name": "/secret", "Value": "ami-9", "Type": "SecureString"},
			{"Name": "/old", "Value": "ami-1", "Version": 1, "Selector": ":1"}]}`,
	))
}

func TestDescribeParameters(t *testing.T) {
	filter := func(key, option string, values ...string) *ssm.DescribeParametersInput {
		f := types.ParameterStringFilter{Key: &key, Values: values}
		if option != "" {
			f.Option = &option
		}
		return &ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{f}}
	}
	tests := []struct {
		name  string
		input *ssm.DescribeParametersInput
		want  string
	}{
		{"all, the values alone too", &ssm.DescribeParametersInput{}, "/golden /hosts /secret plain /old"},
		{"images", filter("DataType", "", "aws:ec2:image"), "/golden"},
		{"texts", filter("DataType", "Equals", "text"), "/hosts /secret plain /old"},
		{"secrets", filter("Type", "", "SecureString"), "/secret"},
		{"by type", filter("Type", "BeginsWith", "String"), "/golden /hosts plain /old"},
		{"one name or another", filter("Name", "Equals", "/golden", "plain"), "/golden plain"},
		{"a part of the name", filter("Name", "Contains", "ol"), "/golden /old"},
		{"a part of the type", filter("Type", "Contains", "String"), "InvalidFilterOption"},
		{"an unknown option", filter("Name", "EndsWith", "x"), "InvalidFilterOption"},
		{"a key that is not emulated", filter("Tier", "", "Standard"), "InvalidFilterKey"},
		{"no values", filter("Name", ""), "InvalidFilterValue"},
		{"51 values", filter("Name", "", slices.Repeat([]string{"x"}, 51)...), "InvalidFilterValue"},
		{"pages that are too long", &ssm.DescribeParametersInput{MaxResults: aws.Int32(51)}, "ValidationException"},
		{"a token that is none", &ssm.DescribeParametersInput{NextToken: aws.String("x")}, "InvalidNextToken"},
		{"the other kind of filter", &ssm.DescribeParametersInput{Filters: []types.ParametersFilter{{Key: "Name", Values: []string{"x"}}}}, "UnknownParameter"},
	}
	client := ssmClient(parameters(t).Client())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.DescribeParameters(t.Context(), test.input)
			got := code(err)
			if err == nil {
				var names []string
				for _, p := range out.Parameters {
					names = append(names, *p.Name)
				}
				got = strings.Join(names, " ")
			}
			equal(t, "parameters", got, test.want)
		})
	}

	out, err := client.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	if err != nil {
		t.Fatal(err)
	}
	golden, hosts, plain := out.Parameters[0], out.Parameters[1], out.Parameters[3]
	equal(t, "version", golden.Version, int64(7))
	equal(t, "ARN", *golden.ARN, "arn:aws:ssm:us-east-1:123456789012:parameter/golden")
	equal(t, "date", golden.LastModifiedDate.UnixMilli(), int64(1795398281939))
	equal(t, "date with an offset", hosts.LastModifiedDate.UnixMilli(), int64(1767319445500))
	equal(t, "policy", *out.Parameters[2].Policies[0].PolicyText, "p")
	if plain.LastModifiedDate != nil {
		t.Errorf("a date that is none: %v", plain.LastModifiedDate)
	}
	equal(t, "type and data type that nobody gives", string(plain.Type)+" "+*plain.DataType, "String text")
}

func TestPagesOfParameters(t *testing.T) {
	var list []string
	for i := range 60 {
		list = append(list, fmt.Sprintf(`{"Name": "p%d"}`, i))
	}
	client := ssmClient(load(t, directory("describe-parameters.json", `{"Parameters": [`+strings.Join(list, ",")+`]}`)).Client())
	for size, want := range map[int32][]int{0: {10, 10, 10, 0, 10, 10, 10}, 50: {50, 10}} {
		input := &ssm.DescribeParametersInput{}
		if size > 0 {
			input.MaxResults = &size
		}
		var lengths []int
		for token := aws.String(""); token != nil; input.NextToken = token {
			out, err := client.DescribeParameters(t.Context(), input)
			if err != nil {
				t.Fatal(err)
			}
			lengths = append(lengths, len(out.Parameters))
			token = out.NextToken
		}
		equal(t, fmt.Sprintf("pages of %d", size), lengths, want)
	}
}

func TestGetParameters(t *testing.T) {
	const arn = "arn:aws:ssm:us-east-1:123456789012:parameter/golden"
	tests := []struct {
		name    string
		names   []string
		want    []string // Name, selector and value.
		missing []string
		code    string
	}{
		{"the current values, in the order of the names", []string{"plain", "/golden"}, []string{"/golden ami-7", "plain a <b> & \u2028"}, nil, ""},
		{"a version", []string{"/golden:3"}, []string{"/golden :3 ami-3"}, nil, ""},
		{"the current version", []string{"/golden:7"}, []string{"/golden :7 ami-7"}, nil, ""},
		{"a label", []string{"/golden:stable"}, []string{"/golden :stable ami-5"}, nil, ""},
		{"the version of a label", []string{"/golden:5"}, []string{"/golden :5 ami-5"}, nil, ""},
		{"an ARN", []string{arn}, []string{"/golden ami-7"}, nil, ""},
		{"an ARN and a version", []string{arn + ":3"}, []string{"/golden :3 ami-3"}, nil, ""},
		{"an ARN and a label", []string{arn + ":stable"}, []string{"/golden :stable ami-5"}, nil, ""},
		{"the ARN of another account", []string{"arn:aws:ssm:us-east-1:111122223333:parameter/hosts"}, []string{"/hosts a,b"}, nil, ""},
		{"ARNs of none", []string{"arn:aws:ssm:us-east-1:123456789012:parameter/hosts", "arn:x"}, nil, []string{"arn:aws:ssm:us-east-1:123456789012:parameter/hosts", "arn:x"}, ""},
		{"versions and labels that are missing", []string{"/golden:4", "/golden:beta", "/golden"}, []string{"/golden ami-7"}, []string{"/golden:4", "/golden:beta"}, ""},
		{"one whose current value is not known", []string{"/old", "/old:1"}, []string{"/old :1 ami-1"}, []string{"/old"}, ""},
		{"none of them", []string{"absent", ""}, nil, []string{"absent", ""}, ""},
		{"spaces around", []string{" plain "}, []string{"plain a <b> & \u2028"}, nil, ""},
		{"a space in the middle", []string{"pl ain"}, nil, nil, "ValidationException"},
		{"no names", []string{}, nil, nil, "ValidationException"},
		{"ten names", slices.Repeat([]string{"x"}, 10), nil, slices.Repeat([]string{"x"}, 10), ""},
		{"eleven names", slices.Repeat([]string{"x"}, 11), nil, nil, "ValidationException"},
	}
	client := ssmClient(parameters(t).Client())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: test.names})
			equal(t, "error code", code(err), test.code)
			if err != nil {
				return
			}
			var got []string
			for _, p := range out.Parameters {
				got = append(got, strings.Join(strings.Fields(*p.Name+" "+aws.ToString(p.Selector)), " ")+" "+*p.Value)
			}
			equal(t, "parameters", got, test.want)
			if strings.Join(out.InvalidParameters, "\n") != strings.Join(test.missing, "\n") {
				t.Errorf("missing: got %q, want %q", out.InvalidParameters, test.missing)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	client := ssmClient(parameters(t).Client())
	for decrypted, readable := range map[bool]bool{true: true, false: false} {
		out, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/secret", "/golden"}, WithDecryption: &decrypted})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "what is no secret", *out.Parameters[0].Value+" "+*out.Parameters[0].DataType, "ami-7 aws:ec2:image")
		if secret := *out.Parameters[1].Value; (secret == "ami-9") != readable || secret == "" {
			t.Errorf("decrypted %t: %q", decrypted, secret)
		}
	}
}

// The faults and the records are those of the other services, in SSM's own words.
func TestParametersAndFaults(t *testing.T) {
	const action = "GetParameters"
	tests := map[string]struct {
		fault  func(emulator.Doer) emulator.Doer
		code   string // "?" for an error that is not one of AWS's.
		status int
		calls  int
	}{
		"deny": {func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, action) }, "AccessDeniedException", http.StatusForbidden, 0},
		"fail": {func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, action, func(n int, r emulator.Request) bool { return n == 1 && r.Form.Get("Names.2") == "plain" },
				http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
		}, "ThrottlingException", http.StatusBadRequest, 0},
		"fail for others": {func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, action, func(_ int, r emulator.Request) bool { return r.Form.Get("Names.1") == "plain" }, 400, "X", "x")
		}, "", http.StatusOK, 1},
		"lose the answer": {func(d emulator.Doer) emulator.Doer { return disturb.LoseAnswer(d, action, nil) }, "?", 0, 1},
		"garble":          {func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, action, nil) }, "?", 0, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := parameters(t)
			_, err := ssmClient(test.fault(a.Client())).GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/golden", "plain"}})
			if test.code == "?" {
				if e, ok := errors.AsType[smithy.APIError](err); err == nil || ok {
					t.Errorf("got %v, %v", err, e)
				}
			} else {
				equal(t, "error code", code(err), test.code)
				equal(t, "status", status(err), test.status)
			}
			equal(t, "calls", len(a.Calls()), test.calls)
			for _, call := range a.Calls() {
				equal(t, "call", call, emulator.Call{Service: "ssm", Region: "us-east-1", Action: action, Status: http.StatusOK})
			}
		})
	}
}

func TestInspectReadsJSON(t *testing.T) {
	const body = `{"Names": ["a", "b"], "WithDecryption": true, "MaxResults": 10, "Null": null,
		"ParameterFilters": [{"Key": "Name", "Values": ["x", "y"]}]}`
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameters")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20261123/eu-west-1/ssm/aws4_request,SignedHeaders=host,Signature=0")
	for range 2 {
		got, err := emulator.Inspect(r)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "request", got, emulator.Request{
			Service: "ssm", Region: "eu-west-1", Action: "GetParameters",
			Form: url.Values{
				"Names.1": {"a"}, "Names.2": {"b"}, "WithDecryption": {"true"}, "MaxResults": {"10"},
				"ParameterFilters.1.Key": {"Name"}, "ParameterFilters.1.Values.1": {"x"}, "ParameterFilters.1.Values.2": {"y"},
			},
		})
	}
}

func TestPutParameter(t *testing.T) {
	a := parameters(t)
	client := ssmClient(a.Client())
	put := func(name, value string, kind types.ParameterType, overwrite bool) string {
		_, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: kind, Overwrite: &overwrite})
		if refused, ok := errors.AsType[smithy.APIError](err); ok {
			return refused.ErrorCode()
		}
		return ""
	}
	equal(t, "one that is there", put("/golden", "x", types.ParameterTypeString, false), "ParameterAlreadyExists")
	equal(t, "a long value", put("/long", strings.Repeat("x", 4097), types.ParameterTypeString, true), "ValidationException")
	equal(t, "without a type", put("/new", "x", "", true), "ValidationException")
	equal(t, "another value", put("/golden", "ami-8", "", true), "")
	equal(t, "a new one", put("/new", "y", types.ParameterTypeStringList, false), "")
	equal(t, "again", put("/new", "z", "", true), "")
	equal(t, "by ARN", put("arn:aws:ssm:us-east-1:123456789012:parameter/x", "x", types.ParameterTypeString, true), "ValidationException")
	out, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/golden", "/golden:3", "/new"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range out.Parameters {
		got = append(got, fmt.Sprint(*p.Name, " ", *p.Value, " ", p.Version, " ", p.Type))
	}
	equal(t, "parameters", got, []string{"/golden ami-8 8 String", "/golden ami-3 3 String", "/new z 2 StringList"})
}
