package retention_test

import (
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// A deprecation that the owner chose does not belong to the announcement: it stays when that is
// taken back, although both are for one day.
func TestAnOwnersDeprecation(t *testing.T) {
	p := policy(grace(14, retention.Deprecate))
	for at, want := range map[time.Time]retention.GraceAction{{}: retention.Deprecate, now.AddDate(0, 0, 14): retention.Announce, ago(days(10)): retention.Announce} {
		here := inventory(region, idle(subject, func(i *ami.Image) { i.DeprecatedAt = at }))
		if v := p.Open([]ami.Inventory{here}, now).Plan(unused(here))[0].Verdicts[0]; v.Decision != retention.Mark || v.Action != want {
			t.Errorf("deprecated %v: %s, %s because of %v", at, v.Decision, v.Action, v.Reasons)
		}
	}
}
