package record

import (
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Postpone leaves planned removals and announcements of a dry run to a later run, and counts again.
// Their snapshots stay, also where another image would have taken them along.
func (r *Run) Postpone(isLeft func(region, id string) bool, why retention.Reason) {
	for _, region := range r.Regions {
		staying := map[string]string{} // The image that keeps a snapshot, by the id of the latter.
		for i := range region.Images {
			image := &region.Images[i]
			if !image.Planned() && !image.ToBeMarked() || !isLeft(region.Region, image.ImageID) {
				continue
			}
			for _, s := range image.Snapshots {
				staying[s.SnapshotID] = image.ImageID
			}
			image.Verdict, image.DueOn, image.Action, image.Snapshots = retention.Defer, "", "", nil
			image.Reasons = append(slices.Clip(image.Reasons), why)
		}
		for i := range region.Images {
			for j := range region.Images[i].Snapshots {
				if s := &region.Images[i].Snapshots[j]; s.Verdict == DeleteSnapshot && staying[s.SnapshotID] != "" {
					s.Verdict, s.Detail = KeepSnapshot, staying[s.SnapshotID]+" still uses it"
				}
			}
		}
	}
	r.Finish(r.FinishedAt, r.SnapshotPrice)
}
