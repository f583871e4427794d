package journal_test

import (
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// seenWhole is a snapshot that a run has announced.
func seenWhole() ami.SeenOrphan {
	return ami.SeenOrphan{ImageID: image(1), Since: now.AddDate(0, 0, -40), SeenAt: now, Run: first, Due: now.AddDate(0, 0, 14)}
}

// What a run notes, the next one reads; another policy has its own.
func TestOrphansAreNoted(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		s := begin(t, j, first, now)
		want := map[string]ami.SeenOrphan{snapshot(1): seenWhole(), snapshot(2): {ImageID: image(2), Since: now, SeenAt: now, Stays: ami.KeepsAllSnapshots}}
		must(t, s.NoteOrphans(ctx, "web", want), s.Close(ctx, true))
		opened, err := j.Region(ctx, region, second, now)
		must(t, err)
		for policy, want := range map[string]map[string]ami.SeenOrphan{"web": want, "db": {}} {
			got, err := opened.Orphans(ctx, policy, nil)
			must(t, err)
			equal(t, policy, got.Seen, want)
		}
	})
}

// What no later run could read is not written, and what was noted before stays.
func TestOrphansThatCannotBeNoted(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		change func(*ami.SeenOrphan)
		why    string
	}{
		"no id of a snapshot":                {image(1), nil, image(1)},
		"a path":                             {"../" + snapshot(1), nil, "../" + snapshot(1)},
		"no id of an image":                  {snapshot(1), func(o *ami.SeenOrphan) { o.ImageID = image(1) + image(2) + image(3) + image(4) }, image(1)},
		"seen last before it was seen first": {snapshot(1), func(o *ami.SeenOrphan) { o.SeenAt = o.Since.Add(-time.Second) }, "before it was seen first"},
		"never seen":                         {snapshot(1), func(o *ami.SeenOrphan) { o.Since = time.Time{} }, "before it was seen first"},
		"announced by nobody":                {snapshot(1), func(o *ami.SeenOrphan) { o.Run = "" }, "half of an announcement"},
		"announced for no day":               {snapshot(1), func(o *ami.SeenOrphan) { o.Due = time.Time{} }, "half of an announcement"},
		"announced by no run":                {snapshot(1), func(o *ami.SeenOrphan) { o.Run = "yesterday" }, "yesterday"},
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, func(t *testing.T, j *journal.Journal) {
				ctx := t.Context()
				s := begin(t, j, first, now)
				before := map[string]ami.SeenOrphan{snapshot(2): seenWhole()}
				must(t, s.NoteOrphans(ctx, "web", before))
				wrong := seenWhole()
				if c.change != nil {
					c.change(&wrong)
				}
				says(t, s.NoteOrphans(ctx, "web", map[string]ami.SeenOrphan{snapshot(2): seenWhole(), c.id: wrong}), c.why)
				says(t, s.NoteOrphans(ctx, "../web", before), "../web")
				must(t, s.Close(ctx, true))
				opened, err := j.Region(ctx, region, second, now)
				must(t, err)
				got, err := opened.Orphans(ctx, "web", nil)
				must(t, err)
				equal(t, "noted", got.Seen, before)
			})
		})
	}
}

// A run that has stalled, or keeps no journal, notes nothing.
func TestWhoNotesNoOrphans(t *testing.T) {
	at := now
	s := journal.Unrecorded(journal.NewWatchdog(func() time.Time { return at }))
	says(t, s.NoteOrphans(t.Context(), "web", nil), "no journal")
	inEach(t, func(t *testing.T, j *journal.Journal) {
		ctx, at := t.Context(), now
		opened, err := j.Region(ctx, region, first, now)
		must(t, err)
		s, err := opened.Start(ctx, account, journal.Intent{Declared: declared(1)}, journal.NewWatchdog(func() time.Time { return at }))
		must(t, err)
		at = at.Add(lease + time.Second)
		says(t, s.NoteOrphans(ctx, "web", map[string]ami.SeenOrphan{snapshot(1): seenWhole()}), "stalled")
		_ = s.Close(ctx, false)
		opened, err = j.Region(ctx, region, second, now)
		must(t, err)
		got, err := opened.Orphans(ctx, "web", nil)
		must(t, err)
		equal(t, "noted", got.Seen, map[string]ami.SeenOrphan{})
	})
}
