package janitor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// twenty are stale images in two batches of ten.
func twenty() world { return staleWorld(20) }

func staleWorld(images int) world {
	var w world
	for n := 1; n <= images; n++ {
		w.images = append(w.images, image(n, 900-n, 0, n))
	}
	return w
}

// atTheFirst lets something happen just before the first call of an action.
func atTheFirst(next emulator.Doer, action string, happen func()) emulator.Doer {
	return on(next, func(q emulator.Request, n int) bool {
		if q.Action == action && n == 1 {
			happen()
		}
		return false
	}, nil)
}

// Between the plan and the removal somebody begins to use an image, or changes it. Before each
// batch the janitor looks again.
func TestWhatHappensBetweenPlanAndRemoval(t *testing.T) {
	t.Parallel()
	const last = 60 // Of a batch that is looked at after the first ones are removed.
	keep := func(l *life) { l.setTag(last, "Owner", "me") }
	for name, c := range map[string]struct {
		settings settings
		change   func(l *life)
		code     string // Empty: that is not noticed; it is the price that docs/design/0012 names.
		late     bool   // It happens at the first removal; else before the second look.
	}{
		"an instance":                        {nil, func(l *life) { l.launch(last, now) }, "used-since-planned", false},
		"an instance, late":                  {nil, func(l *life) { l.launch(last, now) }, "used-since-planned", true},
		"an instance, without references":    {settings{"USAGE_SOURCES": "instances"}, func(l *life) { l.launch(last, now) }, "used-since-planned", true},
		"an instance, without either":        {settings{"USAGE_SOURCES": "launch-templates"}, func(l *life) { l.launch(last, now) }, "used-since-planned", true},
		"a launch template":                  {nil, func(l *life) { l.addTemplate(last) }, "used-since-planned", true},
		"a launch template, newest versions": {settings{"LAUNCH_TEMPLATE_VERSIONS": "1"}, func(l *life) { l.addTemplate(last) }, "used-since-planned", true},
		"a tag":                              {nil, keep, "changed-since-planned", false},
		"a tag on its snapshot":              {nil, func(l *life) { l.setSnapshotTag(last, "Owner", "me") }, "changed-since-planned", false},
		"a launch on record":                 {nil, func(l *life) { l.image(last, func(o object) { o["LastLaunchedTime"] = daysAgo(0) }) }, "changed-since-planned", false},
		"disabled by somebody":               {nil, func(l *life) { l.image(last, func(o object) { o["State"] = "disabled" }) }, "changed-since-planned", false},
		"made public":                        {nil, func(l *life) { l.image(last, func(o object) { o["Public"] = true }) }, "changed-since-planned", false},
		"protected": {nil, func(l *life) {
			l.image(last, func(o object) { o["DeregistrationProtection"] = "enabled-with-cooldown" })
		}, "changed-since-planned", false},
		"deprecated":                       {nil, func(l *life) { l.image(last, func(o object) { o["DeprecationTime"] = daysAgo(-9) }) }, "changed-since-planned", false},
		"another name":                     {nil, func(l *life) { l.image(last, func(o object) { o["Name"] = "precious" }) }, "changed-since-planned", false},
		"a tag, after the facts were read": {nil, keep, "", true},
		"a text, which only a listing sees": {nil, func(l *life) {
			l.edit("get-parameters.json", func(o object) { o["Parameters"] = []object{{"Name": "a", "Type": "String", "Value": imageID(last)}} })
		}, "", false},
		"shared, which is asked for once": {nil, func(l *life) {
			l.edit("describe-launch-permissions.json", func(o object) { o[imageID(last)] = []object{{"UserId": "111122223333"}} })
		}, "", false},
		"a copy, of which only a listing says": {nil, func(l *life) {
			l.edit("describe-images.json", func(o object) {
				o["Images"] = append(o["Images"].([]any), with(image(77, 1, 0, 77), "SourceImageId", imageID(last)))
			})
		}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, staleWorld(last), c.settings)
			l.wrap = func(next emulator.Doer) emulator.Doer {
				happen := func() { l.meanwhile(func() { c.change(l) }) }
				if c.late {
					return atTheFirst(next, "DeregisterImage", happen)
				}
				return atTheSecondLook(next, happen)
			}
			record := l.run(now, false)
			got := verdicts(record)
			for n := 1; n < last; n++ {
				if got[imageID(n)] != "deregistered" {
					t.Errorf("image %d: %s, %s", n, got[imageID(n)], reasons(record, imageID(n)))
				}
			}
			why := reasons(record, imageID(last))
			switch {
			case c.code == "":
				t.Logf("not noticed: %s", got[imageID(last)])
			case got[imageID(last)] != "skipped" || !strings.Contains(why, c.code+": ") || l.state(last) == "gone":
				t.Errorf("%s: %s", got[imageID(last)], why)
			case record.Failed() || record.Totals.Skipped != 1 || !strings.Contains(digest.Text(record), c.code):
				t.Errorf("%+v\n%s", record.Totals, digest.Text(record))
			}
		})
	}
}

