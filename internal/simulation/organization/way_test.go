package organization

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// way is the way of one invocation of a step to AWS: each request takes its time, and what goes
// wrong goes wrong here. How long a request takes depends on the seed and the request alone, and no
// two arrive at the same instant, so that a seed gives the same history again.
type way struct {
	*simulation
	execution *execution
	step      string
	account   string // Empty if the step is one for all.
	attempt   string
	fault     *fault // What goes wrong; nil if nothing does.
	inner     emulator.Doer

	// Guarded by simulation.mu.
	calls     int
	dead      bool
	wasDenied bool                 // The account does not answer,
	hasGap    bool                 // or not all questions.
	session   string               // That has expired before its time.
	asked     map[string]int       // How often each request was made.
	failed    map[string]time.Time // When an invocation of the SDK got its last answer.
	stopped   bool                 // Somebody had stopped the run before it began.
}

func (w *way) Do(r *http.Request) (*http.Response, error) {
	q, err := emulator.Inspect(r)
	if err != nil {
		return nil, err
	}
	body, sdk := subjectOf(q), r.Header.Get("Amz-Sdk-Invocation-Id")
	attempt := 0
	_, _ = fmt.Sscanf(r.Header.Get("Amz-Sdk-Request"), "attempt=%d", &attempt)

	w.mu.Lock()
	leave := time.Now()
	if last, ok := w.failed[sdk]; ok && attempt > 1 {
		leave = last.Add(20 * time.Second) // The SDK pauses at random, and no longer.
	}
	w.asked[body]++
	arrival := w.reserve(leave.Add(w.latency(body, w.asked[body])))
	w.mu.Unlock()
	time.Sleep(time.Until(arrival))

	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	response, err := w.arrive(r, q)
	w.failed[sdk] = time.Now()
	return response, err
}

// subjectOf is what a request asks for, without what is random in it.
func subjectOf(q emulator.Request) string {
	form := maps.Clone(q.Form)
	for _, name := range []string{"ClientToken", "IfMatch", "partNumber"} {
		delete(form, name)
	}
	return q.Service + " " + q.Region + " " + q.Action + " " + form.Encode()
}

func (w *way) latency(subject string, n int) time.Duration {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, w.seed, w.execution.run, w.step, w.account, w.attempt, subject, n)
	least, span := 5*time.Millisecond, uint64(40*time.Millisecond)
	if w.execution.slow && w.step == "sweep" {
		least, span = 90*time.Second, uint64(60*time.Second)
	}
	return least + time.Duration(h.Sum64()>>1%span)
}

// reserve returns an instant at which nothing else arrives.
func (s *simulation) reserve(at time.Time) time.Time {
	for s.taken[at.UnixNano()] {
		at = at.Add(time.Nanosecond)
	}
	s.taken[at.UnixNano()] = true
	return at
}

// arrive lets a request take effect, or not.
func (w *way) arrive(r *http.Request, q emulator.Request) (*http.Response, error) {
	isNow := w.fault != nil && w.calls == w.fault.call
	if isNow {
		w.trace("%s: request %d, %s: %s", w, w.calls, q.Action, w.fault.trouble)
		w.execution.hit(w)
	}
	if isNow && w.fault.trouble == stalls {
		w.mu.Unlock()
		time.Sleep(w.fault.pause)
		w.mu.Lock()
	}
	switch {
	case w.dead || isNow && w.fault.trouble == killedBefore:
		w.dead = true
		return refuse(r, q, http.StatusBadRequest, "Killed"), nil
	case isNow && w.fault.trouble == stopped:
		w.setStop("stop")
	case isNow && w.fault.trouble == revoked:
		w.session = q.Session
	}
	if w.session != "" && q.Session == w.session {
		return refuse(r, q, http.StatusBadRequest, "RequestExpired"), nil
	}
	if w.isDenied(q) || isNow && w.fault.trouble == refused {
		w.noteRefusal(q)
		return emulator.Refuse(r, q, q.Forbidden()), nil
	}
	if isNow && w.fault.trouble == fails {
		return refuse(r, q, http.StatusInternalServerError, "InternalError"), nil
	}
	response, err := w.inner.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode < 300:
		w.witness(w, q)
	case response.StatusCode == http.StatusForbidden: // The account has left.
		w.noteRefusal(q)
	}
	body = w.splice(w, q, body)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch {
	case isNow && w.fault.trouble == killedAfter:
		w.dead = true
		return refuse(r, q, http.StatusBadRequest, "Killed"), nil
	case isNow && w.fault.trouble == loses:
		return nil, emulator.Lost(r, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	default:
		return response, nil
	}
}

