package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is what a person sits at: what is printed there, and where answers are typed.
type terminal struct {
	master, tty *os.File

	mu    sync.Mutex
	shown bytes.Buffer

	closed chan struct{} // Closed when all has been read.
}

// newTerminal opens a terminal of so many columns.
func newTerminal(t *testing.T, columns int) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("this machine has no terminals to give:", err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, tty: tty, closed: make(chan struct{})}
	go func() {
		defer close(term.closed)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			term.mu.Lock()
			term.shown.Write(buffer[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = master.Close()
	})
	return term
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// await waits until a text is shown, and returns how long that took.
func (t *terminal) await(test *testing.T, words string) time.Duration {
	test.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		switch waited := time.Since(began); {
		case strings.Contains(t.text(), words):
			return waited
		case waited > 30*time.Second:
			test.Fatalf("%q is not shown:\n%s", words, t.text())
		}
	}
}

// start runs a command at the terminal, with its answers typed beforehand, and returns where its status will be.
func (t *terminal) start(ctx context.Context, answers string, args ...string) <-chan int {
	if answers != "" {
		_, _ = t.master.WriteString(answers)
	}
	status := make(chan int, 1)
	lookup := func(name string) string {
		return map[string]string{"EC2_SHARE": "1", "XDG_STATE_HOME": os.Getenv("XDG_STATE_HOME")}[name]
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute) // A question that nobody answers must not hang the tests.
	go func() {
		defer stop()
		status <- run(ctx, args, streams{t.tty, t.tty, t.tty}, lookup)
	}()
	return status
}

// Only yes is yes; all else has a status of its own, and changes nothing.
func TestTheStatusOfANo(t *testing.T) {
	for answer, want := range map[string]int{"no\n": exitDeclined, "\n": exitDeclined, "yes\n": 0} {
		account := serving(t, asItIs)
		term := newTerminal(t, helpWidth)
		if status := <-term.start(t.Context(), answer, "sweep", "--max-deregistrations=1", provable); status != want || (writes(account) == 0) != (want != 0) {
			t.Errorf("%q: status %d, %d writes\n%s", answer, status, writes(account), term.text())
		}
	}
}

func TestTheStatusOfAnInterruptionAtTheQuestion(t *testing.T) {
	account := serving(t, asItIs)
	term := newTerminal(t, helpWidth)
	ctx, stop := context.WithCancel(t.Context())
	status := term.start(ctx, "", "sweep", provable)
	term.await(t, "Type yes")
	stop()
	if status := <-status; status != exitInterrupted || writes(account) > 0 {
		t.Errorf("status %d, %d writes\n%s", status, writes(account), term.text())
	}
}

// A plan, and a sweep, that has nothing to do is done; the sweep asks nothing.
func TestNothingToDo(t *testing.T) {
	serving(t, asItIs)
	if status := cli(t, nil, "plan", "--exit-code", "--names=nothing").status; status != exitChanges {
		t.Errorf("status %d, and there are announcements to take back", status)
	}
	cli(t, nil, "sweep", "--yes", "--names=nothing")
	for _, args := range [][]string{{"plan"}, {"plan", "--exit-code"}} {
		if got := cli(t, nil, append(args, "--names=nothing")...); got.status != 0 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	term := newTerminal(t, helpWidth)
	if status := <-term.start(t.Context(), "", "sweep", "--names=nothing"); status != 0 || strings.Contains(term.text(), "Type yes") {
		t.Errorf("status %d\n%s", status, term.text())
	}
}
