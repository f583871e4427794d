package sweep

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Unmarked is an image whose announcement a person takes back.
type Unmarked struct {
	ImageID, Region string
	Marked          bool  // Its removal had been announced; else there was nothing to take back.
	Err             error // Why it could not be taken back; nil if it was.
}

// UnmarkImages takes back the announced removal of images, each given by id or name, wherever they
// are in some regions, and notes today as a use, from which their idle time starts over. The error
// is about images that could not be searched for or found; all others have been dealt with.
func UnmarkImages(ctx context.Context, account aws.Config, regions, given []string, now time.Time) ([]Unmarked, error) {
	found, err := findNamed(ctx, account, regions, given)
	results := make([]Unmarked, len(found))
	for i, image := range found {
		results[i] = Unmarked{ImageID: image.ID, Region: image.region, Marked: retention.Marked(image.Image)}
		if results[i].Marked {
			results[i].Err = Unmark(ctx, image.client, image.Image, true, retention.UndoAsked(image.Image), now)
		}
	}
	return results, err
}
