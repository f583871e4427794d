package janitor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

const bundleBucket = "amzn-s3-demo-bucket"

// deletingBundles is the policy that deletes what images leave in S3.
var deletingBundles = settings{"BUNDLES": "delete", "BUNDLE_BUCKETS": bundleBucket, "REQUIRE_RECYCLE_BIN": "false", "RECYCLE_BIN_DAYS": "14"}

// ofStore is an instance-store image that is stale.
func ofStore(n int, location string) object {
	return with(with(image(n, 900, 0), "RootDeviceType", "instance-store"), "ImageLocation", location)
}

// manifestOf is a manifest as ec2-bundle-image writes it, as far as that matters.
func manifestOf(names ...string) string {
	var parts strings.Builder
	for i, name := range names {
		fmt.Fprintf(&parts, `<part index="%d"><filename>%s</filename><digest algorithm="SHA1">0123</digest></part>`, i, name)
	}
	return fmt.Sprintf(`<?xml version="1.0"?><manifest><version>2007-10-10</version><bundler><name>ec2-ami-tools</name></bundler>`+
		`<machine_configuration><architecture>x86_64</architecture></machine_configuration>`+
		`<image><name>web</name><user>123456789012</user><parts count="%d">%s</parts></image><signature>0123</signature></manifest>`, len(names), parts.String())
}

// bundled is an account whose bucket holds objects, with versions unless the settings are others.
func bundled(t *testing.T, w world, s settings, bucket object, objects map[string]string) *life {
	t.Helper()
	l := live(t, w, deletingBundles.and(settings{"RECORDS": t.TempDir()}).and(s))
	for key, text := range objects {
		file := filepath.Join(l.dir, "s3", bundleBucket, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.AddDate(0, 0, -800), now.AddDate(0, 0, -800)); err != nil {
			t.Fatal(err)
		}
	}
	if bucket == nil {
		bucket = object{"Versioning": object{"Status": "Enabled"}}
	}
	bucket["Name"] = bundleBucket
	data, err := json.Marshal(object{"Buckets": []object{bucket}})
	if err == nil {
		err = os.WriteFile(filepath.Join(l.dir, "s3-buckets.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.at = now
	l.load()
	return l
}

// webBundle are the objects of one bundle, and what is beside it.
func webBundle() map[string]string {
	return map[string]string{
		"web/image.manifest.xml": manifestOf("image.part.00", "image.part.01"), "web/image.part.00": "one", "web/image.part.01": "two!",
		"web/image.part.02": "not in the manifest", "web/notes.txt": "by hand", "web/image.manifest.xml.bak": "by hand",
	}
}

const webManifest = bundleBucket + "/web/image.manifest.xml"

// visible are the keys that everybody sees.
func visible(account *emulator.Account) []string {
	return slices.Sorted(maps.Keys(account.Objects(bundleBucket)))
}

// bundleOf is what became of the bundle of an image.
func bundleOf(run record.Run, n int) ami.BundleResult {
	for _, region := range run.Regions {
		for i := range region.Images {
			if image := &region.Images[i]; image.ImageID == imageID(n) && image.Outcome != nil && image.Outcome.Bundle != nil {
				return *image.Outcome.Bundle
			}
		}
	}
	return ami.BundleResult{}
}

// bundlesOf are what an undo says of bundles.
func bundlesOf(undone undo.Report) (all []undo.Bundle) {
	for _, region := range undone.Regions {
		all = append(all, region.Bundles...)
	}
	return all
}

// A bundle goes with its image, behind delete markers: the manifest and the parts that it names,
// and nothing else. An undo takes the markers away.
func TestABundleIsDeletedAndBroughtBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
		before := l.account.Versions(bundleBucket)
		run := l.real(0)
		result := bundleOf(run, 3)
		size := int64(len(webBundle()["web/image.manifest.xml"]) + len("one") + len("two!"))
		if result.Status != ami.BundleDeleted || result.Objects != 3 || result.Bytes != size || run.Failed() {
			t.Fatalf("%+v; %+v", result, run.Totals)
		}
		rest := []string{"web/image.manifest.xml.bak", "web/image.part.02", "web/notes.txt"}
		if seen := visible(l.account); !slices.Equal(seen, rest) {
			t.Errorf("still there: %v", seen)
		}
		for key, versions := range l.account.Versions(bundleBucket) {
			if last := versions[len(versions)-1]; last != before[key][0] || len(versions) > 2 || len(versions) == 2 && !versions[0].IsMarker {
				t.Errorf("%s: %v", key, versions)
			}
		}
		text := digest.Text(run)
		if !strings.Contains(unwrapped(text), "s3://"+webManifest) || !strings.Contains(unwrapped(text), "delete markers") {
			t.Errorf("the digest:\n%s", text)
		}
		l.at = night(1)
		l.load()
		undone, err := l.janitor().Undo().Run(t.Context(), run.Run)
		found := bundlesOf(undone)
		if err != nil || len(found) != 1 || found[0].Status != undo.Restored || !strings.Contains(found[0].Register, "--image-location "+webManifest+" ") {
			t.Fatalf("undone: %+v, %v", undone, err)
		}
		for key, versions := range l.account.Versions(bundleBucket) {
			if !slices.Equal(versions, before[key]) {
				t.Errorf("%s: %v", key, versions)
			}
		}
		l.save()
		if again := l.real(2); again.Failed() || len(visible(l.account)) != len(webBundle()) {
			t.Errorf("the night after: %v, %+v", visible(l.account), again.Totals)
		}
	})
}

