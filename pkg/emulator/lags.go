package emulator

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lags are how far EC2 is behind its own state, for the requests of one client. All of it is
// measured on the account's clock, and hashed from the seed, the action, the resource and its
// changes: whoever asks at the same time is told the same.
type Lags struct {
	Seed uint64

	// TagKey and TagValue are the tag without which IAM allows neither DeregisterImage nor
	// DeleteSnapshot. If TagKey is empty, IAM allows them.
	TagKey, TagValue string

	// Authorization is how long it takes at most until IAM sees the tag on a resource that has just
	// got it. It takes another time for each resource. Until then the action is refused with
	// UnauthorizedOperation; for a snapshot that the call deletes with its image, a successful
	// DeregisterImage answers "missing-permissions".
	Authorization time.Duration

	// HideGone makes IAM refuse what is not there, too: it has no tag that could match. AWS does
	// not document whether it is refused, or not found.
	HideGone bool

	// StaleReads is for how long at most DescribeImages, DescribeSnapshots and DescribeTags may
	// show an image or a snapshot as it was before a change: with its tags of then, still there, or
	// not there yet. One change may be seen at once, another after a while, and until then now and
	// then. Each of the three actions has its own view.
	StaleReads time.Duration
}

// staleSteps is how often a stale read may change its mind about one change.
const staleSteps = 8

// resource names an image or a snapshot.
type resource struct{ region, id string }

// change is a change of a resource.
type change struct {
	at     time.Time
	before object // What it was; nil if it was not there.
}

// remember must be called before a request is carried out, and what it returns afterwards: it notes
// what the request has changed.
func (a *Account) remember(q Request) func() {
	r := a.regions[q.Region]
	if a.history == nil || r == nil || q.Service != "ec2" || IsRead(q.Action) {
		return func() {}
	}
	before := map[string]object{}
	for _, id := range r.touched(q) {
		before[id] = maps.Clone(r.resource(id))
	}
	return func() {
		for id, was := range before {
			if !reflect.DeepEqual(was, r.resource(id)) {
				of := resource{r.name, id}
				a.history[of] = append(a.history[of], change{a.now(), was})
			}
		}
	}
}

// touched are the ids of the images and snapshots that a request may change: those which it names,
// and the snapshots of the images.
func (r *region) touched(q Request) []string {
	var ids []string
	for name, values := range q.Form {
		switch name, _, _ := strings.Cut(name, "."); name {
		case "ImageId", "ResourceId", "SnapshotId":
			ids = append(ids, values...)
		}
	}
	for _, id := range slices.Clone(ids) {
		ids = append(ids, mappedSnapshots(r.find(imagesFile, "ImageId", id))...)
	}
	return ids
}

// resource is an image or a snapshot by its id; nil if it is neither.
func (r *region) resource(id string) object {
	if strings.HasPrefix(id, "ami-") {
		return r.find(imagesFile, "ImageId", id)
	}
	return r.find(snapshotsFile, "SnapshotId", id)
}

// lag makes a request see the lags of its client, if any, and what everybody sees late: it is
// refused, or it reads an older state.
func (c *call) lag() error {
	if c.Service != "ec2" {
		return nil
	}
	switch c.Action {
	case "DeregisterImage":
		return c.refuseUntagged(c.text("ImageId"))
	case "DeleteSnapshot":
		return c.refuseUntagged(c.text("SnapshotId"))
	case "DescribeImages", "DescribeSnapshots", "DescribeTags":
		c.region = c.staleRegion()
		c.region = c.withTagsAsSeen()
	}
	return nil
}

func (c *call) refuseUntagged(id string) error {
	if c.authorized(id) {
		return nil
	}
	return c.Forbidden()
}

// authorized reports whether IAM sees the tag on a resource that allows its removal.
func (c *call) authorized(id string) bool {
	l := c.lags
	if l == nil || l.TagKey == "" {
		return true
	}
	there := c.region.resource(id)
	if there == nil {
		return !l.HideGone
	}
	if !l.tagged(c.asSeen(id, there)) {
		return false
	}
	changes := c.account.history[resource{c.region.name, id}]
	for i, change := range slices.Backward(changes) {
		if !l.tagged(change.before) {
			takes := time.Duration(Draw(l.Seed, "authorization", c.region.name, id, strconv.Itoa(i)) * float64(l.Authorization))
			return c.account.now().Sub(change.at) >= takes
		}
	}
	return true
}

func (l *Lags) tagged(o object) bool {
	return slices.ContainsFunc(objects(o, "Tags"), func(tag object) bool {
		return text(tag, "Key") == l.TagKey && text(tag, "Value") == l.TagValue
	})
}

// staleRegion is the region as the request sees it.
func (c *call) staleRegion() *region {
	if c.lags == nil {
		return c.region
	}
	shown := map[string]object{}
	for of, changes := range c.account.history {
		if of.region != c.region.name {
			continue
		}
		for i, change := range changes {
			if c.isStale(of, i, c.account.now().Sub(change.at)) {
				shown[of.id] = change.before
				break
			}
		}
	}
	if len(shown) == 0 {
		return c.region
	}
	stale := *c.region
	stale.documents = maps.Clone(stale.documents)
	for file, key := range map[string]string{imagesFile: "ImageId", snapshotsFile: "SnapshotId"} {
		d := stale.documents[file]
		stale.documents[file] = &document{items: replaced(d.items, key, shown), fields: d.fields}
	}
	return &stale
}

// isStale reports whether the request does not see the i-th change of a resource, which is so old.
func (c *call) isStale(of resource, i int, age time.Duration) bool {
	l := c.lags
	words := []string{"read", c.Action, of.region, of.id, strconv.Itoa(i)}
	if takes := time.Duration(Draw(l.Seed, words...) * float64(l.StaleReads)); age < 0 || age >= takes {
		return false
	}
	step := int(staleSteps * age / l.StaleReads)
	return Draw(l.Seed, append(words, strconv.Itoa(step))...) < 0.75
}

// replaced are the objects of a kind, some of them as they were.
func replaced(items []object, key string, shown map[string]object) []object {
	seen := map[string]bool{}
	var all []object
	for _, item := range items {
		id := text(item, key)
		was, ok := shown[id]
		switch {
		case !ok:
			all = append(all, item)
		case was != nil && !seen[id]:
			all = append(all, was)
		}
		seen[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if was := shown[id]; !seen[id] && text(was, key) == id {
			all = append(all, was)
		}
	}
	return all
}
