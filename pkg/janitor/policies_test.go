package janitor_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// twoPolicies lets two policies run in turn over one account, an hour apart, each with records of
// its own, and returns the nights in which images were removed, by policy and id, and how often
// each policy has announced an image.
func twoPolicies(t *testing.T, w world, a, b settings, nights, everyNth int) (gone map[string]map[string]int, announced map[string]int, l *life) {
	t.Helper()
	l = live(t, w, nil)
	records := map[string]string{"a": t.TempDir(), "b": t.TempDir()}
	gone, announced = map[string]map[string]int{"a": {}, "b": {}}, map[string]int{}
	for day := range nights {
		for _, name := range []string{"a", "b"} {
			if name == "b" && day%everyNth != 0 {
				continue
			}
			l.settings = maps.Clone(map[string]settings{"a": a, "b": b}[name])
			l.settings["POLICY_NAME"], l.settings["RECORDS"] = name, records[name]
			at := night(day)
			if name == "b" {
				at = at.Add(time.Hour)
			}
			for id, verdict := range verdicts(l.run(at, false)) {
				switch verdict {
				case "deregistered":
					gone[name][id] = day
				case "marked":
					announced[name+" "+id]++
				}
			}
		}
	}
	return gone, announced, l
}

// Two policies in one account leave one another's announcements alone: each removes what it would
// remove alone, on its day.
func TestTwoPoliciesInOneAccount(t *testing.T) {
	w := func() world {
		return world{images: []object{
			tagged(with(image(1, 400, 300, 1), "Name", "web-legacy"), "Env", "prod"), tagged(with(image(2, 400, 300, 2), "Name", "db-legacy"), "Env", "prod"),
		}}
	}
	one, two := imageID(1), imageID(2)
	for name, test := range map[string]struct {
		a, b     settings
		everyNth int // Nights between runs of b.
		want     map[string]map[string]int
	}{
		"names": {
			settings{"GRACE": "7d", "NAMES": "web-*"},
			settings{"GRACE": "7d", "NAMES": "db-*"},
			1,
			map[string]map[string]int{"a": {one: 7}, "b": {two: 7}},
		},
		"names, and one disables": {
			settings{"GRACE": "7d", "GRACE_ACTION": "disable", "NAMES": "web-*"},
			settings{"GRACE": "9d", "GRACE_ACTION": "deprecate", "NAMES": "db-*"},
			1,
			map[string]map[string]int{"a": {one: 7}, "b": {two: 9}},
		},
		"limits":            {settings{"GRACE": "7d", "STALE_AFTER": "90d"}, settings{"GRACE": "7d", "STALE_AFTER": "3650d"}, 1, map[string]map[string]int{"a": {one: 7, two: 7}, "b": {}}},
		"tags":              {settings{"GRACE": "7d"}, settings{"GRACE": "7d", "ONLY_TAGS": "Team=db"}, 1, map[string]map[string]int{"a": {one: 7, two: 7}, "b": {}}},
		"families":          {settings{"GRACE": "7d", "KEEP_NEWEST": "0"}, settings{"GRACE": "7d", "KEEP_NEWEST": "50", "FAMILY_TAG": "Env"}, 1, map[string]map[string]int{"a": {one: 7, two: 7}, "b": {}}},
		"a keep list":       {settings{"GRACE": "7d"}, settings{"GRACE": "7d", "KEEP_LIST": listFile(t, "*\n")}, 1, map[string]map[string]int{"a": {one: 7, two: 7}, "b": {}}},
		"a further keeptag": {settings{"GRACE": "7d"}, settings{"GRACE": "7d", "KEEP_TAGS": "Env=prod"}, 1, map[string]map[string]int{"a": {one: 7, two: 7}, "b": {}}},
		"a weekly one":      {settings{"GRACE": "14d", "STALE_AFTER": "90d"}, settings{"GRACE": "14d", "STALE_AFTER": "365d"}, 7, map[string]map[string]int{"a": {one: 14, two: 14}, "b": {}}},
		"caps":              {settings{"GRACE": "7d", "MAX_DEREGISTRATIONS": "1"}, settings{"GRACE": "7d", "MAX_DEREGISTRATIONS": "0"}, 1, map[string]map[string]int{"a": {one: 7, two: 8}, "b": {}}},
	} {
		t.Run(name, func(t *testing.T) {
			gone, announced, _ := twoPolicies(t, w(), test.a, test.b, 20, test.everyNth)
			for policy, want := range test.want {
				if !maps.Equal(gone[policy], want) {
					t.Errorf("%s removed %v, want %v", policy, gone[policy], want)
				}
			}
			for what, n := range announced {
				if n != 1 {
					t.Errorf("%s is announced %d times", what, n)
				}
			}
		})
	}
}

