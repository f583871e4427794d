package sweep_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// reports are the usage reports of an account.
func reports(t *testing.T, account *emulator.Account) []types.ImageUsageReport {
	t.Helper()
	out, err := client(account.Client()).DescribeImageUsageReports(context.Background(), &ec2.DescribeImageUsageReportsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.ImageUsageReports
}

// asking is a plan that keeps some images and asks for reports on them.
func asking(numbers ...int) retention.Plan {
	plan := planOf()
	for _, n := range numbers {
		plan.Verdicts = append(plan.Verdicts, retention.Verdict{Image: due(n).Image, Decision: retention.Keep})
		plan.ReportsWanted = append(plan.ReportsWanted, imageID(n))
	}
	return plan
}

func TestAUsageReportIsAskedFor(t *testing.T) {
	for depth, want := range map[int]string{0: "10000", 20: "20"} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1), image(2))
			calls := &tally{Doer: account.Client()}
			orders := passing(quiet)
			orders.depth = depth
			wantOutcomes(t, carryOut(t.Context(), t.Context(), calls, asking(1, 2), orders).Outcomes)
			made := reports(t, account)
			if len(made) != 2 {
				t.Fatalf("%d reports", len(made))
			}
			for i, report := range made {
				if *report.ImageId != imageID(i+1) || len(report.AccountIds) > 0 || len(report.Tags) != 1 ||
					*report.Tags[0].Key != runTag || *report.Tags[0].Value != runID {
					t.Errorf("%+v", report)
				}
				kinds := map[string][]string{}
				for _, kind := range report.ResourceTypes {
					kinds[*kind.ResourceType] = nil
					for _, option := range kind.ResourceTypeOptions {
						kinds[*kind.ResourceType] = append(kinds[*kind.ResourceType], *option.OptionName+" "+option.OptionValues[0])
					}
				}
				if fmt.Sprint(kinds) != "map[ec2:Instance:[] ec2:LaunchTemplate:[version-depth "+want+"]]" {
					t.Errorf("report on %v, want depth %s", kinds, want)
				}
			}
			tokens := map[string]bool{}
			for _, q := range calls.requests {
				token := q.Form.Get("ClientToken")
				if token == "" || len(token) > 128 || tokens[token] {
					t.Errorf("token %q", token)
				}
				tokens[token] = true
			}
			run(calls, asking(1, 2)) // In the same run the same request is the same one.
			if depth == 0 && len(reports(t, account)) != 2 {
				t.Errorf("asked again: %d reports", len(reports(t, account)))
			}
		})
	}
}

func TestAReportThatCannotBeAskedFor(t *testing.T) {
	everyFault(t, []string{"CreateImageUsageReport"}, func(t *testing.T, broken func(emulator.Doer) emulator.Doer) {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1), image(2))
			plan := asking(1, 2)
			plan.Verdicts = append(plan.Verdicts, due(3))
			// A report says nothing about these.
			plan.ReportsWanted = append(plan.ReportsWanted, imageID(3), imageID(4))
			for _, outcome := range run(broken(account.Client()), plan) {
				switch outcome.ImageID {
				case imageID(3):
					says(t, outcome.Error, "gone before")
				case imageID(1), imageID(2):
					says(t, outcome.Error, "no usage report could be asked for: ")
					if outcome.Status != "failed" || outcome.Snapshots == nil {
						t.Errorf("%+v", outcome)
					}
				default:
					t.Errorf("%+v", outcome)
				}
			}
		})
	})
}

func TestFailuresOfOneImageAreToldTogether(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, marked[retention.Announce]())
		plan := planOf(keptAnd(read(t, account, 1), retention.ClearMark))
		plan.ReportsWanted = []string{imageID(1)}
		outcomes := run(disturb.Deny(account.Client(), "DeleteTags", "CreateImageUsageReport"), plan)
		wantOutcomes(t, outcomes, "failed")
		says(t, outcomes[0].Error, "could not be unmarked: ", "; no usage report could be asked for: UnauthorizedOperation")
	})
}

// There is nothing to report on an image that is gone.
func TestAReportOnAnImageThatIsGone(t *testing.T) {
	tonight(t, func(t *testing.T) {
		wantOutcomes(t, run(load(t).Client(), asking(1)))
	})
}

func TestReportsThatHaveServedAreDeleted(t *testing.T) {
	for name, faults := range map[string][]fault{
		"": {none}, "denied": always(denied), "broken": always(broken), "lost": {afterReset}, "web page": {after(webPage)},
		"gone": {refuse(400, "InvalidImageUsageReportId.NotFound")},
	} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1), image(2))
			run(account.Client(), asking(1, 2))
			made := reports(t, account)
			plan := planOf()
			plan.ReportsDone = []string{"amiur-0000000000000ffff", *made[0].ReportId}
			doer := faulty(account.Client(), "DeleteImageUsageReport", faults...)
			wantOutcomes(t, run(doer, plan))
			if left := len(reports(t, account)); left != 1 && len(faults) == 1 {
				t.Errorf("%q: %d reports left, want 1", name, left)
			}
		})
	}
}

func TestNoReportsAfterTheTimeIsUp(t *testing.T) {
	tonight(t, func(t *testing.T) {
		for allowed := range 4 {
			account := load(t, image(1), image(2))
			begin, stop := context.WithCancel(t.Context())
			defer stop()
			if allowed == 0 {
				stop()
			}
			calls := &tally{Doer: account.Client()}
			doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				response, err := calls.Do(r)
				if len(calls.requests) == allowed {
					stop()
				}
				return response, err
			})
			plan := asking(1, 2)
			plan.ReportsDone = []string{"amiur-00000000000000001", "amiur-00000000000000002"}
			wantOutcomes(t, carryOut(t.Context(), begin, doer, plan, passing(quiet)).Outcomes)
			if len(calls.requests) != allowed {
				t.Errorf("%d requests, want %d: %s", len(calls.requests), allowed, calls.actionsOf())
			}
			if actions := []string{"CreateImageUsageReport", "CreateImageUsageReport", "DeleteImageUsageReport"}; !slices.Equal(actions[:allowed], words(calls)) {
				t.Errorf("%v", words(calls))
			}
		}
	})
}

func words(calls *tally) []string {
	var actions []string
	for _, q := range calls.requests {
		actions = append(actions, q.Action)
	}
	return actions
}
