package janitor_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// orphanOf is a snapshot of an image that is gone, as its description and its volume say.
func orphanOf(snapshot, image int) object {
	return object{
		"SnapshotId": snapshotID(snapshot), "OwnerId": accountID, "State": "completed", "VolumeSize": 8, "StartTime": daysAgo(400),
		"VolumeId":    fmt.Sprintf("vol-%017x", snapshot),
		"Description": fmt.Sprintf("Created by CreateImage(i-0123456789abcdef0) for %s from vol-%017x", imageID(image), snapshot),
	}
}

// binRules take in what is declared to be removed.
func binRules(w world) world {
	for n, kind := range []string{"EC2_IMAGE", "EBS_SNAPSHOT"} {
		w = w.and("list-rules.json", "Rules", object{
			"Identifier": fmt.Sprint("rule", n), "ResourceType": kind, "RetentionPeriod": object{"RetentionPeriodValue": 14, "RetentionPeriodUnit": "DAYS"},
			"ResourceTags": []object{{"ResourceTagKey": "ami-janitor:intent", "ResourceTagValue": "remove"}}, "Status": "available",
		})
	}
	return w
}

var removing = settings{
	"ORPHANED_SNAPSHOTS": "remove", "CLOUDFORMATION_TEMPLATES": "true", "ORPHANED_AFTER": "30d", "REQUIRE_RECYCLE_BIN": "true", "RECYCLE_BIN_DAYS": "14", "POLICY_NAME": "web", "STALE_AFTER": "3650d",
}

// orphansOf are what a record says of the orphans, by id.
func orphansOf(run record.Run) map[string]record.Orphan {
	byID := map[string]record.Orphan{}
	for _, region := range run.Regions {
		for _, o := range region.Orphans {
			byID[o.SnapshotID] = o
		}
	}
	return byID
}

func unmarks(run record.Run) map[string]record.OrphanUnmark {
	byID := map[string]record.OrphanUnmark{}
	for _, region := range run.Regions {
		for _, u := range region.OrphanUnmarks {
			byID[u.SnapshotID] = u
		}
	}
	return byID
}

// snapshotTags are the tags of a snapshot of the saved account; nil if it is gone.
func (l *life) snapshotTags(n int) map[string]string {
	l.t.Helper()
	var found map[string]string
	l.edit("describe-snapshots.json", func(content object) {
		for _, item := range content["Snapshots"].([]any) {
			if o := item.(object); o["SnapshotId"] == snapshotID(n) {
				found = map[string]string{}
				list, _ := o["Tags"].([]any)
				for _, tag := range list {
					found[fmt.Sprint(tag.(object)["Key"])] = fmt.Sprint(tag.(object)["Value"])
				}
			}
		}
	})
	return found
}

