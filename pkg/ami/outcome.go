package ami

import "time"

// SweepResult is what a sweep did in one region, as confirmed by AWS. A dry run has the zero value.
type SweepResult struct {
	// Outcomes holds one outcome for each image that the plan deregisters or marks, in the order of
	// the plan, and one for each kept image with a failed change.
	Outcomes []Outcome

	Leftovers []SnapshotResult // One for each leftover that the plan deletes, in the plan's order.
	// Why a stale declaration could not be taken off, by resource id; empty if it was.
	Stale   map[string]string
	BinRead bool // The Recycle Bin was read after the removals.

	// Bundles holds one result for each bundle that earlier runs left and the plan deletes, by the
	// id of the image.
	Bundles map[string]BundleResult

	// Orphans holds one result for each orphan that the plan deletes or announces, and for each
	// whose announcement it takes back, by id.
	Orphans map[string]OrphanResult
}

// Why a policy keeps a snapshot on purpose. This is written to journals, where later runs look for
// it.
const (
	KeepsAllSnapshots = "the policy keeps all snapshots"
	KeptByTagWords    = "tagged " // Then comes the tag.
	// NotMadeForIt ends why a snapshot of a failed image stays: somebody may have taken it.
	NotMadeForIt = "nothing says that the snapshot was made for it"
)

// OrphanResult is what became of a snapshot whose image is gone.
type OrphanResult struct {
	Status OrphanStatus
	Detail string

	RestorableUntil time.Time // When it leaves the Recycle Bin for good; zero if not seen there.
}

// OrphanStatus says what a sweep did to a snapshot whose image is gone.
type OrphanStatus string

const (
	// OrphanDeleted means that EC2 confirmed the deletion.
	OrphanDeleted OrphanStatus = "deleted"
	// OrphanAnnounced means that the snapshot carries the tags of its announcement.
	OrphanAnnounced OrphanStatus = "announced"
	// OrphanUnmarked means that the tags of its announcement were taken off.
	OrphanUnmarked OrphanStatus = "unmarked"
	// OrphanKept means that nothing was done after all.
	OrphanKept OrphanStatus = "kept"
	// OrphanFailed means that EC2 did not confirm the change.
	OrphanFailed OrphanStatus = "failed"
)

// Outcome is what AWS confirmed for one image of a sweep.
type Outcome struct {
	ImageID string `json:"-"`
	// Code is a reason that came up after the plan was made, such as "used-since-planned", or why
	// the image was not tried, such as "stopped"; else empty.
	Code   string `json:"code,omitempty"`
	Status Status `json:"status"`
	Error  string `json:"error"`
	// EC2 refused the removal: because of the image's state, or because a permission is missing.
	Refused   bool             `json:"-"`
	Snapshots []SnapshotResult `json:"snapshots"`

	// Bundle is what became of the bundle of an instance-store image; nil if it was to stay.
	Bundle *BundleResult `json:"bundle,omitempty"`

	// InBinUntil is when the image leaves the Recycle Bin for good; zero if it was not seen there.
	// Whether it can be restored depends on its snapshots too: the next two fields say so, in
	// records only.
	InBinUntil time.Time `json:"inBinUntil,omitzero"`

	// RestorableUntil is until when an undo can bring the image back completely; zero if it cannot,
	// or if that is unknown.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
	// Why an undo cannot bring it back, if that is known; else empty.
	NotRestorable string `json:"notRestorable,omitempty"`
}

// Status says how the removal of an image ended, or its marking for removal.
type Status string

const (
	// Deregistered means that EC2 confirmed the deregistration.
	Deregistered Status = "deregistered"
	// Marked means that the image carries the date on which it is due, and that the rest of the
	// announcement was made too.
	Marked Status = "marked"
	// Failed means that EC2 refused, or that its answer was lost; Outcome.Error says which.
	Failed Status = "failed"
	// Skipped means that nothing was tried, or that nothing was left to do; Outcome.Error says why.
	Skipped Status = "skipped"
)

// SnapshotResult is the result for one snapshot of an image.
type SnapshotResult struct {
	SnapshotID string         `json:"snapshotId"`
	Status     SnapshotStatus `json:"status"`
	Detail     string         `json:"detail"`

	// RestorableUntil is when the snapshot leaves the Recycle Bin for good; zero if it was not seen
	// there.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
}

// SnapshotStatus says what happened to a snapshot.
type SnapshotStatus string

const (
	// SnapshotDeleted means that EC2 confirmed that the snapshot is gone.
	SnapshotDeleted SnapshotStatus = "deleted"
	// SnapshotKept means that the snapshot was planned to stay, or had to stay after all, and did.
	SnapshotKept SnapshotStatus = "kept"
	// SnapshotFailed means that the snapshot was planned to be deleted, and that its deletion is
	// not confirmed.
	SnapshotFailed SnapshotStatus = "failed"
)
