package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// Encode writes the record as JSON, image by image, so that it needs no memory beside the record
// itself. With an indent the JSON is indented, else it is one line. It ends with a line break.
func (r Run) Encode(w io.Writer, indent string) error {
	e := newEncoder(w, indent)
	regions := r.Regions
	r.Regions = []Region{}
	e.around(r, "regions", len(regions), 0, func(i int) {
		region := regions[i]
		images := region.Images
		region.Images = []Image{}
		e.around(region, "images", len(images), 2, func(i int) { e.text(e.marshal(images[i], 4)) })
	})
	return e.end()
}

// Encode writes the record as JSON, account by account, as Run.Encode does image by image.
func (o Organization) Encode(w io.Writer, indent string) error {
	e := newEncoder(w, indent)
	accounts := o.Accounts
	o.Accounts = []MemberAccount{}
	e.around(o, "accounts", len(accounts), 0, func(i int) { e.text(e.marshal(accounts[i], 2)) })
	return e.end()
}

// encoder writes JSON and keeps the first error.
type encoder struct {
	out    *bufio.Writer
	indent string
	buffer bytes.Buffer // What json writes to.
	json   *json.Encoder
	err    error
}

func newEncoder(w io.Writer, indent string) *encoder {
	e := &encoder{out: bufio.NewWriterSize(w, 64<<10), indent: indent}
	e.json = json.NewEncoder(&e.buffer)
	return e
}

// end writes the last line break, and returns the first error.
func (e *encoder) end() error {
	e.text([]byte("\n"))
	if e.err == nil {
		e.err = e.out.Flush()
	}
	return e.err
}

func (e *encoder) text(text []byte) {
	if e.err == nil {
		_, e.err = e.out.Write(text)
	}
}

// marshal returns the JSON of a value, indented that many times. It is valid until the next call.
func (e *encoder) marshal(v any, depth int) []byte {
	e.buffer.Reset()
	if e.indent != "" {
		e.json.SetIndent(strings.Repeat(e.indent, depth), e.indent)
	}
	if err := e.json.Encode(v); err != nil && e.err == nil {
		e.err = err
	}
	return bytes.TrimSuffix(e.buffer.Bytes(), []byte("\n"))
}

// around writes object, streaming items into its empty list name. Quotation marks inside texts are
// escaped, so the key is found only once.
func (e *encoder) around(object any, name string, items, depth int, each func(i int)) {
	key, line, end := `"`+name+`":[`, "", ""
	if e.indent != "" {
		key = `"` + name + `": [`
		line, end = "\n"+strings.Repeat(e.indent, depth+2), "\n"+strings.Repeat(e.indent, depth+1)
	}
	head, tail, _ := bytes.Cut(e.marshal(object, depth), []byte(key+"]"))
	tail = bytes.Clone(tail)
	e.text(append(bytes.Clone(head), key...))
	for i := range items {
		if i > 0 {
			e.text([]byte(","))
		}
		e.text([]byte(line))
		each(i)
	}
	if items > 0 {
		e.text([]byte(end))
	}
	e.text([]byte("]"))
	e.text(tail)
}
