package retention

import (
	"maps"
	"reflect"

	"ami-janitor/pkg/ami"
)

// Recheck says why an image that was to be removed or disabled stays after all, given what is found just before that: its
// facts, nil if it is not listed any more, and a finding about its use. It reports false if nothing has changed.
func Recheck(planned ami.Image, found *ami.Image, finding ami.Finding) (Reason, bool) {
	if used := used(finding); used != "" {
		return Reason{usedSincePlanned.Code, used}, true
	}
	if unproven := unproven(finding); unproven != "" {
		return Reason{"unknown-use", unproven}, true
	}
	if found == nil {
		return Reason{changedSincePlanned.Code, "EC2 does not list it any more"}, true
	}
	if change := change(planned, *found); change != "" {
		return Reason{changedSincePlanned.Code, change}, true
	}
	return Reason{}, false
}

// change says what is different in the facts of an image; empty if nothing is.
func change(before, after ami.Image) string {
	switch {
	case before.State != after.State:
		return "it is in state " + after.State + " now"
	case !maps.Equal(before.Tags, after.Tags):
		return "its tags have changed"
	case !before.LastLaunchedAt.Equal(after.LastLaunchedAt):
		return "a launch is on record now, of " + date(after.LastLaunchedAt)
	case !reflect.DeepEqual(before, after):
		return "its facts have changed"
	default:
		return ""
	}
}
