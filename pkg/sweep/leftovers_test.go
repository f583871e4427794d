package sweep_test

import (
	"slices"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// leftoverOf is the verdict on a snapshot that an earlier run declared, and left when it removed
// the image.
func leftoverOf(t *testing.T, account *emulator.Account, image, snapshot int) retention.LeftoverVerdict {
	t.Helper()
	deregister(t, account, image)
	tag(t, account, snapshotID(snapshot), intentTag, "remove")
	tag(t, account, snapshotID(snapshot), runTag, earlierRun)
	left := ami.Leftover{Run: earlierRun, ImageID: imageID(image), SnapshotID: snapshotID(snapshot)}
	return retention.LeftoverVerdict{Leftover: left, Delete: true}
}

// Snapshots whose images are gone are rechecked: a changed one stays, and one that cannot be seen
// is for the next run.
func TestSnapshotsAreLookedAtAgainJustBeforeTheyGo(t *testing.T) {
	for name, test := range map[string]struct {
		changed   bool // The shared snapshot, when the first image goes.
		missing   bool // What is to go by itself.
		shared    string
		leftovers []ami.SnapshotResult
		held      []string
		carry     map[string]string
	}{
		"nothing has changed": {false, false, "deleted", []ami.SnapshotResult{{SnapshotID: snapshotID(7), Status: ami.SnapshotDeleted}}, nil, map[string]string{}},
		"one has changed": {true, false, "failed", []ami.SnapshotResult{{SnapshotID: snapshotID(7), Status: ami.SnapshotDeleted}}, []string{"snapshot 8"}, map[string]string{
			snapshotID(8): "Owner=me intent=remove run=RUN",
		}},
		"they cannot be seen": {false, true, "failed", []ami.SnapshotResult{{
			SnapshotID: snapshotID(7), Status: ami.SnapshotFailed,
			Detail: "could not be looked at once more: listing snapshots: ec2:DescribeSnapshots: UnauthorizedOperation: Said so.",
		}}, []string{"snapshot 7", "snapshot 8"}, map[string]string{
			snapshotID(7): "intent=remove run=" + earlierRun, snapshotID(8): "intent=remove run=RUN",
		}},
	} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 8), image(2, 8), image(3, 7))
			plan := planOf(due(1, 8), due(2, 8))
			plan.Leftovers = []retention.LeftoverVerdict{leftoverOf(t, account, 3, 7)}
			orders := passing(quiet)
			orders.records = t.TempDir()
			orders.look = emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				q, err := emulator.Inspect(r)
				isAlone := err == nil && q.Action == "DescribeSnapshots" && (q.Form.Get("Filter.1.Value.1") == snapshotID(7) || !holdings(t, account)[imageID(1)])
				if test.missing && isAlone {
					return denied(account.Client(), r)
				}
				return account.Client().Do(r)
			})
			doer := before(account.Client(), "DeregisterImage", func(emulator.Request) {
				if test.changed {
					tag(t, account, snapshotID(8), "Owner", "me")
				}
			})
			result := carryOut(t.Context(), t.Context(), doer, plan, orders)
			shared := "deregistered; 8 " + test.shared
			wantOutcomes(t, result.Outcomes, shared, shared)
			if len(result.Leftovers) != 1 || result.Leftovers[0] != test.leftovers[0] {
				t.Errorf("%s: %+v", name, result.Leftovers)
			}
			wantHeld(t, account, test.held...)
			wantTags(t, account, test.carry)
			want := "changed-since-planned: the tags of " + snapshotID(8) + " have changed; the next run judges it anew"
			if detail := result.Outcomes[0].Snapshots[0].Detail; test.changed && detail != want {
				t.Errorf("%s: %q", name, detail)
			}
		})
	}
}

// A snapshot that this run probably deleted must be in the bin: the answer was lost, and then EC2
// says that it does not exist.
func TestACanaryWhoseAnswerIsLost(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 7))
		plan := planOf(due(1, 1))
		plan.Leftovers = []retention.LeftoverVerdict{leftoverOf(t, account, 2, 7)}
		orders := passing(quiet)
		orders.requireBin = true
		result := carryOut(t.Context(), t.Context(), faulty(account.Client(), "DeleteSnapshot", afterReset), plan, orders)
		wantOutcomes(t, result.Outcomes, "skipped; 1 kept")
		if got := result.Leftovers[0]; got.Detail != "seen to be gone after a lost answer" {
			t.Errorf("%+v", got)
		}
	})
}

// A leftover that somebody else deleted need not be in the Recycle Bin: its absence says nothing
// about the bin.
func TestALeftoverThatIsGoneIsNoCanary(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 8))
		plan := planOf(due(1, 1))
		plan.Leftovers = []retention.LeftoverVerdict{
			{Leftover: ami.Leftover{Run: earlierRun, ImageID: imageID(2), SnapshotID: snapshotID(7)}, Delete: true}, leftoverOf(t, account, 2, 8),
		}
		orders := passing(quiet)
		orders.requireBin, orders.bin = true, binOf(t, account, 0)
		result := carryOut(t.Context(), t.Context(), account.Client(), plan, orders)
		wantOutcomes(t, result.Outcomes, "deregistered; 1 deleted")
		if got := result.Leftovers; got[0].Detail != "was already gone" || got[1].Status != ami.SnapshotDeleted || got[1].Detail != "" {
			t.Errorf("%+v", got)
		}
	})
}

// A leftover was tagged by an earlier run. That it turns up in the Recycle Bin says nothing about
// snapshots whose tags are of this minute.
func TestALeftoverInTheBinProvesNothingOfFreshTags(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 7), image(3, 3))
		plan := planOf(due(1, 1), due(3, 3))
		plan.Leftovers = []retention.LeftoverVerdict{leftoverOf(t, account, 2, 7)}
		orders := passing(quiet)
		orders.requireBin = true
		all := binOf(t, account, 0)
		none := withoutSnapshots(all)
		orders.bin = emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
			if q, err := emulator.Inspect(r); err == nil && slices.Equal(listed(q, "SnapshotId"), []string{snapshotID(7)}) {
				return all.Do(r)
			}
			return none.Do(r)
		})
		result := carryOut(t.Context(), t.Context(), account.Client(), plan, orders)
		wantOutcomes(t, result.Outcomes, "deregistered; 1 deleted", "skipped; 3 kept")
		if got := result.Leftovers[0]; got.Status != ami.SnapshotDeleted {
			t.Errorf("%+v", got)
		}
	})
}

// That a leftover turns up in the Recycle Bin says nothing about images, which have rules of their
// own there.
func TestALeftoverInTheBinProvesNothingOfImages(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 7), image(3, 3), image(4, 4))
		plan := planOf(due(1, 1), due(3, 3), due(4, 4))
		plan.Leftovers = []retention.LeftoverVerdict{leftoverOf(t, account, 2, 7)}
		orders := passing(quiet)
		orders.requireBin, orders.bin = true, withoutImages(binOf(t, account, 0), 1, 3, 4)
		result := carryOut(t.Context(), t.Context(), account.Client(), plan, orders)
		wantOutcomes(t, result.Outcomes, "deregistered; 1 deleted", "skipped; 3 kept", "skipped; 4 kept")
		if got := result.Leftovers[0]; got.Status != ami.SnapshotDeleted {
			t.Errorf("%+v", got)
		}
	})
}
