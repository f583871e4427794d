package retention_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// What is found just before a removal keeps an image, whatever was planned.
func TestRecheck(t *testing.T) {
	planned := func(changes ...func(*ami.Image)) ami.Image {
		return idle(subject, append(with(mapping("snap-1"), tagged("team", "a")), changes...)...)
	}
	found := func(changes ...func(*ami.Image)) *ami.Image {
		image := planned(changes...)
		return &image
	}
	proven := ami.Finding{Use: ami.Unused}
	for name, test := range map[string]struct {
		found   *ami.Image
		finding ami.Finding
		code    retention.Code // Empty if it is removed.
		says    string
	}{
		"nothing_has_changed":         {found(), proven, "", ""},
		"it_is_not_listed":            {nil, proven, "changed-since-planned", "EC2 does not list it any more"},
		"it_is_used":                  {found(), ami.Finding{Use: ami.Used, References: []ami.Reference{{ARN: "arn:1"}}}, "used-since-planned", "named by arn:1"},
		"it_is_named":                 {found(), ami.Finding{Use: ami.Unused, References: []ami.Reference{{ARN: "arn:1"}}}, "used-since-planned", "named by arn:1"},
		"it_is_used_with_a_gap":       {found(), ami.Finding{Use: ami.Used, Gaps: []ami.Gap{aGap}}, "used-since-planned", "something"},
		"it_is_gone_and_used":         {nil, ami.Finding{Use: ami.Used}, "used-since-planned", ""},
		"nobody_knows":                {found(), ami.Finding{}, "unknown-use", "its use has not been looked up"},
		"there_is_a_gap":              {found(), ami.Finding{Use: ami.Unused, Gaps: []ami.Gap{aGap}}, "unknown-use", "references: denied"},
		"it_is_gone_and_nobody_knows": {nil, ami.Finding{}, "unknown-use", ""},
		"it_is_disabled":              {found(state("disabled")), proven, "changed-since-planned", "it is in state disabled now"},
		"a_tag_was_added":             {found(tagged("ami-janitor:keep", "")), proven, "changed-since-planned", "its tags have changed"},
		"a_tag_was_taken_off":         {found(untagged("team")), proven, "changed-since-planned", "its tags have changed"},
		"a_tag_has_another_value":     {found(tagged("team", "b")), proven, "changed-since-planned", "its tags have changed"},
		"it_was_launched":             {found(launched(now)), proven, "changed-since-planned", "a launch is on record now, of 2026-11-23"},
		"it_is_protected":             {found(protection("enabled")...), proven, "changed-since-planned", "its facts have changed"},
		"it_is_public":                {found(func(i *ami.Image) { i.Public = true }), proven, "changed-since-planned", "its facts have changed"},
		"it_has_another_snapshot":     {found(mapping("snap-1", "snap-2")), proven, "changed-since-planned", "its facts have changed"},
		"a_fact_became_unreadable":    {found(func(i *ami.Image) { i.Unreadable = []string{"x"} }), proven, "changed-since-planned", "its facts have changed"},
		"it_has_another_owner":        {found(func(i *ami.Image) { i.OwnerID = "999999999999" }), proven, "changed-since-planned", "its facts have changed"},
	} {
		t.Run(name, func(t *testing.T) {
			reason, changed := retention.Recheck(planned(), test.found, test.finding, "")
			if changed != (test.code != "") || reason.Code != test.code || !strings.Contains(reason.Detail, test.says) || changed && reason.Detail == "" {
				t.Errorf("%t, %+v; want %s: %s", changed, reason, test.code, test.says)
			}
		})
	}
}

// What this run wrote since the plan is no change; what others did with it is one.
func TestRecheckOfWhatIsDeclared(t *testing.T) {
	const run, other = lateRun, "20261123T001500Z-a77e10"
	due := marked("2026-11-23")
	for name, test := range map[string]struct {
		planned, found []func(*ami.Image)
		says           string // Empty if it is removed.
	}{
		"declared_as_it_was_to_be":           {nil, with(declared(run)), ""},
		"announced_and_declared":             {with(due), with(due, declared(run)), ""},
		"disabled_and_declared":              {with(disabledUntil("2026-11-23")), with(disabledUntil("2026-11-23"), declared(run)), ""},
		"declared_once_more":                 {with(declared(theRun)), with(declared(run)), ""},
		"without_a_tag_before":               {with(func(i *ami.Image) { i.Tags = nil }), with(declared(run)), ""},
		"not_declared":                       {nil, nil, "the tag that declared its removal is gone"},
		"the_intent_is_off":                  {nil, with(declared(run), untagged(ami.IntentTag)), "the tag that declared its removal is gone"},
		"the_intent_is_another":              {nil, with(declared(run), tagged(ami.IntentTag, "keep")), "the tag that declared its removal is gone"},
		"the_run_is_off":                     {nil, with(declared(run), untagged(ami.RunTag)), "another run has declared its removal"},
		"another_run_has_taken_it_over":      {nil, with(declared(other)), "another run has declared its removal"},
		"the_earlier_run_is_back":            {with(due), with(due, declared(run), tagged(ami.RunTag, theRun)), "another run has declared its removal"},
		"the_day_was_taken_off":              {with(due), with(declared(run)), "its tags have changed"},
		"a_keep_tag_was_added":               {nil, with(declared(run), tagged("ami-janitor:keep", "")), "its tags have changed"},
		"it_says_that_it_was_restored":       {nil, with(declared(run), tagged(ami.RestoredTag, "2026-11-23")), "its tags have changed"},
		"it_is_enabled":                      {with(disabledUntil("2026-11-23")), with(disabledUntil("2026-11-23"), declared(run), state("available")), "it is in state available now"},
		"another_fact_has_changed":           {nil, with(declared(run), mapping("snap-9")), "its facts have changed"},
		"a_declaration_of_others_is_no_less": {with(tagged("AMI-Janitor:Intent", "remove")), with(declared(run)), "its tags have changed"},
	} {
		t.Run(name, func(t *testing.T) {
			found := idle(subject, test.found...)
			reason, changed := retention.Recheck(idle(subject, test.planned...), &found, ami.Finding{Use: ami.Unused}, run)
			if changed != (test.says != "") || reason.Detail != test.says || changed && reason.Code != "changed-since-planned" {
				t.Errorf("%t, %+v, want %q", changed, reason, test.says)
			}
		})
	}
	foreign := idle(subject, declared(other))
	if reason, changed := retention.Recheck(idle(subject), &foreign, ami.Finding{Use: ami.Unused}, ""); !changed {
		t.Errorf("an image to be disabled was declared by another run: %+v", reason)
	}
}

