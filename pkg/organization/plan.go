package organization

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// accountPlan is what a run may do in an account.
type accountPlan struct {
	Run      string             `json:"run"`
	Account  string             `json:"account"`
	Error    string             `json:"error,omitempty"` // Why there is none.
	Approved retention.Approved `json:"approved"`
	Due      []due              `json:"due"` // What the cap is for: removals and announcements.
	Reports  bool               `json:"reports"`

	// Unfinished says that an earlier run was killed in this account, and left its mark: the next
	// sweep sees what became of its work.
	Unfinished bool `json:"unfinished"`
}

// due is an image to be removed or announced.
type due struct {
	Region   string             `json:"region"`
	ImageID  string             `json:"image"`
	Decision retention.Decision `json:"decision"`
	LastUse  time.Time          `json:"lastUse"`
}

// Plan makes the plan of an account, by all censuses of the run. It changes nothing there.
func (h *Hub) Plan(ctx context.Context, run, account string) error {
	documents, begun, err := h.begun(ctx, run, account)
	if err != nil {
		return err
	}
	plan := accountPlan{Run: run, Account: account}
	j, err := h.judge(ctx, documents, begun, account, readRole)
	if err != nil {
		plan.Error = err.Error()
		return documents.Save(ctx, run, planFolder+"/"+account+".json", plan)
	}
	j.BorrowedRecords = true // It writes no record there either.
	j.Planned = func(plans []retention.Plan) {
		plan.Approved = retention.Approve(plans)
		for i := range plans {
			plan.add(&plans[i])
		}
	}
	dry := j.Run(ctx, ami.RunID(run), true)
	dry.FirstRun = false // Its journal begins with its first sweep, which may never come.
	kept, err := documents.Journal(account)
	if err == nil {
		plan.Unfinished, err = kept.IsUnfinished(ctx)
	}
	if err != nil {
		return err
	}
	if err := janitor.Err(dry); err != nil && dry.AllFailed() {
		plan.Error = err.Error()
	}
	if err := documents.Save(ctx, run, recordFolder+"/"+account+".json.gz", dry); err != nil {
		return err
	}
	return documents.Save(ctx, run, planFolder+"/"+account+".json", plan)
}

func (p *accountPlan) add(plan *retention.Plan) {
	approved := p.Approved.Regions[plan.Region].Images
	for i := range plan.Verdicts {
		v := &plan.Verdicts[i]
		if _, ok := approved[v.Image.ID]; ok && (v.Decision == retention.Deregister || v.Decision == retention.Mark) {
			p.Due = append(p.Due, due{plan.Region, v.Image.ID, v.Decision, v.LastUse})
		}
	}
	if plan.Hold == "" && !plan.Busy && len(plan.ReportsWanted)+len(plan.ReportsDone) > 0 {
		p.Reports = true
	}
}

// judge returns the janitor of an account that judges by all censuses of the run.
func (h *Hub) judge(ctx context.Context, documents *journal.Organization, begun targets, account, role string) (*janitor.Janitor, error) {
	var gathered census.Gathered
	if err := documents.Load(ctx, begun.Run, gatheredName, &gathered); err != nil {
		return nil, err
	}
	if gathered.Organization != begun.Organization {
		return nil, fmt.Errorf("the censuses are those of organization %q, and the run is one over %q", gathered.Organization, begun.Organization)
	}
	j, err := h.member(ctx, documents, begun.Run, account, begun.Partition, role)
	if err != nil {
		return nil, err
	}
	j.Abroad = gathered.Of(account, begun.Run, h.Clock())
	return j, nil
}

// readRecord returns the record that was made with the plan of an account; nil if there is none.
func readRecord(ctx context.Context, documents *journal.Organization, run, account string) (*record.Run, error) {
	var dry record.Run
	err := documents.Load(ctx, run, recordFolder+"/"+account+".json.gz", &dry)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return nil, nil //nolint:nilnil // The plan is missing, which its caller tells of.
	case err != nil:
		return nil, err
	default:
		return &dry, nil
	}
}
