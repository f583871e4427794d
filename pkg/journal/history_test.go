package journal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// past is a moment at which the runs of yesterday and before are long over.
var past = now.AddDate(0, 0, -3)

// leave lets a run do something and be killed: its lock expires, unless it is closed.
func leave(t *testing.T, j *journal.Journal, run string, do func(ctx context.Context, e *journal.Session) error, declared ...journal.Declared) {
	t.Helper()
	e := begin(t, j, run, past, declared...)
	must(t, do(t.Context(), e), e.Close(t.Context(), false))
}

func idle(context.Context, *journal.Session) error { return nil }

// did makes a function of steps for leave.
func did(steps ...func(context.Context, *journal.Session) error) func(context.Context, *journal.Session) error {
	return func(ctx context.Context, e *journal.Session) error {
		for _, step := range steps {
			if err := step(ctx, e); err != nil {
				return err
			}
		}
		return nil
	}
}

func attempt(n int, snapshots ...int) func(context.Context, *journal.Session) error {
	return func(ctx context.Context, e *journal.Session) error { return e.Attempt(ctx, declare(n, snapshots...)) }
}

func settle(n int, status ami.Status, results ...ami.SnapshotResult) func(context.Context, *journal.Session) error {
	return func(ctx context.Context, e *journal.Session) error {
		return e.Settle(ctx, outcome(n, status, results...))
	}
}

// refuse settles an image that EC2 refused to remove.
func refuse(n int, why string) func(context.Context, *journal.Session) error {
	return func(ctx context.Context, e *journal.Session) error {
		refused := outcome(n, ami.Failed)
		refused.Error, refused.Refused = why, true
		return e.Settle(ctx, refused)
	}
}

// left is what the history says about an image that a run did not remove.
func left(run, why string, byEC2 bool) ami.Refusal {
	begun, _ := time.Parse("20060102T150405Z", strings.TrimSuffix(run, "-0a1b2c"))
	return ami.Refusal{Run: run, At: begun, Error: why, ByEC2: byEC2}
}

func finish(ctx context.Context, e *journal.Session) error { return e.Close(ctx, true) }

func ids[V any](pairs ...V) []V { return pairs }

func leftover(run string, imageNumber, snapshotNumber int) ami.Leftover {
	return ami.Leftover{Run: run, ImageID: image(imageNumber), SnapshotID: snapshot(snapshotNumber)}
}

