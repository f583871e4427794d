package organization

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Explanation is what a run over the organization found out about an image.
type Explanation struct {
	Run     string          `json:"run"`
	ImageID string          `json:"imageId"`
	Account string          `json:"account"` // Its owner; empty if none did.
	Image   *record.Image   `json:"image,omitempty"`
	Uses    []census.Use    `json:"uses"`           // By other accounts.
	Seen    census.Sighting `json:"seen,omitzero"`  // On an earlier night.
	Gaps    []census.Gap    `json:"gaps,omitempty"` // What was not counted.
}

// orLatest returns a run, or if none is given the latest that has counted the accounts.
func (h *Hub) orLatest(ctx context.Context, documents *journal.Organization, run string) (string, error) {
	if run != "" {
		return run, nil
	}
	var memory census.Memory
	_, err := documents.LoadMemory(ctx, &memory)
	if err == nil && memory.LastRun == "" {
		err = fmt.Errorf("%s has no run over an organization: %w", h.Config.Records, journal.ErrNotFound)
	}
	return memory.LastRun, err
}

// Explain says what a run found out about images, given by their ids, from the documents that it
// has left; of the latest run if none is given.
func (h *Hub) Explain(ctx context.Context, run string, ids []string) ([]Explanation, error) {
	documents, err := h.open()
	if err != nil {
		return nil, err
	}
	if run, err = h.orLatest(ctx, documents, run); err != nil {
		return nil, err
	}
	_, begun, err := h.targets(ctx, run)
	if err != nil {
		return nil, err
	}
	var gathered census.Gathered
	if err := documents.Load(ctx, run, gatheredName, &gathered); err != nil {
		if errors.Is(err, journal.ErrNotFound) {
			return nil, fmt.Errorf("run %s has not counted the accounts", run)
		}
		return nil, err
	}
	explanations := make([]Explanation, len(ids))
	for i, id := range ids {
		explanations[i] = Explanation{Run: run, ImageID: id, Uses: append([]census.Use{}, gathered.Uses[id]...), Seen: gathered.Seen[id], Gaps: gathered.Gaps}
	}
	for _, target := range begun.Accounts {
		judged, err := readRecord(ctx, documents, run, target.ID)
		if err != nil || judged == nil {
			continue // Its plan failed, which the record of the run tells.
		}
		judged.Each(func(i record.Image) bool { return slices.Contains(ids, i.ImageID) }, func(_ record.Region, i record.Image) {
			at := slices.Index(ids, i.ImageID)
			explanations[at].Account, explanations[at].Image = target.ID, &i
		})
	}
	return explanations, nil
}
