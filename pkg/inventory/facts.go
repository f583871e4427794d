package inventory

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// firstAMI is the day on which EC2 was announced. An earlier date is a mistake.
var firstAMI = time.Date(2006, time.August, 24, 0, 0, 0, 0, time.UTC)

// listedTwice is the fault of a resource that a listing repeats with different facts.
const listedTwice = "listed twice with different facts"

// reader reads facts. It keeps values that many resources share only once in memory: 50,000 images
// and their snapshots, EC2's limit for a region, must leave memory for the rest of the run.
type reader struct {
	texts map[string]string
	tags  map[uint64]map[string]string // By a hash of them.
	seed  maphash.Seed
}

func newReader() *reader {
	return &reader{texts: map[string]string{}, tags: map[uint64]map[string]string{}, seed: maphash.MakeSeed()}
}

// common returns a shared copy of a text that many resources may have.
func (r *reader) common(text string) string {
	known, ok := r.texts[text]
	if !ok {
		r.texts[text], known = text, text
	}
	return known
}

// commonTags returns a shared copy of tags that other resources may have, too.
func (r *reader) commonTags(tags map[string]string) map[string]string {
	var hash uint64
	for key, value := range tags {
		hash ^= maphash.Comparable(r.seed, [2]string{key, value})
	}
	if known, ok := r.tags[hash]; ok && maps.Equal(known, tags) {
		return known
	}
	r.tags[hash] = tags
	return tags
}

func mergeImages(images []ami.Image) []ami.Image {
	return merge(images, func(i ami.Image) string { return i.ID }, func(image ami.Image, others []ami.Image) ami.Image {
		for _, other := range others {
			image.SnapshotIDs = sorted(slices.Concat(image.SnapshotIDs, other.SnapshotIDs))
			if !isCopy(image) && isCopy(other) {
				image.SourceImageID, image.SourceRegion, image.SourceInstanceID = other.SourceImageID, other.SourceRegion, ""
			}
		}
		image.CreatedAt = time.Time{} // As a copy, it keeps its source whatever its date.
		image.Unreadable = append(slices.Clone(image.Unreadable), listedTwice)
		return image
	})
}

func isCopy(image ami.Image) bool {
	_, _, copied := image.CopiedFrom("")
	return copied
}

func (r *reader) readImage(image *types.Image) ami.Image {
	read := ami.Image{
		ID:               aws.ToString(image.ImageId),
		Name:             aws.ToString(image.Name),
		OwnerID:          r.common(aws.ToString(image.OwnerId)),
		OwnerAlias:       r.common(aws.ToString(image.ImageOwnerAlias)),
		State:            r.common(string(image.State)),
		Architecture:     r.common(string(image.Architecture)),
		Public:           aws.ToBool(image.Public),
		Protection:       r.common(aws.ToString(image.DeregistrationProtection)),
		SourceImageID:    aws.ToString(image.SourceImageId),
		SourceRegion:     r.common(aws.ToString(image.SourceImageRegion)),
		SourceInstanceID: aws.ToString(image.SourceInstanceId),
		SnapshotIDs:      mappedSnapshots(image.BlockDeviceMappings),
	}
	read.Marketplace = slices.ContainsFunc(image.ProductCodes, func(code types.ProductCode) bool {
		return code.ProductCodeType == types.ProductCodeValuesMarketplace
	})
	if image.RootDeviceType == types.DeviceTypeInstanceStore {
		read.S3Location = aws.ToString(image.ImageLocation)
	}
	var fault string
	if read.Tags, fault = r.readTags(image.Tags); fault != "" {
		read.Unreadable = append(read.Unreadable, fault)
	}
	if kind := image.ImageType; kind != "" && kind != types.ImageTypeValuesMachine {
		read.Unreadable = append(read.Unreadable, fmt.Sprintf("image type %q", kind))
	}
	if read.ID == "" {
		read.Unreadable = append(read.Unreadable, "no image id")
	}
	read.CreatedAt = readDate(&read, "creation date", image.CreationDate)
	read.LastLaunchedAt = readDate(&read, "last launched time", image.LastLaunchedTime)
	read.DeprecatedAt = readDate(&read, "deprecation time", image.DeprecationTime)
	return read
}

// readDate reads a date of an image, or notes it as unreadable. EC2 gives RFC 3339, with or without
// fractions of a second; a missing date is zero.
func readDate(image *ami.Image, fact string, text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, *text)
	if err != nil || at.Before(firstAMI) {
		image.Unreadable = append(image.Unreadable, fmt.Sprintf("%s %q", fact, *text))
		return time.Time{}
	}
	return at.UTC()
}

