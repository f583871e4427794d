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

// patience is how long a lock that is not needed after all is tried to be given back.
const patience = 10 * time.Second

// Session is a run at work in a region, from Begin to Close: it holds the lock, and notes what the
// run does. Without a journal it notes nothing, and only the watchdog can end it. It is safe for
// concurrent use.
type Session struct {
	watchdog    *Watchdog
	journal     *Journal // Nil if nothing is noted.
	run, region string
	declared    map[string]Declared // By image id.

	held chan heldLock // Has one place. Who takes the lock out may write it, and puts back what it is then.

	mu    sync.Mutex
	lost  error               // Why the lock is not held.
	tried map[string][]string // The snapshots that were to go, by the id of the image whose removal was tried.

	unsettled map[string]ami.Outcome // What could not be noted, by image id.
}

// Unrecorded returns a session of a run that notes nothing, and has no lock.
func Unrecorded(watchdog *Watchdog) *Session { return &Session{watchdog: watchdog} }

// refused returns a session of a run that did not get the lock, and may change nothing.
func refused(watchdog *Watchdog, why error) *Session { return &Session{watchdog: watchdog, lost: why} }

// IsRecorded reports whether a later run learns from the journal what this one leaves undone.
func (s *Session) IsRecorded() bool { return s.journal != nil }

// heldLock is a lock, and the version in which it was last seen.
type heldLock struct {
	lockDocument
	version string
}

// Begin takes the lock of the region, stores what the run means to do, and then notes that it is
// unfinished. A run that is ended before that note has written nothing but here: its lock runs out,
// and its plan says nothing to anybody. A run that has stood still takes no lock.
//
// If another run is at work, or has been since the visit began, the error is an ErrBusy. So it is if
// that one has the same id: two runs may have been given one, and only one of them can be at work.
// After an error the session may change nothing.
func (v *Visit) Begin(ctx context.Context, account string, intent Intent, watchdog *Watchdog) (*Session, error) {
	if err := watchdog.check(); err != nil {
		return refused(watchdog, err), err
	}
	s, err := v.begin(ctx, account, intent, watchdog)
	if err != nil {
		if _, isBusy := errors.AsType[ErrBusy](err); !isBusy {
			err = fmt.Errorf("the journal could not be written: %w", err)
		}
		return refused(watchdog, err), err
	}
	return s, nil
}

func (v *Visit) begin(ctx context.Context, account string, intent Intent, watchdog *Watchdog) (*Session, error) {
	declared := intent.Declared
	if err := cmp.Or(checkDeclared(declared), checkAnnounced(intent.Announced)); err != nil {
		return nil, err
	}
	j, region, run := v.journal, v.region, v.run
	if err := j.belongsTo(ctx, account); err != nil {
		return nil, err
	}
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
	version, err := v.acquire(ctx, lock)
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

// Attempt notes that the removal of an image is about to be tried, with those of its declared
// snapshots that are still to go. Without that note, or if the run may not continue, it must not be
// tried. The note may be there all the same if the answer to it was lost; then Close notes that
// nothing was tried.
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

// Settle notes what became of the removal of an image, or why it was not tried. It may come again for an image: the last word counts. What cannot be
// noted, Close tries once more: the next run would take an attempt without an end for a removal.
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
	err := s.write(ctx, removalDocument{
		ImageID: outcome.ImageID, Declared: snapshots, Status: outcome.Status, Error: outcome.Error,
		Refused: outcome.Refused, Snapshots: outcome.Snapshots, RestorableUntil: outcome.InBinUntil,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.unsettled, outcome.ImageID); err != nil {
		s.unsettled[outcome.ImageID] = outcome
	}
	return err
}

func (s *Session) write(ctx context.Context, document removalDocument) error {
	document.Run, document.Region = s.run, s.region
	return s.journal.save(ctx, removalKey(document.Region, document.ImageID, document.Run), document)
}

// SettleLeftover notes that a snapshot which an earlier run had left is deleted, or was gone. No history lists it any
// more, so that it stays if a person brings it back.
func (s *Session) SettleLeftover(ctx context.Context, leftover ami.Leftover) error {
	if s.journal == nil {
		return nil
	}
	if err := cmp.Or(checkRun(leftover.Run), checkImage(leftover.ImageID), checkSnapshot(leftover.SnapshotID)); err != nil {
		return err
	}
	return s.journal.save(ctx, finishedKey(s.region, leftover.ImageID, leftover.Run, leftover.SnapshotID), finishedDocument{
		leftover.Run, s.region, leftover.ImageID, leftover.SnapshotID, s.run,
	})
}

// Withdraw notes that the announcement of an image is taken back that an earlier run has made. No history bears it out any more, whoever
// writes its tags back.
func (s *Session) Withdraw(ctx context.Context, imageID, announcer string) error {
	if s.journal == nil {
		return nil
	}
	if err := cmp.Or(checkRun(announcer), checkImage(imageID)); err != nil {
		return err
	}
	return s.journal.save(ctx, withdrawnKey(s.region, imageID, announcer), withdrawnDocument{announcer, s.region, imageID, s.run})
}

// How old the last sign of life may be for MayContinue to give no new one.
const (
	// BetweenChunks is for changes whose facts are going to be read again after it.
	BetweenChunks time.Duration = 0
	// WithinChunk is for those that go by what was read since the last sign of life.
	WithinChunk = Lease / 3
)

// MayContinue says why the run may change nothing more in the region: it has stood still, it has
// lost the lock to another run, or it has given no sign of life for so long that another run may
// have been there since. It gives a new one if the last one is older than old; if that fails, the
// run has to stop as well, but may ask again.
func (s *Session) MayContinue(ctx context.Context, old time.Duration) error {
	if err := s.watchdog.check(); err != nil {
		return err
	}
	return s.renew(ctx, s.watchdog.clock(), old)
}

// renew gives a sign of life if the last one is older than old.
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
		return fmt.Errorf("the run has given no sign of life for %s", age.Truncate(time.Second))
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

// whyLost returns why the lock is not held any more, or nil.
func (s *Session) whyLost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Close gives the lock back. If the run's work is complete, so that nothing is left to be done or to be noted, its note of
// being unfinished goes before. The session is over then.
func (s *Session) Close(ctx context.Context, complete bool) error {
	if s.journal == nil {
		return nil
	}
	held := <-s.held
	defer func() { s.held <- held }()
	err := s.settleRest(ctx)
	if complete && err == nil {
		err = s.Finish(ctx, s.run)
	}
	if s.whyLost() == nil {
		err = also(err, s.journal.release(ctx, held.lockDocument, held.version))
	}
	return err
}

// settleRest notes what could not be noted before.
func (s *Session) settleRest(ctx context.Context) error {
	s.mu.Lock()
	rest := slices.Collect(maps.Values(s.unsettled))
	s.mu.Unlock()
	var failed error
	for _, outcome := range rest {
		failed = cmp.Or(failed, s.Settle(ctx, outcome))
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

// Finish notes that nothing of an unfinished run is left to be done in the region.
func (s *Session) Finish(ctx context.Context, run string) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.finish(ctx, s.region, run)
}

func (j *Journal) finish(ctx context.Context, region, run string) error {
	if err := cmp.Or(checkRun(run), checkRegion(region)); err != nil {
		return err
	}
	return j.store.remove(ctx, markerKey(region, run))
}
