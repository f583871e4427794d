package janitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// The forms of ids that the journal may be asked for.
var imageID = regexp.MustCompile(`^ami-[0-9a-z]{1,64}$`)

// recordsSearched is in how many records, the latest first, the name of an image that is gone is
// looked for: those of two weeks, if there is a run every night and some by hand.
const recordsSearched = 30

// findGone returns the image that a run of the journal has removed, or may have, given by its id or
// name.
func (j *Janitor) findGone(ctx context.Context, s survey, given string) ([]place, error) {
	if s.journal == nil || len(s.inventories) == 0 {
		return nil, nil
	}
	if !imageID.MatchString(given) {
		return j.findGoneName(ctx, s, given)
	}
	for _, inventory := range s.inventories {
		actions, err := s.journal.Past(ctx, inventory.Region, given)
		if err != nil {
			return nil, fmt.Errorf("%s: reading the journal: %w", given, err)
		}
		for _, action := range actions {
			if action.MayHaveRemoved() {
				return []place{{ami.Image{ID: given}, inventory.Region, true}}, nil
			}
		}
	}
	return nil, nil
}

func (j *Janitor) findGoneName(ctx context.Context, s survey, name string) ([]place, error) {
	runs, err := s.journal.Runs(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the journal: %w", name, err)
	}
	for _, run := range runs[:min(len(runs), recordsSearched)] {
		var found []place
		for _, region := range readRecord(ctx, s.journal, run).Regions {
			for _, image := range region.Images {
				if image.Name == name && image.Outcome != nil && image.Outcome.Status == ami.Deregistered {
					found = append(found, place{ami.Image{ID: image.ImageID}, region.Region, true})
				}
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

// readRecord returns the record of a run; an empty one if there is none that can be read.
func readRecord(ctx context.Context, records *journal.Journal, run string) (found record.Run) {
	text, err := records.Record(ctx, run)
	if err = errors.Join(err, json.Unmarshal(text, &found)); err != nil {
		return record.Run{}
	}
	return found
}

// past returns what runs did about an image, the latest first, and that in the journal's terms.
func (j *Janitor) past(ctx context.Context, s survey, at place) ([]digest.Action, []journal.Action, error) {
	if s.journal == nil {
		return nil, nil, nil
	}
	actions, err := s.journal.Past(ctx, at.region, at.image.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: reading the journal: %w", at.image.ID, err)
	}
	var history []digest.Action
	if by, ok := s.inventory(at.region).History.Announced[at.image.ID]; ok {
		history = append(history, digest.NewAction(by.Run, "announced its removal by policy "+by.Policy+", due on "+record.Date(by.Due)))
	}
	for _, action := range actions {
		if action.WithdrawnBy != "" {
			history = append(history, digest.NewAction(action.WithdrawnBy, "took back the announcement of run "+action.Run))
		}
		if action.Status != "" {
			history = append(history, digest.NewAction(action.Run, did(action, at.gone)))
		}
	}
	return history, actions, nil
}

// did says what a run did about an image.
func did(action journal.Action, gone bool) string {
	switch {
	case action.Status == ami.Deregistered && gone:
		return fmt.Sprintf("removed it, and deleted %d of its snapshots", deleted(action))
	case action.Status == ami.Deregistered:
		return fmt.Sprintf("removed it, and deleted %d of its snapshots; it was restored since, or is listed late", deleted(action))
	case action.MayHaveRemoved():
		return "tried to remove it; what became of that is not known"
	case action.Refused:
		return "was refused its removal by EC2: " + action.Error
	case action.Status == ami.Skipped:
		return "left it alone: " + action.Error
	default:
		return "could not remove it: " + action.Error
	}
}

func deleted(action journal.Action) int {
	n := 0
	for _, snapshot := range action.Snapshots {
		if snapshot.Status == ami.SnapshotDeleted {
			n++
		}
	}
	return n
}

// explainGone says of an image that is gone who removed it, why, and how to get it back.
func (j *Janitor) explainGone(ctx context.Context, s survey, at place, history []digest.Action, actions []journal.Action) digest.Explanation {
	image, until := record.Image{ImageID: at.image.ID}, time.Time{}
	for _, action := range actions {
		if !action.MayHaveRemoved() {
			continue
		}
		until = action.RestorableUntil
		for _, region := range readRecord(ctx, s.journal, action.Run).Regions {
			for _, recorded := range region.Images {
				if region.Region == at.region && recorded.ImageID == image.ImageID {
					image = recorded
				}
			}
		}
		break
	}
	if outcome := image.Outcome; until.IsZero() && outcome != nil {
		until = outcome.InBinUntil
	}
	return digest.NewGone(at.region, image, history, until, s.now, j.Reader)
}
