package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

const location = "s3://" + bucket + "/janitor"

type match = func(n int, q emulator.Request) bool

// answer alters the answers to an action that match.
func answer(next emulator.Doer, action string, m match, alter func(*http.Response, []byte) []byte) emulator.Doer {
	var n atomic.Int64
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return nil, err
		}
		response, err := next.Do(r)
		if err != nil || q.Action != action {
			return response, err
		}
		if this := n.Add(1); m != nil && !m(int(this), q) {
			return response, nil
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		body = alter(response, body)
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		response.Header.Del("Content-Length")
		return response, nil
	})
}

// swallow keeps the calls of an action that match from the account.
func swallow(next emulator.Doer, action string, m match) emulator.Doer {
	return disturb.Fail(next, action, func(n int, q emulator.Request) bool { return m == nil || m(n, q) }, 403, "AccessDenied", "Access Denied")
}

// s3Faults are faults of a call. A passing fault that occurs only once is retried without an error.
var s3Faults = map[string]struct {
	passes bool
	strike func(next emulator.Doer, action string, m match) emulator.Doer
}{
	"denied": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Fail(next, action, m, 403, "AccessDenied", "Access Denied")
	}},
	"throttled": {true, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Fail(next, action, m, 503, "SlowDown", "Please reduce your request rate.")
	}},
	"broken": {true, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Fail(next, action, m, 500, "InternalError", "We encountered an internal error. Please try again.")
	}},
	"no_bucket": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Fail(next, action, m, 404, "NoSuchBucket", "The specified bucket does not exist")
	}},
	"elsewhere": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Fail(next, action, m, 301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
	}},
	"lost":    {true, disturb.LoseAnswer},
	"garbled": {false, disturb.Garble},
	"swallowed": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return disturb.Garble(swallow(next, action, m), action, m)
	}},
	"not_found_by_a_proxy": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return answer(next, action, m, func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Header = 404, http.Header{"Content-Type": {"text/html"}}
			return []byte("<html><body>Not Found</body></html>")
		})
	}},
	"empty": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return answer(next, action, m, func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Header = 200, http.Header{}
			return nil
		})
	}},
	"cut": {false, func(next emulator.Doer, action string, m match) emulator.Doer {
		return answer(next, action, m, func(r *http.Response, body []byte) []byte {
			if len(body) == 0 {
				r.Header.Del("ETag")
				r.StatusCode = 200
			}
			return body[:len(body)*2/3]
		})
	}},
}

// journey is what one run does, and the answers it gets.
type journey struct {
	history ami.History
	errs    map[string]error
}

func (j *journey) note(what string, err error) bool {
	j.errs[what] = err
	return err == nil
}

// read is what the second run reads: of an image whose removal the first one has announced as well.
func read(ctx context.Context, j *journal.Journal) (ami.History, error) {
	v, err := j.Region(ctx, region, second, now)
	if err != nil {
		return ami.History{}, err
	}
	return v.History(ctx, now, only(image(2)), map[string]string{image(3): first, image(4): "20261120T020000Z-0a1b2c"}, nil)
}

// travel has the second run read the history, start, remove an image and close, as far as it gets.
func travel(ctx context.Context, from *journal.Journal) journey {
	j := journey{errs: map[string]error{}}
	var err error
	j.history, err = read(ctx, from)
	if !j.note("history", err) {
		return j
	}
	e, err := from.Start(ctx, region, second, account, now, []journal.Declared{declare(5, 5)})
	if !j.note("begin", err) {
		return j
	}
	if j.note("attempt", e.Attempt(ctx, declare(5, 5))) {
		j.note("settle", e.Settle(ctx, outcome(5, ami.Deregistered, result(5, ami.SnapshotFailed))))
	}
	j.note("renew", e.Renew(ctx, now.Add(time.Minute)))
	j.note("close", e.Close(ctx, false))
	j.note("record", from.SaveRecord(ctx, second, []byte(`{"run": "`+second+`"}`)))
	return j
}

// Whatever happens to any call, before or after it takes effect, once or always: a history is
// correct or an error, and what was confirmed was done.
func TestFaults(t *testing.T) {
	for name, fault := range s3Faults {
		for _, action := range []string{"GetObject", "PutObject", "DeleteObject", "ListObjectsV2"} {
			for from := 1; from <= 10; from++ {
				for _, forEver := range []bool{false, true} {
					t.Run(fmt.Sprint(name, "/", action, "/", from, "/", forEver), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							var struck atomic.Bool
							testFault(t, func(next emulator.Doer) emulator.Doer {
								return fault.strike(next, action, func(n int, _ emulator.Request) bool {
									strikes := n == from || forEver && n > from
									if strikes {
										struck.Store(true)
									}
									return strikes
								})
							}, func() bool { return !struck.Load() || fault.passes && !forEver })
						})
					})
				}
			}
		}
	}
}

