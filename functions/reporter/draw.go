package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/report"
)

// What is read at most, so that it fits into the function's memory and time.
const (
	// Bytes of one record, about 80,000 images. While the index is drawn, two are in memory: these
	// have taken less than 500 MB.
	largestRecord = 32 << 20
	mostRecords   = 100                 // Records in the trend,
	mostBytes     = 256 << 20           // their bytes together,
	trendOf       = 30 * 24 * time.Hour // and how far back from the latest they go.
)

// indexTries is how often the index is drawn, if runs go on ending meanwhile.
const indexTries = 3

// unreadableError is why a record cannot be shown, however often one tries.
type unreadableError struct{ error }

func isUnreadable(err error) bool {
	_, is := errors.AsType[unreadableError](err)
	return is
}

// handle draws the page of a record that has arrived, and the index. Events may come twice and in
// any order: all that counts is what is in the bucket. An object that is no record is left alone,
// the function's own pages among them; see the rule in template.yaml.
func (f *function) handle(ctx context.Context, payload json.RawMessage) error {
	arrived, err := parseEvent(payload)
	if err != nil {
		return err
	}
	object := arrived.Detail.Object.Key
	run, isRecord := f.records.RunOf(arrived.Detail.Bucket.Name, object)
	if !isRecord {
		f.log.WarnContext(ctx, "no record of a run; nothing was drawn", "bucket", arrived.Detail.Bucket.Name, "key", object)
		return nil
	}
	recorded, err := f.records.Recorded(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(recorded, func(r journal.Recorded) bool { return r.Run == run })
	if at < 0 {
		f.log.WarnContext(ctx, "the record has gone since", "run", run)
		return f.drawIndex(ctx)
	}
	return errors.Join(f.drawRun(ctx, recorded[at]), f.drawIndex(ctx))
}

// drawRun draws the page of a run. If its record cannot be shown, the page says so.
func (f *function) drawRun(ctx context.Context, r journal.Recorded) error {
	var page bytes.Buffer
	run, err := f.read(ctx, r)
	switch {
	case err == nil:
		var one report.Report
		one.Add(run)
		err = one.HTML(&page)
	case isUnreadable(err):
		f.log.ErrorContext(ctx, "the record cannot be shown", "run", r.Run, "error", err.Error())
		err = report.Unreadable(&page, r.Run, err.Error())
	}
	if err != nil {
		return err
	}
	where, err := f.records.SavePage(ctx, r.Run, page.Bytes())
	return f.drawn(ctx, where, page.Len(), err)
}

// read reads a record, unless it is too large.
func (f *function) read(ctx context.Context, r journal.Recorded) (record.Run, error) {
	if r.Bytes > largestRecord {
		return record.Run{}, unreadableError{fmt.Errorf("it has %d bytes, and the most that is read is %d", r.Bytes, largestRecord)}
	}
	text, err := f.records.Record(ctx, r.Run)
	if err != nil && !errors.Is(err, journal.ErrUnreadable) {
		return record.Run{}, err
	}
	var run record.Run
	if err == nil {
		run, err = record.Parse(text)
	}
	if err != nil {
		return record.Run{}, unreadableError{err}
	}
	run.Reader = f.reader
	return run, nil
}

// drawIndex draws the index from what is in the bucket, and once more if that has changed since:
// another invocation may have drawn it from a later listing, and before this one.
func (f *function) drawIndex(ctx context.Context) error {
	var before []journal.Recorded
	for tries := range indexTries {
		recorded, err := f.records.Recorded(ctx)
		if err != nil || tries > 0 && slices.Equal(before, recorded) {
			return err
		}
		page, err := f.index(ctx, recorded)
		if err != nil {
			return err
		}
		where, err := f.records.SaveIndex(ctx, page)
		if err := f.drawn(ctx, where, len(page), err); err != nil {
			return err
		}
		before = recorded
	}
	return nil // The next record has it drawn again.
}

// index is the page about all runs, with the trend over the recent ones.
func (f *function) index(ctx context.Context, recorded []journal.Recorded) ([]byte, error) {
	var trend report.Report
	var notices []string
	chosen, left := recent(recorded)
	if left > 0 {
		notices = append(notices, "The trend leaves out the oldest records of the last 30 days, because all are too many, or too large: "+strconv.Itoa(left)+".")
	}
	for _, r := range chosen {
		run, err := f.read(ctx, r)
		switch {
		case err == nil:
			trend.Add(run)
		case isUnreadable(err):
			f.log.WarnContext(ctx, "the trend leaves out a record", "run", r.Run, "error", err.Error())
			notices = append(notices, "The trend leaves out the run "+r.Run+", whose record cannot be shown.")
		case !errors.Is(err, journal.ErrNotFound):
			return nil, err
		}
	}
	var runs []report.Listed
	for _, r := range recorded {
		runs = append(runs, report.Listed{Run: r.Run, Record: f.records.Where(r.Run), Page: r.Page})
	}
	var page bytes.Buffer
	err := trend.Index(&page, runs, f.reader.Home, notices...)
	return page.Bytes(), err
}

// recent are the records that the trend shows, oldest first, and how many of the time it leaves
// out. It gets them newest first.
func recent(recorded []journal.Recorded) (chosen []journal.Recorded, left int) {
	bytes := int64(0)
	for _, r := range recorded {
		if began(recorded[0]).Sub(began(r)) > trendOf {
			break
		}
		if r.Bytes <= largestRecord { // A larger one is not read.
			bytes += r.Bytes
		}
		if left > 0 || len(chosen) == mostRecords || bytes > mostBytes {
			left++
			continue
		}
		chosen = append(chosen, r)
	}
	slices.Reverse(chosen)
	return chosen, left
}

func began(r journal.Recorded) time.Time { return ami.RunID(r.Run).Began() }

func (f *function) drawn(ctx context.Context, where string, bytes int, err error) error {
	if err == nil {
		f.log.InfoContext(ctx, "a page is drawn", "where", where, "bytes", bytes)
	}
	return err
}
