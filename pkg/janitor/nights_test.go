package janitor_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// life is an account over many nights. It is saved after each run and loaded before the next, as
// rehearse does with --state-out and --account.
type life struct {
	t   *testing.T
	dir string
	// A directory for the records of runs that announce, unless RECORDS names another place.
	records  string
	settings settings
	wrap     func(emulator.Doer) emulator.Doer // Nil for none; a fault of this night.
	at       time.Time                         // Of the last run.
	clock    func() time.Time                  // Nil if the time stands still in a run.
	account  *emulator.Account                 // As the last run left it.
	// Held while the account is changed in the middle of a run.
	changing sync.RWMutex
}

func live(t *testing.T, w world, s settings) *life {
	t.Helper()
	l := &life{t: t, dir: t.TempDir(), records: t.TempDir(), settings: s}
	l.account = w.load(t)
	l.save()
	return l
}

func (l *life) save() {
	l.t.Helper()
	if err := l.account.Save(l.dir); err != nil {
		l.t.Fatal(err)
	}
}

// night is 02:00 so many days after the first.
func night(day int) time.Time { return now.AddDate(0, 0, day) }

// now is the time by AWS's clock, and by that of the run.
func (l *life) now() time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return l.at
}

// janitor is one in between the runs.
func (l *life) janitor() *janitor.Janitor {
	l.t.Helper()
	j := newJanitor(l.t, l.account.Client(), l.settings)
	j.Clock = l.now
	return j
}

// run carries out a run at a time. The account is left as it was if it is a dry one that keeps its
// promise.
func (l *life) run(at time.Time, dry bool) record.Run {
	l.t.Helper()
	l.changing.Lock() // A reading that the run before has given up may still be on its way.
	l.at = at
	l.load()
	l.changing.Unlock()
	var doer emulator.Doer = emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		l.changing.RLock()
		defer l.changing.RUnlock()
		return l.account.Client().Do(r)
	})
	if l.wrap != nil {
		doer = l.wrap(doer)
	}
	j := newJanitor(l.t, doer, l.withRecords())
	j.Clock = l.now
	record := j.Run(l.t.Context(), ami.NewRunID(at, bytes.NewReader([]byte{1, 2, 3})), dry)
	checkRecord(l.t, record, j.Config.Policy.MaxDeregistrations)
	if dry && len(writes(l.account)) > 0 {
		l.t.Errorf("%s: a dry run calls %v", at.Format(time.DateOnly), writes(l.account))
	}
	l.save()
	return record
}

// withRecords keeps records where removals are announced: no later run goes by announcements
// without.
func (l *life) withRecords() settings {
	s := maps.Clone(l.settings)
	if _, set := s["RECORDS"]; !set && s["GRACE"] != "" {
		s["RECORDS"] = l.records
	}
	return s
}

func (l *life) load() {
	l.t.Helper()
	account, err := emulator.Load(os.DirFS(l.dir), emulator.Options{Now: l.now})
	if err != nil {
		l.t.Fatal(err)
	}
	l.account = account
}

// meanwhile changes the account while a run is on its way. The calls before it are forgotten.
func (l *life) meanwhile(change func()) {
	l.t.Helper()
	l.changing.Lock()
	defer l.changing.Unlock()
	l.save()
	change()
	l.load()
}

// real is a real run in the night of a day.
func (l *life) real(day int) record.Run {
	l.t.Helper()
	return l.run(night(day), false)
}

