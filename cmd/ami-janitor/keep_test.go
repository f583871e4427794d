package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// stalest is an image that a sweep of the served account would remove first, as others are kept by
// name.
func stalest(t *testing.T) record.Image {
	t.Helper()
	image := oneOfEach(cli(t, nil, "plan", "--output=json", provable, "--max-deregistrations=1").record(t))["deregister"]
	if image.ImageID == "" {
		t.Fatal("nothing would go")
	}
	return image
}

func verdictOn(t *testing.T, id string, args ...string) record.Image {
	t.Helper()
	for _, region := range cli(t, nil, append(args, "--output=json")...).record(t).Regions {
		for _, image := range region.Images {
			if image.ImageID == id {
				return image
			}
		}
	}
	t.Fatalf("%s is not there", id)
	return record.Image{}
}

// A kept image survives every sweep, with the reason told; unkeep gives it back to judgement.
func TestKeep(t *testing.T) {
	for name, byName := range map[string]bool{"by id": false, "by name": true} {
		t.Run(name, func(t *testing.T) {
			serving(t, asItIs)
			image := stalest(t)
			given := image.ImageID
			if byName {
				given = image.Name
			}
			in := image.ImageID + " " + image.Name + " in us-east-1: "
			got := cli(t, nil, "keep", given, "--reason", " Rollback of v2, until ticket OPS-7 is closed ")
			if want := in + "kept from now on, tagged ami-janitor:keep: Rollback of v2, until ticket OPS-7 is closed\n"; got.status != 0 || got.out != want || got.err != "" {
				t.Errorf("%+v, want %q", got, want)
			}
			swept := verdictOn(t, image.ImageID, "sweep", "--yes", "--max-deregistrations=200")
			if swept.Verdict != "keep" || swept.Outcome != nil || swept.Reasons[0].Code != "keep-tag" || swept.Reasons[0].Detail != "tagged ami-janitor:keep: Rollback of v2, until ticket OPS-7 is closed" {
				t.Errorf("%+v", swept)
			}
			if explained := cli(t, nil, "explain", given).out; !strings.Contains(strings.Join(strings.Fields(explained), " "), "tagged ami-janitor:keep: Rollback of v2, until ticket OPS-7 is closed") {
				t.Error(explained)
			}
			if again := cli(t, nil, "keep", given); !strings.Contains(again.out, ": kept already, tagged ami-janitor:keep: Rollback of v2") {
				t.Errorf("no reason takes the place of one: %+v", again)
			}
			if other := cli(t, nil, "keep", given, "--reason=another"); !strings.HasSuffix(other.out, ": kept from now on, tagged ami-janitor:keep: another\n") {
				t.Errorf("%+v", other)
			}
			if off := cli(t, nil, "unkeep", given); off.status != 0 || off.out != in+"the keep tag is off; the next run judges it\n" {
				t.Errorf("%+v", off)
			}
			if again := cli(t, nil, "unkeep", given); again.status != 0 || !strings.HasSuffix(again.out, ": it has no tag ami-janitor:keep\n") {
				t.Errorf("%+v", again)
			}
			if judged := verdictOn(t, image.ImageID, "plan"); judged.Verdict != "deregister" {
				t.Errorf("%+v", judged)
			}
		})
	}
}

func TestKeepWithoutAReason(t *testing.T) {
	serving(t, asItIs)
	image := stalest(t)
	if got := cli(t, nil, "keep", image.ImageID); got.status != 0 || !strings.HasSuffix(got.out, ": kept from now on, tagged ami-janitor:keep\n") {
		t.Errorf("%+v", got)
	}
	if kept := verdictOn(t, image.ImageID, "plan"); kept.Reasons[0].Detail != "tagged ami-janitor:keep" {
		t.Errorf("%+v", kept)
	}
}

// What another tag keeps stays kept, and unkeep says so.
func TestUnkeepLeavesTheTagsOfThePolicy(t *testing.T) {
	account := serving(t, asItIs)
	image := stalest(t)
	cli(t, nil, "keep", image.ImageID, "--reason=x")
	before := writes(account)
	for _, tagged := range []bool{true, false} { // First with a keep tag, then without.
		got := cli(t, []string{"KEEP_TAGS=Team"}, "unkeep", image.ImageID)
		if got.status != exitRemovalFailed || !strings.Contains(got.out, ": kept all the same, tagged Team, as --keep-tags says") || tagged != (writes(account) > before) {
			t.Errorf("%t: %+v, %d writes", tagged, got, writes(account)-before)
		}
		before = writes(account)
	}
}

