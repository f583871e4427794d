package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// saved makes a plan of an account that is served, and returns its file and record.
func saved(t *testing.T, args ...string) (string, record.Run) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.json")
	got := cli(t, nil, slices.Concat([]string{"plan", "--output=json", "--out", path}, args)...)
	run := got.record(t)
	if got.status != ofSample || !strings.Contains(got.err, "ami-janitor sweep "+path) {
		t.Fatalf("%+v", got)
	}
	return path, run
}

// actions are the images that a run deregisters, announces or takes back, and the snapshots that it
// deletes.
func actions(run record.Run) map[string]bool {
	done := map[string]bool{}
	for _, region := range run.Regions {
		for _, i := range region.Images {
			if i.Removed() || i.Marked() || i.Planned() || i.ToBeMarked() {
				done[region.Region+" "+string(i.Verdict)+" "+i.ImageID] = true
				for _, s := range i.Snapshots {
					if s.Verdict == record.DeleteSnapshot {
						done[region.Region+" deletes "+s.SnapshotID] = true
					}
				}
			}
			if i.Unmark != retention.LeaveMark {
				done[region.Region+" takes back "+i.ImageID] = true
			}
		}
		for _, l := range region.Leftovers {
			if l.Verdict == record.DeleteSnapshot {
				done[region.Region+" deletes "+l.SnapshotID] = true
			}
		}
	}
	return done
}

// A sweep with a plan does what the plan says, all of it and nothing else.
func TestSweepCarriesOutAPlan(t *testing.T) {
	account := serving(t, asItIs)
	args := []string{"--max-deregistrations=5", "--output=json", "--records=" + t.TempDir()}
	path, planned := saved(t, args...)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || writes(account) > 0 {
		t.Errorf("%v, %v, %d writes", info.Mode(), err, writes(account))
	}
	got := cli(t, nil, append([]string{"sweep", path, "--yes"}, args...)...)
	swept := got.record(t)
	if got.status != ofSample || swept.Totals.Deregistered != 5 || planned.Totals.WouldDeregister != 5 {
		t.Errorf("status %d, %+v", got.status, swept.Totals)
	}
	if did, should := actions(swept), actions(planned); !maps.Equal(did, should) || len(did) < 10 {
		t.Errorf("did %v, approved %v", did, should)
	}
	again := cli(t, nil, append([]string{"sweep", path, "--yes"}, args...)...).record(t)
	if again.Totals.Deregistered != 0 || again.Count(func(i record.Image) bool { return i.MainReason().Code == "not-approved" }) != 5 {
		t.Errorf("the same plan a second time: %+v", again.Totals)
	}
}

// edit changes what a file of a plan says.
func edit(t interface{ Fatal(...any) }, path string, change func(*planFile)) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file planFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	change(&file)
	if text, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the file does not approve stays, is said to stay, and the question is about the rest.
func TestWhatIsNotApprovedStays(t *testing.T) {
	serving(t, asItIs)
	path, planned := saved(t)
	edit(t, path, func(f *planFile) {
		n := 0
		for _, region := range f.Approved.Regions {
			for _, id := range slices.Sorted(maps.Keys(region.Images)) {
				if n++; n > 3 {
					delete(region.Images, id)
				}
			}
		}
	})
	got := cli(t, nil, "sweep", path, "--dry-run", "--output=json").record(t)
	if did := got.Totals.WouldDeregister + got.Count(func(i record.Image) bool { return i.Unmark != retention.LeaveMark }); did != 3 {
		t.Errorf("%d are left to do: %+v", did, got.Totals)
	}
	if planned.Totals.Images != got.Totals.Images {
		t.Errorf("%d images, and then %d", planned.Totals.Images, got.Totals.Images)
	}
	table := cli(t, nil, "sweep", path, "--dry-run", "--output=table").out
	if !strings.Contains(table, "not-approved") {
		t.Errorf("the table does not say so:\n%s", table)
	}
}

