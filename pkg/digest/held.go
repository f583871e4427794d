package digest

import (
	"slices"
	"strings"

	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
)

// heldRemedy is what to do about a region that was only planned.
func heldRemedy(hold string) string {
	return adviceOr("The next run plans again. Nothing is removed there until this is out of the way.", whatWasDenied)(hold)
}

// heldProblems says what to do about the regions that were only planned.
func (r run) heldProblems() []problem {
	var complaints []complaint
	regions, alone := map[string][]string{}, map[string]int{} // By what to do about them.
	for _, region := range r.Regions {
		if region.IsHeld() {
			todo := heldRemedy(region.Hold)
			regions[todo] = append(regions[todo], plain.Text(region.Region))
			alone[todo] += region.Count(record.Image.LeftAlone)
			complaints = append(complaints, complaint{plain.Text(region.Region), "", region.Hold})
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

func (r run) wereOnlyPlanned(regions int) string {
	switch {
	case r.DryRun:
		return " would only be planned"
	case regions == 1:
		return " was only planned"
	default:
		return " were only planned"
	}
}

func (r run) wereLeftAlone(images int) string {
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
func (r run) writeAside(p *page) {
	titled := false
	for _, region := range r.Regions {
		n := region.Count(record.Image.LeftAlone)
		if !region.IsAside() || n == 0 && !region.Busy {
			continue // Who waits for a person is told of above.
		}
		if !titled {
			titled = true
			p.heading("Only planned")
		}
		what := plain.Text(region.Region) + r.wereOnlyPlanned(1) + ": " + strings.TrimSuffix(faultText(region.WhyUnreached()), ".") + "."
		if n > 0 {
			what += " " + sentence(r.wereLeftAlone(n))
		}
		p.paragraph(what)
		writeSome(p, region.Images)
	}
}

// writeSome lists those images that were left alone.
func writeSome(p *page, images []record.Image) {
	listed := 0
	for _, image := range images {
		if !image.LeftAlone() {
			continue
		}
		if listed++; listed <= mostListed {
			p.item(idAndName(image) + ": " + plain.Text(image.MainReason().Detail))
		}
	}
	writeMore(p, listed-mostListed)
}

// stoppedProblems says what to do about the regions that were stopped.
func (r run) stoppedProblems() []problem {
	var complaints []complaint
	for _, region := range r.Regions {
		if at := slices.IndexFunc(region.Images, record.Image.IsStopped); at >= 0 {
			complaints = append(complaints, complaint{plain.Text(region.Region), "", region.Images[at].Outcome.Error})
		}
	}
	return grouped(complaints, adviceOr("The next run tries again. Begin with the error.", whatWasDenied), func(n int) string {
		return count(n, "region") + " stopped before all that was due was removed."
	})
}
