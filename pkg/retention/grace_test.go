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

func grace(days int, action retention.GraceAction) func(*retention.Policy) {
	return func(p *retention.Policy) { p.Grace, p.GraceAction = limit(days), action }
}

// The runs that have announced removals: the usual one, and one before it; and one that began two
// hours ago.
const (
	theRun     = "20261109T020000Z-3f9c1a"
	earlierRun = "20260101T020000Z-3f9c1a"
	lateRun    = "20261123T000000Z-3f9c1a"
)

// marked carries the announcement of a removal, which the journal confirms.
func marked(due string) func(*ami.Image) {
	return func(i *ami.Image) {
		i.Tags[ami.DueTag] = due
		announcedBy(theRun, ours)(i)
		record(theRun, ours, due, retention.Announce)(i)
	}
}

// disabledUntil carries the announcement of a removal by which it was disabled.
func disabledUntil(due string) func(*ami.Image) {
	return func(i *ami.Image) {
		marked(due)(i)
		i.State, i.Tags[ami.DisabledTag] = "disabled", theRun
		record(theRun, ours, due, retention.Disable)(i)
	}
}

func announcedBy(run, policy string) func(*ami.Image) {
	return tagged(ami.AnnouncedByTag, retention.AnnouncedBy(run, policy))
}

func state(state string) func(*ami.Image) { return func(i *ami.Image) { i.State = state } }

