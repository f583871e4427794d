package simulation

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// way is the way of one run, or one undo, to the account: each request takes its time, and what
// goes wrong goes wrong here.
//
// How long a request takes is a function of the seed, the run, the action, its subject and the
// attempt, and no two arrive at the same instant, so that the order of events does not depend on
// how goroutines are scheduled. A retry of the SDK leaves after a random pause; it arrives as if
// that had been the longest one.
type way struct {
	sim   *simulation
	actor string // The id of the run, or "undo" and the id of the undone one.
	night *night
	inner emulator.Doer
	kill  *kill

	// Guarded by sim.mu.
	dead    bool
	calls   int
	writes  int
	actions map[string]int
	trips   map[string]*trip // The latest of each request, by what it asks for.
	// When the last attempt of an invocation of the SDK failed, and how many there were.
	failed   map[string]time.Time
	persons  []person
	lostCall *kill
	ended    bool
	jumps    []jump
	// Since when no run that goes by its clock may change anything; zero if it may.
	wrong time.Time
	// The run may consider itself stalled, or its clock set back.
	stands bool
	left   time.Time // When the last request has left, and by how much the clock was ahead then.
	leftBy time.Duration
	ahead  atomic.Int64
}

// set sets the clock of the machine. What a run has asked for before is under way.
// Only what its clock shows to the next request tells a run that it was set.
func (w *way) set(by time.Duration) {
	moved := time.Duration(w.ahead.Add(int64(by))) - w.leftBy
	w.stands = w.stands || moved.Abs() >= lease-between
	switch {
	case moved > lease || moved < -lease-between || w.calls == 0 && by.Abs() > clocksApart+time.Minute:
		w.wrong = time.Now()
	case !w.wrong.Before(w.left):
		w.wrong = time.Time{}
	}
}

// between is more than what passes between two requests of a run.
const between = 5 * time.Minute

// lease is for how long a run may stand still.
const lease = 30 * time.Minute

func (w *way) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	name := q.Service + " " + q.Region + " " + q.Action + " " + subject
	s := w.sim
	s.mu.Lock()
	if w.dead {
		s.mu.Unlock()
		return refusal(r, q, http.StatusBadRequest, "Killed"), nil
	}
	sdk, isRetry := retryOf(r)
	leave, asked := time.Now(), time.Now()
	w.left, w.leftBy = asked, time.Duration(w.ahead.Load())
	if last, ok := w.failed[sdk]; ok && isRetry > 1 {
		// As pkg/wire, and the SDK, pause at most.
		leave = last.Add(min(20*time.Second, time.Second<<(isRetry-1)))
	}
	t := w.trips[name]
	if t == nil || !t.left.Equal(leave) {
		attempt := 1
		if t != nil {
			attempt = t.attempt + 1
		}
		t = &trip{left: leave, attempt: attempt}
		words := []string{w.actor, name, strconv.Itoa(attempt)}
		t.arrival = s.reserve(leave.Add(s.latency(append(words, "request")...)))
		t.back = s.latency(append(words, "answer")...)
		w.trips[name] = t
	}
	attempt, arrival := strconv.Itoa(t.attempt), t.arrival
	s.mu.Unlock()
	if err := sleepUntil(r, arrival); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.disturb(w, q)
		return nil, err
	}

	response, err := w.arrive(r, q, name, attempt, asked)

	if err := sleepUntil(r, s.homecoming(t)); err != nil {
		if response != nil {
			_ = response.Body.Close()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.disturb(w, q)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.dead {
		return refusal(r, q, http.StatusBadRequest, "Killed"), nil
	}
	w.failed[sdk] = time.Now()
	return response, err
}

// trip is the way of a request, and of others for the very same that have left at the same instant:
// two regions may ask for one document. Nobody could tell which of them is which, so that they
// travel together.
type trip struct {
	left, arrival time.Time
	attempt       int
	back          time.Duration
	home          time.Time
}

func (s *simulation) homecoming(t *trip) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.home.IsZero() {
		t.home = s.reserve(t.arrival.Add(t.back))
	}
	return t.home
}

// retryOf returns which invocation of the SDK a request belongs to, and which attempt of it it is.
func retryOf(r *http.Request) (invocation string, attempt int) {
	_, _ = fmt.Sscanf(r.Header.Get("Amz-Sdk-Request"), "attempt=%d", &attempt)
	return r.Header.Get("Amz-Sdk-Invocation-Id"), attempt
}

// subjectOf is what a request is about. ETags of locks are random, like the tokens that make
// requests idempotent.
func subjectOf(q emulator.Request) string {
	form := maps.Clone(q.Form)
	for _, name := range []string{"Action", "ClientToken", "Version", "IfMatch"} {
		delete(form, name)
	}
	if q.Service == "s3" {
		return form.Get("Bucket") + "/" + form.Get("Key") + " " + form.Get("prefix")
	}
	return form.Encode()
}

func sleepUntil(r *http.Request, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return &url.Error{Op: r.Method, URL: r.URL.Redacted(), Err: r.Context().Err()}
	}
}

