package record

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// itsSnapshot matches the start of a detail that differs between images only by the snapshot.
var itsSnapshot = regexp.MustCompile(`^(its snapshot )?snap-[0-9a-z]+: `)

// Gap is a missing proof: that nothing needs an image, or that it could be restored. Remedy is
// filled in by digest.Advise.
type Gap struct {
	// Code is the reason for which images stay because of it, such as "unknown-use".
	Code retention.Code `json:"code"`
	// Detail is what could not be found out, of what, and why. It is the same for other images, but
	// for a snapshot.
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`

	// Of a region: how many images this gap keeps, alone or with other gaps, and the first of their
	// ids.
	Images   int      `json:"images,omitempty"`
	ImageIDs []string `json:"imageIds,omitempty"`

	// At says where these images are among those of the region. One that the record leaves out has
	// a negative number of its own.
	At []int `json:"-"`
}

// mostIDs is how many image ids a gap lists in the record. A listing that fails keeps all images of
// a region.
const mostIDs = 20

// noteGaps notes what keeps the unproven images of a region, the gap with most images first. The
// verdicts are in the order of the images.
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

// gapsOf returns the gaps of an unproven image, and the code of the reason.
func gapsOf(i Image, found []ami.Gap) (retention.Code, []string) {
	reason, details := i.WhyUnproven(), []string(nil)
	if i.Skipped() {
		reason = CameUp(*i.Outcome)
	} else if reason.Code == ami.ReasonUnknownUse {
		details = GapTexts(found)
	}
	if len(details) == 0 {
		details = []string{reason.Detail}
	}
	return reason.Code, details
}

// add counts an image, given by its index, once, however many of its snapshots have the gap. Detail
// is then that of several images.
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
