package undo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// record reads the record of a run, and reports whether there is one.
func (a *Account) record(ctx context.Context, run string) (recorded record.Run, known bool, err error) {
	kept, err := a.Journal(ctx)
	if err != nil || kept == nil {
		return record.Run{}, false, err
	}
	text, err := kept.Record(ctx, run)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return record.Run{}, false, nil
	case err != nil:
		return record.Run{}, false, err
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		return record.Run{}, false, fmt.Errorf("%s: %w", kept.Where(run), err)
	}
	return recorded, true, nil
}

// removedBy returns the images that a run has removed from a region, by its record, and those that
// it may have removed.
func removedBy(run record.Run, region string) []Removed {
	var removed []Removed
	for _, recorded := range run.Regions {
		if recorded.Region != region {
			continue
		}
		for _, image := range recorded.Images {
			if image.Verdict != retention.Deregister || image.Outcome == nil {
				continue
			}
			if status := image.Outcome.Status; status == ami.Deregistered || status == ami.Failed {
				removed = append(removed, newRemoved(image))
			}
		}
	}
	return removed
}

func newRemoved(image record.Image) Removed {
	removed := Removed{
		ImageID:         image.ImageID,
		Name:            image.Name,
		Recorded:        true,
		Doubtful:        image.Outcome.Status != ami.Deregistered,
		RestorableUntil: image.Outcome.InBinUntil,
		HasFailed:       image.HasFailed,
		S3Location:      image.S3Location,
	}
	if removed.RestorableUntil.IsZero() {
		// In the record of an older version this was when the image left the bin.
		removed.RestorableUntil = image.Outcome.RestorableUntil
	}
	for _, snapshot := range image.Snapshots {
		removed.Snapshots = append(removed.Snapshots, snapshot.SnapshotID)
	}
	return removed
}

// records are the records of runs. Each is read once, for all regions.
type records struct {
	read func(ctx context.Context, run string) (record.Run, bool, error)

	mu     sync.Mutex
	byRun  map[string]record.Run
	faults []string
}

func (a *Account) newRecords() *records {
	return &records{read: a.record, byRun: map[string]record.Run{}}
}

// removed returns what is known of images, by the records of the runs that have declared their
// removal.
func (r *records) removed(ctx context.Context, bin *Bin, region string, ids []string) []Removed {
	removed := make([]Removed, len(ids))
	byRun := map[string]map[string]Removed{} // And by id.
	for i, id := range ids {
		run := bin.Run(id)
		if byRun[run] == nil {
			byRun[run] = map[string]Removed{}
			for _, recorded := range removedBy(r.of(ctx, run), region) {
				recorded.Doubtful = false // It was asked for by its id.
				byRun[run][recorded.ImageID] = recorded
			}
		}
		removed[i] = byRun[run][id]
		removed[i].ImageID = id
	}
	return removed
}

func (r *records) of(ctx context.Context, run string) record.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded, read := r.byRun[run]
	if !read && run != "" {
		var err error
		if recorded, _, err = r.read(ctx, run); err != nil {
			r.faults = append(r.faults, wire.Explain(err))
		}
		r.byRun[run] = recorded
	}
	return recorded
}

func (r *records) warning() string {
	if len(r.faults) == 0 {
		return ""
	}
	slices.Sort(r.faults)
	return "the records of runs could not be read, so only the tags were used: " + strings.Join(slices.Compact(r.faults), "; ")
}
