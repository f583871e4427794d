package janitor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// announcing writes down in a directory of records what a run has announced in us-east-1: for a
// day, with what was done besides, by a policy.
func announcing(t *testing.T, records, run, policy, day, action string, images ...int) {
	t.Helper()
	announced := []object{}
	for _, n := range images {
		announced = append(announced, object{"imageId": imageID(n), "due": day + "T00:00:00Z", "action": action})
	}
	for name, document := range map[string]object{
		"account.json": {"account": accountID},
		"runs/" + run + "/plan-us-east-1.json": {
			"run": run, "region": "us-east-1", "account": accountID, "at": "2026-11-01T02:00:00Z", "declared": []object{}, "policy": policy, "announced": announced,
		},
	} {
		path := filepath.Join(records, filepath.FromSlash(name))
		data, err := json.Marshal(document)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o750)
		}
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// announcement is the tags with which a run of a policy announces a removal, and disables the image
// if it says so.
func announcement(run, policy, day string, disables bool) []object {
	tags := []object{{"Key": "ami-janitor:due", "Value": day}, {"Key": "ami-janitor:announced-by", "Value": run + " " + policy}}
	if disables {
		tags = append(tags, object{"Key": "ami-janitor:disabled", "Value": run})
	}
	return tags
}
