package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const bucket = "amzn-s3-demo-bucket"

func newAccount(t *testing.T) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(fstest.MapFS{"get-caller-identity.json": {Data: []byte(
		`{"UserId": "AIDAEXAMPLE", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/example"}`)}}, emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func configuration(client emulator.Doer) aws.Config {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""), HTTPClient: client}
}

// inProcess is the function on an emulated account, with its log.
func inProcess(t *testing.T, client emulator.Doer, place string) (*function, *bytes.Buffer) {
	t.Helper()
	records, err := journal.Open(place, configuration(client))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	return &function{records, record.Reader{Stack: "ami-janitor", Home: "eu-west-1"}, slog.New(slog.NewJSONHandler(&log, nil))}, &log
}

// runAt is the id of a run on a day of November 2026.
func runAt(day int) string { return fmt.Sprintf("202611%02dT020000Z-3f9c1a", day) }

// recordAt is the record of a run on a day of November 2026.
func recordAt(t *testing.T, day int) []byte {
	t.Helper()
	return recordOf(t, "ordinary", day)
}

func recordOf(t *testing.T, situation string, day int) []byte {
	t.Helper()
	text, err := os.ReadFile("../../pkg/digest/testdata/" + situation + "/record.json")
	if err != nil {
		t.Fatal(err)
	}
	run, err := record.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	run.Run, run.StartedAt = runAt(day), time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	if err := run.Encode(&out, ""); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// put puts an object into the bucket, as the janitor, or somebody else, does.
func put(t *testing.T, account *emulator.Account, key string, content []byte) {
	t.Helper()
	_, err := s3.NewFromConfig(configuration(account.Client())).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func keyOf(day int) string { return "runs/" + runAt(day) + "/record.json" }

func putRecord(t *testing.T, account *emulator.Account, day int) {
	t.Helper()
	put(t, account, keyOf(day), recordAt(t, day))
}

// created is the event about an object (Amazon S3 User Guide, "EventBridge event message
// structure").
func created(bucket, key string) json.RawMessage {
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3", "account": "111122223333",
		"time": "2026-11-23T02:02:00Z", "region": "eu-west-1", "resources": []string{"arn:aws:s3:::" + bucket},
		"detail": map[string]any{
			"version": "0", "bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184"},
			"request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject",
		},
	})
	if err != nil {
		panic(err)
	}
	return text
}

// pagesOf are the pages in the bucket.
func pagesOf(account *emulator.Account) map[string]string {
	pages := map[string]string{}
	for key, content := range account.Objects(bucket) {
		if strings.HasSuffix(key, ".html") {
			pages[key] = string(content)
		}
	}
	return pages
}

// Whatever the order of the events, and however often each comes, the bucket ends with the same
// pages.
func TestPagesFollowFromTheRecords(t *testing.T) {
	var want map[string]string
	for name, events := range map[string][]int{
		"in order": {21, 22, 23}, "in reverse": {23, 22, 21}, "twice": {21, 21, 22, 23, 22, 23}, "mixed up": {22, 23, 21, 22},
	} {
		account := newAccount(t)
		for _, day := range []int{21, 22, 23} {
			putRecord(t, account, day)
		}
		f, log := inProcess(t, account.Client(), "s3://"+bucket)
		for _, day := range events {
			if err := f.handle(t.Context(), created(bucket, keyOf(day))); err != nil {
				t.Fatal(err)
			}
		}
		got := pagesOf(account)
		if want == nil {
			want = got
		}
		if !maps.Equal(got, want) || strings.Contains(log.String(), "ERROR") {
			t.Errorf("%s: %q\n%s", name, slices.Sorted(maps.Keys(got)), log)
		}
	}
	index, page := want["index.html"], want["runs/"+runAt(22)+"/report.html"]
	if len(want) != 4 || !strings.Contains(page, runAt(22)) || strings.Contains(page, runAt(21)) || strings.Contains(page, "Night by night") {
		t.Errorf("%q", slices.Sorted(maps.Keys(want)))
	}
	first, second, third := strings.Index(index, runAt(23)), strings.Index(index, runAt(22)), strings.Index(index, runAt(21))
	if first < 0 || second < first || third < second || !strings.Contains(index, "Night by night") || !strings.Contains(index, "From 2026-11-21 to 2026-11-23") {
		t.Errorf("%d, %d, %d", first, second, third)
	}
	for day := 21; day <= 23; day++ {
		for _, link := range []string{
			"runs/" + runAt(day) + "/report.html",
			"https://console.aws.amazon.com/s3/object/" + bucket + "?region=eu-west-1&amp;prefix=runs/" + runAt(day) + "/report.html",
		} {
			if !strings.Contains(index, `href="`+link+`"`) {
				t.Errorf("the index has no link to %s", link)
			}
		}
	}
}

