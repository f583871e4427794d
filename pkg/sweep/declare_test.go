package sweep_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// tagsIn are the tags of all that an account holds, by id, as "key=value" without the prefix of the
// janitor; sorted.
func tagsIn(t rapid.TB, account *emulator.Account) map[string]string {
	t.Helper()
	out, err := client(account.Client()).DescribeTags(context.Background(), &ec2.DescribeTagsInput{})
	if err != nil {
		t.Fatal(err)
	}
	words := map[string][]string{}
	for _, tag := range out.Tags {
		key := strings.TrimPrefix(*tag.Key, "ami-janitor:")
		words[*tag.ResourceId] = append(words[*tag.ResourceId], key+"="+strings.Replace(*tag.Value, runID, "RUN", 1))
	}
	tags := map[string]string{}
	for id, of := range words {
		slices.Sort(of)
		tags[id] = strings.Join(of, " ")
	}
	return tags
}

func wantTags(t rapid.TB, account *emulator.Account, want map[string]string) {
	t.Helper()
	if got := tagsIn(t, account); !maps.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
}

// demanding is IAM: it allows no removal without this run's declaration.
func demanding(t rapid.TB, account *emulator.Account) emulator.Doer {
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		ids := []string{q.Form.Get("SnapshotId")}
		if q.Action == "DeregisterImage" {
			ids = []string{q.Form.Get("ImageId")}
			if q.Form.Get("DeleteAssociatedSnapshots") == "true" {
				for _, mapping := range imagesIn(t, account)[ids[0]].BlockDeviceMappings {
					if mapping.Ebs != nil {
						ids = append(ids, *mapping.Ebs.SnapshotId)
					}
				}
			}
		}
		tags := tagsIn(t, account)
		for _, id := range ids {
			removal := q.Action == "DeregisterImage" || q.Action == "DeleteSnapshot"
			if removal && !strings.Contains(tags[id], "intent=remove run=RUN") && holdings(t, account)[id] {
				t.Errorf("%s of %s, which carries %q", q.Action, id, tags[id])
			}
		}
		return account.Client().Do(r)
	})
}

func TestEverythingIsDeclaredBeforeItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1, 9), image(2, 9), image(3, 3, 4), image(4))
		orders := passing(quiet)
		orders.sideBySide = true
		plan := planOf(due(1, 1, 9), due(2, 9), keeping(due(3, 3), 4, "tagged"), due(4))
		outcomes := carryOut(t.Context(), t.Context(), demanding(t, account), plan, orders).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 1 deleted; 9 deleted", "deregistered; 9 deleted", "deregistered; 3 deleted; 4 kept", "deregistered")
		wantTags(t, account, map[string]string{})
		wantHeld(t, account, "snapshot 4")
	})
}

// EC2 refuses an entire call because of one missing resource.
func TestOneResourceDoesNotSpoilTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var images []object
		var verdicts []retention.Verdict
		for n := range 20 {
			if n != 7 {
				images = append(images, image(n, n))
			}
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		calls := &tally{Doer: demanding(t, account)}
		outcomes := run(calls, planOf(verdicts...))
		for n, outcome := range outcomes {
			want := ami.Deregistered
			if n == 7 {
				want = ami.Skipped
				says(t, outcome.Error, "gone before this run came to it", "InvalidAMIID.NotFound")
			}
			if outcome.Status != want {
				t.Errorf("%d: %+v", n, outcome)
			}
		}
		wantHeld(t, account)
		if calls.sent("CreateTags") > 24 {
			t.Errorf("%d calls of CreateTags for one that is gone", calls.sent("CreateTags"))
		}
	})
}

// leftDeclared are the tags of an image and its snapshot whose declaration nobody can see: a run of
// another policy may have written them since, so that the next run decides.
var leftDeclared = map[string]string{imageID(1): "Owner=me intent=remove run=RUN", snapshotID(1): "intent=remove run=RUN"}

