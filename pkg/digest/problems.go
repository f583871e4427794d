package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Problem is something that a person should look at, with what to do about it.
type Problem struct {
	What  string
	Todo  string // A command in it stands on a line of its own.
	Short string // The cause in a few words of ASCII.
	Cases []Case
	More  int // How many cases are left out.

	n    int                // How many things it is about: images that stay, if it is about such.
	says func(n int) string // What, of so many things, wherever they are.
}

// Case is an error, and all that it happened to.
type Case struct {
	Fault    string
	Subjects []string
	More     int // How many subjects are left out. The run record has them.
}

// clip leaves out the subjects that are more than a number.
func (c *Case) clip(most int) {
	if more := len(c.Subjects) - most; more > 0 {
		c.Subjects, c.More = c.Subjects[:most], c.More+more
	}
}

// clip leaves out the cases that are more than a number.
func (p *Problem) clip(most int) {
	if more := len(p.Cases) - most; more > 0 {
		p.Cases, p.More = p.Cases[:most], p.More+more
	}
}

// advised makes lines of an advice, in which every second line is a command.
func advised(text string) []Line {
	var lines []Line
	for i, line := range strings.Split(text, "\n") {
		if i%2 == 1 {
			lines = append(lines, command(line))
		} else {
			lines = append(lines, says(line)...)
		}
	}
	return lines
}

func (r run) needsYou() Section {
	problems := r.problems()
	if len(problems) == 0 {
		return Section{}
	}
	return Section{Title: "Needs you", Count: len(problems), Problems: problems}
}

// problems returns what a person should look at, the gravest first, without what leads the digest.
func (r run) problems() []Problem {
	problems := slices.Concat(r.stoppedProblems(), r.regionProblems(), r.imageProblems(), r.refusedProblems(), r.snapshotProblems(),
		r.bundleProblems(), r.staleProblems(), r.recordProblems(), r.unrecordedProblems())
	if r.leads() {
		return r.worded(problems)
	}
	return r.worded(slices.Concat(r.heldProblems(), r.busyProblems(), problems, r.unprovenProblems(), r.remainsProblems()))
}

// complaint is one thing that went wrong. Faults that differ only by the id are the same.
type complaint struct {
	subject, id, fault string
}

// grouped makes one problem of all complaints with the same remedy, and one case of all with the
// same error, in order of appearance.
func grouped(complaints []complaint, remedy func(fault string) string, what func(n int) string) []Problem {
	var problems []Problem
	for _, c := range complaints {
		todo := remedy(c.fault)
		i := slices.IndexFunc(problems, func(p Problem) bool { return p.Todo == todo })
		if i < 0 {
			i = len(problems)
			problems = append(problems, Problem{Todo: todo, Short: inShort(c.fault), says: what})
		}
		problems[i].add(c)
		problems[i].n++
	}
	for i := range problems {
		problems[i].What = what(problems[i].n)
	}
	return problems
}

func (p *Problem) add(c complaint) {
	fault := c.fault
	if c.id != "" {
		fault = strings.ReplaceAll(fault, c.id, "ID")
	}
	fault = cmp.Or(faultText(fault), "no error was given")
	i := slices.IndexFunc(p.Cases, func(k Case) bool { return k.Fault == fault })
	if i < 0 {
		i = len(p.Cases)
		p.Cases = append(p.Cases, Case{Fault: fault})
	}
	p.Cases[i].Subjects = append(p.Cases[i].Subjects, c.subject)
}

// adviceOr is advice with something to say where nothing better is known.
func adviceOr(otherwise, permission string) func(fault string) string {
	return func(fault string) string { return cmp.Or(advice(fault, permission), otherwise) }
}

func (r run) regionProblems() []Problem {
	var untouched, touched []complaint
	for _, region := range r.Regions {
		c := complaint{plain.Text(region.Region), "", region.Error}
		switch {
		case region.Error == "":
		case len(region.Images) == 0:
			untouched = append(untouched, c)
		default:
			touched = append(touched, c)
		}
	}
	if r.AllFailed() {
		return nil // That leads.
	}
	return slices.Concat(
		grouped(untouched, regionTodo, func(n int) string {
			return count(n, "region") + " failed. Nothing was changed there."
		}),
		grouped(touched, regionTodo, func(n int) string {
			return count(n, "region") + " failed part of the way. What was done before is listed below."
		}),
	)
}

