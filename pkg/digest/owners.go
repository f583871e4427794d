package digest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// OwnerMessage tells the owner of images what a run has announced or removed of theirs, and what is
// due soon.
type OwnerMessage struct {
	// Owner is as the tag has it, without blanks around it; empty for images without an owner.
	Owner   string
	Account string
	Kinds   []string // What the run did: announced, removed, or both.
	Subject string
	Text    string
}

// The kinds of news for owners. Filter policies name them.
const (
	kindAnnounced = "announced"
	kindRemoved   = "removed"
)

// mostOwners is how many owners a run tells. With the default cap it removes 100 images, and
// announces 100.
const mostOwners = 200

// Owners makes a message for each owner of images whose removal or announcement AWS confirmed, or
// whose day comes near. It also returns how many owners are left out, because there are too many. A
// dry run has no news for owners.
func Owners(of record.Run) (messages []OwnerMessage, more int) {
	r := run{of}
	if r.DryRun {
		return nil, 0
	}
	news := r.newsByOwner()
	more = max(len(news)-mostOwners, 0)
	for _, n := range news[:len(news)-more] {
		messages = append(messages, OwnerMessage{
			Owner: n.owner, Account: r.account(), Kinds: n.kinds(), Subject: r.ownerSubject(n), Text: r.ownerText(n),
		})
	}
	return messages, more
}

// ownerNews is what an owner is told.
type ownerNews struct {
	owner     string
	announced []announcement // Those of this run first.
	fresh     int            // How many of these are of this run.
	reminded  int            // How many of the others are told again, because their day comes near.
	removed   []removal
}

func (n ownerNews) kinds() []string {
	var kinds []string
	if n.fresh+n.reminded > 0 {
		kinds = append(kinds, kindAnnounced)
	}
	if len(n.removed) > 0 {
		kinds = append(kinds, kindRemoved)
	}
	return kinds
}

// newsByOwner returns the owners who have news: first those who can still object.
func (r run) newsByOwner() []ownerNews {
	byOwner := map[string]ownerNews{}
	for _, a := range r.announcements(record.Image.Marked) {
		n := byOwner[a.owner()]
		n.announced, n.fresh = append(n.announced, a), n.fresh+1
		byOwner[a.owner()] = n
	}
	for _, x := range r.removals() {
		owner := strings.TrimSpace(x.image.Owner)
		x.image.Owner = "" // Who reads it knows.
		n := byOwner[owner]
		n.removed = append(n.removed, x)
		byOwner[owner] = n
	}
	for _, a := range r.announcements(record.Image.Announced) {
		n, hasNews := byOwner[a.owner()]
		if r.reminds(a.image) {
			n.reminded, hasNews = n.reminded+1, true
		}
		if hasNews {
			n.announced = append(n.announced, a)
			byOwner[a.owner()] = n
		}
	}
	var news []ownerNews
	for _, owner := range slices.Sorted(maps.Keys(byOwner)) {
		n := byOwner[owner]
		n.owner = owner
		news = append(news, n)
	}
	slices.SortStableFunc(news, func(a, b ownerNews) int {
		return cmp.Or(cmp.Compare(min(b.tells(), 1), min(a.tells(), 1)), cmp.Compare(b.tells()+len(b.removed), a.tells()+len(a.removed)))
	})
	return news
}

// tells is how many announcements the message is sent for.
func (n ownerNews) tells() int { return n.fresh + n.reminded }

// reminds reports whether the owner of an announced image is told again, seven days and one day
// before it is due: the first message may be lost, or nobody had subscribed by then.
func (r run) reminds(i record.Image) bool {
	due, err := time.Parse(time.DateOnly, i.DueOn)
	days := int(due.Sub(r.StartedAt.UTC().Truncate(24*time.Hour)) / (24 * time.Hour))
	return err == nil && (days == 7 || days == 1)
}

// ownerSubject is one line of printable ASCII, as Subject is.
func (r run) ownerSubject(n ownerNews) string {
	const longest = 30
	owner := "no owner"
	if n.owner != "" {
		owner = inASCII(n.owner, longest)
	}
	var did []string
	if n.fresh > 0 {
		did = append(did, number(n.fresh, "AMI")+" announced")
	}
	if n.reminded > 0 {
		did = append(did, number(n.reminded, "AMI")+" due soon")
	}
	if len(n.removed) > 0 {
		did = append(did, number(len(n.removed), "AMI")+" removed")
	}
	subject := r.whose() + ": " + strings.Join(did, ", ") + " (" + owner + ")"
	return subject[:min(subjectMost, len(subject))]
}

// inASCII shortens a text that others wrote, with question marks for what is not printable ASCII.
func inASCII(text string, longest int) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, plain.Text(text))
	if len(text) > longest {
		text = text[:longest-len("...")] + "..."
	}
	return text
}

