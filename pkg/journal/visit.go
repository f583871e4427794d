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
	seen        lockDocument // When the visit began; zero if there was none.
}

// Visit begins a visit.
func (j *Journal) Visit(ctx context.Context, region, run string) (*Visit, error) {
	if err := cmp.Or(checkRegion(region), checkRun(run)); err != nil {
		return nil, err
	}
	seen, _, err := j.readLock(ctx, region)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return &Visit{j, region, run, seen}, nil
}

// busy returns the run of a lock if that is at work, or has been since the visit began; empty if it is not.
func (v *Visit) busy(held lockDocument, now time.Time) string {
	if held.Run != v.run && (held.isLive(now) || !held.isAs(v.seen)) {
		return held.Run
	}
	return ""
}
