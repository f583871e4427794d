package janitor_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

var allSources = strings.Join(usage.DefaultSources(), ",")

// The record says the policy in words and values.
func TestTheRecordSaysThePolicy(t *testing.T) {
	account := world{}.load(t)
	record := run(t, account.Client(), settings{"STALE_AFTER": "90d", "KEEP_TAGS": "a=b", "REGIONS": "us-east-1", "TOPIC_ARN": mailTopic}, true)
	for key, want := range map[string]string{
		"staleAfter": "90d", "neverLaunchedAfter": "90d", "keepNewest": "1", "keepTags": "a=b", "maxDeregistrations": "100", "deleteSnapshots": "true",
		"usageSources": allSources, "regions": "us-east-1", "exceptRegions": "", "snapshotPrice": "0.05", "names": "", "onlyTags": "", "familyTag": "",
		"launchTemplateVersions": "all", "keepList": "", "sharedImages": "keep", "imageBuilderImages": "keep", "marketplaceImages": "keep", "failedImages": "keep", "grace": "0d", "graceAction": "announce", "ownerTag": "",
		"bundles": "keep", "bundleBuckets": "",
		"recycleBinDays": "0", "requireRecycleBin": "false", "orphanedSnapshots": "report", "orphanedAfter": "90d", "maxOrphanedSnapshots": "20", "ec2Share": "0.5", "records": "",
		"policyName": "cli", "allowShorter": "false", "keepListMaxAge": "", "textObjects": "", "cloudformationTemplates": "false",
	} {
		if got, ok := record.Policy[key]; !ok || got != want {
			t.Errorf("%s: %q (there: %v), want %q", key, got, ok, want)
		}
	}
	if got, want := len(record.Policy), 36; got != want {
		t.Errorf("the record has %d settings, want %d: add the new one to this test", got, want)
	}
	if !strings.Contains(record.PolicySentence, "90 days") {
		t.Errorf("%q", record.PolicySentence)
	}
}

// Whatever is taken as a configuration gives a run that respects the floor and the cap, and a
// record that can be written. A record that cannot be marshalled ends the function after the
// removals, and before anybody is told.
func FuzzConfig(f *testing.F) {
	variables := []string{}
	for _, setting := range config.Settings() {
		variables = append(variables, setting.Variable)
	}
	for i := range variables {
		f.Add(i, "")
	}
	f.Add(slices.Index(variables, "SNAPSHOT_PRICE"), "1e308")
	f.Add(slices.Index(variables, "NAMES"), "*[!,?")
	w := mixed()
	files := w.files(f)
	f.Fuzz(func(t *testing.T, i int, value string) {
		variable := variables[int(uint(i)%uint(len(variables)))]
		parsed, err := config.Parse(func(name string) string {
			if name == variable {
				return value
			}
			return bare[name]
		})
		if err != nil {
			return // pkg/config sees to that.
		}
		if slices.Contains(parsed.LocalPaths(), "KEEP_LIST") {
			parsed.KeepLists = nil // No fuzzer is to choose what is read from this machine.
		}
		account := fuzzAccount(t, files)
		j := newJanitor(t, account.Client(), nil)
		j.Config = parsed
		run := j.Run(t.Context(), "run", false)
		checkRecord(t, run, parsed.Policy.MaxDeregistrations)
		if _, err := json.Marshal(run); err != nil {
			t.Errorf("%s=%q: the record cannot be written: %v", variable, value, err)
			return
		}
		_, _, _ = record.Result(run), digest.Slack(run), digest.Text(run)
	})
}

func fuzzAccount(t *testing.T, files fstest.MapFS) *emulator.Account {
	t.Helper()
	account, err := emulator.Load(files, emulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return account
}
