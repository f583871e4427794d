package retention

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// atWork is the longest time a run may be at work, far above any real run.
const atWork = 12 * time.Hour

// isClaimed reports whether the run that declared the removal of an image or a snapshot may be at
// work on it. A run that has ended according to the journal is not.
func (r *regionFacts) isClaimed(id string, own *ownTags) bool {
	switch {
	case !own.intent || own.run == "":
		return false
	case own.run == r.History.Busy:
		return true
	case r.isNotAttempted(id, own) || own.run == r.History.Removed[id]:
		return false
	case r.History.Strangers[own.run]:
		return mayComeBack(own.run, r.now)
	default:
		return MayBeAtWork(own.run, r.now)
	}
}

// mayComeBack reports whether an unknown run's policy may still finish what that run declared,
// judged by the start time in its id. After that time it counts as abandoned, as announcements do.
func mayComeBack(run string, at time.Time) bool {
	begun := ami.RunID(run).Began()
	return !begun.IsZero() && at.Sub(begun).Abs() < time.Duration(abandoned)
}

// Declarers returns the runs that declared removals in a region, according to tags, and that may
// come back for them; sorted.
func Declarers(inventory ami.Inventory, now time.Time) []string {
	found := map[string]bool{}
	add := func(tags map[string]string) {
		if own := readOwnTags(tags); own.intent && mayComeBack(own.run, now) {
			found[own.run] = true
		}
	}
	for i := range inventory.Images {
		add(inventory.Images[i].Tags)
	}
	for i := range inventory.Snapshots {
		add(inventory.Snapshots[i].Tags)
	}
	return slices.Sorted(maps.Keys(found))
}

// isNotAttempted reports whether the run that declared the removal of an image or a snapshot
// certainly did not remove it.
func (r *regionFacts) isNotAttempted(id string, own *ownTags) bool {
	return own.run != "" && slices.Contains(r.History.NotAttempted[id], own.run)
}

// MayBeAtWork reports whether a run may be at work at a time, judged by the start time in its id.
func MayBeAtWork(run string, at time.Time) bool {
	begun := ami.RunID(run).Began()
	return !begun.IsZero() && at.Sub(begun).Abs() < atWork
}

// BeganBefore reports whether a run started before a time, judged by its id. An id without a time
// counts as before.
func BeganBefore(run string, at time.Time) bool { return ami.RunID(run).Began().Before(at) }

// isOver reports whether the removal of an image or a snapshot is declared, and no run is at work
// on it.
func (r *regionFacts) isOver(id string, own *ownTags) bool {
	return id != "" && own.intent && !r.isClaimed(id, own)
}

func claimed(r *regionFacts, image *imageFacts) string {
	switch {
	case !r.isClaimed(image.ID, image.own) || isDeclarationCopied(image.Image, image.own):
		return ""
	case r.History.Strangers[image.own.run]:
		return "run " + image.own.run + ", of another policy, has declared its removal"
	default:
		return "run " + image.own.run + " has declared its removal"
	}
}

// OldForm is why an image stays whose removal was announced before policies had names: no record
// confirms the announcement.
const OldForm = "its tags are of an announcement by an earlier version of the janitor, which does not count any more"

// restored keeps images that a person may have restored from the Recycle Bin. Once the image says
// so, the restore is a use like any other.
func restored(r *regionFacts, image *imageFacts) string {
	own, run := image.own, r.History.Removed[image.ID]
	switch {
	case run != "" && !own.restoredSince(ami.RunID(run).Began()):
		return "run " + run + " has removed it, or may have, and it is there again"
	case isDeclarationCopied(image.Image, own):
		return "" // The declaration is another image's.
	case own.hasRun && !own.intent:
		return halfDeclared(own)
	case !own.intent || r.isClaimed(image.ID, own) || r.isNotAttempted(image.ID, own):
		return ""
	case own.run == "":
		return "a run that its tags do not name declared its removal, and may have removed it"
	default:
		return "run " + own.run + " declared its removal, as its tags say, and may have removed it"
	}
}

