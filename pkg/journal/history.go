package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// readsAtOnce is how many documents are read at the same time.
const readsAtOnce = 16

// History says what other runs did in the region, and what they left unfinished. present reports
// whether the account had an image when it was read, after this Region was opened; it is called
// from one goroutine. Announcers holds the runs that announced removals, according to the tags of
// images, by image id; declarers are the runs that declared removals, according to tags.
//
// If several runs have an entry for an image, the one with the latest id counts. The entries of a
// run that is at work, or was since this Region was opened, are left out: region and journal may
// show different moments.
func (r *Region) History(ctx context.Context, now time.Time, present func(imageID string) bool, announcers map[string]string, declarers []string) (ami.History, error) {
	h := history{journal: r.journal, region: r.region, own: r.run, busy: r.atWork, present: present, announcers: announcers, declarers: declarers}
	for _, read := range []func(context.Context) error{
		h.listUnfinished,
		h.listRemovals,
		h.readPlans,
		h.readRemovals,
		h.readAnnounced,
		h.findStrangers,
		func(ctx context.Context) error { return h.readBusy(ctx, r, now) },
	} {
		if err := read(ctx); err != nil {
			return ami.History{}, err
		}
	}
	return h.assemble(), nil
}

// history collects what the journal says about a region.
type history struct {
	journal *Journal
	region  string
	own     string // The run that asks.
	present func(imageID string) bool

	// The runs that announced removals, according to tags, by image id.
	announcers map[string]string
	announced  map[string]ami.Announcement // What these wrote down about it, by image id.
	declarers  []string                    // The runs that declared removals, according to tags.
	strangers  map[string]bool             // Those of them without a plan here.

	busy       lockDocument
	unfinished []string // The ids of the runs, sorted.
	// The ids of the runs that have an entry for an image, sorted; by image id.
	entries  map[string][]string
	finished map[removal]bool // The deleted leftovers, and the withdrawn announcements.
	plans    map[string]planDocument
	removals map[removal]removalDocument
}

func (h *history) readBusy(ctx context.Context, v *Region, now time.Time) error {
	held, version, err := h.journal.readLock(ctx, h.region)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err := cmp.Or(err, h.journal.fromTheFuture(held, now)); err != nil {
		return err
	}
	if busy := v.busy(held, version, now); busy.Run != "" {
		h.busy = busy
	}
	return nil
}

// isOther reports whether a run is neither the one that asks nor one at work.
func (h *history) isOther(run string) bool { return run != h.own && run != h.busy.Run }

func (h *history) listUnfinished(ctx context.Context) error {
	prefix := unfinishedPrefix + h.region + "/"
	documents, err := h.journal.store.list(ctx, prefix)
	if err != nil {
		return err
	}
	for _, d := range documents {
		key := d.key
		run := strings.TrimPrefix(key, prefix)
		if checkRun(run) != nil {
			return h.journal.foreign(key)
		}
		if h.isOther(run) {
			h.unfinished = append(h.unfinished, run)
		}
	}
	slices.Sort(h.unfinished)
	return nil
}

func (h *history) listRemovals(ctx context.Context) error {
	prefix := removalsPrefix + h.region + "/"
	documents, err := h.journal.store.list(ctx, prefix)
	if err != nil {
		return err
	}
	h.entries, h.finished = map[string][]string{}, map[removal]bool{}
	for _, d := range documents {
		key := d.key
		r, ok := parseRemovalKey(strings.TrimPrefix(key, prefix))
		switch {
		case !ok:
			return h.journal.foreign(key)
		case r.snapshot != "":
			h.finished[r] = true
		case h.isOther(r.run):
			h.entries[r.image] = append(h.entries[r.image], r.run)
		}
	}
	for _, runs := range h.entries {
		slices.Sort(runs)
	}
	return nil
}

// latest returns the last run with an entry for an image; empty if there is none.
func (h *history) latest(image string) string {
	if runs := h.entries[image]; len(runs) > 0 {
		return runs[len(runs)-1]
	}
	return ""
}

