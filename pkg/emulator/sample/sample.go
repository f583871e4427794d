// Package sample is the built-in account, which shows every verdict there is on an image.
package sample

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// object is a JSON object, as the AWS CLI prints it.
type object = map[string]any

// Load loads the built-in account: Files in the home region, and in another one a few images of
// which EC2 has lost the launch data.
func Load(o emulator.Options) (*emulator.Account, error) {
	o.Region = cmp.Or(o.Region, "us-east-1")
	account, err := emulator.Load(Files(o.Now(), o.Region), o)
	if err != nil {
		return nil, err
	}
	second := "eu-west-1"
	if account.Home() == second {
		second = "us-east-1"
	}
	return account, account.AddRegion(second, archive(describe(o.Now(), imagesElsewhere, snapshotsElsewhere).files("example-prod")))
}

// Files is the home region of the built-in account, as an account directory: rich enough to show
// every verdict there is on an image, with the plans of the runs that have announced and declared
// some removals, and with the function of a stack. All its dates are counted from now; the same now
// and region give the same files.
func Files(now time.Time, region string) fs.FS {
	files := describe(now, images, snapshots).files("example-prod")
	maps.Copy(files, records(now.UTC().Truncate(time.Second), region))
	maps.Copy(files, stackFiles(now.UTC().Truncate(time.Second), region))
	maps.Copy(files, serviceFiles(now.UTC().Truncate(time.Second), region))
	maps.Copy(files, bundles())
	return archive(files)
}

// Policy is the name of the policy that has announced removals in the sample: the command line's.
const Policy = "cli"

// records are the plans of the runs of this policy that have announced and declared removals in the
// sample.
func records(now time.Time, region string) map[string]any {
	b := builder{now: now}
	run, earlier, due := b.dated("RUN"), b.dated("EARLIER"), b.dated("DUE")+"T00:00:00Z"
	announced, declared := []object{}, []object{}
	for _, image := range images {
		action := "announce"
		if image.tags[disabledTag] != "" {
			action = "disable"
		}
		if image.tags["ami-janitor:run"] == "EARLIER" {
			ids := []string{}
			for _, label := range image.maps {
				ids = append(ids, idOf("snap", label, 0))
			}
			declared = append(declared, object{"imageId": idOf("ami", image.name, image.age), "snapshotIds": ids})
		}
		if image.tags[announcedByTag] == "RUN POLICY" {
			announced = append(announced, object{"imageId": idOf("ami", image.name, image.age), "due": due, "action": action})
		}
	}
	return map[string]any{
		emulator.RecordsBucket + "/account.json": object{"account": accountID},
		emulator.RecordsBucket + "/runs/" + run + "/plan-" + region + ".json": object{
			"run": run, "region": region, "account": accountID, "at": b.at(5).Format(time.RFC3339), "declared": []object{},
			"policy": Policy, "announced": announced,
		},
		emulator.RecordsBucket + "/runs/" + earlier + "/plan-" + region + ".json": object{
			"run": earlier, "region": region, "account": accountID, "at": b.at(14).Format(time.RFC3339), "declared": declared,
			"policy": Policy, "announced": []object{},
		},
	}
}

// stackFiles is a stack with the janitor's function, whose policy is another one than the command
// line's.
func stackFiles(now time.Time, region string) map[string]any {
	const stack, function = "ami-janitor", "ami-janitor-JanitorFunction-0123456789AB"
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":" + region + ":" + accountID + ":" + resource
	}
	deployed := now.AddDate(0, 0, -30)
	return map[string]any{
		"cloudformation-describe-stack-resource.json": []object{{"StackResourceDetail": object{
			"StackName": stack, "StackId": arn("cloudformation", "stack/"+stack+"/0ec0ffee-0000-11ef-8000-0123456789ab"),
			"LogicalResourceId": "JanitorFunction", "PhysicalResourceId": function,
			"ResourceType": "AWS::Lambda::Function", "ResourceStatus": "CREATE_COMPLETE",
			"LastUpdatedTimestamp": deployed.Format(time.RFC3339),
		}}},
		"lambda-get-function-configuration.json": []object{{
			"FunctionName": function, "FunctionArn": arn("lambda", "function:"+function), "Version": "$LATEST",
			"Runtime": "provided.al2023", "Handler": "bootstrap", "MemorySize": 256, "Timeout": 900,
			"LastModified": deployed.Format("2006-01-02T15:04:05.000-0700"),
			"Environment":  object{"Variables": variables},
		}},
	}
}

// describe collects images and snapshots of the built-in account.
func describe(now time.Time, images []imageRow, snapshots []snapshotRow) *builder {
	b := newBuilder(now, accountID)
	for _, image := range images {
		b.image(image)
	}
	for _, snapshot := range snapshots {
		if b.ages[snapshot.label] == 0 && snapshot.age == 0 {
			continue // No image of this region maps it.
		}
		snapshot.age = max(snapshot.age, b.ages[snapshot.label])
		b.snapshot(idOf("snap", snapshot.label, 0), snapshot)
	}
	return b
}

