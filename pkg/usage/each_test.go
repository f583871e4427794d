package usage_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// owning is the file of n images.
func owning(n int) map[string]any {
	var images []object
	for i := range n {
		images = append(images, object{"ImageId": imageID(i + 1), "OwnerId": owner, "State": "available"})
	}
	return map[string]any{"describe-images.json": object{"Images": images}}
}

// slow answers after a time that is drawn for each request.
func slow(next emulator.Doer, latency func() time.Duration) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(latency()):
			return next.Do(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
}

// paced are clients that keep a pace.
func paced(doer emulator.Doer, share float64) usage.Clients {
	config := aws.Config{
		HTTPClient: doer, Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	}
	pace.New(share).Apply(&config)
	return usage.Clients{AWS: config, EC2: wire.EC2(config, region), AutoScaling: wire.AutoScaling(config, region), SSM: wire.SSM(config, region)}
}

// With answers that take up to a second the lookups are as fast as EC2 allows: one call for each
// image, at 20 a second. The listings come before.
func TestPace(t *testing.T) {
	const n = 1000
	account := holding(t, owning(n))
	for latency, within := range map[time.Duration]float64{100 * time.Millisecond: 1.05, time.Second: 1.1} {
		t.Run(latency.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				doer := slow(account.Client(), func() time.Duration { return latency })
				collection := usage.List(t.Context(), paced(doer, 1), lookup(candidates(n), usage.Sources()...))
				start := time.Now()
				collection.LookUp(t.Context(), idsOf(candidates(n)), func(int, int) {})
				evidence := whole(collection)
				seconds, bound := time.Since(start).Seconds(), (n-100)/20.0
				t.Logf("%.1f s, %.3f of the bound", seconds, seconds/bound)
				if seconds/bound > within {
					t.Errorf("%.1f s are %.3f of the bound", seconds, seconds/bound)
				}
				proven(t, evidence, slices.Sorted(maps.Keys(evidence.Images))...)
			})
		})
	}
}

// Each launch template that takes a listing of its own is asked about beside others.
func TestPaceOfVersions(t *testing.T) {
	const n = 64
	var templates, versions []object
	for i := range n {
		id := fmt.Sprintf("lt-%017x", i)
		templates = append(templates, object{"LaunchTemplateId": id, "LaunchTemplateName": id, "LatestVersionNumber": 3, "DefaultVersionNumber": 3})
		for number := 1; number <= 3; number++ {
			versions = append(versions, object{
				"LaunchTemplateId": id, "LaunchTemplateName": id, "VersionNumber": number, "DefaultVersion": number == 3,
				"LaunchTemplateData": object{"ImageId": imageID(100*number + i)},
			})
		}
	}
	account := holding(t, map[string]any{
		"describe-launch-templates.json":         object{"LaunchTemplates": templates},
		"describe-launch-template-versions.json": object{"LaunchTemplateVersions": versions},
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		evidence := collect(t.Context(), slow(account.Client(), func() time.Duration { return time.Second }), nil, "launch-templates")
		if len(evidence.Images) != 3*n {
			t.Errorf("%d images are used, want %d", len(evidence.Images), 3*n)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// What is found does not depend on the order in which the answers come.
func TestAnswersInAnyOrder(t *testing.T) {
	files := map[string]any{"describe-launch-permissions.json": object{
		imageID(4): []object{{"UserId": "999999999999"}, {"UserId": "111122223333"}}, imageID(5): nil,
	}}
	for _, k := range kinds {
		maps.Copy(files, k.files(30))
	}
	maps.Copy(files, reporting([]object{report(1, 1, nil)}, []object{entry(1, 1, "111122223333", "ec2:Instance", 1)}))
	account := holding(t, files)
	asked := withReports(withSnapshots(60), usage.Sources()...) // 25 of them exist.
	asked.TemplateVersions = 2
	var first ami.Evidence
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 0))
			doer := slow(account.Client(), func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(random.IntN(1000)) * time.Millisecond
			})
			evidence := collectFor(t.Context(), doer, asked)
			if first.Images == nil {
				first = evidence
			}
			if diff := cmp.Diff(first, evidence); diff != "" {
				t.Errorf("evidence (-first +now):\n%s", diff)
			}
		})
	}
}

// silent breaks the connection for the requests of an action that match, after a while.
func silent(next emulator.Doer, action string, match func(emulator.Request) bool) (doer emulator.Doer, calls *atomic.Int64) {
	calls = &atomic.Int64{}
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		if strings.HasPrefix(r.Header.Get("Amz-Sdk-Request"), "attempt=1;") {
			calls.Add(1)
		}
		if !match(q) {
			return next.Do(r)
		}
		time.Sleep(time.Second)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}), calls
}

