package sweep

import (
	"context"
	"errors"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

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
		} else if i.notDeclared(obstacle, s.isLate()); i.outcome.Code != ami.OutcomeNotReached {
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
		i.stay(retention.Reason{Code: ami.ReasonClaimed, Detail: claimed.Error()})
	case late && isLate(obstacle):
		i.notReach()
	default:
		i.leave(ami.Failed, "its removal could not be declared: "+why)
		i.outcome.Refused = isRefusal(obstacle)
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
