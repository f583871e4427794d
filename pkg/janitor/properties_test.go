package janitor_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// anyWorld draws a small account, crooked enough to have every kind of verdict.
func anyWorld(t *rapid.T) world {
	w := world{permissions: object{}}
	for n := range rapid.IntRange(1, 12).Draw(t, "images") {
		mapped := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 3, rapid.ID[int]).Draw(t, "snapshots")
		i := image(n, rapid.SampledFrom([]int{-1, 0, 6, 8, 100, 181, 400, 401}).Draw(t, "age"), rapid.SampledFrom([]int{0, 0, 3, 190, 300}).Draw(t, "launched"), mapped...)
		switch rapid.IntRange(0, 12).Draw(t, "kind") {
		case 0:
			i = with(i, "State", rapid.SampledFrom([]string{"disabled", "pending", "failed"}).Draw(t, "state"))
		case 1:
			i = with(i, "DeregistrationProtection", rapid.SampledFrom([]string{"disabled", "enabled-with-cooldown", "disabled after x"}).Draw(t, "protection"))
		case 2:
			i = tagged(i, rapid.SampledFrom([]string{"ami-janitor:keep", "aws:backup:source-resource", "ami-janitor:stale-after"}).Draw(t, "tag"), "30d")
		case 3:
			w.reservations = append(w.reservations, instance(n, imageID(n), "terminated"))
		case 4:
			w.versions = append(w.versions, templateVersion(n, imageID(n)))
		case 5:
			w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
		case 6:
			i = with(i, "CreationDate", "yesterday")
		case 7:
			i = with(i, "SourceImageId", imageID(0))
		case 8:
			i = with(i, "Name", "web-2026-01-"+strconv.Itoa(10+n))
		}
		w.images = append(w.images, i)
	}
	for _, s := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 3, rapid.ID[int]).Draw(t, "locked") {
		w.locks = append(w.locks, object{"SnapshotId": snapshotID(s), "LockState": rapid.SampledFrom([]string{"governance", "expired"}).Draw(t, "lock")})
	}
	return w
}

// removed are the images and snapshots that a record says are gone.
func removed(record record.Run) (ids []string) {
	for _, i := range allImages(record) {
		if i.Outcome == nil {
			continue
		}
		if i.Outcome.Status == ami.Deregistered {
			ids = append(ids, i.ImageID)
		}
		for _, s := range i.Outcome.Snapshots {
			if s.Status == ami.SnapshotDeleted {
				ids = append(ids, s.SnapshotID)
			}
		}
	}
	return ids
}

// The worst of the traps: whatever goes wrong with the reads, no more is removed than without a
// fault, and the record says which images and snapshots are left.
func TestFaultsOfReadsNeverRemoveMore(t *testing.T) {
	t.Parallel()
	kinds := slices.Sorted(maps.Keys(readFaults))
	bubble(t, func(t *testing.T) {
		account := mixed().load(t)
		run(t, account.Client(), nil, false)
		reads := slices.DeleteFunc(slices.Sorted(maps.Keys(callsOf(account))), func(action string) bool { return !isRead(action) })
		// There are several calls of each.
		reads = append(reads, "DescribeImageAttribute", "DescribeImageReferences", "DescribeImages")
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			w := anyWorld(t)
			whole := w.load(t)
			before := holdings(t, whole)
			allowed := removed(run(t, whole.Client(), nil, false))

			account := w.load(t)
			doer := on(account.Client(), func(emulator.Request, int) bool { return false }, nil)
			for range rapid.IntRange(1, 3).Draw(t, "faults") {
				action := rapid.SampledFrom(reads).Draw(t, "action")
				from := rapid.IntRange(1, 5).Draw(t, "from")
				to := from + rapid.SampledFrom([]int{0, 1, 100}).Draw(t, "length")
				doer = on(doer, func(q emulator.Request, n int) bool { return q.Action == action && n >= from && n <= to }, readFaults[rapid.SampledFrom(kinds).Draw(t, "fault")])
			}
			record := run(t, doer, nil, false)
			checkRecord(t, record, 100)
			checkState(t, record, before, holdings(t, account))
			for _, id := range removed(record) {
				if !slices.Contains(allowed, id) {
					t.Errorf("%s is removed, and would not be without the fault", id)
				}
			}
			if janitor.Err(record) != nil && len(removed(record)) > 0 {
				t.Error("the only region failed, and yet something was removed")
			}
		})
	})
}

// On any account: dry and real runs agree, the record agrees with the account, and once nothing is
// due, nothing is done.
func TestRunsOfAnyAccount(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			account := anyWorld(t).load(t)
			limit := rapid.IntRange(0, 12).Draw(t, "cap")
			s := settings{"MAX_DEREGISTRATIONS": strconv.Itoa(limit), "KEEP_NEWEST": strconv.Itoa(rapid.IntRange(0, 2).Draw(t, "newest"))}
			if rapid.Bool().Draw(t, "snapshots stay") {
				s["DELETE_SNAPSHOTS"] = "false"
			}
			before := holdings(t, account)
			dry := run(t, account.Client(), s, true)
			if len(writes(account)) > 0 {
				t.Error("a dry run wrote")
			}
			done := run(t, account.Client(), s, false)
			left := holdings(t, account)
			checkRecord(t, dry, limit)
			checkRecord(t, done, limit)
			checkState(t, done, before, left)
			if done.Failed() || done.Totals.Deregistered != dry.Totals.WouldDeregister || done.Totals.SnapshotsDeleted != dry.Totals.SnapshotsWouldDelete {
				t.Errorf("planned %+v, done %+v", dry.Totals, done.Totals)
			}
			for left, next := len(before), done; next.Totals.Deregistered > 0; left-- {
				if next = run(t, account.Client(), s, false); next.Failed() || left < 0 {
					t.Fatalf("it does not end: %+v", next.Totals)
				}
			}
		})
	})
}
