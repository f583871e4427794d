package sweep_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/emulator"
	"ami-janitor/pkg/inventory"
	"ami-janitor/pkg/retention"
)

// The night of these tests, and the day on which the images are due whose removal is announced in it.
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
	intentTag   = "ami-janitor:intent"
	dueTag      = "ami-janitor:due"
	runTag      = "ami-janitor:run"
	disabledTag = "ami-janitor:disabled"
	restoredTag = "ami-janitor:restored"
)

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

// state says in one line how an image is: "disabled; disabled=RUN due=2030-01-15; deprecated 2030-01-15". Keys are without
// their prefix, and the id of the run is RUN.
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

// night is the plan that is made of an account on a day, if nothing uses any of the images.
func night(t rapid.TB, account *emulator.Account, day time.Time, action retention.GraceAction) retention.Plan {
	t.Helper()
	inv, unused := survey(t, account), ami.Evidence{}
	for _, image := range inv.Images {
		unused[image.ID] = ami.Finding{Use: ami.Unused}
	}
	limit := retention.Days(30 * retention.Day)
	policy := retention.Policy{
		StaleAfter: limit, NeverLaunchedAfter: limit, MaxDeregistrations: 100, DeleteSnapshots: true,
		Grace: retention.Days(14 * retention.Day), GraceAction: action,
	}
	return policy.Plan([]ami.Inventory{inv}, map[string]ami.Evidence{inv.Region: unused}, day)[0]
}

// An image that is whole, and due, does go, and one that is not marked is announced: else these tests would prove nothing.
func TestWhatAnImageIsInForOnOtherNights(t *testing.T) {
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
	for _, verdict := range night(t, account, day, action).Verdicts {
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

// guarded is an account that complains as soon as a call takes off all tags, leaves an image disabled that does not say by
// whom, or has three tags of the janitor on an image.
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
		response, err := account.Client().Do(r)
		for id, image := range imagesIn(t, account) {
			own := 0
			for key := range tagsOf(image) {
				if strings.HasPrefix(key, "ami-janitor:") {
					own++
				}
			}
			_, says := tagsOf(image)[disabledTag]
			if image.State == types.ImageStateDisabled && !says && !disabledBefore[id] {
				t.Errorf("after %s %s is disabled and does not say by whom", q.Action, id)
			}
			if _, declared := tagsOf(image)[intentTag]; declared {
				own -= 2 // While an image is being removed it carries two more, which share the id of the run.
			}
			if own > 2 {
				t.Errorf("after %s %s carries %d tags of the janitor: %v", q.Action, id, own, tagsOf(image))
			}
		}
		return response, err
	})
}

// writes reports whether an action changes anything.
func writes(action string) bool { return !strings.HasPrefix(action, "Describe") }

// cut lets some writes through and ends everything with the next one: it does not arrive, or arrives and is not answered.
func cut(next emulator.Doer, writesBefore int, arrives bool, stop func()) (doer emulator.Doer, reached func() bool) {
	n := 0
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		if n > writesBefore {
			return nil, context.Canceled
		}
		if writes(q.Action) {
			n++
		}
		if n <= writesBefore {
			return next.Do(r)
		}
		if arrives {
			_, _ = next.Do(r)
		}
		stop()
		return nil, context.Canceled
	}), func() bool { return n > writesBefore }
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
