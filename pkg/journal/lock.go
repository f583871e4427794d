package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lease is how long after its last heartbeat a run counts as at work: twice as long as a Lambda
// function may run.
const Lease = 30 * time.Minute

// maxConflicts is how often a lock may change between reading and writing it before the writer
// gives up.
const maxConflicts = 8

// ErrBusy says that another run is at work in the region, or was since this run opened it. It is
// returned as a value.
type ErrBusy struct {
	Run    string
	Policy string    // The name of that run's policy; empty if its lock does not name it.
	Since  time.Time // Its last heartbeat before it released the lock, if it did.
	IsOver bool      // It has finished.
}

func (e ErrBusy) Error() string {
	if e.IsOver {
		return fmt.Sprintf("run %s was at work in the region while it was being read; its last heartbeat was at %s", e.Run, e.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("run %s is at work in the region; its last heartbeat was at %s", e.Run, e.Since.UTC().Format(time.RFC3339))
}

// ahead is how far in the future a heartbeat may be: the clocks of two machines differ by seconds,
// and the command line refuses to run if its own is minutes off.
const ahead = 15 * time.Minute

// isLive reports whether the run of a lock counts as at work. A heartbeat in the near future
// counts: clocks differ.
func (l lockDocument) isLive(now time.Time) bool { return !l.IsOver && now.Sub(l.At) <= Lease }

// fromTheFuture returns an error if a lock would block its region because one of two clocks is
// wrong. The lock does not show which one, nor whether its run is at work. A released lock blocks
// nothing, whatever its date.
func (j *Journal) fromTheFuture(l lockDocument, now time.Time) error {
	if l.IsOver || l.At.Sub(now) <= ahead {
		return nil
	}
	return fmt.Errorf("the lock of %s is dated %s, and it is %s here: the clock of run %s was wrong, or that of this machine is; "+
		"set the clocks, see that no run is at work in the region, and remove %s",
		l.Region, l.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), l.Run, j.store.where(lockKey(l.Region)))
}

func (j *Journal) readLock(ctx context.Context, region string) (held lockDocument, version string, err error) {
	data, version, err := j.store.get(ctx, lockKey(region))
	if err != nil {
		return lockDocument{}, "", err
	}
	held, err = parseLock(data, region)
	return held, version, j.unreadable(lockKey(region), err)
}

// acquire writes a lock if there is none, or over a lock that is not live and has not changed since
// the region was opened. The lock itself is read to see who holds it: the answer to a write may be
// lost, and its retry is refused if the first attempt took effect.
func (r *Region) acquire(ctx context.Context, wanted lockDocument) (version string, err error) {
	j := r.journal
	data, err := encode(wanted)
	if err != nil {
		return "", err
	}
	var failed error
	for range maxConflicts {
		held, seen, err := j.readLock(ctx, wanted.Region)
		switch {
		case err == nil && held.Nonce == wanted.Nonce:
			return seen, nil
		case failed != nil:
			return "", failed
		case errors.Is(err, ErrNotFound):
			version, err = j.store.putIfAbsent(ctx, lockKey(wanted.Region), data)
		case err != nil:
			return "", err
		case r.whyTaken(held, seen, wanted.At) != nil:
			return "", r.whyTaken(held, seen, wanted.At)
		default:
			version, err = j.store.putIfVersion(ctx, lockKey(wanted.Region), data, seen)
		}
		if err == nil {
			return version, nil
		}
		if !errors.Is(err, errChanged) {
			failed = err
		}
	}
	return "", j.restless(wanted.Region)
}

// whyTaken says why another run's lock may not be overwritten; nil if it may.
func (r *Region) whyTaken(held lockDocument, version string, now time.Time) error {
	if err := r.journal.fromTheFuture(held, now); err != nil {
		return err
	}
	if r.isAnothers(held, version, now) {
		return ErrBusy{held.Run, held.Policy, held.At, !held.isLive(now)}
	}
	return nil
}

// readOwn reads the run's own lock, or returns an errLost if the run lost it.
func (j *Journal) readOwn(ctx context.Context, own lockDocument) (held lockDocument, version string, err error) {
	held, version, err = j.readLock(ctx, own.Region)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && held.Nonce == own.Nonce && held.IsOver:
		return lockDocument{}, "", errLost{}
	case err == nil && held.Nonce != own.Nonce:
		return lockDocument{}, "", errLost{held.Run}
	}
	return held, version, err
}

// renew writes a new heartbeat over a version of the lock. As in acquire, the lock itself says
// whether the write took effect.
func (j *Journal) renew(ctx context.Context, wanted lockDocument, version string) (next string, err error) {
	data, err := encode(wanted)
	if err != nil {
		return "", err
	}
	for range maxConflicts {
		next, failed := j.store.putIfVersion(ctx, lockKey(wanted.Region), data, version)
		if failed == nil {
			return next, nil
		}
		held, seen, err := j.readOwn(ctx, wanted)
		_, isLost := errors.AsType[errLost](err)
		switch {
		case err == nil && held.At.Equal(wanted.At):
			return seen, nil
		case !isLost && !errors.Is(failed, errChanged):
			return "", failed
		case err != nil:
			return "", err
		}
		version = seen
	}
	return "", j.restless(wanted.Region)
}

// restless is the error for a lock that changes each time it is read.
func (j *Journal) restless(region string) error {
	return fmt.Errorf("%s changes each time it is looked at", j.store.where(lockKey(region)))
}

// errLost says that a run no longer holds its lock. run is empty if nobody holds it.
type errLost struct{ run string }

func (e errLost) Error() string {
	if e.run == "" {
		return "lost the lock: it is not held any more"
	}
	return "lost the lock to run " + e.run
}

// release marks our lock as over. It is not removed: other runs that read the region meanwhile must
// see that a run was there. If the lock is already over, is missing or is another run's, nothing is
// left to do.
func (j *Journal) release(ctx context.Context, own lockDocument, version string) error {
	own.IsOver = true
	data, err := encode(own)
	if err != nil {
		return err
	}
	for range maxConflicts {
		_, failed := j.store.putIfVersion(ctx, lockKey(own.Region), data, version)
		if failed == nil {
			return nil
		}
		_, seen, err := j.readOwn(ctx, own)
		_, isLost := errors.AsType[errLost](err)
		switch {
		case isLost:
			return nil
		case !errors.Is(failed, errChanged):
			return failed
		case err != nil:
			return err
		}
		version = seen
	}
	return j.restless(own.Region)
}
