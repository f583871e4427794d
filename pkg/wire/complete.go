package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// content names the required element of each answer: AWS sends it even if there is nothing to list.
// docs/answers.md says why, for each action. If AWS ever leaves it out, everything that depends on
// it is kept, and the digest says so.
//
// For some changes, the SDK does not return whether they were done (CreateTags, DeleteTags,
// DeleteSnapshot), or leaves the check to every caller. An answer that does not say so is refused.
var content = map[string]string{
	"DescribeImages":                  "<imagesSet",
	"DescribeSnapshots":               "<snapshotSet",
	"DescribeLockedSnapshots":         "<snapshotSet",
	"DescribeImageReferences":         "<imageReferenceSet",
	"DescribeImageAttribute":          "<launchPermission",
	"DescribeRegions":                 "<regionInfo",
	"DescribeInstances":               "<reservationSet",
	"DescribeLaunchTemplates":         "<launchTemplates",
	"DescribeLaunchTemplateVersions":  "<launchTemplateVersionSet",
	"DescribeFleets":                  "<fleetSet",
	"DescribeSpotFleetRequests":       "<spotFleetRequestConfigSet",
	"DescribeSpotInstanceRequests":    "<spotInstanceRequestSet",
	"DescribeFastLaunchImages":        "<fastLaunchImageSet",
	"DescribeFastSnapshotRestores":    "<fastSnapshotRestoreSet",
	"DescribeExportImageTasks":        "<exportImageTaskSet",
	"DescribeStoreImageTasks":         "<storeImageTaskResultSet",
	"DescribeReplaceRootVolumeTasks":  "<replaceRootVolumeTaskSet",
	"DescribeImageUsageReports":       "<imageUsageReportSet",
	"DescribeImageUsageReportEntries": "<imageUsageReportEntrySet",

	"DescribeSnapshotAttribute": "<createVolumePermission",
	"DescribeTags":              "<tagSet",
	"ListImagesInRecycleBin":    "<imageSet",
	"ListSnapshotsInRecycleBin": "<snapshotSet",

	"DescribeLaunchConfigurations": "<LaunchConfigurations",
	"DescribeAutoScalingGroups":    "<AutoScalingGroups",
	"DescribeInstanceRefreshes":    "<InstanceRefreshes",

	"DescribeParameters": "Parameters",
	"GetParameters":      "Parameters",

	"ListRules": "Rules",
	"GetRule":   "Identifier",

	// Of services whose actions may share their names.
	"batch:DescribeComputeEnvironments":              "computeEnvironments",
	"cloudformation:DescribeStacks":                  "<Stacks",
	"cloudformation:DescribeStackResources":          "<StackResources",
	"cloudformation:GetTemplate":                     "<TemplateBody",
	"cloudwatch:DescribeAlarms":                      "<MetricAlarms",
	"elasticbeanstalk:DescribeApplications":          "<Applications",
	"elasticbeanstalk:DescribeConfigurationSettings": "<ConfigurationSettings",
	"elasticbeanstalk:DescribeEnvironments":          "<Environments",
	"elasticbeanstalk:DescribePlatformVersion":       "<PlatformDescription",
	"elasticbeanstalk:ListPlatformVersions":          "<PlatformSummaryList",
	"elasticmapreduce:DescribeCluster":               "Cluster",
	"elasticmapreduce:ListClusters":                  "Clusters",
	"elasticmapreduce:ListInstanceFleets":            "InstanceFleets",
	"elasticmapreduce:ListInstanceGroups":            "InstanceGroups",
	"iam:GetRole":                                    "<Role",
	"iam:SimulatePrincipalPolicy":                    "<EvaluationResults",
	"imagebuilder:ListContainerRecipes":              "containerRecipeSummaryList",
	"imagebuilder:ListImageRecipes":                  "imageRecipeSummaryList",
	"organizations:DescribeOrganization":             "Organization",
	"organizations:ListAccounts":                     "Accounts",
	"organizations:ListAccountsForParent":            "Accounts",
	"organizations:ListOrganizationalUnitsForParent": "OrganizationalUnits",
	"organizations:ListRoots":                        "Roots",
	"pcs:GetComputeNodeGroup":                        "computeNodeGroup",
	"pcs:ListClusters":                               "clusters",
	"pcs:ListComputeNodeGroups":                      "computeNodeGroups",
	"rds:DescribeDBEngineVersions":                   "<DBEngineVersions",
	"sagemaker:DescribeCluster":                      "ClusterArn",
	"sagemaker:ListClusters":                         "ClusterSummaries",
	"scheduler:GetSchedule":                          "Arn",
	"sns:ListSubscriptionsByTopic":                   "<Subscriptions",

	"CreateImageUsageReport":  "<reportId",
	"CreateTags":              done,
	"DeleteImageUsageReport":  done,
	"DeleteSnapshot":          done,
	"DeleteTags":              done,
	"DisableImage":            done,
	"DisableImageDeprecation": done,
	"EnableImage":             done,
	"EnableImageDeprecation":  done,

	"RestoreImageFromRecycleBin":    done,
	"RestoreSnapshotFromRecycleBin": "<snapshotId",
}

// contentOf is the required element of an answer.
func contentOf(service, action string) string {
	return cmp.Or(content[Prefix(service)+":"+action], content[action])
}

// complete checks an answer of any service, by the form of its required element. One of an action
// that is not known is refused.
func complete(service, action string, body []byte) error {
	switch element := contentOf(service, action); {
	case element == "":
		return fmt.Errorf("nobody knows what a whole answer to %s:%s is", Prefix(service), action)
	case strings.HasPrefix(element, "<"):
		return completeXML(service, action, body)
	default:
		return completeJSON(service, action, body)
	}
}

// openings begin the required elements that are no lists, but a text or an object.
var openings = map[string]string{"Arn": `"`, "Identifier": `"`, "ClusterArn": `"`, "Cluster": "{", "Organization": "{", "computeNodeGroup": "{"}

// done is how EC2 says that something was done.
const done = "<return>true</return>"

// completeXML checks an answer in XML: one document, from its first tag to its
// last, with its required element.
func completeXML(service, action string, body []byte) error {
	content := contentOf(service, action)
	beginning := string(body[:min(len(body), 512)])
	opened := strings.Contains(beginning, "<"+action+"Response")
	closed := bytes.HasSuffix(bytes.TrimSpace(body), []byte("</"+action+"Response>"))
	switch {
	case !opened || !closed:
		return partialAnswerError{action, beginning[:min(len(beginning), 40)]}
	case !bytes.Contains(body, []byte(content)):
		return lackingAnswerError{service, action, strings.TrimSuffix(content, ">") + ">"}
	default:
		return nil
	}
}

// completeJSON checks an answer in JSON: one object with its required element. The error quotes
// text that is not JSON at all, but never what could be the value of a parameter.
func completeJSON(service, action string, body []byte) error {
	var answer map[string]json.RawMessage
	err := json.Unmarshal(body, &answer)
	opening := cmp.Or(openings[contentOf(service, action)], "[")
	content := contentOf(service, action)
	switch list, ok := answer[content]; {
	case err == nil && bytes.HasPrefix(list, []byte(opening)):
		return nil
	case err == nil && answer != nil && !ok:
		return lackingAnswerError{service, action, strconv.Quote(content)}
	}
	beginning := string(body[:min(len(body), 40)])
	if at := strings.IndexAny(beginning, "{["); at >= 0 {
		beginning = beginning[:at+1]
	}
	return partialAnswerError{action, beginning}
}
