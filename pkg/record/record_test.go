package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestTheThreeNamesOfASetting(t *testing.T) {
	for variable, want := range map[string][2]string{
		"STALE_AFTER": {"--stale-after", "StaleAfter"}, "EC2_SHARE": {"--ec2-share", "EC2Share"}, "NAMES": {"--names", "Names"},
		"RECORDS": {"--records", ""}, "POLICY_NAME": {"--policy-name", ""},
	} {
		if got := [2]string{record.Flag(variable), record.Parameter(variable)}; got != want {
			t.Errorf("%s: %q, want %q", variable, got, want)
		}
	}
}

func TestTimesAreWholeSecondsInUTC(t *testing.T) {
	r := record.Run{StartedAt: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).In(time.FixedZone("", 3600)).Add(time.Millisecond)}
	r.Finish(time.Date(2026, 11, 23, 2, 3, 12, 0, time.UTC).Add(time.Nanosecond), 0.05)
	var data strings.Builder
	if err := r.Encode(&data, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(data.String(), `"startedAt":"2026-11-23T02:00:00Z","finishedAt":"2026-11-23T02:03:12Z"`) {
		t.Error(data.String())
	}
}

// An undo has to know whether an image was whole before.
func TestTheRecordSaysWhatHadFailed(t *testing.T) {
	for state, want := range map[string]bool{"failed": true, "available": false} {
		for _, decision := range []retention.Decision{retention.Deregister, retention.Keep} {
			v := retention.Verdict{Image: ami.Image{ID: "ami-1", State: state}, Decision: decision}
			if got := record.NewImage(&v, "us-east-1", nil, "").HasFailed; got != (want && decision == retention.Deregister) {
				t.Errorf("%s, %s: %t", state, decision, got)
			}
		}
	}
}