// write puts a file into the saved account, and loads it again.
func (l *life) write(name string, content any) {
	l.t.Helper()
	data, err := json.Marshal(content)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(filepath.Join(l.dir, name)), 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(l.dir, name), data, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.load()
}

// elsewhere are the images of another region.
func (l *life) elsewhere(images ...object) {
	l.t.Helper()
	l.write("regions/eu-west-1/describe-images.json", object{"Images": append([]object{}, images...)})
}

// Whatever may need a bundle keeps it, and the digest says what: its image goes.
func TestABundleThatStays(t *testing.T) {
	rules := func(rule object) object {
		rule["Status"], rule["ID"] = "Enabled", "tidy"
		return object{"Versioning": object{"Status": "Enabled"}, "Rules": []object{rule}}
	}
	without := func(name string) map[string]string {
		objects := webBundle()
		delete(objects, name)
		return objects
	}
	withManifest := func(text string) map[string]string {
		objects := webBundle()
		objects["web/image.manifest.xml"] = text
		return objects
	}
	beside := webBundle()
	beside["web/other.manifest.xml"], beside["web/other.part.0"] = manifestOf("other.part.0", "image.part.01"), "other"
	for name, c := range map[string]struct {
		settings settings
		bucket   object
		objects  map[string]string
		location string
		change   func(*life)
		wrap     func(emulator.Doer) emulator.Doer
		why      string
	}{
		"the policy keeps": {settings: settings{"BUNDLES": "keep"}, why: ""},
		"no journal":       {settings: settings{"RECORDS": ""}, why: "no journal is kept"},
		"another bucket":   {settings: settings{"BUNDLE_BUCKETS": "amzn-s3-demo-bucket1"}, why: "its bucket is not among those of the policy"},
		"no versions":      {bucket: object{}, why: "its bucket is not versioned"},
		"suspended":        {bucket: object{"Versioning": object{"Status": "Suspended"}}, why: "its bucket is not versioned"},
		"MFA delete":       {bucket: object{"Versioning": object{"Status": "Enabled", "MFADelete": "Enabled"}}, why: "its bucket has MFA delete"},
		"a short rule":     {bucket: rules(object{"NoncurrentVersionExpiration": object{"NoncurrentDays": 13}}), why: `lifecycle rule "tidy" ends noncurrent versions after 13 days, and not 14`},
		"a rule of a tag":  {bucket: rules(object{"Filter": object{"Tag": object{"Key": "a", "Value": "b"}}, "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}}), why: "ends noncurrent versions"},
		"a rule of a part": {bucket: rules(object{"Filter": object{"Prefix": "web/image.part.01"}, "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}}), why: "ends noncurrent versions"},
		"a rule of all":    {bucket: rules(object{"Filter": object{"And": object{"Prefix": "web/", "ObjectSizeGreaterThan": 1}}, "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}}), why: "ends noncurrent versions"},
		"an old rule":      {bucket: rules(object{"Prefix": "", "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}}), why: "ends noncurrent versions"},
		"expiration":       {bucket: rules(object{"Filter": object{"Prefix": ""}, "Expiration": object{"Days": 3650}}), why: "ends its objects"},
		"a day of its end": {bucket: rules(object{"Expiration": object{"Date": "2030-01-01T00:00:00Z"}}), why: "ends its objects"},
		"archiving":        {bucket: rules(object{"NoncurrentVersionTransitions": []object{{"NoncurrentDays": 1, "StorageClass": "DEEP_ARCHIVE"}}}), why: "archives noncurrent versions"},
		"nobody may look":  {change: denies("s3:GetBucketVersioning"), why: "whether its bucket is versioned is not known"},
		"nor at rules":     {change: denies("s3:GetLifecycleConfiguration"), why: "the lifecycle rules of its bucket are not known"},
		"nor at versions":  {change: denies("s3:ListBucketVersions"), why: "its objects could not be listed"},
		"nor at the text":  {change: func(l *life) { denies("s3:GetObject")(l); l.settings["RECORDS"] = t.TempDir() }, why: "its manifest could not be read"},
		"no manifest":      {objects: without("web/image.manifest.xml"), why: "there is no manifest"},
		"no part":          {objects: without("web/image.part.01"), why: "web/image.part.01 is not there"},
		"another's part":   {objects: withManifest(manifestOf("image.part.00", "../notes.txt")), why: `the manifest names "../notes.txt"`},
		"no version": {bucket: object{"Versioning": object{"Status": "Enabled"}, "Versions": []object{{
			"Key": "web/image.part.01", "VersionId": "null", "IsLatest": true, "LastModified": "2024-01-01T00:00:00Z",
		}}}, why: "web/image.part.01 is older than the versioning of its bucket"},
		"another form":     {location: bundleBucket + "/web/../web/image.manifest.xml", why: "its location is not that of a plain key"},
		"a newer image":    {change: func(l *life) { l.elsewhere(with(ofStore(9, webManifest), "CreationDate", daysAgo(2))) }, why: imageID(9) + " names the same manifest"},
		"a disabled image": {change: func(l *life) { l.elsewhere(with(ofStore(9, webManifest), "State", "disabled")) }, why: imageID(9) + " names the same manifest"},
		"with a slash":     {change: func(l *life) { l.elsewhere(ofStore(9, "/"+bundleBucket+"/web/./image.manifest.xml")) }, why: imageID(9) + " names the same manifest"},
		"an encoded key":   {change: func(l *life) { l.elsewhere(ofStore(9, bundleBucket+"/w%65b/image.manifest.xml")) }, why: imageID(9) + " may name the same, or parts of it"},
		"a web address": {change: func(l *life) {
			l.elsewhere(ofStore(9, "https://"+bundleBucket+".s3.amazonaws.com/web/image.manifest.xml"))
		}, why: imageID(9) + " may name the same, or parts of it"},
		"another case":      {change: func(l *life) { l.elsewhere(ofStore(9, "AMZN-s3-demo-bucket/web/image.manifest.xml")) }, why: imageID(9) + " may name the same, or parts of it"},
		"an encoded bucket": {change: func(l *life) { l.elsewhere(ofStore(9, "%61mzn-s3-demo-bucket/web/image.manifest.xml")) }, why: imageID(9) + " may name the same, or parts of it"},
		"an image beside":   {objects: beside, change: func(l *life) { l.elsewhere(ofStore(9, bundleBucket+"/web/other.manifest.xml")) }, why: imageID(9) + " is beside it, and may name its parts"},
		"one without parts": {change: func(l *life) { l.elsewhere(ofStore(9, bundleBucket+"/web/gone.manifest.xml")) }, why: imageID(9) + " is beside it, and may name its parts"},
		"unread regions": {change: func(l *life) { l.elsewhere() }, wrap: func(next emulator.Doer) emulator.Doer {
			return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.Host, "eu-west-1") {
					return textResponse(r, "no XML"), nil
				}
				return next.Do(r)
			})
		}, why: "the images of eu-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				objects, location := c.objects, c.location
				if objects == nil {
					objects = webBundle()
				}
				if location == "" {
					location = webManifest
				}
				l := bundled(t, world{images: []object{ofStore(3, location), image(5, 2, 1, 5)}}, c.settings, c.bucket, objects)
				if c.change != nil {
					c.change(l)
				}
				before := l.account.Versions(bundleBucket)
				l.wrap = c.wrap
				run := l.real(0)
				if run.Totals.Deregistered != 1 {
					t.Fatalf("%+v", run.Totals)
				}
				if after := l.account.Versions(bundleBucket); !maps.EqualFunc(before, after, slices.Equal) {
					t.Errorf("the bucket has changed: %v", after)
				}
				if result := bundleOf(run, 3); !strings.Contains(result.Detail, c.why) || c.why != "" && result.Status != ami.BundleKept {
					t.Errorf("%+v", result)
				}
				if text := unwrapped(digest.Text(run)); !strings.Contains(text, "its bundle stays in S3") {
					t.Errorf("the digest:\n%s", text)
				}
			})
		})
	}
}

// denies takes actions from the role.
func denies(actions ...string) func(*life) {
	return func(l *life) { l.write("denied.json", append([]string{}, actions...)) }
}

// oneByOne lets one request after the other pass.
func oneByOne(do emulator.DoerFunc) emulator.Doer {
	turn := make(chan struct{}, 1)
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return do(r)
	})
}

// breaking ends a machine at one of its writes: nothing that it asks for arrives from then on,
// nor does the answer to that write if it is lost.
func breaking(at int, lost bool, writes *int) func(emulator.Doer) emulator.Doer {
	return func(next emulator.Doer) emulator.Doer {
		return oneByOne(func(r *http.Request) (*http.Response, error) {
			isWrite := r.Method == http.MethodPut || r.Method == http.MethodDelete
			if r.Method == http.MethodPost && r.Body != nil {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				isWrite = bytes.Contains(body, []byte("Action=DeregisterImage")) || bytes.Contains(body, []byte("Action=CreateTags"))
			}
			dead := *writes > at
			if isWrite && !dead {
				if *writes++; *writes > at {
					if dead = true; lost {
						_, _ = next.Do(r)
					}
				}
			}
			if dead {
				return nil, errors.New("the machine is gone")
			}
			return next.Do(r)
		})
	}
}

// Wherever a run ends, the next one finishes its work, and an undo of both brings every object
// back, with no other version than before.
func TestABundleAfterACrash(t *testing.T) {
	total := 1000
	for at := 0; at < total; at++ {
		for _, lost := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, settings{"RECORDS": "s3://records/journal"}, nil, webBundle())
				before := l.account.Versions(bundleBucket)
				writes := 0
				l.wrap = breaking(at, lost, &writes)
				first := l.real(0)
				if writes <= at {
					total = at
				}
				if l.state(3) != "gone" && len(visible(l.account)) != len(webBundle()) {
					t.Errorf("%d, %t: %v, and the image is there", at, lost, visible(l.account))
				}
				l.wrap = nil
				second := l.real(1)
				// An image that is there after an attempt counts as restored, and stays.
				isBack := l.state(3) != "gone" && len(visible(l.account)) == len(webBundle()) && second.Totals.Kept == 2
				if !isBack && (l.state(3) != "gone" || len(visible(l.account)) != 3) || second.Failed() {
					t.Errorf("%d, %t: %s, %v, %+v", at, lost, l.state(3), visible(l.account), second.Totals)
				}
				third := l.real(2)
				if third.Failed() || third.Changes() {
					t.Errorf("%d, %t: work is left: %+v", at, lost, third.Totals)
				}
				l.at = night(3)
				l.load()
				for _, run := range []string{first.Run, second.Run} {
					if _, err := l.janitor().Undo().Run(t.Context(), run); err != nil && !errors.Is(err, undo.ErrUnknownRun) {
						t.Errorf("%d, %t: undo: %v", at, lost, err)
					}
				}
				if after := l.account.Versions(bundleBucket); !maps.EqualFunc(before, after, slices.Equal) {
					t.Errorf("%d, %t: undone: %v", at, lost, after)
				}
			})
		}
	}
	if total < 8 {
		t.Errorf("a run has %d writes", total)
	}
}

