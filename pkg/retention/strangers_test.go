package retention_test

import (
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The journal does not know the run of a declaration: then it is another policy's to finish, for 30
// days from the start of that run.
func TestStrangers(t *testing.T) {
	const longAgo = "20261024T020000Z-3f9c1a" // 30 days before now.
	stranger := func(run string) ami.History { return ami.History{Strangers: map[string]bool{run: true}} }
	known := ami.History{Strangers: map[string]bool{}}
	for name, test := range map[string]struct {
		run      string
		history  ami.History
		code     retention.Code // Of the image; empty if the tags don't matter to it.
		clears   bool           // The tags of the snapshot.
		unmapped bool           // No image maps the snapshot.
	}{
		"of another policy":                      {theRun, stranger(theRun), "claimed", false, true},
		"of another policy, and mapped":          {theRun, stranger(theRun), "claimed", false, false},
		"of a policy that does not come back":    {longAgo, stranger(longAgo), "restored", true, true},
		"of this policy":                         {theRun, known, "restored", true, true},
		"without a journal, of nobody knows who": {theRun, ami.History{}, "restored", false, true},
		"without a journal, and mapped":          {theRun, ami.History{}, "restored", true, false},
		"without a journal, long ago":            {longAgo, ami.History{}, "restored", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			image := idle(subject, declared(test.run))
			if !test.unmapped {
				mapping("snap-1")(&image)
			}
			here := inventory(region, image)
			here.Snapshots, here.History = []ami.Snapshot{declaredSnapshot("snap-1", test.run)}, test.history
			plan := policy().Open([]ami.Inventory{here}, now).Plan(unused(here))[0]
			if v := plan.Verdicts[0]; v.Decision != retention.Keep || v.Reasons[0].Code != test.code || (v.Unmark == retention.LeaveMark) != (test.code == "claimed") {
				t.Errorf("%s because of %v, %s", v.Decision, v.Reasons, v.Unmark)
			}
			if clears := len(plan.Stale) > 0; clears != test.clears {
				t.Errorf("stale %v", plan.Stale)
			}
		})
	}
}
