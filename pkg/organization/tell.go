package organization

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Collect puts the record of a run together from what its steps have left. A step that failed ended
// the run; failed is why. What can no longer be read is told as an error of its account.
func (h *Hub) Collect(ctx context.Context, run, step string, failed error) record.Organization {
	o := record.Organization{
		Run: run, Version: h.Version, PolicySentence: h.Config.Policy.String(), StartedAt: h.Clock(), Step: step, Reader: h.Reader, Changed: h.Config.Changed(),
	}
	o.Reader.Organization = true
	if failed != nil {
		o.Error = failed.Error()
	}
	documents, begun, err := h.targets(ctx, run)
	if err != nil {
		o.Error = cmp.Or(o.Error, err.Error())
		o.Finish(h.Clock())
		return o
	}
	o.Organization, o.Management, o.DryRun, o.StartedAt = begun.Organization, begun.Management, begun.DryRun, begun.StartedAt
	c := collection{Hub: h, documents: documents, run: run}
	c.begin(ctx, &o)
	for _, target := range begun.Accounts {
		o.Accounts = append(o.Accounts, c.account(ctx, target))
	}
	o.Finish(h.Clock())
	c.conclude(ctx, &o)
	c.keep(ctx, &o)
	return o
}

// begin reads what the censuses came to, and which accounts are swept.
func (c *collection) begin(ctx context.Context, o *record.Organization) {
	c.failed = c.documents.Load(ctx, c.run, countedName, &c.counted)
	if c.failed != nil && o.Error == "" {
		o.Error, o.Step = c.failed.Error(), "Gather"
	}
	o.NotSwept = c.counted.NotSwept
	for _, gap := range c.counted.Gaps {
		o.Uncounted = append(o.Uncounted, record.Uncounted{Account: gap.Account, Region: gap.Region, Source: gap.Source, Error: gap.Err})
	}
	c.isEnded = o.Error != ""
	if !o.DryRun && o.NotSwept == "" {
		c.sweeps, _ = sweptAccounts(ctx, c.documents, c.run) // None if the run ended before.
	}
}

// conclude says whether somebody has stopped the run. One that has swept is remembered: later ones
// have their whole cap.
func (c *collection) conclude(ctx context.Context, o *record.Organization) {
	isChanged := o.Totals.Deregistered+o.Totals.Marked+o.Totals.SnapshotsDeleted > 0
	switch {
	case c.stopped != "" && isChanged && o.Error == "":
		o.Error, o.Step = c.stopped, "Sweep"
	case c.stopped != "" && !isChanged:
		o.NotSwept = cmp.Or(o.NotSwept, c.stopped)
	case !o.DryRun && o.NotSwept == "" && o.Error == "" && (isChanged || len(c.sweeps) == 0):
		c.remember(ctx, o)
	}
}

// keep stores the record without the images that are kept.
func (c *collection) keep(ctx context.Context, o *record.Organization) {
	o.Record = c.documents.Where(c.run, recordName)
	if err := c.documents.Save(ctx, c.run, recordName, o.WithoutKept()); err != nil {
		o.Record, o.RecordError = "", err.Error()
	}
}

// Record reads the record that a run has left; the latest if none is given. The error is
// journal.ErrNotFound if there is none. Its texts are for the hub's reader.
func (h *Hub) Record(ctx context.Context, run string) (record.Organization, error) {
	documents, err := h.open()
	if err == nil {
		run, err = h.orLatest(ctx, documents, run)
	}
	if err != nil {
		return record.Organization{}, err
	}
	var text json.RawMessage
	if err := documents.Load(ctx, run, recordName, &text); err != nil {
		return record.Organization{}, err
	}
	o, err := record.ParseOrganization(text)
	if err != nil {
		return record.Organization{}, fmt.Errorf("%s: %w", documents.Where(run, recordName), err)
	}
	o.Reader = h.Reader
	o.Reader.Organization = true
	return o, nil
}

// collection is a record as it is put together.
type collection struct {
	*Hub
	documents *journal.Organization
	run       string
	counted   counted
	failed    error    // Why the accounts were not counted; nil if they were.
	isEnded   bool     // By an error, so that some steps have left nothing.
	sweeps    []string // The accounts that are swept.
	stopped   string   // Why somebody has stopped the run; empty if nobody has.
}

