package sweep_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/sweep"
)

// marked are images at the stages of an announcement.
var marked = map[retention.GraceAction]func() object{
	retention.Announce: func() object { return tagged(image(1, 1), append([]string{"Owner", "me"}, earlier...)...) },
	retention.Deprecate: func() object {
		return having(tagged(image(1, 1), append([]string{"Owner", "me"}, earlier...)...), "DeprecationTime", "2030-01-15T00:00:00.000Z")
	},
	retention.Disable: func() object {
		return having(tagged(image(1, 1), slices.Concat([]string{"Owner", "me"}, earlier, disabledBy)...), "State", "disabled")
	},
}

// Unmarking takes off, enables and un-deprecates what package retention says, whatever the tags
// say.
func TestUnmarking(t *testing.T) {
	deprecated := func(tags ...string) object {
		return having(tagged(image(1, 1), tags...), "DeprecationTime", "2030-01-15T00:00:00.000Z")
	}
	disabled := func(tags ...string) object { return having(tagged(image(1, 1), tags...), "State", "disabled") }
	two := []string{dueTag, announcedByTag}
	three := append(slices.Clone(two), disabledTag)
	const by, theirs = "announced-by=" + earlierRun + " team-a", "announced-by=" + theirRun + " team-b"
	const off, mine = "DeleteTags", "DeleteTags CreateTags DeleteTags"
	for _, c := range []struct {
		name    string
		image   object
		undo    retention.Undo
		cleared string
		writes  string // Of clearing the mark.
		vetoed  string
		objects string // The writes of a veto.
	}{
		{
			"announced", marked[retention.Announce](),
			retention.Undo{Keys: two},
			"available; Owner=me", off, "available; Owner=me restored=2030-01-01", mine,
		},
		{
			"deprecated", marked[retention.Deprecate](),
			retention.Undo{Keys: two, EndDeprecation: true},
			"available; Owner=me", "DisableImageDeprecation DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags DisableImageDeprecation CreateTags DeleteTags",
		},
		{
			"deprecated, as nobody confirms", marked[retention.Deprecate](),
			retention.Undo{Keys: two},
			"available; Owner=me; deprecated 2030-01-15", off, "available; Owner=me restored=2030-01-01; deprecated 2030-01-15", mine,
		},
		{
			"disabled", marked[retention.Disable](),
			retention.Undo{Keys: three, Enable: true},
			"available; Owner=me", "EnableImage DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags EnableImage CreateTags DeleteTags",
		},
		{
			"disabled, as nobody confirms", marked[retention.Disable](),
			retention.Undo{Keys: two},
			"disabled; Owner=me disabled=" + earlierRun, off, "disabled; Owner=me disabled=" + earlierRun + " restored=2030-01-01", mine,
		},
		{
			"both", having(marked[retention.Disable](), "DeprecationTime", "2030-01-15T00:00:00.000Z"),
			retention.Undo{Keys: three, Enable: true, EndDeprecation: true},
			"available; Owner=me", "EnableImage DisableImageDeprecation DeleteTags",
			"available; Owner=me restored=2030-01-01", "DeleteTags EnableImage DisableImageDeprecation CreateTags DeleteTags",
		},
		{
			"disabled, and the day taken off", disabled(announcedByTag, earlierRun+" team-a", disabledTag, earlierRun),
			retention.Undo{Keys: []string{announcedByTag, disabledTag}, Enable: true},
			"available", "EnableImage DeleteTags", "available; restored=2030-01-01", "EnableImage CreateTags DeleteTags",
		},
		{
			"the day taken off", tagged(image(1, 1), announcedByTag, earlierRun+" team-a"),
			retention.Undo{Keys: []string{announcedByTag}},
			"available", off, "available; restored=2030-01-01", "CreateTags DeleteTags",
		},
		{
			"only the day left", tagged(image(1, 1), dueTag, "2030-01-15"),
			retention.Undo{Keys: []string{dueTag}},
			"available", off, "available; restored=2030-01-01", "DeleteTags CreateTags",
		},
		{
			"enabled by a person", tagged(image(1, 1), slices.Concat(earlier, disabledBy)...),
			retention.Undo{Keys: three},
			"available", off, "available; restored=2030-01-01", mine,
		},
		{
			"announced by another policy", tagged(image(1, 1), announcement("2030-01-15", theirRun, theirPolicy)...),
			retention.Undo{Keys: []string{dueTag}},
			"available; " + theirs, off, "available; " + theirs + " restored=2030-01-01", "DeleteTags CreateTags",
		},
		{
			"deprecated by another policy", deprecated(announcement("2030-01-15", theirRun, theirPolicy)...),
			retention.Undo{Keys: []string{dueTag}},
			"available; " + theirs + "; deprecated 2030-01-15", off, "available; " + theirs + " restored=2030-01-01; deprecated 2030-01-15", "DeleteTags CreateTags",
		},
		{
			"disabled by another policy", disabled(append(announcement("2030-01-15", theirRun, theirPolicy), disabledTag, theirRun)...),
			retention.Undo{Keys: []string{dueTag}},
			"disabled; " + theirs + " disabled=" + theirRun, off,
			"disabled; " + theirs + " disabled=" + theirRun + " restored=2030-01-01", "DeleteTags CreateTags",
		},
		{
			"of another policy, without its day", tagged(image(1, 1), announcedByTag, theirRun+" team-b"),
			retention.Undo{},
			"available; " + theirs, "", "available; " + theirs + " restored=2030-01-01", "CreateTags",
		},
		{
			"declared as well", tagged(image(1, 1), append(slices.Clone(earlier), intentTag, "remove", runTag, "r")...),
			retention.Undo{Keys: []string{dueTag, announcedByTag, intentTag, runTag}},
			"available", off, "available; restored=2030-01-01", mine,
		},
		{
			"declared, and that stays", tagged(image(1, 1), append(slices.Clone(earlier), intentTag, "remove", runTag, "r")...),
			retention.Undo{Keys: two},
			"available; intent=remove run=r", off, "available; intent=remove restored=2030-01-01 run=r", mine,
		},
		{
			"written in another way",
			disabled(" AMI-Janitor:Due ", " 2030-01-15 ", "ami-janitor:Announced-By", "r", "Ami-Janitor:DISABLED", "r", "ami-janitor:due-too", "x"),
			retention.Undo{Keys: []string{" AMI-Janitor:Due ", "ami-janitor:Announced-By", "Ami-Janitor:DISABLED"}, Enable: true},
			"available; due-too=x", "EnableImage DeleteTags",
			"available; due-too=x restored=2030-01-01", "DeleteTags EnableImage CreateTags DeleteTags",
		},
		{
			"nothing to take off, but that a person objects", tagged(image(1, 1), earlier...),
			retention.Undo{},
			"available; " + by + " due=2030-01-15", "", "available; " + by + " restored=2030-01-01", "DeleteTags CreateTags",
		},
		{
			"not marked at all", tagged(image(1, 1), "Owner", "me", "ami-janitor:stale-after", "90d"),
			retention.Undo{},
			"available; Owner=me stale-after=90d", "", "available; Owner=me restored=2030-01-01 stale-after=90d", "CreateTags",
		},
	} {
		for _, veto := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " veto ", veto), func(t *testing.T) {
				tonight(t, func(t *testing.T) {
					account := load(t, c.image, tagged(image(2, 2), earlier...))
					calls := &tally{Doer: account.Client()}
					keys := slices.Clone(c.undo.Keys)
					if err := sweep.Unmark(t.Context(), client(calls), read(t, account, 1), veto, c.undo, time.Now().Add(time.Hour)); err != nil {
						t.Error(err)
					}
					is, did := c.cleared, c.writes
					if veto {
						is, did = c.vetoed, c.objects
					}
					wantState(t, account, 1, is)
					wantState(t, account, 2, "available; "+by+" due=2030-01-15")
					if calls.actionsOf() != did {
						t.Errorf("writes %q, want %q", calls.actionsOf(), did)
					}
					if !slices.Equal(keys, c.undo.Keys) {
						t.Errorf("the plan says %q now, and said %q", c.undo.Keys, keys)
					}
				})
			})
		}
	}
}

