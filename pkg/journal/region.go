package journal

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Region is the journal of a region for one run. It is opened before the run reads anything there,
// so that any other run at work since is noticed: what was read might be older than that run's
// removals, or show half of them.
type Region struct {
	journal     *Journal
	region, run string
	// The version of the lock when the region was opened; empty if there was none.
	seen   string
	atWork lockDocument // Of the run that was at work then; zero if there was none.
}

// Region opens the journal of a region for a run.
func (j *Journal) Region(ctx context.Context, region, run string, now time.Time) (*Region, error) {
	if err := cmp.Or(checkRegion(region), checkRun(run)); err != nil {
		return nil, err
	}
	held, version, err := j.readLock(ctx, region)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err := j.fromTheFuture(held, now); err != nil {
		return nil, err
	}
	v := &Region{journal: j, region: region, run: run, seen: version}
	v.atWork = v.busy(held, version, now)
	return v, nil
}

// busy returns the lock of another run if that is at work, or was since the region was opened; else
// zero.
func (r *Region) busy(held lockDocument, version string, now time.Time) lockDocument {
	if held.Run != r.run && r.isAnothers(held, version, now) {
		return held
	}
	return lockDocument{}
}

// isAnothers reports whether another run's lock says that it is at work, or was since the region
// was opened.
func (r *Region) isAnothers(held lockDocument, version string, now time.Time) bool {
	return held.isLive(now) || version != r.seen
}
