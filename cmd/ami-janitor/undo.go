package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// choice is what an undo is about: exactly one of them.
type choice struct {
	run    string
	images []string
	list   bool
}

func (c choice) check() error {
	chosen := 0
	for _, is := range []bool{c.run != "", len(c.images) > 0, c.list} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		return errors.New("undo takes the id of a run, or --image, or --list: one of them")
	}
	return nil
}

func undoCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "undo [RUN]",
		Short: "Bring back what a run has removed",
		Long: `Restores the images and snapshots that a run has removed, or some images, from
the Recycle Bin; enables those that the janitor had disabled; and notes the day
on each, from which its idle time starts anew. It asks nothing: to undo twice is
harmless, and so is to go on after an interruption.`,
		Example: examples(
			"undo --list                          # what can be brought back",
			"undo 20261123T020000Z-3f9c1a --stack ami-janitor",
			"undo --image ami-0123456789abcdef0",
		),
		Args: cobra.MaximumNArgs(1),
	}
	output := addOutput(command)
	chosen := choice{}
	command.Flags().StringSliceVar(&chosen.images, "image", nil, "an image to bring back, instead of all that a run has removed; may be given more than once")
	command.Flags().BoolVar(&chosen.list, "list", false, "show what can be brought back, and change nothing")
	everywhere := command.Flags().Bool("organization", false, "undo a run over an organization, in each account with its role undo; --records names the bucket")
	accounts := command.Flags().StringSlice("accounts", nil, "with --organization: only these accounts")
	settings := addReal(command, lookup)
	command.RunE = func(command *cobra.Command, args []string) error {
		chosen.run = strings.Join(args, "")
		if err := chosen.check(); err != nil {
			return err
		}
		if *everywhere {
			if chosen.run == "" {
				return errors.New("undo --organization takes the id of a run")
			}
			hub, err := realHub(command.Context(), settings, std)
			if err != nil {
				return err
			}
			return undoOrganization(command.Context(), hub, chosen.run, *accounts, output.printer(std))
		}
		j, _, err := realJanitor(command.Context(), settings, std)
		if err != nil {
			return err
		}
		if chosen.list {
			return listRestorable(command, j, *output, std)
		}
		return carryOutUndo(command, j, chosen, output.printer(std))
	}
	return command
}

func listRestorable(command *cobra.Command, j *janitor.Janitor, output output, std streams) error {
	printer := &printer{streams: std}
	end := printer.begin(command.Context(), "Reading the Recycle Bin")
	restorable := j.Undo().Restorable(command.Context())
	end()
	var err error
	if output == outputJSON {
		err = printJSON(std.out, restorable)
	} else {
		_, err = fmt.Fprintln(std.out, restorableText(restorable, columns(std.out)))
		if restorable.Warning != "" {
			std.say("%s", plain.Printable(restorable.Warning))
		}
		for _, region := range restorable.Failed {
			std.complain(fmt.Errorf("%s: %s", region.Region, region.Error))
		}
	}
	if err == nil && len(restorable.Failed) > 0 {
		return exitStatus(exitRegionFailed)
	}
	return err
}