// An orphan is seen for the time that the policy says, announced, and deleted after the grace
// period: one that only its description calls an orphan never is. An undo brings it back, and it
// starts over.
func TestAnOrphanIsDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		copied := orphanOf(8, 80)
		copied["VolumeId"] = "vol-ffffffff"
		w := binRules(world{images: []object{image(1, 20, 10, 1)}, snapshots: []object{orphanOf(9, 90), copied}})
		l := live(t, w, removing.and(settings{"RECORDS": t.TempDir()}))
		l.clock = time.Now
		to := func(day int) record.Run {
			time.Sleep(time.Until(night(day)))
			run := l.real(day)
			if run.Failed() {
				t.Fatalf("day %d: %v; %+v", day, run.Totals, orphansOf(run))
			}
			return run
		}
		var last record.Run
		for _, day := range []int{0, 10, 20, 29, 30, 43} {
			last = to(day)
			o := orphansOf(last)
			if day < 30 && (o[snapshotID(9)].Verdict != "keep" || o[snapshotID(9)].SeenSince != now.Format(time.RFC3339)) {
				t.Errorf("day %d: %+v", day, o[snapshotID(9)])
			}
			if day == 30 && (o[snapshotID(9)].Status != "announced" || o[snapshotID(9)].DueOn != "2027-01-06") {
				t.Errorf("day %d: %+v", day, o[snapshotID(9)])
			}
			if !strings.Contains(o[snapshotID(8)].Detail, "only its description says") {
				t.Errorf("day %d: %+v", day, o[snapshotID(8)])
			}
		}
		if tags := l.snapshotTags(9); tags["ami-janitor:due"] != "2027-01-06" || !strings.HasSuffix(tags["ami-janitor:announced-by"], " web") || len(tags) != 2 {
			t.Errorf("announced by %v", tags)
		}
		if o := orphansOf(last)[snapshotID(9)]; o.Status != "" || o.Verdict != "keep" || o.DueOn != "2027-01-06" || last.Totals.Orphans.Due != 1 {
			t.Errorf("announced: %+v", o)
		}
		last = to(45)
		o := orphansOf(last)[snapshotID(9)]
		if o.Status != "deleted" || o.RestorableUntil.IsZero() || l.snapshotTags(9) != nil {
			t.Fatalf("day 45: %+v; %v", o, l.snapshotTags(9))
		}
		if n := last.Totals.Orphans; n.Deleted != 1 || n.GiBDeleted != 8 || n.MonthlySavingsUpTo != 0.4 || last.Totals.OrphanedSnapshots != 1 || last.Totals.SnapshotsDeleted != 0 {
			t.Errorf("totals %+v, %+v", n, last.Totals)
		}
		if text := digest.Text(last); !strings.Contains(text, "Orphaned snapshots, besides: 1 deleted (8 GiB, up to $0.40 a month).") {
			t.Errorf("the digest:\n%s", text)
		}
		to(46)
		undone, err := l.janitor().Undo().Run(t.Context(), last.Run)
		if err != nil || !undone.Complete() {
			t.Fatalf("undo: %+v, %v", undone, err)
		}
		l.save()
		tags := l.snapshotTags(9)
		if tags == nil || tags["ami-janitor:restored"] == "" || len(tags) != 1 {
			t.Fatalf("after the undo: %v", tags)
		}
		for day := 47; day < 76; day += 7 {
			if o := orphansOf(to(day))[snapshotID(9)]; o.Verdict != "keep" || o.DueOn != "" {
				t.Errorf("day %d: %+v", day, o)
			}
		}
	})
}

// announced is an account in which orphan 9 is announced, on day 30.
func announced(t *testing.T, w world, more settings) *life {
	t.Helper()
	w.images, w.snapshots = append(w.images, image(1, 20, 10, 1)), append(w.snapshots, orphanOf(9, 90))
	l := live(t, binRules(w), removing.and(settings{"RECORDS": t.TempDir()}).and(more))
	l.clock = time.Now
	for _, day := range []int{0, 10, 20, 30} {
		time.Sleep(time.Until(night(day)))
		l.real(day)
	}
	if l.snapshotTags(9)["ami-janitor:due"] == "" {
		t.Fatalf("not announced: %v", l.snapshotTags(9))
	}
	return l
}

