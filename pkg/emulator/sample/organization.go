package sample

import (
	"cmp"
	"io/fs"
	"path"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// The built-in organization and its units.
const (
	organizationID  = "o-exampleorgid"
	organizationARN = "arn:aws:organizations::" + managementID + ":organization/" + organizationID

	rootID       = "r-ab12"
	platformID   = "ou-ab12-11111111"
	workloadsID  = "ou-ab12-22222222"
	productionID = "ou-ab12-33333333" // In workloadsID.
	sandboxID    = "ou-ab12-44444444"
	suspendedID  = "ou-ab12-55555555"
	acquiredID   = "ou-ab12-66666666"

	workloadsARN = "arn:aws:organizations::" + managementID + ":ou/" + organizationID + "/" + workloadsID
)

// Accounts that others name.
const (
	managementID = "999999999999"
	hubID        = "210987654321"
	experimentID = "333333333333"
	acquiredOne  = "666666666666"
)

// member is an account of the built-in organization. To extend it, add one.
type member struct {
	id, name string
	path     string // The ids of its units below the root.
	state    string // "ACTIVE" if empty.
	noRole   bool   // Nobody has given it the janitor's roles.

	images    []imageRow
	elsewhere []imageRow       // In a second region.
	foreign   func(b *builder) // What uses images of other accounts.
}

var members = []member{
	{id: managementID, name: "management", images: []imageRow{
		{name: "billing-export-DATE", age: 40, launched: 12, gib: []int{8}, use: "running"},
		{name: "billing-export-DATE", age: 410, launched: 380, gib: []int{8}},
	}},
	// The account that bakes images for all.
	{id: accountID, name: "images", path: platformID, images: goldenImages},
	{id: hubID, name: "operations", path: platformID, images: []imageRow{
		{name: "bastion-DATE", age: 18, launched: 3, gib: []int{8}, use: "running"},
		{name: "bastion-DATE", age: 350, launched: 300, gib: []int{8}},
	}},
	{id: "888888888888", name: "network", path: platformID},

	// One consumer runs an old image of the organization's; another has one in a launch template.
	{id: "111122223333", name: "shop-production", path: workloadsID + "/" + productionID, foreign: func(b *builder) {
		b.instance(imageRow{name: "shop", age: 12, launched: 4}, golden("golden-al2023-DATE", 12), "running", 16)
		b.instance(imageRow{name: "shop-admin", age: 210, launched: 190}, golden("golden-al2023-DATE", 210), "running", 16)
	}, images: []imageRow{
		{
			name: "shop-web-DATE", age: 11, launched: 2, gib: []int{12}, use: "running",
			with: object{"SourceImageId": golden("golden-al2023-DATE", 12), "SourceImageRegion": "us-east-1"},
		},
		{name: "shop-web-DATE", age: 260, launched: 240, gib: []int{12}},
		{name: "shop-web-DATE", age: 340, launched: 310, gib: []int{12}},
	}},
	{id: "444455556666", name: "payments-production", path: workloadsID + "/" + productionID, foreign: func(b *builder) {
		b.template(imageRow{name: "settlement", age: 230}, launching(golden("golden-ubuntu-24.04-DATE", 230)))
		b.instance(imageRow{name: "ledger", age: 15, launched: 6}, golden("golden-ubuntu-24.04-DATE", 15), "running", 16)
	}},
	{id: "222222222222", name: "search-staging", path: workloadsID, images: []imageRow{
		{name: "indexer-DATE", age: 25, launched: 9, gib: []int{20}, use: "template"},
		{name: "indexer-DATE", age: 265, launched: 250, gib: []int{20}},
		{name: "indexer-DATE", age: 390, launched: 370, gib: []int{20, 200}},
		{name: "indexer-DATE", age: 480, gib: []int{20}},
	}},
	{id: experimentID, name: "sandbox", path: sandboxID, images: []imageRow{
		{name: "gpu-experiment", age: 420, launched: 400, gib: []int{120}},
		{name: "notebook-try", age: 380, gib: []int{60}},
		{name: "notebook", age: 300, launched: 20, gib: []int{60}, use: "stopped"},
	}},
	{id: "555555555555", name: "media", path: workloadsID, images: []imageRow{
		{name: "transcoder-DATE", age: 30, launched: 8, gib: []int{40}, use: "running"},
		{name: "transcoder-DATE", age: 290, launched: 270, gib: []int{40}},
	}, elsewhere: []imageRow{
		{name: "transcoder-eu-DATE", age: 31, launched: 9, gib: []int{40}, use: "running"},
		{name: "transcoder-eu-DATE", age: 295, launched: 280, gib: []int{40}},
	}},
	{id: "111111111111", name: "intranet", path: workloadsID, images: []imageRow{
		{name: "wiki-DATE", age: 50, launched: 15, gib: []int{30}, use: "running"},
		{name: "wiki-DATE", age: 370, launched: 330, gib: []int{30}, tags: labels{"ami-janitor:keep": "true"}},
		{name: "wiki-DATE", age: 440, launched: 405, gib: []int{30}},
	}},

	{id: acquiredOne, name: "acquired", path: acquiredID, noRole: true},
	{id: "777777777777", name: "closed-project", path: suspendedID, state: "SUSPENDED", images: []imageRow{
		{name: "prototype", age: 800, launched: 700, gib: []int{8}},
	}},
}

// goldenImages are shared with the organization, with a unit, or with one account.
var goldenImages = []imageRow{
	{name: "golden-al2023-DATE", age: 12, launched: 2, gib: []int{8}, access: organizationARN},
	{name: "golden-al2023-DATE", age: 210, launched: 190, gib: []int{8}, access: organizationARN},
	{name: "golden-al2023-DATE", age: 300, launched: 280, gib: []int{8}, access: organizationARN},

	{name: "golden-ubuntu-24.04-DATE", age: 15, launched: 3, gib: []int{10}, access: workloadsARN},
	{name: "golden-ubuntu-24.04-DATE", age: 230, launched: 200, gib: []int{10}, access: workloadsARN},
	{name: "golden-ubuntu-24.04-DATE", age: 320, launched: 250, gib: []int{10}, access: workloadsARN},

	{name: "golden-windows-2025-DATE", age: 25, launched: 7, gib: []int{40}, access: experimentID},
	{name: "golden-windows-2025-DATE", age: 280, launched: 240, gib: []int{40}, access: experimentID},

	{name: "golden-rhel-10-DATE", age: 30, launched: 11, gib: []int{10}, access: acquiredOne},
	{name: "golden-rhel-10-DATE", age: 290, launched: 260, gib: []int{10}, access: acquiredOne},

	// What it builds for itself.
	{name: "image-builder-agent-DATE", age: 8, launched: 1, gib: []int{16}, use: "running"},
	{name: "image-builder-agent-DATE", age: 222, launched: 205, gib: []int{16}},
	{name: "image-builder-agent-DATE", age: 430, launched: 415, gib: []int{16}},
}

// golden is the id of a shared image by its row's name and age.
func golden(name string, age int) string { return idOf("ami", name, age) }

// Organization loads the built-in organization.
func Organization(o emulator.Options) (*emulator.Organization, error) {
	o.Region = cmp.Or(o.Region, "us-east-1")
	return emulator.LoadOrganization(OrganizationFiles(o.Now(), o.Region), o)
}

// OrganizationFiles is the built-in organization as a directory: twelve accounts, one bakes images
// for the others, one has no role of the janitor, and one is suspended. All its dates are counted
// from now; the same now and region give the same files.
func OrganizationFiles(now time.Time, region string) fs.FS {
	second := "eu-west-1"
	if region == second {
		second = "us-east-1"
	}
	files := map[string]any{
		"organization.json":                       listOfMembers(now),
		emulator.RecordsBucket + "/org/seen.json": memory(now.UTC().Truncate(time.Second), region, second),
	}
	for _, m := range members {
		if m.noRole {
			continue
		}
		m.put(files, path.Join("accounts", m.id), now, m.images, m.foreign)
		if len(m.elsewhere) > 0 {
			m.put(files, path.Join("accounts", m.id, "regions", second), now, m.elsewhere, nil)
		}
	}
	return archive(files)
}

// memory is what earlier nights have seen: every account that has a role, for longer than any idle
// limit, and a golden image in use by an account that has ended its last instance since.
func memory(now time.Time, regions ...string) object {
	series, counted := object{}, 0
	for _, m := range members {
		if m.noRole || m.state != "" {
			continue
		}
		counted++
		of := object{}
		for _, region := range regions {
			of[region] = object{"since": now.AddDate(0, 0, -300).Format(time.RFC3339), "last": now.AddDate(0, 0, -1).Format(time.RFC3339)}
		}
		series[m.id] = of
	}
	return object{
		"lastRun": runAt(now.AddDate(0, 0, -1)), "listed": len(members), "answered": counted, "realRuns": 20,
		"seen": object{
			golden("golden-ubuntu-24.04-DATE", 320): object{"account": "222222222222", "at": now.AddDate(0, 0, -45).Format(time.RFC3339)},
		},
		"series": series,
	}
}

// put adds the files of the account for one region.
func (m member) put(files map[string]any, folder string, now time.Time, images []imageRow, foreign func(*builder)) {
	b := newBuilder(now, m.id)
	for _, image := range images {
		b.image(image)
	}
	if foreign != nil {
		foreign(b)
	}
	for name, content := range b.files(m.name) {
		files[path.Join(folder, name)] = content
	}
}

// listOfMembers is the content of organization.json.
func listOfMembers(now time.Time) object {
	joined := now.UTC().AddDate(-3, 0, 0).Format(time.RFC3339)
	accounts := make([]object, len(members))
	for i, m := range members {
		accounts[i] = object{
			"Id": m.id, "Name": m.name, "State": cmp.Or(m.state, "ACTIVE"), "Path": path.Join(organizationID, rootID, m.path) + "/",
			"Arn": "arn:aws:organizations::" + managementID + ":account/" + organizationID + "/" + m.id, "Email": m.name + "@example.com",
			"JoinedMethod": "CREATED", "JoinedTimestamp": joined,
		}
	}
	return object{
		"Organization": object{
			"Id": organizationID, "Arn": organizationARN, "FeatureSet": "ALL",
			"MasterAccountId": managementID, "MasterAccountEmail": "management@example.com",
			"MasterAccountArn": "arn:aws:organizations::" + managementID + ":account/" + organizationID + "/" + managementID,
		},
		"Hub": hubID, "Accounts": accounts,
	}
}
