package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// stack is what CloudFormation says of a deployment.
type stack struct {
	parameters map[string]string
	resources  map[string]resource // By logical id.
}

type resource struct{ kind, id string }

// checkDeployment looks at what the stack has deployed.
func (e *examination) checkDeployment(ctx context.Context) {
	if e.Deployment == nil {
		return
	}
	if err := e.Deployment.Unread; err != nil {
		f := explained("function", e.Deployment.Region, err.Error())
		if !isDenied(f.Found) {
			f.Level, f.Remedy = Wrong, "Name the stack of template.yaml, and its region, with --stack and --region."
		}
		e.add(f)
	}
	var err error
	if e.stack, err = e.readStack(ctx); err != nil {
		e.add(notChecked("stack", e.Deployment.Region, err))
		return
	}
	e.checkSchedule(ctx)
	e.checkTopics(ctx)
	e.checkAlarms(ctx)
	e.checkBucket(ctx)
}

// readStack reads the parameters and the resources of the stack.
func (e *examination) readStack(ctx context.Context) (*stack, error) {
	client := cloudformation.NewFromConfig(e.here())
	s := &stack{parameters: map[string]string{}, resources: map[string]resource{}}
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &e.Deployment.Stack})
	if err != nil {
		return nil, err
	}
	for _, one := range described.Stacks {
		for _, p := range one.Parameters {
			s.parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
		}
	}
	listed, err := client.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &e.Deployment.Stack})
	if err != nil {
		return nil, err
	}
	for _, r := range listed.StackResources {
		s.resources[aws.ToString(r.LogicalResourceId)] = resource{aws.ToString(r.ResourceType), aws.ToString(r.PhysicalResourceId)}
	}
	return s, nil
}

// id is the physical id of a resource; empty if the stack does not have it, or is not known.
func (s *stack) id(logical string) string {
	if s == nil {
		return ""
	}
	return s.resources[logical].id
}

// ofKind are the physical ids of the resources of a type, sorted.
func (s *stack) ofKind(kind string) []string {
	var ids []string
	for _, r := range s.resources {
		if r.kind == kind {
			ids = append(ids, r.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// place is where the function works, as far as that is known.
func (e *examination) place() Place {
	p := Place{Partition: e.partition, Account: e.account, Region: e.Janitor.AWS.Region, LogGroup: e.stack.id("JanitorLog")}
	if rest, ok := strings.CutPrefix(e.Janitor.Config.Records, "s3://"); ok {
		p.Bucket, p.Prefix, _ = strings.Cut(rest, "/")
		if p.Prefix != "" && !strings.HasSuffix(p.Prefix, "/") {
			p.Prefix += "/"
		}
	}
	if e.Deployment == nil {
		return p
	}
	p.Region = e.Deployment.Region
	for _, topic := range []string{e.Janitor.Config.TopicARN, e.Janitor.Config.ChatTopicARN, e.stack.id("OwnersTopic")} {
		if topic != "" {
			p.Topics = append(p.Topics, topic)
		}
	}
	if url := e.stack.id("FailedRuns"); url != "" {
		p.FailedRuns = p.arn("sqs", url[strings.LastIndex(url, "/")+1:])
	}
	return p
}
