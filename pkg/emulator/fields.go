package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
)

// kind is what the value of a field has to be, in the words of an error.
type kind string

const (
	aString     kind = "a string"
	aBoolean    kind = "true or false"
	anInteger   kind = "an integer"
	aTimestamp  kind = "a string or a number"
	anObject    kind = "an object"
	aList       kind = "a list of objects"
	aStringList kind = "a list of strings"
)

// field is a field that this package or its clients understand. What it holds in an account
// directory must be of its kind, or null: what nobody can read could be the very thing that
// protects an image.
type field struct {
	name   string
	kind   kind
	fields []field // Those of the object, or of the objects in the list.
}

// all are fields of the same kind.
func all(k kind, names ...string) []field {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i] = field{name: name, kind: k}
	}
	return fields
}

// The fields that are understood, for each kind of object in the files. Fields that are not here
// may hold anything.
var (
	imageFields = slices.Concat(
		all(aTimestamp, "CreationDate", "DeprecationTime", "LastLaunchedTime"),
		all(aString, "Architecture", "BootMode", "DeregistrationProtection", "Description",
			"Hypervisor", "ImageId", "ImageLocation", "ImageOwnerAlias", "ImageType", "ImdsSupport", "Name",
			"OwnerId", "Platform", "RootDeviceName", "RootDeviceType", "SourceImageId", "SourceImageRegion", "SourceInstanceId",
			"SriovNetSupport", "State", "TpmSupport", "VirtualizationType"),
		all(aBoolean, "EnaSupport", "ImageAllowed", "Public"),
		[]field{
			mappingsField,
			{"ProductCodes", aList, all(aString, "ProductCodeId", "ProductCodeType")},
			{"StateReason", anObject, all(aString, "Code")},
			tagsField,
		})
	mappingsField  = field{"BlockDeviceMappings", aList, append(all(aString, "DeviceName"), field{"Ebs", anObject, ebsFields})}
	ebsFields      = slices.Concat(all(aString, "SnapshotId", "VolumeType"), all(anInteger, "VolumeSize"), all(aBoolean, "Encrypted"))
	snapshotFields = slices.Concat(
		all(aString, "Description", "OwnerAlias", "OwnerId", "Progress", "SnapshotId", "State", "StorageTier", "TransferType", "VolumeId"),
		all(anInteger, "VolumeSize"), all(aBoolean, "Encrypted"), all(aTimestamp, "CompletionTime", "RestoreExpiryTime", "StartTime"),
		[]field{tagsField})
	lockFields        = all(aString, "LockState", "SnapshotId")
	reservationFields = []field{{"Instances", aList, instanceFields}}
	instanceFields    = slices.Concat(
		all(aString, "ImageId", "InstanceId", "InstanceType", "SubnetId", "VpcId"), all(aTimestamp, "LaunchTime"),
		[]field{{"State", anObject, append(all(aString, "Name"), field{"Code", anInteger, nil})}, operatorField, tagsField})
	templateFields = slices.Concat(
		all(aString, "LaunchTemplateId", "LaunchTemplateName"), all(aTimestamp, "CreateTime"), []field{operatorField, tagsField})
	versionFields = slices.Concat(
		all(aString, "LaunchTemplateId", "LaunchTemplateName"), all(anInteger, "VersionNumber"), all(aBoolean, "DefaultVersion"),
		all(aTimestamp, "CreateTime"),
		[]field{{"LaunchTemplateData", anObject, append(all(aString, "ImageId", "InstanceType"), mappingsField)}, operatorField})
	specificationFields = all(aString, "LaunchTemplateId", "LaunchTemplateName", "Version")
	groupFields         = slices.Concat(
		all(aString, "AutoScalingGroupARN", "AutoScalingGroupName", "LaunchConfigurationName", "Status"), all(aTimestamp, "CreatedTime"), all(anInteger, "DesiredCapacity"),
		[]field{
			{"Instances", aList, append(all(aString, "ImageId", "InstanceId", "LaunchConfigurationName"), field{"LaunchTemplate", anObject, specificationFields})},
			{"LaunchTemplate", anObject, specificationFields},
			policyField,
			tagsField,
		})
	policyField = field{"MixedInstancesPolicy", anObject, []field{{"LaunchTemplate", anObject, []field{
		{"LaunchTemplateSpecification", anObject, specificationFields},
		{"Overrides", aList, overrideFields},
	}}}}
	refreshFields = slices.Concat(
		all(aString, "AutoScalingGroupName", "InstanceRefreshId", "Status"), all(aTimestamp, "EndTime", "StartTime"),
		[]field{{"DesiredConfiguration", anObject, []field{{"LaunchTemplate", anObject, specificationFields}, policyField}}})
	exportTaskFields  = append(all(aString, "ExportImageTaskId", "ImageId", "Status"), tagsField)
	storeTaskFields   = append(all(aString, "AmiId", "Bucket", "StoreTaskState"), field{"TaskStartTime", aTimestamp, nil})
	replacementFields = append(all(aString, "ImageId", "InstanceId", "ReplaceRootVolumeTaskId", "SnapshotId", "TaskState"), tagsField)
	overrideFields    = append(
		all(aString, "ImageId", "InstanceType"), mappingsField, field{"LaunchTemplateSpecification", anObject, specificationFields})
	configurationFields = append(slices.Concat(
		all(aString, "ImageId", "InstanceType", "LaunchConfigurationARN", "LaunchConfigurationName"), all(aTimestamp, "CreatedTime")), mappingsField)
	launchFields   = append(all(aString, "ImageId", "InstanceType"), mappingsField)
	templatesField = field{"LaunchTemplateConfigs", aList, []field{
		{"LaunchTemplateSpecification", anObject, specificationFields}, {"Overrides", aList, overrideFields},
	}}
	spotFleetFields = slices.Concat(
		all(aString, "ActivityStatus", "SpotFleetRequestId", "SpotFleetRequestState"), all(aTimestamp, "CreateTime"),
		[]field{
			{"SpotFleetRequestConfig", anObject, append(slices.Concat(all(aString, "Type"), all(aTimestamp, "ValidFrom", "ValidUntil")),
				field{"LaunchSpecifications", aList, launchFields}, templatesField)},
			tagsField,
		})
	spotRequestFields = slices.Concat(
		all(aString, "InstanceId", "SpotInstanceRequestId", "State", "Type"), all(aTimestamp, "CreateTime", "ValidFrom", "ValidUntil"),
		[]field{
			{"LaunchSpecification", anObject, launchFields},
			{"Status", anObject, append(all(aString, "Code", "Message"), field{"UpdateTime", aTimestamp, nil})},
			tagsField,
		})
	fleetFields = slices.Concat(
		all(aString, "ActivityStatus", "ExcessCapacityTerminationPolicy", "FleetId", "FleetState", "Type"),
		all(aBoolean, "ReplaceUnhealthyInstances"), all(aTimestamp, "CreateTime", "ValidFrom", "ValidUntil"), []field{templatesField, tagsField})
	fastLaunchFields = append(slices.Concat(
		all(aString, "ImageId", "OwnerId", "ResourceType", "State", "StateTransitionReason"), all(aTimestamp, "StateTransitionTime")),
		field{"LaunchTemplate", anObject, specificationFields})
	fastRestoreFields = slices.Concat(
		all(aString, "AvailabilityZone", "AvailabilityZoneId", "OwnerAlias", "OwnerId", "SnapshotId", "State", "StateTransitionReason"),
		all(aTimestamp, "DisabledTime", "DisablingTime", "EnabledTime", "EnablingTime", "OptimizingTime"))
	parameterFields = slices.Concat(
		all(aString, "ARN", "AllowedPattern", "DataType", "Description", "KeyId", "LastModifiedUser", "Name", "Selector", "SourceResult",
			"Tier", "Type", "Value"),
		all(anInteger, "Version"), all(aTimestamp, "LastModifiedDate"),
		[]field{{"Policies", aList, all(aString, "PolicyStatus", "PolicyText", "PolicyType")}})
	permissionFields  = all(aString, "Group", "OrganizationArn", "OrganizationalUnitArn", "UserId")
	usageReportFields = slices.Concat(
		all(aString, "ImageId", "ReportId", "State", "StateReason"), all(aTimestamp, "CreationTime", "ExpirationTime"),
		all(aStringList, "AccountIds"),
		[]field{
			{"ResourceTypes", aList, append(all(aString, "ResourceType"), field{"ResourceTypeOptions", aList, optionFields})},
			tagsField,
		})
	optionFields     = append(all(aString, "OptionName"), all(aStringList, "OptionValues")...)
	usageEntryFields = slices.Concat(
		all(aString, "AccountId", "ImageId", "ReportId", "ResourceType"), all(anInteger, "UsageCount"), all(aTimestamp, "ReportCreationTime"))
	binTimes       = all(aTimestamp, "RecycleBinEnterTime", "RecycleBinExitTime")
	imageBinFields = slices.Concat(
		all(aString, "Description", "ImageId", "Name"), binTimes, []field{{"Image", anObject, imageFields}})
	snapshotBinFields = slices.Concat(
		all(aString, "Description", "SnapshotId", "VolumeId"), binTimes, []field{{"Snapshot", anObject, snapshotFields}})
	ruleFields = slices.Concat(
		all(aString, "Description", "Identifier", "LockState", "ResourceType", "RuleArn", "Status"),
		all(aTimestamp, "AvailableTime", "LockEndTime"),
		[]field{
			{"ExcludeResourceTags", aList, all(aString, "ResourceTagKey", "ResourceTagValue")},
			{"ResourceTags", aList, all(aString, "ResourceTagKey", "ResourceTagValue")},
			{"RetentionPeriod", anObject, append(all(aString, "RetentionPeriodUnit"), field{"RetentionPeriodValue", anInteger, nil})},
		})
	referenceFields = all(aString, "Arn", "ImageId", "ResourceType")
	stackFields     = slices.Concat(
		all(aString, "StackId", "StackName", "StackStatus"), all(aTimestamp, "CreationTime", "DeletionTime", "LastUpdatedTime"),
		[]field{
			{"Outputs", aList, all(aString, "OutputKey", "OutputValue")},
			{"Parameters", aList, all(aString, "ParameterKey", "ParameterValue", "ResolvedValue")},
			tagsField,
		})
	environmentFields = append(all(aString, "computeEnvironmentArn", "computeEnvironmentName", "state", "status", "type"),
		field{"computeResources", anObject, append(all(aString, "imageId", "type"), field{"ec2Configuration", aList, all(aString, "imageIdOverride", "imageType")})})
	nodeGroupFields     = []field{{"computeNodeGroup", anObject, all(aString, "amiId", "arn", "clusterId", "id", "name", "status")}}
	engineVersionFields = append(all(aString, "DBEngineVersionArn", "Engine", "EngineVersion", "Status"),
		field{"Image", anObject, all(aString, "ImageId", "Status")})
	emrClusterFields  = append(all(aString, "ClusterArn", "Id", "Name"), field{"Status", anObject, all(aString, "State")})
	emrClusterDetails = []field{{"Cluster", anObject, append(append(all(aString, "CustomAmiId", "InstanceCollectionType"), emrClusterFields...),
		field{"InstanceGroups", aList, all(aString, "CustomAmiId", "Id")},
		field{"InstanceFleets", aList, append(all(aString, "Id"), field{"InstanceTypeSpecifications", aList, all(aString, "CustomAmiId", "InstanceType")})})}}
	hyperPodFields = append(all(aString, "ClusterArn", "ClusterName", "ClusterStatus"),
		field{"InstanceGroups", aList, all(aString, "CurrentImageId", "DesiredImageId", "InstanceGroupName")})
	recipeFields      = all(aString, "arn", "instanceImage", "name", "owner", "parentImage", "platform")
	applicationFields = slices.Concat(
		all(aString, "ApplicationArn", "ApplicationName"), all(aStringList, "ConfigurationTemplates", "Versions"), beanstalkTimes)
	beanstalkEnvironmentFields = append(all(aString, "ApplicationName", "EnvironmentArn", "EnvironmentName", "Status"), beanstalkTimes...)
	settingsFields             = []field{{"ConfigurationSettings", aList, slices.Concat(
		all(aString, "ApplicationName", "EnvironmentName", "TemplateName"), beanstalkTimes,
		[]field{{"OptionSettings", aList, all(aString, "Namespace", "OptionName", "Value")}})}}
	platformFields = []field{{"PlatformDescription", anObject, append(
		append(all(aString, "PlatformArn", "PlatformStatus"), beanstalkTimes...), field{"CustomAmiList", aList, all(aString, "ImageId")})}}
	beanstalkTimes      = all(aTimestamp, "DateCreated", "DateUpdated")
	stackResourceFields = []field{{"StackResourceDetail", anObject, append(
		all(aString, "LogicalResourceId", "PhysicalResourceId", "ResourceStatus", "ResourceType", "StackId", "StackName"),
		field{"LastUpdatedTimestamp", aTimestamp, nil})}}
	resourceFields = append(
		all(aString, "LogicalResourceId", "PhysicalResourceId", "ResourceStatus", "ResourceType", "StackId", "StackName"),
		field{"Timestamp", aTimestamp, nil})
	functionFields = append(all(aString, "FunctionArn", "FunctionName", "Role", "Version"),
		field{"Environment", anObject, []field{{"Variables", anObject, nil}, {"Error", anObject, all(aString, "ErrorCode", "Message")}}})
	operatorField = field{"Operator", anObject, all(aBoolean, "Managed")}
	tagsField     = field{"Tags", aList, all(aString, "Key", "Value")}
)

