package organization

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "replay the schedule of one seed, and print its history")
	seedsFlag = flag.Int("seeds", 0, "how many schedules to play; 0 for a few")
	firstFlag = flag.Uint64("first", 1, "the first of their seeds")
	mostFlag  = flag.Int("failures", 25, "after how many failures to stop")
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // What a schedule needs is little, and soon garbage.
	os.Exit(m.Run())
}

// few is how many schedules every run of the tests plays.
const few = 16

// Every schedule keeps every promise, and images go.
func TestSchedules(t *testing.T) {
	if *seedFlag != 0 {
		s := newSchedule(*seedFlag)
		r := play(t, s)
		t.Logf("%v\n%+v\n%s", s.world, s.nights, strings.Join(r.lines, "\n"))
		for _, v := range r.violations {
			t.Error(v)
		}
		return
	}
	n := *seedsFlag
	if n == 0 {
		n = few
	}
	sum := playAll(t, *firstFlag, *firstFlag+uint64(n)-1, newSchedule)
	if sum.private == 0 || sum.shared == 0 {
		t.Errorf("%d private and %d shared images go; the schedules prove nothing", sum.private, sum.shared)
	}
}

// These schedules have failed once.
func TestSchedulesThatFailed(t *testing.T) {
	for _, seed := range []uint64{
		52926, 53116, // An account leaves before it is counted, and nobody sees what it uses.
		56759, 59699, // A snapshot is older than the last image with it.
		72421, // Of two executions at once the second sees a use of an unshared image.
	} {
		s := newSchedule(seed)
		for _, v := range play(t, s).violations {
			t.Errorf("%v: %v", s, v)
		}
	}
}

// playAll plays schedules by their numbers, from the first to the last.
func playAll(t *testing.T, first, last uint64, schedule func(uint64) *schedule) *sum {
	t.Helper()
	sum := &sum{next: first, last: last, broken: map[string]int{}}
	began := time.Now()
	t.Run("each", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for n, more := sum.take(); more; n, more = sum.take() {
					s := schedule(n)
					sum.add(t, s, play(t, s))
				}
			})
		}
	})
	took := time.Since(began)
	t.Logf("%d schedules in %v, %v each: %+v; broken: %v", sum.schedules, took.Round(time.Millisecond), took/time.Duration(max(sum.schedules, 1)), sum.tally, sum.broken)
	return sum
}

// sum adds up what schedules have come to.
type sum struct {
	mu             sync.Mutex
	next, last     uint64
	schedules, bad int
	broken         map[string]int
	tally
}

// take returns the next seed, if there is one.
func (s *sum) take() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next - 1, s.next-1 <= s.last && s.bad < *mostFlag
}

// manyFailures is how many failures of one promise are printed.
const manyFailures = 4

func (s *sum) add(t *testing.T, schedule *schedule, r result) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedules++
	s.tally.add(r.tally)
	if len(r.violations) == 0 {
		return
	}
	s.bad++
	promise := r.violations[0].promise
	if s.broken[promise]++; s.broken[promise] <= manyFailures {
		t.Errorf("%v: %v", schedule, r.violations[0])
	}
}

// The same seed gives the same history, down to the order of requests.
func TestSchedulesAreDeterministic(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		first, second := play(t, newSchedule(seed)), play(t, newSchedule(seed))
		for n := range first.lines {
			if n >= len(second.lines) || first.lines[n] != second.lines[n] {
				t.Errorf("seed %d: line %d is\n%s\nand then\n%s", seed, n, first.lines[n], strings.Join(second.lines[min(n, len(second.lines)):min(n+1, len(second.lines))], ""))
				break
			}
		}
	}
}
