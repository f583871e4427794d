package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ami-janitor/pkg/janitor"
	"ami-janitor/pkg/pace"
	"ami-janitor/pkg/report"
)

// settings are the flags of the same names as the variables of the configuration.
type settings struct {
	flags  *pflag.FlagSet
	lookup func(string) string
}

func addSettings(command *cobra.Command, lookup func(string) string) settings {
	for _, setting := range janitor.Settings() {
		if !setting.FunctionOnly {
			command.Flags().String(flagName(setting.Variable), setting.Default, setting.Help)
		}
	}
	return settings{command.Flags(), lookup}
}

func flagName(variable string) string { return strings.ReplaceAll(strings.ToLower(variable), "_", "-") }

// functionOnly are the variables that speak to the function alone. DRY_RUN is one: a command says itself whether it acts.
var functionOnly = func() map[string]bool {
	variables := map[string]bool{}
	for _, setting := range janitor.Settings() {
		variables[setting.Variable] = setting.FunctionOnly
	}
	return variables
}()

// parse returns the configuration: a flag wins over its variable, and what speaks to the function alone is not read.
func (s settings) parse() (janitor.Config, error) {
	config, err := janitor.ParseConfig(func(variable string) string {
		flag := s.flags.Lookup(flagName(variable))
		switch {
		case functionOnly[variable]:
			return ""
		case flag.Changed:
			return flag.Value.String()
		default:
			return s.lookup(variable)
		}
	})
	if err != nil {
		return config, errors.New(strings.ReplaceAll(err.Error(), "\n", "\nami-janitor: "))
	}
	return config, nil
}

func planCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "plan",
		Short: "Show what a run would do to the real account; change nothing",
		Args:  cobra.NoArgs,
	}
	settings := addSettings(command, lookup)
	output := addOutput(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		j, err := realJanitor(command.Context(), settings)
		if err != nil {
			return err
		}
		return carryOut(command.Context(), j, true, output.printer(std))
	}
	return command
}

func sweepCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "sweep",
		Short: "Plan, ask, and remove images and snapshots from the real account",
		Args:  cobra.NoArgs,
	}
	settings := addSettings(command, lookup)
	output := addOutput(command)
	yes := command.Flags().Bool("yes", false, "do not ask")
	dryRun := command.Flags().Bool("dry-run", false, "stop after the plan")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if !*yes && !*dryRun && !std.canAsk() {
			return errors.New("sweep needs --yes where nobody can be asked; nothing was changed")
		}
		j, err := realJanitor(command.Context(), settings)
		if err != nil {
			return err
		}
		if !*dryRun {
			if err := keepRecords(j, std, lookup); err != nil {
				return err
			}
		}
		printer := output.printer(std)
		if !*yes {
			j.Confirm = func(plan report.Run) bool { return printer.confirm(command.Context(), plan) }
		}
		return carryOut(command.Context(), j, *dryRun, printer)
	}
	return command
}

// stateDirectory is where ami-janitor keeps what has to outlive it: below $XDG_STATE_HOME, or where the platform has such files (XDG Base
// Directory Specification, which ignores relative paths; on other systems, where their programs keep data). It is empty where the user has no home.
func stateDirectory(lookup func(string) string) string {
	base, home := lookup("XDG_STATE_HOME"), lookup("HOME")
	switch {
	case filepath.IsAbs(base):
	case runtime.GOOS == "windows":
		base = lookup("LocalAppData")
	case !filepath.IsAbs(home):
		return ""
	case runtime.GOOS == "darwin":
		base = filepath.Join(home, "Library", "Application Support")
	default:
		base = filepath.Join(home, ".local", "state")
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "ami-janitor")
}

// ownRecords are those that sweeps have kept of an account where RECORDS named no place; nowhere if there are none.
func ownRecords(lookup func(string) string) func(account string) string {
	return func(account string) string {
		directory := filepath.Join(stateDirectory(lookup), account)
		if info, err := os.Stat(directory); stateDirectory(lookup) == "" || err != nil || !info.IsDir() {
			return ""
		}
		return directory
	}
}

// keepRecords lets a sweep keep records where RECORDS names no place: in a directory for the account, because a journal belongs to one. It
// says so once.
func keepRecords(j *janitor.Janitor, std streams, lookup func(string) string) error {
	if j.Config.Records != "" {
		return nil
	}
	directory := stateDirectory(lookup)
	if directory == "" {
		return errors.New("sweep keeps records, and no home directory is known: say with --records where; nothing was changed")
	}
	var once sync.Once
	j.RecordsOf = func(account string) string {
		records := filepath.Join(directory, account)
		once.Do(func() {
			_, _ = fmt.Fprintf(std.err, "ami-janitor: records are kept in %s; --records names another place\n", records)
		})
		return records
	}
	return nil
}

// realJanitor works on the account of the default AWS configuration, and goes by the records that earlier sweeps have kept.
func realJanitor(ctx context.Context, settings settings) (*janitor.Janitor, error) {
	parsed, err := settings.parse()
	if err != nil {
		return nil, err
	}
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("the AWS configuration: %w", err)
	}
	if account.Region == "" {
		account.Region = parsed.FirstRegion()
	}
	if account.Region == "" {
		return nil, errors.New("no region: set AWS_REGION or --regions")
	}
	pace.New(float64(parsed.EC2Share)).Apply(&account)
	j := newJanitor(parsed, account, time.Now)
	j.RecordsOf = ownRecords(settings.lookup)
	return j, nil
}

func newJanitor(parsed janitor.Config, account aws.Config, clock func() time.Time) *janitor.Janitor {
	return &janitor.Janitor{Config: parsed, AWS: account, Clock: clock, Version: version, ReadFile: os.ReadFile}
}

// carryOut runs the janitor, prints the record, and turns it into an exit status.
func carryOut(ctx context.Context, j *janitor.Janitor, dryRun bool, printer *printer) error {
	j.Watch = printer.progress
	record := j.Run(ctx, janitor.NewRunID(j.Clock(), rand.Reader), dryRun)
	if err := printer.print(record); err != nil {
		_, _ = fmt.Fprintln(printer.err, "ami-janitor: printing the record:", err)
		return exitStatus(exitRegionFailed)
	}
	switch {
	case janitor.Err(record) != nil:
		return exitStatus(exitRegionFailed)
	case record.Failed(), record.LacksProof():
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}
