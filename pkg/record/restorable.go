package record

import (
	"time"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/retention"
)

// noteRestorable notes of every removed image until when an undo brings it back with all that it needs, or why it does not: as far as that
// is known. The first of its snapshots that leaves the Recycle Bin takes the image along.
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

// wayBack returns until when a removed image can be brought back; zero if it cannot, or if that is not known. Lost is the first of the
// things that it needs and that were not seen in the Recycle Bin, if any. A snapshot may have gone with another image of the region, or
// be left by an earlier run. Of one whose deletion is not confirmed, and of one that the account never listed, nobody knows whether it
// is there.
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
