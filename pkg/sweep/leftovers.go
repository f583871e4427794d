package sweep

import (
	"cmp"
	"context"
	"maps"
	"sync"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// deleteLeftovers deletes the leftovers of earlier runs.
func (s *sweep) deleteLeftovers(ctx context.Context) {
	var due []string
	for _, leftover := range s.Plan.Leftovers {
		if leftover.Delete {
			due = append(due, leftover.SnapshotID)
		}
	}
	results := map[string]ami.SnapshotResult{}
	if !s.isLate() {
		results = s.deleteAll(ctx, due)
	}
	for _, id := range due {
		result, ok := results[id]
		if !ok {
			result = ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotKept, Detail: notReached}
		}
		s.leftovers = append(s.leftovers, result)
	}
	// An earlier run wrote their tags, so the rules of the Recycle Bin have had time to see them.
	// That says nothing about the tags that this run writes.
	s.bin.snapshots = false
}

// deleteAll deletes snapshots whose images are gone: the first one alone if it has to be seen in
// the Recycle Bin, and the others in batches.
func (s *sweep) deleteAll(ctx context.Context, ids []string) map[string]ami.SnapshotResult {
	results := map[string]ami.SnapshotResult{}
	for len(ids) > 0 {
		now := min(len(ids), s.inFlight)
		isCanary := s.RequireBin && !s.bin.snapshots
		if isCanary {
			now = 1
		}
		some := s.deleteSome(ctx, ids[:now])
		if isCanary {
			s.prove(ctx, "", deletedHere([]ami.SnapshotResult{some[ids[0]]}))
		}
		maps.Copy(results, some)
		ids = ids[now:]
	}
	return results
}

// notReadAgain begins why a snapshot stays that could not be rechecked.
const notReadAgain = "could not be looked at once more: "

// deleteSome deletes snapshots concurrently, after a recheck: a snapshot that has changed is kept.
func (s *sweep) deleteSome(ctx context.Context, ids []string) map[string]ami.SnapshotResult {
	var stay map[string]retention.Reason
	var unread error
	if err := s.session.Stopped(ctx); err != nil {
		s.stopped = cmp.Or(s.stopped, err.Error())
	}
	if s.stopped == "" {
		stay, unread = s.recheckSnapshots(ctx, ids)
	}
	found := make([]ami.SnapshotResult, len(ids))
	var removals sync.WaitGroup
	for i, id := range ids {
		removals.Go(func() {
			result := ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotFailed}
			switch reason, stays := stay[id]; {
			case s.stopped != "":
				result.Detail = s.stopped
			case unread != nil:
				result.Detail = notReadAgain + wire.ExplainLookup(unread)
			case stays:
				result.Status, result.Detail = ami.SnapshotKept, string(reason.Code)+": "+reason.Detail
			default:
				result.Status, result.Detail = s.deleteSnapshot(ctx, id, answer{})
			}
			found[i] = result
		})
	}
	removals.Wait()
	results := map[string]ami.SnapshotResult{}
	for _, result := range found {
		results[result.SnapshotID] = result
	}
	return results
}
