package janitor_test

// What is known and not mended, or decided to stay as it is. The tests say how they would know if one of these changed: set
// it to false, and they demand it.
const (
	// Where neither the inventory of a region nor its text could be read, the images of the others are not in doubt
	// (docs/design/0007).
	openTextOfFailedRegion = true

	// Who objects by taking off the tag with the day leaves the image deprecated on that day: nothing takes that back.
	openDeprecatedWithoutDay = true

	// An image that is announced again after an objection carries three tags: the day, the run, and when it was restored.
	openThreeTags = true
)