// edit changes one file of the saved account.
func (l *life) edit(file string, change func(content object)) {
	l.t.Helper()
	path := filepath.Join(l.dir, file)
	var content object
	readJSON(l.t, path, &content)
	change(content)
	data, err := json.Marshal(content)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// image finds an image of the saved account and lets it be changed.
func (l *life) image(n int, change func(image object)) {
	l.t.Helper()
	l.edit("describe-images.json", func(content object) {
		for _, item := range content["Images"].([]any) {
			if o := item.(object); o["ImageId"] == imageID(n) {
				change(o)
			}
		}
	})
}

// tags are the tags of an image of the saved account; nil if it is gone.
func (l *life) tags(n int) map[string]string {
	l.t.Helper()
	var found map[string]string
	l.image(n, func(o object) {
		found = map[string]string{}
		list, _ := o["Tags"].([]any)
		for _, tag := range list {
			found[fmt.Sprint(tag.(object)["Key"])] = fmt.Sprint(tag.(object)["Value"])
		}
	})
	return found
}

func (l *life) state(n int) string {
	l.t.Helper()
	state := "gone"
	l.image(n, func(o object) { state = fmt.Sprint(o["State"]) })
	return state
}

// setTag sets a tag of an image by hand; an empty value takes it off.
func (l *life) setTag(n int, key, value string) {
	l.t.Helper()
	l.image(n, func(o object) {
		list, _ := o["Tags"].([]any)
		list = slices.DeleteFunc(list, func(tag any) bool { return tag.(object)["Key"] == key })
		if value != "" {
			list = append(list, object{"Key": key, "Value": value})
		}
		o["Tags"] = list
	})
}

// setSnapshotTag sets a tag of a snapshot by hand; an empty value takes it off.
func (l *life) setSnapshotTag(n int, key, value string) {
	l.t.Helper()
	l.edit("describe-snapshots.json", func(content object) {
		for _, item := range content["Snapshots"].([]any) {
			if o := item.(object); o["SnapshotId"] == snapshotID(n) {
				list, _ := o["Tags"].([]any)
				list = slices.DeleteFunc(list, func(tag any) bool { return tag.(object)["Key"] == key })
				if value != "" {
					list = append(list, object{"Key": key, "Value": value})
				}
				o["Tags"] = list
			}
		}
	})
}

// loseSnapshot lets somebody delete a snapshot.
func (l *life) loseSnapshot(n int) {
	l.t.Helper()
	l.edit("describe-snapshots.json", func(content object) {
		content["Snapshots"] = slices.DeleteFunc(content["Snapshots"].([]any), func(item any) bool { return item.(object)["SnapshotId"] == snapshotID(n) })
	})
}

// launch adds an instance of an image, which EC2 has on record at once.
func (l *life) launch(n int, at time.Time) {
	l.t.Helper()
	l.edit("describe-instances.json", func(content object) {
		content["Reservations"] = append(content["Reservations"].([]any), instance(n, imageID(n), "running"))
	})
	l.image(n, func(o object) { o["LastLaunchedTime"] = at.Format(time.RFC3339) })
}

func (l *life) terminateAll() {
	l.t.Helper()
	l.edit("describe-instances.json", func(content object) { content["Reservations"] = []any{} })
}

// want checks what became of image 1.
func (l *life) want(day int, record record.Run, verdict string, codes ...string) {
	l.t.Helper()
	got, why := verdicts(record)[imageID(1)], reasons(record, imageID(1))
	if got != verdict {
		l.t.Errorf("day %d: image 1 is %q, want %q: %s; %v", day, got, verdict, why, janitor.Err(record))
	}
	for _, code := range codes {
		if !strings.Contains(why, code+": ") {
			l.t.Errorf("day %d: image 1 is %s for %q, want %s", day, got, why, code)
		}
	}
}

var graceful = settings{"GRACE": "14d", "KEEP_NEWEST": "0"}

func settingsOf(name string) settings {
	s := maps.Clone(graceful)
	s["GRACE_ACTION"] = name
	return s
}

const dueDay = "2026-12-07"

// Announced, left alone until its day, and then removed, with its snapshots.
func TestAnAnnouncedImageGoesWhenItIsDue(t *testing.T) {
	for _, name := range []string{"announce", "deprecate", "disable"} {
		t.Run(name, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1), image(2, 20, 5, 2)}}, settingsOf(name))
			record := l.real(0)
			l.want(0, record, "marked", "stale")
			want := map[string]string{"ami-janitor:due": dueDay, "ami-janitor:announced-by": record.Run + " cli"}
			if name == "disable" {
				want["ami-janitor:disabled"] = record.Run
			}
			if tags := l.tags(1); !maps.Equal(tags, want) {
				t.Errorf("tags %v, want %v", tags, want)
			}
			for day := 1; day < 14; day++ {
				record = l.real(day)
				l.want(day, record, "keep", "announced")
				if len(writes(l.account)) > 0 || record.Changes() || record.Failed() {
					t.Fatalf("day %d: %v, changes %v", day, writes(l.account), record.Changes())
				}
			}
			if state := l.state(1); (state == "disabled") != (name == "disable") {
				t.Errorf("it is %s", state)
			}
			l.image(1, func(o object) {
				if at, ok := o["DeprecationTime"].(string); ok != (name == "deprecate") || ok && !strings.HasPrefix(at, dueDay+"T00:00") {
					t.Errorf("deprecated at %v", o["DeprecationTime"])
				}
			})
			record = l.real(14)
			l.want(14, record, "deregistered", "stale")
			if record.Totals.Deregistered != 1 || record.Totals.Marked != 0 || record.Totals.SnapshotsDeleted != 1 {
				t.Errorf("%+v", record.Totals)
			}
			if got := writes(l.account); !slices.Equal(got, []string{"CreateTags", "DeregisterImage"}) {
				t.Errorf("calls %v", got)
			}
			l.want(15, l.real(15), "")
		})
	}
}

