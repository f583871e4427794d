package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
)

// counting is an account that grants everything, and counts it.
func counting(granted *int) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		*granted++
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})
}

func ec2Request(form string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/?"+form, nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	return r
}

func TestPublishedLimits(t *testing.T) {
	for _, test := range []struct {
		action     string
		unfiltered bool
		want       [2]float64
	}{
		{"DeregisterImage", false, [2]float64{100, 5}},
		{"DeregisterImage", true, [2]float64{100, 5}},
		{"DeleteSnapshot", false, [2]float64{100, 5}},
		{"CreateTags", false, [2]float64{100, 10}},
		{"DeleteTags", false, [2]float64{100, 10}},
		{"CopyImage", false, [2]float64{100, 1}},
		{"DescribeImages", false, [2]float64{100, 20}},
		{"DescribeImages", true, [2]float64{100, 20}},
		{"DescribeSnapshots", false, [2]float64{100, 20}},
		{"DescribeSnapshots", true, [2]float64{50, 10}},
		{"DescribeInstances", true, [2]float64{50, 10}},
		{"DescribeSpotFleetRequests", true, [2]float64{50, 3}},
		{"ListImagesInRecycleBin", true, [2]float64{100, 20}},
		{"RestoreImageFromRecycleBin", false, [2]float64{50, 5}},
		{"DisableImage", false, [2]float64{50, 5}},
		{"CreateImageUsageReport", false, [2]float64{50, 5}},
		{"EnableFastLaunch", false, [2]float64{5, 2}},
		{"CreateStoreImageTask", false, [2]float64{50, 0.1}},
		{"DescribeStoreImageTasks", false, [2]float64{50, 0.5}},
		{"EnableImageBlockPublicAccess", false, [2]float64{1, 0.1}},
	} {
		burst, perSecond := middleware.PublishedLimit(test.action, test.unfiltered)
		equal(t, fmt.Sprint(test.action, " ", test.unfiltered), [2]float64{burst, perSecond}, test.want)
	}
}

// In no window of time are there more calls than a full bucket and what is added to it meanwhile.
// Nor are there fewer than that: whoever always asks gets all of it.
func TestBucketsGrantWhatIsPublished(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]string{"DeregisterImage", "CreateTags", "DescribeSnapshots", "DescribeImages", "CopyImage", "DescribeSpotFleetRequests"}).Draw(t, "action")
		others := rapid.SampledFrom([]float64{0, 0.3, 0.5, 0.9}).Draw(t, "others")
		c := &clock{now}
		limits := middleware.NewLimits(c.now, others)
		granted := 0
		doer := limits.Wrap(counting(&granted))
		burst, perSecond := middleware.PublishedLimit(action, true)
		burst, perSecond = burst*(1-others), perSecond*(1-others)
		var at []time.Time
		refused := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c.at = c.at.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			for range rapid.IntRange(1, 150).Draw(t, "calls") {
				before := granted
				response, err := doer.Do(ec2Request("Action=" + action))
				if err != nil {
					t.Fatal(err)
				}
				if granted > before {
					at = append(at, c.at)
				} else if refused++; response.StatusCode != http.StatusServiceUnavailable {
					t.Fatalf("refused with %d", response.StatusCode)
				}
			}
		}
		const rounding = 1e-3
		for first := range at {
			for last := first; last < len(at); last += 7 {
				if n, most := float64(last-first+1), burst+perSecond*at[last].Sub(at[first]).Seconds(); n > most+rounding {
					t.Fatalf("%v calls of %s in %s, of at most %v", n, action, at[last].Sub(at[first]), most)
				}
			}
		}
		if fewest := min(burst, float64(granted+refused)); float64(granted)+1 <= fewest {
			t.Fatalf("%d granted, %d refused", granted, refused)
		}
	})
}

// Whoever keeps to the rate exactly is never refused, whatever floating-point numbers make of it.
func TestThePublishedRateIsGranted(t *testing.T) {
	for _, action := range []string{"DeregisterImage", "DescribeImages", "CreateTags", "DescribeSpotFleetRequests", "CopyImage", "DescribeSnapshots"} {
		for _, others := range []float64{0, 0.5, 0.7} {
			c := &clock{now}
			limits := middleware.NewLimits(c.now, others)
			granted := 0
			doer := limits.Wrap(counting(&granted))
			burst, perSecond := middleware.PublishedLimit(action, true)
			calls := int(burst*(1-others)) + 5000
			for i := range calls {
				if past := i - int(burst*(1-others)) + 1; past > 0 {
					c.at = now.Add(time.Duration(float64(past) / (perSecond * (1 - others)) * float64(time.Second)))
				}
				if _, err := doer.Do(ec2Request("Action=" + action)); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, action, granted, calls)
		}
	}
}

func TestLimitsAsTheSDKSeesThem(t *testing.T) {
	a := load(t)
	c := &clock{now}
	limits := middleware.NewLimits(c.now, 0.5)
	client := ec2Client(limits.Wrap(a.Client()))
	drain := func(in *ec2.DescribeSnapshotsInput) int {
		for n := 0; ; n++ {
			if _, err := client.DescribeSnapshots(t.Context(), in); err != nil {
				equal(t, "code", code(err), "RequestLimitExceeded")
				response, ok := errors.AsType[*smithyhttp.ResponseError](err)
				equal(t, "refused with 503", ok && response.HTTPStatusCode() == http.StatusServiceUnavailable, true)
				return n
			}
		}
	}
	unfiltered := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}
	equal(t, "neither filtered nor in pages", drain(unfiltered), 25)
	equal(t, "by id", drain(&ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-00000001"}}), 0)
	equal(t, "in pages", drain(&ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5)}), 50)
	equal(t, "filtered", drain(&ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("status"), Values: []string{"error"}}}}), 0)
	equal(t, "what the account saw", len(a.Calls()), 75)

	// Other regions, actions and services have buckets of their own, or none.
	there := config(limits.Wrap(a.Client()))
	there.Region = "eu-west-1"
	if _, err := ec2.NewFromConfig(there).DescribeSnapshots(t.Context(), unfiltered); err != nil {
		t.Error(err)
	}
	if _, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{}); err != nil {
		t.Error(err)
	}
	for range 200 {
		if _, err := s3Client(limits.Wrap(a.Client())).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)}); err != nil {
			t.Fatal(err)
		}
	}
	c.at = c.at.Add(time.Second)
	equal(t, "a second later, of 10 half", drain(unfiltered), 5)
	c.at = c.at.Add(-time.Hour)
	equal(t, "after a clock that was set back", drain(unfiltered), 0)
	c.at = c.at.Add(2 * time.Hour)
	equal(t, "much later", drain(unfiltered), 25)
}

// Each account of an organization has buckets of its own.
func TestLimitsAreOfAnAccount(t *testing.T) {
	granted := 0
	limits := middleware.NewLimits(func() time.Time { return now }, 0)
	limits.AccountOf = func(q emulator.Request) string { return q.Form.Get("Account") }
	doer := limits.Wrap(counting(&granted))
	for _, account := range []string{"111122223333", "123456789012", "111122223333"} {
		// Of this action, EC2 grants one call in ten seconds.
		if _, err := doer.Do(ec2Request("Action=EnableImageBlockPublicAccess&Account=" + account)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "granted", granted, 2)
}
