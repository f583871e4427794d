package sweep

import (
	"context"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// waiting is the text for a shared snapshot until all images that use it are gone.
const waiting = "to be deleted when every image that uses it is gone"

// removeShared deletes the snapshots that several images of the plan use, once all of these are
// confirmed to be gone, and gives each image the same result, so that the record does not
// contradict itself.
func (s *sweep) removeShared(ctx context.Context) {
	results := map[string]ami.SnapshotResult{}
	var due []string
	for id, snapshot := range s.snapshots {
		if !snapshot.isShared() {
			continue
		}
		if results[id] = snapshot.judge(); results[id].Status == "" {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	for id, result := range s.deleteAll(ctx, due) {
		// "kept" would be final: no run would come back for it.
		if result.Status == ami.SnapshotKept {
			result.Status, result.Detail = ami.SnapshotFailed, result.Detail+"; the next run judges it anew"
		}
		results[id] = result
	}
	for _, result := range results {
		s.forget(result)
	}
	s.tellUsers(results)
}

// judge returns the result of a shared snapshot that is not deleted; its status is empty for a
// snapshot to delete. "kept" is final, so an image whose removal is uncertain is no reason to keep:
// then the result is "failed", and the next run decides.
func (s *snapshot) judge() ami.SnapshotResult {
	result := ami.SnapshotResult{SnapshotID: s.id}
	for _, user := range s.users {
		switch {
		case user.isGone() || result.Status == ami.SnapshotKept:
		case user.unsure:
			result.Status, result.Detail = ami.SnapshotFailed, "it is not known whether "+user.Image.ID+" is gone, which is mapped to it; the next run judges it anew"
		default:
			result.Status, result.Detail = ami.SnapshotKept, "left alone: nothing confirms that this run removed "+user.Image.ID+", which is mapped to it"
		}
	}
	return result
}

func (s *sweep) tellUsers(results map[string]ami.SnapshotResult) {
	for _, i := range s.decided(retention.Deregister) {
		told := false
		for n := range i.outcome.Snapshots {
			if result, ok := results[i.outcome.Snapshots[n].SnapshotID]; ok {
				i.outcome.Snapshots[n], told = result, true
			}
		}
		if told && i.isGone() {
			s.settle(i)
		}
	}
}
