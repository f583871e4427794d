package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// columns is the width of a terminal; 0 if a stream is not one.
func columns(stream any) int {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	if wide, _, err := term.GetSize(int(file.Fd())); err == nil && wide > 0 {
		return wide
	}
	return helpWidth
}

// say prints lines on the standard error, each with who speaks, but for the items of a list, which
// are indented. A terminal gets them wrapped.
func (s streams) say(format string, args ...any) { s.lines(s.err, format, args...) }

func (s streams) lines(out io.Writer, format string, args ...any) {
	const who = "ami-janitor: "
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		words := strings.TrimSpace(line)
		indent := line[:strings.Index(line, words)]
		if indent == "" && words != "" {
			words = who + words
		}
		_, _ = fmt.Fprintln(out, hang(indent, words, columns(s.err)))
	}
}

// tell prints a line on the standard output. A terminal gets it wrapped.
func (s streams) tell(format string, args ...any) {
	_, _ = fmt.Fprintln(s.out, hang("", fmt.Sprintf(format, args...), columns(s.out)))
}

// hang fits words to a width, if that is not 0: all lines but the first are indented further.
func hang(indent, words string, wide int) string {
	const hanging = "  "
	if wide > 0 {
		words = strings.ReplaceAll(wholeWords(words, wide-len(indent+hanging)), "\n", "\n"+indent+hanging)
	}
	return indent + words
}

// fitted fits each line of a text to a width, if that is not 0.
func fitted(text string, wide int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		words := strings.TrimSpace(line)
		lines[i] = hang(line[:strings.Index(line, words)], words, wide)
	}
	return strings.Join(lines, "\n")
}

// complain prints an error, and what to do where nobody could be asked at all.
func (s streams) complain(err error) {
	s.say("%v", err)
	if strings.Contains(err.Error(), wire.NoCredentials) && !strings.Contains(err.Error(), whatToDo) {
		s.say("%s", whatToDo+digest.RegionRemedy(record.Reader{CommandLine: true}, err.Error()))
	}
}

const whatToDo = "What to do: "
