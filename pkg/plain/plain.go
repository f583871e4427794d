// Package plain makes text that others wrote safe to show: names, tags, descriptions and errors.
package plain

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// Text makes untrusted text safe to show to a person: it stays on its line, hides nothing, and
// contains no markup, mention or link. Replacements are visible; everything else stays as it is, so
// that it can be copied.
func Text(text string) string {
	return label.ReplaceAllStringFunc(markup.Replace(Printable(text)), func(label string) string {
		if isTopLevel(label[1:]) {
			return "[.]" + label[1:]
		}
		return label
	})
}

// label matches a part of a name and the dot before it; versions such as 2.0.1 have none.
var label = regexp.MustCompile(`\.\pL+`)

// isTopLevel reports whether a mail program turns "example." with this label into a link: it is a
// top-level domain, or one in another script.
func isTopLevel(label string) bool {
	if strings.ContainsFunc(label, func(r rune) bool { return r > unicode.MaxASCII }) || strings.EqualFold(label, "xn") {
		return true
	}
	_, isKnown := publicsuffix.PublicSuffix("example." + strings.ToLower(label))
	return isKnown
}

// Printable makes untrusted text safe to show on a terminal. It replaces everything that does not
// show as itself: control characters and line breaks, bidirectional overrides, zero-width and other
// invisible characters, and bytes that are not UTF-8.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// markup replaces the first character of mentions, links, entities and emphasis by a similar one.
// The underscore stays, because many names have one, and Slack shows names between backticks, where
// it means nothing. s3:// stays, too: no mail program opens it.
var markup = strings.NewReplacer(
	"s3://", "s3://", "<", "‹", ">", "›", "&", "＆", "@", "＠", "`", "'", "*", "∗", "~", "∼", "://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]",
)

// Location is Text for a place that the operator named. It must stay usable, so its dots stay.
func Location(where string) string { return markup.Replace(Printable(where)) }

// Clip shortens a text to a number of bytes, never inside a character.
func Clip(text string, limit int) string {
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
