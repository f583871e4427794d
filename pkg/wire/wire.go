// Package wire sets up the AWS SDK's clients so that only a whole answer counts as an answer.
//
// The SDK's decoders take an empty body, an HTML page from a proxy or an empty JSON object for an answer without content:
// a list of no references, which would read as "nothing uses this image". The clients of this package refuse such an
// answer with an error.
package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Patience with AWS: a throttled or failed request is tried this often, with pauses that grow up to maxBackoff.
const (
	maxAttempts = 8
	maxBackoff  = 20 * time.Second
)

// EC2 returns a client for one region that retries patiently and refuses answers that are not whole.
func EC2(config aws.Config, region string) *ec2.Client {
	return ec2.NewFromConfig(config, func(o *ec2.Options) {
		o.Region, o.Retryer = region, patient()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(wholeXML))
	})
}

// AutoScaling returns a client for one region that retries patiently and refuses answers that are not whole.
func AutoScaling(config aws.Config, region string) *autoscaling.Client {
	return autoscaling.NewFromConfig(config, func(o *autoscaling.Options) {
		o.Region, o.Retryer = region, patient()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(wholeXML))
	})
}

// SSM returns a client for one region that retries patiently and refuses answers that are not whole.
func SSM(config aws.Config, region string) *ssm.Client {
	return ssm.NewFromConfig(config, func(o *ssm.Options) {
		o.Region, o.Retryer = region, patient()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(wholeJSON))
	})
}

// RecycleBin returns a client for one region that retries patiently and refuses answers that are not whole.
func RecycleBin(config aws.Config, region string) *rbin.Client {
	return rbin.NewFromConfig(config, func(o *rbin.Options) {
		o.Region, o.Retryer = region, patient()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(wholeJSON))
	})
}

// patient returns a retryer without the budget that the SDK keeps by default: once it had run dry, every further
// throttling would be final.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
	})
}

// partialAnswerError is what an answer that is not whole fails with.
type partialAnswerError struct {
	action, beginning string
}

func (e partialAnswerError) Error() string {
	return fmt.Sprintf("not a whole answer to %s: it begins with %q", e.action, e.beginning)
}

// lackingAnswerError is what an answer fails with that came whole, but for the element that it is about. Should AWS leave that out
// where there is nothing to list, then somebody has to hear of it: docs/answers.md says how.
type lackingAnswerError struct {
	service, action, element string
}

func (e lackingAnswerError) Error() string {
	return fmt.Sprintf("%s answered %s without %s", cmp.Or(services[e.service], e.service, "AWS"), e.action, e.element)
}

// services are the names by which people know those services whose id is another one.
var services = map[string]string{"SSM": "Systems Manager", "rbin": "Recycle Bin"}

// refusePartialAnswers adds a check of every successful answer: whole returns an error if a body is not the whole answer
// to an action of a service.
func refusePartialAnswers(whole func(service, action string, body []byte) error) func(*middleware.Stack) error {
	check := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		response, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || response.StatusCode >= 300 {
			return out, metadata, err
		}
		body, err := io.ReadAll(response.Body)
		if err == nil {
			err = whole(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), body)
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		return out, metadata, err
	}
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefusePartialAnswers", check), middleware.After)
	}
}

// NoCredentials begins what Explain says of a request that was not sent for want of credentials.
const NoCredentials = "no AWS credentials" //nolint:gosec // A phrase, and no secret.

// TimeRanOut is how Explain puts the end of the time that there was for a call.
const TimeRanOut = "time ran out"

// interrupted is how Explain puts it that somebody has stopped the run.
const interrupted = "interrupted"

// permissions are the actions of IAM that have another name than the operation (Service Authorization Reference, "Actions, resources, and
// condition keys for Amazon S3").
var permissions = map[string]string{"ListObjectsV2": "ListBucket"}

// ExplainLookup is Explain for a lookup. It names the action as IAM does, such as ec2:DescribeImages, unless the error does itself, or
// the run had no time for the call, or was stopped.
func ExplainLookup(err error) string {
	says := Explain(err)
	call, ok := errors.AsType[*smithy.OperationError](err)
	if !ok || says == TimeRanOut || says == interrupted || lacksCredentials(err) || strings.Contains(says, call.Operation()) {
		return says
	}
	return strings.ToLower(strings.ReplaceAll(call.Service(), " ", "")) + ":" + cmp.Or(permissions[call.Operation()], call.Operation()) + ": " + says
}

// Explain puts an error of the SDK into one short line that is the same for the same cause: the error code and message of
// AWS, or the innermost error, without request ids.
func Explain(err error) string {
	return strings.Join(strings.Fields(explain(err)), " ")
}

func explain(err error) string {
	if lacksCredentials(err) {
		return NoCredentials + ": " + explainCause(err)
	}
	return explainCause(err)
}

func explainCause(err error) string {
	var answered smithy.APIError
	var refused *smithyhttp.ResponseError
	var unread *smithy.DeserializationError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && !isNetwork(err):
		return TimeRanOut
	case errors.Is(err, context.Canceled):
		return interrupted
	case errors.As(err, &refused) && refused.HTTPStatusCode() >= 300 && !Answered(err):
		return fmt.Sprintf("HTTP status %d and no error code of AWS", refused.HTTPStatusCode())
	case errors.As(err, &answered):
		message, _, _ := strings.Cut(answered.ErrorMessage(), " Encoded authorization failure message")
		return strings.TrimSuffix(answered.ErrorCode()+": "+message, ": ")
	}
	says := innermost(err).Error()
	if errors.As(err, &unread) && !isNetwork(err) {
		return "not an answer of AWS: " + says
	}
	return says
}

func innermost(err error) error {
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(err) {
		err = cause
	}
	return err
}

// lacksCredentials reports whether a request was not sent because the SDK has found no credentials that it can use. The SDK has no type
// for that error (aws-sdk-go-v2, internal/auth/smithy, CredentialsProviderAdapter).
func lacksCredentials(err error) bool {
	return strings.Contains(err.Error(), "get identity: get credentials: ")
}

// isNetwork reports whether an error comes from the network. A connection that times out passes for the end of a context, too.
func isNetwork(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// Code returns the error code with which AWS refused, or an empty string if the error is no answer of AWS.
func Code(err error) string {
	if answered, ok := errors.AsType[smithy.APIError](err); ok {
		return answered.ErrorCode()
	}
	return ""
}

// IsNoImage reports whether EC2 has said that there is no such image, or none any more (EC2 API Reference, "Error codes").
func IsNoImage(err error) bool {
	code := Code(err)
	return code == "InvalidAMIID.NotFound" || code == "InvalidAMIID.Unavailable"
}

// IsNoSnapshot reports whether EC2 has said that there is no such snapshot (EC2 API Reference, "Error codes").
func IsNoSnapshot(err error) bool { return Code(err) == "InvalidSnapshot.NotFound" }

// Answered reports whether an error is an answer of AWS, good or bad: what comes without an error code may have come from
// anybody on the way.
func Answered(err error) bool {
	return !slices.Contains([]string{"", "UnknownError"}, Code(err))
}
