package emulator

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// S3 speaks another protocol than the others, but its requests take the same lock, and are denied,
// answered with errors and logged in one order with theirs: a package of its own would export all
// of that.

// s3Service is S3's name in a signature's scope.
const s3Service = "s3"

// bucket is a bucket of S3. It comes into being with its first object, in the region of that
// request; one that does not exist yet is empty.
type bucket struct {
	region  string
	objects map[string]*stored // The current ones, by key.
	changes map[string]int     // How often something has been put under a key, or deleted.

	bucketSettings
	versions map[string][]*stored // By key, the newest first, delete markers among them.
}

// stored is an object in a bucket.
type stored struct {
	content  []byte
	etag     string // The MD5 digest of the content, in quotation marks.
	modified time.Time
	checksum checksum
	header   http.Header // What the object was stored with, its content type above all.

	version  string // "null" in a bucket without versions.
	isMarker bool
}

// Objects returns what a bucket of S3 holds, by key.
func (a *Account) Objects(bucket string) map[string][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := map[string][]byte{}
	if b := a.buckets[bucket]; b != nil {
		for key, o := range b.objects {
			held[key] = bytes.Clone(o.content)
		}
	}
	return held
}

// s3Actions are the emulated actions of S3.
var s3Actions = map[string]func(*s3Call, *answer) error{
	"DeleteObject":         (*s3Call).deleteObject,
	"GetBucketEncryption":  (*s3Call).getBucketEncryption,
	"GetBucketVersioning":  (*s3Call).getVersioning,
	"GetObject":            (*s3Call).getObject,
	"GetPublicAccessBlock": (*s3Call).getPublicAccessBlock,
	"HeadObject":           (*s3Call).getObject,
	"ListObjectVersions":   (*s3Call).listVersions,
	"ListObjectsV2":        (*s3Call).listObjects,
	"PutObject":            (*s3Call).putObject,

	"GetBucketLifecycleConfiguration": (*s3Call).getLifecycle,
}

// inspectS3 reads what a request to S3 asks for. It leaves the body alone. To the form it adds the
// bucket, the key and the conditions on ETags, under the names that the SDKs give them: Bucket,
// Key, IfMatch and IfNoneMatch.
func inspectS3(r *http.Request, q Request) Request {
	bucket, key := s3Resource(r)
	q.Action = s3Action(r.Method, bucket, key, q.Form.Get("list-type") == "2")
	if key == "" && bucket != "" && r.Method == http.MethodGet {
		q.Action = cmp.Or(s3Subresource(q.Form), q.Action)
	}
	for name, value := range map[string]string{
		"Bucket": bucket, "Key": key, "IfMatch": r.Header.Get("If-Match"), "IfNoneMatch": r.Header.Get("If-None-Match"),
	} {
		q.Form.Del(name)
		if value != "" {
			q.Form.Set(name, value)
		}
	}
	return q
}

