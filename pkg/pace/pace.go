// Package pace keeps calls of EC2 to the speed that EC2 allows: as fast as that, and no faster.
//
// EC2 counts the requests of an account by region and action, in token buckets of sizes that it publishes. A run takes its
// share of each, because others live in the account: people, pipelines, Auto Scaling. Should they take more than the rest,
// it gives way. Other services are left alone: Auto Scaling, Systems Manager and the Recycle Bin publish no such numbers.
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
	region, action string
	whole          bool
}

// New returns full buckets that hold a share of EC2's: above 0, and up to 1.
func New(share float64) *Pace {
	return &Pace{share: share, buckets: map[kind]*bucket{}}
}

// Apply makes all clients that are made from the configuration take from these buckets: with every request to EC2, and not
// just with the first one of a call. One that cannot leave before the deadline of its context fails with an error that is
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

// keep lets a request leave when it may, and listens to what EC2 answers.
func (p *Pace) keep(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	if awsmiddleware.GetServiceID(ctx) != ec2.ServiceID {
		return next.HandleFinalize(ctx, in)
	}
	whole, _ := middleware.GetStackValue(ctx, wholeKey{}).(bool)
	action := awsmiddleware.GetOperationName(ctx)
	bucket := p.bucket(kind{awsmiddleware.GetRegion(ctx), action, whole})
	setbacks, err := bucket.wait(ctx)
	if err != nil {
		// An error of this type is not tried again.
		return middleware.FinalizeOutput{}, middleware.Metadata{}, &aws.RequestCanceledError{Err: fmt.Errorf("waiting to call %s: %w", action, err)}
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	if throttled.IsErrorThrottle(err) == aws.TrueTernary {
		bucket.slowDown(setbacks)
	} else {
		bucket.speedUp(setbacks)
	}
	return out, metadata, err
}

// bucket returns the bucket from which requests of a kind take.
func (p *Pace) bucket(kind kind) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buckets[kind] == nil {
		p.buckets[kind] = newBucket(sizeOf(kind.action, kind.whole), p.share)
	}
	return p.buckets[kind]
}
