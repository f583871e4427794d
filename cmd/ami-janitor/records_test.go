package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kept are the files below a directory, by their paths from there.
func kept(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A sweep keeps records without being told where, says where they are, and plan, explain and undo
// go by them. None of these adds to them.
func TestASweepKeepsRecords(t *testing.T) {
	serving(t, asItIs)
	state := os.Getenv("XDG_STATE_HOME")
	own := filepath.Join(state, "ami-janitor", "123456789012")
	for _, args := range [][]string{{"plan"}, {"sweep", "--dry-run"}} {
		if got := cli(t, nil, args...); got.err != "" || len(kept(t, state)) > 0 {
			t.Errorf("%v: %q, %v", args, got.err, kept(t, state))
		}
	}
	got := cli(t, nil, "sweep", "--yes", "--output=json", "--max-deregistrations=2")
	record := got.record(t)
	file := filepath.Join(own, "runs", record.Run, "record.json")
	if says := "ami-janitor: records are kept in " + own + "; --records names another place\n"; got.err != says || record.Record != file {
		t.Errorf("%q, %s", got.err, record.Record)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	before := kept(t, own)
	cli(t, nil, "plan")
	if undone := cli(t, nil, "undo", record.Run, "--output=json").undone(t); undone.Warning != "" || !undone.Complete() {
		t.Errorf("%+v", undone)
	}
	if after := kept(t, own); !slices.Equal(after, before) {
		t.Errorf("%v were there, and then %v", before, after)
	}

	write(t, filepath.Dir(file), "record.json", "{")
	write(t, filepath.Join(own, "locks"), "us-east-1.json", "{")
	for command, says := range map[string]string{
		"undo " + record.Run: "the record of the run could not be read", "plan": "reading the journal", "explain " + removedIDs(record)[0]: "reading the journal",
	} {
		if got := cli(t, nil, strings.Fields(command)...); got.status != exitRegionFailed || !strings.Contains(got.out+got.err, says) {
			t.Errorf("%s does not read the records: %+v", command, got)
		}
	}
}

func TestASweepThatIsToldWhereToKeepRecords(t *testing.T) {
	serving(t, asItIs)
	dir := t.TempDir()
	got := cli(t, nil, "sweep", "--yes", "--output=json", "--max-deregistrations=1", "--records", dir)
	if got.err != "" || len(kept(t, dir)) == 0 || len(kept(t, os.Getenv("XDG_STATE_HOME"))) > 0 {
		t.Errorf("%q, %v", got.err, kept(t, dir))
	}
}

func TestASweepWithoutAHome(t *testing.T) {
	account := serving(t, asItIs)
	t.Setenv("XDG_STATE_HOME", "not/absolute")
	got := cli(t, nil, "sweep", "--yes")
	if got.status != exitUsage || !strings.Contains(got.err, "--records") || got.out != "" || len(account.Calls()) > 0 {
		t.Errorf("%+v, %d calls", got, len(account.Calls()))
	}
	if got := cli(t, nil, "plan", "--output=json"); got.record(t).Totals.WouldDeregister == 0 {
		t.Errorf("%+v", got)
	}
}

func TestTheStateDirectory(t *testing.T) {
	home := t.TempDir()
	for name, c := range map[string]struct {
		variables map[string]string
		want      string
	}{
		"as XDG says":          {map[string]string{"XDG_STATE_HOME": filepath.Join(home, "state"), "HOME": home}, filepath.Join(home, "state", "ami-janitor")},
		"nobody's home":        {nil, ""},
		"a relative directory": {map[string]string{"XDG_STATE_HOME": "state"}, ""},
	} {
		if got := stateDirectory(func(name string) string { return c.variables[name] }); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	got := stateDirectory(func(name string) string {
		return map[string]string{"HOME": home, "LocalAppData": home, "XDG_STATE_HOME": "state"}[name]
	})
	if !strings.HasPrefix(got, home) || filepath.Base(got) != "ami-janitor" {
		t.Errorf("%q", got)
	}
}
