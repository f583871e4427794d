package organization

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const (
	day            = 24 * time.Hour
	home, abroad   = "us-east-1", "eu-west-1"
	builder        = "123456789012"
	hubID          = "210987654321"
	outsider       = "999999999999"
	organizationID = "o-exampleorgid"
	rootPath       = organizationID + "/r-ab12/"
	platform       = "ou-ab12-11111111"
	workloads      = "ou-ab12-22222222"
	production     = "ou-ab12-33333333" // In workloads.
	arnPrefix      = "arn:aws:organizations::" + builder + ":"
	bucketName     = "records"
	prefix         = "hub/"
	stopParameter  = "/ami-janitor/run"

	idleLimit = 30 * day
	forever   = 1000
)

var firstNight = time.Date(2026, time.November, 30, 2, 0, 0, 0, time.UTC)

type object = map[string]any

// dice are what a schedule is drawn with.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x0a9))} }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d dice) between(least, most int) int { return least + d.IntN(most-least+1) }

func pick[T any](d dice, values ...T) T { return values[d.IntN(len(values))] }

// member is an account of the organization.
type member struct {
	id, path  string
	suspended bool
	reach     int  // For how many days it has been counted every night; 0 for never.
	left      bool // It is no longer in the organization.
}

// share is a launch permission. It is there from a night on.
type share struct {
	account, unit string // Empty both for the whole organization.
	from          int
}

func (g share) reaches(m *member) bool {
	switch {
	case g.account != "":
		return g.account == m.id
	case g.unit != "":
		return slices.Contains(strings.Split(m.path, "/"), g.unit)
	default:
		return true
	}
}

func (g share) xml() string {
	switch {
	case g.account != "":
		return "<item><userId>" + g.account + "</userId></item>"
	case g.unit != "":
		return "<item><organizationalUnitArn>" + arnPrefix + "ou/" + organizationID + "/" + g.unit + "</organizationalUnitArn></item>"
	default:
		return "<item><organizationArn>" + arnPrefix + "organization/" + organizationID + "</organizationArn></item>"
	}
}

// image is an image as it truly is.
type image struct {
	id, owner, region, name string
	snapshot                string
	created, launched       time.Time
	shares                  []share
	usedOutside             bool // By an account that is not of the organization.

	removed   bool
	reports   []time.Time // When usage reports were asked for.
	announced time.Time   // When its removal was announced first; zero if it is not.
	sighted   time.Time   // When a run last remembered that another account uses it.
}

// use is an instance of an image. It is there from a night on, until another one.
type use struct {
	account  string
	image    *image
	from, to int
}

// world is an organization as it truly is.
type world struct {
	settings map[string]string
	regions  []string
	members  []*member
	images   []*image
	uses     []*use
	realRuns int
	pageSize int
	bins     bool
}

func ago(days float64) time.Time {
	return firstNight.Add(-time.Duration(days * float64(day))).Truncate(time.Second)
}

func newWorld(d dice) *world {
	w := &world{regions: []string{home}, realRuns: pick(d, 0, 1, 1), pageSize: pick(d, 0, 1, 2), bins: d.chance(70)}
	if d.chance(15) {
		w.regions = append(w.regions, abroad)
	}
	w.settings = map[string]string{
		"RECORDS": "s3://" + bucketName + "/" + strings.TrimSuffix(prefix, "/"), "DRY_RUN": "false", "SHARED_IMAGES": "organization",
		"STALE_AFTER": "30d", "SEEN_NIGHTS": "30", "USAGE_SOURCES": "instances", "REGIONS": strings.Join(w.regions, ","),
		"KEEP_NEWEST": pick(d, "0", "0", "1"), "GRACE": pick(d, "0d", "0d", "1d"),
		"MAX_DEREGISTRATIONS": pick(d, "100", "100", "2", "1"), "MAX_ORG_DEREGISTRATIONS": pick(d, "100", "100", "100", "1", "3"),
		"REQUIRE_RECYCLE_BIN": fmt.Sprint(w.bins), "STOP_PARAMETER": pick(d, "", stopParameter),
	}
	w.drawMembers(d)
	w.drawImages(d)
	w.drawUses(d)
	return w
}

