package janitor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func readJSON(t interface {
	Helper()
	Fatal(...any)
}, path string, into any,
) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mixed is a small account with something of everything.
func mixed() world {
	return world{
		images: []object{
			image(1, 400, 300, 1, 2),
			image(2, 400, 0, 3),
			image(3, 400, 3, 4),
			with(image(4, 400, 0, 5), "DeregistrationProtection", "disabled after 2026-11-24T00:00:00Z"),
			image(5, 300, 250, 6),
			image(6, 300, 250, 7),
			image(7, 500, 0, 8, 9),
			image(8, 500, 0, 9),
			image(9, 600, 0, 10),
			with(image(10, 600, 0, 11), "State", "disabled"),
			with(image(11, 700, 0, 10), "OwnerId", "999988887777"),
		},
		reservations: []object{instance(1, imageID(5), "stopped")},
		versions:     []object{templateVersion(1, imageID(6))},
		permissions:  object{imageID(9): []object{{"UserId": "111122223333"}}},
	}
}

// A dry run is a run that stops after the plan, and calls nothing that changes anything, not even
// to try.
func TestADryRunChangesNothing(t *testing.T) {
	account := mixed().load(t)
	record := run(t, account.Client(), nil, true)
	if len(writes(account)) > 0 {
		t.Errorf("called %v", account.Calls())
	}
	for _, call := range account.Calls() {
		if !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "List") && call.Action != "GetCallerIdentity" {
			t.Errorf("called %s", call.Action)
		}
	}
	checkRecord(t, record, 100)
	wantVerdicts(t, record, map[string]string{
		imageID(1): "deregister", imageID(2): "deregister", imageID(7): "deregister", imageID(8): "deregister",
		imageID(3): "keep", imageID(4): "keep", imageID(5): "keep", imageID(6): "keep", imageID(9): "keep", imageID(10): "keep",
	})
	if !record.DryRun || record.Totals.WouldDeregister != 4 || record.Totals.SnapshotsWouldDelete != 5 || record.Totals.SnapshotsDeleted != 0 {
		t.Errorf("totals %+v", record.Totals)
	}
}

// The real run does what the dry run says, and for the reasons that it gives.
func TestDryAndRealRunsHaveTheSamePlan(t *testing.T) {
	account := mixed().load(t)
	dry := run(t, account.Client(), nil, true)
	after := run(t, account.Client(), nil, false)
	for i, planned := range allImages(dry) {
		done := allImages(after)[i]
		if done.Outcome != nil && done.Verdict == retention.Deregister {
			done.Outcome = nil
		}
		if a, b := fmt.Sprintf("%+v", planned), fmt.Sprintf("%+v", done); a != b {
			t.Errorf("planned %s\n   done %s", a, b)
		}
	}
	if after.Totals.Deregistered != dry.Totals.WouldDeregister || after.Totals.SnapshotsDeleted != dry.Totals.SnapshotsWouldDelete {
		t.Errorf("planned %+v, done %+v", dry.Totals, after.Totals)
	}
}

func TestTheRecordAgreesWithTheAccount(t *testing.T) {
	account := mixed().load(t)
	before := holdings(t, account)
	record := run(t, account.Client(), nil, false)
	left := holdings(t, account)
	checkRecord(t, record, 100)
	checkState(t, record, before, left)
	if record.Totals.Images != 10 || record.Totals.Deregistered != 4 || record.Totals.SnapshotsDeleted != 5 || record.Totals.GiBDeleted != 50 {
		t.Errorf("totals %+v", record.Totals)
	}
	if record.Totals.MonthlySavingsUpTo != 2.5 {
		t.Errorf("savings %v, want 50 GiB at $0.05", record.Totals.MonthlySavingsUpTo)
	}
}

