package retention_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// notAsked is evidence before EC2 is asked about any image.
func notAsked(evidence map[string]ami.Evidence) map[string]ami.Evidence {
	before := map[string]ami.Evidence{}
	for region, known := range evidence {
		images := findings{}
		for id := range known.Images {
			images[id] = ami.Finding{Use: ami.Unasked, MayAsk: true}
		}
		known.Images = images
		before[region] = known
	}
	return before
}

// The stalest images are looked up, as many as the cap allows. What is found in use gives its place
// to others, and then at least so many are looked up together as the caller says.
func TestWhatIsLookedUp(t *testing.T) {
	var images []ami.Image
	for i := range 9 {
		images = append(images, idle("ami-"+string(rune('1'+i)), launched(ago(days(400-i)))))
	}
	here := inventory(region, images...)
	marked := inventory("us-east-1", idle("ami-b"), idle("ami-a", marked("2026-12-30")))
	for name, test := range map[string]struct {
		limit   int
		grace   time.Duration
		used    []string
		atLeast int
		want    [][]string
		goes    []string
	}{
		"as_many_as_go":          {limit: 3, want: [][]string{{"ami-1", "ami-2", "ami-3"}}, goes: []string{"ami-1", "ami-2", "ami-3"}},
		"others_take_the_places": {limit: 3, used: []string{"ami-2", "ami-4"}, want: [][]string{{"ami-1", "ami-2", "ami-3"}, {"ami-4"}, {"ami-5"}}, goes: []string{"ami-1", "ami-3", "ami-5"}},
		"together":               {limit: 3, used: []string{"ami-2", "ami-4"}, atLeast: 4, want: [][]string{{"ami-1", "ami-2", "ami-3"}, {"ami-4", "ami-5", "ami-6", "ami-7"}}, goes: []string{"ami-1", "ami-3", "ami-5"}},
		"announcements":          {limit: 2, grace: days(14), used: []string{"ami-1"}, want: [][]string{{"ami-1", "ami-2", "ami-a"}, {"ami-3"}}, goes: []string{"ami-2", "ami-3"}},
		"one_for_its_rights":     {limit: 0, want: [][]string{{"ami-1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(func(p *retention.Policy) { p.MaxDeregistrations, p.Grace = test.limit, retention.Days(test.grace) })
			inventories := []ami.Inventory{here}
			if test.grace > 0 {
				inventories = append(inventories, marked)
			}
			found := unused(inventories...)
			for _, id := range test.used {
				found[region].Images[id] = ami.Finding{Use: ami.Used, References: []ami.Reference{{ARN: "arn:recipe"}}}
			}
			account, evidence := p.Open(inventories, now), notAsked(found)
			for round := 0; ; round++ {
				plans := account.Plan(evidence)
				atLeast := 0
				if round > 0 {
					atLeast = test.atLeast
				}
				next := account.LookUpNext(evidence, plans, atLeast)
				var ids []string
				for region, some := range next {
					ids = append(ids, some...)
					for _, id := range some {
						answered := found[region].Images[id]
						answered.Asked = true
						evidence[region].Images[id] = answered
					}
				}
				slices.Sort(ids)
				if round >= len(test.want) {
					if goes := decided(plans, retention.Deregister, retention.Mark); len(ids) > 0 || !slices.Equal(goes, test.goes) {
						t.Errorf("goes %v, want %v; looks up %v", goes, test.goes, ids)
					}
					break
				}
				if !slices.Equal(ids, test.want[round]) {
					t.Fatalf("round %d looks up %v, want %v", round, ids, test.want[round])
				}
			}
		})
	}
}

// What is not looked up waits. It says what it waits for, and counts as no removal.
func TestWhatIsNotLookedUpWaits(t *testing.T) {
	here := inventory(region, idle("ami-1"), idle("ami-2"))
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = 1 })
	evidence := notAsked(unused(here))
	evidence[region].Images["ami-1"] = ami.Finding{Use: ami.Unused}
	v := verdicts(p.Open([]ami.Inventory{here}, now).Plan(evidence))["ami-2"]
	if want := []retention.Code{"stale", "not-looked-up"}; v.Decision != retention.Defer || !slices.Equal(codes(v), want) || v.Awaits != retention.Deregister {
		t.Errorf("%s, %v, awaits %q", v.Decision, codes(v), v.Awaits)
	}
	if want := "last launched 2026-01-27, 300 days ago; the limit is 180 days\nwhat refers to it is looked up when it is its turn\n"; details(v) != want {
		t.Errorf("says %q, want %q", details(v), want)
	}
}