// arrive lets a request take effect, or not.
func (w *way) arrive(r *http.Request, q emulator.Request, name, attempt string, asked time.Time) (response *http.Response, err error) {
	s := w.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.dead {
		return refusal(r, q, http.StatusBadRequest, "Killed"), nil
	}
	w.calls++
	w.actions[q.Action]++
	if isWrite(q) {
		w.writes++
	}
	if w.hits(w.kill, q) && !w.kill.after {
		return w.die(r, q), nil
	}
	for _, j := range w.jumps {
		if w.hits(&j.at, q) {
			s.trace("%s: the clock is set by %v", w.actor, j.by)
			w.set(j.by)
		}
	}
	if !w.wrong.IsZero() && asked.After(w.wrong) && q.Service == "ec2" && isWrite(q) {
		s.violate("a wrong clock changes nothing", "%s: %s %s", w.actor, q.Action, subjectOf(q))
	}
	for _, p := range w.persons {
		if w.hits(&p.at, q) {
			s.act(p)
		}
	}
	fault := w.fault(name, attempt)
	defer func() { s.noteUnnoted(w, q, response) }()
	if w.hits(w.lostCall, q) {
		fault = "lose"
	}
	if q.Action == w.night.faults.deny {
		s.note(w, q, name, "denied")
		return refusal(r, q, http.StatusForbidden, denial(q)), nil
	}
	if q.Action == "DeregisterImage" && s.isBanned(q.Form.Get("ImageId")) {
		s.note(w, q, name, "refused")
		return refusal(r, q, http.StatusForbidden, s.ban.code), nil
	}
	switch fault {
	case "throttle":
		s.note(w, q, name, "throttled")
		s.disturbed[w.actor+q.Form.Get("ImageId")] = true
		return refusal(r, q, http.StatusServiceUnavailable, map[string]string{"ec2": "RequestLimitExceeded", "s3": "SlowDown", "": "ThrottlingException"}[serviceOr(q.Service)]), nil
	case "fail":
		s.note(w, q, name, "failed")
		s.disturb(w, q)
		return refusal(r, q, http.StatusInternalServerError, "InternalError"), nil
	}
	response, err = w.inner.Do(r)
	if err != nil {
		s.note(w, q, name, err.Error())
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	s.witness(w.actor, q, response.StatusCode, body)
	s.note(w, q, name, strconv.Itoa(response.StatusCode))
	body = s.splice(q, body)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if w.hits(w.kill, q) {
		return w.die(r, q), nil
	}
	switch fault {
	case "lose":
		s.disturb(w, q)
		return nil, &url.Error{Op: r.Method, URL: r.URL.Redacted(), Err: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}}
	case "garble":
		s.disturb(w, q)
		page := []byte("<!DOCTYPE html><html><head><title>Welcome</title><body><p>Please sign in<br>")
		return &http.Response{
			StatusCode: http.StatusOK, Status: "OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(bytes.NewReader(page)), ContentLength: int64(len(page)),
		}, nil
	}
	return response, nil
}

func serviceOr(service string) string {
	if service == "ec2" || service == "s3" {
		return service
	}
	return ""
}

// noteUnnoted notes whether the last thing that a run wanted to note of a removal was noted.
func (s *simulation) noteUnnoted(w *way, q emulator.Request, response *http.Response) {
	if r := s.runs[w.actor]; r != nil && q.Action == "PutObject" && strings.Contains(q.Form.Get("Key"), "/removals/") {
		r.unnoted[q.Form.Get("Key")] = response == nil || response.StatusCode >= 300
	}
}

// denial is a service's error code for a missing permission.
func denial(q emulator.Request) string {
	switch q.Service {
	case "ec2":
		return "UnauthorizedOperation"
	case "s3":
		return "AccessDenied"
	default:
		return "AccessDeniedException"
	}
}

// hits reports whether a call is the one that is meant.
func (w *way) hits(k *kill, q emulator.Request) bool {
	switch {
	case k == nil:
		return false
	case k.action != "":
		return q.Action == k.action && w.actions[q.Action] == k.call
	case k.writes:
		return isWrite(q) && w.writes == k.call
	default:
		return w.calls == k.call
	}
}

func (w *way) die(r *http.Request, q emulator.Request) *http.Response {
	w.dead = true
	w.sim.trace("%s is killed", w.actor)
	return refusal(r, q, http.StatusBadRequest, "Killed")
}

// fault draws what goes wrong with a request; empty if nothing does.
func (w *way) fault(name, attempt string) string {
	f := w.night.faults
	if f.throttle+f.fail+f.lose+f.garble == 0 {
		return ""
	}
	x := share(w.sim.seed, "fault", w.actor, name, attempt)
	for _, one := range []struct {
		name  string
		share float64
	}{{"throttle", f.throttle}, {"fail", f.fail}, {"lose", f.lose}, {"garble", f.garble}} {
		if x -= one.share; x < 0 {
			return one.name
		}
	}
	return ""
}

// isWrite reports whether a request changes something.
func isWrite(q emulator.Request) bool {
	return !slices.ContainsFunc([]string{"Describe", "Get", "List", "Head"}, func(verb string) bool { return strings.HasPrefix(q.Action, verb) })
}

// refusal is an error in the form of the service that was asked.
func refusal(r *http.Request, q emulator.Request, status int, code string) *http.Response {
	kind, body := "text/xml;charset=UTF-8", ""
	switch q.Service {
	case "ec2":
		body = "<Response><Errors><Error><Code>" + code + "</Code><Message>Said so.</Message></Error></Errors><RequestID>1</RequestID></Response>"
	case "s3":
		body = "<Error><Code>" + code + "</Code><Message>Said so.</Message><RequestId>1</RequestId></Error>"
	case "ssm", "rbin":
		kind, body = "application/x-amz-json-1.1", `{"__type":"`+code+`","message":"Said so."}`
	default:
		body = "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>Said so.</Message></Error><RequestId>1</RequestId></ErrorResponse>"
	}
	header := http.Header{"Content-Type": {kind}}
	if q.Service == "rbin" {
		header.Set("X-Amzn-Errortype", code)
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}
