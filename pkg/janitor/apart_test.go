package janitor_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const (
	sharingOfSnapshots = "DescribeSnapshotAttribute"
	volumePermissions  = "describe-create-volume-permissions.json"
)

// own is a snapshot that was begun some days ago.
func own(n, age int, size int, description string) object {
	return object{
		"SnapshotId": snapshotID(n), "OwnerId": accountID, "State": "completed", "VolumeSize": size, "StartTime": daysAgo(age), "Description": description,
	}
}

func sharedWith(accounts ...string) []object {
	permissions := []object{}
	for _, account := range accounts {
		permissions = append(permissions, object{"UserId": account})
	}
	return permissions
}

// lives are images whose snapshots have lives of their own: image 1 was registered from a backup
// that somebody took, image 2 has a snapshot that is shared, image 3 one that is not, and images 4
// and 5 one that somebody copied years before.
func lives() world {
	return world{
		images: []object{image(1, 400, 0, 1), image(2, 400, 0, 2), image(3, 400, 0, 3), image(4, 400, 0, 4, 9), image(5, 300, 250, 5, 9), image(6, 2, 1, 6)},
		snapshots: []object{
			own(1, 430, 2000, "oracle-prod monthly backup"),
			own(2, 400, 50, "Created by CreateImage(i-0123456789abcdef0) for "+imageID(2)),
			own(3, 400, 50, "Created by CreateImage(i-0123456789abcdef0) for "+imageID(3)),
			own(9, 1500, 500, "[Copied snap-0123456789abcdef0 from us-west-2] reference data, do not delete"),
		},
		more: map[string]object{volumePermissions: {snapshotID(2): sharedWith("111122223333", "123456789012")}},
	}
}

// What is shared, or was taken by hand long before, stays when its image goes, and is told of with
// its size and the command that deletes it. Only what will be deleted is asked about.
func TestSnapshotsWithALifeOfTheirOwn(t *testing.T) {
	for _, dry := range []bool{true, false} {
		account := lives().load(t)
		record := run(t, account.Client(), settings{"KEEP_NEWEST": "0"}, dry)
		verdict := map[bool]string{true: "deregister", false: "deregistered"}[dry]
		wantVerdicts(t, record, map[string]string{
			imageID(1): verdict, imageID(2): verdict, imageID(3): verdict, imageID(4): verdict, imageID(5): verdict, imageID(6): "keep",
		})
		text := digest.Text(record)
		for _, want := range []string{
			"SNAPSHOTS THAT STAY (3)",
			"- " + snapshotID(1) + ", 2,000 GiB: somebody took it on",
			"    aws ec2 delete-snapshot --region us-east-1 --snapshot-id " + snapshotID(1) + "\n",
			"- " + snapshotID(2) + ", 50 GiB: shared with account 111122223333, account 123456789012",
			"    aws ec2 delete-snapshot --region us-east-1 --snapshot-id " + snapshotID(2) + "\n",
			"- " + snapshotID(9) + ", 500 GiB: somebody took it on",
			"    aws ec2 delete-snapshot --region us-east-1 --snapshot-id " + snapshotID(9) + "\n",
		} {
			if strings.Count(unwrapped(text), unwrapped(want)) != 1 {
				t.Errorf("not once in the digest: %q\n%s", want, text)
			}
		}
		if strings.Contains(unwrapped(text), "delete-snapshot --region us-east-1 --snapshot-id "+snapshotID(3)) {
			t.Errorf("%s", text)
		}
		asked := 4 // Snapshots 2 to 5.
		if !dry {
			asked += 3
		}
		if n := calls(account, sharingOfSnapshots); n != asked {
			t.Errorf("dry %t: %d calls of %s, want %d", dry, n, sharingOfSnapshots, asked)
		}
		if dry {
			continue
		}
		left := holdings(t, account)
		for n, want := range map[int]bool{1: true, 2: true, 3: false, 4: false, 5: false, 6: true, 9: true} {
			if left[snapshotID(n)] != want {
				t.Errorf("%s is there: %t", snapshotID(n), !want)
			}
		}
		if got := snapshotResults(record)[snapshotID(2)]; got.Status != ami.SnapshotKept || got.Detail != "shared with account 111122223333, account 123456789012" {
			t.Errorf("%+v", got)
		}
	}
}

// unwrapped is a text without its line breaks.
func unwrapped(text string) string {
	// A long command goes on after a backslash.
	return strings.Join(strings.Fields(strings.ReplaceAll(text, " \\\n", " ")), " ")
}

// snapshotResults are what became of snapshots, by id.
func snapshotResults(record record.Run) map[string]ami.SnapshotResult {
	results := map[string]ami.SnapshotResult{}
	for _, i := range allImages(record) {
		if i.Outcome != nil {
			for _, s := range i.Outcome.Snapshots {
				results[s.SnapshotID] = s
			}
		}
	}
	return results
}

