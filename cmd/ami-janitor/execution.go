package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// The logical ids of the hub's state machine and of its bucket in organization.yaml.
const (
	machineResource = "Machine"
	bucketResource  = "RecordsBucket"
)

// execution is a dry run of the hub's state machine, which a person starts.
type execution struct {
	aws     aws.Config
	stack   string // Of the hub; empty if the state machine was named.
	machine string // The ARN of the state machine.
	records string // Where its runs leave their records.
}

// hubFlags choose the hub whose state machine makes the plan.
type hubFlags struct {
	organization *bool
	machine      *string
}

func addHub(command *cobra.Command) hubFlags {
	flags := hubFlags{
		organization: command.Flags().Bool("organization", false, "start a dry run of the hub that --stack names, and print what it tells"),
		machine:      command.Flags().String("state-machine", "", "with --organization: ARN of the hub's state machine, instead of --stack; --records names its bucket"),
	}
	group(command.Flag("organization"), flagsWhere)
	group(command.Flag("state-machine"), flagsWhere)
	command.MarkFlagsMutuallyExclusive("state-machine", "stack")
	return flags
}

// hubPlanFlags are the flags that mean something to plan --organization.
var hubPlanFlags = map[string]bool{
	"organization": true, "state-machine": true, "stack": true, "records": true, "profile": true, "region": true, "output": true, "exit-code": true,
}

// check says which flags of plan make no sense together.
func (f hubFlags) check(given *pflag.FlagSet) error {
	if !*f.organization {
		if *f.machine != "" {
			return errors.New("--state-machine names that of a hub: it needs --organization")
		}
		return nil
	}
	var idle []string
	given.Visit(func(flag *pflag.Flag) {
		if !hubPlanFlags[flag.Name] {
			idle = append(idle, "--"+flag.Name)
		}
	})
	switch {
	case len(idle) > 0:
		return fmt.Errorf("%s: not with --organization, whose plan is made by the hub, with the hub's own settings", digest.List(idle))
	case *f.machine == "" && !given.Changed("stack"):
		return errors.New("plan --organization needs the hub: --stack, or --state-machine and --records")
	case *f.machine == "" && given.Changed("records"):
		return errors.New("--records goes with --state-machine: the hub's stack says itself where the records are")
	default:
		return nil
	}
}

// find looks for the hub that the flags name.
func (f hubFlags) find(ctx context.Context, s settings) (*execution, error) {
	home, err := s.awsConfig(ctx)
	if err != nil {
		return nil, err
	}
	e := &execution{aws: home, stack: *s.stack, machine: *f.machine}
	if e.stack != "" {
		return e, e.ofStack(ctx)
	}
	parsed, err := arn.Parse(e.machine)
	if err != nil || parsed.Service != "states" || !strings.HasPrefix(parsed.Resource, "stateMachine:") {
		return nil, fmt.Errorf("--state-machine: %q is not the ARN of a state machine", e.machine)
	}
	e.aws.Region = parsed.Region
	if e.records = s.lookup("RECORDS"); s.isGiven("RECORDS") {
		e.records = s.flags.Lookup(flagName("RECORDS")).Value.String()
	}
	if !strings.HasPrefix(e.records, "s3://") {
		return nil, fmt.Errorf("--state-machine needs --records: the bucket of the organization's runs, such as s3://bucket, not %q", e.records)
	}
	return e, nil
}

// ofStack finds the state machine and the bucket that the stack has made of organization.yaml.
func (e *execution) ofStack(ctx context.Context) error {
	if parsed, err := arn.Parse(e.stack); err == nil {
		e.aws.Region = parsed.Region
	}
	if e.aws.Region == "" {
		return fmt.Errorf("--stack %s: no region to look in: set AWS_REGION, or give the ARN", e.stack)
	}
	machine, err := stackResource(ctx, e.aws, e.stack, machineResource, "AWS::StepFunctions::StateMachine")
	if err != nil {
		return fmt.Errorf("--stack %s in %s: %w", e.stack, e.aws.Region, err)
	}
	bucket, err := stackResource(ctx, e.aws, e.stack, bucketResource, "AWS::S3::Bucket")
	if err != nil {
		return fmt.Errorf("--stack %s in %s: %w", e.stack, e.aws.Region, err)
	}
	e.machine, e.records = machine, "s3://"+bucket
	return nil
}

