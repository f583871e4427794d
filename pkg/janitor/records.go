package janitor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
)

// openJournal returns nil if no records are to be kept.
func (j *Janitor) openJournal(account string) (*journal.Journal, error) {
	location := string(j.Config.Records)
	if location == "" && j.RecordsOf != nil {
		location = j.RecordsOf(account)
	}
	if location == "" {
		return nil, nil
	}
	books, err := journal.Open(location, j.AWS)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return books, nil
}

// changes reports whether carrying out a plan changes anything.
func changes(plan retention.Plan) bool {
	if len(plan.Strays)+len(plan.ReportsWanted)+len(plan.ReportsDone) > 0 {
		return true
	}
	for _, verdict := range plan.Verdicts {
		if verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark || verdict.Unmark != retention.LeaveMark {
			return true
		}
	}
	return slices.ContainsFunc(plan.Leftovers, func(leftover retention.LeftoverVerdict) bool { return leftover.Delete })
}

// begin notes in the journal what is going to be removed in a region, and holds the plan if that cannot be done, or if
// another run is at work there; the error says why the region is not locked. A run that has stood still takes no lock. Both are nil where nothing is noted: there is nothing
// to change, and no books are to be closed.
func (j *Janitor) begin(ctx context.Context, s survey, plan *retention.Plan) (*journal.Entry, error) {
	if s.journal == nil || plan.Busy || !changes(*plan) && len(s.inventory(plan.Region).History.Unfinished) == 0 {
		return nil, nil
	}
	if err := j.vigil.check(); err != nil { // The lock would be dated by a clock that has jumped, or by one after a sleep: the run changes nothing any more.
		plan.Hold = cmp.Or(plan.Hold, err.Error())
		return nil, err
	}
	intent := journal.Intent{Policy: s.policy.Name, Declared: declared(*plan), Announced: announced(*plan)}
	entry, err := s.visits[plan.Region].Begin(ctx, plan.Account, j.Clock(), intent)
	if busy, ok := errors.AsType[journal.ErrBusy](err); ok {
		plan.Hold, plan.Busy, plan.BusyRun = busy.Error(), true, busy.Run
		if busy.Policy != s.policy.Name {
			plan.BusyPolicy = busy.Policy
		}
	} else if err != nil {
		err = fmt.Errorf("the journal could not be written: %w", err)
		plan.Hold = cmp.Or(plan.Hold, err.Error())
	}
	return entry, err
}

// declared says which images the plan removes, each with the snapshots that go with it and with no image after it.
func declared(plan retention.Plan) []journal.Declared {
	var all []journal.Declared
	for _, verdict := range plan.Verdicts {
		if verdict.Decision != retention.Deregister || plan.Hold != "" {
			continue
		}
		one := journal.Declared{ImageID: verdict.Image.ID}
		for _, snapshot := range verdict.Snapshots {
			if snapshot.Delete && snapshot.LastImageID == verdict.Image.ID {
				one.Snapshots = append(one.Snapshots, snapshot.SnapshotID)
			}
		}
		all = append(all, one)
	}
	return all
}

// announced says which removals the plan announces. No later run goes by an announcement that is not written down here.
func announced(plan retention.Plan) []journal.Announced {
	var all []journal.Announced
	for _, verdict := range plan.Verdicts {
		if verdict.Decision == retention.Mark && plan.Hold == "" {
			all = append(all, journal.Announced{ImageID: verdict.Image.ID, Due: verdict.Due, Action: string(verdict.Action)})
		}
	}
	return all
}

// isDone reports whether nothing is left of what a sweep was to delete, and no declaration of what stays, nor an announcement in the
// plan that was not made.
func isDone(result sweep.Result) bool {
	if result.StillDeclared || result.StillPlanned {
		return false
	}
	for _, outcome := range result.Outcomes {
		if slices.ContainsFunc(outcome.Snapshots, func(s ami.SnapshotResult) bool { return s.Status == ami.SnapshotFailed }) {
			return false
		}
	}
	return true
}

// finish closes the books on those of the earlier runs of which nothing is left to be done. What cannot be noted the next run
// finds done.
func finish(ctx context.Context, s survey, client *ec2.Client, entry *journal.Entry, plan retention.Plan, result sweep.Result) {
	open := noteFinished(ctx, client, entry, plan, result)
	history := s.inventory(plan.Region).History
	addInDoubt(open, plan, result, history.Removed, s.now)
	for _, run := range history.Unfinished {
		switch isWithdrawn := withdrawUnmade(ctx, entry, s, plan.Region, run); {
		case open[run] || !isWithdrawn:
		case slices.ContainsFunc(plan.Leftovers, func(leftover retention.LeftoverVerdict) bool { return leftover.Run == run && leftover.Apart }):
			settleStaying(ctx, entry, plan, run)
		default:
			_ = s.journal.Finish(ctx, plan.Region, run)
		}
	}
}

