package sweep_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

var (
	everyone = []object{{"Group": "all"}}
	somebody = []object{{"UserId": "111122223333"}}
)

func TestMarking(t *testing.T) {
	for _, c := range []struct {
		name   string
		action retention.GraceAction
		image  object
		shared any
		state  string
		writes string
	}{
		{"announced", retention.Announce, image(1, 1), nil, "available; announced-by=RUN team-a due=2030-01-15", "CreateTags"},
		{"other tags stay", retention.Announce, tagged(image(1, 1), "Owner", "me"), nil, "available; Owner=me announced-by=RUN team-a due=2030-01-15", "CreateTags"},
		{
			"deprecated", retention.Deprecate, image(1, 1), nil,
			"available; announced-by=RUN team-a due=2030-01-15; deprecated 2030-01-15", "CreateTags EnableImageDeprecation",
		},
		{
			"deprecated by an older announcement", retention.Deprecate, having(image(1, 1), "DeprecationTime", "2029-03-01T00:00:00.000Z"), nil,
			"available; announced-by=RUN team-a due=2030-01-15; deprecated 2030-01-15", "CreateTags EnableImageDeprecation",
		},
		{
			"an owner's own deprecation stays", retention.Announce, having(image(1, 1), "DeprecationTime", "2031-01-01T00:00:00.000Z"), nil,
			"available; announced-by=RUN team-a due=2030-01-15; deprecated 2031-01-01", "CreateTags",
		},
		{"disabled", retention.Disable, image(1, 1), nil, "disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags DisableImage"},
		{"shared", retention.Disable, image(1, 1), somebody, "available", ""},
		{"public", retention.Disable, having(image(1, 1), "Public", true), nil, "available", ""},
		{"public by its own account alone", retention.Disable, having(image(1, 1), "Public", true), []object{}, "available", ""},
		{"public by its permissions alone", retention.Disable, image(1, 1), everyone, "available", ""},
		{"shared, announced", retention.Announce, image(1, 1), somebody, "available; announced-by=RUN team-a due=2030-01-15", "CreateTags"},
		{
			"marked long ago", retention.Announce, tagged(image(1, 1), old...), nil,
			"available; announced-by=RUN team-a due=2030-01-15", "CreateTags",
		},
		{
			"marked long ago, and now disabled", retention.Disable, tagged(image(1, 1), old...), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags DisableImage",
		},
		{
			"enabled by a person long ago", retention.Announce, tagged(image(1, 1), slices.Concat(old, disabledThen)...), nil,
			"available; announced-by=RUN team-a due=2030-01-15", "DeleteTags CreateTags",
		},
		{
			"enabled by a person long ago, and now disabled again", retention.Disable, tagged(image(1, 1), slices.Concat(old, disabledThen)...), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags DisableImage",
		},
		{
			"its tags written in another way", retention.Disable,
			tagged(image(1, 1), " AMI-Janitor:Due", "2031-01-01", "ami-janitor:Announced-By ", oldRun+" team-a", "AMI-janitor:disabled", oldRun, "ami-janitor:due-too", "x"), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15 due-too=x", "DeleteTags CreateTags DisableImage",
		},
		{
			"its tags written in two ways", retention.Announce,
			tagged(image(1, 1), append(slices.Clone(old), "ami-janitor:Announced-By", oldRun+" team-a")...), nil,
			"available; announced-by=RUN team-a due=2030-01-15", "DeleteTags CreateTags",
		},
		{
			"disabled long ago", retention.Announce,
			having(tagged(image(1, 1), slices.Concat(old, disabledThen)...), "State", "disabled"), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags",
		},
		{
			"disabled long ago, and now deprecated", retention.Deprecate,
			having(tagged(image(1, 1), slices.Concat(old, disabledThen)...), "State", "disabled"), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags",
		},
		{
			"disabled long ago, and again", retention.Disable,
			having(tagged(image(1, 1), slices.Concat(old, disabledThen)...), "State", "disabled"), nil,
			"disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15", "CreateTags",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				permissions := object{}
				if c.shared != nil {
					permissions[imageID(1)] = c.shared
				}
				account := loadShared(t, permissions, c.image, image(2, 2))
				calls := &tally{Doer: guarded(t, account)}
				verdict := marking(read(t, account, 1), c.action)
				verdict.Due = dueDay.Add(7 * time.Hour) // Only its day counts.
				outcomes := run(calls, planOf(verdict))
				leftAlone := c.writes == ""
				wantOutcomes(t, outcomes, map[bool]string{false: "marked", true: "skipped"}[leftAlone])
				wantState(t, account, 1, c.state)
				wantState(t, account, 2, "available")
				if calls.actionsOf() != c.writes {
					t.Errorf("writes %q, want %q", calls.actionsOf(), c.writes)
				}
				if leftAlone != (outcomes[0].Error != "") {
					t.Errorf("the record says %q", outcomes[0].Error)
				}
				if outcomes[0].Snapshots == nil || outcomes[0].ImageID != imageID(1) {
					t.Errorf("%+v", outcomes[0])
				}
			})
		})
	}
}