func testFault(t *testing.T, strike func(emulator.Doer) emulator.Doer, passes func() bool) {
	emulated := load(t)
	plain := open(t, location, config(emulated.Client()))
	intent := ofTeam("team-a", announce(3, "disable"))
	intent.Declared = ids(declare(1, 1), declare(2, 2))
	e, err := intend(plain, region, first, past, intent)
	must(t, err, did(attempt(1, 1), attempt(2, 2))(t.Context(), e), e.Close(t.Context(), false))
	before, err := read(t.Context(), plain)
	must(t, err)
	if len(before.Announced) != 1 {
		t.Fatalf("announced: %+v", before.Announced)
	}

	j := travel(t.Context(), open(t, location, config(strike(emulated.Client()))))
	for what, err := range j.errs {
		if err != nil {
			says(t, err, location)
			if passes() {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := j.errs["history"]; err == nil {
		equal(t, "history", j.history, before)
	}
	done := func(what string) bool {
		err, isTried := j.errs[what]
		return isTried && err == nil
	}
	after := history(t, plain, third, now.Add(2*lease), only())
	want := []ami.Leftover{leftover(first, 1, 1), leftover(first, 2, 2)}
	if done("attempt") {
		want = append(want, leftover(second, 5, 5))
	}
	missing := cmp.Diff(want, after.Leftovers, cmpopts.IgnoreSliceElements(func(l ami.Leftover) bool { return l.Run == second && !done("attempt") }))
	if missing != "" {
		t.Errorf("leftovers (-want +got):\n%s", missing)
	}
	back := history(t, plain, third, now.Add(2*lease), only(image(5)))
	if done("attempt") && back.Removed[image(5)] != second {
		t.Error("an attempt was noted, and nobody knows of it")
	}
	if _, err := plain.Record(t.Context(), second); done("record") && err != nil {
		t.Errorf("the record: %v", err)
	}
	e, err = plain.Start(t.Context(), region, third, account, now.Add(time.Minute), nil)
	if err == nil {
		must(t, e.Close(t.Context(), true))
	} else if done("close") {
		t.Errorf("the lock was given back: %v", err)
	}
}

// A missing bucket does not mean that there is no record, or that no run is at work.
func TestABucketThatIsGone(t *testing.T) {
	gone := disturb.Fail(load(t).Client(), "GetObject", nil, 404, "NoSuchBucket", "The specified bucket does not exist")
	j := open(t, location, config(gone))
	_, recordErr := j.Record(t.Context(), first)
	_, historyErr := j.History(t.Context(), region, first, now, only())
	_, beginErr := j.Start(t.Context(), region, first, account, now, nil)
	for _, err := range []error{recordErr, historyErr, beginErr} {
		says(t, err, location, "NoSuchBucket")
		if errors.Is(err, journal.ErrNotFound) {
			t.Errorf("%v is taken for a document that is not there", err)
		}
	}
}

// The error says why a lock cannot be written, and retries end.
func TestALockThatCannotBeWritten(t *testing.T) {
	tries := 0
	denied := disturb.Fail(load(t).Client(), "PutObject", func(_ int, q emulator.Request) bool {
		isLock := strings.Contains(q.Form.Get("Key"), "locks/")
		if isLock {
			tries++
		}
		return isLock
	}, 403, "AccessDenied", "Access Denied")
	_, err := open(t, location, config(denied)).Start(t.Context(), region, first, account, now, nil)
	says(t, err, "locks/"+region+".json", "AccessDenied")
	if tries != 1 {
		t.Errorf("%d tries", tries)
	}
}

// Conditional writes keep runs apart: if a server has none, no run starts.
func TestAServerWithoutConditionalWrites(t *testing.T) {
	for name, unsupported := range map[string]emulator.Doer{
		"in_the_words_of_s3": disturb.Fail(load(t).Client(), "PutObject", conditional, 501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
		"by_its_status":      disturb.Fail(load(t).Client(), "PutObject", conditional, 501, "NotSupported", ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t, location, config(unsupported))
				_, err := j.Start(t.Context(), region, first, account, now, nil)
				says(t, err, location, "does not support", "conditional writes")
			})
		})
	}
}

func conditional(_ int, q emulator.Request) bool {
	return q.Form.Has("IfMatch") || q.Form.Has("IfNoneMatch")
}

