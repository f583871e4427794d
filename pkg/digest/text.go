package digest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ami-janitor/pkg/ami"
	"ami-janitor/pkg/plain"
	"ami-janitor/pkg/record"
	"ami-janitor/pkg/retention"
)

// uncovered is what no source of evidence looks at. An image that is used only there looks unused.
var uncovered = []string{
	"services that are given an AMI directly: AppStream, Batch (imageIdOverride), CodeBuild fleets, Elastic Beanstalk, " +
		"EMR, PCS, RDS Custom, SageMaker HyperPod",
	"files that name one: CloudFormation, Terraform, Packer and ParallelCluster, and Karpenter's selectors",
	"SSM parameters in regions that are not judged",
}

// mostListed is how many of the images that nothing happened to are listed.
const mostListed = 20

// run is a run of which something is said.
type run struct{ record.Run }

// acting is the run without the images of the regions that were only planned.
func (r run) acting() run { return run{r.Acting()} }

// Text is the digest as plain text for an e-mail.
func Text(of record.Run) string {
	r := run{of}
	p := &page{}
	writeProblems(p, r.lead())
	r.writeOutcome(p)
	if savings := r.savings(); savings != "" {
		p.WriteByte('\n')
		p.paragraph(savings)
	}
	r.writeCopy(p)
	r.writeProblems(p)
	r.writeRemoved(p)
	r.writeFinished(p)
	r.acting().writePlanned(p)
	r.acting().writeApart(p)
	r.acting().writeAnnounced(p)
	r.writeElsewhere(p)
	r.writeObjections(p)
	r.writeBack(p)
	r.writeTurnOn(p)
	r.writeLoneSnapshots(p)
	r.writeAside(p)
	r.acting().writeSkipped(p)
	r.writeDeferred(p)
	r.writeOrphans(p)
	r.writeKept(p)
	r.writeAbout(p)
	return r.asConfigured(p.String())
}

// writeOutcome says what happened. Where every region failed, that has been said.
func (r run) writeOutcome(p *page) {
	if r.AllFailed() {
		return
	}
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	p.paragraph(r.headline())
	for _, rest := range []string{r.others(), r.left(), r.first()} {
		if rest != "" {
			p.paragraph(rest)
		}
	}
}

// headline says what happened, in one sentence.
func (r run) headline() string {
	t, deeds, where := r.Totals, r.deeds(), r.where()
	switch {
	case len(deeds) == 0:
		return r.outcome() + where + "."
	case r.DryRun:
		return "Dry run: would " + list(deeds) + where + ". Nothing was changed."
	case t.Deregistered == 0 && t.SnapshotsDeleted > 0:
		return sentence(list(deeds) + where + ", and deregistered no AMI")
	default:
		return sentence(list(deeds) + where)
	}
}

// deeds says what was done, or what a dry run would do.
func (r run) deeds() []string {
	t := r.Totals
	deregister, deleteThem, announce := "deregistered ", "deleted ", "announced the removal of "
	images, snapshots := t.Deregistered, t.SnapshotsDeleted
	if r.DryRun {
		deregister, deleteThem, announce = "deregister ", "delete ", "announce the removal of "
		images, snapshots = t.WouldDeregister, t.SnapshotsWouldDelete
	}
	var deeds []string
	if images > 0 {
		deeds = append(deeds, deregister+count(images, "AMI"))
	}
	if snapshots > 0 {
		deeds = append(deeds, deleteThem+count(snapshots, "snapshot"))
	}
	if t.Marked > 0 {
		deeds = append(deeds, announce+count(t.Marked, "AMI"))
	}
	return deeds
}

// where says in which regions and accounts the run looked, leaving out those that failed unless all did.
func (r run) where() string {
	regions, accounts := map[string]bool{}, map[string]bool{}
	one := ""
	for _, region := range r.Regions {
		if region.Error == "" || r.FailedRegions() == len(r.Regions) {
			one = region.Region
			regions[region.Region] = true
			accounts[region.Account] = true
		}
	}
	in := " in " + count(len(regions), "region")
	switch {
	case len(regions) == 0:
		return ""
	case len(regions) == 1:
		in = " in " + plain.Clip(plain.Text(one), 40)
	}
	switch account := r.account(); {
	case account != "":
		return in + " of account " + account
	case len(accounts) > 1:
		return in + " of " + count(len(accounts), "account")
	default:
		return in
	}
}

