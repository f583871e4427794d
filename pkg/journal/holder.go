package journal

import (
	"context"
	"errors"
	"time"
)

// Holder returns the run that is at work in a region; empty if none is. It is an error if the lock
// would keep every run out.
func (j *Journal) Holder(ctx context.Context, region string, now time.Time) (run string, err error) {
	if err := checkRegion(region); err != nil {
		return "", err
	}
	held, _, err := j.readLock(ctx, region)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case held.isLive(now):
		run = held.Run
	}
	return run, j.fromTheFuture(held, now)
}
