package janitor_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// A run writes down what it is going to announce before it tags an image. What it then has not
// announced counts for nothing: whoever may tag could complete it with the tags of that very run,
// and nobody would have been told of the image.
func TestAnAnnouncementThatWasNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		fault  func(emulator.Doer) emulator.Doer
	}{
		"tags refused":      {"announce", func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "CreateTags") }},
		"disabling refused": {"disable", func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "DisableImage") }},
		"it may be shared": {"disable", func(next emulator.Doer) emulator.Doer {
			isLook := func(n int, _ emulator.Request) bool { return n > 1 }
			return disturb.Fail(next, "DescribeImageAttribute", isLook, 403, "UnauthorizedOperation", "no")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := live(t, world{images: []object{image(1, 400, 300, 1)}}, settings{"GRACE": "7d", "GRACE_ACTION": c.action})
				l.wrap = c.fault
				record := l.real(0)
				if got := verdicts(record)[imageID(1)]; got == "marked" || l.tags(1)["ami-janitor:due"] != "" {
					t.Fatalf("it is announced: %s, %v", got, l.tags(1))
				}
				l.wrap = nil
				forge(l, record.Run, c.action == "disable")
				wantKept(t, l, 8)
			})
		})
	}
}

// For what a killed run had not come to the next one notes that, once EC2 shows what was tagged.
func TestAnAnnouncementThatAKilledRunHasNotMade(t *testing.T) {
	const killed = "20261122T020000Z-0a1b2c"
	records := t.TempDir()
	announcing(t, records, killed, "cli", "2026-11-29", "announce", 1, 2)
	keep(t, records, "unfinished/us-east-1/"+killed, object{"run": killed, "region": "us-east-1"})
	w := world{images: []object{image(1, 400, 300, 1), with(image(2, 400, 300, 2), "Tags", announcement(killed, "cli", "2026-11-29", false))}}
	// So that no run takes back what the second image says.
	l := live(t, w, settings{"GRACE": "7d", "RECORDS": records, "NAMES": "none-*"})
	marker := filepath.Join(records, "unfinished", "us-east-1", killed)
	l.run(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), false)
	if _, err := os.Stat(marker); err != nil {
		t.Error("eight hours later EC2 may not show the tags yet, and the run is closed")
	}
	delete(l.settings, "NAMES")
	l.image(2, func(o object) { o["Tags"] = announcement(killed, "cli", "2026-11-29", false) })
	l.real(0)
	if _, err := os.Stat(marker); err == nil {
		t.Error("the run is still unfinished")
	}
	l.image(1, func(o object) { o["Tags"] = []any{} })
	forge(l, killed, false)
	wantKept(t, l, 8)
}

// forge completes what a run has written down of image 1 with the tags of an announcement.
func forge(l *life, run string, disables bool) {
	l.setTag(1, "ami-janitor:due", "2026-11-30")
	l.setTag(1, "ami-janitor:announced-by", run+" cli")
	if disables {
		l.setTag(1, "ami-janitor:disabled", run)
		l.image(1, func(o object) { o["State"] = "disabled" })
	}
}

// wantKept wants image 1 to be kept on a day, and left as it is.
func wantKept(t *testing.T, l *life, day int) {
	t.Helper()
	record := l.real(day)
	if got := verdicts(record)[imageID(1)]; got != "keep" || calls(l.account, "EnableImage", "DeregisterImage") > 0 {
		t.Errorf("%s, %v: %s", got, writes(l.account), reasons(record, imageID(1)))
	}
	l.want(day, record, "keep", "unrecorded")
}

// Snapshots that EC2 has made for no image that it names are a person's to delete once a run could
// not delete them with their image: each digest says so, with the command, as long as they are
// there.
func TestALeftoverThatNothingTellsApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{
			images:    []object{image(1, 900, 0, 1, 9), image(5, 2, 1, 5)},
			snapshots: []object{own(1, 900, 500, "root volume"), tagged(own(9, 900, 10, ""), "ami-janitor:keep", "yes")},
		}
		l := live(t, w, settings{"RECORDS": t.TempDir()})
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
		}
		l.real(0)
		l.wrap = nil
		command := "aws ec2 delete-snapshot --region us-east-1 --snapshot-id " + snapshotID(1) + " "
		for day := 1; day < 4; day++ {
			record := l.real(day)
			text := unwrapped(digest.Text(record))
			if !record.LacksProof() || strings.Count(text, command) != 1 || calls(l.account, "DeleteSnapshot") > 0 {
				t.Fatalf("night %d: lacks proof %v\n%s", day, record.LacksProof(), text)
			}
		}
		l.loseSnapshot(1)
		l.real(4)
		if record := l.real(5); record.LacksProof() || strings.Contains(unwrapped(digest.Text(record)), command) {
			t.Errorf("it is told of although it is gone\n%s", digest.Text(record))
		}
	})
}

