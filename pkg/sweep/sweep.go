// Package sweep carries out a plan: it takes marks off kept images, finishes the work of earlier
// runs, deregisters images and deletes their snapshots, marks images for removal, asks for usage
// reports, and returns what EC2 confirmed. Its only decision is to leave alone what has changed
// since the plan.
package sweep

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// API is the part of EC2's API for a sweep.
type API interface {
	removalAPI
	markAPI
	reportAPI
}

// Region is a region whose plan is carried out, and everything needed for that.
type Region struct {
	Plan      retention.Plan
	Inventory ami.Inventory // The facts behind the plan.

	Run    string    // The id of the run, which goes into the tags.
	Policy string    // The name of the policy that announces.
	Now    time.Time // A veto notes its day.

	Clients    usage.Clients
	Lookup     usage.Lookup // What to ask about use before a removal, without the images.
	Bundles    *bundle.Store
	RequireBin bool // The region stops if its first removal is not seen in the Recycle Bin.

	Watchdog *journal.Watchdog // Over the clients.
	Journal  *journal.Region   // Nil if no journal is kept.

	// Step is called after each image to unmark, remove or mark, with the number of finished images
	// and the total.
	Step func(done, total int)

	inFlight int // How many removals run at a time.
}

// Limits are the time limits of the parts of a sweep.
type Limits struct {
	Cutoff context.Context // Nothing is started after it.
	// What was started is finished until then, an image with its snapshots.
	Deadline context.Context
	Record   context.Context // It leaves time for the last notes in the journal.
}

// notReached is why an image was skipped that there was no time for.
const notReached = "not reached before the time of this run was up; the next run will find it again"

// Run carries out the plan of a region, people's objections first: it unmarks, finishes the work of
// earlier runs, removes, marks, and manages the usage reports. A failure does not stop the later
// steps. If the plan is on hold, only tags are taken off; if another run is at work in the region,
// nothing is done. It returns the plan, on hold if the journal gives a reason, and what EC2
// confirmed.
func Run(limits Limits, region Region) (retention.Plan, ami.SweepResult) {
	s := newSweep(limits, region)
	s.open(limits.Cutoff)
	s.carryOut(limits.Deadline)
	// If the release fails, the lock expires before the next scheduled run.
	_ = s.session.Close(limits.Record, s.isDone())
	return s.Plan, s.result()
}

func (s *sweep) carryOut(ctx context.Context) {
	if s.Plan.Busy {
		s.hold()
		return
	}
	if s.holdIfStopped(ctx); s.stopped == "" {
		s.unmark(ctx)
		s.clearStale(ctx)
	}
	if s.holdIfStopped(ctx); s.Plan.Hold != "" {
		s.hold()
		return
	}
	s.deleteLeftovers(ctx)
	s.deleteLeftBundles(ctx)
	s.remove(ctx)
	s.mark(ctx)
	s.withdrawUnmade(ctx)
	s.sweepOrphans(ctx)
	if s.session.Stopped(ctx) == nil {
		s.report(ctx)
	}
	s.findInBin(ctx)
	s.clearFinishedRuns(ctx)
}

// sweep is the state of one Run.
type sweep struct {
	Region  // Its plan is held if the journal gives a reason.
	limits  Limits
	api     API
	session *journal.Session

	images    []*image             // One for each verdict, in their order.
	snapshots map[string]*snapshot // Those to delete, by id.
	leftovers []ami.SnapshotResult
	bundles   map[string]ami.BundleResult // That earlier runs left, by the id of the image.
	stale     map[string]string
	orphans   map[string]ami.OrphanResult // By id; nil if they are only reported.
	// Those of them that the second look has not reached.
	unseenOrphans map[string]bool

	stopped string // Why no further image is removed; empty while removals go on.
	bin     proof
	allowed bool // EC2 has deregistered an image.
	failed  int  // How many deregistrations have failed.

	stillDeclared bool // A kept resource may still carry a removal declaration.
	stillPlanned  bool // The journal may still have an announcement that was not made.

	mu sync.Mutex
	// Images refused because of a missing permission, by EC2's text.
	denied map[string][]*image
	// EC2's refusals in this chunk that lasted longer than IAM may take to see tags.
	waited      map[string]bool
	done, total int // Counted in images.
}

func newSweep(limits Limits, region Region) *sweep {
	region.inFlight = cmp.Or(region.inFlight, inFlight)
	s := &sweep{
		Region: region, limits: limits, api: region.Clients.EC2,
		bundles: map[string]ami.BundleResult{},
		stale:   map[string]string{},
		denied:  map[string][]*image{},
		waited:  map[string]bool{},
	}
	s.gather()
	for _, i := range s.images {
		if i.unmarks() || i.Decision == retention.Deregister || i.Decision == retention.Mark {
			s.total++
		}
	}
	return s
}

// isLate reports whether it is too late to start something.
func (s *sweep) isLate() bool { return s.limits.Cutoff.Err() != nil }

func (s *sweep) result() ami.SweepResult {
	outcomes := []ami.Outcome{}
	for _, i := range s.images {
		if i.outcome.Status != "" {
			outcomes = append(outcomes, i.outcome)
		}
	}
	return ami.SweepResult{Outcomes: outcomes, Leftovers: s.leftovers, Bundles: s.bundles, Stale: s.stale, BinRead: s.bin.read, Orphans: s.orphans}
}

// holdIfStopped holds the rest of the plan if somebody has asked the run to stop.
func (s *sweep) holdIfStopped(ctx context.Context) {
	if err := s.session.Stopped(ctx); err != nil {
		s.stopped, s.Plan.Hold = err.Error(), err.Error()
	}
}

// hold skips everything that the plan would have changed.
func (s *sweep) hold() {
	for _, i := range s.images {
		if i.Decision == retention.Deregister || i.Decision == retention.Mark {
			i.skip(ami.OutcomeHeld, s.Plan.Hold)
		}
	}
}

// step counts one more finished image. If others may call it at the same time, the caller holds the
// lock.
func (s *sweep) step() {
	s.done++
	s.Step(s.done, s.total)
}

// unmark takes the marks off kept images.
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

// mark announces removals. Images to disable are rechecked first, like those to remove: somebody
// who has just tagged an image as kept does not expect its launches to fail.
func (s *sweep) mark(ctx context.Context) {
	disables := func(i *image) bool { return i.Action == retention.Disable }
	for chunk := range slices.Chunk(s.decided(retention.Mark), chunkSize) {
		if err := s.session.Stopped(ctx); err != nil {
			for _, i := range chunk {
				i.skip(ami.OutcomeStopped, err.Error())
			}
			continue
		}
		recheck := s.newRecheck(chunk)
		for some := range slices.Chunk(chunk, batch) {
			var stay map[*image]retention.Reason
			if !s.isLate() && slices.ContainsFunc(some, disables) {
				stay = recheck.check(ctx, some)
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

// withdrawUnmade withdraws the planned announcements that no image carries: otherwise, anybody who
// may tag could write their tags. If that fails the run stays unfinished, and the next one does it.
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

// withdrawnAtOnce is how many withdrawals are written to the journal at the same time.
const withdrawnAtOnce = 16
