package janitor

import (
	"context"

	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// Undo returns the account in the regions of the configuration, for an undo.
func (j *Janitor) Undo() *undo.Account {
	return &undo.Account{
		AWS:        j.AWS,
		Clock:      j.Clock,
		Watch:      j.Watch,
		Regions:    j.RegionNames,
		CheckClock: j.checkClock,
		Journal:    j.journalToRead,
		Bundles: func(ctx context.Context) (*bundle.Store, error) {
			account, err := j.Account(ctx)
			return j.bundles(account), err
		},
	}
}

// journalToRead opens the journal outside of a run. The account is asked for only if it says where
// the journal is.
func (j *Janitor) journalToRead(ctx context.Context) (*journal.Journal, error) {
	if j.Config.Records != "" || j.RecordsOf == nil {
		return j.openJournal("")
	}
	account, err := j.Account(ctx)
	if err != nil {
		return nil, err
	}
	return j.openJournal(account)
}

// Unmark takes back the announced removal of images in the regions of the configuration, whatever
// stage it is at.
func (j *Janitor) Unmark(ctx context.Context, ids []string) ([]sweep.Unmarked, error) {
	if err := j.checkClock(ctx); err != nil {
		return nil, err
	}
	regions, err := j.RegionNames(ctx)
	if err != nil {
		return nil, err
	}
	return sweep.UnmarkImages(ctx, j.AWS, regions, ids, j.Clock())
}
