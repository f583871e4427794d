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

// stacks looks for the ids of images in the parameters and outputs of CloudFormation's live stacks.
// A parameter that names an SSM parameter shows the value that this had. CloudFormation masks what
// is secret.
func stacks(ctx context.Context, s *search) error {
	client := cloudformation.NewFromConfig(wire.In(s.AWS, s.Region))
	pages := cloudformation.NewDescribeStacksPaginator(client, &cloudformation.DescribeStacksInput{})
	return wire.EachPage(ctx, pages, func(page *cloudformation.DescribeStacksOutput) *string {
		for i := range page.Stacks {
			s.useByStack(&page.Stacks[i])
		}
		return page.NextToken
	})
}

func (s *search) useByStack(stack *types.Stack) {
	by := ami.Reference{
		Source: stacksSource, Type: "cloudformation:Stack",
		ARN: cmp.Or(aws.ToString(stack.StackId), s.arn("cloudformation", "stack/"+aws.ToString(stack.StackName)+"/*")),
	}
	for _, parameter := range stack.Parameters {
		s.useByText(by, aws.ToString(parameter.ParameterValue))
		s.useByText(by, aws.ToString(parameter.ResolvedValue))
	}
	for _, output := range stack.Outputs {
		s.useByText(by, aws.ToString(output.OutputValue))
	}
}

// useByText records the images whose ids are in a text.
func (s *search) useByText(by ami.Reference, text string) {
	for _, id := range imageIDs.FindAllString(strings.ToLower(text), -1) {
		s.use(by, &id)
	}
}