// others says in one sentence what became of all other images.
func (r run) others() string {
	t := r.Totals
	var clauses []string
	add := func(n int, one, is, are string) {
		if n > 0 {
			verb := are
			if n == 1 {
				verb = is
			}
			clauses = append(clauses, count(n, one)+" "+verb)
		}
	}
	add(r.FailedRegions(), "region", "failed", "failed")
	if r.DryRun {
		add(r.HeldRegions(), "region", "would only be planned", "would only be planned")
		add(r.CountRegions(record.Region.IsBusy), "region", "is left to another run", "are left to other runs")
	} else {
		add(r.HeldRegions(), "region", "was only planned", "were only planned")
		add(r.CountRegions(record.Region.IsBusy), "region", "was left to another run", "were left to other runs")
	}
	add(r.Count(record.Image.FailedToRemove), "AMI", "could not be removed", "could not be removed")
	add(r.Count(record.Image.FailedToMark), "AMI", "could not be announced", "could not be announced")
	add(r.Count(record.Image.FailedToUnmark), "AMI", "may still be marked", "may still be marked")
	add(r.Count(record.Image.FailedToAsk), "AMI", "could not be reported on", "could not be reported on")
	add(t.SnapshotsFailed, "snapshot", "could not be deleted", "could not be deleted")
	if r.DryRun {
		add(t.Skipped, "AMI", "would be left alone", "would be left alone")
	} else {
		add(t.Skipped, "AMI", "was skipped", "were skipped")
	}
	add(t.Deferred-t.Refused, "AMI", "waits for a later run", "wait for a later run")
	add(t.Refused, "AMI", "waits because EC2 has refused its removal", "wait because EC2 has refused their removal")
	add(t.Kept, "AMI", "is kept", "are kept")
	if some := r.someOfTheKept(); some != "" && t.Kept > 0 {
		clauses[len(clauses)-1] += " (" + some + ")"
	}
	if len(clauses) == 0 {
		return ""
	}
	return list(clauses) + "."
}

// someOfTheKept counts those of the kept images that a person may have to do something about.
func (r run) someOfTheKept() string {
	var counts []string
	for _, c := range []struct {
		wanted func(record.Image) bool
		why    string
	}{
		{record.Image.Announced, "announced before and not yet due"},
		{record.Image.Vetoed, "after an objection"},
		{func(i record.Image) bool { return i.Kept() && i.Unproven() && !late(i) }, "only for want of proof, or of a way back"},
		{late, "only because the time for lookups was up"},
	} {
		if n := r.Count(c.wanted); n > 0 {
			counts = append(counts, thousands(int64(n))+" "+c.why)
		}
	}
	return strings.Join(counts, ", ")
}

// left says how many images are left for later runs, and how many of those they take.
func (r run) left() string {
	t := r.Totals
	if t.Left == 0 || t.NightsNeeded == 0 {
		return ""
	}
	speed := "at this one's speed of " + count(r.PerNight(), "AMI")
	if r.DryRun {
		speed = "at " + count(r.PerNight(), "AMI") + " a run"
	}
	left := count(t.Left, "AMI")
	if n := r.acting().Count(record.Image.NotLookedUp); n > 0 {
		left += ", " + thousands(int64(n)) + " of them not looked up yet"
	}
	return "What is left (" + left + ") takes about " + count(t.NightsNeeded, "more run") + " " + speed + "."
}

// first says why a run is told of that may have found nothing.
func (r run) first() string {
	if !r.FirstRun {
		return ""
	}
	if r.Reader.CommandLine {
		return "This is the first run on record."
	}
	return r.words("This is the first run on record, which is always told of. What comes after it is told of as {NOTIFY_ON} says.")
}

