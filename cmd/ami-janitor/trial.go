package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// trialSettings are the variables that a trial goes by.
var trialSettings = []string{"REQUIRE_RECYCLE_BIN", "SNAPSHOT_PRICE", "EC2_SHARE"}

// trialFlags are the flags of a trial.
type trialFlags struct {
	settings
	yes, cleanUp *bool
	ledgers, out *string
	output       *output
}

func trialCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "trial",
		Short: "Take an image of its own the whole way in the real account",
		Long: `Makes an image with a snapshot of 1 GiB, and takes both the whole way with the
code of a run: announces the removal, takes that back, removes them, finds them
in the Recycle Bin, brings them back, compares, and removes them again. It says
before what that costs, and asks. It changes nothing but what it has made, which
its ledger names before each call. It measures what AWS leaves open, and writes
the answers into a file for an issue. After Ctrl-C it cleans up; after a kill
--clean-up does.

Exit status:
  0  every step was done, and nothing is left but what the Recycle Bin holds
  1  there was no trial: the account or the region could not be asked, or no
     rule of the Recycle Bin would take in what goes
  2  wrong usage, or a trial is at work already; nothing was made
  3  a step failed, or something may be left; the output names it
  4  the answer to the question was not yes; nothing was made
  130  interrupted (Ctrl-C); what it made is removed, or named`,
		Example: examples(
			"trial --region eu-west-1",
			"trial --yes --output json",
			"trial --clean-up            # what a killed trial has left",
		),
		Args: cobra.NoArgs,
	}
	f := trialFlags{output: addOutput(command)}
	f.yes = command.Flags().Bool("yes", false, "do not ask")
	f.cleanUp = command.Flags().Bool("clean-up", false, "remove what killed trials have left, and make nothing")
	f.out = command.Flags().String("out", "", "file for the answers; beside the ledger if not set")
	f.ledgers = command.Flags().String("ledgers", "", "directory of the ledgers; that of the records of sweeps if not set")
	command.MarkFlagsMutuallyExclusive("clean-up", "yes")
	command.MarkFlagsMutuallyExclusive("clean-up", "out")
	profile, region := addAccount(command)
	f.settings = addSome(command, lookup, func(variable string) bool { return slices.Contains(trialSettings, variable) })
	f.profile, f.region = profile, region
	command.RunE = func(command *cobra.Command, _ []string) error {
		if !*f.yes && !*f.cleanUp && !std.canAsk() {
			return errors.New("trial needs --yes where nobody can be asked; nothing was made")
		}
		printer := f.output.printer(std)
		t, err := f.trial(command.Context(), printer)
		if err != nil {
			return err
		}
		if *f.cleanUp {
			return cleanUpTrials(command.Context(), t, printer)
		}
		return f.try(command.Context(), t, printer)
	}
	return command
}

// whenInterrupted is what Ctrl-C is answered with while something of a trial may be there.
const whenInterrupted = "interrupted: no further step is begun; what the trial made is removed, which takes some minutes. " +
	"Ctrl-C again ends at once; ami-janitor trial --clean-up then goes on."

