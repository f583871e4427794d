package retention_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestTagsAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "a=b": "a=b", " a , b=c ": "a,b=c", "a=": "a=", "a=b=c": "a=b=c", "a:b/c=d e": "a:b/c=d e",
	} {
		if got := tags(t, text).String(); got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"=", "=x", "a,=x", ",", " , ,"} {
		var got retention.Tags
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

// Reading a value again forgets the previous one.
func TestReadingAnewForgets(t *testing.T) {
	matches := tags(t, "a,b")
	if err := matches.UnmarshalText([]byte("c")); err != nil || matches.String() != "c" {
		t.Errorf("tags %q, %v; want c", matches, err)
	}
	globs := names(t, "golden")
	if err := globs.UnmarshalText([]byte("web-*")); err != nil || globs.String() != "web-*" || inScope(t, globs, "golden") {
		t.Errorf("names %q, %v; want web-*", globs, err)
	}
}

// Blanks around an equals sign are a slip of the pen. A keep tag must not be lost over it.
func TestTagsWithBlanks(t *testing.T) {
	var matches retention.Tags
	if err := matches.UnmarshalText([]byte("env = prod")); err != nil {
		return // An error says so before anything is removed.
	}
	p := policy(func(p *retention.Policy) { p.KeepTags = matches })
	v := judge(t, p, inventory(region, idle(subject, tagged("env", "prod"))))[subject]
	if v.Decision != retention.Keep {
		t.Errorf("KEEP_TAGS=%q does not keep an image tagged env=prod, and is no error", "env = prod")
	}
}

// inScope reports whether names let an image of a name be judged.
func inScope(t *testing.T, globs retention.Names, name string) bool {
	t.Helper()
	p := policy(func(p *retention.Policy) { p.Names, p.KeepNewest = globs, 0 })
	return !slices.Contains(codes(judge(t, p, inventory(region, idle(subject, named(name))))[subject]), "out-of-scope")
}

// globMatches is a second, naive implementation of globs.
func globMatches(glob, name []rune) bool {
	switch {
	case len(glob) == 0:
		return len(name) == 0
	case glob[0] == '*':
		return globMatches(glob[1:], name) || len(name) > 0 && globMatches(glob, name[1:])
	default:
		return len(name) > 0 && (glob[0] == '?' || glob[0] == name[0]) && globMatches(glob[1:], name[1:])
	}
}

// readNames reads a list of globs, and fails the test if that panics.
func readNames(t *testing.T, list string) (globs retention.Names, err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("names %q: panics: %v", list, r)
			err = errors.New("panic")
		}
	}()
	err = globs.UnmarshalText([]byte(list))
	return globs, err
}

// Any list of globs is read or refused, never a panic; what is read matches as the naive
// implementation does.
func FuzzNames(f *testing.F) {
	f.Add("web-*,!web-base*", "web-1")
	f.Add("a[b]c,a.b,(x", "a[b]c")
	f.Add("!", "")
	f.Add("! web", "web")
	f.Add(`\*`, `\x`)
	f.Add("??", "日本")
	f.Add("a\xff", "a\xff")
	f.Fuzz(func(t *testing.T, list, name string) {
		if len(list) > 40 || len(name) > 40 {
			t.Skip("the naive implementation takes too long")
		}
		globs, err := readNames(t, list)
		if err != nil || !utf8.ValidString(list+name) {
			return
		}
		takes, taken, barred := 0, false, false
		for _, glob := range retention.List(list) {
			bar, isBar := strings.CutPrefix(glob, "!")
			if isBar {
				barred = barred || globMatches([]rune(strings.TrimSpace(bar)), []rune(name))
			} else {
				takes++
				taken = taken || globMatches([]rune(glob), []rune(name))
			}
		}
		if want := (takes == 0 || taken) && !barred; inScope(t, globs, name) != want {
			t.Errorf("names %q let %q be judged: %t, want %t", list, name, !want, want)
		}
		var again retention.Names
		if err := again.UnmarshalText([]byte(globs.String())); err != nil || again.String() != globs.String() {
			t.Errorf("%q is written as %q, and that is read as %q, %v", list, globs, again, err)
		}
	})
}

// Any list of tags is read or refused; a list that was read is written so that it reads the same.
func FuzzTags(f *testing.F) {
	f.Add("a,b=c", "b", "c")
	f.Add("a==", "a", "=")
	f.Add("\xff=\x00", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, list, key, value string) {
		var matches retention.Tags
		if err := matches.UnmarshalText([]byte(list)); err != nil {
			return
		}
		if diff := cmp.Diff(matches, tags(t, matches.String())); diff != "" {
			t.Errorf("%q is read differently when it has been written (-want +got):\n%s", list, diff)
		}
		matched := slices.ContainsFunc(matches, func(m retention.TagMatch) bool {
			return m.Key == key && (m.Value == nil || *m.Value == value)
		})
		p := policy(func(p *retention.Policy) { p.KeepTags = matches })
		kept := slices.Contains(codes(judge(t, p, inventory(region, idle(subject, tagged(key, value))))[subject]), "keep-tag")
		isOwn := strings.EqualFold(key, "ami-janitor:keep") && !strings.EqualFold(value, "false")
		if want := matched || isOwn; kept != want {
			t.Errorf("KEEP_TAGS=%q keeps %q=%q: %t, want %t", list, key, value, kept, want)
		}
	})
}