func untagged(keys ...string) func(*ami.Image) {
	return func(i *ami.Image) {
		for _, key := range keys {
			delete(i.Tags, key)
		}
	}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// announcedLate was announced for a day later, five minutes before midnight.
func announcedLate(i *ami.Image) {
	marked("2026-11-24")(i)
	record(theRun, ours, "2026-11-24T23:55:00Z", retention.Announce)(i)
}

// judgeAlone plans for one image at a moment, with a finding about it.
func judgeAlone(p retention.Policy, image ami.Image, finding ami.Finding, at time.Time) retention.Verdict {
	return p.Open([]ami.Inventory{inventory(region, image)}, at).Plan(map[string]ami.Evidence{region: {Images: findings{image.ID: finding}}})[0].Verdicts[0]
}

// What happens to an image that no rule keeps.
func TestAnnouncements(t *testing.T) {
	const none = "-"
	for name, test := range map[string]struct {
		policy func(*retention.Policy)
		image  []func(*ami.Image)
		at     string // "2026-11-23T02:00:00Z" if empty.
		shared []ami.Grantee

		decision retention.Decision
		due      string // A day or a moment; "-" is none.
		action   retention.GraceAction
		says     string
	}{
		"without_grace_it_goes_at_once":               {grace(0, retention.Disable), nil, "", nil, "deregister", none, "", "the limit is 180 days"},
		"below_zero_is_no_grace":                      {grace(-5, retention.Disable), nil, "", nil, "deregister", none, "", ""},
		"with_grace_it_is_announced":                  {grace(14, retention.Announce), nil, "", nil, "mark", "2026-12-07T02:00:00Z", retention.Announce, "the limit is 180 days"},
		"one_day_of_grace_is_tomorrow":                {grace(1, retention.Announce), nil, "", nil, "mark", "2026-11-24T02:00:00Z", retention.Announce, ""},
		"it_is_announced_for_a_moment_of_utc":         {grace(14, retention.Announce), nil, "2026-11-23T23:30:00-05:00", nil, "mark", "2026-12-08T04:30:00Z", retention.Announce, ""},
		"and_east_of_it":                              {grace(14, retention.Announce), nil, "2026-11-24T00:30:00+10:00", nil, "mark", "2026-12-07T14:30:00Z", retention.Announce, ""},
		"the_last_second_of_a_day_is_one_of_the_last": {grace(14, retention.Announce), nil, "2026-11-23T23:59:59Z", nil, "mark", "2026-12-07T23:59:59Z", retention.Announce, ""},
		"midnight_is_the_next_day":                    {grace(14, retention.Announce), nil, "2026-11-24T00:00:00Z", nil, "mark", "2026-12-08", retention.Announce, ""},
		"it_is_deprecated_as_well":                    {grace(14, retention.Deprecate), nil, "", nil, "mark", "2026-12-07T02:00:00Z", retention.Deprecate, ""},
		"not_if_its_owner_has_deprecated_it": {
			grace(14, retention.Deprecate), with(deprecated("2026-08-01")), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Announce, "",
		},
		"nor_if_its_owner_has_since_the_last_announcement": {
			grace(14, retention.Deprecate), with(marked("2026-08-01"), record(theRun, ours, "2026-08-01", retention.Announce), deprecated("2026-08-01")), "", nil,
			"mark", "2026-12-07T02:00:00Z", retention.Announce, "",
		},
		"but_if_an_older_announcement_has": {
			grace(14, retention.Deprecate), with(marked("2026-08-01"), record(theRun, ours, "2026-08-01", retention.Deprecate), deprecated("2026-08-01")), "", nil,
			"mark", "2026-12-07T02:00:00Z", retention.Deprecate, "",
		},
		"it_is_disabled_as_well": {grace(14, retention.Disable), nil, "", nil, "mark", "2026-12-07T02:00:00Z", retention.Disable, ""},
		"a_shared_image_is_only_announced": {
			func(p *retention.Policy) { grace(14, retention.Disable)(p); p.JudgeShared = true }, nil, "",
			[]ami.Grantee{{Account: "999999999999"}},
			"mark", "2026-12-07T02:00:00Z", retention.Announce, "",
		},
		"a_public_image_is_only_announced": {
			func(p *retention.Policy) { grace(14, retention.Disable)(p); p.JudgeShared = true },
			with(func(i *ami.Image) { i.Public = true }), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Announce, "",
		},
		"a_shared_image_is_deprecated_like_any": {
			func(p *retention.Policy) { grace(14, retention.Deprecate)(p); p.JudgeShared = true }, nil, "",
			[]ami.Grantee{{Account: "999999999999"}},
			"mark", "2026-12-07T02:00:00Z", retention.Deprecate, "",
		},

		"one_second_before_its_day_it_stays":      {grace(14, retention.Announce), with(marked("2026-11-24")), "2026-11-23T23:59:59Z", nil, "keep", "2026-11-24", retention.Announce, "due on 2026-11-24; last launched"},
		"on_its_day_it_goes":                      {grace(14, retention.Announce), with(marked("2026-11-24")), "2026-11-24T00:00:00Z", nil, "deregister", "2026-11-24", "", "its removal was announced for 2026-11-24"},
		"the_day_is_one_of_utc":                   {grace(14, retention.Announce), with(marked("2026-11-24")), "2026-11-24T01:00:00+02:00", nil, "keep", "2026-11-24", retention.Announce, ""},
		"and_has_come_though_not_yet_in_the_west": {grace(14, retention.Announce), with(marked("2026-11-24")), "2026-11-23T20:00:00-04:00", nil, "deregister", "2026-11-24", "", ""},
		"a_moment_is_a_day_too":                   {grace(14, retention.Announce), with(marked("2026-11-23T02:00:00Z")), "", nil, "deregister", "2026-11-23T02:00:00Z", "", ""},
		"a_moment_that_has_not_come_keeps":        {grace(14, retention.Announce), with(marked("2026-11-23T02:00:01Z")), "", nil, "keep", "2026-11-23T02:00:01Z", retention.Announce, "due on 2026-11-23"},
		"what_is_announced_stays_without_grace":   {grace(0, ""), with(marked("2026-12-01")), "", nil, "keep", "2026-12-01", retention.Announce, "due on 2026-12-01"},
		"what_was_announced_goes_without_grace":   {grace(0, ""), with(marked("2026-11-01")), "", nil, "deregister", "2026-11-01", "", "announced for 2026-11-01"},
		"a_longer_grace_moves_no_day":             {grace(90, retention.Announce), with(marked("2026-11-23")), "", nil, "deregister", "2026-11-23", "", ""},
		"a_day_a_person_has_put_off_is_honoured":  {grace(14, retention.Announce), with(marked("2030-01-01")), "", nil, "keep", "2030-01-01", retention.Announce, ""},
		"a_day_beyond_all_time_is_honoured":       {grace(14, retention.Announce), with(marked("9999-12-31")), "", nil, "keep", "9999-12-31", retention.Announce, ""},
		"the_latest_of_two_days_counts":           {grace(14, retention.Announce), with(marked("2026-11-01"), tagged("AMI-Janitor:Due", "2026-12-01")), "", nil, "keep", "2026-12-01", retention.Announce, ""},
		"in_whatever_order":                       {grace(14, retention.Announce), with(marked("2026-12-01"), tagged("AMI-Janitor:Due", "2026-11-01")), "", nil, "keep", "2026-12-01", retention.Announce, ""},

		"the_day_before_it_is_too_old_it_goes":   {grace(14, retention.Announce), with(marked("2026-08-25")), "2026-11-22T23:59:59Z", nil, "deregister", "2026-08-25", "", ""},
		"from_the_90th_day_it_is_announced_anew": {grace(14, retention.Announce), with(marked("2026-08-25")), "2026-11-23T00:00:00Z", nil, "mark", "2026-12-07", retention.Announce, "the limit is"},
		"a_day_long_past_is_announced_anew":      {grace(14, retention.Announce), with(marked("2020-01-01")), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Announce, ""},
		"the_first_day_of_all_is_announced_anew": {grace(14, retention.Announce), with(marked("2020-01-01"), tagged(ami.DueTag, "0001-01-01")), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Announce, ""},
		"long_past_and_without_grace_it_goes":    {grace(0, ""), with(marked("2020-01-01")), "", nil, "deregister", none, "", ""},

		"disabled_by_the_janitor_it_waits_too": {grace(14, retention.Disable), with(disabledUntil("2026-11-24")), "", nil, "keep", "2026-11-24", retention.Disable, "due on 2026-11-24"},
		"disabled_by_the_janitor_it_goes_too":  {grace(14, retention.Disable), with(disabledUntil("2026-11-23")), "", nil, "deregister", "2026-11-23", "", "announced for 2026-11-23"},
		"disabled_in_another_spelling_it_goes_too": {
			grace(14, retention.Disable), with(disabledUntil("2026-11-23"), untagged(ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag),
				tagged("AMI-Janitor:Due", "2026-11-23"), tagged(" ami-janitor:Announced-By", " "+theRun+"  "+ours+" "), tagged("AMI-JANITOR:DISABLED", " "+theRun+" ")),
			"", nil, "deregister", "2026-11-23", "", "",
		},
		"disabled_and_announced_anew_it_stays_so": {grace(14, retention.Announce), with(disabledUntil("2020-01-01")), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Disable, ""},
		"whatever_is_done_to_others_now":          {grace(14, retention.Deprecate), with(disabledUntil("2020-01-01")), "", nil, "mark", "2026-12-07T02:00:00Z", retention.Disable, ""},

		"deprecated_for_it_it_says_so": {
			grace(14, retention.Deprecate), with(marked("2026-12-01"), record(theRun, ours, "2026-12-01", retention.Deprecate), deprecated("2026-12-01")), "", nil,
			"keep", "2026-12-01", retention.Deprecate, "",
		},
		"put_off_it_says_so_as_well": {
			grace(14, retention.Deprecate), with(marked("2026-12-01"), tagged(ami.DueTag, "2026-12-20"), record(theRun, ours, "2026-12-01", retention.Deprecate), deprecated("2026-12-01")), "", nil,
			"keep", "2026-12-20", retention.Deprecate, "",
		},
		"deprecated_by_its_owner_for_the_same_day_it_does_not": {
			grace(14, retention.Deprecate), with(marked("2026-12-01"), deprecated("2026-12-01")), "", nil, "keep", "2026-12-01", retention.Announce, "",
		},
		"nor_if_its_owner_has_set_another_day_since": {
			grace(14, retention.Deprecate), with(marked("2026-12-01"), record(theRun, ours, "2026-12-01", retention.Deprecate), deprecated("2027-12-01")), "", nil,
			"keep", "2026-12-01", retention.Announce, "",
		},

		"the_day_after_it_was_announced_late_it_stays": {grace(1, retention.Announce), with(announcedLate), "2026-11-24T00:05:00Z", nil, "keep", "2026-11-24T23:55:00Z", retention.Announce, "due on 2026-11-24"},
		"a_second_before_the_grace_is_over_it_stays":   {grace(1, retention.Announce), with(announcedLate), "2026-11-24T23:54:59Z", nil, "keep", "2026-11-24T23:55:00Z", retention.Announce, "due on 2026-11-24"},
		"when_the_grace_is_over_it_goes":               {grace(1, retention.Announce), with(announcedLate), "2026-11-24T23:55:00Z", nil, "deregister", "2026-11-24T23:55:00Z", "", "announced for 2026-11-24"},
		"a_day_moved_forward_by_hand_does_not_count":   {grace(14, retention.Announce), with(marked("2026-12-01"), tagged(ami.DueTag, "2026-11-10")), "", nil, "keep", "2026-12-01", retention.Announce, "due on 2026-12-01"},
		"nor_one_moved_into_the_distant_past":          {grace(14, retention.Announce), with(marked("2026-12-01"), tagged(ami.DueTag, "2020-01-01")), "", nil, "keep", "2026-12-01", retention.Announce, ""},
		"nor_for_an_image_that_is_disabled":            {grace(14, retention.Disable), with(disabledUntil("2026-12-01"), tagged(ami.DueTag, "2026-11-10")), "", nil, "keep", "2026-12-01", retention.Disable, ""},
		"nor_without_a_grace_period":                   {grace(0, ""), with(marked("2026-12-01"), tagged(ami.DueTag, "2026-11-10")), "", nil, "keep", "2026-12-01", retention.Announce, ""},
		"a_day_moved_back_by_hand_counts":              {grace(14, retention.Announce), with(marked("2026-11-20"), tagged(ami.DueTag, "2026-11-24")), "", nil, "keep", "2026-11-24", retention.Announce, "due on 2026-11-24"},
		"until_it_has_come":                            {grace(14, retention.Announce), with(marked("2026-11-20"), tagged(ami.DueTag, "2026-11-24")), "2026-11-24T00:00:00Z", nil, "deregister", "2026-11-24", "", "announced for 2026-11-24"},
		"a_day_put_off_is_too_old_later":               {grace(14, retention.Announce), with(marked("2026-08-01"), tagged(ami.DueTag, "2026-08-26")), "", nil, "deregister", "2026-08-26", "", ""},
		"a_disabled_tag_by_another_name_is_whole":      {grace(14, retention.Disable), with(disabledUntil("2026-11-23"), tagged(ami.DisabledTag, "by hand")), "", nil, "deregister", "2026-11-23", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			moment := now
			if test.at != "" {
				moment = at(t, test.at)
			}
			finding := ami.Finding{Use: ami.Unused, SharedWith: test.shared, Report: report()}
			v := judgeAlone(policy(test.policy), idle(subject, test.image...), finding, moment)

			due := none
			if !v.Due.IsZero() {
				if due = v.Due.UTC().Format(time.RFC3339); strings.HasSuffix(due, "T00:00:00Z") {
					due = v.Due.UTC().Format(time.DateOnly)
				}
			}
			if v.Decision != test.decision || due != test.due || v.Action != test.action || v.Unmark != "" {
				t.Errorf("%s, due %s, action %q, unmark %q because of %v; want %s, due %s, action %q",
					v.Decision, due, v.Action, v.Unmark, v.Reasons, test.decision, test.due, test.action)
			}
			// Its day is written into the tag.
			if v.Decision == retention.Mark && v.Due.Location() != time.UTC {
				t.Errorf("due %s, in a zone other than UTC", v.Due)
			}
			want := retention.Code("stale")
			if v.Decision == retention.Keep {
				want = "announced"
			}
			if !slices.Equal(codes(v), []retention.Code{want}) || !strings.Contains(details(v), test.says) {
				t.Errorf("reasons %v, want %s: %q", v.Reasons, want, test.says)
			}
		})
	}
}

