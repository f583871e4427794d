package janitor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

func tag(t *testing.T, j *janitor.Janitor, id, key, value string) {
	t.Helper()
	_, err := wire.EC2(j.AWS, j.AWS.Region).CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{id},
		Tags:      []types.Tag{{Key: aws.String(key), Value: aws.String(value)}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A person's answer may take hours. What was tagged meanwhile stays, and what has become due
// meanwhile is asked about.
func TestThePlanIsMadeAgainAfterAYes(t *testing.T) {
	account := world{images: []object{image(1, 400, 0, 1), image(2, 400, 0, 2)}}.load(t)
	j := newJanitor(t, account.Client(), settings{"KEEP_NEWEST": "0"})
	asked := 0
	j.Confirm = func(plan record.Run) bool {
		if asked++; asked == 1 && plan.Totals.WouldDeregister != 2 {
			t.Errorf("asked about %+v", plan.Totals)
		}
		tag(t, j, imageID(1), "ami-janitor:keep", "true")
		return true
	}
	record := j.Run(t.Context(), "run", false)
	if asked != 1 || record.Totals.Deregistered != 1 {
		t.Errorf("asked %d times, %+v", asked, record.Totals)
	}
	if left := holdings(t, account); !left[imageID(1)] || left[imageID(2)] {
		t.Errorf("the account holds %v", left)
	}
}

func TestWhatNobodyHasSeenIsAskedAbout(t *testing.T) {
	account := world{images: []object{tagged(image(1, 400, 0, 1), "ami-janitor:keep", "true"), image(2, 400, 0, 2)}}.load(t)
	j := newJanitor(t, account.Client(), settings{"KEEP_NEWEST": "0"})
	var asked []int
	j.Confirm = func(plan record.Run) bool {
		asked = append(asked, plan.Totals.WouldDeregister)
		tag(t, j, imageID(1), "ami-janitor:keep", "false")
		return len(asked) == 1
	}
	record := j.Run(t.Context(), "run", false)
	if len(asked) != 2 || asked[0] != 1 || asked[1] != 2 || !record.DryRun || calls(account, "DeregisterImage") > 0 {
		t.Errorf("asked about %v, %+v", asked, record.Totals)
	}
}

// An announcement is asked about like a removal, and nothing is tagged before a yes.
func TestAnnouncementsAreAskedAbout(t *testing.T) {
	for _, yes := range []bool{false, true} {
		account := world{images: []object{image(1, 400, 0, 1), image(2, 20, 0, 2)}}.load(t)
		j := newJanitor(t, account.Client(), settings{"GRACE": "14d"})
		asked := 0
		j.Confirm = func(plan record.Run) bool {
			if asked++; !plan.DryRun || plan.Totals.Marked != 1 || plan.Totals.WouldDeregister != 0 || len(writes(account)) > 0 {
				t.Errorf("asked about %+v", plan.Totals)
			}
			return yes
		}
		record := j.Run(t.Context(), "run", false)
		if asked != 1 || record.DryRun == yes || (len(writes(account)) > 0) != yes {
			t.Errorf("asked %d times, answered %v: %v", asked, yes, writes(account))
		}
	}
}

// Who has seen that an image will be announced has not seen that it goes: should its day come
// while the person thinks, the question is asked again.
func TestAnAnnouncementIsNotARemovalThatWasSeen(t *testing.T) {
	// Without snapshots, which would be asked about for themselves.
	account := world{images: []object{image(1, 400, 0)}}.load(t)
	const earlier = "20261109T020000Z-abcdef"
	records, today := t.TempDir(), now.Format(time.DateOnly)
	j := newJanitor(t, account.Client(), settings{"GRACE": "14d", "RECORDS": records})
	var asked []record.Totals
	j.Confirm = func(plan record.Run) bool {
		if asked = append(asked, plan.Totals); len(asked) == 1 {
			announcing(t, records, earlier, "cli", today, "announce", 1)
			tag(t, j, imageID(1), "ami-janitor:due", today)
			tag(t, j, imageID(1), "ami-janitor:announced-by", earlier+" cli")
		}
		return len(asked) == 1
	}
	record := j.Run(t.Context(), ami.NewRunID(now, strings.NewReader("abc")), false)
	if len(asked) != 2 || asked[0].Marked != 1 || asked[1].WouldDeregister != 1 || !record.DryRun || calls(account, "DeregisterImage") > 0 {
		t.Errorf("asked about %+v; %+v", asked, record.Totals)
	}
}

// A region on hold is not asked about. If it is no longer on hold after a yes, the question is
// asked again.
func TestARegionThatWasHeldIsAskedAbout(t *testing.T) {
	account := inTwo(t, world{images: []object{image(1, 400, 0, 1)}}, world{images: []object{image(2, 400, 0, 2)}})
	account.KeepRemoved(30)
	var asked []int
	doer := on(account.Client(), func(q emulator.Request, _ int) bool {
		return len(asked) == 0 && q.Region == "eu-west-1" && q.Service == "rbin"
	}, readFaults["denied"])
	j := newJanitor(t, doer, settings{"REGIONS": "all", "KEEP_NEWEST": "0", "REQUIRE_RECYCLE_BIN": "true"})
	j.Confirm = func(plan record.Run) bool {
		asked = append(asked, plan.Totals.WouldDeregister)
		return len(asked) == 1
	}
	if record := j.Run(t.Context(), "run", false); !slices.Equal(asked, []int{1, 2}) || calls(account, "DeregisterImage") > 0 {
		t.Errorf("asked about %v; %+v", asked, record.Totals)
	}
}

// A person may think for hours, because everything is read again after that.
func TestTheAnswerMayTakeHours(t *testing.T) {
	at := now
	clock := func() time.Time { return at }
	account := world{images: []object{image(1, 400, 0, 1)}}.loadAt(t, clock)
	j := newJanitor(t, account.Client(), nil)
	j.Clock = clock
	j.Confirm = func(record.Run) bool {
		at = at.Add(10 * time.Hour)
		return true
	}
	if record := j.Run(t.Context(), "run", false); record.Totals.Deregistered != 1 {
		t.Errorf("%s", digest.Text(record))
	}
}

// A snapshot that an earlier run has left is asked about, even if nothing else is to go.
func TestLeftoversAreAskedAbout(t *testing.T) {
	for _, yes := range []bool{false, true} {
		l := leavingASnapshot(t)
		j := newJanitor(t, l.account.Client(), l.settings)
		j.Clock = func() time.Time { return l.at }
		asked := 0
		j.Confirm = func(plan record.Run) bool {
			if asked++; plan.Totals.SnapshotsWouldDelete != 1 || plan.Totals.WouldDeregister != 0 || calls(l.account, "DeleteSnapshot") > 0 {
				t.Errorf("asked about %+v", plan.Totals)
			}
			return yes
		}
		record := j.Run(t.Context(), "20261124T020000Z-010203", false)
		if asked != 1 || record.DryRun == yes || (calls(l.account, "DeleteSnapshot") > 0) != yes {
			t.Errorf("asked %d times, answered %v: %v", asked, yes, writes(l.account))
		}
	}
}

// A leftover that was kept in the first plan, and is removed in the second, is asked about like an
// image.
func TestALeftoverThatNobodyHasSeenIsAskedAbout(t *testing.T) {
	l := leavingASnapshot(t)
	l.at = l.at.AddDate(1, 0, 0) // By then image 5 is to go.
	j := l.janitor()
	tag(t, j, snapshotID(1), "ami-janitor:keep", "true")
	var asked []int
	j.Confirm = func(plan record.Run) bool {
		asked = append(asked, plan.Totals.SnapshotsWouldDelete)
		tag(t, j, snapshotID(1), "ami-janitor:keep", "false")
		return len(asked) == 1
	}
	record := j.Run(t.Context(), "20271124T020000Z-010203", false)
	if len(asked) != 2 || asked[1] != asked[0]+1 || !record.DryRun || calls(l.account, "DeleteSnapshot") > 0 {
		t.Errorf("asked about %v, %+v", asked, record.Totals)
	}
}

// Where nothing would be removed or announced, nobody is asked.
func TestNobodyIsAskedAboutNothing(t *testing.T) {
	const earlier = "20261110T020000Z-abcdef"
	for name, w := range map[string]world{
		"fresh":     {images: []object{image(1, 20, 0, 1)}},
		"announced": {images: []object{with(image(1, 400, 0, 1), "Tags", announcement(earlier, "cli", "2026-11-24", false))}},
	} {
		account, records := w.load(t), t.TempDir()
		announcing(t, records, earlier, "cli", "2026-11-24", "announce", 1)
		j := newJanitor(t, account.Client(), settings{"GRACE": "14d", "RECORDS": records})
		j.Confirm = func(plan record.Run) bool { t.Errorf("%s: asked about %+v", name, plan.Totals); return true }
		if record := j.Run(t.Context(), ami.NewRunID(now, strings.NewReader("abc")), false); len(writes(account)) > 0 || record.DryRun {
			t.Errorf("%s: %v", name, writes(account))
		}
	}
}
