package retention_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// bigInventory has as many images as a region may have (EC2 User Guide, "AMI quotas"), of 500
// families, with the names, tags and snapshots that pipelines give them.
func bigInventory() ami.Inventory {
	random := rand.New(rand.NewPCG(1, 2))
	here := ami.Inventory{Account: account, Region: region}
	for n := range 50_000 {
		at := ago(time.Duration(random.IntN(1500*24)) * time.Hour)
		service := fmt.Sprintf("%s-%s", []string{"web", "api", "batch", "kafka", "bastion"}[n%5], []string{"base", "node", "edge"}[n%3])
		team := fmt.Sprintf("team%d", n%34)
		name := []string{
			fmt.Sprintf("%s-%s-%s", team, service, at.Format("2006-01-02T15-04-05Z")),
			fmt.Sprintf("%s/%s-v%d.%d.%d-%s", team, service, n%3, n%20, n%50, at.Format("20060102150405")),
			fmt.Sprintf("%s_%s_%08x%08x", team, service, random.Uint32(), random.Uint32()),
			fmt.Sprintf("%s-%s-x86_64-b%08x-0000-4000-8000-%012x", team, service, random.Uint32(), n),
		}[n%4]
		image := ami.Image{
			ID: fmt.Sprintf("ami-%017x", random.Uint64()>>1), Name: name, OwnerID: account, State: "available", Architecture: "x86_64",
			Protection: "disabled", CreatedAt: at,
			Tags: map[string]string{
				"Name": name, "team": team, "commit": fmt.Sprintf("%08x", random.Uint32()), "pipeline": service, "base": "al2023", "env": "prod",
			},
		}
		if n%3 > 0 {
			image.LastLaunchedAt = at.Add(now.Sub(at) / time.Duration(2+n%7))
		}
		if n%10 == 0 && n > 0 {
			image.SourceImageID = here.Images[n/2].ID
		}
		for range 1 + n%2 {
			id := fmt.Sprintf("snap-%017x", random.Uint64()>>1)
			image.SnapshotIDs = append(image.SnapshotIDs, id)
			here.Snapshots = append(here.Snapshots, ami.Snapshot{ID: id, SizeGiB: 8, Tags: map[string]string{"Name": name, "team": team}})
		}
		here.Images = append(here.Images, image)
	}
	return here
}

func bigPolicy() retention.Policy {
	return policy(func(p *retention.Policy) {
		_ = p.KeepTags.UnmarshalText([]byte("pinned,env=golden"))
		_ = p.Names.UnmarshalText([]byte("!*-scratch-*"))
	})
}

// BenchmarkPlan50000 is a plan of a full region with evidence for every image.
func BenchmarkPlan50000(b *testing.B) {
	inventories := []ami.Inventory{bigInventory()}
	evidence := unused(inventories...)
	measure(b, func() int {
		return len(decided(bigPolicy().Open(inventories, now).Plan(evidence), retention.Deregister, retention.Defer))
	})
}

// BenchmarkCandidates50000 comes before it in a run.
func BenchmarkCandidates50000(b *testing.B) {
	inventories := []ami.Inventory{bigInventory()}
	measure(b, func() int { return len(bigPolicy().Open(inventories, now).Candidates()[region]) })
}

func measure(b *testing.B, work func() int) {
	b.Helper()
	b.ReportAllocs()
	condemned := 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		condemned = work()
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB/op")
	b.ReportMetric(float64(condemned), "condemned")
}
