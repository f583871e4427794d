package sweep

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// image is an image of the plan, with its state in this sweep.
type image struct {
	*retention.Verdict
	// Those to delete with it, or with the last of several images that use them.
	toDelete []*snapshot

	outcome   ami.Outcome // Its status is empty while there is nothing to say.
	declared  bool        // It carries a removal declaration that must come off, or may carry one.
	unsure    bool        // It may or may not be deregistered.
	announced bool        // It carries the announcement of its removal, or may.
}

// snapshot is a snapshot to delete: with images of the plan, or as a leftover of an earlier run.
type snapshot struct {
	id      string
	planned ami.Snapshot // Its facts when the plan was made.
	run     string       // The run that declared its deletion.
	users   []*image     // The images to be deregistered that use it.
	// It carries this run's declaration, or may, and the declaration must come off.
	declared bool
}

// isShared reports whether several images to be deregistered use it.
func (s *snapshot) isShared() bool { return len(s.users) > 1 }

// gather builds the images and snapshots of the plan.
func (s *sweep) gather() {
	all := make([]image, len(s.Plan.Verdicts))
	s.images = make([]*image, len(all))
	s.snapshots = map[string]*snapshot{}
	for _, leftover := range s.Plan.Leftovers {
		s.snapshot(leftover.SnapshotID).run = leftover.Run
	}
	for _, o := range s.Plan.Orphans {
		if o.Decision == retention.Deregister {
			s.snapshot(o.SnapshotID).run = s.Run
		}
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

// takesSnapshot reports whether a snapshot is deleted with this image only.
func (i *image) takesSnapshot() bool { return len(i.exclusive()) > 0 }

// exclusive returns the ids of the snapshots that are deleted with this image only.
func (i *image) exclusive() []string {
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

// fail notes what could not be done for a kept image.
func (i *image) fail(why string) {
	if i.outcome.Status == ami.Failed {
		why = i.outcome.Error + "; " + why
	}
	i.outcome = ami.Outcome{ImageID: i.Image.ID, Status: ami.Failed, Error: why, Snapshots: []ami.SnapshotResult{}}
}

// skip leaves the image alone, with a code that says why.
func (i *image) skip(code, why string) {
	i.leave(ami.Skipped, why)
	i.outcome.Code = code
}

// stay is for an image that must stay after all.
func (i *image) stay(reason retention.Reason) {
	i.skip(string(reason.Code), string(reason.Code)+": "+reason.Detail)
}

// notReach is for an image that this run had no time for.
func (i *image) notReach() { i.skip(ami.OutcomeNotReached, notReached) }

// leave is for an image that this run left untouched.
func (i *image) leave(status ami.Status, why string) {
	i.end(status, why, ami.SnapshotKept, "left alone: "+i.Image.ID+" was not removed by this run")
}

// doubt is for an image whose deregistration may have taken effect.
func (i *image) doubt(why string) {
	i.unsure = true
	i.end(ami.Failed, why, ami.SnapshotFailed, "it is not known whether it went with "+i.Image.ID)
}

// end notes the same result for all snapshots to be deleted.
func (i *image) end(status ami.Status, why string, ofSnapshots ami.SnapshotStatus, detail string) {
	i.outcome = ami.Outcome{ImageID: i.Image.ID, Status: status, Error: why, Snapshots: []ami.SnapshotResult{}}
	if i.deletesBundle() {
		i.outcome.Bundle = &ami.BundleResult{Status: ami.BundleKept, Detail: detail}
		if ofSnapshots == ami.SnapshotFailed {
			i.outcome.Bundle.Status = ami.BundleFailed
		}
	}
	for _, verdict := range i.Snapshots {
		result := ami.SnapshotResult{SnapshotID: verdict.SnapshotID, Status: ami.SnapshotKept, Detail: verdict.Why}
		if verdict.Delete {
			result.Status, result.Detail = ofSnapshots, detail
		}
		i.outcome.Snapshots = append(i.outcome.Snapshots, result)
	}
}

func (i *image) isGone() bool { return i.outcome.Status == ami.Deregistered }