// halfDeclared is restored for an image with a RunTag but no IntentTag.
func halfDeclared(own *ownTags) string {
	switch {
	case len(own.faults) > 0:
		return "" // Other rules keep it because of these.
	case own.isOldForm():
		return OldForm
	default:
		return "it carries the tag " + ami.RunTag + " without " + ami.IntentTag + ", which is half of a declaration of its removal"
	}
}

// findRecentlyRemoved returns the images that a run removed recently, or may have, and that are
// still listed, by the ids of their snapshots. Either a person restored the image, or EC2 shows its
// removal late: nobody can tell whether it needs its snapshots. Of several images the first one by
// id counts.
func (r *regionFacts) findRecentlyRemoved() map[string]string {
	removed := map[string]string{}
	for i := range r.images {
		image := &r.images[i]
		if !MayBeAtWork(r.History.Removed[image.ID], r.now) {
			continue
		}
		for _, id := range image.SnapshotIDs {
			if known, ok := removed[id]; !ok || image.ID < known {
				removed[id] = image.ID
			}
		}
	}
	return removed
}

// snapshotInDoubt keeps an image whose snapshot would be kept because of another image that may be
// gone: no later run would delete that snapshot.
func snapshotInDoubt(r *regionFacts, image *imageFacts) string {
	for _, id := range image.SnapshotIDs {
		if other := r.recentlyRemoved[id]; other != "" && other != image.ID {
			return id + " is one of " + other + " as well, which run " + r.History.Removed[other] + " has removed, or may have"
		}
	}
	return ""
}

// restoredSince reports whether a restore is noted that may have come after a run: on the day of
// its start, or later.
func (o *ownTags) restoredSince(begun time.Time) bool {
	return !begun.IsZero() && !o.restored.Before(begun.Truncate(Day))
}

// staleDeclarations returns the declarations on images and snapshots that no run is at work on. The
// declaration of a restored image is removed with its mark, and that of a leftover serves its run.
func (r *regionFacts) staleDeclarations(verdicts []Verdict) []StaleDeclaration {
	var stale []StaleDeclaration
	for i := range r.images { // Same order as the verdicts.
		image := &r.images[i]
		if r.isStale(image) && verdicts[i].Unmark != Veto && notOwned(r, image) == "" {
			stale = append(stale, newStaleDeclaration(image.ID, image.own, image.Tags))
		}
	}
	mapped := r.mapped()
	for id, snapshot := range r.snapshots {
		own := readOwnTags(snapshot.Tags)
		// Without a journal it may be a leftover that another policy will finish.
		mayBeAnothers := r.History.Strangers == nil && !mapped[id] && mayComeBack(own.run, r.now)
		if r.isOver(id, own) && !r.isLeftover(id, own.run) && !mayBeAnothers {
			stale = append(stale, newStaleDeclaration(id, own, snapshot.Tags))
		}
	}
	slices.SortFunc(stale, func(a, b StaleDeclaration) int { return strings.Compare(a.ID, b.ID) })
	return stale
}

// isStale reports whether an image carries a declaration that is over, or was copied. An unreadable
// one is left alone.
func (r *regionFacts) isStale(image *imageFacts) bool {
	own := image.own
	return r.isOver(image.ID, own) || isDeclarationCopied(image.Image, own) && (own.intent || len(own.faults) == 0)
}

// mapped returns the ids of the snapshots that images map.
func (r *regionFacts) mapped() map[string]bool {
	mapped := map[string]bool{}
	for i := range r.images {
		for _, id := range r.images[i].SnapshotIDs {
			mapped[id] = true
		}
	}
	return mapped
}

func newStaleDeclaration(id string, own *ownTags, tags map[string]string) StaleDeclaration {
	return StaleDeclaration{ID: id, Run: own.run, Keys: carried(tags, ami.IntentTag, ami.RunTag)}
}

func (r *regionFacts) isLeftover(snapshotID, run string) bool {
	return slices.ContainsFunc(r.History.Leftovers, func(l ami.Leftover) bool { return l.SnapshotID == snapshotID && l.Run == run })
}
