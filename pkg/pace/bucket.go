package pace

import (
	"context"
	"math"
	"sync"

	"golang.org/x/time/rate"
)

// How a bucket gives way to others. One that was throttled goes on at half its pace, and is back at the full one a
// minute later at most if it is not throttled again. What it leaves untaken meanwhile is not lost: EC2's own bucket fills
// with it, and is empty again by the time of the next throttling. The slower the way back, the fewer calls are throttled;
// the faster, the less is left to nobody once the others are gone.
const (
	retreat  = 0.5
	recovery = 60       // The seconds in which a bucket would come from a standstill to its full pace.
	slowest  = 1.0 / 16 // Of the full pace.
)

// bucket is a share of one of EC2's token buckets.
type bucket struct {
	full    rate.Limit // Its pace while nobody else is in the way.
	limiter *rate.Limiter

	// turn is held by the one who waits for the limiter. A limiter promises each of those who wait a time of their own; one
	// who has such a promise would not notice that the pace has changed meanwhile.
	turn chan struct{}

	mu       sync.Mutex
	setbacks int // How many times it has slowed down.
}

// jitter is how much later, in seconds, one request may arrive than another that has left at the same time.
const jitter = 1

// newBucket makes a bucket that holds a share of what EC2's bucket of a size holds and gets back.
//
// The burst is shared as the refill is: those whose shares add up to one never find EC2's bucket empty because of one
// another, and whoever has all of it uses all of it. But EC2 counts requests as they arrive, not as they leave. Those that
// left in the course of a second may arrive at once, with those that were entitled to arrive then; so what a second brings
// back is kept out of the burst.
func newBucket(size size, share float64) *bucket {
	full := rate.Limit(size.refill * share)
	burst := math.Floor(share * (size.burst - jitter*size.refill))
	return &bucket{full: full, limiter: rate.NewLimiter(full, max(int(burst), 1)), turn: make(chan struct{}, 1)}
}

// wait waits until a request may leave, and returns what the bucket has to be told of its answer: how many times it had
// slowed down by then. Whoever is next, and could not leave before the deadline of the context, does not wait for it.
func (b *bucket) wait(ctx context.Context) (setbacks int, err error) {
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
	return b.setbacks, nil
}

// slowDown gives way to others after a request was throttled: EC2's bucket is empty, so this one is, too. It does so once
// for all requests that were on their way at the time.
func (b *bucket) slowDown(setbacks int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if setbacks != b.setbacks {
		return
	}
	b.setbacks++
	b.limiter.SetLimit(max(b.limiter.Limit()*retreat, b.full*slowest))
	burst := b.limiter.Burst()
	b.limiter.SetBurst(1) // What is over the burst is lost. Without any, whoever waits would be refused.
	b.limiter.SetBurst(burst)
}

// speedUp comes back to the full pace in steps, one with each request that was not throttled, as many of them a second as
// the pace is: together the same each second, whatever the pace.
func (b *bucket) speedUp(setbacks int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pace := b.limiter.Limit(); setbacks == b.setbacks && pace < b.full {
		b.limiter.SetLimit(min(pace+b.full/recovery/pace, b.full))
	}
}
