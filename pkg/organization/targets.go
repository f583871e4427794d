package organization

import (
	"context"
	"errors"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/census"
)

// Names of the documents of a run.
const (
	targetsName     = "organization.json"
	censusItems     = "census-targets.json"
	planItems       = "plan-targets.json"
	sweepItems      = "sweep-targets.json"
	censusFolder    = "census"
	gatheredName    = "census.json.gz"
	countedName     = "counted.json"
	planFolder      = "plans"
	recordFolder    = "records"
	allotmentFolder = "allotments"
	allotmentName   = "allotment.json"
	sweepFolder     = "sweeps"
	recordName      = "record.json"
)

// targets is the document that a run begins with.
type targets struct {
	Run          string    `json:"run"`
	DryRun       bool      `json:"dryRun"`
	StartedAt    time.Time `json:"startedAt"`
	Organization string    `json:"organization"`
	Management   string    `json:"managementAccount"`
	Partition    string    `json:"partition"`
	Accounts     []Target  `json:"accounts"` // By id.
}

// Target is an account of the organization.
type Target struct {
	census.Account
	Judged    bool   `json:"judged"`
	NotJudged string `json:"notJudged,omitempty"` // Why not.
}

// Item is an item of a map of the state machine.
type Item struct {
	Account string `json:"account"`
}

// Started is what the state machine learns of the first step.
type Started struct {
	Run    string
	DryRun bool
	Census []Item // The accounts to be counted,
	Plan   []Item // and those to be judged.

	CensusKey, PlanKey string // Where these are in the bucket.
}

// Targets lists the accounts of the organization, and says which of them are judged. Every account
// that can be asked is counted. If the list is not certain, it is an error.
func (h *Hub) Targets(ctx context.Context, run string, dryRun bool) (Started, error) {
	documents, err := h.open()
	if err != nil {
		return Started{}, err
	}
	found, err := list(ctx, h.AWS)
	if err != nil {
		return Started{}, err
	}
	accounts, err := choose(found, h.Config.Organization)
	if err != nil {
		return Started{}, err
	}
	started := Started{Run: run, DryRun: dryRun, CensusKey: documents.Key(run, censusItems), PlanKey: documents.Key(run, planItems)}
	for _, account := range accounts {
		if account.State == census.Active {
			started.Census = append(started.Census, Item{account.ID})
		}
		if account.Judged {
			started.Plan = append(started.Plan, Item{account.ID})
		}
	}
	if len(started.Plan) == 0 {
		return Started{}, errors.New("no account is left to be judged")
	}
	for name, document := range map[string]any{
		targetsName: targets{run, dryRun, h.Clock().UTC(), found.id, found.management, found.partition, accounts},
		censusItems: started.Census,
		planItems:   started.Plan,
	} {
		if err := documents.Save(ctx, run, name, document); err != nil {
			return Started{}, err
		}
	}
	return started, nil
}
