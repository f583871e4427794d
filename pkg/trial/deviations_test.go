package trial_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

var equateEmpty = cmpopts.EquateEmpty()

// held are credentials that may remove only what is declared, as those of the stack.
var held = emulator.Lags{TagKey: ami.IntentTag, TagValue: ami.Intent, HideGone: true}

// wantSeconds fails the test if measurements are others.
func wantSeconds(t *testing.T, report trial.Report, want map[string]float64) {
	t.Helper()
	for name, seconds := range want {
		if m := report.Measured(name); !m.Seen || m.Seconds != seconds {
			t.Errorf("%s: %+v, want %v s", name, m, seconds)
		}
	}
}

// If EC2, IAM and the rules of the Recycle Bin see tags after 90 seconds, the report says exactly
// that. The sweep looks after 61 and 91.
func TestTagsAreSeenLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.SetTagDelay(90 * time.Second)
		report, err := w.trial(w.account.Client(held)).Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		wantSeconds(t, report, map[string]float64{
			trial.MeasureTags: 90, trial.MeasureImages: 90, trial.MeasureSnapshots: 90, trial.MeasureIAM: 90, trial.MeasureIAMDelete: 90, trial.MeasureIAMEnd: 0,
			trial.MeasureAnnounced: 90, trial.MeasureUnmarked: 90, trial.MeasureProductTags: 91, trial.MeasureBinRule: 91, trial.MeasureBin: 0,
		})
		if says := report.Measured(trial.MeasureIAMBefore).Answer; says != "refused, as it should be" {
			t.Error(says)
		}
		w.wantUntouched(t)
	})
}

// If the Recycle Bin shows what it has received after ten minutes, the report says exactly that.
func TestTheBinIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.SetBinDelay(10 * time.Minute)
		report, err := w.trial(w.account.Client()).Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		wantSeconds(t, report, map[string]float64{trial.MeasureBin: 600, trial.MeasureBinAgain: 600, trial.MeasureTags: 0})
		if inBin := w.wantUntouched(t); len(inBin) != 2 || len(report.InBin) != 2 {
			t.Errorf("the bin holds %v, and the report says %v", inBin, report.InBin)
		}
	})
}

// If EC2 takes 40 seconds to bring an image back, the report counts what the undo waits: it looks
// after 30 and 45.
func TestRestoringIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.SetRestoreDelay(40 * time.Second)
		report, err := w.trial(w.account.Client()).Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		wantSeconds(t, report, map[string]float64{trial.MeasureRestored: 45})
	})
}

// If the Recycle Bin does not show in time what it has received, nobody knows whether its rules
// matched the tags; their age is in the report.
func TestTheBinShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.SetBinDelay(24 * time.Hour)
		report, err := w.trial(w.account.Client()).Run(t.Context())
		if err != nil || report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		wantStep(t, report, trial.StepBin, trial.Failed, "the Recycle Bin does not show")
		if m := report.Measured(trial.MeasureBinRule); m.Seen || !strings.HasPrefix(m.Answer, "unknown; the tags were 0s old: the Recycle Bin does not show") {
			t.Errorf("%+v", m)
		}
	})
}

// Slow answers do not lengthen a wait by more than one of them.
func TestAwaitCountsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := trial.Await(&trial.Trial{Clock: time.Now}, t.Context(), 3*time.Minute, func() error {
			time.Sleep(50 * time.Second)
			return errors.New("not yet")
		})
		if took := time.Since(begun); err == nil || took > 4*time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// If AWS leaves out lists without an entry, the report says so, and in which words the product's
// own code refuses to go on. The clean-up works even so.
func TestEmptyListsAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		w.account.LeaveOutEmptyLists()
		report, err := w.trial(w.account.Client()).Run(t.Context())
		if err != nil || report.OK() || len(report.Left) > 0 {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		for _, action := range []string{"DescribeImages", "DescribeSnapshots", "DescribeTags", "DescribeInstances", "ListRules"} {
			if m := report.Measured(trial.MeasureList + action); m.Seen || m.Answer != "left out" || m.Wire == "" {
				t.Errorf("%+v", m)
			}
		}
		wantStep(t, report, trial.StepAnnounce, trial.Failed, "EC2 answered DescribeInstances without <reservationSet>")
		wantStep(t, report, trial.StepRemove, trial.Failed, "EC2 answered DescribeInstances without <reservationSet>")
		w.wantUntouched(t)
	})
}

func wantStep(t *testing.T, report trial.Report, name string, status trial.Status, says string) {
	t.Helper()
	for _, step := range report.Steps {
		if step.Name == name && step.Status == status && strings.Contains(step.Why, says) {
			return
		}
	}
	t.Errorf("no step %s is %s: %s\n%s", name, status, says, asJSON(t, report.Steps))
}

