package record

import (
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Amounts are what the images of a run come to, by where they stand after it. No snapshot is in two
// of Removed, Due, Announced and Kept.
type Amounts struct {
	// Removed is what AWS confirmed; the snapshots of leftovers count.
	Removed Amount `json:"removed"`
	// WouldRemove is what a dry run would remove, out of Due.
	WouldRemove Amount `json:"wouldRemove,omitzero"`
	Due         Amount `json:"due"` // What would go, and is left for a later run.
	// Announced is what is announced and not yet due; of a dry run, too, what it would announce.
	Announced Amount `json:"announced"`
	Kept      Amount `json:"kept"` // What the snapshots take of all other images.
}

// Standing is where an image stands after a run.
type Standing string

const (
	// StandingRemoved means that AWS confirmed the removal.
	StandingRemoved Standing = "removed"
	// StandingDue means that nothing keeps the image, and that it is left for a later run.
	StandingDue Standing = "due"
	// StandingAnnounced means that its removal is announced, or would be in a dry run.
	StandingAnnounced Standing = "announced"
	// StandingKept means that something keeps it, or that it is not looked up.
	StandingKept Standing = "kept"
	// StandingLeft means that nothing keeps it, and that another run was at work in its region.
	StandingLeft Standing = "left"
)

// Standing says where an image of the region stands.
func (g Region) Standing(i Image) Standing {
	switch {
	case i.Removed():
		return StandingRemoved
	case i.Marked() || i.Announced() || i.ToBeMarked() && !g.IsOnlyPlanned():
		return StandingAnnounced
	case i.Verdict == retention.Keep || i.Skipped() && CameUpLate(i.Outcome.Code) || i.Unasked():
		return StandingKept
	case g.Busy:
		return StandingLeft
	default:
		return StandingDue
	}
}

// Stands selects the images with a standing, for Savings and Stored.
func Stands(at Standing) func(Region, Image) bool {
	return func(g Region, i Image) bool { return g.Standing(i) == at }
}

func (r Run) amounts() Amounts {
	a := Amounts{
		Removed:   Amount{Images: r.Totals.Deregistered},
		Due:       r.Savings(Stands(StandingDue)),
		Announced: r.Savings(Stands(StandingAnnounced)),
		Kept:      r.Stored(Stands(StandingKept)),
	}
	for _, region := range r.Regions {
		for _, s := range region.snapshotResults() {
			if s.status == ami.SnapshotDeleted {
				a.Removed.add(s.gib, s.archived)
			}
		}
		for _, l := range region.Leftovers {
			if l.isToGo() && l.Status != ami.SnapshotDeleted && !region.Busy {
				a.Due.add(l.SizeGiB, l.Archived)
			}
		}
	}
	if r.DryRun {
		a.WouldRemove = r.wouldRemove()
	}
	a.Removed, a.Due = r.priced(a.Removed), r.priced(a.Due)
	return a
}

// wouldRemove is what a dry run would remove.
func (r Run) wouldRemove() Amount {
	a := Amount{Images: r.Totals.WouldDeregister}
	for _, region := range r.Regions {
		if region.IsOnlyPlanned() {
			continue
		}
		for _, s := range region.plannedDeletions() {
			a.add(s.gib, s.archived)
		}
	}
	return r.priced(a)
}

// plus adds the amounts of another account.
func (a *Amounts) plus(of Amounts) {
	a.Removed.plus(of.Removed)
	a.WouldRemove.plus(of.WouldRemove)
	a.Due.plus(of.Due)
	a.Announced.plus(of.Announced)
	a.Kept.plus(of.Kept)
}