// A snapshot that several images share goes after all of them, maybe much later, and one that an
// earlier run has left goes by itself: they are looked at once more just before that.
func TestASnapshotThatIsTaggedMeanwhile(t *testing.T) {
	t.Parallel()
	l := live(t, world{images: []object{image(1, 900, 0, 1, 9), image(2, 900, 0, 2, 9), image(3, 2, 1, 3)}}, settings{"RECORDS": t.TempDir()})
	keep := func(n int) { l.meanwhile(func() { l.setSnapshotTag(n, "ami-janitor:keep", "yes") }) }
	l.wrap = func(next emulator.Doer) emulator.Doer {
		failing := disturb.Fail(next, "DeleteSnapshot", func(_ int, q emulator.Request) bool { return q.Form.Get("SnapshotId") == snapshotID(1) }, 400, "OperationNotPermitted", "not now")
		return atTheFirst(failing, "DeregisterImage", func() { keep(9) })
	}
	record := l.real(0)
	l.want(0, record, "deregistered", "never-launched")
	for _, i := range allImages(record)[:2] {
		if detail := i.Outcome.Snapshots[1].Detail; detail != "changed-since-planned: the tags of "+snapshotID(9)+" have changed; the next run judges it anew" {
			t.Errorf("%s: %q", i.ImageID, detail)
		}
	}
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return on(next, func(q emulator.Request, _ int) bool {
			if q.Action == "DescribeSnapshots" && q.Form.Get("Filter.1.Name") == "snapshot-id" {
				keep(1)
			}
			return false
		}, nil)
	}
	for day := 1; day <= 2; day++ {
		if record := l.real(day); record.Failed() {
			t.Errorf("%s", digest.Text(record))
		}
		l.wrap = nil
	}
	if got, want := l.snapshots(), []string{snapshotID(1), snapshotID(3), snapshotID(9)}; !slices.Equal(got, want) {
		t.Errorf("%s are left, want %s", got, want)
	}
}

// What becomes of a snapshot that two images share, or that an earlier run has left, is settled by
// what it is when its turn comes.
func TestSnapshotsThatGoByThemselves(t *testing.T) {
	t.Parallel()
	untag := func(l *life, n int) { l.setSnapshotTag(n, "ami-janitor:intent", "") }
	for name, c := range map[string]struct {
		change func(l *life, n int)
		stays  bool
	}{
		"nothing happens":        {func(*life, int) {}, false},
		"a tag that says keep":   {func(l *life, n int) { l.setSnapshotTag(n, "ami-janitor:keep", "yes") }, true},
		"a tag that says less":   {func(l *life, n int) { l.setSnapshotTag(n, "cost-center", "42") }, false},
		"the declaration is off": {untag, true},
	} {
		t.Run(name, func(t *testing.T) {
			for turn, days := range []int{4, 5} {
				l := live(t, world{images: []object{image(1, 900, 0, 9), image(2, 900, 0, 9), image(3, 2, 1, 3)}}, settings{"RECORDS": t.TempDir()})
				if turn == 1 { // The second night's, of what the first has left.
					l.wrap = func(next emulator.Doer) emulator.Doer {
						return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
					}
					l.real(0)
				}
				l.wrap = func(next emulator.Doer) emulator.Doer {
					looks := 0
					return on(next, func(q emulator.Request, _ int) bool {
						if q.Action == "DescribeSnapshots" && q.Form.Get("Filter.1.Name") == "snapshot-id" {
							if looks++; looks == 2-turn {
								l.meanwhile(func() { c.change(l, 9) })
							}
						}
						return false
					}, nil)
				}
				l.real(turn)
				l.wrap = nil
				for day := turn + 1; day < days; day++ {
					if record := l.real(day); record.Failed() {
						t.Errorf("turn %d, day %d: %s", turn, day, digest.Text(record))
					}
				}
				if stays := slices.Contains(l.snapshots(), snapshotID(9)); stays != c.stays {
					t.Errorf("turn %d: it is there: %t", turn, stays)
				}
			}
		})
	}
}

// restorable counts the images that carry the tags with which a run has removed them.
func (l *life) restorable(run string) int {
	n := 0
	for _, removal := range newJanitor(l.t, l.account.Client(), nil).Undo().Restorable(l.t.Context()).Removals {
		if removal.Run == run {
			n++
		}
	}
	return n
}

// A run that has slept is taken for dead, and another one goes on where it was. When it wakes up it
// leaves alone what the other one has declared since: an undo finds that by its tags, and so does
// the night after.
func TestARunThatWakesUpBesideAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const last = 60
		w := staleWorld(last)
		w.images[last-1] = image(last, 400, 0, last, 99)
		w.snapshots = append(w.snapshots, tagged(object{"SnapshotId": snapshotID(99), "OwnerId": accountID, "State": "completed"}, "ami-janitor:keep", "yes"))
		// With a canary, so that exactly one removal is on its way when the run falls asleep.
		s := settings{"RECORDS": t.TempDir(), "MAX_DEREGISTRATIONS": "200", "REQUIRE_RECYCLE_BIN": "true"}
		l := live(t, w, s)
		l.account.KeepRemoved(30)
		l.save()
		var slept atomic.Int64
		l.clock = func() time.Time { return now.Add(time.Duration(slept.Load())) }
		var other record.Run
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return atTheFirst(next, "DeregisterImage", func() {
				slept.Store(int64(40 * time.Minute))
				j := newJanitor(t, disturb.Fail(l.account.Client(), "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now"), s)
				j.Clock = l.clock
				other = j.Run(t.Context(), ami.NewRunID(l.clock(), bytes.NewReader([]byte{4, 5, 6})), false)
			})
		}
		if record := l.run(now, false); record.Totals.Deregistered+other.Totals.Deregistered != last || other.Totals.Deregistered < last/2 {
			t.Fatalf("%+v, and %+v", record.Totals, other.Totals)
		}
		restorable := l.restorable(other.Run)
		if restorable != other.Totals.Deregistered {
			t.Errorf("%d of %d images carry the tags with which they were removed", restorable, other.Totals.Deregistered)
		}
		l.wrap, l.clock = nil, nil
		if l.real(1); slices.Contains(l.snapshots(), snapshotID(last)) {
			t.Errorf("%s is nobody's", snapshotID(last))
		}
	})
}

