package emulator

import (
	"slices"
	"strings"
)

// ec2Actions are the emulated actions of EC2.
var ec2Actions = map[string]action{
	"CreateImageUsageReport": {createImageUsageReport, []string{
		"AccountId", "ClientToken", "ImageId", "ResourceType", "TagSpecification",
	}},
	"CreateTags":                   {createTags, []string{"ResourceId", "Tag"}},
	"DeleteImageUsageReport":       {deleteImageUsageReport, []string{"ReportId"}},
	"DeleteSnapshot":               {deleteSnapshot, []string{"SnapshotId"}},
	"DeleteTags":                   {deleteTags, []string{"ResourceId", "Tag"}},
	"DeregisterImage":              {deregisterImage, []string{"DeleteAssociatedSnapshots", "ImageId"}},
	"DescribeExportImageTasks":     {describeExportImageTasks, []string{"Filter", "ExportImageTaskId", "MaxResults", "NextToken"}},
	"DescribeFastLaunchImages":     {describeFastLaunchImages, []string{"Filter", "ImageId", "MaxResults", "NextToken"}},
	"DescribeFastSnapshotRestores": {describeFastSnapshotRestores, []string{"Filter", "MaxResults", "NextToken"}},
	"DescribeFleets":               {describeFleets, []string{"Filter", "FleetId", "MaxResults", "NextToken"}},
	"DescribeImageAttribute":       {describeImageAttribute, []string{"Attribute", "ImageId"}},
	"DescribeImageReferences": {describeImageReferences, []string{
		"ImageId", "IncludeAllResourceTypes", "MaxResults", "NextToken", "ResourceType",
	}},
	"DescribeImageUsageReportEntries": {describeImageUsageReportEntries, []string{
		"Filter", "ImageId", "MaxResults", "NextToken", "ReportId",
	}},
	"DescribeImageUsageReports": {describeImageUsageReports, []string{"Filter", "ImageId", "MaxResults", "NextToken", "ReportId"}},
	"DescribeImages": {describeImages, []string{
		"Filter", "ImageId", "IncludeDeprecated", "IncludeDisabled", "MaxResults", "NextToken", "Owner",
	}},
	"DescribeInstances": {describeInstances, []string{"Filter", "IncludeManagedResources", "InstanceId", "MaxResults", "NextToken"}},
	"DescribeLaunchTemplateVersions": {describeLaunchTemplateVersions, []string{
		"Filter", "IncludeManagedResources", "LaunchTemplateId", "LaunchTemplateName", "LaunchTemplateVersion",
		"MaxResults", "MaxVersion", "MinVersion", "NextToken", "ResolveAlias",
	}},
	"DescribeLaunchTemplates": {describeLaunchTemplates, []string{
		"Filter", "IncludeManagedResources", "LaunchTemplateId", "LaunchTemplateName", "MaxResults", "NextToken",
	}},
	"DescribeLockedSnapshots": {describeLockedSnapshots, []string{"Filter", "MaxResults", "NextToken", "SnapshotId"}},
	"DescribeRegions":         {describeRegions, []string{"AllRegions", "Filter", "RegionName"}},
	"DescribeReplaceRootVolumeTasks": {describeReplaceRootVolumeTasks, []string{
		"Filter", "MaxResults", "NextToken", "ReplaceRootVolumeTaskId",
	}},
	"DescribeSnapshotAttribute": {describeSnapshotAttribute, []string{"Attribute", "SnapshotId"}},
	"DescribeSnapshots":         {describeSnapshots, []string{"Filter", "MaxResults", "NextToken", "Owner", "SnapshotId"}},
	"DescribeSpotFleetRequests": {describeSpotFleetRequests, []string{"MaxResults", "NextToken", "SpotFleetRequestId"}},
	"DescribeSpotInstanceRequests": {describeSpotInstanceRequests, []string{
		"Filter", "MaxResults", "NextToken", "SpotInstanceRequestId",
	}},
	"DescribeStoreImageTasks":   {describeStoreImageTasks, []string{"Filter", "ImageId", "MaxResults", "NextToken"}},
	"DescribeTags":              {describeTags, []string{"Filter", "MaxResults", "NextToken"}},
	"DisableImage":              {disableImage, []string{"ImageId"}},
	"DisableImageDeprecation":   {disableImageDeprecation, []string{"ImageId"}},
	"EnableImage":               {enableImage, []string{"ImageId"}},
	"EnableImageDeprecation":    {enableImageDeprecation, []string{"DeprecateAt", "ImageId"}},
	"ListImagesInRecycleBin":    {listImagesInRecycleBin, []string{"ImageId", "MaxResults", "NextToken"}},
	"ListSnapshotsInRecycleBin": {listSnapshotsInRecycleBin, []string{"MaxResults", "NextToken", "SnapshotId"}},
	"RegisterImage": {registerImage, []string{
		"Architecture", "BlockDeviceMapping", "BootMode", "Description", "EnaSupport", "ImdsSupport", "Name", "RootDeviceName",
		"TagSpecification", "TpmSupport", "VirtualizationType",
	}},
	"RestoreImageFromRecycleBin":    {restoreImageFromRecycleBin, []string{"ImageId"}},
	"RestoreSnapshotFromRecycleBin": {restoreSnapshotFromRecycleBin, []string{"SnapshotId"}},
}

// describeRegions lists the regions the account holds.
func describeRegions(c *call) (object, error) {
	held := c.account.regionNames()
	names := c.list("RegionName")
	for _, name := range names {
		if !slices.Contains(held, name) {
			return nil, refuse("InvalidParameterValue", "Invalid region names: [%s]", name)
		}
	}
	var regions []object
	for _, name := range held {
		if len(names) == 0 || slices.Contains(names, name) {
			regions = append(regions, object{
				"RegionName": name, "Endpoint": "ec2." + name + ".amazonaws.com", "OptInStatus": "opt-in-not-required",
			})
		}
	}
	regions, err := c.filter(regions, map[string]string{
		"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName",
	})
	return listing("Regions", regions, ""), err
}

// owned keeps the objects of the owners: "self", account ids, and aliases such as "amazon". An
// object that does not say whose it is counts as the account's own.
func (c *call) owned(items []object, owners []string, alias string) []object {
	return slices.DeleteFunc(slices.Clone(items), func(o object) bool {
		owner := text(o, "OwnerId")
		if owner == "" {
			owner = c.account.id
		}
		return !slices.ContainsFunc(owners, func(asked string) bool {
			return asked == owner || asked == text(o, alias) || asked == "self" && owner == c.account.id
		})
	})
}

// foreign reports whether an object belongs to another account.
func (c *call) foreign(o object) bool {
	owner := text(o, "OwnerId")
	return owner != "" && owner != c.account.id
}

// backedUp reports whether AWS Backup manages an image or a snapshot. Those are the tags its own
// policies go by (AWSBackupServiceRolePolicyForBackup, AWSBackupServiceLinkedRolePolicyForBackup).
func backedUp(o object) bool {
	return hasTag(o, "aws:backup:source-resource") || hasTag(o, "AWSBackupManagedResource")
}

func hasTag(o object, key string) bool {
	return first(objects(o, "Tags"), "Key", key) != nil
}

// isID reports whether an id has the form of EC2's: a prefix and 8 or 17 hexadecimal digits.
func isID(id, prefix string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

// anys is a list as JSON has it.
func anys[T any](items []T) []any {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = item
	}
	return list
}
