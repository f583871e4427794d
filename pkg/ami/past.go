package ami

import "time"

// RecycleBin is what the Recycle Bin of one region holds, and what it is told to hold. Its zero value is a bin that was not
// looked at.
type RecycleBin struct {
	Read      bool                 // What the policy needs of it is known: the images in the bin, and where it requires a bin also the rules and the snapshots.
	Err       string               // Why they are not, in words a person can act on; empty if nobody asked.
	Rules     []BinRule            // Only those that are in force.
	Images    map[string]time.Time // When each image in the bin leaves it for good, by id.
	Snapshots map[string]time.Time // The same for snapshots.
}

// BinRule is one retention rule of the Recycle Bin. A rule with Tags covers resources that carry at least one of them; a
// rule without covers all of the region, except those that carry one of Excluded. Of the rules that cover a resource the
// longest one holds (Amazon EBS User Guide, "Recycle Bin").
type BinRule struct {
	ID       string
	Images   bool // Covers images; else snapshots.
	Days     int  // 1 to 365.
	Tags     []Tag
	Excluded []Tag
}

// Tag is a key with a value.
type Tag struct{ Key, Value string }

// History is what the journal says of one region: what earlier runs have done there, and left undone. Its zero value is that
// of a run without a journal.
type History struct {
	// Removed has the runs that have removed an image which is there again, by image id: each of them has deregistered the
	// image, or was ended before it could note whether it had. The latest run counts.
	Removed map[string]string

	// Refused has the images that are there and that the latest run which was to remove them has not removed, by id.
	Refused map[string]Refusal

	// Unbegun has the unfinished runs that declared the removal of an image or a snapshot, and are known not to have removed
	// it, by the id of either; sorted.
	Unbegun map[string][]string

	// Leftovers are the snapshots that unfinished runs were to delete, and that are not known to be deleted; by run and id.
	Leftovers []Leftover

	// Planned has the images whose removal each unfinished run had planned, by the run.
	Planned map[string][]string

	// Announcing has the images whose removal each unfinished run had planned to announce, by the run; not those that are withdrawn.
	Announcing map[string][]string

	// Unfinished are the runs that were ended before they could finish; sorted.
	Unfinished []string

	// Announced has what runs of this journal have written down, before they did it, of the announcements that images carry by their
	// tags, by image id. An announcement that is missing here is no more than a claim: whoever may tag can write one.
	Announced map[string]Announcement

	// Strangers are runs that have declared removals, as tags say, and of which the journal has no plan for the region: those of another
	// policy, or nobody's. It is nil without a journal, to which every run is one.
	Strangers map[string]bool

	// Busy says which other run is at work in the region, or has been since it was begun to be read; empty if none is.
	Busy string
	// BusyPolicy is the name of that run's policy; empty if it is not known.
	BusyPolicy string
}

// Announcement is what a run has written down of a removal that it was about to announce.
type Announcement struct {
	Run    string
	Policy string    // The name of the policy that announced it.
	Due    time.Time // When the time of grace is over, to the second. The tag on the image has its day alone.
	Action string    // What the run was to do to the image besides, as GRACE_ACTION has it.
}

// Refusal is how the latest run that was to remove an image has come to leave it.
type Refusal struct {
	Run   string
	At    time.Time // When that run began.
	Error string    // Why the image was not removed.

	// ByEC2 says that EC2 has refused. Else the removal came to nothing for a reason that may pass by itself, such as
	// throttling, or a change of the image that the policy judges anew.
	ByEC2 bool
}

// Leftover is a snapshot that a run was to delete, and is not known to have deleted.
type Leftover struct {
	Run        string
	ImageID    string // The image it was to go with.
	SnapshotID string
}