func TestHistory(t *testing.T) {
	deleted, kept, failed := ami.SnapshotDeleted, ami.SnapshotKept, ami.SnapshotFailed
	for name, test := range map[string]struct {
		past    func(t *testing.T, j *journal.Journal)
		present []string
		want    ami.History
	}{
		"nothing": {
			past:    func(*testing.T, *journal.Journal) {},
			present: ids(image(1)),
		},
		"an_image_that_was_deregistered_is_gone": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, deleted)), finish), declare(1, 1))
			},
			present: ids(image(2)),
		},
		"an_image_that_was_deregistered_is_there_again": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, deleted)), finish), declare(1, 1))
			},
			present: ids(image(1), image(2)),
			want:    ami.History{Removed: map[string]string{image(1): first}},
		},
		"and_the_run_is_unfinished": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, failed))), declare(1, 1))
			},
			present: ids(image(1)),
			want:    ami.History{Removed: map[string]string{image(1): first}, Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"nobody_knows_and_the_image_is_there": {
			past:    func(t *testing.T, j *journal.Journal) { leave(t, j, first, attempt(1, 1), declare(1, 1)) },
			present: ids(image(1)),
			want:    ami.History{Removed: map[string]string{image(1): first}, Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"nobody_knows_and_the_image_is_gone": {
			past: func(t *testing.T, j *journal.Journal) { leave(t, j, first, attempt(1, 1, 2), declare(1, 1, 2)) },
			want: ami.History{Leftovers: ids(leftover(first, 1, 1), leftover(first, 1, 2)), Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"fewer_snapshots_were_to_go_in_the_end": {
			past: func(t *testing.T, j *journal.Journal) { leave(t, j, first, attempt(1, 2), declare(1, 1, 2)) },
			want: ami.History{Leftovers: ids(leftover(first, 1, 2)), Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"and_that_is_known_after_it_was_settled": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 2), settle(1, ami.Deregistered)), declare(1, 1, 2))
			},
			want: ami.History{Leftovers: ids(leftover(first, 1, 2)), Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"nothing_was_begun": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, idle, declare(1, 1, 2), declare(2), declare(3, 3))
			},
			present: ids(image(1), image(2)),
			want: ami.History{
				NotAttempted: map[string][]string{
					image(1): {first}, snapshot(1): {first}, snapshot(2): {first}, image(2): {first},
					// Somebody else has deregistered it, and the snapshot is theirs.
					image(3): {first}, snapshot(3): {first},
				},
				Planned: map[string][]string{first: {image(1), image(2), image(3)}}, Unfinished: ids(first),
			},
		},
		"what_failed_or_was_skipped_was_not_removed": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Failed, result(1, kept)), settle(2, ami.Skipped)), declare(1, 1), declare(2, 2))
			},
			present: ids(image(1), image(2)),
			want: ami.History{
				Refused:      map[string]ami.Refusal{image(1): left(first, "", false), image(2): left(first, "", false)},
				NotAttempted: map[string][]string{image(1): {first}, snapshot(1): {first}, image(2): {first}, snapshot(2): {first}},
				Planned:      map[string][]string{first: {image(1), image(2)}}, Unfinished: ids(first),
			},
		},
		"by_a_run_that_is_finished": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Failed), finish), declare(1, 1))
			},
			present: ids(image(1)),
			want:    ami.History{Refused: map[string]ami.Refusal{image(1): left(first, "", false)}},
		},
		"what_EC2_has_refused": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), refuse(1, "AuthFailure: not yours"), refuse(2, "UnauthorizedOperation"), finish), declare(1, 1), declare(2, 2))
			},
			present: ids(image(1), image(3)),
			want:    ami.History{Refused: map[string]ami.Refusal{image(1): left(first, "AuthFailure: not yours", true)}},
		},
		"a_refusal_is_forgotten_when_the_next_one_is_none": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1), refuse(1, "AuthFailure"), attempt(2), refuse(2, "AuthFailure"), finish), declare(1), declare(2))
				leave(t, j, second, did(attempt(1), settle(1, ami.Deregistered), attempt(2), finish), declare(1), declare(2))
			},
			present: ids(image(1), image(2)),
			want:    ami.History{Removed: map[string]string{image(1): second, image(2): second}},
		},
		"a_refusal_of_an_image_that_was_there_again": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1), settle(1, ami.Deregistered), finish), declare(1))
				leave(t, j, second, did(refuse(1, "AuthFailure"), finish), declare(1))
			},
			present: ids(image(1)),
			want:    ami.History{Refused: map[string]ami.Refusal{image(1): left(second, "AuthFailure", true)}},
		},
		"the_last_word_on_a_refusal_counts": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), refuse(1, "AuthFailure"), settle(1, ami.Failed)), declare(1, 1))
			},
			present: ids(image(1)),
			want: ami.History{
				Refused:      map[string]ami.Refusal{image(1): left(first, "", false)},
				NotAttempted: map[string][]string{image(1): {first}, snapshot(1): {first}}, Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first),
			},
		},
		"what_EC2_has_refused_and_is_gone_leaves_nothing": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(refuse(1, "UnauthorizedOperation")), declare(1, 1))
			},
			want: ami.History{
				NotAttempted: map[string][]string{image(1): {first}, snapshot(1): {first}}, Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first),
			},
		},
		"what_failed_and_is_gone_was_removed_by_somebody_else": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Failed), settle(2, ami.Skipped)), declare(1, 1), declare(2, 2))
			},
			want: ami.History{
				NotAttempted: map[string][]string{image(1): {first}, snapshot(1): {first}, image(2): {first}, snapshot(2): {first}},
				Planned:      map[string][]string{first: {image(1), image(2)}}, Unfinished: ids(first),
			},
		},
		"snapshots_in_every_state": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1, 2, 3, 4), settle(1, ami.Deregistered,
					result(1, deleted), result(2, kept), result(3, failed), result(5, failed))), declare(1, 1, 2, 3, 4))
			},
			want: ami.History{Leftovers: ids(leftover(first, 1, 3), leftover(first, 1, 4)), Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"the_last_word_counts": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, failed)),
					settle(1, ami.Deregistered, result(1, deleted))), declare(1, 1))
			},
			want: ami.History{Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"of_a_finished_run_nothing_is_left": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, failed)), finish), declare(1, 1))
			},
		},
		"a_run_that_was_finished_by_another": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, attempt(1, 1), declare(1, 1), declare(2, 2))
				must(t, j.ClearUnfinished(t.Context(), region, first), j.ClearUnfinished(t.Context(), region, first))
			},
			present: ids(image(1), image(2)),
			want:    ami.History{Removed: map[string]string{image(1): first}},
		},
		"a_leftover_that_another_run_has_deleted": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1, 2), settle(1, ami.Deregistered)), declare(1, 1, 2))
				leave(t, j, second, did(func(ctx context.Context, e *journal.Session) error {
					return e.SettleLeftover(ctx, leftover(first, 1, 1))
				}, finish))
			},
			want: ami.History{Leftovers: ids(leftover(first, 1, 2)), Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"that_says_nothing_of_the_image": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1, 2), settle(1, ami.Deregistered)), declare(1, 1, 2))
				leave(t, j, second, did(func(ctx context.Context, e *journal.Session) error {
					return e.SettleLeftover(ctx, leftover(first, 1, 1))
				}, finish))
			},
			present: ids(image(1)),
			want:    ami.History{Removed: map[string]string{image(1): first}, Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"two_unfinished_runs": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, second, attempt(2, 2), declare(2, 2), declare(3, 3))
				leave(t, j, first, attempt(1, 1), declare(1, 1), declare(4, 4))
			},
			present: ids(image(3), image(4)),
			want: ami.History{
				NotAttempted: map[string][]string{image(3): {second}, snapshot(3): {second}, image(4): {first}, snapshot(4): {first}},
				Leftovers:    ids(leftover(first, 1, 1), leftover(second, 2, 2)),
				Planned:      map[string][]string{first: {image(1), image(4)}, second: {image(2), image(3)}}, Unfinished: ids(first, second),
			},
		},
		"the_later_run_counts_removed": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, second, did(attempt(1), settle(1, ami.Deregistered), finish), declare(1))
				leave(t, j, first, did(attempt(1), settle(1, ami.Deregistered), finish), declare(1))
			},
			present: ids(image(1)),
			want:    ami.History{Removed: map[string]string{image(1): second}},
		},
		"the_later_run_counts_failed": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1), settle(1, ami.Deregistered), finish), declare(1))
				leave(t, j, second, did(attempt(1), settle(1, ami.Failed), finish), declare(1))
			},
			present: ids(image(1)),
			want:    ami.History{Refused: map[string]ami.Refusal{image(1): left(second, "", false)}},
		},
		"the_later_run_counts_declared": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, idle, declare(1, 1))
				leave(t, j, second, attempt(1, 1), declare(1, 1))
			},
			present: ids(image(1)),
			want:    ami.History{Removed: map[string]string{image(1): second}, Planned: map[string][]string{first: {image(1)}, second: {image(1)}}, Unfinished: ids(first, second)},
		},
		"two_runs_not_attempted": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, idle, declare(1, 1))
				leave(t, j, second, idle, declare(1, 1))
			},
			present: ids(image(1)),
			want:    ami.History{NotAttempted: map[string][]string{image(1): {first, second}, snapshot(1): {first, second}}, Planned: map[string][]string{first: {image(1)}, second: {image(1)}}, Unfinished: ids(first, second)},
		},
		"the_later_run_counts_gone": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, failed))), declare(1, 1))
				leave(t, j, second, did(attempt(1, 1), settle(1, ami.Deregistered, result(1, deleted)), finish), declare(1, 1))
			},
			want: ami.History{Planned: map[string][]string{first: {image(1)}}, Unfinished: ids(first)},
		},
		"the_own_run_is_left_out": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, third, did(attempt(1, 1), settle(2, ami.Deregistered)), declare(1, 1), declare(2, 2), declare(3, 3))
				leave(t, j, first, did(attempt(2), settle(2, ami.Deregistered), finish), declare(2))
				begin(t, j, third, now) // And works.
			},
			present: ids(image(2), image(3)),
			want:    ami.History{Removed: map[string]string{image(2): first}},
		},
		"of_a_run_at_work_nothing_else_is_said": {
			past: func(t *testing.T, j *journal.Journal) {
				leave(t, j, first, did(attempt(1), settle(1, ami.Deregistered), attempt(4, 4)), declare(1), declare(4, 4))
				must(t, did(attempt(1, 1), attempt(2, 2))(t.Context(), begin(t, j, second, now.Add(-lease), declare(1, 1), declare(2, 2), declare(3, 3))))
			},
			present: ids(image(1), image(3)),
			want:    ami.History{Removed: map[string]string{image(1): first}, Leftovers: ids(leftover(first, 4, 4)), Planned: map[string][]string{first: {image(1), image(4)}}, Unfinished: ids(first), Busy: second},
		},
		"a_run_whose_lock_has_run_out": {
			past: func(t *testing.T, j *journal.Journal) {
				must(t, did(attempt(1, 1), attempt(2, 2))(t.Context(), begin(t, j, second, now.Add(-lease-time.Second), declare(1, 1), declare(2, 2), declare(3, 3))))
			},
			present: ids(image(1), image(3)),
			want: ami.History{
				Removed: map[string]string{image(1): second}, NotAttempted: map[string][]string{image(3): {second}, snapshot(3): {second}},
				Leftovers: ids(leftover(second, 2, 2)), Planned: map[string][]string{second: {image(1), image(2), image(3)}}, Unfinished: ids(second),
			},
		},
		"other_regions": {
			past: func(t *testing.T, j *journal.Journal) {
				for _, other := range []string{"us-east-1", "eu-west-10", "eu-west-1a"} {
					e, err := j.Start(t.Context(), other, first, account, now, []journal.Declared{declare(1, 1), declare(2, 2)})
					must(t, err, e.Attempt(t.Context(), declare(1, 1)))
				}
			},
			present: ids(image(1)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, func(t *testing.T, j *journal.Journal) {
				test.past(t, j)
				for range 2 { // Reading changes nothing.
					equal(t, "history", history(t, j, third, now, only(test.present...)), test.want)
				}
			})
		})
	}
}

