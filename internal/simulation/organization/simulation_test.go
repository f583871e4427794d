package organization

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// simulation is a schedule on its way.
type simulation struct {
	*schedule
	organization *emulator.Organization
	config       config.Config
	executions   []*execution
	night        int

	mu         sync.Mutex
	taken      map[int64]bool // The instants at which a request arrives.
	lines      []string
	violations []violation
	tally      tally

	// What is truly known of each account: since when it has been counted every night, and when it
	// was last.
	since, last map[string]time.Time
	isStopped   bool
	most        map[place]int // The most requests of an invocation.
	answered    int           // How many accounts have answered for certain in the last run.
	isEnded     bool          // A run that has swept has ended.
}

// violation is a promise that was broken.
type violation struct{ promise, detail string }

func (v violation) String() string { return v.promise + ": " + v.detail }

// tally counts what schedules were made of.
type tally struct {
	executions, requests, private, shared, leftovers, short, notSwept, compared int
}

func (t *tally) add(other tally) {
	t.executions += other.executions
	t.requests += other.requests
	t.private += other.private
	t.shared += other.shared
	t.leftovers += other.leftovers
	t.short += other.short
	t.notSwept += other.notSwept
	t.compared += other.compared
}

// execution is an execution of the state machine.
type execution struct {
	*plannedExecution
	run     string
	started time.Time

	// Guarded by simulation.mu.
	isAllotted   bool
	isShort      bool            // A list of accounts has lacked one.
	members      map[string]bool // The accounts of the organization when it began.
	counted      map[string]bool // Those that have truly answered.
	answered     map[string]bool // Those that have answered, perhaps with a gap.
	isRemembered bool            // It has remembered its censuses.
	rememberedAt time.Time
	isTooFew     bool             // Far fewer have answered than in the run before.
	removed      map[string]int   // Images, by account.
	marked       int              // Images whose removal it has announced.
	disturbed    map[string]bool  // The steps in which something went wrong.
	used         map[*fault]bool  // The faults that have found their step.
	isFirst      bool             // No run had swept before it.
	known        bool             // Earlier runs have remembered how many accounts there are.
	swept        []string         // The accounts whose sweeps were invoked.
	failed       map[string]error // The sweeps that returned an error.
}

func (e *execution) hit(w *way) { e.disturbed[w.step] = true }

// place is where an invocation of a step belongs.
type place struct {
	night   int
	step    string
	account string // Empty if the step is one for all.
}

// result is what comes of a schedule.
type result struct {
	violations []violation
	lines      []string
	tally      tally
	most       map[place]int
}

// play carries out a schedule in a bubble of its own.
func play(t *testing.T, schedule *schedule) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(firstNight))
		s, err := begin(t.Context(), schedule)
		if err != nil {
			t.Fatalf("seed %d: %v", schedule.seed, err)
		}
		for n := range schedule.nights {
			s.play(t.Context(), n, &schedule.nights[n])
		}
		for n := range s.restNights() {
			s.play(t.Context(), len(schedule.nights)+n, &night{executions: make([]plannedExecution, 1), sharesLate: -1})
		}
		s.checkEnd(t.Context())
		r = result{s.violations, s.lines, s.tally, s.most}
	})
	return r
}

// restNights is how many nights in which nothing goes wrong follow. A run is held for some while
// fewer accounts are there.
func (s *simulation) restNights() int {
	if slices.ContainsFunc(s.world.members, func(m *member) bool { return m.left }) {
		return 5
	}
	return 2
}

