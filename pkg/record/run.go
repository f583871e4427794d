package record

import (
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// SchemaVersion is that of docs/schema/record.schema.json. It grows when a reader that keeps to the
// schema would misread a record; a field that is added is no such thing.
const SchemaVersion = 1

// Run is the record of one invocation. The names of its JSON fields are a contract.
type Run struct {
	SchemaVersion int    `json:"schemaVersion"`
	Run           string `json:"run"`
	// Record is an s3:// URL or a path; empty if nowhere.
	Record string `json:"record,omitempty"`
	// RecordError is why the record could not be kept.
	RecordError string `json:"recordError,omitempty"`
	Version     string `json:"version"`
	DryRun      bool   `json:"dryRun"`
	// FirstRun is false, too, if that is not known.
	FirstRun       bool              `json:"firstRun,omitempty"`
	StartedAt      time.Time         `json:"startedAt"`
	FinishedAt     time.Time         `json:"finishedAt"`
	Policy         map[string]string `json:"policy"`
	PolicySentence string            `json:"policySentence"`
	// AccountAlias is empty if the account has none, or if it could not be read.
	AccountAlias  string  `json:"accountAlias,omitempty"`
	SnapshotPrice float64 `json:"snapshotPrice"` // US dollars per GB-month.
	// ArchivePrice is in US dollars per GB-month, in the archive tier.
	ArchivePrice float64 `json:"archivePrice"`
	Sources      Sources `json:"sources"`
	// Copy is nil on a real account, or a complete copy.
	Copy    *Copy    `json:"copy,omitempty"`
	Regions []Region `json:"regions"`
	Totals  Totals   `json:"totals"`
	Since   Since    `json:"since,omitzero"`

	Reader Reader `json:"-"` // Who reads the texts about the run.

	// Changed are the settings of the policy that differ from the defaults; nil if that is not
	// known.
	Changed []Setting `json:"-"`

	// OwnersUntold are the owners who are not told of the run, because there are too many.
	OwnersUntold int `json:"-"`
}

// Setting is a variable and its value.
type Setting struct{ Variable, Value string }

// Sources names the sources of evidence, such as "references".
type Sources struct {
	// LookedUp are those asked in at least one region; empty if no image needed a lookup.
	LookedUp    []string `json:"lookedUp"`
	SwitchedOff []string `json:"switchedOff"` // By the operator; not part of the proof.

	// OtherAccounts says that use by other accounts is covered, too, by image usage reports.
	OtherAccounts bool `json:"otherAccounts,omitempty"`
}

// Lookups are the sources that were asked in one region: none if no image there needed it, or if
// the region failed.
type Lookups struct {
	LookedUp   []string `json:"lookedUp,omitempty"`
	Incomplete []string `json:"incomplete,omitempty"` // Not answered in full, or no time.
}

// Region is what happened in one region. Error is empty unless the region failed.
type Region struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Error   string `json:"error"`

	// Remedy says what to do about Error, or about Hold unless Busy; see digest.Advise.
	Remedy string `json:"remedy,omitempty"`

	// Hold is why the region was only planned; empty if it was not. Busy means that another run
	// was at work there, BusyRun, which is no fault. BusyPolicy is its policy, if that is not this
	// run's.
	Hold       string `json:"hold,omitempty"`
	Busy       bool   `json:"busy,omitempty"`
	BusyRun    string `json:"busyRun,omitempty"`
	BusyPolicy string `json:"busyPolicy,omitempty"`

	Lookups

	// BinRead means that the Recycle Bin was read after the removals: what has no exit time is not
	// in it.
	BinRead bool `json:"binRead,omitempty"`

	Images    []Image            `json:"images"`             // Stalest first.
	Leftovers []Leftover         `json:"finished,omitempty"` // By run and snapshot.
	Stale     []StaleDeclaration `json:"strays,omitempty"`   // By id.

	SharedSnapshots []SharedSnapshot `json:"sharedSnapshots,omitempty"` // By id.

	Bundles []LeftBundle `json:"bundles,omitempty"` // Those that earlier runs left.

	Orphans []Orphan `json:"orphans,omitempty"` // The largest first.

	OrphanUnmarks []OrphanUnmark `json:"orphanUnmarks,omitempty"` // By id.

	// OrphansGap is why orphans were not looked for; empty if they were, or need not be.
	OrphansGap string `json:"orphansGap,omitempty"`

	// Gaps are the missing proofs that alone keep images; what keeps most comes first.
	Gaps []Gap `json:"gaps,omitempty"`

	// RemainsGap is why nobody knows what needs some snapshots whose images are gone; empty if
	// that is known. RemainsRemedy says what to do about it.
	RemainsGap    string `json:"remainsGap,omitempty"`
	RemainsRemedy string `json:"remainsRemedy,omitempty"`
}

