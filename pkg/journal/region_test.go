package journal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// Any run at work since a region was opened is noticed, even if only an old lock shows it: what was
// read of the region may be older than its removals, or show half of them.
func TestWhoIsAtWorkWhileARegionIsRead(t *testing.T) {
	const none = ""
	end := func(t *testing.T, e *journal.Session) { must(t, e.Close(context.Background(), true)) }
	for name, test := range map[string]struct {
		before, during func(t *testing.T, j *journal.Journal) *journal.Session
		after          bool // The other run comes after the history was read.
		busy           string
		isOver         bool
	}{
		"nobody, ever": {nil, nil, false, none, false},
		"another one was there before": {func(t *testing.T, j *journal.Journal) *journal.Session {
			end(t, begin(t, j, first, now))
			return nil
		}, nil, false, none, false},
		"another one was killed long before": {func(t *testing.T, j *journal.Journal) *journal.Session {
			begin(t, j, first, now.Add(-2*lease))
			return nil
		}, nil, false, none, false},
		"another one is at work": {func(t *testing.T, j *journal.Journal) *journal.Session { return begin(t, j, first, now) }, nil, false, first, false},
		"another one is at work, and ends": {
			func(t *testing.T, j *journal.Journal) *journal.Session { return begin(t, j, first, now) },
			func(*testing.T, *journal.Journal) *journal.Session { return nil }, false, first, true,
		},
		"another one begins": {nil, func(t *testing.T, j *journal.Journal) *journal.Session {
			begin(t, j, first, now)
			return nil
		}, false, first, false},
		"another one comes and goes": {nil, func(t *testing.T, j *journal.Journal) *journal.Session {
			end(t, begin(t, j, first, now))
			return nil
		}, false, first, true},
		"another one comes and goes, late": {nil, func(t *testing.T, j *journal.Journal) *journal.Session {
			end(t, begin(t, j, first, now))
			return nil
		}, true, first, true},
		"another one comes and goes after one before": {
			func(t *testing.T, j *journal.Journal) *journal.Session {
				end(t, begin(t, j, third, now))
				return nil
			},
			func(t *testing.T, j *journal.Journal) *journal.Session {
				end(t, begin(t, j, first, now))
				return nil
			}, false, first, true,
		},
		"another one that was taken for dead wakes up, and ends": {
			func(t *testing.T, j *journal.Journal) *journal.Session { return begin(t, j, first, now.Add(-2*lease)) },
			func(*testing.T, *journal.Journal) *journal.Session { return nil }, false, first, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, func(t *testing.T, j *journal.Journal) {
				var other *journal.Session
				if test.before != nil {
					other = test.before(t, j)
				}
				v, err := j.Region(t.Context(), region, second, now)
				must(t, err)
				happen := func() {
					if test.during == nil {
						return
					}
					if other != nil {
						end(t, other)
					}
					test.during(t, j)
				}
				if !test.after {
					happen()
				}
				h, err := v.History(t.Context(), now, only(), nil, nil)
				must(t, err)
				if test.after {
					happen()
				} else if h.Busy != test.busy {
					t.Errorf("%q is busy, want %q", h.Busy, test.busy)
				}
				e, err := v.StartAt(t.Context(), account, now, journal.Intent{})
				busy, isBusy := errors.AsType[journal.ErrBusy](err)
				switch {
				case test.busy == none:
					must(t, err, e.Close(t.Context(), true))
				case !isBusy || busy.Run != test.busy || busy.IsOver != test.isOver:
					t.Errorf("%v, want that %s was in the way, over: %t", err, test.busy, test.isOver)
				case test.isOver:
					says(t, err, first, "was at work in the region while it was being read", "its last heartbeat")
				}
			})
		})
	}
}

// What cannot be read when a region is opened is an error, and not a region without a run.
func TestARegionThatCannotBeOpened(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		j := plain.Interrupt(func(string, bool) error { return errFault })
		if _, err := j.Region(t.Context(), region, first, now); !errors.Is(err, errFault) {
			t.Errorf("%v", err)
		}
		must(t, plain.Put(t.Context(), "locks/"+region+".json", "{}"))
		_, err := plain.Region(t.Context(), region, first, now)
		says(t, err, "locks/"+region+".json", "not what a run wrote")
	})
}

// A person may delete the lock of a dead run.
func TestALockThatIsTakenAwayWhileARegionIsRead(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		begin(t, j, first, now.Add(-time.Hour))
		v, err := j.Region(t.Context(), region, second, now)
		must(t, err, j.Remove(t.Context(), "locks/"+region+".json"))
		_, err = v.StartAt(t.Context(), account, now, journal.Intent{})
		must(t, err)
	})
}
