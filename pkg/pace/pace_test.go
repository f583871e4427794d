package pace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	imageID    = "ami-0abcdef1234567890"
	snapshotID = "snap-0abcdef1234567890"
	inFlight   = 32
)

// tokens are a token bucket as EC2 publishes it. It counts requests as they arrive.
type tokens struct {
	burst, refill, left float64
	last                time.Time
}

func (b *tokens) take(now time.Time) bool {
	b.fill(now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (b *tokens) fill(now time.Time) {
	b.left, b.last = min(b.burst, b.left+now.Sub(b.last).Seconds()*b.refill), now
}

// service answers as EC2 does, from a bucket for each action and region.
type service struct {
	latency time.Duration // From the request to its answer, on average.
	fault   func(*http.Request) (code string)

	mu        sync.Mutex
	random    *rand.Rand
	sizes     map[string][2]float64
	buckets   map[string]*tokens
	arrived   map[string][]time.Time
	throttled int
}

func newService(latency time.Duration) *service {
	return &service{
		latency: latency, random: rand.New(rand.NewPCG(1, 2)), buckets: map[string]*tokens{}, arrived: map[string][]time.Time{},
		sizes: map[string][2]float64{"DeregisterImage": {100, 5}, "DescribeImageAttribute": {100, 20}},
	}
}

func (s *service) bucket(region, action string) *tokens {
	key := region + "/" + action
	if s.buckets[key] == nil {
		size, ok := s.sizes[action]
		if !ok {
			size = [2]float64{1e9, 1e9}
		}
		s.buckets[key] = &tokens{size[0], size[1], size[0], time.Now()}
	}
	return s.buckets[key]
}

// Do answers a request. It takes anything from nothing to the whole of the latency until it
// arrives, and the rest until the answer does.
func (s *service) Do(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	action := r.PostForm.Get("Action")
	region := strings.Split(r.URL.Host, ".")[1]
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return response(r, 200, "{}"), nil
	}
	s.mu.Lock()
	there := time.Duration(s.random.Float64() * float64(s.latency))
	s.mu.Unlock()
	if err := sleep(r.Context(), there); err != nil {
		return nil, err
	}
	s.mu.Lock()
	granted := s.bucket(region, action).take(time.Now())
	s.arrived[region+"/"+action] = append(s.arrived[region+"/"+action], time.Now())
	if !granted {
		s.throttled++
	}
	s.mu.Unlock()
	if err := sleep(r.Context(), s.latency-there); err != nil {
		return nil, err
	}
	code := ""
	switch {
	case !granted:
		code = "RequestLimitExceeded"
	case s.fault != nil:
		code = s.fault(r)
	}
	if code != "" {
		return response(r, 503, "<Response><Errors><Error><Code>"+code+"</Code><Message>x</Message></Error></Errors></Response>"), nil
	}
	content := map[string]string{
		"DescribeImageAttribute": "<imageId>" + imageID + "</imageId><launchPermission/>", "DescribeInstances": "<reservationSet/>",
		"DescribeSnapshots": "<snapshotSet/>", "DescribeImages": "<imagesSet/>",
	}[action]
	return response(r, 200, "<"+action+"Response>"+content+"<return>true</return></"+action+"Response>"), nil
}

func sleep(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func response(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// config is a configuration whose clients keep a pace.
func config(doer aws.HTTPClient, p *pace.Pace) aws.Config {
	config := aws.Config{
		HTTPClient: doer, Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	}
	if p != nil {
		p.Apply(&config)
	}
	return config
}

// call is one call of an action.
type call func(context.Context, *ec2.Client) error

var calls = map[string]call{
	"DeregisterImage": func(ctx context.Context, client *ec2.Client) error {
		_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(imageID)})
		return err
	},
	"DescribeImageAttribute": func(ctx context.Context, client *ec2.Client) error {
		_, err := client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
			ImageId: aws.String(imageID), Attribute: types.ImageAttributeNameLaunchPermission,
		})
		return err
	},
}

