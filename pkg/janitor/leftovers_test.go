package janitor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ami-janitor/pkg/emulator"
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

// A snapshot that a run could not delete with its image is deleted by a later one, even if a run in between is still shown the
// image, as EC2 does for a while.
func TestALeftoverOfAnImageThatIsStillListed(t *testing.T) {
	for _, state := range []string{"gone", "deregistered", "available"} {
		t.Run(state, func(t *testing.T) {
			kept := tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
			w := world{images: []object{image(1, 900, 0, 1, 2), image(5, 2, 1, 5)}, snapshots: []object{kept}}
			l := live(t, w, settings{"RECORDS": t.TempDir()})
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return emulator.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
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

// A run that has reached its cap is followed by another one, which is still shown what the first has removed: nothing goes that
// shares a snapshot with that, because the snapshot would stay for the sake of an image that is gone.
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

// The books of a run are closed by none of another account, which finds nothing of what that run has left.
func TestLeftoversOfAnotherAccount(t *testing.T) {
	kept := tagged(object{"SnapshotId": snapshotID(2), "OwnerId": accountID, "State": "completed", "VolumeSize": 10}, "ami-janitor:keep", "yes")
	records := settings{"RECORDS": t.TempDir()}
	l := live(t, world{images: []object{image(1, 900, 0, 1, 2), image(5, 2, 1, 5)}, snapshots: []object{kept}}, records)
	l.wrap = func(next emulator.Doer) emulator.Doer {
		return emulator.Fail(next, "DeleteSnapshot", nil, 400, "OperationNotPermitted", "not now")
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

// A declaration that could not be taken off an image which no removal was tried of says nothing but that: the next run takes it
// off, and judges the image by its facts.
func TestADeclarationThatIsLeft(t *testing.T) {
	l := live(t, staleWorld(2), settings{"RECORDS": t.TempDir()})
	l.wrap = func(next emulator.Doer) emulator.Doer {
		next = emulator.Fail(next, "DeleteTags", nil, 400, "OperationNotPermitted", "not now")
		return emulator.Fail(next, "DeregisterImage", nil, 400, "OperationNotPermitted", "not now")
	}
	l.want(0, l.real(0), "failed")
	l.wrap = nil
	l.want(1, l.real(1), "deregistered", "never-launched")
}