// Running twice is harmless.
func TestASecondRunRemovesOnlyWhatIsDue(t *testing.T) {
	account := mixed().load(t)
	limited := settings{"MAX_DEREGISTRATIONS": "3"}
	for i, want := range []struct{ removed, deferred int }{{3, 1}, {1, 0}, {0, 0}, {0, 0}} {
		record := run(t, account.Client(), limited, false)
		checkRecord(t, record, 3)
		if record.Failed() || record.Totals.Deregistered != want.removed || record.Totals.Deferred != want.deferred {
			t.Errorf("run %d: %+v, want %+v", i+1, record.Totals, want)
		}
	}
	if got := callsOf(account); got["CreateTags"] != 2 || got["DeregisterImage"] != 4 || got["DeleteSnapshot"] != 2 || got["DeleteTags"] != 0 {
		t.Errorf("calls %v, want two declarations, four images, the snapshot that two of them share, and one beside another that stays", got)
	}
}

// The stalest go first, over all regions, and the rest says that it waits.
func TestTheCapHoldsOverAllRegions(t *testing.T) {
	home := world{images: []object{image(1, 400, 390, 1), image(2, 400, 350, 2), image(3, 400, 310, 3)}}
	away := world{images: []object{image(4, 400, 380, 4), image(5, 400, 360, 5), image(6, 400, 300, 6)}}
	account := home.load(t)
	if err := account.AddRegion("eu-west-1", away.files(t)); err != nil {
		t.Fatal(err)
	}
	record := run(t, account.Client(), settings{"REGIONS": "all", "MAX_DEREGISTRATIONS": "3"}, false)
	checkRecord(t, record, 3)
	wantVerdicts(t, record, map[string]string{
		imageID(1): "deregistered", imageID(4): "deregistered", imageID(5): "deregistered",
		imageID(2): "defer", imageID(3): "defer", imageID(6): "defer",
	})
	if !slices.Contains(codes(record, imageID(2)), "not-looked-up") {
		t.Errorf("deferred for %v", codes(record, imageID(2)))
	}
	again := run(t, account.Client(), settings{"REGIONS": "us-east-1,eu-west-1", "MAX_DEREGISTRATIONS": "0"}, false)
	if again.Totals.Deregistered != 0 || again.Totals.Deferred != 3 {
		t.Errorf("with a cap of 0: %+v", again.Totals)
	}
}

func TestRegions(t *testing.T) {
	for _, c := range []struct{ regions, except, judged, fault string }{
		{"", "", "us-east-1", ""},
		{"all", "", "ap-south-1,eu-west-1,us-east-1", ""},
		{"all", "eu-west-1, us-east-1", "ap-south-1", ""},
		{"eu-west-1", "", "eu-west-1", ""},
		{"us-east-1,eu-west-1,us-east-1", "", "eu-west-1,us-east-1", ""},
		{"us-east-1,eu-west-1", "eu-west-1", "us-east-1", ""},
		{"", "us-east-1", "us-east-1", "no region is left"},
	} {
		t.Run(c.regions+" but "+c.except, func(t *testing.T) {
			account := world{images: []object{image(1, 400, 0, 1)}}.load(t)
			for i, region := range []string{"eu-west-1", "ap-south-1"} {
				if err := account.AddRegion(region, world{images: []object{image(i+2, 400, 0, i+2)}}.files(t)); err != nil {
					t.Fatal(err)
				}
			}
			record := run(t, account.Client(), settings{"REGIONS": c.regions, "EXCEPT_REGIONS": c.except}, true)
			var judged []string
			for _, region := range record.Regions {
				judged = append(judged, region.Region)
				if (region.Error == "") != (c.fault == "") || !strings.Contains(region.Error, c.fault) {
					t.Errorf("%s: error %q, want %q", region.Region, region.Error, c.fault)
				}
				if c.fault == "" && len(region.Images) != 1 {
					t.Errorf("%s: %d images", region.Region, len(region.Images))
				}
			}
			if got := strings.Join(judged, ","); got != c.judged {
				t.Errorf("judged %s, want %s", got, c.judged)
			}
		})
	}
}

// A snapshot or a copy in another region is another thing: ids are unique in a region only in
// principle, and a plan is of one.
func TestACopyInAnotherRegionIsAUse(t *testing.T) {
	home := world{images: []object{image(1, 400, 0, 1), image(2, 400, 0, 2)}}
	away := world{images: []object{with(image(3, 5, 0, 3), "SourceImageId", imageID(1))}}
	account := home.load(t)
	if err := account.AddRegion("eu-west-1", away.files(t)); err != nil {
		t.Fatal(err)
	}
	record := run(t, account.Client(), settings{"REGIONS": "all"}, false)
	wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "deregistered", imageID(3): "keep"})
}

