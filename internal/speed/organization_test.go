package speed

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
)

var (
	accountsFlag = flag.Int("accounts", 0, "measure a run over an organization of so many accounts")
	regionsFlag  = flag.Int("regions", 20, "how many regions each of them uses")
	stepFlag     = flag.String("step", "", "carry out this step of -run-of and end; for the measurement of its memory")
	recordsFlag  = flag.String("records", "", "where the documents of that run are")
	runOfFlag    = flag.String("run-of", "", "that run")
)

// mostOfStep is the most that Gather and Allot may have resident, in bytes: they read what hundreds
// of accounts have left.
const mostOfStep = 256_000_000

func memberID(n int) string { return fmt.Sprint(100_000_000_000 + n) }

func regionName(n int) string { return fmt.Sprintf("us-test-%d", n+1) }

// newOrganization is an organization whose first account shares images with all; each account has
// stale images of its own, and instances of shared ones and of Amazon's in each of its regions.
func newOrganization(t *testing.T, accounts, regions int, clock func() time.Time) *emulator.Organization {
	t.Helper()
	const arn = "arn:aws:organizations::999999999999:organization/o-exampleorgid"
	files := testaccount.Files{}
	var members []object
	for n := range accounts {
		id := memberID(n)
		members = append(members, object{"Id": id, "Name": fmt.Sprintf("account %d", n), "State": "ACTIVE", "Path": fmt.Sprintf("o-exampleorgid/r-ab12/ou-ab12-%08d/", n%50)})
		for r := range regions {
			folder := "accounts/" + id + "/"
			if r > 0 {
				folder += "regions/" + regionName(r) + "/"
			} else {
				files[folder+"get-caller-identity.json"] = object{"Account": id, "Arn": "arn:aws:iam::" + id + ":root"}
			}
			maps.Copy(files, memberRegion(folder, n, r, arn, clock()))
		}
	}
	files["organization.json"] = object{
		"Organization": object{"Id": "o-exampleorgid", "Arn": arn, "MasterAccountId": memberID(1)}, "Accounts": members, "Hub": "999999999999",
	}
	loaded, err := emulator.LoadOrganization(files.FS(t), emulator.Options{Region: regionName(0), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range loaded.Accounts() {
		account.KeepRemoved(14)
	}
	return loaded
}

// memberRegion is what an account has in a region.
func memberRegion(folder string, n, r int, arn string, now time.Time) testaccount.Files {
	var images, snapshots, instances []object
	permissions := object{}
	own := 2
	if n == 0 {
		own = 10
	}
	for i := range own {
		id, snapshot := fmt.Sprintf("ami-%05x%04x%08x", n, r, i), fmt.Sprintf("snap-%05x%04x%08x", n, r, i)
		created := now.AddDate(0, 0, -400-n%100).UTC().Format(time.RFC3339)
		images = append(images, object{
			"ImageId": id, "Name": fmt.Sprintf("image %d", i), "OwnerId": memberID(n), "State": "available", "CreationDate": created, "Architecture": "arm64",
			"BlockDeviceMappings": []object{{"DeviceName": "/dev/xvda", "Ebs": object{"SnapshotId": snapshot, "VolumeSize": 8}}},
		})
		snapshots = append(snapshots, object{"SnapshotId": snapshot, "OwnerId": memberID(n), "State": "completed", "VolumeSize": 8, "StartTime": created})
		if n == 0 {
			permissions[id] = []object{{"OrganizationArn": arn}}
		}
	}
	for i := range 10 {
		image := fmt.Sprintf("ami-%05x%04x%08x", 0, r, i) // One of the shared ones.
		if i >= 3 {
			image = fmt.Sprintf("ami-a%016x", (n*31+i)%500) // One of Amazon's.
		}
		instances = append(instances, object{"InstanceId": fmt.Sprintf("i-%05x%04x%08x", n, r, i), "ImageId": image, "State": object{"Name": "running"}})
	}
	return testaccount.Files{
		folder + "describe-images.json":             object{"Images": images},
		folder + "describe-snapshots.json":          object{"Snapshots": snapshots},
		folder + "describe-launch-permissions.json": permissions,
		folder + "describe-instances.json": object{"Reservations": []object{{
			"ReservationId": "r-1", "OwnerId": memberID(n), "Instances": instances,
		}}},
	}
}

func hubOf(t *testing.T, loaded *emulator.Organization, records string, clock func() time.Time) *organization.Hub {
	t.Helper()
	variables := map[string]string{"RECORDS": records, "SHARED_IMAGES": "organization", "REGIONS": "all", "DRY_RUN": "false"}
	settings, err := config.ParseOrganization(func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	hub := &organization.Hub{Config: settings, Clock: clock}
	if loaded != nil {
		hub.AWS = testaccount.Config(loaded.Client())
		hub.AWS.Region = regionName(0)
	}
	return hub
}

// A whole night over an organization, counted as Step Functions and Lambda count, and the two steps
// that read everything, each in a process of its own.
func TestOrganization(t *testing.T) {
	if *accountsFlag == 0 {
		t.Skip("measures only if -accounts says how many accounts the organization has")
	}
	clock := func() time.Time { return night }
	records := filepath.Join(t.TempDir(), "records")
	loaded := newOrganization(t, *accountsFlag, *regionsFlag, clock)
	hub := hubOf(t, loaded, records, clock)
	stages, began := map[string]int{}, time.Now()
	hub.Watch = func(stage string, _, total int) { stages[stage] = total }
	run := hub.Run(t.Context(), "20261123T020000Z-0123ab", false)
	if run.Error != "" || run.Totals.Counted != *accountsFlag {
		t.Fatalf("%q, %d accounts counted", run.Error, run.Totals.Counted)
	}
	children := stages["Counting"] + stages["Planning"] + stages["Removing"]
	requests := len(loaded.Calls())
	fmt.Printf("%d accounts x %d regions: %d children, %d invocations, %d transitions, %d requests, %v on this machine; removed %d\n",
		*accountsFlag, *regionsFlag, children, children+4, transitions(children), requests, time.Since(began).Round(time.Second), run.Totals.Deregistered)
	for _, step := range []string{"gather", "allot"} {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStep$", "-step", step, "-records", records, "-run-of", run.Run)
		began := time.Now()
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", step, err, out)
		}
		took, resident := time.Since(began), residentIn(t, string(out))
		fmt.Printf("%s: %v, %.1f MB resident at most\n", step, took.Round(10*time.Millisecond), float64(resident)/1e6)
		if resident > mostOfStep {
			t.Errorf("%s takes more than %d MB", step, mostOfStep/1_000_000)
		}
	}
}

// How long the children of the maps take, in fake time: an account that shares images with all, and
// one that launches them. A call takes 0.1 s in the mean, and as long as EC2 lets it wait.
func TestChildren(t *testing.T) {
	if *accountsFlag == 0 {
		t.Skip("measures only if -accounts says how many accounts the organization has")
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(night))
		loaded := newOrganization(t, 2, *regionsFlag, time.Now)
		hub := hubOf(t, loaded, t.TempDir(), time.Now)
		network := &middleware.Network{Seed: 1, Latency: 100 * time.Millisecond, Spread: 0.5}
		hub.AWS, hub.Paced = testaccount.Config(network.Wrap(loaded.Client())), true
		hub.AWS.Region = regionName(0)
		const run = "20261123T020000Z-0123ab"
		measured := func(what string, do func() error) {
			began, before := time.Now(), len(loaded.Calls())
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			fmt.Printf("%s: %.1f s, %d calls\n", what, time.Since(began).Seconds(), len(loaded.Calls())-before)
		}
		kinds := map[string]string{memberID(0): "an account that shares images", memberID(1): "one that launches them"}
		each := func(step string, accounts []organization.Item, do func(ctx context.Context, run, account string) error) {
			for _, item := range accounts {
				measured(step+", "+kinds[item.Account], func() error { return do(t.Context(), run, item.Account) })
			}
		}
		var started organization.Started
		var sweeps []organization.Item
		measured("targets", func() (err error) { started, err = hub.Targets(t.Context(), run, false); return err })
		each("census", started.Census, hub.Census)
		measured("gather", func() error { return hub.Gather(t.Context(), run) })
		each("plan", started.Plan, hub.Plan)
		measured("allot", func() (err error) { sweeps, err = hub.Allot(t.Context(), run); return err })
		each("sweep", sweeps, hub.Sweep)
	})
}

// highWater is what the kernel says of the memory of a process. What wait4 says of a child has that
// of its parent in it.
var highWater = regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`)

// residentIn is the most that a process had resident, in bytes, as it has printed.
func residentIn(t *testing.T, out string) int64 {
	t.Helper()
	found := highWater.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("it does not say how much memory it took:\n%s", out)
	}
	kilobytes, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes * 1024
}

// transitions are what Step Functions bills for: two for a child, its start and its one state, and
// those of the machine itself: its start, seven states, and the choice before the sweep.
func transitions(children int) int { return 2*children + 9 }

// One step in a process of its own.
func TestStep(t *testing.T) {
	hub := hubOf(t, nil, *recordsFlag, func() time.Time { return night })
	var err error
	switch *stepFlag {
	case "":
		t.Skip("is a part of TestOrganization")
	case "gather":
		err = hub.Gather(t.Context(), *runOfFlag)
	case "allot":
		_, err = hub.Allot(t.Context(), *runOfFlag)
	}
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(highWater.FindString(string(status)))
}
