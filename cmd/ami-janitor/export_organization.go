package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/export"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Names in the directory of an organization. An account moves to the accounts when its copy is
// complete: a rehearsal refuses a copy that is not, and takes one that is missing for an account
// that nobody could ask.
const (
	organizationFile = "organization.json"
	accountsFolder   = "accounts"
	unfinishedFolder = "unfinished"
)

// accountsAtOnce is how many accounts are exported at the same time. AWS limits requests by
// account.
const accountsAtOnce = 4

// exportOrganization exports an organization.
type exportOrganization struct {
	chosen           *bool
	role, externalID *string
}

func addExportOrganization(command *cobra.Command) exportOrganization {
	return exportOrganization{
		chosen:     command.Flags().Bool("organization", false, "copy every account of the organization that --role can be assumed in"),
		role:       command.Flags().String("role", "", "with --organization: name of the role in each account, after its path if it has one"),
		externalID: command.Flags().String("external-id", "", "with --organization: external id that the role demands"),
	}
}

var roleName = regexp.MustCompile(`^(?:[\w+=,.@-]+/)*[\w+=,.@-]+$`)

func (o exportOrganization) run(ctx context.Context, settings settings, directory string, std streams) error {
	switch {
	case !*o.chosen:
		return errors.New("--role and --external-id: only with --organization")
	case !roleName.MatchString(*o.role):
		return fmt.Errorf("--role: %q is no name of a role such as OrganizationAccountAccessRole", *o.role)
	}
	home, policy, err := settings.real(ctx, std)
	if err != nil {
		return err
	}
	printer := &printer{streams: std}
	end := printer.begin(ctx, "Listing the accounts")
	defer end()
	described, err := describeOrganization(ctx, home)
	if err != nil {
		end()
		return exportFailed(std, err)
	}
	if err := openOrganization(directory, described); err != nil {
		end()
		return err
	}
	copies := copies{directory: directory, printer: printer, summaries: map[string]export.Summary{}, leftOut: map[string]error{}}
	copies.each(described.Accounts, func(account string) (export.Summary, error) {
		member, err := o.member(ctx, home, described, account)
		if err != nil {
			return export.Summary{}, err
		}
		pace.New(policy.EC2Share).Apply(&member)
		return copies.account(account, func(into string) (export.Summary, error) {
			return exportAccount(ctx, newJanitor(policy, member, time.Now), into, nil)
		})
	})
	err = finishOrganization(directory, described)
	end()
	if err != nil {
		return exportFailed(std, err)
	}
	return copies.print(described)
}

// describeOrganization lists the organization of the caller, which is the hub of the copy.
func describeOrganization(ctx context.Context, home aws.Config) (organization.Copy, error) {
	caller, err := sts.NewFromConfig(home).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return organization.Copy{}, fmt.Errorf("asking for the account: %s", wire.ExplainLookup(err))
	}
	return organization.Describe(ctx, home, aws.ToString(caller.Account))
}

// member is the AWS configuration of the role in an account.
func (o exportOrganization) member(ctx context.Context, home aws.Config, described organization.Copy, account string) (aws.Config, error) {
	parsed, err := arn.Parse(described.Organization.ARN)
	if err != nil {
		return aws.Config{}, fmt.Errorf("the ARN of the organization: %w", err)
	}
	role := fmt.Sprintf("arn:%s:iam::%s:role/%s", parsed.Partition, account, *o.role)
	member := home.Copy()
	member.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(home), role, func(options *stscreds.AssumeRoleOptions) {
		options.RoleSessionName = "ami-janitor-export"
		if *o.externalID != "" {
			options.ExternalID = o.externalID
		}
	}))
	_, err = member.Credentials.Retrieve(ctx)
	switch {
	case wire.Code(err) == "AccessDenied":
		return member, shutError{fmt.Errorf("assuming %s: %s", role, wire.ExplainLookup(err))}
	case err != nil:
		return member, fmt.Errorf("assuming %s: %s", role, wire.ExplainLookup(err))
	default:
		return member, nil
	}
}

// openOrganization returns an error if the directory holds something else than an export of the
// organization.
func openOrganization(directory string, described organization.Copy) error {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(directory, 0o700)
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !slices.Contains([]string{organizationFile, accountsFolder, unfinishedFolder}, entry.Name()) {
			return fmt.Errorf("%s holds %q, which no export of an organization writes: export into a new directory", directory, entry.Name())
		}
	}
	data, err := os.ReadFile(filepath.Join(directory, organizationFile)) //nolint:gosec // The user names the directory.
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var before organization.Copy
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err == nil && before.Organization.ID != described.Organization.ID {
		err = fmt.Errorf("it is a copy of the organization %q, and not of %s: export into a new directory", before.Organization.ID, described.Organization.ID)
	}
	if err != nil {
		return fmt.Errorf("%s in %s: %w", organizationFile, directory, err)
	}
	return nil
}

