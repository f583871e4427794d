package undo

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/wire"
)

// pageSize is what every listing asks for: DescribeTags and the two listings of the Recycle Bin allow no more (EC2 API
// Reference).
const pageSize = 1000

// Bin is what the Recycle Bin of one region holds, and which run has declared the removal of what, be it in the bin or not.
type Bin struct {
	images    map[string]item
	snapshots map[string]item
	runs      map[string]string // By the id of an image or a snapshot; an empty run is one that the tags do not name.
}

// item is an image or a snapshot in the bin.
type item struct {
	text           string // The name of an image, the description of a snapshot.
	removed, until time.Time
}

// Look reads the Recycle Bin of a region, and the tags with which runs have declared removals: all of it, or an error. An
// image that is announced carries the tag of a run as well, but not the one that declares its removal.
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
	return bin, nil
}

// Run returns the run that has declared the removal of an image; empty if none has, or if its tags do not name it.
func (b *Bin) Run(imageID string) string { return b.runs[imageID] }

// Removal is an image or a snapshot that a run has removed, and that the Recycle Bin still holds.
type Removal struct {
	Run             string    `json:"run"` // Empty if its tags do not name it.
	ImageID         string    `json:"imageId,omitempty"`
	SnapshotID      string    `json:"snapshotId,omitempty"` // Only where the image is not in the bin.
	Name            string    `json:"name"`                 // Of an image; the description of a snapshot.
	Region          string    `json:"region"`
	RemovedAt       time.Time `json:"removedAt"`
	RestorableUntil time.Time `json:"restorableUntil"` // When it leaves the bin for good, as AWS says.
}

// Removals returns what runs have removed and the bin still holds: the images, and the snapshots of runs of which no image
// is in it. What others have removed is left out. They are sorted by the latest run, and by name and id.
func (b *Bin) Removals(region string) []Removal {
	removals := []Removal{}
	whole := map[string]bool{} // Runs with an image in the bin.
	for id, image := range b.images {
		if run, ok := b.runs[id]; ok {
			whole[run] = true
			removals = append(removals, Removal{Run: run, ImageID: id, Name: image.text, Region: region, RemovedAt: image.removed, RestorableUntil: image.until})
		}
	}
	for id, snapshot := range b.snapshots {
		if run, ok := b.runs[id]; ok && !whole[run] {
			removals = append(removals, Removal{Run: run, SnapshotID: id, Name: snapshot.text, Region: region, RemovedAt: snapshot.removed, RestorableUntil: snapshot.until})
		}
	}
	slices.SortFunc(removals, func(a, b Removal) int {
		return cmp.Or(strings.Compare(b.Run, a.Run), strings.Compare(a.Name, b.Name), strings.Compare(a.ImageID+a.SnapshotID, b.ImageID+b.SnapshotID))
	})
	return removals
}

// mayBeOf reports whether a run may have removed an image of which it does not know: its removal is declared, or it is in the
// bin, and no tag says that this was another run.
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

// madeFor is how EC2 ends the description of a snapshot that it makes for an image, and how it begins that of one it copies
// along with an image.
var madeFor = regexp.MustCompile(`\b(?:for|DestinationAmi) (ami-[0-9a-z]+)`)

// snapshotsOf returns the snapshots in the bin that say of themselves that they were made for an image, and that the same
// run has declared; sorted. Where no record tells, nothing else does.
func (b *Bin) snapshotsOf(imageID string) []string {
	run, declared := b.runs[imageID]
	if !declared {
		return nil
	}
	var ids []string
	for id, snapshot := range b.snapshots {
		by, declared := b.runs[id]
		named := madeFor.FindStringSubmatch(snapshot.text)
		if declared && by == run && named != nil && named[1] == imageID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// listImagesInBin lists all of the bin and asks for no ids, of which a call takes 20, and of which one may not be there.
func listImagesInBin(ctx context.Context, api ec2.ListImagesInRecycleBinAPIClient) (map[string]item, error) {
	images := map[string]item{}
	pages := ec2.NewListImagesInRecycleBinPaginator(api, &ec2.ListImagesInRecycleBinInput{MaxResults: aws.Int32(pageSize)})
	err := wire.EachPage(ctx, pages, func(page *ec2.ListImagesInRecycleBinOutput) *string {
		for _, image := range page.Images {
			images[aws.ToString(image.ImageId)] = item{
				aws.ToString(image.Name), aws.ToTime(image.RecycleBinEnterTime), aws.ToTime(image.RecycleBinExitTime),
			}
		}
		return page.NextToken
	})
	return images, err
}

func listSnapshotsInBin(ctx context.Context, api ec2.ListSnapshotsInRecycleBinAPIClient) (map[string]item, error) {
	snapshots := map[string]item{}
	pages := ec2.NewListSnapshotsInRecycleBinPaginator(api, &ec2.ListSnapshotsInRecycleBinInput{MaxResults: aws.Int32(pageSize)})
	err := wire.EachPage(ctx, pages, func(page *ec2.ListSnapshotsInRecycleBinOutput) *string {
		for _, snapshot := range page.Snapshots {
			snapshots[aws.ToString(snapshot.SnapshotId)] = item{
				aws.ToString(snapshot.Description), aws.ToTime(snapshot.RecycleBinEnterTime), aws.ToTime(snapshot.RecycleBinExitTime),
			}
		}
		return page.NextToken
	})
	return snapshots, err
}

// listDeclared lists the images and snapshots that carry the tag of a declared removal, with the run of each.
func listDeclared(ctx context.Context, api ec2.DescribeTagsAPIClient) (map[string]string, error) {
	declared, runs := map[string]string{}, map[string]string{}
	pages := ec2.NewDescribeTagsPaginator(api, &ec2.DescribeTagsInput{
		Filters: []types.Filter{
			{Name: aws.String("key"), Values: []string{retention.IntentTag, retention.RunTag}},
			{Name: aws.String("resource-type"), Values: []string{string(types.ResourceTypeImage), string(types.ResourceTypeSnapshot)}},
		},
		MaxResults: aws.Int32(pageSize),
	})
	err := wire.EachPage(ctx, pages, func(page *ec2.DescribeTagsOutput) *string {
		for _, tag := range page.Tags {
			switch id, value := aws.ToString(tag.ResourceId), aws.ToString(tag.Value); {
			case aws.ToString(tag.Key) == retention.RunTag:
				runs[id] = value
			case aws.ToString(tag.Key) == retention.IntentTag && value == retention.Intent:
				declared[id] = ""
			}
		}
		return page.NextToken
	})
	for id := range declared {
		declared[id] = runs[id]
	}
	return declared, err
}
