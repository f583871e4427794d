package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// deletes is the verdict on a snapshot that is deleted with an image.
func deletes(id string, sizeGiB int64, last string) retention.SnapshotVerdict {
	return retention.SnapshotVerdict{SnapshotID: id, SizeGiB: sizeGiB, Delete: true, LastImageID: last}
}

func leaves(id string, sizeGiB int64, why string) retention.SnapshotVerdict {
	return retention.SnapshotVerdict{SnapshotID: id, SizeGiB: sizeGiB, Why: why}
}

// Each case is about a snapshot that somebody took a day and a second, or less, before the first of
// the images that map it was made. The images are removed; a snapshot with a life of its own stays.
func TestSnapshotsTakenByHand(t *testing.T) {
	const by = "somebody took it on 2025-10-18 for no image: the first one with it was made on 2025-10-19"
	made := ago(days(400)) // 2025-10-19 02:00 UTC, as idle makes images.
	stays := func(*ami.Snapshot) {}
	for name, test := range map[string]struct {
		change func(*ami.Snapshot)
		images []ami.Image
		policy func(*retention.Policy)
		want   []retention.SnapshotVerdict
	}{
		"long before":                      {stays, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{apart("snap-1", 500, by)}},
		"long before two":                  {stays, []ami.Image{idle("ami-1", mapping("snap-1")), idle("ami-2", mapping("snap-1"), created(ago(days(300))))}, nil, []retention.SnapshotVerdict{apart("snap-1", 500, by)}},
		"a day before":                     {func(s *ami.Snapshot) { s.StartedAt = made.Add(-days(1)) }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"after":                            {func(s *ami.Snapshot) { s.StartedAt = made.Add(1) }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"made for an image":                {func(s *ami.Snapshot) { s.ImageID = "ami-gone" }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"made by VM Import":                {func(s *ami.Snapshot) { s.Imported = true }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"EC2 does not say when":            {func(s *ami.Snapshot) { s.StartedAt = time.Time{} }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"one of its images is as old":      {stays, []ami.Image{idle("ami-1", mapping("snap-1")), idle("ami-2", mapping("snap-1"), created(ago(days(401))))}, nil, []retention.SnapshotVerdict{deletes("snap-1", 500, "ami-1")}},
		"it is tagged to be kept":          {func(s *ami.Snapshot) { s.Tags = map[string]string{"ami-janitor:keep": ""} }, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{leaves("snap-1", 500, "tagged ami-janitor:keep")}},
		"another image uses it":            {stays, []ami.Image{idle("ami-1", mapping("snap-1")), idle("ami-2", mapping("snap-1"), launched(ago(days(1))))}, nil, []retention.SnapshotVerdict{leaves("snap-1", 500, "ami-2 still uses it")}},
		"it has no room for more tags":     {crowd, []ami.Image{idle("ami-1", mapping("snap-1"))}, nil, []retention.SnapshotVerdict{apart("snap-1", 500, by)}},
		"snapshots are not deleted at all": {stays, []ami.Image{idle("ami-1", mapping("snap-1"))}, func(p *retention.Policy) { p.DeleteSnapshots = false }, []retention.SnapshotVerdict{leaves("snap-1", 500, "the policy keeps all snapshots")}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(func(p *retention.Policy) { p.KeepNewest = 0 })
			if test.policy != nil {
				test.policy(&p)
			}
			here := inventory(region, test.images...)
			here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 500, StartedAt: made.Add(-days(1) - time.Second)}}
			test.change(&here.Snapshots[0])
			got := judge(t, p, here)["ami-1"]
			if diff := cmp.Diff(test.want, got.Snapshots); diff != "" || got.Decision != retention.Deregister {
				t.Errorf("%s (-want +got):\n%s", got.Decision, diff)
			}
		})
	}
}

// Of the snapshots of a failed image only those go that EC2 made for that very image.
func TestSnapshotsOfFailedImages(t *testing.T) {
	const why = "ami-1 has failed, and nothing says that the snapshot was made for it"
	made := ago(days(400))
	failed := idle("ami-1", mapping("snap-1"), named("import-ami-0123456789abcdef0"), created(made), func(i *ami.Image) { i.State = "failed" })
	ours := func(s *ami.Snapshot) { s.ImageID = "ami-1" }
	beside := idle("ami-2", mapping("snap-1"), created(ago(days(300))))
	used := idle("ami-2", mapping("snap-1"), launched(ago(days(1))))
	goes := []retention.SnapshotVerdict{deletes("snap-1", 8, "ami-1")}
	stays := []retention.SnapshotVerdict{apart("snap-1", 8, why)}
	for name, test := range map[string]struct {
		change func(*ami.Snapshot)
		others []ami.Image
		want   []retention.SnapshotVerdict
	}{
		"made for it":                      {ours, nil, goes},
		"made by an import":                {func(s *ami.Snapshot) { s.Imported = true }, nil, stays},
		"made for another image":           {func(s *ami.Snapshot) { s.ImageID = "ami-2" }, nil, stays},
		"made for nothing that it says":    {func(*ami.Snapshot) {}, nil, stays},
		"a day before":                     {func(s *ami.Snapshot) { ours(s); s.StartedAt = made.Add(-days(1)) }, nil, goes},
		"more than a day before":           {func(s *ami.Snapshot) { ours(s); s.StartedAt = made.Add(-days(1) - 1) }, nil, stays},
		"nobody knows when":                {func(s *ami.Snapshot) { ours(s); s.StartedAt = time.Time{} }, nil, stays},
		"another image goes, too":          {func(s *ami.Snapshot) { s.ImageID = "ami-2" }, []ami.Image{beside}, stays},
		"another image goes, and it's its": {ours, []ami.Image{beside}, []retention.SnapshotVerdict{deletes("snap-1", 8, "ami-2")}},
		"another image uses it":            {ours, []ami.Image{used}, []retention.SnapshotVerdict{leaves("snap-1", 8, "ami-2 still uses it")}},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, append(test.others, failed)...)
			here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 8, StartedAt: made}}
			test.change(&here.Snapshots[0])
			p := policy(func(p *retention.Policy) { p.KeepNewest, p.JudgeFailed = 0, true })
			got := judge(t, p, here)["ami-1"]
			if diff := cmp.Diff(test.want, got.Snapshots); diff != "" || got.Decision != retention.Deregister {
				t.Errorf("%s because of %q (-want +got):\n%s", got.Decision, got.Reasons, diff)
			}
		})
	}
}

