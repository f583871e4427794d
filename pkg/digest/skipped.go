package digest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func (r run) skipped() Section {
	n := r.Count(record.Image.Skipped)
	var groups []Group
	for _, reason := range r.skippedByReason() {
		groups = append(groups, listed(reason.images, "Why: "+reason.why+". "+r.words(reason.advice)))
	}
	return listing("Skipped", r.whatWasSkipped(n)+" The next run judges what is left.", groups...)
}

func (r run) whatWasSkipped(n int) string {
	marks := r.Count(func(i record.Image) bool { return i.Skipped() && i.Verdict == retention.Mark })
	switch marks {
	case 0:
		return "Due, but not deregistered by this run."
	case n:
		return "They were to be announced by this run, and were not."
	default:
		return "They were to be deregistered, or to be announced, by this run, and were not."
	}
}

// skippedImages are the images that were skipped for the same reason.
type skippedImages struct {
	why    string
	advice string
	images []Item // Each with what it alone has to say.
}

// skippedByReason groups the skipped images by error. Where each error is unique, such as what was
// seen to use an image, they are grouped by code.
func (r run) skippedByReason() []skippedImages {
	faults := map[string]int{}
	r.Each(record.Image.Skipped, func(_ record.Region, image record.Image) { faults[image.Outcome.Error]++ })
	var groups []skippedImages
	r.Each(record.Image.Skipped, func(region record.Region, image record.Image) {
		fault, item := image.Outcome.Error, Item{Label: idAndName(image), Region: r.name(region)}
		why := cmp.Or(strings.TrimSuffix(faultText(fault), "."), "no reason was given")
		if record.CameUpLate(image.Outcome.Code) && faults[fault] == 1 {
			late := record.CameUp(*image.Outcome)
			why = codeAndMeaning(late.Code)
			item.Says = faultText(late.Detail)
		}
		i := slices.IndexFunc(groups, func(g skippedImages) bool { return g.why == why })
		if i < 0 {
			i = len(groups)
			groups = append(groups, skippedImages{why: why, advice: advice(fault, toDeregister)})
			if image.IsStopped() {
				groups[i].advice = "" // It is above.
			}
		}
		groups[i].images = append(groups[i].images, item)
	})
	return groups
}

func (r run) deferred() Section {
	why := "They are due as well, but one run removes only so many."
	if r.Totals.Marked > 0 {
		why = "They are due, or to be announced, as well, but one run removes and announces only so many."
	}
	isProven := func(i record.Image) bool { return i.Waiting() && !i.Unasked() }
	s := listing("Deferred", why+" Later runs take them, the stalest first, unless they are used until then.",
		listed(r.images(isProven, r.said(mainDetail))))
	if unasked := r.unasked(); unasked != "" {
		s.Title, s.Count = "Deferred", s.Count+r.Count(record.Image.Unasked)
		s.Groups = append(s.Groups, Group{Intro: says(unasked)})
	}
	return s
}

// unasked says how many images look stale, and wait to be looked up.
func (r run) unasked() string {
	n := r.Count(record.Image.Unasked)
	switch n {
	case 0:
		return ""
	case 1:
		return "About 1 more AMI looks stale; what refers to it is looked up when it is its turn. It is in no saving."
	default:
		return "About " + count(n, "more AMI") + " look stale; what refers to them is looked up when it is their turn. They are in no saving."
	}
}
