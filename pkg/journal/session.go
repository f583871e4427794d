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

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// releaseTimeout is how long an unneeded lock may take to be released.
const releaseTimeout = 10 * time.Second

// Session is a run at work in a region, from Start to Close: it holds the lock, and notes what the
// run does. Without a journal it notes nothing, and only the watchdog can end it. It is safe for
// concurrent use.
type Session struct {
	watchdog    *Watchdog
	journal     *Journal // Nil if nothing is noted.
	run, region string
	declared    map[string]Declared // By image id.

	// Capacity 1. A goroutine that takes the lock out may write it, and puts its new state back.
	held chan heldLock

	mu   sync.Mutex
	lost error // Why the lock is not held.
	// The snapshots to delete, by the id of the image whose removal was tried.
	tried map[string][]string

	unsettled map[string]ami.Outcome // What could not be noted, by image id.
}

// Unrecorded returns a session that notes nothing and has no lock.
func Unrecorded(watchdog *Watchdog) *Session { return &Session{watchdog: watchdog} }

// refused returns a session without the lock, which may change nothing.
func refused(watchdog *Watchdog, why error) *Session { return &Session{watchdog: watchdog, lost: why} }

// IsRecorded reports whether the journal tells a later run what this one leaves unfinished.
func (s *Session) IsRecorded() bool { return s.journal != nil }

// heldLock is a lock, and the version in which it was last seen.
type heldLock struct {
	lockDocument
	version string
}

// Start takes the lock of the region, stores what the run plans, and then marks the run as
// unfinished. A run that is killed before that mark has changed only the journal: its lock expires,
// and its plan has no effect. A stalled run takes no lock.
//
// If another run is at work, or was since the region was opened, the error is an ErrBusy, also if
// that run has the same id: two runs may have been given one, and only one of them can be at work.
// After an error the session may change nothing.
func (r *Region) Start(ctx context.Context, account string, intent Intent, watchdog *Watchdog) (*Session, error) {
	if err := watchdog.check(); err != nil {
		return refused(watchdog, err), err
	}
	err := r.journal.belongsTo(ctx, account)
	if stalled := watchdog.check(); stalled != nil {
		// The lock of a clock that was set meanwhile would block the region.
		return refused(watchdog, stalled), stalled
	}
	var s *Session
	if err == nil {
		s, err = r.start(ctx, account, intent, watchdog)
	}
	if err == nil {
		return s, nil
	}
	if _, isBusy := errors.AsType[ErrBusy](err); !isBusy {
		err = fmt.Errorf("the journal could not be written: %w", err)
	}
	return refused(watchdog, err), err
}

func (r *Region) start(ctx context.Context, account string, intent Intent, watchdog *Watchdog) (*Session, error) {
	declared := intent.Declared
	if err := cmp.Or(checkDeclared(declared), checkAnnounced(intent.Announced)); err != nil {
		return nil, err
	}
	j, region, run := r.journal, r.region, r.run
	s := &Session{
		watchdog: watchdog,
		journal:  j, run: run, region: region,
		declared: make(map[string]Declared, len(declared)),
		held:     make(chan heldLock, 1),
		tried:    map[string][]string{},

		unsettled: map[string]ami.Outcome{},
	}
	for _, d := range declared {
		s.declared[d.ImageID] = d
	}
	lock := lockDocument{Run: run, Region: region, Policy: intent.Policy, At: watchdog.clock().UTC(), Nonce: rand.Text()}
	version, err := r.acquire(ctx, lock)
	if err != nil {
		return nil, err
	}
	held := heldLock{lock, version}
	plan := planDocument{run, region, account, lock.At, append([]Declared{}, declared...), intent.Policy, intent.Announced}
	if err := j.declare(ctx, plan); err != nil {
		return nil, also(err, j.giveBack(ctx, held))
	}
	s.held <- held
	return s, nil
}

// belongsTo assigns an unassigned journal to an account, or returns an error if it belongs to
// another one.
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

// claim assigns an unassigned journal to an account.
func (j *Journal) claim(ctx context.Context, account string) error {
	data, err := encode(accountDocument{account})
	if err == nil {
		_, err = j.store.putIfAbsent(ctx, accountKey, data)
	}
	return err
}

// save stores a document, or replaces it.
func (j *Journal) save(ctx context.Context, key string, document any) error {
	data, err := encode(document)
	if err != nil {
		return err
	}
	return j.store.put(ctx, key, data)
}

