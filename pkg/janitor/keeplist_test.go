package janitor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// listed is an account with a stale image that has to be kept and one that has not, in two regions.
func listed(t *testing.T, home, away world) *emulator.Account {
	t.Helper()
	home.images = append(home.images, with(image(1, 400, 300, 1), "Name", "golden-web"), image(2, 400, 0, 2))
	away.images = append(away.images, with(image(3, 400, 300, 3), "Name", "golden-api"), image(4, 400, 0, 4))
	account := home.load(t)
	if err := account.AddRegion("eu-west-1", away.files(t)); err != nil {
		t.Fatal(err)
	}
	return account
}

func listFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keep.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	awayARN   = "arn:aws:ssm:eu-west-1:123456789012:parameter/ami/keep"
	nearARN   = "arn:aws:ssm:us-east-1:123456789012:parameter/ami/keep"
	theirsARN = "arn:aws:ssm:ap-south-1:999988887777:parameter/ami/keep"
)

// A keep list keeps by id and by name, in every region of the run, wherever it is.
func TestKeepLists(t *testing.T) {
	ids := imageID(1) + "\n" + imageID(3)
	for name, c := range map[string]struct {
		location   string // A file with the text if empty.
		text       string
		home, away string // The values of a parameter /ami/keep in the two regions.
		fields     object
		keeps      string // What the reason says of image 1.
	}{
		"ids":                                    {text: ids, keeps: imageID(1)},
		"ids between commas":                     {text: imageID(3) + ", " + imageID(1) + ",", keeps: imageID(1)},
		"globs":                                  {text: "# what the platform team says\n\ngolden-???*\n", keeps: "golden-???*"},
		"a glob for ids":                         {text: "ami-*1\nami-*3", keeps: "ami-*1"},
		"a JSON array":                           {text: `["` + imageID(1) + `", "golden-api"]`, keeps: imageID(1)},
		"with a mark":                            {text: "\ufeff" + ids, keeps: imageID(1)},
		"a parameter by name":                    {location: "ssm:/ami/keep", home: ids, keeps: imageID(1)},
		"not the one of the same name elsewhere": {location: "ssm:/ami/keep", home: ids, away: "nothing", keeps: imageID(1)},
		"a parameter by ARN":                     {location: nearARN, home: ids, away: "nothing", keeps: imageID(1)},
		"in another region":                      {location: awayARN, home: "nothing", away: ids, keeps: imageID(1)},
		"a list of strings":                      {location: "ssm:/ami/keep", home: imageID(1) + ",golden-*", fields: object{"Type": "StringList"}, keeps: imageID(1)},
	} {
		t.Run(name, func(t *testing.T) {
			var home, away world
			if c.home != "" {
				home = home.parameter("/ami/keep", c.home, c.fields)
			}
			if c.away != "" {
				away = away.parameter("/ami/keep", c.away, c.fields)
			}
			location := c.location
			if location == "" {
				location = listFile(t, c.text)
			}
			account := listed(t, home, away)
			// Where the list is a parameter, its text names the images, too: the source of evidence
			// is switched off.
			record := run(t, account.Client(), settings{"REGIONS": "all", "KEEP_LIST": location, "USAGE_SOURCES": "references,instances"}, false)
			checkRecord(t, record, 100)
			wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "deregistered", imageID(3): "keep", imageID(4): "deregistered"})
			if got := reasons(record, imageID(1)); got != "keep-list: listed as "+c.keeps {
				t.Errorf("kept for %s", got)
			}
			if got := reasons(record, imageID(3)); !strings.HasPrefix(got, "keep-list: listed as ") || strings.Contains(got, ";") {
				t.Errorf("kept for %s", got)
			}
			if record.Policy["keepList"] != location || !strings.Contains(record.PolicySentence, "what the keep list names") {
				t.Errorf("%q, %s", record.Policy["keepList"], record.PolicySentence)
			}
		})
	}
}

