package usage

import (
	"context"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Source is a source of evidence of use: a row of the table in docs/evidence.md.
type Source struct {
	Name        string
	Sees        string   // What it finds, in the words of docs/evidence.md.
	Permissions []string // The actions that it needs, as IAM names them.

	// list adds what the resources of one kind name to the findings. After an error the resources
	// so far still count. It is nil for the source that asks image by image.
	list       func(context.Context, *search) error
	ofOriginal bool // It can name an image that is known only by its id.
	ofSnapshot bool // It can name a snapshot.
	isOptional bool // It is off unless it is named.

	// lacks are the regions without the service. If the name of its host does not exist, a region
	// is without the service only if it is one of these: a resolver may know less than AWS.
	lacks []string
}

// ask makes the listing of a source.
func (s Source) ask(ctx context.Context, found *search) error {
	err := s.list(ctx, found)
	if wire.IsNoHost(err) && slices.Contains(s.lacks, found.Region) {
		return nil
	}
	return err
}

// sources are all sources of evidence of use.
var sources = []Source{
	{
		Name:        referencesSource,
		Sees:        "what EC2 knows: instances, launch templates, `aws:ec2:image` parameters, Image Builder recipes",
		Permissions: []string{"ec2:DescribeImageReferences"},
	},
	{
		Name:        "instances",
		Sees:        "all states (terminated: an hour), managed ones too",
		Permissions: []string{"ec2:DescribeInstances"},
		list:        instances, ofOriginal: true,
	},
	{
		Name: templatesSource,
		Sees: "versions that count (`LAUNCH_TEMPLATE_VERSIONS`): image id or `resolve:ssm:`, mapped snapshots",
		Permissions: []string{
			"ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions", "ssm:GetParameters",
			// Only if a number of versions counts.
			"ec2:DescribeFleets", "ec2:DescribeSpotFleetRequests", "autoscaling:DescribeAutoScalingGroups",
		},
		list: launchTemplates, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        "launch-configurations",
		Sees:        "images, mapped snapshots",
		Permissions: []string{"autoscaling:DescribeLaunchConfigurations"},
		list:        launchConfigurations, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        "auto-scaling-groups",
		Sees:        "overrides of mixed instances policies, images of instances",
		Permissions: []string{"autoscaling:DescribeAutoScalingGroups"},
		list:        autoScalingGroups, ofOriginal: true,
	},
	{
		Name:        refreshesSource,
		Sees:        "overrides that unfinished instance refreshes bring",
		Permissions: []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes"},
		list:        instanceRefreshes, ofOriginal: true,
	},
	{
		Name:        "spot-fleets",
		Sees:        "those not cancelled or failed",
		Permissions: []string{"ec2:DescribeSpotFleetRequests"},
		list:        spotFleets, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        "spot-requests",
		Sees:        "those not closed, cancelled or failed",
		Permissions: []string{"ec2:DescribeSpotInstanceRequests"},
		list:        spotRequests, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        ami.TextSource,
		Sees:        "ids anywhere in `String`, `StringList`, never `SecureString`; values aren't kept",
		Permissions: []string{"ssm:DescribeParameters", "ssm:GetParameters"},
		list:        parameterTexts, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        S3TextSource,
		Sees:        "ids in the [objects](#text-in-s3) of `TEXT_OBJECTS`, once per run; values aren't kept",
		Permissions: []string{"s3:ListBucket", "s3:GetObject", "kms:Decrypt"},
		list:        objectTexts, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        "fast-launch",
		Sees:        "Windows images, any state",
		Permissions: []string{"ec2:DescribeFastLaunchImages"},
		list:        fastLaunch, ofOriginal: true,
	},
	{
		Name:        "fast-snapshot-restore",
		Sees:        "images with such snapshots",
		Permissions: []string{"ec2:DescribeFastSnapshotRestores"},
		list:        fastSnapshotRestores, ofSnapshot: true,
	},
	{
		Name:        tasksSource,
		Sees:        "unfinished exports, storage in S3, replacements of root volumes",
		Permissions: []string{"ec2:DescribeExportImageTasks", "ec2:DescribeStoreImageTasks", "ec2:DescribeReplaceRootVolumeTasks"},
		list:        imageTasks, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        stacksSource,
		Sees:        "ids anywhere in parameters, resolved values and outputs of live stacks; in templates with `CLOUDFORMATION_TEMPLATES=true`",
		Permissions: []string{"cloudformation:DescribeStacks", "cloudformation:ListStacks", "cloudformation:GetTemplate"},
		list:        stacks, ofOriginal: true, ofSnapshot: true,
	},
	{
		Name:        batchSource,
		Sees:        "compute environments, disabled and invalid ones, too",
		Permissions: []string{"batch:DescribeComputeEnvironments"},
		list:        computeEnvironments, ofOriginal: true,
	},
	{
		Name:        pcsSource,
		Sees:        "compute node groups of Parallel Computing Service",
		Permissions: []string{"pcs:ListClusters", "pcs:ListComputeNodeGroups", "pcs:GetComputeNodeGroup"},
		list:        nodeGroups, ofOriginal: true, lacks: withoutPCS,
	},
	{
		Name:        rdsSource,
		Sees:        "custom engine versions of RDS Custom, inactive ones, too",
		Permissions: []string{"rds:DescribeDBEngineVersions"},
		list:        engineVersions, ofOriginal: true,
	},
	{
		Name: emrSource,
		Sees: "live clusters of EMR, their instance groups and fleets",
		Permissions: []string{
			"elasticmapreduce:ListClusters", "elasticmapreduce:DescribeCluster", "elasticmapreduce:ListInstanceGroups",
			"elasticmapreduce:ListInstanceFleets",
		},
		list: emrClusters, ofOriginal: true,
	},
	{
		Name:        hyperPodSource,
		Sees:        "instance groups of SageMaker HyperPod",
		Permissions: []string{"sagemaker:ListClusters", "sagemaker:DescribeCluster"},
		list:        hyperPodClusters, ofOriginal: true,
	},
	{
		Name:        ImageBuilderSource,
		Sees:        "with `IMAGE_BUILDER_IMAGES=judge`, recipes: id, `ssm:`, Image Builder ARN (`x` too) by `Ec2ImageBuilderArn`",
		Permissions: []string{"imagebuilder:ListImageRecipes", "imagebuilder:ListContainerRecipes"},
		list:        recipes,
	},
	{
		Name: beanstalkSource,
		Sees: "only if named: environments, saved configurations, custom platforms of Elastic Beanstalk",
		Permissions: []string{
			"elasticbeanstalk:DescribeEnvironments", "elasticbeanstalk:DescribeApplications", "elasticbeanstalk:DescribeConfigurationSettings",
			"elasticbeanstalk:ListPlatformVersions", "elasticbeanstalk:DescribePlatformVersion",
		},
		list: beanstalk, ofOriginal: true, isOptional: true,
	},
}

// Table returns all sources of evidence of use.
func Table() []Source { return slices.Clone(sources) }

// Sources returns the names of all sources of evidence of use.
func Sources() []string { return namesOf(sources) }

// NamingSnapshots returns the names of the sources that may name a snapshot.
func NamingSnapshots() []string {
	return namesOf(slices.DeleteFunc(Table(), func(source Source) bool { return !source.ofSnapshot }))
}

// DefaultSources returns the names of the sources that are on unless a setting says otherwise.
func DefaultSources() []string {
	return namesOf(slices.DeleteFunc(Table(), func(source Source) bool { return source.isOptional }))
}

func namesOf(sources []Source) []string {
	names := make([]string, len(sources))
	for i := range sources {
		names[i] = sources[i].Name
	}
	return names
}
