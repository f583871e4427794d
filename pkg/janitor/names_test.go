package janitor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// literals calls visit for every text in the code that people are shown, with its place; not for
// tags of structures.
func literals(t *testing.T, visit func(place, text string)) {
	t.Helper()
	for _, root := range []string{"..", "../../cmd/ami-janitor", "../../functions"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "emulator/") || strings.Contains(path, "runtimeapi/") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				switch node := node.(type) {
				case *ast.Field:
					node.Tag = nil
				case *ast.BasicLit:
					if text, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING {
						visit(files.Position(node.Pos()).String(), text)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is said of a setting is said by the name that its reader knows: no text has the name of
// a variable as it is, but in braces, and these have a word for every reader.
func TestEveryTextNamesSettingsForItsReader(t *testing.T) {
	settings := map[string]config.Setting{}
	var names []string
	for _, setting := range slices.Concat(config.Settings(), config.OrganizationSettings()) {
		settings[setting.Variable] = setting
		names = append(names, setting.Variable)
	}
	variable := regexp.MustCompile(`\{?\b(` + strings.Join(names, "|") + `)\b\}?`)
	unicodeClass := regexp.MustCompile(`\\[pP]\{\w+\}`)
	inBraces := regexp.MustCompile(`\{([A-Z][A-Z0-9_]*)\}`)
	braces := regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_]*\}`)
	readers := map[string]record.Reader{"function": {}, "stack": {Stack: "ami-janitor"}, "command line": {CommandLine: true}}
	places := 0
	check := func(place, text string) {
		if settings[text].Variable != "" {
			return // A key, not a text.
		}
		for _, found := range variable.FindAllStringSubmatch(text, -1) {
			places++
			if found[0] != "{"+found[1]+"}" {
				t.Errorf("%s: %s is not in braces: %q", place, found[1], text)
			}
			for reader, want := range map[string]string{"function": found[1], "stack": record.Parameter(found[1]), "command line": record.Flag(found[1])} {
				if want == "" {
					want = found[1]
				}
				if got := digest.Words(readers[reader], found[0]); found[0] != found[1] && got != want {
					t.Errorf("%s: %s is %q to the reader of a %s, want %q", place, found[1], got, reader, want)
				}
			}
		}
		text = unicodeClass.ReplaceAllString(text, "") // In a regular expression.
		for _, found := range inBraces.FindAllStringSubmatch(text, -1) {
			if settings[found[1]].Variable == "" {
				t.Errorf("%s: %s is no setting", place, found[1])
			}
		}
		for reader, of := range readers {
			for _, found := range braces.FindAllString(digest.Words(of, text), -1) {
				if found != "{permission}" && !variable.MatchString(found) || reader == "command line" && variable.MatchString(found) {
					t.Errorf("%s: %s has no word for the reader of a %s", place, found, reader)
				}
			}
		}
	}
	literals(t, func(place, text string) {
		// What sources see stands in docs/evidence.md alone, where settings are variables.
		if !strings.HasPrefix(place, "../usage/sources.go:") {
			check(place, text)
		}
	})
	if places < 20 {
		t.Errorf("%d places that name a setting: the texts were not found", places)
	}
	for _, setting := range settings {
		for _, found := range variable.FindAllString(setting.FlagHelp, -1) {
			t.Errorf("the help of %s speaks of %s", record.Flag(setting.Variable), found)
		}
	}
}
