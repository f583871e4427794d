package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bucketsFile is this project's own: how the buckets of an account directory are set, and the
// versions of their objects that are not current.
const bucketsFile = "s3-buckets.json"

// bucketSettings are how a bucket is set.
type bucketSettings struct {
	status    string   // Of its versioning: Enabled or Suspended, or empty if it has never had any.
	mfaDelete string   // Enabled or Disabled, or empty.
	rules     []object // Of its lifecycle, as get-bucket-lifecycle-configuration shows them.
}

// bucketEntry is a bucket in a bucketsFile.
type bucketEntry struct {
	Name       string
	Versioning struct {
		Status    string `json:",omitempty"`
		MFADelete string `json:",omitempty"`
	} // As get-bucket-versioning shows it.
	Rules    []object       `json:",omitempty"`
	Versions []versionEntry `json:",omitempty"` // The newest of each key first.
}

// versionEntry is a version of an object, or a delete marker. The content of a current one is in
// the file of the object.
type versionEntry struct {
	Key          string
	VersionID    string `json:"VersionId"`
	LastModified time.Time
	IsLatest     bool   `json:",omitempty"`
	DeleteMarker bool   `json:",omitempty"`
	Content      []byte `json:",omitempty"`
}

// SetVersioning enables or suspends the versions of a bucket's objects: Enabled or Suspended.
func (a *Account) SetVersioning(name, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.makeBucket(name, a.home).status = status
}

// Version is a version of an object in a bucket of an account, or a delete marker.
type Version struct {
	ID       string
	ETag     string // In quotation marks; empty for a delete marker.
	IsMarker bool
}

// Versions returns all versions of the objects of a bucket, by key, the newest first.
func (a *Account) Versions(name string) map[string][]Version {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string][]Version{}
	if b := a.buckets[name]; b != nil {
		for key, versions := range b.versions {
			for _, v := range versions {
				all[key] = append(all[key], Version{v.version, v.etag, v.isMarker})
			}
		}
	}
	return all
}

// add makes a version, or a delete marker, the current one of a key.
func (b *bucket) add(key string, o *stored) {
	if b.status == "Enabled" {
		if o.version == "" {
			sum := sha256.Sum256(fmt.Append(nil, key, " ", o.etag, " ", o.modified.UnixNano(), " ", b.changes[key], " ", len(b.versions[key])))
			o.version = hex.EncodeToString(sum[:16])
		}
	} else {
		o.version = "null"
		b.versions[key] = slices.DeleteFunc(b.versions[key], func(v *stored) bool { return v.version == o.version })
	}
	b.versions[key] = slices.Insert(b.versions[key], 0, o)
	b.settle(key)
}

// removeVersion removes a version of a key for good, and returns it; nil if it is not there.
func (b *bucket) removeVersion(key, version string) *stored {
	at := slices.IndexFunc(b.versions[key], func(v *stored) bool { return v.version == version })
	if at < 0 {
		return nil
	}
	removed := b.versions[key][at]
	b.versions[key] = slices.Delete(b.versions[key], at, at+1)
	b.settle(key)
	return removed
}

// settle makes the newest version of a key the object that everybody sees.
func (b *bucket) settle(key string) {
	b.changes[key]++
	delete(b.objects, key)
	switch versions := b.versions[key]; {
	case len(versions) == 0:
		delete(b.versions, key)
	case !versions[0].isMarker:
		b.objects[key] = versions[0]
	}
}

func (c *s3Call) tellVersion(out *answer, o *stored) {
	if b := c.bucket(); b != nil && b.status != "" {
		out.header.Set("X-Amz-Version-Id", o.version)
	}
}

// getVersioning shows the versioning of a bucket. One that was never set has no status (S3 API
// Reference, GetBucketVersioning).
func (c *s3Call) getVersioning(out *answer) error {
	w := newWriter(restXMLProtocol)
	w.open("VersioningConfiguration", serviceNamed(s3Service).namespace)
	if b := c.bucket(); b != nil {
		for name, value := range map[string]string{"Status": b.status, "MfaDelete": b.mfaDelete} {
			if value != "" {
				w.element(name, value)
			}
		}
	}
	w.close("VersioningConfiguration")
	out.header.Set("Content-Type", "application/xml")
	out.body.Write(w.Bytes())
	return nil
}

// getLifecycle shows the lifecycle rules of a bucket.
func (c *s3Call) getLifecycle(out *answer) error {
	b := c.bucket()
	if b == nil || len(b.rules) == 0 {
		return &Error{404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"}
	}
	w := newWriter(restXMLProtocol)
	w.open("LifecycleConfiguration", serviceNamed(s3Service).namespace)
	for _, rule := range b.rules {
		writeSetting(w, "Rule", map[string]any(rule))
	}
	w.close("LifecycleConfiguration")
	out.header.Set("Content-Type", "application/xml")
	out.body.Write(w.Bytes())
	return nil
}

// writeSetting writes a value of the AWS CLI's output as an element. A list has an element for each
// item, whose name is that of the list without its s.
func writeSetting(w *writer, name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		w.open(name, "")
		for _, member := range slices.Sorted(maps.Keys(value)) {
			writeSetting(w, member, value[member])
		}
		w.close(name)
	case []any:
		for _, item := range value {
			writeSetting(w, strings.TrimSuffix(name, "s"), item)
		}
	case float64:
		w.element(name, strconv.FormatFloat(value, 'f', -1, 64))
	default:
		w.element(name, fmt.Sprint(value))
	}
}