// trial is a trial in the account and the region of the AWS configuration.
func (f trialFlags) trial(ctx context.Context, printer *printer) (*trial.Trial, error) {
	account, err := f.awsConfig(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := f.parse(ctx, &account, printer.streams)
	if err != nil {
		return nil, err
	}
	if account.Region == "" {
		return nil, errors.New("no region: give --region, or set AWS_REGION")
	}
	directory := *f.ledgers
	if directory == "" {
		if directory = stateDirectory(f.lookup); directory == "" {
			return nil, errors.New("a trial keeps a ledger, and no home directory is known: say with --ledgers where; nothing was made")
		}
		directory = filepath.Join(directory, "trials")
	}
	pace.New(policy.EC2Share).Apply(&account)
	end := printer.begin(ctx, askingAWS)
	id, err := newJanitor(policy, account, time.Now).Account(ctx)
	if end(); err != nil {
		printer.complain(err)
		return nil, exitStatus(exitRegionFailed)
	}
	return &trial.Trial{
		AWS: account, Account: id, Region: account.Region, Dir: directory, RequireBin: policy.Policy.RequireRecycleBin, PricePerMonth: policy.SnapshotPrice,
		Clock: time.Now, Random: rand.Reader, Tell: func(what string) { printer.progress(what, 0, 0) },
	}, nil
}

// try says what a trial makes, asks, carries it out, and prints what it has learnt.
func (f trialFlags) try(ctx context.Context, t *trial.Trial, printer *printer) error {
	end := printer.begin(ctx, "Reading the rules of the Recycle Bin")
	estimate, err := t.Estimate(ctx)
	end()
	if errors.Is(err, trial.ErrNoRule) {
		err = fmt.Errorf("%w, so that nothing would come back; %s=false tries the rest; nothing was made", err, record.Flag("REQUIRE_RECYCLE_BIN"))
	}
	if err != nil {
		printer.complain(err)
		return exitStatus(exitRegionFailed)
	}
	s := newSheet(widthOf(printer.err), isTerminal(printer.err))
	for _, line := range aboutTrial(t, estimate) {
		s.withCommand(line)
	}
	if !*f.yes {
		s.WriteString(typeYes)
	}
	_, _ = fmt.Fprint(printer.err, s.String())
	if !*f.yes && !printer.hearsYes(ctx) {
		_, err := fmt.Fprintln(printer.out, "Nothing was made.")
		return cmp.Or(err, error(exitStatus(exitDeclined)))
	}
	printer.ending = whenInterrupted
	end = printer.begin(ctx, "Making a snapshot and an image")
	report, err := t.Run(ctx)
	if end(); err != nil {
		return err
	}
	return f.tell(t, report, printer)
}

// aboutTrial says what a trial makes and costs, each in a line.
func aboutTrial(t *trial.Trial, e trial.Estimate) []string {
	lines := []string{fmt.Sprintf("Make a snapshot of %d GiB and an image of it in %s (%s), and take both the whole way: announce, disable and enable, remove, restore, remove again.",
		e.GiB, t.Region, t.Account)}
	switch {
	case e.BinGap != "":
		lines = append(lines, fmt.Sprintf("What the Recycle Bin will hold, and for how long, is not known: %s. Both cost at most %s a month there.",
			strings.TrimRight(plain.Printable(e.BinGap), "."), cents(int(math.Ceil(float64(e.GiB)*t.PricePerMonth*100)))))
	case e.Until.IsZero():
		lines = append(lines, fmt.Sprintf("This costs at most %s. The Recycle Bin takes in nothing, so nothing comes back on the way, and nothing is left.", cents(e.Cents)))
	default:
		held := "both"
		if e.ImageDays == 0 {
			held = "the snapshot"
		} else if e.SnapshotDays == 0 {
			held = "the image"
		}
		lines = append(lines, fmt.Sprintf("This costs at most %s. The Recycle Bin holds %s afterwards, until %s.", cents(e.Cents), held, e.Until.UTC().Format("2 January 2006")))
	}
	return append(lines,
		"It takes minutes where AWS answers in seconds, and three hours at most. Nothing else in the account is changed.",
		"After a kill this removes what is left, by the ledger in "+plain.Printable(t.Dir)+":\nami-janitor trial --clean-up")
}

// cents is an amount in hundredths of a US dollar.
func cents(n int) string {
	if n == 1 {
		return "1 US cent"
	}
	return fmt.Sprintf("%d US cents", n)
}

// tell prints a report, writes it into a file, and turns it into an exit status.
func (f trialFlags) tell(t *trial.Trial, report trial.Report, printer *printer) error {
	path := cmp.Or(*f.out, filepath.Join(t.Dir, report.Trial+".json"))
	// The answers are printed even if they cannot be written into a file.
	written := writeReport(path, report)
	var err error
	if printer.output == outputJSON {
		err = printJSON(printer.out, report)
	} else {
		_, err = fmt.Fprint(printer.out, trialText(report, widthOf(printer.out), isTerminal(printer.out)))
	}
	if written != nil {
		printer.complain(fmt.Errorf("the answers are in no file: %w", written))
	} else {
		printer.say("the answers are in %s: attach it to an issue", path)
	}
	switch {
	case err != nil:
		return err
	case !report.OK() || written != nil:
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

// writeReport writes a report into a file, as --output json prints it.
func writeReport(path string, report trial.Report) error {
	var text bytes.Buffer
	if err := printJSON(&text, report); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o600)
}

// trialText says how each step of a trial ended, what it has learnt, and what remains.
func trialText(report trial.Report, width int, colour bool) string {
	s := newSheet(width, colour)
	s.heading("STEPS")
	s.pairs(len(report.Steps), func(n int) (string, string, text.Color) {
		step := report.Steps[n]
		says := string(step.Status)
		if step.Status != trial.Skipped {
			says += " after " + seconds(step.Seconds)
		}
		if step.Why != "" {
			says += ": " + plain.Printable(step.Why)
		}
		return step.Name, says, stepColours[step.Status]
	})
	s.heading("WHAT AWS DID")
	s.pairs(len(report.Measurements), func(n int) (string, string, text.Color) {
		m := report.Measurements[n]
		return plain.Printable(m.Name), plain.Printable(m.Answer), text.Reset
	})
	s.left(report.Left)
	s.inBin(report.InBin)
	s.WriteByte('\n')
	s.paragraph("", trialSum(report))
	return s.String()
}

var stepColours = map[trial.Status]text.Color{trial.Done: text.FgGreen, trial.Failed: text.FgRed, trial.Skipped: text.FgYellow}

// seconds is a time of a trial, which looks once a second.
func seconds(n float64) string {
	return time.Duration(n * float64(time.Second)).Round(time.Second).String()
}

// pairs writes rows of a name and what there is to say of it, in two columns.
func (s *sheet) pairs(n int, row func(int) (name, says string, colour text.Color)) {
	wide := 0
	for i := range n {
		name, _, _ := row(i)
		wide = max(wide, len(name))
	}
	wide = min(wide, s.width/2)
	t := plainTable()
	for i := range n {
		name, says, colour := row(i)
		t.AppendRow(table.Row{wrap(name, wide), s.paint(colour, wrap(says, s.width-wide-gap))})
	}
	s.WriteString(t.Render() + "\n")
}

// left lists what a trial may have left behind, and what to do.
func (s *sheet) left(left []trial.Left) {
	if len(left) == 0 {
		return
	}
	s.heading(fmt.Sprintf("MAY BE LEFT (%d)", len(left)))
	for _, l := range left {
		s.paragraph("", strings.TrimPrefix(l.ID+": "+plain.Printable(l.Why), ": "))
	}
	s.withCommand("What to do: repeat the clean-up; look at what it names again, and remove it by hand if it is the trial's.\nami-janitor trial --clean-up")
}

// inBin lists what the Recycle Bin holds of a trial.
func (s *sheet) inBin(held []trial.Retained) {
	if len(held) == 0 {
		return
	}
	s.heading(fmt.Sprintf("IN THE RECYCLE BIN (%d)", len(held)))
	for _, r := range held {
		s.paragraph("", r.ID+" until "+r.Until.UTC().Format(listedTime)+" UTC")
	}
}

// trialSum is what a trial comes to, in a sentence.
func trialSum(report trial.Report) string {
	done := 0
	for _, step := range report.Steps {
		if step.Status == trial.Done {
			done++
		}
	}
	sum := fmt.Sprintf("Trial %s in %s: %d of %d steps done", report.Trial, plain.Printable(report.Region), done, len(report.Steps))
	if report.Interrupted {
		sum += ", then interrupted"
	}
	return sum + "; " + remains(report.Left, report.InBin)
}

func remains(left []trial.Left, held []trial.Retained) string {
	switch {
	case len(left) > 0:
		return "something may be left."
	case len(held) > 0:
		return "nothing is left but what the Recycle Bin holds."
	default:
		return "nothing is left in the account, and the Recycle Bin does not show anything of it."
	}
}

// cleanUpTrials removes what killed trials have left, and says so.
func cleanUpTrials(ctx context.Context, t *trial.Trial, printer *printer) error {
	end := printer.begin(ctx, "Reading the ledgers")
	cleaned, err := t.CleanUp(ctx)
	if end(); err != nil {
		return err
	}
	if printer.output == outputJSON {
		err = printJSON(printer.out, cleaned)
	} else {
		_, err = fmt.Fprint(printer.out, cleanedText(cleaned, widthOf(printer.out), isTerminal(printer.out)))
	}
	if err == nil && len(cleaned.Left) > 0 {
		return exitStatus(exitRemovalFailed)
	}
	return err
}

// cleanedText says what a clean-up has removed, and what may be left.
func cleanedText(cleaned trial.Cleaned, width int, colour bool) string {
	s := newSheet(width, colour)
	for _, id := range cleaned.Removed {
		s.paragraph("", id+": removed")
	}
	s.left(cleaned.Left)
	s.inBin(cleaned.InBin)
	if s.Len() > 0 {
		s.WriteByte('\n')
	}
	if len(cleaned.Trials)+len(cleaned.Left) == 0 {
		s.paragraph("", "No trial has left anything.")
	} else {
		s.paragraph("", digest.Count(len(cleaned.Trials), "unfinished trial")+"; "+remains(cleaned.Left, cleaned.InBin))
	}
	return s.String()
}
