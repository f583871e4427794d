package main

import (
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// The page shows the last night in full, and counts what is new from one night to the next.
func TestNightsAreAddedInOrder(t *testing.T) {
	var later time.Duration
	clock := func() time.Time { return time.Now().Add(later) }
	account, err := emulator.Load(sample.Files(clock(), region), emulator.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := rehearse(t.Context(), account, clock); err != nil {
			t.Fatal(err)
		}
		later += 24 * time.Hour
	}
	records, err := journal.Open("s3://"+emulator.RecordsBucket, emulated(account))
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := records.Recorded(t.Context())
	if err != nil || len(recorded) < 2 {
		t.Fatal(len(recorded), err)
	}
	made, err := collect(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	if latest := made.Latest(); len(latest) != 1 || latest[0].Run != recorded[0].Run {
		t.Errorf("it shows %d runs as the latest, and not %s", len(latest), recorded[0].Run)
	}
}
