package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// explanations reads the one JSON array that explain prints.
func (r result) explanations(t *testing.T) []digest.Explanation {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.out))
	decoder.DisallowUnknownFields()
	var explained []digest.Explanation
	if err := decoder.Decode(&explained); err != nil || decoder.More() {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	return explained
}

// oneOfEach is an image of the account for each decision, and for each first reason.
func oneOfEach(run record.Run) map[string]record.Image {
	found := map[string]record.Image{}
	for _, region := range run.Regions {
		for _, image := range region.Images {
			found[string(image.Verdict)] = image
			found[string(image.Reasons[0].Code)] = image
		}
	}
	return found
}

func TestExplain(t *testing.T) {
	dir := directory(t)
	for _, flags := range [][]string{{}, {"--grace=14d", "--grace-action=disable", "--max-deregistrations=3", "--owner-tag=Team"}, {"--max-deregistrations=2"}} {
		args := append([]string{"--account", dir, "--now", nightly, "--output=json"}, flags...)
		run := cli(t, nil, append([]string{"rehearse", "--dry-run", "--complete"}, args...)...).record(t)
		images := map[string]record.Image{}
		for _, image := range oneOfEach(run) {
			images[image.ImageID] = image
		}
		ids := slices.Sorted(maps.Keys(images))
		got := cli(t, nil, slices.Concat([]string{"explain"}, ids, args)...)
		explained := got.explanations(t)
		if got.status != 0 || got.err != "" || len(explained) != len(ids) {
			t.Fatalf("%+v", got)
		}
		for i, e := range explained {
			image := images[ids[i]]
			if e.Image.ImageID != image.ImageID || e.Image.Verdict != image.Verdict || !slices.Equal(e.Image.Reasons, image.Reasons) || e.Region != "us-east-1" {
				t.Errorf("explained %+v, planned %+v", e, image)
			}
		}
		words := []string{"launch permissions", "usage-reports"}
		words = append(words, usage.Sources()...)
		for _, rule := range retention.Rules() {
			if rule.Until != "" && rule.Code != "announced" {
				words = append(words, string(rule.Code))
			}
		}
		inWords := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--output=json" })
		text := cli(t, nil, slices.Concat([]string{"explain"}, ids, inWords)...)
		// What stands behind the title belongs to the image before.
		sections := strings.SplitAfter(text.out, "WHAT WOULD CHANGE THE VERDICT")
		if text.status != 0 || text.err != "" || len(sections) != len(ids)+1 {
			t.Fatalf("%+v", text)
		}
		for i, id := range ids {
			for _, word := range append(words, id) {
				if !strings.Contains(sections[i], word) {
					t.Errorf("%s: the text does not say %s:\n%s", id, word, sections[i])
				}
			}
		}
	}
}

func TestExplainSeveral(t *testing.T) {
	dir := directory(t)
	record := cli(t, nil, "rehearse", "--dry-run", "--account", dir, "--now", nightly, "--output=json").record(t)
	images := oneOfEach(record)
	ids := []string{images["deregister"].ImageID, images["keep"].ImageID, images["in-use"].ImageID, images["deregister"].ImageID}
	got := cli(t, nil, append([]string{"explain", "--account", dir, "--now", nightly, "--output=json"}, ids...)...).explanations(t)
	var explained []string
	for _, e := range got {
		explained = append(explained, e.Image.ImageID)
	}
	if !slices.Equal(ids, explained) {
		t.Errorf("explained %v, want %v", explained, ids)
	}
	text := cli(t, nil, append([]string{"explain", "--account", dir, "--now", nightly}, ids...)...)
	if text.status != 0 || strings.Count(text.out, "WHAT WOULD CHANGE THE VERDICT") != 4 {
		t.Errorf("%+v", text)
	}
	entries, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	again := directory(t)
	for _, path := range entries {
		before, errBefore := os.ReadFile(filepath.Join(again, filepath.Base(path)))
		after, errAfter := os.ReadFile(path)
		if errBefore != nil || errAfter != nil || string(before) != string(after) {
			t.Errorf("%s has changed: %v, %v", path, errBefore, errAfter)
		}
	}
}

