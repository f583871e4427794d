package emulator

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// contentTypes are what the answers in each protocol are.
var contentTypes = map[protocol]string{
	ec2Protocol:      "text/xml;charset=UTF-8",
	queryProtocol:    "text/xml;charset=UTF-8",
	jsonProtocol:     "application/x-amz-json-1.1",
	restJSONProtocol: "application/json",
	restXMLProtocol:  "application/xml",
}

// header is that of a service's answer, with an error or with nil.
func (s service) header(e *Error) http.Header {
	header := http.Header{"Content-Type": {contentTypes[s.protocol]}}
	if s.protocol == restJSONProtocol && e != nil {
		header.Set("X-Amzn-ErrorType", e.Code)
	}
	return header
}

// renderResult writes a successful answer: bare for EC2 and in JSON, in an envelope for the query
// protocol. The path of each member begins with the action.
func renderResult(s service, action, requestID string, result object) []byte {
	switch {
	case s.success(action) == http.StatusNoContent:
		return nil
	case s.protocol == jsonProtocol || s.protocol == restJSONProtocol:
		return renderJSON(result)
	}
	w := newWriter(s.protocol)
	w.open(action+"Response", s.namespace)
	if s.protocol == ec2Protocol {
		w.element("requestId", requestID)
		w.members(action, result)
	} else {
		w.open(action+"Result", "")
		w.members(action, result)
		w.close(action + "Result")
		w.value("ResponseMetadata", object{"RequestId": requestID})
	}
	w.close(action + "Response")
	return w.Bytes()
}

// renderError writes an error, in the form of the protocol.
func renderError(s service, requestID string, e *Error) []byte {
	w := newWriter(queryProtocol) // Whose names are as they stand here.
	switch s.protocol {
	case jsonProtocol:
		return renderJSON(object{"__type": e.Code, "message": e.Message})
	case restJSONProtocol:
		if s.name == lambdaService {
			return renderJSON(object{"Message": e.Message, "Type": "User"})
		}
		if s.name == ebsService {
			return renderJSON(object{"Message": e.Message, "Reason": ebsReasons[e.Code]})
		}
		return renderJSON(object{"Message": e.Message, "Reason": rbinReasons[e.Code]})
	case ec2Protocol:
		w.open("Response", "")
		w.value("Errors", object{"Error": object{"Code": e.Code, "Message": e.Message}})
		w.element("RequestID", requestID)
		w.close("Response")
	case restXMLProtocol:
		return renderS3Error(requestID, e)
	case queryProtocol:
		w.open("ErrorResponse", s.namespace)
		w.value("Error", object{"Type": "Sender", "Code": e.Code, "Message": e.Message})
		w.element("RequestId", requestID)
		w.close("ErrorResponse")
	}
	return w.Bytes()
}

