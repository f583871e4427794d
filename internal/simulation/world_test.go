package simulation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

const (
	accountID    = "123456789012"
	otherAccount = "111122223333"
	home         = "us-east-1"
	abroad       = "eu-west-1"
	bucketName   = "ami-janitor-records"
)

// firstNight is when the first run of a schedule begins.
var firstNight = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

// takenAt is when all snapshots were taken.
var takenAt = ago(60)

const day = 24 * time.Hour

// world is what an account holds, and what the operator wants of it.
type world struct {
	settings  map[string]string
	second    map[string]string // The settings of a second policy; nil if there is none.
	regions   []string
	images    []*image
	snapshots []*snapshot
	rules     bool // The Recycle Bin has rules for what is tagged with the intent, of binDays.
	binDays   int
	bundles   *bundles      // Nil if no policy deletes any.
	ruleLag   time.Duration // For how long the rules do not see a tag.
}

// image is an image as it truly is. Times are absolute, and zero if there is none.
type image struct {
	id, region, name, family string
	created, launched        time.Time
	snapshots                []string
	tags                     map[string]string
	state                    string
	protection               string
	managed                  bool // By tags that are in tags.
	kind                     kind // Empty for most.
	public, shared           bool
	instanceStore            bool
	location                 string // Of its manifest; empty for one in no bucket that anybody has.
	source, sourceRegion     string
	usedBy                   string // "instance" or "template"; empty if nothing names it.

	there  bool
	goneAt time.Time // When it was removed last.
	goneBy string    // The actor.
	inBin  bool
	exit   time.Time
	// When it was brought back last after a removal; by whom does not matter.
	restoredAt time.Time
	restoredBy string
	removedBy  string    // Who had removed it then.
	plain      bool      // Somebody took the janitor's tags off after that.
	touched    time.Time // When a person changed something about it last.
	// When the run began that announced its removal, if it carries the announcement still.
	announced     time.Time
	objection     objection
	announcers    []string      // The runs that have ever announced its removal.
	forged        bool          // Somebody has written tags of the janitor to it.
	deprecated    time.Time     // When its owner has it deprecated; zero for never.
	slack         time.Duration // How far the clock of that run was off.
	markedAt      time.Time     // When it got the tag that says so.
	announcements int           // How often runs have announced its removal.
	announcedBy   string        // The name of the policy by which that run went.
	// The policy whose run has disabled it; empty if it is somebody else, or if it is not disabled.
	disabledBy   string
	deprecatedBy string    // The policy whose run has deprecated it.
	intentAt     time.Time // When it got the intent tag.
	launchedBy   string    // The instance that a person has launched of it.
	launchAt     time.Time
}

// objection is when somebody took off the day of an announcement, and which announcement.
type objection struct {
	at, announced time.Time
	announcedBy   string
}

// snapshot is a snapshot as it truly is.
type snapshot struct {
	id, region string
	tags       map[string]string
	managed    bool
	locked     bool
	unlisted   bool   // It is mapped, and not among the account's.
	forged     bool   // Somebody has written tags of the janitor to it.
	named      bool   // A launch template maps it.
	task       string // The import that has made it; empty if none has.
	own        bool   // A person has made it, and registered the image with it.
	orphanOf   string
	due        *dueOrphan // Nil for one that nobody may delete.
	size       int

	there      bool
	goneAt     time.Time
	goneBy     string
	inBin      bool
	exit       time.Time
	restoredAt time.Time
	touched    time.Time
	intentAt   time.Time
	untagged   bool // A person has taken the janitor's tags off.
}

func imageID(n int) string    { return fmt.Sprintf("ami-%017x", n) }
func snapshotID(n int) string { return fmt.Sprintf("snap-%017x", n) }

func ago(days float64) time.Time {
	return firstNight.Add(-time.Duration(days * float64(day))).Truncate(time.Second)
}

