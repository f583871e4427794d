package ami

// TagPrefix starts the keys of all tags that the janitor reads or writes.
const TagPrefix = "ami-janitor:"

// The tags that people set and the janitor reads.
const (
	// Any value but "false" keeps; on images and snapshots.
	KeepTag       = TagPrefix + "keep"
	StaleAfterTag = TagPrefix + "stale-after" // Days; replaces the policy's own limits.
)

// The tags that the janitor writes: up to three announce a removal, two declare it, and one says
// that it is cancelled.
const (
	// DueTag has the day, as 2006-01-02, on which a marked image is due for removal.
	DueTag = TagPrefix + "due"
	// AnnouncedByTag has the id of the run that announced the removal, a blank, and the name of
	// that run's policy. It comes with DueTag, so that the janitor notices if somebody removes one
	// of them.
	AnnouncedByTag = TagPrefix + "announced-by"
	// DisabledTag has the id of the run that disabled the image, or was about to. It comes with the
	// other two.
	DisabledTag = TagPrefix + "disabled"
	// RunTag has the id of the run that declared the removal. It comes with IntentTag. Usage
	// reports carry it, too.
	RunTag = TagPrefix + "run"
	// RestoredTag has the day on which a person restored the image, or objected to its removal: it
	// counts as a use.
	RestoredTag = TagPrefix + "restored"
	// IntentTag, with the value Intent, declares that the run in RunTag plans to remove the image
	// or the snapshot. IAM allows no removal of a resource without it, and the rules of the Recycle
	// Bin match it.
	IntentTag = TagPrefix + "intent"
	// Intent is the one value of IntentTag.
	Intent = "remove"
)
