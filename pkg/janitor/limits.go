package janitor

import (
	"context"
	"time"
)

// What is kept of the time of a run, at most. A run whose deadline is near keeps a share of it
// instead.
const (
	recordTime = 20 * time.Second // To write the last results into the journal, and the record.
	digestTime = 20 * time.Second // To write and publish the digest.
	finishTime = 10 * time.Second // To finish an image that has been begun.
)

// limits are the contexts of the parts of a run. Without a deadline only an interruption ends look,
// ask and begin. An interruption never ends finish and record.
type limits struct {
	look   context.Context // Ends at half of the time: what is not looked up by then is kept.
	ask    context.Context // Ends midway to begin: so do the questions that a plan raises.
	begin  context.Context // Ends when no further image may be begun.
	finish context.Context // Ends when time is left for the record and the digest only.
	record context.Context // Ends when time is left for the digest only.
	cancel func()
}

func timeLimits(ctx context.Context, now time.Time) limits {
	finish := context.WithoutCancel(ctx)
	deadline, ok := ctx.Deadline()
	if !ok {
		return limits{ctx, ctx, ctx, finish, finish, func() {}}
	}
	total := max(deadline.Sub(now), 0)
	digest := deadline.Add(-min(digestTime, total/4))
	record, cancelRecord := context.WithDeadline(finish, digest)
	last := digest.Add(-min(recordTime, total/8))
	finish, cancelFinish := context.WithDeadline(finish, last)
	half, latest := now.Add(total/2), last.Add(-min(finishTime, total/8))
	begin, cancelBegin := context.WithDeadline(ctx, latest)
	ask, cancelAsk := context.WithDeadline(begin, half.Add(latest.Sub(half)/2))
	look, cancelLook := context.WithDeadline(ask, half)
	return limits{look, ask, begin, finish, record, func() { cancelLook(); cancelAsk(); cancelBegin(); cancelFinish(); cancelRecord() }}
}
