package emulator

import (
	"maps"
	"time"
)

// delays are what everybody sees late. Zero is at once.
type delays struct {
	tags       time.Duration // For how long nobody sees a change of tags.
	bin        time.Duration // For how long the Recycle Bin does not show what has entered it.
	completion time.Duration // For how long what was completed or registered is pending.
}

// retagging is a change of the tags of an image or a snapshot.
type retagging struct {
	at     time.Time
	before any // The tags that it had, as its field has them; nil if none.
}

// SetTagDelay makes everybody see the tags of images and snapshots late, from now on: exactly d
// after they were written or taken off, those of a new resource too. Until then DescribeImages,
// DescribeSnapshots and DescribeTags, the rules of the Recycle Bin, and IAM for clients with Lags,
// see the tags of before. AWS documents that it is eventually consistent, and no time (EC2
// Developer Guide, "Ensure idempotency and eventual consistency in the Amazon EC2 API").
func (a *Account) SetTagDelay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delays.tags = d
}

// SetBinDelay makes the Recycle Bin show late what has entered it: exactly d after its
// RecycleBinEnterTime, which has milliseconds. To restore it works at once. AWS documents no delay.
func (a *Account) SetBinDelay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delays.bin = d
}

// SetCompletionDelay makes the snapshots that are completed, and the images that are registered,
// from now on pending for d. AWS documents no time. A snapshot is pending at least until the next
// request.
func (a *Account) SetCompletionDelay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delays.completion = d
}

// LeaveOutEmptyLists makes every answer, but those of S3, leave out the lists that are empty. AWS
// does not document whether a list without members has an element.
func (a *Account) LeaveOutEmptyLists() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leavesOut = true
}

// retag notes that the tags of a resource are about to change, for those who see it late. What
// everybody has seen is forgotten.
func (c *call) retag(id string, before any) {
	if c.account.delays.tags == 0 {
		return
	}
	changes := c.region.retagged[id]
	for len(changes) > 0 && c.isSeen(changes[0]) {
		changes = changes[1:]
	}
	c.region.retagged[id] = append(changes, retagging{c.account.now(), before})
}

func (c *call) isSeen(r retagging) bool { return c.account.now().Sub(r.at) >= c.account.delays.tags }

// asSeen is an image or a snapshot with the tags that everybody sees.
func (c *call) asSeen(id string, o object) object {
	for _, change := range c.region.retagged[id] {
		if !c.isSeen(change) {
			seen := maps.Clone(o)
			if delete(seen, "Tags"); change.before != nil {
				seen["Tags"] = change.before
			}
			return seen
		}
	}
	return o
}

// withTagsAsSeen is the region with the tags that everybody sees.
func (c *call) withTagsAsSeen() *region {
	if len(c.region.retagged) == 0 {
		return c.region
	}
	seen := *c.region
	seen.documents = maps.Clone(seen.documents)
	for _, b := range []binned{binnedImage, binnedSnapshot} {
		seen.documents[b.file] = c.mapped(b.file, func(o object) object { return c.asSeen(text(o, b.key), o) })
		seen.documents[b.bin] = c.mapped(b.bin, func(entry object) object {
			return with(entry, object{b.whole: c.asSeen(text(entry, b.key), c.entire(b, entry))})
		})
	}
	return &seen
}

// mapped is a document with other objects for those of its own.
func (c *call) mapped(file string, other func(object) object) *document {
	d := c.region.documents[file]
	shown := &document{items: make([]object, len(d.items)), fields: d.fields}
	for i, o := range d.items {
		shown.items[i] = other(o)
	}
	return shown
}

// withoutEmptyLists is a value without the lists in it that are empty.
func withoutEmptyLists(value any) any {
	switch v := value.(type) {
	case object:
		shown := make(object, len(v))
		for key, inner := range v {
			if shown[key] = withoutEmptyLists(inner); isEmptyList(inner) {
				delete(shown, key)
			}
		}
		return shown
	case []object:
		return withoutEmptyLists(anys(v))
	case []any:
		shown := make([]any, len(v))
		for i, item := range v {
			shown[i] = withoutEmptyLists(item)
		}
		return shown
	default:
		return value
	}
}

func isEmptyList(value any) bool {
	switch v := value.(type) {
	case []object:
		return len(v) == 0
	case []any:
		return len(v) == 0
	default:
		return false
	}
}
