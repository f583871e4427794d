// Package references finds what the files of a checkout say of images, as entries of a keep list:
// ids, and the names by which Karpenter selects images.
package references

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Place is a line of a file.
type Place struct {
	File string
	Line int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", plain.Printable(p.File), p.Line) }

// Reference is an entry of a keep list, and where it comes from.
type Reference struct {
	Entry string // The id of an image, or a glob for names.
	At    Place
}

// Found is what files say of images.
type Found struct {
	References []Reference

	// NotListed are places that select images by something that no keep list can name, in
	// sentences.
	NotListed []string

	// Unread are places that name images in a way that is not understood, in sentences. With any of
	// them, the references are not all.
	Unread []string
}

// Add adds what the content of a file says. What is compressed or encrypted says nothing.
func (f *Found) Add(file string, content []byte) {
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		// UTF-16 has a zero beside each ASCII character.
		content = bytes.ReplaceAll(content, []byte{0}, nil)
	}
	found := map[Reference]bool{}
	add := func(entry string, line int) {
		if r := (Reference{entry, Place{file, line}}); !found[r] {
			found[r] = true
			f.References = append(f.References, r)
		}
	}
	_ = ami.FindIDs(bytes.NewReader(content), add) // What is in memory can be read.
	f.addSelectors(file, content, add)
}

// header begins every list.
const header = "# A keep list, written by ami-janitor references.\n"

// KeepList is the list of all references, a line for each, in the order of files and lines. One
// that has none says that this is on purpose.
func (f Found) KeepList() string {
	return f.list(func(r Reference) string { return r.Entry + " # " + r.At.String() + "\n" })
}

// ShortList is KeepList with each entry once, and without its places.
func (f Found) ShortList() string {
	said := map[string]bool{}
	return f.list(func(r Reference) string {
		if said[r.Entry] {
			return ""
		}
		said[r.Entry] = true
		return r.Entry + "\n"
	})
}

func (f Found) list(line func(Reference) string) string {
	var list strings.Builder
	list.WriteString(header)
	if len(f.References) == 0 {
		list.WriteString(retention.EmptyOnPurpose + "\n")
	}
	for _, why := range f.NotListed {
		list.WriteString("# NOT IN THIS LIST: " + plain.Printable(why) + "\n")
	}
	for _, r := range slices.SortedFunc(slices.Values(f.References), compare) {
		list.WriteString(line(r))
	}
	return list.String()
}

func compare(a, b Reference) int {
	return cmp.Or(strings.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), strings.Compare(a.Entry, b.Entry))
}
