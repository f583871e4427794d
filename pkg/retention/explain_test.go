package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func outcome(results []retention.RuleResult) (all, keeping []retention.Code) {
	for _, h := range results {
		all = append(all, h.Code)
		if h.Detail != "" {
			keeping = append(keeping, h.Code)
		}
	}
	return all, keeping
}

// Every rule is applied, also those that a plan does not reach, and the verdict is the plan's own.
func TestExplain(t *testing.T) {
	here := inventory(region,
		idle("ami-1", tagged("ami-janitor:keep", ""), mapping("snap-1", "snap-2", "snap-9")), idle("ami-2", mapping("snap-2")), idle("ami-3", mapping("snap-1"), launched(ago(days(500)))),
		idle("ami-4", created(time.Time{})),
	)
	here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 8}, {ID: "snap-2", SizeGiB: 9}}
	evidence := unused(here)
	evidence[region].Images["ami-1"] = ami.Finding{Use: ami.Used, References: []ami.Reference{{ARN: "arn:1"}}}
	explain := func(p retention.Policy, id string) retention.Explanation {
		t.Helper()
		e, ok := p.Open([]ami.Inventory{inventory("us-east-1", idle(id)), here}, now).Explain(evidence, region, id)
		if !ok || e.Verdict.Image.ID != id {
			t.Fatalf("%s: %t, about %s", id, ok, e.Verdict.Image.ID)
		}
		return e
	}

	kept := explain(policy(), "ami-1")
	all, keeping := outcome(kept.Results)
	var want []retention.Code
	for _, rule := range retention.Rules() {
		if rule.Until != "" && rule.Code != "announced" {
			want = append(want, rule.Code)
		}
	}
	if !slices.Equal(all, want) {
		t.Errorf("said by %v, want %v", all, want)
	}
	if want := []retention.Code{"keep-tag", "in-use"}; !slices.Equal(keeping, want) {
		t.Errorf("kept by %v, want %v", keeping, want)
	}
	if got := codes(kept.Verdict); kept.Verdict.Decision != retention.Keep || !slices.Equal(got, []retention.Code{"keep-tag"}) {
		t.Errorf("%s because of %v", kept.Verdict.Decision, got)
	}
	if want := "last launched 2026-01-27, 300 days ago"; kept.LastUse != want || !kept.StaleFrom.Equal(ago(days(300)).Add(days(180))) {
		t.Errorf("last use %q, stale from %s, want %q", kept.LastUse, kept.StaleFrom, want)
	}
	// If it were removed: the others that map snap-1 and snap-2 go as well.
	wantSnapshots := []retention.SnapshotVerdict{deletes("snap-1", 8, "ami-1"), deletes("snap-2", 9, "ami-2"), leaves("snap-9", 0, "not among this account's snapshots")}
	if diff := gocmp.Diff(wantSnapshots, kept.Verdict.Snapshots); diff != "" {
		t.Errorf("snapshots of what stays (-want +got):\n%s", diff)
	}

	gone := explain(policy(), "ami-3")
	if diff := gocmp.Diff([]retention.SnapshotVerdict{leaves("snap-1", 8, "ami-1 still uses it")}, gone.Verdict.Snapshots); diff != "" {
		t.Errorf("snapshots of what goes (-want +got):\n%s", diff)
	}
	if _, keeping := outcome(gone.Results); gone.Verdict.Decision != retention.Deregister || len(keeping) > 0 {
		t.Errorf("%s, kept by %v", gone.Verdict.Decision, keeping)
	}

	undated := explain(policy(), "ami-4")
	if undated.LastUse != "no date on record" || !undated.StaleFrom.IsZero() {
		t.Errorf("last use %q, stale from %s", undated.LastUse, undated.StaleFrom)
	}

	capped := explain(policy(func(p *retention.Policy) { p.MaxDeregistrations = 1 }), "ami-2")
	if got := codes(capped.Verdict); capped.Verdict.Decision != retention.Defer || !slices.Equal(got, []retention.Code{"stale", "over-cap"}) {
		t.Errorf("%s because of %v", capped.Verdict.Decision, got)
	}
	marked := explain(policy(grace(14, retention.Disable)), "ami-2")
	if marked.Verdict.Decision != retention.Mark || marked.Verdict.Action != retention.Disable || len(marked.Verdict.Snapshots) != 1 {
		t.Errorf("%+v", marked.Verdict)
	}
}

