package retention_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// neighbours are policies that judge one account and region, each with a daily run and a journal of
// its own.
type neighbours struct {
	t        *rapid.T
	policies []retention.Policy
	hours    []int
	shared   bool // They have one journal.
	stops    int  // The day from which the first one no longer runs.
	facts    []fact

	now      time.Time
	images   []ami.Image
	journals []map[string]map[string]ami.Announcement // By policy, run and image.
	// The policies that have announced an image, and when, unless that was taken back.
	announced map[string]map[string]int
	removed   map[string]string // The policy that has removed an image.
	kept      map[string]bool   // A fact has held of the image.
	// The last day on which an announcement was taken back.
	unmarked int
	seen     map[string]int // How often each event happened.
}

// fact is true of an image from one day to another.
type fact struct {
	image     int
	kind      string // "keep", "protected" or "used".
	from, til int
}

const nights = 160

func (n *neighbours) holds(kind, id string, day int) bool {
	return slices.ContainsFunc(n.facts, func(f fact) bool {
		return f.kind == kind && neighbour(f.image) == id && day >= f.from && day < f.til
	})
}

func neighbour(i int) string { return fmt.Sprintf("ami-%d", i+1) }

// live lets some of the policies run day by day, and checks that none does what is another's to do.
func (n neighbours) live(images []ami.Image, run ...int) neighbours {
	n.now = now
	n.announced, n.removed, n.kept, n.seen = map[string]map[string]int{}, map[string]string{}, map[string]bool{}, map[string]int{}
	n.journals = []map[string]map[string]ami.Announcement{{}, {}}
	if n.shared {
		n.journals[1] = n.journals[0]
	}
	n.images = slices.Clone(images)
	for i := range n.images {
		n.images[i].Tags = maps.Clone(n.images[i].Tags)
	}
	for day := range nights {
		for _, i := range run {
			if i > 0 || day < n.stops {
				n.now = now.Truncate(retention.Day).AddDate(0, 0, day).Add(time.Duration(n.hours[i]) * time.Hour)
				n.night(i, day)
			}
		}
	}
	return n
}

func (n *neighbours) night(which, day int) {
	p, run := n.policies[which], n.now.Format("20060102T150405Z")+fmt.Sprintf("-00000%d", which)
	here := ami.Inventory{Account: account, Region: region, History: ami.History{Announced: map[string]ami.Announcement{}}}
	evidence := ami.Evidence{Images: findings{}}
	for i := range n.images {
		image := &n.images[i]
		image.Protection = ""
		if delete(image.Tags, "ami-janitor:keep"); n.holds("keep", image.ID, day) {
			image.Tags["ami-janitor:keep"] = ""
		}
		if n.holds("protected", image.ID, day) {
			image.Protection = "enabled-without-cooldown"
		}
		evidence.Images[image.ID] = ami.Finding{Use: ami.Unused}
		if n.holds("used", image.ID, day) {
			evidence.Images[image.ID] = ami.Finding{Use: ami.Used}
		}
		if recorded, ok := n.journals[which][retention.Announcer(*image)][image.ID]; ok {
			here.History.Announced[image.ID] = recorded
		}
		twin := *image
		twin.Tags = maps.Clone(image.Tags)
		here.Images = append(here.Images, twin)
	}
	plan := p.Open([]ami.Inventory{here}, n.now).Plan(map[string]ami.Evidence{region: evidence})[0]
	for _, v := range plan.Verdicts {
		n.do(which, day, run, v)
	}
}

func (n *neighbours) do(which, day int, run string, v retention.Verdict) {
	p, id := n.policies[which], v.Image.ID
	at := slices.IndexFunc(n.images, func(i ami.Image) bool { return i.ID == id })
	image, by := &n.images[at], n.announced[id]
	since, isOurs := by[p.Name]
	isFact := n.holds("keep", id, day) || n.holds("protected", id, day) || n.holds("used", id, day)
	n.kept[id] = n.kept[id] || isFact
	switch {
	case v.Decision == retention.Mark:
		if len(by) > 0 {
			n.t.Errorf("day %d: %s is announced by %s, and was by %v, which nobody has taken back: %v", day, id, p.Name, by, image.Tags)
		}
		n.announced[id] = map[string]int{p.Name: day}
		image.Tags[ami.DueTag], image.Tags[ami.AnnouncedByTag] = v.Due.Format(time.DateOnly), retention.AnnouncedBy(run, p.Name)
		if v.Action == retention.Disable {
			image.State, image.Tags[ami.DisabledTag] = "disabled", run
		}
		if n.journals[which][run] == nil {
			n.journals[which][run] = map[string]ami.Announcement{}
		}
		n.journals[which][run][id] = ami.Announcement{Run: run, Policy: p.Name, Due: v.Due, Action: string(v.Action)}
		n.seen["announced"]++
	case v.Decision == retention.Deregister:
		if isFact || p.Grace > 0 && (!isOurs || day-since < int(time.Duration(p.Grace)/retention.Day)) || len(by) > 0 && !isOurs || n.removed[id] != "" {
			n.t.Errorf("day %d: %s is removed by %s: announced by %v, fact %t, removed by %q", day, id, p.Name, by, isFact, n.removed[id])
		}
		n.removed[id] = p.Name
		n.images = slices.Delete(n.images, at, at+1)
		n.seen["removed"]++
	case v.Unmark != retention.LeaveMark:
		n.unmarked = day
		isLeft := which == 1 && day >= n.stops && day-by[ours] >= 30
		if len(by) > 0 && !isOurs && !isFact && !isLeft {
			n.t.Errorf("day %d: %s takes back what %v has announced of %s because of %v", day, p.Name, by, id, v.Reasons)
		}
		if (v.Undo.Enable || v.Undo.EndDeprecation) && n.journals[which][retention.Announcer(*image)][id].Policy != p.Name {
			n.t.Errorf("day %d: %s undoes what it has not done to %s: %+v", day, p.Name, id, v.Undo)
		}
		for _, key := range v.Undo.Keys {
			delete(image.Tags, key)
		}
		if v.Undo.Enable {
			image.State = "available"
		}
		if v.Unmark == retention.Veto {
			image.Tags[ami.RestoredTag] = n.now.Format(time.DateOnly)
			n.seen["objected"]++
		}
		if !isOurs && len(by) > 0 {
			n.seen["of another"]++
		}
		if isOurs || !retention.Marked(*image) {
			delete(n.announced, id)
		}
	}
}

