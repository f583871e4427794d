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

// readsAtOnce is how many documents are read side by side.
const readsAtOnce = 16

// History says what other runs than this one have done in the region, and left undone. present says whether the account had
// an image when it was read, after the visit had begun; it is called from one goroutine. Announcers has the runs that have announced
// the removal of images, as these say by their tags, by image id; declarers are the runs that have declared removals, as tags say.
//
// Of several runs that have an entry for an image, the one with the latest id counts. If another run is at work, or has been
// since the visit began, what was read of the region may be of before it, and what is said of what that run does of after it:
// nothing is said of that.
func (v *Visit) History(ctx context.Context, now time.Time, present func(imageID string) bool, announcers map[string]string, declarers []string) (ami.History, error) {
	h := history{journal: v.journal, region: v.region, own: v.run, busy: v.atWork, present: present, announcers: announcers, declarers: declarers}
	for _, read := range []func(context.Context) error{
		h.listUnfinished,
		h.listRemovals,
		h.readPlans,
		h.readRemovals,
		h.readAnnounced,
		h.findStrangers,
		func(ctx context.Context) error { return h.readBusy(ctx, v, now) },
	} {
		if err := read(ctx); err != nil {
			return ami.History{}, err
		}
	}
	return h.assemble(), nil
}

// history collects what the journal has on a region.
type history struct {
	journal *Journal
	region  string
	own     string // The run that asks.
	present func(imageID string) bool

	announcers map[string]string           // The runs that are said to have announced the removal of images, by image id.
	announced  map[string]ami.Announcement // What these have written down of that, by image id.
	declarers  []string                    // The runs that are said to have declared removals.
	strangers  map[string]bool             // Those of them that have planned nothing here.

	busy       lockDocument
	unfinished []string            // The ids of the runs, sorted.
	entries    map[string][]string // The ids of the runs that have an entry for an image, sorted; by image id.
	finished   map[removal]bool    // The leftovers that are deleted, and the announcements that are taken back.
	plans      map[string]planDocument
	removals   map[removal]removalDocument
}

func (h *history) readBusy(ctx context.Context, v *Visit, now time.Time) error {
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
	keys, err := h.journal.store.list(ctx, prefix)
	if err != nil {
		return err
	}
	for _, key := range keys {
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
	keys, err := h.journal.store.list(ctx, prefix)
	if err != nil {
		return err
	}
	h.entries, h.finished = map[string][]string{}, map[removal]bool{}
	for _, key := range keys {
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

// latest returns the last run that has an entry for an image; empty if none has.
func (h *history) latest(image string) string {
	if runs := h.entries[image]; len(runs) > 0 {
		return runs[len(runs)-1]
	}
	return ""
}

// readPlans reads the plans of the unfinished runs. That there is none is an error: nobody could say what the run has left.
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

// readAnnounced reads what the runs have planned that images name as those that have announced their removal. A run without a
// plan here has announced nothing that this journal knows of.
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

// findStrangers finds out which of the runs that are said to have declared removals have no plan here.
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

// plansOf reads what runs have planned for a region, by run. Runs without a plan there are missing.
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

// readPlan reads what a run has planned for a region; nothing if there is no such document.
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

// readRemovals reads the last entry of each image that is present, and those of unfinished runs.
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
		Removed: map[string]string{}, Refused: map[string]ami.Refusal{}, Unbegun: map[string][]string{}, Planned: map[string][]string{},
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
			h.addUnbegun(assembled.Unbegun, run, d)
			assembled.Planned[run] = append(assembled.Planned[run], d.ImageID)
			if !h.present(d.ImageID) {
				assembled.Leftovers = append(assembled.Leftovers, h.leftovers(run, d)...)
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

// mayBeRemoved reports whether a run has deregistered an image, or whether nobody knows.
func mayBeRemoved(document removalDocument) bool {
	return document.Status == ami.Deregistered || document.Status == attempted
}

// addUnbegun says of an image, and of its snapshots, that a run has declared their removal and has not removed it. If it may have,
// nothing is said of earlier ones either.
func (h *history) addUnbegun(unbegun map[string][]string, run string, d Declared) {
	document := h.removals[removal{image: d.ImageID, run: run}]
	for _, id := range append([]string{d.ImageID}, d.Snapshots...) {
		if mayBeRemoved(document) {
			delete(unbegun, id)
		} else {
			unbegun[id] = append(unbegun[id], run)
		}
	}
}

// leftovers returns the snapshots that a run had planned to delete with an image that it has removed, or may have, and that are
// not known to be deleted or kept. Those of an image that somebody else has removed are theirs to keep. If a later run had to
// do with the image, it was there again, and the rest is for that run to say.
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

// isSettled reports whether a snapshot is known to be deleted, or meant to stay.
func (d removalDocument) isSettled(snapshot string) bool {
	return slices.ContainsFunc(d.Snapshots, func(s ami.SnapshotResult) bool {
		return s.SnapshotID == snapshot && (s.Status == ami.SnapshotDeleted || s.Status == ami.SnapshotKept)
	})
}
