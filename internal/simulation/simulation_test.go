package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// simulation is a schedule on its way.
type simulation struct {
	*schedule
	world    *world // As it truly is.
	account  *emulator.Account
	raw      *emulator.Client
	policies []*policy // One or two.
	forged   forged
	runs     map[string]*run
	order    []*run
	pending  sync.WaitGroup // Runs that were killed and do not know it yet.

	mu         sync.Mutex
	arrivals   map[int64]bool
	hash       uint64
	verbose    bool
	lines      []string
	violations []violation
	// By actor and resource: an answer was lost, or none of the service's.
	disturbed map[string]bool
	effects   []effect
	current   *night
	calls     int
}

// policy is what one operator wants, and the runs that go by it.
type policy struct {
	name     string
	settings map[string]string
	config   config.Config
	limit    int // MAX_DEREGISTRATIONS.
	// How many clean runs in a row have removed nothing, although some images waited for the cap.
	blocked int
}

func newPolicy(settings map[string]string) (*policy, error) {
	parsed, err := config.Parse(func(variable string) string { return settings[variable] })
	return &policy{name: settings["POLICY_NAME"], settings: settings, config: parsed, limit: parsed.Policy.MaxDeregistrations}, err
}

// hasRecords reports whether the runs of a policy keep a journal.
func (p *policy) hasRecords() bool { return p.settings["RECORDS"] != "" }

// keepsAll reports whether nothing is removed by a policy, because it relies on a Recycle Bin that
// takes nothing in.
func (p *policy) keepsAll(w *world) bool { return p.config.Policy.RequireRecycleBin && !w.rules }

// policyOf is the name of the policy that a run goes by; empty if the actor is no run.
func (s *simulation) policyOf(actor string) string {
	if r := s.runs[actor]; r != nil {
		return r.policy.name
	}
	return ""
}

// run is one run of a simulation.
type run struct {
	id      string
	policy  *policy
	night   *night
	way     *way
	started time.Time
	ended   time.Time // Zero as long as it is at work; when it was killed, if it was.
	record  *record.Run
	removed map[string]int  // Images by region.
	lost    map[string]int  // Those of them that the Recycle Bin does not hold.
	looks   map[string]look // By the id of an image or a snapshot.
	// When it last read tags, and when it last declared removals.
	readTags, declared time.Time
	orphans            int            // Those that it deleted.
	orphansLost        map[string]int // Those that the Recycle Bin does not hold, by region.
	// By the key of a note about a removal: its last note failed.
	unnoted     map[string]bool
	aliveBeside bool // Another run was at work at the same time.
	// One of those with another journal, or none, which no lock keeps apart.
	unlocked bool
}

// effect is a change of the account.
type effect struct {
	at     time.Time
	actor  string
	what   string // "deregister", "delete", "restore".
	id     string
	region string
	inBin  bool
}

// violation is a promise that was broken.
type violation struct {
	promise string
	detail  string
}

func (v violation) String() string { return v.promise + ": " + v.detail }

// result is what comes of a schedule.
type result struct {
	violations []violation
	hash       uint64
	lines      []string
	calls      int
	effects    int
	runs       int
	orphans    int // Those that runs deleted.
	bundles    int // Objects of bundles that runs hid.
	firstCalls int // Of the first run.
	removed    int // Images, by the first run.
}

// play carries out a schedule in a bubble of its own.
func play(t *testing.T, schedule *schedule, verbose bool) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(firstNight))
		s, err := begin(schedule, verbose)
		if err != nil {
			t.Fatalf("seed %d: %v", schedule.seed, err)
		}
		for i := range schedule.nights {
			s.sleepUntil(firstNight.Add(time.Duration(i) * day))
			s.night(&schedule.nights[i])
		}
		s.repair()
		s.clean(len(schedule.nights))
		s.pending.Wait()
		s.checkEnd()
		s.checkBundles()
		r = result{
			violations: s.violations, hash: s.hash, lines: s.lines, calls: s.calls, effects: len(s.effects), runs: len(s.order),
			orphans:    s.orphansDeleted(),
			bundles:    s.bundlesHidden(),
			firstCalls: s.order[0].way.calls, removed: s.order[0].removed[home] + s.order[0].removed[abroad],
		}
	})
	return r
}