// declare stores the plan, and then marks the run as unfinished. If that fails nothing is
// announced, and the stored plan is corrected accordingly, if possible.
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

// giveBack releases a lock although the context may have expired.
func (j *Journal) giveBack(ctx context.Context, held heldLock) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	return j.release(ctx, held.lockDocument, held.version)
}

// Attempt notes that the removal of an image, and of those of its declared snapshots that still
// exist, is about to be tried. If the note fails, or the run may not continue, the removal must not
// be tried. If only the answer to the note was lost, Close notes that nothing was tried.
func (s *Session) Attempt(ctx context.Context, d Declared) error {
	if err := s.MayContinue(ctx, WithinChunk); err != nil || s.journal == nil {
		return err
	}
	if err := s.attempt(ctx, d); err != nil {
		return fmt.Errorf("the attempt could not be noted in the journal: %w", err)
	}
	return nil
}

func (s *Session) attempt(ctx context.Context, d Declared) error {
	plan, isDeclared := s.declared[d.ImageID]
	if !isDeclared {
		return fmt.Errorf("%s: the run has not declared its removal", d.ImageID)
	}
	for _, id := range d.Snapshots {
		if !slices.Contains(plan.Snapshots, id) {
			return fmt.Errorf("%s: the run has not declared the deletion of %s with it", d.ImageID, id)
		}
	}
	s.mu.Lock()
	s.tried[d.ImageID] = slices.Clone(d.Snapshots)
	s.mu.Unlock()
	err := s.write(ctx, removalDocument{ImageID: d.ImageID, Declared: d.Snapshots, Status: attempted})
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsettled[d.ImageID] = ami.Outcome{ImageID: d.ImageID, Status: ami.Failed, Error: "not tried: " + err.Error(), Snapshots: []ami.SnapshotResult{}}
	}
	return err
}

// Settle notes the result of the removal of an image, or why it was not tried. If it is called
// again for an image, the last call counts. Close retries failed notes: the next run would take an
// attempt without a result for a removal. ErrUndone says that the result is noted, and that an undo
// of the bundle came before it.
func (s *Session) Settle(ctx context.Context, outcome ami.Outcome) error {
	if s.journal == nil {
		return nil
	}
	if err := cmp.Or(checkImage(outcome.ImageID), checkStatus(outcome.Status)); err != nil {
		return err
	}
	s.mu.Lock()
	snapshots, wasTried := s.tried[outcome.ImageID]
	s.mu.Unlock()
	if !wasTried {
		snapshots = s.declared[outcome.ImageID].Snapshots
	}
	document := removalDocument{
		ImageID: outcome.ImageID, Declared: snapshots, Status: outcome.Status, Error: outcome.Error,
		Refused: outcome.Refused, Snapshots: outcome.Snapshots, RestorableUntil: outcome.InBinUntil,
		Bundle: newBundleDocument(outcome.Bundle), Run: s.run, Region: s.region,
	}
	var err error
	if wasTried && document.Bundle != nil {
		err = s.journal.changeRemoval(ctx, s.region, removal{image: outcome.ImageID, run: s.run}, func(d *removalDocument) error {
			was := d.Bundle
			*d, d.Bundle = document, newBundleDocument(outcome.Bundle)
			return d.Bundle.after(was)
		})
	} else {
		err = s.write(ctx, document)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.unsettled, outcome.ImageID); err != nil && !errors.Is(err, ErrUndone) {
		s.unsettled[outcome.ImageID] = outcome
	}
	return err
}

func (s *Session) write(ctx context.Context, document removalDocument) error {
	document.Run, document.Region = s.run, s.region
	return s.journal.save(ctx, removalKey(document.Region, document.ImageID, document.Run), document)
}

// SettleLeftover notes that a leftover of an earlier run is deleted or gone. No history lists it
// after that, so that it stays if a person restores it.
func (s *Session) SettleLeftover(ctx context.Context, leftover ami.Leftover) error {
	if s.journal == nil {
		return nil
	}
	if err := cmp.Or(checkRun(leftover.Run), checkImage(leftover.ImageID), checkSnapshot(leftover.SnapshotID)); err != nil {
		return err
	}
	return s.journal.save(ctx, leftoverKey(s.region, leftover.ImageID, leftover.Run, leftover.SnapshotID), leftoverDocument{
		leftover.Run, s.region, leftover.ImageID, leftover.SnapshotID, s.run,
	})
}

