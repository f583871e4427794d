package undo

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// result says what is back, and what is not.
func (u *undoing) result() Result {
	result := Result{Images: []Image{}, Snapshots: []Snapshot{}}
	belonging := map[string]bool{}
	for _, i := range u.images {
		entry := u.imageResult(i)
		for _, s := range entry.Snapshots {
			belonging[s.SnapshotID] = true
		}
		result.Images = append(result.Images, entry)
	}
	for _, id := range slices.Sorted(maps.Keys(u.snapshots)) {
		if !belonging[id] && u.concerns(u.snapshots[id]) {
			result.Snapshots = append(result.Snapshots, u.snapshots[id].result())
		}
	}
	return result
}

func (u *undoing) imageResult(i *image) Image {
	entry := Image{ImageID: i.ImageID, Name: i.Name, Enabled: i.enabled, Snapshots: []Snapshot{}}
	entry.Status, entry.Why = u.judge(i)
	if i.isBack() {
		entry.Name, entry.DeprecatedAt = aws.ToString(i.now.Name), aws.ToString(i.now.DeprecationTime)
	} else if binned, ok := u.bin.images[i.ImageID]; ok {
		entry.Name = binned.text
	}
	for _, id := range i.snapshotIDs() {
		entry.Snapshots = append(entry.Snapshots, u.snapshots[id].result())
	}
	return entry
}

// judge says whether an image is back, and why it is not.
func (u *undoing) judge(i *image) (Status, string) {
	switch {
	case i.refused != nil:
		return NotRestored, "it could not be restored" + because(i.refused) + u.untilWhen(i.ImageID)
	case i.now == nil && i.inBin && i.unseen != nil:
		return NotRestored, "AWS says that it is restored, but it could not be looked at" + because(i.unseen)
	case i.now == nil && i.inBin:
		return NotRestored, "AWS says that it is restored, but does not list it yet"
	case i.now == nil:
		return Gone, i.whyGone(u.wanted.Today)
	case len(i.faults) > 0:
		return Incomplete, strings.Join(i.faults, "; ")
	case i.inBin && i.now.State == types.ImageStateFailed:
		return Restored, "its state is failed, as before"
	case i.inBin:
		return Restored, ""
	case i.announced():
		return Present, "it was there already; its removal is only announced"
	default:
		return Present, "it was there already"
	}
}

// untilWhen says how long the bin holds an image, if it lists it.
func (u *undoing) untilWhen(id string) string {
	listed, ok := u.bin.images[id]
	if !ok {
		return ""
	}
	return "; it stays in the Recycle Bin until " + moment(listed.until)
}

// whyGone says why an image can no longer be restored.
func (i *image) whyGone(now time.Time) string {
	switch {
	case !i.Recorded:
		return "neither the account nor the Recycle Bin holds it"
	case i.S3Location != "":
		return "the Recycle Bin takes in no instance-store images; its bundle may still be at " + i.S3Location
	case i.RestorableUntil.IsZero():
		return "it was never seen in the Recycle Bin"
	case now.Before(i.RestorableUntil):
		return "the Recycle Bin was to hold it until " + moment(i.RestorableUntil) + ", but does not any more"
	default:
		return "it left the Recycle Bin on " + moment(i.RestorableUntil)
	}
}

func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 MST") }

func (s *snapshot) result() Snapshot {
	entry := Snapshot{SnapshotID: s.id, Status: Present, Why: s.fault}
	switch {
	case s.fault != "" && s.now != nil && s.refused == nil:
		entry.Status = Incomplete
	case s.fault != "" && s.inBin:
		entry.Status = NotRestored
	case s.fault != "":
		entry.Status = Gone
	case s.inBin:
		entry.Status = Restored
	}
	return entry
}