// timeOf makes n calls, as many at once as are in flight, and returns how many seconds they took.
func timeOf(t *testing.T, n int, call call, clients ...*ec2.Client) float64 {
	t.Helper()
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(inFlight)
	for i := range n {
		group.Go(func() error { return call(t.Context(), clients[i%len(clients)]) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	return time.Since(start).Seconds()
}

// Alone, a run that takes all is as fast as EC2 allows, and is never throttled, even if what left
// first arrives last. A run that takes a part is as fast as that.
func TestAlone(t *testing.T) {
	for _, test := range []struct {
		action        string
		burst, refill float64
		latency       time.Duration
		share, within float64
	}{
		{"DeregisterImage", 100, 5, 100 * time.Millisecond, 1, 1.05},
		{"DeregisterImage", 100, 5, time.Second, 1, 1.1},
		{"DescribeImageAttribute", 100, 20, 100 * time.Millisecond, 1, 1.05},
		{"DescribeImageAttribute", 100, 20, time.Second, 1, 1.1},
		{"DeregisterImage", 100, 5, time.Second, 0.5, 1.1},
		{"DescribeImageAttribute", 100, 20, time.Second, 0.5, 1.1},
		{"DescribeImageAttribute", 100, 20, 0, 1, 1.05},
	} {
		t.Run(fmt.Sprint(test.action, test.latency, test.share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				service := newService(test.latency)
				seconds := timeOf(t, n, calls[test.action], wire.EC2(config(service, pace.New(test.share)), "eu-west-1"))
				bound := (n - test.share*test.burst) / (test.share * test.refill)
				t.Logf("%.1f s, %.3f of the bound", seconds, seconds/bound)
				if service.throttled > 0 || seconds/bound > test.within || seconds/bound < 1 {
					t.Errorf("%d calls were throttled, and %.1f s are %.3f of the bound of %.1f s", service.throttled, seconds, seconds/bound, bound)
				}
			})
		})
	}
}

// compete takes a part of what comes back to a bucket, every 100 ms, until the context is done.
func (s *service) compete(ctx context.Context, action string, part float64) {
	for sleep(ctx, 100*time.Millisecond) == nil {
		s.mu.Lock()
		bucket := s.bucket("eu-west-1", action)
		bucket.fill(time.Now())
		bucket.left = max(bucket.left-part*bucket.refill/10, 0)
		s.mu.Unlock()
	}
}

// With somebody who takes half of what comes back, a run gets nearly all of the other half, and few
// calls are throttled.
func TestWithACompetitor(t *testing.T) {
	for action, refill := range map[string]float64{"DeregisterImage": 5, "DescribeImageAttribute": 20} {
		for _, latency := range []time.Duration{100 * time.Millisecond, time.Second} {
			// By the competitor, before the run begins.
			for _, emptied := range []bool{false, true} {
				t.Run(fmt.Sprint(action, latency, emptied), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						const n = 1000
						ctx, stop := context.WithCancel(t.Context())
						defer stop()
						service := newService(latency)
						burst := 100.0
						if emptied {
							burst, service.bucket("eu-west-1", action).left = 0, 0
						}
						go service.compete(ctx, action, 0.5)
						seconds := timeOf(t, n, calls[action], wire.EC2(config(service, pace.New(1)), "eu-west-1"))
						bound := (n - burst) / (refill / 2)
						t.Logf("%.1f s, %.3f of the bound, %d throttled", seconds, seconds/bound, service.throttled)
						if seconds/bound > 1.1 || service.throttled > n/10 {
							t.Errorf("%d calls were throttled, and %.1f s are %.3f of the bound of %.1f s", service.throttled, seconds, seconds/bound, bound)
						}
					})
				})
			}
		}
	}
}