// planOrganization has the hub make a plan, prints its record, and turns it into an exit status.
func planOrganization(ctx context.Context, hub hubFlags, s settings, printer *printer) error {
	if err := printer.checkOrganization(); err != nil {
		return err
	}
	end := printer.begin(ctx, "Looking for the hub")
	e, err := hub.find(ctx, s)
	end()
	if err != nil {
		return err
	}
	ended, err := e.run(ctx, printer)
	if err != nil {
		return err
	}
	run, err := e.result(ctx, ended)
	if err != nil {
		printer.complain(err)
		return exitStatus(exitRegionFailed)
	}
	if err := printer.printOrganization(run); err != nil {
		return err
	}
	return printer.statusOf(run)
}

// How often an execution is asked for, and for how long Step Functions may not know one that it has
// just started: what it says is eventually consistent (Step Functions API Reference,
// DescribeExecution).
const (
	pollTime    = 2 * time.Second
	unknownTime = time.Minute
)

// run starts the state machine dry, and waits until it has ended. An interruption ends only the
// waiting.
func (e *execution) run(ctx context.Context, printer *printer) (*sfn.DescribeExecutionOutput, error) {
	end := printer.begin(ctx, "Waiting for the dry run of the hub")
	defer end()
	client := sfn.NewFromConfig(e.aws)
	// The name makes a repeated request harmless: a running execution of this name and input is the
	// answer to it (Step Functions API Reference, StartExecution).
	name := "plan-" + string(ami.NewRunID(time.Now(), rand.Reader))
	started, err := client.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &e.machine, Name: &name, Input: aws.String(`{"dryRun": true}`),
	})
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("if it has begun, " + e.goesOn(e.named(name)))
	case err != nil:
		return nil, fmt.Errorf("starting %s: %s", e.machine, wire.ExplainLookup(err))
	}
	execution := aws.ToString(started.ExecutionArn)
	printer.say("execution %s has started", execution)
	began := time.Now()
	for {
		described, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
		_, isUnknown := errors.AsType[*types.ExecutionDoesNotExist](err)
		switch {
		case ctx.Err() != nil:
			return nil, errors.New(e.goesOn(execution))
		case isUnknown && time.Since(began) < unknownTime:
		case err != nil:
			return nil, fmt.Errorf("%s\n%s", wire.ExplainLookup(err), e.goesOn(execution))
		case described.Status != types.ExecutionStatusRunning:
			return described, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollTime):
		}
	}
}

// named is the ARN of the execution of a name.
func (e *execution) named(name string) string {
	return strings.Replace(e.machine, ":stateMachine:", ":execution:", 1) + ":" + name
}

// goesOn says how an execution goes on that nobody waits for, and what ends it.
func (e *execution) goesOn(execution string) string {
	return fmt.Sprintf("the execution goes on, dry; what it tells will be in %s/org/runs/\n"+
		"this ends it: aws stepfunctions stop-execution --region %s --execution-arn %s", e.records, e.aws.Region, execution)
}

// result reads the record of an execution that has ended, or says why there is none.
func (e *execution) result(ctx context.Context, ended *sfn.DescribeExecutionOutput) (record.Organization, error) {
	failure := organization.Failure{Error: aws.ToString(ended.Error), Cause: aws.ToString(ended.Cause)}
	named := "execution " + aws.ToString(ended.ExecutionArn)
	switch ended.Status {
	case types.ExecutionStatusSucceeded:
	case types.ExecutionStatusAborted:
		return record.Organization{}, fmt.Errorf("%s was stopped: %w", named, failure.Err())
	case types.ExecutionStatusTimedOut:
		return record.Organization{}, fmt.Errorf("%s took longer than its state machine allows: %w", named, failure.Err())
	default:
		return record.Organization{}, fmt.Errorf("%s has failed: %w", named, failure.Err())
	}
	var told struct {
		Run    string `json:"run"`
		DryRun bool   `json:"dryRun"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(ended.Output)), &told); err != nil || !told.DryRun {
		return record.Organization{}, fmt.Errorf("%s answers %s, which is not what the hub's state machine answers to a dry run", named, plain.Printable(aws.ToString(ended.Output)))
	}
	hub := organization.Hub{Config: config.Config{Records: e.records}, AWS: e.aws, Reader: record.Reader{Stack: e.stack, Home: e.aws.Region}}
	return hub.Record(ctx, told.Run)
}
