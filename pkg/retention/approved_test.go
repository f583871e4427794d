package retention_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// What has changed since it was approved stays, and so does what nobody has approved.
func TestNothingButWhatIsApproved(t *testing.T) {
	const other = "ami-00000000000000002"
	snapshots := func(ids ...string) []ami.Snapshot {
		all := make([]ami.Snapshot, len(ids))
		for i, id := range ids {
			all[i] = ami.Snapshot{ID: id}
		}
		return all
	}
	approved := inventory(region, idle(subject, mapping("snap-1")))
	approved.Snapshots = snapshots("snap-1")
	for name, test := range map[string]struct {
		policy  func(*retention.Policy)
		images  []ami.Image
		account string
		kept    string // Why the subject stays; empty if it goes.
		deletes []string
	}{
		"nothing has changed":       {images: []ami.Image{idle(subject, mapping("snap-1"))}, deletes: []string{"snap-1"}},
		"a tag has come":            {images: []ami.Image{idle(subject, mapping("snap-1"), tagged("team", "data"))}, kept: "facts have changed"},
		"it was renamed":            {images: []ami.Image{idle(subject, mapping("snap-1"), named("silver"))}, kept: "facts have changed"},
		"it maps another snapshot":  {images: []ami.Image{idle(subject, mapping("snap-1", "snap-2"))}, kept: "facts have changed"},
		"it is to be announced now": {policy: grace(14, retention.Announce), images: []ami.Image{idle(subject, mapping("snap-1"))}, kept: "something else"},
		"its snapshot stays now": {
			policy: func(p *retention.Policy) { p.DeleteSnapshots = false }, images: []ami.Image{idle(subject, mapping("snap-1"))}, kept: "other snapshots",
		},
		"another account":             {images: []ami.Image{idle(subject, mapping("snap-1"))}, account: "111122223333", kept: "not in the approved plan"},
		"a new one shares a snapshot": {images: []ami.Image{idle(subject, mapping("snap-1")), idle(other, mapping("snap-1"))}},
		"a new one comes besides":     {images: []ami.Image{idle(subject, mapping("snap-1")), idle(other, mapping("snap-2"))}, deletes: []string{"snap-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy()
			plans := p.Open([]ami.Inventory{approved}, now).Plan(unused(approved))
			said := retention.Approve(plans)
			if test.account != "" {
				said.Account = test.account
			}
			if test.policy != nil {
				p = policy(test.policy)
			}
			here := inventory(region, test.images...)
			here.Snapshots = snapshots("snap-1", "snap-2")
			narrowed := said.Narrow(p.Open([]ami.Inventory{here}, now).Plan(unused(here)))
			got := verdicts(narrowed)
			if v := got[subject]; test.kept == "" && v.Decision != retention.Deregister ||
				test.kept != "" && (v.Decision != retention.Keep || !slices.Equal(codes(v), []retention.Code{"not-approved"}) || !strings.Contains(details(v), test.kept)) {
				t.Errorf("%s because of %v: %s", v.Decision, codes(v), details(v))
			}
			if v, ok := got[other]; ok && (v.Decision != retention.Keep || !strings.Contains(details(v), "not in the approved plan")) {
				t.Errorf("%s, which nobody has approved, because of %v", v.Decision, codes(v))
			}
			if ids := narrowed[0].SnapshotsToDelete(); !slices.Equal(ids, test.deletes) {
				t.Errorf("deletes %v, want %v", ids, test.deletes)
			}
		})
	}
}

// An announcement is taken back only if that is approved, and usage reports are nobody's wish.
func TestWhatElseIsApproved(t *testing.T) {
	here := inventory(region, idle(subject, marked("2026-12-01"), tagged("ami-janitor:keep", "true")))
	p := policy(grace(14, retention.Announce))
	plans := p.Open([]ami.Inventory{here}, now).Plan(unused(here))
	plans[0].ReportsWanted, plans[0].ReportsDone = []string{subject}, []string{"report-1"}
	plans[0].Leftovers = []retention.LeftoverVerdict{{Leftover: ami.Leftover{SnapshotID: "snap-1"}, Delete: true}}
	for name, approved := range map[string]retention.Approved{"all": retention.Approve(plans), "nothing": {Account: account}} {
		narrowed := approved.Narrow(plans)[0]
		v, leftover := narrowed.Verdicts[0], narrowed.Leftovers[0]
		isAll := name == "all"
		if isAll != (v.Unmark == retention.Veto) || isAll != (len(v.Undo.Keys) > 0) || v.Decision != retention.Keep || codes(v)[0] != "keep-tag" {
			t.Errorf("%s: %+v", name, v)
		}
		if isAll != leftover.Delete || isAll == leftover.Undecided || len(narrowed.ReportsWanted)+len(narrowed.ReportsDone) > 0 {
			t.Errorf("%s: %+v", name, narrowed)
		}
	}
}

