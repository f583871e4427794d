package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// streams are what the process reads from and writes to.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// canAsk reports whether there is a person to answer a question.
func (s streams) canAsk() bool { return isTerminal(s.in) && isTerminal(s.err) }

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// output is the choice of how a record is printed.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

func addOutput(command *cobra.Command) *output {
	chosen := outputText
	command.Flags().Var(&chosen, "output", "text or json")
	return &chosen
}

// Set, String and Type make output a flag.
func (o *output) Set(value string) error {
	if *o = output(value); *o != outputText && *o != outputJSON {
		return fmt.Errorf("%q is neither text nor json", value)
	}
	return nil
}

func (o *output) String() string { return string(*o) }

// Type names the value in the help.
func (o *output) Type() string { return "format" }

// printer shows a run: its progress on the standard error, its record on the standard output.
type printer struct {
	output
	streams
	heading  string // Comes before the digest; empty for a run on a real account.
	declined bool   // A person was shown the plan, and said no.

	tellsChanges bool // Whether there is something to do is told by the exit status.

	bar     progress.Writer
	stage   *progress.Tracker
	started time.Time
}

func (o *output) printer(std streams) *printer { return &printer{output: *o, streams: std} }

// assume tells what a rehearsal takes for granted: before the digest, or beside JSON.
func (p *printer) assume(sentence string) {
	switch {
	case sentence == "":
	case p.output == outputJSON:
		p.say("%s", sentence)
	default:
		p.heading += sentence + "\n\n"
	}
}

// print prints the record: as JSON, as a table where there is a terminal, else as the digest.
func (p *printer) print(run record.Run) error {
	p.stopProgress()
	switch {
	case p.output == outputJSON:
		return run.Encode(p.out, "  ")
	case p.declined:
		_, err := fmt.Fprintln(p.out, "Nothing was changed.")
		return err
	case isTerminal(p.out):
		_, err := fmt.Fprint(p.out, terminalText(run, p.heading))
		return err
	default:
		_, err := fmt.Fprintln(p.out, p.heading+strings.TrimRight(digest.Text(run), "\n"))
		return err
	}
}

// terminalText is a table of all images, and the outcome in a line. Of a run that failed in every region it says why, and what to do.
func terminalText(run record.Run, heading string) string {
	if failed := digest.FailedText(run); failed != "" {
		return heading + failed + digest.BelowTheTable(run)
	}
	return fmt.Sprintf("%s\n\n%s%s\n%s", imageTable(run), heading, digest.Subject(run), digest.BelowTheTable(run))
}

// confirm shows a plan and asks whether to carry it out. An interruption is a no.
func (p *printer) confirm(ctx context.Context, plan record.Run) bool {
	p.stopProgress()
	_, _ = fmt.Fprintf(p.err, "%s\n\n%s\n%s? Type yes: ", imageTable(plan), plan.PolicySentence, digest.Question(plan))
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(p.in).ReadString('\n')
		answers <- strings.TrimSpace(answer)
	}()
	select {
	case answer := <-answers:
		p.declined = answer != "yes"
	case <-ctx.Done():
		p.declined = true
	}
	return !p.declined
}

// imageTable draws the table of all images.
func imageTable(run record.Run) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateColumns = false
	t.Style().Options.DrawBorder = false
	t.AppendHeader(table.Row{"Region", "Image", "Name", "", "Why"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 3, WidthMax: 40, WidthMaxEnforcer: wholeWords},
		{Number: 5, WidthMax: 70, WidthMaxEnforcer: wholeWords},
	})
	for _, row := range digest.Table(run) {
		t.AppendRow(table.Row{row.Region, row.ID, row.Name, colours[row.Tone].Sprint(row.State), row.Why})
	}
	return t.Render()
}

var colours = map[digest.Tone]text.Color{
	digest.Quiet: text.Faint, digest.Pending: text.FgYellow, digest.Done: text.FgGreen, digest.Bad: text.FgRed,
}

// wholeWords wraps a text, and never inside a word: an ARN, a name or a path has to be copyable. A longer word makes its column wider.
func wholeWords(words string, most int) string {
	var wrapped strings.Builder
	column := 0
	for i, word := range strings.Fields(words) {
		width := text.StringWidthWithoutEscSequences(word)
		switch {
		case i == 0:
		case column+1+width > most:
			wrapped.WriteByte('\n')
			column = 0
		default:
			wrapped.WriteByte(' ')
			column++
		}
		wrapped.WriteString(word)
		column += width
	}
	return wrapped.String()
}

// patience is how long work has to last before its progress is shown.
const patience = time.Second

// progress shows how far a stage of the run has come, on a terminal and once the run has lasted for a while.
func (p *printer) progress(stage string, done, total int) {
	if !isTerminal(p.err) {
		return
	}
	if p.started.IsZero() {
		p.started = time.Now()
	}
	if p.bar == nil && time.Since(p.started) > patience {
		p.bar = progress.NewWriter()
		p.bar.SetOutputWriter(p.err)
		p.bar.SetAutoStop(false)
		go p.bar.Render()
	}
	if p.bar == nil {
		return
	}
	if p.stage == nil || p.stage.Message != stage {
		p.stage = &progress.Tracker{Message: stage, Total: int64(total)}
		p.bar.AppendTracker(p.stage)
	}
	p.stage.UpdateTotal(int64(total))
	p.stage.SetValue(int64(done))
}

func (p *printer) stopProgress() {
	if p.bar != nil {
		p.bar.Stop()
	}
	for p.bar != nil && p.bar.IsRenderInProgress() {
		time.Sleep(10 * time.Millisecond)
	}
	p.bar, p.stage, p.started = nil, nil, time.Time{}
}