// The same with what a run is about to take off, as left by one that was killed: another run has
// declared and removed it since.
func TestARunThatWakesUpBeforeItTakesTagsOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := settings{"RECORDS": t.TempDir()}
		l := live(t, staleWorld(3), s)
		l.account.KeepRemoved(30)
		l.save()
		l.wrap = func(next emulator.Doer) emulator.Doer {
			isDeclared := false
			return on(next, func(q emulator.Request, _ int) bool {
				isDeclared = isDeclared || q.Action == "CreateTags"
				return isDeclared && q.Action != "CreateTags"
			}, func(emulator.Doer, *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		}
		l.real(0)
		// It reads as restored, and is unmarked before the others.
		l.setTag(3, "ami-janitor:run", "")
		var slept atomic.Int64
		l.clock = func() time.Time { return night(1).Add(time.Duration(slept.Load())) }
		var other record.Run
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return atTheFirst(next, "CreateTags", func() {
				slept.Store(int64(40 * time.Minute))
				j := newJanitor(t, l.account.Client(), s)
				j.Clock = l.clock
				other = j.Run(t.Context(), ami.NewRunID(l.clock(), bytes.NewReader([]byte{4, 5, 6})), false)
			})
		}
		l.real(1)
		restorable := l.restorable(other.Run)
		if restorable != 2 || other.Totals.Deregistered != 2 {
			t.Errorf("%d of %d images carry the tags with which they were removed", restorable, other.Totals.Deregistered)
		}
	})
}

// Between two attempts at a removal so much time may pass that another run takes over: the machine
// sleeps, for less than anybody would call a standstill, or EC2 throttles for long. The first one
// sends heartbeats, or leaves what it has begun to the other one.
func TestAttemptsThatTakeLong(t *testing.T) {
	for name, c := range map[string]struct {
		before, between time.Duration // The first attempt, and from one to the next.
		refused         int
	}{
		"the machine sleeps":     {9 * time.Minute, 29 * time.Minute, 1},
		"EC2 throttles for long": {0, 290 * time.Second, 8},
	} {
		for _, action := range []string{"DeregisterImage", "DeleteSnapshot"} {
			t.Run(name+" at "+action, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					kept := tagged(object{"SnapshotId": snapshotID(99), "OwnerId": accountID, "State": "completed"}, "ami-janitor:keep", "yes")
					s := settings{"RECORDS": t.TempDir()}
					l := live(t, world{images: []object{image(1, 900, 0, 1, 99), image(5, 2, 1, 5)}, snapshots: []object{kept}}, s)
					l.account.KeepRemoved(30)
					l.save()
					var passed atomic.Int64
					l.clock = func() time.Time { return now.Add(time.Duration(passed.Load())) }
					var other *record.Run
					calledAfter := 0
					l.wrap = func(next emulator.Doer) emulator.Doer {
						next = atTheFirst(next, "CreateTags", func() { passed.Add(int64(c.before)) })
						return on(next, func(q emulator.Request, n int) bool {
							if q.Action == action && other != nil {
								calledAfter++
							}
							return q.Action == action && n <= c.refused
						}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
							passed.Add(int64(c.between))
							if time.Duration(passed.Load()) > 31*time.Minute && other == nil {
								j := newJanitor(t, l.account.Client(), s)
								j.Clock = l.clock
								record := j.Run(t.Context(), ami.NewRunID(l.clock(), bytes.NewReader([]byte{4, 5, 6})), false)
								other = &record
							}
							return throttle(next, r)
						})
					}
					record := l.run(now, false)
					if isBusy := other.Regions[0].Busy; isBusy != (c.refused > 1) || (calledAfter > 0) != isBusy {
						t.Errorf("busy: %t, and %d calls of %s afterwards\n%s\n%s", isBusy, calledAfter, action, digest.Text(*other), digest.Text(record))
					}
				})
			})
		}
	}
}

// A run that cannot tell whether another one is at work takes no tags off either.
func TestStaleDeclarationsWithoutALock(t *testing.T) {
	w := staleWorld(2)
	w.snapshots = []object{tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed"}, "ami-janitor:intent", "remove")}
	account := w.load(t)
	isPlanned := false
	doer := on(account.Client(), func(q emulator.Request, _ int) bool {
		isPlanned = isPlanned || q.Action == "DescribeImageReferences"
		return isPlanned && q.Service == "s3" && q.Action == "GetObject"
	}, readFaults["denied"])
	record := newJanitor(t, doer, settings{"RECORDS": "s3://amzn-s3-demo-bucket"}).Run(t.Context(), "20261123T020000Z-010203", false)
	if text := digest.Text(record); calls(account, "DeleteTags") > 0 || !strings.Contains(text, "the journal could not be written") {
		t.Errorf("%s", text)
	}
}

// Without a journal nothing keeps two runs apart. One that finds what the other one has declared
// leaves the declaration to that one.
func TestTwoRunsThatDeclareTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := world{images: []object{image(1, 900, 0, 1), image(5, 2, 1, 5)}}.load(t)
		account.KeepRemoved(30)
		var records [2]record.Run
		var both sync.WaitGroup
		// When they do; the first one then takes long to look.
		for i, declares := range []time.Duration{time.Second, 4 * time.Second} {
			isDeclared := false
			slow := on(account.Client(), func(q emulator.Request, _ int) bool {
				isDeclared = isDeclared || q.Action == "CreateTags"
				return q.Action == "CreateTags" || isDeclared && i == 0 && strings.HasPrefix(q.Action, "DescribeImage")
			}, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
				if q, _ := emulator.Inspect(r); q.Action == "CreateTags" {
					time.Sleep(declares)
				} else {
					time.Sleep(8 * time.Second)
				}
				return next.Do(r)
			})
			both.Go(func() {
				j := newJanitor(t, slow, nil)
				j.Clock = time.Now
				records[i] = j.Run(t.Context(), ami.NewRunID(time.Now(), bytes.NewReader([]byte{byte(i), 5, 6})), false)
			})
		}
		both.Wait()
		if got := verdicts(records[0])[imageID(1)] + " " + verdicts(records[1])[imageID(1)]; got != "skipped deregistered" {
			t.Fatalf("%s: %s", got, reasons(records[0], imageID(1)))
		}
		undone, err := newJanitor(t, account.Client(), nil).Undo().Run(t.Context(), records[1].Run)
		if err != nil || brought(undone)["us-east-1 "+imageID(1)] != "restored" {
			t.Errorf("%v, %v", brought(undone), err)
		}
	})
}

