package sweep_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// refusals is an endpoint that refuses the removal of some images, and remembers which ones were
// asked for.
type refusals struct {
	emulator.Doer
	says func(n int) string // Code and message for an image; empty for those that may go.

	mu    sync.Mutex
	asked []int
}

func (r *refusals) Do(request *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(request)
	if err != nil || q.Action != "DeregisterImage" {
		return r.Doer.Do(request)
	}
	n := number(q.Form.Get("ImageId"))
	r.mu.Lock()
	r.asked = append(r.asked, n)
	r.mu.Unlock()
	code, message, refused := strings.Cut(r.says(n), ": ")
	if !refused {
		return r.Doer.Do(request)
	}
	return reply(request, http.StatusForbidden,
		"<Response><Errors><Error><Code>"+code+"</Code><Message>"+message+"</Message></Error></Errors><RequestID>1</RequestID></Response>"), nil
}

// order are the images that were asked for, each where it came first.
func (r *refusals) order() []int {
	var order []int
	for _, n := range r.asked {
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	return order
}

// tries counts how often an image was asked for.
func (r *refusals) tries(n int) int {
	return len(slices.DeleteFunc(slices.Clone(r.asked), func(asked int) bool { return asked != n }))
}

// ofSize are the images 1 to n, each with a snapshot, and the verdicts that remove them.
func ofSize(t *testing.T, n int) (*emulator.Account, []retention.Verdict) {
	t.Helper()
	images, verdicts := make([]object, n), make([]retention.Verdict, n)
	for i := range n {
		images[i], verdicts[i] = image(i+1, i+1), due(i+1, i+1)
	}
	return load(t, images...), verdicts
}

const noRight = "UnauthorizedOperation: You are not authorized to perform this operation."

// provingTheBin are orders under which removals run one by one until a resource was seen in the
// Recycle Bin.
func provingTheBin(t *testing.T, account *emulator.Account) orders {
	orders := passing(quiet)
	orders.requireBin = true
	orders.bin = binOf(t, account, 0)
	return orders
}

// Until a removal was allowed, the canaries come from the two ends and the middle of the order. A
// region stops if three images are refused for the same reason, whatever their ids and the encoded
// messages.
func TestWhichCanariesDecide(t *testing.T) {
	scp := func(n int) string {
		return fmt.Sprintf("UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::%s:assumed-role/janitor/run is not authorized "+
			"to perform: ec2:DeregisterImage on resource: arn:aws:ec2:us-east-1::image/%s with an explicit deny in a service control policy. "+
			"Encoded authorization failure message: %d", accountID, imageID(n), n*n)
	}
	for name, test := range map[string]struct {
		says    func(n int) string
		order   []int
		stopped bool
		alone   int // The image that is refused for a reason of its own where all others are, too.
	}{
		"nothing may go":             {func(int) string { return noRight }, []int{1, 9, 5}, true, 0},
		"each says so of itself":     {scp, []int{1, 9, 5}, true, 0},
		"three protected ones ahead": {func(n int) string { return map[bool]string{true: scp(n)}[n <= 3] }, []int{1, 9, 2, 3, 4, 5, 6, 7, 8}, false, 0},
		"both ends":                  {func(n int) string { return map[bool]string{true: scp(n)}[n < 3 || n > 7] }, []int{1, 9, 5, 2, 3, 4, 6, 7, 8}, false, 0},
		"for reasons of their own":   {func(n int) string { return fmt.Sprint("UnauthorizedOperation: policy ", n, " denies it.") }, []int{1, 9, 5, 2, 8, 6, 3, 7, 4}, false, 0},
		"two reasons":                {func(n int) string { return fmt.Sprint("UnauthorizedOperation: policy ", n%2, " denies it.") }, []int{1, 9, 5}, true, 0},
		"two reasons in turn":        {func(n int) string { return fmt.Sprint("UnauthorizedOperation: policy ", n/9, " denies it.") }, []int{1, 9, 5, 2}, true, 9},
		"not for want of a right":    {func(int) string { return "AuthFailure: not yours" }, []int{1, 9, 5, 2, 8, 6, 3, 7, 4}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account, verdicts := ofSize(t, 9)
				doer := &refusals{Doer: account.Client(), says: test.says}
				outcomes := carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), provingTheBin(t, account)).Outcomes
				if got := doer.order(); !slices.Equal(got, test.order) {
					t.Errorf("asked for %v, want %v", got, test.order)
				}
				stopped := slices.ContainsFunc(outcomes, func(o ami.Outcome) bool { return o.Code == ami.OutcomeStopped })
				if stopped != test.stopped {
					t.Errorf("stopped %t, want %t", stopped, test.stopped)
				}
				for _, outcome := range outcomes {
					if want := outcome.Status == ami.Failed && (!stopped || number(outcome.ImageID) == test.alone); outcome.Refused != want {
						t.Errorf("%s is refused %t, want %t: what is refused to all says nothing of one", outcome.ImageID, outcome.Refused, want)
					}
				}
			})
		})
	}
}

