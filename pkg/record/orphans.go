package record

import "github.com/ami-janitor/ami-janitor/pkg/retention"

// Orphan is a snapshot of an image that is gone. Orphans are only reported.
type Orphan struct {
	SnapshotID string `json:"snapshotId"`
	ImageID    string `json:"imageId"`
	SizeGiB    int64  `json:"sizeGiB"`
	Archived   bool   `json:"archived,omitempty"`
	StartedAt  string `json:"startedAt"` // RFC 3339, or empty.

	// NotLookedAt means that there were too many orphans to ask whether this one is shared, or
	// whether its image is really gone.
	NotLookedAt bool `json:"notLookedAt,omitempty"`
}

func newOrphans(plan []retention.Orphan) []Orphan {
	if len(plan) == 0 {
		return nil
	}
	orphans := make([]Orphan, len(plan))
	for i, o := range plan {
		orphans[i] = Orphan{o.SnapshotID, o.ImageID, o.SizeGiB, o.Archived, timestamp(o.StartedAt), o.NotLookedAt}
	}
	return orphans
}

func (t *Totals) addOrphans(orphans []Orphan) {
	t.OrphanedSnapshots += len(orphans)
	for _, o := range orphans {
		if o.NotLookedAt {
			t.OrphansNotLookedAt++
		}
		t.GiBOrphaned += o.SizeGiB
		if o.Archived {
			t.GiBOrphanedArchived += o.SizeGiB
		}
	}
}
