package record

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// MainReason returns the first reason: the rules come in the order of their table, which goes from
// facts that nothing can change to evidence that can.
func (i Image) MainReason() retention.Reason {
	if len(i.Reasons) == 0 {
		return retention.Reason{}
	}
	return i.Reasons[0]
}

// Reason returns the reason with a code, and whether the image has it.
func (i Image) Reason(code retention.Code) (retention.Reason, bool) {
	at := slices.IndexFunc(i.Reasons, func(reason retention.Reason) bool { return reason.Code == code })
	if at < 0 {
		return retention.Reason{}, false
	}
	return i.Reasons[at], true
}

// What became of an image, as AWS confirmed it.

// Removed reports whether AWS confirmed the deregistration.
func (i Image) Removed() bool { return i.Outcome != nil && i.Outcome.Status == ami.Deregistered }

// Marked reports whether this run announced the removal of the image.
func (i Image) Marked() bool { return i.Outcome != nil && i.Outcome.Status == ami.Marked }

// Skipped reports whether the run left the image alone although it was to act on it.
func (i Image) Skipped() bool { return i.Outcome != nil && i.Outcome.Status == ami.Skipped }

// Failed reports whether AWS did not confirm what the run had to do. A status that nobody knows is
// no confirmation.
func (i Image) Failed() bool { return i.Outcome != nil && !i.Removed() && !i.Marked() && !i.Skipped() }

// FailedToRemove reports whether the removal of the image failed.
func (i Image) FailedToRemove() bool {
	return i.Failed() && i.Verdict != retention.Mark && i.Verdict != retention.Keep
}

// FailedToMark reports whether the announcement of its removal failed.
func (i Image) FailedToMark() bool { return i.Failed() && i.Verdict == retention.Mark }

// FailedToUnmark reports whether the announcement could not be taken back.
func (i Image) FailedToUnmark() bool {
	return i.Failed() && i.Verdict == retention.Keep && i.Unmark != retention.LeaveMark
}

// FailedToAsk reports whether AWS did not accept the request for a usage report.
func (i Image) FailedToAsk() bool {
	return i.Failed() && i.Verdict == retention.Keep && i.Unmark == retention.LeaveMark
}

// NotReached reports whether there was no time for the image.
func (i Image) NotReached() bool { return i.Skipped() && i.Outcome.Code == ami.OutcomeNotReached }

// IsStopped reports whether its region was stopped before the run came to the image.
func (i Image) IsStopped() bool { return i.Skipped() && i.Outcome.Code == ami.OutcomeStopped }

// IsRestorable reports whether it is known that a removed image can be brought back with all that
// it needs.
func (i Image) IsRestorable() bool { return i.Removed() && !i.Outcome.RestorableUntil.IsZero() }

// IsLost reports whether it is known that a removed image cannot be brought back.
func (i Image) IsLost() bool { return i.Removed() && i.Outcome.NotRestorable != "" }

// What is planned for an image that has no outcome.

// Planned reports whether the run will deregister the image.
func (i Image) Planned() bool { return i.Outcome == nil && i.Verdict == retention.Deregister }

// ToBeMarked reports whether the run will announce its removal.
func (i Image) ToBeMarked() bool { return i.Outcome == nil && i.Verdict == retention.Mark }

// IsNew reports whether this run announces the removal of the image, or would.
func (i Image) IsNew() bool { return i.Marked() || i.ToBeMarked() }

// Deferred reports whether the image is left for a later run.
func (i Image) Deferred() bool { return i.Outcome == nil && i.Verdict == retention.Defer }

// RefusedBefore reports whether the image waits because EC2 has refused its removal.
func (i Image) RefusedBefore() bool {
	_, ok := i.Reason(ami.ReasonRefused)
	return ok && i.Deferred()
}

// Waiting reports whether the image waits because of the cap.
func (i Image) Waiting() bool { return i.Deferred() && !i.RefusedBefore() }

// Unasked reports whether the image waits to be looked up: it looks stale, and that is no proof. It
// is kept like others, and is in no saving.
func (i Image) Unasked() bool {
	_, ok := i.Reason(ami.ReasonNotLookedUp)
	return ok && i.Deferred()
}

// WhyKept is the reason that keeps an image: one that came up late, or else the first.
func (i Image) WhyKept() retention.Code {
	switch {
	case i.Skipped() && CameUpLate(i.Outcome.Code):
		return retention.Code(i.Outcome.Code)
	case i.Unasked():
		return ami.ReasonNotLookedUp
	default:
		return i.MainReason().Code
	}
}

