package emulator

import (
	"maps"
	"net/http"
	"slices"
)

// batchActions are the emulated actions of Batch.
var batchActions = map[string]action{
	"DescribeComputeEnvironments": {describeComputeEnvironments, []string{"computeEnvironments", "maxResults", "nextToken"}},
}

// batchRoutes say where its actions are found.
var batchRoutes = []route{{http.MethodPost, "/v1/describecomputeenvironments", "DescribeComputeEnvironments", http.StatusOK}}

// pcsActions are the emulated actions of Parallel Computing Service.
var pcsActions = map[string]action{
	"GetComputeNodeGroup":   {getComputeNodeGroup, []string{"clusterIdentifier", "computeNodeGroupIdentifier"}},
	"ListClusters":          {listPCSClusters, []string{"maxResults", "nextToken"}},
	"ListComputeNodeGroups": {listComputeNodeGroups, []string{"clusterIdentifier", "maxResults", "nextToken"}},
}

// rdsActions are the emulated actions of RDS.
var rdsActions = map[string]action{
	"DescribeDBEngineVersions": {describeDBEngineVersions, []string{"Filters", "IncludeAll", "Marker", "MaxRecords"}},
}

// emrActions are the emulated actions of EMR.
var emrActions = map[string]action{
	"DescribeCluster":      {describeEMRCluster, []string{"ClusterId"}},
	"ListBootstrapActions": {listBootstrapActions, []string{"ClusterId"}},
	"ListClusters":         {listEMRClusters, []string{"ClusterStates", "Marker"}},
	"ListInstanceFleets":   {listInstanceFleets, []string{"ClusterId", "Marker"}},
	"ListInstanceGroups":   {listInstanceGroups, []string{"ClusterId", "Marker"}},
}

// sageMakerActions are the emulated actions of SageMaker.
var sageMakerActions = map[string]action{
	"DescribeCluster": {describeHyperPodCluster, []string{"ClusterName"}},
	"ListClusters":    {listHyperPodClusters, []string{"MaxResults", "NextToken"}},
}

// servicePages is how most of these listings page (their API References).
var servicePages = paging{least: 1, most: 100, usual: 10}

// describeComputeEnvironments lists Batch's compute environments, all or some by their names.
func describeComputeEnvironments(c *call) (object, error) {
	environments := slices.Clone(c.region.items(environmentsFile))
	if names := c.list("computeEnvironments"); len(names) > 0 {
		environments = slices.DeleteFunc(environments, func(o object) bool {
			return !slices.Contains(names, text(o, "computeEnvironmentName")) && !slices.Contains(names, text(o, "computeEnvironmentArn"))
		})
	}
	environments, token, err := page(c, environments, servicePages)
	return listingWith("nextToken", "computeEnvironments", environments, token), err
}

// listPCSClusters lists the clusters of Parallel Computing Service.
func listPCSClusters(c *call) (object, error) {
	clusters, token, err := page(c, c.region.items(pcsClustersFile), servicePages)
	return listingWith("nextToken", "clusters", clusters, token), err
}

