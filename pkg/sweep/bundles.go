package sweep

import (
	"context"
	"errors"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/bundle"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// objectsAtOnce is how many parts of one bundle are hidden at a time.
const objectsAtOnce = 8

func (i *image) deletesBundle() bool { return i.Bundle != nil && i.Bundle.Delete }

// deleteBundle deletes the bundle of an image whose deregistration is confirmed.
func (s *sweep) deleteBundle(ctx context.Context, i *image) {
	switch {
	case i.Bundle == nil:
	case !i.Bundle.Delete:
		i.outcome.Bundle = &ami.BundleResult{Status: ami.BundleKept, Detail: i.Bundle.Why}
	default:
		result := s.hideBundle(ctx, i.Image.ID, i.Bundle.Bundle, bundle.Tried{}, func(begun ami.BundleResult) error {
			outcome := i.outcome
			outcome.Bundle = &begun
			return s.session.Settle(ctx, outcome)
		})
		i.outcome.Bundle = &result
	}
}

// deleteLeftBundles deletes the bundles that earlier runs left, if EC2 says that their images are
// gone.
func (s *sweep) deleteLeftBundles(ctx context.Context) {
	for _, left := range s.Plan.Bundles {
		switch {
		case left.Why != "":
			s.bundles[left.ImageID] = s.leaveRest(ctx, left.Bundle, bundle.Tried{Markers: left.Markers, InDoubt: left.InDoubt}, left.Why)
		case !left.Delete:
		case s.isLate():
			s.bundles[left.ImageID] = failedBundle(left.Bundle, bundle.Tried{Markers: left.Markers, InDoubt: left.InDoubt}, notReached)
		default:
			s.bundles[left.ImageID] = s.deleteLeftBundle(ctx, left.LeftoverBundle)
		}
	}
}

func (s *sweep) deleteLeftBundle(ctx context.Context, left ami.LeftoverBundle) ami.BundleResult {
	tried := bundle.Tried{Markers: left.Markers, InDoubt: left.InDoubt}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil || s.stopped != "" {
		why := s.stopped
		if err != nil {
			why = err.Error()
		}
		return failedBundle(left.Bundle, tried, why)
	}
	if seen, _, err := wire.FindImage(ctx, s.api, left.ImageID); seen != wire.Gone {
		why := "EC2 does not say that " + left.ImageID + " is gone"
		if err != nil {
			why = "whether " + left.ImageID + " is gone is not known: " + wire.ExplainLookup(err)
		}
		return failedBundle(left.Bundle, tried, why)
	}
	return s.hideBundle(ctx, left.ImageID, left.Bundle, tried, func(begun ami.BundleResult) error {
		return s.session.SettleBundle(ctx, left, begun)
	})
}

// failedBundle is the result for a bundle to which this run has done nothing, and the next one may.
func failedBundle(b ami.Bundle, tried bundle.Tried, why string) ami.BundleResult {
	return withSize(b, ami.BundleResult{Status: ami.BundleFailed, Detail: why, Markers: tried.Markers, InDoubt: tried.InDoubt})
}

// leaveRest settles a bundle whose rest stays. If S3 does not say how much of it is deleted, an
// undo finds that out.
func (s *sweep) leaveRest(ctx context.Context, b ami.Bundle, tried bundle.Tried, why string) ami.BundleResult {
	if len(tried.InDoubt) == 0 {
		return settledBundle(b, tried.Markers, why)
	}
	now, err := s.Bundles.State(ctx, b, tried)
	if err != nil {
		return withSize(b, ami.BundleResult{
			Status: ami.BundleDeleted, Detail: "how much of it is not known: " + why, Markers: tried.Markers, InDoubt: tried.InDoubt,
		})
	}
	return settledBundle(b, allMarkers(tried.Markers, now.Hidden), why)
}

// hideBundle puts a delete marker in front of each object of a bundle that has none yet, if all of
// them are still what was read. The manifest comes first: without it nobody can register an image
// while parts are missing. That it begins is noted before.
func (s *sweep) hideBundle(
	ctx context.Context, imageID string, b ami.Bundle, tried bundle.Tried, begin func(ami.BundleResult) error,
) ami.BundleResult {
	now, why, unknown := s.Bundles.Look(ctx, imageID, b, tried)
	switch {
	case unknown:
		return failedBundle(b, tried, why)
	case why != "":
		return s.leaveRest(ctx, b, tried, why)
	}
	hidden := now.Hidden
	if len(now.Current) > 0 {
		begun := ami.BundleResult{Status: ami.BundleFailed, Detail: "not finished", Markers: hidden, InDoubt: keys(now.Current)}
		switch err := begin(begun); {
		case errors.Is(err, journal.ErrUndone):
			return ami.BundleResult{Status: ami.BundleKept, Detail: err.Error()}
		case err != nil:
			return failedBundle(b, tried, "its deletion could not be noted in the journal: "+wire.Explain(err))
		}
	}
	inDoubt, err := s.hideAll(ctx, b, now.Current, hidden)
	if err != nil { // S3 may have done it, if its answer was lost.
		now, unread := s.Bundles.State(ctx, b, bundle.Tried{Markers: hidden, InDoubt: inDoubt})
		if unread == nil {
			hidden = allMarkers(hidden, now.Hidden)
		}
		if unread == nil && len(now.Current)+len(now.Changed) == 0 {
			return settledBundle(b, hidden, "")
		}
		return withSize(b, ami.BundleResult{Status: ami.BundleFailed, Detail: wire.Explain(err), Markers: hidden, InDoubt: inDoubt})
	}
	return settledBundle(b, hidden, "")
}

// hideAll puts a delete marker in front of each object, and adds it to the hidden ones. inDoubt are
// the keys of others that may have one.
func (s *sweep) hideAll(ctx context.Context, b ami.Bundle, rest []ami.BundleObject, hidden map[string]string) (inDoubt []string, err error) {
	var mu sync.Mutex
	hide := func(o ami.BundleObject) error {
		if err := s.session.MayContinue(ctx, journal.WithinChunk); err != nil {
			return err
		}
		marker, isInDoubt, err := s.Bundles.Hide(ctx, b, o)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			hidden[o.Key] = marker
		case isInDoubt:
			inDoubt = append(inDoubt, o.Key)
		}
		return err
	}
	if len(rest) > 0 && rest[0].Key == b.Objects[0].Key {
		if err := hide(rest[0]); err != nil {
			return inDoubt, err
		}
		rest = rest[1:]
	}
	var parts errgroup.Group
	parts.SetLimit(objectsAtOnce)
	for _, o := range rest {
		parts.Go(func() error { return hide(o) })
	}
	err = parts.Wait()
	return inDoubt, err
}