// What is found is explained, and what is not is an error, one line each; the exit status says so,
// too. A name will do for an id.
func TestExplainWhatIsFound(t *testing.T) {
	const missing, name = "ami-0123456789abcdef0", "render-node-bundle"
	dir := directory(t)
	for _, output := range []string{"text", "json"} {
		got := cli(t, nil, "explain", "--account", dir, "--now", nightly, "--output="+output, missing, name, "no-such-name")
		if got.status != 1 || strings.Count(got.out, name) != 1 {
			t.Errorf("%s: status %d, out:\n%s", output, got.status, got.out)
		}
		lines := strings.Split(strings.TrimSpace(got.err), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "ami-janitor: ") || !strings.Contains(lines[0], missing) ||
			!strings.HasPrefix(lines[1], "ami-janitor: ") || !strings.Contains(lines[1], "no-such-name") {
			t.Errorf("%s: %q", output, got.err)
		}
	}
}

func TestExplainWrongly(t *testing.T) {
	const missing = "ami-0123456789abcdef0"
	dir := directory(t)
	record := cli(t, nil, "rehearse", "--dry-run", "--now", nightly, "--output=json").record(t)
	there := record.Regions[0].Images[0].ImageID
	for name, c := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"no image":                   {[]string{"--account", dir}, 2, []string{"arg"}},
		"an unknown image":           {[]string{missing, "--account", dir, "--now", nightly}, 1, []string{missing, "us-east-1"}},
		"an unknown name":            {[]string{"no-such-name", "--account", dir, "--now", nightly}, 1, []string{"no-such-name", "us-east-1"}},
		"a region that is not there": {[]string{there, "--account", dir, "--now", nightly, "--regions=eu-west-1,us-west-2"}, 1, []string{there, "eu-west-1, us-west-2"}},
		"a time without an account":  {[]string{there, "--now", nightly}, 2, []string{"--now", "--account"}},
		"no such account":            {[]string{there, "--account", "/no/such/directory"}, 2, []string{"/no/such/directory"}},
		"a wrong setting":            {[]string{there, "--account", dir, "--grace=soon"}, 2, []string{"--grace: "}},
		"a wrong output":             {[]string{there, "--account", dir, "--output=yaml"}, 2, []string{"yaml"}},
		"a keep list that is gone":   {[]string{there, "--account", dir, "--now", nightly, "--keep-list=/no/such/file"}, 1, []string{"the keep list", "/no/such/file", "us-east-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			account := serving(t, asItIs)
			got := cli(t, nil, append([]string{"explain"}, c.args...)...)
			if got.status != c.status || got.out != "" {
				t.Errorf("status %d, want %d; out %q", got.status, c.status, got.out)
			}
			for _, word := range c.says {
				if !strings.Contains(got.err, word) {
					t.Errorf("%q does not say %q", got.err, word)
				}
			}
			if len(account.Calls()) > 0 {
				t.Errorf("the real account was asked: %v", account.Calls())
			}
			for line := range strings.Lines(got.err) {
				if !strings.HasPrefix(line, "ami-janitor: ") {
					t.Errorf("%q does not say who speaks", line)
				}
			}
		})
	}
}

