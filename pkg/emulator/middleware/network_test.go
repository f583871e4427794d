package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
)

func TestAttempts(t *testing.T) {
	var attempts middleware.Attempts
	next := func(form string) int {
		q, err := emulator.Inspect(ec2Request(form))
		if err != nil {
			t.Fatal(err)
		}
		return attempts.Next(q)
	}
	equal(t, "the first", next("Action=DeleteSnapshot&SnapshotId=snap-1&ClientToken=a"), 1)
	equal(t, "the second, by another token", next("Action=DeleteSnapshot&SnapshotId=snap-1&ClientToken=b"), 2)
	equal(t, "of another snapshot", next("Action=DeleteSnapshot&SnapshotId=snap-2"), 1)
	equal(t, "another action", next("Action=DescribeSnapshots&SnapshotId=snap-1"), 1)

	r := ec2Request("Action=DeleteSnapshot&SnapshotId=snap-1")
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", 1))
	q, err := emulator.Inspect(r)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "by a session of a role", attempts.Next(q), 1)
}

// Eight workers deregister and tag, each on its own; the order in which the account sees their
// calls is the seed's.
func TestOrderIsTheSeeds(t *testing.T) {
	history := func(t *testing.T, seed uint64) string {
		var b strings.Builder
		synctest.Test(t, func(t *testing.T) {
			account := load(t)
			start := time.Now()
			var mu sync.Mutex
			seen := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				q, err := emulator.Inspect(r)
				if err != nil {
					return nil, err
				}
				mu.Lock()
				fmt.Fprintln(&b, time.Since(start), q.Action, q.Subject())
				mu.Unlock()
				return account.Client().Do(r)
			})
			network := &middleware.Network{Seed: seed, Latency: 100 * time.Millisecond, Spread: 0.1}
			client := ec2Client(network.Wrap(seen))
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range 5 {
						_ = deregister(t.Context(), client, fmt.Sprintf("ami-%07x%x", w, i))
						_ = deregister(t.Context(), client, fmt.Sprintf("ami-%07x%x", w, i))
					}
				})
			}
			wg.Wait()
		})
		return b.String()
	}
	first := history(t, 1)
	if n := strings.Count(first, "DeregisterImage"); n != 80 {
		t.Fatalf("%d calls", n)
	}
	instants := map[string]bool{}
	for line := range strings.Lines(first) {
		at, _, _ := strings.Cut(line, " ")
		if instants[at] {
			t.Errorf("two calls after %s", at)
		}
		instants[at] = true
	}
	for range 10 {
		if again := history(t, 1); again != first {
			t.Fatalf("the same seed:\n%s\n%s", first, again)
		}
	}
	if history(t, 2) == first {
		t.Error("another seed makes no difference")
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := load(t)
		network := &middleware.Network{Seed: 7, Latency: time.Second, Spread: 0.1}
		client := ec2Client(network.Wrap(a.Client()))
		var all []time.Duration
		for range 50 {
			start := time.Now()
			if _, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{}); err != nil {
				t.Fatal(err)
			}
			all = append(all, time.Since(start))
		}
		slices.Sort(all)
		if all[0] < 900*time.Millisecond || all[49] > 1100*time.Millisecond || len(slices.Compact(all)) != 50 || all[25] < 950*time.Millisecond || all[25] > 1050*time.Millisecond {
			t.Errorf("latencies %v", all)
		}
		before := left(t, a)
		for wait, gone := range map[time.Duration]int{300 * time.Millisecond: 0, 700 * time.Millisecond: 1} {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			err := deregister(ctx, client, "ami-00000001")
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: %v", wait, err)
			}
			equal(t, fmt.Sprintf("effects of a call that is given up after %s", wait), before-left(t, a), gone)
			before = left(t, a)
		}
		start := time.Now()
		_ = left(t, a)
		if time.Since(start) != 0 {
			t.Error("a client without a network waits")
		}
		none := &middleware.Network{}
		if _, err := ec2Client(none.Wrap(a.Client())).DescribeImages(t.Context(), &ec2.DescribeImagesInput{}); err != nil || time.Since(start) != 0 {
			t.Errorf("no latency: %s, %v", time.Since(start), err)
		}
	})
}

