// Package journal stores what runs plan and what they did in an S3 bucket or a directory. From it
// the next run learns what an earlier one left unfinished, and which images a person restored.
//
// A document is complete or does not exist. A document that cannot be read, or contradicts its key,
// is an error and never an empty history: the caller then only plans. Every error is a sentence
// that names the document.
//
// A journal belongs to one account: two accounts would mistake each other's work for their own.
package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ErrNotFound says that the journal has no such document.
var ErrNotFound = errors.New("not in the journal")

// ErrUnreadable says that a document was read and is damaged, or contradicts its key.
var ErrUnreadable = errors.New("not what a run wrote there")

// Journal is safe for concurrent use.
type Journal struct{ store store }

// Open returns the journal at a location, which Check describes. A missing directory is created; a
// bucket is not accessed yet. It is expected in the region of the configuration.
func Open(location string, config aws.Config) (*Journal, error) {
	if err := Check(location); err != nil {
		return nil, err
	}
	if bucket, prefix, ok := splitURL(location); ok {
		return &Journal{openBucket(config, bucket, prefix)}, nil
	}
	opened, err := openDirectory(location)
	if err != nil {
		return nil, err
	}
	return &Journal{opened}, nil
}

// Where returns where the record of a run is kept, for people: an s3:// URL or the name of a file.
func (j *Journal) Where(run string) string { return j.store.where(recordKey(run)) }

// SaveRecord stores the record of a run, a JSON object that names the run.
func (j *Journal) SaveRecord(ctx context.Context, run string, record []byte) error {
	if err := checkRun(run); err != nil {
		return err
	}
	if err := parseRecord(record, run); err != nil {
		return fmt.Errorf("%s is not stored: %w", j.Where(run), err)
	}
	return j.store.put(ctx, recordKey(run), record)
}

// Record returns the record of a run. The error is ErrNotFound if there is none.
func (j *Journal) Record(ctx context.Context, run string) ([]byte, error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	record, _, err := j.store.get(ctx, recordKey(run))
	if err != nil {
		return nil, err
	}
	return record, j.unreadable(recordKey(run), parseRecord(record, run))
}

// Runs returns the ids of the runs with a record or a plan, the newest first.
func (j *Journal) Runs(ctx context.Context) ([]string, error) {
	documents, err := j.store.list(ctx, runsPrefix)
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, d := range documents {
		key := d.key
		run, document, _ := strings.Cut(strings.TrimPrefix(key, runsPrefix), "/")
		if err := checkRun(run); err != nil || document == "" {
			return nil, j.foreign(key)
		}
		if "/"+document != pageName { // A page may outlive its record.
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	runs = slices.Compact(runs)
	slices.Reverse(runs)
	return runs, nil
}

// unreadable adds the name of the document to an error; nil stays nil.
func (j *Journal) unreadable(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s is %w: %w", j.store.where(key), ErrUnreadable, err)
}

// foreign is the error for a key that no run writes.
func (j *Journal) foreign(key string) error {
	return fmt.Errorf("%s is nothing that a run wrote; move it out of the journal", j.store.where(key))
}
