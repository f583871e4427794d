// Command ami-janitor shows, rehearses and carries out what the nightly run does; see its help.
package main

import (
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
	exitRemovalFailed = 3 // Or something was left alone for want of proof.
)

// exitStatuses is what the help says of them.
const exitStatuses = `Exit status:
  0  done
  1  a region failed, or an image was not found
  2  wrong usage or unreadable input; nothing was changed
  3  some removals failed, or could not be taken back; or something was left alone, or
     would be, only because nobody could prove that nothing needs it, or bring it back`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv))
}

// run is main without the process. It returns the exit status.
func run(ctx context.Context, args []string, std streams, lookup func(string) string) int {
	root := &cobra.Command{
		Use:               "ami-janitor",
		Short:             "Removes the AMIs that nobody has used for a long time, and their snapshots",
		Long:              "Removes the AMIs that nobody has used for a long time, and their snapshots.\n\n" + exitStatuses,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.AddCommand(
		planCommand(std, lookup),
		sweepCommand(std, lookup),
		explainCommand(std, lookup),
		unmarkCommand(std, lookup),
		undoCommand(std, lookup),
		rehearseCommand(std, lookup),
		emulateCommand(std, lookup),
		exportCommand(std, lookup),
		versionCommand(std),
	)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	default:
		_, _ = fmt.Fprintln(std.err, "ami-janitor:", err)
		return exitUsage
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