// theDay is the only part that is taken off another policy's announcement.
var theDay = retention.Undo{Keys: []string{dueTag}}

// These tests rely on package retention: it takes back all of this policy's announcement, and only
// the day of another one's.
func TestWhatIsTakenBack(t *testing.T) {
	for action, image := range marked {
		tonight(t, func(t *testing.T) {
			account := load(t, image())
			want := retention.Undo{Keys: []string{dueTag, announcedByTag}, Enable: action == retention.Disable, EndDeprecation: action == retention.Deprecate}
			if want.Enable {
				want.Keys = append(want.Keys, disabledTag)
			}
			for _, veto := range []bool{false, true} {
				if got := takenBack(t, account, veto, action); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, veto %v: %+v, want %+v", action, veto, got, want)
				}
			}
			got := verdictOn(t, planFor(t, account, time.Now(), policyOf(theirPolicy, action), fullJournal, 1), 1)
			unmark, undo := retention.Veto, theDay
			if action == retention.Disable { // It is not available, and nobody looks further.
				unmark, undo = retention.LeaveMark, retention.Undo{}
			}
			if got.Unmark != unmark || !reflect.DeepEqual(got.Undo, undo) {
				t.Errorf("%s, by another policy: %+v", action, got)
			}
		})
	}
}

// An image that is restored twice says so, and of the two days the later one counts.
func TestASecondVeto(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, tagged(image(1, 1), restoredTag, "2029-06-01", announcedByTag, "r"))
		undo := retention.Undo{Keys: []string{announcedByTag}}
		if err := sweep.Unmark(t.Context(), client(account.Client()), read(t, account, 1), true, undo, time.Now()); err != nil {
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
						image, undo := read(t, account, 1), takenBack(t, account, veto, action)
						doer := faulty(account.Client(), gone, goneBefore(1, code))
						if code == "InvalidAMIID.NotFound" {
							doer = disturb.Deny(doer, "DescribeImages")
						}
						if err := sweep.Unmark(t.Context(), client(doer), image, veto, undo, time.Now()); err != nil {
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
						err := sweep.Unmark(t.Context(), client(doer), read(t, account, 1), veto, takenBack(t, account, veto, action), time.Now())
						if is := state(t, account, 1); (err == nil) != (is == done) {
							t.Errorf("%v, but it is %q", err, is)
						}
						if err := sweep.Unmark(t.Context(), client(guarded(t, account)), read(t, account, 1), veto, takenBack(t, account, veto, action), time.Now()); err != nil {
							t.Error(err)
						}
						wantState(t, account, 1, done)
					})
				})
			})
		}
	}
}

