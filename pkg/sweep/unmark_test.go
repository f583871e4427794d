package sweep_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/emulator"
	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/sweep"
)

// marked are images at the stages of an announcement.
var marked = map[retention.GraceAction]func() object{
	retention.Announce: func() object { return tagged(image(1, 1), "Owner", "me", dueTag, "2030-01-15", runTag, earlierRun) },
	retention.Deprecate: func() object {
		return having(tagged(image(1, 1), "Owner", "me", dueTag, "2030-01-15", runTag, earlierRun), "DeprecationTime", "2030-01-15T00:00:00.000Z")
	},
	retention.Disable: func() object {
		return having(tagged(image(1, 1), "Owner", "me", dueTag, "2030-01-15", disabledTag, earlierRun), "State", "disabled")
	},
}

func TestUnmarking(t *testing.T) {
	deprecated := func(at string, tags ...string) object {
		return having(tagged(image(1, 1), tags...), "DeprecationTime", at)
	}
	disabled := func(tags ...string) object { return having(tagged(image(1, 1), tags...), "State", "disabled") }
	for _, c := range []struct {
		name    string
		image   object
		cleared string
		writes  string // Of clearing the mark.
		vetoed  string
		objects string // The writes of a veto.
	}{
		{
			"announced", marked[retention.Announce](),
			"available; Owner=me", "DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags CreateTags DeleteTags",
		},
		{
			"deprecated", marked[retention.Deprecate](),
			"available; Owner=me", "DisableImageDeprecation DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags DisableImageDeprecation CreateTags DeleteTags",
		},
		{
			"disabled", marked[retention.Disable](),
			"available; Owner=me", "EnableImage DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags EnableImage CreateTags DeleteTags",
		},
		{
			"disabled, and the day taken off", disabled(disabledTag, "r"),
			"available", "EnableImage DeleteTags",
			"available; restored=2030-01-01", "EnableImage CreateTags DeleteTags",
		},
		{
			"the day taken off", tagged(image(1, 1), runTag, "r"),
			"available", "DeleteTags",
			"available; restored=2030-01-01", "CreateTags DeleteTags",
		},
		{
			"enabled by a person", tagged(image(1, 1), dueTag, "2030-01-15", disabledTag, "r"),
			"available", "DeleteTags",
			"available; restored=2030-01-01", "DeleteTags CreateTags DeleteTags",
		},
		{
			"disabled by a person", disabled(dueTag, "2030-01-15", runTag, "r"),
			"disabled", "DeleteTags",
			"disabled; restored=2030-01-01", "DeleteTags CreateTags DeleteTags",
		},
		{
			"deprecated by its owner", deprecated("2030-01-15T00:01:00.000Z", dueTag, "2030-01-15", runTag, "r"),
			"available; deprecated 2030-01-15T00:01:00Z", "DeleteTags",
			"available; restored=2030-01-01; deprecated 2030-01-15T00:01:00Z", "DeleteTags CreateTags DeleteTags",
		},
		{
			"a day that cannot be read", deprecated("2030-01-15T00:00:00.000Z", dueTag, "soon", runTag, "r"),
			"available; deprecated 2030-01-15", "DeleteTags",
			"available; restored=2030-01-01; deprecated 2030-01-15", "DeleteTags CreateTags DeleteTags",
		},
		{
			"written in another way", having(tagged(image(1, 1), " AMI-Janitor:Due ", " 2030-01-15 ", "Ami-Janitor:DISABLED", "r", "ami-janitor:due-too", "x"), "State", "disabled"),
			"available; due-too=x", "EnableImage DeleteTags",
			"available; due-too=x restored=2030-01-01", "DeleteTags EnableImage CreateTags DeleteTags",
		},
		{
			"deprecated, and written in another way", deprecated("2030-01-15T00:00:00.000Z", " AMI-Janitor:Due ", " 2030-01-15 ", runTag, "r"),
			"available", "DisableImageDeprecation DeleteTags",
			"available; restored=2030-01-01", "DeleteTags DisableImageDeprecation CreateTags DeleteTags",
		},
		{
			"not marked at all", tagged(image(1, 1), "Owner", "me", "ami-janitor:stale-after", "90d"),
			"available; Owner=me stale-after=90d", "",
			"available; Owner=me restored=2030-01-01 stale-after=90d", "CreateTags",
		},
	} {
		for _, veto := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " veto ", veto), func(t *testing.T) {
				tonight(t, func(t *testing.T) {
					account := load(t, c.image, tagged(image(2, 2), dueTag, "2030-01-15", runTag, "r"))
					calls := &tally{Doer: guarded(t, account)}
					if err := sweep.Unmark(t.Context(), client(calls), read(t, account, 1), veto, time.Now().Add(time.Hour)); err != nil {
						t.Error(err)
					}
					is, did := c.cleared, c.writes
					if veto {
						is, did = c.vetoed, c.objects
					}
					wantState(t, account, 1, is)
					wantState(t, account, 2, "available; due=2030-01-15 run=r")
					if calls.actionsOf() != did {
						t.Errorf("writes %q, want %q", calls.actionsOf(), did)
					}
				})
			})
		}
	}
}

