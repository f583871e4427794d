package main

import (
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The picture of a terminal in README.md shows what a terminal shows.
func TestThePictureOfATerminal(t *testing.T) {
	const path = "../../docs/pictures/plan.svg"
	const columns = 80
	args := []string{"rehearse", "--dry-run", "--max-deregistrations", "10"}
	shown := onTerminal(t, columns, append(args, "--now", nightly)...)
	shown = regexp.MustCompile(`(20261123T020000Z-)[0-9a-f]{6}`).ReplaceAllString(shown, "${1}3f9c1a")
	got := picture("$ ami-janitor "+strings.Join(args, " ")+"\n\n"+shown, columns)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what a terminal shows (%v): run make golden, and look at it", path, err)
	}
}

// picture draws what a terminal of so many columns shows as SVG. The only escape sequences are
// those of bold and red.
func picture(shown string, columns int) string {
	const column, line, margin = 8.4, 18, 16
	lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
	var svg strings.Builder
	_, _ = fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="A terminal">`+"\n",
		int(float64(columns)*column)+2*margin, len(lines)*line+2*margin)
	svg.WriteString("<style>text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d4d4d4; white-space: pre } " +
		".bold { font-weight: bold; fill: #ffffff } .red { fill: #ff7b72 }</style>\n")
	svg.WriteString(`<rect width="100%" height="100%" rx="8" fill="#1e1e1e"/>` + "\n")
	sequence := regexp.MustCompile("\x1b\\[([0-9]+)m([^\x1b]*)\x1b\\[0m|[^\x1b]+")
	class := map[string]string{"1": ` class="bold"`, "31": ` class="red"`, "": ""}
	for n, text := range lines {
		at := 0
		for _, part := range sequence.FindAllStringSubmatch(text, -1) {
			words := part[2]
			if part[1] == "" {
				words = part[0]
			}
			// Each cell is in its column, whatever the font.
			for _, cell := range regexp.MustCompile(`\S+( \S+)*`).FindAllStringIndex(words, -1) {
				before, text := len([]rune(words[:cell[0]])), words[cell[0]:cell[1]]
				// All characters are as wide as one column.
				_, _ = fmt.Fprintf(&svg, `<text x="%.1f" y="%d" textLength="%.1f"%s>`, margin+float64(at+before)*column, margin+(n+1)*line-5,
					float64(len([]rune(text)))*column, class[part[1]])
				_ = xml.EscapeText(&svg, []byte(text))
				svg.WriteString("</text>\n")
			}
			at += len([]rune(words))
		}
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}
