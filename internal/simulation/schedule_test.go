package simulation

import (
	"fmt"
	"strings"
	"time"
)

// schedule is what happens to one account, night by night.
type schedule struct {
	seed        uint64
	world       func() *world // A new copy each time.
	drop        drops
	latency     time.Duration
	nights      []night
	ban         ban
	secondFirst bool // In clean nights.
	// How long after a run of one policy one of the other begins, in clean nights.
	apart time.Duration
}

// ban is what EC2 refuses to remove for some nights, whoever asks. Its zero value refuses nothing.
type ban struct {
	nights int
	code   string
	which  uint64 // An image is refused if its number, modulo 64, is a bit of this.
}

// night is one night with what goes wrong in it. Its zero value is a plain run.
type night struct {
	second   bool // The run goes by the second policy, if there is one.
	other    bool // The run after one that was killed goes by the other policy.
	dry      bool
	deadline time.Duration // How long the run may take; 0 for any time.
	kill     *kill
	restart  time.Duration // Another run begins so long after a run was killed; 0 for none.
	overlap  *overlap
	undo     bool          // The run is undone, after it was killed or has ended.
	undoAt   time.Duration // How long after that.
	undoKill *kill         // The undo is killed, and made again a minute later.

	stale         time.Duration // For how long reads may be stale, at most.
	authorization time.Duration // How long IAM takes at most to see tags.
	inUseLag      int           // How many calls EC2 takes to notice deregistrations.
	binLag        int           // How many listings the Recycle Bin takes to show what it holds.
	faults        faults
	clock         clock
	persons       []person
	before        []person // What people do before the run.
	afterwards    []person // What people do after the run, whatever became of it: an hour later.
}

// kill ends a run at a call. From then on nothing of it reaches the account.
type kill struct {
	call   int    // Counted from 1.
	writes bool   // Count only calls that change something.
	action string // Count only calls of this action; empty for all.
	after  bool   // After its effect; else before it.
}

// clock is how the clock of a run's machine goes. Its zero value is right.
type clock struct {
	ahead time.Duration // When the run begins; negative if it is behind.
	jumps []jump
	all   bool // The clocks of all runs of the night go like this; else only that of the first.
}

// jump sets a clock forward, or back, just before a call.
type jump struct {
	at kill
	by time.Duration
}

// clocksApart is how far a clock may be from that of AWS: a run with one that is further off stops.
const clocksApart = 5 * time.Minute

// slack is how far the idle times are off that the runs of a night go by.
func (n *night) slack() time.Duration { return min(n.clock.ahead.Abs(), clocksApart) }

// overlap is a second run beside the first.
type overlap struct {
	offset time.Duration
	second bool  // It goes by the second policy.
	kill   *kill // Of the second run.
}

// faults are the shares of calls with which something goes wrong, from 0 to 1.
type faults struct {
	throttle float64 // Refused with RequestLimitExceeded, and the like.
	fail     float64 // Refused with an internal error.
	lose     float64 // The answer is lost, not the effect.
	garble   float64 // The answer is a web page.

	deny string // This action is denied; empty for none.

	loseCall *kill // The answer to exactly this call is lost.
}

func (f faults) any() bool {
	return f.throttle+f.fail+f.lose+f.garble > 0 || f.deny != "" || f.loseCall != nil
}

// person is somebody who does something just before a call of the run.
type person struct {
	at     kill // The call.
	does   action
	target uint64
}

// action is what a person does.
type action string

const (
	launches         action = "launches an instance of"
	keeps            action = "tags to keep"
	keepsSnapshot    action = "tags to keep a snapshot of"
	restores         action = "restores"
	restoresSnapshot action = "restores a snapshot of"
	deregisters      action = "deregisters"
	untags           action = "takes the janitor's tags off"
	untagsSnapshot   action = "takes the janitor's tags off a snapshot of"
	objects          action = "objects to the announced removal of"
	forgesTags       action = "forges tags of"
	forgesRecords    action = "forges records of"
)

