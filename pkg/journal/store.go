package journal

import (
	"context"
	"errors"
)

// store keeps whole documents by key. Its errors name the document; those that a caller tells apart are ErrNotFound and
// errChanged.
type store interface {
	// where returns where a document is kept, for people.
	where(key string) string

	// get returns a document and its version. ErrNotFound means that there is none, and nothing else.
	get(ctx context.Context, key string) (data []byte, version string, err error)

	put(ctx context.Context, key string, data []byte) error

	// putIfAbsent and putIfVersion write a document only if there is none, or if it is still in a version. They return
	// errChanged if that is not so, or if that cannot be said.
	putIfAbsent(ctx context.Context, key string, data []byte) (version string, err error)
	putIfVersion(ctx context.Context, key string, data []byte, version string) (next string, err error)

	// remove takes a document away. That there is none is no error.
	remove(ctx context.Context, key string) error

	// list returns all keys that begin with a prefix, which ends in a slash.
	list(ctx context.Context, prefix string) ([]string, error)
}

// errChanged says that a document is not as the one who wants to write it has seen it.
var errChanged = errors.New("changed by another run")
