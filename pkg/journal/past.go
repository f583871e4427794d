package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Action is what one run did about one image.
type Action struct {
	Run    string
	Status ami.Status // Empty if the run only announced the removal of the image.
	Error  string

	Refused         bool // EC2 refused the removal.
	Snapshots       []ami.SnapshotResult
	RestorableUntil time.Time

	WithdrawnBy string // The run that took the announcement of this one back; empty if none did.
}

// MayHaveRemoved reports whether the run removed the image, or nobody knows whether it did.
func (a Action) MayHaveRemoved() bool { return a.Status == ami.Deregistered || a.Status == attempted }

// Past returns what runs did about an image of a region, the latest run first.
func (j *Journal) Past(ctx context.Context, region, image string) ([]Action, error) {
	if err := cmp.Or(checkRegion(region), checkImage(image)); err != nil {
		return nil, err
	}
	prefix := removalsPrefix + region + "/"
	documents, err := j.store.list(ctx, prefix+image+"/")
	if err != nil {
		return nil, err
	}
	actions := map[string]*Action{}
	for _, d := range documents {
		key := d.key
		r, ok := parseRemovalKey(strings.TrimPrefix(key, prefix))
		if !ok {
			return nil, j.foreign(key)
		}
		if actions[r.run] == nil {
			actions[r.run] = &Action{Run: r.run}
		}
		if err := j.readAction(ctx, region, r, actions[r.run]); err != nil {
			return nil, err
		}
	}
	var past []Action
	for _, action := range actions {
		past = append(past, *action)
	}
	slices.SortFunc(past, func(a, b Action) int { return strings.Compare(b.Run, a.Run) })
	return past, nil
}

// readAction adds to a action what one document says of it.
func (j *Journal) readAction(ctx context.Context, region string, r removal, action *Action) error {
	switch r.snapshot {
	case "":
		document, err := j.readRemoval(ctx, region, r)
		if err != nil {
			return err
		}
		action.Status, action.Error, action.Refused = document.Status, document.Error, document.Refused
		action.Snapshots, action.RestorableUntil = document.Snapshots, document.RestorableUntil
	case withdrawn:
		key := withdrawnKey(region, r.image, r.run)
		data, _, err := j.store.get(ctx, key)
		if err != nil {
			return err
		}
		var document withdrawnDocument
		if err := cmp.Or(json.Unmarshal(data, &document), checkRun(document.WithdrawnBy)); err != nil {
			return j.unreadable(key, err)
		}
		action.WithdrawnBy = document.WithdrawnBy
	}
	return nil
}
