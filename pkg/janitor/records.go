package janitor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// openJournal returns nil if no journal is kept.
func (j *Janitor) openJournal(account string) (*journal.Journal, error) {
	location := j.Config.Records
	if location == "" && j.RecordsOf != nil {
		location = j.RecordsOf(account)
	}
	if location == "" {
		return nil, nil
	}
	kept, err := journal.Open(location, j.home())
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return kept, nil
}

// isFirst reports whether a run is certainly the first in a journal.
func isFirst(ctx context.Context, kept *journal.Journal, run string) bool {
	if kept == nil {
		return false
	}
	runs, err := kept.Runs(ctx)
	return err == nil && !slices.ContainsFunc(runs, func(other string) bool { return other != run })
}

// pastRuns are what the journal says of earlier runs.
type pastRuns struct {
	isFirst bool         // It knows of none.
	sums    journal.Sums // Over all runs.
	isSum   bool         // The sums are known.
}

// readPast reads what a journal says of earlier runs; known is the journal if it is that of all
// runs, else nil.
func readPast(ctx context.Context, kept, known *journal.Journal, run string) pastRuns {
	past := pastRuns{isFirst: isFirst(ctx, known, run)}
	if kept != nil {
		var err error
		past.sums, err = kept.Sums(ctx)
		past.isSum = err == nil
	}
	return past
}

// since says what runs have removed so far, a real one with this run among them. It is empty if the
// sums over all runs could not be read.
func (p pastRuns) since(run record.Run) record.Since {
	sums, err := record.ParseSums(p.sums.JSON, run.Account())
	if !p.isSum || err != nil {
		return record.Since{}
	}
	if !run.DryRun {
		sums.Add(run)
	}
	return sums.Since(run.StartedAt)
}

// addUp adds a real run to the sums over all runs, once its record is kept. If that fails, the sums
// are left as they are, and the run has not failed.
func (p pastRuns) addUp(ctx context.Context, kept *journal.Journal, run record.Run) {
	account := run.Account()
	if kept == nil || account == "" || run.DryRun {
		return
	}
	_ = kept.UpdateSums(ctx, p.sums, func(data []byte) ([]byte, error) {
		sums, err := record.ParseSums(data, account)
		if err != nil {
			return nil, err
		}
		sums.Add(run)
		return json.MarshalIndent(sums, "", "  ")
	})
}

// archive keeps the full record of a run; that of a dry run only if RECORDS is set. If it cannot be
// kept, the record says so, and the run has failed.
func (j *Janitor) archive(ctx context.Context, kept *journal.Journal, run *record.Run) {
	if kept == nil || run.DryRun && (j.Config.Records == "" || j.BorrowedRecords) {
		return
	}
	run.Record = kept.Where(run.Run)
	var text bytes.Buffer
	err := run.Encode(&text, "")
	if err == nil {
		err = kept.SaveRecord(ctx, run.Run, text.Bytes())
	}
	if err != nil {
		run.Record, run.RecordError = "", err.Error()
	}
}
