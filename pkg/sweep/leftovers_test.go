package sweep_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
)

// Snapshots whose images are gone are looked at once more: what has changed stays, and what cannot be seen is for the next run.
func TestSnapshotsAreLookedAtAgainJustBeforeTheyGo(t *testing.T) {
	changed := map[string]retention.Reason{snapshotID(8): {Code: "changed-since-planned", Detail: "its tags"}}
	for name, test := range map[string]struct {
		stay      map[string]retention.Reason
		err       error
		shared    string
		leftovers []ami.SnapshotResult
		held      []string
		carry     string // The tags of the shared snapshot.
	}{
		"nothing has changed": {nil, nil, "deleted", []ami.SnapshotResult{{SnapshotID: snapshotID(7), Status: ami.SnapshotDeleted}}, nil, ""},
		"one has changed":     {changed, nil, "failed", []ami.SnapshotResult{{SnapshotID: snapshotID(7), Status: ami.SnapshotDeleted}}, []string{"snapshot 8"}, "intent=remove run=RUN"},
		"they cannot be seen": {nil, errors.New("denied"), "failed", []ami.SnapshotResult{
			{SnapshotID: snapshotID(7), Status: ami.SnapshotFailed, Detail: "could not be looked at once more: denied"},
		}, []string{"snapshot 7", "snapshot 8"}, "intent=remove run=RUN"},
	} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 8), image(2, 8), image(3, 7))
			deregister(t, account, 3)
			plan := planOf(due(1, 8), due(2, 8))
			plan.Leftovers = []retention.LeftoverVerdict{{Leftover: ami.Leftover{SnapshotID: snapshotID(7)}, Delete: true}}
			orders := passing(quiet)
			orders.KeepDeclared = true
			orders.RecheckSnapshots = func(context.Context, []string) (map[string]retention.Reason, error) { return test.stay, test.err }
			result := sweep.Run(t.Context(), t.Context(), client(account.Client()), plan, orders)
			shared := "deregistered; 8 " + test.shared
			wantOutcomes(t, result.Outcomes, shared, shared)
			if len(result.Leftovers) != 1 || result.Leftovers[0] != test.leftovers[0] {
				t.Errorf("%s: %+v", name, result.Leftovers)
			}
			wantHeld(t, account, test.held...)
			tags := map[string]string{}
			if test.carry != "" {
				tags[snapshotID(8)] = test.carry
			}
			wantTags(t, account, tags)
			if detail := result.Outcomes[0].Snapshots[0].Detail; test.stay != nil && detail != "changed-since-planned: its tags; the next run judges it anew" {
				t.Errorf("%s: %q", name, detail)
			}
		})
	}
}

// One that this run has deleted, as far as it knows, has to be: the answer was lost, and asked again EC2 says that there is none.
func TestACanaryWhoseAnswerIsLost(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 7))
		deregister(t, account, 2)
		plan := planOf(due(1, 1))
		plan.Leftovers = []retention.LeftoverVerdict{{Leftover: ami.Leftover{SnapshotID: snapshotID(7)}, Delete: true}}
		orders := passing(quiet)
		orders.RequireBin = true
		result := sweep.Run(t.Context(), t.Context(), client(faulty(account.Client(), "DeleteSnapshot", afterReset)), plan, orders)
		wantOutcomes(t, result.Outcomes, "skipped; 1 kept")
		if got := result.Leftovers[0]; got.Detail != "seen to be gone after a lost answer" {
			t.Errorf("%+v", got)
		}
	})
}

// A leftover that somebody else has deleted need not be in the Recycle Bin: that it is not says nothing of what the bin takes in.
func TestALeftoverThatIsGoneIsNoCanary(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 8))
		deregister(t, account, 2)
		plan := planOf(due(1, 1))
		for _, n := range []int{7, 8} {
			plan.Leftovers = append(plan.Leftovers, retention.LeftoverVerdict{Leftover: ami.Leftover{SnapshotID: snapshotID(n)}, Delete: true})
		}
		orders := passing(quiet)
		orders.RequireBin = true
		orders.InBin = func(_ context.Context, images, snapshots []string) (map[string]time.Time, error) {
			exits := map[string]time.Time{}
			for _, id := range slices.Concat(images, snapshots) {
				if id != snapshotID(7) {
					exits[id] = shortly
				}
			}
			return exits, nil
		}
		result := sweep.Run(t.Context(), t.Context(), client(account.Client()), plan, orders)
		wantOutcomes(t, result.Outcomes, "deregistered; 1 deleted")
		if got := result.Leftovers; got[0].Detail != "was already gone" || got[1].Status != ami.SnapshotDeleted || got[1].Detail != "" {
			t.Errorf("%+v", got)
		}
	})
}