func (w *world) drawMembers(d dice) {
	isOld := d.chance(70)
	for n := range pick(d, 3, 3, 3, 4, 4, 5, 6) {
		m := &member{id: fmt.Sprint(111122223332 + n), path: rootPath + pick(d, "", platform+"/", workloads+"/", workloads+"/"+production+"/"), reach: 60}
		if n == 0 {
			m.id = builder
		} else {
			m.suspended = d.chance(3)
		}
		if !isOld {
			m.reach = pick(d, 60, 40, 31, 29, 28, 10, 0)
		}
		w.members = append(w.members, m)
	}
}

func (w *world) drawImages(d dice) {
	for n, m := range w.members {
		private, shared := pick(d, 0, 1, 1), pick(d, 0, 0, 0, 1)
		if n == 0 {
			private, shared = d.between(0, 3), d.between(2, 4)
			if d.chance(8) {
				private = 13 // More than the cap of a first run.
			}
		}
		for range private {
			w.addImage(d, m)
		}
		for range shared {
			i := w.addImage(d, m)
			for range d.between(1, 2) {
				i.shares = append(i.shares, w.drawShare(d, pick(d, 0, 0, 0, 0, 0, 0, 0, 1, 2)))
			}
			i.usedOutside = d.chance(8)
		}
	}
}

func (w *world) drawShare(d dice, from int) share {
	return pick(d, share{from: from}, share{unit: pick(d, platform, workloads, production), from: from}, share{account: pick(d, w.members...).id, from: from})
}

func (w *world) addImage(d dice, m *member) *image {
	n := len(w.images) + 1
	i := &image{
		id: fmt.Sprintf("ami-%017x", n), owner: m.id, region: pick(d, w.regions...), name: fmt.Sprintf("image-%c-%d", 'a'+d.IntN(4), n),
		snapshot: fmt.Sprintf("snap-%017x", n), created: ago(pick(d, 200.0, 200, 200, 200, 200, 10)),
	}
	if d.chance(50) {
		i.launched = ago(pick(d, 150.0, 100, 60, 29.5, 28.7, 5))
		if i.launched.Before(i.created) {
			i.created = i.launched.Add(-day)
		}
	}
	if other := pick(d, append(w.images, i)...); d.chance(15) && other.owner == i.owner && other.region == i.region {
		i.snapshot = other.snapshot
	}
	w.images = append(w.images, i)
	return i
}

func (w *world) drawUses(d dice) {
	for _, i := range w.images {
		chance := 12
		if len(i.shares) > 0 {
			chance = 35
		}
		if !d.chance(chance) {
			continue
		}
		u := &use{account: pick(d, w.members...).id, image: i, from: pick(d, 0, 0, 0, 1, 2)}
		u.to = u.from + pick(d, 1, 1, 2, forever)
		if u.account == i.owner {
			u.to = forever // What its launch would tell, the emulated account does not.
		}
		w.uses = append(w.uses, u)
	}
}

func (w *world) member(id string) *member {
	return w.members[slices.IndexFunc(w.members, func(m *member) bool { return m.id == id })]
}

// sharesAt are the launch permissions of an image on a night.
func (i *image) sharesAt(night int) []share {
	return slices.DeleteFunc(slices.Clone(i.shares), func(g share) bool { return g.from > night })
}

func (i *image) reaches(m *member, night int) bool {
	return m.id != i.owner && slices.ContainsFunc(i.sharesAt(night), func(g share) bool { return g.reaches(m) })
}

func (u *use) isThere(night int) bool { return u.from <= night && night < u.to }

