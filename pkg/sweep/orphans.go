package sweep

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// sweepOrphans takes back announcements of snapshots whose image is gone, deletes such snapshots,
// and announces others.
//
// What the journal says of them is written before, and without those that are deleted now: wherever
// the run ends, a snapshot that is there again, or still, counts as seen for the first time. Those
// that were not reached, or could not be looked at once more, get their time back at the end; what
// the second look keeps starts over.
func (s *sweep) sweepOrphans(ctx context.Context) {
	if !s.hasOrphans() {
		return
	}
	due, fresh := s.orphansDecided(retention.Deregister), s.orphansDecided(retention.Mark)
	s.orphans, s.unseenOrphans = map[string]ami.OrphanResult{}, map[string]bool{}
	seen := maps.Clone(s.Plan.OrphansSeen)
	for _, o := range fresh {
		announced := o.Seen
		announced.Run, announced.Due = s.Run, o.Due
		seen[o.SnapshotID] = announced
	}
	if why := s.noteOrphans(ctx, seen); why != "" {
		for _, o := range slices.Concat(due, fresh) {
			s.orphanStays(o.SnapshotID, why)
		}
		return
	}
	s.unmarkOrphans(ctx)
	for some := range slices.Chunk(due, batch) {
		s.deleteOrphans(ctx, some)
	}
	for some := range slices.Chunk(fresh, batch) {
		s.announceOrphans(ctx, some)
	}
	s.findOrphansInBin(ctx)
	noted := maps.Clone(seen)
	for _, o := range slices.Concat(due, fresh) {
		if s.orphans[o.SnapshotID].Status == ami.OrphanKept {
			if delete(seen, o.SnapshotID); s.unseenOrphans[o.SnapshotID] {
				seen[o.SnapshotID] = o.Seen
			}
		}
	}
	if !maps.Equal(seen, noted) {
		_ = s.noteOrphans(s.limits.Record, seen) // Else the due ones start over.
	}
}

// hasOrphans reports whether the plan says something of orphans that the journal has to know: what
// is there by now, or that something no longer is.
func (s *sweep) hasOrphans() bool {
	known := s.Inventory.History.Orphans
	return known != nil && s.Plan.OrphansSeen != nil && s.Plan.Hold == "" &&
		len(s.Plan.OrphansSeen)+len(known.Seen)+len(s.Plan.Unmarkings)+len(s.orphansDecided(retention.Deregister)) > 0
}

// noteOrphans says why the journal could not be written; empty if it was.
func (s *sweep) noteOrphans(ctx context.Context, seen map[string]ami.SeenOrphan) string {
	if err := s.session.NoteOrphans(ctx, s.Policy, seen); err != nil {
		return "what is known of it could not be noted in the journal: " + wire.Explain(err)
	}
	return ""
}

func (s *sweep) orphansDecided(decision retention.Decision) []retention.Orphan {
	return slices.DeleteFunc(slices.Clone(s.Plan.Orphans), func(o retention.Orphan) bool { return o.Decision != decision })
}

func (s *sweep) orphanStays(id, why string) {
	s.orphans[id] = ami.OrphanResult{Status: ami.OrphanKept, Detail: why}
}

// orphanUnseen is orphanStays for a snapshot that the second look has not reached: its time goes
// on.
func (s *sweep) orphanUnseen(id, why string) {
	s.orphanStays(id, why)
	s.unseenOrphans[id] = true
}

// mayChangeOrphans says why no further orphan is changed; empty if some may be.
func (s *sweep) mayChangeOrphans(ctx context.Context) string {
	if s.stopped != "" {
		return s.stopped
	}
	if s.isLate() {
		return notReached
	}
	if err := s.session.MayContinue(ctx, journal.BetweenChunks); err != nil {
		return err.Error()
	}
	return ""
}

