package record

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// itsSnapshot begins a detail that is the same for other images, but for a snapshot.
var itsSnapshot = regexp.MustCompile(`^(its snapshot )?snap-[0-9a-z]+: `)

// Gap is something without which it is not proven that nothing needs an image, or that there is a way back, and what to do about it.
type Gap struct {
	Code   retention.Code `json:"code"`   // The reason for which images stay because of it, such as "unknown-use".
	Detail string         `json:"detail"` // What could not be found out, of what, and why. It is the same for other images, but for a snapshot.
	Remedy string         `json:"remedy"`

	// Of a region: how many images stay for want of that alone, or of other proof besides, and the ids of the first of them.
	Images   int      `json:"images,omitempty"`
	ImageIDs []string `json:"imageIds,omitempty"`

	At []int `json:"-"` // Where these images are among those of the region.
}

// mostIDs is how many ids of images a gap has in the  A listing that fails keeps all of a region.
const mostIDs = 20

// noteGaps notes what keeps those images of a region that stay only for want of a proof, or of a way back; what keeps most of them comes
// first. The verdicts are those on the images, in their order.
func (g *Region) noteGaps(verdicts []retention.Verdict) {
	type key struct {
		code   retention.Code
		detail string
	}
	byKey := map[key]*Gap{}
	for n, i := range g.Images {
		if g.Busy || !i.Unproven() {
			continue
		}
		code, details := gapsOf(i, verdicts[n].Gaps)
		for _, detail := range details {
			same := key{code, itsSnapshot.ReplaceAllString(detail, "a snapshot of it: ")}
			if byKey[same] == nil {
				byKey[same] = &Gap{Code: code, Detail: detail}
			}
			byKey[same].add(n, i.ImageID, same.detail)
		}
	}
	for _, gap := range byKey {
		g.Gaps = append(g.Gaps, *gap)
	}
	slices.SortFunc(g.Gaps, func(a, b Gap) int {
		return cmp.Or(b.Images-a.Images, strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Detail, b.Detail))
	})
}

// gapsOf returns what keeps an image that stays only for want of a proof, or of a way back, and the code of the reason.
func gapsOf(i Image, found []ami.Gap) (retention.Code, []string) {
	reason, details := i.WhyUnproven(), []string(nil)
	if i.Skipped() {
		reason = CameUp(*i.Outcome)
	} else if reason.Code == UnknownUseCode {
		details = GapTexts(found)
	}
	if len(details) == 0 {
		details = []string{reason.Detail}
	}
	return reason.Code, details
}

// add counts an image, given by its place, once however many of its snapshots the gap is about. The detail is that of several.
func (g *Gap) add(n int, imageID, detail string) {
	switch {
	case g.Images > 0 && g.At[g.Images-1] == n:
		return
	case g.Images > 0:
		g.Detail = detail
	}
	g.Images, g.At = g.Images+1, append(g.At, n)
	if len(g.ImageIDs) < mostIDs {
		g.ImageIDs = append(g.ImageIDs, imageID)
	}
}

// GapTexts words gaps, each once.
func GapTexts(gaps []ami.Gap) []string {
	var texts []string
	for _, gap := range gaps {
		if text := gap.Source + ": " + gap.Err; !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}
