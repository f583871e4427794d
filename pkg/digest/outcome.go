package digest

import (
	"fmt"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// happened says what the run did, and what became of all other images. Where every region failed,
// the lead says so.
func (r run) happened() []string {
	if r.AllFailed() {
		return nil
	}
	return []string{r.headline(), r.others(), r.left(), r.first()}
}

// headline says what happened, in one sentence.
func (r run) headline() string {
	t, actions, where := r.Totals, r.actions(), r.where()
	switch {
	case len(actions) == 0:
		return r.outcome() + where + "."
	case r.DryRun:
		return "Dry run: would " + list(actions) + where + ". Nothing was changed."
	case t.Deregistered == 0 && t.SnapshotsDeleted > 0:
		return sentence(list(actions) + where + ", and deregistered no AMI")
	default:
		return sentence(list(actions) + where)
	}
}

// actions says what was done, or what a dry run would do.
func (r run) actions() []string {
	t := r.Totals
	deregister, deleteThem, announce := "deregistered ", "deleted ", "announced the removal of "
	images, snapshots := t.Deregistered, t.SnapshotsDeleted
	if r.DryRun {
		deregister, deleteThem, announce = "deregister ", "delete ", "announce the removal of "
		images, snapshots = t.WouldDeregister, t.SnapshotsWouldDelete
	}
	var actions []string
	if images > 0 {
		actions = append(actions, deregister+count(images, "AMI"))
	}
	if snapshots > 0 {
		actions = append(actions, deleteThem+count(snapshots, "snapshot"))
	}
	if t.Marked > 0 {
		actions = append(actions, announce+count(t.Marked, "AMI"))
	}
	return actions
}

// where says in which regions and accounts the run looked, without the regions that failed unless
// all did.
func (r run) where() string {
	regions, accounts := map[string]bool{}, map[string]bool{}
	one, allFailed := "", r.FailedRegions() == len(r.Regions)
	for _, region := range r.Regions {
		if region.Error == "" || allFailed {
			one = region.Region
			regions[region.Region] = true
			accounts[region.Account] = true
		}
	}
	in := " in " + count(len(regions), "region")
	switch {
	case len(regions) == 0:
		return ""
	case len(regions) == 1:
		in = " in " + plain.Clip(plain.Text(one), 40)
	}
	switch account := r.account(); {
	case account != "":
		return in + " (" + account + ")"
	case len(accounts) > 1:
		return in + " of " + count(len(accounts), "account")
	default:
		return in
	}
}

// others says in one sentence what became of all other images.
func (r run) others() string {
	t := r.Totals
	var clauses []string
	add := func(n int, one, is, are string) {
		if n > 0 {
			verb := are
			if n == 1 {
				verb = is
			}
			clauses = append(clauses, count(n, one)+" "+verb)
		}
	}
	add(r.FailedRegions(), "region", "failed", "failed")
	if r.DryRun {
		add(r.HeldRegions(), "region", "would only be planned", "would only be planned")
		add(r.CountRegions(record.Region.IsBusy), "region", "is left to another run", "are left to other runs")
	} else {
		add(r.HeldRegions(), "region", "was only planned", "were only planned")
		add(r.CountRegions(record.Region.IsBusy), "region", "was left to another run", "were left to other runs")
	}
	add(r.Count(record.Image.FailedToRemove), "AMI", "could not be removed", "could not be removed")
	add(r.Count(record.Image.FailedToMark), "AMI", "could not be announced", "could not be announced")
	add(r.Count(record.Image.FailedToUnmark), "AMI", "may still be marked", "may still be marked")
	add(r.Count(record.Image.FailedToAsk), "AMI", "could not be reported on", "could not be reported on")
	add(t.SnapshotsFailed, "snapshot", "could not be deleted", "could not be deleted")
	if r.DryRun {
		add(t.Skipped, "AMI", "would be left alone", "would be left alone")
	} else {
		add(t.Skipped, "AMI", "was skipped", "were skipped")
	}
	add(t.Deferred-t.Refused, "AMI", "waits for a later run", "wait for a later run")
	add(t.Refused, "AMI", "waits because EC2 has refused its removal", "wait because EC2 has refused their removal")
	add(t.Kept, "AMI", "is kept", "are kept")
	if some := r.someOfTheKept(); some != "" && t.Kept > 0 {
		clauses[len(clauses)-1] += " (" + some + ")"
	}
	if len(clauses) == 0 {
		return ""
	}
	return list(clauses) + "."
}

// someOfTheKept counts those of the kept images that a person may have to do something about.
func (r run) someOfTheKept() string {
	var counts []string
	for _, c := range []struct {
		wanted func(record.Image) bool
		why    string
	}{
		{record.Image.Announced, "announced before and not yet due"},
		{record.Image.Vetoed, "after an objection"},
		{func(i record.Image) bool { return i.Kept() && i.Unproven() && !late(i) }, "only for want of proof, or of a way back"},
		{late, "only because the time for lookups was up"},
	} {
		if n := r.Count(c.wanted); n > 0 {
			counts = append(counts, thousands(int64(n))+" "+c.why)
		}
	}
	return strings.Join(counts, ", ")
}

// left says how many images are left for later runs, and how many of those they take.
func (r run) left() string {
	t := r.Totals
	if t.Left == 0 || t.NightsNeeded == 0 {
		return ""
	}
	speed := "at this one's speed of " + count(r.PerRun(), "AMI")
	if r.DryRun {
		speed = "at " + count(r.PerRun(), "AMI") + " a run"
	}
	left := count(t.Left, "AMI")
	if n := r.acting().Count(func(i record.Image) bool { return i.NotLookedUp() || i.Unasked() }); n > 0 {
		left += ", " + thousands(int64(n)) + " of them not looked up yet"
	}
	return "What is left (" + left + ") takes about " + count(t.NightsNeeded, "more run") + " " + speed + "."
}

// first explains a digest that may have found nothing.
func (r run) first() string {
	if !r.FirstRun {
		return ""
	}
	if r.Reader.CommandLine {
		return "This is the first run on record."
	}
	return r.words("This is the first run on record, which is always told of. What comes after it is told of as {NOTIFY_ON} says.")
}

// savings says what the deletions free, and that it is an upper bound.
func (r run) savings() string {
	amount, save := r.Totals.Amounts.Removed, "This frees up to %s GiB and saves"
	if r.DryRun {
		amount, save = r.Totals.Amounts.WouldRemove, "That would free up to %s GiB and save"
	}
	if amount.GiB == 0 {
		return ""
	}
	rate := price(r.SnapshotPrice) + " per GB-month"
	if amount.ArchivedGiB > 0 {
		rate += ", " + price(r.ArchivePrice) + " in the archive tier"
	}
	from := ". Both are upper bounds: snapshots are stored incrementally, and what lies in the Recycle Bin is billed until it leaves it."
	if at := r.Totals.SavingsFrom; !at.IsZero() {
		from = ", in full from " + day(at) + ": until then, some of it is billed in the Recycle Bin. Both are upper bounds: snapshots " +
			"are stored incrementally."
	}
	return fmt.Sprintf(save+" up to %s a month (at %s)%s", thousands(amount.GiB), money(amount.MonthlyUpTo), rate, from)
}
