package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

func TestCheck(t *testing.T) {
	for location, isGood := range map[string]bool{
		"s3://amzn-s3-demo-bucket":                     true,
		"s3://amzn-s3-demo-bucket/":                    true,
		"s3://amzn-s3-demo-bucket/janitor":             true,
		"s3://amzn-s3-demo-bucket/a/b.c/d_e!(f)'*/":    true,
		"s3://logs.example.com/janitor":                true,
		"records":                                      true,
		"./records":                                    true,
		"../records":                                   true,
		"/var/lib/ami-janitor":                         true,
		"":                                             false,
		"a\x00b":                                       false,
		"s3://":                                        false,
		"s3:///prefix":                                 false,
		"s3://b":                                       false,
		"s3://Bucket":                                  false,
		"s3://under_score":                             false,
		"s3://a..b":                                    false,
		"s3://-bucket":                                 false,
		"s3://bucket-":                                 false,
		"s3://user:password@bucket":                    false,
		"s3://" + strings.Repeat("b", 64):              false,
		"s3://amzn-s3-demo-bucket//a":                  false,
		"s3://amzn-s3-demo-bucket/a//b":                false,
		"s3://amzn-s3-demo-bucket/a//":                 false,
		"s3://amzn-s3-demo-bucket/..":                  false,
		"s3://amzn-s3-demo-bucket/a/../b":              false,
		"s3://amzn-s3-demo-bucket/./b":                 false,
		"s3://amzn-s3-demo-bucket/a b":                 false,
		"s3://amzn-s3-demo-bucket/a?versionId=1":       false,
		"s3://amzn-s3-demo-bucket/ä":                   false,
		"S3://amzn-s3-demo-bucket/a":                   false,
		"s3:/amzn-s3-demo-bucket/a":                    false,
		"s3:amzn-s3-demo-bucket":                       false,
		"https://amzn-s3-demo-bucket.s3.amazonaws.com": false,
		"file:///var/lib/ami-janitor":                  false,
	} {
		if err := journal.Check(location); (err == nil) != isGood {
			t.Errorf("%q: %v", location, err)
		}
		if _, err := journal.Open(location, aws.Config{}); !isGood && err == nil {
			t.Errorf("%q is opened", location)
		}
	}
}

func TestWhere(t *testing.T) {
	dir := t.TempDir()
	for location, want := range map[string]string{
		"s3://amzn-s3-demo-bucket":      "s3://amzn-s3-demo-bucket/runs/" + first + "/record.json",
		"s3://amzn-s3-demo-bucket/":     "s3://amzn-s3-demo-bucket/runs/" + first + "/record.json",
		"s3://amzn-s3-demo-bucket/a/b":  "s3://amzn-s3-demo-bucket/a/b/runs/" + first + "/record.json",
		"s3://amzn-s3-demo-bucket/a/b/": "s3://amzn-s3-demo-bucket/a/b/runs/" + first + "/record.json",
		dir:                             filepath.Join(dir, "runs", first, "record.json"),
	} {
		if got := open(t, location, aws.Config{}).Where(first); got != want {
			t.Errorf("%s: %s, want %s", location, got, want)
		}
	}
}

func TestRecords(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		runs, err := j.Runs(t.Context())
		equal(t, "runs of an empty journal", runs, []string{})
		must(t, err)
		if _, err := j.Record(t.Context(), first); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("a record that is not there: %v", err)
		}
		older, newer := `{"run": "`+first+`", "regions": []}`, "{\n  \"run\": \""+second+"\", \"more\": \"ä\"}\n"
		must(t,
			j.SaveRecord(t.Context(), second, []byte(older + newer)[len(older):]),
			j.SaveRecord(t.Context(), first, []byte(`{"run": "`+first+`"}`)),
			j.SaveRecord(t.Context(), first, []byte(older)), // The last one counts.
			begin(t, j, third, now).Close(t.Context(), true),
		)
		for run, want := range map[string]string{first: older, second: newer} {
			got, err := j.Record(t.Context(), run)
			must(t, err)
			equal(t, "record", string(got), want)
		}
		if _, err := j.Record(t.Context(), third); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("a run with a plan alone: %v", err)
		}
		runs, err = j.Runs(t.Context())
		must(t, err)
		equal(t, "runs", runs, []string{third, second, first})
	})
}

func TestARecordThatIsNone(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		for name, record := range map[string]string{
			"nothing":          "",
			"half":             `{"run": "` + first + `", "regions": [`,
			"two":              `{"run": "` + first + `"}{"run": "` + first + `"}`,
			"a_list":           `[]`,
			"null":             `null`,
			"of_no_run":        `{}`,
			"of_another_run":   `{"run": "` + second + `"}`,
			"a_page_of_a_site": `<!DOCTYPE html><html></html>`,
		} {
			if err := j.SaveRecord(t.Context(), first, []byte(record)); err == nil {
				t.Errorf("%s is saved", name)
			}
			must(t, j.Put(t.Context(), "runs/"+first+"/record.json", record))
			got, err := j.Record(t.Context(), first)
			says(t, err, j.Where(first))
			if errors.Is(err, journal.ErrNotFound) || !errors.Is(err, journal.ErrUnreadable) {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
	})
}

