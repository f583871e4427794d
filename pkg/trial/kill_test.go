package trial_test

import (
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// killer ends the process of a trial at a request: before it is sent, or after it has taken effect
// and before its answer comes. What the ledger says at that moment is all that is left.
type killer struct {
	next  emulator.Doer
	dies  func(n int, action string) bool // At a request, which is numbered from 1.
	after bool

	mu    sync.Mutex
	calls []string
	dead  bool
	copy  func()
}

func (k *killer) Do(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	q, err := emulator.Inspect(r)
	if err != nil {
		panic(err)
	}
	k.calls = append(k.calls, q.Action)
	isDead := k.dead
	dies := !isDead && k.dies(len(k.calls), q.Action)
	if dies && !k.after {
		k.die()
	}
	k.mu.Unlock()
	if isDead || dies && !k.after {
		runtime.Goexit()
	}
	response, err := k.next.Do(r)
	if dies {
		k.mu.Lock()
		k.die()
		k.mu.Unlock()
		runtime.Goexit()
	}
	return response, err
}

func (k *killer) die() {
	k.dead = true
	k.copy()
}

// runKilled runs a trial that is killed at a request, 0 for none. It returns the actions of all its
// requests.
func (w *world) runKilled(t *testing.T, next emulator.Doer, at int, after bool) (actions []string) {
	t.Helper()
	w.runKilledAt(t, next, after, func(n int, action string) bool {
		actions = append(actions, action)
		return n == at
	})
	return actions
}

// runKilledAt runs a trial that is killed, and puts its ledger back to what it was at that moment.
// It reports whether it was killed.
func (w *world) runKilledAt(t *testing.T, next emulator.Doer, after bool, dies func(n int, action string) bool) bool {
	t.Helper()
	kept := t.TempDir()
	k := &killer{next: next, dies: dies, after: after}
	k.copy = func() {
		if err := os.CopyFS(kept+"/then", os.DirFS(w.dir)); err != nil {
			panic(err)
		}
	}
	var ending sync.WaitGroup
	ending.Go(func() {
		if _, err := w.trial(k).Run(t.Context()); err != nil && !errors.Is(err, trial.ErrNoRule) {
			t.Error(err)
		}
	})
	ending.Wait()
	if !k.dead {
		return false
	}
	if err := errors.Join(os.RemoveAll(w.dir), os.Rename(kept+"/then", w.dir)); err != nil {
		t.Fatal(err)
	}
	return true
}

// A trial that is killed at any of its requests, before or after its effect, leaves nothing that a
// clean-up does not remove, but what the Recycle Bin holds. It touches nothing else.
func TestKilledAtEveryRequest(t *testing.T) {
	var calls []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		calls = w.runKilled(t, w.account.Client(), 0, false)
	})
	t.Log(len(calls), "requests:", strings.Join(calls, " "))
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for n := 1; n <= len(calls); n += stride {
		for _, after := range []bool{false, true} {
			if after && emulator.IsRead(calls[n-1]) {
				continue // As if it were killed before the next request.
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, nil)
				w.runKilled(t, w.account.Client(), n, after)
				w.wantCleanUp(t)
				if t.Failed() {
					t.Fatalf("killed at request %d, %s, after its effect: %t", n, calls[n-1], after)
				}
			})
		}
	}
}

// Nor if EC2 shows changes late, and IAM sees tags late: the clean-up waits.
func TestKilledWhileEC2IsBehind(t *testing.T) {
	lags := held
	lags.StaleReads, lags.Authorization = 20*time.Second, time.Minute
	for name, test := range map[string]struct {
		behind func(*world)
		most   int // Changes before the kill: the last of these is RegisterImage.
	}{
		"stale reads": {func(w *world) { w.client = w.account.Client(lags) }, 100},
		"tags are late": {func(w *world) {
			w.account.SetTagDelay(90 * time.Second)
			w.client = w.account.Client(held)
		}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			for n, isKilled := 1, true; isKilled && n <= test.most; n++ {
				lags.Seed = uint64(n)
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 7, nil)
					test.behind(w)
					changes := 0
					isKilled = w.runKilledAt(t, w.client, true, func(_ int, action string) bool {
						if !emulator.IsRead(action) {
							changes++
						}
						return changes == n && !emulator.IsRead(action)
					})
					w.wantCleanUp(t)
					if t.Failed() {
						t.Fatalf("killed after change %d", n)
					}
				})
			}
		})
	}
}

// An image that was brought back just before the kill is waited for, if EC2 does not show it yet.
func TestRestoredAndNotYetShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.SetBinDelay(5 * time.Minute)
		if !w.runKilledAt(t, w.client, true, func(_ int, action string) bool { return action == "RestoreImageFromRecycleBin" }) {
			t.Fatal("not killed")
		}
		w.account.SetBinDelay(0)
		shown := time.Now().Add(20 * time.Second)
		isHidden := func(int, emulator.Request) bool { return time.Now().Before(shown) }
		w.client = disturb.Fail(w.client, "DescribeImages", isHidden, http.StatusBadRequest, "InvalidAMIID.NotFound", "It does not exist.")
		w.client = disturb.Fail(w.client, "DescribeSnapshots", isHidden, http.StatusBadRequest, "InvalidSnapshot.NotFound", "It does not exist.")
		cleaned, err := w.trial(w.client).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) > 0 || len(cleaned.Removed) != 2 {
			t.Errorf("%+v, %v", cleaned, err)
		}
		if inBin := w.wantUntouched(t); len(inBin) != 2 {
			t.Error(inBin)
		}
	})
}

// What EC2 refuses to remove is named, and a later clean-up goes on with it.
func TestARefusedCleanUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		if !w.runKilledAt(t, w.client, true, func(_ int, action string) bool { return action == "RegisterImage" }) {
			t.Fatal("not killed")
		}
		refusing := disturb.Fail(w.client, "DeregisterImage", func(int, emulator.Request) bool { return true },
			http.StatusBadRequest, "OperationNotPermitted", "It has deregistration protection.")
		cleaned, err := w.trial(refusing).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) != 2 || !strings.HasPrefix(cleaned.Left[0].Why, "OperationNotPermitted") || len(cleaned.Removed) > 0 {
			t.Errorf("%+v, %v", cleaned, err)
		}
		w.wantCleanUp(t)
	})
}

// wantCleanUp cleans up, and fails the test if anything is left but in the bin, or if a second
// clean-up finds something.
func (w *world) wantCleanUp(t *testing.T) trial.Cleaned {
	t.Helper()
	cleaned, err := w.trial(w.client).CleanUp(t.Context())
	if err != nil || len(cleaned.Left) > 0 {
		t.Errorf("%+v, %v", cleaned, err)
	}
	inBin := w.wantUntouched(t)
	var named []string
	for _, held := range cleaned.InBin {
		named = append(named, held.ID)
	}
	slices.Sort(inBin)
	if len(cleaned.Trials) > 0 && !slices.Equal(inBin, named) {
		t.Errorf("the bin holds %v, and the clean-up says %v", inBin, named)
	}
	begun := time.Now()
	again, err := w.trial(w.client).CleanUp(t.Context())
	if err != nil || len(again.Trials)+len(again.Left) > 0 || time.Since(begun) > 0 {
		t.Errorf("the second clean-up: %+v, %v", again, err)
	}
	return cleaned
}
