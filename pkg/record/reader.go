package record

import (
	"cmp"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// Reader is who reads a text: it knows the names of settings and the flags that make a command
// judge by the same policy. The zero value reads the digest of a function and knows only the
// variables.
type Reader struct {
	CommandLine bool   // At a command line; else it is the digest of a function.
	Stack       string // That deployed the function whose policy this is; may be empty.
	Function    string // Whose policy this is, if there is no stack.
	Home        string // The region of the function; empty at a command line.
	HasPages    bool   // Another function draws a page of each record in a bucket.

	// Organization means that the text is about a run over an organization, whose accounts have no
	// function of their own.
	Organization bool
}

// A setting has three names: DRY_RUN, --dry-run and DryRun. All follow from the name of its
// variable.

// Flag is the flag of a setting, for example "--stale-after".
func Flag(variable string) string {
	return "--" + strings.ReplaceAll(strings.ToLower(variable), "_", "-")
}

// Parameter is the parameter of a setting in template.yaml, for example "StaleAfter". It is empty
// for a setting that the template makes itself.
func Parameter(variable string) string {
	switch variable {
	case "POLICY_NAME", "STACK_NAME", "RECORDS", "TOPIC_ARN", "CHAT_TOPIC_ARN", "REPORT_PAGES":
		return ""
	}
	words := strings.Split(variable, "_")
	for i, word := range words {
		words[i] = cmp.Or(names[word], word[:1]+strings.ToLower(word[1:]))
	}
	return strings.Join(words, "")
}

// names are the words of settings that AWS spells in a way of its own.
var names = map[string]string{"CLOUDFORMATION": "CloudFormation", "EC2": "EC2"}

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

// Command is a command of the command line that judges as the run did, for example "ami-janitor
// undo RUN --stack NAME".
func (r Reader) Command(words string) string {
	command := "ami-janitor " + words
	switch {
	case r.Organization:
		return command
	case r.Stack != "":
		return command + " --stack " + plain.Text(r.Stack)
	case r.Function != "":
		return command + " --function " + plain.Text(r.Function)
	default:
		return command
	}
}
