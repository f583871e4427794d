package digest

import "github.com/ami-janitor/ami-janitor/pkg/record"

// Advise adds to the record of a finished run what to do about each fault, in the words of its
// reader.
func Advise(r *record.Run) {
	for i := range r.Regions {
		region := &r.Regions[i]
		switch {
		case region.Error != "":
			region.Remedy = RegionRemedy(r.Reader, region.Error)
		case region.IsHeld():
			region.Remedy = Words(r.Reader, heldRemedy(region.Hold))
		}
		if region.RemainsGap != "" {
			region.RemainsRemedy = Words(r.Reader, lookupRemedy(region.RemainsGap))
		}
		for j := range region.Gaps {
			gap := &region.Gaps[j]
			gap.Remedy = Words(r.Reader, remedyOf(gap.Code, region.Region, gap.Detail))
		}
	}
}

// RegionRemedy says what to do about an error that concerns a whole region.
func RegionRemedy(reader record.Reader, fault string) string {
	return Words(reader, regionTodo(fault))
}
