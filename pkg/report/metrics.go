package report

// namespace is the CloudWatch namespace of all metrics.
const namespace = "AMIJanitor"

// metric is one metric of a run.
type metric struct {
	name, unit string
	value      float64
}

// Metrics is one line of JSON in CloudWatch's embedded metric format. The metrics have no dimension: they are those of a
// run over all of its regions, and belong to the region and the account of the function. RunCompleted is 1 only if the
// run is completed, so that an alarm can wait for it; what is completed is for the caller to say.
func Metrics(r Run, completed bool) []byte {
	line := map[string]any{
		"timestamp": timestamp(r.FinishedAt),
		"level":     "INFO", // A line without a level is dropped where the function's log level is above INFO.
		"message":   "metrics",
		"run":       r.Run,
		"version":   r.Version,
		"dryRun":    r.DryRun,
	}
	type definition struct{ Name, Unit string }
	var definitions []definition
	for _, m := range r.metrics(completed) {
		definitions = append(definitions, definition{m.name, m.unit})
		line[m.name] = m.value
	}
	line["_aws"] = map[string]any{
		"Timestamp": r.FinishedAt.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  namespace,
			"Dimensions": [][]string{{}},
			"Metrics":    definitions,
		}},
	}
	return mustMarshal(line)
}

func (r Run) metrics(completed bool) []metric {
	t := r.Totals
	runCompleted := 0
	if completed {
		runCompleted = 1
	}
	counts := []struct {
		name string
		n    int
	}{
		{"RunCompleted", runCompleted},
		{"RegionsFailed", r.FailedRegions()},
		{"Judged", t.Images},
		{"Kept", t.Kept},
		{"UnknownUse", r.unknownUse()},
		{"Deferred", t.Deferred},
		{"WouldDeregister", t.WouldDeregister},
		{"Deregistered", t.Deregistered},
		{"Failed", t.Failed},
		{"Skipped", t.Skipped},
		{"SnapshotsDeleted", t.SnapshotsDeleted},
		{"SnapshotsFailed", t.SnapshotsFailed},
	}
	metrics := []metric{
		{"Duration", "Seconds", r.FinishedAt.Sub(r.StartedAt).Seconds()},
		{"GiBDeleted", "None", float64(t.GiBDeleted)},
	}
	for _, c := range counts {
		metrics = append(metrics, metric{c.name, "Count", float64(c.n)})
	}
	return metrics
}