// crowd leaves no room for another tag.
func crowd(s *ami.Snapshot) {
	s.Tags = map[string]string{}
	for n := range 50 {
		s.Tags[fmt.Sprint("t", n)] = ""
	}
}

// apart is the verdict on a snapshot that stays for a life of its own.
func apart(id string, sizeGiB int64, why string) retention.SnapshotVerdict {
	return retention.SnapshotVerdict{SnapshotID: id, SizeGiB: sizeGiB, Why: why, Apart: true}
}

// A shared snapshot stays when its image is removed. If sharing is unknown, the image stays, and
// with it the snapshots that it shares with others.
func TestSharedSnapshots(t *testing.T) {
	private := []retention.SnapshotVerdict{deletes("snap-1", 8, "ami-1"), deletes("snap-2", 100, "ami-2")}
	beside := []retention.SnapshotVerdict{leaves("snap-2", 100, "ami-1 still uses it")}
	for name, test := range map[string]struct {
		sharing map[string]ami.Sharing
		why     string // Why the first image stays; empty if it is removed.
		first   []retention.SnapshotVerdict
		second  []retention.SnapshotVerdict
	}{
		"nobody has asked yet": {nil, "", private, private[1:]},
		"it is private":        {map[string]ami.Sharing{"snap-1": {}, "snap-2": {}}, "", private, private[1:]},
		"it is shared": {
			map[string]ami.Sharing{"snap-1": {With: []ami.Grantee{{Account: "111122223333"}}}, "snap-2": {}},
			"",
			[]retention.SnapshotVerdict{apart("snap-1", 8, "shared with account 111122223333"), private[1]},
			private[1:],
		},
		"it is public": {
			map[string]ami.Sharing{"snap-1": {With: []ami.Grantee{{Everybody: true}}}, "snap-2": {}},
			"",
			[]retention.SnapshotVerdict{apart("snap-1", 8, "shared with everyone"), private[1]},
			private[1:],
		},
		"the answer is an error": {
			map[string]ami.Sharing{"snap-1": {Err: "denied"}, "snap-2": {}},
			"snap-1: with whom it is shared is not known: denied",
			nil,
			beside,
		},
		"an error beside what is seen": {
			map[string]ami.Sharing{"snap-1": {With: []ami.Grantee{{Everybody: true}}, Err: "cut"}, "snap-2": {}},
			"snap-1: with whom it is shared is not known: cut",
			nil,
			beside,
		},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, idle("ami-1", mapping("snap-1", "snap-2")), idle("ami-2", mapping("snap-2"), launched(ago(days(300)))))
			here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 8}, {ID: "snap-2", SizeGiB: 100}}
			evidence := unused(here)
			evidence[region] = ami.Evidence{Images: evidence[region].Images, Sharing: test.sharing}
			got := verdicts(policy().Open([]ami.Inventory{here}, now).Plan(evidence))
			first, second := got["ami-1"], got["ami-2"]
			if diff := cmp.Diff(test.first, first.Snapshots) + cmp.Diff(test.second, second.Snapshots); diff != "" || second.Decision != retention.Deregister {
				t.Errorf("%s (-want +got):\n%s", second.Decision, diff)
			}
			kept := []retention.Reason{{Code: "unknown-use", Detail: test.why}}
			if stays := first.Decision == retention.Keep; stays != (test.why != "") || stays && !slices.Equal(first.Reasons, kept) {
				t.Errorf("%s because of %q", first.Decision, first.Reasons)
			}
		})
	}
}

