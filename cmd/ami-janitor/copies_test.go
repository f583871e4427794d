package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// The evidence that a copy lacks, and what in it was not read, is in the record, the digest and on
// the terminal.
func TestARehearsalSaysWhatTheCopyLacks(t *testing.T) {
	dir := directory(t)
	for _, name := range []string{"describe-fleets.json", "describe-instances.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "notes.txt", "Exported on a Monday.")
	out := filepath.Join(t.TempDir(), "out")
	got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--output", "json", "--state-out", out)
	record := got.record(t)
	if record.Copy == nil || !slices.Equal(record.Copy.Lacks, []string{"describe-fleets.json", "describe-instances.json"}) || !slices.Equal(record.Copy.NotRead, []string{"notes.txt"}) {
		t.Fatalf("%+v", record.Copy)
	}
	text := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--dry-run").out
	for _, line := range digest.CopyLines(record.Copy) {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), line) {
			t.Errorf("the digest does not say %q:\n%s", line, text)
		}
		if !strings.Contains(strings.Join(strings.Fields(terminalText(record, &unfiltered, "", 80, false)), " "), line) {
			t.Errorf("the terminal does not say %q", line)
		}
		explained := cli(t, nil, "explain", "--account", dir, "--now", nightly, record.Regions[0].Images[0].ImageID)
		if explained.status != 0 || !strings.Contains(explained.err, line) {
			t.Errorf("explain does not say %q: %+v", line, explained)
		}
	}

	// An empty file in the state is not the one that was missing.
	next := cli(t, nil, "rehearse", "--account", out, "--now", nightly, "--output", "json").record(t)
	if next.Copy == nil || !slices.Equal(next.Copy.Lacks, record.Copy.Lacks) {
		t.Errorf("the next rehearsal: %+v", next.Copy)
	}
	whole := cli(t, nil, "rehearse", "--account", directory(t), "--now", nightly, "--output", "json").record(t)
	if whole.Copy != nil || len(digest.CopyLines(whole.Copy)) > 0 {
		t.Errorf("a whole copy: %+v", whole.Copy)
	}
}

// What could not be read for what it is ends the rehearsal, with the name of the file and the place
// in it.
func TestARehearsalRefusesWhatItCannotRead(t *testing.T) {
	for name, content := range map[string]string{
		"Describe-Instances.JSON":     `{"Reservations": []}`,
		"describe-instances.json.txt": `{"Reservations": []}`,
		"describe-fleets.json":        "{\"Fleets\": [],\n\"Owner\": \"M\xfcller\"}",
	} {
		dir := directory(t)
		write(t, dir, name, content)
		got := cli(t, nil, "rehearse", "--account", dir, "--now", nightly)
		if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, ": "+name+":") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A copy that PowerShell has written, in UTF-16, comes to the same verdicts.
func TestARehearsalOnACopyInUTF16(t *testing.T) {
	dir, same := directory(t), directory(t)
	for _, name := range []string{"describe-images.json", "describe-instances.json", "describe-create-volume-permissions.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		wide := []byte("\xff\xfe")
		for _, unit := range utf16.Encode([]rune(string(data))) {
			wide = append(wide, byte(unit), byte(unit>>8))
		}
		write(t, dir, name, string(wide))
	}
	var verdicts [2][]record.Region
	for i, account := range []string{dir, same} {
		verdicts[i] = cli(t, nil, "rehearse", "--account", account, "--now", nightly, "--output", "json", "--dry-run").record(t).Regions
	}
	a, errA := json.Marshal(verdicts[0])
	b, errB := json.Marshal(verdicts[1])
	if errA != nil || errB != nil || string(a) != string(b) || len(verdicts[0][0].Images) == 0 {
		t.Errorf("%v %v\n%s\n%s", errA, errB, a, b)
	}
}

// The state never takes the place of the copy, nor of the records, however the directory is
// spelled.
func TestTheStateDoesNotTakeThePlaceOfTheCopy(t *testing.T) {
	parent := t.TempDir()
	dir, link, out := filepath.Join(parent, "copy"), filepath.Join(parent, "link"), filepath.Join(parent, "out")
	if err := os.CopyFS(dir, sample.Files(tonight, "us-east-1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "describe-images.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(parent)
	for name, test := range map[string]struct{ account, stateOut, records, says string }{
		"the same":     {dir, dir, "", "--account"},
		"with a slash": {dir, dir + "/", "", "--account"},
		"relative":     {dir, "copy", "", "--account"},
		// There is no directory out yet.
		"with dots":            {dir, "out/../copy/.", "", "--account"},
		"a link to it":         {dir, link, "", "--account"},
		"it is a link":         {link, dir, "", "--account"},
		"by way of a link":     {dir, link + "/../copy", "", "--account"},
		"of the records":       {dir, out, filepath.Join(out, "records"), "--records"},
		"of some records":      {dir, out, filepath.Join(out, "records", "deep"), "--records"},
		"of a copy in records": {filepath.Join(dir, "records"), dir, "", "--account"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"rehearse", "--account", test.account, "--now", nightly, "--state-out", test.stateOut}
			if test.records != "" {
				args = append(args, "--records", test.records)
			}
			got := cli(t, nil, args...)
			if got.status != exitUsage || !strings.Contains(got.err, "--state-out") || !strings.Contains(got.err, test.says) {
				t.Errorf("%+v", got)
			}
			if after, err := os.ReadFile(filepath.Join(dir, "describe-images.json")); err != nil || string(after) != string(before) {
				t.Error("the copy was changed")
			}
		})
	}
	apart := cli(t, nil, "rehearse", "--account", dir, "--now", nightly, "--state-out", out, "--records", filepath.Join(parent, "records"), "--output", "json")
	if record := apart.record(t); record.Totals.Deregistered == 0 || record.Regions[0].Images[0].Verdict == "" || apart.status > exitRemovalFailed {
		t.Errorf("directories that are apart: %+v", record.Totals)
	}
	if _, err := os.Stat(filepath.Join(out, "describe-images.json")); err != nil {
		t.Error(err)
	}
}
