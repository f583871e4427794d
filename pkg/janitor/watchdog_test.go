package janitor_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func throttle(_ emulator.Doer, r *http.Request) (*http.Response, error) {
	return failing(r, http.StatusServiceUnavailable, map[string]string{"": "RequestLimitExceeded"})
}

// A machine may go to sleep at any call of a run. When it wakes up what was read is of yesterday,
// and another run may have come and gone: from then on nothing is changed, with a journal or
// without one. What the journal knows of, the next nights do.
func TestAMachineThatSleeps(t *testing.T) {
	t.Parallel()
	for _, records := range []bool{true, false} {
		t.Run(fmt.Sprintf("records=%t", records), func(t *testing.T) {
			t.Parallel()
			at, reached := 1, true
			for ; reached; at += eachNth(5) {
				t.Run(fmt.Sprint("call", at), func(t *testing.T) {
					bubble(t, func(t *testing.T) { reached = sleepAt(t, at, records) })
				})
			}
			if at < 45 {
				t.Errorf("only %d calls", at)
			}
		})
	}
}

// The same with a night that only announces removals.
func TestAMachineThatSleepsOverAnnouncements(t *testing.T) {
	at, reached := 1, true
	for ; reached; at++ {
		t.Run(fmt.Sprint("call", at), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := live(t, staleWorld(3), settings{"GRACE": "14d", "GRACE_ACTION": "disable"})
				var slept atomic.Int64
				l.clock = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
				l.wrap = func(next emulator.Doer) emulator.Doer { return sleepsAfter(t, next, at, &slept) }
				l.real(0)
				reached = slept.Load() > 0
			})
		})
	}
	if at < 20 {
		t.Errorf("only %d calls", at)
	}
}

// sleepsAfter lets the machine sleep for ten hours once a call is answered; the first is call 1.
// Nothing in EC2 may be changed then.
func sleepsAfter(t *testing.T, next emulator.Doer, call int, slept *atomic.Int64) emulator.Doer {
	n := 0
	return on(next, func(q emulator.Request, _ int) bool {
		if slept.Load() > 0 && q.Service == "ec2" && !isRead(q.Action) {
			t.Errorf("%s after the machine has slept", q.Action)
		}
		n++
		return n == call
	}, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		time.Sleep(time.Millisecond) // What is on its way arrives.
		slept.Store(int64(10 * time.Hour))
		return response, err
	})
}

// sleepAt lets the machine sleep once a call of a night is answered; the first is call 1. It
// reports false if there are not that many.
func sleepAt(t *testing.T, call int, records bool) (reached bool) {
	kept := func(n int) object {
		return tagged(object{"SnapshotId": snapshotID(n), "OwnerId": accountID, "State": "completed"}, "ami-janitor:keep", "yes")
	}
	l := live(t, world{
		images: []object{
			image(1, 900, 0, 1), image(2, 800, 0, 2, 99), image(3, 700, 0, 3, 98), image(4, 600, 0, 98), image(5, 2, 1, 5), image(6, 990, 0, 6, 99),
		},
		snapshots: []object{kept(99)},
	}, settings{"REQUIRE_RECYCLE_BIN": "true", "MAX_DEREGISTRATIONS": "1"})
	if records {
		l.settings["RECORDS"] = t.TempDir()
	}
	l.account.KeepRemoved(30)
	l.save()
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
	}
	l.real(0) // It leaves a snapshot of image 6.

	var slept atomic.Int64
	l.clock = func() time.Time { return time.Now().Add(24*time.Hour + time.Duration(slept.Load())) }
	l.wrap = func(next emulator.Doer) emulator.Doer {
		next = on(next, func(q emulator.Request, n int) bool {
			return n == 1 && (q.Action == "DeregisterImage" || q.Action == "DeleteSnapshot")
		}, throttle)
		return sleepsAfter(t, next, call, &slept)
	}
	l.settings["MAX_DEREGISTRATIONS"] = "10"
	record := l.run(night(1), false)
	if record.Totals.Deregistered < 4 && slept.Load() > 0 && !strings.Contains(digest.Text(record), "stalled for 10h") {
		t.Errorf("%s", digest.Text(record))
	}
	l.wrap, l.clock = nil, nil
	l.real(2)
	l.real(3)
	want := map[string]bool{imageID(5): true, snapshotID(5): true, snapshotID(99): true}
	if left := holdings(t, l.account); records && !maps.Equal(left, want) {
		t.Errorf("left in the end: %v", slices.Sorted(maps.Keys(left)))
	}
	return slept.Load() > 0
}
