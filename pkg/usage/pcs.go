package usage

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pcs"
	"github.com/aws/aws-sdk-go-v2/service/pcs/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const pcsSource = "pcs"

// withoutPCS are the regions that do not have Parallel Computing Service (CloudFormation's resource
// specifications by region, 2026).
var withoutPCS = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-2", "il-central-1",
	"me-central-1", "me-south-1", "mx-central-1", "us-west-1",
}

// detailCalls of a service run at the same time: none of them publishes a rate.
const detailCalls = 4

// nodeGroups looks at the images of the compute node groups of Parallel Computing Service, those
// without nodes, too. The listings do not show the images.
func nodeGroups(ctx context.Context, s *search) error {
	client := pcs.NewFromConfig(wire.In(s.AWS, s.Region))
	var clusters []string
	pages := pcs.NewListClustersPaginator(client, &pcs.ListClustersInput{MaxResults: aws.Int32(servicePage)})
	err := wire.EachPage(ctx, pages, func(page *pcs.ListClustersOutput) *string {
		for _, cluster := range page.Clusters {
			clusters = append(clusters, aws.ToString(cluster.Id))
		}
		return page.NextToken
	})
	nodeGroupsOf := func(ctx context.Context, cluster string) ([]*types.ComputeNodeGroup, error) {
		return nodeGroupsOf(ctx, client, cluster)
	}
	return cmp.Or(err, ofEach(ctx, "cluster", clusters, nodeGroupsOf, func(groups []*types.ComputeNodeGroup) {
		for _, group := range groups {
			s.use(ami.Reference{Source: pcsSource, Type: "pcs:ComputeNodeGroup", ARN: aws.ToString(group.Arn)}, group.AmiId)
		}
	}))
}

// nodeGroupsOf returns the compute node groups of a cluster. What has gone since it was listed
// launches nothing more. After an error it returns the groups so far.
func nodeGroupsOf(ctx context.Context, client *pcs.Client, cluster string) (groups []*types.ComputeNodeGroup, err error) {
	var ids []string
	pages := pcs.NewListComputeNodeGroupsPaginator(client, &pcs.ListComputeNodeGroupsInput{ClusterIdentifier: &cluster, MaxResults: aws.Int32(servicePage)})
	err = wire.EachPage(ctx, pages, func(page *pcs.ListComputeNodeGroupsOutput) *string {
		for _, group := range page.ComputeNodeGroups {
			if group.Status != types.ComputeNodeGroupStatusDeleted {
				ids = append(ids, aws.ToString(group.Id))
			}
		}
		return page.NextToken
	})
	if isGone(err) {
		err = nil
	}
	for _, id := range ids {
		out, groupErr := client.GetComputeNodeGroup(ctx, &pcs.GetComputeNodeGroupInput{ClusterIdentifier: &cluster, ComputeNodeGroupIdentifier: aws.String(id)})
		switch {
		case groupErr == nil:
			groups = append(groups, out.ComputeNodeGroup)
		case !isGone(groupErr):
			err = cmp.Or(err, groupErr)
		}
	}
	return groups, err
}

// isGone reports whether a service says that there is no such resource.
func isGone(err error) bool {
	code := wire.Code(err)
	return code == "ResourceNotFoundException" || code == "ResourceNotFound"
}
