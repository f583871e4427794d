package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/config"
)

// Bundles are deleted only in buckets that somebody has named, and not by an organization's run.
func TestWhereBundlesAreNotDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		more settings
		says string
	}{
		"in a bucket":       {settings{"BUNDLE_BUCKETS": "amzn-s3-demo-bucket"}, ""},
		"in two, one twice": {settings{"BUNDLE_BUCKETS": " abc, def,abc "}, ""},
		"nowhere":           {nil, "BUNDLES: delete needs BUNDLE_BUCKETS"},
		"in no bucket":      {settings{"BUNDLE_BUCKETS": "s3://bucket"}, `"s3://bucket" is not the name of a bucket`},
		"in a folder":       {settings{"BUNDLE_BUCKETS": "bucket/web"}, `"bucket/web" is not the name of a bucket`},
		"in all":            {settings{"BUNDLE_BUCKETS": "*"}, `"*" is not the name of a bucket`},
		"somehow":           {settings{"BUNDLES": "remove"}, `BUNDLES: "remove" is neither keep nor delete`},
	} {
		given := settings{"BUNDLES": "delete"}
		maps.Copy(given, c.more)
		lookup := func(variable string) string { return given[variable] }
		parsed, err := config.Parse(lookup)
		if c.says == "" {
			if err != nil || !parsed.Policy.DeleteBundles || parsed.Describe()["bundles"] != "delete" {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := config.ParseOrganization(lookup); err == nil || !strings.Contains(err.Error(), "BUNDLES: delete is not for a run over an organization") {
				t.Errorf("%s: an organization: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	parsed := settings{"BUNDLES": "delete", "BUNDLE_BUCKETS": "abc, def,abc"}.parse(t)
	if got := parsed.Describe()["bundleBuckets"]; got != "abc,def" || !strings.Contains(parsed.Policy.String(), " The bundles of instance-store images in abc, def are deleted with them, behind delete markers.") {
		t.Errorf("%s: %s", got, parsed.Policy)
	}
	if sentence := (settings{}).parse(t).Policy.String(); strings.Contains(sentence, "bundle") {
		t.Errorf("%s", sentence)
	}
}
