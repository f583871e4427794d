package janitor_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
)

// An announced image is looked up although no image can be proven unused: a use, however short,
// takes the announcement back.
func TestAUseTakesAnAnnouncementBackWhateverFails(t *testing.T) {
	for _, denied := range []string{"DescribeFastLaunchImages", "DescribeParameters"} {
		t.Run(denied, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1), image(2, 400, 301, 2)}}, settings{"KEEP_NEWEST": "0", "GRACE": "14d"})
			l.real(0)
			l.wrap = func(next emulator.Doer) emulator.Doer { return recipe(imageID(1))(disturb.Deny(next, denied)) }
			l.real(1)
			l.wrap = nil
			l.real(15)
			if l.state(1) == "gone" || l.state(2) != "gone" {
				t.Errorf("the image that was in use is %s, the other %s", l.state(1), l.state(2))
			}
		})
	}
}

// Shared images go as fast as the cap allows: reports on the images of a night are requested the
// night before, about as many as that.
func TestReportsOnSharedImagesComeInTime(t *testing.T) {
	w := world{permissions: object{}}
	for n := 1; n <= 6; n++ {
		w.images = append(w.images, image(n, 600, 500-n, n))
		w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
	}
	l := live(t, w, judgingShared.and(settings{"MAX_DEREGISTRATIONS": "1"}))
	asked := 0
	for night := range 5 {
		before := callsOf(l.account)["DescribeImageAttribute"]
		if removed := l.real(night).Totals.Deregistered; removed != min(night, 1) {
			t.Errorf("night %d: %d images went", night, removed)
		}
		if asked = callsOf(l.account)["DescribeImageAttribute"] - before; night > 0 && asked > 3 {
			t.Errorf("night %d: %d images were looked up", night, asked)
		}
	}
}

// One run tells of every missing right, although no image can go, or none may.
func TestOneRunTellsOfEveryRight(t *testing.T) {
	unread := world{images: []object{image(1, 900, 800, 1)}, versions: []object{templateVersion(1, "resolve:ssm:arn:aws:ssm:us-east-1:111122223333:parameter/golden")}}
	for name, test := range map[string]struct {
		world    world
		settings settings
	}{
		"an unread parameter": {unread, settings{}},
		"no cap":              {world{images: staleImages(3)}, settings{"MAX_DEREGISTRATIONS": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				account := test.world.load(t)
				text := digest.Full(run(t, disturb.Deny(account.Client(), "DescribeImageReferences"), test.settings.and(settings{"KEEP_NEWEST": "0"}), true))
				if !strings.Contains(text, "ec2:DescribeImageReferences") {
					t.Error(text)
				}
			})
		})
	}
}

// A region whose images wait is neither on hold nor without a proof, and there is nothing to do.
func TestARegionWhoseImagesWait(t *testing.T) {
	s := settings{"REGIONS": "us-east-1,eu-west-1", "KEEP_NEWEST": "0", "MAX_DEREGISTRATIONS": "1"}
	home := world{images: []object{image(1, 900, 800, 1), image(2, 400, 300, 2)}}
	bubble(t, func(t *testing.T) {
		account := inTwo(t, home, world{images: []object{image(3, 600, 500, 3)}})
		isFirst := func(q emulator.Request, _ int) bool {
			return q.Action == "DescribeImageAttribute" && q.Form.Get("ImageId") == imageID(1)
		}
		for _, g := range run(t, on(account.Client(), isFirst, readFaults["denied"]), s, true).Regions {
			if g.NothingProven() {
				t.Errorf("nothing is proven in %s, whose second image waits", g.Region)
			}
		}
	})
	bubble(t, func(t *testing.T) {
		account := inTwo(t, home, world{images: []object{image(3, 600, 500, 3)}})
		record := run(t, recipe(imageID(3))(account.Client()), s.and(settings{"REQUIRE_RECYCLE_BIN": "true", "RECYCLE_BIN_DAYS": "14"}), true)
		for _, g := range record.Regions {
			if g.Region == "eu-west-1" && g.Hold != "" {
				t.Errorf("%s is on hold, and its image in use: %s", g.Region, g.Hold)
			}
		}
	})
}

