package janitor_test

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// onOneLine is the mail on one line.
func onOneLine(record record.Run) string { return unwrapped(digest.Text(record)) }

// inFull is the full text on one line.
func inFull(record record.Run) string { return unwrapped(digest.Full(record)) }

// Record and digest name the sources that were asked, and no others.
func TestUseWasLookedUpOnlyWhereItWas(t *testing.T) {
	recent, stale := world{images: []object{image(1, 20, 5, 1)}}, world{images: []object{image(2, 400, 300, 2)}}
	// There are no objects to read, and images of Image Builder are not judged.
	sources := slices.DeleteFunc(usage.DefaultSources(), func(name string) bool { return name == usage.S3TextSource || name == usage.ImageBuilderSource })
	isReference := func(q emulator.Request, _ int) bool { return q.Action == "DescribeImageReferences" }
	last := len(sources) - 1
	all := "Use was looked up in: " + strings.Join(sources[:last], ", ") + " and " + sources[last] + "."
	for name, c := range map[string]struct {
		home, away world // Away is a second region, if it has images.
		wrap       func(emulator.Doer) emulator.Doer
		dry        bool
		asked      []string
		says       string
		unsaid     string
	}{
		"nothing is old enough":         {home: recent, says: "Use was not looked up, because no AMI needed it.", unsaid: "looked up in:"},
		"nothing is, in a dry run":      {home: recent, dry: true, says: "Use was not looked up, because no AMI needed it.", unsaid: "looked up in:"},
		"there is nothing":              {says: "Use was not looked up, because no AMI needed it.", unsaid: "looked up in:"},
		"something is old enough":       {home: stale, asked: sources, says: all + " No source covers", unsaid: "not looked up"},
		"a dry run does not look twice": {home: stale, dry: true, asked: sources, says: all + " A run that removes looks again just before it does; a dry run does not."},
		"in one of two regions":         {home: recent, away: stale, asked: sources, says: all + " No AMI needed it in us-east-1."},
		"in neither":                    {home: recent, away: recent, says: "Use was not looked up, because no AMI needed it.", unsaid: "looked up in:"},
		"a region fails": {
			home: stale, away: stale, asked: sources, says: all + " It was not looked up in eu-west-1: see the error above.",
			wrap: func(next emulator.Doer) emulator.Doer {
				return on(next, func(q emulator.Request, _ int) bool { return q.Region == "eu-west-1" && q.Action == "DescribeImages" }, readFaults["denied"])
			},
		},
		"a region fails, and the other needs nothing": {
			home: recent, away: stale, says: "Use was not looked up, because no AMI needed it. It was not looked up in eu-west-1: see the error above.", unsaid: "looked up in:",
			wrap: func(next emulator.Doer) emulator.Doer {
				return on(next, func(q emulator.Request, _ int) bool { return q.Region == "eu-west-1" && q.Action == "DescribeImages" }, readFaults["denied"])
			},
		},
		"a source is denied": {
			home: stale, asked: sources, says: all + " Not answered in full: references.",
			wrap: func(next emulator.Doer) emulator.Doer { return on(next, isReference, readFaults["denied"]) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := c.home.load(t)
			if c.away.images != nil {
				if err := account.AddRegion("eu-west-1", c.away.files(t)); err != nil {
					t.Fatal(err)
				}
			}
			var doer emulator.Doer = account.Client()
			if c.wrap != nil {
				doer = c.wrap(doer)
			}
			record := run(t, doer, settings{"REGIONS": "all", "KEEP_NEWEST": "0"}, c.dry)
			if !slices.Equal(record.Sources.LookedUp, c.asked) {
				t.Errorf("looked up %q, want %q", record.Sources.LookedUp, c.asked)
			}
			if asked := calls(account, "DescribeInstances") > 0; asked != slices.Contains(record.Sources.LookedUp, "instances") {
				t.Errorf("instances were listed: %t, looked up %q", asked, record.Sources.LookedUp)
			}
			text := inFull(record)
			if !strings.Contains(text, c.says) || c.unsaid != "" && strings.Contains(text, c.unsaid) {
				t.Errorf("it does not say %q, or says %q:\n%s", c.says, c.unsaid, text)
			}
		})
	}
}

// A copy that carries the tags of another image's announcement, or of its removal, is told of as
// that: nobody has objected, and nobody has brought anything back. Its tags come off, and its idle
// time goes on.
func TestTagsThatWereCopied(t *testing.T) {
	for name, keys := range map[string][]string{
		"an announcement": {"ami-janitor:due", "ami-janitor:announced-by"}, "a declaration": {"ami-janitor:intent", "ami-janitor:run"},
		"both": {"ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:intent", "ami-janitor:run"}, "half of an old announcement": {"ami-janitor:due", "ami-janitor:run"},
	} {
		t.Run(name, func(t *testing.T) {
			run := string(ami.NewRunID(night(-20), bytes.NewReader([]byte{1, 2, 3})))
			tags := map[string]string{
				"ami-janitor:due": night(-6).Format(time.DateOnly), "ami-janitor:announced-by": run + " cli", "ami-janitor:intent": "remove", "ami-janitor:run": run,
			}
			copied := with(image(1, 19, 0, 1), "SourceImageId", "ami-0123456789example")
			carried := []object{}
			for _, key := range keys {
				carried = append(carried, object{"Key": key, "Value": tags[key]})
			}
			copied["Tags"] = carried
			l := live(t, world{images: []object{copied}}, maps.Clone(graceful))
			record := l.real(0)
			l.want(0, record, "keep", "recently-used")
			text := inFull(record)
			if mail := onOneLine(record); strings.Contains(mail, "objection") || strings.Contains(mail, "back again") || !strings.Contains(mail, "Copied tags come off 1 AMI.") {
				t.Error(mail)
			}
			if strings.Contains(text, "OBJECTION") || strings.Contains(text, "BACK AGAIN") || strings.Contains(text, "NO LONGER DUE") || !strings.Contains(text, "COPIED TAGS (1)") {
				t.Error(text)
			}
			if left := l.tags(1); len(left) > 0 {
				t.Errorf("it carries %v", left)
			}
			if text = inFull(l.real(1)); strings.Contains(text, "COPIED TAGS") {
				t.Error(text)
			}
			l.want(161, l.real(161), "keep", "recently-used")
			record = l.real(162)
			l.want(162, record, "marked", "never-launched")
			if want := night(162 + 14).Format(time.DateOnly); l.tags(1)["ami-janitor:due"] != want {
				t.Errorf("it is announced for %s, want %s", l.tags(1)["ami-janitor:due"], want)
			}
		})
	}
}