// Image is the verdict on one image, and what became of it.
type Image struct {
	ImageID string `json:"imageId"`
	Name    string `json:"name"`
	// Owner is the value of the tag that OWNER_TAG names.
	Owner  string `json:"owner,omitempty"`
	Region string `json:"region"`
	// Family is empty if it has none. Images of one family replace one another.
	Family         string `json:"family,omitempty"`
	Architecture   string `json:"architecture"`
	CreatedAt      string `json:"createdAt"`      // RFC 3339, or empty.
	LastLaunchedAt string `json:"lastLaunchedAt"` // RFC 3339, or empty.
	// LastUseAt is the latest of all uses on record, its creation among them. RFC 3339, or empty.
	LastUseAt string `json:"lastUseAt"`
	// IdleDays are the whole days since then; 0 if lastUseAt is empty.
	IdleDays int                `json:"idleDays"`
	Verdict  retention.Decision `json:"verdict"`
	// Reasons that came up after the plan was made come last.
	Reasons []retention.Reason `json:"reasons"`

	Storage

	// DueOn is the day on which an image that is announced is due, as 2006-01-02.
	DueOn string `json:"dueOn,omitempty"`
	// Action is what is done to it besides: what was done, or what a dry run would do.
	Action retention.GraceAction `json:"action,omitempty"`
	// Unmark is why the mark of a kept image is taken off.
	Unmark retention.Unmark `json:"unmark,omitempty"`

	// DeprecatedOn is the day on which EC2 deprecates an announced image, as 2006-01-02. It is the
	// janitor's if the action is deprecate; else somebody else has set it, and it stays.
	DeprecatedOn string `json:"deprecatedOn,omitempty"`
	// WasDisabled means that the image was disabled before this run announced it.
	WasDisabled bool `json:"wasDisabled,omitempty"`
	// CopiedTags says how it is known that a kept image carries the tags of another image's
	// removal. They are taken off.
	CopiedTags string `json:"copiedTags,omitempty"`

	// AnnouncedBy is the other policy that has announced the removal of a kept image.
	AnnouncedBy string `json:"announcedBy,omitempty"`

	Snapshots []PlannedSnapshot `json:"snapshots,omitempty"` // Only of images to be deregistered.
	// HasFailed means that an image to be deregistered was in state failed before.
	HasFailed bool `json:"hasFailed,omitempty"`
	// S3Location is the bundle that an instance-store image leaves behind.
	S3Location string `json:"s3Location,omitempty"`
	// Bundle is the verdict on that bundle, if the policy deletes bundles and the image goes.
	Bundle *PlannedBundle `json:"bundle,omitempty"`
	// Outcome is absent if there was nothing to do, and in a dry run.
	Outcome *ami.Outcome `json:"outcome,omitempty"`
}

// PlannedSnapshot is the verdict on one snapshot of an image that the run deregisters, or would.
type PlannedSnapshot struct {
	SnapshotID string          `json:"snapshotId"`
	SizeGiB    int64           `json:"sizeGiB"`
	Archived   bool            `json:"archived,omitempty"`
	Verdict    SnapshotVerdict `json:"verdict"`
	// Detail is why it is kept, or the image with which it goes, if that is another.
	Detail string `json:"detail"`

	// Apart means that it is kept for a life of its own: no image needs it once this one is gone.
	Apart bool `json:"apart,omitempty"`
}

// SnapshotVerdict is what is to happen to a snapshot.
type SnapshotVerdict string