// Once the competitor is gone, a run comes back to its full pace.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 200*time.Second)
		defer stop()
		service := newService(100 * time.Millisecond)
		go service.compete(ctx, "DeregisterImage", 0.8)
		client := wire.EC2(config(service, pace.New(1)), "eu-west-1")
		for ctx.Err() == nil {
			timeOf(t, inFlight, calls["DeregisterImage"], client)
		}
		if service.throttled == 0 {
			t.Error("nothing was throttled")
		}
		timeOf(t, 600, calls["DeregisterImage"], client) // At the full pace that takes two minutes.
		service.throttled = 0
		if seconds := timeOf(t, 500, calls["DeregisterImage"], client); seconds > 102 || service.throttled > 0 {
			t.Errorf("%.1f s for 500 calls at 5 a second, and %d were throttled", seconds, service.throttled)
		}
	})
}

// The second time a call is tried takes from the bucket as the first one does.
func TestRetriesPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := newService(time.Millisecond)
		service.fault = func(r *http.Request) string {
			if strings.HasPrefix(r.Header.Get("Amz-Sdk-Request"), "attempt=1;") {
				return "InternalError"
			}
			return ""
		}
		seconds := timeOf(t, 300, calls["DeregisterImage"], wire.EC2(config(service, pace.New(1)), "eu-west-1"))
		attempts := len(service.arrived["eu-west-1/DeregisterImage"])
		if bound := float64(attempts-100) / 5; attempts != 600 || seconds < bound || seconds > bound+5 || service.throttled > 0 {
			t.Errorf("%d attempts in %.1f s, of which %d were throttled", attempts, seconds, service.throttled)
		}
	})
}

// Regions have buckets of their own; the clients of one region share theirs; a configuration with
// another Pace does not.
func TestWhoShares(t *testing.T) {
	const n = 395 // 95 at once, and 300 at 5 a second.
	for name, test := range map[string]struct {
		clients func(*service) []*ec2.Client
		seconds float64
	}{
		"one_client": {func(s *service) []*ec2.Client {
			return []*ec2.Client{wire.EC2(config(s, pace.New(1)), "eu-west-1")}
		}, 60},
		"two_clients_of_one_configuration": {func(s *service) []*ec2.Client {
			config := config(s, pace.New(1))
			return []*ec2.Client{wire.EC2(config, "eu-west-1"), wire.EC2(config, "eu-west-1")}
		}, 60},
		"two_configurations_of_one_pace": {func(s *service) []*ec2.Client {
			pace := pace.New(1)
			return []*ec2.Client{wire.EC2(config(s, pace), "eu-west-1"), ec2.NewFromConfig(config(s, pace))}
		}, 60},
		"two_regions": {func(s *service) []*ec2.Client {
			config := config(s, pace.New(1))
			return []*ec2.Client{wire.EC2(config, "eu-west-1"), wire.EC2(config, "us-east-1")}
		}, 20.6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := newService(0)
				seconds := timeOf(t, n, calls["DeregisterImage"], test.clients(service)...)
				if math.Abs(seconds-test.seconds) > 0.3 || service.throttled > 0 {
					t.Errorf("%.1f s, want %.1f; %d calls were throttled", seconds, test.seconds, service.throttled)
				}
			})
		})
	}
}

// In no window of time do more requests leave than the share of the burst and of what comes back in
// that time.
func TestNoWindowHasTooMany(t *testing.T) {
	sizes := map[string][2]float64{"DeregisterImage": {100, 5}, "DescribeImageAttribute": {100, 20}}
	rapid.Check(t, func(r *rapid.T) {
		action := rapid.SampledFrom([]string{"DeregisterImage", "DescribeImageAttribute"}).Draw(r, "action")
		share := rapid.Float64Range(0.01, 1).Draw(r, "share")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 30_000), 1, 2).Draw(r, "pauses in ms")
		counts := rapid.SliceOfN(rapid.IntRange(0, 150), len(pauses), len(pauses)).Draw(r, "calls")
		var left []time.Time
		synctest.Test(t, func(t *testing.T) {
			service := newService(0)
			service.sizes = nil
			client := wire.EC2(config(service, pace.New(share)), "eu-west-1")
			for i, pause := range pauses {
				time.Sleep(time.Duration(pause) * time.Millisecond)
				timeOf(t, counts[i], calls[action], client)
			}
			left = service.arrived["eu-west-1/"+action]
		})
		size := sizes[action]
		for i := range left {
			for j := i; j < len(left); j++ {
				n, seconds := float64(j-i+1), left[j].Sub(left[i]).Seconds()
				if n > max(share*size[0], 1)+share*size[1]*seconds+1e-6 {
					r.Fatalf("%v requests in %v s, with a share of %v", n, seconds, share)
				}
			}
		}
	})
}

