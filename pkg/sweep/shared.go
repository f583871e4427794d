package sweep

import (
	"context"
	"slices"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// waiting is what is said of a shared snapshot until all images that use it are gone.
const waiting = "to be deleted when every image that uses it is gone"

// removeShared deletes the snapshots that several images of the plan use, once all of these are confirmed to be gone, and
// tells each of the images the result, so that the record says one thing of one snapshot.
func (s *sweep) removeShared(ctx context.Context) {
	results := map[string]ami.SnapshotResult{}
	var due []string
	for id, users := range s.users {
		if len(users) < 2 {
			continue
		}
		result := ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotKept}
		for _, user := range users {
			if !s.gone[user] && result.Detail == "" {
				result.Detail = "left alone: nothing confirms that this run removed " + user + ", which is mapped to it"
			}
		}
		results[id] = result
		if result.Detail == "" {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	for id, result := range s.deleteAll(ctx, due) {
		if result.Status == ami.SnapshotKept { // That would be its end: nobody would come back for it.
			result.Status, result.Detail = ami.SnapshotFailed, result.Detail+"; the next run judges it anew"
		}
		results[id] = result
	}
	for _, result := range results {
		s.forget(result)
	}
	s.tellUsers(ctx, results)
}

func (s *sweep) tellUsers(ctx context.Context, results map[string]ami.SnapshotResult) {
	for _, i := range s.decided(retention.Deregister) {
		told := false
		for j := range s.outcomes[i].Snapshots {
			if result, ok := results[s.outcomes[i].Snapshots[j].SnapshotID]; ok {
				s.outcomes[i].Snapshots[j], told = result, true
			}
		}
		if told && s.outcomes[i].Status == ami.Deregistered {
			s.orders.Settle(ctx, s.outcomes[i])
		}
	}
}
