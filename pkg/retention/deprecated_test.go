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

// A failed image is announced, and nothing is done to it meanwhile: EC2 disables only what can be
// launched.
func TestAFailedImageIsOnlyAnnounced(t *testing.T) {
	for _, action := range []retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable} {
		p := policy(grace(14, action), func(p *retention.Policy) { p.JudgeFailed = true })
		here := inventory(region, idle(subject, created(ago(days(400))), func(i *ami.Image) { i.State = "failed" }))
		if v := p.Open([]ami.Inventory{here}, now).Plan(unused(here))[0].Verdicts[0]; v.Decision != retention.Mark || v.Action != retention.Announce {
			t.Errorf("%s: %s, %s because of %v", action, v.Decision, v.Action, v.Reasons)
		}
	}
}
