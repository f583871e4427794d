package report

import (
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// ages says how long images have been idle.
type ages struct {
	Rows    []age
	Unknown int // How many images have no age.
	Limit   string
	Legend  []legend
}

// age is a row of the histogram: either images, or the limit as a line between them.
type age struct {
	Range, Images, GiB string
	Limit              string // What the line stands for.
	Bar                bar
}

// edges are where the rows of the histogram begin, in days. The limits of a policy come in between.
var edges = []int{0, 30, 60, 90, 120, 150, 180, 270, 365, 545, 730, 1095}

const (
	ageOther  = iota // A rule keeps the image, however long it has been idle.
	ageRecent        // Only the limit keeps it.
	ageGoing         // It went, or is due.
	ageKinds
)

var ageLegend = []legend{
	ageOther:  {"kept", "kept by another rule"},
	ageRecent: {"recent", "kept only because of its recent use: a shorter limit could free these"},
	ageGoing:  {"removed", "removed, due or announced"},
}

func newAges(run record.Run) ages {
	a := ages{Legend: ageLegend}
	stale, never := days(run.Policy["staleAfter"]), days(run.Policy["neverLaunchedAfter"])
	from := slices.Clone(edges)
	for _, limit := range []int{stale, never} {
		if limit > 0 && !slices.Contains(from, limit) {
			from = append(from, limit)
		}
	}
	slices.Sort(from)
	counts, gib := make([][ageKinds]float64, len(from)), make([]int64, len(from))
	run.Each(all, func(g record.Region, i record.Image) {
		_, idle, isKnown := lastUse(run, i)
		if !isKnown {
			a.Unknown++
			return
		}
		at, found := slices.BinarySearch(from, max(idle, 0))
		if !found {
			at--
		}
		counts[at][ageKind(g, i)]++
		gib[at] += i.SizeGiB
	})
	longest := 0.0
	for _, c := range counts {
		longest = max(longest, c[ageOther]+c[ageRecent]+c[ageGoing])
	}
	for n, days := range from {
		if line := limitAt(days, stale, never); line != "" {
			a.Rows = append(a.Rows, age{Limit: line})
		}
		a.Rows = append(a.Rows, newAge(ageRange(from, n), counts[n], gib[n], longest))
	}
	return a
}

func newAge(within string, counts [ageKinds]float64, gib int64, longest float64) age {
	images := int(counts[ageOther] + counts[ageRecent] + counts[ageGoing])
	words := []string{within + ": " + digest.Count(images, "AMI")}
	for kind, n := range counts {
		if n > 0 {
			words = append(words, number(int(n))+" "+[ageKinds]string{"kept by another rule", "kept only because of recent use", "removed, due or announced"}[kind])
		}
	}
	return age{
		Range: within, Images: number(images), GiB: digest.Thousands(gib),
		Bar: stacked(strings.Join(words, ", "), longest, []string{"kept", "recent", "removed"}, counts[ageOther], counts[ageRecent], counts[ageGoing]),
	}
}

func ageKind(g record.Region, i record.Image) int {
	switch {
	case g.Standing(i) != record.StandingKept:
		return ageGoing
	case !slices.ContainsFunc(i.Reasons, func(r retention.Reason) bool { return r.Code != ami.ReasonRecentlyUsed }):
		return ageRecent
	default:
		return ageOther
	}
}

// limitAt says which limits of the policy are at a number of days.
func limitAt(days, stale, never int) string {
	switch {
	case days == 0:
		return ""
	case days == stale && (never == stale || never == 0):
		return "limit: " + number(days) + " days"
	case days == stale:
		return "limit for images that were launched: " + number(days) + " days"
	case days == never:
		return "limit for images that were never launched: " + number(days) + " days"
	default:
		return ""
	}
}

func ageRange(from []int, n int) string {
	if n == len(from)-1 {
		return number(from[n]) + " days and more"
	}
	return number(from[n]) + "–" + number(from[n+1]-1) + " days"
}

// days is a duration such as 180d in whole days; 0 for any other text.
func days(words string) int {
	d, err := retention.ParseDays(words)
	if err != nil {
		return 0
	}
	return int(time.Duration(d) / retention.Day)
}