// newWorld draws an account.
func newWorld(d dice) *world {
	w := &world{regions: []string{home}, settings: newSettings(d)}
	if d.chance(30) {
		w.regions = append(w.regions, abroad)
	}
	w.settings["REGIONS"] = strings.Join(w.regions, ",")
	w.binDays = pick(d, 7, 14, 30)
	w.rules = d.chance(60)
	if w.settings["REQUIRE_RECYCLE_BIN"] == "true" {
		w.rules = d.chance(90)
		w.settings["RECYCLE_BIN_DAYS"] = pick(d, "0", "7")
	}
	if d.chance(5) {
		w.ruleLag = pick(d, time.Second, 10*time.Second, time.Minute)
	}
	most := pick(d, 2, 3, 4, 4, 5, 6, 8)
	if d.chance(4) {
		most = d.between(9, 24)
	}
	for n := range d.between(1, most) {
		w.addImage(d, n+1)
	}
	for range d.IntN(5) / 3 {
		w.addOrphan(d)
	}
	for n, region := range w.regions {
		if d.chance(50) {
			w.images = append(w.images, w.sentinel(800+n, region))
		}
	}
	return w
}

// addPolicy draws a second policy, with what its runs have announced. Its scope, limits and journal
// are its own.
func (w *world) addPolicy(d dice) {
	w.second = newSettings(d)
	w.second["POLICY_NAME"], w.second["REGIONS"] = "second", w.settings["REGIONS"]
	if w.second["RECORDS"] != "" {
		w.second["RECORDS"] = "s3://" + bucketName + "/" + pick(d, "second", "journals/of/the/second")
	}
	w.second["STALE_AFTER"] = pick(d, "30d", "30d", "60d", "10d")
	for _, settings := range []map[string]string{w.settings, w.second} {
		settings["NAMES"] = pick(d, "", "", "one-off-*", "web-*,db-*", "!web-*")
	}
	for _, i := range w.images {
		if i.announcedBy == "" && i.name != "sentinel" {
			w.addAnnouncement(d, i, w.second)
		}
	}
}

// addOwnSnapshots makes some snapshots ones that a person has made, and registered an image with.
func (w *world) addOwnSnapshots(d dice) {
	for _, sn := range w.snapshots {
		sn.own = sn.orphanOf == "" && d.chance(30)
	}
}

// sentinel is an image that always stays.
func (w *world) sentinel(n int, region string) *image {
	return &image{
		id: imageID(n), region: region, name: "sentinel", created: ago(3), launched: ago(3), tags: map[string]string{keepTag: "yes"}, state: "available", there: true,
	}
}

func newSettings(d dice) map[string]string {
	s := map[string]string{
		"POLICY_NAME":         "first",
		"STALE_AFTER":         "30d",
		"KEEP_NEWEST":         pick(d, "0", "0", "1", "1", "2"),
		"MAX_DEREGISTRATIONS": pick(d, "1", "2", "3", "5", "100", "100"),
		"USAGE_SOURCES":       "references,instances,launch-templates",
		"RECORDS":             "s3://" + bucketName + "/journal",
		"EC2_SHARE":           pick(d, "0.5", "0.5", "1", "0.2"),
		"REQUIRE_RECYCLE_BIN": "false",
		"RECYCLE_BIN_DAYS":    "0",
	}
	if d.chance(15) {
		s["USAGE_SOURCES"] = pick(d, "references", "instances,launch-templates", "all")
	}
	if d.chance(12) {
		s["DELETE_SNAPSHOTS"] = "false"
	}
	if d.chance(12) {
		s["RECORDS"] = ""
	}
	if d.chance(35) {
		s["REQUIRE_RECYCLE_BIN"] = "true"
	}
	if d.chance(20) {
		s["ORPHANED_SNAPSHOTS"] = "ignore"
	}
	if d.chance(30) {
		s["GRACE"] = pick(d, "1d", "2d", "3d")
		s["GRACE_ACTION"] = pick(d, "announce", "deprecate", "disable")
	}
	return s
}

