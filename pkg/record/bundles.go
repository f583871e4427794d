package record

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// PlannedBundle is the verdict on the bundle of an instance-store image that the run deregisters,
// or would.
type PlannedBundle struct {
	Verdict SnapshotVerdict `json:"verdict"`          // delete or keep.
	Detail  string          `json:"detail,omitempty"` // Why it is kept.
	Objects int             `json:"objects,omitempty"`
	Bytes   int64           `json:"bytes,omitempty"` // The size of the objects.
}

// LeftBundle is a bundle that an earlier run was to delete but did not, and what this run did with
// it.
type LeftBundle struct {
	Run      string           `json:"run"` // The earlier run.
	ImageID  string           `json:"imageId"`
	Location string           `json:"location"` // BUCKET/KEY of the manifest.
	Verdict  SnapshotVerdict  `json:"verdict"`
	Status   ami.BundleStatus `json:"status,omitempty"` // Absent in a dry run.
	Detail   string           `json:"detail"`
	Objects  int              `json:"objects"`
	Bytes    int64            `json:"bytes"`
}

func plannedBundle(v *retention.Verdict) *PlannedBundle {
	switch {
	case v.Bundle == nil:
		return nil
	case !v.Bundle.Delete:
		return &PlannedBundle{Verdict: KeepSnapshot, Detail: v.Bundle.Why}
	default:
		return &PlannedBundle{Verdict: DeleteSnapshot, Objects: len(v.Bundle.Objects), Bytes: v.Bundle.Bytes()}
	}
}

// newLeftBundles records the bundles that earlier runs left. One whose image is there is none.
func newLeftBundles(plan []retention.BundleLeftover, done map[string]ami.BundleResult) []LeftBundle {
	var left []LeftBundle
	for i := range plan {
		v := &plan[i]
		if !v.Delete && v.Why == "" {
			continue
		}
		b := LeftBundle{Run: v.Run, ImageID: v.ImageID, Location: v.Location, Verdict: KeepSnapshot, Detail: v.Why}
		if v.Delete {
			b.Verdict, b.Objects, b.Bytes = DeleteSnapshot, len(v.Objects), v.Bytes()
		}
		if result, ok := done[v.ImageID]; ok {
			b.Status, b.Detail, b.Objects, b.Bytes = result.Status, result.Detail, result.Objects, result.Bytes
		}
		left = append(left, b)
	}
	return left
}

// isToGo reports whether the plan deletes a bundle.
func (b LeftBundle) isToGo() bool { return b.Verdict == DeleteSnapshot }

// failedBundles counts the bundles whose deletion is not confirmed.
func (r Run) failedBundles() int {
	failed := 0
	for _, region := range r.Regions {
		for i := range region.Images {
			if o := region.Images[i].Outcome; o != nil && o.Bundle != nil && o.Bundle.Status == ami.BundleFailed {
				failed++
			}
		}
		for _, b := range region.Bundles {
			if b.Status == ami.BundleFailed {
				failed++
			}
		}
	}
	return failed
}