// EC2 shows tags late.
func TestTagsAreAwaited(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []fault
		tags   map[string]string // Nil if it is removed.
	}{
		{"at once", nil, nil},
		{"after some time", []fault{noTags, noTags, noTags, noTags}, nil},
		{"denied for a while", []fault{denied, broken}, nil},
		{"never", always(noTags), map[string]string{imageID(1): "Owner=me"}},
		{"nobody may look", always(denied), leftDeclared},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, tagged(image(1, 1), "Owner", "me"))
				calls := &tally{Doer: faulty(account.Client(), "DescribeTags", c.faults...)}
				outcomes := run(calls, planOf(due(1, 1)))
				if c.tags == nil {
					wantOutcomes(t, outcomes, "deregistered; 1 deleted")
					wantHeld(t, account)
					return
				}
				wantOutcomes(t, outcomes, "failed; 1 kept")
				says(t, outcomes[0].Error, "could not be declared", "cannot be read back")
				wantTags(t, account, c.tags)
				if calls.sent("DeregisterImage") > 0 {
					t.Error("tried to remove what is not seen to be declared")
				}
			})
		})
	}
}

// The declaration of a concurrent run is left to that run, its tags included.
func TestAConcurrentRunIsFaster(t *testing.T) {
	other := thisNight.UTC().Format("20060102T150405Z") + "-0ther1"
	for _, id := range []string{imageID(1), snapshotID(1)} {
		t.Run(id, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				beside := func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
					response, err := next.Do(r)
					tag(t, account, id, runTag, other)
					return response, err
				}
				outcomes := run(faulty(account.Client(), "CreateTags", beside), planOf(due(1, 1), due(2, 2)))
				wantOutcomes(t, outcomes, "skipped; 1 kept", "deregistered; 2 deleted")
				says(t, outcomes[0].Error, "claimed: run "+other+" has declared its removal")
				wantHeld(t, account, "image 1", "snapshot 1")
				wantTags(t, account, map[string]string{id: "intent=remove run=" + other})
			})
		})
	}
}

// After the cutoff waiting for tags is useless. What was declared by then loses its tags, in the
// remaining time, if they can be seen.
func TestTagsAreNotAwaitedTooLong(t *testing.T) {
	for _, c := range []struct {
		name, action string
		fault        fault
		want, says   string
		tags         map[string]string
	}{
		{"not seen yet", "DescribeTags", noTags, "skipped; 1 kept", "not reached before the time of this run was up", map[string]string{imageID(1): "Owner=me"}},
		{"nobody may look", "DescribeTags", denied, "failed; 1 kept", "cannot be read back: ec2:DescribeTags: UnauthorizedOperation", leftDeclared},
		{"refused", "CreateTags", denied, "failed; 1 kept", "could not be declared: UnauthorizedOperation", map[string]string{imageID(1): "Owner=me"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, tagged(image(1, 1), "Owner", "me"))
				doer := faulty(account.Client(), c.action, always(c.fault)...)
				begun := time.Now()
				ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
				defer stop()
				begin, stopBegin := context.WithTimeout(ctx, 10*time.Second)
				defer stopBegin()
				outcomes := carryOut(ctx, begin, doer, planOf(due(1, 1)), passing(quiet)).Outcomes
				wantOutcomes(t, outcomes, c.want)
				says(t, outcomes[0].Error, c.says)
				wantTags(t, account, c.tags)
				wantHeld(t, account, "image 1", "snapshot 1")
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// noTags is an answer of DescribeTags without tags.
func noTags(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
	return reply(r, 200, `<DescribeTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><tagSet/></DescribeTagsResponse>`), nil
}

func tag(t rapid.TB, account *emulator.Account, id, key, value string) {
	t.Helper()
	_, err := client(account.Client()).CreateTags(context.Background(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String(key), Value: aws.String(value)}}})
	if err != nil {
		t.Fatal(err)
	}
}

// A declared resource that stays loses its tags in the same run, whatever the reason.
func TestWhatStaysLosesItsTags(t *testing.T) {
	for name, breaking := range map[string]func(emulator.Doer, *orders, context.CancelFunc) emulator.Doer{
		"refused": func(next emulator.Doer, _ *orders, _ context.CancelFunc) emulator.Doer {
			return faulty(next, "DeregisterImage", always(refuse(400, "OperationNotPermitted"))...)
		},
		"in use after all": func(next emulator.Doer, orders *orders, _ context.CancelFunc) emulator.Doer {
			orders.look = staying(1, 2).look
			return next
		},
		"no time": func(next emulator.Doer, orders *orders, stop context.CancelFunc) emulator.Doer {
			orders.look = rechecking(func([]int) []int {
				stop()
				return nil
			}).look
			return next
		},
		"no journal": func(next emulator.Doer, orders *orders, _ context.CancelFunc) emulator.Doer {
			orders.records = withoutRemovals(t)
			return next
		},
		"the snapshot cannot be declared": func(next emulator.Doer, _ *orders, _ context.CancelFunc) emulator.Doer {
			return disturb.Fail(next, "CreateTags", func(_ int, r emulator.Request) bool {
				return strings.Contains(r.Form.Encode(), "snap-")
			}, 403, "UnauthorizedOperation", "No.")
		},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, tagged(image(1, 1, 9), "Owner", "me"), tagged(image(2, 9), announcement("2029-12-31", earlierRun, ourPolicy)...))
				begin, stop := context.WithCancel(t.Context())
				defer stop()
				orders := passing(quiet)
				doer := breaking(account.Client(), &orders, stop)
				first, second := due(1, 1, 9), due(2, 9)
				first.Image, second.Image = read(t, account, 1), read(t, account, 2)
				for _, outcome := range carryOut(t.Context(), begin, doer, planOf(first, second), orders).Outcomes {
					if outcome.Status == ami.Deregistered || outcome.Error == "" {
						t.Errorf("%+v", outcome)
					}
				}
				wantHeld(t, account, "image 1", "image 2", "snapshot 1", "snapshot 9")
				wantTags(t, account, map[string]string{imageID(1): "Owner=me", imageID(2): "announced-by=" + earlierRun + " team-a due=2029-12-31"})
			})
		})
	}
}