// All answers to a deregistration are lost, and nobody can look: the image keeps the tags of its
// removal. In the Recycle Bin an undo finds it by these, and if a person has restored it, it stays.
func TestAnImageThatMayBeGone(t *testing.T) {
	for _, s := range []settings{nil, {"RECORDS": t.TempDir()}} {
		bubble(t, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 900, 0, 1), image(5, 2, 1, 5)}}, s)
			l.clock = time.Now
			l.account.KeepRemoved(30)
			l.save()
			l.wrap = func(next emulator.Doer) emulator.Doer {
				isTried := false
				return on(next, func(q emulator.Request, _ int) bool {
					isTried = isTried || q.Action == "DeregisterImage"
					return q.Action == "DeregisterImage" || isTried && q.Action == "DescribeImages"
				}, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
					_, _ = next.Do(r)
					return nil, io.ErrUnexpectedEOF
				})
			}
			record := l.real(0)
			if got := verdicts(record)[imageID(1)]; got != "failed" || l.state(1) != "gone" {
				t.Fatalf("%s, and it is %s", got, l.state(1))
			}
			l.wrap = nil
			l.load()
			if undone, err := newJanitor(t, l.account.Client(), nil).Undo().Run(t.Context(), record.Run); brought(undone)["us-east-1 "+imageID(1)] != "restored" {
				t.Errorf("records %v: %v, %v", s, brought(undone), err)
			}
			l.load() // As if nobody had undone it.
			client := wire.EC2(newJanitor(t, l.account.Client(), nil).AWS, "us-east-1")
			_, err := client.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(1))})
			if err == nil {
				_, err = client.RestoreImageFromRecycleBin(t.Context(), &ec2.RestoreImageFromRecycleBinInput{ImageId: aws.String(imageID(1))})
			}
			if err != nil {
				t.Fatal(err)
			}
			l.save()
			l.edit("describe-snapshots.json", func(content object) {
				if text := fmt.Sprint(content); !strings.Contains(text, record.Run) {
					t.Errorf("records %v: the snapshot does not say which run has deleted it: %s", s, text)
				}
			})
			time.Sleep(24 * time.Hour)
			if why := reasons(l.real(1), imageID(1)); l.state(1) == "gone" || !strings.Contains(why, "restored: ") {
				t.Errorf("records %v: it is %s: %s", s, l.state(1), why)
			}
		})
	}
}

// A second look that is denied, cut or answered by something else keeps the images that it was
// about.
func TestASecondLookThatFails(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"DescribeImages", "DescribeSnapshots", "DescribeImageReferences", "DescribeInstances"} {
		for kind, fault := range readFaults {
			t.Run(action+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := twenty().load(t)
					s := settings{}
					if action == "DescribeInstances" {
						s["USAGE_SOURCES"] = "launch-templates,launch-configurations"
					}
					again := false
					doer := on(account.Client(), func(q emulator.Request, _ int) bool {
						// The declaration comes before the second look.
						again = again || q.Action == "CreateTags"
						return again && q.Action == action
					}, fault)
					record := run(t, doer, s, false)
					checkRecord(t, record, 100)
					if calls(account, "DeregisterImage") > 0 || record.Totals.Skipped != 20 || record.Totals.Failed > 0 {
						t.Errorf("%v, %+v", writes(account), record.Totals)
					}
					for _, i := range allImages(record) {
						if code := i.Reasons[len(i.Reasons)-1].Code; code != "unknown-use" {
							t.Errorf("%s: %s", i.ImageID, code)
						}
					}
				})
			})
		}
	}
}

// A second look that shows nothing of an image is no proof that nothing has changed.
func TestASecondLookThatShowsNothing(t *testing.T) {
	for name, look := range map[string]struct{ action, filter, answer string }{
		"of an image":   {"DescribeImages", "image-id", "<DescribeImagesResponse><requestId>1</requestId><imagesSet/></DescribeImagesResponse>"},
		"of a snapshot": {"DescribeSnapshots", "snapshot-id", "<DescribeSnapshotsResponse><requestId>1</requestId><snapshotSet/></DescribeSnapshotsResponse>"},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 0, 1)}}, nil)
			looked := false
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return on(next, func(q emulator.Request, _ int) bool {
					again := q.Action == look.action && q.Form.Get("Filter.1.Name") == look.filter
					looked = looked || again
					return again
				}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
					return reply(r, http.StatusOK, look.answer), nil
				})
			}
			record := l.run(now, false)
			if why := reasons(record, imageID(1)); !looked || l.state(1) == "gone" || !strings.Contains(why, "changed-since-planned: EC2 does not list ") {
				t.Errorf("looked %t; it is %s: %s", looked, l.state(1), why)
			}
		})
	}
}

