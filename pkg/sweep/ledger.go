package sweep

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// open notes in the journal what the run will remove in the region, and holds the plan if that
// fails or if another run is at work there. If there is nothing to change, nothing is noted.
func (s *sweep) open(ctx context.Context) {
	if s.Journal == nil || s.Plan.Busy || !s.changes() && len(s.Inventory.History.Unfinished) == 0 {
		s.session = journal.Unrecorded(s.Watchdog)
		return
	}
	var err error
	s.session, err = s.Journal.Start(ctx, s.Plan.Account, s.intent(), s.Watchdog)
	if busy, ok := errors.AsType[journal.ErrBusy](err); ok {
		s.Plan.Hold, s.Plan.Busy, s.Plan.BusyRun = busy.Error(), true, busy.Run
		if busy.Policy != s.Policy {
			s.Plan.BusyPolicy = busy.Policy
		}
	} else if err != nil {
		s.Plan.Hold = cmp.Or(s.Plan.Hold, err.Error())
	}
}

// changes reports whether carrying out the plan changes anything.
func (s *sweep) changes() bool {
	return s.total+len(s.Plan.Stale)+len(s.Plan.Bundles)+len(s.Plan.ReportsWanted)+len(s.Plan.ReportsDone) > 0 || s.hasOrphans() ||
		slices.ContainsFunc(s.Plan.Leftovers, func(leftover retention.LeftoverVerdict) bool { return leftover.Delete })
}

// intent is what the plan removes and announces. No later run acts on an announcement that is
// missing here.
func (s *sweep) intent() journal.Intent {
	intent := journal.Intent{Policy: s.Policy}
	if s.Plan.Hold != "" {
		return intent
	}
	for _, i := range s.images {
		switch i.Decision {
		case retention.Deregister:
			intent.Declared = append(intent.Declared, i.journaled())
		case retention.Mark:
			intent.Announced = append(intent.Announced, journal.Announced{ImageID: i.Image.ID, Due: i.Due, Action: string(i.Action)})
		default:
		}
	}
	return intent
}

// journaled is the image with the snapshots that go with it and not with a later image.
func (i *image) journaled() journal.Declared {
	declared := journal.Declared{ImageID: i.Image.ID}
	if i.deletesBundle() {
		declared.Bundle = &i.Bundle.Bundle
	}
	for _, snapshot := range i.Snapshots {
		if snapshot.Delete && snapshot.LastImageID == i.Image.ID {
			declared.Snapshots = append(declared.Snapshots, snapshot.SnapshotID)
		}
	}
	return declared
}

// settle notes the result of an image's removal, or why it was not tried. Results at the deadline
// must be noted as well: the next run takes an attempt without a result for a removal.
func (s *sweep) settle(i *image) {
	_ = s.session.Settle(s.limits.Record, i.outcome) // Close tries again.
}

// isDone reports whether everything to delete is gone, no kept resource carries a declaration, and
// every planned announcement was made or withdrawn.
func (s *sweep) isDone() bool {
	if s.stillDeclared || s.stillPlanned {
		return false
	}
	return !slices.ContainsFunc(s.images, func(i *image) bool {
		bundle := i.outcome.Bundle
		return len(withStatus(i.outcome.Snapshots, ami.SnapshotFailed)) > 0 || bundle != nil && bundle.Status == ami.BundleFailed
	})
}

// clearFinishedRuns clears the unfinished marker of every earlier run that has no work left. If
// that fails, the next run does it.
func (s *sweep) clearFinishedRuns(ctx context.Context) {
	open := s.settleLeftovers(ctx)
	s.addInDoubt(open)
	s.settleBundles(open)
	for _, run := range s.Inventory.History.Unfinished {
		switch isWithdrawn := s.withdrawUnmadeOf(ctx, run); {
		case open[run] || !isWithdrawn:
		case slices.ContainsFunc(s.Plan.Leftovers, func(leftover retention.LeftoverVerdict) bool { return leftover.Run == run && leftover.Apart }):
			s.settleStaying(ctx, run)
		default:
			_ = s.session.ClearUnfinished(ctx, run)
		}
	}
}

// settleLeftovers notes which leftovers of earlier runs are gone, so that they stay if a person
// restores them, and returns the runs with other leftovers.
func (s *sweep) settleLeftovers(ctx context.Context) map[string]bool {
	open, unlisted := map[string]bool{}, s.confirmedGone(ctx)
	for _, leftover := range s.Plan.Leftovers {
		gone := unlisted[leftover.SnapshotID] || slices.ContainsFunc(s.leftovers, func(done ami.SnapshotResult) bool {
			return done.SnapshotID == leftover.SnapshotID && done.Status == ami.SnapshotDeleted
		})
		if leftover.Undecided || (leftover.Delete || leftover.Why == retention.Unlisted) && !gone {
			open[leftover.Run] = true
		}
		if gone {
			_ = s.session.SettleLeftover(ctx, leftover.Leftover)
		}
	}
	return open
}

// confirmedGone returns the unlisted leftovers that EC2 confirms to be gone.
func (s *sweep) confirmedGone(ctx context.Context) map[string]bool {
	gone := map[string]bool{}
	for _, leftover := range s.Plan.Leftovers {
		if leftover.Why != retention.Unlisted {
			continue
		}
		found, err := inventory.ConfirmSnapshots(ctx, s.Clients.EC2, []string{leftover.SnapshotID})
		gone[leftover.SnapshotID] = err == nil && len(found) == 0
	}
	return gone
}

// addInDoubt adds the runs whose declarations could not be taken off, and those whose removals EC2
// may show late.
func (s *sweep) addInDoubt(open map[string]bool) {
	for _, declared := range s.Plan.Stale {
		if failure, ok := s.stale[declared.ID]; !ok || failure != "" {
			open[declared.Run] = true
		}
	}
	for _, verdict := range s.Plan.Verdicts {
		if run := s.Inventory.History.Removed[verdict.Image.ID]; isRestored(verdict) && retention.MayBeAtWork(run, s.Now) {
			open[run] = true
		}
	}
}

// isRestored reports whether an image exists although a run removed it, and does not say yet that
// it was restored. Within hours of the removal it may be gone nevertheless, because EC2 shows
// removals late; then the next run deletes its snapshots.
func isRestored(verdict retention.Verdict) bool {
	return slices.ContainsFunc(verdict.Reasons, func(reason retention.Reason) bool { return reason.Code == ami.ReasonRestored })
}

// withdrawUnmadeOf withdraws the announcements that an unfinished run planned and whose tags are
// missing from the images, and reports whether all of that is noted. EC2 may show tags late: a run
// of the last hours is left to a later run.
func (s *sweep) withdrawUnmadeOf(ctx context.Context, run string) bool {
	made := map[string]bool{}
	for _, image := range s.Inventory.Images {
		made[image.ID] = retention.Announcer(image) == run
	}
	noted := true
	for _, id := range s.Inventory.History.Announcing[run] {
		if !made[id] {
			noted = noted && !retention.MayBeAtWork(run, s.Now) && s.session.Withdraw(ctx, id, run) == nil
		}
	}
	return noted
}

// settleStaying settles the other leftovers of a run if only a person can delete the rest. They are
// in use; if their user lets go of one later, it belongs to that user, and is no leftover.
func (s *sweep) settleStaying(ctx context.Context, run string) {
	for _, leftover := range s.Plan.Leftovers {
		if leftover.Run == run && !leftover.Apart {
			_ = s.session.SettleLeftover(ctx, leftover.Leftover) // The next run tries again.
		}
	}
}