// What is announced is no removal: it is counted for itself, its snapshots are not to be deleted,
// and its day is told.
func TestAnAnnouncementIsNoRemoval(t *testing.T) {
	for _, dry := range []bool{true, false} {
		l := live(t, world{images: []object{image(1, 400, 300, 1), image(2, 500, 0, 2)}}, graceful)
		record := l.run(now, dry)
		c := record.Totals
		if c.Marked != 2 || c.Deregistered+c.WouldDeregister+c.SnapshotsDeleted+c.SnapshotsWouldDelete+c.Failed != 0 || !record.Changes() {
			t.Errorf("dry %v: %+v", dry, c)
		}
		text, subject := digest.Text(record), digest.Subject(record)
		if !strings.Contains(text, "2026-12-07") && !strings.Contains(text, "7 December 2026") || strings.Contains(subject, "removed") {
			t.Errorf("dry %v: %s\n%s", dry, subject, text)
		}
		for _, i := range allImages(record) {
			if i.DueOn != dueDay || i.Verdict != "mark" || (i.Outcome == nil) != dry || len(i.Snapshots) > 0 {
				t.Errorf("dry %v: %+v", dry, i)
			}
		}
		if tags := l.tags(1); (len(tags) == 0) != dry {
			t.Errorf("dry %v: tags %v", dry, tags)
		}
		if dry {
			l.want(14, l.run(night(14), true), "mark")
			continue
		}
		l.want(3, l.run(night(3), true), "keep", "announced")
		l.want(14, l.run(night(14), true), "deregister", "stale")
		l.want(14, l.real(14), "deregistered")
	}
}

