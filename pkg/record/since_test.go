package record_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// removing is a run of a day that has removed so many images of 10 GiB each.
func removing(day string, images int) record.Run {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	r := record.Run{Run: day, StartedAt: at.Add(23 * time.Hour)}
	r.Totals.Amounts.Removed = record.Amount{Images: images, Snapshots: images, GiB: int64(10 * images), MonthlyUpTo: float64(images) / 10}
	return r
}

func sum(from string, runs, images int) *record.Sum {
	return &record.Sum{From: from, Runs: runs, Amount: removing("2026-01-01", images).Totals.Amounts.Removed}
}

func TestSums(t *testing.T) {
	for name, c := range map[string]struct {
		runs []record.Run
		at   string
		want record.Since
	}{
		"none":           {nil, "2026-11-23", record.Since{}},
		"the first":      {[]record.Run{removing("2026-11-23", 3)}, "2026-11-23", record.Since{Month: sum("2026-11-23", 1, 3), First: sum("2026-11-23", 1, 3)}},
		"of one month":   {[]record.Run{removing("2026-11-23", 3), removing("2026-11-30", 4)}, "2026-11-30", record.Since{Month: sum("2026-11-23", 2, 7), First: sum("2026-11-23", 2, 7)}},
		"the next month": {[]record.Run{removing("2026-11-30", 3), removing("2026-12-01", 4)}, "2026-12-01", record.Since{Month: sum("2026-12-01", 1, 4), First: sum("2026-11-30", 2, 7)}},
		"late in the next month": {
			[]record.Run{removing("2026-11-30", 3), removing("2026-12-09", 4)},
			"2026-12-09",
			record.Since{Month: sum("2026-12-01", 1, 4), First: sum("2026-11-30", 2, 7)},
		},
		"nothing yet this month": {[]record.Run{removing("2026-11-30", 3)}, "2026-12-02", record.Since{Month: sum("2026-12-01", 0, 0), First: sum("2026-11-30", 1, 3)}},
		"a year later":           {[]record.Run{removing("2025-11-30", 3), removing("2026-11-01", 4)}, "2026-11-01", record.Since{Month: sum("2026-11-01", 1, 4), First: sum("2025-11-30", 2, 7)}},
		"one that ends behind one of the new month": {
			[]record.Run{removing("2026-12-01", 3), removing("2026-11-30", 4)}, "2026-11-30", record.Since{First: sum("2026-11-30", 2, 7)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sums, err := record.ParseSums(nil, "123456789012")
			for _, r := range c.runs {
				for range 2 { // An addition whose answer was lost comes again.
					sums.Add(r)
				}
				data, _ := json.Marshal(sums)
				sums, err = record.ParseSums(data, "123456789012")
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, sums.Since(removing(c.at, 0).StartedAt)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSumsOfOthers(t *testing.T) {
	for _, data := range []string{"", "null", "[]", `{"schemaVersion": 1, "account": "111122223333"}`, `{"schemaVersion": 2, "account": "123456789012"}`} {
		if sums, err := record.ParseSums([]byte(data), "123456789012"); err == nil || sums.Since(now) != (record.Since{}) {
			t.Errorf("%s: %+v, %v", data, sums, err)
		}
	}
}