func begin(ctx context.Context, schedule *schedule) (*simulation, error) {
	s := &simulation{schedule: schedule, taken: map[int64]bool{}, since: map[string]time.Time{}, last: map[string]time.Time{}, most: map[place]int{}}
	var err error
	if s.config, err = config.ParseOrganization(func(name string) string { return s.world.settings[name] }); err != nil {
		return nil, err
	}
	if s.organization, err = s.world.load(); err != nil {
		return nil, err
	}
	for _, m := range s.world.members {
		if m.reach > 0 && !m.suspended {
			s.since[m.id], s.last[m.id] = ago(float64(m.reach)), ago(1)
			s.answered++
		}
	}
	s.isEnded = s.world.realRuns > 0
	memory, known := s.world.memory()
	if !known {
		return s, nil
	}
	text, err := json.Marshal(memory)
	if err != nil {
		return nil, err
	}
	_, err = s3.NewFromConfig(testaccount.Config(s.organization.Client())).PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucketName), Key: aws.String(prefix + "org/seen.json"), Body: bytes.NewReader(text),
	})
	return s, err
}

func (s *simulation) trace(format string, args ...any) {
	s.lines = append(s.lines, time.Now().UTC().Format("01-02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (s *simulation) violate(promise, format string, args ...any) {
	s.violations = append(s.violations, violation{promise, fmt.Sprintf(format, args...)})
	s.trace("BROKEN: %v", s.violations[len(s.violations)-1])
}

// setStop sets the parameter with which people stop runs.
func (s *simulation) setStop(value string) {
	s.isStopped = value != "run"
	_, err := ssm.NewFromConfig(testaccount.Config(s.organization.Client())).PutParameter(context.Background(), &ssm.PutParameterInput{
		Name: aws.String(stopParameter), Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		s.violate("the simulation works", "%v", err)
	}
}

// play plays a night.
func (s *simulation) play(ctx context.Context, n int, planned *night) {
	time.Sleep(time.Until(firstNight.Add(time.Duration(n) * day)))
	s.night = n
	s.setStop("run")
	s.trace("night %d", n)
	var running sync.WaitGroup
	for i := range planned.executions {
		sum := sha256.Sum256(fmt.Append(nil, s.seed, n, i))
		e := &execution{
			plannedExecution: &planned.executions[i], run: string(ami.NewRunID(time.Now().Add(planned.executions[i].offset), bytes.NewReader(sum[:]))),
			members: map[string]bool{}, counted: map[string]bool{}, answered: map[string]bool{}, removed: map[string]int{}, disturbed: map[string]bool{}, used: map[*fault]bool{}, failed: map[string]error{},
		}
		s.executions = append(s.executions, e)
		running.Go(func() {
			time.Sleep(e.offset)
			e.started = time.Now()
			s.carryOut(ctx, e, planned)
		})
	}
	running.Wait()
}

// carryOut goes through the steps as the state machine does.
func (s *simulation) carryOut(ctx context.Context, e *execution, planned *night) {
	step, err := s.steps(ctx, e, planned)
	var told record.Organization
	if failed := s.invoke(e, "collect", "", func(h *organization.Hub) error {
		run := h.Collect(ctx, e.run, step, err)
		s.mu.Lock()
		defer s.mu.Unlock()
		told = run
		return nil
	}); failed == nil {
		s.checkRecord(e, &told, step)
	}
}

// steps returns the step that failed, and why.
func (s *simulation) steps(ctx context.Context, e *execution, planned *night) (step string, err error) {
	s.before("targets", planned)
	var started organization.Started
	err = s.invoke(e, "targets", "", func(h *organization.Hub) error {
		begun, err := h.Targets(ctx, e.run, e.dry)
		if err == nil {
			s.mu.Lock()
			started = begun
			s.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return "Targets", err
	}
	s.noteMembers(e)
	s.before("census", planned)
	s.each(e, "census", started.Census, func(h *organization.Hub, account string) error { return h.Census(ctx, e.run, account) })
	s.before("gather", planned)
	if err := s.invoke(e, "gather", "", func(h *organization.Hub) error { return h.Gather(ctx, e.run) }); err != nil {
		return "Gather", err
	}
	s.before("plan", planned)
	s.each(e, "plan", started.Plan, func(h *organization.Hub, account string) error { return h.Plan(ctx, e.run, account) })
	s.before("allot", planned)
	var sweeps []organization.Item
	err = s.invoke(e, "allot", "", func(h *organization.Hub) error {
		items, err := h.Allot(ctx, e.run)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			sweeps = items
		}
		return err
	})
	if err != nil {
		return "Allot", err
	}
	s.before("sweep", planned)
	s.mu.Lock()
	e.isAllotted = true
	for _, item := range sweeps {
		e.swept = append(e.swept, item.Account)
	}
	s.mu.Unlock()
	s.each(e, "sweep", sweeps, func(h *organization.Hub, account string) error { return h.Sweep(ctx, e.run, account) })
	return "", nil
}

// before lets happen what is to happen before a step of the night's first execution.
func (s *simulation) before(step string, planned *night) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.world.members[planned.leaves]; planned.leaves > 0 && planned.leavesAt == step && !m.left {
		s.trace("%s leaves the organization", m.id)
		m.left = true
		s.organization.Remove(m.id)
	}
	if planned.sharesLate >= 0 && step == "sweep" {
		i := s.world.images[planned.sharesLate]
		s.trace("%s is shared with the organization", i.id)
		i.shares = append(i.shares, share{from: s.night})
		planned.sharesLate = -1
	}
}

// noteMembers notes who belongs to the organization when a run has listed it.
func (s *simulation) noteMembers(e *execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.isFirst = !s.isEnded
	e.known = len(s.last) > 0
	for _, m := range s.world.members {
		e.members[m.id] = !m.left
	}
}

// each invokes a step for several accounts at once, as a map does.
func (s *simulation) each(e *execution, step string, items []organization.Item, do func(h *organization.Hub, account string) error) {
	var working sync.WaitGroup
	for _, item := range items {
		working.Go(func() {
			err := s.invoke(e, step, item.Account, func(h *organization.Hub) error { return do(h, item.Account) })
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.trace("%s %s %s: %v", e.run, step, item.Account, err)
				if step == "sweep" {
					e.failed[item.Account] = err
				}
			}
		})
	}
	working.Wait()
}

var errKilled = errors.New("killed")

// invoke invokes a step, with its fault, and again if that is drawn. It returns an error if no
// invocation has come to its end without one.
func (s *simulation) invoke(e *execution, step, account string, do func(*organization.Hub) error) error {
	s.mu.Lock()
	var f *fault
	for n := range e.faults {
		if candidate := &e.faults[n]; candidate.step == step && !e.used[candidate] && (account == "" || account == s.world.members[candidate.member].id) {
			f = candidate
			e.used[f] = true
			break
		}
	}
	s.mu.Unlock()
	if f == nil || f.again == never {
		return s.attempt(e, step, account, 1, f, do)
	}
	var first, second error
	if f.again == after {
		if first = s.attempt(e, step, account, 1, f, do); first != nil {
			time.Sleep(f.pause)
			return s.attempt(e, step, account, 2, nil, do)
		}
		return nil
	}
	s.mu.Lock()
	e.disturbed[step] = true
	s.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { first = s.attempt(e, step, account, 1, f, do) })
	both.Go(func() {
		time.Sleep(min(f.pause, time.Second))
		second = s.attempt(e, step, account, 2, nil, do)
	})
	both.Wait()
	if first == nil {
		return nil
	}
	return second
}

func (s *simulation) attempt(e *execution, step, account string, n int, f *fault, do func(*organization.Hub) error) error {
	s.mu.Lock()
	w := &way{
		simulation: s, execution: e, step: step, account: account, attempt: attemptName(n), fault: f, inner: s.organization.Client(),
		asked: map[string]int{}, failed: map[string]time.Time{}, stopped: s.isStopped,
	}
	s.mu.Unlock()
	err := do(&organization.Hub{Config: s.config, AWS: testaccount.Config(w), Clock: time.Now, Version: "simulation"})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.requests += w.calls
	at := place{s.night, step, account}
	s.most[at] = max(s.most[at], w.calls)
	if w.dead {
		return errKilled
	}
	return err
}