// A snapshot that could not be deleted keeps its tags if the next run will finish it, and loses
// them without a journal.
func TestTheTagsOfASnapshotThatIsLeft(t *testing.T) {
	for keep, want := range map[bool]map[string]string{true: {snapshotID(1): "intent=remove run=RUN", snapshotID(9): "intent=remove run=RUN"}, false: {}} {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1, 9), image(2, 9))
			orders := passing(quiet)
			if keep {
				orders.records = t.TempDir()
			}
			doer := faulty(faulty(account.Client(), "DeregisterImage", always(ignoringFlag)...), "DeleteSnapshot", always(throttled)...)
			outcomes := carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1, 9), due(2, 9)), orders).Outcomes
			wantOutcomes(t, outcomes, "deregistered; 1 failed; 9 failed", "deregistered; 9 failed")
			wantTags(t, account, want)
		})
	}
}

// If every removal is refused because of a missing permission, it is not tried for hours.
func TestARoleThatMayNotRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var images []object
		var verdicts []retention.Verdict
		for n := range 250 {
			images = append(images, image(n, n))
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		calls := &tally{Doer: disturb.Deny(account.Client(), "DeregisterImage")}
		orders := passing(quiet)
		orders.sideBySide = true
		var mu sync.Mutex
		safe := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
			mu.Lock()
			defer mu.Unlock()
			return calls.Do(r)
		})
		outcomes := carryOut(t.Context(), t.Context(), safe, planOf(verdicts...), orders).Outcomes
		for n, outcome := range outcomes {
			if want := map[bool]ami.Status{true: ami.Failed, false: ami.Skipped}[n < 100]; outcome.Status != want || (outcome.Code == ami.OutcomeStopped) != (n >= 100) {
				t.Fatalf("%d: %+v", n, outcome)
			}
		}
		says(t, outcomes[200].Error, "permission")
		wantTags(t, account, map[string]string{})
		// Those that come after the first have fewer attempts.
		if sent := calls.sent("DeregisterImage"); sent != 40*9+60*6 {
			t.Errorf("%d attempts, want 720", sent)
		}
	})
}

