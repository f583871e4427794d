package digest

import (
	"regexp"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// PolicyText is a paragraph on a policy, given as a sentence.
func PolicyText(sentence string, reader record.Reader) string {
	return text([]Section{{Intro: says(policyText(sentence, reader))}}, fullWidth)
}

func policyText(sentence string, reader record.Reader) string {
	return "Policy: " + plain.Printable(sentence) + whosePolicy(reader)
}

// whosePolicy tells the reader of the command line whose policy it is: a plan by hand may differ
// from what the function does.
func whosePolicy(r record.Reader) string {
	switch {
	case !r.CommandLine:
		return ""
	case r.Stack != "":
		return " It is that of stack " + plain.Text(r.Stack) + ", but for the flags that were given."
	case r.Function != "":
		return " It is that of function " + plain.Text(r.Function) + ", but for the flags that were given."
	default:
		return " It is this command's own; with --stack NAME it is that of a deployed function."
	}
}

// Words puts the reader's words into a text, in the place of braces: {STALE_AFTER} becomes the
// reader's name of that setting, and a key of readersWords becomes its words. Other braces stay.
func Words(r record.Reader, text string) string {
	return braces.ReplaceAllStringFunc(text, func(found string) string {
		key := strings.Trim(found, "{}")
		switch words, ok := readersWords[key]; {
		case key == "role" && r.Organization:
			return "the janitor's role in the account"
		case ok && r.CommandLine:
			return words.commandLine
		case ok:
			return words.function
		case key == "unmark":
			return r.Command("unmark IMAGE_ID")
		case variableName.MatchString(key):
			return r.Setting(key)
		default:
			return found
		}
	})
}

var (
	braces       = regexp.MustCompile(`\{[A-Za-z0-9_]+\}`)
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// readersWords are what differs for the readers of a function's digest and of the command line.
var readersWords = map[string]struct{ function, commandLine string }{
	"role":    {"the role that the janitor runs with", "the role or the user that runs this command"},
	"network": {"the function's network", "this machine"},
	"own":     {"the function's own", "the region of the AWS configuration, such as AWS_REGION"},
	"quieter": {"If it does so every night, move the schedule to a quieter hour.", "If it does so each time, run the command at a quieter hour."},
	"split":   {"let several stacks judge some regions each", "judge fewer regions at a time"},
}

// words puts the words of the digest's reader into a text.
func (r run) words(text string) string { return Words(r.Reader, text) }

// worded does the same for what to do about problems.
func (r run) worded(problems []Problem) []Problem {
	for i := range problems {
		problems[i].Todo = r.words(problems[i].Todo)
	}
	return problems
}
