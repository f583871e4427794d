package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

const lease = 30 * time.Minute

// isBusy fails the test unless an error says that a run is at work since then.
func isBusy(t rapid.TB, err error, run string, since time.Time) {
	t.Helper()
	busy, ok := errors.AsType[journal.ErrBusy](err)
	if !ok || busy.Run != run || !busy.Since.Equal(since) {
		t.Errorf("%v; want that %s is at work since %s", err, run, since)
	}
}

func TestOneRunAtATime(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		a := begin(t, j, first, now, declare(1, 1))
		_, err := j.Start(ctx, region, second, account, now.Add(lease), nil)
		isBusy(t, err, first, now)
		says(t, err, first, "2026-11-23T02:00:00Z")

		// A duplicate with the same id is another run. One from a time before is late, or its clock
		// is.
		_, err = j.Start(ctx, region, first, account, now, declared(1))
		isBusy(t, err, first, now)
		_, err = j.Start(ctx, region, second, account, now.Add(-15*time.Minute), nil)
		isBusy(t, err, first, now)

		// Other regions have nothing to do with it.
		other, err := j.Start(ctx, "us-east-1", second, account, now, nil)
		must(t, err, other.Close(ctx, true))

		// A heartbeat lasts as long again.
		must(t, a.Renew(ctx, now.Add(20*time.Minute)))
		_, err = j.Start(ctx, region, second, account, now.Add(20*time.Minute+lease), nil)
		isBusy(t, err, first, now.Add(20*time.Minute))

		// When it has passed, the lock is another's, and stays so.
		b := begin(t, j, second, now.Add(20*time.Minute+lease+time.Second), declare(1, 1))
		for range 2 {
			says(t, a.Renew(ctx, now.Add(21*time.Minute)), "lost the lock to run "+second)
		}
		says(t, a.Attempt(ctx, declare(1, 1)), "lost the lock to run "+second)
		must(t, a.Close(ctx, false), b.Renew(ctx, now.Add(2*time.Hour)))
		_, err = j.Start(ctx, region, third, account, now.Add(2*time.Hour), nil)
		isBusy(t, err, second, now.Add(2*time.Hour))

		// Given back, it is free at once. Giving it back twice is harmless.
		must(t, b.Close(ctx, true))
		c := begin(t, j, third, now.Add(2*time.Hour))
		must(t, b.Close(ctx, true), c.Renew(ctx, now.Add(2*time.Hour)), c.Close(ctx, true))
	})
}

// Between its heartbeats at chunks a run sends others, before the last one is old.
// After one that is so old that another run might have begun it may not go on with what it has
// read, even if none has.
func TestKeepUp(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		a := begin(t, j, first, now, declare(1, 1))
		must(t, a.KeepUp(ctx, now), a.KeepUp(ctx, now.Add(lease/3)))
		_, err := j.Start(ctx, region, second, account, now.Add(lease), nil)
		isBusy(t, err, first, now)
		must(t, a.KeepUp(ctx, now.Add(20*time.Minute)))
		_, err = j.Start(ctx, region, second, account, now.Add(lease), nil)
		isBusy(t, err, first, now.Add(20*time.Minute))

		for range 2 {
			says(t, a.KeepUp(ctx, now.Add(51*time.Minute)), "no heartbeat for 31m0s")
		}
		must(t, a.Renew(ctx, now.Add(51*time.Minute)), a.KeepUp(ctx, now.Add(52*time.Minute)))
		b := begin(t, j, second, now.Add(2*time.Hour))
		says(t, a.KeepUp(ctx, now.Add(71*time.Minute)), "lost the lock to run "+second)
		must(t, a.Close(ctx, false), b.Close(ctx, true))
	})
}

// One image is declared and nothing of it is attempted.
func declared(n int) []journal.Declared { return []journal.Declared{declare(n)} }

// The clock of a run that goes back does not make its lock older.
func TestHeartbeatsGoForward(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		a := begin(t, j, first, now)
		must(t, a.Renew(t.Context(), now.Add(-2*lease)), a.Renew(t.Context(), now))
		_, err := j.Start(t.Context(), region, second, account, now.Add(lease), nil)
		isBusy(t, err, first, now)
	})
}

