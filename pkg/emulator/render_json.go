package emulator

import "encoding/json"

// renderJSON writes an answer in JSON.
func renderJSON(answer object) []byte {
	body, err := json.Marshal(inJSON("", answer))
	if err != nil {
		panic(err) // What was read as JSON can be written as JSON.
	}
	return body
}

// inJSON is the value under a key as JSON has it: timestamps are epoch seconds, and what is null or
// cannot be read is left out.
func inJSON(key string, value any) any {
	switch v := value.(type) {
	case object:
		shown := object{}
		for inner := range v {
			if s := inJSON(inner, v[inner]); s != nil {
				shown[inner] = s
			}
		}
		return shown
	case []object:
		return inJSON(key, anys(v))
	case []any:
		shown := make([]any, len(v))
		for i, item := range v {
			shown[i] = inJSON(key, item)
		}
		return shown
	}
	content, ok := scalar(value)
	if !ok || !timestamps[key] {
		return value
	}
	if t, ok := instant(content); ok {
		return float64(t.UnixMilli()) / 1000
	}
	return nil
}