// What one policy has disabled stays disabled until its day, whatever another one thinks of it:
// launches do not fail by turns.
func TestWhatAnotherPolicyHasDisabledStaysSo(t *testing.T) {
	l := live(t, world{images: []object{with(image(1, 400, 300, 1), "Name", "web-legacy")}}, nil)
	a, b := settings{"GRACE": "7d", "GRACE_ACTION": "disable", "POLICY_NAME": "web", "RECORDS": t.TempDir()}, settings{"GRACE": "7d", "NAMES": "db-*", "POLICY_NAME": "db", "RECORDS": t.TempDir()}
	for day := range 7 {
		l.settings = a
		l.run(night(day), false)
		l.settings = b
		record := l.run(night(day).Add(time.Hour), false)
		if state := l.state(1); state != "disabled" || record.Changes() || !slices.Contains(codes(record, imageID(1)), "out-of-scope") {
			t.Fatalf("night %d: %s, %v", day, state, codes(record, imageID(1)))
		}
	}
}

// Facts of an image count for every policy: the one that sees them objects, and the one that has
// announced the image takes that back.
func TestFactsCountForEveryPolicy(t *testing.T) {
	for name, fact := range map[string]func(*life){
		"tagged to be kept": func(l *life) { l.setTag(1, "ami-janitor:keep", "true") },
		"protected": func(l *life) {
			l.image(1, func(o object) { o["DeregistrationProtection"] = "enabled-without-cooldown" })
		},
		"in use": func(l *life) {
			l.edit("describe-instances.json", func(content object) { content["Reservations"] = []object{instance(1, imageID(1), "running")} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1)}}, nil)
			a, b := settings{"GRACE": "7d", "GRACE_ACTION": "disable", "POLICY_NAME": "web", "RECORDS": t.TempDir()}, settings{"GRACE": "7d", "POLICY_NAME": "db", "RECORDS": t.TempDir()}
			l.settings = a
			announced := l.run(night(0), false).Run
			fact(l)
			// Somebody else sees it as disabled, and looks up nothing.
			if l.state(1) == "disabled" && name == "in use" {
				l.image(1, func(o object) { o["State"] = "available" })
			}
			l.settings = b
			record := l.run(night(0).Add(time.Hour), false)
			want := map[string]string{"ami-janitor:announced-by": announced + " web", "ami-janitor:disabled": announced, "ami-janitor:restored": night(0).Format(time.DateOnly)}
			if name == "tagged to be kept" {
				want["ami-janitor:keep"] = "true"
			}
			if tags := l.tags(1); !maps.Equal(tags, want) || calls(l.account, "EnableImage") > 0 {
				t.Errorf("the other policy leaves %v, want %v", tags, want)
			}
			if text := digest.Full(record) + onOneLine(record); !strings.Contains(text, "OBJECTED TO FOR OTHER POLICIES (1)") || !strings.Contains(text, "1 objection for other policies: ") {
				t.Errorf("it says\n%s", text)
			}
			l.settings = a
			record = l.run(night(1), false)
			if got := verdicts(record)[imageID(1)]; got != "keep" || l.state(1) != "available" {
				t.Errorf("%s, %s: %s", got, l.state(1), reasons(record, imageID(1)))
			}
			for key := range l.tags(1) {
				if key == "ami-janitor:announced-by" || key == "ami-janitor:disabled" || key == "ami-janitor:due" {
					t.Errorf("the tag %s is left", key)
				}
			}
		})
	}
}