// readPlans reads the plans of the unfinished runs. A missing plan is an error: nobody could say
// what the run left unfinished.
func (h *history) readPlans(ctx context.Context) error {
	plans, err := h.journal.plansOf(ctx, h.unfinished, h.region)
	if err != nil {
		return err
	}
	for _, run := range h.unfinished {
		if _, ok := plans[run]; !ok {
			return fmt.Errorf("%s says that the run is unfinished, and its plan is gone: %s; if the run has left no snapshots, remove the former",
				h.journal.store.where(markerKey(h.region, run)), h.journal.store.where(planKey(run, h.region)))
		}
	}
	h.plans = plans
	return nil
}

// readAnnounced reads the plans of the runs that announced removals, according to tags. A run
// without a plan here announced nothing that this journal knows.
func (h *history) readAnnounced(ctx context.Context) error {
	var runs []string
	for _, run := range h.announcers {
		if checkRun(run) == nil && run != h.own {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	plans, err := h.journal.plansOf(ctx, slices.Compact(runs), h.region)
	if err != nil {
		return err
	}
	h.announced = map[string]ami.Announcement{}
	for _, plan := range plans {
		for _, a := range plan.Announced {
			if h.announcers[a.ImageID] == plan.Run && !h.finished[removal{a.ImageID, plan.Run, withdrawn}] {
				h.announced[a.ImageID] = ami.Announcement{Run: plan.Run, Policy: plan.Policy, Due: a.Due, Action: a.Action}
			}
		}
	}
	return nil
}

// findStrangers finds the declaring runs that have no plan here.
func (h *history) findStrangers(ctx context.Context) error {
	runs := slices.DeleteFunc(slices.Sorted(slices.Values(h.declarers)), func(run string) bool { return checkRun(run) != nil || run == h.own })
	plans, err := h.journal.plansOf(ctx, slices.Compact(runs), h.region)
	if err != nil {
		return err
	}
	h.strangers = map[string]bool{}
	for _, run := range runs {
		if _, ok := plans[run]; !ok {
			h.strangers[run] = true
		}
	}
	return nil
}

// plansOf reads the plans of runs for a region, by run. Runs without a plan there are missing.
func (j *Journal) plansOf(ctx context.Context, runs []string, region string) (map[string]planDocument, error) {
	found := make([]planDocument, len(runs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, run := range runs {
		group.Go(func() (err error) {
			found[i], err = j.readPlan(ctx, run, region)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	plans := make(map[string]planDocument, len(runs))
	for _, plan := range found {
		if plan.Run != "" {
			plans[plan.Run] = plan
		}
	}
	return plans, nil
}

// readPlan reads the plan of a run for a region; nothing if there is no such document.
func (j *Journal) readPlan(ctx context.Context, run, region string) (planDocument, error) {
	data, _, err := j.store.get(ctx, planKey(run, region))
	switch {
	case errors.Is(err, ErrNotFound):
		return planDocument{}, nil
	case err != nil:
		return planDocument{}, err
	}
	plan, err := parsePlan(data, run, region)
	return plan, j.unreadable(planKey(run, region), err)
}

// readRemovals reads the last entry of each present image, and the entries of unfinished runs.
func (h *history) readRemovals(ctx context.Context) error {
	wanted := map[removal]bool{}
	for image := range h.entries {
		if h.present(image) {
			wanted[removal{image: image, run: h.latest(image)}] = true
		}
	}
	for run, plan := range h.plans {
		for _, d := range plan.Declared {
			if slices.Contains(h.entries[d.ImageID], run) {
				wanted[removal{image: d.ImageID, run: run}] = true
			}
		}
	}
	found := make(chan removalDocument, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for r := range wanted {
		group.Go(func() error {
			document, err := h.journal.readRemoval(ctx, h.region, r)
			found <- document
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	close(found)
	h.removals = make(map[removal]removalDocument, len(wanted))
	for document := range found {
		h.removals[removal{image: document.ImageID, run: document.Run}] = document
	}
	return nil
}

func (j *Journal) readRemoval(ctx context.Context, region string, r removal) (removalDocument, error) {
	key := removalKey(region, r.image, r.run)
	data, _, err := j.store.get(ctx, key)
	if err != nil {
		return removalDocument{}, err
	}
	document, err := parseRemoval(data, region, r.image, r.run)
	return document, j.unreadable(key, err)
}

func (h *history) assemble() ami.History {
	assembled := ami.History{
		Removed: map[string]string{}, Refused: map[string]ami.Refusal{}, NotAttempted: map[string][]string{}, Planned: map[string][]string{},
		Announced: h.announced, Announcing: map[string][]string{}, Strangers: h.strangers, Busy: h.busy.Run, BusyPolicy: h.busy.Policy,
	}
	for image := range h.entries {
		run := h.latest(image)
		if !h.isOther(run) || !h.present(image) {
			continue
		}
		if document := h.removals[removal{image: image, run: run}]; mayBeRemoved(document) {
			assembled.Removed[image] = run
		} else {
			assembled.Refused[image] = ami.Refusal{Run: run, At: ami.RunID(run).Began(), Error: document.Error, ByEC2: document.Refused}
		}
	}
	for _, run := range h.unfinished {
		if !h.isOther(run) {
			continue
		}
		assembled.Unfinished = append(assembled.Unfinished, run)
		for _, d := range h.plans[run].Declared {
			h.addNotAttempted(assembled.NotAttempted, run, d)
			assembled.Planned[run] = append(assembled.Planned[run], d.ImageID)
			if !h.present(d.ImageID) {
				assembled.Leftovers = append(assembled.Leftovers, h.leftovers(run, d)...)
				assembled.Bundles = append(assembled.Bundles, h.leftoverBundle(run, d)...)
			}
		}
		for _, a := range h.plans[run].Announced {
			if !h.finished[removal{a.ImageID, run, withdrawn}] {
				assembled.Announcing[run] = append(assembled.Announcing[run], a.ImageID)
			}
		}
	}
	slices.SortFunc(assembled.Leftovers, func(a, b ami.Leftover) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.SnapshotID, b.SnapshotID), cmp.Compare(a.ImageID, b.ImageID))
	})
	return assembled
}

// mayBeRemoved reports whether a run deregistered an image, or may have.
func mayBeRemoved(document removalDocument) bool {
	return document.Status == ami.Deregistered || document.Status == attempted
}

// addNotAttempted notes that a run declared the removal of an image and its snapshots, and did not
// remove it. If it may have, the notes of earlier runs are dropped as well.
func (h *history) addNotAttempted(notAttempted map[string][]string, run string, d Declared) {
	document := h.removals[removal{image: d.ImageID, run: run}]
	for _, id := range append([]string{d.ImageID}, d.Snapshots...) {
		if mayBeRemoved(document) {
			delete(notAttempted, id)
		} else {
			notAttempted[id] = append(notAttempted[id], run)
		}
	}
}

// leftovers returns the snapshots that a run planned to delete with an image which it removed, or
// may have removed, and that are not known to be deleted or kept. The snapshots of an image that
// somebody else removed stay with that person. If a later run has an entry for the image, the image
// existed again, and that run's entry decides.
func (h *history) leftovers(run string, d Declared) []ami.Leftover {
	document := h.removals[removal{image: d.ImageID, run: run}]
	if !mayBeRemoved(document) || h.latest(d.ImageID) > run {
		return nil
	}
	var left []ami.Leftover
	for _, id := range document.Declared {
		if slices.Contains(d.Snapshots, id) && !document.isSettled(id) && !h.finished[removal{image: d.ImageID, run: run, snapshot: id}] {
			left = append(left, ami.Leftover{Run: run, ImageID: d.ImageID, SnapshotID: id})
		}
	}
	return left
}

// isSettled reports whether a snapshot is known to be deleted, or has to stay.
func (d removalDocument) isSettled(snapshot string) bool {
	return slices.ContainsFunc(d.Snapshots, func(s ami.SnapshotResult) bool {
		return s.SnapshotID == snapshot && (s.Status == ami.SnapshotDeleted || s.Status == ami.SnapshotKept)
	})
}
