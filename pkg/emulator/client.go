package emulator

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
)

// Doer sends a request. It is what the SDKs take as their HTTP client; middleware is a function
// from one Doer to another.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// DoerFunc is a function as a Doer.
type DoerFunc func(*http.Request) (*http.Response, error)

// Do calls the function.
func (f DoerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// Client is an HTTP client that reaches an account or an organization without a network.
type Client struct {
	serve func(http.ResponseWriter, *http.Request)
}

// Client returns an in-process HTTP client of the account, whatever host its requests name. It sees
// the lags of EC2 if any are given. What the resources carried before the first client with lags,
// they have carried for ever.
func (a *Account) Client(lags ...Lags) *Client {
	var seen *Lags
	if len(lags) > 0 {
		seen = &lags[0]
		a.startHistory()
	}
	return &Client{func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, caller{lags: seen}) }}
}

// startHistory makes the account remember its changes from now on, for those who see them late.
func (a *Account) startHistory() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.history == nil {
		a.history = map[resource][]change{}
	}
}

// Do calls the handler in the caller's goroutine. Once the request's context is done there is no
// answer: a context that ends while the handler works loses the answer, not the effect, as on a
// real network.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close() //nolint:errcheck // An http.Client closes it too, and nothing was written.
	}
	if err := r.Context().Err(); err != nil {
		return nil, Lost(r, err)
	}
	inner := r.Clone(r.Context())
	if inner.Body == nil {
		inner.Body = http.NoBody // What a server would see.
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	c.serve(a, inner)
	if err := r.Context().Err(); err != nil {
		return nil, Lost(r, err)
	}
	return a.response(r), nil
}

// Lost is the error of an http.Client whose request got no answer.
func Lost(r *http.Request, err error) error {
	return &url.Error{Op: r.Method, URL: r.URL.Redacted(), Err: err}
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) response(r *http.Request) *http.Response {
	return respond(r, a.status, a.header, a.body.Bytes())
}

// Refuse is the response of an AWS service that refuses a request, in the service's protocol.
func Refuse(r *http.Request, q Request, e *Error) *http.Response {
	s := serviceNamed(q.Service)
	body := renderError(s, "00000000-0000-4000-8000-ffffffffffff", e)
	if r.Method == http.MethodHead {
		body = nil
	}
	return respond(r, e.Status, s.header(e), body)
}

func respond(r *http.Request, status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status:        http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}
