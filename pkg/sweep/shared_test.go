package sweep_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// refusing denies the deregistration of one image.
func refusing(next emulator.Doer, n int) emulator.Doer {
	return disturb.Fail(next, "DeregisterImage", func(_ int, r emulator.Request) bool { return r.Form.Get("ImageId") == imageID(n) }, 403, "UnauthorizedOperation", "No.")
}

func TestASharedSnapshotGoesWithTheLastImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 9), image(2, 9, 2), image(3, 9))
		outcomes := run(account.Client(), planOf(due(1, 9), due(2, 9, 2), due(3, 9)))
		wantOutcomes(t, outcomes, "deregistered; 9 deleted", "deregistered; 9 deleted; 2 deleted", "deregistered; 9 deleted")
		wantHeld(t, account)
	})
}

func TestASharedSnapshotStaysWithTheImageThatStays(t *testing.T) {
	for n, want := range [][]string{
		1: {"failed; 9 kept", "deregistered; 9 kept", "deregistered; 9 kept"},
		2: {"deregistered; 9 kept", "failed; 9 kept", "deregistered; 9 kept"},
		3: {"deregistered; 9 kept", "deregistered; 9 kept", "failed; 9 kept"},
	} {
		if n == 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 9), image(2, 9), image(3, 9))
			outcomes := run(refusing(account.Client(), n), planOf(due(1, 9), due(2, 9), due(3, 9)))
			wantOutcomes(t, outcomes, want...)
			wantHeld(t, account, "image "+string(rune('0'+n)), "snapshot 9")
			for _, outcome := range outcomes {
				says(t, outcome.Snapshots[0].Detail, imageID(n))
			}
		})
	}
}

func TestASharedSnapshotStaysIfItsLastImageIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 9), image(2, 9))
		begin, stop := context.WithCancel(t.Context())
		outcomes := carryOut(t.Context(), begin, account.Client(), planOf(due(1, 9), due(2, 9)), passing(func(int, int) { stop() })).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 9 kept", "skipped; 9 kept")
		wantHeld(t, account, "image 2", "snapshot 9")
		for _, outcome := range outcomes {
			says(t, outcome.Snapshots[0].Detail, imageID(2))
		}
	})
}

// An image that is gone uses nothing, and the record must not say so. Whether the snapshot then
// goes or stays is another question; no run finds it again once both images are gone.
func TestNoSnapshotIsSaidToBeUsedByAnImageThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 9), image(2, 9))
		doer := faulty(account.Client(), "DeregisterImage", somebodyElse)
		outcomes := run(doer, planOf(due(1, 9), due(2, 9)))
		if outcomes[0].Status != "skipped" || outcomes[1].Status != "deregistered" {
			t.Errorf("%+v", outcomes)
		}
		detail := outcomes[1].Snapshots[0].Detail
		if strings.Contains(detail, imageID(1)+", which was not removed, uses it") {
			t.Errorf("%q, but %s is gone", detail, imageID(1))
		}
	})
}

// If it is not known whether the first image is gone, the snapshot stays for the next run to judge,
// and the reason says so.
func TestASharedSnapshotOfAnImageThatMayBeGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 9), image(2, 9))
		mayBeGone := func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
			q, err := emulator.Inspect(r)
			if err != nil || q.Form.Get("ImageId") != imageID(1) {
				return next.Do(r)
			}
			return afterReset(next, r)
		}
		doer := disturb.Deny(faulty(account.Client(), "DeregisterImage", always(mayBeGone)...), "DescribeImages")
		outcomes := run(doer, planOf(due(1, 9), due(2, 9)))
		wantOutcomes(t, outcomes, "failed; 9 failed", "deregistered; 9 failed")
		wantHeld(t, account, "snapshot 9")
		if detail := outcomes[1].Snapshots[0].Detail; strings.Contains(detail, "was not removed") {
			t.Errorf("%q, but nobody knows whether %s was removed", detail, imageID(1))
		}
	})
}
