package retention

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// What an image usage report proves (EC2 User Guide, "View your AMI usage": it may lack the
// instances of the last 24 hours, and the launch templates of "the past few days"). A report that
// is older than freshReport says nothing about today, and one that was made less than blindReport
// after the last use may have missed later uses. A report that is not available after stuckReport
// is requested again.
const (
	freshReport = 3 * Day
	blindReport = 7 * Day
	stuckReport = 3 * Day
)

// maxPendingReports is EC2's quota for an account and region (EC2 User Guide, "View your AMI
// usage").
const maxPendingReports = 2000

// usageReportPending keeps a public or shared image until there is a report that proves something.
func usageReportPending(r *regionFacts, image *imageFacts) string {
	finding := r.evidence[r.Region].Images[image.ID]
	if !r.policy.JudgeShared || isUnasked(finding) || !r.isShared(image) {
		return ""
	}
	report := finding.Report
	switch {
	case report == nil:
		return "a run that is no dry run asks for a usage report; it is read in a later one"
	case report.State == "pending":
		return "the usage report asked for on " + date(report.CreatedAt) + " is not available yet"
	case report.State != "available":
		return fmt.Sprintf("the usage report of %s is in state %q", date(report.CreatedAt), report.State)
	case !report.Complete:
		return "the usage report of " + date(report.CreatedAt) + " leaves out accounts, resources or versions"
	case r.now.Sub(report.CreatedAt) > freshReport || report.CreatedAt.After(r.now):
		return "the usage report of " + date(report.CreatedAt) + " is not of the last " + daysInWords(freshReport)
	case report.CreatedAt.Sub(image.last.at) < blindReport:
		return "the usage report of " + date(report.CreatedAt) + " was made less than " + daysInWords(blindReport) + " after the last use"
	default:
		return ""
	}
}

func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// orderReports decides for which images to request a usage report, and which reports are obsolete:
// those of images that do not wait for one, and those that prove nothing any longer.
func (r *regionFacts) orderReports(plan *Plan) {
	if !r.policy.JudgeShared {
		return
	}
	done, pending := r.ownReports()
	room := min(r.policy.MaxDeregistrations, maxPendingReports-pending)
	for _, v := range plan.Verdicts {
		report := r.evidence[r.Region].Images[v.Image.ID].Report
		switch {
		case report != nil && r.isOfUse(report, v):
			delete(done, report.ID)
		case v.isOnly(ami.ReasonUsageReportPending) && len(plan.ReportsWanted) < room:
			plan.ReportsWanted = append(plan.ReportsWanted, v.Image.ID)
		}
	}
	plan.ReportsDone = slices.Sorted(maps.Keys(done))
	for i := range plan.Verdicts { // A report takes a night.
		v := &plan.Verdicts[i]
		v.LookUp = v.LookUp || v.IsAhead && len(plan.ReportsWanted) < room
	}
}

// ownReports returns the ids of all usage reports of the janitor, and how many of them are pending.
func (r *regionFacts) ownReports() (ids map[string]bool, pending int) {
	ids = map[string]bool{}
	for _, finding := range r.evidence[r.Region].Images {
		if report := finding.Report; report != nil {
			ids[report.ID] = true
			for _, id := range report.Superseded {
				ids[id] = true
			}
			if report.State == "pending" {
				pending++
			}
		}
	}
	return ids, pending
}

// isOfUse reports whether a report may still prove something about an image to remove, or one that
// only doubts keep.
func (r *regionFacts) isOfUse(report *ami.UsageReport, v Verdict) bool {
	age := r.now.Sub(report.CreatedAt)
	fresh := report.State == "available" && report.Complete && age <= freshReport && report.CreatedAt.Sub(v.LastUse) >= blindReport
	pending := report.State == "pending" && age <= stuckReport
	return age >= 0 && (fresh || pending) && (v.Decision != Keep || v.isOnly(ami.ReasonUsageReportPending, ami.ReasonUnknownUse, ami.ReasonLaunchDataMissing, ami.ReasonAnnounced))
}

// isOnly reports whether all reasons of a verdict are among the given ones.
func (v Verdict) isOnly(codes ...Code) bool {
	return !slices.ContainsFunc(v.Reasons, func(reason Reason) bool { return !slices.Contains(codes, reason.Code) })
}
