package retention

import (
	"maps"
	"reflect"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Recheck compares an image with its planned facts just before it is removed or disabled, and
// returns why it must stay. found is nil if the image is not listed any longer; finding is about
// its use. It reports false if nothing has changed.
//
// Run is the run that declared the removal of the image since it was planned: its tags are no
// change, but must be there. It is empty for an image to disable, which is not declared.
func Recheck(planned ami.Image, found *ami.Image, finding ami.Finding, run string) (Reason, bool) {
	if used := usedBy(finding); used != "" {
		return Reason{ami.ReasonUsedSincePlanned, used}, true
	}
	if unproven := missingProof(finding); unproven != "" {
		return Reason{ami.ReasonUnknownUse, unproven}, true
	}
	if found == nil {
		return Reason{ami.ReasonChangedSincePlanned, "EC2 does not list it any more"}, true
	}
	if change := difference(planned, *found, run); change != "" {
		return Reason{ami.ReasonChangedSincePlanned, change}, true
	}
	return Reason{}, false
}

// RecheckSnapshot compares a snapshot with its planned facts just before its deletion, and returns
// why it must stay, with its image. found is nil if it is not listed any longer. It reports false
// if nothing has changed. Run is the run that declared the deletion; empty if none has. Locks are
// not compared: EC2 deletes no locked snapshot.
func RecheckSnapshot(planned ami.Snapshot, found *ami.Snapshot, run string) (Reason, bool) {
	if found == nil {
		return Reason{ami.ReasonChangedSincePlanned, "EC2 does not list " + planned.ID + " any more"}, true
	}
	before, after := planned, *found
	before.Lock, after.Lock = "", ""
	other := ""
	if run != "" {
		before.Tags, after.Tags, other = undeclared(planned.Tags), undeclared(found.Tags), otherDeclaration(found.Tags, run)
	}
	switch {
	case other != "":
		return Reason{ami.ReasonChangedSincePlanned, planned.ID + ": " + other}, true
	case !maps.Equal(before.Tags, after.Tags):
		return Reason{ami.ReasonChangedSincePlanned, "the tags of " + planned.ID + " have changed"}, true
	case !reflect.DeepEqual(before, after):
		return Reason{ami.ReasonChangedSincePlanned, "the facts of " + planned.ID + " have changed"}, true
	default:
		return Reason{}, false
	}
}

// RecheckSharing returns why a snapshot must stay, with its image, if it is found to be shared just
// before its deletion. It reports false if it is not.
func RecheckSharing(snapshotID string, found ami.Sharing) (Reason, bool) {
	if why := sharingUnknown(found); why != "" {
		return Reason{ami.ReasonUnknownUse, snapshotID + ": " + why}, true
	}
	if len(found.With) > 0 {
		return Reason{ami.ReasonChangedSincePlanned, snapshotID + " is shared with " + summary(found.Names()) + " now"}, true
	}
	return Reason{}, false
}

// difference says what has changed in the facts of an image; empty if nothing has.
func difference(before, after ami.Image, run string) string {
	if run != "" {
		if other := otherDeclaration(after.Tags, run); other != "" {
			return other
		}
		before.Tags, after.Tags = undeclared(before.Tags), undeclared(after.Tags)
	}
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

// otherDeclaration says why the tags of an image or a snapshot do not declare its removal by a run;
// empty if they do.
func otherDeclaration(tags map[string]string, run string) string {
	switch {
	case tags[ami.IntentTag] != ami.Intent:
		return "the tag that declared its removal is gone"
	case tags[ami.RunTag] != run:
		return "another run has declared its removal"
	default:
		return ""
	}
}

// undeclared returns tags without those that declare a removal.
func undeclared(tags map[string]string) map[string]string {
	others := map[string]string{}
	for key, value := range tags {
		if key != ami.IntentTag && key != ami.RunTag {
			others[key] = value
		}
	}
	return others
}
