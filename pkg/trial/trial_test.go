package trial_test

import (
	"testing"
	"testing/synctest"

	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// A trial goes the whole way, and leaves what the Recycle Bin holds.
func TestTheWholeWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		report, err := w.trial(w.account.Client()).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		for _, step := range report.Steps {
			if step.Status != trial.Done {
				t.Errorf("%+v", step)
			}
		}
		if !report.OK() || len(report.Steps) != 11 {
			t.Error(asJSON(t, report))
		}
		if inBin := w.wantUntouched(t); len(inBin) != 2 || len(report.InBin) != 2 {
			t.Errorf("the bin holds %v, and the report says %v", inBin, report.InBin)
		}
		if again, err := w.trial(w.account.Client()).CleanUp(t.Context()); err != nil || len(again.Trials) > 0 {
			t.Errorf("%+v, %v", again, err)
		}
	})
}
