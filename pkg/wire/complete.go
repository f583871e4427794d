package wire

import (
	"bytes"
	"encoding/json"
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
	"DescribeImageUsageReports":       "<imageUsageReportSet",
	"DescribeImageUsageReportEntries": "<imageUsageReportEntrySet",

	"DescribeSnapshotAttribute": "<createVolumePermission",
	"DescribeTags":              "<tagSet",
	"ListImagesInRecycleBin":    "<imageSet",
	"ListSnapshotsInRecycleBin": "<snapshotSet",

	"DescribeLaunchConfigurations": "<LaunchConfigurations",
	"DescribeAutoScalingGroups":    "<AutoScalingGroups",

	"DescribeParameters": "Parameters",
	"GetParameters":      "Parameters",

	"ListRules": "Rules",
	"GetRule":   "Identifier",

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

// done is how EC2 says that something was done.
const done = "<return>true</return>"

// completeXML checks an answer of EC2 or Auto Scaling: one document, from its first tag to its
// last, with its required element.
func completeXML(service, action string, body []byte) error {
	beginning := string(body[:min(len(body), 512)])
	opened := strings.Contains(beginning, "<"+action+"Response")
	closed := bytes.HasSuffix(bytes.TrimSpace(body), []byte("</"+action+"Response>"))
	switch {
	case !opened || !closed:
		return partialAnswerError{action, beginning[:min(len(beginning), 40)]}
	case !bytes.Contains(body, []byte(content[action])):
		return lackingAnswerError{service, action, strings.TrimSuffix(content[action], ">") + ">"}
	default:
		return nil
	}
}

// completeJSON checks an answer of Systems Manager or the Recycle Bin: one JSON object with its
// required element. The error quotes text that is not JSON at all, but never what could be the
// value of a parameter.
func completeJSON(service, action string, body []byte) error {
	var answer map[string]json.RawMessage
	err := json.Unmarshal(body, &answer)
	opening := "["
	if action == "GetRule" {
		opening = `"` // For a rule, the id is required.
	}
	content := content[action]
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
