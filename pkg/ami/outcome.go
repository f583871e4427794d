package ami

import "time"

// SweepResult is what a sweep did in one region, as far as AWS confirmed it. Its zero value is that
// of a dry run.
type SweepResult struct {
	// Outcomes has one for each image that the plan deregisters or marks, in the order of the plan,
	// and one for each image that is kept and for which something was to be done that failed.
	Outcomes []Outcome

	Leftovers []SnapshotResult  // One for each leftover of the plan that is to be deleted, in their order.
	Strays    map[string]string // Why the tags of a stray could not be taken off, by its id; empty if they were.
	BinRead   bool              // The Recycle Bin was read after the removals.
}

// Outcome is what AWS confirmed for one image of a sweep.
type Outcome struct {
	ImageID   string           `json:"-"`
	Code      string           `json:"-"` // A reason that came up after the plan was made, such as "used-since-planned"; else empty.
	Status    Status           `json:"status"`
	Error     string           `json:"error"`
	Refused   bool             `json:"-"` // EC2 has refused the removal: for what the image is, or for want of a permission.
	Snapshots []SnapshotResult `json:"snapshots"`

	// InBinUntil is when the image leaves the Recycle Bin for good; zero if it was not seen there. Without its snapshots it cannot be
	// restored: whether it can is in what follows, which is of a record alone.
	InBinUntil time.Time `json:"inBinUntil,omitzero"`

	// RestorableUntil is until when an undo brings the image back with all that it needs; zero if it does not, or if that is not known.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
	NotRestorable   string    `json:"notRestorable,omitempty"` // Why an undo does not bring it back, if that is known; else empty.
}

// Status says how the removal of an image ended, or its marking for removal.
type Status string

const (
	// Deregistered means that EC2 confirmed the deregistration.
	Deregistered Status = "deregistered"
	// Marked means that the image carries the date on which it is due, and what else was to be done until then.
	Marked Status = "marked"
	// Failed means that EC2 refused, or that its answer never came; Outcome.Error says which.
	Failed Status = "failed"
	// Skipped means that nothing was tried, or that there was nothing left to do; Outcome.Error says why.
	Skipped Status = "skipped"
)

// SnapshotResult is what became of one snapshot of an image.
type SnapshotResult struct {
	SnapshotID string         `json:"snapshotId"`
	Status     SnapshotStatus `json:"status"`
	Detail     string         `json:"detail"`

	// RestorableUntil is when the snapshot leaves the Recycle Bin for good; zero if it was not seen there.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
}

// SnapshotStatus says what became of a snapshot.
type SnapshotStatus string

const (
	// SnapshotDeleted means that EC2 confirmed that the snapshot is gone.
	SnapshotDeleted SnapshotStatus = "deleted"
	// SnapshotKept means that the snapshot was meant to stay, or has to after all, and did.
	SnapshotKept SnapshotStatus = "kept"
	// SnapshotFailed means that the snapshot was meant to go and that its deletion is not confirmed.
	SnapshotFailed SnapshotStatus = "failed"
)