// Withdraw notes that an earlier run's announcement of an image is withdrawn. No history confirms
// it after that, even if somebody restores its tags.
func (s *Session) Withdraw(ctx context.Context, imageID, announcer string) error {
	if s.journal == nil {
		return nil
	}
	if err := cmp.Or(checkRun(announcer), checkImage(imageID)); err != nil {
		return err
	}
	return s.journal.save(ctx, withdrawnKey(s.region, imageID, announcer), withdrawnDocument{announcer, s.region, imageID, s.run})
}

// How old the last heartbeat may be when MayContinue sends no new one.
const (
	// BetweenChunks is for changes whose facts are read after it.
	BetweenChunks time.Duration = 0
	// WithinChunk is for changes whose facts were read since the last heartbeat.
	WithinChunk = Lease / 3
)

// MayContinue says why the run must not change anything more in the region: it stalled, it lost the
// lock to another run, somebody has asked it to stop, or its last heartbeat is so old that another
// run may have been there since.
// It sends a new heartbeat if the last one is older than old; if that fails, the run must stop as
// well, but may ask again.
func (s *Session) MayContinue(ctx context.Context, old time.Duration) error {
	if err := s.watchdog.check(); err != nil {
		return err
	}
	if old == BetweenChunks {
		if err := s.Stopped(ctx); err != nil {
			return err
		}
	}
	return s.renew(ctx, s.watchdog.clock(), old)
}

// Stopped says why the run must stop if somebody has asked for that.
func (s *Session) Stopped(ctx context.Context) error {
	if s.watchdog.Stopped == nil {
		return nil
	}
	return s.watchdog.Stopped(ctx)
}

// renew sends a heartbeat if the last one is older than old.
func (s *Session) renew(ctx context.Context, now time.Time, old time.Duration) error {
	if s.journal == nil {
		return s.lost
	}
	held := <-s.held
	defer func() { s.held <- held }()
	if err := s.whyLost(); err != nil {
		return err
	}
	switch age := elapsed(held.At, now); {
	case old == BetweenChunks:
	case age > Lease:
		return fmt.Errorf("the run has sent no heartbeat for %s", age.Truncate(time.Second))
	case age <= old:
		return nil
	}
	renewed := held.lockDocument
	if now.After(renewed.At) {
		renewed.At = now.UTC()
	}
	version, err := s.journal.renew(ctx, renewed, held.version)
	if lost, isLost := errors.AsType[errLost](err); isLost {
		err = fmt.Errorf("%s: %w", s.journal.store.where(lockKey(s.region)), lost)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost = err
	}
	if err == nil {
		held = heldLock{renewed, version}
	}
	return err
}

// whyLost returns why the run lost the lock, or nil.
func (s *Session) whyLost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Close releases the lock. If the run's work is complete, it first removes the run's unfinished
// marker. It ends the session.
func (s *Session) Close(ctx context.Context, complete bool) error {
	if s.journal == nil {
		return nil
	}
	held := <-s.held
	defer func() { s.held <- held }()
	err := s.settleRest(ctx)
	if complete && err == nil {
		err = s.ClearUnfinished(ctx, s.run)
	}
	if s.whyLost() == nil {
		err = also(err, s.journal.release(ctx, held.lockDocument, held.version))
	}
	return err
}

// settleRest retries the failed notes.
func (s *Session) settleRest(ctx context.Context) error {
	s.mu.Lock()
	rest := slices.Collect(maps.Values(s.unsettled))
	s.mu.Unlock()
	var failed error
	for _, outcome := range rest {
		if err := s.Settle(ctx, outcome); !errors.Is(err, ErrUndone) {
			failed = cmp.Or(failed, err)
		}
	}
	return failed
}

// also joins two errors in one line. Either may be nil.
func also(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}

// ClearUnfinished notes that an unfinished run has no work left in the region.
func (s *Session) ClearUnfinished(ctx context.Context, run string) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.clearUnfinished(ctx, s.region, run)
}

func (j *Journal) clearUnfinished(ctx context.Context, region, run string) error {
	if err := cmp.Or(checkRun(run), checkRegion(region)); err != nil {
		return err
	}
	return j.store.remove(ctx, markerKey(region, run))
}
