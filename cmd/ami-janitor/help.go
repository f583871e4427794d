package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the width of the narrowest terminal that the help fits.
const helpWidth = 80

// The groups of commands in the help.
const (
	groupLook   = "look"
	groupChange = "change"
	groupTry    = "try"
	groupOther  = "other"
)

func commandGroups() []*cobra.Group {
	return []*cobra.Group{
		{ID: groupLook, Title: "Look, and change nothing:"},
		{ID: groupChange, Title: "Remove, keep and take back:"},
		{ID: groupTry, Title: "Try on a copy of an account, or on an image of its own:"},
		{ID: groupOther, Title: "Other commands:"},
	}
}

// The groups of flags in the help, in this order. Flags without a group come first.
const (
	flagsShown    = "What a table lists"
	flagsWhere    = "Which account, regions and policy"
	flagsRemoved  = "What is removed"
	flagsJudged   = "What is judged"
	flagsUse      = "What counts as use"
	flagsAnnounce = "What is announced first"
	flagsUndo     = "What can be undone"
)

var flagGroups = []struct {
	title     string
	variables []string
}{
	{flagsShown, nil},
	{flagsWhere, []string{"REGIONS", "EXCEPT_REGIONS"}},
	{flagsRemoved, []string{
		"STALE_AFTER", "NEVER_LAUNCHED_AFTER", "ALLOW_SHORTER", "KEEP_NEWEST", "FAMILY_TAG", "MAX_DEREGISTRATIONS", "DELETE_SNAPSHOTS",
		"ORPHANED_SNAPSHOTS", "ORPHANED_AFTER", "MAX_ORPHANED_SNAPSHOTS", "BUNDLES", "BUNDLE_BUCKETS", "SNAPSHOT_PRICE",
	}},
	{flagsJudged, []string{"NAMES", "ONLY_TAGS", "KEEP_TAGS", "KEEP_LIST", "KEEP_LIST_MAX_AGE", "SHARED_IMAGES", "IMAGE_BUILDER_IMAGES", "MARKETPLACE_IMAGES", "FAILED_IMAGES"}},
	{flagsUse, []string{"USAGE_SOURCES", "CLOUDFORMATION_TEMPLATES", "TEXT_OBJECTS", "LAUNCH_TEMPLATE_VERSIONS", "EC2_SHARE"}},
	{flagsAnnounce, []string{"GRACE", "GRACE_ACTION", "OWNER_TAG", "POLICY_NAME"}},
	{flagsUndo, []string{"REQUIRE_RECYCLE_BIN", "RECYCLE_BIN_DAYS", "RECORDS"}},
}

// groupOf returns the title under which the help has the flag of a variable.
func groupOf(variable string) string {
	for _, group := range flagGroups {
		if slices.Contains(group.variables, variable) {
			return group.title
		}
	}
	return ""
}

const groupAnnotation = "group"

// group puts a flag under a title of the help.
func group(flag *pflag.Flag, title string) {
	if title != "" {
		if flag.Annotations == nil {
			flag.Annotations = map[string][]string{}
		}
		flag.Annotations[groupAnnotation] = []string{title} // cobra has others.
	}
}

// examples are commands that a person may type, one a line.
func examples(commands ...string) string {
	return "  ami-janitor " + strings.Join(commands, "\n  ami-janitor ")
}

// printUsage prints how a command is used: examples first, then commands and flags in groups.
func printUsage(command *cobra.Command) error {
	out := command.OutOrStderr()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	say("Usage:\n")
	if command.Runnable() {
		say("  %s\n", command.UseLine())
	}
	if command.HasAvailableSubCommands() {
		say("  %s COMMAND\n", command.CommandPath())
	}
	if command.HasExample() {
		say("\nExamples:\n%s\n", strings.TrimRight(command.Example, "\n"))
	}
	printCommands(out, command)
	printFlags(out, command)
	if !command.HasParent() {
		say("\n%s\n\nMore about a command: %s COMMAND --help\n", exitStatuses, command.CommandPath())
	}
	return nil
}

func printCommands(out io.Writer, command *cobra.Command) {
	for _, group := range append(command.Groups(), &cobra.Group{Title: "Commands:"}) {
		titled := false
		for _, c := range command.Commands() {
			if c.GroupID != group.ID || !c.IsAvailableCommand() && c.Name() != "help" {
				continue
			}
			if !titled {
				_, _ = fmt.Fprintf(out, "\n%s\n", group.Title)
				titled = true
			}
			_, _ = fmt.Fprintf(out, "  %-*s %s\n", command.Commands()[0].NamePadding(), c.Name(), c.Short)
		}
	}
}

func printFlags(out io.Writer, command *cobra.Command) {
	groups := map[string]*pflag.FlagSet{}
	titles := []string{""}
	for _, group := range flagGroups {
		titles = append(titles, group.title)
	}
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		title := strings.Join(flag.Annotations[groupAnnotation], "")
		if groups[title] == nil {
			groups[title] = pflag.NewFlagSet(title, pflag.ContinueOnError)
			groups[title].SortFlags = false
		}
		groups[title].AddFlag(flag)
	})
	for _, title := range titles {
		if flags := groups[title]; flags != nil && flags.HasAvailableFlags() {
			if title == "" {
				title = "Flags"
			}
			_, _ = fmt.Fprintf(out, "\n%s:\n%s", title, flags.FlagUsagesWrapped(helpWidth))
		}
	}
}

// onOff is the flag of a setting that is true or false: --NAME is true. What its value means is for
// the configuration to say, which tells all faults together.
type onOff string

// Set, String and Type make onOff a flag.
func (o *onOff) Set(value string) error { *o = onOff(value); return nil }

func (o *onOff) String() string { return string(*o) }

// Type is that of flags whose value the help does not name.
func (o *onOff) Type() string { return "bool" }

// looseValue returns an error if the value of a flag that is true or false stands behind it as a
// word of its own, where it would be taken for an argument.
func looseValue(command *cobra.Command, typed []string) error {
	for i, word := range typed[:max(0, len(typed)-1)] {
		if word == "--" {
			return nil
		}
		name, isFlag := strings.CutPrefix(word, "--")
		flag := command.Flags().Lookup(name)
		value := strings.ToLower(typed[i+1])
		if isFlag && flag != nil && flag.Value.Type() == "bool" && slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "1", "0"}, value) {
			return fmt.Errorf("%s takes its value after an equals sign: type %s=%t", word, word, slices.Contains([]string{"true", "yes", "on", "1"}, value))
		}
	}
	return nil
}