// fault says what is wrong with a value of the field, and where in it: ` must be a string`,
// `[2].Key must be a string`. It is empty if nothing is. A null counts as absent.
func (f field) fault(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case object:
		if f.kind == anObject {
			return f.objectFault(v)
		}
	case []any:
		if f.kind == aList || f.kind == aStringList {
			return f.listFault(v)
		}
	default:
		if f.kind.holds(v) {
			return ""
		}
	}
	return " must be " + string(f.kind)
}

func (f field) objectFault(o object) string {
	if key, meant := miscased(o, f.names()); key != "" {
		return " " + wrongCase(key, meant)
	}
	for _, inner := range f.fields {
		if fault := inner.fault(o[inner.name]); fault != "" {
			return "." + inner.name + fault
		}
	}
	return ""
}

// names are those of the fields of the object.
func (f field) names() []string {
	names := make([]string, len(f.fields))
	for i, inner := range f.fields {
		names[i] = inner.name
	}
	return names
}

// listFault looks at every entry. Unlike a field, an entry cannot be absent: null is no entry.
func (f field) listFault(list []any) string {
	for i, value := range list {
		if fault := f.entryFault(value); fault != "" {
			return fmt.Sprintf("[%d]%s", i, fault)
		}
	}
	return ""
}

func (f field) entryFault(value any) string {
	entry := field{kind: anObject, fields: f.fields}
	if f.kind == aStringList {
		entry.kind = aString
	}
	if value == nil {
		return " must be " + string(entry.kind)
	}
	return entry.fault(value)
}

// holds reports whether a scalar is of the kind.
func (k kind) holds(scalar any) bool {
	switch v := scalar.(type) {
	case string:
		return k == aString || k == aTimestamp
	case bool:
		return k == aBoolean
	case json.Number:
		_, err := v.Int64()
		return k == aTimestamp || k == anInteger && err == nil
	default:
		return false
	}
}