// After a few lookups without an answer the rest of the same kind is not waited for. All are gaps,
// and say why.
func TestCircuitBreaker(t *testing.T) {
	account := holding(t, nil)
	for action, source := range map[string]string{"DescribeImageReferences": "references", "DescribeImageAttribute": "launch permissions"} {
		t.Run(source, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				doer, calls := silent(account.Client(), action, func(emulator.Request) bool { return true })
				images := make([]ami.Image, 1000)
				for i := range images {
					images[i].ID = imageID(i%25 + 1)
				}
				start := time.Now()
				evidence := collect(t.Context(), doer, images)
				if took := time.Since(start); took > 2*time.Minute || calls.Load() > 40 {
					t.Errorf("took %s and %d lookups", took, calls.Load())
				}
				var notAsked int
				for n := 1; n <= 25; n++ {
					finding := evidence.Images[imageID(n)]
					for _, gap := range finding.Gaps {
						if gap.Source != source || !strings.HasSuffix(gap.Err, "connection reset by peer") {
							t.Errorf("%s: gap %+v", imageID(n), gap)
						}
						if strings.HasPrefix(gap.Err, "not asked, because AWS did not answer others: ") {
							notAsked++
						}
					}
					if finding.Use != ami.Unknown || len(finding.Gaps) == 0 {
						t.Errorf("%s: %+v", imageID(n), finding)
					}
				}
				if notAsked == 0 {
					t.Error("all were asked")
				}
			})
		})
	}
}

// As long as others of the kind are answered, even by a refusal, all are asked.
func TestASilenceThatIsBroken(t *testing.T) {
	for name, fault := range map[string]func(emulator.Doer) emulator.Doer{
		"by_an_answer": func(d emulator.Doer) emulator.Doer { return d },
		"by_a_refusal": func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "DescribeImageAttribute", nil, 403, "UnauthorizedOperation", "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, owning(300))
			synctest.Test(t, func(t *testing.T) {
				odd := func(r emulator.Request) bool {
					digit := r.Form.Get("ImageId")
					return strings.ContainsAny(digit[len(digit)-1:], "048c")
				}
				doer, calls := silent(fault(account.Client()), "DescribeImageAttribute", odd)
				evidence := collect(t.Context(), slow(doer, func() time.Duration { return 20 * time.Second }), candidates(300))
				for id, finding := range evidence.Images {
					for _, gap := range finding.Gaps {
						if strings.Contains(gap.Err, "not asked") {
							t.Errorf("%s: %+v", id, gap)
						}
					}
				}
				if calls.Load() != 300 {
					t.Errorf("%d lookups, want 300", calls.Load())
				}
			})
		})
	}
}

// Time that runs out while lookups wait for their turn leaves gaps that say so, in time.
func TestNoTimeForAll(t *testing.T) {
	const n = 5000
	account := holding(t, owning(n))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Second+50*time.Millisecond)
		defer stop()
		start := time.Now()
		done := 0
		doer := slow(account.Client(), func() time.Duration { return time.Second })
		evidence := collectWith(ctx, paced(doer, 0.5), lookup(candidates(n)), func(d, total int) {
			if done++; d != done || total != n {
				t.Errorf("told %d of %d, want %d of %d", d, total, done, n)
			}
		})
		if took := time.Since(start); took > 101*time.Second || done != n {
			t.Errorf("took %s for %d", took, done)
		}
		known := 0
		for n := 1; n <= len(evidence.Images); n++ {
			finding := evidence.Images[imageID(n)]
			if finding.Use == ami.Unused {
				known++
			}
			for _, gap := range finding.Gaps {
				if gap.Err != ami.NotReached {
					t.Errorf("%s: %+v", imageID(n), gap)
				}
			}
		}
		if known < 900 || known > 1100 || len(evidence.Images) != n {
			t.Errorf("%d of %d images are known", known, len(evidence.Images))
		}
	})
}

// blank answers every lookup of an image with nothing, without an account that would take memory
// itself.
var blank = emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	content := "<imageReferenceSet/>"
	action := r.PostForm.Get("Action")
	if action == "DescribeImageAttribute" {
		content = "<imageId>" + r.PostForm.Get("ImageId") + "</imageId><launchPermission/>"
	}
	body := "<" + action + "Response>" + content + "</" + action + "Response>"
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
})

// How much memory the lookups of 50,000 images need at most, and how much the evidence keeps.
func BenchmarkMemory50000(b *testing.B) {
	images := candidates(50_000)
	for b.Loop() {
		peak := uint64(0)
		before := heap()
		evidence := collectWith(b.Context(), clients(blank), lookup(images), func(done, _ int) {
			if done%5000 == 0 {
				peak = max(peak, heap())
			}
		})
		b.ReportMetric(float64(peak-before)/1e6, "MB-peak")
		b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
		runtime.KeepAlive(evidence)
	}
}

// heap is the number of bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
