package journal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// pastDocuments are those about one image, by their names below its directory.
var pastDocuments = map[string]string{
	first + "/announcement.json": `{"run": "` + first + `", "region": "eu-west-1", "imageId": "` + image(1) + `", "withdrawnBy": "` + second + `"}`,
	second + ".json": `{"run": "` + second + `", "region": "eu-west-1", "imageId": "` + image(1) + `", "declaredSnapshotIds": [], "status": "failed",
		"error": "OperationNotPermitted: No.", "refused": true, "snapshots": []}`,
	third + ".json": `{"run": "` + third + `", "region": "eu-west-1", "imageId": "` + image(1) + `", "declaredSnapshotIds": [], "status": "deregistered",
		"error": "", "snapshots": [{"snapshotId": "` + snapshot(1) + `", "status": "deleted", "detail": ""}]}`,
	third + "/" + snapshot(2) + ".json": `{"run": "` + third + `", "region": "eu-west-1", "imageId": "` + image(1) + `", "snapshotId": "` + snapshot(2) + `", "finishedBy": "` + third + `"}`,
}

func writePast(t *testing.T, documents map[string]string) *journal.Journal {
	t.Helper()
	dir := t.TempDir()
	for name, text := range documents {
		file := filepath.Join(dir, "removals", region, image(1), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, dir, aws.Config{})
}

func TestPast(t *testing.T) {
	j := writePast(t, pastDocuments)
	got, err := j.Past(t.Context(), region, image(1))
	want := []journal.Action{
		{Run: third, Status: ami.Deregistered, Snapshots: []ami.SnapshotResult{{SnapshotID: snapshot(1), Status: ami.SnapshotDeleted}}},
		{Run: second, Status: ami.Failed, Error: "OperationNotPermitted: No.", Refused: true, Snapshots: []ami.SnapshotResult{}},
		{Run: first, WithdrawnBy: second},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if none, err := j.Past(t.Context(), region, image(2)); len(none) > 0 || err != nil {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := j.Past(t.Context(), region, "../"+image(1)); err == nil {
		t.Error("that is no id")
	}
}

// What no run wrote there is an error, and never an empty past.
func TestAPastThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		second + ".json": "{", third + ".json": `{"run": "` + first + `"}`, first + "/announcement.json": `{"withdrawnBy": "someone"}`, "notes.txt": "",
	} {
		if got, err := writePast(t, map[string]string{name: text}).Past(t.Context(), region, image(1)); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(name, ".json")) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
