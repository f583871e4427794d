package trial_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/trial"
)

// Whichever action is denied, and however: what a trial leaves, it names, and a clean-up with all
// permissions removes that. So it is if the credentials expire, for good or for throttling.
func TestEachActionIsDenied(t *testing.T) {
	var actions []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, nil)
		actions = w.runKilled(t, w.client, 0, false)
	})
	slices.Sort(actions)
	for _, action := range slices.Compact(actions) {
		for code, first := range map[string]int{"UnauthorizedOperation": 1, "ExpiredToken": 2, "RequestLimitExceeded": 4} {
			if emulator.IsRead(action) && first > 1 {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, nil)
				refused := disturb.Fail(w.client, action, func(n int, _ emulator.Request) bool { return n >= first }, http.StatusForbidden, code, "No.")
				report, err := w.trial(refused).Run(t.Context())
				now := w.contents(t)
				for id := range now {
					isOther := w.before[id] != "" || id[:4] == "bin/"
					if isNamed := slices.ContainsFunc(report.Left, func(l trial.Left) bool { return l.ID == id || l.ID == "" }); !isOther && !isNamed {
						t.Errorf("%s is left, and not named: %v %s", id, err, asJSON(t, report.Left))
					}
				}
				for id, text := range w.before {
					if now[id] != text {
						t.Errorf("%s was %s and is %s", id, text, now[id])
					}
				}
				w.wantCleanUp(t)
				if t.Failed() {
					t.Fatalf("%s denied from %d on with %s", action, first, code)
				}
			})
		}
	}
}