// objections are what people do to say that an announced image is to stay, and how they take that
// back.
var objections = map[string]struct {
	action   string
	object   func(l *life)
	code     string // The reason in the night after it.
	takeBack func(l *life)
}{
	"a launch": {object: func(l *life) { l.launch(1, night(10).Add(-time.Hour)) }, code: "vetoed", takeBack: (*life).terminateAll},
	"a launch, not reported yet": {object: func(l *life) {
		l.edit("describe-instances.json", func(content object) { content["Reservations"] = []object{instance(1, imageID(1), "terminated")} })
	}, code: "in-use", takeBack: (*life).terminateAll},
	"a launch, reported": {object: func(l *life) {
		l.image(1, func(o object) { o["LastLaunchedTime"] = night(10).Add(-time.Hour).Format(time.RFC3339) })
	}, code: "vetoed"},
	"a keep tag": {object: func(l *life) { l.setTag(1, "ami-janitor:keep", "true") }, code: "keep-tag", takeBack: func(l *life) {
		l.setTag(1, "ami-janitor:keep", "")
	}},
	"a further keep tag": {object: func(l *life) { l.setTag(1, "Env", "prod"); l.settings["KEEP_TAGS"] = "Env=prod" }, code: "keep-tag", takeBack: func(l *life) {
		l.setTag(1, "Env", "")
	}},
	"the day taken off":       {object: func(l *life) { l.setTag(1, "ami-janitor:due", "") }, code: "vetoed"},
	"the announcer taken off": {object: func(l *life) { l.setTag(1, "ami-janitor:announced-by", "") }, code: "vetoed"},
	"enabled, and tidied up": {action: "disable", object: func(l *life) {
		l.image(1, func(o object) { o["State"] = "available" })
		l.setTag(1, "ami-janitor:disabled", "")
	}, code: "vetoed"},
	"the announcer changed":         {object: func(l *life) { l.setTag(1, "ami-janitor:announced-by", "do not delete") }, code: "vetoed"},
	"the day taken off, disabled":   {action: "disable", object: func(l *life) { l.setTag(1, "ami-janitor:due", "") }, code: "vetoed"},
	"the day taken off, deprecated": {action: "deprecate", object: func(l *life) { l.setTag(1, "ami-janitor:due", "") }, code: "vetoed"},
	"enabled":                       {action: "disable", object: func(l *life) { l.image(1, func(o object) { o["State"] = "available" }) }, code: "vetoed"},
	"a keep tag on a disabled image": {action: "disable", object: func(l *life) { l.setTag(1, "ami-janitor:keep", "x") }, code: "keep-tag", takeBack: func(l *life) {
		l.setTag(1, "ami-janitor:keep", "")
	}},
	"protected": {object: func(l *life) { l.image(1, func(o object) { o["DeregistrationProtection"] = "enabled-with-cooldown" }) }, code: "protected", takeBack: func(l *life) {
		l.image(1, func(o object) { o["DeregistrationProtection"] = "disabled" })
	}},
	"made public": {object: func(l *life) { l.image(1, func(o object) { o["Public"] = true }) }, code: "public", takeBack: func(l *life) {
		l.image(1, func(o object) { o["Public"] = false })
	}},
	"shared": {object: func(l *life) {
		l.edit("describe-launch-permissions.json", func(content object) { content[imageID(1)] = []object{{"UserId": "111122223333"}} })
	}, code: "shared", takeBack: func(l *life) {
		l.edit("describe-launch-permissions.json", func(content object) { delete(content, imageID(1)) })
	}},
	"put on the keep list": {object: func(l *life) {
		path := filepath.Join(filepath.Dir(l.dir), filepath.Base(l.dir)+".keep")
		if err := os.WriteFile(path, []byte(imageID(1)+"\n"), 0o600); err != nil {
			l.t.Fatal(err)
		}
		l.settings["KEEP_LIST"] = path
	}, code: "keep-list", takeBack: func(l *life) { delete(l.settings, "KEEP_LIST") }},
	"a launch template": {object: func(l *life) {
		l.edit("describe-launch-template-versions.json", func(content object) { content["LaunchTemplateVersions"] = []object{templateVersion(1, imageID(1))} })
	}, code: "in-use", takeBack: func(l *life) {
		l.edit("describe-launch-template-versions.json", func(content object) { content["LaunchTemplateVersions"] = []object{} })
	}},
	"unmarked": {object: func(l *life) { l.unmark(night(10), 1) }, code: "recently-used"},
}

// unmark takes an announcement back by hand, as the command does.
func (l *life) unmark(at time.Time, n int) {
	l.t.Helper()
	l.at = at
	l.load()
	j := newJanitor(l.t, l.account.Client(), l.settings)
	j.Clock = func() time.Time { return at }
	unmarked, err := j.Unmark(l.t.Context(), []string{imageID(n)})
	if err != nil || len(unmarked) != 1 || !unmarked[0].Marked || unmarked[0].Err != nil || unmarked[0].ImageID != imageID(n) || unmarked[0].Region != "us-east-1" {
		l.t.Errorf("%+v, %v", unmarked, err)
	}
	l.save()
}

