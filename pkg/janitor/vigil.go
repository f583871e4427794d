package janitor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"

	"ami-janitor/pkg/journal"
)

// vigil notices that a run has stood still, as it does when its machine sleeps: for longer than its lock holds it has asked AWS
// nothing. What it had read is as old then, and another run may have come and gone, so that it changes nothing in EC2 any more. Where
// its clock is set back by as much, nobody can tell.
// It is safe for concurrent use.
type vigil struct {
	clock func() time.Time

	mu    sync.Mutex
	last  time.Time // When the run was last seen at work.
	stood error     // That it has stood still, or its clock was set back.
}

func newVigil(clock func() time.Time) *vigil { return &vigil{clock: clock, last: clock()} }

// startAnew is for a run that is about to read everything again.
func (v *vigil) startAnew() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last, v.stood = v.clock(), nil
}

// check notes that the run is at work. Once the run has stood still, or its clock was set back, it says so, each time.
func (v *vigil) check() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	// Of the two clocks of a machine the one on the wall goes on while it sleeps.
	switch pause := now.Round(0).Sub(v.last.Round(0)).Truncate(time.Second); {
	case v.stood != nil:
	case pause > journal.Lease:
		v.stood = fmt.Errorf("the run has stood still for %s, and what it had read before is too old to go by", pause)
	case pause < -journal.Lease:
		v.stood = fmt.Errorf("the clock was set back by %s while the run was at work, so that it cannot tell how old is what it had read", -pause)
	}
	v.last = now
	return v.stood
}

// over returns a configuration whose clients are under this vigil: each request as it is about to leave, after it has waited for its
// turn, and again each time that the SDK retries it.
func (v *vigil) over(config aws.Config) aws.Config {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Vigil", v.pass), middleware.After)
	})
	return config
}

func (v *vigil) pass(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	if err := v.check(); err != nil && changesEC2(ctx) {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, err
	}
	return next.HandleFinalize(ctx, in)
}

// changesEC2 reports whether a request is one to EC2 that does not only read.
func changesEC2(ctx context.Context) bool {
	if awsmiddleware.GetServiceID(ctx) != ec2.ServiceID {
		return false
	}
	action := awsmiddleware.GetOperationName(ctx)
	return !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "List") && !strings.HasPrefix(action, "Get")
}