// S3 may report a conflicting write that did not take effect: a run that wants the lock looks
// again.
func TestConflictingWrites(t *testing.T) {
	for _, action := range []string{"PutObject", "DeleteObject"} {
		client := disturb.Fail(load(t).Client(), action, func(n int, q emulator.Request) bool { return conditional(n, q) && n%2 == 1 },
			409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation against this resource.")
		j := open(t, location, config(client))
		e, err := j.Start(t.Context(), region, first, account, now, nil)
		if err != nil { // The account is claimed by one write, which is not retried.
			says(t, err, "account.json")
			e = begin(t, j, first, now)
		}
		must(t, e.Renew(t.Context(), now.Add(time.Minute)), e.Renew(t.Context(), now.Add(2*time.Minute)), e.Close(t.Context(), true))
	}
}

// A listing of several pages is read to its end.
func TestListingsOfManyPages(t *testing.T) {
	j := open(t, location, config(load(t).Client()))
	const images = 2100
	for n := range images {
		must(t, j.Put(t.Context(), "removals/"+region+"/"+image(n)+"/"+first+".json", `{"run": "`+first+`", "region": "`+region+`", "imageId": "`+image(n)+`", "status": "deregistered"}`))
	}
	last := image(images - 1)
	equal(t, "history", history(t, j, second, now, only(last, image(0))), ami.History{Removed: map[string]string{last: first, image(0): first}})
}

// A listing that does not match the request, has no end, or ends too early, is an error.
func TestListingsThatAreNotBelieved(t *testing.T) {
	replace := func(old, with string) func(*http.Response, []byte) []byte {
		return func(_ *http.Response, body []byte) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(with)) }
	}
	for name, test := range map[string]struct {
		alter func(*http.Response, []byte) []byte
		says  string
	}{
		"circular":            {replace("<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated><NextContinuationToken>bmV4dA==</NextContinuationToken>"), "back to a page"},
		"without_a_next_page": {replace("<IsTruncated>false", "<IsTruncated>true"), "there is more"},
		"of_something_else":   {replace("unfinished/"+region, "unfinished/us-east-1"), "us-east-1"},
		"without_its_end":     {replace("IsTruncated", "Truncated"), "not a complete answer"},
		"as_an_error":         {replace("ListBucketResult", "Error"), "not a complete answer"},
	} {
		t.Run(name, func(t *testing.T) {
			emulated := load(t)
			leave(t, open(t, location, config(emulated.Client())), first, idle, declare(1, 1))
			forgetful := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if query := r.URL.Query(); query.Has("continuation-token") {
					query.Del("continuation-token")
					r = r.Clone(r.Context())
					r.URL.RawQuery = query.Encode()
				}
				return emulated.Client().Do(r)
			})
			j := open(t, location, config(answer(forgetful, "ListObjectsV2", nil, test.alter)))
			h, err := j.History(t.Context(), region, second, now, only())
			if err == nil {
				t.Fatalf("%+v", h)
			}
			says(t, err, location, test.says)
		})
	}
}

// Folders that S3's console makes are empty objects whose keys end in a slash.
func TestFoldersOfAConsole(t *testing.T) {
	j := open(t, location, config(load(t).Client()))
	for _, key := range []string{"runs/", "unfinished/", "unfinished/" + region + "/", "removals/" + region + "/", "removals/" + region + "/" + image(1) + "/", "locks/"} {
		must(t, j.Put(t.Context(), key, ""))
	}
	equal(t, "history", history(t, j, second, now, only()), ami.History{})
	if _, err := j.Runs(t.Context()); err != nil {
		t.Error(err)
	}
}

// A bucket of AWS is found by its host's name; that of another server by its path. What is written
// has a checksum.
func TestRequests(t *testing.T) {
	var hosts, paths, checksums []string
	watched := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		hosts, paths = append(hosts, r.URL.Host), append(paths, r.URL.Path)
		checksums = append(checksums, r.Header.Get("X-Amz-Checksum-Sha256"))
		return load(t).Client().Do(r)
	})
	aws := config(watched)
	must(t, open(t, location, aws).SaveRecord(t.Context(), first, []byte(`{"run": "`+first+`"}`)))
	// Of an address of numbers the SDK makes a path in any case.
	endpoint := "http://s3.example.com:7070"
	aws.BaseEndpoint = &endpoint
	must(t, open(t, location, aws).SaveRecord(t.Context(), first, []byte(`{"run": "`+first+`"}`)))
	equal(t, "hosts", hosts, []string{bucket + ".s3.us-east-1.amazonaws.com", "s3.example.com:7070"})
	equal(t, "paths", paths, []string{"/janitor/runs/" + first + "/record.json", "/" + bucket + "/janitor/runs/" + first + "/record.json"})
	if checksums[0] == "" || checksums[0] != checksums[1] {
		t.Errorf("checksums %q", checksums)
	}
}

// A call that runs out of time says so, in a directory too.
func TestOutOfTime(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		e := begin(t, j, first, now, declare(1, 1))
		over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		_, historyErr := j.History(over, region, second, now, only())
		_, beginErr := j.Start(over, region, second, account, now, nil)
		_, recordErr := j.Record(over, first)
		_, runsErr := j.Runs(over)
		for i, err := range []error{
			historyErr, beginErr, recordErr, runsErr, e.Attempt(over, declare(1, 1)), e.Settle(over, outcome(1, ami.Failed)), e.Renew(over, now),
			j.ClearUnfinished(over, region, first), j.SaveRecord(over, first, []byte(`{"run": "`+first+`"}`)), e.Close(over, true),
		} {
			if err == nil || !strings.Contains(err.Error(), "time ran out") {
				t.Errorf("call %d: %v", i, err)
			}
		}
		must(t, e.Renew(t.Context(), now), e.Close(t.Context(), true))
	})
}
