package organization_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The organization of the properties. The first account owns the images, in the first region.
const (
	ourID, theirID = "o-ourexample01", "o-otherexample"
	here, there    = "eu-west-1", "us-east-1"
	theRun         = "20261130T020000Z-0123ab"
	earlier        = "20261128T020000Z-0123ab"
	owner          = "100000000000"
	foreigner      = "999999999999"
)

var now = time.Date(2026, time.November, 30, 2, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return now.AddDate(0, 0, -n) }

// fault is what went wrong with the census of an account.
type fault string

const (
	none         fault = "none"
	denied       fault = "denied"
	lost         fault = "lost"
	ofAnotherRun fault = "of another run"
	gapHere      fault = "a gap here"
	gapThere     fault = "a gap there"
	textGapThere fault = "a gap in texts there"
)

// member is an account of a world.
type member struct {
	id     string
	unit   int // Its organizational unit; -1 for the root.
	active bool
	isHere bool // It can use the region of the images.
	fault  fault

	// Of its series of censuses in both regions, in days before tonight; -1 for none.
	since, last int
}

// subject is an image of a world.
type subject struct {
	id       string
	public   bool
	grantees []ami.Grantee

	users  map[string]bool // The accounts with an instance of it.
	copied map[string]int  // The days since an account copied it, by account.
	// The days since another account was seen to use it on an earlier night; -1 for never.
	seen   int
	seenBy string

	report    string // "none", "fresh", "used", "old" or "pending".
	announced string // "none", "due" or "not yet".
}

// world is an organization as one night finds it.
type world struct {
	parents []int // Of the organizational units; -1 for the root.
	members []member
	images  []subject
	nights  int // SEEN_NIGHTS; 0 for the idle limit.
}

func unitID(n int) string { return fmt.Sprintf("ou-ab12-%08d", n) }

// path is where an account lies.
func (w world) path(unit int) string {
	if unit < 0 {
		return ourID + "/r-ab12/"
	}
	return w.path(w.parents[unit]) + unitID(unit) + "/"
}

// isBelow reports whether a unit is another one, or lies in it.
func (w world) isBelow(unit, top int) bool {
	return unit >= 0 && (unit == top || w.isBelow(w.parents[unit], top))
}

func drawWorld(t *rapid.T) world {
	w := world{nights: rapid.SampledFrom([]int{0, 7, 60}).Draw(t, "nights")}
	for n := range rapid.IntRange(1, 4).Draw(t, "units") {
		w.parents = append(w.parents, rapid.IntRange(-1, n-1).Draw(t, "parent"))
	}
	for n := range rapid.IntRange(2, 6).Draw(t, "accounts") {
		w.members = append(w.members, w.drawMember(t, n))
	}
	for n := range rapid.IntRange(1, 4).Draw(t, "images") {
		w.images = append(w.images, w.drawImage(t, n))
	}
	return w
}

func (w world) drawMember(t *rapid.T, n int) member {
	usually := func(common, rare any, share int, name string) any {
		if rapid.IntRange(0, share).Draw(t, name) == 0 {
			return rare
		}
		return common
	}
	m := member{
		id: fmt.Sprint(100000000000 + n), unit: rapid.IntRange(-1, len(w.parents)-1).Draw(t, "unit"),
		active: usually(true, false, 12, "active").(bool), isHere: usually(true, false, 6, "is here").(bool), fault: none,
		since: rapid.SampledFrom([]int{400, 400, 400, 200, 40, 10, -1}).Draw(t, "since"), last: usually(1, 3, 10, "last").(int),
	}
	if rapid.IntRange(0, 6).Draw(t, "fails") == 0 {
		m.fault = rapid.SampledFrom([]fault{denied, lost, ofAnotherRun, gapHere, gapThere, textGapThere}).Draw(t, "fault")
	}
	if m.last > m.since {
		m.last = m.since
	}
	if n == 0 {
		m.active = true
	}
	return m
}

