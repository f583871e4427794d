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

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
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
	Journal  *journal.Region   // Nil if no journal is kept.

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
	s.deleteLeftovers(ctx)
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

	images    []*image             // One for each verdict, in their order.
	snapshots map[string]*snapshot // Those that are to be deleted, by id.
	leftovers []ami.SnapshotResult
	strays    map[string]string

	stopped string // Why no further image is removed; empty as long as that goes on.
	bin     proof
	allowed bool // EC2 has deregistered an image.
	failed  int  // How many deregistrations have failed.

	stillDeclared bool // What stays may still carry the declaration of its removal.
	stillPlanned  bool // The journal may still have an announcement that was not made.

	mu          sync.Mutex
	denied      map[string][]*image // Those that EC2 has refused for want of a permission, by what it says.
	waited      map[string]bool     // What it has said of an image of this chunk for as long as IAM may take to see tags.
	done, total int                 // Counted in images.
}

func newSweep(limits Limits, region Region) *sweep {
	region.inFlight = cmp.Or(region.inFlight, inFlight)
	s := &sweep{
		Region: region, limits: limits, api: region.Clients.EC2,
		strays: map[string]string{},
		denied: map[string][]*image{},
		waited: map[string]bool{},
	}
	s.gather()
	for _, i := range s.images {
		if i.unmarks() || i.Decision == retention.Deregister || i.Decision == retention.Mark {
			s.total++
		}
	}
	return s
}

// isLate reports whether the time to begin something is up.
func (s *sweep) isLate() bool { return s.limits.Begin.Err() != nil }

func (s *sweep) result() ami.SweepResult {
	outcomes := []ami.Outcome{}
	for _, i := range s.images {
		if i.outcome.Status != "" {
			outcomes = append(outcomes, i.outcome)
		}
	}
	return ami.SweepResult{Outcomes: outcomes, Leftovers: s.leftovers, Strays: s.strays, BinRead: s.bin.read}
}

// hold leaves everything alone that the plan would have changed.
func (s *sweep) hold() {
	for _, i := range s.images {
		if i.Decision == retention.Deregister || i.Decision == retention.Mark {
			i.skip(ami.OutcomeHeld, s.Plan.Hold)
		}
	}
}

// step tells that one more image is done. The caller holds the lock if others may do so at the same time.
func (s *sweep) step() {
	s.done++
	s.Step(s.done, s.total)
}

// unmark takes the marks off the images that are kept.
func (s *sweep) unmark(ctx context.Context) {
	for _, i := range s.images {
		if !i.unmarks() {
			continue
		}
		if s.isLate() {
			i.fail("could not be unmarked: " + notReached)
			continue
		}
		if err := Unmark(ctx, s.api, i.Image, i.Unmark == retention.Veto, i.Undo, s.Now); err != nil {
			i.fail("could not be unmarked: " + err.Error())
		} else if run := retention.Announcer(i.Image); run != "" && i.AnnouncedBy == "" {
			if err := s.session.Withdraw(ctx, i.Image.ID, run); err != nil {
				i.fail("unmarked, but not noted in the journal: " + wire.Explain(err))
			}
		}
		s.step()
	}
}

// mark announces the removals to come. Images that are going to be disabled are looked at again first, like those that are
// removed: a launch that fails is not what people expect of one that they have just tagged to be kept.
func (s *sweep) mark(ctx context.Context) {
	disables := func(i *image) bool { return i.Action == retention.Disable }
	for chunk := range slices.Chunk(s.decided(retention.Mark), chunkSize) {
		recheck := s.newRecheck(chunk)
		for some := range slices.Chunk(chunk, batch) {
			var stay map[*image]retention.Reason
			if !s.isLate() && slices.ContainsFunc(some, disables) {
				stay = recheck.look(ctx, some)
			}
			s.markBatch(ctx, some, stay)
		}
	}
}

func (s *sweep) markBatch(ctx context.Context, some []*image, stay map[*image]retention.Reason) {
	for _, i := range some {
		switch reason, stays := stay[i]; {
		case stays:
			i.stay(reason)
		case s.isLate():
			i.notReach()
			continue
		default:
			s.markImage(ctx, i)
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
		if !i.announced {
			withdrawals.Go(func() error { return s.session.Withdraw(ctx, i.Image.ID, s.Run) })
		}
	}
	if err := withdrawals.Wait(); err != nil {
		s.stillPlanned = true
	}
}

// withdrawnAtOnce is how many notes are written to the journal side by side.
const withdrawnAtOnce = 16
