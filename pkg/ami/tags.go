package ami

// TagPrefix begins the keys of all tags that the janitor reads or writes.
const TagPrefix = "ami-janitor:"

// The tags that people set for the janitor to read.
const (
	KeepTag       = TagPrefix + "keep"        // Any value but "false" keeps; on images and snapshots.
	StaleAfterTag = TagPrefix + "stale-after" // Days; takes the place of the policy's own limits.
)

// The tags that the janitor writes: up to three announce a removal, two declare it, and one notes
// that it is off.
const (
	// DueTag has the day, as 2006-01-02, on which an image that is marked for removal is due.
	DueTag = TagPrefix + "due"
	// AnnouncedByTag has the id of the run that announced the removal, a blank, and the name of
	// that run's policy. It stands beside DueTag, so that a person who takes one of them off is
	// noticed.
	AnnouncedByTag = TagPrefix + "announced-by"
	// DisabledTag has the id of the run that has disabled the image, or was about to. It stands
	// beside the other two.
	DisabledTag = TagPrefix + "disabled"
	// RunTag has the id of the run that declared the removal. It stands beside IntentTag. It is on
	// usage reports, too.
	RunTag = TagPrefix + "run"
	// RestoredTag has the day on which a person brought the image back, or objected to its removal:
	// a use.
	RestoredTag = TagPrefix + "restored"
	// IntentTag, with the value Intent, declares that the run in RunTag means to remove the image
	// or the snapshot. IAM allows no removal of a resource without it, and the rules of the Recycle
	// Bin match it.
	IntentTag = TagPrefix + "intent"
	// Intent is the one value of IntentTag.
	Intent = "remove"
)
