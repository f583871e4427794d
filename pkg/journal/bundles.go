package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// bundleDocument is what became of the bundle of an image.
type bundleDocument struct {
	Status ami.BundleStatus `json:"status"`
	Detail string           `json:"detail,omitempty"`
	// The delete markers, by the keys of the objects.
	Markers map[string]string `json:"markers,omitempty"`
	InDoubt []string          `json:"inDoubt,omitempty"` // The keys of others that may have one.

	FinishedBy string `json:"finishedBy,omitempty"` // A later run.
	// An undo took the markers away, or was about to.
	Undone bool `json:"undone,omitzero"`
}

func newBundleDocument(result *ami.BundleResult) *bundleDocument {
	if result == nil {
		return nil
	}
	return &bundleDocument{Status: result.Status, Detail: result.Detail, Markers: result.Markers, InDoubt: result.InDoubt}
}

// isSettled reports whether no run goes on with the bundle.
func (d *bundleDocument) isSettled() bool {
	return d != nil && (d.Undone || d.Status == ami.BundleDeleted || d.Status == ami.BundleKept)
}

// done is what runs have done to the bundle.
func (d *bundleDocument) done() (markers map[string]string, inDoubt []string) {
	if d == nil {
		return nil, nil
	}
	return maps.Clone(d.Markers), d.InDoubt
}

// leftoverBundle returns the bundle that a run planned to delete with an image which it removed, or
// may have removed, unless it is known to be deleted, or to stay.
func (h *history) leftoverBundle(run string, d Declared) []ami.LeftoverBundle {
	document := h.removals[removal{image: d.ImageID, run: run}]
	if d.Bundle == nil || !mayBeRemoved(document) || h.latest(d.ImageID) > run || document.Bundle.isSettled() {
		return nil
	}
	markers, inDoubt := document.Bundle.done()
	return []ami.LeftoverBundle{{Run: run, ImageID: d.ImageID, Bundle: *d.Bundle, Markers: markers, InDoubt: inDoubt}}
}

// ErrUndone says that an undo has brought a bundle back, or is about to: no run goes on with it.
var ErrUndone = errors.New("an undo has brought it back")

// SettleBundle notes what became of a bundle that an earlier run left. ErrUndone says that this is
// noted, and that an undo came before it.
func (s *Session) SettleBundle(ctx context.Context, leftover ami.LeftoverBundle, result ami.BundleResult) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.changeRemoval(ctx, s.region, removal{image: leftover.ImageID, run: leftover.Run}, func(d *removalDocument) error {
		was := d.Bundle
		d.Bundle = newBundleDocument(&result)
		d.Bundle.FinishedBy = s.run
		return d.Bundle.after(was)
	})
}

// after adds what an undo has noted meanwhile, and returns ErrUndone if there is such a note.
func (d *bundleDocument) after(was *bundleDocument) error {
	if was == nil || !was.Undone {
		return nil
	}
	markers := maps.Clone(was.Markers)
	if markers == nil {
		markers = map[string]string{}
	}
	maps.Copy(markers, d.Markers)
	d.Markers, d.Undone = markers, true
	return ErrUndone
}

// changeRemoval changes what is noted of one removal, whoever else does that at the same time. An
// ErrUndone of the change is returned when it is stored.
func (j *Journal) changeRemoval(ctx context.Context, region string, r removal, change func(*removalDocument) error) error {
	if err := cmp.Or(checkRegion(region), checkImage(r.image), checkRun(r.run)); err != nil {
		return err
	}
	key := removalKey(region, r.image, r.run)
	for range maxConflicts {
		data, version, err := j.store.get(ctx, key)
		if err != nil {
			return err
		}
		document, err := parseRemoval(data, region, r.image, r.run)
		if err != nil {
			return j.unreadable(key, err)
		}
		undone := change(&document)
		if data, err = encode(document); err != nil {
			return err
		}
		if _, err = j.store.putIfVersion(ctx, key, data, version); !errors.Is(err, errChanged) {
			return cmp.Or(err, undone)
		}
	}
	return fmt.Errorf("%s: it keeps changing", j.store.where(key))
}

