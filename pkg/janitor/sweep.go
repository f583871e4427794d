package janitor

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// sweep carries out the plans, several regions at a time, and returns what was confirmed, by
// region. A plan that could not be carried out says so afterwards.
func (j *Janitor) sweep(limits limits, id string, plan *plan) map[string]ami.SweepResult {
	names := make([]string, len(plan.regions))
	planned := map[string]retention.Plan{}
	for i, region := range plan.regions {
		names[i], planned[region.Region] = region.Region, region
	}
	step := j.watch("Removing")
	results := wire.InRegions(names, func(name string) (swept swept) {
		region := j.region(id, plan.survey, planned[name])
		region.Step = func(done, total int) { step(name, done, total) }
		swept.plan, swept.result = sweep.Run(sweep.Limits{Cutoff: limits.begin, Deadline: limits.finish, Record: limits.record}, region)
		return swept
	})
	done := map[string]ami.SweepResult{}
	for i, swept := range results {
		plan.regions[i], done[names[i]] = swept.plan, swept.result
	}
	return done
}

// swept is a plan as it was carried out, and its result.
type swept struct {
	plan   retention.Plan
	result ami.SweepResult
}

// region returns what the sweep needs to carry out the plan of one region.
func (j *Janitor) region(id string, s survey, plan retention.Plan) sweep.Region {
	return sweep.Region{
		Plan:       plan,
		Inventory:  s.inventory(plan.Region),
		Run:        id,
		Policy:     s.policy.Name,
		Now:        s.now,
		Clients:    j.clients(plan.Region),
		Lookup:     j.lookup(plan.Account, plan.Region, nil),
		Bundles:    j.bundles(plan.Account),
		RequireBin: j.Config.Policy.RequireRecycleBin,
		Watchdog:   j.watchdog,
		Journal:    s.visits[plan.Region],
	}
}
