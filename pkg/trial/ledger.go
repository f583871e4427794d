package trial

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
)

// ErrRunning means that another trial, or a clean-up, is at work with the same directory.
var ErrRunning = errors.New("another trial is at work")

const (
	lockFile = "lock"
	suffix   = ".ledger"
)

// book is the directory of the ledgers, one for each trial. Only its owner may enter it. It is
// locked through the operating system, which releases the lock of a killed process.
type book struct {
	root *os.Root
	name string
	lock *os.File
}

// openBook opens a directory of ledgers, and makes it if needed.
func openBook(name string) (*book, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of ledgers cannot be made: %w", err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("the directory of ledgers cannot be opened: %w", err)
	}
	lock, err := root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	b := &book{root, name, lock}
	switch isLocked, err := journal.TryLock(lock); {
	case err != nil:
		return nil, errors.Join(err, b.close())
	case !isLocked:
		return nil, errors.Join(fmt.Errorf("%w: it has locked %s", ErrRunning, filepath.Join(name, lockFile)), b.close())
	}
	return b, nil
}

func (b *book) close() error { return errors.Join(b.lock.Close(), b.root.Close()) }

// kind is what a trial makes.
type kind string

const (
	image    kind = "image"
	snapshot kind = "snapshot"
)

// thing is an image or a snapshot that a trial has made, or was about to.
type thing struct {
	kind  kind
	key   string    // The name of an image, the client token of a snapshot.
	id    string    // Empty until AWS has answered.
	asked time.Time // When the line was written before the request.
}

// ledger says what a trial makes, in a file on the user's machine. Each line is on the disk before
// the request that it is about. A line seals all lines before it, so that a ledger that somebody
// has edited is not believed from that line on. It is safe for concurrent use.
type ledger struct {
	trial, account, region string

	mu     sync.Mutex
	file   string
	book   *book
	things []*thing
	last   time.Time // The time of the last line.
	closed bool
	fault  string // Why no line is believed after those that were read; empty if all are.
	sum    string // The seal of the last line.
	size   int64  // The length of all lines.
}

// line is a line of the ledger.
type line struct {
	What string    `json:"what"` // begin, will, made, step or end.
	At   time.Time `json:"at"`

	Trial   string `json:"trial,omitempty"`   // Of begin.
	Account string `json:"account,omitempty"` // Of begin.
	Region  string `json:"region,omitempty"`  // Of begin.

	Kind kind   `json:"kind,omitempty"` // Of will and made.
	Key  string `json:"key,omitempty"`  // Of will and made.
	ID   string `json:"id,omitempty"`   // Of made.
	Step string `json:"step,omitempty"` // Of step.
}

// sealed is a line as it is written. The seal is the SHA-256 of the seal before and of the line.
type sealed struct {
	Line json.RawMessage `json:"line"`
	Seal string          `json:"seal"`
}

func seal(before string, text []byte) string {
	sum := sha256.Sum256(append([]byte(before), text...))
	return hex.EncodeToString(sum[:])
}

// begin starts the ledger of a trial.
func (b *book) begin(trial, account, region string, at time.Time) (*ledger, error) {
	l := &ledger{book: b, file: trial + suffix}
	if _, err := b.root.Lstat(l.file); err == nil {
		return nil, fmt.Errorf("%s exists already", l.path())
	}
	return l, l.write(line{What: "begin", At: at, Trial: trial, Account: account, Region: region})
}

// unfinished returns the ledgers without an end, by their names. One that cannot be read at all has
// a fault, and nothing is known of its trial.
func (b *book) unfinished() ([]*ledger, error) {
	entries, err := fs.ReadDir(b.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("the ledgers cannot be listed: %w", err)
	}
	var all []*ledger
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), suffix) {
			continue
		}
		l := &ledger{book: b, file: entry.Name()}
		if l.read(); !l.closed {
			all = append(all, l)
		}
	}
	return all, nil
}

func (l *ledger) path() string { return filepath.Join(l.book.name, l.file) }