// graceOf is the grace period in days of some settings.
func graceOf(settings map[string]string) int {
	days := 0
	_, _ = fmt.Sscanf(settings["GRACE"], "%dd", &days)
	return days
}

func (w *world) image(id string) *image {
	if at := slices.IndexFunc(w.images, func(i *image) bool { return i.id == id }); at >= 0 {
		return w.images[at]
	}
	return nil
}

func (w *world) snapshot(id string) *snapshot {
	if at := slices.IndexFunc(w.snapshots, func(s *snapshot) bool { return s.id == id }); at >= 0 {
		return w.snapshots[at]
	}
	return nil
}

// addImage draws an image.
func (w *world) addImage(d dice, n int) {
	i := &image{
		id: imageID(n), region: pick(d, w.regions...), tags: map[string]string{}, state: "available", there: true,
		name: "one-off-" + strings.Repeat("x", n), created: ago(float64(d.between(40, 400)) + d.Float64()),
	}
	switch d.IntN(12) {
	case 0:
		i.created = ago(float64(d.between(1, 25)) + d.Float64()) // Fresh.
	case 1, 2:
		i.created = ago(30 - 4*d.Float64()) // Stale in one of the next nights.
	case 3, 4:
		i.launched = i.created.Add(time.Duration(d.Float64() * float64(firstNight.Sub(i.created)))).Truncate(time.Second)
	}
	if d.chance(35) {
		i.family = pick(d, "web", "db")
		i.name = fmt.Sprintf("%s-%08d", i.family, 20260101+n)
		i.family += "-*"
	}
	w.addOddities(d, i)
	w.addSnapshots(d, i, n)
	w.addAnnouncement(d, i, w.settings)
	w.images = append(w.images, i)
}

// addOddities draws what keeps an image.
func (w *world) addOddities(d dice, i *image) {
	switch d.IntN(36) {
	case 0:
		i.tags["ami-janitor:keep"] = "yes"
	case 1:
		i.protection = pick(d, "enabled-with-cooldown", "enabled-without-cooldown", "disabled after 2026-11-24T02:00:00.000Z", "disabled")
	case 2:
		i.managed = true
		i.tags[pick(d, "aws:backup:source-resource", "dlm:managed")] = "arn:aws:ec2:us-east-1::image/x"
	case 3:
		i.public = true
	case 4:
		i.shared = true
	case 5:
		i.state = "disabled"
	case 6:
		i.usedBy = "instance"
	case 7:
		i.usedBy = "template"
	case 8:
		if len(w.images) > 0 {
			source := w.images[d.IntN(len(w.images))]
			i.source, i.sourceRegion = source.id, source.region
		}
	case 9:
		i.tags["ami-janitor:stale-after"] = pick(d, "10d", "90d")
	case 10:
		i.tags["ami-janitor:restored"] = ago(float64(d.between(1, 40))).Format(time.DateOnly)
	case 11:
		i.instanceStore = true
	}
	if d.chance(20) {
		i.tags["team"] = "billing"
	}
}

// addSnapshots draws the snapshots of an image.
func (w *world) addSnapshots(d dice, i *image, n int) {
	if i.instanceStore {
		return
	}
	for k := range d.between(1, 2) {
		var same []*snapshot
		for _, s := range w.snapshots {
			if s.region == i.region && s.orphanOf == "" {
				same = append(same, s)
			}
		}
		if len(same) > 0 && d.chance(22) {
			if s := pick(d, same...); !slices.Contains(i.snapshots, s.id) {
				i.snapshots = append(i.snapshots, s.id)
			}
			continue
		}
		s := &snapshot{id: snapshotID(10*n + k), region: i.region, tags: map[string]string{}, there: true, size: d.between(1, 100)}
		switch d.IntN(36) {
		case 0:
			s.tags["ami-janitor:keep"] = ""
		case 1:
			s.managed = true
			s.tags["dlm:managed"] = "true"
		case 2:
			s.locked = true
		case 3:
			s.unlisted, s.there = true, false
		case 4:
			s.named = true
		}
		w.snapshots = append(w.snapshots, s)
		i.snapshots = append(i.snapshots, s.id)
	}
}

