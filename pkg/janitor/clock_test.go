package janitor_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
)

// Whose clock is not AWS's is minutes or years off with every idle time: it plans nothing, and
// changes nothing. An answer without a date, as a proxy may give it, proves nothing.
func TestWrongClock(t *testing.T) {
	undated := func(next emulator.Doer) emulator.Doer {
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			response, err := next.Do(r)
			if err == nil {
				response.Header.Del("Date")
			}
			return response, err
		})
	}
	asItIs := func(next emulator.Doer) emulator.Doer { return next }
	for name, c := range map[string]struct {
		ahead time.Duration
		wrap  func(emulator.Doer) emulator.Doer
		goes  bool
	}{
		"right":                             {0, asItIs, true},
		"five minutes ahead":                {5 * time.Minute, asItIs, true},
		"more than five minutes ahead":      {5*time.Minute + time.Second, asItIs, false},
		"200 days ahead":                    {200 * 24 * time.Hour, asItIs, false},
		"five minutes behind":               {-5 * time.Minute, asItIs, true},
		"more than five minutes behind":     {-5*time.Minute - time.Second, asItIs, false},
		"200 days ahead, and AWS is silent": {200 * 24 * time.Hour, undated, true},
	} {
		t.Run(name, func(t *testing.T) {
			account := world{images: []object{image(1, 150, 1, 1), image(2, 900, 800, 2)}}.load(t)
			j := newJanitor(t, c.wrap(account.Client()), settings{"KEEP_NEWEST": "0"})
			j.Clock = func() time.Time { return now.Add(c.ahead) }
			record := j.Run(t.Context(), "20261123T020000Z-010203", false)
			text := digest.Text(record)
			if removes := calls(account, "DeregisterImage") > 0; removes != c.goes || (janitor.Err(record) == nil) != c.goes {
				t.Errorf("%t, %v", removes, janitor.Err(record))
			}
			if !c.goes && (len(writes(account)) > 0 || !strings.Contains(text, "by the clock of this machine") || !record.Failed()) {
				t.Errorf("%v\n%s", writes(account), text)
			}
		})
	}
}

// A clock that is moved while the question is under way is not taken for a wrong one.
func TestAnAnswerThatTakesLong(t *testing.T) {
	var passed atomic.Int64 // Requests are under way beside each other.
	at := func() time.Time { return now.Add(time.Duration(passed.Load())) }
	account := world{images: []object{image(2, 900, 800, 2)}}.loadAt(t, at)
	j := newJanitor(t, emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		response, err := account.Client().Do(r)
		passed.Add(int64(6 * time.Minute))
		return response, err
	}), nil)
	j.Clock = at
	if record := j.Run(t.Context(), "20261123T020000Z-010203", true); janitor.Err(record) != nil {
		t.Error(janitor.Err(record))
	}
}

// A run whose clock is set back by more than its lock holds changes nothing from then on.
func TestTheClockIsSetBack(t *testing.T) {
	for back, goes := range map[time.Duration]bool{29 * time.Minute: true, 31 * time.Minute: false, 22 * time.Hour: false} {
		account := world{images: []object{image(1, 900, 800, 1)}}.load(t)
		var moved atomic.Int64
		j := newJanitor(t, on(account.Client(), func(q emulator.Request, _ int) bool { return q.Action == "DescribeImages" }, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
			moved.Store(int64(-back))
			return next.Do(r)
		}), nil)
		j.Clock = func() time.Time { return now.Add(time.Duration(moved.Load())) }
		record := j.Run(t.Context(), "20261123T020000Z-010203", false)
		if removes := len(writes(account)) > 0; removes != goes || strings.Contains(digest.Text(record), "was set back by") == goes {
			t.Errorf("%v: %v\n%s", back, writes(account), digest.Text(record))
		}
	}
}

// Everything that notes a day on an image, or goes by one, stops.
func TestWrongClockOfOtherCommands(t *testing.T) {
	account := world{images: []object{tagged(image(1, 900, 800, 1), "ami-janitor:due", "2026-12-01")}}.load(t)
	account.KeepRemoved(30)
	j := newJanitor(t, account.Client(), nil)
	j.Clock = func() time.Time { return now.AddDate(0, 0, 200) }
	const why = "by the clock of this machine"
	if _, err := j.Unmark(t.Context(), []string{imageID(1)}); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("unmark: %v", err)
	}
	if _, err := j.Explain(t.Context(), []string{imageID(1)}); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("explain: %v", err)
	}
	if undone, err := j.Undo().Images(t.Context(), []string{imageID(1)}); err != nil || undone.Err() == nil || !strings.Contains(undone.Err().Error(), why) {
		t.Errorf("undo of an image: %v, %+v", err, undone)
	}
	if undone, err := j.Undo().Run(t.Context(), "20261123T020000Z-010203"); err != nil || undone.Err() == nil || !strings.Contains(undone.Err().Error(), why) {
		t.Errorf("undo of a run: %v, %+v", err, undone)
	}
	if changes := writes(account); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
}

// A lock that somebody with a wrong clock has left would hold its region for as long as that clock
// was ahead. That is told, and not taken for another run at work.
func TestLockOfAWrongClock(t *testing.T) {
	records := t.TempDir()
	for name, content := range map[string]string{
		"account.json":         `{"account": "` + accountID + `"}`,
		"locks/us-east-1.json": `{"run": "20261121T020000Z-010203", "region": "us-east-1", "at": "2126-11-21T02:00:00Z", "nonce": "x"}`,
	} {
		path := filepath.Join(records, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	account := world{images: []object{image(1, 400, 300, 1)}}.load(t)
	j := newJanitor(t, account.Client(), settings{"RECORDS": records})
	record := j.Run(t.Context(), "20261123T020000Z-010203", false)
	err := janitor.Err(record)
	if err == nil || !strings.Contains(err.Error(), "the lock of us-east-1 is dated 2126-11-21T02:00:00Z") || !strings.Contains(err.Error(), "locks") {
		t.Errorf("%v", err)
	}
	if !record.Failed() || record.Regions[0].Busy || len(writes(account)) > 0 {
		t.Errorf("%+v, %v", record.Regions[0], writes(account))
	}
	if err := os.Remove(filepath.Join(records, "locks", "us-east-1.json")); err != nil {
		t.Fatal(err)
	}
	if record := j.Run(t.Context(), "20261123T020500Z-010203", false); record.Totals.Deregistered != 1 {
		t.Errorf("once it is removed: %s", digest.Text(record))
	}
}