// An announcement whose policy does not come back for it is nobody's 30 days after its day: its
// tags come off, and it is judged again.
func TestAnAnnouncementOfNobody(t *testing.T) {
	w := world{images: []object{with(image(1, 400, 300, 1), "Tags", announcement("20261001T020000Z-3f9c1a", "gone-stack", "2026-10-31", false))}}
	l := live(t, w, settings{"GRACE": "7d", "POLICY_NAME": "web"})
	l.want(6, l.real(6), "keep", "announced-elsewhere")
	if len(l.tags(1)) != 2 {
		t.Errorf("on the 29th day: %v", l.tags(1))
	}
	l.want(7, l.real(7), "keep", "announced-elsewhere")
	if len(l.tags(1)) != 0 {
		t.Errorf("on the 30th day: %v", l.tags(1))
	}
	l.want(8, l.real(8), "marked")
}

// A person is asked about what a sweep takes back, too, and a no leaves it alone.
func TestWhatIsTakenBackIsAskedAbout(t *testing.T) {
	const earlier = "20261109T020000Z-3f9c1a"
	for _, yes := range []bool{false, true} {
		records := t.TempDir()
		announcing(t, records, earlier, "cli", "2026-12-01", "announce", 1, 2)
		account := world{images: []object{
			with(image(1, 400, 300, 1), "Tags", announcement(earlier, "cli", "2026-12-01", false)), with(image(2, 400, 300, 2), "Tags", announcement(earlier, "cli", "2026-12-01", false)),
		}}.load(t)
		j := newJanitor(t, account.Client(), settings{"NAMES": "app-*", "RECORDS": records})
		asked := 0
		j.Confirm = func(record.Run) bool { asked++; return yes }
		record := j.Run(t.Context(), "20261123T020000Z-aaaaaa", false)
		if asked != 1 || record.DryRun == yes || (calls(account, "DeleteTags") > 0) != yes {
			t.Errorf("asked %d times, answered %v: %v", asked, yes, writes(account))
		}
	}
}

