package organization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// sweepResult is how the sweep of an account ended.
type sweepResult struct {
	Run     string `json:"run"`
	Account string `json:"account"`
	Error   string `json:"error,omitempty"`
	Stopped string `json:"stopped,omitempty"` // Why the run was stopped, before or meanwhile.
}

// Sweep carries out what is allotted to an account: it plans again, and does what both plans have
// in common. The record is in the journal of the account.
func (h *Hub) Sweep(ctx context.Context, run, account string) error {
	documents, begun, err := h.begun(ctx, run, account)
	if err != nil {
		return err
	}
	var allotted allotment
	if err := documents.Load(ctx, run, allotmentFolder+"/"+account+".json", &allotted); err != nil {
		return err
	}
	if allotted.Run != run || allotted.Account != account {
		return errors.New("what is allotted is that of another run or account")
	}
	result := sweepResult{Run: run, Account: account}
	if err := h.maySweep(ctx, documents, begun, account); err != nil {
		return err
	}
	var mu sync.Mutex // Regions are swept at a time.
	stopped := func(ctx context.Context) error {
		err := h.stopped(ctx)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			result.Stopped = err.Error()
		}
		return err
	}
	if stopped(ctx) == nil {
		if err := h.sweep(ctx, documents, begun, allotted, stopped); err != nil {
			result.Error = err.Error()
		}
	}
	return documents.Save(ctx, run, sweepFolder+"/"+account+".json", result)
}

// maySweep returns why nothing may be changed in an account: the run is a dry one, too few accounts
// have answered, or nothing is allotted.
func (h *Hub) maySweep(ctx context.Context, documents *journal.Organization, begun targets, account string) error {
	var known counted
	if err := documents.Load(ctx, begun.Run, countedName, &known); err != nil {
		return err
	}
	allotted, err := sweptAccounts(ctx, documents, begun.Run)
	switch {
	case err != nil:
		return err
	case begun.DryRun || h.Config.DryRun:
		return errors.New("the run is a dry one")
	case known.NotSwept != "":
		return errors.New(known.NotSwept)
	case !slices.Contains(allotted, account):
		return fmt.Errorf("nothing is allotted to account %s", account)
	default:
		return nil
	}
}

// sweep returns why a sweep has left no record.
func (h *Hub) sweep(ctx context.Context, documents *journal.Organization, begun targets, allotted allotment, stopped func(context.Context) error) error {
	j, err := h.judge(ctx, documents, begun, allotted.Account, sweepRole)
	if err != nil {
		return err
	}
	j.Approved, j.Stopped = &allotted.Approved, stopped
	if done := j.Run(ctx, ami.RunID(begun.Run), false); done.RecordError != "" {
		return errors.New(record.UnrecordedSweep + done.RecordError)
	}
	return nil
}

// stops begins to say why a run must stop.
const stops = "the run stops: "

// goOn is the value of the stop parameter with which runs go on.
const goOn = "run"

// stopped says why the organization's run must stop at once: somebody has changed the parameter, or
// it cannot be read.
func (h *Hub) stopped(ctx context.Context) error {
	name := h.Config.Organization.StopParameter
	if name == "" {
		return nil
	}
	out, err := wire.SSM(h.AWS, h.AWS.Region).GetParameters(ctx, &ssm.GetParametersInput{Names: []string{name}})
	switch {
	case err != nil:
		return fmt.Errorf(stops+"parameter %s cannot be read: %s", name, wire.ExplainLookup(err))
	case len(out.Parameters) != 1:
		return fmt.Errorf(stops+"there is no parameter %s", name)
	case aws.ToString(out.Parameters[0].Value) != goOn:
		return fmt.Errorf(stops+"somebody has set parameter %s to another value than %q", name, goOn)
	default:
		return nil
	}
}
