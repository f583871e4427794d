package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// organizationFlags choose a copy of an organization to rehearse on.
type organizationFlags struct {
	directory *string
	deny      *[]string
}

func addOrganization(command *cobra.Command) organizationFlags {
	flags := organizationFlags{
		directory: command.Flags().String("organization", "", "directory of an organization, with a directory for each account, or "+sampleName+", the built-in one, instead of that of one account"),
		deny:      command.Flags().StringSlice("deny", nil, "with --organization: account whose roles refuse the hub; may be repeated"),
	}
	command.MarkFlagsMutuallyExclusive("organization", "account")
	return flags
}

// sampleName stands for the built-in organization; ./sample is a directory.
const sampleName = "sample"

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
	options := emulator.Options{Region: copied.region(), Now: clock}
	var loaded *emulator.Organization
	if *f.directory == sampleName {
		loaded, err = sample.Organization(options)
	} else {
		loaded, err = emulator.LoadOrganization(os.DirFS(*f.directory), options)
	}
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
	policy.DryRun = false // That speaks to the functions alone.
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
	if err := printer.checkOrganization(); err != nil {
		return err
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
	return printer.statusOf(run)
}

// checkOrganization returns an error if a run over an organization cannot be printed so.
func (p *printer) checkOrganization() error {
	if !slices.Contains([]output{outputText, outputTable, outputJSON}, p.output) {
		return fmt.Errorf("--output %s: a run over an organization is printed as text or json", p.output)
	}
	return nil
}

// statusOf turns a run over an organization into an exit status.
func (p *printer) statusOf(run record.Organization) error {
	switch {
	case run.Error != "" || run.Totals.Failed > 0:
		return exitStatus(exitRegionFailed)
	case p.tellsChanges && slices.ContainsFunc(run.Accounts, func(m record.MemberAccount) bool { return m.Record != nil && hasWork(*m.Record) }):
		return exitStatus(exitChanges)
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
		return run.Encode(p.out, "  ")
	}
	_, err := fmt.Fprintln(p.out, p.heading+strings.TrimRight(digest.OrganizationText(run), "\n"))
	return err
}

// hub is the hub of a real organization, seen from where its credentials are.
func realHub(ctx context.Context, settings settings, std streams) (*organization.Hub, error) {
	home, err := settings.awsConfig(ctx)
	if err != nil {
		return nil, err
	}
	settings.parseAs = config.ParseOrganization
	policy, err := settings.parse(ctx, &home, std)
	if err != nil {
		return nil, err
	}
	if home.Region == "" {
		home.Region = policy.FirstRegion()
	}
	if home.Region == "" {
		return nil, errors.New("no region: give --region, or set AWS_REGION")
	}
	if policy.Records == "" {
		return nil, errors.New("--organization needs --records: the bucket of the organization's runs, such as s3://bucket")
	}
	return &organization.Hub{Config: policy.Config, AWS: home, Clock: time.Now, Version: version, Reader: policy.reader, Paced: true, ReadFile: readFile}, nil
}

// undoOrganization undoes a run in all accounts, or in some, and prints what became of it.
func undoOrganization(ctx context.Context, hub *organization.Hub, run string, accounts []string, printer *printer) error {
	end := printer.begin(ctx, "Restoring")
	undone, err := hub.Undo(ctx, run, accounts)
	end()
	if err != nil {
		return err
	}
	if printer.output == outputJSON {
		err = printJSON(printer.out, undone)
	}
	status := 0
	for _, u := range undone {
		if printer.output != outputJSON && u.Error == "" {
			_, err = fmt.Fprintf(printer.out, "Account %s:\n%s\n\n", u.Account, fitted(undoneText(u.Report), columns(printer.out)))
		}
		switch {
		case u.Error != "":
			printer.say("account %s: %s", u.Account, u.Error)
			status = exitRegionFailed
		case u.Report.Err() != nil:
			printer.complain(fmt.Errorf("account %s: %w", u.Account, u.Report.Err()))
			status = exitRegionFailed
		case !u.Report.Complete():
			status = max(status, exitRemovalFailed)
		}
	}
	if err == nil && status != 0 {
		return exitStatus(status)
	}
	return err
}

// explainOrganization says what the last run over an organization found out about images.
func explainOrganization(ctx context.Context, hub *organization.Hub, images []string, printer *printer) error {
	end := printer.begin(ctx, "Reading the last run")
	explanations, err := hub.Explain(ctx, "", images)
	end()
	switch {
	case err != nil:
		return err
	case printer.output == outputJSON:
		return printJSON(printer.out, explanations)
	}
	unknown := 0
	for i := range explanations {
		_, err = fmt.Fprintln(printer.out, fitted(organizationExplanation(&explanations[i]), columns(printer.out)))
		if explanations[i].Image == nil {
			unknown++
		}
	}
	if err == nil && unknown > 0 {
		return exitStatus(exitRegionFailed)
	}
	return err
}

// organizationExplanation is all that a run over an organization says of an image.
func organizationExplanation(e *organization.Explanation) string {
	var text strings.Builder
	write := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	if e.Image == nil {
		write("%s: no account that run %s has judged owns it.", plain.Printable(e.ImageID), e.Run)
	} else {
		write("%s %s of account %s in %s: %s, as run %s judged it.", e.ImageID, plain.Printable(e.Image.Name), e.Account, e.Image.Region, e.Image.Verdict, e.Run)
		for _, reason := range e.Image.Reasons {
			write("  %s: %s", reason.Code, plain.Printable(reason.Detail))
		}
	}
	for _, use := range e.Uses {
		more := ""
		if use.More > 0 {
			more = fmt.Sprintf(" and %d more", use.More)
		}
		write("  account %s names it: %s%s (%s)", use.Account, plain.Printable(use.ARN), more, use.Source)
	}
	if len(e.Uses) == 0 {
		write("  No other account that was counted names it.")
	}
	if e.Seen.Account != "" {
		write("  Account %s was seen to use it on %s.", e.Seen.Account, e.Seen.At.UTC().Format(time.DateOnly))
	}
	for _, gap := range e.Gaps {
		write("  Not known, %s: %s", gap, plain.Printable(gap.Err))
	}
	return strings.TrimRight(text.String(), "\n")
}