// savings says what the deletions free, and that it is an upper bound.
func (r run) savings() string {
	gib, save, upTo := r.Totals.GiBDeleted, "This frees up to %s GiB and saves", r.Totals.MonthlySavingsUpTo
	if r.DryRun {
		gib, save = r.Totals.GiBWouldDelete, "That would free up to %s GiB and save"
		upTo = record.Dollars(gib, r.SnapshotPrice)
	}
	if gib == 0 {
		return ""
	}
	from := ". Both are upper bounds: snapshots are stored incrementally, and what lies in the Recycle Bin is billed until it leaves it."
	if at := r.Totals.SavingsFrom; !at.IsZero() {
		from = ", in full from " + day(at) + ": until then, some of it is billed in the Recycle Bin. Both are upper bounds: snapshots " +
			"are stored incrementally."
	}
	return fmt.Sprintf(save+" up to %s a month (at %s per GB-month)%s", thousands(gib), money(upTo), price(r.SnapshotPrice), from)
}

func (r run) writeProblems(p *page) {
	if problems := r.problems(); len(problems) > 0 {
		p.heading("Needs attention")
		writeProblems(p, problems)
	}
}

func writeProblems(p *page, problems []problem) {
	for i, problem := range problems {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.paragraph(problem.what)
		p.advice("What to do: " + problem.todo)
		for _, c := range problem.cases {
			writeCase(p, c)
		}
	}
}

func writeCase(p *page, c problemCase) {
	if len(c.subjects) == 1 {
		p.item(c.subjects[0] + ": " + c.fault)
		return
	}
	p.paragraph("Error: " + c.fault)
	for _, subject := range c.subjects {
		p.item(subject)
	}
}

func (r run) writeRemoved(p *page) {
	if r.Totals.Deregistered == 0 {
		return
	}
	p.headingOf("Removed", r.Totals.Deregistered)
	p.paragraph(fmt.Sprintf("Deregistered on %s by run %s, the stalest first. %s",
		day(r.FinishedAt), plain.Printable(r.Run.Run), r.nothingFound()))
	r.writeImages(p, record.Image.Removed)
	r.writeRestore(p)
}

func (r run) nothingFound() string {
	if len(r.Sources.LookedUp) == 0 {
		return "Whether anything refers to them was not looked up."
	}
	if r.lacksEvidence() {
		return "No lookup found anything that refers to them, in a copy that lacks evidence."
	}
	return "No lookup found anything that refers to them."
}

func (r run) writePlanned(p *page) {
	if r.Totals.WouldDeregister == 0 {
		return
	}
	p.headingOf("Would be removed", r.Totals.WouldDeregister)
	p.paragraph("The stalest first. " + r.nothingFound() + " To keep one for good, tag it ami-janitor:keep=true.")
	r.writeImages(p, record.Image.Planned)
}

// canTurnOn reports whether a run is the dry run of a function that has something to do.
func (r run) canTurnOn() bool {
	return r.DryRun && !r.Reader.CommandLine && r.Totals.WouldDeregister+r.Totals.Marked > 0
}

func (r run) writeTurnOn(p *page) {
	if !r.canTurnOn() {
		return
	}
	p.heading("How to turn removal on")
	p.paragraph(r.words("To let the function carry out what it plans, deploy it with {DRY_RUN}=false, and invoke it with an event " +
		"that does not ask for a dry run."))
}

// writeImages lists images with all there is to know about them, under the name of their region where there are several.
func (r run) writeImages(p *page, wanted func(record.Image) bool) {
	last := ""
	r.Each(wanted, func(region record.Region, image record.Image) {
		if len(r.Regions) > 1 && region.Region != last {
			last = region.Region
			p.paragraph(plain.Text(region.Region) + ":")
		}
		p.item(idAndName(image))
		p.detail(sentence(plain.Text(image.MainReason().Detail)))
		for _, line := range snapshotLines(image) {
			p.detail(line)
		}
		if image.S3Location != "" {
			p.detail("Its bundle stays behind in S3, and is yours to delete: " + plain.Text(image.S3Location))
		}
		r.writeRestorable(p, image)
	})
}

