package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// organizationFlags choose a copy of an organization to rehearse on.
type organizationFlags struct {
	directory *string
	deny      *[]string
}

func addOrganization(command *cobra.Command) organizationFlags {
	flags := organizationFlags{
		directory: command.Flags().String("organization", "", "directory of an organization, with a directory for each account, instead of that of one account"),
		deny:      command.Flags().StringSlice("deny", nil, "with --organization: account whose roles refuse the hub; may be repeated"),
	}
	command.MarkFlagsMutuallyExclusive("organization", "account")
	return flags
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// organizationRehearsal is a hub that works on a copy of an organization.
type organizationRehearsal struct {
	*organization.Hub
	copied *emulator.Organization
}

// load returns the emulated organization and its clock.
func (f organizationFlags) load(copied copied) (*emulator.Organization, func() time.Time, error) {
	clock, err := copied.clock()
	if err != nil {
		return nil, nil, err
	}
	loaded, err := emulator.LoadOrganization(os.DirFS(*f.directory), emulator.Options{Region: copied.region(), Now: clock})
	if err != nil {
		return nil, nil, fmt.Errorf("--organization %q: %w", *f.directory, err)
	}
	for _, account := range *f.deny {
		if !accountID.MatchString(account) {
			return nil, nil, fmt.Errorf("--deny: %q is not the id of an account", account)
		}
		loaded.Deny(account)
	}
	return loaded, clock, nil
}

// rehearsal gives each account what its stack would make: the rules of the Recycle Bin.
func (f organizationFlags) rehearsal(ctx context.Context, copied copied, settings settings, std streams) (organizationRehearsal, error) {
	loaded, clock, err := f.load(copied)
	if err != nil {
		return organizationRehearsal{}, err
	}
	home := aws.Config{
		Region: copied.region(), HTTPClient: loaded.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
	}
	settings.parseAs = config.ParseOrganization
	policy, err := settings.parse(ctx, &home, std)
	if err != nil {
		return organizationRehearsal{}, err
	}
	if policy.Records == "" {
		policy.Records = "s3://" + emulator.RecordsBucket
	}
	for _, account := range loaded.Accounts() {
		makeRules(account, policy.Policy.RecycleBinDays)
	}
	return organizationRehearsal{
		&organization.Hub{Config: policy.Config, AWS: home, Clock: clock, Version: version, Reader: policy.reader, ReadFile: readFile}, loaded,
	}, nil
}

// clock is what time it is in the emulated accounts.
func (c copied) clock() (func() time.Time, error) {
	if *c.now == "" {
		return time.Now, nil
	}
	now, err := time.Parse(time.RFC3339, *c.now)
	if err != nil {
		return nil, fmt.Errorf("--now: %q is not a time such as 2026-11-23T02:00:00Z", *c.now)
	}
	return func() time.Time { return now }, nil
}

// rehearse carries out a run over the organization, prints its record, and turns it into an exit
// status.
func (f organizationFlags) rehearse(ctx context.Context, copied copied, settings settings, printer *printer, dryRun bool, stateOut string) error {
	if !slices.Contains([]output{outputText, outputTable, outputJSON}, printer.output) {
		return fmt.Errorf("--output %s: a run over an organization is printed as text or json", printer.output)
	}
	if stateOut != "" && isSameFile(stateOut, *f.directory) {
		return fmt.Errorf("--state-out: %q is the directory of --organization, and the copy would be overwritten", stateOut)
	}
	r, err := f.rehearsal(ctx, copied, settings, printer.streams)
	if err != nil {
		return err
	}
	r.Watch = printer.progress
	end := printer.begin(ctx, "Listing the accounts")
	run := r.Run(ctx, ami.NewRunID(r.Clock(), rand.Reader), dryRun)
	end()
	if err := printer.printOrganization(run); err != nil {
		return err
	}
	if stateOut != "" {
		if err := r.copied.Save(filepath.Clean(stateOut)); err != nil {
			printer.say("writing the state: %v", err)
			return exitStatus(exitRegionFailed)
		}
	}
	switch {
	case run.Error != "" || run.Totals.Failed > 0:
		return exitStatus(exitRegionFailed)
	case run.NotSwept != "" || run.Totals.Uncounted > 0 || run.Totals.Totals.Failed > 0:
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

// printOrganization prints the record of a run over an organization.
func (p *printer) printOrganization(run record.Organization) error {
	p.stopProgress()
	if p.output == outputJSON {
		encoder := json.NewEncoder(p.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(run)
	}
	_, err := fmt.Fprintf(p.out, "%s%+v\n", p.heading, run.Totals)
	return err
}