// Kept reports whether the image is kept, and the run did all that it had to do for it.
func (i Image) Kept() bool { return i.Outcome == nil && i.Verdict == retention.Keep }

// LeftAlone reports whether something would have been done to an image of a region that was only
// planned. Without an outcome the image is that of a dry run.
func (i Image) LeftAlone() bool { return i.Skipped() || i.Planned() || i.ToBeMarked() }

// Why an image is kept.

// Announced reports whether the removal was announced before, and is not yet due.
func (i Image) Announced() bool { return i.Kept() && i.MainReason().Code == ami.ReasonAnnounced }

// AnnouncedElsewhere reports whether another policy has announced the removal.
func (i Image) AnnouncedElsewhere() bool {
	return i.Kept() && i.AnnouncedBy != "" && i.Unmark == retention.LeaveMark
}

// Vetoed reports whether somebody objected to the removal that this policy has announced.
func (i Image) Vetoed() bool {
	return i.Kept() && i.Unmark == retention.Veto && !i.IsNoted() && i.AnnouncedBy == ""
}

// ObjectedElsewhere reports whether this run objects to the removal that another policy has
// announced.
func (i Image) ObjectedElsewhere() bool {
	return i.Kept() && i.AnnouncedBy != "" && i.Unmark == retention.Veto && !i.IsNoted()
}

// Cleared reports whether the announced removal is off because the policy no longer removes the
// image.
func (i Image) Cleared() bool {
	return i.Kept() && i.Unmark == retention.ClearMark && i.CopiedTags == ""
}

// Copied reports whether the image carries the tags of another image's removal.
func (i Image) Copied() bool { return i.Kept() && i.CopiedTags != "" && i.Unmark != retention.Veto }

// IsNoted reports whether the day is noted on an image that was restored.
func (i Image) IsNoted() bool {
	_, ok := i.Reason(ami.ReasonRestored)
	return ok && i.Kept() && i.Unmark == retention.Veto
}

// IsBack reports whether an earlier run has removed the image, and it exists again.
func (i Image) IsBack() bool { return i.IsNoted() && !i.IsOldForm() }

// IsOldForm reports whether the image only carries an announcement by an earlier version.
func (i Image) IsOldForm() bool {
	reason, _ := i.Reason(ami.ReasonRestored)
	return i.IsNoted() && reason.Detail == retention.OldForm
}

// LaunchDataMissing reports whether the image is kept because EC2 reports no launches at all.
func (i Image) LaunchDataMissing() bool {
	_, ok := i.Reason(ami.ReasonLaunchDataMissing)
	return ok && i.Kept()
}

// UnknownUse reports whether the image is kept because a lookup was not complete.
func (i Image) UnknownUse() bool { return i.Kept() && i.MainReason().Code == ami.ReasonUnknownUse }

// NotLookedUp reports whether there was no time to look up the image. It does not count listings
// that were not reached: a later run would not reach them either.
func (i Image) NotLookedUp() bool {
	rest := aboutTheImage.Replace(i.MainReason().Detail)
	return i.UnknownUse() && rest != i.MainReason().Detail && !strings.Contains(rest, ami.NotReached)
}

// aboutTheImage drops from a reason the lookups that are made image by image and were not reached.
var aboutTheImage = strings.NewReplacer("launch permissions: "+ami.NotReached, "", "references: "+ami.NotReached, "", ami.SharingNotReached, "")

// Unproven reports whether only a missing proof keeps the image: that nothing needs it, or that it
// could be restored. An image that waits for a usage report is not unproven: the run has asked for
// the report, and nobody else has to act.
func (i Image) Unproven() bool {
	if i.Skipped() {
		return retention.Code(i.Outcome.Code).IsUnproven()
	}
	return i.Kept() && i.WhyUnproven().Code != "" && !slices.ContainsFunc(i.Reasons, func(reason retention.Reason) bool { return !reason.Code.IsUnproven() })
}

// WhyUnproven is the first reason that makes the image unproven, apart from a pending usage report.
func (i Image) WhyUnproven() retention.Reason {
	at := slices.IndexFunc(i.Reasons, func(reason retention.Reason) bool {
		return reason.Code.IsUnproven() && reason.Code != ami.ReasonUsageReportPending
	})
	if at < 0 {
		return retention.Reason{}
	}
	return i.Reasons[at]
}

// isChange reports whether the plan has something to do to the image, or something was done.
func (i Image) isChange() bool {
	return i.Verdict != retention.Keep && !i.Unasked() || i.Outcome != nil || i.Unmark != retention.LeaveMark
}