// Whatever needs an announced orphan keeps it, and what can be asked again right before counts
// if it comes between the plan and the deletion.
func TestWhatKeepsAnAnnouncedOrphan(t *testing.T) {
	parameter := func(name, value string) func(*life) {
		return func(l *life) {
			l.edit("get-parameters.json", func(content object) {
				content["Parameters"] = append(content["Parameters"].([]any), object{"Name": name, "Type": "String", "Value": value, "Version": 1})
			})
		}
	}
	deny := func(action string) func(*life) {
		return func(l *life) {
			l.wrap = func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, action) }
		}
	}
	for name, c := range map[string]struct {
		change func(*life)
		says   string
		back   bool // The announcement is taken back,
		veto   bool // and that is noted.
	}{
		"nothing":           {change: func(*life) {}},
		"a keep tag":        {func(l *life) { l.setSnapshotTag(9, "ami-janitor:keep", "yes") }, "", true, true},
		"its day taken off": {func(l *life) { l.setSnapshotTag(9, "ami-janitor:due", "") }, "somebody has taken off", true, true},
		"both taken off": {func(l *life) {
			l.setSnapshotTag(9, "ami-janitor:due", "")
			l.setSnapshotTag(9, "ami-janitor:announced-by", "")
		}, "", false, false},
		"its day put off":  {func(l *life) { l.setSnapshotTag(9, "ami-janitor:due", "2027-06-01") }, "announced for 2027-06-01", false, false},
		"a parameter":      {parameter("golden", "vol from "+snapshotID(9)+"!"), "named by", true, true},
		"SSM is denied":    {deny("GetParameters"), "", false, false},
		"stacks denied":    {deny("DescribeStacks"), "", false, false},
		"sharing denied":   {deny("DescribeSnapshotAttribute"), "", false, false},
		"the bin denied":   {deny("ListImagesInRecycleBin"), "", false, false},
		"rules are denied": {deny("ListRules"), "", false, false},
		"its image is there": {func(l *life) {
			l.edit("describe-images.json", func(content object) { content["Images"] = append(content["Images"].([]any), image(90, 20, 10)) })
		}, "", true, true},
		"an image maps it": {func(l *life) {
			l.edit("describe-images.json", func(content object) {
				content["Images"] = append(content["Images"].([]any), with(image(91, 20, 10, 9), "State", "disabled"))
			})
		}, "", true, true},
		"a keep list": {func(l *life) {
			path := l.dir + "/keep.txt"
			overwrite(t, path, "golden-*, "+snapshotID(9))
			l.settings["KEEP_LIST"] = path
		}, "on the keep list", true, false},
		"the policy only reports": {func(l *life) {
			l.settings["ORPHANED_SNAPSHOTS"] = "report"
		}, "", false, false},
		"other tags": {func(l *life) { l.settings["ONLY_TAGS"] = "team=web" }, "do not match", true, false},
		"by names":   {func(l *life) { l.settings["NAMES"] = "web-*" }, "by names", true, false},
		"no records": {func(l *life) { l.settings["RECORDS"] = "" }, "", false, false},
		"EC2 shows its image by its id": {func(l *life) {
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return answering(next, "DescribeImages", func(q url.Values) bool { return q.Has("ImageId.1") },
					"<imagesSet><item><imageId>"+imageID(90)+"</imageId><imageState>available</imageState></item></imagesSet>")
			}
		}, "EC2 does not say that", false, false},
		"EC2 shows nothing for its id": {func(l *life) {
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return answering(next, "DescribeImages", func(q url.Values) bool { return q.Has("ImageId.1") }, "<imagesSet/>")
			}
		}, "EC2 does not say that", false, false},
		"an image maps it since the plan": {func(l *life) {
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return answering(next, "DescribeImages", func(q url.Values) bool { return q.Get("Filter.1.Name") == "block-device-mapping.snapshot-id" },
					"<imagesSet><item><imageId>"+imageID(91)+"</imageId><imageState>disabled</imageState><blockDeviceMapping><item><ebs><snapshotId>"+
						snapshotID(9)+"</snapshotId></ebs></item></blockDeviceMapping></item></imagesSet>")
			}
		}, imageID(91) + " uses it now", false, false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := world{}.parameter("other", "nothing", nil)
				l := announced(t, w, nil)
				c.change(l)
				time.Sleep(time.Until(night(41)))
				l.real(41)
				l.load()
				time.Sleep(time.Until(night(45)))
				run := l.real(45)
				tags := l.snapshotTags(9)
				if gone := tags == nil; gone != (name == "nothing") {
					t.Fatalf("gone: %v; %+v; %v", gone, orphansOf(run)[snapshotID(9)], run.Regions)
				}
				if tags == nil {
					return
				}
				if o := orphansOf(run)[snapshotID(9)]; !c.back && !strings.Contains(o.Detail, c.says) {
					t.Errorf("%+v, want %q", o, c.says)
				}
				isBack := tags["ami-janitor:due"] == "" && tags["ami-janitor:announced-by"] == ""
				if c.back != isBack || c.veto != (tags["ami-janitor:restored"] != "") {
					t.Errorf("tags %v", tags)
				}
				if tags["ami-janitor:intent"] != "" {
					t.Errorf("still declared: %v", tags)
				}
			})
		})
	}
}

// answering has EC2 answer some calls of an action with a text.
func answering(next emulator.Doer, action string, some func(url.Values) bool, body string) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		if q.Action == action && some(q.Form) {
			return textResponse(r, "<"+action+"Response><requestId>1</requestId>"+body+"</"+action+"Response>"), nil
		}
		return next.Do(r)
	})
}

