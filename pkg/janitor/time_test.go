package janitor_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// stale are so many stale images with a snapshot each, the stalest first.
func stale(n int) world {
	var w world
	for i := range n {
		w.images = append(w.images, image(i, 900, 800-i, i))
	}
	return w
}

// timed runs the janitor against a clock: it returns the record, when the last image was begun, and
// when the digest was out.
func timed(t *testing.T, doer emulator.Doer, limit time.Duration, s settings) (record record.Run, lastWrite, told time.Duration) {
	t.Helper()
	began := time.Now()
	doer = on(doer, func(q emulator.Request, _ int) bool {
		if q.Action == "DeregisterImage" {
			lastWrite = time.Since(began)
		}
		return false
	}, nil)
	j := newJanitor(t, doer, s)
	j.Clock = time.Now
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(limit))
	defer cancel()
	record = j.Run(ctx, "run", false)
	if err := j.Tell(ctx, record); err != nil {
		t.Errorf("the digest was not sent: %v", err)
	}
	return record, lastWrite, time.Since(began)
}

var mailed = settings{"TOPIC_ARN": mailTopic, "MAX_DEREGISTRATIONS": "1000"}

// Half of the time is for looking. What is not looked up by then is unknown, and the rest of the
// time is used.
func TestLookupsEndWhenHalfOfTheTimeIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// In 200 seconds, 32 at a time can be asked about four times.
		const images, lookedUp = 150, 4 * 32
		account := stale(images).load(t)
		before := holdings(t, account)
		record, lastWrite, told := timed(t, slow(account.Client(), map[string]time.Duration{"DescribeImageAttribute": 45 * time.Second}), 400*time.Second, mailed)
		checkRecord(t, record, 1000)
		checkState(t, record, before, holdings(t, account))
		if record.Totals.Deregistered != lookedUp || record.Totals.Kept != images-lookedUp {
			t.Errorf("%d can be looked up in time: %+v", lookedUp, record.Totals)
		}
		for _, i := range allImages(record) {
			if i.Verdict == "keep" && (i.Reasons[0].Code != "unknown-use" || !strings.Contains(i.Reasons[0].Detail, ami.NotReached)) {
				t.Errorf("%s is kept for %v", i.ImageID, i.Reasons)
			}
		}
		if lastWrite < 200*time.Second || told >= 400*time.Second || len(account.Published()) != 1 {
			t.Errorf("last write after %v, told after %v, %d digests", lastWrite, told, len(account.Published()))
		}
	})
}

// No image is begun that cannot be finished, nor finished at the cost of the digest. A hundred
// images are declared at a time, and forty of them are removed at a time.
func TestTheSweepStopsInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, begin   time.Duration // No image is begun after begin.
		declare, write time.Duration // How long each call lasts.
		images         int
		// Those whose removal is confirmed, and those whose answer comes too late.
		removed, cut int
		lastWrite    time.Duration
	}{
		{400 * time.Second, 350 * time.Second, 95 * time.Second, 9 * time.Second, 300, 280, 0, 348 * time.Second},
		{time.Minute, 30 * time.Second, 3 * time.Second, 7 * time.Second, 150, 140, 0, 27 * time.Second},
		{4 * time.Second, 2 * time.Second, 500 * time.Millisecond, 300 * time.Millisecond, 150, 140, 0, 1900 * time.Millisecond},
		// Writes that last longer than there is to finish them.
		{400 * time.Second, 350 * time.Second, 100 * time.Second, 45 * time.Second, 150, 100, 40, 335 * time.Second},
		// The time is up while the second hundred are declared, or before.
		{400 * time.Second, 350 * time.Second, 200 * time.Second, 9 * time.Second, 150, 100, 0, 218 * time.Second},
		{400 * time.Second, 350 * time.Second, 340 * time.Second, 9 * time.Second, 150, 80, 0, 349 * time.Second},
	} {
		bubble(t, func(t *testing.T) {
			account := stale(c.images).load(t)
			before := holdings(t, account)
			began := time.Now()
			record, lastWrite, told := timed(t, slow(account.Client(), map[string]time.Duration{
				"CreateTags": c.declare, "DeregisterImage": c.write, "Publish": min(c.limit/8, 15*time.Second),
			}), c.limit, mailed)
			checkRecord(t, record, 1000)
			checkState(t, record, before, holdings(t, account))
			if lastWrite != c.lastWrite || lastWrite > c.begin {
				t.Errorf("of %v: the last image was begun after %v, want %v, and not after %v", c.limit, lastWrite, c.lastWrite, c.begin)
			}
			if told > c.limit || len(account.Published()) != 1 {
				t.Errorf("of %v: told after %v, %d digests", c.limit, told, len(account.Published()))
			}
			if n := record.Totals; n.Deregistered != c.removed || n.Failed != c.cut || n.Skipped != c.images-c.removed-c.cut {
				t.Errorf("of %v: %+v, want %d removed and %d cut off", c.limit, n, c.removed, c.cut)
			}
			if got := record.FinishedAt.Sub(began); got > c.limit {
				t.Errorf("finished after %v", got)
			}
			for _, i := range allImages(record) {
				if i.Outcome.Status == ami.Skipped && !strings.Contains(i.Outcome.Error, "not reached") {
					t.Errorf("%+v", i.Outcome)
				}
			}
		})
	}
}

