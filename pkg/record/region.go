package record

import (
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// IsHeld reports whether the region waits for a person: until then it is only planned.
func (g Region) IsHeld() bool { return g.Hold != "" && !g.Busy }

// IsBusy reports whether the region is left to another run, which was at work there at the same
// time.
func (g Region) IsBusy() bool { return g.Busy }

// IsOnlyPlanned reports whether the region was only planned, whatever the reason.
func (g Region) IsOnlyPlanned() bool { return g.Hold != "" || g.Busy }

// WhyUnreached says why a run did not come to something in the region.
func (g Region) WhyUnreached() string {
	switch {
	case g.Hold != "":
		return g.Hold
	case g.Busy:
		return "another run was at work in the region at the same time"
	default:
		return "not reached before the run ended"
	}
}

// KeptBy counts the kept images of a region by the first of their reasons, so that every image
// counts once.
func (g Region) KeptBy() map[retention.Code]int {
	counts := map[retention.Code]int{}
	for _, image := range g.Images {
		if image.Kept() {
			counts[image.MainReason().Code]++
		}
	}
	return counts
}

// Count counts the images of the region that are as wanted.
func (g Region) Count(wanted func(Image) bool) int {
	n := 0
	for _, image := range g.Images {
		if wanted(image) {
			n++
		}
	}
	return n
}

// unproven counts the unproven images. Those in a region that is left to another run are not this
// run's concern.
func (g Region) unproven() int {
	if g.Busy {
		return 0
	}
	return g.Count(Image.Unproven)
}

// NothingProven reports whether the run could prove nothing in the region: there were candidates,
// and all of them are unproven. Others may wait to be looked up only if there was no time.
func (g Region) NothingProven() bool {
	if g.Count(Image.Unasked) > 0 && g.Count(Image.NotLookedUp) == 0 {
		return false
	}
	return g.unproven() > 0 && !slices.ContainsFunc(g.Images, func(i Image) bool {
		return !i.Unproven() && !i.Unasked() && (i.Verdict != retention.Keep || i.MainReason().Code.IsOfCandidates())
	})
}

// RemainsUnproven reports whether a lookup failed that would say what still needs snapshots without
// an image.
func (g Region) RemainsUnproven() bool { return g.RemainsGap != "" && !g.Busy }

// leavesApart reports whether an earlier run has left a snapshot that only a person can delete.
func (g Region) leavesApart() bool {
	return !g.Busy && slices.ContainsFunc(g.Leftovers, func(l Leftover) bool { return l.Apart })
}

// FailedSnapshots are the ids of the snapshots whose deletion no image of the region saw confirmed.
func (g Region) FailedSnapshots() map[string]bool {
	failed := map[string]bool{}
	for id, result := range g.snapshotResults() {
		if result.status == ami.SnapshotFailed {
			failed[id] = true
		}
	}
	return failed
}

// Each calls do for every image that is as wanted, in order.
func (r Run) Each(wanted func(Image) bool, do func(Region, Image)) {
	for _, region := range r.Regions {
		for _, image := range region.Images {
			if wanted(image) {
				do(region, image)
			}
		}
	}
}

// Count counts the images that are as wanted.
func (r Run) Count(wanted func(Image) bool) int {
	n := 0
	for _, region := range r.Regions {
		n += region.Count(wanted)
	}
	return n
}

// CountRegions counts the regions that are as wanted.
func (r Run) CountRegions(wanted func(Region) bool) int {
	n := 0
	for _, region := range r.Regions {
		if wanted(region) {
			n++
		}
	}
	return n
}

// Account is the account of the run; empty if it is not known.
func (r Run) Account() string {
	for _, region := range r.Regions {
		if region.Account != "" {
			return region.Account
		}
	}
	return ""
}

// FailedRegions counts the regions that failed.
func (r Run) FailedRegions() int {
	return r.CountRegions(func(g Region) bool { return g.Error != "" })
}

// AllFailed reports whether every region failed before anything was judged.
func (r Run) AllFailed() bool {
	return len(r.Regions) > 0 && !slices.ContainsFunc(r.Regions, func(g Region) bool { return g.Error == "" || len(g.Images) > 0 })
}

// HeldRegions counts the regions on hold. Regions that are left to another run are not on hold.
func (r Run) HeldRegions() int { return r.CountRegions(Region.IsHeld) }

// Acting returns the run without the images of regions that were only planned. The regions
// themselves stay.
func (r Run) Acting() Run {
	r.Regions = slices.Clone(r.Regions)
	for i := range r.Regions {
		if r.Regions[i].IsOnlyPlanned() {
			r.Regions[i].Images = nil
		}
	}
	return r
}

// leftForPeople counts the regions that a real run left alone, or stopped in, until a person acts.
func (r Run) leftForPeople() int {
	if r.DryRun {
		return 0
	}
	return r.CountRegions(func(g Region) bool { return g.IsHeld() || slices.ContainsFunc(g.Images, Image.IsStopped) })
}

// IsKeptFrom reports whether a region is left to a run that may block it every night: a run of
// another policy, or one that began more than a day before this one. No run takes that long.
func (r Run) IsKeptFrom(g Region) bool { return g.Busy && (g.BusyPolicy != "" || r.IsBusyForLong(g)) }

// IsBusyForLong reports whether a region is left to a run that began more than a day before this
// one.
func (r Run) IsBusyForLong(g Region) bool {
	return retention.BeganBefore(g.BusyRun, r.StartedAt.Add(-24*time.Hour))
}

// LacksProof reports whether the run, dry or not, left something alone because a proof is missing:
// images, snapshots without an image, regions on hold, or regions that are kept from it. Without a
// person it stays so, and looks as if there were nothing to do.
func (r Run) LacksProof() bool {
	return r.Totals.Unproven > 0 || r.Count(Image.LaunchDataMissing) > 0 || r.HeldRegions() > 0 ||
		r.CountRegions(func(g Region) bool { return r.IsKeptFrom(g) || g.RemainsUnproven() || g.leavesApart() }) > 0
}
