package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ami-janitor/pkg/ami"
)

// patience is how long a lock that is not needed after all is tried to be given back.
const patience = 10 * time.Second

// Entry is what the journal knows of a run at work in a region, from Begin to Close. It is safe for concurrent use.
type Entry struct {
	journal     *Journal
	run, region string
	declared    map[string]Declared // By image id.

	held chan heldLock // Has one place. Who takes the lock out may write it, and puts back what it is then.

	mu    sync.Mutex
	lost  error               // Why the lock is not held any more.
	tried map[string][]string // The snapshots that were to go, by the id of the image whose removal was tried.

	unsettled map[string]ami.Outcome // What could not be noted, by image id.
}

// heldLock is a lock, and the version in which it was last seen.
type heldLock struct {
	lockDocument
	version string
}

// Begin takes the lock of the region, stores what the run means to do, and then notes that it is unfinished. A run that is
// ended before that note has written nothing but here: its lock runs out, and its plan says nothing to anybody.
//
// If another run is at work, or has been since the visit began, the error is an ErrBusy. So it is if that one has the same id:
// two runs may have been given one, and only one of them can be at work.
func (v *Visit) Begin(ctx context.Context, account string, now time.Time, intent Intent) (*Entry, error) {
	declared := intent.Declared
	if err := cmp.Or(checkDeclared(declared), checkAnnounced(intent.Announced)); err != nil {
		return nil, err
	}
	j, region, run := v.journal, v.region, v.run
	if err := j.belongsTo(ctx, account); err != nil {
		return nil, err
	}
	e := &Entry{
		journal: j, run: run, region: region,
		declared: make(map[string]Declared, len(declared)),
		held:     make(chan heldLock, 1),
		tried:    map[string][]string{},

		unsettled: map[string]ami.Outcome{},
	}
	for _, d := range declared {
		e.declared[d.ImageID] = d
	}
	lock := lockDocument{Run: run, Region: region, Policy: intent.Policy, At: now.UTC(), Nonce: rand.Text()}
	version, err := v.acquire(ctx, lock)
	if err != nil {
		return nil, err
	}
	held := heldLock{lock, version}
	plan := planDocument{run, region, account, lock.At, append([]Declared{}, declared...), intent.Policy, intent.Announced}
	if err := j.declare(ctx, plan); err != nil {
		return nil, also(err, j.giveBack(ctx, held))
	}
	e.held <- held
	return e, nil
}

// belongsTo makes the journal one of an account, or returns an error if it is one of another.
func (j *Journal) belongsTo(ctx context.Context, account string) error {
	if account == "" {
		return errors.New("a journal is kept for one account, and none is given")
	}
	data, _, err := j.store.get(ctx, accountKey)
	if errors.Is(err, ErrNotFound) {
		if err := j.claim(ctx, account); !errors.Is(err, errChanged) {
			return err
		}
		data, _, err = j.store.get(ctx, accountKey)
	}
	if err != nil {
		return err
	}
	owner, err := parseAccount(data)
	if err != nil {
		return j.unreadable(accountKey, err)
	}
	if owner != account {
		return fmt.Errorf("%s: the journal belongs to account %s, and this is %s; keep one for each account, under a prefix of its own",
			j.store.where(accountKey), owner, account)
	}
	return nil
}

// claim makes a journal that is nobody's one of an account.
func (j *Journal) claim(ctx context.Context, account string) error {
	data, err := encode(accountDocument{account})
	if err == nil {
		_, err = j.store.putIfAbsent(ctx, accountKey, data)
	}
	return err
}

// save stores a document, over an older one if there is one.
func (j *Journal) save(ctx context.Context, key string, document any) error {
	data, err := encode(document)
	if err != nil {
		return err
	}
	return j.store.put(ctx, key, data)
}

// declare stores the plan, and then that it is unfinished. If that fails nothing is announced, and the plan is to say so, as far as it
// can be written.
func (j *Journal) declare(ctx context.Context, plan planDocument) error {
	err := j.save(ctx, planKey(plan.Run, plan.Region), plan)
	if err == nil {
		err = j.save(ctx, markerKey(plan.Region, plan.Run), markerDocument{plan.Run, plan.Region})
	}
	if err != nil && len(plan.Announced) > 0 {
		plan.Announced = nil
		_ = j.save(ctx, planKey(plan.Run, plan.Region), plan)
	}
	return err
}

// giveBack gives a lock back after the time for it may have run out.
func (j *Journal) giveBack(ctx context.Context, held heldLock) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return j.release(ctx, held.lockDocument, held.version)
}

// Attempt notes that the removal of an image is about to be tried, with those of its declared snapshots that are still to
// go. Without that note, or once the lock is lost, it must not be tried. The note may be there all the same if the answer to it was
// lost; then Close notes that nothing was tried.
func (e *Entry) Attempt(ctx context.Context, d Declared) error {
	plan, isDeclared := e.declared[d.ImageID]
	if !isDeclared {
		return fmt.Errorf("%s: the run has not declared its removal", d.ImageID)
	}
	for _, id := range d.Snapshots {
		if !slices.Contains(plan.Snapshots, id) {
			return fmt.Errorf("%s: the run has not declared the deletion of %s with it", d.ImageID, id)
		}
	}
	if err := e.whyLost(); err != nil {
		return err
	}
	e.mu.Lock()
	e.tried[d.ImageID] = slices.Clone(d.Snapshots)
	e.mu.Unlock()
	err := e.write(ctx, removalDocument{ImageID: d.ImageID, Declared: d.Snapshots, Status: attempted})
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.unsettled[d.ImageID] = ami.Outcome{ImageID: d.ImageID, Status: ami.Failed, Error: "not tried: " + err.Error(), Snapshots: []ami.SnapshotResult{}}
	}
	return err
}

