package record

import (
	"math"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Storage is what the snapshots of an image take, by the sizes of their volumes: of those that the
// account lists. Each snapshot counts once.
type Storage struct {
	SizeGiB int64 `json:"sizeGiB"`
	// ArchivedGiB are those of SizeGiB that are in the archive tier.
	ArchivedGiB   int64 `json:"archivedGiB,omitempty"`
	SnapshotCount int   `json:"snapshotCount,omitempty"`

	// FreeableGiB are those of SizeGiB that would be freed if only this image went: those of
	// snapshots that no other image maps, and that no tag, lock or policy keeps. A shared snapshot
	// is not in it, so that no sum over images counts one twice; see Region.SharedSnapshots.
	FreeableGiB         int64 `json:"freeableGiB"`
	FreeableArchivedGiB int64 `json:"freeableArchivedGiB,omitempty"`
	FreeableCount       int   `json:"freeableCount,omitempty"` // Of snapshots.
}

// SharedSnapshot is a snapshot that several images of a region map. It is freed when all of them
// are gone.
type SharedSnapshot struct {
	SnapshotID string   `json:"snapshotId"`
	SizeGiB    int64    `json:"sizeGiB"`
	Archived   bool     `json:"archived,omitempty"`
	Stays      bool     `json:"stays,omitempty"` // It stays even then.
	ImageIDs   []string `json:"imageIds"`
}

func newStorage(v *retention.Verdict) Storage {
	all, alone := v.Stored, v.Freeable
	return Storage{
		SizeGiB: all.GiB, ArchivedGiB: all.ArchivedGiB, SnapshotCount: all.Snapshots,
		FreeableGiB: alone.GiB, FreeableArchivedGiB: alone.ArchivedGiB, FreeableCount: alone.Snapshots,
	}
}

func newSharedSnapshots(plan []retention.SharedSnapshot) []SharedSnapshot {
	if len(plan) == 0 {
		return nil
	}
	shared := make([]SharedSnapshot, len(plan))
	for i, s := range plan {
		shared[i] = SharedSnapshot(s)
	}
	return shared
}

// Amount is what images, and their snapshots, come to. Each snapshot counts once.
type Amount struct {
	Images    int   `json:"images"`
	Snapshots int   `json:"snapshots"`
	GiB       int64 `json:"gib"`
	// ArchivedGiB are those of GiB that are in the archive tier, where they are cheaper.
	ArchivedGiB int64 `json:"archivedGiB,omitempty"`

	// MonthlyUpTo is the most that they can cost in a month, in US dollars: snapshots are stored
	// incrementally, so that most take less than their volumes.
	MonthlyUpTo float64 `json:"monthlyUpTo"`
}

// add counts a snapshot.
func (a *Amount) add(gib int64, isArchived bool) {
	a.Snapshots++
	a.GiB += gib
	if isArchived {
		a.ArchivedGiB += gib
	}
}

// take takes out a snapshot that is counted once too often.
func (a *Amount) take(gib int64, isArchived bool) {
	a.Snapshots--
	a.GiB -= gib
	if isArchived {
		a.ArchivedGiB -= gib
	}
}

// plus adds an amount that has its price.
func (a *Amount) plus(of Amount) {
	a.Images += of.Images
	a.Snapshots += of.Snapshots
	a.GiB += of.GiB
	a.ArchivedGiB += of.ArchivedGiB
	a.MonthlyUpTo = math.Round((a.MonthlyUpTo+of.MonthlyUpTo)*100) / 100
}

// priced returns the amount with its price, which is rounded to cents.
func (r Run) priced(a Amount) Amount {
	a.MonthlyUpTo = r.Monthly(a.GiB, a.ArchivedGiB)
	return a
}

// Monthly is the most that snapshots can cost in a month, in US dollars, rounded to cents. Archived
// are those of the GiB that are in the archive tier.
func (r Run) Monthly(gib, archived int64) float64 {
	return math.Round((float64(gib-archived)*r.SnapshotPrice+float64(archived)*r.ArchivePrice)*100) / 100
}

// Stored is what the snapshots of some images take, whatever becomes of the images. A snapshot that
// several of these images map counts once.
func (r Run) Stored(wanted func(Region, Image) bool) Amount {
	var a Amount
	for _, region := range r.Regions {
		among := region.among(wanted)
		for n := range region.Images {
			if i := &region.Images[n]; among[i.ImageID] {
				a.Images++
				a.Snapshots, a.GiB, a.ArchivedGiB = a.Snapshots+i.SnapshotCount, a.GiB+i.SizeGiB, a.ArchivedGiB+i.ArchivedGiB
			}
		}
		for _, s := range region.SharedSnapshots {
			for range max(countAmong(s.ImageIDs, among)-1, 0) {
				a.take(s.SizeGiB, s.Archived)
			}
		}
	}
	return r.priced(a)
}

// Savings is what the removal of some images frees: of those that are removed what AWS has
// confirmed, of those that a dry run would remove what it would delete, and of the others what
// would be freed if exactly these were to go after that.
//
// No sum over lists of different images counts a snapshot twice. One that several images share
// counts with the image with which it goes, or else only where all that are left of them are in the
// list.
func (r Run) Savings(wanted func(Region, Image) bool) Amount {
	var a Amount
	for _, region := range r.Regions {
		region.addSavings(&a, region.among(wanted))
	}
	return r.priced(a)
}

func (g Region) addSavings(a *Amount, among map[string]bool) {
	going, deleted := map[string]bool{}, g.goingSnapshots()
	for n := range g.Images {
		i := &g.Images[n]
		if among[i.ImageID] {
			a.Images++
		}
		if i.Removed() || i.Planned() && !g.IsOnlyPlanned() {
			going[i.ImageID] = true
			continue
		}
		if among[i.ImageID] {
			a.Snapshots, a.GiB, a.ArchivedGiB = a.Snapshots+i.FreeableCount, a.GiB+i.FreeableGiB, a.ArchivedGiB+i.FreeableArchivedGiB
		}
	}
	for _, s := range deleted {
		if among[s.with] && going[s.with] {
			a.add(s.SizeGiB, s.Archived)
		}
	}
	for _, s := range g.SharedSnapshots {
		left := slices.DeleteFunc(slices.Clone(s.ImageIDs), func(id string) bool { return going[id] })
		if !s.Stays && len(left) > 0 && countAmong(left, among) == len(left) {
			a.add(s.SizeGiB, s.Archived)
		}
	}
}

// SavingsEach is Savings for each image of a region alone, by its id. A shared snapshot that goes
// with no single image is in none of them.
func (r Run) SavingsEach(g Region) map[string]Amount {
	each, gone := make(map[string]Amount, len(g.Images)), map[string]bool{}
	for n := range g.Images {
		i := &g.Images[n]
		a := Amount{Images: 1}
		if i.Removed() || i.Planned() && !g.IsOnlyPlanned() {
			gone[i.ImageID] = true
		} else {
			a.Snapshots, a.GiB, a.ArchivedGiB = i.FreeableCount, i.FreeableGiB, i.FreeableArchivedGiB
		}
		each[i.ImageID] = a
	}
	add := func(id string, gib int64, isArchived bool) {
		a := each[id]
		a.add(gib, isArchived)
		each[id] = a
	}
	for _, s := range g.goingSnapshots() {
		if gone[s.with] {
			add(s.with, s.SizeGiB, s.Archived)
		}
	}
	for _, s := range g.SharedSnapshots {
		left := slices.DeleteFunc(slices.Clone(s.ImageIDs), func(id string) bool { return gone[id] })
		if !s.Stays && len(left) == 1 {
			add(left[0], s.SizeGiB, s.Archived)
		}
	}
	for id, a := range each {
		each[id] = r.priced(a)
	}
	return each
}

// goingSnapshot is a snapshot that goes, or has gone, and the image with which it does.
type goingSnapshot struct {
	PlannedSnapshot
	with string
}

// goingSnapshots returns the snapshots that AWS confirmed as deleted, or that a dry run would
// delete, by id. A shared one goes with the last of its images.
func (g Region) goingSnapshots() map[string]goingSnapshot {
	going, results := map[string]goingSnapshot{}, g.snapshotResults()
	for _, i := range g.Images {
		for _, s := range i.Snapshots {
			result, isDone := results[s.SnapshotID]
			if isDone && result.status == ami.SnapshotDeleted && i.Removed() || !isDone && i.Planned() && s.Verdict == DeleteSnapshot {
				going[s.SnapshotID] = goingSnapshot{s, i.ImageID}
			}
		}
	}
	return going
}

// among returns the ids of the images that are as wanted.
func (g Region) among(wanted func(Region, Image) bool) map[string]bool {
	among := map[string]bool{}
	for _, image := range g.Images {
		if wanted(g, image) {
			among[image.ImageID] = true
		}
	}
	return among
}

func countAmong(ids []string, among map[string]bool) int {
	n := 0
	for _, id := range ids {
		if among[id] {
			n++
		}
	}
	return n
}
