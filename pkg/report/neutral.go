package report

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// neutral makes untrusted text safe to show to a person: it stays on its line, hides nothing, and is no markup, mention
// or link. What it replaces it replaces visibly.
func neutral(text string) string {
	return domain.ReplaceAllString(markup.Replace(Printable(text)), "[.]$1")
}

// neutralFault is neutral for errors, in which AWS speaks: the dot of a code such as "InvalidAMIID.NotFound" stays.
func neutralFault(text string) string {
	return hostname.ReplaceAllString(markup.Replace(Printable(text)), "[.]$1")
}

// Printable makes untrusted text safe to show on a terminal. It replaces what does not show as itself: control characters
// and line breaks, bidirectional overrides, zero-width and other invisible characters, and bytes that are no UTF-8.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// markup replaces what begins a mention, a link, an entity or an emphasis by a character that looks like it. The
// underscore stays, because names are full of it; Slack's wording puts names between backticks, where it means nothing.
var markup = strings.NewReplacer(
	"<", "‹", ">", "›", "&", "＆", "@", "＠", "`", "'", "*", "∗", "~", "∼", "://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]",
)

// location is neutral for the place of a record, which is of use only as it is: its dots stay, and so does its scheme.
func location(where string) string {
	const scheme = "s3://"
	path, isURL := strings.CutPrefix(Printable(where), scheme)
	if path = markup.Replace(path); isURL {
		return scheme + path
	}
	return path
}

// domain matches the dot that makes a mail program take "example.com" for a link; versions such as 2.0.1 have none.
// In hostname a word in camel case does not count.
var (
	domain   = regexp.MustCompile(`\.(\pL\pL)`)
	hostname = regexp.MustCompile(`\.([^\P{L}\p{Lu}]\pL|\p{Lu}\p{Lu})`)
)

// clip shortens a text to a number of bytes, never inside a character.
func clip(text string, limit int) string {
	const sign = "…"
	if len(text) <= limit {
		return text
	}
	cut := limit - len(sign)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + sign
}
