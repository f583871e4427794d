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
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// API is what the sweep needs of EC2.
type API interface {
	removalAPI
	markAPI
	reportAPI
}

// Orders are what a sweep needs beside the plan. All functions must be there, but Withdraw.
type Orders struct {
	Run          string    // The id of the run, which goes into the tags.
	Policy       string    // The name of the policy that announces.
	Now          time.Time // Its day is the one that a veto notes.
	VersionDepth int       // How many versions of a launch template count for a usage report, 1 to 10,000; 0 is the most.

	// Recheck reads the facts of images anew that are about to be removed or disabled, at most 100 of them, and returns the
	// function that looks for what refers to them just before that.
	Recheck func(context.Context, []ami.Image) Look

	// RecheckSnapshots reads the facts of snapshots anew whose images are gone, just before they are deleted, and returns the
	// reasons of those that have to stay after all.
	RecheckSnapshots func(ctx context.Context, snapshotIDs []string) (map[string]retention.Reason, error)

	// Attempt notes that an image is about to be deregistered, with the snapshots that go along. Without the note nothing
	// is removed. Settle notes what became of it, or why an image whose turn it was could not be tried. Both are called by several
	// goroutines at once.
	Attempt func(ctx context.Context, imageID string, snapshotIDs []string) error
	Settle  func(context.Context, ami.Outcome)

	// Withdraw notes that what a run has announced is taken back: its tags count for nothing any more, should somebody write them again.
	Withdraw func(ctx context.Context, imageID, announcer string) error

	// Again says why nothing may be asked for once more, before each further attempt at a removal, and before a snapshot is deleted:
	// since the attempt was noted, much time may have passed. Several goroutines call it at once.
	Again func(context.Context) error

	// Alive says why the run may not go on, before each chunk of removals, after each one that is made alone, and before tags are
	// taken off: another run may have taken its place.
	Alive func(context.Context) error

	// InBin returns when each of the resources leaves the Recycle Bin for good that is there now.
	InBin func(ctx context.Context, imageIDs, snapshotIDs []string) (map[string]time.Time, error)
	// RequireBin stops the region if the first thing that is removed does not turn up in the Recycle Bin.
	RequireBin bool

	// KeepDeclared leaves the tags on snapshots that were to go and did not, because the next run is going to finish them.
	KeepDeclared bool

	// InFlight is how many removals are on their way at a time; 0 for as many as EC2's request rates ask for.
	InFlight int

	// Step is called after each image that was to be unmarked, removed or marked, with the number of those done and of all.
	Step func(done, total int)
}

// Look returns the reason for each of some images that has to stay after all. It is given at most 10 of them, and called by
// several goroutines at once.
type Look func(context.Context, []ami.Image) map[string]retention.Reason

// Result is what EC2 confirmed.
type Result struct {
	// Outcomes has one for each image that the plan deregisters or marks, in the order of the plan, and one for each image
	// that is kept and for which something was to be done that failed.
	Outcomes []ami.Outcome

	Leftovers []ami.SnapshotResult // One for each leftover of the plan that is to be deleted, in their order.
	Strays    map[string]string    // Why the tags of a stray could not be taken off, by its id; empty if they were.
	BinRead   bool                 // The Recycle Bin was read after the removals.

	StillDeclared bool // What stays may still carry the declaration of its removal.
	StillPlanned  bool // The journal may still have an announcement that was not made.
}

// The codes of the outcomes of images that were not tried. They are no reasons of the policy.
const (
	NotReached = ami.OutcomeNotReached // There was no time.
	Held       = ami.OutcomeHeld       // The plan of the region is not carried out.
	Stopped    = ami.OutcomeStopped    // The run has stopped removing in the region.
)

// notReached is why an image was skipped for which there was no time.
const notReached = "not reached before the time of this run was up; the next run will find it again"

// Run carries out a plan, people's objections first: it unmarks, finishes what was left undone, removes, marks, and sees to
// the usage reports. No failure stops what comes after it. Of a plan that is held only the first is done, and nothing of one
// whose region is left to another run.
//
// Nothing is begun once begin is done; what has been begun is finished, an image with its snapshots, as long as ctx lasts.
func Run(ctx, begin context.Context, api API, plan retention.Plan, orders Orders) Result {
	s := newSweep(api, plan, orders)
	if plan.Busy {
		s.hold()
		return s.result()
	}
	s.unmark(ctx, begin)
	s.dropStrays(ctx, begin)
	if plan.Hold != "" {
		s.hold()
		return s.result()
	}
	s.finish(ctx, begin)
	s.remove(ctx, begin)
	s.mark(ctx, begin)
	s.withdrawUnmade(ctx)
	s.report(ctx, begin)
	s.findInBin(ctx)
	return s.result()
}

