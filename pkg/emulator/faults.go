package emulator

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
)

// Deny refuses actions for want of a permission, in the words of the service. They have no effect.
func Deny(next Doer, actions ...string) Doer {
	return DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := Inspect(r)
		if err != nil || !slices.Contains(actions, q.Action) {
			return next.Do(r)
		}
		return failure(r, q, asAPIError(serviceNamed(q.Service).forbid()))
	})
}

// Fail answers the calls of an action that match with an error. They have no effect.
func Fail(next Doer, action string, match func(n int, r Request) bool, status int, code, message string) Doer {
	return onMatch(next, action, match, func(r *http.Request, q Request) (*http.Response, error) {
		return failure(r, q, &apiError{status, code, message})
	})
}

// LoseAnswer lets the calls of an action that match take effect, and then breaks the connection.
func LoseAnswer(next Doer, action string, match func(n int, r Request) bool) Doer {
	return onMatch(next, action, match, func(r *http.Request, _ Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		return nil, lost(r, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	})
}

// Garble lets the calls of an action that match take effect, and then answers with a web page and status 200, as a
// proxy on the way might.
func Garble(next Doer, action string, match func(n int, r Request) bool) Doer {
	return onMatch(next, action, match, func(r *http.Request, _ Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		header := http.Header{"Content-Type": {"text/html"}}
		return respond(r, http.StatusOK, header, []byte("<!DOCTYPE html><html><head><title>Welcome</title><body><p>Please sign in<br>")), nil
	})
}

// onMatch gives the calls of an action that match to a fault, and all others to next. The matcher is told which call
// of the action this is, from 1; a nil one matches all.
func onMatch(next Doer, action string, match func(n int, r Request) bool, fault func(*http.Request, Request) (*http.Response, error)) Doer {
	var (
		mu sync.Mutex
		n  int
	)
	return DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		mu.Lock()
		n++
		this := n
		mu.Unlock()
		if match != nil && !match(this, q) {
			return next.Do(r)
		}
		return fault(r, q)
	})
}

// failure is an AWS error as an HTTP response.
func failure(r *http.Request, q Request, e *apiError) (*http.Response, error) {
	s := serviceNamed(q.Service)
	body := renderError(s, "00000000-0000-4000-8000-ffffffffffff", e)
	if r.Method == http.MethodHead {
		body = nil
	}
	return respond(r, e.status, s.header(e), body), nil
}