// Tags are claims. What no record confirms has no image enabled, un-deprecated or removed, and is
// told of.
func TestForgedAnnouncements(t *testing.T) {
	const run = "20261105T020000Z-abcdef"
	disabled := func(tags ...object) object {
		return with(with(image(1, 400, 300, 1), "State", "disabled"), "Tags", tags)
	}
	tag := func(key, value string) object { return object{"Key": "ami-janitor:" + key, "Value": value} }
	for name, o := range map[string]object{
		"announced":                      with(image(1, 400, 300, 1), "Tags", announcement(run, "cli", "2026-11-20", false)),
		"quarantined":                    disabled(tag("disabled", "x")),
		"quarantined, with a run":        disabled(tag("disabled", run)),
		"quarantined, with a day":        disabled(tag("disabled", run), tag("due", "2026-11-20")),
		"quarantined, as announced":      disabled(announcement(run, "cli", "2026-11-20", true)...),
		"quarantined, to be kept":        disabled(tag("disabled", run), tag("keep", "true")),
		"deprecated, to be kept":         with(with(image(1, 400, 300, 1), "DeprecationTime", "2026-11-01T00:00:00.000Z"), "Tags", []object{tag("due", "2026-11-01"), tag("keep", "true")}),
		"shorter, announced":             with(image(1, 40, 20, 1), "Tags", append(announcement(run, "cli", "2026-11-20", false), tag("stale-after", "7d"))),
		"announced, with a real run's":   with(image(1, 400, 300, 1), "Tags", announcement("20261109T020000Z-3f9c1a", "cli", "2026-11-20", false)),
		"disabled, of one not disabled":  disabled(announcement("20261110T020000Z-3f9c1a", "cli", "2026-11-20", true)...),
		"due, moved to an earlier day":   with(image(1, 400, 300, 1), "Tags", announcement("20261111T020000Z-3f9c1a", "cli", "2026-11-12", false)),
		"announced by the other's words": with(image(1, 400, 300, 1), "Tags", announcement("20261112T020000Z-3f9c1a", "cli", "2026-11-20", false)),
	} {
		for _, grace := range []string{"0d", "14d"} {
			for _, journal := range []bool{true, false} {
				if grace == "0d" && !journal && strings.HasPrefix(name, "due") {
					continue // Nothing tells it from an image that nobody has announced.
				}
				records := t.TempDir()
				announcing(t, records, "20261109T020000Z-3f9c1a", "cli", "2026-11-20", "announce", 2)
				announcing(t, records, "20261110T020000Z-3f9c1a", "cli", "2026-11-20", "announce", 1)
				announcing(t, records, "20261111T020000Z-3f9c1a", "cli", "2026-12-20", "announce", 1)
				announcing(t, records, "20261112T020000Z-3f9c1a", "other", "2026-11-20", "announce", 1)
				s := settings{"GRACE": grace, "TOPIC_ARN": mailTopic}
				if journal {
					s["RECORDS"] = records
				}
				account := world{images: []object{maps.Clone(o)}}.load(t)
				record := newJanitor(t, account.Client(), s).Run(t.Context(), "20261123T020000Z-aaaaaa", false)
				for _, action := range []string{"EnableImage", "DisableImageDeprecation", "DeregisterImage", "DeleteSnapshot"} {
					if calls(account, action) > 0 {
						t.Errorf("%s, grace %s, journal %v: %s: %s", name, grace, journal, action, reasons(record, imageID(1)))
					}
				}
				if got := verdicts(record)[imageID(1)]; got != "keep" {
					t.Errorf("%s, grace %s, journal %v: %s: %s", name, grace, journal, got, reasons(record, imageID(1)))
				}
			}
		}
	}
}

// An announcement that no record confirms is told of, with what to do.
func TestAForgedAnnouncementIsTold(t *testing.T) {
	w := world{images: []object{with(with(image(1, 400, 300, 1), "State", "disabled"), "Tags", []object{{"Key": "ami-janitor:disabled", "Value": "x"}})}}
	for what, s := range map[string]settings{"RECORDS": {}, "delete-tags": {"RECORDS": t.TempDir()}} {
		record := newJanitor(t, w.load(t).Client(), s).Run(t.Context(), "20261123T020000Z-aaaaaa", false)
		text := onOneLine(record)
		if !strings.HasPrefix(text, "1 stale AMI stayed: each carries tags of an announcement that no record confirms.") || !strings.Contains(text, what) || strings.Contains(text, "objection heard") {
			t.Errorf("%s: it says\n%s", what, text)
		}
	}
}

