package organization

import (
	"cmp"
	"context"
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// firstCap is the cap on an organization's run until one has swept.
const firstCap = 10

// allotment is what a run does in an account.
type allotment struct {
	Run      string             `json:"run"`
	Account  string             `json:"account"`
	Approved retention.Approved `json:"approved"`

	Unfinished bool `json:"unfinished,omitempty"` // See accountPlan.
}

// writes reports whether anything may be changed by it.
func (a allotment) writes() bool {
	if a.Approved.Reports || a.Unfinished {
		return true
	}
	for _, region := range a.Approved.Regions {
		if len(region.Images)+len(region.Leftovers) > 0 {
			return true
		}
	}
	return false
}

// Allot says what is removed and announced in which account: the stalest images of the whole
// organization first, within the cap. It returns the accounts in which anything is changed; none in
// a dry run, or if too few accounts have answered.
func (h *Hub) Allot(ctx context.Context, run string) ([]Item, error) {
	documents, begun, err := h.targets(ctx, run)
	if err != nil {
		return nil, err
	}
	var known counted
	if err := documents.Load(ctx, run, countedName, &known); err != nil {
		return nil, err
	}
	plans, err := h.plansOf(ctx, documents, begun)
	if err != nil {
		return nil, err
	}
	limit := h.Config.Organization.MaxDeregistrations
	if known.RealRuns == 0 {
		limit = min(limit, firstCap)
	}
	sweeps := []Item{}
	for _, allotted := range allot(plans, limit) {
		if err := documents.Save(ctx, run, allotmentFolder+"/"+allotted.Account+".json", allotted); err != nil {
			return nil, err
		}
		if allotted.writes() && !begun.DryRun && known.NotSwept == "" {
			sweeps = append(sweeps, Item{allotted.Account})
		}
	}
	return sweeps, documents.Save(ctx, run, sweepItems, sweeps)
}

// SweepKey is where the accounts to be swept are in the bucket.
func (h *Hub) SweepKey(run string) string {
	documents, err := h.open()
	if err != nil {
		return "" // Allot has failed before.
	}
	return documents.Key(run, sweepItems)
}

// plansOf returns the plans of the accounts that are judged, by account.
func (h *Hub) plansOf(ctx context.Context, documents *journal.Organization, begun targets) ([]accountPlan, error) {
	plans, err := loadAll[accountPlan](ctx, documents, begun.Run, planFolder)
	if err != nil {
		return nil, err
	}
	isJudged := map[string]bool{}
	for _, target := range begun.Accounts {
		isJudged[target.ID] = target.Judged
	}
	return slices.DeleteFunc(plans, func(p accountPlan) bool {
		return p.Run != begun.Run || !isJudged[p.Account] || p.Error != ""
	}), nil
}

// allot divides the cap: for removals and for announcements one each. The order of the plans does
// not matter.
func allot(plans []accountPlan, limit int) []allotment {
	type claim struct {
		due
		account string
	}
	var claims []claim
	for _, plan := range plans {
		for _, d := range plan.Due {
			claims = append(claims, claim{d, plan.Account})
		}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(a.LastUse.Compare(b.LastUse), cmp.Compare(a.account, b.account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.ImageID, b.ImageID))
	})
	used := map[retention.Decision]int{}
	over := map[string]map[string][]string{} // The images beyond the cap, by account and region.
	for _, c := range claims {
		if used[c.Decision]++; used[c.Decision] <= limit {
			continue
		}
		if over[c.account] == nil {
			over[c.account] = map[string][]string{}
		}
		over[c.account][c.Region] = append(over[c.account][c.Region], c.ImageID)
	}
	allotments := make([]allotment, len(plans))
	for i, plan := range plans {
		approved := plan.Approved.Without(over[plan.Account])
		approved.Reports = plan.Reports
		allotments[i] = allotment{plan.Run, plan.Account, approved, plan.Unfinished}
	}
	slices.SortFunc(allotments, func(a, b allotment) int { return cmp.Compare(a.Account, b.Account) })
	return allotments
}