// An announcement is looked up although a listing failed: a use takes it back. So is one image of a
// region in which none would be, which shows what rights are missing.
func TestWhatIsLookedUpWithoutAProof(t *testing.T) {
	here := inventory(region, idle("ami-1"), idle("ami-2"), idle("ami-3", marked("2026-12-30")), idle("ami-4", tagged("ami-janitor:keep", "")))
	there := inventory("us-east-1", idle("ami-5"), idle("ami-6"))
	account, evidence := policy().Open([]ami.Inventory{here, there}, now), notAsked(unused(here, there))
	for _, in := range []ami.Inventory{here, there} {
		for _, image := range in.Images {
			evidence[in.Region].Images[image.ID] = ami.Finding{MayAsk: image.ID != "ami-4", Gaps: []ami.Gap{{Source: "batch", Err: "denied"}}}
		}
	}
	want := map[string][]string{region: {"ami-3"}, "us-east-1": {"ami-5"}}
	if diff := gocmp.Diff(want, account.LookUpNext(evidence, account.Plan(evidence), 100)); diff != "" {
		t.Errorf("looks up (-want +got):\n%s", diff)
	}
}

// Where shared images are judged, those of the next night are looked up as well, until as many
// reports are wanted as a run may ask for: a report takes a night.
func TestLookingUpForReports(t *testing.T) {
	var images []ami.Image
	for i := range 9 {
		images = append(images, idle("ami-"+string(rune('1'+i)), launched(ago(days(400-i)))))
	}
	here := inventory(region, images...)
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations, p.JudgeShared = 2, true })
	account, evidence := p.Open([]ami.Inventory{here}, now), notAsked(unused(here))
	fresh := &ami.UsageReport{ID: "r", State: "available", Complete: true, CreatedAt: ago(days(1))}
	with := []ami.Grantee{{Account: "111122223333"}}
	for _, step := range []struct {
		answers map[string]ami.Finding
		want    []string
	}{
		{nil, []string{"ami-1", "ami-2", "ami-3", "ami-4"}},
		{map[string]ami.Finding{
			"ami-1": {Use: ami.Unused, SharedWith: with, Report: fresh}, "ami-2": {Use: ami.Unused},
			"ami-3": {Use: ami.Unused, SharedWith: with}, "ami-4": {Use: ami.Unused},
		}, []string{"ami-5"}},
		{map[string]ami.Finding{"ami-5": {Use: ami.Unused, SharedWith: with}}, nil},
	} {
		for id, finding := range step.answers {
			finding.Asked = true
			evidence[region].Images[id] = finding
		}
		if got := account.LookUpNext(evidence, account.Plan(evidence), 0)[region]; !slices.Equal(got, step.want) {
			t.Fatalf("looks up %v, want %v", got, step.want)
		}
	}
	plan := account.Plan(evidence)[0]
	if goes := decided([]retention.Plan{plan}, retention.Deregister); !slices.Equal(goes, []string{"ami-1", "ami-2"}) || !slices.Equal(plan.ReportsWanted, []string{"ami-3", "ami-5"}) {
		t.Errorf("goes %v, reports on %v", goes, plan.ReportsWanted)
	}
}

