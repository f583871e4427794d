package emulator

import (
	"fmt"
	"maps"
)

// newID is an id of an image or a snapshot that none has or has had.
func (c *call) newID(b binned) string {
	for n := len(c.region.items(b.file)) + 1; ; n++ {
		id := fmt.Sprintf("%s%017x", b.prefix, n)
		if c.region.find(b.file, b.key, id) == nil && !c.region.hasLeft(id) {
			return id
		}
	}
}

// create adds an image or a snapshot with its tags.
func (c *call) create(b binned, o object, tags []object) {
	id := text(o, b.key)
	c.retag(id, nil)
	setTags(o, tags)
	for _, tag := range tags {
		c.region.bin.tagged[tagOf(id, text(tag, "Key"))] = c.account.now()
	}
	c.region.documents[b.file].add(o)
	if c.account.history != nil {
		of := resource{c.region.name, id}
		c.account.history[of] = append(c.account.history[of], change{at: c.account.now()})
	}
}

// with is an object with the fields of another beside its own.
func with(o, more object) object {
	o = maps.Clone(o)
	maps.Copy(o, more)
	return o
}