func TestKeepWrongly(t *testing.T) {
	const missing = "ami-0123456789abcdef0"
	account := serving(t, asItIs)
	plan := cli(t, nil, "plan", "--output=json").record(t)
	image := oneOfEach(plan)["deregister"]
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no image":                  {[]string{"keep"}, 2, "arg"},
		"an unknown image":          {[]string{"keep", missing}, 1, "not among the account's own images in us-east-1: " + missing},
		"an unknown name":           {[]string{"unkeep", "no-such-name"}, 1, "not among the account's own images in us-east-1: no-such-name"},
		"a glob":                    {[]string{"keep", "*"}, 1, "not among the account's own images in us-east-1: *"},
		"a reason that keeps not":   {[]string{"keep", image.ImageID, "--reason=False "}, 2, "--reason: ami-janitor:keep=False does not keep an image"},
		"a long reason":             {[]string{"keep", image.ImageID, "--reason=" + strings.Repeat("ä", 257)}, 2, "--reason: it has 257 characters"},
		"a reason with line breaks": {[]string{"keep", image.ImageID, "--reason=a\nb"}, 2, "--reason: it has characters that do not show"},
		"another setting":           {[]string{"keep", image.ImageID, "--stale-after=90d"}, 2, "--stale-after"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cli(t, nil, c.args...); got.status != c.status || got.out != "" || !strings.Contains(got.err, c.says) || writes(account) > 0 {
				t.Errorf("%+v, %d writes", got, writes(account))
			}
		})
	}
	t.Run("one of two", func(t *testing.T) {
		got := cli(t, nil, "keep", missing, image.ImageID, image.Name, "--reason="+strings.Repeat("ä", 256))
		if got.status != 1 || strings.Count(got.out, "kept from now on") != 1 || !strings.Contains(got.err, missing) || strings.Contains(got.err, image.ImageID) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("denied", func(t *testing.T) {
		serving(t, denying("CreateTags"))
		if got := cli(t, nil, "keep", stalest(t).ImageID); got.status != 3 || got.out != "" || !strings.Contains(got.err, "UnauthorizedOperation") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the region cannot be read", func(t *testing.T) {
		serving(t, denying("DescribeImages"))
		if got := cli(t, nil, "keep", missing); got.status != 1 || !strings.Contains(got.err, "could not be searched") {
			t.Errorf("%+v", got)
		}
	})
}

// Where a name is that of images in several regions, nobody guesses which is meant.
func TestANameInTwoRegions(t *testing.T) {
	dir := directory(t)
	there := filepath.Join(dir, "regions", "eu-west-1")
	if err := os.MkdirAll(there, 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, there, "describe-images.json", `{"Images": [
		{"ImageId": "ami-0aaaaaaaaaaaaaaaa", "Name": "before-upgrade", "OwnerId": "123456789012", "State": "available", "CreationDate": "2020-01-01T00:00:00Z"},
		{"ImageId": "ami-0bbbbbbbbbbbbbbbb", "Name": "only-here", "OwnerId": "123456789012", "State": "available", "CreationDate": "2020-01-01T00:00:00Z"},
		{"ImageId": "ami-0cccccccccccccccc", "Name": "theirs", "OwnerId": "111122223333", "State": "available", "CreationDate": "2020-01-01T00:00:00Z"}
	]}`)
	account, err := emulator.Load(os.DirFS(dir), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(middleware.Handler(account.Client()))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
	for _, command := range []string{"keep", "unkeep", "unmark"} {
		got := cli(t, nil, command, "before-upgrade", "--regions=us-east-1,eu-west-1")
		if got.status != 1 || got.out != "" || !strings.Contains(got.err, "2 images have the name before-upgrade; give one of their ids: ami-0aaaaaaaaaaaaaaaa, ami-") || writes(account) > 0 {
			t.Errorf("%s: %+v, %d writes", command, got, writes(account))
		}
		if got := cli(t, nil, command, "theirs", "ami-0cccccccccccccccc", "--regions=us-east-1,eu-west-1"); got.status != 1 || got.out != "" || writes(account) > 0 ||
			!strings.Contains(got.err, "not among the account's own images in eu-west-1, us-east-1: theirs, ami-0cccccccccccccccc") {
			t.Errorf("%s: %+v, %d writes", command, got, writes(account))
		}
	}
	got := cli(t, nil, "keep", "only-here", "ami-0aaaaaaaaaaaaaaaa", "before-upgrade", "--regions=us-east-1,eu-west-1")
	if got.status != 1 || strings.Count(got.out, " in eu-west-1: kept from now on") != 2 || strings.Contains(got.out, "us-east-1") {
		t.Errorf("%+v", got)
	}
}

// Another image may have the name where nobody could look, so only an id will do.
func TestANameWhereARegionCannotBeSearched(t *testing.T) {
	serving(t, func(doer emulator.Doer) emulator.Doer {
		return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/ec2/") {
				return disturb.Deny(doer, "DescribeImages").Do(r)
			}
			return doer.Do(r)
		})
	})
	for _, command := range []string{"keep", "unkeep", "unmark"} {
		got := cli(t, nil, command, "before-upgrade", "--regions=us-east-1,eu-west-1")
		if got.status != 1 || got.out != "" || !strings.Contains(got.err, "another image may have the name before-upgrade, too; give the id: ami-") || !strings.Contains(got.err, "eu-west-1 could not be searched") {
			t.Errorf("%s: %+v", command, got)
		}
	}
	if got := cli(t, nil, "keep", stalest(t).ImageID, "--regions=us-east-1,eu-west-1"); got.status != 0 || !strings.Contains(got.out, "kept from now on") || got.err != "" {
		t.Errorf("an id is that of one image: %+v", got)
	}
}

// The name will do for taking back an announcement, too.
func TestUnmarkByName(t *testing.T) {
	serving(t, asItIs)
	image := announcedBy(t, "announce", t.TempDir())
	if got := cli(t, nil, "unmark", image.Name); got.status != 0 || !strings.Contains(got.out, image.ImageID+" in us-east-1: taken back") {
		t.Errorf("%+v", got)
	}
}
