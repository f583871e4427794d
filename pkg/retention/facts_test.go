package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// factCase is a case of a rule that needs no evidence. Apart from what it names, the image would be
// removed.
type factCase struct {
	image     []func(*ami.Image)
	policy    func(*retention.Policy)
	snapshots []ami.Snapshot
	others    []ami.Image // Further images of the region.
	elsewhere []ami.Image // Images of another region.
	account   string      // Of the inventory; the usual one if empty.
	history   ami.History
	bin       ami.RecycleBin

	kept   retention.Code // The one rule that keeps the image; empty if it goes.
	says   string         // A part of the verdict's text.
	unsaid string         // What the verdict's text must not say.
}

func with(changes ...func(*ami.Image)) []func(*ami.Image) { return changes }

func protection(value string) []func(*ami.Image) {
	return with(func(i *ami.Image) { i.Protection = value })
}

func names(t testing.TB, globs string) retention.Names {
	t.Helper()
	var n retention.Names
	if err := n.UnmarshalText([]byte(globs)); err != nil {
		t.Fatalf("names %q: %v", globs, err)
	}
	return n
}

func tags(t testing.TB, list string) retention.Tags {
	t.Helper()
	var matches retention.Tags
	if err := matches.UnmarshalText([]byte(list)); err != nil {
		t.Fatalf("tags %q: %v", list, err)
	}
	return matches
}

func keepList(t rapid.TB, text string) retention.KeepList {
	t.Helper()
	list, err := retention.ParseKeepList(text)
	if err != nil {
		t.Fatalf("keep list %q: %v", text, err)
	}
	return list
}

// declared carries the declaration that a run removes it.
func declared(run string) func(*ami.Image) {
	return func(i *ami.Image) { i.Tags[ami.IntentTag], i.Tags[ami.RunTag] = ami.Intent, run }
}

func plain(ids ...string) []ami.Snapshot {
	var snapshots []ami.Snapshot
	for _, id := range ids {
		snapshots = append(snapshots, ami.Snapshot{ID: id})
	}
	return snapshots
}

func requireBin(days int) func(*retention.Policy) {
	return func(p *retention.Policy) { p.RequireRecycleBin, p.RecycleBinDays = true, days }
}

// binOf holds images and snapshots whose removal was declared for so many days each.
func binOf(images, snapshots int, more ...ami.BinRule) ami.RecycleBin {
	byIntent := []ami.Tag{{Key: "other", Value: "x"}, {Key: "ami-janitor:intent", Value: "remove"}}
	return ami.RecycleBin{Read: true, Rules: append([]ami.BinRule{{Images: true, Days: images, Tags: byIntent}, {Days: snapshots, Tags: byIntent}}, more...)}
}

// regional holds all of a region for a week, except what carries a tag.
func regional(key, value string) ami.RecycleBin {
	excluded := []ami.Tag{{Key: "other", Value: "x"}, {Key: key, Value: value}}
	return ami.RecycleBin{Read: true, Rules: []ami.BinRule{{ID: "of-images", Images: true, Days: 7, Excluded: excluded}, {ID: "of-snapshots", Days: 7, Excluded: excluded}}}
}