func begin(schedule *schedule, verbose bool) (*simulation, error) {
	s := &simulation{
		schedule: schedule, world: schedule.build(), verbose: verbose,
		forged: forged{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, nil},
		runs:   map[string]*run{}, arrivals: map[int64]bool{}, disturbed: map[string]bool{},
	}
	var err error
	if s.account, err = s.world.load(); err != nil {
		return nil, err
	}
	s.account.SetRuleLag(s.world.ruleLag)
	s.raw = s.account.Client()
	s.beginBundles()
	plans := s.world.plans()
	maps.Copy(plans, s.world.orphanNotes())
	for _, key := range slices.Sorted(maps.Keys(plans)) {
		s.put(key, plans[key])
	}
	for _, settings := range []map[string]string{s.world.settings, s.world.second} {
		if settings == nil {
			continue
		}
		policy, err := newPolicy(settings)
		if err != nil {
			return nil, err
		}
		s.policies = append(s.policies, policy)
		if policy.hasRecords() && len(s.world.regions) > 1 {
			// Else two regions of one run would do it at the same instant, and nobody could tell
			// which was the first.
			s.put(prefixOf(settings)+"account.json", object{"account": accountID})
		}
	}
	return s, nil
}

func (s *simulation) sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// newWay is a way for a run or an undo in a night.
func (s *simulation) newWay(actor string, n *night) *way {
	w := &way{
		sim: s, actor: actor, night: n, trips: map[string]*trip{}, actions: map[string]int{}, failed: map[string]time.Time{}, lostCall: n.faults.loseCall,
		inner: s.account.Client(emulator.Lags{
			Seed: s.seed, TagKey: intentTag, TagValue: "remove", Authorization: n.authorization, StaleReads: n.stale,
			HideGone: share(s.seed, "hide") < 0.3,
		}),
	}
	s.account.SetInUseLag(n.inUseLag)
	s.account.SetBinLag(n.binLag)
	return w
}

func (s *simulation) janitor(w *way, p *policy) *janitor.Janitor {
	return &janitor.Janitor{
		Config: p.config,
		AWS: aws.Config{
			Region: home, HTTPClient: w,
			Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		},
		Clock: func() time.Time { return time.Now().Round(0).Add(time.Duration(w.ahead.Load())) },
	}
}

// pick is the second policy, if there is one, or the first.
func (s *simulation) pick(second bool) *policy {
	if second {
		return s.policies[len(s.policies)-1]
	}
	return s.policies[0]
}

// start begins a run of a policy. It returns when that is over, or dead.
func (s *simulation) start(p *policy, n *night, k *kill, persons []person, suffix string) *run {
	return s.carryOut(s.begin(p, n, k, persons, suffix))
}