// finishOrganization writes the list of accounts.
func finishOrganization(directory string, described organization.Copy) error {
	// It stays if it is not empty: the next start goes on with what is in it.
	_ = os.Remove(filepath.Join(directory, unfinishedFolder))
	data, err := json.MarshalIndent(described, "", "    ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, organizationFile), append(data, '\n'), 0o600)
}

// copies are the copies of accounts, and what has become of each.
type copies struct {
	directory string
	printer   *printer

	mu        sync.Mutex
	summaries map[string]export.Summary // Of complete copies, by account.
	leftOut   map[string]error          // Why there is no copy, by account.
}

// shutError is why an account cannot be copied, however often it is tried.
type shutError struct{ error }

// each exports the active accounts, several at a time.
func (c *copies) each(accounts []organization.DescribedAccount, do func(account string) (export.Summary, error)) {
	var exporting errgroup.Group
	exporting.SetLimit(accountsAtOnce)
	for _, account := range accounts {
		exporting.Go(func() error {
			if account.State != census.Active {
				c.note(account.ID, export.Summary{}, shutError{fmt.Errorf("the account is %s", account.State)})
			} else {
				summary, err := do(account.ID)
				c.note(account.ID, summary, err)
			}
			c.printer.progress(exportingAccounts, c.done(), len(accounts))
			return nil
		})
	}
	_ = exporting.Wait() // What failed is noted.
}

// exportingAccounts is the stage of an export in which accounts are read.
const exportingAccounts = "Exporting accounts"

func (c *copies) note(account string, summary export.Summary, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.leftOut[account] = err
		return
	}
	c.summaries[account] = summary
}

func (c *copies) done() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.summaries) + len(c.leftOut)
}

// account exports an account beside the accounts, and moves it to them when its copy is complete.
func (c *copies) account(id string, do func(directory string) (export.Summary, error)) (export.Summary, error) {
	root, err := os.OpenRoot(c.directory)
	if err != nil {
		return export.Summary{}, err
	}
	defer root.Close() //nolint:errcheck // Nothing was written through it.
	for _, folder := range []string{accountsFolder, unfinishedFolder} {
		if err := root.MkdirAll(folder, 0o700); err != nil {
			return export.Summary{}, err
		}
	}
	complete, unfinished := filepath.Join(accountsFolder, id), filepath.Join(unfinishedFolder, id)
	if err := root.Rename(complete, unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return export.Summary{}, err
	}
	summary, err := do(filepath.Join(c.directory, unfinished))
	switch {
	case err != nil:
		return summary, err
	case len(summary.Failed) > 0:
		return summary, fmt.Errorf("the copy is not complete; not read: %s", strings.Join(summary.Failed, "; "))
	default:
		return summary, root.Rename(unfinished, complete)
	}
}

// print says what has come of the export, and turns it into an exit status.
func (c *copies) print(described organization.Copy) error {
	std := c.printer.streams
	_, _ = fmt.Fprintf(std.out, "%s: organization %s, %d of %d accounts\n", c.directory, described.Organization.ID, len(c.summaries), len(described.Accounts))
	all := export.Summary{Parts: map[string]export.Part{}}
	var missing []string
	status := 0
	for _, account := range described.Accounts {
		summary, err := c.summaries[account.ID], c.leftOut[account.ID]
		for file, part := range summary.Parts {
			all.Parts[account.ID+"/"+file] = part
		}
		for _, refused := range summary.Refused {
			all.Refused = append(all.Refused, account.ID+": "+refused)
		}
		if err == nil {
			continue
		}
		missing = append(missing, fmt.Sprintf("%s (%s): %v", account.ID, plain.Printable(account.Name), err))
		if _, isShut := errors.AsType[shutError](err); !isShut {
			status = exitRegionFailed
		}
	}
	if len(all.Parts) > 0 {
		printAge(std.out, all)
	}
	if len(missing) > 0 {
		std.say("THESE ARE LEFT OUT. A rehearsal keeps what they may launch:\n  %s", strings.Join(missing, "\n  "))
	}
	if len(all.Refused) > 0 {
		std.say("AWS did not show everything. A rehearsal on the copy keeps what depends on it:\n  %s", strings.Join(all.Refused, "\n  "))
	}
	if status == 0 && len(missing)+len(all.Refused) > 0 {
		status = exitRemovalFailed
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
