package record_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// stale is an image of the account that nothing uses. Without ids it has no snapshots.
func stale(id string, snapshots ...string) ami.Image {
	return ami.Image{
		ID: id, Name: "web", OwnerID: "123456789012", State: "available", Architecture: "arm64",
		CreatedAt: now.AddDate(-2, 0, 0), LastLaunchedAt: now.AddDate(-1, 0, 0), SnapshotIDs: snapshots,
	}
}

func snapshot(id string, gib int64, isArchived bool) ami.Snapshot {
	return ami.Snapshot{ID: id, SizeGiB: gib, Archived: isArchived, StartedAt: now.AddDate(-2, 0, 0)}
}

// judged is the finished record of a region whose images a policy judges. No image is in use.
func judged(policy retention.Policy, dryRun bool, inventory ami.Inventory, outcomes ...ami.Outcome) record.Run {
	inventory.Account, inventory.Region = "123456789012", "eu-west-1"
	evidence := ami.Evidence{Images: map[string]ami.Finding{}, Snapshots: map[string]ami.SnapshotFinding{}, Sharing: map[string]ami.Sharing{}}
	for _, image := range inventory.Images {
		evidence.Images[image.ID] = ami.Finding{Use: ami.Unused}
	}
	plan := policy.Open([]ami.Inventory{inventory}, now).Plan(map[string]ami.Evidence{"eu-west-1": evidence})[0]
	r := record.Run{
		Run: "20261123T020000Z-3f9c1a", DryRun: dryRun, StartedAt: now,
		Regions: []record.Region{record.NewRegion(plan, ami.SweepResult{Outcomes: outcomes}, "Team")},
	}
	r.Finish(now.Add(time.Minute), 0.05)
	return r
}

var policy = retention.Policy{StaleAfter: retention.Days(180 * retention.Day), MaxDeregistrations: 2, DeleteSnapshots: true}

func removed(id string, deleted ...string) ami.Outcome {
	outcome := ami.Outcome{ImageID: id, Status: ami.Deregistered}
	for _, id := range deleted {
		outcome.Snapshots = append(outcome.Snapshots, ami.SnapshotResult{SnapshotID: id, Status: ami.SnapshotDeleted})
	}
	return outcome
}

// four images: two go together with what they share, one is over the cap, and one is kept.
func four() ami.Inventory {
	kept := stale("ami-4", "snap-d", "snap-kept", "snap-all")
	kept.Tags = map[string]string{"ami-janitor:keep": "true"}
	last := stale("ami-3", "snap-c", "snap-tagged", "snap-all", "snap-unlisted")
	last.LastLaunchedAt = last.LastLaunchedAt.AddDate(0, 0, 3)
	tagged := snapshot("snap-tagged", 1000, false)
	tagged.Tags = map[string]string{"ami-janitor:keep": "true"}
	return ami.Inventory{
		Images: []ami.Image{stale("ami-1", "snap-a", "snap-both"), stale("ami-2", "snap-both", "snap-own", "snap-foreign"), last, kept},
		Snapshots: []ami.Snapshot{
			snapshot("snap-a", 1, false), snapshot("snap-both", 10, true), snapshot("snap-own", 2, false), tagged,
			snapshot("snap-c", 100, true), snapshot("snap-d", 4, false), snapshot("snap-kept", 8, false), snapshot("snap-all", 400, false),
		},
	}
}

func amount(images, snapshots int, gib, archived int64, upTo float64) record.Amount {
	return record.Amount{Images: images, Snapshots: snapshots, GiB: gib, ArchivedGiB: archived, MonthlyUpTo: upTo}
}

