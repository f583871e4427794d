package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// event is what an invocation may request. It can only make a run safer.
type event struct {
	DryRun sticky `json:"dryRun"`
}

// sticky stays true: if an event repeats a key, in any case, the safer value counts.
type sticky bool

// UnmarshalJSON accepts only true and false, not even null.
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

// parseEvent accepts an empty event, null, the function's own input, and the envelopes in which
// EventBridge rules and EventBridge Scheduler wrap an event: the first has its detail as an object,
// the second as a string of JSON.
//
// An unknown key is refused: {"dry_run": true} is not a request for a real run.
func parseEvent(payload []byte) (event, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) {
		return event{}, nil
	}
	if payload[0] != '{' {
		return event{}, errors.New("it is not a JSON object")
	}
	var envelope envelope
	if err := json.Unmarshal(payload, &envelope); err != nil {
		return event{}, err
	}
	if envelope.Source == "" && envelope.DetailType == "" {
		return parseInput(payload)
	}
	if err := strictly(payload, &envelope); err != nil {
		return event{}, err
	}
	return envelope.open()
}

// open returns the request of an envelope and of everything in it.
func (e envelope) open() (event, error) {
	for _, detail := range e.Details {
		inner, err := parseEvent(detail)
		if err != nil {
			return event{}, fmt.Errorf("its detail: %w", err)
		}
		e.DryRun = e.DryRun || inner.DryRun
	}
	return e.event, nil
}

// envelope is EventBridge's envelope of an event (EventBridge User Guide, "Events"). It has no
// other keys; a request among these keys counts.
type envelope struct {
	event
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  json.RawMessage `json:"resources"`
	ReplayName string          `json:"replay-name"`
	Details    details         `json:"detail"`
}

// details are all details of an envelope, in case it repeats the key; a string is parsed as JSON.
type details []json.RawMessage

// UnmarshalJSON adds one detail. It never fails: an invalid event is refused when it is read.
func (d *details) UnmarshalJSON(text []byte) error { //nolint:unparam // The interface of encoding/json.
	var quoted string
	if json.Unmarshal(text, &quoted) == nil {
		text = []byte(quoted)
	}
	*d = append(*d, bytes.Clone(text))
	return nil
}

func parseInput(payload []byte) (event, error) {
	var input event
	if err := strictly(payload, &input); err != nil {
		return event{}, err
	}
	return input, nil
}

// strictly refuses keys that the target does not have.
func strictly(payload []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return fmt.Errorf("%w; the only key of an event's own is dryRun", err)
	}
	return nil
}
