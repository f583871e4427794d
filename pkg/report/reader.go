package report

import (
	"regexp"
	"strings"
)

// Reader is who reads a text: it says by which names settings are known, and what commands need for the same verdicts. The zero
// value is the reader of a function's digest who knows nothing but the variables.
type Reader struct {
	CommandLine bool   // The text is the output of the command line; else it is the digest of a function.
	Stack       string // The stack that deployed the function whose policy this is, by its name or its id; empty if there is none.
	Function    string // The function whose policy this is, if there is no stack.
}

// A setting has three names, all of which follow from that of its variable: DRY_RUN, --dry-run and DryRun.

// Flag is the flag of a setting, for example "--stale-after".
func Flag(variable string) string {
	return "--" + strings.ReplaceAll(strings.ToLower(variable), "_", "-")
}

// Parameter is the parameter of a setting in template.yaml, for example "StaleAfter". It is empty for a setting that the template
// makes itself.
func Parameter(variable string) string {
	switch variable {
	case "POLICY_NAME", "STACK_NAME", "RECORDS", "TOPIC_ARN", "CHAT_TOPIC_ARN":
		return ""
	}
	words := strings.Split(variable, "_")
	for i, word := range words {
		if word != "EC2" {
			words[i] = word[:1] + strings.ToLower(word[1:])
		}
	}
	return strings.Join(words, "")
}

// Setting is the reader's name of a setting, given the name of its variable.
func (r Reader) Setting(variable string) string {
	parameter := Parameter(variable)
	switch {
	case r.CommandLine:
		return Flag(variable)
	case r.Stack != "" && parameter != "":
		return parameter
	default:
		return variable
	}
}

// Command is a command of the command line that judges as the run did, for example "ami-janitor undo RUN --stack NAME".
func (r Reader) Command(words string) string {
	command := "ami-janitor " + words
	switch {
	case r.Stack != "":
		return command + " --stack " + neutral(r.Stack)
	case r.Function != "":
		return command + " --function " + neutral(r.Function)
	default:
		return command
	}
}

// PolicyText is a paragraph on a policy, given as a sentence.
func PolicyText(sentence string, reader Reader) string {
	p := &page{}
	p.paragraph("Policy: " + Printable(sentence) + reader.whosePolicy())
	return p.String()
}

// whosePolicy says to the reader of the command line whose policy it is: what is planned by hand need not be what a function does.
func (r Reader) whosePolicy() string {
	switch {
	case !r.CommandLine:
		return ""
	case r.Stack != "":
		return " It is that of stack " + neutral(r.Stack) + ", but for the flags that were given."
	case r.Function != "":
		return " It is that of function " + neutral(r.Function) + ", but for the flags that were given."
	default:
		return " It is this command's own; with --stack NAME it is that of a deployed function."
	}
}

// Words puts the reader's words into a text, in the place of braces: {STALE_AFTER} is the reader's name of that setting, and what
// begins with a small letter is a key of readersWords. Other braces stay.
func (r Reader) Words(text string) string {
	return braces.ReplaceAllStringFunc(text, func(found string) string {
		key := strings.Trim(found, "{}")
		switch words, ok := readersWords[key]; {
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

// wordRemedies puts the reader's words into what the record says to do.
func (r *Run) wordRemedies() {
	for i := range r.Regions {
		region := &r.Regions[i]
		region.Remedy, region.RemainsRemedy = r.Reader.Words(region.Remedy), r.Reader.Words(region.RemainsRemedy)
		region.Gaps = r.Reader.wordGaps(region.Gaps)
	}
}

func (r Reader) wordGaps(gaps []Gap) []Gap {
	for i := range gaps {
		gaps[i].Remedy = r.Words(gaps[i].Remedy)
	}
	return gaps
}

// worded puts the reader's words into what there is to do about problems.
func (r Run) worded(problems []problem) []problem {
	for i := range problems {
		problems[i].todo = r.Reader.Words(problems[i].todo)
	}
	return problems
}
