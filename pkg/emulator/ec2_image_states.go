package emulator

import "time"

// disableImage disables an image and takes it from everybody who may launch it, for good: to enable
// it again does not give it back to them (EC2 User Guide, "Disable an AMI").
func disableImage(c *call) (object, error) {
	entries, err := c.ownImage("available")
	if err != nil {
		return nil, err
	}
	if backedUp(entries[0]) {
		return nil, refuse("AuthFailure", "This image is managed by AWS Backup and cannot be disabled via EC2 APIs.")
	}
	for _, image := range entries {
		image["State"] = "disabled"
		image["Public"] = false
	}
	permissions := c.region.documents[launchPermissionsFile].fields
	if id := c.text("ImageId"); permissions[id] != nil {
		permissions[id] = []any{}
	}
	return object{"Return": true}, nil
}

// enableImage makes a disabled image available again.
func enableImage(c *call) (object, error) {
	entries, err := c.ownImage("disabled")
	if err != nil {
		return nil, err
	}
	for _, image := range entries {
		image["State"] = "available"
	}
	return object{"Return": true}, nil
}

// AWS's limits on the date on which an image is deprecated (EC2 API Reference,
// EnableImageDeprecation).
const (
	maxDeprecationYears       = 10
	maxPublicDeprecationYears = 2 // After the image was created.
)

// enableImageDeprecation sets the date on which an image is deprecated. EC2 rounds it to the
// minute.
func enableImageDeprecation(c *call) (object, error) {
	entries, err := c.ownImage("")
	if err != nil {
		return nil, err
	}
	at, ok := instant(c.text("DeprecateAt"))
	if !ok {
		return nil, c.invalid("Value (%s) for parameter DeprecateAt is invalid.", c.text("DeprecateAt"))
	}
	now := c.account.now()
	latest := now.AddDate(maxDeprecationYears, 0, 0)
	if created, ok := instant(text(entries[0], "CreationDate")); ok && text(entries[0], "Public") == "true" {
		latest = created.AddDate(maxPublicDeprecationYears, 0, 0)
	}
	if at.Before(now) || at.After(latest) {
		return nil, c.invalid("The date for deprecation must be between now and %s", latest.Format(time.RFC3339))
	}
	for _, image := range entries {
		image["DeprecationTime"] = at.Round(time.Minute).Format(timestampLayout)
	}
	return object{"Return": true}, nil
}

// disableImageDeprecation takes the date off again.
func disableImageDeprecation(c *call) (object, error) {
	entries, err := c.ownImage("")
	if err != nil {
		return nil, err
	}
	for _, image := range entries {
		delete(image, "DeprecationTime")
	}
	return object{"Return": true}, nil
}

// ownImage finds all entries of the request's image, which has to be the account's own and, where
// one is given, in a state.
func (c *call) ownImage(state string) ([]object, error) {
	id := c.text("ImageId")
	image, err := c.image(id)
	switch {
	case err != nil:
		return nil, err
	case c.foreign(image):
		return nil, refuse("AuthFailure", "Not authorized for image:%s", id)
	case state != "" && text(image, "State") != state:
		return nil, unavailable(id)
	}
	return c.region.entries(imagesFile, "ImageId", id), nil
}
