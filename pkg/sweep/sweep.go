// Package sweep carries out a plan: it takes marks off images that are kept, deregisters images and deletes their
// snapshots, marks images for removal, asks for usage reports, and returns what EC2 confirmed. It decides nothing, except
// to leave alone what turns out not to be as planned.
package sweep

import (
	"context"
	"slices"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// API is what the sweep needs of EC2.
type API interface {
	removalAPI
	markAPI
	reportAPI
}

// Orders are what a sweep needs beside the plan.
type Orders struct {
	Run          string    // The id of the run, which goes into the tags.
	Now          time.Time // Its day is the one that a veto notes.
	VersionDepth int       // How many versions of a launch template count for a usage report, 1 to 10,000; 0 is the most.

	// Recheck looks again at images that are about to be removed or disabled, at most 10 at a time, and returns the reason
	// for each that has to stay. A plan that removes or disables anything needs one.
	Recheck func(context.Context, []ami.Image) map[string]retention.Reason

	// Step is called after each image that was to be unmarked, removed or marked, with the number of those done and of all.
	Step func(done, total int)
}

// notReached is why an image was skipped for which there was no time.
const notReached = "not reached before the time of this run was up; the next run will find it again"

// Run carries out a plan, people's objections first: it unmarks, removes, marks, and sees to the usage reports. No failure
// stops what comes after it.
//
// It returns one outcome for each image that the plan deregisters or marks, in the order of the plan, and one for each
// image that is kept and for which something was to be done that failed.
//
// Nothing is begun once begin is done; what has been begun is finished, an image with its snapshots, as long as ctx lasts.
func Run(ctx, begin context.Context, api API, plan retention.Plan, orders Orders) []ami.Outcome {
	s := sweep{
		api: api, plan: plan, orders: orders,
		outcomes: make([]ami.Outcome, len(plan.Verdicts)),
		users:    map[string][]string{},
		gone:     map[string]bool{},
	}
	for _, verdict := range plan.Verdicts {
		if unmarks(verdict) || verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark {
			s.total++
		}
	}
	s.unmark(ctx, begin)
	s.remove(ctx, begin)
	s.mark(ctx, begin)
	s.report(ctx, begin)
	return slices.DeleteFunc(s.outcomes, func(outcome ami.Outcome) bool { return outcome.Status == "" })
}

// sweep is the state of one Run.
type sweep struct {
	api    API
	plan   retention.Plan
	orders Orders

	outcomes    []ami.Outcome // One for each verdict, in their order; without a status where there is nothing to say.
	done, total int           // Counted in images.

	users map[string][]string // The images to be deregistered that use a snapshot, by its id.
	gone  map[string]bool     // The images whose deregistration is confirmed.
}

// step tells that one more image is done.
func (s *sweep) step() {
	s.done++
	s.orders.Step(s.done, s.total)
}

// fail notes what could not be done for an image that is kept.
func (s *sweep) fail(i int, why string) {
	if s.outcomes[i].Status == ami.Failed {
		why = s.outcomes[i].Error + "; " + why
	}
	s.outcomes[i] = ami.Outcome{ImageID: s.plan.Verdicts[i].Image.ID, Status: ami.Failed, Error: why, Snapshots: []ami.SnapshotResult{}}
}

// unmark takes the marks off the images that are kept.
func (s *sweep) unmark(ctx, begin context.Context) {
	for i, verdict := range s.plan.Verdicts {
		if !unmarks(verdict) {
			continue
		}
		if begin.Err() != nil {
			s.fail(i, "could not be unmarked: "+notReached)
			continue
		}
		if err := Unmark(ctx, s.api, verdict.Image, verdict.Unmark == retention.Veto, s.orders.Now); err != nil {
			s.fail(i, "could not be unmarked: "+err.Error())
		}
		s.step()
	}
}

func unmarks(verdict retention.Verdict) bool {
	return verdict.Decision == retention.Keep && verdict.Unmark != retention.LeaveMark
}

// mark announces the removals to come. Images that are going to be disabled are looked at again first, like those that are
// removed: a launch that fails is not what people expect of one that they have just tagged to be kept.
func (s *sweep) mark(ctx, begin context.Context) {
	var due []int
	for i, verdict := range s.plan.Verdicts {
		if verdict.Decision == retention.Mark {
			due = append(due, i)
		}
	}
	for some := range slices.Chunk(due, batch) {
		var stay map[string]retention.Reason
		disables := func(i int) bool { return s.plan.Verdicts[i].Action == retention.Disable }
		if begin.Err() == nil && slices.ContainsFunc(some, disables) {
			stay = s.recheck(ctx, some)
		}
		s.each(begin, some, stay, func(verdict retention.Verdict) ami.Outcome { return s.markImage(ctx, verdict) })
	}
}

// each does something to each image of a batch, except those that have to stay, and what there is no time for.
func (s *sweep) each(begin context.Context, some []int, stay map[string]retention.Reason, do func(retention.Verdict) ami.Outcome) {
	for _, i := range some {
		verdict := s.plan.Verdicts[i]
		reason, stays := stay[verdict.Image.ID]
		switch {
		case stays:
			s.outcomes[i] = untouched(verdict, ami.Skipped, string(reason.Code)+": "+reason.Detail)
			s.outcomes[i].Code = string(reason.Code)
		case begin.Err() != nil:
			s.outcomes[i] = untouched(verdict, ami.Skipped, notReached)
			continue
		default:
			s.outcomes[i] = do(verdict)
		}
		s.step()
	}
}
