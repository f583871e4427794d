package record_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// records are those of the digest's tests, as runs wrote them.
func records(t *testing.T) map[string]record.Run {
	t.Helper()
	files, err := filepath.Glob("../digest/testdata/*/record.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d records: %v", len(files), err)
	}
	runs := map[string]record.Run{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if runs[file], err = record.Parse(text); err != nil {
			t.Fatal(file, err)
		}
	}
	return runs
}

// A record that was read back is written again as it was, and its gaps keep as many images as
// before.
func TestParse(t *testing.T) {
	gaps := 0
	for file, run := range records(t) {
		var again bytes.Buffer
		if err := run.Encode(&again, "  "); err != nil {
			t.Fatal(err)
		}
		want, _ := os.ReadFile(file)
		// The byte that was no UTF-8, spelt out.
		want = bytes.ReplaceAll(want, []byte(`\ufffd`), []byte("\ufffd"))
		if !bytes.Equal(bytes.TrimSpace(again.Bytes()), bytes.TrimSpace(want)) {
			t.Errorf("%s is written back differently", file)
		}
		for _, g := range run.Regions {
			for _, gap := range g.Gaps {
				if gaps++; len(gap.At) != gap.Images {
					t.Errorf("%s: %d of %d images of a gap are found: %s", file, len(gap.At), gap.Images, gap.Detail)
				}
			}
		}
	}
	if gaps < 20 {
		t.Error(gaps)
	}
	for text, want := range map[string]string{
		`{`:                                 "no record",
		`[]`:                                "no record",
		`{"regions":[]}`:                    "names no run",
		`{"run":"x"}`:                       "names no run",
		`{"run":"20261123T020000Z-3f9c1a"}`: "no regions",
		`{"schemaVersion":2,"run":"20261123T020000Z-3f9c1a","regions":[]}`: "a later version",
	} {
		if _, err := record.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Images stand where they stood before the record was written: those, too, that came into use after
// the plan was made.
func TestParsedImagesStandAsBefore(t *testing.T) {
	for file, run := range records(t) {
		for standing, want := range map[record.Standing]int{
			record.StandingKept: run.Totals.Amounts.Kept.Images, record.StandingDue: run.Totals.Amounts.Due.Images,
			record.StandingAnnounced: run.Totals.Amounts.Announced.Images, record.StandingRemoved: run.Totals.Deregistered,
		} {
			if got := run.Stored(record.Stands(standing)).Images; got != want {
				t.Errorf("%s: %d images are %s, and not %d", file, got, standing, want)
			}
		}
	}
}

// What each image frees alone is what Savings says of it alone.
func TestSavingsEach(t *testing.T) {
	images, some := 0, 0
	for file, run := range records(t) {
		for _, region := range run.Regions {
			each := run.SavingsEach(region)
			if len(each) != len(region.Images) {
				t.Errorf("%s: %d of %d images", file, len(each), len(region.Images))
			}
			for _, image := range region.Images[:min(len(region.Images), 40)] {
				want := run.Savings(func(g record.Region, i record.Image) bool {
					return g.Region == region.Region && i.ImageID == image.ImageID
				})
				if images++; each[image.ImageID] != want {
					t.Errorf("%s, %s: %+v, and not %+v", file, image.ImageID, each[image.ImageID], want)
				}
				if want.GiB > 0 {
					some++
				}
			}
		}
	}
	if images < 200 || some < 50 {
		t.Error(images, some)
	}
}
