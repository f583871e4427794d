package retention

import (
	"time"

	"ami-janitor/pkg/ami"
)

// Plan is the verdict on every image of one region, stalest first.
type Plan struct {
	Account  string
	Region   string
	Verdicts []Verdict
}

// Verdict is the decision on one image, with its reasons.
type Verdict struct {
	Image     ami.Image
	Decision  Decision
	Reasons   []Reason          // Never empty.
	LastUse   time.Time         // Zero if the image has no readable date.
	Snapshots []SnapshotVerdict // One for each snapshot of an image to be deregistered; empty for all others.
}

// Decision is what is to happen to an image.
type Decision string

const (
	// Keep means that at least one rule speaks for keeping the image.
	Keep Decision = "keep"
	// Deregister means that no rule speaks for keeping the image.
	Deregister Decision = "deregister"
	// Defer means that the image would be deregistered, but that the run's cap is reached.
	Defer Decision = "defer"
)

// Reason says why a verdict is what it is.
type Reason struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// SnapshotVerdict is the decision on one snapshot of an image that is to be deregistered.
type SnapshotVerdict struct {
	SnapshotID string
	SizeGiB    int64
	Archived   bool // In the archive tier, where less than 90 days are billed as 90 (EBS User Guide).
	Delete     bool

	// LastImageID is the image with which the snapshot goes. It differs from the verdict's own image where several
	// images of one plan share the snapshot: it goes with the last of them. Empty if the snapshot is not deleted.
	LastImageID string

	// Why is a phrase that says why the snapshot is kept; empty if it is deleted.
	Why string
}
