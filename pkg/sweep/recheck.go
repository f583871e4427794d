package sweep

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/usage"
	"ami-janitor/pkg/wire"
)

// recheck reads again what a plan goes by, just before it is carried out, and says what has to stay
// after all.
type recheck struct {
	clients usage.Clients
	lookup  usage.Lookup
	run     string

	going      map[string][]string     // The snapshots that are to go with each image that is to be removed, by the id of the image.
	declaredBy map[string]string       // The run that has declared the deletion of each of these, and of the leftovers, by id.
	planned    map[string]ami.Snapshot // All those as they were when the plan was made, by id.
}

func newRecheck(region Region) *recheck {
	r := &recheck{
		clients: region.Clients, lookup: region.Lookup, run: region.Run,
		going: map[string][]string{}, declaredBy: map[string]string{}, planned: map[string]ami.Snapshot{},
	}
	for _, leftover := range region.Plan.Leftovers {
		r.declaredBy[leftover.SnapshotID] = leftover.Run
	}
	for _, verdict := range region.Plan.Verdicts {
		if verdict.Decision != retention.Deregister {
			continue
		}
		r.going[verdict.Image.ID] = doomed(verdict)
		for _, id := range r.going[verdict.Image.ID] {
			r.declaredBy[id] = region.Run
		}
	}
	for _, snapshot := range region.Inventory.Snapshots {
		if _, goes := r.declaredBy[snapshot.ID]; goes {
			r.planned[snapshot.ID] = snapshot
		}
	}
	return r
}

// chunk are images whose facts are read again together, when the first of them are looked at.
type chunk struct {
	recheck *recheck
	images  []ami.Image

	turn   chan struct{} // Has one place. Whoever waits for it does so in a way that testing/synctest can see.
	isRead bool
	facts  facts
	err    error
}

// facts are those of images, and of the snapshots that go with them, by id.
type facts struct {
	images    map[string]*ami.Image
	snapshots map[string]*ami.Snapshot
}

// of returns the chunk of some images, at most 100 of them.
func (r *recheck) of(images []ami.Image) *chunk {
	return &chunk{recheck: r, images: images, turn: make(chan struct{}, 1)}
}

// again looks at some images of a chunk, at most 10 of them, and returns the reason of each that has
// to stay after all. Several goroutines may call it at once.
func (c *chunk) again(ctx context.Context, images []ami.Image) map[string]retention.Reason {
	r := c.recheck
	lookup := r.lookup
	lookup.Images = images
	var evidence ami.Evidence
	var sharing map[string]ami.Sharing
	var asking sync.WaitGroup
	asking.Go(func() { sharing = usage.SnapshotSharing(ctx, r.clients, r.goingWith(images), "") })
	asking.Go(func() { evidence = usage.Recheck(ctx, r.clients, lookup) })
	facts, unread := c.read(ctx)
	asking.Wait()
	stay := map[string]retention.Reason{}
	for _, image := range images {
		finding := evidence[image.ID]
		if unread != nil {
			finding.Use = ami.Unknown
			finding.Gaps = append(finding.Gaps, ami.Gap{Source: "facts", Err: wire.ExplainLookup(unread)})
		}
		if reason, stays := r.judge(image, facts, finding, sharing); stays {
			stay[image.ID] = reason
		}
	}
	return stay
}

// judge says why an image stays after all, and reports false if it does not.
func (r *recheck) judge(image ami.Image, found facts, finding ami.Finding, sharing map[string]ami.Sharing) (retention.Reason, bool) {
	run := "" // Of an image that is to be disabled no removal is declared.
	snapshots, goes := r.going[image.ID]
	if goes {
		run = r.run
	}
	if reason, stays := retention.Recheck(image, found.images[image.ID], finding, run); stays {
		return reason, true
	}
	for _, id := range snapshots {
		if reason, stays := retention.RecheckSnapshot(r.planned[id], found.snapshots[id], run); stays {
			return reason, true
		}
		if reason, stays := retention.RecheckSharing(id, sharing[id]); stays {
			return reason, true
		}
	}
	return retention.Reason{}, false
}

// snapshots looks at snapshots whose images are gone, and returns the reasons of those that have to
// stay after all. What is gone for sure needs none: the sweep hears the same of EC2.
func (r *recheck) snapshots(ctx context.Context, ids []string) (map[string]retention.Reason, error) {
	found, err := inventory.SnapshotsForSure(ctx, r.clients.EC2, ids)
	stay := map[string]retention.Reason{}
	var unchanged []string
	for i := range found {
		id := found[i].ID
		if reason, stays := retention.RecheckSnapshot(r.planned[id], &found[i], r.declaredBy[id]); stays {
			stay[id] = reason
		} else {
			unchanged = append(unchanged, id)
		}
	}
	for id, sharing := range usage.SnapshotSharing(ctx, r.clients, unchanged, "") {
		if reason, stays := retention.RecheckSharing(id, sharing); stays {
			stay[id] = reason
		}
	}
	return stay, err
}

// goingWith returns the snapshots that are to go with images, each once.
func (r *recheck) goingWith(images []ami.Image) []string {
	var ids []string
	for _, image := range images {
		ids = append(ids, r.going[image.ID]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// read reads the facts of the chunk when it is called first; whoever calls it meanwhile waits.
func (c *chunk) read(ctx context.Context) (facts, error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if !c.isRead {
		c.facts, c.err = c.recheck.read(ctx, c.images)
		c.isRead = true
	}
	return c.facts, c.err
}

// read reads the facts of images again, and those of the snapshots that go with them.
func (r *recheck) read(ctx context.Context, planned []ami.Image) (facts, error) {
	var imageIDs []string
	for _, image := range planned {
		imageIDs = append(imageIDs, image.ID)
	}
	var snapshots []ami.Snapshot
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { snapshots, failed = inventory.SnapshotsAgain(ctx, r.clients.EC2, r.goingWith(planned)) })
	images, err := inventory.ImagesAgain(ctx, r.clients.EC2, imageIDs)
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