// The page's commands judge as the run did: they name its stack.
func TestCommandsNameTheStack(t *testing.T) {
	account := newAccount(t)
	put(t, account, keyOf(22), recordOf(t, "restorable", 22))
	f, _ := inProcess(t, account.Client(), "s3://"+bucket)
	if err := f.handle(t.Context(), created(bucket, keyOf(22))); err != nil {
		t.Fatal(err)
	}
	page := pagesOf(account)["runs/"+runAt(22)+"/report.html"]
	if all, named := strings.Count(page, "ami-janitor undo "), strings.Count(page, " --stack ami-janitor</code>"); all == 0 || all != named {
		t.Errorf("%d of %d commands name the stack", named, all)
	}
}

// What the function writes does not start it again, even if the rule let every object through.
func TestNoPageIsDrawnOfAPage(t *testing.T) {
	account := newAccount(t)
	putRecord(t, account, 22)
	arriving := []string{keyOf(22)}
	f, log := inProcess(t, emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			arriving = append(arriving, strings.TrimPrefix(r.URL.Path, "/"))
		}
		return account.Client().Do(r)
	}), "s3://"+bucket)
	for n := 0; n < len(arriving); n++ {
		if n == 10 {
			t.Fatalf("it does not end: %q\n%s", arriving, log)
		}
		if err := f.handle(t.Context(), created(bucket, arriving[n])); err != nil {
			t.Fatal(err)
		}
	}
	if len(arriving) != 3 {
		t.Errorf("%q", arriving)
	}
}

// An object that is no record of a run in this bucket costs nothing.
func TestOtherObjectsAreLeftAlone(t *testing.T) {
	account := newAccount(t)
	putRecord(t, account, 22)
	f, log := inProcess(t, account.Client(), "s3://"+bucket+"/team")
	before := len(account.Calls())
	for _, event := range []json.RawMessage{
		created(bucket, keyOf(22)), created("another-bucket", "team/"+keyOf(22)), created(bucket, "team/locks/eu-west-1.json"),
		created(bucket, "team/runs/"+runAt(22)+"/report.html"), created(bucket, "team/index.html"), created(bucket, "team/runs/../record.json"),
	} {
		if err := f.handle(t.Context(), event); err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
	if n := len(account.Calls()) - before; n > 0 || strings.Count(log.String(), `"level":"WARN"`) != 6 {
		t.Errorf("%d calls\n%s", n, log)
	}
	for _, event := range []string{
		``, `null`, `{}`, `[]`, `{"source": "aws.s3", "detail-type": "Object Created"}`, `{"detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}`,
		strings.Replace(string(created(bucket, keyOf(22))), "Object Created", "Object Deleted", 1), strings.Replace(string(created(bucket, keyOf(22))), "aws.s3", "x", 1),
	} {
		if err := f.handle(t.Context(), json.RawMessage(event)); err == nil || !strings.Contains(err.Error(), "nothing was drawn") || len(account.Calls()) > before {
			t.Errorf("%s: %v", event, err)
		}
	}
}

// A record that cannot be shown is told of, on its page and in the log, and nothing is tried again
// for it. The others are shown.
func TestARecordThatCannotBeShown(t *testing.T) {
	later := bytes.Replace(recordAt(t, 22), []byte(`"schemaVersion":1`), []byte(`"schemaVersion":99`), 1)
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"of a later version": {later, "a later version has written it"},
		"damaged":            {later[:len(later)/2], "is not what a run wrote there"},
		"empty":              {nil, "is not what a run wrote there"},
		"of another run":     {recordAt(t, 21), "it names run"},
		"no record":          {[]byte(`{"run": "` + runAt(22) + `"}`), "it is no record of a run"},
		"too large":          {bytes.Repeat([]byte(" "), largestRecord+1), "it has 33554433 bytes, and the most that is read is 33554432"},
	} {
		t.Run(name, func(t *testing.T) {
			account := newAccount(t)
			for _, day := range []int{20, 21, 23} {
				putRecord(t, account, day)
			}
			put(t, account, keyOf(22), c.content)
			f, log := inProcess(t, account.Client(), "s3://"+bucket)
			for _, day := range []int{22, 23} {
				if err := f.handle(t.Context(), created(bucket, keyOf(day))); err != nil {
					t.Errorf("it fails: %v", err)
				}
			}
			pages := pagesOf(account)
			if page := pages["runs/"+runAt(22)+"/report.html"]; !strings.Contains(page, "cannot be shown: ") || !strings.Contains(page, c.says) {
				t.Error(page)
			}
			if n := strings.Count(log.String(), `"level":"ERROR"`); n != 1 || !strings.Contains(log.String(), c.says) {
				t.Errorf("%d errors\n%s", n, log)
			}
			index := pages["index.html"]
			if !strings.Contains(index, "leaves out the run "+runAt(22)) || !strings.Contains(index, "From 2026-11-20 to 2026-11-23") || !strings.Contains(index, `"runs/`+runAt(22)+`/report.html"`) {
				t.Error("the index does not tell of it, or of the others")
			}
		})
	}
}

