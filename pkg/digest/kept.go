package digest

import (
	"maps"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
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