// Nor is it one that a snapshot is gone which goes by itself: EC2 is asked for it by its id. One
// that is gone is no failure.
func TestASecondLookThatShowsNoSharedSnapshot(t *testing.T) {
	t.Parallel()
	for _, isGone := range []bool{false, true} {
		l := live(t, world{images: []object{image(1, 900, 0, 1, 9), image(2, 900, 0, 2, 9)}}, settings{"RECORDS": t.TempDir(), "KEEP_TAGS": "retain"})
		l.wrap = func(next emulator.Doer) emulator.Doer {
			blind := on(next, func(q emulator.Request, _ int) bool {
				return q.Form.Get("Filter.1.Name") == "snapshot-id" && q.Form.Get("Filter.1.Value.1") == snapshotID(9)
			}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return reply(r, http.StatusOK, "<DescribeSnapshotsResponse><requestId>1</requestId><snapshotSet/></DescribeSnapshotsResponse>"), nil
			})
			return atTheFirst(blind, "DeregisterImage", func() {
				l.meanwhile(func() {
					if isGone {
						l.loseSnapshot(9)
					} else {
						l.setSnapshotTag(9, "retain", "yes")
					}
				})
			})
		}
		record := l.real(0)
		l.want(0, record, "deregistered", "never-launched")
		if stays := slices.Contains(l.snapshots(), snapshotID(9)); stays == isGone || record.Failed() == isGone {
			t.Errorf("gone %t: it is there: %t\n%s", isGone, stays, digest.Text(record))
		}
	}
}

// inTwo is an account in us-east-1 and eu-west-1.
func inTwo(t rapid.TB, home, away world) *emulator.Account {
	t.Helper()
	account := home.load(t)
	if err := account.AddRegion("eu-west-1", away.files(t)); err != nil {
		t.Fatal(err)
	}
	return account
}

// The copy of an image that is in use stays, whatever region the two are in, and whether or not the
// run could see the use.
func TestCopiesOfImagesInUse(t *testing.T) {
	copied := func(region string) object {
		o := with(image(1, 400, 0, 1), "SourceImageId", imageID(2))
		if region != "" {
			o["SourceImageRegion"] = region
		}
		return o
	}
	used := world{images: []object{image(2, 500, 0, 2)}, reservations: []object{instance(2, imageID(2), "running")}}
	fresh := world{images: []object{image(2, 500, 3, 2)}}
	unused := world{images: []object{image(2, 500, 0, 2)}}
	denied := func(region, action string) func(emulator.Doer) emulator.Doer {
		return func(next emulator.Doer) emulator.Doer {
			return on(next, func(q emulator.Request, _ int) bool { return q.Region == region && q.Action == action }, readFaults["denied"])
		}
	}
	both := world{images: []object{copied(""), used.images[0]}, reservations: used.reservations}
	made := world{images: []object{with(copied(""), "SourceInstanceId", "i-0123456789abcdef0"), used.images[0]}, reservations: used.reservations}
	for name, c := range map[string]struct {
		home, away world
		settings   settings
		wrap       func(emulator.Doer) emulator.Doer
		want, says string
	}{
		"in this region":                   {both, world{}, nil, nil, "keep", "in us-east-1, which is named by"},
		"in another region":                {world{images: []object{copied("eu-west-1")}}, used, nil, nil, "keep", "in eu-west-1, which is named by arn:aws:ec2:eu-west-1"},
		"launched in another region":       {world{images: []object{copied("eu-west-1")}}, fresh, nil, nil, "keep", "which was last launched 2026-11-20"},
		"not used":                         {world{images: []object{copied("eu-west-1")}}, unused, nil, nil, "deregistered", ""},
		"gone":                             {world{images: []object{copied("eu-west-1")}}, world{}, nil, nil, "deregistered", ""},
		"no copy but an image of a server": {made, world{}, nil, nil, "deregistered", ""},
		"the region could not be listed":   {world{images: []object{copied("eu-west-1")}}, used, nil, denied("eu-west-1", "DescribeSnapshots"), "keep", "unknown-use: the use of " + imageID(2) + " in eu-west-1, of which it is a copy, has not been looked up"},
		"its instances are denied":         {world{images: []object{copied("eu-west-1")}}, unused, nil, denied("eu-west-1", "DescribeInstances"), "keep", "unknown-use: the use of " + imageID(2) + " in eu-west-1, of which it is a copy: instances: ec2:DescribeInstances: UnauthorizedOperation"},
		"its templates are denied":         {world{images: []object{copied("eu-west-1")}}, used, nil, denied("eu-west-1", "DescribeLaunchTemplates"), "keep", "which is named by"},
		"named by a text in this region": {
			world{images: []object{copied("eu-west-1")}}.parameter("/golden", imageID(2), nil), unused, nil, nil, "keep", "which is named by arn:aws:ssm:us-east-1",
		},
		"named by a text in S3": {
			world{images: []object{copied("eu-west-1")}}.and("s3/states/prod.tfstate", "image", object{"id": imageID(2)}), unused,
			settings{"TEXT_OBJECTS": "s3://states/"},
			nil, "keep", "which is named by arn:aws:s3:::states/prod.tfstate",
		},
		"named by a text in S3, and in a region not of the run": {
			world{images: []object{copied("eu-west-1")}}.and("s3/states/prod.tfstate", "image", object{"id": imageID(2)}), used,
			settings{"TEXT_OBJECTS": "s3://states/", "REGIONS": "us-east-1"},
			nil, "keep", "which is named by arn:aws:s3:::states/prod.tfstate",
		},
		"in a region not of the run":    {world{images: []object{copied("eu-west-1")}}, used, settings{"REGIONS": "us-east-1"}, nil, "deregistered", ""},
		"in a region that was left out": {world{images: []object{copied("eu-west-1")}}, used, settings{"EXCEPT_REGIONS": "eu-west-1"}, nil, "deregistered", ""},
	} {
		t.Run(name, func(t *testing.T) {
			account := inTwo(t, c.home, c.away)
			s := settings{"REGIONS": "all", "KEEP_NEWEST": "0"}
			maps.Copy(s, c.settings)
			var doer emulator.Doer = account.Client()
			if c.wrap != nil {
				doer = c.wrap(doer)
			}
			record := run(t, doer, s, false)
			checkRecord(t, record, 100)
			got, why := verdicts(record)[imageID(1)], reasons(record, imageID(1))
			if got != c.want || !strings.Contains(why, c.says) || c.want == "keep" && !strings.Contains(why, "copy-of-used: ") && !strings.Contains(why, "unknown-use: ") {
				t.Errorf("%s: %s", got, why)
			}
		})
	}
}