// A snapshot whose image is gone is deleted or announced only if exactly that is approved. One that
// is not keeps its place in the journal: its time goes on.
func TestWhatIsApprovedOfOrphans(t *testing.T) {
	seen := ami.SeenOrphan{ImageID: subject, Since: now.AddDate(0, -6, 0)}
	goes := retention.Orphan{SnapshotID: "snap-1", Decision: retention.Deregister, Seen: seen}
	marked := retention.Orphan{SnapshotID: "snap-2", Decision: retention.Mark, Due: now.AddDate(0, 0, 14), Seen: seen}
	stays := retention.Orphan{SnapshotID: "snap-3", Decision: retention.Keep, Why: "named by ami-2"}
	plan := retention.Plan{
		Account: account, Region: region, Orphans: []retention.Orphan{goes, marked, stays},
		OrphansSeen: map[string]ami.SeenOrphan{"snap-2": seen},
		Unmarkings:  []retention.Unmarking{{SnapshotID: "snap-5"}, {SnapshotID: "snap-4"}},
	}
	held, busy := plan, plan
	held.Hold, busy.Busy = "asked to stop", true
	for _, idle := range []retention.Plan{held, busy} {
		if got := retention.Approve([]retention.Plan{idle}).Regions[region]; len(got.Orphans)+len(got.OrphansUnmarked) > 0 {
			t.Errorf("a plan that does nothing: %+v", got)
		}
	}
	all := retention.Approve([]retention.Plan{plan})
	want := map[string]retention.Decision{"snap-1": retention.Deregister, "snap-2": retention.Mark}
	if got := all.Regions[region]; !maps.Equal(got.Orphans, want) || !slices.Equal(got.OrphansUnmarked, []string{"snap-4", "snap-5"}) {
		t.Errorf("%+v", got)
	}
	if got := all.Narrow([]retention.Plan{plan})[0]; !gocmp.Equal(got, plan) {
		t.Errorf("all is approved: %s", gocmp.Diff(plan, got))
	}
	const why = "not in the approved plan"
	other := retention.Approved{Account: account, Regions: map[string]retention.ApprovedRegion{region: {
		Orphans:         map[string]retention.Decision{"snap-1": retention.Mark, "snap-2": retention.Deregister, "snap-3": retention.Deregister},
		OrphansUnmarked: []string{"snap-4"},
	}}}
	for name, approved := range map[string]retention.Approved{"nothing": {Account: account}, "something else": other} {
		got := approved.Narrow([]retention.Plan{plan})[0]
		kept := []retention.Orphan{goes, marked, stays}
		kept[0].Decision, kept[0].Why = retention.Keep, why
		kept[1].Decision, kept[1].Why, kept[1].Due = retention.Keep, why, time.Time{}
		if !gocmp.Equal(got.Orphans, kept) {
			t.Errorf("%s is approved: %s", name, gocmp.Diff(kept, got.Orphans))
		}
		if want := map[string]ami.SeenOrphan{"snap-1": seen, "snap-2": seen}; !maps.Equal(got.OrphansSeen, want) {
			t.Errorf("%s is approved: the journal says %+v", name, got.OrphansSeen)
		}
		if unmarked := len(got.Unmarkings); unmarked != len(approved.Regions[region].OrphansUnmarked) {
			t.Errorf("%s is approved: %+v", name, got.Unmarkings)
		}
	}
	if plan.Orphans[0].Decision != retention.Deregister || len(plan.OrphansSeen) != 1 {
		t.Error("the plan itself has changed")
	}
}

