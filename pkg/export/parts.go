package export

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	rbintypes "github.com/aws/aws-sdk-go-v2/service/rbin/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// The files that other parts are read from, or that are written beside them.
const (
	identityFile   = "get-caller-identity.json"
	imagesFile     = "describe-images.json"
	snapshotsFile  = "describe-snapshots.json"
	templatesFile  = "describe-launch-templates.json"
	versionsFile   = "describe-launch-template-versions.json"
	groupsFile     = "describe-auto-scaling-groups.json"
	parametersFile = "describe-parameters.json"
	stacksFile     = "cloudformation-describe-stacks.json"
	deniedFile     = "denied.json"
)

// The longest pages that the listings allow, in items; if items may carry 16 KB of user data each,
// a tenth of that.
const (
	longPage        = 1000
	dataPage        = 100
	templatePage    = 200
	autoScalingPage = 100
	fastPage        = 200
	storePage       = 200
	replacementPage = 50
	parameterPage   = 50
)

// part is a file of the copy of a region. read returns the content of the file, and since when it
// was read, if that was before the call.
type part struct {
	file  string
	read  func(context.Context, *region) (content any, oldest time.Time, err error)
	needs []string // The files that list its items.

	ofAccount bool // Asked for once, not for each region.
}

// stages are all parts, each after those that it needs. Instances, launch templates and their
// versions are listed including those that services manage and hide.
var stages = [][]part{
	slices.Concat(serviceListings, []part{
		listing(imagesFile, "Images", func(r *region) *ec2.DescribeImagesPaginator {
			return ec2.NewDescribeImagesPaginator(r.ec2, &ec2.DescribeImagesInput{
				Owners: []string{"self"}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(longPage),
			})
		}),
		listing(snapshotsFile, "Snapshots", func(r *region) *ec2.DescribeSnapshotsPaginator {
			return ec2.NewDescribeSnapshotsPaginator(r.ec2, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(longPage)})
		}),
		listing("describe-locked-snapshots.json", "Snapshots", func(r *region) *lockedSnapshotsPages { return &lockedSnapshotsPages{client: r.ec2} }),
		listing("describe-instances.json", "Reservations", func(r *region) *ec2.DescribeInstancesPaginator {
			return ec2.NewDescribeInstancesPaginator(r.ec2, &ec2.DescribeInstancesInput{IncludeManagedResources: aws.Bool(true), MaxResults: aws.Int32(longPage)})
		}),
		listing(templatesFile, "LaunchTemplates", func(r *region) *ec2.DescribeLaunchTemplatesPaginator {
			return ec2.NewDescribeLaunchTemplatesPaginator(r.ec2, &ec2.DescribeLaunchTemplatesInput{
				IncludeManagedResources: aws.Bool(true), MaxResults: aws.Int32(templatePage),
			})
		}),
		listing(groupsFile, "AutoScalingGroups", func(r *region) *autoscaling.DescribeAutoScalingGroupsPaginator {
			return autoscaling.NewDescribeAutoScalingGroupsPaginator(r.autoScaling, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(autoScalingPage)})
		}),
		listing("describe-launch-configurations.json", "LaunchConfigurations", func(r *region) *autoscaling.DescribeLaunchConfigurationsPaginator {
			return autoscaling.NewDescribeLaunchConfigurationsPaginator(r.autoScaling, &autoscaling.DescribeLaunchConfigurationsInput{MaxRecords: aws.Int32(autoScalingPage)})
		}),
		listing("describe-fleets.json", "Fleets", func(r *region) *ec2.DescribeFleetsPaginator {
			return ec2.NewDescribeFleetsPaginator(r.ec2, &ec2.DescribeFleetsInput{MaxResults: aws.Int32(longPage)})
		}),
		listing("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", func(r *region) *ec2.DescribeSpotFleetRequestsPaginator {
			return ec2.NewDescribeSpotFleetRequestsPaginator(r.ec2, &ec2.DescribeSpotFleetRequestsInput{MaxResults: aws.Int32(dataPage)})
		}),
		listing("describe-spot-instance-requests.json", "SpotInstanceRequests", func(r *region) *ec2.DescribeSpotInstanceRequestsPaginator {
			return ec2.NewDescribeSpotInstanceRequestsPaginator(r.ec2, &ec2.DescribeSpotInstanceRequestsInput{MaxResults: aws.Int32(dataPage)})
		}),
		listing("describe-fast-launch-images.json", "FastLaunchImages", func(r *region) *ec2.DescribeFastLaunchImagesPaginator {
			return ec2.NewDescribeFastLaunchImagesPaginator(r.ec2, &ec2.DescribeFastLaunchImagesInput{MaxResults: aws.Int32(fastPage)})
		}),
		listing("describe-fast-snapshot-restores.json", "FastSnapshotRestores", func(r *region) *ec2.DescribeFastSnapshotRestoresPaginator {
			return ec2.NewDescribeFastSnapshotRestoresPaginator(r.ec2, &ec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(fastPage)})
		}),
		listing("describe-export-image-tasks.json", "ExportImageTasks", func(r *region) *ec2.DescribeExportImageTasksPaginator {
			return ec2.NewDescribeExportImageTasksPaginator(r.ec2, &ec2.DescribeExportImageTasksInput{MaxResults: aws.Int32(dataPage)})
		}),
		listing("describe-store-image-tasks.json", "StoreImageTaskResults", func(r *region) *ec2.DescribeStoreImageTasksPaginator {
			return ec2.NewDescribeStoreImageTasksPaginator(r.ec2, &ec2.DescribeStoreImageTasksInput{MaxResults: aws.Int32(storePage)})
		}),
		listing("describe-replace-root-volume-tasks.json", "ReplaceRootVolumeTasks", func(r *region) *ec2.DescribeReplaceRootVolumeTasksPaginator {
			return ec2.NewDescribeReplaceRootVolumeTasksPaginator(r.ec2, &ec2.DescribeReplaceRootVolumeTasksInput{MaxResults: aws.Int32(replacementPage)})
		}),
		listing("describe-image-usage-reports.json", "ImageUsageReports", func(r *region) *ec2.DescribeImageUsageReportsPaginator {
			return ec2.NewDescribeImageUsageReportsPaginator(r.ec2, &ec2.DescribeImageUsageReportsInput{MaxResults: aws.Int32(longPage)})
		}),
		listing("describe-image-usage-report-entries.json", "ImageUsageReportEntries", func(r *region) *ec2.DescribeImageUsageReportEntriesPaginator {
			return ec2.NewDescribeImageUsageReportEntriesPaginator(r.ec2, &ec2.DescribeImageUsageReportEntriesInput{MaxResults: aws.Int32(longPage)})
		}),
		listing(parametersFile, "Parameters", func(r *region) *ssm.DescribeParametersPaginator {
			return ssm.NewDescribeParametersPaginator(r.ssm, &ssm.DescribeParametersInput{MaxResults: aws.Int32(parameterPage)})
		}),
		listing("list-images-in-recycle-bin.json", "Images", func(r *region) *ec2.ListImagesInRecycleBinPaginator {
			return ec2.NewListImagesInRecycleBinPaginator(r.ec2, &ec2.ListImagesInRecycleBinInput{MaxResults: aws.Int32(longPage)})
		}),
		listing("list-snapshots-in-recycle-bin.json", "Snapshots", func(r *region) *ec2.ListSnapshotsInRecycleBinPaginator {
			return ec2.NewListSnapshotsInRecycleBinPaginator(r.ec2, &ec2.ListSnapshotsInRecycleBinInput{MaxResults: aws.Int32(longPage)})
		}),
		listing(stacksFile, "Stacks", func(r *region) *cloudformation.DescribeStacksPaginator {
			return cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(r.aws), &cloudformation.DescribeStacksInput{})
		}),
		{file: "list-rules.json", read: rules},
		{file: "iam-list-account-aliases.json", read: aliases, ofAccount: true},
	}),
	slices.Concat(serviceItems, []part{
		{file: "describe-launch-permissions.json", read: launchPermissions, needs: []string{imagesFile}},
		{file: "describe-create-volume-permissions.json", read: volumePermissions, needs: []string{snapshotsFile}},
		{file: "describe-image-references.json", read: imageReferences, needs: []string{imagesFile}},
		{file: versionsFile, read: templateVersions, needs: []string{templatesFile}},
		{file: refreshesFile, read: instanceRefreshes, needs: []string{groupsFile}},
	}),
	{
		{file: valuesFile, read: parameterValues, needs: []string{parametersFile, versionsFile}},
	},
}

