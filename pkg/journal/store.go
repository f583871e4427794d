package journal

import (
	"context"
	"errors"
)

// store keeps documents by key. Its errors name the document; callers distinguish ErrNotFound and
// errChanged.
type store interface {
	// where returns where a document is kept, for people.
	where(key string) string

	// get returns a document and its version. ErrNotFound means that it does not exist, and nothing
	// else.
	get(ctx context.Context, key string) (data []byte, version string, err error)

	put(ctx context.Context, key string, data []byte) error

	// putIfAbsent and putIfVersion write a document only if it does not exist, or still has a
	// version. They return errChanged if that is not so, or is unknown.
	putIfAbsent(ctx context.Context, key string, data []byte) (version string, err error)
	putIfVersion(ctx context.Context, key string, data []byte, version string) (next string, err error)

	// remove deletes a document. A missing document is no error.
	remove(ctx context.Context, key string) error

	// list returns all documents with a prefix, which ends in a slash.
	list(ctx context.Context, prefix string) ([]listed, error)
}

// listed is a document in a listing.
type listed struct {
	key  string
	size int64 // In bytes.
}

// errChanged says that a document changed since the writer read it.
var errChanged = errors.New("changed by another run")