// mappedSnapshots leaves out mappings without a snapshot: instance stores, blank volumes and
// suppressed devices.
func mappedSnapshots(mappings []types.BlockDeviceMapping) []string {
	var ids []string
	for _, mapping := range mappings {
		if mapping.Ebs != nil && aws.ToString(mapping.Ebs.SnapshotId) != "" {
			ids = append(ids, *mapping.Ebs.SnapshotId)
		}
	}
	return sorted(ids)
}

// readTags returns the tags of a resource, and a phrase that says which tags contradict each other,
// if any. The result must not be changed: other resources may share it.
func (r *reader) readTags(listed []types.Tag) (tags map[string]string, fault string) {
	tags = make(map[string]string, len(listed))
	for _, tag := range listed {
		key, value := r.common(aws.ToString(tag.Key)), aws.ToString(tag.Value)
		if known, ok := tags[key]; ok && known != value {
			contradiction := fmt.Sprintf("tag %q with several values", key)
			fault = min(cmp.Or(fault, contradiction), contradiction)
			value = min(known, value)
		}
		tags[key] = value
	}
	return r.commonTags(tags), fault
}

// readLock adds the state of a snapshot lock to locks.
func readLock(locks map[string]string, lock types.LockedSnapshotsInfo) {
	id, state := aws.ToString(lock.SnapshotId), string(lock.LockState)
	if known, ok := locks[id]; ok && known != state {
		state = "listed with several states"
	}
	locks[id] = cmp.Or(state, "in an unknown state")
}

func (r *reader) readSnapshot(snapshot *types.Snapshot) ami.Snapshot {
	tags, fault := r.readTags(snapshot.Tags)
	return ami.Snapshot{
		ID:         aws.ToString(snapshot.SnapshotId),
		SizeGiB:    int64(aws.ToInt32(snapshot.VolumeSize)),
		Archived:   snapshot.StorageTier == types.StorageTierArchive,
		ImageID:    madeFor(snapshot),
		Imported:   strings.HasPrefix(aws.ToString(snapshot.Description), madeByImport),
		StartedAt:  aws.ToTime(snapshot.StartTime).UTC(),
		Tags:       tags,
		Unreadable: fault,

		NamesVolume: namesVolume(snapshot),
		Special:     special(snapshot),
	}
}

// special says why a snapshot is not a completed one of the account's own in its region (EC2 API
// Reference, Snapshot).
func special(snapshot *types.Snapshot) string {
	switch {
	case aws.ToString(snapshot.OwnerAlias) != "":
		return "managed by AWS (" + *snapshot.OwnerAlias + ")"
	case snapshot.RestoreExpiryTime != nil:
		return "it is restored from the archive tier for a while"
	case snapshot.State != "" && snapshot.State != types.SnapshotStateCompleted:
		return "its state is " + string(snapshot.State)
	case aws.ToString(snapshot.OutpostArn) != "":
		return "it is on an Outpost"
	case aws.ToString(snapshot.AvailabilityZone) != "":
		return "it is kept in " + strings.Clone(*snapshot.AvailabilityZone)
	default:
		return ""
	}
}

func mergeSnapshots(snapshots []ami.Snapshot) []ami.Snapshot {
	return merge(snapshots, func(s ami.Snapshot) string { return s.ID }, func(snapshot ami.Snapshot, _ []ami.Snapshot) ami.Snapshot {
		snapshot.Unreadable = listedTwice
		return snapshot
	})
}

// merge removes duplicates from a listing. If duplicates differ, it keeps the first one in their
// own order, not the listing's, and lets differ mark it. Resources without an id are all kept.
func merge[T any](resources []T, id func(T) string, differ func(T, []T) T) []T {
	merged := resources[:0] // Never longer than the part that was already read.
	index, repeated := map[string]int{}, map[string][]T{}
	for _, resource := range resources {
		i, known := index[id(resource)]
		if known && !reflect.DeepEqual(merged[i], resource) {
			repeated[id(resource)] = append(repeated[id(resource)], resource)
		}
		if !known || id(resource) == "" {
			index[id(resource)] = len(merged)
			merged = append(merged, resource)
		}
	}
	delete(repeated, "")
	for id, others := range repeated {
		faces := append(others, merged[index[id]])
		slices.SortFunc(faces, func(a, b T) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		merged[index[id]] = differ(faces[0], faces[1:])
	}
	return merged
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
