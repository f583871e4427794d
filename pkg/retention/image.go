package retention

import (
	"fmt"
	"maps"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// imageFacts are an image with derived facts that several rules need.
type imageFacts struct {
	*ami.Image
	own      *ownTags
	family   string // Empty if it has none.
	last     use
	standing standing
	isAbroad bool // Another account was seen to use it, which is a launch.
}

func (r *regionFacts) imageFacts(image *ami.Image) imageFacts {
	own := readOwnTags(image.Tags)
	_, isAbroad := r.Abroad[image.ID]
	return imageFacts{
		Image: image, own: own, last: r.lastUseUntil(image, own, endOfTime), standing: r.standing(image, own), isAbroad: isAbroad,
	}
}

// idleDays is how many whole days an image has not been used; 0 if its last use is in the future,
// or not known.
func (i *imageFacts) idleDays(now time.Time) int {
	if i.last.at.IsZero() {
		return 0
	}
	return max(wholeDays(now.Sub(i.last.at)), 0)
}

// restoredEvent is the event whose tag has only the day.
const restoredEvent = "restored"

// use is an event that counts as a use of an image. Its time is zero if it is not on record.
type use struct {
	event string // "created", "last launched", …
	at    time.Time
}

// endOfTime is later than any date that can be written.
var endOfTime = time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC)

// lastUseUntil returns the latest use of an image on record that is not after a time.
func (r *regionFacts) lastUseUntil(image *ami.Image, own *ownTags, until time.Time) use {
	last := use{event: "created"}
	consider := func(event string, at time.Time) {
		if at.After(last.at) && !at.After(until) {
			last = use{event, at}
		}
	}
	consider("created", image.CreatedAt)
	consider("last launched", image.LastLaunchedAt)
	if copied, ok := r.copied[image.ID]; ok {
		consider("copied as "+copied.ID, copied.CreatedAt)
	}
	if used, ok := r.Abroad[image.ID]; ok {
		consider("used by account "+used.Account, used.At)
	}
	consider(restoredEvent, r.sinceRestore(own.restored))
	return last
}

// sinceRestore is when a restore was at the latest, given the moment or the end of the day that a
// tag notes. On that day itself it is now.
func (r *regionFacts) sinceRestore(noted time.Time) time.Time {
	if noted.After(r.now) && !noted.Truncate(Day).After(r.now) {
		return r.now
	}
	return noted
}

func (u use) ago(now time.Time) string {
	since := u.at
	if u.event == restoredEvent {
		since = u.at.Truncate(Day) // As a person counts from the day that is noted.
	}
	return u.event + " " + date(u.at) + ", " + daysInWords(now.Sub(since)) + " ago"
}

func (r *regionFacts) whyStale(image *imageFacts) Reason {
	detail := image.last.ago(r.now) + "; the limit is " + r.policy.idleLimit(image).inWords()
	if r.policy.isShortened(image) {
		detail += fmt.Sprintf(" (its tag %s says %s, and the policy allows no shorter time)", ami.StaleAfterTag, image.own.staleAfter.inWords())
	}
	if image.State == failed {
		detail += "; it has failed, so nothing can be launched from it"
	}
	if image.LastLaunchedAt.IsZero() && !image.isAbroad {
		return Reason{ami.ReasonNeverLaunched, "no launch on record; " + detail}
	}
	return Reason{ami.ReasonStale, detail}
}

// copies returns the newest own image that was made from each image, in any region: being copied is
// a use. A copy without a known date counts as the newest.
func copies(inventories []ami.Inventory) map[string]*ami.Image {
	newest := map[string]*ami.Image{}
	for _, inventory := range inventories {
		for i := range inventory.Images {
			image := &inventory.Images[i]
			known, ok := newest[image.SourceImageID]
			if image.SourceImageID == "" || image.SourceImageID == image.ID || ok && !newerCopy(image, known) {
				continue
			}
			newest[image.SourceImageID] = image
		}
	}
	return newest
}

func newerCopy(image, known *ami.Image) bool {
	if image.CreatedAt.IsZero() != known.CreatedAt.IsZero() {
		return image.CreatedAt.IsZero()
	}
	return byTimeThenID(image.CreatedAt, image.ID, known.CreatedAt, known.ID) > 0
}

// abroad returns when other accounts were last seen to use images of any region.
func abroad(inventories []ami.Inventory) map[string]ami.UseAbroad {
	all := map[string]ami.UseAbroad{}
	for _, inventory := range inventories {
		maps.Copy(all, inventory.Abroad)
	}
	return all
}

// originals returns the account's images, of any region, that have copies, by id.
func originals(inventories []ami.Inventory) map[string]*ami.Image {
	found := map[string]*ami.Image{}
	for _, inventory := range inventories {
		for i := range inventory.Images {
			if id, _, ok := inventory.Images[i].CopiedFrom(inventory.Region); ok {
				found[id] = nil
			}
		}
	}
	for _, inventory := range inventories {
		for i := range inventory.Images {
			image := &inventory.Images[i]
			if _, ok := found[image.ID]; ok {
				found[image.ID] = image
			}
		}
	}
	return found
}