// Two policies of any kind side by side remove what each would remove alone, except for images that
// a fact keeps; neither takes back, carries out or undoes what the other does; one takes over what
// the other has abandoned; and after a while nothing happens any longer.
func TestTwoPoliciesBesideOneAnother(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		n := neighbours{
			t: t, hours: []int{2, rapid.SampledFrom([]int{2, 3, 14, 23}).Draw(t, "hour")}, shared: rapid.Bool().Draw(t, "one journal"),
			stops: rapid.SampledFrom([]int{nights, nights, 10, 20, 40}).Draw(t, "stops"),
		}
		anyone := true // Each would remove what it would whatever is newest.
		for _, name := range []string{ours, theirs} {
			stale := limit(rapid.SampledFrom([]int{7, 20, 60}).Draw(t, "staleAfter"))
			p := retention.Policy{
				Name: name, StaleAfter: stale, NeverLaunchedAfter: stale, DeleteSnapshots: true,
				KeepNewest:         rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "keepNewest"),
				MaxDeregistrations: rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "cap"),
				Grace:              limit(rapid.SampledFrom([]int{0, 1, 7, 14}).Draw(t, "grace")),
				GraceAction:        rapid.SampledFrom([]retention.GraceAction{retention.Announce, retention.Deprecate, retention.Disable}).Draw(t, "action"),
			}
			anyone = anyone && p.KeepNewest == 0
			if err := p.Names.UnmarshalText([]byte(rapid.SampledFrom([]string{"", "web-*", "db-*", "!web-1*"}).Draw(t, "names"))); err != nil {
				t.Fatal(err)
			}
			if err := p.KeepTags.UnmarshalText([]byte(rapid.SampledFrom([]string{"", "", "team=a"}).Draw(t, "keepTags"))); err != nil {
				t.Fatal(err)
			}
			n.policies = append(n.policies, p)
		}
		var images []ami.Image
		for i := range rapid.IntRange(1, 6).Draw(t, "images") {
			kind := rapid.SampledFrom([]string{"web", "db", "golden"}).Draw(t, "kind")
			images = append(images, idle(neighbour(i), named(fmt.Sprintf("%s-%d", kind, i+10)), created(now.AddDate(0, 0, -rapid.IntRange(0, 30).Draw(t, "age"))),
				tagged("team", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "team"))))
			if rapid.SampledFrom(rare(1, 3)).Draw(t, "fact") == 0 {
				from := rapid.IntRange(0, 60).Draw(t, "from")
				til := from + rapid.SampledFrom([]int{1, 10, nights}).Draw(t, "for")
				n.facts = append(n.facts, fact{i, rapid.SampledFrom([]string{"keep", "protected", "used"}).Draw(t, "kind of fact"), from, til})
			}
		}
		first, second, both := n.live(images, 0), n.live(images, 1), n.live(images, 0, 1)
		// Removals by the other policy do not count against a policy's cap, so that it may reach an
		// image before it stops, or before a fact holds, although it would not alone.
		uncapped := n
		uncapped.policies, uncapped.stops = slices.Clone(n.policies), nights
		for i := range uncapped.policies {
			uncapped.policies[i].MaxDeregistrations = 100
		}
		ever := map[string]map[string]string{ours: uncapped.live(images, 0).removed, theirs: uncapped.live(images, 1).removed}
		for id, policy := range both.removed {
			if _, ok := ever[policy][id]; !ok && !both.kept[id] && anyone {
				t.Errorf("%s removes %s, which it would not alone", policy, id)
			}
		}
		for _, image := range images {
			_, one := first.removed[image.ID]
			_, other := second.removed[image.ID]
			_, isGone := both.removed[image.ID]
			if isGone && ever[ours][image.ID] == "" && ever[theirs][image.ID] == "" {
				t.Errorf("%s is removed, which neither would remove alone", image.ID)
			}
			isHere := slices.IndexFunc(both.images, func(i ami.Image) bool { return i.ID == image.ID })
			// By the policy that has stopped.
			isOff := isHere >= 0 && both.images[isHere].State == "disabled" && n.stops < nights
			wanted := other || one && n.stops == nights
			if wanted && !isGone && !both.kept[image.ID] && !isOff && anyone {
				t.Errorf("%s stays, which %v or %v would remove alone: %v", image.ID, one, other, both.images[isHere].Tags)
			}
		}
		for _, image := range both.images {
			if retention.Marked(image) && n.stops == nights && !both.kept[image.ID] || image.State == "disabled" && n.stops == nights {
				t.Errorf("%s is left %s, and is announced: %v", image.ID, image.State, image.Tags)
			}
		}
		if both.unmarked > nights-20 {
			t.Errorf("an announcement is still taken back on day %d", both.unmarked)
		}
		for what, times := range both.seen {
			seen[what] += times
		}
	})
	t.Log(seen)
	if seen["announced"] == 0 || seen["removed"] == 0 || seen["objected"] == 0 || seen["of another"] == 0 {
		t.Error("something never happened: the property says too little")
	}
}
