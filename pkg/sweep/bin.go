package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
)

// proof is what the run saw of the Recycle Bin in this region.
type proof struct {
	images, snapshots bool // An image or a snapshot that this run removed was seen in the bin.
	read              bool // The bin was read after the removals.
}

// notInBin is why a region stops.
const notInBin = "left alone: what this run removed first has not turned up in the Recycle Bin within two minutes"

// isProven reports whether images may be removed concurrently: the Recycle Bin was seen to receive
// what they bring, or need not. The first canary may have stayed, or the image that went in its
// place may have had no snapshot.
func (s *sweep) isProven(some []*image) bool {
	images := s.bin.images || !slices.ContainsFunc(some, (*image).isWhole)
	return !s.RequireBin || images && (s.bin.snapshots || !slices.ContainsFunc(some, (*image).takesSnapshot))
}

// isWhole reports whether an image has not failed. No document of AWS says whether the Recycle Bin
// takes in one that has: so such an image is not looked for there, and proves nothing for others.
func (i *image) isWhole() bool { return i.Image.State != "failed" }

// canaryFirst moves an image to the front that has not failed, was not refused before, and has a
// snapshot to delete, so that its removal proves both, as far as there is one. As long as EC2 has
// allowed no removal, the next canary after a failed one comes from the other end of the list, and
// the one after that from the middle: protected images are often of one age, and must not decide
// for all.
func (s *sweep) canaryFirst(due []*image) {
	if len(due) == 0 {
		return
	}
	some := due
	for _, isBetter := range []func(*image) bool{(*image).isWhole, func(i *image) bool { return !i.Yields }, (*image).takesSnapshot} {
		if better := slices.DeleteFunc(slices.Clone(some), func(i *image) bool { return !isBetter(i) }); len(better) > 0 {
			some = better
		}
	}
	canary := some[0]
	if !s.allowed {
		canary = some[[]int{0, len(some) - 1, len(some) / 2}[s.failed%3]]
	}
	at := slices.Index(due, canary)
	copy(due[1:at+1], due[:at])
	due[0] = canary
}

// proveAll looks for removed images in the Recycle Bin, as long as the bin is not proven.
func (s *sweep) proveAll(ctx context.Context, some []*image) {
	for _, i := range some {
		if i.isGone() {
			imageID := i.Image.ID
			if !i.isWhole() {
				imageID = ""
			}
			s.prove(ctx, imageID, slices.DeleteFunc(deletedHere(i.outcome.Snapshots), func(id string) bool { return s.snapshots[id].isShared() }))
		}
	}
}

// prove waits until the last removal is seen in the Recycle Bin, if that is required, and stops the
// region if it is not. After one image and one snapshot were seen, nothing is left to prove.
// imageID may be empty.
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
	if !s.awaitBin(ctx, eventualAttempts, images, snapshots, nil, func(map[string]time.Time) {}) {
		if ctx.Err() == nil { // Otherwise there was no time to see it.
			s.stopped = notInBin
		}
		return
	}
	s.bin.images = s.bin.images || len(images) > 0
	s.bin.snapshots = s.bin.snapshots || len(snapshots) > 0
}

// awaitBin reads the Recycle Bin until everything is there, several times if needed, and reports
// whether it is. It looks for doubtful snapshots, too, without waiting for them. seen receives
// what each reading shows.
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

// findInBin notes when each image and snapshot that this run removed leaves the Recycle Bin. Recent
// removals may appear late; if the bin is known to work, it waits for them. A snapshot in the bin
// is deleted, even if its deletion was not confirmed: otherwise it would count as a leftover after
// a person restored it.
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

// noteExitsOf notes when an image and its snapshots leave the bin. A snapshot in the bin proves
// that its image is gone: EC2 deletes no snapshot of an existing image.
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

// noteExits notes when snapshots leave the bin, and reports whether one of unconfirmed deletion is
// there.
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

// deletedHere returns the snapshots that this run deleted: those deleted by somebody else need not
// be in the Recycle Bin.
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