// ec2Names are the members whose name on the wire does not follow from the rule that ec2Name
// applies, as AWS's service model has them. A name is looked up with its whole path first, then
// with less and less of it.
var ec2Names = map[string]string{
	"BlockDeviceMappings":                         "blockDeviceMapping",
	"ClassicLoadBalancers":                        "classicLoadBalancers",
	"CreateVolumePermissions":                     "createVolumePermission",
	"Ebs.AvailabilityZoneId":                      "AvailabilityZoneId",
	"Fleets.Instances":                            "fleetInstanceSet",
	"Images":                                      "imagesSet",
	"Images.BlockDeviceMappings.Ebs.EbsCardIndex": "EbsCardIndex",
	"Images.BlockDeviceMappings.Ebs.VolumeInitializationRate": "VolumeInitializationRate",
	"Images.OwnerId":            "imageOwnerId",
	"Images.Public":             "isPublic",
	"Images.State":              "imageState",
	"Instances":                 "instancesSet",
	"Instances.InstanceIds":     "instanceIds",
	"Instances.PublicDnsName":   "dnsName",
	"Instances.PublicIpAddress": "ipAddress",
	"Instances.SecondaryInterfaces.PrivateIpAddresses": "privateIpAddressSet",
	"Instances.SecurityGroups":                         "groupSet",
	"Instances.State":                                  "instanceState",
	"Instances.StateTransitionReason":                  "reason",
	"Ipv4Prefixes":                                     "ipv4PrefixSet",
	"Ipv6Addresses":                                    "ipv6AddressesSet",
	"Ipv6Prefixes":                                     "ipv6PrefixSet",
	"LaunchPermissions":                                "launchPermission",
	"LaunchSpecification.BlockDeviceMappings.Ebs.EbsCardIndex":                                          "EbsCardIndex",
	"LaunchSpecification.BlockDeviceMappings.Ebs.VolumeInitializationRate":                              "VolumeInitializationRate",
	"LaunchSpecification.NetworkInterfaces.AssociateCarrierIpAddress":                                   "AssociateCarrierIpAddress",
	"LaunchSpecification.NetworkInterfaces.ConnectionTrackingSpecification":                             "ConnectionTrackingSpecification",
	"LaunchSpecification.NetworkInterfaces.ConnectionTrackingSpecification.TcpEstablishedTimeout":       "TcpEstablishedTimeout",
	"LaunchSpecification.NetworkInterfaces.ConnectionTrackingSpecification.UdpStreamTimeout":            "UdpStreamTimeout",
	"LaunchSpecification.NetworkInterfaces.ConnectionTrackingSpecification.UdpTimeout":                  "UdpTimeout",
	"LaunchSpecification.NetworkInterfaces.EnaQueueCount":                                               "EnaQueueCount",
	"LaunchSpecification.NetworkInterfaces.EnaSrdSpecification":                                         "EnaSrdSpecification",
	"LaunchSpecification.NetworkInterfaces.EnaSrdSpecification.EnaSrdEnabled":                           "EnaSrdEnabled",
	"LaunchSpecification.NetworkInterfaces.EnaSrdSpecification.EnaSrdUdpSpecification":                  "EnaSrdUdpSpecification",
	"LaunchSpecification.NetworkInterfaces.EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled": "EnaSrdUdpEnabled",
	"LaunchSpecification.NetworkInterfaces.Groups":                                                      "SecurityGroupId",
	"LaunchSpecification.NetworkInterfaces.InterfaceType":                                               "InterfaceType",
	"LaunchSpecification.NetworkInterfaces.Ipv4PrefixCount":                                             "Ipv4PrefixCount",
	"LaunchSpecification.NetworkInterfaces.Ipv4Prefixes":                                                "Ipv4Prefix",
	"LaunchSpecification.NetworkInterfaces.Ipv4Prefixes.Ipv4Prefix":                                     "Ipv4Prefix",
	"LaunchSpecification.NetworkInterfaces.Ipv6PrefixCount":                                             "Ipv6PrefixCount",
	"LaunchSpecification.NetworkInterfaces.Ipv6Prefixes":                                                "Ipv6Prefix",
	"LaunchSpecification.NetworkInterfaces.Ipv6Prefixes.Ipv6Prefix":                                     "Ipv6Prefix",
	"LaunchSpecification.NetworkInterfaces.NetworkCardIndex":                                            "NetworkCardIndex",
	"LaunchSpecification.NetworkInterfaces.PrimaryIpv6":                                                 "PrimaryIpv6",
	"LaunchSpecification.SecurityGroups":                                                                "groupSet",
	"LaunchSpecification.TagSpecifications.Tags":                                                        "tag",
	"LaunchSpecifications":                          "launchSpecifications",
	"LaunchTemplateConfigs":                         "launchTemplateConfigs",
	"LaunchTemplateData.BlockDeviceMappings":        "blockDeviceMappingSet",
	"LaunchTemplateData.LicenseSpecifications":      "licenseSet",
	"LaunchTemplates":                               "launchTemplates",
	"ListImagesInRecycleBin.Images":                 "imageSet",
	"Overrides":                                     "overrides",
	"Overrides.BlockDeviceMappings":                 "blockDeviceMappingSet",
	"PrivateIpAddresses":                            "privateIpAddressesSet",
	"ProductCodes":                                  "productCodes",
	"ProductCodes.ProductCodeId":                    "productCode",
	"ProductCodes.ProductCodeType":                  "type",
	"Regions":                                       "regionInfo",
	"Regions.Endpoint":                              "regionEndpoint",
	"RestoreSnapshotFromRecycleBin.State":           "status",
	"Snapshots.State":                               "status",
	"Snapshots.StateMessage":                        "statusMessage",
	"SpotFleetRequestConfig.TagSpecifications":      "TagSpecification",
	"SpotFleetRequestConfig.TagSpecifications.Tags": "Tag",
	"TargetGroups":                                  "targetGroups",
}

// timestamps are the members that are timestamps in AWS's service models. The dates of images are
// not among them: they are strings, whatever they say.
var timestamps = map[string]bool{
	"AttachTime": true, "CompletionTime": true, "CoolOffPeriodExpiresOn": true, "CreateTime": true, "CreationDateTime": true, "EndDateTime": true, "ReadyDateTime": true, "DeletionTime": true, "LastUpdatedTime": true,
	"CreatedTime": true, "CreationTime": true, "DisabledTime": true, "DisablingTime": true,
	"ElasticInferenceAcceleratorAssociationTime": true, "EnabledTime": true, "EnablingTime": true, "EndTime": true, "ExpirationTime": true,
	"JoinedTimestamp": true, "LastModifiedDate": true, "LastUpdatedTimestamp": true, "LaunchTime": true, "LockCreatedOn": true, "LockDurationStartTime": true, "LockEndTime": true,
	"LockExpiresOn": true, "OptimizingTime": true, "RecycleBinEnterTime": true, "RecycleBinExitTime": true, "ReportCreationTime": true,
	"RestoreExpiryTime": true, "StartTime": true,
	"StateTransitionTime": true, "TaskStartTime": true, "UpdateTime": true, "UsageOperationUpdateTime": true, "ValidFrom": true, "ValidUntil": true,
}

