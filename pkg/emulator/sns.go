package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// snsActions are the emulated actions of SNS.
var snsActions = map[string]action{
	"ListSubscriptionsByTopic": {listSubscriptionsByTopic, []string{"NextToken", "TopicArn"}},

	"Publish": {publish, []string{"Message", "MessageAttributes", "MessageStructure", "Subject", "TopicArn"}},
}

// listSubscriptionsByTopic lists the subscriptions to a topic, 100 at a time. The ARN of one that
// nobody has confirmed yet is PendingConfirmation (SNS API Reference, ListSubscriptionsByTopic). A
// topic exists if the account directory has a stack's resource of that name, or a subscription.
func listSubscriptionsByTopic(c *call) (object, error) {
	topic := c.text("TopicArn")
	if parts := topicARN.FindStringSubmatch(topic); parts == nil || parts[1] != c.Region {
		return nil, badParameter("TopicArn")
	}
	found := slices.DeleteFunc(slices.Clone(c.region.items(subscriptionsFile)), func(o object) bool { return text(o, "TopicArn") != topic })
	if len(found) == 0 && c.region.find(resourcesOfStacksFile, "PhysicalResourceId", topic) == nil {
		return nil, &Error{http.StatusNotFound, "NotFound", "Topic does not exist"}
	}
	found, token, err := page(c, found, paging{usual: 100})
	return listing("Subscriptions", found, token), err
}

// Message is a message that has been published. Its attributes are what subscribers see: none where
// the structure is "json" (SNS Developer Guide, "Amazon SNS message attributes").
type Message struct {
	TopicARN         string            `json:"TopicArn"`
	Subject          string            `json:"Subject,omitempty"`
	Message          string            `json:"Message"`
	MessageStructure string            `json:"MessageStructure,omitempty"`
	Attributes       map[string]string `json:"MessageAttributes,omitempty"`
}

// SNS's limits on a message (SNS API Reference, Publish).
const (
	maxMessage = 262144 // Bytes, of the body and the attributes together.
	maxSubject = 100    // Characters; a subject has to be shorter.
)

// Published returns the messages that have been published, in order.
func (a *Account) Published() []Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	copies := slices.Clone(a.messages)
	for i := range copies {
		copies[i].Attributes = maps.Clone(copies[i].Attributes)
	}
	return copies
}

// serveMessages answers with the published messages as JSON, for whoever tries the emulator from
// outside.
func (a *Account) serveMessages(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	messages := append([]Message{}, a.Published()...)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(messages) // A client that has gone away is its own affair.
}

// publish takes a message for a topic. Every topic there could be exists.
func publish(c *call) (object, error) {
	m := Message{
		TopicARN:         c.text("TopicArn"),
		Subject:          c.text("Subject"),
		Message:          c.text("Message"),
		MessageStructure: c.text("MessageStructure"),
	}
	size := len(m.Message)
	attributes := map[string]string{}
	for _, entry := range members(c.Form, "MessageAttributes.entry") {
		name, value := entry.Get("Name"), entry.Get("Value.StringValue")+entry.Get("Value.BinaryValue")
		if err := checkAttribute(name, entry.Get("Value.DataType"), value); err != nil {
			return nil, err
		}
		attributes[name] = value
		size += len(name) + len(value) + len(entry.Get("Value.DataType"))
	}
	if m.MessageStructure == "" && len(attributes) > 0 {
		m.Attributes = attributes
	}
	if size > maxMessage {
		return nil, badParameter("Message too long")
	}
	if err := c.checkMessage(m); err != nil {
		return nil, err
	}
	c.account.messages = append(c.account.messages, m)
	return object{"MessageId": fmt.Sprintf("00000000-0000-5000-8000-%012x", len(c.account.messages))}, nil
}

var (
	attributeName  = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	attributeKinds = []string{"String", "String.Array", "Number", "Binary"}
)

// checkAttribute checks a message attribute (SNS Developer Guide, "Amazon SNS message attributes").
func checkAttribute(name, kind, value string) error {
	isPair := func(r rune) bool { return r > 0xFFFF || r == utf8.RuneError }
	switch {
	case name == "" || value == "" || kind == "":
		return badParameter("The message attribute '%s' must contain a type and a non-empty value.", name)
	case len(name) > 256 || !attributeName.MatchString(name):
		return badParameter("The message attribute name '%s' is invalid.", name)
	case !slices.Contains(attributeKinds, kind):
		return badParameter("The message attribute '%s' has an invalid message attribute type.", name)
	case kind == "String.Array" && json.Unmarshal([]byte(value), new([]any)) != nil:
		return badParameter("The message attribute '%s' with type 'String.Array' must use a JSON array.", name)
	case strings.ContainsFunc(value, isPair):
		return badParameter("The message attribute '%s' has a value with characters that are not supported.", name)
	}
	return nil
}

// badParameter is SNS's error for a parameter that it does not take.
func badParameter(format string, arguments ...any) error {
	return refuse("InvalidParameter", "Invalid parameter: "+format, arguments...)
}

var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)

func (c *call) checkMessage(m Message) error {
	topic := topicARN.FindStringSubmatch(m.TopicARN)
	switch {
	case m.TopicARN == "":
		return badParameter("TopicArn or TargetArn Reason: no value for required parameter")
	case topic == nil || topic[1] != c.Region:
		return badParameter("TopicArn")
	case m.Message == "":
		return badParameter("Empty message")
	case c.Form.Has("Subject") && !isSubject(m.Subject):
		return badParameter("Subject")
	case m.MessageStructure == "json":
		return checkStructure(m.Message)
	case m.MessageStructure != "":
		return badParameter("MessageStructure")
	}
	return nil
}

// isSubject reports whether SNS takes a text as a subject: UTF-8 without line breaks or control
// characters, and less than 100 characters (SNS API Reference, Publish).
func isSubject(s string) bool {
	isBreak := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) < maxSubject && !strings.ContainsFunc(s, isBreak)
}

// checkStructure checks a message of one text per protocol: a JSON object without duplicate keys
// that has a string under "default" (SNS API Reference, Publish).
func checkStructure(message string) error {
	failed := badParameter("Message Structure - JSON message body failed to parse")
	if !json.Valid([]byte(message)) {
		return failed
	}
	d := json.NewDecoder(strings.NewReader(message))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return failed
	}
	texts := map[string]any{}
	for d.More() {
		var value any
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		name, _ := key.(string)
		if _, twice := texts[name]; err != nil || twice {
			return failed
		}
		texts[name] = value
	}
	if _, ok := texts["default"].(string); !ok {
		return badParameter("Message Structure - No default entry in JSON message body")
	}
	return nil
}
