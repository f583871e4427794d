package middleware

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// Attempts counts how often each action has been tried on the same subject by the same session of a
// role, if by any. It is safe for concurrent use.
type Attempts struct {
	mu sync.Mutex
	n  map[[sha256.Size]byte]int
}

// Next counts an attempt, and returns which one it is, from 1.
func (a *Attempts) Next(q emulator.Request) int {
	key := sha256.Sum256([]byte(q.Service + " " + q.Region + " " + q.Action + " " + q.Subject() + q.Session))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == nil {
		a.n = map[[sha256.Size]byte]int{}
	}
	a.n[key]++
	return a.n[key]
}

// Network is the way between a client and the account.
type Network struct {
	Seed    uint64
	Latency time.Duration // Of a request and its answer together, in the mean; none if it is zero.
	// Spread is how far from the mean the latency may be, as a share of it, from 0 to 1. At 0, what
	// is sent at the same instant arrives as the goroutines come.
	Spread float64

	attempts Attempts
	mu       sync.Mutex
	arrivals map[int64]bool // The instants at which something is going to arrive, in nanoseconds.
}

// Wrap delays each request before it takes effect, and its answer afterwards, each for about half
// of the latency. A context that ends on the first half of the way loses the request, one that ends
// on the second half the answer alone.
//
// How long it takes is a function of the seed, the action, its subject, the session of a role, if
// there is one, and which attempt it is. No
// two arrive at the same instant, so that in the bubble of a synctest the order of events does not
// depend on how goroutines are scheduled, as long as no two requests for the same are sent at the
// same instant.
func (n *Network) Wrap(next emulator.Doer) emulator.Doer {
	if n.Latency <= 0 {
		return next
	}
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil {
			return next.Do(r)
		}
		words := []string{q.Service, q.Region, q.Action, q.Subject() + q.Session, strconv.Itoa(n.attempts.Next(q))}
		if err := n.travel(r, emulator.Draw(n.Seed, append(words, "request")...)); err != nil {
			return nil, err
		}
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if err := n.travel(r, emulator.Draw(n.Seed, append(words, "answer")...)); err != nil {
			_ = response.Body.Close() // Nobody is going to read it.
			return nil, err
		}
		return response, nil
	})
}

// travel waits for one way.
func (n *Network) travel(r *http.Request, draw float64) error {
	wait, arrival := n.reserve(time.Duration(float64(n.Latency) / 2 * (1 + n.Spread*(2*draw-1))))
	defer n.release(arrival)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return emulator.Lost(r, r.Context().Err())
	}
}

// reserve returns how long it is, from the given wait on, to the next instant at which nothing else
// arrives, and that instant.
func (n *Network) reserve(wait time.Duration) (time.Duration, int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.arrivals == nil {
		n.arrivals = map[int64]bool{}
	}
	now := time.Now().UnixNano()
	for n.arrivals[now+int64(wait)] {
		wait++
	}
	arrival := now + int64(wait)
	n.arrivals[arrival] = true
	return wait, arrival
}

func (n *Network) release(arrival int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.arrivals, arrival)
}
