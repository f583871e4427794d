// Package runtimeapi runs a Lambda function's real bootstrap outside of Lambda: it serves Lambda's
// runtime API (AWS Lambda Developer Guide, "Using the Lambda runtime API") for one process and one
// invocation.
package runtimeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Invocation is the process and the event of an invocation.
type Invocation struct {
	Bootstrap   string   // The path of the executable.
	Environment []string // As in os/exec; AWS_LAMBDA_RUNTIME_API is added to it.
	Event       []byte
	Deadline    time.Time
}

// Result is the result of an invocation.
type Result struct {
	Response []byte          // The function's answer; nil if it failed.
	Error    json.RawMessage // The function's error; nil if it answered.
	Log      []byte          // The process's standard output and error.
	Started  time.Duration   // From the start of the process to its first request for an event.
	// The largest resident memory of the process until it answered, in bytes; 0 if Linux does not
	// say.
	Resident int64
}

// ErrExited is the error of a process that ended without an answer.
var ErrExited = errors.New("the function's process ended without an answer")

// Invoke starts the bootstrap, sends it one event, waits for its answer, and ends the process.
func Invoke(ctx context.Context, invocation Invocation) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Result{}, err
	}
	api := &api{invocation: invocation, began: time.Now(), answered: make(chan struct{})}
	server := &http.Server{Handler: api.routes(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	var log bytes.Buffer
	process := exec.CommandContext(ctx, invocation.Bootstrap) //nolint:gosec // To run what the caller names is what it is for.
	process.Env = append(slices.Clone(invocation.Environment), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String())
	process.Stdout, process.Stderr = &log, &log
	if err := process.Start(); err != nil {
		return Result{}, err
	}
	var ended error
	exited := make(chan struct{})
	go func() {
		ended = process.Wait()
		close(exited)
	}()
	var resident int64
	select {
	case <-api.answered:
		resident = peak(process.Process.Pid)
		cancel()
		<-exited
		err = nil
	case <-exited:
		err = errors.Join(ErrExited, ended)
	}
	result := api.outcome()
	result.Resident = resident
	result.Log = log.Bytes()
	return result, err
}

// peak is the largest resident memory of a process, in bytes. The figure that a parent gets for an
// ended process includes the parent.
func peak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}

// api is the state of one invocation.
type api struct {
	invocation Invocation
	began      time.Time
	answered   chan struct{}

	mutex  sync.Mutex
	asked  bool
	done   bool
	result Result
}

const requestID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", a.finish(func(r *Result, body []byte) { r.Response = body }))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", a.finish(func(r *Result, body []byte) { r.Error = body }))
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", a.finish(func(r *Result, body []byte) { r.Error = body }))
	return mux
}

// next sends the event once. There is no second event: further requests wait until the process
// ends.
func (a *api) next(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	again := a.asked
	if a.asked = true; !again {
		a.result.Started = time.Since(a.began)
	}
	a.mutex.Unlock()
	if again {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", requestID)
	w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(a.invocation.Deadline.UnixMilli(), 10))
	w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:ami-janitor")
	_, _ = w.Write(a.invocation.Event)
}

func (a *api) finish(record func(*Result, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.WriteHeader(http.StatusAccepted)
		a.mutex.Lock()
		defer a.mutex.Unlock()
		if !a.done {
			record(&a.result, body)
			a.done = true
			close(a.answered)
		}
	}
}

func (a *api) outcome() Result {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.result
}