func TestExplainKnowsNoOtherImages(t *testing.T) {
	inventories := []ami.Inventory{inventory(region, idle("ami-1")), inventory("us-east-1", idle("ami-2"))}
	for _, place := range []place{{"ami-2", region}, {"ami-1", "us-east-1"}, {"ami-3", region}, {"ami-1", "ap-south-1"}, {"", region}} {
		if e, ok := policy().Open(inventories, now).Explain(unused(inventories...), place.region, place.id); ok {
			t.Errorf("%s in %s: %+v", place.id, place.region, e.Verdict)
		}
	}
}

// The explanation matches the plan: the verdict is the plan's own, the rules that keep the image do
// so in the same words, and an image that no rule keeps is removed. Explaining does not change the
// plan.
func TestExplanationsAreThePlan(t *testing.T) {
	check(t, func(t *rapid.T, w world) {
		before := encode(t, w.plan())
		var all []retention.Verdict
		var regions []string
		for _, plan := range w.plan() {
			for _, v := range plan.Verdicts {
				all, regions = append(all, v), append(regions, plan.Region)
			}
		}
		if len(all) == 0 {
			t.Skip("there is no image")
		}
		i := rapid.IntRange(0, len(all)-1).Draw(t, "image")
		want, inputs := all[i], w.clone()
		e, ok := w.policy.Open(w.inventories, now).Explain(w.evidence, regions[i], want.Image.ID)
		if !ok {
			t.Fatalf("%s is not known", want.Image.ID)
		}
		got := e.Verdict
		if want.Decision != retention.Deregister {
			if len(got.Snapshots) != len(want.Image.SnapshotIDs) {
				t.Errorf("%d snapshots explained, of %d", len(got.Snapshots), len(want.Image.SnapshotIDs))
			}
			got.Snapshots = nil
		}
		if diff := gocmp.Diff(encode(t, want), encode(t, got)); diff != "" {
			t.Errorf("another verdict is explained (-plan +explained):\n%s", diff)
		}
		_, keeping := outcome(e.Results)
		if want.Decision == retention.Keep && codes(want)[0] != "announced" {
			for _, reason := range want.Reasons {
				if !slices.ContainsFunc(e.Results, func(h retention.RuleResult) bool { return h.Code == reason.Code && h.Detail == reason.Detail }) {
					t.Errorf("%v is not said: %v", reason, e.Results)
				}
			}
		} else if len(keeping) > 0 {
			t.Errorf("%s, but %v keep it", want.Decision, keeping)
		}
		recent := slices.Contains(keeping, "recently-used")
		if !oracleBadTag(want.Image) && !want.LastUse.IsZero() {
			if from := w.oracleStaleFrom(want.Image); !e.StaleFrom.Equal(from) {
				t.Errorf("stale from %s, want %s", e.StaleFrom, from)
			}
		}
		if recent && now.After(e.StaleFrom) || e.LastUse == "" || e.StaleFrom.IsZero() != strings.HasPrefix(e.LastUse, "no date") {
			t.Errorf("last use %q, stale from %s, recently used: %t", e.LastUse, e.StaleFrom, recent)
		}
		if diff := gocmp.Diff(inputs.inventories, w.inventories); diff != "" {
			t.Errorf("the inventories are modified (-before +after):\n%s", diff)
		}
		if diff := gocmp.Diff(before, encode(t, w.plan())); diff != "" {
			t.Errorf("the plan is another after it was explained (-before +after):\n%s", diff)
		}
	})
}

// A failed image that is judged counts as stale when it can go, and not before.
func TestWhenAFailedImageCountsAsStale(t *testing.T) {
	for _, age := range []time.Duration{days(93), days(97), days(97) + 1} {
		here := inventory(region, idle(subject, created(ago(age)), func(i *ami.Image) { i.State = "failed" }))
		p := policy(func(p *retention.Policy) { p.JudgeFailed = true })
		e, _ := p.Open([]ami.Inventory{here}, now).Explain(unused(here), region, subject)
		if !e.StaleFrom.Equal(ago(age-days(97))) || (e.Verdict.Decision == retention.Keep) != (age <= days(97)) {
			t.Errorf("created %s ago: stale from %s; %s because of %v", age, e.StaleFrom, e.Verdict.Decision, e.Verdict.Reasons)
		}
	}
}
