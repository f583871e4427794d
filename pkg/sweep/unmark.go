package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Unmarked is an image whose announcement a person takes back.
type Unmarked struct {
	ImageID, Region string
	Marked          bool  // Its removal had been announced; else there was nothing to take back.
	Err             error // Why it could not be taken back; nil if it was.
}

// UnmarkImages takes back the announced removal of images, wherever they are in some regions, and
// notes today as a use, from which their idle time starts over. The error is about images that
// could not be searched for or found; all others have been dealt with.
func UnmarkImages(ctx context.Context, account aws.Config, regions, ids []string, now time.Time) ([]Unmarked, error) {
	var results []Unmarked
	missing := slices.Clone(ids)
	var faults []string
	for _, region := range regions {
		client := wire.EC2(account, region)
		images, err := inventory.ImagesAgain(ctx, client, ids)
		if err != nil {
			faults = append(faults, fmt.Sprintf("; %s could not be searched: %s", region, wire.Explain(err)))
			continue
		}
		for _, image := range images {
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == image.ID })
			result := Unmarked{ImageID: image.ID, Region: region, Marked: retention.Marked(image)}
			if result.Marked {
				result.Err = Unmark(ctx, client, image, true, retention.UndoAsked(image), now)
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
