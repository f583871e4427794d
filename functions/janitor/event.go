package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// event is what an invocation may ask for. It can make a run safer, never bolder.
type event struct {
	DryRun sticky `json:"dryRun"`
}

// sticky is true once it has been true: of a key that an event repeats, in any case, the safer value counts.
type sticky bool

// UnmarshalJSON takes true and false and nothing else, null included.
func (s *sticky) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "true":
		*s = true
	case "false":
	default:
		return fmt.Errorf("%s is neither true nor false", text)
	}
	return nil
}

// parseEvent understands no event at all, null, the function's own input, and the envelopes in which EventBridge rules
// and EventBridge Scheduler wrap an event: the first has its detail as an object, the second as a string of JSON.
//
// A key that is not known is refused: who writes {"dry_run": true} does not want a real run.
func parseEvent(payload []byte) (event, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) {
		return event{}, nil
	}
	if payload[0] != '{' {
		return event{}, errors.New("it is not a JSON object")
	}
	var envelope struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(payload, &envelope); err != nil {
		return event{}, err
	}
	if envelope.Source == "" && envelope.DetailType == "" {
		return parseInput(payload)
	}
	var text string
	if json.Unmarshal(envelope.Detail, &text) == nil {
		return parseEvent([]byte(text))
	}
	return parseEvent(envelope.Detail)
}

func parseInput(payload []byte) (event, error) {
	var input event
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&input); err != nil {
		return event{}, fmt.Errorf("%w; the only key is dryRun", err)
	}
	return input, nil
}