// An image that could not be removed before, and is refused together with all others, waits for a
// week again, although the region stops.
func TestARetryThatIsRefused(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account, verdicts := ofSize(t, 4)
		verdicts[1].Yields, verdicts[3].Yields = true, true
		doer := &refusals{Doer: account.Client(), says: func(int) string { return noRight }}
		outcomes := carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), provingTheBin(t, account)).Outcomes
		wantOutcomes(t, outcomes, "failed; 1 kept", "skipped; 2 kept", "failed; 3 kept", "failed; 4 kept")
		for i, want := range []bool{false, false, false, true} {
			if outcomes[i].Refused != want {
				t.Errorf("%s is refused %t, want %t", outcomes[i].ImageID, outcomes[i].Refused, want)
			}
		}
	})
}

// Three denials do not stop a region if another removal was allowed. Without a canary an entire
// chunk is tried first.
func TestDenialsDoNotStopWhatIsAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		denied func(n int) bool
		last   string
	}{
		"one of them was allowed":    {func(n int) bool { return n != 50 && n <= 100 }, "deregistered; 65 deleted"},
		"three of them were denied":  {func(n int) bool { return n <= 3 }, "deregistered; 65 deleted"},
		"all of them were denied":    {func(int) bool { return true }, "skipped; 65 kept"},
		"allowed in the next chunk":  {func(n int) bool { return n <= 2 || n > 100 }, "failed; 65 kept"},
		"none was asked for so far":  {func(n int) bool { return n > 100 }, "failed; 65 kept"},
		"nothing at all was refused": {func(int) bool { return false }, "deregistered; 65 deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account, verdicts := ofSize(t, 101)
				doer := &refusals{Doer: account.Client(), says: func(n int) string {
					return map[bool]string{true: noRight}[test.denied(n)]
				}}
				orders := passing(quiet)
				orders.sideBySide = true
				outcomes := carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), orders).Outcomes
				wantOutcomes(t, outcomes[100:], test.last) // 101 is 0x65.
			})
		})
	}
}

// The first refused image of a chunk is tried for as long as IAM may take to see its tags. The same
// refusal of another image of that chunk has a different cause.
func TestTheSameRefusalIsNotWaitedForTwice(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account, verdicts := ofSize(t, 103)
		doer := &refusals{Doer: account.Client(), says: func(n int) string {
			switch n {
			case 11, 12, 101, 102:
				return noRight
			case 13:
				return "UnauthorizedOperation: for another reason."
			case 14:
				return "AuthFailure: not yours"
			default:
				return ""
			}
		}}
		orders := passing(quiet)
		begun := time.Now()
		carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), orders)
		for n, want := range map[int]int{1: 1, 11: 9, 12: 6, 13: 9, 14: 1, 101: 9, 102: 6, 103: 1} {
			if got := doer.tries(n); got != want {
				t.Errorf("image %d: tried %d times, want %d", n, got, want)
			}
		}
		if took, most := time.Since(begun), 3*(121*time.Second)+2*(31*time.Second)+time.Second; took > most {
			t.Errorf("took %s, want at most %s", took, most)
		}
	})
}

// Images whose tags IAM sees late are removed, although another one of their chunk is always
// refused for the same reason.
func TestAProtectedImageBesideSlowTags(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account, verdicts := ofSize(t, 4)
		begun := time.Now()
		doer := &refusals{Doer: account.Client(), says: func(n int) string {
			return map[bool]string{true: noRight}[n == 1 || time.Since(begun) < 100*time.Second]
		}}
		orders := passing(quiet)
		orders.sideBySide = true
		outcomes := carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), orders).Outcomes
		wantOutcomes(t, outcomes, "failed; 1 kept", "deregistered; 2 deleted", "deregistered; 3 deleted", "deregistered; 4 deleted")
	})
}

// An image that could not be removed before comes last, and is no canary as long as there is
// another one, even one without a snapshot.
func TestWhatYieldsGoesLast(t *testing.T) {
	for name, test := range map[string]struct {
		yields []int
		order  []int
	}{
		"some":      {[]int{1, 2, 5}, []int{3, 4, 6, 1, 2, 5}},
		"none":      {nil, []int{1, 2, 3, 4, 5, 6}},
		"all":       {[]int{1, 2, 3, 4, 5, 6}, []int{1, 2, 3, 4, 5, 6}},
		"all but 6": {[]int{1, 2, 3, 4, 5}, []int{6, 1, 2, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account, verdicts := ofSize(t, 6)
				verdicts[5].Snapshots = nil
				for _, n := range test.yields {
					verdicts[n-1].Yields = true
				}
				doer := &refusals{Doer: account.Client(), says: func(int) string { return "" }}
				carryOut(t.Context(), t.Context(), doer, planOf(verdicts...), provingTheBin(t, account))
				if got := doer.order(); !slices.Equal(got, test.order) {
					t.Errorf("in the order %v, want %v", got, test.order)
				}
			})
		})
	}
}