// No outside input leads out of the journal.
func TestOnlyIDsAreTakenForIDs(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		none := func(string) bool { return false }
		for _, id := range []string{"", "x", "..", ".", "/", "../../" + first, first + "/..", first + "/", first + "\x00", first + "\n", "ami-", "snap-", "eu", "AMI-0123456789example", "eu west", first + "-A", first + "_"} {
			_, recordErr := j.Record(t.Context(), id)
			_, historyErr := j.History(t.Context(), id, first, now, none)
			_, otherErr := j.History(t.Context(), region, id, now, none)
			_, runErr := j.Start(t.Context(), region, id, account, now, nil)
			_, regionErr := j.Start(t.Context(), id, first, account, now, nil)
			_, imageErr := j.Start(t.Context(), region, first, account, now, []journal.Declared{{ImageID: id}})
			_, snapshotErr := j.Start(t.Context(), region, first, account, now, []journal.Declared{{ImageID: image(1), Snapshots: []string{id}}})
			for i, err := range []error{
				recordErr, historyErr, otherErr, runErr, regionErr, imageErr, snapshotErr,
				j.SaveRecord(t.Context(), id, []byte(`{"run": ""}`)), j.ClearUnfinished(t.Context(), region, id), j.ClearUnfinished(t.Context(), id, first),
			} {
				if err == nil {
					t.Errorf("%q is taken in place %d", id, i)
				}
			}
		}
		equal(t, "what is left", keys(t, j), []string{})
	})
}

// A key that no run writes is an error: it could be a misnamed document.
func TestWhatNoRunHasWritten(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		for _, key := range []string{
			"unfinished/eu-west-1/" + first + ".json", "unfinished/eu-west-1/a/" + first,
			"removals/eu-west-1/" + image(1) + "/" + first, "removals/eu-west-1/" + first + ".json", "removals/eu-west-1/x/" + first + ".json",
			"removals/eu-west-1/" + image(1) + "/x.json", "removals/eu-west-1/" + image(1) + "/" + first + "/x.json",
			"removals/eu-west-1/" + image(1) + "/" + first + "/" + snapshot(1) + "/a.json",
		} {
			must(t, j.Put(t.Context(), key, "{}"))
			_, err := j.History(t.Context(), region, third, now, only())
			says(t, err, filepath.Base(key), "move it out")
			must(t, j.Remove(t.Context(), key))
			history(t, j, third, now, only())
		}
		must(t, j.Put(t.Context(), "runs/notes.txt", "x"))
		_, err := j.Runs(t.Context())
		says(t, err, "notes.txt")
	})
}

// What a directory holds is for its owner and group.
func TestADirectoryIsPrivate(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a", "b")
	j := open(t, top, aws.Config{})
	e := begin(t, j, first, now, declare(1, 1))
	must(t, e.Attempt(t.Context(), declare(1, 1)), e.Renew(t.Context(), now.Add(time.Minute)))
	files := 0
	err := filepath.WalkDir(top, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o750
		} else {
			files++
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: %o, want %o", name, got, want)
		}
		return nil
	})
	must(t, err)
	// The account, the plan, the marker, the lock, the removal, and the file that the system locks.
	if files != 6 {
		t.Errorf("%d files", files)
	}
}

// Files of file managers and killed processes in a directory do not belong to the journal.
func TestHiddenFilesOfADirectory(t *testing.T) {
	top := t.TempDir()
	j := open(t, top, aws.Config{})
	must(t, begin(t, j, first, now, declare(1, 1)).Close(t.Context(), false))
	for _, name := range []string{
		".DS_Store", "runs/.DS_Store", "unfinished/.x", "unfinished/eu-west-1/.half", "removals/.hidden/eu-west-1/x",
	} {
		must(t, os.MkdirAll(filepath.Join(top, filepath.Dir(name)), 0o750), os.WriteFile(filepath.Join(top, name), []byte(`{"run`), 0o600))
	}
	if _, err := j.Runs(t.Context()); err != nil {
		t.Error(err)
	}
	equal(t, "unfinished", history(t, j, second, now, only()).Unfinished, []string{first})
}

// A directory that cannot be read is not an empty journal.
func TestADirectoryThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(top string) error{
		"gone":              os.RemoveAll,
		"a_file_for_a_part": func(top string) error { return replaceByFile(filepath.Join(top, "unfinished")) },
		"a_file_for_a_lock": func(top string) error { return replaceByFile(filepath.Join(top, "locks")) },
		"a_folder_for_a_plan": func(top string) error {
			plan := filepath.Join(top, "runs", first, "plan-"+region+".json")
			return errors.Join(os.Remove(plan), os.Mkdir(plan, 0o700))
		},
		"a_way_out": func(top string) error {
			elsewhere := filepath.Join(top, "..", "elsewhere")
			return errors.Join(os.Mkdir(elsewhere, 0o700), os.RemoveAll(filepath.Join(top, "unfinished")),
				os.Symlink(elsewhere, filepath.Join(top, "unfinished")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "journal")
			j := open(t, top, aws.Config{})
			must(t, begin(t, j, first, now, declare(1, 1)).Close(t.Context(), false), spoil(top))
			h, err := j.History(t.Context(), region, second, now, only())
			if err == nil {
				t.Fatalf("%+v and no error", h)
			}
			says(t, err, "journal")
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := journal.Open(file, aws.Config{})
	says(t, err, file)
}

func replaceByFile(name string) error {
	return errors.Join(os.RemoveAll(name), os.WriteFile(name, nil, 0o600))
}
