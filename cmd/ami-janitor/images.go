package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ami-janitor/pkg/janitor"
	"ami-janitor/pkg/report"
)

func explainCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "explain IMAGE...",
		Short: "Say what every rule and every lookup finds about images, and what would change the verdict; change nothing",
		Long: "Plans a run on the real account, or with --account on a copy of one, and says all that speaks for keeping the images, " +
			"and what would have to change for the verdict on them to change.",
		Args: cobra.MinimumNArgs(1),
	}
	output := addOutput(command)
	settings := addSettings(command, lookup)
	copied := addCopied(command, lookup)
	command.Flags().Lookup("account").Usage = "directory of AWS CLI output that describes an account; the real account if not set"
	command.RunE = func(command *cobra.Command, ids []string) error {
		j, err := explainingJanitor(command, settings, copied, std.err)
		if err != nil {
			return err
		}
		explanations, err := j.Explain(command.Context(), ids)
		if err != nil {
			_, _ = fmt.Fprintln(std.err, "ami-janitor:", err)
			return exitStatus(exitRegionFailed)
		}
		if *output == outputJSON {
			encoder := json.NewEncoder(std.out)
			encoder.SetIndent("", "  ")
			return encoder.Encode(explanations)
		}
		_, err = fmt.Fprint(std.out, report.ExplainText(explanations)+"\n"+report.PolicyText(j.Config.Policy().String(), j.Reader))
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
	j, _, err := copied.janitor(command.Context(), settings, says)
	return j, err
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