// newSchedule draws a schedule.
func newSchedule(seed uint64) *schedule {
	s := &schedule{seed: seed}
	d := newDice(seed ^ 0xabcdef)
	s.latency = pick(d, 20*time.Millisecond, 80*time.Millisecond, 80*time.Millisecond, 300*time.Millisecond, time.Second)
	for range d.between(1, 3) {
		s.nights = append(s.nights, newNight(d))
	}
	if d.chance(25) {
		s.ban = ban{d.between(1, 12), pick(d, "AuthFailure", "UnauthorizedOperation"), pick(d, d.Uint64(), d.Uint64()&d.Uint64(), ^uint64(0))}
	}
	s.addMore(newDice(seed ^ 0x0ff1ce))
	return s
}

// addMore draws what not every schedule has. Its dice are others, so that a seed gives the same
// account and nights without it.
func (s *schedule) addMore(d dice) {
	isOwn, isSecond := d.chance(15), d.chance(35)
	own, second := d.Uint64(), d.Uint64()
	seed := s.seed
	s.world = func() *world {
		w := newWorld(newDice(seed))
		if isOwn {
			w.addOwnSnapshots(newDice(own))
		}
		if isSecond {
			w.addPolicy(newDice(second))
		}
		return w
	}
	if isSecond {
		s.addPolicy(d)
	}
	if d.chance(30) {
		s.addForgeries(d)
	}
	if d.chance(25) {
		s.addClocks(d)
	}
	if d.chance(35) {
		kinds, before := d.Uint64(), s.world
		s.world = func() *world {
			w := before()
			w.addKinds(newDice(kinds))
			return w
		}
	}
	if more := newDice(seed ^ 0x0bad5eed); more.chance(25) {
		s.addOrphans(more)
	} else if more.chance(30) {
		s.addBundles(more)
	}
}

// addClocks draws clocks that are wrong, or are set while a run is at work.
func (s *schedule) addClocks(d dice) {
	draw := func() time.Duration {
		by := pick(d, time.Duration(d.between(1, 299))*time.Second, time.Duration(d.between(1, 299))*time.Second, time.Duration(d.between(6, 59))*time.Minute,
			time.Duration(d.between(1, 30))*time.Hour, time.Duration(d.between(2, 400))*day)
		if d.chance(40) {
			return -by
		}
		return by
	}
	for i := range s.nights {
		n := &s.nights[i]
		if n.clock.all = d.chance(40); d.chance(50) {
			n.clock.ahead = draw()
		}
		for range d.IntN(3) {
			n.clock.jumps = append(n.clock.jumps, jump{*newKill(d), draw()})
		}
		if i > 0 && s.nights[i-1].clock.all && d.chance(50) {
			n.clock.ahead, n.clock.all = s.nights[i-1].clock.ahead, true // Nobody has noticed.
		}
	}
}

// addForgeries draws what somebody forges: while a run is at work, or between two of them.
func (s *schedule) addForgeries(d dice) {
	bait, before := d.Uint64(), s.world
	s.world = func() *world {
		w := before()
		w.addBait(newDice(bait))
		return w
	}
	for i := range s.nights {
		n := &s.nights[i]
		for range d.IntN(6) {
			p := person{does: pick(d, forgesTags, forgesTags, forgesRecords), target: d.Uint64()}
			if d.chance(60) {
				n.before = append(n.before, p)
			} else {
				p.at = *newKill(d)
				n.persons = append(n.persons, p)
			}
		}
	}
}

// addPolicy draws which runs go by the second policy.
func (s *schedule) addPolicy(d dice) {
	s.secondFirst = d.chance(50)
	s.apart = pick(d, time.Minute, time.Hour, 13*time.Hour)
	for i := range s.nights {
		n := &s.nights[i]
		n.second, n.other = d.chance(50), d.chance(50)
		if i > 0 && s.nights[i-1].kill != nil && d.chance(70) {
			// What a killed run has left is seen by the other policy first.
			n.second = !s.nights[i-1].second
		}
		if n.overlap == nil && d.chance(40) {
			n.overlap = &overlap{offset: pick(d, 0, 100*time.Millisecond, time.Second, 3*time.Second, 10*time.Second, time.Minute)}
		}
		if n.overlap != nil {
			n.overlap.second = n.second != d.chance(80)
		}
	}
}