// Whatever somebody does against an announcement takes it back for good: the idle time starts over,
// and only when it is over is the image announced again, with the full time.
func TestObjections(t *testing.T) {
	t.Parallel()
	for name, c := range objections {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(cmp.Or(c.action, "announce"))
			l := live(t, world{images: []object{image(1, 400, 300, 1)}}, s)
			l.want(0, l.real(0), "marked")
			c.object(l)
			for _, day := range []int{11, 14} {
				l.want(day, l.run(night(day), true), "keep")
			}
			record := l.real(11)
			l.want(11, record, "keep", c.code)
			if record.Failed() {
				t.Errorf("%v", allImages(record))
			}
			tags := l.tags(1)
			for key := range tags {
				if key == "ami-janitor:due" || key == "ami-janitor:run" || key == "ami-janitor:disabled" {
					t.Errorf("the tag %s is left", key)
				}
			}
			if tags["ami-janitor:restored"] == "" || l.state(1) != "available" {
				t.Errorf("%s, tags %v", l.state(1), tags)
			}
			l.image(1, func(o object) {
				if o["DeprecationTime"] != nil {
					t.Errorf("it is still deprecated at %v", o["DeprecationTime"])
				}
			})
			if c.takeBack != nil {
				c.takeBack(l)
			}
			since := 11
			if name == "unmarked" {
				since = 10
			}
			for _, day := range []int{12, 14, 15, 100, since + 179} {
				record = l.real(day)
				l.want(day, record, "keep", "recently-used")
				if len(writes(l.account)) > 0 {
					t.Errorf("day %d: %v", day, writes(l.account))
				}
			}
			day := since + 181
			l.want(day, l.real(day), "marked", "stale")
			if due := l.tags(1)["ami-janitor:due"]; due != night(day+14).Format(time.DateOnly) {
				t.Errorf("announced again for %s", due)
			}
			l.want(day+13, l.real(day+13), "keep", "announced")
			l.want(day+14, l.real(day+14), "deregistered")
		})
	}
}

// A night of doubt on the due day removes nothing, and leaves the announcement as it is; the next
// night goes on.
func TestADoubtOnTheDueDay(t *testing.T) {
	t.Parallel()
	actions := map[string]int{}
	l := live(t, world{images: []object{image(1, 400, 300, 1)}}, graceful)
	l.real(0)
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return on(next, func(q emulator.Request, _ int) bool {
			// Nobody has asked for the Recycle Bin.
			if isRead(q.Action) && !strings.HasPrefix(q.Action, "List") {
				actions[q.Action]++
			}
			return false
		}, nil)
	}
	l.want(14, l.run(night(14), true), "deregister")
	if len(actions) < 14 {
		t.Errorf("reads %v", actions)
	}
	for _, graceAction := range []string{"announce", "disable"} {
		for _, action := range thinned(slices.Sorted(maps.Keys(actions)), 4) {
			t.Run(action+" "+graceAction, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := live(t, world{images: []object{image(1, 400, 300, 1)}}, settingsOf(graceAction))
					l.real(0)
					tags, state := l.tags(1), l.state(1)
					l.wrap = func(next emulator.Doer) emulator.Doer {
						return on(next, func(q emulator.Request, _ int) bool { return q.Action == action }, readFaults["denied"])
					}
					for day := 14; day < 17; day++ {
						record := l.real(day)
						if verdict := verdicts(record)[imageID(1)]; verdict != "keep" && verdict != "" || len(writes(l.account)) > 0 {
							t.Errorf("day %d: %s, %v", day, verdict, writes(l.account))
						}
					}
					if !maps.Equal(tags, l.tags(1)) || state != l.state(1) {
						t.Errorf("it was %s with %v, is %s with %v", state, tags, l.state(1), l.tags(1))
					}
					l.wrap = nil
					l.want(17, l.real(17), "deregistered")
				})
			})
		}
	}
}

