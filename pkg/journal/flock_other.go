//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

import (
	"errors"
	"os"
)

// TryLock cannot lock a file on this system.
func TryLock(*os.File) (isLocked bool, err error) {
	return false, errors.New("this system lacks the file locks of Unix, which a journal in a directory needs; S3 needs none")
}