// Without any spread, too, things arrive one after the other.
func TestArrivalsAreUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := load(t)
		network := &middleware.Network{Latency: 100 * time.Millisecond}
		var mu sync.Mutex
		at := map[time.Time]bool{}
		client := ec2Client(network.Wrap(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			at[time.Now().Round(0)] = true
			mu.Unlock()
			return a.Client().Do(r)
		})))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { _ = deregister(t.Context(), client, fmt.Sprintf("ami-%08x", i)) })
		}
		wg.Wait()
		equal(t, "instants", len(at), 20)
	})
}

func TestLog(t *testing.T) {
	var b bytes.Buffer
	a := load(t)
	c := &clock{now}
	lost := func(n int, _ emulator.Request) bool { return n == 2 }
	doer := middleware.Log(disturb.LoseAnswer(disturb.Fail(a.Client(), "PutObject", nil, 409, "ConditionalRequestConflict", "x"), "DescribeRegions", lost), &b, c.now, nil)
	there := config(doer)
	there.Region = "eu-west-1"
	_, _ = ec2Client(doer).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	_, _ = ec2Client(doer).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	c.at = now.Add(1500 * time.Microsecond)
	equal(t, "code", code(deregister(t.Context(), ec2.NewFromConfig(there), "ami-0123456789example")), "InvalidAMIID.Malformed")
	_, err := ssm.NewFromConfig(config(doer)).GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"a b"}})
	equal(t, "code", code(err), "ValidationException")
	_, err = rbin.NewFromConfig(config(doer)).GetRule(t.Context(), &rbin.GetRuleInput{Identifier: aws.String("0123456789a")})
	equal(t, "code", code(err), "ResourceNotFoundException")
	_, err = s3Client(doer).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x")})
	equal(t, "code", code(err), "ConditionalRequestConflict")
	_, _ = s3Client(doer).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if _, err := doer.Do(httptest.NewRequest(http.MethodGet, "/_ami-janitor/messages", nil)); err != nil {
		t.Error(err)
	}
	want := `{"t":"2026-11-23T02:00:00Z","svc":"ec2","action":"DescribeRegions","region":"us-east-1","status":200,"code":""}
{"t":"2026-11-23T02:00:00Z","svc":"ec2","action":"DescribeRegions","region":"us-east-1","status":0,"code":""}
{"t":"2026-11-23T02:00:00.0015Z","svc":"ec2","action":"DeregisterImage","region":"eu-west-1","status":400,"code":"InvalidAMIID.Malformed"}
{"t":"2026-11-23T02:00:00.0015Z","svc":"ssm","action":"GetParameters","region":"us-east-1","status":400,"code":"ValidationException"}
{"t":"2026-11-23T02:00:00.0015Z","svc":"rbin","action":"GetRule","region":"us-east-1","status":404,"code":"ResourceNotFoundException"}
{"t":"2026-11-23T02:00:00.0015Z","svc":"s3","action":"PutObject","region":"us-east-1","status":409,"code":"ConditionalRequestConflict"}
{"t":"2026-11-23T02:00:00.0015Z","svc":"s3","action":"HeadObject","region":"us-east-1","status":404,"code":""}
`
	equal(t, "log", b.String(), want)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestALogThatCannotBeWritten(t *testing.T) {
	a := load(t)
	if _, err := ec2Client(middleware.Log(a.Client(), fullDisk{}, time.Now, nil)).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}); err == nil {
		t.Error("an answer that the log does not have")
	}
}

// Served, a Doer answers as the account does, and breaks the connection where an answer is lost.
func TestHandler(t *testing.T) {
	a := load(t)
	lost := disturb.LoseAnswer(a.Client(), "DeregisterImage", nil)
	server := httptest.NewServer(middleware.Handler(lost))
	defer server.Close()
	c := config(server.Client())
	c.BaseEndpoint = aws.String(server.URL)
	before := left(t, a)
	if err := deregister(t.Context(), ec2.NewFromConfig(c), "ami-00000001"); err == nil || code(err) != "" {
		t.Errorf("a lost answer: %v", err)
	}
	equal(t, "images gone", before-left(t, a), 1)
	out, err := ec2.NewFromConfig(c).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "images", len(out.Images), before-1)
	response, err := server.Client().Get(server.URL + "/_ami-janitor/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var messages []emulator.Message
	if err := json.NewDecoder(response.Body).Decode(&messages); err != nil || len(messages) != 0 {
		t.Errorf("%v, %v", messages, err)
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("content")}); err != nil {
		t.Fatal(err)
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil || aws.ToInt64(head.ContentLength) != 7 {
		t.Errorf("%+v, %v", head, err)
	}
}
