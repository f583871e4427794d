package undo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// pageSize is what every listing of images and snapshots asks for.
const pageSize = 1000

// Bin is what the Recycle Bin of one region holds, and which runs have declared removals, in the
// bin or not.
type Bin struct {
	images    map[string]item
	snapshots map[string]item
	runs      map[string]string // By id of an image or a snapshot; empty if the tags name no run.
	made      map[purpose][]string
}

// item is an image or a snapshot in the bin.
type item struct {
	text           string // The name of an image, the description of a snapshot.
	removed, until time.Time
}

// Look reads the Recycle Bin of a region, and the tags with which runs have declared removals: all
// of it, or an error. An announced image carries the tag of a run, too, but not the tag that
// declares its removal.
func Look(ctx context.Context, api API) (*Bin, error) {
	bin := &Bin{}
	var err error
	if bin.images, err = listImagesInBin(ctx, api); err != nil {
		return nil, fmt.Errorf("listing the images in the Recycle Bin: %s", wire.Explain(err))
	}
	if bin.snapshots, err = listSnapshotsInBin(ctx, api); err != nil {
		return nil, fmt.Errorf("listing the snapshots in the Recycle Bin: %s", wire.Explain(err))
	}
	if bin.runs, err = listDeclared(ctx, api); err != nil {
		return nil, fmt.Errorf("listing tags: %s", wire.Explain(err))
	}
	bin.made = bin.purposes()
	return bin, nil
}

// Run returns the run that has declared the removal of an image; empty if none has, or if its tags
// do not name it.
func (b *Bin) Run(imageID string) string { return b.runs[imageID] }

// Removal is an image or a snapshot that a run has removed, and that the Recycle Bin still holds.
type Removal struct {
	Run        string    `json:"run"` // Empty if its tags do not name it.
	ImageID    string    `json:"imageId,omitempty"`
	SnapshotID string    `json:"snapshotId,omitempty"` // Only where the image is not in the bin.
	Name       string    `json:"name"`                 // For a snapshot, its description.
	Region     string    `json:"region"`
	RemovedAt  time.Time `json:"removedAt"`
	InBinUntil time.Time `json:"inBinUntil"` // When it leaves the bin for good, as AWS says.

	// RestorableUntil is until when an undo brings it back with all its snapshots: the first of
	// them leaves the bin then. It is zero if an undo does not, or if nobody knows.
	RestorableUntil time.Time `json:"restorableUntil,omitzero"`
	Why             string    `json:"why,omitempty"` // Why it is zero, or what it depends on.
}

