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
	if err := readable(r.SchemaVersion); err != nil {
		return Run{}, err
	}
	r.restore()
	return r, nil
}

// ParseOrganization reads the record of a run over an organization.
func ParseOrganization(text []byte) (Organization, error) {
	var o Organization
	if err := json.Unmarshal(text, &o); err != nil {
		return Organization{}, fmt.Errorf("it is no record of an organization's run: %w", err)
	}
	if !ami.RunID(o.Run).Valid() || o.Accounts == nil {
		return Organization{}, errors.New("it is no record of an organization's run: it names no run, or no accounts")
	}
	if err := readable(o.SchemaVersion); err != nil {
		return Organization{}, err
	}
	for _, m := range o.Accounts {
		if m.Record != nil {
			m.Record.restore()
		}
	}
	return o, nil
}

// readable says why this version cannot read a record.
func readable(schemaVersion int) error {
	if schemaVersion > SchemaVersion {
		return fmt.Errorf("a later version has written it, with schema version %d; this one reads up to %d", schemaVersion, SchemaVersion)
	}
	return nil
}

// restore restores what a record does not say in so many words.
func (r *Run) restore() {
	for _, g := range r.Regions {
		for i := range g.Images {
			g.Images[i].restoreCode()
		}
		for i := range g.Gaps {
			g.Gaps[i].At = g.keptBy(g.Gaps[i])
		}
	}
}

// restoreCode reads the code of an outcome from the reason that it has added to the image. Records
// of earlier versions have no other trace of it.
func (i Image) restoreCode() {
	if !i.Skipped() || i.Outcome.Code != "" || len(i.Reasons) == 0 {
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
	for len(at) < gap.Images { // The record leaves the others out.
		at = append(at, ^len(at))
	}
	return at
}
