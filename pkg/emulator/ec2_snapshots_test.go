package emulator_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

func TestDeleteSnapshot(t *testing.T) {
	a := images(t)
	client := ec2Client(a.Client())
	for _, test := range []struct{ name, id, code, message string }{
		{"in use", "snap-00000001", "InvalidSnapshot.InUse", "The snapshot snap-00000001 is currently in use by ami-00000001"},
		{"in use by a disabled image", "snap-00000003", "InvalidSnapshot.InUse", "ami-00000002"},
		{"another account's", "snap-00000008", "UnauthorizedOperation", ""},
		{"never existed", "snap-0000000f", "InvalidSnapshot.NotFound", ""},
		{"an id that is none", "snap-xyz", "InvalidSnapshotID.Malformed", ""},
	} {
		_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &test.id})
		equal(t, test.name, code(err), test.code)
		if !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v, want %q in it", test.name, err, test.message)
		}
	}

	if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000013")}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, id, code string }{
		{"still mapped by another account's image", "snap-00000004", "InvalidSnapshot.InUse"},
		{"with a lock that has expired", "snap-00000005", ""},
		{"locked", "snap-00000006", "OperationNotPermitted"},
		{"of AWS Backup", "snap-00000007", "InvalidParameterValue"},
		{"free", "snap-0000000a", ""},
		{"already deleted", "snap-0000000a", "InvalidSnapshot.NotFound"},
	} {
		_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &test.id})
		equal(t, test.name, code(err), test.code)
	}
}

func TestDeletionIsEventuallyConsistent(t *testing.T) {
	a := images(t)
	a.SetInUseLag(2)
	client := ec2Client(a.Client())
	if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000001")}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"snap-00000001", "snap-00000002"} {
		for i, want := range []string{"InvalidSnapshot.InUse", "InvalidSnapshot.InUse", "", "InvalidSnapshot.NotFound"} {
			_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
			if code(err) != want {
				t.Errorf("%s, call %d: got %q, want %q", id, i+1, code(err), want)
			}
		}
	}
}

func TestDescribeSnapshots(t *testing.T) {
	client := ec2Client(images(t).Client())
	for _, test := range []struct {
		name  string
		input ec2.DescribeSnapshotsInput
		want  int
		code  string
	}{
		{"all", ec2.DescribeSnapshotsInput{}, 9, ""},
		{"own, and what does not say whose it is", ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}, 8, ""},
		{"another account's", ec2.DescribeSnapshotsInput{OwnerIds: []string{other}}, 1, ""},
		{"by id", ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-00000002"}}, 1, ""},
		{"one id of two is unknown", ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-00000002", "snap-0000000f"}}, 0, "InvalidSnapshot.NotFound"},
		{"ids by filter", ec2.DescribeSnapshotsInput{Filters: filters("snapshot-id", "snap-00000002,snap-0000000f")}, 1, ""},
		{"by tag", ec2.DescribeSnapshotsInput{Filters: filters("tag-key", "aws:*")}, 1, ""},
		{"pages that are too small", ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(4)}, 0, "InvalidParameterValue"},
		{"pages that are too large", ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(1001)}, 0, "InvalidParameterValue"},
		{"ids and pages", ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5), SnapshotIds: []string{"snap-00000002"}}, 0, "InvalidParameterCombination"},
	} {
		out, err := client.DescribeSnapshots(t.Context(), &test.input)
		equal(t, test.name, code(err), test.code)
		if err == nil && len(out.Snapshots) != test.want {
			t.Errorf("%s: %d snapshots, want %d", test.name, len(out.Snapshots), test.want)
		}
	}
}

func TestDescribeLockedSnapshots(t *testing.T) {
	client := ec2Client(images(t).Client())
	out, err := client.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{MaxResults: aws.Int32(5)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Snapshots) != 2 || out.Snapshots[0].LockState != "expired" || out.Snapshots[1].LockState != "compliance-cooloff" {
		t.Errorf("got %v", out.Snapshots)
	}
	out, err = client.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{Filters: filters("lock-state", "expired")})
	if err != nil || len(out.Snapshots) != 1 {
		t.Errorf("filtered: %v, %v", out, err)
	}
	_, err = client.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{MaxResults: aws.Int32(4)})
	equal(t, "pages that are too small", code(err), "InvalidParameterValue")
}

// Timestamps may be spelt in all the ways the AWS CLI spells them; one that cannot be read does not
// break the rest.
func TestTimestamps(t *testing.T) {
	a := load(t, directory("describe-snapshots.json", `{"Snapshots": [
		{"StartTime": "2026-11-01T10:00:00Z"}, {"StartTime": "2026-11-01T12:00:00.000+02:00"}, {"StartTime": 1793527200},
		{"StartTime": 1793527200.0}, {"StartTime": "yesterday"}, {"StartTime": null}]}`))
	out, err := ec2Client(a.Client()).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range out.Snapshots {
		if i < 4 && (s.StartTime == nil || s.StartTime.Unix() != 1793527200) || i >= 4 && s.StartTime != nil {
			t.Errorf("%d: %v", i, s.StartTime)
		}
	}
}
