package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// content names the element of an answer without which it says nothing: that AWS sends it even where it has nothing to list. What that
// rests on is in docs/answers.md, for each action. Should one ever be left out, then what depends on it is kept, and the digest says so.
//
// Of what changes something, the SDK does not hand on whether it was done (CreateTags, DeleteTags, DeleteSnapshot), or
// hands it on for every caller to look at. An answer that does not say so is none.
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

// wholeXML checks an answer of EC2 or Auto Scaling: one document, from its first tag to its last, with what it is about.
func wholeXML(service, action string, body []byte) error {
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

// wholeJSON checks an answer of Systems Manager or the Recycle Bin: one JSON object that holds what it is about. The error quotes what is
// not JSON at all, and nothing that could be the value of a parameter.
func wholeJSON(service, action string, body []byte) error {
	var answer map[string]json.RawMessage
	err := json.Unmarshal(body, &answer)
	opening := "["
	if action == "GetRule" {
		opening = `"` // Of a rule the id is what has to be there.
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