// allMarkers are the delete markers that S3 has confirmed, and those that it turned out to have
// made. What a person has done to an object since changes nothing of what is noted.
func allMarkers(confirmed, found map[string]string) map[string]string {
	all := maps.Clone(found)
	maps.Copy(all, confirmed)
	return all
}

func keys(objects []ami.BundleObject) []string {
	found := make([]string, len(objects))
	for i, o := range objects {
		found[i] = o.Key
	}
	return found
}

// settledBundle is the result for a bundle with which no run goes on: the rest of it stays.
func settledBundle(b ami.Bundle, markers map[string]string, why string) ami.BundleResult {
	result := withSize(b, ami.BundleResult{Status: ami.BundleDeleted, Markers: markers})
	switch {
	case len(markers) == 0:
		result.Status, result.Detail = ami.BundleKept, why
	case why != "":
		result.Detail = "the rest stays: " + why
	}
	return result
}

// withSize adds how much of a bundle is behind delete markers.
func withSize(b ami.Bundle, result ami.BundleResult) ami.BundleResult {
	for _, o := range b.Objects {
		if result.Markers[o.Key] != "" {
			result.Objects++
			result.Bytes += o.Size
		}
	}
	return result
}

// settleBundles notes what became of the bundles that earlier runs left, and adds the runs with
// others.
func (s *sweep) settleBundles(open map[string]bool) {
	for _, left := range s.Plan.Bundles {
		result, isTried := s.bundles[left.ImageID]
		if !isTried {
			open[left.Run] = true
			continue
		}
		err := s.session.SettleBundle(s.limits.Record, left.LeftoverBundle, result)
		isUndone := errors.Is(err, journal.ErrUndone)
		if !isUndone && (err != nil || result.Status == ami.BundleFailed) {
			open[left.Run] = true
		}
	}
}
