package report

import (
	"slices"
	"strings"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// isHeld regions wait for a person: until then they are only planned.
func isHeld(g Region) bool { return g.Hold != "" && !g.Busy }

// isBusy regions are left to another run, which was at work there at the same time.
func isBusy(g Region) bool { return g.Busy }

// isAside regions were only planned, whatever the reason.
func isAside(g Region) bool { return g.Hold != "" || g.Busy }

// whyUnreached says why a run did not come to something in the region.
func (g Region) whyUnreached() string {
	switch {
	case g.Hold != "":
		return g.Hold
	case g.Busy:
		return "another run was at work in the region at the same time"
	default:
		return "not reached before the run ended"
	}
}

// leftAlone are the images of a region that was only planned to which something would have been done. Without an outcome
// they are those of a dry run.
func leftAlone(i Image) bool {
	return skipped(i) || i.Outcome == nil && (i.Verdict == retention.Deregister || i.Verdict == retention.Mark)
}

// acting returns the run without the images of the regions that were only planned. The regions themselves stay.
func (r Run) acting() Run {
	r.Regions = slices.Clone(r.Regions)
	for i := range r.Regions {
		if isAside(r.Regions[i]) {
			r.Regions[i].Images = nil
		}
	}
	return r
}

// heldRemedy is what to do about a region that was only planned.
func heldRemedy(hold string) string {
	return adviceOr("The next run plans again. Nothing is removed there until this is out of the way.", whatWasDenied)(hold)
}

// heldProblems says what to do about the regions that were only planned.
func (r Run) heldProblems() []problem {
	var complaints []complaint
	regions, alone := map[string][]string{}, map[string]int{} // By what to do about them.
	for _, region := range r.Regions {
		if isHeld(region) {
			todo := heldRemedy(region.Hold)
			regions[todo] = append(regions[todo], neutral(region.Region))
			alone[todo] += countImages(region.Images, leftAlone)
			complaints = append(complaints, complaint{neutral(region.Region), "", region.Hold})
		}
	}
	problems := grouped(complaints, heldRemedy, func(int) string { return "" })
	for i := range problems {
		p := &problems[i]
		p.what = fewRegions(regions[p.todo]) + r.wereOnlyPlanned(len(regions[p.todo]))
		if n := alone[p.todo]; n > 0 {
			p.what += ", and " + r.wereLeftAlone(n) + " there"
		}
		p.what += "."
	}
	return problems
}

// fewRegions names regions as long as they are few.
func fewRegions(regions []string) string {
	const most = 3
	if len(regions) > most {
		return count(len(regions), "region")
	}
	return list(regions)
}

func (r Run) wereOnlyPlanned(regions int) string {
	switch {
	case r.DryRun:
		return " would only be planned"
	case regions == 1:
		return " was only planned"
	default:
		return " were only planned"
	}
}

func (r Run) wereLeftAlone(images int) string {
	switch {
	case r.DryRun:
		return count(images, "AMI") + " would be left alone"
	case images == 1:
		return "1 AMI was left alone"
	default:
		return count(images, "AMI") + " were left alone"
	}
}

// writeAside lists what is due in the regions that were only planned.
func (r Run) writeAside(p *page) {
	titled := false
	for _, region := range r.Regions {
		n := countImages(region.Images, leftAlone)
		if !isAside(region) || n == 0 && !region.Busy {
			continue // Who waits for a person is told of above.
		}
		if !titled {
			titled = true
			p.heading("Only planned")
		}
		what := neutral(region.Region) + r.wereOnlyPlanned(1) + ": " + strings.TrimSuffix(faultText(region.whyUnreached()), ".") + "."
		if n > 0 {
			what += " " + sentence(r.wereLeftAlone(n))
		}
		p.paragraph(what)
		writeSome(p, region.Images)
	}
}

// writeSome lists those images that were left alone.
func writeSome(p *page, images []Image) {
	listed := 0
	for _, image := range images {
		if !leftAlone(image) {
			continue
		}
		if listed++; listed <= mostListed {
			p.item(idAndName(image) + ": " + neutral(image.mainReason().Detail))
		}
	}
	writeMore(p, listed-mostListed)
}

// isStopped images were not come to because their region was stopped while the plan was carried out.
func isStopped(i Image) bool { return skipped(i) && i.Outcome.Code == ami.OutcomeStopped }

// leftForPeople counts the regions that a run left alone, or stopped in, until a person does something about it. A dry run
// has none.
func (r Run) leftForPeople() int {
	if r.DryRun {
		return 0
	}
	return r.countRegions(func(g Region) bool { return isHeld(g) || slices.ContainsFunc(g.Images, isStopped) })
}

// stoppedProblems says what to do about the regions that were stopped.
func (r Run) stoppedProblems() []problem {
	var complaints []complaint
	for _, region := range r.Regions {
		if at := slices.IndexFunc(region.Images, isStopped); at >= 0 {
			complaints = append(complaints, complaint{neutral(region.Region), "", region.Images[at].Outcome.Error})
		}
	}
	return grouped(complaints, adviceOr("The next run tries again. Begin with the error.", whatWasDenied), func(n int) string {
		return count(n, "region") + " stopped before all that was due was removed."
	})
}
