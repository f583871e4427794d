package sample

import (
	"cmp"
	"fmt"
	"strings"
)

// uses says how each kind of use appears in the account.
var uses = map[string]func(*builder, imageRow, string){
	"running":               func(b *builder, i imageRow, id string) { b.instance(i, id, "running", 16) },
	"stopped":               func(b *builder, i imageRow, id string) { b.instance(i, id, "stopped", 80) },
	"terminated":            func(b *builder, i imageRow, id string) { b.instance(i, id, "terminated", 48) },
	"managed":               (*builder).managed,
	"template":              func(b *builder, i imageRow, id string) { b.template(i, launching(id)) },
	"old template":          (*builder).oldTemplate,
	"disk of a template":    (*builder).diskOfTemplate,
	"launch configuration":  (*builder).configuration,
	"mixed instances":       (*builder).mixedInstances,
	"spot fleet":            func(b *builder, i imageRow, id string) { b.spotFleet(i, id, "active") },
	"finished spot fleet":   func(b *builder, i imageRow, id string) { b.spotFleet(i, id, "cancelled") },
	"spot request":          (*builder).spotRequest,
	"parameter":             (*builder).parameter,
	"label of a parameter":  (*builder).labelOfParameter,
	"text parameter":        (*builder).textParameter,
	"fast launch":           (*builder).fastLaunch,
	"fast snapshot restore": (*builder).fastRestore,
	"another account":       (*builder).anotherAccount,
}

// instance adds an instance, and returns it.
func (b *builder) instance(row imageRow, imageID, state string, code int) object {
	instance := object{
		"InstanceId": idOf("i", row.name, row.age), "ImageId": imageID, "InstanceType": "m7i.large",
		"State": object{"Code": code, "Name": state}, "LaunchTime": b.ago(cmp.Or(row.launched, row.age)),
	}
	b.reservations = append(b.reservations, object{
		"ReservationId": idOf("r", row.name, row.age), "OwnerId": b.account, "Groups": []object{},
		"Instances": []object{instance},
	})
	return instance
}

// managed adds a running instance that a service manages.
func (b *builder) managed(row imageRow, imageID string) {
	b.instance(row, imageID, "running", 16)["Operator"] = object{"Managed": true, "Principal": "eks.amazonaws.com"}
}

// launching is what a launch template says that starts an image.
func launching(imageID string) object {
	return object{"ImageId": imageID, "InstanceType": "m7i.large"}
}

// template adds a launch template with a version for each of the given data. The last is the
// default.
func (b *builder) template(row imageRow, versions ...object) {
	id, name := idOf("lt", row.name, row.age), strings.TrimSuffix(strings.SplitN(row.name, "DATE", 2)[0], "-")
	creator := "arn:aws:iam::" + b.account + ":role/deploy"
	b.templates = append(b.templates, object{
		"LaunchTemplateId": id, "LaunchTemplateName": fmt.Sprint(name, "-", row.age), "CreateTime": b.ago(row.age), "CreatedBy": creator,
		"DefaultVersionNumber": len(versions), "LatestVersionNumber": len(versions),
	})
	for i, data := range versions {
		b.versions = append(b.versions, object{
			"LaunchTemplateId": id, "LaunchTemplateName": fmt.Sprint(name, "-", row.age), "CreateTime": b.ago(row.age), "CreatedBy": creator,
			"VersionNumber": i + 1, "DefaultVersion": i+1 == len(versions), "LaunchTemplateData": data,
		})
	}
}

// newestAPI is the image that the newer launch templates start.
var newestAPI = idOf("ami", "api-DATE-1830", 21)

// oldTemplate adds a launch template whose first version starts the image. The newer ones hide it
// from who looks at the newest ten only.
func (b *builder) oldTemplate(row imageRow, imageID string) {
	versions := []object{launching(imageID)}
	for range 11 {
		versions = append(versions, launching(newestAPI))
	}
	b.template(row, versions...)
}

// diskOfTemplate adds a launch template that starts another image, with the last disk of this one.
func (b *builder) diskOfTemplate(row imageRow, _ string) {
	data := launching(newestAPI)
	data["BlockDeviceMappings"] = []object{{"DeviceName": "/dev/sdf", "Ebs": object{"SnapshotId": diskOf(row), "VolumeType": "gp3"}}}
	b.template(row, data)
}

// diskOf is the last of the snapshots that are an image's own.
func diskOf(row imageRow) string {
	return idOf("snap", fmt.Sprint(row.name, " disk ", len(row.gib)-1), row.age)
}

// configuration adds a launch configuration, and the group that launches by it.
func (b *builder) configuration(row imageRow, imageID string) {
	b.configurations = append(b.configurations, object{
		"LaunchConfigurationName": row.name, "ImageId": imageID, "InstanceType": "m5.large", "CreatedTime": b.ago(row.age),
		"SecurityGroups": []string{}, "BlockDeviceMappings": []object{}, "InstanceMonitoring": object{"Enabled": false}, "EbsOptimized": false,
	})
	b.group(row)["LaunchConfigurationName"] = row.name
}