// ec2Name is the name of a member on EC2's wire, given its path: "Images.ImageId" is imageId, and
// the list "Images.Tags" is tagSet.
func ec2Name(path string, isList bool) string {
	// A spot fleet's are those of a spot request.
	path = strings.Replace(path, "LaunchSpecifications.", "LaunchSpecification.", 1)
	for rest, more := path, true; more; _, rest, more = strings.Cut(rest, ".") {
		if name, ok := ec2Names[rest]; ok {
			return name
		}
	}
	key := lastKey(path)
	name := strings.ToLower(key[:1]) + key[1:]
	if !isList {
		return name
	}
	if stem, ok := strings.CutSuffix(name, "ies"); ok {
		return stem + "ySet"
	}
	return strings.TrimSuffix(name, "s") + "Set"
}

// writer writes an answer as XML.
type writer struct {
	bytes.Buffer
	protocol protocol // In EC2's, members have names that are not their own.
}

func newWriter(p protocol) *writer {
	w := writer{protocol: p}
	w.WriteString(xml.Header)
	return &w
}

func (w *writer) open(name, namespace string) {
	w.WriteString("<" + name)
	if namespace != "" {
		w.WriteString(` xmlns="` + namespace + `"`)
	}
	w.WriteString(">")
}

func (w *writer) close(name string) {
	w.WriteString("</" + name + ">")
}

// element writes text. What XML cannot hold, control characters above all, is replaced: a name is
// chosen by whoever builds the image, and must not break the answer.
func (w *writer) element(name, content string) {
	w.open(name, "")
	_ = xml.EscapeText(w, []byte(content)) // A buffer takes everything.
	w.close(name)
}

// members writes the members of the object at a path, in the order of their names.
func (w *writer) members(path string, o object) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if isName(key) {
			w.value(strings.TrimPrefix(path+"."+key, "."), o[key])
		}
	}
}

// isName reports whether a key can be the name of an element.
func isName(key string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(key, letters+"0123456789") == "" && strings.IndexAny(key, letters) == 0
}

// value writes the member at a path, and nothing for a null.
func (w *writer) value(path string, value any) {
	switch v := value.(type) {
	case nil:
	case object:
		name := w.name(path, false)
		w.open(name, "")
		w.members(path, v)
		w.close(name)
	case []any:
		writeList(w, path, v)
	case []object:
		writeList(w, path, v)
	default:
		if content, ok := w.content(path, v); ok {
			w.element(w.name(path, false), content)
		}
	}
}

func writeList[T any](w *writer, path string, items []T) {
	name := w.name(path, true)
	w.open(name, "")
	for _, item := range items {
		w.item(path, item)
	}
	w.close(name)
}

// item writes one entry of the list at a path.
func (w *writer) item(path string, item any) {
	name := w.itemName(path)
	if o, ok := item.(object); ok {
		w.open(name, "")
		w.members(path, o)
		w.close(name)
		return
	}
	if content, ok := scalar(item); ok {
		w.element(name, content)
	}
}

// rdsItems are the names of the elements in RDS's lists, by the name of the list.
var rdsItems = map[string]string{
	"DBEngineVersions": "DBEngineVersion", "SupportedCharacterSets": "CharacterSet", "SupportedNcharCharacterSets": "CharacterSet",
	"SupportedTimezones": "Timezone", "TagList": "Tag", "ValidUpgradeTarget": "UpgradeTarget",
}

// itemName is the name of the elements in the list at a path. EC2 has one for all lists, with few
// exceptions.
func (w *writer) itemName(path string) string {
	switch {
	case w.protocol != ec2Protocol:
		return cmp.Or(rdsItems[lastKey(path)], "member")
	case strings.HasSuffix(path, "LaunchTemplateData.NetworkInterfaces.Groups"):
		return "groupId"
	case strings.HasSuffix(path, ".NetworkInterfaces.Groups") && strings.Contains(path, "LaunchSpecification"):
		return "SecurityGroupId"
	default:
		return "item"
	}
}

// name is the name of the element for a path: EC2's, or the member's own.
func (w *writer) name(path string, isList bool) string {
	if w.protocol == ec2Protocol {
		return ec2Name(path, isList)
	}
	return lastKey(path)
}

func lastKey(path string) string {
	return path[strings.LastIndexByte(path, '.')+1:]
}

// content is a scalar as AWS writes it. A timestamp that cannot be read is left out: no client
// could decode it.
func (w *writer) content(path string, value any) (string, bool) {
	content, ok := scalar(value)
	if !ok || !timestamps[lastKey(path)] {
		return content, ok
	}
	t, ok := instant(content)
	return t.Format(timestampLayout), ok
}

// instant reads what the AWS CLI prints for a timestamp: RFC 3339 with any offset, or epoch
// seconds.
func instant(s string) (time.Time, bool) {
	// The bound is the year 10000.
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && seconds >= 0 && seconds < 253402300800 {
		return time.UnixMilli(int64(seconds * 1000)).UTC(), true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil
}

// timestampLayout keeps the milliseconds a timestamp may have, and adds none.
const timestampLayout = "2006-01-02T15:04:05.999Z"