// A policy that finds another one at work in the records which they share is told of, however short
// that takes: it may be so each night.
func TestAPolicyThatIsKeptFromARegion(t *testing.T) {
	for policy, want := range map[string]bool{"web": true, "cli": false} {
		bubble(t, func(t *testing.T) {
			records := t.TempDir()
			keep(t, records, "locks/us-east-1.json", object{"run": "20261123T015900Z-0a1b2c", "policy": policy, "region": "us-east-1", "at": "2026-11-23T01:59:00Z", "nonce": "x"})
			account := world{images: staleImages(2)}.load(t)
			record, _, text := told(t, account, account.Client(), config.NotifyFailures, settings{"RECORDS": records}, false)
			if !record.Regions[0].Busy || record.LacksProof() != want || strings.Contains(text, "Schedule the two policies at different hours") != want {
				t.Errorf("%s: busy %v, lacks proof %v\n%s", policy, record.Regions[0].Busy, record.LacksProof(), text)
			}
		})
	}
}

// Images do not stop all others for good if EC2 does not say with whom their snapshots are shared:
// others take their places, within a few rounds. After these, nothing counts as private that nobody
// has asked about.
func TestWhatMayBeSharedDoesNotStopTheRest(t *testing.T) {
	for unknown, goes := range map[int]int{0: 1, 1: 2, 2: 3, 3: 0, 5: 0} {
		for _, dry := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				account := world{images: staleImages(5)}.load(t)
				isUnknown := func(q emulator.Request, _ int) bool {
					return q.Action == sharingOfSnapshots && q.Form.Get("SnapshotId") <= snapshotID(unknown)
				}
				record := run(t, on(account.Client(), isUnknown, readFaults["denied"]), settings{"KEEP_NEWEST": "0", "MAX_DEREGISTRATIONS": "1"}, dry)
				want := map[string]string{}
				for n := 1; n <= 5; n++ {
					switch {
					case n == goes && dry:
						want[imageID(n)] = "deregister"
					case n == goes:
						want[imageID(n)] = "deregistered"
					case n <= unknown || goes == 0:
						want[imageID(n)] = "keep"
					default:
						want[imageID(n)] = "defer"
					}
				}
				wantVerdicts(t, record, want)
				if asked := calls(account, sharingOfSnapshots); asked > 2*4 {
					t.Errorf("asked %d times", asked)
				}
			})
		}
	}
}

// What a run has left and somebody uses is theirs, also where that run stays unfinished because
// only a person can delete another snapshot of it: once nobody uses it, still no run deletes it.
func TestALeftoverThatSomebodyUsedStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := world{
			images:    []object{image(1, 900, 0, 1, 9), image(2, 900, 0, 2, 9), image(5, 2, 1, 5)},
			snapshots: []object{own(1, 900, 500, "root volume"), tagged(own(9, 900, 10, ""), "ami-janitor:keep", "yes")},
		}
		l := live(t, w, settings{"RECORDS": t.TempDir(), "KEEP_NEWEST": "0"})
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
		}
		l.real(0)
		l.wrap = nil
		var others []any
		l.edit("describe-images.json", func(content object) {
			others = content["Images"].([]any)
			content["Images"] = append(slices.Clone(others), image(6, 1, 0, 2))
		})
		l.real(1)
		l.edit("describe-images.json", func(content object) { content["Images"] = others })
		for day := 2; day < 5; day++ {
			l.real(day)
		}
		if left := l.snapshots(); !slices.Contains(left, snapshotID(2)) || !slices.Contains(left, snapshotID(1)) {
			t.Errorf("%v are left", left)
		}
	})
}

// The cap is one for all regions: where no more is asked about in one of them, nothing is taken for
// private in another either.
func TestWhatMayBeSharedInOneRegionVouchesForNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := world{images: staleImages(5)}.load(t)
		if err := account.AddRegion("eu-west-1", world{images: []object{image(7, 400, 200, 7)}}.files(t)); err != nil {
			t.Fatal(err)
		}
		isUnknown := func(q emulator.Request, _ int) bool { return q.Action == sharingOfSnapshots && q.Region == "us-east-1" }
		s := settings{"KEEP_NEWEST": "0", "MAX_DEREGISTRATIONS": "1", "REGIONS": "us-east-1,eu-west-1"}
		record := run(t, on(account.Client(), isUnknown, readFaults["denied"]), s, true)
		if got := verdicts(record)[imageID(7)]; got != "keep" {
			t.Errorf("%s, although nobody has asked with whom its snapshot is shared: %s", got, reasons(record, imageID(7)))
		}
	})
}