// An unreadable document is not an empty history: the error names the document.
func TestDocumentsThatCannotBeRead(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		leave(t, j, first, did(attempt(1, 1), settle(1, ami.Deregistered)), declare(1, 1), declare(2, 2))
		plan, entry := "runs/"+first+"/plan-"+region+".json", "removals/"+region+"/"+image(1)+"/"+first+".json"
		for _, key := range []string{plan, entry} {
			good, err := j.Content(t.Context(), key)
			must(t, err)
			for name, content := range map[string]string{
				"empty": "", "half": good[:len(good)/2], "null": "null", "nothing": "{}", "a_list": "[]", "a_site": "<!DOCTYPE html><html></html>",
				"another_run":    strings.ReplaceAll(good, first, second),
				"another_region": strings.ReplaceAll(good, region, "us-east-1"),
				"another_image":  strings.Replace(good, image(1), strings.TrimPrefix(image(1), "ami-"), 1),
				"one_and_a_half": good + good[:len(good)/2],
				"twice":          strings.Replace(good, image(2), image(1), 1),
				"no_list":        strings.Replace(good, `"declared"`, `"undeclared"`, 1),
				"another_status": strings.Replace(good, "deregistered", "unknown", 1),
				"no_status":      strings.Replace(good, `"status"`, `"state"`, 1),
				"no_snapshot":    strings.Replace(good, snapshot(1), "vol-0123456789example", 1),
			} {
				if content == good {
					continue
				}
				must(t, j.Put(t.Context(), key, content))
				for _, present := range []func(string) bool{only(), only(image(1), image(2))} {
					h, err := j.History(t.Context(), region, second, now, present)
					if err == nil {
						t.Errorf("%s %s: %+v", key, name, h)
						continue
					}
					says(t, err, key[strings.LastIndex(key, "/")+1:], "not what a run wrote")
				}
			}
			must(t, j.Put(t.Context(), key, strings.Replace(good, "{", `{"of a later version": [1, {"a": null}],`, 1)))
			history(t, j, second, now, only(image(1)))
			must(t, j.Put(t.Context(), key, good))
		}
		must(t, j.Remove(t.Context(), plan))
		_, err := j.History(t.Context(), region, second, now, only())
		says(t, err, "unfinished/"+region+"/"+first, plan, "remove")
	})
}