// Settle notes what became of the removal of an image, or why it was not tried. It may come again for an image: the last word counts. What cannot be
// noted, Close tries once more: the next run would take an attempt without an end for a removal.
func (e *Entry) Settle(ctx context.Context, outcome ami.Outcome) error {
	if err := cmp.Or(checkImage(outcome.ImageID), checkStatus(outcome.Status)); err != nil {
		return err
	}
	e.mu.Lock()
	snapshots, wasTried := e.tried[outcome.ImageID]
	e.mu.Unlock()
	if !wasTried {
		snapshots = e.declared[outcome.ImageID].Snapshots
	}
	err := e.write(ctx, removalDocument{
		ImageID: outcome.ImageID, Declared: snapshots, Status: outcome.Status, Error: outcome.Error,
		Refused: outcome.Refused, Snapshots: outcome.Snapshots, RestorableUntil: outcome.InBinUntil,
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.unsettled, outcome.ImageID); err != nil {
		e.unsettled[outcome.ImageID] = outcome
	}
	return err
}

func (e *Entry) write(ctx context.Context, document removalDocument) error {
	document.Run, document.Region = e.run, e.region
	return e.journal.save(ctx, removalKey(document.Region, document.ImageID, document.Run), document)
}

// SettleLeftover notes that a snapshot which an earlier run had left is deleted, or was gone. No history lists it any
// more, so that it stays if a person brings it back.
func (e *Entry) SettleLeftover(ctx context.Context, leftover ami.Leftover) error {
	if err := cmp.Or(checkRun(leftover.Run), checkImage(leftover.ImageID), checkSnapshot(leftover.SnapshotID)); err != nil {
		return err
	}
	return e.journal.save(ctx, finishedKey(e.region, leftover.ImageID, leftover.Run, leftover.SnapshotID), finishedDocument{
		leftover.Run, e.region, leftover.ImageID, leftover.SnapshotID, e.run,
	})
}

// Withdraw notes that the announcement of an image is taken back that an earlier run has made. No history bears it out any more, whoever
// writes its tags back.
func (e *Entry) Withdraw(ctx context.Context, imageID, announcer string) error {
	if err := cmp.Or(checkRun(announcer), checkImage(imageID)); err != nil {
		return err
	}
	return e.journal.save(ctx, withdrawnKey(e.region, imageID, announcer), withdrawnDocument{announcer, e.region, imageID, e.run})
}

// Renew is a sign of life. A run has to give one well before 30 minutes have passed since the last one that succeeded, or
// stop: after that another run may take its lock. An error may pass, unless it says that the lock is lost, which stays so.
func (e *Entry) Renew(ctx context.Context, now time.Time) error {
	return e.renewAfter(ctx, now, func(time.Duration) (bool, error) { return true, nil })
}

// KeepUp is Renew once the last sign of life begins to be old, and for whoever has to go by what was read since then. If it
// is so old that another run might have taken the lock, because the machine has slept or was held up, it is an error, whoever
// holds the lock: what was read may be as old.
func (e *Entry) KeepUp(ctx context.Context, now time.Time) error {
	return e.renewAfter(ctx, now, func(age time.Duration) (bool, error) {
		if age > Lease {
			return false, fmt.Errorf("the run has given no sign of life for %s", age.Truncate(time.Second))
		}
		return age > Lease/3, nil
	})
}

// renewAfter renews the lock if that is due, given how old the last sign of life is.
func (e *Entry) renewAfter(ctx context.Context, now time.Time, isDue func(age time.Duration) (bool, error)) error {
	held := <-e.held
	defer func() { e.held <- held }()
	if err := e.whyLost(); err != nil {
		return err
	}
	// Of the two clocks of a machine the one on the wall goes on while it sleeps.
	if due, err := isDue(now.Round(0).Sub(held.At.Round(0))); err != nil || !due {
		return err
	}
	renewed := held.lockDocument
	if now.After(renewed.At) {
		renewed.At = now.UTC()
	}
	version, err := e.journal.renew(ctx, renewed, held.version)
	if lost, isLost := errors.AsType[errLost](err); isLost {
		err = fmt.Errorf("%s: %w", e.journal.store.where(lockKey(e.region)), lost)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.lost = err
	}
	if err == nil {
		held = heldLock{renewed, version}
	}
	return err
}

// whyLost returns why the lock is not held any more, or nil.
func (e *Entry) whyLost() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// Close gives the lock back. If the run's work is complete, so that nothing is left to be done or to be noted, its note of
// being unfinished goes before. The entry is of no use any more.
func (e *Entry) Close(ctx context.Context, complete bool) error {
	held := <-e.held
	defer func() { e.held <- held }()
	err := e.settleRest(ctx)
	if complete && err == nil {
		err = e.journal.Finish(ctx, e.region, e.run)
	}
	if e.whyLost() == nil {
		err = also(err, e.journal.release(ctx, held.lockDocument, held.version))
	}
	return err
}

// settleRest notes what could not be noted before.
func (e *Entry) settleRest(ctx context.Context) error {
	e.mu.Lock()
	rest := slices.Collect(maps.Values(e.unsettled))
	e.mu.Unlock()
	var failed error
	for _, outcome := range rest {
		failed = cmp.Or(failed, e.Settle(ctx, outcome))
	}
	return failed
}

// also puts two errors into one line. Either may be nil.
func also(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}

// Finish notes that nothing of an unfinished run is left to be done in a region.
func (j *Journal) Finish(ctx context.Context, region, run string) error {
	if err := cmp.Or(checkRun(run), checkRegion(region)); err != nil {
		return err
	}
	return j.store.remove(ctx, markerKey(region, run))
}
