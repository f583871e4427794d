package sweep

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/wire"
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
	if begin.Err() == nil {
		results = s.deleteAll(ctx, slices.Clone(due))
	}
	for _, id := range due {
		result, ok := results[id]
		if !ok {
			result = ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotKept, Detail: notReached}
		}
		s.leftovers = append(s.leftovers, result)
	}
}

// deleteAll deletes snapshots whose images are gone, after it has looked at them once more, the first one alone if it has to
// be seen in the Recycle Bin.
func (s *sweep) deleteAll(ctx context.Context, ids []string) map[string]ami.SnapshotResult {
	results := map[string]ami.SnapshotResult{}
	if len(ids) == 0 {
		return results
	}
	stay, unread := s.orders.RecheckSnapshots(ctx, ids)
	ids = slices.DeleteFunc(ids, func(id string) bool {
		reason, stays := stay[id]
		switch {
		case unread != nil:
			results[id] = ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotFailed, Detail: "could not be looked at once more: " + wire.Explain(unread)}
		case stays:
			results[id] = ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotKept, Detail: string(reason.Code) + ": " + reason.Detail}
		}
		return unread != nil || stays
	})
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