// addInDoubt adds the runs whose declarations could not be taken off, and those whose removals EC2 may show late.
func addInDoubt(open map[string]bool, plan retention.Plan, result sweep.Result, removed map[string]string, now time.Time) {
	for _, stray := range plan.Strays {
		if failure, ok := result.Strays[stray.ID]; !ok || failure != "" {
			open[stray.Run] = true
		}
	}
	for _, verdict := range plan.Verdicts {
		if run := removed[verdict.Image.ID]; isRestored(verdict) && retention.MayBeAtWork(run, now) {
			open[run] = true
		}
	}
}

// settleStaying notes of a run of which nothing is left but what only a person can delete that its other leftovers stay. Whoever uses one
// may let go of it later: then it is theirs, and no leftover any more.
func settleStaying(ctx context.Context, entry *journal.Entry, plan retention.Plan, run string) {
	for _, leftover := range plan.Leftovers {
		if leftover.Run == run && !leftover.Apart {
			_ = entry.SettleLeftover(ctx, leftover.Leftover) // The next run tries again.
		}
	}
}

// withdrawUnmade notes of the announcements that an unfinished run had planned that those count for nothing whose tags their images do
// not carry, and reports whether all of that is noted. EC2 may show late what a run has tagged hours ago: that is left to a later run.
func withdrawUnmade(ctx context.Context, entry *journal.Entry, s survey, region, run string) bool {
	inventory, made := s.inventory(region), map[string]bool{}
	for _, image := range inventory.Images {
		made[image.ID] = retention.Announcer(image) == run
	}
	noted := true
	for _, id := range inventory.History.Announcing[run] {
		if !made[id] {
			noted = noted && !retention.MayBeAtWork(run, s.now) && entry.Withdraw(ctx, id, run) == nil
		}
	}
	return noted
}

// isRestored reports whether an image is there that a run has removed, and on which that is not noted yet. If that was only
// hours ago it may be gone all the same, because EC2 shows removals late; then its snapshots are for the next run to finish.
func isRestored(verdict retention.Verdict) bool {
	return slices.ContainsFunc(verdict.Reasons, func(reason retention.Reason) bool { return reason.Code == "restored" })
}

// noteFinished notes which leftovers of earlier runs are gone, so that they stay if a person brings them back, and returns the runs
// that have others.
func noteFinished(ctx context.Context, client *ec2.Client, entry *journal.Entry, plan retention.Plan, result sweep.Result) map[string]bool {
	open, unlisted := map[string]bool{}, goneForSure(ctx, client, plan)
	for _, leftover := range plan.Leftovers {
		gone := unlisted[leftover.SnapshotID] || slices.ContainsFunc(result.Leftovers, func(done ami.SnapshotResult) bool {
			return done.SnapshotID == leftover.SnapshotID && done.Status == ami.SnapshotDeleted
		})
		if leftover.Undecided || (leftover.Delete || leftover.Why == retention.Unlisted) && !gone {
			open[leftover.Run] = true
		}
		if gone {
			_ = entry.SettleLeftover(ctx, leftover.Leftover)
		}
	}
	return open
}

// goneForSure returns those of the leftovers that were not listed, and are gone for sure.
func goneForSure(ctx context.Context, client *ec2.Client, plan retention.Plan) map[string]bool {
	gone := map[string]bool{}
	for _, leftover := range plan.Leftovers {
		if leftover.Why != retention.Unlisted {
			continue
		}
		found, err := inventory.SnapshotsForSure(ctx, client, []string{leftover.SnapshotID})
		gone[leftover.SnapshotID] = err == nil && len(found) == 0
	}
	return gone
}

// isFirst reports whether a run is the first in a journal, as far as that is known for sure.
func isFirst(ctx context.Context, books *journal.Journal, run string) bool {
	if books == nil {
		return false
	}
	runs, err := books.Runs(ctx)
	return err == nil && !slices.ContainsFunc(runs, func(other string) bool { return other != run })
}

// archive keeps the full record of a run, of a dry one only where RECORDS says. That it could not be kept is an error of the run.
func (j *Janitor) archive(ctx context.Context, books *journal.Journal, record *record.Run) {
	if books == nil || record.DryRun && (j.Config.Records == "" || j.BorrowedRecords) {
		return
	}
	record.Record = books.Where(record.Run)
	var text bytes.Buffer
	err := record.Encode(&text, "")
	if err == nil {
		err = books.SaveRecord(ctx, record.Run, text.Bytes())
	}
	if err != nil {
		record.Record, record.RecordError = "", err.Error()
	}
}
