package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// Of an image that is gone, explain says which run removed it, why, and how to get it back; of one
// that was restored, both.
func TestExplainWhatIsGone(t *testing.T) {
	account := serving(t, asItIs)
	swept := cli(t, nil, "sweep", "--yes", "--output=json", "--max-deregistrations=1", provable).record(t)
	id, name := "", ""
	for _, image := range swept.Regions[0].Images {
		if image.Outcome != nil && image.Outcome.Status == "deregistered" {
			id, name = image.ImageID, image.Name
		}
	}
	before := writes(account)
	for _, given := range []string{id, name} {
		got := cli(t, nil, "explain", given)
		words := strings.Join(strings.Fields(got.out), " ")
		for _, want := range []string{
			id + ", " + name, "It is gone from us-east-1", time.Now().UTC().Format(time.DateOnly) + ", run " + swept.Run + ": removed it", "It was removed because: ",
			"the limit is 180 days", "The Recycle Bin has to hold it until", "ami-janitor undo --image " + id,
		} {
			if !strings.Contains(words, want) {
				t.Errorf("%s: %q is missing in\n%s", given, want, got.out)
			}
		}
		if got.status != 0 || got.err != "" {
			t.Errorf("%+v", got)
		}
		e := cli(t, nil, "explain", given, "--output=json").explanations(t)
		if len(e) != 1 || !e[0].Gone || e[0].Image.ImageID != id || e[0].History[0].Run != swept.Run || e[0].RestorableUntil == "" {
			t.Errorf("%+v", e)
		}
	}
	const missing = "ami-0123456789abcdef0"
	if got := cli(t, nil, "explain", missing, id, "no-such-name"); got.status != 1 || !strings.Contains(got.out, id) || !strings.Contains(got.err, missing) || !strings.Contains(got.err, "no-such-name") {
		t.Errorf("%+v", got)
	}
	if writes(account) != before {
		t.Error("explain writes")
	}
	cli(t, nil, "undo", "--image", id)
	e := cli(t, nil, "explain", id, "--output=json").explanations(t)
	if len(e) != 1 || e[0].Gone || e[0].Image.Verdict != "keep" || len(e[0].History) != 1 || !strings.Contains(e[0].History[0].Did, "restored since") {
		t.Errorf("%+v", e)
	}
}

func TestExplainTellsWhatRunsDid(t *testing.T) {
	t.Run("announced", func(t *testing.T) {
		serving(t, asItIs)
		records := t.TempDir()
		image := announcedBy(t, "announce", records)
		got := cli(t, nil, "explain", "--records="+records, "--grace=14d", image.ImageID)
		if words := strings.Join(strings.Fields(got.out), " "); got.status != 0 || !strings.Contains(words, ": announced its removal by policy cli, due on "+image.DueOn) {
			t.Error(got.out)
		}
	})
	t.Run("refused", func(t *testing.T) {
		serving(t, func(doer emulator.Doer) emulator.Doer {
			return disturb.Fail(doer, "DeregisterImage", nil, http.StatusBadRequest, "OperationNotPermitted", "Not \x1b[31mnow.")
		})
		swept := cli(t, nil, "sweep", "--yes", "--output=json", "--max-deregistrations=1", provable).record(t)
		for _, image := range swept.Regions[0].Images {
			if image.Outcome == nil || image.Verdict != "deregister" {
				continue
			}
			got := cli(t, nil, "explain", image.ImageID)
			if words := strings.Join(strings.Fields(got.out), " "); !strings.Contains(words, "run "+swept.Run+": was refused its removal by EC2: OperationNotPermitted: Not") || strings.Contains(got.out, "\x1b") {
				t.Error(got.out)
			}
			return
		}
		t.Fatal("nothing was tried")
	})
	t.Run("nothing", func(t *testing.T) {
		serving(t, asItIs)
		if got := cli(t, nil, "explain", stalest(t).ImageID); strings.Contains(got.out, "WHAT RUNS DID") {
			t.Error(got.out)
		}
	})
}

// A glob stands for every image whose name it matches.
func TestExplainAGlob(t *testing.T) {
	dir := directory(t)
	all := cli(t, nil, "rehearse", "--dry-run", "--account", dir, "--now", nightly, "--output=json").record(t)
	names := map[string]bool{}
	for _, image := range all.Regions[0].Images {
		if strings.HasPrefix(image.Name, "golden-ubuntu-") {
			names[image.Name] = true
		}
	}
	got := cli(t, nil, "explain", "golden-ubuntu-*", "no-such-*", "--account", dir, "--now", nightly, "--output=json")
	explained := got.explanations(t)
	for _, e := range explained {
		if !names[e.Image.Name] {
			t.Errorf("%s", e.Image.Name)
		}
		delete(names, e.Image.Name)
	}
	if len(names) > 0 || len(explained) < 2 || got.status != 1 || !strings.Contains(got.err, "no-such-*") {
		t.Errorf("%v are missing of %d; %+v", names, len(explained), got.err)
	}
}
