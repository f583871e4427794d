package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name, event string
		dry, fails  bool
	}{
		{"no event at all", ``, false, false},
		{"blank", " \n", false, false},
		{"null", `null`, false, false},
		{"no wish", `{}`, false, false},
		{"a dry run", `{"dryRun": true}`, true, false},
		{"a run as it is configured", `{"dryRun": false}`, false, false},
		{"twice, the safer first", `{"dryRun": true, "dryRun": false}`, true, false},
		{"twice, the safer last", `{"dryRun": false, "dryRun": true}`, true, false},
		{"in another case", `{"DRYRUN": true}`, true, false},
		{"in two cases", `{"dryRun": true, "DryRun": false}`, true, false},
		{"a string", `{"dryRun": "true"}`, false, true},
		{"a number", `{"dryRun": 1}`, false, true},
		{"null for a wish", `{"dryRun": null}`, false, true},
		{"a misspelt key", `{"dry_run": true}`, false, true},
		{"a bold key", `{"staleAfter": "1d"}`, false, true},
		{"a key beside", `{"dryRun": true, "maxDeregistrations": 10000}`, false, true},
		{"a list", `[{"dryRun": true}]`, false, true},
		{"a word", `"dryRun"`, false, true},
		{"a number alone", `0`, false, true},
		{"cut off", `{"dryRun": true`, false, true},
		{"two events", `{"dryRun": true}{}`, false, true},
		{"of a rule", `{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}`, false, false},
		{"of a rule, with a wish", `{"source": "x", "detail-type": "y", "detail": {"dryRun": true}}`, true, false},
		{"of a rule, with a misspelt wish", `{"source": "x", "detail": {"dry_run": true}}`, false, true},
		{"of Scheduler", `{"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}`, false, false},
		{"of Scheduler, with a wish", `{"source": "aws.scheduler", "detail": "{\"dryRun\": true}"}`, true, false},
		{"of Scheduler, with nonsense", `{"source": "aws.scheduler", "detail": "dry"}`, false, true},
		{"an envelope without content", `{"source": "aws.events"}`, false, false},
		{"an envelope around null", `{"source": "aws.events", "detail": null}`, false, false},
		{"an envelope around a list", `{"source": "aws.events", "detail": []}`, false, true},
		{"an envelope in an envelope", `{"source": "a", "detail": {"source": "b", "detail": {"dryRun": true}}}`, true, false},
		{"a detail without an envelope", `{"detail": {"dryRun": true}}`, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseEvent([]byte(c.event))
			if (err != nil) != c.fails || bool(got.DryRun) != c.dry {
				t.Errorf("dry run %v, error %v; want %v, %v", got.DryRun, err, c.dry, c.fails)
			}
		})
	}
}

// Whoever writes dryRun: true, wherever, does not want a real run. A wish beside an envelope, or in
// a part of it that a repeated key hides, is heard or refused, never dropped.
func TestAWishIsNeverDropped(t *testing.T) {
	for _, event := range []string{
		`{"source": "me", "dryRun": true}`,
		`{"dryRun": true, "detail-type": "by hand"}`,
		`{"source": "me", "dryRun": true, "detail": {}}`,
		`{"source": "a", "detail": {"dryRun": true}, "detail": {}}`,
		`{"source": "a", "detail": {"dryRun": true}, "Detail": {}}`,
		`{"source": "me", "dry_run": true}`,
		`{"source": "me", "details": {"dryRun": true}}`,
		`{"source": "me", "detail-type": "x", "input": {"dryRun": true}}`,
	} {
		if got, err := parseEvent([]byte(event)); err == nil && !bool(got.DryRun) {
			t.Errorf("%s leads to a real run", event)
		}
	}
}

func sampleEvents(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../events/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no sample events", err)
	}
	events := map[string][]byte{}
	for _, path := range paths {
		if events[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestEverySampleEventIsUnderstood(t *testing.T) {
	for name, text := range sampleEvents(t) {
		got, err := parseEvent(text)
		if err != nil || bool(got.DryRun) != strings.Contains(name, "dry") {
			t.Errorf("%s: dry run %v, error %v", name, got.DryRun, err)
		}
	}
}

// An event can make a run safer, never bolder, and nothing makes its reader panic. What has a wish
// anywhere at its top, or in the detail of an envelope, is dry or refused.
func FuzzEvent(f *testing.F) {
	for _, text := range sampleEvents(f) {
		f.Add(text)
	}
	f.Add([]byte(`{"source": "a", "detail": "{\"dryRun\": true}"}`))
	f.Add([]byte(`{"detail-type": "a", "detail": {"DRYRUN": true}}`))
	f.Add([]byte(`{"dryRun": true, "ſource": ""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseEvent(text)
		if err != nil && bool(got.DryRun) {
			t.Error("an event that is refused has a wish")
		}
		wish, fault := wishes(text)
		if err == nil && fault == nil && wish && !bool(got.DryRun) {
			t.Errorf("%s leads to a real run", text)
		}
		if err == nil && len(strings.TrimSpace(string(text))) > 0 && !json.Valid(text) {
			t.Errorf("%q is no JSON, and is taken", text)
		}
	})
}

// wishes says whether an event, or the detail in its envelope, has the key dryRun with the value
// true.
func wishes(text []byte) (bool, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return false, err
	}
	for key, value := range fields {
		var quoted string
		switch {
		case strings.EqualFold(key, "dryRun") && string(value) == "true":
			return true, nil
		case strings.EqualFold(key, "detail"):
			if json.Unmarshal(value, &quoted) == nil {
				value = []byte(quoted)
			}
			if inner, err := wishes(value); err == nil && inner {
				return true, nil
			}
		}
	}
	return false, nil
}
