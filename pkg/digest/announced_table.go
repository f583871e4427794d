package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// announcedByOwner lists so many of the images that are announced, by this run or before, a line
// each: the owners by name, and of each the first that is due. Then it says how to keep one.
func (r run) announcedByOwner(rows int) Section {
	acting := r.acting()
	whole := acting.announced()
	all := slices.Concat(acting.announcements(record.Image.IsNew), acting.announcements(record.Image.Announced))
	if len(all) == 0 {
		return Section{}
	}
	// What is new goes before what was told already.
	shown, rest := all[:min(rows, len(all))], all[min(rows, len(all)):]
	shown = sortedByOwner(slices.Clone(shown))
	s := Section{Title: whole.Title, Count: len(all), Intro: says(r.doubts())}
	for i, a := range shown {
		if i == 0 || a.owner() != shown[i-1].owner() {
			s.Groups = append(s.Groups, Group{
				Intro:   says(r.ownerInShort(a.owner(), i == 0)),
				Columns: Columns{Heads: []string{"GiB", "$/mo", "due", "AMI", "name"}, Align: "rrlll"},
			})
		}
		last := &s.Groups[len(s.Groups)-1]
		last.Columns.Rows = append(last.Columns.Rows, []string{
			thousands(a.image.FreeableGiB), money(r.Monthly(a.image.FreeableGiB, a.image.FreeableArchivedGiB)), plain.Text(a.image.DueOn),
			plain.Text(a.image.ImageID), r.announcedInShort(a),
		})
	}
	for i := range s.Groups {
		if i > 0 || len(r.removals()) > 0 {
			s.Groups[i].Columns.Heads = nil // They are above.
		}
	}
	last := &s.Groups[len(s.Groups)-1]
	last.More, last.MoreOf = len(rest), ", "+sizeAndPrice(r.savingsOf(rest))
	s.Groups = append(s.Groups, Group{Intro: r.waysToKeep()})
	return s
}

// ownerInShort is the heading of an owner's images: how many there are, and what they come to.
func (r run) ownerInShort(owner string, isFirst bool) string {
	heading := strings.TrimSuffix(ownedBy(plain.Clip(plain.Text(owner), shortest), isFirst), ":")
	if heading == "" {
		return ""
	}
	of := r.acting().Savings(func(_ record.Region, i record.Image) bool {
		return (i.IsNew() || i.Announced()) && strings.TrimSpace(i.Owner) == owner
	})
	return heading + ": " + count(of.Images, "AMI") + ", " + sizeAndPrice(of)
}

// savingsOf is what announced images would free if they alone went.
func (r run) savingsOf(announced []announcement) record.Amount {
	wanted := map[string]bool{}
	for _, a := range announced {
		wanted[a.region.Region+a.image.ImageID] = true
	}
	return r.Savings(func(g record.Region, i record.Image) bool { return wanted[g.Region+i.ImageID] })
}

// announcedInShort names an announced image, and says what is special about it.
func (r run) announcedInShort(a announcement) string {
	words := []string{shortName(a.image)}
	if region := r.name(a.region); region != "" {
		words = append(words, region)
	}
	if a.image.IsNew() {
		words = append(words, "new")
	}
	switch {
	case a.image.Action == retention.Disable && a.image.ToBeMarked():
		words = append(words, "would be disabled")
	case a.image.Action == retention.Disable:
		words = append(words, "disabled")
	case a.image.Action == retention.Deprecate:
		words = append(words, "deprecated from then")
	}
	return strings.Join(words, ", ")
}

// waysToKeep says in two lines how to keep what is announced.
func (r run) waysToKeep() []Line {
	if r.howToObject().isEmpty() {
		return says("To keep one, launch it, or tag it " + keepTag + ".")
	}
	enable := ""
	if r.Count(func(i record.Image) bool { return i.Action == retention.Disable && !i.ToBeMarked() }) > 0 {
		enable = " enable it,"
	}
	return append(says("To keep one, launch it,"+enable+" tag it "+keepTag+", or run:"), command(r.Reader.Command("unmark IMAGE_ID")))
}