// Images returns the ids of the images in the bin that runs have removed; sorted.
func (b *Bin) Images() []string {
	var ids []string
	for id := range b.images {
		if _, ok := b.runs[id]; ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Removals returns what runs have removed and the bin still holds: the images, and the snapshots of
// runs that have no image in the bin. What others have removed is left out. They are sorted by the
// latest run, and by name and id. Known is what the records say of the images. An error means that
// the account's snapshots could not be listed.
func (b *Bin) Removals(ctx context.Context, api ec2.DescribeSnapshotsAPIClient, region string, known []Removed) ([]Removal, error) {
	byID, needed := map[string]Removed{}, []string{}
	for _, removed := range known {
		byID[removed.ImageID] = removed
		needed = append(needed, removed.Snapshots...)
	}
	slices.Sort(needed)
	inAccount, err := listSnapshots(ctx, api, slices.DeleteFunc(slices.Compact(needed), func(id string) bool { _, inBin := b.snapshots[id]; return inBin }))
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	removals := []Removal{}
	withImage := map[string]bool{} // Runs with an image in the bin.
	for _, id := range b.Images() {
		image, run := b.images[id], b.runs[id]
		withImage[run] = true
		removal := Removal{Run: run, ImageID: id, Name: image.text, Region: region, RemovedAt: image.removed, InBinUntil: image.until}
		removal.RestorableUntil, removal.Why = b.promise(id, byID[id], inAccount)
		removals = append(removals, removal)
	}
	for id, snapshot := range b.snapshots {
		if run, ok := b.runs[id]; ok && !withImage[run] {
			removals = append(removals, Removal{
				Run: run, SnapshotID: id, Name: snapshot.text, Region: region, RemovedAt: snapshot.removed,
				InBinUntil: snapshot.until, RestorableUntil: snapshot.until,
			})
		}
	}
	slices.SortFunc(removals, func(a, b Removal) int {
		return cmp.Or(strings.Compare(b.Run, a.Run), strings.Compare(a.Name, b.Name), strings.Compare(a.ImageID+a.SnapshotID, b.ImageID+b.SnapshotID))
	})
	return removals, nil
}

// mostNamed is how many snapshots a promise names.
const mostNamed = 3

// promise returns until when an undo brings an image in the bin back with its snapshots, and what
// that depends on; zero and why, if it does not, or if nobody knows. The bin does not say which
// snapshots an image maps (EC2 API Reference, ImageRecycleBinInfo), but the record of the run does.
// Without a record they are those in the bin that were made for the image, or else those of the
// same run whose image is unknown; and it may map others.
func (b *Bin) promise(imageID string, known Removed, inAccount map[string]*types.Snapshot) (until time.Time, why string) {
	until = b.images[imageID].until
	snapshots := known.Snapshots
	if !known.Recorded {
		if snapshots = b.snapshotsOf(imageID); len(snapshots) == 0 {
			snapshots = b.made[purpose{run: b.runs[imageID]}]
		}
	}
	switch n := len(snapshots); {
	case known.Recorded:
	case n == 0:
		return time.Time{}, "no record says which snapshots it needs, and the Recycle Bin holds none that may be its own"
	case n > mostNamed:
		why = fmt.Sprintf("if it needs no snapshot but some of %s and %d more, of which there is no record", strings.Join(snapshots[:mostNamed], ", "), n-mostNamed)
	default:
		why = "if it needs no snapshot but " + strings.Join(snapshots, ", ") + ", of which there is no record"
	}
	for _, id := range snapshots {
		item, inBin := b.snapshots[id]
		switch {
		case inBin && item.until.Before(until):
			until = item.until
		case !inBin && inAccount[id] == nil:
			return time.Time{}, "neither the account nor the Recycle Bin holds its snapshot " + id
		}
	}
	return until, why
}

// mayBeOf reports whether a run may have removed an image although its removal was not confirmed:
// the removal is declared, or the image is in the bin, and no tag names another run.
func (b *Bin) mayBeOf(run, imageID string) bool {
	by, declared := b.runs[imageID]
	_, inBin := b.images[imageID]
	return (declared || inBin) && (by == "" || by == run)
}

// declaredBy returns the ids of what a run has declared, with a prefix such as "ami-"; sorted.
func (b *Bin) declaredBy(run, prefix string) []string {
	var ids []string
	for id, by := range b.runs {
		if by == run && strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// madeFor is how EC2 ends the description of a snapshot that it makes for an image, and how it
// begins that of a snapshot that it copies with an image.
var madeFor = regexp.MustCompile(`\b(?:for|DestinationAmi) (ami-[0-9a-z]+)`)

// snapshotsOf returns the snapshots in the bin whose descriptions name an image, and that the same
// run has declared; sorted. It is the only source where there is no record.
func (b *Bin) snapshotsOf(imageID string) []string {
	run, declared := b.runs[imageID]
	if !declared {
		return nil
	}
	return b.made[purpose{run, imageID}]
}

// purpose is the run that has declared the deletion of a snapshot, and the image that the
// snapshot's description names; empty if it names none.
type purpose struct{ run, imageID string }

// purposes returns the snapshots in the bin that runs have declared, by their purpose; sorted.
func (b *Bin) purposes() map[purpose][]string {
	made := map[purpose][]string{}
	for _, id := range slices.Sorted(maps.Keys(b.snapshots)) {
		if run, declared := b.runs[id]; declared {
			of := purpose{run: run}
			if named := madeFor.FindStringSubmatch(b.snapshots[id].text); named != nil {
				of.imageID = named[1]
			}
			made[of] = append(made[of], id)
		}
	}
	return made
}

// listImagesInBin lists all of the bin. To ask for ids would take a call for every 20, and the call
// would fail for an id that is not there.
func listImagesInBin(ctx context.Context, api ec2.ListImagesInRecycleBinAPIClient) (map[string]item, error) {
	images := map[string]item{}
	err := recyclebin.EachImage(ctx, api, nil, func(image *types.ImageRecycleBinInfo) {
		images[aws.ToString(image.ImageId)] = item{
			aws.ToString(image.Name), aws.ToTime(image.RecycleBinEnterTime), aws.ToTime(image.RecycleBinExitTime),
		}
	})
	return images, err
}

func listSnapshotsInBin(ctx context.Context, api ec2.ListSnapshotsInRecycleBinAPIClient) (map[string]item, error) {
	snapshots := map[string]item{}
	err := recyclebin.EachSnapshot(ctx, api, nil, func(snapshot *types.SnapshotRecycleBinInfo) {
		snapshots[aws.ToString(snapshot.SnapshotId)] = item{
			aws.ToString(snapshot.Description), aws.ToTime(snapshot.RecycleBinEnterTime), aws.ToTime(snapshot.RecycleBinExitTime),
		}
	})
	return snapshots, err
}

// listDeclared lists the images and snapshots that carry the tag of a declared removal, with the
// run of each.
func listDeclared(ctx context.Context, api ec2.DescribeTagsAPIClient) (map[string]string, error) {
	all := types.Filter{Name: aws.String("resource-type"), Values: []string{string(types.ResourceTypeImage), string(types.ResourceTypeSnapshot)}}
	found, err := wire.FindTags(ctx, api, all, ami.IntentTag, ami.RunTag)
	declared := map[string]string{}
	for id, tags := range found {
		if tags[ami.IntentTag] == ami.Intent {
			declared[id] = tags[ami.RunTag]
		}
	}
	return declared, err
}
