package emulator

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxListed is how many keys and common prefixes S3 lists at most in one answer.
const maxListed = 1000

// tokenPrefix tells a token from other text.
const tokenPrefix = "after "

// entry is one entry of a listing: an object, or the common prefix of several, which has no object.
type entry struct {
	name   string
	object *stored
}

// listObjects lists a bucket in the order of the keys' UTF-8 bytes.
func (c *s3Call) listObjects(out *answer) error {
	size, err := c.maxKeys()
	if err != nil {
		return err
	}
	if encoding := c.text("encoding-type"); encoding != "" && encoding != "url" {
		return refuse("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	last, err := c.lastListed()
	if err != nil {
		return err
	}
	entries := c.entries(last)
	more := size > 0 && len(entries) > size
	entries = entries[:min(size, len(entries))]

	w := newWriter(restXMLProtocol)
	w.open("ListBucketResult", serviceNamed(s3Service).namespace)
	w.element("Name", c.text("Bucket"))
	w.element("Prefix", c.encoded(c.text("prefix")))
	for _, parameter := range []string{"delimiter", "start-after", "continuation-token", "encoding-type"} {
		c.echo(w, parameter)
	}
	w.element("MaxKeys", strconv.Itoa(size))
	w.element("KeyCount", strconv.Itoa(len(entries)))
	w.element("IsTruncated", strconv.FormatBool(more))
	if more {
		w.element("NextContinuationToken", base64.URLEncoding.EncodeToString([]byte(tokenPrefix+entries[size-1].name)))
	}
	c.writeEntries(w, entries)
	w.close("ListBucketResult")
	out.header.Set("Content-Type", "application/xml")
	out.body.Write(w.Bytes())
	return nil
}

func (c *s3Call) writeEntries(w *writer, entries []entry) {
	for _, e := range entries {
		if e.object == nil {
			w.open("CommonPrefixes", "")
			w.element("Prefix", c.encoded(e.name))
			w.close("CommonPrefixes")
			continue
		}
		w.open("Contents", "")
		w.element("Key", c.encoded(e.name))
		w.element("LastModified", e.object.modified.Format("2006-01-02T15:04:05.000Z07:00"))
		w.element("ETag", e.object.etag)
		w.element("Size", strconv.Itoa(len(e.object.content)))
		w.element("StorageClass", "STANDARD")
		w.close("Contents")
	}
}

// maxKeys is how many entries the request wants at most.
func (c *s3Call) maxKeys() (int, error) {
	if !c.Form.Has("max-keys") {
		return maxListed, nil
	}
	size, err := strconv.ParseInt(c.text("max-keys"), 10, 32)
	if err != nil || size < 0 {
		return 0, refuse("InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647")
	}
	return min(int(size), maxListed), nil
}

// lastListed is the last entry of the page before, empty on the first page.
func (c *s3Call) lastListed() (string, error) {
	plain, err := base64.URLEncoding.DecodeString(c.text("continuation-token"))
	last, ok := strings.CutPrefix(string(plain), tokenPrefix)
	if c.Form.Has("continuation-token") && (err != nil || !ok) {
		return "", refuse("InvalidArgument", "The continuation token provided is incorrect")
	}
	return last, nil
}

// entries are the objects of the bucket under the prefix and the common prefixes, as far as they
// come after the last entry of the page before and are made of keys after the one that the request
// names.
func (c *s3Call) entries(last string) []entry {
	b := c.bucket()
	if b == nil {
		return nil
	}
	prefix, delimiter, start := c.text("prefix"), c.text("delimiter"), c.text("start-after")
	var entries []entry
	for key, o := range b.objects {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= start {
			continue
		}
		e := entry{key, o}
		if at := strings.Index(rest, delimiter); delimiter != "" && at >= 0 {
			e = entry{name: prefix + rest[:at+len(delimiter)]}
		}
		if e.name > last {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.name == b.name })
}

// echo repeats a parameter of the request in the answer, where its name is in capitals: StartAfter.
func (c *s3Call) echo(w *writer, parameter string) {
	if !c.Form.Has(parameter) {
		return
	}
	var name strings.Builder
	for word := range strings.SplitSeq(parameter, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	value := c.text(parameter)
	if parameter == "delimiter" || parameter == "start-after" {
		value = c.encoded(value)
	}
	w.element(name.String(), value)
}

// encoded is a name as the request wants it in the answer: XML cannot hold every key.
func (c *s3Call) encoded(name string) string {
	if c.text("encoding-type") != "url" {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(name), "+", "%20"), "%2F", "/")
}