// DeletedBundle is a bundle that a run has deleted, or may have.
type DeletedBundle struct {
	Run, ImageID string
	ami.Bundle
	Markers map[string]string // As far as they are known.
	InDoubt []string          // The keys of others that may have one.
	Kept    string            // Why nothing of it was deleted; empty if something may have been.
}

// BundlesOf returns the bundles that a run has deleted in a region, or may have.
func (j *Journal) BundlesOf(ctx context.Context, region, run string) ([]DeletedBundle, error) {
	if err := cmp.Or(checkRegion(region), checkRun(run)); err != nil {
		return nil, err
	}
	plan, err := j.readPlan(ctx, run, region)
	if err != nil {
		return nil, err
	}
	var deleted []DeletedBundle
	for _, d := range plan.Declared {
		if d.Bundle == nil {
			continue
		}
		document, err := j.readRemoval(ctx, region, removal{image: d.ImageID, run: run})
		if errors.Is(err, ErrNotFound) || err == nil && !mayBeRemoved(document) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found := DeletedBundle{Run: run, ImageID: d.ImageID, Bundle: *d.Bundle}
		found.Markers, found.InDoubt = document.Bundle.done()
		if document.Bundle != nil && document.Bundle.Status == ami.BundleKept {
			found.Kept = cmp.Or(document.Bundle.Detail, "kept")
		}
		deleted = append(deleted, found)
	}
	return deleted, nil
}

// BundlesOfImages returns the bundles of images of a region that runs have deleted, or may have.
func (j *Journal) BundlesOfImages(ctx context.Context, region string, images []string) ([]DeletedBundle, error) {
	var deleted []DeletedBundle
	for _, image := range images {
		if err := cmp.Or(checkRegion(region), checkImage(image)); err != nil {
			return nil, err
		}
		prefix := removalsPrefix + region + "/"
		documents, err := j.store.list(ctx, prefix+image+"/")
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			r, ok := parseRemovalKey(strings.TrimPrefix(d.key, prefix))
			if !ok {
				return nil, j.foreign(d.key)
			}
			if r.snapshot != "" {
				continue
			}
			of, err := j.BundlesOf(ctx, region, r.run)
			if err != nil {
				return nil, err
			}
			deleted = append(deleted, slices.DeleteFunc(of, func(b DeletedBundle) bool { return b.ImageID != image })...)
		}
	}
	return deleted, nil
}

// UndoBundle notes, before an undo takes the delete markers of a bundle away, that it does, and
// returns what is noted of it by now. No run goes on with the bundle after that, except one that is
// at work in the region, or was killed less than a Lease ago, and may not see the note.
func (j *Journal) UndoBundle(ctx context.Context, region string, b DeletedBundle, now time.Time) (noted DeletedBundle, atWork string, err error) {
	err = j.changeBundle(ctx, region, b, func(d *bundleDocument) { d.Undone = true })
	if err != nil {
		return b, "", err
	}
	held, _, err := j.readLock(ctx, region)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return b, "", err
	}
	if err == nil && held.isLive(now) {
		atWork = held.Run
	}
	document, err := j.readRemoval(ctx, region, removal{image: b.ImageID, run: b.Run})
	b.Markers, b.InDoubt = document.Bundle.done()
	return b, atWork, err
}

// NoteMarkers notes which delete markers an undo is about to take away. There are no others of
// runs: what a person deletes after that stays deleted.
func (j *Journal) NoteMarkers(ctx context.Context, region string, b DeletedBundle, markers map[string]string) error {
	return j.changeBundle(ctx, region, b, func(d *bundleDocument) {
		all := maps.Clone(markers)
		maps.Copy(all, d.Markers)
		d.Markers, d.InDoubt = all, nil
	})
}

func (j *Journal) changeBundle(ctx context.Context, region string, b DeletedBundle, change func(*bundleDocument)) error {
	err := j.changeRemoval(ctx, region, removal{image: b.ImageID, run: b.Run}, func(d *removalDocument) error {
		if d.Bundle == nil {
			d.Bundle = &bundleDocument{Status: ami.BundleFailed}
		}
		change(d.Bundle)
		return nil
	})
	if err != nil {
		return fmt.Errorf("that it is undone could not be noted in the journal: %w", err)
	}
	return nil
}