// sweep is the state of one Run.
type sweep struct {
	api    API
	plan   retention.Plan
	orders Orders

	leftovers []ami.SnapshotResult
	strays    map[string]string
	users     map[string][]string // The images to be deregistered that use a snapshot which is to be deleted, by its id.
	declared  map[string]bool     // The ids of the images and snapshots whose declarations are to be taken off.
	stopped   string              // Why no further image is removed; empty as long as that goes on.
	bin       proof
	allowed   bool // EC2 has deregistered an image.
	failed    int  // How many deregistrations have failed.

	stillDeclared, stillPlanned bool // See Result.

	made map[int]bool // The verdicts whose announcements are made, or may be.

	mu          sync.Mutex
	outcomes    []ami.Outcome       // One for each verdict, in their order; without a status where there is nothing to say.
	gone        map[string]bool     // The images that are confirmed to be deregistered.
	unsure      map[string]bool     // Those that may or may not be.
	denied      map[string][]string // The images that EC2 has refused for want of a permission, by what it says.
	waited      map[string]bool     // What it has said of an image of this chunk for as long as IAM may take to see tags.
	done, total int                 // Counted in images.
}

func newSweep(api API, plan retention.Plan, orders Orders) *sweep {
	orders.InFlight = cmp.Or(orders.InFlight, inFlight)
	if orders.Withdraw == nil { // Without a journal no announcement counts.
		orders.Withdraw = func(context.Context, string, string) error { return nil }
	}
	s := &sweep{
		api: api, plan: plan, orders: orders,
		strays:   map[string]string{},
		users:    map[string][]string{},
		declared: map[string]bool{},
		outcomes: make([]ami.Outcome, len(plan.Verdicts)),
		gone:     map[string]bool{},
		unsure:   map[string]bool{},
		denied:   map[string][]string{},
		waited:   map[string]bool{},
		made:     map[int]bool{},
	}
	for _, verdict := range plan.Verdicts {
		if unmarks(verdict) || verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark {
			s.total++
		}
	}
	return s
}

func (s *sweep) result() Result {
	outcomes := slices.DeleteFunc(s.outcomes, func(outcome ami.Outcome) bool { return outcome.Status == "" })
	return Result{Outcomes: outcomes, Leftovers: s.leftovers, Strays: s.strays, BinRead: s.bin.read, StillDeclared: s.stillDeclared, StillPlanned: s.stillPlanned}
}

// hold leaves everything alone that the plan would have changed.
func (s *sweep) hold() {
	for i, verdict := range s.plan.Verdicts {
		if verdict.Decision == retention.Deregister || verdict.Decision == retention.Mark {
			s.outcomes[i] = untouched(verdict, ami.Skipped, s.plan.Hold)
			s.outcomes[i].Code = Held
		}
	}
}

// step tells that one more image is done. The caller holds the lock if others may do so at the same time.
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
		if err := Unmark(ctx, s.api, verdict.Image, verdict.Unmark == retention.Veto, verdict.Undo, s.orders.Now); err != nil {
			s.fail(i, "could not be unmarked: "+err.Error())
		} else if run := retention.Announcer(verdict.Image); run != "" && verdict.AnnouncedBy == "" {
			if err := s.orders.Withdraw(ctx, verdict.Image.ID, run); err != nil {
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
func (s *sweep) mark(ctx, begin context.Context) {
	disables := func(i int) bool { return s.plan.Verdicts[i].Action == retention.Disable }
	for chunk := range slices.Chunk(s.decided(retention.Mark), chunkSize) {
		var look Look
		if begin.Err() == nil && slices.ContainsFunc(chunk, disables) {
			look = s.orders.Recheck(ctx, s.imagesOf(chunk))
		}
		for some := range slices.Chunk(chunk, batch) {
			var stay map[string]retention.Reason
			if begin.Err() == nil && slices.ContainsFunc(some, disables) {
				stay = look(ctx, s.imagesOf(some))
			}
			s.markBatch(ctx, begin, some, stay)
		}
	}
}

func (s *sweep) markBatch(ctx, begin context.Context, some []int, stay map[string]retention.Reason) {
	for _, i := range some {
		verdict := s.plan.Verdicts[i]
		switch reason, stays := stay[verdict.Image.ID]; {
		case stays:
			s.outcomes[i] = stayed(verdict, reason)
		case begin.Err() != nil:
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
			withdrawals.Go(func() error { return s.orders.Withdraw(ctx, s.plan.Verdicts[i].Image.ID, s.orders.Run) })
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
	for i, verdict := range s.plan.Verdicts {
		if verdict.Decision == decision {
			places = append(places, i)
		}
	}
	return places
}

func (s *sweep) imagesOf(verdicts []int) []ami.Image {
	images := make([]ami.Image, len(verdicts))
	for n, i := range verdicts {
		images[n] = s.plan.Verdicts[i].Image
	}
	return images
}