// Disabling a shared image takes it from other accounts permanently, and so does disabling one that
// may be shared. It is neither disabled nor announced: the journal says that this announcement
// disables, and the next run plans again.
func TestAnImageThatMayBeSharedIsNotDisabled(t *testing.T) {
	for name, fails := range map[string]fault{
		"denied": denied, "broken": broken, "web page": webPage, "empty": empty,
		"about another image": func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, `<DescribeImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageId>`+
				imageID(2)+`</imageId><launchPermission/></DescribeImageAttributeResponse>`), nil
		},
		"shared meanwhile": func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, `<DescribeImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageId>`+
				imageID(1)+`</imageId><launchPermission><item><userId>111122223333</userId></item></launchPermission></DescribeImageAttributeResponse>`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := faulty(guarded(t, account), "DescribeImageAttribute", always(fails)...)
				outcomes := run(doer, planOf(marking(read(t, account, 1), retention.Disable)))
				wantOutcomes(t, outcomes, "skipped")
				wantState(t, account, 1, "available")
				says(t, outcomes[0].Error, "was to be disabled", "shared")
			})
		})
	}
}

func TestAnImageThatIsGoneIsNotMarked(t *testing.T) {
	for _, action := range graceActions {
		for _, gone := range []string{"CreateTags", "DisableImage", "EnableImageDeprecation", "DescribeImageAttribute"} {
			for _, code := range []string{"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"} {
				t.Run(fmt.Sprint(action, " ", gone, " ", code), func(t *testing.T) {
					tonight(t, func(t *testing.T) {
						account := load(t, image(1, 1), image(2, 2))
						plan := planOf(marking(read(t, account, 1), action), marking(read(t, account, 2), action))
						calls := &tally{Doer: faulty(guarded(t, account), gone, goneBefore(1, code))}
						doer := emulator.Doer(calls)
						if code == "InvalidAMIID.NotFound" {
							doer = disturb.Deny(doer, "DescribeImages") // The code says it all.
						}
						outcomes := run(doer, plan)
						if calls.sent(gone) == 0 {
							return
						}
						wantOutcomes(t, outcomes, "skipped", "marked")
						says(t, outcomes[0].Error, "gone before")
					})
				})
			}
		}
	}
}

// goneBefore deregisters an image just before a request comes, which is then refused. EC2 has two
// codes for that.
func goneBefore(n int, code string) fault {
	return func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
		if _, err := client(next).DeregisterImage(r.Context(), deregistration(n)); err != nil {
			return nil, err
		}
		return refuse(400, code)(next, r)
	}
}

// Remains of an old mark do not count for the new one.
func TestAnImageThatCannotBeMarkedAgain(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, tagged(image(1, 1), old...))
		outcomes := run(disturb.Deny(guarded(t, account), "CreateTags"), planOf(marking(read(t, account, 1), retention.Announce)))
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "could not be marked: tagging it: UnauthorizedOperation")
		wantState(t, account, 1, "available; announced-by="+oldRun+" team-a due=2029-03-01")
	})
}

