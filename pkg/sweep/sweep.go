// Package sweep carries out a plan: it takes marks off images that are kept, finishes what earlier runs have left undone,
// deregisters images and deletes their snapshots, marks images for removal, asks for usage reports, and returns what EC2
// confirmed. It decides nothing, except to leave alone what turns out not to be as planned.
package sweep

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/usage"
	"ami-janitor/pkg/wire"
)

// API is what the sweep needs of EC2.
type API interface {
	removalAPI
	markAPI
	reportAPI
}

// Region is a region whose plan is to be carried out, and what that takes.
type Region struct {
	Plan      retention.Plan
	Inventory ami.Inventory // What the plan was made from.

	Run    string    // The id of the run, which goes into the tags.
	Policy string    // The name of the policy that announces.
	Now    time.Time // Its day is the one that a veto notes.

	Clients    usage.Clients
	Lookup     usage.Lookup // What is asked about use before a removal, but for the images.
	RequireBin bool         // The region stops if the first thing that is removed does not turn up in the Recycle Bin.

	Watchdog *journal.Watchdog // Over the clients.
	Visit    *journal.Visit    // Nil if no journal is kept.

	// Step is called after each image that was to be unmarked, removed or marked, with the number of those done and of all.
	Step func(done, total int)

	inFlight int // How many removals are on their way at a time.
}

// Limits are how long the parts of a sweep may take.
type Limits struct {
	Begin  context.Context // Nothing is begun once it is done.
	Finish context.Context // What has been begun is finished, an image with its snapshots, as long as it lasts.
	Record context.Context // It leaves time for the last notes in the journal.
}

// The codes of the outcomes of images that were not tried. They are no reasons of the policy.
const (
	NotReached = "not-reached" // There was no time.
	Held       = "held"        // The plan of the region is not carried out.
	Stopped    = "stopped"     // The run has stopped removing in the region.
)

// notReached is why an image was skipped for which there was no time.
const notReached = "not reached before the time of this run was up; the next run will find it again"

// Run carries out the plan of a region, people's objections first: it unmarks, finishes what was left undone, removes, marks, and
// sees to the usage reports. No failure stops what comes after it. Of a plan that is held only the first is done, and nothing of
// one whose region is left to another run. It returns the plan, held if the journal gives a reason, and what EC2 confirmed.
func Run(limits Limits, region Region) (retention.Plan, ami.SweepResult) {
	s := newSweep(limits, region)
	s.open(limits.Begin)
	s.carryOut(limits.Finish)
	_ = s.session.Close(limits.Record, s.isDone()) // A lock that stays is old before the next night.
	return s.Plan, s.result()
}

func (s *sweep) carryOut(ctx context.Context) {
	if s.Plan.Busy {
		s.hold()
		return
	}
	s.unmark(ctx)
	s.dropStrays(ctx)
	if s.Plan.Hold != "" {
		s.hold()
		return
	}
	s.finish(ctx)
	s.remove(ctx)
	s.mark(ctx)
	s.withdrawUnmade(ctx)
	s.report(ctx)
	s.findInBin(ctx)
	s.closeEarlierRuns(ctx)
}

// sweep is the state of one Run.
type sweep struct {
	Region  // Its plan is held if the journal gives a reason.
	limits  Limits
	api     API
	session *journal.Session
	recheck *recheck

	leftovers []ami.SnapshotResult
	strays    map[string]string
	users     map[string][]string // The images to be deregistered that use a snapshot which is to be deleted, by its id.
	declared  map[string]bool     // The ids of the images and snapshots whose declarations are to be taken off.
	stopped   string              // Why no further image is removed; empty as long as that goes on.
	bin       proof
	allowed   bool // EC2 has deregistered an image.
	failed    int  // How many deregistrations have failed.

	stillDeclared bool // What stays may still carry the declaration of its removal.
	stillPlanned  bool // The journal may still have an announcement that was not made.

	made map[int]bool // The verdicts whose announcements are made, or may be.

	mu          sync.Mutex
	outcomes    []ami.Outcome       // One for each verdict, in their order; without a status where there is nothing to say.
	gone        map[string]bool     // The images that are confirmed to be deregistered.
	unsure      map[string]bool     // Those that may or may not be.
	denied      map[string][]string // The images that EC2 has refused for want of a permission, by what it says.
	waited      map[string]bool     // What it has said of an image of this chunk for as long as IAM may take to see tags.
	done, total int                 // Counted in images.
}

func newSweep(limits Limits, region Region) *sweep {
	region.inFlight = cmp.Or(region.inFlight, inFlight)
	s := &sweep{
		Region: region, limits: limits, api: region.Clients.EC2, recheck: newRecheck(region),
		strays:   map[string]string{},
		users:    map[string][]string{},
		declared: map[string]bool{},
		outcomes: make([]ami.Outcome, len(region.Plan.Verdicts)),
		gone:     map[string]bool{},
		unsure:   map[string]bool{},
		denied:   map[string][]string{},
		waited:   map[string]bool{},
		made:     map[int]bool{},
	}
	for _, verdict := range s.Plan.Verdicts {
		if unmarks(verdict) || verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark {
			s.total++
		}
	}
	return s
}

