package digest

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// heldRemedy is what to do about a region that was only planned.
func heldRemedy(hold string) string {
	return adviceOr("The next run plans again. Nothing is removed there until this is out of the way.", whatWasDenied)(hold)
}

// heldProblems says what to do about the regions that were only planned.
func (r run) heldProblems() []Problem {
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
		p.What = fewRegions(regions[p.Todo]) + r.wereOnlyPlanned(len(regions[p.Todo]))
		if n := alone[p.Todo]; n > 0 {
			p.What += ", and " + r.wereLeftAlone(n) + " there"
		}
		p.What += "."
		p.says = func(n int) string { return count(n, "region") + r.wereOnlyPlanned(n) + "." }
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

// onlyPlanned lists what is due in the regions that were only planned. A region on hold where
// nothing is due is among the problems already.
func (r run) onlyPlanned() Section {
	s := Section{Title: "Only planned"}
	for _, region := range r.Regions {
		n := region.Count(record.Image.LeftAlone)
		if !region.IsOnlyPlanned() || n == 0 && !region.Busy {
			continue
		}
		what := plain.Text(region.Region) + r.wereOnlyPlanned(1) + ": " + strings.TrimSuffix(faultText(region.WhyUnreached()), ".") + "."
		if n > 0 {
			what += " " + sentence(r.wereLeftAlone(n))
		}
		s.Groups = append(s.Groups, listed(leftAlone(region), what))
	}
	return s
}

// leftAlone are the images of a region that would have been changed had it not been on hold.
func leftAlone(region record.Region) []Item {
	var items []Item
	for _, image := range region.Images {
		if image.LeftAlone() {
			items = append(items, Item{Label: idAndName(image), Says: mainDetail(region, image)})
		}
	}
	return items
}

// stoppedProblems says what to do about the regions that were stopped.
func (r run) stoppedProblems() []Problem {
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
