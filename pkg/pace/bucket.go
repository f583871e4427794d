package pace

import (
	"context"
	"math"
	"sync"

	"golang.org/x/time/rate"
)

// How a bucket yields to others. A throttled bucket continues at half its rate, and returns to the
// full rate within a minute unless it is throttled again. The requests that it does not use
// meanwhile are not lost: they refill EC2's own bucket until the next throttling. A slower recovery
// means fewer throttled calls; a faster one wastes less of the rate once the others are gone.
const (
	backoff  = 0.5
	recovery = 60       // Seconds from standstill to the full rate.
	slowest  = 1.0 / 16 // As a share of the full rate.
)

// bucket is a share of one of EC2's token buckets.
type bucket struct {
	full    rate.Limit // Its rate while nobody else needs the bucket.
	limiter *rate.Limiter

	// turn is held by the goroutine that waits for the limiter. A limiter gives each waiting
	// goroutine a fixed time to leave; one with such a time would not notice a changed rate.
	turn chan struct{}

	mu        sync.Mutex
	slowdowns int // How often it has slowed down.
}

// jitter is how many seconds apart two requests may arrive that left at the same time.
const jitter = 1

// newBucket makes a bucket with a share of the burst and the refill of EC2's bucket.
//
// Clients whose shares add up to one never empty EC2's bucket for one another, and a client with
// the share of one uses all of it. But EC2 counts requests when they arrive, not when they leave.
// All requests of one second may arrive at once, together with those that are due by then; so the
// refill of one second is kept out of the burst.
func newBucket(size size, share float64) *bucket {
	full := rate.Limit(size.refill * share)
	burst := math.Floor(share * (size.burst - jitter*size.refill))
	return &bucket{full: full, limiter: rate.NewLimiter(full, max(int(burst), 1)), turn: make(chan struct{}, 1)}
}

// wait waits until a request may leave, and returns how often the bucket had slowed down by then,
// for slowDown and speedUp. A request that could not leave before the deadline of its context fails
// at once.
func (b *bucket) wait(ctx context.Context) (slowdowns int, err error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := b.limiter.Wait(ctx); err != nil && ctx.Err() == nil {
		return 0, context.DeadlineExceeded
	} else if err != nil {
		return 0, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slowdowns, nil
}

// slowDown yields to others after a throttled request: EC2's bucket is empty, so this one must be,
// too. It counts once for all requests that were in flight at the time.
func (b *bucket) slowDown(slowdowns int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slowdowns != b.slowdowns {
		return
	}
	b.slowdowns++
	b.limiter.SetLimit(max(b.limiter.Limit()*backoff, b.full*slowest))
	burst := b.limiter.Burst()
	// Tokens above the burst are lost. With a burst of 0, the limiter would refuse every request.
	b.limiter.SetBurst(1)
	b.limiter.SetBurst(burst)
}

// speedUp restores the full rate linearly, one step for each request that was not throttled.
func (b *bucket) speedUp(slowdowns int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pace := b.limiter.Limit(); slowdowns == b.slowdowns && pace < b.full {
		b.limiter.SetLimit(min(pace+b.full/recovery/pace, b.full))
	}
}
