package janitor_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// TestSumsOverNights removes an image a night. The first night is 23 November.
func TestSumsOverNights(t *testing.T) {
	w := world{}
	for n := range 9 {
		w.images = append(w.images, image(n, 700, 0))
	}
	l := live(t, w, settings{"MAX_DEREGISTRATIONS": "1", "RECORDS": t.TempDir()})
	want := func(r record.Run, month string, inMonth int, first string, inAll int) {
		t.Helper()
		switch s := r.Since; {
		case s.Month == nil || s.First == nil:
			t.Errorf("%s: %+v", r.Run, s)
		case s.Month.From != month || s.Month.Images != inMonth || s.First.From != first || s.First.Images != inAll || s.First.Runs != inAll:
			t.Errorf("%s: %+v, %+v", r.Run, *s.Month, *s.First)
		}
	}
	if r := l.run(night(-1), true); r.Since != (record.Since{}) {
		t.Errorf("nothing has been removed yet: %+v", r.Since)
	}
	want(l.real(0), "2026-11-23", 1, "2026-11-23", 1)
	want(l.real(1), "2026-11-23", 2, "2026-11-23", 2)
	want(l.run(night(1), true), "2026-11-23", 2, "2026-11-23", 2)
	want(l.run(night(8), true), "2026-12-01", 0, "2026-11-23", 2)
	want(l.real(9), "2026-12-01", 1, "2026-11-23", 3)

	path := filepath.Join(l.settings["RECORDS"], "sums.json")
	for _, content := range []string{"{", `{"schemaVersion": 1, "account": "111122223333"}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := l.real(10)
		if kept, _ := os.ReadFile(path); r.Since != (record.Since{}) || r.RecordError != "" || string(kept) != content {
			t.Errorf("%+v, %q, %s", r.Since, r.RecordError, kept)
		}
	}
}

// TestSumsThatFailAreNoFault: sums that cannot be read are not said, and the record is kept. What
// cannot be written is said by this run alone.
func TestSumsThatFailAreNoFault(t *testing.T) {
	for method, said := range map[string]bool{http.MethodGet: false, http.MethodPut: true} {
		t.Run(method, func(t *testing.T) {
			account := world{images: []object{image(1, 700, 0)}}.load(t)
			doer := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if r.Method == method && strings.HasSuffix(r.URL.Path, "/sums.json") {
					return nil, errors.New("no route to S3")
				}
				return account.Client().Do(r)
			})
			r := newJanitor(t, doer, settings{"RECORDS": "s3://" + emulator.RecordsBucket}).Run(t.Context(), "20261123T020000Z-3f9c1a", false)
			if isSaid := r.Since.First != nil && r.Since.First.Images == 1; isSaid != said || r.RecordError != "" || r.Record == "" || r.Totals.Deregistered != 1 {
				data, _ := json.Marshal(r)
				t.Errorf("%s", data)
			}
		})
	}
}