// s3Resource returns the bucket and the key that a request names: the bucket before the host
// (virtual-hosted style) or as the first part of the path (path style).
func s3Resource(r *http.Request) (bucket, key string) {
	host := cmp.Or(r.Host, r.URL.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket := hostedBucket(host); bucket != "" {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// hostedBucket is what stands before S3's own name in that of a host:
// BUCKET.s3.REGION.amazonaws.com, or BUCKET.localhost. A bucket's name may contain dots; it is
// empty if there is none.
func hostedBucket(host string) string {
	if bucket, ok := strings.CutSuffix(host, ".localhost"); ok {
		return bucket
	}
	name, ok := strings.CutSuffix(strings.TrimSuffix(host, ".cn"), ".amazonaws.com")
	if !ok {
		return ""
	}
	labels := strings.Split(name, ".")
	for i := len(labels) - 1; i > 0; i-- {
		if labels[i] == "s3" || strings.HasPrefix(labels[i], "s3-") {
			return strings.Join(labels[:i], ".")
		}
	}
	return ""
}

// s3Action names the action of a request. One that is not emulated is named as S3's access logs do:
// "REST.POST.OBJECT".
func s3Action(method, bucket, key string, isList bool) string {
	const objectActions = " DELETE=DeleteObject GET=GetObject HEAD=HeadObject PUT=PutObject "
	kind := "OBJECT"
	switch {
	case bucket == "":
		kind = "SERVICE"
	case key == "" && method == http.MethodGet && isList:
		return "ListObjectsV2"
	case key == "":
		kind = "BUCKET"
	default:
		if _, rest, ok := strings.Cut(objectActions, " "+method+"="); ok {
			action, _, _ := strings.Cut(rest, " ")
			return action
		}
	}
	return "REST." + method + "." + kind
}

// s3Subresources are the actions about a bucket itself, by the parameter of the query that asks for
// them.
var s3Subresources = map[string]string{
	"encryption": "GetBucketEncryption", "lifecycle": "GetBucketLifecycleConfiguration", "publicAccessBlock": "GetPublicAccessBlock",
	"versioning": "GetBucketVersioning", "versions": "ListObjectVersions",
}

// s3Subresource names the action of a request about a bucket itself; empty if it is about none that
// the account emulates.
func s3Subresource(form url.Values) string {
	for name, action := range s3Subresources {
		if form.Has(name) {
			return action
		}
	}
	return ""
}

// s3Call is a request to S3 on its way through the account.
type s3Call struct {
	Request
	account *Account
	caller  caller
	header  http.Header
	upload  upload
	began   int // The key's changes when the request began.
}

// serveS3 answers one request to S3. An upload is received before the account is locked, as a real
// one takes its time.
func (a *Account) serveS3(w http.ResponseWriter, r *http.Request, q Request, by caller, unreadable error) {
	c := &s3Call{Request: q, account: a, caller: by, header: r.Header}
	a.mu.Lock()
	c.began = c.changes()
	a.mu.Unlock()
	if unreadable == nil && q.Action == "PutObject" {
		c.upload, unreadable = receive(r)
	}
	out := c.answer(unreadable)
	maps.Copy(w.Header(), out.header)
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.body.Bytes()) // A client that has gone away is its own affair.
	}
}

// changes is how often the request's key has changed.
func (c *s3Call) changes() int {
	if b := c.bucket(); b != nil {
		return b.changes[c.text("Key")]
	}
	return 0
}

// answer performs a request, unless it could not be read, and records it.
func (c *s3Call) answer(unreadable error) *answer {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", len(a.calls)+1)
	out := &answer{header: http.Header{}, status: http.StatusOK}
	err := unreadable
	if err == nil {
		err = c.check()
	}
	if err == nil && a.regions[a.home].denies(c.Service, c.Action) {
		err = c.Forbidden()
	}
	if err == nil {
		err = s3Actions[c.Action](c, out)
	}
	logged := Call{Service: c.Service, Region: c.Region, Action: c.Action, Status: out.status}
	if err != nil {
		e := asError(err)
		logged.Status, logged.Code = e.Status, e.Code
		out = &answer{header: http.Header{}, status: e.Status}
		if e.Status != http.StatusNotModified {
			out.header.Set("Content-Type", "application/xml")
			out.body.Write(renderError(serviceNamed(s3Service), id, e))
		}
	}
	if b := c.bucket(); b != nil {
		out.header.Set("X-Amz-Bucket-Region", b.region)
	}
	out.header.Set("X-Amz-Request-Id", id)
	a.note(logged, c.caller)
	return out
}

// bucketName is what S3 takes as a bucket's name, as far as its letters go (S3 User Guide, "Bucket
// naming rules").
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// maxKey is how long a key may be, in bytes of UTF-8.
const maxKey = 1024

// check refuses what is not emulated, and what S3 refuses whatever the action.
func (c *s3Call) check() error {
	if s3Actions[c.Action] == nil {
		return notImplemented(c.Action)
	}
	for name := range c.Form {
		if !c.takes(name) {
			return notImplemented(name)
		}
	}
	for name := range c.header {
		if !isS3Header(name) {
			return notImplemented(name)
		}
	}
	return c.checkAddress()
}

// checkAddress refuses a bucket or a key that cannot be, and a bucket that is not there.
func (c *s3Call) checkAddress() error {
	owner, b := c.header.Get("X-Amz-Expected-Bucket-Owner"), c.bucket()
	switch {
	case !bucketName.MatchString(c.text("Bucket")):
		return refuse("InvalidBucketName", "The specified bucket is not valid.")
	case len(c.text("Key")) > maxKey:
		return refuse("KeyTooLongError", "Your key is too long")
	case owner != "" && owner != c.account.id:
		return &Error{http.StatusForbidden, "AccessDenied", "Access Denied"}
	case b != nil && b.region != c.Region:
		return &Error{
			http.StatusMovedPermanently, "PermanentRedirect",
			"The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
		}
	}
	return nil
}

func notImplemented(what string) error {
	return &Error{http.StatusNotImplemented, "NotImplemented", "A header or a parameter you provided implies functionality that is not implemented: " + what}
}

// takes reports whether the action takes a parameter of the query, or what inspectS3 has added.
func (c *s3Call) takes(name string) bool {
	switch name {
	case "Bucket", "Key", "IfMatch", "IfNoneMatch", "x-id":
		return true
	case "list-type", "prefix", "delimiter", "start-after", "continuation-token", "max-keys", "encoding-type":
		return c.Action == "ListObjectsV2" || c.Action == "ListObjectVersions" && (name == "prefix" || name == "max-keys" || name == "encoding-type")
	case "key-marker", "version-id-marker":
		return c.Action == "ListObjectVersions"
	case "versionId":
		return c.Action == "DeleteObject"
	case "fetch-owner":
		return c.Action == "ListObjectsV2" && c.text(name) == "false"
	case "encryption", "lifecycle", "publicAccessBlock", "versioning", "versions":
		return c.Action == s3Subresources[name]
	default:
		return strings.HasPrefix(name, "X-Amz-")
	}
}

// isS3Header reports whether a header is not one of S3's own, or is emulated.
func isS3Header(name string) bool {
	switch name {
	case "X-Amz-Checksum-Mode", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Decoded-Content-Length",
		"X-Amz-Expected-Bucket-Owner", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Security-Token", "X-Amz-Trailer", "X-Amz-User-Agent":
		return true
	case "If-Modified-Since", "If-Unmodified-Since":
		return false
	default:
		return !strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, checksumPrefix) || strings.HasPrefix(name, "X-Amz-Meta-")
	}
}

