package emulator

import (
	"net/http"
	"slices"
	"time"
)

// imagePaths says where the filters of DescribeImages find their values.
var imagePaths = map[string]string{
	"architecture":                     "Architecture",
	"block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
	"block-device-mapping.encrypted":   "BlockDeviceMappings.Ebs.Encrypted",
	"block-device-mapping.snapshot-id": "BlockDeviceMappings.Ebs.SnapshotId",
	"block-device-mapping.volume-size": "BlockDeviceMappings.Ebs.VolumeSize",
	"block-device-mapping.volume-type": "BlockDeviceMappings.Ebs.VolumeType",
	"creation-date":                    "CreationDate",
	"description":                      "Description",
	"ena-support":                      "EnaSupport",
	"hypervisor":                       "Hypervisor",
	"image-allowed":                    "ImageAllowed",
	"image-id":                         "ImageId",
	"image-type":                       "ImageType",
	"is-public":                        "Public",
	"manifest-location":                "ImageLocation",
	"name":                             "Name",
	"owner-alias":                      "ImageOwnerAlias",
	"owner-id":                         "OwnerId",
	"platform":                         "Platform",
	"product-code":                     "ProductCodes.ProductCodeId",
	"product-code.type":                "ProductCodes.ProductCodeType",
	"root-device-name":                 "RootDeviceName",
	"root-device-type":                 "RootDeviceType",
	"source-image-id":                  "SourceImageId",
	"source-image-region":              "SourceImageRegion",
	"source-instance-id":               "SourceInstanceId",
	"state":                            "State",
	"state-reason-code":                "StateReason.Code",
	"virtualization-type":              "VirtualizationType",
}

// describeImages lists images in the order of the file. AWS documents no bounds for MaxResults;
// 1,000 is what its own examples use.
func describeImages(c *call) (object, error) {
	if err := c.notBoth("ImageId", "ImageIds"); err != nil {
		return nil, err
	}
	images := c.region.items(imagesFile)
	if ids := c.list("ImageId"); len(ids) > 0 {
		for _, id := range ids {
			if _, err := c.image(id); err != nil {
				return nil, err
			}
		}
		images = slices.DeleteFunc(slices.Clone(images), func(o object) bool { return !slices.Contains(ids, text(o, "ImageId")) })
	}
	if owners := c.list("Owner"); len(owners) > 0 {
		images = c.owned(images, owners, "ImageOwnerAlias")
	}
	images = slices.DeleteFunc(slices.Clone(images), c.hidden)
	images, err := c.filter(images, imagePaths)
	if err != nil {
		return nil, err
	}
	images, token, err := page(c, images, paging{least: 1, most: 1000})
	return listing("Images", images, token), err
}

// hidden reports whether an image is shown only to who asks for it: a disabled one, and another
// account's that is deprecated (EC2 API Reference, DescribeImages).
func (c *call) hidden(image object) bool {
	if text(image, "State") == "disabled" && !c.flag("IncludeDisabled") {
		return true
	}
	deprecated, err := time.Parse(time.RFC3339, text(image, "DeprecationTime"))
	return err == nil && c.foreign(image) && deprecated.Before(c.account.now()) && !c.flag("IncludeDeprecated")
}

