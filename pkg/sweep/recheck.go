package sweep

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// recheck is a chunk of images whose facts are read again together, at the first check.
type recheck struct {
	*sweep
	chunk []*image // At most 100.

	// Capacity 1. A channel, because testing/synctest cannot see who waits for a mutex.
	turn   chan struct{}
	isRead bool
	facts  facts
	err    error
}

// facts are the facts of images, and of their snapshots, by id.
type facts struct {
	images    map[string]*ami.Image
	snapshots map[string]*ami.Snapshot
}

func (s *sweep) newRecheck(chunk []*image) *recheck {
	return &recheck{sweep: s, chunk: chunk, turn: make(chan struct{}, 1)}
}

// check reads the current facts of some images of the chunk, at most 10, and returns the reason of
// each image that must stay after all. It is safe for concurrent use.
func (r *recheck) check(ctx context.Context, some []*image) map[*image]retention.Reason {
	lookup := r.Lookup
	lookup.Images = make([]ami.Image, len(some))
	for n, i := range some {
		lookup.Images[n] = i.Image
	}
	var evidence ami.Evidence
	var sharing map[string]ami.Sharing
	var asking sync.WaitGroup
	asking.Go(func() { sharing = usage.SnapshotSharing(ctx, r.Clients, idsToDelete(some), "") })
	asking.Go(func() { evidence = usage.Recheck(ctx, r.Clients, lookup) })
	facts, unread := r.read(ctx)
	asking.Wait()
	stay := map[*image]retention.Reason{}
	for _, i := range some {
		finding := evidence.Images[i.Image.ID]
		if unread != nil {
			finding.Use = ami.Unknown
			finding.Gaps = append(finding.Gaps, ami.Gap{Source: "facts", Err: wire.ExplainLookup(unread)})
		}
		if reason, stays := r.judge(i, facts, finding, sharing); stays {
			stay[i] = reason
		}
	}
	return stay
}

// judge says why an image stays after all, and reports false if it does not.
func (s *sweep) judge(i *image, found facts, finding ami.Finding, sharing map[string]ami.Sharing) (retention.Reason, bool) {
	run := "" // The removal of an image that is only disabled is not declared.
	if i.Decision == retention.Deregister {
		run = s.Run
	}
	if reason, stays := retention.Recheck(i.Image, found.images[i.Image.ID], finding, run); stays {
		return reason, true
	}
	for _, snapshot := range i.toDelete {
		if reason, stays := retention.RecheckSnapshot(snapshot.planned, found.snapshots[snapshot.id], run); stays {
			return reason, true
		}
		if reason, stays := retention.RecheckSharing(snapshot.id, sharing[snapshot.id]); stays {
			return reason, true
		}
	}
	return retention.Reason{}, false
}

// read reads the facts of the chunk at its first call; concurrent callers wait.
func (r *recheck) read(ctx context.Context) (facts, error) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if !r.isRead {
		r.facts, r.err = readAgain(ctx, r.api, r.chunk)
		r.isRead = true
	}
	return r.facts, r.err
}

// readAgain reads the facts of images again, and those of the snapshots that go with them.
func readAgain(ctx context.Context, api API, chunk []*image) (facts, error) {
	imageIDs := make([]string, len(chunk))
	for n, i := range chunk {
		imageIDs[n] = i.Image.ID
	}
	var snapshots []ami.Snapshot
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { snapshots, failed = inventory.SnapshotsAgain(ctx, api, idsToDelete(chunk)) })
	images, err := inventory.ImagesAgain(ctx, api, imageIDs)
	reading.Wait()
	found := facts{map[string]*ami.Image{}, map[string]*ami.Snapshot{}}
	for n := range images {
		found.images[images[n].ID] = &images[n]
	}
	for n := range snapshots {
		found.snapshots[snapshots[n].ID] = &snapshots[n]
	}
	return found, cmp.Or(err, failed)
}

// idsToDelete returns the snapshots that go with images, without duplicates.
func idsToDelete(images []*image) []string {
	var ids []string
	for _, i := range images {
		for _, snapshot := range i.toDelete {
			ids = append(ids, snapshot.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// recheckSnapshots compares snapshots whose images are gone with the plan, and returns the reasons
// of those that must stay after all. Missing snapshots need no reason: EC2 tells the sweep the
// same.
func (s *sweep) recheckSnapshots(ctx context.Context, ids []string) (map[string]retention.Reason, error) {
	if err := s.session.MayContinue(ctx, journal.WithinChunk); err != nil {
		return nil, err
	}
	found, err := inventory.ConfirmSnapshots(ctx, s.api, ids)
	stay := map[string]retention.Reason{}
	var unchanged []string
	for n := range found {
		snapshot := s.snapshot(found[n].ID)
		if reason, stays := retention.RecheckSnapshot(snapshot.planned, &found[n], snapshot.run); stays {
			stay[snapshot.id] = reason
		} else {
			unchanged = append(unchanged, snapshot.id)
		}
	}
	for id, sharing := range usage.SnapshotSharing(ctx, s.Clients, unchanged, "") {
		if reason, stays := retention.RecheckSharing(id, sharing); stays {
			stay[id] = reason
		}
	}
	return stay, err
}
