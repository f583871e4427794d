package janitor_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// snapshots are the ids of the snapshots of the saved account.
func (l *life) snapshots() []string {
	l.t.Helper()
	var ids []string
	l.edit("describe-snapshots.json", func(content object) {
		for _, item := range content["Snapshots"].([]any) {
			ids = append(ids, item.(object)["SnapshotId"].(string))
		}
	})
	slices.Sort(ids)
	return ids
}

// leavingASnapshot is an account in which a run has removed image 1 and could not delete snapshot
// 1, as it is on the next night.
func leavingASnapshot(t *testing.T) *life {
	t.Helper()
	kept := tagged(object{"SnapshotId": snapshotID(9), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
	w := world{images: []object{image(1, 900, 0, 1, 9), image(5, 2, 1, 5)}, snapshots: []object{kept}}
	l := live(t, w, settings{"RECORDS": t.TempDir()})
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
	}
	l.account.KeepRemoved(30)
	l.save()
	l.real(0)
	l.wrap = nil
	l.at = night(1)
	l.load()
	return l
}

// What one run has left and another deleted comes back with the image of the first, as the digest
// of the second says.
func TestALeftoverComesBackWithItsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := leavingASnapshot(t)
		second := l.real(1)
		text := digest.Text(second)
		l.at = night(2)
		l.load()
		_, command, _ := strings.Cut(text, "    ami-janitor undo ")
		first, _, _ := strings.Cut(command, "\n")
		undone, err := l.janitor().Undo().Run(t.Context(), first)
		if err != nil || !undone.Complete() || second.Totals.LeftoversFinished != 1 {
			t.Fatalf("%+v, %v\n%s", undone, err, text)
		}
		l.save()
		if got := l.snapshots(); l.state(1) != "available" || !slices.Contains(got, snapshotID(1)) {
			t.Errorf("%s, and %s are there", l.state(1), got)
		}
	})
}

// A snapshot that a run could not delete with its image is deleted by a later one, even if a run in
// between is still shown the image, as EC2 does for a while.
func TestALeftoverOfAnImageThatIsStillListed(t *testing.T) {
	for _, state := range []string{"gone", "deregistered", "available"} {
		t.Run(state, func(t *testing.T) {
			kept := tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
			w := world{images: []object{image(1, 900, 0, 1, 2), image(5, 2, 1, 5)}, snapshots: []object{kept}}
			l := live(t, w, settings{"RECORDS": t.TempDir()})
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
			}
			l.want(0, l.real(0), "deregistered", "never-launched")
			var listed []any
			l.edit("describe-images.json", func(content object) {
				listed = content["Images"].([]any)
				if state != "gone" {
					content["Images"] = append(slices.Clip(listed), with(image(1, 900, 0, 1, 2), "State", state))
				}
			})
			verdict := ""
			if state == "available" {
				verdict = "keep"
			}
			l.want(0, l.run(now.Add(5*time.Minute), false), verdict)
			l.edit("describe-images.json", func(content object) { content["Images"] = listed })
			l.wrap = nil
			l.real(1)
			if got := strings.Join(l.snapshots(), " "); strings.Contains(got, snapshotID(1)) || !strings.Contains(got, snapshotID(2)) {
				t.Errorf("%s are left", got)
			}
		})
	}
}