// A keep list that cannot be read, or not understood, fails every region of the run: nothing is
// listed, and nothing is changed; the digest says why.
func TestAKeepListThatCannotBeReadStopsTheRun(t *testing.T) {
	reads := func(q emulator.Request, _ int) bool { return q.Action == "GetParameters" }
	for name, c := range map[string]struct {
		location string
		text     string // Of a file, if there is no location.
		value    string
		fields   object
		kind     string // A fault of the read.
		says     string
	}{
		"no file":                       {location: "/no/such/file", says: "no such file"},
		"a directory":                   {location: "/", says: "is a directory"},
		"an empty file":                 {text: "", says: "names nothing"},
		"only a comment":                {text: "# nothing\n , \n", says: "names nothing"},
		"garbage":                       {text: "\x00\x01\x02", says: "is neither the id of an image"},
		"a web page":                    {text: "<!DOCTYPE html>", says: "is neither the id of an image"},
		"broken JSON":                   {text: `["ami-0123456789abcdef0"`, says: "unexpected end of JSON input"},
		"JSON of something":             {text: `["ami-0123456789abcdef0", 7]`, says: "cannot unmarshal number"},
		"a truncated id":                {text: "ami-0123456789abcde", says: "is neither the id of an image"},
		"no parameter":                  {location: "ssm:/ami/none", says: "there is no such parameter"},
		"no parameter, by ARN":          {location: "arn:aws:ssm:us-east-1:123456789012:parameter/none", says: "there is no such parameter"},
		"in an unknown region":          {location: theirsARN, says: "there is no such parameter"},
		"a secret":                      {location: "ssm:/ami/keep", value: "golden-*", fields: object{"Type": "SecureString"}, says: "SecureString"},
		"denied":                        {location: "ssm:/ami/keep", value: "golden-*", kind: "denied", says: "AccessDeniedException"},
		"throttled for ever":            {location: "ssm:/ami/keep", value: "golden-*", kind: "throttled", says: "ThrottlingException"},
		"a web page for it":             {location: "ssm:/ami/keep", value: "golden-*", kind: "web page", says: "not a complete answer"},
		"unreachable":                   {location: "ssm:/ami/keep", value: "golden-*", kind: "unreachable", says: "EOF"},
		"a parameter that says nothing": {location: "ssm:/ami/keep", value: "-", fields: object{"Value": "#"}, says: "names nothing"},
		"a parameter of garbage":        {location: "ssm:/ami/keep", value: `{"keep": true}`, says: "is neither the id of an image"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var home world
				if c.value != "" {
					home = home.parameter("/ami/keep", c.value, c.fields)
				}
				location := c.location
				if location == "" {
					location = listFile(t, c.text)
				}
				account := listed(t, home, world{})
				var doer emulator.Doer = account.Client()
				if c.kind != "" {
					doer = on(doer, reads, readFaults[c.kind])
				}
				for _, s := range []settings{{}, {"GRACE": "14d"}} {
					s["REGIONS"], s["KEEP_LIST"], s["TOPIC_ARN"] = "us-east-1,eu-west-1", location, mailTopic
					j := newJanitor(t, doer, s)
					j.Confirm = func(plan record.Run) bool { t.Errorf("asked about %+v", plan.Totals); return true }
					record := j.Run(t.Context(), "run", false)
					checkRecord(t, record, 100)
					if len(writes(account)) > 0 || len(allImages(record)) > 0 || len(record.Regions) != 2 || record.FailedRegions() != 2 {
						t.Errorf("%v, %+v", writes(account), record.Regions)
					}
					for _, region := range record.Regions {
						if !strings.Contains(region.Error, "the keep list") || !strings.Contains(region.Error, location) || !strings.Contains(region.Error, c.says) {
							t.Errorf("%s: %q does not say %q", region.Region, region.Error, c.says)
						}
					}
					published := len(account.Published())
					if err := j.Tell(t.Context(), record); err != nil || len(account.Published()) != published+1 || !strings.Contains(digest.Text(record), "the keep list") {
						t.Errorf("%v, %d digests:\n%s", err, len(account.Published()), digest.Text(record))
					}
					if _, err := j.Explain(t.Context(), []string{imageID(1)}); err == nil || !strings.Contains(err.Error(), "the keep list") {
						t.Errorf("explained, %v", err)
					}
				}
			})
		})
	}
}

// The list is read again by every run, and before every plan of a run that asks a person.
func TestTheKeepListIsReadAnew(t *testing.T) {
	path := listFile(t, "something-else")
	account := listed(t, world{}, world{})
	j := newJanitor(t, account.Client(), settings{"KEEP_LIST": path})
	j.Confirm = func(record.Run) bool {
		if err := os.WriteFile(path, []byte("golden-*"), 0o600); err != nil {
			t.Fatal(err)
		}
		return true
	}
	record := j.Run(t.Context(), "run", false)
	wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "deregistered"})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if record = j.Run(t.Context(), "run", false); janitor.Err(record) == nil {
		t.Errorf("%+v", record.Totals)
	}
}