// Where the Recycle Bin is required, there is no trial without its rules: nothing is made.
func TestNoRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, nil)
		if _, err := w.trial(w.account.Client()).Run(t.Context()); !errors.Is(err, trial.ErrNoRule) {
			t.Error(err)
		}
		w.wantUntouched(t)
		if len(w.told) > 0 {
			t.Error(w.told)
		}
	})
}

// Where it is not required, and has no rules, nothing is left at all.
func TestNoBin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, nil)
		tried := w.trial(w.account.Client())
		tried.RequireBin = false
		report, err := tried.Run(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		for name, status := range map[string]trial.Status{
			trial.StepRemove: trial.Done, trial.StepBin: trial.Skipped, trial.StepUndo: trial.Skipped, trial.StepAgain: trial.Skipped, trial.StepTwice: trial.Done,
		} {
			wantStep(t, report, name, status, "")
		}
		if inBin := w.wantUntouched(t); len(inBin)+len(report.InBin) > 0 {
			t.Error(inBin, report.InBin)
		}
	})
}

// A trial that is interrupted at any time cleans up before it ends.
func TestInterrupted(t *testing.T) {
	for n := int64(1); n <= 90; n += 11 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 7, nil)
			ctx, interrupt := context.WithCancel(t.Context())
			var calls atomic.Int64
			report, err := w.trial(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if calls.Add(1) == n+6 {
					interrupt()
				}
				return w.account.Client().Do(r)
			})).Run(ctx)
			if err != nil || !report.Interrupted || report.OK() || len(report.Left) > 0 {
				t.Errorf("interrupted at request %d: %v\n%s", n+6, err, asJSON(t, report))
			}
			w.wantUntouched(t)
		})
	}
}

// Two trials, or a clean-up beside a trial, do not share a directory.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		tries := 0
		report, err := w.trial(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if q, err := emulator.Inspect(r); err == nil && q.Action == "RegisterImage" {
				tries++
				if _, err := w.trial(w.account.Client()).CleanUp(t.Context()); !errors.Is(err, trial.ErrRunning) {
					t.Errorf("CleanUp: %v", err)
				}
				if _, err := w.trial(w.account.Client()).Run(t.Context()); !errors.Is(err, trial.ErrRunning) {
					t.Errorf("Run: %v", err)
				}
			}
			return w.account.Client().Do(r)
		})).Run(t.Context())
		if err != nil || !report.OK() || tries != 1 {
			t.Errorf("%v, %d tries\n%s", err, tries, asJSON(t, report))
		}
	})
}

// A report names neither the account nor who is not authorized: it is meant for an issue.
func TestAReportIsAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		refused := disturb.Fail(w.account.Client(), "DisableImage", func(int, emulator.Request) bool { return true }, http.StatusForbidden, "UnauthorizedOperation",
			"User: arn:aws:iam::123456789012:user/jane is not authorized to perform: ec2:DisableImage on resource: arn:aws:ec2:us-east-1:123456789012:image/ami-0 "+
				"with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-0123456789/service_control_policy/p-01234567")
		report, err := w.trial(refused).Run(t.Context())
		if err != nil || report.OK() {
			t.Error(err)
		}
		wantStep(t, report, trial.StepAnnounce, trial.Failed, "User: arn:… is not authorized to perform: ec2:DisableImage on resource: arn:aws:ec2:us-east-1:ACCOUNT:image/ami-0 "+
			"with an explicit deny in a service control policy: arn:…")
		if text := asJSON(t, report); strings.Contains(text, testaccount.ID) || strings.Contains(text, "111122223333") || strings.Contains(text, "jane") {
			t.Error(text)
		}
	})
}

// Once more is only asked for the removal of what is gone: not if the second removal has failed.
func TestNotTwiceWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		var restored atomic.Bool
		report, err := w.trial(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			q, err := emulator.Inspect(r)
			if q.Action == "RestoreImageFromRecycleBin" {
				restored.Store(true)
			}
			// The sweep's last look.
			if err == nil && restored.Load() && q.Action == "DescribeInstances" {
				return emulator.Refuse(r, q, q.Forbidden()), nil
			}
			return w.account.Client().Do(r)
		})).Run(t.Context())
		if err != nil || len(report.Left) > 0 {
			t.Errorf("%v\n%s", err, asJSON(t, report))
		}
		wantStep(t, report, trial.StepAgain, trial.Failed, "unknown-use")
		wantStep(t, report, trial.StepTwice, trial.Skipped, "the image is not removed")
		w.wantUntouched(t)
	})
}