// A person's objection that is interrupted holds from its first call on, even if the image is due
// the next night; and that night finishes it.
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
						err := sweep.Unmark(ctx, client(doer), read(t, account, 1), true, takenBack(t, account, true, action), time.Now())
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

// A mark that is half taken off counts as no mark or as the complete mark, and can be taken off.
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
						_ = sweep.Unmark(ctx, client(doer), read(t, account, 1), false, takenBack(t, account, false, action), time.Now())
						wantNoRemoval(t, account, dueDay.AddDate(0, 0, -1), action)
						left := read(t, account, 1)
						_, due := left.Tags[dueTag]
						_, by := left.Tags[announcedByTag]
						_, disabled := left.Tags[disabledTag]
						if due != by || disabled && !due {
							t.Errorf("half a mark: %v", left.Tags)
						}
						if n > 0 && action == retention.Disable {
							// It is enabled, and looks as if a person had done it.
							wantNoRemoval(t, account, dueDay, action)
						}
						if err := sweep.Unmark(t.Context(), client(guarded(t, account)), left, false, takenBack(t, account, false, action), time.Now()); err != nil {
							t.Error(err)
						}
						wantState(t, account, 1, "available; Owner=me")
					})
				})
			}
		}
	}
}

// This policy objects to another one's announcement, and that one takes it back. Wherever that is
// interrupted neither removes the image, whether or not they share a journal, and this one leaves
// the rest alone.
func TestAnotherPolicysAnnouncement(t *testing.T) {
	for action, image := range marked {
		for _, arrives := range []bool{false, true} {
			for n := range 3 {
				for name, ours := range map[string]func([]ami.Image, retention.GraceAction) map[string]ami.Announcement{"one journal": fullJournal, "two": emptyJournal} {
					t.Run(fmt.Sprint(action, n, arrives, name), func(t *testing.T) {
						tonight(t, func(t *testing.T) {
							tags := append([]string{"Owner", "me"}, theirs...)
							if action == retention.Disable {
								tags = append(tags, disabledTag, theirRun)
							}
							account := load(t, tagged(image(), tags...))
							us, them := policyOf(ourPolicy, action), policyOf(theirPolicy, action)
							if verdict := verdictOn(t, planFor(t, account, dueDay, them, fullJournal), 1); verdict.Decision != retention.Deregister {
								t.Fatalf("their run does not remove it either: %v", verdict.Reasons)
							}
							before := read(t, account, 1)
							ctx, stop := context.WithCancel(t.Context())
							defer stop()
							doer, reached := cut(guarded(t, account), n, arrives, stop)
							err := sweep.Unmark(ctx, client(doer), before, true, theDay, time.Now())
							if reached() != (err != nil) || reached() != (n < 2) {
								t.Errorf("cut short %v, error %v", reached(), err)
							}
							if n == 0 && !arrives {
								return // Nothing has been done at all.
							}
							for day := range 3 {
								at := dueDay.AddDate(0, 0, day)
								removesNothing(t, account, at, planFor(t, account, at, us, ours))
								removesNothing(t, account, at, planFor(t, account, at, them, fullJournal))
							}
							again := planFor(t, account, time.Now(), us, ours, 1)
							calls := &tally{Doer: account.Client()}
							wantOutcomes(t, run(calls, again))
							if calls.actionsOf() != "" {
								t.Errorf("the next run of this policy writes %q", calls.actionsOf())
							}
							after := read(t, account, 1)
							if after.State != before.State || !after.DeprecatedAt.Equal(before.DeprecatedAt) || after.Tags[announcedByTag] != before.Tags[announcedByTag] ||
								after.Tags[disabledTag] != before.Tags[disabledTag] {
								t.Errorf("more than the day is taken back: it was %+v, and is %+v", before, after)
							}
							wantOutcomes(t, run(guarded(t, account), planFor(t, account, time.Now(), them, fullJournal)))
							wantState(t, account, 1, "available; Owner=me restored=2030-01-01")
						})
					})
				}
			}
		}
	}
}

