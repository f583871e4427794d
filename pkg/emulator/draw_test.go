package emulator_test

import (
	"fmt"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func TestDraw(t *testing.T) {
	seen := map[float64]string{}
	sum := 0.0
	const n = 2000
	for i := range n {
		words := []string{"DeregisterImage", fmt.Sprintf("ami-%08x", i)}
		d := emulator.Draw(1, words...)
		if d < 0 || d >= 1 || seen[d] != "" || d != emulator.Draw(1, words...) || d == emulator.Draw(2, words...) {
			t.Fatalf("%v is %v", words, d)
		}
		seen[d] = words[1]
		sum += d
	}
	if mean := sum / n; mean < 0.45 || mean > 0.55 {
		t.Errorf("the mean is %v", mean)
	}
	if emulator.Draw(1, "ab", "c") == emulator.Draw(1, "a", "bc") || emulator.Draw(1) == emulator.Draw(1, "") {
		t.Error("words run into one another")
	}
}
