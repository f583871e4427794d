// Package docs_test compares the documentation with the code.
package docs_test

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// listed returns what a page says of each thing that it lists. The pattern has two groups: the
// thing, and what the page says of it.
func listed(t *testing.T, path, pattern string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, match := range regexp.MustCompile("(?m)"+pattern).FindAllStringSubmatch(read(t, path), -1) {
		if _, twice := found[match[1]]; twice {
			t.Errorf("%s lists %s twice", path, match[1])
		}
		found[match[1]] = match[2]
	}
	return found
}

// compare wants a line of this format for each thing that the code knows, and for nothing else.
func compare(t *testing.T, path, format string, got, want map[string]string) {
	t.Helper()
	for thing, text := range want {
		switch said, ok := got[thing]; {
		case !ok:
			t.Errorf("%s does not have the line\n"+format, path, thing, text)
		case said != text:
			t.Errorf("%s says %q, and does not have the line\n"+format, path, said, thing, text)
		}
	}
	for thing := range got {
		if _, known := want[thing]; !known {
			t.Errorf("%s lists %s, which the code does not know", path, thing)
		}
	}
}

func TestEveryReasonIsListed(t *testing.T) {
	want := map[string]string{}
	for _, rule := range retention.Rules() {
		want[string(rule.Code)] = rule.Meaning
	}
	const path = "docs/reasons.md"
	compare(t, path, "- `%s`: %s", listed(t, path, "^- `([a-z-]+)`: (.*)$"), want)
}

func TestEveryVariableIsListed(t *testing.T) {
	want := map[string]string{}
	for _, setting := range config.Settings() {
		code := ""
		if setting.Default != "" {
			code = "`" + setting.Default + "`"
		}
		want[setting.Variable] = code + " | " + setting.Help
	}
	const path = "docs/configuration.md"
	compare(t, path, "| `%s` | %s |", listed(t, path, "^\\| `([A-Z0-9_]+)` \\| (.*) \\|$"), want)
}

func TestEveryVariableOfAnOrganizationIsListed(t *testing.T) {
	want := map[string]string{}
	for _, setting := range config.OrganizationSettings() {
		code := ""
		if setting.Default != "" {
			code = "`" + setting.Default + "`"
		}
		want[setting.Variable] = code + " | " + setting.Help
	}
	want["SHARED_IMAGES"] = "`keep` | `organization` judges shared images by the rules above"
	const path = "docs/organisation.md"
	compare(t, path, "| `%s` | %s |", listed(t, path, "^\\| `([A-Z0-9_]+)` \\| (.*) \\|$"), want)
}

// A row of the sources says what one finds, and which actions it needs. One without a service is of
// the service before it.
func TestEverySourceIsListed(t *testing.T) {
	const path = "docs/evidence.md"
	listed := map[string]usage.Source{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (.*) \\| .* \\| (.*) \\|$").FindAllStringSubmatch(read(t, path), -1) {
		source, service := usage.Source{Name: row[1], Sees: row[2]}, ""
		for _, action := range regexp.MustCompile("`(?:([a-z0-9]+):)?([A-Za-z]+)`").FindAllStringSubmatch(row[3], -1) {
			service = cmp.Or(action[1], service)
			source.Permissions = append(source.Permissions, service+":"+action[2])
		}
		listed[row[1]] = source
	}
	for _, source := range usage.Table() {
		is := listed[source.Name]
		if is.Sees != source.Sees {
			t.Errorf("%s says that %s finds %q, want %q", path, source.Name, is.Sees, source.Sees)
		}
		if !slices.Equal(is.Permissions, source.Permissions) {
			t.Errorf("%s says that %s needs %q, want %q", path, source.Name, is.Permissions, source.Permissions)
		}
		delete(listed, source.Name)
	}
	for name := range listed {
		t.Errorf("%s lists %s, which is no source", path, name)
	}
}