func factCases(t testing.TB) map[string]factCase {
	shorter := func(p *retention.Policy) { p.AllowShorter = true }
	only := func(list string) func(*retention.Policy) {
		return func(p *retention.Policy) { p.OnlyTags = tags(t, list) }
	}
	keep := func(list string) func(*retention.Policy) {
		return func(p *retention.Policy) { p.KeepTags = tags(t, list) }
	}
	scope := func(globs string) func(*retention.Policy) {
		return func(p *retention.Policy) { p.Names = names(t, globs) }
	}
	list := func(text string) func(*retention.Policy) {
		return func(p *retention.Policy) { p.KeepList = keepList(t, text) }
	}
	builder := func(p *retention.Policy) { p.JudgeImageBuilder = true }
	product := func(i *ami.Image) { i.Marketplace = true }
	public := func(i *ami.Image) { i.Public = true }
	buyer := func(p *retention.Policy) { p.JudgeMarketplace = true }
	sharing := func(p *retention.Policy) { p.JudgeMarketplace, p.JudgeShared = true, true }
	failing := func(p *retention.Policy) { p.JudgeFailed = true }
	failed := func(age time.Duration) []func(*ami.Image) {
		return with(created(ago(age)), func(i *ami.Image) { i.State = "failed" })
	}
	day := 24 * time.Hour
	return map[string]factCase{
		"an_idle_image_goes":                {says: "last launched 2026-01-27, 300 days ago; the limit is 180 days"},
		"an_image_never_launched_goes":      {image: with(created(ago(days(91)))), says: "no launch on record; created 2026-08-24, 91 days ago; the limit is 90 days"},
		"an_image_idle_for_centuries_goes":  {image: with(created(now.AddDate(-500, 0, 0)))},
		"one_snapshot_of_unknown_size_goes": {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1"}}},

		// The owner.
		"an_image_of_another_account_stays":                    {image: with(func(i *ami.Image) { i.OwnerID = "999999999999" }), kept: "not-owned", says: "owned by account 999999999999"},
		"an_image_without_an_owner_stays":                      {image: with(func(i *ami.Image) { i.OwnerID = "" }), kept: "not-owned", says: "its owner is not known"},
		"an_image_without_an_owner_is_not_an_unknown_accounts": {image: with(func(i *ami.Image) { i.OwnerID = "" }), account: "-", kept: "not-owned"},

		// States: a disabled image is seen, and stays.
		"a_pending_image_stays":            {image: with(func(i *ami.Image) { i.State = "pending" }), kept: "not-available", says: "in state pending"},
		"a_failed_image_stays":             {image: with(func(i *ami.Image) { i.State = "failed" }), kept: "not-available", says: "failed"},
		"a_failed_image_can_be_judged":     {image: failed(days(98)), policy: failing, says: "the limit is 90 days; it has failed, so nothing can be launched from it"},
		"a_failed_image_needs_a_week_more": {image: failed(days(97)), policy: failing, kept: "not-available", says: "in state failed, since when is not known; created 2026-08-18"},
		"a_week_and_a_second_more":         {image: failed(days(97) + time.Second), policy: failing},
		"a_tag_lengthens_that":             {image: append(failed(days(400)), tagged("ami-janitor:stale-after", "395d")), policy: failing, kept: "not-available"},
		"a_pending_image_is_not_judged":    {image: append(failed(days(400)), func(i *ami.Image) { i.State = "pending" }), policy: failing, kept: "not-available"},
		"nor_one_in_another_bad_state":     {image: append(failed(days(400)), func(i *ami.Image) { i.State = "error" }), policy: failing, kept: "not-available"},
		"nor_one_that_somebody_disabled":   {image: append(failed(days(400)), func(i *ami.Image) { i.State = "disabled" }), policy: failing, kept: "not-available"},
		"a_failed_image_with_a_keep_tag":   {image: append(failed(days(400)), tagged("ami-janitor:keep", "")), policy: failing, kept: "keep-tag"},
		"a_failed_image_is_not_restorable_without_snapshots": {
			image: failed(days(400)), policy: func(p *retention.Policy) { failing(p); requireBin(0)(p) }, bin: binOf(7, 7), kept: "not-restorable", says: "it failed before it had a snapshot",
		},
		"a_disabled_image_stays":            {image: with(func(i *ami.Image) { i.State = "disabled" }), kept: "not-available", says: "disabled"},
		"a_state_nobody_knows_stays":        {image: with(func(i *ami.Image) { i.State = "hibernating" }), kept: "not-available", says: "hibernating"},
		"a_state_is_compared_with_its_case": {image: with(func(i *ami.Image) { i.State = "Available" }), kept: "not-available"},
		"no_state_stays":                    {image: with(func(i *ami.Image) { i.State = "" }), kept: "not-available", says: "its state is not known"},

		// Dates.
		"an_unreadable_creation_date_stays": {
			image: with(func(i *ami.Image) { i.CreatedAt, i.Unreadable = time.Time{}, []string{`creation date "yesterday"`} }),
			kept:  "unreadable", says: `creation date "yesterday"`, unsaid: "no creation date",
		},
		"no_creation_date_stays":                   {image: with(func(i *ami.Image) { i.CreatedAt = time.Time{} }), kept: "unreadable", says: "no creation date"},
		"no_date_at_all_stays":                     {image: with(created(time.Time{})), kept: "unreadable", says: "no creation date"},
		"an_unreadable_last_launch_stays":          {image: with(created(ago(days(400))), func(i *ami.Image) { i.Unreadable = []string{`last launched time "x"`} }), kept: "unreadable"},
		"every_unreadable_fact_is_said":            {image: with(func(i *ami.Image) { i.Unreadable = []string{"this", "that"} }), kept: "unreadable", says: "this; that"},
		"a_creation_date_in_the_future_stays":      {image: with(created(now.Add(1))), kept: "future-dated", says: "created 2026-11-23T02:00:00Z, which is in the future"},
		"a_launch_in_the_future_stays":             {image: with(launched(now.Add(day))), kept: "future-dated", says: "last launched 2026-11-24T02:00:00Z"},
		"a_far_future_stays":                       {image: with(created(now.AddDate(5000, 0, 0))), kept: "future-dated"},
		"an_image_created_this_moment_is_new":      {image: with(created(now)), kept: "recently-used", says: "0 days ago"},
		"a_launch_before_the_creation_is_no_fault": {image: with(func(i *ami.Image) { i.CreatedAt, i.LastLaunchedAt = ago(days(300)), ago(days(400)) }), says: "created"},

		// The cooldown, too: only "disabled" and an absent value allow a deregistration.
		"an_absent_protection_is_none":           {image: protection("")},
		"disabled_is_no_protection":              {image: protection("disabled")},
		"cooldown_counts_as_protected":           {image: protection("disabled after 2026-11-24T02:00:00.000Z"), kept: "protected", says: "disabled after 2026-11-24"},
		"a_past_cooldown_counts_as_protected":    {image: protection("disabled after 2020-01-01T00:00:00.000Z"), kept: "protected"},
		"enabled_with_cooldown_is_protected":     {image: protection("enabled-with-cooldown"), kept: "protected", says: "enabled-with-cooldown"},
		"enabled_without_cooldown_is_protected":  {image: protection("enabled-without-cooldown"), kept: "protected"},
		"another_spelling_counts_as_protected":   {image: protection("Disabled"), kept: "protected"},
		"disabled_with_a_blank_is_protected":     {image: protection("disabled "), kept: "protected"},
		"a_value_nobody_knows_counts_as_protect": {image: protection("perhaps"), kept: "protected"},

		// Managed images: AWS Backup is known by its tags and by its name.
		"backup_by_the_tag_of_its_source":        {image: with(tagged("aws:backup:source-resource", "i-1")), kept: "managed", says: "AWS Backup: delete its recovery point"},
		"backup_by_the_tag_of_its_copies":        {image: with(tagged("AWSBackupManagedResource", "")), kept: "managed", says: "AWS Backup"},
		"backup_by_its_name":                     {image: with(named("AwsBackup_i-0123456789abcdef0_b8d1a1f2-0000-4000-8000-000000000000")), kept: "managed", says: "AWS Backup (its name)"},
		"lifecycle_manager_by_its_system_tag":    {image: with(tagged("aws:dlm:lifecycle-policy-id", "policy-1")), kept: "managed", says: "Data Lifecycle Manager"},
		"lifecycle_manager_by_its_user_tag":      {image: with(tagged("dlm:managed", "true")), kept: "managed", says: "Data Lifecycle Manager"},
		"lifecycle_manager_by_its_name":          {image: with(named("DLM_policy-0123456789abcdef0_i-0123456789abcdef0_2026-01-01")), kept: "managed", says: "(its name)"},
		"image_builder_by_created_by":            {image: with(tagged("CreatedBy", "EC2 Image Builder")), kept: "managed", says: "EC2 Image Builder"},
		"image_builder_by_its_arn":               {image: with(tagged("Ec2ImageBuilderArn", "arn:aws:imagebuilder:…")), kept: "managed", says: "EC2 Image Builder"},
		"image_builder_can_be_judged":            {image: with(tagged("CreatedBy", "EC2 Image Builder"), tagged("Ec2ImageBuilderArn", "arn:…")), policy: builder},
		"where_it_is_backup_is_not":              {image: with(tagged("Ec2ImageBuilderArn", "arn:…"), tagged("aws:backup:source-resource", "i-1")), policy: builder, kept: "managed", says: "AWS Backup"},
		"nor_another_service":                    {image: with(tagged("CreatedBy", "EC2 Fast Launch")), policy: builder, kept: "managed", says: "EC2 Fast Launch"},
		"nor_the_tag_of_an_aws_service":          {image: with(tagged("Ec2ImageBuilderArn", "arn:…"), tagged("aws:imagebuilder:x", "")), policy: builder, kept: "managed", says: "tag aws:imagebuilder:x"},
		"fast_launch_by_created_by":              {image: with(tagged("CreatedBy", "EC2 Fast Launch")), kept: "managed", says: "EC2 Fast Launch"},
		"created_by_a_person_is_not_managed":     {image: with(tagged("CreatedBy", "alice"))},
		"created_by_nobody_is_not_managed":       {image: with(tagged("CreatedBy", ""))},
		"disaster_recovery":                      {image: with(tagged("AWSElasticDisasterRecoveryManaged", "drs.amazonaws.com")), kept: "managed", says: "Elastic Disaster Recovery"},
		"application_migration":                  {image: with(tagged("AWSApplicationMigrationServiceManaged", "mgn.amazonaws.com")), kept: "managed", says: "Application Migration Service"},
		"rds_custom":                             {image: with(tagged("AWSRDSCustom", "custom-oracle")), kept: "managed", says: "RDS Custom"},
		"vss":                                    {image: with(tagged("AwsVssConfig", "")), kept: "managed", says: "AWS VSS"},
		"ebs_csi_by_cluster":                     {image: with(tagged("ebs.csi.aws.com/cluster", "true")), kept: "managed", says: "EBS CSI"},
		"ebs_csi_by_volume_snapshot":             {image: with(tagged("CSIVolumeSnapshotName", "x")), kept: "managed", says: "EBS CSI"},
		"eks":                                    {image: with(tagged("eks:eks-cluster-name", "x")), kept: "managed", says: "Amazon EKS"},
		"any_tag_of_an_aws_service_is_a_manager": {image: with(tagged("aws:servicecatalog:provisioningPrincipalArn", "x")), kept: "managed", says: "tag aws:servicecatalog:"},
		"cloudformation_is_not_a_manager":        {image: with(tagged("aws:cloudformation:stack-name", "x"))},
		"a_person_can_write_nearly_the_same_tag": {image: with(tagged("awsbackup", "x"), tagged("my:aws:backup:x", ""))},
		"an_aws_alias_is_a_manager":              {image: with(func(i *ami.Image) { i.OwnerAlias = "aws-backup-vault" }), kept: "managed", says: "aws-backup-vault"},

		"a_product_code_stays":                  {image: with(product), kept: "marketplace", says: "as images do that are made from instances of one", unsaid: "listing"},
		"a_product_code_can_be_judged":          {image: with(product), policy: buyer},
		"a_public_product_stays_for_its_code":   {image: with(product, public), policy: func(p *retention.Policy) { p.JudgeShared = true }, kept: "marketplace", says: "everyone may launch it"},
		"a_public_product_is_not_judged":        {image: with(product, public), policy: sharing, kept: "marketplace", says: "everyone may launch it, and it carries"},
		"nor_a_product_of_a_service":            {image: with(product, tagged("aws:backup:source-resource", "i-1")), policy: buyer, kept: "managed"},
		"nor_one_that_AWS_owns":                 {image: with(product, func(i *ami.Image) { i.OwnerAlias = "aws-marketplace" }), policy: buyer, kept: "managed"},
		"a_name_that_only_mentions_backup_goes": {image: with(named("my AwsBackup_copy"))},

		"a_public_image_stays": {image: with(func(i *ami.Image) { i.Public = true }), kept: "public", says: "everyone may launch it"},

		// Keep tags: keys and values are compared one by one, as wholes.
		"the_keep_tag_keeps":                           {image: with(tagged("ami-janitor:keep", "true")), kept: "keep-tag", says: "tagged ami-janitor:keep"},
		"the_keep_tag_tells_its_reason":                {image: with(tagged("ami-janitor:keep", " rollback of v2 ")), kept: "keep-tag", says: "tagged ami-janitor:keep: rollback of v2"},
		"the_keep_tag_tells_no_more_than_true":         {image: with(tagged("ami-janitor:keep", "True")), kept: "keep-tag", says: "tagged ami-janitor:keep"},
		"the_keep_tag_keeps_without_a_value":           {image: with(tagged("ami-janitor:keep", "")), kept: "keep-tag"},
		"the_keep_tag_keeps_with_any_value":            {image: with(tagged("ami-janitor:keep", "no, really")), kept: "keep-tag"},
		"the_keep_tag_keeps_with_a_blank_after_false":  {image: with(tagged("ami-janitor:keep", "false ")), kept: "keep-tag"},
		"a_keep_tag_of_false_does_not_keep":            {image: with(tagged("ami-janitor:keep", "false"))},
		"a_keep_tag_of_FALSE_does_not_keep":            {image: with(tagged("ami-janitor:keep", "FALSE"))},
		"the_keep_tag_keeps_in_any_case":               {image: with(tagged("AMI-Janitor:Keep", "yes")), kept: "keep-tag", says: "tagged AMI-Janitor:Keep"},
		"one_keep_tag_of_two_keeps":                    {image: with(tagged("AMI-JANITOR:KEEP", "false"), tagged("ami-janitor:keep", "1")), kept: "keep-tag"},
		"a_longer_key_is_not_the_keep_tag":             {image: with(tagged("ami-janitor:keep2", "true")), kept: "unreadable-tag", says: "ami-janitor:keep2: the janitor knows no such tag"},
		"a_misspelt_tag_of_ours_may_be_a_wish_to_keep": {image: with(tagged("AMI-Janitor:Kep", "true")), kept: "unreadable-tag"},
		"blanks_around_the_keep_tag_do_not_matter":     {image: with(tagged(" ami-janitor:keep", "true")), kept: "keep-tag"},
		"the_restored_tag_is_read_in_any_case":         {image: with(tagged("AMI-Janitor:Restored", "2026-11-20")), kept: "recently-used", says: "restored 2026-11-20"},
		"the_longest_limit_counts":                     {image: with(tagged("AMI-Janitor:Stale-After", "9999d"), tagged("ami-janitor:stale-after", "30d")), kept: "recently-used"},
		"a_configured_key_keeps":                       {image: with(tagged("pinned", "")), policy: keep("pinned"), kept: "keep-tag", says: "tagged pinned"},
		"the_second_of_two_configured_tags_keeps":      {image: with(tagged("b", "2")), policy: keep("a=1,b=2"), kept: "keep-tag", says: "tagged b=2"},
		"another_value_does_not_keep":                  {image: with(tagged("env", "production")), policy: keep("env=prod")},
		"two_tags_do_not_make_a_match":                 {image: with(tagged("env", "dev"), tagged("tier", "prod")), policy: keep("env=prod")},
		"a_configured_tag_is_compared_with_its_case":   {image: with(tagged("Env", "prod")), policy: keep("env=prod")},
		"a_configured_empty_value_is_a_value":          {image: with(tagged("env", "prod")), policy: keep("env=")},
		"a_configured_empty_value_keeps_its_like":      {image: with(tagged("env", "")), policy: keep("env="), kept: "keep-tag"},
		"a_configured_value_may_hold_an_equals_sign":   {image: with(tagged("a", "b=c")), policy: keep("a=b=c"), kept: "keep-tag"},
		"the_keep_tag_is_honoured_beside_configured":   {image: with(tagged("ami-janitor:keep", "")), policy: keep("pinned"), kept: "keep-tag"},
		"a_configured_keep_tag_wins_over_its_false":    {image: with(tagged("ami-janitor:keep", "false")), policy: keep("ami-janitor:keep"), kept: "keep-tag"},
		"an_image_without_tags_is_judged_like_any":     {image: with(func(i *ami.Image) { i.Tags = nil }), policy: keep("pinned")},
		"an_image_without_tags_is_not_in_tag_scope":    {image: with(func(i *ami.Image) { i.Tags = nil }), policy: only("team"), kept: "out-of-scope"},

		// The keep list; more in keeplist_test.go.
		"an_id_on_the_keep_list_keeps":       {image: with(func(i *ami.Image) { i.Name = "" }), policy: list(subject), kept: "keep-list", says: "listed as " + subject},
		"a_name_on_the_keep_list_keeps":      {policy: list("golden"), kept: "keep-list", says: "listed as golden"},
		"a_glob_on_the_keep_list_keeps":      {policy: list("silver\ngold*\n*"), kept: "keep-list", says: "listed as gold*"},
		"another_name_on_the_keep_list_not":  {policy: list("golden-2")},
		"a_part_of_a_name_is_not_the_name":   {policy: list("olde")},
		"the_keep_list_knows_cases":          {policy: list("Golden")},
		"the_keep_list_and_a_tag_both_speak": {image: with(tagged("other", "")), policy: func(p *retention.Policy) { p.KeepTags, p.KeepList = tags(t, "nothing"), keepList(t, "golden") }, kept: "keep-list"},

		// Announcements; more in grace_test.go.
		"an_announcement_without_its_day_is_an_objection": {image: with(marked("2026-12-01"), untagged(ami.DueTag)), kept: "vetoed", says: "somebody took the tag ami-janitor:due off"},
		"an_announcement_that_nobody_recorded":            {image: with(marked("2026-11-01"), noRecord), kept: "unrecorded", says: "its tags say that its removal was announced for 2026-11-01, and no record of this policy says that"},
		"an_unreadable_day_stays":                         {image: with(marked("soon")), kept: "unreadable-tag", says: `ami-janitor:due: "soon" is not a date`},
		"no_room_for_an_announcement": {
			image: with(func(i *ami.Image) {
				for n := range 49 {
					i.Tags[strings.Repeat("t", n+1)] = ""
				}
			}),
			policy: grace(14, retention.Announce), kept: "no-room-for-tags",
		},
		"disabled_by_the_janitor_goes":   {image: with(disabledUntil("2026-11-23"))},
		"disabled_by_somebody_else_not":  {image: with(marked("2026-11-23"), state("disabled")), kept: "not-available", says: "in state disabled"},
		"disabled_by_another_policy_not": {image: with(disabledUntil("2026-11-23"), announcedBy(theRun, theirs), record(theRun, theirs, "2026-11-23", retention.Disable)), kept: "not-available", says: "in state disabled"},

		// Removals that a run has declared. theRun began two weeks ago, lateRun two hours ago.
		"declared_and_known_not_to_be_begun_it_goes": {image: with(declared(theRun)), history: ami.History{NotAttempted: map[string][]string{subject: {theRun}}}},
		"the_same_of_a_run_of_today_goes":            {image: with(declared(lateRun)), history: ami.History{NotAttempted: map[string][]string{subject: {lateRun}}}},
		"declared_by_a_run_of_today_stays":           {image: with(declared(lateRun)), kept: "claimed", says: "run " + lateRun + " has declared its removal"},
		"declared_in_other_words_as_well":            {image: with(tagged("AMI-Janitor:Intent", " remove "), tagged(" ami-janitor:RUN", lateRun)), kept: "claimed"},
		"known_not_to_be_begun_by_another_run":       {image: with(declared(lateRun)), history: ami.History{NotAttempted: map[string][]string{subject: {theRun}}}, kept: "claimed"},
		"two_runs_known_not_to_have_begun_it_goes":   {image: with(declared(lateRun)), history: ami.History{NotAttempted: map[string][]string{subject: {theRun, lateRun}}}},
		"another_image_known_not_to_be_begun":        {image: with(declared(lateRun)), history: ami.History{NotAttempted: map[string][]string{"ami-2": {lateRun}}}, kept: "claimed"},
		"claimed_for_nearly_twelve_hours":            {image: with(declared("20261122T140001Z-3f9c1a")), kept: "claimed"},
		"claimed_for_twelve_hours_and_no_longer":     {image: with(declared("20261122T140000Z-3f9c1a")), kept: "restored"},
		"claimed_by_a_clock_that_is_ahead":           {image: with(declared("20261123T135959Z-3f9c1a")), kept: "claimed"},
		"claimed_by_no_clock_of_this_world":          {image: with(declared("20261123T140000Z-3f9c1a")), kept: "restored"},
		"nor_by_one_at_the_end_of_time":              {image: with(declared("99991231T000000Z-3f9c1a")), kept: "restored"},
		"the_later_of_two_runs_claims":               {image: with(declared(theRun), tagged("AMI-Janitor:Run", lateRun)), kept: "claimed"},
		"in_whatever_order":                          {image: with(declared(lateRun), tagged("AMI-Janitor:Run", theRun)), kept: "claimed"},
		"an_announcement_of_today_claims_nothing":    {image: with(marked("2026-11-23"), announcedBy(lateRun, ours), record(lateRun, ours, "2026-11-23", retention.Announce)), says: "its removal was announced for"},
		"a_removal_of_today_that_was_noted":          {image: with(declared(lateRun)), history: ami.History{Removed: map[string]string{subject: lateRun}}, kept: "restored", says: "run " + lateRun + " has removed it, or may have, and it is there again"},

		"declared_and_perhaps_done_it_stays":        {image: with(declared(theRun)), kept: "restored", says: "run " + theRun + " declared its removal, as its tags say, and may have removed it"},
		"not_begun_by_another_run_it_stays":         {image: with(declared(theRun)), history: ami.History{NotAttempted: map[string][]string{subject: {earlierRun}}}, kept: "restored"},
		"another_image_was_not_begun":               {image: with(declared(theRun)), history: ami.History{NotAttempted: map[string][]string{"ami-2": {theRun}}}, kept: "restored"},
		"an_announced_image_was_perhaps_removed":    {image: with(marked("2026-11-20"), declared(theRun)), kept: "restored"},
		"a_disabled_image_was_perhaps_removed":      {image: with(disabledUntil("2026-11-20"), declared(theRun)), kept: "restored"},
		"an_announced_image_was_not_begun":          {image: with(marked("2026-11-20"), declared(theRun)), history: ami.History{NotAttempted: map[string][]string{subject: {theRun}}}, says: "announced for 2026-11-20"},
		"a_disabled_image_was_not_begun":            {image: with(disabledUntil("2026-11-20"), declared(theRun)), history: ami.History{NotAttempted: map[string][]string{subject: {theRun}}}, says: "announced for 2026-11-20"},
		"declared_by_nobody_it_stays":               {image: with(tagged(ami.IntentTag, "remove")), kept: "restored", says: "a run that its tags do not name declared its removal, and may have removed it"},
		"declared_by_nobody_and_not_begun_by_one":   {image: with(tagged(ami.IntentTag, "remove")), history: ami.History{NotAttempted: map[string][]string{subject: {""}}}, kept: "restored"},
		"declared_by_an_empty_run_it_stays":         {image: with(declared("")), kept: "restored", says: "a run that its tags do not name"},
		"declared_by_a_run_without_a_date_it_stays": {image: with(declared("by hand")), kept: "restored", says: "run by hand declared"},
		"a_run_that_declares_nothing_is_a_part":     {image: with(tagged(ami.RunTag, theRun)), kept: "restored", says: "it carries the tag ami-janitor:run without ami-janitor:intent"},
		"declared_as_something_else_it_stays":       {image: with(declared(theRun), tagged(ami.IntentTag, "archive")), kept: "unreadable-tag", says: `ami-janitor:intent: "archive" is not "remove"`},
		"declared_as_nothing_it_stays":              {image: with(tagged(ami.IntentTag, "")), kept: "unreadable-tag"},
		"declared_with_another_case_it_stays":       {image: with(tagged(ami.IntentTag, "Remove")), kept: "unreadable-tag"},
		"removed_and_there_again_it_stays":          {history: ami.History{Removed: map[string]string{subject: theRun}}, kept: "restored", says: "run " + theRun + " has removed it, or may have, and it is there again"},
		"another_was_removed":                       {history: ami.History{Removed: map[string]string{"ami-2": theRun}}},
		"removed_after_it_was_restored_it_stays":    {image: with(tagged(ami.RestoredTag, "2026-02-01")), history: ami.History{Removed: map[string]string{subject: theRun}}, kept: "restored"},
		"restored_the_day_before_it_stays":          {image: with(tagged(ami.RestoredTag, "2025-12-31")), history: ami.History{Removed: map[string]string{subject: earlierRun}}, kept: "restored"},
		"restored_on_the_day_it_is_idle_again":      {image: with(tagged(ami.RestoredTag, "2026-01-01")), history: ami.History{Removed: map[string]string{subject: earlierRun}}},
		"restored_and_still_declared_it_stays":      {image: with(declared(earlierRun), tagged(ami.RestoredTag, "2026-01-01")), history: ami.History{Removed: map[string]string{subject: earlierRun}}, kept: "restored"},
		"restored_and_noted_it_is_used":             {image: with(tagged(ami.RestoredTag, "2026-11-10")), history: ami.History{Removed: map[string]string{subject: theRun}}, kept: "recently-used"},
		"removed_by_a_run_without_a_date_it_stays":  {image: with(tagged(ami.RestoredTag, "2026-01-01")), history: ami.History{Removed: map[string]string{subject: "by hand"}}, kept: "restored"},

		// The Recycle Bin.
		"what_the_bin_holds_goes":                  {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(14, 14)},
		"what_the_bin_holds_longer_goes":           {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(15, 30)},
		"for_a_day_less_it_stays":                  {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(13, 14), kept: "not-restorable", says: "the Recycle Bin would hold it for 13 days only, and not for 14"},
		"for_any_time_it_goes":                     {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(0), bin: binOf(1, 1)},
		"a_snapshot_for_a_day_less_stays":          {image: with(mapping("snap-1", "snap-2")), snapshots: plain("snap-1", "snap-2"), policy: requireBin(0), bin: binOf(8, 7), kept: "not-restorable", says: "its snapshot snap-1: the Recycle Bin would hold it for 7 days only, and not for 8"},
		"a_snapshot_that_stays_needs_no_bin":       {image: with(mapping("snap-1", "snap-2")), snapshots: []ami.Snapshot{{ID: "snap-1", Tags: map[string]string{"ami-janitor:keep": ""}}}, policy: requireBin(0), bin: binOf(8, 7)},
		"snapshots_that_stay_need_no_bin":          {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: func(p *retention.Policy) { requireBin(0)(p); p.DeleteSnapshots = false }, bin: ami.RecycleBin{Read: true, Rules: binOf(8, 0).Rules[:1]}},
		"an_instance_store_stays":                  {image: with(mapping("snap-1"), func(i *ami.Image) { i.S3Location = "bucket/image.manifest.xml" }), snapshots: plain("snap-1"), policy: requireBin(0), bin: binOf(8, 8), kept: "not-restorable", says: "instance store"},
		"no_snapshot_stays":                        {policy: requireBin(0), bin: binOf(8, 8), kept: "not-restorable", says: "it has no snapshot"},
		"without_the_bin_an_instance_store_goes":   {image: with(func(i *ami.Image) { i.S3Location = "bucket/image.manifest.xml" })},
		"an_excluded_image_stays":                  {image: with(mapping("snap-1"), tagged("scratch", "yes")), snapshots: plain("snap-1"), policy: requireBin(0), bin: regional("scratch", "yes"), kept: "not-restorable", says: "no Recycle Bin rule covers it, with the tags that it has: rule of-images excludes scratch=yes"},
		"an_excluded_key_with_another_value_goes":  {image: with(mapping("snap-1"), tagged("scratch", "no")), snapshots: plain("snap-1"), policy: requireBin(0), bin: regional("scratch", "yes")},
		"an_excluded_key_without_a_value_stays":    {image: with(mapping("snap-1"), tagged("scratch", "no")), snapshots: plain("snap-1"), policy: requireBin(0), bin: regional("scratch", ""), kept: "not-restorable"},
		"an_excluded_snapshot_stays":               {image: with(mapping("snap-1", "snap-2")), snapshots: []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-2", Tags: map[string]string{"scratch": "yes"}}}, policy: requireBin(0), bin: regional("scratch", "yes"), kept: "not-restorable", says: "its snapshot snap-2: no Recycle Bin rule covers it, with the tags that it has: rule of-snapshots excludes scratch=yes"},
		"an_excluded_snapshot_that_stays_goes":     {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Tags: map[string]string{"scratch": "yes", "ami-janitor:keep": ""}}}, policy: requireBin(0), bin: regional("scratch", "yes")},
		"covered_by_a_tag_of_its_own_goes":         {image: with(mapping("snap-1"), tagged("env", "prod")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(7, 30, ami.BinRule{Images: true, Days: 14, Tags: []ami.Tag{{Key: "x", Value: "y"}, {Key: "env", Value: "prod"}}})},
		"covered_by_the_value_of_another_stays":    {image: with(mapping("snap-1"), tagged("env", "dev")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(7, 30, ami.BinRule{Images: true, Days: 14, Tags: []ami.Tag{{Key: "env", Value: "prod"}}}), kept: "not-restorable"},
		"covered_by_a_key_without_a_value_stays":   {image: with(mapping("snap-1"), tagged("env", "dev")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(7, 30, ami.BinRule{Images: true, Days: 14, Tags: []ami.Tag{{Key: "env"}}}), kept: "not-restorable"},
		"a_rule_for_images_covers_no_snapshots":    {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(14, 7, ami.BinRule{Images: true, Days: 365}), kept: "not-restorable", says: "its snapshot snap-1"},
		"a_longer_rule_for_all_of_the_region_wins": {image: with(mapping("snap-1")), snapshots: plain("snap-1"), policy: requireBin(14), bin: binOf(14, 14, ami.BinRule{Images: true, Days: 20}), kept: "not-restorable", says: "its snapshot snap-1: the Recycle Bin would hold it for 14 days only, and not for 20"},

		// The tag of a limit.
		"a_shorter_limit_of_its_own_counts_if_allowed":      {image: with(created(ago(days(31))), tagged("ami-janitor:stale-after", "30d")), policy: shorter, says: "the limit is 30 days", unsaid: "ALLOW_SHORTER"},
		"within_it_the_image_stays":                         {image: with(created(ago(days(30))), tagged("ami-janitor:stale-after", "30d")), policy: shorter, kept: "recently-used"},
		"a_shorter_limit_does_not_count_otherwise":          {image: with(created(ago(days(90))), tagged("ami-janitor:stale-after", "30d")), kept: "recently-used"},
		"that_of_a_launched_image_neither":                  {image: with(launched(ago(days(180))), tagged("ami-janitor:stale-after", "179d")), kept: "recently-used"},
		"beyond_the_policys_limit_it_says_so":               {image: with(created(ago(days(91))), tagged("ami-janitor:stale-after", "30d")), says: "the limit is 90 days (its tag ami-janitor:stale-after says 30 days, and the policy allows no shorter time)"},
		"a_limit_like_the_policys_is_nothing_special":       {image: with(tagged("ami-janitor:stale-after", "180d")), says: "the limit is 180 days", unsaid: "ALLOW_SHORTER"},
		"a_longer_one_is_none_either":                       {image: with(tagged("ami-janitor:stale-after", "181d")), says: "the limit is 181 days", unsaid: "ALLOW_SHORTER"},
		"a_longer_limit_counts_where_shorter_ones_do":       {image: with(tagged("ami-janitor:stale-after", "365d")), policy: shorter, kept: "recently-used"},
		"a_longer_limit_of_its_own_counts":                  {image: with(tagged("ami-janitor:stale-after", "365d")), kept: "recently-used"},
		"a_limit_of_the_floor_counts_if_allowed":            {image: with(created(ago(days(8))), tagged("ami-janitor:stale-after", "7d")), policy: shorter, says: "the limit is 7 days"},
		"a_limit_below_the_floor_stays":                     {image: with(tagged("ami-janitor:stale-after", "6d")), kept: "unreadable-tag", says: `ami-janitor:stale-after: "6d" is below the floor of 7d`},
		"a_limit_of_nothing_stays":                          {image: with(tagged("ami-janitor:stale-after", "0d")), kept: "unreadable-tag"},
		"an_empty_limit_stays":                              {image: with(tagged("ami-janitor:stale-after", "")), kept: "unreadable-tag", says: `"" is not a number of days`},
		"an_unreadable_limit_stays":                         {image: with(tagged("ami-janitor:stale-after", "30 days")), kept: "unreadable-tag", says: `"30 days"`},
		"a_limit_in_weeks_stays":                            {image: with(tagged("ami-janitor:stale-after", "4w")), kept: "unreadable-tag"},
		"a_negative_limit_stays":                            {image: with(tagged("ami-janitor:stale-after", "-30d")), kept: "unreadable-tag"},
		"a_limit_too_long_to_count_stays":                   {image: with(tagged("ami-janitor:stale-after", "99999999999d")), kept: "unreadable-tag"},
		"a_limit_of_a_century_keeps":                        {image: with(tagged("ami-janitor:stale-after", "36500d")), kept: "recently-used"},
		"a_new_image_with_an_unreadable_limit_stays_for_it": {image: with(created(now), tagged("ami-janitor:stale-after", "x")), kept: "unreadable-tag"},

		// The tag of a restore.
		"a_restore_is_a_use":                            {image: with(tagged("ami-janitor:restored", "2026-10-01")), kept: "recently-used", says: "restored 2026-10-01, 53 days ago"},
		"a_restore_to_the_second_is_a_use":              {image: with(tagged("ami-janitor:restored", "2026-10-01T12:00:00+02:00")), kept: "recently-used", says: "restored 2026-10-01"},
		"an_old_restore_does_not_keep":                  {image: with(tagged("ami-janitor:restored", "2026-02-01")), says: "restored 2026-02-01, 295 days ago"},
		"a_restore_may_have_come_at_the_end_of_its_day": {image: with(tagged("ami-janitor:restored", "2026-05-27")), kept: "recently-used", says: "restored 2026-05-27, 180 days ago"},
		"a_restore_was_over_at_the_end_of_its_day":      {image: with(tagged("ami-janitor:restored", "2026-05-26")), says: "restored 2026-05-26, 181 days ago"},
		"a_restore_of_today_is_a_use":                   {image: with(tagged("ami-janitor:restored", "2026-11-23")), kept: "recently-used", says: "restored 2026-11-23, 0 days ago"},
		"a_restore_before_a_launch_is_moot":             {image: with(tagged("ami-janitor:restored", "2020-02-01")), says: "last launched"},
		"an_unreadable_restore_stays":                   {image: with(tagged("ami-janitor:restored", "01.10.2026")), kept: "unreadable-tag", says: `"01.10.2026" is not a date`},
		"an_empty_restore_stays":                        {image: with(tagged("ami-janitor:restored", "")), kept: "unreadable-tag", says: `"" is not a date`},
		"an_impossible_restore_stays":                   {image: with(tagged("ami-janitor:restored", "2026-02-30")), kept: "unreadable-tag"},
		"a_restore_in_the_future_stays":                 {image: with(tagged("ami-janitor:restored", "2026-11-24")), kept: "future-dated", says: "restored"},
		"two_unreadable_tags_are_both_named":            {image: with(tagged("ami-janitor:restored", "x"), tagged("ami-janitor:stale-after", "y")), kept: "unreadable-tag", says: "; ami-janitor:stale-after"},

		// Scope.
		"an_image_in_scope_by_tag_is_judged":        {image: with(tagged("team", "a")), policy: only("team=a")},
		"an_image_of_another_value_is_out_of_scope": {image: with(tagged("team", "b")), policy: only("team=a"), kept: "out-of-scope", says: "its tags do not match team=a"},
		"one_value_of_a_key_is_enough":              {image: with(tagged("team", "b")), policy: only("team=a,team=b")},
		"every_key_is_needed":                       {image: with(tagged("team", "a")), policy: only("team=a,env"), kept: "out-of-scope"},
		"a_key_without_a_value_takes_any":           {image: with(tagged("team", "zzz")), policy: only("team")},
		"an_image_in_scope_by_name_is_judged":       {policy: scope("gold*")},
		"a_name_must_match_as_a_whole":              {policy: scope("gold"), kept: "out-of-scope", says: "its name does not match gold"},
		"a_question_mark_is_one_character":          {policy: scope("golde?")},
		"a_question_mark_is_not_none":               {policy: scope("golden?"), kept: "out-of-scope"},
		"a_star_is_also_nothing":                    {policy: scope("golden*")},
		"a_name_can_be_taken_out":                   {policy: scope("!gold*"), kept: "out-of-scope"},
		"what_is_not_taken_out_is_judged":           {policy: scope("!silver*")},
		"taken_out_wins_whatever_the_order":         {policy: scope("!gold*,g*"), kept: "out-of-scope"},
		"names_are_compared_with_their_case":        {policy: scope("Golden"), kept: "out-of-scope"},
		"brackets_in_a_glob_are_literal":            {image: with(named("a[bc]d")), policy: scope("a[bc]d")},
		"brackets_in_a_glob_are_no_class":           {image: with(named("abd")), policy: scope("a[bc]d"), kept: "out-of-scope"},
		"a_dot_in_a_glob_is_a_dot":                  {image: with(named("aXb")), policy: scope("a.b"), kept: "out-of-scope"},
		"a_backslash_in_a_glob_is_literal":          {image: with(named(`a\b`)), policy: scope(`a\b`)},
		"a_star_crosses_slashes_and_lines":          {image: with(named("a/b\nc")), policy: scope("a*c")},
		"a_glob_taken_out_keeps_its_blank_out":      {policy: scope("! gold*"), kept: "out-of-scope"},
		"no_name_matches_only_a_star":               {image: with(named("")), policy: scope("?*"), kept: "out-of-scope"},

		// The limits.
		"idle_exactly_at_the_limit_stays":           {image: with(launched(ago(days(180)))), kept: "recently-used", says: "last launched 2026-05-27, 180 days ago"},
		"idle_a_nanosecond_longer_goes":             {image: with(launched(ago(days(180) + 1)))},
		"never_launched_exactly_at_the_limit_stays": {image: with(created(ago(days(90)))), kept: "recently-used", says: "created 2026-08-25, 90 days ago"},
		"never_launched_a_nanosecond_longer_goes":   {image: with(created(ago(days(90) + 1)))},
		"a_launched_image_has_the_other_limit":      {image: with(launched(ago(days(100)))), kept: "recently-used"},
		"a_new_image_launched_long_ago_is_new":      {image: with(func(i *ami.Image) { i.CreatedAt = ago(days(10)) }), kept: "recently-used", says: "created"},
		"the_floor_holds_against_the_policy": {
			image: with(launched(ago(days(7)))), policy: func(p *retention.Policy) { p.StaleAfter = 0 }, kept: "recently-used",
		},
		"the_floor_holds_against_the_policy_for_never_launched": {
			image: with(created(ago(days(7)))), policy: func(p *retention.Policy) { p.NeverLaunchedAfter = 0 }, kept: "recently-used",
		},
		"the_floor_holds_against_a_negative_limit": {
			image: with(created(ago(days(7)))), policy: func(p *retention.Policy) { p.NeverLaunchedAfter = limit(-5) }, kept: "recently-used",
		},
		"a_nanosecond_beyond_the_floor_goes": {
			image: with(launched(ago(days(7) + 1))), policy: func(p *retention.Policy) { p.StaleAfter = 0 }, says: "the limit is 7 days",
		},

		// Copies.
		"a_recent_copy_is_a_use":                                 {others: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(5))))}, kept: "recently-used", says: "copied as ami-2 2026-11-18, 5 days ago"},
		"a_recent_copy_in_another_region_is_a_use":               {elsewhere: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(5))))}, kept: "recently-used", says: "copied as ami-2"},
		"an_old_copy_is_an_old_use":                              {others: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(200))))}, says: "copied as ami-2 2026-05-07, 200 days ago; the limit is 180 days"},
		"the_newest_of_several_copies_counts":                    {others: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(5)))), idle("ami-3", copyOf(subject), created(ago(days(6))))}, kept: "recently-used", says: "ami-2"},
		"the_newest_of_several_copies_counts_though_listed_last": {others: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(6)))), idle("ami-3", copyOf(subject), created(ago(days(5))))}, kept: "recently-used", says: "ami-3"},
		"a_launch_of_a_copy_is_no_use_of_its_source":             {others: []ami.Image{idle("ami-2", copyOf(subject), launched(now))}},
		"a_copy_without_a_date_may_be_recent":                    {others: []ami.Image{idle("ami-2", copyOf(subject), created(time.Time{})), idle("ami-3", copyOf(subject))}, kept: "unreadable", says: "the creation date of its copy ami-2"},
		"a_copy_of_the_future_stays":                             {others: []ami.Image{idle("ami-2", copyOf(subject), created(now.Add(day)))}, kept: "future-dated", says: "copied as ami-2"},
		"a_failed_copy_is_a_use":                                 {others: []ami.Image{idle("ami-2", copyOf(subject), created(ago(days(5))), func(i *ami.Image) { i.State = "failed" })}, kept: "recently-used"},
		"an_image_is_not_its_own_copy":                           {image: with(copyOf(subject))},
		"a_copy_of_something_else_is_no_use":                     {others: []ami.Image{idle("ami-2", copyOf("ami-3"), created(now))}},
		"images_without_a_source_are_not_copies":                 {others: []ami.Image{idle("ami-2", created(now))}},

		// Families; more in family_test.go.
		"the_newest_of_its_family_stays": {image: with(named("web-20260101")), others: []ami.Image{idle("ami-2", named("web-20250101"), created(ago(days(500))))}, kept: "newest-of-family", says: "the newest of family web-*"},
		"the_second_of_its_family_goes":  {image: with(named("web-20250101")), others: []ami.Image{idle("ami-2", named("web-20260101"), created(ago(days(350))))}},

		// Snapshots that keep their image.
		"an_unclear_snapshot_stays": {image: with(mapping("snap-1", "snap-2")), snapshots: []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-2", Unreadable: "listed twice"}}, kept: "snapshot-unclear", says: "snap-2: listed twice"},
		"a_locked_snapshot_stays":   {image: with(mapping("snap-1", "snap-2")), snapshots: []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-2", Lock: "governance"}}, kept: "snapshot-locked", says: "snap-2 is locked (governance)"},
		"a_snapshot_shared_with_what_was_just_removed_stays": {
			image: with(mapping("snap-1", "snap-2")), snapshots: plain("snap-1", "snap-2"), others: []ami.Image{idle("ami-2", mapping("snap-2"))},
			history: ami.History{Removed: map[string]string{"ami-2": lateRun}}, kept: "snapshot-in-doubt", says: "snap-2 is one of ami-2 as well, which run " + lateRun + " has removed, or may have",
		},
		"what_was_removed_a_day_ago_is_there_again": {
			image: with(mapping("snap-1")), snapshots: plain("snap-1"), others: []ami.Image{idle("ami-2", mapping("snap-1"))},
			history: ami.History{Removed: map[string]string{"ami-2": theRun}},
		},
		"what_was_just_removed_has_other_snapshots": {
			image: with(mapping("snap-1")), snapshots: plain("snap-1", "snap-2"), others: []ami.Image{idle("ami-2", mapping("snap-2"))},
			history: ami.History{Removed: map[string]string{"ami-2": lateRun}},
		},
		"what_was_just_removed_and_is_not_listed_does_not_matter": {
			image: with(mapping("snap-1")), snapshots: plain("snap-1"), history: ami.History{Removed: map[string]string{"ami-2": lateRun}},
		},
		"a_lock_in_compliance_cooloff_stays": {
			image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Lock: "compliance-cooloff"}}, kept: "snapshot-locked",
		},
		"a_lock_in_compliance_stays":          {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Lock: "compliance"}}, kept: "snapshot-locked"},
		"a_lock_in_an_unknown_state_stays":    {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Lock: "in an unknown state"}}, kept: "snapshot-locked"},
		"an_expired_lock_does_not_keep":       {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Lock: "expired"}}},
		"the_lock_of_another_snapshot_is_not": {image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1"}, {ID: "snap-9", Lock: "compliance"}}},
		"a_locked_snapshot_stays_although_snapshots_are_left": {
			image: with(mapping("snap-1")), snapshots: []ami.Snapshot{{ID: "snap-1", Lock: "compliance"}},
			policy: func(p *retention.Policy) { p.DeleteSnapshots = false }, kept: "snapshot-locked",
		},
	}
}