// unmarkOrphans takes announcements back. The journal no longer confirms them by now. An objection
// is noted first: it keeps the snapshot if the run ends between the two calls.
func (s *sweep) unmarkOrphans(ctx context.Context) {
	for _, u := range s.Plan.Unmarkings {
		if why := s.mayChangeOrphans(ctx); why != "" {
			s.orphanUnseen(u.SnapshotID, why)
			continue
		}
		var err error
		if u.Veto {
			err = wire.Tag(ctx, s.api, []string{u.SnapshotID}, map[string]string{ami.RestoredTag: s.Now.UTC().Format(time.DateOnly)})
		}
		if err == nil {
			err = wire.Untag(ctx, s.api, []string{u.SnapshotID}, u.Keys)
		}
		result := ami.OrphanResult{Status: ami.OrphanUnmarked, Detail: u.Why}
		if err != nil {
			result = ami.OrphanResult{Status: ami.OrphanFailed, Detail: "its announcement could not be taken back: " + wire.Explain(err)}
		}
		s.orphans[u.SnapshotID] = result
	}
}

// deleteOrphans deletes at most ten snapshots: it declares that, looks at them once more, and takes
// the declaration off those that stay.
func (s *sweep) deleteOrphans(ctx context.Context, some []retention.Orphan) {
	if why := s.mayChangeOrphans(ctx); why != "" {
		for _, o := range some {
			s.orphanUnseen(o.SnapshotID, why)
		}
		return
	}
	failed := s.declare(ctx, orphanIDs(some))
	stay, unread := s.recheckOrphans(ctx, some)
	var ready []string
	for _, o := range some {
		id := o.SnapshotID
		s.snapshots[id].declared = mayCarry(failed[id])
		switch {
		case stay[id] != "":
			s.orphanStays(id, stay[id])
		case isLate(failed[id]):
			s.orphanUnseen(id, notReached)
		case failed[id] != nil:
			s.orphanStays(id, "its deletion could not be declared: "+wire.Explain(failed[id]))
		case unread[id] != "":
			s.orphanUnseen(id, unread[id])
		default:
			ready = append(ready, id)
		}
	}
	for id, result := range s.deleteAll(ctx, ready) {
		s.settleOrphan(id, result)
	}
	var kept []tagged
	for _, o := range some {
		if snapshot := s.snapshots[o.SnapshotID]; snapshot.declared {
			kept = append(kept, tagged{snapshot.id, false, &snapshot.declared})
		}
	}
	s.withdraw(ctx, kept)
}

// settleOrphan notes what became of a snapshot to delete.
func (s *sweep) settleOrphan(id string, result ami.SnapshotResult) {
	switch result.Status {
	case ami.SnapshotDeleted:
		s.orphans[id] = ami.OrphanResult{Status: ami.OrphanDeleted, Detail: result.Detail}
		s.snapshots[id].declared = false
	case ami.SnapshotKept:
		if s.orphanStays(id, result.Detail); strings.HasPrefix(result.Detail, string(ami.ReasonUnknownUse)) {
			s.orphanUnseen(id, result.Detail)
		}
	case ami.SnapshotFailed:
		isTried := result.Detail != s.stopped && !strings.HasPrefix(result.Detail, notReadAgain)
		if !isTried {
			s.orphanUnseen(id, result.Detail)
			return
		}
		// It may be in the Recycle Bin, where an undo finds it by its tags. If it is not, the
		// next run takes them off.
		s.orphans[id] = ami.OrphanResult{Status: ami.OrphanFailed, Detail: result.Detail}
		s.snapshots[id].declared = false
	}
}

func orphanIDs(orphans []retention.Orphan) []string {
	ids := make([]string, len(orphans))
	for i := range orphans {
		ids[i] = orphans[i].SnapshotID
	}
	slices.Sort(ids)
	return ids
}

