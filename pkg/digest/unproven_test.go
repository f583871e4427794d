package digest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// keptFor is the verdict on an image that some reasons keep.
func keptFor(n int, codes ...retention.Code) retention.Verdict {
	v := kept(n, codes[0], "because")
	for _, code := range codes[1:] {
		v.Reasons = append(v.Reasons, retention.Reason{Code: code, Detail: "because"})
	}
	return v
}

// An image is unproven if it has no reason to stay but the want of a proof, or of a way back.
func TestWhatIsUnproven(t *testing.T) {
	notOne := func(v ...retention.Verdict) []retention.Verdict { return v }
	for name, c := range map[string]struct {
		verdicts []retention.Verdict
		outcomes []ami.Outcome
		busy     bool
		unproven int
		nothing  bool
		lacks    bool
	}{
		"unknown":                       {verdicts: notOne(keptFor(1, "unknown-use")), unproven: 1, nothing: true, lacks: true},
		"not restorable":                {verdicts: notOne(keptFor(1, "not-restorable")), unproven: 1, nothing: true, lacks: true},
		"not restorable, and young":     {verdicts: notOne(keptFor(1, "recently-used", "not-restorable"))},
		"a report is awaited":           {verdicts: notOne(keptFor(1, "usage-report-pending"))},
		"unknown, a report is awaited":  {verdicts: notOne(keptFor(1, "unknown-use", "usage-report-pending")), unproven: 1, nothing: true, lacks: true},
		"no launches, a report awaited": {verdicts: notOne(keptFor(1, "usage-report-pending", "launch-data-missing")), unproven: 1, nothing: true, lacks: true},
		"no launches, and in use":       {verdicts: notOne(keptFor(1, "in-use", "launch-data-missing")), lacks: true},
		"unknown, and shared":           {verdicts: notOne(keptFor(1, "shared", "unknown-use"))},
		"one unknown, one announced":    {verdicts: notOne(keptFor(1, "unknown-use"), waits(2, "web", 4)), unproven: 1, lacks: true},
		"one unknown, one awaited":      {verdicts: notOne(keptFor(1, "unknown-use"), keptFor(2, "usage-report-pending")), unproven: 1, lacks: true},
		"one unknown, one deferred":     {verdicts: notOne(keptFor(1, "unknown-use"), deferred(2, "web")), unproven: 1, lacks: true},
		"one unknown, one objected to":  {verdicts: notOne(keptFor(1, "unknown-use"), vetoes(2, "vetoed", "somebody enabled it")), unproven: 1, nothing: true, lacks: true},
		"unknown just before":           {verdicts: notOne(stale(1, "web")), outcomes: []ami.Outcome{coded(1, "unknown-use", "x")}, unproven: 1, nothing: true, lacks: true},
		"used just before":              {verdicts: notOne(stale(1, "web")), outcomes: []ami.Outcome{coded(1, "used-since-planned", "x")}},
		"not reached":                   {verdicts: notOne(stale(1, "web")), outcomes: []ami.Outcome{unreached(1)}},
		"unknown, another run's":        {verdicts: notOne(keptFor(1, "unknown-use")), busy: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan("eu-west-1", c.verdicts...)
			if c.busy {
				p, _ = held(p, anotherRun, true)
			}
			r := newRun(false, newRegion(p, c.outcomes))
			var metrics struct{ Unproven, NothingProven int }
			if err := json.Unmarshal(record.Metrics(r, "ami-janitor", true), &metrics); err != nil {
				t.Fatal(err)
			}
			if r.Totals.Unproven != c.unproven || metrics.Unproven != c.unproven || (metrics.NothingProven == 1) != c.nothing || r.LacksProof() != c.lacks {
				t.Errorf("%d unproven, %+v, lacks proof %v", r.Totals.Unproven, metrics, r.LacksProof())
			}
		})
	}
}

// One region in which nothing was proven is enough, and there is never more than that.
func TestNothingProvenIsOneOrNone(t *testing.T) {
	for _, regions := range [][]record.Region{
		{newRegion(plan("eu-west-1", keptFor(1, "unknown-use")), nil), newRegion(plan("us-east-1", stale(2, "web")), nil)},
		{newRegion(plan("eu-west-1", keptFor(1, "unknown-use")), nil), newRegion(plan("us-east-1", keptFor(2, "unknown-use")), nil)},
	} {
		if data := string(record.Metrics(newRun(true, regions...), "ami-janitor", true)); !strings.Contains(data, `"NothingProven":1,`) {
			t.Error(data)
		}
	}
}

// The advice for an answer that lacks something is to report it, in every wording that pkg/wire has
// for that.
func TestAnAnswerThatLacksSomethingIsToBeReported(t *testing.T) {
	for _, fault := range []string{
		"EC2 answered DescribeFleets without <fleetSet>", `Systems Manager answered GetParameters without "Parameters"`, `Recycle Bin answered ListRules without "Rules"`,
	} {
		text := digest.Text(newRun(true, newRegion(plan("eu-west-1", kept(1, "unknown-use", "references: "+fault)), nil)))
		if lead, _, _ := strings.Cut(text, "\n\n"); !strings.Contains(strings.Join(strings.Fields(lead), " "), "Report it, so that the janitor learns to read it: with the error") {
			t.Error(text)
		}
	}
}
