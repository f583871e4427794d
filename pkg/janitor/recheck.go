package janitor

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
	"ami-janitor/pkg/usage"
	"ami-janitor/pkg/wire"
)

// secondLook looks again at what a plan removes or disables, just before that.
type secondLook struct {
	janitor *Janitor
	clients usage.Clients
	plan    retention.Plan
	run     string

	going      map[string][]string     // The snapshots that are to go with each image that is to be removed, by the id of the image.
	declaredBy map[string]string       // The run that has declared the deletion of each of these, and of the leftovers, by id.
	planned    map[string]ami.Snapshot // All those as they were when the plan was made, by id.
}

// lookAgain returns the second look for a plan. The snapshots are those of the region.
func (j *Janitor) lookAgain(plan retention.Plan, snapshots []ami.Snapshot, run string) *secondLook {
	l := &secondLook{j, j.clients(plan.Region), plan, run, map[string][]string{}, map[string]string{}, map[string]ami.Snapshot{}}
	for _, leftover := range plan.Leftovers {
		l.declaredBy[leftover.SnapshotID] = leftover.Run
	}
	for _, verdict := range plan.Verdicts {
		if verdict.Decision != retention.Deregister {
			continue
		}
		l.going[verdict.Image.ID] = nil
		for _, snapshot := range verdict.Snapshots {
			if snapshot.Delete {
				l.going[verdict.Image.ID] = append(l.going[verdict.Image.ID], snapshot.SnapshotID)
				l.declaredBy[snapshot.SnapshotID] = run
			}
		}
	}
	for _, snapshot := range snapshots {
		if _, goes := l.declaredBy[snapshot.ID]; goes {
			l.planned[snapshot.ID] = snapshot
		}
	}
	return l
}

// recheck is the Recheck of a sweep's orders.
func (l *secondLook) recheck(ctx context.Context, images []ami.Image) sweep.Look {
	read := l.readOnce(ctx, images)
	return func(ctx context.Context, images []ami.Image) map[string]retention.Reason {
		var evidence ami.Evidence
		var sharing map[string]ami.Sharing
		var asking sync.WaitGroup
		asking.Go(func() { sharing = usage.SnapshotSharing(ctx, l.clients, l.goingWith(images), "") })
		asking.Go(func() {
			evidence = usage.Recheck(ctx, l.clients, l.janitor.lookup(l.plan.Account, l.plan.Region, images))
		})
		facts, unread := read()
		asking.Wait()
		stay := map[string]retention.Reason{}
		for _, image := range images {
			finding := evidence.Images[image.ID]
			if unread != nil {
				finding.Use = ami.Unknown
				finding.Gaps = append(finding.Gaps, ami.Gap{Source: "facts", Err: wire.ExplainLookup(unread)})
			}
			if reason, stays := l.judge(image, facts, finding, sharing); stays {
				stay[image.ID] = reason
			}
		}
		return stay
	}
}

// judge says why an image stays after all, and reports false if it does not.
func (l *secondLook) judge(image ami.Image, found facts, finding ami.Finding, sharing map[string]ami.Sharing) (retention.Reason, bool) {
	run := "" // Of an image that is to be disabled no removal is declared.
	snapshots, goes := l.going[image.ID]
	if goes {
		run = l.run
	}
	if reason, stays := retention.Recheck(image, found.images[image.ID], finding, run); stays {
		return reason, true
	}
	for _, id := range snapshots {
		if reason, stays := retention.RecheckSnapshot(l.planned[id], found.snapshots[id], run); stays {
			return reason, true
		}
		if reason, stays := retention.RecheckSharing(id, sharing[id]); stays {
			return reason, true
		}
	}
	return retention.Reason{}, false
}

// recheckSnapshots is the RecheckSnapshots of a sweep's orders. What is gone for sure needs no reason to
// stay: the sweep hears the same of EC2.
func (l *secondLook) recheckSnapshots(ctx context.Context, ids []string) (map[string]retention.Reason, error) {
	found, err := inventory.SnapshotsForSure(ctx, l.clients.EC2, ids)
	stay := map[string]retention.Reason{}
	var unchanged []string
	for i := range found {
		id := found[i].ID
		if reason, stays := retention.RecheckSnapshot(l.planned[id], &found[i], l.declaredBy[id]); stays {
			stay[id] = reason
		} else {
			unchanged = append(unchanged, id)
		}
	}
	for id, sharing := range usage.SnapshotSharing(ctx, l.clients, unchanged, "") {
		if reason, stays := retention.RecheckSharing(id, sharing); stays {
			stay[id] = reason
		}
	}
	return stay, err
}

// goingWith returns the snapshots that are to go with images, each once.
func (l *secondLook) goingWith(images []ami.Image) []string {
	var ids []string
	for _, image := range images {
		ids = append(ids, l.going[image.ID]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// facts are those of images, and of the snapshots that go with them, by id.
type facts struct {
	images    map[string]*ami.Image
	snapshots map[string]*ami.Snapshot
}

// readOnce returns the function that reads the facts anew when it is called first. Whoever calls it meanwhile waits, in a way
// that testing/synctest can see.
func (l *secondLook) readOnce(ctx context.Context, planned []ami.Image) func() (facts, error) {
	var found facts
	var err error
	done := false
	turn := make(chan struct{}, 1)
	return func() (facts, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		if !done {
			found, err = l.read(ctx, planned)
			done = true
		}
		return found, err
	}
}

// read reads the facts of images, and of the snapshots that go with them, anew.
func (l *secondLook) read(ctx context.Context, planned []ami.Image) (facts, error) {
	var imageIDs []string
	for _, image := range planned {
		imageIDs = append(imageIDs, image.ID)
	}
	var snapshots []ami.Snapshot
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { snapshots, failed = inventory.SnapshotsAgain(ctx, l.clients.EC2, l.goingWith(planned)) })
	images, err := inventory.ImagesAgain(ctx, l.clients.EC2, imageIDs)
	reading.Wait()
	found := facts{map[string]*ami.Image{}, map[string]*ami.Snapshot{}}
	for i := range images {
		found.images[images[i].ID] = &images[i]
	}
	for i := range snapshots {
		found.snapshots[snapshots[i].ID] = &snapshots[i]
	}
	return found, cmp.Or(err, failed)
}
