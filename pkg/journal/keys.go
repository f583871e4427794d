package journal

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// The keys of the journal. They consist of checked ids, so that none can point outside of the
// journal.
const (
	accountKey       = "account.json"
	sumsKey          = "sums.json"
	runsPrefix       = "runs/"
	removalsPrefix   = "removals/"
	unfinishedPrefix = "unfinished/"
	locksPrefix      = "locks/"
	recordName       = "/record.json"
	suffix           = ".json"
)

func recordKey(run string) string         { return runsPrefix + run + recordName }
func planKey(run, region string) string   { return runsPrefix + run + "/plan-" + region + suffix }
func markerKey(region, run string) string { return unfinishedPrefix + region + "/" + run }
func lockKey(region string) string        { return locksPrefix + region + suffix }

func removalKey(region, image, run string) string {
	return removalsPrefix + region + "/" + image + "/" + run + suffix
}

// leftoverKey is for a snapshot that one run left and a later one deleted.
func leftoverKey(region, image, run, snapshot string) string {
	return removalsPrefix + region + "/" + image + "/" + run + "/" + snapshot + suffix
}

// withdrawnKey is for an announcement that a later run withdrew.
func withdrawnKey(region, image, run string) string {
	return removalsPrefix + region + "/" + image + "/" + run + "/" + withdrawn + suffix
}

// withdrawn replaces the id of the snapshot in a withdrawnKey.
const withdrawn = "announcement"

var (
	regionName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	imageID    = regexp.MustCompile(`^ami-[0-9a-z]{1,64}$`)
	snapshotID = regexp.MustCompile(`^snap-[0-9a-z]{1,64}$`)
)

func checkRegion(region string) error     { return check(regionName, "region", region) }
func checkImage(image string) error       { return check(imageID, "image", image) }
func checkSnapshot(snapshot string) error { return check(snapshotID, "snapshot", snapshot) }

func checkRun(run string) error {
	if !ami.RunID(run).Valid() {
		return notAnID(run, "run")
	}
	return nil
}

func check(pattern *regexp.Regexp, what, id string) error {
	if !pattern.MatchString(id) {
		return notAnID(id, what)
	}
	return nil
}

func notAnID(id, what string) error { return fmt.Errorf("%q is not the id of a %s", id, what) }

// removal is what the key of a removal says.
type removal struct {
	image, run string
	snapshot   string // Of a leftoverKey, or withdrawn; else empty.
}

// parseRemovalKey parses the part of a removal's key after the region.
func parseRemovalKey(rest string) (removal, bool) {
	parts := strings.Split(strings.TrimSuffix(rest, suffix), "/")
	if !strings.HasSuffix(rest, suffix) || len(parts) < 2 || len(parts) > 3 {
		return removal{}, false
	}
	r := removal{image: parts[0], run: parts[1]}
	if len(parts) == 3 {
		r.snapshot = parts[2]
		if r.snapshot != withdrawn && checkSnapshot(r.snapshot) != nil {
			return removal{}, false
		}
	}
	return r, checkImage(r.image) == nil && checkRun(r.run) == nil
}
