package sweep_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Each batch is rechecked when its turn comes, and not before.
func TestImagesAreLookedAtAgainJustBeforeTheyGo(t *testing.T) {
	for _, total := range []int{0, 1, 9, 10, 11, 20, 101} {
		tonight(t, func(t *testing.T) {
			var images []object
			var verdicts []retention.Verdict
			for n := range total {
				images = append(images, image(n, n))
				verdicts = append(verdicts, due(n, n))
			}
			account := load(t, images...)
			var looks []string
			outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(verdicts...), rechecking(func(batch []int) []int {
				looks = append(looks, fmt.Sprintf("%d from %d", len(batch), batch[0]))
				if left := len(imagesIn(t, account)); left != total-batch[0] {
					t.Errorf("%d images are left when the look begins with image %d", left, batch[0])
				}
				return nil
			})).Outcomes
			if len(outcomes) != total {
				t.Errorf("%d outcomes of %d images", len(outcomes), total)
			}
			var want []string
			for first := 0; first < total; first += 10 {
				want = append(want, fmt.Sprintf("%d from %d", min(10, total-first), first))
			}
			if !slices.Equal(looks, want) {
				t.Errorf("looks %q, want %q", looks, want)
			}
		})
	}
}

func TestWhatComesIntoUseStays(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 2), image(3, 3))
		calls := &tally{Doer: account.Client()}
		plan := planOf(due(1, 1), keeping(due(2, 2), 9, "tagged"), due(3, 3))
		outcomes := carryOut(t.Context(), t.Context(), calls, plan, staying(2)).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 1 deleted", "skipped; 2 kept; 9 kept", "deregistered; 3 deleted")
		wantHeld(t, account, "image 2", "snapshot 2")
		if outcomes[1].Code != "used-since-planned" || outcomes[1].Error != "used-since-planned: named by arn:x" {
			t.Errorf("%+v", outcomes[1])
		}
		says(t, outcomes[1].Snapshots[0].Detail, "left alone", imageID(2))
		says(t, outcomes[1].Snapshots[1].Detail, "tagged")
		if outcomes[0].Code != "" || outcomes[2].Code != "" {
			t.Errorf("%+v", outcomes)
		}
	})
}

// A shared snapshot stays with the image that must stay, whichever that is.
func TestASharedSnapshotStaysWithWhatComesIntoUse(t *testing.T) {
	for n, want := range [][]string{
		1: {"skipped; 9 kept", "deregistered; 9 kept", "deregistered; 9 kept"},
		2: {"deregistered; 9 kept", "skipped; 9 kept", "deregistered; 9 kept"},
		3: {"deregistered; 9 kept", "deregistered; 9 kept", "skipped; 9 kept"},
	} {
		if n == 0 {
			continue
		}
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 9), image(2, 9), image(3, 9))
			outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(due(1, 9), due(2, 9), due(3, 9)), staying(n)).Outcomes
			wantOutcomes(t, outcomes, want...)
			wantHeld(t, account, fmt.Sprint("image ", n), "snapshot 9")
			for _, outcome := range outcomes {
				says(t, outcome.Snapshots[0].Detail, imageID(n))
			}
		})
	}
}

// After the cutoff nothing is rechecked, and the result of a recheck that took too long is not
// used.
func TestNoLookAfterTheTimeIsUp(t *testing.T) {
	for _, late := range []string{"before", "during the look", "in the first batch"} {
		tonight(t, func(t *testing.T) {
			var images []object
			var verdicts []retention.Verdict
			for n := range 25 {
				images = append(images, image(n, n))
				verdicts = append(verdicts, due(n, n))
			}
			account := load(t, images...)
			begin, stop := context.WithCancel(t.Context())
			defer stop()
			looks := 0
			orders := rechecking(func([]int) []int {
				if looks++; late == "during the look" {
					stop()
				}
				return nil
			})
			orders.step = func(done, _ int) {
				if late == "in the first batch" && done == 3 {
					stop()
				}
			}
			wantLooks, wantGone := 1, 0
			switch late {
			case "before":
				wantLooks = 0
				stop()
			case "in the first batch":
				wantGone = 3
			}
			outcomes := carryOut(t.Context(), begin, account.Client(), planOf(verdicts...), orders).Outcomes
			if looks != wantLooks || len(imagesIn(t, account)) != 25-wantGone || len(outcomes) != 25 {
				t.Errorf("%s: %d looks, %d images left, %d outcomes", late, looks, len(imagesIn(t, account)), len(outcomes))
			}
		})
	}
}

