package digest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// failedProblems says why a run failed in every region, one problem for each remedy; nothing about
// any other run.
func (r run) failedProblems() []Problem {
	if !r.AllFailed() {
		return nil
	}
	var complaints []complaint
	regions := map[string][]string{} // By what to do.
	faults := map[string]string{}    // The first of each.
	for _, region := range r.Regions {
		todo := regionTodo(region.Error)
		if len(regions[todo]) == 0 {
			faults[todo] = region.Error
		}
		regions[todo] = append(regions[todo], plain.Text(region.Region))
		complaints = append(complaints, complaint{plain.Text(region.Region), "", region.Error})
	}
	problems := grouped(complaints, regionTodo, func(int) string { return "" })
	for i := range problems {
		p := &problems[i]
		p.Short = regionRemedy(faults[p.Todo]).short
		cause := ": " + strings.TrimSuffix(causeOf(faults[p.Todo]), ".") + ". Nothing was changed"
		p.What = "The " + r.kind() + " failed in " + fewRegions(regions[p.Todo]) + cause + "."
		p.says = func(n int) string { return count(n, "region") + " failed" + cause + " there." }
	}
	return problems
}

// kind says whether a run was dry.
func (r run) kind() string {
	if r.DryRun {
		return "dry run"
	}
	return "run"
}

// causeOf says in a few words why a region failed: by its error where nothing shorter is known.
func causeOf(fault string) string {
	short := regionRemedy(fault).short
	if short == "" {
		return faultText(fault)
	}
	first, size := utf8.DecodeRuneInString(short)
	if second, _ := utf8.DecodeRuneInString(short[size:]); unicode.IsLower(second) {
		short = string(unicode.ToLower(first)) + short[size:]
	}
	return short
}

// failedOutcome is the outcome of a run that failed in every region.
func (r run) failedOutcome() string {
	failed := sentenceCase(r.kind()) + " failed"
	if cause := r.failedProblems()[0].Short; cause != "" {
		return failed + ": " + cause[:min(subjectCause, len(cause))]
	}
	return failed
}

func sentenceCase(phrase string) string { return strings.TrimSuffix(sentence(phrase), ".") }
