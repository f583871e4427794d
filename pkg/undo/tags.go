package undo

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// removalTags are what the janitor writes before it removes something.
var removalTags = []string{ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag, ami.IntentTag, ami.RunTag}

// batch is how many resources are tagged with one call. EC2 takes 1,000, and advises fewer (EC2 API
// Reference, CreateTags).
const batch = 200

// putTagsInOrder notes the day on what is back, and takes off the tags of the removal where all is
// done. The images come last: as long as an image carries these tags, the next undo finds it, and
// its snapshots with it.
func (u *undoing) putTagsInOrder(ctx context.Context) {
	u.findFaults()
	unattached := u.unattachedSnapshots()
	var unnoted []string
	for _, i := range u.images {
		if u.getsDay(i) {
			unnoted = append(unnoted, i.ImageID)
		}
	}
	for _, s := range unattached {
		unnoted = append(unnoted, s.id)
	}
	u.blame(inBatches(unnoted, func(ids []string) error { return u.noteRestored(ctx, ids) }))
	u.blame(inBatches(u.taggedSnapshots(unattached), func(ids []string) error { return wire.Untag(ctx, u.api, ids, removalTags) }))
	u.blame(inBatches(u.taggedImages(), func(ids []string) error { return wire.Untag(ctx, u.api, ids, removalTags) }))
}

// findFaults collects what is wrong with images that are there.
func (u *undoing) findFaults() {
	for _, i := range u.images {
		if !i.isBack() {
			continue
		}
		switch state := i.now.State; {
		case state == types.ImageStateAvailable, state == types.ImageStateDisabled, state == types.ImageStateFailed && i.HasFailed:
		default:
			i.fault("its state is ", string(i.now.State))
		}
		for _, id := range i.snapshotIDs() {
			if fault := u.snapshots[id].fault; fault != "" {
				i.fault("its snapshot ", id, ": ", fault)
			}
		}
	}
}

// unattachedSnapshots are the snapshots that the run declared, or that were in the bin, and that
// are there, but that no image in the account maps. They carry the day themselves.
func (u *undoing) unattachedSnapshots() []*snapshot {
	needed := map[string]bool{}
	for _, i := range u.images {
		if i.isBack() {
			for _, id := range i.snapshotIDs() {
				needed[id] = true
			}
		}
	}
	var unattached []*snapshot
	for _, id := range slices.Sorted(maps.Keys(u.snapshots)) {
		if s := u.snapshots[id]; s.fault == "" && u.concerns(s) && !needed[id] {
			unattached = append(unattached, s)
		}
	}
	return unattached
}

// concerns reports whether a snapshot was in the bin, or declared by the run that is undone.
func (u *undoing) concerns(s *snapshot) bool {
	run, declared := u.bin.runs[s.id]
	return s.inBin || declared && u.wanted.Run != "" && run == u.wanted.Run
}

// getsDay reports whether an image that is there gets the day: because it was in the bin,
// because its removal was declared, or because a record says that it was removed and no day is
// noted yet.
func (u *undoing) getsDay(i *image) bool {
	if !i.isBack() || i.announced() {
		return false
	}
	return i.inBin || hasTag(i.now.Tags, ami.IntentTag) || i.Recorded && !hasTag(i.now.Tags, ami.RestoredTag)
}

func (u *undoing) day() string { return u.wanted.Today.UTC().Format(time.DateOnly) }

// taggedSnapshots are the snapshots of complete images, and the unattached ones, if they carry tags
// of their removal.
func (u *undoing) taggedSnapshots(unattached []*snapshot) []string {
	found := map[string]bool{}
	add := func(s *snapshot) {
		if s.now != nil && s.fault == "" && carriesAny(s.now.Tags) {
			found[s.id] = true
		}
	}
	for _, s := range unattached {
		add(s)
	}
	for _, i := range u.images {
		if i.isBack() && !i.announced() && len(i.faults) == 0 {
			for _, id := range i.snapshotIDs() {
				add(u.snapshots[id])
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// taggedImages are the complete images that carry tags of their removal.
func (u *undoing) taggedImages() []string {
	var found []string
	for _, i := range u.images {
		if i.isBack() && !i.announced() && len(i.faults) == 0 && carriesAny(i.now.Tags) {
			found = append(found, i.ImageID)
		}
	}
	return found
}

func carriesAny(tags []types.Tag) bool {
	return slices.ContainsFunc(removalTags, func(key string) bool { return hasTag(tags, key) })
}

// blame adds failures to the images and snapshots that they are about, and to the images that map
// those snapshots.
func (u *undoing) blame(failures map[string]error) {
	for _, s := range u.snapshots {
		if err := failures[s.id]; err != nil {
			s.fault = "its tags could not be put in order" + because(err)
		}
	}
	for _, i := range u.images {
		if err := failures[i.ImageID]; err != nil {
			i.fault("its tags could not be put in order", because(err))
		}
		for _, id := range i.snapshotIDs() {
			if err := failures[id]; err != nil && i.isBack() {
				i.fault("the tags of its snapshot ", id, " could not be put in order", because(err))
			}
		}
	}
}

// inBatches makes a change to many resources with few calls, and returns what failed. An error
// without a code is not an answer of AWS, so the change is made again, which does no harm.
func inBatches(ids []string, change func(ids []string) error) map[string]error {
	failures := map[string]error{}
	for chunk := range slices.Chunk(ids, batch) {
		err := change(chunk)
		if err != nil && wire.Code(err) == "" {
			err = change(chunk)
		}
		for n, err := range oneByOne(chunk, err, change) {
			if err != nil {
				failures[chunk[n]] = err
			}
		}
	}
	return failures
}

// oneByOne returns the error of a change for each resource, given the error for all of them. AWS
// refuses a call because of one bad resource; then the change is made to each by itself.
func oneByOne(ids []string, err error, change func(ids []string) error) []error {
	errs := slices.Repeat([]error{err}, len(ids))
	if wire.Code(err) == "" || len(ids) == 1 {
		return errs
	}
	var group errgroup.Group
	group.SetLimit(inFlight)
	for n := range ids {
		group.Go(func() error {
			errs[n] = change(ids[n : n+1])
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// noteRestored writes the day on which something was restored. If there is no room for one more tag
// (EC2 allows 50), it takes off the tags that say least.
func (u *undoing) noteRestored(ctx context.Context, ids []string) error {
	day := map[string]string{ami.RestoredTag: u.day()}
	err := wire.Tag(ctx, u.api, ids, day)
	if len(ids) > 1 || wire.Code(err) != "TagLimitExceeded" {
		return err
	}
	if err := wire.Untag(ctx, u.api, ids, []string{ami.DueTag, ami.AnnouncedByTag, ami.RunTag}); err != nil {
		return err
	}
	return wire.Tag(ctx, u.api, ids, day)
}
