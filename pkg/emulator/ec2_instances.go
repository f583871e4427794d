package emulator

import (
	"maps"
	"slices"
)

// instancePaths says where the filters of DescribeInstances find their values.
var instancePaths = map[string]string{
	"image-id":            "ImageId",
	"instance-id":         "InstanceId",
	"instance-state-code": "State.Code",
	"instance-state-name": "State.Name",
	"instance-type":       "InstanceType",
	"subnet-id":           "SubnetId",
	"vpc-id":              "VpcId",
}

// reserved is an instance and the index of the reservation it is listed under.
type reserved struct {
	instance    object
	reservation int
}

// describeInstances lists instances under their reservations. What services manage is hidden unless
// it is asked for, as it is in an account that has set the visibility of managed resources so.
func describeInstances(c *call) (object, error) {
	if err := c.notBoth("InstanceId", "InstanceIds"); err != nil {
		return nil, err
	}
	ids := c.list("InstanceId")
	for _, id := range ids {
		if first(c.region.instances(), "InstanceId", id) == nil {
			return nil, refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
	}
	reservations := c.region.items(instancesFile)
	var found []reserved
	for i, reservation := range reservations {
		instances, err := c.filter(c.unmanaged(objects(reservation, "Instances")), instancePaths)
		if err != nil {
			return nil, err
		}
		for _, instance := range instances {
			if len(ids) == 0 || slices.Contains(ids, text(instance, "InstanceId")) {
				found = append(found, reserved{instance, i})
			}
		}
	}
	found, token, err := page(c, found, paging{least: 5, most: 1000})
	return listing("Reservations", regrouped(found, reservations), token), err
}

// regrouped puts instances back under their reservations.
func regrouped(found []reserved, reservations []object) []object {
	var groups []object
	last := -1
	for _, f := range found {
		if f.reservation != last {
			group := maps.Clone(reservations[f.reservation])
			group["Instances"] = []object{}
			groups = append(groups, group)
			last = f.reservation
		}
		group := groups[len(groups)-1]
		group["Instances"] = append(group["Instances"].([]object), f.instance)
	}
	return groups
}

// unmanaged leaves out what a service manages, unless the request includes it.
func (c *call) unmanaged(items []object) []object {
	return slices.DeleteFunc(slices.Clone(items), func(o object) bool {
		return !c.flag("IncludeManagedResources") && text(child(o, "Operator"), "Managed") == "true"
	})
}

// instances are the instances of all reservations.
func (r *region) instances() []object {
	var all []object
	for _, reservation := range r.items(instancesFile) {
		all = append(all, objects(reservation, "Instances")...)
	}
	return all
}
