package speed

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
)

var imagesFlag = flag.String("images", "", "measure sweeps of so many images, comma-separated")

// night is when a run begins.
var night = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

// setup is what a run is measured under.
type setup struct {
	images  int
	latency time.Duration // Of a call, in the mean.
	others  float64       // The share of all of EC2's buckets that others in the account take.
}

func (s setup) String() string {
	return fmt.Sprintf("%d images, %v, others take %g %%", s.images, s.latency, 100*s.others)
}

// measured is what a run took. It has two parts, and the second starts after the first: nothing is
// removed before the plan is made over all that is known.
type measured struct {
	setup
	plan, sweep, whole part
	other              map[string]int // The calls of other services than EC2, by action.
	throttled          int
	heap               uint64 // The most that was in use, in bytes, the emulated account included.
}

// part is a part of a run.
type part struct {
	took  time.Duration
	calls map[bucket]int // Those that were not throttled.
}

// bucket is one of EC2's token buckets.
type bucket struct {
	action string
	whole  bool
}

// bound is the least time that so many calls take, whoever makes them: the bucket that takes
// longest decides.
func (p part) bound(others float64) time.Duration {
	least := 0.0
	for bucket, calls := range p.calls {
		burst, perSecond := middleware.PublishedLimit(bucket.action, bucket.whole)
		least = max(least, (float64(calls)-burst*(1-others))/(perSecond*(1-others)))
	}
	return time.Duration(least * float64(time.Second))
}

func (p part) ratio(others float64) float64 { return p.took.Seconds() / p.bound(others).Seconds() }

func (p part) count(action string) int {
	return p.calls[bucket{action, false}] + p.calls[bucket{action, true}]
}

// meter counts the calls of a run as they are answered.
type meter struct {
	began time.Time

	mu          sync.Mutex
	sweepBegan  time.Time // When the first call that changes EC2 arrived.
	sweepEnded  time.Time // When the last call to EC2 was answered; what follows is the record.
	plan, sweep map[bucket]int
	other       map[string]int // Calls of other services, by action.
	throttled   int
	n           int
	heap        uint64
}

func (m *meter) wrap(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		response, err := next.Do(r)
		m.count(q, err == nil && response.StatusCode == http.StatusServiceUnavailable)
		return response, err
	})
}

func (m *meter) count(q emulator.Request, throttled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if throttled {
		m.throttled++
		return
	}
	if m.n++; m.n%500 == 0 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		m.heap = max(m.heap, sample[0].Value.Uint64())
	}
	if q.Service != "ec2" {
		m.other[q.Action]++
		return
	}
	if m.sweepBegan.IsZero() && !strings.HasPrefix(q.Action, "Describe") && !strings.HasPrefix(q.Action, "List") {
		m.sweepBegan = time.Now()
	}
	m.sweepEnded = time.Now()
	if m.sweepBegan.IsZero() {
		m.plan[bucketOf(q)]++
	} else {
		m.sweep[bucketOf(q)]++
	}
}

// bucketOf is the bucket from which a request takes: some actions have another one for who asks for
// all at once.
func bucketOf(q emulator.Request) bucket {
	whole := q.Form.Get("MaxResults") == "" && !slices.ContainsFunc(slices.Collect(maps.Keys(q.Form)), func(name string) bool {
		return strings.HasPrefix(name, "Filter.")
	})
	return bucket{q.Action, whole}
}

// measure carries out a run that takes all that EC2 gives, in fake time.
func measure(t *testing.T, s setup) measured {
	t.Helper()
	var result measured
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(night))
		account := newAccount(t, s.images)
		limits := middleware.NewLimits(time.Now, s.others)
		m := &meter{began: time.Now(), plan: map[bucket]int{}, sweep: map[bucket]int{}, other: map[string]int{}}
		network := &middleware.Network{Seed: 1, Latency: s.latency, Spread: 0.5}
		j := janitorOf(t, s.images, network.Wrap(m.wrap(limits.Wrap(account.Client()))))
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
		defer cancel()
		record := j.Run(ctx, "20261123T020000Z-000000", false)
		ended := time.Now()
		if err := janitor.Err(record); err != nil || record.Totals.Deregistered != s.images || record.Totals.SnapshotsDeleted != s.images {
			t.Errorf("%v: %v, %+v", s, err, record.Totals)
		}
		result = measured{
			setup: s, heap: m.heap, other: m.other, throttled: m.throttled,
			plan:  part{m.sweepBegan.Sub(m.began), m.plan},
			sweep: part{m.sweepEnded.Sub(m.sweepBegan), m.sweep},
			whole: part{ended.Sub(m.began), maps.Clone(m.plan)},
		}
		for bucket, calls := range m.sweep {
			result.whole.calls[bucket] += calls
		}
	})
	return result
}

