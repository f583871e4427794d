package sweep

import (
	"context"
	"errors"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// declareChunk declares the removal of images and of their snapshots, and returns the images that
// may be removed. Without the declaration IAM refuses, and a snapshot would be left behind. If time
// runs out before a declaration is seen, its image was not reached.
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

// noteDeclared notes which parts of an image carry a declaration, or may, given why the others do
// not. It returns why the image may not be removed, or nil.
func (i *image) noteDeclared(failed map[string]error) error {
	obstacle := failed[i.Image.ID]
	i.declared = mayCarry(obstacle)
	for _, snapshot := range i.toDelete {
		err := failed[snapshot.id]
		snapshot.declared = snapshot.declared || mayCarry(err)
		// A snapshot that is gone need not be declared.
		if obstacle == nil && err != nil && !isAbsent(err) {
			obstacle = snapshotError{snapshot.id, err}
		}
	}
	return obstacle
}

// mayCarry reports whether the tags may be there although the declaration failed. This run must not
// take off the declaration of a concurrent run.
func mayCarry(err error) bool {
	_, isClaimed := errors.AsType[claimedError](err)
	return !isClaimed && !isAbsent(err)
}

// settleUndeclared notes which images of a chunk could not be declared. If EC2 refused all of them,
// that says nothing about any single one.
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

// notDeclared settles an image whose removal is not declared: because it is gone, because a
// concurrent run declared it first, because time ran out, or because EC2 refuses.
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

// tidyUp takes declarations off everything that stays after a chunk. A snapshot that failed to be
// deleted keeps its tags if the next run will finish it. An image that may be gone keeps them too,
// with its snapshots: an undo finds them by these tags in the Recycle Bin, and if they still exist,
// they are kept.
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

// forget notes that a snapshot's declaration need not be taken off.
func (s *sweep) forget(result ami.SnapshotResult) {
	if result.Status == ami.SnapshotDeleted || result.Status == ami.SnapshotFailed && s.session.IsRecorded() {
		s.snapshots[result.SnapshotID].declared = false
	}
}
