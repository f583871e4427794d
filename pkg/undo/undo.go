// Package undo brings back what runs have removed, as long as the Recycle Bin holds it.
//
// It touches what it is asked for and nothing else. An undo that was interrupted can be repeated,
// and goes on where it ended: an image carries the tags of its removal until it is back with all
// its snapshots, and carries the tag that says so. Either tag makes the rules keep it.
package undo

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// API is what undoing needs of EC2.
type API interface {
	ec2.DescribeImagesAPIClient
	ec2.DescribeSnapshotsAPIClient
	ec2.DescribeTagsAPIClient
	ec2.ListImagesInRecycleBinAPIClient
	ec2.ListSnapshotsInRecycleBinAPIClient
	RestoreImageFromRecycleBin(context.Context, *ec2.RestoreImageFromRecycleBinInput, ...func(*ec2.Options)) (*ec2.RestoreImageFromRecycleBinOutput, error)
	RestoreSnapshotFromRecycleBin(context.Context, *ec2.RestoreSnapshotFromRecycleBinInput, ...func(*ec2.Options)) (*ec2.RestoreSnapshotFromRecycleBinOutput, error)
	EnableImage(context.Context, *ec2.EnableImageInput, ...func(*ec2.Options)) (*ec2.EnableImageOutput, error)
	wire.TagsAPI
}

// Request is what must be brought back in one region.
type Request struct {
	Run    string    // All that this run has declared, by its tags; empty for nothing.
	Images []Removed // These, too, whatever their tags say; each once.
	Today  time.Time // The day that is noted as the day of the undo, in UTC.

	Step func(done, total int) // Called as images come back; may be nil.
}

// Removed is what is known of a removed image apart from its tags.
type Removed struct {
	ImageID string
	Name    string

	Recorded        bool      // The record of a run says what follows.
	Doubtful        bool      // The removal was not confirmed, or refused.
	Snapshots       []string  // All that the image mapped.
	RestorableUntil time.Time // When it leaves the Recycle Bin; zero if never seen there.
	HasFailed       bool      // It was in state failed before.
	S3Location      string    // The bundle of an instance-store image; empty for others.
}

// Result is what is back in one region, and what is not.
type Result struct {
	Images    []Image    `json:"images"`    // By id.
	Snapshots []Snapshot `json:"snapshots"` // Snapshots of the run without an image; by id.

	Bundles []Bundle `json:"bundles,omitempty"` // Of instance-store images; by the id of the image.
}

// Image is what became of one image.
type Image struct {
	ImageID      string     `json:"imageId"`
	Name         string     `json:"name"`
	Status       Status     `json:"status"`
	Why          string     `json:"why"` // Why it is not completely back, or a remark.
	Enabled      bool       `json:"enabled,omitempty"`
	DeprecatedAt string     `json:"deprecatedAt,omitempty"` // Which the image keeps.
	Snapshots    []Snapshot `json:"snapshots"`
}

// Snapshot is what became of one snapshot.
type Snapshot struct {
	SnapshotID string `json:"snapshotId"`
	Status     Status `json:"status"`
	Why        string `json:"why"`
}

// Status says what became of an image or a snapshot.
type Status string

const (
	// Restored means that it was in the Recycle Bin and is back.
	Restored Status = "restored"
	// Present means that it was there already.
	Present Status = "present"
	// Incomplete means that it is there, but that something is wrong or left to be done.
	Incomplete Status = "incomplete"
	// NotRestored means that it is in the Recycle Bin, or was when the undo began, and is not known
	// to be back.
	NotRestored Status = "not-restored"
	// Gone means that neither the account nor the Recycle Bin holds it.
	Gone Status = "gone"
)

// Back reports whether all of it is there.
func (s Status) Back() bool { return s == Restored || s == Present }

// undoing is the state of an undo.
type undoing struct {
	api       API
	bin       *Bin
	wanted    Request
	images    []*image // By id.
	snapshots map[string]*snapshot
}

type image struct {
	Removed
	inBin    bool         // When the undo began, as far as that is known.
	was, now *types.Image // As the account listed it before, and last; nil if it did not.
	refused  error        // Why the last attempt to restore it failed.
	unseen   error        // Why the last listing of it failed.
	disabled error        // Why it could not be enabled.
	enabled  bool
	faults   []string
}

type snapshot struct {
	id       string
	inBin    bool
	was, now *types.Snapshot
	refused  error
	fault    string
}

