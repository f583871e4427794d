package usage

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const tasksSource = "image-tasks"

// The longest pages of the listings of tasks. EC2 documents no limit for exports (EC2 API
// Reference, DescribeStoreImageTasks and DescribeReplaceRootVolumeTasks).
const (
	exportPage      = 100
	storePage       = 200
	replacementPage = 50
)

// imageTasks lists the unfinished tasks that read an image: its export to S3, its storage there,
// and the replacement of a root volume by it. Until the last one ends, its instance shows the image
// that it was launched from.
func imageTasks(ctx context.Context, s *search) error {
	return cmp.Or(s.exportTasks(ctx), s.storeTasks(ctx), s.replacementTasks(ctx))
}

func (s *search) exportTasks(ctx context.Context) error {
	pages := ec2.NewDescribeExportImageTasksPaginator(s.EC2, &ec2.DescribeExportImageTasksInput{MaxResults: aws.Int32(exportPage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeExportImageTasksOutput) *string {
		for _, task := range page.ExportImageTasks {
			if status := aws.ToString(task.Status); status != "completed" && status != "deleted" {
				arn := s.arn("ec2", "export-image-task/"+aws.ToString(task.ExportImageTaskId))
				s.mustUse(ami.Reference{Source: tasksSource, Type: "ec2:ExportImageTask", ARN: arn}, task.ImageId)
			}
		}
		return page.NextToken
	})
}

func (s *search) storeTasks(ctx context.Context) error {
	pages := ec2.NewDescribeStoreImageTasksPaginator(s.EC2, &ec2.DescribeStoreImageTasksInput{MaxResults: aws.Int32(storePage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeStoreImageTasksOutput) *string {
		for _, task := range page.StoreImageTaskResults {
			if state := aws.ToString(task.StoreTaskState); state != "Completed" && state != "Failed" {
				// The task has no id of its own.
				arn := s.sharedARN("image/" + aws.ToString(task.AmiId))
				s.mustUse(ami.Reference{Source: tasksSource, Type: "ec2:StoreImageTask", ARN: arn}, task.AmiId)
			}
		}
		return page.NextToken
	})
}

// finishedReplacements are the states of a replacement that reads nothing more.
var finishedReplacements = []types.ReplaceRootVolumeTaskState{
	types.ReplaceRootVolumeTaskStateSucceeded, types.ReplaceRootVolumeTaskStateFailed, types.ReplaceRootVolumeTaskStateFailedDetached,
}

// replacementTasks lists the replacements of root volumes. One may go by a snapshot, or by the
// volume's own, and name no image.
func (s *search) replacementTasks(ctx context.Context) error {
	pages := ec2.NewDescribeReplaceRootVolumeTasksPaginator(s.EC2, &ec2.DescribeReplaceRootVolumeTasksInput{MaxResults: aws.Int32(replacementPage)})
	return wire.EachPage(ctx, pages, func(page *ec2.DescribeReplaceRootVolumeTasksOutput) *string {
		for _, task := range page.ReplaceRootVolumeTasks {
			if !slices.Contains(finishedReplacements, task.TaskState) {
				arn := s.arn("ec2", "replace-root-volume-task/"+aws.ToString(task.ReplaceRootVolumeTaskId))
				by := ami.Reference{Source: tasksSource, Type: "ec2:ReplaceRootVolumeTask", ARN: arn}
				s.use(by, task.ImageId)
				s.useSnapshot(by, task.SnapshotId)
			}
		}
		return page.NextToken
	})
}