// text is a parameter, empty if it is not given.
func (c *s3Call) text(name string) string {
	return c.Form.Get(name)
}

// bucket is the bucket of the request, nil as long as nothing has ever been put there.
func (c *s3Call) bucket() *bucket {
	return c.account.buckets[c.text("Bucket")]
}

// object is the object of the request, nil if it is not there.
func (c *s3Call) object() *stored {
	if b := c.bucket(); b != nil {
		return b.objects[c.text("Key")]
	}
	return nil
}

func noSuchKey() error {
	return &Error{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
}

func preconditionFailed() error {
	return &Error{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
}

// matchesETag reports whether an ETag is among those of a condition; "*" means any.
func matchesETag(condition, etag string) bool {
	for one := range strings.SplitSeq(condition, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.Trim(one, `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

// writable checks the conditions of an upload (S3 User Guide, "How to prevent object overwrites
// with conditional writes"). A change of the same key while the upload was under way is a conflict,
// even if the condition holds.
func (c *s3Call) writable() error {
	match, none := c.text("IfMatch"), c.text("IfNoneMatch")
	switch {
	case match == "" && none == "":
		return nil
	case none != "" && (none != "*" || match != ""):
		return notImplemented("If-None-Match")
	case c.changes() != c.began:
		return &Error{
			http.StatusConflict, "ConditionalRequestConflict",
			"The conditional request cannot succeed due to a conflicting operation against this resource.",
		}
	case match != "":
		return c.unchanged(match)
	case c.object() != nil:
		return preconditionFailed()
	}
	return nil
}

// unchanged checks that the object has a certain ETag. What S3 answers to a deletion if the object
// is not there is not documented; to an upload it answers that there is none.
func (c *s3Call) unchanged(match string) error {
	there := c.object()
	switch {
	case there == nil:
		return noSuchKey()
	case !matchesETag(match, there.etag):
		return preconditionFailed()
	}
	return nil
}

// putObject stores an object, or replaces it.
func (c *s3Call) putObject(out *answer) error {
	if err := c.writable(); err != nil {
		return err
	}
	o := c.account.put(c.text("Bucket"), c.Region, c.text("Key"), c.upload, storedHeader(c.header))
	out.header.Set("Etag", o.etag)
	c.tellVersion(out, o)
	o.checksum.tell(out.header)
	return nil
}

// put stores an object in a bucket. A bucket that is not there yet is made, in the region.
func (a *Account) put(name, region, key string, body upload, header http.Header) *stored {
	b := a.makeBucket(name, region)
	o := &stored{
		content:  body.content,
		etag:     `"` + hex.EncodeToString(digest(hashes["md5"], body.content)) + `"`,
		modified: a.now().UTC().Truncate(time.Millisecond),
		checksum: body.checksum,
		header:   header,
	}
	b.add(key, o)
	return o
}

// makeBucket makes a bucket, unless it is there.
func (a *Account) makeBucket(name, region string) *bucket {
	b := a.buckets[name]
	if b == nil {
		b = &bucket{region: region, objects: map[string]*stored{}, changes: map[string]int{}, versions: map[string][]*stored{}}
		if a.buckets == nil {
			a.buckets = map[string]*bucket{}
		}
		a.buckets[name] = b
	}
	return b
}

// storedHeader is what an object keeps of the headers that it is uploaded with.
func storedHeader(header http.Header) http.Header {
	kept := http.Header{"Content-Type": {"binary/octet-stream"}}
	for name, values := range header {
		switch name {
		case "Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "Expires":
			kept[name] = slices.Clone(values)
		case "Content-Encoding":
			// How the body comes is not how the object is.
			if encoding := strings.TrimSuffix(strings.TrimSuffix(header.Get(name), "aws-chunked"), ","); encoding != "" {
				kept.Set(name, encoding)
			}
		default:
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				kept[name] = slices.Clone(values)
			}
		}
	}
	return kept
}

// deleteObject deletes an object, or one of its versions. Without a condition it succeeds even if
// there is none. Without a version, a bucket with versions gets a delete marker (S3 API Reference,
// DeleteObject).
func (c *s3Call) deleteObject(out *answer) error {
	version, match := c.text("versionId"), c.text("IfMatch")
	if version != "" && match != "" {
		return notImplemented("If-Match")
	}
	if match != "" {
		if err := c.unchanged(match); err != nil {
			return err
		}
	}
	out.status = http.StatusNoContent
	b, key := c.bucket(), c.text("Key")
	switch {
	case b == nil:
	case version != "":
		removed := b.removeVersion(key, version)
		out.header.Set("X-Amz-Version-Id", version)
		if removed != nil && removed.isMarker {
			out.header.Set("X-Amz-Delete-Marker", "true")
		}
	case b.status == "":
		b.removeVersion(key, "null")
	default:
		marker := &stored{isMarker: true, modified: c.account.now().UTC().Truncate(time.Millisecond)}
		b.add(key, marker)
		out.header.Set("X-Amz-Delete-Marker", "true")
		out.header.Set("X-Amz-Version-Id", marker.version)
	}
	return nil
}

// getObject shows an object, or a range of it. HeadObject is the same without a body.
func (c *s3Call) getObject(out *answer) error {
	o := c.object()
	match, none := c.text("IfMatch"), c.text("IfNoneMatch")
	switch {
	case o == nil:
		return noSuchKey()
	case match != "" && !matchesETag(match, o.etag):
		return preconditionFailed()
	case none != "" && matchesETag(none, o.etag):
		return &Error{http.StatusNotModified, "NotModified", "Not Modified"}
	}
	from, to, partial, err := byteRange(c.header.Get("Range"), len(o.content))
	if err != nil {
		return err
	}
	maps.Copy(out.header, o.header.Clone())
	out.header.Set("Accept-Ranges", "bytes")
	out.header.Set("Etag", o.etag)
	c.tellVersion(out, o)
	out.header.Set("Last-Modified", o.modified.Format(http.TimeFormat))
	out.header.Set("Content-Length", strconv.Itoa(to-from))
	if partial {
		out.status = http.StatusPartialContent
		out.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(o.content)))
	} else if strings.EqualFold(c.header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		o.checksum.tell(out.header)
	}
	if c.Action == "GetObject" {
		out.body.Write(o.content[from:to])
	}
	return nil
}

// byteRange reads a Range header: bytes=0-499, bytes=500- or bytes=-500. S3 knows no others, and
// answers those with the whole object.
func byteRange(header string, size int) (from, to int, partial bool, err error) {
	parts := rangePattern.FindStringSubmatch(header)
	if parts == nil || parts[1]+parts[2] == "" {
		return 0, size, false, nil
	}
	from, _ = strconv.Atoi(parts[1]) // So few digits are a number, and no digits are zero.
	to, _ = strconv.Atoi(parts[2])
	switch {
	case parts[1] == "":
		from, to = max(size-to, 0), size
	case parts[2] == "":
		to = size
	case to < from:
		return 0, size, false, nil
	default:
		to = min(to, size-1) + 1
	}
	if from >= to {
		return 0, 0, false, &Error{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"}
	}
	return from, to, true, nil
}

var rangePattern = regexp.MustCompile(`^bytes=(\d{0,18})-(\d{0,18})$`)

// renderS3Error writes an error as S3 does: without a namespace.
func renderS3Error(requestID string, e *Error) []byte {
	w := newWriter(restXMLProtocol)
	w.open("Error", "")
	w.element("Code", e.Code)
	w.element("Message", e.Message)
	w.element("RequestId", requestID)
	w.close("Error")
	return w.Bytes()
}
