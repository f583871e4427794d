package usage

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const stacksSource = "cloudformation"

// stacks looks for the ids of images in the parameters and outputs of CloudFormation's live stacks,
// and, if that is wanted, in their templates. A parameter that names an SSM parameter shows the
// value that this had. CloudFormation masks what is secret.
func stacks(ctx context.Context, s *search) error {
	client := cloudformation.NewFromConfig(wire.In(s.AWS, s.Region))
	var arns []string
	pages := cloudformation.NewDescribeStacksPaginator(client, &cloudformation.DescribeStacksInput{})
	err := wire.EachPage(ctx, pages, func(page *cloudformation.DescribeStacksOutput) *string {
		for i := range page.Stacks {
			s.useByStack(&page.Stacks[i])
			// A stack that was only proposed has no template (CloudFormation User Guide, "Stack
			// status codes").
			if page.Stacks[i].StackStatus != types.StackStatusReviewInProgress {
				arns = append(arns, s.byStack(&page.Stacks[i]).ARN)
			}
		}
		return page.NextToken
	})
	if !s.StackTemplates {
		return err
	}
	read := func(ctx context.Context, arn string) (stackTemplate, error) { return readTemplate(ctx, client, arn) }
	return cmp.Or(err, ofEach(ctx, "the template of stack", arns, read, func(template stackTemplate) {
		s.useByText(ami.Reference{Source: stacksSource, Type: stackType, ARN: template.stack}, template.text)
	}))
}

const stackType = "cloudformation:Stack"

// stackTemplate is the template of a stack, which is given by its ARN.
type stackTemplate struct{ stack, text string }

// readTemplate reads a template as its macros have left it. That of a stack that was deleted since
// it was listed is there for 90 days, unless CloudFormation has lost it.
func readTemplate(ctx context.Context, client *cloudformation.Client, stack string) (stackTemplate, error) {
	out, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stack, TemplateStage: types.TemplateStageProcessed})
	switch {
	case err == nil:
		return stackTemplate{stack, aws.ToString(out.TemplateBody)}, nil
	case wire.Code(err) == "ValidationError" && strings.HasSuffix(wire.Explain(err), " does not exist"):
		return stackTemplate{}, nil // There is no code for a stack that is gone.
	default:
		return stackTemplate{}, err
	}
}

// byStack is a stack as what names an image.
func (s *search) byStack(stack *types.Stack) ami.Reference {
	return ami.Reference{
		Source: stacksSource, Type: stackType,
		ARN: cmp.Or(aws.ToString(stack.StackId), s.arn("cloudformation", "stack/"+aws.ToString(stack.StackName)+"/*")),
	}
}

func (s *search) useByStack(stack *types.Stack) {
	by := s.byStack(stack)
	for _, parameter := range stack.Parameters {
		s.useByText(by, aws.ToString(parameter.ParameterValue))
		s.useByText(by, aws.ToString(parameter.ResolvedValue))
	}
	for _, output := range stack.Outputs {
		s.useByText(by, aws.ToString(output.OutputValue))
	}
}

// useByText records the images whose ids are in a text, and the snapshots if they are wanted.
func (s *search) useByText(by ami.Reference, text string) {
	text = strings.ToLower(text)
	for _, id := range imageIDs.FindAllString(text, -1) {
		s.use(by, &id)
	}
	for _, id := range s.snapshotsIn(text) {
		s.useSnapshot(by, &id)
	}
}
