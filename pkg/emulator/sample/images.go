package sample

import (
	"fmt"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// accountID is AWS's own example account.
const accountID = "123456789012"

// imageRow is a row of the sample account. To extend it, add one.
type imageRow struct {
	name     string // DATE in it stands for the day of creation.
	age      int    // Days since the creation.
	launched int    // Days since the last launch on record; 0 if there is none.
	gib      []int  // The sizes of the volumes whose snapshots no other image maps.
	// The labels of snapshots of the table below; one that is not there is not in the account.
	maps []string
	tags labels
	use  string // What uses it: one of the keys of uses; "" if nothing does.
	// Who may launch it: "all", an account, the ARN of an organization or a unit, or "unreadable";
	// "" for nobody else.
	access string
	with   object // Further fields of the image, as DescribeImages has them; null takes one away.
}

// labels are tags, by key.
type labels map[string]string

// snapshotRow is a snapshot that is worth a row: one that is shared, or special.
type snapshotRow struct {
	label  string
	gib    int
	age    int // Days since it was begun; that of the oldest image that maps it if there is one.
	tags   labels
	lock   string // The state of its lock; "" if it has none.
	access string // Who may make volumes of it, as with imageRow.
	with   object
}

// variables are what the function of the sample's stack is told.
var variables = labels{
	"DRY_RUN": "true", "POLICY_NAME": "ami-janitor", "STACK_NAME": "ami-janitor", "STALE_AFTER": "90d", "REGIONS": "",
	"RECYCLE_BIN_DAYS": "14", "REQUIRE_RECYCLE_BIN": "true", "RECORDS": "s3://" + emulator.RecordsBucket,
	"TOPIC_ARN": "arn:aws:sns:us-east-1:" + accountID + ":ami-janitor-DigestTopic-0123456789AB",
}

// retention is for how many days the Recycle Bin retains what the janitor removes.
const retention = 14

var images = []imageRow{
	// A fleet that is rolled often: the newest are in use, the older ones are free to go, but for
	// one that an instance nobody replaced still runs.
	{name: "web-DATE-0412", age: 9, launched: 2, gib: []int{8}, tags: labels{"Team": "storefront"}, use: "running"},
	{name: "web-DATE-0412", age: 44, launched: 30, gib: []int{8}, tags: labels{"Team": "storefront"}},
	{name: "web-DATE-0411", age: 205, launched: 190, gib: []int{8}, tags: labels{"Team": "storefront"}},
	{name: "web-DATE-0413", age: 268, launched: 215, gib: []int{8}, tags: labels{"Team": "storefront"}},
	{name: "web-DATE-0412", age: 339, launched: 301, gib: []int{8}, tags: labels{"Team": "storefront"}, use: "running"},
	{name: "web-DATE-0410", age: 412, launched: 388, gib: []int{8, 100}, tags: labels{"Team": "storefront"}},
	{name: "web-DATE-0412", age: 500, gib: []int{8}, tags: labels{"Team": "storefront"}},

	{name: "api-DATE-1830", age: 21, launched: 5, gib: []int{16}, tags: labels{"Team": "payments"}, use: "template"},
	{name: "api-DATE-1831", age: 230, launched: 222, gib: []int{16}, tags: labels{"Team": "payments"}, use: "old template"},
	{name: "api-DATE-1830", age: 310, launched: 260, gib: []int{16}, tags: labels{"Team": "payments"}},
	{name: "api-DATE-1829", age: 390, launched: 350, gib: []int{16}, tags: labels{"Team": "payments"}, use: "stopped"},
	{name: "api-DATE-1830", age: 477, launched: 400, gib: []int{16}, tags: labels{"Team": "payments"}},

	{name: "ci-runner-DATE", age: 3, launched: 1, gib: []int{60}, tags: labels{"Team": "build"}, use: "running"},
	{name: "ci-runner-DATE", age: 195, launched: 188, gib: []int{60}, tags: labels{"Team": "build"}},
	{name: "ci-runner-DATE", age: 224, launched: 196, gib: []int{60}, tags: labels{"Team": "build"}},
	{name: "ci-runner-DATE", age: 254, gib: []int{60}, tags: labels{"Team": "build"}},
	{name: "ci-runner-DATE", age: 285, launched: 240, gib: []int{60}, tags: labels{"Team": "build"}},
	{name: "ci-runner-DATE", age: 316, launched: 205, gib: []int{60}, tags: labels{"Team": "build"}, use: "terminated"},

	{name: "worker-1.42.0-4f1c2d9", age: 35, launched: 6, gib: []int{20}, tags: labels{"Team": "search"}},
	{name: "worker-1.39.2-a07be11", age: 240, launched: 201, gib: []int{20}, tags: labels{"Team": "search"}},
	{name: "worker-1.38.0-77d30fa", age: 300, gib: []int{20, 500}, tags: labels{"Team": "search"}},
	{name: "worker-1.30.1-09be4c5", age: 610, launched: 4, gib: []int{20}, tags: labels{"Team": "search"}},

	// Images made to be built upon.
	{name: "base-al2023-DATE", age: 190, gib: []int{8}},
	{name: "base-al2023-DATE", age: 520, launched: 470, gib: []int{8}},
	{
		name: "base-al2023-hardened-DATE", age: 14, launched: 10, gib: []int{8},
		with: object{"SourceImageId": idOf("ami", "base-al2023-DATE", 520), "SourceImageRegion": "us-east-1"},
	},
	{name: "golden-ubuntu-22.04-DATE", age: 20, launched: 3, gib: []int{10}, tags: labels{"Team": "platform"}, access: "111122223333"},
	{name: "golden-ubuntu-22.04-DATE", age: 262, launched: 200, gib: []int{10}, tags: labels{"Team": "platform", "ami-janitor:keep": "true"}},
	{name: "golden-ubuntu-22.04-DATE", age: 450, launched: 420, gib: []int{10}, tags: labels{"Team": "platform"}, use: "another account", access: "111122223333"},
	{name: "golden-ubuntu-22.04-DATE", age: 530, launched: 510, gib: []int{10}, tags: labels{"Team": "platform"}, access: "unreadable"},
	{name: "golden-rhel-9-DATE", age: 33, launched: 8, gib: []int{10}, tags: labels{"Team": "platform"}},
	{name: "golden-rhel-9-DATE", age: 400, launched: 380, gib: []int{10}, tags: labels{"Team": "platform"}, use: "parameter"},
	{name: "community-demo", age: 505, launched: 490, gib: []int{8}, access: "all", with: object{"Public": true}},

	// What other services made, and look after.
	{
		name: "AwsBackup_i-0ec0ffee000000a11_3f0c1a52-7e0b-4f3e-9d55-b1d6a3c0e7f4", age: 250, maps: []string{"backup"},
		tags: labels{"aws:backup:source-resource": "i-0ec0ffee000000a11:3f0c1a52-7e0b-4f3e-9d55-b1d6a3c0e7f4"},
	},
	{
		name: "DLM_policy-0ec0ffee000000d1a_i-0ec0ffee000000a12_DATE", age: 220, gib: []int{40},
		tags: labels{"aws:dlm:lifecycle-policy-id": "policy-0ec0ffee000000d1a", "aws:dlm:lifecycle-schedule-name": "Weekly", "dlm:managed": "true"},
	},
	{
		name: "pipeline-al2023 DATE", age: 275, gib: []int{8},
		tags: labels{
			"CreatedBy":          "EC2 Image Builder",
			"Ec2ImageBuilderArn": "arn:aws:imagebuilder:us-east-1:" + accountID + ":image/pipeline-al2023/1.0.4/1",
		},
	},
	{name: "drs-conversion-DATE", age: 260, gib: []int{8}, tags: labels{"AWSElasticDisasterRecoveryManaged": "drs.amazonaws.com"}},

	// Old kinds of images, and states other than available.
	{
		name: "render-node-bundle", age: 1990, tags: labels{"Team": "media"},
		with: object{"RootDeviceType": "instance-store", "RootDeviceName": "/dev/sda1", "ImageLocation": "example-bundles/render-node.manifest.xml"},
	},
	{
		name: "windows-2019-iis-DATE", age: 302, launched: 255, gib: []int{30, 50}, tags: labels{"Team": "intranet"},
		with: object{"Platform": "windows", "PlatformDetails": "Windows", "UsageOperation": "RunInstances:0002"},
	},
	{
		name: "windows-2022-iis-DATE", age: 60, launched: 20, gib: []int{30, 50}, tags: labels{"Team": "intranet"},
		with: object{"Platform": "windows", "PlatformDetails": "Windows", "UsageOperation": "RunInstances:0002"},
	},
	{name: "retired-portal", age: 350, launched: 320, gib: []int{12}, with: object{"State": "disabled"}},
	{name: "nightly-build-DATE", age: 0, gib: []int{25}, with: object{"State": "pending"}},
	{
		name: "import-DATE", age: 192, gib: []int{40},
		with: object{"State": "failed", "StateReason": object{"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}},
	},
	{name: "warehouse-scratch", age: 333, launched: 290, gib: []int{100}, tags: labels{"Team": "data"}, with: object{"BlockDeviceMappings": []object{
		{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}, {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral1"},
	}}},
	{name: "vendor-firewall", age: 700, launched: 640, gib: []int{64}, with: object{"ProductCodes": []object{
		{"ProductCodeId": "7h7h3bnutjn0ziamv7npi8a69", "ProductCodeType": "marketplace"},
	}}},

	// Two machines that VM Import has brought in; and a build that its owner has deprecated, with
	// the one before it.
	{name: "import-ami-0ec0ffee000000f01", age: 610, gib: []int{32}},
	{name: "import-ami-0ec0ffee000000f02", age: 240, gib: []int{32}},
	{name: "desk-DATE", age: 340, launched: 310, gib: []int{16}},
	{name: "desk-DATE", age: 265, launched: 262, gib: []int{16}, with: object{"DeprecationTime": "YESTERDAY"}},

	// Protected from deregistration.
	{name: "compliance-archive-1", age: 710, launched: 600, gib: []int{8}, with: object{"DeregistrationProtection": "enabled-without-cooldown"}},
	{name: "compliance-archive-2", age: 690, gib: []int{8}, with: object{"DeregistrationProtection": "enabled-with-cooldown"}},
	{name: "compliance-archive-3", age: 680, gib: []int{8}, with: object{"DeregistrationProtection": "disabled after TOMORROW"}},
	{name: "compliance-archive-4", age: 670, gib: []int{8}, with: object{"DeregistrationProtection": "disabled"}},

	// Tags that the janitor reads.
	{name: "preview-env-a", age: 50, launched: 41, gib: []int{8}, tags: labels{"ami-janitor:stale-after": "30d"}},
	{name: "preview-env-b", age: 290, gib: []int{8}, tags: labels{"ami-janitor:stale-after": "soon"}},
	{name: "preview-env-c", age: 295, gib: []int{8}, tags: labels{"ami-janitor:stale-after": "3d"}},
	{name: "quarter-close", age: 420, launched: 370, gib: []int{80}, tags: labels{"Team": "finance", "ami-janitor:restored": "RESTORED"}},

	// Announced for removal. To the second and the third somebody has objected, and the last has no
	// room for the tags.
	{name: "archive-indexer", age: 380, launched: 355, gib: []int{24}, tags: labels{"Team": "search", dueTag: "DUE", announcedByTag: "RUN POLICY"}},
	{name: "partner-gateway", age: 325, launched: 321, gib: []int{8}, tags: labels{"Team": "payments", announcedByTag: "RUN POLICY"}},
	{name: "fax-server", age: 860, launched: 850, gib: []int{8}, tags: labels{"Team": "intranet", dueTag: "DUE", announcedByTag: "RUN POLICY", disabledTag: "RUN"}},
	{
		name: "newsletter", age: 440, launched: 430, gib: []int{8}, tags: labels{"Team": "intranet", dueTag: "DUE", announcedByTag: "RUN POLICY", disabledTag: "RUN"},
		with: object{"State": "disabled"},
	},
	// By another policy.
	{name: "wiki", age: 470, launched: 462, gib: []int{8}, tags: labels{"Team": "intranet", dueTag: "DUE", announcedByTag: "RUN intranet"}},
	{name: "over-tagged", age: 335, launched: 330, gib: []int{8}, tags: fortyNineTags},

	// Declared for removal. The first was removed two weeks ago, and somebody has restored it
	// since; at the second, another run may be at work.
	{
		name: "payroll-export", age: 390, launched: 381, gib: []int{8}, maps: []string{"of a restored one"},
		tags: labels{"Team": "finance", "ami-janitor:intent": "remove", "ami-janitor:run": "EARLIER"},
	},
	{
		name: "thumbnailer", age: 296, launched: 283, maps: []string{"of a claimed one"},
		tags: labels{"Team": "media", "ami-janitor:intent": "remove", "ami-janitor:run": "ONGOING"},
	},

	// Facts that are missing, or cannot be right.
	{name: "clock-was-wrong", age: -30, gib: []int{8}},
	{name: "date-was-edited", age: 240, gib: []int{8}, with: object{"CreationDate": "yesterday"}},
	{name: "owner-not-exported", age: 280, launched: 250, gib: []int{8}, with: object{"OwnerId": nil}},
	{name: "not ours", age: 800, maps: []string{"from another account"}, with: object{"OwnerId": "999988887777", "ImageLocation": "999988887777/not ours"}},

	// Snapshots that are shared, held or missing.
	{name: "report-engine-a", age: 365, launched: 310, gib: []int{8}, maps: []string{"shared by two stale"}, tags: labels{"Team": "reporting"}},
	{name: "report-engine-b", age: 364, launched: 312, gib: []int{8}, maps: []string{"shared by two stale"}, tags: labels{"Team": "reporting"}},
	{name: "ledger-old", age: 480, launched: 440, gib: []int{8}, maps: []string{"shared with a kept one"}, tags: labels{"Team": "finance"}},
	{name: "ledger-current", age: 40, launched: 12, gib: []int{8}, maps: []string{"shared with a kept one"}, tags: labels{"Team": "finance"}},
	{name: "audit-trail", age: 540, gib: []int{8}, maps: []string{"locked"}},
	{name: "audit-trail-expired", age: 545, gib: []int{8}, maps: []string{"lock expired"}},
	{name: "map-tiles", age: 370, launched: 340, gib: []int{8}, maps: []string{"kept"}, tags: labels{"Team": "maps"}},
	{name: "crm-restore-test", age: 230, launched: 229, gib: []int{8}, maps: []string{"in AWS Backup"}},
	{name: "lost-volume", age: 620, gib: []int{8}, maps: []string{"no longer in the account"}},
	{name: "two-exports-merged", age: 585, gib: []int{8}, maps: []string{"listed twice"}},
	{name: "seismic-archive", age: 760, launched: 700, maps: []string{"archived"}, tags: labels{"Team": "research"}},

	// Old images that something still names, far from where anybody looks.
	{name: "batch-queue", age: 430, launched: 410, gib: []int{16}, use: "launch configuration"},
	{name: "transcoder-arm", age: 350, launched: 300, gib: []int{20}, use: "mixed instances", with: object{"Architecture": "arm64"}},
	{name: "risk-simulation", age: 400, launched: 370, gib: []int{20}, use: "spot fleet"},
	{name: "genome-assembly", age: 405, launched: 372, gib: []int{20}, use: "finished spot fleet"},
	{name: "price-crawler", age: 290, launched: 280, gib: []int{12}, use: "spot request"},
	{name: "license-server", age: 640, launched: 630, gib: []int{10}, use: "text parameter"},
	{name: "kiosk", age: 510, launched: 450, gib: []int{10}, use: "label of a parameter"},
	{
		name: "windows-desktop", age: 270, launched: 244, gib: []int{60}, use: "fast launch", tags: labels{"Team": "intranet"},
		with: object{"Platform": "windows", "PlatformDetails": "Windows", "UsageOperation": "RunInstances:0002"},
	},
	{name: "recovery-site", age: 560, launched: 555, gib: []int{200}, use: "fast snapshot restore"},
	{name: "geo-index", age: 345, launched: 315, gib: []int{8, 400}, use: "disk of a template", tags: labels{"Team": "maps"}},
	{name: "cluster-node", age: 215, launched: 200, gib: []int{30}, use: "managed"},
	{
		name: "storefront-copy", age: 330, gib: []int{8},
		with: object{"SourceImageId": idOf("ami", "web-DATE-0412", 339), "SourceImageRegion": "us-east-1"},
	},

	// Nobody remembers them.
	{name: "test-please-ignore", age: 900, gib: []int{8}},
	{name: "migration-dry-run", age: 820, launched: 815, gib: []int{250}, tags: labels{"Team": "platform"}},
	{name: "before-upgrade", age: 1130, gib: []int{120, 1000}, tags: labels{"Team": "data"}},
}

var snapshots = []snapshotRow{
	{label: "shared by two stale", gib: 200, tags: labels{"Team": "reporting"}},
	{label: "shared with a kept one", gib: 40},
	{label: "locked", gib: 300, lock: "governance"},
	{label: "lock expired", gib: 35, lock: "expired"},
	{label: "kept", gib: 150, tags: labels{"ami-janitor:keep": "true"}},
	{label: "backup", gib: 30, tags: labels{"aws:backup:source-resource": "i-0ec0ffee000000a11"}},
	{label: "in AWS Backup", gib: 30, tags: labels{"AWSBackupManagedResource": ""}},
	{label: "archived", gib: 2000, with: object{"StorageTier": "archive"}},
	{label: "listed twice", gib: 20},
	{label: "listed twice", gib: 25},
	{label: "of a restored one", gib: 60, tags: labels{"ami-janitor:intent": "remove", "ami-janitor:run": "EARLIER"}},
	{label: "of a claimed one", gib: 24, tags: labels{"ami-janitor:intent": "remove", "ami-janitor:run": "ONGOING"}},
	ofNoImage,
	{label: "of an image that is gone", gib: 45, age: 620, with: object{
		"Description": "Created by CreateImage(" + idOf("i", "gone", 0) + ") for " + idOf("ami", "gone", 0),
	}},
	{label: "shared, of an image that is gone", gib: 90, age: 615, access: "111122223333", with: object{
		"Description": "Created by CreateImage(" + idOf("i", "gone, too", 0) + ") for " + idOf("ami", "gone, too", 0),
	}},
}

var (
	snapshotsElsewhere = []snapshotRow{ofNoImage}

	ofNoImage = snapshotRow{label: "of no image", gib: 75, age: 410, with: object{"Description": "before the resize"}}
)

// The tags with which the janitor announces a removal.
const (
	dueTag         = "ami-janitor:due"
	announcedByTag = "ami-janitor:announced-by"
	disabledTag    = "ami-janitor:disabled"
)

// fortyNineTags leave room for one more.
var fortyNineTags = func() labels {
	tags := labels{}
	for i := range 49 {
		tags[fmt.Sprintf("cost-%02d", i+1)] = "shared"
	}
	return tags
}()

// imagesElsewhere are the images of a second region. None has a launch on record, although
// one is running.
var imagesElsewhere = []imageRow{
	{name: "edge-DATE", age: 12, gib: []int{8}},
	{name: "edge-DATE", age: 240, gib: []int{8}, use: "running"},
	{name: "edge-DATE", age: 365, gib: []int{8}},
	{name: "cdn-probe", age: 410, gib: []int{8}},
}