// Every attempt is noted in the journal before it is made, and its result after it, if that is
// known.
func TestTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1, 9), image(2, 9), image(3, 3), image(4, 4))
		var heard []string
		orders := passing(quiet)
		orders.records = t.TempDir()
		hear := func(before string) {
			var all []string
			for n := 1; n <= 4; n++ {
				if said := notedOf(t, orders.records, n).summary(); said != "" {
					all = append(all, fmt.Sprint(n, " ", said))
				}
			}
			heard = append(heard, before+": "+strings.Join(all, ", "))
		}
		doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
			q, err := emulator.Inspect(r)
			if err != nil {
				return nil, err
			}
			id := number(q.Form.Get("ImageId"))
			if q.Action == "DeregisterImage" {
				hear(fmt.Sprint("deregister ", id))
			}
			switch {
			case q.Action == "DeregisterImage" && id == 3:
				return denied(account.Client(), r)
			case q.Action == "DeregisterImage" && id == 4, q.Action == "DescribeImages":
				return afterReset(account.Client(), r)
			default:
				return account.Client().Do(r)
			}
		})
		carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1, 9), due(2, 9), due(3, 3), due(4, 4)), orders)
		hear("end")
		heard = slices.Compact(heard)
		want := []string{
			"deregister 1: 1 attempted; 1 declared",
			"deregister 2: 1 deregistered; 1 deleted; 9 failed, 2 attempted; 9 declared",
			"deregister 3: 1 deregistered; 1 deleted; 9 failed, 2 deregistered; 9 failed, 3 attempted; 3 declared",
			"deregister 4: 1 deregistered; 1 deleted; 9 failed, 2 deregistered; 9 failed, 3 failed; 3 kept, 4 attempted; 4 declared",
			"end: 1 deregistered; 1 deleted; 9 deleted, 2 deregistered; 9 deleted, 3 failed; 3 kept, 4 attempted; 4 declared",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

// A run stays unfinished as long as a snapshot is there that it should have deleted: the next run
// goes on.
func TestWhichRunsAreFinished(t *testing.T) {
	for name, refuses := range map[string]string{"all is deleted": "", "a snapshot is in use": "InvalidSnapshot.InUse", "a snapshot is refused": "UnauthorizedOperation"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				var doer emulator.Doer = account.Client()
				if refuses != "" {
					doer = disturb.Fail(faulty(doer, "DeregisterImage", always(ignoringFlag)...), "DeleteSnapshot",
						func(_ int, q emulator.Request) bool { return q.Form.Get("SnapshotId") == snapshotID(2) }, 400, refuses, "Said so.")
				}
				orders := passing(quiet)
				orders.records = t.TempDir()
				result := carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1), due(2, 2)), orders)
				markers, err := filepath.Glob(filepath.Join(orders.records, "unfinished", "*", "*"))
				if err != nil || (len(markers) > 0) != (refuses != "") {
					t.Errorf("%v, unfinished: %v, %+v", err, markers, result.Outcomes)
				}
			})
		})
	}
}

// A run that lost its lock removes nothing more.
func TestARunThatLostItsLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var images []object
		var verdicts []retention.Verdict
		for n := range 101 {
			images = append(images, image(n, n))
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		orders := passing(quiet)
		orders.records = t.TempDir()
		doer := before(account.Client(), "DeregisterImage", func(q emulator.Request) {
			if number(q.Form.Get("ImageId")) == 99 {
				loseLock(t, orders.records)
			}
		})
		outcomes := carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), orders).Outcomes
		if last := outcomes[100]; last.Status != ami.Skipped || outcomes[99].Status != ami.Deregistered {
			t.Errorf("%+v", last)
		}
		says(t, outcomes[100].Error, "lost the lock to run "+theirRun)
		wantHeld(t, account, "image 64", "snapshot 64")
	})
}

