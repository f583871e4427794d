package journal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// due is when the grace period ends in these tests: in the middle of a night.
var due = time.Date(2026, 12, 7, 2, 3, 4, 0, time.UTC)

// announce is an image whose removal is announced.
func announce(n int, action string) journal.Announced {
	return journal.Announced{ImageID: image(n), Due: due, Action: action}
}

// ofTeam is what a run announces by a policy.
func ofTeam(policy string, all ...journal.Announced) journal.Intent {
	return journal.Intent{Policy: policy, Announced: all}
}

// intend starts a run with a plan.
func intend(j *journal.Journal, in, run string, at time.Time, intent journal.Intent) (*journal.Session, error) {
	v, err := j.Region(context.Background(), in, run, at)
	if err != nil {
		return nil, err
	}
	return v.StartAt(context.Background(), account, at, intent)
}

// mean lets a run start with a plan, and finish.
func mean(t *testing.T, j *journal.Journal, in, run string, intent journal.Intent) {
	t.Helper()
	e, err := intend(j, in, run, past, intent)
	must(t, err, e.Close(t.Context(), true))
}

// announced reads what the journal says about announcements, for the third run.
func announced(j *journal.Journal, announcers map[string]string) (map[string]ami.Announcement, error) {
	v, err := j.Region(context.Background(), region, third, now)
	if err != nil {
		return nil, err
	}
	h, err := v.History(context.Background(), now, only(), announcers, nil)
	return h.Announced, err
}

// listen returns the journal with a list of the calls of its store.
func listen(j *journal.Journal) (*journal.Journal, func() []string) {
	var mu sync.Mutex
	var calls []string
	heard := j.Interrupt(func(call string, isDone bool) error {
		if isDone {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, call)
		}
		return nil
	})
	return heard, func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(calls) // Some reads are made side by side.
		return calls
	}
}

// An announcement counts if the run that the image names wrote down that it was to announce that
// image's removal, in this region.
func TestAnnounced(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		mean(t, j, region, first, ofTeam("team-a", announce(1, "announce"), announce(2, "disable")))
		mean(t, j, region, second, ofTeam("team-b", announce(3, "deprecate"), announce(2, "deprecate")))
		mean(t, j, "us-east-1", first, ofTeam("team-a", announce(4, "announce")))
		mean(t, j, "eu-west-10", first, ofTeam("team-a", announce(4, "announce")))
		mean(t, j, region, third, ofTeam("team-a", announce(5, "announce")))
		ofFirst := func(action string) ami.Announcement {
			return ami.Announcement{Run: first, Policy: "team-a", Due: due, Action: action}
		}
		ofSecond := ami.Announcement{Run: second, Policy: "team-b", Due: due, Action: "deprecate"}
		for name, test := range map[string]struct {
			announcers map[string]string
			want       map[string]ami.Announcement
		}{
			"nothing_is_announced": {nil, nil},
			"by_the_run":           {map[string]string{image(1): first}, map[string]ami.Announcement{image(1): ofFirst("announce")}},
			"by_several_runs": {
				map[string]string{image(1): first, image(2): first, image(3): second},
				map[string]ami.Announcement{image(1): ofFirst("announce"), image(2): ofFirst("disable"), image(3): ofSecond},
			},
			"by_one_run_and_then_another": {map[string]string{image(2): second}, map[string]ami.Announcement{image(2): ofSecond}},
			"another_image":               {map[string]string{image(6): first}, nil},
			"another_image_among_others":  {map[string]string{image(6): first, image(1): first}, map[string]ami.Announcement{image(1): ofFirst("announce")}},
			"another_run":                 {map[string]string{image(1): second, image(3): first}, nil},
			"another_region":              {map[string]string{image(4): first}, nil},
			"a_run_without_a_plan":        {map[string]string{image(1): "20261120T020000Z-0a1b2c"}, nil},
			"the_own_run":                 {map[string]string{image(5): third, image(1): first}, map[string]ami.Announcement{image(1): ofFirst("announce")}},
		} {
			t.Run(name, func(t *testing.T) {
				got, err := announced(j, test.announcers)
				must(t, err)
				equal(t, "announced", got, test.want)
				if got == nil {
					t.Error("it looks as if there were no journal")
				}
			})
		}
	})
}

