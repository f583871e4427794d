package emulator

import "slices"

// describeSpotFleetRequests lists spot fleets.
func describeSpotFleetRequests(c *call) (object, error) {
	if err := c.notBoth("SpotFleetRequestId", "SpotFleetRequestIds"); err != nil {
		return nil, err
	}
	fleets, err := selected(c.region.items(spotFleetsFile), "SpotFleetRequestId", c.list("SpotFleetRequestId"), "InvalidSpotFleetRequestId.NotFound")
	if err != nil {
		return nil, err
	}
	fleets, token, err := page(c, fleets, paging{least: 1, most: 1000, usual: 1000})
	return listing("SpotFleetRequestConfigs", fleets, token), err
}

// spotRequestPaths says where the filters of DescribeSpotInstanceRequests find their values.
var spotRequestPaths = map[string]string{
	"create-time": "CreateTime",
	"instance-id": "InstanceId",
	"launch.block-device-mapping.snapshot-id": "LaunchSpecification.BlockDeviceMappings.Ebs.SnapshotId",
	"launch.image-id":                         "LaunchSpecification.ImageId",
	"launch.instance-type":                    "LaunchSpecification.InstanceType",
	"spot-instance-request-id":                "SpotInstanceRequestId",
	"state":                                   "State",
	"status-code":                             "Status.Code",
	"type":                                    "Type",
}

// describeSpotInstanceRequests lists spot requests, those of spot fleets too.
func describeSpotInstanceRequests(c *call) (object, error) {
	if err := c.notBoth("SpotInstanceRequestId", "SpotInstanceRequestIds"); err != nil {
		return nil, err
	}
	requests, err := selected(
		c.region.items(spotRequestsFile), "SpotInstanceRequestId", c.list("SpotInstanceRequestId"), "InvalidSpotInstanceRequestID.NotFound")
	if err != nil {
		return nil, err
	}
	requests, err = c.filter(requests, spotRequestPaths)
	if err != nil {
		return nil, err
	}
	requests, token, err := page(c, requests, paging{least: 5, most: 1000})
	return listing("SpotInstanceRequests", requests, token), err
}

// fleetPaths says where the filters of DescribeFleets find their values.
var fleetPaths = map[string]string{
	"activity-status":             "ActivityStatus",
	"fleet-state":                 "FleetState",
	"replace-unhealthy-instances": "ReplaceUnhealthyInstances",
	"type":                        "Type",
}

// describeFleets lists EC2 fleets. Those of type instant are shown only to who asks for them by
// their ids (EC2 API Reference, DescribeFleets).
func describeFleets(c *call) (object, error) {
	if err := c.notBoth("FleetId", "FleetIds"); err != nil {
		return nil, err
	}
	ids := c.list("FleetId")
	fleets, err := selected(c.region.items(fleetsFile), "FleetId", ids, "InvalidFleetId.NotFound")
	if err != nil {
		return nil, err
	}
	fleets, err = c.filter(fleets, fleetPaths)
	if err != nil {
		return nil, err
	}
	fleets = slices.DeleteFunc(slices.Clone(fleets), func(o object) bool { return len(ids) == 0 && text(o, "Type") == "instant" })
	fleets, token, err := page(c, fleets, paging{least: 1, most: 1000})
	return listing("Fleets", fleets, token), err
}
