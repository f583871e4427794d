package trial_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// A step may bring back an image long after its line in the ledger. What EC2 does not show yet is
// waited for then, too.
func TestRestoredLateInAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		slow := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if q, err := emulator.Inspect(r); err == nil && q.Action == "RestoreSnapshotFromRecycleBin" {
				time.Sleep(3 * time.Minute)
			}
			return w.account.Client().Do(r)
		})
		if !w.runKilledAt(t, slow, true, func(_ int, action string) bool { return action == "RestoreImageFromRecycleBin" }) {
			t.Fatal("not killed")
		}
		shown := time.Now().Add(20 * time.Second)
		isHidden := func(int, emulator.Request) bool { return time.Now().Before(shown) }
		w.client = disturb.Fail(w.client, "DescribeImages", isHidden, http.StatusBadRequest, "InvalidAMIID.NotFound", "It does not exist.")
		w.client = disturb.Fail(w.client, "DescribeSnapshots", isHidden, http.StatusBadRequest, "InvalidSnapshot.NotFound", "It does not exist.")
		cleaned, err := w.trial(w.client).CleanUp(t.Context())
		if err != nil || len(cleaned.Left) > 0 || len(cleaned.Removed) != 2 {
			t.Errorf("%+v, %v", cleaned, err)
		}
		w.wantUntouched(t)
	})
}

// A line that is too long is an edited one: what follows it is not believed, and the ledger stays.
func TestALineThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		if err := trial.WriteLedger(w.dir, trialID, testaccount.ID, region, time.Now()); err != nil {
			t.Fatal(err)
		}
		file := w.dir + "/" + trialID + ".ledger"
		text, err := os.ReadFile(file)
		long := slices.Concat(text, bytes.Repeat([]byte(" "), 1<<17), []byte("\n"))
		if err := errors.Join(err, os.WriteFile(file, long, 0o600)); err != nil {
			t.Fatal(err)
		}
		cleaned, err := w.trial(w.client).CleanUp(t.Context())
		after, unread := os.ReadFile(file)
		if err != nil || unread != nil || len(cleaned.Left) != 1 || !bytes.Equal(after, long) {
			t.Errorf("%+v, %v; %d bytes are left of %d", cleaned, err, len(after), len(long))
		}
	})
}

// A report names no policy and no key of another account either, and not the user's directory.
func TestAReportNamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		refused := disturb.Fail(w.client, "DisableImage", func(int, emulator.Request) bool { return true }, http.StatusForbidden, "UnauthorizedOperation",
			"with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-secret/service_control_policy/p-secret, "+
				"and no use of arn:aws:kms:us-east-1:111122223333:key/1, in "+w.dir)
		report, err := w.trial(refused).Run(t.Context())
		if err != nil || report.OK() {
			t.Error(err)
		}
		wantStep(t, report, trial.StepAnnounce, trial.Failed, "policy: arn:… and no use of arn:aws:kms:us-east-1:ACCOUNT:key/1, in LEDGERS")
		for _, secret := range []string{"111122223333", "secret", w.dir} {
			if text := asJSON(t, report); strings.Contains(text, secret) {
				t.Errorf("%s is in %s", secret, text)
			}
		}
	})
}

// If AWS does not go by the filter, the report does not show what it answered: that is not the
// trial's.
func TestAListThatIsNotEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		report, err := w.trial(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, err := emulator.Inspect(r)
			response, err2 := w.client.Do(r)
			if err = errors.Join(err, err2); err == nil && q.Action == "ListRules" {
				response.Body = io.NopCloser(strings.NewReader(`{"Rules":[{"Identifier":"1","Description":"of Jane"}]}`))
			}
			return response, err
		})).Run(t.Context())
		if m := report.Measured(trial.MeasureList + "ListRules"); err != nil || m.Seen || !strings.HasPrefix(m.Answer, "not empty") || m.Wire != "" {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// Where IAM allows all removals, there is no time at which it saw the tags.
func TestNoTimeOfIAMWithoutARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		report, err := w.trial(w.client).Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		for _, name := range []string{trial.MeasureIAM, trial.MeasureIAMDelete} {
			if m := report.Measured(name); m.Name != "" {
				t.Errorf("%+v", m)
			}
		}
	})
}

// An answer about something else is not taken for a removal that was accepted.
func TestAnAnswerAboutSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		if !w.runKilledAt(t, w.client, true, func(_ int, action string) bool { return action == "DisableImage" }) {
			t.Fatal("not killed")
		}
		other := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, err := emulator.Inspect(r)
			response, err2 := w.client.Do(r)
			if err = errors.Join(err, err2); err == nil && q.Action == "DescribeImages" {
				body, err := io.ReadAll(response.Body)
				response.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte("<imageId>ami-"), []byte("<imageId>ami-9"))))
				return response, err
			}
			return response, err
		})
		cleaned, err := w.trial(other).CleanUp(t.Context())
		if err != nil || len(cleaned.Removed) > 0 || len(cleaned.Left) != 2 || strings.Contains(cleaned.Left[0].Why, "accepted") {
			t.Errorf("%+v, %v", cleaned, err)
		}
		w.wantCleanUp(t)
	})
}