// Single images are looked up in the first half of a run: the other half is there to remove.
func TestLookUpsEndAtHalfOfTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{permissions: object{}}
		for n := 1; n <= 2500; n++ {
			w.images = append(w.images, image(n, 3000-n, 0, n))
			if n > 20 {
				w.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
			}
		}
		account, began := w.loadAt(t, time.Now), time.Now()
		var late atomic.Int64
		j := newJanitor(t, on(account.Client(), func(q emulator.Request, _ int) bool {
			if q.Action == "DescribeImageAttribute" && time.Since(began) > 150*time.Second {
				late.Add(1)
			}
			return false
		}, readFaults["denied"]), settings{"KEEP_NEWEST": "0"})
		pace.New(0.5).Apply(&j.AWS)
		j.Clock = time.Now
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		record := j.Run(ctx, "20261123T020000Z-aaaaaa", true)
		if late.Load() > 0 {
			t.Errorf("%d images were looked up after half of the time", late.Load())
		}
		if record.Totals.WouldDeregister != 20 || record.Totals.Unproven == 0 || record.Totals.Deferred == 0 {
			t.Errorf("%+v", record.Totals)
		}
	})
}

// A run that looks up what it needs removes, announces and takes back what one does that looks up
// everything.
func TestLookingUpLessChangesNothing(t *testing.T) {
	changed := 0
	bubble(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			home, away := anyWorld(t), anyWorld(t)
			some := func(what string) []int { return rapid.SliceOfN(rapid.IntRange(0, 11), 0, 3).Draw(t, what) }
			denied, unread, used := some("denied"), some("unread"), some("used")
			s := settings{"REGIONS": "us-east-1,eu-west-1", "MAX_DEREGISTRATIONS": strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "cap")), "KEEP_NEWEST": "0"}.and(rapid.SampledFrom([]settings{
				{}, {"SHARED_IMAGES": "report"}, {"GRACE": "14d", "GRACE_ACTION": "disable"}, {"USAGE_SOURCES": "references"}, {"DELETE_SNAPSHOTS": "false"},
			}).Draw(t, "more"))
			var done [2][]string
			for k, isComplete := range []bool{false, true} {
				doer := on(inTwo(t, home, away).Client(), func(q emulator.Request, _ int) bool {
					isOf := func(n int) bool { return q.Form.Get("ImageId") == imageID(n) }
					isSnapshot := func(n int) bool { return q.Form.Get("SnapshotId") == snapshotID(n) }
					return q.Action == "DescribeImageAttribute" && slices.ContainsFunc(denied, isOf) || q.Action == sharingOfSnapshots && slices.ContainsFunc(unread, isSnapshot)
				}, readFaults["denied"])
				j := newJanitor(t, recipesOf(doer, used), s)
				j.Complete = isComplete
				for _, i := range allImages(j.Run(context.Background(), "run", false)) {
					if i.Removed() || i.Marked() || i.Unmark != "" {
						done[k] = append(done[k], i.Region+" "+i.ImageID+" "+string(i.Verdict)+" "+string(i.Unmark))
						changed++
					}
				}
			}
			if !slices.Equal(done[0], done[1]) {
				t.Fatalf("%v: %q, and %q if all are looked up", s, done[0], done[1])
			}
		})
	})
	if changed == 0 {
		t.Error("nothing was changed: the property says nothing")
	}
}

// recipesOf has recipes name images, each in the answer about it.
func recipesOf(next emulator.Doer, used []int) emulator.Doer {
	isAbout := func(q emulator.Request, n int) bool {
		for key := range q.Form {
			if strings.HasPrefix(key, "ImageId.") && q.Form.Get(key) == imageID(n) {
				return true
			}
		}
		return false
	}
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != "DescribeImageReferences" {
			return next.Do(r)
		}
		items := ""
		for _, n := range used {
			if isAbout(q, n) {
				items += "<item><imageId>" + imageID(n) + "</imageId><resourceType>imagebuilder:ImageRecipe</resourceType><arn>" + recipeARN + "</arn></item>"
			}
		}
		if items == "" {
			return next.Do(r)
		}
		return referencesAnswer(r, items), nil
	})
}
