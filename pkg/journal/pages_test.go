package journal_test

import (
	"net/http"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

func TestPages(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		recorded, err := j.Recorded(t.Context())
		must(t, err)
		equal(t, "runs of an empty journal", recorded, []journal.Recorded{})
		older, newer := `{"run": "`+first+`"}`, `{"run": "`+second+`", "regions": []}`
		must(t,
			j.SaveRecord(t.Context(), first, []byte(older)),
			j.SaveRecord(t.Context(), second, []byte(newer)),
			begin(t, j, third, now).Close(t.Context(), true), // It has no record.
			j.Put(t.Context(), "runs/else.json", "{}"),
		)
		_, err = j.SavePage(t.Context(), first, []byte("<p>a night</p>"))
		must(t, err)
		_, err = j.SaveIndex(t.Context(), []byte("<p>all nights</p>"))
		must(t, err)
		recorded, err = j.Recorded(t.Context())
		must(t, err)
		equal(t, "runs", recorded, []journal.Recorded{{second, int64(len(newer)), ""}, {first, int64(len(older)), "runs/" + first + "/report.html"}})
		for key, want := range map[string]string{"runs/" + first + "/report.html": "<p>a night</p>", "index.html": "<p>all nights</p>"} {
			got, err := j.Content(t.Context(), key)
			must(t, err)
			equal(t, key, got, want)
		}
		if _, err := j.SavePage(t.Context(), "../"+first, nil); err == nil {
			t.Error("a page is saved for what is no run")
		}
		must(t, j.Remove(t.Context(), "runs/else.json"))
		_, err = j.SavePage(t.Context(), "20261124T020000Z-0a1b2c", []byte("<p>a night without a record</p>"))
		must(t, err)
		runs, err := j.Runs(t.Context()) // Pages do not stop a run, and make none.
		must(t, err)
		equal(t, "runs with a record or a plan", runs, []string{third, second, first})
	})
}

// A browser shows the pages, and does not guess what they are.
func TestPagesAreHTML(t *testing.T) {
	account, types := load(t), map[string]string{}
	j := open(t, "s3://"+bucket, config(emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		types[r.URL.Path] = r.Header.Get("Content-Type")
		return account.Client().Do(r)
	})))
	_, err := j.SavePage(t.Context(), first, []byte("<p>"))
	must(t, err)
	_, err = j.SaveIndex(t.Context(), []byte("<p>"))
	must(t, err, j.SaveRecord(t.Context(), first, []byte(`{"run": "`+first+`"}`)))
	const html = "text/html; charset=utf-8"
	equal(t, "types", types, map[string]string{"/runs/" + first + "/report.html": html, "/index.html": html, "/runs/" + first + "/record.json": "application/json"})
}

// No page is taken for a record: what draws it would draw for ever.
func TestWhichObjectIsARecord(t *testing.T) {
	for location, prefix := range map[string]string{"s3://" + bucket: "", "s3://" + bucket + "/a/b": "a/b/"} {
		j := open(t, location, config(load(t).Client()))
		run, isRecord := j.RunOf(bucket, prefix+"runs/"+first+"/record.json")
		if run != first || !isRecord {
			t.Errorf("%s: %q, %v", location, run, isRecord)
		}
		for _, key := range []string{
			"", "index.html", "runs/" + first + "/report.html", "runs/" + first + "/plan-eu-west-1.json", "runs/" + first + "/record.json/", "runs/" + first + "/record.json/report.html",
			"runs/" + first, "runs//record.json", "runs/x/record.json", "runs/../record.json", "runs/" + first + "/x/record.json", "RUNS/" + first + "/record.json",
			"runs/runs/" + first + "/record.json", first + "/record.json", "/runs/" + first + "/record.json", "locks/eu-west-1.json", "sums.json",
		} {
			if run, isRecord := j.RunOf(bucket, prefix+key); isRecord {
				t.Errorf("%s: %q is taken for the record of %s", location, prefix+key, run)
			}
		}
		if _, isRecord := j.RunOf("another-bucket", prefix+"runs/"+first+"/record.json"); isRecord {
			t.Errorf("%s: another bucket's record is taken for its own", location)
		}
	}
	if _, isRecord := open(t, "s3://"+bucket+"/a", config(load(t).Client())).RunOf(bucket, "runs/"+first+"/record.json"); isRecord {
		t.Error("a record beside the prefix is taken for its own")
	}
}
