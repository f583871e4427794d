package retention_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// copyFrom makes a copy of an image in another region.
func copyFrom(source, region string) func(*ami.Image) {
	return func(i *ami.Image) { i.SourceImageID, i.SourceRegion = source, region }
}

// A copy stays while its original is used, or may be: the latter is a doubt like any other. The
// copy is in eu-west-1, its original in us-east-1.
func TestCopies(t *testing.T) {
	const there, original = "us-east-1", "ami-2"
	arn := []ami.Reference{{ARN: "arn:1"}}
	unusedThere := &ami.Evidence{Images: findings{original: {Use: ami.Unused}}}
	for name, test := range map[string]struct {
		image    []func(*ami.Image)
		original []func(*ami.Image) // Nil if it is not listed.
		evidence *ami.Evidence      // Of us-east-1. Nil if that region is not part of the run.
		goes     bool
		says     string
		// 1 if nobody knows whether the original is used; 2 if it is used, and there is a doubt
		// besides.
		doubt int
	}{
		"of_an_unused_original_goes":        {nil, with(), unusedThere, true, "", 0},
		"of_a_used_original":                {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Used, References: arn}}}, false, "it is a copy of ami-2 in us-east-1, which is named by arn:1\n", 0},
		"of_an_original_used_by_something":  {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Used}}}, false, "which is named by something\n", 0},
		"of_an_original_that_is_named":      {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Unused, References: arn}}}, false, "named by arn:1", 0},
		"of_an_original_named_with_a_gap":   {nil, with(), &ami.Evidence{Images: findings{original: {References: arn, Gaps: []ami.Gap{aGap}}}}, false, "it is a copy of ami-2 in us-east-1, which is named by arn:1\nthe use of ami-2 in us-east-1, of which it is a copy: references: denied\n", 2},
		"of_an_original_with_a_gap":         {nil, with(), &ami.Evidence{Images: findings{original: {Gaps: []ami.Gap{aGap}}}}, false, "the use of ami-2 in us-east-1, of which it is a copy: references: denied\n", 1},
		"of_an_original_of_unknown_use":     {nil, with(), &ami.Evidence{Images: findings{original: {}}}, false, "the use of ami-2 in us-east-1, of which it is a copy, has not been looked up\n", 1},
		"of_an_original_nobody_looked_up":   {nil, with(), &ami.Evidence{Images: findings{"ami-3": {Use: ami.Unused}}}, false, "the use of ami-2 in us-east-1, of which it is a copy, has not been looked up\n", 1},
		"of_an_original_in_a_region_failed": {nil, nil, &ami.Evidence{}, false, "the use of ami-2 in us-east-1, of which it is a copy, has not been looked up\n", 1},
		"of_one_gone_that_is_unused_goes":   {nil, nil, unusedThere, true, "", 0},
		"of_one_gone_that_is_used":          {nil, nil, &ami.Evidence{Images: findings{original: {Use: ami.Used, References: arn}}}, false, "named by arn:1", 0},
		"of_one_gone_nobody_looked_up":      {nil, nil, &ami.Evidence{Images: findings{"ami-3": {Use: ami.Unused}}}, false, "the use of ami-2 in us-east-1, of which it is a copy, has not been looked up\n", 1},
		"from_outside_of_the_run_goes":      {nil, nil, nil, true, "", 0},
		"of_an_original_launched_long_ago":  {nil, with(launched(ago(days(180) + 1))), unusedThere, true, "", 0},
		"of_an_original_launched_within":    {nil, with(launched(ago(days(180)))), unusedThere, false, "it is a copy of ami-2 in us-east-1, which was last launched 2026-05-27\n", 0},
		"of_one_launched_and_not_looked_up": {nil, with(launched(ago(days(180)))), nil, false, "which was last launched 2026-05-27\n", 0},
		"of_one_launched_in_the_future":     {nil, with(launched(now.Add(time.Hour))), unusedThere, false, "last launched 2026-11-23", 0},
		"of_one_launched_within_its_own":    {nil, with(launched(ago(days(299))), tagged("ami-janitor:stale-after", "300d")), unusedThere, false, "last launched", 0},
		"of_one_launched_beyond_its_own":    {nil, with(launched(ago(days(301))), tagged("ami-janitor:stale-after", "300d")), unusedThere, true, "", 0},
		"of_one_whose_own_is_too_short":     {nil, with(launched(ago(days(31))), tagged("ami-janitor:stale-after", "30d")), unusedThere, false, "which was last launched 2026-10-23\n", 0},
		"of_one_created_recently_goes":      {nil, with(created(ago(days(1)))), unusedThere, true, "", 0},
		"of_one_kept_for_another_reason":    {nil, with(tagged("ami-janitor:keep", "")), unusedThere, true, "", 0},
		"what_an_instance_was_made_into":    {with(func(i *ami.Image) { i.SourceInstanceID = "i-1" }), with(launched(now)), &ami.Evidence{Images: findings{original: {Use: ami.Used, References: arn}}}, true, "", 0},
		"without_a_source_goes":             {with(func(i *ami.Image) { i.SourceImageID, i.SourceRegion = "", "" }), with(launched(now)), &ami.Evidence{Images: findings{original: {Use: ami.Used}}}, true, "", 0},
		"without_a_region_it_is_its_own": {
			with(func(i *ami.Image) { i.SourceRegion = "" }), nil,
			&ami.Evidence{Images: findings{original: {Use: ami.Unused}}},
			false,
			"the use of ami-2 in eu-west-1, of which it is a copy, has not been looked up\n",
			1,
		},
		"of_an_unused_original_with_a_gap":   {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Unused, Gaps: []ami.Gap{aGap}}}}, false, "the use of ami-2 in us-east-1, of which it is a copy: references: denied\n", 1},
		"of_a_used_original_with_a_gap":      {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Used, Gaps: []ami.Gap{aGap}}}}, false, "named by something\nthe use of", 2},
		"of_an_original_of_impossible_use":   {nil, with(), &ami.Evidence{Images: findings{original: {Use: ami.Use(42)}}}, false, "of which it is a copy", 1},
		"of_an_original_with_an_odd_fact":    {nil, with(created(ago(days(400))), func(i *ami.Image) { i.Unreadable = []string{"last launched time", "x"} }), unusedThere, false, "the use of ami-2 in us-east-1, of which it is a copy: last launched time; x\n", 1},
		"of_an_original_launched_and_odd":    {nil, with(launched(ago(days(3))), func(i *ami.Image) { i.Unreadable = []string{"x"} }), unusedThere, false, "which was last launched 2026-11-20\nthe use of", 2},
		"of_one_launched_and_looked_up_not":  {nil, with(launched(ago(days(3)))), &ami.Evidence{}, false, "which was last launched 2026-11-20\nthe use of", 2},
		"of_an_odd_original_outside_the_run": {nil, with(func(i *ami.Image) { i.Unreadable = []string{"x"} }), nil, true, "", 0},
		"of_an_instance_of_unknown_use":      {with(func(i *ami.Image) { i.SourceInstanceID = "i-1" }), nil, &ami.Evidence{}, true, "", 0},
		"says_all_that_keep_it":              {with(func(*ami.Image) {}), with(), &ami.Evidence{Images: findings{original: {Use: ami.Used, References: slices.Concat(arn, []ami.Reference{{ARN: "arn:2"}, {ARN: "arn:3"}, {ARN: "arn:4"}})}}}, false, "named by arn:1, arn:2, arn:3 and 1 more", 0},
	} {
		t.Run(name, func(t *testing.T) {
			image := idle(subject, append(with(copyFrom(original, there)), test.image...)...)
			inventories := []ami.Inventory{inventory(region, image)}
			if test.original != nil {
				inventories = append(inventories, inventory(there, idle(original, test.original...)))
			}
			evidence := map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}}}}
			if test.evidence != nil {
				evidence[there] = *test.evidence
			}
			v := verdicts(policy().Open(inventories, now).Plan(evidence))[subject]
			goes := v.Decision == retention.Deregister
			kept := [][]retention.Code{{"copy-of-used"}, {"unknown-use"}, {"copy-of-used", "unknown-use"}}[test.doubt]
			if goes != test.goes || !goes && !slices.Equal(codes(v), kept) || !strings.Contains(details(v), test.says) {
				t.Errorf("%s because of %v; want it to go: %t, %s", v.Decision, v.Reasons, test.goes, test.says)
			}
			if got := len(policy().Open(inventories, now).Candidates()[region]); got != 1 {
				t.Errorf("%d candidates, want the copy", got)
			}
		})
	}
}

