package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Section is one topic of what is said about a run, before a medium lays it out. Without a title it
// continues the section before it.
type Section struct {
	Title    string
	Count    int // How many things it is about; 0 where that is not said.
	Problems []Problem
	Intro    []Line
	Groups   []Group
	Brief    string // The whole section in a few words, for a medium that has no room for the rest.
}

// Group is a list of things that have something in common, which is said first.
type Group struct {
	Region  string // The region that the items have in common, where the run looked at several.
	Intro   []Line
	Columns Columns
	Items   []Item
	More    int    // How many items, or rows, are left out. The run record has them.
	MoreOf  string // What else there is to say about those, after a comma.
}

// Item is one thing in a list, such as an image or a snapshot.
type Item struct {
	Label   string   // Begins with the id of an image or a snapshot, which nobody can choose.
	Size    string   // How large it is, where that is said.
	Facts   []string // What else belongs to its label.
	Region  string   // Where it is, if the run looked at several regions.
	Says    string   // What there is to say on the same line.
	Details []Line
}

// Line is a paragraph, or a command that a person can copy.
type Line struct {
	Text      string
	IsCommand bool
}

// says makes paragraphs of the texts that are not empty.
func says(texts ...string) []Line {
	var lines []Line
	for _, text := range texts {
		if text != "" {
			lines = append(lines, Line{Text: text})
		}
	}
	return lines
}

func command(text string) Line { return Line{Text: text, IsCommand: true} }

// run is a run about which something is said.
type run struct{ record.Run }

// acting is the run without the images of the regions that were only planned.
func (r run) acting() run { return run{r.Acting()} }

// sections are all that there is to say about a run, in the order in which a person wants to know
// it.
func (r run) sections() []Section {
	sections := []Section{
		{Problems: r.lead()},
		{Intro: says(r.happened()...)},
		{Intro: says(r.savings())},
		r.aboutTheCopy(),
		r.needsYou(),
		r.removed(),
		r.howToRestore(),
		r.leftovers(),
		r.acting().wouldBeRemoved(),
		r.acting().snapshotsThatStay(),
		r.acting().announced(),
		r.acting().howToObject(),
		r.announcedElsewhere(),
	}
	sections = append(sections, r.taggedNoMore()...)
	sections = append(sections,
		r.howToTurnOn(),
		r.unattachedSnapshots(),
		r.onlyPlanned(),
		r.acting().skipped(),
		r.deferred(),
		r.orphans(),
		r.kept(),
		r.aboutTheRun(),
	)
	return slices.DeleteFunc(sections, Section.isEmpty)
}

// listing is a section about the things in its groups; empty if there are none.
func listing(title, intro string, groups ...Group) Section {
	s := Section{Title: title, Intro: says(intro), Groups: groups}
	for _, g := range groups {
		s.Count += len(g.Items) + len(g.Columns.Rows) + g.More
	}
	if s.Count == 0 {
		return Section{}
	}
	return s
}

// isEmpty reports whether there is nothing to say.
func (s Section) isEmpty() bool { return len(s.Problems)+len(s.Intro)+len(s.Groups) == 0 }

// mostListed limits lists of images to which nothing happened.
const mostListed = 20

// listed is a group of as many items as a person reads.
func listed(items []Item, intro ...string) Group {
	shown := min(mostListed, len(items))
	return Group{Intro: says(intro...), Items: items[:shown], More: len(items) - shown}
}

// some lists as many items as a person reads, and says how many more there are.
func some(items []string) string {
	if more := len(items) - mostListed; more > 0 {
		items = append(slices.Clone(items[:mostListed]), thousands(int64(more))+" more")
	}
	return list(items)
}

// images makes items of the images that are as wanted.
func (r run) images(wanted func(record.Image) bool, item func(record.Region, record.Image) Item) []Item {
	var items []Item
	r.Each(wanted, func(region record.Region, image record.Image) { items = append(items, item(region, image)) })
	return items
}

// said makes the item of an image on one line.
func (r run) said(say func(record.Region, record.Image) string) func(record.Region, record.Image) Item {
	return func(region record.Region, image record.Image) Item {
		return Item{Label: idAndName(image), Region: r.name(region), Says: say(region, image)}
	}
}

// byRegion lists items under the names of their regions, where there are several.
func byRegion(items []Item) []Group {
	var groups []Group
	for _, item := range items {
		if len(groups) == 0 || groups[len(groups)-1].Region != item.Region {
			groups = append(groups, Group{Region: item.Region})
		}
		last := &groups[len(groups)-1]
		last.Items = append(last.Items, item)
	}
	return groups
}

// name is the name of a region, where the run looked at several.
func (r run) name(region record.Region) string {
	if len(r.Regions) > 1 {
		return plain.Text(region.Region)
	}
	return ""
}

// label names an image, and its region where there are several.
func (r run) label(region record.Region, image record.Image) string {
	return r.inRegion(idAndName(image), region)
}

func (r run) inRegion(what string, region record.Region) string {
	return Item{Label: what, Region: r.name(region)}.name("")
}

// name is the label of an item with all that belongs to it. A region that is known is left out.
func (i Item) name(known string) string {
	parts := append([]string{i.Label}, i.Facts...)
	if i.Size != "" {
		parts = slices.Insert(parts, 1, i.Size)
	}
	name := strings.Join(parts, ", ")
	if i.Region != known {
		name += " (" + i.Region + ")"
	}
	return name
}

// idAndName begins with the id, which nobody can choose. EC2 allows names of 128 characters.
func idAndName(image record.Image) string {
	if image.Name == "" {
		return plain.Text(image.ImageID)
	}
	return plain.Text(image.ImageID) + ", " + plain.Clip(plain.Text(image.Name), 128)
}

// mainDetail is the detail of the first reason.
func mainDetail(_ record.Region, i record.Image) string { return plain.Text(i.MainReason().Detail) }