func newNight(d dice) night {
	n := night{}
	n.addTrouble(d)
	if d.chance(25) {
		n.addTrouble(d)
	}
	if d.chance(15) {
		n.inUseLag = d.between(1, 3)
	}
	if d.chance(12) || n.kill != nil && d.chance(25) {
		for range d.between(1, 3) {
			n.afterwards = append(n.afterwards, person{
				target: d.Uint64(), does: pick(d, restores, restores, restores, restoresSnapshot, untags, untagsSnapshot, keeps, deregisters, launches),
			})
		}
	}
	if d.chance(12) {
		n.binLag = d.between(1, 4)
	}
	return n
}

func (n *night) addTrouble(d dice) {
	switch d.IntN(16) {
	case 0, 1, 2, 3:
		n.kill = newKill(d)
		if d.chance(30) {
			n.restart = pick(d, 10*time.Second, time.Minute, 5*time.Minute, 31*time.Minute, 45*time.Minute, 3*time.Hour, 13*time.Hour)
		}
	case 4:
		n.undo, n.undoAt = true, pick(d, time.Second, time.Minute, 40*time.Minute, 13*time.Hour)
		if d.chance(30) {
			n.undoKill = &kill{call: d.between(1, 25), after: d.chance(50)}
		}
	case 5:
		n.kill, n.undo, n.undoAt = newKill(d), true, pick(d, time.Second, time.Minute, 40*time.Minute, 13*time.Hour)
	case 6, 7:
		n.overlap = &overlap{offset: pick(d, 0, 100*time.Millisecond, time.Second, 3*time.Second, 10*time.Second, time.Minute, 5*time.Minute)}
		if d.chance(25) {
			n.overlap.kill = newKill(d)
		}
	case 8:
		n.stale = pick(d, 2*time.Second, 20*time.Second, 60*time.Second)
	case 9:
		n.authorization = pick(d, 5*time.Second, 30*time.Second, 60*time.Second)
	case 10:
		denied := pick(d, "DeregisterImage", "DeleteSnapshot", "DeleteSnapshot", "CreateTags", "DeleteTags", "DescribeTags", "DescribeImages", "DescribeSnapshots",
			"DescribeImageReferences", "ListSnapshotsInRecycleBin", "PutObject", "DeleteObject")
		n.faults = pick(d, faults{throttle: 0.1}, faults{throttle: 0.5}, faults{fail: 0.1}, faults{fail: 0.6}, faults{lose: 0.1}, faults{lose: 0.5}, faults{garble: 0.1},
			faults{throttle: 0.1, fail: 0.05, lose: 0.1, garble: 0.05}, faults{deny: denied}, faults{deny: denied}, faults{deny: denied})
	case 11, 12, 13:
		for range d.between(1, 2) {
			n.persons = append(n.persons, person{
				at: *newKill(d), target: d.Uint64(),
				does: pick(d, launches, keeps, keepsSnapshot, restores, restores, restoresSnapshot, deregisters, deregisters, untags, untagsSnapshot, objects),
			})
		}
	case 14:
		n.dry = true
	case 15:
		n.deadline = pick(d, 5*time.Second, 20*time.Second, time.Minute, 15*time.Minute)
	}
}

func newKill(d dice) *kill {
	k := &kill{writes: d.chance(65), after: d.chance(50)}
	if d.chance(40) {
		k.writes, k.action, k.call = false, pick(d, "DeregisterImage", "DeregisterImage", "DeregisterImage", "DeleteSnapshot", "CreateTags", "DeleteTags"), d.between(1, 3)
		return k
	}
	if k.call = 1 + d.IntN(pick(d, 5, 15, 30)); !k.writes {
		k.call = 1 + d.IntN(pick(d, 20, 60, 120))
	}
	return k
}

