package janitor

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// What a run looks at, one by one, for whoever checks whether it could.

// KeepList reads the keep list: all of it, or it is an error.
func (j *Janitor) KeepList(ctx context.Context) (retention.KeepList, error) {
	return j.readKeepList(ctx)
}

// Alias returns the account's alias; empty if it has none.
func (j *Janitor) Alias(ctx context.Context) (string, error) {
	out, err := wire.IAM(j.AWS).ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
	if err != nil || len(out.AccountAliases) == 0 {
		return "", err
	}
	return out.AccountAliases[0], nil
}

// Listing makes the listings of one source in a region, as a run does, for some of its images.
func (j *Janitor) Listing(ctx context.Context, lookup usage.Lookup, source string) *usage.Collection {
	asked := j.lookup(lookup.Account, lookup.Region, lookup.Images)
	asked.Names, asked.Reports = []string{source}, false
	asked.Texts = usage.NewTexts(ctx, j.home(), j.Config.TextObjects, j.Config.Policy.RemoveOrphans)
	return usage.List(ctx, j.clients(lookup.Region), asked)
}

// Bin reads the Recycle Bin of a region: its rules, and what is in it.
func (j *Janitor) Bin(ctx context.Context, region string) ami.RecycleBin {
	return recyclebin.Read(ctx, wire.RecycleBin(j.AWS, region), wire.EC2(j.AWS, region))
}

// Journal opens the journal of an account; nil if none is kept.
func (j *Janitor) Journal(account string) (*journal.Journal, error) { return j.openJournal(account) }
