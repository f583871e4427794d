package emulator

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// inBinTag is the system tag of everything in the Recycle Bin, with the value "true" (Amazon EBS
// User Guide, "Considerations for Recycle Bin").
const inBinTag = "aws:recycle-bin:resource-in-bin"

// Limits on the ids of one request for what is in the Recycle Bin. EC2 documents the one for images
// (EC2 API Reference, ListImagesInRecycleBin); the one for snapshots is what it asks of all
// requests ("Query requests").
const (
	maxBinnedImages    = 20
	maxBinnedSnapshots = 1000
)

// binned is a kind of resource that the Recycle Bin takes in.
type binned struct {
	ruleType    string   // What retention rules call it.
	file        string   // Those of the account.
	bin         string   // Those in the Recycle Bin.
	permissions string   // Who else may use them.
	key         string   // Of an id.
	prefix      string   // Of an id's value.
	whole       string   // The field of an entry in the bin that has the whole resource.
	shown       []string // What EC2 shows of a resource in the bin.
	state       string   // That of a resource when the bin has only what EC2 shows of it.

	malformed, notFound string // EC2's error codes.
}

var (
	binnedImage = binned{
		ruleType: "EC2_IMAGE", file: imagesFile, bin: imageBinFile, permissions: launchPermissionsFile,
		key: "ImageId", prefix: "ami-", whole: "Image", shown: []string{"Description", "ImageId", "Name"}, state: "available",
		malformed: "InvalidAMIID.Malformed", notFound: "InvalidAMIID.NotFound",
	}
	binnedSnapshot = binned{
		ruleType: "EBS_SNAPSHOT", file: snapshotsFile, bin: snapshotBinFile, permissions: volumePermissionsFile,
		key: "SnapshotId", prefix: "snap-", whole: "Snapshot", shown: []string{"Description", "SnapshotId", "VolumeId"}, state: "completed",
		malformed: "InvalidSnapshotID.Malformed", notFound: "InvalidSnapshot.NotFound",
	}
)

// binSettings are how the Recycle Bin behaves. Zero is at once, and with what there is.
type binSettings struct {
	listed   int           // From which listing after its removal on a resource is listed.
	unseen   time.Duration // For how long rules do not see a tag.
	pending  time.Duration // For how long a new rule is pending.
	restored time.Duration // For how long a restored image is pending.
}

// binState is what the account directory cannot say of one region's Recycle Bin.
type binState struct {
	// How many listings have to begin until one shows a resource, by id.
	unlisted map[string]int
	tagged   map[string]time.Time // When a tag was given its value, by tagOf.
	pending  map[string]restoring // The images that are being restored, by id.
	// When the first of what is in the bin leaves it, by file; unknown if it has no entry.
	exits map[string]time.Time
}

// restoring is an image that has left the Recycle Bin, and is pending yet.
type restoring struct {
	until time.Time
	state string // The one that it has from then on.
}

func newBinState() binState {
	return binState{unlisted: map[string]int{}, tagged: map[string]time.Time{}, pending: map[string]restoring{}, exits: map[string]time.Time{}}
}

// SetBinLag makes the Recycle Bin slow to show what it holds: what is removed from now on is listed
// from the n-th listing of its kind after its removal on. All pages of a listing are one. To
// restore it works at once. AWS documents no delay.
func (a *Account) SetBinLag(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bins.listed = n
}

// SetRuleLag makes the Recycle Bin slow to see tags: a resource whose tag was written, or was given
// another value, less than d before its removal is not retained by the rules that name the tag.
// Rules that exclude a tag see it at once. AWS does not document whether a tag that is written just
// before the removal counts.
func (a *Account) SetRuleLag(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bins.unseen = d
}

// SetRuleDelay makes the rules that are created from now on pending for d. AWS documents up to 30
// minutes for the first rule of a region, and next to none for further ones.
func (a *Account) SetRuleDelay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bins.pending = d
}