const (
	// DeleteSnapshot means that the snapshot goes with its image.
	DeleteSnapshot SnapshotVerdict = "delete"
	// KeepSnapshot means that the snapshot stays although its image goes.
	KeepSnapshot SnapshotVerdict = "keep"
)

// NewRegion records a plan and what was done. Outcomes are matched by image id; a dry run has none.
// A kept image has one only if the run failed to do something to it, such as taking its mark off.
// OwnerTag is the key of the tag that names the owner of an image, or empty. The record shares
// the reasons of the plan. Remedies come later, from digest.Advise.
func NewRegion(plan retention.Plan, done ami.SweepResult, ownerTag string) Region {
	outcomes := slices.Clone(done.Outcomes)
	byID := make(map[string]*ami.Outcome, len(outcomes))
	for i := range outcomes {
		outcome := &outcomes[i]
		outcome.InBinUntil = wholeSecond(outcome.InBinUntil)
		outcome.Snapshots = append(make([]ami.SnapshotResult, 0, len(outcome.Snapshots)), outcome.Snapshots...)
		for j := range outcome.Snapshots {
			outcome.Snapshots[j].RestorableUntil = wholeSecond(outcome.Snapshots[j].RestorableUntil)
		}
		byID[outcome.ImageID] = outcome
	}
	region := Region{
		Account: plan.Account,
		Region:  plan.Region,
		Hold:    plan.Hold,
		Busy:    plan.Busy,
		BusyRun: plan.BusyRun,

		BusyPolicy: plan.BusyPolicy,

		BinRead:   done.BinRead,
		Images:    make([]Image, len(plan.Verdicts)),
		Leftovers: newLeftovers(plan.Leftovers, done.Leftovers),
		Stale:     newStale(plan.Stale, done.Stale),
		Bundles:   newLeftBundles(plan.Bundles, done.Bundles),
		Orphans:   newOrphans(plan.Orphans, done.Orphans),

		OrphanUnmarks: newOrphanUnmarks(plan.Unmarkings, done.Orphans),

		SharedSnapshots: newSharedSnapshots(plan.Shared),

		RemainsGap: plan.RemainsGap,
		OrphansGap: plan.OrphansGap,
	}
	for i := range plan.Verdicts {
		v := &plan.Verdicts[i]
		region.Images[i] = NewImage(v, plan.Region, byID[v.Image.ID], ownerTag)
		if plan.Busy { // Nothing is taken off there.
			region.Images[i].Unmark, region.Images[i].CopiedTags = retention.LeaveMark, ""
		}
	}
	region.noteRestorable()
	region.noteGaps(plan.Verdicts)
	return region
}

// FailedRegion records a region without a complete inventory, so that nothing was changed there.
func FailedRegion(account, region string, err error) Region {
	return Region{Account: account, Region: region, Error: err.Error(), Images: []Image{}}
}

// NewImage records the verdict on one image, and what became of it; the outcome may be nil.
func NewImage(v *retention.Verdict, region string, outcome *ami.Outcome, ownerTag string) Image {
	image := Image{
		ImageID:        v.Image.ID,
		Name:           v.Image.Name,
		Owner:          v.Image.Tags[ownerTag], // EC2 allows no empty key.
		Region:         region,
		Family:         v.Family,
		Architecture:   v.Image.Architecture,
		CreatedAt:      timestamp(v.Image.CreatedAt),
		LastLaunchedAt: timestamp(v.Image.LastLaunchedAt),
		LastUseAt:      timestamp(v.LastUse),
		IdleDays:       v.IdleDays,
		Storage:        newStorage(v),
		Verdict:        v.Decision,
		Reasons:        slices.Clip(v.Reasons),
		Unmark:         v.Unmark,
		CopiedTags:     v.CopiedTags,
		AnnouncedBy:    v.AnnouncedBy,
		Snapshots:      plannedSnapshots(v),
		HasFailed:      v.Decision == retention.Deregister && v.Image.State == "failed",
		S3Location:     v.Image.S3Location,
		Bundle:         plannedBundle(v),
		Outcome:        outcome,
	}
	image.shareTexts()
	if image.Reasons == nil {
		image.Reasons = []retention.Reason{}
	}
	if v.Decision == retention.Mark || v.Decision == retention.Keep { // Deferred is not announced.
		image.DueOn, image.Action = Date(v.Due), v.Action
		image.announceFrom(v)
	}
	image.dropUndone()
	if outcome != nil && CameUpLate(outcome.Code) {
		image.Reasons = append(image.Reasons, CameUp(*outcome))
	}
	return image
}

