package janitor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Undone is what an undo has brought back, and what it has not. The names of its JSON fields are a contract.
type Undone struct {
	Run     string         `json:"run,omitempty"` // Empty if images were asked for.
	Warning string         `json:"warning,omitempty"`
	Regions []UndoneRegion `json:"regions"` // By name.

	// Unrecorded means that no record of the run was read: what it removed is known by the tags of what is there and in the bin
	// alone, and it may have removed more.
	Unrecorded bool `json:"unrecorded,omitempty"`

	Gone []undo.Image `json:"gone"` // The images that were asked for and are in no region.
}

// UndoneRegion is the same for one region. Error is empty unless the region failed, and then nothing was tried there.
type UndoneRegion struct {
	Region string `json:"region"`
	Error  string `json:"error"`
	undo.Result
}

// Restorable is what can be brought back. The names of its JSON fields are a contract.
type Restorable struct {
	Warning  string             `json:"warning,omitempty"` // Why records were not gone by that there may be.
	Removals []undo.Removal     `json:"removals"`          // The latest run first.
	Failed   []RestorableFailed `json:"failed"`            // By region.
}

// RestorableFailed is a region that could not be read.
type RestorableFailed struct {
	Region string `json:"region"`
	Error  string `json:"error"`
}

// ErrUnknownRun says that no trace of a run was found, neither a record nor a tag.
var ErrUnknownRun = errors.New("no such run")

var imageName = regexp.MustCompile(`^ami-[0-9a-z]+$`)

// UndoRun brings back all that a run has removed, as far as the Recycle Bin holds it: by the run's record, if there is one,
// and by the tags with which the run has declared what it means to remove. An error means that there is no such run.
func (j *Janitor) UndoRun(ctx context.Context, run string) (Undone, error) {
	if !ami.RunID(run).Valid() {
		return Undone{}, fmt.Errorf("%q is not the id of a run", run)
	}
	regions, err := j.regionsToUndo(ctx)
	if err != nil {
		return Undone{Run: run, Regions: []UndoneRegion{j.failedUndo(err)}, Gone: []undo.Image{}}, nil
	}
	record, known, err := j.readRecord(ctx, run)
	undone := Undone{Run: run, Gone: []undo.Image{}}
	if err != nil {
		undone.Warning = fmt.Sprintf("the record of the run could not be read, and the tags alone were gone by: %s", wire.Explain(err))
	}
	undone.Regions = sideBySide(regions, func(region string) UndoneRegion {
		return j.undoRegion(ctx, region, func(*undo.Bin) undo.Wanted {
			return undo.Wanted{Run: run, Images: removedBy(record, region)}
		})
	})
	for _, region := range record.Regions {
		if removed := removedBy(record, region.Region); len(removed) > 0 && !slices.Contains(regions, region.Region) {
			undone.Regions = append(undone.Regions, UndoneRegion{
				Region: region.Region,
				Error:  fmt.Sprintf("the run has removed images there, %d in number, but it is none of the regions that are judged", len(removed)),
				Result: nothing(),
			})
		}
	}
	slices.SortFunc(undone.Regions, func(a, b UndoneRegion) int { return strings.Compare(a.Region, b.Region) })
	if !known && undone.Warning == "" && undone.IsEmpty() {
		return Undone{}, fmt.Errorf("%w: nothing in %s carries the tags of %q, and there is no record of it", ErrUnknownRun, strings.Join(regions, ", "), run)
	}
	undone.Unrecorded = !known
	return undone, nil
}

