package sweep_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// inBubble is a test whose deadline nobody asks for, which is forbidden inside of a bubble of
// package synctest.
type inBubble struct{ *testing.T }

// agree checks that the outcomes match the account, when nobody else was at work.
func agree(t rapid.TB, plan retention.Plan, outcomes []ami.Outcome, before, now held) {
	t.Helper()
	var verdicts []retention.Verdict
	mayGo := held{}
	for _, v := range plan.Verdicts {
		if v.Decision == retention.Deregister {
			verdicts = append(verdicts, v)
			mayGo[v.Image.ID] = true
			for _, s := range v.Snapshots {
				mayGo[s.SnapshotID] = mayGo[s.SnapshotID] || s.Delete
			}
		}
	}
	for id := range before {
		if !now[id] && !mayGo[id] {
			t.Errorf("%s is gone, which the plan does not remove", id)
		}
	}
	if len(outcomes) != len(verdicts) {
		t.Fatalf("%d outcomes of %d deregistrations", len(outcomes), len(verdicts))
	}
	said := map[string]ami.SnapshotStatus{}
	for i, outcome := range outcomes {
		if outcome.ImageID != verdicts[i].Image.ID {
			t.Errorf("outcome %d is that of %s, not %s", i, outcome.ImageID, verdicts[i].Image.ID)
		}
		agreeOnImage(t, outcome, now)
		if len(outcome.Snapshots) != len(verdicts[i].Snapshots) {
			t.Fatalf("%+v does not have one result for each of %+v", outcome, verdicts[i].Snapshots)
		}
		for j, result := range outcome.Snapshots {
			planned := verdicts[i].Snapshots[j]
			if result.SnapshotID != planned.SnapshotID {
				t.Errorf("result %d of %s is that of %s, not %s", j, outcome.ImageID, result.SnapshotID, planned.SnapshotID)
			}
			agreeOnSnapshot(t, result, planned, before, now)
			if known, ok := said[result.SnapshotID]; ok && known != result.Status {
				t.Errorf("%s is both %s and %s", result.SnapshotID, known, result.Status)
			}
			said[result.SnapshotID] = result.Status
		}
	}
}

func agreeOnImage(t rapid.TB, outcome ami.Outcome, now held) {
	t.Helper()
	there, doubtful := now[outcome.ImageID], strings.Contains(outcome.Error, "may or may not")
	switch outcome.Status {
	case ami.Deregistered:
		if there || outcome.Error != "" {
			t.Errorf("%+v, but it is there: %v", outcome, there)
		}
	case ami.Failed:
		if !there && !doubtful || outcome.Error == "" {
			t.Errorf("%+v, but it is gone", outcome)
		}
	case ami.Skipped:
		if gone := strings.Contains(outcome.Error, "gone before"); gone == there || outcome.Error == "" {
			t.Errorf("%+v, but it is there: %v", outcome, there)
		}
	default:
		t.Errorf("%+v: what is that?", outcome)
	}
}

func agreeOnSnapshot(t rapid.TB, result ami.SnapshotResult, planned retention.SnapshotVerdict, before, now held) {
	t.Helper()
	there := now[result.SnapshotID]
	switch result.Status {
	case ami.SnapshotDeleted:
		if there || !planned.Delete {
			t.Errorf("%+v, but it is there: %v; planned %+v", result, there, planned)
		}
	case ami.SnapshotKept:
		if before[result.SnapshotID] && !there || result.Detail == "" {
			t.Errorf("%+v, but it is gone", result)
		}
	case ami.SnapshotFailed:
		if !planned.Delete || result.Detail == "" {
			t.Errorf("%+v, but the plan was %+v", result, planned)
		}
	default:
		t.Errorf("%+v: what is that?", result)
	}
}

// anyPlan draws an account of some images that share some snapshots, and a plan for it as package
// retention would make it: the snapshots of a kept image stay, and a shared one goes with the last
// of its images.
func anyPlan(t *rapid.T) ([]object, retention.Plan) {
	var images []object
	var verdicts []retention.Verdict
	staying := map[int]bool{}
	for s := range 6 {
		staying[s] = rapid.IntRange(0, 5).Draw(t, "kept snapshot") == 0
	}
	for n := range rapid.IntRange(1, 6).Draw(t, "images") {
		mapped := rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID[int]).Draw(t, "snapshots")
		slices.Sort(mapped)
		images = append(images, image(n, mapped...))
		v := due(n, mapped...)
		if rapid.IntRange(0, 3).Draw(t, "stays") == 0 {
			v.Decision, v.Snapshots = retention.Keep, nil
			for _, s := range mapped {
				staying[s] = true
			}
		}
		verdicts = append(verdicts, v)
	}
	for _, v := range verdicts {
		for i := range v.Snapshots {
			for s := range staying {
				if staying[s] && v.Snapshots[i].SnapshotID == snapshotID(s) {
					v.Snapshots[i] = retention.SnapshotVerdict{SnapshotID: snapshotID(s), Why: "has to stay"}
				}
			}
		}
	}
	return images, planOf(verdicts...)
}

