package simulation

import (
	"fmt"
	"slices"
	"time"
)

// kind is a kind of image that is judged by a setting of its own, or as one of its family.
type kind string

const (
	product    kind = "with a product code" // Of the AWS Marketplace.
	failed     kind = "failed"
	deprecated kind = "deprecated" // By its owner.
	imported   kind = "imported"   // Named after its import.
)

// addKinds draws images of these kinds, and whether they are judged.
func (w *world) addKinds(d dice) {
	for _, settings := range []map[string]string{w.settings, w.second} {
		if settings != nil {
			settings["MARKETPLACE_IMAGES"] = pick(d, "keep", "judge", "judge")
			settings["FAILED_IMAGES"] = pick(d, "keep", "judge", "judge")
		}
	}
	for n := range d.between(1, 4) {
		w.addKind(d, 600+n)
	}
}

// addKind draws one of these images. A failed one may map a snapshot that was there before, and
// belongs to another image.
func (w *world) addKind(d dice, n int) {
	i := &image{
		id: imageID(n), region: pick(d, w.regions...), tags: map[string]string{}, state: "available", there: true,
		kind: pick(d, product, failed, failed, deprecated, imported), created: ago(float64(d.between(28, 400)) + d.Float64()),
	}
	i.family = pick(d, "web", "db")
	i.name = fmt.Sprintf("%s-%08d", i.family, 20260101+n)
	i.family += "-*"
	sn := &snapshot{id: snapshotID(10 * n), region: i.region, tags: map[string]string{}, there: true, size: d.between(1, 100)}
	switch i.kind {
	case product:
		i.public, i.shared = d.chance(10), d.chance(15)
	case failed:
		i.state = string(failed)
		for _, other := range w.snapshots {
			if other.region == i.region && other.orphanOf == "" && d.chance(15) {
				i.snapshots = append(i.snapshots, other.id)
			}
		}
	case deprecated:
		i.deprecated = ago(float64(d.between(-3, 30))).Truncate(time.Minute)
	case imported:
		i.name = fmt.Sprintf("import-ami-%017x", n)
		i.family, sn.task = i.name, i.name
	}
	if len(i.snapshots) == 0 || d.chance(60) {
		w.snapshots, i.snapshots = append(w.snapshots, sn), append(i.snapshots, sn.id)
	}
	w.images = append(w.images, i)
}

// isKeptAsProduct reports whether an image carries a product code, and nobody wants it judged.
func (p *policy) isKeptAsProduct(i *image) bool {
	return i.kind == product && (p.settings["MARKETPLACE_IMAGES"] != "judge" || i.public || i.shared)
}

// mayDisplace reports whether an image counts as one of its family, as far as its kind goes. That
// it is shared is known too late for that.
func (p *policy) mayDisplace(i *image) bool {
	return i.kind != product || p.settings["MARKETPLACE_IMAGES"] == "judge" && !i.public
}

// hasFailedLongAgo reports whether an image has failed, for longer than it may be idle even if it
// was pending for a week, and failed images are judged.
func (r *run) hasFailedLongAgo(i *image) bool {
	age := time.Since(i.created) + r.night.slack()
	return i.kind == failed && r.policy.settings["FAILED_IMAGES"] == "judge" && age > r.policy.idleLimit(i)+7*day
}

// isOfOthers reports whether a failed image that a run has removed maps a snapshot that was made
// for another one, or long before it.
func (s *simulation) isOfOthers(sn *snapshot, isRemover func(actor string) bool) bool {
	return slices.ContainsFunc(s.world.images, func(i *image) bool {
		isIts := s.world.madeFor(sn) == i.id && !isTakenLongBefore(i)
		return i.kind == failed && !isIts && slices.Contains(i.snapshots, sn.id) && isRemover(i.goneBy)
	})
}

// isSurelyDeprecated reports whether the owner of an image had it deprecated before a run began.
// Forged tags may have made a run end that.
func (r *run) isSurelyDeprecated(i *image) bool {
	isOver := !i.deprecated.IsZero() && i.deprecated.Before(r.started.Add(-r.night.slack()))
	return isOver && !i.forged && i.deprecatedBy == ""
}