// What a run has seen to be gone is no longer a leftover: it stays if a person brings it back, even
// while others of the same run are still to be deleted.
func TestALeftoverThatIsBack(t *testing.T) {
	kept := tagged(object{"SnapshotId": snapshotID(3), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
	l := live(t, world{images: []object{image(1, 900, 0, 1, 2, 3), image(5, 2, 1, 5)}, snapshots: []object{kept}}, settings{"RECORDS": t.TempDir()})
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
	}
	l.real(0)
	var listed []any
	l.edit("describe-snapshots.json", func(content object) { listed = slices.Clone(content["Snapshots"].([]any)) })
	l.loseSnapshot(1)
	if text := digest.Full(l.real(1)); !strings.Contains(text, "not listed any more: ") || strings.Contains(text, "kept (not") {
		t.Errorf("%s", text)
	}
	l.edit("describe-snapshots.json", func(content object) { content["Snapshots"] = listed })
	l.wrap = nil
	l.real(2)
	if got, want := l.snapshots(), []string{snapshotID(1), snapshotID(3), snapshotID(5)}; !slices.Equal(got, want) {
		t.Errorf("%s are left, want %s", got, want)
	}
}

// A listing that lacks a leftover by mistake is no proof that it is gone: the next run finds it.
func TestALeftoverThatIsNotListed(t *testing.T) {
	kept := tagged(object{"SnapshotId": snapshotID(3), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
	l := live(t, world{images: []object{image(1, 900, 0, 1, 2, 3), image(5, 2, 1, 5)}, snapshots: []object{kept}}, settings{"RECORDS": t.TempDir()})
	deny := func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
	}
	l.wrap = deny
	l.real(0)
	var listed []any
	l.edit("describe-snapshots.json", func(content object) { listed = slices.Clone(content["Snapshots"].([]any)) })
	l.loseSnapshot(1)
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return on(deny(next), func(q emulator.Request, n int) bool {
			if q.Action == "DescribeSnapshots" && n == 2 { // The listing was the first.
				l.meanwhile(func() {
					l.edit("describe-snapshots.json", func(content object) { content["Snapshots"] = listed })
				})
			}
			return false
		}, nil)
	}
	l.real(1)
	l.wrap = nil
	l.real(2)
	if got, want := l.snapshots(), []string{snapshotID(3), snapshotID(5)}; !slices.Equal(got, want) {
		t.Errorf("%s are left, want %s", got, want)
	}
}

// Two images share a snapshot, and EC2 never says whether one of them is gone: it goes on listing
// it for a minute. The snapshot stays until that is known, whichever of the two is the last one.
func TestASnapshotOfAnImageThatMayBeGone(t *testing.T) {
	for _, doubtful := range []string{imageID(1), imageID(2)} {
		bubble(t, func(t *testing.T) {
			l := live(t, world{images: []object{image(1, 900, 0, 9), image(2, 800, 0, 9), image(5, 2, 1, 5)}}, settings{"RECORDS": t.TempDir()})
			l.clock = time.Now
			l.wrap = func(next emulator.Doer) emulator.Doer {
				isDoubtful := func(q emulator.Request, _ int) bool {
					return q.Action == "DeregisterImage" && q.Form.Get("ImageId") == doubtful
				}
				lost := on(next, isDoubtful, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
					_, _ = next.Do(r)
					return nil, io.ErrUnexpectedEOF
				})
				return on(lost, func(q emulator.Request, _ int) bool {
					return q.Form.Get("ImageId.1") == doubtful && q.Action == "DescribeImages"
				},
					func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
						return reply(r, http.StatusOK, "<DescribeImagesResponse><requestId>1</requestId><imagesSet><item><imageId>"+doubtful+
							"</imageId><imageState>available</imageState></item></imagesSet></DescribeImagesResponse>"), nil
					})
			}
			record := l.real(0)
			if got := verdicts(record); got[doubtful] != "failed" || !slices.Contains(l.snapshots(), snapshotID(9)) {
				t.Errorf("%s: %v, %v", doubtful, got, l.snapshots())
			}
			l.wrap = nil
			time.Sleep(24 * time.Hour)
			if l.real(1); slices.Contains(l.snapshots(), snapshotID(9)) {
				t.Errorf("%s: %s is nobody's", doubtful, snapshotID(9))
			}
		})
	}
}

// A run that has reached its cap is followed by another one, which is still shown what the first
// has removed: nothing goes that shares a snapshot with that, because the snapshot would stay for
// the sake of an image that is gone.
func TestASnapshotOfAnImageThatIsStillListed(t *testing.T) {
	l := live(t, world{images: []object{image(1, 900, 0, 9), image(2, 800, 0, 9), image(5, 2, 1, 5)}}, settings{"RECORDS": t.TempDir(), "MAX_DEREGISTRATIONS": "1"})
	l.real(0)
	var listed []any
	l.edit("describe-images.json", func(content object) {
		listed = content["Images"].([]any)
		content["Images"] = append(slices.Clip(listed), image(1, 900, 0, 9))
	})
	record := l.run(now.Add(5*time.Minute), false)
	if why := reasons(record, imageID(2)); l.state(2) == "gone" || !strings.Contains(why, "snapshot-in-doubt: "+snapshotID(9)+" is one of "+imageID(1)) {
		t.Errorf("%s: %s", l.state(2), why)
	}
	l.edit("describe-images.json", func(content object) { content["Images"] = listed })
	l.real(1)
	if got, want := l.snapshots(), []string{snapshotID(5)}; l.state(2) != "gone" || !slices.Equal(got, want) {
		t.Errorf("%s are left, want %s", got, want)
	}
}

// The journal of a run is not closed by a run of another account, which finds nothing of what that
// run has left.
func TestLeftoversOfAnotherAccount(t *testing.T) {
	kept := tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
	records := settings{"RECORDS": t.TempDir()}
	l := live(t, world{images: []object{image(1, 900, 0, 1, 2), image(5, 2, 1, 5)}, snapshots: []object{kept}}, records)
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
	}
	l.want(0, l.real(0), "deregistered", "never-launched")
	l.wrap = nil

	other := live(t, world{}, records)
	other.edit("get-caller-identity.json", func(content object) { content["Account"] = "999999999999" })
	record := other.run(now.Add(time.Hour), false)
	if hold := record.Regions[0].Hold; !strings.Contains(hold, "belongs to account "+accountID) {
		t.Errorf("held because %q", hold)
	}
	l.real(1)
	if got := strings.Join(l.snapshots(), " "); strings.Contains(got, snapshotID(1)) {
		t.Errorf("%s are left", got)
	}
}