func (k kill) String() string {
	what, when := "call", "before"
	if k.writes {
		what = "write"
	}
	if k.action != "" {
		what = k.action
	}
	if k.after {
		when = "after"
	}
	return fmt.Sprintf("%s the effect of %s %d", when, what, k.call)
}

func (n night) String() string {
	var parts []string
	add := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	if n.dry {
		add("a dry run")
	} else {
		add("a run")
	}
	if n.second {
		add("by the second policy")
	}
	if n.deadline > 0 {
		add("that has %v", n.deadline)
	}
	if n.kill != nil {
		add("killed %v", n.kill)
		if n.restart > 0 {
			add("and another one %v later (of the other policy: %v)", n.restart, n.other)
		}
	}
	if n.overlap != nil {
		add("beside another that begins %v later (by the second policy: %v)", n.overlap.offset, n.overlap.second)
		if n.overlap.kill != nil {
			add("and is killed %v", n.overlap.kill)
		}
	}
	if n.stale > 0 {
		add("reads stale for up to %v", n.stale)
	}
	if n.authorization > 0 {
		add("IAM sees tags after up to %v", n.authorization)
	}
	if n.inUseLag+n.binLag > 0 {
		add("in-use lag %d, bin lag %d", n.inUseLag, n.binLag)
	}
	if n.faults.any() {
		add("faults %+v", n.faults)
		if n.faults.loseCall != nil {
			add("the answer lost %v", n.faults.loseCall)
		}
	}
	if n.clock.ahead != 0 {
		add("by a clock that is %v ahead (all: %v)", n.clock.ahead, n.clock.all)
	}
	for _, j := range n.clock.jumps {
		add("which is set forward by %v %v (all: %v)", j.by, j.at, n.clock.all)
	}
	for _, p := range n.persons {
		add("a person %s an image %v", p.does, p.at)
	}
	for _, p := range n.before {
		add("before it a person %s an image", p.does)
	}
	for _, p := range n.afterwards {
		add("a person %s an image an hour later", p.does)
	}
	if n.undo {
		add("undone %v later", n.undoAt)
		if n.undoKill != nil {
			add("which is killed %v, and made again", n.undoKill)
		}
	}
	return strings.Join(parts, ", ")
}

// String says a schedule in words.
func (s *schedule) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d, latency %v\n%v", s.seed, s.latency, s.build())
	for i, n := range s.nights {
		fmt.Fprintf(&text, "night %d: %v\n", i+1, n)
	}
	if s.ban.nights > 0 {
		fmt.Fprintf(&text, "for %d nights EC2 refuses to deregister images with %s\n", s.ban.nights, s.ban.code)
	}
	text.WriteString("then clean runs\n")
	return text.String()
}

// drops are the parts to leave out of a world.
type drops struct {
	images   map[string]bool
	settings map[string]bool
}

// build makes the account of a schedule.
func (s *schedule) build() *world {
	w := s.world()
	w.leaveOut(s.drop)
	return w
}

func (w *world) leaveOut(drop drops) {
	for key := range drop.settings {
		if key == "second policy" {
			w.second = nil
			continue
		}
		if key == "image tags" {
			for _, i := range w.images {
				delete(i.tags, "team")
			}
			continue
		}
		delete(w.settings, key)
	}
	if len(drop.images) == 0 {
		return
	}
	var images []*image
	used := map[string]bool{}
	for _, i := range w.images {
		if !drop.images[i.id] {
			images = append(images, i)
			for _, id := range i.snapshots {
				used[id] = true
			}
		}
	}
	var snapshots []*snapshot
	for _, s := range w.snapshots {
		if used[s.id] || s.orphanOf != "" && !drop.images[s.orphanOf] {
			snapshots = append(snapshots, s)
		}
	}
	w.images, w.snapshots = images, snapshots
}