// The journal notes why an image was not removed in its turn, and whether EC2 refused it; not that
// time ran out, or that another run declared it.
func TestTheJournalHearsOfRefusals(t *testing.T) {
	const settled, refused = "settled", "refused"
	tags := func(code string, concerns ...int) func(*emulator.Account) emulator.Doer {
		return func(account *emulator.Account) emulator.Doer {
			return disturb.Fail(account.Client(), "CreateTags", func(_ int, q emulator.Request) bool {
				return slices.ContainsFunc(concerns, func(n int) bool {
					for name, values := range q.Form {
						if strings.HasPrefix(name, "ResourceId.") && values[0] == imageID(n) {
							return true
						}
					}
					return false
				})
			}, 400, code, "Said so.")
		}
	}
	removal := func(says string, concerns ...int) func(*emulator.Account) emulator.Doer {
		return func(account *emulator.Account) emulator.Doer {
			return &refusals{Doer: account.Client(), says: func(n int) string { return map[bool]string{true: says}[slices.Contains(concerns, n)] }}
		}
	}
	for name, test := range map[string]struct {
		doer   func(*emulator.Account) emulator.Doer
		orders func(*testing.T, *orders)
		want   map[int]string
	}{
		"it is allowed":               {removal(""), nil, map[int]string{}},
		"EC2 refuses one":             {removal("AuthFailure: not yours", 2), nil, map[int]string{2: refused}},
		"EC2 refuses all but one":     {removal(noRight, 1, 2, 3), nil, map[int]string{1: refused, 2: refused, 3: refused}},
		"EC2 refuses all":             {removal(noRight, 1, 2, 3, 4), nil, map[int]string{1: settled, 2: settled, 3: settled, 4: settled}},
		"EC2 throttles":               {removal("RequestLimitExceeded: slow down", 2), nil, map[int]string{2: settled}},
		"the session has run out":     {removal("ExpiredToken: over", 2), nil, map[int]string{2: settled}},
		"it has run out, as EC2 says": {removal("AuthFailure: AWS was not able to validate the provided access credentials", 2), nil, map[int]string{2: settled}},
		"its tags are refused":        {tags("TagLimitExceeded", 2), nil, map[int]string{2: refused}},
		"its tags are throttled":      {tags("RequestLimitExceeded", 1, 2, 3, 4), nil, map[int]string{1: settled, 2: settled, 3: settled, 4: settled}},
		"all tags are refused":        {tags("UnauthorizedOperation", 1, 2, 3, 4), nil, map[int]string{1: settled, 2: settled, 3: settled, 4: settled}},
		"it has changed":              {removal(""), func(_ *testing.T, o *orders) { o.look = staying(2).look }, map[int]string{2: settled}},
		"it is gone":                  {removal("InvalidAMIID.Unavailable: gone", 2), nil, map[int]string{2: settled}},
		"the attempt cannot be noted": {removal(""), func(t *testing.T, o *orders) {
			o.records = withoutRemovals(t)
		}, map[int]string{}},
		"the run may not go on": {removal(""), func(_ *testing.T, o *orders) {
			o.clock = func() time.Time { // The machine sleeps as soon as the journal has a plan.
				if _, err := os.Stat(filepath.Join(o.records, "unfinished")); err == nil {
					return time.Now().Add(time.Hour)
				}
				return time.Now()
			}
		}, map[int]string{}},
		"no further attempt may follow": {func(account *emulator.Account) emulator.Doer {
			return &refusals{Doer: account.Client(), says: func(n int) string {
				if n == 2 {
					time.Sleep(time.Hour)
				}
				return map[bool]string{true: noRight}[n == 2]
			}}
		}, nil, map[int]string{2: settled}},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account, verdicts := ofSize(t, 4)
				orders, heard := passing(quiet), map[int]string{}
				orders.records = t.TempDir()
				if test.orders != nil {
					test.orders(t, &orders)
				}
				carryOut(t.Context(), t.Context(), test.doer(account), planOf(verdicts...), orders)
				for n := 1; n <= 4; n++ {
					switch noted := notedOf(t, orders.records, n); {
					case noted.Status == "" || noted.Status == ami.Deregistered:
					case noted.Refused:
						heard[n] = refused
					default:
						heard[n] = settled
					}
				}
				if fmt.Sprint(heard) != fmt.Sprint(test.want) {
					t.Errorf("the journal has heard %v, want %v", heard, test.want)
				}
			})
		})
	}
}
