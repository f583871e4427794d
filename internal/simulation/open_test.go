package simulation

// What is known to be wrong. Set one to false, and the schedules demand that it is right.
const (
	// A region whose last image is gone, and that has snapshots of images, cannot be read (inventory.Read), so that what a
	// killed run has left there is never finished. Every account of a schedule has an image that stays.
	openEmptyRegion = true
)
