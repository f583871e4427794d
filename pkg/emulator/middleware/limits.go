package middleware

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// unfilteredActions are the actions which draw from a smaller bucket when they are called without a
// filter and without pages ("Request throttling for the Amazon EC2 API").
var unfilteredActions = []string{
	"DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups",
	"DescribeSnapshots", "DescribeSpotInstanceRequests", "DescribeVolumes",
}

// PublishedLimit is the size of EC2's token bucket for an action in one region of an account, in
// requests, and how many are added to it per second (Amazon EC2 Developer Guide, "Request
// throttling for the Amazon EC2 API"). Some actions have a smaller bucket for calls without a
// filter and without pages; the others do not mind.
func PublishedLimit(action string, unfilteredUnpaginated bool) (burst, perSecond float64) {
	if burst, perSecond = ownLimit(action); burst > 0 {
		return burst, perSecond
	}
	switch {
	case !emulator.IsRead(action):
		return 50, 5
	case unfilteredUnpaginated && slices.Contains(unfilteredActions, action):
		return 50, 10
	}
	return 100, 20
}

// ownLimit is the limit of an action that is listed by its name; zero if it has that of its
// category.
func ownLimit(action string) (burst, perSecond float64) {
	switch action {
	case "CreateTags", "DeleteTags":
		return 100, 10
	case "CreateSnapshot", "CreateSnapshots", "DeleteSnapshot", "DeregisterImage", "DescribeSpotFleetInstances",
		"ModifyImageAttribute", "ModifySnapshotAttribute":
		return 100, 5
	case "CopyImage":
		return 100, 1
	case "DescribeSpotFleetRequests":
		return 50, 3
	case "DescribeStoreImageTasks":
		return 50, 0.5
	case "CreateRestoreImageTask", "CreateStoreImageTask":
		return 50, 0.1
	case "DisableFastLaunch", "EnableFastLaunch":
		return 5, 2
	case "DisableImageBlockPublicAccess", "EnableImageBlockPublicAccess":
		return 1, 0.1
	}
	return 0, 0
}

// unfiltered reports whether a request has neither a filter nor pages. Whether ids count as a
// filter is not documented; here they do not.
func unfiltered(q emulator.Request) bool {
	for name := range q.Form {
		if name == "MaxResults" || name == "NextToken" || strings.HasPrefix(name, "Filter.") {
			return false
		}
	}
	return true
}

// Limits are the token buckets that EC2 keeps of each account, for each region and action. They
// begin full. Requests to other services are not limited. It is safe for concurrent use, and may be
// shared by several clients of the account.
type Limits struct {
	// AccountOf says which account of an organization a request reaches, each with buckets of its
	// own; nil for a single account.
	AccountOf func(emulator.Request) string

	now  func() time.Time
	ours float64 // The share of every bucket that others leave.

	mu      sync.Mutex
	buckets map[limitKey]*tokens
}

type limitKey struct {
	account, region, action string
	unfiltered              bool
}

// tokens is a token bucket.
type tokens struct {
	burst, perSecond float64
	left             float64
	at               time.Time // When so many were left.
}

// NewLimits returns EC2's published limits, on the given clock. Others in the account use the given
// share of every bucket, of its size and of what is added to it: a number from 0, for nobody else,
// to less than 1.
func NewLimits(now func() time.Time, others float64) *Limits {
	return &Limits{now: now, ours: 1 - min(max(others, 0), 1), buckets: map[limitKey]*tokens{}}
}

// Wrap refuses the requests for which there is no token with RequestLimitExceeded. They have no
// effect, and cost none.
func (l *Limits) Wrap(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Service != "ec2" || r.Context().Err() != nil || l.take(q) {
			return next.Do(r)
		}
		return emulator.Refuse(r, q, &emulator.Error{
			Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded.",
		}), nil
	})
}

// take takes a token for a request, if there is one.
func (l *Limits) take(q emulator.Request) bool {
	key := limitKey{region: q.Region, action: q.Action, unfiltered: slices.Contains(unfilteredActions, q.Action) && unfiltered(q)}
	if l.AccountOf != nil {
		key.account = l.AccountOf(q)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		burst, perSecond := PublishedLimit(key.action, key.unfiltered)
		b = &tokens{burst: burst * l.ours, perSecond: perSecond * l.ours, left: burst * l.ours, at: now}
		l.buckets[key] = b
	}
	return b.take(now)
}

// rounding is how much a token may lack, for the sake of floating-point numbers: who waits for
// exactly one gets it.
const rounding = 1e-6

func (b *tokens) take(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.left+passed.Seconds()*b.perSecond, b.burst)
		b.at = now
	}
	if b.left < 1-rounding {
		return false
	}
	b.left--
	return true
}