// A declaration that could not be taken off an image which no removal was tried of says nothing but
// that: the next run takes it off, and judges the image by its facts.
func TestADeclarationThatIsLeft(t *testing.T) {
	l := live(t, staleWorld(2), settings{"RECORDS": t.TempDir()})
	l.wrap = func(next emulator.Doer) emulator.Doer {
		next = disturb.Fail(next, "DeleteTags", nil, 400, "OperationNotPermitted", "not now")
		return disturb.Fail(next, "DeregisterImage", nil, 400, "OperationNotPermitted", "not now")
	}
	l.want(0, l.real(0), "failed")
	l.wrap = nil
	l.want(1, l.real(1), "defer", "never-launched", "refused")
	if tags := l.tags(1); tags["ami-janitor:intent"] != "" || tags["ami-janitor:run"] != "" {
		t.Errorf("it still carries %v", tags)
	}
	l.want(7, l.real(7), "deregistered", "never-launched")
}

// The Recycle Bin holds a snapshot, and nobody knows what became of its image: EC2 deletes no
// snapshot that an image uses. The journal hears of it, so that the snapshot stays if a person
// restores it.
func TestASnapshotInTheBinOfAnImageThatMayBeGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		kept := tagged(object{"SnapshotId": snapshotID(99), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
		w := world{images: []object{image(1, 900, 0, 1), image(2, 800, 0, 2, 99), image(5, 2, 1, 5)}, snapshots: []object{kept}}
		l := live(t, w, settings{"RECORDS": t.TempDir()})
		l.account.KeepRemoved(30)
		l.save()
		l.wrap = func(next emulator.Doer) emulator.Doer {
			// So that the journal stays open.
			next = disturb.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
			isTried := false
			return on(next, func(q emulator.Request, _ int) bool {
				isFirst := q.Action == "DeregisterImage" && q.Form.Get("ImageId") == imageID(1)
				isTried = isTried || isFirst
				return isFirst || isTried && q.Action == "DescribeImages"
			}, func(next emulator.Doer, r *http.Request) (*http.Response, error) {
				_, _ = next.Do(r)
				return nil, io.ErrUnexpectedEOF
			})
		}
		if record := l.real(0); verdicts(record)[imageID(1)] != "failed" || !strings.Contains(digest.Full(record), "seen in the Recycle Bin after an answer that was lost") {
			t.Errorf("%s", digest.Text(record))
		}
		l.wrap = nil
		restored := &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: aws.String(snapshotID(1))}
		if _, err := wire.EC2(newJanitor(t, l.account.Client(), nil).AWS, "us-east-1").RestoreSnapshotFromRecycleBin(t.Context(), restored); err != nil {
			t.Fatal(err)
		}
		l.save()
		l.real(1)
		if got := l.snapshots(); !slices.Contains(got, snapshotID(1)) || slices.Contains(got, snapshotID(2)) {
			t.Errorf("%s are left", got)
		}
	})
}

// The note that a removal is tried arrives, and its answer is lost. Nothing is tried, and the
// journal says so in the end: the next night does not take the image for one that a person has
// restored.
func TestAnAttemptThatIsNotMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		at := now
		clock := func() time.Time { return at }
		account := staleWorld(3).loadAt(t, clock)
		s := settings{"RECORDS": "s3://amzn-s3-demo-bucket"}
		broken := on(account.Client(), func(q emulator.Request, _ int) bool { return q.Service == "s3" && q.Action == "PutObject" },
			func(next emulator.Doer, r *http.Request) (*http.Response, error) {
				response, err := next.Do(r)
				if strings.Contains(r.URL.Path, "removals/") {
					return nil, io.ErrUnexpectedEOF
				}
				return response, err
			})
		record := newJanitor(t, broken, s).Run(t.Context(), "20261123T020000Z-010203", false)
		if record.Totals.Failed != 3 || calls(account, "DeregisterImage") > 0 {
			t.Errorf("%s", digest.Text(record))
		}
		at = night(1)
		j := newJanitor(t, account.Client(), s)
		j.Clock = clock
		if record := j.Run(t.Context(), "20261124T020000Z-010203", false); record.Totals.Deregistered != 3 {
			t.Errorf("%s", digest.Text(record))
		}
	})
}
