package notify

import (
	"fmt"
	"strings"
)

// fit returns a text of at most so many bytes: the text itself, or as many whole lines from its beginning as leave room
// for a last one that says how many are left out. The text becomes valid UTF-8, which SNS demands.
func fit(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= limit {
		return text
	}
	room := limit - len(leftOut(strings.Count(text, "\n")+1))
	size := strings.LastIndexByte(text[:room], '\n') + 1
	return text[:size] + leftOut(strings.Count(strings.TrimSuffix(text[size:], "\n"), "\n")+1)
}

func leftOut(lines int) string {
	if lines == 1 {
		return "… and 1 more line\n"
	}
	return fmt.Sprintf("… and %d more lines\n", lines)
}

// fitSubject returns a subject that SNS takes: printable ASCII, with whatever else replaced by a question mark.
func fitSubject(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, subject)
	return subject[:min(len(subject), maxSubject)]
}
