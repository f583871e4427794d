package digest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// Explanation is all there is to say of the verdict on one image.
type Explanation struct {
	Region string `json:"region"`
	// Hold is why the region can only be planned now; empty if that is not so.
	Hold string `json:"hold,omitempty"`
	// Remedy is what to do about Hold.
	Remedy string       `json:"remedy,omitempty"`
	Image  record.Image `json:"image"` // As in the record.
	// LastUse is, for example, "last launched 2026-01-02, 325 days ago".
	LastUse string `json:"lastUse"`
	// StaleOn is the day from which it counts as stale, as 2006-01-02, or empty.
	StaleOn string `json:"staleOn"`
	// Rules are all keep rules, in the order of their table.
	Rules []RuleFinding `json:"rules"`
	// Sources are all sources of evidence.
	Sources []SourceFinding `json:"sources"`
	// Gaps are what is not proven, and what to do about it; whatever else keeps the image.
	Gaps []record.Gap `json:"gaps,omitempty"`
	// Snapshots say what would become of each if the image went.
	Snapshots []record.PlannedSnapshot `json:"snapshots"`
	// Bundle says what would become of what an instance-store image has in S3, if it is deleted.
	Bundle *record.PlannedBundle `json:"bundle,omitempty"`
	// Changes are what would have to change for the verdict to change, in full sentences.
	Changes []string `json:"changes"`
	// History is what runs did about it, the latest first.
	History []Action `json:"history,omitempty"`
	// Gone means that a run removed it, or may have. Then only the history, and what the record has
	// of the image, are given.
	Gone bool `json:"gone,omitempty"`
	// RestorableUntil is the day until which the Recycle Bin has to hold what is gone; empty if not
	// known.
	RestorableUntil string `json:"restorableUntil,omitempty"`
	// Undo is the command that brings back what is gone; empty if nothing does.
	Undo string `json:"undo,omitempty"`
}

// RuleFinding is what one keep rule says of an image.
type RuleFinding struct {
	Code    retention.Code `json:"code"`
	Meaning string         `json:"meaning"` // Continues "the image …".
	// Detail is why the rule keeps the image; empty if it has nothing to say.
	Detail string `json:"detail"`
}

// SourceFinding is what one source of evidence says of an image.
type SourceFinding struct {
	Source string `json:"source"`
	Answer string `json:"answer"` // For example "used", "unused", "unknown" or "switched off".
	Detail string `json:"detail"` // What names the image, or why that is not known.
}

// NewExplanation words what the policy, and each source of evidence, has to say of an image.
func NewExplanation(region string, explained retention.Explanation, sources []SourceFinding, ownerTag string, reader record.Reader) Explanation {
	e := Explanation{
		Region:    region,
		Hold:      explained.Hold,
		Image:     record.NewImage(&explained.Verdict, region, nil, ownerTag),
		LastUse:   explained.LastUse,
		StaleOn:   record.Date(explained.StaleFrom),
		Rules:     make([]RuleFinding, len(explained.Results)),
		Sources:   append([]SourceFinding{}, sources...),
		Gaps:      explainedGaps(region, explained, reader),
		Snapshots: []record.PlannedSnapshot{},
		Changes:   changes(explained, reader),
	}
	if e.Hold != "" {
		e.Remedy = Words(reader, heldRemedy(e.Hold))
	}
	for i, h := range explained.Results {
		e.Rules[i] = RuleFinding{h.Code, h.Meaning, h.Detail}
	}
	e.Snapshots = append(e.Snapshots, e.Image.Snapshots...)
	e.Bundle = e.Image.Bundle
	if e.Image.Verdict != retention.Deregister {
		e.Image.Snapshots, e.Image.Bundle = nil, nil
	}
	return e
}

