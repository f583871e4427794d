package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// view says which rows of a run are shown. It is nothing but a view: what is removed, and what is
// asked about, never depends on it.
type view struct {
	flags                     *pflag.FlagSet
	show, sort                string
	owners, families, reasons []string
	minGiB                    int64
}

// The choices of --show.
const (
	showChanges = "changes"
	showKept    = "kept"
	showOrphans = "orphans"
	showAll     = "all"
)

var shows = []string{showChanges, showKept, showOrphans, showAll}

// sorters order rows by the choice of --sort.
var sorters = map[string]func(a, b row) int{
	"saving": dearestFirst,
	"size":   largestFirst,
	"age":    func(a, b row) int { return cmp.Or(b.image.IdleDays-a.image.IdleDays, dearestFirst(a, b)) },
	"name":   func(a, b row) int { return cmp.Or(strings.Compare(a.name, b.name), dearestFirst(a, b)) },
	"owner":  func(a, b row) int { return cmp.Or(strings.Compare(a.image.Owner, b.image.Owner), dearestFirst(a, b)) },
	"reason": func(a, b row) int { return cmp.Or(strings.Compare(a.code(), b.code()), dearestFirst(a, b)) },
}

// filters are the flags that leave rows out.
var filters = []string{"owner", "family", "reason", "min-gib"}

func addView(command *cobra.Command) *view {
	v := &view{flags: command.Flags(), show: showChanges, sort: "saving"}
	v.flags.StringVar(&v.show, "show", v.show, "which images a table lists: changes, kept, orphans or all; with --output text, all is the long digest")
	v.flags.StringArrayVar(&v.owners, "owner", nil, "list only images of this `owner` (--owner-tag); may be given more than once, like the next two")
	v.flags.StringArrayVar(&v.families, "family", nil, "list only images whose `family` has this in its name")
	v.flags.StringArrayVar(&v.reasons, "reason", nil, "list only images with this `reason`, such as in-use")
	v.flags.Int64Var(&v.minGiB, "min-gib", 0, "list only images with at least so many GiB")
	v.flags.StringVar(&v.sort, "sort", v.sort, "order of a list: saving, size, age, name, owner or reason")
	for _, name := range append([]string{"show", "sort"}, filters...) {
		group(v.flags.Lookup(name), flagsShown)
	}
	completes(command, "show", shows...)
	completes(command, "sort", slices.Sorted(maps.Keys(sorters))...)
	var reasons []string
	for _, rule := range retention.Rules() {
		reasons = append(reasons, string(rule.Code))
	}
	completes(command, "reason", reasons...)
	return v
}

// check refuses what a view cannot show, given how the run is printed.
func (v *view) check(output output, ownerTag string) error {
	isTable := output == outputTable || output == outputCSV || output == outputMarkdown
	isLong := output == outputText && v.show == showAll
	for _, name := range append([]string{"show", "sort"}, filters...) {
		if v.flags.Changed(name) && !isTable && (name != "show" || !isLong) {
			return fmt.Errorf("--%s is for a table: give --output table, csv or markdown", name)
		}
	}
	return cmp.Or(v.checkChoices(), v.checkFilters(ownerTag))
}

func (v *view) checkChoices() error {
	switch {
	case !slices.Contains(shows, v.show):
		return fmt.Errorf("--show: %q is none of changes, kept, orphans, all", v.show)
	case sorters[v.sort] == nil:
		return fmt.Errorf("--sort: %q is none of saving, size, age, name, owner, reason", v.sort)
	default:
		return nil
	}
}

func (v *view) checkFilters(ownerTag string) error {
	for _, reason := range v.reasons {
		if !slices.ContainsFunc(retention.Rules(), func(rule retention.Rule) bool { return string(rule.Code) == reason }) {
			return fmt.Errorf("--reason: there is no reason %q; docs/reasons.md has all", reason)
		}
	}
	switch {
	case v.minGiB < 0:
		return errors.New("--min-gib is below 0")
	case len(v.owners) > 0 && ownerTag == "":
		return errors.New("--owner needs --owner-tag, the tag whose value says who owns an image")
	default:
		return nil
	}
}

// lists reports whether rows of a kind are listed.
func (v *view) lists(k kind) bool {
	switch {
	case k == kindFailed || k == kindLeftAlone: // Never hidden.
		return true
	case v.show == showAll:
		return true
	case v.show == showKept:
		return k == kindKept || k == kindWaiting
	case v.show == showOrphans:
		return k == kindOrphan || k == kindJudged
	default:
		return k < kindWaiting
	}
}

// has reports whether the filters let a row through. What failed is never filtered.
func (v *view) has(r row) bool {
	contains := func(wanted []string, is func(string) bool) bool {
		return len(wanted) == 0 || slices.ContainsFunc(wanted, is)
	}
	return r.kind == kindFailed || r.gib >= v.minGiB &&
		contains(v.owners, func(owner string) bool { return strings.EqualFold(owner, r.image.Owner) }) &&
		contains(v.families, func(family string) bool {
			return strings.Contains(strings.ToLower(r.image.Family), strings.ToLower(family))
		}) &&
		contains(v.reasons, func(code string) bool {
			return slices.ContainsFunc(r.image.Reasons, func(reason retention.Reason) bool { return string(reason.Code) == code })
		})
}

// rows returns all rows that the filters let through, sorted; those that are listed; and how many
// more would be listed without filters.
func (v *view) rows(run record.Run) (through, listed []row, out int) {
	for _, r := range rowsOf(run) {
		switch {
		case v.has(r):
			through = append(through, r)
		case v.lists(r.kind):
			out++
		}
	}
	slices.SortStableFunc(through, sorters[v.sort])
	return through, slices.DeleteFunc(slices.Clone(through), func(r row) bool { return !v.lists(r.kind) }), out
}

// note says that something is filtered, and how much is not shown; empty if nothing is.
func (v *view) note(listed, out int) string {
	given := v.filtered()
	if len(given) == 0 {
		return ""
	}
	return fmt.Sprintf("Filtered by %s: %s of %s are not shown. The run itself is not filtered.",
		digest.List(given), digest.Thousands(int64(out)), digest.Count(listed+out, "row"))
}

// filtered are the filters that were given, as they are typed.
func (v *view) filtered() []string {
	var given []string
	for _, name := range filters {
		if v.flags != nil && v.flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return given
}

// unfiltered is the view of all that changes.
var unfiltered = view{show: showChanges, sort: "saving"}

func (r row) code() string { return string(r.image.MainReason().Code) }
