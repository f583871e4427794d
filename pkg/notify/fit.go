package notify

import (
	"fmt"
	"strings"
)

// fit returns a text of at most limit bytes: the text itself, or as many of its first lines as
// leave room for a last one that counts the others. The result is valid UTF-8, as SNS requires.
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

// fitSubject returns a subject that SNS accepts: printable ASCII, with question marks for
// everything else.
func fitSubject(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, subject)
	return subject[:min(len(subject), maxSubject)]
}
