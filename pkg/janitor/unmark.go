package janitor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Unmarked is an image whose announced removal was to be taken back.
type Unmarked struct {
	ImageID, Region string
	Marked          bool  // Its removal had been announced; else there was nothing to take back.
	Err             error // Why it could not be taken back; nil if it was.
}

// Unmark takes back the announced removal of images, whatever stage it is at, and notes today as a use, from which their
// idle time counts anew. The error is about images that could not be looked for, or that are not there; all others have been
// dealt with.
func (j *Janitor) Unmark(ctx context.Context, ids []string) ([]Unmarked, error) {
	if err := j.checkClock(ctx); err != nil {
		return nil, err
	}
	regions, err := j.RegionNames(ctx)
	if err != nil {
		return nil, err
	}
	var results []Unmarked
	missing := slices.Clone(ids)
	var faults []string
	for _, region := range regions {
		client := wire.EC2(j.AWS, region)
		images, err := inventory.ImagesAgain(ctx, client, ids)
		if err != nil {
			faults = append(faults, fmt.Sprintf("; %s could not be searched: %s", region, wire.Explain(err)))
			continue
		}
		for _, image := range images {
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == image.ID })
			result := Unmarked{ImageID: image.ID, Region: region, Marked: retention.Marked(image)}
			if result.Marked {
				result.Err = sweep.Unmark(ctx, client, image, true, retention.UndoAsked(image), j.Clock())
			}
			results = append(results, result)
		}
	}
	if len(faults) == len(regions) {
		return results, fmt.Errorf("no region could be searched%s", strings.Join(faults, ""))
	}
	if len(missing) > 0 {
		return results, fmt.Errorf("not among the account's own images in %s: %s%s",
			strings.Join(regions, ", "), strings.Join(missing, ", "), strings.Join(faults, ""))
	}
	return results, nil
}