// addAnnouncement draws the announcement of a removal by an earlier run of a policy: of an image
// that was old enough then.
func (w *world) addAnnouncement(d dice, i *image, settings map[string]string) {
	if grace := graceOf(settings); grace > 0 && d.chance(40) {
		if at := ago(float64(d.between(0, grace+1))).Add(-20 * time.Hour); at.Sub(i.created) >= time.Duration(retention.Floor) {
			i.announce(settings, at)
		}
	}
}

// announce makes an image one that a run of a policy has announced at a time.
func (i *image) announce(settings map[string]string, at time.Time) {
	run := runAt(at)
	i.announced, i.announcedBy, i.announcers = at, settings["POLICY_NAME"], []string{run}
	i.tags[dueTag] = i.due(settings).Format(time.DateOnly)
	i.tags[announcedByTag] = run + " " + i.announcedBy
	if settings["GRACE_ACTION"] == "disable" && !i.public && !i.shared && i.state == "available" {
		i.state, i.disabledBy = "disabled", i.announcedBy
		i.tags[disabledTag] = run
	}
}

// due is when the grace period of an announced image ends.
func (i *image) due(settings map[string]string) time.Time {
	return i.announced.Add(time.Duration(graceOf(settings)) * day)
}

// runAt is the id of a run that was before the first night.
func runAt(at time.Time) string { return at.UTC().Format("20060102T150405Z") + "-000000" }

// plans are the documents that the journals of the policies have of announcements before the first
// night, by bucket key.
func (w *world) plans() map[string]object {
	plans := map[string]object{}
	for _, settings := range []map[string]string{w.settings, w.second} {
		for _, i := range w.images {
			if i.announcedBy == "" || i.announcedBy != settings["POLICY_NAME"] || settings["RECORDS"] == "" {
				continue
			}
			run, action := runAt(i.announced), "announce"
			if i.disabledBy != "" {
				action = "disable"
			}
			key := prefixOf(settings) + "runs/" + run + "/plan-" + i.region + ".json"
			if plans[key] == nil {
				plans[key] = object{"run": run, "region": i.region, "account": accountID, "at": i.announced, "declared": []object{}, "policy": i.announcedBy, "announced": []object{}}
			}
			plans[key]["announced"] = append(plans[key]["announced"].([]object), object{"imageId": i.id, "due": i.due(settings), "action": action})
		}
	}
	return plans
}

// prefixOf is what the keys of a policy's journal begin with.
func prefixOf(settings map[string]string) string {
	return strings.TrimPrefix(settings["RECORDS"], "s3://"+bucketName+"/") + "/"
}

// addOrphan draws a snapshot that somebody else has left.
func (w *world) addOrphan(d dice) {
	n := 900 + len(w.snapshots)
	w.snapshots = append(w.snapshots, &snapshot{
		id: snapshotID(n), region: pick(d, w.regions...), tags: map[string]string{}, there: true, size: 8, orphanOf: imageID(n),
	})
}

type object = map[string]any

// load builds the emulated account.
func (w *world) load() (*emulator.Account, error) {
	account, err := emulator.Load(w.files(w.regions[0]), emulator.Options{Region: w.regions[0], Now: time.Now})
	if err != nil {
		return nil, err
	}
	for _, region := range w.regions[1:] {
		if err := account.AddRegion(region, w.files(region)); err != nil {
			return nil, err
		}
	}
	return account, nil
}