// A lock from the future says that a clock is wrong, and not that a run is at work: nobody could
// tell for how long. Opening a region, reading its history and taking its lock all report it. A
// released lock blocks nothing.
func TestLockFromTheFuture(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, late := t.Context(), now.Add(15*time.Minute+time.Second)
		key := "locks/" + region + ".json"
		opened, err := j.Region(ctx, region, second, now)
		must(t, err)
		a := begin(t, j, first, late)

		_, err = j.Region(ctx, region, third, now)
		says(t, err, "the lock of "+region+" is dated 2026-11-23T02:15:01Z", "it is 2026-11-23T02:00:00Z here", "run "+first, key)
		_, err = opened.History(ctx, now, func(string) bool { return false }, nil, nil)
		says(t, err, "dated 2026-11-23T02:15:01Z", key)
		_, err = opened.StartAt(ctx, account, now, journal.Intent{})
		says(t, err, "dated 2026-11-23T02:15:01Z", key)
		if _, isBusy := errors.AsType[journal.ErrBusy](err); isBusy {
			t.Errorf("%v: it is taken for a run at work", err)
		}

		// By a clock that agrees it is like any other.
		_, err = j.Start(ctx, region, second, account, now.Add(time.Second), nil)
		isBusy(t, err, first, late)
		must(t, a.Close(ctx, true))
		_, err = j.Region(ctx, region, third, now)
		must(t, err)
	})
}

// A person may delete a lock, or break it. It is not restored behind that person's back.
func TestALockThatAPersonTouches(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, lock := t.Context(), "locks/"+region+".json"
		a := begin(t, j, first, now)
		must(t, j.Remove(ctx, lock))
		says(t, a.Renew(ctx, now.Add(time.Minute)), "lost the lock", lock)
		must(t, a.Close(ctx, false))

		b := begin(t, j, second, now)
		for _, content := range []string{
			"", "{", "null", "{}", "[]", "<html></html>",
			`{"run": "` + third + `", "region": "` + region + `", "at": "", "nonce": "x"}`,
			`{"run": "` + third + `", "region": "` + region + `", "nonce": "x"}`,
			`{"run": "` + third + `", "region": "us-east-1", "at": "2026-11-23T02:00:00Z", "nonce": "x"}`,
			`{"run": "nobody", "region": "` + region + `", "at": "2026-11-23T02:00:00Z", "nonce": "x"}`,
		} {
			must(t, j.Put(ctx, lock, content))
			_, err := j.Start(ctx, region, third, account, now.AddDate(1, 0, 0), nil)
			says(t, err, lock, "not what a run wrote")
			_, err = j.History(ctx, region, third, now, only())
			says(t, err, lock)
			says(t, b.Renew(ctx, now), lock)
			says(t, b.Close(ctx, false), lock)
		}
		// Fields of a later version are ignored.
		must(t, j.Put(ctx, lock, `{"run": "`+third+`", "region": "`+region+`", "at": "2026-11-23T02:00:00+01:00", "nonce": "x", "host": {"a": [1]}}`))
		begin(t, j, first, now)
	})
}

// Two accounts that share a journal would mistake each other's work for their own.
func TestAJournalIsOfOneAccount(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		must(t, begin(t, j, first, now).Close(t.Context(), true))
		for _, account := range []string{"111122223333", ""} {
			_, err := j.Start(t.Context(), region, second, account, now, nil)
			says(t, err, "account")
		}
		must(t, begin(t, j, second, now).Close(t.Context(), true))
		must(t, j.Put(t.Context(), "account.json", "{}"))
		_, err := j.Start(t.Context(), region, second, account, now, nil)
		says(t, err, "account.json")
	})
}