func textResponse(r *http.Request, text string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: nopCloser{bytes.NewReader([]byte(text))}, Request: r}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// Killed at any call, a run that deletes an orphan, or announces one, leaves what later runs deal
// with: it is gone and in the bin, or there without a declaration, and what is there starts over or
// goes at the next.
func TestAnOrphanAfterAKill(t *testing.T) {
	killed := 0
	for n := 1; ; n++ {
		isOver := false
		bubble(t, func(t *testing.T) {
			l := announced(t, world{}, nil)
			time.Sleep(time.Until(night(41)))
			l.real(41)
			calls := 0
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
					q, err := emulator.Inspect(r)
					if err != nil {
						return nil, err
					}
					if isRead(q.Action) && calls == 0 {
						return next.Do(r)
					}
					if calls++; calls > n {
						return nil, fmt.Errorf("killed")
					}
					return next.Do(r)
				})
			}
			time.Sleep(time.Until(night(45)))
			l.real(45)
			isOver = calls < n
			l.wrap = nil
			for _, day := range []int{46, 47, 48} {
				time.Sleep(time.Until(night(day)))
				if run := l.real(day); run.Failed() {
					t.Errorf("call %d, day %d: %+v", n, day, run.Totals)
				}
			}
			tags := l.snapshotTags(9)
			if tags["ami-janitor:intent"] != "" || tags["ami-janitor:run"] != "" {
				t.Errorf("call %d: declared: %v", n, tags)
			}
			if tags == nil {
				killed++
			}
		})
		if isOver || n > 60 {
			break
		}
	}
	if killed == 0 {
		t.Error("the orphan never went")
	}
}

// The journal of one policy says nothing to another.
func TestOrphansOfTwoPolicies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := announced(t, world{}, nil)
		l.settings["POLICY_NAME"] = "db"
		for _, day := range []int{41, 51, 61, 71, 76} {
			time.Sleep(time.Until(night(day)))
			run := l.real(day)
			if o := orphansOf(run)[snapshotID(9)]; o.Verdict != "keep" || !strings.Contains(o.Detail, "no record of this policy") && day > 71 {
				t.Errorf("day %d: %+v", day, o)
			}
			if len(unmarks(run)) > 0 {
				t.Errorf("day %d: %v", day, unmarks(run))
			}
		}
	})
}

// A journal that cannot be read, or contradicts its key, fails the region.
func TestAnUnreadableJournalOfOrphans(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := announced(t, world{}, nil)
		kept, err := journal.Open(l.settings["RECORDS"], newJanitor(t, l.account.Client(), nil).AWS)
		if err != nil || kept == nil {
			t.Fatal(err)
		}
		overwrite(t, l.settings["RECORDS"]+"/orphans/us-east-1/web.json", `{"region": "us-east-1", "policy": "db", "snapshots": []}`)
		time.Sleep(time.Until(night(41)))
		run := l.real(41)
		if !slices.ContainsFunc(run.Regions, func(g record.Region) bool {
			return strings.Contains(g.Error, "orphans/us-east-1/web.json is not what a run wrote there")
		}) {
			t.Errorf("%+v", run.Regions)
		}
	})
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A person who restores a deleted orphan on the same day, and takes its tags off or leaves them,
// keeps it for as long as one that is seen for the first time.
func TestARestoredOrphanStartsOver(t *testing.T) {
	for _, untags := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			l := announced(t, world{}, nil)
			for _, day := range []int{41, 45} {
				time.Sleep(time.Until(night(day)))
				l.real(day)
			}
			if l.snapshotTags(9) != nil {
				t.Fatal("not deleted")
			}
			api := wire.EC2(newJanitor(t, l.account.Client(), nil).AWS, "us-east-1")
			if _, err := api.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(9))}); err != nil {
				t.Fatal(err)
			}
			l.save()
			for _, key := range []string{"ami-janitor:intent", "ami-janitor:run"} {
				if untags {
					l.setSnapshotTag(9, key, "")
				}
			}
			for day := 46; day < 75; day++ {
				time.Sleep(time.Until(night(day)))
				if o := orphansOf(l.real(day))[snapshotID(9)]; o.Verdict != "keep" || o.DueOn != "" {
					t.Errorf("day %d: %+v", day, o)
				}
			}
		})
	}
}

// Nobody looked for 39 days: the time starts over, also if the first run that looks again is in
// doubt.
func TestADoubtAfterALongGapWithoutRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := announced(t, world{}.parameter("other", "nothing", nil), nil)
		time.Sleep(time.Until(night(70)))
		l.wrap = func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "DescribeStacks") }
		l.real(70)
		l.wrap = nil
		time.Sleep(time.Until(night(71)))
		run := l.real(71)
		if l.snapshotTags(9) == nil {
			t.Errorf("deleted on day 71, last seen on day 30: %+v", orphansOf(run)[snapshotID(9)])
		}
	})
}