// files is the account directory of what was collected.
func (b *builder) files(alias string) map[string]any {
	return map[string]any{
		"get-caller-identity.json": object{
			"Account": b.account,
			"Arn":     "arn:aws:sts::" + b.account + ":assumed-role/ami-janitor/rehearsal",
			"UserId":  "AROAIOSFODNN7EXAMPLE:rehearsal",
		},
		"iam-list-account-aliases.json":            object{"AccountAliases": []any{alias}},
		"describe-images.json":                     object{"Images": listed(b.images)},
		"describe-snapshots.json":                  object{"Snapshots": listed(b.snapshots)},
		"describe-instances.json":                  object{"Reservations": listed(b.reservations)},
		"describe-launch-templates.json":           object{"LaunchTemplates": listed(b.templates)},
		"describe-launch-template-versions.json":   object{"LaunchTemplateVersions": listed(b.versions)},
		"describe-auto-scaling-groups.json":        object{"AutoScalingGroups": listed(b.groups)},
		"describe-launch-configurations.json":      object{"LaunchConfigurations": listed(b.configurations)},
		"describe-spot-fleet-requests.json":        object{"SpotFleetRequestConfigs": listed(b.spotFleets)},
		"describe-spot-instance-requests.json":     object{"SpotInstanceRequests": listed(b.spotRequests)},
		"describe-instance-refreshes.json":         object{"InstanceRefreshes": listed(b.refreshes)},
		"describe-fleets.json":                     object{"Fleets": []object{}},
		"describe-image-references.json":           object{"ImageReferences": []object{}},
		"describe-fast-launch-images.json":         object{"FastLaunchImages": listed(b.fastLaunches)},
		"describe-fast-snapshot-restores.json":     object{"FastSnapshotRestores": listed(b.fastRestores)},
		"describe-image-usage-report-entries.json": object{"ImageUsageReportEntries": listed(b.usageEntries)},
		"describe-parameters.json":                 object{"Parameters": listed(b.parameters)},
		"get-parameters.json":                      object{"Parameters": listed(b.parameterValues), "InvalidParameters": []string{}},
		"describe-locked-snapshots.json":           object{"Snapshots": listed(b.locks)},
		"describe-launch-permissions.json":         b.permissions,
		"describe-create-volume-permissions.json":  b.volumePermissions,
		"list-images-in-recycle-bin.json":          object{"Images": []object{}},
		"list-snapshots-in-recycle-bin.json":       object{"Snapshots": []object{}},
		"list-rules.json":                          object{"Rules": emulator.JanitorRules(retention)},
	}
}

// listed makes no list an empty one.
func listed(items []object) []object { return append([]object{}, items...) }

// archive is a file system of JSON files: a zip archive in memory, the standard library's own.
func archive(files map[string]any) fs.FS {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		must(err)
		if text, ok := files[name].([]byte); ok {
			_, err = w.Write(text)
			must(err)
			continue
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "    ")
		must(e.Encode(files[name]))
	}
	must(z.Close())
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	must(err)
	return r
}

// must is for what cannot fail: writing a table of this package to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// idOf is an id that is the same on every day and stays the same when rows are added. It has the
// form of EC2's, and begins so that nobody takes it for a real one.
func idOf(kind, label string, age int) string {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, label, age) // A hash takes everything.
	return fmt.Sprintf("%s-0ec0ffee%09x", kind, h.Sum64()&0xfffffffff)
}

// builder collects the contents of the files of an account.
type builder struct {
	now     time.Time
	account string
	ages    map[string]int // Of the snapshots of the table, by label.

	images, snapshots, reservations, templates, versions []object
	groups, configurations, spotFleets, spotRequests     []object
	refreshes                                            []object
	fastLaunches, fastRestores, usageEntries             []object
	parameters, parameterValues, locks                   []object
	permissions, volumePermissions                       object
}

func newBuilder(now time.Time, account string) *builder {
	return &builder{now: now.UTC().Truncate(time.Second), account: account, permissions: object{}, volumePermissions: object{}, ages: map[string]int{}}
}

// ago is a time some days back, as EC2 writes a timestamp. The hours vary.
func (b *builder) ago(days int) string {
	return b.at(days).Format("2006-01-02T15:04:05Z")
}

func (b *builder) at(days int) time.Time {
	return b.now.AddDate(0, 0, -days).Add(-time.Duration(90+days*131%720) * time.Minute)
}

