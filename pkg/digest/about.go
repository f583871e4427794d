package digest

import (
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// uncovered is what no source of evidence looks at. An image that is used only there looks unused.
var uncovered = []string{
	"text that neither {TEXT_OBJECTS} nor {KEEP_LIST} covers, such as files of Terraform, Packer and ParallelCluster, " +
		"Karpenter's selectors, and definitions of Step Functions",
	"secrets: parameters of type SecureString, Secrets Manager, what CloudFormation masks",
	"what is off by default: templates of CloudFormation, and what Elastic Beanstalk saves",
	"SSM parameters in regions that are not judged",
}

func (r run) aboutTheRun() Section {
	intro := says(fmt.Sprintf("Run %s of AMI Janitor %s, %s, %s to %s.", plain.Printable(r.Run.Run), plain.Printable(r.Version),
		day(r.StartedAt), minute(r.StartedAt), minute(r.FinishedAt)))
	if r.Record != "" {
		intro = append(intro, says("The full record: "+plain.Location(r.Record))...)
	}
	if page := r.page(); page != "" {
		intro = append(intro, says("The same as a page with pictures, about a minute after this message:", page)...)
	}
	intro = append(intro, says(policyText(r.PolicySentence, r.Reader))...)
	if r.Reader.Stack+r.Reader.Function != "" {
		intro = append(intro, says("What every rule and every lookup finds about an image, by this policy:")...)
		intro = append(intro, command(r.Reader.Command("explain IMAGE_ID")))
	}
	intro = append(intro, says(r.lookedUp())...)
	if len(r.Sources.SwitchedOff) > 0 {
		intro = append(intro, says("Switched off, and so not part of the proof: "+plain.Printable(list(r.Sources.SwitchedOff))+".")...)
	}
	intro = append(intro, says("No source covers what follows. Tag images that are used only there "+keepTag+":")...)
	return Section{Title: "About this run", Intro: intro, Groups: []Group{{Items: r.uncoveredUses()}}}
}

func (r run) uncoveredUses() []Item {
	var items []Item
	for _, what := range uncovered {
		items = append(items, Item{Label: r.words(what)})
	}
	if !r.Sources.OtherAccounts {
		items = append(items, Item{Label: "use by other accounts"})
	}
	return items
}

func (r run) lookedUp() string {
	switch {
	case len(r.Regions) > 0 && r.FailedRegions() == len(r.Regions):
		return "Use was not looked up, because every region failed."
	case len(r.Sources.LookedUp) == 0 && r.Count(record.Image.UnknownUse) > 0:
		return "Use was not looked up in any source." + r.notLookedUpIn()
	case len(r.Sources.LookedUp) == 0:
		return "Use was not looked up, because no AMI needed it." + r.notLookedUpIn()
	default:
		return "Use was looked up in: " + plain.Printable(list(r.Sources.LookedUp)) + "." + r.notLookedUpIn()
	}
}

// notLookedUpIn says what limits a sentence about the lookups: sources that did not answer in full,
// regions in which none was made, and that a dry run does not look twice.
func (r run) notLookedUpIn() string {
	var incomplete []string
	for _, region := range r.Regions {
		incomplete = append(incomplete, region.Incomplete...)
	}
	slices.Sort(incomplete)
	words := ""
	if incomplete = slices.Compact(incomplete); len(incomplete) > 0 {
		words = " Not answered in full: " + plain.Printable(list(incomplete)) + "."
	}
	if idle := r.namesOf(func(g record.Region) bool { return g.Error == "" && len(g.LookedUp)+len(g.Incomplete) == 0 }); idle != "" && len(r.Sources.LookedUp) > 0 {
		words += " No AMI needed it in " + idle + "."
	}
	if failed := r.namesOf(func(g record.Region) bool { return g.Error != "" }); failed != "" {
		words += " It was not looked up in " + failed + ": see the error above."
	}
	if r.DryRun && r.Totals.WouldDeregister > 0 {
		words += " A run that removes looks again just before it does; a dry run does not."
	}
	return words
}

// namesOf lists the regions that are as wanted.
func (r run) namesOf(wanted func(record.Region) bool) string {
	var names []string
	for _, region := range r.Regions {
		if wanted(region) {
			names = append(names, plain.Text(region.Region))
		}
	}
	return list(names)
}
