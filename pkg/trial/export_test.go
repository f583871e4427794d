package trial

import "time"

// Made is a line pair of a ledger: what a trial was about to make, and its id if AWS has answered.
type Made struct {
	IsImage bool
	Key, ID string
}

// WriteLedger writes the ledger of a trial that was killed.
func WriteLedger(dir, trial, account, region string, at time.Time, all ...Made) error {
	b, err := openBook(dir)
	if err != nil {
		return err
	}
	defer b.close() //nolint:errcheck // Of a test.
	l, err := b.begin(trial, account, region, at)
	if err != nil {
		return err
	}
	for _, m := range all {
		of := snapshot
		if m.IsImage {
			of = image
		}
		t, err := l.will(of, m.Key, at)
		if err == nil && m.ID != "" {
			err = l.made(t, m.ID, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Describe is the description that the trial gives.
var Describe = describe
