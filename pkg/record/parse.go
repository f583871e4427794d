package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Parse reads a record that this version or an earlier one has written. What a version did not
// record is zero: before SchemaVersion 1 that is what kept and due images take, and how long each
// has been idle.
func Parse(text []byte) (Run, error) {
	var r Run
	if err := json.Unmarshal(text, &r); err != nil {
		return Run{}, fmt.Errorf("it is no record of a run: %w", err)
	}
	if !ami.RunID(r.Run).Valid() || r.Regions == nil {
		return Run{}, errors.New("it is no record of a run: it names no run, or no regions")
	}
	if r.SchemaVersion > SchemaVersion {
		return Run{}, fmt.Errorf("a later version has written it, with schema version %d; this one reads up to %d", r.SchemaVersion, SchemaVersion)
	}
	for _, g := range r.Regions {
		for i := range g.Images {
			g.Images[i].restoreCode()
		}
		for i := range g.Gaps {
			g.Gaps[i].At = g.keptBy(g.Gaps[i])
		}
	}
	return r, nil
}

// restoreCode reads the code of an outcome from the reason that it has added to the image. A record
// has no other trace of it.
func (i Image) restoreCode() {
	if !i.Skipped() || len(i.Reasons) == 0 {
		return
	}
	last := i.Reasons[len(i.Reasons)-1]
	if code := string(last.Code); CameUpLate(code) && i.Outcome.Error == code+": "+last.Detail {
		i.Outcome.Code = code
	}
}

// keptBy finds the images that a gap keeps. A gap that keeps many does not list all ids.
func (g Region) keptBy(gap Gap) []int {
	var at []int
	for n, i := range g.Images {
		is := slices.Contains(gap.ImageIDs, i.ImageID)
		if !is && gap.Images > len(gap.ImageIDs) && i.Unproven() {
			code, details := gapsOf(i, nil)
			is = code == gap.Code && strings.Contains(itsSnapshot.ReplaceAllString(details[0], "a snapshot of it: "), gap.Detail)
		}
		if is {
			at = append(at, n)
		}
	}
	return at
}
