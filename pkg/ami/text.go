package ami

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// The digits of an image id: 17 hexadecimal ones, or 8 in the oldest.
const (
	idDigits    = 17
	oldIDDigits = 8
)

// idPrefix is how an id begins. EC2 writes it in lower case; people do not always.
const idPrefix = "ami-"

// FindIDs reads text to its end, and passes on each image id in it, in lower case, with the number
// of its line, from 1. What surrounds an id is ignored, because ids may follow each other without a
// separator. The text is never in memory as a whole. An error says that it could not be read to its
// end; the ids so far were passed on.
func FindIDs(text io.Reader, found func(id string, line int)) error {
	const size = 64 << 10
	buffer := make([]byte, size+len(idPrefix)+idDigits)
	held, line := 0, 1
	for {
		n, err := io.ReadAtLeast(text, buffer[held:held+size], 1)
		window := buffer[:held+n]
		// A hyphen behind this may be that of an id which continues in the next window.
		end := len(window)
		if err == nil {
			end = max(len(window)-idDigits, len(idPrefix)-1)
		}
		line = findIDs(window, end, line, found)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		held = copy(buffer, window[min(end-len(idPrefix)+1, len(window)):])
	}
}

// findIDs passes on the ids whose hyphen is before an end. It returns the number of the line of the
// first byte that the next window has.
func findIDs(window []byte, end, line int, found func(id string, line int)) int {
	from := 0 // Up to here the lines are counted.
	for at := len(idPrefix) - 1; at < end; at++ {
		next := bytes.IndexByte(window[at:min(end, len(window))], '-')
		if next < 0 {
			break
		}
		at += next
		start := at - len(idPrefix) + 1
		if id := idAt(window[start:]); id != "" {
			line += bytes.Count(window[from:start], []byte("\n"))
			from = start
			found(id, line)
		}
	}
	if rest := min(end-len(idPrefix)+1, len(window)); rest > from {
		line += bytes.Count(window[from:rest], []byte("\n"))
	}
	return line
}

// idAt returns the id with which a text begins; empty if it begins with none.
func idAt(text []byte) string {
	if !bytes.EqualFold(text[:len(idPrefix)], []byte(idPrefix)) {
		return ""
	}
	digits := 0
	for _, c := range text[len(idPrefix):min(len(text), len(idPrefix)+idDigits)] {
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
		return ""
	}
	return strings.ToLower(string(text[:len(idPrefix)+digits]))
}
