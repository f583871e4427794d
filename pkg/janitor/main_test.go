package janitor_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// Nearly all that these tests allocate are requests and answers, which are garbage at once. To
// collect it as often as usual would take a third of their time.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}