func (r run) imageProblems() []Problem {
	return slices.Concat(
		r.failures(record.Image.FailedToRemove, r.removalRemedy(), " could not be removed: AWS did not confirm the deregistration."),
		r.failures(record.Image.FailedToMark, imageRemedy(toMark), " could not be announced: AWS did not confirm all that belongs to it."),
		r.failures(record.Image.FailedToUnmark, imageRemedy(toUnmark), " may still be marked for removal, although the plan keeps it: AWS did not confirm the change."),
		r.failures(record.Image.FailedToAsk, imageRemedy(toAsk), " could not be reported on, and so stays: AWS did not accept the request for a usage report."),
	)
}

// failures makes problems of the images to which one kind of thing could not be done.
func (r run) failures(wanted func(record.Image) bool, remedy func(fault string) string, what string) []Problem {
	var complaints []complaint
	r.Each(wanted, func(region record.Region, image record.Image) {
		complaints = append(complaints, complaint{r.label(region, image), image.ImageID, image.Outcome.Error})
	})
	return grouped(complaints, remedy, func(n int) string { return count(n, "AMI") + what })
}

func imageRemedy(permission string) func(fault string) string {
	return adviceOr("The next run judges again what is still there. If it fails again, begin with the error.", permission)
}

// removalRemedy is advice on images that could not be removed. A policy that denies only some
// removals is no missing permission.
func (r run) removalRemedy() func(fault string) string {
	return func(fault string) string {
		if isDenied(fault) && (r.Totals.Deregistered > 0 || strings.Contains(fault, "explicit deny")) {
			return policyDenies(cmp.Or(deniedPermission(fault), toDeregister))
		}
		return imageRemedy(toDeregister)(fault)
	}
}

// refusedProblems tells of the images that wait because EC2 has refused their removal, every night.
func (r run) refusedProblems() []Problem {
	var complaints []complaint
	r.Each(record.Image.RefusedBefore, func(region record.Region, image record.Image) {
		reason, _ := image.Reason(ami.ReasonRefused)
		complaints = append(complaints, complaint{r.label(region, image), image.ImageID, reason.Detail})
	})
	problems := grouped(complaints, r.removalRemedy(), func(n int) string {
		wait := map[bool]string{true: " waits", false: " wait"}[n == 1]
		return count(n, "AMI") + wait + " because EC2 has refused the removal. Each is tried again after a week, behind all others."
	})
	for i := range problems {
		for j := range problems[i].Cases {
			problems[i].Cases[j].clip(mostListed)
		}
	}
	return problems
}

func (r run) snapshotProblems() []Problem {
	var problems []Problem
	for _, region := range r.Regions {
		remedy := adviceOr("See whether they are still there. If they are, and their image is gone, they only cost money. This deletes one:\n"+
			"aws ec2 delete-snapshot --region "+plain.Text(region.Region)+" --snapshot-id SNAPSHOT_ID", toDelete)
		problems = append(problems, grouped(failedSnapshots(region), remedy, func(n int) string {
			return fmt.Sprintf("%s in %s could not be deleted: AWS did not confirm it.", count(n, "snapshot"), plain.Text(region.Region))
		})...)
	}
	return problems
}

// failedSnapshots complains once about every snapshot whose deletion is not confirmed.
func failedSnapshots(g record.Region) []complaint {
	var complaints []complaint
	failed, told := g.FailedSnapshots(), map[string]bool{}
	complain := func(id, of, detail string) {
		if failed[id] && !told[id] {
			told[id] = true
			complaints = append(complaints, complaint{plain.Text(id) + " of " + of, id, detail})
		}
	}
	for _, f := range g.Leftovers {
		if f.Status == ami.SnapshotFailed {
			complain(f.SnapshotID, plain.Text(f.ImageID)+", left by run "+plain.Text(f.Run), f.Detail)
		}
	}
	for _, image := range g.Images {
		if image.Outcome == nil {
			continue
		}
		for _, s := range image.Outcome.Snapshots {
			if s.Status == ami.SnapshotFailed {
				complain(s.SnapshotID, plain.Text(image.ImageID), s.Detail)
			}
		}
	}
	return complaints
}

// recordProblems says that the full record could not be kept.
func (r run) recordProblems() []Problem {
	if r.RecordError == "" {
		return nil
	}
	remedy := adviceOr("Begin with the error. The next run tries to keep its own.", whatWasDenied)
	return grouped([]complaint{{"run " + plain.Text(r.Run.Run), "", r.RecordError}}, remedy, func(int) string {
		return r.words("The full record of this run could not be kept where {RECORDS} says.")
	})
}

// late reports whether an image stays only because there was no time for a lookup.
func late(i record.Image) bool {
	return i.UnknownUse() && strings.HasPrefix(advice(i.MainReason().Detail, whatWasDenied), soAgain)
}