// isLate reports whether the time to begin something is up.
func (s *sweep) isLate() bool { return s.limits.Begin.Err() != nil }

func (s *sweep) result() ami.SweepResult {
	outcomes := slices.DeleteFunc(s.outcomes, func(outcome ami.Outcome) bool { return outcome.Status == "" })
	return ami.SweepResult{Outcomes: outcomes, Leftovers: s.leftovers, Strays: s.strays, BinRead: s.bin.read}
}

// hold leaves everything alone that the plan would have changed.
func (s *sweep) hold() {
	for i, verdict := range s.Plan.Verdicts {
		if verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark {
			s.outcomes[i] = untouched(verdict, ami.Skipped, s.Plan.Hold)
			s.outcomes[i].Code = Held
		}
	}
}

// step tells that one more image is done. The caller holds the lock if others may do so at the same time.
func (s *sweep) step() {
	s.done++
	s.Step(s.done, s.total)
}

// fail notes what could not be done for an image that is kept.
func (s *sweep) fail(i int, why string) {
	if s.outcomes[i].Status == ami.Failed {
		why = s.outcomes[i].Error + "; " + why
	}
	s.outcomes[i] = ami.Outcome{ImageID: s.Plan.Verdicts[i].Image.ID, Status: ami.Failed, Error: why, Snapshots: []ami.SnapshotResult{}}
}

// unmark takes the marks off the images that are kept.
func (s *sweep) unmark(ctx context.Context) {
	for i, verdict := range s.Plan.Verdicts {
		if !unmarks(verdict) {
			continue
		}
		if s.isLate() {
			s.fail(i, "could not be unmarked: "+notReached)
			continue
		}
		if err := Unmark(ctx, s.api, verdict.Image, verdict.Unmark == retention.Veto, verdict.Undo, s.Now); err != nil {
			s.fail(i, "could not be unmarked: "+err.Error())
		} else if run := retention.Announcer(verdict.Image); run != "" && verdict.AnnouncedBy == "" {
			if err := s.session.Withdraw(ctx, verdict.Image.ID, run); err != nil {
				s.fail(i, "unmarked, but not noted in the journal: "+wire.Explain(err))
			}
		}
		s.step()
	}
}

func unmarks(verdict retention.Verdict) bool {
	return verdict.Decision == retention.Keep && verdict.Unmark != retention.LeaveMark
}

// mark announces the removals to come. Images that are going to be disabled are looked at again first, like those that are
// removed: a launch that fails is not what people expect of one that they have just tagged to be kept.
func (s *sweep) mark(ctx context.Context) {
	disables := func(i int) bool { return s.Plan.Verdicts[i].Action == retention.Disable }
	for chunk := range slices.Chunk(s.decided(retention.Mark), chunkSize) {
		look := s.recheck.of(s.imagesOf(chunk))
		for some := range slices.Chunk(chunk, batch) {
			var stay map[string]retention.Reason
			if !s.isLate() && slices.ContainsFunc(some, disables) {
				stay = look.again(ctx, s.imagesOf(some))
			}
			s.markBatch(ctx, some, stay)
		}
	}
}

func (s *sweep) markBatch(ctx context.Context, some []int, stay map[string]retention.Reason) {
	for _, i := range some {
		verdict := s.Plan.Verdicts[i]
		switch reason, stays := stay[verdict.Image.ID]; {
		case stays:
			s.outcomes[i] = stayed(verdict, reason)
		case s.isLate():
			s.outcomes[i] = skipped(verdict)
			continue
		default:
			s.outcomes[i], s.made[i] = s.markImage(ctx, verdict)
		}
		s.step()
	}
}

// withdrawUnmade notes of the announcements that were planned, and that no image carries, that they count for nothing: whoever may tag could
// write their tags. Where that fails the run stays unfinished, and the next one does it.
func (s *sweep) withdrawUnmade(ctx context.Context) {
	var withdrawals errgroup.Group
	withdrawals.SetLimit(withdrawnAtOnce)
	for _, i := range s.decided(retention.Mark) {
		if !s.made[i] {
			withdrawals.Go(func() error { return s.session.Withdraw(ctx, s.Plan.Verdicts[i].Image.ID, s.Run) })
		}
	}
	if err := withdrawals.Wait(); err != nil {
		s.stillPlanned = true
	}
}

// withdrawnAtOnce is how many notes are written to the journal side by side.
const withdrawnAtOnce = 16

// decided returns the verdicts with a decision, by their places in the plan.
func (s *sweep) decided(decision retention.Decision) []int {
	var places []int
	for i, verdict := range s.Plan.Verdicts {
		if verdict.Decision == decision {
			places = append(places, i)
		}
	}
	return places
}

func (s *sweep) imagesOf(verdicts []int) []ami.Image {
	images := make([]ami.Image, len(verdicts))
	for n, i := range verdicts {
		images[n] = s.Plan.Verdicts[i].Image
	}
	return images
}