// An undo of a run that was killed is not undone by the next run.
func TestAnUndoneBundleStays(t *testing.T) {
	for at := range 12 {
		bubble(t, func(t *testing.T) {
			l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, settings{"RECORDS": "s3://records/journal"}, nil, webBundle())
			writes := 0
			l.wrap = breaking(at, true, &writes)
			first := l.real(0)
			if l.state(3) != "gone" {
				return
			}
			l.wrap, l.at = nil, now.Add(time.Hour)
			l.load()
			if _, err := l.janitor().Undo().Run(t.Context(), first.Run); err != nil {
				t.Fatalf("%d: %v", at, err)
			}
			if seen := visible(l.account); len(seen) != len(webBundle()) {
				t.Errorf("%d: %v", at, seen)
			}
			l.save()
			if second := l.real(1); len(visible(l.account)) != len(webBundle()) || second.Failed() {
				t.Errorf("%d: the night after: %v, %+v", at, visible(l.account), second.Totals)
			}
		})
	}
}

// put writes an object of the bucket.
func put(t *testing.T, account *emulator.Account, key, text string) {
	t.Helper()
	client := s3.NewFromConfig(aws.Config{Region: "us-east-1", HTTPClient: account.Client(), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bundleBucket), Key: &key, Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
}

// What somebody writes while a run is at work stays, whenever that is.
func TestABundleThatIsWrittenMeanwhile(t *testing.T) {
	for _, key := range []string{"web/image.manifest.xml", "web/image.part.00", "web/image.part.01"} {
		for _, action := range []string{"DeregisterImage", "ListObjectVersions", "DeleteObject"} {
			bubble(t, func(t *testing.T) {
				l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
				l.wrap = func(next emulator.Doer) emulator.Doer {
					seen := 0
					return oneByOne(func(r *http.Request) (*http.Response, error) {
						isIt := action == "DeleteObject" && r.Method == http.MethodDelete || action == "ListObjectVersions" && r.URL.Query().Has("versions")
						if r.Method == http.MethodPost && r.Body != nil && action == "DeregisterImage" {
							body, _ := io.ReadAll(r.Body)
							r.Body = io.NopCloser(bytes.NewReader(body))
							isIt = bytes.Contains(body, []byte("Action=DeregisterImage"))
						}
						if isIt {
							// The first listing is that of the plan, which knows nothing else yet.
							if seen++; seen == 1 && action != "ListObjectVersions" || seen == 2 && action == "ListObjectVersions" {
								put(t, l.account, key, "written meanwhile")
							}
						}
						return next.Do(r)
					})
				}
				l.real(0)
				if text := string(l.account.Objects(bundleBucket)[key]); text != "written meanwhile" {
					t.Errorf("%s at %s: %q", key, action, text)
				}
				l.wrap = nil
				second := l.real(1)
				if text := string(l.account.Objects(bundleBucket)[key]); text != "written meanwhile" || second.Failed() {
					t.Errorf("%s at %s: %q the night after, %+v", key, action, text, second.Totals)
				}
			})
		}
	}
}

// An undo leaves what somebody has written since.
func TestAnUndoLeavesWhatIsNewer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
		run := l.real(0)
		l.at = night(1)
		l.load()
		put(t, l.account, "web/image.part.00", "newer")
		before := l.account.Versions(bundleBucket)["web/image.part.00"]
		undone, err := l.janitor().Undo().Run(t.Context(), run.Run)
		found := bundlesOf(undone)
		if err != nil || len(found) != 1 || found[0].Status != undo.Incomplete || !strings.Contains(found[0].Why, "web/image.part.00 is no longer what it was") || undone.Complete() {
			t.Errorf("%+v, %v", undone, err)
		}
		if after := l.account.Versions(bundleBucket)["web/image.part.00"]; !slices.Equal(before, after) {
			t.Errorf("%v", after)
		}
		if seen := visible(l.account); len(seen) != len(webBundle()) {
			t.Errorf("%v", seen)
		}
	})
}

