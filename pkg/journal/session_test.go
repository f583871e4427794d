package journal_test

import (
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// A session without a journal accepts every note and stores none. It may continue until the run
// stalls.
func TestASessionWithoutAJournal(t *testing.T) {
	at := now
	s := journal.Unrecorded(journal.NewWatchdog(func() time.Time { return at }))
	ctx := t.Context()
	for range 3 {
		at = at.Add(lease)
		must(t,
			s.MayContinue(ctx, journal.BetweenChunks), s.MayContinue(ctx, journal.WithinChunk), s.Attempt(ctx, declare(1, 1)),
			s.Settle(ctx, outcome(1, ami.Deregistered)), s.SettleLeftover(ctx, leftover(first, 1, 1)), s.Withdraw(ctx, image(1), first), s.ClearUnfinished(ctx, first),
		)
	}
	if s.IsRecorded() {
		t.Error("it says that a later run learns of it")
	}
	at = at.Add(lease + time.Second)
	for range 2 {
		says(t, s.MayContinue(ctx, journal.BetweenChunks), "stalled for 30m1s")
		says(t, s.Attempt(ctx, declare(1, 1)), "stalled")
	}
	must(t, s.Close(ctx, true))
}

// A stalled run changes nothing more, whoever holds the lock; nor does one whose clock is set back.
func TestASessionOfAStalledRun(t *testing.T) {
	endsAfter(t, lease+time.Second, "stalled")
}

// After a clock is set back, nobody knows how old the data is.
func TestASessionOfARunWhoseClockIsSetBack(t *testing.T) {
	endsAfter(t, -lease-time.Second, "clock was set back")
}

// endsAfter wants a session to end after its clock has jumped.
func endsAfter(t *testing.T, jump time.Duration, why string) {
	t.Helper()
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, at := t.Context(), now
		opened, err := j.Region(ctx, region, first, now)
		must(t, err)
		s, err := opened.Start(ctx, account, journal.Intent{Declared: declared(1)}, journal.NewWatchdog(func() time.Time { return at }))
		must(t, err, s.MayContinue(ctx, journal.WithinChunk))
		at = at.Add(jump)
		says(t, s.MayContinue(ctx, journal.WithinChunk), why)
		_ = s.Close(ctx, false)
	})
}

// A stalled run takes no lock: its clock has jumped, and the lock would have a wrong date.
func TestAStalledRunTakesNoLock(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, at := t.Context(), now
		watchdog := journal.NewWatchdog(func() time.Time { return at })
		opened, err := j.Region(ctx, region, first, now)
		must(t, err)
		at = at.Add(lease + time.Second)
		s, err := opened.Start(ctx, account, journal.Intent{Declared: declared(1)}, watchdog)
		says(t, err, "stalled")
		says(t, s.MayContinue(ctx, journal.BetweenChunks), "stalled")
		equal(t, "the keys", keys(t, j), []string(nil))
		must(t, s.Close(ctx, true))

		watchdog.Reset()
		s, err = opened.Start(ctx, account, journal.Intent{Declared: declared(1)}, watchdog)
		must(t, err, s.MayContinue(ctx, journal.WithinChunk), s.Close(ctx, true))
	})
}

// Nor does a run whose clock is set while the journal is assigned to its account: the lock would
// have the wrong date, and block the region.
func TestAClockIsSetBeforeTheLockIsTaken(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, readings := t.Context(), 0
		watchdog := journal.NewWatchdog(func() time.Time {
			if readings++; readings > 2 {
				return now.Add(150 * 24 * time.Hour)
			}
			return now
		})
		opened, err := j.Region(ctx, region, first, now)
		must(t, err)
		s, err := opened.Start(ctx, account, journal.Intent{Declared: declared(1)}, watchdog)
		says(t, err, "stalled")
		says(t, s.MayContinue(ctx, journal.BetweenChunks), "stalled")
		begin(t, j, second, now.Add(time.Hour), declare(1))
	})
}

// A run without the lock has a session nevertheless, which may change nothing and writes nothing.
func TestASessionWithoutTheLock(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		a := begin(t, j, first, now, declare(1, 1))
		s, err := j.Start(ctx, region, second, account, now, declared(2))
		isBusy(t, err, first, now)
		before := keys(t, j)
		isBusy(t, s.MayContinue(ctx, journal.BetweenChunks), first, now)
		isBusy(t, s.Attempt(ctx, declare(2)), first, now)
		must(t, s.Settle(ctx, outcome(2, ami.Failed)), s.Close(ctx, true))
		equal(t, "the keys", keys(t, j), before)
		must(t, a.Close(ctx, true))
	})
}
