package retention_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// With every switch at its default nothing goes, and nothing is announced, that version 0.1.0 kept.
func TestNothingGoesAtDefaultsThatStayedBefore(t *testing.T) {
	more := 0
	checkTimes(t, 10, func(t *rapid.T, w world) {
		w.policy.JudgeMarketplace, w.policy.JudgeFailed = false, false
		plans := w.plan()
		w.before = true
		for i, plan := range plans {
			for _, v := range plan.Verdicts {
				before := w.judge(w.inventories[i], v.Image).decision
				if before == retention.Keep && v.Decision != retention.Keep {
					t.Errorf("%s: %s because of %q, and was kept before: %+v", v.Image.ID, v.Decision, v.Reasons, v.Image)
				}
				if before != retention.Keep && v.Decision == retention.Keep {
					more++
				}
			}
		}
	})
	if more == 0 {
		t.Error("nothing is kept that went before: the property says too little")
	}
}

// With every switch on nothing goes, and nothing is announced, that a guard keeps; nor does a
// snapshot that a failed image maps and was not made for.
func TestNothingGoesThatAGuardKeeps(t *testing.T) {
	kinds := map[string]int{}
	checkTimes(t, 40, func(t *rapid.T, w world) {
		p := &w.policy
		p.JudgeShared, p.JudgeImageBuilder, p.JudgeMarketplace, p.JudgeFailed = true, true, true, true
		for i, plan := range w.plan() {
			here := w.inventories[i]
			for _, v := range plan.Verdicts {
				if v.Decision == retention.Keep {
					continue
				}
				if why := w.guard(here, v.Image); why != "" {
					t.Errorf("%s: %s because of %q, and it is %s: %+v", v.Image.ID, v.Decision, v.Reasons, why, v.Image)
				}
				kinds["failed"] += count(v.Image.State == "failed")
				kinds["product"] += count(v.Image.Marketplace)
				kinds["deprecated"] += count(w.oracleDeprecated(here, v.Image))
			}
			for _, s := range here.Snapshots {
				if slices.Contains(plan.SnapshotsToDelete(), s.ID) && w.oracleOfOthers(here, s) {
					t.Errorf("%s is deleted, and a failed image maps it that it was not made for: %+v", s.ID, s)
				}
			}
		}
	})
	if t.Logf("%v", kinds); kinds["failed"] == 0 || kinds["product"] == 0 || kinds["deprecated"] == 0 {
		t.Errorf("%v are judged and not kept: the property says too little", kinds)
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// guard says what keeps an image, whatever the switches say; empty if nothing does.
func (w world) guard(here ami.Inventory, image ami.Image) string {
	_, isCopy := w.oracleCopy(here, image)
	shared := w.evidence[here.Region].Images[image.ID].SharedWith
	isOther := image.State != "available" && image.State != "failed" && image.State != "disabled"
	isBackup := image.Tags["aws:backup:source-resource"] != "" || image.OwnerAlias != "" || image.Tags["dlm:managed"] != ""
	for why, is := range map[string]bool{
		"another account's":                  image.OwnerID != account,
		"in state " + image.State:            isOther,
		"disabled by nobody of the janitor":  image.State == "disabled" && !w.oracleDisabledIt(here, image),
		"failed not long ago":                image.State == "failed" && image.CreatedAt.After(now.AddDate(0, 0, -14)),
		"unreadable":                         len(image.Unreadable) > 0 || image.CreatedAt.IsZero(),
		"protected":                          image.Protection != "" && image.Protection != "disabled",
		"managed":                            isBackup,
		"a product that others may launch":   image.Marketplace && (image.Public || len(shared) > 0),
		"tagged to be kept":                  w.oracleKeepTag(image.Tags),
		"on the keep list":                   w.oracleListed(image),
		"in use":                             w.named(image.ID),
		"a copy of what may be in use":       isCopy,
		"used a moment ago":                  slices.ContainsFunc(w.uses(image), func(at time.Time) bool { return at.After(now.AddDate(0, 0, -7)) }),
		"the newest of its family":           w.oracleNewest(here, image),
		"of a locked snapshot":               oracleSnapshot(here, image, func(s ami.Snapshot) bool { return s.Lock == "governance" || s.Lock == "compliance" }),
		"shared, and nobody knows if used":   !w.oracleReported(image, w.evidence[here.Region].Images[image.ID]),
		"another policy's, which comes back": w.oracleElsewhere(here, image),
	} {
		if is {
			return why
		}
	}
	return ""
}