// Of runs that start at once, one is at work. The same holds if they start after a killed run.
func TestManyAtOnce(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		for round := range 3 {
			at := now.Add(time.Duration(round) * 2 * lease)
			var group sync.WaitGroup
			entries, errs := make([]*journal.Session, 12), make([]error, 12)
			for i := range entries {
				group.Go(func() {
					run := fmt.Sprintf("20261123T02000%dZ-%06x", round, i)
					entries[i], errs[i] = j.Start(t.Context(), region, run, account, at, declared(i))
				})
			}
			group.Wait()
			var at1 []int
			for i, err := range errs {
				if err == nil {
					at1 = append(at1, i)
				} else if _, ok := errors.AsType[journal.ErrBusy](err); !ok {
					t.Errorf("round %d: %v", round, err)
				}
			}
			if len(at1) != 1 {
				t.Fatalf("round %d: %d runs are at work", round, len(at1))
			}
			// It is not closed: the next ones have to wait, and then take over.
			must(t, entries[at1[0]].Renew(t.Context(), at))
		}
	})
}

var errFault = errors.New("fault")

// A write of the lock that took effect although its answer was lost counts as our own: Start, Renew
// and Close continue.
func TestLostAnswersAboutTheLock(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		for _, loss := range []struct {
			call string
			nth  int // Of a run that sends two heartbeats and releases its lock.
		}{{"create locks", 1}, {"replace locks", 1}, {"replace locks", 2}, {"replace locks", 3}, {"create account.json", 1}} {
			call, lost, calls := loss.call, "", 0
			j := plain.Interrupt(func(c string, isDone bool) error {
				if !isDone || !strings.HasPrefix(c, call) || lost != "" {
					return nil
				}
				if calls++; calls < loss.nth {
					return nil
				}
				lost = c
				return errFault
			})
			must(t, plain.Remove(t.Context(), "account.json"))
			_, err := j.Start(t.Context(), region, first, account, now, nil)
			if call == "create account.json" {
				says(t, err, "account.json") // The next one finds it.
				_, err = j.Start(t.Context(), region, first, account, now, nil)
			}
			must(t, err, plain.Remove(t.Context(), "locks/"+region+".json"))

			lost = "not yet"
			e := begin(t, j, first, now)
			lost, calls = "", 0
			must(t, e.Renew(t.Context(), now.Add(time.Minute)), e.Renew(t.Context(), now.Add(2*time.Minute)), e.Close(t.Context(), true))
			if !strings.Contains(call, "create") && lost == "" {
				t.Errorf("no answer to %s %d was lost", call, loss.nth)
			}
			equal(t, "what is left", keys(t, plain), []string{"locks/" + region + ".json", "runs/" + first + "/plan-" + region + ".json"})
		}
	})
}

// If the store cannot be reached, the errors say so; existing documents stay unchanged, and the
// lock does not count as lost.
func TestFaultsAboutTheLock(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		isOut := false
		j := plain.Interrupt(func(string, bool) error {
			if isOut {
				return errFault
			}
			return nil
		})
		e := begin(t, j, first, now)
		isOut = true
		for _, err := range []error{e.Renew(t.Context(), now.Add(time.Minute)), e.Close(t.Context(), true)} {
			if !errors.Is(err, errFault) || strings.Contains(err.Error(), "lost") {
				t.Errorf("%v", err)
			}
		}
		_, err := j.Start(t.Context(), region, second, account, now, nil)
		if !errors.Is(err, errFault) {
			t.Errorf("%v", err)
		}
		isOut = false
		must(t, e.Renew(t.Context(), now.Add(time.Minute)))
		_, err = j.Start(t.Context(), region, second, account, now.Add(lease+time.Minute), nil)
		isBusy(t, err, first, now.Add(time.Minute))
		must(t, e.Close(t.Context(), true))
	})
}

// Two runs are never at work with heartbeats within the lease at the same time; whatever they do,
// in which order, and whichever calls fail before or after they took effect. A released lock is
// free, and no lock outlives its run by more than the lease.
func TestNeverTwoAtWork(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// What is fast is tried more often.
		kind := rapid.SampledFrom([]string{"bucket", "bucket", "bucket", "directory"}).Draw(rt, "kind of store")
		interleave(rt, stores[kind](t))
	})
}

// worker is a run as it sees itself.
type worker struct {
	run   string
	entry *journal.Session
	alive time.Time // Its last successful heartbeat.
}

