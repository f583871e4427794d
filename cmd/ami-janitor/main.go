// Command ami-janitor shows, rehearses and carries out what the nightly run does; see its help.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// The exit statuses besides 0.
const (
	exitRegionFailed  = 1
	exitUsage         = 2 // Wrong usage or unreadable input; nothing was changed.
	exitRemovalFailed = 3 // Or something was left alone because proof is missing.
	exitDeclined      = 4
	exitChanges       = 5   // Of plan --exit-code.
	exitInterrupted   = 130 // As shells have it of SIGINT.
)

// exitStatuses is what the help says of them.
const exitStatuses = `Exit status:
  0  done
  1  a region failed, or an image was not found
  2  wrong usage or unreadable input; nothing was changed
  3  some removals failed, or could not be taken back; or something was left
     alone, or would be, only because nobody could prove that nothing needs it,
     or bring it back
  4  the answer to the question of sweep or trial was not yes; nothing was
     changed
  5  plan --exit-code: there is something to do
  130  interrupted (Ctrl-C); what was begun is finished`

const about = `Removes the AMIs that nobody has used for a long time, and their snapshots.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)       // A second interruption ends the process.
	cobra.EnableCommandSorting = false // The help has them in the order of a person's interest.
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv))
}

// run is main without the process. It returns the exit status.
func run(ctx context.Context, args []string, std streams, lookup func(string) string) int {
	command, err := newRoot(args, std, lookup).ExecuteContextC(ctx)
	var status exitStatus
	if err != nil && !errors.As(err, &status) {
		std.complain(err)
		status = exitUsage
	}
	if ctx.Err() != nil && command.Name() != emulateName { // Only emulate is always ended so.
		return exitInterrupted
	}
	return int(status)
}

func newRoot(args []string, std streams, lookup func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:   "ami-janitor",
		Short: about,
		Long:  about,
		Example: examples(
			"plan --region eu-west-1       # what a run would remove, and why",
			"explain web-2024-01-31        # what keeps an image",
			"rehearse --dry-run            # the same on the built-in sample",
		),
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageFunc(printUsage)
	root.AddGroup(commandGroups()...)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	addCommands(root, groupLook, planCommand(std, lookup), explainCommand(std, lookup), doctorCommand(std, lookup), reportCommand(std, lookup))
	addCommands(root, groupChange, sweepCommand(std, lookup), undoCommand(std, lookup), unmarkCommand(std, lookup),
		keepCommand(std, lookup), unkeepCommand(std, lookup))
	addCommands(root, groupTry, exportCommand(std, lookup), rehearseCommand(std, lookup), emulateCommand(std, lookup),
		trialCommand(std, lookup))
	addCommands(root, groupOther, referencesCommand(std, lookup), versionCommand(std))
	for _, command := range root.Commands() {
		command.Flags().SortFlags = false
		fits := command.Args
		command.Args = func(command *cobra.Command, words []string) error {
			return cmp.Or(looseValue(command, args), fits(command, words))
		}
	}
	return root
}

func addCommands(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, command := range commands {
		command.GroupID = group
		root.AddCommand(command)
	}
}

// exitStatus ends a command whose output has already said everything.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func versionCommand(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, version)
			return err
		},
	}
}
