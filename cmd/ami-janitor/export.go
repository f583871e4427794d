package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/export"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

// exportSettings are the variables that say what is exported, and how fast.
var exportSettings = []string{"REGIONS", "EXCEPT_REGIONS", "KEEP_LIST", "CLOUDFORMATION_TEMPLATES", "TEXT_OBJECTS", "EC2_SHARE"}

func exportCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "export DIR",
		Short: "Copy a real account into a directory, to rehearse on",
		Long: `Copies what a run looks at in the real account into a directory, to rehearse on.
The directory has to be new or empty, or one in which an export of the same
account and regions was begun: what is there already stays, and the rest is
read. It only reads. Of the objects in --text-objects it copies the image ids
alone.

With --organization it lists the organization, assumes a role in each active
account, and copies it into DIR/accounts/ACCOUNT. An account that cannot be
copied is left out: a rehearsal treats it as one that nobody could ask.

Exit status:
  0  everything was read
  1  something failed: the copy is not complete; the same export again goes on
     with it
  2  wrong usage, or a directory that holds something else; nothing was written
  3  AWS has refused something for want of a permission; a rehearsal on the copy
     keeps what depends on it`,
		Example: examples(
			"export copy --profile prod --region eu-west-1",
			"rehearse --account copy --dry-run",
			"export copies --organization --role OrganizationAccountAccessRole",
			"rehearse --organization copies --dry-run",
		),
		Args: cobra.ExactArgs(1),
	}
	over := addExportOrganization(command)
	profile, region := addAccount(command)
	settings := addSome(command, lookup, func(variable string) bool { return slices.Contains(exportSettings, variable) })
	settings.profile, settings.region = profile, region
	command.RunE = func(command *cobra.Command, args []string) error {
		if *over.chosen || *over.role+*over.externalID != "" {
			return over.run(command.Context(), settings, args[0], std)
		}
		j, _, err := realJanitor(command.Context(), settings, std)
		if err != nil {
			return err
		}
		printer := &printer{streams: std}
		end := printer.begin(command.Context(), askingAWS)
		defer end()
		summary, err := exportAccount(command.Context(), j, args[0], printer.progress)
		end()
		if usage, ok := errors.AsType[export.UsageError](err); ok {
			return usage
		}
		if err != nil {
			return exportFailed(std, err)
		}
		return printExport(std, args[0], summary)
	}
	return command
}

// exportAccount exports an account into a directory.
func exportAccount(ctx context.Context, j *janitor.Janitor, directory string, watch func(stage string, done, total int)) (export.Summary, error) {
	regions, err := j.RegionNames(ctx)
	if err != nil {
		return export.Summary{}, err
	}
	e := export.Export{
		AWS: j.AWS, Regions: regions, Directory: directory, TextObjects: j.Config.TextObjects, StackTemplates: j.Config.StackTemplates,
		Clock: time.Now, Watch: watch,
	}
	for _, location := range j.Config.KeepLists {
		if bucket, key, ok := location.Object(); ok {
			e.Lists = append(e.Lists, export.List{Bucket: bucket, Key: key})
		}
	}
	return e.Run(ctx)
}

func exportFailed(std streams, err error) error {
	std.complain(err)
	return exitStatus(exitRegionFailed)
}

// printExport says what has come of an export: the copy and its age on the standard output, what
// could not be read on the standard error.
func printExport(std streams, directory string, summary export.Summary) error {
	_, _ = fmt.Fprintf(std.out, "%s: account %s, %s\n", directory, summary.Account, strings.Join(summary.Regions, ", "))
	printAge(std.out, summary)
	if len(summary.Refused) > 0 {
		std.say("AWS did not show everything. A rehearsal on the copy keeps what depends on it:\n  %s", strings.Join(summary.Refused, "\n  "))
	}
	switch {
	case len(summary.Failed) > 0:
		std.say("THE COPY IS NOT COMPLETE, and cannot be rehearsed on. The same export again goes on with it. Not read:\n  %s", strings.Join(summary.Failed, "\n  "))
		return exitStatus(exitRegionFailed)
	case len(summary.Refused) > 0:
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

// printAge says when the copy was read. One that more than one start of the export has read is not
// of one time, so it says when each file was read, the oldest first.
func printAge(out io.Writer, summary export.Summary) {
	var first, last time.Time
	var lines []string
	starts := map[int]bool{}
	for file, part := range summary.Parts {
		if first.IsZero() || part.Began.Before(first) {
			first = part.Began
		}
		if part.Ended.After(last) {
			last = part.Ended
		}
		starts[part.Start] = true
		lines = append(lines, fmt.Sprintf("  %s to %s  %s", moment(part.Began), moment(part.Ended), file))
	}
	_, _ = fmt.Fprintf(out, "Read from %s to %s.\n", moment(first), moment(last))
	if len(starts) > 1 {
		slices.Sort(lines)
		_, _ = fmt.Fprintf(out, "The copy is NOT OF ONE TIME, because more than one start of the export has read it:\n%s\n", strings.Join(lines, "\n"))
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