// A bundle that the next run cannot finish either is left to the one after it.
func TestABundleThatTakesSeveralNights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
		before := l.account.Versions(bundleBucket)
		denies("s3:DeleteObject")(l)
		first := l.real(0)
		if result := bundleOf(first, 3); result.Status != ami.BundleFailed || !first.Failed() {
			t.Errorf("%+v", result)
		}
		if second := l.real(1); !second.Failed() || !strings.Contains(unwrapped(digest.Text(second)), "1 bundle of instance-store AMIs could not be deleted") {
			t.Errorf("the digest:\n%s", digest.Text(second))
		}
		denies()(l)
		third := l.real(2)
		if third.Failed() || len(visible(l.account)) != 3 || !strings.Contains(unwrapped(digest.Text(third)), "Bundle that run "+first.Run+" left: deleted") {
			t.Errorf("%v\n%s", visible(l.account), digest.Text(third))
		}
		l.at = night(3)
		l.load()
		if undone, err := l.janitor().Undo().Images(t.Context(), []string{imageID(3)}); err != nil || len(bundlesOf(undone)) != 1 {
			t.Errorf("%+v, %v", undone, err)
		}
		if after := l.account.Versions(bundleBucket); !maps.EqualFunc(before, after, slices.Equal) {
			t.Errorf("undone: %v", after)
		}
	})
}

