package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
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
		case flag != nil && flag.Changed:
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
		printer := output.printer(std)
		if !*yes {
			j.Confirm = func(plan report.Run) bool { return printer.confirm(command.Context(), plan) }
		}
		return carryOut(command.Context(), j, *dryRun, printer)
	}
	return command
}

// realJanitor works on the account of the default AWS configuration.
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
	return newJanitor(parsed, account, time.Now), nil
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
