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

// Watchdog notices that a run has stood still, as it does when its machine sleeps: it has sent
// nothing to AWS for longer than its lock holds. What it has read is as old then, and another run
// may have come and gone, so that it may change nothing in EC2 any more. Nobody can tell where its
// clock is set back by as much. It is safe for concurrent use.
type Watchdog struct {
	clock func() time.Time

	mu    sync.Mutex
	last  time.Time // When the run was last seen at work.
	stood error     // That it has stood still, or its clock was set back.
}

// NewWatchdog returns a watchdog over a run that begins now.
func NewWatchdog(clock func() time.Time) *Watchdog { return &Watchdog{clock: clock, last: clock()} }

// Reset is for a run that is about to read everything again.
func (w *Watchdog) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.stood = w.clock(), nil
}

// check notes that the run is at work. Once the run has stood still, or its clock was set back, it
// says so, each time.
func (w *Watchdog) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	switch pause := elapsed(w.last, now).Truncate(time.Second); {
	case w.stood != nil:
	case pause > Lease:
		w.stood = fmt.Errorf("the run has stood still for %s, and what it had read before is too old to go by", pause)
	case pause < -Lease:
		w.stood = fmt.Errorf("the clock was set back by %s while the run was at work, so that it cannot tell how old is what it had read", -pause)
	}
	w.last = now
	return w.stood
}

// elapsed is the time between two moments. Of the two clocks of a machine the one on the wall goes
// on while it sleeps.
func elapsed(from, to time.Time) time.Duration { return to.Round(0).Sub(from.Round(0)) }

// Over returns a configuration whose clients are under this watchdog: each request as it is about
// to leave, after it has waited for its turn, and again each time that the SDK retries it.
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

// changesEC2 reports whether a request is one to EC2 that does not only read.
func changesEC2(ctx context.Context) bool {
	if awsmiddleware.GetServiceID(ctx) != ec2.ServiceID {
		return false
	}
	action := awsmiddleware.GetOperationName(ctx)
	return !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "List") && !strings.HasPrefix(action, "Get")
}
