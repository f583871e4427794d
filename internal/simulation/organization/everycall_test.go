package organization

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// drilled is an organization in which a builder's shared images go on the third night, and private
// ones of two accounts before.
func drilled() *world {
	w := &world{regions: []string{home}, realRuns: 1, bins: true, settings: map[string]string{
		"RECORDS": "s3://" + bucketName + "/" + strings.TrimSuffix(prefix, "/"), "DRY_RUN": "false", "SHARED_IMAGES": "organization",
		"STALE_AFTER": "30d", "SEEN_NIGHTS": "30", "USAGE_SOURCES": "instances", "REGIONS": home, "KEEP_NEWEST": "0", "STOP_PARAMETER": stopParameter,
	}}
	for n, id := range []string{builder, "111122223333", "111122223334"} {
		w.members = append(w.members, &member{id: id, path: rootPath + workloads + "/", reach: 60})
		for range 2 - n {
			w.addStale(id)
		}
	}
	for _, g := range []share{{}, {unit: workloads}} {
		i := w.addStale(builder)
		i.shares = []share{g}
	}
	used := w.addStale(builder)
	used.shares = []share{{}}
	w.uses = []*use{{account: "111122223334", image: used, to: forever}}
	return w
}

func (w *world) addStale(owner string) *image {
	n := len(w.images) + 1
	i := &image{
		id: fmt.Sprintf("ami-%017x", n), owner: owner, region: home, name: fmt.Sprintf("image-%c", 'a'+n), snapshot: fmt.Sprintf("snap-%017x", n), created: ago(float64(100 + n)),
	}
	w.images = append(w.images, i)
	return i
}

func newDrill(n int, f fault) *schedule {
	s := &schedule{seed: 1, world: drilled(), drill: fmt.Sprintf("on night %d: %v", n, f)}
	for range 3 {
		s.nights = append(s.nights, night{executions: make([]plannedExecution, 1), sharesLate: -1})
	}
	s.nights[n].executions[0].faults = []fault{f}
	return s
}

// Each step is killed at each of its calls, or loses its answer; the nights after put right what
// that has left.
func TestKilledAtEveryCall(t *testing.T) {
	plain := play(t, newDrill(0, fault{}))
	if len(plain.violations) > 0 || plain.tally.private != 3 || plain.tally.shared != 2 {
		t.Fatalf("nothing goes wrong, and yet: %v, %+v", plain.violations, plain.tally)
	}
	var drills []func() *schedule
	places := slices.SortedFunc(maps.Keys(plain.most), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.night, b.night), cmp.Compare(a.step, b.step), cmp.Compare(a.account, b.account))
	})
	members := drilled().members
	for _, at := range places {
		for call := 1; call <= plain.most[at] && at.night < 3; call++ {
			for n, trouble := range []trouble{killedBefore, killedAfter, loses} {
				f := fault{step: at.step, call: call, trouble: trouble, again: []again{never, after, beside}[(n+call)%3]}
				f.member = max(0, slices.IndexFunc(members, func(m *member) bool { return m.id == at.account }))
				drills = append(drills, func() *schedule { return newDrill(at.night, f) })
			}
		}
	}
	stride := 151 // With -seeds, every call.
	if *seedsFlag > 0 {
		stride = 1
	}
	sum := playAll(t, 0, uint64((len(drills)-1)/stride), func(n uint64) *schedule { return drills[int(n)*stride]() })
	if sum.private == 0 || sum.shared == 0 {
		t.Errorf("%d private and %d shared images go; the drills prove nothing", sum.private, sum.shared)
	}
}

// Whoever repeats Gather does not forget that too few accounts have answered.
func TestTooFewAnswersWhateverIsRepeated(t *testing.T) {
	const denied = 2
	drill := func(f fault) *schedule {
		s := newDrill(0, f)
		s.drill = "an account does not answer, and " + s.drill
		s.nights = s.nights[:1]
		s.nights[0].executions[0].denied = map[string]map[int]bool{"census": {denied: true}}
		return s
	}
	plain := play(t, drill(fault{}))
	if len(plain.violations) > 0 || plain.tally.notSwept != 1 {
		t.Fatalf("nothing goes wrong besides, and yet: %v, %+v", plain.violations, plain.tally)
	}
	var drills []func() *schedule
	for call := 1; call <= plain.most[place{0, "gather", ""}]; call++ {
		for _, again := range []again{after, beside} {
			drills = append(drills, func() *schedule { return drill(fault{step: "gather", call: call, trouble: killedAfter, again: again}) })
		}
	}
	playAll(t, 0, uint64(len(drills)-1), func(n uint64) *schedule { return drills[n]() })
}
