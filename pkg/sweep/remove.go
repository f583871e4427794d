package sweep

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/journal"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// removalAPI is what removals need of EC2.
type removalAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeTagsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

const (
	// batch is how many images are looked at again before they are removed: as many as DescribeImageReferences takes at a
	// time (EC2 API Reference).
	batch = 10
	// chunkSize is how many images are declared, and their facts read again, before the next ones: as many as EC2
	// deregisters in 20 seconds.
	chunkSize = 100
	// inFlight is how many removals are on their way at a time: at five a second (EC2 Developer Guide, "Request throttling")
	// enough for answers that take some seconds, and for the time between two chunks to be made up.
	inFlight = 40
	// enoughDenied is how many images have to be refused for want of a permission, all for the same reason, until no further one
	// is tried.
	enoughDenied = 3
)

// remove removes the images that the plan deregisters.
func (s *sweep) remove(ctx context.Context) {
	due := s.decided(retention.Deregister)
	rank := map[bool]int{true: 1} // What could not be removed before goes behind all others.
	slices.SortStableFunc(due, func(a, b *image) int { return rank[a.Yields] - rank[b.Yields] })
	for _, i := range due {
		for _, snapshot := range i.toDelete {
			snapshot.users = append(snapshot.users, i)
		}
	}
	if s.RequireBin {
		s.canaryFirst(due)
	}
	for chunk := range slices.Chunk(due, chunkSize) {
		s.removeChunk(ctx, chunk)
	}
	s.removeShared(ctx)
	s.withdraw(ctx, s.allDeclared())
}

// removeChunk declares the removal of some images, looks at them again, because much may have happened since the plan was
// made, and removes those that need not stay: one by one, until an image and a snapshot have been seen in the Recycle Bin if they
// have to be.
func (s *sweep) removeChunk(ctx context.Context, chunk []*image) {
	if !s.goesOn(ctx) {
		s.skip(chunk)
		return
	}
	ready := s.declareChunk(ctx, chunk)
	clear(s.waited) // IAM has not seen these tags yet.
	for first := true; len(ready) > 0; first = false {
		if !first && !s.goesOn(ctx) {
			s.skip(ready)
			break
		}
		now := len(ready)
		if !s.isProven(ready) {
			s.canaryFirst(ready)
			now = 1
		}
		s.removeReady(ctx, ready[:now])
		s.stopIfDenied(ready[:now])
		s.proveAll(ctx, ready[:now])
		ready = ready[now:]
	}
	s.tidyUp(ctx, chunk)
}

// goesOn reports whether there is time to remove further images, and nothing speaks against it.
func (s *sweep) goesOn(ctx context.Context) bool {
	if s.stopped != "" || s.isLate() {
		return false
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		s.stopped = err.Error()
	}
	return s.stopped == ""
}

// removeReady removes images that have been declared, a few batches of them at a time. Each batch is looked at again first:
// what has come into use meanwhile stays.
func (s *sweep) removeReady(ctx context.Context, ready []*image) {
	recheck := s.newRecheck(ready)
	var batches errgroup.Group
	batches.SetLimit(max(s.inFlight/batch, 1))
	for some := range slices.Chunk(ready, batch) {
		batches.Go(func() error {
			var stay map[*image]retention.Reason
			if !s.isLate() {
				stay = recheck.look(ctx, some)
			}
			var removals errgroup.Group
			removals.SetLimit(s.inFlight)
			for _, i := range some {
				removals.Go(func() error {
					reason, stays := stay[i]
					s.removeOne(ctx, i, reason, stays)
					return nil
				})
			}
			return removals.Wait()
		})
	}
	_ = batches.Wait()
}

// skip leaves images alone for which there is no time, or that must not be removed any more.
func (s *sweep) skip(some []*image) {
	for _, i := range some {
		if s.stopped != "" {
			i.skip(Stopped, s.stopped)
		} else {
			i.notReach()
		}
	}
}

// removeOne removes one image of a chunk, unless it has to stay or there is no time.
func (s *sweep) removeOne(ctx context.Context, i *image, reason retention.Reason, stays bool) {
	switch {
	case stays:
		i.stay(reason)
		s.settle(i)
	case s.isLate():
		i.notReach()
	default:
		s.removeImage(ctx, i)
	}
	if i.outcome.Code != NotReached {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.step()
	}
}

