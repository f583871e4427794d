package journal

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
)

// Watchdog detects a stalled run, for example after its machine slept: it sent no request to AWS
// for longer than the lease. Its data is stale then, and another run may have acted, so that it
// must change nothing more in EC2. It cannot detect a stall if its clock is set back by as much. It
// is safe for concurrent use.
type Watchdog struct {
	// Stopped says why everybody must stop, if somebody has asked for that; nil if nobody can. It
	// is asked before each chunk of changes.
	Stopped func(context.Context) error

	clock func() time.Time

	mu      sync.Mutex
	last    time.Time // When the run was last seen at work.
	stalled error     // Why the run must stop: it stalled, or its clock was set back.
}

// NewWatchdog returns a watchdog for a run that starts now.
func NewWatchdog(clock func() time.Time) *Watchdog { return &Watchdog{clock: clock, last: clock()} }

// Reset is for a run that is about to read everything again.
func (w *Watchdog) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.stalled = w.clock(), nil
}

// check notes that the run is at work. After a stall, or after the clock was set back, it returns
// an error each time.
func (w *Watchdog) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	switch pause := elapsed(w.last, now).Truncate(time.Second); {
	case w.stalled != nil:
	case pause > Lease:
		w.stalled = fmt.Errorf("the run stalled for %s, and what it had read before is too old to go by", pause)
	case pause < -Lease:
		w.stalled = fmt.Errorf("the clock was set back by %s while the run was at work, so that it cannot tell how old is what it had read", -pause)
	}
	w.last = now
	return w.stalled
}

// elapsed is the time between two moments by the wall clock. A machine's monotonic clock may stop
// while it sleeps.
func elapsed(from, to time.Time) time.Duration { return to.Round(0).Sub(from.Round(0)) }

// Over adds this watchdog to the clients of a configuration. It checks each request just before it
// leaves, after it waited for its rate limit, and again at each retry.
func (w *Watchdog) Over(config aws.Config) aws.Config {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Watchdog", w.pass), middleware.After)
	})
	return config
}

func (w *Watchdog) pass(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	if err := w.check(); err != nil && changesEC2(ctx) {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, err
	}
	return next.HandleFinalize(ctx, in)
}

// changesEC2 reports whether a request may change something in EC2.
func changesEC2(ctx context.Context) bool {
	if awsmiddleware.GetServiceID(ctx) != ec2.ServiceID {
		return false
	}
	action := awsmiddleware.GetOperationName(ctx)
	return !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "List") && !strings.HasPrefix(action, "Get")
}
