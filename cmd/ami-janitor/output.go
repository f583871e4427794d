package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
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

// output is the choice of how something is printed.
type output string

const (
	outputTable    output = "table"
	outputText     output = "text"
	outputJSON     output = "json"
	outputCSV      output = "csv"
	outputMarkdown output = "markdown"
)

// outputFlag is the flag of an output.
type outputFlag struct {
	chosen *output
	of     []output
}

func addOutput(command *cobra.Command) *output {
	chosen := outputText
	addOutputFlag(command, &outputFlag{&chosen, []output{outputText, outputJSON}}, "text or json")
	return &chosen
}

// addRunOutput is addOutput for commands that print a run: a table where there is a terminal, else
// the digest.
func addRunOutput(command *cobra.Command, std streams) *output {
	chosen := outputText
	if isTerminal(std.out) {
		chosen = outputTable
	}
	flag := &outputFlag{&chosen, []output{outputTable, outputText, outputJSON, outputCSV, outputMarkdown}}
	addOutputFlag(command, flag, "table, text, json, csv or markdown; a terminal gets a table, and a pipe the digest as text")
	command.Flags().Lookup("output").DefValue = "" // It depends.
	return &chosen
}

func addOutputFlag(command *cobra.Command, flag *outputFlag, usage string) {
	command.Flags().Var(flag, "output", usage)
	completes(command, "output", flag.names()...)
}

// completes lets a shell complete the values of a flag.
func completes(command *cobra.Command, flag string, values ...string) {
	// Only a flag that is not there is an error.
	_ = command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func (f *outputFlag) names() []string {
	names := make([]string, len(f.of))
	for i, name := range f.of {
		names[i] = string(name)
	}
	return names
}

// Set, String and Type make a flag of an outputFlag.
func (f *outputFlag) Set(value string) error {
	if !slices.Contains(f.of, output(value)) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(f.names(), ", "))
	}
	*f.chosen = output(value)
	return nil
}

func (f *outputFlag) String() string {
	if f.chosen == nil {
		return ""
	}
	return string(*f.chosen)
}

// Type names the value in the help.
func (f *outputFlag) Type() string { return "format" }

// printer shows a run: its progress on the standard error, its record on the standard output.
type printer struct {
	output
	streams
	view     *view
	heading  string // Comes before the digest; empty for a run on a real account.
	declined bool   // A person was shown the plan, and did not say yes.

	approved *retention.Approved // All that a run may do; nil for whatever its policy finds.

	tellsChanges bool // Whether there is something to do is told by the exit status.

	life
}

func (o *output) printer(std streams) *printer {
	return &printer{output: *o, streams: std, view: &unfiltered}
}

// widthOf is how wide a table is: as wide as the terminal, if there is one.
func widthOf(stream any) int { return cmp.Or(columns(stream), helpWidth) }

// viewed is a printer of a run, with a view of it.
func (o *output) viewed(std streams, v *view, judged config.Config) (*printer, error) {
	p := o.printer(std)
	p.view = v
	return p, v.check(*o, judged.OwnerTag)
}

// assume tells what a rehearsal takes for granted: before the digest, or beside JSON and CSV.
func (p *printer) assume(sentence string) {
	switch {
	case sentence == "":
	case p.output == outputJSON || p.output == outputCSV:
		p.say("%s", sentence)
	default:
		p.heading += sentence + "\n\n"
	}
}

// print prints the record in the form that was chosen.
func (p *printer) print(run record.Run) error {
	p.stopProgress()
	if p.declined && p.output != outputJSON {
		_, err := fmt.Fprintln(p.out, "Nothing was changed.")
		return err
	}
	var err error
	switch p.output {
	case outputJSON:
		err = run.Encode(p.out, "  ")
	case outputCSV:
		_, listed, out := p.view.rows(run)
		_, err = fmt.Fprintln(p.out, flat(run, listed, csvCell).RenderCSV())
		for _, sentence := range append([]string{p.heading}, besides(run, p.view.note(len(listed), out))...) {
			p.say("%s", strings.TrimSpace(sentence))
		}
	case outputMarkdown:
		_, listed, out := p.view.rows(run)
		_, err = fmt.Fprint(p.out, markdownCell(strings.TrimSpace(p.heading))+"\n\n"+markdown(run, listed, p.view.note(len(listed), out)))
	case outputTable:
		_, err = fmt.Fprint(p.out, p.terminalText(run))
	default:
		_, err = fmt.Fprintln(p.out, p.heading+strings.TrimRight(p.digest(run), "\n"))
	}
	return err
}

// digest is the text about a run: all that there is to say, if the view shows all.
func (p *printer) digest(run record.Run) string {
	if p.view.show == showAll {
		return digest.Full(run)
	}
	return digest.Text(run)
}

func (p *printer) terminalText(run record.Run) string {
	return terminalText(run, p.view, p.heading, widthOf(p.out), isTerminal(p.out))
}

// terminalText is what a run comes to, on a terminal of some width: what changes, what stays, what
// needs a person, and the sum in the last line. Of a run that failed in every region it says why,
// and what to do.
func terminalText(run record.Run, v *view, heading string, width int, colour bool) string {
	s := newSheet(width, colour)
	if run.AllFailed() {
		s.failure(run, heading)
		return s.String()
	}
	through, listed, out := v.rows(run)
	s.tables(run, listed)
	s.staying(run, through, v.lists(kindKept))
	if note := v.note(len(listed), out); note != "" {
		s.WriteByte('\n')
		s.paragraph("", note)
	}
	s.problems(run)
	s.outcome(run, heading)
	return s.String()
}

// besides is what there is to say of a run where a table has no room for it, in sentences.
func besides(run record.Run, note string) []string {
	var sentences []string
	if note != "" {
		sentences = append(sentences, note)
	}
	for _, p := range digest.Problems(run) {
		sentences = append(sentences, p.What+" What to do: "+inShort(p.Todo))
	}
	return append(append(sentences, digest.CopyLines(run.Copy)...), doneWhere(run), sum(run))
}

// confirm shows all that a plan changes, and asks whether to carry it out.
func (p *printer) confirm(ctx context.Context, plan record.Run) bool {
	p.stopProgress()
	_, _ = fmt.Fprint(p.err, ask(plan, changedSince(plan, p.approved), widthOf(p.err), isTerminal(p.err)))
	p.declined = !p.hearsYes(ctx)
	return !p.declined
}

// hearsYes reads the answer to a question that was asked. An interruption is a no.
func (p *printer) hearsYes(ctx context.Context) bool {
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(p.in).ReadString('\n')
		answers <- strings.TrimSpace(answer)
	}()
	select {
	case answer := <-answers:
		return answer == "yes"
	case <-ctx.Done():
		return false
	}
}
