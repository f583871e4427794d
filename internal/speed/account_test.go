package speed

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

const (
	accountID = "123456789012"
	region    = "us-east-1"
	topic     = "arn:aws:sns:us-east-1:123456789012:ami-janitor"
)

type object = map[string]any

// newAccount is an account with so many stale images, each with a snapshot of its own, and one that
// was made today. The rules of the Recycle Bin are those of template.yaml.
func newAccount(t *testing.T, stale int) *emulator.Account {
	t.Helper()
	var images, snapshots []object
	for n := range stale + 1 {
		made := time.Now().Add(-time.Duration(400*24+stale-n) * time.Hour)
		if n == stale {
			made = time.Now().Add(-time.Hour)
		}
		snapshotID, created := fmt.Sprintf("snap-%017x", n), made.UTC().Format(time.RFC3339)
		images = append(images, object{
			"ImageId": imageID(n), "Name": fmt.Sprintf("build-%08d", n), "OwnerId": accountID, "State": "available", "CreationDate": created,
			"Architecture": "arm64", "Description": "Made by the nightly build.", "RootDeviceType": "ebs", "Public": false,
			"Tags": []object{{"Key": "Name", "Value": "build"}, {"Key": "team", "Value": "platform"}, {"Key": "commit", "Value": fmt.Sprintf("%040x", n)}},
			"BlockDeviceMappings": []object{{"DeviceName": "/dev/xvda", "Ebs": object{
				"SnapshotId": snapshotID, "VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": true, "Encrypted": true,
			}}},
		})
		snapshots = append(snapshots, object{
			"SnapshotId": snapshotID, "OwnerId": accountID, "State": "completed", "VolumeSize": 8, "StartTime": created,
			"Description": fmt.Sprintf("Created by CreateImage(i-%017x) for %s", n, imageID(n)),
			"Tags":        []object{{"Key": "team", "Value": "platform"}},
		})
	}
	files := fstest.MapFS{}
	for name, content := range map[string]object{
		"get-caller-identity.json": {"Account": accountID, "Arn": "arn:aws:iam::" + accountID + ":root"},
		"describe-images.json":     {"Images": images},
		"describe-snapshots.json":  {"Snapshots": snapshots},
		"list-rules.json":          {"Rules": []object{rule(1, "EC2_IMAGE"), rule(2, "EBS_SNAPSHOT")}},
	} {
		data, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	account, err := emulator.Load(files, emulator.Options{Region: region, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func imageID(n int) string { return fmt.Sprintf("ami-%017x", n) }

func rule(n int, kind string) object {
	return object{
		"Identifier": fmt.Sprintf("rule%07d", n), "ResourceType": kind, "Status": "available",
		"RetentionPeriod": object{"RetentionPeriodUnit": "DAYS", "RetentionPeriodValue": 14},
		"ResourceTags":    []object{{"ResourceTagKey": "ami-janitor:intent", "ResourceTagValue": "remove"}},
	}
}

// settings are those of template.yaml, except that nothing bounds what a run removes.
func settings(images int, share string) map[string]string {
	return map[string]string{
		"MAX_DEREGISTRATIONS": fmt.Sprint(images), "RECYCLE_BIN_DAYS": "14", "REQUIRE_RECYCLE_BIN": "true", "EC2_SHARE": share,
		"RECORDS": "s3://ami-janitor-records", "TOPIC_ARN": topic, "DRY_RUN": "false",
	}
}
