package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const batchSource = "batch"

// servicePage is the longest page of the listings of Batch, Parallel Computing Service, SageMaker
// and RDS (their API References).
const servicePage = 100

// computeEnvironments looks at the images of Batch's compute environments. One that is disabled or
// invalid counts: it comes back. Of most of them Batch makes a launch template when they first
// scale out, which keeps the image, too.
func computeEnvironments(ctx context.Context, s *search) error {
	client := batch.NewFromConfig(wire.In(s.AWS, s.Region))
	pages := batch.NewDescribeComputeEnvironmentsPaginator(client, &batch.DescribeComputeEnvironmentsInput{MaxResults: aws.Int32(servicePage)})
	return wire.EachPage(ctx, pages, func(page *batch.DescribeComputeEnvironmentsOutput) *string {
		for i := range page.ComputeEnvironments {
			environment := &page.ComputeEnvironments[i]
			if resources := environment.ComputeResources; resources != nil && environment.Status != types.CEStatusDeleted {
				by := ami.Reference{Source: batchSource, Type: "batch:ComputeEnvironment", ARN: aws.ToString(environment.ComputeEnvironmentArn)}
				s.use(by, resources.ImageId) //nolint:staticcheck // It is deprecated, and still launched.
				for _, configuration := range resources.Ec2Configuration {
					s.use(by, configuration.ImageIdOverride)
				}
			}
		}
		return page.NextToken
	})
}
