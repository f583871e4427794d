package janitor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