// changes says what keeps an image that would go, and until when one stays that is kept.
func changes(explained retention.Explanation, reader record.Reader) []string {
	if explained.Verdict.Decision != retention.Keep {
		return []string{"It is kept if it is launched before it is removed, or tagged " + keepTag + "."}
	}
	changes := []string{}
	for _, h := range explained.Results {
		if h.Detail != "" && h.Until != "" {
			changes = append(changes, "It stays until "+Words(reader, h.Until)+".")
		}
	}
	if due := explained.Verdict.Due; !due.IsZero() {
		changes = append(changes, "It stays until "+day(due)+", unless somebody objects.")
	}
	return changes
}

// ExplainText is explanations as plain text, wrapped at some columns; like the digest if that is 0.
func ExplainText(explanations []Explanation, columns int) string {
	p := &page{width: cmp.Or(columns, fullWidth)}
	for i, e := range explanations {
		if i > 0 {
			p.WriteString("\n" + strings.Repeat("-", p.width) + "\n")
		}
		for _, s := range e.sections() {
			p.section(s)
		}
	}
	return p.String()
}

// sections are all that there is to say of the verdict on one image.
func (e Explanation) sections() []Section {
	if e.Gone {
		return e.gone()
	}
	var snapshots, changes []Item
	for _, line := range snapshotLines(record.Image{Snapshots: e.Snapshots}) {
		snapshots = append(snapshots, Item{Label: line.Text})
	}
	for _, change := range e.Changes {
		changes = append(changes, Item{Label: plain.Text(change)})
	}
	sections := []Section{
		{Intro: says(idAndName(e.Image), e.identity())},
		{Intro: says(append([]string{e.verdict()}, e.onHold()...)...)},
		e.rules(),
		orElse("Sources", e.sources(), "None was asked."),
		{Title: "What is not proven", Groups: e.gaps()},
		orElse("Snapshots, if it is removed", snapshots, "It has none."),
		e.bundle(),
		e.past(),
		orElse("What would change the verdict", changes, "Nothing that the janitor knows of."),
	}
	return slices.DeleteFunc(sections, Section.isEmpty)
}

// bundle says what would become of the image's bundle, if the policy deletes bundles.
func (e Explanation) bundle() Section {
	if e.Bundle == nil {
		return Section{}
	}
	return Section{Title: "Bundle, if it is removed", Intro: says(Bundle(record.Image{S3Location: e.Image.S3Location, Bundle: e.Bundle}) + ".")}
}

// orElse is a section with a list, or with what there is to say if the list is empty.
func orElse(title string, items []Item, otherwise string) Section {
	if len(items) == 0 {
		return Section{Title: title, Intro: says(otherwise)}
	}
	return Section{Title: title, Groups: []Group{{Items: items}}}
}

// onHold says why nothing is removed in the region now, and what to do about that.
func (e Explanation) onHold() []string {
	if e.Hold == "" {
		return nil
	}
	why := []string{sentence("Nothing is removed in " + plain.Text(e.Region) + " now: " + faultText(e.Hold))}
	if e.Remedy != "" {
		why = append(why, "What to do: "+e.Remedy)
	}
	return why
}

// identity says what is known of the image.
func (e Explanation) identity() string {
	image := e.Image
	where := "In " + plain.Text(e.Region)
	if owner := strings.TrimSpace(image.Owner); owner != "" {
		where += ", owner " + plain.Clip(plain.Text(owner), 128)
	}
	created, _, _ := strings.Cut(image.CreatedAt, "T")
	facts := []string{where + "."}
	switch {
	case created == "":
		facts = append(facts, "No creation date.")
	case !strings.HasPrefix(e.LastUse, "created "):
		facts = append(facts, "Created "+plain.Text(created)+".")
	}
	if image.LastLaunchedAt == "" {
		facts = append(facts, "No launch on record.")
	}
	facts = append(facts, sentence(plain.Text(e.LastUse)))
	if e.StaleOn != "" {
		facts = append(facts, "Counts as stale from "+dayOn(e.StaleOn)+".")
	}
	return strings.Join(facts, " ")
}