// remove deletes an object of the bucket, as a person does.
func remove(t *testing.T, account *emulator.Account, key string) {
	t.Helper()
	client := s3.NewFromConfig(aws.Config{Region: "us-east-1", HTTPClient: account.Client(), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bundleBucket), Key: &key}); err != nil {
		t.Fatal(err)
	}
}

// undo undoes a run between two nights, and keeps what that changes.
func (l *life) undo(at time.Time, run string) undo.Report {
	l.t.Helper()
	l.wrap, l.at = nil, at
	l.load()
	report, err := l.janitor().Undo().Run(l.t.Context(), run)
	if err != nil {
		l.t.Fatal(err)
	}
	l.save()
	return report
}

// What S3 refuses has no effect: the marker that a person makes just before it is the person's, and
// no undo takes it away.
func TestAPersonDeletesTheSameObject(t *testing.T) {
	for _, key := range []string{"web/image.manifest.xml", "web/image.part.00", "web/image.part.01"} {
		bubble(t, func(t *testing.T) {
			l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
			l.wrap = func(next emulator.Doer) emulator.Doer {
				wasDeleted := false
				return oneByOne(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodDelete && !wasDeleted {
						wasDeleted = true
						remove(t, l.account, key)
					}
					return next.Do(r)
				})
			}
			first := l.real(0)
			l.wrap = nil
			second := l.real(1)
			before := l.account.Versions(bundleBucket)[key]
			if len(before) != 2 || !before[0].IsMarker || second.Failed() {
				t.Fatalf("%s: %v, %+v", key, before, second.Totals)
			}
			l.undo(now.AddDate(0, 0, 1).Add(time.Hour), first.Run)
			if after := l.account.Versions(bundleBucket)[key]; !slices.Equal(before, after) {
				t.Errorf("%s: %v is now %v", key, before, after)
			}
			if seen := visible(l.account); len(seen) != len(webBundle())-1 {
				t.Errorf("%s: %v", key, seen)
			}
		})
	}
}

