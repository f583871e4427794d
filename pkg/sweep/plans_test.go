package sweep_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The night of these tests, and the day on which the images are due whose removal is announced in
// it.
var (
	thisNight = time.Date(2030, 1, 1, 2, 0, 0, 0, time.UTC)
	dueDay    = time.Date(2030, 1, 15, 0, 0, 0, 0, time.UTC)
)

// tonight runs a test in a bubble of package synctest whose clock says this night.
func tonight(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(thisNight))
		test(t)
	})
}

const (
	intentTag      = "ami-janitor:intent"
	dueTag         = "ami-janitor:due"
	announcedByTag = "ami-janitor:announced-by"
	runTag         = "ami-janitor:run"
	disabledTag    = "ami-janitor:disabled"
	restoredTag    = "ami-janitor:restored"
)

// The tags of announcements of this policy and of another one, for image and tagged.
var (
	earlier = announcement("2030-01-15", earlierRun, ourPolicy)
	old     = announcement("2029-03-01", oldRun, ourPolicy)
	theirs  = announcement("2030-01-15", theirRun, theirPolicy)

	disabledBy   = []string{disabledTag, earlierRun}
	disabledThen = []string{disabledTag, oldRun}
)

func announcement(due, run, policy string) []string {
	return []string{dueTag, due, announcedByTag, run + " " + policy}
}

// having gives an image, as DescribeImages has it, another fact.
func having(image object, key string, value any) object {
	image[key] = value
	return image
}

// tagged gives an image tags: keys and values in turn.
func tagged(image object, tags ...string) object {
	list := []object{}
	for pair := range slices.Chunk(tags, 2) {
		list = append(list, object{"Key": pair[0], "Value": pair[1]})
	}
	return having(image, "Tags", list)
}

// imagesIn are the images of an account as they are, without the faults.
func imagesIn(t rapid.TB, account *emulator.Account) map[string]types.Image {
	t.Helper()
	out, err := client(account.Client()).DescribeImages(context.Background(), &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]types.Image{}
	for _, image := range out.Images {
		images[*image.ImageId] = image
	}
	return images
}