// ownerText fits on a screen: it lists as many images as there is room for.
func (r run) ownerText(n ownerNews) string {
	rows := mostListed
	sections := r.ownerSections(n, rows)
	for rows > 1 && linesOf(sections) > onScreen {
		rows--
		sections = r.ownerSections(n, rows)
	}
	return r.asConfigured(text(sections, mailWidth))
}

func (r run) ownerSections(n ownerNews, rows int) []Section {
	r.Changed = nil // An owner may not know the defaults.
	return slices.DeleteFunc([]Section{
		{Intro: says(r.ownerHeadline(n), "Why: idle for longer than the policy allows. "+r.nothingFound())},
		r.ownersAnnounced(n, rows),
		r.ownersRemoved(n, rows),
		r.aboutInBrief(),
	}, Section.isEmpty)
}

func (r run) ownerHeadline(n ownerNews) string {
	var did []string
	if n.fresh > 0 {
		did = append(did, "announced the removal of "+count(n.fresh, "AMI"))
	}
	if n.reminded > 0 {
		did = append(did, "reminds you of the removal of "+count(n.reminded, "AMI"))
	}
	if len(n.removed) > 0 {
		did = append(did, "removed "+count(len(n.removed), "AMI"))
	}
	whose := " without an owner"
	if n.owner != "" {
		whose = " of owner " + plain.Clip(plain.Text(n.owner), 128)
	}
	where := ""
	if r.account() != "" {
		where = " in account " + r.whose()
	}
	return "On " + day(r.FinishedAt) + " AMI Janitor " + list(did) + whose + where + "."
}

// ownersAnnounced lists what is announced of an owner's images, and says how to object.
func (r run) ownersAnnounced(n ownerNews, rows int) Section {
	shown := n.announced[:min(rows, len(n.announced))]
	rest := n.announced[len(shown):]
	group := Group{Columns: Columns{Heads: []string{"GiB", "$/mo", "due", "last use", "AMI", "name"}, Align: "rrlrll"}, More: len(rest)}
	for _, a := range shown {
		i := a.image
		group.Columns.Rows = append(group.Columns.Rows, []string{
			thousands(i.FreeableGiB), money(r.Monthly(i.FreeableGiB, i.FreeableArchivedGiB)), plain.Text(i.DueOn), LastUse(i), plain.Text(i.ImageID), r.announcedInShort(a),
		})
	}
	if len(rest) > 0 {
		group.MoreOf = ", " + sizeAndPrice(r.savingsOf(rest))
	}
	var images []record.Image
	for _, a := range n.announced {
		images = append(images, a.image)
	}
	return listing("Announced", "Each is removed once it is due, unless somebody objects before.", group, Group{Intro: r.only(images).waysToKeep()})
}

// ownersRemoved lists what was removed of an owner's images, and says how to get one back.
func (r run) ownersRemoved(n ownerNews, rows int) Section {
	shown := n.removed[:min(rows, len(n.removed))]
	group := Group{Columns: Columns{Heads: []string{"GiB", "$/mo", "last use", "AMI", "name"}, Align: "rrrll"}, More: len(n.removed) - len(shown)}
	for _, x := range shown {
		group.Columns.Rows = append(group.Columns.Rows, []string{
			thousands(x.GiB), money(x.MonthlyUpTo), LastUse(x.image), plain.Text(x.image.ImageID), r.described(x),
		})
	}
	var rest record.Amount
	for _, x := range n.removed[len(shown):] {
		rest.GiB, rest.MonthlyUpTo = rest.GiB+x.GiB, rest.MonthlyUpTo+x.MonthlyUpTo
	}
	group.MoreOf = ", " + sizeAndPrice(rest)
	return listing("Removed", "", group, Group{Intro: r.waysBack(n.removed)})
}

// waysBack says in two lines how to get a removed image back.
func (r run) waysBack(removed []removal) []Line {
	var images []record.Image
	for _, x := range removed {
		images = append(images, x.image)
	}
	theirs := r.only(images)
	switch exit := theirs.firstExit(); {
	case !exit.IsZero():
		return append(says("To get one back, until "+shortDay(exit)+":"), command(r.Reader.Command("undo --image IMAGE_ID")))
	case theirs.lost() == len(images):
		return says("None can be restored: the Recycle Bin does not hold them.")
	default:
		return append(says("What the Recycle Bin holds can be restored:"), command("aws ec2 list-images-in-recycle-bin --region "+r.regionOrPlaceholder()))
	}
}

// only is a run with some images: those that a text is about.
func (r run) only(images []record.Image) run {
	return run{record.Run{Reader: r.Reader, Regions: []record.Region{{Images: images}}}}
}

// ownersInBrief says in the digest for whom there was no message.
func (r run) ownersInBrief() string {
	if r.OwnersUntold == 0 {
		return ""
	}
	return count(r.OwnersUntold, "more owner") + " got no message: a run sends at most " + count(mostOwners, "message") + " to owners. Tell them, or lower " +
		r.Reader.Setting("MAX_DEREGISTRATIONS") + "."
}