// Forged records, and two tags, delete no snapshot: what a run has left undone it had planned, and
// the snapshot says the same.
func TestAForgedLeftover(t *testing.T) {
	const forged, missingImage = "20261121T020000Z-010203", "ami-0fffffffffffffff1"
	for name, test := range map[string]struct {
		description string
		planned     []string
		goes        bool
	}{
		"never an image's":      {"payroll database, 2025 (legal hold)", []string{snapshotID(9)}, false},
		"another image's":       {"Created by CreateImage(i-0123456789abcdef0) for " + imageID(1), []string{snapshotID(9)}, false},
		"not in the plan":       {"Created by CreateImage(i-0123456789abcdef0) for " + missingImage, []string{}, false},
		"planned, and it's own": {"Created by CreateImage(i-0123456789abcdef0) for " + missingImage, []string{snapshotID(9)}, true},
	} {
		records := t.TempDir()
		for path, document := range map[string]object{
			"account.json": {"account": accountID},
			"runs/" + forged + "/plan-us-east-1.json":                     {"run": forged, "region": "us-east-1", "account": accountID, "at": "2026-11-21T02:00:00Z", "declared": []object{{"imageId": missingImage, "snapshotIds": test.planned}}},
			"unfinished/us-east-1/" + forged:                              {"run": forged, "region": "us-east-1"},
			"removals/us-east-1/" + missingImage + "/" + forged + ".json": {"run": forged, "region": "us-east-1", "imageId": missingImage, "declaredSnapshotIds": []string{snapshotID(9)}, "status": "attempted", "snapshots": []object{}},
		} {
			data, err := json.Marshal(document)
			path = filepath.Join(records, filepath.FromSlash(path))
			if err == nil {
				err = os.MkdirAll(filepath.Dir(path), 0o750)
			}
			if err == nil {
				err = os.WriteFile(path, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		account := world{images: []object{image(1, 10, 3, 1)}, snapshots: []object{{
			"SnapshotId": snapshotID(9), "OwnerId": accountID, "State": "completed", "VolumeSize": 500, "Description": test.description, "StartTime": daysAgo(400),
			"Tags": []object{{"Key": "ami-janitor:intent", "Value": "remove"}, {"Key": "ami-janitor:run", "Value": forged}},
		}}}.load(t)
		newJanitor(t, account.Client(), settings{"RECORDS": records}).Run(t.Context(), "20261123T020000Z-aaaaaa", false)
		if there := holdings(t, account)[snapshotID(9)]; there == test.goes {
			t.Errorf("%s: there %v", name, there)
		}
	}
}

// Whoever may tag an image makes its time longer, and shorter only where the policy allows that.
func TestAShorterTimeByTag(t *testing.T) {
	for allow, want := range map[string]string{"false": "keep", "true": "deregistered"} {
		w := world{images: []object{tagged(image(1, 40, 20, 1), "ami-janitor:stale-after", "7d")}}
		if got := verdicts(run(t, w.load(t).Client(), settings{"ALLOW_SHORTER": allow}, false))[imageID(1)]; got != want {
			t.Errorf("ALLOW_SHORTER=%s: %s, want %s", allow, got, want)
		}
	}
}

// GRACE without RECORDS announces, and says that nothing comes of it.
func TestGraceWithoutRecords(t *testing.T) {
	record := run(t, world{images: []object{image(1, 400, 300, 1)}}.load(t).Client(), settings{"GRACE": "14d"}, false)
	if text := onOneLine(record); !strings.Contains(text, "no later run will remove them") || !strings.Contains(text, "RECORDS") {
		t.Errorf("it says\n%s", text)
	}
}

// An announcement that was taken back no longer counts, whoever writes its tags again: the image is
// kept, and the digest tells of it.
func TestAnAnnouncementThatIsWrittenBack(t *testing.T) {
	for name, withdraw := range map[string]func(*life){
		"out of scope": func(l *life) { l.settings["NAMES"] = "!*" },
		"objected to":  func(l *life) { l.setTag(1, "ami-janitor:keep", "true") },
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 400, 300, 1)}}, settings{"GRACE": "7d", "GRACE_ACTION": "disable"})
			l.real(0)
			announced := l.tags(1)
			withdraw(l)
			if l.real(1); l.state(1) != "available" {
				t.Fatalf("it is %s, with %v", l.state(1), l.tags(1))
			}
			delete(l.settings, "NAMES")
			for _, key := range []string{"ami-janitor:keep", "ami-janitor:restored"} {
				l.setTag(1, key, "")
			}
			for key, value := range announced {
				l.setTag(1, key, value)
			}
			// By somebody else, and on purpose.
			l.image(1, func(o object) { o["State"] = "disabled" })
			l.want(8, l.real(8), "keep", "unrecorded")
			if l.state(1) != "disabled" || !maps.Equal(l.tags(1), announced) {
				t.Errorf("it is %s, with %v", l.state(1), l.tags(1))
			}
		})
	}
}