// With whom one snapshot is shared may not be known, or that of none. Its images stay because proof
// is missing, and so does what they share with others; the digest says so, once, with what to
// allow. No snapshot is left behind for that.
func TestSharingThatIsNotKnown(t *testing.T) {
	const stays = "stale AMI%s stayed: a lookup failed, so use is not ruled out. What to do: Allow ec2:DescribeSnapshotAttribute to the role"
	for name, c := range map[string]struct {
		fault  func(q emulator.Request) bool
		images map[string]string
		left   []int // Snapshots.
		says   []string
	}{
		"of one": {
			func(q emulator.Request) bool { return q.Form.Get("SnapshotId") == snapshotID(3) },
			map[string]string{imageID(1): "deregistered", imageID(2): "deregistered", imageID(3): "keep", imageID(4): "deregistered", imageID(5): "deregistered", imageID(6): "keep"},
			[]int{1, 2, 3, 6, 9},
			[]string{"1 " + fmt.Sprintf(stays, ""), "- 1 AMI (" + imageID(3) + ", one-off-xxx): " + snapshotID(3) + ": with whom it is shared is not known: ec2:DescribeSnapshotAttribute: "},
		},
		"of one that another image maps": {
			func(q emulator.Request) bool { return q.Form.Get("SnapshotId") == snapshotID(4) },
			map[string]string{imageID(1): "deregistered", imageID(2): "deregistered", imageID(3): "deregistered", imageID(4): "keep", imageID(5): "deregistered", imageID(6): "keep"},
			[]int{1, 2, 4, 6, 9},
			[]string{"1 " + fmt.Sprintf(stays, ""), "- 1 AMI (" + imageID(4) + ", one-off-xxxx): " + snapshotID(4) + ": with whom it is shared is not known: ec2:DescribeSnapshotAttribute: "},
		},
		"of all": {
			func(emulator.Request) bool { return true },
			map[string]string{imageID(1): "deregistered", imageID(2): "keep", imageID(3): "keep", imageID(4): "keep", imageID(5): "keep", imageID(6): "keep"},
			[]int{1, 2, 3, 4, 5, 6, 9},
			[]string{"4 " + fmt.Sprintf(stays, "s"), "- 4 AMIs: a snapshot of it: with whom it is shared is not known: ec2:DescribeSnapshotAttribute: "},
		},
	} {
		for _, dry := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", dry ", dry), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := lives().load(t)
					doer := on(account.Client(), func(q emulator.Request, _ int) bool { return q.Action == sharingOfSnapshots && c.fault(q) }, readFaults["denied"])
					record := run(t, doer, settings{"KEEP_NEWEST": "0"}, dry)
					kept := 0
					for id, verdict := range c.images {
						why := reasons(record, id)
						if verdict == "keep" && id != imageID(6) {
							kept++
							if !strings.HasPrefix(why, "unknown-use: snap-") || !strings.Contains(why, ": with whom it is shared is not known: ec2:DescribeSnapshotAttribute: ") {
								t.Errorf("%s: %s", id, why)
							}
						}
						if dry && verdict == "deregistered" {
							verdict = "deregister"
						}
						if got := verdicts(record)[id]; got != verdict {
							t.Errorf("%s is %s for %s, want %s", id, got, why, verdict)
						}
					}
					if record.Totals.Unproven != kept || !record.LacksProof() {
						t.Errorf("%+v", record.Totals)
					}
					text := unwrapped(digest.Text(record))
					for _, want := range c.says {
						if strings.Count(text, want) != 1 {
							t.Errorf("not once in the digest: %q\n%s", want, text)
						}
					}
					for n, there := range left(t, account, 1, 2, 3, 4, 5, 6, 9) {
						if want := dry || slices.Contains(c.left, n); there != want {
							t.Errorf("%s is there: %t", snapshotID(n), there)
						}
					}
				})
			})
		}
	}
}

// left says which snapshots are there.
func left(t *testing.T, account *emulator.Account, snapshots ...int) map[int]bool {
	t.Helper()
	here, there := holdings(t, account), map[int]bool{}
	for _, n := range snapshots {
		there[n] = here[snapshotID(n)]
	}
	return there
}

