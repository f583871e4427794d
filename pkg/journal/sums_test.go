package journal_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

func TestSums(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		if _, err := j.Sums(t.Context()); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("there are none: %v", err)
		}
		var together sync.WaitGroup
		for range 3 {
			together.Go(func() {
				must(t, j.UpdateSums(t.Context(), func(sums []byte) ([]byte, error) { return append(sums, 'x'), nil }))
			})
		}
		together.Wait()
		refused := errors.New("not what it should be")
		if err := j.UpdateSums(t.Context(), func([]byte) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
			t.Error(err)
		}
		if sums, err := j.Sums(t.Context()); string(sums) != "xxx" || err != nil {
			t.Errorf("%q, %v", sums, err)
		}
		if runs, err := j.Runs(t.Context()); len(runs) > 0 || err != nil {
			t.Errorf("they are no run: %q, %v", runs, err)
		}
	})
}