// The first image to go has a snapshot, and must be seen in the Recycle Bin with it.
func TestTheCanary(t *testing.T) {
	for _, c := range []struct {
		name     string
		seenFrom int // The look that shows the bin.
		plan     retention.Plan
		want     []string
	}{
		{"at once", 1, planOf(due(1), due(2, 2), due(3, 3)), []string{"deregistered", "deregistered; 2 deleted", "deregistered; 3 deleted"}},
		{"late", 5, planOf(due(1), due(2, 2), due(3, 3)), []string{"deregistered", "deregistered; 2 deleted", "deregistered; 3 deleted"}},
		{"never", 1000, planOf(due(1), due(2, 2), due(3, 3)), []string{"skipped", "deregistered; 2 deleted", "skipped; 3 kept"}},
		{"never, and nothing but shared snapshots", 1000, planOf(due(4, 9), due(5, 9)), []string{"deregistered; 9 kept", "skipped; 9 kept"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, image(1), image(2, 2), image(3, 3), image(4, 9), image(5, 9))
				orders := passing(quiet)
				orders.requireBin = true
				orders.bin = binOf(t, account, c.seenFrom)
				begun := time.Now()
				outcomes := carryOut(t.Context(), t.Context(), account.Client(), c.plan, orders).Outcomes
				wantOutcomes(t, outcomes, c.want...)
				took := time.Since(begun)
				if c.seenFrom == 1000 && (took < 2*time.Minute || took > 3*time.Minute) {
					t.Errorf("gave up after %s", took)
				}
				for _, outcome := range outcomes {
					if outcome.Status == ami.Skipped {
						says(t, outcome.Error, "has not turned up in the Recycle Bin")
					}
					if seen := outcome.Status == ami.Deregistered && c.seenFrom < 1000; seen != outcome.InBinUntil.Equal(shortly) {
						t.Errorf("%+v", outcome)
					}
				}
			})
		})
	}
}

// If time runs out before the Recycle Bin has shown anything, that does not mean that it is empty.
func TestTheCanaryIsNotAwaitedToTheEnd(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 2))
		orders := passing(quiet)
		orders.requireBin = true
		orders.bin = binOf(t, account, 1000)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		begin, stopBegin := context.WithTimeout(ctx, 50*time.Second)
		defer stopBegin()
		outcomes := carryOut(ctx, begin, account.Client(), planOf(due(1, 1), due(2, 2)), orders).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 1 deleted", "skipped; 2 kept")
		says(t, outcomes[1].Error, "not reached before the time of this run was up")
	})
}

// A shared snapshot, or a leftover, may be deleted first.
func TestTheCanaryAmongSnapshots(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1), image(4, 8, 9), image(5, 8, 9))
		orders := passing(quiet)
		orders.requireBin, orders.records = true, t.TempDir()
		orders.bin = withoutSnapshots(binOf(t, account, 0))
		plan := planOf(due(1), due(4, 8, 9), due(5, 8, 9))
		outcomes := carryOut(t.Context(), t.Context(), account.Client(), plan, orders).Outcomes
		wantOutcomes(t, outcomes, "deregistered", "deregistered; 8 deleted; 9 failed", "deregistered; 8 deleted; 9 failed")
		says(t, outcomes[2].Snapshots[1].Detail, "has not turned up in the Recycle Bin")
		wantTags(t, account, map[string]string{snapshotID(9): "intent=remove run=RUN"})
	})
}

func TestPlansThatAreHeld(t *testing.T) {
	tonight(t, func(t *testing.T) {
		for _, busy := range []bool{false, true} {
			account := load(t, image(1, 1), image(2), tagged(image(3), append(slices.Clone(earlier), "ami-janitor:keep", "yes")...), tagged(image(4), intentTag, "remove", runTag, "x"))
			plan := planOf(due(1, 1), marking(read(t, account, 2), retention.Announce), keptAnd(read(t, account, 3), retention.ClearMark))
			plan.Hold, plan.Busy = "no Recycle Bin rule", busy
			plan.Stale = []retention.StaleDeclaration{{ID: imageID(4), Run: "x", Keys: []string{intentTag, runTag}}}
			plan.Leftovers = []retention.LeftoverVerdict{{Leftover: ami.Leftover{SnapshotID: snapshotID(1)}, Delete: true}}
			result := carryOut(t.Context(), t.Context(), account.Client(), plan, passing(quiet))
			wantOutcomes(t, result.Outcomes, "skipped; 1 kept", "skipped")
			if result.Outcomes[0].Code != ami.OutcomeHeld || result.Outcomes[0].Error != plan.Hold {
				t.Errorf("%+v", result.Outcomes[0])
			}
			wantHeld(t, account, "image 1", "image 2", "image 3", "image 4", "snapshot 1")
			want := map[string]string{imageID(3): "keep=yes"}
			if busy {
				want = map[string]string{imageID(3): "announced-by=" + earlierRun + " team-a due=2030-01-15 keep=yes", imageID(4): "intent=remove run=x"}
			}
			wantTags(t, account, want)
		}
	})
}

