package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// functionResource is the logical id of the function in template.yaml.
const functionResource = "JanitorFunction"

// deployed is a function of the account, whose policy a command takes.
type deployed struct {
	stack     string // As it was asked for; empty if the function was.
	name      string // The function's.
	region    string
	variables map[string]string
}

// findDeployed finds a function by its stack or by its own name, each a name or an ARN. The AWS
// configuration says in which region to look where the name does not.
func findDeployed(ctx context.Context, account aws.Config, stack, function string) (*deployed, error) {
	asked := cmp.Or(stack, function)
	if parsed, err := arn.Parse(asked); err == nil {
		account.Region = parsed.Region
	}
	if account.Region == "" {
		return nil, fmt.Errorf("%s: no region to look in: set AWS_REGION, or give the ARN", asked)
	}
	d := &deployed{stack: stack, name: function}
	if stack != "" {
		name, err := stackResource(ctx, account, stack, functionResource, "AWS::Lambda::Function")
		if err != nil {
			return nil, fmt.Errorf("--stack %s in %s: %w", stack, account.Region, err)
		}
		d.name = name
	}
	if err := d.read(ctx, account); err != nil {
		return nil, fmt.Errorf("function %s in %s: %w", d.name, account.Region, err)
	}
	return d, nil
}

// stackResource returns the physical id of a resource that a stack has, of the type that its
// template gives it.
func stackResource(ctx context.Context, account aws.Config, stack, resource, kind string) (string, error) {
	out, err := cloudformation.NewFromConfig(account).DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{
		StackName: &stack, LogicalResourceId: &resource,
	})
	switch {
	case err != nil:
		return "", errors.New(wire.ExplainLookup(err))
	case out.StackResourceDetail == nil || aws.ToString(out.StackResourceDetail.ResourceType) != kind ||
		aws.ToString(out.StackResourceDetail.PhysicalResourceId) == "":
		return "", fmt.Errorf("its resource %s is no %s", resource, typeNames[kind])
	default:
		return *out.StackResourceDetail.PhysicalResourceId, nil
	}
}

// typeNames are types of resources in words.
var typeNames = map[string]string{
	"AWS::Lambda::Function": "function", "AWS::StepFunctions::StateMachine": "state machine", "AWS::S3::Bucket": "bucket",
}

// read reads the variables of the function. Those that cannot be read, or that say nothing to the
// janitor, are an error: their place must not be taken by defaults.
func (d *deployed) read(ctx context.Context, account aws.Config) error {
	out, err := lambda.NewFromConfig(account).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &d.name})
	if err != nil {
		return errors.New(wire.ExplainLookup(err))
	}
	if out.Environment != nil && out.Environment.Error != nil {
		return fmt.Errorf("its variables cannot be read: %s: %s", aws.ToString(out.Environment.Error.ErrorCode), aws.ToString(out.Environment.Error.Message))
	}
	if out.Environment != nil {
		d.variables = out.Environment.Variables
	}
	// Other functions may well have a variable such as REGIONS or DRY_RUN.
	if name := "POLICY_NAME"; d.variables[name] == "" {
		return fmt.Errorf("it has no variable %s, which template.yaml gives the janitor's function, so it may be another function", name)
	}
	d.region = account.Region
	return nil
}

// String names the function, and the stack if that was asked for.
func (d *deployed) String() string {
	if d.stack != "" {
		return fmt.Sprintf("stack %s (function %s, %s)", d.stack, d.name, d.region)
	}
	return fmt.Sprintf("function %s (%s)", d.name, d.region)
}

// onlyPlans reports whether the function's own runs are dry.
func (d *deployed) onlyPlans() bool {
	return !strings.EqualFold(strings.TrimSpace(d.variables["DRY_RUN"]), "false")
}

// setting is the name of a setting where it is set for the function.
func (d *deployed) setting(variable string) string {
	return record.Reader{Stack: d.stack}.Setting(variable)
}

// unknown returns the variables that this version does not know, sorted.
func (d *deployed) unknown() []string {
	known := map[string]bool{}
	for _, setting := range config.Settings() {
		known[setting.Variable] = true
	}
	var unknown []string
	for variable := range d.variables {
		if !known[variable] {
			unknown = append(unknown, variable)
		}
	}
	slices.Sort(unknown)
	return unknown
}
