// Package pace limits calls of EC2 and of Parameter Store to the rates that AWS allows, and uses
// them fully.
//
// EC2 counts the requests of an account by region and action, in token buckets of published sizes.
// Parameter Store counts all requests for the values of parameters together. A run takes its share
// of each, because the account has other users: people, pipelines, applications, Auto Scaling. If
// they take more than the rest, the run slows down. The templates of CloudFormation are
// read slowly. Other calls are not limited: Auto Scaling, the Recycle Bin and the listing of
// parameters publish no rates.
package pace

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"
)

// Pace holds the token buckets of all regions. It is safe for concurrent use.
type Pace struct {
	share float64

	mu      sync.Mutex
	buckets map[kind]*bucket
}

// kind identifies a bucket.
type kind struct {
	region, service, action string
	unfiltered              bool
}

// New returns full buckets with a share of AWS's: above 0, and up to 1.
func New(share float64) *Pace {
	return &Pace{share: share, buckets: map[kind]*bucket{}}
}

// Apply limits all clients that are made from the configuration: every request, retries included. A
// request that cannot leave before the deadline of its context fails with an error that is
// context.DeadlineExceeded.
func (p *Pace) Apply(config *aws.Config) {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		note := middleware.InitializeMiddlewareFunc("PaceNote", noteUnfiltered)
		if err := stack.Initialize.Add(note, middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Pace", p.keep), "Retry", middleware.After)
	})
}

// unfilteredKey is the context key that says whether a request asks for everything at once.
type unfilteredKey struct{}

// noteUnfiltered looks at the parameters of a request while they are not yet serialised.
func noteUnfiltered(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	if awsmiddleware.GetServiceID(ctx) == ec2.ServiceID {
		unfiltered := isUnfiltered(awsmiddleware.GetOperationName(ctx), in.Parameters)
		ctx = middleware.WithStackValue(ctx, unfilteredKey{}, unfiltered)
	}
	return next.HandleInitialize(ctx, in)
}

// throttled says which errors are throttling, as in the SDK's own retries.
var throttled = retry.IsErrorThrottles(retry.DefaultThrottles)

// keep delays a request until it may leave, and adapts the rate to AWS's answer.
func (p *Pace) keep(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	kind := kindOf(ctx)
	if kind == nil {
		return next.HandleFinalize(ctx, in)
	}
	bucket := p.bucket(*kind)
	slowdowns, err := bucket.wait(ctx)
	if err != nil {
		// An error of this type is not retried.
		return middleware.FinalizeOutput{}, middleware.Metadata{}, &aws.RequestCanceledError{Err: fmt.Errorf("waiting to call %s: %w", awsmiddleware.GetOperationName(ctx), err)}
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	if throttled.IsErrorThrottle(err) == aws.TrueTernary {
		bucket.slowDown(slowdowns)
	} else {
		bucket.speedUp(slowdowns)
	}
	return out, metadata, err
}

// kindOf returns the bucket of a request; nil if its rate is not limited.
func kindOf(ctx context.Context) *kind {
	service, action := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
	unfiltered, _ := middleware.GetStackValue(ctx, unfilteredKey{}).(bool)
	switch {
	case service == ec2.ServiceID:
	case service == cloudformation.ServiceID && action == getTemplate:
	case service == ssm.ServiceID && slices.Contains(valuesOfParameters, action):
		action = valuesOfParameters[0] // They share one bucket.
	default:
		return nil
	}
	return &kind{awsmiddleware.GetRegion(ctx), service, action, unfiltered}
}

// bucket returns the bucket of a kind.
func (p *Pace) bucket(kind kind) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buckets[kind] == nil {
		p.buckets[kind] = newBucket(sizeOf(kind), p.share)
	}
	return p.buckets[kind]
}
