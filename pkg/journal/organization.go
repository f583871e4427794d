package journal

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Organization keeps what the steps of a run over an organization leave for each other, and the
// memory of earlier runs. The journals of the accounts lie beside it. It is safe for concurrent
// use.
type Organization struct {
	location string
	store    store
	config   aws.Config
}

const (
	organizationPrefix = "org/"
	memoryKey          = organizationPrefix + "seen.json"
	accountsPrefix     = "accounts/"
)

// OpenOrganization returns the documents of an organization at a location, like Open.
func OpenOrganization(location string, config aws.Config) (*Organization, error) {
	opened, err := Open(location, config)
	if err != nil {
		return nil, err
	}
	return &Organization{strings.TrimSuffix(location, "/"), opened.store, config}, nil
}

// Account returns the location of the journal of an account.
func (o *Organization) Account(account string) string {
	return o.location + "/" + accountsPrefix + account
}

// Journal returns the journal of an account.
func (o *Organization) Journal(account string) (*Journal, error) {
	return Open(o.Account(account), o.config)
}

// Key returns the key of a document of a run: a whole one, with the prefix in its bucket.
func (o *Organization) Key(run, name string) string {
	_, prefix, _ := splitURL(o.location)
	return prefix + documentKey(run, name)
}

// Where returns where a document of a run is kept, for people.
func (o *Organization) Where(run, name string) string { return o.store.where(documentKey(run, name)) }

func documentKey(run, name string) string { return organizationPrefix + runsPrefix + run + "/" + name }

// Save writes a document of a run as JSON, compressed if its name ends so.
func (o *Organization) Save(ctx context.Context, run, name string, document any) error {
	if err := checkRun(run); err != nil {
		return err
	}
	data, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", o.Where(run, name), err)
	}
	if isCompressed(name) {
		data = compress(data)
	}
	return o.store.put(ctx, documentKey(run, name), data)
}

// Load reads a document of a run. The error is ErrNotFound if there is none.
func (o *Organization) Load(ctx context.Context, run, name string, into any) error {
	if err := checkRun(run); err != nil {
		return err
	}
	data, _, err := o.store.get(ctx, documentKey(run, name))
	if err == nil && isCompressed(name) {
		data, err = decompress(data)
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s cannot be read: %w", o.Where(run, name), err)
	}
	return err
}

// Names returns the names of the documents of a run in a folder of theirs, without the folder.
func (o *Organization) Names(ctx context.Context, run, folder string) ([]string, error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	documents, err := o.store.list(ctx, documentKey(run, folder)+"/")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(documents))
	for i, d := range documents {
		names[i] = path.Base(d.key)
	}
	return names, nil
}

// LoadMemory reads what earlier runs remember, and its version. Both are empty if there was none.
func (o *Organization) LoadMemory(ctx context.Context, into any) (version string, err error) {
	data, version, err := o.store.get(ctx, memoryKey)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", o.store.where(memoryKey), err)
	}
	return version, nil
}

// SaveMemory writes what later runs remember, if it is still the version that was read.
func (o *Organization) SaveMemory(ctx context.Context, memory any, version string) error {
	data, err := json.Marshal(memory)
	if err != nil {
		return err
	}
	if version == "" {
		_, err = o.store.putIfAbsent(ctx, memoryKey, data)
	} else {
		_, err = o.store.putIfVersion(ctx, memoryKey, data, version)
	}
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%s was written by another run at the same time", o.store.where(memoryKey))
	}
	return err
}

func isCompressed(name string) bool { return strings.HasSuffix(name, ".gz") }

func compress(data []byte) []byte {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write(data) // Into memory.
	_ = w.Close()
	return compressed.Bytes()
}

func decompress(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