// janitorOf removes at most so many images, at the whole pace that EC2 allows.
func janitorOf(t *testing.T, limit int, account emulator.Doer) janitor.Janitor {
	t.Helper()
	parsed, err := config.Parse(func(variable string) string { return settings(limit, "1")[variable] })
	if err != nil {
		t.Fatal(err)
	}
	j := janitor.Janitor{
		Config: parsed, Clock: time.Now,
		AWS: aws.Config{
			Region: region, HTTPClient: account, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		},
	}
	pace.New(1).Apply(&j.AWS)
	return j
}

func (m measured) String() string {
	seconds := func(p part) string {
		return fmt.Sprintf("%.1f s of %.1f s (%.3f)", p.took.Seconds(), p.bound(m.others).Seconds(), p.ratio(m.others))
	}
	byAction := maps.Clone(m.other)
	for bucket, calls := range m.whole.calls {
		byAction[bucket.action] += calls
	}
	var calls []string
	for _, action := range slices.Sorted(maps.Keys(byAction)) {
		calls = append(calls, fmt.Sprint(action, " ", byAction[action]))
	}
	return fmt.Sprintf("%v:\n  sweep %s, plan %s, whole run %s; %d throttled; heap with the account %d MB\n  %s",
		m.setup, seconds(m.sweep), seconds(m.plan), seconds(m.whole), m.throttled, m.heap>>20, strings.Join(calls, ", "))
}

// Whole runs beside what EC2's limits allow. It takes minutes for 50,000 images.
func TestSpeed(t *testing.T) {
	if *imagesFlag == "" {
		t.Skip("measures only if -images says how many")
	}
	for number := range strings.SplitSeq(*imagesFlag, ",") {
		images, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		for _, others := range []float64{0, 0.5} {
			for _, latency := range []time.Duration{100 * time.Millisecond, time.Second} {
				fmt.Println(measure(t, setup{images, latency, others}))
			}
		}
	}
}

// Alone, a sweep is never throttled, and takes little more than the least time that its calls can
// take; with others that take half of every bucket, of the half that is left. It makes no more
// calls than it must.
func TestWithinTheBound(t *testing.T) {
	for _, test := range []struct {
		setup
		within float64
	}{
		{setup{1000, 100 * time.Millisecond, 0}, 1.03},
		{setup{1000, time.Second, 0}, 1.08},
		{setup{300, 100 * time.Millisecond, 0.5}, 1.1},
		{setup{1000, time.Second, 0.5}, 1.1},
	} {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			m := measure(t, test.setup)
			t.Log(m)
			if ratio := m.sweep.ratio(m.others); ratio > test.within || ratio < 1 {
				t.Errorf("%.3f of the bound", ratio)
			}
			if m.others == 0 && m.throttled > 0 {
				t.Errorf("%d calls were throttled", m.throttled)
			}
			chunks, batches := (m.images+99)/100, (m.images+9)/10
			for action, most := range map[string]int{
				"CreateTags": chunks, "DescribeTags": chunks, "DescribeImages": chunks + 1, "DescribeImageReferences": batches + 1, "DeleteTags": 0,
				"DeregisterImage": m.images, "DeleteSnapshot": 0,
			} {
				if calls := m.sweep.count(action); calls > most {
					t.Errorf("%d calls of %s, want no more than %d", calls, action, most)
				}
			}
			if calls := m.plan.count("DescribeImageAttribute"); calls != m.images {
				t.Errorf("%d lookups of launch permissions", calls)
			}
		})
	}
}

// EC2 is asked image by image only about what a run has room for, however many images look stale.
func TestLookUpsOfManyCandidates(t *testing.T) {
	const candidates, limit, most = 5000, 100, 300
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(night))
		account := newAccount(t, candidates)
		m := &meter{began: time.Now(), plan: map[bucket]int{}, sweep: map[bucket]int{}, other: map[string]int{}}
		j := janitorOf(t, limit, m.wrap(account.Client()))
		record := j.Run(t.Context(), "20261123T020000Z-000000", false)
		calls := 0
		for _, action := range []string{"DescribeImageAttribute", "DescribeImageReferences"} {
			n := m.plan[bucket{action, true}] + m.plan[bucket{action, false}] + m.sweep[bucket{action, true}] + m.sweep[bucket{action, false}]
			t.Logf("%d calls of %s", n, action)
			calls += n
		}
		if err := janitor.Err(record); err != nil || record.Totals.Deregistered != limit || record.Totals.Deferred != candidates-limit || calls > most {
			t.Errorf("%d calls, want at most %d: %v, %+v", calls, most, err, record.Totals)
		}
	})
}
