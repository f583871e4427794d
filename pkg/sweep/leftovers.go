package sweep

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
)

// finish deletes the snapshots that earlier runs were to delete.
func (s *sweep) finish(ctx, begin context.Context) {
	var due []string
	for _, leftover := range s.plan.Leftovers {
		if leftover.Delete {
			due = append(due, leftover.SnapshotID)
		}
	}
	results := map[string]ami.SnapshotResult{}
	if begin.Err() == nil && len(due) > 0 {
		results = s.deleteAll(ctx, due)
	}
	for _, id := range due {
		result, ok := results[id]
		if !ok {
			result = ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotKept, Detail: notReached}
		}
		s.leftovers = append(s.leftovers, result)
	}
}

// deleteAll deletes snapshots whose images are gone, the first one alone if it has to be seen in the Recycle Bin.
func (s *sweep) deleteAll(ctx context.Context, ids []string) map[string]ami.SnapshotResult {
	results := map[string]ami.SnapshotResult{}
	var mu sync.Mutex
	remove := func(id string) {
		result := ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotFailed, Detail: s.stopped}
		if s.stopped == "" {
			result.Status, result.Detail = deleteSnapshot(ctx, s.api, id, "")
		}
		mu.Lock()
		defer mu.Unlock()
		results[id] = result
	}
	for len(ids) > 0 && s.orders.RequireBin && !s.bin.snapshots && s.stopped == "" {
		remove(ids[0])
		if results[ids[0]].Status == ami.SnapshotDeleted {
			s.prove(ctx, "", ids[:1])
		}
		ids = ids[1:]
	}
	var removals errgroup.Group
	removals.SetLimit(s.orders.InFlight)
	for _, id := range ids {
		removals.Go(func() error {
			remove(id)
			return nil
		})
	}
	_ = removals.Wait()
	return results
}