// SetRestoreDelay makes the images that are restored from now on pending for d. AWS documents no
// delay.
func (a *Account) SetRestoreDelay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bins.restored = d
}

// settle brings the region to the present: rules that are due come into force, restored images
// become available, and what has been in the Recycle Bin for long enough is gone for good.
func (a *Account) settle(r *region) {
	for _, rule := range r.items(rulesFile) {
		if at, ok := instant(text(rule, "AvailableTime")); ok && text(rule, "Status") == "pending" && !a.now().Before(at) {
			rule["Status"] = "available"
			delete(rule, "AvailableTime")
		}
	}
	for id, due := range r.bin.pending {
		if !a.now().Before(due.until) {
			delete(r.bin.pending, id)
			for _, image := range r.entries(imagesFile, "ImageId", id) {
				image["State"] = due.state
			}
		}
	}
	a.settleWritten(r)
	a.empty(r)
}

// empty removes for good what has been in the Recycle Bin for long enough. It looks at all that is
// in there only when something is due.
func (a *Account) empty(r *region) {
	for _, b := range []binned{binnedImage, binnedSnapshot} {
		if first, ok := r.bin.exits[b.bin]; ok && a.now().Before(first) {
			continue
		}
		delete(r.bin.exits, b.bin)
		r.documents[b.bin].removeIf(func(entry object) bool {
			exit, ok := instant(text(entry, "RecycleBinExitTime"))
			expired := ok && !a.now().Before(exit)
			if expired {
				r.forget(b, text(entry, b.key))
			} else {
				r.bin.expect(b, entry)
			}
			return expired
		})
	}
}

// expect notes when an entry is going to leave the Recycle Bin, if it is the first to do so.
func (s *binState) expect(b binned, entry object) {
	exit, ok := instant(text(entry, "RecycleBinExitTime"))
	if first, others := s.exits[b.bin]; ok && (!others || exit.Before(first)) {
		s.exits[b.bin] = exit
	}
}

// forget removes the last data of a resource that is gone for good.
func (r *region) forget(b binned, id string) {
	r.gone[id] = true
	delete(r.documents[b.permissions].fields, id)
	delete(r.bin.unlisted, id)
	delete(r.retagged, id)
}

// hasLeft reports whether an id is that of a resource which was in the account, and is no longer:
// it is gone for good, or in the Recycle Bin.
func (r *region) hasLeft(id string) bool {
	return r.gone[id] || r.find(imageBinFile, "ImageId", id) != nil || r.find(snapshotBinFile, "SnapshotId", id) != nil
}

// discard removes a resource: to the Recycle Bin if a rule retains it, else for good.
func (c *call) discard(b binned, id string) {
	resource := c.region.find(b.file, b.key, id)
	days := c.retention(b, resource)
	c.region.remove(b.file, b.key, id)
	if days == 0 {
		c.region.forget(b, id)
		return
	}
	tags := append(objects(resource, "Tags"), object{"Key": inBinTag, "Value": "true"})
	resource["Tags"] = anys(tags)
	now := c.account.now().UTC()
	entry := object{
		"RecycleBinEnterTime": now.Format(timestampLayout),
		"RecycleBinExitTime":  now.Add(time.Duration(days) * 24 * time.Hour).Format(timestampLayout),
		b.whole:               resource,
	}
	for _, key := range b.shown {
		if value, ok := resource[key]; ok {
			entry[key] = value
		}
	}
	c.region.documents[b.bin].add(entry)
	c.region.bin.expect(b, entry)
	if listings := c.account.bins.listed; listings > 1 {
		c.region.bin.unlisted[id] = listings
	}
}

// retention is for how many days the rules retain a resource: the longest of those that match
// counts. It is zero if none does. Images whose root device is in the instance store never enter
// the Recycle Bin; one that does not say so is EBS-backed.
func (c *call) retention(b binned, resource object) int {
	longest := 0
	if text(resource, "RootDeviceType") == "instance-store" {
		return longest
	}
	for _, rule := range c.region.items(rulesFile) {
		if text(rule, "ResourceType") == b.ruleType && text(rule, "Status") == "available" && c.covers(rule, b, resource) {
			longest = max(longest, retentionDays(rule))
		}
	}
	return longest
}

