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

// openJournal returns nil if no records are to be kept.
func (j *Janitor) openJournal(account string) (*journal.Journal, error) {
	location := j.Config.Records
	if location == "" && j.RecordsOf != nil {
		location = j.RecordsOf(account)
	}
	if location == "" {
		return nil, nil
	}
	books, err := journal.Open(location, j.AWS)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return books, nil
}

// isFirst reports whether a run is the first in a journal, as far as that is known for sure.
func isFirst(ctx context.Context, books *journal.Journal, run string) bool {
	if books == nil {
		return false
	}
	runs, err := books.Runs(ctx)
	return err == nil && !slices.ContainsFunc(runs, func(other string) bool { return other != run })
}

// sumsPatience is how long the record waits for the sums over all runs.
const sumsPatience = 5 * time.Second

// addUp adds a real run to the sums over all runs, and notes these. That it fails is no fault of the run, and then nothing is noted.
func addUp(ctx context.Context, books *journal.Journal, run *record.Run) {
	ctx, cancel := context.WithTimeout(ctx, sumsPatience)
	defer cancel()
	account := run.Account()
	if books == nil || account == "" {
		return
	}
	var sums record.Sums
	if run.DryRun {
		if data, err := books.Sums(ctx); err == nil {
			sums, _ = record.ParseSums(data, account)
			run.Since = sums.Since(run.StartedAt)
		}
		return
	}
	token := rand.Text()
	err := books.UpdateSums(ctx, func(data []byte) (_ []byte, err error) {
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

// archive keeps the full record of a run, of a dry one only where RECORDS says. That it could not be kept is an error of the run.
func (j *Janitor) archive(ctx context.Context, books *journal.Journal, record *record.Run) {
	if books == nil || record.DryRun && (j.Config.Records == "" || j.BorrowedRecords) {
		return
	}
	record.Record = books.Where(record.Run)
	var text bytes.Buffer
	err := record.Encode(&text, "")
	if err == nil {
		err = books.SaveRecord(ctx, record.Run, text.Bytes())
	}
	if err != nil {
		record.Record, record.RecordError = "", err.Error()
	}
}