// People's objections go first, then the removals, the announcements, and the usage reports last. A
// failure does not stop the later steps.
func TestTheOrderOfARun(t *testing.T) {
	for _, denials := range [][]string{
		{},
		{"EnableImage", "DeregisterImage", "DisableImage", "CreateImageUsageReport", "DeleteImageUsageReport"},
		{"DeleteTags", "CreateTags"},
	} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(2, 2), image(3, 3), image(4, 4),
				having(tagged(image(1, 1), dueTag, "2030-01-15", disabledTag, "r"), "State", "disabled"))
			plan := planOf(marking(read(t, account, 3), retention.Disable), due(2, 2), keptAnd(read(t, account, 4), retention.LeaveMark),
				keptAnd(read(t, account, 1), retention.ClearMark))
			plan.ReportsWanted, plan.ReportsDone = []string{imageID(4)}, []string{"amiur-00000000000000001"}
			calls := &tally{Doer: disturb.Deny(account.Client(), denials...)}
			carryOut(t.Context(), t.Context(), calls, plan, passing(quiet))
			var order []string
			for action := range strings.FieldsSeq(calls.actionsOf()) {
				if len(order) == 0 || order[len(order)-1] != action {
					order = append(order, action)
				}
			}
			want := map[int]string{
				0: "EnableImage DeleteTags CreateTags DeregisterImage CreateTags DisableImage CreateImageUsageReport DeleteImageUsageReport",
				5: "EnableImage CreateTags DeregisterImage DeleteTags CreateTags DisableImage DeleteTags CreateImageUsageReport DeleteImageUsageReport",
				2: "EnableImage DeleteTags CreateTags DeleteTags CreateTags CreateImageUsageReport DeleteImageUsageReport",
			}[len(denials)]
			if strings.Join(order, " ") != want {
				t.Errorf("denied %v: %q, want %q", denials, order, want)
			}
		})
	}
}

// anyRun draws an account, with images at every stage, and a plan with every kind of verdict. The
// plan need not be what package retention would make.
func anyRun(t *rapid.T) ([]object, func(*emulator.Account) retention.Plan) {
	images, plan := anyPlan(t)
	for i, image := range images {
		tags := rapid.SampledFrom([][]string{{}, {"Owner", "me"}, {announcedByTag, earlierRun}, earlier, theirs, slices.Concat(earlier, disabledBy)}).Draw(t, "tags")
		images[i] = tagged(image, tags...)
		if slices.Contains(tags, disabledTag) && rapid.Bool().Draw(t, "disabled") {
			having(image, "State", "disabled")
		}
		if rapid.IntRange(0, 3).Draw(t, "deprecated") == 0 {
			having(image, "DeprecationTime", "2030-01-15T00:00:00.000Z")
		}
	}
	return images, func(account *emulator.Account) retention.Plan {
		plan := plan
		plan.Verdicts = slices.Clone(plan.Verdicts)
		for i, verdict := range plan.Verdicts {
			if verdict.Decision == retention.Deregister {
				continue
			}
			image := read(t, account, number(verdict.Image.ID))
			switch rapid.SampledFrom([]string{"leave", "clear", "veto", "defer", "mark"}).Draw(t, "verdict") {
			case "clear":
				plan.Verdicts[i] = keptAnd(image, retention.ClearMark)
			case "veto":
				plan.Verdicts[i] = keptAnd(image, retention.Veto)
			case "defer":
				plan.Verdicts[i].Decision = retention.Defer
			case "mark":
				plan.Verdicts[i] = marking(image, rapid.SampledFrom(graceActions).Draw(t, "action"))
			default:
				if rapid.Bool().Draw(t, "report") {
					plan.ReportsWanted = append(plan.ReportsWanted, image.ID)
				}
			}
		}
		return plan
	}
}

// What the recheck names is not touched, and neither is what the plan does not change, whatever
// goes wrong. No disabled image lacks its tag.
func TestNothingElseIsTouched(t *testing.T) {
	faults := []string{
		"none", "none", "none", "none", "throttled", "denied", "broken", "unreachable", "web page", "after: reset", "after: broken", "after: web page",
	}
	tonight(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			images, planFor := anyRun(t)
			account := load(t, images...)
			plan := planFor(account)
			before := imagesIn(t, account)
			snapshots := holdings(t, account)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			ends := rapid.IntRange(1, 60).Draw(t, "calls before the end")
			doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				time.Sleep(time.Millisecond)
				if ends--; ends == 0 {
					stop()
					return nil, context.Canceled
				}
				return faultsByName[rapid.SampledFrom(faults).Draw(t, "fault")](account.Client(), r)
			})
			named := map[string]bool{}
			outcomes := carryOut(ctx, ctx, doer, plan, rechecking(func(batch []int) (used []int) {
				for _, n := range batch {
					if rapid.Bool().Draw(t, "stays") {
						named[imageID(n)] = true
						used = append(used, n)
					}
				}
				return used
			})).Outcomes
			untouched(t, account, plan, named, before, snapshots)
			summarize(t, account, plan, outcomes, named)
		})
	})
}

