package middleware

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// logLine is a request that has been answered.
type logLine struct {
	T       string `json:"t"`                 // RFC 3339, with nanoseconds.
	Account string `json:"account,omitempty"` // Which one of an organization.
	Svc     string `json:"svc"`
	Action  string `json:"action"`
	Region  string `json:"region"`
	Status  int    `json:"status"` // The HTTP status; 0 if the answer was lost.
	// AWS's error code; empty for a success, and where an error has no body.
	Code string `json:"code"`
}

// Log writes a line of JSON for each request to AWS as it is answered, in that order: t, svc,
// action, region, status and code. Of an organization, accountOf says which account a request
// reaches; it is nil for a single account. Each line is written at once, with one call. A request
// whose line cannot be written gets no answer.
func Log(next emulator.Doer, w io.Writer, now func() time.Time, accountOf func(emulator.Request) string) emulator.Doer {
	var mu sync.Mutex
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == emulator.MessagesPath {
			return next.Do(r)
		}
		q, _ := emulator.Inspect(r) // What cannot be read is answered, too.
		line := logLine{Svc: q.Service, Action: q.Action, Region: q.Region}
		if accountOf != nil {
			line.Account = accountOf(q)
		}
		response, err := next.Do(r)
		if err == nil {
			line.Status = response.StatusCode
			line.Code, err = errorCode(response)
		}
		mu.Lock()
		defer mu.Unlock()
		line.T = now().UTC().Format(time.RFC3339Nano)
		data, failed := json.Marshal(line)
		if failed == nil {
			_, failed = w.Write(append(data, '\n'))
		}
		if err := cmp.Or(err, failed); err != nil {
			return nil, err
		}
		return response, nil
	})
}

// errorCode reads AWS's error code from an answer, in any of AWS's protocols, and restores its
// body.
func errorCode(response *http.Response) (string, error) {
	if response.StatusCode < http.StatusMultipleChoices {
		return "", nil
	}
	if code := response.Header.Get("X-Amzn-Errortype"); code != "" {
		return code, nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var inJSON struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(body, &inJSON) == nil {
		return inJSON.Type[strings.LastIndex(inJSON.Type, "#")+1:], nil
	}
	return codeInXML(body), nil
}

// codeInXML is the text of the first element named Code; empty if there is none.
func codeInXML(body []byte) string {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "Code" {
			var code string
			_ = d.DecodeElement(&code, &start) // Then there is no code.
			return code
		}
	}
}
