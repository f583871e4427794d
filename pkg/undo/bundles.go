package undo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Bundle is what became of the bundle of an instance-store image. The image itself does not come
// back: the Recycle Bin takes in none of that kind.
type Bundle struct {
	ImageID  string `json:"imageId"`
	Location string `json:"location"` // BUCKET/KEY of the manifest.
	Status   Status `json:"status"`
	Why      string `json:"why"` // Why it is not completely back, or a remark.
	// Register is the command that makes an image of the bundle again, with a new id; empty if the
	// bundle is not there.
	Register string `json:"register,omitempty"`
}

// bundles brings back the bundles that runs have deleted in a region: of a run, or of images.
func (a *Account) bundles(ctx context.Context, region string, find func(*journal.Journal) ([]journal.DeletedBundle, error)) ([]Bundle, error) {
	kept, err := a.Journal(ctx)
	if err != nil || kept == nil {
		return nil, err
	}
	found, err := find(kept)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	store, err := a.Bundles(ctx)
	if err != nil {
		return nil, err
	}
	var results []Bundle
	for _, b := range found {
		if b.Kept == "" || len(b.Markers) > 0 {
			results = append(results, a.undoBundle(ctx, kept, store, region, b))
		}
	}
	slices.SortFunc(results, func(x, y Bundle) int { return strings.Compare(x.ImageID, y.ImageID) })
	return results, nil
}

// undoBundle takes away the delete markers that a run has put in front of a bundle's objects, and
// no other version. The manifest comes last, so that nobody registers an image while parts are
// missing.
func (a *Account) undoBundle(ctx context.Context, kept *journal.Journal, store *bundle.Store, region string, b journal.DeletedBundle) Bundle {
	result := Bundle{ImageID: b.ImageID, Location: b.Location, Status: NotRestored}
	// Noted even if nothing is hidden: a run that was killed would be finished by the next one.
	b, atWork, err := kept.UndoBundle(ctx, region, b, a.Clock())
	if err != nil {
		result.Why = wire.Explain(err)
		return result
	}
	tried := bundle.Tried{Markers: b.Markers, InDoubt: b.InDoubt}
	now, err := store.State(ctx, b.Bundle, tried)
	if err != nil {
		result.Why = "its objects could not be listed" + because(err)
		return result
	}
	wasHidden := len(now.Hidden) > 0
	if atWork == "" && len(b.InDoubt) > 0 {
		if err := kept.NoteMarkers(ctx, region, b, now.Hidden); err != nil {
			result.Why = wire.Explain(err)
			return result
		}
	}
	manifest := b.Objects[0].Key
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(now.Hidden)), func(key string) bool { return key == manifest })
	if now.Hidden[manifest] != "" {
		keys = append(keys, manifest)
	}
	for _, key := range keys {
		if err = store.Show(ctx, b.Bundle, key, now.Hidden[key]); err != nil {
			result.Why = "the delete marker of " + key + " could not be taken away" + because(err)
			return result
		}
	}
	if now, err = store.State(ctx, b.Bundle, tried); err != nil {
		result.Why = "its delete markers are taken away, but its objects could not be listed" + because(err)
		return result
	}
	switch {
	case atWork != "":
		result.Why = "run " + atWork + " is at work in the region, or was less than half an hour ago, and may still delete some of it: undo it again"
	case len(now.Current) == len(b.Objects):
		result.Register = fmt.Sprintf("aws ec2 register-image --region %s --image-location %s --name NAME", region, b.Location)
		result.Status, result.Why = Present, "it was there already"
		if wasHidden {
			result.Status, result.Why = Restored, ""
		}
	case len(now.Hidden) > 0:
		result.Why = "S3 still shows delete markers of the run"
	case len(now.Current) == 0:
		result.Status, result.Why = Gone, leftAlone(now)
	default:
		result.Status, result.Why = Incomplete, leftAlone(now)
	}
	return result
}

func leftAlone(now bundle.State) string {
	why := now.Changed[0] + " is no longer what it was, and was left alone: somebody has written or deleted it since"
	if more := len(now.Changed) - 1; more > 0 {
		why += fmt.Sprintf("; so are %d more", more)
	}
	return why
}

// withBundles adds to the report of a region what became of bundles.
func (a *Account) withBundles(ctx context.Context, report RegionReport, find func(*journal.Journal) ([]journal.DeletedBundle, error)) RegionReport {
	if report.Error != "" {
		return report
	}
	found, err := a.bundles(ctx, report.Region, find)
	if err != nil {
		report.Error = "the bundles of instance-store images: " + wire.Explain(err)
	}
	report.Bundles = found
	return report
}