// The original of a copy is looked up with the copy: in use, it keeps the copy.
func TestOriginalsAreLookedUpWithTheirCopies(t *testing.T) {
	far := inventory("us-east-1", idle("ami-original"))
	here := inventory(region, idle("ami-copy", launched(ago(days(900))), copyFrom("ami-original", "us-east-1")))
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = 1 })
	account, evidence := p.Open([]ami.Inventory{here, far}, now), notAsked(unused(here, far))
	want := map[string][]string{region: {"ami-copy"}, "us-east-1": {"ami-original"}}
	if diff := gocmp.Diff(want, account.LookUpNext(evidence, account.Plan(evidence), 0)); diff != "" {
		t.Errorf("looks up (-want +got):\n%s", diff)
	}
	evidence[region].Images["ami-copy"] = ami.Finding{Use: ami.Unused}
	if v := verdicts(account.Plan(evidence))["ami-copy"]; v.Decision != retention.Defer {
		t.Errorf("the copy of what is not looked up: %s", v.Decision)
	}
	evidence["us-east-1"].Images["ami-original"] = ami.Finding{Use: ami.Used, References: []ami.Reference{{ARN: "arn:recipe"}}}
	if v := verdicts(account.Plan(evidence))["ami-copy"]; v.Decision != retention.Keep || codes(v)[0] != "copy-of-used" {
		t.Errorf("the copy of what is used: %s, %v", v.Decision, codes(v))
	}
}

// A plan that looks up only what it needs removes, announces and takes back the same as one that
// looks up every candidate, whatever EC2 says when it is asked, and in whatever steps.
func TestLookingUpLessRemovesTheSame(t *testing.T) {
	goes, waits, rounds := 0, 0, 0
	property := func(t *rapid.T, w world) {
		w.policy.MaxDeregistrations = rapid.IntRange(0, 4).Draw(t, "cap")
		atLeast := rapid.IntRange(0, 3).Draw(t, "atLeast")
		account := w.policy.Open(w.inventories, now)
		evidence := map[string]ami.Evidence{}
		for region, known := range w.evidence {
			known.Images = maps.Clone(known.Images)
			evidence[region] = known
		}
		candidates := account.Candidates()
		for _, region := range slices.Sorted(maps.Keys(candidates)) {
			for _, image := range candidates[region] {
				full := evidence[region].Images[image.ID]
				if !rapid.Bool().Draw(t, "asked later") {
					continue
				}
				before := ami.Finding{Use: ami.Unasked, LaunchedAt: full.LaunchedAt, Report: full.Report, MayAsk: true}
				if len(full.Gaps) > 0 || full.Use == ami.Unknown { // A listing failed.
					before.Use, before.Gaps = ami.Unknown, full.Gaps
				}
				evidence[region].Images[image.ID] = before
			}
		}
		plans := account.Plan(evidence)
		for round := 0; ; round++ {
			next := account.LookUpNext(evidence, plans, atLeast)
			if len(next) == 0 {
				break
			}
			for region, ids := range next {
				for _, id := range ids {
					if !evidence[region].Images[id].MayAsk {
						t.Fatalf("%s is looked up again", id)
					}
					full := w.evidence[region].Images[id]
					full.Asked = true
					evidence[region].Images[id] = full
				}
			}
			plans, rounds = account.Plan(evidence), rounds+1
		}
		for i, complete := range w.plan() {
			for at, want := range complete.Verdicts {
				got := plans[i].Verdicts[at]
				isDone := func(v retention.Verdict) bool {
					return v.Decision == retention.Deregister || v.Decision == retention.Mark || v.Unmark != retention.LeaveMark || v.CopiedTags != ""
				}
				switch {
				case isDone(want) || isDone(got):
					goes++
					if diff := gocmp.Diff(want, got, cmpopts.IgnoreFields(retention.Verdict{}, "Reasons", "Gaps")); diff != "" {
						t.Errorf("%s (-complete +by turns):\n%s", want.Image.ID, diff)
					}
				case got.Awaits != "":
					waits++
				}
			}
		}
	}
	checkTimes(t, 10, property)
	if goes == 0 || waits == 0 || rounds == 0 {
		t.Errorf("%d images go, %d wait, %d rounds: the property says too little", goes, waits, rounds)
	}
}