// Lambda may deliver an event twice, and a person may sweep at the same time: two runs over one
// account take nothing twice, leave nothing behind, and each says what it has done itself.
func TestTwoRunsAtTheSameTime(t *testing.T) {
	for _, moment := range []string{"DescribeImageAttribute", "DeregisterImage"} {
		for _, grace := range []string{"0d", "14d"} {
			t.Run(moment+" "+grace, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					const earlier = "20261109T020000Z-3f9c1a"
					w, s := twenty(), settings{"GRACE": grace}
					if grace != "0d" {
						s["RECORDS"] = t.TempDir()
						var announced []int
						for n, o := range w.images {
							o["Tags"] = announcement(earlier, "cli", "2026-11-23", false)
							announced = append(announced, n+1)
						}
						announcing(t, s["RECORDS"], earlier, "cli", "2026-11-23", "announce", announced...)
					}
					account := w.load(t)
					before := holdings(t, account)
					var other record.Run
					doer := atTheFirst(account.Client(), moment, func() {
						other = newJanitor(t, account.Client(), s).Run(t.Context(), "20261123T020000Z-bbbbbb", false)
					})
					record := newJanitor(t, doer, s).Run(t.Context(), "20261123T020000Z-aaaaaa", false)
					checkRecord(t, record, 100)
					first, second := other.Totals, record.Totals
					if moment == "DeregisterImage" {
						// It has declared what it removes before the other one looks.
						first, second = second, first
					}
					if first.Deregistered != 20 || second.Deregistered != 0 || second.Skipped+second.Kept != 20 || record.Failed() || other.Failed() {
						t.Errorf("one: %+v; other: %+v", record.Totals, other.Totals)
					}
					if left := holdings(t, account); len(before) != 40 || len(left) != 0 {
						t.Errorf("left: %v", left)
					}
					if second.SnapshotsDeleted > 0 {
						t.Errorf("both say that they have deleted snapshots: %+v", second)
					}
				})
			})
		}
	}
}

// With references as the only source nothing looks for the use of originals, and their copies stay:
// docs/evidence.md says so.
func TestCopiesWithReferencesAlone(t *testing.T) {
	account := world{images: []object{
		with(image(1, 400, 0, 1), "SourceImageId", imageID(3)), with(image(2, 500, 300, 2), "Name", "web-2025-01-01"), with(image(3, 20, 0, 3), "Name", "web-2026-11-01"),
	}}.load(t)
	record := run(t, account.Client(), settings{"USAGE_SOURCES": "references"}, true)
	if got := verdicts(record)[imageID(1)]; got != "keep" || !slices.Contains(codes(record, imageID(1)), "unknown-use") {
		t.Errorf("%s: %s", got, reasons(record, imageID(1)))
	}
}

// Text in any region of the run may name an image; the regions are looked up one after the other,
// and a deadline or a fault may cut off the text of the last.
func TestTextInAnotherRegion(t *testing.T) {
	away := world{images: []object{image(5, 20, 0, 5)}}.parameter("/deploy", `{"us-east-1": "`+imageID(1)+`"}`, nil)
	stale := world{images: []object{image(1, 400, 0, 1)}}
	in := func(region, action string) func(emulator.Request, int) bool {
		return func(q emulator.Request, _ int) bool { return q.Region == region && q.Action == action }
	}
	for name, c := range map[string]struct {
		fails  func(emulator.Request, int) bool
		limit  time.Duration
		region string // That of the text.
		says   string
	}{
		"it is read":                        {nil, 0, "eu-west-1", "in-use: named by arn:aws:ssm:eu-west-1:123456789012:parameter/deploy"},
		"it is read, before":                {nil, 0, "ap-south-1", "in-use: named by arn:aws:ssm:ap-south-1:123456789012:parameter/deploy"},
		"its listing is denied":             {in("eu-west-1", "DescribeParameters"), 0, "eu-west-1", "unknown-use: ssm-text in eu-west-1: ssm:DescribeParameters: AccessDeniedException"},
		"its values are denied":             {in("eu-west-1", "GetParameters"), 0, "eu-west-1", "unknown-use: ssm-text in eu-west-1: SSM parameter /deploy cannot be read: ssm:GetParameters: AccessDeniedException"},
		"regions beside it are slow":        {nil, time.Minute, "us-west-2", "in-use: named by arn:aws:ssm:us-west-2:123456789012:parameter/deploy"},
		"the region could not be listed":    {in("eu-west-1", "DescribeImages"), 0, "eu-west-1", "in-use: named by arn:aws:ssm:eu-west-1:123456789012:parameter/deploy"},
		"snapshots could not be listed":     {in("eu-west-1", "DescribeSnapshots"), 0, "eu-west-1", "in-use: named by arn:aws:ssm:eu-west-1:123456789012:parameter/deploy"},
		"snapshot locks could not be asked": {in("eu-west-1", "DescribeLockedSnapshots"), 0, "eu-west-1", "in-use: named by arn:aws:ssm:eu-west-1:123456789012:parameter/deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				account := stale.load(t)
				if err := account.AddRegion(c.region, away.files(t)); err != nil {
					t.Fatal(err)
				}
				var doer emulator.Doer = account.Client()
				ctx := t.Context()
				if c.fails != nil {
					doer = on(doer, c.fails, readFaults["denied"])
				}
				if c.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithDeadline(ctx, time.Now().Add(c.limit))
					defer cancel()
					doer = slow(doer, map[string]time.Duration{"DescribeParameters": c.limit / 3})
				}
				j := newJanitor(t, doer, settings{"REGIONS": "all"})
				if c.limit > 0 {
					j.Clock = time.Now
				}
				record := j.Run(ctx, "run", false)
				got, why := verdicts(record)[imageID(1)], reasons(record, imageID(1))
				if got != "keep" || !strings.Contains(why, c.says) {
					t.Errorf("%s: %s; %v", got, why, janitor.Err(record))
				}
			})
		})
	}
}

