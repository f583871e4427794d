package inventory_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// vast answers as an account with as many images as EC2 allows, each with two snapshots, page by
// page. It keeps nothing in memory itself.
type vast struct {
	images int
	page   func()
}

func (v vast) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	v.page()
	lists := map[string]struct {
		name string
		n    int
		item func(int) string
	}{
		"DescribeImages":          {"imagesSet", v.images, vastImage},
		"DescribeSnapshots":       {"snapshotSet", 2 * v.images, vastSnapshot},
		"DescribeLockedSnapshots": {"snapshotSet", 0, nil},
	}
	list := lists[q.Action]
	first, _ := strconv.Atoi(q.Form.Get("NextToken")) // None is the first page.
	last := min(first+1000, list.n)
	var body strings.Builder
	fmt.Fprintf(&body, "<%sResponse><%s>", q.Action, list.name)
	for n := first; n < last; n++ {
		body.WriteString(list.item(n))
	}
	fmt.Fprintf(&body, "</%s>", list.name)
	if last < list.n {
		fmt.Fprintf(&body, "<nextToken>%d</nextToken>", last)
	}
	fmt.Fprintf(&body, "</%sResponse>", q.Action)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body.String())), Request: r}, nil
}

const vastTags = "<tagSet><item><key>Name</key><value>web-%d</value></item><item><key>team</key><value>web</value></item></tagSet>"

func vastImage(n int) string {
	return fmt.Sprintf(`<item><imageId>ami-%017x</imageId><imageLocation>123456789012/web-%d</imageLocation><imageState>available</imageState>`+
		`<imageOwnerId>123456789012</imageOwnerId><creationDate>2026-01-02T03:04:05.000Z</creationDate><isPublic>false</isPublic>`+
		`<architecture>x86_64</architecture><imageType>machine</imageType><name>web-%d</name><rootDeviceType>ebs</rootDeviceType>`+
		`<description>Built from the main branch by the nightly pipeline</description><platformDetails>Linux/UNIX</platformDetails>`+
		`<deregistrationProtection>disabled</deregistrationProtection><blockDeviceMapping>`+
		`<item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-%017x</snapshotId><volumeSize>8</volumeSize></ebs></item>`+
		`<item><deviceName>/dev/xvdb</deviceName><ebs><snapshotId>snap-%017x</snapshotId><volumeSize>8</volumeSize></ebs></item>`+
		`</blockDeviceMapping>`+vastTags+`</item>`, n, n, n, 2*n, 2*n+1, n)
}

func vastSnapshot(n int) string {
	return fmt.Sprintf(`<item><snapshotId>snap-%017x</snapshotId><volumeId>vol-%017x</volumeId><status>completed</status>`+
		`<startTime>2026-01-02T03:04:05.000Z</startTime><progress>100%%</progress><ownerId>123456789012</ownerId><volumeSize>8</volumeSize>`+
		`<description>Created by CreateImage(i-1234567890abcdef0) for ami-%017x from vol-%017x</description><storageTier>standard</storageTier>`+
		vastTags+`</item>`, n, n, n/2, n, n/2) // The tags of its image.
}

// How much memory the inventory of 50,000 images and 100,000 snapshots needs at most, and how much
// it keeps.
func BenchmarkMemory50000(b *testing.B) {
	for b.Loop() {
		before, peak := heap(), uint64(0)
		got, err := read(b.Context(), vast{50_000, func() { peak = max(peak, heap()) }})
		if err != nil || len(got.Images) != 50_000 || len(got.Snapshots) != 100_000 {
			b.Fatalf("%d images, %d snapshots, %v", len(got.Images), len(got.Snapshots), err)
		}
		b.ReportMetric(float64(peak-before)/1e6, "MB-peak")
		b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
		runtime.KeepAlive(got)
	}
}

// heap is the number of bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