// A partial inventory stops its region before anything is changed, and no other region; the digest
// is sent.
func TestARegionThatFailsIsLeftAsItWas(t *testing.T) {
	var few, many world
	for n := range 1001 {
		many.images = append(many.images, image(n, 400, 0, n))
	}
	few.images = many.images[:2]
	paged := many.files(t)
	in := func(region string, actions ...string) func(emulator.Request, int) bool {
		return func(q emulator.Request, _ int) bool { return q.Region == region && slices.Contains(actions, q.Action) }
	}
	for name, c := range map[string]struct {
		fails func(emulator.Request, int) bool
		says  string
		all   bool // Both regions fail.
	}{
		"page 2 of the images": {func(q emulator.Request, _ int) bool {
			return q.Region == "us-east-1" && q.Action == "DescribeImages" && q.Form.Get("NextToken") != ""
		}, "listing images", false},
		"page 2 of the snapshots": {func(q emulator.Request, _ int) bool {
			return q.Region == "us-east-1" && q.Action == "DescribeSnapshots" && q.Form.Get("NextToken") != ""
		}, "listing snapshots", false},
		"the images":           {in("us-east-1", "DescribeImages"), "listing images", false},
		"the snapshots":        {in("us-east-1", "DescribeSnapshots"), "listing snapshots", false},
		"the locked snapshots": {in("us-east-1", "DescribeLockedSnapshots"), "listing locked snapshots", false},
		"the account":          {func(q emulator.Request, _ int) bool { return q.Action == "GetCallerIdentity" }, "asking for the account", true},
		"the regions":          {func(q emulator.Request, _ int) bool { return q.Action == "DescribeRegions" }, "listing the regions", true},
	} {
		for kind, fault := range readFaults {
			if kind != "denied" && (kind != "truncated" || !strings.HasPrefix(name, "page 2")) {
				continue
			}
			t.Run(name+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					files := few.files(t)
					if strings.Contains(name, "page 2") {
						files = paged
					}
					account, err := emulator.Load(files, emulator.Options{Now: func() time.Time { return now }})
					if err != nil {
						t.Fatal(err)
					}
					if err := account.AddRegion("eu-west-1", world{images: []object{image(5000, 400, 0, 5000)}}.files(t)); err != nil {
						t.Fatal(err)
					}
					doer := on(account.Client(), c.fails, fault)
					j := newJanitor(t, doer, settings{"REGIONS": "all", "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:digest", "MAX_DEREGISTRATIONS": "10000"})
					record := j.Run(t.Context(), "run", false)
					checkRecord(t, record, 10000)
					for _, call := range account.Calls() {
						if call.Region == "us-east-1" && !isRead(call.Action) {
							t.Fatalf("%s in the region that failed", call.Action)
						}
					}
					if err := janitor.Err(record); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "us-east-1") {
						t.Errorf("error %v does not say %q", err, c.says)
					}
					if removed := verdicts(record)[imageID(5000)] == "deregistered"; removed == c.all {
						t.Errorf("the other region's image: %v", verdicts(record)[imageID(5000)])
					}
					if err := j.Tell(t.Context(), record); err != nil || len(account.Published()) != 1 {
						t.Errorf("%d digests, error %v", len(account.Published()), err)
					}
				})
			})
		}
	}
}

// Evidence that could not be had keeps the image, and the reason names the lookup.
func TestALookupThatFailsKeepsTheImage(t *testing.T) {
	for action, source := range map[string]string{"DescribeImageReferences": "references", "DescribeImageAttribute": "launch permissions"} {
		for kind, fault := range readFaults {
			t.Run(action+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := mixed().load(t)
					doer := on(account.Client(), func(q emulator.Request, _ int) bool { return q.Action == action }, fault)
					record := run(t, doer, nil, false)
					checkRecord(t, record, 100)
					if n := len(writes(account)); n > 0 || record.Totals.Deregistered > 0 {
						t.Errorf("%d writes without evidence", n)
					}
					for _, n := range []int{1, 2, 7, 8} {
						var said string
						for _, i := range allImages(record) {
							if i.ImageID == imageID(n) {
								said = fmt.Sprint(i.Reasons)
							}
						}
						if !strings.Contains(said, "unknown-use") || !strings.Contains(said, source) {
							t.Errorf("%s is kept for %s", imageID(n), said)
						}
					}
				})
			})
		}
	}
}

