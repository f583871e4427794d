package usage

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// inFlight is how many calls of one kind are made to EC2 at once: enough for the 20 a second that it allows, were each
// answer to take a second and a half.
const inFlight = 32

// patience is how many calls of one kind may end without an answer of AWS, while none of the kind had one since the first of
// them began. Each has been tried for about a minute by then.
const patience = 3

// each asks about the items, a number of them at once, and hands on the answers one at a time, in the order in which they
// come. Once AWS is silent, the rest is not asked: those items fail at once.
func each[Item, Answer any](
	ctx context.Context, atOnce int, items iter.Seq[Item],
	ask func(context.Context, Item) (Answer, error), take func(Item, Answer, error),
) {
	type answered struct {
		item   Item
		answer Answer
		err    error
		heard  int64
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answers := make(chan answered)
	var silence silence
	go func() {
		var calls errgroup.Group
		calls.SetLimit(atOnce)
		for item := range items {
			calls.Go(func() error {
				a := answered{item: item, err: context.Cause(ctx), heard: silence.heard.Load()}
				if a.err == nil {
					a.answer, a.err = ask(ctx, item)
				}
				answers <- a
				return nil
			})
		}
		_ = calls.Wait() // They hand on their errors as answers.
		close(answers)
	}()
	for a := range answers {
		if err := silence.after(ctx, a.err, a.heard); err != nil {
			stop(err)
		}
		take(a.item, a.answer, silence.instead(a.err))
	}
}

// silence finds out that AWS does not answer calls of one kind any more.
type silence struct {
	heard   atomic.Int64 // The number of its answers.
	unheard int          // How many calls have ended without one since.
	verdict error
}

// after takes the error with which a call has ended, if it has, and how many answers had been heard when it began. It
// returns an error once AWS is silent.
func (s *silence) after(ctx context.Context, err error, heard int64) error {
	switch {
	case err == nil || wire.Answered(err):
		s.unheard = 0
		s.heard.Add(1)
	case ctx.Err() == nil && !isGivenUp(err) && heard == s.heard.Load():
		s.unheard++
	}
	if s.unheard == patience && s.verdict == nil {
		s.verdict = errors.New("not asked, because AWS did not answer others: " + wire.ExplainLookup(err))
		return s.verdict
	}
	return nil
}

// instead returns the error of a call, or why it was not made.
func (s *silence) instead(err error) error {
	if s.verdict != nil && errors.Is(err, context.Canceled) {
		return s.verdict
	}
	return err
}

// isGivenUp reports whether a call has ended because there was no time left for it, here and not at AWS.
func isGivenUp(err error) bool {
	canceled, ok := errors.AsType[interface {
		error
		CanceledError() bool
	}](err)
	return ok && canceled.CanceledError()
}
