package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// life are the signs of it that a command gives while it waits.
type life struct {
	mu    sync.Mutex
	bar   progress.Writer // Nil unless it is shown.
	stage *progress.Tracker

	ending string // What an interruption is answered with; empty if the stage says it.
}

// begin shows on a terminal what a command is doing, at once, until stopProgress. An interruption
// is answered until end, which comes back.
func (p *printer) begin(ctx context.Context, stage string) (end func()) {
	p.progress(stage, 0, 0)
	said := make(chan struct{})
	deaf := context.AfterFunc(ctx, func() {
		p.interrupted()
		close(said)
	})
	return sync.OnceFunc(func() {
		switch {
		case !deaf():
			<-said // Before anything else is.
		case ctx.Err() != nil: // The interruption has just come.
			p.interrupted()
		}
		p.stopProgress()
	})
}

// interrupted says what is still done after an interruption.
func (p *printer) interrupted() {
	p.mu.Lock()
	stage := ""
	if p.stage != nil {
		stage = p.stage.Message
	}
	p.mu.Unlock()
	switch {
	case p.ending != "":
		p.say("%s", p.ending)
	case strings.HasPrefix(stage, "Waiting"):
		p.say("interrupted: only the waiting ends.")
	case strings.HasPrefix(stage, "Removing"):
		p.say("interrupted: no further image is begun; what was begun is finished, and recorded. Ctrl-C again ends at once; the next run then goes on.")
	case strings.HasPrefix(stage, "Restoring"):
		p.say("interrupted: what was begun is finished; the same undo again goes on. Ctrl-C again ends at once.")
	default:
		p.say("interrupted: ending.")
	}
}

// progress shows how far a stage of a command has come, on a terminal. Of how much there is to do
// may be 0: that is not known.
func (p *printer) progress(stage string, done, total int) {
	if !isTerminal(p.err) {
		p.mu.Lock()
		p.stage = &progress.Tracker{Message: stage} // For interrupted.
		p.mu.Unlock()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.bar = progress.NewWriter()
		p.bar.SetOutputWriter(p.err)
		p.bar.SetAutoStop(false)
		p.bar.SetTerminalWidth(columns(p.err))
		p.bar.SetTrackerLength(20)
		p.bar.SetUpdateFrequency(100 * time.Millisecond)
		go p.bar.Render()
	}
	if p.stage == nil || p.stage.Message != stage {
		if p.stage != nil {
			p.stage.MarkAsDone()
		}
		p.stage = &progress.Tracker{Message: stage, Total: int64(total), RemoveOnCompletion: true}
		p.bar.AppendTracker(p.stage)
	}
	p.stage.UpdateTotal(int64(total))
	p.stage.SetValue(int64(done))
}

func (p *printer) stopProgress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.stage.MarkAsDone()
		for !p.bar.IsRenderInProgress() { // Else it would begin after its end.
			time.Sleep(time.Millisecond)
		}
		p.bar.Stop()
		for p.bar.IsRenderInProgress() {
			time.Sleep(time.Millisecond)
		}
	}
	p.bar, p.stage = nil, nil
}

// say is that of streams, above the progress if that is shown.
func (p *printer) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.streams.say(format, args...)
		return
	}
	var lines strings.Builder
	p.lines(&lines, format, args...)
	p.bar.Log("%s", strings.TrimSuffix(lines.String(), "\n"))
}