func TestFacts(t *testing.T) {
	for name, test := range factCases(t) {
		t.Run(name, func(t *testing.T) {
			p := policy()
			if test.policy != nil {
				test.policy(&p)
			}
			here := inventory(region, append([]ami.Image{idle(subject, test.image...)}, test.others...)...)
			here = past(here, test.history)
			here.Snapshots, here.Bin = test.snapshots, test.bin
			if test.account == "-" {
				here.Account = ""
			}
			there := inventory("us-east-1", test.elsewhere...)
			v := judge(t, p, here, there)[subject]

			if test.kept != "" {
				if v.Decision != retention.Keep || !slices.Equal(codes(v), []retention.Code{test.kept}) {
					t.Errorf("%s because of %v, want keep because of %s", v.Decision, v.Reasons, test.kept)
				}
			} else if v.Decision != retention.Deregister || len(v.Reasons) != 1 {
				t.Errorf("%s because of %v, want deregister", v.Decision, v.Reasons)
			}
			if !strings.Contains(details(v), test.says) {
				t.Errorf("reasons %q do not say %q", v.Reasons, test.says)
			}
			if test.unsaid != "" && strings.Contains(details(v), test.unsaid) {
				t.Errorf("reasons %q say %q", v.Reasons, test.unsaid)
			}

			candidates := p.Open([]ami.Inventory{here, there}, now).Candidates()[region]
			isCandidate := slices.ContainsFunc(candidates, func(i ami.Image) bool { return i.ID == subject })
			if isCandidate != (test.kept == "") {
				t.Errorf("candidate: %t, but kept by %q", isCandidate, test.kept)
			}
		})
	}
}

