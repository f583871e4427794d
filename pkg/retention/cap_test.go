package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The cap holds over the plans of all regions, and the stalest images go first, wherever they are.
func TestCap(t *testing.T) {
	west := inventory(region, idle("ami-1", launched(ago(days(300)))), idle("ami-4", launched(ago(days(200)))), idle("ami-5", launched(ago(days(100)))))
	east := inventory("us-east-1", idle("ami-2", launched(ago(days(310)))), idle("ami-3", launched(ago(days(299)))))
	for name, test := range map[string]struct {
		limit          int
		goes, deferred []string
	}{
		"below_zero_is_none":     {-1, []string{}, []string{"ami-1", "ami-4", "ami-2", "ami-3"}},
		"none":                   {0, []string{}, []string{"ami-1", "ami-4", "ami-2", "ami-3"}},
		"the_stalest_goes_first": {1, []string{"ami-2"}, []string{"ami-1", "ami-4", "ami-3"}},
		"one_of_each_region":     {2, []string{"ami-1", "ami-2"}, []string{"ami-4", "ami-3"}},
		"all_but_one":            {3, []string{"ami-1", "ami-2", "ami-3"}, []string{"ami-4"}},
		"exactly_all":            {4, []string{"ami-1", "ami-4", "ami-2", "ami-3"}, []string{}},
		"more_than_there_are":    {5, []string{"ami-1", "ami-4", "ami-2", "ami-3"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(func(p *retention.Policy) { p.MaxDeregistrations = test.limit })
			plans := p.Open([]ami.Inventory{west, east}, now).Plan(unused(west, east))
			if got := decided(plans, retention.Deregister); !slices.Equal(got, test.goes) {
				t.Errorf("goes %v, want %v", got, test.goes)
			}
			if got := decided(plans, retention.Defer); !slices.Equal(got, test.deferred) {
				t.Errorf("deferred %v, want %v", got, test.deferred)
			}
		})
	}
}

// A deferred image says why it would go, and why not now.
func TestDeferredImagesSayWhy(t *testing.T) {
	here := inventory(region, idle("ami-1"), idle("ami-2"))
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = 1 })
	v := judge(t, p, here)["ami-2"]
	if want := []retention.Code{"stale", "over-cap"}; !slices.Equal(codes(v), want) {
		t.Errorf("reasons %v, want %v", codes(v), want)
	}
	if want := "last launched 2026-01-27, 300 days ago; the limit is 180 days\nat most 1 a run, the stalest first\n"; details(v) != want {
		t.Errorf("says %q, want %q", details(v), want)
	}
}

// An image with a snapshot whose sharing EC2 does not reveal gives its place in the cap to another
// image: otherwise it would block removals permanently. Once no further snapshots are asked about,
// all images of unknown sharing are kept.
func TestWhatMayBeSharedYieldsItsPlace(t *testing.T) {
	here := inventory(region, idle("ami-1", mapping("snap-1")), idle("ami-2", mapping("snap-2")), idle("ami-3", mapping("snap-3")), idle("ami-4"))
	here.Snapshots = []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-2"}, {ID: "snap-3"}}
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = 1 })
	for _, step := range []struct {
		sharing map[string]ami.Sharing
		gap     string
		goes    string
		kept    []string
	}{
		{nil, "", "ami-1", nil},
		{map[string]ami.Sharing{"snap-1": {Err: "denied"}}, "", "ami-2", []string{"ami-1"}},
		{map[string]ami.Sharing{"snap-1": {Err: "denied"}, "snap-2": {}}, "denied", "ami-2", []string{"ami-1", "ami-3"}},
		{map[string]ami.Sharing{"snap-1": {Err: "denied"}, "snap-2": {Err: "denied"}}, "denied", "ami-4", []string{"ami-1", "ami-2", "ami-3"}},
	} {
		evidence := unused(here)
		evidence[region] = ami.Evidence{Images: evidence[region].Images, Sharing: step.sharing, SharingGap: step.gap}
		for id, v := range verdicts(p.Open([]ami.Inventory{here}, now).Plan(evidence)) {
			want := retention.Defer
			switch {
			case id == step.goes:
				want = retention.Deregister
			case slices.Contains(step.kept, id):
				want = retention.Keep
			}
			if v.Decision != want || want == retention.Keep && !strings.Contains(details(v), "with whom it is shared is not known: denied") {
				t.Errorf("%v: %s: %s, want %s: %s", step.sharing, id, v.Decision, want, details(v))
			}
		}
	}
}

// Images that have been idle for the same time go by their ids, and then by their regions, in
// whatever order the regions come.
func TestCapWithTies(t *testing.T) {
	var inventories []ami.Inventory
	for _, name := range []string{"c", "a", "b"} {
		inventories = append(inventories, inventory(name, idle("ami-2"), idle("ami-1"), idle("ami-3")))
	}
	want := []string{"a ami-1", "a ami-2", "b ami-1", "b ami-2", "c ami-1"}
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = len(want) })
	for range inventories {
		inventories = append(inventories[1:], inventories[0])
		var got []string
		for _, plan := range p.Open(inventories, now).Plan(unused(inventories...)) {
			for _, v := range plan.Verdicts {
				if v.Decision == retention.Deregister {
					got = append(got, fmt.Sprint(plan.Region, " ", v.Image.ID))
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("goes %v, want %v", got, want)
		}
	}
}

// Verdicts and candidates come stalest first, by their last use, and then by id.
func TestStalestFirst(t *testing.T) {
	here := inventory(region,
		idle("ami-5", created(now)),
		idle("ami-2", launched(ago(days(400)))),
		idle("ami-4", tagged("ami-janitor:restored", "2026-02-01")),
		idle("ami-1", launched(ago(days(400)))),
		idle("ami-3", launched(ago(days(399)))),
	)
	p := policy()
	want := []string{"ami-1", "ami-2", "ami-3", "ami-4", "ami-5"}
	if got := decided(p.Open([]ami.Inventory{here}, now).Plan(unused(here)), retention.Deregister, retention.Keep); !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
	var got []string
	for _, image := range p.Open([]ami.Inventory{here}, now).Candidates()[region] {
		got = append(got, image.ID)
	}
	if !slices.Equal(got, want[:4]) {
		t.Errorf("candidates %v, want %v", got, want[:4])
	}
}
