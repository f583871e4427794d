package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recordFile is the file of the record of a rehearsal.
func recordFile(t *testing.T) string {
	t.Helper()
	got := cli(t, nil, "rehearse", "--account", directory(t), "--now", nightly, "--output", "json")
	file := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(file, []byte(got.out), 0o600); err != nil || len(got.out) < 10_000 {
		t.Fatalf("%+v, %v", got, err)
	}
	return file
}

// drawn is the report about what the arguments say, and how the command ended.
func drawn(t *testing.T, suffix string, environ []string, args ...string) (string, result) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report"+suffix)
	got := cli(t, environ, slices.Concat([]string{"report", "-o", out}, args)...)
	text, err := os.ReadFile(out)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text), got
}

func TestReportOfAFile(t *testing.T) {
	file := recordFile(t)
	page, got := drawn(t, ".html", nil, file)
	if got.status != 0 || !strings.HasPrefix(page, "<!DOCTYPE html>") || !strings.Contains(page, "before-upgrade") || !strings.Contains(got.err, "the report is in ") {
		t.Errorf("%+v: %.300s", got, page)
	}
	table, got := drawn(t, ".CSV", nil, file)
	lines, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || got.status != 0 || len(lines) < 88 || !slices.Contains(lines[1], "123456789012") {
		t.Errorf("%+v, %v, %d lines: %.300s", got, err, len(lines), table)
	}
	if page, got := drawn(t, ".md", nil, file); got.status != 0 || !strings.Contains(page, "# Run ") || !strings.Contains(page, "| before-upgrade |") {
		t.Errorf("%+v: %.300s", got, page)
	}
}

// A run over an organization has a page of its own: by its file, by its id, and as the latest one
// where no account's run is.
func TestReportOfAnOrganization(t *testing.T) {
	f := newFakeHub(t)
	f.running = 0
	got := cli(t, nil, append(byMachine, "--output", "json")...)
	file := filepath.Join(t.TempDir(), "organization.json")
	if err := os.WriteFile(file, []byte(got.out), 0o600); err != nil {
		t.Fatal(err)
	}
	run := f.told.Run
	var first string
	for _, args := range [][]string{{file}, {run, "--records", "s3://records"}, {"--records", "s3://records"}} {
		page, got := drawn(t, ".html", nil, args...)
		if first == "" {
			first = page
		}
		if got.status != 0 || page != first || !strings.Contains(page, "organization o-exampleorgid") || !strings.Contains(page, "shop-production") {
			t.Errorf("%v: %+v: %.300s", args, got, page)
		}
	}
	for says, args := range map[string][]string{
		"is drawn as .html":                                    {"-o", "x.csv", file},
		"which has a page of its own":                          {file, recordFile(t)},
		"there is no record of run 20200101T000000Z-000000 in": {"20200101T000000Z-000000", "--records", "s3://records"},
		"there is no record of a run there":                    {"--records", "s3://records", "--since", "30d"},
	} {
		if got := cli(t, nil, append([]string{"report"}, args...)...); got.status != exitUsage || !strings.Contains(got.err, says) {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// earlierRecords are a copy of those of an earlier version.
func earlierRecords(t *testing.T) string {
	t.Helper()
	records := filepath.Join(t.TempDir(), "records")
	if err := os.CopyFS(records, os.DirFS(filepath.Join(earlier, "records"))); err != nil {
		t.Fatal(err)
	}
	return records
}

// A report shows the runs of several places, or of a time; nights without a record are left out.
func TestReportOfRecords(t *testing.T) {
	records := earlierRecords(t)
	latest, got := drawn(t, ".html", nil, "--records", records)
	if got.status != 0 || strings.Contains(latest, "Night by night") || !strings.Contains(latest, "20261109T020000Z-3f9c09") {
		t.Errorf("%+v: %.300s", got, latest)
	}
	all, got := drawn(t, ".html", []string{"RECORDS=" + records}, "--since", "36500d")
	if got.status != 0 || !strings.Contains(all, "Night by night") || !strings.Contains(all, "not recorded") || strings.Count(all, `<th scope="row">2026-11-0`) != 7 {
		t.Errorf("%+v: %.300s", got, all)
	}
	if one, got := drawn(t, ".html", nil, "20261105T020000Z-3f9c05", "--records", records); got.status != 0 || !strings.Contains(one, "20261105T020000Z-3f9c05") {
		t.Errorf("%+v: %.300s", got, one)
	}
	broken := filepath.Join(records, "runs", "20261109T020000Z-3f9c09", "record.json")
	if err := os.WriteFile(broken, []byte(`{"run":"20261109T020000Z-3f9c09"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if rest, got := drawn(t, ".html", nil, "--records", records); got.status != exitRegionFailed || !strings.Contains(rest, "20261106T020000Z-3f9c06") || !strings.Contains(got.err, "left out: ") {
		t.Errorf("%+v: %.300s", got, rest)
	}
}

// What cannot be drawn is said, and nothing is written.
func TestReportOfNothing(t *testing.T) {
	empty, missing := t.TempDir(), filepath.Join(t.TempDir(), "missing")
	text := filepath.Join(empty, "text.json")
	if err := os.WriteFile(text, []byte(`{"images": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no such file":         {filepath.Join(empty, "run.json")},
		"no record of a run:":  {text},
		"no records: name":     {},
		"no record of a run t": {"--records", t.TempDir()},
		"--records: stat":      {"--records", missing},
		"there is no record of run 20261105T020000Z-3f9c05": {"20261105T020000Z-3f9c05", "--records", t.TempDir()},
		"--since: ":                    {"--records", t.TempDir(), "--since", "yesterday"},
		"--since is for":               {"--since", "30d", text},
		"ends neither in .html nor in": {"-o", "report.pdf", text},
	} {
		page, got := drawn(t, ".html", nil, args...)
		if got.status != exitUsage || page != "" || !strings.Contains(got.err, want) {
			t.Errorf("%q: %+v, %.100s", args, got, page)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a report makes a directory")
	}
}
