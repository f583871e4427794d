package organization_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const (
	builder, shop   = "123456789012", "111122223333"
	organizationARN = "arn:aws:organizations::999999999999:organization/" + ourID
)

type object = testaccount.Object

// files are an organization of two accounts, whose files are given by account: the home region is
// there, and what belongs to here is in its folder.
func files(accounts map[string]testaccount.Files) testaccount.Files {
	all := testaccount.Files{}
	var listed []object
	for _, id := range []string{builder, shop} {
		listed = append(listed, object{"Id": id, "Name": id, "State": "ACTIVE", "Path": ourID + "/r-ab12/"})
		folder := "accounts/" + id + "/"
		all[folder+"get-caller-identity.json"] = object{"Account": id, "Arn": "arn:aws:iam::" + id + ":root"}
		all[folder+"regions/"+here+"/describe-images.json"] = object{"Images": []object{}}
		for name, content := range accounts[id] {
			all[folder+name] = content
		}
	}
	all["organization.json"] = object{
		"Organization": object{"Id": ourID, "Arn": organizationARN, "MasterAccountId": builder}, "Accounts": listed, "Hub": "999999999999",
	}
	return all
}

// stale is an image of the builder's that was last launched 300 days ago.
func stale(n int, further object) object {
	image := object{
		"ImageId": testaccount.ImageID(n), "Name": fmt.Sprint("one-off ", n), "OwnerId": builder, "State": "available", "Architecture": "x86_64",
		"CreationDate": daysAgo(400).Format(time.RFC3339), "LastLaunchedTime": daysAgo(300).Format(time.RFC3339),
		"BlockDeviceMappings": []object{},
	}
	maps.Copy(image, further)
	return image
}

func images(all ...object) object { return object{"Images": all} }

func instanceOf(n int) object {
	return object{"Reservations": []object{{"ReservationId": "r-1", "OwnerId": shop, "Instances": []object{
		{"InstanceId": "i-00000000000000001", "ImageId": testaccount.ImageID(n), "State": object{"Name": "running"}},
	}}}}
}

// nights is an organization over which runs go.
type nights struct {
	*testing.T
	*emulator.Organization
	*organization.Hub
	now time.Time
}

func newNights(t *testing.T, files testaccount.Files, variables map[string]string) *nights {
	t.Helper()
	n := &nights{T: t, now: now}
	clock := func() time.Time { return n.now }
	var err error
	if n.Organization, err = emulator.LoadOrganization(files.FS(t), emulator.Options{Region: there, Now: clock}); err != nil {
		t.Fatal(err)
	}
	for _, account := range n.Accounts() {
		account.KeepRemoved(14)
	}
	all := map[string]string{"RECORDS": "s3://records", "DRY_RUN": "false", "SHARED_IMAGES": "organization", "REGIONS": "all", "KEEP_NEWEST": "0", "REQUIRE_RECYCLE_BIN": "false"}
	maps.Copy(all, variables)
	settings, err := config.ParseOrganization(func(name string) string { return all[name] })
	if err != nil {
		t.Fatal(err)
	}
	n.Hub = &organization.Hub{Config: settings, AWS: testaccount.Config(n.Client()), Clock: clock}
	return n
}

// night is a whole run, a night after the one before.
func (n *nights) night() record.Organization {
	n.Helper()
	run := n.Hub.Run(n.Context(), n.run(), false)
	if run.Error != "" {
		n.Fatalf("%s: %s", run.Step, run.Error)
	}
	n.now = n.now.AddDate(0, 0, 1)
	return run
}

func (n *nights) run() ami.RunID { return ami.NewRunID(n.now, strings.NewReader("abc")) }

// reason is the first reason of an image of the builder's.
func reason(run record.Organization, n int) string {
	for _, account := range run.Accounts {
		if account.Record == nil {
			continue
		}
		for _, region := range account.Record.Regions {
			for _, image := range region.Images {
				if image.ImageID == testaccount.ImageID(n) {
					return string(image.Verdict) + " " + string(image.MainReason().Code)
				}
			}
		}
	}
	return ""
}

func is(t *testing.T, run record.Organization, n int, want string) {
	t.Helper()
	if got := reason(run, n); got != want {
		t.Errorf("image %d: %s, want %s", n, got, want)
	}
}

