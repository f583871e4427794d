package journal

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Visit is a run in a region. It begins before the run reads anything there, so that no other run can have been at work
// since without being noticed: what was read might be of before its removals, or of the middle of them.
type Visit struct {
	journal     *Journal
	region, run string
	seen        string       // The version of the lock when the visit began; empty if there was none.
	atWork      lockDocument // Of the run that was at work then; zero if none was.
}

// Visit begins a visit at a time.
func (j *Journal) Visit(ctx context.Context, region, run string, now time.Time) (*Visit, error) {
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
	v := &Visit{journal: j, region: region, run: run, seen: version}
	v.atWork = v.busy(held, version, now)
	return v, nil
}

// busy returns the lock of another run if that is at work, or has been since the visit began; zero if it is not.
func (v *Visit) busy(held lockDocument, version string, now time.Time) lockDocument {
	if held.Run != v.run && v.isAnothers(held, version, now) {
		return held
	}
	return lockDocument{}
}

// isAnothers reports whether a lock that is not one's own says that somebody is at work, or has been since the visit began.
func (v *Visit) isAnothers(held lockDocument, version string, now time.Time) bool {
	return held.isLive(now) || version != v.seen
}