// Every section of a digest is explained, and every section that is explained can be one of a
// digest.
func TestEverySectionOfTheDigestIsExplained(t *testing.T) {
	const path = "docs/digest.md"
	explained := map[string]bool{}
	for _, line := range regexp.MustCompile("(?m)^- `[A-Z].*?`: ").FindAllString(read(t, path), -1) {
		for _, title := range regexp.MustCompile("`(.+?)`").FindAllStringSubmatch(line, -1) {
			explained[title[1]] = true
		}
	}
	heading := regexp.MustCompile(`(?m)^([A-Z][A-Z ,]+[A-Z])(?: \([0-9,]+\))?$`)
	for _, golden := range glob(t, "pkg/digest/testdata/*/text.txt", "pkg/digest/testdata/*/full.txt", "pkg/digest/testdata/organization/*/text.txt", "pkg/janitor/testdata/sample-digest.txt") {
		for _, title := range heading.FindAllStringSubmatch(read(t, golden), -1) {
			if !explained[title[1]] {
				t.Errorf("%s does not explain %s, a section of %s", path, title[1], golden)
				explained[title[1]] = true // Others have it, too.
			}
		}
	}
	var code strings.Builder
	for _, file := range glob(t, "pkg/*/*.go") {
		code.WriteString(strings.ToUpper(read(t, file)))
	}
	for title := range explained {
		if !strings.Contains(code.String(), `"`+title+`"`) {
			t.Errorf("%s explains %s, which is no section of a digest", path, title)
		}
	}
}

// The excerpts have lines of digests, in their order. An ellipsis stands for what was left out.
func TestThePagesShowDigests(t *testing.T) {
	for _, c := range []struct{ path, first, golden string }{
		{"README.md", "Subject: ", "pkg/janitor/testdata/sample-digest.txt"},
		{"docs/digest.md", "17 AMIs stay", "pkg/digest/testdata/organization/ordinary/text.txt"},
	} {
		_, text, _ := strings.Cut(read(t, c.path), "```text\n"+c.first)
		excerpt, _, _ := strings.Cut(c.first+text, "```")
		rest := strings.Split(read(t, c.golden), "\n")
		for line := range strings.Lines(excerpt) {
			line = strings.TrimSuffix(line, "\n")
			if line == "…" {
				continue
			}
			at := slices.Index(rest, line)
			if at < 0 {
				t.Fatalf("%s shows a line that %s does not have there; correct the excerpt:\n%s", c.path, c.golden, line)
			}
			rest = rest[at+1:]
		}
	}
}

func TestEveryPackageIsListed(t *testing.T) {
	want := map[string]bool{}
	for _, file := range glob(t, "functions/*/*.go", "cmd/*/*.go", "pkg/*/*.go", "internal/*/*.go") {
		want[filepath.ToSlash(filepath.Dir(file))] = true
	}
	const path = "docs/architecture.md"
	for _, row := range regexp.MustCompile("(?m)^- `.*?`:").FindAllString(read(t, path), -1) {
		for _, dir := range regexp.MustCompile("`(.+?)`").FindAllStringSubmatch(row, -1) {
			if !want[dir[1]] {
				t.Errorf("%s lists %s, which is no package", path, dir[1])
			}
			delete(want, dir[1])
		}
	}
	for dir := range want {
		t.Errorf("%s does not list %s", path, dir)
	}
}

// glob returns the files that match any of the patterns, relative to the root.
func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(matches) == 0 {
			t.Fatalf("no file matches %s: %v", pattern, err)
		}
		for _, match := range matches {
			files = append(files, strings.TrimPrefix(match, root+string(filepath.Separator)))
		}
	}
	return files
}

// Whoever reads a page can follow its links, those to a heading too.
func TestLinksHold(t *testing.T) {
	for path, text := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, ":") {
				continue // Another site.
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: link to %s: no such file", path, link[1])
			} else if anchor != "" && !slices.Contains(anchors(prose(read(t, file))), anchor) {
				t.Errorf("%s: link to %s: no such heading", path, link[1])
			}
		}
	}
}

// pages returns the prose of every Markdown file, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || path == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			found[path] = prose(read(t, path))
		}
		return nil
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("%d pages: %v", len(found), err)
	}
	return found
}

// prose returns a page without its blocks of code.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

// anchors returns what links to the headings of a page are called.
func anchors(text string) []string {
	var found []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found = append(found, strings.ReplaceAll(name, " ", "-"))
	}
	return found
}