// verdict says the verdict and why, and what becomes of the mark of the image.
func (e Explanation) verdict() string {
	image, reason, what := e.Image, e.Image.MainReason(), "Kept"
	switch image.Verdict {
	case retention.Deregister:
		what = "To be deregistered"
	case retention.Mark:
		what = "To be announced, and due on " + dayOn(image.DueOn)
	case retention.Defer:
		what = "Deferred"
		if last := len(image.Reasons) - 1; last > 0 {
			reason = image.Reasons[last] // Why it has to wait.
		}
	default:
	}
	if why := meaningOf(reason.Code); why != "" {
		what += ", because it " + why
	}
	what += " (" + plain.Text(string(reason.Code)) + ")."
	if !slices.ContainsFunc(e.Rules, func(rule RuleFinding) bool { return rule.Code == reason.Code }) {
		what += " " + sentence(plain.Text(reason.Detail))
	}
	return what + whatBecomesOfTags(image)
}

// whatBecomesOfTags says in a sentence what a run does to the removal tags of an image; empty if
// nothing.
func whatBecomesOfTags(image record.Image) string {
	switch _, back := image.Reason(ami.ReasonRestored); {
	case back && image.Unmark == retention.Veto:
		return " A run that is no dry run notes the day on it, and its idle time counts anew."
	case image.Unmark == retention.Veto:
		return " Its removal was announced, and somebody objected: a run that is no dry run takes its mark off."
	case image.CopiedTags != "":
		return " It carries tags of another image's removal: " + plain.Text(image.CopiedTags) + ". A run that is no dry run takes them off."
	case image.Unmark == retention.ClearMark:
		return " Its removal was announced, and is off: a run that is no dry run takes its mark off."
	default:
		return ""
	}
}

// rules are the keep rules that apply, and those that do not.
func (e Explanation) rules() Section {
	var items []Item
	var silent []string
	for _, rule := range e.Rules {
		if rule.Detail == "" {
			silent = append(silent, plain.Text(string(rule.Code)))
			continue
		}
		items = append(items, Item{
			Label: plain.Text(string(rule.Code)), Says: "the image " + plain.Text(rule.Meaning), Details: says(plain.Text(rule.Detail)),
		})
	}
	rest := Group{}
	if len(items) == 0 {
		rest.Intro = says("Nothing.")
	}
	if len(silent) > 0 {
		rest.Intro = append(rest.Intro, says("Rules that have nothing to say: "+list(silent)+".")...)
	}
	return Section{Title: "What keeps it", Groups: []Group{{Items: items}, rest}}
}

// sources are the answers of the sources: first those that say more, then all that answer the same
// on one line.
func (e Explanation) sources() []Item {
	var items []Item
	same := map[string][]string{}
	for _, s := range e.Sources {
		if s.Detail == "" {
			same[s.Answer] = append(same[s.Answer], plain.Text(s.Source))
		} else {
			items = append(items, Item{Label: plain.Text(s.Source), Says: plain.Text(s.Answer) + ", " + faultText(s.Detail)})
		}
	}
	for _, s := range e.Sources {
		if sources := same[s.Answer]; s.Detail == "" && len(sources) > 0 {
			items = append(items, Item{Label: plain.Text(s.Answer), Says: list(sources)})
			delete(same, s.Answer)
		}
	}
	return items
}

// gaps are what is not proven, at full length, and what to do about each.
func (e Explanation) gaps() []Group {
	const longest = 2000
	if len(e.Gaps) == 0 {
		return nil
	}
	group := Group{}
	for _, gap := range e.Gaps {
		group.Items = append(group.Items, Item{
			Label: plain.Clip(plain.Text(strings.Join(strings.Fields(gap.Detail), " ")), longest), Details: says("What to do: " + gap.Remedy),
		})
	}
	return []Group{group}
}