// An image that was never launched has a code of its own.
func TestWhyStale(t *testing.T) {
	for name, test := range map[string]struct {
		image func(*ami.Image)
		want  retention.Code
	}{
		"launched":       {launched(ago(days(300))), "stale"},
		"never_launched": {created(ago(days(300))), "never-launched"},
	} {
		t.Run(name, func(t *testing.T) {
			got := codes(judge(t, policy(), inventory(region, idle(subject, test.image)))[subject])
			if !slices.Equal(got, []retention.Code{test.want}) {
				t.Errorf("reasons %v, want %s", got, test.want)
			}
		})
	}
}

// All rules that keep an image are named, not only the first: a person who lifts one must know the
// others.
func TestEveryRuleThatKeepsIsNamed(t *testing.T) {
	image := idle(subject, created(now), tagged("ami-janitor:keep", ""), func(i *ami.Image) {
		i.Protection, i.Public, i.State = "enabled-without-cooldown", true, "disabled"
	})
	got := codes(judge(t, policy(), inventory(region, image))[subject])
	want := []retention.Code{"not-available", "protected", "public", "keep-tag", "recently-used"}
	if !slices.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
}

func TestTheZeroPolicyRemovesNothing(t *testing.T) {
	here := inventory(region, idle(subject), idle("ami-2"))
	plans := retention.Policy{}.Open([]ami.Inventory{here}, now).Plan(unused(here))
	if got := decided(plans, retention.Deregister); len(got) > 0 {
		t.Errorf("removes %v", got)
	}
}

// Every image is judged, in a region without images too.
func TestAPlanForEachInventory(t *testing.T) {
	inventories := []ami.Inventory{inventory("us-east-1"), inventory(region, idle(subject)), {}}
	plans := policy().Open(inventories, now).Plan(nil)
	if len(plans) != 3 || plans[0].Region != "us-east-1" || plans[1].Region != region || plans[1].Account != account {
		t.Fatalf("plans %+v", plans)
	}
	if len(plans[0].Verdicts) != 0 || len(plans[1].Verdicts) != 1 {
		t.Errorf("verdicts: %d and %d, want 0 and 1", len(plans[0].Verdicts), len(plans[1].Verdicts))
	}
}
