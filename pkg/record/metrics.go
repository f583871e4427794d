package record

import (
	"cmp"
	"strings"
	"time"
)

// namespace is the CloudWatch namespace of all metrics.
const namespace = "AMIJanitor"

// metric is one metric of a run.
type metric struct {
	name, unit string
	value      float64
}

// Metrics is one line of JSON in CloudWatch's embedded metric format. Its one dimension is the name
// of the Lambda function, so that two stacks in one account and region do not watch each other's
// runs; the values are those of a run over all of its regions.
//
// RunCompleted is 1 if the digest went out, where there was one to send, and if at least one region
// was judged: one region that is denied by policy does not hide that the rest of the run goes well.
func Metrics(r Run, function string, digestSent bool) []byte {
	return embedded(r.FinishedAt, "Function", map[string]any{
		"message":  "metrics",
		"run":      r.Run,
		"version":  r.Version,
		"dryRun":   r.DryRun,
		"Function": function,
	}, r.metrics(digestSent))
}

// OrganizationMetrics is Metrics for a run over an organization. Its one dimension is the hub's
// stack, or else the organization's id: a metric for each account would cost more than the run.
//
// Runs is 1 if the run came to its end, and if the digest went out where there was one to send.
func OrganizationMetrics(o Organization, function string, digestSent bool) []byte {
	return embedded(o.FinishedAt, "Organization", map[string]any{
		"message":      "metrics",
		"run":          o.Run,
		"version":      o.Version,
		"dryRun":       o.DryRun,
		"function":     function,
		"Organization": cmp.Or(o.Reader.Stack, o.Organization, "unknown"),
	}, o.metrics(digestSent))
}

// embedded is a line of metrics with one dimension, whose value is in the line.
func embedded(at time.Time, dimension string, line map[string]any, metrics []metric) []byte {
	line["timestamp"] = timestamp(at)
	// A line without a level is dropped where the function's log level is above INFO.
	line["level"] = "INFO"
	type definition struct{ Name, Unit string }
	var definitions []definition
	for _, m := range metrics {
		definitions = append(definitions, definition{m.name, m.unit})
		line[m.name] = m.value
	}
	line["_aws"] = map[string]any{
		"Timestamp": at.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  namespace,
			"Dimensions": [][]string{{dimension}},
			"Metrics":    definitions,
		}},
	}
	return mustMarshal(line)
}

func (o Organization) metrics(digestSent bool) []metric {
	one := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	var metrics []metric
	for _, c := range []struct {
		name string
		n    int
	}{
		{"AccountsListed", o.Totals.Accounts},
		{"AccountsCounted", o.Totals.Counted},
		{"AccountsUncounted", o.activeUncounted()},
		{"AssumeRoleFailures", o.assumeRoleFailures()},
		{"AccountsFailed", o.Totals.Failed},
		{"Deregistered", o.Totals.Deregistered},
		{"Failed", o.Totals.Totals.Failed},
		{"NotSwept", one(o.NotSwept != "")},
		{"Runs", one(digestSent && o.Error == "")},
	} {
		metrics = append(metrics, metric{c.name, "Count", float64(c.n)})
	}
	return metrics
}

// activeUncounted counts the accounts that were not counted although they could be: an account that
// is suspended stays so for months.
func (o Organization) activeUncounted() int {
	n := 0
	for _, m := range o.Accounts {
		if !m.Counted && (m.State == "" || m.State == "ACTIVE") {
			n++
		}
	}
	return n
}

// assumeRoleFailures counts the accounts whose role could not be assumed.
func (o Organization) assumeRoleFailures() int {
	failed := map[string]bool{}
	for _, u := range o.Uncounted {
		if IsAssumeRoleFailure(u.Error) {
			failed[u.Account] = true
		}
	}
	for _, m := range o.Accounts {
		if IsAssumeRoleFailure(m.Error) {
			failed[m.Account] = true
		}
	}
	return len(failed)
}

// IsAssumeRoleFailure reports whether an error is about a role that could not be assumed.
func IsAssumeRoleFailure(fault string) bool {
	return strings.Contains(strings.ToLower(fault), "assumerole")
}

func (r Run) metrics(digestSent bool) []metric {
	t := r.Totals
	runCompleted := 0
	if digestSent && r.FailedRegions() < len(r.Regions) {
		runCompleted = 1
	}
	nothingProven := min(r.CountRegions(Region.NothingProven), 1)
	counts := []struct {
		name string
		n    int
	}{
		{"RunCompleted", runCompleted},
		{"RegionsFailed", r.FailedRegions()},
		{"RegionsHeld", r.leftForPeople()},
		{"Judged", t.Images},
		{"Kept", t.Kept},
		{"Unproven", t.Unproven},
		{"NothingProven", nothingProven},
		{"UnknownUse", r.Count(Image.UnknownUse)},
		{"LaunchDataMissing", r.Count(Image.LaunchDataMissing)},
		{"Deferred", t.Deferred},
		{"ImagesStillDue", t.Amounts.Due.Images},
		{"WouldDeregister", t.WouldDeregister},
		{"Deregistered", t.Deregistered},
		{"Marked", t.Marked},
		{"Failed", t.Failed},
		{"Skipped", t.Skipped},
		{"SnapshotsDeleted", t.SnapshotsDeleted},
		{"SnapshotsFailed", t.SnapshotsFailed},
		{"LeftoversFinished", t.LeftoversFinished},
		{"OrphanedSnapshots", t.OrphanedSnapshots},
	}
	metrics := []metric{
		{"Duration", "Seconds", r.FinishedAt.Sub(r.StartedAt).Seconds()},
		{"GiBDeleted", "None", float64(t.GiBDeleted)},
		{"GiBStillDue", "None", float64(t.Amounts.Due.GiB)},
		{"MonthlySavingsUpTo", "None", t.MonthlySavingsUpTo},
	}
	for _, c := range counts {
		metrics = append(metrics, metric{c.name, "Count", float64(c.n)})
	}
	return metrics
}
