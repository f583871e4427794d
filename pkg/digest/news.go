package digest

import (
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// news are what has changed since the last run: what people did about removals, and what is
// announced for the first time.
func (r run) news() Section {
	var items []Item
	add := func(wanted func(record.Image) bool, one, rest string, withWhy bool) {
		if line := r.named(wanted, one, rest, withWhy); line != "" {
			items = append(items, Item{Label: line})
		}
	}
	add(record.Image.Vetoed, "objection", "heard", true)
	add(record.Image.ObjectedElsewhere, "objection", "for other policies", true)
	add(record.Image.IsBack, "AMI", "back again, and kept", false)
	add(record.Image.Cleared, "AMI", "no longer due", true)
	add(record.Image.IsOldForm, "AMI", "announced by an earlier version, which does not count any more", false)
	if n := r.acting().Count(record.Image.IsNew); n > 0 {
		items = append(items, Item{Label: r.firstAnnounced(n)})
	}
	if len(items) == 0 {
		return Section{}
	}
	return Section{Title: "New since the last run", Groups: []Group{{Items: items}}}
}

// longestWhy is room for the ARN of an instance.
const longestWhy = 90

// named counts the images that are as wanted, and names the first of them.
func (r run) named(wanted func(record.Image) bool, one, rest string, withWhy bool) string {
	var names []string
	n := 0
	r.Each(wanted, func(region record.Region, image record.Image) {
		if n++; n > mostSubjects {
			return
		}
		name := r.inRegion(shortName(image), region)
		if why := plain.Clip(objection(region, image), longestWhy); withWhy && why != "" {
			name += " (" + why + ")"
		}
		names = append(names, name)
	})
	if n == 0 {
		return ""
	}
	if more := n - len(names); more > 0 {
		names = append(names, thousands(int64(more))+" more")
	}
	return count(n, one) + " " + rest + ": " + list(names) + "."
}

func (r run) firstAnnounced(n int) string {
	verb := map[bool]string{true: " is", false: " are"}[n == 1]
	if r.DryRun {
		verb = " would be"
	}
	return count(n, "AMI") + verb + " announced for the first time."
}