var anyFault = map[string][]string{
	"DeregisterImage": {
		"none", "none", "none", "throttled", "denied", "broken", "overloaded", "unreachable", "web page", "empty", "unconfirmed", "ignoring the flag",
		"after: reset", "after: broken", "after: overloaded", "after: web page", "after: empty", "after: unconfirmed", "missing-permissions",
	},
	"DeleteSnapshot":    {"none", "none", "none", "throttled", "denied", "broken", "unreachable", "web page", "empty", "after: reset", "after: broken", "after: web page", "after: empty"},
	"DescribeImages":    {"none", "none", "denied", "broken", "unreachable", "web page", "empty"},
	"DescribeSnapshots": {"none", "none", "denied", "broken", "unreachable", "web page", "empty"},
	"CreateTags":        {"none", "none", "none", "throttled", "denied", "broken", "unreachable", "web page", "after: reset", "after: web page"},
	"DeleteTags":        {"none", "none", "throttled", "denied", "broken", "unreachable", "web page", "after: reset", "after: web page"},
	"DescribeTags":      {"none", "none", "throttled", "denied", "broken", "unreachable", "web page", "empty"},
}

var faultsByName = map[string]fault{
	"none": none, "throttled": throttled, "denied": denied, "broken": broken, "overloaded": overloaded, "unreachable": unreachable,
	"web page": webPage, "empty": empty, "unconfirmed": unconfirmed, "ignoring the flag": ignoringFlag,
	"after: reset": afterReset, "after: broken": after(broken), "after: overloaded": after(overloaded), "after: web page": after(webPage),
	"after: empty": after(empty), "after: unconfirmed": after(unconfirmed),
	"missing-permissions": codes("missing-permissions", snapshotID(0), snapshotID(1), snapshotID(2), snapshotID(3), snapshotID(4), snapshotID(5)),
}

// Whatever goes wrong, the outcomes are true. Nothing outside of the plan is touched.
func TestOutcomesAgreeWithTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			images, plan := anyPlan(t)
			account := load(t, images...)
			account.SetInUseLag(rapid.IntRange(0, 7).Draw(t, "lag"))
			before := holdings(t, account)
			mischief := rapid.IntRange(0, 20).Draw(t, "faults")
			doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				q, err := emulator.Inspect(r)
				if err != nil {
					t.Fatal(err)
				}
				names, known := anyFault[q.Action]
				if !known {
					t.Fatalf("the sweep calls %s", q.Action)
				}
				time.Sleep(100 * time.Millisecond)
				if mischief == 0 {
					return account.Client().Do(r)
				}
				mischief--
				return faultsByName[rapid.SampledFrom(names).Draw(t, "fault of "+q.Action)](account.Client(), r)
			})
			ctx, stop := context.WithTimeout(context.Background(), time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds"))*time.Second)
			defer stop()
			begin, stopBegin := context.WithCancel(context.Background())
			defer stopBegin()
			most := rapid.IntRange(1, 8).Draw(t, "begun")
			outcomes := carryOut(ctx, begin, doer, plan, passing(func(done, _ int) {
				if done == most {
					stopBegin()
				}
			})).Outcomes
			removed := 0
			for _, outcome := range outcomes {
				if outcome.Status == ami.Deregistered {
					removed++
				}
			}
			if removed > most {
				t.Errorf("%d images removed, %d allowed", removed, most)
			}
			agree(t, plan, outcomes, before, holdings(t, account))
		})
	})
}

// Without a fault a plan is carried out to the letter.
func TestAPlanIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			images, plan := anyPlan(t)
			account := load(t, images...)
			account.SetInUseLag(rapid.IntRange(0, 5).Draw(t, "lag"))
			before := holdings(t, account)
			outcomes := run(account.Client(), plan)
			now := holdings(t, account)
			agree(t, plan, outcomes, before, now)
			for _, v := range plan.Verdicts {
				if v.Decision == retention.Deregister && now[v.Image.ID] {
					t.Errorf("%s is still there", v.Image.ID)
				}
				for _, s := range v.Snapshots {
					if s.Delete == now[s.SnapshotID] {
						t.Errorf("%s is there: %v", fmt.Sprintf("%+v", s), now[s.SnapshotID])
					}
				}
			}
		})
	})
}

// Somebody else's deregistrations at any moment lead to nothing worse: what is deleted then was
// planned to be.
func TestSomebodyElseAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			images, plan := anyPlan(t)
			account := load(t, images...)
			before := holdings(t, account)
			doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				q, _ := emulator.Inspect(r)
				if q.Action == "DeregisterImage" && rapid.Bool().Draw(t, "somebody else") {
					return somebodyElse(account.Client(), r)
				}
				return account.Client().Do(r)
			})
			agree(t, plan, run(doer, plan), before, holdings(t, account))
		})
	})
}