// image adds an image, and with it its snapshots, its launch permissions and whatever uses it.
func (b *builder) image(row imageRow) {
	id := idOf("ami", row.name, row.age)
	name := strings.ReplaceAll(row.name, "DATE", b.at(row.age).Format("2006-01-02"))
	image := object{
		"ImageId": id, "Name": name, "OwnerId": b.account, "ImageLocation": b.account + "/" + name,
		"CreationDate": b.at(row.age).Format("2006-01-02T15:04:05.000Z"),
		"State":        "available", "Public": false, "ImageType": "machine", "Architecture": "x86_64",
		"PlatformDetails": "Linux/UNIX", "UsageOperation": "RunInstances", "EnaSupport": true, "SriovNetSupport": "simple",
		"Hypervisor": "xen", "VirtualizationType": "hvm", "RootDeviceType": "ebs", "RootDeviceName": "/dev/xvda",
		"DeregistrationProtection": "disabled",
	}
	if row.launched > 0 {
		image["LastLaunchedTime"] = b.ago(row.launched)
	}
	if len(row.tags) > 0 {
		image["Tags"] = b.tags(row.tags)
	}
	b.amend(image, row.with)
	further, _ := row.with["BlockDeviceMappings"].([]object)
	image["BlockDeviceMappings"] = append(b.disks(row, id), further...)
	b.images = append(b.images, image)

	if image["OwnerId"] == b.account {
		b.permissions[id] = launchers(row.access)
	}
	if use := uses[row.use]; use != nil {
		use(b, row, id)
	}
}

// amend sets the further fields of a row.
func (b *builder) amend(o, with object) {
	for key, value := range with {
		if s, ok := value.(string); ok {
			value = b.dated(s)
		}
		o[key] = value
		if value == nil {
			delete(o, key)
		}
	}
}

// dated puts days into a text.
func (b *builder) dated(s string) string {
	return strings.NewReplacer(
		"TOMORROW", b.ago(-1),
		"YESTERDAY", b.ago(1),
		"RESTORED", b.at(10).Format(time.DateOnly),
		"DUE", b.now.AddDate(0, 0, 9).Format(time.DateOnly),
		"EARLIER", runAt(b.now.AddDate(0, 0, -14)),
		"ONGOING", runAt(b.now.Add(-3*time.Hour)),
		"RUN", runAt(b.now.AddDate(0, 0, -5)),
		"POLICY", Policy,
	).Replace(s)
}

// runAt is the id of a run of the janitor that began at a time.
func runAt(begin time.Time) string { return begin.Format("20060102T150405Z") + "-3f9c1a" }

// tags is a list of tags as AWS has it, in the order of the keys.
func (b *builder) tags(tags labels) []object {
	var list []object
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, object{"Key": key, "Value": b.dated(tags[key])})
	}
	return list
}

// disks are the block devices of an image. The snapshots that are its own are added to the account.
func (b *builder) disks(row imageRow, imageID string) []object {
	disks := []object{}
	add := func(snapshotID string, gib int) {
		device := "/dev/xvda"
		if n := len(disks); n > 0 {
			device = "/dev/sd" + "fghijklmnop"[n-1:n]
		}
		disks = append(disks, object{"DeviceName": device, "Ebs": object{
			"SnapshotId": snapshotID, "VolumeSize": gib, "VolumeType": "gp3", "Encrypted": false, "DeleteOnTermination": true,
		}})
	}
	for i, gib := range row.gib {
		snapshotID := idOf("snap", fmt.Sprint(row.name, " disk ", i), row.age)
		add(snapshotID, gib)
		description := fmt.Sprintf("Created by CreateImage(%s) for %s", idOf("i", row.name, row.age), imageID)
		b.snapshot(snapshotID, snapshotRow{gib: gib, age: row.age, with: object{"Description": description}})
	}
	for _, label := range row.maps {
		gib := 8
		if i := slices.IndexFunc(snapshots, func(s snapshotRow) bool { return s.label == label }); i >= 0 {
			gib = snapshots[i].gib
		}
		add(idOf("snap", label, 0), gib)
		b.ages[label] = max(b.ages[label], row.age)
	}
	return disks
}

func (b *builder) snapshot(id string, row snapshotRow) {
	snapshot := object{
		"SnapshotId": id, "OwnerId": b.account, "State": "completed", "Progress": "100%", "VolumeSize": row.gib,
		"VolumeId": idOf("vol", id, 0), "StartTime": b.ago(row.age), "StorageTier": "standard", "Encrypted": false,
	}
	if len(row.tags) > 0 {
		snapshot["Tags"] = b.tags(row.tags)
	}
	b.amend(snapshot, row.with)
	b.snapshots = append(b.snapshots, snapshot)
	b.volumePermissions[id] = launchers(row.access)
	if row.lock != "" {
		b.locks = append(b.locks, object{
			"SnapshotId": id, "OwnerId": b.account, "LockState": row.lock, "LockCreatedOn": b.ago(row.age), "LockDuration": row.age + 365,
		})
	}
}

// launchers is the entry of an image or a snapshot in the file of permissions.
func launchers(access string) any {
	switch {
	case access == "":
		return []object{}
	case access == "all":
		return []object{{"Group": "all"}}
	case access == "unreadable":
		return nil
	case strings.Contains(access, ":organization/"):
		return []object{{"OrganizationArn": access}}
	case strings.Contains(access, ":ou/"):
		return []object{{"OrganizationalUnitArn": access}}
	default:
		return []object{{"UserId": access}}
	}
}
