package record

import (
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// noteRestorable notes for every removed image until when an undo can bring it back, or why it
// cannot, as far as that is known. An image is lost with the first of its snapshots that leaves the
// Recycle Bin.
func (g Region) noteRestorable() {
	results := g.snapshotResults()
	for i := range g.Images {
		if outcome := g.Images[i].Outcome; g.Images[i].Removed() {
			var lost string
			if outcome.RestorableUntil, lost = wayBack(g.Images[i], results); lost != "" && g.BinRead {
				outcome.NotRestorable = "the Recycle Bin does not hold " + lost
			}
		}
	}
}

// wayBack returns until when a removed image can be brought back; zero if it cannot, or if that is
// not known. Lost is the first thing that it needs and that is not in the Recycle Bin. A snapshot
// may have gone with another image of the region, or may be a leftover of an earlier run. If a
// deletion is not confirmed, or the account never listed the snapshot, nobody knows whether it
// exists.
func wayBack(i Image, results map[string]snapshotResult) (until time.Time, lost string) {
	if until = i.Outcome.InBinUntil; until.IsZero() {
		return time.Time{}, "the image"
	}
	isKnown := true
	for _, s := range i.Outcome.Snapshots {
		switch r := results[s.SnapshotID]; {
		case r.status == ami.SnapshotDeleted && r.until.IsZero():
			return time.Time{}, "its snapshot " + s.SnapshotID
		case r.status == ami.SnapshotDeleted && r.until.Before(until):
			until = r.until
		case r.status == ami.SnapshotFailed, s.Detail == retention.NotListed:
			isKnown = false
		}
	}
	if !isKnown {
		return time.Time{}, ""
	}
	return until, ""
}