// An image that security has disabled, and that somebody has tagged as if the janitor had, stays
// disabled, and is not removed: wherever the run that clears the tags is interrupted.
func TestAnUnconfirmedClaim(t *testing.T) {
	for _, arrives := range []bool{false, true} {
		for n := range 4 {
			t.Run(fmt.Sprint(n, arrives), func(t *testing.T) {
				tonight(t, func(t *testing.T) {
					account := load(t, append(keepTagged(), marked[retention.Disable]())...)
					policy := policyOf(ourPolicy, retention.Disable)
					verdict := verdictOn(t, planFor(t, account, time.Now(), policy, emptyJournal), 2)
					if want := (retention.Undo{Keys: []string{dueTag, announcedByTag}}); verdict.Unmark != retention.Veto || !reflect.DeepEqual(verdict.Undo, want) {
						t.Fatalf("%+v", verdict)
					}
					ctx, stop := context.WithCancel(t.Context())
					defer stop()
					doer, reached := cut(guarded(t, account), n, arrives, stop)
					err := sweep.Unmark(ctx, client(doer), read(t, account, 1), true, verdict.Undo, time.Now())
					if reached() != (err != nil) || reached() != (n < 3) {
						t.Errorf("cut short %v, error %v", reached(), err)
					}
					for day := range 3 {
						at := dueDay.AddDate(0, 0, day)
						removesNothing(t, account, at, planFor(t, account, at, policy, emptyJournal))
					}
					if is := state(t, account, 1); !strings.HasPrefix(is, "disabled; ") || !strings.Contains(is, "disabled="+earlierRun) {
						t.Errorf("it is %q", is)
					}
				})
			})
		}
	}
}