// UndoImages brings back some images, as far as the Recycle Bin holds them, each with its snapshots: those of the record of
// the run that its tags name, or else those that say of themselves that they are its own. An error means that one of the ids is
// none.
func (j *Janitor) UndoImages(ctx context.Context, ids []string) (Undone, error) {
	for _, id := range ids {
		if !imageName.MatchString(id) {
			return Undone{}, fmt.Errorf("%q is not the id of an image", id)
		}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	regions, err := j.regionsToUndo(ctx)
	if err != nil {
		return Undone{Regions: []UndoneRegion{j.failedUndo(err)}, Gone: []undo.Image{}}, nil
	}
	records := j.newRecords()
	undone := Undone{Gone: []undo.Image{}}
	undone.Regions = sideBySide(regions, func(region string) UndoneRegion {
		return j.undoRegion(ctx, region, func(bin *undo.Bin) undo.Wanted {
			return undo.Wanted{Images: records.removed(ctx, bin, region, ids)}
		})
	})
	undone.Warning = records.warning()
	undone.gather(ids)
	return undone, nil
}

// regionsToUndo returns the regions in which something may be brought back. The day is noted on that, so the clock has to be right.
func (j *Janitor) regionsToUndo(ctx context.Context) ([]string, error) {
	if err := j.checkClock(ctx); err != nil {
		return nil, err
	}
	return j.RegionNames(ctx)
}

// Restorable returns what runs have removed and the Recycle Bin still holds, in all regions, and what of that an undo brings back.
func (j *Janitor) Restorable(ctx context.Context) Restorable {
	all := Restorable{Removals: []undo.Removal{}, Failed: []RestorableFailed{}}
	regions, err := j.RegionNames(ctx)
	if err != nil {
		all.Failed = append(all.Failed, RestorableFailed{j.AWS.Region, err.Error()})
		return all
	}
	type found struct {
		removals []undo.Removal
		err      error
	}
	records := j.newRecords()
	for i, found := range sideBySide(regions, func(region string) (of found) {
		client := wire.EC2(j.AWS, region)
		bin, err := undo.Look(ctx, client)
		if err == nil {
			of.removals, err = bin.Removals(ctx, client, region, records.removed(ctx, bin, region, bin.Images()))
		}
		of.err = err
		return of
	}) {
		if found.err != nil {
			all.Failed = append(all.Failed, RestorableFailed{regions[i], found.err.Error()})
		}
		all.Removals = append(all.Removals, found.removals...)
	}
	all.Warning = records.warning()
	slices.SortStableFunc(all.Removals, func(a, b undo.Removal) int { return strings.Compare(b.Run, a.Run) })
	return all
}

func (j *Janitor) undoRegion(ctx context.Context, region string, wanted func(*undo.Bin) undo.Wanted) UndoneRegion {
	undone := UndoneRegion{Region: region}
	client := wire.EC2(j.AWS, region)
	bin, err := undo.Look(ctx, client)
	if err == nil {
		what := wanted(bin)
		restoring := j.watch("Restoring in " + region)
		what.Today, what.Step = j.Clock(), func(done, total int) { restoring(region, done, total) }
		undone.Result, err = undo.Run(ctx, client, bin, what)
	}
	if err != nil {
		undone.Error = err.Error()
		undone.Result = nothing()
	}
	return undone
}

func nothing() undo.Result {
	return undo.Result{Images: []undo.Image{}, Snapshots: []undo.Snapshot{}}
}

// failedUndo stands for all regions, where not even their names are known.
func (j *Janitor) failedUndo(err error) UndoneRegion {
	return UndoneRegion{Region: j.AWS.Region, Error: err.Error(), Result: nothing()}
}

// readRecord reads the record of a run, and reports whether there is one.
func (j *Janitor) readRecord(ctx context.Context, run string) (found record.Run, known bool, err error) {
	if run == "" || j.Config.Records == "" && j.RecordsOf == nil {
		return record.Run{}, false, nil
	}
	account := ""
	if j.Config.Records == "" {
		if account, err = j.account(ctx); err != nil {
			return record.Run{}, false, err
		}
	}
	records, err := j.openJournal(account)
	if err != nil || records == nil {
		return record.Run{}, false, err
	}
	text, err := records.Record(ctx, run)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return record.Run{}, false, nil
	case err != nil:
		return record.Run{}, false, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return record.Run{}, false, fmt.Errorf("%s: %w", records.Where(run), err)
	}
	return found, true, nil
}