// An undo that is repeated takes away nothing that a person has deleted after the first.
func TestAnUndoIsRepeatedAfterAPersonHasDeleted(t *testing.T) {
	hidden := 0
	for at := range 12 {
		bubble(t, func(t *testing.T) {
			l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, settings{"RECORDS": "s3://records/journal"}, nil, webBundle())
			writes := 0
			l.wrap = breaking(at, true, &writes)
			first := l.real(0)
			if l.state(3) != "gone" {
				return
			}
			l.undo(now.Add(time.Hour), first.Run)
			if len(visible(l.account)) != len(webBundle()) {
				t.Fatalf("%d: %v", at, visible(l.account))
			}
			for _, key := range []string{"web/image.manifest.xml", "web/image.part.00", "web/image.part.01"} {
				remove(t, l.account, key)
			}
			l.save()
			l.undo(now.Add(2*time.Hour), first.Run)
			if seen := visible(l.account); len(seen) != 3 {
				t.Errorf("%d: %v", at, seen)
			}
			hidden++
		})
	}
	if hidden < 4 {
		t.Error(hidden)
	}
}

// An undo takes away the marker of the run also if somebody has written the same content again
// between the last look at it and its deletion: S3 compares the ETag, and no version.
func TestABundleThatIsWrittenAgainAsItWas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
		const key = "web/image.part.01"
		l.wrap = func(next emulator.Doer) emulator.Doer {
			wasWritten := false
			return oneByOne(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodDelete && !wasWritten {
					wasWritten = true
					put(t, l.account, key, webBundle()[key])
				}
				return next.Do(r)
			})
		}
		run := l.real(0)
		l.undo(now.Add(time.Hour), run.Run)
		if seen := visible(l.account); len(seen) != len(webBundle()) {
			t.Errorf("%v: %v", seen, l.account.Versions(bundleBucket)[key])
		}
	})
}