func TestWhatIsNotDeclaredIsNotAttempted(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		_, err := j.Start(t.Context(), region, first, account, now, []journal.Declared{declare(1), declare(1, 2)})
		says(t, err, image(1), "twice")
		e := begin(t, j, first, now, declare(1, 1))
		says(t, e.Attempt(t.Context(), declare(2)), image(2))
		says(t, e.Attempt(t.Context(), declare(1, 2)), image(1), snapshot(2))
		for _, status := range []ami.Status{"", ami.Marked, "attempted ", "deleted"} {
			if e.Settle(t.Context(), outcome(1, status)) == nil {
				t.Errorf("%q is settled", status)
			}
		}
		if e.Settle(t.Context(), ami.Outcome{ImageID: "../x", Status: ami.Failed}) == nil {
			t.Error("what is no image is settled")
		}
		for _, l := range []ami.Leftover{{}, leftover("x", 1, 1), {Run: first, ImageID: "x", SnapshotID: snapshot(1)}, {Run: first, ImageID: image(1), SnapshotID: "../x"}} {
			if e.SettleLeftover(t.Context(), l) == nil {
				t.Errorf("%+v is settled", l)
			}
		}
	})
}

// Before a run starts, its declarations are stored: the lock first, then the plan, then the
// unfinished marker.
func TestOrder(t *testing.T) {
	inEach(t, func(t *testing.T, plain *journal.Journal) {
		var calls []string
		j := plain.Interrupt(func(call string, isDone bool) error {
			if isDone && !strings.HasPrefix(call, "get") {
				calls = append(calls, call)
			}
			return nil
		})
		e := begin(t, j, first, now, declare(1, 1))
		must(t, attempt(1, 1)(t.Context(), e), settle(1, ami.Failed)(t.Context(), e), e.Renew(t.Context(), now), e.Close(t.Context(), true))
		entry := "put removals/eu-west-1/" + image(1) + "/" + first + ".json"
		equal(t, "calls", calls, []string{
			"create account.json", "create locks/eu-west-1.json", "put runs/" + first + "/plan-eu-west-1.json", "put unfinished/eu-west-1/" + first,
			entry, entry, "replace locks/eu-west-1.json", "remove unfinished/eu-west-1/" + first, "replace locks/eu-west-1.json",
		})
	})
}

