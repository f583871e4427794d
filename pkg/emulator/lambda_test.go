package emulator_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// message is what AWS said with an error.
func message(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

// deployed is an account with a function and the stack that made it.
func deployed(t *testing.T) *emulator.Account {
	return load(t, directory(
		"cloudformation-describe-stack-resource.json", `[
			{"StackResourceDetail": {
				"StackName": "ami-janitor", "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/ami-janitor/0123456789ab",
				"LogicalResourceId": "JanitorFunction", "PhysicalResourceId": "ami-janitor-JanitorFunction-EXAMPLE",
				"ResourceType": "AWS::Lambda::Function", "ResourceStatus": "UPDATE_COMPLETE",
				"LastUpdatedTimestamp": "2026-11-20T10:00:00.123000+00:00", "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"}}}
		]`,
		"lambda-get-function-configuration.json", `[
			{"FunctionName": "ami-janitor-JanitorFunction-EXAMPLE", "Version": "$LATEST",
				"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:ami-janitor-JanitorFunction-EXAMPLE",
				"MemorySize": 256, "LastModified": "2026-11-20T10:00:00.000+0000",
				"Environment": {"Variables": {"STALE_AFTER": "90d", "NAMES": "", "KEEP_TAGS": "Stage=<prod>"}}},
			{"FunctionName": "locked", "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:locked",
				"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "Lambda was unable to decrypt"}}}
		]`,
	))
}

func TestDescribeStackResource(t *testing.T) {
	client := cloudformation.NewFromConfig(config(deployed(t).Client()))
	ask := func(stack, resource string) (*cloudformation.DescribeStackResourceOutput, error) {
		return client.DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{StackName: &stack, LogicalResourceId: &resource})
	}
	for _, stack := range []string{"ami-janitor", "arn:aws:cloudformation:us-east-1:123456789012:stack/ami-janitor/0123456789ab"} {
		out, err := ask(stack, "JanitorFunction")
		if err != nil {
			t.Fatal(err)
		}
		detail := out.StackResourceDetail
		equal(t, "name", aws.ToString(detail.PhysicalResourceId), "ami-janitor-JanitorFunction-EXAMPLE")
		equal(t, "type and status", aws.ToString(detail.ResourceType)+" "+string(detail.ResourceStatus), "AWS::Lambda::Function UPDATE_COMPLETE")
		equal(t, "updated", detail.LastUpdatedTimestamp.UTC().Format("2006-01-02T15:04:05.000"), "2026-11-20T10:00:00.123")
	}
	for _, c := range [][3]string{
		{"ami-janitor", "Janitor", "Resource Janitor does not exist for stack ami-janitor"},
		{"other", "JanitorFunction", "Stack 'other' does not exist"},
	} {
		_, err := ask(c[0], c[1])
		equal(t, "error code", code(err), "ValidationError")
		equal(t, "status", status(err), http.StatusBadRequest)
		equal(t, "message", message(err), c[2])
	}
	_, err := ask("ami-janitor", "")
	equal(t, "without a resource", code(err), "ValidationError")
	_, err = cloudformation.NewFromConfig(config(disturb.Deny(deployed(t).Client(), "DescribeStackResource"))).
		DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{StackName: aws.String("ami-janitor"), LogicalResourceId: aws.String("JanitorFunction")})
	equal(t, "denied", code(err), "AccessDenied")
}

func TestGetFunctionConfiguration(t *testing.T) {
	const name, arn = "ami-janitor-JanitorFunction-EXAMPLE", "arn:aws:lambda:us-east-1:123456789012:function:ami-janitor-JanitorFunction-EXAMPLE"
	account := deployed(t)
	ask := func(client emulator.Doer, input lambda.GetFunctionConfigurationInput) (*lambda.GetFunctionConfigurationOutput, error) {
		return lambda.NewFromConfig(config(client)).GetFunctionConfiguration(t.Context(), &input)
	}
	for _, named := range []string{name, arn, "123456789012:function:" + name, "function:" + name, name + ":$LATEST"} {
		out, err := ask(account.Client(), lambda.GetFunctionConfigurationInput{FunctionName: &named})
		if err != nil {
			t.Fatal(named, err)
		}
		equal(t, "ARN", aws.ToString(out.FunctionArn), arn)
		equal(t, "variables", out.Environment.Variables, map[string]string{"STALE_AFTER": "90d", "NAMES": "", "KEEP_TAGS": "Stage=<prod>"})
	}
	out, err := ask(account.Client(), lambda.GetFunctionConfigurationInput{FunctionName: aws.String("locked")})
	if err != nil || out.Environment.Variables != nil || aws.ToString(out.Environment.Error.ErrorCode) != "AccessDeniedException" {
		t.Errorf("%+v, %v", out, err)
	}
	for _, c := range []struct {
		name, qualifier string
		code, message   string
	}{
		{"other", "", "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:other"},
		{name, "7", "ResourceNotFoundException", "Function not found: " + arn + ":7"},
		{name + ":live", "", "ResourceNotFoundException", "Function not found: " + arn + ":live"},
		{"arn:aws:lambda:eu-west-1:123456789012:function:" + name, "", "ResourceNotFoundException", "Function not found: " + arn},
		{"no name", "", "ValidationException", ""},
	} {
		input := lambda.GetFunctionConfigurationInput{FunctionName: &c.name}
		if c.qualifier != "" {
			input.Qualifier = &c.qualifier
		}
		_, err := ask(account.Client(), input)
		equal(t, c.name, code(err), c.code)
		if c.message != "" {
			equal(t, "message", message(err), c.message)
			equal(t, "status", status(err), http.StatusNotFound)
		}
	}
	_, err = ask(disturb.Deny(account.Client(), "GetFunctionConfiguration"), lambda.GetFunctionConfigurationInput{FunctionName: aws.String(name)})
	equal(t, "denied", code(err), "AccessDeniedException")
}
