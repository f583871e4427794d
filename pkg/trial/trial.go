// Package trial takes a throw-away image of its own the whole way in a real account, with the code
// of a run: it makes the image, announces its removal, takes that back, removes it with its
// snapshot, finds both in the Recycle Bin, brings them back, compares, and removes them again. On
// the way it measures what AWS leaves open.
//
// It changes nothing but what it has made. Its ledger says what that is, and the fence around all
// of its clients lets no other change pass.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Tag is on all that a trial makes, from the beginning. Its value is the id of the trial. The rules
// of a run keep an image that carries it: they do not know the tag.
const Tag = ami.TagPrefix + "trial"

// sizeGiB is the size of the volume of the trial's snapshot: the least that EBS has.
const sizeGiB = 1

// Trial is a trial in one region of an account.
type Trial struct {
	AWS     aws.Config
	Account string // 12 digits: whose credentials these are.
	Region  string
	Dir     string // The directory of the ledgers; it is made if needed.

	RequireBin    bool    // Without a rule of the Recycle Bin there is no trial.
	PricePerMonth float64 // Of a GiB of snapshots, in US dollars.

	Clock  func() time.Time
	Random io.Reader    // For the id of the trial.
	Tell   func(string) // Called with what the trial does next; may be nil.
}

// Estimate is what a trial is going to make, and what it costs.
type Estimate struct {
	GiB   int // The size of the snapshot's volume. The trial writes one block of 512 KiB.
	Cents int // At most, in hundredths of a US dollar, for snapshots until the bin lets them go.
	// For how many days the Recycle Bin holds what a trial leaves; 0 if it takes in nothing.
	ImageDays, SnapshotDays int
	Until                   time.Time // When the last of it leaves the bin; zero for 0 days.
	BinGap                  string    // Why it is not known what the bin takes in; empty if it is.
}

// ErrNoRule means that the Recycle Bin would take in nothing, although that is required.
var ErrNoRule = errors.New("no rule of the Recycle Bin takes in images and snapshots tagged " + ami.IntentTag + "=" + ami.Intent)

const (
	// longestTrial is how long a trial takes at most, as docs/trial.md says.
	longestTrial = 3 * time.Hour
	// longestEnd is how much of that its clean-up takes at most.
	longestEnd = time.Hour
)

// Estimate reads the rules of the Recycle Bin, and changes nothing. If the bin is required and
// takes in nothing, the error is ErrNoRule.
func (t *Trial) Estimate(ctx context.Context) (Estimate, error) {
	bin := recyclebin.Read(ctx, wire.RecycleBin(t.AWS, t.Region), wire.EC2(t.AWS, t.Region))
	e := Estimate{GiB: sizeGiB, BinGap: bin.Err}
	e.ImageDays, e.SnapshotDays = retention.BinDays(bin)
	days := max(e.ImageDays, e.SnapshotDays)
	if days > 0 {
		e.Until = t.Clock().Add(longestTrial).AddDate(0, 0, days)
	}
	// As if all of the volume were written, and its snapshots were billed for a day more.
	e.Cents = int(math.Ceil(sizeGiB * t.PricePerMonth * 100 * float64(e.SnapshotDays+1) / 30))
	if t.RequireBin && bin.Read && (e.ImageDays == 0 || e.SnapshotDays == 0) {
		return e, ErrNoRule
	}
	return e, nil
}

// Run carries out a trial, and returns what it has learnt. It cleans up after itself, also if it is
// interrupted: then that takes some minutes more, and the report says so. An error means that
// nothing was made.
func (t *Trial) Run(ctx context.Context) (Report, error) {
	estimate, err := t.Estimate(ctx)
	if err != nil {
		return Report{}, err
	}
	book, err := openBook(t.Dir)
	if err != nil {
		return Report{}, err
	}
	defer book.close() //nolint:errcheck // Every line is on the disk already.
	began := t.Clock()
	id := string(ami.NewRunID(began, t.Random))
	l, err := book.begin(id, t.Account, t.Region, began)
	if err != nil {
		return Report{}, err
	}
	j := t.journey(l)
	j.estimate = estimate
	j.report = Report{Schema: Schema, Trial: id, Region: t.Region, BeganAt: began.UTC(), Steps: []Step{}, Measurements: []Measurement{}, Left: []Left{}}
	j.run(ctx)
	if ctx.Err() != nil {
		j.report.Interrupted = true
		t.tell("Interrupted: cleaning up")
	}
	// An interrupted trial must not leave anything either.
	final, stop := context.WithTimeout(context.WithoutCancel(ctx), longestEnd)
	defer stop()
	j.report.Left, j.report.InBin = j.clear(final)
	j.report.EndedAt = t.Clock().UTC()
	j.report.anonymous(t.Dir)
	return j.report, nil
}

// Cleaned says what CleanUp has found.
type Cleaned struct {
	Trials  []string   `json:"trials"`  // The unfinished trials of the account.
	Removed []string   `json:"removed"` // What was there, and is removed; by id.
	Left    []Left     `json:"left"`    // What may be there still, and why.
	InBin   []Retained `json:"inBin"`
}

// CleanUp removes what killed trials have left in the account, whatever their region. It leaves
// alone, and names, what it cannot prove to be theirs. The error is ErrRunning while a trial is at
// work.
func (t *Trial) CleanUp(ctx context.Context) (Cleaned, error) {
	cleaned := Cleaned{Trials: []string{}, Removed: []string{}, Left: []Left{}, InBin: []Retained{}}
	book, err := openBook(t.Dir)
	if err != nil {
		return cleaned, err
	}
	defer book.close() //nolint:errcheck // Every line is on the disk already.
	ledgers, err := book.unfinished()
	if err != nil {
		return cleaned, err
	}
	for _, l := range ledgers {
		switch {
		case l.trial == "":
			cleaned.Left = append(cleaned.Left, Left{Why: l.fault + ": nothing is known of its trial"})
		case l.account != t.Account:
			cleaned.Left = append(cleaned.Left, Left{Why: fmt.Sprintf("%s is of account %s", l.path(), l.account)})
		default:
			t.tell("Cleaning up trial " + l.trial + " in " + l.region)
			j := t.journey(l)
			left, inBin := j.clear(ctx)
			cleaned.Trials = append(cleaned.Trials, l.trial)
			cleaned.Removed = append(cleaned.Removed, j.removed...)
			cleaned.Left = append(cleaned.Left, left...)
			cleaned.InBin = append(cleaned.InBin, inBin...)
		}
	}
	return cleaned, nil
}

func (t *Trial) tell(what string) {
	if t.Tell != nil {
		t.Tell(what)
	}
}

// sleep waits, and returns an error if the time is up before.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// second is how often a trial looks, and so how exact its measurements are.
const second = time.Second

// await looks every second until done returns nil, and returns the last error after a limit.
func (t *Trial) await(ctx context.Context, limit time.Duration, done func() error) error {
	for begun := t.Clock(); ; {
		err := done()
		if err == nil || t.Clock().Sub(begun) >= limit {
			return err
		}
		if late := sleep(ctx, second); late != nil {
			return cmp.Or(err, late)
		}
	}
}