// An image that is restored twice says so, and of the two days the later one counts.
func TestASecondVeto(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, tagged(image(1, 1), restoredTag, "2029-06-01", runTag, "r"))
		if err := sweep.Unmark(t.Context(), client(account.Client()), read(t, account, 1), true, time.Now()); err != nil {
			t.Error(err)
		}
		wantState(t, account, 1, "available; restored=2030-01-01")
	})
}

func TestNothingIsLeftToUnmark(t *testing.T) {
	for action, image := range marked {
		for _, veto := range []bool{false, true} {
			for _, gone := range []string{"DeleteTags", "EnableImage", "DisableImageDeprecation", "CreateTags"} {
				for _, code := range []string{"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"} {
					tonight(t, func(t *testing.T) {
						account := load(t, image())
						image := read(t, account, 1)
						doer := faulty(account.Client(), gone, goneBefore(1, code))
						if code == "InvalidAMIID.NotFound" {
							doer = emulator.Deny(doer, "DescribeImages")
						}
						if err := sweep.Unmark(t.Context(), client(doer), image, veto, time.Now()); err != nil {
							t.Errorf("%s, veto %v, gone before %s: %v", action, veto, gone, err)
						}
					})
				}
			}
		}
	}
}

// Whatever goes wrong, there is an error unless all is done, and a second attempt finishes it.
func TestUnmarkingThatFails(t *testing.T) {
	for action, image := range marked {
		for _, veto := range []bool{false, true} {
			t.Run(fmt.Sprint(action, " veto ", veto), func(t *testing.T) {
				done := "available; Owner=me"
				if veto {
					done += " restored=2030-01-01"
				}
				writes := []string{"DeleteTags", "EnableImage", "DisableImageDeprecation", "CreateTags"}
				everyFault(t, writes, func(t *testing.T, broken func(emulator.Doer) emulator.Doer) {
					tonight(t, func(t *testing.T) {
						account := load(t, image())
						doer := broken(guarded(t, account))
						err := sweep.Unmark(t.Context(), client(doer), read(t, account, 1), veto, time.Now())
						if is := state(t, account, 1); (err == nil) != (is == done) {
							t.Errorf("%v, but it is %q", err, is)
						}
						if err := sweep.Unmark(t.Context(), client(guarded(t, account)), read(t, account, 1), veto, time.Now()); err != nil {
							t.Error(err)
						}
						if is := state(t, account, 1); is != done && is != done+"; deprecated 2030-01-15" {
							t.Errorf("after a second attempt it is %q, want %q", is, done)
						}
					})
				})
			})
		}
	}
}

// A person's objection that is cut short holds from its first call on, even if the image is due the next night; and that
// night finishes it.
func TestAVetoThatIsCutShort(t *testing.T) {
	for action, image := range marked {
		for _, arrives := range []bool{false, true} {
			for n := range 5 {
				t.Run(fmt.Sprint(action, n, arrives), func(t *testing.T) {
					tonight(t, func(t *testing.T) {
						account := load(t, image())
						time.Sleep(time.Until(dueDay))
						ctx, stop := context.WithCancel(t.Context())
						defer stop()
						doer, reached := cut(guarded(t, account), n, arrives, stop)
						err := sweep.Unmark(ctx, client(doer), read(t, account, 1), true, time.Now())
						if reached() != (err != nil) {
							t.Errorf("cut short %v, error %v", reached(), err)
						}
						if n == 0 && !arrives {
							return // Nothing has been done at all.
						}
						for day := range 3 {
							wantNoRemoval(t, account, time.Now().AddDate(0, 0, day), action)
						}
						plan := night(t, account, time.Now().AddDate(0, 0, 1), action)
						wantOutcomes(t, run(guarded(t, account), plan))
						if is := state(t, account, 1); !strings.HasPrefix(is, "available; Owner=me restored=2030-01-15") {
							t.Errorf("in the end it is %q", is)
						}
						wantNoRemoval(t, account, time.Now().AddDate(0, 0, 20), action)
					})
				})
			}
		}
	}
}