// Text in any region of the run may name an original, and so may unreadable text. The copy is in
// eu-west-1, its original in us-east-1, and ap-south-1 is unrelated.
func TestCopiesOfWhatTextNames(t *testing.T) {
	const there, original = "us-east-1", "ami-2"
	names := ami.Evidence{Images: findings{original: {Use: ami.Used, References: []ami.Reference{{Source: ami.TextSource, ARN: "arn:far"}}}}}
	unread := func(source string) ami.Evidence {
		return ami.Evidence{Gaps: []ami.Gap{{Source: source, Err: "denied"}}}
	}
	for name, test := range map[string]struct {
		here, there, far ami.Evidence
		kept             []retention.Code // Nil if it goes.
		says             string
	}{
		"named_where_the_copy_is":  {here: names, kept: []retention.Code{"copy-of-used"}, says: "it is a copy of ami-2 in us-east-1, which is named by arn:far\n"},
		"named_in_a_third_region":  {far: names, kept: []retention.Code{"copy-of-used"}, says: "named by arn:far\n"},
		"unread_where_the_copy_is": {here: unread(ami.TextSource), kept: []retention.Code{"unknown-use"}, says: "the use of ami-2 in us-east-1, of which it is a copy: ssm-text in eu-west-1: denied\n"},
		// It may name the copy itself.
		"unread_in_a_third_region":      {far: unread(ami.TextSource), kept: []retention.Code{"unknown-use"}, says: "ssm-text in ap-south-1: denied\n"},
		"something_else_could_not_be":   {far: unread("instances")},
		"named_and_unread":              {here: unread(ami.TextSource), far: names, kept: []retention.Code{"copy-of-used", "unknown-use"}, says: "arn:far"},
		"a_third_region_not_read_goes":  {far: ami.Evidence{}},
		"named_but_not_looked_up_there": {there: ami.Evidence{Images: findings{"ami-3": {}}}, far: names, kept: []retention.Code{"copy-of-used", "unknown-use"}, says: "has not been looked up\n"},
	} {
		t.Run(name, func(t *testing.T) {
			evidence := map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}}}, there: {Images: findings{original: {Use: ami.Unused}}}}
			maps.Copy(evidence[region].Images, test.here.Images)
			evidence[region] = ami.Evidence{Images: evidence[region].Images, Gaps: test.here.Gaps}
			if test.there.Images != nil {
				evidence[there] = test.there
			}
			evidence["ap-south-1"] = test.far
			v := verdicts(policy().Open([]ami.Inventory{inventory(region, idle(subject, copyFrom(original, there)))}, now).Plan(evidence))[subject]
			want := test.kept
			if want == nil {
				want = []retention.Code{"stale"}
			}
			if !slices.Equal(codes(v), want) || !strings.Contains(details(v), test.says) {
				t.Errorf("%s because of %v, want %v: %q", v.Decision, v.Reasons, want, test.says)
			}
		})
	}
	outside := map[string]ami.Evidence{region: {Images: findings{subject: {Use: ami.Unused}}}, "ap-south-1": names}
	if v := verdicts(policy().Open([]ami.Inventory{inventory(region, idle(subject, copyFrom(original, there)))}, now).Plan(outside))[subject]; !slices.Equal(codes(v), []retention.Code{"copy-of-used"}) {
		t.Errorf("an original outside of the run, named within: %s because of %v", v.Decision, v.Reasons)
	}
}

// A copy that is kept because of its original is not used by that: it does not keep its original in
// turn.
func TestAnOriginalIsNotKeptByItsCopy(t *testing.T) {
	here := inventory(region, idle("ami-1", copyFrom("ami-2", region), created(ago(days(300)))), idle("ami-2"))
	evidence := unused(here)
	evidence[region].Images["ami-1"] = ami.Finding{Use: ami.Used}
	got := verdicts(policy().Open([]ami.Inventory{here}, now).Plan(evidence))
	if v := got["ami-2"]; v.Decision != retention.Deregister {
		t.Errorf("the original of a copy in use: %s because of %v", v.Decision, v.Reasons)
	}
}