// A copy of long ago with tags of before is not removed in the night in which these come off, and
// has the full grace period.
func TestAStaleCopyIsAnnouncedForItself(t *testing.T) {
	run := string(ami.NewRunID(night(-320), bytes.NewReader([]byte{1, 2, 3})))
	for name, tags := range map[string]map[string]string{
		"an announcement": {"ami-janitor:due": night(-1).Format(time.DateOnly), "ami-janitor:announced-by": run + " cli"},
		"a declaration":   {"ami-janitor:intent": "remove", "ami-janitor:run": run},
	} {
		for _, grace := range []string{"0d", "14d"} {
			t.Run(name+" "+grace, func(t *testing.T) {
				copied := image(1, 300, 0, 1)
				carried := []object{}
				for key, value := range tags {
					carried = append(carried, object{"Key": key, "Value": value})
				}
				copied["Tags"] = carried
				l := live(t, world{images: []object{copied}}, settings{"GRACE": grace, "KEEP_NEWEST": "0"})
				l.want(0, l.run(night(0), true), "keep", "copied-tags")
				l.want(0, l.real(0), "keep", "copied-tags")
				if left := l.tags(1); len(left) > 0 {
					t.Errorf("it carries %v", left)
				}
				if grace == "0d" {
					l.want(1, l.real(1), "deregistered")
					return
				}
				l.want(1, l.real(1), "marked")
				l.want(14, l.real(14), "keep", "announced")
				l.want(15, l.real(15), "deregistered")
			})
		}
	}
}

// Digest and record say of each announced image what EC2 shows, and that the date stays which its
// owner has set.
func TestTheDeprecationOfAnOwnerIsTold(t *testing.T) {
	long := with(image(1, 400, 300, 1), "DeprecationTime", "2028-06-01T00:00:00.000Z")
	past := with(image(2, 400, 300, 2), "DeprecationTime", "2025-01-01T00:00:00.000Z")
	onTheDay := with(image(3, 400, 300, 3), "DeprecationTime", dueDay+"T00:00:00.000Z")
	l := live(t, world{images: []object{long, past, onTheDay, image(4, 400, 300, 4)}}, settingsOf("deprecate"))
	for day := range 3 {
		record := l.run(night(day), false)
		got := map[string]string{}
		for _, i := range allImages(record) {
			got[i.ImageID] = string(i.Action) + " " + i.DeprecatedOn
		}
		want := map[string]string{
			imageID(1): "announce 2028-06-01", imageID(2): "announce 2025-01-01", imageID(3): "announce " + dueDay, imageID(4): "deprecate " + dueDay,
		}
		if !maps.Equal(got, want) {
			t.Errorf("day %d: %v, want %v", day, got, want)
		}
		text := inFull(record)
		for _, says := range []string{
			"Its deprecation date, Thursday 1 June 2028, was set already, and stays.", "Its deprecation date, Wednesday 1 January 2025, was set already, and stays.",
			"Its deprecation date, Monday 7 December 2026, was set already, and stays.", "EC2 shows it as deprecated from Monday 7 December 2026.",
		} {
			if strings.Count(text, says) != 1 {
				t.Errorf("day %d: it says %q %d times:\n%s", day, says, strings.Count(text, says), text)
			}
		}
	}
	l.image(1, func(o object) {
		if o["DeprecationTime"] != "2028-06-01T00:00:00.000Z" {
			t.Errorf("EC2 deprecates it at %v", o["DeprecationTime"])
		}
	})
}

// What an operator has named is in the digest as it is, whatever it looks like.
func TestTheDigestNamesFilesAndRecordsAsTheyAre(t *testing.T) {
	for variable, value := range map[string]string{"KEEP_LIST": "missing.txt", "KEEP_LIST ": "config/keep.example.com.md", "RECORDS": "s3://records.example.com/janitor"} {
		account := world{}.load(t)
		doer := on(account.Client(), func(q emulator.Request, _ int) bool { return q.Service == "s3" }, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
			return failing(r, http.StatusForbidden, map[string]string{"s3": "AccessDenied"})
		})
		j := newJanitor(t, doer, settings{strings.TrimSpace(variable): value})
		j.ReadFile = func(path string) ([]byte, time.Time, error) {
			return nil, time.Time{}, errors.New("open " + path + ": no such file or directory")
		}
		record := j.Run(t.Context(), "20261123T020000Z-3f9c1a", true)
		for name, text := range map[string]string{"mail": digest.Text(record), "Slack": string(digest.Slack(record))} {
			if !strings.Contains(text, value) {
				t.Errorf("%s: %s is not in it:\n%s", name, value, text)
			}
		}
	}
}
