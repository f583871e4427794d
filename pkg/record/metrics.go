package record

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
	line := map[string]any{
		"timestamp": timestamp(r.FinishedAt),
		// A line without a level is dropped where the function's log level is above INFO.
		"level":    "INFO",
		"message":  "metrics",
		"run":      r.Run,
		"version":  r.Version,
		"dryRun":   r.DryRun,
		"Function": function,
	}
	type definition struct{ Name, Unit string }
	var definitions []definition
	for _, m := range r.metrics(digestSent) {
		definitions = append(definitions, definition{m.name, m.unit})
		line[m.name] = m.value
	}
	line["_aws"] = map[string]any{
		"Timestamp": r.FinishedAt.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  namespace,
			"Dimensions": [][]string{{"Function"}},
			"Metrics":    definitions,
		}},
	}
	return mustMarshal(line)
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
