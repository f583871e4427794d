package janitor

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/inventory"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// survey is what a run works with: the policy, and what the account holds.
type survey struct {
	now     time.Time
	alias   string // Of the account; empty if it has none, or if it is not known.
	policy  retention.Policy
	reader  record.Reader
	journal *journal.Journal // Nil if none is kept.
	pastRuns
	inventories []ami.Inventory
	visits      map[string]*journal.Region // By region; empty if no journal is kept.
	failed      []record.Region            // The regions that could not be read.
}

// readAccount reads the keep list, and every region. A region that fails is left out of the run,
// and recorded. Without the keep list, or without the journal, every region fails.
func (j *Janitor) readAccount(ctx context.Context, run ami.RunID) survey {
	s := survey{now: j.Clock(), policy: j.Config.Policy, reader: j.Reader, visits: map[string]*journal.Region{}}
	account, err := j.Account(ctx)
	if err != nil {
		s.fail("", j.AWS.Region, err)
		return s
	}
	names, err := j.RegionNames(ctx)
	if err != nil {
		s.fail(account, j.AWS.Region, err)
		return s
	}
	var unlisted, unopened error
	s.policy.KeepList, unlisted = j.readKeepList(ctx)
	s.journal, unopened = j.openJournal(account)
	if err := cmp.Or(unlisted, unopened); err != nil {
		for _, name := range names {
			s.fail(account, name, err)
		}
		return s
	}
	alias := j.readAlias(ctx)
	past := make(chan pastRuns, 1)
	known := s.journal
	if j.Config.Records == "" {
		known = nil // The default directory holds the runs of one person only.
	}
	go func() { past <- readPast(ctx, s.journal, known, string(run)) }()
	done := j.watch("Listing")
	for _, name := range names {
		done(name, 0, 1)
	}
	for i, read := range wire.InRegions(names, func(name string) regionContents {
		contents := j.readRegion(ctx, s, run, account, name)
		done(name, 1, 1)
		return contents
	}) {
		if read.err != nil {
			s.fail(account, names[i], read.err)
		} else {
			s.inventories = append(s.inventories, read.inventory)
			s.visits[names[i]] = read.visit
		}
	}
	s.pastRuns, s.alias = <-past, alias()
	return s
}

// regionContents are what a region holds, or why that is not known.
type regionContents struct {
	inventory ami.Inventory
	visit     *journal.Region // Nil if no journal is kept.
	err       error
}

// readRegion reads what a region holds, what the journal says of it, and its Recycle Bin.
func (j *Janitor) readRegion(ctx context.Context, s survey, run ami.RunID, account, name string) (found regionContents) {
	if s.journal != nil {
		if found.visit, found.err = s.journal.Region(ctx, name, string(run), s.now); found.err != nil {
			found.err = fmt.Errorf("reading the journal: %w", found.err)
			return found
		}
	}
	bin, stop := j.readBin(ctx, s.policy, name)
	defer stop()
	if found.inventory, found.err = inventory.Read(ctx, wire.EC2(j.AWS, name), account, name); found.err != nil {
		return found
	}
	found.inventory.Bin = bin()
	if j.Abroad != nil {
		found.inventory.Abroad = j.Abroad.Abroad(found.inventory.Images)
	}
	if found.visit == nil {
		return found
	}
	present, announcers := make(map[string]bool, len(found.inventory.Images)), map[string]string{}
	declarers := retention.Declarers(found.inventory, s.now)
	for _, image := range found.inventory.Images {
		present[image.ID] = true
		if run := retention.Announcer(image); run != "" {
			announcers[image.ID] = run
		}
	}
	found.inventory.History, found.err = found.visit.History(ctx, s.now, func(id string) bool { return present[id] }, announcers, declarers)
	if found.err == nil && s.policy.RemoveOrphans {
		found.inventory.History.Orphans, found.err = found.visit.Orphans(ctx, s.policy.Name, s.policy.OrphanImages(found.inventory))
	}
	if found.err != nil {
		found.err = fmt.Errorf("reading the journal: %w", found.err)
	}
	return found
}

// binTimeout is how long a run waits, once it has read the rest, for a Recycle Bin that no removal
// needs.
const binTimeout = 5 * time.Second

// readBin returns a function that returns as much of the Recycle Bin as a policy needs, and one
// that stops the reading. If the bin has to hold what is removed, its rules and contents are read
// at the end. If it only tells orphans from what can be restored, its images are read in the
// background, and not waited for longer than binTimeout.
func (j *Janitor) readBin(ctx context.Context, policy retention.Policy, region string) (bin func() ami.RecycleBin, stop func()) {
	contents := wire.EC2(j.AWS, region)
	switch {
	case policy.RequireRecycleBin:
		return func() ami.RecycleBin { return recyclebin.Read(ctx, wire.RecycleBin(j.AWS, region), contents) }, func() {}
	case !policy.ReportOrphans:
		return func() ami.RecycleBin { return ami.RecycleBin{} }, func() {}
	}
	reading, stop := context.WithCancel(ctx)
	read := make(chan ami.RecycleBin, 1)
	go func() { read <- recyclebin.ReadImages(reading, contents) }()
	return func() ami.RecycleBin {
		select {
		case bin := <-read:
			return bin
		case <-time.After(binTimeout):
			return ami.RecycleBin{Err: fmt.Sprintf("the Recycle Bin did not answer within %s, and was not waited for", binTimeout)}
		}
	}, stop
}

// inventory is the inventory of a region; empty if the region could not be read.
func (s *survey) inventory(region string) ami.Inventory {
	for _, inventory := range s.inventories {
		if inventory.Region == region {
			return inventory
		}
	}
	return ami.Inventory{}
}

func (s *survey) fail(account, region string, err error) {
	s.failed = append(s.failed, record.FailedRegion(account, region, err))
}