// shareTexts keeps one text of two equal ones.
func (i *Image) shareTexts() {
	for _, same := range []string{i.CreatedAt, i.LastLaunchedAt} {
		if i.LastUseAt == same {
			i.LastUseAt = same
		}
	}
}

func plannedSnapshots(v *retention.Verdict) []PlannedSnapshot {
	if len(v.Snapshots) == 0 {
		return nil
	}
	snapshots := make([]PlannedSnapshot, len(v.Snapshots))
	for i, s := range v.Snapshots {
		planned := PlannedSnapshot{
			SnapshotID: s.SnapshotID, SizeGiB: s.SizeGiB, Archived: s.Archived, Verdict: KeepSnapshot, Detail: s.Why, Apart: s.Apart,
		}
		if s.Delete {
			planned.Verdict = DeleteSnapshot
			if s.LastImageID != v.Image.ID {
				planned.Detail = "shared with " + s.LastImageID
			}
		}
		snapshots[i] = planned
	}
	return snapshots
}

// CameUpLate reports whether the code of an outcome is a reason that came up after the plan was
// made.
func CameUpLate(code string) bool {
	return code != "" && code != ami.OutcomeNotReached && code != ami.OutcomeHeld && code != ami.OutcomeStopped
}

// CameUp is the reason that an outcome has in its code: one that came up after the plan was made.
func CameUp(outcome ami.Outcome) retention.Reason {
	return retention.Reason{Code: retention.Code(outcome.Code), Detail: strings.TrimPrefix(outcome.Error, outcome.Code+": ")}
}

// announceFrom records what EC2 shows of an image whose removal this policy has announced.
func (i *Image) announceFrom(v *retention.Verdict) {
	fresh := v.Decision == retention.Mark
	switch {
	case v.Action == "":
	case fresh && v.Action == retention.Deprecate:
		i.DeprecatedOn = i.DueOn
	default:
		i.DeprecatedOn = Date(v.Image.DeprecatedAt)
	}
	i.WasDisabled = fresh && v.Image.State == "disabled"
}

// dropUndone leaves out what the run had to do to an image until its day, if its announcement is
// not confirmed.
func (i *Image) dropUndone() {
	if i.Outcome != nil && !i.Marked() {
		i.Action, i.DeprecatedOn, i.WasDisabled = "", "", false
	}
}

// Date is the day of a time, as 2006-01-02; empty for the zero time.
func Date(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}

// wholeSecond rounds down: a deadline never gets later.
func wholeSecond(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

func timestamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// Changes reports whether there is something to do, dry or not, or something was done. An announced
// image that waits for its day is nothing new; one whose removal is off is. A region on hold
// counts, because a person has to act; one that is left to another run does not.
func (r Run) Changes() bool {
	for _, region := range r.Regions {
		if region.Busy {
			continue
		}
		if region.Hold != "" || len(region.Stale) > 0 || slices.ContainsFunc(region.Leftovers, Leftover.isToGo) ||
			slices.ContainsFunc(region.Bundles, LeftBundle.isToGo) ||
			region.changesOrphans() || slices.ContainsFunc(region.Images, Image.isChange) {
			return true
		}
	}
	return false
}

// Failed reports whether something failed: a region, the removal or the marking of an image, the
// deletion of a snapshot, the removal of a tag, or the record. A region that was stopped has
// failed, too, and so has one on hold in a real run; one that is left to another run has not.
func (r Run) Failed() bool {
	return r.FailedRegions() > 0 || r.Totals.Failed > 0 || r.Totals.SnapshotsFailed > 0 || r.Totals.OrphansFailed() > 0 ||
		r.failedBundles() > 0 ||
		!r.DryRun && r.HeldRegions() > 0 || r.Count(Image.IsStopped) > 0 || r.countStale(StaleFailed) > 0 || r.RecordError != ""
}