// A clock that was an hour ahead, then a night in doubt: the region can still be read.
func TestAClockAheadAndADoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := binRules(world{images: []object{image(1, 20, 10, 1)}, snapshots: []object{orphanOf(9, 90)}}.parameter("other", "nothing", nil))
		l := live(t, w, removing.and(settings{"RECORDS": t.TempDir()}))
		ahead := 26 * time.Hour
		l.clock = func() time.Time { return time.Now().Add(ahead) }
		time.Sleep(time.Until(night(0)))
		l.run(night(0).Add(ahead), false)
		ahead = 0
		time.Sleep(time.Until(night(1)))
		l.wrap = func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "DescribeStacks") }
		l.real(1)
		l.wrap = nil
		for _, day := range []int{3, 4} {
			time.Sleep(time.Until(night(day)))
			if run := l.real(day); run.Failed() {
				t.Errorf("day %d: %v", day, run.Regions[0].Error)
			}
		}
	})
}

// What the second look finds in use is no orphan: its time starts over, as if the plan had seen it.
func TestWhatTheSecondLookKeepsStartsOver(t *testing.T) {
	mapped := "<imagesSet><item><imageId>" + imageID(91) + "</imageId><imageState>available</imageState><blockDeviceMapping><item><ebs><snapshotId>" +
		snapshotID(9) + "</snapshotId></ebs></item></blockDeviceMapping></item></imagesSet>"
	there := "<imagesSet><item><imageId>" + imageID(90) + "</imageId><imageState>available</imageState></item></imagesSet>"
	for name, wrap := range map[string]func(emulator.Doer) emulator.Doer{
		"mapped": func(next emulator.Doer) emulator.Doer {
			return answering(next, "DescribeImages", func(q url.Values) bool { return q.Get("Filter.1.Name") == "block-device-mapping.snapshot-id" }, mapped)
		},
		"its image": func(next emulator.Doer) emulator.Doer {
			return answering(next, "DescribeImages", func(q url.Values) bool { return q.Has("ImageId.1") }, there)
		},
		"shared": nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := announced(t, world{}, nil)
				time.Sleep(time.Until(night(41)))
				l.real(41)
				asked := 0
				if wrap == nil {
					wrap = func(next emulator.Doer) emulator.Doer {
						return answering(next, "DescribeSnapshotAttribute", func(url.Values) bool { asked++; return asked > 2 },
							"<snapshotId>"+snapshotID(9)+"</snapshotId><createVolumePermission><item><userId>111122223333</userId></item></createVolumePermission>")
					}
				}
				l.wrap = wrap
				time.Sleep(time.Until(night(45)))
				l.real(45)
				if l.snapshotTags(9) == nil {
					t.Fatal("gone on day 45")
				}
				l.wrap = nil
				l.load()
				time.Sleep(time.Until(night(46)))
				run := l.real(46)
				if l.snapshotTags(9) == nil {
					t.Errorf("deleted the night after it was seen in use: %+v", orphansOf(run)[snapshotID(9)])
				}
			})
		})
	}
}

// A person deletes it in the minute of the plan, and restores it the next day: it starts over.
func TestAnOrphanThatIsGoneForADayStartsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := announced(t, world{}, nil)
		time.Sleep(time.Until(night(41)))
		l.real(41)
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				q, err := emulator.Inspect(r)
				if err != nil {
					return nil, err
				}
				if q.Action == "CreateTags" && q.Form.Get("ResourceId.1") == snapshotID(9) {
					return &http.Response{StatusCode: 400, Header: http.Header{}, Request: r, Body: nopCloser{bytes.NewReader([]byte(
						"<Response><Errors><Error><Code>InvalidSnapshot.NotFound</Code><Message>The snapshot does not exist.</Message></Error></Errors><RequestID>1</RequestID></Response>"))}}, nil
				}
				return next.Do(r)
			})
		}
		time.Sleep(time.Until(night(45)))
		l.real(45)
		l.wrap = nil
		l.load()
		time.Sleep(time.Until(night(46)))
		run := l.real(46)
		if l.snapshotTags(9) == nil {
			t.Errorf("deleted on the night after the restore: %+v", orphansOf(run)[snapshotID(9)])
		}
	})
}