// aliasTimeout is how long the export waits for IAM, which some networks do not reach. The alias is
// only shown.
const aliasTimeout = 10 * time.Second

// aliases reads the alias of the account.
func aliases(ctx context.Context, r *region) (any, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, aliasTimeout)
	defer cancel()
	out, err := r.iam.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
	if _, isDenied := asDenial(err); err != nil && !isDenied {
		err = errNothingToAsk
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return encode(out), time.Time{}, nil
}

// listing is a part that consists of one paged listing.
func listing[P wire.Pages[Page, Options], Page, Options any](file, key string, pages func(*region) P) part {
	return part{file: file, read: func(ctx context.Context, r *region) (any, time.Time, error) {
		content, err := list(ctx, key, pages(r))
		return content, time.Time{}, err
	}}
}

// lowerListing is listing for the services whose members begin with a small letter.
func lowerListing[P wire.Pages[Page, Options], Page, Options any](file, key string, pages func(*region) P) part {
	return part{file: file, read: func(ctx context.Context, r *region) (any, time.Time, error) {
		content, err := listAs(ctx, encodeLower, key, pages(r))
		return content, time.Time{}, err
	}}
}

// tokens are the names that services have for the token of the next page.
var tokens = []string{"NextToken", "nextToken", "Marker"}