// A snapshot to delete keeps its image if it has changed, apart from this run's tags.
func TestRecheckOfASnapshot(t *testing.T) {
	const run = lateRun
	planned := snapshotWith("snap-1", "team", "a")
	for name, test := range map[string]struct {
		found *ami.Snapshot
		says  string // Empty if it goes.
	}{
		"as_it_was":                   {new(withTags(declaredSnapshot("snap-1", run), "team", "a")), ""},
		"not_listed":                  {nil, "EC2 does not list snap-1 any more"},
		"not_declared":                {new(planned), "snap-1: the tag that declared its removal is gone"},
		"another_run_has_declared_it": {new(withTags(declaredSnapshot("snap-1", theRun), "team", "a")), "snap-1: another run has declared its removal"},
		"a_keep_tag":                  {new(withTags(declaredSnapshot("snap-1", run), "team", "a", "ami-janitor:keep", "")), "the tags of snap-1 have changed"},
		"a_tag_less":                  {new(declaredSnapshot("snap-1", run)), "the tags of snap-1 have changed"},
		"restored":                    {new(withTags(declaredSnapshot("snap-1", run), "team", "a", ami.RestoredTag, "2026-11-23")), "the tags of snap-1 have changed"},
		"another_fact":                {new(archived(withTags(declaredSnapshot("snap-1", run), "team", "a"))), "the facts of snap-1 have changed"},
		"a_lock_that_has_expired":     {new(withTags(declaredSnapshot("snap-1", run), "team", "a")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := planned
			if name == "a_lock_that_has_expired" {
				before.Lock = "expired" // The recheck does not read locks.
			}
			reason, changed := retention.RecheckSnapshot(before, test.found, run)
			if changed != (test.says != "") || reason.Detail != test.says || changed && reason.Code != "changed-since-planned" {
				t.Errorf("%t, %+v, want %q", changed, reason, test.says)
			}
		})
	}
}

func withTags(s ami.Snapshot, tags ...string) ami.Snapshot {
	maps.Copy(s.Tags, snapshotWith("", tags...).Tags)
	return s
}

func archived(s ami.Snapshot) ami.Snapshot {
	s.Archived = true
	return s
}

// No change of a fact goes unnoticed.
func TestRecheckNoticesEveryFact(t *testing.T) {
	for name, change := range map[string]func(*ami.Image){
		"name": named("other"), "alias": func(i *ami.Image) { i.OwnerAlias = "amazon" }, "architecture": func(i *ami.Image) { i.Architecture = "arm64" },
		"marketplace": func(i *ami.Image) { i.Marketplace = true }, "created": func(i *ami.Image) { i.CreatedAt = now }, "deprecated": func(i *ami.Image) { i.DeprecatedAt = now },
		"source": copyFrom("ami-2", region), "instance": func(i *ami.Image) { i.SourceInstanceID = "i-1" }, "manifest": func(i *ami.Image) { i.S3Location = "x" },
	} {
		after := idle(subject)
		after.Tags = maps.Clone(after.Tags)
		change(&after)
		if _, changed := retention.Recheck(idle(subject), &after, ami.Finding{Use: ami.Unused}, ""); !changed {
			t.Errorf("%s: no change is noticed", name)
		}
	}
}

func TestMarked(t *testing.T) {
	for _, key := range []string{"ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:disabled", "AMI-Janitor:Due", " ami-janitor:announced-by"} {
		if !retention.Marked(idle(subject, tagged(key, "x"))) {
			t.Errorf("%q is no mark", key)
		}
	}
	unmarked := []string{"", "due", "ami-janitor:keep", "ami-janitor:restored", "ami-janitor:stale-after", "ami-janitor:run", "my:ami-janitor:due", "ami-janitor:dues"}
	if i := slices.IndexFunc(unmarked, func(key string) bool { return retention.Marked(idle(subject, tagged(key, "x"))) }); i >= 0 {
		t.Errorf("%q is a mark", unmarked[i])
	}
	if retention.Marked(idle(subject, declared(theRun))) {
		t.Error("what declares a removal is taken for a mark")
	}
	if !retention.Marked(idle(subject, declared(theRun), tagged(ami.DueTag, "x"))) || !retention.Marked(idle(subject, declared(theRun), tagged(ami.DisabledTag, "x"))) {
		t.Error("what declares a removal hides a mark")
	}
	if retention.Marked(ami.Image{}) {
		t.Error("an image without tags is marked")
	}
}