// Attempts and outcomes come from several goroutines.
func TestConcurrentUse(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		const images = 40
		var all []journal.Declared
		for i := range images {
			all = append(all, declare(i, i))
		}
		e := begin(t, j, first, past, all...)
		var group sync.WaitGroup
		errs := make([]error, images)
		for i := range images {
			group.Go(func() {
				errs[i] = errors.Join(e.Attempt(t.Context(), declare(i, i)), e.Renew(t.Context(), past.Add(time.Duration(i)*time.Second)),
					e.Settle(t.Context(), outcome(i, ami.Deregistered, result(i, ami.SnapshotFailed))))
			})
		}
		group.Wait()
		must(t, errs...)
		must(t, e.Close(t.Context(), false))
		h := history(t, j, second, now, func(id string) bool { return id < image(images/2) })
		if len(h.Leftovers) != images/2 || len(h.Removed) != images/2 {
			t.Errorf("%d leftovers, %d removed", len(h.Leftovers), len(h.Removed))
		}
	})
}

// world is a region's account, as far as the journal is concerned.
type world struct{ images, snapshots map[string]bool }

func (w *world) has(id string) bool { return w.images[id] }

// killed is a run that is killed at one of its steps: the calls of its journal, each before and
// after it takes effect, and its own changes of the account.
type killed struct {
	world
	step, at int
	noted    map[string]bool // The images whose removal was noted as about to be tried.
	tried    map[string]bool // Those whose removal was tried.
	tags     bool            // The run may tag the image whose removal it announces.
}

