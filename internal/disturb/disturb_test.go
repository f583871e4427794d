package disturb_test

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// load is an account with three images.
func load(t *testing.T) *emulator.Account {
	t.Helper()
	var images []testaccount.Object
	for n := range 3 {
		images = append(images, testaccount.Object{"ImageId": testaccount.ImageID(n), "State": "available"})
	}
	return testaccount.Files{"describe-images.json": testaccount.Object{"Images": images}}.Load(t, emulator.Options{})
}

// config is that of a client that asks once.
func config(client emulator.Doer) aws.Config {
	c := testaccount.Config(client)
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return c
}

func deregister(ctx context.Context, client emulator.Doer, n int) error {
	_, err := ec2.NewFromConfig(config(client)).DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(testaccount.ImageID(n))})
	return err
}

func left(t *testing.T, a *emulator.Account) int {
	t.Helper()
	out, err := ec2.NewFromConfig(config(a.Client())).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Images)
}

// code is the error code AWS answered with: empty for a success, and "?" for any other error.
func code(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return "?"
}

func TestFaults(t *testing.T) {
	second := func(n int, _ emulator.Request) bool { return n == 2 }
	tests := []struct {
		name  string
		fault func(emulator.Doer) emulator.Doer
		want  [3]string // The code of each deregistration, "?" for an error that AWS has not sent.
		gone  int
	}{
		{"none", func(d emulator.Doer) emulator.Doer { return d }, [3]string{}, 3},
		{
			"deny", func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "DeregisterImage", "CreateTags") },
			[3]string{"UnauthorizedOperation", "UnauthorizedOperation", "UnauthorizedOperation"},
			0,
		},
		{"deny another", func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "CreateTags") }, [3]string{}, 3},
		{"fail", func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "DeregisterImage", second, 500, "InternalError", "Oops.")
		}, [3]string{"", "InternalError", ""}, 2},
		{"fail for one image", func(d emulator.Doer) emulator.Doer {
			return disturb.Fail(d, "DeregisterImage", func(_ int, r emulator.Request) bool { return r.Form.Get("ImageId") == testaccount.ImageID(2) }, 400, "X", "x")
		}, [3]string{"", "", "X"}, 2},
		{"fail always", func(d emulator.Doer) emulator.Doer { return disturb.Fail(d, "DeregisterImage", nil, 400, "X", "x") }, [3]string{"X", "X", "X"}, 0},
		{"lose the answer", func(d emulator.Doer) emulator.Doer { return disturb.LoseAnswer(d, "DeregisterImage", second) }, [3]string{"", "?", ""}, 3},
		{"garble", func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "DeregisterImage", second) }, [3]string{"", "?", ""}, 3},
		{"two at once", func(d emulator.Doer) emulator.Doer {
			return disturb.Deny(disturb.Fail(d, "DeregisterImage", second, 400, "X", "x"), "DescribeImages")
		}, [3]string{"", "X", ""}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := load(t)
			client := test.fault(a.Client())
			for n, want := range test.want {
				if got := code(deregister(t.Context(), client, n)); got != want {
					t.Errorf("call %d: got %q, want %q", n+1, got, want)
				}
			}
			if gone := 3 - left(t, a); gone != test.gone {
				t.Errorf("%d images gone, want %d", gone, test.gone)
			}
		})
	}
}

func TestFaultsLookLikeTheRealThing(t *testing.T) {
	a := load(t)
	err := deregister(t.Context(), disturb.LoseAnswer(a.Client(), "DeregisterImage", nil), 1)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a lost answer: %v", err)
	}
	if retry.RetryableConnectionError.IsErrorRetryable(retry.RetryableConnectionError{}, err) != aws.TrueTernary {
		t.Errorf("the SDK would not retry after %v", err)
	}
	denied := config(disturb.Deny(a.Client(), "Publish", "GetCallerIdentity"))
	_, err = sns.NewFromConfig(denied).Publish(t.Context(), &sns.PublishInput{
		TopicArn: aws.String("arn:aws:sns:us-east-1:123456789012:digest"), Message: aws.String("m"),
	})
	if code(err) != "AuthorizationError" {
		t.Errorf("SNS: %v", err)
	}
	_, err = sts.NewFromConfig(denied).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if code(err) != "AccessDenied" || !ok || response.HTTPStatusCode() != http.StatusForbidden {
		t.Errorf("STS: %v", err)
	}
}