// mixedInstances adds a group that starts the image on one of its instance types.
func (b *builder) mixedInstances(row imageRow, imageID string) {
	specification := object{"LaunchTemplateId": idOf("lt", "api-DATE-1830", 21), "LaunchTemplateName": "api-21", "Version": "$Latest"}
	group := b.group(row)
	group["DesiredCapacity"] = 1 // Its first instance is still to come.
	group["MixedInstancesPolicy"] = object{"LaunchTemplate": object{
		"LaunchTemplateSpecification": specification,
		"Overrides":                   []object{{"InstanceType": "m7i.large"}, {"InstanceType": "m7g.large", "ImageId": imageID}},
	}}
	b.refreshes = append(b.refreshes, object{
		"AutoScalingGroupName": row.name, "InstanceRefreshId": "08b91cf7-8fa6-48af-b6a6-d227f40f1b9b", "Status": "Successful",
		"StartTime": b.ago(20), "EndTime": b.ago(20), "PercentageComplete": 100, "InstancesToUpdate": 0,
		"DesiredConfiguration": object{"LaunchTemplate": specification},
	})
}

// group adds an Auto Scaling group that is scaled to nothing, and returns it.
func (b *builder) group(row imageRow) object {
	group := object{
		"AutoScalingGroupName": row.name, "MinSize": 0, "MaxSize": 4, "DesiredCapacity": 0, "DefaultCooldown": 300,
		"AvailabilityZones": []string{"us-east-1a", "us-east-1b"}, "HealthCheckType": "EC2", "CreatedTime": b.ago(row.age), "Instances": []object{},
	}
	b.groups = append(b.groups, group)
	return group
}

func (b *builder) spotFleet(row imageRow, imageID, state string) {
	b.spotFleets = append(b.spotFleets, object{
		"SpotFleetRequestId": idOf("sfr", row.name, row.age), "SpotFleetRequestState": state, "CreateTime": b.ago(row.age),
		"SpotFleetRequestConfig": object{
			"IamFleetRole":   "arn:aws:iam::" + b.account + ":role/aws-ec2-spot-fleet-tagging-role",
			"TargetCapacity": 2, "Type": "maintain", "LaunchSpecifications": []object{launching(imageID)},
		},
	})
}

func (b *builder) spotRequest(row imageRow, imageID string) {
	b.spotRequests = append(b.spotRequests, object{
		"SpotInstanceRequestId": idOf("sir", row.name, row.age), "State": "open", "Type": "persistent", "CreateTime": b.ago(row.age),
		"Status":              object{"Code": "capacity-not-available", "Message": "There is no capacity available.", "UpdateTime": b.ago(1)},
		"LaunchSpecification": launching(imageID),
	})
}

// parameter adds an SSM parameter that holds the image, and a launch template that names the
// parameter.
func (b *builder) parameter(row imageRow, imageID string) {
	name := "/golden/rhel-9/current"
	b.describe(name, "aws:ec2:image", row.age)
	b.value(name, "aws:ec2:image", imageID, 7)
	b.template(row, launching("resolve:ssm:"+name))
}

// labelOfParameter adds an SSM parameter whose old version, with a label, holds the image,
// and a launch template that names the label.
func (b *builder) labelOfParameter(row imageRow, imageID string) {
	name := "/kiosk/image"
	b.describe(name, "aws:ec2:image", row.age)
	b.value(name, "aws:ec2:image", newestAPI, 7)
	b.value(name, "aws:ec2:image", imageID, 2)["Selector"] = ":stable"
	b.template(row, launching("resolve:ssm:"+name+":stable"))
}

// textParameter adds an SSM parameter that has the id of the image in a text.
func (b *builder) textParameter(row imageRow, imageID string) {
	name := "/deploy/" + row.name
	b.describe(name, "text", row.age)
	b.value(name, "text", fmt.Sprintf(`{"us-east-1": {"image": %q, "type": "m7i.large"}, "standby": []}`, imageID), 7)
}

// describe adds an SSM parameter at its seventh version.
func (b *builder) describe(name, dataType string, age int) {
	b.parameters = append(b.parameters, object{
		"Name": name, "Type": "String", "DataType": dataType, "Version": 7, "LastModifiedDate": b.at(age).Unix(),
		"ARN": "arn:aws:ssm:us-east-1:" + b.account + ":parameter" + name,
	})
}

// value adds the value of a version of an SSM parameter, and returns the entry.
func (b *builder) value(name, dataType, value string, version int) object {
	entry := object{
		"Name": name, "Type": "String", "DataType": dataType, "Version": version, "Value": value,
		"ARN": "arn:aws:ssm:us-east-1:" + b.account + ":parameter" + name,
	}
	b.parameterValues = append(b.parameterValues, entry)
	return entry
}

func (b *builder) fastLaunch(row imageRow, imageID string) {
	b.fastLaunches = append(b.fastLaunches, object{
		"ImageId": imageID, "OwnerId": b.account, "ResourceType": "snapshot", "SnapshotConfiguration": object{"TargetResourceCount": 5},
		"MaxParallelLaunches": 6, "State": "enabled", "StateTransitionReason": "Client.UserInitiated", "StateTransitionTime": b.ago(row.age),
	})
}

func (b *builder) fastRestore(row imageRow, _ string) {
	for _, zone := range []string{"us-east-1a", "us-east-1b"} {
		b.fastRestores = append(b.fastRestores, object{
			"SnapshotId": diskOf(row), "AvailabilityZone": zone, "OwnerId": b.account, "State": "enabled",
			"StateTransitionReason": "Client.UserInitiated - Lifecycle state transition", "EnabledTime": b.ago(row.age),
		})
	}
}

// anotherAccount adds the use that the account makes of the image with which it is shared.
func (b *builder) anotherAccount(row imageRow, imageID string) {
	b.usageEntries = append(b.usageEntries, object{
		"AccountId": row.access, "ImageId": imageID, "ResourceType": "ec2:Instance", "UsageCount": 2,
	})
}
