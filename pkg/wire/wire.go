// Package wire sets up the AWS SDK's clients so that only a complete answer counts as an answer.
//
// The SDK's decoders accept an empty body, a proxy's HTML page or an empty JSON object as an answer
// without content: a list of no references, which would read as "nothing uses this image". The
// clients of this package refuse such an answer with an error.
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
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Retries: a throttled or failed request is tried this often, with pauses that grow up to
// maxBackoff.
const (
	maxAttempts = 8
	maxBackoff  = 20 * time.Second
)

// In returns a configuration for clients of one region that retry often and refuse incomplete
// answers, whatever their service.
func In(config aws.Config, region string) aws.Config {
	config.Region, config.Retryer = region, newRetryer
	config.APIOptions = append(slices.Clip(config.APIOptions), refusePartialAnswers(complete))
	return config
}

// EC2 returns a client for one region that retries often and refuses incomplete answers.
func EC2(config aws.Config, region string) *ec2.Client {
	return ec2.NewFromConfig(config, func(o *ec2.Options) {
		o.Region, o.Retryer = region, newRetryer()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(completeXML))
	})
}

// AutoScaling returns a client for one region that retries often and refuses incomplete answers.
func AutoScaling(config aws.Config, region string) *autoscaling.Client {
	return autoscaling.NewFromConfig(config, func(o *autoscaling.Options) {
		o.Region, o.Retryer = region, newRetryer()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(completeXML))
	})
}

// SSM returns a client for one region that retries often and refuses incomplete answers.
func SSM(config aws.Config, region string) *ssm.Client {
	return ssm.NewFromConfig(config, func(o *ssm.Options) {
		o.Region, o.Retryer = region, newRetryer()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(completeJSON))
	})
}

// RecycleBin returns a client for one region that retries often and refuses incomplete answers.
func RecycleBin(config aws.Config, region string) *rbin.Client {
	return rbin.NewFromConfig(config, func(o *rbin.Options) {
		o.Region, o.Retryer = region, newRetryer()
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(completeJSON))
	})
}

// IAM returns a client of the partition's one IAM. It retries once: the answer is only shown.
func IAM(config aws.Config) *iam.Client {
	return iam.NewFromConfig(config, func(o *iam.Options) {
		o.RetryMaxAttempts = 2
		o.APIOptions = append(o.APIOptions, refusePartialAnswers(completeXML))
	})
}

// newRetryer returns a retryer without the SDK's default retry budget: once that is spent, every
// further throttling would be final.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
	})
}

// partialAnswerError is the error for an incomplete answer.
type partialAnswerError struct {
	action, beginning string
}

func (e partialAnswerError) Error() string {
	return fmt.Sprintf("not a complete answer to %s: it begins with %q", e.action, e.beginning)
}

// lackingAnswerError is the error for an answer that is complete except for its required element.
// If AWS leaves that out when there is nothing to list, an operator has to know: docs/answers.md
// says how to report it.
type lackingAnswerError struct {
	service, action, element string
}

func (e lackingAnswerError) Error() string {
	return fmt.Sprintf("%s answered %s without %s", cmp.Or(services[e.service], e.service, "AWS"), e.action, e.element)
}

// LacksList reports whether an answer was refused only because it lacks its required element. It
// was whole otherwise, so that AWS may mean that there is nothing to list.
func LacksList(err error) bool {
	_, lacks := errors.AsType[lackingAnswerError](err)
	return lacks
}

// services are the names that people use for services with another id.
var services = map[string]string{"SSM": "Systems Manager", "rbin": "Recycle Bin"}

// prefixes are IAM's names of services with another id (Service Authorization Reference).
var prefixes = map[string]string{"EMR": "elasticmapreduce", "SFN": "states"}

// Prefix returns IAM's name of a service, by the SDK's id of it: autoscaling for Auto Scaling.
func Prefix(serviceID string) string {
	return cmp.Or(prefixes[serviceID], strings.ToLower(strings.ReplaceAll(serviceID, " ", "")))
}