// A mark that is only half taken off is none, or is the whole mark still, and can be taken off.
func TestClearingThatIsCutShort(t *testing.T) {
	for action, image := range marked {
		for _, arrives := range []bool{false, true} {
			for n := range 3 {
				t.Run(fmt.Sprint(action, n, arrives), func(t *testing.T) {
					tonight(t, func(t *testing.T) {
						account := load(t, image())
						ctx, stop := context.WithCancel(t.Context())
						defer stop()
						doer, _ := cut(guarded(t, account), n, arrives, stop)
						_ = sweep.Unmark(ctx, client(doer), read(t, account, 1), false, time.Now())
						wantNoRemoval(t, account, dueDay.AddDate(0, 0, -1), action)
						left := read(t, account, 1)
						_, due := left.Tags[dueTag]
						_, run := left.Tags[runTag]
						_, disabled := left.Tags[disabledTag]
						if due != (run || disabled) {
							t.Errorf("half a mark: %v", left.Tags)
						}
						if err := sweep.Unmark(t.Context(), client(guarded(t, account)), left, false, time.Now()); err != nil {
							t.Error(err)
						}
						wantState(t, account, 1, "available; Owner=me")
					})
				})
			}
		}
	}
}

// keptAnd is the verdict on an image that is kept, and whose mark is taken off.
func keptAnd(image ami.Image, unmark retention.Unmark) retention.Verdict {
	return retention.Verdict{Image: image, Decision: retention.Keep, Unmark: unmark}
}

func TestMarksThatAreNotTakenOffInTime(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, marked[retention.Disable](), image(2, 2))
		begin, stop := context.WithCancel(t.Context())
		stop()
		calls := &tally{Doer: account.Client()}
		plan := planOf(keptAnd(read(t, account, 1), retention.Veto))
		outcomes := sweep.Run(t.Context(), begin, client(calls), plan, passing(quiet)).Outcomes
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "could not be unmarked: not reached")
		if len(calls.requests) > 0 {
			t.Errorf("sent %s", calls.actionsOf())
		}
	})
}

// There is an outcome only of what could not be done.
func TestARunUnmarks(t *testing.T) {
	tonight(t, func(t *testing.T) {
		mark := func(n int) object { return tagged(image(n, n), dueTag, "2030-01-15", runTag, "r") }
		account := load(t, mark(1), mark(2), mark(3), mark(4), mark(5))
		doer := emulator.Fail(guarded(t, account), "DeleteTags", func(_ int, r emulator.Request) bool { return r.Form.Get("ResourceId.1") == imageID(2) },
			403, "UnauthorizedOperation", "No.")
		var steps []string
		outcomes := sweep.Run(t.Context(), t.Context(), client(doer), planOf(
			keptAnd(read(t, account, 1), retention.ClearMark), keptAnd(read(t, account, 2), retention.Veto),
			keptAnd(read(t, account, 3), retention.Veto), keptAnd(read(t, account, 4), retention.LeaveMark), due(5, 5),
		), passing(func(done, total int) { steps = append(steps, fmt.Sprint(done, "/", total)) })).Outcomes
		wantOutcomes(t, outcomes, "failed", "deregistered; 5 deleted")
		says(t, outcomes[0].Error, "could not be unmarked: taking off its tags: UnauthorizedOperation: No.")
		if outcomes[0].ImageID != imageID(2) || outcomes[0].Snapshots == nil {
			t.Errorf("%+v", outcomes[0])
		}
		for n, want := range []string{
			1: "available", 2: "available; due=2030-01-15 run=r", 3: "available; restored=2030-01-01", 4: "available; due=2030-01-15 run=r", 5: "gone",
		} {
			if n > 0 {
				wantState(t, account, n, want)
			}
		}
		if fmt.Sprint(steps) != "[1/4 2/4 3/4 4/4]" {
			t.Errorf("steps %v", steps)
		}
	})
}

// Only what is kept is unmarked, whatever else a verdict says.
func TestOnlyKeptImagesAreUnmarked(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, marked[retention.Announce]())
		verdict := keptAnd(read(t, account, 1), retention.Veto)
		verdict.Decision = retention.Defer
		calls := &tally{Doer: account.Client()}
		wantOutcomes(t, run(calls, planOf(verdict)))
		if len(calls.requests) > 0 {
			t.Errorf("sent %s", calls.actionsOf())
		}
	})
}
