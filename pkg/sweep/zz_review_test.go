package sweep_test

import (
	"context"
	"testing"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
)

// The bin takes images but no snapshots; the canary with a snapshot stays; the next image keeps its snapshot.
func TestZZCanarySnapshots(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 2), image(3, 3), image(4, 4), image(5, 5))
		orders := staying(1)
		orders.RequireBin = true
		orders.InBin = func(_ context.Context, images, _ []string) (map[string]time.Time, error) {
			exits := map[string]time.Time{}
			for _, id := range images {
				exits[id] = time.Now().Add(time.Hour)
			}
			return exits, nil
		}
		_ = ami.Image{}
		plan := planOf(due(1, 1), keeping(retention.Verdict{Image: ami.Image{ID: imageID(2)}, Decision: retention.Deregister}, 2, "kept"), due(3, 3), due(4, 4), due(5, 5))
		for _, o := range sweep.Run(t.Context(), t.Context(), client(account.Client()), plan, orders).Outcomes {
			t.Log(summary(o), o.Error)
		}
	})
}