func (w *world) files(region string) fstest.MapFS {
	var images, snapshots, locks, reservations, versions, templates []object
	permissions, shares := object{}, object{}
	var texts []object
	template := func(fields object) {
		id := fmt.Sprintf("lt-%017x", len(templates)+1)
		name := fmt.Sprint("template", len(templates)+1)
		templates = append(templates, object{"LaunchTemplateId": id, "LaunchTemplateName": name, "DefaultVersionNumber": 1, "LatestVersionNumber": 1})
		versions = append(versions, object{
			"LaunchTemplateId": id, "LaunchTemplateName": name, "VersionNumber": 1, "DefaultVersion": true, "LaunchTemplateData": fields,
		})
	}
	for n, i := range w.images {
		if i.region != region {
			continue
		}
		images = append(images, i.object())
		if i.shared {
			permissions[i.id] = []object{{"UserId": otherAccount}}
		}
		switch i.usedBy {
		case "instance":
			reservations = append(reservations, object{"ReservationId": fmt.Sprint("r-", n), "Instances": []object{{
				"InstanceId": fmt.Sprintf("i-%017x", n), "ImageId": i.id, "State": object{"Name": "running"},
			}}})
		case "template":
			template(object{"ImageId": i.id})
		}
	}
	for _, s := range w.snapshots {
		if s.region != region || s.unlisted {
			continue
		}
		o := object{
			"SnapshotId": s.id, "OwnerId": accountID, "State": "completed", "VolumeSize": s.size, "StartTime": takenAt.Format(time.RFC3339),
		}
		if made := w.madeFor(s); made != "" {
			o["Description"] = "Created by CreateImage(i-1234567890abcdef0) for " + made
		}
		if s.task != "" {
			o["Description"] = "Created by AWS-VMImport service for " + s.task
		}
		if s.due != nil {
			s.describe(o)
			if s.due.shared {
				shares[s.id] = []object{{"UserId": otherAccount}}
			}
			if s.due.inText {
				texts = append(texts, object{"Name": "notes-" + s.id, "Type": "String", "Value": "see " + s.id, "Version": 1})
			}
		}
		if len(s.tags) > 0 {
			o["Tags"] = tagObjects(s.tags)
		}
		snapshots = append(snapshots, o)
		if s.locked {
			locks = append(locks, object{"SnapshotId": s.id, "LockState": "governance", "OwnerId": accountID})
		}
		if s.named {
			template(object{"BlockDeviceMappings": []object{{"DeviceName": "/dev/sdf", "Ebs": object{"SnapshotId": s.id}}}})
		}
	}
	files := fstest.MapFS{}
	for name, content := range map[string]object{
		"get-caller-identity.json":               {"Account": accountID, "Arn": "arn:aws:iam::" + accountID + ":root"},
		"describe-images.json":                   list("Images", images),
		"describe-snapshots.json":                list("Snapshots", snapshots),
		"describe-instances.json":                list("Reservations", reservations),
		"describe-launch-templates.json":         list("LaunchTemplates", templates),
		"describe-launch-template-versions.json": list("LaunchTemplateVersions", versions),
		"describe-locked-snapshots.json":         list("Snapshots", locks),
		"describe-launch-permissions.json":       permissions,
		"list-rules.json":                        list("Rules", w.ruleObjects()),

		"describe-create-volume-permissions.json": shares,
		"get-parameters.json":                     list("Parameters", texts),
	} {
		data, err := json.Marshal(content)
		if err != nil {
			panic(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	if w.bundles != nil && region == home {
		for name, data := range w.bundles.files() {
			files[name] = &fstest.MapFile{Data: data, ModTime: ago(500)}
		}
	}
	return files
}

// madeFor is the image that EC2 made a snapshot for, as its description says; empty if it says
// nothing of the kind.
func (w *world) madeFor(sn *snapshot) string {
	if sn.own || sn.task != "" {
		return ""
	}
	if sn.orphanOf != "" {
		return sn.orphanOf
	}
	for _, i := range w.images {
		if slices.Contains(i.snapshots, sn.id) {
			return i.id
		}
	}
	return ""
}

func list(key string, items []object) object { return object{key: append([]object{}, items...)} }

func (w *world) ruleObjects() []object {
	if !w.rules {
		return nil
	}
	var rules []object
	for n, kind := range []string{"EC2_IMAGE", "EBS_SNAPSHOT"} {
		rules = append(rules, object{
			"Identifier": fmt.Sprintf("rule%07d", n+1), "ResourceType": kind, "Status": "available",
			"RetentionPeriod": object{"RetentionPeriodUnit": "DAYS", "RetentionPeriodValue": w.binDays},
			"ResourceTags":    []object{{"ResourceTagKey": intentTag, "ResourceTagValue": "remove"}},
		})
	}
	return rules
}

func (i *image) object() object {
	o := object{
		"ImageId": i.id, "Name": i.name, "OwnerId": accountID, "State": i.state, "CreationDate": i.created.Format(time.RFC3339),
		"Public": i.public, "RootDeviceType": "ebs",
	}
	if i.instanceStore {
		o["RootDeviceType"], o["ImageLocation"] = "instance-store", cmp.Or(i.location, "bucket/"+i.name)
	}
	if !i.launched.IsZero() {
		o["LastLaunchedTime"] = i.launched.Format(time.RFC3339)
	}
	if i.protection != "" {
		o["DeregistrationProtection"] = i.protection
	}
	if !i.deprecated.IsZero() {
		o["DeprecationTime"] = i.deprecated.Format(time.RFC3339)
	}
	if i.kind == product {
		o["ProductCodes"] = []object{{"ProductCodeId": "abcdefghijklmnopqrstuvwxy", "ProductCodeType": "marketplace"}}
	}
	if i.source != "" {
		o["SourceImageId"], o["SourceImageRegion"] = i.source, i.sourceRegion
	}
	if len(i.tags) > 0 {
		o["Tags"] = tagObjects(i.tags)
	}
	mappings := []object{}
	for n, id := range i.snapshots {
		mappings = append(mappings, object{"DeviceName": fmt.Sprintf("/dev/sd%c", 'a'+n), "Ebs": object{"SnapshotId": id}})
	}
	o["BlockDeviceMappings"] = mappings
	return o
}

func tagObjects(tags map[string]string) []object {
	var objects []object
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		objects = append(objects, object{"Key": key, "Value": tags[key]})
	}
	return objects
}

// String says what an account holds.
func (w *world) String() string {
	var s strings.Builder
	for _, settings := range []map[string]string{w.settings, w.second} {
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			fmt.Fprintf(&s, "%s=%s ", key, settings[key])
		}
		fmt.Fprintf(&s, "\n")
	}
	if w.rules {
		fmt.Fprintf(&s, "Recycle Bin rules of %d days for what carries the intent\n", w.binDays)
	}
	for _, i := range w.images {
		fmt.Fprintf(&s, "%s %s %q %s, made %s", i.region, i.id, i.name, i.state, i.created.Format("2006-01-02T15:04"))
		if !i.launched.IsZero() {
			fmt.Fprintf(&s, ", launched %s", i.launched.Format("2006-01-02T15:04"))
		}
		if !i.deprecated.IsZero() {
			fmt.Fprintf(&s, ", deprecated by its owner %s", i.deprecated.Format("2006-01-02T15:04"))
		}
		for what, is := range map[string]bool{"managed": i.managed, "public": i.public, "shared": i.shared, "instance-store": i.instanceStore} {
			if is {
				fmt.Fprintf(&s, ", %s", what)
			}
		}
		if i.kind != "" {
			fmt.Fprintf(&s, ", %s", i.kind)
		}
		if i.protection+i.usedBy+i.source != "" {
			fmt.Fprintf(&s, ", protection %q, used by %q, copy of %q", i.protection, i.usedBy, i.source)
		}
		fmt.Fprintf(&s, ", snapshots %v, tags %v\n", i.snapshots, i.tags)
	}
	for _, sn := range w.snapshots {
		fmt.Fprintf(&s, "%s %s managed %v locked %v unlisted %v named %v a person's %v orphan of %q tags %v\n",
			sn.region, sn.id, sn.managed, sn.locked, sn.unlisted, sn.named, sn.own, sn.orphanOf, sn.tags)
	}
	return s.String()
}