// uses are all ways in which something may use, or keep, an image in a region; each changes the
// worlds of that region and of the other. Whatever else happens, an image that one of them was
// given is not removed.
var uses = map[string]func(n int, here, there *world, region string){
	"an instance": func(n int, here, _ *world, _ string) {
		here.reservations = append(here.reservations, instance(n, imageID(n), "running"))
	},
	"a terminated instance": func(n int, here, _ *world, _ string) {
		here.reservations = append(here.reservations, instance(n, imageID(n), "terminated"))
	},
	"a launch template": func(n int, here, _ *world, _ string) {
		here.versions = append(here.versions, templateVersion(n, imageID(n)))
	},
	"a parameter of a launch template": func(n int, here, _ *world, _ string) {
		name := fmt.Sprint("/golden/", n)
		here.versions = append(here.versions, templateVersion(n, "resolve:ssm:"+name+":7"))
		*here = here.parameter(name, imageID(n), object{"Type": "String", "DataType": "aws:ec2:image", "Version": 7})
	},
	"a launch configuration": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-launch-configurations.json", "LaunchConfigurations", object{"LaunchConfigurationName": fmt.Sprint("c", n), "ImageId": imageID(n)})
	},
	"a group": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-auto-scaling-groups.json", "AutoScalingGroups", object{
			"AutoScalingGroupName": fmt.Sprint("g", n), "MixedInstancesPolicy": object{"LaunchTemplate": object{"Overrides": []object{{"ImageId": imageID(n)}}}},
		})
	},
	"a Spot fleet": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-spot-fleet-requests.json", "SpotFleetRequestConfigs", object{
			"SpotFleetRequestId": fmt.Sprint("sfr-", n), "SpotFleetRequestState": "active", "SpotFleetRequestConfig": object{"LaunchSpecifications": []object{{"ImageId": imageID(n)}}},
		})
	},
	"a Spot request": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-spot-instance-requests.json", "SpotInstanceRequests", object{
			"SpotInstanceRequestId": fmt.Sprint("sir-", n), "State": "open", "LaunchSpecification": object{"ImageId": imageID(n)},
		})
	},
	"a text here": func(n int, here, _ *world, _ string) {
		*here = here.parameter(fmt.Sprint("/text/", n), "x "+imageID(n)+" y", nil)
	},
	"a text there": func(n int, _, there *world, _ string) {
		*there = there.parameter(fmt.Sprint("/text/", n), strings.ToUpper(imageID(n)), nil)
	},
	"fast launch": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-fast-launch-images.json", "FastLaunchImages", object{"ImageId": imageID(n), "State": "enabled-failed"})
	},
	"fast snapshot restore": func(n int, here, _ *world, _ string) {
		*here = here.and("describe-fast-snapshot-restores.json", "FastSnapshotRestores", object{"SnapshotId": snapshotID(n), "State": "optimizing"})
	},
	"being shared": func(n int, here, _ *world, _ string) {
		here.permissions[imageID(n)] = []object{{"UserId": "111122223333"}}
	},
	"an unknown permission": func(n int, here, _ *world, _ string) { here.permissions[imageID(n)] = nil },
	"being a copy of a used one": func(n int, here, there *world, region string) {
		other := map[string]string{"us-east-1": "eu-west-1", "eu-west-1": "us-east-1"}[region]
		here.images[len(here.images)-1]["SourceImageId"], here.images[len(here.images)-1]["SourceImageRegion"] = imageID(1000+n), other
		there.images = append(there.images, image(1000+n, 20, 0, 1000+n))
		there.reservations = append(there.reservations, instance(1000+n, imageID(1000+n), "stopped"))
	},
	"a keep tag": func(_ int, here, _ *world, _ string) {
		tagged(here.images[len(here.images)-1], "ami-janitor:keep", "yes")
	},
	"protection": func(_ int, here, _ *world, _ string) {
		with(here.images[len(here.images)-1], "DeregistrationProtection", "enabled-with-cooldown")
	},
	"the keep list": func(n int, here, _ *world, _ string) {
		with(here.images[len(here.images)-1], "Name", fmt.Sprint("listed-", n))
	},
}

