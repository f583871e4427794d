package organization

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// undoRole is the role that people assume to bring back what was removed. No function can.
const undoRole = "undo"

// Undone is what an undo has brought back in one account.
type Undone struct {
	Account string      `json:"account"`
	Error   string      `json:"error,omitempty"` // Why nothing could be brought back.
	Report  undo.Report `json:"report"`
}

// Undo brings back what a run has removed, in all accounts or in some. It works with the role undo
// of each account, and goes by the records of the run.
func (h *Hub) Undo(ctx context.Context, run string, some []string) ([]Undone, error) {
	documents, begun, err := h.targets(ctx, run)
	if err != nil {
		return nil, err
	}
	accounts, err := sweptAccounts(ctx, documents, run)
	if err != nil {
		return nil, err
	}
	if len(some) > 0 {
		for _, account := range some {
			if !slices.Contains(accounts, account) {
				return nil, fmt.Errorf("run %s was to change nothing in account %s", run, account)
			}
		}
		accounts = some
	}
	var all []Undone
	for _, account := range accounts {
		undone := Undone{Account: account}
		if j, err := h.member(ctx, documents, run, account, begun.Partition, undoRole); err != nil {
			undone.Error = err.Error()
		} else if undone.Report, err = j.Undo().Run(ctx, run); err != nil {
			undone.Error = err.Error()
		}
		all = append(all, undone)
	}
	return all, nil
}

// sweptAccounts are the accounts in which a run may have changed something, sorted.
func sweptAccounts(ctx context.Context, documents *journal.Organization, run string) ([]string, error) {
	var items []Item
	if err := documents.Load(ctx, run, sweepItems, &items); err != nil {
		if errors.Is(err, journal.ErrNotFound) {
			return nil, fmt.Errorf("run %s came to no removal", run)
		}
		return nil, err
	}
	var accounts []string
	for _, item := range items {
		accounts = append(accounts, item.Account)
	}
	slices.Sort(accounts)
	return accounts, nil
}
