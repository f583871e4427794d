package retention_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// With every switch at its default nothing goes, and nothing is announced, that version 0.1.0 kept.
func TestNothingGoesAtDefaultsThatStayedBefore(t *testing.T) {
	more := 0
	checkTimes(t, 10, func(t *rapid.T, w world) {
		w.policy.JudgeMarketplace, w.policy.JudgeFailed = false, false
		plans := w.plan()
		w.before = true
		for i, plan := range plans {
			for _, v := range plan.Verdicts {
				before := w.judge(w.inventories[i], v.Image).decision
				if before == retention.Keep && v.Decision != retention.Keep {
					t.Errorf("%s: %s because of %q, and was kept before: %+v", v.Image.ID, v.Decision, v.Reasons, v.Image)
				}
				if before != retention.Keep && v.Decision == retention.Keep {
					more++
				}
			}
		}
	})
	if more == 0 {
		t.Error("nothing is kept that went before: the property says too little")
	}
}