// snapshotLines says what becomes of the snapshots of an image: one line for all that go, and one for each reason for
// which others stay.
func snapshotLines(i record.Image) []string {
	sizes := map[string]int64{}
	for _, s := range i.Snapshots {
		sizes[s.SnapshotID] = s.SizeGiB
	}
	var phrases []string
	ids := map[string][]string{}
	gib := map[string]int64{}
	for _, s := range snapshotPhrases(i) {
		if ids[s.phrase] == nil {
			phrases = append(phrases, s.phrase)
		}
		ids[s.phrase] = append(ids[s.phrase], plain.Text(s.id))
		gib[s.phrase] += sizes[s.id]
	}
	lines := make([]string, len(phrases))
	for n, phrase := range phrases {
		size := ""
		if gib[phrase] > 0 {
			size = fmt.Sprintf(" (%s GiB)", thousands(gib[phrase]))
		}
		lines[n] = phrase + ": " + list(ids[phrase]) + size
	}
	return lines
}

// snapshotPhrase says what becomes of one snapshot.
type snapshotPhrase struct{ id, phrase string }

// snapshotPhrases words the outcome if there is one, and else the plan.
func snapshotPhrases(i record.Image) []snapshotPhrase {
	var phrases []snapshotPhrase
	if i.Outcome == nil {
		for _, s := range i.Snapshots {
			phrase := "Snapshots that would go with it"
			switch {
			case s.Verdict == record.KeepSnapshot:
				phrase = because("Snapshots that would stay", s.Detail)
			case s.Detail != "":
				phrase = because("Snapshots that would go with a later image", s.Detail)
			}
			phrases = append(phrases, snapshotPhrase{s.SnapshotID, phrase})
		}
		return phrases
	}
	plan := map[string]string{}
	for _, s := range i.Snapshots {
		plan[s.SnapshotID] = s.Detail
	}
	for _, s := range i.Outcome.Snapshots {
		phrase := ""
		switch s.Status {
		case ami.SnapshotDeleted:
			phrase = because("Snapshots deleted", cmp.Or(plan[s.SnapshotID], s.Detail))
		case ami.SnapshotKept:
			phrase = because("Snapshots left", s.Detail)
		default:
			phrase = "Snapshots not confirmed as deleted, see above"
		}
		phrases = append(phrases, snapshotPhrase{s.SnapshotID, phrase})
	}
	return phrases
}

func because(what, detail string) string {
	if detail == "" {
		return what
	}
	return what + " (" + faultText(detail) + ")"
}

// writeLoneSnapshots lists the snapshots that were deleted although the deregistration of their image is not confirmed by
// this run: an earlier run may have done it, or its answer was lost.
func (r run) writeLoneSnapshots(p *page) {
	titled := false
	r.Each(hasLoneSnapshot, func(region record.Region, image record.Image) {
		if !titled {
			titled = true
			p.heading("Snapshots deleted, with their AMI not confirmed by this run")
		}
		p.item(r.label(region, image))
		for _, line := range snapshotLines(image) {
			p.detail(line)
		}
	})
}

func hasLoneSnapshot(i record.Image) bool {
	return (i.Failed() || i.Skipped()) && slices.ContainsFunc(i.Outcome.Snapshots, func(s ami.SnapshotResult) bool {
		return s.Status == ami.SnapshotDeleted
	})
}

func (r run) writeSkipped(p *page) {
	n := r.Count(record.Image.Skipped)
	if n == 0 {
		return
	}
	p.headingOf("Skipped", n)
	p.paragraph(r.whatWasSkipped(n) + " The next run judges what is left.")
	for _, group := range r.skippedByReason() {
		p.paragraph("Why: " + group.why + ". " + r.words(group.advice))
		for _, image := range group.images[:min(mostListed, len(group.images))] {
			p.item(image)
		}
		writeMore(p, len(group.images)-mostListed)
	}
}