// Each case is about two snapshots and the images that map them: ami-1, the stalest, ami-2 and
// ami-3.
func TestSnapshots(t *testing.T) {
	snapshots := func(changes ...func(*ami.Snapshot)) []ami.Snapshot {
		listed := []ami.Snapshot{{ID: "snap-1", SizeGiB: 8}, {ID: "snap-2", SizeGiB: 100}}
		for _, change := range changes {
			change(&listed[0])
		}
		return listed
	}
	tag := func(key, value string) func(*ami.Snapshot) {
		return func(s *ami.Snapshot) { s.Tags = map[string]string{key: value} }
	}
	stalest := func(changes ...func(*ami.Image)) ami.Image {
		return idle("ami-1", append(changes, launched(ago(days(500))))...)
	}
	second := func(changes ...func(*ami.Image)) ami.Image {
		return idle("ami-2", append([]func(*ami.Image){launched(ago(days(400)))}, changes...)...)
	}
	kept := func(i *ami.Image) { i.Protection = "enabled-without-cooldown" }
	none := func(*retention.Policy) {}
	cap1 := func(p *retention.Policy) { p.MaxDeregistrations = 1 }

	for name, test := range map[string]struct {
		policy    func(*retention.Policy)
		images    []ami.Image
		snapshots []ami.Snapshot
		want      map[string][]retention.SnapshotVerdict
	}{
		"every_snapshot_of_an_image_goes_sorted": {
			none,
			[]ami.Image{stalest(mapping("snap-2", "snap-1"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-1"), deletes("snap-2", 100, "ami-1")}},
		},
		"a_snapshot_mapped_twice_goes_once": {
			none,
			[]ami.Image{stalest(mapping("snap-1", "snap-1"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-1")}},
		},
		"an_image_without_snapshots_has_none": {
			none,
			[]ami.Image{stalest()},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": nil},
		},
		"shared_by_two_that_go_it_goes_with_the_last": {
			none,
			[]ami.Image{second(mapping("snap-1")), stalest(mapping("snap-1"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-2")}, "ami-2": {deletes("snap-1", 8, "ami-2")}},
		},
		"shared_with_one_that_stays_it_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1")), second(mapping("snap-1"), kept)},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "ami-2 still uses it")}, "ami-2": nil},
		},
		"shared_with_a_deferred_one_it_stays": {
			cap1,
			[]ami.Image{stalest(mapping("snap-1")), second(mapping("snap-1"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "ami-2 still uses it")}, "ami-2": nil},
		},
		"shared_with_a_disabled_one_it_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1")), second(mapping("snap-1"), func(i *ami.Image) { i.State = "disabled" })},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "ami-2 still uses it")}, "ami-2": nil},
		},
		"shared_with_an_image_without_an_id_it_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1")), second(mapping("snap-1"), func(i *ami.Image) { i.ID, i.Unreadable = "", []string{"no image id"} })},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "an image without an id still uses it")}, "": nil},
		},
		"shared_with_one_that_goes_and_one_that_stays_it_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1")), second(mapping("snap-1")), idle("ami-3", mapping("snap-1"), kept)},
			snapshots(),
			map[string][]retention.SnapshotVerdict{
				"ami-1": {leaves("snap-1", 8, "ami-3 still uses it")}, "ami-2": {leaves("snap-1", 8, "ami-3 still uses it")}, "ami-3": nil,
			},
		},
		"what_is_not_shared_goes_all_the_same": {
			none,
			[]ami.Image{stalest(mapping("snap-1", "snap-2")), second(mapping("snap-1"), kept)},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "ami-2 still uses it"), deletes("snap-2", 100, "ami-1")}, "ami-2": nil},
		},
		"an_unlisted_snapshot_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-9"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-9", 0, "not among this account's snapshots")}},
		},
		"a_snapshot_with_the_keep_tag_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("ami-janitor:keep", "")),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "tagged ami-janitor:keep")}},
		},
		"a_snapshot_with_a_keep_tag_of_false_goes": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("ami-janitor:keep", "false")),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-1")}},
		},
		"a_snapshot_with_a_configured_tag_stays": {
			func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") },
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("pinned", "x")),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "tagged pinned")}},
		},
		"a_snapshot_of_aws_backup_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("aws:backup:source-resource", "x")),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "managed by AWS Backup: delete its recovery point")}},
		},
		"a_snapshot_of_application_migration_keeps_its_image": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("AWSApplicationMigrationServiceManaged", "mgn.amazonaws.com")),
			map[string][]retention.SnapshotVerdict{"ami-1": nil},
		},
		"a_snapshot_of_rds_custom_keeps_its_image": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("AWSRDSCustom", "custom-oracle")),
			map[string][]retention.SnapshotVerdict{"ami-1": nil},
		},
		"a_snapshot_of_any_aws_service_stays": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("aws:new-service:id", "x")),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "managed by an AWS service (tag aws:new-service:id)")}},
		},
		"a_snapshot_of_cloudformation_goes": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(tag("aws:cloudformation:stack-id", "x")),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-1")}},
		},
		"a_snapshot_with_an_expired_lock_goes": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(func(s *ami.Snapshot) { s.Lock = "expired" }),
			map[string][]retention.SnapshotVerdict{"ami-1": {deletes("snap-1", 8, "ami-1")}},
		},
		"an_archived_snapshot_goes_and_is_said_to_be_archived": {
			none,
			[]ami.Image{stalest(mapping("snap-1"))},
			snapshots(func(s *ami.Snapshot) { s.Archived = true }),
			map[string][]retention.SnapshotVerdict{"ami-1": {{SnapshotID: "snap-1", SizeGiB: 8, Archived: true, Delete: true, LastImageID: "ami-1"}}},
		},
		"where_snapshots_are_left_they_stay": {
			func(p *retention.Policy) { p.DeleteSnapshots = false },
			[]ami.Image{stalest(mapping("snap-1", "snap-9"))},
			snapshots(),
			map[string][]retention.SnapshotVerdict{"ami-1": {leaves("snap-1", 8, "the policy keeps all snapshots"), leaves("snap-9", 0, "not among this account's snapshots")}},
		},
		"a_locked_snapshot_keeps_all_that_map_it": {
			none,
			[]ami.Image{stalest(mapping("snap-1", "snap-2")), second(mapping("snap-1")), idle("ami-3", mapping("snap-2"))},
			snapshots(func(s *ami.Snapshot) { s.Lock = "compliance" }),
			map[string][]retention.SnapshotVerdict{"ami-1": nil, "ami-2": nil, "ami-3": {leaves("snap-2", 100, "ami-1 still uses it")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, test.images...)
			here.Snapshots = test.snapshots
			got := map[string][]retention.SnapshotVerdict{}
			for id, v := range judge(t, policy(test.policy), here) {
				got[id] = v.Snapshots
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
		})
	}
}

