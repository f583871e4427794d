// Package pace keeps calls of EC2 and of Parameter Store to the speed that AWS allows: as fast as that, and no faster.
//
// EC2 counts the requests of an account by region and action, in token buckets of sizes that it publishes. Parameter Store
// counts those for the values of parameters, all together. A run takes its share of each, because others live in the account:
// people, pipelines, applications, Auto Scaling. Should they take more than the rest, it gives way. Others are left alone:
// Auto Scaling, the Recycle Bin and the listing of parameters publish no such numbers.
package pace

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"
)

// Pace holds the token buckets of all regions. It may be used by several goroutines at once.
type Pace struct {
	share float64

	mu      sync.Mutex
	buckets map[kind]*bucket
}

// kind is what has a bucket of its own.
type kind struct {
	region, service, action string
	whole                   bool
}

// New returns full buckets that hold a share of AWS's: above 0, and up to 1.
func New(share float64) *Pace {
	return &Pace{share: share, buckets: map[kind]*bucket{}}
}

// Apply makes all clients that are made from the configuration take from these buckets: with every request, and not just
// with the first one of a call. One that cannot leave before the deadline of its context fails with an error that is
// context.DeadlineExceeded.
func (p *Pace) Apply(config *aws.Config) {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		note := middleware.InitializeMiddlewareFunc("PaceNote", noteWhole)
		if err := stack.Initialize.Add(note, middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Pace", p.keep), "Retry", middleware.After)
	})
}

// wholeKey is the key under which a context says that a request asks for everything at once.
type wholeKey struct{}

// noteWhole notes what later only the body of the request would say.
func noteWhole(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	if awsmiddleware.GetServiceID(ctx) == ec2.ServiceID {
		whole := isWhole(awsmiddleware.GetOperationName(ctx), in.Parameters)
		ctx = middleware.WithStackValue(ctx, wholeKey{}, whole)
	}
	return next.HandleInitialize(ctx, in)
}

// throttled says which errors are throttling, as the SDK's retries understand it.
var throttled = retry.IsErrorThrottles(retry.DefaultThrottles)

// keep lets a request leave when it may, and listens to what AWS answers.
func (p *Pace) keep(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	kind := kindOf(ctx)
	if kind == nil {
		return next.HandleFinalize(ctx, in)
	}
	bucket := p.bucket(*kind)
	setbacks, err := bucket.wait(ctx)
	if err != nil {
		// An error of this type is not tried again.
		return middleware.FinalizeOutput{}, middleware.Metadata{}, &aws.RequestCanceledError{Err: fmt.Errorf("waiting to call %s: %w", awsmiddleware.GetOperationName(ctx), err)}
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	if throttled.IsErrorThrottle(err) == aws.TrueTernary {
		bucket.slowDown(setbacks)
	} else {
		bucket.speedUp(setbacks)
	}
	return out, metadata, err
}

// kindOf returns what a request belongs to; nil if it takes from no bucket.
func kindOf(ctx context.Context) *kind {
	service, action := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
	whole, _ := middleware.GetStackValue(ctx, wholeKey{}).(bool)
	switch {
	case service == ec2.ServiceID:
	case service == ssm.ServiceID && slices.Contains(valuesOfParameters, action):
		action = valuesOfParameters[0] // They share one bucket.
	default:
		return nil
	}
	return &kind{awsmiddleware.GetRegion(ctx), service, action, whole}
}

// bucket returns the bucket from which requests of a kind take.
func (p *Pace) bucket(kind kind) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buckets[kind] == nil {
		p.buckets[kind] = newBucket(sizeOf(kind), p.share)
	}
	return p.buckets[kind]
}
