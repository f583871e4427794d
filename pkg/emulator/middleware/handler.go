// Package middleware is what may lie between an emulated account and its clients: a network with
// its latency, EC2's limits, and a log.
package middleware

import (
	"io"
	"maps"
	"net/http"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// Handler serves a Doer to others. A lost answer breaks the connection.
func Handler(d emulator.Doer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := d.Do(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer response.Body.Close() //nolint:errcheck // It is in memory.
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body) // A client that has gone away is its own affair.
	})
}
