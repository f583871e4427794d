package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/digest"
	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/retention"
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
	bar      progress.Writer
	stage    *progress.Tracker
	started  time.Time
}

func (o *output) printer(std streams) *printer { return &printer{output: *o, streams: std} }

// assume tells what a rehearsal takes for granted: before the digest, or beside JSON.
func (p *printer) assume(sentence string) {
	switch {
	case sentence == "":
	case p.output == outputJSON:
		_, _ = fmt.Fprintln(p.err, "ami-janitor:", sentence)
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
		return heading + failed + whereTheRestIs(run)
	}
	return fmt.Sprintf("%s\n\n%s%s\n%s", imageTable(run), heading, digest.Subject(run), whereTheRestIs(run))
}

// whereTheRestIs says what a copy lacks, where the full record is, and how to get images back, each on a line.
func whereTheRestIs(run record.Run) string {
	lines := strings.Join(append(digest.CopyLines(run.Copy), ""), "\n")
	if run.Totals.Restorable > 0 {
		lines += "To bring back the images that are restorable: " + run.Reader.Command("undo "+plain.Printable(run.Run)) + "\n"
	}
	if run.Record != "" {
		lines += "The full record: " + plain.Printable(run.Record) + "\n"
	}
	return lines
}

// confirm shows a plan and asks whether to carry it out. An interruption is a no.
func (p *printer) confirm(ctx context.Context, plan record.Run) bool {
	p.stopProgress()
	_, _ = fmt.Fprintf(p.err, "%s\n\n%s\n%s? Type yes: ", imageTable(plan), plan.PolicySentence, question(plan))
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

// question says what a plan is going to do. The snapshots of the images that it removes go without saying.
func question(plan record.Run) string {
	words := fmt.Sprintf("Deregister %d images", plan.Totals.WouldDeregister)
	if marked := plan.Totals.Marked; marked > 0 {
		words += fmt.Sprintf(", and announce the removal of %d", marked)
	}
	announced, restored, copied := tagged(plan)
	if announced > 0 {
		words += fmt.Sprintf(", and take back the announced removal of %d", announced)
	}
	if restored > 0 {
		words += fmt.Sprintf(", and note on %d that they are there", restored)
	}
	if copied > 0 {
		words += fmt.Sprintf(", and take copied tags off %d", copied)
	}
	if left := leftovers(plan); left > 0 {
		words += fmt.Sprintf(", and delete %d snapshots that earlier runs have left", left)
	}
	return words
}

// tagged counts the kept images whose tags a plan changes: those whose announced removal it takes back, those on which it notes that they
// were restored, and those that lose tags which were copied. Those in regions that are left to another run are not counted.
func tagged(plan record.Run) (announced, restored, copied int) {
	for _, region := range plan.Regions {
		for _, image := range region.Images {
			isRestored := slices.ContainsFunc(image.Reasons, func(reason retention.Reason) bool { return reason.Code == "restored" })
			switch {
			case region.Busy:
			case image.Unmark == retention.Veto && isRestored:
				restored++
			case image.CopiedTags != "":
				copied++
			case image.Unmark != retention.LeaveMark:
				announced++
			}
		}
	}
	return announced, restored, copied
}

// leftovers counts the snapshots of earlier runs that a plan deletes, those not counted in regions that are only planned.
func leftovers(plan record.Run) int {
	n := 0
	for _, region := range plan.Regions {
		for _, f := range region.Leftovers {
			if f.Verdict == record.DeleteSnapshot && region.Hold == "" {
				n++
			}
		}
	}
	return n
}

// imageTable shows the verdict on every image, the stalest last, where the eye is when it has been printed.
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
	for _, region := range run.Regions {
		if region.Error != "" {
			t.AppendRow(table.Row{region.Region, "", "", text.FgRed.Sprint("failed"), plain.Printable(region.Error)})
		}
		if region.Hold != "" {
			t.AppendRow(table.Row{region.Region, "", "", text.FgYellow.Sprint("only planned"), plain.Printable(region.Hold)})
		}
		appendSnapshots(t, region)
		for _, image := range slices.Backward(region.Images) {
			t.AppendRow(table.Row{region.Region, image.ImageID, plain.Printable(image.Name), verdict(image), why(image)})
		}
	}
	return t.Render()
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

// appendSnapshots shows the snapshots that belong to no image any more: all that earlier runs have left behind, and how many
// others there are.
func appendSnapshots(t table.Writer, region record.Region) {
	if n := len(region.Orphans); n > 0 {
		t.AppendRow(table.Row{region.Region, "", "", text.Faint.Sprint("orphaned"), fmt.Sprintf("%d snapshots whose image is gone; they are never deleted", n)})
	}
	if region.OrphansGap != "" {
		t.AppendRow(table.Row{region.Region, "", "", text.Faint.Sprint("orphaned"), plain.Printable("not looked for: " + region.OrphansGap)})
	}
	for _, f := range region.Leftovers {
		what := text.FgYellow.Sprint(f.Verdict)
		switch f.Status {
		case "":
		case ami.SnapshotDeleted:
			what = text.FgGreen.Sprint(f.Status)
		case ami.SnapshotKept:
			what = text.Faint.Sprint(f.Status)
		default:
			what = text.FgRed.Sprint(f.Status)
		}
		why := "left by run " + f.Run
		if f.Detail != "" {
			why += "; " + f.Detail
		}
		t.AppendRow(table.Row{region.Region, plain.Printable(f.SnapshotID), "", what, plain.Printable(why)})
	}
}

func verdict(image record.Image) string {
	switch {
	case image.Outcome != nil && (image.Outcome.Status == ami.Deregistered || image.Outcome.Status == ami.Marked):
		return text.FgGreen.Sprint(image.Outcome.Status)
	case image.Outcome != nil:
		return text.FgRed.Sprint(image.Outcome.Status)
	case image.Verdict == retention.Keep:
		return text.Faint.Sprint(image.Verdict)
	default:
		return text.FgYellow.Sprint(image.Verdict)
	}
}

func why(image record.Image) string {
	if image.Outcome != nil && image.Outcome.Error != "" {
		return plain.Printable(image.Outcome.Error)
	}
	var details []string
	if image.Outcome != nil && !image.Outcome.RestorableUntil.IsZero() {
		details = append(details, "restorable until "+image.Outcome.RestorableUntil.Format(time.RFC3339))
	}
	if image.Outcome != nil && image.Outcome.NotRestorable != "" {
		details = append(details, "cannot be restored: "+plain.Printable(image.Outcome.NotRestorable))
	}
	for _, reason := range image.Reasons {
		details = append(details, plain.Printable(string(reason.Code)+": "+reason.Detail))
	}
	return strings.Join(details, "; ")
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