// The announced day is a promise. Neither no grace at all, nor a shorter or longer one, moves it.
func TestGraceThatChangesInTheMiddle(t *testing.T) {
	for _, grace := range []string{"0d", "1d", "13d", "60d"} {
		t.Run(grace, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1), image(2, 185, 0, 2), image(3, 168, 0, 3)}}, maps.Clone(graceful))
			l.setTag(2, "ami-janitor:keep", "true")
			l.want(0, l.real(0), "marked")
			l.settings["GRACE"] = grace
			l.setTag(2, "ami-janitor:keep", "")
			record := l.real(5)
			l.want(5, record, "keep", "announced")
			want := "marked"
			if grace == "0d" {
				want = "deregistered"
			}
			if got := verdicts(record)[imageID(2)]; got != want {
				t.Errorf("image 2: %s, want %s: %s", got, want, reasons(record, imageID(2)))
			}
			l.want(13, l.real(13), "keep", "announced")
			l.want(14, l.real(14), "deregistered")
		})
	}
}

// Grace is never shorter than it says (docs/design/0024): what is announced late in the evening is
// due so many days later at that hour, and not before.
func TestGraceIsNeverCutShort(t *testing.T) {
	late := now.Add(21*time.Hour + 30*time.Minute)
	for _, days := range []int{1, 2, 14} {
		s := maps.Clone(graceful)
		s["GRACE"] = fmt.Sprint(days, "d")
		l := live(t, world{images: []object{image(1, 400, 300, 1)}}, s)
		l.run(late, false)
		due := late.AddDate(0, 0, days)
		for at, want := range map[time.Time]string{due.Add(-time.Second): "keep", due: "deregister"} {
			if got := verdicts(l.run(at, true))[imageID(1)]; got != want {
				t.Errorf("announced for %s on %s: on %s %s, want %s", s["GRACE"], late, at, got, want)
			}
		}
	}
}

// What a person restores is not removed again. The Recycle Bin gives an image back with the tags
// that it had.
func TestAnImageThatIsRestoredFromTheRecycleBin(t *testing.T) {
	l := live(t, world{images: []object{image(1, 400, 300, 1)}}, maps.Clone(graceful))
	announced := l.real(0).Run
	var saved object
	l.image(1, func(o object) { saved = maps.Clone(o) })
	saved["Tags"] = []object{
		{"Key": "ami-janitor:due", "Value": "2026-12-07"}, {"Key": "ami-janitor:announced-by", "Value": announced + " cli"}, {"Key": "ami-janitor:intent", "Value": "remove"}, {"Key": "ami-janitor:run", "Value": string(ami.NewRunID(night(14), bytes.NewReader([]byte{1, 2, 3})))},
	}
	l.want(14, l.real(14), "deregistered")
	l.edit("describe-images.json", func(content object) { content["Images"] = []object{saved} })
	record := l.real(15)
	if got := reasons(record, imageID(1)); verdicts(record)[imageID(1)] != "keep" || !strings.HasPrefix(got, "restored: ") {
		t.Errorf("%s: %s", verdicts(record)[imageID(1)], got)
	}
	if tags := l.tags(1); !maps.Equal(tags, map[string]string{"ami-janitor:restored": night(15).Format(time.DateOnly)}) {
		t.Errorf("it carries %v", tags)
	}
	l.want(16, l.real(16), "keep")
	l.want(15+181, l.real(15+181), "marked")
}

