package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// report makes a usage report that proves something today.
func report(changes ...func(*ami.UsageReport)) *ami.UsageReport {
	r := &ami.UsageReport{ID: "amiur-1", State: "available", CreatedAt: ago(days(1)), Complete: true}
	for _, change := range changes {
		change(r)
	}
	return r
}

func reportState(state string) func(*ami.UsageReport) {
	return func(r *ami.UsageReport) { r.State = state }
}

func reported(at time.Time) func(*ami.UsageReport) {
	return func(r *ami.UsageReport) { r.CreatedAt = at }
}

func reportID(id string, superseded ...string) func(*ami.UsageReport) {
	return func(r *ami.UsageReport) { r.ID, r.Superseded = id, superseded }
}

func judgeShared(p *retention.Policy) { p.JudgeShared = true }

// A public or shared image goes only by a report that proves something.
func TestUsageReports(t *testing.T) {
	isPublic := func(i *ami.Image) { i.Public = true }
	for name, test := range map[string]struct {
		image  []func(*ami.Image)
		report *ami.UsageReport
		goes   bool
		says   string
	}{
		"a_fresh_report_lets_it_go":            {nil, report(), true, ""},
		"no_report":                            {nil, nil, false, "a run that is no dry run asks for a usage report; it is read in a later one"},
		"pending":                              {nil, report(reportState("pending")), false, "the usage report asked for on 2026-11-22 is not available yet"},
		"an_error":                             {nil, report(reportState("error")), false, `the usage report of 2026-11-22 is in state "error"`},
		"no_state":                             {nil, report(reportState("")), false, `is in state ""`},
		"a_state_in_another_case":              {nil, report(reportState("Available")), false, `is in state "Available"`},
		"not_complete":                         {nil, report(func(r *ami.UsageReport) { r.Complete = false }), false, "leaves out accounts, resources or versions"},
		"three_days_old":                       {nil, report(reported(ago(days(3)))), true, ""},
		"a_nanosecond_older":                   {nil, report(reported(ago(days(3) + 1))), false, "the usage report of 2026-11-20 is not of the last 3 days"},
		"of_this_moment":                       {nil, report(reported(now)), true, ""},
		"of_the_future":                        {nil, report(reported(now.Add(1))), false, "is not of the last 3 days"},
		"without_a_date":                       {nil, report(reported(time.Time{})), false, "is not of the last 3 days"},
		"made_seven_days_after_the_last_use":   {with(launched(ago(days(8)))), report(), true, ""},
		"made_a_nanosecond_too_early":          {with(launched(ago(days(8) - 1))), report(), false, "the usage report of 2026-11-22 was made less than 7 days after the last use"},
		"made_too_early_after_the_creation":    {with(created(ago(days(8) - 1))), report(), false, "less than 7 days"},
		"made_too_early_after_a_restore":       {with(tagged(ami.RestoredTag, "2026-11-15T02:00:01Z")), report(), false, "less than 7 days"},
		"made_seven_days_after_a_restore":      {with(tagged(ami.RestoredTag, "2026-11-15T02:00:00Z")), report(), true, ""},
		"made_before_the_last_use":             {with(launched(ago(days(8)))), report(reported(ago(days(9)))), false, "not of the last 3 days"},
		"public_and_without_a_report":          {with(isPublic), nil, false, "asks for a usage report"},
		"public_and_reported":                  {with(isPublic), report(), true, ""},
		"public_and_shared_needs_one_too":      {with(isPublic), report(reportState("error")), false, "error"},
		"what_a_report_has_found_is_in_use":    {with(func(i *ami.Image) { i.Name = "used" }), report(), false, "named by account 999999999999"},
		"a_mark_does_not_make_up_for_a_report": {with(marked("2026-11-01")), nil, false, "asks for a usage report"},
	} {
		t.Run(name, func(t *testing.T) {
			image := idle(subject, test.image...)
			finding := ami.Finding{Use: ami.Unused, Report: test.report}
			if !image.Public || strings.Contains(name, "and_shared") {
				finding.SharedWith = []ami.Grantee{{Account: "999999999999"}}
			}
			want := []retention.Code{"usage-report-pending"}
			if image.Name == "used" {
				finding.Use, finding.References = ami.Used, []ami.Reference{{ARN: "account 999999999999"}}
				want = []retention.Code{"in-use"}
			}
			p := policy(judgeShared, func(p *retention.Policy) { p.StaleAfter, p.NeverLaunchedAfter = 0, 0 })
			v := judgeAlone(p, image, finding, now)
			if goes := v.Decision == retention.Deregister; goes != test.goes || !goes && !slices.Equal(codes(v), want) || !strings.Contains(details(v), test.says) {
				t.Errorf("%s because of %v; want it to go: %t, %s", v.Decision, v.Reasons, test.goes, test.says)
			}
		})
	}
}

