package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// bundleDocument is what became of the bundle of an image.
type bundleDocument struct {
	Status ami.BundleStatus `json:"status"`
	Detail string           `json:"detail,omitempty"`
	// The delete markers, by the keys of the objects.
	Markers map[string]string `json:"markers,omitempty"`
	InDoubt bool              `json:"inDoubt,omitzero"` // There may be more of them.

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
func (d *bundleDocument) done() (markers map[string]string, inDoubt bool) {
	if d == nil {
		return nil, false
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

// SettleBundle notes what became of a bundle that an earlier run left.
func (s *Session) SettleBundle(ctx context.Context, leftover ami.LeftoverBundle, result ami.BundleResult) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.changeBundle(ctx, s.region, leftover.ImageID, leftover.Run, func(d *removalDocument) {
		d.Bundle = newBundleDocument(&result)
		d.Bundle.FinishedBy = s.run
	})
}

// changeBundle changes what is noted of one removal.
func (j *Journal) changeBundle(ctx context.Context, region, image, run string, change func(*removalDocument)) error {
	if err := cmp.Or(checkRegion(region), checkImage(image), checkRun(run)); err != nil {
		return err
	}
	document, err := j.readRemoval(ctx, region, removal{image: image, run: run})
	if err != nil {
		return err
	}
	change(&document)
	return j.save(ctx, removalKey(region, image, run), document)
}

// DeletedBundle is a bundle that a run has deleted, or may have.
type DeletedBundle struct {
	Run, ImageID string
	ami.Bundle
	Markers map[string]string // As far as they are known.
	InDoubt bool              // There may be more of them.
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

// UndoBundle notes, before an undo takes the delete markers of a bundle away, that it does. No run
// goes on with the bundle after that.
func (j *Journal) UndoBundle(ctx context.Context, region string, b DeletedBundle) error {
	err := j.changeBundle(ctx, region, b.ImageID, b.Run, func(d *removalDocument) {
		if d.Bundle == nil {
			d.Bundle = &bundleDocument{Status: ami.BundleFailed}
		}
		d.Bundle.Undone = true
	})
	if err != nil {
		return fmt.Errorf("that it is undone could not be noted in the journal: %w", err)
	}
	return nil
}