func (w world) drawImage(t *rapid.T, n int) subject {
	i := subject{
		id: fmt.Sprintf("ami-%017x", n+1), users: map[string]bool{}, copied: map[string]int{}, seen: -1,
		report:    rapid.SampledFrom([]string{"fresh", "fresh", "fresh", "none", "used", "old", "pending"}).Draw(t, "report"),
		announced: rapid.SampledFrom([]string{"due", "due", "none", "not yet"}).Draw(t, "announced"),
		public:    rapid.IntRange(0, 9).Draw(t, "public") == 0,
	}
	for range rapid.IntRange(0, 2).Draw(t, "grantees") {
		i.grantees = append(i.grantees, w.drawGrantee(t))
	}
	for _, m := range w.members[1:] {
		if rapid.IntRange(0, 9).Draw(t, "uses") == 0 {
			i.users[m.id] = true
		}
		if rapid.IntRange(0, 12).Draw(t, "copies") == 0 {
			i.copied[m.id] = rapid.SampledFrom([]int{5, 250, 350}).Draw(t, "copied")
		}
		// Who may no longer launch an image has done so on an earlier day, and was seen.
		if i.users[m.id] && !i.public && !w.reached(i.grantees, m) {
			i.seen, i.seenBy = 1, m.id
		}
	}
	if i.seen < 0 && rapid.IntRange(0, 6).Draw(t, "was seen") == 0 {
		i.seen, i.seenBy = rapid.SampledFrom([]int{2, 100, 250}).Draw(t, "seen"), w.members[len(w.members)-1].id
	}
	return i
}

func (w world) drawGrantee(t *rapid.T) ami.Grantee {
	const arn = "arn:aws:organizations::111122223333:"
	unit := rapid.IntRange(0, len(w.parents)-1).Draw(t, "granted unit")
	return rapid.SampledFrom([]ami.Grantee{
		{Account: w.members[rapid.IntRange(0, len(w.members)-1).Draw(t, "granted")].id},
		{Account: foreigner},
		{Organization: arn + "organization/" + ourID},
		{Organization: arn + "organization/" + theirID},
		{Unit: arn + "ou/" + ourID + "/" + unitID(unit)},
		{Unit: arn + "ou/" + ourID + "/ou-ab12-99999999"},
		{Unit: arn + "ou/" + theirID + "/" + unitID(unit)},
		{Group: "somebody"},
	}).Draw(t, "grantee")
}

// reached is the oracle's own answer to who may launch an image.
func (w world) reached(grantees []ami.Grantee, m member) bool {
	for _, g := range grantees {
		switch {
		case g.Account == m.id, g.Group != "", g.Organization == "arn:aws:organizations::111122223333:organization/"+ourID:
			return true
		}
		for n := range w.parents {
			if g.Unit == "arn:aws:organizations::111122223333:ou/"+ourID+"/"+unitID(n) && w.isBelow(m.unit, n) {
				return true
			}
		}
	}
	return false
}

// answers reports whether the censuses of the run have one of an account.
func (m member) answers() bool {
	return m.active && !slices.Contains([]fault{denied, lost, ofAnotherRun}, m.fault)
}

// leavesOpen reports whether an account may use an image although its census does not say so.
func (m member) leavesOpen() bool {
	return !m.answers() || m.fault == gapHere || m.fault == textGapThere
}

// goes is the oracle: whether a run removes an image tonight.
func (w world) goes(i subject) bool {
	lastUse, standing := 300, false
	use := func(days int) { lastUse = min(lastUse, days) }
	for _, m := range w.members[1:] {
		if m.answers() && i.users[m.id] && m.census() {
			standing = true
		}
		if days, ok := i.copied[m.id]; ok && m.answers() && m.census() {
			use(days)
		}
	}
	if i.seen >= 0 {
		use(i.seen)
	}
	switch {
	case standing, lastUse <= 180, i.announced == "not yet":
		return false
	case !i.public && len(i.grantees) == 0:
		return true
	case i.announced != "due", i.report != "fresh":
		return false
	}
	need := 180
	if w.nights > 0 {
		need = max(w.nights, 30)
	}
	for _, m := range w.members[1:] {
		if !i.public && !w.reached(i.grantees, m) {
			continue
		}
		if m.leavesOpen() || m.isHere && (m.since < need || m.last > 1) {
			return false
		}
	}
	return true
}