// A region may name an image of the account's own in another one: that is no use by somebody else,
// and does not make the use by somebody else forgotten.
func TestAnOwnImageOfAnotherRegion(t *testing.T) {
	n := newNights(t, files(map[string]testaccount.Files{
		builder: {
			"describe-images.json":                          images(stale(1, nil)),
			"regions/" + here + "/describe-parameters.json": object{"Parameters": []object{{"Name": "golden", "Type": "String"}}},
			"regions/" + here + "/get-parameters.json":      object{"Parameters": []object{{"Name": "golden", "Type": "String", "Value": testaccount.ImageID(1)}}},
		},
		shop: {"describe-instances.json": instanceOf(1)},
	}), nil)
	is(t, n.night(), 1, "keep in-use")
	explained, err := n.Explain(t.Context(), "", []string{testaccount.ImageID(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range explained[0].Uses {
		if use.Account != shop {
			t.Errorf("the census names %v", use)
		}
	}
	if len(explained[0].Uses) != 1 {
		t.Errorf("the census has %v", explained[0].Uses)
	}
}

// A census sees instances whatever the sources are at home.
func TestTheSourcesOfACensus(t *testing.T) {
	for _, sources := range []string{"references", "references,spot-fleets", "all"} {
		n := newNights(t, files(map[string]testaccount.Files{
			builder: {"describe-images.json": images(stale(1, nil), stale(2, nil))},
			shop:    {"describe-instances.json": instanceOf(1)},
		}), map[string]string{"USAGE_SOURCES": sources})
		run := n.night()
		is(t, run, 1, "keep in-use")
		is(t, run, 2, "deregister stale")
	}
}

// A recipe names an image of Image Builder's by an ARN. Which image of another account that is,
// only its owner knows: the census has a gap, and what is shared with the account stays.
func TestARecipeWithAnotherAccountsImage(t *testing.T) {
	for owner, isGap := range map[string]bool{builder: true, "999999999999": true, shop: false, "aws": false} {
		run := newNights(t, files(map[string]testaccount.Files{
			builder: {
				"describe-images.json":             images(stale(1, nil)),
				"describe-launch-permissions.json": object{testaccount.ImageID(1): []object{{"UserId": shop}}},
			},
			shop: {"imagebuilder-list-image-recipes.json": object{"imageRecipeSummaryList": []object{{
				"arn":         "arn:aws:imagebuilder:us-east-1:" + shop + ":image-recipe/web/1.0.0",
				"parentImage": "arn:aws:imagebuilder:us-east-1:" + owner + ":image/web/x.x.x",
			}}}},
		}), map[string]string{"IMAGE_BUILDER_IMAGES": "judge"}).night()
		gaps := slices.DeleteFunc(slices.Clone(run.Uncounted), func(u record.Uncounted) bool { return u.Account != shop || u.Source != "image-builder" })
		if (len(gaps) > 0) != isGap || (reason(run, 1) == "keep unknown-use") != isGap {
			t.Errorf("an image of %s: the census lacks %v; the image is %s", owner, run.Uncounted, reason(run, 1))
		}
	}
}

// A use abroad is a launch: the limit for images that were never launched does not apply.
func TestAUseAbroadIsALaunch(t *testing.T) {
	all := files(map[string]testaccount.Files{
		builder: {"describe-images.json": images(stale(1, object{"LastLaunchedTime": nil}), stale(2, object{"LastLaunchedTime": nil}))},
	})
	all["records/org/seen.json"] = object{"seen": object{testaccount.ImageID(1): object{"account": shop, "at": daysAgo(40)}}}
	run := newNights(t, all, map[string]string{"NEVER_LAUNCHED_AFTER": "30d"}).night()
	is(t, run, 1, "keep recently-used")
	is(t, run, 2, "deregister never-launched")
}

// The copy of an image that another account uses stays, tonight and on the nights after; and so it
// does while nobody can ask that account.
func TestACopyOfWhatIsUsedAbroad(t *testing.T) {
	copied := object{"SourceImageId": testaccount.ImageID(1), "SourceImageRegion": there}
	organization := func() testaccount.Files {
		return files(map[string]testaccount.Files{
			builder: {
				"describe-images.json":                      images(stale(1, object{"Tags": []object{{"Key": "ami-janitor:keep", "Value": "true"}}})),
				"describe-launch-permissions.json":          object{testaccount.ImageID(1): []object{{"UserId": shop}}},
				"regions/" + here + "/describe-images.json": images(stale(2, copied)),
			},
			shop: {"describe-instances.json": instanceOf(1)},
		})
	}
	is(t, newNights(t, organization(), nil).night(), 2, "keep copy-of-used")
	denied := newNights(t, organization(), nil)
	denied.Deny(shop)
	is(t, denied.night(), 2, "keep unknown-use")
	seen := organization()
	delete(seen, "accounts/"+shop+"/describe-instances.json")
	seen["records/org/seen.json"] = object{"seen": object{testaccount.ImageID(1): object{"account": shop, "at": daysAgo(40)}}}
	is(t, newNights(t, seen, nil).night(), 2, "keep copy-of-used")
}

// writes are the requests that may have changed an account.
func (n *nights) writes() []emulator.MemberCall {
	return slices.DeleteFunc(n.Calls(), func(c emulator.MemberCall) bool { return c.Role == "" || emulator.IsRead(c.Action) })
}

// planned carries out all steps until the allotment is there.
func (n *nights) planned(dryRun bool) (run string, sweeps []organization.Item) {
	n.Helper()
	run = string(n.run())
	started, err := n.Targets(n.Context(), run, dryRun)
	if err != nil {
		n.Fatal(err)
	}
	all := func(items []organization.Item, step func(context.Context, string, string) error) {
		for _, item := range items {
			if err := step(n.Context(), run, item.Account); err != nil {
				n.Fatal(err)
			}
		}
	}
	all(started.Census, n.Census)
	if err := n.Gather(n.Context(), run); err != nil {
		n.Fatal(err)
	}
	all(started.Plan, n.Plan)
	if sweeps, err = n.Allot(n.Context(), run); err != nil {
		n.Fatal(err)
	}
	return run, sweeps
}

// Whoever calls the step, it changes nothing in a dry run, in one that too few accounts have
// answered, or in an account with nothing to do.
func TestASweepThatMayNotBe(t *testing.T) {
	one := func() testaccount.Files {
		return files(map[string]testaccount.Files{builder: {"describe-images.json": images(stale(1, nil))}})
	}
	few := one()
	few["records/org/seen.json"] = object{"listed": 100, "answered": 100}
	for name, test := range map[string]struct {
		files  testaccount.Files
		dryRun bool
		sweep  string
	}{
		"a_dry_run":        {one(), true, builder},
		"too_few":          {few, false, builder},
		"nothing_allotted": {one(), false, shop},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNights(t, test.files, nil)
			run, _ := n.planned(test.dryRun)
			if err := n.Sweep(t.Context(), run, test.sweep); err == nil {
				t.Error("it is swept")
			}
			if got := n.writes(); len(got) > 0 {
				t.Errorf("it has written %v", got)
			}
		})
	}
}

// A smaller organization is held for three nights, and a repeated Gather changes nothing about it.
func TestAnOrganizationThatIsHeld(t *testing.T) {
	all := files(map[string]testaccount.Files{builder: {"describe-images.json": images(stale(1, nil))}})
	all["records/org/seen.json"] = object{"listed": 100, "answered": 100}
	n := newNights(t, all, nil)
	for range 3 {
		run, sweeps := n.planned(false)
		if err := n.Gather(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		again, err := n.Allot(t.Context(), run)
		if err != nil || len(sweeps)+len(again) > 0 {
			t.Errorf("%s: %v and %v are swept, %v", run, sweeps, again, err)
		}
		for range 3 { // Whoever plans by day, as often as they like, shortens nothing.
			n.now = n.now.Add(4 * time.Hour)
			n.planned(true)
		}
		n.now = n.now.Add(12 * time.Hour)
	}
	if _, sweeps := n.planned(false); len(sweeps) != 1 {
		t.Errorf("after three nights, %v are swept", sweeps)
	}
}

// The cap of a first run stays until one has changed something.
func TestTheCapOfAFirstRun(t *testing.T) {
	var due []object
	for n := range 30 {
		due = append(due, stale(n, nil))
	}
	n := newNights(t, files(map[string]testaccount.Files{builder: {"describe-images.json": images(due...)}}), nil)
	first, second := n.night(), n.night()
	if first.Totals.Deregistered != 10 || second.Totals.Deregistered != 20 {
		t.Errorf("%d are removed, and then %d", first.Totals.Deregistered, second.Totals.Deregistered)
	}
}