func tagsOf(image types.Image) map[string]string {
	tags := map[string]string{}
	for _, tag := range image.Tags {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

// state says in one line how an image is: "disabled; announced-by=RUN team-a disabled=RUN
// due=2030-01-15; deprecated 2030-01-15". Keys are without their prefix, and the id of the run is
// RUN.
func state(t rapid.TB, account *emulator.Account, n int) string {
	t.Helper()
	image, ok := imagesIn(t, account)[imageID(n)]
	if !ok {
		return "gone"
	}
	tags := tagsOf(image)
	var words []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		words = append(words, strings.TrimPrefix(key, "ami-janitor:")+"="+strings.Replace(tags[key], runID, "RUN", 1))
	}
	said := string(image.State)
	if len(words) > 0 {
		said += "; " + strings.Join(words, " ")
	}
	if image.DeprecationTime != nil {
		said += "; deprecated " + strings.NewReplacer("T00:00:00.000Z", "", "T00:00:00Z", "", ".000Z", "Z").Replace(*image.DeprecationTime)
	}
	return said
}

func wantState(t rapid.TB, account *emulator.Account, n int, want string) {
	t.Helper()
	if got := state(t, account, n); got != want {
		t.Errorf("image %d is %q, want %q", n, got, want)
	}
}

// read is an image as the inventory has it.
func read(t rapid.TB, account *emulator.Account, n int) ami.Image {
	t.Helper()
	for _, image := range survey(t, account).Images {
		if image.ID == imageID(n) {
			return image
		}
	}
	t.Fatalf("no image %d", n)
	return ami.Image{}
}

func survey(t rapid.TB, account *emulator.Account) ami.Inventory {
	t.Helper()
	inv, err := inventory.Read(context.Background(), client(account.Client()), accountID, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// marking is the verdict on an image whose removal is announced.
func marking(image ami.Image, action retention.GraceAction) retention.Verdict {
	return retention.Verdict{Image: image, Decision: retention.Mark, Action: action, Due: dueDay}
}

// announcers are the runs that have announced removals: by which policy, and for when.
var announcers = map[string]ami.Announcement{
	runID:      {Policy: ourPolicy, Due: dueDay},
	earlierRun: {Policy: ourPolicy, Due: dueDay},
	oldRun:     {Policy: ourPolicy, Due: time.Date(2029, 3, 1, 0, 0, 0, 0, time.UTC)},
	theirRun:   {Policy: theirPolicy, Due: dueDay},
}

// fullJournal is a journal that confirms every announcement of the images: only missing or wrong
// tags can keep these.
func fullJournal(images []ami.Image, action retention.GraceAction) map[string]ami.Announcement {
	announced := map[string]ami.Announcement{}
	for _, image := range images {
		run := retention.Announcer(image)
		if found, ok := announcers[run]; ok {
			found.Run, found.Action = run, string(action)
			if image.State == "disabled" {
				found.Action = string(retention.Disable)
			}
			announced[image.ID] = found
		}
	}
	return announced
}

// emptyJournal is a journal without announcements.
func emptyJournal([]ami.Image, retention.GraceAction) map[string]ami.Announcement {
	return map[string]ami.Announcement{}
}

// policyOf is a policy that keeps no image.
func policyOf(name string, action retention.GraceAction) retention.Policy {
	limit := retention.Days(30 * retention.Day)
	return retention.Policy{
		Name: name, StaleAfter: limit, NeverLaunchedAfter: limit, MaxDeregistrations: 100, DeleteSnapshots: true,
		Grace: retention.Days(14 * retention.Day), GraceAction: action,
	}
}

// planFor is the plan that a policy makes for an account on a day, if the given images are in use
// and the others are not.
func planFor(
	t rapid.TB, account *emulator.Account, day time.Time, policy retention.Policy,
	journal func([]ami.Image, retention.GraceAction) map[string]ami.Announcement, inUse ...int,
) retention.Plan {
	t.Helper()
	inv, evidence := survey(t, account), ami.Evidence{Images: map[string]ami.Finding{}}
	inv.History.Announced = journal(inv.Images, policy.GraceAction)
	for _, image := range inv.Images {
		evidence.Images[image.ID] = ami.Finding{Use: ami.Unused}
		if slices.Contains(inUse, number(image.ID)) {
			evidence.Images[image.ID] = ami.Finding{Use: ami.Used}
		}
	}
	return policy.Open([]ami.Inventory{inv}, day).Plan(map[string]ami.Evidence{inv.Region: evidence})[0]
}

// night is the plan that this policy makes for an account on a day, if no image is used, and the
// journal knows all announcements.
func night(t rapid.TB, account *emulator.Account, day time.Time, action retention.GraceAction) retention.Plan {
	t.Helper()
	return planFor(t, account, day, policyOf(ourPolicy, action), fullJournal)
}

// verdictOn is the verdict on an image.
func verdictOn(t rapid.TB, plan retention.Plan, n int) retention.Verdict {
	t.Helper()
	for _, verdict := range plan.Verdicts {
		if verdict.Image.ID == imageID(n) {
			return verdict
		}
	}
	t.Fatalf("no verdict on image %d", n)
	return retention.Verdict{}
}

// takenBack is how this policy takes back its announcement of image 1, according to package
// retention: because the image is in use, or because the policy no longer covers it.
func takenBack(t rapid.TB, account *emulator.Account, veto bool, action retention.GraceAction) retention.Undo {
	t.Helper()
	policy := policyOf(ourPolicy, action)
	if veto {
		return verdictOn(t, planFor(t, account, time.Now(), policy, fullJournal, 1), 1).Undo
	}
	if err := policy.Names.UnmarshalText([]byte("none-of-these")); err != nil {
		t.Fatal(err)
	}
	return verdictOn(t, planFor(t, account, time.Now(), policy, fullJournal), 1).Undo
}

// A due image with a complete announcement does go, and an unmarked one is announced: otherwise
// these tests would prove nothing.
func TestOtherRunsOnAnImage(t *testing.T) {
	for action, image := range marked {
		tonight(t, func(t *testing.T) {
			account := load(t, image(), tagged(image2(), "Owner", "me"))
			for day, want := range map[time.Time]string{
				thisNight: "keep mark", dueDay.Add(-time.Second): "keep mark", dueDay: "deregister mark", dueDay.AddDate(0, 0, 30): "deregister mark",
			} {
				var got []string
				for _, verdict := range night(t, account, day, action).Verdicts {
					got = append(got, string(verdict.Decision))
				}
				if strings.Join(got, " ") != want {
					t.Errorf("%s on %s: %v, want %s", action, day, night(t, account, day, action).Verdicts, want)
				}
			}
		})
	}
}

func image2() object { return image(2, 2) }

// wantNoRemoval checks that no image would be removed on a day.
func wantNoRemoval(t rapid.TB, account *emulator.Account, day time.Time, action retention.GraceAction) {
	t.Helper()
	removesNothing(t, account, day, night(t, account, day, action))
}

func removesNothing(t rapid.TB, account *emulator.Account, day time.Time, plan retention.Plan) {
	t.Helper()
	for _, verdict := range plan.Verdicts {
		if strings.HasPrefix(string(verdict.Reasons[0].Code), "unreadable") {
			t.Errorf("%s proves nothing: %v", verdict.Image.ID, verdict.Reasons)
		}
		if verdict.Decision == retention.Deregister {
			t.Errorf("on %s %s would be removed: %v; it is %q", day.Format(time.DateOnly), verdict.Image.ID, verdict.Reasons, state(t, account, number(verdict.Image.ID)))
		}
	}
}

func number(imageID string) int {
	var n int
	_, _ = fmt.Sscanf(imageID, "ami-%x", &n)
	return n
}

// written are the tags that the janitor writes.
var written = []string{intentTag, runTag, dueTag, announcedByTag, disabledTag, restoredTag}

// guarded is an account that complains as soon as a call takes off all tags, announces a removal in
// more than one call, leaves an image disabled that does not say by whom, or has more tags of the
// janitor on an image than there is room for.
func guarded(t rapid.TB, account *emulator.Account) emulator.Doer {
	disabledBefore := map[string]bool{}
	for id, image := range imagesIn(t, account) {
		disabledBefore[id] = image.State == types.ImageStateDisabled
	}
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		if q.Action == "DeleteTags" && q.Form.Get("Tag.1.Key") == "" {
			t.Errorf("%s takes off all tags", q.Form.Encode())
		}
		if q.Action == "CreateTags" {
			keys := map[string]bool{}
			for n := 1; q.Form.Has(fmt.Sprintf("Tag.%d.Key", n)); n++ {
				keys[q.Form.Get(fmt.Sprintf("Tag.%d.Key", n))] = true
			}
			if keys[dueTag] != keys[announcedByTag] || keys[disabledTag] && !keys[dueTag] || keys[dueTag] && (keys[runTag] || keys[intentTag]) {
				t.Errorf("%v are written in one call", keys)
			}
		}
		response, err := account.Client().Do(r)
		if !writes(q.Action) {
			return response, err
		}
		for id, image := range imagesIn(t, account) {
			own := 0
			for key := range tagsOf(image) {
				if slices.Contains(written, strings.ToLower(strings.TrimSpace(key))) {
					own++
				}
			}
			_, says := tagsOf(image)[disabledTag]
			_, by := tagsOf(image)[announcedByTag]
			if image.State == types.ImageStateDisabled && (!says || !by) && !disabledBefore[id] {
				t.Errorf("after %s %s is disabled and does not say by whom: %v", q.Action, id, tagsOf(image))
			}
			if _, declared := tagsOf(image)[intentTag]; declared {
				own -= 2 // While an image is being removed it carries two more.
			}
			room := 2
			if says {
				room = 3
			}
			if own > room {
				t.Errorf("after %s %s carries %d tags of the janitor: %v", q.Action, id, own, tagsOf(image))
			}
		}
		return response, err
	})
}

// writes reports whether an action changes anything.
func writes(action string) bool { return !strings.HasPrefix(action, "Describe") }

// cut lets some writes through and ends everything with the next one: it does not arrive, or
// arrives and is not answered.
func cut(next emulator.Doer, writesBefore int, arrives bool, stop func()) (doer emulator.Doer, reached func() bool) {
	var begun atomic.Int64
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		n := int(begun.Load())
		if n > writesBefore {
			return nil, context.Canceled
		}
		if writes(q.Action) {
			n = int(begun.Add(1))
		}
		if n <= writesBefore {
			return next.Do(r)
		}
		if arrives {
			_, _ = next.Do(r)
		}
		stop()
		return nil, context.Canceled
	}), func() bool { return int(begun.Load()) > writesBefore }
}

// actionsOf are the writes that were sent, in order.
func (c *tally) actionsOf() string {
	var actions []string
	for _, q := range c.requests {
		if writes(q.Action) {
			actions = append(actions, q.Action)
		}
	}
	return strings.Join(actions, " ")
}

var graceActions = []retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable}

// everyFault runs a test with every fault of every call of some actions: once, and for ever.
func everyFault(t *testing.T, actions []string, test func(t *testing.T, broken func(emulator.Doer) emulator.Doer)) {
	t.Helper()
	for _, action := range actions {
		for _, name := range []string{
			"throttled", "denied", "broken", "unreachable", "web page", "after: reset", "after: broken", "after: web page",
		} {
			for times, faults := range map[string][]fault{"once": {faultsByName[name]}, "always": always(faultsByName[name])} {
				t.Run(action+" "+name+" "+times, func(t *testing.T) {
					test(t, func(next emulator.Doer) emulator.Doer { return faulty(next, action, faults...) })
				})
			}
		}
	}
}