// census reports whether the census sees what stands in the region of the images.
func (m member) census() bool { return m.isHere && m.fault != gapHere }

// accounts are the accounts as Organizations lists them.
func (w world) accounts() []census.Account {
	var all []census.Account
	for _, m := range w.members {
		state := census.Active
		if !m.active {
			state = "SUSPENDED"
		}
		all = append(all, census.Account{ID: m.id, State: state, Path: w.path(m.unit)})
	}
	return all
}

// censuses are those that the run finds.
func (w world) censuses() []census.Census {
	var all []census.Census
	for _, m := range w.members {
		c := census.Census{Run: theRun, Account: m.id, At: now, Regions: []string{there}}
		if m.isHere {
			c.Regions = append(c.Regions, here)
		}
		for _, i := range w.images {
			if i.users[m.id] && m.census() {
				c.Uses = append(c.Uses, census.Use{ImageID: i.id, Account: m.id, Source: "instances", Type: "ec2:Instance", ARN: "arn:" + m.id})
			}
			if days, ok := i.copied[m.id]; ok && m.census() {
				c.Copies = append(c.Copies, census.Copy{ImageID: i.id, Account: m.id, CopyID: "ami-c", At: daysAgo(days)})
			}
		}
		gap := func(region, source string) {
			c.Gaps = append(c.Gaps, census.Gap{Account: m.id, Region: region, Source: source, Err: "denied"})
		}
		switch m.fault {
		case none:
		case denied:
			c = census.Failed(theRun, m.id, now, "denied")
		case lost:
			continue
		case ofAnotherRun:
			c.Run = earlier
		case gapHere:
			gap(here, "instances")
		case gapThere:
			gap(there, "instances")
		case textGapThere:
			gap(there, ami.TextSource)
		}
		all = append(all, c)
	}
	return all
}

// memory is what earlier nights have seen.
func (w world) memory() census.Memory {
	m := census.Memory{Seen: map[string]census.Sighting{}, Series: map[string]map[string]census.Series{}}
	for _, i := range w.images {
		if i.seen >= 0 {
			m.Seen[i.id] = census.Sighting{Account: i.seenBy, At: daysAgo(i.seen)}
		}
	}
	for _, a := range w.members {
		if a.since >= 0 {
			series := census.Series{Since: daysAgo(a.since), Last: daysAgo(a.last)}
			m.Series[a.id] = map[string]census.Series{here: series, there: series}
		}
	}
	return m
}

// removals are the images that a run removes, by the real code.
func (w world) removals(accounts []census.Account, censuses []census.Census) []string {
	gathered, _ := census.Gather(theRun, ourID, accounts, censuses, w.memory(), now)
	view := gathered.Of(owner, theRun, now)
	inventory := ami.Inventory{Account: owner, Region: here, History: ami.History{Announced: map[string]ami.Announcement{}}}
	evidence := ami.Evidence{Images: map[string]ami.Finding{}}
	for _, i := range w.images {
		inventory.Images = append(inventory.Images, i.facts(&inventory.History))
		finding := i.finding()
		view.Complete(here, i.id, i.public, true, &finding)
		switch {
		case len(finding.References) > 0:
			finding.Use = ami.Used
		case len(finding.Gaps) == 0:
			finding.Use = ami.Unused
		}
		evidence.Images[i.id] = finding
	}
	inventory.Abroad = view.Abroad(inventory.Images)
	policy := retention.Policy{
		Name: "ours", StaleAfter: 180 * retention.Days(retention.Day), NeverLaunchedAfter: 180 * retention.Days(retention.Day), MaxDeregistrations: 100,
		DeleteSnapshots: true, JudgeShared: true, JudgeByCensus: true, SeenNights: retention.Days(w.nights) * retention.Days(retention.Day),
	}
	var gone []string
	for _, plan := range policy.Open([]ami.Inventory{inventory}, now).Plan(map[string]ami.Evidence{here: evidence}) {
		for _, v := range plan.Verdicts {
			if v.Decision == retention.Deregister {
				gone = append(gone, v.Image.ID)
			}
		}
	}
	slices.Sort(gone)
	return gone
}