// actions are all that a plan does to images and snapshots.
func actions(plans []retention.Plan) map[string]bool {
	done := map[string]bool{}
	for i := range plans {
		plan := &plans[i]
		for _, id := range plan.SnapshotsToDelete() {
			done[plan.Region+" deletes "+id] = true
		}
		for _, v := range plan.Verdicts {
			if v.Decision == retention.Deregister || v.Decision == retention.Mark {
				done[plan.Region+" "+string(v.Decision)+" "+string(v.Action)+" "+v.Image.ID] = true
			}
			if v.Unmark != retention.LeaveMark || v.CopiedTags != "" || len(v.Undo.Keys) > 0 || v.Undo.Enable || v.Undo.EndDeprecation {
				done[plan.Region+" takes back "+string(v.Unmark)+" "+v.Image.ID] = true
			}
		}
		for _, id := range slices.Concat(plan.ReportsWanted, plan.ReportsDone) {
			done[plan.Region+" asks "+id] = true
		}
	}
	return done
}

// Whatever is said to be approved, it only ever narrows a plan; what a plan itself would do is
// approved in full, through JSON too; and no snapshot goes that an image which stays still uses.
func TestAnApprovalOnlyNarrows(t *testing.T) {
	narrower, same := 0, 0
	check(t, func(t *rapid.T, w world) {
		plans := w.plan()
		before, wrote := w.plan(), retention.Approve(plans)
		text, err := json.Marshal(wrote)
		if err != nil {
			t.Fatal(err)
		}
		var read retention.Approved
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		all := actions(plans)
		kept := actions(read.Narrow(plans))
		for action := range all {
			if !kept[action] && !strings.Contains(action, " asks ") && isCarriedOut(plans, action) {
				t.Errorf("%s, which is approved, is not done", action)
			}
		}
		forged := forge(t, read)
		narrowed := forged.Narrow(plans)
		some := actions(narrowed)
		for action := range some {
			if !all[action] {
				t.Errorf("%s, which the plan does not do", action)
			}
		}
		if len(some) < len(kept) {
			narrower++
		} else {
			same++
		}
		checkSnapshotsInUse(t, narrowed)
		if diff := gocmp.Diff(before, plans); diff != "" {
			t.Errorf("the plans themselves have changed: %s", diff)
		}
	})
	if narrower == 0 || same == 0 {
		t.Errorf("%d narrowed, %d not: the property says too little", narrower, same)
	}
}

// isCarriedOut reports whether a action is in a region whose plan is carried out.
func isCarriedOut(plans []retention.Plan, action string) bool {
	return !slices.ContainsFunc(plans, func(p retention.Plan) bool {
		return strings.HasPrefix(action, p.Region+" ") && (p.Busy || p.Hold != "" && !strings.Contains(action, " takes back "))
	})
}

// forge draws an approval that somebody has tampered with.
func forge(t *rapid.T, approved retention.Approved) retention.Approved {
	forged := retention.Approved{Account: rapid.SampledFrom([]string{account, account, account, "111122223333"}).Draw(t, "account"), Regions: map[string]retention.ApprovedRegion{}}
	for name, region := range approved.Regions {
		images := map[string]retention.ApprovedImage{}
		for id, image := range region.Images {
			switch rapid.IntRange(0, 5).Draw(t, "tampered") {
			case 0:
				continue
			case 1:
				image.Decision = rapid.SampledFrom([]retention.Decision{"deregister", "mark", "keep", "defer", ""}).Draw(t, "decision")
			case 2:
				image.Unmark = rapid.SampledFrom([]retention.Unmark{"clear", "veto", ""}).Draw(t, "unmark")
			case 3:
				image.Snapshots = append(slices.Clone(image.Snapshots), "snap-1", "snap-2")
			case 4:
				image.Facts = "forged"
			}
			images[id] = image
		}
		images["ami-00000000000000001"] = retention.ApprovedImage{Decision: retention.Deregister, Snapshots: []string{"snap-1"}}
		forged.Regions[name] = retention.ApprovedRegion{Images: images, Leftovers: []string{"snap-1", "snap-2", "snap-3"}}
	}
	return forged
}

// checkSnapshotsInUse fails if a plan deletes a snapshot that an image which stays maps.
func checkSnapshotsInUse(t *rapid.T, plans []retention.Plan) {
	for i := range plans {
		going := plans[i].SnapshotsToDelete()
		for _, v := range plans[i].Verdicts {
			if v.Decision == retention.Deregister {
				continue
			}
			for _, id := range v.Image.SnapshotIDs {
				if slices.Contains(going, id) {
					t.Errorf("%s goes, and %s still uses it", id, v.Image.ID)
				}
			}
		}
	}
}