func (r run) whatWasSkipped(n int) string {
	marks := r.Count(func(i record.Image) bool { return i.Skipped() && i.Verdict == retention.Mark })
	switch marks {
	case 0:
		return "Due, but not deregistered by this run."
	case n:
		return "They were to be announced by this run, and were not."
	default:
		return "They were to be deregistered, or to be announced, by this run, and were not."
	}
}

// skippedGroup is the images that were skipped for the same reason.
type skippedGroup struct {
	why    string
	advice string
	images []string // Their labels, each with what it alone has to say.
}

// skippedByReason groups the skipped images by the error that they share. Where each has one of its own, such as what was
// seen to use it, they share the code.
func (r run) skippedByReason() []skippedGroup {
	faults := map[string]int{}
	r.Each(record.Image.Skipped, func(_ record.Region, image record.Image) { faults[image.Outcome.Error]++ })
	var groups []skippedGroup
	r.Each(record.Image.Skipped, func(region record.Region, image record.Image) {
		fault, label := image.Outcome.Error, r.label(region, image)
		why := cmp.Or(strings.TrimSuffix(faultText(fault), "."), "no reason was given")
		if record.CameUpLate(image.Outcome.Code) && faults[fault] == 1 {
			late := record.CameUp(*image.Outcome)
			why = codeAndMeaning(late.Code)
			label += ": " + faultText(late.Detail)
		}
		i := slices.IndexFunc(groups, func(g skippedGroup) bool { return g.why == why })
		if i < 0 {
			i = len(groups)
			groups = append(groups, skippedGroup{why: why, advice: advice(fault, toDeregister)})
			if image.IsStopped() {
				groups[i].advice = "" // It is above.
			}
		}
		groups[i].images = append(groups[i].images, label)
	})
	return groups
}

func (r run) writeDeferred(p *page) {
	n := r.Totals.Deferred - r.Totals.Refused
	if n == 0 {
		return
	}
	p.headingOf("Deferred", n)
	why := "They are due as well, but one run removes only so many."
	if r.Totals.Marked > 0 {
		why = "They are due, or to be announced, as well, but one run removes and announces only so many."
	}
	p.paragraph(why + " Later runs take them, the stalest first, unless they are used until then.")
	listed := 0
	r.Each(record.Image.Waiting, func(region record.Region, image record.Image) {
		if listed++; listed <= mostListed {
			p.item(r.label(region, image) + ": " + plain.Text(image.MainReason().Detail))
		}
	})
	writeMore(p, listed-mostListed)
}

func writeMore(p *page, more int) {
	if more > 0 {
		p.item("and " + thousands(int64(more)) + " more; the run record has all of them")
	}
}

func (r run) writeKept(p *page) {
	if r.Totals.Kept == 0 {
		return
	}
	p.headingOf("Kept", r.Totals.Kept)
	p.paragraph("Each is counted once, under the first reason that keeps it.")
	for _, k := range r.kept() {
		p.item(thousands(int64(k.images)) + " " + codeAndMeaning(k.code))
	}
}

// keptReason counts the images that are kept for one reason.
type keptReason struct {
	code   retention.Code
	images int
}