// A person who has approved a plan hears which of its images are left alone, and why, before the
// answer and after it.
func TestWhatHasChangedIsSaid(t *testing.T) {
	account := serving(t, asItIs)
	args := []string{"--max-deregistrations=5", "--records=" + t.TempDir()}
	path, planned := saved(t, args...)
	var image record.Image
	planned.Each(record.Image.Planned, func(_ record.Region, i record.Image) { image = i })
	if got := cli(t, nil, "keep", image.ImageID, "--reason=legal hold"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	want := "1 of 5 approved images has changed since, and is left alone: " + image.Name + " (keep-tag)."
	for _, answer := range []struct {
		typed, ends string
		status      int
	}{{"no\n", "Nothing was changed.", exitDeclined}, {"yes\n", "Removed 4 images", ofSample}} {
		term := newTerminal(t, helpWidth)
		if got := <-term.start(t.Context(), answer.typed, append([]string{"sweep", path}, args...)...); got != answer.status {
			t.Fatalf("%q: status %d", answer.typed, got)
		}
		term.await(t, answer.ends)
		asked, _, _ := strings.Cut(strings.Join(strings.Fields(term.text()), " "), "Type yes")
		if !strings.Contains(asked, want+" Deregister 4 images") {
			t.Errorf("%q is not in the question: %s", want, asked)
		}
	}
	if writes(account) == 0 {
		t.Error("nothing was removed")
	}
	again := cli(t, nil, append([]string{"sweep", path, "--yes"}, args...)...)
	if says := "ami-janitor: 5 of 5 approved images have changed since, and are left alone: "; !strings.Contains(again.err, says) || !strings.Contains(again.err, "(gone)") ||
		!strings.Contains(again.err, " and 2 more.") {
		t.Errorf("%q is not in %q", says, again.err)
	}
}

// A file that was made for something else, or by nobody, changes nothing.
func TestAPlanForSomethingElse(t *testing.T) {
	account := serving(t, asItIs)
	for name, test := range map[string]struct {
		change func(*planFile)
		args   []string
		says   string
	}{
		"another account":       {func(f *planFile) { f.Approved.Account = "111122223333" }, nil, "account"},
		"another region":        {func(f *planFile) { f.Regions = []string{"eu-west-1"} }, nil, "made for eu-west-1"},
		"more regions":          {nil, []string{"--regions=us-east-1,eu-west-1"}, "made for us-east-1, and this sweep is of eu-west-1, us-east-1"},
		"another limit":         {nil, []string{"--stale-after=90d"}, `--stale-after was "180d" and is "90d"`},
		"other sources":         {nil, []string{"--usage-sources=references"}, "--usage-sources was"},
		"another sentence":      {func(f *planFile) { f.PolicySentence = "Everything goes." }, nil, "another version"},
		"a setting of tomorrow": {func(f *planFile) { f.Policy["mercy"] = "none" }, nil, "another version"},
		"a setting that lacks":  {func(f *planFile) { delete(f.Policy, "grace") }, nil, "--grace was"},
		"last week's":           {func(f *planFile) { f.MadeAt = f.MadeAt.Add(-7*24*time.Hour - time.Minute) }, nil, "good for seven days"},
		"tomorrow's":            {func(f *planFile) { f.MadeAt = f.MadeAt.Add(24 * time.Hour) }, nil, "not come yet"},
		"no date":               {func(f *planFile) { f.MadeAt = time.Time{} }, nil, "good for seven days"},
		"another format":        {func(f *planFile) { f.Format = "terraform plan" }, nil, "no plan"},
		"another version":       {func(f *planFile) { f.Version = 2 }, nil, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := saved(t)
			if test.change != nil {
				edit(t, path, test.change)
			}
			got := cli(t, nil, slices.Concat([]string{"sweep", path, "--yes"}, test.args)...)
			if got.status != exitUsage || got.out != "" || writes(account) > 0 || !strings.Contains(got.err, test.says) || !strings.Contains(got.err, "nothing was changed") {
				t.Errorf("%+v, %d writes", got, writes(account))
			}
		})
	}
	good, _ := saved(t)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "", "no JSON": "yes", "cut": string(text[:len(text)/2]), "two": string(text) + string(text), "null": "null", "a list": "[]",
		"an unknown field": strings.Replace(string(text), "{", `{"force": true,`, 1), "too large": string(text) + strings.Repeat(" ", planFileSize),
		"wrong types": strings.Replace(string(text), `"regions": [`, `"regions": [1,`, 1),
	} {
		path := filepath.Join(t.TempDir(), "plan.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cli(t, nil, "sweep", path, "--yes"); got.status != exitUsage || writes(account) > 0 || !strings.Contains(got.err, path) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := cli(t, nil, "sweep", filepath.Join(t.TempDir(), "none"), "--yes"); got.status != exitUsage || writes(account) > 0 {
		t.Errorf("%+v", got)
	}
}

// Whatever somebody writes into the file, a sweep with it does no more than one without.
func TestAForgedPlanAddsNothing(t *testing.T) {
	serving(t, asItIs)
	args := []string{"--max-deregistrations=10", "--output=json", "--dry-run"}
	path, _ := saved(t, "--max-deregistrations=10")
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	without := cli(t, nil, append([]string{"sweep"}, args...)...).record(t)
	allowed := actions(without)
	var everything []record.Image
	without.Each(func(record.Image) bool { return true }, func(_ record.Region, i record.Image) { everything = append(everything, i) })
	rapid.Check(t, func(rt *rapid.T) {
		if err := os.WriteFile(path, original, 0o600); err != nil {
			rt.Fatal(err)
		}
		edit(rt, path, func(f *planFile) {
			images := f.Approved.Regions["us-east-1"].Images
			facts := ""
			for _, id := range slices.Sorted(maps.Keys(images)) {
				facts = images[id].Facts
				if rapid.Bool().Draw(rt, "drop") {
					delete(images, id)
				}
			}
			for range rapid.IntRange(0, 20).Draw(rt, "forged") {
				i := rapid.SampledFrom(everything).Draw(rt, "image")
				forged := retention.ApprovedImage{Decision: rapid.SampledFrom([]retention.Decision{"deregister", "mark", "keep"}).Draw(rt, "decision"), Facts: facts}
				if known, ok := images[i.ImageID]; ok {
					forged.Facts = known.Facts
				}
				for _, s := range i.Snapshots {
					forged.Snapshots = append(forged.Snapshots, s.SnapshotID)
				}
				images[i.ImageID] = forged
			}
		})
		for action := range actions(cli(t, nil, append([]string{"sweep", path}, args...)...).record(t)) {
			if !allowed[action] {
				rt.Errorf("%s, which a sweep without the file does not do", action)
			}
		}
	})
}

// A plan that cannot be kept is no plan, nor is one of a run that failed.
func TestAPlanThatCannotBeKept(t *testing.T) {
	serving(t, asItIs)
	got := cli(t, nil, "plan", "--out", filepath.Join(t.TempDir(), "no", "such", "directory"))
	if got.status != exitUsage || !strings.Contains(got.err, "--out") {
		t.Errorf("%+v", got)
	}
	serving(t, denying("GetCallerIdentity"))
	path := filepath.Join(t.TempDir(), "plan.json")
	if got := cli(t, nil, "plan", "--out", path); got.status != exitRegionFailed {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a run that failed has left a plan")
	}
}
