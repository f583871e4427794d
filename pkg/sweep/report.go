package sweep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// reportAPI is the part of EC2's API for usage reports.
type reportAPI interface {
	CreateImageUsageReport(context.Context, *ec2.CreateImageUsageReportInput, ...func(*ec2.Options)) (*ec2.CreateImageUsageReportOutput, error)
	DeleteImageUsageReport(context.Context, *ec2.DeleteImageUsageReportInput, ...func(*ec2.Options)) (*ec2.DeleteImageUsageReportOutput, error)
}

// mostVersions is the greatest version-depth (EC2 API Reference,
// ImageUsageResourceTypeOptionRequest).
const mostVersions = 10_000

// report asks for the usage reports that the next run will read, and deletes obsolete ones. A
// failed deletion does no harm: EC2 deletes reports after 30 days (EC2 User Guide, "View your AMI
// usage").
func (s *sweep) report(ctx context.Context) {
	for _, imageID := range s.Plan.ReportsWanted {
		if s.isLate() {
			return
		}
		if err := s.askForReport(ctx, imageID); err != nil && wire.Code(err) != notFound {
			n := slices.IndexFunc(s.images, func(i *image) bool { return i.Image.ID == imageID })
			if n >= 0 && s.images[n].Decision == retention.Keep {
				s.images[n].fail("no usage report could be asked for: " + wire.Explain(err))
			}
		}
	}
	for _, reportID := range s.Plan.ReportsDone {
		if s.isLate() {
			return
		}
		_, _ = s.api.DeleteImageUsageReport(ctx, &ec2.DeleteImageUsageReportInput{ReportId: aws.String(reportID)})
	}
}

// askForReport asks for a report that covers all accounts and everything a report can cover. The
// token makes retries idempotent (EC2 Developer Guide, "Ensuring idempotency").
func (s *sweep) askForReport(ctx context.Context, imageID string) error {
	depth := strconv.Itoa(cmp.Or(s.Lookup.TemplateVersions, mostVersions))
	_, err := s.api.CreateImageUsageReport(ctx, &ec2.CreateImageUsageReportInput{
		ImageId: aws.String(imageID),
		ResourceTypes: []types.ImageUsageResourceTypeRequest{
			{ResourceType: aws.String("ec2:Instance")},
			{
				ResourceType: aws.String("ec2:LaunchTemplate"),
				ResourceTypeOptions: []types.ImageUsageResourceTypeOptionRequest{
					{OptionName: aws.String("version-depth"), OptionValues: []string{depth}},
				},
			},
		},
		ClientToken: aws.String(fmt.Sprintf("%x", sha256.Sum256([]byte(s.Run+" "+imageID)))),
		TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeImageUsageReport,
			Tags:         []types.Tag{{Key: aws.String(ami.RunTag), Value: aws.String(s.Run)}},
		}},
	})
	return err
}