var errKilled = errors.New("killed")

func (k *killed) next() error {
	k.step++
	if k.step >= k.at {
		return errKilled
	}
	return nil
}

// run carries out a removal of three images, as pkg/sweep does: one goes with its two snapshots,
// one snapshot of the second fails to be deleted, and the third one's deregistration is refused.
// The removal of a fourth one is announced.
func (k *killed) run(j *journal.Journal, plans ...journal.Declared) error {
	ctx := context.Background()
	intent := ofTeam("team-a", announce(4, "disable"))
	intent.Declared = plans
	e, err := intend(j.Interrupt(func(string, bool) error { return k.next() }), region, first, past, intent)
	if err != nil {
		return err
	}
	k.tags = true
	for i, d := range plans {
		k.noted[d.ImageID] = true
		if err := e.Attempt(ctx, d); err != nil {
			return err
		}
		if err := k.next(); err != nil {
			return err
		}
		k.tried[d.ImageID] = true
		o := ami.Outcome{ImageID: d.ImageID, Status: ami.Failed}
		if i != 2 {
			delete(k.images, d.ImageID)
			o.Status = ami.Deregistered
		}
		for n, id := range d.Snapshots {
			if err := k.next(); err != nil {
				return err
			}
			status := ami.SnapshotFailed
			switch {
			case i == 2:
				status = ami.SnapshotKept
			case i == 0 || n == 1:
				delete(k.snapshots, id)
				status = ami.SnapshotDeleted
			}
			o.Snapshots = append(o.Snapshots, ami.SnapshotResult{SnapshotID: id, Status: status})
		}
		if err := e.Settle(ctx, o); err != nil {
			return err
		}
	}
	return e.Close(ctx, false)
}

// A run may be killed at any moment. The next one finds every snapshot that it left and every image
// that it removed, and nothing else; once it has finished these, nothing is left to say.
func TestKilledAtEveryCall(t *testing.T) {
	for kind, create := range stores {
		t.Run(kind, func(t *testing.T) {
			create(t) // Or skip all of it.
			isDone := false
			for at := 1; !isDone && !t.Failed(); at++ {
				t.Run(fmt.Sprint(at), func(t *testing.T) { isDone = kill(t, create(t), at) })
				if isDone && at < 30 || at > 100 {
					t.Errorf("%d steps", at)
				}
			}
		})
	}
}