// read reads the lines that can be believed. A last line without its line break counts as absent:
// it was not whole on the disk, so that its request was not made, or its id is looked for again.
func (l *ledger) read() {
	text, err := l.book.root.ReadFile(l.file)
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		l.fault = fmt.Sprintf("%s cannot be read: %s", l.path(), err)
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	for n := 1; lines.Scan(); n++ {
		if !l.believes(lines.Bytes()) {
			l.fault = fmt.Sprintf("line %d of %s is not as the trial wrote it", n, l.path())
			return
		}
	}
	if err := lines.Err(); err != nil {
		l.fault = fmt.Sprintf("%s is not as the trial wrote it: %s", l.path(), err)
		return
	}
	if l.trial == "" {
		l.fault = l.path() + " has no line"
	}
}

// believes reads the next line, and reports whether it can be believed.
func (l *ledger) believes(text []byte) bool {
	var s sealed
	var read line
	if json.Unmarshal(text, &s) != nil || json.Unmarshal(s.Line, &read) != nil || s.Seal != seal(l.sum, s.Line) || !l.apply(read) {
		return false
	}
	l.sum, l.size = s.Seal, l.size+int64(len(text))+1
	return true
}

// apply notes what a line says, and reports whether it has its place there.
func (l *ledger) apply(read line) bool {
	isFirst := l.trial == ""
	switch t := l.find(read.Kind, read.Key); {
	case l.closed || isFirst != (read.What == "begin"):
		return false
	case read.What == "begin":
		if !ami.RunID(read.Trial).Valid() || l.file != read.Trial+suffix {
			return false
		}
		l.trial, l.account, l.region = read.Trial, read.Account, read.Region
	case read.What == "will" && t == nil:
		l.things = append(l.things, &thing{kind: read.Kind, key: read.Key, asked: read.At})
	case read.What == "made" && t != nil && t.id == "" && read.ID != "":
		t.id = read.ID
	case read.What == "step":
	case read.What == "end":
		l.closed = true
	default:
		return false
	}
	l.last = read.At
	return true
}

func (l *ledger) find(of kind, key string) *thing {
	for _, t := range l.things {
		if t.kind == of && t.key == key {
			return t
		}
	}
	return nil
}

// will notes that something is about to be made.
func (l *ledger) will(of kind, key string, at time.Time) (*thing, error) {
	if err := l.write(line{What: "will", At: at, Kind: of, Key: key}); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(of, key), nil
}

// made notes the id of something. In a ledger that is not believed to its end it is not written.
func (l *ledger) made(t *thing, id string, at time.Time) error {
	if l.fault != "" {
		t.id = id
		return nil
	}
	return l.write(line{What: "made", At: at, Kind: t.kind, Key: t.key, ID: id})
}

// step notes that a step of the trial begins, which changes what was made.
func (l *ledger) step(name string, at time.Time) error {
	return l.write(line{What: "step", At: at, Step: name})
}

// end notes that nothing is left of the trial but what the Recycle Bin holds.
func (l *ledger) end(at time.Time) error { return l.write(line{What: "end", At: at}) }

// write adds a line, and returns once it is on the disk. What a killed process has written of a
// line is written over.
func (l *ledger) write(added line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != "" {
		return errors.New(l.fault)
	}
	text, err := json.Marshal(added)
	if err != nil {
		return err
	}
	sum := seal(l.sum, text)
	whole, err := json.Marshal(sealed{text, sum})
	if err != nil {
		return err
	}
	if err := l.append(append(whole, '\n')); err != nil {
		return fmt.Errorf("the ledger cannot be written: %w", err)
	}
	if !l.apply(added) {
		return fmt.Errorf("%s has no place for: %s", l.path(), text)
	}
	l.sum, l.size = sum, l.size+int64(len(whole))+1
	return nil
}

// append writes a text after all whole lines.
func (l *ledger) append(text []byte) error {
	file, err := l.book.root.OpenFile(l.file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = file.Truncate(l.size)
	if err == nil {
		_, err = file.WriteAt(text, l.size)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil || l.size > 0 {
		return err
	}
	// The file is new: its name must be on the disk, too.
	folder, err := l.book.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// of returns the things of a kind.
func (l *ledger) of(wanted kind) []*thing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.things), func(t *thing) bool { return t.kind != wanted })
}