// recheckOrphans says, by id, why snapshots stay after all: their image is there, or EC2 does not
// say that it is gone; an image maps one now; or an image has come into the Recycle Bin since the
// plan that may. Apart from these, it says which could not be looked at.
func (s *sweep) recheckOrphans(ctx context.Context, some []retention.Orphan) (stay, unread map[string]string) {
	stay, unread = map[string]string{}, map[string]string{}
	mapping, err := inventory.ImagesMapping(ctx, s.api, orphanIDs(some))
	bin := recyclebin.ReadImages(ctx, s.Clients.EC2)
	arrived := ""
	for _, id := range slices.Sorted(maps.Keys(bin.Images)) {
		_, wasThere := s.Inventory.Bin.Images[id]
		isOwn := slices.ContainsFunc(s.images, func(i *image) bool { return i.Image.ID == id })
		if !wasThere && !isOwn {
			arrived = id + " has come into the Recycle Bin since, and may map it"
		}
	}
	for _, o := range some {
		if err != nil {
			unread[o.SnapshotID] = notReadAgain + err.Error()
		}
		if !bin.Read {
			unread[o.SnapshotID] = "the Recycle Bin could not be looked at once more: " + bin.Err
		}
		if arrived != "" {
			stay[o.SnapshotID] = arrived
		}
		switch seen, _, err := wire.FindImage(ctx, s.api, o.ImageID); {
		case err != nil:
			unread[o.SnapshotID] = "whether " + o.ImageID + " is gone is not known: " + wire.ExplainLookup(err)
		case seen != wire.Gone:
			stay[o.SnapshotID] = "EC2 does not say that " + o.ImageID + " is gone"
		}
		for i := range mapping {
			if slices.Contains(mapping[i].SnapshotIDs, o.SnapshotID) {
				stay[o.SnapshotID] = mapping[i].ID + " uses it now"
			}
		}
	}
	return stay, unread
}

// announceOrphans announces the deletion of at most ten snapshots.
func (s *sweep) announceOrphans(ctx context.Context, some []retention.Orphan) {
	why := s.mayChangeOrphans(ctx)
	var stay, unread map[string]string
	if why == "" {
		stay, unread = s.recheckOrphans(ctx, some)
	}
	for _, o := range some {
		if stays := stay[o.SnapshotID]; stays != "" {
			s.orphanStays(o.SnapshotID, stays)
			continue
		}
		if unseen := why + unread[o.SnapshotID]; unseen != "" {
			s.orphanUnseen(o.SnapshotID, unseen)
			continue
		}
		err := wire.Tag(ctx, s.api, []string{o.SnapshotID}, map[string]string{
			ami.DueTag:         o.Due.UTC().Format(time.DateOnly),
			ami.AnnouncedByTag: retention.AnnouncedBy(s.Run, s.Policy),
		})
		result := ami.OrphanResult{Status: ami.OrphanAnnounced}
		if wire.Code(err) == "TagLimitExceeded" { // EC2 API Reference, "Error codes".
			s.orphanStays(o.SnapshotID, "it has no room for the two tags of an announcement: 50 is the most")
			continue
		}
		if err != nil {
			result = ami.OrphanResult{Status: ami.OrphanFailed, Detail: "it could not be announced: " + wire.Explain(err)}
		}
		s.orphans[o.SnapshotID] = result
	}
}

// findOrphansInBin notes when the deleted snapshots leave the Recycle Bin. A snapshot in the bin is
// deleted, even if EC2's answer was lost.
func (s *sweep) findOrphansInBin(ctx context.Context) {
	var deleted, doubtful []string
	for _, o := range s.orphansDecided(retention.Deregister) {
		switch s.orphans[o.SnapshotID].Status {
		case ami.OrphanDeleted:
			deleted = append(deleted, o.SnapshotID)
		case ami.OrphanFailed:
			doubtful = append(doubtful, o.SnapshotID)
		default:
		}
	}
	if len(deleted)+len(doubtful) == 0 {
		return
	}
	tries := 1
	if s.bin.snapshots {
		tries = 4
	}
	s.awaitBin(ctx, tries, nil, deleted, doubtful, func(exits map[string]time.Time) {
		s.bin.read = true
		for _, id := range slices.Concat(deleted, doubtful) {
			if until := exits[id]; !until.IsZero() {
				result := s.orphans[id]
				result.Status, result.RestorableUntil = ami.OrphanDeleted, until
				s.orphans[id] = result
			}
		}
	})
}
