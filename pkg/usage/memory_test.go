package usage_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// bulky is an account of launch templates whose versions carry user data, generated for each call.
// Its own part in the heap is small.
type bulky struct {
	templates, versions int
	userData            string
	rest                emulator.Doer // Answers all else.
	// Is told of each page of versions, before and after it is written.
	seen func(versions int, done bool)
}

func (b bulky) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(q.Action, "DescribeLaunchTemplate") {
		return b.rest.Do(r)
	}
	var items []string
	next, list := 0, "launchTemplates"
	first, _ := strconv.Atoi(q.Form.Get("NextToken"))
	most, _ := strconv.Atoi(q.Form.Get("MaxResults"))
	version := func(template, n int) {
		items = append(items, fmt.Sprintf("<launchTemplateId>lt-%017x</launchTemplateId><launchTemplateName>web-%d</launchTemplateName><versionNumber>%d</versionNumber>"+
			"<defaultVersion>%v</defaultVersion><launchTemplateData><imageId>%s</imageId><userData>%s</userData></launchTemplateData>",
			template, template, n, n == 1, imageID(1), b.userData))
	}
	switch {
	case q.Action == "DescribeLaunchTemplates":
		for n := range b.templates {
			items = append(items, fmt.Sprintf("<launchTemplateId>lt-%017x</launchTemplateId><launchTemplateName>web-%d</launchTemplateName>"+
				"<defaultVersionNumber>1</defaultVersionNumber><latestVersionNumber>%d</latestVersionNumber>", n, n, b.versions))
		}
	case q.Form.Get("LaunchTemplateId") != "":
		template, _ := strconv.ParseInt(strings.TrimPrefix(q.Form.Get("LaunchTemplateId"), "lt-"), 16, 64)
		for n := first + 1; n <= min(b.versions, first+most); n++ {
			version(int(template), n)
		}
		if first+most < b.versions {
			next = first + most
		}
	default: // The latest and the default version of each.
		for n := first; n < min(b.templates, first+most/2); n++ {
			version(n, 1)
			version(n, b.versions)
		}
		if first+most/2 < b.templates {
			next = first + most/2
		}
	}
	if q.Action == "DescribeLaunchTemplateVersions" {
		list = "launchTemplateVersionSet"
		b.seen(len(items), false)
		defer b.seen(len(items), true)
	}
	var body strings.Builder
	fmt.Fprintf(&body, "<%sResponse><%s>", q.Action, list)
	for _, item := range items {
		body.WriteString("<item>" + item + "</item>")
	}
	fmt.Fprintf(&body, "</%s>", list)
	if next > 0 {
		fmt.Fprintf(&body, "<nextToken>%d</nextToken>", next)
	}
	fmt.Fprintf(&body, "</%sResponse>", q.Action)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body.String())), Request: r}, nil
}

// Of the versions that have been read, no more is kept than counts: whoever may create versions
// with user data cannot make a run run out of memory. What is in use at the begin of each page is a
// small part of what has been read by the last one.
func TestUserDataIsNotKept(t *testing.T) {
	for name, account := range map[string]bulky{
		"many_versions_of_one":  {templates: 1, versions: 1500},
		"many_versions_of_some": {templates: 5, versions: 300},
		"many_templates":        {templates: 750, versions: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var before, most uint64
			read := 0
			account.rest, account.userData = holding(t, nil).Client(), strings.Repeat("QUFB", 16*1024/4)
			account.seen = func(versions int, done bool) {
				mu.Lock()
				defer mu.Unlock()
				if done {
					return
				}
				// Not at each: a collection takes its time.
				if read += versions; read%500 < versions {
					most = max(most, heap())
				}
			}
			before = heap()
			evidence := collect(t.Context(), account, candidates(1), "launch-templates")
			if finding := evidence.Images[imageID(1)]; finding.Use != ami.Used || len(finding.Gaps) > 0 {
				t.Errorf("%s is %v, with gaps %v", imageID(1), finding.Use, finding.Gaps)
			}
			// 1,500 versions have 24 MB of user data. Two pages on their way have 3 MB, and are
			// there in several forms.
			if read < 1500 || most > before+12<<20 {
				t.Errorf("%d versions read, %d MB more in use than at first", read, (most-before)>>20)
			}
		})
	}
}