// What the policy no longer removes loses its mark, and nothing else: announced again, it has the
// full time.
func TestAPolicyThatChangesInTheMiddle(t *testing.T) {
	for name, change := range map[string]settings{
		"another scope": {"NAMES": "!*"}, "another limit": {"STALE_AFTER": "500d", "NEVER_LAUNCHED_AFTER": "500d"}, "other tags": {"ONLY_TAGS": "Env=prod"},
	} {
		for _, act := range []string{"announce", "deprecate", "disable"} {
			t.Run(name+" "+act, func(t *testing.T) {
				l := live(t, world{images: []object{image(1, 400, 300, 1)}}, settingsOf(act))
				l.want(0, l.real(0), "marked")
				maps.Copy(l.settings, change)
				l.want(5, l.real(5), "keep")
				if len(l.tags(1)) > 0 || l.state(1) != "available" {
					t.Errorf("%s, tags %v", l.state(1), l.tags(1))
				}
				l.settings = settingsOf(act)
				l.want(14, l.real(14), "marked")
				if due := l.tags(1)["ami-janitor:due"]; due != night(28).Format(time.DateOnly) {
					t.Errorf("announced for %s", due)
				}
				l.want(28, l.real(28), "deregistered")
			})
		}
	}
}

// The cap holds for announcements and for removals, each for itself, every night.
func TestTheCapsOfALife(t *testing.T) {
	var w world
	for n := range 5 {
		w.images = append(w.images, image(n, 900-n, 0, n))
	}
	s := maps.Clone(graceful)
	s["MAX_DEREGISTRATIONS"], s["GRACE"] = "2", "2d"
	l := live(t, w, s)
	for day, want := range []string{
		"marked 2 deferred 3", "marked 2 deferred 1", "deregistered 2 marked 1", "deregistered 2", "deregistered 1", "",
	} {
		c := l.real(day).Totals
		var got []string
		for _, count := range []struct {
			what string
			n    int
		}{{"deregistered", c.Deregistered}, {"marked", c.Marked}, {"deferred", c.Deferred}} {
			if count.n > 0 {
				got = append(got, fmt.Sprint(count.what, " ", count.n))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("day %d: %v, want %s", day, got, want)
		}
	}
	// Due images that have to wait go later, and are no less due for it.
	l = live(t, w, s)
	l.settings["MAX_DEREGISTRATIONS"] = "5"
	l.real(0)
	l.settings["MAX_DEREGISTRATIONS"] = "2"
	for i, left := range []int{3, 1, 0} {
		record := l.real(2 + i)
		if record.Totals.Deferred != left || record.Totals.Marked > 0 || record.Totals.Deregistered == 0 {
			t.Errorf("day %d: %+v", 2+i, record.Totals)
		}
	}
}

// What comes into use in the night of its removal, or is changed by hand, is skipped, keeps its
// mark for that night, and is judged again in the next.
func TestTheDueDayIsLookedAtAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *life)
		code   string
		next   string
	}{
		"a keep tag":   {func(l *life) { l.setTag(1, "ami-janitor:keep", "true") }, "changed-since-planned", "keep-tag"},
		"a later day":  {func(l *life) { l.setTag(1, "ami-janitor:due", "2027-01-01") }, "changed-since-planned", "announced"},
		"no day":       {func(l *life) { l.setTag(1, "ami-janitor:due", "") }, "changed-since-planned", "vetoed"},
		"an instance":  {func(l *life) { l.launch(1, night(14)) }, "used-since-planned", "vetoed"},
		"a template":   {func(l *life) { l.addTemplate(1) }, "used-since-planned", "in-use"},
		"a protection": {func(l *life) { l.image(1, func(o object) { o["DeregistrationProtection"] = "enabled-with-cooldown" }) }, "changed-since-planned", "protected"},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1)}}, maps.Clone(graceful))
			l.real(0)
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return atTheSecondLook(next, func() { l.meanwhile(func() { c.change(l) }) })
			}
			record := l.real(14)
			l.want(14, record, "skipped", c.code)
			if calls(l.account, "DeregisterImage")+calls(l.account, "DeleteSnapshot") > 0 {
				t.Errorf("%v, and not only a declaration that was taken back", writes(l.account))
			}
			l.wrap = nil
			record = l.real(15)
			if got := reasons(record, imageID(1)); verdicts(record)[imageID(1)] != "keep" || !strings.Contains(got, c.next+": ") {
				t.Errorf("the next night: %s", got)
			}
		})
	}
}

