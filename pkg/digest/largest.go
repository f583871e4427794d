package digest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// removal is an image that goes, and what goes with it.
type removal struct {
	region record.Region
	image  record.Image
	record.Amount
}

// removals are the images that the run removed, or would remove, the largest saving first.
func (r run) removals() []removal {
	goes := record.Image.Removed
	if r.DryRun {
		goes = record.Image.Planned
	}
	var removals []removal
	for _, region := range r.Regions {
		if r.DryRun && region.IsOnlyPlanned() {
			continue
		}
		freed := r.freed(region)
		for _, image := range region.Images {
			if goes(image) {
				removals = append(removals, removal{region, image, freed[image.ImageID]})
			}
		}
	}
	slices.SortStableFunc(removals, func(a, b removal) int {
		return cmp.Or(cmp.Compare(b.MonthlyUpTo, a.MonthlyUpTo), cmp.Compare(b.GiB, a.GiB))
	})
	return removals
}

// largestRemoved lists so many of the images that the run removed, or would remove, a line each.
func (r run) largestRemoved(rows int) Section {
	title, remedy := "Removed", ""
	if r.DryRun {
		title, remedy = "Would be removed", "To keep one for good, tag it "+keepTag+"."
	}
	removals := r.removals()
	shown := min(rows, len(removals))
	group := Group{
		Columns: Columns{Heads: []string{"GiB", "$/mo", "last use", "AMI", "name"}, Align: "rrlll"},
		More:    len(removals) - shown,
	}
	for _, x := range removals[:shown] {
		group.Columns.Rows = append(group.Columns.Rows, []string{
			thousands(x.GiB), money(x.MonthlyUpTo), LastUse(x.image), plain.Text(x.image.ImageID), r.described(x),
		})
	}
	var rest record.Amount
	for _, x := range removals[shown:] {
		rest.GiB, rest.MonthlyUpTo = rest.GiB+x.GiB, rest.MonthlyUpTo+x.MonthlyUpTo
	}
	group.MoreOf = ", " + sizeAndPrice(rest)
	return listing(title, strings.TrimSpace(r.doubts()+" "+remedy), group)
}

// doubts says what limits the proof that nothing uses the images; empty if nothing does.
func (r run) doubts() string {
	if len(r.Sources.LookedUp) == 0 || r.lacksEvidence() {
		return r.nothingFound()
	}
	return ""
}

// sizeAndPrice says an amount: "1,384 GiB, up to $69.20 a month".
func sizeAndPrice(a record.Amount) string {
	return thousands(a.GiB) + " GiB, up to " + money(a.MonthlyUpTo) + " a month"
}

// LastUse says in a few words for how long nobody has used an image.
func LastUse(i record.Image) string {
	days := count(i.IdleDays, "day")
	if i.LastLaunchedAt == "" {
		return "never, " + days
	}
	return days + " ago"
}

// LastUseInWords is LastUse where no heading says what it is about.
func LastUseInWords(i record.Image) string {
	if i.LastLaunchedAt == "" {
		return "no launch in " + count(i.IdleDays, "day")
	}
	return "last use " + LastUse(i)
}

// described is the name of an image, with its owner, its region and what is special about its way
// back.
func (r run) described(x removal) string {
	words := []string{shortName(x.image)}
	if owner := strings.TrimSpace(x.image.Owner); owner != "" {
		words = append(words, "owner "+plain.Clip(plain.Text(owner), shortest))
	}
	if region := r.name(x.region); region != "" {
		words = append(words, region)
	}
	if way := r.wayBack(x.image); way != "" {
		words = append(words, way)
	}
	if bundle := bundleInShort(x.image); bundle != "" {
		words = append(words, bundle)
	}
	return strings.Join(words, ", ")
}

// wayBack says that a removed image cannot be restored, or that nobody knows; empty for one that
// comes back by an undo. Where that is so of all, it is said once, above.
func (r run) wayBack(i record.Image) string {
	switch {
	case i.IsLost():
		return "cannot be restored"
	case i.Removed() && !i.IsRestorable() && r.Totals.Restorable+r.lost() > 0:
		return "perhaps not restorable"
	default:
		return ""
	}
}

// shortest is the room for a name where the id beside it tells what is meant.
const shortest = 60

func shortName(i record.Image) string {
	if i.Name == "" {
		return "(no name)"
	}
	return plain.Clip(plain.Text(i.Name), shortest)
}