// The Spot fleets are kept until all sources are through with them, but not their user data.
func TestUserDataOfSpotFleetsIsNotKept(t *testing.T) {
	const pages = 15
	userData := strings.Repeat("QUFB", 16*1024/4)
	var before, most uint64
	rest := holding(t, nil).Client()
	doer := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != "DescribeSpotFleetRequests" {
			return rest.Do(r)
		}
		page, _ := strconv.Atoi(q.Form.Get("NextToken"))
		if page > 0 && page%5 == 0 {
			most = max(most, heap())
		}
		var body strings.Builder
		body.WriteString("<DescribeSpotFleetRequestsResponse><spotFleetRequestConfigSet>")
		for n := range 100 {
			fmt.Fprintf(&body, "<item><spotFleetRequestId>sfr-%d</spotFleetRequestId><spotFleetRequestState>active</spotFleetRequestState><spotFleetRequestConfig>"+
				"<launchSpecifications><item><imageId>%s</imageId><userData>%s</userData></item></launchSpecifications></spotFleetRequestConfig></item>", n, imageID(1), userData)
		}
		body.WriteString("</spotFleetRequestConfigSet>")
		if page < pages {
			fmt.Fprintf(&body, "<nextToken>%d</nextToken>", page+1)
		}
		body.WriteString("</DescribeSpotFleetRequestsResponse>")
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body.String())), Request: r}, nil
	})
	before = heap()
	if finding := collect(t.Context(), doer, candidates(1), "spot-fleets").Images[imageID(1)]; finding.Use != ami.Used || len(finding.Gaps) > 0 {
		t.Errorf("%v, with gaps %v", finding.Use, finding.Gaps)
	}
	if most > before+12<<20 {
		t.Errorf("%d MB more in use than at first", (most-before)>>20)
	}
}

// No more versions are on their way at a time than two pages have, however many templates have
// versions of their own. Small templates are still asked about concurrently.
func TestVersionsOnTheirWay(t *testing.T) {
	for name, test := range map[string]struct {
		account bulky
		regions int
		within  time.Duration // The time of the calls, of a second each.
	}{
		"large":              {bulky{templates: 8, versions: 300}, 1, 1*time.Second + 24*time.Second},
		"small":              {bulky{templates: 96, versions: 6}, 1, 4*time.Second + 6*time.Second},
		"large_in_regions":   {bulky{templates: 2, versions: 300}, 4, 2*time.Second + 24*time.Second},
		"latest_and_default": {bulky{templates: 50, versions: 2}, 8, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			test.account.rest = holding(t, nil).Client()
			synctest.Test(t, func(t *testing.T) {
				turn := make(chan struct{}, 1)
				inFlight, most := 0, 0
				test.account.seen = func(versions int, done bool) {
					turn <- struct{}{}
					if inFlight += versions; done {
						inFlight -= 2 * versions
					}
					most = max(most, inFlight)
					<-turn
					if !done {
						time.Sleep(time.Second)
					}
				}
				began := time.Now()
				asked := lookup(candidates(1), "launch-templates")
				asked.Room = usage.NewRoom()
				var regions sync.WaitGroup
				for range test.regions {
					regions.Go(func() { collectFor(t.Context(), test.account, asked) })
				}
				regions.Wait()
				if took := time.Since(began); most > 100 || took > test.within {
					t.Errorf("%d versions on their way at once, in %s", most, took)
				}
			})
		})
	}
}

// How much of the heap the lookup of launch templates takes, where each version has as much user
// data as EC2 allows: 16 KB, which are 21,848 characters of base64. MB-in-use is what is in use at
// most, MB-heap has in it what is not collected yet.
func BenchmarkMemoryOfTemplates(b *testing.B) {
	for _, account := range []bulky{{templates: 1, versions: 10_000}, {templates: 8, versions: 1500}, {templates: 2000, versions: 2}} {
		b.Run(fmt.Sprintf("%dx%d", account.templates, account.versions), func(b *testing.B) {
			var mu sync.Mutex
			for b.Loop() {
				var mostInUse uint64
				pages := 0
				account.rest, account.userData = blank, strings.Repeat("QUFB", 21848/4)
				before := heap()
				account.seen = func(int, bool) {
					mu.Lock()
					defer mu.Unlock()
					if pages++; pages%20 == 0 {
						mostInUse = max(mostInUse, heap()-before)
					}
				}
				var evidence ami.Evidence
				most := mostAllocated(func() {
					evidence = collectWith(b.Context(), clients(account), lookup(candidates(1), "launch-templates"), func(int, int) {})
				}) - before
				if evidence.Images[imageID(1)].Use != ami.Used {
					b.Fatal(evidence.Images[imageID(1)].Gaps)
				}
				b.ReportMetric(float64(most)/1e6, "MB-heap")
				b.ReportMetric(float64(mostInUse)/1e6, "MB-in-use")
			}
		})
	}
}

// mostAllocated is the most that the heap holds while something is done, looked at every two
// milliseconds.
func mostAllocated(do func()) uint64 {
	most, stop := make(chan uint64), make(chan struct{})
	go func() {
		var stats runtime.MemStats
		peak := uint64(0)
		for {
			runtime.ReadMemStats(&stats)
			peak = max(peak, stats.HeapAlloc)
			select {
			case <-stop:
				most <- peak
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	do()
	close(stop)
	return <-most
}
