package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

func explainCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "explain IMAGE...",
		Short: "Say all the reasons to keep images, and to remove them",
		Long: `Plans a run on the real account, or with --account on a copy of one, and says
what every rule and every lookup finds about images, and what would have to
change for the verdict on them to change; and what earlier runs did about them,
as their records say. An image is given by its id, its name if only one has
that, or a glob for names. Of an image that a run has removed, it says who
removed it, when and why, and how to get it back.`,
		Example: examples(
			"explain ami-0123456789abcdef0 'web-*'",
			"explain web-2024-01-31 --stack ami-janitor",
			"explain before-upgrade --account copy   # on a copy",
		),
		Args: cobra.MinimumNArgs(1),
	}
	output := addOutput(command)
	settings := addReal(command, lookup)
	copied := addCopied(command, lookup)
	command.Flags().Lookup("account").Usage = "directory of AWS CLI output that describes an account; the real account if not set"
	everywhere := command.Flags().Bool("organization", false, "say what the last run over an organization found out; --records names where it is kept")
	command.MarkFlagsMutuallyExclusive("organization", "account")
	command.RunE = func(command *cobra.Command, images []string) error {
		if *everywhere {
			hub, err := realHub(command.Context(), settings, std)
			if err != nil {
				return err
			}
			return explainOrganization(command.Context(), hub, images, output.printer(std))
		}
		j, err := explainingJanitor(command, settings, copied, std)
		if err != nil {
			return err
		}
		warn(std, j.Copy)
		printer := output.printer(std)
		j.Watch = printer.progress
		end := printer.begin(command.Context(), askingAWS)
		explanations, missing := j.Explain(command.Context(), images)
		end()
		switch {
		case len(explanations) == 0:
		case *output == outputJSON:
			err = printJSON(std.out, explanations)
		default:
			_, err = fmt.Fprint(std.out, explanationText(explanations, digest.PolicyText(j.Config.Policy.String(), j.Reader), columns(std.out)))
		}
		if err == nil && missing != nil {
			std.complain(missing)
			return exitStatus(exitRegionFailed)
		}
		return err
	}
	return command
}

// explanationText is all there is to say of images, and by which policy, fitted to a terminal's
// width if that is not 0.
func explanationText(explanations []digest.Explanation, policy string, wide int) string {
	if wide > 0 {
		policy = wholeWords(policy, wide) + "\n"
	}
	return digest.ExplainText(explanations, wide) + "\n" + policy
}

// explainingJanitor works on a copy where one is named, and else on the real account. Only a copy
// has a time of its own.
func explainingJanitor(command *cobra.Command, settings settings, copied copied, std streams) (*janitor.Janitor, error) {
	if !command.Flags().Changed("account") {
		if command.Flags().Changed("now") {
			return nil, errors.New("--now is for a copy of an account: it needs --account")
		}
		j, _, err := realJanitor(command.Context(), settings, std)
		return j, err
	}
	if *settings.profile != "" {
		return nil, errors.New("--profile is for the real account, and --account names a copy")
	}
	if region := *settings.region; region != "" {
		copied.lookup = func(variable string) string {
			if variable == "AWS_REGION" {
				return region
			}
			return settings.lookup(variable)
		}
	}
	r, err := copied.rehearsal(command.Context(), settings, std)
	if r.assumed != "" {
		std.say("%s", r.assumed)
	}
	return r.Janitor, err
}

func unmarkCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "unmark IMAGE...",
		Short: "Take back the announced removal of images",
		Long: `Takes back the announced removal of images of the real account, each given by
its id or its name. Their idle time starts anew today.`,
		Example: examples("unmark ami-0123456789abcdef0 --stack ami-janitor"),
		Args:    cobra.MinimumNArgs(1),
	}
	settings := addReal(command, lookup)
	command.RunE = func(command *cobra.Command, ids []string) error {
		j, _, err := realJanitor(command.Context(), settings, std)
		if err != nil {
			return err
		}
		printer := &printer{streams: std}
		end := printer.begin(command.Context(), "Looking for the images")
		unmarked, err := j.Unmark(command.Context(), ids)
		end()
		status := 0
		for _, image := range unmarked {
			switch {
			case image.Err != nil:
				status = exitRemovalFailed
				std.say("%s in %s: %v", image.ImageID, image.Region, image.Err)
			case !image.Marked:
				std.tell("%s in %s: its removal was not announced; nothing to take back", image.ImageID, image.Region)
			default:
				std.tell("%s in %s: taken back; its idle time starts anew today", image.ImageID, image.Region)
			}
		}
		if err != nil {
			std.complain(err)
			status = exitRegionFailed
		}
		if status != 0 {
			return exitStatus(status)
		}
		return nil
	}
	return command
}
