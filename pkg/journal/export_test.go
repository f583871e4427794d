package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Renew sends a heartbeat in any case, and KeepUp if the last one is old.
func (s *Session) Renew(ctx context.Context, now time.Time) error {
	return s.renew(ctx, now, BetweenChunks)
}

func (s *Session) KeepUp(ctx context.Context, now time.Time) error {
	return s.renew(ctx, now, WithinChunk)
}

// StartAt starts a session of a run with a fixed clock.
func (r *Region) StartAt(ctx context.Context, account string, now time.Time, intent Intent) (*Session, error) {
	return r.Start(ctx, account, intent, NewWatchdog(func() time.Time { return now }))
}

// ClearUnfinished is that of a session.
func (j *Journal) ClearUnfinished(ctx context.Context, region, run string) error {
	return j.clearUnfinished(ctx, region, run)
}

// Start and History open a region first: for a run that announces nothing, and for images that
// carry no announcement.
func (j *Journal) Start(ctx context.Context, region, run, account string, now time.Time, declared []Declared) (*Session, error) {
	v, err := j.Region(ctx, region, run, now)
	if err != nil {
		return nil, err
	}
	return v.StartAt(ctx, account, now, Intent{Declared: declared})
}

func (j *Journal) History(ctx context.Context, region, run string, now time.Time, present func(string) bool) (ami.History, error) {
	v, err := j.Region(ctx, region, run, now)
	if err != nil {
		return ami.History{}, err
	}
	return v.History(ctx, now, present, nil, nil)
}

// Interrupt returns the journal with a function that is called before and after each call of its
// store takes effect. An error prevents the effect, or replaces the answer.
func (j *Journal) Interrupt(fault func(call string, isDone bool) error) *Journal {
	return &Journal{interrupted{j.store, fault}}
}

type interrupted struct {
	store
	fault func(call string, isDone bool) error
}

func (i interrupted) call(verb, key string, do func() error) error {
	name := verb + " " + key
	if err := i.fault(name, false); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	result := do()
	if err := i.fault(name, true); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return result
}

func (i interrupted) get(ctx context.Context, key string) (data []byte, version string, err error) {
	err = i.call("get", key, func() (err error) {
		data, version, err = i.store.get(ctx, key)
		return err
	})
	return data, version, err
}

func (i interrupted) put(ctx context.Context, key string, data []byte) error {
	return i.call("put", key, func() error { return i.store.put(ctx, key, data) })
}

func (i interrupted) putIfAbsent(ctx context.Context, key string, data []byte) (version string, err error) {
	err = i.call("create", key, func() (err error) {
		version, err = i.store.putIfAbsent(ctx, key, data)
		return err
	})
	return version, err
}

func (i interrupted) putIfVersion(ctx context.Context, key string, data []byte, seen string) (version string, err error) {
	err = i.call("replace", key, func() (err error) {
		version, err = i.store.putIfVersion(ctx, key, data, seen)
		return err
	})
	return version, err
}

func (i interrupted) remove(ctx context.Context, key string) error {
	return i.call("remove", key, func() error { return i.store.remove(ctx, key) })
}

func (i interrupted) list(ctx context.Context, prefix string) (documents []listed, err error) {
	err = i.call("list", prefix, func() (err error) {
		documents, err = i.store.list(ctx, prefix)
		return err
	})
	return documents, err
}

// Put, Keys and Content look at a journal from outside, for tests of what is in it.
func (j *Journal) Put(ctx context.Context, key, content string) error {
	return j.store.put(ctx, key, []byte(content))
}

func (j *Journal) Content(ctx context.Context, key string) (string, error) {
	data, _, err := j.store.get(ctx, key)
	return string(data), err
}

func (j *Journal) Keys(ctx context.Context) ([]string, error) {
	var all []string
	for _, prefix := range []string{locksPrefix, removalsPrefix, runsPrefix, unfinishedPrefix} {
		documents, err := j.store.list(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			all = append(all, d.key)
		}
	}
	return all, nil
}

func (j *Journal) Remove(ctx context.Context, key string) error { return j.store.remove(ctx, key) }
