package ami

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// The digits of an id: 17 hexadecimal ones, or 8 in the oldest.
const (
	idDigits    = 17
	oldIDDigits = 8
)

// The beginnings of ids. EC2 writes them in lower case; people do not always.
const (
	imagePrefix    = "ami-"
	snapshotPrefix = "snap-" // The longest.
)

// FindIDs reads text to its end, and passes on each image id in it, in lower case, with the number
// of its line, from 1. What surrounds an id is ignored, because ids may follow each other without a
// separator. The text is never in memory as a whole. An error says that it could not be read to its
// end; the ids so far were passed on.
func FindIDs(text io.Reader, found func(id string, line int)) error {
	return FindAllIDs(text, func(id string, line int) {
		if strings.HasPrefix(id, imagePrefix) {
			found(id, line)
		}
	})
}

// FindAllIDs is FindIDs for the ids of images and of snapshots.
func FindAllIDs(text io.Reader, found func(id string, line int)) error {
	const size = 64 << 10
	buffer := make([]byte, size+len(snapshotPrefix)+idDigits)
	held, begin, line := 0, 0, 1
	for {
		n, err := io.ReadAtLeast(text, buffer[held:held+size], 1)
		window := buffer[:held+n]
		// A hyphen behind this may be that of an id which continues in the next window.
		end := len(window)
		if err == nil {
			end = max(len(window)-idDigits, begin)
		}
		next := max(end-len(snapshotPrefix)+1, 0) // With what is before a hyphen.
		line = findIDs(window, begin, end, next, line, found)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		held, begin = copy(buffer, window[next:]), end-next
	}
}

// findIDs passes on the ids whose hyphen is between begin and end. It returns the number of the
// line of the byte at next.
func findIDs(window []byte, begin, end, next, line int, found func(id string, line int)) int {
	from := 0 // Up to here the lines are counted.
	for at := begin; at < end; at++ {
		hyphen := bytes.IndexByte(window[at:end], '-')
		if hyphen < 0 {
			break
		}
		at += hyphen
		if id, start := idAt(window, at); id != "" {
			line += bytes.Count(window[from:start], []byte("\n"))
			from = start
			found(id, line)
		}
	}
	if next > from {
		line += bytes.Count(window[from:next], []byte("\n"))
	}
	return line
}

// idAt returns the id with a hyphen at a place, and where it starts; empty if there is none.
func idAt(text []byte, hyphen int) (id string, start int) {
	prefix := ""
	for _, known := range []string{imagePrefix, snapshotPrefix} {
		if start = hyphen + 1 - len(known); start >= 0 && bytes.EqualFold(text[start:hyphen+1], []byte(known)) {
			prefix = known
			break
		}
	}
	if prefix == "" {
		return "", 0
	}
	digits := 0
	for _, c := range text[hyphen+1 : min(len(text), hyphen+1+idDigits)] {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			break
		}
		digits++
	}
	switch {
	case digits == idDigits:
	case digits >= oldIDDigits:
		digits = oldIDDigits
	default:
		return "", 0
	}
	return strings.ToLower(string(text[start : hyphen+1+digits])), start
}