func TestAmounts(t *testing.T) {
	going := amount(2, 3, 13, 10, 0.28) // 3 × $0.05 + 10 × $0.0125.
	for name, c := range map[string]struct {
		run  record.Run
		want record.Amounts
	}{
		"dry": {judged(policy, true, four()), record.Amounts{
			WouldRemove: going, Due: amount(3, 4, 113, 110, 1.53), Kept: amount(1, 3, 412, 0, 20.6),
		}},
		"done": {judged(policy, false, four(), removed("ami-1", "snap-a", "snap-both"), removed("ami-2", "snap-both", "snap-own")), record.Amounts{
			Removed: going, Due: amount(1, 1, 100, 100, 1.25), Kept: amount(1, 3, 412, 0, 20.6),
		}},
		"half done": {judged(policy, false, four(), removed("ami-1", "snap-a")), record.Amounts{
			Removed: amount(1, 1, 1, 0, 0.05), Due: amount(2, 3, 112, 110, 1.48), Kept: amount(1, 3, 412, 0, 20.6),
		}},
		"announced": {judged(retention.Policy{
			StaleAfter: policy.StaleAfter, MaxDeregistrations: 9, DeleteSnapshots: true, Grace: retention.Days(retention.Day), GraceAction: retention.Announce,
		}, true, four()), record.Amounts{
			Announced: amount(3, 4, 113, 110, 1.53), Kept: amount(1, 3, 412, 0, 20.6),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.run.Totals.Amounts; got != c.want {
				t.Errorf("\n%+v, want\n%+v", got, c.want)
			}
			if got := c.run.Totals.MonthlySavingsUpTo; got != c.want.Removed.MonthlyUpTo {
				t.Errorf("saved %v", got)
			}
		})
	}
}

func TestWhatAnImageTakes(t *testing.T) {
	images := judged(policy, true, four()).Regions[0].Images
	image := images[len(images)-1]
	want := record.Storage{SizeGiB: 1500, ArchivedGiB: 100, SnapshotCount: 3, FreeableGiB: 100, FreeableArchivedGiB: 100, FreeableCount: 1}
	if image.ImageID != "ami-3" || image.Storage != want {
		t.Errorf("%s: %+v", image.ImageID, image.Storage)
	}
	if image.Region != "eu-west-1" || image.Architecture != "arm64" || image.LastUseAt != image.LastLaunchedAt || image.IdleDays != 362 {
		t.Errorf("%+v", image)
	}
}

// TestNoSumCountsASnapshotTwice splits the images of a region in two, whatever becomes of them.
func TestNoSumCountsASnapshotTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inventory, distinct := drawInventory(t)
		policy := policy
		policy.MaxDeregistrations = rapid.IntRange(0, 4).Draw(t, "cap")
		r := judged(policy, rapid.Bool().Draw(t, "dry"), inventory)
		all := func(record.Region, record.Image) bool { return true }
		if got := r.Stored(all); got.Images != len(inventory.Images) || got.GiB != distinct || got.ArchivedGiB != 0 {
			t.Fatalf("stored %+v, and the snapshots have %d GiB", got, distinct)
		}
		half := rapid.SliceOfN(rapid.Bool(), len(inventory.Images), len(inventory.Images)).Draw(t, "half")
		in := func(_ record.Region, i record.Image) bool {
			return half[slices.IndexFunc(inventory.Images, func(other ami.Image) bool { return other.ID == i.ImageID })]
		}
		out := func(g record.Region, i record.Image) bool { return !in(g, i) }
		one, other, both := r.Savings(in), r.Savings(out), r.Savings(all)
		if one.GiB+other.GiB > both.GiB || one.Snapshots+other.Snapshots > both.Snapshots || one.Images+other.Images != both.Images {
			t.Fatalf("%+v and %+v are more than %+v", one, other, both)
		}
		if both.GiB > distinct || one.GiB > r.Stored(in).GiB {
			t.Fatalf("%+v of %d GiB, %+v of %+v", both, distinct, one, r.Stored(in))
		}
		a := r.Totals.Amounts
		if sum := a.Removed.GiB + a.Due.GiB + a.Announced.GiB + a.Kept.GiB; sum > distinct {
			t.Fatalf("%+v comes to more than %d GiB", a, distinct)
		}
	})
}

// drawInventory draws images that share snapshots, and returns what all that are mapped take. Each
// snapshot has a size of its own.
func drawInventory(t *rapid.T) (inventory ami.Inventory, gib int64) {
	mapped := map[int]bool{}
	for n := range rapid.IntRange(1, 6).Draw(t, "images") {
		image := stale(fmt.Sprintf("ami-%d", n))
		for _, s := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID).Draw(t, "snapshots") {
			image.SnapshotIDs = append(image.SnapshotIDs, fmt.Sprintf("snap-%d", s))
			mapped[s] = true
		}
		if rapid.Bool().Draw(t, "kept") {
			image.Tags = map[string]string{"ami-janitor:keep": "true"}
		}
		inventory.Images = append(inventory.Images, image)
	}
	for s := range mapped {
		inventory.Snapshots = append(inventory.Snapshots, snapshot(fmt.Sprintf("snap-%d", s), 1<<s, false))
		gib += 1 << s
	}
	return inventory, gib
}