// declareChunk declares the removal of images and of the snapshots that go with them, and returns the images that may be
// removed: without the declaration IAM refuses, and a snapshot would be left behind. Should the time be up before a declaration
// is seen, its image has not been reached.
func (s *sweep) declareChunk(ctx context.Context, chunk []*image) (ready []*image) {
	ids := idsToDelete(chunk)
	for _, i := range chunk {
		ids = append(ids, i.Image.ID)
	}
	slices.Sort(ids)
	failed := s.declare(ctx, ids)
	for _, i := range chunk {
		if obstacle := i.noteDeclared(failed); obstacle == nil {
			ready = append(ready, i)
		} else if i.notDeclared(obstacle, s.isLate()); i.outcome.Code != NotReached {
			s.step()
		}
	}
	s.settleUndeclared(chunk, len(ready) == 0 && len(chunk) >= enoughDenied)
	return ready
}

// noteDeclared notes what of an image carries a declaration, or may carry one, given why others do
// not. It returns why the image may not be removed; nil if it may.
func (i *image) noteDeclared(failed map[string]error) error {
	obstacle := failed[i.Image.ID]
	i.declared = mayCarry(obstacle)
	for _, snapshot := range i.toDelete {
		err := failed[snapshot.id]
		snapshot.declared = snapshot.declared || mayCarry(err)
		if obstacle == nil && err != nil && !isAbsent(err) { // One that is gone already need not be declared.
			obstacle = snapshotError{snapshot.id, err}
		}
	}
	return obstacle
}

// mayCarry reports whether a declaration that failed, or did not, may be there. That of a run beside this one is not for this one to
// take off.
func mayCarry(err error) bool {
	_, isClaimed := errors.AsType[claimedError](err)
	return !isClaimed && !isAbsent(err)
}

// settleUndeclared notes which images of a chunk could not be declared. That EC2 has refused all of them says nothing of any.
func (s *sweep) settleUndeclared(chunk []*image, all bool) {
	for _, i := range chunk {
		if i.outcome.Status == ami.Failed {
			i.outcome.Refused = i.outcome.Refused && !all
			s.settle(i)
		}
	}
}

// snapshotError is why the removal of a snapshot is not declared.
type snapshotError struct {
	id string
	error
}

func (e snapshotError) Unwrap() error { return e.error }

// notDeclared is for an image whose removal is not declared: because it is gone, because a run beside this one was quicker, because
// the time was up, or because EC2 refuses.
func (i *image) notDeclared(obstacle error, late bool) {
	why := wire.Explain(obstacle)
	if of, ok := errors.AsType[snapshotError](obstacle); ok {
		why = of.id + ": " + why
	}
	claimed, isClaimed := errors.AsType[claimedError](obstacle)
	switch {
	case isAbsent(obstacle):
		i.leave(ami.Skipped, "gone before this run came to it: "+why)
	case isClaimed:
		i.stay(retention.Reason{Code: "claimed", Detail: claimed.Error()})
	case late && isLate(obstacle):
		i.notReach()
	default:
		i.leave(ami.Failed, "its removal could not be declared: "+why)
		i.outcome.Refused = isRefusal(obstacle)
	}
}

// stopIfDenied stops the region if EC2 has allowed no removal until now, and has refused enough of them for want of the same
// permission: it is going to refuse all others, after minutes of patience. A policy may protect one image or another.
func (s *sweep) stopIfDenied(some []*image) {
	for _, i := range some {
		switch i.outcome.Status {
		case ami.Deregistered:
			s.allowed = true
		case ami.Failed:
			s.failed++
		default:
		}
	}
	for _, images := range s.denied {
		if s.stopped == "" && !s.allowed && len(images) >= enoughDenied {
			s.stopped = "not tried: EC2 has refused every removal before it, for want of a permission"
			s.acquit(images)
		}
	}
}

// acquit notes that EC2 has refused images together with all others: that says nothing of these, unless they could not be removed
// before either.
func (s *sweep) acquit(images []*image) {
	for _, i := range images {
		if i.outcome.Refused && !i.Yields {
			i.outcome.Refused = false
			s.settle(i)
		}
	}
}

// reasonOf is what a refusal says, the same for every image that is refused for the same reason.
func reasonOf(err error) string { return resourceID.ReplaceAllString(wire.Explain(err), "ID") }

var resourceID = regexp.MustCompile(`\b(ami|snap)-[0-9a-f]+\b`)