// The announcements of a run at work, of a killed run, and of a run that also removes images are
// written down too.
func TestWhatAnUnfinishedRunHasAnnounced(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		intent := ofTeam("team-a", announce(1, "announce"))
		intent.Declared = ids(declare(7, 7))
		e, err := intend(j, region, first, past, intent)
		must(t, err, e.Close(t.Context(), false))
		_, err = intend(j, region, second, now, ofTeam("team-b", announce(2, "disable")))
		must(t, err)
		got, err := announced(j, map[string]string{image(1): first, image(2): second, image(7): first})
		must(t, err)
		equal(t, "announced", got, map[string]ami.Announcement{
			image(1): {Run: first, Policy: "team-a", Due: due, Action: "announce"}, image(2): {Run: second, Policy: "team-b", Due: due, Action: "disable"},
		})
		equal(t, "planned", history(t, j, third, now, only()).Planned, map[string][]string{first: {image(7)}})
	})
}

// Before a run may tag anything its plan says what it announces: before it is marked as unfinished,
// and before Start returns.
func TestAnnouncementsAreWrittenDownFirst(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		plan, marker := "runs/"+first+"/plan-"+region+".json", "put unfinished/"+region+"/"+first
		isWritten := func() bool {
			content, err := plain.Content(t.Context(), plan)
			var document struct {
				Policy    string              `json:"policy"`
				Announced []journal.Announced `json:"announced"`
			}
			return err == nil && json.Unmarshal([]byte(content), &document) == nil && document.Policy == "team-a" && len(document.Announced) == 1 &&
				document.Announced[0] == announce(1, "disable")
		}
		noted := false
		j := plain.Interrupt(func(call string, isDone bool) error {
			if call == marker && !isDone {
				if noted = true; !isWritten() {
					t.Error("it is noted as unfinished before its plan is written")
				}
			}
			return nil
		})
		_, err := intend(j, region, first, now, ofTeam("team-a", announce(1, "disable")))
		must(t, err)
		if !noted || !isWritten() {
			t.Errorf("noted %t, written %t", noted, isWritten())
		}

		// Without that plan no run starts, and none may tag.
		j = plain.Interrupt(func(call string, isDone bool) error {
			if strings.HasPrefix(call, "put runs/") && !isDone {
				return errFault
			}
			return nil
		})
		if e, err := intend(j, "us-east-1", second, now, ofTeam("team-a", announce(1, "disable"))); err == nil {
			t.Errorf("%v begins without a plan", e)
		}
	})
}

// Invalid image ids are not announced, and neither is a removal without a due time: anybody could
// change the tag with the day.
func TestWhatCannotBeAnnounced(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		for _, c := range []struct {
			all  []journal.Announced
			says string
		}{
			{ids(announce(1, "announce"), announce(2, "announce"), announce(1, "disable")), image(1) + " is announced twice"},
			{ids(journal.Announced{ImageID: image(1)}), image(1) + " is announced for no day"},
			{ids(journal.Announced{ImageID: "../x", Due: due}), `"../x" is not the id of a image`},
			{ids(journal.Announced{Due: due}), `"" is not the id of a image`},
		} {
			_, err := intend(j, region, first, now, ofTeam("team-a", c.all...))
			says(t, err, c.says)
		}
		equal(t, "what is left", keys(t, j), []string{})
	})
}

// An unreadable plan is an error, and not a plan without announcements.
func TestPlansOfAnnouncementsThatCannotBeRead(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		mean(t, j, region, first, ofTeam("team-a", announce(1, "announce"), announce(2, "disable")))
		plan := "runs/" + first + "/plan-" + region + ".json"
		good, err := j.Content(t.Context(), plan)
		must(t, err)
		asks := map[string]string{image(1): first}
		for name, content := range map[string]string{
			"empty": "", "half": good[:len(good)/2], "null": "null", "nothing": "{}", "a_list": "[]", "a_site": "<!DOCTYPE html><html></html>",
			"another_run":    strings.ReplaceAll(good, first, second),
			"another_region": strings.ReplaceAll(good, region, "us-east-1"),
			"no_image":       strings.Replace(good, image(1), strings.TrimPrefix(image(1), "ami-"), 1),
			"twice":          strings.Replace(good, image(2), image(1), 1),
			"no_day":         strings.Replace(good, due.Format(time.RFC3339), "0001-01-01T00:00:00Z", 1),
			"half_a_day":     strings.Replace(good, due.Format(time.RFC3339), "2026-12-07", 1),
			"nobody_s_day":   strings.Replace(good, `"due"`, `"date"`, 1),
			"no_list":        strings.Replace(good, `"declared"`, `"undeclared"`, 1),
		} {
			if content == good {
				t.Fatalf("%s is good", name)
			}
			must(t, j.Put(t.Context(), plan, content))
			got, err := announced(j, asks)
			if err == nil {
				t.Errorf("%s: %+v", name, got)
				continue
			}
			says(t, err, "plan-"+region+".json", "not what a run wrote")
			if _, err := announced(j, map[string]string{image(1): second}); err != nil {
				t.Errorf("%s: nobody asks for it: %v", name, err)
			}
		}
		must(t, j.Put(t.Context(), plan, strings.Replace(good, "{", `{"of a later version": [1, {"a": null}],`, 1)))
		got, err := announced(j, asks)
		must(t, err)
		if got[image(1)].Run != first {
			t.Errorf("%+v", got)
		}
		must(t, j.Put(t.Context(), plan, good))
		broken := j.Interrupt(func(call string, isDone bool) error {
			if call == "get "+plan && !isDone {
				return errFault
			}
			return nil
		})
		_, err = announced(broken, asks)
		says(t, err, plan)
		must(t, j.Remove(t.Context(), plan))
		got, err = announced(j, asks)
		must(t, err)
		equal(t, "without its plan", got, map[string]ami.Announcement{})
	})
}