// begin is the first moment of a run. Of several at one moment, the first to begin is the first in
// the history.
func (s *simulation) begin(p *policy, n *night, k *kill, persons []person, suffix string) *run {
	now := time.Now()
	clock := clock{}
	if n.clock.all || suffix == "first" {
		clock = n.clock
	}
	id := now.Add(clock.ahead).UTC().Format("20060102T150405Z") + fmt.Sprintf("-%06x", draw(s.seed, "id", now.String(), suffix)&0xffffff)
	w := s.newWay(id, n)
	w.kill, w.persons, w.jumps = k, persons, clock.jumps
	w.set(clock.ahead)
	r := &run{id: id, policy: p, night: n, way: w, started: now, removed: map[string]int{}, lost: map[string]int{}, orphansLost: map[string]int{}, looks: map[string]look{}, unnoted: map[string]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.order {
		if other.ended.IsZero() && !other.way.dead {
			other.aliveBeside, r.aliveBeside = true, true
			if other.policy != p || !p.hasRecords() {
				other.unlocked, r.unlocked = true, true
			}
		}
	}
	s.runs[id] = r
	s.order = append(s.order, r)
	s.trace("%s begins", id)
	return r
}

// carryOut returns when a run is over, or dead.
func (s *simulation) carryOut(r *run) *run {
	w, n := r.way, r.night
	done := make(chan struct{})
	s.pending.Go(func() {
		defer close(done)
		ctx, cancel := context.Background(), func() {}
		if n.deadline > 0 {
			ctx, cancel = context.WithTimeout(ctx, n.deadline)
		}
		defer cancel()
		record := s.janitor(w, r.policy).Run(ctx, ami.RunID(r.id), n.dry)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !w.dead {
			r.record, r.ended = &record, time.Now()
		}
		w.ended = true
		w.dead = true // Nothing comes after it.
	})
	for {
		select {
		case <-done:
		case <-time.After(time.Second):
			s.mu.Lock()
			dead := w.dead
			s.mu.Unlock()
			if !dead {
				continue
			}
		}
		break
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	if r.record != nil {
		s.checkRecord(r)
	}
	return r
}

// night carries out one night.
func (s *simulation) night(n *night) {
	s.mu.Lock()
	s.current = n
	for _, p := range n.before {
		s.act(p)
	}
	s.mu.Unlock()
	r := s.begin(s.pick(n.second), n, n.kill, n.persons, "first")
	var beside sync.WaitGroup
	if n.overlap != nil {
		beside.Go(func() {
			time.Sleep(n.overlap.offset)
			s.start(s.pick(n.overlap.second), n, n.overlap.kill, nil, "second")
		})
	}
	s.carryOut(r)
	if r.record == nil && n.restart > 0 {
		time.Sleep(n.restart)
		s.start(s.pick(n.second != n.other), &night{}, nil, nil, "again")
	}
	beside.Wait()
	s.afterwards(n)
	if n.undo {
		time.Sleep(n.undoAt)
		if n.undoKill != nil {
			s.undo(r, n.undoKill)
			time.Sleep(time.Minute)
		}
		s.undo(r, nil)
	}
}

// afterwards lets people do what they do after a run.
func (s *simulation) afterwards(n *night) {
	if len(n.afterwards) == 0 {
		return
	}
	time.Sleep(time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range n.afterwards {
		s.act(p)
	}
}

// undo undoes a run, and checks that it does, unless it is killed.
func (s *simulation) undo(r *run, k *kill) {
	s.mu.Lock()
	s.trace("%s is undone", r.id)
	held := s.heldOf(r.id)
	s.mu.Unlock()
	w := s.newWay("undo-"+r.id, &night{})
	w.kill = k
	undone, err := s.janitor(w, r.policy).Undo().Run(context.Background(), r.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.dead {
		s.checkUndo(r, held, undone, err)
		s.noteUndoneBundles(r)
	}
	w.dead = true
}

// mostNights is how many clean runs it may take until nothing is left to be done.
const mostNights = 45

// isBanned reports whether EC2 refuses to deregister an image tonight.
func (s *simulation) isBanned(id string) bool {
	i := s.world.image(id)
	return i != nil && s.ban.isOf(i) && time.Since(firstNight) < time.Duration(s.ban.nights)*day-day/2
}

// clean runs night by night until a run has changed nothing, and no other run's lease is to run
// out.
func (s *simulation) clean(first int) {
	n := &night{}
	quiet := 0
	for i := 0; quiet < 2; i++ {
		s.sleepUntil(firstNight.Add(time.Duration(first+i) * day))
		if i == mostNights {
			s.violate("comes to an end", "after %d clean nights there is still something to be done", i)
			return
		}
		effects := len(s.effects)
		s.mu.Lock()
		s.current = n
		s.mu.Unlock()
		for k := range s.policies {
			if k > 0 {
				time.Sleep(s.apart)
			}
			s.checkClean(s.start(s.pick(s.secondFirst != (k > 0)), n, nil, nil, "clean"))
		}
		if len(s.effects) == effects && !s.waits() {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// waits reports whether something is announced, and not long overdue.
func (s *simulation) waits() bool {
	return slices.ContainsFunc(s.policies, func(p *policy) bool {
		if p.keepsAll(s.world) {
			return false // For a person.
		}
		if last := s.last(p).record; last != nil && last.Totals.Refused > 0 {
			return true // For a week.
		}
		return p.hasRecords() && slices.ContainsFunc(s.world.images, func(i *image) bool {
			return i.there && i.announcedBy == p.name && time.Since(i.announced) < time.Duration(graceOf(p.settings)+2)*day
		})
	})
}

// last is the last run of a policy.
func (s *simulation) last(p *policy) *run {
	var last *run
	for _, r := range s.order {
		if r.policy == p {
			last = r
		}
	}
	return last
}

func (s *simulation) violate(promise, format string, arguments ...any) {
	v := violation{promise, fmt.Sprintf(format, arguments...)}
	s.trace("BROKEN: %v", v)
	s.violations = append(s.violations, v)
}

// reserve returns the first instant from one on at which nothing else arrives.
func (s *simulation) reserve(at time.Time) time.Time {
	n := at.UnixNano()
	for s.arrivals[n] {
		n++
	}
	s.arrivals[n] = true
	return time.Unix(0, n)
}

// latency draws how long one way takes: between half and three halves of the half of the mean.
func (s *simulation) latency(words ...string) time.Duration {
	return time.Duration(float64(s.schedule.latency) / 2 * (0.5 + share(s.seed, words...)))
}

// note takes a request into the history.
func (s *simulation) note(w *way, _ emulator.Request, name, what string) {
	s.calls++
	line := strings.Join([]string{time.Now().UTC().Format("02T15:04:05.000000000"), w.actor, name, what}, " ")
	s.hash = draw(s.hash, line)
	if s.verbose {
		s.lines = append(s.lines, line)
	}
}

func (s *simulation) trace(format string, arguments ...any) {
	if s.verbose {
		s.lines = append(s.lines, time.Now().UTC().Format("02T15:04:05.000000000")+" -- "+fmt.Sprintf(format, arguments...))
	}
}

// disturb notes that a run cannot know what became of a request.
func (s *simulation) disturb(w *way, q emulator.Request) {
	for name, values := range q.Form {
		switch name, _, _ := strings.Cut(name, "."); name {
		case "ImageId", "SnapshotId", "ResourceId":
			for _, id := range values {
				s.disturbed[w.actor+id] = true
			}
		}
	}
}

// put stores a document in the bucket of the journals.
func (s *simulation) put(key string, content object) {
	document, err := json.Marshal(content)
	if err != nil {
		panic(err)
	}
	s.store(http.MethodPut, key, document)
}

// store puts or deletes an object of the bucket.
func (s *simulation) store(method, key string, document []byte) {
	r, err := http.NewRequest(method, "https://"+bucketName+".s3."+home+".amazonaws.com/"+key, bytes.NewReader(document))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/"+home+"/s3/aws4_request, SignedHeaders=host, Signature=0")
	if response, err := s.raw.Do(r); err != nil || response.StatusCode >= 300 {
		panic(fmt.Sprint(response, err))
	}
}

// call asks the account for something on behalf of a person. The caller holds the lock.
func (s *simulation) call(region, action string, parameters ...string) bool {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	status, body := s.ask(region, form)
	q := emulator.Request{Service: "ec2", Region: region, Action: action, Form: form}
	s.witness("person", q, status, body)
	s.trace("a person: %s %v: %d", action, parameters, status)
	return status < 300
}

func (s *simulation) ask(region string, form url.Values) (status int, body []byte) {
	r, err := http.NewRequest(http.MethodPost, "https://ec2."+region+".amazonaws.com/", bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/"+region+"/ec2/aws4_request, SignedHeaders=host, Signature=0")
	response, err := s.raw.Do(r)
	if err != nil {
		panic(err)
	}
	var text bytes.Buffer
	_, _ = text.ReadFrom(response.Body)
	return response.StatusCode, text.Bytes()
}
