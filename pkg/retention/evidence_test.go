package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Evidence that is missing, or not complete, is no proof that an image is not used.
func TestEvidence(t *testing.T) {
	gap := ami.Gap{Source: "references", Err: "UnauthorizedOperation: no"}
	instance := ami.Reference{Source: "references", Type: "ec2:Instance", ARN: "arn:aws:ec2:eu-west-1:123456789012:instance/i-1"}
	for name, test := range evidenceCases(gap, instance) {
		t.Run(name, func(t *testing.T) {
			p := policy()
			if test.policy != nil {
				test.policy(&p)
			}
			plans := p.Open([]ami.Inventory{inventory(region, append(test.others, idle(subject, test.image...))...)}, now).Plan(test.evidence)
			v := verdicts(plans)[subject]
			want := retention.Keep
			if len(test.kept) == 0 {
				want = retention.Deregister
				test.kept = []retention.Code{"stale"}
				if v.Image.LastLaunchedAt.IsZero() {
					test.kept = []retention.Code{"never-launched"}
				}
			}
			if v.Decision != want || !slices.Equal(codes(v), test.kept) {
				t.Errorf("%s because of %v, want %s because of %v", v.Decision, v.Reasons, want, test.kept)
			}
			if !strings.Contains(details(v), test.says) {
				t.Errorf("reasons %q do not say %q", v.Reasons, test.says)
			}
		})
	}
}

type evidenceCase struct {
	evidence map[string]ami.Evidence
	kept     []retention.Code // Empty if the image goes.
	says     string

	image  []func(*ami.Image)
	others []ami.Image // Further images of the region.
	policy func(*retention.Policy)
}

// freshReport finds no use by other accounts.
var freshReport = &ami.UsageReport{ID: "report-1", State: "available", CreatedAt: ago(days(1)), Complete: true}

func judgeByCensus(p *retention.Policy) { p.JudgeShared, p.JudgeByCensus = true, true }

