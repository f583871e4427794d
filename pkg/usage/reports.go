package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// ReportsSource names the image usage reports in a gap. They are not a source that can be switched
// on separately: they are read if shared images are judged, and only count for those.
const ReportsSource = "usage-reports"

// The maximum of report ids for DescribeImageUsageReportEntries, which is also its page size (EC2
// API Reference).
const reportsPerCall = 200

// readReports reads the janitor's own image usage reports (EC2 User Guide, "View your AMI usage").
func (s *search) readReports(ctx context.Context) error {
	reports, err := s.listReports(ctx)
	slices.SortFunc(reports, newestFirst)
	for i := range reports {
		s.addReport(&reports[i])
	}
	return err
}

// readEntriesOf reads the entries of the reports about those of some candidates that are shared.
func (c *Collection) readEntriesOf(ctx context.Context, ids []string) {
	var shared, available []string
	subjects := map[string]string{} // The images of the available reports, by report id.
	for _, id := range ids {
		finding := c.finding(id)
		if !c.public[id] && len(finding.SharedWith) == 0 {
			continue
		}
		shared = append(shared, id)
		if finding.Report != nil && finding.Report.State == "available" {
			available = append(available, finding.Report.ID)
			subjects[finding.Report.ID] = id
		}
	}
	err := c.reports
	for chunk := range slices.Chunk(available, reportsPerCall) {
		if err == nil {
			err = c.readEntries(ctx, chunk, subjects)
		}
	}
	if err != nil {
		c.gap(ReportsSource, err, shared...)
	}
}

// listReports lists the reports that carry the janitor's tag. After an error it returns the reports
// so far.
func (s *search) listReports(ctx context.Context) ([]types.ImageUsageReport, error) {
	var reports []types.ImageUsageReport
	pages := ec2.NewDescribeImageUsageReportsPaginator(s.EC2, &ec2.DescribeImageUsageReportsInput{
		Filters:    []types.Filter{{Name: aws.String("tag-key"), Values: []string{ami.RunTag}}},
		MaxResults: aws.Int32(reportsPerCall),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeImageUsageReportsOutput) *string {
		reports = append(reports, page.ImageUsageReports...)
		return page.NextToken
	})
	return reports, err
}

func newestFirst(a, b types.ImageUsageReport) int {
	if order := aws.ToTime(b.CreationTime).Compare(aws.ToTime(a.CreationTime)); order != 0 {
		return order
	}
	return strings.Compare(aws.ToString(b.ReportId), aws.ToString(a.ReportId))
}

// addReport adds a report to the finding about its image. The newest one comes first, and
// supersedes the others.
func (s *search) addReport(report *types.ImageUsageReport) {
	if report.ImageId == nil || report.ReportId == nil {
		return
	}
	finding, id := s.finding(*report.ImageId), *report.ReportId
	switch {
	case finding.Report == nil:
		finding.Report = &ami.UsageReport{
			ID: id, State: aws.ToString(report.State), CreatedAt: aws.ToTime(report.CreationTime), Complete: s.isComplete(report),
		}
	case finding.Report.ID != id && !slices.Contains(finding.Report.Superseded, id):
		finding.Report.Superseded = append(finding.Report.Superseded, id)
	}
}

// defaultReportDepth is how many versions of a launch template a report covers by default (EC2 User
// Guide, "View your AMI usage").
const defaultReportDepth = 20

// isComplete reports whether a report covers everything that would be a use: all accounts,
// instances and launch templates, and as many of their versions as count.
func (s *search) isComplete(report *types.ImageUsageReport) bool {
	ofInstances, depth := false, 0
	for _, kind := range report.ResourceTypes {
		switch aws.ToString(kind.ResourceType) {
		case string(types.ImageReferenceResourceTypeEc2Instance):
			ofInstances = true
		case string(types.ImageReferenceResourceTypeEc2LaunchTemplate):
			depth = reportDepth(kind.ResourceTypeOptions)
		}
	}
	return len(report.AccountIds) == 0 && ofInstances && depth >= s.versionDepth()
}

func reportDepth(options []types.ImageUsageResourceTypeOption) int {
	for _, option := range options {
		if aws.ToString(option.OptionName) == string(types.ImageReferenceOptionNameVersionDepth) {
			depth, err := strconv.Atoi(strings.Join(option.OptionValues, ","))
			if err != nil {
				return 0
			}
			return depth
		}
	}
	return defaultReportDepth
}

// readEntries reads which accounts use the images of some reports. The request has ids, and
// therefore cannot have a page size (EC2 API Reference, "Query requests"). An entry without a count
// is a use.
func (s *search) readEntries(ctx context.Context, reportIDs []string, subjects map[string]string) error {
	var unasked error
	pages := ec2.NewDescribeImageUsageReportEntriesPaginator(s.EC2, &ec2.DescribeImageUsageReportEntriesInput{ReportIds: reportIDs})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeImageUsageReportEntriesOutput) *string {
		for _, entry := range page.ImageUsageReportEntries {
			id := aws.ToString(entry.ReportId)
			subject, isAsked := subjects[id]
			if !isAsked {
				unasked = fmt.Errorf("ec2:DescribeImageUsageReportEntries: EC2 answered for %q, which was not asked about", id)
			}
			if entry.UsageCount == nil || *entry.UsageCount > 0 {
				account := cmp.Or(aws.ToString(entry.AccountId), "unknown")
				s.use(ami.Reference{
					Source: ReportsSource, Type: aws.ToString(entry.ResourceType), ARN: "arn:" + s.partition() + ":iam::" + account + ":root",
					Account: account, Count: aws.ToInt64(entry.UsageCount),
				}, &subject)
			}
		}
		return page.NextToken
	})
	return cmp.Or(err, unasked)
}
