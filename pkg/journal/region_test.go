package journal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// Whoever was at work since a visit began is noticed, even if nothing is left of that but an old lock: what the visitor has
// read of the region may be of before the other one's removals, or of the middle of them.
func TestWhoIsAtWorkDuringAVisit(t *testing.T) {
	const none = ""
	end := func(t *testing.T, e *journal.Session) { must(t, e.Close(context.Background(), true)) }
	for name, test := range map[string]struct {
		before, during func(t *testing.T, j *journal.Journal) *journal.Session
		after          bool // What happens during the visit happens after its history was read.
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
				v, err := j.Visit(t.Context(), region, second, now)
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
				e, err := v.BeginAt(t.Context(), account, now, journal.Intent{})
				busy, isBusy := errors.AsType[journal.ErrBusy](err)
				switch {
				case test.busy == none:
					must(t, err, e.Close(t.Context(), true))
				case !isBusy || busy.Run != test.busy || busy.IsOver != test.isOver:
					t.Errorf("%v, want that %s was in the way, over: %t", err, test.busy, test.isOver)
				case test.isOver:
					says(t, err, first, "was at work in the region while it was being read", "its last sign of life")
				}
			})
		})
	}
}

// What cannot be read at the beginning of a visit is an error, and not a region in which nobody is.
func TestAVisitThatCannotBegin(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		j := plain.Interrupt(func(string, bool) error { return errFault })
		if _, err := j.Visit(t.Context(), region, first, now); !errors.Is(err, errFault) {
			t.Errorf("%v", err)
		}
		must(t, plain.Put(t.Context(), "locks/"+region+".json", "{}"))
		_, err := plain.Visit(t.Context(), region, first, now)
		says(t, err, "locks/"+region+".json", "not what a run wrote")
	})
}

// A person may take away the lock of a run that is dead.
func TestALockThatIsTakenAwayDuringAVisit(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		begin(t, j, first, now.Add(-time.Hour))
		v, err := j.Visit(t.Context(), region, second, now)
		must(t, err, j.Remove(t.Context(), "locks/"+region+".json"))
		_, err = v.BeginAt(t.Context(), account, now, journal.Intent{})
		must(t, err)
	})
}