func TestADeniedPermissionOfOneImageKeepsThatImageOnly(t *testing.T) {
	w := mixed()
	w.permissions[imageID(2)] = nil
	account := w.load(t)
	record := run(t, account.Client(), nil, false)
	if got := verdicts(record); got[imageID(2)] != "keep" || got[imageID(1)] != "deregistered" {
		t.Errorf("%v", got)
	}
}

// A transient fault of a read costs time, and nothing else.
func TestTransientFaultsAreSatOut(t *testing.T) {
	for _, kind := range []string{"throttled", "broken", "unreachable"} {
		bubble(t, func(t *testing.T) {
			account := mixed().load(t)
			doer := on(account.Client(), func(_ emulator.Request, n int) bool { return n <= 2 }, readFaults[kind])
			if record := run(t, doer, nil, false); record.Failed() || record.Totals.Deregistered != 4 {
				t.Errorf("%s: %+v %v", kind, record.Totals, janitor.Err(record))
			}
		})
	}
}

func TestAnEventualFailureIsInTheRecord(t *testing.T) {
	account := mixed().load(t)
	doer := disturb.Fail(account.Client(), "DeregisterImage", func(_ int, r emulator.Request) bool { return r.Form.Get("ImageId") == imageID(2) },
		http.StatusBadRequest, "OperationNotPermitted", "No.")
	record := run(t, doer, nil, false)
	checkRecord(t, record, 100)
	wantVerdicts(t, record, map[string]string{
		imageID(1): "deregistered", imageID(2): "failed", imageID(7): "deregistered", imageID(8): "deregistered",
		imageID(3): "keep", imageID(4): "keep", imageID(5): "keep", imageID(6): "keep", imageID(9): "keep", imageID(10): "keep",
	})
	if !record.Failed() || janitor.Err(record) != nil {
		t.Errorf("failed %v, error %v: a removal that failed is no region that failed", record.Failed(), janitor.Err(record))
	}
}

// A person may look at the plan before it is carried out.
func TestConfirm(t *testing.T) {
	for _, yes := range []bool{false, true} {
		account := mixed().load(t)
		j := newJanitor(t, account.Client(), nil)
		j.Confirm = func(plan record.Run) bool {
			if len(writes(account)) > 0 || !plan.DryRun || plan.Totals.WouldDeregister != 4 {
				t.Errorf("asked about %+v", plan.Totals)
			}
			return yes
		}
		record := j.Run(t.Context(), "run", false)
		if record.DryRun == yes || (len(writes(account)) > 0) != yes {
			t.Errorf("answered %v, and it was a dry run: %v", yes, record.DryRun)
		}
		checkRecord(t, record, 100)
	}
}

// The order in which AWS lists things never matters.
func TestTheOrderOfInputDoesNotMatter(t *testing.T) {
	w := mixed()
	w.snapshots = []object{
		{"SnapshotId": snapshotID(1), "OwnerId": accountID, "VolumeSize": 5, "Tags": []object{{"Key": "a", "Value": "1"}, {"Key": "ami-janitor:keep", "Value": ""}}},
		{"SnapshotId": snapshotID(3), "OwnerId": accountID, "VolumeSize": 7},
		// Listed twice, with two faces.
		{"SnapshotId": snapshotID(3), "OwnerId": accountID, "VolumeSize": 9},
	}
	// The first the same again, the second with another face.
	w.images = append(w.images, image(1, 400, 300, 1, 2), image(7, 501, 0, 8, 9))
	var first []byte
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, list := range [][]object{w.images, w.snapshots, w.reservations, w.versions} {
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
		record := run(t, w.load(t).Client(), nil, true)
		checkRecord(t, record, 100)
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Fatalf("seed %d:\n%s\nseed 0:\n%s", seed, data, first)
		}
	}
}