// Anybody who may create a snapshot writes its description: no description makes the journal
// unreadable.
func TestAForgedDescriptionOfAnOrphan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forged := orphanOf(7, 70)
		forged["Description"] = "Created by CreateImage(i-0) for ami-" + strings.Repeat("a", 65) + " from " + forged["VolumeId"].(string)
		w := binRules(world{images: []object{image(1, 20, 10, 1)}, snapshots: []object{forged, orphanOf(9, 90)}})
		l := live(t, w, removing.and(settings{"RECORDS": t.TempDir()}))
		l.clock = time.Now
		for _, day := range []int{0, 1, 2} {
			time.Sleep(time.Until(night(day)))
			if run := l.real(day); run.Failed() {
				t.Errorf("day %d: %v", day, run.Regions[0].Error)
			}
		}
	})
}

// Another policy removed the image and keeps all snapshots, or those with a tag that means nothing
// to this one: this is no second sign that one may go.
func TestAnOrphanThatAnotherPolicyKept(t *testing.T) {
	for name, keeping := range map[string]settings{
		"all": {"DELETE_SNAPSHOTS": "false"}, "the tagged": {"KEEP_TAGS": "Backup=weekly"},
	} {
		t.Run(name, func(t *testing.T) { anotherPolicyKeeps(t, keeping) })
	}
}

func anotherPolicyKeeps(t *testing.T, keeping settings) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		old := object{
			"Tags":       []object{{"Key": "Backup", "Value": "weekly"}},
			"SnapshotId": snapshotID(5), "OwnerId": accountID, "State": "completed", "VolumeSize": 8, "StartTime": daysAgo(400),
			"VolumeId": "vol-ffffffff", "Description": "Copied for DestinationAmi " + imageID(5) + " from SourceAmi ami-0123456789abcdef0 for SourceSnapshot snap-0123456789abcdef0.",
		}
		w := binRules(world{images: []object{image(1, 20, 10, 1), image(5, 400, 390, 5)}, snapshots: []object{old}})
		l := live(t, w, removing.and(settings{"RECORDS": t.TempDir()}))
		l.clock = time.Now
		own := l.settings
		l.settings = own.and(settings{"POLICY_NAME": "db", "ORPHANED_SNAPSHOTS": "report", "STALE_AFTER": "90d", "KEEP_NEWEST": "0", "GRACE": "0d"}).and(keeping)
		time.Sleep(time.Until(night(0)))
		l.real(0)
		l.settings = own
		for day := 1; day < 90 && l.snapshotTags(5) != nil; day += 7 {
			time.Sleep(time.Until(night(day)))
			l.real(day)
		}
		if l.snapshotTags(5) == nil {
			t.Error("deleted although the policy that removed its image keeps it")
		}
	})
}

// The Recycle Bin cannot be read in one night: nothing starts over.
func TestTheBinDeniedForANight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := announced(t, world{}, nil)
		time.Sleep(time.Until(night(41)))
		l.wrap = func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "ListImagesInRecycleBin") }
		l.real(41)
		l.wrap = nil
		time.Sleep(time.Until(night(45)))
		l.real(45)
		if l.snapshotTags(9) != nil {
			t.Errorf("the announcement and the time are lost: %v", l.snapshotTags(9))
		}
	})
}

// An orphan without room for the tags stays, and says so; the run does not fail every night.
func TestAnOrphanWithoutRoomForTags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		full := orphanOf(9, 90)
		var tags []object
		for n := range 49 {
			tags = append(tags, object{"Key": fmt.Sprint("k", n), "Value": "v"})
		}
		full["Tags"] = tags
		l := live(t, binRules(world{images: []object{image(1, 20, 10, 1)}, snapshots: []object{full}}), removing.and(settings{"RECORDS": t.TempDir()}))
		l.clock = time.Now
		for _, day := range []int{0, 10, 20, 30, 31, 32} {
			time.Sleep(time.Until(night(day)))
			if run := l.real(day); run.Failed() {
				t.Errorf("day %d: %+v", day, orphansOf(run)[snapshotID(9)])
			}
		}
	})
}

