package record

import (
	"regexp"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// uncountedIn is an account whose use is not known in a region; in all of them if the region is
// empty.
type uncountedIn struct{ account, region string }

// missingCensus matches what a gap says of a census that is missing.
var missingCensus = regexp.MustCompile(`^census of ([0-9]{12})(?: in ([a-z0-9-]+))?: `)

// census is the census that an unproven image lacks; false if it lacks something else.
func (g Gap) census() (uncountedIn, bool) {
	found := missingCensus.FindStringSubmatch(g.Detail)
	if g.Code != ami.ReasonUnknownUse || found == nil {
		return uncountedIn{}, false
	}
	return uncountedIn{found[1], found[2]}, true
}

// IsOfCensus reports whether the images stay because of what other accounts may use.
func (g Gap) IsOfCensus() bool {
	_, is := g.census()
	return is || g.Code == ami.ReasonCensusTooYoung
}

// countUncounted counts the images that stay because an account is not counted: in each account,
// where several missing censuses keep an image once, and for each lookup that is missing.
func (o *Organization) countUncounted() {
	images := map[uncountedIn]int{}
	for i := range o.Accounts {
		m := &o.Accounts[i]
		if m.Record == nil {
			continue
		}
		all, byCensus := map[position]bool{}, map[uncountedIn]map[position]bool{}
		for n, region := range m.Record.Regions {
			for _, gap := range region.Gaps {
				missing, is := gap.census()
				if is && byCensus[missing] == nil {
					byCensus[missing] = map[position]bool{}
				}
				for _, at := range gap.At {
					if is {
						all[position{n, at}], byCensus[missing][position{n, at}] = true, true
					}
				}
			}
		}
		for missing, kept := range byCensus {
			images[missing] += len(kept)
		}
		// Where the record leaves out kept images, the count is from before.
		m.KeptUncounted, m.KeptTooYoung = len(all), max(m.KeptTooYoung, m.Record.Count(Image.waitsForCensus))
	}
	for i := range o.Uncounted {
		u := &o.Uncounted[i]
		u.Images = images[uncountedIn{u.Account, u.Region}]
	}
}

// waitsForCensus reports whether only missing proof keeps the image, and the censuses do not yet
// reach back far enough.
func (i Image) waitsForCensus() bool {
	_, waits := i.Reason(ami.ReasonCensusTooYoung)
	return waits && i.Kept() && !slices.ContainsFunc(i.Reasons, func(reason retention.Reason) bool {
		return reason.Code != ami.ReasonCensusTooYoung && !reason.Code.IsUnproven()
	})
}

// lacksOwnProof is LacksProof without what only the censuses of other accounts would prove.
func (r Run) lacksOwnProof() bool {
	r.Totals.Unproven = 0
	return r.LacksProof() || r.CountRegions(func(g Region) bool {
		return slices.ContainsFunc(g.Gaps, func(gap Gap) bool { return !gap.IsOfCensus() })
	}) > 0
}

// DropKept leaves those kept images out of the account's record about which it only says why they
// stay. A run over many accounts has no room for them; the account's own record has them.
func (m *MemberAccount) DropKept() {
	if m.Record == nil {
		return
	}
	m.KeptTooYoung = max(m.KeptTooYoung, m.Record.Count(Image.waitsForCensus))
	r := *m.Record
	r.Regions = slices.Clone(r.Regions)
	for i := range r.Regions {
		r.Regions[i].dropKept()
	}
	m.Record = &r
}

func (g *Region) dropKept() {
	images, at := []Image{}, map[int]int{}
	for n, image := range g.Images {
		if image.isTold() {
			at[n] = len(images)
			images = append(images, image)
		}
	}
	g.Gaps = slices.Clone(g.Gaps)
	for i := range g.Gaps {
		gap := &g.Gaps[i]
		gap.At = slices.Clone(gap.At)
		for j, n := range gap.At {
			if to, isIn := at[n]; isIn {
				gap.At[j] = to
			} else if n >= 0 {
				gap.At[j] = ^n
			}
		}
	}
	isIn := map[string]bool{}
	for _, image := range images {
		isIn[image.ImageID] = true
	}
	g.Images = images
	g.SharedSnapshots = slices.DeleteFunc(slices.Clone(g.SharedSnapshots), func(s SharedSnapshot) bool { return countAmong(s.ImageIDs, isIn) == 0 })
}

// isTold reports whether there is more to say about an image than why it stays.
func (i Image) isTold() bool {
	return !i.Kept() && !i.Unasked() || i.Announced() || i.Unmark != retention.LeaveMark || i.LaunchDataMissing()
}