// keepTagged is image 2: the same as the image of these tests, with a keep tag.
func keepTagged() []object {
	tags := slices.Concat(earlier, disabledBy, []string{"ami-janitor:keep", "yes"})
	return []object{having(tagged(image(2, 2), tags...), "State", "disabled")}
}

// keptAnd is the verdict on an image that is kept, and whose mark is taken off, whoever has written
// it.
func keptAnd(image ami.Image, unmark retention.Unmark) retention.Verdict {
	return retention.Verdict{Image: image, Decision: retention.Keep, Unmark: unmark, Undo: retention.UndoAsked(image)}
}

func TestMarksThatAreNotTakenOffInTime(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, marked[retention.Disable](), image(2, 2))
		begin, stop := context.WithCancel(t.Context())
		stop()
		calls := &tally{Doer: account.Client()}
		plan := planOf(keptAnd(read(t, account, 1), retention.Veto))
		outcomes := carryOut(t.Context(), begin, calls, plan, passing(quiet)).Outcomes
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "could not be unmarked: not reached")
		if len(calls.requests) > 0 {
			t.Errorf("sent %s", calls.actionsOf())
		}
	})
}

// There is an outcome only for failures.
func TestARunUnmarks(t *testing.T) {
	tonight(t, func(t *testing.T) {
		const by = "announced-by=" + earlierRun + " team-a"
		mark := func(n int) object { return tagged(image(n, n), earlier...) }
		account := load(t, mark(1), mark(2), mark(3), mark(4), mark(5))
		doer := disturb.Fail(guarded(t, account), "DeleteTags", func(_ int, r emulator.Request) bool { return r.Form.Get("ResourceId.1") == imageID(2) },
			403, "UnauthorizedOperation", "No.")
		var steps []string
		outcomes := carryOut(t.Context(), t.Context(), doer, planOf(
			keptAnd(read(t, account, 1), retention.ClearMark), keptAnd(read(t, account, 2), retention.Veto),
			keptAnd(read(t, account, 3), retention.Veto), keptAnd(read(t, account, 4), retention.LeaveMark), due(5, 5),
		), passing(func(done, total int) { steps = append(steps, fmt.Sprint(done, "/", total)) })).Outcomes
		wantOutcomes(t, outcomes, "failed", "deregistered; 5 deleted")
		says(t, outcomes[0].Error, "could not be unmarked: taking off its tags: UnauthorizedOperation: No.")
		if outcomes[0].ImageID != imageID(2) || outcomes[0].Snapshots == nil {
			t.Errorf("%+v", outcomes[0])
		}
		for n, want := range []string{
			1: "available", 2: "available; " + by + " due=2030-01-15", 3: "available; restored=2030-01-01", 4: "available; " + by + " due=2030-01-15", 5: "gone",
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

// Only kept images are unmarked, whatever else a verdict says.
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