// The images of one region say nothing about the snapshots of another, whatever their ids.
func TestSnapshotsAreRegional(t *testing.T) {
	here := inventory(region, idle("ami-1", mapping("snap-1")))
	here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 8}}
	there := inventory("us-east-1", idle("ami-2", mapping("snap-1"), tagged("ami-janitor:keep", "")))
	got := judge(t, policy(), here, there)["ami-1"].Snapshots
	if diff := cmp.Diff([]retention.SnapshotVerdict{deletes("snap-1", 8, "ami-1")}, got); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

// A snapshot that something names stays, although its image is removed; also if it is unknown what
// that is.
func TestSnapshotsThatAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		id   string
		by   ami.Reference
		want retention.SnapshotVerdict
	}{
		"by_a_template":         {"snap-1", ami.Reference{ARN: "arn:1"}, leaves("snap-1", 8, "named by arn:1")},
		"by_something":          {"snap-1", ami.Reference{}, leaves("snap-1", 8, "named by something")},
		"by_a_source_alone":     {"snap-1", ami.Reference{Source: "templates"}, leaves("snap-1", 8, "named by something")},
		"another_snapshot_goes": {"snap-2", ami.Reference{}, deletes("snap-1", 8, "ami-1")},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, idle("ami-1", mapping("snap-1")), idle("ami-2"))
			here.Snapshots = []ami.Snapshot{{ID: "snap-1", SizeGiB: 8}}
			evidence := unused(here)
			evidence[region].Snapshots[test.id] = ami.SnapshotFinding{References: []ami.Reference{test.by}}
			got := verdicts(policy().Open([]ami.Inventory{here}, now).Plan(evidence))["ami-1"].Snapshots
			if diff := cmp.Diff([]retention.SnapshotVerdict{test.want}, got); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
		})
	}
}
