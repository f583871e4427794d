package usage

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// inFlight is how many calls of one kind run at the same time: enough for the 20 a second that EC2
// allows if each takes a second and a half.
const inFlight = 32

// breakAfter consecutive unanswered calls of one kind open the circuit breaker: the rest is not
// asked. Each of them was tried for about a minute.
const breakAfter = 3

// each asks about the items, several at the same time, and passes on the answers one at a time, as
// they arrive. Once the circuit breaker is open, the remaining items fail at once.
func each[Item, Answer any](
	ctx context.Context, atOnce int, items iter.Seq[Item],
	ask func(context.Context, Item) (Answer, error), take func(Item, Answer, error),
) {
	eachUntil(ctx, &circuitBreaker{}, atOnce, items, ask, take)
}

// eachUntil is each with a circuit breaker that may be open already.
func eachUntil[Item, Answer any](
	ctx context.Context, breaker *circuitBreaker, atOnce int, items iter.Seq[Item],
	ask func(context.Context, Item) (Answer, error), take func(Item, Answer, error),
) {
	type answered struct {
		item   Item
		answer Answer
		err    error
		before int64
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if breaker.verdict != nil {
		stop(breaker.verdict)
	}
	answers := make(chan answered)
	go func() {
		var calls errgroup.Group
		calls.SetLimit(atOnce)
		for item := range items {
			calls.Go(func() error {
				a := answered{item: item, err: context.Cause(ctx), before: breaker.answers.Load()}
				if a.err == nil {
					a.answer, a.err = ask(ctx, item)
				}
				answers <- a
				return nil
			})
		}
		_ = calls.Wait() // They pass on their errors as answers.
		close(answers)
	}()
	for a := range answers {
		if err := breaker.after(ctx, a.err, a.before); err != nil {
			stop(err)
		}
		take(a.item, a.answer, breaker.instead(a.err))
	}
}

// circuitBreaker detects that AWS no longer answers calls of one kind.
type circuitBreaker struct {
	answers  atomic.Int64 // The number of AWS's answers.
	failures int          // How many calls have ended without an answer since the last one.
	verdict  error
}

// after takes the error of a call, or nil, and the number of answers when it was sent. It returns
// an error when the circuit breaker opens.
func (b *circuitBreaker) after(ctx context.Context, err error, before int64) error {
	switch {
	case err == nil || wire.Answered(err):
		b.failures = 0
		b.answers.Add(1)
	case ctx.Err() == nil && !isGivenUp(err) && before == b.answers.Load():
		b.failures++
	}
	if b.failures == breakAfter && b.verdict == nil {
		b.verdict = errors.New("not asked, because AWS did not answer others: " + wire.ExplainLookup(err))
		return b.verdict
	}
	return nil
}

// instead returns the error of a call, or why it was not made.
func (b *circuitBreaker) instead(err error) error {
	if b.verdict != nil && errors.Is(err, context.Canceled) {
		return b.verdict
	}
	return err
}

// isGivenUp reports whether a call ended because we had no time left for it.
func isGivenUp(err error) bool {
	canceled, ok := errors.AsType[interface {
		error
		CanceledError() bool
	}](err)
	return ok && canceled.CanceledError()
}

// ofEach asks a service about each of the resources that it has listed, several at the same time.
// Its error names the first that could not be read. Their parts so far still count.
func ofEach[Answer any](
	ctx context.Context, kind string, ids []string, ask func(context.Context, string) (Answer, error), take func(Answer),
) error {
	errs := map[string]error{}
	each(ctx, detailCalls, slices.Values(ids), ask, func(id string, answer Answer, err error) {
		take(answer)
		if err != nil {
			errs[id] = err
		}
	})
	var unread []string
	for _, id := range slices.Sorted(maps.Keys(errs)) {
		if wire.Explain(errs[id]) == wire.TimeRanOut {
			return errs[id]
		}
		unread = append(unread, kind+" "+id+": "+wire.ExplainLookup(errs[id]))
	}
	return firstOf(unread, "nor could %d more be read")
}
