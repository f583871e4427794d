package emulator

import (
	"maps"
	"slices"
)

// autoScalingActions are the emulated actions of Amazon EC2 Auto Scaling.
var autoScalingActions = map[string]action{
	"DescribeAutoScalingGroups":    {describeAutoScalingGroups, []string{"AutoScalingGroupNames", "IncludeInstances", "MaxRecords", "NextToken"}},
	"DescribeInstanceRefreshes":    {describeInstanceRefreshes, []string{"AutoScalingGroupName", "InstanceRefreshIds", "MaxRecords", "NextToken"}},
	"DescribeLaunchConfigurations": {describeLaunchConfigurations, []string{"LaunchConfigurationNames", "MaxRecords", "NextToken"}},
}

// autoScalingPages is how both listings page (Amazon EC2 Auto Scaling API Reference).
var autoScalingPages = paging{least: 1, most: 100, usual: 50}

// describeAutoScalingGroups lists Auto Scaling groups, with their instances unless the request
// leaves those out.
func describeAutoScalingGroups(c *call) (object, error) {
	groups, token, err := c.named(groupsFile, "AutoScalingGroupName")
	if c.text("IncludeInstances") == "false" {
		for i, group := range groups {
			groups[i] = maps.Clone(group)
			groups[i]["Instances"] = []object{}
		}
	}
	return listing("AutoScalingGroups", groups, token), err
}

// describeInstanceRefreshes lists the instance refreshes of a group.
func describeInstanceRefreshes(c *call) (object, error) {
	group := c.text("AutoScalingGroupName")
	if c.region.find(groupsFile, "AutoScalingGroupName", group) == nil {
		return nil, c.invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", group)
	}
	ids := c.list("InstanceRefreshIds.member")
	refreshes := slices.DeleteFunc(c.region.entries(refreshesFile, "AutoScalingGroupName", group), func(o object) bool {
		return len(ids) > 0 && !slices.Contains(ids, text(o, "InstanceRefreshId"))
	})
	refreshes, token, err := page(c, refreshes, autoScalingPages)
	return listing("InstanceRefreshes", refreshes, token), err
}

// describeLaunchConfigurations lists launch configurations.
func describeLaunchConfigurations(c *call) (object, error) {
	configurations, token, err := c.named(configurationsFile, "LaunchConfigurationName")
	return listing("LaunchConfigurations", configurations, token), err
}

// named is a page of the objects of a file, of those with the names in the request if it has any. A
// name that no object has finds nothing.
func (c *call) named(file, key string) ([]object, string, error) {
	items := slices.Clone(c.region.items(file))
	if names := c.list(key + "s.member"); len(names) > 0 {
		items = slices.DeleteFunc(items, func(o object) bool { return !slices.Contains(names, text(o, key)) })
	}
	return page(c, items, autoScalingPages)
}
