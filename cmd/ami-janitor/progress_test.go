package main

import (
	"bytes"
	"context"
	"testing"
)

// lateContext is a context that has just been interrupted, and has told nobody who waits for it.
type lateContext struct {
	context.Context //nolint:containedctx // It is one.

	done chan struct{}
}

func (c lateContext) Done() <-chan struct{}        { return c.done }
func (c lateContext) AfterFunc(func()) func() bool { return func() bool { return true } }
func (c lateContext) Err() (err error) {
	select {
	case <-c.done:
		err = context.Canceled
	default:
	}
	return err
}

// An interruption is answered, whoever sees it first.
func TestAnInterruptionIsAnswered(t *testing.T) {
	for name, isLate := range map[string]bool{"heard at once": false, "heard late": true} {
		var errs bytes.Buffer
		p := &printer{streams: streams{err: &errs}}
		late := lateContext{t.Context(), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		if isLate {
			ctx, stop = late, func() { close(late.done) }
		}
		end := p.begin(ctx, "Waiting for the dry run of the hub")
		stop()
		end()
		if want := "ami-janitor: interrupted: only the waiting ends.\n"; errs.String() != want {
			t.Errorf("%s: says %q, want %q", name, errs.String(), want)
		}
	}
	var errs bytes.Buffer
	p := &printer{streams: streams{err: &errs}}
	p.begin(t.Context(), "Waiting for the dry run of the hub")()
	if errs.Len() > 0 {
		t.Errorf("nobody has interrupted it, and it says %q", errs.String())
	}
}
