package simulation

import (
	"fmt"
	"maps"
	"runtime"
	"sync"
	"testing"
	"time"
)

// thirty is an account of 30 images in two regions: shared snapshots, a launch template that maps
// one, images that are announced and due, kept ones. A run removes most of them.
func thirty(seed uint64, settings map[string]string) *world {
	w := &world{
		regions: []string{home, abroad}, rules: true, binDays: 14,
		settings: map[string]string{
			"POLICY_NAME": "first", "STALE_AFTER": "30d", "KEEP_NEWEST": "1", "MAX_DEREGISTRATIONS": "100", "REGIONS": home + "," + abroad,
			"USAGE_SOURCES": "references,instances,launch-templates", "RECORDS": "s3://" + bucketName + "/journal",
			"REQUIRE_RECYCLE_BIN": "true", "RECYCLE_BIN_DAYS": "7",
		},
	}
	maps.Copy(w.settings, settings)
	d := newDice(seed)
	for n := range 28 {
		i := &image{
			id: imageID(n + 1), region: w.regions[n%2], tags: map[string]string{}, state: "available", there: true,
			name: fmt.Sprintf("one-off-%c", 'a'+n), created: ago(float64(60+n) + d.Float64()),
		}
		if n%7 == 6 {
			i.family, i.name = "web-*", fmt.Sprintf("web-%08d", 20260101+n)
		}
		for k := range 1 + n%2 {
			sn := &snapshot{id: snapshotID(10*n + k), region: i.region, tags: map[string]string{}, there: true, size: 8, named: n == 9}
			w.snapshots = append(w.snapshots, sn)
			i.snapshots = append(i.snapshots, sn.id)
		}
		if n > 2 && n%5 == 2 {
			shared := w.images[n-2].snapshots[0] // Of the same region.
			i.snapshots = append(i.snapshots, shared)
		}
		switch n {
		case 4:
			i.tags[keepTag] = "yes"
		case 5:
			i.usedBy = "instance"
		case 8:
			i.protection = "enabled-without-cooldown"
		}
		if grace := graceOf(w.settings); grace > 0 {
			i.announce(w.settings, ago(float64(grace)+1))
		}
		w.images = append(w.images, i)
	}
	w.images = append(w.images, w.sentinel(800, home), w.sentinel(801, abroad))
	return w
}

// drill is a schedule of one night over thirty images.
func drill(settings map[string]string, n night) *schedule {
	return &schedule{seed: 30, latency: 80 * time.Millisecond, nights: []night{n}, world: func() *world { return thirty(30, settings) }}
}

// variants are the ways in which the drills are made: the code's defaults with a canary, and with
// announcements that are due.
var variants = map[string]map[string]string{
	"canary":    nil,
	"announced": {"GRACE": "2d", "GRACE_ACTION": "disable", "REQUIRE_RECYCLE_BIN": "false"},
}

// callsOf counts the calls of the run of a drill.
func callsOf(t *testing.T, settings map[string]string) int {
	t.Helper()
	r := play(t, drill(settings, night{}), false)
	for _, v := range r.violations {
		t.Errorf("nothing goes wrong, and yet: %v", v)
	}
	if r.firstCalls < 150 || r.removed < 20 {
		t.Errorf("the run makes %d calls and removes %d images; there is nothing to be learnt from it", r.firstCalls, r.removed)
	}
	return r.firstCalls
}

// atEveryCall plays a drill for each call of its run, or for some of them: with -seeds for all.
func atEveryCall(t *testing.T, trouble func(call int) []night) {
	t.Helper()
	for name, settings := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := callsOf(t, settings)
			step := 1
			if *seedsFlag == 0 {
				step = 29
			}
			var nights []night
			for call := 1; call <= calls; call += step {
				nights = append(nights, trouble(call)...)
			}
			playNights(t, settings, nights)
			t.Logf("%d calls, %d drills", calls, len(nights))
		})
	}
}

func playNights(t *testing.T, settings map[string]string, nights []night) {
	t.Helper()
	var mu sync.Mutex
	next, failures := 0, 0
	t.Run("each", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for {
					mu.Lock()
					at := next
					next++
					mu.Unlock()
					if at >= len(nights) {
						return
					}
					r := play(t, drill(settings, nights[at]), false)
					mu.Lock()
					if len(r.violations) > 0 {
						if failures++; failures <= manyFailures {
							t.Errorf("%v: %v", nights[at], r.violations[0])
						}
					}
					mu.Unlock()
				}
			})
		}
	})
	if failures > manyFailures {
		t.Errorf("%d of %d drills fail", failures, len(nights))
	}
}

// A run that is killed at a call, before or after its effect, leaves nothing that the next nights
// do not put right.
func TestKilledAtEveryCall(t *testing.T) {
	atEveryCall(t, func(call int) []night {
		return []night{
			{kill: &kill{call: call}},
			{kill: &kill{call: call, after: true}, restart: []time.Duration{0, 5 * time.Minute, 31 * time.Minute, 13 * time.Hour}[call%4]},
		}
	})
}

// The answer to any call may be lost, or may be none of AWS.
func TestLostAnswerAtEveryCall(t *testing.T) {
	atEveryCall(t, func(call int) []night {
		return []night{{faults: faults{loseCall: &kill{call: call}}}}
	})
}

// A run can be undone after any part of it.
func TestUndoneAfterEveryCall(t *testing.T) {
	atEveryCall(t, func(call int) []night {
		return []night{{kill: &kill{call: call, after: true}, undo: true, undoAt: []time.Duration{time.Second, 40 * time.Minute}[call%2]}}
	})
}

// A second run may begin at any time.
func TestSecondRunAtEveryCall(t *testing.T) {
	atEveryCall(t, func(call int) []night {
		return []night{{overlap: &overlap{offset: time.Duration(call) * 40 * time.Millisecond}}}
	})
}

// Somebody may do anything just before any call.
func TestPersonAtEveryCall(t *testing.T) {
	does := []action{launches, keeps, restores, restoresSnapshot, deregisters, untags, untagsSnapshot, objects}
	atEveryCall(t, func(call int) []night {
		return []night{{persons: []person{{at: kill{call: call}, does: does[call%len(does)], target: uint64(call) * 7}}}}
	})
}