// carryOutUndo undoes, prints what became of it, and turns that into an exit status.
func carryOutUndo(command *cobra.Command, j *janitor.Janitor, chosen choice, printer *printer) error {
	j.Watch = printer.progress
	end := printer.begin(command.Context(), "Reading the Recycle Bin")
	var undone undo.Report
	var err error
	if chosen.run != "" {
		undone, err = j.Undo().Run(command.Context(), chosen.run)
	} else {
		undone, err = j.Undo().Images(command.Context(), chosen.images)
	}
	end()
	if err != nil {
		return err
	}
	if printer.output == outputJSON {
		err = printJSON(printer.out, undone)
	} else {
		_, err = fmt.Fprintln(printer.out, fitted(undoneText(undone), columns(printer.out)))
	}
	if undone.Warning != "" {
		printer.say("%s", plain.Printable(undone.Warning))
	}
	failed := undone.Err()
	if failed != nil {
		printer.complain(failed)
	}
	switch {
	case err != nil:
		return err
	case failed != nil || undone.Warning != "" && undone.IsEmpty():
		return exitStatus(exitRegionFailed)
	case !undone.Complete():
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

const listedTime = "2006-01-02 15:04"

// restorableText lists what can be brought back, by run and region, and how. It fits into columns
// from 60 on; with 0 columns names are whole.
func restorableText(restorable undo.Restorable, columns int) string {
	switch {
	case len(restorable.Removals) == 0 && len(restorable.Failed) > 0:
		return "What the Recycle Bin holds is not known: regions could not be read."
	case len(restorable.Removals) == 0:
		return "The Recycle Bin holds nothing that a run has removed."
	}
	list := restorableList{columns: columns, id: len("image"), name: len("name")}
	for _, removal := range restorable.Removals {
		list.id = max(list.id, len(removal.ImageID+removal.SnapshotID))
		list.name = max(list.name, text.StringWidthWithoutEscSequences(plain.Printable(removal.Name)))
	}
	if columns > 0 {
		const narrowest = 6
		list.name = max(narrowest, min(list.name, columns-list.id-len(time.DateOnly)-len(listedTime)-3*gap))
	}
	for rest := restorable.Removals; len(rest) > 0; {
		isOther := func(r undo.Removal) bool { return r.Run != rest[0].Run || r.Region != rest[0].Region }
		n := slices.IndexFunc(rest, isOther)
		if n < 0 {
			n = len(rest)
		}
		list.add(rest[:n])
		rest = rest[n:]
	}
	list.WriteString("ami-janitor undo RUN brings back all of a run,\n" +
		"ami-janitor undo --image IMAGE one image. Times are in UTC.")
	return list.String()
}

// restorableList is a list of removals, with the widths of its columns.
type restorableList struct {
	strings.Builder
	columns, id, name int
}

// add lists what one run removed in one region.
func (l *restorableList) add(removals []undo.Removal) {
	of := "Unknown run"
	if run := removals[0].Run; run != "" {
		of = "Run " + plain.Printable(run)
	}
	_, _ = fmt.Fprintf(l, "%s in %s (%d)\n", of, removals[0].Region, len(removals))
	l.line("image", "name", "removed", "restorable until")
	for _, removal := range removals {
		until := "no promise"
		if !removal.RestorableUntil.IsZero() {
			until = removal.RestorableUntil.UTC().Format(listedTime)
		}
		name := plain.Printable(removal.Name)
		if l.columns > 0 {
			name = inTheMiddle(name, l.name)
		}
		l.line(removal.ImageID+removal.SnapshotID, name, removal.RemovedAt.UTC().Format(time.DateOnly), until)
		if removal.Why != "" {
			l.WriteString(hang("  ", plain.Printable(removal.Why), l.columns) + "\n")
		}
	}
	l.WriteByte('\n')
}

func (l *restorableList) line(id, name, removed, until string) {
	between := strings.Repeat(" ", gap)
	l.WriteString(text.Pad(id, l.id, ' ') + between + text.Pad(name, l.name, ' ') + between + text.Pad(removed, len(time.DateOnly), ' ') + between + until + "\n")
}

// mayBeMore is said of a run if no record of it was read.
const mayBeMore = "It may have removed more: no record of it was read (--records)."

// undoneText says what is back, and what is not.
func undoneText(undone undo.Report) string {
	var text strings.Builder
	images, back := len(undone.Gone), 0
	for _, region := range undone.Regions {
		for _, image := range region.Images {
			images++
			if image.Status.Back() {
				back++
			}
			writeImage(&text, region.Region, image)
		}
		for _, snapshot := range region.Snapshots {
			_, _ = fmt.Fprintf(&text, "%s in %s: %s\n", snapshot.SnapshotID, region.Region, outcome(snapshot.Status, snapshot.Why))
		}
	}
	for _, region := range undone.Regions {
		for _, b := range region.Bundles {
			_, _ = fmt.Fprintf(&text, "Bundle of %s in %s, s3://%s: %s\n", b.ImageID, region.Region, plain.Printable(b.Location), outcome(b.Status, b.Why))
			if b.Register != "" {
				_, _ = fmt.Fprintf(&text, "  The Recycle Bin takes in no image of this kind; %s makes a new one of it.\n", plain.Printable(b.Register))
			}
		}
	}
	for _, image := range undone.Gone {
		_, _ = fmt.Fprintf(&text, "%s: %s\n", image.ImageID, outcome(image.Status, image.Why))
	}
	if text.Len() == 0 {
		return nothingUndone(undone)
	}
	text.WriteString("\n")
	if undone.Unrecorded {
		_, _ = fmt.Fprintf(&text, "%d images are there, of %d that tags show to be of this run. %s", back, images, mayBeMore)
	} else {
		_, _ = fmt.Fprintf(&text, "%d of %d images are there.", back, images)
	}
	if back > 0 {
		text.WriteString(" Their idle time starts anew on the day that " + ami.RestoredTag + " names.")
	}
	return text.String()
}

// nothingUndone says why there was nothing to bring back.
func nothingUndone(undone undo.Report) string {
	switch {
	case undone.Err() != nil:
		return "Nothing is back: what the Recycle Bin holds is not known."
	case undone.Unrecorded:
		return "Nothing carries the tags of this run. " + mayBeMore
	default:
		return "There is nothing to bring back."
	}
}

func writeImage(text io.Writer, region string, image undo.Image) {
	name := ""
	if image.Name != "" {
		name = " " + plain.Printable(image.Name)
	}
	_, _ = fmt.Fprintf(text, "%s in %s%s: %s\n", image.ImageID, region, name, outcome(image.Status, image.Why))
	if image.Enabled {
		_, _ = fmt.Fprintln(text, "  The janitor had disabled it; it is enabled again.")
	}
	if image.DeprecatedAt != "" {
		_, _ = fmt.Fprintf(text, "  Its deprecation on %s was left alone: aws ec2 disable-image-deprecation --region %s --image-id %s ends it.\n",
			day(image.DeprecatedAt), region, image.ImageID)
	}
	for _, snapshot := range image.Snapshots {
		if !snapshot.Status.Back() || !image.Status.Back() {
			_, _ = fmt.Fprintf(text, "  %s: %s\n", snapshot.SnapshotID, outcome(snapshot.Status, snapshot.Why))
		}
	}
}

// outcome says what became of an image or a snapshot, in a few words and why.
func outcome(status undo.Status, why string) string {
	words := map[undo.Status]string{
		undo.Restored:    "back",
		undo.Present:     "there",
		undo.Incomplete:  "there, BUT NOT WHOLE",
		undo.NotRestored: "NOT BACK",
		undo.Gone:        "GONE",
	}[status]
	if why == "" {
		return words
	}
	return words + ": " + plain.Printable(why)
}

// day is the date of a time as EC2 writes it.
func day(at string) string {
	parsed, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return plain.Printable(at)
	}
	return parsed.UTC().Format(time.DateOnly)
}
