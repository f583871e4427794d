package emulator

import "slices"

// mappedPath is where an image names the snapshots that it maps.
const mappedPath = "BlockDeviceMappings.Ebs.SnapshotId"

// indexed are the paths by which objects of large documents are found all the time. What is at them
// never changes.
var indexed = []string{"ImageId", "SnapshotId", mappedPath}

// indexes find the objects of a document by what is at a path. They are made when they are needed
// first, and an account of many images needs them: each of its removals finds half a dozen things.
type indexes struct {
	numbers []int // Those of the document's items, ascending.
	next    int   // The number of the next item.
	// The numbers of the items, ascending, by path and by value.
	byPath map[string]map[string][]int
}

// with returns the objects of the document that have a value at a path, in their order. A path that
// is not indexed is a key.
func (d *document) with(path, value string) []object {
	if !slices.Contains(indexed, path) {
		return slices.DeleteFunc(slices.Clone(d.items), func(o object) bool { return text(o, path) != value })
	}
	var found []object
	for _, number := range d.index(path)[value] {
		at, _ := slices.BinarySearch(d.indexes.numbers, number)
		found = append(found, d.items[at])
	}
	return found
}

// add appends an object.
func (d *document) add(o object) {
	d.items = append(d.items, o)
	if d.indexes == nil {
		return
	}
	for path, byValue := range d.indexes.byPath {
		note(byValue, d.indexes.next, values(o, path))
	}
	d.indexes.numbers = append(d.indexes.numbers, d.indexes.next)
	d.indexes.next++
}

// removeWith takes the objects out that have a value at a path.
func (d *document) removeWith(path, value string) {
	if !slices.Contains(indexed, path) {
		d.removeIf(func(o object) bool { return text(o, path) == value })
		return
	}
	for _, number := range slices.Clone(d.index(path)[value]) {
		at, _ := slices.BinarySearch(d.indexes.numbers, number)
		for path, byValue := range d.indexes.byPath {
			for _, value := range values(d.items[at], path) {
				byValue[value] = slices.DeleteFunc(byValue[value], func(n int) bool { return n == number })
			}
		}
		d.items = slices.Delete(d.items, at, at+1)
		d.indexes.numbers = slices.Delete(d.indexes.numbers, at, at+1)
	}
}

// removeIf takes some objects out.
func (d *document) removeIf(leaves func(object) bool) {
	d.items = slices.DeleteFunc(d.items, leaves)
	d.indexes = nil
}

// index returns the numbers of the items by what is at a path.
func (d *document) index(path string) map[string][]int {
	if d.indexes == nil {
		d.indexes = &indexes{next: len(d.items), byPath: map[string]map[string][]int{}}
		for number := range d.items {
			d.indexes.numbers = append(d.indexes.numbers, number)
		}
	}
	byValue := d.indexes.byPath[path]
	if byValue == nil {
		byValue = map[string][]int{}
		for at, o := range d.items {
			note(byValue, d.indexes.numbers[at], values(o, path))
		}
		d.indexes.byPath[path] = byValue
	}
	return byValue
}

func note(byValue map[string][]int, number int, values []string) {
	for _, value := range values {
		if !slices.Contains(byValue[value], number) {
			byValue[value] = append(byValue[value], number)
		}
	}
}
