package janitor

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/recyclebin"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
	"ami-janitor/pkg/wire"
)

// sweep carries out the plans, region beside region, and returns what was confirmed, by region. A plan that turns out not to
// be carried out says so afterwards.
func (j *Janitor) sweep(limits limits, id string, plan *plan) map[string]record.Done {
	names := make([]string, len(plan.regions))
	plans := map[string]*retention.Plan{}
	for i := range plan.regions {
		names[i] = plan.regions[i].Region
		plans[names[i]] = &plan.regions[i]
	}
	step := j.watch("Removing")
	done := map[string]record.Done{}
	for i, result := range sideBySide(names, func(name string) sweep.Result {
		return j.sweepRegion(limits, id, plan.survey, plans[name], func(done, total int) { step(name, done, total) })
	}) {
		done[names[i]] = record.Done{Outcomes: result.Outcomes, Leftovers: result.Leftovers, Strays: result.Strays, BinRead: result.BinRead}
	}
	return done
}

func (j *Janitor) sweepRegion(limits limits, id string, s survey, plan *retention.Plan, step func(done, total int)) sweep.Result {
	client := wire.EC2(j.AWS, plan.Region)
	entry, unlocked := j.begin(limits.begin, s, plan)
	look := j.lookAgain(*plan, s.inventory(plan.Region).Snapshots, id)
	orders := sweep.Orders{
		Run:          id,
		Policy:       s.policy.Name,
		Now:          s.now,
		VersionDepth: int(j.Config.LaunchTemplateVersions),
		Recheck:      look.recheck,
		Attempt:      func(context.Context, string, []string) error { return j.vigil.check() },
		Settle:       func(context.Context, ami.Outcome) {},
		Again:        func(context.Context) error { return j.vigil.check() },
		Alive:        func(context.Context) error { return cmp.Or(unlocked, j.vigil.check()) },
		InBin: func(ctx context.Context, images, snapshots []string) (map[string]time.Time, error) {
			return recyclebin.Exits(ctx, client, images, snapshots)
		},
		RequireBin:   bool(j.Config.RequireRecycleBin),
		KeepDeclared: entry != nil,
		Step:         step,

		RecheckSnapshots: look.recheckSnapshots,
	}
	if entry != nil {
		j.keepBooks(limits.record, &orders, entry)
	}
	result := sweep.Run(limits.finish, limits.begin, client, *plan, orders)
	if entry != nil {
		if plan.Hold == "" {
			finish(limits.finish, s, client, entry, *plan, result)
		}
		_ = entry.Close(limits.record, isDone(result)) // A lock that stays is old before the next night.
	}
	return result
}

// keepBooks lets a sweep note in the journal what it does, and ask whether the region is still its own before it goes on. What is left to
// be noted in the end has until record is done.
func (j *Janitor) keepBooks(record context.Context, orders *sweep.Orders, entry *journal.Entry) {
	orders.Again = func(ctx context.Context) error {
		if err := j.vigil.check(); err != nil {
			return err
		}
		return entry.KeepUp(ctx, j.Clock())
	}
	orders.Alive = func(ctx context.Context) error {
		if err := j.vigil.check(); err != nil {
			return err
		}
		return entry.Renew(ctx, j.Clock())
	}
	orders.Attempt = func(ctx context.Context, imageID string, snapshotIDs []string) error {
		if err := orders.Again(ctx); err != nil {
			return err
		}
		if err := entry.Attempt(ctx, journal.Declared{ImageID: imageID, Snapshots: snapshotIDs}); err != nil {
			return fmt.Errorf("the attempt could not be noted in the journal: %w", err)
		}
		return nil
	}
	orders.Settle = func(_ context.Context, outcome ami.Outcome) {
		// What the time to finish ends with has to be noted as well: the next run takes an attempt without an end for a removal.
		_ = entry.Settle(record, outcome) // The journal tries again in the end.
	}
	orders.Withdraw = entry.Withdraw
	recheck := orders.RecheckSnapshots
	orders.RecheckSnapshots = func(ctx context.Context, ids []string) (map[string]retention.Reason, error) {
		if err := orders.Again(ctx); err != nil {
			return nil, err
		}
		return recheck(ctx, ids)
	}
}
