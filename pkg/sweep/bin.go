package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
)

// proof is what was seen of the Recycle Bin's work in this region.
type proof struct {
	images, snapshots bool // One that this run has removed has turned up in the bin.
	read              bool // The bin was read after the removals.
}

// notInBin is why a region stops.
const notInBin = "left alone: what this run removed first has not turned up in the Recycle Bin within two minutes"

// isProven reports whether some images may go side by side: the Recycle Bin has been seen to take in what they bring, or need
// not. The first canary may have stayed, and the image that went in its place may have taken no snapshot along.
func (s *sweep) isProven(some []*image) bool {
	return !s.RequireBin || s.bin.images && (s.bin.snapshots || !slices.ContainsFunc(some, (*image).takesSnapshot))
}

// canaryFirst moves an image to the front that takes a snapshot along, so that its removal shows what becomes of both, and that
// was not refused before if there is one. As long as EC2 has allowed no removal, the next canary after one that failed comes from
// the other end, and the one after that from the middle: what is protected is often of one age, and must not decide for all.
func (s *sweep) canaryFirst(due []*image) {
	if len(due) == 0 {
		return
	}
	some := slices.DeleteFunc(slices.Clone(due), func(i *image) bool { return i.Yields })
	if len(some) == 0 {
		some = slices.Clone(due)
	}
	if taking := slices.DeleteFunc(slices.Clone(some), func(i *image) bool { return !i.takesSnapshot() }); len(taking) > 0 {
		some = taking
	}
	canary := some[0]
	if !s.allowed {
		canary = some[[]int{0, len(some) - 1, len(some) / 2}[s.failed%3]]
	}
	at := slices.Index(due, canary)
	copy(due[1:at+1], due[:at])
	due[0] = canary
}

// proveAll looks for images that were removed in the Recycle Bin, as long as that is to be proven.
func (s *sweep) proveAll(ctx context.Context, some []*image) {
	for _, i := range some {
		if i.isGone() {
			s.prove(ctx, i.Image.ID, slices.DeleteFunc(deletedHere(i.outcome.Snapshots), func(id string) bool { return s.snapshots[id].isShared() }))
		}
	}
}

// prove waits until what was just removed is seen in the Recycle Bin, if that is required, and stops the region if it is
// not. Once an image and a snapshot have been seen there is nothing left to prove. The image may be none.
func (s *sweep) prove(ctx context.Context, imageID string, snapshotIDs []string) {
	var images, snapshots []string
	if imageID != "" && !s.bin.images {
		images = []string{imageID}
	}
	if !s.bin.snapshots {
		snapshots = snapshotIDs
	}
	if !s.RequireBin || s.stopped != "" || len(images)+len(snapshots) == 0 {
		return
	}
	if !s.awaitBin(ctx, patience, images, snapshots, nil, func(map[string]time.Time) {}) {
		if ctx.Err() == nil { // Else there was no time to see it.
			s.stopped = notInBin
		}
		return
	}
	s.bin.images = s.bin.images || len(images) > 0
	s.bin.snapshots = s.bin.snapshots || len(snapshots) > 0
}

// awaitBin looks into the Recycle Bin until everything is there, several times if need be, and reports whether it is. It looks
// for doubtful snapshots, too, and does not wait for them. What is seen each time is told.
func (s *sweep) awaitBin(ctx context.Context, tries int, images, snapshots, doubtful []string, seen func(map[string]time.Time)) bool {
	for try := 1; ; try++ {
		exits, err := recyclebin.Exits(ctx, s.Clients.EC2, images, slices.Concat(snapshots, doubtful))
		if err == nil {
			seen(exits)
		}
		if err == nil && hasAll(exits, images) && hasAll(exits, snapshots) {
			return true
		}
		if try == tries || !pause(ctx, try) {
			return false
		}
	}
}

// findInBin notes when each image and snapshot that this run has removed leaves the Recycle Bin for good. What was removed
// just now may turn up late, which is worth some patience if the bin is known to work. A snapshot whose deletion was not
// confirmed, and that is in the bin, is deleted: nobody may take it for a leftover once a person has restored it.
func (s *sweep) findInBin(ctx context.Context) {
	var images []string
	snapshots, doubtful := withStatus(s.leftovers, ami.SnapshotDeleted), withStatus(s.leftovers, ami.SnapshotFailed)
	for _, i := range s.images {
		if i.isGone() {
			images = append(images, i.Image.ID)
		}
		snapshots = append(snapshots, withStatus(i.outcome.Snapshots, ami.SnapshotDeleted)...)
		doubtful = append(doubtful, withStatus(i.outcome.Snapshots, ami.SnapshotFailed)...)
	}
	if len(images)+len(snapshots)+len(doubtful) == 0 {
		return
	}
	tries := 1
	if s.bin.images {
		tries = 4
	}
	s.awaitBin(ctx, tries, images, once(snapshots), once(doubtful), func(exits map[string]time.Time) {
		s.bin.read = true
		for _, i := range s.images {
			s.noteExitsOf(i, exits)
		}
		noteExits(s.leftovers, exits)
	})
}

// noteExitsOf notes when an image and its snapshots leave the bin. A snapshot in the bin says that its
// image is gone: EC2 deletes none that an image uses.
func (s *sweep) noteExitsOf(i *image, exits map[string]time.Time) {
	i.outcome.InBinUntil = exits[i.outcome.ImageID]
	if !noteExits(i.outcome.Snapshots, exits) {
		return
	}
	settled := i.outcome
	if i.unsure {
		settled.Status = ami.Deregistered
	}
	if settled.Status == ami.Deregistered {
		_ = s.session.Settle(s.limits.Record, settled)
	}
}

func once(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func hasAll(exits map[string]time.Time, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return exits[id].IsZero() })
}

// noteExits notes when snapshots leave the bin, and reports whether one is there whose deletion was not confirmed.
func noteExits(results []ami.SnapshotResult, exits map[string]time.Time) (confirmed bool) {
	for i := range results {
		result := &results[i]
		result.RestorableUntil = exits[result.SnapshotID]
		if result.Status == ami.SnapshotFailed && !result.RestorableUntil.IsZero() {
			result.Status, result.Detail, confirmed = ami.SnapshotDeleted, "seen in the Recycle Bin after an answer that was lost", true
		}
	}
	return confirmed
}

// deletedHere returns the snapshots that are deleted, and not by somebody else: these need not be in the Recycle Bin.
func deletedHere(results []ami.SnapshotResult) []string {
	return withStatus(slices.DeleteFunc(slices.Clone(results), func(r ami.SnapshotResult) bool { return r.Detail == alreadyGone }), ami.SnapshotDeleted)
}

func withStatus(results []ami.SnapshotResult, status ami.SnapshotStatus) []string {
	var ids []string
	for _, result := range results {
		if result.Status == status {
			ids = append(ids, result.SnapshotID)
		}
	}
	return ids
}
