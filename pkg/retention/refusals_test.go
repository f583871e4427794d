package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// left is what the journal says about an image that a run did not remove, so long ago.
func left(since time.Duration, byEC2 bool) ami.Refusal {
	return ami.Refusal{Run: earlierRun, At: ago(since), Error: "AuthFailure: not yours", ByEC2: byEC2}
}

// The days count, and not the hours: runs start a little sooner or later.
func TestAnImageThatEC2HasRefusedWaitsForAWeek(t *testing.T) {
	for name, test := range map[string]struct {
		refusal  ami.Refusal
		decision retention.Decision
	}{
		"last_night":            {left(days(1), true), retention.Defer},
		"a_moment_ago":          {left(0, true), retention.Defer},
		"six_days_ago":          {left(days(6), true), retention.Defer},
		"a_week_ago_at_noon":    {left(days(7)-9*time.Hour, true), retention.Deregister},
		"a_week_ago":            {left(days(7), true), retention.Deregister},
		"years_ago":             {left(days(1000), true), retention.Deregister},
		"by_a_clock_that_ran":   {left(-days(6), true), retention.Defer},
		"by_a_clock_that_leapt": {left(-days(8), true), retention.Deregister},
		"at_no_known_time":      {ami.Refusal{Run: "x", ByEC2: true}, retention.Deregister},
		"for_a_passing_reason":  {left(days(1), false), retention.Deregister},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, idle(subject), idle("ami-9"))
			here.History.Refused = map[string]ami.Refusal{subject: test.refusal}
			v := judge(t, policy(), here)
			if v[subject].Decision != test.decision || !v[subject].Yields {
				t.Errorf("%s, yields %t: %v", v[subject].Decision, v[subject].Yields, v[subject].Reasons)
			}
			if v["ami-9"].Decision != retention.Deregister || v["ami-9"].Yields {
				t.Errorf("the other one: %s, yields %t", v["ami-9"].Decision, v["ami-9"].Yields)
			}
		})
	}
}

func TestARefusalSaysWhenAndWhy(t *testing.T) {
	here := inventory(region, idle(subject))
	here.History.Refused = map[string]ami.Refusal{subject: left(days(3), true)}
	v := judge(t, policy(), here)[subject]
	if want := []retention.Code{"stale", "refused"}; !slices.Equal(codes(v), want) {
		t.Errorf("reasons %v, want %v", codes(v), want)
	}
	if says := "on 2026-11-20, tried again from 2026-11-27: AuthFailure: not yours"; !strings.Contains(details(v), says) {
		t.Errorf("says %q, want %q", details(v), says)
	}
}

// An image that EC2 refused uses up no cap while it waits, and comes last after that. An image that
// failed for a reason that may pass comes last at once.
func TestRefusedImagesTakeNoPlaceInTheCap(t *testing.T) {
	here := inventory(region,
		idle("ami-1", launched(ago(days(500)))), idle("ami-2", launched(ago(days(490)))), idle("ami-3", launched(ago(days(480)))),
		idle("ami-4", launched(ago(days(300)))), idle("ami-5", launched(ago(days(200)))))
	here.History.Refused = map[string]ami.Refusal{"ami-1": left(days(1), true), "ami-2": left(days(8), true), "ami-3": left(days(1), false)}
	for limit, want := range map[int][]string{
		0: {}, 1: {"ami-4"}, 2: {"ami-4", "ami-5"}, 3: {"ami-2", "ami-4", "ami-5"}, 4: {"ami-2", "ami-3", "ami-4", "ami-5"}, 5: {"ami-2", "ami-3", "ami-4", "ami-5"},
	} {
		p := policy(func(p *retention.Policy) { p.MaxDeregistrations = limit })
		plans := p.Open([]ami.Inventory{here}, now).Plan(unused(here))
		if got := decided(plans, retention.Deregister); !slices.Equal(got, want) {
			t.Errorf("with a cap of %d: %v, want %v", limit, got, want)
		}
		if limit == 2 && !strings.Contains(details(verdicts(plans)["ami-2"]), "at most 2 a run, the stalest first, and behind the others what could not be removed before") {
			t.Errorf("ami-2 says %q", details(verdicts(plans)["ami-2"]))
		}
	}
}

// A refusal does not affect an image that is kept or only announced.
func TestARefusalIsNoReasonToKeep(t *testing.T) {
	here := inventory(region, idle(subject, tagged("ami-janitor:keep", "")))
	here.History.Refused = map[string]ami.Refusal{subject: left(days(1), true)}
	if v := judge(t, policy(), here)[subject]; v.Decision != retention.Keep || slices.Contains(codes(v), "refused") {
		t.Errorf("%s because of %v", v.Decision, v.Reasons)
	}
	here.Images = []ami.Image{idle(subject)}
	if v := judge(t, policy(grace(14, retention.Announce)), here)[subject]; v.Decision != retention.Mark || v.Yields {
		t.Errorf("%s because of %v, yields %t", v.Decision, v.Reasons, v.Yields)
	}
}