// An undo beside the run that finishes an earlier one is noted for good, and says that it has to be
// repeated: after that, all is back, and stays.
func TestAnUndoBesideARunThatFinishes(t *testing.T) {
	undone := 0
	for at := range 8 {
		bubble(t, func(t *testing.T) {
			l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, settings{"RECORDS": "s3://records/journal"}, nil, webBundle())
			denies("s3:DeleteObject")(l)
			first := l.real(0)
			denies()(l)
			deletions, early := 0, undo.Report{}
			l.wrap = func(next emulator.Doer) emulator.Doer {
				return oneByOne(func(r *http.Request) (*http.Response, error) {
					isMark := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/removals/") && l.state(3) == "gone"
					if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/web/image.") || isMark {
						if deletions++; deletions == at+1 {
							j := newJanitor(t, l.account.Client(), l.settings)
							j.Clock = l.now
							var err error
							if early, err = j.Undo().Run(t.Context(), first.Run); err != nil {
								t.Error(err)
							}
						}
					}
					return next.Do(r)
				})
			}
			second := l.real(1)
			if second.Failed() {
				t.Errorf("%d: %+v", at, second.Totals)
			}
			if found := bundlesOf(early); len(found) == 1 {
				undone++
				if len(visible(l.account)) != len(webBundle()) && found[0].Status.Back() {
					t.Errorf("%d: %+v, and then %v", at, found, visible(l.account))
				}
			}
			l.wrap = nil
			l.undo(now.AddDate(0, 0, 1).Add(time.Hour), first.Run)
			if seen := visible(l.account); len(seen) != len(webBundle()) {
				t.Errorf("%d: %v", at, seen)
			}
			third := l.real(2)
			if seen := visible(l.account); len(seen) != len(webBundle()) || third.Failed() {
				t.Errorf("%d: the night after: %v, %+v", at, seen, third.Totals)
			}
		})
	}
	if undone < 3 {
		t.Error(undone)
	}
}

// What somebody brings back by hand stays: the next run does not delete it once more.
func TestABundleThatIsBroughtBackByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bundled(t, world{images: []object{ofStore(3, webManifest), image(5, 2, 1, 5)}}, nil, nil, webBundle())
		l.wrap = func(next emulator.Doer) emulator.Doer {
			return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, ".part.01") {
					return nil, errors.New("the network is gone")
				}
				return next.Do(r)
			})
		}
		if first := l.real(0); bundleOf(first, 3).Status != ami.BundleFailed {
			t.Fatalf("%+v", bundleOf(first, 3))
		}
		l.at = now.Add(time.Hour)
		l.load()
		client := s3.NewFromConfig(aws.Config{Region: "us-east-1", HTTPClient: l.account.Client(), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
		for key, versions := range l.account.Versions(bundleBucket) {
			if versions[0].IsMarker {
				_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bundleBucket), Key: &key, VersionId: &versions[0].ID})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		l.save()
		l.wrap = nil
		if second := l.real(1); len(visible(l.account)) != len(webBundle()) || second.Failed() {
			t.Errorf("%v, %+v", visible(l.account), second.Totals)
		}
	})
}