// Over the whole run: whatever uses an image, in whatever region, whatever cannot be read, with
// a grace period or without, with several nights or one: it is not removed. Without any fault all
// that nothing uses goes.
func TestNothingInUseIsEverRemoved(t *testing.T) {
	t.Parallel()
	kinds := slices.Sorted(maps.Keys(uses))
	removedInAll, keptInAll := 0, 0
	bubble(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(rt *rapid.T) {
			home, away := world{permissions: object{}}, world{permissions: object{}}
			home = home.parameter("/keep", "listed-*", nil)
			used := map[string]string{}
			texts := map[string]bool{}
			for n := range rapid.IntRange(1, 14).Draw(rt, "images") {
				here, there, region := &home, &away, "us-east-1"
				if rapid.Bool().Draw(rt, "away") {
					here, there, region = &away, &home, "eu-west-1"
				}
				here.images = append(here.images, image(n, 400+n, 0, n))
				if kind := rapid.SampledFrom(append([]string{"", ""}, kinds...)).Draw(rt, "use"); kind != "" {
					uses[kind](n, here, there, region)
					used[imageID(n)] = kind
					texts[imageID(n)] = kind == "a text there"
				}
			}
			at := now
			account, err := emulator.Load(home.files(rt), emulator.Options{Now: func() time.Time { return at }})
			if err == nil {
				err = account.AddRegion("eu-west-1", away.files(rt))
			}
			if err != nil {
				rt.Fatal(err)
			}
			s := settings{"REGIONS": "all", "KEEP_LIST": "ssm:/keep", "KEEP_NEWEST": "0"}
			s["LAUNCH_TEMPLATE_VERSIONS"] = rapid.SampledFrom([]string{"all", "1"}).Draw(rt, "versions")
			s["MAX_DEREGISTRATIONS"] = rapid.SampledFrom([]string{"100", "5"}).Draw(rt, "cap")
			s["GRACE"] = rapid.SampledFrom([]string{"0d", "1d", "2d"}).Draw(rt, "grace")
			s["GRACE_ACTION"] = rapid.SampledFrom([]string{"announce", "deprecate", "disable"}).Draw(rt, "action")
			s["SHARED_IMAGES"] = rapid.SampledFrom([]string{"keep", "report"}).Draw(rt, "shared")
			if s["RECORDS"], err = os.MkdirTemp(t.TempDir(), ""); err != nil {
				rt.Fatal(err)
			}
			gone := map[string]bool{}
			for day := range 9 {
				at = night(day)
				doer := shortPages(account.Client())
				for range rapid.IntRange(0, 2).Draw(rt, "faults") {
					action := rapid.SampledFrom(slices.Sorted(maps.Keys(leastPages))).Draw(rt, "action")
					kind := rapid.SampledFrom([]string{"denied", "broken", "web page", "truncated"}).Draw(rt, "fault")
					from := rapid.IntRange(1, 6).Draw(rt, "from")
					where := rapid.SampledFrom([]string{"", "us-east-1", "eu-west-1"}).Draw(rt, "where")
					if day > 2 {
						continue
					}
					doer = on(doer, func(q emulator.Request, n int) bool {
						return q.Action == action && n >= from && (where == "" || q.Region == where)
					}, readFaults[kind])
				}
				j := newJanitor(rt, doer, s)
				j.Clock = func() time.Time { return at }
				record := j.Run(t.Context(), ami.NewRunID(at, strings.NewReader("abc")), false)
				checkRecord(rt, record, 100)
				for _, id := range removed(record) {
					gone[id] = true
					if kind := used[id]; kind != "" && (kind != "being shared" || s["SHARED_IMAGES"] == "keep") {
						if texts[id] && janitor.Err(record) != nil {
							// The text of a region that failed may not have been read:
							// docs/limits.md.
							continue
						}
						rt.Errorf("night %d: %s is removed, in spite of %s", day, id, kind)
					}
				}
			}
			for n := range len(home.images) + len(away.images) {
				id := imageID(n)
				if used[id] == "" && !gone[id] && n < 14 && isIn(home, away, id) {
					rt.Errorf("%s is not removed, although nothing uses it", id)
				}
			}
			removedInAll += len(gone)
			keptInAll += len(used)
		})
	})
	if removedInAll == 0 || keptInAll == 0 {
		t.Errorf("%d removed, %d used: the property says nothing", removedInAll, keptInAll)
	}
}

func isIn(home, away world, id string) bool {
	return slices.ContainsFunc(slices.Concat(home.images, away.images), func(o object) bool { return o["ImageId"] == id })
}

// A run that finds the region taken when it is about to begin leaves all of it to the other run:
// what it would remove, announce, take back and clear away, and its requests for usage reports.
func TestARegionThatIsTakenAtTheBeginning(t *testing.T) {
	for name, c := range map[string]struct {
		world    world
		settings settings
	}{
		"removals":      {world{images: []object{image(1, 900, 0, 1)}}, settings{}},
		"announcements": {world{images: []object{image(1, 900, 0, 1)}}, settings{"GRACE": "14d"}},
		"an objection": {world{images: []object{with(image(1, 900, 0, 1), "Tags", []object{
			{"Key": "ami-janitor:due", "Value": "2026-12-01"}, {"Key": "ami-janitor:run", "Value": "20261117T020000Z-3f9c1a"}, {"Key": "ami-janitor:keep", "Value": "yes"},
		})}}, settings{"GRACE": "14d"}},
		"a stale declaration": {world{images: []object{image(1, 10, 0, 1)}, snapshots: []object{
			tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed"}, "ami-janitor:intent", "remove"),
		}}, settings{}},
		"a usage report": {world{images: []object{image(1, 900, 0, 1)}, permissions: object{imageID(1): sharedWith("111122223333")}}, settings{"SHARED_IMAGES": "report"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				changes := func(taken bool) (record.Run, []string) {
					account := c.world.load(t)
					settings := maps.Clone(c.settings)
					settings["RECORDS"], settings["KEEP_NEWEST"] = "s3://amzn-s3-demo-bucket", "0"
					looks := 0
					doer := on(account.Client(), func(q emulator.Request, _ int) bool {
						if q.Action == "GetObject" && q.Form.Get("Key") == "locks/us-east-1.json" {
							looks++
							// The visit begins, the history is read, and then the region must be
							// taken.
							return taken && looks == 3
						}
						return false
					}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
						lock := `{"run": "20261123T015900Z-0a1b2c", "region": "us-east-1", "at": "2026-11-23T02:00:00Z", "nonce": "x"}`
						return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"1"`}}, Body: io.NopCloser(strings.NewReader(lock)), Request: r}, nil
					})
					record := newJanitor(t, doer, settings).Run(t.Context(), "20261123T020000Z-010203", false)
					return record, slices.DeleteFunc(writes(account), func(action string) bool { return action == "PutObject" })
				}
				if record, changed := changes(false); len(changed) == 0 {
					t.Fatalf("nothing is to be changed: %s", digest.Text(record))
				}
				record, changed := changes(true)
				if region := record.Regions[0]; len(changed) > 0 || !region.Busy || !strings.Contains(region.Hold, "20261123T015900Z-0a1b2c is at work") {
					t.Errorf("%v, %q\n%s", changed, region.Hold, digest.Text(record))
				}
			})
		})
	}
}
