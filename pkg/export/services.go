package export

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	stacktypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk"
	beanstalktypes "github.com/aws/aws-sdk-go-v2/service/elasticbeanstalk/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	buildertypes "github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/aws/aws-sdk-go-v2/service/pcs"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
)

// The files of services that have parts of their own for each cluster.
const (
	pcsFile      = "pcs-list-clusters.json"
	emrFile      = "emr-list-clusters.json"
	hyperPodFile = "sagemaker-list-clusters.json"
)

// The longest pages of the listings of further services, and of Image Builder's recipes.
const (
	servicePage = 100
	recipePage  = 25
)

// serviceListings are the listings of further services that may launch instances, as a run makes
// them.
var serviceListings = []part{
	lowerListing("batch-describe-compute-environments.json", "computeEnvironments", func(r *region) *batch.DescribeComputeEnvironmentsPaginator {
		return batch.NewDescribeComputeEnvironmentsPaginator(batch.NewFromConfig(r.aws), &batch.DescribeComputeEnvironmentsInput{MaxResults: aws.Int32(servicePage)})
	}),
	lowerListing(pcsFile, "clusters", func(r *region) *pcs.ListClustersPaginator {
		return pcs.NewListClustersPaginator(pcs.NewFromConfig(r.aws), &pcs.ListClustersInput{MaxResults: aws.Int32(servicePage)})
	}),
	listing("rds-describe-db-engine-versions.json", "DBEngineVersions", func(r *region) *rds.DescribeDBEngineVersionsPaginator {
		return rds.NewDescribeDBEngineVersionsPaginator(rds.NewFromConfig(r.aws), &rds.DescribeDBEngineVersionsInput{
			Filters: []rdstypes.Filter{{Name: aws.String("engine"), Values: []string{
				"custom-oracle-ee", "custom-oracle-ee-cdb", "custom-oracle-se2", "custom-oracle-se2-cdb",
				"custom-sqlserver-ee", "custom-sqlserver-se", "custom-sqlserver-web", "custom-sqlserver-dev",
			}}},
			IncludeAll: aws.Bool(true), MaxRecords: aws.Int32(servicePage),
		})
	}),
	listing(emrFile, "Clusters", func(r *region) *emr.ListClustersPaginator {
		return emr.NewListClustersPaginator(emr.NewFromConfig(r.aws), &emr.ListClustersInput{ClusterStates: []emrtypes.ClusterState{
			emrtypes.ClusterStateStarting, emrtypes.ClusterStateBootstrapping, emrtypes.ClusterStateRunning, emrtypes.ClusterStateWaiting,
			emrtypes.ClusterStateTerminating,
		}})
	}),
	lowerListing("imagebuilder-list-image-recipes.json", "imageRecipeSummaryList", func(r *region) *imagebuilder.ListImageRecipesPaginator {
		return imagebuilder.NewListImageRecipesPaginator(imagebuilder.NewFromConfig(r.aws), &imagebuilder.ListImageRecipesInput{
			Owner: buildertypes.OwnershipSelf, MaxResults: aws.Int32(recipePage),
		})
	}),
	lowerListing("imagebuilder-list-container-recipes.json", "containerRecipeSummaryList", func(r *region) *imagebuilder.ListContainerRecipesPaginator {
		return imagebuilder.NewListContainerRecipesPaginator(imagebuilder.NewFromConfig(r.aws), &imagebuilder.ListContainerRecipesInput{
			Owner: buildertypes.OwnershipSelf, MaxResults: aws.Int32(recipePage),
		})
	}),
	{file: environmentsFile, read: beanstalkEnvironments},
	{file: applicationsFile, read: beanstalkApplications},
	listing(platformsFile, "PlatformSummaryList", func(r *region) *elasticbeanstalk.ListPlatformVersionsPaginator {
		return elasticbeanstalk.NewListPlatformVersionsPaginator(elasticbeanstalk.NewFromConfig(r.aws), &elasticbeanstalk.ListPlatformVersionsInput{
			Filters:    []beanstalktypes.PlatformFilter{{Type: aws.String("PlatformOwner"), Operator: aws.String("="), Values: []string{"self"}}},
			MaxRecords: aws.Int32(servicePage),
		})
	}),
	listing(hyperPodFile, "ClusterSummaries", func(r *region) *sagemaker.ListClustersPaginator {
		return sagemaker.NewListClustersPaginator(sagemaker.NewFromConfig(r.aws), &sagemaker.ListClustersInput{MaxResults: aws.Int32(servicePage)})
	}),
}

// serviceItems are the parts that take calls for each cluster.
var serviceItems = []part{
	{file: templatesOfStacksFile, needs: []string{stacksFile}, read: templatesOfStacks},
	ofClusters("pcs-get-compute-node-group.json", pcsFile, "clusters", "id", nodeGroups),
	ofClusters("emr-describe-cluster.json", emrFile, "Clusters", "Id", emrCluster),
	{file: settingsFile, needs: []string{environmentsFile, applicationsFile}, read: beanstalkSettings},
	ofClusters("elasticbeanstalk-describe-platform-version.json", platformsFile, "PlatformSummaryList", "PlatformArn", beanstalkPlatform),
	ofClusters("sagemaker-describe-cluster.json", hyperPodFile, "ClusterSummaries", "ClusterName", hyperPodCluster),
}