// A text in another region of the run keeps an orphan, and so does whatever is not known there.
func TestAnotherRegionKeepsAnOrphan(t *testing.T) {
	const elsewhere = "regions/eu-west-1/"
	denied := func(action string) func(*life) {
		return func(l *life) {
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
					if q, err := emulator.Inspect(r); err == nil && q.Action == action && strings.Contains(r.URL.Host, "eu-west-1") {
						return emulator.Refuse(r, q, q.Forbidden()), nil
					}
					return next.Do(r)
				})
			}
		}
	}
	for name, change := range map[string]func(*life){
		"nothing": func(*life) {},
		"a parameter": func(l *life) {
			l.edit(elsewhere+"get-parameters.json", func(content object) {
				content["Parameters"] = append(content["Parameters"].([]any), object{"Name": "golden", "Type": "String", "Value": strings.ToUpper(snapshotID(9)), "Version": 1})
			})
		},
		"images are denied":    denied("DescribeImages"),
		"snapshots are denied": denied("DescribeSnapshots"),
		"parameters denied":    denied("GetParameters"),
		"stacks are denied":    denied("DescribeStacks"),
		"templates are denied": denied("DescribeLaunchTemplateVersions"),
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := world{}.parameter("other", "nothing", nil).
					and(elsewhere+"get-parameters.json", "Parameters", object{"Name": "other", "Type": "String", "Value": "nothing", "Version": 1}).
					and(elsewhere+"describe-images.json", "Images", image(2, 20, 10)).
					and(elsewhere+"describe-launch-templates.json", "LaunchTemplates", object{
						"LaunchTemplateId": "lt-00000000000000001", "LaunchTemplateName": "template1", "DefaultVersionNumber": 1, "LatestVersionNumber": 1,
					}).
					and(elsewhere+"describe-launch-template-versions.json", "LaunchTemplateVersions", templateVersion(1, imageID(2)))
				l := announced(t, w, settings{"REGIONS": "us-east-1,eu-west-1"})
				time.Sleep(time.Until(night(41)))
				l.real(41)
				change(l)
				time.Sleep(time.Until(night(45)))
				run := l.real(45)
				if gone := l.snapshotTags(9) == nil; gone != (name == "nothing") {
					t.Errorf("gone: %v; %+v", gone, orphansOf(run)[snapshotID(9)])
				}
			})
		})
	}
}

// Tags that announce an orphan are a claim: only what the journal of this policy says counts, and a
// day in the past makes nothing due sooner.
func TestForgedAnnouncementsOfAnOrphan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forged := orphanOf(9, 90)
		forged["Tags"] = []object{
			{"Key": "ami-janitor:due", "Value": "2026-01-01"}, {"Key": "ami-janitor:announced-by", "Value": "20251201T020000Z-3f9c1a web"},
		}
		w := binRules(world{images: []object{image(1, 20, 10, 1)}, snapshots: []object{forged}})
		l := live(t, w, removing.and(settings{"RECORDS": t.TempDir()}))
		l.clock = time.Now
		for _, day := range []int{0, 10, 20, 30, 31, 43} {
			if day == 31 {
				// The announcement is real by now.
				l.setSnapshotTag(9, "ami-janitor:due", "2026-01-01")
			}
			time.Sleep(time.Until(night(day)))
			run := l.real(day)
			if tags := l.snapshotTags(9); tags == nil || day < 30 && tags["ami-janitor:due"] != "" {
				t.Fatalf("day %d: %v; %+v, %+v", day, tags, orphansOf(run), unmarks(run))
			}
		}
		time.Sleep(time.Until(night(44)))
		if l.real(44); l.snapshotTags(9) != nil {
			t.Error("it never goes")
		}
	})
}

// The records of the run that kept a snapshot on purpose expire; what this policy has learnt from
// them does not.
func TestAnOrphanThatWasKeptLongAgo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		records := t.TempDir()
		w := binRules(world{images: []object{image(1, 20, 10, 1), image(5, 400, 390, 5)}, snapshots: []object{orphanOf(5, 5)}})
		l := live(t, w, removing.and(settings{"RECORDS": records}))
		l.clock = time.Now
		own := l.settings
		l.settings = own.and(settings{"POLICY_NAME": "db", "ORPHANED_SNAPSHOTS": "report", "STALE_AFTER": "90d", "KEEP_NEWEST": "0", "DELETE_SNAPSHOTS": "false"})
		time.Sleep(time.Until(night(0)))
		l.real(0)
		l.settings = own
		for day := 1; day < 80; day += 7 {
			time.Sleep(time.Until(night(day)))
			run := l.real(day)
			if day < 15 { // Its image is in the Recycle Bin.
				continue
			}
			if o := orphansOf(run)[snapshotID(5)]; o.Verdict != "keep" || !strings.HasSuffix(o.Detail, "the policy keeps all snapshots") {
				t.Fatalf("day %d: %+v", day, o)
			}
			if err := os.RemoveAll(records + "/removals"); err != nil {
				t.Fatal(err)
			}
		}
	})
}