// removedBy returns the images that a run has removed from a region, by its record, and those of which it does not know.
func removedBy(record record.Run, region string) []undo.Removed {
	var removed []undo.Removed
	for _, recorded := range record.Regions {
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

func newRemoved(image record.Image) undo.Removed {
	removed := undo.Removed{
		ImageID:         image.ImageID,
		Name:            image.Name,
		Recorded:        true,
		Doubtful:        image.Outcome.Status != ami.Deregistered,
		RestorableUntil: image.Outcome.InBinUntil,
		S3Location:      image.S3Location,
	}
	if removed.RestorableUntil.IsZero() {
		removed.RestorableUntil = image.Outcome.RestorableUntil // In the record of an older version this was when the image left the bin.
	}
	for _, snapshot := range image.Snapshots {
		removed.Snapshots = append(removed.Snapshots, snapshot.SnapshotID)
	}
	return removed
}

// records are the records of runs, each of them read once, by regions side by side.
type records struct {
	read func(ctx context.Context, run string) (record.Run, bool, error)

	mu     sync.Mutex
	byRun  map[string]record.Run
	faults []string
}

func (j *Janitor) newRecords() *records {
	return &records{read: j.readRecord, byRun: map[string]record.Run{}}
}

// removed returns what is known of images, by the records of the runs that have declared their removal.
func (r *records) removed(ctx context.Context, bin *undo.Bin, region string, ids []string) []undo.Removed {
	removed := make([]undo.Removed, len(ids))
	byRun := map[string]map[string]undo.Removed{} // And by id.
	for i, id := range ids {
		run := bin.Run(id)
		if byRun[run] == nil {
			byRun[run] = map[string]undo.Removed{}
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
	record, read := r.byRun[run]
	if !read && run != "" {
		var err error
		if record, _, err = r.read(ctx, run); err != nil {
			r.faults = append(r.faults, wire.Explain(err))
		}
		r.byRun[run] = record
	}
	return record
}

func (r *records) warning() string {
	if len(r.faults) == 0 {
		return ""
	}
	slices.Sort(r.faults)
	return "the records of runs could not be read, and the tags alone were gone by: " + strings.Join(slices.Compact(r.faults), "; ")
}

// IsEmpty reports whether nothing was found, and all regions could be read.
func (u Undone) IsEmpty() bool {
	return !slices.ContainsFunc(u.Regions, func(region UndoneRegion) bool {
		return region.Error != "" || len(region.Images) > 0 || len(region.Snapshots) > 0
	})
}

// gather leaves each image to the region that has it. Those that no region has are gone.
func (u *Undone) gather(ids []string) {
	gone := map[string]undo.Image{}
	for i := range u.Regions {
		u.Regions[i].Images = slices.DeleteFunc(u.Regions[i].Images, func(image undo.Image) bool {
			if image.Status == undo.Gone {
				gone[image.ImageID] = image
			}
			return image.Status == undo.Gone
		})
	}
	for _, id := range ids {
		found := slices.ContainsFunc(u.Regions, func(region UndoneRegion) bool {
			return slices.ContainsFunc(region.Images, func(image undo.Image) bool { return image.ImageID == id })
		})
		if !found {
			image := gone[id]
			u.Gone = append(u.Gone, undo.Image{
				ImageID: id, Status: undo.Gone, Why: cmp.Or(image.Why, "no region could be read"), Snapshots: []undo.Snapshot{},
			})
		}
	}
}

// Err returns an error if a region of an undo failed.
func (u Undone) Err() error {
	var errs []error
	for _, region := range u.Regions {
		if region.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", region.Region, region.Error))
		}
	}
	return errors.Join(errs...)
}

// Complete reports whether all is back.
func (u Undone) Complete() bool {
	complete := len(u.Gone) == 0
	for _, region := range u.Regions {
		for _, image := range region.Images {
			complete = complete && image.Status.Back()
		}
		for _, snapshot := range region.Snapshots {
			complete = complete && snapshot.Status.Back()
		}
	}
	return complete
}