func evidenceCases(gap ami.Gap, instance ami.Reference) map[string]evidenceCase {
	found := func(f ami.Finding) map[string]ami.Evidence {
		return map[string]ami.Evidence{region: {Images: findings{subject: f}}}
	}
	second := ami.Reference{ARN: "arn:2"}
	ofOther := func(account, kind string, count int64) ami.Reference {
		return ami.Reference{Source: "usage-reports", Type: kind, ARN: "arn:aws:iam::" + account + ":root", Account: account, Count: count}
	}
	many := []ami.Reference{instance, second, {ARN: "arn:3"}, {ARN: "arn:4"}, {ARN: "arn:5"}}
	copied := with(copyOf("ami-2"))
	neverLaunched := with(created(ago(days(300))))
	dark := idle("ami-2", created(ago(days(300))))
	instanceOf2 := func(at time.Time) map[string]ami.Evidence {
		return map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}, "ami-2": {Use: ami.Used, LaunchedAt: at}}}}
	}
	return map[string]evidenceCase{
		"proven_unused_goes":                 {evidence: found(ami.Finding{Use: ami.Unused})},
		"no_evidence_at_all_removes_nothing": {kept: []retention.Code{"unknown-use"}, says: "its use has not been looked up"},
		"an_image_without_an_entry_stays":    {evidence: map[string]ami.Evidence{region: {Images: findings{"ami-2": {Use: ami.Unused}}}}, kept: []retention.Code{"unknown-use"}, says: "its use has not been looked up"},
		"evidence_of_another_region_is_none": {evidence: map[string]ami.Evidence{"us-east-1": {Images: findings{subject: {Use: ami.Unused}}}}, kept: []retention.Code{"unknown-use"}},
		"an_empty_finding_is_unknown":        {evidence: found(ami.Finding{}), kept: []retention.Code{"unknown-use"}},
		"unknown_with_a_gap_names_it":        {evidence: found(ami.Finding{Gaps: []ami.Gap{gap}}), kept: []retention.Code{"unknown-use"}, says: "references: UnauthorizedOperation: no"},
		"unused_with_a_gap_is_not_unused":    {evidence: found(ami.Finding{Use: ami.Unused, Gaps: []ami.Gap{gap}}), kept: []retention.Code{"unknown-use"}, says: "references: UnauthorizedOperation: no"},
		"a_use_nobody_knows_is_no_proof":     {evidence: found(ami.Finding{Use: ami.Use(42)}), kept: []retention.Code{"unknown-use"}},
		"a_negative_use_is_no_proof":         {evidence: found(ami.Finding{Use: ami.Use(-1)}), kept: []retention.Code{"unknown-use"}},
		"used_names_what_uses_it":            {evidence: found(ami.Finding{Use: ami.Used, References: []ami.Reference{instance}}), kept: []retention.Code{"in-use"}, says: "named by " + instance.ARN},
		"used_by_many_counts_the_rest":       {evidence: found(ami.Finding{Use: ami.Used, References: many}), kept: []retention.Code{"in-use"}, says: "arn:2, arn:3 and 2 more"},
		"used_without_references_stays":      {evidence: found(ami.Finding{Use: ami.Used}), kept: []retention.Code{"in-use"}, says: "named by something"},
		"used_by_other_accounts_says_how_many_and_by_which_report": {
			evidence: found(ami.Finding{
				Use: ami.Used, References: []ami.Reference{ofOther("111122223333", "ec2:Instance", 3), ofOther("111122223333", "ec2:LaunchTemplate", 1), ofOther("444455556666", "ec2:Instance", 0)},
				Report: &ami.UsageReport{ID: "report-1", CreatedAt: ago(days(1))},
			}),
			kept: []retention.Code{"in-use"},
			says: "used by 3 instances of account 111122223333, 1 launch template of account 111122223333, an unknown number of instances of account 444455556666, as usage report report-1 of 2026-11-22 says\n",
		},
		"used_here_and_by_other_accounts_says_both": {
			evidence: found(ami.Finding{Use: ami.Used, References: []ami.Reference{instance, ofOther("111122223333", "ec2:Instance", 1)}}),
			kept:     []retention.Code{"in-use"}, says: "named by " + instance.ARN + "; used by 1 instance of account 111122223333\n",
		},
		"used_with_a_gap_is_used":               {evidence: found(ami.Finding{Use: ami.Used, References: []ami.Reference{instance}, Gaps: []ami.Gap{gap}}), kept: []retention.Code{"in-use"}},
		"unused_with_references_stays":          {evidence: found(ami.Finding{Use: ami.Unused, References: []ami.Reference{instance}}), kept: []retention.Code{"in-use"}},
		"unused_but_shared_stays":               {evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Account: "999999999999"}}}), kept: []retention.Code{"shared"}, says: "shared with account 999999999999"},
		"shared_and_used_says_both":             {evidence: found(ami.Finding{Use: ami.Used, SharedWith: []ami.Grantee{{Everybody: true}}, References: []ami.Reference{instance}}), kept: []retention.Code{"shared", "in-use"}},
		"shared_with_many_counts_the_rest":      {evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Group: "a"}, {Group: "b"}, {Group: "c"}, {Group: "d"}}}), kept: []retention.Code{"shared"}, says: "shared with a, b, c and 1 more"},
		"named_by_one_thing_twice_says_so_once": {evidence: found(ami.Finding{Use: ami.Used, References: []ami.Reference{instance, instance, second}}), kept: []retention.Code{"in-use"}, says: "named by " + instance.ARN + ", arn:2\n"},
		"named_in_another_region_stays": {
			evidence: map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}}}, "us-east-1": {Images: findings{subject: {Use: ami.Used, References: []ami.Reference{second}}}}},
			kept:     []retention.Code{"in-use"}, says: "named by arn:2\n",
		},
		"named_here_and_in_other_regions_says_all": {
			evidence: map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Used, References: []ami.Reference{instance}}}}, "us-east-1": {Images: findings{subject: {References: []ami.Reference{second}}}}, "ap-south-1": {Images: findings{subject: {References: []ami.Reference{{ARN: "arn:3"}}}}}},
			kept:     []retention.Code{"in-use"}, says: "named by " + instance.ARN + ", arn:3, arn:2\n",
		},

		// Copies; more in copies_test.go.
		"a_copy_of_what_is_used_stays": {
			evidence: map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}, "ami-2": {Use: ami.Used, References: []ami.Reference{second}}}}},
			image:    copied, kept: []retention.Code{"copy-of-used"}, says: "it is a copy of ami-2 in eu-west-1, which is named by arn:2\n",
		},

		// Announcements of other policies; more in policies_test.go.
		"what_another_policy_has_announced_stays": {
			evidence: found(ami.Finding{Use: ami.Unused}), image: with(marked("2026-12-01"), announcedBy(theRun, theirs), noRecord),
			kept: []retention.Code{"announced-elsewhere"}, says: "policy team-b has announced its removal for 2026-12-01\n",
		},

		// Tags of other images; more in policies_test.go and claims_test.go.
		"what_carries_a_copied_declaration_stays": {
			evidence: found(ami.Finding{Use: ami.Unused}), image: with(declared(earlierRun), created(ago(days(200)))),
			kept: []retention.Code{"copied-tags"}, says: "its tags name run " + earlierRun + ", and are older than the image: they were copied from another one\n",
		},

		// Usage reports; more in reports_test.go.
		"a_shared_product_is_not_judged": {
			evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Account: "999999999999"}}, Report: freshReport}),
			image:    with(func(i *ami.Image) { i.Marketplace = true }),
			policy:   func(p *retention.Policy) { p.JudgeShared, p.JudgeMarketplace = true, true },
			kept:     []retention.Code{"shared"}, says: "shared with account 999999999999, and it carries the product code",
		},
		"shared_images_that_are_judged_need_a_report": {
			evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}}), policy: judgeShared, kept: []retention.Code{"usage-report-pending"},
		},
		"that_a_report_is_missing_is_said_beside_a_gap": {
			evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}, Gaps: []ami.Gap{gap}}), policy: judgeShared,
			kept: []retention.Code{"unknown-use", "usage-report-pending"},
		},

		// Censuses of an organization; more in pkg/organization.
		"shared_images_wait_for_censuses": {
			evidence: found(ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}, Report: freshReport}),
			policy:   judgeByCensus, kept: []retention.Code{"census-too-young"}, says: "this run has counted no account of the organization",
		},
		"for_as_long_as_their_idle_limit": {
			evidence: found(ami.Finding{
				Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}, Report: freshReport, Counted: &ami.Counted{Account: "111122223333", Since: ago(days(179))},
			}),
			policy: judgeByCensus, kept: []retention.Code{"census-too-young"},
			says: "account 111122223333 has been counted every night since 2026-05-28 only, and 180 days are needed",
		},

		// Launches that EC2 does not report.
		"launches_that_are_not_reported_keep": {
			evidence: instanceOf2(ago(48*time.Hour + 1)), image: neverLaunched, others: []ami.Image{dark}, kept: []retention.Code{"launch-data-missing"},
			says: "no image of eu-west-1 has a launch on record, although an instance of ami-2 was launched 2026-11-21\n",
		},
		"launches_that_are_not_reported_name_the_smallest_id": {
			evidence: map[string]ami.Evidence{region: {Images: findings{
				subject: {Use: ami.Unused}, "ami-2": {LaunchedAt: ago(days(9))}, "ami-3": {LaunchedAt: ago(days(5))}, "ami-4": {LaunchedAt: ago(days(99))}, "ami-1": {LaunchedAt: ago(days(1))},
			}}},
			image: neverLaunched, others: []ami.Image{idle("ami-4", created(ago(days(300)))), dark, idle("ami-3", created(ago(days(300)))), idle("ami-1", created(ago(days(300))))},
			kept: []retention.Code{"launch-data-missing"}, says: "although an instance of ami-2 was launched 2026-11-14\n",
		},
		"a_launch_of_48_hours_ago_may_not_be_reported_yet": {evidence: instanceOf2(ago(48 * time.Hour)), image: neverLaunched, others: []ami.Image{dark}},
		"a_launch_of_long_ago_is_not_reported_either": {
			evidence: instanceOf2(ago(days(3000))), image: neverLaunched, others: []ami.Image{dark}, kept: []retention.Code{"launch-data-missing"},
		},
		"no_instance_proves_nothing":              {evidence: instanceOf2(time.Time{}), image: neverLaunched, others: []ami.Image{dark}},
		"one_launch_on_record_shows_the_others":   {evidence: instanceOf2(ago(days(3))), image: neverLaunched, others: []ami.Image{dark, idle("ami-3")}},
		"a_launch_of_the_instances_image_as_well": {evidence: instanceOf2(ago(days(3))), image: neverLaunched, others: []ami.Image{idle("ami-2")}},
		"an_instance_of_another_accounts_image_proves_nothing": {
			evidence: instanceOf2(ago(days(3))), image: neverLaunched, others: []ami.Image{idle("ami-2", created(ago(days(300))), func(i *ami.Image) { i.OwnerID = "999999999999" })},
		},
		"an_instance_of_an_image_that_is_gone_proves_nothing": {evidence: instanceOf2(ago(days(3))), image: neverLaunched},
		"what_has_been_launched_is_not_in_doubt":              {evidence: instanceOf2(ago(days(3))), others: []ami.Image{dark}},
		"an_instance_of_the_image_itself_as_well": {
			evidence: found(ami.Finding{Use: ami.Unused, LaunchedAt: ago(days(3))}), image: neverLaunched, kept: []retention.Code{"launch-data-missing"},
		},
		"an_instance_in_another_region_proves_nothing_here": {
			evidence: map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}}}, "us-east-1": {Images: findings{subject: {LaunchedAt: ago(days(3))}}}}, image: neverLaunched,
		},
	}
}

// Images that facts keep are not looked up, and that is not a reason of its own: otherwise the
// digest would show every image of the account as one of unknown use.
func TestWhatTheFactsKeepIsNotCalledUnknown(t *testing.T) {
	here := inventory(region, idle(subject), idle("ami-2", tagged("ami-janitor:keep", "")))
	p := policy()
	candidates := inventory(region, p.Open([]ami.Inventory{here}, now).Candidates()[region]...)
	v := verdicts(p.Open([]ami.Inventory{here}, now).Plan(unused(candidates)))["ami-2"]
	if diff := cmp.Diff([]retention.Code{"keep-tag"}, codes(v)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}
