package wire

import (
	"bytes"
	"encoding/json"
	"strings"
)

// content names the element of an answer without which it says nothing. EC2 sends an empty list as an empty element: its
// command line prints "Images": [] where there are none, and so do those of Auto Scaling and Systems Manager. Should one
// ever be left out, then what depends on it is kept.
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

// wholeXML checks an answer of EC2 or Auto Scaling: one document, from its first tag to its last.
func wholeXML(action string, body []byte) error {
	beginning := string(body[:min(len(body), 512)])
	opened := strings.Contains(beginning, "<"+action+"Response")
	closed := bytes.HasSuffix(bytes.TrimSpace(body), []byte("</"+action+"Response>"))
	if !opened || !closed || !bytes.Contains(body, []byte(content[action])) {
		return partialAnswerError{action, beginning[:min(len(beginning), 40)]}
	}
	return nil
}

// wholeJSON checks an answer of Systems Manager or the Recycle Bin: one JSON object that holds what it is about. The error quotes what is
// not JSON at all, and nothing that could be the value of a parameter.
func wholeJSON(action string, body []byte) error {
	var answer map[string]json.RawMessage
	err := json.Unmarshal(body, &answer)
	opening := "["
	if action == "GetRule" {
		opening = `"` // Of a rule the id is what has to be there.
	}
	if bytes.HasPrefix(answer[content[action]], []byte(opening)) && err == nil {
		return nil
	}
	beginning := string(body[:min(len(body), 40)])
	if at := strings.IndexAny(beginning, "{["); at >= 0 {
		beginning = beginning[:at+1]
	}
	return partialAnswerError{action, beginning}
}
