package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

// event is what S3 tells EventBridge of an object (Amazon S3 User Guide, "EventBridge event message
// structure"). Keys are not encoded.
type event struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key string `json:"key"`
		} `json:"object"`
	} `json:"detail"`
}

func parseEvent(payload []byte) (event, error) {
	var e event
	err := json.Unmarshal(payload, &e)
	switch {
	case err != nil:
	case e.Source != "aws.s3" || e.DetailType != "Object Created":
		err = fmt.Errorf("it is %q of %q, and not that an object was created in S3", e.DetailType, e.Source)
	case e.Detail.Bucket.Name == "" || e.Detail.Object.Key == "":
		err = errors.New("it names no object")
	}
	if err != nil {
		return event{}, fmt.Errorf("the event is not understood, and nothing was drawn: %w", err)
	}
	return e, nil
}
