package emulator

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// imageName is the form of an image's name (EC2 API Reference, RegisterImage).
var imageName = regexp.MustCompile(`^[a-zA-Z0-9()\[\] ./'@_-]{3,128}$`)

// imageValues are the values that parameters of RegisterImage can have (EC2 API Reference,
// RegisterImage). Each is shown under its own name.
var imageValues = []struct {
	name    string
	allowed []string
}{
	{"Architecture", []string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}},
	{"BootMode", []string{"legacy-bios", "uefi", "uefi-preferred"}},
	{"ImdsSupport", []string{"v2.0"}},
	{"TpmSupport", []string{"v2.0"}},
	{"VirtualizationType", []string{"hvm", "paravirtual"}},
}

// creationLayout is that of an image's CreationDate.
const creationLayout = "2006-01-02T15:04:05.000Z"

// registerImage registers an image of snapshots of the account's own. It is available at once, or
// as SetCompletionDelay has it.
func registerImage(c *call) (object, error) {
	if c.account.regions[c.Region] == nil {
		return nil, c.invalid("The account has nothing in %s", c.Region)
	}
	if err := c.checkImage(); err != nil {
		return nil, err
	}
	mappings, err := c.readMappings()
	if err != nil {
		return nil, err
	}
	tags, err := c.imageTags()
	if err != nil {
		return nil, err
	}
	id, name, now := c.newID(binnedImage), c.text("Name"), c.account.now().UTC()
	image := object{
		"ImageId": id, "Name": name, "OwnerId": c.account.id, "ImageLocation": c.account.id + "/" + name,
		"CreationDate": now.Format(creationLayout), "State": "available", "Public": false,
		"Architecture": "i386", "VirtualizationType": "paravirtual", // AWS's defaults.
		"ImageType": "machine", "Hypervisor": "xen", "PlatformDetails": "Linux/UNIX", "UsageOperation": "RunInstances",
		"RootDeviceType": "ebs", "RootDeviceName": c.text("RootDeviceName"), "BlockDeviceMappings": mappings,
	}
	if description := c.text("Description"); description != "" {
		image["Description"] = description
	}
	if c.flag("EnaSupport") {
		image["EnaSupport"] = true
	}
	for _, one := range imageValues {
		if value := c.text(one.name); value != "" {
			image[one.name] = value
		}
	}
	if delay := c.account.delays.completion; delay > 0 {
		c.region.bin.pending[id] = restoring{now.Add(delay), "available"}
		image["State"] = "pending"
	}
	c.create(binnedImage, image, tags)
	return object{"ImageId": id}, nil
}

// checkImage refuses values that RegisterImage does not have, and a name that is malformed or that
// an image of the account has. Whether one in the Recycle Bin counts is not documented: here it
// does not.
func (c *call) checkImage() error {
	name := c.text("Name")
	if name == "" {
		return refuse("MissingParameter", "The request must contain the parameter Name")
	}
	if !imageName.MatchString(name) {
		return refuse("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "+
			"'(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'")
	}
	for _, image := range c.region.items(imagesFile) {
		if text(image, "Name") == name && !c.foreign(image) {
			return refuse("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, text(image, "ImageId"))
		}
	}
	for _, one := range imageValues {
		if value := c.text(one.name); value != "" && !slices.Contains(one.allowed, value) {
			return c.invalid("The value '%s' of %s is invalid", value, one.name)
		}
	}
	return nil
}

// imageTags are the tags that the request gives the image.
func (c *call) imageTags() ([]object, error) {
	var tags []object
	for _, m := range members(c.Form, "TagSpecification") {
		if kind := m.Get("ResourceType"); kind != "image" {
			return nil, c.invalid("'%s' is not a valid taggable resource type for this operation.", kind)
		}
		some, err := readTags(m)
		if err != nil {
			return nil, err
		}
		tags = append(tags, some...)
	}
	if len(tags) > maxTags {
		return nil, refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return tags, nil
}

// readMappings are the block device mappings of the image. The root device has to be mapped.
func (c *call) readMappings() ([]any, error) {
	var mappings []any
	hasRoot := false
	for _, m := range members(c.Form, "BlockDeviceMapping") {
		volume, err := c.readVolume(m)
		if err != nil {
			return nil, err
		}
		hasRoot = hasRoot || m.Get("DeviceName") == c.text("RootDeviceName")
		mappings = append(mappings, object{"DeviceName": m.Get("DeviceName"), "Ebs": volume})
	}
	if !hasRoot || c.text("RootDeviceName") == "" {
		return nil, invalidMapping("No root snapshot specified in device mapping.")
	}
	return mappings, nil
}

// readVolume is the volume of a mapping, which has to be of a snapshot. A snapshot has to be
// completed: for one that is not the documentation has the general code alone (EC2 API Reference,
// "Error codes"), and none for another account's.
func (c *call) readVolume(m url.Values) (object, error) {
	for name := range m {
		if !slices.Contains([]string{"DeviceName", "Ebs.DeleteOnTermination", "Ebs.SnapshotId", "Ebs.VolumeSize", "Ebs.VolumeType"}, name) {
			return nil, refuse("UnknownParameter", "The parameter BlockDeviceMapping.%s is not recognized", name)
		}
	}
	id := m.Get("Ebs.SnapshotId")
	snapshot, err := c.snapshot(id)
	if err != nil {
		return nil, err
	}
	least, _ := strconv.Atoi(text(snapshot, "VolumeSize")) // Zero if nobody knows it.
	size, err := strconv.Atoi(cmp.Or(m.Get("Ebs.VolumeSize"), strconv.Itoa(least)))
	switch {
	case c.foreign(snapshot):
		return nil, refuse("AuthFailure", "Not authorized for snapshot:%s", id)
	case text(snapshot, "State") != "completed":
		return nil, refuse("IncorrectState", "Snapshot '%s' is not 'completed'.", id)
	case err != nil || size < least:
		return nil, invalidMapping("Volume of size %sGB is smaller than snapshot '%s', expect size >= %dGB", m.Get("Ebs.VolumeSize"), id, least)
	}
	return object{
		"DeleteOnTermination": m.Get("Ebs.DeleteOnTermination") != "false", "Encrypted": text(snapshot, "Encrypted") == "true",
		"SnapshotId": id, "VolumeSize": json.Number(strconv.Itoa(size)), "VolumeType": cmp.Or(m.Get("Ebs.VolumeType"), "gp2"),
	}, nil
}

func invalidMapping(format string, arguments ...any) error {
	return refuse("InvalidBlockDeviceMapping", format, arguments...)
}
