package sweep

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// image is an image of the plan, and what becomes of it.
type image struct {
	*retention.Verdict
	toDelete []*snapshot // Those that go with it, or with the last of several images that use them.

	outcome   ami.Outcome // Without a status as long as there is nothing to say.
	declared  bool        // It carries a declaration of its removal, or may, that has to come off.
	unsure    bool        // It may or may not be deregistered.
	announced bool        // It carries the announcement of its removal, or may.
}

// snapshot is one that is to be deleted: with images of the plan, or because an earlier run has left
// it.
type snapshot struct {
	id       string
	planned  ami.Snapshot // As it was when the plan was made.
	run      string       // The run that has declared its deletion.
	users    []*image     // The images to be deregistered that use it.
	declared bool         // It carries this run's declaration, or may, and that has to come off.
}

// isShared reports whether several images of the plan that are to be deregistered use it.
func (s *snapshot) isShared() bool { return len(s.users) > 1 }

// gather makes things of what the plan names.
func (s *sweep) gather() {
	all := make([]image, len(s.Plan.Verdicts))
	s.images = make([]*image, len(all))
	s.snapshots = map[string]*snapshot{}
	for _, leftover := range s.Plan.Leftovers {
		s.snapshot(leftover.SnapshotID).run = leftover.Run
	}
	for n := range all {
		i := &all[n]
		i.Verdict, s.images[n] = &s.Plan.Verdicts[n], i
		if i.Decision != retention.Deregister {
			continue
		}
		for _, verdict := range i.Snapshots {
			if verdict.Delete {
				snapshot := s.snapshot(verdict.SnapshotID)
				snapshot.run = s.Run
				i.toDelete = append(i.toDelete, snapshot)
			}
		}
	}
	for _, planned := range s.Inventory.Snapshots {
		if snapshot := s.snapshots[planned.ID]; snapshot != nil {
			snapshot.planned = planned
		}
	}
}

// snapshot returns a snapshot by its id.
func (s *sweep) snapshot(id string) *snapshot {
	if s.snapshots[id] == nil {
		s.snapshots[id] = &snapshot{id: id}
	}
	return s.snapshots[id]
}

// decided returns the images with a decision, in the order of the plan.
func (s *sweep) decided(decision retention.Decision) []*image {
	var found []*image
	for _, i := range s.images {
		if i.Decision == decision {
			found = append(found, i)
		}
	}
	return found
}

// takesSnapshot reports whether a snapshot goes with the image, and with no other.
func (i *image) takesSnapshot() bool { return len(i.alone()) > 0 }

// alone returns the ids of the snapshots that go with this image alone.
func (i *image) alone() []string {
	var ids []string
	for _, snapshot := range i.toDelete {
		if !snapshot.isShared() {
			ids = append(ids, snapshot.id)
		}
	}
	return ids
}

// unmarks reports whether the image is kept and its removal was announced.
func (i *image) unmarks() bool {
	return i.Decision == retention.Keep && i.Unmark != retention.LeaveMark
}

// fail notes what could not be done for an image that is kept.
func (i *image) fail(why string) {
	if i.outcome.Status == ami.Failed {
		why = i.outcome.Error + "; " + why
	}
	i.outcome = ami.Outcome{ImageID: i.Image.ID, Status: ami.Failed, Error: why, Snapshots: []ami.SnapshotResult{}}
}

// skip leaves the image alone, and says by a code why.
func (i *image) skip(code, why string) {
	i.leave(ami.Skipped, why)
	i.outcome.Code = code
}

// stay is for an image that has to stay after all.
func (i *image) stay(reason retention.Reason) {
	i.skip(string(reason.Code), string(reason.Code)+": "+reason.Detail)
}

// notReach is for an image that this run did not come to.
func (i *image) notReach() { i.skip(ami.OutcomeNotReached, notReached) }

// leave is for an image of which this run has removed nothing.
func (i *image) leave(status ami.Status, why string) {
	i.end(status, why, ami.SnapshotKept, "left alone: "+i.Image.ID+" was not removed by this run")
}

// doubt is for an image whose deregistration may have taken effect.
func (i *image) doubt(why string) {
	i.unsure = true
	i.end(ami.Failed, why, ami.SnapshotFailed, "it is not known whether it went with "+i.Image.ID)
}

// end notes the same result for all snapshots that were to go.
func (i *image) end(status ami.Status, why string, ofSnapshots ami.SnapshotStatus, detail string) {
	i.outcome = ami.Outcome{ImageID: i.Image.ID, Status: status, Error: why, Snapshots: []ami.SnapshotResult{}}
	for _, verdict := range i.Snapshots {
		result := ami.SnapshotResult{SnapshotID: verdict.SnapshotID, Status: ami.SnapshotKept, Detail: verdict.Why}
		if verdict.Delete {
			result.Status, result.Detail = ofSnapshots, detail
		}
		i.outcome.Snapshots = append(i.outcome.Snapshots, result)
	}
}

func (i *image) isGone() bool { return i.outcome.Status == ami.Deregistered }