// A list that goes away while a person thinks stops the run.
func TestAKeepListThatGoesAwayMeanwhile(t *testing.T) {
	path := listFile(t, "golden-*")
	account := listed(t, world{}, world{})
	j := newJanitor(t, account.Client(), settings{"KEEP_LIST": path})
	j.Confirm = func(record.Run) bool { return os.Remove(path) == nil }
	record := j.Run(t.Context(), "run", false)
	if len(writes(account)) > 0 || janitor.Err(record) == nil {
		t.Errorf("%v, %+v", writes(account), record.Totals)
	}
}

// The parameter of the list is read with the permissions and in the region that its location says.
func TestWhereTheKeepListIsRead(t *testing.T) {
	for location, region := range map[string]string{"ssm:/ami/keep": "us-east-1", nearARN: "us-east-1", awayARN: "eu-west-1"} {
		account := listed(t, world{}.parameter("/ami/keep", "golden-*", nil), world{}.parameter("/ami/keep", "golden-*", nil))
		var asked []string
		doer := on(account.Client(), func(q emulator.Request, _ int) bool {
			if q.Action == "GetParameters" {
				asked = append(asked, q.Region)
				if q.Form.Get("WithDecryption") == "true" {
					t.Error("asks for a decryption")
				}
			}
			return false
		}, nil)
		run(t, doer, settings{"KEEP_LIST": location, "USAGE_SOURCES": "references", "REGIONS": "eu-west-1"}, true)
		if strings.Join(asked, " ") != region {
			t.Errorf("%s is read in %v, want %s", location, asked, region)
		}
	}
}

// inBuckets adds objects to the files of a world, as old as so many days.
func inBuckets(files fstest.MapFS, age map[string]int, objects map[string]string) fstest.MapFS {
	for name, content := range objects {
		files["s3/"+name] = &fstest.MapFile{Data: []byte(content), ModTime: now.AddDate(0, 0, -age[name])}
	}
	return files
}

// listedIn is an account with a stale image 1 named golden-web and a stale image 2, and objects in
// S3, some of them older than a moment.
func listedIn(t *testing.T, age map[string]int, objects map[string]string) *emulator.Account {
	t.Helper()
	w := world{images: []object{with(image(1, 400, 300, 1), "Name", "golden-web"), image(2, 400, 0, 2)}}.
		parameter("/keep", "golden-*", object{"LastModifiedDate": daysAgo(3)}).
		parameter("/undated", "golden-*", nil).
		parameter("/old", "golden-*", object{"LastModifiedDate": daysAgo(8)})
	account, err := emulator.Load(inBuckets(w.files(t), age, objects), emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

const emptyOnPurpose = "# by ami-janitor references\n# empty on purpose\n"

// Several locations are one list; a prefix is all that is below it.
func TestKeepListsInS3(t *testing.T) {
	elsewhere := fileOf(t, now)
	objects := map[string]string{
		"lists/keep.txt": "golden-*", "lists/repos/web": imageID(1) + " # main.tf:3", "lists/repos/api": "of-nobody", "lists/repos/none": emptyOnPurpose,
		"lists/repos2": "", "other/a": "of-nobody",
	}
	for _, location := range []string{
		"s3://lists/keep.txt", "s3://lists/repos/", "s3://other/,s3://lists/keep.txt", "ssm:/keep, s3://other/a", elsewhere + ",s3://lists/repos/", "s3://lists/repos/," + elsewhere,
	} {
		// A bucket may be in another region than the function.
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			j := newJanitor(t, listedIn(t, nil, objects).Client(), settings{
				"KEEP_LIST": location, "USAGE_SOURCES": "references,instances", "REGIONS": "us-east-1", "KEEP_LIST_MAX_AGE": "3650d",
			})
			if j.AWS.Region = region; region != "us-east-1" && strings.Contains(location, "ssm:") {
				continue
			}
			record := j.Run(t.Context(), "run", false)
			wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "deregistered"})
			if !strings.HasPrefix(reasons(record, imageID(1)), "keep-list: ") || record.Policy["keepList"] != strings.ReplaceAll(location, ", ", ",") {
				t.Errorf("%s: %s, %q", location, reasons(record, imageID(1)), record.Policy["keepList"])
			}
		}
	}
}

