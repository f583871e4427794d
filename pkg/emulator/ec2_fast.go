package emulator

import "slices"

// fastPages is how the listings of fast launch and of fast snapshot restore page (EC2 API
// Reference). How long a page is if no size is given is not documented.
var fastPages = paging{least: 0, most: 200, usual: 200}

// describeFastLaunchImages lists the Windows images that EC2 holds snapshots ready for.
func describeFastLaunchImages(c *call) (object, error) {
	if err := c.notBoth("ImageId", "ImageIds"); err != nil {
		return nil, err
	}
	images := slices.Clone(c.region.items(fastLaunchFile))
	if ids := c.list("ImageId"); len(ids) > 0 {
		images = slices.DeleteFunc(images, func(o object) bool { return !slices.Contains(ids, text(o, "ImageId")) })
	}
	images, err := c.filter(images, map[string]string{"owner-id": "OwnerId", "resource-type": "ResourceType", "state": "State"})
	if err != nil {
		return nil, err
	}
	images, token, err := page(c, images, fastPages)
	return listing("FastLaunchImages", images, token), err
}

// describeFastSnapshotRestores lists the snapshots that are ready for fast restore, once for each
// Availability Zone.
func describeFastSnapshotRestores(c *call) (object, error) {
	restores, err := c.filter(c.region.items(fastRestoresFile), map[string]string{
		"availability-zone":    "AvailabilityZone",
		"availability-zone-id": "AvailabilityZoneId",
		"owner-id":             "OwnerId",
		"snapshot-id":          "SnapshotId",
		"state":                "State",
	})
	if err != nil {
		return nil, err
	}
	restores, token, err := page(c, restores, fastPages)
	return listing("FastSnapshotRestores", restores, token), err
}