// refusePartialAnswers adds a check of every successful answer: complete returns an error if a body
// is not the complete answer to an action of a service.
func refusePartialAnswers(complete func(service, action string, body []byte) error) func(*middleware.Stack) error {
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
			err = complete(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), body)
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		return out, metadata, err
	}
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefusePartialAnswers", check), middleware.After)
	}
}

// NoCredentials starts Explain's text for a request that was not sent because there are no
// credentials.
const NoCredentials = "no AWS credentials" //nolint:gosec // A phrase, and no secret.

// TimeRanOut is Explain's text for an expired context.
const TimeRanOut = "time ran out"

// interrupted is Explain's text for a run that was stopped by a person.
const interrupted = "interrupted"

// permissions are the IAM actions that differ from the operation's name (Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon S3").
var permissions = map[string]string{
	"ListObjectsV2": "ListBucket", "GetBucketEncryption": "GetEncryptionConfiguration", "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
}

// ExplainLookup is Explain for a lookup. It adds the action as IAM names it, such as
// ec2:DescribeImages, unless the error has it already, or the run was stopped or had no time for
// the call.
func ExplainLookup(err error) string {
	says := Explain(err)
	call, ok := errors.AsType[*smithy.OperationError](err)
	if !ok || says == TimeRanOut || says == interrupted || lacksCredentials(err) || strings.Contains(says, call.Operation()) {
		return says
	}
	return Prefix(call.Service()) + ":" + cmp.Or(permissions[call.Operation()], call.Operation()) + ": " + says
}

// Explain turns an error of the SDK into one short line that is the same for the same cause: the
// error code and message of AWS, or the innermost error, without request ids.
func Explain(err error) string {
	return strings.Join(strings.Fields(explain(err)), " ")
}

func explain(err error) string {
	switch {
	case lacksCredentials(err) && strings.Contains(err.Error(), lastSource):
		return NoCredentials + ": none in the environment, in the profile or in a role of this machine"
	case lacksCredentials(err):
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

// lastSource is what the SDK says of the instance's role, which it asks last. Why that failed is
// no news to whoever sits at another machine (aws-sdk-go-v2, credentials/ec2rolecreds).
const lastSource = "no EC2 IMDS role found"

// lacksCredentials reports whether a request was not sent because the SDK found no usable
// credentials. The SDK has no type for that error (aws-sdk-go-v2, internal/auth/smithy,
// CredentialsProviderAdapter).
func lacksCredentials(err error) bool {
	return strings.Contains(err.Error(), "get identity: get credentials: ")
}

// isNetwork reports whether an error comes from the network. A connection that times out looks like
// an expired context, too.
func isNetwork(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// Code returns the error code of AWS's refusal, or an empty string if the error is not an answer of
// AWS.
func Code(err error) string {
	if answered, ok := errors.AsType[smithy.APIError](err); ok {
		return answered.ErrorCode()
	}
	return ""
}

// IsNoHost reports whether the name of a service's host does not exist.
func IsNoHost(err error) bool {
	name, ok := errors.AsType[*net.DNSError](err)
	return ok && name.IsNotFound
}

// IsNoImage reports whether EC2 says that there is no such image, or that it is deregistered (EC2
// API Reference, "Error codes").
func IsNoImage(err error) bool {
	code := Code(err)
	return code == "InvalidAMIID.NotFound" || code == "InvalidAMIID.Unavailable"
}

// IsNoSnapshot reports whether EC2 says that there is no such snapshot (EC2 API Reference, "Error
// codes").
func IsNoSnapshot(err error) bool { return Code(err) == "InvalidSnapshot.NotFound" }

// Answered reports whether an error is an answer of AWS, good or bad: an error without an error
// code may come from any machine on the way.
func Answered(err error) bool {
	return !slices.Contains([]string{"", "UnknownError"}, Code(err))
}