// What may be better the next time fails, and is tried again by Lambda.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		drawn  int
		fails  bool
	}{
		"nothing is denied": {"DeleteObject", 2, false},
		"a listing":         {"ListObjectsV2", 0, true},
		"a record":          {"GetObject", 0, true},
		"a page":            {"PutObject", 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			account := newAccount(t)
			putRecord(t, account, 22)
			f, _ := inProcess(t, disturb.Deny(account.Client(), c.action), "s3://"+bucket)
			if err := f.handle(t.Context(), created(bucket, keyOf(22))); (err != nil) != c.fails || len(pagesOf(account)) != c.drawn {
				t.Errorf("%s: %v, %d pages", name, err, len(pagesOf(account)))
			}
		})
	}
}

// A record that has gone is no failure; those that are there are shown.
func TestARecordThatHasGone(t *testing.T) {
	account := newAccount(t)
	putRecord(t, account, 22)
	f, _ := inProcess(t, account.Client(), "s3://"+bucket)
	err := f.handle(t.Context(), created(bucket, keyOf(21)))
	if pages := pagesOf(account); err != nil || len(pages) != 1 || !strings.Contains(pages["index.html"], runAt(22)) || strings.Contains(pages["index.html"], runAt(21)) {
		t.Errorf("%v, %q", err, slices.Sorted(maps.Keys(pages)))
	}
}

// A run that ends while the index is drawn is in it in the end, although another invocation has
// drawn a newer index before.
func TestTheIndexHasTheLastRun(t *testing.T) {
	account := newAccount(t)
	putRecord(t, account, 21)
	var other *function
	hasEnded := false
	f, _ := inProcess(t, emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && r.URL.Path == "/index.html" && !hasEnded {
			hasEnded = true
			putRecord(t, account, 22)
			if err := other.handle(t.Context(), created(bucket, keyOf(22))); err != nil {
				t.Error(err)
			}
		}
		return account.Client().Do(r)
	}), "s3://"+bucket)
	other, _ = inProcess(t, account.Client(), "s3://"+bucket)
	if err := f.handle(t.Context(), created(bucket, keyOf(21))); err != nil || !hasEnded {
		t.Fatal(err, hasEnded)
	}
	if index := pagesOf(account)["index.html"]; !strings.Contains(index, runAt(22)) {
		t.Error("the index lacks a run")
	}
}

// The trend goes back for a month, and not further than what fits.
func TestRecent(t *testing.T) {
	nights := func(n int, bytes int64) []journal.Recorded {
		var all []journal.Recorded
		for i := range n {
			at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).Add(-time.Duration(i) * 6 * time.Hour)
			all = append(all, journal.Recorded{Run: at.Format("20060102T150405Z") + "-3f9c1a", Bytes: bytes})
		}
		return all
	}
	for name, c := range map[string]struct {
		recorded     []journal.Recorded
		chosen, left int
	}{
		"none":              {nil, 0, 0},
		"one":               {nights(1, 10), 1, 0},
		"a month":           {nights(100, 10), 100, 0},
		"too many":          {nights(200, 10), 100, 21},
		"too large":         {nights(10, 30<<20), 8, 2},
		"none can be shown": {nights(10, 33<<20), 10, 0},
	} {
		chosen, left := recent(c.recorded)
		if len(chosen) != c.chosen || left != c.left {
			t.Errorf("%s: %d and %d, want %d and %d", name, len(chosen), left, c.chosen, c.left)
		}
		if len(chosen) > 0 && chosen[len(chosen)-1] != c.recorded[0] {
			t.Errorf("%s: the latest is %v", name, chosen[len(chosen)-1])
		}
	}
}

func TestTheFunctionStartsOnlyWithABucket(t *testing.T) {
	for place, works := range map[string]bool{"s3://" + bucket: true, "s3://" + bucket + "/team": true, "": false, "/srv/records": false, "s3://": false} {
		_, err := newFunction(t.Context(), func(string) string { return place }, slog.New(slog.DiscardHandler))
		if (err == nil) != works {
			t.Errorf("%q: %v", place, err)
		}
	}
}