func interleave(rt *rapid.T, plain *journal.Journal) {
	var before, after bool // Whether the next change of a lock fails.
	var meanwhile func()   // What happens in the middle of a call; nil for nothing.
	j := plain.Interrupt(func(call string, isDone bool) error {
		if !strings.Contains(call, " locks/") {
			return nil
		}
		if do := meanwhile; do != nil && !isDone {
			meanwhile = nil
			do()
		}
		if strings.HasPrefix(call, "get") {
			return nil
		}
		if isDone && after || !isDone && before {
			before, after = false, false
			return errFault
		}
		return nil
	})
	clock, runs := now, 0
	var at []*worker
	check := func() {
		var alive []string
		for _, w := range at {
			if clock.Sub(w.alive) <= lease {
				alive = append(alive, w.run)
			}
		}
		if len(alive) > 1 {
			rt.Fatalf("%v are at work at once", alive)
		}
	}
	start := func(of *journal.Journal) {
		runs++
		w := &worker{run: fmt.Sprintf("20261123T020000Z-%06x", runs), alive: clock}
		var err error
		if w.entry, err = of.Start(context.Background(), region, w.run, account, clock, nil); err == nil {
			at = append(at, w)
			return
		}
		busy, isBusy := errors.AsType[journal.ErrBusy](err)
		switch {
		case isBusy && busy.Run == w.run:
			rt.Fatalf("%s stands aside for itself", w.run)
		case isBusy && clock.Sub(busy.Since) > lease:
			rt.Fatalf("%s stands aside for %s, of which there is no sign since %s", w.run, busy.Run, clock.Sub(busy.Since))
		case !isBusy && !errors.Is(err, errFault) && !strings.Contains(err.Error(), "changes each time"):
			rt.Fatalf("%v", err)
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"": func(*rapid.T) { check() },
		"time": func(rt *rapid.T) {
			clock = clock.Add(rapid.SampledFrom([]time.Duration{time.Minute, 10 * time.Minute, lease, lease + time.Second, 2 * lease}).Draw(rt, "passes"))
		},
		"begin": func(*rapid.T) { start(j) },
		"begin in the middle of it": func(*rapid.T) {
			meanwhile = func() { start(plain) }
			start(j)
			meanwhile = nil
		},
		"fault":   func(rt *rapid.T) { before = rapid.Bool().Draw(rt, "before"); after = !before },
		"no more": func(*rapid.T) { before, after = false, false },
		"renew":   func(rt *rapid.T) { at = renewOne(rt, at, clock) },
		"begin in the middle of a renewal": func(*rapid.T) {
			meanwhile = func() { start(plain) }
			for _, w := range slices.Clone(at) {
				if err := w.entry.Renew(context.Background(), clock); err == nil {
					w.alive = clock
				}
			}
			meanwhile = nil
		},
		"close": func(rt *rapid.T) {
			if len(at) == 0 {
				rt.Skip("nobody is at work")
			}
			i := rapid.IntRange(0, len(at)-1).Draw(rt, "who")
			_ = at[i].entry.Close(context.Background(), true)
			at = append(at[:i:i], at[i+1:]...)
		},
		"die": func(rt *rapid.T) {
			if len(at) == 0 {
				rt.Skip("nobody is at work")
			}
			i := rapid.IntRange(0, len(at)-1).Draw(rt, "who")
			at = append(at[:i:i], at[i+1:]...)
		},
	})
	before, after, meanwhile = false, false, nil
	clock = clock.Add(lease + time.Second)
	begin(rt, plain, third, clock)
}

// renewOne has one of some workers send a heartbeat. A worker without the lock stops.
func renewOne(rt *rapid.T, at []*worker, clock time.Time) []*worker {
	if len(at) == 0 {
		rt.Skip("nobody is at work")
	}
	i := rapid.IntRange(0, len(at)-1).Draw(rt, "who")
	err := at[i].entry.Renew(context.Background(), clock)
	switch {
	case err == nil:
		at[i].alive = clock
	case strings.Contains(err.Error(), "lost the lock"):
		return append(at[:i:i], at[i+1:]...)
	case !errors.Is(err, errFault):
		rt.Fatalf("%v", err)
	}
	return at
}