// facts are what EC2 and the journal say of an image.
func (i subject) facts(history *ami.History) ami.Image {
	image := ami.Image{
		ID: i.id, Name: "golden " + i.id, OwnerID: owner, State: "available", Architecture: "x86_64", Public: i.public,
		CreatedAt: daysAgo(400), LastLaunchedAt: daysAgo(300), Tags: map[string]string{},
	}
	due := map[string]time.Time{"due": daysAgo(1), "not yet": now.AddDate(0, 0, 2)}[i.announced]
	if !due.IsZero() {
		image.Tags[ami.DueTag] = due.Format(time.DateOnly)
		image.Tags[ami.AnnouncedByTag] = retention.AnnouncedBy(earlier, "ours")
		history.Announced[i.id] = ami.Announcement{Run: earlier, Policy: "ours", Due: due, Action: "announce"}
	}
	return image
}

// finding is what the owner's own account says of an image.
func (i subject) finding() ami.Finding {
	finding := ami.Finding{SharedWith: slices.Clone(i.grantees), Asked: true}
	made := map[string]time.Time{"fresh": daysAgo(1), "used": daysAgo(1), "old": daysAgo(9), "pending": daysAgo(1)}[i.report]
	if made.IsZero() {
		return finding
	}
	finding.Report = &ami.UsageReport{ID: "report-" + i.id, State: "available", CreatedAt: made, Complete: true}
	switch i.report {
	case "pending":
		finding.Report.State = "pending"
	case "used":
		if i.public || len(i.grantees) > 0 { // Nobody reads the report of another image.
			finding.References = append(finding.References, ami.Reference{Source: "usage-reports", Account: foreigner, Count: 1})
		}
	}
	return finding
}

// An image goes exactly if nobody who may launch it names it, none of them is missing, and memory,
// usage report and announcement are there.
func TestAnImageGoesExactlyIfNobodyMayNeedIt(t *testing.T) {
	worlds, gone, shared := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		worlds++
		removed := w.removals(w.accounts(), w.censuses())
		for _, i := range w.images {
			if got, want := slices.Contains(removed, i.id), w.goes(i); got != want {
				t.Fatalf("%s: removed is %t, and must be %t", i.id, got, want)
			}
			if slices.Contains(removed, i.id) {
				gone++
				if i.public || len(i.grantees) > 0 {
					shared++
				}
			}
		}
	})
	if worlds >= 1000 && (gone == 0 || shared == 0) { // TestASharedImage has examples.
		t.Errorf("%d images are removed, %d shared ones among them: the property proves nothing", gone, shared)
	}
}