// image finds an image by its id.
func (c *call) image(id string) (object, error) {
	image := c.region.find(imagesFile, "ImageId", id)
	switch {
	case id == "":
		return nil, refuse("MissingParameter", "The request must contain the parameter ImageId")
	case image != nil:
		return image, nil
	case !isID(id, "ami-") && !c.region.hasLeft(id):
		return nil, refuse("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	return nil, refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// imageAttributes says where an attribute that is a single value is found.
var imageAttributes = map[string]string{
	"bootMode":                 "BootMode",
	"deregistrationProtection": "DeregistrationProtection",
	"description":              "Description",
	"imdsSupport":              "ImdsSupport",
	"lastLaunchedTime":         "LastLaunchedTime",
	"sriovNetSupport":          "SriovNetSupport",
	"tpmSupport":               "TpmSupport",
}

// describeImageAttribute shows one attribute of an image to its owner.
func describeImageAttribute(c *call) (object, error) {
	id := c.text("ImageId")
	image, err := c.image(id)
	if err != nil {
		return nil, err
	}
	if c.foreign(image) {
		return nil, refuse("AuthFailure", "Not authorized for image:%s", id)
	}
	answer := object{"ImageId": id}
	attribute := c.text("Attribute")
	if attribute == "launchPermission" {
		answer["LaunchPermissions"], err = c.launchPermissions(image)
		return answer, err
	}
	key, ok := imageAttributes[attribute]
	if !ok {
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", attribute)
	}
	answer[key] = object{}
	if value, ok := image[key]; ok {
		answer[key] = object{"Value": value}
	}
	return answer, nil
}

// launchPermissions lists who may launch an image. A null in the account directory is an image
// whose permissions whoever exported it was not allowed to see; an image without an entry is shared
// with nobody, unless it is public.
func (c *call) launchPermissions(image object) ([]any, error) {
	permissions, err := c.permissions(launchPermissionsFile, text(image, "ImageId"))
	if permissions == nil && err == nil && text(image, "Public") == "true" {
		return []any{object{"Group": "all"}}, nil
	}
	return append([]any{}, permissions...), err
}

// permissions are the entry of a resource in a file of permissions; nil if it has none.
func (c *call) permissions(file, id string) ([]any, error) {
	entry, ok := c.region.documents[file].fields[id]
	if ok && entry == nil {
		return nil, &Error{http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation."}
	}
	permissions, _ := entry.([]any)
	return permissions, nil
}

// deregisterImage removes an image, to the Recycle Bin if a rule retains it, and those of its
// snapshots that nothing holds if it is asked to.
func deregisterImage(c *call) (object, error) {
	id := c.text("ImageId")
	if c.region.find(imagesFile, "ImageId", id) == nil && c.region.hasLeft(id) {
		return nil, unavailable(id)
	}
	image, err := c.image(id)
	if err != nil {
		return nil, err
	}
	if err := c.undeletable(image); err != nil {
		return nil, err
	}
	c.discard(binnedImage, id)

	answer := object{"Return": true}
	mapped := mappedSnapshots(image)
	for _, snapshotID := range mapped {
		c.region.lags[snapshotID] = &lag{imageID: id, calls: c.account.inUseLag}
	}
	if !c.flag("DeleteAssociatedSnapshots") {
		return answer, nil
	}
	results := []object{}
	for _, snapshotID := range mapped {
		results = append(results, object{"SnapshotId": snapshotID, "ReturnCode": c.deleteAssociated(snapshotID)})
	}
	answer["DeleteSnapshotResults"] = results
	return answer, nil
}

// undeletable says why EC2 refuses to deregister an image. The code for a protected image is not
// documented; any value of its protection but "disabled" protects it, the one of the cooldown too
// ("disabled after …").
func (c *call) undeletable(image object) error {
	id := text(image, "ImageId")
	protection := text(image, "DeregistrationProtection")
	switch {
	case c.foreign(image):
		return refuse("AuthFailure", "Not authorized for image:%s", id)
	case backedUp(image):
		return refuse("AuthFailure", "This image is managed by AWS Backup and cannot be deleted via EC2 APIs. "+
			"To delete this image, please use the AWS Backup APIs, CLI, or console.")
	case protection != "" && protection != "disabled":
		return refuse("OperationNotPermitted", "The image '%s' has deregistration protection: %s", id, protection)
	case text(image, "State") == "pending":
		return unavailable(id)
	}
	return nil
}

func unavailable(imageID string) error {
	return refuse("InvalidAMIID.Unavailable", "The image ID: '%s' is no longer available", imageID)
}

// deleteAssociated deletes a snapshot of an image that has just been deregistered, and returns
// EC2's return code. A snapshot that another image needs is skipped. What EC2 returns for one that
// cannot be deleted is not documented.
func (c *call) deleteAssociated(snapshotID string) string {
	snapshot := c.region.find(snapshotsFile, "SnapshotId", snapshotID)
	switch {
	case c.region.imageOf(snapshotID) != "":
		return "skipped"
	case snapshot == nil || c.foreign(snapshot) || backedUp(snapshot) || c.region.locked(snapshotID):
		return "client-error"
	case !c.authorized(snapshotID):
		return "missing-permissions"
	}
	c.discardSnapshot(snapshotID)
	return "success"
}

// mappedSnapshots are the ids of the snapshots an image maps, each once.
func mappedSnapshots(image object) []string {
	var ids []string
	for _, id := range values(image, mappedPath) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// imageOf is the id of an image that maps a snapshot, whatever its state and whoever owns it; empty
// if there is none.
func (r *region) imageOf(snapshotID string) string {
	return text(r.find(imagesFile, mappedPath, snapshotID), "ImageId")
}