// nodeGroupsOf are the compute node groups of a cluster that is given by its id or its name.
func (c *call) nodeGroupsOf(cluster string) ([]object, error) {
	found := first(c.region.items(pcsClustersFile), "id", cluster)
	if found == nil {
		found = first(c.region.items(pcsClustersFile), "name", cluster)
	}
	if found == nil {
		return nil, refuse("ResourceNotFoundException", "The cluster %s does not exist", cluster)
	}
	var groups []object
	for _, answer := range c.region.items(nodeGroupsFile) {
		if group := child(answer, "computeNodeGroup"); text(group, "clusterId") == text(found, "id") {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// listComputeNodeGroups lists the compute node groups of a cluster, without their images.
func listComputeNodeGroups(c *call) (object, error) {
	groups, err := c.nodeGroupsOf(c.text("clusterIdentifier"))
	if err != nil {
		return nil, err
	}
	for i, group := range groups {
		groups[i] = object{}
		for _, key := range []string{"arn", "clusterId", "createdAt", "id", "modifiedAt", "name", "status"} {
			groups[i][key] = group[key]
		}
	}
	groups, token, err := page(c, groups, servicePages)
	return listingWith("nextToken", "computeNodeGroups", groups, token), err
}

// getComputeNodeGroup shows a compute node group.
func getComputeNodeGroup(c *call) (object, error) {
	groups, err := c.nodeGroupsOf(c.text("clusterIdentifier"))
	if err != nil {
		return nil, err
	}
	asked := c.text("computeNodeGroupIdentifier")
	for _, group := range groups {
		if text(group, "id") == asked || text(group, "name") == asked {
			return object{"computeNodeGroup": group}, nil
		}
	}
	return nil, refuse("ResourceNotFoundException", "The compute node group %s does not exist", asked)
}

// describeDBEngineVersions lists versions of RDS's engines, all or those of some engines.
func describeDBEngineVersions(c *call) (object, error) {
	versions := slices.Clone(c.region.items(engineVersionsFile))
	for _, filter := range members(c.Form, "Filters.Filter") {
		if filter.Get("Name") != "engine" {
			return nil, refuse("InvalidParameterValue", "Unrecognized filter name: %s", filter.Get("Name"))
		}
		engines := list(filter, "Values.Value")
		versions = slices.DeleteFunc(versions, func(o object) bool { return !slices.Contains(engines, text(o, "Engine")) })
	}
	versions, token, err := page(c, versions, paging{least: 20, most: 100, usual: 100})
	return listingWith("Marker", "DBEngineVersions", versions, token), err
}

// emrPages is how EMR pages: it cannot be asked for another length.
var emrPages = paging{usual: 50}

// listEMRClusters lists EMR's clusters, all or those in some states.
func listEMRClusters(c *call) (object, error) {
	clusters, states := slices.Clone(c.region.items(emrClustersFile)), c.list("ClusterStates")
	if len(states) > 0 {
		clusters = slices.DeleteFunc(clusters, func(o object) bool { return !slices.Contains(states, text(child(o, "Status"), "State")) })
	}
	clusters, token, err := page(c, clusters, emrPages)
	return listingWith("Marker", "Clusters", clusters, token), err
}

// emrCluster is a cluster of EMR as the CLI shows it.
func (c *call) emrCluster() (object, error) {
	id := c.text("ClusterId")
	for _, answer := range c.region.items(emrClusterFile) {
		if cluster := child(answer, "Cluster"); text(cluster, "Id") == id {
			return cluster, nil
		}
	}
	return nil, refuse("InvalidRequestException", "Cluster id '%s' is not valid.", id)
}

// describeEMRCluster shows a cluster of EMR.
func describeEMRCluster(c *call) (object, error) {
	cluster, err := c.emrCluster()
	if err != nil {
		return nil, err
	}
	cluster = maps.Clone(cluster)
	for _, added := range []string{"BootstrapActions", "InstanceFleets", "InstanceGroups"} {
		delete(cluster, added) // By the CLI.
	}
	return object{"Cluster": cluster}, nil
}

// listBootstrapActions lists the bootstrap actions of a cluster, which nobody here reads.
func listBootstrapActions(c *call) (object, error) {
	_, err := c.emrCluster()
	return object{"BootstrapActions": []object{}}, err
}

// listInstanceGroups lists the instance groups of a cluster.
func listInstanceGroups(c *call) (object, error) {
	return c.ofCluster("INSTANCE_GROUP", "InstanceGroups")
}

// listInstanceFleets lists the instance fleets of a cluster.
func listInstanceFleets(c *call) (object, error) {
	return c.ofCluster("INSTANCE_FLEET", "InstanceFleets")
}

func (c *call) ofCluster(kind, key string) (object, error) {
	cluster, err := c.emrCluster()
	if err != nil {
		return nil, err
	}
	if text(cluster, "InstanceCollectionType") != kind {
		return nil, refuse("InvalidRequestException", "Instance fleets and instance groups are mutually exclusive.")
	}
	items, token, err := page(c, objects(cluster, key), emrPages)
	return listingWith("Marker", key, items, token), err
}

// listHyperPodClusters lists the clusters of SageMaker HyperPod.
func listHyperPodClusters(c *call) (object, error) {
	clusters, token, err := page(c, c.region.items(hyperPodClustersFile), servicePages)
	return listing("ClusterSummaries", clusters, token), err
}

// describeHyperPodCluster shows the cluster of a name or an ARN.
func describeHyperPodCluster(c *call) (object, error) {
	name := c.text("ClusterName")
	for _, cluster := range c.region.items(hyperPodClusterFile) {
		if text(cluster, "ClusterName") == name || text(cluster, "ClusterArn") == name {
			return cluster, nil
		}
	}
	return nil, refuse("ResourceNotFound", "Cluster %s does not exist", name)
}