// The number of calls is a promise to those who pay with EC2's rate limits: the pages of each
// listing, one call for ten candidates and another one for ten that are about to go, one for a
// hundred of these and one for their snapshots, one for each candidate, and one for each snapshot
// that is to go, and again just before that. Of a long listing the emulated account has an empty
// page in its middle, as AWS may.
func TestCallsOfALargeAccount(t *testing.T) {
	t.Parallel()
	const images, snapshots, candidates = 2500, 2500, 120
	whole := settings{"MAX_DEREGISTRATIONS": "1000"}
	listings := map[string]int{
		"GetCallerIdentity": 1, "ListAccountAliases": 1, "DescribeImages": 3 + 1, "DescribeSnapshots": 3 + 1, "DescribeLockedSnapshots": 1, "DescribeInstances": 1, "DescribeLaunchTemplates": 1,
		"DescribeLaunchTemplateVersions": 1, "DescribeLaunchConfigurations": 1, "DescribeAutoScalingGroups": 1, "DescribeSpotFleetRequests": 1,
		"DescribeSpotInstanceRequests": 1, "DescribeParameters": 1, "DescribeFastLaunchImages": 1, "DescribeFastSnapshotRestores": 1,
		"DescribeImageReferences": 12, "DescribeImageAttribute": candidates,
		"ListImagesInRecycleBin": 1, // For the orphans alone.
	}
	// They are asked once, as are the tasks of EC2. Three have clusters.
	services := map[string]int{
		"DescribeExportImageTasks": 1, "DescribeStoreImageTasks": 1, "DescribeReplaceRootVolumeTasks": 1, "DescribeStacks": 1, "DescribeComputeEnvironments": 1,
		"DescribeDBEngineVersions": 1, "ListClusters": 3,
	}
	declaring := map[string]int{"CreateTags": 2, "DescribeTags": 2, "DescribeSnapshots": 2, "ListImagesInRecycleBin": 1, "ListSnapshotsInRecycleBin": 1}
	for name, c := range map[string]struct {
		world    world
		settings settings
		dry      bool
		more     map[string]int // Beside the listings; a negative number is less.
	}{
		"a dry run": {large(images, snapshots, candidates), whole, true, map[string]int{sharingOfSnapshots: candidates}},
		"a dry run with a cap": {large(images, snapshots, candidates), settings{"MAX_DEREGISTRATIONS": "7"}, true, map[string]int{
			sharingOfSnapshots: 7, "DescribeImageAttribute": 7 - candidates, "DescribeImageReferences": 1 - 12,
		}},
		"a real run": {large(images, snapshots, candidates), whole, false, map[string]int{
			sharingOfSnapshots: 2 * candidates, "DescribeImages": 2, "DescribeImageReferences": 12, "DeregisterImage": candidates,
		}},
		"one of ten and one over": {large(images, snapshots, 101), whole, false, map[string]int{
			sharingOfSnapshots: 2 * 101, "DescribeImages": 2, "DescribeImageReferences": 11 - 12 + 11, "DescribeImageAttribute": 101 - candidates, "DeregisterImage": 101,
		}},
		"nothing to look up": {large(images, snapshots, 0), whole, false, map[string]int{
			"DescribeInstances": -1, "DescribeLaunchTemplates": -1, "DescribeLaunchTemplateVersions": -1, "DescribeLaunchConfigurations": -1,
			"DescribeAutoScalingGroups": -1, "DescribeSpotFleetRequests": -1, "DescribeSpotInstanceRequests": -1, "DescribeParameters": -1,
			"DescribeFastLaunchImages": -1, "DescribeFastSnapshotRestores": -1, "DescribeImageReferences": -12, "DescribeImageAttribute": -candidates,
		}},
		"an account in use": {inUse(large(images, snapshots, candidates)), whole, false, map[string]int{
			sharingOfSnapshots: 2 * candidates, "DescribeImages": 2, "DescribeImageReferences": 12, "DeregisterImage": candidates, "DescribeInstances": 2 + 1, "DescribeLaunchTemplates": 2 + 1,
			"DescribeLaunchTemplateVersions": 8 + 1, "DescribeParameters": 2 + 1, "GetParameters": 15, "DescribeAutoScalingGroups": 2 + 1,
			"DescribeInstanceRefreshes": 201, // Each group is asked about.
		}},
		"announcements": {large(images, snapshots, candidates), settings{"MAX_DEREGISTRATIONS": "1000", "GRACE": "14d"}, false, map[string]int{
			"CreateTags": candidates,
		}},
		"announcements that disable": {large(images, snapshots, candidates), settings{"MAX_DEREGISTRATIONS": "1000", "GRACE": "14d", "GRACE_ACTION": "disable", "RECORDS": t.TempDir()}, false, map[string]int{
			"CreateTags": candidates, "DisableImage": candidates, "DescribeImageAttribute": candidates, "DescribeImageReferences": 12, "DescribeImages": 2,
		}},
		"newest versions alone": {large(images, snapshots, candidates), settings{"MAX_DEREGISTRATIONS": "1000", "LAUNCH_TEMPLATE_VERSIONS": "3"}, true, map[string]int{
			sharingOfSnapshots: candidates, "DescribeFleets": 1,
		}},
		"shared images": {large(images, snapshots, candidates), settings{"MAX_DEREGISTRATIONS": "1000", "SHARED_IMAGES": "report"}, true, map[string]int{
			sharingOfSnapshots: candidates, "DescribeImageUsageReports": 1,
		}},
		"a keep list": {large(images, snapshots, candidates).parameter("/keep", "nothing-of-that-name", nil), settings{"MAX_DEREGISTRATIONS": "1000", "KEEP_LIST": "ssm:/keep"}, true, map[string]int{
			sharingOfSnapshots: candidates, "GetParameters": 2,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			account := c.world.load(t)
			record := newJanitor(t, account.Client(), c.settings).Run(t.Context(), "20261123T020000Z-aaaaaa", c.dry)
			if record.Failed() {
				t.Errorf("%+v %v", record.Totals, janitor.Err(record))
			}
			want := maps.Clone(listings)
			if name != "nothing to look up" {
				maps.Copy(want, services)
			}
			for action, n := range c.more {
				if want[action] += n; want[action] == 0 {
					delete(want, action)
				}
			}
			if c.more["DeregisterImage"] > 0 {
				for action, n := range declaring {
					want[action] += n
				}
			}
			if diff := cmp.Diff(want, callsOf(account)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// inUse is a world with several pages of whatever may name an image. None names a stale one.
func inUse(w world) world {
	fresh := imageID(2000)
	w.reservations, w.versions = nil, nil
	for n := range 2001 {
		w.reservations = append(w.reservations, instance(n, fresh, "running"))
	}
	for n := range 401 {
		w.versions = append(w.versions, templateVersion(n, fresh))
	}
	parameters, groups := []object{}, []object{}
	for n := range 141 {
		parameters = append(parameters, object{"Name": fmt.Sprint("/images/", n), "Type": "String", "Value": fresh, "Version": 1})
	}
	for n := range 201 {
		groups = append(groups, object{"AutoScalingGroupName": fmt.Sprint("group-", n)})
	}
	w.more = map[string]object{
		"get-parameters.json": {"Parameters": parameters}, "describe-auto-scaling-groups.json": {"AutoScalingGroups": groups},
	}
	return w
}

func large(images, snapshots, candidates int) world {
	var w world
	for n := range images {
		age := 20
		if n < candidates {
			age = 400
		}
		w.images = append(w.images, image(n, age, 0, n))
	}
	for n := images; n < snapshots; n++ {
		w.snapshots = append(w.snapshots, object{"SnapshotId": snapshotID(n), "OwnerId": accountID, "VolumeSize": 1})
	}
	return w
}

// BenchmarkCalls counts the calls of a run by action, for accounts of 2,500 images and as many
// snapshots. 120 of the images are stale.
func BenchmarkCalls(b *testing.B) {
	plain := large(2500, 2500, 120)
	for _, c := range []struct {
		name     string
		world    world
		settings settings
	}{
		{"default", plain, nil},
		{"references-only", plain, settings{"USAGE_SOURCES": "references"}},
		{"all-but-references", plain, settings{"USAGE_SOURCES": strings.TrimPrefix(allSources, "references,")}},
		{"announced", plain, settings{"GRACE": "14d"}},
		{"account-in-use", inUse(plain), nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			var account *emulator.Account
			s := maps.Clone(c.settings)
			if s == nil {
				s = settings{}
			}
			s["MAX_DEREGISTRATIONS"] = "1000"
			for b.Loop() {
				b.StopTimer()
				account = c.world.load(b)
				b.StartTimer()
				if record := run(b, account.Client(), s, false); record.Totals.Deregistered+record.Totals.Marked != 120 {
					b.Fatalf("%+v", record.Totals)
				}
			}
			reads := 0
			for action, n := range callsOf(account) {
				b.ReportMetric(float64(n), action+"/run")
				if isRead(action) {
					reads += n
				}
			}
			b.ReportMetric(float64(reads), "reads/run")
			b.ReportMetric(float64(len(writes(account))), "writes/run")
		})
	}
}

// What AWS really answered once.
func TestTheRecordedAccount(t *testing.T) {
	const dir = "../../../shared/recorded"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no recorded account at " + dir)
	}
	account, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	record := run(t, account.Client(), settings{"KEEP_NEWEST": "0"}, false)
	checkRecord(t, record, 100)
	got := verdicts(record)
	for _, id := range []string{"ami-02a11ce792e2bc296", "ami-03f9a84f3963d5028", "ami-0515ff4f8f9dbeb31", "ami-d640b2b6"} {
		if got[id] != "deregistered" {
			t.Errorf("%s: %s for %v", id, got[id], codes(record, id))
		}
	}
	if got["ami-04e2b113"] != "keep" || !slices.Contains(codes(record, "ami-04e2b113"), "in-use") {
		t.Errorf("ami-04e2b113: %s for %v", got["ami-04e2b113"], codes(record, "ami-04e2b113"))
	}
	left := map[string]bool{}
	out := t.TempDir()
	if err := account.Save(out); err != nil {
		t.Fatal(err)
	}
	var content struct{ Images []object }
	readJSON(t, filepath.Join(out, "describe-images.json"), &content)
	for _, image := range content.Images {
		left[fmt.Sprint(image["ImageId"])] = true
	}
	if !left["ami-04e2b113"] || left["ami-d640b2b6"] {
		t.Errorf("left: %v", left)
	}
}

// The account on which four peers were run (peers.md, section E): not one of them gets all rows
// right.
func TestTheAccountThatNoPeerGetsRight(t *testing.T) {
	w := world{
		images: []object{
			image(1, 500, 200, 1),
			image(2, 400, 0, 2),
			image(3, 400, 2, 3),
			with(image(4, 400, 300, 4), "DeregistrationProtection", "enabled-without-cooldown"),
			tagged(with(image(5, 400, 300, 5), "Name", "AwsBackup_i-0123_5"), "aws:backup:source-resource", "i-0123"),
			image(6, 400, 300, 6),
			image(7, 5, 0, 7),
			image(8, 400, 300, 8),
			image(9, 400, 300, 9),
		},
		versions:     []object{templateVersion(1, imageID(6))},
		reservations: []object{instance(1, imageID(9), "running")},
	}
	account := w.load(t)
	record := run(t, account.Client(), settings{"STALE_AFTER": "90d"}, false)
	wantVerdicts(t, record, map[string]string{
		imageID(1): "deregistered", imageID(2): "deregistered", imageID(8): "deregistered",
		imageID(3): "keep", imageID(4): "keep", imageID(5): "keep", imageID(6): "keep", imageID(7): "keep", imageID(9): "keep",
	})
	for n, code := range map[int]retention.Code{3: "recently-used", 4: "protected", 5: "managed", 6: "in-use", 7: "recently-used", 9: "in-use"} {
		if got := codes(record, imageID(n)); !slices.Contains(got, code) {
			t.Errorf("%s is kept for %v, not %s", imageID(n), got, code)
		}
	}
	if record.Failed() || len(writes(account)) != 1+3 {
		t.Errorf("%d writes; %+v", len(writes(account)), record.Totals)
	}
}
