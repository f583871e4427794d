package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// copyFrom makes a copy of an image in another region.
func copyFrom(source, region string) func(*ami.Image) {
	return func(i *ami.Image) { i.SourceImageID, i.SourceRegion = source, region }
}

// A copy stays while its original is used, or may be. The copy is in eu-west-1, its original in us-east-1.
func TestCopies(t *testing.T) {
	const there, original = "us-east-1", "ami-2"
	arn := []ami.Reference{{ARN: "arn:1"}}
	unusedThere := ami.Evidence{original: {Use: ami.Unused}}
	for name, test := range map[string]struct {
		image    []func(*ami.Image)
		original []func(*ami.Image) // Nil if it is not listed.
		evidence ami.Evidence       // Of us-east-1. Nil if it is no part of the run.
		goes     bool
		says     string
	}{
		"of_an_unused_original_goes":        {nil, with(), unusedThere, true, ""},
		"of_a_used_original":                {nil, with(), ami.Evidence{original: {Use: ami.Used, References: arn}}, false, "it is a copy of ami-2 in us-east-1, which is named by arn:1\n"},
		"of_an_original_used_by_something":  {nil, with(), ami.Evidence{original: {Use: ami.Used}}, false, "which is named by something\n"},
		"of_an_original_that_is_named":      {nil, with(), ami.Evidence{original: {Use: ami.Unused, References: arn}}, false, "named by arn:1"},
		"of_an_original_named_with_a_gap":   {nil, with(), ami.Evidence{original: {References: arn, Gaps: []ami.Gap{aGap}}}, false, "named by arn:1"},
		"of_an_original_with_a_gap":         {nil, with(), ami.Evidence{original: {Gaps: []ami.Gap{aGap}}}, false, "which may be in use: not everything there could be looked up\n"},
		"of_an_original_of_unknown_use":     {nil, with(), ami.Evidence{original: {}}, false, "may be in use"},
		"of_an_original_nobody_looked_up":   {nil, with(), ami.Evidence{"ami-3": {Use: ami.Unused}}, false, "may be in use"},
		"of_an_original_in_a_region_failed": {nil, nil, ami.Evidence{}, false, "may be in use"},
		"of_one_gone_that_is_unused_goes":   {nil, nil, unusedThere, true, ""},
		"of_one_gone_that_is_used":          {nil, nil, ami.Evidence{original: {Use: ami.Used, References: arn}}, false, "named by arn:1"},
		"of_one_gone_nobody_looked_up":      {nil, nil, ami.Evidence{"ami-3": {Use: ami.Unused}}, false, "may be in use"},
		"from_outside_of_the_run_goes":      {nil, nil, nil, true, ""},
		"of_an_original_launched_long_ago":  {nil, with(launched(ago(days(180) + 1))), unusedThere, true, ""},
		"of_an_original_launched_within":    {nil, with(launched(ago(days(180)))), unusedThere, false, "it is a copy of ami-2 in us-east-1, which was last launched 2026-05-27\n"},
		"of_one_launched_and_not_looked_up": {nil, with(launched(ago(days(180)))), nil, false, "which was last launched 2026-05-27\n"},
		"of_one_launched_in_the_future":     {nil, with(launched(now.Add(time.Hour))), unusedThere, false, "last launched 2026-11-23"},
		"of_one_launched_within_its_own":    {nil, with(launched(ago(days(299))), tagged("ami-janitor:stale-after", "300d")), unusedThere, false, "last launched"},
		"of_one_launched_beyond_its_own":    {nil, with(launched(ago(days(31))), tagged("ami-janitor:stale-after", "30d")), unusedThere, true, ""},
		"of_one_created_recently_goes":      {nil, with(created(ago(days(1)))), unusedThere, true, ""},
		"of_one_kept_for_another_reason":    {nil, with(tagged("ami-janitor:keep", "")), unusedThere, true, ""},
		"what_an_instance_was_made_into":    {with(func(i *ami.Image) { i.SourceInstanceID = "i-1" }), with(launched(now)), ami.Evidence{original: {Use: ami.Used, References: arn}}, true, ""},
		"without_a_source_goes":             {with(func(i *ami.Image) { i.SourceImageID, i.SourceRegion = "", "" }), with(launched(now)), ami.Evidence{original: {Use: ami.Used}}, true, ""},
		"without_a_region_it_is_its_own": {
			with(func(i *ami.Image) { i.SourceRegion = "" }), nil,
			ami.Evidence{original: {Use: ami.Unused}},
			false,
			"it is a copy of ami-2 in eu-west-1, which may be in use: not everything there could be looked up\n",
		},
		"says_all_that_keep_it": {with(func(*ami.Image) {}), with(), ami.Evidence{original: {Use: ami.Used, References: slices.Concat(arn, []ami.Reference{{ARN: "arn:2"}, {ARN: "arn:3"}, {ARN: "arn:4"}})}}, false, "named by arn:1, arn:2, arn:3 and 1 more"},
	} {
		t.Run(name, func(t *testing.T) {
			image := idle(subject, append(with(copyFrom(original, there)), test.image...)...)
			inventories := []ami.Inventory{inventory(region, image)}
			if test.original != nil {
				inventories = append(inventories, inventory(there, idle(original, test.original...)))
			}
			evidence := map[string]ami.Evidence{region: {subject: {Use: ami.Unused}}}
			if test.evidence != nil {
				evidence[there] = test.evidence
			}
			v := verdicts(policy().Plan(inventories, evidence, now))[subject]
			goes := v.Decision == retention.Deregister
			if goes != test.goes || !goes && !slices.Equal(codes(v), []retention.Code{"copy-of-used"}) || !strings.Contains(details(v), test.says) {
				t.Errorf("%s because of %v; want it to go: %t, %s", v.Decision, v.Reasons, test.goes, test.says)
			}
			if got := len(policy().Candidates(inventories, now)[region]); got != 1 {
				t.Errorf("%d candidates, want the copy", got)
			}
		})
	}
}

// A copy that is kept because of its original is used by that no more than before: its original is not kept by it.
func TestAnOriginalIsNotKeptByItsCopy(t *testing.T) {
	here := inventory(region, idle("ami-1", copyFrom("ami-2", region), created(ago(days(300)))), idle("ami-2"))
	evidence := unused(here)
	evidence[region]["ami-1"] = ami.Finding{Use: ami.Used}
	got := verdicts(policy().Plan([]ami.Inventory{here}, evidence, now))
	if v := got["ami-2"]; v.Decision != retention.Deregister {
		t.Errorf("the original of a copy in use: %s because of %v", v.Decision, v.Reasons)
	}
}