func (c *collection) account(ctx context.Context, target Target) record.MemberAccount {
	told := record.MemberAccount{
		Account: target.ID, Name: target.Name, State: target.State, Judged: target.Judged, NotJudged: target.NotJudged,
		Counted: target.State == census.Active && c.failed == nil,
	}
	for _, gap := range c.counted.Gaps {
		told.Counted = told.Counted && gap.Account != target.ID
	}
	if !target.Judged {
		return told
	}
	var allotted allotment
	err := c.documents.Load(ctx, c.run, allotmentFolder+"/"+target.ID+".json", &allotted)
	isAllotted := err == nil
	if slices.Contains(c.sweeps, target.ID) {
		var hasBegun bool
		if told.Record, told.Error, hasBegun = c.swept(ctx, target.ID); hasBegun || !c.isEnded {
			return told
		}
	}
	told.Record, told.Error = c.planned(ctx, target.ID, allotted, isAllotted)
	return told
}

// swept returns the record of a sweep, and whether it has left anything.
func (c *collection) swept(ctx context.Context, account string) (done *record.Run, why string, hasBegun bool) {
	var result sweepResult
	missing := c.documents.Load(ctx, c.run, sweepFolder+"/"+account+".json", &result)
	c.stopped = cmp.Or(c.stopped, result.Stopped)
	kept, err := c.documents.Journal(account)
	var text []byte
	if err == nil {
		text, err = kept.Record(ctx, c.run)
	}
	switch {
	case errors.Is(err, journal.ErrNotFound) && missing != nil:
		return nil, record.UnendedSweep, false
	case errors.Is(err, journal.ErrNotFound):
		return nil, cmp.Or(result.Stopped, result.Error, "its sweep has left no record"), true
	case err != nil:
		return nil, err.Error(), true
	}
	parsed, err := record.Parse(text)
	if err != nil {
		return nil, err.Error(), true
	}
	parsed.Each(func(i record.Image) bool { return i.Outcome != nil && strings.HasPrefix(i.Outcome.Error, stops) }, func(_ record.Region, i record.Image) {
		c.stopped = cmp.Or(c.stopped, i.Outcome.Error)
	})
	return &parsed, result.Error, true
}

// planned returns the record of a plan, as it is allotted.
func (c *collection) planned(ctx context.Context, account string, allotted allotment, isAllotted bool) (*record.Run, string) {
	var plan accountPlan
	// Without it, the record is missing, too.
	_ = c.documents.Load(ctx, c.run, planFolder+"/"+account+".json", &plan)
	dry, err := readRecord(ctx, c.documents, c.run, account)
	switch {
	case plan.Error != "" && dry == nil:
		return nil, plan.Error
	case err != nil:
		return nil, err.Error()
	case dry == nil && c.isEnded:
		return nil, "" // The run ended before its turn, which is told once.
	case dry == nil:
		return nil, "no plan was made: its function did not come to its end"
	}
	why := ""
	if err := failedEverywhere(dry); err != nil {
		why = err.Error()
	}
	if isAllotted {
		dry.Postpone(
			func(region, id string) bool { _, ok := allotted.Approved.Regions[region].Images[id]; return !ok },
			retention.Reason{Code: ami.ReasonOverCap, Detail: retention.OverCapOfAll},
		)
	}
	return dry, why
}

func failedEverywhere(run *record.Run) error {
	if !run.AllFailed() {
		return nil
	}
	for _, region := range run.Regions {
		if region.Error != "" {
			return errors.New(region.Error)
		}
	}
	return nil
}

// remember counts a run that has swept.
func (c *collection) remember(ctx context.Context, o *record.Organization) {
	var memory census.Memory
	version, err := c.documents.LoadMemory(ctx, &memory)
	if err == nil {
		memory.RealRuns++
		err = c.documents.SaveMemory(ctx, memory, version)
	}
	if err != nil && memory.RealRuns <= 1 {
		o.Error, o.Step = fmt.Sprintf("the run is not remembered, and the next one has the cap of a first one: %v", err), "Tell"
	}
}