// list reads a listing to its end, and returns it as one answer, with the list under its key.
func list[Page, Options any](ctx context.Context, key string, pages wire.Pages[Page, Options]) (object, error) {
	return listAs(ctx, encode, key, pages)
}

func listAs[Page, Options any](ctx context.Context, encode func(any) any, key string, pages wire.Pages[Page, Options]) (object, error) {
	whole := object{key: []any{}}
	err := wire.EachPage(ctx, pages, func(page *Page) *string {
		answer, _ := encode(page).(object)
		token := ""
		for _, name := range tokens {
			next, _ := answer[name].(string)
			token = cmp.Or(token, next)
			delete(answer, name)
		}
		for name, value := range answer {
			if items, isList := value.([]any); isList {
				before, _ := whole[name].([]any)
				value = append(before, items...)
			}
			whole[name] = value
		}
		return &token
	})
	return whole, err
}

// lockedSnapshotsPages are the pages of the one listing for which the SDK has no paginator.
type lockedSnapshotsPages struct {
	client *ec2.Client
	begun  bool
	token  *string
}

// HasMorePages reports whether there is an unread page.
func (p *lockedSnapshotsPages) HasMorePages() bool { return !p.begun || aws.ToString(p.token) != "" }

// NextPage reads it.
func (p *lockedSnapshotsPages) NextPage(ctx context.Context, options ...func(*ec2.Options)) (*ec2.DescribeLockedSnapshotsOutput, error) {
	page, err := p.client.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{MaxResults: aws.Int32(longPage), NextToken: p.token}, options...)
	if err == nil {
		p.begun, p.token = true, page.NextToken
	}
	return page, err
}

// rules returns the rules of the Recycle Bin for images and snapshots completely: their listing
// lacks the tags, and whether they are in force. If only the listing is allowed, the copy has that,
// and denies GetRule.
func rules(ctx context.Context, r *region) (any, time.Time, error) {
	found := []any{}
	for _, kind := range []rbintypes.ResourceType{rbintypes.ResourceTypeEc2Image, rbintypes.ResourceTypeEbsSnapshot} {
		listed, err := list(ctx, "Rules", rbin.NewListRulesPaginator(r.recycleBin, &rbin.ListRulesInput{ResourceType: kind, MaxResults: aws.Int32(longPage)}))
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, item := range listed["Rules"].([]any) {
			rule := item.(object)
			id, _ := rule["Identifier"].(string)
			whole, err := r.recycleBin.GetRule(ctx, &rbin.GetRuleInput{Identifier: &id})
			denial, isDenied := asDenial(err)
			switch {
			case err == nil:
				found = append(found, encode(whole))
			case isDenied:
				r.deny("list-rules.json", denial)
				rule["ResourceType"] = string(kind)
				found = append(found, rule)
			case !isGone(err): // It was deleted since it was listed.
				return nil, time.Time{}, err
			}
		}
	}
	return object{"Rules": found}, time.Time{}, nil
}

// denial is an action that AWS refused because of a missing permission.
type denial struct {
	action string // As IAM names it, such as ec2:DescribeFleets.
	says   string // The action and AWS's text.
}

func (d denial) Error() string { return d.says }

// asDenial returns an error as a denial, if it is one.
func asDenial(err error) (denial, bool) {
	if denial, ok := errors.AsType[denial](err); ok {
		return denial, true
	}
	call, ok := errors.AsType[*smithy.OperationError](err)
	switch wire.Code(err) {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "InsufficientPrivilegesException":
	default:
		ok = false
	}
	if !ok {
		return denial{}, false
	}
	return denial{wire.Prefix(call.Service()) + ":" + call.Operation(), wire.ExplainLookup(err)}, true
}

// isGone reports whether AWS said that the resource of a call no longer exists.
func isGone(err error) bool {
	switch wire.Code(err) {
	case "InvalidLaunchTemplateId.NotFound", "ResourceNotFoundException":
		return true
	default:
		return wire.IsNoImage(err) || wire.IsNoSnapshot(err)
	}
}

// explain words an error. An error that is not from the SDK names its subject itself.
func explain(err error) string {
	if _, isCall := errors.AsType[*smithy.OperationError](err); isCall || errors.Is(err, context.Canceled) {
		return wire.ExplainLookup(err)
	}
	return err.Error()
}
