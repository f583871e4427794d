package digest_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// fiftyThousand is a plan for as many images as a region holds at most (EC2 User Guide, "AMI
// quotas"), and what was done.
func fiftyThousand(deregistered int) (retention.Plan, ami.SweepResult) {
	const images = 50_000
	p, done := plan("eu-west-1"), ami.SweepResult{BinRead: true}
	for n := range images {
		if n >= deregistered {
			p.Verdicts = append(p.Verdicts, kept(n, "recently-used", "last launched 2026-11-02, 21 days ago"))
			continue
		}
		p.Verdicts = append(p.Verdicts, stale(n, fmt.Sprintf("web-build-%d", n), goes(n, 8, n)))
		done.Outcomes = append(done.Outcomes, inBin(n, 14, binned(n, 14)))
	}
	return p, done
}

// heap is what is in use after a collection, in MB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

func BenchmarkFiftyThousandImages(b *testing.B) {
	for _, deregistered := range []int{100, 5_000, 50_000} {
		p, done := fiftyThousand(deregistered)
		r := newRun(false, record.NewRegion(p, done, "Team"))
		for _, step := range []struct {
			name string
			do   func() any
		}{
			{"record", func() any { return newRun(false, record.NewRegion(p, done, "Team")) }},
			{"result", func() any { return record.Result(r) }},
			{"text", func() any { return digest.Text(r) }},
			{"lines", func() any { return record.Lines(r) }},
			{"encode", func() any { return r.Encode(io.Discard, "  ") }},
		} {
			b.Run(fmt.Sprintf("%d deregistered/%s", deregistered, step.name), func(b *testing.B) {
				before, held := heap(), any(nil)
				b.ReportAllocs()
				for b.Loop() {
					held = step.do()
				}
				b.ReportMetric(heap()-before, "MB-held")
				runtime.KeepAlive(held)
			})
		}
	}
}
