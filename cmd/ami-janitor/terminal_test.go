package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
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

// await waits until a text is shown. If that never comes, the test hangs for a while, and fails.
func (t *terminal) await(test *testing.T, words string) {
	test.Helper()
	for began := time.Now(); !strings.Contains(t.text(), words); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			test.Fatalf("%q is not shown:\n%s", words, t.text())
		}
	}
}

// start runs a command at the terminal, with its answers typed beforehand, and returns where its
// status will be.
func (t *terminal) start(ctx context.Context, answers string, args ...string) <-chan int {
	if answers != "" {
		_, _ = t.master.WriteString(answers)
	}
	status := make(chan int, 1)
	lookup := func(name string) string {
		return map[string]string{"EC2_SHARE": "1", "XDG_STATE_HOME": os.Getenv("XDG_STATE_HOME")}[name]
	}
	// A question that nobody answers must not hang the tests.
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
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

// silent lets an account answer nothing until it is told to.
func silent(answer <-chan struct{}) func(emulator.Doer) emulator.Doer {
	return func(doer emulator.Doer) emulator.Doer {
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			<-answer
			return doer.Do(r)
		})
	}
}

// Whoever waits at a terminal of 80 columns sees that something is done before AWS has answered
// anything. An interruption is answered before that, too.
func TestHeartbeat(t *testing.T) {
	const image = "ami-0123456789abcdef0"
	for _, args := range [][]string{
		{"plan"},
		{"sweep", "--yes"},
		{"explain", image},
		{"undo", "--list"},
		{"undo", "--image", image},
		{"unmark", image},
		{"keep", image},
		{"unkeep", image},
		{"export", filepath.Join(t.TempDir(), "copy")},
		{"trial"},
		{"trial", "--clean-up"},
		{"plan", "--stack=nowhere"},
		{"sweep", "--yes", "plan.json"},
		{"report", "--records=s3://amzn-s3-demo-bucket", "--out", filepath.Join(t.TempDir(), "report.html")},
		{"plan", "--organization", "--stack=nowhere"},
		append(byMachine, "--output=text"),
	} {
		t.Run(args[0], func(t *testing.T) {
			answer := make(chan struct{})
			if len(args) == 3 && args[0] == "sweep" {
				serving(t, asItIs)
				args[2] = filepath.Join(t.TempDir(), args[2])
				cli(t, nil, "plan", "--out", args[2])
			}
			serving(t, silent(answer))
			t.Cleanup(func() { close(answer) })
			term := newTerminal(t, helpWidth)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			status := term.start(ctx, "", args...)
			for _, words := range []string{" ... ", "\r\n"} {
				term.await(t, words)
			}
			stop()
			term.await(t, "interrupted: ")
			if status := <-status; status != exitInterrupted {
				t.Errorf("%v: status %d\n%s", args, status, term.text())
			}
			shown := escapes.ReplaceAllString(term.text(), "\n")
			if args[0] == "plan" || args[0] == "sweep" {
				shown, _, _ = strings.Cut(shown, "ending.") // What comes then is the record.
			}
			for line := range strings.Lines(shown) {
				line = strings.TrimRight(line, "\r\n")
				// An ARN stays whole.
				if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%v: %q", args, line)
				}
			}
		})
	}
}

// escapes are what moves the cursor of a terminal or colours a text.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// What explain says fits the terminal.
func TestAnExplanationFits(t *testing.T) {
	serving(t, asItIs)
	term := newTerminal(t, helpWidth)
	if status := <-term.start(t.Context(), "", "explain", "golden-ubuntu-*", "no-such-name"); status != exitRegionFailed {
		t.Errorf("status %d", status)
	}
	term.await(t, "no-such-name in")
	_, shown, _ := strings.Cut(term.text(), "ami-0")
	for line := range strings.Lines(escapes.ReplaceAllString(shown, "\n")) {
		line = strings.TrimRight(line, "\r\n")
		if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("%q", line)
		}
	}
}