// What asks for everything at once takes from a smaller bucket than what asks by filter or page.
// Only for some actions is there such a bucket; some have a size of their own.
func TestBuckets(t *testing.T) {
	filters := []types.Filter{{Name: aws.String("tag-key"), Values: []string{"team"}}}
	page := aws.Int32(1000)
	for name, test := range map[string]struct {
		call          call
		burst, refill float64
	}{
		"all_instances": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
			return err
		}, 50, 10},
		"instances_by_page": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{MaxResults: page})
			return err
		}, 100, 20},
		"instances_by_filter": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: filters})
			return err
		}, 100, 20},
		"snapshots_by_id": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshotID}})
			return err
		}, 50, 10},
		"snapshots_by_page": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{MaxResults: page})
			return err
		}, 100, 20},
		"all_images": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{})
			return err
		}, 100, 20},
		"create_tags": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{
				Resources: []string{imageID}, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("web")}},
			})
			return err
		}, 100, 10},
		"disable_image": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DisableImage(ctx, &ec2.DisableImageInput{ImageId: aws.String(imageID)})
			return err
		}, 50, 5},
		"disable_fast_launch": {func(ctx context.Context, c *ec2.Client) error {
			_, err := c.DisableFastLaunch(ctx, &ec2.DisableFastLaunchInput{ImageId: aws.String(imageID)})
			return err
		}, 5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 300
				service := newService(0)
				client := ec2.NewFromConfig(config(service, pace.New(1)), func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
				// A second's refill is kept out of the burst.
				want := (n - (test.burst - test.refill)) / test.refill
				if seconds := timeOf(t, n, test.call, client); math.Abs(seconds-want) > 0.01 {
					t.Errorf("%.2f s for %d calls, want %.2f", seconds, n, want)
				}
			})
		})
	}
}

// store answers for Systems Manager, after 15 ms, from the one bucket that it has for the values of
// parameters.
type store struct {
	mu        sync.Mutex
	bucket    tokens
	arrived   []time.Time
	throttled int
}

func (s *store) Do(r *http.Request) (*http.Response, error) {
	if err := sleep(r.Context(), 15*time.Millisecond); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived = append(s.arrived, time.Now())
	if !s.bucket.take(time.Now()) {
		s.throttled++
		return response(r, 400, `{"__type": "ThrottlingException", "message": "Rate exceeded"}`), nil
	}
	return response(r, 200, `{"Parameters": [], "Parameter": {}}`), nil
}

// valuesOf asks for the values of parameters, in each of the ways that there are.
func valuesOf(ctx context.Context, client *ssm.Client, n int) (err error) {
	switch n % 3 {
	case 0:
		_, err = client.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{"a"}})
	case 1:
		_, err = client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("a")})
	default:
		_, err = client.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: aws.String("/")})
	}
	return err
}

