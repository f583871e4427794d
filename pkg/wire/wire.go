// Package wire sets up the AWS SDK's clients so that only a whole answer counts as an answer.
//
// The SDK's XML decoder takes an empty body, or an HTML page from a proxy, for an answer without content: a list of no
// references, which would read as "nothing uses this image". The clients of this package refuse such an answer with an
// error.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Patience with EC2: a throttled or failed request is tried this often, with pauses that grow up to maxBackoff.
const (
	maxAttempts = 8
	maxBackoff  = 20 * time.Second
)

// EC2 returns a client for one region that retries patiently and refuses answers that are not whole.
func EC2(config aws.Config, region string) *ec2.Client {
	return ec2.NewFromConfig(config, func(o *ec2.Options) {
		o.Region = region
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = maxAttempts
			o.MaxBackoff = maxBackoff
			o.RateLimiter = ratelimit.None
		})
		o.APIOptions = append(o.APIOptions, refusePartialAnswers)
	})
}

// content names the element of an answer without which it says nothing. EC2 sends an empty list as an empty element: its
// command line prints "Images": [] where there are none. Should it ever leave one out, then what depends on it is kept.
var content = map[string]string{
	"DescribeImages":          "<imagesSet",
	"DescribeSnapshots":       "<snapshotSet",
	"DescribeLockedSnapshots": "<snapshotSet",
	"DescribeImageReferences": "<imageReferenceSet",
	"DescribeImageAttribute":  "<launchPermission",
	"DescribeRegions":         "<regionInfo",
	"DeleteSnapshot":          "<return>true</return>", // The SDK does not hand it on.
}

// partialAnswerError is what an answer that is not whole fails with.
type partialAnswerError struct {
	action, beginning string
}

func (e partialAnswerError) Error() string {
	return fmt.Sprintf("not a whole answer to %s: it begins with %q", e.action, e.beginning)
}

func refusePartialAnswers(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefusePartialAnswers", wholeAnswer), middleware.After)
}

func wholeAnswer(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode >= 300 {
		return out, metadata, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return out, metadata, err
	}
	action := awsmiddleware.GetOperationName(ctx)
	beginning := string(body[:min(len(body), 512)])
	opened := strings.Contains(beginning, "<"+action+"Response")
	closed := bytes.HasSuffix(bytes.TrimSpace(body), []byte("</"+action+"Response>"))
	if !opened || !closed || !bytes.Contains(body, []byte(content[action])) {
		return out, metadata, partialAnswerError{action, beginning[:min(len(beginning), 40)]}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return out, metadata, nil
}

// Explain puts an error of the SDK into one short line that is the same for the same cause: the error code and message of
// AWS, or the innermost error, without request ids.
func Explain(err error) string {
	return strings.Join(strings.Fields(explain(err)), " ")
}

func explain(err error) string {
	var answered smithy.APIError
	var refused *smithyhttp.ResponseError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "time ran out"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case Code(err) == "UnknownError" && errors.As(err, &refused):
		return fmt.Sprintf("HTTP status %d and no error code of AWS", refused.HTTPStatusCode())
	case errors.As(err, &answered):
		message, _, _ := strings.Cut(answered.ErrorMessage(), " Encoded authorization failure message")
		return answered.ErrorCode() + ": " + message
	}
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(err) {
		err = cause
	}
	return err.Error()
}

// Code returns the error code with which AWS refused, or an empty string if the error is no answer of AWS.
func Code(err error) string {
	if answered, ok := errors.AsType[smithy.APIError](err); ok {
		return answered.ErrorCode()
	}
	return ""
}
