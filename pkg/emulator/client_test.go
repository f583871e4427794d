package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
)

func deregister(ctx context.Context, client *ec2.Client, id string) error {
	_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
	return err
}

func left(t *testing.T, a *emulator.Account) int {
	t.Helper()
	out, err := ec2Client(a.Client()).DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Images)
}

func TestClientHonoursTheContext(t *testing.T) {
	a := images(t)
	all := left(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := deregister(ctx, ec2Client(a.Client()), "ami-00000003"); !errors.Is(err, context.Canceled) {
		t.Errorf("before: %v", err)
	}
	equal(t, "images after a call that was never made", left(t, a), all)

	// The context ends while the account works: the answer is lost, the effect is not.
	clock := func() time.Time { return now }
	ctx, cancel = context.WithCancel(t.Context())
	b, err := emulator.Load(directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-00000001", "OwnerId": "999988887777", "DeprecationTime": "2026-01-01T00:00:00Z"}]}`),
		emulator.Options{Now: func() time.Time { cancel(); return clock() }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ec2Client(b.Client()).DescribeImages(ctx, &ec2.DescribeImagesInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after: %v", err)
	}
	equal(t, "calls", len(b.Calls()), 1)
}

func TestClientWorksInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := images(t)
		failing := disturb.Fail(a.Client(), "DescribeImages", func(n int, _ emulator.Request) bool { return n < 3 },
			http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
		c := config(failing)
		c.Retryer = func() aws.Retryer { return retry.NewStandard() }
		start := time.Now()
		if _, err := ec2.NewFromConfig(c).DescribeImages(t.Context(), &ec2.DescribeImagesInput{}); err != nil {
			t.Fatal(err)
		}
		if time.Since(start) == 0 {
			t.Error("the retries did not wait")
		}
	})
}

func TestProtocol(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/%/aws4_request, SignedHeaders=host, Signature=0"
	tests := []struct {
		name, method, target, body string
		// Empty: no signature. An action may follow, for X-Amz-Target.
		service string
		status  int
		want    string
	}{
		{"POST", "POST", "/", "Action=DescribeImages&Version=2016-11-15", "ec2", 200, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`},
		{"GET", "GET", "/?Action=DescribeRegions&Version=2016-11-15", "", "ec2", 200, "<regionName>us-east-1</regionName>"},
		{"signed in the URL", "GET", "/?Action=DescribeRegions&X-Amz-Credential=K/20261123/us-east-1/ec2/aws4_request", "", "", 200, "<regionName>us-east-1</regionName>"},
		{"unsigned", "POST", "/", "Action=DescribeImages&Version=2016-11-15", "", 403, "<Response><Errors><Error><Code>MissingAuthenticationToken<"},
		{"unsigned, to STS", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", "", 403, "<Error><Code>MissingAuthenticationToken<"},
		{"an unknown action", "POST", "/", "Action=DescribeVpcs", "ec2", 400, "<Response><Errors><Error><Code>InvalidAction<"},
		{"an unknown action of SNS", "POST", "/", "Action=Subscribe", "sns", 400, "<ErrorResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"><Error><Code>InvalidAction<"},
		{"an unknown action of SSM", "POST", "/", "{}", "ssm", 400, `{"__type":"InvalidAction","message":`},
		{"an action of SSM", "POST", "/", "{}", "ssm:DescribeParameters", 200, `{"Parameters":[]}`},
		{"an unknown parameter of SSM", "POST", "/", `{"Colour": {"Red": 1}}`, "ssm:DescribeParameters", 400, `{"__type":"UnknownParameter",`},
		{"a body that is no JSON", "POST", "/", `{"Names"`, "ssm:GetParameters", 400, `{"__type":"SerializationException",`},
		{"unsigned, to SSM", "POST", "/", "{}", ":DescribeParameters", 403, `{"__type":"MissingAuthenticationToken",`},
		{"an action of Auto Scaling", "POST", "/", "Action=DescribeAutoScalingGroups", "autoscaling", 200, "<DescribeAutoScalingGroupsResult><AutoScalingGroups></AutoScalingGroups>"},
		{"an unknown service", "POST", "/", "Action=DescribeImages", "monitoring", 400, "<Code>InvalidAction<"},
		{"an action of another service", "POST", "/", "Action=DescribeImages", "sns", 400, "<Code>InvalidAction<"},
		{"no action", "POST", "/", "", "ec2", 400, "<Code>InvalidAction<"},
		{"an unknown parameter", "POST", "/", "Action=DescribeImages&Colour=red", "ec2", 400, "<Code>UnknownParameter<"},
		{"a body that is no form", "POST", "/", "%", "ec2", 400, "<Code>MalformedQueryString<"},
		{"a body that is too large", "POST", "/", "Action=DescribeImages&Owner.1=" + strings.Repeat("x", 5<<20), "ec2", 413, "<Code>RequestEntityTooLarge<"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := load(t, directory())
			r := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			service, action, isJSON := strings.Cut(test.service, ":")
			if isJSON {
				r.Header.Set("X-Amz-Target", "AmazonSSM."+action)
			}
			if service != "" {
				r.Header.Set("Authorization", strings.Replace(scope, "%", service, 1))
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			equal(t, "status", w.Code, test.status)
			if !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %s\nwant in it %s", w.Body, test.want)
			}
		})
	}
}

func TestInspectRestoresTheBody(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action=DeleteSnapshot&SnapshotId=snap-1"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20261123/eu-west-1/ec2/aws4_request,SignedHeaders=host,Signature=0")
	for range 2 {
		got, err := emulator.Inspect(r)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "request", got, emulator.Request{
			Service: "ec2", Region: "eu-west-1", Action: "DeleteSnapshot",
			Form: url.Values{"Action": {"DeleteSnapshot"}, "SnapshotId": {"snap-1"}},
		})
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != "Action=DeleteSnapshot&SnapshotId=snap-1" {
		t.Errorf("body %q, %v", body, err)
	}
}

// Many clients at once, over real sockets: for the race detector, and for what a recorder would
// forgive.
func TestConcurrentClients(t *testing.T) {
	a := load(t, sample.Files(now, "us-east-1"))
	server := httptest.NewServer(a)
	defer server.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := config(server.Client())
			// A quick answer meets net/http while it looks whether the request's body has ended. If
			// smithy-go has closed that by then, net/http takes its io.EOF for an error, and closes
			// the connection. The SDK's own retryer asks again, as for everybody.
			c.Retryer = func() aws.Retryer { return retry.NewStandard() }
			c.BaseEndpoint = aws.String(server.URL)
			client := ec2.NewFromConfig(c)
			pages := ec2.NewDescribeImagesPaginator(client, &ec2.DescribeImagesInput{Owners: []string{"self"}, MaxResults: aws.Int32(20)})
			for pages.HasMorePages() {
				out, err := pages.NextPage(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, image := range out.Images {
					_, _ = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: image.ImageId, DeleteAssociatedSnapshots: aws.Bool(true)})
				}
			}
			_ = a.Calls()
			if err := a.Save(t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