func (l *life) addTemplate(n int) {
	l.t.Helper()
	l.edit("describe-launch-template-versions.json", func(content object) { content["LaunchTemplateVersions"] = []object{templateVersion(n, imageID(n))} })
	l.edit("describe-launch-templates.json", func(content object) {
		content["LaunchTemplates"] = []object{{"LaunchTemplateId": templateVersion(n, "")["LaunchTemplateId"], "LatestVersionNumber": 1, "DefaultVersionNumber": 1}}
	})
}

// atTheSecondLook lets something happen once the declaration of the first images that are about to
// go has been read back, just before they are looked at again.
func atTheSecondLook(next emulator.Doer, happen func()) emulator.Doer {
	isDeclared, hasHappened := false, false
	return on(next, func(q emulator.Request, _ int) bool {
		isDeclared = isDeclared || q.Action == "CreateTags" && q.Form.Get("Tag.1.Key") == "ami-janitor:intent"
		happens := isDeclared && !hasHappened && q.Action == "DescribeTags"
		hasHappened = hasHappened || happens
		return happens
	}, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		happen()
		return response, err
	})
}

// A run that breaks off anywhere in its writes is mended by those that follow, and nothing goes
// before its time.
func TestALifeWithLostAnswers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(rt *rapid.T) {
			at := now
			account, err := emulator.Load(world{images: []object{image(1, 400, 300, 1), image(2, 400, 0, 2)}}.files(rt), emulator.Options{Now: func() time.Time { return at }})
			if err != nil {
				rt.Fatal(err)
			}
			s := settingsOf(rapid.SampledFrom([]string{"announce", "deprecate", "disable"}).Draw(rt, "action"))
			if s["RECORDS"], err = os.MkdirTemp(t.TempDir(), ""); err != nil {
				rt.Fatal(err)
			}
			one := func(day int, doer emulator.Doer) record.Run {
				at = night(day)
				j := newJanitor(rt, doer, s)
				j.Clock = func() time.Time { return at }
				record := j.Run(t.Context(), ami.NewRunID(at, bytes.NewReader([]byte{1, 2, 3})), false)
				checkRecord(rt, record, 100)
				return record
			}
			announced := map[int]int{}
			for _, day := range []int{0, 1, 2, 3, 13, 14, 15, 16, 17} {
				kind := rapid.SampledFrom([]string{"", "", "", "denied", "throttled", "lost"}).Draw(rt, "fault")
				var doer emulator.Doer = account.Client()
				if kind != "" {
					doer = brokenWrites(doer, kind, rapid.IntRange(1, 6).Draw(rt, "from"))
				}
				record := one(day, doer)
				for n := 1; n <= 2; n++ {
					switch first, ok := announced[n]; verdicts(record)[imageID(n)] {
					case "marked":
						announced[n] = day
					case "deregistered":
						if ok && day < first+14 {
							rt.Errorf("image %d was announced on day %d, and goes on day %d", n, first, day)
						}
					}
				}
			}
			for _, day := range []int{18, 19, 31, 32, 33} {
				one(day, account.Client())
			}
			left := one(34, account.Client())
			// Either it is gone, or a failed act was read as an objection, and it waits.
			for id, verdict := range verdicts(left) {
				if verdict != "keep" || !slices.Contains(codes(left, id), "recently-used") {
					rt.Errorf("%s: %s for %s", id, verdict, reasons(left, id))
				}
			}
		})
	})
}

// brokenWrites lets all writes of a run fail from some number on, or take effect and lose their
// answers.
func brokenWrites(next emulator.Doer, kind string, from int) emulator.Doer {
	var n atomic.Int64
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || isRead(q.Action) {
			return next.Do(r)
		}
		if n.Add(1) < int64(from) {
			return next.Do(r)
		}
		if kind == "lost" {
			response, err := next.Do(r)
			if err != nil {
				return nil, err
			}
			_ = response.Body.Close()
			return readFaults["unreachable"](next, r)
		}
		return readFaults[kind](next, r)
	})
}
