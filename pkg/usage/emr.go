package usage

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	"github.com/aws/aws-sdk-go-v2/service/emr/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const emrSource = "emr"

// liveClusters are the states of a cluster of EMR that may still launch instances.
var liveClusters = []types.ClusterState{
	types.ClusterStateStarting, types.ClusterStateBootstrapping, types.ClusterStateRunning, types.ClusterStateWaiting, types.ClusterStateTerminating,
}

// emrClusters looks at the custom images of EMR's live clusters, and of their instance groups and
// fleets: one of these may stand at no instance.
func emrClusters(ctx context.Context, s *search) error {
	client := emr.NewFromConfig(wire.In(s.AWS, s.Region))
	var clusters []string
	pages := emr.NewListClustersPaginator(client, &emr.ListClustersInput{ClusterStates: liveClusters})
	err := wire.EachPage(ctx, pages, func(page *emr.ListClustersOutput) *string {
		for _, cluster := range page.Clusters {
			clusters = append(clusters, aws.ToString(cluster.Id))
		}
		return page.Marker
	})
	imagesOf := func(ctx context.Context, cluster string) (map[string][]*string, error) {
		arn, images, err := imagesOfCluster(ctx, client, cluster)
		return map[string][]*string{cmp.Or(arn, s.arn("elasticmapreduce", "cluster/"+cluster)): images}, err
	}
	return cmp.Or(err, ofEach(ctx, "cluster", clusters, imagesOf, func(found map[string][]*string) {
		for arn, images := range found {
			for _, image := range images {
				s.use(ami.Reference{Source: emrSource, Type: "elasticmapreduce:Cluster", ARN: arn}, image)
			}
		}
	}))
}

// imagesOfCluster returns the custom images of a cluster and its ARN. After an error it returns the
// images so far.
func imagesOfCluster(ctx context.Context, client *emr.Client, id string) (arn string, images []*string, err error) {
	out, err := client.DescribeCluster(ctx, &emr.DescribeClusterInput{ClusterId: &id})
	if err != nil {
		return "", nil, err
	}
	arn, images = aws.ToString(out.Cluster.ClusterArn), []*string{out.Cluster.CustomAmiId}
	if out.Cluster.InstanceCollectionType == types.InstanceCollectionTypeInstanceFleet {
		fleets := emr.NewListInstanceFleetsPaginator(client, &emr.ListInstanceFleetsInput{ClusterId: &id})
		err = wire.EachPage(ctx, fleets, func(page *emr.ListInstanceFleetsOutput) *string {
			for _, fleet := range page.InstanceFleets {
				for _, specification := range fleet.InstanceTypeSpecifications {
					images = append(images, specification.CustomAmiId)
				}
			}
			return page.Marker
		})
		return arn, images, err
	}
	groups := emr.NewListInstanceGroupsPaginator(client, &emr.ListInstanceGroupsInput{ClusterId: &id})
	err = wire.EachPage(ctx, groups, func(page *emr.ListInstanceGroupsOutput) *string {
		for i := range page.InstanceGroups {
			images = append(images, page.InstanceGroups[i].CustomAmiId)
		}
		return page.Marker
	})
	return arn, images, err
}
