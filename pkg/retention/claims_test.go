package retention_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func snapshotWith(id string, tags ...string) ami.Snapshot {
	s := ami.Snapshot{ID: id, Tags: map[string]string{}}
	for i := 0; i < len(tags); i += 2 {
		s.Tags[tags[i]] = tags[i+1]
	}
	return s
}

// declaredSnapshot carries the declaration that a run deletes it.
func declaredSnapshot(id, run string) ami.Snapshot {
	return snapshotWith(id, ami.IntentTag, ami.Intent, ami.RunTag, run)
}

// A declaration is taken off where no run is at work, and nothing else is.
func TestStaleDeclarations(t *testing.T) {
	const intent, run = ami.IntentTag, ami.RunTag
	notAttempted := ami.History{NotAttempted: map[string][]string{subject: {theRun}, "snap-1": {theRun}}}
	ofImage := func(keys ...string) []retention.StaleDeclaration {
		return []retention.StaleDeclaration{{ID: subject, Run: theRun, Keys: keys}}
	}
	ofSnapshot := []retention.StaleDeclaration{{ID: "snap-1", Run: theRun, Keys: []string{intent, run}}}
	for name, test := range map[string]struct {
		image    []func(*ami.Image)
		snapshot ami.Snapshot
		history  ami.History
		want     []retention.StaleDeclaration
		unmark   retention.Unmark // Of the image.
	}{
		"nothing_is_declared":                  {},
		"an_announcement_is_no_declaration":    {image: with(marked("2026-12-01")), history: notAttempted},
		"an_image_that_was_not_begun":          {image: with(declared(theRun)), history: notAttempted, want: ofImage(intent, run)},
		"an_announced_one_loses_both":          {image: with(marked("2026-12-01"), declared(theRun)), history: notAttempted, want: ofImage(intent, run)},
		"a_disabled_one_as_well":               {image: with(disabledUntil("2026-12-01"), declared(theRun)), history: notAttempted, want: ofImage(intent, run)},
		"as_the_tags_are_written":              {image: with(tagged("AMI-Janitor:Intent", "remove"), tagged(" ami-janitor:run ", theRun), tagged(intent, "remove")), history: notAttempted, want: ofImage("AMI-Janitor:Intent", intent, " ami-janitor:run ")},
		"an_image_that_stays":                  {image: with(declared(theRun), tagged("ami-janitor:keep", "")), history: notAttempted, want: ofImage(intent, run)},
		"one_whose_mark_is_cleared":            {image: with(marked("2026-12-01"), declared(theRun), launched(ago(days(100)))), history: notAttempted, want: ofImage(intent, run), unmark: "clear"},
		"one_whose_mark_is_vetoed":             {image: with(marked("2026-12-01"), declared(theRun), tagged("ami-janitor:keep", "")), history: notAttempted, unmark: "veto"},
		"one_that_another_policy_announced":    {image: with(marked("2026-12-01"), announcedBy(theRun, theirs), noRecord, declared(theRun)), history: notAttempted, want: ofImage(intent, run)},
		"a_run_alone_is_none":                  {image: with(tagged(run, theRun)), history: notAttempted, unmark: "veto"},
		"a_restored_one":                       {image: with(declared(theRun)), unmark: "veto"},
		"a_claimed_one":                        {image: with(declared(lateRun))},
		"one_copied_from_a_claimed_one":        {image: with(declared(lateRun), created(ago(days(1)))), want: []retention.StaleDeclaration{{ID: subject, Run: lateRun, Keys: []string{intent, run}}}},
		"one_copied_from_a_stranger":           {image: with(declared(theRun), created(ago(days(14)))), history: ami.History{Strangers: map[string]bool{theRun: true}}, want: ofImage(intent, run)},
		"one_copied_at_a_removal":              {image: with(declared(theRun), created(ago(days(14)))), want: ofImage(intent, run)},
		"one_copied_long_ago":                  {image: with(declared(earlierRun), created(ago(days(300)))), want: []retention.StaleDeclaration{{ID: subject, Run: earlierRun, Keys: []string{intent, run}}}},
		"one_copied_with_half_of_it":           {image: with(tagged(run, theRun), created(ago(days(14)))), want: ofImage(run)},
		"one_copied_that_cannot_be_read":       {image: with(tagged(run, theRun), tagged(intent, "x"), created(ago(days(14))))},
		"one_copied_of_another_account":        {image: with(declared(theRun), created(ago(days(14))), func(i *ami.Image) { i.OwnerID = "999999999999" })},
		"one_copied_that_was_removed_itself":   {image: with(declared(theRun), created(ago(days(14)))), history: ami.History{Removed: map[string]string{subject: lateRun}}, unmark: "veto"},
		"one_that_was_announced_itself":        {image: with(marked("2026-12-01"), declared("20250501T020000Z-3f9c1a")), want: []retention.StaleDeclaration{{ID: subject, Run: "20250501T020000Z-3f9c1a", Keys: []string{intent, run}}}},
		"one_that_cannot_be_read":              {image: with(declared(theRun), tagged(intent, "x")), history: notAttempted},
		"one_of_another_account":               {image: with(declared(theRun), func(i *ami.Image) { i.OwnerID = "999999999999" }), history: notAttempted},
		"a_snapshot_of_a_run_long_over":        {snapshot: declaredSnapshot("snap-1", theRun), want: ofSnapshot},
		"a_snapshot_that_was_not_begun":        {snapshot: declaredSnapshot("snap-1", theRun), history: notAttempted, want: ofSnapshot},
		"the_same_of_today":                    {snapshot: declaredSnapshot("snap-1", lateRun), history: ami.History{NotAttempted: map[string][]string{"snap-1": {lateRun}}}, want: []retention.StaleDeclaration{{ID: "snap-1", Run: lateRun, Keys: []string{intent, run}}}},
		"a_claimed_snapshot":                   {snapshot: declaredSnapshot("snap-1", lateRun)},
		"a_snapshot_of_a_run_at_work":          {snapshot: declaredSnapshot("snap-1", theRun), history: ami.History{Busy: theRun, NotAttempted: map[string][]string{"snap-1": {theRun}}}},
		"a_leftover":                           {snapshot: declaredSnapshot("snap-1", theRun), history: ami.History{Leftovers: []ami.Leftover{{Run: theRun, ImageID: "ami-9", SnapshotID: "snap-1"}}}},
		"a_leftover_of_another_run":            {snapshot: declaredSnapshot("snap-1", theRun), history: ami.History{Leftovers: []ami.Leftover{{Run: earlierRun, ImageID: "ami-9", SnapshotID: "snap-1"}, {Run: theRun, ImageID: "ami-9", SnapshotID: "snap-2"}}}, want: ofSnapshot},
		"a_snapshot_with_the_tags_of_a_mark":   {snapshot: snapshotWith("snap-1", intent, "remove", run, theRun, ami.DueTag, "2026-12-01"), want: ofSnapshot},
		"a_snapshot_of_no_run":                 {snapshot: snapshotWith("snap-1", intent, "remove"), want: []retention.StaleDeclaration{{ID: "snap-1", Keys: []string{intent}}}},
		"a_snapshot_that_carries_another_word": {snapshot: snapshotWith("snap-1", intent, "archive", run, theRun)},
		"a_snapshot_of_a_restored_image":       {image: with(declared(theRun)), snapshot: declaredSnapshot("snap-1", theRun), want: ofSnapshot, unmark: "veto"},
		"by_id":                                {image: with(declared(theRun)), snapshot: declaredSnapshot("snap-1", theRun), history: notAttempted, want: append(ofImage(intent, run), ofSnapshot...)},
		"what_has_no_id_cannot_be_untagged":    {snapshot: declaredSnapshot("", theRun), want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(grace(14, retention.Announce))
			here := inventory(region, idle(subject, append(with(mapping("snap-1")), test.image...)...))
			here = past(here, test.history)
			here.Snapshots = []ami.Snapshot{test.snapshot}
			plan := p.Open([]ami.Inventory{here}, now).Plan(unused(here))[0]
			if diff := gocmp.Diff(test.want, plan.Stale); diff != "" {
				t.Errorf("stale (-want +got):\n%s", diff)
			}
			if v := plan.Verdicts[0]; v.Unmark != test.unmark {
				t.Errorf("unmark %q because of %v, want %q", v.Unmark, v.Reasons, test.unmark)
			}
		})
	}
}