// Nobody asks for a report where none is needed.
func TestNoReportIsNeeded(t *testing.T) {
	for name, test := range map[string]struct {
		policy  func(*retention.Policy)
		finding ami.Finding
		kept    retention.Code
	}{
		"a_private_image_needs_none":     {judgeShared, ami.Finding{Use: ami.Unused}, ""},
		"a_bad_report_of_a_private_one":  {judgeShared, ami.Finding{Use: ami.Unused, Report: report(reportState("error"))}, ""},
		"shared_images_are_kept_instead": {func(*retention.Policy) {}, ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}, Report: report()}, "shared"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := policy(test.policy).Open([]ami.Inventory{inventory(region, idle(subject))}, now).Plan(map[string]ami.Evidence{region: {Images: findings{subject: test.finding}}})[0]
			v := plan.Verdicts[0]
			if test.kept == "" && v.Decision != retention.Deregister || test.kept != "" && !slices.Equal(codes(v), []retention.Code{test.kept}) || len(plan.ReportsWanted) > 0 {
				t.Errorf("%s because of %v, wants %v", v.Decision, v.Reasons, plan.ReportsWanted)
			}
		})
	}
}

// Which reports are requested, and which are obsolete. Each image has one report, "amiur-" and its
// name, and an older one.
func TestOrderingReports(t *testing.T) {
	shared := []ami.Grantee{{Account: "999999999999"}}
	full := func(name string, r *ami.UsageReport) ami.Finding {
		if r != nil {
			reportID("amiur-"+name, "amiur-"+name+"-old")(r)
		}
		return ami.Finding{Use: ami.Unused, SharedWith: shared, Report: r}
	}
	and := func(f ami.Finding, change func(*ami.Finding)) ami.Finding {
		change(&f)
		return f
	}
	for name, test := range map[string]struct {
		image         []func(*ami.Image)
		finding       ami.Finding
		wanted, stays bool
	}{
		"no_report":                         {nil, full("x", nil), true, false},
		"pending":                           {nil, full("x", report(reportState("pending"))), false, true},
		"pending_for_three_days":            {nil, full("x", report(reportState("pending"), reported(ago(days(3))))), false, true},
		"pending_for_longer":                {nil, full("x", report(reportState("pending"), reported(ago(days(3)+1)))), true, false},
		"an_error":                          {nil, full("x", report(reportState("error"))), true, false},
		"too_old":                           {nil, full("x", report(reported(ago(days(4))))), true, false},
		"of_the_future":                     {nil, full("x", report(reported(now.Add(1)))), true, false},
		"not_complete":                      {nil, full("x", report(func(r *ami.UsageReport) { r.Complete = false })), true, false},
		"it_proves_and_the_image_goes":      {nil, full("x", report()), false, true},
		"it_proves_and_the_image_waits":     {with(marked("2026-12-01")), full("x", report()), false, true},
		"pending_and_the_image_waits":       {with(marked("2026-12-01")), full("x", report(reportState("pending"))), false, true},
		"it_proves_and_it_is_to_be_looked":  {nil, and(full("x", report()), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, true},
		"pending_and_it_is_to_be_looked":    {nil, and(full("x", report(reportState("pending"))), func(f *ami.Finding) { f.Use = ami.Unknown }), false, true},
		"it_proves_while_launches_lack":     {with(created(ago(days(400)))), and(full("x", report()), func(f *ami.Finding) { f.LaunchedAt = ago(days(3)) }), false, true},
		"pending_while_all_is_in_doubt":     {with(created(ago(days(400)))), and(full("x", report(reportState("pending"))), func(f *ami.Finding) { f.LaunchedAt, f.Use = ago(days(3)), ami.Unknown }), false, true},
		"pending_for_longer_and_in_doubt":   {nil, and(full("x", report(reportState("pending"), reported(ago(days(3)+1)))), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, false},
		"too_old_and_in_doubt":              {nil, and(full("x", report(reported(ago(days(3)+1)))), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, false},
		"an_error_and_in_doubt":             {nil, and(full("x", report(reportState("error"))), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, false},
		"pending_and_of_the_future":         {nil, full("x", report(reportState("pending"), reported(now.Add(1)))), true, false},
		"of_the_future_and_in_doubt":        {nil, and(full("x", report(reported(now.Add(1)))), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, false},
		"it_is_the_copy_of_one_in_doubt":    {with(copyOf("ami-2")), full("x", report()), false, true},
		"it_is_the_copy_of_one_in_use":      {with(copyOf("ami-3")), full("x", report()), false, false},
		"somebody_has_objected":             {with(marked("2026-12-01"), untagged(ami.AnnouncedByTag)), full("x", report()), false, false},
		"of_this_moment":                    {nil, full("x", report(reported(now))), false, true},
		"announced_elsewhere":               {with(marked("2026-12-01"), announcedBy(theRun, theirs), noRecord), full("x", report()), false, false},
		"announced_elsewhere_without_one":   {with(marked("2026-12-01"), announcedBy(theRun, theirs), noRecord), full("x", nil), false, false},
		"made_too_early":                    {with(launched(ago(days(8)-1)), tagged("ami-janitor:stale-after", "7d")), full("x", report()), true, false},
		"it_is_old_and_the_image_waits":     {with(marked("2026-12-01")), full("x", report(reported(ago(days(4))))), true, false},
		"it_has_found_a_use":                {nil, and(full("x", report()), func(f *ami.Finding) { f.Use = ami.Used }), false, false},
		"the_image_is_kept_by_its_facts":    {with(tagged("ami-janitor:keep", "")), full("x", report()), false, false},
		"kept_by_its_facts_and_pending":     {with(tagged("ami-janitor:keep", "")), full("x", report(reportState("pending"))), false, false},
		"the_image_is_private_now":          {with(tagged("ami-janitor:keep", "")), and(full("x", report()), func(f *ami.Finding) { f.SharedWith = nil }), false, false},
		"not_wanted_while_another_rule_too": {nil, and(full("x", nil), func(f *ami.Finding) { f.Gaps = []ami.Gap{aGap} }), false, false},
		"not_wanted_while_launches_lack":    {with(created(ago(days(400)))), and(full("x", nil), func(f *ami.Finding) { f.LaunchedAt = ago(days(3)) }), false, false},
		"an_image_of_another_account":       {with(func(i *ami.Image) { i.OwnerID = "999999999999" }), full("x", nil), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, idle(subject, test.image...))
			evidence := map[string]ami.Evidence{region: {Images: findings{subject: test.finding, "ami-3": {Use: ami.Used}}}}
			shorter := func(p *retention.Policy) { p.AllowShorter = true }
			plan := policy(judgeShared, shorter).Open([]ami.Inventory{here}, now).Plan(evidence)[0]
			if wanted := slices.Equal(plan.ReportsWanted, []string{subject}); wanted != test.wanted || !wanted && len(plan.ReportsWanted) > 0 {
				t.Errorf("wanted %v: %t, want %t", plan.ReportsWanted, wanted, test.wanted)
			}
			var done []string
			if test.finding.Report != nil {
				done = []string{"amiur-x-old"}
				if !test.stays {
					done = []string{"amiur-x", "amiur-x-old"}
				}
			}
			if !slices.Equal(plan.ReportsDone, done) {
				t.Errorf("done %v, want %v (%v)", plan.ReportsDone, done, plan.Verdicts[0].Reasons)
			}

			kept := policy().Open([]ami.Inventory{here}, now).Plan(evidence)[0]
			if len(kept.ReportsWanted)+len(kept.ReportsDone) > 0 {
				t.Errorf("where shared images are kept, reports are wanted and done: %v, %v", kept.ReportsWanted, kept.ReportsDone)
			}
		})
	}
}

// No run requests more reports than it may remove images, nor more than EC2's quota allows; the
// stalest come first.
func TestTheCapOfReports(t *testing.T) {
	many := func(n, pending int) (ami.Inventory, map[string]ami.Evidence) {
		here, evidence := inventory(region), ami.Evidence{Images: findings{}}
		for i := range n + pending {
			id := fmt.Sprintf("ami-%d", 9999-i)
			here.Images = append(here.Images, idle(id, launched(ago(days(300+i)))))
			finding := ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}}
			if i >= n {
				finding.Report = report(reportID("amiur-"+id), reportState("pending"))
			}
			evidence.Images[id] = finding
		}
		return here, map[string]ami.Evidence{region: evidence}
	}
	for name, test := range map[string]struct{ images, pending, limit, want int }{
		"fewer_than_the_cap":              {3, 0, 5, 3},
		"more_than_the_cap":               {5, 0, 3, 3},
		"a_cap_of_none":                   {5, 0, 0, 0},
		"a_cap_below_zero":                {5, 0, -1, 0},
		"no_more_than_the_quota":          {2005, 0, 5000, 2000},
		"what_is_pending_counts_as_well":  {5, 1998, 5000, 2},
		"the_quota_is_used_up":            {5, 2000, 5000, 0},
		"the_quota_is_more_than_used_up":  {5, 2001, 5000, 0},
		"the_cap_counts_beside_the_quota": {5, 1998, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			here, evidence := many(test.images, test.pending)
			p := policy(judgeShared, func(p *retention.Policy) { p.MaxDeregistrations = test.limit })
			plan := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0]
			if len(plan.ReportsWanted) != test.want {
				t.Errorf("%d reports are wanted, want %d", len(plan.ReportsWanted), test.want)
			}
			if len(plan.ReportsDone) > 0 {
				t.Errorf("done: %d", len(plan.ReportsDone))
			}
			if test.want == 3 && test.images == 5 && !slices.Equal(plan.ReportsWanted, []string{"ami-9995", "ami-9996", "ami-9997"}) {
				t.Errorf("wanted %v, want the stalest first", plan.ReportsWanted)
			}
		})
	}
}

// Reports about images that are not in the listing, which may be gone, are obsolete.
func TestReportsOfImagesThatAreGone(t *testing.T) {
	evidence := map[string]ami.Evidence{region: {Images: findings{"ami-gone": {Report: report(reportID("amiur-9", "amiur-8", "amiur-7"))}}}}
	plan := policy(judgeShared).Open([]ami.Inventory{inventory(region)}, now).Plan(evidence)[0]
	if !slices.Equal(plan.ReportsDone, []string{"amiur-7", "amiur-8", "amiur-9"}) {
		t.Errorf("done %v", plan.ReportsDone)
	}
}