// Whatever goes wrong, the outcome is true, and a failed marking does an image no harm.
func TestMarkingThatFails(t *testing.T) {
	for _, action := range graceActions {
		t.Run(string(action), func(t *testing.T) {
			writes := []string{"CreateTags", "DisableImage", "EnableImageDeprecation"}
			everyFault(t, writes, func(t *testing.T, broken func(emulator.Doer) emulator.Doer) {
				for look, blind := range map[string]bool{"seeing": false, "blind": true} {
					t.Run(look, func(t *testing.T) {
						tonight(t, func(t *testing.T) {
							account := load(t, image(1, 1), image(2, 2))
							plan := planOf(marking(read(t, account, 1), action), marking(read(t, account, 2), retention.Announce))
							doer := broken(guarded(t, account))
							if blind {
								doer = disturb.Deny(doer, "DescribeImages")
							}
							outcomes := run(doer, plan)
							agreeOnMark(t, account, outcomes[0], action, blind)
							if outcomes[1].Status == ami.Marked {
								wantState(t, account, 2, "available; announced-by=RUN team-a due=2030-01-15")
							}
							for _, day := range []int{0, 1, 13} {
								wantNoRemoval(t, account, time.Now().AddDate(0, 0, day), action)
							}
						})
					})
				}
			})
		})
	}
}

var markedStates = map[retention.GraceAction]string{
	retention.Announce:  "available; announced-by=RUN team-a due=2030-01-15",
	retention.Deprecate: "available; announced-by=RUN team-a due=2030-01-15; deprecated 2030-01-15",
	retention.Disable:   "disabled; announced-by=RUN team-a disabled=RUN due=2030-01-15",
}

// agreeOnMark checks that what the outcome says of image 1 is so. Without being able to look one
// need not know.
func agreeOnMark(t *testing.T, account *emulator.Account, outcome ami.Outcome, action retention.GraceAction, blind bool) {
	t.Helper()
	is, whole := state(t, account, 1), markedStates[action]
	switch outcome.Status {
	case ami.Marked:
		if is != whole || outcome.Error != "" {
			t.Errorf("%+v, but it is %q", outcome, is)
		}
	case ami.Failed:
		doubtful := strings.Contains(outcome.Error, "may or may not")
		if doubtful && !blind {
			t.Errorf("%+v, although one look could tell", outcome)
		}
		if !doubtful && is != "available" || outcome.Error == "" {
			t.Errorf("%+v, but it is %q", outcome, is)
		}
	default:
		t.Errorf("%+v", outcome)
	}
}

// If disabling fails for certain, all three tags go again, with one call; an image never says that
// it is disabled and is not.
func TestAllTagsAreTakenOffAgain(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, tagged(image(1, 1), "Owner", "me"))
		calls := &tally{Doer: disturb.Deny(guarded(t, account), "DisableImage")}
		outcomes := run(calls, planOf(marking(read(t, account, 1), retention.Disable)))
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "could not be marked: disabling it: UnauthorizedOperation")
		wantState(t, account, 1, "available; Owner=me")
		var written, taken []string
		for _, q := range calls.requests {
			for n := 1; q.Form.Has(fmt.Sprintf("Tag.%d.Key", n)); n++ {
				key := q.Form.Get(fmt.Sprintf("Tag.%d.Key", n))
				if q.Action == "DeleteTags" {
					taken = append(taken, key)
				} else {
					written = append(written, key+"="+q.Form.Get(fmt.Sprintf("Tag.%d.Value", n)))
				}
			}
		}
		if want := []string{announcedByTag, disabledTag, dueTag}; calls.actionsOf() != "CreateTags DisableImage DeleteTags" || !slices.Equal(taken, want) {
			t.Errorf("%s; %q taken off, want %q", calls.actionsOf(), taken, want)
		}
		if want := []string{announcedByTag + "=" + runID + " team-a", disabledTag + "=" + runID, dueTag + "=2030-01-15"}; !slices.Equal(written, want) {
			t.Errorf("written %q, want %q", written, want)
		}
	})
}