// Anybody who may tag can write anything into the tag. Only valid run ids are looked up.
func TestAnnouncersThatAreNoRuns(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		mean(t, plain, region, first, ofTeam("team-a", announce(1, "announce")))
		j, calls := listen(plain)
		_, err := announced(j, nil)
		must(t, err)
		want := slices.Clone(calls())
		for _, run := range []string{
			"", "x", ".", "..", "/", "../" + first, first + "/", first + "/..", first + "/../" + first, first + "/record.json", "./" + first, first + "\x00", first + "\n",
			" " + first, first + " ", first + " team-a", "20261121T020000Z-../../account.json", "20261121T020000Z-..", "20261121T020000Z-", "20261121T020000Z",
			strings.ToUpper(first), "20261121T020000Z-" + strings.Repeat("a", 33), "%2e%2e", strings.Repeat("a", 255),
		} {
			j, calls := listen(plain)
			got, err := announced(j, map[string]string{image(1): run})
			must(t, err)
			equal(t, fmt.Sprintf("announced by %q", run), got, map[string]ami.Announcement{})
			equal(t, fmt.Sprintf("calls for %q", run), calls(), want)
		}
		j, calls = listen(plain)
		_, err = announced(j, map[string]string{image(1): first})
		must(t, err)
		if len(calls()) != len(want)+1 {
			t.Errorf("%q, want one more than %q", calls(), want)
		}
	})
}

// The plan of a run is read once, however many images name the run.
func TestPlansAreReadOnce(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		const images = 600
		all, announcers := map[string][]journal.Announced{}, map[string]string{}
		runs := ids(first, second, "20261120T020000Z-0a1b2c")
		for n := range images {
			run := runs[n%len(runs)]
			all[run] = append(all[run], announce(n, "announce"))
			announcers[image(n)] = run
		}
		for run, some := range all {
			mean(t, plain, region, run, ofTeam("team-a", some...))
		}
		j, calls := listen(plain)
		got, err := announced(j, announcers)
		must(t, err)
		for id, run := range announcers {
			if got[id].Run != run || !got[id].Due.Equal(due) {
				t.Fatalf("%s: %+v, want one of %s", id, got[id], run)
			}
		}
		var plans []string
		for _, call := range calls() {
			if strings.HasPrefix(call, "get runs/") {
				plans = append(plans, call)
			}
		}
		want := ids("get runs/20261120T020000Z-0a1b2c/plan-eu-west-1.json", "get runs/"+first+"/plan-eu-west-1.json", "get runs/"+second+"/plan-eu-west-1.json")
		if len(got) != images || !slices.Equal(plans, want) {
			t.Errorf("%d images; %q, want %q", len(got), plans, want)
		}
	})
}

// A removal document that contradicts the run's plan is not believed at all: its writer may lack
// the permission to delete snapshots.
func TestForgedRemovals(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered)), declare(1, 1), declare(2))
		forge := func(n int, snapshots ...int) {
			document := fmt.Sprintf(`{"run": %q, "region": %q, "imageId": %q, "status": "deregistered", "declaredSnapshotIds": [`, first, region, image(n))
			for i, s := range snapshots {
				if i > 0 {
					document += ", "
				}
				document += fmt.Sprintf("%q", snapshot(s))
			}
			must(t, j.Put(t.Context(), "removals/"+region+"/"+image(n)+"/"+first+".json", document+"]}"))
		}
		forge(1, 1, 9) // More snapshots than planned.
		forge(2, 1, 9) // With another image.
		forge(3, 3, 9) // An image that the run had not planned to remove.
		h := history(t, j, second, now, only())
		equal(t, "leftovers", h.Leftovers, ids(leftover(first, 1, 1)))
		equal(t, "planned", h.Planned, map[string][]string{first: {image(1), image(2)}})
	})
}