// A snapshot may be shared between the plan and its removal. Then it stays, and its image with it
// if that is still there; the next night's plan says what goes.
func TestSharedSincePlanned(t *testing.T) {
	for name, c := range map[string]struct {
		world  world
		from   int // The call from which on the snapshot is shared; the first is 1.
		images map[string]string
		left   bool
	}{
		"of one image":               {world{images: []object{image(1, 900, 0, 1), image(2, 2, 1, 2)}}, 2, map[string]string{imageID(1): "skipped", imageID(2): "keep"}, true},
		"of two, before both":        {world{images: []object{image(1, 900, 0, 1), image(2, 2, 1, 2), image(3, 800, 0, 1)}}, 2, map[string]string{imageID(1): "skipped", imageID(2): "keep", imageID(3): "skipped"}, true},
		"of two, when both are gone": {world{images: []object{image(1, 900, 0, 1), image(2, 2, 1, 2), image(3, 800, 0, 1)}}, 3, map[string]string{imageID(1): "deregistered", imageID(2): "keep", imageID(3): "deregistered"}, true},
		"never":                      {world{images: []object{image(1, 900, 0, 1), image(2, 2, 1, 2), image(3, 800, 0, 1)}}, 4, map[string]string{imageID(1): "deregistered", imageID(2): "keep", imageID(3): "deregistered"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				private := c.world.load(t)
				c.world.more = map[string]object{volumePermissions: {snapshotID(1): sharedWith("111122223333")}}
				shared := c.world.load(t)
				doer := on(private.Client(), func(q emulator.Request, n int) bool { return q.Action == sharingOfSnapshots && n >= c.from },
					func(_ emulator.Doer, r *http.Request) (*http.Response, error) { return shared.Client().Do(r) })
				j := newJanitor(t, doer, settings{"KEEP_NEWEST": "0", "RECORDS": "s3://amzn-s3-demo-bucket"})
				record := j.Run(t.Context(), "20261123T020000Z-010203", false)
				wantVerdicts(t, record, c.images)
				if left := holdings(t, private)[snapshotID(1)]; left != c.left {
					t.Errorf("it is there: %t, %+v", left, snapshotResults(record)[snapshotID(1)])
				}
				if text := digest.Text(record); c.left && !strings.Contains(unwrapped(text), "is shared with account 111122223333 now") {
					t.Errorf("%s", text)
				}
			})
		})
	}
}

// What a run has left for the next one may have been shared meanwhile.
func TestALeftoverThatIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := leavingASnapshot(t)
		l.edit(volumePermissions, func(content object) { content[snapshotID(1)] = sharedWith("111122223333") })
		record := l.real(1)
		if !slices.Contains(l.snapshots(), snapshotID(1)) || len(record.Regions[0].Leftovers) != 1 || record.Regions[0].Leftovers[0].Detail != "shared with account 111122223333" {
			t.Errorf("%+v", record.Regions[0].Leftovers)
		}
	})
}

// Undo brings the image back, to which the snapshot still belongs that has stayed.
func TestUndoBesideASnapshotThatStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account := lives().load(t)
		account.KeepRemoved(30)
		j := newJanitor(t, account.Client(), settings{"KEEP_NEWEST": "0", "RECORDS": t.TempDir()})
		record := j.Run(t.Context(), "20261123T020000Z-010203", false)
		if record.Totals.Deregistered != 5 {
			t.Fatalf("%+v", record.Totals)
		}
		undone, err := j.Undo().Run(t.Context(), record.Run)
		if err != nil || !undone.Complete() {
			t.Errorf("%v, %+v", err, undone)
		}
		left := holdings(t, account)
		for _, n := range []int{1, 2, 3, 4, 5, 9} {
			if !left[snapshotID(n)] || n < 6 && !left[imageID(n)] {
				t.Errorf("%d is not back", n)
			}
		}
		for _, region := range undone.Regions {
			for _, i := range region.Images {
				for _, s := range i.Snapshots {
					stayed := s.SnapshotID == snapshotID(1) || s.SnapshotID == snapshotID(2) || s.SnapshotID == snapshotID(9)
					if (s.Status == "present") != stayed {
						t.Errorf("%+v, and it stayed: %t", s, stayed)
					}
				}
			}
		}
	})
}

// An explanation says the same of a snapshot, of whatever image.
func TestExplainSnapshotsWithALifeOfTheirOwn(t *testing.T) {
	w := lives()
	w.images[1] = tagged(w.images[1], "ami-janitor:keep", "yes")
	account := w.load(t)
	explanations, err := newJanitor(t, account.Client(), nil).Explain(t.Context(), []string{imageID(2), imageID(1)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range explanations {
		for _, s := range e.Snapshots {
			got[s.SnapshotID] = string(s.Verdict) + " " + s.Detail
		}
	}
	want := map[string]string{
		snapshotID(1): "keep somebody took it on 2025-09-19 for no image: the first one with it was made on 2025-10-19",
		snapshotID(2): "keep shared with account 111122223333, account 123456789012",
	}
	if diff := cmp.Diff(want, got); diff != "" || calls(account, sharingOfSnapshots) != 1 {
		t.Errorf("%d calls\n%s", calls(account, sharingOfSnapshots), diff)
	}
}