// Even if not one listing ends in time, people are told.
func TestAListingThatNeverEndsIsTold(t *testing.T) {
	for _, action := range []string{"GetCallerIdentity", "DescribeRegions", "DescribeImages", "DescribeSnapshots", "DescribeLockedSnapshots", "DescribeImageReferences"} {
		bubble(t, func(t *testing.T) {
			account := stale(3).load(t)
			record, _, told := timed(t, slow(account.Client(), map[string]time.Duration{action: 24 * time.Hour}), time.Minute,
				settings{"TOPIC_ARN": mailTopic, "REGIONS": "all", "NOTIFY_ON": "always"})
			checkRecord(t, record, 1000)
			if len(writes(account)) > 0 || told > time.Minute || len(account.Published()) != 1 {
				t.Errorf("%s: %d writes, told after %v, %d digests", action, len(writes(account)), told, len(account.Published()))
			}
			if action != "DescribeImageReferences" && (janitor.Err(record) == nil || !strings.Contains(janitor.Err(record).Error(), "time ran out")) {
				t.Errorf("%s: %v", action, janitor.Err(record))
			}
		})
	}
}

// One region that takes all the time does not take the evidence of a region that is already read.
func TestARunThatBeginsTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := stale(3).load(t)
		j := newJanitor(t, account.Client(), nil)
		j.Clock = time.Now
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		record := j.Run(ctx, "run", false)
		checkRecord(t, record, 100)
		if calls(account) > 0 || janitor.Err(record) == nil {
			t.Errorf("%d calls, error %v", calls(account), janitor.Err(record))
		}
	})
}

// An interruption ends the run after the image that has been begun; there is no deadline at a
// terminal.
func TestAnInterruptionFinishesTheImageInHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := mixed().load(t)
		account.SetInUseLag(2)
		before := holdings(t, account)
		ctx, interrupt := context.WithCancel(t.Context())
		doer := on(account.Client(), func(q emulator.Request, _ int) bool {
			if q.Action == "DeleteSnapshot" {
				interrupt()
			}
			return false
		}, nil)
		doer = disturb.Garble(doer, "DeregisterImage", nil)
		record := newJanitor(t, doer, nil).Run(ctx, "run", false)
		checkRecord(t, record, 100)
		checkState(t, record, before, holdings(t, account))
		if record.Failed() || record.Totals.Deregistered == 0 {
			t.Errorf("%+v", record.Totals)
		}
	})
	bubble(t, func(t *testing.T) {
		account := mixed().load(t)
		ctx, interrupt := context.WithCancel(t.Context())
		doer := on(account.Client(), func(q emulator.Request, _ int) bool {
			if q.Action == "DescribeImageReferences" {
				interrupt()
			}
			return false
		}, nil)
		record := newJanitor(t, doer, nil).Run(ctx, "run", false)
		checkRecord(t, record, 100)
		if len(writes(account)) > 0 {
			t.Error("went on to remove after an interruption")
		}
	})
}

// The journal hears how each attempt has ended, though that was the end of the time: none of the
// images that are still there is taken for one that is back.
func TestHowTheLastAttemptsEndedIsNoted(t *testing.T) {
	t.Parallel()
	for _, seconds := range []time.Duration{130, 134, 138} {
		bubble(t, func(t *testing.T) {
			account, err := emulator.Load(staleWorld(400).files(t), emulator.Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			doer := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut {
					select {
					case <-time.After(600 * time.Millisecond):
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				}
				return account.Client().Do(r)
			})
			for night := range 2 {
				j := newJanitor(t, doer, settings{"RECORDS": "s3://amzn-s3-demo-bucket", "MAX_DEREGISTRATIONS": "1000"})
				pace.New(0.5).Apply(&j.AWS)
				j.Clock = time.Now
				ctx, stop := context.WithTimeout(t.Context(), seconds*time.Second)
				record := j.Run(ctx, ami.NewRunID(time.Now(), bytes.NewReader([]byte{1, 2, 3})), false)
				stop()
				if night == 0 && (record.Totals.Deregistered == 0 || record.Totals.Skipped == 0) || record.Totals.Kept > 0 {
					t.Errorf("%d s, night %d: %+v", seconds, night, record.Totals)
				}
				time.Sleep(24 * time.Hour)
			}
		})
	}
}