// undeclared is an image without the tags that declare its removal: a killed run leaves them for
// the next one.
func undeclared(image types.Image) types.Image {
	tags := slices.DeleteFunc(slices.Clone(image.Tags), func(tag types.Tag) bool { return *tag.Key == intentTag || *tag.Key == runTag })
	image.Tags = append([]types.Tag{}, tags...)
	return image
}

// untouched checks that nothing has changed but what a plan changes.
func untouched(t rapid.TB, account *emulator.Account, plan retention.Plan, named map[string]bool, before map[string]types.Image, snapshots held) {
	t.Helper()
	now, heldNow := imagesIn(t, account), holdings(t, account)
	toDelete := held{}
	for _, verdict := range plan.Verdicts {
		id := verdict.Image.ID
		removes := verdict.Decision == retention.Deregister && !named[id]
		for _, snapshot := range verdict.Snapshots {
			toDelete[snapshot.SnapshotID] = toDelete[snapshot.SnapshotID] || removes
		}
		if _, there := now[id]; !there && !removes {
			t.Errorf("%s is gone", id)
		}
		changes := verdict.Decision == retention.Mark || verdict.Decision == retention.Keep && verdict.Unmark != retention.LeaveMark
		if !reflect.DeepEqual(undeclared(before[id]), undeclared(now[id])) && !changes && !removes {
			t.Errorf("%s, %s, has changed from %+v to %+v", id, verdict.Decision, before[id], now[id])
		}
		if _, says := tagsOf(now[id])[disabledTag]; now[id].State == "disabled" && !says {
			t.Errorf("%s is disabled, and does not say by whom: %v", id, tagsOf(now[id]))
		}
		for _, snapshot := range verdict.Snapshots {
			if named[id] && snapshots[snapshot.SnapshotID] && !heldNow[snapshot.SnapshotID] {
				t.Errorf("%s of %s, which has to stay, is gone", snapshot.SnapshotID, id)
			}
		}
	}
	for id := range snapshots {
		if strings.HasPrefix(id, "snap-") && !heldNow[id] && !toDelete[id] {
			t.Errorf("%s is gone", id)
		}
	}
}

// summarize checks that there is one outcome for each removal and each announcement, in order, and
// only failures for kept images.
func summarize(t rapid.TB, account *emulator.Account, plan retention.Plan, outcomes []ami.Outcome, named map[string]bool) {
	t.Helper()
	for _, verdict := range plan.Verdicts {
		id := verdict.Image.ID
		told := len(outcomes) > 0 && outcomes[0].ImageID == id
		switch verdict.Decision {
		case retention.Deregister, retention.Mark:
			if !told {
				t.Fatalf("no outcome for %s: %+v", id, outcomes)
			}
		case retention.Defer:
			if told {
				t.Errorf("%+v", outcomes[0])
			}
		case retention.Keep:
			if told && outcomes[0].Status != ami.Failed {
				t.Errorf("%+v", outcomes[0])
			}
		}
		if !told {
			continue
		}
		outcome := outcomes[0]
		outcomes = outcomes[1:]
		if named[id] != (outcome.Code != "" && outcome.Code != ami.OutcomeNotReached) || named[id] && outcome.Status != ami.Skipped {
			t.Errorf("%+v; the second look names it: %v", outcome, named[id])
		}
		tags := tagsOf(imagesIn(t, account)[id])
		if outcome.Status == ami.Marked && (tags[dueTag] != "2030-01-15" || tags[announcedByTag] != runID+" team-a" || (tags[disabledTag] == runID) != (imagesIn(t, account)[id].State == "disabled")) {
			t.Errorf("%+v, but its tags are %v", outcome, tags)
		}
	}
	if len(outcomes) > 0 {
		t.Errorf("further outcomes: %+v", outcomes)
	}
}

// Images to disable are rechecked, too; images that are only announced are not.
func TestImagesAreLookedAtAgainBeforeTheyAreDisabled(t *testing.T) {
	for action, want := range map[retention.GraceAction]string{retention.Disable: "skipped", retention.Announce: "marked"} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 1))
			outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(marking(read(t, account, 1), action)), staying(1)).Outcomes
			wantOutcomes(t, outcomes, want)
			if want == "skipped" {
				says(t, outcomes[0].Error, "used-since-planned: named by arn:x")
				wantState(t, account, 1, "available")
			}
		})
	}
}