// ofClusters is a part with the answers about the clusters in another file, which are several for
// each.
func ofClusters(file, from, list, key string, ask func(context.Context, *region, string) ([]any, error)) part {
	return part{file: file, needs: []string{from}, read: func(ctx context.Context, r *region) (any, time.Time, error) {
		ids, err := r.ids(from, list, key, all)
		if err != nil {
			return nil, time.Time{}, err
		}
		return r.answersAbout(ctx, file, ids, ask)
	}}
}

// answersAbout are the answers about some resources, which are several for each.
func (r *region) answersAbout(
	ctx context.Context, file string, ids []string, ask func(context.Context, *region, string) ([]any, error),
) (any, time.Time, error) {
	found, err := r.askEach(ctx, file, ids, func(ctx context.Context, id string) (any, error) { return ask(ctx, r, id) })
	if err == nil {
		err = found.denial()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	r.lackItems(file, found.refusals())
	items, err := joined(found, ids)
	return items, found.oldest(), err
}

const templatesOfStacksFile = "cloudformation-get-template.json"

// templatesOfStacks reads the templates of the stacks that have one, if a run reads them.
func templatesOfStacks(ctx context.Context, r *region) (any, time.Time, error) {
	if !r.stackTemplates {
		return []any{}, time.Time{}, nil
	}
	names, err := r.ids(stacksFile, "Stacks", "StackName", func(stack object) bool {
		return stack["StackStatus"] != string(stacktypes.StackStatusReviewInProgress)
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return r.answersAbout(ctx, templatesOfStacksFile, names, templateOfStack)
}

// templateOfStack reads the template of a stack. The CLI prints one in JSON as JSON.
func templateOfStack(ctx context.Context, r *region, stack string) ([]any, error) {
	out, err := cloudformation.NewFromConfig(r.aws).GetTemplate(ctx, &cloudformation.GetTemplateInput{
		StackName: &stack, TemplateStage: stacktypes.TemplateStageProcessed,
	})
	if err != nil {
		return nil, err
	}
	answer := encode(out).(object)
	answer["StackName"] = stack
	var content object
	if json.Unmarshal([]byte(aws.ToString(out.TemplateBody)), &content) == nil {
		answer["TemplateBody"] = content
	}
	return []any{answer}, nil
}

// nodeGroups reads the compute node groups of a cluster of Parallel Computing Service.
func nodeGroups(ctx context.Context, r *region, cluster string) ([]any, error) {
	client := pcs.NewFromConfig(r.aws)
	listed, err := listAs(ctx, encodeLower, "computeNodeGroups", pcs.NewListComputeNodeGroupsPaginator(client, &pcs.ListComputeNodeGroupsInput{
		ClusterIdentifier: &cluster, MaxResults: aws.Int32(servicePage),
	}))
	if err != nil {
		return nil, err
	}
	var found []any
	for _, item := range listed["computeNodeGroups"].([]any) {
		id, _ := item.(object)["id"].(string)
		out, err := client.GetComputeNodeGroup(ctx, &pcs.GetComputeNodeGroupInput{ClusterIdentifier: &cluster, ComputeNodeGroupIdentifier: &id})
		switch {
		case err == nil:
			found = append(found, encodeLower(out))
		case !isGone(err): // It was deleted since it was listed.
			return nil, err
		}
	}
	return found, nil
}

// emrCluster reads a cluster of EMR with its instance groups or fleets, as the CLI shows it.
func emrCluster(ctx context.Context, r *region, id string) ([]any, error) {
	client := emr.NewFromConfig(r.aws)
	out, err := client.DescribeCluster(ctx, &emr.DescribeClusterInput{ClusterId: &id})
	if err != nil {
		return nil, err
	}
	var parts object
	if out.Cluster.InstanceCollectionType == emrtypes.InstanceCollectionTypeInstanceFleet {
		parts, err = list(ctx, "InstanceFleets", emr.NewListInstanceFleetsPaginator(client, &emr.ListInstanceFleetsInput{ClusterId: &id}))
	} else {
		parts, err = list(ctx, "InstanceGroups", emr.NewListInstanceGroupsPaginator(client, &emr.ListInstanceGroupsInput{ClusterId: &id}))
	}
	answer := encode(out).(object)
	maps.Copy(answer["Cluster"].(object), parts)
	return []any{answer}, err
}

// hyperPodCluster reads a cluster of SageMaker HyperPod.
func hyperPodCluster(ctx context.Context, r *region, name string) ([]any, error) {
	out, err := sagemaker.NewFromConfig(r.aws).DescribeCluster(ctx, &sagemaker.DescribeClusterInput{ClusterName: &name})
	if err != nil {
		return nil, err
	}
	return []any{encode(out)}, nil
}
