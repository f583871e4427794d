// Package disturb disturbs the clients of an emulated account, for the tests of other packages:
// what is refused has no effect, what is lost has one.
package disturb

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// Deny refuses actions because a permission is missing, in the words of the service. They have no
// effect.
func Deny(next emulator.Doer, actions ...string) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || !slices.Contains(actions, q.Action) {
			return next.Do(r)
		}
		return emulator.Refuse(r, q, q.Forbidden()), nil
	})
}

// Fail answers the calls of an action that match with an error. They have no effect.
func Fail(next emulator.Doer, action string, match func(n int, r emulator.Request) bool, status int, code, message string) emulator.Doer {
	return onMatch(next, action, match, func(r *http.Request, q emulator.Request) (*http.Response, error) {
		return emulator.Refuse(r, q, &emulator.Error{Status: status, Code: code, Message: message}), nil
	})
}

// LoseAnswer lets the calls of an action that match take effect, and then breaks the connection.
func LoseAnswer(next emulator.Doer, action string, match func(n int, r emulator.Request) bool) emulator.Doer {
	return onMatch(next, action, match, func(r *http.Request, _ emulator.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		return nil, emulator.Lost(r, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	})
}

// Garble lets the calls of an action that match take effect, and then answers with a web page and
// status 200, as a proxy on the way might.
func Garble(next emulator.Doer, action string, match func(n int, r emulator.Request) bool) emulator.Doer {
	return onMatch(next, action, match, func(r *http.Request, _ emulator.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		const page = "<!DOCTYPE html><html><head><title>Welcome</title><body><p>Please sign in<br>"
		response.StatusCode, response.Status = http.StatusOK, http.StatusText(http.StatusOK)
		response.Header = http.Header{"Content-Type": {"text/html"}}
		response.Body, response.ContentLength = io.NopCloser(strings.NewReader(page)), int64(len(page))
		return response, nil
	})
}

// onMatch gives the calls of an action that match to a fault, and all others to next. The matcher
// is told which call of the action this is, from 1, and is asked about one at a time; a nil one
// matches all.
func onMatch(next emulator.Doer, action string, match func(n int, r emulator.Request) bool, fault func(*http.Request, emulator.Request) (*http.Response, error)) emulator.Doer {
	var (
		mu sync.Mutex
		n  int
	)
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		q, err := emulator.Inspect(r)
		if err != nil || q.Action != action {
			return next.Do(r)
		}
		mu.Lock()
		n++
		matches := match == nil || match(n, q)
		mu.Unlock()
		if !matches {
			return next.Do(r)
		}
		return fault(r, q)
	})
}