// noteRefusal notes what an account does not answer.
func (w *way) noteRefusal(q emulator.Request) {
	w.wasDenied = w.wasDenied || slices.Contains([]string{"AssumeRole", "GetCallerIdentity", "DescribeRegions"}, q.Action)
	w.hasGap = w.hasGap || q.Action == "DescribeInstances"
}

func refuse(r *http.Request, q emulator.Request, status int, code string) *http.Response {
	return emulator.Refuse(r, q, &emulator.Error{Status: status, Code: code, Message: "Said so."})
}

// isDenied reports whether an account refuses a request, for as long as the night lasts.
func (w *way) isDenied(q emulator.Request) bool {
	if w.account == "" {
		return false
	}
	at := slices.IndexFunc(w.world.members, func(m *member) bool { return m.id == w.account })
	return q.Action == "AssumeRole" && w.execution.denied[w.step][at] || q.Action == "DescribeInstances" && w.step == "census" && w.execution.blind[at]
}

// splice adds to an answer what the emulated organization does not know, and takes out of it what
// gets lost.
func (s *simulation) splice(w *way, q emulator.Request, body []byte) []byte {
	account := s.organization.AccountOf(q)
	var items strings.Builder
	switch q.Action {
	case "ListAccounts", "ListAccountsForParent":
		return w.execution.shorten(q, body, s.world)
	case "DescribeInstances":
		for n, u := range s.world.uses {
			if u.account == account && u.image.region == q.Region && u.isThere(s.night) {
				fmt.Fprintf(&items, "<item><reservationId>r-%017x</reservationId><instancesSet><item><instanceId>i-%017x</instanceId><imageId>%s</imageId>"+
					"<instanceState><code>16</code><name>running</name></instanceState></item></instancesSet></item>", n, n, u.image.id)
			}
		}
		return addTo(body, "reservationSet", items.String())
	case "DescribeImageAttribute":
		for _, i := range s.world.images {
			if i.id == q.Form.Get("ImageId") && q.Form.Get("Attribute") == "launchPermission" {
				for _, g := range i.sharesAt(s.night) {
					items.WriteString(g.xml())
				}
			}
		}
		return addTo(body, "launchPermission", items.String())
	default:
		return body
	}
}

func addTo(body []byte, set, items string) []byte {
	text := strings.Replace(string(body), "<"+set+"/>", "<"+set+"></"+set+">", 1)
	return []byte(strings.Replace(text, "<"+set+">", "<"+set+">"+items, 1))
}

// shorten takes accounts out of a list.
func (e *execution) shorten(q emulator.Request, body []byte, world *world) []byte {
	var answer object
	if json.Unmarshal(body, &answer) != nil {
		return body
	}
	if e.losesPage && q.Action == "ListAccounts" && answer["NextToken"] != nil {
		delete(answer, "NextToken")
		e.isShort = true
	}
	listed, _ := answer["Accounts"].([]any)
	if e.hiddenIn[q.Action] {
		left := slices.DeleteFunc(slices.Clone(listed), func(a any) bool { return a.(object)["Id"] == world.members[e.hidden].id })
		e.isShort = e.isShort || len(left) < len(listed)
		answer["Accounts"] = left
	}
	shorter, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return shorter
}

func (w *way) String() string {
	return strings.Join([]string{w.execution.run, w.step, w.account, "attempt", w.attempt}, " ")
}

func attemptName(n int) string { return strconv.Itoa(n) }
