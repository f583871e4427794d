package digest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func (r run) kept() Section {
	reasons := r.keptReasons()
	if len(reasons) == 0 {
		return Section{}
	}
	items := make([]Item, len(reasons))
	for i, k := range reasons {
		items[i] = Item{Label: thousands(int64(k.images)) + " " + plain.Text(string(k.code))}
		if meaning := meaningOf(k.code); meaning != "" {
			items[i].Says = "the image " + meaning
		}
	}
	return Section{
		Title: "Kept", Count: r.Totals.Kept,
		Intro:  says("Each is counted once, under the first reason that keeps it."),
		Groups: []Group{{Items: items}},
	}
}

// keptInBrief are the reasons that keep most, with what these images take.
func (r run) keptInBrief() string {
	counts, images := map[retention.Code]int{}, 0
	for _, region := range r.Regions {
		for _, i := range region.Images {
			if stays(region, i) {
				counts[i.WhyKept()]++
				images++
			}
		}
	}
	reasons := byImages(counts)
	if images == 0 {
		return ""
	}
	shown, rest := reasons[:min(mostInShort, len(reasons))], reasons[min(mostInShort, len(reasons)):]
	var words []string
	for _, k := range shown {
		stored := r.Stored(func(g record.Region, i record.Image) bool { return stays(g, i) && i.WhyKept() == k.code })
		word := thousands(int64(k.images)) + " " + plain.Text(string(k.code))
		if stored.GiB > 0 {
			word += fmt.Sprintf(" (%s GiB, %s)", thousands(stored.GiB), money(stored.MonthlyUpTo))
		}
		words = append(words, word)
		images -= k.images
	}
	if len(rest) > 0 {
		words = append(words, count(len(rest), "more reason")+" ("+count(images, "AMI")+")")
	}
	return "Kept: " + list(words) + "."
}

// keptReason counts the images that are kept for one reason.
type keptReason struct {
	code   retention.Code
	images int
}

// keptReasons counts the kept images of all regions by reason, most first, unknown reasons
// included.
func (r run) keptReasons() []keptReason {
	counts := map[retention.Code]int{}
	for _, region := range r.Regions {
		for code, n := range region.KeptBy() {
			counts[code] += n
		}
	}
	return byImages(counts)
}

// byImages sorts reasons by how many images each keeps, and then as the table of reasons does.
func byImages(counts map[retention.Code]int) []keptReason {
	var reasons []keptReason
	for _, rule := range retention.Rules() {
		if n := counts[rule.Code]; n > 0 {
			reasons = append(reasons, keptReason{rule.Code, n})
			delete(counts, rule.Code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		reasons = append(reasons, keptReason{code, counts[code]})
	}
	slices.SortStableFunc(reasons, func(a, b keptReason) int { return b.images - a.images })
	return reasons
}

// codeAndMeaning says a reason as the table of reasons does.
func codeAndMeaning(code retention.Code) string {
	if meaning := meaningOf(code); meaning != "" {
		return string(code) + ": the image " + meaning
	}
	return plain.Text(string(code))
}

// meaningOf continues "the image …". It is empty for a code that is not in the table of reasons.
func meaningOf(code retention.Code) string {
	rules := retention.Rules()
	at := slices.IndexFunc(rules, func(rule retention.Rule) bool { return rule.Code == code })
	if at < 0 {
		return ""
	}
	return rules[at].Meaning
}
