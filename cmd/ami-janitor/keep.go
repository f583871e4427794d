package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
)

// keepSettings are the variables that say where the images are, and what keeps them besides.
var keepSettings = []string{"REGIONS", "EXCEPT_REGIONS", "KEEP_TAGS", "EC2_SHARE"}

func keepCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "keep IMAGE...",
		Short: "Keep images from now on, for a reason",
		Long: `Writes the tag ` + ami.KeepTag + ` to images of the real account, each given by its
id or its name. The tag keeps an image as long as it is there, and takes back
its announced removal. The value of the tag is the reason; --reason replaces one
that is there.`,
		Example: examples(
			"keep ami-0123456789abcdef0 --reason 'rollback of release 7'",
			"keep web-2024-01-31 --stack ami-janitor",
		),
		Args: cobra.MinimumNArgs(1),
	}
	reason := command.Flags().String("reason", "", "why, for whoever asks later: up to 256 characters")
	settings := addKeepSettings(command, lookup)
	command.RunE = func(command *cobra.Command, images []string) error {
		value, err := sweep.KeepValue(*reason)
		if err != nil {
			return fmt.Errorf("--reason: %w", err)
		}
		return changeKept(command.Context(), std, settings, func(ctx context.Context, account aws.Config, regions []string, _ policy) ([]sweep.Kept, error) {
			return sweep.KeepImages(ctx, account, regions, images, value)
		}, func(image sweep.Kept) int {
			says := "kept already"
			if image.Changed {
				says = "kept from now on"
			}
			std.tell("%s: %s, %s", imageIn(image), says, plain.Printable(image.KeptBy))
			return 0
		})
	}
	return command
}

func unkeepCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "unkeep IMAGE...",
		Short: "Take the keep tag off images: they are judged again",
		Long: `Takes the tag ` + ami.KeepTag + ` off images of the real account, each given by its
id or its name. The next run judges them like any other, and may remove them.
What else keeps an image, such as a tag of --keep-tags, stays.`,
		Example: examples("unkeep ami-0123456789abcdef0"),
		Args:    cobra.MinimumNArgs(1),
	}
	settings := addKeepSettings(command, lookup)
	command.RunE = func(command *cobra.Command, images []string) error {
		return changeKept(command.Context(), std, settings, func(ctx context.Context, account aws.Config, regions []string, policy policy) ([]sweep.Kept, error) {
			return sweep.UnkeepImages(ctx, account, regions, images, policy.Policy)
		}, func(image sweep.Kept) int {
			switch {
			case image.Changed && image.KeptBy == "":
				std.tell("%s: the keep tag is off; the next run judges it", imageIn(image))
			case image.KeptBy == "":
				std.tell("%s: it has no tag %s", imageIn(image), ami.KeepTag)
			default:
				std.tell("%s: kept all the same, %s, as --keep-tags says; unkeep leaves that tag", imageIn(image), plain.Printable(image.KeptBy))
				return exitRemovalFailed
			}
			return 0
		})
	}
	return command
}

func addKeepSettings(command *cobra.Command, lookup func(string) string) settings {
	profile, region := addAccount(command)
	s := addFunction(command, addSome(command, lookup, func(variable string) bool { return slices.Contains(keepSettings, variable) }))
	s.profile, s.region = profile, region
	return s
}

// changeKept changes the keep tags of images, and says what has become of each. That ends with a
// status.
func changeKept(
	ctx context.Context, std streams, settings settings,
	change func(context.Context, aws.Config, []string, policy) ([]sweep.Kept, error), tell func(sweep.Kept) int,
) error {
	j, from, err := realJanitor(ctx, settings, std)
	if err != nil {
		return err
	}
	printer := &printer{streams: std}
	end := printer.begin(ctx, "Looking for the images")
	defer end()
	regions, err := j.RegionNames(ctx)
	if err != nil {
		end()
		std.complain(err)
		return exitStatus(exitRegionFailed)
	}
	images, err := change(ctx, j.AWS, regions, policy{Config: j.Config, from: from})
	end()
	status := 0
	for _, image := range images {
		if image.Err != nil {
			std.say("%s: %s", imageIn(image), image.Err)
			status = exitRemovalFailed
			continue
		}
		status = max(status, tell(image))
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

func imageIn(image sweep.Kept) string {
	return fmt.Sprintf("%s %s in %s", image.ImageID, plain.Printable(image.Name), image.Region)
}
