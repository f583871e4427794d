//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

import (
	"errors"
	"os"
)

// tryLock cannot lock a file on this system.
func tryLock(*os.File) (isLocked bool, err error) {
	return false, errors.New("a journal in a directory needs the file locks of Unix; keep it in S3")
}
