package journal_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

func TestSums(t *testing.T) {
	inEach(t, func(t *testing.T, j *journal.Journal) {
		none, err := j.Sums(t.Context())
		if none.JSON != nil || err != nil {
			t.Errorf("there are none: %q, %v", none.JSON, err)
		}
		var together sync.WaitGroup
		for _, known := range []journal.Sums{none, none, {}} {
			together.Go(func() {
				must(t, j.UpdateSums(t.Context(), known, func(sums []byte) ([]byte, error) { return append(sums, 'x'), nil }))
			})
		}
		together.Wait()
		refused := errors.New("not what it should be")
		if err := j.UpdateSums(t.Context(), journal.Sums{}, func([]byte) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
			t.Error(err)
		}
		if sums, err := j.Sums(t.Context()); string(sums.JSON) != "xxx" || err != nil {
			t.Errorf("%q, %v", sums.JSON, err)
		}
		if runs, err := j.Runs(t.Context()); len(runs) > 0 || err != nil {
			t.Errorf("they are no run: %q, %v", runs, err)
		}
	})
}
