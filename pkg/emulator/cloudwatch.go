package emulator

import "slices"

// monitoringService is the name of CloudWatch in a signature's scope.
const monitoringService = "monitoring"

// cloudWatchActions are the emulated actions of CloudWatch.
var cloudWatchActions = map[string]action{
	"DescribeAlarms": {describeAlarms, []string{"AlarmNames", "AlarmTypes", "MaxRecords", "NextToken"}},
}

// describeAlarms lists alarms on metrics, all or some by their names. A name of none is left out
// (CloudWatch API Reference, DescribeAlarms).
func describeAlarms(c *call) (object, error) {
	alarms := slices.Clone(c.region.items(alarmsFile))
	if names := slices.Concat(c.list("AlarmNames.member"), c.list("AlarmNames")); len(names) > 0 {
		alarms = slices.DeleteFunc(alarms, func(o object) bool { return !slices.Contains(names, text(o, "AlarmName")) })
	}
	alarms, token, err := page(c, alarms, paging{least: 1, most: 100, usual: 50})
	answer := listing("MetricAlarms", alarms, token)
	answer["CompositeAlarms"] = []object{}
	return answer, err
}