// What happens to the announcement of an image that a rule keeps.
func TestUnmark(t *testing.T) {
	disabling := func(p *retention.Policy) { p.GraceAction = retention.Disable }
	// They are announced at 2026-11-09T02:00:00Z.
	recent, aDayBefore := at(t, "2026-11-20T00:00:00Z"), at(t, "2026-11-08T02:00:00Z")
	for name, test := range map[string]struct {
		image   []func(*ami.Image)
		policy  func(*retention.Policy)
		finding ami.Finding // Unused if it says nothing.
		want    retention.Unmark
		kept    retention.Code // The first of the reasons.
	}{
		"a_launch_a_day_before_clears":  {with(launched(aDayBefore)), nil, ami.Finding{}, "clear", "recently-used"},
		"a_longer_limit_clears":         {nil, func(p *retention.Policy) { p.StaleAfter = limit(1000) }, ami.Finding{}, "clear", "recently-used"},
		"the_newest_of_a_family_clears": {with(named("web-1")), nil, ami.Finding{}, "clear", "newest-of-family"},
		"out_of_scope_clears":           {nil, func(p *retention.Policy) { p.Names = names(t, "web") }, ami.Finding{}, "clear", "out-of-scope"},
		"a_manager_clears":              {with(tagged("dlm:managed", "")), nil, ami.Finding{}, "clear", "managed"},
		"a_copy_of_what_is_used_clears": {with(copyOf("ami-2")), nil, ami.Finding{}, "clear", "copy-of-used"},

		"disabled_by_somebody_else_clears":      {with(state("disabled")), nil, ami.Finding{}, "clear", "not-available"},
		"a_failed_image_clears":                 {with(state("failed")), nil, ami.Finding{}, "clear", "not-available"},
		"a_copy_of_what_is_used_with_a_gap":     {with(copyOf("ami-3")), nil, ami.Finding{}, "clear", "copy-of-used"},
		"a_copy_of_what_may_be_used_leaves_it":  {with(copyOf("ami-4")), nil, ami.Finding{}, "", "unknown-use"},
		"a_copy_of_what_nobody_looked_up_too":   {with(copyOf("ami-5")), nil, ami.Finding{}, "", "unknown-use"},
		"a_launch_in_the_future_leaves_it":      {with(launched(now.Add(days(3)))), nil, ami.Finding{}, "", "future-dated"},
		"a_restore_in_the_future_leaves_it":     {with(tagged(ami.RestoredTag, "2026-11-24")), nil, ami.Finding{}, "", "future-dated"},
		"a_launch_since_goes_before_the_future": {with(launched(recent), tagged(ami.RestoredTag, "2026-11-24")), nil, ami.Finding{}, "veto", "future-dated"},

		"a_day_without_a_run_is_an_objection":   {with(untagged(ami.AnnouncedByTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"so_is_one_that_has_come":               {with(untagged(ami.AnnouncedByTag), tagged(ami.DueTag, "2026-11-01")), nil, ami.Finding{}, "veto", "vetoed"},
		"and_one_of_long_ago":                   {with(untagged(ami.AnnouncedByTag), tagged(ami.DueTag, "2020-01-01")), nil, ami.Finding{}, "veto", "vetoed"},
		"a_run_without_a_date_is_an_objection":  {with(tagged(ami.AnnouncedByTag, "by hand")), nil, ami.Finding{}, "veto", "vetoed"},
		"a_run_without_an_id_is_an_objection":   {with(tagged(ami.AnnouncedByTag, "")), nil, ami.Finding{}, "veto", "vetoed"},
		"a_run_with_a_day_alone_is_one":         {with(tagged(ami.AnnouncedByTag, "2026-11-09")), nil, ami.Finding{}, "veto", "vetoed"},
		"a_run_that_does_not_begin_with_it":     {with(tagged(ami.AnnouncedByTag, "x-"+theRun)), nil, ami.Finding{}, "veto", "vetoed"},
		"disabled_without_a_run_is_a_claim":     {with(disabledUntil("2026-12-01"), untagged(ami.AnnouncedByTag), tagged(ami.DisabledTag, "by hand")), nil, ami.Finding{}, "", "unrecorded"},
		"disabled_without_an_announcer_is_one":  {with(disabledUntil("2026-12-01"), untagged(ami.AnnouncedByTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"disabled_by_a_policy_that_is_none":     {with(disabledUntil("2026-12-01"), tagged(ami.AnnouncedByTag, theRun)), nil, ami.Finding{}, "veto", "vetoed"},
		"an_announcer_changed_to_another":       {with(announcedBy(theRun, theirs)), nil, ami.Finding{}, "veto", "vetoed"},
		"disabled_tag_off_is_an_objection":      {with(disabledUntil("2026-12-01"), untagged(ami.DisabledTag)), nil, ami.Finding{}, "veto", "not-available"},
		"enabled_and_tidied_up_is_one":          {with(disabledUntil("2026-12-01"), state("available"), untagged(ami.DisabledTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"a_disabled_tag_on_top_is_one":          {with(tagged(ami.DisabledTag, theRun)), nil, ami.Finding{}, "veto", "vetoed"},
		"a_launch_beside_a_run_without_a_date":  {with(launched(recent), tagged(ami.AnnouncedByTag, "x")), nil, ami.Finding{}, "veto", "vetoed"},
		"a_launch_after_an_earlier_run_is":      {with(announcedBy(earlierRun, ours), record(earlierRun, ours, "2026-12-01", retention.Announce), launched(ago(days(200)))), nil, ami.Finding{}, "veto", "vetoed"},
		"the_run_that_disabled_it_is_no_matter": {with(disabledUntil("2026-12-01"), tagged(ami.DisabledTag, earlierRun), launched(ago(days(200)))), nil, ami.Finding{}, "", "announced"},
		"an_unreadable_tag_beside_no_run":       {with(untagged(ami.AnnouncedByTag), tagged("ami-janitor:keeep", "")), nil, ami.Finding{}, "", "unreadable-tag"},
		"an_unreadable_day_without_a_run":       {with(untagged(ami.AnnouncedByTag), tagged(ami.DueTag, "soon")), nil, ami.Finding{}, "", "unreadable-tag"},
		"an_unreadable_tag_beside_no_day":       {with(untagged(ami.DueTag), tagged(ami.RestoredTag, "soon")), nil, ami.Finding{}, "", "unreadable-tag"},
		"a_keep_tag_is_an_objection":            {with(tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"a_configured_tag_is_an_objection":      {with(tagged("pinned", "")), func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") }, ami.Finding{}, "veto", "keep-tag"},
		"an_entry_of_the_list_is_an_objection":  {nil, func(p *retention.Policy) { p.KeepList = keepList(t, "golden") }, ami.Finding{}, "veto", "keep-list"},
		"protection_is_an_objection":            {protection("enabled-without-cooldown"), nil, ami.Finding{}, "veto", "protected"},
		"publication_is_an_objection":           {with(func(i *ami.Image) { i.Public = true }), nil, ami.Finding{}, "veto", "public"},
		"a_share_is_an_objection":               {nil, nil, ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}}, "veto", "shared"},
		"a_use_is_an_objection":                 {nil, nil, ami.Finding{Use: ami.Used}, "veto", "in-use"},
		"a_use_with_a_gap_is_an_objection":      {nil, nil, ami.Finding{Use: ami.Used, Gaps: []ami.Gap{aGap}}, "veto", "in-use"},
		"no_day_is_an_objection":                {with(untagged(ami.DueTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"disabled_without_a_day_is_one":         {with(disabledUntil("2026-12-01"), untagged(ami.DueTag, ami.AnnouncedByTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"enabled_is_an_objection":               {with(disabledUntil("2026-12-01"), state("available")), nil, ami.Finding{}, "veto", "vetoed"},
		"enabled_and_without_a_day_is_one":      {with(disabledUntil("2026-12-01"), state("available"), untagged(ami.DueTag)), nil, ami.Finding{}, "veto", "vetoed"},
		"a_launch_since_is_an_objection":        {with(launched(recent)), nil, ami.Finding{}, "veto", "vetoed"},
		"a_launch_reported_late_is_one":         {with(launched(aDayBefore.Add(1))), nil, ami.Finding{}, "veto", "vetoed"},
		"a_restore_since_is_an_objection":       {with(tagged(ami.RestoredTag, "2026-11-20")), nil, ami.Finding{}, "veto", "vetoed"},
		"made_since_it_is_not_announced":        {with(created(recent)), nil, ami.Finding{}, "veto", "vetoed"},
		"what_inherits_a_mark_is_not_announced": {with(created(recent), noRecord), nil, ami.Finding{}, "clear", "recently-used"},
		"a_launch_while_disabled_is_one":        {with(disabledUntil("2026-12-01"), launched(recent)), nil, ami.Finding{}, "veto", "vetoed"},
		"an_objection_goes_before_a_launch":     {with(launched(aDayBefore), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"and_before_a_doubt":                    {with(tagged(ami.RestoredTag, "soon"), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"a_launch_goes_before_a_doubt":          {with(launched(aDayBefore), func(i *ami.Image) { i.Unreadable = []string{"x"} }), nil, ami.Finding{}, "clear", "unreadable"},
		"an_objection_late_on_is_one":           {with(marked("2020-01-01"), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"an_objection_in_another_spelling":      {with(untagged(ami.DueTag, ami.AnnouncedByTag), tagged("AMI-Janitor:Due", "2026-12-01"), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"an_objection_to_a_day_without_a_run":   {with(untagged(ami.AnnouncedByTag), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"a_keep_tag_without_a_mark_is_no_more":  {with(untagged(ami.DueTag, ami.AnnouncedByTag), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "", "keep-tag"},
		"a_restored_tag_is_no_mark":             {with(untagged(ami.DueTag, ami.AnnouncedByTag), tagged(ami.RestoredTag, "2026-11-20")), nil, ami.Finding{}, "", "recently-used"},
		"a_share_that_is_judged_leaves_it":      {nil, func(p *retention.Policy) { p.JudgeShared = true }, ami.Finding{Use: ami.Unused, SharedWith: []ami.Grantee{{Everybody: true}}}, "", "usage-report-pending"},
		"a_publication_that_is_judged_too":      {with(func(i *ami.Image) { i.Public = true }), func(p *retention.Policy) { p.JudgeShared = true }, ami.Finding{}, "", "usage-report-pending"},
		"an_unreadable_fact_leaves_it":          {with(func(i *ami.Image) { i.Unreadable = []string{"x"} }), nil, ami.Finding{}, "", "unreadable"},
		"an_unreadable_tag_leaves_it":           {with(tagged(ami.DueTag, "soon")), nil, ami.Finding{}, "", "unreadable-tag"},
		"an_unclear_snapshot_leaves_it":         {with(mapping("snap-unclear")), nil, ami.Finding{}, "", "snapshot-unclear"},
		"a_locked_snapshot_clears":              {with(mapping("snap-locked")), nil, ami.Finding{}, "clear", "snapshot-locked"},
		"an_unknown_use_leaves_it":              {nil, nil, ami.Finding{Gaps: []ami.Gap{aGap}}, "", "unknown-use"},
		"missing_launches_leave_it":             {with(created(ago(days(400)))), nil, ami.Finding{Use: ami.Unused, LaunchedAt: ago(days(3))}, "", "launch-data-missing"},
		"another_accounts_is_never_touched":     {with(func(i *ami.Image) { i.OwnerID = "999999999999" }), nil, ami.Finding{}, "", "not-owned"},
		"nor_with_a_keep_tag":                   {with(func(i *ami.Image) { i.OwnerID = "999999999999" }, tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "", "not-owned"},
		"nor_one_of_an_unknown_owner":           {with(func(i *ami.Image) { i.OwnerID = "" }, protection("enabled")[0]), nil, ami.Finding{}, "", "not-owned"},
		"a_mark_without_a_day_in_another_state": {with(state("pending"), untagged(ami.DueTag)), nil, ami.Finding{}, "veto", "not-available"},

		"enabled_is_one_on_a_claimed_image_too":  {with(disabledUntil("2026-12-01"), state("available"), untagged(ami.DisabledTag), declared(lateRun)), disabling, ami.Finding{}, "veto", "claimed"},
		"announced_it_was_never_disabled":        {with(declared(lateRun)), disabling, ami.Finding{}, "", "claimed"},
		"disabled_it_is_none":                    {with(disabledUntil("2026-12-01"), tagged(ami.IntentTag, "remove"), tagged(ami.RunTag, lateRun)), disabling, ami.Finding{}, "", "claimed"},
		"public_it_was_never_disabled":           {with(tagged(ami.IntentTag, "remove"), tagged(ami.RunTag, lateRun), func(i *ami.Image) { i.Public = true }), func(p *retention.Policy) { disabling(p); p.JudgeShared = true }, ami.Finding{}, "", "claimed"},
		"announced_anew_it_is_as_before":         {nil, disabling, ami.Finding{}, "", "announced"},
		"a_restored_image_loses_its_mark":        {with(declared(theRun)), nil, ami.Finding{}, "veto", "restored"},
		"one_without_a_mark_is_noted_too":        {with(untagged(ami.DueTag, ami.AnnouncedByTag), declared(theRun)), nil, ami.Finding{}, "veto", "restored"},
		"one_that_is_used_as_well":               {with(declared(theRun), launched(aDayBefore)), nil, ami.Finding{}, "veto", "restored"},
		"one_of_another_account_is_not_touched":  {with(tagged(ami.IntentTag, "remove"), func(i *ami.Image) { i.OwnerID = "999999999999" }), nil, ami.Finding{}, "", "not-owned"},
		"a_claimed_image_keeps_its_mark":         {with(tagged(ami.IntentTag, "remove"), tagged(ami.RunTag, lateRun)), nil, ami.Finding{}, "", "claimed"},
		"an_objection_to_a_claimed_image_counts": {with(tagged(ami.IntentTag, "remove"), tagged(ami.RunTag, lateRun), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "veto", "keep-tag"},
		"a_claimed_image_that_was_not_announced": {with(untagged(ami.DueTag, ami.AnnouncedByTag), declared(lateRun), tagged("ami-janitor:keep", "")), nil, ami.Finding{}, "", "keep-tag"},
		"an_intent_that_cannot_be_read":          {with(tagged(ami.IntentTag, "keep"), tagged(ami.RunTag, lateRun)), nil, ami.Finding{}, "", "unreadable-tag"},
		"a_part_of_a_declaration_is_noted":       {with(tagged(ami.RunTag, theRun)), nil, ami.Finding{}, "veto", "restored"},
		"so_is_one_of_a_run_that_is_none":        {with(tagged(ami.RunTag, "")), nil, ami.Finding{}, "veto", "restored"},
		"and_an_announcement_of_old":             {with(untagged(ami.AnnouncedByTag), noRecord, tagged(ami.RunTag, theRun)), nil, ami.Finding{}, "veto", "restored"},
		"what_is_not_restorable_is_cleared":      {nil, func(p *retention.Policy) { p.RequireRecycleBin = true }, ami.Finding{}, "clear", "not-restorable"},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(grace(14, retention.Announce))
			if test.policy != nil {
				test.policy(&p)
			}
			image := idle(subject, append(with(marked("2026-12-01")), test.image...)...)
			here := inventory(region, image)
			here.Snapshots = []ami.Snapshot{{ID: "snap-unclear", Unreadable: "x"}, {ID: "snap-locked", Lock: "compliance"}}
			if test.finding.Use == ami.Unknown && test.finding.Gaps == nil {
				test.finding.Use = ami.Unused
			}
			evidence := map[string]ami.Evidence{region: {Images: findings{
				subject: test.finding, "ami-2": {Use: ami.Used}, "ami-3": {Use: ami.Used, Gaps: []ami.Gap{aGap}}, "ami-4": {Use: ami.Unused, Gaps: []ami.Gap{aGap}},
			}}}
			v := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0].Verdicts[0]
			if v.Decision != retention.Keep || v.Unmark != test.want || codes(v)[0] != test.kept {
				t.Errorf("%s, unmark %q because of %v; want keep, unmark %q because of %s", v.Decision, v.Unmark, v.Reasons, test.want, test.kept)
			}
		})
	}
}

// In whatever order a resource's tags come, two announcements mean the same: the earliest that
// names a run counts.
func TestTwoAnnouncements(t *testing.T) {
	for name, test := range map[string]struct {
		one, other string // The values of the tag, in two spellings.
		record     string // The run.
		launched   time.Time
		want       retention.Code
	}{
		"both_before_the_launch":         {earlierRun + " team-a", theRun + " team-a", earlierRun, ago(days(200)), "vetoed"},
		"both_before_it_the_other_way":   {theRun + " team-a", earlierRun + " team-a", earlierRun, ago(days(200)), "vetoed"},
		"both_after_the_launch":          {earlierRun + " team-a", theRun + " team-a", earlierRun, ago(days(400)), "stale"},
		"the_later_one_is_recorded":      {earlierRun + " team-a", theRun + " team-a", theRun, ago(days(400)), "unrecorded"},
		"the_first_names_no_run":         {"by hand", theRun + " team-a", theRun, ago(days(200)), "stale"},
		"the_second_names_no_run":        {theRun + " team-a", "by hand", theRun, ago(days(200)), "stale"},
		"the_first_names_none_and_a_use": {"by hand", theRun + " team-a", theRun, ago(days(14)), "vetoed"},
		"the_second_is_empty_and_a_use":  {theRun + " team-a", "", theRun, ago(days(14)), "vetoed"},
		"neither_names_a_run":            {"by hand", "x", theRun, ago(days(200)), "vetoed"},
		"of_two_policies_the_first":      {theRun + " team-a", theRun + " team-b", theRun, ago(days(200)), "stale"},
		"whatever_the_order":             {theRun + " team-b", theRun + " team-a", theRun, ago(days(200)), "stale"},
		"an_earlier_one_of_another":      {theRun + " team-a", earlierRun + " team-b", theRun, ago(days(400)), "announced-elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			image := idle(subject, disabledUntil("2026-11-23"), tagged(ami.AnnouncedByTag, test.one), tagged("AMI-Janitor:Announced-By", test.other),
				record(test.record, ours, "2026-11-23", retention.Disable), launched(test.launched))
			// Another policy's disabled tag says no more than that.
			if test.want == "announced-elsewhere" {
				image = idle(subject, marked("2026-11-23"), tagged(ami.AnnouncedByTag, test.one), tagged("AMI-Janitor:Announced-By", test.other), launched(test.launched))
			}
			wrong := 0
			const tries = 200
			var v retention.Verdict
			for range tries {
				if got := judgeAlone(policy(), image, ami.Finding{Use: ami.Unused}, now); codes(got)[0] != test.want {
					wrong, v = wrong+1, got
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d times %s because of %v, want %s", wrong, tries, v.Decision, v.Reasons, test.want)
			}
		})
	}
}

// What each part of an announcement means without the others is said.
func TestVetoesSayWhy(t *testing.T) {
	const noDue, noAnnouncer = "somebody took the tag ami-janitor:due off", "somebody took the tag ami-janitor:announced-by off, or changed it"
	for name, test := range map[string]struct {
		image []func(*ami.Image)
		says  string
	}{
		"no_day":                      {with(tagged(ami.AnnouncedByTag, "x")), noDue},
		"no_day_of_a_known_run":       {with(marked("2026-12-01"), untagged(ami.DueTag)), noDue},
		"no_day_of_one_nobody_knows":  {with(announcedBy(theRun, ours)), noDue},
		"no_announcer":                {with(tagged(ami.DueTag, "2026-12-01")), noAnnouncer},
		"no_announcer_any_more":       {with(marked("2026-12-01"), untagged(ami.AnnouncedByTag)), noAnnouncer},
		"an_announcer_without_a_date": {with(marked("2026-12-01"), tagged(ami.AnnouncedByTag, "x team-a")), noAnnouncer},
		"one_without_a_policy":        {with(marked("2026-12-01"), tagged(ami.AnnouncedByTag, theRun)), noAnnouncer},
		"one_of_another_policy":       {with(marked("2026-12-01"), announcedBy(theRun, theirs)), noAnnouncer},
		"disabled_without_a_day":      {with(disabledUntil("2026-12-01"), untagged(ami.DueTag)), noDue},
		"disabled_without_any_other":  {with(disabledUntil("2026-12-01"), untagged(ami.DueTag, ami.AnnouncedByTag)), noDue},
		"enabled_and_tidied_up":       {with(disabledUntil("2026-11-23"), state("available"), untagged(ami.DisabledTag)), "somebody enabled it"},
		"enabled":                     {with(disabledUntil("2026-12-01"), state("available")), "somebody enabled it"},
		"enabled_after_its_day":       {with(disabledUntil("2026-11-01"), state("available")), "somebody enabled it"},
		"enabled_as_the_tags_say":     {with(marked("2026-11-01"), tagged(ami.DisabledTag, theRun)), "somebody enabled it"},
		"launched_since":              {with(marked("2026-12-01"), launched(ago(days(5)))), "last launched 2026-11-18, 5 days ago, since its removal was announced"},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(t, policy(), inventory(region, idle(subject, test.image...)))[subject]
			if codes(v)[0] != "vetoed" || v.Reasons[0].Detail != test.says {
				t.Errorf("%s because of %v, want vetoed: %s", v.Decision, v.Reasons, test.says)
			}
		})
	}
}

// EC2 counts the tags that do not begin with "aws:", and takes 50.
func TestRoomForTags(t *testing.T) {
	full := func(n int, more ...string) func(*ami.Image) {
		return func(i *ami.Image) {
			for _, key := range more {
				i.Tags[key] = "2026-11-23"
				if strings.HasSuffix(key, ":run") {
					i.Tags[key] = theRun
				}
			}
			if _, ok := i.Tags[recordTag]; ok {
				n++ // It does not stay.
			}
			for len(i.Tags) < n {
				i.Tags[fmt.Sprintf("t%d", len(i.Tags))] = ""
			}
		}
	}
	inOtherWords := func(i *ami.Image) {
		marked("2026-11-23")(i)
		untagged(ami.DueTag, ami.AnnouncedByTag)(i)
		i.Tags["AMI-Janitor:Due"], i.Tags["AMI-Janitor:Announced-By"] = "2026-11-23", retention.AnnouncedBy(theRun, ours)
	}
	snapshot := func(n int, keys ...string) ami.Snapshot {
		image := ami.Image{Tags: map[string]string{}}
		full(n, keys...)(&image)
		return ami.Snapshot{ID: "snap-1", Tags: image.Tags}
	}
	const says = "%s carries %d tags of at most 50, and a removal takes %d more"
	stack := tagged("aws:cloudformation:stack-name", "x")
	for name, test := range map[string]struct {
		grace    int
		image    []func(*ami.Image)
		snapshot ami.Snapshot
		kept     retention.Code // Empty if it is announced, or goes.
		says     string
	}{
		"48_leave_room":                       {0, with(full(48)), ami.Snapshot{}, "", ""},
		"49_do_not":                           {0, with(full(49)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"50_do_not":                           {0, with(full(50)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 50, 2)},
		"48_and_one_of_aws_leave_room":        {0, with(full(48), stack), ami.Snapshot{}, "", ""},
		"49_and_one_of_aws_do_not":            {0, with(full(49), stack), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"a_tag_that_looks_like_one_of_aws":    {0, with(full(48), tagged("awsx", "")), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"a_restored_tag_takes_room_like_any":  {0, with(full(48, ami.RestoredTag)), ami.Snapshot{}, "recently-used", ""},
		"an_announcement_takes_two_more":      {14, with(full(46)), ami.Snapshot{}, "", ""},
		"for_which_47_leave_none":             {14, with(full(47)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 47, 4)},
		"one_that_disables_takes_three_more":  {-14, with(full(45)), ami.Snapshot{}, "", ""},
		"for_which_46_leave_none":             {-14, with(full(46)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 46, 5)},
		"what_is_announced_lacks_two":         {14, with(marked("2026-11-23"), full(48)), ami.Snapshot{}, "", ""},
		"for_which_49_leave_none":             {14, with(marked("2026-11-23"), full(49)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"what_is_disabled_lacks_two":          {-14, with(disabledUntil("2026-11-23"), full(48)), ami.Snapshot{}, "", ""},
		"for_which_49_leave_none_either":      {-14, with(disabledUntil("2026-11-23"), full(49)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"a_day_of_long_ago_is_set_anew":       {14, with(marked("2020-01-01"), full(48)), ami.Snapshot{}, "", ""},
		"and_for_that_49_leave_no_room":       {14, with(marked("2020-01-01"), full(49)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"disabled_long_ago_it_is_said_anew":   {14, with(disabledUntil("2020-01-01"), untagged(ami.DisabledTag), tagged("AMI-Janitor:Disabled", theRun), full(47)), ami.Snapshot{}, "", ""},
		"for_which_48_leave_no_room":          {14, with(disabledUntil("2020-01-01"), untagged(ami.DisabledTag), tagged("AMI-Janitor:Disabled", theRun), full(48)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 48, 3)},
		"a_day_alone_is_no_announcement":      {14, with(full(50, ami.DueTag)), ami.Snapshot{}, "vetoed", ""},
		"nor_is_one_of_long_ago":              {14, with(tagged(ami.DueTag, "2020-01-01"), full(50)), ami.Snapshot{}, "vetoed", ""},
		"a_run_alone_leaves_no_room":          {14, with(full(50, ami.RunTag)), ami.Snapshot{}, "restored", ""},
		"an_announcement_in_other_words_does": {14, with(inOtherWords, full(48)), ami.Snapshot{}, "", ""},
		"but_is_not_written_over":             {14, with(inOtherWords, full(49)), ami.Snapshot{}, "no-room-for-tags", fmt.Sprintf(says, "it", 49, 2)},
		"a_snapshot_with_48_has_room":         {14, nil, snapshot(48), "", ""},
		"a_snapshot_with_49_has_none":         {14, nil, snapshot(49), "no-room-for-tags", fmt.Sprintf(says, "snap-1", 49, 2)},
		"a_snapshot_with_a_run_lacks_one":     {14, nil, snapshot(49, ami.RunTag), "", ""},
		"a_snapshot_that_stays_needs_none":    {14, nil, snapshot(50, "ami-janitor:keep"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(grace(test.grace, retention.Announce))
			if test.grace < 0 {
				p = policy(grace(-test.grace, retention.Disable))
			}
			here := inventory(region, idle(subject, append(with(mapping("snap-1")), test.image...)...))
			here.Snapshots = []ami.Snapshot{test.snapshot}
			v := judge(t, p, here)[subject]
			if got := codes(v)[0]; test.kept != "" && got != test.kept || test.kept == "" && v.Decision == retention.Keep {
				t.Errorf("%s because of %v, want %q", v.Decision, v.Reasons, test.kept)
			}
			if !strings.Contains(details(v), test.says) {
				t.Errorf("says %q, want %q", details(v), test.says)
			}
		})
	}
}

// Announcements have a cap of their own, and the stalest images are announced first.
func TestTheCapOfAnnouncements(t *testing.T) {
	due := marked("2026-11-23")
	here := inventory(region,
		idle("ami-1", launched(ago(days(310)))), idle("ami-2", launched(ago(days(309)))), idle("ami-3", launched(ago(days(308)))),
		idle("ami-4", launched(ago(days(307))), due), idle("ami-5", launched(ago(days(306))), due), idle("ami-6", launched(ago(days(305))), due),
	)
	there := inventory("us-east-1", idle("ami-7", launched(ago(days(311)))), idle("ami-8", marked("2026-12-01"), launched(ago(days(312)))))
	p := policy(grace(14, retention.Disable), func(p *retention.Policy) { p.MaxDeregistrations = 2 })
	plans := p.Open([]ami.Inventory{here, there}, now).Plan(unused(here, there))
	for decision, want := range map[retention.Decision][]string{
		retention.Mark: {"ami-1", "ami-7"}, retention.Deregister: {"ami-4", "ami-5"}, retention.Defer: {"ami-2", "ami-3", "ami-6"}, retention.Keep: {"ami-8"},
	} {
		if got := decided(plans, decision); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", decision, got, want)
		}
	}
	for _, id := range []string{"ami-2", "ami-6"} {
		if v := verdicts(plans)[id]; v.Action != "" || v.Due.IsZero() != (id == "ami-2") || !slices.Equal(codes(v), []retention.Code{"stale", "over-cap"}) {
			t.Errorf("%s: due on %s, action %q because of %v", id, v.Due, v.Action, v.Reasons)
		}
	}
}

// An image that the janitor has disabled cannot be launched, and is not the newest of its family;
// one that is only announced can.
func TestWhatIsAnnouncedInAFamily(t *testing.T) {
	for name, test := range map[string]struct {
		newer       func(*ami.Image)
		older, mark retention.Code
	}{
		"disabled":  {disabledUntil("2026-12-01"), "newest-of-family", "announced"},
		"announced": {marked("2026-12-01"), "stale", "newest-of-family"},
	} {
		t.Run(name, func(t *testing.T) {
			images := series(2)
			images[0].LastLaunchedAt, images[1].LastLaunchedAt = ago(days(500)), ago(days(400))
			test.newer(&images[1])
			got := judge(t, policy(), inventory(region, images...))
			if older, newer := codes(got["ami-1"]), codes(got["ami-2"]); older[0] != test.older || newer[0] != test.mark {
				t.Errorf("the older because of %v, the newer because of %v; want %s and %s", older, newer, test.older, test.mark)
			}
		})
	}
}

// Images to announce are candidates like those to remove: a use of them is an objection.
func TestWhatIsAnnouncedIsACandidate(t *testing.T) {
	here := inventory(region, idle("ami-1", marked("2026-12-01")), idle("ami-2", disabledUntil("2026-12-01")), idle("ami-3", marked("2026-11-01")))
	if got := len(policy(grace(14, retention.Disable)).Open([]ami.Inventory{here}, now).Candidates()[region]); got != 3 {
		t.Errorf("%d candidates, want 3", got)
	}
}

// The snapshots of what is announced stay with it.
func TestSnapshotsOfWhatIsAnnouncedStay(t *testing.T) {
	here := inventory(region, idle("ami-1", marked("2026-11-23"), mapping("snap-1", "snap-2", "snap-3")), idle("ami-2", mapping("snap-1")), idle("ami-3", marked("2026-12-01"), mapping("snap-2")))
	here.Snapshots = []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-2"}, {ID: "snap-3"}}
	got := judge(t, policy(grace(14, retention.Announce)), here)
	want := []retention.SnapshotVerdict{leaves("snap-1", 0, "ami-2 still uses it"), leaves("snap-2", 0, "ami-3 still uses it"), deletes("snap-3", 0, "ami-1")}
	if !slices.Equal(got["ami-1"].Snapshots, want) || got["ami-2"].Snapshots != nil || got["ami-3"].Snapshots != nil {
		t.Errorf("snapshots %+v, %+v, %+v", got["ami-1"].Snapshots, got["ami-2"].Snapshots, got["ami-3"].Snapshots)
	}
}

func TestGraceActionsAreRead(t *testing.T) {
	for _, text := range []string{"announce", "deprecate", "disable"} {
		var action retention.GraceAction
		if err := action.UnmarshalText([]byte(text)); err != nil || string(action) != text {
			t.Errorf("%q is read as %q, %v", text, action, err)
		}
	}
	for _, text := range []string{"", "Announce", "disable ", "delete", "announce,disable"} {
		var action retention.GraceAction
		if err := action.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is no error", text)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("the error for %q does not name it: %v", text, err)
		}
	}
}
