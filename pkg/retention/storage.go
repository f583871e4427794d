package retention

import (
	"cmp"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Storage is what some snapshots take, by the sizes of their volumes. Each counts once.
type Storage struct {
	Snapshots   int
	GiB         int64
	ArchivedGiB int64 // Those of GiB that are in the archive tier.
}

// Add counts one more snapshot.
func (s *Storage) Add(gib int64, isArchived bool) {
	s.Snapshots++
	s.GiB += gib
	if isArchived {
		s.ArchivedGiB += gib
	}
}

// SharedSnapshot is a snapshot that several images of a region map.
type SharedSnapshot struct {
	SnapshotID string
	SizeGiB    int64
	Archived   bool
	Stays      bool     // It stays even if all of these images go.
	ImageIDs   []string // In the order of the verdicts.
}

// measure says of every image what its snapshots take, and which of them only it maps.
func (r *regionFacts) measure(plan *Plan) {
	shared := r.sharedSnapshots()
	for i := range plan.Verdicts {
		v := &plan.Verdicts[i]
		for _, id := range listedOnce(v.Image.SnapshotIDs) {
			snapshot, isListed := r.snapshots[id]
			if !isListed {
				continue
			}
			v.Stored.Add(snapshot.SizeGiB, snapshot.Archived)
			if users, isShared := shared[id]; isShared {
				shared[id] = append(users, v.Image.ID)
			} else if !r.stays(snapshot) {
				v.Freeable.Add(snapshot.SizeGiB, snapshot.Archived)
			}
		}
	}
	for id, users := range shared {
		snapshot := r.snapshots[id]
		plan.Shared = append(plan.Shared, SharedSnapshot{id, snapshot.SizeGiB, snapshot.Archived, r.stays(snapshot), users})
	}
	slices.SortFunc(plan.Shared, func(a, b SharedSnapshot) int { return cmp.Compare(a.SnapshotID, b.SnapshotID) })
}

// sharedSnapshots returns the ids of the account's snapshots that several images map.
func (r *regionFacts) sharedSnapshots() map[string][]string {
	seen, shared := make(map[string]bool, len(r.snapshots)), map[string][]string{}
	for i := range r.images {
		for _, id := range listedOnce(r.images[i].SnapshotIDs) {
			if _, isListed := r.snapshots[id]; isListed && seen[id] {
				shared[id] = nil
			}
			seen[id] = true
		}
	}
	return shared
}

// listedOnce returns ids, each once.
func listedOnce(ids []string) []string {
	for n := 1; n < len(ids); n++ {
		if ids[n-1] >= ids[n] { // As a rule they are in order.
			return slices.Compact(slices.Sorted(slices.Values(ids)))
		}
	}
	return ids
}

// stays reports whether a fact keeps a snapshot when its images are gone. Evidence does not count:
// it is asked for about few images.
func (r *regionFacts) stays(snapshot *ami.Snapshot) bool {
	return snapshot.Locked() || r.keepsSnapshot(snapshot.ID) != ""
}