// A list in S3 that is not there, not whole, empty or too old stops the run, and so does any one
// below a prefix, or of several locations.
func TestAKeepListInS3StopsTheRun(t *testing.T) {
	objects := map[string]string{
		"lists/good/a": "golden-*", "lists/good/b": "golden-*", "lists/empty/a": "golden-*", "lists/empty/b": "# all gone\n", "lists/none/a": emptyOnPurpose, "lists/none/b": emptyOnPurpose,
		"lists/odd/a": "golden-*", "lists/odd/b": "<html>", "lists/old/a": "golden-*", "lists/old/b": "golden-*", "lists/zero": "", "lists/declared": emptyOnPurpose,
		"lists/large": strings.Repeat("golden-web-of-somebody\n", 8<<20/20),
	}
	age := map[string]int{"lists/old/b": 8, "lists/good/a": 6, "lists/good/b": 6}
	is := func(action string, nth int) func(emulator.Request, int) bool {
		return func(q emulator.Request, n int) bool { return q.Action == action && n >= nth }
	}
	for name, c := range map[string]struct {
		location, says string
		match          func(emulator.Request, int) bool
		kind           string
	}{
		"no object":                   {location: "s3://lists/none.txt", says: "s3:GetObject: NoSuchKey"},
		"nothing below it":            {location: "s3://lists/prefix/", says: "there is no object below it"},
		"no bucket":                   {location: "s3://nobody/", says: "there is no object below it"},
		"an empty object":             {location: "s3://lists/zero", says: "s3://lists/zero, is not understood: it names nothing"},
		"empty on purpose":            {location: "s3://lists/declared", says: "s3://lists/declared, is not understood: it names nothing"},
		"all empty on purpose":        {location: "s3://lists/none/", says: "s3://lists/none/, is not understood: it names nothing"},
		"one empty of several":        {location: "s3://lists/empty/", says: "s3://lists/empty/b, is not understood: it names nothing"},
		"one garbled of several":      {location: "s3://lists/odd/", says: "s3://lists/odd/b, is not understood"},
		"one too old of several":      {location: "s3://lists/old/", says: "s3://lists/old/b, is too old: it was last written 2026-11-15 02:00 UTC, and may be 7d old"},
		"a good one, and no other":    {location: "s3://lists/good/,s3://lists/none.txt", says: "s3://lists/none.txt, cannot be read"},
		"too large":                   {location: "s3://lists/large", says: "more than 8 MiB"},
		"denied":                      {location: "s3://lists/good/a", says: "s3:GetObject: AccessDenied", match: is("GetObject", 0), kind: "denied"},
		"denied below":                {location: "s3://lists/good/", says: "good/a: s3:GetObject: AccessDenied", match: is("GetObject", 0), kind: "denied"},
		"its listing denied":          {location: "s3://lists/good/", says: "s3:ListBucket: AccessDenied", match: is("ListObjectsV2", 0), kind: "denied"},
		"throttled for ever":          {location: "s3://lists/good/a", says: "SlowDown", match: is("GetObject", 0), kind: "throttled"},
		"a web page":                  {location: "s3://lists/good/a", says: "without ETag", match: is("GetObject", 0), kind: "web page"},
		"its listing a web page":      {location: "s3://lists/good/", says: "not a complete answer", match: is("ListObjectsV2", 0), kind: "web page"},
		"a parameter without a date":  {location: "ssm:/undated", says: "ssm:/undated, cannot be read: nobody says how old it is"},
		"a parameter that is too old": {location: "ssm:/old", says: "ssm:/old, is too old"},
		"a file that is too old":      {location: fileOf(t, now.AddDate(0, 0, -8)), says: "is too old"},
		"a file from the future":      {location: fileOf(t, now.AddDate(0, 0, 1)), says: "nobody says how old it is"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				account := listedIn(t, age, objects)
				var doer emulator.Doer = account.Client()
				if c.match != nil {
					doer = on(doer, c.match, readFaults[c.kind])
				}
				record := run(t, doer, settings{"KEEP_LIST": c.location, "KEEP_LIST_MAX_AGE": "7d"}, false)
				checkRecord(t, record, 100)
				if len(writes(account)) > 0 || record.FailedRegions() != 1 || !strings.Contains(record.Regions[0].Error, c.says) {
					t.Errorf("%v, %q does not say %q", writes(account), record.Regions[0].Error, c.says)
				}
			})
		})
	}
}

// fileOf is the path of a good list that was written at a time.
func fileOf(t *testing.T, written time.Time) string {
	t.Helper()
	path := listFile(t, "golden-*")
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	return path
}
