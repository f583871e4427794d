package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lease is how long after its last sign of life a run is taken to be at work: twice as long as a Lambda function may run.
const Lease = 30 * time.Minute

// changesSeen is how often a lock may change under the eyes of one who wants it, until that one gives up.
const changesSeen = 8

// ErrBusy says that another run is at work in the region, or has been since the visit began. It is returned as a value.
type ErrBusy struct {
	Run    string
	Policy string    // The name of that run's policy; empty if its lock does not say it.
	Since  time.Time // Its last sign of life, before it gave the lock back if it has.
	IsOver bool      // It is at work no more.
}

func (e ErrBusy) Error() string {
	if e.IsOver {
		return fmt.Sprintf("run %s was at work in the region while it was being read; its last sign of life is of %s", e.Run, e.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("run %s is at work in the region; its last sign of life is of %s", e.Run, e.Since.UTC().Format(time.RFC3339))
}

// ahead is how far a sign of life may be in the future: the clocks of two machines differ by seconds, and the command line stops
// where its own is minutes off.
const ahead = 15 * time.Minute

// isLive reports whether the run of a lock has to be taken for one at work. A sign of life from the near future is one: clocks differ.
func (l lockDocument) isLive(now time.Time) bool { return !l.IsOver && now.Sub(l.At) <= Lease }

// fromTheFuture returns an error if a lock would hold its region because one of two clocks is wrong. Which one it is nobody can tell
// from it, nor whether its run is at work. A lock that was given back holds nothing, whatever its date.
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

// acquire writes a lock where there is none, or over one that is not live and was there when the visit began. Whatever became
// of the write, who holds the lock then is read from the lock itself: the answer may be lost, and a write that is tried again is
// refused if the first one took effect.
func (v *Visit) acquire(ctx context.Context, wanted lockDocument) (version string, err error) {
	j := v.journal
	data, err := encode(wanted)
	if err != nil {
		return "", err
	}
	var failed error
	for range changesSeen {
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
		case v.whyTaken(held, seen, wanted.At) != nil:
			return "", v.whyTaken(held, seen, wanted.At)
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

// whyTaken says why a lock that is not one's own may not be written over; nil if it may.
func (v *Visit) whyTaken(held lockDocument, version string, now time.Time) error {
	if err := v.journal.fromTheFuture(held, now); err != nil {
		return err
	}
	if v.isAnothers(held, version, now) {
		return ErrBusy{held.Run, held.Policy, held.At, !held.isLive(now)}
	}
	return nil
}

// readOwn reads a lock that was one's own when it was last seen, or returns an errLost.
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

// renew writes a new sign of life over the lock that was seen in a version. As with acquire, the lock itself says
// what became of it.
func (j *Journal) renew(ctx context.Context, wanted lockDocument, version string) (next string, err error) {
	data, err := encode(wanted)
	if err != nil {
		return "", err
	}
	for range changesSeen {
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

// restless is the error of a lock that is another one each time it is looked at.
func (j *Journal) restless(region string) error {
	return fmt.Errorf("%s changes each time it is looked at", j.store.where(lockKey(region)))
}

// errLost says that a run holds its lock no more. The other run is empty if nobody holds it.
type errLost struct{ run string }

func (e errLost) Error() string {
	if e.run == "" {
		return "lost the lock: it is not held any more"
	}
	return "lost the lock to run " + e.run
}

// release notes on a lock that was seen in a version that its run is over, if it is still one's own. The lock is not removed:
// who reads the region meanwhile has to see that somebody was there. If it is over, not there, or another's, then it was given
// back by a call whose answer was lost, or is lost; neither leaves anything to be done.
func (j *Journal) release(ctx context.Context, own lockDocument, version string) error {
	own.IsOver = true
	data, err := encode(own)
	if err != nil {
		return err
	}
	for range changesSeen {
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
