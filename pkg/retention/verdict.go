package retention

import (
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Plan is the verdict on every image of one region, stalest first.
type Plan struct {
	Account  string
	Region   string
	Verdicts []Verdict

	ReportsWanted []string // The ids of the images to request a usage report for, stalest first.
	ReportsDone   []string // The ids of the janitor's own obsolete usage reports.

	// Hold says why nothing of the plan may be carried out; empty if it may. A person's objection,
	// and the removal of the janitor's own tags, are carried out even so, unless another run is at
	// work.
	Hold string
	// Another run is at work in the region, or was while the region was read: the region is left to
	// that run.
	Busy bool

	BusyRun string // That other run; empty if Busy is false.

	BusyPolicy string // That run's policy, if it is another one than this.

	Leftovers []LeftoverVerdict  // The snapshots that earlier runs left; by run and id.
	Bundles   []BundleLeftover   // The bundles that earlier runs left.
	Stale     []StaleDeclaration // Declarations that no run is at work on; by id.
	// Snapshots whose image is gone, the largest first.
	Orphans []Orphan
	// The announced orphans whose announcement is taken back; by id. Nil if orphans are only
	// reported.
	Unmarkings []Unmarking
	// What the journal is to say about snapshots without their images before any of them is
	// changed, by their ids; nil if it says nothing of them.
	OrphansSeen map[string]ami.SeenOrphan
	// OrphansInDoubt are those that something may need: a lookup failed.
	OrphansInDoubt []string

	Shared []SharedSnapshot // The snapshots that several images map; by id.

	OrphansGap string // Why requested orphans were not looked for; empty if they were.
	// Why it is not known for some snapshots without an image what needs them; empty if it is known
	// for all.
	RemainsGap string
}

// Unlisted is why an unlisted leftover is not deleted.
const Unlisted = "not listed any more"

// LeftoverVerdict is the decision on a leftover.
type LeftoverVerdict struct {
	ami.Leftover
	SizeGiB   int64
	Archived  bool
	Delete    bool
	Why       string // Why it is not deleted, such as Unlisted; empty if it is.
	Undecided bool   // A later run may delete it: what is unknown now may be known then.
	// It does not say for which image it was made: no run deletes it, and a person has to.
	Apart bool
}

// StaleDeclaration is an image or a snapshot with the tags by which a run declared its removal,
// although that run has ended and has not removed it.
type StaleDeclaration struct {
	ID   string   // Of an image or a snapshot.
	Run  string   // The run that the tags name; empty if they name none.
	Keys []string // The keys of the tags to be taken off, as they are written; sorted.
}

// Orphan is a snapshot that was made for an image of the account which is gone.
type Orphan struct {
	SnapshotID string
	ImageID    string
	SizeGiB    int64
	Archived   bool
	StartedAt  time.Time

	// NotLookedAt says that there are too many orphans to ask for each who else may use it, or
	// whether its image is gone. The largest are always asked for.
	NotLookedAt bool

	Imported bool // VM Import made it for an image, which its description does not name.

	// The rest is for a policy that removes orphans: Keep, Mark, Deregister, which deletes it, or
	// Defer; else empty.
	Decision Decision
	Why      string    // Why it stays, or waits; empty if it does not.
	Due      time.Time // Of one to mark, or a marked one; else zero.
	// What the journal is to say of it if it stays; zero without a journal.
	Seen ami.SeenOrphan
}

// Verdict is the decision on one image, with its reasons.
type Verdict struct {
	Image    ami.Image
	Decision Decision
	Reasons  []Reason // Never empty.
	// All lookups that could not be completed, if unknown-use is a reason, whose text names three
	// of them.
	Gaps     []ami.Gap
	LastUse  time.Time // Zero if the image has no readable date.
	IdleDays int       // The whole days since LastUse; 0 if that is zero.
	Family   string    // Of the image; empty if it has none.
	// One for each snapshot of an image to be deregistered; empty for others.
	Snapshots []SnapshotVerdict

	// Of an instance-store image to be deregistered, if the policy deletes bundles; else nil.
	Bundle *BundleVerdict

	Stored Storage // What the image's snapshots take that the account lists.
	// Those of them that only this image maps, and that no fact keeps once it is gone.
	Freeable Storage

	// The day on which an image to mark, or a marked image, is due for removal; else zero.
	Due time.Time
	// The grace action for an image to mark, or of one that this policy marked; else empty.
	Action GraceAction
	Unmark Unmark // What happens to the mark of a kept image.
	Undo   Undo   // How to do that.

	// CopiedTags says why a kept image carries tags of another image's removal, which are taken
	// off; empty if it carries none.
	CopiedTags string

	// The other policy that announced the removal of a kept image; empty if none has.
	AnnouncedBy string

	Yields bool // The image could not be removed before: it comes last.

	// Awaits is what becomes of an image that is not looked up, Deregister or Mark, if nothing is
	// found that refers to it; else empty.
	Awaits  Decision
	LookUp  bool // A plan can only be carried out once this image is looked up.
	IsAhead bool // It comes within the cap once the images before it are gone.
}

// Undo is how to take back an announcement, besides noting an objection.
type Undo struct {
	Keys           []string // The keys of the tags to take off, as they are written, in this order.
	Enable         bool     // The janitor disabled the image.
	EndDeprecation bool     // The janitor set its deprecation.
}

// Decision is what to do with an image.
type Decision string

const (
	// Keep means that at least one rule keeps the image.
	Keep Decision = "keep"
	// Deregister means that no rule keeps the image.
	Deregister Decision = "deregister"
	// Mark means that no rule keeps the image, and that its removal has to be announced first.
	Mark Decision = "mark"
	// Defer means that the image would be deregistered, but the run's cap is reached, or EC2
	// refused recently.
	Defer Decision = "defer"
)

// Unmark says what happens to the mark of a kept image.
type Unmark string

const (
	// LeaveMark means that there is no mark, or that a valid one stays.
	LeaveMark Unmark = ""
	// ClearMark means that the mark is taken off, because the policy no longer removes the image.
	ClearMark Unmark = "clear"
	// Veto means that the mark is taken off, and the day is noted as a restore, which is a use.
	Veto Unmark = "veto"
)

// Reason says why a verdict is what it is.
type Reason struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// SnapshotVerdict is the decision on one snapshot of an image to be deregistered.
type SnapshotVerdict struct {
	SnapshotID string
	SizeGiB    int64
	// In the archive tier, where less than 90 days are billed as 90 (EBS User Guide).
	Archived bool
	Delete   bool

	// LastImageID is the image with which the snapshot is deleted. It differs from the verdict's
	// own image if several images of one plan share the snapshot: it goes with the last of them.
	// Empty if the snapshot is not deleted.
	LastImageID string

	// Why is a phrase that says why the snapshot is kept; empty if it is deleted.
	Why string

	// Apart means that the snapshot has a life of its own: it is kept for that reason only, and no
	// image needs it any longer.
	Apart bool
}

// SnapshotsToDelete returns the ids of the snapshots that a plan deletes, leftovers included;
// sorted. A plan on hold deletes none.
func (p *Plan) SnapshotsToDelete() []string {
	if p.Hold != "" {
		return nil
	}
	var ids []string
	for i := range p.Verdicts {
		for _, snapshot := range p.Verdicts[i].Snapshots {
			if snapshot.Delete {
				ids = append(ids, snapshot.SnapshotID)
			}
		}
	}
	for _, leftover := range p.Leftovers {
		if leftover.Delete {
			ids = append(ids, leftover.SnapshotID)
		}
	}
	for i := range p.Orphans {
		if p.Orphans[i].Decision == Deregister {
			ids = append(ids, p.Orphans[i].SnapshotID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
