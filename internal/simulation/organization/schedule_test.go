package organization

import (
	"fmt"
	"time"
)

// schedule is what happens, drawn from a seed.
type schedule struct {
	seed   uint64
	drill  string // What goes wrong, if that is not drawn.
	world  *world
	nights []night
}

func (s *schedule) String() string {
	if s.drill != "" {
		return s.drill
	}
	return fmt.Sprintf("go test ./internal/simulation/organization -run TestSchedules -seed %d", s.seed)
}

// trouble is what goes wrong with an invocation of a step.
type trouble string

const (
	killedBefore trouble = "killed before the request"
	killedAfter  trouble = "killed after the request"
	loses        trouble = "loses the answer"
	fails        trouble = "fails once"
	refused      trouble = "is refused"
	stalls       trouble = "stands still"
	revoked      trouble = "its session has expired"
	stopped      trouble = "somebody stops the run"
)

// again says whether a step is invoked a second time.
type again string

const (
	never  again = ""
	after  again = "after"
	beside again = "beside"
)

// fault is what goes wrong with a step, from a request on.
type fault struct {
	step    string
	member  int // The index of the account of a step for one.
	call    int
	trouble trouble
	again   again
	pause   time.Duration // Before it is invoked again, or for how long it stands still.
}

// night is what happens on a night.
type night struct {
	executions []plannedExecution // One or two.

	leaves     int    // The index of the member that leaves the organization; 0 for none.
	leavesAt   string // The step before which it does so.
	sharesLate int    // The index of an image that is shared before Sweep; -1 for none.
}

// plannedExecution is an execution of the state machine.
type plannedExecution struct {
	offset time.Duration
	dry    bool
	slow   bool // Each request of its sweeps takes two minutes, so that sessions end.
	faults []fault

	denied map[string]map[int]bool // The members whose roles refuse the hub, by step.
	blind  map[int]bool            // The members that do not list their instances to it.

	hidden    int // The member that lists of accounts lack; 0 for none.
	hiddenIn  map[string]bool
	losesPage bool // ListAccounts ends after its first page.
}

// longest is about how many requests an invocation of a step makes at most.
var longest = map[string]int{"targets": 18, "census": 12, "gather": 16, "plan": 30, "allot": 22, "sweep": 60, "collect": 20}

func newSchedule(seed uint64) *schedule {
	d := newDice(seed)
	s := &schedule{seed: seed, world: newWorld(d)}
	hasLeft, wasHidden := false, false
	for range pick(d, 1, 2, 2, 2, 3) {
		n := night{executions: []plannedExecution{s.drawExecution(d, &wasHidden)}, sharesLate: -1}
		if d.chance(15) {
			second := s.drawExecution(d, &wasHidden)
			second.offset = time.Duration(d.between(0, 4000)) * time.Millisecond
			n.executions = append(n.executions, second)
		}
		isAlone := len(n.executions) == 1
		if isAlone && !hasLeft && d.chance(6) {
			hasLeft = true
			n.leaves, n.leavesAt = d.between(1, len(s.world.members)-1), pick(d, "targets", "census", "gather", "plan", "allot", "sweep")
		}
		if isAlone && d.chance(8) {
			n.sharesLate = d.IntN(len(s.world.images))
		}
		s.nights = append(s.nights, n)
	}
	return s
}

func (s *schedule) drawExecution(d dice, wasHidden *bool) plannedExecution {
	members := len(s.world.members)
	e := plannedExecution{dry: d.chance(6), slow: d.chance(6), denied: map[string]map[int]bool{}, blind: map[int]bool{}, hiddenIn: map[string]bool{}}
	for range pick(d, 0, 0, 1, 1, 1, 2, 3) {
		e.faults = append(e.faults, s.drawFault(d))
	}
	if d.chance(12) {
		e.denied[pick(d, "census", "census", "plan", "sweep")] = map[int]bool{d.IntN(members): true}
	}
	if d.chance(8) {
		e.blind[d.IntN(members)] = true
	}
	switch {
	case d.chance(4):
		e.losesPage = true
	case d.chance(8):
		e.hidden = d.between(1, members-1)
		e.hiddenIn[pick(d, "ListAccounts", "ListAccountsForParent")] = true
		if !*wasHidden && d.chance(40) {
			*wasHidden = true
			e.hiddenIn = map[string]bool{"ListAccounts": true, "ListAccountsForParent": true}
		}
	}
	return e
}

func (s *schedule) drawFault(d dice) fault {
	f := fault{
		step: pick(d, "targets", "census", "census", "gather", "plan", "plan", "allot", "sweep", "sweep", "sweep", "sweep", "sweep", "collect"), member: d.IntN(len(s.world.members)),
		trouble: pick(d, killedBefore, killedBefore, killedAfter, killedAfter, loses, fails, refused), again: pick(d, never, never, after, beside),
		pause: time.Duration(d.between(0, 900)) * time.Millisecond,
	}
	if d.chance(50) {
		f.member = 0 // There is most to do.
	}
	if f.step == "sweep" {
		f.trouble = pick(d, f.trouble, f.trouble, f.trouble, stalls, revoked, stopped)
	}
	if f.trouble == stalls {
		f.pause = pick(d, 20*time.Minute, 45*time.Minute, 61*time.Minute, 100*time.Minute)
	}
	f.call = d.between(1, longest[f.step])
	return f
}

func (f fault) String() string {
	return fmt.Sprintf("%s of member %d, at request %d: %s; again %q, %v", f.step, f.member, f.call, f.trouble, f.again, f.pause)
}
