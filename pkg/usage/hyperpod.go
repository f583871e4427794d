package usage

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const hyperPodSource = "hyperpod"

// hyperPodClusters looks at the images of the instance groups of SageMaker HyperPod: those that
// they run, and those that they are to run. An image of AWS's is called default.
func hyperPodClusters(ctx context.Context, s *search) error {
	client := sagemaker.NewFromConfig(wire.In(s.AWS, s.Region))
	var clusters []string
	pages := sagemaker.NewListClustersPaginator(client, &sagemaker.ListClustersInput{MaxResults: aws.Int32(servicePage)})
	err := wire.EachPage(ctx, pages, func(page *sagemaker.ListClustersOutput) *string {
		for i := range page.ClusterSummaries {
			clusters = append(clusters, aws.ToString(page.ClusterSummaries[i].ClusterName))
		}
		return page.NextToken
	})
	describe := func(ctx context.Context, name string) (*sagemaker.DescribeClusterOutput, error) {
		out, err := client.DescribeCluster(ctx, &sagemaker.DescribeClusterInput{ClusterName: &name})
		if isGone(err) { // It was deleted since it was listed.
			return nil, nil
		}
		return out, err
	}
	return cmp.Or(err, ofEach(ctx, "cluster", clusters, describe, func(cluster *sagemaker.DescribeClusterOutput) {
		if cluster == nil {
			return
		}
		by := ami.Reference{Source: hyperPodSource, Type: "sagemaker:Cluster", ARN: aws.ToString(cluster.ClusterArn)}
		for i := range cluster.InstanceGroups {
			s.use(by, cluster.InstanceGroups[i].CurrentImageId)
			s.use(by, cluster.InstanceGroups[i].DesiredImageId)
		}
	}))
}
