package ami

import "time"

// RecycleBin is what the Recycle Bin of one region holds, and its retention rules. The zero value
// is a bin that was not read.
type RecycleBin struct {
	// What the policy needs is known: the images in the bin, and if it requires a bin, also the
	// rules and the snapshots.
	Read bool
	// Why it is not known, in words a person can act on; empty if nobody asked.
	Err       string
	Rules     []BinRule            // Only rules that are in force.
	Images    map[string]time.Time // When each image in the bin leaves it for good, by id.
	Snapshots map[string]time.Time // The same for snapshots.
}

// BinRule is one retention rule of the Recycle Bin. A rule with Tags covers resources that carry at
// least one of them; a rule without Tags covers all of the region, except resources that carry one
// of Excluded. If several rules cover a resource, the longest one holds (Amazon EBS User Guide,
// "Recycle Bin").
type BinRule struct {
	ID       string
	Images   bool // Covers images; else snapshots.
	Days     int  // 1 to 365.
	Tags     []Tag
	Excluded []Tag
}

// Tag is a key with a value.
type Tag struct{ Key, Value string }

// History is what the journal says about one region: what earlier runs did there, and what they
// left unfinished. A run without a journal has the zero value.
type History struct {
	// Removed holds, by image id, the runs that removed an image which exists again: each of them
	// deregistered the image, or was killed before it could note the result. The latest run counts.
	Removed map[string]string

	// Refused holds the existing images that the latest run with a plan to remove them did not
	// remove, by id.
	Refused map[string]Refusal

	// NotAttempted holds the unfinished runs that declared the removal of an image or a snapshot,
	// and certainly did not remove it, by the id of either; sorted.
	NotAttempted map[string][]string

	// Leftovers are the snapshots that unfinished runs planned to delete, and whose deletion is not
	// confirmed; by run and id.
	Leftovers []Leftover

	// Bundles are the bundles that unfinished runs planned to delete, and whose deletion is not
	// confirmed.
	Bundles []LeftoverBundle

	// Planned holds the images whose removal each unfinished run planned, by run.
	Planned map[string][]string

	// Announcing holds the images whose removal each unfinished run planned to announce, by run,
	// without withdrawn announcements.
	Announcing map[string][]string

	// Unfinished are the runs that were killed before they could finish; sorted.
	Unfinished []string

	// Announced holds what runs of this journal wrote down, in advance, about the announcements
	// that images carry as tags, by image id. An announcement that is missing here is only a claim:
	// anybody who may tag can write one.
	Announced map[string]Announcement

	// Strangers are runs that declared removals, according to tags, but have no plan for the region
	// in the journal: they belong to another policy, or to nobody. It is nil without a journal, to
	// which every run is a stranger.
	Strangers map[string]bool

	// Busy says which other run is at work in the region, or was since this run started reading it;
	// empty if there is none.
	Busy string
	// BusyPolicy is the name of that run's policy; empty if it is unknown.
	BusyPolicy string

	// Orphans is what the journal says about snapshots whose image is gone; nil without a journal,
	// and if the policy removes none.
	Orphans *Orphans
}

// Orphans is what the journal says about the snapshots of a region whose image is gone.
type Orphans struct {
	Seen map[string]SeenOrphan // What this policy has noted, by the id of the snapshot.

	// Removals are what runs noted about removals of images that are gone, by the id of the image;
	// the latest run comes last.
	Removals map[string][]PastRemoval
}

// SeenOrphan is since when a policy has seen a snapshot without its image, and what it announced.
type SeenOrphan struct {
	ImageID string    // The image for which the snapshot was made.
	Since   time.Time // The start of the first of the runs that saw it so without a gap,
	SeenAt  time.Time // and of the last.

	Run string    // The run that announced its removal; empty if none has.
	Due time.Time // When the grace period ends, to the second; zero without an announcement.

	// Stays is what a run noted about the removal of its image that keeps it for good: that note
	// expires with the records. Empty if nothing does.
	Stays string
}

// PastRemoval is what a run noted about its removal of an image.
type PastRemoval struct {
	Run       string
	Confirmed bool              // EC2 confirmed that it deregistered the image.
	Kept      []string          // The snapshots of the image that stayed; sorted.
	OnPurpose map[string]string // Why those stayed that the policy kept on purpose, by id.
	Going     []string          // Those that went with it, or were to go; sorted.
}

// Announcement is what a run wrote down about a removal before it announced it.
type Announcement struct {
	Run    string
	Policy string // The name of the policy that announced it.
	// When the grace period ends, to the second. The tag on the image has only its day.
	Due    time.Time
	Action string // What else the run planned to do to the image, as in GRACE_ACTION.
}

// Refusal is why the latest run with a plan to remove an image did not remove it.
type Refusal struct {
	Run   string
	At    time.Time // When that run began.
	Error string    // Why the image was not removed.

	// ByEC2 says that EC2 refused. Otherwise the removal failed for a reason that may pass, such as
	// throttling, or because the image changed and the policy has to judge it again.
	ByEC2 bool
}

// Leftover is a snapshot that a run planned to delete, and whose deletion is not confirmed.
type Leftover struct {
	Run        string
	ImageID    string // The image with which it was planned to be deleted.
	SnapshotID string
}
