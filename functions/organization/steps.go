package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// state is what a step knows of the execution: its whole state, or the item of a map.
type state struct {
	Run     string `json:"run"`
	DryRun  bool   `json:"dryRun"`
	Account string `json:"account"` // Of a step for one account.

	// The first step gets the execution's ARN and start, and its input.
	Execution string    `json:"execution"`
	StartedAt time.Time `json:"startedAt"`
	Wish      wish      `json:"wish"`

	Failed *organization.Failure `json:"failed"` // Of the last step; nil if nothing ended the run.
}

// wish is what an execution's input may ask for. It can only make a run safer.
type wish struct {
	DryRun bool `json:"dryRun"`
}

// UnmarshalJSON refuses whatever else is asked for: {"dry_run": true} is no request for a real run.
func (w *wish) UnmarshalJSON(text []byte) error {
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		return nil
	}
	var asked map[string]json.RawMessage
	if err := json.Unmarshal(text, &asked); err != nil {
		return fmt.Errorf("the execution's input is no JSON object: %w", err)
	}
	for key, value := range asked {
		switch {
		case key != "dryRun":
			return fmt.Errorf("the execution's input has %q; its only key is dryRun", key)
		case string(value) == "true":
			w.DryRun = true
		case string(value) != "false":
			return fmt.Errorf("the execution's input: dryRun is %s, which is neither true nor false", value)
		}
	}
	return nil
}

// steps are the steps by the name in STEP.
var steps = map[string]func(context.Context, *function, state) (any, error){
	"targets": targets,
	"census":  ofAccount((*function).census),
	"gather":  gather,
	"plan":    ofAccount((*function).plan),
	"allot":   allot,
	"sweep":   ofAccount((*function).sweep),
	"tell":    tell,
}

// started is the state after the first step.
type started struct {
	Run    string `json:"run"`
	DryRun bool   `json:"dryRun"`
	Census string `json:"census"` // The key of the accounts to be counted,
	Plan   string `json:"plan"`   // and that of those to be judged.
}

// targets names the run after the execution, so that a step that is repeated begins no second one.
func targets(ctx context.Context, f *function, s state) (any, error) {
	sum := sha256.Sum256([]byte(s.Execution))
	if s.Execution == "" || s.StartedAt.IsZero() {
		return nil, errors.New("the input names no execution, or not its start")
	}
	run := string(ami.NewRunID(s.StartedAt, bytes.NewReader(sum[:])))
	begun, err := f.hub.Targets(ctx, run, f.hub.Config.DryRun || s.Wish.DryRun)
	if err != nil {
		return nil, err
	}
	return started{run, begun.DryRun, begun.CensusKey, begun.PlanKey}, nil
}

// ofAccount is a step for one account. Its result is in the bucket.
func ofAccount(do func(*function, context.Context, string, string) error) func(context.Context, *function, state) (any, error) {
	return func(ctx context.Context, f *function, s state) (any, error) {
		return struct{}{}, do(f, ctx, s.Run, s.Account)
	}
}

func (f *function) census(ctx context.Context, run, account string) error {
	return f.hub.Census(ctx, run, account)
}

func (f *function) plan(ctx context.Context, run, account string) error {
	return f.hub.Plan(ctx, run, account)
}

func (f *function) sweep(ctx context.Context, run, account string) error {
	return f.hub.Sweep(ctx, run, account)
}

func gather(ctx context.Context, f *function, s state) (any, error) {
	return struct{}{}, f.hub.Gather(ctx, s.Run)
}

// allotted is what the state machine learns of the allotment.
type allotted struct {
	Sweeps int    `json:"sweeps"`
	Items  string `json:"items"`
}

func allot(ctx context.Context, f *function, s state) (any, error) {
	sweeps, err := f.hub.Allot(ctx, s.Run)
	if err != nil {
		return nil, err
	}
	return allotted{len(sweeps), f.hub.SweepKey(s.Run)}, nil
}

// answer is what an execution comes to.
type answer struct {
	Run      string                    `json:"run"`
	DryRun   bool                      `json:"dryRun"`
	Error    string                    `json:"error"`
	NotSwept string                    `json:"notSwept,omitempty"`
	Totals   record.OrganizationTotals `json:"totals"`
}

// tell sends the digests, and writes the metrics, before an error is returned.
func tell(ctx context.Context, f *function, s state) (any, error) {
	var failed error
	if s.Failed != nil {
		failed = s.Failed.Err()
	}
	run := f.hub.Collect(ctx, s.Run, "", failed)
	unsent := f.hub.Tell(ctx, run)
	_, err := fmt.Fprintf(f.out, "%s\n", record.OrganizationMetrics(run, lambdacontext.FunctionName, unsent == nil))
	return answer{run.Run, run.DryRun, run.Error, run.NotSwept, run.Totals}, errors.Join(unsent, err)
}
