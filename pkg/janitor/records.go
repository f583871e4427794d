package janitor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

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
	kept, err := journal.Open(location, j.AWS)
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

// sumsTimeout is how long the record waits for the sums over all runs.
const sumsTimeout = 5 * time.Second

// addUp adds a real run to the sums over all runs. If that fails, the sums are left as they are,
// and the run has not failed.
func addUp(ctx context.Context, s survey, run *record.Run) {
	ctx, cancel := context.WithTimeout(ctx, sumsTimeout)
	defer cancel()
	account := run.Account()
	if s.journal == nil || account == "" {
		return
	}
	if run.DryRun {
		if sums, err := record.ParseSums(s.sums.JSON, account); err == nil && s.sums.JSON != nil {
			run.Since = sums.Since(run.StartedAt)
		}
		return
	}
	var sums record.Sums
	token := rand.Text()
	err := s.journal.UpdateSums(ctx, s.sums, func(data []byte) (_ []byte, err error) {
		if sums, err = record.ParseSums(data, account); err != nil {
			return nil, err
		}
		sums.Add(*run, token)
		return json.MarshalIndent(sums, "", "  ")
	})
	if err == nil {
		run.Since = sums.Since(run.StartedAt)
	}
}

// readSums begins to read the sums over all runs, and returns what waits for them. Those that
// cannot be read are like those that nobody has read.
func readSums(ctx context.Context, kept *journal.Journal) (wait func() journal.Sums) {
	read := make(chan journal.Sums, 1)
	go func() {
		var sums journal.Sums
		if kept != nil {
			within, cancel := context.WithTimeout(ctx, sumsTimeout)
			defer cancel()
			sums, _ = kept.Sums(within)
		}
		read <- sums
	}()
	return func() journal.Sums { return <-read }
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