// load makes an emulated organization of the world. It knows no instances and no launch
// permissions: they come and go, and are added to its answers.
func (w *world) load() (*emulator.Organization, error) {
	files := fstest.MapFS{}
	put := func(name string, content any) {
		data, _ := json.Marshal(content) // Texts, numbers and lists have a form in JSON.
		files[name] = &fstest.MapFile{Data: data}
	}
	var accounts []object
	for _, m := range w.members {
		state := census.Active
		if m.suspended {
			state = "SUSPENDED"
		}
		accounts = append(accounts, object{"Id": m.id, "Name": "account " + m.id, "State": state, "Path": m.path})
		folder := "accounts/" + m.id + "/"
		put(folder+"get-caller-identity.json", object{"Account": m.id, "Arn": "arn:aws:iam::" + m.id + ":root"})
		for _, region := range w.regions {
			if region != home {
				folder += "regions/" + region + "/"
			}
			images, snapshots := w.contentOf(m, region)
			put(folder+"describe-images.json", object{"Images": images})
			put(folder+"describe-snapshots.json", object{"Snapshots": snapshots})
			put(folder+"describe-instances.json", object{"Reservations": []object{}})
			put(folder+"describe-launch-permissions.json", object{})
			put(folder+"describe-image-usage-report-entries.json", object{"ImageUsageReportEntries": w.usesOutside(m, region)})
		}
	}
	put("organization.json", object{
		"Organization": object{"Id": organizationID, "Arn": arnPrefix + "organization/" + organizationID, "MasterAccountId": builder},
		"Accounts":     accounts, "Hub": hubID,
	})
	o, err := emulator.LoadOrganization(files, emulator.Options{Region: home, Now: time.Now})
	if err != nil {
		return nil, err
	}
	if w.bins {
		for _, account := range o.Accounts() {
			account.KeepRemoved(14)
		}
	}
	o.SetPageSize(w.pageSize)
	return o, nil
}

func (w *world) contentOf(m *member, region string) (images, snapshots []object) {
	images, snapshots = []object{}, []object{}
	known := map[string]bool{}
	for _, i := range w.images {
		if i.owner != m.id || i.region != region {
			continue
		}
		o := object{
			"ImageId": i.id, "Name": i.name, "OwnerId": m.id, "State": "available", "Architecture": "x86_64", "RootDeviceType": "ebs",
			"CreationDate":        i.created.Format(time.RFC3339),
			"BlockDeviceMappings": []object{{"DeviceName": "/dev/xvda", "Ebs": object{"SnapshotId": i.snapshot}}},
		}
		if !i.launched.IsZero() {
			o["LastLaunchedTime"] = i.launched.Format(time.RFC3339)
		}
		images = append(images, o)
		if !known[i.snapshot] {
			known[i.snapshot] = true
			snapshots = append(snapshots, object{
				"SnapshotId": i.snapshot, "OwnerId": m.id, "State": "completed", "VolumeSize": 8, "StartTime": i.created.Format(time.RFC3339),
				"Description": "Created by CreateImage(i-1234567890abcdef0) for " + i.id,
			})
		}
	}
	return images, snapshots
}

// usesOutside is what usage reports show. They leave out the accounts of the organization, so that
// the censuses alone protect what those use.
func (w *world) usesOutside(m *member, region string) []object {
	entries := []object{}
	for _, i := range w.images {
		if i.owner == m.id && i.region == region && i.usedOutside {
			entries = append(entries, object{"ImageId": i.id, "AccountId": outsider, "ResourceType": "ec2:Instance", "UsageCount": 2})
		}
	}
	return entries
}

// memory is what runs before the first night have left; nothing if there were none.
func (w *world) memory() (census.Memory, bool) {
	m := census.Memory{RealRuns: w.realRuns, Seen: map[string]census.Sighting{}, Series: map[string]map[string]census.Series{}}
	for _, a := range w.members {
		if a.reach == 0 || a.suspended {
			continue
		}
		m.Listed, m.Answered = len(w.members), m.Answered+1
		m.Series[a.id] = map[string]census.Series{}
		for _, region := range w.regions {
			m.Series[a.id][region] = census.Series{Since: ago(float64(a.reach)), Last: ago(1)}
		}
	}
	return m, m.Answered > 0 || w.realRuns > 0
}

func (w *world) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%v, %d real runs before\n", w.settings, w.realRuns)
	for _, m := range w.members {
		fmt.Fprintf(&s, "%s %s suspended %t, counted for %d nights\n", m.id, m.path, m.suspended, m.reach)
	}
	for _, i := range w.images {
		fmt.Fprintf(&s, "%s %s %s %q %s made %s launched %s shares %+v used outside %t\n", i.owner, i.region, i.id, i.name, i.snapshot,
			i.created.Format(time.DateOnly), i.launched.Format(time.DateOnly), i.shares, i.usedOutside)
	}
	for _, u := range w.uses {
		fmt.Fprintf(&s, "%s runs %s from night %d to %d\n", u.account, u.image.id, u.from, u.to)
	}
	return s.String()
}