// Without --account it is the real one that is explained, and nothing of it changes.
func TestExplainTheRealAccount(t *testing.T) {
	account := serving(t, asItIs)
	run := cli(t, nil, "plan", "--output=json").record(t)
	for what, image := range oneOfEach(run) {
		got := cli(t, nil, "explain", "--output=json", image.ImageID)
		if e := got.explanations(t); got.status != 0 || e[0].Image.Verdict != image.Verdict {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if got := cli(t, []string{"GRACE=14d"}, "explain", "ami-0123456789abcdef0"); got.status != 1 || !strings.Contains(got.err, "us-east-1") {
		t.Errorf("%+v", got)
	}
	if writes(account) > 0 {
		t.Errorf("%d writes", writes(account))
	}
}

// announcedBy lets a sweep announce removals on the served account, and returns one of the images.
func announcedBy(t *testing.T, action, records string) record.Image {
	t.Helper()
	run := cli(t, nil, "sweep", "--yes", "--records="+records, "--output=json", "--grace=14d", "--grace-action="+action, "--max-deregistrations=200").record(t)
	for _, image := range run.Regions[0].Images {
		if image.Outcome != nil && image.Outcome.Status == "marked" && image.Action == retention.GraceAction(action) {
			return image
		}
	}
	t.Fatalf("nothing was announced: %+v", run.Totals)
	return record.Image{}
}

func TestUnmark(t *testing.T) {
	for _, action := range []string{"announce", "deprecate", "disable"} {
		t.Run(action, func(t *testing.T) {
			account := serving(t, asItIs)
			records := t.TempDir()
			image := announcedBy(t, action, records)
			if e := cli(t, nil, "explain", "--records="+records, "--grace=14d", "--output=json", image.ImageID).explanations(t); e[0].Image.Reasons[0].Code != "announced" {
				t.Errorf("%+v", e[0].Image)
			}
			got := cli(t, nil, "unmark", image.ImageID)
			if got.status != 0 || got.err != "" || !strings.Contains(got.out, image.ImageID+" in us-east-1: taken back") {
				t.Errorf("%+v", got)
			}
			e := cli(t, nil, "explain", "--records="+records, "--grace=14d", "--output=json", image.ImageID).explanations(t)[0]
			if e.Image.Verdict != "keep" || e.Image.Reasons[0].Code != "recently-used" || !strings.Contains(e.LastUse, "restored") {
				t.Errorf("%+v", e.Image)
			}
			before := writes(account)
			again := cli(t, nil, "unmark", image.ImageID)
			if again.status != 0 || !strings.Contains(again.out, "nothing to take back") || writes(account) != before {
				t.Errorf("%+v", again)
			}
			// A sweep after that leaves it alone, with a grace period and without.
			for _, grace := range []string{"--grace=14d", "--grace=0d"} {
				record := cli(t, nil, "sweep", "--yes", "--output=json", grace).record(t)
				for _, i := range record.Regions[0].Images {
					if i.ImageID == image.ImageID && (i.Verdict != "keep" || i.Outcome != nil) {
						t.Errorf("%s: %+v", grace, i)
					}
				}
			}
		})
	}
}

func TestUnmarkWrongly(t *testing.T) {
	const missing = "ami-0123456789abcdef0"
	t.Run("denied", func(t *testing.T) {
		for _, action := range []string{"DeleteTags", "CreateTags", "EnableImage"} {
			var wrap func(emulator.Doer) emulator.Doer
			denied := false
			serving(t, func(doer emulator.Doer) emulator.Doer {
				wrap = denying(action)
				return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
					if denied {
						return wrap(doer).Do(r)
					}
					return doer.Do(r)
				})
			})
			image := announcedBy(t, "disable", t.TempDir())
			denied = true
			got := cli(t, nil, "unmark", image.ImageID)
			if got.status != 3 || strings.Contains(got.out, "taken back") || !strings.Contains(got.err, image.ImageID) || !strings.Contains(got.err, "UnauthorizedOperation") {
				t.Errorf("%s: %+v", action, got)
			}
			// The rest of the mark removes nothing, not even on its day.
			denied = false
			record := cli(t, nil, "sweep", "--yes", "--output=json", "--grace=14d").record(t)
			for _, i := range record.Regions[0].Images {
				if i.ImageID == image.ImageID && i.Verdict != "keep" {
					t.Errorf("%s: %+v", action, i)
				}
			}
			if got := cli(t, nil, "unmark", image.ImageID); got.status != 0 {
				t.Errorf("%s: afterwards %+v", action, got)
			}
		}
	})
	t.Run("unknown", func(t *testing.T) {
		account := serving(t, asItIs)
		image := announcedBy(t, "announce", t.TempDir())
		before := writes(account)
		got := cli(t, nil, "unmark", missing)
		if got.status != 1 || got.out != "" || !strings.Contains(got.err, missing) || !strings.Contains(got.err, "us-east-1") || writes(account) != before {
			t.Errorf("%+v", got)
		}
		got = cli(t, nil, "unmark", missing, image.ImageID)
		if got.status != 1 || !strings.Contains(got.out, image.ImageID+" in us-east-1: taken back") || !strings.Contains(got.err, missing) || strings.Contains(got.err, image.ImageID) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the region cannot be read", func(t *testing.T) {
		serving(t, denying("DescribeImages"))
		got := cli(t, nil, "unmark", missing)
		if got.status != 1 || !strings.Contains(got.err, "could not be searched") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no image", func(t *testing.T) {
		account := serving(t, asItIs)
		if got := cli(t, nil, "unmark"); got.status != 2 || len(account.Calls()) > 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no copies", func(t *testing.T) {
		if got := cli(t, nil, "unmark", missing, "--account", directory(t)); got.status != 2 || !strings.Contains(got.err, "--account") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("not marked", func(t *testing.T) {
		account := serving(t, asItIs)
		plan := cli(t, nil, "plan", "--output=json").record(t)
		image := oneOfEach(plan)["deregister"]
		got := cli(t, nil, "unmark", image.ImageID)
		if got.status != 0 || !strings.Contains(got.out, image.ImageID+" in us-east-1: its removal was not announced; nothing to take back") || writes(account) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A life on a copy: announced tonight, waiting, and gone when it is due; each night begins with
// what the last has left.
func TestNightsOnACopy(t *testing.T) {
	for _, action := range []string{"announce", "deprecate", "disable"} {
		t.Run(action, func(t *testing.T) {
			dir, out := directory(t), t.TempDir()
			announced := map[string]string{}
			for _, day := range []int{0, 1, 13, 14, 15} {
				at := tonight.AddDate(0, 0, day).Format(time.RFC3339)
				args := []string{"--account", dir, "--now", at, "--output=json", "--grace=14d", "--grace-action=" + action, "--max-deregistrations=200"}
				dry := cli(t, nil, append([]string{"rehearse", "--dry-run", "--state-out", filepath.Join(out, "dry")}, args...)...)
				if dry.status != ofSample {
					t.Fatalf("day %d: %+v", day, dry.err)
				}
				next := filepath.Join(out, at)
				got := cli(t, nil, append([]string{"rehearse", "--state-out", next}, args...)...)
				if got.status != ofSample {
					t.Fatalf("day %d: %+v", day, got.err)
				}
				record, plan := got.record(t), dry.record(t)
				for i, image := range record.Regions[0].Images {
					was := announced[image.ImageID]
					planned := plan.Regions[0].Images[i]
					if planned.Verdict != image.Verdict || planned.DueOn != image.DueOn {
						t.Errorf("day %d: planned %+v, done %+v", day, planned, image)
					}
					switch {
					case image.Outcome == nil && image.DueOn != "" && was != "" && image.DueOn != was:
						t.Errorf("day %d: %s was due on %s, is due on %s", day, image.ImageID, was, image.DueOn)
					case image.Outcome == nil:
					case image.Outcome.Status == "marked":
						announced[image.ImageID] = image.DueOn
					case image.Outcome.Status == "deregistered":
						// Rows of the sample account may come with an announcement of their own.
						if was != "" && was > at[:10] {
							t.Errorf("day %d: %s goes, and is due on %s", day, image.ImageID, was)
						}
						delete(announced, image.ImageID)
					default:
						t.Errorf("day %d: %+v", day, image)
					}
				}
				if day == 0 && record.Totals.Marked < 20 || day == 1 && record.Totals.Marked > 0 || day == 14 && record.Totals.Deregistered < 20 {
					t.Errorf("day %d: %+v", day, record.Totals)
				}
				dir = next
			}
			// By then all that was announced first is gone.
			for id, due := range announced {
				if due <= "2026-12-07" {
					t.Errorf("%s was due on %s, and is still there", id, due)
				}
			}
		})
	}
}

// A keep list that cannot be read ends every command with status 1 before anything is changed.
func TestAKeepListThatIsGone(t *testing.T) {
	for _, command := range [][]string{{"plan"}, {"sweep", "--yes"}, {"sweep", "--yes", "--grace=14d"}} {
		account := serving(t, asItIs)
		got := cli(t, []string{"KEEP_LIST=/no/such/file"}, append(command, "--output=json", "--regions=us-east-1,eu-west-1")...)
		record := got.record(t)
		if got.status != 1 || writes(account) > 0 || janitor.Err(record) == nil || record.FailedRegions() != 2 || record.Totals.Images != 0 {
			t.Errorf("%v: %d, %+v", command, got.status, record.Regions)
		}
	}
}
