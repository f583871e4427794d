package docs_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// commentWidth is the last column of a line with a comment. A tab counts as four.
const commentWidth = 100

// wrong are words that only this project would use in this way, and the field's instead.
type wrong struct{ words, instead string }

// privateWords are wrong in names, comments, texts and pages.
var privateWords = []wrong{
	{`bear(s|ing)? out|borne out`, "confirm"},
	{`belongings`, "snapshot ids"},
	{`books`, "journal"},
	{`contested`, "recently removed"},
	{`deeds?`, "action"},
	{`dockets?`, "region facts"},
	{`doomed`, "to delete"},
	{`ghosts?`, "snapshot without an image"},
	{`lone`, "unattached"},
	{`patien(ce|t)`, "attempts, or timeout"},
	{`per night`, "per run"},
	{`retreats?`, "backoff"},
	{`setbacks?`, "slowdown"},
	{`signs? of life`, "heartbeat"},
	{`(speaks?|spoken) for`, "keep"},
	{`stood still`, "stalled"},
	{`strays?`, "stale declaration"},
	{`time of grace`, "grace period"},
	{`unbegun`, "not attempted"},
	{`unheard`, "unanswered"},
	{`vigils?`, "watchdog"},
}

// statute is wrong in comments and pages: a short sentence that starts with its subject says it.
var statute = []wrong{
	{`all the same`, "nevertheless, or also"},
	{`anew`, "again"},
	{`any more`, "no longer"},
	{`be it`, "or"},
	{`for want of`, "because … is missing"},
	{`of (which|whom)`, "a sentence that starts with its subject"},
	{`([a-z]*[^e ]|[a-z]*[^r ]e) (is|are|was|were) none`, "is not"},
	{`(is|are|was|were) to be`, "must be, will be, or an active verb"},
	{`what is left`, "the rest, by its name"},
}

// The language of the field does not turn into one of our own, and comments fit beside the code.
func TestWords(t *testing.T) {
	names, prose := words(privateWords), words(privateWords, statute)
	for file, text := range sources(t) {
		switch path.Ext(file) {
		case ".go":
			checkGo(t, file, text, names, prose)
		case ".md":
			code := regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
			prose.checkLines(t, file, code.ReplaceAllStringFunc(text, newlines))
		case ".py":
			names.checkLines(t, file, text)
		default:
			prose.checkLines(t, file, text)
		}
	}
}

// newlines keeps the numbers of the lines after a block of code.
func newlines(text string) string { return strings.Repeat("\n", strings.Count(text, "\n")) }

// sources returns the files that people read, by name: code, pages, templates and scripts.
func sources(t *testing.T) map[string]string {
	t.Helper()
	read := regexp.MustCompile(`\.(go|md|py|ya?ml)$|^Makefile$|^scripts/`)
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		isHidden := name != "." && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".golangci.yml"
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (isHidden || name == "bin" || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || isHidden || name == "docs/words_test.go" || !read.MatchString(name):
			return nil
		}
		data, err := os.ReadFile(path.Join(root, name))
		found[name] = string(data)
		return err
	})
	if err != nil || len(found) < 100 {
		t.Fatalf("%d files: %v", len(found), err)
	}
	return found
}

// checkGo checks the names, texts and comments of a file in Go. The tags of fields are contracts.
func checkGo(t *testing.T, file, text string, names, prose wordList) {
	t.Helper()
	positions := token.NewFileSet()
	var tokens scanner.Scanner
	tokens.Init(positions.AddFile(file, -1, len(text)), []byte(text), nil, scanner.ScanComments)
	lines := strings.Split(text, "\n")
	for {
		at, kind, literal := tokens.Scan()
		line := positions.PositionFor(at, false).Line
		switch {
		case kind == token.EOF:
			return
		case kind == token.COMMENT:
			prose.check(t, file, line, literal)
			checkWidth(t, file, line, literal, lines[line-1])
		case kind == token.IDENT, kind == token.STRING && !strings.HasPrefix(literal, "`json:"):
			names.check(t, file, line, literal)
		}
	}
}

// checkWidth spares the directives of tools, which must be on one line.
func checkWidth(t *testing.T, file string, line int, comment, text string) {
	t.Helper()
	width := utf8.RuneCountInString(strings.ReplaceAll(text, "\t", "    "))
	isDirective := strings.HasPrefix(comment, "//go:") || strings.HasPrefix(comment, "//nolint:")
	if width > commentWidth && !isDirective {
		t.Errorf("%s:%d: the comment ends in column %d; break it at %d", file, line, width, commentWidth)
	}
}

// wordList finds wrong words. Its pattern matches where one of them does.
type wordList struct {
	all     []wrong
	pattern *regexp.Regexp
}

func words(lists ...[]wrong) wordList {
	all := slices.Concat(lists...)
	var patterns []string
	for _, w := range all {
		patterns = append(patterns, w.words)
	}
	return wordList{all, regexp.MustCompile(`\b(?:` + strings.Join(patterns, "|") + `)\b`)}
}

func (l wordList) checkLines(t *testing.T, file, text string) {
	t.Helper()
	for n, line := range strings.Split(text, "\n") {
		l.check(t, file, n+1, line)
	}
}

var hump = regexp.MustCompile(`([a-z])([A-Z])`)

// check finds the words in names such as lastRetreat and last_retreat, too.
func (l wordList) check(t *testing.T, file string, line int, text string) {
	t.Helper()
	text = strings.ToLower(hump.ReplaceAllString(strings.ReplaceAll(text, "_", " "), "$1 $2"))
	for _, found := range l.pattern.FindAllString(text, -1) {
		for _, w := range l.all {
			if regexp.MustCompile(`^(?:` + w.words + `)$`).MatchString(found) {
				t.Errorf("%s:%d: %q; write: %s", file, line, found, w.instead)
			}
		}
	}
}