func retentionDays(rule object) int {
	days, err := strconv.Atoi(text(child(rule, "RetentionPeriod"), "RetentionPeriodValue"))
	if err != nil {
		return 0
	}
	return days
}

// covers reports whether a rule matches a resource: a tag-level rule one that has any of its tags,
// a region-level rule one that has none of those which it excludes. What a tag without a value
// matches is not documented: to retain, it takes a tag with an empty value; to exclude, any.
func (c *call) covers(rule object, b binned, resource object) bool {
	tags := objects(c.asSeen(text(resource, b.key), resource), "Tags")
	for _, excluded := range objects(rule, "ExcludeResourceTags") {
		tag := first(tags, "Key", text(excluded, "ResourceTagKey"))
		if tag != nil && (excluded["ResourceTagValue"] == nil || text(excluded, "ResourceTagValue") == text(tag, "Value")) {
			return false
		}
	}
	named := objects(rule, "ResourceTags")
	return len(named) == 0 || slices.ContainsFunc(named, func(n object) bool {
		tag := first(tags, "Key", text(n, "ResourceTagKey"))
		return tag != nil && text(tag, "Value") == text(n, "ResourceTagValue") && c.seen(text(resource, b.key), text(tag, "Key"))
	})
}

// seen reports whether the Recycle Bin sees a tag as it is now.
func (c *call) seen(id, key string) bool {
	at, ok := c.region.bin.tagged[tagOf(id, key)]
	return !ok || c.account.now().Sub(at) >= c.account.bins.unseen
}

// tagOf names a tag of a resource.
func tagOf(id, key string) string { return id + " " + key }

// entire is the whole resource of an entry in the Recycle Bin. Of one that was exported from a real
// account there is no more than what EC2 shows.
func (c *call) entire(b binned, entry object) object {
	if resource := child(entry, b.whole); resource != nil {
		return resource
	}
	resource := object{
		"OwnerId": c.account.id, "State": b.state, "Tags": []any{object{"Key": inBinTag, "Value": "true"}},
	}
	for _, key := range b.shown {
		if value, ok := entry[key]; ok {
			resource[key] = value
		}
	}
	entry[b.whole] = resource
	return resource
}

func listImagesInRecycleBin(c *call) (object, error) {
	images, token, err := c.listBin(binnedImage, maxBinnedImages, paging{least: 1, most: 1000, usual: 1000})
	return listing("Images", images, token), err
}

func listSnapshotsInRecycleBin(c *call) (object, error) {
	snapshots, token, err := c.listBin(binnedSnapshot, maxBinnedSnapshots, paging{least: 5, most: 1000, usual: 1000})
	return listing("Snapshots", snapshots, token), err
}

// listBin is a page of what is in the Recycle Bin, in the order in which it entered; of the
// request's ids if it has any. What EC2 answers to an id that is not in the bin, or not yet listed,
// is not documented: here the whole call fails, as it does where images and snapshots are described
// by id. How long a page is if no size is given is not documented.
func (c *call) listBin(b binned, mostIDs int, pages paging) ([]object, string, error) {
	ids := c.list(b.key)
	if err := c.notBoth(b.key, b.key+"s"); err != nil {
		return nil, "", err
	}
	if len(ids) > mostIDs {
		return nil, "", c.invalid("At most %d IDs can be given, not %d", mostIDs, len(ids))
	}
	entries := c.listed(b)
	if len(ids) > 0 {
		listed := map[string]bool{}
		for _, entry := range entries {
			listed[text(entry, b.key)] = true
		}
		for _, id := range ids {
			if !listed[id] {
				return nil, "", c.notInBin(b, id)
			}
		}
		entries = slices.DeleteFunc(entries, func(entry object) bool { return !slices.Contains(ids, text(entry, b.key)) })
	}
	entries, token, err := page(c, entries, pages)
	for i, entry := range entries {
		entries[i] = maps.Clone(entry)
		delete(entries[i], b.whole)
	}
	return entries, token, err
}

