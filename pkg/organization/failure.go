package organization

import (
	"cmp"
	"encoding/json"
	"errors"
)

// Failure is why an execution of the state machine has failed, as Step Functions says it.
type Failure struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"` // The answer of a function that failed is JSON.
}

// Err is the failure in words.
func (f Failure) Err() error {
	var cause struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal([]byte(f.Cause), &cause); err == nil && cause.Message != "" {
		return errors.New(cause.Message)
	}
	return errors.New(cmp.Or(f.Cause, f.Error, "the state machine does not say why"))
}