// kill ends a run at one of its steps, and reports whether it was done before.
func kill(t *testing.T, j *journal.Journal, at int) (isDone bool) {
	plans := []journal.Declared{declare(1, 11, 12), declare(2, 21, 22), declare(3, 31)}
	k := &killed{world: world{map[string]bool{}, map[string]bool{}}, at: at, noted: map[string]bool{}, tried: map[string]bool{}}
	for _, d := range plans {
		k.images[d.ImageID] = true
		for _, id := range d.Snapshots {
			k.snapshots[id] = true
		}
	}
	err := k.run(j, plans...)
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}

	asked, failed := announced(j, map[string]string{image(4): first})
	must(t, failed)
	if a, ok := asked[image(4)]; ok != (a == ami.Announcement{Run: first, Policy: "team-a", Due: due, Action: "disable"}) || k.tags && !ok {
		t.Errorf("the announcement is %+v, and the run may have tagged the image: %t", asked, k.tags)
	}

	h := history(t, j, second, now, k.has)
	hasBegun := len(h.Unfinished) > 0
	if len(k.tried) > 0 && !hasBegun {
		t.Fatal("something was tried by a run of which nothing is known")
	}
	left := map[string]bool{}
	for _, l := range h.Leftovers {
		left[l.SnapshotID] = true
		if k.has(l.ImageID) || l.Run != first {
			t.Errorf("%+v is left by an image that is there", l)
		}
	}
	for _, d := range plans {
		for _, id := range append([]string{d.ImageID}, d.Snapshots...) {
			switch {
			case !k.has(d.ImageID) && k.snapshots[id] && !left[id]:
				t.Errorf("%s is an orphan that nobody knows of", id)
			case k.has(d.ImageID) && hasBegun && len(h.NotAttempted[id]) == 0 && h.Removed[d.ImageID] == "":
				t.Errorf("%s: nothing is said of it", id)
			case k.has(d.ImageID) && hasBegun && !k.noted[d.ImageID] && h.Removed[d.ImageID] != "" && len(h.NotAttempted[id]) > 0:
				t.Errorf("%s: two things are said of it", id)
			}
		}
	}

	// A person brings everything back.
	back := history(t, j, second, now, func(string) bool { return true })
	for _, d := range plans {
		if !k.has(d.ImageID) && back.Removed[d.ImageID] != first {
			t.Errorf("%s was removed and is there again, and nobody knows", d.ImageID)
		}
	}
	if len(back.Leftovers) > 0 {
		t.Errorf("left: %v", back.Leftovers)
	}

	// The next run finishes it.
	e := begin(t, j, second, now)
	for _, l := range h.Leftovers {
		delete(k.snapshots, l.SnapshotID)
		must(t, e.SettleLeftover(t.Context(), l))
	}
	for _, run := range h.Unfinished {
		equal(t, "leftovers", history(t, j, third, now, k.has).Leftovers, []ami.Leftover(nil))
		must(t, j.ClearUnfinished(t.Context(), region, run))
	}
	must(t, e.Close(t.Context(), true))
	end := history(t, j, third, now, k.has)
	for id := range end.Removed {
		if !k.noted[id] {
			t.Errorf("%s is there, and said to have been removed", id)
		}
	}
	equal(t, "the end", end, ami.History{Removed: end.Removed, Refused: end.Refused})
	for id := range end.Refused {
		if !k.has(id) || end.Removed[id] != "" {
			t.Errorf("%s is gone, or may be, and said to have been refused", id)
		}
	}
	for _, d := range plans {
		for _, id := range d.Snapshots {
			if !k.has(d.ImageID) && k.snapshots[id] {
				t.Errorf("%s is an orphan: %v", id, slices.Sorted(maps.Keys(k.snapshots)))
			}
		}
	}
	return err == nil
}
