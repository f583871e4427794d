package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// announcedElsewhere carries the announcement of another policy, which is missing in this policy's
// journal.
func announcedElsewhere(due string) func(*ami.Image) {
	return func(i *ami.Image) {
		marked(due)(i)
		announcedBy(theRun, theirs)(i)
		noRecord(i)
	}
}

// left carries one that was made at the beginning of the year.
func leftAt(due string) func(*ami.Image) {
	return func(i *ami.Image) {
		announcedElsewhere(due)(i)
		announcedBy(earlierRun, theirs)(i)
	}
}

// deprecated is deprecated at the beginning of a day, as the janitor does it.
func deprecated(day string) func(*ami.Image) {
	return func(i *ami.Image) { i.DeprecatedAt, _ = time.Parse(time.DateOnly, day) }
}

// Whose announcement an image carries decides what happens to the image, to its tags, and to what
// was done to it: a table of who may have written the tags, and of what the run finds besides.
func TestWhoseAnnouncement(t *testing.T) {
	const due, by, off = ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag
	keep := tagged("ami-janitor:keep", "")
	forged := with(tagged(due, "2026-11-20"), announcedBy("20261105T020000Z-abcdef", ours))
	quarantined := with(state("disabled"), tagged(due, "2026-11-20"), announcedBy("20261101T020000Z-abcdef", ours), tagged(off, "20261101T020000Z-abcdef"))
	narrow := func(p *retention.Policy) { p.Names = names(t, "other-*") }
	none := retention.Undo{}
	keys := func(keys ...string) retention.Undo { return retention.Undo{Keys: keys} }
	for name, test := range map[string]struct {
		image  []func(*ami.Image)
		policy func(*retention.Policy)
		use    ami.Use // Unused if Unknown.
		others []ami.Image

		decision    retention.Decision
		kept        []retention.Code // Stale for an image that is removed or announced.
		unmark      retention.Unmark
		undo        retention.Undo
		announcedBy string
		says        string
	}{
		// What this policy has announced.
		"ours_goes_when_it_is_due":          {image: with(marked("2026-11-20")), decision: "deregister"},
		"ours_is_vetoed_by_a_keep_tag":      {image: with(marked("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due, by)},
		"ours_is_cleared_out_of_scope":      {image: with(marked("2026-12-01")), policy: narrow, kept: list("out-of-scope"), unmark: "clear", undo: keys(due, by)},
		"disabled_it_is_enabled":            {image: with(disabledUntil("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: retention.Undo{Keys: []string{due, by, off}, Enable: true}},
		"cleared_it_is_enabled":             {image: with(disabledUntil("2026-12-01")), policy: narrow, kept: list("out-of-scope"), unmark: "clear", undo: retention.Undo{Keys: []string{due, by, off}, Enable: true}},
		"enabled_already_it_is_not":         {image: with(disabledUntil("2026-12-01"), state("available")), kept: list("vetoed"), unmark: "veto", undo: keys(due, by, off)},
		"deprecated_it_is_not_any_more":     {image: with(marked("2026-12-01"), record(theRun, ours, "2026-12-01T02:00:00Z", retention.Deprecate), deprecated("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: retention.Undo{Keys: []string{due, by}, EndDeprecation: true}},
		"put_off_it_is_not_either":          {image: with(marked("2026-12-01"), tagged(due, "2027-01-01"), record(theRun, ours, "2026-12-01T02:00:00Z", retention.Deprecate), deprecated("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: retention.Undo{Keys: []string{due, by}, EndDeprecation: true}},
		"its_owners_deprecation_stays":      {image: with(marked("2026-12-01"), record(theRun, ours, "2026-12-01T02:00:00Z", retention.Deprecate), deprecated("2026-12-02"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due, by)},
		"one_nobody_recorded_stays":         {image: with(marked("2026-12-01"), deprecated("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due, by)},
		"one_of_the_day_on_the_tag_stays":   {image: with(marked("2026-12-01"), tagged(due, "2026-12-02"), record(theRun, ours, "2026-12-01T02:00:00Z", retention.Deprecate), deprecated("2026-12-02"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due, by)},
		"a_declaration_goes_with_a_veto":    {image: with(disabledUntil("2026-12-01"), declared(theRun)), kept: list("restored"), unmark: "veto", undo: retention.Undo{Keys: []string{due, by, off, ami.IntentTag, ami.RunTag}, Enable: true}},
		"keys_as_they_are_written":          {image: with(marked("2026-12-01"), tagged("AMI-Janitor:Due", "2026-12-01"), tagged(" ami-janitor:announced-by", ""), keep), kept: list("keep-tag"), unmark: "veto", undo: keys("AMI-Janitor:Due", due, " ami-janitor:announced-by", by)},
		"what_waits_is_left_as_it_is":       {image: with(disabledUntil("2026-12-01")), kept: list("announced")},
		"what_is_in_doubt_is_left_too":      {image: with(disabledUntil("2026-12-01")), policy: narrowBin, kept: list("not-restorable"), unmark: "clear", undo: retention.Undo{Keys: []string{due, by, off}, Enable: true}},
		"disabled_by_others_since_it_stays": {image: with(marked("2026-12-01"), state("disabled")), kept: list("not-available"), unmark: "clear", undo: keys(due, by)},

		// An announcement that disables, with a record that says only that it was announced.
		"a_disabled_tag_on_top_is_no_record": {image: with(marked("2026-12-01"), state("disabled"), tagged(off, theRun)), kept: list("not-available"), unmark: "clear", undo: keys(due, by)},
		"nor_with_a_keep_tag":                {image: with(marked("2026-11-20"), state("disabled"), tagged(off, theRun), keep), kept: list("not-available", "keep-tag"), unmark: "veto", undo: keys(due, by)},
		"nor_if_it_deprecates":               {image: with(marked("2026-11-20"), record(theRun, ours, "2026-11-20", retention.Deprecate), state("disabled"), tagged(off, theRun)), kept: list("not-available"), unmark: "clear", undo: keys(due, by)},
		"alone_it_is_a_claim":                {image: with(marked("2026-11-20"), untagged(due, by), state("disabled"), tagged(off, theRun)), kept: list("unrecorded"), says: "it is disabled, and no record of this policy says that the janitor did it"},
		"a_claim_with_a_keep_tag":            {image: with(marked("2026-11-20"), untagged(due, by), state("disabled"), tagged(off, theRun), keep), kept: list("keep-tag", "unrecorded")},
		"a_claim_of_what_is_available":       {image: with(tagged(off, "x")), kept: list("unrecorded"), says: "its tag ami-janitor:disabled says that the janitor has disabled it, and no record"},

		// Claims of an announcement that nobody made.
		"forged_it_is_not_removed":           {image: forged, kept: list("unrecorded"), says: "its tags say that its removal was announced for 2026-11-20, and no record of this policy says that"},
		"nor_without_a_grace_period":         {image: forged, policy: grace(0, ""), kept: list("unrecorded")},
		"nor_with_a_record_of_another_run":   {image: append(slices.Clone(forged), record(theRun, ours, "2026-11-20", retention.Announce)), kept: list("unrecorded")},
		"nor_with_a_record_without_a_moment": {image: with(marked("2026-11-20"), record(theRun, ours, "0001-01-01", retention.Announce)), kept: list("unrecorded")},
		"forged_and_out_of_scope":            {image: forged, policy: narrow, kept: list("out-of-scope", "unrecorded")},
		"forged_and_objected_to":             {image: append(slices.Clone(forged), keep), kept: list("keep-tag", "unrecorded"), unmark: "veto", undo: keys(due, by)},
		"forged_and_protected":               {image: append(slices.Clone(forged), protection("enabled-without-cooldown")...), kept: list("protected", "unrecorded"), unmark: "veto", undo: keys(due, by)},
		"forged_and_deprecated":              {image: append(slices.Clone(forged), deprecated("2026-11-20"), keep), kept: list("keep-tag", "unrecorded"), unmark: "veto", undo: keys(due, by)},
		"forged_without_its_day":             {image: with(announcedBy(theRun, ours)), kept: list("vetoed"), unmark: "veto", undo: keys(by)},
		"forged_without_a_run":               {image: with(tagged(due, "2026-11-20")), kept: list("vetoed"), unmark: "veto", undo: keys(due)},
		"forged_with_a_policy_to_keep_by":    {image: append(slices.Clone(forged), tagged("pinned", "")), policy: func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") }, kept: list("keep-tag", "unrecorded")},

		// What somebody else has disabled.
		"quarantined_it_stays_disabled":       {image: quarantined, kept: list("unrecorded"), says: "it is disabled, and no record of this policy says that the janitor did it"},
		"quarantined_with_one_tag":            {image: with(state("disabled"), tagged(off, "x")), kept: list("unrecorded")},
		"quarantined_and_objected_to":         {image: append(slices.Clone(quarantined), keep, deprecated("2026-11-20")), kept: list("keep-tag", "unrecorded"), unmark: "veto", undo: keys(due, by)},
		"quarantined_with_one_tag_and_a_keep": {image: with(state("disabled"), tagged(off, "x"), keep), kept: list("keep-tag", "unrecorded")},
		"quarantined_in_use":                  {image: quarantined, use: ami.Used, kept: list("unrecorded")},
		"quarantined_in_anothers_name":        {image: append(slices.Clone(quarantined), announcedBy(theRun, theirs)), kept: list("not-available"), announcedBy: theirs},
		"quarantined_in_anothers_name_keep":   {image: append(slices.Clone(quarantined), announcedBy(theRun, theirs), keep), kept: list("not-available", "keep-tag"), unmark: "veto", undo: keys(due), announcedBy: theirs},

		// What another policy has announced.
		"another_policys_is_left":                  {image: with(announcedElsewhere("2026-12-01")), kept: list("announced-elsewhere"), announcedBy: theirs, says: "policy team-b has announced its removal for 2026-12-01"},
		"though_it_is_due":                         {image: with(announcedElsewhere("2026-11-20")), kept: list("announced-elsewhere"), announcedBy: theirs},
		"and_there_is_no_grace_period":             {image: with(announcedElsewhere("2026-11-20")), policy: grace(0, ""), kept: list("announced-elsewhere"), announcedBy: theirs},
		"though_the_journal_has_it":                {image: with(announcedElsewhere("2026-11-20"), record(theRun, theirs, "2026-11-20", retention.Disable)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"and_the_tag_says_it_is_ours":              {image: with(marked("2026-11-20"), record(theRun, theirs, "2026-11-20", retention.Announce)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"out_of_scope_it_is_left":                  {image: with(announcedElsewhere("2026-12-01")), policy: narrow, kept: list("out-of-scope"), announcedBy: theirs},
		"used_not_long_ago_it_is_left":             {image: with(announcedElsewhere("2026-12-01")), policy: func(p *retention.Policy) { p.StaleAfter = limit(1000) }, kept: list("recently-used"), announcedBy: theirs},
		"the_newest_of_its_family_it_is_left":      {image: with(announcedElsewhere("2026-12-01"), named("web-1")), kept: list("newest-of-family"), announcedBy: theirs},
		"with_a_keep_tag_of_this_policy":           {image: with(announcedElsewhere("2026-12-01"), tagged("pinned", "")), policy: func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") }, kept: list("keep-tag"), announcedBy: theirs},
		"on_the_keep_list_of_this_policy":          {image: with(announcedElsewhere("2026-12-01")), policy: func(p *retention.Policy) { p.KeepList = keepList(t, "golden") }, kept: list("keep-list"), announcedBy: theirs},
		"public_it_is_left":                        {image: with(announcedElsewhere("2026-12-01"), func(i *ami.Image) { i.Public = true }), kept: list("public"), announcedBy: theirs},
		"managed_it_is_left":                       {image: with(announcedElsewhere("2026-12-01"), tagged("dlm:managed", "")), kept: list("managed"), announcedBy: theirs},
		"not_restorable_by_this_policy_it_is_left": {image: with(announcedElsewhere("2026-12-01")), policy: narrowBin, kept: list("not-restorable"), announcedBy: theirs},
		"disabled_it_stays_so":                     {image: with(announcedElsewhere("2026-12-01"), state("disabled"), tagged(off, theRun)), kept: list("not-available"), announcedBy: theirs},
		"protected_it_loses_its_day":               {image: with(append(protection("enabled-without-cooldown"), announcedElsewhere("2026-12-01"))...), kept: list("protected"), unmark: "veto", undo: keys(due), announcedBy: theirs},
		"in_use_it_loses_its_day":                  {image: with(announcedElsewhere("2026-12-01")), use: ami.Used, kept: list("in-use", "announced-elsewhere"), unmark: "veto", undo: keys(due), announcedBy: theirs},
		"with_the_janitors_keep_tag_as_well":       {image: with(announcedElsewhere("2026-12-01"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due), announcedBy: theirs},
		"restored_as_well":                         {image: with(announcedElsewhere("2026-12-01"), declared(theRun)), kept: list("restored"), unmark: "veto", undo: keys(due, ami.IntentTag, ami.RunTag), announcedBy: theirs},
		"disabled_its_policy_enables_it":           {image: with(announcedElsewhere("2026-12-01"), record(theRun, theirs, "2026-12-01", retention.Disable), state("disabled"), tagged(off, theRun), keep, deprecated("2026-12-01")), kept: list("not-available", "keep-tag"), unmark: "veto", undo: keys(due), announcedBy: theirs},
		"deprecated_its_policy_ends_that":          {image: with(announcedElsewhere("2026-12-01"), record(theRun, theirs, "2026-12-01", retention.Deprecate), keep, deprecated("2026-12-01")), kept: list("keep-tag"), unmark: "veto", undo: keys(due), announcedBy: theirs},
		"objected_to_it_is_left_to_its_policy":     {image: with(announcedElsewhere("2026-12-01"), untagged(due), keep), kept: list("keep-tag"), announcedBy: theirs},
		"without_its_day_it_is_left_too":           {image: with(announcedElsewhere("2026-12-01"), untagged(due)), kept: list("announced-elsewhere"), announcedBy: theirs, says: "policy team-b has announced its removal\n"},

		// Announcements that nobody will carry out.
		"left_for_30_days_its_tags_go":             {image: with(leftAt("2026-10-24")), kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by), says: "and has announced nothing in this region since"},
		"a_day_less_and_it_is_left":                {image: with(leftAt("2026-10-25")), kept: list("announced-elsewhere"), announcedBy: theirs},
		"out_of_scope_its_tags_go_too":             {image: with(leftAt("2026-10-24")), policy: narrow, kept: list("out-of-scope"), unmark: "clear", undo: keys(due, by)},
		"its_policy_is_seen_since":                 {image: with(leftAt("2026-10-24")), others: []ami.Image{idle("ami-2", tagged(by, lateRun+" "+theirs))}, kept: list("announced-elsewhere"), announcedBy: theirs},
		"its_policy_was_seen_before":               {image: with(leftAt("2026-10-24")), others: []ami.Image{idle("ami-2", tagged(by, earlierRun+" "+theirs))}, kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by)},
		"another_policy_is_seen_since":             {image: with(leftAt("2026-10-24")), others: []ami.Image{idle("ami-2", tagged(by, lateRun+" team-c"))}, kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by)},
		"a_policy_the_journal_names_is_seen":       {image: with(marked("2026-10-24"), announcedBy(earlierRun, ours), record(earlierRun, theirs, "2026-10-24", retention.Announce)), others: []ami.Image{idle("ami-2", tagged(by, lateRun+" "+theirs))}, kept: list("announced-elsewhere"), announcedBy: theirs},
		"without_a_day_it_counts_from_its_run":     {image: with(announcedBy(earlierRun, theirs)), kept: list("announced-elsewhere"), unmark: "clear", undo: keys(by)},
		"without_a_day_and_its_policy_is_seen":     {image: with(announcedBy(earlierRun, theirs)), others: []ami.Image{idle("ami-2", tagged(by, theRun+" "+theirs))}, kept: list("announced-elsewhere"), announcedBy: theirs},
		"without_a_day_and_not_long_ago":           {image: with(announcedBy(theRun, theirs)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"a_disabled_tag_alone_of_not_long_ago":     {image: with(tagged(off, theRun), record(theRun, theirs, "2026-11-10", retention.Disable)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"left_and_disabled_it_is_told_of":          {image: with(leftAt("2026-10-24"), state("disabled"), tagged(off, theRun)), kept: list("unrecorded"), says: "policy team-b has disabled it, as its tags say, and has announced nothing in this region since"},
		"but_not_by_a_tag_that_was_copied":         {image: with(leftAt("2026-10-24"), state("disabled"), tagged(off, theRun), created(ago(days(200)))), kept: list("not-available")},
		"far_ahead_it_is_left_to_it_for_a_year":    {image: with(leftAt("2099-01-01"), announcedBy("20251026T020000Z-3f9c1a", theirs)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"and_no_longer":                            {image: with(leftAt("2099-01-01"), announcedBy("20251024T010000Z-3f9c1a", theirs)), kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by)},
		"of_tomorrow_it_may_be_a_clock":            {image: with(announcedElsewhere("2026-12-01"), announcedBy("20261124T010000Z-3f9c1a", theirs)), kept: list("announced-elsewhere"), announcedBy: theirs},
		"of_the_future_it_is_a_claim":              {image: with(announcedElsewhere("2099-01-01"), announcedBy("20990101T020000Z-3f9c1a", theirs)), kept: list("vetoed"), unmark: "veto", undo: keys(due, by)},
		"a_claim_of_the_future_seen_nobody":        {image: with(leftAt("2026-10-24")), others: []ami.Image{idle("ami-2", announcedElsewhere("2099-01-01"), announcedBy("20990101T020000Z-3f9c1a", theirs))}, kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by)},
		"left_and_objected_to_loses_all":           {image: with(leftAt("2026-10-24"), keep), kept: list("keep-tag"), unmark: "veto", undo: keys(due, by)},
		"left_and_deprecated_it_stays_deprecated":  {image: with(leftAt("2026-10-24"), deprecated("2026-10-24")), kept: list("announced-elsewhere"), unmark: "clear", undo: keys(due, by)},
		"older_than_the_image_the_tags_are_copies": {image: with(marked("2026-12-01"), announcedBy(earlierRun, ours), noRecord, created(ago(days(200)))), kept: list("copied-tags"), unmark: "clear", undo: keys(due, by), says: "its tags say that its removal was announced, and are older than the image: they were copied from another one"},
		"copied_within_the_hour_as_well":           {image: with(announcedElsewhere("2026-12-01"), created(at(t, "2026-11-09T02:30:00Z"))), kept: list("recently-used"), unmark: "clear", undo: keys(due, by)},
		"copied_while_the_run_was_at_work":         {image: with(announcedElsewhere("2026-12-01"), created(at(t, "2026-11-09T02:00:00Z"))), kept: list("recently-used"), unmark: "clear", undo: keys(due, by)},
		"by_a_clock_that_is_late":                  {image: with(announcedElsewhere("2026-12-01"), created(at(t, "2026-11-08T02:00:01Z"))), kept: list("recently-used"), unmark: "clear", undo: keys(due, by)},
		"made_a_day_before_they_are_not":           {image: with(announcedElsewhere("2026-12-01"), created(at(t, "2026-11-08T02:00:00Z"))), kept: list("recently-used"), announcedBy: theirs},
		"copied_and_in_use_nobody_objects":         {image: with(announcedElsewhere("2026-12-01"), announcedBy(earlierRun, theirs), created(ago(days(200)))), use: ami.Used, kept: list("in-use", "copied-tags"), unmark: "clear", undo: keys(due, by)},
		"copied_with_a_keep_tag_neither":           {image: with(announcedElsewhere("2026-12-01"), announcedBy(earlierRun, theirs), created(ago(days(200))), keep), kept: list("keep-tag"), unmark: "clear", undo: keys(due, by)},
		"copied_and_its_day_is_past":               {image: with(marked("2026-11-20"), announcedBy(earlierRun, ours), noRecord, created(ago(days(200)))), kept: list("copied-tags"), unmark: "clear", undo: keys(due, by)},
		"copied_of_an_old_form":                    {image: with(tagged(due, "2026-11-20"), tagged(ami.RunTag, earlierRun), created(ago(days(200)))), kept: list("copied-tags"), unmark: "clear", undo: keys(due)},
		"of_an_old_form_it_is_no_copy":             {image: with(tagged(due, "2026-11-20"), tagged(ami.RunTag, theRun)), kept: list("restored", "vetoed"), unmark: "veto", undo: keys(due, ami.RunTag), says: retention.OldForm + "\nit has no tag ami-janitor:announced-by"},
		"copied_with_a_disabled_tag":               {image: with(announcedElsewhere("2026-12-01"), announcedBy(earlierRun, theirs), tagged(off, earlierRun), created(ago(days(200)))), kept: list("copied-tags"), unmark: "clear", undo: keys(due, by, off)},
		"copied_and_disabled_by_somebody":          {image: with(announcedElsewhere("2026-12-01"), announcedBy(earlierRun, theirs), tagged(off, earlierRun), state("disabled"), created(ago(days(200)))), kept: list("not-available")},

		// Of another account's image nothing is touched, whoever has announced what.
		"not_of_the_account":            {image: with(marked("2026-12-01"), keep, func(i *ami.Image) { i.OwnerID = "111122223333" }), kept: list("not-owned", "keep-tag")},
		"not_of_the_account_and_left":   {image: with(leftAt("2026-10-24"), func(i *ami.Image) { i.OwnerID = "111122223333" }), kept: list("not-owned")},
		"nothing_of_the_kind":           {decision: "mark"},
		"nothing_of_it_and_a_keep_tag":  {image: with(keep), kept: list("keep-tag")},
		"removed_and_there_again":       {image: with(declared(theRun)), kept: list("restored"), unmark: "veto", undo: keys(ami.IntentTag, ami.RunTag)},
		"a_run_without_its_declaration": {image: with(tagged(ami.RunTag, theRun)), kept: list("restored"), unmark: "veto", undo: keys(ami.RunTag)},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(grace(14, retention.Disable))
			if test.policy != nil {
				test.policy(&p)
			}
			if test.undo.Keys == nil {
				test.undo = none
			}
			if test.decision == "" {
				test.decision = retention.Keep
			}
			if test.kept == nil {
				test.kept = list("stale")
			}
			here := inventory(region, append([]ami.Image{idle(subject, test.image...)}, test.others...)...)
			evidence := unused(here)
			if test.use != ami.Unknown {
				evidence[region].Images[subject] = ami.Finding{Use: test.use}
			}
			v := verdicts(p.Open([]ami.Inventory{here}, now).Plan(evidence))[subject]
			got := codes(v)
			if v.Decision != test.decision || v.Unmark != test.unmark || v.AnnouncedBy != test.announcedBy || !slices.Equal(got, test.kept) {
				t.Errorf("%s, unmark %q, announced by %q because of %v; want %s, %q, %q because of %v",
					v.Decision, v.Unmark, v.AnnouncedBy, v.Reasons, test.decision, test.unmark, test.announcedBy, test.kept)
			}
			if !strings.Contains(details(v), test.says) {
				t.Errorf("says %q, want %q", details(v), test.says)
			}
			if diff := gocmp.Diff(test.undo, v.Undo, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("undo (-want +got):\n%s", diff)
			}
		})
	}
}

func list(codes ...retention.Code) []retention.Code { return codes }

// narrowBin removes only what an unread Recycle Bin retains.
func narrowBin(p *retention.Policy) { p.RequireRecycleBin = true }

// A plan says that copied tags come off only where they do: a tag that says the image is disabled
// stays while that is so.
func TestCopiedTagsAreSaidToComeOffWhereTheyDo(t *testing.T) {
	copied := func(changes ...func(*ami.Image)) ami.Image {
		return idle("ami-1", append([]func(*ami.Image){leftAt("2026-10-24"), tagged(ami.DisabledTag, earlierRun), created(ago(days(200)))}, changes...)...)
	}
	for _, state := range []string{"available", "disabled"} {
		v := judge(t, policy(), inventory(region, copied(func(i *ami.Image) { i.State = state })))["ami-1"]
		if comesOff := v.Unmark == retention.ClearMark; comesOff != (state == "available") || comesOff != (v.CopiedTags != "") {
			t.Errorf("%s: unmark %q, says %q", state, v.Unmark, v.CopiedTags)
		}
	}
}