// Run brings back what is wanted of a bin and puts its tags in order. An error means that nothing
// was tried; what fails later is in the result.
//
// The snapshots come first, because an image cannot be restored without them (EBS User Guide,
// "Recover deleted AMIs").
func Run(ctx context.Context, api API, bin *Bin, wanted Request) (Result, error) {
	u := begin(api, bin, wanted)
	if err := u.findPresent(ctx); err != nil {
		return Result{}, err
	}
	u.restoreSnapshots(ctx, slices.Collect(maps.Values(u.snapshots)))
	u.restoreImages(ctx)
	u.awaitImages(ctx)
	u.enable(ctx)
	u.checkSnapshots(ctx)
	u.putTagsInOrder(ctx)
	return u.result(), nil
}

// findPresent finds out what is there already. The rest is in the bin if it carries the tags of its
// removal, even if the bin does not list it so soon after the removal.
func (u *undoing) findPresent(ctx context.Context) error {
	images, err := listImages(ctx, u.api, ids(u.images))
	if err != nil {
		return err
	}
	snapshots, err := u.listSnapshots(ctx)
	if err != nil {
		return err
	}
	for _, i := range u.images {
		i.was, i.now = images[i.ImageID], images[i.ImageID]
		_, declared := u.bin.runs[i.ImageID]
		i.inBin = i.inBin || declared && i.was == nil
	}
	for id, s := range u.snapshots {
		s.was = snapshots[id]
		_, declared := u.bin.runs[id]
		s.inBin = s.inBin || declared && s.was == nil
	}
	return nil
}

// begin works out what must be dealt with.
func begin(api API, bin *Bin, wanted Request) *undoing {
	if wanted.Step == nil {
		wanted.Step = func(int, int) {}
	}
	u := &undoing{api: api, bin: bin, wanted: wanted, snapshots: map[string]*snapshot{}}
	if wanted.Run != "" {
		for _, id := range bin.declaredBy(wanted.Run, "snap-") {
			u.snapshot(id)
		}
	}
	byID := wanted.byID(bin)
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		_, inBin := bin.images[id]
		i := &image{Removed: byID[id], inBin: inBin}
		if inBin && !i.Recorded {
			i.Snapshots = bin.snapshotsOf(id)
		}
		for _, snapshotID := range i.Snapshots {
			u.snapshot(snapshotID)
		}
		u.images = append(u.images, i)
	}
	return u
}

// byID returns the images that must be brought back, by id.
func (w Request) byID(bin *Bin) map[string]Removed {
	found := map[string]Removed{}
	if w.Run != "" {
		for _, id := range bin.declaredBy(w.Run, "ami-") {
			found[id] = Removed{ImageID: id}
		}
	}
	for _, removed := range w.Images {
		if !removed.Doubtful || bin.mayBeOf(w.Run, removed.ImageID) {
			found[removed.ImageID] = removed
		}
	}
	return found
}

// snapshot returns a snapshot by its id, and adds it if it is new.
func (u *undoing) snapshot(id string) *snapshot {
	if u.snapshots[id] == nil {
		_, inBin := u.bin.snapshots[id]
		u.snapshots[id] = &snapshot{id: id, inBin: inBin}
	}
	return u.snapshots[id]
}

func ids(images []*image) []string {
	found := make([]string, len(images))
	for n, i := range images {
		found[n] = i.ImageID
	}
	return found
}

// isBack reports whether an image is there. An image that the bin still holds is not: a listing of
// images that shows it may be older than its removal.
func (i *image) isBack() bool { return i.now != nil && i.refused == nil }

// tag returns the value of a tag, and whether it is there.
func tag(tags []types.Tag, key string) (string, bool) {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value), true
		}
	}
	return "", false
}

func hasTag(tags []types.Tag, key string) bool {
	_, found := tag(tags, key)
	return found
}

// mapped returns the ids of the snapshots that an image maps.
func mapped(image *types.Image) []string {
	var found []string
	for _, mapping := range image.BlockDeviceMappings {
		if mapping.Ebs != nil && aws.ToString(mapping.Ebs.SnapshotId) != "" {
			found = append(found, *mapping.Ebs.SnapshotId)
		}
	}
	return found
}

// snapshotIDs are the snapshots of an image: those that it maps, or is known to have mapped.
func (i *image) snapshotIDs() []string {
	found := i.Snapshots
	if i.isBack() {
		found = mapped(i.now)
	}
	return slices.Compact(slices.Sorted(slices.Values(found)))
}

// announced reports whether the removal of an image that was there is announced, or partly
// announced, but not declared. An undo leaves that alone; unmark takes it back.
func (i *image) announced() bool {
	if i.inBin || i.was == nil || hasTag(i.was.Tags, ami.IntentTag) {
		return false
	}
	return hasTag(i.was.Tags, ami.DueTag) || hasTag(i.was.Tags, ami.AnnouncedByTag) || hasTag(i.was.Tags, ami.DisabledTag)
}

func (i *image) fault(parts ...string) { i.faults = append(i.faults, strings.Join(parts, "")) }