// The values of parameters come at a share of the 40 calls a second that Parameter Store allows for
// all ways to ask for them together. An application that takes half of them beside a run that takes
// the other half finds none missing.
func TestParameterStore(t *testing.T) {
	for _, share := range []float64{0.25, 0.5, 1} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &store{bucket: tokens{40, 40, 40, time.Now()}}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				refused := 0
				if share <= 0.5 {
					go func() {
						for sleep(ctx, 50*time.Millisecond) == nil {
							service.mu.Lock()
							if !service.bucket.take(time.Now()) {
								refused++
							}
							service.mu.Unlock()
						}
					}()
				}
				config := config(service, pace.New(share))
				client := ssm.NewFromConfig(config)
				const n = 300
				var calls errgroup.Group
				calls.SetLimit(4)
				for i := range n {
					calls.Go(func() error { return valuesOf(t.Context(), client, i) })
				}
				if err := calls.Wait(); err != nil {
					t.Fatal(err)
				}
				stop()
				synctest.Wait()
				if refused > 0 || service.throttled > 0 {
					t.Errorf("the application was refused %d times, the run was throttled %d times", refused, service.throttled)
				}
				for i := range service.arrived {
					most := int(40*share) + 1
					if i+most < len(service.arrived) && service.arrived[i+most].Sub(service.arrived[i]) < time.Second {
						t.Fatalf("more than %d calls within a second", most)
					}
				}
				if seconds := service.arrived[n-1].Sub(service.arrived[0]).Seconds(); seconds > n/(40*share)*1.05 {
					t.Errorf("%d calls took %.1f s", n, seconds)
				}
			})
		})
	}
}

// cloudFormation answers for templates, and for stacks.
type cloudFormation struct{}

func (cloudFormation) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	action := "DescribeStacks"
	if strings.Contains(string(body), "Action=GetTemplate") {
		action = "GetTemplate"
	}
	return response(r, 200, "<"+action+"Response><"+action+"Result/></"+action+"Response>"), nil
}

// Templates come at two a second, unless the share is another one; stacks are listed as fast as
// they come.
func TestTemplatesOfStacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := cloudformation.NewFromConfig(config(cloudFormation{}, pace.New(0.5)))
		start := time.Now()
		for range 21 {
			if _, err := client.GetTemplate(t.Context(), &cloudformation.GetTemplateInput{StackName: aws.String("web")}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("it took %s", took)
		}
		start = time.Now()
		for range 21 {
			if _, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{}); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %s for stacks", waited)
		}
	})
}

// What publishes no rates is left alone.
func TestOtherServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := ssm.NewFromConfig(config(newService(0), pace.New(0.01)))
		start := time.Now()
		for range 300 {
			if _, err := client.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{}); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %s", waited)
		}
	})
}

// A request that could not leave in time fails without waiting for the end, is not tried again, and
// takes no token. So does one that is interrupted.
func TestNoTimeToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := newService(0)
		// One at once, and one every 20 seconds.
		client := wire.EC2(config(service, pace.New(0.01)), "eu-west-1")
		call := calls["DeregisterImage"]
		timeOf(t, 1, call, client)
		start := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 19*time.Second)
		defer stop()
		err := call(ctx, client)
		if !errors.Is(err, context.DeadlineExceeded) || wire.Explain(err) != "time ran out" || time.Since(start) > 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		interrupted, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		if err := call(interrupted, client); wire.Explain(err) != "interrupted" || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		timeOf(t, 1, call, client)
		if waited := time.Since(start).Seconds(); math.Abs(waited-20) > 0.01 {
			t.Errorf("the next one left after %.2f s, want 20", waited)
		}
		if arrived := len(service.arrived["eu-west-1/DeregisterImage"]); arrived != 2 {
			t.Errorf("%d requests, want 2", arrived)
		}
	})
}

// A pace that is added to a configuration leaves the one it was copied from as it was.
func TestApply(t *testing.T) {
	given := config(nil, nil)
	given.APIOptions = make([]func(*middleware.Stack) error, 0, 8)
	one, two := given, given
	pace.New(1).Apply(&one)
	pace.New(0.01).Apply(&two)
	synctest.Test(t, func(t *testing.T) {
		one.HTTPClient = newService(0)
		if seconds := timeOf(t, 95, calls["DeregisterImage"], ec2.NewFromConfig(one)); seconds > 0 {
			t.Errorf("%.1f s", seconds)
		}
	})
	if len(given.APIOptions) > 0 {
		t.Error("the configuration was changed")
	}
}