// listVersions lists the versions of a bucket's objects in the order of their keys, the newest of
// each first.
func (c *s3Call) listVersions(out *answer) error {
	size, err := c.maxKeys()
	if err != nil {
		return err
	}
	entries := c.versionEntries()
	after := slices.IndexFunc(entries, func(e versionEntry) bool {
		return e.Key == c.text("key-marker") && e.VersionID == c.text("version-id-marker")
	})
	if c.Form.Has("key-marker") && after < 0 {
		return refuse("InvalidArgument", "Invalid version id specified")
	}
	entries = entries[after+1:]
	more := len(entries) > size
	entries = entries[:min(size, len(entries))]
	w := newWriter(restXMLProtocol)
	w.open("ListVersionsResult", serviceNamed(s3Service).namespace)
	w.element("Name", c.text("Bucket"))
	w.element("Prefix", c.encoded(c.text("prefix")))
	w.element("KeyMarker", c.encoded(c.text("key-marker")))
	w.element("VersionIdMarker", c.text("version-id-marker"))
	w.element("MaxKeys", strconv.Itoa(size))
	c.echo(w, "encoding-type")
	w.element("IsTruncated", strconv.FormatBool(more))
	if more {
		w.element("NextKeyMarker", c.encoded(entries[size-1].Key))
		w.element("NextVersionIdMarker", entries[size-1].VersionID)
	}
	for _, e := range entries {
		o := c.bucket().find(e)
		kind := "Version"
		if e.DeleteMarker {
			kind = "DeleteMarker"
		}
		w.open(kind, "")
		w.element("Key", c.encoded(e.Key))
		w.element("VersionId", e.VersionID)
		w.element("IsLatest", strconv.FormatBool(e.IsLatest))
		w.element("LastModified", e.LastModified.Format("2006-01-02T15:04:05.000Z07:00"))
		if !e.DeleteMarker {
			w.element("ETag", o.etag)
			w.element("Size", strconv.Itoa(len(o.content)))
			w.element("StorageClass", "STANDARD")
		}
		w.close(kind)
	}
	w.close("ListVersionsResult")
	out.header.Set("Content-Type", "application/xml")
	out.body.Write(w.Bytes())
	return nil
}

// versionEntries are the versions under the request's prefix, without content.
func (c *s3Call) versionEntries() []versionEntry {
	var entries []versionEntry
	if b := c.bucket(); b != nil {
		for _, e := range b.entries() {
			if strings.HasPrefix(e.Key, c.text("prefix")) {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// entries are all versions of a bucket, without content, in the order of a listing.
func (b *bucket) entries() []versionEntry {
	var entries []versionEntry
	for _, key := range slices.Sorted(maps.Keys(b.versions)) {
		for n, o := range b.versions[key] {
			entries = append(entries, versionEntry{Key: key, VersionID: o.version, LastModified: o.modified, IsLatest: n == 0, DeleteMarker: o.isMarker})
		}
	}
	return entries
}

func (b *bucket) find(e versionEntry) *stored {
	at := slices.IndexFunc(b.versions[e.Key], func(v *stored) bool { return v.version == e.VersionID })
	return b.versions[e.Key][at]
}

// loadVersions reads the bucketsFile of an account directory, which need not have one, after the
// objects.
func (a *Account) loadVersions(files fs.FS) error {
	data, err := fs.ReadFile(files, bucketsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var document struct{ Buckets []bucketEntry }
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&document)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", bucketsFile, err)
	}
	for _, entry := range document.Buckets {
		if !bucketName.MatchString(entry.Name) || !slices.Contains([]string{"", "Enabled", "Suspended"}, entry.Versioning.Status) {
			return fmt.Errorf("%s: not a bucket, or its versioning is not Enabled or Suspended: %q", bucketsFile, entry.Name)
		}
		b := a.makeBucket(entry.Name, a.home)
		b.bucketSettings = bucketSettings{entry.Versioning.Status, entry.Versioning.MFADelete, entry.Rules}
		b.load(entry.Versions)
	}
	return nil
}

// load takes up the versions of a bucket whose current objects are there.
func (b *bucket) load(listed []versionEntry) {
	known := map[string][]*stored{}
	for _, e := range listed {
		o := b.objects[e.Key]
		if !e.IsLatest || e.DeleteMarker || o == nil {
			o = &stored{content: e.Content, modified: e.LastModified, isMarker: e.DeleteMarker, header: storedHeader(nil)}
			if !e.DeleteMarker {
				o.etag = `"` + hex.EncodeToString(digest(hashes["md5"], e.Content)) + `"`
				o.checksum = checksum{defaultChecksum, base64.StdEncoding.EncodeToString(digest(hashes[defaultChecksum], e.Content))}
			}
		}
		o.version = e.VersionID
		known[e.Key] = append(known[e.Key], o)
	}
	for key, o := range maps.Clone(b.objects) {
		if known[key] == nil {
			b.versions[key], o.version = nil, ""
			b.add(key, o)
		}
	}
	for key, versions := range known {
		b.versions[key] = versions
		b.settle(key)
	}
}

// saveVersions writes the bucketsFile of an account directory, if a bucket is set in some way.
func (a *Account) saveVersions(dir string) error {
	document := struct{ Buckets []bucketEntry }{}
	for _, name := range slices.Sorted(maps.Keys(a.buckets)) {
		b := a.buckets[name]
		if b.status == "" && len(b.rules) == 0 {
			continue
		}
		entry := bucketEntry{Name: name, Rules: b.rules, Versions: b.entries()}
		entry.Versioning.Status, entry.Versioning.MFADelete = b.status, b.mfaDelete
		for i := range entry.Versions {
			if e := &entry.Versions[i]; !e.IsLatest {
				e.Content = b.find(*e).content
			}
		}
		document.Buckets = append(document.Buckets, entry)
	}
	if document.Buckets == nil {
		return nil
	}
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, bucketsFile), append(data, '\n'), 0o600)
}