// The tags that are not taken off again say so, and do no harm.
func TestTagsThatCannotBeTakenOffAgain(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		outcomes := run(disturb.Deny(guarded(t, account), "DisableImage", "DeleteTags"), planOf(marking(read(t, account, 1), retention.Disable)))
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "disabling it: UnauthorizedOperation", "taking off its tags: UnauthorizedOperation")
		wantState(t, account, 1, "available; announced-by=RUN team-a disabled=RUN due=2030-01-15")
		wantNoRemoval(t, account, dueDay.AddDate(0, 0, 1), retention.Disable)
	})
}

// A run that ends between two calls, or with a call whose answer is never read, leaves no disabled
// image without its tag, and no image is removed before its grace period ends.
func TestMarkingThatIsCutShort(t *testing.T) {
	for _, before := range []object{
		image(1, 1),
		tagged(image(1, 1), old...),
		tagged(image(1, 1), append(slices.Clone(old), "AMI-Janitor:Due", "2029-02-01", "AMI-Janitor:Announced-By", oldRun+" team-a")...),
		having(tagged(image(1, 1), slices.Concat(old, disabledThen)...), "State", "disabled"),
	} {
		for _, action := range graceActions {
			for _, arrives := range []bool{false, true} {
				for n := range 4 {
					t.Run(fmt.Sprint(before["State"], before["Tags"], action, n, arrives), func(t *testing.T) {
						tonight(t, func(t *testing.T) {
							account := load(t, before)
							ctx, stop := context.WithCancel(t.Context())
							defer stop()
							doer, reached := cut(guarded(t, account), n, arrives, stop)
							outcomes := carryOut(ctx, t.Context(), doer, planOf(marking(read(t, account, 1), action)), passing(quiet)).Outcomes
							if !reached() {
								wantOutcomes(t, outcomes, "marked")
								wantNoRemoval(t, account, dueDay.Add(-time.Second), action)
								if verdict := verdictOn(t, night(t, account, dueDay, action), 1); verdict.Decision != retention.Deregister {
									t.Errorf("it is never removed, so that the rest proves nothing: %v", verdict.Reasons)
								}
								return
							}
							if len(outcomes) != 1 || outcomes[0].Status != ami.Failed {
								t.Errorf("%+v", outcomes)
							}
							says(t, outcomes[0].Error, "interrupted")
							for _, day := range []int{0, 1, 13} {
								wantNoRemoval(t, account, time.Now().AddDate(0, 0, day), action)
							}
						})
					})
				}
			}
		}
	}
}

func TestMarksThatAreNotReached(t *testing.T) {
	for begun := range 4 {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 1), image(2, 2), image(3, 3))
			begin, stop := context.WithCancel(t.Context())
			defer stop()
			if begun == 0 {
				stop()
			}
			plan := planOf(marking(read(t, account, 1), retention.Disable), due(2, 2), marking(read(t, account, 3), retention.Announce))
			outcomes := carryOut(t.Context(), begin, guarded(t, account), plan, passing(func(done, _ int) {
				if done == begun {
					stop()
				}
			})).Outcomes
			want := []string{"skipped", "skipped; 2 kept", "skipped"}
			if begun > 0 { // Removals come first.
				want[1] = "deregistered; 2 deleted"
			}
			if begun > 1 {
				want[0] = "marked"
			}
			if begun > 2 {
				want[2] = "marked"
			}
			wantOutcomes(t, outcomes, want...)
			for i, outcome := range outcomes {
				if want[i] == "skipped" {
					says(t, outcome.Error, "not reached", "next run")
					wantState(t, account, number(outcome.ImageID), "available")
				}
			}
		})
	}
}