// What explain and undo say of an organization's run fits the terminal, and loses no word.
func TestWhatIsSaidOfAnOrganizationFits(t *testing.T) {
	f := newFakeHub(t)
	for _, account := range f.organization.Accounts() {
		account.KeepRemoved(14)
	}
	done := f.hub.Run(t.Context(), ami.NewRunID(time.Now(), rand.Reader), false)
	images := []string{"ami-00000000000000000"} // Nobody owns it.
	for _, m := range done.Accounts {
		if m.Record != nil {
			m.Record.Each(func(record.Image) bool { return true }, func(_ record.Region, i record.Image) { images = append(images, i.ImageID) })
		}
	}
	if done.Totals.Deregistered == 0 || len(images) < 20 {
		t.Fatalf("%s: %d of %d images are removed", done.Error, done.Totals.Deregistered, len(images))
	}
	for command, args := range map[string][]string{"explain": images, "undo": {done.Run}} {
		args = append([]string{command, "--organization", "--records=s3://records", "--regions=us-east-1,eu-west-1"}, args...)
		piped := cli(t, nil, args...)
		if command == "undo" {
			piped = cli(t, nil, args...) // To undo twice is harmless, and says so.
		}
		term := newTerminal(t, helpWidth)
		status := <-term.start(t.Context(), "", args...)
		words, shown := strings.Join(strings.Fields(piped.out), " "), ""
		// A terminal shows the end a moment after the command.
		for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
			shown = escapes.ReplaceAllString(term.text(), "\n")
			if strings.Contains(strings.Join(strings.Fields(shown), " "), words) {
				break
			}
		}
		if !strings.Contains(strings.Join(strings.Fields(shown), " "), words) {
			t.Errorf("%s: -piped +shown:\n%s", command, cmp.Diff(strings.Fields(piped.out), strings.Fields(shown)))
		}
		widest := 0
		for line := range strings.Lines(piped.out) {
			widest = max(widest, utf8.RuneCountInString(line))
		}
		for line := range strings.Lines(shown) {
			if line = strings.TrimRight(line, "\r\n"); utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s: %q", command, line)
			}
		}
		if status != piped.status || widest <= helpWidth {
			t.Errorf("%s: status %d, and %d in a pipe, where the widest line has %d characters", command, status, piped.status, widest)
		}
	}
}

// What keep, unkeep and unmark say of an image fits the terminal, and loses no word.
func TestWhatBecomesOfATagFits(t *testing.T) {
	serving(t, asItIs)
	image := stalest(t)
	announced := announcedBy(t, "announce", t.TempDir())
	for _, c := range []struct {
		args       []string
		says, last string
	}{
		{
			[]string{"keep", image.ImageID, "--reason=Rollback of v2, until ticket OPS-7 is closed and all are told"},
			"kept from now on, tagged ami-janitor:keep: Rollback of v2, until ticket OPS-7 is closed and all are told", "told",
		},
		{[]string{"unkeep", image.ImageID}, "the keep tag is off; the next run judges it", "judges it"},
		{[]string{"unkeep", image.ImageID}, "it has no tag ami-janitor:keep", ":keep"},
		{[]string{"unmark", announced.ImageID}, "taken back; its idle time starts anew today", "anew today"},
		{[]string{"unmark", announced.ImageID}, "its removal was not announced; nothing to take back", "take back"},
	} {
		term := newTerminal(t, 60)
		if status := <-term.start(t.Context(), "", c.args...); status != 0 {
			t.Errorf("%v: status %d", c.args, status)
		}
		term.await(t, c.last)
		_, shown, _ := strings.Cut(term.text(), c.args[1])
		shown = c.args[1] + shown
		if !strings.Contains(strings.Join(strings.Fields(shown), " "), "in us-east-1: "+c.says) {
			t.Errorf("%v: %q", c.args, shown)
		}
		for line := range strings.Lines(escapes.ReplaceAllString(shown, "\n")) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\r\n")) > 60 {
				t.Errorf("%v: %q", c.args, line)
			}
		}
	}
}