// listed are the entries in the Recycle Bin that this listing shows.
func (c *call) listed(b binned) []object {
	unlisted := c.region.bin.unlisted
	return slices.DeleteFunc(slices.Clone(c.region.items(b.bin)), func(entry object) bool {
		id := text(entry, b.key)
		if unlisted[id] > 0 && c.text("NextToken") == "" {
			unlisted[id]--
		}
		entered, ok := instant(text(entry, "RecycleBinEnterTime"))
		return unlisted[id] > 0 || ok && c.account.now().Sub(entered) < c.account.delays.bin
	})
}

// notInBin refuses an id that is not in the Recycle Bin. EC2 does not document the code: it is that
// of an id which does not exist, even if the resource is in the account.
func (c *call) notInBin(b binned, id string) error {
	if !isID(id, b.prefix) && !c.region.hasLeft(id) && c.region.find(b.file, b.key, id) == nil {
		return refuse(b.malformed, "Invalid id: \"%s\" (expecting \"%s...\")", id, b.prefix)
	}
	return refuse(b.notFound, "The ID '%s' is not in the Recycle Bin", id)
}

// restoreImageFromRecycleBin restores an image with its tags, its permissions and its launch data;
// disabled, if it was. All its snapshots have to be there: AWS says that they must be restored
// first (Amazon EBS User Guide, "Restore AMIs from the Recycle Bin"), and not how the call fails if
// they are not.
func restoreImageFromRecycleBin(c *call) (object, error) {
	entry, err := c.inBin(binnedImage)
	if err != nil {
		return nil, err
	}
	image := c.entire(binnedImage, entry)
	for _, id := range mappedSnapshots(image) {
		if c.region.find(snapshotsFile, "SnapshotId", id) == nil {
			return nil, refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
		}
	}
	c.restore(binnedImage, image)
	if delay := c.account.bins.restored; delay > 0 {
		c.region.bin.pending[text(image, "ImageId")] = restoring{
			until: c.account.now().Add(delay), state: cmp.Or(text(image, "State"), "available"),
		}
		image["State"] = "pending"
	}
	return object{"Return": true}, nil
}

// restoreSnapshotFromRecycleBin restores a snapshot, which can be used at once.
func restoreSnapshotFromRecycleBin(c *call) (object, error) {
	entry, err := c.inBin(binnedSnapshot)
	if err != nil {
		return nil, err
	}
	snapshot := c.entire(binnedSnapshot, entry)
	c.restore(binnedSnapshot, snapshot)
	return picked(snapshot, "Description", "Encrypted", "OutpostArn", "OwnerId", "Progress", "SnapshotId", "SseType",
		"StartTime", "State", "VolumeId", "VolumeSize"), nil
}

// picked is an object with some of the fields of another.
func picked(o object, keys ...string) object {
	some := object{}
	for _, key := range keys {
		if value, ok := o[key]; ok {
			some[key] = value
		}
	}
	return some
}

// inBin finds the entry of the request's id in the Recycle Bin.
func (c *call) inBin(b binned) (object, error) {
	id := c.text(b.key)
	entry := c.region.find(b.bin, b.key, id)
	switch {
	case id == "":
		return nil, refuse("MissingParameter", "The request must contain the parameter %s", b.key)
	case entry == nil:
		return nil, c.notInBin(b, id)
	}
	return entry, nil
}

// restore moves a resource from the Recycle Bin back to the account.
func (c *call) restore(b binned, resource object) {
	id := text(resource, b.key)
	c.region.remove(b.bin, b.key, id)
	delete(c.region.gone, id)
	delete(c.region.bin.unlisted, id)
	setTags(resource, slices.DeleteFunc(objects(resource, "Tags"), func(t object) bool { return text(t, "Key") == inBinTag }))
	c.region.documents[b.file].add(resource)
}