func TestLeftoversAndStaleDeclarations(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), tagged(image(5), append(slices.Clone(earlier), "AMI-janitor:Intent", "remove", runTag, "x")...), tagged(image(6), "Owner", "me", intentTag, "remove", runTag, "x"))
		plan := planOf()
		leftover := leftoverOf(t, account, 1, 1)
		plan.Stale = []retention.StaleDeclaration{
			{ID: imageID(5), Run: "x", Keys: []string{"AMI-janitor:Intent", runTag}},
			{ID: imageID(6), Run: "x", Keys: []string{intentTag, runTag}},
			{ID: imageID(7), Run: "x", Keys: []string{intentTag, runTag}},
		}
		plan.Leftovers = []retention.LeftoverVerdict{
			leftover,
			{Leftover: ami.Leftover{SnapshotID: snapshotID(2)}, Delete: true},
			{Leftover: ami.Leftover{SnapshotID: snapshotID(3)}, Why: "tagged"},
		}
		result := carryOut(t.Context(), t.Context(), account.Client(), plan, passing(quiet))
		wantTags(t, account, map[string]string{imageID(5): "announced-by=" + earlierRun + " team-a due=2030-01-15", imageID(6): "Owner=me"})
		wantHeld(t, account, "image 5", "image 6")
		if len(result.Leftovers) != 2 || result.Leftovers[0].Status != ami.SnapshotDeleted || result.Leftovers[1].Detail != "was already gone" {
			t.Errorf("%+v", result.Leftovers)
		}
		if want := map[string]string{imageID(5): "", imageID(6): "", imageID(7): ""}; !maps.Equal(result.Stale, want) {
			t.Errorf("%v", result.Stale)
		}
	})
}

// A declaration that another run has renewed since the plan is not stale. If nobody can say whose
// it is, it stays, too.
func TestStaleDeclarationsThatAnotherRunRenews(t *testing.T) {
	other := thisNight.UTC().Format("20060102T150405Z") + "-0ther1"
	for _, denied := range []bool{false, true} {
		tonight(t, func(t *testing.T) {
			account := load(t, tagged(image(1), intentTag, "remove", runTag, "x"), tagged(image(2), intentTag, "remove", runTag, other))
			var doer emulator.Doer = account.Client()
			if denied {
				doer = disturb.Fail(doer, "DescribeTags", nil, 403, "UnauthorizedOperation", "not you")
			}
			plan := planOf()
			for n := 1; n <= 2; n++ {
				plan.Stale = append(plan.Stale, retention.StaleDeclaration{ID: imageID(n), Run: "x", Keys: []string{intentTag, runTag}})
			}
			result := carryOut(t.Context(), t.Context(), doer, plan, passing(quiet))
			left := map[string]string{imageID(2): "intent=remove run=" + other}
			why := map[string]string{imageID(1): "", imageID(2): "run " + other + " has declared its removal"}
			if denied {
				left[imageID(1)] = "intent=remove run=x"
				why = map[string]string{imageID(1): "ec2:DescribeTags: UnauthorizedOperation: not you", imageID(2): "ec2:DescribeTags: UnauthorizedOperation: not you"}
			}
			wantTags(t, account, left)
			if !maps.Equal(result.Stale, why) {
				t.Errorf("%v", result.Stale)
			}
		})
	}
}

// withoutRemovals is a journal that takes no notes of removals.
func withoutRemovals(t *testing.T) string {
	t.Helper()
	records := t.TempDir()
	if err := os.WriteFile(filepath.Join(records, "removals"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return records
}

func deregister(t rapid.TB, account *emulator.Account, n int) {
	t.Helper()
	if _, err := client(account.Client()).DeregisterImage(context.Background(), deregistration(n)); err != nil {
		t.Fatal(err)
	}
}
