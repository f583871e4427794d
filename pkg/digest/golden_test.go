package digest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestWordings(t *testing.T) {
	for name, run := range situations() {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(name))
			golden(t, dir, "subject.txt", []byte(digest.Subject(run)+"\n"))
			golden(t, dir, "text.txt", []byte(digest.Text(run)))
			golden(t, dir, "full.txt", []byte(digest.Full(run)))
			golden(t, dir, "slack.json", indented(t, digest.Slack(run)))
			golden(t, dir, "record.json", indented(t, marshalled(t, run)))
			golden(t, dir, "result.json", indented(t, marshalled(t, record.Result(run))))
			golden(t, dir, "metrics.json", indented(t, record.Metrics(run, "ami-janitor", true)))
			golden(t, dir, "lines.json", indented(t, marshalled(t, record.Lines(run))))
			if lines := record.LeftoverLines(run); len(lines) > 0 {
				golden(t, dir, "leftovers.json", indented(t, marshalled(t, lines)))
			}
		})
	}
}

func TestWordingsOfOrganizations(t *testing.T) {
	for name, o := range organizations() {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "organization", strings.ReplaceAll(name, " ", "-"))
			golden(t, dir, "subject.txt", []byte(digest.OrganizationSubject(o)+"\n"))
			golden(t, dir, "text.txt", []byte(digest.OrganizationText(o)))
			golden(t, dir, "slack.json", indented(t, digest.OrganizationSlack(o)))
			golden(t, dir, "metrics.json", indented(t, record.OrganizationMetrics(o, "tell", true)))
			if len(o.Accounts) < 20 {
				golden(t, dir, "record.json", indented(t, marshalled(t, droppedKept(o))))
			}
		})
	}
}

func TestExplanations(t *testing.T) {
	for name, explanations := range explanations() {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "explain")
			golden(t, dir, strings.ReplaceAll(name, " ", "-")+".txt", []byte(digest.ExplainText(explanations, 0)))
			golden(t, dir, strings.ReplaceAll(name, " ", "-")+".json", indented(t, marshalled(t, explanations)))
		})
	}
}

func golden(t *testing.T, dir, name string, got []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); make golden rewrites it:\n%s", path, diff)
	}
}

func marshalled(t rapid.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func indented(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}
