package sweep

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// removalAPI is the part of EC2's API for removals.
type removalAPI interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeTagsAPIClient
	DeregisterImage(context.Context, *ec2.DeregisterImageInput, ...func(*ec2.Options)) (*ec2.DeregisterImageOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

const (
	// batch is how many images are rechecked before they are removed: as many as
	// DescribeImageReferences takes at a time (EC2 API Reference).
	batch = 10
	// chunkSize is how many images are declared, and their facts read again, before the next ones:
	// as many as EC2 deregisters in 20 seconds.
	chunkSize = 100
	// inFlight is how many removals run at a time: at five a second (EC2 Developer Guide, "Request
	// throttling") enough to hide answers that take some seconds, and the time between two chunks.
	inFlight = 40
)

// remove removes the images that the plan deregisters.
func (s *sweep) remove(ctx context.Context) {
	due := s.decided(retention.Deregister)
	rank := map[bool]int{true: 1}
	// Images that have failed come last, and before them those that could not be removed before.
	slices.SortStableFunc(due, func(a, b *image) int {
		return cmp.Or(rank[b.isWhole()]-rank[a.isWhole()], rank[a.Yields]-rank[b.Yields])
	})
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

// removeChunk declares the removal of some images, rechecks them, because much may have happened
// since the plan was made, and removes those that need not stay: one by one until an image and a
// snapshot were seen in the Recycle Bin, if that is required.
func (s *sweep) removeChunk(ctx context.Context, chunk []*image) {
	if !s.goesOn(ctx) {
		s.skip(chunk)
		return
	}
	ready := s.declareChunk(ctx, chunk)
	clear(s.waited) // IAM has not seen the tags of this chunk yet.
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

// goesOn reports whether there is time to remove further images, and the region is not stopped.
func (s *sweep) goesOn(ctx context.Context) bool {
	if s.stopped != "" || s.isLate() {
		return false
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		s.stopped = err.Error()
	}
	return s.stopped == ""
}

// removeReady removes declared images, a few batches at a time. Each batch is rechecked first:
// images that came into use stay.
func (s *sweep) removeReady(ctx context.Context, ready []*image) {
	recheck := s.newRecheck(ready)
	var batches errgroup.Group
	batches.SetLimit(max(s.inFlight/batch, 1))
	for some := range slices.Chunk(ready, batch) {
		batches.Go(func() error {
			var stay map[*image]retention.Reason
			if !s.isLate() {
				stay = recheck.check(ctx, some)
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

// skip leaves images alone for which there is no time, or that must not be removed after all.
func (s *sweep) skip(some []*image) {
	for _, i := range some {
		if s.stopped != "" {
			i.skip(ami.OutcomeStopped, s.stopped)
		} else {
			i.notReach()
		}
	}
}

// removeOne removes one image of a chunk, unless it must stay or there is no time.
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
	if i.outcome.Code != ami.OutcomeNotReached {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.step()
	}
}

// removeImage deregisters one image and deletes the snapshots that only this image uses.
func (s *sweep) removeImage(ctx context.Context, i *image) {
	if err := s.session.Attempt(ctx, i.journaled()); err != nil {
		i.leave(ami.Failed, "not removed: "+err.Error())
		return
	}
	exclusive := i.exclusive()
	answer := s.deregister(ctx, i.Image.ID, len(exclusive) > 0 && len(exclusive) == len(i.Snapshots))
	s.noteDenied(i, answer)
	switch {
	case answer.gone:
		i.leave(ami.Skipped, "gone before this run came to it: "+wire.Explain(answer.err))
	case answer.err != nil && answer.lost:
		i.doubt("may or may not be deregistered: " + wire.Explain(answer.err))
		return // The result is unknown.
	// A connection that times out reports the same.
	case answer.err != nil && isLate(answer.err) && !neverArrived(answer.err):
		i.notReach()
	case answer.err != nil:
		i.leave(ami.Failed, wire.Explain(answer.err))
		i.outcome.Refused = answer.isRefused()
	default:
		s.deleteSnapshots(ctx, i, exclusive, answer)
		s.deleteBundle(ctx, i)
	}
	s.settle(i)
}

// deleteSnapshots deletes the snapshots of a deregistered image that were not deleted with it.
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
