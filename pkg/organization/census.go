package organization

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// Census counts what an account uses and does not own. Whatever fails is a part of the census.
func (h *Hub) Census(ctx context.Context, run, account string) error {
	documents, begun, err := h.begun(ctx, run, account)
	if err != nil {
		return err
	}
	var taken census.Census
	if j, err := h.member(ctx, documents, run, account, begun.Partition, readRole); err != nil {
		taken = census.Failed(run, account, h.Clock().UTC(), err.Error())
	} else {
		taken = j.Count(ctx, run)
	}
	return documents.Save(ctx, run, censusFolder+"/"+account+".json", taken)
}

// begun returns the documents of the organization and how the run began, for a step that works on
// one account of it.
func (h *Hub) begun(ctx context.Context, run, account string) (*journal.Organization, targets, error) {
	documents, begun, err := h.targets(ctx, run)
	if err != nil {
		return nil, begun, err
	}
	if !slices.ContainsFunc(begun.Accounts, func(t Target) bool { return t.ID == account }) {
		return nil, begun, fmt.Errorf("%q is no account of run %s", account, run)
	}
	return documents, begun, nil
}

func (h *Hub) targets(ctx context.Context, run string) (*journal.Organization, targets, error) {
	documents, err := h.open()
	if err != nil {
		return nil, targets{}, err
	}
	var begun targets
	if err := documents.Load(ctx, run, targetsName, &begun); err != nil {
		return nil, begun, err
	}
	if begun.Run != run {
		return nil, begun, fmt.Errorf("%s is of run %q", documents.Where(run, targetsName), begun.Run)
	}
	return documents, begun, nil
}

// counted is what later steps need of all censuses besides the evidence.
type counted struct {
	Gaps     []census.Gap `json:"gaps"`
	Answered []string     `json:"answered"` // The accounts that have answered, sorted.

	// NotSwept is why nothing may be removed; empty if something may.
	NotSwept string `json:"notSwept,omitempty"`
	RealRuns int    `json:"realRuns"` // How many runs have swept before.
}

// Gather puts all censuses of a run together, and remembers them.
func (h *Hub) Gather(ctx context.Context, run string) error {
	documents, begun, err := h.targets(ctx, run)
	if err != nil {
		return err
	}
	censuses, err := loadAll[census.Census](ctx, documents, run, censusFolder)
	if err != nil {
		return err
	}
	accounts := make([]census.Account, len(begun.Accounts))
	for i, target := range begun.Accounts {
		accounts[i] = target.Account
	}
	var before census.Memory
	version, err := documents.LoadMemory(ctx, &before)
	if err != nil {
		return err
	}
	if before.Organization != "" && before.Organization != begun.Organization {
		return fmt.Errorf("the memory is that of organization %s, and the run is one over %s", before.Organization, begun.Organization)
	}
	gathered, after := census.Gather(run, begun.Organization, accounts, censuses, before, h.Clock().UTC())
	summary := counted{Gaps: gathered.Gaps, NotSwept: gathered.Shrunk, RealRuns: before.RealRuns}
	for _, taken := range censuses {
		if taken.Run == run && taken.Answered() {
			summary.Answered = append(summary.Answered, taken.Account)
		}
	}
	slices.Sort(summary.Answered)
	first, err := firstFound(ctx, documents, run, before.LastRun == run)
	if err != nil {
		return err
	}
	summary.NotSwept = cmp.Or(first, summary.NotSwept)
	if before.LastRun == run {
		after = before
	}
	for name, document := range map[string]any{gatheredName: gathered, countedName: summary} {
		if err := documents.Save(ctx, run, name, document); err != nil {
			return err
		}
	}
	return documents.SaveMemory(ctx, after, version)
}

// firstFound is why nothing may be removed by what the step found out first, if it is repeated. The
// memory may be its own since then, or that of a run beside it, and miss nobody.
func firstFound(ctx context.Context, documents *journal.Organization, run string, isRepeated bool) (string, error) {
	var first counted
	err := documents.Load(ctx, run, countedName, &first)
	if errors.Is(err, journal.ErrNotFound) && !isRepeated {
		return "", nil
	}
	return first.NotSwept, err
}

// loadedAtOnce is how many documents are read at a time.
const loadedAtOnce = 16

// loadAll reads all documents of a folder. One that cannot be understood counts as missing, because
// whoever wrote it may have been killed; one that cannot be read is an error.
func loadAll[T any](ctx context.Context, documents *journal.Organization, run, folder string) ([]T, error) {
	names, err := documents.Names(ctx, run, folder)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	loaded, damaged := make([]T, len(names)), make([]bool, len(names))
	var loading errgroup.Group
	loading.SetLimit(loadedAtOnce)
	for i, name := range names {
		loading.Go(func() error {
			err := documents.Load(ctx, run, folder+"/"+name, &loaded[i])
			_, isSyntax := errors.AsType[*json.SyntaxError](err)
			damaged[i] = isSyntax
			if isSyntax {
				return nil
			}
			return err
		})
	}
	if err := loading.Wait(); err != nil {
		return nil, err
	}
	var whole []T
	for i := range loaded {
		if !damaged[i] {
			whole = append(whole, loaded[i])
		}
	}
	return whole, nil
}