// kept counts the kept images of all regions by reason, most first. One that is not in the table counts all the same.
func (r run) kept() []keptReason {
	counts := map[retention.Code]int{}
	for _, region := range r.Regions {
		for code, n := range region.KeptBy() {
			counts[code] += n
		}
	}
	var reasons []keptReason
	for _, rule := range retention.Rules() {
		if n := counts[rule.Code]; n > 0 {
			reasons = append(reasons, keptReason{rule.Code, n})
			delete(counts, rule.Code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		reasons = append(reasons, keptReason{code, counts[code]})
	}
	slices.SortStableFunc(reasons, func(a, b keptReason) int { return b.images - a.images })
	return reasons
}

// codeAndMeaning says a reason as the table of reasons does.
func codeAndMeaning(code retention.Code) string {
	if meaning := meaning(code); meaning != "" {
		return string(code) + ": the image " + meaning
	}
	return plain.Text(string(code))
}

// meaning continues "the image …". It is empty for a code that is not in the table of reasons.
func meaning(code retention.Code) string {
	rules := retention.Rules()
	at := slices.IndexFunc(rules, func(rule retention.Rule) bool { return rule.Code == code })
	if at < 0 {
		return ""
	}
	return rules[at].Meaning
}

func (r run) writeAbout(p *page) {
	p.heading("About this run")
	p.paragraph(fmt.Sprintf("Run %s of AMI Janitor %s, %s, %s to %s.", plain.Printable(r.Run.Run), plain.Printable(r.Version),
		day(r.StartedAt), minute(r.StartedAt), minute(r.FinishedAt)))
	if r.Record != "" {
		p.paragraph("The full record: " + plain.Location(r.Record))
	}
	p.WriteString(PolicyText(r.PolicySentence, r.Reader))
	if r.Reader.Stack+r.Reader.Function != "" {
		p.paragraph("What every rule and every lookup finds about an image, by this policy:")
		p.command(r.Reader.Command("explain IMAGE_ID"))
	}
	p.paragraph(r.lookedUp())
	if len(r.Sources.SwitchedOff) > 0 {
		p.paragraph("Switched off, and so not part of the proof: " + plain.Printable(list(r.Sources.SwitchedOff)) + ".")
	}
	p.paragraph("No source covers what follows. Tag images that are used only there ami-janitor:keep=true:")
	for _, what := range uncovered {
		p.item(what)
	}
	if !r.Sources.OtherAccounts {
		p.item("use by other accounts")
	}
}

func (r run) lookedUp() string {
	switch {
	case len(r.Regions) > 0 && r.FailedRegions() == len(r.Regions):
		return "Use was not looked up, because every region failed."
	case len(r.Sources.LookedUp) == 0 && r.Count(record.Image.UnknownUse) > 0:
		return "Use was not looked up in any source." + r.notLookedUpIn()
	case len(r.Sources.LookedUp) == 0:
		return "Use was not looked up, because no AMI needed it." + r.notLookedUpIn()
	default:
		return "Use was looked up in: " + plain.Printable(list(r.Sources.LookedUp)) + "." + r.notLookedUpIn()
	}
}

// notLookedUpIn says what limits a sentence about the lookups: sources that did not answer in full, regions in which none was made, and that
// a dry run does not look twice.
func (r run) notLookedUpIn() string {
	var incomplete []string
	for _, region := range r.Regions {
		incomplete = append(incomplete, region.Incomplete...)
	}
	slices.Sort(incomplete)
	words := ""
	if incomplete = slices.Compact(incomplete); len(incomplete) > 0 {
		words = " Not answered in full: " + plain.Printable(list(incomplete)) + "."
	}
	if idle := r.namesOf(func(g record.Region) bool { return g.Error == "" && len(g.LookedUp)+len(g.Incomplete) == 0 }); idle != "" && len(r.Sources.LookedUp) > 0 {
		words += " No AMI needed it in " + idle + "."
	}
	if failed := r.namesOf(func(g record.Region) bool { return g.Error != "" }); failed != "" {
		words += " It was not looked up in " + failed + ": see the error above."
	}
	if r.DryRun && r.Totals.WouldDeregister > 0 {
		words += " A run that removes looks again just before it does; a dry run does not."
	}
	return words
}

// namesOf lists the regions that are as wanted.
func (r run) namesOf(wanted func(record.Region) bool) string {
	var names []string
	for _, region := range r.Regions {
		if wanted(region) {
			names = append(names, plain.Text(region.Region))
		}
	}
	return list(names)
}

// sentence gives a phrase its capital letter and its full stop.
func sentence(phrase string) string {
	first, size := utf8.DecodeRuneInString(phrase)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(phrase[size:], ".") + "."
}

// asConfigured gives the places that the operator has named, and that errors repeat, back as they are.
func (r run) asConfigured(text string) string {
	for _, setting := range []string{"keepList", "records"} {
		if where := r.Policy[setting]; where != "" {
			text = strings.ReplaceAll(text, plain.Text(where), plain.Location(where))
		}
	}
	return text
}
