package journal

import (
	"context"
	"errors"
)

// sumsTries is how often a run writes the sums again that another one has changed meanwhile.
const sumsTries = 5

// Sums are the running sums over the runs of the journal, as JSON, which mean nothing here. The
// zero value is sums that nobody has read.
type Sums struct {
	JSON []byte // Nil if there are none yet.

	version string
	isRead  bool
}

// Sums reads the running sums.
func (j *Journal) Sums(ctx context.Context) (Sums, error) {
	data, version, err := j.store.get(ctx, sumsKey)
	if errors.Is(err, ErrNotFound) {
		return Sums{isRead: true}, nil
	}
	if err != nil {
		return Sums{}, err
	}
	return Sums{data, version, true}, nil
}

// UpdateSums replaces the running sums by what add makes of them; it gets nil if there are none
// yet. It takes those that a run has read before for the present ones, as long as nobody has
// changed them since; else add is called again with what another run has written. It may get what
// it has made itself, if the answer to the first attempt was lost.
func (j *Journal) UpdateSums(ctx context.Context, sums Sums, add func(sums []byte) ([]byte, error)) error {
	for tries := 1; ; tries++ {
		if !sums.isRead {
			var err error
			if sums, err = j.Sums(ctx); err != nil {
				return err
			}
		}
		data, err := add(sums.JSON)
		if err != nil {
			return j.unreadable(sumsKey, err)
		}
		if sums.version == "" {
			_, err = j.store.putIfAbsent(ctx, sumsKey, data)
		} else {
			_, err = j.store.putIfVersion(ctx, sumsKey, data, sums.version)
		}
		if !errors.Is(err, errChanged) || tries == sumsTries {
			return err
		}
		sums = Sums{}
	}
}
