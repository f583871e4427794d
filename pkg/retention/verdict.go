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

	ReportsWanted []string // The ids of the images about which a usage report is to be asked for, stalest first.
	ReportsDone   []string // The ids of the janitor's own usage reports that have served.

	// Hold says why nothing of the plan may be carried out; empty if it may be. An objection of a person, and what takes the
	// janitor's own tags off, is carried out all the same, except where another run is at work.
	Hold string
	Busy bool // Another run is at work in the region, or was while that was read: it is left to that one.

	BusyRun string // That other run; empty if Busy is false.

	BusyPolicy string // That run's policy, if it is another one than this.

	Leftovers []LeftoverVerdict // The snapshots that earlier runs have left undone; by run and id.
	Strays    []Stray           // Declarations of removals that are none any more; by id.
	Orphans   []Orphan          // Snapshots whose image is gone, the largest first. They are only reported.

	Shared []SharedSnapshot // The snapshots that several images map; by id.

	OrphansGap string // Why orphans were not looked for although they are to be reported; empty if they were.
	RemainsGap string // Why it is not known of some snapshots, whose images are gone, what needs them; empty if it is of all.
}

// Unlisted is why a leftover is not deleted that is not listed any more.
const Unlisted = "not listed any more"

// LeftoverVerdict is the decision on a snapshot that an earlier run was to delete.
type LeftoverVerdict struct {
	ami.Leftover
	SizeGiB   int64
	Archived  bool
	Delete    bool
	Why       string // Why it is not deleted, such as Gone; empty if it is.
	Undecided bool   // It may be deleted yet: what is not known may be known the next time.
	Apart     bool   // Nothing in it says for which image it was made: no run deletes it, and a person has to.
}

// Stray is an image or a snapshot that carries the tags with which a run has declared its removal, although that run is over
// and has not removed it.
type Stray struct {
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

	// NotLookedAt says that there are too many to ask who else may use each, or whether the image of each is gone. These are not
	// the largest.
	NotLookedAt bool
}

// Verdict is the decision on one image, with its reasons.
type Verdict struct {
	Image     ami.Image
	Decision  Decision
	Reasons   []Reason          // Never empty.
	Gaps      []ami.Gap         // All lookups that could not be completed, where unknown-use is a reason, which names three of them.
	LastUse   time.Time         // Zero if the image has no readable date.
	IdleDays  int               // The whole days since LastUse; 0 if that is zero.
	Family    string            // Of the image; empty if it has none.
	Snapshots []SnapshotVerdict // One for each snapshot of an image to be deregistered; empty for all others.

	Stored   Storage // What the image's snapshots take that the account lists.
	Freeable Storage // Those of them that only this image maps, and that no fact keeps once it is gone.

	Due    time.Time   // The day on which an image that is to be marked, or is marked, is due for removal; else zero.
	Action GraceAction // What is done besides to an image that is to be marked, or was done to one that this policy has marked; else empty.
	Unmark Unmark      // What becomes of the mark of an image that is kept.
	Undo   Undo        // What that takes.

	// CopiedTags says why a kept image carries tags of another image's removal, which come off; empty if it carries none.
	CopiedTags string

	AnnouncedBy string // The other policy that has announced the removal of a kept image; empty if none has.

	Yields bool // The image could not be removed before: it goes behind all others.
}

// Undo is what taking back an announcement takes, besides noting an objection.
type Undo struct {
	Keys           []string // The keys of the tags to take off, as they are written, in that order.
	Enable         bool     // The janitor has disabled the image.
	EndDeprecation bool     // The janitor has set its deprecation.
}

// Decision is what is to happen to an image.
type Decision string

const (
	// Keep means that at least one rule keeps the image.
	Keep Decision = "keep"
	// Deregister means that no rule keeps the image.
	Deregister Decision = "deregister"
	// Mark means that no rule keeps the image, and that its removal is to be announced first.
	Mark Decision = "mark"
	// Defer means that the image would be deregistered, but that the run's cap is reached, or that EC2 has refused not long ago.
	Defer Decision = "defer"
)

// Unmark says what becomes of the mark that an image carries although it is kept.
type Unmark string

const (
	// LeaveMark means that there is no mark, or that it stays: nothing is wrong with it.
	LeaveMark Unmark = ""
	// ClearMark means that the mark is taken off, because the policy does not remove the image any more.
	ClearMark Unmark = "clear"
	// Veto means that the mark is taken off, and the day noted as one on which the image was restored, which is a use.
	Veto Unmark = "veto"
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

	// Apart means that the snapshot has a life of its own: it is kept for that alone, and no image needs it any more.
	Apart bool
}

// Doomed returns the ids of the snapshots that a plan deletes, those among them that earlier runs have left; sorted. Of a plan that is
// held these are none.
func (p *Plan) Doomed() []string {
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
	slices.Sort(ids)
	return slices.Compact(ids)
}