// A shared image goes if all proof is there, and stays without any single piece of it.
func TestASharedImage(t *testing.T) {
	shared := func() world {
		w := world{parents: []int{-1, 0}}
		for n, unit := range []int{-1, 0, 1} {
			w.members = append(w.members, member{id: fmt.Sprint(100000000000 + n), unit: unit, active: true, isHere: true, fault: none, since: 400, last: 1})
		}
		w.images = []subject{{
			id: "ami-1", users: map[string]bool{}, copied: map[string]int{}, seen: -1, report: "fresh", announced: "due",
			grantees: []ami.Grantee{{Unit: "arn:aws:organizations::111122223333:ou/" + ourID + "/" + unitID(0)}},
		}}
		return w
	}
	user := "100000000002" // In a unit below the one that the image is shared with.
	for name, test := range map[string]struct {
		change func(*world)
		goes   bool
	}{
		"all_proof":                       {func(*world) {}, true},
		"a_use":                           {func(w *world) { w.images[0].users[user] = true }, false},
		"a_use_on_an_earlier_night":       {func(w *world) { w.images[0].seen, w.images[0].seenBy = 100, user }, false},
		"a_use_long_ago":                  {func(w *world) { w.images[0].seen, w.images[0].seenBy = 250, user }, true},
		"a_copy":                          {func(w *world) { w.images[0].copied[user] = 5 }, false},
		"no_role":                         {func(w *world) { w.members[2].fault = denied }, false},
		"no_census":                       {func(w *world) { w.members[2].fault = lost }, false},
		"a_census_of_another_run":         {func(w *world) { w.members[2].fault = ofAnotherRun }, false},
		"a_gap":                           {func(w *world) { w.members[2].fault = gapHere }, false},
		"a_gap_in_another_region":         {func(w *world) { w.members[2].fault = gapThere }, true},
		"a_gap_in_texts":                  {func(w *world) { w.members[2].fault = textGapThere }, false},
		"a_suspended_account":             {func(w *world) { w.members[2].active = false }, false},
		"a_memory_too_short":              {func(w *world) { w.members[2].since = 100 }, false},
		"a_memory_with_a_hole":            {func(w *world) { w.members[2].last = 3 }, false},
		"a_region_that_cannot_be_used":    {func(w *world) { w.members[2].isHere, w.members[2].since = false, -1 }, true},
		"an_account_that_may_not_launch":  {func(w *world) { w.members[2].unit, w.members[2].fault = -1, denied }, true},
		"no_usage_report":                 {func(w *world) { w.images[0].report = "none" }, false},
		"a_report_of_a_use":               {func(w *world) { w.images[0].report = "used" }, false},
		"no_announcement":                 {func(w *world) { w.images[0].announced = "none" }, false},
		"an_announcement_for_another_day": {func(w *world) { w.images[0].announced = "not yet" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := shared()
			test.change(&w)
			if got := len(w.removals(w.accounts(), w.censuses())) == 1; got != test.goes || got != w.goes(w.images[0]) {
				t.Errorf("it goes: %t; the oracle says %t", got, w.goes(w.images[0]))
			}
		})
	}
}

// Whatever fails besides, no further image goes.
func TestAFailureNeverAddsARemoval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.removals(w.accounts(), w.censuses())
		worse := w
		worse.members = slices.Clone(w.members)
		n := rapid.IntRange(1, len(w.members)-1).Draw(t, "failing")
		if rapid.Bool().Draw(t, "is suspended") {
			worse.members[n].active = false
		} else {
			worse.members[n].fault = rapid.SampledFrom([]fault{denied, lost, ofAnotherRun, gapHere}).Draw(t, "further fault")
		}
		for _, id := range worse.removals(worse.accounts(), worse.censuses()) {
			at := slices.IndexFunc(w.images, func(i subject) bool { return i.id == id })
			_, wasCopied := w.images[at].copied[w.members[n].id]
			isPrivate := !w.images[at].public && !w.reached(w.images[at].grantees, w.members[n])
			if !slices.Contains(before, id) && (!wasCopied || !isPrivate) {
				t.Fatalf("%s goes once the census of %s fails", id, w.members[n].id)
			}
		}
	})
}

// Neither the order of the accounts nor that of their censuses matters.
func TestTheOrderOfAccountsNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		accounts, censuses := w.accounts(), w.censuses()
		before := w.removals(accounts, censuses)
		shuffled := w.removals(rapid.Permutation(accounts).Draw(t, "accounts"), rapid.Permutation(censuses).Draw(t, "censuses"))
		if !slices.Equal(before, shuffled) {
			t.Fatalf("%v is removed in one order, and %v in another", before, shuffled)
		}
	})
}
