package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

func explainCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "explain IMAGE...",
		Short: "Say what every rule and every lookup finds about images, and what would change the verdict; change nothing",
		Long: "Plans a run on the real account, or with --account on a copy of one, and says all that speaks for keeping the images, " +
			"and what would have to change for the verdict on them to change. An image is given by its id, or by its name if only one has that.",
		Args: cobra.MinimumNArgs(1),
	}
	output := addOutput(command)
	settings := addSettings(command, lookup)
	copied := addCopied(command, lookup)
	command.Flags().Lookup("account").Usage = "directory of AWS CLI output that describes an account; the real account if not set"
	command.RunE = func(command *cobra.Command, images []string) error {
		j, err := explainingJanitor(command, settings, copied, std.err)
		if err != nil {
			return err
		}
		warn(std, j.Copy)
		explanations, missing := j.Explain(command.Context(), images)
		switch {
		case len(explanations) == 0:
		case *output == outputJSON:
			err = printJSON(std.out, explanations)
		default:
			_, err = fmt.Fprint(std.out, digest.ExplainText(explanations)+"\n"+digest.PolicyText(j.Config.Policy.String(), j.Reader))
		}
		if err == nil && missing != nil {
			_, _ = fmt.Fprintln(std.err, "ami-janitor:", strings.ReplaceAll(missing.Error(), "\n", "\nami-janitor: "))
			return exitStatus(exitRegionFailed)
		}
		return err
	}
	return command
}

// explainingJanitor works on a copy where one is named, and else on the real account. Only a copy has a time of its own.
func explainingJanitor(command *cobra.Command, settings settings, copied copied, says io.Writer) (*janitor.Janitor, error) {
	if !command.Flags().Changed("account") {
		if command.Flags().Changed("now") {
			return nil, errors.New("--now is for a copy of an account: it needs --account")
		}
		j, _, err := realJanitor(command.Context(), settings, says)
		return j, err
	}
	r, err := copied.rehearsal(command.Context(), settings, says)
	if r.assumed != "" {
		_, _ = fmt.Fprintln(says, "ami-janitor:", r.assumed)
	}
	return r.Janitor, err
}

func unmarkCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "unmark IMAGE...",
		Short: "Take back the announced removal of images of the real account; their idle time starts anew today",
		Args:  cobra.MinimumNArgs(1),
	}
	settings := addSettings(command, lookup)
	command.RunE = func(command *cobra.Command, ids []string) error {
		j, _, err := realJanitor(command.Context(), settings, std.err)
		if err != nil {
			return err
		}
		unmarked, err := j.Unmark(command.Context(), ids)
		status := 0
		for _, image := range unmarked {
			switch {
			case image.Err != nil:
				status = exitRemovalFailed
				_, _ = fmt.Fprintf(std.err, "ami-janitor: %s in %s: %v\n", image.ImageID, image.Region, image.Err)
			case !image.Marked:
				_, _ = fmt.Fprintf(std.out, "%s in %s: its removal was not announced; nothing to take back\n", image.ImageID, image.Region)
			default:
				_, _ = fmt.Fprintf(std.out, "%s in %s: taken back; its idle time starts anew today\n", image.ImageID, image.Region)
			}
		}
		if err != nil {
			_, _ = fmt.Fprintln(std.err, "ami-janitor:", err)
			status = exitRegionFailed
		}
		if status != 0 {
			return exitStatus(status)
		}
		return nil
	}
	return command
}
