package retention_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// A region is held while another run is at work, or while the Recycle Bin would retain nothing that
// is removed.
func TestHold(t *testing.T) {
	const noRule = "no Recycle Bin rule covers what is to be removed: none is for "
	const images, snapshots = noRule + "images tagged ami-janitor:intent=remove", noRule + "snapshots tagged ami-janitor:intent=remove"
	byIntent := []ami.Tag{{Key: "ami-janitor:intent", Value: "remove"}}
	keep := tagged("ami-janitor:keep", "")
	leftover := ami.History{Leftovers: []ami.Leftover{{Run: theRun, ImageID: "ami-9", SnapshotID: "snap-9"}}, Planned: map[string][]string{theRun: {"ami-9"}}}
	for name, test := range map[string]struct {
		image   func(*ami.Image)
		policy  func(*retention.Policy)
		bin     ami.RecycleBin
		history ami.History
		hold    string
		busy    bool
		decides retention.Decision // Deregister if empty.
	}{
		"nothing_is_required":            {},
		"it_is_covered":                  {policy: requireBin(14), bin: binOf(14, 14)},
		"it_is_covered_with_all":         {policy: requireBin(7), bin: regional("scratch", "yes")},
		"it_is_covered_by_other_tags":    {policy: requireBin(0), bin: ami.RecycleBin{Read: true, Rules: []ami.BinRule{{Images: true, Days: 7, Tags: []ami.Tag{{Key: "env", Value: "prod"}}}}}, hold: images},
		"it_is_excluded":                 {policy: requireBin(0), bin: regional("ami-janitor:intent", "remove"), hold: images},
		"another_intent_is_excluded":     {policy: requireBin(0), bin: regional("ami-janitor:intent", "keep")},
		"another_intent_is_covered":      {policy: requireBin(0), bin: ami.RecycleBin{Read: true, Rules: []ami.BinRule{{Images: true, Days: 7, Tags: []ami.Tag{{Key: "ami-janitor:intent", Value: "keep"}}}}}, hold: images},
		"there_is_no_rule":               {policy: requireBin(0), bin: ami.RecycleBin{Read: true}, hold: images},
		"there_is_none_for_images":       {policy: requireBin(0), bin: ami.RecycleBin{Read: true, Rules: []ami.BinRule{{Days: 7}}}, hold: images},
		"there_is_none_for_snapshots":    {policy: requireBin(0), bin: ami.RecycleBin{Read: true, Rules: []ami.BinRule{{Images: true, Days: 7, Tags: byIntent}}}, hold: snapshots},
		"snapshots_stay_anyway":          {policy: func(p *retention.Policy) { requireBin(0)(p); p.DeleteSnapshots = false }, bin: ami.RecycleBin{Read: true, Rules: []ami.BinRule{{Images: true, Days: 7, Tags: byIntent}}}},
		"a_rule_of_no_days_is_none":      {policy: requireBin(0), bin: binOf(0, 7), hold: images},
		"it_could_not_be_read":           {policy: requireBin(0), bin: ami.RecycleBin{Err: "UnauthorizedOperation: no", Rules: binOf(7, 7).Rules}, hold: "UnauthorizedOperation: no"},
		"it_was_not_looked_at":           {policy: requireBin(0), hold: "the Recycle Bin was not looked at"},
		"nobody_asks_for_a_bin":          {bin: ami.RecycleBin{Err: "UnauthorizedOperation: no"}},
		"nothing_is_to_be_removed":       {image: keep, policy: requireBin(0), decides: retention.Keep},
		"a_leftover_is_to_be_deleted":    {image: keep, policy: requireBin(0), history: leftover, hold: "the Recycle Bin was not looked at", decides: retention.Keep},
		"an_announcement_is_held":        {policy: func(p *retention.Policy) { requireBin(0)(p); grace(14, retention.Disable)(p) }, hold: "the Recycle Bin was not looked at", decides: retention.Mark},
		"what_waits_is_held":             {policy: func(p *retention.Policy) { requireBin(0)(p); p.MaxDeregistrations = 0 }, hold: "the Recycle Bin was not looked at", decides: retention.Defer},
		"an_instance_store_stays_anyway": {image: func(i *ami.Image) { i.S3Location = "x" }, policy: requireBin(0), decides: retention.Keep},
		"another_run_is_at_work":         {history: ami.History{Busy: lateRun}, hold: "run " + lateRun + " was at work here at the same time", busy: true},
		"that_goes_before_the_bin":       {policy: requireBin(0), history: ami.History{Busy: lateRun}, hold: "run " + lateRun + " was at work here at the same time", busy: true},
		"though_nothing_is_to_be_done":   {image: keep, history: ami.History{Busy: lateRun}, hold: "run " + lateRun + " was at work here at the same time", busy: true, decides: retention.Keep},
		"claimed_by_the_run_at_work":     {image: declared(theRun), history: ami.History{Busy: theRun, NotAttempted: map[string][]string{subject: {theRun}}, Removed: map[string]string{}}, hold: "run " + theRun + " was at work here at the same time", busy: true, decides: retention.Keep},
	} {
		t.Run(name, func(t *testing.T) {
			p, image := policy(), idle(subject, mapping("snap-1"))
			if test.policy != nil {
				test.policy(&p)
			}
			if test.image != nil {
				test.image(&image)
			}
			here := inventory(region, image)
			here.Snapshots, here.Bin, here.History = []ami.Snapshot{{ID: "snap-1"}, declaredSnapshot("snap-9", theRun)}, test.bin, test.history
			here.Snapshots[1].ImageID = "ami-9"
			evidence := unused(here)
			evidence[region].Snapshots["snap-9"] = ami.SnapshotFinding{LookedUp: true}
			plan := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0]
			if plan.Hold != test.hold || plan.Busy != test.busy {
				t.Errorf("hold %q, busy %t; want %q, %t", plan.Hold, plan.Busy, test.hold, test.busy)
			}
			if test.decides == "" {
				test.decides = retention.Deregister
			}
			if v := plan.Verdicts[0]; v.Decision != test.decides {
				t.Errorf("%s because of %v, want %s", v.Decision, v.Reasons, test.decides)
			}
			e, _ := p.Open([]ami.Inventory{here}, now).Explain(evidence, region, subject)
			if e.Hold != plan.Hold {
				t.Errorf("explained hold %q, planned %q", e.Hold, plan.Hold)
			}
			claimed := slices.ContainsFunc(plan.Verdicts[0].Reasons, func(r retention.Reason) bool { return r.Code == "claimed" })
			if claimed != strings.HasPrefix(name, "claimed") {
				t.Errorf("claimed: %t, because of %v", claimed, plan.Verdicts[0].Reasons)
			}
		})
	}
}

// A plan on hold uses up no cap of others, and shows no more than the cap either.
func TestWhatIsHeldHasACapOfItsOwn(t *testing.T) {
	older := launched(ago(days(350)))
	here := inventory(region, idle("ami-1", older), idle("ami-2", older), idle("ami-3", older))
	busy := inventory("ap-south-1", idle("ami-4", older), idle("ami-5", older))
	free := inventory("us-east-1", idle("ami-6"), idle("ami-7"), idle("ami-8"))
	here.History.Busy, busy.History.Busy = lateRun, lateRun
	p := policy(func(p *retention.Policy) { p.MaxDeregistrations = 2 })
	plans := p.Open([]ami.Inventory{here, busy, free}, now).Plan(unused(here, busy, free))
	if got, want := decided(plans, retention.Deregister), []string{"ami-1", "ami-2", "ami-6", "ami-7"}; !slices.Equal(got, want) {
		t.Errorf("removes %v, want %v", got, want)
	}
	if got, want := decided(plans, retention.Defer), []string{"ami-3", "ami-4", "ami-5", "ami-8"}; !slices.Equal(got, want) {
		t.Errorf("defers %v, want %v", got, want)
	}
}