// noteDenied notes it if EC2 has refused the removal of an image for want of a permission, however often it was asked.
func (s *sweep) noteDenied(i *image, answer answer) {
	if !answer.isRefused() || wire.Code(answer.err) != unauthorized {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := reasonOf(answer.err)
	s.denied[reason] = append(s.denied[reason], i)
	s.waited[reason] = true
}

// patienceFor returns how often EC2 is asked while it refuses for a while only. IAM may take some time to see the tags of a chunk;
// once one image of it was refused all that time, the same refusal of another one has no such reason, and minutes for each
// image that a policy protects would take the night.
func (s *sweep) patienceFor(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waited[reasonOf(err)] {
		return attempts
	}
	return patience
}

// proveAll looks for images that were removed in the Recycle Bin, as long as that is to be proven.
func (s *sweep) proveAll(ctx context.Context, some []*image) {
	for _, i := range some {
		if i.isGone() {
			s.prove(ctx, i.Image.ID, slices.DeleteFunc(deletedHere(i.outcome.Snapshots), func(id string) bool { return s.snapshots[id].isShared() }))
		}
	}
}

// tidyUp takes the declaration off what stays after a chunk. A snapshot that was to go and did not keeps its tags if the next
// run is going to finish it. So do an image that may be gone, and its snapshots: in the Recycle Bin an undo finds them by these,
// and if they are there, they are kept.
func (s *sweep) tidyUp(ctx context.Context, chunk []*image) {
	for _, i := range chunk {
		for _, result := range i.outcome.Snapshots {
			if snapshot := s.snapshots[result.SnapshotID]; snapshot != nil && !snapshot.isShared() {
				s.forget(result)
			}
		}
		for _, snapshot := range i.toDelete {
			snapshot.declared = snapshot.declared && (snapshot.isShared() || !i.unsure)
		}
		i.declared = i.declared && !i.unsure && !i.isGone()
	}
	s.withdraw(ctx, slices.DeleteFunc(s.allDeclared(), func(t tagged) bool { return t.isShared }))
}

// forget strikes a snapshot off what carries a declaration that has to be taken off.
func (s *sweep) forget(result ami.SnapshotResult) {
	if result.Status == ami.SnapshotDeleted || result.Status == ami.SnapshotFailed && s.session.IsRecorded() {
		s.snapshots[result.SnapshotID].declared = false
	}
}

// removeImage deregisters one image and deletes those of its snapshots that go with it alone.
func (s *sweep) removeImage(ctx context.Context, i *image) {
	if err := s.session.Attempt(ctx, i.declaration()); err != nil {
		i.leave(ami.Failed, "not removed: "+err.Error())
		return
	}
	alone := i.alone()
	answer := s.deregister(ctx, i.Image.ID, len(alone) > 0 && len(alone) == len(i.Snapshots))
	s.noteDenied(i, answer)
	switch {
	case answer.gone:
		i.leave(ami.Skipped, "gone before this run came to it: "+wire.Explain(answer.err))
	case answer.err != nil && answer.lost:
		i.doubt("may or may not be deregistered: " + wire.Explain(answer.err))
		return // Nobody knows.
	case answer.err != nil && isLate(answer.err) && !neverArrived(answer.err): // A connection that times out says the same.
		i.notReach()
	case answer.err != nil:
		i.leave(ami.Failed, wire.Explain(answer.err))
		i.outcome.Refused = answer.isRefused()
	default:
		s.deleteSnapshots(ctx, i, alone, answer)
	}
	s.settle(i)
}

// deleteSnapshots deletes what was to go with an image that is deregistered, and has not gone along.
func (s *sweep) deleteSnapshots(ctx context.Context, i *image, alone []string, answer answer) {
	absent := map[string]bool{}
	for _, id := range alone {
		absent[id] = answer.mayHaveDeleted() && s.isGone(ctx, id)
	}
	outcome := ami.Outcome{ImageID: i.Image.ID, Status: ami.Deregistered, Snapshots: []ami.SnapshotResult{}}
	for _, verdict := range i.Snapshots {
		result := ami.SnapshotResult{SnapshotID: verdict.SnapshotID}
		switch {
		case !verdict.Delete:
			result.Status, result.Detail = ami.SnapshotKept, verdict.Why
		case s.snapshots[verdict.SnapshotID].isShared():
			result.Status, result.Detail = ami.SnapshotFailed, waiting
		case answer.codes[verdict.SnapshotID] == types.SnapshotReturnCodesSuccess:
			result.Status = ami.SnapshotDeleted
		case absent[verdict.SnapshotID]:
			result.Status, result.Detail = ami.SnapshotDeleted, afterLostAnswer
		default:
			result.Status, result.Detail = s.deleteSnapshot(ctx, verdict.SnapshotID, answer)
		}
		outcome.Snapshots = append(outcome.Snapshots, result)
	}
	i.outcome = outcome
}
