package journal

import (
	"context"
	"errors"
)

// sumsTries is how often a run writes the sums again that another one has changed meanwhile.
const sumsTries = 5

// Sums returns the running sums over the runs of the journal, as JSON, which mean nothing here. The
// error is ErrNotFound if there are none yet.
func (j *Journal) Sums(ctx context.Context) ([]byte, error) {
	data, _, err := j.store.get(ctx, sumsKey)
	return data, err
}

// UpdateSums replaces the running sums by what add makes of them; it gets nil if there are none
// yet. Where another run writes at the same time, add is called again with what that one has
// written. It may get what it has made itself, if the answer to the first attempt was lost.
func (j *Journal) UpdateSums(ctx context.Context, add func(sums []byte) ([]byte, error)) error {
	for tries := 1; ; tries++ {
		data, version, err := j.store.get(ctx, sumsKey)
		isNew := errors.Is(err, ErrNotFound)
		if err != nil && !isNew {
			return err
		}
		if data, err = add(data); err != nil {
			return j.unreadable(sumsKey, err)
		}
		if isNew {
			_, err = j.store.putIfAbsent(ctx, sumsKey, data)
		} else {
			_, err = j.store.putIfVersion(ctx, sumsKey, data, version)
		}
		if !errors.Is(err, errChanged) || tries == sumsTries {
			return err
		}
	}
}
