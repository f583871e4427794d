package undo_test

import (
	"encoding/json"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/undo"
)

// The fields of the JSON are a contract.
func TestReportAsJSON(t *testing.T) {
	report := undo.Report{
		Run: "20261122T020000Z-3f9c1a",
		Regions: []undo.RegionReport{{Region: "us-east-1", Result: undo.Result{
			Images:    []undo.Image{{ImageID: "ami-0123456789example", Status: undo.Incomplete, Why: "x", Snapshots: []undo.Snapshot{}}},
			Snapshots: []undo.Snapshot{{SnapshotID: "snap-0123456789example", Status: undo.Restored}},
		}}},
		Gone: []undo.Image{},
	}
	text, err := json.Marshal(report)
	want := `{"run":"20261122T020000Z-3f9c1a","regions":[{"region":"us-east-1","error":"",` +
		`"images":[{"imageId":"ami-0123456789example","name":"","status":"incomplete","why":"x","snapshots":[]}],` +
		`"snapshots":[{"snapshotId":"snap-0123456789example","status":"restored","why":""}]}],"gone":[]}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}
