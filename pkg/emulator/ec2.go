package emulator

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
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
	"DescribeLockedSnapshots":   {describeLockedSnapshots, []string{"Filter", "MaxResults", "NextToken", "SnapshotId"}},
	"DescribeRegions":           {describeRegions, []string{"AllRegions", "Filter", "RegionName"}},
	"DescribeSnapshots":         {describeSnapshots, []string{"Filter", "MaxResults", "NextToken", "Owner", "SnapshotId"}},
	"DescribeSpotFleetRequests": {describeSpotFleetRequests, []string{"MaxResults", "NextToken", "SpotFleetRequestId"}},
	"DescribeSpotInstanceRequests": {describeSpotInstanceRequests, []string{
		"Filter", "MaxResults", "NextToken", "SpotInstanceRequestId",
	}},
	"DisableImage":            {disableImage, []string{"ImageId"}},
	"DisableImageDeprecation": {disableImageDeprecation, []string{"ImageId"}},
	"EnableImage":             {enableImage, []string{"ImageId"}},
	"EnableImageDeprecation":  {enableImageDeprecation, []string{"DeprecateAt", "ImageId"}},
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

// owned keeps the objects of the owners: "self", account ids, and aliases such as "amazon". An object that does not
// say whose it is counts as the account's own.
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

// backedUp reports whether AWS Backup manages an image or a snapshot. Those are the tags its own policies go by
// (AWSBackupServiceRolePolicyForBackup, AWSBackupServiceLinkedRolePolicyForBackup).
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

// AWS's limits on tags (EC2 API Reference, CreateTags; EC2 User Guide, "Tag your Amazon EC2 resources").
const (
	maxTagged   = 1000
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// createTags tags all the resources, or none if one of them is not there.
func createTags(c *call) (object, error) {
	resources, err := c.taggable()
	if err != nil {
		return nil, err
	}
	tags, err := readTags(c.Form)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter Tag")
	}
	tagged := make([][]any, len(resources))
	for i, resource := range resources {
		list := objects(resource, "Tags")
		for _, tag := range tags {
			list = slices.DeleteFunc(list, func(t object) bool { return text(t, "Key") == text(tag, "Key") })
			list = append(list, tag)
		}
		if userTags(list) > maxTags {
			return nil, refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
		tagged[i] = anys(list)
	}
	for i, resource := range resources {
		resource["Tags"] = tagged[i]
	}
	return object{"Return": true}, nil
}

// readTags are the tags in a form.
func readTags(form url.Values) ([]object, error) {
	var tags []object
	for _, m := range members(form, "Tag") {
		key, value := m.Get("Key"), m.Get("Value")
		if err := checkTag(key, value); err != nil {
			return nil, err
		}
		tags = append(tags, object{"Key": key, "Value": value})
	}
	return tags, nil
}

func checkTag(key, value string) error {
	switch {
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	case key == "" || utf8.RuneCountInString(key) > maxTagKey:
		return refuse("InvalidParameterValue", "Tag key exceeds the maximum length of %d characters, or is empty", maxTagKey)
	case utf8.RuneCountInString(value) > maxTagValue:
		return refuse("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", maxTagValue)
	}
	return nil
}

// userTags counts the tags that count against the limit.
func userTags(tags []object) int {
	n := 0
	for _, tag := range tags {
		if !strings.HasPrefix(text(tag, "Key"), "aws:") {
			n++
		}
	}
	return n
}

// deleteTags takes the tags off: by key, or by key and value where one is given. Without any tag it takes off all
// that users have set (EC2 API Reference, DeleteTags).
func deleteTags(c *call) (object, error) {
	resources, err := c.taggable()
	if err != nil {
		return nil, err
	}
	named := members(c.Form, "Tag")
	for _, resource := range resources {
		kept := slices.DeleteFunc(objects(resource, "Tags"), func(t object) bool {
			key, value := text(t, "Key"), text(t, "Value")
			if len(named) == 0 {
				return !strings.HasPrefix(key, "aws:")
			}
			for _, n := range named {
				if n.Get("Key") == key && (!n.Has("Value") || n.Get("Value") == value) {
					return true
				}
			}
			return false
		})
		resource["Tags"] = anys(kept)
		if len(kept) == 0 {
			delete(resource, "Tags") // As the AWS CLI prints a resource without tags.
		}
	}
	return object{"Return": true}, nil
}

// taggable finds the resources that a request wants to tag, each with all its entries.
func (c *call) taggable() ([]object, error) {
	ids := c.list("ResourceId")
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > maxTagged {
		return nil, refuse("InvalidParameterValue", "At most %d resources can be tagged at once", maxTagged)
	}
	var found []object
	for _, id := range ids {
		all, key, code := c.region.ofKind(id)
		entries := slices.DeleteFunc(slices.Clone(all), func(o object) bool { return text(o, key) != id })
		if len(entries) == 0 {
			return nil, refuse(code, "The ID '%s' does not exist", id)
		}
		found = append(found, entries...)
	}
	return found, nil
}

// ofKind returns the objects of the kind that an id is of, the key of their ids, and the error code for an id that
// is not among them.
func (r *region) ofKind(id string) (all []object, key, code string) {
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "ami":
		return r.items(imagesFile), "ImageId", "InvalidAMIID.NotFound"
	case "snap":
		return r.items(snapshotsFile), "SnapshotId", "InvalidSnapshot.NotFound"
	case "i":
		return r.instances(), "InstanceId", "InvalidInstanceID.NotFound"
	case "amiur":
		return r.items(usageReportsFile), "ReportId", "InvalidImageUsageReportId.NotFound"
	case "lt":
		return r.items(templatesFile), "LaunchTemplateId", "InvalidLaunchTemplateId.NotFound"
	default:
		return nil, "", "InvalidID"
	}
}

// anys is a list as JSON has it.
func anys[T any](items []T) []any {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = item
	}
	return list
}
